"""A measured value with its interval, as JSON: ``calibration`` writes it, engine and models read it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from ._version import __version__
from .files import write_json
from .units import Quantity

FORMAT = "optics4f-records"
FORMAT_VERSION = 2
NEW_IN_2 = ("distribution", "estimates")
"""Fields that files of version 1 do not have."""

DISTRIBUTIONS = {
    "constant": ("value",),
    "uniform": ("low", "high"),
    "shifted_log_normal": ("shift", "scale", "sigma"),
    "samples": ("values", "run"),
}
"""Kinds of distribution and what they hold, as :mod:`optics4f.transduction.distributions` reads them.

``sigma`` is the standard deviation of ln((x - shift) / scale). Samples of one non-empty ``run`` belong
together, entry by entry.
"""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Estimate:
    """A number that belongs to a record, such as a percentile or a parameter of a fit.

    Args:
        value: The value, in the SI unit ``unit``.
        unit: An SI unit without prefix; ``""`` for a pure number.
        interval: Confidence interval ``(low, high)`` around the value, at the confidence of the record.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a number is not finite, the interval does not hold the value, or the unit is not SI.
    """

    value: float
    unit: str
    interval: tuple[float, float]

    def __post_init__(self) -> None:
        _check_text("Estimate unit", self.unit)
        _check_unit("Estimate", self.unit)
        value, interval = _bounded("Estimate", self.value, self.interval)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "interval", interval)


@dataclass(frozen=True)
class Traces:
    """Durations of the stages of whole inferences, row by row, which keep how stages vary together.

    Args:
        durations: Name of each stage and its durations [s]; entry i of every stage is the same inference.
        rank_correlation: Spearman's correlation of the stages, in their order, rows and columns.

    Raises:
        TypeError: If a number is none.
        ValueError: If there is no stage, the stages differ in length, or a number is not finite.
    """

    durations: Mapping[str, Sequence[float]]
    rank_correlation: Sequence[Sequence[float]]

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.durations.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError(
                f"Traces: expected as many durations of each stage, got lengths {sorted(lengths)}."
            )
        count = len(self.durations)
        if [len(row) for row in self.rank_correlation] != [count] * count:
            raise ValueError(
                f"Traces: expected a rank correlation of {count} x {count} numbers, got another."
            )
        columns = {name: tuple(_finites(name, column)) for name, column in self.durations.items()}
        rows = tuple(tuple(_finites("rank correlation", row)) for row in self.rank_correlation)
        object.__setattr__(self, "durations", columns)
        object.__setattr__(self, "rank_correlation", rows)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measured value, with everything a stranger needs to judge it.

    Args:
        name: What was measured, e.g. ``"back end"``.
        value: The value, in the SI unit ``unit``.
        unit: An SI unit without prefix, e.g. ``"s"`` or ``"m"``; ``""`` for a pure number.
        interval: Confidence interval ``(low, high)`` around the value, in ``unit``.
        samples: Number of samples behind the value.
        device: What it was measured on.
        method: How the value and the interval were found.
        confidence: Probability that the interval covers the truth.
        date: When, ISO 8601 in UTC.
        version: The version of optics4f that wrote it.
        distribution: How the value varies: a kind among :data:`DISTRIBUTIONS` with its numbers and ``unit``,
            e.g. ``{"kind": "uniform", "unit": "s", "low": 0.0, "high": 0.01}``.
        estimates: Further numbers with intervals: percentiles such as ``"p99"``, parameters of a fit.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a number is not finite, an interval does not hold its value, a unit is not an SI unit,
            the date is not in UTC, or the distribution is of no known kind.

    Example:
        >>> record = Record(name="back end", value=2.8e-4, unit="s", interval=(2.7e-4, 2.9e-4), samples=1000,
        ...                 device="Tesla P100", method="median")
        >>> print(record.quantity)
        0.00028 second
    """

    name: str
    value: float
    unit: str
    interval: tuple[float, float]
    samples: int
    device: str
    method: str
    confidence: float = 0.95
    date: str = field(default_factory=_now)
    version: str = __version__
    distribution: Mapping[str, Any] | None = field(default=None, hash=False)
    estimates: Mapping[str, Estimate] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for key in ("name", "unit", "device", "method", "date", "version"):
            _check_text(f"Record {key}", getattr(self, key))
        if not self.name.strip():
            raise ValueError("Record name: expected some text, got an empty one.")
        if type(self.samples) is not int or self.samples < 1:
            raise ValueError(
                f"Record {self.name} samples: expected a whole number above 0, got {self.samples!r}."
            )
        self._set_numbers()
        _check_unit(f"Record {self.name}", self.unit)
        self._check_date()
        if self.distribution is not None:
            _check_distribution(f"Record {self.name} distribution", self.distribution, self.unit)
        self._check_estimates()

    @property
    def quantity(self) -> Any:
        """The value with its unit, as a pint quantity."""
        return Quantity(self.value, self.unit)

    @property
    def interval_quantities(self) -> tuple[Any, Any]:
        """The interval with its unit, as a pair of pint quantities."""
        return Quantity(self.interval[0], self.unit), Quantity(self.interval[1], self.unit)

    def _set_numbers(self) -> None:
        value, interval = _bounded(f"Record {self.name}", self.value, self.interval)
        confidence = _finite(f"Record {self.name} confidence", self.confidence)
        if not 0 < confidence < 1:
            raise ValueError(f"Record {self.name} confidence: expected between 0 and 1, got {confidence}.")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "interval", interval)
        object.__setattr__(self, "confidence", confidence)

    def _check_estimates(self) -> None:
        if not isinstance(self.estimates, Mapping):
            raise TypeError(
                f"Record {self.name} estimates: expected names and values, got {self.estimates!r}."
            )
        for key, estimate in self.estimates.items():
            if not isinstance(estimate, Estimate):
                raise TypeError(
                    f"Record {self.name} estimates: expected an Estimate as {key}, got {estimate!r}."
                )

    def _check_date(self) -> None:
        try:
            offset = datetime.fromisoformat(self.date).utcoffset()
        except ValueError:
            offset = None
        if offset != timedelta(0):
            raise ValueError(f"Record {self.name} date: expected ISO 8601 in UTC, got {self.date!r}.")


