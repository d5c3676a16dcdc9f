"""What writing tools take, and whether a layout is so: vertices, references, names, layers, coordinates."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..extras import require
from .layoutcheck import check_readable, said_by


@dataclass(frozen=True)
class Profile:
    """Limits of one tool; None is no limit.

    Args:
        name: Of the tool.
        max_vertices: Of one polygon.
        max_references: Definitions of cells, or references to them, in one file.
        max_depth: Levels of hierarchy, a cell without references being 1.
        max_layer: Largest layer number; the smallest is 0.
        max_layers: Layers in one file.
        max_name: Characters of a cell name.
        characters: Those that a cell name may have, as inside [] of a regular expression; "" for any.
        forbidden: Words that no cell name may contain, in any case.
        max_coordinate: Largest coordinate [m].
        one_top: Whether there must be exactly one top cell.
    """

    name: str
    max_vertices: int | None = None
    max_references: int | None = None
    max_depth: int | None = None
    max_layer: int | None = None
    max_layers: int | None = None
    max_name: int | None = None
    characters: str = ""
    forbidden: tuple[str, ...] = ()
    max_coordinate: float | None = None
    one_top: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that a tool would refuse.

    Args:
        rule: "vertices", "references", "depth", "layers", "name", "coordinates", "shape", "text" or "top".
        count: How often.
        text: A sentence with what was expected and what was found, the first time.
    """

    rule: str
    count: int
    text: str


@cache
def profiles() -> dict[str, Profile]:
    """The known tools by name.

    Example:
        >>> sorted(profiles())
        ['ebeam', 'generic', 'heidelberg_dwl66', 'heidelberg_mla150', 'oasis_mask']
    """
    tables = tomllib.loads((files(__package__) / "profiles.toml").read_text(encoding="utf-8"))
    return {
        name: Profile(name, **{**table, "forbidden": tuple(table.get("forbidden", ()))})
        for name, table in tables.items()
    }


def check_profile(layout: str | Path | Any, profile: str | Profile, strict: bool = False) -> list[Finding]:
    """Check a GDSII or OASIS file against the limits of a tool.

    Args:
        layout: The file, of any origin (another process reads it first), or a gdstk library.
        profile: A :class:`Profile`, or the name of a known one.
        strict: Whether a finding is an error.

    Raises:
        ValueError: If the profile is unknown, the file is damaged, or ``strict`` and there is a finding.
    """
    limits = _profile(profile)
    found = _elsewhere(layout, limits) if isinstance(layout, (str, Path)) else _findings(layout, limits)
    if strict and found:
        sentences = "\n".join(finding.text for finding in found)
        raise ValueError(f"profile {limits.name}: expected a layout that it takes, got:\n{sentences}")
    return found


def _profile(profile: str | Profile) -> Profile:
    if isinstance(profile, Profile):
        return profile
    if profile not in profiles():
        raise ValueError(f"profile: expected one of {', '.join(profiles())}, got {profile!r}.")
    return profiles()[profile]


def _findings(library: Any, limits: Profile) -> list[Finding]:
    return [*_names(library, limits), *_hierarchy(library, limits), *_shapes(library, limits)]


def _elsewhere(path: str | Path, limits: Profile) -> list[Finding]:
    """What another process finds, which a damaged file may bring down."""
    check_readable(path)
    call = f"from {__name__} import answer; answer()"
    last = said_by(path, ["-c", call, str(Path(path).resolve()), json.dumps(asdict(limits))])
    return [Finding(**finding) for finding in json.loads(last)]


def answer() -> None:
    """The other process of :func:`check_profile`: prints what it finds as one line of JSON."""
    path, numbers = sys.argv[1], json.loads(sys.argv[2])
    gdstk = require("gdstk", "fab")
    library = (gdstk.read_oas if path.endswith(".oas") else gdstk.read_gds)(path)
    limits = Profile(**{**numbers, "forbidden": tuple(numbers["forbidden"])})
    print(json.dumps([asdict(finding) for finding in _findings(library, limits)]))


