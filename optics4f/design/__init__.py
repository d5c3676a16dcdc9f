"""From a wanted transmittance to one that a device can show.

encodings   a complex transmittance on a phase-only device
"""

from .encodings import (
    demodulate,
    double_phase,
    double_phase_efficiency,
    double_phase_origin,
    unwanted_light_offset,
)

__all__ = [
    "demodulate",
    "double_phase",
    "double_phase_efficiency",
    "double_phase_origin",
    "unwanted_light_offset",
]
