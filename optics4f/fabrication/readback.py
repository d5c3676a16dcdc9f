"""From an exported folder back to masks, by the files alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .bank import MaskBankData
from .checks import choice
from .drawing import read_bank
from .export import FORMATS
from .hdf5 import MAX_BYTES
from .manifest import NAME, ExportedFile, Manifest
from .maskset import MaskSet
from .schema import check_schema

_SHAPE = {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "integer", "minimum": 1}}


def read_back(out_dir: str | Path, format: str) -> MaskSet:
    """Rebuild the banks from the exported files of one format, by the manifest.

    The banks come back as drawn: quantised, and on the grid of the encoding. Polygons are rasterised,
    heights become phases by the index of the material, grey values go backwards through the list of the
    device, posts are measured.

    Args:
        out_dir: Folder that was exported to.
        format: One of the formats of :func:`~.export.export_masks`.

    Raises:
        ValueError: If the folder does not hold this format, or a file is missing, damaged or altered.
    """
    choice("format", format, FORMATS)
    out = Path(out_dir)
    manifest = Manifest.load(out)  # compares every file with its hash: only then is one parsed
    banks = {}
    for name, entry in manifest.banks.items():
        files = [file for file in manifest.files if (file.bank, file.format) == (name, format)]
        if not files:
            raise ValueError(f"{out}: expected files of the format '{format}' for bank '{name}', got none.")
        banks[name] = _read_one(out, files, name, entry, format)
    try:
        return MaskSet(banks, {"read_back_from": format, "source_sha256": manifest.source_sha256})
    except ValueError as error:
        raise ValueError(f"{out / NAME}: {error}") from None


def _read_one(
    out: Path, files: list[ExportedFile], name: str, entry: dict[str, Any], format: str
) -> MaskBankData:
    try:
        shape = entry["shape"]
        check_schema(shape, _SHAPE, "shape")
        if 8 * math.prod(shape) > MAX_BYTES:  # of complex64
            raise ValueError(f"shape: expected at most {MAX_BYTES // 8} samples, got {shape}")
        # Numbers of a strange manifest may overflow; what is not finite is refused where it arrives.
        with np.errstate(all="ignore"):
            return read_bank(out, files, entry, format)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"{out / NAME}: expected a complete bank '{name}', got a wrong {error}.") from None
    except ValueError as error:
        if str(error).startswith(str(out)):
            raise
        raise ValueError(f"{out / NAME}: expected a complete bank '{name}', got another ({error}).") from None
