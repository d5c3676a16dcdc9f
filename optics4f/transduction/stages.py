"""The stages of one inference, from light to logits, and how long they take together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..record import Record
from ..units import Quantity, positive_si, si

SPEED_OF_LIGHT = 299_792_458.0  # [m/s], exact by the definition of the metre

KINDS = {
    "display": "display",
    "optics": "optics",
    "exposure": "exposure",
    "readout": "sensor readout",
    "transduction": "transduction",
    "host": "driver and host copy",
    "back_end": "back end",
}
"""What a stage can be, in the order of the light, and what a real bench calls it."""


def time_of_flight(path_length: Any, refractive_index: float = 1.0) -> float:
    r"""Time the light needs for a path, :math:`t = L n / c` [s].

    The path of a 4f system is :math:`L = 2 f_1 + 2 f_2`: 1.33 ns for two lenses of 100 mm. Paraxial, in one
    medium: the glass of the lenses is left out.

    Args:
        path_length: Length of the path [m], as a quantity or string.
        refractive_index: Refractive index of the medium.

    Raises:
        TypeError: If the path has no unit of length.
        ValueError: If the path or the index is not larger than zero.

    Example:
        >>> f"{time_of_flight('400 mm'):.3g}"
        '1.33e-09'
    """
    if not 0 < refractive_index < math.inf:
        raise ValueError(f"refractive index: expected a finite number above 0, got {refractive_index}.")
    return positive_si(path_length, "m", "path length") * refractive_index / SPEED_OF_LIGHT


def transfer_time(size: Any, rate: Any) -> float:
    r"""Time a link needs for a frame, :math:`t = 8 B / r` [s].

    The start delay of the transmission and the calls of the host are not in it.

    Args:
        size: Size of the frame, e.g. ``"100 kB"`` (1 kB = 1000 byte).
        rate: Payload rate of the link, e.g. ``"2500 Mbit/s"``.

    Raises:
        TypeError: If one of them has the wrong unit.
        ValueError: If one of them is not larger than zero.

    Example:
        >>> transfer_time("100 kB", "2500 Mbit/s")
        0.00032
    """
    return positive_si(size, "bit", "frame size") / positive_si(rate, "bit/s", "link rate")


def frame_bytes(channels: int, pixels: tuple[int, int], bits: int) -> int:
    r"""Size of what the sensor sends for one inference, :math:`B = \lceil C H W b / 8 \rceil` [byte].

    It holds for a packed pixel format. Unpacked formats send 12 bits in 16: give 16 then.

    Args:
        channels: Number of output channels C, read as pictures of their own.
        pixels: Pixels (H, W) of one channel on the sensor.
        bits: Bits b per pixel.

    Raises:
        ValueError: If one of them is not a whole number above zero.

    Example:
        >>> frame_bytes(1, (224, 224), 16)
        100352
    """
    for name, number in (
        ("channels", channels),
        ("pixels", pixels[0]),
        ("pixels", pixels[1]),
        ("bits", bits),
    ):
        if type(number) is not int or number < 1:
            raise ValueError(f"{name}: expected a whole number above 0, got {number!r}.")
    return -(-channels * pixels[0] * pixels[1] * bits // 8)


def time_text(seconds: float) -> str:
    """Write a time for a person: milliseconds where a budget is read in them, a prefix below.

    Example:
        >>> time_text(3.2e-4), time_text(1.33e-9)
        ('0.320 ms', '1.3 ns')
    """
    for unit, scale, top in (("ps", 1e-12, 1e-9), ("ns", 1e-9, 1e-6), ("us", 1e-6, 1e-5)):
        if seconds < top:
            return f"{seconds / scale:.{1 if seconds < 10 * scale else 0}f} {unit}"
    return f"{seconds * 1e3:.3f} ms" if seconds < 1 else f"{seconds:.3f} s"


@dataclass(frozen=True)
class Stage:
    """One stage of an inference.

    Args:
        name: Its name, by which a measured record replaces its duration.
        kind: One of :data:`KINDS`.
        duration: How long it takes [s], as a quantity or string. It is kept as a float in seconds.
        interval: Confidence interval (low, high) of the duration [s], as quantities or strings, if measured.
        source: Where the duration comes from.
        note: A few words for the one-line summary.

    Raises:
        TypeError: If a time has no unit of time.
        ValueError: If the duration is not larger than zero, the interval does not hold it, or the kind is
            unknown.
    """

    name: str
    kind: str
    duration: Any
    interval: Any = None
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: expected a kind among {', '.join(KINDS)}, got {self.kind!r}.")
        duration = positive_si(self.duration, "s", self.name)
        object.__setattr__(self, "duration", duration)
        if self.interval is not None:
            low, high = (si(end, "s", f"{self.name} interval") for end in self.interval)
            if not low <= duration <= high:
                raise ValueError(
                    f"{self.name}: expected an interval around {duration} s, got ({low}, {high})."
                )
            object.__setattr__(self, "interval", (low, high))

    def measured(self, record: Record) -> Stage:
        """This stage with the duration and the interval of a record.

        Raises:
            TypeError: If the record is not a time.
        """
        source = f"measured on {record.device}, {record.date}, {record.samples} samples, {record.method}"
        return Stage(self.name, self.kind, record.quantity, record.interval_quantities, source, "measured")

    def to_dict(self) -> dict[str, Any]:
        """The stage with value, unit and text of each number, ready for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "duration": _number(self.duration, "s", time_text(self.duration)),
            "interval": None if self.interval is None else {"value": list(self.interval), "unit": "s"},
            "source": self.source,
            "note": self.note,
        }


