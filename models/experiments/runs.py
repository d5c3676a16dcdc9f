"""The trainings of an experiment: done once, gone on with after an interruption, looked at once."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from optics4f.files import sha256, write_json

from ..data import Batched
from ..lesson import MODEL_FILE, Task, task_of
from ..processes import one_thread
from ..progress import Progress
from ..run import train
from ..runconfig import RunConfig, from_dict
from ..sclc import SCLC
from ..state import is_started, read_state
from ..sweep import in_processes, teach

RESULT_FILE, TEST_FILE = "result.json", "test.json"
FEW, MANY = 4, 512  # pictures at a time

Build = Callable[[RunConfig], Task]


@dataclass(frozen=True)
class Trained:
    """A run that has finished.

    Attributes:
        label: Its name, and that of its folder.
        config: How it was trained.
        folder: Where it is.
        progress: How it went; ``best_accuracy`` is that on the validation split.
    """

    label: str
    config: RunConfig
    folder: Path
    progress: Progress

    def network(self, task: Build = task_of) -> nn.Module:
        """The network of its best epoch, in evaluation mode."""
        network = task(self.config).network
        network.load_state_dict(read_state(self.folder / MODEL_FILE).tensors)
        return network.eval()


class Summary(NamedTuple):
    """Mean and standard error over seeds; the error is None for a single seed."""

    mean: float
    error: float | None

    def percent(self) -> str:
        """As tables write a share.

        Example:
            >>> Summary(0.8125, 0.0031).percent(), Summary(0.5, None).percent()
            ('81.25 ± 0.31 %', '50.00 %')
        """
        return f"{100 * self.mean:.2f} %" if self.error is None else f"{self._numbers('.2f')} %"

    def points(self) -> str:
        """As tables write a difference of shares.

        Example:
            >>> Summary(0.013, 0.0043).points()
            '+1.30 ± 0.43 points'
        """
        return f"{100 * self.mean:+.2f} points" if self.error is None else f"{self._numbers('+.2f')} points"

    def _numbers(self, form: str) -> str:
        return f"{100 * self.mean:{form}} ± {100 * (self.error or 0.0):.2f}"


def trained(
    configs: Mapping[str, RunConfig], folder: str | Path, jobs: int = 1, task: Build = task_of
) -> dict[str, Trained]:
    """Train what has not been trained yet, each in ``folder/<label>``, one thread for each.

    A run that has finished with the same settings is read; one that was interrupted goes on from its last
    checkpoint and ends as if it had not been. A teacher is trained by a call of its own, before its students:
    a configuration names its folder. Each epoch prints a line.

    Args:
        configs: The runs by label.
        folder: For all of them, and for the logits of their teachers.
        jobs: Processes.
        task: Data, network and teacher of a configuration; what it names if not given.

    Raises:
        ValueError: If a folder holds a run with other settings.
        FloatingPointError: If a run diverges.
    """
    folder = Path(folder)
    waiting = {label: c for label, c in configs.items() if not has_finished(folder / label, c)}
    teach(folder, list(waiting.values()), task)
    in_processes(_train, [(label, config, folder, task) for label, config in waiting.items()], jobs)
    places = {label: folder / label for label in configs}
    return {label: Trained(label, c, places[label], _progress(places[label])) for label, c in configs.items()}


def has_finished(folder: Path, config: RunConfig) -> bool:
    """Whether a folder holds what a run left at its end.

    Raises:
        ValueError: If it was a run with other settings.
    """
    if not (folder / RESULT_FILE).is_file() or not (folder / MODEL_FILE).is_file():
        return False
    if differing := config.differences(from_dict(read_state(folder / MODEL_FILE).rest["config"])):
        raise ValueError(f"{folder}: expected the same settings, got other {', '.join(differing)}.")
    return True


def look_once(runs: Iterable[Trained], split: Batched, task: Build = task_of) -> list[float]:
    """Accuracy of each run on a split: at the end of an experiment, once, the test split.

    What was found is kept beside the run, so that another table of the same runs does not look again; it
    holds for those weights and that many pictures.
    """
    return [_looked(run, split, task) for run in runs]


def _looked(run: Trained, split: Batched, task: Build) -> float:
    place = run.folder / TEST_FILE
    of = {"model_sha256": sha256(run.folder / MODEL_FILE), "pictures": split.length}
    if place.is_file():
        kept = json.loads(place.read_text(encoding="utf-8"))
        if all(kept.get(name) == value for name, value in of.items()):
            return float(kept["accuracy"])
    found = _share_right(run, run.network(task).to(run.config.device), split)
    write_json(place, {"accuracy": found, **of})
    return found


def _share_right(run: Trained, network: nn.Module, split: Batched) -> float:
    right, dtype = 0, getattr(torch, run.config.dtype)
    network = network.to(dtype)
    # The detector of a student with many channels takes half the time on planes that stay in cache.
    batch_size = FEW if isinstance(network, SCLC) and run.config.device == "cpu" else MANY
    with torch.inference_mode():
        for index in torch.arange(split.length, device=split.device).split(batch_size):
            batch = split.taken(index).to(run.config.device)
            right += int((network(batch.images.to(dtype)).argmax(1) == batch.labels).sum())
    return right / split.length


def summarise(values: Sequence[float]) -> Summary:
    r"""Mean, and its standard error :math:`s / \sqrt{n}` with the sample deviation s (n - 1).

    Example:
        >>> summarise([0.25, 0.75])
        Summary(mean=0.5, error=0.25)
    """
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return Summary(statistics.fmean(values), error)


def gain(after: Sequence[float], before: Sequence[float]) -> Summary:
    """What a change adds, seed by seed: both runs of a seed begin alike, so their difference varies less."""
    return summarise([a - b for a, b in zip(after, before, strict=True)])


def _train(label: str, config: RunConfig, folder: Path, task: Build) -> None:
    from rich.console import Console

    console, place = Console(), folder / label

    def report(line: dict[str, Any]) -> None:
        if (accuracy := line["validation_accuracy"]) is not None:
            text = f"epoch {line['epoch']} of {config.epochs}, {line['seconds']:.0f} s"
            score = f"loss {line['loss']:.3f}, validation {100 * accuracy:.2f} %"
            console.print(f"{label}: {text}: {score}", highlight=False)

    with one_thread():
        train(config, place, is_started(place), report, task(config), folder)


def _progress(folder: Path) -> Progress:
    return Progress(**json.loads((folder / RESULT_FILE).read_text(encoding="utf-8")))
