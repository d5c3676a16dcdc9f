"""8-bit grey bitmaps for a spatial light modulator, one PNG per mask, and back.

Row 0 of the file is the top of the pattern, the largest y: the array is turned upside down on the way out and
back on the way in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..extras import require
from ..files import write_file
from .relief import phase_of_level, quantise_phase

GREYS = 256
SIGNS = {"phase": 1, "minus_phase": -1}


def grey_rule(sign: str) -> str:
    """The phase-to-grey rule in words, for the manifest."""
    return f"grey = round({'-' if _sign(sign) < 0 else ''}phase * 256 / (2 pi)) mod 256"


def grey_of_phase(phase: ArrayLike, sign: str = "phase") -> NDArray[np.uint8]:
    r"""Grey value :math:`g = \pm 256\,\varphi / 2\pi \bmod 256`, rounded; nothing is stretched to fill it.

    Args:
        phase: Phase [rad], any shape.
        sign: "phase" if a higher grey value delays more, "minus_phase" for the opposite convention, which is
            that of slmsuite but for its constant offset of one grey value.

    Raises:
        ValueError: If the sign is neither.
    """
    return quantise_phase(_sign(sign) * np.asarray(phase, dtype=np.float64), GREYS).astype(np.uint8)


def phase_of_grey(grey: ArrayLike, sign: str = "phase") -> NDArray[np.float64]:
    r"""Phase of a grey value, :math:`\pm 2 \pi g / 256` wrapped to [0, 2 pi) [rad]."""
    level = _sign(sign) * np.asarray(grey, dtype=np.int64) % GREYS
    return phase_of_level(level, GREYS)


def write_bitmap(path: str | Path, phase: NDArray[Any], sign: str = "phase") -> None:
    """Write one mask as an 8-bit grey PNG, row 0 at the top (+y).

    Args:
        path: File to write.
        phase: Phase [rad], shape (H, W), row index growing with +y.
        sign: As in :func:`grey_of_phase`.
    """
    image = require("PIL.Image", "fab")
    grey = np.ascontiguousarray(np.flipud(grey_of_phase(phase, sign)))
    write_file(path, lambda draft: image.fromarray(grey).save(draft, format="PNG"))


def read_bitmap(path: str | Path, shape: tuple[int, int], sign: str = "phase") -> NDArray[np.float64]:
    """Phase [rad] of one PNG, shape (H, W), row index growing with +y.

    Raises:
        ValueError: If the picture is not 8-bit grey of this shape.
    """
    image = require("PIL.Image", "fab")
    with image.open(path) as picture:
        found = f"{picture.mode} {picture.height} x {picture.width}"
        if found != f"L {shape[0]} x {shape[1]}":
            raise ValueError(f"{path}: expected 8-bit grey, L {shape[0]} x {shape[1]}, got {found}.")
        return phase_of_grey(np.flipud(np.asarray(picture)), sign)


def _sign(sign: str) -> int:
    if sign not in SIGNS:
        raise ValueError(f"sign: expected one of {', '.join(SIGNS)}, got {sign!r}.")
    return SIGNS[sign]
