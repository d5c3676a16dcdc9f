"""Pictures: written whole; read with kind, size and packing checked before a pixel is unpacked."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require
from ..files import write_file


def write_picture(path: str | Path, pixels: NDArray[Any], format: str) -> None:
    """Write pixels (booleans, 8 or 16 bits) as a PNG or TIFF.

    Args:
        path: File to write.
        pixels: Shape (H, W), row 0 at the top.
        format: As Pillow names it.
    """
    picture = require("PIL.Image", "fab").fromarray(np.ascontiguousarray(pixels))
    stream = io.BytesIO()  # into a file Pillow writes what there is room for, and does not always say so
    picture.save(stream, format=format)
    write_file(path, lambda draft: draft.write_bytes(stream.getbuffer()))


def read_grey(
    path: str | Path, mode: str, shape: tuple[int, int], formats: tuple[str, ...], words: str = ""
) -> NDArray[Any]:
    """Grey values of a picture, row 0 at the top.

    Args:
        path: The file.
        mode: As Pillow names it: "1", "L" or "I;16".
        shape: Pixels (H, W).
        formats: Those it may have: "PNG", "BMP", "TIFF". No other reader is tried.
        words: What the mode is, for the sentence.

    Raises:
        ValueError: If the file is damaged, has another format, mode or shape, or is a compressed TIFF.
        FileNotFoundError: If there is no such file.
        MissingExtraError: If Pillow is not installed.
    """
    image = require("PIL.Image", "fab")
    wanted = f"{mode} {shape[0]} x {shape[1]}"
    Path(path).stat()  # a missing file is reported as such, by the system
    try:
        # Pillow warns of large pictures and of damaged headers; here both end in a sentence or are harmless.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = image.open(path, formats=formats)
        with picture:
            found = f"{picture.mode} {picture.height} x {picture.width}"
            packing = picture.info.get("compression", "raw") if picture.format == "TIFF" else "raw"
            if found == wanted and packing == "raw":
                return _pixels(picture)
    except Exception as error:  # Pillow raises many kinds of errors for damaged files
        reason = " ".join(str(error).replace(str(path), "it").split()) or type(error).__name__
        raise ValueError(
            f"{path}: expected a sound {' or '.join(formats)}, got another file ({reason[:200].rstrip('.')})."
        ) from None
    packed = "" if packing == "raw" else f", packed by {packing}"
    raise ValueError(f"{path}: expected {words}{wanted}, got {found}{packed}.")


def _pixels(picture: Any) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture.load()
    return np.array(picture)
