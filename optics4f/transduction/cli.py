"""The command ``optics4f runtime``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..record import Record
    from .budget import LatencyBudget
    from .case import Case
    from .catalogue import Catalogue
    from .sweep import Curve


@dataclass(frozen=True)
class Hooks:
    """What the folders above lend to the command, since the engine imports neither pictures nor networks.

    Args:
        draw: Writes a picture of budgets, or of a sweep, to a path.
        curves: More curves for a sweep of the input: a name, and the time [s] for so many pixels a side.
        measure: Times the back end of the student in a folder.
    """

    draw: Callable[[Any, Path], None] | None = None
    curves: Callable[[], Mapping[str, Curve]] | None = None
    measure: Callable[[Path], Record] | None = None


def register(app: typer.Typer, hooks: Hooks | None = None) -> None:
    """Add the command ``runtime`` to the application."""
    app.command(context_settings={"obj": hooks or Hooks()})(runtime)


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, show_default=False)


def runtime(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(help="Your bench as TOML, see examples/runtime.toml.", show_default=False)
    ] = None,
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
    measure_backend: Annotated[
        Path | None, _option("Time the back end of the student in this folder, and use that.")
    ] = None,
    compare: Annotated[
        list[str] | None, _option("Another known case, or a TOML file, to set beside it. Repeatable.")
    ] = None,
    sweep: Annotated[str | None, _option("input=32..1024 or exposure=1us..1ms.")] = None,
    catalogue: Annotated[Path | None, _option("Devices of your own, as TOML.")] = None,
    plot: Annotated[Path | None, _option("Draw it as PNG.")] = None,
    as_json: Annotated[bool, _option("Print JSON: SI values with unit and text.", "--json")] = False,
) -> None:
    """Say how long one inference takes, stage by stage, with p50, p90 and p99 where a stage varies.

    Take a configuration, a preset, or describe your own case with all of --focal-length, --channels,
    --pixels, --bits, --link and --back-end:

    optics4f runtime bench.toml --compare paper-2022 --plot runtime.png

    optics4f runtime --focal-length "100 mm" --channels 16 --pixels 8x8 --bits 12 --link paper_usb3
    --back-end "0.28 ms"
    """
    hooks: Hooks = context.obj
    if plot is not None and hooks.draw is None:
        raise ValueError(f"--plot: expected a command that can draw, got {plot} for one that cannot.")
    own = {
        "focal-length": focal_length,
        "channels": channels,
        "pixels": pixels,
        "bits": bits,
        "link": link,
        "back-end": back_end,
        "second-focal-length": second_focal_length,
    }
    devices = _catalogue(catalogue)
    case = _case(config, preset, own, devices)
    if sweep is not None:
        if record or compare or measure_backend:
            raise ValueError("runtime: expected --sweep alone, got it with records or --compare.")
        _sweep(case, sweep, hooks, plot, as_json)
        return
    budget = case.budget()
    records = _records(record or [], measure_backend, hooks)
    if records:
        budget = budget.replace(records)
    others = [_named(name, devices).budget() for name in compare or []]
    if plot is not None and hooks.draw is not None:
        hooks.draw([budget, *others], plot)
    _print(case, budget, others, as_json)


def _records(files: list[Path], student: Path | None, hooks: Hooks) -> list[Record]:
    from ..record import load_records

    records = [item for path in files for item in load_records(path)]
    if student is not None:
        if hooks.measure is None:
            raise ValueError(f"--measure-backend: expected a command that knows networks, got {student}.")
        records.append(hooks.measure(student))
    return records


def _catalogue(path: Path | None) -> Catalogue:
    from .catalogue import shipped

    return shipped() if path is None else shipped().with_file(path)


def _case(config: Path | None, preset: str | None, own: dict[str, Any], devices: Catalogue) -> Case:
    from . import case, presets

    given = [f"--{name}" for name, value in own.items() if value is not None]
    ways = [
        *(["a configuration"] if config else []),
        *(["--preset"] if preset is not None else []),
        *([", ".join(given)] if given else []),
    ]
    if len(ways) > 1:
        words = "--preset or your own case" if config is None else "a configuration alone"
        raise ValueError(f"runtime: expected {words}, got {' and '.join(ways)}.")
    if config is not None:
        return case.load_case(config, devices)
    if not given:
        return presets.preset_case("paper-2022" if preset is None else preset, devices)
    second = own.pop("second-focal-length") or own["focal-length"]
    if absent := [f"--{name}" for name, value in own.items() if value is None]:
        raise ValueError(f"runtime: expected {', '.join(absent)} as well, got only {', '.join(given)}.")
    return presets.network_case(
        focal_lengths=(own["focal-length"], second),
        channels=own["channels"],
        pixels=_pixels(own["pixels"]),
        bits=own["bits"],
        link=own["link"],
        back_end=own["back-end"],
        catalogue=devices,
    )


def _named(name: str, devices: Catalogue) -> Case:
    from . import case, presets

    if name.endswith(".toml"):
        return case.load_case(name, devices)
    return presets.preset_case(name, devices)


def _pixels(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,9})\s*x\s*([0-9]{1,9})", text.strip())
    if not found:
        raise ValueError(f"--pixels: expected height x width such as 8x8, got {text!r}.")
    return int(found[1]), int(found[2])


def _sweep(case: Case, text: str, hooks: Hooks, plot: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from .report import sweep_table
    from .sweep import sweep

    curves = hooks.curves() if hooks.curves and text.strip().startswith("input") else {}
    found = sweep(case, text, curves)
    if plot is not None and hooks.draw is not None:
        hooks.draw(found, plot)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        return
    Console().print(sweep_table(found))


def _print(case: Case, budget: LatencyBudget, others: list[LatencyBudget], as_json: bool) -> None:
    if as_json:
        content = budget.to_dict() | ({"compared": [other.to_dict() for other in others]} if others else {})
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from .report import advice, comparison, differences, remarks, sources, table

    console = Console()
    console.print(table(budget))
    listed = [str(budget)] if budget.is_constant else [budget.note, "Sources:", *sources(budget)]
    for line in (*filter(None, listed), *remarks(budget), *advice(case)):
        typer.echo(line)
    if others:
        console.print(comparison([budget, *others]))
        for line in differences([budget, *others]):
            typer.echo(line)
