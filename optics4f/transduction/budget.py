"""The stages of one inference together: latency, its percentiles, throughput."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..record import Record
from ..units import Quantity
from .stages import KINDS, Stage, number, time_text
from .traces import PERCENTILES, Traces, draw_traces

_EXPECTED = tuple(kind for kind in KINDS if kind != "trigger")
_WHILE_THE_PICTURE_STANDS = ("trigger", "optics", "exposure")


@dataclass(frozen=True)
class LatencyBudget:
    r"""The stages of one inference, one after the other.

    The mean latency is the sum of the means, :math:`\sum_i t_i`. Percentiles do not add: where a stage
    varies, :meth:`traces` draws whole inferences and reads p50, p90 and p99 off their sums.

    Args:
        name: Name of the budget.
        stages: The stages, with names that differ.
        note: A few words about the total.
        absent: Kinds of stages that this case does not have, such as the display of a natural scene. They are
            not reported as left out.

    Raises:
        ValueError: If there is no stage, two have the same name, or an absent kind is unknown or present.
    """

    name: str
    stages: tuple[Stage, ...]
    note: str = ""
    absent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        object.__setattr__(self, "absent", tuple(self.absent))
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"{self.name}: expected stages with names that differ, got {names}.")
        free = set(KINDS) - {stage.kind for stage in self.stages}
        if wrong := sorted(set(self.absent) - free):
            raise ValueError(f"{self.name}: expected absent kinds that no stage has, got {', '.join(wrong)}.")

    @property
    def total_s(self) -> float:
        """Mean latency of one inference [s]; fsum makes it independent of the order of the stages."""
        return math.fsum(stage.duration for stage in self.stages)

    @property
    def total(self) -> Any:
        """Mean latency of one inference, as a pint quantity."""
        return Quantity(self.total_s, "s")

    @property
    def is_constant(self) -> bool:
        """Whether no stage varies."""
        return all(stage.is_constant for stage in self.stages)

    @property
    def bottleneck(self) -> Stage:
        """The stage that one inference takes up longest."""
        return max(self.stages, key=lambda stage: stage.occupied)

    @property
    def throughput(self) -> Any:
        """Inferences per second of the pipelined chain, as a pint quantity [1/s]; see :meth:`rate`."""
        return Quantity(self.rate(), "1/s")

    def rate(self, buffers: int = 2) -> float:
        r"""Inferences per second [1/s] in steady state, with so many frame buffers where stages hand over.

        - ``buffers=1``: nothing overlaps. An inference starts when the one before has ended:
          :math:`1 / \sum_i t_i`.
        - ``buffers=2`` (double buffering) or more: every stage works on an inference of its own while its
          neighbours read and write the other buffer: :math:`1 / \max_i t_i`. More than two smooth out what
          varies and do not raise the mean rate.

        A stage that varies counts with its mean, or with its period if that is longer. All stages are taken
        to be able to overlap; :attr:`standing` is the limit where the picture must stand still.

        Raises:
            ValueError: If ``buffers`` is not a whole number above zero.
        """
        if type(buffers) is not int or buffers < 1:
            raise ValueError(f"buffers: expected a whole number above 0, got {buffers!r}.")
        if buffers > 1:
            return 1.0 / self.bottleneck.occupied
        return 1.0 / max(self.total_s, self.bottleneck.occupied)

    @property
    def standing(self) -> float | None:
        """How long one picture stands on the display [s], settling included; None without a display.

        A display may load the next picture meanwhile, but not show it: no more than 1/standing per second.
        """
        shown = [s for s in self.stages if s.kind in _WHILE_THE_PICTURE_STANDS or s.name == "display settle"]
        if not any(stage.kind == "display" for stage in self.stages) or not shown:
            return None
        return math.fsum(stage.duration for stage in shown)

    @property
    def missing(self) -> list[str]:
        """What a real bench also spends time on and this budget leaves out: its total is a lower bound."""
        present = {stage.kind for stage in self.stages} | set(self.absent)
        return [KINDS[kind] for kind in _EXPECTED if kind not in present]

    @property
    def unverified(self) -> list[str]:
        """Names of the stages whose numbers were assumed, or whose source was not seen."""
        return [stage.name for stage in self.stages if not stage.verified]

    def traces(self, count: int = 100_000, seed: int = 0) -> Traces:
        """So many inferences drawn by Monte Carlo, stage by stage; see :func:`draw_traces`.

        Raises:
            ValueError: If ``count`` is below 100, ``seed`` is negative, or the samples of one run differ in
                number.
        """
        return draw_traces(self.stages, count, seed)

    @cached_property
    def drawn(self) -> Traces:
        """The traces that tables, JSON and pictures use: 100 000, seed 0, drawn once."""
        return self.traces()

    def p(self, percent: float) -> float:
        """Latency that ``percent`` of all inferences stay within [s]; of constant stages their sum."""
        return self.total_s if self.is_constant else self.drawn.percentile(percent).value

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
        rate = self.rate()
        content: dict[str, Any] = {
            "name": self.name,
            "stages": [stage.to_dict() for stage in self.stages],
            "total": number(self.total_s, "s", time_text(self.total_s)),
            "throughput": number(rate, "1/s", f"{rate:.4g} per second"),
            "bottleneck": self.bottleneck.name,
            "missing": self.missing,
            "unverified": self.unverified,
            "note": self.note,
            "summary": str(self),
        }
        if not self.is_constant:
            content["percentiles"] = self.drawn.to_dict()
        return content

    def __str__(self) -> str:
        parts = [(stage.name, stage.duration, stage.note) for stage in self.stages]
        parts.append(("total" if self.is_constant else "mean total", self.total_s, self.note))
        line = " · ".join(
            f"{name} {time_text(time)}" + (f" ({note})" if note else "") for name, time, note in parts
        )
        if self.is_constant:
            return line
        return line + "".join(f" · p{percent} {time_text(self.p(percent))}" for percent in PERCENTILES)
