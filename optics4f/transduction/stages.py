"""The stages of one inference, from light to logits: their closed forms, and one of them as an object."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from ..record import Record
from ..units import Quantity, positive_si, si
from .distributions import (
    Constant,
    Distribution,
    Repeated,
    Samples,
    ShiftedLogNormal,
    Uniform,
    distribution_from_dict,
)

SPEED_OF_LIGHT = 299_792_458.0  # [m/s], exact by the definition of the metre

KINDS = {
    "display": "display",
    "trigger": "trigger",
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


def readout_time(rows: int, row_time: Any, frame_overhead: Any = "0 s", binning: int = 1) -> float:
    r"""Time a sensor needs to give away a frame, :math:`t = t_0 + \lceil R / b \rceil\, t_{row}` [s].

    Rows leave one after the other; columns cost nothing. It holds for binning on the sensor, before the rows
    are read; binning behind the sensor leaves the readout as it is.

    Args:
        rows: Rows R of the region of interest.
        row_time: Time of one row [s], above 0.
        frame_overhead: Time per frame :math:`t_0` [s], whatever its size; 0 or more.
        binning: Rows b summed into one.

    Raises:
        TypeError: If a time has no unit of time.
        ValueError: If a number is out of range.

    Example:
        >>> f"{readout_time(224, '6.25 us', '175 us') * 1e3:.3f} ms"
        '1.575 ms'
    """
    for name, number in (("rows", rows), ("binning", binning)):
        if type(number) is not int or number < 1:
            raise ValueError(f"{name}: expected a whole number above 0, got {number!r}.")
    overhead = si(frame_overhead, "s", "frame overhead")
    if overhead < 0:
        raise ValueError(f"frame overhead: expected 0 s or more, got {overhead} s.")
    return overhead + -(-rows // binning) * positive_si(row_time, "s", "row time")


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
        duration: How long it takes [s]: a quantity or string, or a distribution. What is kept is a float in
            seconds, the mean of a distribution.
        interval: Confidence interval (low, high) of the duration [s], as quantities or strings, if measured.
        source: Where the duration comes from.
        note: A few words for the one-line summary.
        period: Least time between two inferences [s], where it is longer than the duration: a camera that
            runs free is waited for half a frame, but gives one frame per frame. It sets the throughput.
        verified: False for a number that was assumed, or whose source was not seen.

    Attributes:
        distribution: How the duration varies; :class:`~optics4f.transduction.Constant` for a single number.

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
    period: Any = None
    verified: bool = True
    distribution: Distribution = field(init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: expected a kind among {', '.join(KINDS)}, got {self.kind!r}.")
        spread = self._distribution()
        object.__setattr__(self, "distribution", spread)
        object.__setattr__(self, "duration", spread.mean)
        if self.period is not None:
            object.__setattr__(self, "period", positive_si(self.period, "s", f"{self.name} period"))
        if self.interval is not None:
            low, high = (si(end, "s", f"{self.name} interval") for end in self.interval)
            if not low <= self.duration <= high:
                raise ValueError(
                    f"{self.name}: expected an interval around {self.duration} s, got ({low}, {high})."
                )
            object.__setattr__(self, "interval", (low, high))

    def _distribution(self) -> Distribution:
        if isinstance(self.duration, (Constant, Uniform, ShiftedLogNormal, Samples, Repeated)):
            return self.duration
        return Constant(Quantity(positive_si(self.duration, "s", self.name), "s"))

    @property
    def is_constant(self) -> bool:
        """Whether the duration is a single number."""
        spread = self.distribution.base if isinstance(self.distribution, Repeated) else self.distribution
        return isinstance(spread, Constant)

    @property
    def occupied(self) -> float:
        """How long the stage is taken by one inference [s]: its mean duration, or its period if longer."""
        return max(float(self.duration), self.period or 0.0)

    def repeated(self, times: int) -> Stage:
        """This stage, coming so many times in one inference.

        Raises:
            ValueError: If ``times`` is no whole number above 0, or the stage is drawn together with others.
        """
        if times == 1:
            return self
        period = None if self.period is None else Quantity(times * self.period, "s")
        note = f"{times} times" + (f", {self.note}" if self.note else "")
        spread = Repeated(self.distribution, times)  # type: ignore[arg-type]
        return replace(self, duration=spread, interval=None, period=period, note=note)

    def measured(self, record: Record) -> Stage:
        """This stage with what a record says: its distribution if it has one, else value and interval.

        Raises:
            TypeError: If the record is not a time.
        """
        source = f"measured on {record.device}, {record.date}, {record.samples} samples, {record.method}"
        if record.distribution is None:
            ends = record.interval_quantities
            return Stage(self.name, self.kind, record.quantity, ends, source, "measured")
        spread = distribution_from_dict(record.distribution)
        return Stage(self.name, self.kind, spread, source=source, note="measured")

    def to_dict(self) -> dict[str, Any]:
        """The stage with value, unit and text of each number, ready for JSON."""
        content: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "duration": number(self.duration, "s", time_text(self.duration)),
            "interval": None if self.interval is None else {"value": list(self.interval), "unit": "s"},
            "source": self.source,
            "note": self.note,
            "verified": self.verified,
        }
        if self.period is not None:
            content["period"] = number(self.period, "s", time_text(self.period))
        if not self.is_constant:
            content["distribution"] = self.distribution.to_dict()
        return content


def number(value: float, unit: str, text: str) -> dict[str, Any]:
    """A number as it stands in JSON: value, unit, and text for people."""
    return {"value": value, "unit": unit, "text": text}
