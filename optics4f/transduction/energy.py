"""The energy of one inference, term by term, beside that of a digital network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..units import Quantity, compact, positive_si, si
from .layer import Plan, number

MAC_ENERGY = "300 fJ"
MAC_SOURCE = "digital processors, M. G. Anderson et al., Optical Transformers, TMLR 2024, arXiv:2302.10360"


@dataclass(frozen=True)
class EnergyTerm:
    """One term: a number of things, and what each of them takes.

    Attributes:
        name: What takes the energy.
        count: How many; for a power, the time it is taken for [s].
        unit: Of the count: ``"1"``, ``"bit"`` or ``"s"``.
        each: Energy of one [J]; for a power, its value [W].
        source: Where ``each`` comes from.
    """

    name: str
    count: float
    unit: str
    each: float
    source: str = "given"

    @property
    def energy(self) -> float:
        """Energy of the term [J]."""
        return self.count * self.each

    def to_dict(self) -> dict[str, Any]:
        """The term with value, unit and text of each number, ready for JSON."""
        return {
            "name": self.name,
            "energy": number(self.energy, "J"),
            "count": number(self.count, self.unit),
            "each": number(self.each, "W" if self.unit == "s" else "J"),
            "source": self.source,
        }

    def __str__(self) -> str:
        each = compact(self.each, "W" if self.unit == "s" else "J")
        count = compact(self.count, "s") if self.unit == "s" else f"{self.count:,.0f}"
        return f"{self.name}: {compact(self.energy, 'J')} = {count} x {each} ({self.source})"


@dataclass(frozen=True)
class EnergyBudget:
    """The energy of one inference; ``print`` it for every term with its source.

    Attributes:
        name: Of the budget.
        terms: Its terms.
    """

    name: str
    terms: tuple[EnergyTerm, ...]

    @property
    def total_j(self) -> float:
        """Sum of all terms [J]; fsum makes it independent of their order."""
        return math.fsum(term.energy for term in self.terms)

    @property
    def total(self) -> Any:
        """Sum of all terms, as a pint quantity."""
        return Quantity(self.total_j, "J")

    @property
    def largest(self) -> EnergyTerm:
        """The term that takes most."""
        return max(self.terms, key=lambda term: term.energy)

    def to_dict(self) -> dict[str, Any]:
        """The budget with value, unit and text of each number, ready for JSON."""
        return {
            "name": self.name,
            "terms": [term.to_dict() for term in self.terms],
            "total": number(self.total_j, "J"),
            "largest": self.largest.name,
        }

    def __str__(self) -> str:
        lines = (f"{self.name}: {compact(self.total_j, 'J')} for an inference", *map(str, self.terms))
        return "\n  ".join(lines)


@dataclass(frozen=True)
class Comparison:
    r"""An optical network beside a digital one that costs so much for each multiply-accumulate.

    Attributes:
        optical: Energy of the optical one.
        digital: Energy of the digital one.
    """

    optical: EnergyBudget
    digital: EnergyBudget

    @property
    def ratio(self) -> float:
        """Digital over optical: above 1, optics save energy."""
        return self.digital.total_j / self.optical.total_j

    @property
    def break_even_macs(self) -> float:
        """Multiply-accumulates of a digital network that takes as much as the optical one."""
        return self.optical.total_j / self.digital.terms[0].each

    def to_dict(self) -> dict[str, Any]:
        """Both budgets and their ratio, ready for JSON."""
        return {
            "optical": self.optical.to_dict(),
            "digital": self.digital.to_dict(),
            "ratio": number(self.ratio, "1"),
            "break_even_macs": number(self.break_even_macs, "1"),
        }

    def __str__(self) -> str:
        return (
            f"{self.optical.name} {compact(self.optical.total_j, 'J')}, {self.digital.name} "
            f"{compact(self.digital.total_j, 'J')}, {self.ratio:.3g} times as much; break-even at "
            f"{self.break_even_macs:,.0f} MACs"
        )


def inference_energy(
    *,
    laser_power: Any,
    exposure_time: Any,
    exposures: int,
    display_energy: Any,
    frames: int,
    pixel_energy: Any,
    pixels: int,
    bit_energy: Any,
    bits: int,
    macs: int,
    idle_power: Any,
    duration: Any,
    mac_energy: Any = None,
    sources: Mapping[str, str] | None = None,
    name: str = "optical network",
) -> EnergyBudget:
    r"""Energy of one inference of an optical network with an electronic back end.

    .. math:: E = P_{laser} t_{exp} N_{exp} + E_{display} N_{frame} + e_{pix} N_{pix} + e_{bit} N_{bit}
        + e_{MAC} N_{MAC} + P_{idle}\, t

    The laser is on while the sensor is exposed; one that is always on belongs to the idle power. Nothing but
    the energy of a multiply-accumulate has a default, since nothing else has a number that fits many devices;
    what takes no energy is given as such, ``"0 J"``.

    Args:
        laser_power: That the laser takes from the mains, not its light [W], as a quantity or string.
        exposure_time: Of one exposure [s].
        exposures: Of one inference.
        display_energy: To show one picture or one mask [J].
        frames: Pictures and masks that are shown; 0 for a natural scene and fixed masks.
        pixel_energy: To expose, read and convert one pixel [J].
        pixels: That are read, in all exposures together.
        bit_energy: To send one bit to the computer [J].
        bits: That are sent, in all exposures together.
        macs: Multiply-accumulates of the back end.
        idle_power: That all devices take all the time [W].
        duration: Of one inference [s]: the latency, or the time between two inferences of a pipeline.
        mac_energy: Of one multiply-accumulate [J]; 300 fJ if not given.
        sources: Where numbers come from, by the name of the argument; the others are marked "given".
        name: Of the budget.

    Raises:
        TypeError: If a quantity has no or the wrong unit.
        ValueError: If one is negative, a count is no whole number, or a source belongs to no number.

    Source: for 300 fJ: M. G. Anderson et al., TMLR 2024, arXiv:2302.10360, abstract.
    """
    known = ("laser_power", "display_energy", "pixel_energy", "bit_energy", "mac_energy", "idle_power")
    read = _Sources(known, sources, mac_energy is None)
    shown = _at_least_zero(exposure_time, "s", "exposure_time") * _whole("exposures", exposures)
    mac = MAC_ENERGY if mac_energy is None else mac_energy
    rows = (
        ("laser", shown, "s", "laser_power", laser_power),
        ("display", _whole("frames", frames), "1", "display_energy", display_energy),
        ("pixels", _whole("pixels", pixels), "1", "pixel_energy", pixel_energy),
        ("link", _whole("bits", bits), "bit", "bit_energy", bit_energy),
        ("back end", _whole("macs", macs), "1", "mac_energy", mac),
        ("idle", positive_si(duration, "s", "duration"), "s", "idle_power", idle_power),
    )
    terms = (
        EnergyTerm(
            title, count, unit, _at_least_zero(each, "W" if unit == "s" else "J", key), read.source(key)
        )
        for title, count, unit, key, each in rows
    )
    return EnergyBudget(name, tuple(terms))


def plan_energy(plan: Plan, **numbers: Any) -> EnergyBudget:
    """:func:`inference_energy` of a plan, which knows the numbers of exposures, frames, pixels and bits.

    Every picture is shown on every display once, and so is every mask if a modulator shows them one by one;
    fixed plates take nothing.

    Args:
        plan: The realisation.
        numbers: The other arguments, as quantities or strings.
    """
    masks = plan.mask_frames if plan.mask_frames > 1 else 0
    pixels = plan.exposures * plan.sensors * math.prod(plan.camera_pixels)
    return inference_energy(
        exposures=plan.exposures,
        frames=plan.displays * plan.frames + masks,
        pixels=pixels,
        bits=8 * plan.total_bytes,
        **({"name": plan.name} | numbers),
    )


def digital_energy(
    macs: int, mac_energy: Any = None, source: str = "given", name: str = "digital network"
) -> EnergyBudget:
    r"""Energy of a digital network, :math:`E = e_{MAC} N_{MAC}`.

    Memory and idle power are in it as far as they are in the energy of a multiply-accumulate.

    Args:
        macs: Multiply-accumulates of one inference.
        mac_energy: Of one multiply-accumulate [J]; 300 fJ if not given.
        source: Where that number comes from, if it is given.
        name: Of the budget.

    Raises:
        TypeError: If the energy has no or the wrong unit.
        ValueError: If it is not above 0, or the number is no whole one above 0.

    Example:
        >>> print(digital_energy(65_000_000).total.to("uJ").round(1))
        19.5 microjoule
    """
    if type(macs) is not int or macs < 1:
        raise ValueError(f"digital_energy: expected a whole number of MACs above 0, got {macs!r}.")
    each = positive_si(MAC_ENERGY if mac_energy is None else mac_energy, "J", "mac_energy")
    term = EnergyTerm("MACs", macs, "1", each, MAC_SOURCE if mac_energy is None else source)
    return EnergyBudget(name, (term,))


def compare(optical: EnergyBudget, macs: int, mac_energy: Any = None, source: str = "given") -> Comparison:
    """An optical network beside a digital one with so many multiply-accumulates.

    Args:
        optical: Energy of the optical one, its back end included.
        macs: Multiply-accumulates of the digital one.
        mac_energy: Of one of them [J]; 300 fJ if not given. Give the back end the same.
        source: Where that number comes from, if it is given.

    Raises:
        TypeError: If the energy has no or the wrong unit.
        ValueError: If it is not above 0, the number is no whole one above 0, or the optical network takes
            no energy at all.
    """
    if not optical.total_j > 0:
        raise ValueError("compare: expected an optical network that takes energy, got 0 J.")
    return Comparison(optical, digital_energy(macs, mac_energy, source))


class _Sources:
    def __init__(self, known: tuple[str, ...], sources: Mapping[str, str] | None, default_mac: bool) -> None:
        self.texts = dict(sources or {})
        if unknown := sorted(set(self.texts) - set(known)):
            raise ValueError(f"sources: expected names among {', '.join(known)}, got {', '.join(unknown)}.")
        if default_mac:
            self.texts["mac_energy"] = MAC_SOURCE

    def source(self, key: str) -> str:
        return self.texts.get(key, "given")


def _at_least_zero(value: Any, unit: str, name: str) -> float:
    result = si(value, unit, name)
    if result < 0:
        raise ValueError(f"{name}: expected at least 0 {unit}, got {value}.")
    return result


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name}: expected a whole number of at least 0, got {value!r}.")
    return value
