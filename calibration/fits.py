"""Distributions of a duration, fitted with confidence intervals: pure functions of samples in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optics4f.record import Estimate
from optics4f.transduction.measurement import median_interval

CONFIDENCE = 0.95
STEADY = 0.01
"""A stage whose central 98 % lie within this share of its median is a constant."""
CLOSE = 0.02
"""A fit whose distribution function is nowhere off by more than this is good enough for a budget."""

_DROP = 1.9207  # half of the 95 % point of chi-square with one degree of freedom


@dataclass(frozen=True)
class Fit:
    """A fitted distribution.

    Attributes:
        distribution: Kind, unit and numbers, as :class:`~optics4f.record.Record` keeps them.
        estimates: Its parameters with intervals.
        words: What was fitted and how well, in a few words.
    """

    distribution: Mapping[str, Any]
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    words: str = ""


def fit_distribution(samples: Sequence[float]) -> Fit:
    r"""The simplest distribution that describes the durations, or the samples themselves.

    A stage whose central 98 % lie within 1 % of its median is a constant with jitter. Otherwise the uniform
    and the shifted log-normal distribution are fitted, and the one with the smaller Akaike criterion
    :math:`2 k - 2 \ln L` is kept if its distance after Kolmogorov and Smirnov is at most the larger of
    0.02 and :math:`1.63 / \sqrt n`. If not, the samples are kept as they are: two humps stay two humps.

    Args:
        samples: Independent durations [s], at least six.

    Raises:
        ValueError: If there are fewer than six, or one is negative or not finite.
    """
    times = _times(samples)
    if np.diff(np.quantile(times, (0.01, 0.99)))[0] <= STEADY * np.median(times):
        return fit_constant(times)
    # A duration of 0 has no logarithm.
    fits = (fit_uniform, fit_shifted_log_normal) if times.min() > 0 else (fit_uniform,)
    found = [(_akaike(fit, times), fit) for fit in (fit(times) for fit in fits)]
    criterion, best = min(found, key=lambda pair: pair[0])
    distance = ks_distance(times, best.distribution)
    limit = max(CLOSE, 1.63 / math.sqrt(len(times)))
    name = str(best.distribution["kind"]).replace("_", " ")
    if distance > limit:
        words = f"samples kept: the best fit, {name}, has a KS distance of {distance:.3f} above {limit:.3f}"
        values = [float(time) for time in times]
        return Fit({"kind": "samples", "unit": "s", "values": values, "run": ""}, words=words)
    other = max(value for value, _ in found)
    words = f"{name}, AIC lower by {other - criterion:.3g} than the other fit, KS distance {distance:.3f}"
    return Fit(best.distribution, best.estimates, words)


def fit_constant(samples: Any) -> Fit:
    r"""A constant: the median, with the standard deviation s around the mean as jitter.

    The interval of the jitter is :math:`s \exp(\pm 1.96 \sqrt{(k - 1) / 4 n})` with the kurtosis
    :math:`k = m_4 / s^4`, for large n and any distribution with a fourth moment.
    """
    times = _times(samples)
    deviation = float(times.std())
    error = 0.0
    if deviation > 0:
        kurtosis = float((((times - times.mean()) / deviation) ** 4).mean())
        error = 1.959964 * math.sqrt(max(kurtosis - 1, 0.0) / (4 * len(times)))
    value = float(np.median(times))
    interval = (deviation * math.exp(-error), deviation * math.exp(error))
    estimates = {
        "value": Estimate(value, "s", median_interval(times.tolist())),
        "jitter": Estimate(deviation, "s", interval),
    }
    words = f"constant: the central 98 % lie within {100 * STEADY:.0f} % of the median"
    return Fit({"kind": "constant", "unit": "s", "value": value}, estimates, words)


def fit_uniform(samples: Any) -> Fit:
    r"""A uniform distribution, as the wait for a camera that runs freely.

    With the smallest sample m, the range R and n samples, :math:`(m - low) / R` is above t with the
    probability :math:`(1 + t)^{-(n - 1)}`, exactly. So the interval of ``low`` is m minus R times the 2.5 %
    and 97.5 % points of t, its estimate takes the median of t; ``high`` likewise. A time below zero is zero.

    Source:
        The spacings of n uniform points are Dirichlet distributed; David and Nagaraja, section 6.4.
    """
    times = _times(samples)
    first, last = float(times.min()), float(times.max())
    reach = [(last - first) * math.expm1(-math.log(p) / (len(times) - 1)) for p in (0.025, 0.5, 0.975)]
    lows = [max(0.0, first - part) for part in reach]
    highs = [last + part for part in reach]
    estimates = {
        "low": Estimate(lows[1], "s", (lows[0], lows[2])),
        "high": Estimate(highs[1], "s", (highs[2], highs[0])),
    }
    return Fit({"kind": "uniform", "unit": "s", "low": lows[1], "high": highs[1]}, estimates)


def fit_shifted_log_normal(samples: Any) -> Fit:
    r"""A shifted log-normal distribution, :math:`t = s + e^\mu e^{\sigma z}` with z normal, of scale e^mu.

    For a given shift the likelihood depends on the samples only through mean M(s) and variance V(s) of
    :math:`\ln(t - s)`, so that the best shift is found along one line:

    .. math:: \ell(s, \mu, \sigma) = -n [M + \ln \sigma + (V + (M - \mu)^2) / 2 \sigma^2]

    Shifts from 0 up to just below the smallest sample are tried. The likelihood grows without bound at that
    sample; the tried shifts end before it, at half a step of the clock or a thousandth of the way from the
    smallest sample to the median. The intervals hold all values whose likelihood, at its best over the other
    two, is within a factor of :math:`e^{-1.92}` of the largest (likelihood ratio).

    Source:
        Cohen and Whitten, Parameter Estimation in Reliability and Life Span Models, 1988, chapter 6.
    """
    line = _Line.of(_times(samples))
    best = int(np.argmin(line.mean + np.log(line.variance) / 2))
    shift, mu, sigma = float(line.shift[best]), float(line.mean[best]), math.sqrt(line.variance[best])
    inside = line.shift[line.cost - line.cost[best] <= _DROP / line.count]
    mus = _ratio_interval(line.cost_of_mu, mu, sigma, line)
    estimates = {
        "shift": Estimate(shift, "s", (float(inside.min()), float(inside.max()))),
        "scale": Estimate(math.exp(mu), "s", (math.exp(mus[0]), math.exp(mus[1]))),
        "sigma": Estimate(sigma, "", _ratio_interval(line.cost_of_sigma, sigma, sigma, line, lowest=0.0)),
    }
    numbers = {name: estimate.value for name, estimate in estimates.items()}
    return Fit({"kind": "shifted_log_normal", "unit": "s", **numbers}, estimates)


def cumulative(times: Any, distribution: Mapping[str, Any]) -> NDArray[np.float64]:
    """Share of durations that a distribution puts at or below each time [s]."""
    from scipy.special import ndtr

    t, kind = np.asarray(times, dtype=float), distribution["kind"]
    if kind == "constant":
        return np.asarray(t >= distribution["value"], dtype=float)
    if kind == "uniform":
        low, high = distribution["low"], distribution["high"]
        return np.asarray(np.clip((t - low) / (high - low), 0, 1))
    if kind == "shifted_log_normal":
        above = np.maximum(t - distribution["shift"], np.finfo(float).tiny)
        return np.asarray(ndtr(np.log(above / distribution["scale"]) / distribution["sigma"]))
    values = np.sort(np.asarray(distribution["values"], dtype=float))
    return np.asarray(np.searchsorted(values, t, side="right") / len(values))


def ks_distance(samples: Any, distribution: Mapping[str, Any]) -> float:
    """Largest difference of the empirical distribution function from a fitted one (Kolmogorov, Smirnov)."""
    times = np.sort(np.asarray(samples, dtype=float))
    found, steps = cumulative(times, distribution), np.arange(len(times) + 1) / len(times)
    return float(max((steps[1:] - found).max(), (found - steps[:-1]).max()))


def rank_correlation(columns: Sequence[Sequence[float]]) -> list[list[float]]:
    """Spearman's correlation of columns of equal length; a column that never changes has none, 0."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(column) for column in columns])
    ranks -= ranks.mean(1, keepdims=True)
    size = np.sqrt((ranks**2).sum(1))
    scale = np.where(size > 0, size, 1)
    matrix = np.clip((ranks @ ranks.T) / np.outer(scale, scale), -1, 1)
    np.fill_diagonal(matrix, 1.0)
    return [[float(entry) for entry in row] for row in matrix]


