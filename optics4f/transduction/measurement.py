"""Timing a call, and the percentiles of what was timed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, perf_counter_ns
from typing import Any

from ..record import Estimate, Record

PERCENTILES = (50, 90, 99)


def measure(call: Callable[[], Any], warmup: int = 10, runs: int = 1000) -> list[int]:
    """Durations of a call [ns], one per run, by the monotonic clock.

    Args:
        call: What to time. Work that goes on behind it, as on a GPU, must be waited for inside.
        warmup: Calls before the first one that is timed.
        runs: Calls that are timed.

    Raises:
        ValueError: If ``warmup`` is negative or ``runs`` is less than one.
    """
    if warmup < 0 or runs < 1:
        raise ValueError(f"measure: expected warmup >= 0 and runs >= 1, got {warmup} and {runs}.")
    for _ in range(warmup):
        call()
    samples = []
    for _ in range(runs):
        start = perf_counter_ns()
        call()
        samples.append(perf_counter_ns() - start)
    return samples


def take_turns(
    calls: Mapping[str, Callable[[], Any]],
    seconds: float,
    clock: Callable[[], float] = perf_counter,
    turn: float = 0.0,
) -> dict[str, list[float]]:
    """Durations of several calls [s], which take turns, so that a disturbance meets all of them.

    Args:
        calls: What to time, by name; each is called twice before.
        seconds: How long to go on [s]; every call has five turns at least.
        clock: Gives the time [s]; ``time.process_time`` does not count what other processes take away.
        turn: How long a turn is at least [s]: a call that is shorter is repeated, and the mean counts.

    Raises:
        ValueError: If there is nothing to time.
    """
    if not calls:
        raise ValueError("take_turns: expected at least one call, got none.")
    repeats = {}
    for name, call in calls.items():
        call()
        start = clock()
        call()
        repeats[name] = math.ceil(turn / max(clock() - start, 1e-7)) or 1
    samples: dict[str, list[float]] = {name: [] for name in calls}
    end = perf_counter() + seconds
    while perf_counter() < end or min(map(len, samples.values())) < 5:
        for name, call in calls.items():
            start = clock()
            for _ in range(repeats[name]):
                call()
            samples[name].append((clock() - start) / repeats[name])
    return samples


def percentile(samples: Sequence[float], share: float) -> float:
    r"""The value below which a share p of the samples lies, interpolated between ranks (R's type 7).

    Args:
        samples: The samples, in any order.
        share: The share p, between 0 and 1.

    Raises:
        ValueError: If there is no sample, or the share is not between 0 and 1.

    Source:
        Hyndman and Fan, Sample quantiles in statistical packages, Am. Stat. 50 (1996).

    Example:
        >>> percentile([3, 1, 2, 4], 0.5), percentile(range(101), 0.9)
        (2.5, 90.0)
    """
    if not samples or not 0 < share < 1:
        raise ValueError(
            f"percentile: expected samples and a share in (0, 1), got {len(samples)} and {share}."
        )
    ordered = sorted(float(sample) for sample in samples)
    place = share * (len(ordered) - 1)
    below = min(math.floor(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def percentile_interval(
    samples: Sequence[float], share: float, confidence: float = 0.95
) -> tuple[float, float]:
    r"""Confidence interval of a percentile by order statistics, without a model of the distribution.

    The number of samples below the true percentile is binomial, :math:`\mathrm{Bin}(n, p)`. With the largest
    rank l for which :math:`P[\mathrm{Bin} \le l - 1] \le (1 - \gamma) / 2` and the smallest u for which
    :math:`P[\mathrm{Bin} \ge u] \le (1 - \gamma) / 2`, the sorted samples :math:`(x_{(l)}, x_{(u)})` cover
    the percentile with a probability of at least :math:`\gamma`. The samples must be independent: a trace
    that drifts needs a wider interval.

    Args:
        samples: The samples, in any order.
        share: The share p of the percentile, e.g. 0.99.
        confidence: The probability :math:`\gamma`.

    Raises:
        ValueError: If a sample is not finite, or there are too few for this confidence (for 95 %: six for
            the median, 36 for p90, 368 for p99).

    Source:
        David and Nagaraja, Order Statistics, 3rd edition, section 7.1.

    Example:
        >>> percentile_interval(range(1, 1001), 0.9)
        (881.0, 919.0)
    """
    ordered = sorted(float(sample) for sample in samples)
    if not all(map(math.isfinite, ordered)):
        raise ValueError("percentile: expected finite samples, got NaN or infinity.")
    if (ranks := _ranks(len(ordered), share, confidence)) is None:
        raise ValueError(
            f"percentile: expected more samples for {confidence:.0%} confidence, got {len(ordered)}."
        )
    return ordered[ranks[0] - 1], ordered[ranks[1] - 1]


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The same for the median: the ranks lie as far from one end as from the other.

    Raises:
        ValueError: As :func:`percentile_interval`.

    Example:
        >>> median_interval(range(1, 11))
        (2.0, 9.0)
    """
    return percentile_interval(samples, 0.5, confidence)


def percentiles(samples: Sequence[float]) -> dict[str, Estimate]:
    """p50, p90 and p99 of durations [s] with 95 % intervals; one that needs more samples is left out.

    Raises:
        ValueError: If a sample is not finite.
    """
    found = {}
    for number in PERCENTILES:
        if _ranks(len(samples), number / 100, 0.95) is not None:
            low, high = percentile_interval(samples, number / 100)
            value = min(max(percentile(samples, number / 100), low), high)
            found[f"p{number}"] = Estimate(value, "s", (low, high))
    return found


def median_record(samples_ns: Sequence[float], name: str, device: str, method: str = "") -> Record:
    """The median of durations in nanoseconds as a record in seconds, with its 95 % interval.

    The record holds p50, p90 and p99 too, as far as the number of samples allows, and the samples.

    Args:
        samples_ns: Durations [ns].
        name: Name of the stage that was timed.
        device: What it was timed on.
        method: How it was timed; the words about the median are added.

    Raises:
        ValueError: If a sample is not finite or there are fewer than six.
    """
    low, high = median_interval(samples_ns)
    seconds = [sample / 1e9 for sample in samples_ns]
    return Record(
        name=name,
        value=statistics.median(samples_ns) / 1e9,
        unit="s",
        interval=(low / 1e9, high / 1e9),
        samples=len(samples_ns),
        device=device,
        method=", ".join(filter(None, (method, "median with order-statistic interval"))),
        distribution={"kind": "samples", "unit": "s", "values": seconds, "run": ""},
        estimates=percentiles(seconds),
    )


def _ranks(count: int, share: float, confidence: float) -> tuple[int, int] | None:
    """Ranks (l, u) of the interval, counted from 1, or None if there are too few samples."""
    import numpy  # both here, so that the command line starts fast
    from scipy.special import bdtr

    if not (0 < share < 1 and 0 < confidence < 1):
        raise ValueError(
            f"percentile: expected share and confidence in (0, 1), got {share} and {confidence}."
        )
    at_most = bdtr(numpy.arange(count), count, share)  # P[Bin <= k], k = 0 ... n - 1
    tail = (1 - confidence) / 2
    lower = int((at_most <= tail).sum())
    upper = int((1 - at_most > tail).sum()) + 1
    return (lower, upper) if lower >= 1 and upper <= count else None
