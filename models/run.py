"""A training run that can be killed: checkpoints, metrics, early stop, several processes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optics4f.files import write_json

from .checkpoint import save_student
from .data import Batched, Split
from .distill import label_loss
from .lesson import MODEL_FILE, Task, lesson, task_of
from .loader import JUDGED, UNCOUNTED, Loader
from .paths import off_path, on_path
from .processes import Processes, share_batch_norms
from .progress import Metrics, Progress, Report
from .runconfig import RunConfig, from_dict
from .sclc import SCLC
from .state import (
    EPOCH_FILE,
    STEP_FILE,
    State,
    newest_state,
    optimizer_state,
    prefixed,
    random_state,
    seed_everything,
    set_optimizer_state,
    set_random_state,
    write_state,
)
from .train import Loss


def train(
    config: RunConfig,
    folder: str | Path,
    resume: bool = False,
    report: Report | None = None,
    task: Task | None = None,
    logits_folder: str | Path | None = None,
) -> Progress:
    """Train, and leave the weights of the best epoch in ``model.safetensors``.

    The folder also holds ``metrics.jsonl``, ``result.json``, the checkpoints ``epoch.safetensors`` and
    ``step.safetensors``, and for a student ``student.json`` and ``student.safetensors``. The test split is
    not touched.

    Args:
        config: How.
        folder: For everything that is written.
        resume: Go on from the newest checkpoint in the folder.
        report: Called with every line of the metrics.
        task: Data, network and teacher; those that the configuration names if not given.
        logits_folder: Where the teacher's logits are kept; ``folder`` if not given.

    Raises:
        FloatingPointError: If the loss or a gradient is not finite, or the mean loss of an epoch is more than
            ten times that of the first; the last good checkpoint is kept.
        FileExistsError: If the folder holds a run and ``resume`` is not set.
        FileNotFoundError: If ``resume`` is set and there is nothing to resume.
        ValueError: If the run in the folder was configured otherwise.
    """
    folder = Path(folder)
    checkpoint = newest_state(folder)
    if not resume and checkpoint is not None:
        raise FileExistsError(f"{folder}: expected a folder without a run, or --resume, got one with a run.")
    if resume and checkpoint is None:
        raise FileNotFoundError(f"{folder}: expected a checkpoint to resume from, found none.")
    processes = Processes(config.device)
    try:
        run = Run(config, folder, task or task_of(config), processes, report, logits_folder)
        if checkpoint is None:
            run.save(EPOCH_FILE)
        else:
            run.restore(checkpoint)
        while not run.finished:
            run.train_epoch()
        run.leave()
        return run.progress
    finally:
        processes.close()


class Run:
    """Everything that changes during a run, and the steps that change it; :func:`train` drives it."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        task: Task,
        processes: Processes,
        report: Report | None,
        logits_folder: str | Path | None,
    ) -> None:
        seed_everything(config.seed + processes.rank)
        self.config, self.folder, self.processes = config, folder, processes
        self.metrics = Metrics(folder, report if processes.is_main else None)
        self.classes = task.data.classes
        self.ignore = UNCOUNTED if task.data.ignore is None else task.data.ignore
        self.inputs = task.data.train.taken(torch.zeros(1, dtype=torch.long)).images.shape[1]
        self.dtype = getattr(torch, config.dtype)
        network = task.network.to(processes.device, self.dtype)
        self.model = on_path(network, config, task.data.train)
        if config.autocast:  # bfloat16 convolutions are fastest with the channels last
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if processes.count > 1:  # before the optimiser: the weights of these layers are new objects
            share_batch_norms(self.model)
        self.wrapped = processes.wrapped(self.model)
        self.teacher = None if task.teacher is None else task.teacher.to(processes.device, self.dtype).eval()
        self.validation = self._kept(task.data.validation)
        self.loader = Loader(self._lesson(task.data.train, logits_folder), config)
        self.loss: Loss = label_loss if self.teacher is None else config.distillation
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        rate, steps = config.learning_rate, config.epochs * len(self.loader)
        groups = self._groups()
        self.optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=config.weight_decay)
        rates = [group.get("lr", rate) for group in groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, rates, total_steps=steps)
        self.progress = Progress()
        self.best = _copy(self.model)

    @property
    def finished(self) -> bool:
        """All epochs are done, or patience is at its end."""
        patience = self.config.patience
        return self.progress.epoch >= self.config.epochs or 0 < patience <= self.progress.stale

    def train_epoch(self) -> None:
        """What is left of the epoch, then the validation split, a line of metrics, and a checkpoint."""
        for batch in map(self._moved, self.loader):
            rate = float(self.schedule.get_last_lr()[0])
            loss = self._step(batch)
            if _due(self.progress.step, self.config.report_every):
                self._write_line(loss, None, rate)
            if _due(self.progress.step, self.config.checkpoint_every) and self.loader.done:
                self.save(STEP_FILE)
        self._finish_epoch(self.progress.loss_sum / len(self.loader))

    def accuracy(self) -> float:
        """Fraction of the labels of the validation split that are named right, of those that count."""
        self.model.eval()
        device, rank, count = self.validation.device, self.processes.rank, self.processes.count
        mine = torch.arange(rank, self.validation.length, count, device=device)
        right, counted = torch.zeros(2, dtype=torch.long, device=self.processes.device)
        with torch.no_grad():
            for index in mine.split(JUDGED):
                batch = self._moved(self.validation.taken(index))
                right += (self.model(batch.images).argmax(1) == batch.labels).sum()
                counted += (batch.labels != UNCOUNTED).sum()
        return int(self.processes.total(right)) / max(1, int(self.processes.total(counted)))

    def save(self, name: str) -> None:
        """Write a checkpoint; the main process does, the random numbers of all are in it."""
        numbers = random_state(self.processes.device)
        tensors = {name: self.processes.gathered(value) for name, value in numbers.tensors.items()}
        if self.processes.is_main:
            optimizer, loader = optimizer_state(self.optimizer), self.loader.state()
            parts = {"model": self.model.state_dict(), "best": self.best, "optimizer": optimizer.tensors}
            parts |= {"loader": loader.tensors, "random": tensors}
            self.progress.seconds = self.metrics.seconds
            rest = {
                "config": self.config.to_dict(),
                "progress": asdict(self.progress),
                "schedule": self.schedule.state_dict(),
                "optimizer": optimizer.rest,
                "loader": loader.rest,
                "random": numbers.rest,
            }
            named = [prefixed(part, values) for part, values in parts.items()]
            write_state(self.folder / name, State({k: v for p in named for k, v in p.items()}, rest))
        self.processes.wait()

    def restore(self, state: State) -> None:
        """Go back to a checkpoint, and forget the metrics of later steps."""
        rest, numbers = state.rest, state.part("random")
        if differing := self.config.differences(from_dict(rest["config"])):
            raise ValueError(f"{self.folder}: expected the same settings, got other {', '.join(differing)}.")
        if (count := len(numbers["torch"])) != self.processes.count:
            raise ValueError(f"{self.folder}: expected {count} processes, got {self.processes.count}.")
        self.model.load_state_dict(state.part("model"))
        self.best = {name: value.to(self.processes.device) for name, value in state.part("best").items()}
        set_optimizer_state(self.optimizer, State(state.part("optimizer"), rest["optimizer"]))
        self.schedule.load_state_dict(rest["schedule"])
        self.loader.set_state(State(state.part("loader"), rest["loader"]))
        mine = {name: value[self.processes.rank] for name, value in numbers.items()}
        set_random_state(State(mine, rest["random"]), self.processes.device)
        self.progress = Progress(**rest["progress"])
        if self.processes.is_main:
            self.metrics.go_back(self.progress)

    def leave(self) -> None:
        """Write the weights of the best epoch, and what the run gave."""
        if not self.processes.is_main:
            return
        rest = {"config": self.config.to_dict(), "inputs": self.inputs, "classes": self.classes}
        self.model.load_state_dict(self.best)
        trained, self.model = self.model, off_path(self.model, self.config, self.loader.split).eval()
        if isinstance(self.model, SCLC):
            if trained is not self.model:  # judged by the engine's own elements
                self.progress.best_accuracy = self.accuracy()
            notes = {"data": self.config.data, "validation_accuracy": self.progress.best_accuracy}
            save_student(self.model, self.folder, notes)
        write_state(self.folder / MODEL_FILE, State(_copy(self.model), rest))
        write_json(self.folder / "result.json", asdict(self.progress))

    def _groups(self) -> list[dict[str, Any]]:
        """What is trained, the back end with a learning rate of its own if it has one."""
        back_end = getattr(getattr(self.model, "student", self.model), "back_end", None)
        if not self.config.back_end_rate or back_end is None:
            return [{"params": self.parameters}]
        electronic = {id(p) for p in back_end.parameters()}
        return [
            {"params": [p for p in self.parameters if id(p) not in electronic], "weight_decay": 0.0},
            {"params": list(back_end.parameters()), "lr": self.config.back_end_rate},
        ]

    def _step(self, batch: Split) -> float:
        """One step of the optimiser; the loss of the whole batch."""
        self.model.train()
        if self.teacher is not None and batch.teacher is None:
            with torch.no_grad():
                batch = batch._replace(teacher=self.teacher(batch.images))
        mine, weight = self.processes.share(batch)
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.config.autocast):
            logits = self.wrapped(mine.images)
        loss = self.loss(logits.to(self.dtype), mine) * weight
        value = float(self.processes.total(loss.detach())) / self.processes.count
        self.progress.refuse_endless("loss", value, self.folder)
        self.optimizer.zero_grad(set_to_none=True)
        self.processes.backward(loss)
        norms = [p.grad.norm() for p in self.parameters if p.grad is not None]
        self.progress.refuse_endless("gradient", float(torch.stack(norms).norm()), self.folder)
        self.optimizer.step()
        self.schedule.step()
        self.progress.count_step(value)
        return value

    def _finish_epoch(self, loss: float) -> None:
        try:
            self.progress.refuse_divergence(loss, self.folder)
        except FloatingPointError:
            self._forget_steps()  # checkpoints of an epoch that diverged are no good ones
            raise
        accuracy = self.accuracy()
        if self.progress.count_epoch(loss, accuracy):
            self.best = _copy(self.model)
        self._write_line(loss, accuracy, float(self.schedule.get_last_lr()[0]))
        self.save(EPOCH_FILE)
        self._forget_steps()

    def _write_line(self, loss: float, accuracy: float | None, rate: float) -> None:
        if self.processes.is_main:
            self.metrics.write(self.progress, loss, accuracy, rate)

    def _lesson(self, split: Batched, folder: str | Path | None) -> Batched:
        """The training split, with the teacher's logits if it is in memory and every epoch the same."""
        tail = split.length % self.config.batch_size or self.config.batch_size
        if min(tail, self.config.batch_size) < self.processes.count:
            raise ValueError(
                f"batch_size: expected a picture for each of {self.processes.count} processes in every "
                f"batch, got {tail} in the last one."
            )
        split = self._kept(split)
        moving = self.config.augments and not self.config.views
        if self.teacher is None or moving or not isinstance(split, Split):
            return split
        place = folder or self.folder
        if self.processes.is_main:
            lesson(split, self.teacher, place, self.config)
        self.processes.wait()
        return lesson(split, self.teacher, place, self.config)

    def _kept(self, split: Batched) -> Batched:
        """A split in memory where it is needed; one that reads its files stays as it is."""
        return self._moved(split) if isinstance(split, Split) else split

    def _moved(self, split: Split) -> Split:
        moved = split.to(self.processes.device)
        labels = moved.labels.masked_fill(moved.labels == self.ignore, UNCOUNTED)
        return moved._replace(images=moved.images.to(self.dtype), labels=labels)

    def _forget_steps(self) -> None:
        if self.processes.is_main:
            (self.folder / STEP_FILE).unlink(missing_ok=True)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
