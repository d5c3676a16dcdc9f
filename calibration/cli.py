"""The commands ``optics4f calibrate …``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optics4f.record import Record, save_records
from optics4f.transduction.stages import time_text

from .timing import WARMUP, fit_stages, load_stamps

if TYPE_CHECKING:
    from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the group ``calibrate`` to the application."""
    group = typer.Typer(
        no_args_is_help=True, help="From a bench, real or simulated, to parameters of the engine."
    )
    group.callback()(lambda: None)  # a group keeps its name even with one command
    group.command()(timing)
    app.add_typer(group, name="calibrate")


def timing(
    stamps: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns stage,start_ns,end_ns, and run if wanted.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Where the records go, as JSON for `runtime --record`.", show_default=False)
    ],
    warmup: Annotated[int, typer.Option(help="First passes of each stage that are dropped.")] = WARMUP,
    device: Annotated[str, typer.Option(help="What the stamps were taken on.")] = "unnamed bench",
) -> None:
    """Fit the duration of each stage from time stamps: the median with its 95 % interval."""
    from rich.console import Console

    records = fit_stages(load_stamps(stamps), warmup, device)
    save_records(out, records)
    Console().print(_table(records))
    typer.echo(f"wrote {out}")


def _table(records: Sequence[Record]) -> Table:
    from rich.table import Table
    from rich.text import Text

    result = Table(title="Durations of the stages")
    for heading in ("stage", "median", "95 % interval", "passes"):
        result.add_column(heading, justify="left" if heading == "stage" else "right")
    for record in records:
        low, high = map(time_text, record.interval)
        result.add_row(Text(record.name), time_text(record.value), f"{low} to {high}", str(record.samples))
    return result
