"""The command ``optics4f paper``: a table or figure of the paper, made again."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ..cli_checks import usable_device, writable_folder

EXPERIMENTS = ("table1", "fig3", "table2", "table3", "fig4", "table4", "fig5")


def _option(text: str) -> Any:
    return typer.Option(help=text)


def paper(
    experiment: Annotated[str, typer.Argument(help=f"{', '.join(EXPERIMENTS[:-1])} or {EXPERIMENTS[-1]}.")],
    preset: Annotated[
        str, _option("cpu: hours at most on two cores. full: 224x224, for a GPU (--device cuda).")
    ] = "cpu",
    out: Annotated[Path, _option("Folder of the record: JSON, Markdown and PNG.")] = Path("docs/results"),
    runs: Annotated[Path, _option("Folder of the trainings; what it holds is not trained again.")] = Path(
        "runs/paper"
    ),
    data_dir: Annotated[
        Path | None, _option("Folder of the data set; that in $OPTICS4F_DATA if not given.")
    ] = None,
    jobs: Annotated[int, _option("Trainings at a time, one thread each.")] = 1,
    seeds: Annotated[int, _option("Seeds of every training.")] = 3,
    device: Annotated[str, _option("cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Make a table or figure of the paper again, with the paper's numbers beside ours.

    Leaves <experiment>.json, .md and .png. An experiment that was interrupted goes on where it stood.
    """
    from rich.console import Console

    module = _module(experiment)

    from .record import Options, write

    options = Options(preset, out, runs, data_dir, jobs, seeds, usable_device(device))
    writable_folder(out)
    report, draw = module.run(options)
    console = Console()
    for table in report.tables:
        console.print(table.for_screen())
    for note in report.notes:
        console.print(f"- {note}", highlight=False)
    for path in write(report, out, draw):
        console.print(f"wrote {path}", highlight=False)


def _module(experiment: str) -> Any:
    """The file of an experiment, loaded when it is asked for."""
    known = [name for name in EXPERIMENTS if find_spec(f".{name}", __package__)]
    if experiment not in known:
        raise ValueError(f"paper: expected one of {', '.join(known)}, got {experiment!r}.")
    return import_module(f".{experiment}", __package__)
