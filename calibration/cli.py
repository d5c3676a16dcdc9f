"""The commands ``optics4f calibrate …``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optics4f.record import Estimate, Record, save_records
from optics4f.transduction.stages import time_text

if TYPE_CHECKING:
    from rich.table import Table

    from .stamps import Stamp

WARMUP = 10
Out = Annotated[
    Path, typer.Option(help="Where the records go, as JSON for `runtime --record`.", show_default=False)
]
Device = Annotated[str, typer.Option(help="What was measured.")]
Figure = Annotated[Path | None, typer.Option(help="Draw the fit into this PNG.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the group ``calibrate`` to the application."""
    group = typer.Typer(
        no_args_is_help=True, help="From a bench, real or simulated, to parameters of the engine."
    )
    group.command()(timing)
    group.command()(settle)
    app.add_typer(group, name="calibrate")


def timing(
    stamps: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet with the columns stage,start_ns,end_ns, and run if wanted.",
            show_default=False,
        ),
    ],
    out: Out,
    warmup: Annotated[int, typer.Option(help="First passes of each stage that are dropped.")] = WARMUP,
    device: Device = "unnamed bench",
    figure: Figure = None,
) -> None:
    """Fit the duration of each stage from time stamps: median, percentiles and distribution.

    Every number comes with its 95 % interval. With a column run, whole traces are kept too, so that a budget
    knows which stages are slow together.
    """
    from rich.console import Console

    from .stamps import load_stamps
    from .timing import drawn_together, fit_stages, whole_traces

    if warmup < 0:
        raise ValueError(f"warmup: expected 0 or more passes, got {warmup}.")
    loaded = load_stamps(stamps)
    with _named(stamps):
        records, traces = fit_stages(loaded, warmup, device), whole_traces(loaded, warmup)
    if figure is not None:
        _draw_timing(figure, loaded, warmup, records)
    if traces is not None:
        records = drawn_together(records, traces)
    save_records(out, records, traces)
    Console().print(_table(records))
    for record in records:
        typer.echo(f"{record.name}: {record.method.partition('; ')[2]}")
    if traces is not None:
        runs = len(next(iter(traces.durations.values())))
        typer.echo(f"kept {runs} whole traces of {len(traces.durations)} stages with their rank correlation")
    typer.echo(f"wrote {out}")


def settle(
    points: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns intensity and one of delay_s, delay_ms, delay_us, delay_ns.",
            show_default=False,
        ),
    ],
    out: Out,
    stage: Annotated[str, typer.Option(help="Name of the stage in the budget.")] = "display",
    device: Device = "unnamed display",
    figure: Figure = None,
) -> None:
    """Fit how a display settles, from the light of the first order against the delay after a command."""
    from .settle import fit_settle, load_settle

    delays, light = load_settle(points)
    with _named(points):
        record = fit_settle(delays, light, stage, device)
    save_records(out, [record])
    if figure is not None:
        from optics4f import plotting

        plotting.save(plotting.show_settle(delays, light, record), figure)
    for name, estimate in record.estimates.items():
        typer.echo(f"{name.replace('_', ' ')}: {_with_interval(estimate)}")
    typer.echo(f"settle time: {_with_interval(record)}")
    typer.echo(f"wrote {out}")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the name of the file before what a fit refuses."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _draw_timing(figure: Path, stamps: Sequence[Stamp], warmup: int, records: Sequence[Record]) -> None:
    from optics4f import plotting

    from .fits import cumulative
    from .timing import durations_ns

    kept = durations_ns(stamps, warmup)
    fits: dict[str, Any] = {}
    for record in records:
        seconds = sorted(duration / 1e9 for duration in kept[record.name])
        fits[record.name] = (seconds, cumulative(seconds, record.distribution or {}))
    plotting.save(plotting.show_fits(fits), figure)


def _with_interval(number: Record | Estimate) -> str:
    low, high = map(time_text, number.interval)
    return f"{time_text(number.value)} ({low} to {high})"


def _table(records: Sequence[Record]) -> Table:
    from rich.table import Table
    from rich.text import Text

    result = Table(title="Durations of the stages, with 95 % intervals")
    for heading in ("stage", "median", "p90", "p99", "distribution", "passes"):
        result.add_column(heading, justify="left" if heading in ("stage", "distribution") else "right")
    for record in records:
        tails = [
            _with_interval(record.estimates[name]) if name in record.estimates else "too few passes"
            for name in ("p90", "p99")
        ]
        kind = str((record.distribution or {}).get("kind", "")).replace("_", " ")
        result.add_row(Text(record.name), _with_interval(record), *tails, kind, str(record.samples))
    return result
