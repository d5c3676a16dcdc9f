"""Libraries of posts for metasurfaces: read from CSV, MATLAB or HDF5, and the post for each wanted t.

The t of a post is that of the periodic array of equal posts: the local periodic approximation, which neglects
that neighbours differ.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..units import compact, positive_si, si
from .hdf5 import samples
from .matlab5 import variables

_NM = 1e-9
_LARGEST = 10**8  # numbers in a library
_GRID = 256  # cells a side of the table of nearest posts
# What readers raise on files that are damaged or something else.
_DAMAGED = (
    KeyError,
    IndexError,
    OSError,
    TypeError,
    ValueError,
    MemoryError,
    RuntimeError,
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
        slack = 1e-6 * _NM
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

        Where posts are equally good, the first is not preferred: any of them may come. Many values are looked
        up in a table of squares of the complex plane, and only those in a square that two posts share are
        asked for one by one: the answer is the same.
        """
        from scipy.spatial import cKDTree  # here, so that the command line starts fast

        wanted = np.ascontiguousarray(transmittance, dtype=np.complex128)
        tree = cKDTree(_plane(self.transmittance))
        points = wanted.reshape(-1, 1).view(np.float64)
        if len(points) < 2 * _GRID**2 or len(self.transmittance) < 2:  # the table would cost more
            index = tree.query(points)[1].astype(np.int64)
        else:
            index = _from_table(tree, points)
        return np.asarray(index.reshape(wanted.shape))

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
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise ValueError(f"{path}: expected a library of posts, got another file ({reason}).") from None


def _plane(t: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.stack([t.real, t.imag], axis=-1)


def _from_table(tree: Any, points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Nearest post of each point (x, y) by the square of [-1, 1]^2 it lies in."""
    side = 2 / _GRID
    middle = (np.arange(_GRID) + 0.5) * side - 1
    (near, second), (post, _) = (
        part.T for part in tree.query(np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2), k=2)
    )
    # No point of the square is farther than side / sqrt(2) from its middle, and the distance of no post
    # changes by more, so that one post is the nearest of the whole square. 1e-9 is for rounding.
    table = np.where(second - near > np.sqrt(2) * side + 1e-9, post, -1)
    cell = ((points + 1) / side).astype(np.int32)
    inside = ((cell >= 0) & (cell < _GRID)).all(axis=1)
    index = np.where(inside, table[(cell[:, 1] * _GRID + cell[:, 0]) * inside], -1)
    asked = np.flatnonzero(index < 0)
    index[asked] = tree.query(points[asked])[1]
    return index


def _read_csv(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    text = Path(path).read_text(encoding="utf-8-sig").splitlines()
    lines = [line for line in text if line.split("#")[0].strip()]
    words = bool(lines) and _is_title(lines[0])
    if not lines[words:]:
        raise ValueError("expected lines of numbers, got none")
    table = np.loadtxt(lines[words:], delimiter=",", ndmin=2)
    if table.shape[1] not in (2, 3):
        raise ValueError(f"expected the columns diameter [nm], phase [rad], |t|, got {table.shape[1]}")
    _check_finite(table)
    amplitude = table[:, 2] if table.shape[1] == 3 else 1.0
    return np.repeat(table[:, :1] * 1e-9, 2, axis=1), amplitude * np.exp(1j * table[:, 1])


def _is_title(line: str) -> bool:
    """Whether a line has words; "nan" and "1e3" are numbers."""
    fields = line.split("#")[0].split(",")
    try:
        return not [float(field) for field in fields]
    except ValueError:
        return any(letter.isalpha() for letter in line)


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
    if not abs(axis[at] - wavelength) <= 1e-3 * wavelength:
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
        return {name: _check_finite(read[name].array().real.astype(np.float64)) for name in names}
    with h5py.File(path, "r") as file:
        absent = [name for name in names if not isinstance(file.get(name, getlink=True), h5py.HardLink)]
        if absent:
            raise ValueError(f"expected {absent[0]} in this file, got a link or nothing")
        if sum(file[name].size for name in names) > _LARGEST:  # a few bytes may claim to be terabytes
            raise ValueError(f"expected at most {_LARGEST} numbers")
        # MATLAB counts its first axis fastest, so that its files hold every array transposed.
        turned = any("MATLAB_class" in file[name].attrs for name in names)
        arrays = {name: _check_finite(samples(file, name, 16 * _LARGEST)) for name in names}
    return {name: array.T if turned else array for name, array in arrays.items()}


def _check_finite(array: NDArray[Any]) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError("expected finite real numbers, got others")
    return array.astype(np.float64)
