"""Masks from kernels: the convention is what it says, and pairs of positive kernels give the signed one."""

import pytest
import torch
from torch import Tensor

from optics4f import FourF, Grid, TileLayout, incoherent_intensity, mm, nm, um
from optics4f.design import (
    KernelDesign,
    exposure_ratio,
    incoherent_masks,
    kernel_masks,
    signed_difference,
    signed_split,
)
from optics4f.elements.tiling import read_tiles, tile_inputs
from optics4f.fourier import ft2, ift2
from optics4f.plotting import show_tiling

ROUNDING = 1e-12  # float64, sums of some thousand terms of order 1
PLANES = pytest.mark.parametrize("plane", [(12, 14), (13, 11)])


def kernels(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def wrapped(picture: Tensor, kernel: Tensor, convention: str) -> Tensor:
    """The sum written out, circular: h(j) u(x - j), or h(j) u(x + j) for a correlation."""
    total = torch.zeros_like(picture)
    step = 1 if convention == "convolution" else -1
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            shift = (step * (row - kernel.shape[0] // 2), step * (column - kernel.shape[1] // 2))
            total += kernel[row, column] * picture.roll(shift, (0, 1))
    return total


def filtered(design: KernelDesign, picture: Tensor) -> Tensor:
    spectrum = ft2(picture.to(torch.complex128))
    return ift2(spectrum * design.transmittance[0, 0]) / 10 ** (design.scale_db / 20)


@PLANES
@pytest.mark.parametrize("convention", ["convolution", "correlation"])
@pytest.mark.parametrize("rows", ["field", "picture"])
def test_a_mask_does_the_convention_it_names(plane: tuple[int, int], convention: str, rows: str) -> None:
    kernel, picture = kernels(1, 1, 3, 4), kernels(*plane)
    design = kernel_masks(kernel, plane, convention, rows)
    own = kernel[0, 0] if rows == "field" else kernel[0, 0].flip(0)
    torch.testing.assert_close(
        filtered(design, picture),
        wrapped(picture, own, convention).to(torch.complex128),
        rtol=0,
        atol=ROUNDING,
    )


@PLANES
def test_the_brightest_passive_scale_and_white_light(plane: tuple[int, int]) -> None:
    """max|t| = 1, and Parseval: s^2 sum h^2."""
    kernel = kernels(3, 2, 5, 3)
    design = kernel_masks(kernel, plane, "convolution")
    assert float(design.transmittance.abs().max()) == pytest.approx(1, abs=ROUNDING)
    scale = 10 ** (design.scale_db / 20)
    torch.testing.assert_close(
        design.efficiency, scale**2 * kernel.square().sum((-2, -1)), rtol=ROUNDING, atol=0
    )


@pytest.mark.parametrize("split", ["minimal", "biased"])
def test_split_is_positive_and_exact(split: str) -> None:
    kernel = kernels(4, 3, 5, 5)
    plus, minus = signed_split(kernel, split)
    assert float(plus.min()) >= 0 and float(minus.min()) >= 0
    # One rounding of h + b.
    torch.testing.assert_close((plus - minus).expand_as(kernel), kernel, rtol=0, atol=1e-15)


def test_minimal_split_never_overlaps_and_biased_split_is_one_box() -> None:
    kernel = kernels(4, 3, 5, 5)
    plus, minus = signed_split(kernel)
    assert float((plus * minus).max()) == 0
    biased, box = signed_split(kernel, "biased")
    assert box.shape == (1, 3, 5, 5)
    assert box.unique().tolist() == [-float(kernel.min())]
    assert float(biased.min()) == 0  # no larger bias than needed


def test_biased_split_of_positive_kernels_has_no_bias() -> None:
    assert float(signed_split(kernels(2, 1, 3, 3).abs(), "biased")[1].max()) == 0


def test_exposure_of_both_splits() -> None:
    """1 for the minimal split; (sum h + 2 b K) / sum|h| with K taps for the biased one."""
    kernel = kernels(4, 3, 5, 5)
    minimal = exposure_ratio(*signed_split(kernel))
    torch.testing.assert_close(minimal, torch.ones(4, dtype=torch.float64), rtol=0, atol=ROUNDING)
    expected = (kernel.sum((1, 2, 3)) - 2 * kernel.min() * 75) / kernel.abs().sum((1, 2, 3))
    torch.testing.assert_close(
        exposure_ratio(*signed_split(kernel, "biased")), expected, rtol=ROUNDING, atol=0
    )
    assert float(expected.min()) > 1


def test_exposure_is_that_of_equal_shot_noise() -> None:
    """Poisson counts of 400 000 exposures: with R times the light the minimal split's signal-to-noise."""
    kernel = kernels(1, 1, 3, 3)
    ratio, snr = float(exposure_ratio(*signed_split(kernel, "biased"))), []
    for split, light in (("minimal", 50.0), ("biased", 50.0 * ratio)):
        plus, minus = (light * part.sum().expand(400_000) for part in signed_split(kernel, split))
        counts = torch.poisson(plus) - torch.poisson(minus)
        snr.append(float(counts.mean() / counts.std()))
    # Each of the two ratios has a standard error of sqrt((1 + snr^2/2) / 400 000).
    error = ((1 + snr[0] ** 2 / 2) / 400_000) ** 0.5
    assert ratio > 1.5
    assert snr[1] == pytest.approx(snr[0], abs=5 * error * 2**0.5)


@PLANES
@pytest.mark.parametrize("split", ["minimal", "biased"])
@pytest.mark.parametrize("convention", ["convolution", "correlation"])
def test_incoherent_difference_is_the_signed_kernel(
    plane: tuple[int, int], split: str, convention: str
) -> None:
    """I+ - I- = s^2 c^2 (h+ - h-) * I, summed over two input channels."""
    kernel, light = kernels(3, 2, 3, 4), torch.rand(2, *plane, dtype=torch.float64)
    masks = incoherent_masks(kernel, convention, split)
    bench = FourF(Grid(plane, 8 * um), 532 * nm, 100 * mm, masks, combiner=1.0, invert_output=False)
    found = signed_difference(incoherent_intensity(bench, light), 3)
    scale = float(masks.scale(masks.response(plane, plane)))
    for output in range(3):
        wanted = sum(wrapped(light[i], kernel[output, i], convention) for i in range(2))
        torch.testing.assert_close(found[output] / scale**2, wanted, rtol=0, atol=1e-10)  # 1/s^2 is about 100


def test_scale_of_positive_kernels_is_set_at_frequency_0() -> None:
    kernel = kernels(3, 2, 3, 3)
    masks = incoherent_masks(kernel, "convolution")
    largest = torch.cat(signed_split(kernel)).sqrt().sum((-2, -1)).max()
    scale = float(masks.scale(masks.response((15, 16), (15, 16))))
    assert scale == pytest.approx(1 / float(largest), rel=ROUNDING)
    assert not any(value.requires_grad for value in masks.parameters())


def test_refusals() -> None:
    good = kernels(2, 1, 3, 3)
    with pytest.raises(ValueError, match="expected convention convolution or correlation, got 'conv'"):
        kernel_masks(good, (8, 8), "conv")
    with pytest.raises(ValueError, match="expected rows field or picture, got 'up'"):
        kernel_masks(good, (8, 8), "convolution", "up")
    with pytest.raises(ValueError, match=r"expected at most \(2, 8\) samples"):
        kernel_masks(good, (2, 8), "convolution")
    with pytest.raises(ValueError, match="signed_split: expected minimal or biased, got 'least'"):
        signed_split(good, "least")
    with pytest.raises(TypeError, match="signed_split: expected a real tensor"):
        signed_split(good.to(torch.complex128))
    with pytest.raises(ValueError, match="signed_difference: expected 4 or 6 channels for 3 outputs, got 5"):
        signed_difference(torch.ones(5, 8, 8), 3)
    with pytest.raises(TypeError, match="signed_difference: expected a real tensor"):
        signed_difference(torch.ones(4, 8, 8, dtype=torch.complex64), 3)


def test_figure_of_a_tiling_has_its_pictures_and_guard_bands_in_place() -> None:
    """Rectangles against the pictures of tile_inputs and the tiles of the layout, sample by sample."""
    layout, plane = TileLayout((6, 5), (3, 4), inputs=(2, 1), outputs=(1, 2)), (40, 37)
    axes = show_tiling(layout, plane).axes
    assert [len(panel.patches) for panel in axes] == [4, 4, 4]

    def covered(panel: int, index: int) -> tuple[tuple[int, int], tuple[int, int]]:
        box = axes[panel].patches[index].get_bbox()
        # From coordinates about the axis, at the edge of a sample, to first and last index plus one.
        y, x = (
            [round(edge + 0.5 + n // 2) for edge in pair]
            for pair, n in (((box.y0, box.y1), plane[0]), ((box.x0, box.x1), plane[1]))
        )
        return (y[0], y[1]), (x[0], x[1])

    lit = tile_inputs(torch.ones(2, 6, 5), layout, plane)[0]
    for index in (2, 3):
        (top, bottom), (left, right) = covered(0, index)
        assert float(lit[top:bottom, left:right].min()) == 1 and (bottom - top, right - left) == (6, 5)
        (first, last), (start, end) = covered(0, index - 2)
        assert (last - first, end - start) == layout.tile
        assert float(lit[first:last, start:end].sum()) == 30  # one picture in each tile, whole
    for index, (y, x) in enumerate(layout.kernel_corners(plane)):
        assert covered(1, index) == ((y, y + 3), (x, x + 4))
    ramp = torch.arange(40 * 37, dtype=torch.float64).reshape(1, 40, 37)
    for whole in (True, False):
        for index, tile in enumerate(read_tiles(ramp, layout, whole)):
            (top, bottom), (left, right) = covered(2, index if whole else index + 2)
            assert bool((ramp[0, top:bottom, left:right] == tile).all())
