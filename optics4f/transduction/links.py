"""The catalogue of links between the sensor and the computer, read from ``links.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..units import positive_si

CATALOGUE = Path(__file__).with_name("links.toml")


@dataclass(frozen=True)
class Link:
    """A link: its payload rate [bit/s], the rate as its source writes it, and the source."""

    name: str
    rate: float
    text: str
    source: str


def load_links(path: str | Path = CATALOGUE) -> dict[str, Link]:
    """Read a catalogue of links.

    Raises:
        TypeError: If a rate is a bare number or has the wrong unit.
        ValueError: If the file is not TOML, or an entry has an unknown, missing or wrong key.
        OSError: If the file cannot be read.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path}: expected a TOML catalogue of links, got unreadable text: {error}."
        ) from error
    return {name: _read(path, name, entry) for name, entry in content.items()}


def link(name: str) -> Link:
    """The link of this name.

    Raises:
        ValueError: If it is not in the catalogue.
    """
    links = load_links()
    if name not in links:
        raise ValueError(f"link: expected one of {', '.join(links)}, got {name!r}.")
    return links[name]


def link_rate(name: str) -> float:
    """Payload rate of the link of this name [bit/s].

    Raises:
        ValueError: If it is not in the catalogue.

    Example:
        >>> link_rate("paper_usb3")
        2500000000.0
    """
    return link(name).rate


def _read(path: str | Path, name: str, entry: Any) -> Link:
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: expected a table [{name}] with rate and source, got {name} = {entry!r}.")
    for key in sorted(entry.keys() ^ {"rate", "source"}):
        state = "unknown" if key in entry else "missing"
        raise ValueError(f"{path}: [{name}]: expected the keys rate and source, got the {state} key {key!r}.")
    rate = positive_si(entry["rate"], "bit/s", f"{path}: [{name}] rate")
    if not isinstance(entry["source"], str) or not entry["source"].strip():
        raise ValueError(f"{path}: [{name}] source: expected some text, got {entry['source']!r}.")
    return Link(name, rate, entry["rate"], entry["source"])
