"""A trained student as a folder: numbers in safetensors, the rest as JSON. Loading runs no code."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from optics4f import __version__
from optics4f.cascade import Cascade
from optics4f.extras import require
from optics4f.files import write_file, write_json

from .constrain import phase_only
from .sclc import SCLC, StudentDesign

FORMAT, FORMAT_VERSION = "optics4f-student", 1


def save_student(student: SCLC, folder: str | Path, notes: dict[str, Any] | None = None) -> None:
    """Write ``student.safetensors`` and ``student.json`` into a folder, each atomically.

    Args:
        student: A student with a cascade, or its phase-only form.
        folder: Made if needed.
        notes: Anything worth keeping beside it, e.g. the data set and accuracies.

    Raises:
        ValueError: If the front end is neither.
        MissingExtraError: If safetensors is not installed.
    """
    save_file = require("safetensors.torch", "train").save_file
    state = {name: value.detach().cpu().contiguous() for name, value in student.state_dict().items()}
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "levels": _levels(student),
        "design": asdict(student.design),
        "notes": notes or {},
    }
    write_file(Path(folder) / "student.safetensors", lambda draft: save_file(state, draft))
    write_json(Path(folder) / "student.json", header)


def load_student(folder: str | Path) -> SCLC:
    """The student that :func:`save_student` wrote, in evaluation mode.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, foreign, or newer than this version reads.
    """
    place = Path(folder)
    header = _header(place / "student.json")
    student = SCLC(_design(header, place))
    if header.get("levels") is not None:
        student = phase_only(student, int(header["levels"]))
    try:
        state = require("safetensors.torch", "train").load_file(place / "student.safetensors")
        student.load_state_dict(state)
    except FileNotFoundError:
        raise FileNotFoundError(f"{place}: expected student.safetensors, found none.") from None
    except Exception as error:
        raise ValueError(
            f"{place}: expected numbers that fit the design, got: {str(error).splitlines()[0]}"
        ) from error
    return student.eval()


def _levels(student: SCLC) -> int | None:
    if isinstance(student.optics, Cascade):
        return None
    levels = getattr(getattr(student.optics, "masks", None), "levels", None)
    if levels is None:
        raise ValueError("save_student: expected a cascade or a phase-only student, got another front end.")
    return int(levels)


def _header(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent}: expected a folder with student.json, found none.")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got: {error}.") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{path}: expected the format {FORMAT}, got something else.")
    if header.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected format version {FORMAT_VERSION}, got {header.get('format_version')}."
        )
    return header


def _design(header: dict[str, Any], place: Path) -> StudentDesign:
    given = header.get("design")
    names = {field.name for field in fields(StudentDesign)}
    if not isinstance(given, dict) or set(given) != names:
        raise ValueError(f"{place}: expected a design with {', '.join(sorted(names))}, got another.")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return StudentDesign(**values)
