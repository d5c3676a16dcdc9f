"""Budgets: the paper's, and one for any optical network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..units import Quantity, compact, positive_si
from .links import link as find_link
from .stages import LatencyBudget, Stage, frame_bytes, time_of_flight, transfer_time


def paper_2022() -> LatencyBudget:
    """Runtime of the OSCLC of the SCLC paper, Table II: 0.32 ms of transduction and 0.28 ms of back end.

    The sum is 0.60 ms; the table prints 0.61. The paper calls the time of the light picoseconds; a bench with
    lenses of 100 mm needs 1.33 ns.
    """
    return LatencyBudget(
        "paper-2022",
        (
            _flight("100 mm", "100 mm"),
            _transduction(Quantity("100 kB"), "paper_usb3"),
            Stage("back end", "back_end", "0.28 ms", source="SCLC paper: measured on a Tesla P100"),
        ),
        note="the paper prints 0.61",
    )


PRESETS: dict[str, Callable[[], LatencyBudget]] = {"paper-2022": paper_2022}


def preset(name: str) -> LatencyBudget:
    """The budget of this name.

    Raises:
        ValueError: If there is none.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}.")
    return PRESETS[name]()


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

    The path is 2 f1 + 2 f2. All channels stand side by side on the sensor and leave it in one frame.

    Args:
        focal_lengths: Focal lengths of the two lenses (f1, f2) [m], as quantities or strings.
        channels: Number of output channels on the sensor.
        pixels: Pixels (H, W) of one link.
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
    stages = (
        _flight(*focal_lengths),
        _transduction(Quantity(frame_bytes(channels, pixels, bits), "byte"), link),
        Stage("back end", "back_end", back_end, source="given"),
    )
    return LatencyBudget("optical network", stages)


def _flight(first: Any, second: Any) -> Stage:
    lengths = [positive_si(length, "m", "focal length") for length in (first, second)]
    path = Quantity(2 * sum(lengths), "m")
    text = ", ".join(f"f{n} = {compact(length, 'm')}" for n, length in enumerate(lengths, start=1))
    duration = Quantity(time_of_flight(path), "s")
    return Stage("time of flight", "optics", duration, source=f"(2 f1 + 2 f2) / c, {text}")


def _transduction(size: Any, name: str) -> Stage:
    link = find_link(name)
    rate = Quantity(link.rate, "bit/s")
    note = f"{compact(size.to('byte').magnitude, 'byte')} at {link.text}"
    duration = Quantity(transfer_time(size, rate), "s")
    return Stage("transduction", "transduction", duration, source=link.source, note=note)
