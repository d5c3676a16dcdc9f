"""Errors of the masks against their closed forms: shifts, rotation, scale, light, etching, dead pixels."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import Aberration, ComplexMask, KernelMask, MaskBank, PhaseMask
from optics4f.fourier import invert, pad_center
from optics4f.functional import intensity, largest_singular_value, power
from optics4f.grid import Grid
from optics4f.perturbation import perturbed
from optics4f.system import FourF
from optics4f.units import deg, m, mm, nm, rad, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
CLOSED = 1e-10  # the same, behind phases of up to a hundred radians
LAMBDA_F = 532e-9 * 0.1  # [m^2]


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def bench_of(masks: MaskBank, shape: tuple[int, int] = (16, 16), **parts: Any) -> FourF:
    grid = Grid(shape, parts.pop("spacing", 8 * um))
    return FourF(grid, 532 * nm, 100 * mm, masks, **parts).double()


def kernel_bench(kernels: Tensor, shape: tuple[int, int] = (16, 16), **parts: Any) -> FourF:
    """Kernels that convolve as they stand, for closed forms: amplified, and taken at its word."""
    masks = KernelMask(kernels, "convolution", trainable=False)
    peak = float(masks.response(shape, shape).abs().max())
    return bench_of(masks, shape, combiner=peak, **parts)


def phase_bench(shape: tuple[int, int] = (16, 16), channels: tuple[int, int] = (2, 1), **parts: Any) -> FourF:
    masks = PhaseMask(2 * math.pi * torch.rand(*channels, *shape, dtype=torch.float64), trainable=False)
    return bench_of(masks, shape, **parts)


def convolved(kernel: Tensor, shape: tuple[int, int]) -> Tensor:
    """The output of a relay through a kernel (k, l), for :func:`framed` light."""
    return kernel_bench(kernel[None, None], shape)(framed(shape))


def framed(shape: tuple[int, int], frame: int = 4) -> Tensor:
    """Light that stays so far from the edge that small kernels do not carry it round."""
    generator = torch.Generator().manual_seed(1)
    inside = [n - 2 * frame for n in shape]
    return pad_center(torch.randn(1, *inside, dtype=torch.complex128, generator=generator), shape)


# ---- nothing


def test_without_errors_it_is_the_system() -> None:
    bench, field = phase_bench(), randn(3, 1, 16, 16)
    assert torch.equal(perturbed(bench)(field), bench(field))
    assert str(perturbed(bench)).endswith("perturbed: nothing")


@pytest.mark.parametrize("samples", [15, 16])
@pytest.mark.parametrize("kind", ["kernel", "phase"])
def test_errors_of_nothing_change_nothing(samples: int, kind: str) -> None:
    shape = (samples, samples + 2)
    masks = MaskBank.from_kernels(torch.randn(3, 2, 5, 5, dtype=torch.float64))
    parts: dict[str, Any] = {"second_focal_length": 50 * mm, "stop": (9, 8)}
    bench = bench_of(masks, shape, **parts) if kind == "kernel" else phase_bench(shape, (3, 2), **parts)
    none = perturbed(
        bench,
        mask_shift=(0 * um, "0 m"),
        mask_rotation="0 deg",
        mask_scale=1,
        axial_shift=0 * mm,
        wavelength=532 * nm,
        focal_length_error=0.0,
        phase_scale=None if kind == "kernel" else 1.0,
        dead_pixels=0.0,
    )
    field = randn(2, *shape)
    assert relative_error(none(field), bench(field)) < ROUNDING


# ---- lateral shift


@pytest.mark.parametrize("shape", [(16, 16), (15, 18)])
@pytest.mark.parametrize("upright", [False, True])
def test_a_shift_by_whole_pitches_is_the_rolled_mask(shape: tuple[int, int], upright: bool) -> None:
    parts: dict[str, Any] = {"second_focal_length": 60 * mm, "invert_output": not upright}
    bench = phase_bench(shape, **parts)
    dy, dx = bench.fourier_grid.spacing
    moved = perturbed(bench, mask_shift=(3 * dy * m, -2 * dx * m))
    rolled = PhaseMask(bench.get_parameter("masks.values").roll((3, -2), (-2, -1)))
    field = randn(1, *shape)
    assert relative_error(moved(field), bench_of(rolled, shape, **parts)(field)) < CLOSED


def test_a_stop_is_shifted_with_the_masks() -> None:
    """Against the whole plane without a stop, every other sample of whose output is the stopped one."""
    bench = phase_bench(stop=(8, 8))
    step = bench.fourier_grid.spacing[0] * m
    shape = bench.grid.shape
    whole = pad_center(bench.transfer().detach(), shape).roll((2, -1), (-2, -1))
    field = randn(1, 16, 16)
    expected = bench_of(ComplexMask(whole), combiner=1.0)(field)[..., ::2, ::2]
    assert relative_error(perturbed(bench, mask_shift=(2 * step, -1 * step))(field), expected) < CLOSED


def test_an_intensity_hardly_sees_a_shift_of_small_kernels() -> None:
    """7 samples, 30 um on 224 samples of 8 um: about 10 % of the field, about 1 % of the intensity."""
    shape = (224, 224)
    bench = kernel_bench(torch.randn(1, 1, 7, 7, dtype=torch.float64), shape)
    field = torch.randn(1, *shape, dtype=torch.float64)
    nominal, moved = bench(field), perturbed(bench, mask_shift=(30 * um, 30 * um))(field)
    of_field = float((moved - nominal).norm() / nominal.norm())
    of_intensity = float((intensity(moved) - intensity(nominal)).norm() / intensity(nominal).norm())
    kernel = bench.get_parameter("masks.kernels")[0, 0]
    y = 8e-6 * (torch.arange(7, dtype=torch.float64) - 3)
    phase = 2 * math.pi * 30e-6 / LAMBDA_F * (y[:, None] + y)
    expected = float((kernel * phase).norm() / kernel.norm())
    # White light adds the taps' phases, here 0.08 rad r.m.s., in power; 50000 samples scatter by a few %.
    assert of_field == pytest.approx(expected, rel=0.05)
    # Light and kernel are real, so that the first order is in quadrature: the square of the field's error.
    assert of_intensity < 2 * of_field**2 < 0.03


# ---- axial shift


def test_how_much_an_axial_shift_costs() -> None:
    """2 pi dz (w/2)(X/2) / (lambda f^2) is 0.1 rad at 3.9 mm, for 7 of 224 samples."""
    shape = (224, 1)
    tap = torch.zeros(7, 1, dtype=torch.float64)
    tap[6] = 1
    bench = kernel_bench(tap[None, None], shape, invert_output=False)
    field = torch.zeros(1, *shape, dtype=torch.complex128)
    field[0, 112 + 100] = 1
    out = perturbed(bench, axial_shift=3.9 * mm)(field)[0, 112 + 103, 0]
    # From 100 to 103 samples: x^2 - x0^2 = 609, where w X / 2 has 2 * 3.5 * 112 = 784.
    phase = math.pi * 3.9e-3 * 609 * 8e-6**2 / (LAMBDA_F * 0.1)
    assert float(out.angle()) == pytest.approx(phase, abs=ROUNDING)
    assert phase * 784 / 609 == pytest.approx(0.1, rel=0.2)  # the number is given to one digit


# ---- rotation and scale


def test_a_rotation_takes_x_to_y() -> None:
    tap = torch.zeros(5, 5, dtype=torch.float64)
    tap[2, 4] = 1
    turned = perturbed(kernel_bench(tap[None, None]), mask_rotation=90 * deg)(framed((16, 16)))
    assert relative_error(turned, convolved(tap.T, (16, 16))) < ROUNDING


@pytest.mark.parametrize("samples", [16, 17])
@pytest.mark.parametrize("convention", ["convolution", "correlation"])
def test_quarter_turns_are_turned_kernels(samples: int, convention: str) -> None:
    kernels = torch.randn(2, 1, 5, 5, dtype=torch.float64)
    field, shape = randn(1, samples, samples), (samples, samples)
    bench = bench_of(KernelMask(kernels, convention), shape, combiner="beam_splitter")
    for turns in (1, 2, 3):
        turned = bench_of(
            KernelMask(kernels.rot90(turns, (-1, -2)), convention), shape, combiner="beam_splitter"
        )
        got = perturbed(bench, mask_rotation=turns * 90 * deg)(field)
        # On an even plane the sample at -n/2 turns to +n/2, where the transform of the kernel is the same.
        assert relative_error(got, turned(field)) < CLOSED


def test_turned_samples() -> None:
    """Odd planes by a quarter, even ones by a half turn: samples fall on samples."""
    odd, even = phase_bench((15, 15)), phase_bench((16, 14))
    quarter = PhaseMask(odd.get_parameter("masks.values").rot90(1, (-1, -2)))
    half = PhaseMask(invert(even.get_parameter("masks.values")))
    for bench, turned, angle in ((odd, quarter, 90 * deg), (even, half, 180 * deg)):
        field = randn(1, *bench.grid.shape)
        expected = bench_of(turned, bench.grid.shape)(field)
        assert relative_error(perturbed(bench, mask_rotation=angle)(field), expected) < CLOSED


def test_any_rotation_moves_a_tap_to_its_place() -> None:
    """On samples that are not square: exp(-2 pi i nu R x), and larger masks bring it nearer by as much."""
    tap = torch.zeros(3, 7, dtype=torch.float64)
    tap[2, 5] = 1  # at y = 10 um, x = 12 um
    bench = kernel_bench(tap[None, None], (13, 14), spacing=(10 * um, 6 * um))
    angle = math.radians(25)
    y, x = (
        10e-6 * math.cos(angle) + 12e-6 * math.sin(angle),
        12e-6 * math.cos(angle) - 10e-6 * math.sin(angle),
    )
    fy, fx = bench.grid.frequencies()
    expected = torch.exp(-2j * math.pi * (fy[:, None] * y + fx * x) / 1.25)
    edited = perturbed(bench, mask_rotation="25 deg", mask_scale=1.25)
    assert relative_error(edited.transfer()[0, 0], expected) < CLOSED


@pytest.mark.parametrize(
    "error", [{"mask_scale": 0.5}, {"wavelength": 1064 * nm}, {"focal_length_error": 1.0}]
)
def test_half_the_scale_is_twice_the_kernel(error: dict[str, Any]) -> None:
    """h(x / 2) of taps is taps twice as far apart; scale, wavelength and focal length do the same."""
    kernel = torch.randn(3, 3, dtype=torch.float64).abs()  # brightest on the axis
    wide = torch.zeros(5, 5, dtype=torch.float64)
    wide[::2, ::2] = kernel
    got = perturbed(kernel_bench(kernel[None, None]), **error)(framed((16, 16)))
    assert relative_error(got, convolved(wide, (16, 16))) < CLOSED


def test_errors_of_scale_cancel() -> None:
    bench, field = kernel_bench(torch.randn(1, 1, 5, 5, dtype=torch.float64)), randn(1, 16, 16)
    same = perturbed(bench, wavelength=1.1 * 532 * nm, focal_length_error=0.02, mask_scale=1.1 * 1.02)
    assert relative_error(same(field), bench(field)) < CLOSED


@pytest.mark.parametrize("error", [{"mask_rotation": 20 * deg}, {"mask_scale": 1.3}])
def test_samples_of_a_kernel_are_interpolated_to_its_transform(error: dict[str, Any]) -> None:
    """A sampled mask and the kernel it was sampled from agree between the samples, inside of the plane."""
    bench = bench_of(KernelMask(torch.randn(2, 1, 5, 5, dtype=torch.float64)), (15, 16))
    sampled = bench_of(ComplexMask(bench.transmittance().detach()), (15, 16))
    one, other = (perturbed(b, **error).response() for b in (bench, sampled))
    one = one * bench.masks.scale(bench.masks.response((15, 16), (15, 16)))
    inside = (slice(None), slice(None), slice(4, 11), slice(4, 12))  # a turn leaves corners dark
    assert relative_error(other[inside], one[inside]) < CLOSED


def test_beyond_the_plane_sampled_masks_are_dark() -> None:
    shrunk = perturbed(phase_bench(), mask_scale=0.5).transfer().abs()
    lit = pad_center(torch.ones(9, 9), (16, 16))  # |k| <= 4 of 8 is left
    assert float((shrunk * (1 - lit)).max()) == 0
    assert float(shrunk[..., 4:13, 4:13].min()) > 0


@pytest.mark.parametrize("samples", [15, 16])
@pytest.mark.parametrize("error", [{"mask_scale": 1 - 1e-9}, {"mask_rotation": 1e-9 * rad}])
def test_a_tiny_error_is_tiny(samples: int, error: dict[str, Any]) -> None:
    """No row of pixels at the edge of the plane goes dark for it."""
    bench = phase_bench((samples, samples))
    nominal = bench.transfer()
    # 8 samples from the axis, 1e-9 of that, times the slope of an interpolation, pi of at most a few.
    assert relative_error(perturbed(bench, **error).transfer(), nominal) < 1e-6


# ---- relief


def blaze(shape: tuple[int, int], levels: int | None, turns: int = 0) -> FourF:
    phase = 2 * math.pi * ((torch.arange(shape[1], dtype=torch.float64) + 0.5) / shape[1] + turns)
    return bench_of(PhaseMask(phase.expand(1, 1, *shape), levels=levels), shape)


def first_order(system: nn.Module, shape: tuple[int, int]) -> float:
    """Power of a point on the axis that a period as wide as the plane sends to its first order."""
    point = torch.zeros(1, *shape, dtype=torch.complex128)
    point[0, shape[0] // 2, shape[1] // 2] = 1
    image = intensity(system(point)).detach()[0, 0]
    near = image[torch.arange(shape[1] // 2 - 1, shape[1] // 2 + 2)]
    return float(max(near[0], near[2]) / image.sum())


@pytest.mark.parametrize("levels", [2, 4, 16])
@pytest.mark.parametrize("error", [0.05, -0.1])
def test_etch_error_of_levels(levels: int, error: float) -> None:
    """The efficiency of L steps, times that of L points of a ramp with the wrong slope."""
    shape, period = (1, 512), 512
    step = math.sin(math.pi / levels) / (period * math.sin(math.pi / period))
    slope = math.sin(math.pi * error) / (levels * math.sin(math.pi * error / levels))
    got = first_order(perturbed(blaze(shape, levels), phase_scale=1 + error), shape)
    assert got == pytest.approx((levels * step * slope) ** 2, rel=CLOSED)


def test_a_relief_knows_no_whole_turns() -> None:
    """A trained phase is free, a relief is made within one wave: turns pixel by pixel change nothing."""
    phase = 2 * math.pi * torch.rand(1, 1, 8, 8, dtype=torch.float64)
    turns = torch.randint(-3, 4, phase.shape)
    one, other = (bench_of(PhaseMask(p), (8, 8)) for p in (phase, phase + 2 * math.pi * turns.double()))
    field = randn(1, 8, 8)
    got = perturbed(other, phase_scale=1.2)(field)
    assert relative_error(got, perturbed(one, phase_scale=1.2)(field)) < ROUNDING


def test_gradients_pass_straight_through_levels() -> None:
    """As if the phase of the level reached were a continuous one."""
    phase = 0.1 + 5.4 * torch.rand(1, 1, 8, 8, dtype=torch.float64)  # 0.1 to 5.5: rounds to below 2 pi
    field, step, gradients = randn(1, 8, 8), 2 * math.pi / 16, []
    for masks in (PhaseMask(phase, levels=16), PhaseMask(torch.floor(phase / step + 0.5) * step)):
        part = perturbed(bench_of(masks, (8, 8), combiner="beam_splitter"), phase_scale=0.9)
        part(field)[..., :3].abs().square().sum().backward()
        gradients.append(masks.values.grad)
    assert gradients[0] is not None and gradients[1] is not None
    assert relative_error(gradients[0], gradients[1]) < ROUNDING


def test_another_wavelength_meets_another_phase() -> None:
    """phi (lambda / lambda') (n' - 1) / (n - 1), of a flat relief, which has no scale."""
    bench = bench_of(PhaseMask(torch.full((1, 1, 8, 8), 2.5, dtype=torch.float64)), (8, 8))
    field = randn(1, 8, 8)
    got = perturbed(bench, wavelength=500 * nm, index_ratio=1.004, phase_scale=0.97)(field)
    turn = torch.tensor(2.5j * (0.97 * 1.004 * 532 / 500 - 1), dtype=torch.complex128)
    assert relative_error(got, bench(field) * torch.exp(turn)) < ROUNDING


# ---- dead pixels


def test_dead_pixels_are_opaque() -> None:
    bench, field = phase_bench(), randn(1, 16, 16)
    dead = torch.rand(16, 16) < 0.2
    masks = bench.transmittance().detach() * ~dead
    expected = bench_of(ComplexMask(masks), combiner=float(bench.combiner.factor(bench.transmittance())))
    assert relative_error(perturbed(bench, dead_pixels=dead)(field), expected(field)) < ROUNDING


def test_dead_pixels_turn_with_the_masks() -> None:
    bench, dead = phase_bench((15, 15)), torch.rand(2, 1, 15, 15) < 0.2
    turned = PhaseMask(bench.get_parameter("masks.values").rot90(1, (-1, -2)))
    field = randn(1, 15, 15)
    expected = perturbed(bench_of(turned, (15, 15)), dead_pixels=dead.rot90(1, (-1, -2)))(field)
    assert (
        relative_error(perturbed(bench, dead_pixels=dead, mask_rotation=90 * deg)(field), expected) < CLOSED
    )


def test_a_fraction_of_dead_pixels() -> None:
    bench = phase_bench((32, 32), (4, 1))
    one, same, other = (perturbed(bench, dead_pixels=0.1, seed=seed).dead for seed in (3, 3, 4))
    assert one is not None and same is not None and other is not None
    assert torch.equal(one, same) and not torch.equal(one, other)
    # Five standard deviations of 4096 draws.
    assert float(one.double().mean()) == pytest.approx(0.1, abs=5 * math.sqrt(0.1 * 0.9 / 4096))


# ---- together


@pytest.mark.parametrize("combiner", ["ideal", "bound", "beam_splitter"])
@pytest.mark.parametrize("kind", ["kernel", "phase"])
def test_light_is_never_made(combiner: str, kind: str) -> None:
    kernels = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    bench = (
        bench_of(KernelMask(kernels), combiner=combiner)
        if kind == "kernel"
        else phase_bench((16, 16), (3, 2), combiner=combiner)
    )
    part = perturbed(
        bench,
        mask_shift=(20 * um, 900 * um),
        mask_rotation="7 deg",
        mask_scale=0.97,
        axial_shift=3 * mm,
        wavelength=540 * nm,
        phase_scale=1.1 if kind == "phase" else None,
        dead_pixels=0.1,
    )
    assert float(largest_singular_value(part.transfer()).detach()) <= 1 + ROUNDING
    field = randn(5, 2, 16, 16)
    sent = power(field, part.grid.cell_area).sum(-1)
    came = power(part(field), part.output_grid.cell_area).sum(-1)
    assert bool((came <= sent * (1 + ROUNDING)).all())


def test_what_would_amplify_is_darkened() -> None:
    """[[1, 1], [1, -1]] / sqrt 2 keeps the power; without the -1 its gain is the golden ratio over sqrt 2."""
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64).reshape(2, 2, 1, 1)
    bench = bench_of(ComplexMask(signs.expand(2, 2, 4, 4)), (4, 4))
    dead = torch.zeros(2, 2, 4, 4, dtype=torch.bool)
    dead[1, 1] = True
    golden = (1 + math.sqrt(5)) / 2
    expected = torch.where(dead, 0.0, signs / golden)
    assert (
        relative_error(perturbed(bench, dead_pixels=dead).transfer(), expected.to(torch.complex128))
        < ROUNDING
    )


def test_an_aberration_stays() -> None:
    bare = phase_bench()
    pupil = Aberration(bare.fourier_grid, 5 * mm, {5: 0.2}, trainable=False)
    bench = bench_of(bare.masks, pupil=pupil)
    got = perturbed(bench, dead_pixels=torch.zeros(16, 16, dtype=torch.bool)).transfer()
    assert relative_error(got, bench.transfer()) < ROUNDING


def test_single_precision_and_real_light() -> None:
    bench = phase_bench()
    errors: dict[str, Any] = {"mask_shift": (2 * mm, 1 * mm), "mask_rotation": 2 * deg, "axial_shift": 9 * mm}
    field = torch.rand(1, 16, 16, dtype=torch.float64)
    exact = perturbed(bench, **errors)(field)
    got = perturbed(bench.float(), **errors)(field.float())
    assert got.dtype == torch.complex64
    assert relative_error(got.to(torch.complex128), exact) < 1e-5  # 6e-8, some hundred additions


# ---- gradients


NUMBERS = {
    "mask_shift": (1e-4, (0.3, -0.7)),
    "mask_rotation": (1.0, 0.1),
    "mask_scale": (1.0, 1.03),
    "axial_shift": (1e-2, 0.4),
    "wavelength": (1e-6, 0.52),
    "focal_length_error": (1.0, -0.02),
    "phase_scale": (1.0, 1.05),
}


EVERY = [(kind, name) for kind in ("kernel", "phase") for name in NUMBERS]
EVERY.remove(("kernel", "phase_scale"))  # kernels have no relief


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_gradients_of_every_number(kind: str, name: str) -> None:
    kernels = torch.randn(2, 1, 3, 3, dtype=torch.float64)
    bench = bench_of(KernelMask(kernels), (6, 5)) if kind == "kernel" else phase_bench((6, 5))
    scale, start = NUMBERS[name]
    field = randn(1, 6, 5)

    def output(number: Tensor) -> Tensor:
        both: dict[str, Any] = {"mask_rotation": torch.tensor(0.2, dtype=torch.float64)}
        return perturbed(bench, **(both | {name: scale * number}))(field)

    assert torch.autograd.gradcheck(output, torch.tensor(start, dtype=torch.float64, requires_grad=True))


def test_gradients_reach_kernels_and_phases() -> None:
    """Robust training: those of the masks flow through the errors as well."""
    field = randn(1, 6, 5)
    for masks in (
        KernelMask(torch.randn(2, 1, 3, 3, dtype=torch.float64)),
        PhaseMask(torch.rand(2, 1, 6, 5, dtype=torch.float64) * 5 + 0.5),
    ):
        part = perturbed(
            bench_of(masks, (6, 5)), mask_rotation="3 deg", mask_scale=1.1, mask_shift=("1 um",) * 2
        )
        (name, value), *_ = part.named_parameters()

        def output(values: Tensor, part: Any = part, name: str = name) -> Tensor:
            return torch.func.functional_call(part, {name: values}, (field,))

        assert torch.autograd.gradcheck(output, value.detach().clone().requires_grad_())


def test_a_hidden_shift_and_scale_are_found() -> None:
    """From output fields of kernels as large as half the plane, by descent, as a calibration would."""
    bench = bench_of(KernelMask(torch.randn(4, 1, 11, 11, dtype=torch.float64), trainable=False), (24, 24))
    field = framed((24, 24))
    truth = perturbed(bench, mask_shift=(35 * um, -60 * um), mask_scale=1.012)(field)
    trained = nn.ParameterDict({"shift": nn.Parameter(torch.zeros(2, dtype=torch.float64))})
    trained["scale"] = nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimiser = torch.optim.LBFGS(
        trained.parameters(),
        max_iter=100,
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        model = perturbed(bench, mask_shift=1e-4 * trained["shift"], mask_scale=1 + 0.01 * trained["scale"])
        value = intensity(model(field) - truth).mean() / intensity(truth).mean()
        value.backward()
        return value

    optimiser.step(loss)
    # The loss is a square: flat to rounding, 1e-16, within 1e-8 of 1e-4 m and of 0.01.
    assert (1e-4 * trained["shift"]).tolist() == pytest.approx([35e-6, -60e-6], abs=1e-11)
    assert 1 + 0.01 * trained["scale"].item() == pytest.approx(1.012, abs=1e-9)


def test_a_parameter_is_trained_and_stored() -> None:
    part = perturbed(phase_bench(), mask_shift=nn.Parameter(torch.tensor([1e-6, 0.0])), mask_scale=1.01)
    assert [name for name, p in part.named_parameters() if p.requires_grad] == ["mask_shift"]
    assert {"mask_shift", "mask_scale"} <= set(part.state_dict())
    part(randn(1, 16, 16)).abs().square()[..., :4].sum().backward()
    gradient = part.get_parameter("mask_shift").grad
    assert gradient is not None and float(gradient.abs().min()) > 0


# ---- words


def test_print_says_what_was_done() -> None:
    dead = torch.zeros(16, 16, dtype=torch.bool)
    dead[0, :3] = True
    part = perturbed(
        phase_bench(),
        mask_shift=(5 * um, 0 * um),
        mask_rotation=torch.tensor(0.25),
        mask_scale=1.01,
        axial_shift=nn.Parameter(torch.tensor(-1e-4)),
        dead_pixels=dead,
    )
    assert str(part).startswith("FourF 1 -> 2 at 532 nm")
    assert str(part).endswith(
        "| perturbed: mask shift (5 um, 0 m), mask rotation 0.25 rad, mask scale 1.01, "
        "axial shift -100 um (trained), 3 of 256 pixels dead"
    )


def refused(pattern: str, build: Callable[[], Any], kind: type[Exception] = ValueError) -> None:
    with pytest.raises(kind, match=pattern):
        build()


def test_refusals_say_what_was_expected_and_what_came() -> None:
    bench = phase_bench()

    def wrong(pattern: str, kind: type[Exception] = ValueError, **error: Any) -> None:
        refused(pattern, lambda: perturbed(bench, **error), kind)

    wrong(r"mask_shift: .* got the bare number 5", TypeError, mask_shift=(5, 0))
    wrong(r"mask_shift: expected a pair \(dy, dx\)", TypeError, mask_shift=5 * um)
    wrong(r"mask_shift: .*got 3 ", TypeError, mask_shift=(3 * deg, 0 * um))
    wrong(r"mask_rotation: .* got the bare number 0.1", TypeError, mask_rotation=0.1)
    wrong(r"axial_shift: .* finite", axial_shift=math.nan * mm)
    wrong(r"wavelength: .* got the bare number 532", TypeError, wavelength=532)
    wrong(r"wavelength: expected what is finite and more than 0, got -", wavelength=-532 * nm)
    wrong(r"mask_scale: expected what is finite and more than 0, got 0.0", mask_scale=0)
    wrong(r"mask_scale: expected a number without a unit, got '1.01'", TypeError, mask_scale="1.01")
    wrong(r"focal_length_error: .* more than -1, got nan", focal_length_error=math.nan)
    wrong(r"mask_rotation: expected what is finite, got nan", mask_rotation=torch.tensor(math.nan))
    wrong(r"mask_shift: expected a real tensor of shape \(2,\), got .* \(3,\)", mask_shift=torch.zeros(3))
    wrong(r"mask_scale: expected a real tensor", mask_scale=torch.tensor(1))
    wrong(r"index_ratio: expected a wavelength with it", index_ratio=1.01)
    wrong(r"dead_pixels: expected a fraction in \[0, 1\] .* got 1.5", dead_pixels=1.5)
    wrong(r"dead_pixels: expected a boolean map of shape \(16, 16\) or", dead_pixels=torch.zeros(8, 8).bool())
    wrong(r"dead_pixels: expected a boolean map .* got torch.float32", dead_pixels=torch.zeros(16, 16))
    kernels = bench_of(KernelMask(torch.randn(1, 1, 3, 3, dtype=torch.float64)))
    refused(
        r"phase_scale: expected phase masks, .* got KernelMask", lambda: perturbed(kernels, phase_scale=1.1)
    )
    cascade: Any = Cascade([bench])
    refused(r"expected a FourF, got Cascade", lambda: perturbed(cascade, mask_scale=1.1), TypeError)
    field = randn(1, 16, 8)
    refused(r"perturbed: expected a field", lambda: perturbed(bench, mask_shift=(0 * um, 0 * um))(field))
