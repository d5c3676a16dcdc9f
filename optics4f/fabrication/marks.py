"""What stands around a mask on a wafer: crosses, verniers, an outline, and where the dies go. Pure functions.

Everything is rectangles on the 1 nm grid, corners (left, bottom, right, top).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..units import positive_si

OUTLINE_LAYER = 12

Box = tuple[int, int, int, int]
_NM = 1e-9


@dataclass(frozen=True)
class Marks:
    """Marks outside the clear aperture, drawn once for each die.

    The layer etched first, the deepest, carries the main scale; every other layer has a vernier on it. Its
    bars are one step further apart, so that bar k (counted from the middle) stands opposite its partner when
    the layer is shifted by -k steps.

    Args:
        crosses: Whether each etch layer has a cross outside each corner.
        cross: Length of their arms, tip to tip [length].
        cross_width: Width of their arms [length].
        verniers: Whether each pair of etch layers has a vernier along x and one along y.
        vernier_pitch: Distance of the bars of the main scale, twice their width [length].
        vernier_step: What one bar reads [length].
        vernier_bars: Bars on each side of the middle one.
        outline: Whether the clear aperture is outlined on a layer of its own.
        outline_width: Width of that line, outside the clear aperture [length].

    Raises:
        ValueError: If a length is not positive, less than 2 nm, or the bars of a vernier would meet.
    """

    crosses: bool = True
    cross: Any = "100 um"
    cross_width: Any = "10 um"
    verniers: bool = True
    vernier_pitch: Any = "20 um"
    vernier_step: Any = "0.2 um"
    vernier_bars: int = 10
    outline: bool = True
    outline_width: Any = "2 um"

    def __post_init__(self) -> None:
        for name in ("cross", "cross_width", "vernier_pitch", "vernier_step", "outline_width"):
            object.__setattr__(self, name, _nanometres(getattr(self, name), f"Marks {name}"))
        if self.cross_width >= self.cross:
            raise ValueError(
                f"Marks cross_width: expected under {self.cross} nm, the cross, got {self.cross_width} nm."
            )
        if self.vernier_bars < 1 or self.vernier_step * 2 >= self.vernier_pitch:
            raise ValueError(
                "Marks vernier: expected at least one bar and a step under half the pitch of "
                f"{self.vernier_pitch} nm, got {self.vernier_bars} and {self.vernier_step} nm."
            )


@dataclass(frozen=True)
class Wafer:
    """Copies of all masks of a bank on a round wafer.

    Args:
        diameter: Of the wafer [length].
        edge: Width of the ring at the edge that stays empty [length].
        lane: Distance of the copies for dicing [length]; their pitch is their size and a lane.

    Raises:
        ValueError: If a length is not positive or no room is left.
    """

    diameter: Any = "100 mm"
    edge: Any = "5 mm"
    lane: Any = "100 um"

    def __post_init__(self) -> None:
        for name in ("diameter", "edge", "lane"):
            object.__setattr__(self, name, _nanometres(getattr(self, name), f"Wafer {name}"))
        if 2 * self.edge >= self.diameter:
            raise ValueError(
                f"Wafer edge: expected less than half the diameter of {self.diameter} nm, got {self.edge} nm."
            )

    def described(self) -> dict[str, Any]:
        """Its lengths in metres, for the manifest."""
        lengths = {name: getattr(self, name) * _NM for name in ("diameter", "edge", "lane")}
        return {**lengths, **{f"{name}_unit": "m" for name in lengths}}


def mark_rectangles(
    window: Box, keep_out: Box, layers: int, marks: Marks
) -> list[tuple[int, NDArray[np.int64]]]:
    """Rectangles of the marks of one die.

    Args:
        window: The clear aperture, (left, bottom, right, top) [nm].
        keep_out: What is drawn already, frame and label; crosses and verniers stand outside of it [nm].
        layers: Number of etch layers; they are 1, 2, ..., the last the deepest.
        marks: Which, and how large.

    Returns:
        (layer, rectangles [nm] of shape [R, 4]) in the order of the layers.
    """
    drawn: dict[int, list[NDArray[np.int64]]] = {}
    if marks.crosses:
        for layer in range(1, layers + 1):
            drawn.setdefault(layer, []).append(_crosses(keep_out, marks))
    if marks.verniers:
        for layer, bars in _verniers(keep_out, layers, marks):
            drawn.setdefault(layer, []).append(bars)
    if marks.outline:
        drawn[OUTLINE_LAYER] = [frame(window, int(marks.outline_width))]
    return [(layer, np.concatenate(drawn[layer])) for layer in sorted(drawn)]


def frame(window: Box, width: int) -> NDArray[np.int64]:
    """Four rectangles around a window: there are no holes in GDSII."""
    left, bottom, right, top = window
    return np.array(
        [
            (left - width, bottom - width, right + width, bottom),
            (left - width, top, right + width, top + width),
            (left - width, bottom, left, top),
            (right, bottom, right + width, top),
        ],
        dtype=np.int64,
    )


def vernier_bars(pitch: int, step: int, bars: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Middles of the bars of the main scale and of the vernier [nm], -bars ... bars steps from the middle."""
    index = np.arange(-bars, bars + 1)
    return index * pitch, index * (pitch + step)


