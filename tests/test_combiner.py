"""Sums over channels: side by side on one mask, with errors and losses, and what they cost in light."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import Tensor, nn

from optics4f.elements import CoherentSum, ComplexMask, FanOut, KernelMask, PhaseMask
from optics4f.elements.combiner import ChannelErrors, ClippedMask, combining_efficiency
from optics4f.elements.tiling import (
    TiledMask,
    TileLayout,
    read_tiles,
    stray_fraction,
    tile_inputs,
    tiled_kernels,
)
from optics4f.fourier import ft2, invert, pad_center
from optics4f.functional import clip_gain, decibel, intensity, largest_singular_value
from optics4f.grid import Grid
from optics4f.multiplexing import light_budget
from optics4f.system import FourF
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
SINGLE = 1e-5  # float32: 6e-8 times the square root of some thousand operations


def randn(*shape: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(*shape, dtype=dtype)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def bench(shape: tuple[int, int], masks: Any, **options: Any) -> FourF:
    return FourF(Grid(shape, (8 * um, 10 * um)), 532 * nm, 100 * mm, masks, **options)


def gains(transfer: Tensor) -> Tensor:
    """Largest singular value at every frequency, by another way than the code's: the Gram matrix."""
    matrices = transfer.detach().flatten(2).movedim(2, 0)
    squares: Tensor = torch.linalg.eigvalsh(matrices.mH @ matrices)[:, -1]
    return squares.clamp(min=0).sqrt()


# ---- side by side

LAYOUTS = [
    TileLayout((5, 6), (3, 2)),
    TileLayout((6, 4), (4, 2)),  # both even: a tile is odd and its middle no middle of the picture
    TileLayout((4, 5), (3, 3), outputs=(2, 3)),
    TileLayout((5, 4), (2, 4), outputs=(3, 2)),
    TileLayout((4, 5), (3, 2), inputs=(2, 2)),
    TileLayout((5, 5), (3, 3), inputs=(3, 1)),
    TileLayout((3, 5), (1, 3), inputs=(1, 4)),
    TileLayout((4, 3), (2, 3), inputs=(2, 1), outputs=(1, 3)),
    TileLayout((1, 2), (2, 1), inputs=(3, 2), outputs=(2, 2)),
]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=str)


def direct_sums(pictures: Tensor, kernels: Tensor) -> Tensor:
    """The coherent sums of whole linear convolutions, by scipy; (B, C_out, N + k - 1, ...)."""
    sums = [
        [sum(convolve2d(u, h) for u, h in zip(picture, row, strict=True)) for row in kernels.numpy()]
        for picture in pictures.numpy()
    ]
    return torch.from_numpy(np.array(sums))


def through_tiles(layout: TileLayout, extra: tuple[int, int], inverted: bool) -> tuple[Tensor, ...]:
    """Pictures, kernels, the scale that the bench states, and its upright output."""
    plane = (layout.shape[0] + extra[0], layout.shape[1] + extra[1])
    kernels = randn(*layout.channels, *layout.kernel)
    pictures = randn(2, layout.channels[1], *layout.field)
    system = bench(plane, TiledMask(kernels, layout), invert_output=inverted)
    scale = torch.tensor(10 ** (sum(system.scale_db()) / 20), dtype=torch.float64)
    with torch.no_grad():
        output = system(tile_inputs(pictures, layout, plane))
    return pictures, kernels, scale, invert(output) if inverted else output


