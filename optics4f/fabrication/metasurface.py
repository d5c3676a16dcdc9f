"""Metasurfaces: a library of posts, the post for each wanted t, posts as referenced cells, and back.

One post stands in each cell of a square lattice. Its t is that of the periodic array of equal posts: the
local periodic approximation, which neglects that neighbours differ.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..files import write_file
from ..units import compact, positive_si, si
from .bank import MaskBankData
from .layout import cell_name, cell_stem
from .matlab5 import variables

_DBU, _UNIT = 1e-9, 1e-6  # grid and user unit of the file [m]
_SIDES = 32  # of the polygon of a round post, its corners on the axes
_STAMP = datetime(2000, 1, 1)  # fixed, so that the same masks give the same bytes
_LARGEST = 10**8  # numbers in a library
# What readers raise on files that are damaged or something else.
_DAMAGED = (
    KeyError,
    IndexError,
    OSError,
    TypeError,
    ValueError,
    NotImplementedError,
    AttributeError,
    struct.error,
    zlib.error,
)
_SIGNS = ("exp(-iwt)", "exp(+iwt)")


@dataclass(frozen=True, eq=False)
class PostLibrary:
    r"""Posts and the amplitude transmittance of their periodic arrays, at one wavelength and polarisation.

    Args:
        size: Extent (y, x) of each post [m], shape (K, 2); the diameter twice if round.
        transmittance: Complex t of each, time dependence exp(-i omega t), shape (K,).
        cell_pitch: Side of the square cell [length].
        wavelength: Vacuum wavelength [length].
        round_posts: Whether posts are round, else rectangles.

    Raises:
        ValueError: If a post does not fit its cell or \|t\| exceeds 1, or the shapes do not match.
        TypeError: If a length has no unit.

    Source: the file formats follow D-Flat and the usual sweeps; local periodic approximation.
    """

    size: NDArray[np.float64]
    transmittance: NDArray[np.complex128]
    cell_pitch: Any
    wavelength: Any
    round_posts: bool = True

    def __post_init__(self) -> None:
        pitch = positive_si(self.cell_pitch, "m", "PostLibrary cell_pitch")
        wavelength = positive_si(self.wavelength, "m", "PostLibrary wavelength")
        size, t = np.array(self.size, dtype=np.float64), np.array(self.transmittance, dtype=np.complex128)
        if size.ndim != 2 or size.shape != (len(t), 2) or t.ndim != 1 or not len(t):
            raise ValueError(
                f"PostLibrary: expected sizes (K, 2) and t (K,), got {list(size.shape)} and {list(t.shape)}."
            )
        if not (size.min() > 0 and size.max() <= pitch):
            raise ValueError(
                f"PostLibrary size: expected more than 0 and at most the cell of {compact(pitch, 'm')}, got "
                f"{compact(float(size.min()), 'm')} to {compact(float(size.max()), 'm')}."
            )
        if not np.abs(t).max() <= 1 + 1e-3:  # solvers end with such errors; NaN is refused too
            raise ValueError(f"PostLibrary transmittance: expected |t| <= 1, got {np.abs(t).max():.6g}.")
        t = t / np.maximum(np.abs(t), 1.0)
        for name, value in (
            ("size", size),
            ("transmittance", t),
            ("cell_pitch", pitch),
            ("wavelength", wavelength),
        ):
            object.__setattr__(self, name, value)

    def allowed(self, min_feature: Any, min_gap: Any) -> PostLibrary:
        """The posts that can be made: no side under ``min_feature``, no gap between equals under ``min_gap``.

        Args:
            min_feature: Smallest side or diameter [length].
            min_gap: Smallest distance of posts of equal size [length].

        Raises:
            ValueError: If none is left.
        """
        feature = si(min_feature, "m", "PostLibrary min_feature")
        gap = si(min_gap, "m", "PostLibrary min_gap")
        slack = 1e-6 * _DBU
        smallest, largest = self.size.min(axis=1), self.size.max(axis=1)
        keep = (smallest >= feature - slack) & (self.cell_pitch - largest >= gap - slack)
        if not keep.any():
            raise ValueError(
                f"PostLibrary: expected posts of at least {compact(feature, 'm')} with gaps of "
                f"{compact(gap, 'm')}, got sides of {compact(float(self.size.min()), 'm')} to "
                f"{compact(float(self.size.max()), 'm')} in cells of {compact(self.cell_pitch, 'm')}."
            )
        lengths = {"cell_pitch": f"{self.cell_pitch!r} m", "wavelength": f"{self.wavelength!r} m"}
        return PostLibrary(self.size[keep], self.transmittance[keep], round_posts=self.round_posts, **lengths)

    def nearest(self, transmittance: NDArray[Any]) -> NDArray[np.int64]:
        r"""Number of the post that minimises \|t - t_k\| for every wanted complex t, any shape.

        Where posts are equally good, the first is not preferred: any of them may come.
        """
        from scipy.spatial import cKDTree  # here, so that the command line starts fast

        wanted = np.asarray(transmittance, dtype=np.complex128)
        tree = cKDTree(_plane(self.transmittance))
        index: NDArray[np.int64] = tree.query(_plane(wanted.ravel()))[1].astype(np.int64)
        return index.reshape(wanted.shape)

    def residual(self, transmittance: NDArray[Any]) -> tuple[float, float]:
        r"""Root mean square and largest \|t - t_k\| of the nearest posts."""
        error = np.abs(self.transmittance[self.nearest(transmittance)] - transmittance)
        return float(np.sqrt(np.mean(error**2))), float(error.max())


def load_library(
    path: str | Path,
    cell_pitch: Any,
    wavelength: Any,
    polarisation: int = 0,
    time_dependence: str = "exp(-iwt)",
) -> PostLibrary:
    r"""Read a library: CSV of one wavelength, or MATLAB (v5, v7.3) or HDF5 with axes.

    CSV: columns diameter [nm], phase [rad] and, if there, \|t\|; a first line of words is skipped. The
    others: ``phase`` [rad] and ``transmission`` (\|t\|), shape [polarisation, leny, lenx, wavelength], with
    ``lenx``, ``leny`` [m] and ``wavelength_m``. MATLAB v7.3 keeps its axes in reverse, which is undone.

    Args:
        path: File; .csv, .mat, .h5 or .hdf5.
        cell_pitch: Side of the square cell [length].
        wavelength: Vacuum wavelength wanted [length].
        polarisation: Index on that axis.
        time_dependence: Of the solver; the phases of "exp(+iwt)" are turned round.

    Raises:
        ValueError: If the file is something else, or has no such wavelength or polarisation.
    """
    if time_dependence not in _SIGNS:
        raise ValueError(f"time_dependence: expected one of {', '.join(_SIGNS)}, got {time_dependence!r}.")
    wanted = positive_si(wavelength, "m", "load_library wavelength")
    Path(path).stat()  # a missing file is reported as such, by the system
    try:
        if Path(path).suffix.lower() == ".csv":
            size, t = _read_csv(path)
        else:
            size, t = _read_axes(path, wanted, polarisation)
        t = t if time_dependence == _SIGNS[0] else t.conj()
        posts = bool(Path(path).suffix.lower() == ".csv")
        return PostLibrary(size, t, cell_pitch, wavelength, round_posts=posts)
    except _DAMAGED as error:
        raise ValueError(f"{path}: expected a library of posts, got another file ({error}).") from None


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
        # Small integers are sorted by counting, which is quick.
        order = np.argsort(kind.ravel().astype(np.uint16 if max(used) < 2**16 else np.int64), kind="stable")
        count = np.bincount(kind.ravel())
        for k, cut in zip(np.flatnonzero(count).tolist(), _cuts(count), strict=True):
            row, column = np.divmod(order[cut], len(x))
            places = np.stack([x[column], y[row]], axis=1) * (_DBU / _UNIT)
            reference = gdstk.Reference(posts[k], tuple(places[0]))
            if len(places) > 1:
                reference.repetition = gdstk.Repetition(offsets=places[1:] - places[0])
            cell.add(reference)
        drawn.add(cell)
    if Path(path).suffix == ".gds":
        write_file(path, lambda draft: drawn.write_gds(draft, timestamp=_STAMP))
    else:
        write_file(path, lambda draft: drawn.write_oas(draft, validation="crc32"))


def read_posts(path: str | Path, bank: MaskBankData, entry: Mapping[str, Any]) -> NDArray[np.complex128]:
    """Transmittance from the drawn posts: their extent is measured and looked up in the library of the entry.

    Args:
        path: OASIS or GDSII file.
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
        centres.append(np.rint(pixels * (bank.pitch[axis] / _DBU)).astype(np.int64))
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
    t = np.array(entry["transmittance"]) @ np.array([1, 1j])
    pitch = f"{entry['cell_pitch']!r} m"
    return PostLibrary(np.array(entry["size"]), t, pitch, f"{wavelength!r} m", entry["round_posts"])


