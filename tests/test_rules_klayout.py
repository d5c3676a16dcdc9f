"""Our rule checker against that of KLayout, where it is installed: GPL, so never needed by the package.

Facing edges are measured along x and along y (projection metrics), each pair once, both there and here.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from optics4f.fabrication.raster import merge_rectangles
from optics4f.fabrication.relief import etch_masks, quantise_phase
from optics4f.fabrication.rules import fix_corners, kissing_corners, narrow_boxes

db = pytest.importorskip("klayout.db", reason="KLayout's module is not installed (pip install klayout)")


def region(pixels: NDArray[np.bool_], pitch: tuple[int, int]) -> Any:
    """The pixels as polygons of another program, which merges them itself [nm]."""
    drawn = db.Region()
    for bottom, top, left, right in merge_rectangles(pixels).tolist():
        drawn.insert(db.Box(left * pitch[1], bottom * pitch[0], right * pitch[1], top * pitch[0]))
    return drawn.merged(False, 0)


def theirs(pixels: NDArray[np.bool_], least: int, pitch: tuple[int, int]) -> tuple[int, int]:
    """Pairs of edges that are too near, across what is drawn and across gaps."""
    drawn, options = region(pixels, pitch), (least, False, db.Region.Projection, None, 1, None)
    return drawn.width_check(*options).count(), drawn.space_check(*options).count()


def ours(pixels: NDArray[np.bool_], least: int, pitch: tuple[int, int]) -> tuple[int, int]:
    return (
        len(narrow_boxes(pixels, least, pitch)),
        len(narrow_boxes(~pixels, least, pitch, between=True)),
    )


def without_holes(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """KLayout counts two edges that face one another on both sides of a hole once, not twice."""
    while (filled := fix_corners(binary_fill_holes(pixels), "fill")).sum() != pixels.sum():
        pixels = filled
    return pixels


@pytest.mark.parametrize("seed", range(100))
def test_counts_agree_on_noise(seed: int) -> None:
    random = np.random.default_rng(seed)
    noise = random.random(random.integers(1, 14, 2)) < random.choice([0.3, 0.5, 0.7])
    pitch = tuple(random.choice([1000, 1500, 700], 2).tolist())
    least = int(random.choice([1000, 2000, 2500, 3000]))
    pixels = without_holes(noise)
    assert ours(pixels, least, pitch) == theirs(pixels, least, pitch)
    # Where two pixels touch by a corner, two pairs of edges meet, on both sides of each kind of pixel.
    near = region(noise, pitch), (1, False, db.Region.Euclidian, None, None, None)
    corners = 2 * len(kissing_corners(noise))
    assert (near[0].width_check(*near[1]).count(), near[0].space_check(*near[1]).count()) == (
        corners,
        corners,
    )


@pytest.mark.parametrize("least", [12_000, 20_000, 30_000])
def test_counts_agree_on_the_masks_of_a_kernel(least: int) -> None:
    kernel, n = np.random.default_rng(0).normal(size=(7, 7)), 256
    wave = np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, np.arange(7) - 3) / n)
    level = quantise_phase(np.angle(wave @ kernel @ wave.T), 16)
    found = 0
    for mask in etch_masks(level, 16):
        assert ours(mask, least, (8000, 8000)) == theirs(mask, least, (8000, 8000))
        found += sum(ours(mask, least, (8000, 8000)))
    assert found > 1000  # it was something to count