def _names(library: Any, limits: Profile) -> Iterator[Finding]:
    names = [cell.name for cell in library.cells]
    for word in limits.forbidden:
        yield from _finding(
            "name", [n for n in names if word.lower() in n.lower()], f"no cell name with '{word}' in it"
        )
    if limits.characters:
        wrong = [n for n in names if re.search(f"[^{limits.characters}]", n)]
        yield from _finding("name", wrong, f"cell names of {limits.characters}")
    if limits.max_name is not None:
        yield from _finding(
            "name",
            [n for n in names if len(n) > limits.max_name],
            f"cell names of at most {limits.max_name} characters",
        )


def _hierarchy(library: Any, limits: Profile) -> Iterator[Finding]:
    references = sum(len(cell.references) for cell in library.cells)
    for count, what in ((references, "references"), (len(library.cells), "cells")):
        if limits.max_references is not None and count > limits.max_references:
            yield from _finding("references", [str(count)], f"at most {limits.max_references} {what}")
    depth = _depth(library)
    if limits.max_depth is not None and depth > limits.max_depth:
        yield from _finding("depth", [str(depth)], f"at most {limits.max_depth} levels of hierarchy")
    tops = [cell.name for cell in library.top_level()]
    if limits.one_top and len(tops) != 1:
        yield from _finding("top", [", ".join(tops)], "one top cell")


def _shapes(library: Any, limits: Profile) -> Iterator[Finding]:
    vertices, flat, doubled, texts = [], [], [], []
    for cell in library.cells:
        texts += [f"'{label.text}' in {cell.name}" for label in cell.labels]
        for polygon in cell.polygons:
            if limits.max_vertices is not None and polygon.size > limits.max_vertices:
                vertices.append(f"{polygon.size} in {cell.name}")
            if polygon.area() == 0:
                flat.append(cell.name)
            points = polygon.points
            if (points == points[[*range(1, len(points)), 0]]).all(axis=1).any():
                doubled.append(cell.name)
    yield from _finding("vertices", vertices, f"at most {limits.max_vertices} vertices of a polygon")
    yield from _finding("shape", flat, "no polygon without area")
    yield from _finding("shape", doubled, "no polygon with the same vertex twice in a row")
    yield from _finding("text", texts, "labels as polygons, no text elements")
    yield from _layers(library, limits)
    yield from _coordinates(library, limits)


def _layers(library: Any, limits: Profile) -> Iterator[Finding]:
    layers = sorted({layer for layer, _ in library.layers_and_datatypes()})
    if limits.max_layer is not None:
        high = [str(layer) for layer in layers if layer > limits.max_layer]
        yield from _finding("layers", high, f"layers 0 to {limits.max_layer}")
    if limits.max_layers is not None and len(layers) > limits.max_layers:
        yield from _finding("layers", [str(layers)], f"at most {limits.max_layers} layers in a file")


def _coordinates(library: Any, limits: Profile) -> Iterator[Finding]:
    if limits.max_coordinate is None:
        return
    boxes = [(cell.name, cell.bounding_box()) for cell in library.cells]
    reach = {name: max(abs(c) for corner in box for c in corner) for name, box in boxes if box is not None}
    far = [
        f"{r * library.unit:.4g} m in {n}"
        for n, r in reach.items()
        if r * library.unit > limits.max_coordinate
    ]
    yield from _finding("coordinates", far, f"coordinates of at most {limits.max_coordinate} m")


def _depth(library: Any) -> int:
    known: dict[str, int] = {}

    def depth(cell: Any) -> int:
        if cell.name not in known:
            known[cell.name] = 1 + max((depth(child) for child in cell.dependencies(False)), default=0)
        return known[cell.name]

    return max(map(depth, library.cells), default=0)


def _finding(rule: str, wrong: list[str], expected: str) -> Iterator[Finding]:
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        yield Finding(rule, len(wrong), f"{rule}: expected {expected}, got {wrong[0]}{more}.")
