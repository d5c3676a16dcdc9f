"""A trained student as a folder: numbers in safetensors, the rest as JSON. Loading runs no code."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from optics4f import __version__
from optics4f.cascade import Cascade
from optics4f.elements import ComplexMask, PhaseMask
from optics4f.extras import require
from optics4f.files import write_file, write_json

from .constrain import phase_only, with_complex, with_fresh_back_end, with_phase
from .fewer_masks import MixedBench
from .relay import Relay
from .sclc import SCLC, StudentDesign

FORMAT, FORMAT_VERSION = "optics4f-student", 2
"""Version 2 adds one bank of complex or continuous phase masks, and fewer masks with a mesh behind them."""
FIRST = {"readout", "shape", "spacing", "wavelength", "focal_length", "channels", "kernel_sizes", "stops"}
FIRST |= {"pixels", "classes", "power"}
"""Fields of every design; those that came later have their defaults where a file leaves them out."""


def save_student(student: SCLC, folder: str | Path, notes: dict[str, Any] | None = None) -> None:
    """Write ``student.safetensors`` and ``student.json`` into a folder, each atomically.

    Args:
        student: A student with a cascade, or one bank of complex or phase masks, a mesh behind it or none.
        folder: Made if needed.
        notes: Anything worth keeping beside it, e.g. the data set and accuracies.

    Raises:
        ValueError: If the front end is another one.
        MissingExtraError: If safetensors is not installed.
    """
    save_file = require("safetensors.torch", "train").save_file
    state = {name: value.detach().cpu().contiguous() for name, value in student.state_dict().items()}
    header = {
        "format": FORMAT,
        **_front_end(student),
        "version": __version__,
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
    student = _built(SCLC(_design(header, place)), header)
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


def _front_end(student: SCLC) -> dict[str, Any]:
    """What the front end is; what version 1 can say is said in it."""
    optics = student.optics
    mixed = optics.weights.shape[1] if isinstance(optics, MixedBench) else None
    masks = getattr(optics.bench if isinstance(optics, MixedBench) else optics, "masks", None)
    if isinstance(optics, (Cascade, Relay)):
        return {"format_version": 1, "levels": None}
    if isinstance(masks, PhaseMask) and masks.levels and mixed is None:
        return {"format_version": 1, "levels": masks.levels}
    if not isinstance(masks, (ComplexMask, PhaseMask)):
        raise ValueError(
            "save_student: expected a cascade, or one bank of complex or phase masks, got another front end."
        )
    kind = "phase" if isinstance(masks, PhaseMask) else "complex"
    levels = masks.levels if isinstance(masks, PhaseMask) else None
    return {"format_version": 2, "levels": levels, "masks": kind, "mixed": mixed}


def _built(student: SCLC, header: dict[str, Any]) -> SCLC:
    """A student whose front end and back end take the stored numbers."""
    levels = header.get("levels")
    if header["format_version"] == 1:
        return student if levels is None else phase_only(student, int(levels))
    if header.get("masks") not in ("complex", "phase"):
        raise ValueError(f"student: expected complex or phase masks, got {header.get('masks')!r}.")
    optics, _ = with_complex(student.optics, int(header.get("mixed") or 0))
    if header["masks"] == "phase":
        optics = with_phase(optics, levels)
    return with_fresh_back_end(student, optics)


def _header(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path.parent}: expected a folder with student.json, found none.")
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got: {error}.") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(f"{path}: expected the format {FORMAT}, got something else.")
    if header.get("format_version") not in range(1, FORMAT_VERSION + 1):
        raise ValueError(
            f"{path}: expected format version 1 to {FORMAT_VERSION}, got {header.get('format_version')}."
        )
    return header


def _design(header: dict[str, Any], place: Path) -> StudentDesign:
    given = header.get("design")
    names = {field.name for field in fields(StudentDesign)}
    if not isinstance(given, dict) or not FIRST <= set(given) <= names:
        raise ValueError(f"{place}: expected a design with {', '.join(sorted(names))}, got another.")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return StudentDesign(**values)