def wafer_places(width: int, height: int, wafer: Wafer) -> list[tuple[int, int]]:
    """Middles (x, y) of the copies that lie wholly on the usable part of the wafer, from the top left [nm].

    Raises:
        ValueError: If not one fits.
    """
    radius = int(wafer.diameter) / 2 - int(wafer.edge)
    step_x, step_y = width + int(wafer.lane), height + int(wafer.lane)
    rows, columns = math.ceil(radius / step_y), math.ceil(radius / step_x)
    places = [
        (column * step_x, -row * step_y)
        for row in range(-rows, rows + 1)
        for column in range(-columns, columns + 1)
        if math.hypot(abs(column) * step_x + width / 2, abs(row) * step_y + height / 2) <= radius
    ]
    if not places:
        raise ValueError(
            f"Wafer diameter: expected room for {width * 1e-6:.4g} mm x {height * 1e-6:.4g} mm, "
            f"got {2 * radius * 1e-6:.4g} mm that can be used."
        )
    return places


def _crosses(box: Box, marks: Marks) -> NDArray[np.int64]:
    arm, half = int(marks.cross) // 2, int(marks.cross_width) // 2
    left, bottom, right, top = box
    middles = [(x, y) for y in (bottom - 2 * arm, top + 2 * arm) for x in (left - 2 * arm, right + 2 * arm)]
    shape = np.array(  # without overlap: some shops draw it with XOR
        [(-arm, -half, arm, half), (-half, half, half, arm), (-half, -arm, half, -half)], dtype=np.int64
    )
    return np.concatenate([shape + np.array([x, y, x, y]) for x, y in middles])


def _verniers(box: Box, layers: int, marks: Marks) -> list[tuple[int, NDArray[np.int64]]]:
    """Along x below the die, along y on its right, one pair of scales after the other away from it."""
    pitch = int(marks.vernier_pitch)
    main, moved = vernier_bars(pitch, int(marks.vernier_step), marks.vernier_bars)
    x, y = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
    clear = 2 * int(marks.cross)  # beyond the crosses
    found = []
    for layer in range(1, layers):
        start = clear + (layers - 1 - layer) * 6 * pitch
        for number, middles, near in ((layers, main, start), (layer, moved, start + 2 * pitch)):
            bar = np.stack([middles - pitch // 4, middles + pitch // 4], axis=1)
            low, high = (np.full(len(bar), -near - 2 * pitch), np.full(len(bar), -near))
            across = np.stack([bar[:, 0] + x, low + box[1], bar[:, 1] + x, high + box[1]], axis=1)
            along = np.stack([box[2] - high, bar[:, 0] + y, box[2] - low, bar[:, 1] + y], axis=1)
            found += [(number, across), (number, along)]
    return found


def _nanometres(value: Any, name: str) -> int:
    length = round(positive_si(value, "m", name) / _NM)
    if length < 2:
        raise ValueError(f"{name}: expected at least 2 nm, got {value}.")
    return length
