"""The only door to pint: quantities and strings with units in, SI floats inside.

Everything behind this door is a plain float in SI units. A bare number where a quantity is expected is
refused, because nobody can tell whether ``wavelength=532`` meant nanometres.
"""

from __future__ import annotations

import math
import re
from typing import Any

import pint

ureg: pint.UnitRegistry[Any] = pint.UnitRegistry()
Quantity = ureg.Quantity

nm = ureg.nanometer
um = ureg.micrometer
mm = ureg.millimeter
cm = ureg.centimeter
m = ureg.meter
ns = ureg.nanosecond
us = ureg.microsecond
ms = ureg.millisecond
s = ureg.second
uW = ureg.microwatt
mW = ureg.milliwatt
W = ureg.watt
rad = ureg.radian
deg = ureg.degree

_DIMENSIONLESS = ("", "rad", "bit", "byte")
# One number, then a unit. pint alone drops what it does not know and multiplies numbers that stand side by
# side: "1,5 mm" would be 15 mm and "12 500 um" 6000 um.
_TEXT = re.compile(
    r"\s*[-+]?(\d+\.?\d*|\.\d+|nan|inf)(e[-+]?\d+)?\s*((1?\s*/\s*)?[^\W\d_]([\w²³⁻¹·.()^*/-]|\s(?!\d))*|[%°])?\s*",
    re.IGNORECASE,
)


def si(value: Any, unit: str, name: str) -> float:
    """Turn a quantity or a string such as ``"532 nm"`` into a float in the SI unit ``unit``.

    Args:
        value: A pint quantity or a string that pint can read.
        unit: The SI unit wanted, e.g. ``"m"`` or ``"s"``.
        name: What the value is, for the error message.

    Raises:
        TypeError: If ``value`` is a bare number or has the wrong dimension
            (``pint.DimensionalityError`` is a ``TypeError``).
        ValueError: If the text cannot be read or the number is not finite.

    Example:
        >>> round(si("532 nm", "m", "wavelength") * 1e9)
        532
    """
    if isinstance(value, str):
        value = _read(value, unit, name)
    if not isinstance(value, pint.Quantity) or (value.dimensionless and unit not in _DIMENSIONLESS):
        raise TypeError(f"{name}: expected a quantity with a unit such as '1 {unit}', got {_plain(value)}.")
    try:
        number = float(value.to(unit).magnitude)
    except pint.DimensionalityError as error:
        raise pint.DimensionalityError(
            error.units1,
            error.units2,
            error.dim1,
            error.dim2,
            extra_msg=f": {name}: expected {unit}, got {value}.",
        ) from None
    # To pint a bit is dimensionless, so that it would take 5 Hz for 5 bit/s and 3 rad for 3 bit.
    if _counts_bits(value.units) != _counts_bits(unit):
        raise TypeError(f"{name}: expected a quantity in {unit}, got {value}.")
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a finite quantity in {unit}, got {value}.")
    return number


def positive_si(value: Any, unit: str, name: str) -> float:
    """As :func:`si`, and larger than zero.

    Raises:
        TypeError: As :func:`si`.
        ValueError: If the number is not larger than zero.
    """
    number = si(value, unit, name)
    if number <= 0:
        raise ValueError(f"{name}: expected more than 0 {unit}, got {value}.")
    return number


def compact(value: float, unit: str, digits: int = 4) -> str:
    """Write an SI float for a person, with the prefix that fits.

    Example:
        >>> compact(2.969e-5, "m")
        '29.69 um'
        >>> compact(0.0, "s")
        '0 s'
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    quantity = Quantity(value, unit).to_compact()
    text = f"{quantity.magnitude:.{digits}g} {quantity.units:~P}"
    return text.replace("µ", "u").replace("μ", "u")


def _read(text: str, unit: str, name: str) -> Any:
    try:
        if not _TEXT.fullmatch(text):
            raise ValueError("not a number with a unit")
        return Quantity(text)
    except Exception as error:  # pint raises many kinds for unreadable text
        raise ValueError(
            f"{name}: expected a quantity in {unit} such as '1 {unit}', got {text!r}."
        ) from error


def _counts_bits(unit: Any) -> bool:
    return "bit" in str(Quantity(1.0, unit).to_root_units().units)


def _plain(value: Any) -> str:
    if isinstance(value, pint.Quantity):
        return str(value)
    return f"the bare number {value}" if isinstance(value, (int, float)) else f"{value!r}"