@layouts
@pytest.mark.parametrize("extra", [(0, 0), (1, 0), (4, 7)])
@pytest.mark.parametrize("inverted", [True, False])
def test_one_tiled_mask_is_the_coherent_sum_of_linear_convolutions(
    layout: TileLayout, extra: tuple[int, int], inverted: bool
) -> None:
    """Also on the smallest plane, where unwanted light goes round it."""
    pictures, kernels, scale, output = through_tiles(layout, extra, inverted)
    expected = scale * direct_sums(pictures, kernels)
    assert relative_error(read_tiles(output, layout, whole=True), expected) < ROUNDING
    (y, x), (height, width) = (k // 2 for k in layout.kernel), layout.field
    # Sample k // 2 of the kernel is its origin: from there on the sum lies over the picture.
    same = expected[..., y : y + height, x : x + width]
    assert relative_error(read_tiles(output, layout), same) < ROUNDING


@pytest.mark.parametrize("inputs, outputs", [(3, 1), (1, 3), (2, 2)])
def test_one_sample_less_than_the_smallest_plane_is_too_little(inputs: int, outputs: int) -> None:
    """Light that nothing cuts off, folded to a period of m samples: as large as needed, and one less."""
    layout = TileLayout((1, 4), (1, 3), (1, inputs), (1, outputs))
    need, wide = layout.shape[1], 5 * layout.shape[1]
    system = bench((1, wide), TiledMask(randn(*layout.channels, 1, 3), layout))
    with torch.no_grad():
        output = invert(system(tile_inputs(randn(layout.channels[1], 1, 4), layout, (1, wide))))[0, 0]
    corners = [x for _, x in layout.output_corners((1, wide))]

    def worst(period: int) -> float:
        folded = torch.zeros(period, dtype=output.dtype)
        folded.index_add_(0, torch.arange(wide) % period, output)
        tiles = [torch.arange(x, x + layout.tile[1]) for x in corners]
        return max(relative_error(folded[tile % period], output[tile]) for tile in tiles)

    assert worst(need) < ROUNDING
    assert worst(need - 1) > 1e-3  # one sample of a kernel's edge on a picture's edge


@layouts
def test_light_beside_the_tiles_is_what_the_energy_balance_leaves(layout: TileLayout) -> None:
    """Behind the mask all light is in the output plane; what the wanted sums do not hold is beside them."""
    plane = (layout.shape[0] + 2, layout.shape[1] + 1)
    kernels, pictures = randn(*layout.channels, *layout.kernel), randn(1, layout.channels[1], *layout.field)
    system = bench(plane, TiledMask(kernels, layout), invert_output=False)
    with torch.no_grad():
        field = tile_inputs(pictures, layout, plane)
        output, behind = system(field), intensity(system.transfer()[0] * ft2(field)).sum()
    wanted = intensity(10 ** (sum(system.scale_db()) / 20) * direct_sums(pictures, kernels)).sum()
    dark = output.clone()
    for y, x in layout.output_corners(plane):
        dark[..., y : y + layout.tile[0], x : x + layout.tile[1]] = 0
    measured = intensity(dark).sum() / intensity(output).sum()
    assert float(stray_fraction(output, layout)) == pytest.approx(float(1 - wanted / behind), abs=ROUNDING)
    assert float(measured) == pytest.approx(float(1 - wanted / behind), abs=ROUNDING)
    if layout.channels[1] > 1:
        assert decibel(math.sqrt(measured)) > -10  # much light; else the two would agree on nothing


@pytest.mark.parametrize("inputs, outputs", [((1, 1), (2, 3)), ((2, 2), (1, 1)), ((3, 2), (1, 2))])
def test_light_of_equal_kernels_in_closed_form(inputs: tuple[int, int], outputs: tuple[int, int]) -> None:
    """Spots through C_in C_out equal points: one in C_in C_out comes through, one in C_in of it is wanted."""
    layout = TileLayout((2, 3), (1, 1), inputs, outputs)
    output_count, input_count = layout.channels
    spots = torch.zeros(input_count, 6, dtype=torch.complex128)
    spots[torch.arange(input_count), torch.arange(input_count)] = 1  # at places of their own
    system = bench(layout.shape, TiledMask(torch.ones(*layout.channels, 1, 1).double(), layout))
    with torch.no_grad():
        output = invert(system(tile_inputs(spots.reshape(-1, 2, 3), layout, layout.shape)))
    through = float(intensity(output).sum()) / input_count
    assert through == pytest.approx(1 / (input_count * output_count), rel=ROUNDING)
    assert float(stray_fraction(output, layout)) == pytest.approx(1 - 1 / input_count, abs=ROUNDING)
    assert layout.fill(layout.shape) == pytest.approx(1 / input_count, rel=ROUNDING)


def test_a_single_picture_stands_on_the_axis() -> None:
    for field, kernel in itertools.product([(4, 5), (5, 4)], [(2, 3), (3, 2)]):
        layout = TileLayout(field, kernel, outputs=(2, 1))
        picture = randn(3, 1, *field)
        assert torch.equal(tile_inputs(picture, layout, (15, 14)), pad_center(picture, (15, 14)))


@pytest.mark.parametrize(
    "plane, large, small",
    [
        ((1024, 1024), 16, 784),
        ((1080, 1920), 32, 1590),
        ((2048, 2048), 64, 3136),
        ((2464, 4160), 180, 7820),
        ((25000, 25000), 11664, 481636),
    ],
)
def test_capacity_of_common_masks(plane: tuple[int, int], large: int, small: int) -> None:
    """Kernels of 7 x 7 on 224 x 224 samples, and of 5 x 5 on 32 x 32."""
    assert TileLayout((224, 224), (7, 7)).capacity(plane) == large
    assert TileLayout((32, 32), (5, 5)).capacity(plane) == small


def test_numbers_of_a_layout() -> None:
    layout = TileLayout((10, 12), (3, 5), inputs=(2, 1), outputs=(1, 3))
    assert (layout.channels, layout.guard, layout.tile, layout.shape) == ((3, 2), (2, 4), (12, 16), (24, 48))
    assert layout.capacity(layout.shape) == 6 == math.prod(layout.channels)
    assert layout.capacity((23, 48)) == 3
    assert layout.fill((48, 48)) == pytest.approx(3 * 12 * 16 / 48**2)
    layout.check((24, 48))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradient_of_tiled_kernels(dtype: torch.dtype) -> None:
    layout = TileLayout((2, 3), (2, 2), inputs=(1, 2), outputs=(2, 1))
    mask = TiledMask(randn(2, 2, 2, 2, dtype=dtype), layout)
    field = tile_inputs(randn(2, 2, 3), layout, (7, 9))
    system = bench((7, 9), mask)

    def output(kernels: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(system, {"masks.kernels": kernels}, (field,))
        return result

    assert torch.autograd.gradcheck(output, (mask.kernels.detach().requires_grad_(),))


def test_tiles_keep_batches_and_precision() -> None:
    layout = TileLayout((2, 3), (2, 2), inputs=(1, 2), outputs=(2, 1))
    pictures = randn(3, 4, 2, 2, 3, dtype=torch.complex64)
    mask = TiledMask(randn(2, 2, 2, 2, dtype=torch.complex64), layout, trainable=False)
    system = bench(layout.shape, mask)
    with torch.no_grad():
        narrow = read_tiles(invert(system(tile_inputs(pictures, layout, layout.shape))), layout)
        wide = system.double()(tile_inputs(pictures[1, 2].to(torch.complex128), layout, layout.shape))
    assert narrow.dtype == torch.complex64 and narrow.shape == (3, 4, 2, 2, 3)
    assert relative_error(narrow[1, 2].to(torch.complex128), read_tiles(invert(wide), layout)) < SINGLE


SOME = TileLayout((4, 4), (3, 3), inputs=(1, 2), outputs=(2, 1))


@pytest.mark.parametrize(
    "build, words",
    [
        (
            lambda: SOME.check((11, 20)),
            r"at least \(12, 12\) samples for 2 inputs and 2 outputs.*\(1, 0\) too",
        ),
        (lambda: tile_inputs(randn(2, 4, 4), SOME, (12, 8)), r"got \(12, 8\): \(0, 4\) too few"),
        (lambda: tiled_kernels(randn(2, 2, 3, 3), SOME, (9, 8)), r"\(3, 4\) too few"),
        (lambda: read_tiles(randn(1, 12, 11), SOME), r"\(0, 1\) too few"),
        (
            lambda: tile_inputs(randn(3, 4, 4), SOME, (12, 12)),
            r"tile_inputs: expected a field \(..., \(2, 4, 4",
        ),
        (lambda: tiled_kernels(randn(2, 1, 3, 3), SOME, (12, 12)), r"tiled_kernels: expected .*\(2, 2, 3, 3"),
        (lambda: read_tiles(randn(2, 12, 12), SOME), r"read_tiles: expected a field \(..., \(1, 12, 12"),
        (lambda: TileLayout((4, 0), (3, 3)), "TileLayout field: expected at least one sample in each"),
        (lambda: TileLayout((4, 4), (3, 3), inputs=(0, 1)), "TileLayout inputs: expected at least one tile"),
        (lambda: TiledMask(randn(2, 2, 3, 2), SOME), r"TiledMask: expected .*\(2, 2, 3, 3\)"),
        (lambda: TiledMask(0 * randn(2, 2, 3, 3), SOME), "TiledMask: expected kernels that are not all zero"),
        (
            lambda: bench((12, 11), TiledMask(randn(2, 2, 3, 3), SOME)),
            r"TiledMask: expected at most \(12, 11\)",
        ),
        (lambda: FanOut(2, -1.0), "FanOut insertion_loss_db: expected at least 0, got -1.0"),
        (lambda: CoherentSum("ideal", -0.1), "CoherentSum insertion_loss_db: expected at least 0, got -0.1"),
        (lambda: ChannelErrors((0, 2)), "ChannelErrors: expected at least one channel in each"),
        (lambda: ChannelErrors((2, 2), phase_error=-0.1), "ChannelErrors phase_error: expected at least 0"),
        (lambda: ChannelErrors((2, 2), insertion_loss_db=math.inf), "insertion_loss_db: expected at least 0"),
        (
            lambda: ChannelErrors((2, 2), torch.zeros(2)),
            r"expected a real tensor of shape \(2, 2\), got .*\(2,\)",
        ),
        (lambda: ChannelErrors((1, 1), torch.full((1, 1), -1.1)), "amplitude_error: expected .* at least -1"),
        (
            lambda: ChannelErrors((1, 1), 0, torch.full((1, 1), math.nan)),
            "phase_error: expected finite values",
        ),
        (lambda: ChannelErrors((1, 1), 0, 0, torch.full((1, 1), -0.1)), "insertion_loss_db: .* at least 0"),
        (lambda: ChannelErrors((2, 2), seed=-1), "ChannelErrors seed: expected an integer from 0"),
        (lambda: light_budget(bench((9, 9), PhaseMask(torch.zeros(2, 2, 9, 9))), SOME), "got PhaseMask"),
        (lambda: light_budget(bench((9, 9), KernelMask(randn(2, 3, 3, 3))), SOME), r"\(2, 2, 3, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(build: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: TileLayout((4.0, 4), (3, 3)), "TileLayout field: expected a shape"),  # type: ignore[arg-type]
        (lambda: ChannelErrors((2, 2), "1"), "amplitude_error: expected a plain number"),  # type: ignore[arg-type]
        (lambda: CoherentSum("ideal", "1 dB"), "expected a plain number"),  # type: ignore[arg-type]
        (lambda: CoherentSum(errors=nn.Identity()), "expected errors as ChannelErrors"),  # type: ignore[arg-type]
        (lambda: ClippedMask(nn.Identity()), "ClippedMask: expected a bank of masks"),  # type: ignore[arg-type]
    ],
)
def test_what_is_something_else_is_refused(build: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        build()


# ---- errors and losses of the arms


def test_factors_of_given_errors() -> None:
    """The strongest arm, 1.25 times its design, is the reference; 3 dB of power and 0.3 rad beside it."""
    amplitude = torch.tensor([[0.25, 0.0], [-0.2, -1.0]], dtype=torch.float64)
    phase = torch.tensor([[0.0, 0.3], [-1.0, 2.0]], dtype=torch.float64)
    loss = torch.tensor([[0.0, 3.0], [0.0, 1.0]], dtype=torch.float64)
    got = ChannelErrors((2, 2), amplitude, phase, loss).factors()
    weak = 0.8 * 10 ** (-3 / 20) * np.exp(0.3j)
    expected = torch.tensor([[1, weak], [0.64 * np.exp(-1j), 0]], dtype=torch.complex128)
    assert relative_error(got, expected) < ROUNDING
    # Where every arm is weaker than designed, nothing else is taken from them.
    weaker = ChannelErrors((2, 2), amplitude.clamp(max=-0.1)).factors()
    assert relative_error(weaker.real, torch.tensor([[0.9, 0.9], [0.8, 0]], dtype=torch.float64)) < ROUNDING


def test_an_amplitude_drawn_below_zero_is_dark() -> None:
    errors = ChannelErrors((20, 30), amplitude_error=1.0)
    below = errors.amplitude_error < -1
    assert below.any() and torch.equal(errors.factors().abs() == 0, below)


def test_a_device_is_drawn_once_from_its_own_generator() -> None:
    before = torch.random.get_rng_state()
    one, again = (ChannelErrors((3, 4), 0.1, 0.2, seed=5) for _ in range(2))
    other, phase_alone = ChannelErrors((3, 4), 0.1, 0.2, seed=6), ChannelErrors((3, 4), 0, 0.2, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.factors(), again.factors()) and not torch.equal(one.factors(), other.factors())
    assert torch.equal(one.phase_error, phase_alone.phase_error)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.factors(), other.factors())
    given = torch.zeros(3, 4)
    fixed = ChannelErrors((3, 4), given)
    given += 1
    assert bool((fixed.amplitude_error == 0).all())  # the device has numbers of its own


def test_drawn_errors_have_their_size() -> None:
    errors = ChannelErrors((200, 300), 0.03, 0.2, seed=1)
    for drawn, size in ((errors.amplitude_error, 0.03), (errors.phase_error, 0.2)):
        # Of n normal numbers the r.m.s. value strays by 1 / sqrt(2 n), the mean by 1 / sqrt(n): 5 sigma.
        n = drawn.numel()
        assert float(drawn.square().mean().sqrt()) == pytest.approx(size, rel=5 / math.sqrt(2 * n))
        assert abs(float(drawn.mean())) < 5 * size / math.sqrt(n)
    crossed = (errors.amplitude_error * errors.phase_error).mean() / (0.03 * 0.2)
    assert abs(float(crossed)) < 5 / math.sqrt(errors.phase_error.numel())


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("phase, amplitude", [(0.0, 0.0), (0.3, 0.0), (1.2, 0.0), (0.5, 0.2)])
def test_mean_efficiency_by_quadrature(channels: int, phase: float, amplitude: float) -> None:
    """Gauss and Hermite integrate the normal distribution exactly: 40 points hold exp(i x) to rounding."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    # |sum|^2 = sum of pairs; arms are independent, so that a pair of two is a product of means.
    phases = (weights * np.exp(1j * phase * nodes)).sum()
    amplitudes = (weights * (1 + amplitude * nodes)).sum()
    alone = (weights * (1 + amplitude * nodes) ** 2).sum()
    pairs = channels * (channels - 1) * abs(phases * amplitudes) ** 2
    expected = (channels * alone + pairs) / channels**2
    assert combining_efficiency(channels, phase, amplitude) == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize("amplitude", [0.0, 0.15])
def test_sums_of_drawn_arms_have_the_mean_efficiency(amplitude: float) -> None:
    """20 000 devices with eight arms, each a row of one bank of errors; 5 sigma of their own scatter."""
    errors = ChannelErrors((20_000, 8), amplitude, 0.4, seed=2)
    light = errors(torch.ones(20_000, 8, 1, 1, dtype=torch.complex128))
    sums = (
        intensity(CoherentSum()(light))[:, 0, 0] / 8
    )  # its 1 / sqrt(8) makes a sum in phase 8 times one arm
    sums = (
        sums * (1 + float(errors.amplitude_error.max().clamp(min=0))) ** 2
    )  # the strongest arm was the reference
    scatter = float(sums.std()) / math.sqrt(len(sums))
    expected = combining_efficiency(8, 0.4, amplitude)
    assert abs(float(sums.mean()) - expected) < 5 * scatter
    assert scatter < 2e-3 < abs(expected - 1) / 10  # fine enough to see the error


@pytest.mark.parametrize("kind", ["ideal", "beam_splitter", "bound", 0.3])
def test_transfer_with_errors_is_arm_by_arm_and_passive(kind: str | float) -> None:
    masks = bench((4, 5), KernelMask(randn(3, 2, 3, 3))).transmittance().detach()
    for seed in range(5):
        errors = ChannelErrors((3, 2), 0.2, 1.5, 0.1, seed)
        plain, wrong = CoherentSum(kind), CoherentSum(kind, errors=errors)
        expected = plain.transfer(masks) * errors.factors()[:, :, None, None]
        got = wrong.transfer(masks)
        if kind == "ideal":
            expected = expected / max(1.0, float(gains(expected).max()))
        assert relative_error(got, expected) < ROUNDING
        assert kind == 0.3 or float(gains(got).max()) <= 1 + ROUNDING
        assert torch.equal(plain.transfer(masks), masks * plain.factor(masks))


def test_ideal_optics_with_an_error_are_darkened_in_closed_form() -> None:
    """[[1, 1], [1, -1]] / sqrt(2) is unitary. With one sign lost all is 1: gain sqrt(2), so that T is 1/2."""
    masks = torch.tensor([[1, 1], [1, -1]], dtype=torch.complex128)[:, :, None, None].expand(2, 2, 3, 4)
    error = torch.tensor([[0, 0], [0, math.pi]], dtype=torch.float64)
    got = CoherentSum("ideal", errors=ChannelErrors((2, 2), phase_error=error)).transfer(masks)
    assert relative_error(got, torch.full_like(got, 0.5)) < ROUNDING


@pytest.mark.parametrize("kind", ["ideal", "beam_splitter", "bound", 0.3])
def test_insertion_loss_multiplies_the_power(kind: str | float) -> None:
    field, masks = randn(2, 4, 5), KernelMask(randn(3, 2, 3, 3))
    lossless = intensity(bench((4, 5), masks, combiner=CoherentSum(kind))(field))
    lossy = bench((4, 5), masks, combiner=CoherentSum(kind, insertion_loss_db=1.7))
    assert relative_error(intensity(lossy(field)), 10**-0.17 * lossless) < ROUNDING
    assert "insertion loss 1.7 dB" in repr(lossy.combiner)
    arms = randn(3, 2, 4, 5)
    sums = intensity(CoherentSum(kind, 1.7)(arms)), 10**-0.17 * intensity(CoherentSum(kind)(arms))
    assert relative_error(*sums) < ROUNDING
    # Shared with 0.7 dB and summed with 1 dB: losses of parts add up in dB.
    parts = CoherentSum(insertion_loss_db=1.0)(FanOut(3, 0.7)(field))
    assert relative_error(intensity(parts), 10**-0.17 * intensity(CoherentSum()(FanOut(3)(field)))) < ROUNDING
    in_every_arm = CoherentSum(errors=ChannelErrors((3, 2), insertion_loss_db=1.7))(arms)
    assert relative_error(intensity(in_every_arm), sums[1]) < ROUNDING


def test_errors_are_trained_if_they_are_parameters() -> None:
    values = [nn.Parameter(0.3 * torch.rand(3, 2, dtype=torch.float64)) for _ in range(3)]
    errors = ChannelErrors((3, 2), values[0], values[1], values[2])
    assert [name for name, _ in errors.named_parameters()] == [
        "amplitude_error",
        "phase_error",
        "insertion_loss_db",
    ]
    assert list(ChannelErrors((3, 2), values[0].detach(), 0.1).parameters()) == []
    combiner, transfer = CoherentSum("ideal", errors=errors), randn(3, 2, 2, 2)

    def output(*errors: Tensor) -> Tensor:
        names = [f"errors.{name}" for name in ("amplitude_error", "phase_error", "insertion_loss_db")]
        values = dict(zip(names, errors, strict=True))
        result: Tensor = torch.func.functional_call(combiner, values, (transfer,))
        return result

    assert torch.autograd.gradcheck(output, values)


def test_errors_keep_the_precision() -> None:
    errors, arms = ChannelErrors((3, 2), 0.1, 0.2), randn(3, 2, 4, 5)
    wide, narrow = errors(arms), errors.float()(arms.to(torch.complex64))
    assert narrow.dtype == torch.complex64
    assert relative_error(narrow.to(torch.complex128), wide) < SINGLE


# ---- passive by construction


def test_clipped_gain_is_at_most_one_and_what_was_passive_stays() -> None:
    transfer = randn(2, 3, 2, 4, 5) * torch.linspace(0.05, 1, 5).double()
    got = clip_gain(transfer)
    for before, after in zip(transfer, got, strict=True):
        found = gains(before)
        assert bool((found > 1).any()) and bool((found < 1).any())
        assert torch.allclose(gains(after), found.clamp(max=1), rtol=0, atol=ROUNDING)
        kept = (found < 1).reshape(4, 5)
        assert torch.equal(after[..., kept], before[..., kept])
        # One real number per frequency: nothing but the brightness changes.
        ratio = after / before
        assert relative_error(ratio, ratio[:1, :1].real.expand(3, 2, 4, 5).to(ratio)) < ROUNDING


def test_gradient_of_the_clipped_gain() -> None:
    transfer = (randn(2, 3, 1, 4) * torch.tensor([0.0, 0.1, 0.7, 2.0])).requires_grad_()
    found = gains(transfer)
    assert float((found - 1).abs().min()) > 0.05 and bool((found > 1).any())  # off the kink, on both sides
    assert torch.autograd.gradcheck(clip_gain, (transfer,))
    for channels in ((1, 3), (3, 1), (1, 1)):
        assert torch.autograd.gradcheck(clip_gain, (randn(*channels, 1, 3).requires_grad_(),))


def test_a_clipped_bank_is_passive_and_brighter_than_one_factor_for_all() -> None:
    masks = KernelMask(randn(3, 2, 3, 3))
    clipped, ideal = bench((5, 6), ClippedMask(masks), combiner=1.0), bench((5, 6), masks)
    single = masks.transmittance((5, 6)).detach()
    found = gains(single)
    transfer = clipped.transfer().detach()
    assert float(largest_singular_value(transfer)) == pytest.approx(1, abs=ROUNDING)
    assert torch.allclose(gains(transfer), found.clamp(max=1), rtol=0, atol=ROUNDING)
    assert bool((gains(transfer) >= gains(ideal.transfer()) - ROUNDING).all())
    assert intensity(transfer).sum() > 1.1 * intensity(ideal.transfer()).sum()
    assert "NOT PASSIVE" not in str(clipped)


# ---- what it costs


@pytest.mark.parametrize("channels, expected", [(1, 0.0), (64, 36.1), (256, 48.2)])
def test_light_of_a_beam_splitter_tree(channels: int, expected: float) -> None:
    masks = PhaseMask(torch.zeros(channels, channels, 1, 1, dtype=torch.float64))
    ideal, tree, built = light_budget(bench((1, 1), masks, combiner="beam_splitter"))
    assert (ideal.name, tree.name, built.name) == ("ideal", "beam_splitter", "as built")
    assert tree.loss_db == pytest.approx(10 * math.log10(channels**2), abs=1e-9)
    assert tree.loss_db == pytest.approx(expected, abs=0.05)
    assert tree.efficiency == pytest.approx(channels**-2.0, rel=ROUNDING)
    assert built.loss_db == pytest.approx(tree.loss_db, abs=1e-9)
    assert str(tree) == f"beam splitter: {-tree.loss_db:.1f} dB"
    # Equal masks have one singular value, C: ideal optics give 1 / C, the square of what a tree does.
    assert ideal.loss_db == pytest.approx(2 * 10 * math.log10(channels), abs=1e-9)


def test_light_of_unitary_masks() -> None:
    """A Fourier matrix of C masks is sqrt(C) times a unitary one: ideal optics lose 10 log10 C."""
    angle = 2 * math.pi * torch.outer(torch.arange(4.0), torch.arange(4.0)).double() / 4
    masks = PhaseMask(angle[:, :, None, None].expand(4, 4, 2, 3))
    ideal, tree, built = light_budget(bench((2, 3), masks, combiner=CoherentSum("ideal", 1.5)))
    assert ideal.loss_db == pytest.approx(10 * math.log10(4), abs=1e-9)
    assert tree.loss_db == pytest.approx(20 * math.log10(4), abs=1e-9)
    assert built.loss_db == pytest.approx(ideal.loss_db + 1.5, abs=1e-9)


def test_light_of_a_tiling_is_that_of_the_tiled_bench() -> None:
    """c is what turns the sums of the bank's own masks into the sums of the tiled mask."""
    layout = TileLayout((4, 5), (3, 2), inputs=(1, 2), outputs=(3, 1))
    equal = KernelMask(torch.ones(3, 2, 3, 2).double(), "convolution")
    ideal, tree, tiling, _ = light_budget(bench(layout.tile, equal), layout)
    assert tiling.name == "tiling" and tiling.amplitude == pytest.approx(1 / 6, rel=ROUNDING)
    assert tiling.loss_db == pytest.approx(20 * math.log10(6), abs=1e-9)
    assert ideal.amplitude == pytest.approx(tree.amplitude, rel=ROUNDING)  # sigma is sqrt(6) for all ones

    for convention in ("convolution", "correlation"):
        kernels, pictures = randn(3, 2, 3, 2), randn(1, 2, 4, 5)
        masks = KernelMask(kernels, convention)
        _, _, tiling, _ = light_budget(bench(layout.tile, masks), layout)
        psf = kernels if convention == "convolution" else kernels.flip((-2, -1))
        system = bench(layout.shape, TiledMask(psf, layout), invert_output=False)
        with torch.no_grad():
            got = read_tiles(system(tile_inputs(pictures, layout, layout.shape)), layout, whole=True)
            scale = float(masks.scale(masks.response(layout.tile, layout.tile)))
        undivided = scale * direct_sums(pictures, psf)
        assert relative_error(got, tiling.amplitude * undivided) < ROUNDING


def test_a_collapsed_bank_has_no_tiling_but_a_budget() -> None:
    masks = ComplexMask(torch.full((2, 2, 3, 3), 0.5, dtype=torch.complex128))
    names = [row.name for row in light_budget(bench((3, 3), masks))]
    assert names == ["ideal", "beam_splitter", "as built"]


@pytest.mark.parametrize("kind", ["ideal", "beam_splitter", "bound", 0.3])
def test_a_bench_has_the_errors_of_its_arms(kind: str | float) -> None:
    masks, errors = KernelMask(randn(3, 2, 3, 3)), ChannelErrors((3, 2), 0.2, 1.0, 0.4)
    plain = bench((4, 5), masks, combiner=kind)
    wrong = bench((4, 5), masks, combiner=CoherentSum(kind, errors=errors))
    expected = wrong.combiner.in_arms(plain.transfer())
    assert relative_error(wrong.transfer(), expected) < ROUNDING
    assert relative_error(wrong.transfer(), plain.transfer()) > 0.1
    assert wrong.scale_db() == plain.scale_db()  # what the masks are made to, errors apart
    field = randn(2, 4, 5)
    arms = FanOut(3)(ft2(field)) * wrong.transfer()
    assert relative_error(wrong(field), ft2(arms.sum(-3) * math.sqrt(3))) < ROUNDING
    assert light_budget(wrong)[-1].loss_db > light_budget(plain)[-1].loss_db