@dataclass(frozen=True)
class LatencyBudget:
    r"""The stages of one inference, one after the other.

    Latency is the sum :math:`\sum_i t_i`; a pipelined chain delivers one result per slowest stage,
    :math:`1 / \max_i t_i`. Durations are single numbers here: the sum of medians is a fair estimate of the
    median of the sum, but other percentiles do not add.

    Args:
        name: Name of the budget.
        stages: The stages, with names that differ.
        note: A few words about the total.

    Raises:
        ValueError: If there is no stage, or two have the same name.
    """

    name: str
    stages: tuple[Stage, ...]
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{self.name}: expected stages with names that differ, got {names}.")

    @property
    def total_s(self) -> float:
        """Latency of one inference [s]; fsum makes it independent of the order of the stages."""
        return math.fsum(stage.duration for stage in self.stages)

    @property
    def total(self) -> Any:
        """Latency of one inference, as a pint quantity."""
        return Quantity(self.total_s, "s")

    @property
    def bottleneck(self) -> Stage:
        """The slowest stage."""
        return max(self.stages, key=lambda stage: float(stage.duration))

    @property
    def throughput(self) -> Any:
        """Inferences per second of the pipelined chain, as a pint quantity [1/s]."""
        return Quantity(1.0 / self.bottleneck.duration, "1/s")

    @property
    def missing(self) -> list[str]:
        """What a real bench also spends time on and this budget leaves out: its total is a lower bound."""
        present = {stage.kind for stage in self.stages}
        return [words for kind, words in KINDS.items() if kind not in present]

    def replace(self, records: Sequence[Record]) -> LatencyBudget:
        """The same budget with measured durations, matched by the name of the stage.

        Raises:
            TypeError: If a record is not a time.
            ValueError: If a record matches no stage, or two match the same one.
        """
        measured = {record.name: record for record in records}
        names = [stage.name for stage in self.stages]
        if len(measured) < len(records):
            raise ValueError(
                f"records: expected one per stage, got {sorted(record.name for record in records)}."
            )
        if unknown := sorted(set(measured) - set(names)):
            raise ValueError(f"records: expected names among {', '.join(names)}, got {', '.join(unknown)}.")
        stages = (s.measured(measured[s.name]) if s.name in measured else s for s in self.stages)
        return replace(self, stages=tuple(stages))

    def to_dict(self) -> dict[str, Any]:
        """The budget with value, unit and text of each number, ready for JSON."""
        rate = float(self.throughput.magnitude)
        return {
            "name": self.name,
            "stages": [stage.to_dict() for stage in self.stages],
            "total": _number(self.total_s, "s", time_text(self.total_s)),
            "throughput": _number(rate, "1/s", f"{rate:.4g} per second"),
            "bottleneck": self.bottleneck.name,
            "missing": self.missing,
            "note": self.note,
            "summary": str(self),
        }

    def __str__(self) -> str:
        parts = [(stage.name, stage.duration, stage.note) for stage in self.stages]
        parts.append(("total", self.total_s, self.note))
        return " · ".join(
            f"{name} {time_text(time)}" + (f" ({note})" if note else "") for name, time, note in parts
        )


def _number(value: float, unit: str, text: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "text": text}
