"""The numbers of an image sensor, and the catalogue of sensors in ``sensors.toml``."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..detection import snr
from ..units import positive_si, si
from .checks import checked_number, checked_seed

CATALOGUE = Path(__file__).with_name("sensors.toml")
# The unit that each number of the catalogue must have; a pitch may be in any unit of length.
_UNITS = {
    "quantum_efficiency": "%",
    "full_well": "e-",
    "dark_noise": "e-",
    "dark_current": "e-/s",
    "gain": "DN/e-",
    "offset": "DN",
    "bits": "bit",
    "prnu": "%",
    "dsnu": "e-",
    "pixel_pitch": "m",
}
_MAY_BE_LEFT_OUT = {"dark_current", "offset", "prnu", "dsnu"}
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?) *(\S.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Sensor:
    r"""The numbers of an image sensor, in the terms of EMVA 1288.

    Counts of electrons and digital numbers have no SI unit: they are given as plain numbers.

    Args:
        quantum_efficiency: Electrons for a photon, :math:`0 < \eta \le 1`, fill factor included.
        full_well: Electrons that a pixel holds; ``math.inf`` for a photodiode that never saturates.
        dark_noise: Standard deviation of the readout [e-].
        gain: K [DN/e-].
        bits: Of the converter, 1 to 24.
        pixel_pitch: Distance of pixels, a quantity or string; kept in metres. None fits every plane.
        dark_current: Electrons per second, a quantity or string such as "5 1/s"; kept in 1/s. It doubles
            every 6 to 8 degrees and belongs to one temperature.
        offset: [DN]. Choose it above some standard deviations of the noise, or dark pixels are clipped.
        prnu: Standard deviation of the response over the pixels, as a part of the mean.
        dsnu: Standard deviation of the dark signal over the pixels [e-].
        seed: Names the specimen: its maps of response and dark signal are drawn from it.

    Raises:
        TypeError: If a number has a unit or a quantity has none, or the wrong one.
        ValueError: If a number is out of range.

    Source: EMVA Standard 1288, release 3.1, section 2.
    """

    quantum_efficiency: float
    full_well: float
    dark_noise: float
    gain: float
    bits: int
    pixel_pitch: Any = None
    dark_current: Any = "0 1/s"
    offset: float = 0.0
    prnu: float = 0.0
    dsnu: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        checked_number(
            "Sensor quantum_efficiency", self.quantum_efficiency, "0 < x <= 1", lambda x: 0 < x <= 1
        )
        checked_number("Sensor full_well", self.full_well, "more than 0 electrons", lambda x: x > 0)
        checked_number("Sensor gain", self.gain, "more than 0 DN/e- and finite", lambda x: 0 < x < math.inf)
        checked_number("Sensor prnu", self.prnu, "0 <= x < 1", lambda x: 0 <= x < 1)
        for name in ("dark_noise", "offset", "dsnu"):
            checked_number(
                f"Sensor {name}", getattr(self, name), "at least 0 and finite", lambda x: 0 <= x < math.inf
            )
        checked_seed("Sensor", self.seed)
        if type(self.bits) is not int or not 1 <= self.bits <= 24:
            raise ValueError(f"Sensor bits: expected an integer from 1 to 24, got {self.bits!r}.")
        current = si(self.dark_current, "1/s", "Sensor dark_current")
        checked_number("Sensor dark_current", current, "at least 0 electrons per second", lambda x: x >= 0)
        object.__setattr__(self, "dark_current", current)
        if self.pixel_pitch is not None:
            pitch = positive_si(self.pixel_pitch, "m", "Sensor pixel_pitch")
            object.__setattr__(self, "pixel_pitch", pitch)

    def with_numbers(self, **changes: Any) -> Sensor:
        """This sensor with some numbers changed, given as to the constructor."""
        kept: dict[str, Any] = {"dark_current": f"{self.dark_current!r} 1/s"}
        if self.pixel_pitch is not None:
            kept["pixel_pitch"] = f"{self.pixel_pitch!r} m"
        return replace(self, **(kept | changes))

    def snr(self, photons: Tensor, exposure_time: float = 0.0) -> Tensor:
        """:func:`optics4f.detection.snr` of a pixel; the dark current counts for the exposure time [s]."""
        dark = self.dark_current * exposure_time
        return snr(photons, self.quantum_efficiency, self.dark_noise, dark, self.gain)

    def maps(self, pixels: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Response about 1 and dark signal about 0 [e-] of this specimen's pixels, from its seed, float64."""
        generator = torch.Generator().manual_seed(self.seed)
        first, second = torch.randn(2, *pixels, dtype=torch.float64, generator=generator)
        return (1 + self.prnu * first).clamp(min=0), self.dsnu * second


