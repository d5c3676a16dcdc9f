"""One lens between its focal planes against the closed forms of the textbook."""

import math

import pytest
import torch
from scipy.special import j1, jn_zeros
from torch import Tensor

from optics4f.elements import FourierLens
from optics4f.functional import power
from optics4f.grid import Grid
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
WAVELENGTH, FOCAL_LENGTH = 532e-9, 0.1


def lens(shape: tuple[int, int], dy: float = 8, dx: float = 8) -> FourierLens:
    return FourierLens(Grid(shape, (dy * um, dx * um)), 532 * nm, 100 * mm)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (7, 7), (8, 8)])
def test_power_is_the_same_in_both_focal_planes(shape: tuple[int, int]) -> None:
    part = lens(shape, 8, 10)
    field = torch.randn(3, *shape, dtype=torch.complex128)
    before, behind = power(field, part.grid.cell_area), power(part(field), part.output_grid.cell_area)
    assert torch.allclose(behind, before, rtol=ROUNDING, atol=0)


def test_pitch_and_extent_of_the_fourier_plane() -> None:
    plane = lens((224, 112), 8, 10).output_grid
    # lambda f / (N dx) and lambda f / dx; for N = 224 and dx = 8 um the well-known 29.69 um and 6.65 mm.
    assert plane.spacing == pytest.approx((29.6875e-6, 47.5e-6), rel=ROUNDING)
    assert plane.extent == pytest.approx((6.65e-3, 5.32e-3), rel=ROUNDING)


@pytest.mark.parametrize("shape", [(64, 81), (81, 64)])
def test_a_gaussian_becomes_a_gaussian(shape: tuple[int, int]) -> None:
    r"""exp(-r^2/w^2) becomes (pi w^2 / lambda f) exp(-r^2/w'^2) with w' = lambda f / (pi w)."""
    part = lens(shape, 8, 10)
    waist = 50e-6
    image_waist = WAVELENGTH * FOCAL_LENGTH / (math.pi * waist)

    def gaussian(grid: Grid, width: float) -> Tensor:
        y, x = grid.coordinates()
        return torch.exp(-(y[:, None] ** 2 + x**2) / width**2).to(torch.complex128)

    expected = math.pi * waist**2 / (WAVELENGTH * FOCAL_LENGTH) * gaussian(part.output_grid, image_waist)
    got = part(gaussian(part.grid, waist))
    # The plane ends at 5.1 waists, where exp(-5.1^2) = 4e-12 is cut off; its spectrum ends at 7.8 waists.
    assert float((got - expected).abs().max() / expected.abs().max()) < 1e-11


@pytest.mark.parametrize("shape", [(12, 15), (15, 12)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", [-3, 2])
def test_a_growing_phase_moves_the_spot_to_the_growing_side(
    shape: tuple[int, int], axis: int, order: int
) -> None:
    """A phase that grows along +y moves the spot to +y, by lambda f times its frequency; x likewise."""
    part = lens(shape, 8, 10)
    frequency = order / part.grid.extent[axis]
    ramp = torch.exp(2j * math.pi * frequency * part.grid.coordinates()[axis])
    spot = part((ramp[:, None] if axis == 0 else ramp[None]).expand(shape)).abs()
    row, column = divmod(int(spot.argmax()), shape[1])
    position = [
        coordinates[i].item()
        for coordinates, i in zip(part.output_grid.coordinates(), (row, column), strict=True)
    ]
    expected = [0.0, 0.0]
    expected[axis] = WAVELENGTH * FOCAL_LENGTH * frequency
    assert position == pytest.approx(expected, rel=ROUNDING, abs=1e-15)
    assert float(spot.max() ** 2 / spot.square().sum()) == pytest.approx(
        1, rel=ROUNDING
    )  # all light is there


@pytest.mark.parametrize("shape", [(16, 21), (21, 16)])
def test_amplitude_on_the_axis_is_the_integral_over_lambda_f(shape: tuple[int, int]) -> None:
    """A slit of 5 x 7 samples with amplitude 3: 3 a b / (lambda f), with phase 0."""
    part = lens(shape, 8, 10)
    field = torch.zeros(shape, dtype=torch.complex128)
    y, x = part.grid.coordinates()
    field[(y[:, None].abs() < 2.5 * 8e-6) & (x.abs() < 3.5 * 10e-6)] = 3
    area = 5 * 8e-6 * 7 * 10e-6
    on_axis = complex(part(field)[shape[0] // 2, shape[1] // 2])
    assert on_axis == pytest.approx(3 * area / (WAVELENGTH * FOCAL_LENGTH), rel=ROUNDING)


def grey_pupil(samples: int, diameter: float, fine: int = 16) -> Tensor:
    """A disk on a square plane whose edge samples hold the fraction of their area that is open."""
    position = (torch.arange(samples * fine, dtype=torch.float64) + 0.5) / fine - 0.5 - samples // 2
    inside = (position[:, None].square() + position.square() <= (diameter / 2) ** 2).double()
    return inside.reshape(samples, fine, samples, fine).mean((1, 3)).to(torch.complex128)


def test_airy_pattern_of_a_round_pupil() -> None:
    r"""Field 2 J1(v) / v with v = pi D r / (lambda f); first zero at 1.22 lambda f / D."""
    samples, diameter = 192, 24.0
    part = lens((samples, samples))
    field = part(grey_pupil(samples, diameter)).real
    radius = part.output_grid.coordinates()[1]
    scale = math.pi * diameter * 8e-6 / (WAVELENGTH * FOCAL_LENGTH)
    v = (scale * radius.abs()).clamp(min=1e-9).numpy()
    # A sample is the mean over its square, which multiplies the pattern by a sinc.
    expected = torch.from_numpy(2 * j1(v) / v) * torch.sinc(radius * 8e-6 / (WAVELENGTH * FOCAL_LENGTH))
    row = field[samples // 2] / field[samples // 2, samples // 2]
    near = scale * radius.abs() < 8  # two rings
    # What is left is the first replica of the sampled pupil, at pi D / dx = 75: at v = 8 its rings are
    # sqrt(8 / (pi 67^3)) = 2.9e-3 high and its sinc is 0.12.
    assert float((row - expected)[near].abs().max()) < 3.5e-4
    crossing = samples // 2 + int((row[samples // 2 :] < 0).nonzero()[0])
    before, behind = float(row[crossing - 1]), float(row[crossing])
    zero = float(radius[crossing - 1]) + part.output_grid.spacing[1] * before / (before - behind)
    first_zero = jn_zeros(1, 1)[0] / math.pi  # 1.2197
    # A straight line over h = pi / 8 in v misses by up to h^2 / 8 times |f'' / f'| = 3 / v: 3.9e-3 of 3.83;
    # the replica adds 3e-4.
    assert zero == pytest.approx(first_zero * WAVELENGTH * FOCAL_LENGTH / (diameter * 8e-6), rel=4.2e-3)
