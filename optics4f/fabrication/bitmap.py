"""Grey bitmaps for modulators, micromirrors and grey-scale lithography, one PNG per mask, and back.

Without a device a bitmap has 8 bits and the size of the mask. On a modulator the mask stands in the middle of
all its pixels; phases are never resampled.

Row 0 of the file is the top of the pattern, the largest y: the array is turned upside down on the way out and
back on the way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..units import compact
from .bank import MaskBankData
from .devices import DoseCurve, Modulator, device_from, device_greys, device_shows, sign_factor
from .pictures import read_grey, write_picture
from .relief import phase_of_level, quantise_phase

GREYS = 256
_DRIFT = 0.1  # how far the edge of a mask may stray from the pixel it belongs to [pixels]
_MODES = {1: "1", 8: "L", 10: "I;16", 16: "I;16"}


def grey_rule(sign: str) -> str:
    """The phase-to-grey rule in words, for the manifest."""
    return f"grey = round({'-' if sign_factor(sign) < 0 else ''}phase * 256 / (2 pi)) mod 256"


def grey_of_phase(phase: ArrayLike, sign: str = "phase") -> NDArray[np.uint8]:
    r"""Grey value :math:`g = \pm 256\,\varphi / 2\pi \bmod 256`, rounded; nothing is stretched to fill it.

    Args:
        phase: Phase [rad], any shape.
        sign: "phase" if a higher grey value delays more, "minus_phase" for the opposite convention, which is
            that of slmsuite but for its constant offset of one grey value.

    Raises:
        ValueError: If the sign is neither.
    """
    return quantise_phase(sign_factor(sign) * np.asarray(phase, dtype=np.float64), GREYS).astype(np.uint8)


def phase_of_grey(grey: ArrayLike, sign: str = "phase") -> NDArray[np.float64]:
    r"""Phase of a grey value, :math:`\pm 2 \pi g / 256` wrapped to [0, 2 pi) [rad]."""
    level = sign_factor(sign) * np.asarray(grey, dtype=np.int64) % GREYS
    return phase_of_level(level, GREYS)


def write_bitmap(path: str | Path, phase: NDArray[Any], sign: str = "phase") -> None:
    """Write one mask as an 8-bit grey PNG, row 0 at the top (+y).

    Args:
        path: File to write.
        phase: Phase [rad], shape (H, W), row index growing with +y.
        sign: As in :func:`grey_of_phase`.
    """
    write_picture(path, np.flipud(grey_of_phase(phase, sign)), "PNG")


def read_bitmap(path: str | Path, shape: tuple[int, int], sign: str = "phase") -> NDArray[np.float64]:
    """Phase [rad] of one PNG or BMP, shape (H, W), row index growing with +y.

    Raises:
        ValueError: If the picture is damaged, or not 8-bit grey of this shape.
    """
    grey = read_grey(path, "L", shape, ("PNG", "BMP"), "8-bit grey, ")
    return phase_of_grey(np.flipud(grey), sign)


def device_entry(device: Modulator | DoseCurve, bank: MaskBankData, index: float | None) -> dict[str, Any]:
    """How a device draws the masks of a bank, for the manifest; the mask is in the middle of the device.

    Args:
        device: What shows them.
        bank: The masks.
        index: Refractive index of the resist, which a dose curve needs.

    Raises:
        ValueError: If the masks are larger than the device, or its pixels are not theirs.
    """
    height, width = bank.transmittance.shape[-2:]
    entry = {"device": device.described(), "row_0": "top of the pattern, largest y"}
    if isinstance(device, DoseCurve):
        rule = "grey = round(interpolated dose at the depth height_2pi - height)"
        return {
            **entry,
            "rule": rule,
            "refractive_index": index,
            "picture": [height, width],
            "window": [0, 0],
        }
    _check_pixels(device, bank)
    # Sample n // 2 of the mask is pixel N // 2 of the device, both counted along +y.
    bottom, left = device.shape[0] // 2 - height // 2, device.shape[1] // 2 - width // 2
    top = device.shape[0] - bottom - height
    return {
        **entry,
        "rule": "on where t = 1" if device.mirrors else "the grey value whose exp(i phase) is nearest",
        "picture": list(device.shape),
        "window": [top, left],
        "axis": [top + height - 1 - bank.origin[0], left + bank.origin[1]],
        "surround": "grey 0: off" if device.mirrors else "grey 0: flat and bright, not dark",
    }


def write_device_bitmap(
    path: str | Path, transmittance: NDArray[Any], wavelength: float, entry: Mapping[str, Any]
) -> None:
    """Write one mask as a PNG of 1, 8 or 16 bits (ten bits stand in the lower bits of 16).

    Args:
        path: File to write.
        transmittance: Shape (H, W), row index growing with +y.
        wavelength: Vacuum wavelength [m].
        entry: From :func:`device_entry`.
    """
    device = device_from(entry["device"])
    grey = np.flipud(device_greys(device, transmittance, wavelength, entry.get("refractive_index")))
    picture = np.zeros(entry["picture"], dtype={1: bool, 8: np.uint8}.get(device.bits, np.uint16))
    top, left = entry["window"]
    picture[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    write_picture(path, picture, "PNG")


def read_device_bitmap(
    path: str | Path, shape: tuple[int, int], wavelength: float, entry: Mapping[str, Any]
) -> NDArray[np.complex128]:
    """Transmittance of the mask in one PNG, shape (H, W), by the list of the device.

    Raises:
        ValueError: If the picture is damaged, not of the device, or its surround is not grey 0.
    """
    device = device_from(entry["device"])
    rows, columns = entry["picture"]
    grey = read_grey(path, _MODES[device.bits], (rows, columns), ("PNG",)).astype(np.int64)
    if grey.max() >= 2**device.bits:
        raise ValueError(f"{path}: expected grey values below {2**device.bits}, got {grey.max()}.")
    top, left = entry["window"]
    mask = grey[top : top + shape[0], left : left + shape[1]].copy()
    grey[top : top + shape[0], left : left + shape[1]] = 0
    if mask.shape != shape or grey.any():
        raise ValueError(f"{path}: expected grey 0 around the mask, got other values or a smaller picture.")
    return device_shows(device, np.flipud(mask), wavelength, entry.get("refractive_index"))


def _check_pixels(device: Modulator, bank: MaskBankData) -> None:
    for axis, count in enumerate(bank.transmittance.shape[-2:]):
        pitch, pixel = bank.pitch[axis], device.pitch[axis]
        if count > device.shape[axis]:
            raise ValueError(
                f"device '{device.name}': expected masks of at most {device.shape[0]} x {device.shape[1]} "
                f"pixels, got {count} along {'yx'[axis]}."
            )
        if abs(pitch - pixel) * count / 2 > _DRIFT * pixel:
            raise ValueError(
                f"device '{device.name}': expected masks on its pixels of {compact(pixel, 'm', 6)} along "
                f"{'yx'[axis]}, got {compact(pitch, 'm', 6)}; a wrapped phase is not resampled, so change "
                "the focal length or the input spacing."
            )
