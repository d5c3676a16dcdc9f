"""The cells of a layout without their pixels: a die for each mask, all dies side by side, copies on a wafer.

Each cell begins with the placeholder that ``stream`` replaces by pixels. Dies are referenced, never copied;
the depth is two, three on a wafer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from .marks import Box, Marks, Wafer, frame, mark_rectangles, wafer_places
from .stream import placeholder

STOP_LAYER = 10
LABEL_LAYER = 11

_NM = 1e-9  # grid of the file [m]
_UM = 1e-6  # user unit of the file [m]
_LIMIT = 2**31  # GDSII keeps coordinates in signed 32-bit integers


def die_cells(
    stem: str, names: list[str], window: Box, layers: int, marks: Marks | None, wafer: Wafer | None
) -> list[Any]:
    """Cells without pixels, those of the masks last, in the order of their names.

    Args:
        stem: Name that the cells begin with.
        names: Names of the mask cells.
        window: The clear aperture (left, bottom, right, top) [nm].
        layers: Number of layers with pixels.
        marks: Marks beside each die, or None.
        wafer: Wafer with copies of all dies, or None.

    Raises:
        ValueError: If the dies do not fit the file or the wafer.
    """
    masks = [_mask_cell(name, window) for name in names]
    margin = _margin(window)
    width, height = window[2] - window[0], window[3] - window[1]
    box = (window[0] - margin, window[1] - 2 * margin, window[2] + margin, window[3] + 2 * margin)
    step = width + 3 * margin, height + 5 * margin
    beside: list[Any] = []
    if marks is not None:
        beside = [_marks_cell(f"{stem}_MARKS", window, _bounds([*masks], box), layers, marks)]
    if marks is not None or wafer is not None:
        box = _bounds([*masks, *beside], box)
        step = box[2] - box[0] + margin, box[3] - box[1] + margin
    top, columns = _top_cell(f"{stem}_TOP", masks, beside, step)
    if wafer is None:
        return [top, *beside, *masks]
    rows = math.ceil(len(masks) / columns)
    outline = (box[0], box[1] - (rows - 1) * step[1], box[2] + (columns - 1) * step[0], box[3])
    return [_wafer_cell(f"{stem}_WAFER", top, outline, wafer), top, *beside, *masks]


def keep_one_layer(cells: list[Any], layer: int) -> None:
    """Take all but one layer out of cells, and cut what is left into pieces of at most four corners.

    Letters have more corners; cut at each of them, they are trapezoids and triangles.

    Args:
        cells: From :func:`die_cells`; their placeholders stay.
        layer: The layer that stays.
    """
    for cell in cells:
        drawn = cell.polygons[1:]
        cell.remove(*drawn)
        for polygon in (p for p in drawn if p.layer == layer):
            for band in _cut(polygon, "y"):
                cell.add(*_cut(band, "x"))  # two pieces of a band hang together by the slit that closes an O


def _cut(polygon: Any, axis: str) -> list[Any]:
    """A polygon cut across an axis at each of its corners, if it has more than four."""
    if polygon.size <= 4:
        return [polygon]
    gdstk = require("gdstk", "fab")
    places = np.unique(polygon.points[:, "xy".index(axis)])[1:-1].tolist()
    pieces = [piece for band in gdstk.slice(polygon, places, axis, _NM / _UM) for piece in band]
    for piece in pieces:
        piece.layer = polygon.layer
    return pieces


def _mask_cell(name: str, window: Box) -> Any:
    """Frame, name and the orientation mark of one mask."""
    gdstk = require("gdstk", "fab")
    cell = gdstk.Cell(name)
    cell.add(placeholder())
    margin = _margin(window)
    left, bottom, _, top = window
    _add_rectangles(cell, frame(window, margin), STOP_LAYER)
    size = margin * 3 // 4
    for text, corner in (
        (name, (left, bottom - 2 * margin)),
        ("F", (left - margin, top + margin + margin // 4)),
    ):
        place = (corner[0] * _NM / _UM, corner[1] * _NM / _UM)
        cell.add(*gdstk.text(text, size * _NM / _UM, place, layer=LABEL_LAYER))
    return cell


def _marks_cell(name: str, window: Box, keep_out: Box, layers: int, marks: Marks) -> Any:
    cell = require("gdstk", "fab").Cell(name)
    cell.add(placeholder())
    for layer, corners in mark_rectangles(window, keep_out, layers, marks):
        _add_rectangles(cell, corners, layer)
    return cell


def _top_cell(name: str, masks: list[Any], beside: list[Any], step: tuple[int, int]) -> tuple[Any, int]:
    """All dies on a near-square array, row by row from the top left; and the number of its columns."""
    gdstk = require("gdstk", "fab")
    columns = math.ceil(math.sqrt(len(masks)))
    if max(step) * (columns + 1) >= _LIMIT:
        raise ValueError(
            f"pitch: expected dies that fit in 2.1 m, got {columns} columns of {step[0] * _NM:.3g} m."
        )
    top = gdstk.Cell(name)
    top.add(placeholder())
    for k, mask in enumerate(masks):
        row, column = divmod(k, columns)
        for cell in (mask, *beside):
            top.add(gdstk.Reference(cell, (column * step[0] * _NM / _UM, -row * step[1] * _NM / _UM)))
    return top, columns


def _wafer_cell(name: str, top: Any, outline: Box, wafer: Wafer) -> Any:
    gdstk = require("gdstk", "fab")
    left, bottom, right, upper = outline
    cell = gdstk.Cell(name)
    cell.add(placeholder())
    for x, y in wafer_places(right - left, upper - bottom, wafer):
        place = ((x - (left + right) // 2) * _NM / _UM, (y - (bottom + upper) // 2) * _NM / _UM)
        cell.add(gdstk.Reference(top, place))
    return cell


def _bounds(cells: list[Any], box: Box) -> Box:
    """The box that holds a box and what the cells draw, placeholders aside [nm]."""
    corners = [polygon.bounding_box() for cell in cells for polygon in cell.polygons[1:]]
    low, high = np.rint(np.array(corners) * (_UM / _NM)).astype(np.int64).transpose(1, 0, 2)
    (left, bottom), (right, top) = low.min(axis=0), high.max(axis=0)
    return (
        min(box[0], int(left)),
        min(box[1], int(bottom)),
        max(box[2], int(right)),
        max(box[3], int(top)),
    )


def _add_rectangles(cell: Any, corners: NDArray[np.int64], layer: int) -> None:
    gdstk = require("gdstk", "fab")
    for left, bottom, right, top in (corners * (_NM / _UM)).tolist():
        cell.add(gdstk.rectangle((left, bottom), (right, top), layer=layer))


def _margin(window: Box) -> int:
    """Width of the opaque frame: a tenth of the window, at least 2 um so that the label can be drawn [nm]."""
    return max(2000, max(window[2] - window[0], window[3] - window[1]) // 10)
