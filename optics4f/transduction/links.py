"""The links of the catalogue, between the sensor and the computer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .catalogue import CATALOGUE, Entry, load_catalogue, shipped


@dataclass(frozen=True)
class Link:
    """A link: its payload rate [bit/s], the rate as its source writes it, the source, whether it was seen."""

    name: str
    rate: float
    text: str
    source: str
    verified: bool = True


def load_links(path: str | Path = CATALOGUE) -> dict[str, Link]:
    """The links of a catalogue.

    Raises:
        TypeError, ValueError, OSError: As :func:`~optics4f.transduction.load_catalogue`.
    """
    entries = load_catalogue(path).groups.get("links", {})
    return {name: _link(entry) for name, entry in entries.items()}


def link(name: str) -> Link:
    """The link of this name.

    Raises:
        ValueError: If it is not in the catalogue.
    """
    return _link(shipped().find("links", name))


def link_rate(name: str) -> float:
    """Payload rate of the link of this name [bit/s].

    Raises:
        ValueError: If it is not in the catalogue.

    Example:
        >>> link_rate("paper_usb3")
        2500000000.0
    """
    return link(name).rate


def _link(entry: Entry) -> Link:
    rate = entry.numbers["rate"]
    return Link(entry.name, rate.value, rate.text, rate.source, rate.verified)
