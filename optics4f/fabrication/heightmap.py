"""Height maps: 16-bit grey TIFF with its scale in the manifest, and points x y z as text; and back.

The height is what stands above the deepest floor. Row 0 of the picture is the top of the pattern, the largest
y; the points carry their own coordinates.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_file
from .bank import MaskBankData
from .pictures import read_grey, write_picture
from .relief import height_2pi, phase_of_height, quantise_phase, relief_height

STEPS = 65536
_METRES = 1e-6  # of the numbers in a file of points: micrometres
_LONGEST = 200  # bytes of a line of points


def tiff_entry(wavelength: float, refractive_index: float) -> dict[str, Any]:
    r"""How a grey value becomes a height: :math:`h = g\,\lambda / (65536\,(n - 1))`.

    Args:
        wavelength: Vacuum wavelength [m].
        refractive_index: Index of the material, larger than 1.
    """
    full = height_2pi(wavelength, refractive_index)
    return {
        "refractive_index": refractive_index,
        "height_2pi": full,
        "height_2pi_unit": "m",
        "step": full / STEPS,
        "step_unit": "m",
        "rule": "height above the deepest floor = grey * step; a height that rounds to height_2pi is 0",
        "row_0": "top of the pattern, largest y",
    }


def points_entry(wavelength: float, refractive_index: float) -> dict[str, Any]:
    """What the columns of a file of points are."""
    full = height_2pi(wavelength, refractive_index)
    return {
        "refractive_index": refractive_index,
        "height_2pi": full,
        "height_2pi_unit": "m",
        "columns": ["x", "y", "z"],
        "columns_unit": "um",
        "rule": "z: height above the deepest floor at the centre of a pixel; the optical axis is at 0, 0",
    }


def write_height_map(path: str | Path, phase: NDArray[Any]) -> None:
    """Write one mask as a 16-bit grey TIFF, uncompressed.

    Args:
        path: File to write.
        phase: Phase [rad], shape (H, W), row index growing with +y.
    """
    write_picture(path, np.flipud(quantise_phase(phase, STEPS).astype(np.uint16)), "TIFF")


def read_height_map(
    path: str | Path, shape: tuple[int, int], wavelength: float, refractive_index: float
) -> NDArray[np.float64]:
    """Phase [rad] of one TIFF through its heights, shape (H, W), row index growing with +y.

    Raises:
        ValueError: If the picture is damaged, or not plain 16-bit grey of this shape.
    """
    grey = read_grey(path, "I;16", shape, ("TIFF",), "16-bit grey, ")
    height = np.flipud(grey) * (height_2pi(wavelength, refractive_index) / STEPS)
    return phase_of_height(height, wavelength, refractive_index)


def write_points(path: str | Path, phase: NDArray[Any], bank: MaskBankData, refractive_index: float) -> None:
    """Write one mask as lines "x y z" [um], to 1 pm, x running fastest.

    Args:
        path: File to write.
        phase: Phase [rad], shape (H, W), row index growing with +y.
        bank: Its geometry.
        refractive_index: Index of the material, larger than 1.
    """
    y, x = (
        (np.arange(n) - origin) * pitch
        for n, origin, pitch in zip(phase.shape, bank.origin, bank.pitch, strict=True)
    )
    height = relief_height(phase, bank.wavelength, refractive_index)
    points = (
        np.stack([*np.broadcast_arrays(x[None, :], y[:, None]), height], axis=-1).reshape(-1, 3) / _METRES
    )
    header = "x y z in micrometres; z is the height above the deepest floor"
    write_file(path, lambda draft: np.savetxt(draft, points, fmt="%.6f", header=header))


def read_points(path: str | Path, bank: MaskBankData, refractive_index: float) -> NDArray[np.float64]:
    """Phase [rad] of a file of points, in whatever order they stand, shape (H, W).

    Raises:
        ValueError: If it is not one point for each pixel, or a point is on none.
    """
    shape = bank.transmittance.shape[-2:]
    points = _numbers(path, shape[0] * shape[1])
    if points.shape != (shape[0] * shape[1], 3) or not np.isfinite(points).all():
        raise ValueError(f"{path}: expected {shape[0] * shape[1]} points x y z, got {list(points.shape)}.")
    place = points[:, 1::-1] * _METRES / np.array(bank.pitch) + np.array(bank.origin)
    nearest = np.rint(place)
    if np.any(np.abs(place - nearest) > 0.01) or np.any(nearest < 0) or np.any(nearest >= shape):
        raise ValueError(f"{path}: expected points on the centres of the pixels, got others.")
    pixel = nearest.astype(np.int64)
    full = height_2pi(bank.wavelength, refractive_index)
    if np.any(np.abs(points[:, 2] * _METRES - full / 2) > full):
        raise ValueError(f"{path}: expected heights of 0 to {full / _METRES:.6g} um, got others.")
    height = np.full(shape, np.nan)
    height[pixel[:, 0], pixel[:, 1]] = points[:, 2] * _METRES
    if np.isnan(height).any():
        raise ValueError(f"{path}: expected one point for each pixel, got some twice.")
    return phase_of_height(height, bank.wavelength, refractive_index)


def _numbers(path: str | Path, lines: int) -> NDArray[np.float64]:
    """The lines of a file as numbers; its size is looked at first."""
    try:
        if (size := Path(path).stat().st_size) > _LONGEST * (lines + 1):
            raise ValueError(f"{size} bytes for {lines} points")
        with Path(path).open(encoding="ascii") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without a line it warns
            return np.loadtxt(file, ndmin=2)
    except ValueError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"{path}: expected lines of three numbers, got something else ({reason}).") from None
