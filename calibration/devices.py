"""Simulated devices, whose hidden truth a fit must find."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import NormalDist
from typing import Protocol

from optics4f.files import write_text

NORMAL = NormalDist()


class HiddenTime(Protocol):
    """A random duration, as a growing function of one standard normal number z."""

    def at(self, z: float) -> float:
        """The duration [ns] at z: at 0 the median, at 2.326 the 99th percentile."""
        ...


@dataclass(frozen=True)
class StageTime:
    r"""A duration that is a fixed part and a random one, :math:`t = t_0 + \exp(\mu + \sigma z)`, z normal.

    Args:
        fixed_ns: Shift :math:`t_0` [ns].
        mu: Mean of the logarithm of the random part in nanoseconds.
        sigma: Standard deviation of the same logarithm.

    Raises:
        ValueError: If the shift or the deviation is negative.
    """

    fixed_ns: float
    mu: float
    sigma: float

    def __post_init__(self) -> None:
        if self.fixed_ns < 0 or self.sigma < 0:
            raise ValueError(f"StageTime: expected no negative time or deviation, got {self}.")

    @property
    def median(self) -> float:
        r"""True median, :math:`t_0 + e^\mu` [s]."""
        return self.at(0.0) / 1e9

    def at(self, z: float) -> float:
        """The duration [ns] at z."""
        return self.fixed_ns + math.exp(self.mu + self.sigma * z)


@dataclass(frozen=True)
class WaitTime:
    """A wait with any length between two ends alike, as for the next frame of a camera that runs freely.

    Args:
        low_ns: Shortest wait [ns].
        high_ns: Longest wait [ns]: for a camera that runs freely, the period of its frames.

    Raises:
        ValueError: If the ends are negative or not in order.
    """

    low_ns: float
    high_ns: float

    def __post_init__(self) -> None:
        if not 0 <= self.low_ns < self.high_ns:
            raise ValueError(f"WaitTime: expected 0 <= low_ns < high_ns, got {self}.")

    def at(self, z: float) -> float:
        """The duration [ns] at z."""
        return self.low_ns + (self.high_ns - self.low_ns) * NORMAL.cdf(z)


@dataclass(frozen=True)
class SteadyTime:
    """A constant with normal jitter; a duration below zero is zero.

    Args:
        mean_ns: The constant [ns].
        jitter_ns: Standard deviation of the jitter [ns].

    Raises:
        ValueError: If one of them is negative.
    """

    mean_ns: float
    jitter_ns: float = 0.0

    def __post_init__(self) -> None:
        if self.mean_ns < 0 or self.jitter_ns < 0:
            raise ValueError(f"SteadyTime: expected no negative time or jitter, got {self}.")

    def at(self, z: float) -> float:
        """The duration [ns] at z."""
        return max(0.0, self.mean_ns + self.jitter_ns * z)


@dataclass(frozen=True)
class SimulatedClock:
    r"""A bench whose stages follow one another, stamped by a monotonic clock.

    Args:
        stages: The hidden truth: name of each stage and its duration.
        seed: Seed of the random numbers; the same seed writes the same file.
        correlation: Correlation :math:`\rho` of the normal numbers of any two stages in one run, as from a
            busy computer. Spearman's correlation of the durations is :math:`(6 / \pi) \arcsin(\rho / 2)`.

    Raises:
        ValueError: If the correlation is not between 0 and 1.
    """

    stages: Mapping[str, HiddenTime]
    seed: int = 0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.correlation <= 1:
            raise ValueError(f"SimulatedClock: expected a correlation in [0, 1], got {self.correlation}.")

    def write_stamps(self, path: str | Path, runs: int) -> None:
        """Write the stamps of so many inferences, as :func:`~optics4f.calibration.load_stamps` reads them."""
        lines, now = ["run,stage,start_ns,end_ns"], 0
        for run, durations in enumerate(self.draw_ns(runs)):
            for name, duration in zip(self.stages, durations, strict=True):
                start, now = now, now + duration
                lines.append(f"{run},{name},{start},{now}")
        write_text(path, "\n".join(lines) + "\n")

    def draw_ns(self, runs: int) -> Iterator[list[int]]:
        """Durations of all stages [ns], run by run, rounded as a clock does."""
        random = Random(self.seed)
        shared, own = math.sqrt(self.correlation), math.sqrt(1 - self.correlation)
        for _ in range(runs):
            common = shared * random.gauss()
            yield [round(time.at(common + own * random.gauss())) for time in self.stages.values()]


@dataclass(frozen=True)
class SimulatedDisplay:
    r"""A display that follows a command after a delay, :math:`I = c - a \exp(-(t - t_0) / \tau)`.

    Args:
        delay: Delay :math:`t_0` [s] in which nothing happens.
        time_constant: :math:`\tau` [s].
        jump: Share of the step that is there at once, :math:`1 - a / (c - b)`.
        background: Light b before the command took effect; the step c - b is 1.
        noise: Standard deviation of the measured light.
        seed: Seed of the noise.

    Raises:
        ValueError: If a time is not above 0, the jump not in [0, 1) or the noise negative.
    """

    delay: float = 12e-3
    time_constant: float = 5e-3
    jump: float = 0.0
    background: float = 0.05
    noise: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.delay <= 0 or self.time_constant <= 0 or not 0 <= self.jump < 1 or self.noise < 0:
            raise ValueError(f"SimulatedDisplay: expected times above 0 and a jump in [0, 1), got {self}.")

    @property
    def settle(self) -> float:
        """True settle time, the delay and four time constants [s]."""
        return self.delay + 4 * self.time_constant

    def light(self, delays: Sequence[float]) -> list[float]:
        """Measured intensity of the first order at each delay [s] after the command."""
        random = Random(self.seed)
        return [self._true_light(delay) + random.gauss(0.0, self.noise) for delay in delays]

    def write_settle(self, path: str | Path, delays: Sequence[float]) -> None:
        """Write delays and light, as :func:`~optics4f.calibration.load_settle` reads them."""
        rows = zip(delays, self.light(delays), strict=True)
        write_text(path, "\n".join(["delay_s,intensity", *(f"{t!r},{light!r}" for t, light in rows)]) + "\n")

    def _true_light(self, delay: float) -> float:
        if delay <= self.delay:
            return self.background
        missing = (1 - self.jump) * math.exp(-(delay - self.delay) / self.time_constant)
        return self.background + 1 - missing


def _bench_stages() -> dict[str, HiddenTime]:
    return {
        "display": SteadyTime(33e6, 20e3),
        "camera wait": WaitTime(0.0, 10e6),
        "exposure": SteadyTime(1e6, 500.0),
        "transduction": StageTime(fixed_ns=250e3, mu=math.log(70e3), sigma=0.4),
        "back end": StageTime(fixed_ns=200e3, mu=math.log(80e3), sigma=0.6),
    }


@dataclass(frozen=True)
class SimulatedBench:
    """A whole bench with a hidden truth: a display that settles, a free-running camera, a link with jitter.

    Args:
        display: How the display settles.
        stages: Durations of the stages of one inference.
        correlation: As in :class:`SimulatedClock`.
        seed: Seed of all random numbers.
    """

    display: SimulatedDisplay = SimulatedDisplay()
    stages: Mapping[str, HiddenTime] = field(default_factory=_bench_stages)
    correlation: float = 0.0
    seed: int = 0

    def write(self, folder: str | Path, runs: int = 1000) -> tuple[Path, Path]:
        """Write ``stamps.csv`` and ``settle.csv`` (150 delays up to twice the settle time) into a folder."""
        stamps, settle = Path(folder) / "stamps.csv", Path(folder) / "settle.csv"
        SimulatedClock(self.stages, self.seed, self.correlation).write_stamps(stamps, runs)
        delays = [2 * self.display.settle * n / 150 for n in range(150)]
        self.display.write_settle(settle, delays)
        return stamps, settle