def _plane(t: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.stack([t.real, t.imag], axis=-1)


def _read_csv(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    words = bool(lines) and any(letter.isalpha() and letter not in "eE" for letter in lines[0].split("#")[0])
    if not lines[words:]:
        raise ValueError("expected lines of numbers, got none")
    table = np.loadtxt(lines[words:], delimiter=",", ndmin=2)
    if table.shape[1] not in (2, 3):
        raise ValueError(f"expected the columns diameter [nm], phase [rad], |t|, got {table.shape[1]}")
    amplitude = table[:, 2] if table.shape[1] == 3 else 1.0
    return np.repeat(table[:, :1] * 1e-9, 2, axis=1), amplitude * np.exp(1j * table[:, 1])


def _read_axes(
    path: str | Path, wavelength: float, polarisation: int
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    data = _arrays(path)
    leny, lenx, axis = (data[name].ravel() for name in ("leny", "lenx", "wavelength_m"))
    shape = (len(leny), len(lenx), len(axis))
    for name in ("phase", "transmission"):
        if data[name].ndim != 4 or data[name].shape[1:] != shape:
            raise ValueError(f"expected {name} [polarisation, {shape[0]}, {shape[1]}, {shape[2]}]")
    at = int(np.abs(axis - wavelength).argmin())
    if abs(axis[at] - wavelength) > 1e-3 * wavelength:
        raise ValueError(f"expected the wavelength {wavelength:.6g} m, nearest is {axis[at]:.6g} m")
    if not 0 <= polarisation < len(data["phase"]):
        raise ValueError(f"expected a polarisation below {len(data['phase'])}, got {polarisation}")
    t = data["transmission"] * np.exp(1j * data["phase"])
    size = np.stack(np.meshgrid(leny, lenx, indexing="ij"), axis=-1)
    return size.reshape(-1, 2), t[polarisation, :, :, at].ravel()


def _arrays(path: str | Path) -> dict[str, NDArray[np.float64]]:
    h5py = require("h5py", "fab")
    names = ("phase", "transmission", "lenx", "leny", "wavelength_m")
    if not h5py.is_hdf5(path):
        # scipy.io.loadmat can bring the interpreter down on a damaged file.
        read = variables(Path(path).read_bytes(), 8 * _LARGEST)
        return {name: read[name].array().real.astype(np.float64) for name in names}
    with h5py.File(path, "r") as file:
        if sum(file[name].size for name in names) > _LARGEST:  # a few bytes may claim to be terabytes
            raise ValueError(f"expected at most {_LARGEST} numbers")
        # MATLAB counts its first axis fastest, so that its files hold every array transposed.
        turned = any("MATLAB_class" in file[name].attrs for name in names)
        arrays = {name: np.asarray(file[name][()], dtype=np.float64) for name in names}
    return {name: array.T if turned else array for name, array in arrays.items()}
