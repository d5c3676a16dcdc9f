"""Runtime against one number of a case: the size of the input, or the exposure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..units import Quantity, compact, positive_si
from .case import Case

Curve = Callable[[float], float]


class Sweep(NamedTuple):
    """Times [s] against a number: its name, its values in SI, how they are written, and curves by name."""

    parameter: str
    values: list[float]
    texts: list[str]
    curves: dict[str, list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Numbers with their unit, ready for JSON."""
        unit = "pixel" if self.parameter == "input" else "s"
        curves = {name: {"value": times, "unit": "s"} for name, times in self.curves.items()}
        return {"parameter": self.parameter, "values": {"value": self.values, "unit": unit}, "curves": curves}


def at_input(case: Case, side: int) -> Case:
    """The same bench for square pictures of so many pixels a side: the region grows with them.

    The payload follows from the region and the bits, also where the case gives it as a number. The display
    is taken to load its whole frame whatever the picture, and the back end to see a fixed number of features.

    Raises:
        ValueError: If the case has no region and bits, or the sensor is too small.
    """
    sensor = case.part("sensor")
    region = case.table("sensor").get("region")
    if not region or sensor.get("bits") is None:
        raise ValueError(
            f"{case.name}: expected region and bits of the sensor for a sweep of the input, got none."
        )
    known = case.content.get("input", region)
    scaled = [max(1, round(n * side / m)) for n, m in zip(region, known, strict=True)]
    link = {key: value for key, value in case.table("link").items() if key != "payload"}
    sensor_table = {**case.table("sensor"), "region": scaled}
    tables = {"input": [side, side], "sensor": sensor_table, **({"link": link} if link else {})}
    return replace(case, content={**case.content, **tables})


def sweep(case: Case, text: str, curves: Mapping[str, Curve] | None = None) -> Sweep:
    """Median latency of a case against one number, beside other curves.

    Args:
        case: The bench.
        text: ``"input=32..1024"`` (pixels a side: powers of two between, and the ends) or
            ``"exposure=1us..1ms"`` (13 values in equal ratios).
        curves: More curves by name, each a callable from the number [pixels or s] to a time [s]: for
            example an electronic network that is timed.

    Raises:
        TypeError: If an exposure has no unit of time.
        ValueError: If the text cannot be read, the range is empty, or the case has nothing to sweep.

    Example:
        >>> from optics4f.transduction import preset_case
        >>> result = sweep(preset_case("paper-2022"), "input=32..1024")
        >>> [f"{1e3 * time:.2f}" for time in result.curves["paper-2022"]]
        ['0.29', '0.31', '0.38', '0.70', '1.96', '6.99']
    """
    found = re.fullmatch(r"\s*(input|exposure)\s*=\s*(\S.*?)\s*\.\.\s*(\S.*?)\s*", text)
    if not found:
        raise ValueError(f"sweep: expected input=32..1024 or exposure=1us..1ms, got {text!r}.")
    name, first, last = found.groups()
    if name == "input":
        sides = _sides(first, last)
        values, texts = [float(side) for side in sides], [str(side) for side in sides]
        cases = [at_input(case, side) for side in sides]
    else:
        values = _ratios(first, last)
        texts = [compact(value, "s", 3) for value in values]
        cases = [case.changed("sensor", exposure=Quantity(value, "s")) for value in values]
    own = {case.name: [changed.budget().p(50) for changed in cases]}
    others = {key: [float(curve(value)) for value in values] for key, curve in (curves or {}).items()}
    return Sweep(name, values, texts, {**own, **others})


def _sides(first: str, last: str) -> list[int]:
    if not (re.fullmatch(r"[0-9]{1,6}", first) and re.fullmatch(r"[0-9]{1,6}", last)):
        raise ValueError(f"sweep: expected whole numbers of pixels such as 32..1024, got {first}..{last}.")
    low, high = int(first), int(last)
    if not 0 < low < high:
        raise ValueError(f"sweep: expected 0 < first < last, got {first}..{last}.")
    powers = {2**n for n in range(20) if low < 2**n < high}
    return sorted({low, high} | powers)


def _ratios(first: str, last: str) -> list[float]:
    low, high = positive_si(first, "s", "sweep exposure"), positive_si(last, "s", "sweep exposure")
    if not low < high:
        raise ValueError(f"sweep: expected first < last, got {first}..{last}.")
    return [low * (high / low) ** (n / 12) for n in range(13)]
