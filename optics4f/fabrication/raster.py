"""Between pixels and rectilinear polygons: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_SORTABLE = 2**62  # rectangles are sorted as one integer each, in 63 bits


def merge_rectangles(pixels: ArrayLike) -> NDArray[np.int64]:
    """Cover the True pixels exactly, without overlap, by few rectangles.

    Runs of equal pixels along x first, then equal runs in consecutive rows.

    Args:
        pixels: Boolean, shape (H, W).

    Returns:
        Rectangles (row_start, row_stop, column_start, column_stop), stops not included, shape [R, 4], ordered
        by row_start and column_start.

    Raises:
        ValueError: If a rectangle has no number of its own among the 64-bit integers.
    """
    bits: NDArray[Any] = np.asarray(pixels, dtype=bool)
    rows, columns = bits.shape
    wide = columns + 1  # a False ends every row, so that one pass over the flat array finds all runs
    if rows * rows * wide * wide >= _SORTABLE:
        raise ValueError(f"pixels: expected fewer than 2e9 of them, got {rows} x {columns}.")
    flat = np.zeros(rows * wide + 1, dtype=bool)
    flat[1:].reshape(rows, wide)[:, :columns] = bits
    change = np.flatnonzero(flat[1:] != flat[:-1])  # start, stop, start, stop, ...
    row, start = np.divmod(change[::2], wide)
    stop = change[1::2] - row * wide
    # One integer for each run, sorted: equal runs stand together, from the lowest row up.
    run = np.sort((start * wide + stop) * (rows + 1) + row)
    ends = np.concatenate(([True], np.diff(run) != 1, [True]))[: len(run) + 1]
    first, last = run[ends[:-1]], run[ends[1:]]
    span, row = np.divmod(first, rows + 1)
    ordered = np.sort((row * wide * wide + span) * (rows + 1) + last - first)
    ordered, height = np.divmod(ordered, rows + 1)
    ordered, stop = np.divmod(ordered, wide)
    row, start = np.divmod(ordered, wide)
    rectangles: NDArray[np.int64] = np.stack([row, row + height + 1, start, stop], axis=1)
    return rectangles


def rasterise(polygons: Sequence[NDArray[Any]], y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.bool_]:
    """Sample the union of rectilinear polygons at points.

    Each vertical edge, seen from the left, enters its polygon or leaves it. The running sum of these steps is
    the number of polygons over a point, whether they are rectangles or were merged by another program.

    Args:
        polygons: Vertices (x, y) of each polygon, not closed, shape [V, 2].
        y: Coordinates of the rows, growing, shape (H,).
        x: Coordinates of the columns, growing, shape (W,).

    Returns:
        Boolean, shape (H, W).

    Raises:
        ValueError: If an edge is oblique.
    """
    steps = np.zeros((len(y) + 1, len(x) + 1), dtype=np.int64)
    if polygons:
        start, stop, turn = _edges(polygons)
        upright = start[:, 1] != stop[:, 1]
        if np.any(upright & (start[:, 0] != stop[:, 0])):
            raise ValueError(
                "rasterise: expected polygons with horizontal and vertical edges, got an oblique edge."
            )
        column = np.searchsorted(x, start[upright, 0])
        # An edge that runs up has its anticlockwise polygon on the left, so it leaves it.
        np.add.at(steps, (np.searchsorted(y, start[upright, 1]), column), -turn[upright])
        np.add.at(steps, (np.searchsorted(y, stop[upright, 1]), column), turn[upright])
    covered: NDArray[np.bool_] = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    return covered


def _edges(polygons: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Start and end of every edge, and +1 where its polygon runs anticlockwise, -1 where clockwise."""
    sizes = np.array([len(polygon) for polygon in polygons])
    first = np.cumsum(sizes) - sizes
    start = np.concatenate(polygons).astype(np.float64)
    following = np.arange(1, len(start) + 1)
    following[first + sizes - 1] = first
    stop = start[following]
    # About the first vertex: far from the origin the area would drown in rounding.
    corner = np.repeat(start[first], sizes, axis=0)
    (a, b), (c, d) = (start - corner).T, (stop - corner).T
    area = np.add.reduceat(a * d - b * c, first)
    return start, stop, np.repeat(np.sign(area).astype(np.int64), sizes)
