"""Refractive index of common materials against wavelength, with the source and range of each formula."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .bank import MaskBankData

CATALOGUE = Path(__file__).with_name("materials.toml")
_KEYS = {"formula", "constant", "terms", "range", "source", "verified"}

# Wavelength in micrometres, as the sources print their coefficients.
_FORMULAS: dict[str, Callable[[float, float, tuple[tuple[float, float], ...]], float]] = {
    "sellmeier": lambda w, a, terms: math.sqrt(a + sum(b * w**2 / (w**2 - c**2) for b, c in terms)),
    "poles": lambda w, a, terms: math.sqrt(a + sum(b / (w**2 - d) for b, d in terms)),
    "cauchy": lambda w, a, terms: a + sum(b / w**power for b, power in terms),
}


@dataclass(frozen=True)
class Material:
    r"""A dispersion formula and where it holds; :math:`\lambda` in micrometres inside, as sources print it.

    .. math:: n^2 = A + \sum_k \frac{B_k \lambda^2}{\lambda^2 - C_k^2},\quad
        n^2 = A + \sum_k \frac{B_k}{\lambda^2 - C_k},\quad n = A + \sum_k \frac{B_k}{\lambda^{C_k}}

    Args:
        name: As in the catalogue.
        formula: "sellmeier", "poles" or "cauchy", in the order of the equations.
        constant: A.
        terms: Pairs (B, C).
        range: Shortest and longest wavelength of the formula [m].
        source: Where it was read.
        verified: Whether that source was seen.
    """

    name: str
    formula: str
    constant: float
    terms: tuple[tuple[float, float], ...]
    range: tuple[float, float]
    source: str
    verified: bool

    def index(self, wavelength: float) -> float:
        """Refractive index at a vacuum wavelength [m].

        Raises:
            ValueError: If the wavelength is outside the range of the formula.
        """
        shortest, longest = self.range
        # The range is stored in metres: its ends carry a rounding of 1e-16 of themselves.
        if not shortest * (1 - 1e-12) <= wavelength <= longest * (1 + 1e-12):
            raise ValueError(
                f"{self.name}: expected a wavelength of {shortest * 1e6:.4g} um to {longest * 1e6:.4g} um, "
                f"got {wavelength * 1e6:.4g} um."
            )
        return _FORMULAS[self.formula](wavelength * 1e6, self.constant, self.terms)


def load_materials(path: str | Path = CATALOGUE) -> dict[str, Material]:
    """Read a catalogue of materials.

    Raises:
        ValueError: If the file is not TOML, or an entry lacks something or has something unknown.
        OSError: If the file cannot be read.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected a TOML catalogue of materials, got: {error}.") from error
    return {name: _material(f"{path}: [{name}]", name, table) for name, table in content.items()}


def material(name: str, allow_unverified: bool = False) -> Material:
    """The material of this name.

    Args:
        name: As in the catalogue.
        allow_unverified: Take a formula whose source was not seen; without it, it is refused.

    Raises:
        ValueError: If it is not in the catalogue, or not verified and this was not allowed.
    """
    entries = _catalogue()
    if name not in entries:
        raise ValueError(f"material: expected one of {', '.join(entries)}, got {name!r}.")
    if not (entries[name].verified or allow_unverified):
        raise ValueError(
            f"material: expected a verified formula, got '{name}' ({entries[name].source}); "
            "give the refractive index itself."
        )
    return entries[name]


def refractive_index(name: str | float, wavelength: float, allow_unverified: bool = False) -> float:
    """Refractive index of a material by its name, or the number itself ('1.64' or 1.64).

    Args:
        name: As in the catalogue, or a number.
        wavelength: Vacuum wavelength [m].
        allow_unverified: As in :func:`material`.

    Raises:
        ValueError: If the name is unknown or not verified, the wavelength outside its range, or a number not
            between 1 and 10.

    Example:
        >>> round(refractive_index("fused-silica", 532e-9), 4)
        1.4607
    """
    try:
        index = float(name)
    except ValueError:
        return material(str(name), allow_unverified).index(wavelength)
    if not 1 < index < 10:
        raise ValueError(f"refractive_index: expected a number between 1 and 10, got {index}.")
    return index


def with_material(
    bank: MaskBankData, name: str, samples: int = 11, allow_unverified: bool = False
) -> MaskBankData:
    r"""The bank with its material, n at its wavelength, and a table of n within 10 % of it.

    The table is cut where the formula ends. It lets a reader without this catalogue simulate other colours.

    Args:
        bank: The bank.
        name: As in the catalogue.
        samples: Number of wavelengths in the table, at least 2.
        allow_unverified: As in :func:`material`.

    Raises:
        ValueError: As :func:`refractive_index`, or if there are fewer than two samples.
    """
    if samples < 2:
        raise ValueError(f"samples: expected at least 2, got {samples}.")
    entry = material(name, allow_unverified)
    index = entry.index(bank.wavelength)
    low, high = max(entry.range[0], 0.9 * bank.wavelength), min(entry.range[1], 1.1 * bank.wavelength)
    wavelengths = tuple(float(w) for w in np.linspace(low, high, samples))
    return replace(
        bank,
        refractive_index=index,
        material=name,
        material_wavelengths=wavelengths,
        material_indices=tuple(entry.index(w) for w in wavelengths),
    )


@cache
def _catalogue() -> dict[str, Material]:
    return load_materials()


def _material(where: str, name: str, table: Any) -> Material:
    if not isinstance(table, dict) or set(table) != _KEYS:
        raise ValueError(f"{where}: expected {', '.join(sorted(_KEYS))}, got other keys.")
    if table["formula"] not in _FORMULAS:
        raise ValueError(f"{where}: expected one of {', '.join(_FORMULAS)}, got {table['formula']!r}.")
    try:
        terms = tuple((float(b), float(c)) for b, c in table["terms"])
        shortest, longest = (float(w) * 1e-6 for w in table["range"])
        constant = float(table["constant"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected numbers, got something else ({error}).") from None
    if not 0 < shortest < longest:
        raise ValueError(f"{where}: expected a range from short to long, got {table['range']}.")
    return Material(
        name,
        table["formula"],
        constant,
        terms,
        (shortest, longest),
        str(table["source"]),
        table["verified"] is True,
    )
