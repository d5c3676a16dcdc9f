"""From a wanted transmittance, kernel or point-spread function to masks that a device can show.

encodings   a complex transmittance on a phase-only device
carriers    the same in the first order of a carrier: binary amplitude, or phase alone
kernels     kernels as masks, the convention stated; signs by pairs of masks in incoherent light
retrieval   a phase-only mask from a wanted point-spread function
rank        fewer masks for a front end T(nu)

The last three work on tensors, and are loaded when they are first used: files need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

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

_HOME = dict.fromkeys(
    (
        "KernelDesign",
        "exposure_ratio",
        "incoherent_masks",
        "kernel_masks",
        "signed_difference",
        "signed_split",
    ),
    "kernels",
)
_HOME |= dict.fromkeys(
    ("Retrieval", "error_reduction", "mask_psf", "relative_error", "retrieve_phase"), "retrieval"
)
_HOME |= dict.fromkeys(("Reduced", "error_curve", "frequency_svd", "reduced", "shared_bases"), "rank")

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
    *_HOME,
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'optics4f.design' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
