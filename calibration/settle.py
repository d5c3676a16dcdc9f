"""The settling of a display: how long after a command its light is what was asked for."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from optics4f.record import Estimate, Record

UNITS = {"delay_s": 1.0, "delay_ms": 1e-3, "delay_us": 1e-6, "delay_ns": 1e-9}
SETTLED = 4
"""Time constants after which a display counts as settled: e^-4 = 1.8 % of the step are missing."""


def load_settle(path: str | Path) -> tuple[list[float], list[float]]:
    """Read delays [s] and intensities from a CSV file with one column of ``delay_s`` to ``delay_ns`` and
    ``intensity``.

    Raises:
        ValueError: If a column is missing or unknown, or a field is no finite number; with file and line.
        OSError: If the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: expected a CSV file of delays, got unreadable text: {error}.") from error
    unit = next((name for name in header if name in UNITS), "")
    if sorted(header) != sorted((unit, "intensity")):
        expected = f"the columns intensity and one of {', '.join(UNITS)}"
        _refuse(path, 1, expected, ", ".join(header) or "an empty line")
    numbers = [[_number(path, line, field) for field in _two(path, line, row)] for line, row in rows]
    delay, level = header.index(unit), header.index("intensity")
    return [row[delay] * UNITS[unit] for row in numbers], [row[level] for row in numbers]


def fit_settle(
    delays: Sequence[float],
    intensities: Sequence[float],
    name: str = "display",
    device: str = "unnamed bench",
) -> Record:
    r"""Settle time of a display, from the light of the first order against the delay after a command.

    .. math:: I(t) = b \text{ for } t \le t_0, \quad I(t) = c - a\,e^{-(t - t_0) / \tau} \text{ for } t > t_0

    The settle time is :math:`t_0 + 4 \tau`, when 1.8 % of the step are missing. ``estimates`` of the record
    holds ``delay`` :math:`t_0` and ``time_constant`` :math:`\tau`. Light that starts without a jump has
    a = c - b. A jump is fitted only if the data ask for it (F test, 5 %); then :math:`t_0` is known to lie
    between two neighbouring delays and no better. A jump smaller than the rise from one delay to the next
    cannot be told from a display that starts earlier, and is taken for one. Noise is taken as independent and
    of one strength; the intervals are of the linearised least squares, by Student's t.

    Args:
        delays: Delays after the command [s], in any order; some must lie before the light changes.
        intensities: Intensity of the first order at each delay, in any unit.
        name: Name of the stage in a budget that the record replaces.
        device: What was measured.

    Returns:
        The settle time [s].

    Raises:
        ValueError: If there are fewer than 10 points or they differ in number, a number is not finite, or
            the light does not change, or not within the delays.

    Source:
        The form is that of slmsuite's settle calibration, with a background b.
    """
    t, light = _points(delays, intensities)
    if np.ptp(light) == 0:
        raise ValueError("settle: expected light that changes with the delay, got the same at every delay.")
    smooth = _smooth(t, light)
    jump = _jump(t, light)
    # F of one more parameter, at 5 %: a jump too many does no harm, one that is missed shifts the delay.
    rounding = 1e-14 * float(((light - light.mean()) ** 2).sum())  # of sums of squares
    gain = (smooth.residual - jump.residual) / (jump.residual / (len(t) - 5) + rounding)
    best = jump if gain > _student(0.975, len(t) - 5) ** 2 else smooth
    _plausible(best, t, light)
    words = "with a jump" if best is jump else "without a jump"
    return Record(
        name=name,
        value=best.delay + SETTLED * best.tau,
        unit="s",
        interval=_around(best.delay + SETTLED * best.tau, best.settle_error),
        samples=len(t),
        device=device,
        method=f"delay and exponential {words}, least squares, settle = delay + {SETTLED} time constants",
        estimates={
            "delay": Estimate(best.delay, "s", _around(best.delay, best.delay_error)),
            "time_constant": Estimate(best.tau, "s", _around(best.tau, best.tau_error)),
        },
    )


@dataclass(frozen=True)
class _Curve:
    """A fitted response: t0 and tau with half-widths of their intervals [s], and the sum of squares left."""

    delay: float
    tau: float
    delay_error: float
    tau_error: float
    settle_error: float
    residual: float
    step: float


def _smooth(t: NDArray[np.float64], light: NDArray[np.float64]) -> _Curve:
    """Least squares of b + (c - b) (1 - exp(-(t - t0) / tau)) behind t0."""
    from scipy.optimize import least_squares

    def rise(t0: float, tau: float) -> Any:
        return -np.expm1(-np.maximum(t - t0, 0) / tau)

    def miss(p: Any) -> Any:
        return p[0] + p[1] * rise(p[2], math.exp(p[3])) - light

    starts = []
    for t0, tau in _starts(t):
        columns = np.stack([np.ones_like(t), rise(t0, tau)], 1)
        level, residual = _linear(columns, light)
        starts.append((residual, (*level, t0, math.log(tau))))
    scale = (np.ptp(light), np.ptp(light), np.ptp(t) / 10, 1.0)
    found = min(
        (least_squares(miss, p, x_scale=scale) for _, p in sorted(starts, key=lambda s: s[0])[:3]),
        key=lambda result: float(result.cost),
    )
    t0, tau, free = float(found.x[2]), math.exp(float(found.x[3])), len(t) - 4
    error, together = _errors(found.jac * scale, scale, 2 * found.cost / free, tau)
    wide = _student(0.975, free)
    return _Curve(
        t0, tau, wide * error[0], wide * error[1], wide * together, 2 * found.cost, float(found.x[1])
    )


