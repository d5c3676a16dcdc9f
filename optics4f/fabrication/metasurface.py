"""Metasurfaces: the nearest post for each wanted t, posts as referenced cells, and back.

One post stands in each cell of a square lattice. Its t is that of the periodic array of equal posts: the
local periodic approximation, which neglects that neighbours differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..files import write_file
from ..units import compact
from .bank import MaskBankData
from .hdf5 import MAX_BYTES
from .layout import cell_name, cell_stem
from .posts import PostLibrary, load_library
from .stream import check_whole

__all__ = ["PostLibrary", "load_library", "posts_entry", "read_posts", "write_posts"]

_DBU, _UNIT = 1e-9, 1e-6  # grid and user unit of the file [m]
_LIMIT = 2**31  # files keep coordinates in signed 32-bit integers
_SIDES = 32  # of the polygon of a round post, its corners on the axes
_COMPRESSION = 3  # of OASIS: a quarter of the time of gdstk's 6, for 4 % more bytes
_STAMP = datetime(2000, 1, 1)  # fixed, so that the same masks give the same bytes


def posts_entry(library: PostLibrary, bank: MaskBankData, name: str) -> dict[str, Any]:
    """How the posts draw a bank, with the library and the residual, for the manifest.

    Raises:
        ValueError: If the wavelengths differ, or a mask pixel is no whole number of cells.
    """
    if abs(library.wavelength - bank.wavelength) > 1e-3 * bank.wavelength:
        raise ValueError(
            f"library: expected posts for {compact(bank.wavelength, 'm', 6)}, "
            f"got {compact(library.wavelength, 'm', 6)}."
        )
    cells = [round(pitch / library.cell_pitch) for pitch in bank.pitch]
    for pitch, many, count in zip(bank.pitch, cells, bank.transmittance.shape[-2:], strict=True):
        if many < 1 or abs(pitch / library.cell_pitch - many) * count / 2 > 0.1:
            raise ValueError(
                f"library: expected masks on a whole number of cells of "
                f"{compact(library.cell_pitch, 'm', 6)}, got a pitch of "
                f"{compact(pitch, 'm', 6)}; a wrapped phase is not resampled."
            )
    rms, largest = library.residual(bank.transmittance)
    return {
        "cells_per_pixel": cells,
        "cell_pitch": library.cell_pitch,
        "cell_pitch_unit": "m",
        "round_posts": library.round_posts,
        "size": library.size.tolist(),
        "size_unit": "m",
        "transmittance": [[t.real, t.imag] for t in library.transmittance.tolist()],
        "residual_rms": rms,
        "residual_max": largest,
        "cell_stem": cell_stem(name),
        "rule": "each cell holds the post whose complex t is nearest; drawn area is the post; layer 1",
    }


def write_posts(path: str | Path, bank: MaskBankData, entry: Mapping[str, Any]) -> None:
    """Write the posts of a bank as OASIS, or GDSII if the name ends in ``.gds``; a cell for each kind.

    Args:
        path: File to write.
        bank: The masks.
        entry: From :func:`posts_entry`.
    """
    gdstk = require("gdstk", "fab")
    drawn = gdstk.Library("OPTICS4F", unit=_UNIT, precision=_DBU)
    library = _library_of(entry, bank.wavelength)
    index = library.nearest(bank.transmittance)
    used = np.flatnonzero(np.bincount(index.ravel())).tolist()
    posts = {k: _post(f"{entry['cell_stem']}_P{k:05d}", library, k) for k in used}
    drawn.add(*posts.values())
    y, x = _positions(bank, entry)
    for out, in_ in np.ndindex(*index.shape[:2]):
        cell = gdstk.Cell(cell_name(entry["cell_stem"], out, in_))
        many_y, many_x = entry["cells_per_pixel"]
        kind = np.repeat(np.repeat(index[out, in_], many_y, axis=0), many_x, axis=1)
        drawn.add(cell.add(*_references(kind, posts, y, x)))

    def write(draft: Path) -> None:
        is_oasis = draft.suffix != ".gds"
        if is_oasis:
            drawn.write_oas(draft, compression_level=_COMPRESSION, validation="crc32")
        else:
            drawn.write_gds(draft, timestamp=_STAMP)
        check_whole(draft, is_oasis)

    write_file(path, write)


def _references(
    kind: NDArray[np.int64], posts: Mapping[int, Any], y: NDArray[np.int64], x: NDArray[np.int64]
) -> Iterator[Any]:
    """One reference for each kind of post, repeated wherever it stands."""
    gdstk = require("gdstk", "fab")
    # Small integers are sorted by counting, which is quick.
    order = np.argsort(kind.ravel().astype(np.uint16 if max(posts) < 2**16 else np.int64), kind="stable")
    count = np.bincount(kind.ravel())
    for k, cut in zip(np.flatnonzero(count).tolist(), _cuts(count), strict=True):
        row, column = np.divmod(order[cut], len(x))
        places = np.stack([x[column], y[row]], axis=1) * (_DBU / _UNIT)
        reference = gdstk.Reference(posts[k], tuple(places[0]))
        if len(places) > 1:
            reference.repetition = gdstk.Repetition(offsets=places[1:] - places[0])
        yield reference


def read_posts(path: str | Path, bank: MaskBankData, entry: Mapping[str, Any]) -> NDArray[np.complex128]:
    """Transmittance from the drawn posts: their extent is measured and looked up in the library of the entry.

    Args:
        path: OASIS or GDSII file that was compared with its hash; see :func:`~.layout.read_layout`.
        bank: Its geometry.
        entry: What the manifest says of the posts.

    Returns:
        Mean t of the posts of each pixel, shape [C_out, C_in, H, W].

    Raises:
        ValueError: If a cell is missing, or a post is of no listed size or on no place of the lattice.
    """
    gdstk = require("gdstk", "fab")
    read = gdstk.read_gds if Path(path).suffix == ".gds" else gdstk.read_oas
    cells = {cell.name: cell for cell in read(str(path), unit=_UNIT).cells}
    cells_drawn = bank.transmittance[0, 0].size * math.prod(map(int, entry["cells_per_pixel"]))
    if not 0 < 16 * cells_drawn <= MAX_BYTES:  # of complex128
        raise ValueError(f"{path}: expected at most {MAX_BYTES // 16} posts of a mask, got {cells_drawn}.")
    result = np.empty(bank.transmittance.shape, dtype=np.complex128)
    for out, in_ in np.ndindex(*result.shape[:2]):
        name = cell_name(entry["cell_stem"], out, in_)
        if name not in cells:
            raise ValueError(f"{path}: expected a cell '{name}', got none.")
        result[out, in_] = _read_mask(path, cells[name], bank, entry)
    return result


def _read_mask(
    path: str | Path, cell: Any, bank: MaskBankData, entry: Mapping[str, Any]
) -> NDArray[np.complex128]:
    library = _library_of(entry, bank.wavelength)
    y, x = _positions(bank, entry)
    t = np.full((len(y), len(x)), np.nan, dtype=np.complex128)
    for reference in cell.references:
        (left, bottom), (right, top) = reference.cell.bounding_box()
        error = np.abs(library.size - np.array([top - bottom, right - left]) * _UNIT).max(axis=1)
        if error.min() > 2 * _DBU:
            raise ValueError(f"{path}: expected posts of listed sizes, got one of {right - left:g} um.")
        offsets = reference.repetition.get_offsets() if reference.repetition.size else np.zeros((1, 2))
        place = np.rint((np.asarray(offsets) + reference.origin) * (_UNIT / _DBU)).astype(np.int64)
        column, row = np.searchsorted(x, place[:, 0]), np.searchsorted(y, place[:, 1])
        inside = (column < len(x)) & (row < len(y))
        if not inside.all() or np.any(x[column] != place[:, 0]) or np.any(y[row] != place[:, 1]):
            raise ValueError(f"{path}: expected posts on the lattice, got one beside it.")
        t[row, column] = library.transmittance[error.argmin()]
    if np.isnan(t).any():
        raise ValueError(f"{path}: expected a post in every cell, got empty ones.")
    many_y, many_x = entry["cells_per_pixel"]
    shape = bank.transmittance.shape[-2:]
    mean: NDArray[np.complex128] = t.reshape(shape[0], many_y, shape[1], many_x).mean(axis=(1, 3))
    return mean


def _positions(bank: MaskBankData, entry: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Centres of the cells on the grid of the file [nm], each rounded by itself."""
    centres = []
    for axis, (count, many) in enumerate(
        zip(bank.transmittance.shape[-2:], entry["cells_per_pixel"], strict=True)
    ):
        pixels = (np.arange(count * many) + 0.5) / many - 0.5 - bank.origin[axis]
        centre = pixels * (bank.pitch[axis] / _DBU)
        if not np.abs(centre).max() < _LIMIT:
            raise ValueError(f"pitch: expected cells within 2.1 m, got a pitch of {bank.pitch[axis]:.6g} m.")
        centres.append(np.rint(centre).astype(np.int64))
    return centres[0], centres[1]


def _cuts(count: NDArray[np.int64]) -> list[slice]:
    stops = np.cumsum(count[count > 0]).tolist()
    return [slice(start, stop) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


def _post(name: str, library: PostLibrary, k: int) -> Any:
    gdstk = require("gdstk", "fab")
    height, width = (library.size[k] / _UNIT).tolist()
    if library.round_posts:
        angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
        points = np.stack([width * np.cos(angle), height * np.sin(angle)], axis=1) / 2
        return gdstk.Cell(name).add(gdstk.Polygon(points, layer=1))
    corner = (width / 2, height / 2)
    return gdstk.Cell(name).add(gdstk.rectangle((-corner[0], -corner[1]), corner, layer=1))


def _library_of(entry: Mapping[str, Any], wavelength: float) -> PostLibrary:
    # Floats and nothing else: the matrix product of an array of objects brings NumPy down where it fails.
    t = np.array(entry["transmittance"], dtype=np.float64) @ np.array([1, 1j])
    pitch = f"{entry['cell_pitch']!r} m"
    return PostLibrary(np.array(entry["size"]), t, pitch, f"{wavelength!r} m", entry["round_posts"])
