"""Binary etch masks as GDSII or OASIS, and back.

One file per bank, one cell per mask, one layer per etch step. The optical axis is the origin of each cell, y
up, x right, seen looking against the light. A top cell places all masks as dies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..files import write_file
from .bank import MaskBankData, phase_only
from .dies import LABEL_LAYER, STOP_LAYER, die_cells, keep_one_layer
from .layers import cell_name, cell_stem, chrome_table, etch_rows, layer_table, outline_row
from .marks import Marks, Wafer
from .raster import merge_rectangles, rasterise
from .relief import (
    etch_masks,
    level_of_etch_masks,
    mask_count,
    phase_of_level,
    quantise_phase,
)
from .stream import Boxes, write_gds, write_oas

__all__ = [
    "LABEL_LAYER",
    "STOP_LAYER",
    "cell_name",
    "cell_stem",
    "chrome_table",
    "layer_table",
    "outline_row",
    "pixel_edges",
    "read_chrome",
    "read_layout",
    "write_chrome",
    "write_layout",
]

_DBU = 1e-9  # grid of the file [m]
_BAND = 64  # rows
_UNIT = 1e-6  # user unit of the file [m]
_LIMIT = 2**31  # GDSII keeps coordinates in signed 32-bit integers


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
    path: str | Path,
    bank: MaskBankData,
    name: str,
    levels: int,
    refractive_index: float,
    *,
    marks: Marks | None = None,
    wafer: Wafer | None = None,
    compact: bool = False,
    only: int | None = None,
) -> None:
    """Write the etch masks of a phase-only bank; GDSII, or OASIS if the name ends in ``.oas``.

    Args:
        path: File to write.
        bank: Bank with constant transmittance modulus.
        name: Name of the bank, for cells and labels.
        levels: Number of height levels, a power of two from 2 to 256.
        refractive_index: Index of the material; it does not change the drawing, only the etch depths.
        marks: Crosses, verniers and an outline beside each die, or None.
        wafer: A wafer with copies of all dies, or None.
        compact: Write OASIS records relative to one another: the same drawing, faster and in a third of the
            bytes. Without effect on GDSII.
        only: Write this layer alone, in polygons of at most four corners, as OASIS.MASK wants it.

    Raises:
        ValueError: If the modulus varies, the levels are not such a power, or the masks do not fit the file.
    """
    layer_table(levels, bank.wavelength, refractive_index)  # refuses bad levels or index before the work
    phasor = phase_only(bank, name).transmittance
    masks = (etch_masks(_levels(phasor[index], levels), levels) for index in np.ndindex(*phasor.shape[:2]))
    _write(path, bank, name, masks, mask_count(levels), marks, wafer, compact, only)


def write_chrome(
    path: str | Path,
    bank: MaskBankData,
    name: str,
    *,
    marks: Marks | None = None,
    wafer: Wafer | None = None,
    compact: bool = False,
) -> None:
    """Write a bank of dark and bright pixels as chrome on glass; args as for :func:`write_layout`.

    Raises:
        ValueError: If the transmittance has more than two values, 0 and one bright one.
    """
    dark = bank.transmittance == 0
    bright = bank.transmittance[~dark]
    if bright.size and np.abs(bright - bright[0]).max() > 1e-6:  # some tens of epsilon of complex64
        raise ValueError(f"bank '{name}': expected pixels that are 0 or one bright value, got more values.")
    masks = ([dark[index]] for index in np.ndindex(*dark.shape[:2]))
    _write(path, bank, name, masks, 1, marks, wafer, compact)


def _levels(phasor: NDArray[np.complex64], levels: int) -> NDArray[np.uint8]:
    """Levels of one mask, a band of rows at a time: in double precision all of it would be large."""
    level = np.empty(phasor.shape, dtype=np.uint8)
    for start in range(0, len(phasor), _BAND):
        band = slice(start, start + _BAND)
        level[band] = quantise_phase(np.angle(phasor[band].astype(np.complex128)), levels)
    return level


def _write(
    path: str | Path,
    bank: MaskBankData,
    name: str,
    masks: Iterator[list[NDArray[np.bool_]]],
    layers: int,
    marks: Marks | None,
    wafer: Wafer | None,
    compact: bool,
    only: int | None = None,
) -> None:
    y, x = _bank_edges(bank)
    stem = cell_stem(name)
    names = [cell_name(stem, *index) for index in np.ndindex(*bank.transmittance.shape[:2])]
    window = (int(x[0]), int(y[0]), int(x[-1]), int(y[-1]))
    cells = die_cells(stem, names, window, layers, marks, wafer)
    library = require("gdstk", "fab").Library("OPTICS4F", unit=_UNIT, precision=_DBU)
    library.add(*cells)
    drawn: Iterator[Boxes] = (_boxes(mask, y, x) for mask in masks)
    if only is not None:
        keep_one_layer(cells, only)
        drawn = ([box for box in boxes if box[0] == only] for boxes in drawn)
        drawn = drawn if only <= layers else repeat([], len(names))
    boxes = chain(repeat([], len(cells) - len(names)), drawn)
    if Path(path).suffix == ".oas":
        write_file(path, lambda draft: write_oas(draft, library, boxes, compact))
    else:
        write_file(path, lambda draft: write_gds(draft, library, boxes))


def read_layout(path: str | Path | Mapping[int, Path], entry: Mapping[str, Any]) -> MaskBankData:
    """Rebuild a bank from the polygons of its file: pixels sampled at their centres, then levels and phase.

    Compare the file with its hash before, or pass it through :func:`~.layoutcheck.check_readable`: gdstk ends
    the interpreter on some damaged files.

    Args:
        path: GDSII or OASIS file, or the file of each layer.
        entry: What the manifest says of the bank: shape, geometry and layers, but no mask.

    Raises:
        ValueError: If a cell is missing or holds something that is not an etch mask.
    """
    layout = entry["layout"]
    rows = etch_rows(layout)
    files = path if isinstance(path, Mapping) else dict.fromkeys((row["layer"] for row in rows), path)
    opened = {file: _cells(file) for file in dict.fromkeys(files.values())}
    drawn = {name: layout[name] for name in ("levels", "refractive_index")}
    shape = tuple(entry["shape"])
    bank = MaskBankData.from_described(
        np.ones(shape), {**entry["geometry"], **drawn, "refractive_index_unit": "1"}
    )
    level = np.empty(shape, dtype=np.int64)
    for out, in_ in np.ndindex(*shape[:2]):
        name = cell_name(layout["cell_stem"], out, in_)
        found = [_cell(opened[files[row["layer"]]], name, files[row["layer"]]) for row in rows]
        level[out, in_] = _read_level(found, rows, bank)
    return replace(bank, transmittance=np.exp(1j * phase_of_level(level, bank.levels)))


def read_chrome(path: str | Path, stem: str, like: MaskBankData) -> NDArray[np.bool_]:
    """Where the chrome of a file lies, on the pixels of a bank, shape [C_out, C_in, H, W].

    Raises:
        ValueError: As :func:`read_layout`.
    """
    cells = _cells(path)
    dark = np.empty(like.transmittance.shape, dtype=bool)
    for index in np.ndindex(*dark.shape[:2]):
        cell = _cell(cells, cell_name(stem, *index), path)
        dark[index] = ~_read_level([cell], chrome_table()[:1], like).astype(bool)
    return dark


def _cells(path: str | Path) -> dict[str, Any]:
    gdstk = require("gdstk", "fab")
    read = gdstk.read_oas if Path(path).suffix == ".oas" else gdstk.read_gds
    return {cell.name: cell for cell in read(str(path), unit=_UNIT).cells}


def _cell(cells: dict[str, Any], name: str, path: str | Path) -> Any:
    if name not in cells:
        raise ValueError(f"{path}: expected a cell '{name}', got none.")
    return cells[name]


def _read_level(cells: list[Any], rows: list[dict[str, Any]], bank: MaskBankData) -> NDArray[np.int64]:
    """Levels from the cell of each etch layer."""
    height, width = bank.transmittance.shape[-2:]
    y = (np.arange(height) - bank.origin[0]) * (bank.pitch[0] / _DBU)
    x = (np.arange(width) - bank.origin[1]) * (bank.pitch[1] / _DBU)
    masks = []
    for cell, row in zip(cells, rows, strict=True):
        polygons = cell.get_polygons(layer=row["layer"], datatype=row["datatype"])
        # Whole nanometres again: user units are micrometres in floating point.
        masks.append(rasterise([np.rint(p.points * (_UNIT / _DBU)) for p in polygons], y, x))
    return level_of_etch_masks(masks)


def _bank_edges(bank: MaskBankData) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    (rows, columns), (y, x), (dy, dx) = bank.transmittance.shape[-2:], bank.origin, bank.pitch
    return pixel_edges(rows, y, dy), pixel_edges(columns, x, dx)


def _boxes(masks: list[NDArray[np.bool_]], y: NDArray[np.int64], x: NDArray[np.int64]) -> Boxes:
    """Rectangles of the masks, mask i on layer i + 1."""
    boxes = []
    for bit, mask in enumerate(masks):
        row, row_stop, column, column_stop = merge_rectangles(mask).T
        boxes.append((bit + 1, np.stack([x[column], y[row], x[column_stop], y[row_stop]], axis=1)))
    return boxes
