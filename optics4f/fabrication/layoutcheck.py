"""Layouts of unknown origin: read by another process first, which a damaged file may bring down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..extras import require
from . import layoutprobe

_SECONDS = 60  # for a small file
_RATE = 10**5  # bytes that may take another second


def check_readable(path: str | Path) -> None:
    """Refuse a GDSII or OASIS file that cannot be read through, without reading it here.

    Files of an export folder are compared with their hashes instead; a file without a hash goes through this
    before gdstk gets it. References in circles and repetitions without end are refused as well.

    Args:
        path: OASIS if the name ends in ``.oas``, else GDSII.

    Raises:
        ValueError: If the file is damaged, or brings the other process down.
        FileNotFoundError: If there is no such file.
        MissingExtraError: If gdstk is not installed.
    """
    require("gdstk", "fab")
    place = Path(path).resolve(strict=True)
    last = said_by(path, [layoutprobe.__file__, str(place)])
    if last != layoutprobe.SOUND:
        raise ValueError(f"{path}: expected a layout, got {last[:300] or 'nothing'}.")


def said_by(path: str | Path, arguments: Sequence[str]) -> str:
    """The last line that another Python prints about a layout; it knows the same packages as this one.

    Args:
        path: The layout, for the time that it may take and for the sentence.
        arguments: Of the interpreter.

    Raises:
        ValueError: If the file brings the other process down, or takes too long.
    """
    limit = _SECONDS + Path(path).stat().st_size / _RATE
    # -P: a gdstk.py beside the file or the user is not run.
    command = [sys.executable, "-P", *arguments]
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    try:
        found = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=limit,
            check=False,
            env=known,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path}: expected a layout, got one that takes more than {limit:.0f} s.") from None
    if found.returncode:
        raise ValueError(
            f"{path}: expected a layout, got a file that ends the program that reads it "
            f"(exit {found.returncode})."
        )
    return (found.stdout.splitlines() or [""])[-1]
