"""Light to numbers: pixels collect the power that falls on them, homodyne reads a quadrature."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from optics4f.elements import AmplitudeEncoding, FourierLens, HomodyneReadout, IntensityDetector, KernelMask
from optics4f.fourier import invert
from optics4f.functional import intensity, power
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some hundred terms
few = settings(max_examples=30, deadline=None)
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
GRIDS = [(5, 6), (6, 5), (7, 9), (8, 4)]


def plane(shape: tuple[int, int]) -> Grid:
    return Grid(shape, (8 * um, 10 * um))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def wave(shape: tuple[int, int], orders: tuple[int, int]) -> Tensor:
    """A plane wave with so many periods over the plane in y and in x."""
    rows, columns = (
        torch.exp(2j * math.pi * k * (torch.arange(n, dtype=torch.float64) - n // 2) / n)
        for k, n in zip(orders, shape, strict=True)
    )
    return torch.outer(rows, columns)


# ---- the square law


@few
@given(SIZES, SIZES, st.integers(0, 99))
def test_the_pixels_collect_the_power_of_the_field(
    shape: tuple[int, int], pixels: tuple[int, int], seed: int
) -> None:
    field = randn(2, *shape, seed=seed)
    collected = IntensityDetector(plane(shape), pixels)(field).sum((-2, -1))
    assert relative_error(collected, power(field, plane(shape).cell_area)) < ROUNDING


@pytest.mark.parametrize("shape", [(9, 8), (8, 9)])
@pytest.mark.parametrize("pixels", [(3, 5), (4, 6), (12, 1), (20, 31)])
@pytest.mark.parametrize("orders", [((-1, 2), (3, -3)), ((0, 0), (2, 3)), ((-3, 3), (3, -3))])
def test_fringes_on_pixels_have_the_contrast_of_a_sinc(
    shape: tuple[int, int], pixels: tuple[int, int], orders: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """a^2 + b^2 + 2ab sinc(k_y / p_y) sinc(k_x / p_x) cos(2 pi k x_j / L), k the difference of orders."""
    a, b = 1.3, 0.8
    detector = IntensityDetector(plane(shape), pixels)
    got = detector(a * wave(shape, orders[0]) + b * wave(shape, orders[1]))
    k = [one - other for one, other in zip(*orders, strict=True)]
    fringes = wave(pixels, (k[0], k[1])).real
    contrast = math.prod(
        float(torch.sinc(torch.tensor(c / p, dtype=torch.float64))) for c, p in zip(k, pixels, strict=True)
    )
    expected = (a**2 + b**2 + 2 * a * b * contrast * fringes) * detector.pixel_grid.cell_area
    assert relative_error(got, expected) < ROUNDING


@few
@given(SIZES, st.tuples(st.integers(1, 25), st.integers(1, 25)), st.integers(0, 99))
def test_no_pixel_reads_less_than_darkness(
    shape: tuple[int, int], pixels: tuple[int, int], seed: int
) -> None:
    frame = IntensityDetector(plane(shape), pixels)(randn(*shape, seed=seed))
    assert float(frame.min()) > -ROUNDING * float(frame.max())


@pytest.mark.parametrize("shape", GRIDS)
def test_a_binned_frame_is_the_sum_of_its_small_pixels(shape: tuple[int, int]) -> None:
    field = randn(*shape)
    fine = IntensityDetector(plane(shape), (9, 15))(field)
    coarse = IntensityDetector(plane(shape), (3, 5))(field)
    # All numbers are odd, so that every edge of a large pixel is an edge of small ones.
    assert relative_error(fine.reshape(3, 3, 5, 3).sum((1, 3)), coarse) < ROUNDING


@pytest.mark.parametrize("shape", [(16, 15), (15, 16)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_spot_on_the_positive_side_is_seen_on_a_larger_index(shape: tuple[int, int], axis: int) -> None:
    """The row of a sensor grows with +y, the column with +x; the pixel at n // 2 is on the axis."""
    field = torch.zeros(shape, dtype=torch.complex128)
    place = [shape[0] // 2, shape[1] // 2]
    place[axis] += 4
    field[place[0], place[1]] = 1
    detector = IntensityDetector(plane(shape), (5, 5))
    frame = detector(field)
    row, column = divmod(int(frame.argmax()), 5)
    position = (row, column)[axis] - 2
    # Four samples of 16 or 15 are 1.25 or 1.33 pixels of 5: the next pixel but the centre.
    assert position == 1 and (row, column)[1 - axis] == 2
    spot = [
        axis_coordinates[p].item()
        for axis_coordinates, p in zip(plane(shape).coordinates(), place, strict=True)
    ]
    pixel = [
        axis_coordinates[p].item()
        for axis_coordinates, p in zip(detector.pixel_grid.coordinates(), (row, column), strict=True)
    ]
    for s, p, pitch in zip(spot, pixel, detector.pixel_grid.spacing, strict=True):
        assert abs(s - p) <= pitch / 2


def test_a_picture_is_upright_on_the_sensor_of_an_upright_bench() -> None:
    """Row 0 of a picture is its top; the first row of a sensor is the bottom of the plane."""
    grid = plane((9, 9))
    picture = torch.zeros(1, 9, 9, dtype=torch.float64)
    picture[0, 0:3, 6:9] = 1  # the top right corner
    relay = FourF(
        grid, 532 * nm, 100 * mm, KernelMask(torch.ones(1, 1, 1, 1, dtype=torch.float64)), invert_output=False
    )
    with torch.no_grad():
        field = relay(AmplitudeEncoding(grid, "9 mW")(picture))
    frame = IntensityDetector(relay.output_grid, (3, 3))(field)[0]
    assert divmod(int(frame.argmax()), 3) == (2, 2)  # +y, +x
    # Nine of 81 samples are lit by 9 mW over the plane.
    assert float(frame.sum()) == pytest.approx(1e-3, rel=ROUNDING)


def test_a_white_picture_carries_the_stated_power() -> None:
    grid = plane((5, 6))
    field = AmplitudeEncoding(grid, "3 mW")(torch.ones(2, 5, 6, dtype=torch.float64))
    assert power(field, grid.cell_area).tolist() == pytest.approx([3e-3, 3e-3], rel=ROUNDING)


def test_the_focus_of_a_white_picture_is_one_pixel_with_all_the_power() -> None:
    lens = FourierLens(plane((9, 15)), 532 * nm, 100 * mm)
    field = lens(AmplitudeEncoding(lens.grid, "1 mW")(torch.ones(1, 9, 15, dtype=torch.float64)))
    # The spot is periodic-sinc shaped: on samples it is one sample, on pixels as large its side lobes spread.
    assert intensity(field)[0, 4, 7] * lens.output_grid.cell_area == pytest.approx(1e-3, rel=ROUNDING)
    frame = IntensityDetector(lens.output_grid, (3, 5))(field)[0]
    assert divmod(int(frame.argmax()), 5) == (1, 2)
    assert float(frame.sum()) == pytest.approx(1e-3, rel=ROUNDING)


# ---- homodyne


def at_samples(shape: tuple[int, int], factor: int) -> tuple[Tensor, Tensor]:
    """Indices of the pixels centred on the samples, with an odd ``factor`` of pixels to a sample."""
    rows, columns = ((n * factor) // 2 + factor * (torch.arange(n) - n // 2) for n in shape)
    return rows[:, None], columns


def open_field(shape: tuple[int, int]) -> Tensor:
    """A random field without the one order of an even plane that has no partner."""
    orders = [range(-((n - 1) // 2), (n - 1) // 2 + 1) for n in shape]
    weights = randn(len(orders[0]), len(orders[1]))
    return sum(
        weights[i, j] * wave(shape, (k, m)) for i, k in enumerate(orders[0]) for j, m in enumerate(orders[1])
    )


FACTOR = 201
# The mean of a wave of at most n / 2 periods over 1 / (201 n) of the plane is below 1 by (pi / 402)^2 / 6.
SMALL_PIXELS = 2 * (math.pi / (2 * FACTOR)) ** 2 / 6 * 4


@pytest.mark.parametrize("shape", [(5, 4), (4, 5)])
@pytest.mark.parametrize("phase", [0.0, 0.7, math.pi / 2, -2.0])
def test_small_pixels_read_the_quadrature_of_the_field(shape: tuple[int, int], phase: float) -> None:
    field = open_field(shape)
    frame = HomodyneReadout(plane(shape), (shape[0] * FACTOR, shape[1] * FACTOR), phase)(field)
    expected = (field * complex(math.cos(phase), -math.sin(phase))).real
    assert relative_error(frame[at_samples(shape, FACTOR)], expected) < SMALL_PIXELS
    if phase == math.pi / 2:
        assert relative_error(frame[at_samples(shape, FACTOR)], field.imag) < SMALL_PIXELS


@pytest.mark.parametrize("shape", [(9, 8), (8, 9)])
@pytest.mark.parametrize("pixels", [(3, 5), (4, 6), (11, 1)])
@pytest.mark.parametrize("phase", [0.0, 1.1])
def test_a_plane_wave_on_pixels_has_the_contrast_of_a_sinc(
    shape: tuple[int, int], pixels: tuple[int, int], phase: float
) -> None:
    orders = (-3, 2)
    frame = HomodyneReadout(plane(shape), pixels, phase)(wave(shape, orders))
    contrast = math.prod(
        float(torch.sinc(torch.tensor(k / p, dtype=torch.float64)))
        for k, p in zip(orders, pixels, strict=True)
    )
    expected = contrast * (wave(pixels, orders) * complex(math.cos(phase), -math.sin(phase))).real
    assert float((frame - expected).abs().max()) < ROUNDING


@pytest.mark.parametrize("pixels", [(2, 3), (8, 7)])
def test_a_quarter_wave_turns_real_into_imaginary(pixels: tuple[int, int]) -> None:
    field = randn(2, 5, 7)
    real = HomodyneReadout(plane((5, 7)), pixels)
    imaginary = HomodyneReadout(plane((5, 7)), pixels, math.pi / 2)
    assert relative_error(imaginary(1j * field), real(field)) < ROUNDING
    assert relative_error(imaginary(field), real(-1j * field)) < ROUNDING


@pytest.mark.parametrize("shape", [(5, 7), (4, 6), (5, 6)])
def test_the_two_quadratures_make_the_intensity(shape: tuple[int, int]) -> None:
    """On small pixels X^2 + P^2 is what the square-law pixels read, for every field on the plane."""
    pixels = (shape[0] * FACTOR, shape[1] * FACTOR)
    field = randn(*shape)
    x, p = (HomodyneReadout(plane(shape), pixels, phase)(field) for phase in (0.0, math.pi / 2))
    detector = IntensityDetector(plane(shape), pixels)
    # Twice the bandwidth of the field, twice the square of its error.
    assert (
        relative_error(x.square() + p.square(), detector(field) / detector.pixel_grid.cell_area)
        < 4 * SMALL_PIXELS
    )


# ---- coherent plus and minus


@pytest.mark.parametrize("shape", [(8, 9), (9, 8)])
def test_intensities_of_coherent_plus_and_minus_kernels(shape: tuple[int, int]) -> None:
    """|h+ * f|^2 - |h- * f|^2 = (h * f)(|h| * f): not h * f."""
    kernel = torch.randn(3, 3, dtype=torch.float64)
    plus, minus = kernel.clamp(min=0), (-kernel).clamp(min=0)
    picture = torch.rand(1, *shape, dtype=torch.float64)
    bank = torch.stack([plus, minus, kernel, kernel.abs()])[:, None]
    bench = FourF(plane(shape), 532 * nm, 100 * mm, KernelMask(bank, "convolution"))
    with torch.no_grad():
        fields = bench(picture.to(torch.complex128))
    bright, dark, signed, magnitude = fields
    difference = intensity(bright) - intensity(dark)
    assert relative_error(difference, signed.real * magnitude.real) < ROUNDING
    # All four channels have one scale; what they compute is real and inverted.
    scale = 10 ** (sum(bench.scale_db()) / 20)
    by_hand = sum(kernel[i, j] * picture[0].roll((i - 1, j - 1), (0, 1)) for i in range(3) for j in range(3))
    assert relative_error(invert(signed).real, scale * by_hand) < ROUNDING
    assert relative_error(signed.imag + signed.real, signed.real) < ROUNDING
