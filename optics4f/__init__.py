"""optics4f: a differentiable simulator of optical 4f systems, and of the linear CNNs they compute.

========================  =====================================================================
module                    what is in it
========================  =====================================================================
``units``                 quantities and strings such as "532 nm" in, SI floats inside
``grid``                  the sampling grid of one plane
``fourier``               centred unitary transforms, crop and pad, kernel responses
``functional``            the physics of single elements as pure functions
``propagation``           free space: angular spectrum and Fresnel, within their honest distances
``zoom``                  the lens integral on any grid
``elements``              one module per optical part
``system``                :class:`FourF`
``cascade``               :class:`Cascade`, several in a row
``transfer``              rank, passivity and audit of T(nu)
``perturbation``          a bench with errors of alignment, wavelength and fabrication
``coherence``             light of many wavelengths, or of an extended source
``polarisation``          Jones calculus
``multiplexing``          what each way to sum channels costs
``wave``                  a 4f system by real propagation, and how ideal the ideal one is
``design``                encodings of complex masks
``transduction``          stages, links, the latency budget
``fabrication``           mask-set files, GDSII, bitmaps, read-back
``record``                measured values as files
``plotting``              pictures
``models``                the SCLC student, its teacher, distillation
``calibration``           from a bench to parameters
========================  =====================================================================

Names are loaded when they are first used, so that ``import optics4f`` and ``optics4f --help`` are quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._version import __version__ as __version__

_HOME = {
    "Grid": "grid",
    "FourF": "system",
    "Cascade": "cascade",
    "audit": "transfer",
    "perturbed": "perturbation",
    "light_budget": "multiplexing",
    "Spectrum": "light",
    "ExtendedSource": "light",
    "abbe_intensity": "coherence",
    "incoherent_intensity": "coherence",
    "intensity_over_wavelengths": "coherence",
    "otf": "coherence",
    "LatencyBudget": "transduction",
    "MaskSet": "fabrication",
}
_HOME |= dict.fromkeys(
    ("nm", "um", "mm", "cm", "m", "ns", "us", "ms", "s", "mW", "uW", "W", "rad", "deg", "Quantity"), "units"
)
_HOME |= dict.fromkeys(
    (
        "Aberration",
        "AmplitudeEncoding",
        "AmplitudeMask",
        "Aperture",
        "ApodisedStop",
        "BinaryMask",
        "Camera",
        "ChannelErrors",
        "CoherentSum",
        "ComplexMask",
        "EvenIllumination",
        "FanOut",
        "FourierLens",
        "FreeSpace",
        "GaussianIllumination",
        "HomodyneReadout",
        "IntensityDetector",
        "JonesMask",
        "KernelMask",
        "LinearPolariser",
        "LookupMask",
        "LowPassStop",
        "MaskBank",
        "PerPolarisation",
        "PhaseEncoding",
        "PhaseMask",
        "Pixelated",
        "Prism",
        "Sensor",
        "ThinLens",
        "TileLayout",
        "TiledMask",
        "WavePlate",
        "sensor_preset",
        "spectral_pool",
    ),
    "elements",
)

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'optics4f' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
