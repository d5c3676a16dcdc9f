"""Many inferences drawn stage by stage, and what share of them is faster than what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from .distributions import Samples
from .stages import Stage, number, time_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERCENTILES = (50, 90, 99)


class Percentile(NamedTuple):
    """A percentile [s] and its confidence interval (low, high) [s] from finitely many traces."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Traces:
    """Durations of every stage in many inferences, and their sums.

    Percentiles do not add, so the sum is taken trace by trace before they are read off.

    Args:
        names: Names of the stages.
        stages: Durations [s], shape (stages, count), float64.
        totals: Their sums in ascending order [s], shape (count,).
        seed: Of the random numbers.
    """

    names: tuple[str, ...]
    stages: NDArray[np.float64]
    totals: NDArray[np.float64]
    seed: int

    @property
    def count(self) -> int:
        """Number of traces."""
        return len(self.totals)

    @property
    def mean(self) -> float:
        """Mean latency [s]."""
        return float(self.totals.mean())

    def percentile(self, percent: float, confidence: float = 0.95) -> Percentile:
        r"""Latency that ``percent`` of all inferences stay within, with its order-statistic interval.

        Of n independent traces, the number below the true percentile q is :math:`\mathrm{Bin}(n, q)`,
        whatever the distribution; the interval takes the ranks that leave :math:`(1 - \gamma) / 2` on either
        side. It says how far more traces could move the number, not how far the model is from the bench.

        Args:
            percent: Above 0 and below 100.
            confidence: The probability :math:`\gamma` that the interval covers the percentile.

        Raises:
            ValueError: If ``percent`` or ``confidence`` is out of range, or there are too few traces.

        Source:
            David and Nagaraja, Order Statistics, 3rd edition, section 7.1.
        """
        low, high = _ranks(self.count, percent, confidence)
        middle = min(self.count - 1, math.ceil(percent / 100 * self.count) - 1)
        return Percentile(*(float(self.totals[rank]) for rank in (middle, low, high)))

    def of_stage(self, name: str, percent: float) -> float:
        """The same percentile of one stage alone [s], without an interval.

        Raises:
            ValueError: If there is no stage of this name.
        """
        import numpy

        if name not in self.names:
            raise ValueError(f"stage: expected one of {', '.join(self.names)}, got {name!r}.")
        return float(numpy.quantile(self.stages[self.names.index(name)], percent / 100))

    def to_dict(self) -> dict[str, Any]:
        """p50, p90 and p99 with value, unit, text and interval, ready for JSON."""
        content: dict[str, Any] = {"count": self.count, "seed": self.seed, "confidence": 0.95}
        for percent in PERCENTILES:
            value, low, high = self.percentile(percent)
            interval = {"value": [low, high], "unit": "s"}
            content[f"p{percent}"] = {**number(value, "s", time_text(value)), "interval": interval}
        return content


def draw_traces(stages: Sequence[Stage], count: int = 100_000, seed: int = 0) -> Traces:
    """Draw whole inferences: one duration per stage, independent but for samples of the same run.

    Every stage has a stream of its own, so that a change of one stage leaves the draws of the others as
    they are.

    Raises:
        ValueError: If ``count`` is below 100, ``seed`` is negative, or the samples of one run differ in
            number.
    """
    import numpy

    if type(count) is not int or count < 100:
        raise ValueError(f"traces: expected at least 100 of them, got {count!r}.")
    if type(seed) is not int or seed < 0:
        raise ValueError(f"traces seed: expected a whole number of 0 or more, got {seed!r}.")
    indices = _indices(stages, count, seed)
    drawn = numpy.empty((len(stages), count))
    for row, stage in zip(drawn, stages, strict=True):
        spread = stage.distribution
        if isinstance(spread, Samples) and spread.run:
            row[:] = spread.at(indices[spread.run])
        else:
            row[:] = spread.draw(_stream(seed, stage.name), count)
    return Traces(tuple(stage.name for stage in stages), drawn, numpy.sort(drawn.sum(axis=0)), seed)


def _indices(stages: Sequence[Stage], count: int, seed: int) -> dict[str, Any]:
    sizes: dict[str, int] = {}
    for stage in stages:
        spread = stage.distribution
        if (
            isinstance(spread, Samples)
            and spread.run
            and sizes.setdefault(spread.run, len(spread.values)) != len(spread.values)
        ):
            raise ValueError(
                f"{stage.name}: expected {sizes[spread.run]} samples as in the other stages of the run "
                f"{spread.run!r}, got {len(spread.values)}."
            )
    return {run: _stream(seed, f"run {run}").integers(size, size=count) for run, size in sizes.items()}


def _stream(seed: int, name: str) -> np.random.Generator:
    import numpy

    return numpy.random.default_rng([seed, *name.encode()])


def _ranks(count: int, percent: float, confidence: float) -> tuple[int, int]:
    import numpy
    from scipy.special import bdtr

    if not 0 < percent < 100:
        raise ValueError(f"percentile: expected 0 < percent < 100, got {percent}.")
    if not 0 < confidence < 1:
        raise ValueError(f"percentile confidence: expected 0 < confidence < 1, got {confidence}.")
    share, tail = percent / 100, (1 - confidence) / 2
    below = bdtr(numpy.arange(count, dtype=float), count, share)  # P[Bin <= k], k = 0 .. n - 1
    low = int(numpy.searchsorted(below, tail, side="right")) - 1  # 0-based: P[Bin <= low] <= tail
    high = int(numpy.searchsorted(below, 1 - tail))  # 0-based: P[Bin <= high] >= 1 - tail
    if low < 0 or high >= count:
        raise ValueError(
            f"percentile: expected more traces for {percent:g} % at {confidence:.0%} confidence, got {count}."
        )
    return low, high
