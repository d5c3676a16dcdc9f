"""Which layer of a layout is what, and how its cells are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .dies import LABEL_LAYER, STOP_LAYER
from .marks import OUTLINE_LAYER
from .relief import etch_depths, mask_count
from .schema import check_schema

_SURROUND = (
    {
        "layer": STOP_LAYER,
        "datatype": 0,
        "tone": "drawn area is opaque (chrome stop around the clear aperture)",
    },
    {
        "layer": LABEL_LAYER,
        "datatype": 0,
        "tone": "label and the orientation mark F, outside the stop",
    },
)
_LAYERS = 2**15 - 1  # the largest number of a layer


def cell_stem(name: str) -> str:
    """A bank name as every mask shop takes it: A-Z, 0-9 and '_', at most 20 of them, never MAIN.

    Example:
        >>> cell_stem("domain-1")
        'DOM_IN_1'
    """
    return name.upper().replace("-", "_").replace("MAIN", "M_IN")[:20]


def cell_name(stem: str, out: int, in_: int) -> str:
    """Name of the cell of the mask from input channel ``in_`` to output channel ``out``."""
    return f"{stem}_O{out:03d}_I{in_:03d}"


def layer_table(levels: int, wavelength: float, refractive_index: float) -> list[dict[str, Any]]:
    """Which layer is which etch step: layer i + 1 is mask i and etches lambda 2^i / (L (n - 1))."""
    depths = etch_depths(levels, wavelength, refractive_index)
    etched = [
        {
            "layer": bit + 1,
            "datatype": 0,
            "bit": bit,
            "etch_depth": float(depth),
            "etch_depth_unit": "m",
            "tone": "drawn area is etched",
        }
        for bit, depth in enumerate(depths)
    ]
    return [*etched, *_SURROUND]


def chrome_table() -> list[dict[str, Any]]:
    """The layers of a mask of chrome on glass: one with pixels, and those around it."""
    chrome = {"layer": 1, "datatype": 0, "bit": 0, "tone": "drawn area is opaque (chrome)"}
    return [chrome, *_SURROUND]


def outline_row() -> dict[str, Any]:
    """The row of the layer table that is there where marks with an outline are asked for."""
    return {
        "layer": OUTLINE_LAYER,
        "datatype": 0,
        "tone": "line just outside the clear aperture, not for making",
    }


def etch_rows(layout: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a layer table that are etch masks, in the order of their bits.

    Raises:
        ValueError: If they are not one for each bit of the levels, on layers that a file can have.
    """
    rows = [row for row in layout["layers"] if "bit" in row]
    for row in rows:
        for name in ("bit", "layer", "datatype"):
            check_schema(row[name], {"type": "integer", "minimum": 0}, name)
    rows = sorted(rows, key=lambda row: int(row["bit"]))
    numbers = [number for row in rows for number in (row["layer"], row["datatype"])]
    if [row["bit"] for row in rows] != list(range(mask_count(layout["levels"]))) or max(numbers) > _LAYERS:
        raise ValueError(f"layers: expected one for each bit of {layout['levels']} levels, got others.")
    return rows