def _errors(jacobian: Any, scale: Any, variance: float, tau: float) -> tuple[tuple[float, float], float]:
    """Standard errors of t0 and tau, and of t0 + 4 tau, from a Jacobian in scaled parameters."""
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * variance * np.outer(scale, scale)
    part = covariance[2:, 2:] * np.outer((1, tau), (1, tau))  # from ln tau to tau
    together = np.array([1.0, SETTLED])
    each = np.sqrt(np.diag(part))
    return (float(each[0]), float(each[1])), math.sqrt(together @ part @ together)


def _jump(t: NDArray[np.float64], light: NDArray[np.float64]) -> _Curve:
    """The same with a free level right behind t0: for each gap between delays, a fit on both sides of it."""
    edges = np.unique(t)
    ends = (math.log(np.diff(edges).min() / 2), math.log(2 * np.ptp(edges)))
    fits = []
    for left, right in list(itertools.pairwise(edges))[1:-4]:  # two delays before, five behind
        before, behind = light[t <= left], t > left
        time, part = t[behind] - right, light[behind]
        residual, tau = _decay(time, part, ends)
        fits.append((residual + float(before.var() * len(before)), left, right, tau, time, part))
    residual, left, right, tau, time, part = min(fits, key=lambda fit: fit[0])
    free = len(t) - 5
    variance, decay = residual / free, np.exp(-time / tau)
    level, _ = _linear(np.stack([np.ones_like(time), decay], 1), part)
    jacobian = np.stack([np.ones_like(time), decay, level[1] * decay * time / tau**2], 1)
    scale = np.abs(jacobian).max(0)
    inverse = np.linalg.pinv((jacobian / scale).T @ (jacobian / scale)) / np.outer(scale, scale)
    error = _student(0.975, free) * math.sqrt(inverse[2, 2] * variance)
    near = [fit for fit in fits if fit[0] - residual <= variance * _student(0.975, free) ** 2]
    delay = (left + right) / 2
    reach = max(abs(edge - delay) for fit in near for edge in fit[1:3])
    return _Curve(delay, tau, reach, error, reach + SETTLED * error, residual, float(np.ptp(light)))


def _decay(time: Any, light: Any, ends: tuple[float, float]) -> tuple[float, float]:
    """Least squares of c - a exp(-t / tau): what is left, and tau with its logarithm between two ends."""
    centred = light - light.mean()
    for _ in range(7):  # each pass narrows the range of ln tau by 2/15
        constants = np.exp(np.linspace(*ends, 16))
        decay = np.exp(-time / constants[:, None])
        decay -= decay.mean(1, keepdims=True)
        size = (decay**2).sum(1) + np.finfo(float).tiny
        residual = (centred**2).sum() - (decay @ centred) ** 2 / size
        best = int(np.argmin(residual))
        ends = (math.log(constants[max(best - 1, 0)]), math.log(constants[min(best + 1, 15)]))
    return max(float(residual[best]), 0.0), float(constants[best])


def _starts(t: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Pairs of t0 and tau to start from, over the delays that were measured."""
    edges = np.unique(t)
    places = np.quantile((edges[1:] + edges[:-1]) / 2, np.linspace(0, 0.9, 16))
    constants = np.geomspace(np.diff(edges).min(), np.ptp(edges), 8)
    return [(float(place), float(tau)) for place in places for tau in constants]


def _linear(columns: Any, light: Any) -> tuple[Any, float]:
    level = np.linalg.lstsq(columns, light, rcond=None)[0]
    return level, float(((columns @ level - light) ** 2).sum())


def _points(delays: Sequence[float], intensities: Sequence[float]) -> tuple[Any, Any]:
    t, light = np.asarray(delays, dtype=float), np.asarray(intensities, dtype=float)
    if t.ndim != 1 or t.shape != light.shape or len(np.unique(t)) < 10:
        raise ValueError(
            "settle: expected at least 10 different delays with an intensity each, "
            f"got {len(np.unique(t))} delays and {light.size} intensities."
        )
    if not (np.isfinite(t).all() and np.isfinite(light).all()):
        raise ValueError("settle: expected finite delays and intensities, got NaN or infinity.")
    order = np.argsort(t, kind="stable")
    return t[order], light[order]


def _plausible(curve: _Curve, t: NDArray[np.float64], light: NDArray[np.float64]) -> None:
    flat = float(((light - light.mean()) ** 2).sum())
    gain = (flat - curve.residual) / 3
    if gain < 10 * curve.residual / (len(t) - 4):  # far beyond the 99.9 % point of F
        raise ValueError(
            "settle: expected light that changes with the delay, got none that stands out of noise."
        )
    if not t[0] < curve.delay < t[-1] or curve.tau > np.ptp(t):
        raise ValueError(
            f"settle: expected delays from before the light changes until it is steady, got {t[0]:.4g} s to "
            f"{t[-1]:.4g} s with a change at {curve.delay:.4g} s and a time constant of {curve.tau:.4g} s."
        )


def _student(share: float, free: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(free, share))


def _around(value: float, half: float) -> tuple[float, float]:
    return max(0.0, value - half) if value >= 0 else value - half, value + half


def _two(path: str | Path, line: int, row: list[str]) -> list[str]:
    if len(row) != 2:
        _refuse(path, line, "2 fields", str(len(row)))
    return row


def _number(path: str | Path, line: int, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        _refuse(path, line, "a finite number", repr(text.strip()))
    return number


def _refuse(path: str | Path, line: int, expected: str, got: str) -> NoReturn:
    raise ValueError(f"{path}, line {line}: expected {expected}, got {got}.")