@dataclass(frozen=True)
class _Line:
    """The log-normal likelihood along the line of shifts: mean and variance of ln(t - s) for each s."""

    shift: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    count: int

    @staticmethod
    def of(times: NDArray[np.float64]) -> _Line:
        first, middle = float(times.min()), float(np.median(times))
        if not 0 < first < times.max():
            raise ValueError("log-normal: expected durations above 0 that differ, got others.")
        nearest = min(max(1e-3 * (middle - first), 0.5e-9), first / 2)
        # First a coarse line, then a fine one where the likelihood is within e^-20 of the largest.
        edges = (nearest, first)
        for points in (60, 400):
            away = np.geomspace(*edges, points)
            logs = [np.log(times - (first - gap)) for gap in away]
            mean = np.array([part.mean() for part in logs])
            variance = np.array([part.var() for part in logs])
            cost = mean + np.log(variance) / 2
            kept = np.flatnonzero(cost <= cost.min() + 20 / len(times))
            edges = (away[max(kept[0] - 1, 0)], away[min(kept[-1] + 1, points - 1)])
        return _Line(np.maximum(first - away, 0.0), mean, variance, len(times))

    @property
    def cost(self) -> NDArray[np.float64]:
        """Minus the logarithm of the likelihood per sample, at the best mu and sigma for each shift."""
        return self.mean + np.log(self.variance) / 2 + 0.5

    def cost_of_mu(self, mu: float) -> float:
        """The same for one mu, at its best over shift and sigma."""
        return float((self.mean + np.log(self.variance + (self.mean - mu) ** 2) / 2).min() + 0.5)

    def cost_of_sigma(self, sigma: float) -> float:
        """The same for one sigma, at its best over shift and mu."""
        return float((self.mean + self.variance / (2 * sigma**2)).min() + math.log(sigma))


