"""The command ``optics4f runtime``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from .stages import LatencyBudget


def register(app: typer.Typer) -> None:
    """Add the command ``runtime`` to the application."""
    app.command()(runtime)


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=False)


def runtime(
    preset: Annotated[str | None, _option("A known case; without any option it is paper-2022.")] = None,
    focal_length: Annotated[str | None, _option('Focal length of the lenses, e.g. "100 mm".')] = None,
    second_focal_length: Annotated[str | None, _option("The same of the second lens, if it differs.")] = None,
    channels: Annotated[int | None, _option("Output channels, side by side on the sensor.")] = None,
    pixels: Annotated[str | None, _option("Pixels of one channel, height x width, e.g. 8x8.")] = None,
    bits: Annotated[int | None, _option("Bits per pixel, packed.")] = None,
    link: Annotated[str | None, _option("Link from the sensor to the computer, e.g. usb3_vision.")] = None,
    back_end: Annotated[str | None, _option('Duration of the electronic back end, e.g. "0.28 ms".')] = None,
    record: Annotated[
        list[Path] | None, _option("Measured stages; they replace those of the same name. Repeatable.")
    ] = None,
    as_json: Annotated[bool, _option("Print JSON: SI values with unit and text.", "--json")] = False,
) -> None:
    """Say how long one inference takes: time of flight, transduction, back end.

    Take a preset, or describe your own case with all of --focal-length, --channels, --pixels, --bits, --link
    and --back-end:

    optics4f runtime --focal-length "100 mm" --channels 16 --pixels 8x8 --bits 12 --link paper_usb3
    --back-end "0.28 ms"
    """
    own = {
        "focal-length": focal_length,
        "channels": channels,
        "pixels": pixels,
        "bits": bits,
        "link": link,
        "back-end": back_end,
        "second-focal-length": second_focal_length,
    }
    budget = _budget(preset, own)
    if record:
        from ..record import load_records

        budget = budget.replace([item for path in record for item in load_records(path)])
    _print(budget, as_json)


def _budget(preset: str | None, own: dict[str, Any]) -> LatencyBudget:
    from . import presets

    given = [f"--{name}" for name, value in own.items() if value is not None]
    if not given:
        return presets.preset("paper-2022" if preset is None else preset)
    if preset is not None:
        raise ValueError(f"runtime: expected --preset or your own case, got --preset and {', '.join(given)}.")
    second = own.pop("second-focal-length") or own["focal-length"]
    if absent := [f"--{name}" for name, value in own.items() if value is None]:
        raise ValueError(f"runtime: expected {', '.join(absent)} as well, got only {', '.join(given)}.")
    return presets.optical_network_budget(
        focal_lengths=(own["focal-length"], second),
        channels=own["channels"],
        pixels=_pixels(own["pixels"]),
        bits=own["bits"],
        link=own["link"],
        back_end=own["back-end"],
    )


def _pixels(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9})\s*x\s*([0-9]{1,9})", text.strip())
    if not found:
        raise ValueError(f"--pixels: expected height x width such as 8x8, got {text!r}.")
    return int(found[1]), int(found[2])


def _print(budget: LatencyBudget, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(budget.to_dict(), indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from .report import remarks, table

    Console().print(table(budget))
    for line in (str(budget), *remarks(budget)):
        typer.echo(line)
