"""Simulated devices, whose hidden truth a fit must find."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from optics4f.files import write_text


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
        return (self.fixed_ns + math.exp(self.mu)) / 1e9

    def draw_ns(self, random: Random) -> int:
        """One duration [ns], rounded as a clock does."""
        return round(self.fixed_ns + math.exp(random.gauss(self.mu, self.sigma)))


@dataclass(frozen=True)
class SimulatedClock:
    """A bench whose stages follow one another, stamped by a monotonic clock.

    Args:
        stages: The hidden truth: name of each stage and its duration.
        seed: Seed of the random numbers; the same seed writes the same file.
    """

    stages: Mapping[str, StageTime]
    seed: int = 0

    def write_stamps(self, path: str | Path, runs: int) -> None:
        """Write the stamps of so many inferences, as :func:`~optics4f.calibration.load_stamps` reads them."""
        random = Random(self.seed)
        lines, now = ["run,stage,start_ns,end_ns"], 0
        for run in range(runs):
            for name, time in self.stages.items():
                start, now = now, now + time.draw_ns(random)
                lines.append(f"{run},{name},{start},{now}")
        write_text(path, "\n".join(lines) + "\n")
