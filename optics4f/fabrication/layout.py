"""Binary etch masks as GDSII or OASIS, and back.

One file per bank, one cell per mask, one layer per etch step. The optical axis is the origin of each cell, y
up, x right, seen looking against the light. A top cell places all masks as dies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..files import write_file
from .bank import MaskBankData, phase_only
from .raster import merge_rectangles, rasterise
from .relief import etch_depths, etch_masks, level_of_etch_masks, phase_of_level, quantise_phase

STOP_LAYER = 10
LABEL_LAYER = 11

_DBU = 1e-9  # grid of the file [m]
_UNIT = 1e-6  # user unit of the file [m]
_LIMIT = 2**31  # GDSII keeps coordinates in signed 32-bit integers
_STAMP = datetime(2000, 1, 1)  # fixed, so that the same masks give the same bytes


def cell_stem(name: str) -> str:
    """A bank name as every mask shop takes it: A-Z, 0-9 and '_', at most 20 of them, never MAIN.

    Example:
        >>> cell_stem("domain-1")
        'DOM_IN_1'
    """
    return name.upper().replace("-", "_").replace("MAIN", "M_IN")[:20]


def cell_name(stem: str, out: int, in_: int) -> str:
    """Name of the cell of the mask from input channel ``in_`` to output channel ``out``."""
    return f"{stem}_O{out:03d}_I{in_:03d}"


def layer_table(levels: int, wavelength: float, refractive_index: float) -> list[dict[str, Any]]:
    """Which layer is which etch step: layer i + 1 is mask i and etches lambda 2^i / (L (n - 1))."""
    depths = etch_depths(levels, wavelength, refractive_index)
    etched = [
        {
            "layer": bit + 1,
            "datatype": 0,
            "bit": bit,
            "etch_depth": float(depth),
            "etch_depth_unit": "m",
            "tone": "drawn area is etched",
        }
        for bit, depth in enumerate(depths)
    ]
    stop = {
        "layer": STOP_LAYER,
        "datatype": 0,
        "tone": "drawn area is opaque (chrome stop around the clear aperture)",
    }
    label = {
        "layer": LABEL_LAYER,
        "datatype": 0,
        "tone": "label and the orientation mark F, outside the stop",
    }
    return [*etched, stop, label]


def pixel_edges(count: int, origin: float, pitch: float) -> NDArray[np.int64]:
    """Edges of the pixels of one axis on the 1 nm grid, each rounded by itself so that no error adds up.

    Args:
        count: Number of pixels.
        origin: Index of the optical axis.
        pitch: Pixel pitch [m].

    Returns:
        Edges [nm], shape (count + 1,).

    Raises:
        ValueError: If the pitch is under 2 nm or an edge is beyond what the file can hold.
    """
    edges = np.rint((np.arange(count + 1) - origin - 0.5) * (pitch / _DBU)).astype(np.int64)
    if pitch < 2 * _DBU or np.abs(edges).max() >= _LIMIT:
        raise ValueError(
            f"pitch: expected at least 2 nm and less than 2.1 m over all pixels, got {pitch:.6g} m."
        )
    result: NDArray[np.int64] = edges
    return result


def write_layout(
    path: str | Path, bank: MaskBankData, name: str, levels: int, refractive_index: float
) -> None:
    """Write the etch masks of a phase-only bank; GDSII, or OASIS if the name ends in ``.oas``.

    Args:
        path: File to write.
        bank: Bank with constant transmittance modulus.
        name: Name of the bank, for cells and labels.
        levels: Number of height levels, a power of two from 2 to 256.
        refractive_index: Index of the material; it does not change the drawing, only the etch depths.

    Raises:
        ValueError: If the modulus varies, the levels are not such a power, or the masks do not fit the file.
    """
    gdstk = require("gdstk", "fab")
    layer_table(levels, bank.wavelength, refractive_index)  # refuses bad levels or index before the work
    library = gdstk.Library("OPTICS4F", unit=_UNIT, precision=_DBU)
    level = quantise_phase(np.angle(phase_only(bank, name).transmittance.astype(np.complex128)), levels)
    edges = _bank_edges(bank)
    stem = cell_stem(name)
    cells = [
        _mask_cell(cell_name(stem, *index), etch_masks(level[index], levels), *edges)
        for index in np.ndindex(*level.shape[:2])
    ]
    library.add(_top_cell(f"{stem}_TOP", cells, *edges), *cells)
    if Path(path).suffix == ".oas":
        write_file(path, lambda draft: library.write_oas(draft, validation="crc32"))
    else:
        write_file(path, lambda draft: library.write_gds(draft, timestamp=_STAMP))


def read_layout(path: str | Path, entry: Mapping[str, Any]) -> MaskBankData:
    """Rebuild a bank from the polygons of its file: pixels sampled at their centres, then levels and phase.

    Args:
        path: GDSII or OASIS file.
        entry: What the manifest says of the bank: shape, geometry and layers, but no mask.

    Raises:
        ValueError: If a cell is missing or holds something that is not an etch mask.
    """
    gdstk = require("gdstk", "fab")
    read = gdstk.read_oas if Path(path).suffix == ".oas" else gdstk.read_gds
    cells = {cell.name: cell for cell in read(str(path), unit=_UNIT).cells}
    layout = entry["layout"]
    drawn = {name: layout[name] for name in ("levels", "refractive_index")}
    shape = tuple(entry["shape"])
    bank = MaskBankData.from_described(
        np.ones(shape), {**entry["geometry"], **drawn, "refractive_index_unit": "1"}
    )
    level = np.empty(shape, dtype=np.int64)
    for out, in_ in np.ndindex(*shape[:2]):
        name = cell_name(layout["cell_stem"], out, in_)
        if name not in cells:
            raise ValueError(f"{path}: expected a cell '{name}', got none.")
        level[out, in_] = _read_level(cells[name], layout["layers"], bank)
    return replace(bank, transmittance=np.exp(1j * phase_of_level(level, bank.levels)))


def _read_level(cell: Any, layers: list[dict[str, Any]], bank: MaskBankData) -> NDArray[np.int64]:
    rows, columns = bank.transmittance.shape[-2:]
    y = (np.arange(rows) - bank.origin[0]) * (bank.pitch[0] / _DBU)
    x = (np.arange(columns) - bank.origin[1]) * (bank.pitch[1] / _DBU)
    masks = []
    for row in sorted((row for row in layers if "bit" in row), key=lambda row: row["bit"]):
        polygons = cell.get_polygons(layer=row["layer"], datatype=row["datatype"])
        # Whole nanometres again: user units are micrometres in floating point.
        masks.append(rasterise([np.rint(p.points * (_UNIT / _DBU)) for p in polygons], y, x))
    return level_of_etch_masks(masks)


def _bank_edges(bank: MaskBankData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    (rows, columns), (y, x), (dy, dx) = bank.transmittance.shape[-2:], bank.origin, bank.pitch
    return pixel_edges(rows, y, dy), pixel_edges(columns, x, dx)


def _mask_cell(name: str, masks: list[NDArray[np.bool_]], y: NDArray[np.int64], x: NDArray[np.int64]) -> Any:
    gdstk = require("gdstk", "fab")
    cell = gdstk.Cell(name)
    for bit, mask in enumerate(masks):
        row, row_stop, column, column_stop = merge_rectangles(mask).T
        corners = np.stack([x[column], y[row], x[column_stop], y[row_stop]], axis=1)
        _add_rectangles(cell, corners, bit + 1)
    margin = _margin(y, x)
    left, bottom, right, top = int(x[0]), int(y[0]), int(x[-1]), int(y[-1])
    frame = [  # no holes in GDSII: the opaque surround is four rectangles
        (left - margin, bottom - margin, right + margin, bottom),
        (left - margin, top, right + margin, top + margin),
        (left - margin, bottom, left, top),
        (right, bottom, right + margin, top),
    ]
    _add_rectangles(cell, np.array(frame), STOP_LAYER)
    size = margin * 3 // 4
    for text, corner in (
        (name, (left, bottom - 2 * margin)),
        ("F", (left - margin, top + margin + margin // 4)),
    ):
        place = (corner[0] * _DBU / _UNIT, corner[1] * _DBU / _UNIT)
        cell.add(*gdstk.text(text, size * _DBU / _UNIT, place, layer=LABEL_LAYER))
    return cell


def _add_rectangles(cell: Any, corners: NDArray[np.int64], layer: int) -> None:
    gdstk = require("gdstk", "fab")
    for left, bottom, right, top in (corners * (_DBU / _UNIT)).tolist():
        cell.add(gdstk.rectangle((left, bottom), (right, top), layer=layer))


def _margin(y: NDArray[np.int64], x: NDArray[np.int64]) -> int:
    """Width of the opaque frame: a tenth of the window, at least 2 um so that the label can be drawn [nm]."""
    return max(2000, int(max(y[-1] - y[0], x[-1] - x[0])) // 10)


def _top_cell(name: str, cells: list[Any], y: NDArray[np.int64], x: NDArray[np.int64]) -> Any:
    """All dies on a near-square array, row by row from the top left, a frame's width apart."""
    gdstk = require("gdstk", "fab")
    columns = math.ceil(math.sqrt(len(cells)))
    margin = _margin(y, x)
    step_x, step_y = int(x[-1] - x[0]) + 3 * margin, int(y[-1] - y[0]) + 5 * margin
    if max(step_x, step_y) * (columns + 1) >= _LIMIT:
        raise ValueError(
            f"pitch: expected dies that fit in 2.1 m, got {columns} columns of {step_x * _DBU:.3g} m."
        )
    top = gdstk.Cell(name)
    for k, cell in enumerate(cells):
        row, column = divmod(k, columns)
        top.add(gdstk.Reference(cell, (column * step_x * _DBU / _UNIT, -row * step_y * _DBU / _UNIT)))
    return top
