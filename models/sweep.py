"""Choose settings by training every point of a grid, on the validation split alone."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from optics4f.extras import require
from optics4f.files import write_json, write_text

from .data import Split
from .lesson import Task, lesson, task_of
from .run import train
from .runconfig import RunConfig, points
from .state import is_started


@dataclass(frozen=True)
class Point:
    """What one point of the grid gave on the validation split.

    Attributes:
        settings: What differs from the configuration.
        accuracies: The best validation accuracy, seed by seed.
        best_epochs: The epoch of each.
        stopped: Why training stopped, if it diverged for any seed.
    """

    settings: dict[str, Any]
    accuracies: tuple[float, ...]
    best_epochs: tuple[int, ...]
    stopped: str = ""

    @property
    def mean(self) -> float:
        """Mean validation accuracy; -1 if a seed diverged, which loses against everything."""
        return -1.0 if self.stopped else statistics.fmean(self.accuracies)


def sweep(
    config: RunConfig,
    grid: dict[str, list[Any]],
    folder: str | Path,
    jobs: int = 1,
    seeds: int = 1,
    resume: bool = False,
) -> list[Point]:
    """Train every point of a grid with the same seeds; best first, ties in the order of the grid.

    Writes ``sweep.json``, ``sweep.md`` and a folder for every run. The test split is not touched.

    Args:
        config: What is not in the grid.
        grid: Values by name of setting, e.g. ``{"alpha": [0.3, 0.5], "student.readout": ["strict"]}``.
        folder: For everything that is written.
        jobs: Processes; each computes in one thread if there are several.
        seeds: Seeds per point, counted from the configuration's.
        resume: Go on with the runs that the folder holds.

    Raises:
        ValueError: If the grid is empty, has unknown settings or values out of range.
        MissingExtraError: If joblib is not installed.
    """
    if not grid or jobs < 1 or seeds < 1:
        raise ValueError(f"sweep: expected a grid, jobs and seeds above 0, got {grid}, {jobs} and {seeds}.")
    if "seed" in grid:
        raise ValueError("sweep: expected seeds as a number of its own, got them in the grid.")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ValueError("sweep: expected one process and --jobs, got several from torchrun.")
    folder = Path(folder)
    cases = [(settings, _with(config, settings)) for settings in points(grid)]
    teach(folder, [case for _, case in cases])
    runs = [
        (case.with_setting("seed", seed), _place(folder, settings, seed), folder, resume)
        for settings, case in cases
        for seed in range(config.seed, config.seed + seeds)
    ]
    found = in_processes(_run, runs, jobs)
    table = [_point(settings, found[i * seeds : (i + 1) * seeds]) for i, (settings, _) in enumerate(cases)]
    table.sort(key=lambda point: -point.mean)
    _write(folder, config, table, seeds)
    return table


def in_processes(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], jobs: int) -> list[Any]:
    """Results of a function, call by call, in their order; each process has one thread if there are several.

    Raises:
        MissingExtraError: If joblib is not installed.
    """
    joblib = require("joblib", "train")
    with joblib.parallel_config(backend="loky", **({"inner_max_num_threads": 1} if jobs > 1 else {})):
        found: list[Any] = joblib.Parallel(n_jobs=jobs)(joblib.delayed(function)(*call) for call in calls)
    return found


def teach(
    folder: str | Path, cases: Sequence[RunConfig], build: Callable[[RunConfig], Task] = task_of
) -> None:
    """Ask every teacher that the cases name once, before the runs start: they only read its logits.

    Args:
        folder: Where the logits are kept.
        cases: The runs.
        build: Data, network and teacher of each.
    """
    taught = {}
    for case in cases:
        if case.teacher != "none" and (case.views or not case.augments):
            seen = (case.views, case.shift, case.flip) if case.views else ()
            taught[(case.teacher, case.data, case.data_dir, case.size, case.dtype, case.device, seen)] = case
    for case in taught.values():
        task, dtype = build(case), getattr(torch, case.dtype)
        if task.teacher is None or not isinstance(task.data.train, Split):
            continue  # what is read from its files is asked about batch by batch
        split = task.data.train.to(case.device)
        split = split._replace(images=split.images.to(dtype))
        lesson(split, task.teacher.to(case.device, dtype), folder, case)


def markdown(table: Sequence[Point]) -> str:
    """The table of a sweep, best first."""
    names = list(table[0].settings)
    head = [*names, "validation accuracy", "per seed", "best epoch"]
    rows = [[*(str(point.settings[name]) for name in names), *_cells(point)] for point in table]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"


def _cells(point: Point) -> list[str]:
    if point.stopped:
        return [point.stopped, "", ""]
    each = ", ".join(f"{100 * accuracy:.2f}" for accuracy in point.accuracies)
    return [f"{100 * point.mean:.2f} %", each, ", ".join(map(str, point.best_epochs))]


def _with(config: RunConfig, settings: dict[str, Any]) -> RunConfig:
    for name, value in settings.items():
        config = config.with_setting(name, value)
    return config


def _place(folder: Path, settings: dict[str, Any], seed: int) -> Path:
    """A folder named after its point; what a folder's name cannot hold becomes a dash."""
    name = ",".join(f"{key}={value}" for key, value in {**settings, "seed": seed}.items())
    return folder / "".join(c if c.isalnum() or c in "=,._-" else "-" for c in name)


def _run(config: RunConfig, place: Path, logits_folder: Path, resume: bool) -> tuple[float, int, str]:
    """Best validation accuracy and its epoch, and why training stopped if it diverged."""
    try:
        progress = train(config, place, resume and is_started(place), logits_folder=logits_folder)
    except FloatingPointError as error:
        return -1.0, 0, str(error)
    return progress.best_accuracy, progress.best_epoch, ""


def _point(settings: dict[str, Any], found: Sequence[tuple[float, int, str]]) -> Point:
    accuracies, epochs, reasons = zip(*found, strict=True)
    return Point(settings, accuracies, epochs, next((reason for reason in reasons if reason), ""))


def _write(folder: Path, config: RunConfig, table: Sequence[Point], seeds: int) -> None:
    rows = [
        {
            "settings": point.settings,
            "validation_accuracy": None if point.stopped else point.mean,
            "per_seed": list(point.accuracies),
            "best_epochs": list(point.best_epochs),
            "stopped": point.stopped,
        }
        for point in table
    ]
    seeds_used = list(range(config.seed, config.seed + seeds))
    chosen = None if table[0].stopped else table[0].settings
    head = {"format": "optics4f-sweep", "format_version": 1, "chosen": chosen, "seeds": seeds_used}
    write_json(folder / "sweep.json", {**head, "config": config.to_dict(), "points": rows})
    write_text(folder / "sweep.md", markdown(table))
