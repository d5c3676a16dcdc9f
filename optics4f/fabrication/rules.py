"""Design rules of pixel masks: pure functions of binary arrays.

A feature is where a layer is drawn, a gap where it is not, between features. Both are measured along
x and along y between facing edges, as a design rule checker does with projection metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..units import positive_si
from .raster import merge_rectangles

FIXES = ("fill", "erode", "waive")
_FIRST = 10  # locations that a report keeps of each finding


@dataclass(frozen=True)
class Rules:
    """What a process can make.

    Args:
        min_feature: Least width of what is drawn [length].
        min_gap: Least distance between features [length].
        grid: Address unit of the writer; the pixel is to be a whole multiple of it [length].
        max_extent: Largest side of a mask [length], or None.
        kissing_corners: Whether pixels may touch by a corner alone.

    Raises:
        ValueError: If a length is not positive.
    """

    min_feature: Any = "1 um"
    min_gap: Any = "1 um"
    grid: Any = "1 nm"
    max_extent: Any = None
    kissing_corners: bool = False

    def __post_init__(self) -> None:
        for name in ("min_feature", "min_gap", "grid", "max_extent"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, positive_si(value, "m", f"Rules {name}"))


@dataclass(frozen=True)
class Violation:
    """One rule that one layer breaks.

    Args:
        rule: "feature", "gap", "kissing corner", "grid" or "extent".
        layer: Name of the layer, or "" where the rule is about the pixels of all.
        count: How often.
        places: The first of them, as pixel boxes (row_start, row_stop, column_start, column_stop).
        text: A sentence with what was expected and what was found.
    """

    rule: str
    layer: str
    count: int
    places: tuple[tuple[int, int, int, int], ...]
    text: str


@dataclass(frozen=True)
class Report:
    """What a check found; nothing if the masks can be made."""

    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.violations

    def __str__(self) -> str:
        return "\n".join(violation.text for violation in self.violations) or "No rule is broken."


class RuleError(ValueError):
    """A strict check found something; ``report`` says what."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"rules: expected masks that can be made, got:\n{report}")
        self.report = report


def check_rules(
    layers: Mapping[str, ArrayLike] | Sequence[ArrayLike],
    pitch: tuple[float, float],
    rules: Rules | None = None,
    strict: bool = False,
) -> Report:
    """Check binary layers against the rules of a process.

    Args:
        layers: Binary masks of one shape [H, W], by name or in the order of their layers, the first being 1.
        pitch: Pixel pitch (dy, dx) [m].
        rules: The rules; the defaults if None.
        strict: Whether a broken rule is an error.

    Raises:
        RuleError: If ``strict`` and a rule is broken; it is a ValueError.
        ValueError: If a layer is not a plane of booleans or zeros and ones, or the shapes differ.
    """
    rules = rules or Rules()
    named = layers if isinstance(layers, Mapping) else {str(i): layer for i, layer in enumerate(layers, 1)}
    planes = {name: _plane(layer, name) for name, layer in named.items()}
    shapes = {plane.shape for plane in planes.values()}
    if len(shapes) != 1:
        raise ValueError(f"layers: expected at least one, all of one shape, got shapes {sorted(shapes)}.")
    found = _pixel_violations(shapes.pop(), pitch, rules)
    for name, plane in planes.items():
        found += _layer_violations(name, plane, pitch, rules)
    report = Report(tuple(found))
    if strict and not report.ok:
        raise RuleError(report)
    return report


def narrow_boxes(
    pixels: ArrayLike, least: float, pitch: tuple[float, float], between: bool = False
) -> NDArray[np.int64]:
    """Places where runs of True pixels along x or y are shorter than a length.

    Neighbouring equal runs count as one place, as they are one pair of facing edges.

    Args:
        pixels: Boolean, shape (H, W).
        least: Least length [m].
        pitch: Pixel pitch (dy, dx) [m].
        between: Leave out runs that reach the rim: a gap lies between two features.

    Returns:
        Boxes (row_start, row_stop, column_start, column_stop), those along x first, shape [R, 4].
    """
    bits = np.asarray(pixels, dtype=bool)
    boxes = (merge_rectangles(bits), merge_rectangles(bits.T)[:, [2, 3, 0, 1]])
    near = 1 - 1e-9  # a width equal to the least one, up to rounding, is wide enough
    found = []
    for box, axis in zip(boxes, (1, 0), strict=True):
        start, stop = box[:, 2 * axis], box[:, 2 * axis + 1]
        narrow = (stop - start) * pitch[axis] < least * near
        if between:
            narrow &= (start > 0) & (stop < bits.shape[axis])
        found.append(box[narrow])
    return np.concatenate(found)


