"""Time stamps of a bench, from CSV or Parquet; what cannot be believed is refused with its line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from optics4f.extras import require

COLUMNS = ("stage", "start_ns", "end_ns")
SHORT = {"start": "start_ns", "end": "end_ns", "trace": "run", "trace_id": "run"}
"""Other headings, and what they mean."""
LONGEST_RUN, LONGEST_PAUSE = 60_000_000_000, 86_400_000_000_000
"""Further apart, stamps of one inference, or of neighbouring lines, are taken to be of two clocks [ns]."""


class Stamp(NamedTuple):
    """One pass of one stage: begin and end by one monotonic clock [ns]; ``run`` labels the inference."""

    stage: str
    start_ns: int
    end_ns: int
    run: str = ""


def load_stamps(path: str | Path) -> list[Stamp]:
    """Read a CSV or Parquet file with the columns ``stage,start_ns,end_ns`` and, if wanted, ``run``.

    The header is required and the order of the columns is free; ``start``, ``end``, ``trace`` and
    ``trace_id`` are understood as well. All stamps are whole nanoseconds of one monotonic clock. The passes
    of a stage stand in the order of time and do not overlap. With ``run``, each stage stands once per run.

    Args:
        path: The file; a name that ends in ``.parquet`` is read as Parquet, any other as CSV.

    Raises:
        ValueError: If a column is missing or unknown, a field is not an integer, a stage ends before it
            starts, stands twice in one run, goes back in time or overlaps its last pass, stamps are of more
            than one clock, or there is no row; it names the file and the line.
        MissingExtraError: If Parquet is read and pyarrow is not installed.
        OSError: If the file cannot be read.
    """
    if Path(path).suffix.lower() in (".parquet", ".pq"):
        return _stamps(path, *_parquet(path))
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            return _stamps(path, header, ((f"line {reader.line_num}", row) for row in reader))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected a CSV file of stamps, got unreadable text: {error}.") from error


def _parquet(path: str | Path) -> tuple[list[str], Iterator[tuple[str, list[str]]]]:
    parquet: Any = require("pyarrow.parquet", "train")
    with open(path, "rb") as file:  # an absent file is an OSError here, whatever pyarrow makes of it
        try:
            columns = parquet.read_table(file).to_pydict()
        except Exception as error:  # pyarrow raises many kinds for a damaged file
            raise ValueError(f"{path}: expected a Parquet file of stamps, got: {error}.") from error
    rows = zip(*columns.values(), strict=True)
    return list(columns), ((f"row {n}", [str(field) for field in row]) for n, row in enumerate(rows, start=1))


def _stamps(path: str | Path, header: list[str], rows: Iterable[tuple[str, list[str]]]) -> list[Stamp]:
    names = [SHORT.get(name.strip(), name.strip()) for name in header]
    if sorted(names) not in (sorted(COLUMNS), sorted((*COLUMNS, "run"))):
        got = ", ".join(map(str.strip, header)) or "an empty line"
        _refuse(path, "line 1", f"the columns {', '.join(COLUMNS)} and at most run", got)
    check, stamps = _Check(path), []
    for place, fields in rows:
        if not fields:  # an empty line, as at the end of many files
            continue
        if len(fields) != len(names):
            _refuse(path, place, f"{len(names)} fields", str(len(fields)))
        stamp = _stamp(path, place, dict(zip(names, map(str.strip, fields), strict=True)))
        check(place, stamp)
        stamps.append(stamp)
    if not stamps:
        raise ValueError(f"{path}: expected at least one row below the header, got none.")
    return stamps


def _stamp(path: str | Path, place: str, row: dict[str, str]) -> Stamp:
    if not row["stage"]:
        _refuse(path, place, "the name of a stage", "an empty field")
    for name in ("start_ns", "end_ns"):
        if not re.fullmatch(r"-?[0-9]{1,19}", row[name]):
            _refuse(path, place, f"{name} as an integer", repr(row[name]))
    start, end = int(row["start_ns"]), int(row["end_ns"])
    if end < start:
        _refuse(path, place, "end_ns not before start_ns", f"{end} before {start}")
    return Stamp(row["stage"], start, end, row.get("run", ""))


class _Check:
    """What only several stamps together can show, line after line."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.last: tuple[str, Stamp] | None = None
        self.of_stage: dict[str, tuple[str, Stamp]] = {}
        self.of_run: dict[str, tuple[str, Stamp]] = {}
        self.seen: dict[tuple[str, str], str] = {}

    def __call__(self, place: str, stamp: Stamp) -> None:
        if stamp.run:
            first = self.seen.setdefault((stamp.stage, stamp.run), place)
            if first != place:
                _refuse(
                    self.path,
                    place,
                    "each stage once per run",
                    f"{stamp.stage} of run {stamp.run} as in {first}",
                )
        self._one_clock(place, stamp)
        self._in_order(place, stamp)
        self.last = self.of_stage[stamp.stage] = (place, stamp)

    def _one_clock(self, place: str, stamp: Stamp) -> None:
        near = [(self.last, LONGEST_PAUSE)]
        if stamp.run:
            near.append((self.of_run.setdefault(stamp.run, (place, stamp)), LONGEST_RUN))
        for other, longest in near:
            if other and abs(gap := stamp.start_ns - other[1].start_ns) > longest:
                expected = f"stamps of one clock, within {longest // 10**9} s of {other[0]}"
                _refuse(self.path, place, expected, f"a jump of {gap / 1e9:.4g} s")

    def _in_order(self, place: str, stamp: Stamp) -> None:
        before = self.of_stage.get(stamp.stage)
        if before and stamp.start_ns < before[1].start_ns:
            expected = f"{stamp.stage} in the order of time, by a clock that never goes back"
            _refuse(
                self.path,
                place,
                expected,
                f"a start {before[1].start_ns - stamp.start_ns} ns before that of {before[0]}",
            )
        if before and stamp.start_ns < before[1].end_ns:
            expected = f"passes of {stamp.stage} that do not overlap"
            _refuse(
                self.path,
                place,
                expected,
                f"a start {before[1].end_ns - stamp.start_ns} ns before the end of {before[0]}",
            )


def _refuse(path: str | Path, place: str, expected: str, got: str) -> NoReturn:
    raise ValueError(f"{path}, {place}: expected {expected}, got {got}.")
