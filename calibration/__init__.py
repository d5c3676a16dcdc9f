"""From a bench, real or simulated, to parameters of the engine."""

from .devices import SimulatedBench, SimulatedClock, SimulatedDisplay, StageTime, SteadyTime, WaitTime
from .fits import Fit, fit_distribution
from .settle import fit_settle, load_settle
from .stamps import Stamp, load_stamps
from .timing import drawn_together, fit_stages, whole_traces

__all__ = [
    "Fit",
    "SimulatedBench",
    "SimulatedClock",
    "SimulatedDisplay",
    "StageTime",
    "Stamp",
    "SteadyTime",
    "WaitTime",
    "drawn_together",
    "fit_distribution",
    "fit_settle",
    "fit_stages",
    "load_settle",
    "load_stamps",
    "whole_traces",
]
