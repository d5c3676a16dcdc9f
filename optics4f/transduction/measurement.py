"""Timing a call, and the median of what was timed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

from ..record import Record


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


def median_interval(samples: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    r"""Confidence interval of the median by order statistics, without a model of the distribution.

    With k the largest rank for which :math:`P[\mathrm{Bin}(n, 1/2) \le k - 1] \le (1 - \gamma) / 2`, the
    sorted samples :math:`(x_{(k)}, x_{(n+1-k)})` cover the median with a probability of at least
    :math:`\gamma`. The samples must be independent: a trace that drifts needs a wider one.

    Args:
        samples: The samples, in any order.
        confidence: The probability :math:`\gamma`.

    Raises:
        ValueError: If a sample is not finite, or there are too few for this confidence (six for 95 %).

    Source:
        David and Nagaraja, Order Statistics, 3rd edition, section 7.1.

    Example:
        >>> median_interval(range(1, 11))
        (2.0, 9.0)
    """
    import numpy  # both here, so that the command line starts fast
    from scipy.special import bdtr

    ordered = sorted(float(sample) for sample in samples)
    if not all(map(math.isfinite, ordered)):
        raise ValueError("median: expected finite samples, got NaN or infinity.")
    count = len(ordered)
    tail = bdtr(numpy.arange(count // 2 + 1), count, 0.5)
    rank = int((tail <= (1 - confidence) / 2).sum())
    if rank == 0:
        raise ValueError(f"median: expected more samples for {confidence:.0%} confidence, got {count}.")
    return ordered[rank - 1], ordered[-rank]


def median_record(samples_ns: Sequence[float], name: str, device: str, method: str = "") -> Record:
    """The median of durations in nanoseconds as a record in seconds, with its 95 % interval.

    Args:
        samples_ns: Durations [ns].
        name: Name of the stage that was timed.
        device: What it was timed on.
        method: How it was timed; the words about the median are added.

    Raises:
        ValueError: If a sample is not finite or there are fewer than six.
    """
    low, high = median_interval(samples_ns)
    return Record(
        name=name,
        value=statistics.median(samples_ns) / 1e9,
        unit="s",
        interval=(low / 1e9, high / 1e9),
        samples=len(samples_ns),
        device=device,
        method=", ".join(filter(None, (method, "median with order-statistic interval"))),
    )
