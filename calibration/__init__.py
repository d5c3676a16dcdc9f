"""From a bench, real or simulated, to parameters of the engine."""

from .devices import SimulatedClock, StageTime
from .timing import Stamp, fit_stages, load_stamps

__all__ = ["SimulatedClock", "StageTime", "Stamp", "fit_stages", "load_stamps"]
