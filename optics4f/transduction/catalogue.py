"""The catalogue of links, displays, sensors and back ends: ``catalogue.toml`` and files of your own.

Every number stands with its unit, its source, and whether that source was seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..units import si
from .tomltext import TomlText, check_keys, refuse

CATALOGUE = Path(__file__).with_name("catalogue.toml")

GROUPS: dict[str, dict[str, str]] = {
    "links": {"rate": "bit/s", "start_delay": "s"},
    "displays": {"load": "s", "settle": "s", "frame_rate": "1/s", "bits": "bit"},
    "sensors": {
        "row_time": "s",
        "frame_overhead": "s",
        "rows": "",
        "columns": "",
        "bits": "bit",
        "trigger": "s",
    },
    "back_ends": {"duration": "s", "launch": "s", "to_device": "s", "energy_per_mac": "J"},
}
"""What an entry of each group can say, and the unit of each number."""

_NEEDED = {"links": ("rate",)}  # all else needs one number at least


@dataclass(frozen=True)
class Number:
    """A number in SI, as its source writes it, the source, and whether that was seen."""

    value: float
    text: str
    source: str
    verified: bool


@dataclass(frozen=True)
class Entry:
    """A device of the catalogue: its group, name and numbers."""

    group: str
    name: str
    numbers: Mapping[str, Number]

    @property
    def verified(self) -> bool:
        """Whether the source of every number was seen."""
        return all(number.verified for number in self.numbers.values())


@dataclass(frozen=True)
class Catalogue:
    """Devices by group and name."""

    groups: Mapping[str, Mapping[str, Entry]]

    def names(self, group: str) -> list[str]:
        """Names of a group, in the order of the file."""
        return list(self.groups.get(group, {}))

    def find(self, group: str, name: Any, allow_unverified: bool = True) -> Entry:
        """The device of this name.

        Args:
            group: One of ``links``, ``displays``, ``sensors``, ``back_ends``.
            name: As in the catalogue.
            allow_unverified: False refuses an entry with a number whose source was not seen.

        Raises:
            ValueError: If it is not in the catalogue, or is not verified and must be.
        """
        entries = self.groups.get(group, {})
        if not isinstance(name, str) or name not in entries:
            raise ValueError(f"{group[:-1]}: expected one of {', '.join(entries)}, got {name!r}.")
        if not (allow_unverified or entries[name].verified):
            wrong = [key for key, number in entries[name].numbers.items() if not number.verified]
            raise ValueError(
                f"{group[:-1]} {name}: expected numbers whose source was seen, got {', '.join(wrong)}."
            )
        return entries[name]

    def with_file(self, path: str | Path) -> Catalogue:
        """This catalogue and the entries of one's own file.

        Raises:
            TypeError, ValueError, OSError: As :func:`load_catalogue`; also if a name is taken already.
        """
        added = load_catalogue(path)
        merged = {group: dict(entries) for group, entries in self.groups.items()}
        for group, entries in added.groups.items():
            for name, entry in entries.items():
                if name in merged.setdefault(group, {}):
                    refuse(str(path), "a name that the catalogue does not have yet", f"[{group}.{name}]")
                merged[group][name] = entry
        return Catalogue(merged)


@cache
def shipped() -> Catalogue:
    """The catalogue that comes with optics4f, read once."""
    return load_catalogue(CATALOGUE)


def load_catalogue(path: str | Path = CATALOGUE) -> Catalogue:
    """Read a catalogue.

    Raises:
        TypeError: If a number is bare or has the wrong unit; it names file, line, table and key.
        ValueError: If the file is not TOML, a group or key is unknown or missing, or a number is out of
            range.
        OSError: If the file cannot be read.
    """
    file = TomlText(path, "a catalogue")
    check_keys(file.where(), file.content, GROUPS)
    groups: dict[str, dict[str, Entry]] = {}
    for group, tables in file.content.items():
        if not isinstance(tables, dict):
            refuse(file.where(group), f"tables such as [{group}.name]", repr(tables))
        groups[group] = {name: _entry(file, group, name, table) for name, table in tables.items()}
    return Catalogue(groups)


def _entry(file: TomlText, group: str, name: str, table: Any) -> Entry:
    path, units = f"{group}.{name}", GROUPS[group]
    if not isinstance(table, dict):
        refuse(file.where(group, name), f"a table [{path}]", repr(table))
    for key in table:
        if key not in units:
            refuse(file.where(path, key), f"keys among {', '.join(units)}", f"the unknown key {key!r}")
    check_keys(file.where(path), table, units, _NEEDED.get(group, ()))
    if not table:
        refuse(file.where(path), f"at least one of {', '.join(units)}", "none")
    if {"load", "frame_rate"} <= set(table):
        refuse(file.where(path), "load or frame_rate", "both")
    return Entry(
        group, name, {key: _number(file, path, key, item, units[key]) for key, item in table.items()}
    )


def _number(file: TomlText, path: str, key: str, item: Any, unit: str) -> Number:
    where = file.where(path, key)
    if not isinstance(item, dict):
        kind = TypeError if isinstance(item, (int, float)) else ValueError
        raise kind(
            f'{where}: expected {{value = "number unit", source = "...", verified = ...}}, got {item!r}.'
        )
    known = ("value", "source", "verified")
    check_keys(where, item, known, known)
    if not isinstance(item["source"], str) or not item["source"].strip():
        refuse(f"{where} source", "some text", repr(item["source"]))
    if not isinstance(item["verified"], bool):
        refuse(f"{where} verified", "true or false", repr(item["verified"]))
    return Number(_value(where, item["value"], unit), str(item["value"]), item["source"], item["verified"])


def _value(where: str, value: Any, unit: str) -> float:
    if unit == "" or unit == "bit":
        whole = value if unit == "" else si(value, "bit", where)
        if isinstance(whole, bool) or not isinstance(whole, (int, float)) or whole != int(whole) or whole < 1:
            refuse(where, "a whole number above 0", repr(value))
        return float(whole)
    found = si(value, unit, where)
    if found <= 0:
        refuse(where, f"more than 0 {unit}", repr(value))
    return found
