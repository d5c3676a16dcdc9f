"""Between pixels and rectilinear polygons: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def merge_rectangles(pixels: ArrayLike) -> NDArray[np.int64]:
    """Cover the True pixels exactly, without overlap, by few rectangles.

    Runs of equal pixels along x first, then equal runs in consecutive rows.

    Args:
        pixels: Boolean, shape (H, W).

    Returns:
        Rectangles (row_start, row_stop, column_start, column_stop), stops not included, shape [R, 4], ordered
        by row_start and column_start.
    """
    bits: NDArray[Any] = np.asarray(pixels, dtype=bool)
    change = np.diff(np.pad(bits, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    order = np.lexsort((row, stop, start))  # equal runs stand together, from the lowest row up
    row, start, stop = row[order], start[order], stop[order]
    follows = (np.diff(start) == 0) & (np.diff(stop) == 0) & (np.diff(row) == 1)
    first = np.flatnonzero(np.concatenate(([True], ~follows))[: len(row)])
    last = np.flatnonzero(np.concatenate((~follows, [True]))[: len(row)])
    rectangles = np.stack([row[first], row[last] + 1, start[first], stop[first]], axis=1)
    ordered: NDArray[np.int64] = rectangles[np.lexsort((rectangles[:, 2], rectangles[:, 0]))]
    return ordered


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
