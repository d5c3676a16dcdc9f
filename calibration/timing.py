"""Durations of stages, from the time stamps of a bench."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from optics4f.record import Record
from optics4f.transduction.measurement import median_record

COLUMNS = ("stage", "start_ns", "end_ns")
WARMUP = 10


class Stamp(NamedTuple):
    """One pass of one stage: begin and end by one monotonic clock [ns]; ``run`` labels the inference."""

    stage: str
    start_ns: int
    end_ns: int
    run: str = ""


def load_stamps(path: str | Path) -> list[Stamp]:
    """Read a CSV file with the columns ``stage,start_ns,end_ns`` and, if wanted, ``run``.

    The header is required and the order of the columns is free. With ``run``, each stage stands once per run.

    Raises:
        ValueError: If a column is missing or unknown, a field is not an integer, a stage ends before it
            starts or stands twice in one run, or there is no row; it names the file and the line.
        OSError: If the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            stamps = list(_rows(path, csv.reader(file, strict=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected a CSV file of stamps, got unreadable text: {error}.") from error
    if not stamps:
        raise ValueError(f"{path}: expected at least one row below the header, got none.")
    return stamps


def fit_stages(stamps: Sequence[Stamp], warmup: int = WARMUP, device: str = "unnamed bench") -> list[Record]:
    """Median duration of each stage, with its 95 % order-statistic interval.

    Args:
        stamps: Time stamps, in any order.
        warmup: Passes of each stage, the earliest, that are dropped: first calls are slow.
        device: What the stamps were taken on.

    Returns:
        One record per stage [s], in the order in which the stages first stand in ``stamps``.

    Raises:
        ValueError: If ``warmup`` is negative, or leaves fewer than the six passes an interval needs.
    """
    if warmup < 0:
        raise ValueError(f"warmup: expected 0 or more passes, got {warmup}.")
    passes: dict[str, list[Stamp]] = {}
    for stamp in stamps:
        passes.setdefault(stamp.stage, []).append(stamp)
    return [_fit(stage, taken, warmup, device) for stage, taken in passes.items()]


def _fit(stage: str, passes: list[Stamp], warmup: int, device: str) -> Record:
    kept = sorted(passes, key=lambda stamp: stamp.start_ns)[warmup:]
    if len(kept) < 6:
        raise ValueError(
            f"{stage}: expected at least {warmup + 6} passes, {warmup} for warm-up and 6 for an interval, "
            f"got {len(passes)}."
        )
    durations = [stamp.end_ns - stamp.start_ns for stamp in kept]
    return median_record(durations, stage, device, f"time stamps, first {warmup} passes dropped")


def _rows(path: str | Path, reader: Iterator[list[str]]) -> Iterator[Stamp]:
    header = [name.strip() for name in next(reader, [])]
    if sorted(header) not in (sorted(COLUMNS), sorted((*COLUMNS, "run"))):
        _refuse(
            path, 1, f"the columns {', '.join(COLUMNS)} and at most run", ", ".join(header) or "an empty line"
        )
    seen: dict[tuple[str, str], int] = {}
    for fields in reader:
        line = reader.line_num  # type: ignore[attr-defined]
        if not fields:  # an empty line, as at the end of many files
            continue
        if len(fields) != len(header):
            _refuse(path, line, f"{len(header)} fields", str(len(fields)))
        stamp = _stamp(path, line, dict(zip(header, map(str.strip, fields), strict=True)))
        if "run" in header and (first := seen.setdefault((stamp.stage, stamp.run), line)) != line:
            _refuse(
                path, line, "each stage once per run", f"{stamp.stage} of run {stamp.run} as in line {first}"
            )
        yield stamp


def _stamp(path: str | Path, line: int, row: dict[str, str]) -> Stamp:
    if not row["stage"]:
        _refuse(path, line, "the name of a stage", "an empty field")
    for name in ("start_ns", "end_ns"):
        if not re.fullmatch(r"-?[0-9]{1,19}", row[name]):
            _refuse(path, line, f"{name} as an integer", repr(row[name]))
    start, end = int(row["start_ns"]), int(row["end_ns"])
    if end < start:
        _refuse(path, line, "end_ns not before start_ns", f"{end} before {start}")
    return Stamp(row["stage"], start, end, row.get("run", ""))


def _refuse(path: str | Path, line: int, expected: str, got: str) -> NoReturn:
    raise ValueError(f"{path}, line {line}: expected {expected}, got {got}.")