@dataclass(frozen=True)
class SensorEntry:
    """A sensor of the catalogue, the source of each number, and the numbers whose source was not seen."""

    name: str
    sensor: Sensor
    sources: dict[str, str]
    unverified: tuple[str, ...]


def load_sensors(path: str | Path = CATALOGUE) -> dict[str, SensorEntry]:
    """Read a catalogue of sensors.

    Raises:
        TypeError: If a number has no or the wrong unit.
        ValueError: If the file is not TOML, a key is unknown, missing or wrong, or a number is out of range.
        OSError: If the file cannot be read.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a TOML catalogue of sensors, got unreadable text: {error}."
        ) from error
    return {name: _read_sensor(f"{path}: [{name}]", name, table) for name, table in content.items()}


def sensor_preset(name: str, allow_unverified: bool = False) -> Sensor:
    """The sensor of this name.

    Args:
        name: As in the catalogue.
        allow_unverified: Take numbers whose source was not seen; without it they are refused.

    Raises:
        ValueError: If it is not in the catalogue, or a number is not verified and this was not allowed.

    Example:
        >>> sensor_preset("kaf_3200me").full_well
        70000.0
    """
    entries = load_sensors()
    if name not in entries:
        raise ValueError(f"sensor_preset: expected one of {', '.join(entries)}, got {name!r}.")
    if entries[name].unverified and not allow_unverified:
        keys = ", ".join(entries[name].unverified)
        raise ValueError(
            f"sensor_preset: expected verified numbers or allow_unverified=True, got {name!r}: "
            f"{keys} not verified."
        )
    return entries[name].sensor


def _read_sensor(where: str, name: str, table: Any) -> SensorEntry:
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a table of numbers, got {table!r}.")
    _check_keys(where, table, set(_UNITS), set(_UNITS) - _MAY_BE_LEFT_OUT)
    for key, item in table.items():
        _check_item(f"{where} {key}", item)
    numbers = {key: _read_number(f"{where} {key}", key, item["value"]) for key, item in table.items()}
    try:
        found = Sensor(**numbers)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{where}: {error}") from error
    unverified = tuple(key for key, item in table.items() if not item["verified"])
    return SensorEntry(name, found, {key: item["source"] for key, item in table.items()}, unverified)


def _check_keys(where: str, table: dict[str, Any], known: set[str], needed: set[str]) -> None:
    for key in (*sorted(table.keys() - known), *sorted(needed - table.keys())):
        state = "unknown" if key in table else "missing"
        raise ValueError(
            f"{where}: expected the keys {', '.join(sorted(known))}, got the {state} key {key!r}."
        )


def _check_item(where: str, item: Any) -> None:
    if not isinstance(item, dict):
        raise ValueError(f"{where}: expected value, source and verified, got {item!r}.")
    keys = {"value", "source", "verified"}
    _check_keys(where, item, keys, keys)
    if not isinstance(item["source"], str) or not item["source"].strip():
        raise ValueError(f"{where} source: expected some text, got {item['source']!r}.")
    if not isinstance(item["verified"], bool):
        raise ValueError(f"{where} verified: expected true or false, got {item['verified']!r}.")


def _read_number(where: str, key: str, text: Any) -> Any:
    if key == "pixel_pitch":
        return f"{positive_si(text, 'm', where)!r} m"
    match = _NUMBER.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] != _UNITS[key]:
        raise TypeError(f"{where}: expected a number in {_UNITS[key]}, got {text!r}.")
    value = float(match[1])
    if key == "bits":
        return int(value) if value.is_integer() else value
    if key == "dark_current":
        return f"{value!r} 1/s"
    return value / 100 if _UNITS[key] == "%" else value
