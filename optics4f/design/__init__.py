"""From a wanted transmittance to one that a device can show.

encodings   a complex transmittance on a phase-only device
carriers    the same in the first order of a carrier: binary amplitude, or phase alone
"""

from .carriers import (
    LEE_GAIN,
    CarrierReport,
    carrier_offset,
    carrier_report,
    first_order,
    lee_hologram,
    off_axis_gain,
    off_axis_phase,
)
from .encodings import (
    demodulate,
    double_phase,
    double_phase_efficiency,
    double_phase_origin,
    unwanted_light_offset,
)

__all__ = [
    "LEE_GAIN",
    "CarrierReport",
    "carrier_offset",
    "carrier_report",
    "demodulate",
    "double_phase",
    "double_phase_efficiency",
    "double_phase_origin",
    "first_order",
    "lee_hologram",
    "off_axis_gain",
    "off_axis_phase",
    "unwanted_light_offset",
]
