"""A measured value with its interval, as JSON: ``calibration`` writes it, engine and models read it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from ._version import __version__
from .files import write_json
from .units import Quantity

FORMAT = "optics4f-records"
FORMAT_VERSION = 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If a number is not finite, the interval does not hold the value, the unit is not an SI
            unit, or the date is not in UTC.

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

    def __post_init__(self) -> None:
        for key in ("name", "unit", "device", "method", "date", "version"):
            if not isinstance(getattr(self, key), str):
                raise TypeError(f"Record {key}: expected text, got {getattr(self, key)!r}.")
        if not self.name.strip():
            raise ValueError("Record name: expected some text, got an empty one.")
        if type(self.samples) is not int or self.samples < 1:
            raise ValueError(
                f"Record {self.name} samples: expected a whole number above 0, got {self.samples!r}."
            )
        self._set_numbers()
        self._check_unit()
        self._check_date()

    @property
    def quantity(self) -> Any:
        """The value with its unit, as a pint quantity."""
        return Quantity(self.value, self.unit)

    @property
    def interval_quantities(self) -> tuple[Any, Any]:
        """The interval with its unit, as a pair of pint quantities."""
        return Quantity(self.interval[0], self.unit), Quantity(self.interval[1], self.unit)

    def _set_numbers(self) -> None:
        if not isinstance(self.interval, (tuple, list)) or len(self.interval) != 2:
            raise TypeError(
                f"Record {self.name} interval: expected a pair (low, high), got {self.interval!r}."
            )
        value = self._finite("value", self.value)
        low, high = (self._finite("interval", end) for end in self.interval)
        confidence = self._finite("confidence", self.confidence)
        if not low <= value <= high:
            raise ValueError(f"Record {self.name}: expected an interval around {value}, got ({low}, {high}).")
        if not 0 < confidence < 1:
            raise ValueError(f"Record {self.name} confidence: expected between 0 and 1, got {confidence}.")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "interval", (low, high))
        object.__setattr__(self, "confidence", confidence)

    def _finite(self, key: str, number: Any) -> float:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise TypeError(f"Record {self.name} {key}: expected a number, got {number!r}.")
        if not abs(number) <= sys.float_info.max:  # also false for NaN
            raise ValueError(f"Record {self.name} {key}: expected a finite number, got {number!s:.24}.")
        return float(number)

    def _check_unit(self) -> None:
        try:
            scale = Quantity(1.0, self.unit).to_base_units().magnitude
        except Exception as error:  # pint raises many kinds for an unreadable unit
            raise ValueError(
                f"Record {self.name} unit: expected one such as 's', got {self.unit!r}."
            ) from error
        if scale != 1:
            raise ValueError(
                f"Record {self.name} unit: expected an SI unit without prefix, got {self.unit!r}."
            )

    def _check_date(self) -> None:
        try:
            offset = datetime.fromisoformat(self.date).utcoffset()
        except ValueError:
            offset = None
        if offset != timedelta(0):
            raise ValueError(f"Record {self.name} date: expected ISO 8601 in UTC, got {self.date!r}.")


def save_records(path: str | Path, records: Sequence[Record]) -> None:
    """Write records as JSON, atomically.

    Raises:
        ValueError: If there are none.
        OSError: If the file cannot be written.
    """
    if not records:
        raise ValueError(f"{path}: expected at least one record, got none.")
    write_json(
        path, {"format": FORMAT, "version": FORMAT_VERSION, "records": [asdict(record) for record in records]}
    )


def load_records(path: str | Path) -> list[Record]:
    """Read what :func:`save_records` wrote; anything else is refused.

    Raises:
        ValueError: If the file is not JSON, not of this format, of a newer version, or holds a record with a
            missing, unknown, wrong-type or non-finite field.
        OSError: If the file cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a JSON file of records, got unreadable text: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        _refuse(path, f"format {FORMAT!r}", repr(found))
    if type(content.get("version")) is not int or not 1 <= content["version"] <= FORMAT_VERSION:
        _refuse(path, f"format version {FORMAT_VERSION} or older", repr(content.get("version")))
    entries = content.get("records")
    if not isinstance(entries, list) or not entries:
        _refuse(path, "a list of at least one record", repr(entries))
    return [_read(path, number, entry) for number, entry in enumerate(entries, start=1)]


def _read(path: str | Path, number: int, entry: Any) -> Record:
    known = {item.name for item in fields(Record)}
    if not isinstance(entry, dict):
        _refuse(path, f"record {number} as a JSON object", repr(entry))
    if set(entry) != known:
        wrong = sorted(set(entry) ^ known)
        _refuse(path, f"record {number} with the keys {', '.join(sorted(known))}", f"a difference in {wrong}")
    try:
        return Record(**entry)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: record {number}: {error}") from error


def _refuse(path: str | Path, expected: str, got: str) -> NoReturn:
    raise ValueError(f"{path}: expected {expected}, got {got}.")