def save_records(path: str | Path, records: Sequence[Record], traces: Traces | None = None) -> None:
    """Write records as JSON, atomically, and the traces they came from if given.

    Raises:
        ValueError: If there are none.
        OSError: If the file cannot be written.
    """
    if not records:
        raise ValueError(f"{path}: expected at least one record, got none.")
    content: dict[str, Any] = {"format": FORMAT, "version": FORMAT_VERSION}
    content["records"] = [asdict(record) for record in records]
    if traces is not None:
        content["traces"] = {"unit": "s", **asdict(traces)}
    write_json(path, content)


def load_records(path: str | Path) -> list[Record]:
    """Read what :func:`save_records` wrote, by this version or an older one; anything else is refused.

    Raises:
        ValueError: If the file is not JSON, not of this format, of a newer version, or holds a record with a
            missing, unknown, wrong-type or non-finite field.
        OSError: If the file cannot be read.
    """
    content = _content(path)
    entries = content.get("records")
    if not isinstance(entries, list) or not entries:
        _refuse(path, "a list of at least one record", repr(entries))
    return [_read(path, number, entry, content["version"]) for number, entry in enumerate(entries, start=1)]


def load_traces(path: str | Path) -> Traces | None:
    """Whole traces in a file of records, or None if it holds none.

    Raises:
        ValueError: As :func:`load_records`, or if the traces are damaged.
        OSError: If the file cannot be read.
    """
    entry = _content(path).get("traces")
    if entry is None:
        return None
    try:
        if entry["unit"] != "s":
            raise ValueError(f"Traces: expected the unit 's', got {entry['unit']!r}.")
        return Traces(dict(entry["durations"]), entry["rank_correlation"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected readable traces, got: {error}") from error


def _content(path: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a JSON file of records, got unreadable text: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        _refuse(path, f"format {FORMAT!r}", repr(found))
    if type(content.get("version")) is not int or not 1 <= content["version"] <= FORMAT_VERSION:
        _refuse(path, f"format version {FORMAT_VERSION} or older", repr(content.get("version")))
    return content


def _read(path: str | Path, number: int, entry: Any, version: int) -> Record:
    known = {item.name for item in fields(Record)} - (set(NEW_IN_2) if version == 1 else set())
    if not isinstance(entry, dict):
        _refuse(path, f"record {number} as a JSON object", repr(entry))
    if set(entry) != known:
        wrong = sorted(set(entry) ^ known)
        _refuse(path, f"record {number} with the keys {', '.join(sorted(known))}", f"a difference in {wrong}")
    try:
        estimates = {key: Estimate(**value) for key, value in entry.get("estimates", {}).items()}
        return Record(**{**entry, "estimates": estimates})
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: record {number}: {error}") from error


def _check_text(label: str, text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{label}: expected text, got {text!r}.")


def _finite(label: str, number: Any) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"{label}: expected a number, got {number!r}.")
    if not abs(number) <= sys.float_info.max:  # also false for NaN
        raise ValueError(f"{label}: expected a finite number, got {number!s:.24}.")
    return float(number)


def _finites(label: str, numbers: Any) -> list[float]:
    if not isinstance(numbers, Sequence) or isinstance(numbers, str):
        raise TypeError(f"{label}: expected a list of numbers, got {numbers!r}.")
    return [_finite(label, number) for number in numbers]


def _bounded(label: str, value: Any, interval: Any) -> tuple[float, tuple[float, float]]:
    if not isinstance(interval, (tuple, list)) or len(interval) != 2:
        raise TypeError(f"{label} interval: expected a pair (low, high), got {interval!r}.")
    number = _finite(f"{label} value", value)
    low, high = (_finite(f"{label} interval", end) for end in interval)
    if not low <= number <= high:
        raise ValueError(f"{label}: expected an interval around {number}, got ({low}, {high}).")
    return number, (low, high)


def _check_unit(label: str, unit: str) -> None:
    try:
        scale = Quantity(1.0, unit).to_base_units().magnitude
    except Exception as error:  # pint raises many kinds for an unreadable unit
        raise ValueError(f"{label} unit: expected one such as 's', got {unit!r}.") from error
    if scale != 1:
        raise ValueError(f"{label} unit: expected an SI unit without prefix, got {unit!r}.")


def _check_distribution(label: str, given: Any, unit: str) -> None:
    if not isinstance(given, Mapping) or given.get("kind") not in DISTRIBUTIONS:
        raise ValueError(f"{label}: expected a kind among {', '.join(DISTRIBUTIONS)}, got {given!r:.80}.")
    names = DISTRIBUTIONS[given["kind"]]
    if set(given) != {"kind", "unit", *names} or given["unit"] != unit:
        raise ValueError(
            f"{label}: expected kind, unit {unit!r}, {', '.join(names)}, got {', '.join(map(str, given))}."
        )
    if given["kind"] == "samples":
        _check_text(f"{label} run", given["run"])
        if not _finites(f"{label} values", given["values"]):
            raise ValueError(f"{label}: expected at least one sample, got none.")
        return
    numbers = {name: _finite(f"{label} {name}", given[name]) for name in names}
    if numbers.get("low", 0.0) > numbers.get("high", math.inf) or numbers.get("sigma", 0.0) < 0:
        raise ValueError(f"{label}: expected low below high and no negative sigma, got {numbers}.")


def _refuse(path: str | Path, expected: str, got: str) -> NoReturn:
    raise ValueError(f"{path}: expected {expected}, got {got}.")
