"""What to change next: every device of the catalogue tried in its place, and what each saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .case import Case
from .catalogue import Number
from .stages import time_text

NEARLY = 0.9  # of two links that save nearly the same, the slower one is the better buy


@dataclass(frozen=True)
class Change:
    """One change of a case, and the latency before and after it (p50) [s]."""

    what: str
    part: str
    before: float
    after: float

    @property
    def saved(self) -> float:
        """Latency saved [s]."""
        return self.before - self.after

    def __str__(self) -> str:
        return f"{self.what}: p50 {time_text(self.before)} -> {time_text(self.after)}"


def changes(case: Case, allow_unverified: bool = False) -> list[Change]:
    """Changes of one part that make the median latency shorter, the one that saves most first.

    Tried are every link of the catalogue, every display and sensor with at least as many bits, a trigger
    instead of a camera or display that runs free, and half as many rows. Nothing is known of prices, of
    whether a device fits the bench, or of what fewer rows cost in accuracy.

    Args:
        case: The case.
        allow_unverified: Try devices with a number whose source was not seen as well.
    """
    before = case.budget().p(50)
    tried = [
        Change(what, part, before, changed.budget().p(50))
        for part, what, changed in _candidates(case, allow_unverified)
    ]
    return sorted((change for change in tried if change.saved > 0), key=lambda change: -change.saved)


def best_changes(case: Case, allow_unverified: bool = False) -> list[Change]:
    """The best change of each part, the one that saves most first.

    Among devices of a part that save at least 90 % of what the fastest does, it is the slowest of them: the
    fastest is seldom needed.
    """
    of_part: dict[str, list[Change]] = {}
    for change in changes(case, allow_unverified):
        of_part.setdefault(change.part, []).append(change)
    enough = [[c for c in found if c.saved >= NEARLY * found[0].saved][-1] for found in of_part.values()]
    return sorted(enough, key=lambda change: -change.saved)


def next_best_change(case: Case, allow_unverified: bool = False) -> Change | None:
    """The first of :func:`best_changes`, or None; printed, it is a sentence."""
    return next(iter(best_changes(case, allow_unverified)), None)


def _candidates(case: Case, allow_unverified: bool) -> Iterator[tuple[str, str, Case]]:
    for table, group, drop in (
        ("link", "links", ("rate", "start_delay")),
        ("display", "displays", ("load", "frame_rate", "settle")),
        ("sensor", "sensors", ("row_time", "frame_overhead", "readout")),
    ):
        if table in case.content:
            yield from _devices(case, table, group, drop, allow_unverified)
    if "free_running" in case.table("trigger"):
        content = {key: value for key, value in case.content.items() if key != "trigger"}
        yield "trigger", "a triggered camera", Case(content, case.catalogue, case.file)
    if case.table("display").get("free_running"):
        yield "trigger", "a display that waits for the host", case.changed("display", ("free_running",))
    region = case.table("sensor").get("region")
    if region and region[0] > 1:
        halved = case.changed("sensor", region=[-(-region[0] // 2), region[1]])
        yield "region", f"half as many rows ({-(-region[0] // 2)})", halved


def _devices(
    case: Case, table: str, group: str, drop: tuple[str, ...], allow_unverified: bool
) -> Iterator[tuple[str, str, Case]]:
    part = case.part(table)
    # The depth of the device, not of the format that it is sent in.
    depth = part.entry.numbers.get("bits") if part.entry else None
    bits = int(depth.value) if depth else part.whole("bits") or 0
    for name in case.catalogue.names(group):
        entry = case.catalogue.find(group, name)
        fits = group == "links" or _fits(case, entry.numbers, bits)
        if name != part.values.get("device") and fits and (entry.verified or allow_unverified):
            runs_free = () if "frame_rate" in entry.numbers else ("free_running",)
            yield table, f"{name} as {table}", case.changed(table, (*drop, *runs_free), device=name)


def _fits(case: Case, numbers: Mapping[str, Number], bits: int) -> bool:
    if "bits" not in numbers or numbers["bits"].value < bits:
        return False
    region = case.table("sensor").get("region", (0, 0))
    sizes = zip(("rows", "columns"), region, strict=True)
    return all(key not in numbers or numbers[key].value >= asked for key, asked in sizes)
