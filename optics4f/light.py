"""What light is made of: its wavelengths, and the points of the source that it comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .elements.checks import checked_number
from .system import FourF
from .units import positive_si


@dataclass(frozen=True)
class Spectrum:
    """Wavelengths, and the share of the power, or of what the sensor makes of it, that each has.

    Args:
        wavelengths: Vacuum wavelengths [m], as quantities or strings; kept as floats in metres.
        weights: Relative, none negative; kept as fractions whose sum is 1.

    Raises:
        TypeError: If a wavelength has no unit.
        ValueError: If there is none, one is not positive, or there is not one weight for each.

    Example:
        >>> Spectrum(("450 nm", "550 nm"), (1, 3)).weights
        (0.25, 0.75)
    """

    wavelengths: Sequence[Any]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        wavelengths = tuple(positive_si(value, "m", "Spectrum wavelength") for value in self.wavelengths)
        object.__setattr__(self, "wavelengths", wavelengths)
        object.__setattr__(self, "weights", _shares("Spectrum", self.weights, len(wavelengths)))

    @classmethod
    def line(cls, wavelength: Any) -> Spectrum:
        """One wavelength [m]."""
        return cls((wavelength,), (1.0,))

    @classmethod
    def gaussian(cls, centre: Any, fwhm: Any, samples: int = 9) -> Spectrum:
        """A Gaussian over wavelength, by Gauss-Hermite quadrature: exact up to degree ``2 samples - 1``.

        Args:
            centre: Mean wavelength [m].
            fwhm: Full width at half maximum [m].
            samples: Number of wavelengths.
        """
        width = positive_si(fwhm, "m", "Spectrum fwhm") / math.sqrt(8 * math.log(2))
        rule = np.polynomial.hermite_e.hermegauss(count("Spectrum samples", samples))
        return cls._by_quadrature(centre, width, rule)

    @classmethod
    def flat(cls, centre: Any, width: Any, samples: int = 9) -> Spectrum:
        """The same everywhere in a band, by Gauss-Legendre quadrature: exact up to degree ``2 samples - 1``.

        Args:
            centre: Middle of the band [m].
            width: Full width of the band [m].
            samples: Number of wavelengths.
        """
        half = positive_si(width, "m", "Spectrum width") / 2
        rule = np.polynomial.legendre.leggauss(count("Spectrum samples", samples))
        return cls._by_quadrature(centre, half, rule)

    @classmethod
    def _by_quadrature(cls, centre: Any, unit: float, rule: tuple[Any, Any]) -> Spectrum:
        middle = positive_si(centre, "m", "Spectrum centre")
        nodes, weights = rule
        return cls([f"{middle + unit * node!r} m" for node in nodes.tolist()], weights.tolist())


@dataclass(frozen=True)
class ExtendedSource:
    r"""Points of an extended, incoherent source at infinity: tilts of the light in the input plane.

    A point seen under the angle :math:`\theta` lights the plane with :math:`e^{2\pi i f x}`,
    :math:`f = \sin\theta/\lambda`; behind a collimator :math:`f = -x_s/(\lambda f_c)`.

    Args:
        points: Tilts (fy, fx) [1/m].
        weights: Relative powers, none negative; kept as fractions whose sum is 1.

    Raises:
        TypeError: If a point is no pair of plain numbers.
        ValueError: If there is none, one is not finite, or there is not one weight for each.
    """

    points: Sequence[tuple[float, float]]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        points = tuple(_point(point) for point in self.points)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "weights", _shares("ExtendedSource", self.weights, len(points)))

    @classmethod
    def point(cls) -> ExtendedSource:
        """One point on the axis: coherent light."""
        return cls(((0.0, 0.0),), (1.0,))

    @classmethod
    def disk(cls, radius: Any, samples: int = 6) -> ExtendedSource:
        """An evenly bright disk, by Gauss-Legendre quadrature over rings of equal area.

        Exact for polynomials up to degree ``4 samples - 2`` in the tilt; its degree of coherence is right to
        rounding while the argument of :math:`2 J_1(v)/v` is below about ``samples``.

        Args:
            radius: Largest tilt [1/m], as a quantity or string such as ``"20 / mm"``.
            samples: Rings; there are ``4 samples^2`` points.
        """
        largest = positive_si(radius, "1/m", "ExtendedSource radius")
        rings = count("ExtendedSource samples", samples)
        nodes, weights = np.polynomial.legendre.leggauss(rings)
        turns = 2 * math.pi * (np.arange(4 * rings) + 0.5) / (4 * rings)
        radii = largest * np.sqrt((1 + nodes) / 2)
        fy, fx = (np.outer(radii, wave(turns)).ravel().tolist() for wave in (np.sin, np.cos))
        return cls(tuple(zip(fy, fx, strict=True)), np.repeat(weights, 4 * rings).tolist())

    @classmethod
    def from_sigma(cls, bench: FourF, sigma: float, samples: int = 6) -> ExtendedSource:
        r"""A disk of :math:`\sigma` times the cut-off of a bench: the coherence factor of microscopy.

        Args:
            bench: The system; of its stop, the narrower side counts. A pupil is not looked at.
            sigma: Radius of the source over that of the stop; 0.3 is nearly coherent, 1 matched.
            samples: Rings, as in :meth:`disk`.
        """
        factor = checked_number("ExtendedSource sigma", sigma, "a number > 0", lambda s: 0 < s < math.inf)
        return cls.disk(f"{factor * min(bench.cutoff_frequency)!r} 1/m", samples)


def _point(point: Any) -> tuple[float, float]:
    if not isinstance(point, (tuple, list)) or len(point) != 2:
        raise TypeError(f"ExtendedSource: expected points (fy, fx), got {point!r}.")
    fy, fx = (checked_number("ExtendedSource point", f, "a finite number of 1/m") for f in point)
    return fy, fx


def _shares(name: str, weights: Sequence[float], count: int) -> tuple[float, ...]:
    values = [
        checked_number(f"{name} weight", w, "a number of at least 0", lambda w: 0 <= w < math.inf)
        for w in weights
    ]
    total = math.fsum(values)
    if len(values) != count or not total > 0:
        raise ValueError(f"{name}: expected a weight for each of {count}, not all 0, got {values}.")
    return tuple(value / total for value in values)


def count(name: str, number: Any) -> int:
    """A number of things, if it is a positive integer.

    Raises:
        ValueError: If it is not.
    """
    if type(number) is not int or number < 1:
        raise ValueError(f"{name}: expected an integer of at least 1, got {number!r}.")
    return number