def kissing_corners(pixels: ArrayLike) -> NDArray[np.int64]:
    """Corners where two drawn pixels touch and the two others are empty.

    Args:
        pixels: Boolean, shape (H, W).

    Returns:
        Index (row, column) of the lower left pixel of each such block of 2 x 2, shape [K, 2].
    """
    bits = np.asarray(pixels, dtype=bool)
    a, b, c, d = bits[:-1, :-1], bits[:-1, 1:], bits[1:, :-1], bits[1:, 1:]
    return np.argwhere((a == d) & (b == c) & (a != b))


def fix_corners(pixels: ArrayLike, fix: str) -> NDArray[np.bool_]:
    """The pixels without kissing corners.

    "fill" draws the empty pixel in the lower row of each, again and again until there is none; "erode" takes
    away the drawn one instead; "waive" changes nothing. Each changed pixel is an error of the mask: a whole
    step of its layer.

    Args:
        pixels: Boolean, shape (H, W).
        fix: "fill", "erode" or "waive".

    Raises:
        ValueError: If ``fix`` is none of these.
    """
    if fix not in FIXES:
        raise ValueError(f"fix: expected fill, erode or waive, got {fix!r}.")
    bits = np.array(pixels, dtype=bool)
    if fix == "waive":
        return bits
    wanted = fix == "fill"
    while len(found := kissing_corners(bits)):  # ends: pixels only ever change one way
        row, column = found.T
        column = column + (bits[row, column] == wanted)
        bits[row, column] = wanted
    return bits


def _layer_violations(
    name: str, plane: NDArray[np.bool_], pitch: tuple[float, float], rules: Rules
) -> list[Violation]:
    found = []
    for rule, boxes, least in (
        ("feature", narrow_boxes(plane, rules.min_feature, pitch), rules.min_feature),
        ("gap", narrow_boxes(~plane, rules.min_gap, pitch, between=True), rules.min_gap),
    ):
        if len(boxes):
            found.append(_violation(rule, name, boxes, f"at least {least * 1e6:.4g} um"))
    corners = kissing_corners(plane)
    if len(corners) and not rules.kissing_corners:
        boxes = np.stack([corners[:, 0], corners[:, 0] + 2, corners[:, 1], corners[:, 1] + 2], axis=1)
        found.append(_violation("kissing corner", name, boxes, "no pixels that touch by a corner alone"))
    return found


def _pixel_violations(shape: tuple[int, ...], pitch: tuple[float, float], rules: Rules) -> list[Violation]:
    found = []
    for axis, count, step in zip("yx", shape, pitch, strict=True):
        units = step / rules.grid
        if units < 1 - 1e-6 or abs(units - round(units)) > 1e-6:
            text = f"grid: expected a pitch along {axis} that is a multiple of {rules.grid * 1e9:.6g} nm, "
            found.append(Violation("grid", "", 1, (), f"{text}got {step * 1e9:.6g} nm."))
        if rules.max_extent is not None and count * step > rules.max_extent * (1 + 1e-9):
            text = f"extent: expected at most {rules.max_extent * 1e3:.6g} mm along {axis}, "
            found.append(Violation("extent", "", 1, (), f"{text}got {count * step * 1e3:.6g} mm."))
    return found


def _violation(rule: str, layer: str, boxes: NDArray[np.int64], expected: str) -> Violation:
    first = tuple(tuple(box) for box in boxes[:_FIRST].tolist())
    row, _, column, _ = first[0]
    text = (
        f"{rule} of layer {layer}: expected {expected}, got {len(boxes)} hits, "
        f"the first at row {row}, column {column}."
    )
    return Violation(rule, layer, len(boxes), first, text)


def _plane(layer: ArrayLike, name: str) -> NDArray[np.bool_]:
    array: NDArray[Any] = np.asarray(layer)
    if array.ndim != 2 or not array.size or not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"layer {name}: expected a plane of booleans, got shape {array.shape} of {array.dtype}."
        )
    return array.astype(bool)
