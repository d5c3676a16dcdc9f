"""Budgets: the paper's, other known cases from ``presets.toml``, and one for any optical network."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ..units import Quantity, positive_si
from .budget import LatencyBudget
from .case import Case
from .catalogue import Catalogue, shipped
from .stages import frame_bytes
from .tomltext import TomlText

FILE = Path(__file__).with_name("presets.toml")


@cache
def _file() -> TomlText:
    return TomlText(FILE, "known cases")


PRESETS: tuple[str, ...] = ("paper-2022", "paper-2022-complete", "dmd-fast", "lcos-60hz", "natural-scene")
"""Names of the known cases."""


def preset_case(name: str, catalogue: Catalogue | None = None) -> Case:
    """The known case of this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}.")
    return Case({"name": name, **_file().content[name]}, catalogue or shipped())


def preset(name: str) -> LatencyBudget:
    """The budget of the known case of this name.

    Raises:
        ValueError: If there is none.
    """
    return preset_case(name).budget()


def paper_2022() -> LatencyBudget:
    """Runtime of the OSCLC of the SCLC paper, Table II: 0.32 ms of transduction and 0.28 ms of back end.

    The sum is 0.60 ms; the table prints 0.61. The paper calls the time of the light picoseconds; a bench with
    lenses of 100 mm needs 1.33 ns.
    """
    return preset("paper-2022")


def network_case(
    *,
    focal_lengths: tuple[Any, Any],
    channels: int,
    pixels: tuple[int, int],
    bits: int,
    link: str,
    back_end: Any,
    catalogue: Catalogue | None = None,
) -> Case:
    """The case that :func:`optical_network_budget` is the budget of."""
    size = Quantity(frame_bytes(channels, pixels, bits), "byte")
    lengths = [Quantity(positive_si(length, "m", "focal length"), "m") for length in focal_lengths]
    duration = Quantity(positive_si(back_end, "s", "back end"), "s")
    content = {
        "name": "optical network",
        "optics": {"focal_lengths": lengths},
        "link": {"device": link, "payload": size},
        "back_end": {"duration": duration},
    }
    return Case(content, catalogue or shipped())


def optical_network_budget(
    *,
    focal_lengths: tuple[Any, Any],
    channels: int,
    pixels: tuple[int, int],
    bits: int,
    link: str,
    back_end: Any,
) -> LatencyBudget:
    """Budget of one 4f system, one sensor, one link and an electronic back end.

    The path is 2 f1 + 2 f2. All channels stand side by side on the sensor and leave it in one frame. For more
    stages, describe a :class:`~optics4f.transduction.Case`.

    Args:
        focal_lengths: Focal lengths of the two lenses (f1, f2) [m], as quantities or strings.
        channels: Number of output channels on the sensor.
        pixels: Pixels (H, W) of one channel on the sensor.
        bits: Bits per pixel, in a packed format.
        link: Name of a link in the catalogue.
        back_end: Duration of the electronic back end [s], as a quantity or string.

    Raises:
        TypeError: If a length or a time has the wrong unit.
        ValueError: If a number is not larger than zero, or the link is not in the catalogue.

    Example:
        >>> budget = optical_network_budget(
        ...     focal_lengths=("100 mm", "100 mm"), channels=64, pixels=(224, 224), bits=8,
        ...     link="paper_usb3", back_end="0.28 ms")
        >>> print(budget.stages[1].note, "|", budget.total.to("ms").round(2))
        3.211 MB at 2500 Mbit/s | 10.56 millisecond
    """
    return network_case(
        focal_lengths=focal_lengths, channels=channels, pixels=pixels, bits=bits, link=link, back_end=back_end
    ).budget()
