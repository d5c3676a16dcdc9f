"""How far a run has come: counts, metrics as JSON lines, and when to stop it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optics4f.files import write_text

METRICS_FILE = "metrics.jsonl"
DIVERGED = 10.0

Report = Callable[[dict[str, Any]], None]


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: Steps taken.
        epoch: Epochs finished.
        loss_sum: Of the steps of the epoch that is under way.
        first_loss: Mean loss of the first epoch.
        best_epoch: The epoch that is best on the validation split; ties: the later one.
        best_accuracy: Its accuracy there.
        stale: Epochs since that accuracy last grew.
        seconds: Spent, over all resumptions.
    """

    step: int = 0
    epoch: int = 0
    loss_sum: float = 0.0
    first_loss: float | None = None
    best_epoch: int = 0
    best_accuracy: float = -1.0
    stale: int = 0
    seconds: float = 0.0

    def count_step(self, loss: float) -> None:
        """One more step."""
        self.step += 1
        self.loss_sum += loss

    def count_epoch(self, loss: float, accuracy: float) -> bool:
        """One more epoch; whether it is the best so far."""
        self.epoch += 1
        self.loss_sum = 0.0
        self.first_loss = loss if self.first_loss is None else self.first_loss
        self.stale = 0 if accuracy > self.best_accuracy else self.stale + 1
        if accuracy < self.best_accuracy:
            return False
        self.best_accuracy, self.best_epoch = accuracy, self.epoch
        return True

    def refuse_endless(self, what: str, value: float, folder: Path) -> None:
        """Stop before a step that would put NaN or infinity into the weights.

        Raises:
            FloatingPointError: If the value is not finite.
        """
        if not math.isfinite(value):
            raise FloatingPointError(
                f"train: expected a finite {what}, got {value} in step {self.step + 1} "
                f"(epoch {self.epoch + 1}); the last good checkpoint is in {folder}."
            )

    def refuse_divergence(self, loss: float, folder: Path) -> None:
        """Stop if the mean loss of an epoch is more than ten times that of the first.

        Raises:
            FloatingPointError: If so.
        """
        if self.first_loss is not None and loss > DIVERGED * self.first_loss:
            raise FloatingPointError(
                f"train: expected a loss below {DIVERGED:g} times that of the first epoch, "
                f"{self.first_loss:.4g}, got {loss:.4g} in epoch {self.epoch + 1}, which ended with step "
                f"{self.step}; the last good checkpoint is in {folder}."
            )


class Metrics:
    """The file ``metrics.jsonl``, and whoever else wants its lines.

    Args:
        folder: Of the file.
        report: Called with every line.
    """

    def __init__(self, folder: Path, report: Report | None = None) -> None:
        self.path, self.report = folder / METRICS_FILE, report
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the run began, without the time between a kill and its resumption."""
        return time.monotonic() - self.started

    def write(self, progress: Progress, loss: float, accuracy: float | None, rate: float) -> None:
        """A line after a step (``accuracy`` None), or after an epoch with its mean loss."""
        line = {
            "step": progress.step,
            "epoch": progress.epoch + (accuracy is None),
            "loss": loss,
            "validation_accuracy": accuracy,
            "learning_rate": rate,
            "seconds": round(self.seconds, 3),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        if self.report is not None:
            self.report(line)

    def go_back(self, progress: Progress) -> None:
        """Forget the lines after a step; a kill may have left half a line."""
        self.started = time.monotonic() - progress.seconds
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []:
            try:
                if json.loads(line)["step"] <= progress.step:
                    kept.append(line + "\n")
            except ValueError:
                break
        write_text(self.path, "".join(kept))
