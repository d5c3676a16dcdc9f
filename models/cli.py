"""The commands of networks: demo, audit, verify, data, train, sweep, paper, design, measure-backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optics4f.extras import require

from .cli_checks import usable_device, writable_folder
from .data_cli import data as data_command
from .design_cli import design
from .experiments.cli import paper

if TYPE_CHECKING:
    from .demo import DemoOptions

EPOCHS, QUICK_EPOCHS = 15, 10
NEEDED = {"sklearn": "train", "safetensors": "train", "h5py": "fab", "gdstk": "fab", "PIL": "fab"}


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (demo, audit, verify, measure_backend, data_command, train, sweep, paper, design):
        app.command()(command)


def _option(text: str) -> Any:
    return typer.Option(help=text)


def demo(
    out: Annotated[Path, _option("Folder for everything that is written.")] = Path("runs/demo"),
    data: Annotated[str, _option("Data set: digits (ships with scikit-learn) or cifar10.")] = "digits",
    data_dir: Annotated[
        Path | None,
        _option(
            "Folder with train.parquet and test.parquet of cifar10; $OPTICS4F_DATA/cifar10 if not given."
        ),
    ] = None,
    epochs: Annotated[
        int | None, _option(f"Passes over the training split, for every network; {EPOCHS} if not given.")
    ] = None,
    seeds: Annotated[int, _option("How many seeds; the table gives mean and standard deviation.")] = 3,
    seed: Annotated[int, _option("The first seed.")] = 0,
    device: Annotated[str, _option("cpu, cuda, cuda:1, ...")] = "cpu",
    quick: Annotated[bool, _option(f"One seed and {QUICK_EPOCHS} epochs: under a minute.")] = False,
) -> None:
    """Run the main job: teacher, optical students, distillation, runtime, masks, read-back.

    Leaves tables on the screen, and in the folder summary.json, summary.md, masks.h5, fab/ (GDSII and
    bitmaps with a manifest), students/ and figures/.
    """
    from rich.console import Console

    from .demo import DemoOptions, run
    from .report import report
    from .tables import tables

    for module, extra in NEEDED.items():
        require(module, extra)
    if epochs is None:
        epochs = QUICK_EPOCHS if quick else EPOCHS
    options = DemoOptions(out, data, data_dir, epochs, 1 if quick else seeds, seed, usable_device(device))
    writable_folder(out)
    console = Console()
    with _bars(options, console) as reporter:
        results = run(options, reporter)
        reporter.step("looking at the test split, drawing figures")
        summary = report(results)
    for table in tables(summary):
        console.print(table.for_screen())
    console.print(str(results.budget), highlight=False)
    console.print(f"Everything is in {out}/, the numbers in {out}/summary.json.", highlight=False)


def audit(
    student: Annotated[Path, typer.Argument(help="Folder of a student, e.g. runs/demo/students/complex.")],
) -> None:
    """Say what a trained student really is: affine or not, passive, rank, masks, conversions."""
    import torch

    from .checkpoint import load_student

    loaded = load_student(student)
    pictures = torch.rand(
        6, loaded.design.channels[0], *loaded.design.shape, generator=torch.Generator().manual_seed(0)
    )
    typer.echo(loaded.optics)
    typer.echo(loaded.audit(pictures))


def verify(
    exported: Annotated[Path, typer.Argument(help="Folder that optics4f export wrote, e.g. runs/demo/fab.")],
    model: Annotated[Path, _option("Folder of the student whose back end reads the sensor.")],
    data: Annotated[str, _option("Data set: digits or cifar10.")] = "digits",
    data_dir: Annotated[Path | None, _option("As in demo.")] = None,
    split: Annotated[str, _option("validation or test. Look at test once.")] = "validation",
    etch_error: Annotated[float, _option("Etch depths wrong by this share: 0.05 is 5 % too deep.")] = 0.0,
    overlay: Annotated[str, _option("Etch layers beside one another, r.m.s., e.g. '200 nm'.")] = "0 nm",
    rounding: Annotated[str, _option("Corners rounded to this radius, e.g. '500 nm'.")] = "0 nm",
) -> None:
    """Read exported masks back, put them on the simulated bench, and print the accuracy they give."""
    from rich.console import Console

    from optics4f.fabrication.errors import ProcessErrors

    from .checkpoint import load_student
    from .data import load
    from .report import verified
    from .tables import read_backs

    if split not in ("validation", "test"):
        raise ValueError(f"--split: expected validation or test, got {split!r}.")
    errors = ProcessErrors(etch_error, overlay, rounding)
    wrong = errors if str(errors) != "as drawn" else None
    rows = verified(load_student(model), exported, getattr(load(data, data_dir), split), wrong)
    Console().print(read_backs(rows).for_screen())


def measure_backend(
    checkpoint: Annotated[
        Path, typer.Argument(help="Folder of a student, e.g. runs/demo/students/relief.", show_default=False)
    ],
    device: Annotated[str, _option("cpu, cuda, cuda:1, ...")] = "cpu",
    runs: Annotated[int, _option("Runs that are timed; p99 needs 368.")] = 1000,
    warmup: Annotated[int, _option("Runs before the first one that is timed.")] = 50,
) -> None:
    """Time a student's electronic back end on this machine, from the detector's numbers to the logits.

    Leaves backend-timing.json beside the model, which runtime --record takes.
    """
    from rich.progress import Progress

    from optics4f.transduction import time_text

    from .timing import FILE, measure_back_end

    # Drawn between runs alone: a thread that draws would be timed as well.
    with Progress(auto_refresh=False, transient=True) as progress:
        bar = progress.add_task("timing the back end", total=runs)

        def on_runs(done: int) -> None:
            progress.update(bar, completed=done, refresh=True)

        record = measure_back_end(checkpoint, device, runs, warmup, on_runs)
    for name, number in record.estimates.items():
        low, high = map(time_text, number.interval)
        typer.echo(f"{name} {time_text(number.value)} ({low} to {high})")
    typer.echo(f"{record.samples} runs on {record.device}; wrote {checkpoint / FILE}")


def train(
    config: Annotated[Path, typer.Argument(help="TOML file of the run, see docs/training.md.")],
    resume: Annotated[bool, _option("Go on from the newest checkpoint in the folder.")] = False,
    out: Annotated[Path | None, _option("Folder; runs/ and the name of the file if not given.")] = None,
) -> None:
    """Train a network, or distil a teacher into it; a run that was killed goes on with --resume.

    Leaves metrics.jsonl, checkpoints, model.safetensors (the epoch that is best on the validation split),
    result.json, and a student's folder for audit and measure-backend. The test split is not touched.
    """
    from rich.progress import Progress

    from .run import train as train_run
    from .runconfig import read_config

    settings = read_config(config)
    usable_device(settings.device)
    folder = out or Path("runs") / config.stem
    writable_folder(folder)
    with Progress(transient=True, disable=os.environ.get("RANK", "0") != "0") as progress:
        bar = progress.add_task("preparing", total=settings.epochs)

        def report(line: dict[str, Any]) -> None:
            accuracy = line["validation_accuracy"]
            text = f"epoch {line['epoch']}, step {line['step']}: loss {line['loss']:.3f}"
            if accuracy is not None:
                progress.console.print(f"{text}, validation {100 * accuracy:.2f} %", highlight=False)
                progress.update(bar, completed=line["epoch"])
            progress.update(bar, description=text)

        found = train_run(settings, folder, resume, report)
    if os.environ.get("RANK", "0") == "0":
        score = f"{100 * found.best_accuracy:.2f} % on the validation split"
        typer.echo(f"epoch {found.best_epoch} of {found.epoch} is the best: {score}; see {folder}/")


def sweep(
    config: Annotated[Path, typer.Argument(help="TOML file of the runs.")],
    grid: Annotated[list[str], _option("A setting and its values, e.g. alpha=0.3,0.5; several times.")],
    jobs: Annotated[int, _option("Processes.")] = 1,
    seeds: Annotated[int, _option("Seeds per point, counted from that of the file.")] = 1,
    resume: Annotated[bool, _option("Go on with the runs in the folder.")] = False,
    out: Annotated[Path | None, _option("Folder; runs/ and the name of the file if not given.")] = None,
) -> None:
    """Train every point of a grid, and choose on the validation split; the test split is not touched."""
    from .runconfig import parse_grid, read_config
    from .sweep import markdown
    from .sweep import sweep as sweep_grid

    settings = read_config(config)
    usable_device(settings.device)
    folder = out or Path("runs") / config.stem
    writable_folder(folder)
    table = sweep_grid(settings, parse_grid(grid), folder, jobs, seeds, resume)
    typer.echo(markdown(table), nl=False)
    typer.echo(f"wrote {folder}/sweep.json and sweep.md")


@contextmanager
def _bars(options: DemoOptions, console: Any) -> Iterator[Any]:
    """One bar over all trainings, with what is being trained and how well it does."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from .demo import Reporter, trainings

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("loading", total=trainings(options) * options.epochs)

        class Bars(Reporter):
            @contextmanager
            def training(self, name: str) -> Iterator[Callable[[int, float, float], None]]:
                def on_epoch(epoch: int, loss: float, score: float) -> None:
                    text = f"{name}: loss {loss:.3f}, validation {100 * score:.1f} %"
                    progress.update(bar, advance=1, description=text)

                progress.update(bar, description=name)
                yield on_epoch

            def step(self, text: str) -> None:
                progress.update(bar, description=text)

        yield Bars()
