"""Light on the pixels of a sensor: photons, signal-to-noise ratios, and the exposure that one needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ..detection import ROUNDING_VARIANCE, photons_per_joule
from ..elements import Sensor
from ..elements.checks import checked_number
from ..units import Quantity, compact, positive_si
from .layer import decibel_of_power, number
from .stages import time_text


@dataclass(frozen=True)
class Term:
    """One step of the light: what part of the power passes it."""

    name: str
    transmission: float
    note: str = ""

    @property
    def db(self) -> float:
        """The part in dB, 10 log10."""
        return decibel_of_power(self.transmission)

    def to_dict(self) -> dict[str, Any]:
        """The step with value, unit and text of each number, ready for JSON."""
        return {
            "name": self.name,
            "transmission": number(self.transmission, "1"),
            "gain": number(self.db, "dB", f"{self.db:.2f} dB"),
            "note": self.note,
        }


@dataclass(frozen=True)
class PhotonBudget:
    r"""Light on the pixels of a sensor in one exposure; ``print`` it for a table.

    With the product :math:`\tau` of all terms, P the power and M pixels, a pixel has on average
    :math:`n = \tau P t \lambda / (h c M)` photons and :math:`\eta n` electrons.

    Attributes:
        power: Of the laser [W].
        wavelength: In vacuum [m].
        exposure_time: Of one exposure [s].
        sensor: Its numbers.
        terms: What part of the power passes, step by step; their product reaches the sensor.
        pixels: Number of pixels that share the light, over all outputs.
        peak_to_mean: Brightest pixel over the mean; 1 where no picture is known.
    """

    power: float
    wavelength: float
    exposure_time: float
    sensor: Sensor
    terms: tuple[Term, ...]
    pixels: int
    peak_to_mean: float = 1.0

    @property
    def transmission(self) -> float:
        """Part of the power that reaches the sensor: the product of the terms."""
        return math.prod(term.transmission for term in self.terms)

    @property
    def photon_rate(self) -> float:
        """Mean photons on a pixel in a second [1/s]."""
        return self.power * self.transmission * photons_per_joule(self.wavelength) / self.pixels

    @property
    def mean_photons(self) -> float:
        """Photons on the mean pixel."""
        return self.photon_rate * self.exposure_time

    @property
    def peak_photons(self) -> float:
        """Photons on the brightest pixel."""
        return self.mean_photons * self.peak_to_mean

    @property
    def mean_electrons(self) -> float:
        """Electrons from light in the mean pixel, before saturation."""
        return self.sensor.quantum_efficiency * self.mean_photons

    @property
    def peak_electrons(self) -> float:
        """Electrons from light in the brightest pixel, before saturation."""
        return self.sensor.quantum_efficiency * self.peak_photons

    @property
    def mean_snr(self) -> float:
        """Signal-to-noise ratio of the power on the mean pixel, after EMVA 1288, saturation left out."""
        return self._snr(self.mean_photons)

    @property
    def peak_snr(self) -> float:
        """The same of the brightest pixel."""
        return self._snr(self.peak_photons)

    @property
    def filling(self) -> float:
        """Electrons of the brightest pixel, dark current included, over what a pixel can show."""
        dark = float(self.sensor.dark_current) * self.exposure_time
        return (self.peak_electrons + dark) / electron_capacity(self.sensor)

    @property
    def saturated(self) -> bool:
        """Whether the brightest pixel is clipped."""
        return self.filling > 1

    def exposure_for_snr(self, snr: float) -> float:
        """:func:`exposure_for_snr` of the mean pixel, while the brightest one is not clipped [s]."""
        return exposure_for_snr(snr, Quantity(self.photon_rate, "1/s"), self.sensor, self.peak_to_mean)

    def to_dict(self) -> dict[str, Any]:
        """The budget with value, unit and text of each number, ready for JSON."""
        electrons = ("mean_photons", "peak_photons", "mean_electrons", "peak_electrons")
        plain = ("transmission", "mean_snr", "peak_snr", "filling", "pixels", "peak_to_mean")
        return {
            "power": number(self.power, "W"),
            "wavelength": number(self.wavelength, "m"),
            "exposure_time": number(self.exposure_time, "s", time_text(self.exposure_time)),
            "terms": [term.to_dict() for term in self.terms],
            **{key: number(getattr(self, key), "1") for key in (*electrons, *plain)},
            "electron_capacity": number(electron_capacity(self.sensor), "1"),
            "saturated": self.saturated,
        }

    def __str__(self) -> str:
        rows = [(term.name, f"{term.db:+.2f} dB", term.note) for term in self.terms]
        rows.append(("on the sensor", f"{decibel_of_power(self.transmission):+.2f} dB", ""))
        width = max(len(name) for name, *_ in rows)
        lines = [f"{name:{width}}  {db:>10}  {note}".rstrip() for name, db, note in rows]
        head = f"{compact(self.power, 'W')} at {compact(self.wavelength, 'm')}, "
        state = "SATURATED" if self.saturated else f"{self.filling:.1%} of what a pixel can show"
        tail = (
            f"mean {self.mean_electrons:.4g} e- (SNR {self.mean_snr:.3g}), "
            f"peak {self.peak_electrons:.4g} e-: {state}"
        )
        return "\n".join((head + time_text(self.exposure_time), *lines, tail))

    def _snr(self, photons: float) -> float:
        return float(self.sensor.snr(torch.tensor(photons, dtype=torch.float64), self.exposure_time))


def electron_capacity(sensor: Sensor) -> float:
    r"""Electrons that a pixel can show, of well or converter: :math:`\min(N_{full}, (2^b - 1 - D_0)/K)`."""
    return float(min(sensor.full_well, (2**sensor.bits - 1 - sensor.offset) / sensor.gain))


def exposure_for_snr(snr: float, photon_rate: Any, sensor: Sensor, peak_to_mean: float = 1.0) -> float:
    r"""Exposure time in which a pixel reaches a signal-to-noise ratio [s].

    With r electrons from light and d from the dark in a second, and
    :math:`\sigma^2 = \sigma_d^2 + 1/(12 K^2)`,

    .. math:: S^2 = \frac{(r t)^2}{(r + d) t + \sigma^2}, \qquad
        t = \frac{S^2 (r + d) + \sqrt{S^4 (r + d)^2 + 4 S^2 r^2 \sigma^2}}{2 r^2}

    Without non-uniformity of the pixels. The full well N allows at most :math:`\sqrt N`, and less if other
    pixels are brighter: more takes several exposures, :math:`S^2` times as many.

    Args:
        snr: The ratio S wanted.
        photon_rate: Photons on the pixel in a second [1/s], as a quantity or string.
        sensor: Its numbers.
        peak_to_mean: How much brighter the brightest pixel is, which must not be clipped.

    Raises:
        TypeError: If the rate has no unit.
        ValueError: If the ratio is not above 0, or the brightest pixel is clipped before it is reached.

    Source: EMVA Standard 1288, release 3.1, section 2.3, solved for t.

    Example:
        >>> sensor = Sensor(quantum_efficiency=0.5, full_well=1e4, dark_noise=0.0, gain=1e3, bits=24)
        >>> round(exposure_for_snr(10.0, "1e6 1/s", sensor) * 1e6)  # 100 electrons, 200 photons
        200
    """
    wanted = checked_number("exposure_for_snr snr", snr, "more than 0", lambda x: 0 < x < math.inf)
    rate = sensor.quantum_efficiency * positive_si(photon_rate, "1/s", "exposure_for_snr photon_rate")
    dark = float(sensor.dark_current)
    total = rate + dark
    fixed = sensor.dark_noise**2 + ROUNDING_VARIANCE / sensor.gain**2
    half = wanted**2 * total / (2 * rate**2)
    time = half + math.sqrt(half**2 + fixed * (wanted / rate) ** 2)
    longest = electron_capacity(sensor) / (rate * checked_ratio(peak_to_mean) + dark)
    if time > longest:
        best = rate * longest / math.sqrt(total * longest + fixed)
        raise ValueError(
            f"exposure_for_snr: expected an SNR of at most {best:.4g} in one exposure, as pixels that show "
            f"{electron_capacity(sensor):.4g} electrons are clipped after {time_text(longest)}, "
            f"got {wanted:.4g}: average {math.ceil((wanted / best) ** 2)} exposures."
        )
    return time


def amplitude_snr(photons: float, quantum_efficiency: float, readout: str = "homodyne pair") -> float:
    r"""Ratio of an amplitude to its shot noise, read with a strong reference in phase with it.

    A homodyne pair has :math:`2 \sqrt{\eta n}`, four steps :math:`\sqrt{2 \eta n}`: they measure the other
    quadrature as well, with half of the light.

    Args:
        photons: Signal photons n on the pixel, in all exposures together.
        quantum_efficiency: Electrons for a photon.
        readout: ``"homodyne pair"`` or ``"four-step"``.

    Raises:
        ValueError: For another readout, a negative number of photons, or an efficiency outside (0, 1].

    Source: H. P. Yuen, V. W. S. Chan, Opt. Lett. 8, 177 (1983); J. H. Bruning et al., Appl. Opt. 13, 2693
    (1974).
    """
    factors = {"homodyne pair": 4, "four-step": 2}
    if readout not in factors:
        raise ValueError(f"amplitude_snr: expected one of {', '.join(factors)}, got {readout!r}.")
    count = checked_number("amplitude_snr photons", photons, "at least 0", lambda x: 0 <= x < math.inf)
    efficiency = checked_number(
        "amplitude_snr quantum_efficiency", quantum_efficiency, "0 < x <= 1", lambda x: 0 < x <= 1
    )
    return math.sqrt(factors[readout] * efficiency * count)


def checked_ratio(ratio: float) -> float:
    """Brightest pixel over the mean, if it can be.

    Raises:
        TypeError: If it is no plain number.
        ValueError: If it is below 1 or not finite.
    """
    return checked_number("peak_to_mean", ratio, "at least 1", lambda x: 1 <= x < math.inf)