def _ratio_interval(
    cost: Callable[[float], float], best: float, scale: float, line: _Line, lowest: float = -math.inf
) -> tuple[float, float]:
    """Where the cost is within the drop of its value at ``best``."""
    from scipy.optimize import brentq

    limit = cost(best) + _DROP / line.count
    ends = []
    for way in (-1, 1):
        step = scale / math.sqrt(line.count)
        while cost(max(best + way * step, lowest + 1e-12)) < limit and step < 1e3 * scale:
            step *= 2
        far = max(best + way * step, lowest + 1e-12)
        ends.append(float(brentq(lambda x: cost(x) - limit, best, far)) if cost(far) > limit else far)
    return min(ends[0], best), max(ends[1], best)


def _akaike(fit: Fit, times: NDArray[np.float64]) -> float:
    given, count = fit.distribution, len(times)
    if given["kind"] == "uniform":
        return 2 * 2 + 2 * count * math.log(times.max() - times.min())
    logs = np.log(times - given["shift"])
    density = -logs - math.log(given["sigma"] * math.sqrt(2 * math.pi))
    density -= ((logs - math.log(given["scale"])) / given["sigma"]) ** 2 / 2
    return float(2 * 3 - 2 * density.sum())


def _times(samples: Any) -> NDArray[np.float64]:
    times = np.asarray(samples, dtype=float)
    if times.ndim != 1 or len(times) < 6 or not np.isfinite(times).all() or (times < 0).any():
        raise ValueError("fit: expected at least 6 finite durations, none negative, got others.")
    return times
