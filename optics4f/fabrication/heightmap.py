"""Height maps: 16-bit grey TIFF with its scale in the manifest, and points x y z as text; and back.

The height is what stands above the deepest floor. Row 0 of the picture is the top of the pattern, the largest
y; the points carry their own coordinates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..files import write_file
from .bank import MaskBankData
from .relief import height_2pi, phase_of_height, quantise_phase, relief_height

STEPS = 65536
_METRES = 1e-6  # of the numbers in a file of points: micrometres


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
    image = require("PIL.Image", "fab")
    grey = np.ascontiguousarray(np.flipud(quantise_phase(phase, STEPS).astype(np.uint16)))
    write_file(path, lambda draft: image.fromarray(grey).save(draft, format="TIFF"))


def read_height_map(
    path: str | Path, shape: tuple[int, int], wavelength: float, refractive_index: float
) -> NDArray[np.float64]:
    """Phase [rad] of one TIFF through its heights, shape (H, W), row index growing with +y.

    Raises:
        ValueError: If the picture is not 16-bit grey of this shape.
    """
    image = require("PIL.Image", "fab")
    with image.open(path) as picture:
        found = f"{picture.mode} {picture.height} x {picture.width}"
        if found != f"I;16 {shape[0]} x {shape[1]}":
            raise ValueError(f"{path}: expected 16-bit grey, I;16 {shape[0]} x {shape[1]}, got {found}.")
        height = np.flipud(np.asarray(picture)) * (height_2pi(wavelength, refractive_index) / STEPS)
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
    try:
        points = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: expected lines of three numbers, got something else ({error}).") from None
    shape = bank.transmittance.shape[-2:]
    if points.shape != (shape[0] * shape[1], 3) or not np.isfinite(points).all():
        raise ValueError(f"{path}: expected {shape[0] * shape[1]} points x y z, got {list(points.shape)}.")
    place = points[:, 1::-1] * _METRES / np.array(bank.pitch) + np.array(bank.origin)
    pixel = np.rint(place).astype(np.int64)
    if np.any(np.abs(place - pixel) > 0.01) or np.any(pixel < 0) or np.any(pixel >= shape):
        raise ValueError(f"{path}: expected points on the centres of the pixels, got others.")
    height = np.full(shape, np.nan)
    height[pixel[:, 0], pixel[:, 1]] = points[:, 2] * _METRES
    if np.isnan(height).any():
        raise ValueError(f"{path}: expected one point for each pixel, got some twice.")
    return phase_of_height(height, bank.wavelength, refractive_index)
