"""The 4f system and rows of them: relay, convolution, geometry, stops, collapse, and what they refuse."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from optics4f.cascade import Cascade
from optics4f.elements import (
    CoherentSum,
    ComplexMask,
    FanOut,
    FourierLens,
    KernelMask,
    LowPassStop,
    PhaseMask,
)
from optics4f.fourier import crop_center, ft2, ift2, invert
from optics4f.functional import power
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
SINGLE = 1e-5  # float32: 6e-8 times the square root of some thousand operations
LIGHT, FOCUS = 532 * nm, 100 * mm
few = settings(max_examples=25, deadline=None)


def randn(*shape: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(*shape, dtype=dtype)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def system(shape: tuple[int, int], masks: Any = None, **options: Any) -> FourF:
    masks = KernelMask(torch.ones(1, 1, 1, 1, dtype=torch.float64)) if masks is None else masks
    return FourF(Grid(shape, (8 * um, 10 * um)), LIGHT, FOCUS, masks, **options)


def stated_scale(bench: FourF) -> float:
    return 10 ** (sum(bench.scale_db()) / 20)


# ---- relay and convolution


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (7, 7), (8, 8)])
@pytest.mark.parametrize("second", [40, 100, 300])
def test_a_relay_inverts_magnifies_and_keeps_the_power(shape: tuple[int, int], second: float) -> None:
    bench = system(shape, second_focal_length=second * mm)
    field = randn(2, 1, *shape)
    ratio = second / 100
    output = bench(field)
    assert relative_error(output, invert(field) / ratio) < ROUNDING
    assert bench.magnification == pytest.approx(-ratio, rel=ROUNDING)
    assert bench.output_grid.spacing == pytest.approx((8e-6 * ratio, 10e-6 * ratio), rel=ROUNDING)
    before = power(field, bench.grid.cell_area)
    assert relative_error(power(output, bench.output_grid.cell_area), before) < ROUNDING


@few
@given(
    st.tuples(st.integers(5, 9), st.integers(5, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from(["ideal", "bound", "beam_splitter"]),
    st.booleans(),
)
def test_circular_conv2d_up_to_the_stated_scale(
    shape: tuple[int, int], channels: tuple[int, int], size: tuple[int, int], combiner: str, inverted: bool
) -> None:
    """Correlation is conv2d as it stands; convolution is conv2d with the kernel turned by 180 degrees."""
    kernels = randn(*channels, *size, dtype=torch.float64)
    pictures = randn(2, channels[1], *shape, dtype=torch.float64)
    (top, left), (bottom, right) = (k // 2 for k in size), (k - 1 - k // 2 for k in size)
    for convention in ("correlation", "convolution"):
        bench = system(shape, KernelMask(kernels, convention), combiner=combiner, invert_output=inverted)
        if convention == "correlation":
            padded, weight = F.pad(pictures, (left, right, top, bottom), mode="circular"), kernels
        else:
            padded = F.pad(pictures, (right, left, bottom, top), mode="circular")
            weight = kernels.flip((-2, -1))
        expected = stated_scale(bench) * F.conv2d(padded, weight).to(torch.complex128)
        got = bench(pictures.to(torch.complex128))
        assert relative_error(invert(got) if inverted else got, expected) < ROUNDING


def test_complex_kernels_convolve_as_the_sum_says() -> None:
    shape, kernels = (6, 5), randn(2, 2, 3, 2)
    field = randn(2, *shape)
    bench = system(shape, KernelMask(kernels, "convolution"), invert_output=False)
    expected = torch.zeros(2, *shape, dtype=torch.complex128)
    for i in range(3):
        for j in range(2):
            moved = field.roll((i - 1, j - 1), (-2, -1))
            expected += torch.einsum("oi,ihw->ohw", kernels[:, :, i, j], moved)
    assert relative_error(bench(field), stated_scale(bench) * expected) < ROUNDING


# ---- geometry


def test_the_printed_bench_tells_its_geometry() -> None:
    bench = FourF(
        Grid((224, 224), 8 * um), LIGHT, FOCUS, KernelMask(torch.ones(2, 3, 3, 3, dtype=torch.float64))
    )
    text = str(bench)
    # lambda f / (N dx) = 29.6875 um, lambda f / dx = 6.65 mm, 1 / (2 dx) = 62.5 per mm
    for words in (
        "FourF 3 -> 2 at 532 nm, f 100 mm",
        "pitch 29.69 um",
        "extent 6.65 mm",
        "cut-off 62.5 lp/mm",
    ):
        assert words in text
    assert "magnification -1 (output inverted) | passive" in text
    assert bench.path_length == pytest.approx(0.4, rel=ROUNDING)


@pytest.mark.parametrize("stop", [(6, 5), (7, 8), None])
def test_cut_off_extent_and_path(stop: tuple[int, int] | None) -> None:
    bench = system((10, 9), stop=stop, second_focal_length=250 * mm)
    sides = [n * pitch for n, pitch in zip(bench.lit_shape, bench.fourier_grid.spacing, strict=True)]
    expected = [side / (2 * 532e-9 * 0.1) for side in sides]
    assert bench.cutoff_frequency == pytest.approx(expected, rel=ROUNDING)
    assert bench.path_length == pytest.approx(2 * 0.1 + 2 * 0.25, rel=ROUNDING)
    # A stop takes samples away, not field of view: the picture is as large as without it.
    assert bench.output_grid.extent == pytest.approx([2.5 * side for side in bench.grid.extent], rel=ROUNDING)


# ---- stops


def grating(shape: tuple[int, int], order: int, axis: int) -> Tensor:
    position = (torch.arange(shape[axis], dtype=torch.float64) - shape[axis] // 2) / shape[axis]
    wave = torch.exp(2j * torch.pi * order * position)
    return (wave[:, None] if axis == 0 else wave[None]).expand(1, 1, *shape)


@pytest.mark.parametrize("shape", [(16, 15), (15, 16)])
@pytest.mark.parametrize("side", [5, 6])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_grating_below_the_cut_off_passes_and_one_above_is_dark(
    shape: tuple[int, int], side: int, axis: int
) -> None:
    bench = system(shape, stop=(side, side), invert_output=False)
    last = (side - 1) // 2
    assert last / bench.grid.extent[axis] < bench.cutoff_frequency[axis]
    assert (last + 1) / bench.grid.extent[axis] >= bench.cutoff_frequency[axis]
    for order in (last, -last):
        assert (
            relative_error(bench(grating(shape, order, axis)), grating((side, side), order, axis)) < ROUNDING
        )
    for order in (last + 1, -last - 1):
        assert float(bench(grating(shape, order, axis)).detach().abs().max()) < ROUNDING


@few
@given(st.tuples(st.integers(3, 9), st.integers(3, 9)), st.data())
def test_a_stop_keeps_the_mean_amplitude(shape: tuple[int, int], data: st.DataObject) -> None:
    stop = tuple(data.draw(st.integers(1, n)) for n in shape)
    # A side of 2 in a plane of more holds the axis alone; one of 1 too: a mean is always there.
    output = system(shape, stop=stop)(torch.full((1, *shape), 1.0, dtype=torch.complex128))
    assert relative_error(output, torch.ones(1, *stop, dtype=torch.complex128)) < ROUNDING
    field = randn(1, *shape)
    mean = system(shape, stop=stop)(field).mean()
    assert abs(complex(mean.detach()) - complex(field.mean())) < ROUNDING


@pytest.mark.parametrize("shape", [(9, 8), (8, 9), (8, 8)])
@pytest.mark.parametrize("stop", [(4, 4), (6, 3), (5, 6), (8, 8)])
@pytest.mark.parametrize("inverted", [True, False])
def test_every_stop_keeps_a_real_picture_real(
    shape: tuple[int, int], stop: tuple[int, int], inverted: bool
) -> None:
    picture = randn(1, *shape, dtype=torch.float64).to(torch.complex128)
    output = system(shape, stop=stop, invert_output=inverted)(picture).detach()
    assert float(output.imag.abs().max()) < ROUNDING * float(output.real.abs().max())


def test_a_plain_even_crop_does_not_keep_a_real_picture_real() -> None:
    picture = randn(9, 8, dtype=torch.float64).to(torch.complex128)
    cropped = ift2(crop_center(ft2(picture), (4, 4)))
    assert float(cropped.imag.norm() / cropped.real.norm()) > 0.05


def test_planes_end_with_the_output() -> None:
    bench = system((7, 8), KernelMask(randn(3, 2, 3, 3)), stop=(4, 5), second_focal_length=50 * mm)
    field = randn(2, 2, 7, 8)
    names, grids, planes = zip(*bench.planes(field), strict=True)
    assert names[0] == "input plane" and torch.equal(planes[0], field)
    assert names[-1] == "output plane" and torch.equal(planes[-1], bench(field))
    for grid, plane in zip(grids, planes, strict=True):
        assert grid.shape == plane.shape[-2:]
    # Lossless lenses: each holds the power of the plane before it.
    powers = [power(plane, grid.cell_area).sum().item() for grid, plane in zip(grids, planes, strict=True)]
    assert powers[1] == pytest.approx(powers[0], rel=ROUNDING)
    assert powers[3] == pytest.approx(powers[2], rel=ROUNDING)


@pytest.mark.parametrize("shape", [(7, 8), (8, 7)])
@pytest.mark.parametrize("kind", ["phase", "complex"])
@pytest.mark.parametrize("stop", [(4, 5), (5, 6), None])
def test_a_system_is_its_parts_in_a_row(
    shape: tuple[int, int], kind: str, stop: tuple[int, int] | None
) -> None:
    """Lens, fan-out, masks, sum, stop, lens one after the other, with beam splitters."""
    values = randn(3, 2, *shape)
    masks = PhaseMask(values.angle()) if kind == "phase" else ComplexMask(values / values.abs().max())
    bench = system(shape, masks, stop=stop, combiner="beam_splitter", second_focal_length=70 * mm)
    first = FourierLens(bench.grid, LIGHT, FOCUS)
    through = LowPassStop(stop or shape)
    second = FourierLens(first.output_grid.with_shape(through.shape), LIGHT, 70 * mm)
    row = nn.Sequential(first, FanOut(3), masks, CoherentSum(), through, second)
    field = randn(2, 2, *shape)
    assert relative_error(bench(field), row(field)) < ROUNDING


# ---- what is refused, with what was expected and what was got


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (
            lambda: system((10, 9), ComplexMask(torch.ones(1, 1, 10, 9), pitch=500 * um)),
            r"lambda f / \(N dx\) = 665 um, got a mask made at 500 um",
        ),
        (
            lambda: system((10, 9), stop=(11, 9)),
            r"expected a stop within the plane \(10, 9\), got \(11, 9\)",
        ),
        (
            lambda: system((10, 9), stop=(0, 9)),
            r"LowPassStop: expected at least one sample in each direction, got \(0, 9\)",
        ),
        (
            lambda: system((4, 5), ComplexMask(torch.ones(1, 1, 6, 5)))(randn(1, 4, 5)),
            r"expected at most \(4, 5\) samples, those of the plane, got \(6, 5\)",
        ),
        (
            lambda: system((4, 5), KernelMask(torch.ones(1, 1, 6, 5)))(randn(1, 4, 5)),
            r"expected at most \(4, 5\) samples, those of the plane, got \(6, 5\)",
        ),
        (
            lambda: ComplexMask(torch.full((1, 1, 2, 2), 1.5)),
            r"expected a passive transmittance, \|t\| <= 1, got \|t\| up to 1.5",
        ),
        (
            lambda: Cascade([system((4, 5)), system((4, 5), KernelMask(torch.ones(2, 3, 1, 1)))]),
            "expected as many channels in as the stage before gives, got 1 into 3",
        ),
        (
            lambda: Cascade([system((4, 5), stop=(3, 3)), system((4, 5))]),
            r"expected a stage on 3 x 3 samples at 10.67 um x 16.67 um, got one on 4 x 5 samples at 8 um",
        ),
        (
            lambda: Cascade([system((4, 5), second_focal_length=50 * mm), system((4, 5))]),
            r"expected a stage on 4 x 5 samples at 4 um x 5 um, got one on 4 x 5 samples at 8 um x 10 um",
        ),
        (
            lambda: Cascade(
                [
                    system((4, 5)),
                    FourF(
                        Grid((4, 5), (8 * um, 10 * um)), 633 * nm, FOCUS, KernelMask(torch.ones(1, 1, 1, 1))
                    ),
                ]
            ),
            "expected one wavelength, got 532 nm and 633 nm",
        ),
        (lambda: Cascade([]), "expected at least one 4f system, got none"),
        (lambda: system((4, 5), combiner="mirror"), "expected ideal, bound, beam_splitter or a number > 0"),
        (lambda: system((4, 5), combiner=0.0), r"or a number > 0, got 0.0"),
        (lambda: system((4, 5), second_focal_length=-50 * mm), "second_focal_length: expected more than 0 m"),
        (
            lambda: KernelMask(torch.ones(1, 1, 3, 3), "causal"),
            "expected convention convolution or correlation, got 'causal'",
        ),
        (lambda: KernelMask(torch.zeros(1, 1, 3, 3)), "expected kernels that are not all zero"),
        (
            lambda: KernelMask(torch.ones(3, 3)),
            r"expected shape \(C_out, C_in, H, W\), none of them 0, got \(3, 3\)",
        ),
        (
            lambda: KernelMask(torch.full((1, 1, 2, 2), torch.nan)),
            "expected finite values, got NaN or infinity",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("wavelength", "focal_length"),
    [(532e-9, 100 * mm), (532 * nm, 0.1), ("532 s", 100 * mm), (532 * nm, "2 1/mm")],
)
def test_a_length_without_its_unit_is_refused(wavelength: Any, focal_length: Any) -> None:
    with pytest.raises(TypeError, match=r"FourierLens (wavelength|focal_length): expected"):
        FourF(Grid((4, 5), 8 * um), wavelength, focal_length, KernelMask(torch.ones(1, 1, 1, 1)))


def test_a_mask_is_accepted_while_its_edge_is_within_a_twentieth_of_a_sample() -> None:
    """For N = 10 the pitch may be off by 1 %: 5 samples from the axis that is 1/20 of a sample."""
    pitch = (532e-9 * 0.1 / 80e-6, 532e-9 * 0.1 / 90e-6)
    for off, fits in ((1.0099, True), (1.0101, False), (0.9901, True), (0.9899, False)):
        mask = ComplexMask(torch.ones(1, 1, 10, 9), pitch=(f"{pitch[0] * off} m", f"{pitch[1]} m"))
        if fits:
            system((10, 9), mask)
        else:
            with pytest.raises(ValueError, match="the kernel would be rescaled by"):
                system((10, 9), mask)


# ---- rows of systems


SOME_STOPS = [(12, 11), (9, 10), None, (8, 9), (5, 6)]


def five_stages(dtype: torch.dtype, **options: Any) -> list[FourF]:
    """Odd and even stops, some outputs turned round, unequal focal lengths, real and complex kernels."""
    stops = options.get("stops", SOME_STOPS)
    channels, focal = (2, 3, 4, 2, 3, 4), [(100, 50), (80, 80), (100, 130), (60, 100), (100, 100)]
    inverted = options.get("inverted", [True, False, True, True, False])
    grid, stages = Grid((13, 12), (8 * um, 10 * um)), []
    for number in range(5):
        real = (
            dtype if number % 2 else {torch.float32: torch.complex64, torch.float64: torch.complex128}[dtype]
        )
        kernels = torch.randn(channels[number + 1], channels[number], 3, 2, dtype=real)
        bench = FourF(
            grid,
            LIGHT,
            focal[number][0] * mm,
            KernelMask(kernels),
            second_focal_length=focal[number][1] * mm,
            stop=stops[number],
            combiner=("ideal", "bound", "beam_splitter")[number % 3],
            invert_output=inverted[number],
        )
        stages.append(bench)
        grid = bench.output_grid
    return stages


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, SINGLE), (torch.float64, ROUNDING)])
@pytest.mark.parametrize("inverted", [[True] * 5, [False] * 5, [True, False, True, True, False]])
@pytest.mark.parametrize(
    "stops",
    [
        SOME_STOPS,
        [(12, 12), (12, 10), (8, 10), (8, 6), (6, 6)],
        [(11, 9), (11, 9), (9, 7), (7, 5), None],
        [None] * 5,
    ],
)
def test_a_row_of_five_collapses_to_one_system(
    dtype: torch.dtype, tolerance: float, inverted: list[bool], stops: list[tuple[int, int] | None]
) -> None:
    """Stage by stage, fused, and collapsed are the same, on the same output plane."""
    stages = five_stages(dtype, inverted=inverted, stops=stops)
    complex_type = torch.complex64 if dtype == torch.float32 else torch.complex128
    field = torch.randn(2, 2, 13, 12, dtype=complex_type)
    fused, layered = Cascade(stages), Cascade(stages, fused=False)
    one = fused.collapse()
    assert relative_error(fused(field), layered(field)) < tolerance
    assert relative_error(one(field), layered(field)) < tolerance
    assert one.output_grid.shape == fused.output_grid.shape
    assert one.output_grid.spacing == pytest.approx(fused.output_grid.spacing, rel=ROUNDING)
    assert relative_error(one.transfer(), fused.transfer()) < tolerance


@few
@given(st.data())
def test_any_row_collapses(data: st.DataObject) -> None:
    def size(most: int) -> int:
        return data.draw(st.integers(1, most))

    shape = (size(8), size(8))
    grid, inputs, stages = Grid(shape, (8 * um, 10 * um)), size(3), []
    channels = inputs
    for _ in range(size(4)):
        stop = data.draw(st.none() | st.tuples(st.integers(1, grid.shape[0]), st.integers(1, grid.shape[1])))
        kernels = randn(size(3), channels, size(min(3, grid.shape[0])), size(min(3, grid.shape[1])))
        bench = FourF(
            grid, LIGHT, FOCUS, KernelMask(kernels), stop=stop, invert_output=data.draw(st.booleans())
        )
        stages.append(bench)
        grid, channels = bench.output_grid, kernels.shape[0]
    field = randn(1, inputs, *shape)
    expected = Cascade(stages, fused=False)(field)
    cascade = Cascade(stages)
    # Relative to the light that came in: a row may pass almost nothing.
    limit = ROUNDING * float(field.abs().max())
    assert float((cascade(field) - expected).detach().abs().max()) < limit
    assert float((cascade.collapse()(field) - expected).detach().abs().max()) < limit


def test_planes_of_a_row_end_with_its_output() -> None:
    row = Cascade(five_stages(torch.float64))
    field = randn(2, 2, 13, 12)
    planes = list(row.planes(field))
    assert planes[-1][0] == "stage 5: output plane"
    assert relative_error(planes[-1][2], row(field)) < ROUNDING
