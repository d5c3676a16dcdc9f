"""The command ``design`` without the screen: stages trained one after another, judged, and written down."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optics4f.fabrication import MaskSet
from optics4f.fabrication.bench import bank_of
from optics4f.fabrication.maskset import provenance
from optics4f.fabrication.materials import with_material
from optics4f.files import sha256, write_json

from .checkpoint import load_student, save_student
from .constrain import with_phase
from .curriculum import Judged, complex_student, constrained, devices, field_error, judged
from .data import ImageData, Split, load
from .designconfig import DesignConfig
from .fewer_masks import FewerMasks, MixedBench, accuracy_against_masks, mask_counts
from .lesson import MODEL_FILE, Task, load_teacher
from .process_draws import Made, relief_bank
from .progress import Report
from .run import train
from .runconfig import read_config
from .sclc import SCLC
from .state import is_started, read_state
from .train import accuracy

CONFIG_FILE, RESULT_FILE = "config.json", "result.json"


@dataclass(frozen=True)
class StageResult:
    """What one stage gave, on the validation split.

    Attributes:
        stage: Its name.
        epochs: It was trained for.
        best_epoch: Whose weights were kept; 0 without training.
        before: Under the constraint, not yet trained.
        after: Trained.
        error: R.m.s. error that the constraint makes in the output field; of the errors of the process in the
            last stage.
    """

    stage: str
    epochs: int
    best_epoch: int
    before: Judged
    after: Judged
    error: float


@dataclass(frozen=True)
class Design:
    """What a curriculum found.

    Attributes:
        config: What was asked for.
        data: The data set.
        start: Accuracy of the student as it came, on the validation split.
        stages: One for each stage.
        student: As the last stage left it.
        curve: Accuracy against the number of masks, if they were reduced.
    """

    config: DesignConfig
    data: ImageData
    start: float
    stages: tuple[StageResult, ...]
    student: SCLC
    curve: tuple[FewerMasks, ...] = ()


@dataclass(frozen=True)
class Job:
    """A curriculum on the way.

    Attributes:
        config: What was asked for.
        folder: For everything that is written.
        resume: Go on with what the folder holds.
        say: Called with what is being done.
        report: Called with every line of the metrics.
    """

    config: DesignConfig
    folder: Path
    resume: bool = False
    say: Callable[[str], None] = field(default=lambda text: None)
    report: Report | None = None

    def run(self, command: Sequence[str] = ()) -> Design:
        """All stages, and the files that they leave: a student for each, and ``masks.h5`` for the last.

        Args:
            command: The command and its arguments, for the provenance.

        Raises:
            FileExistsError: If the folder holds a design and ``resume`` is not set.
            FileNotFoundError: If ``resume`` is set and there is nothing to resume, or there is no student.
            ValueError: If the settings changed, or student, data and hardware do not fit one another.
        """
        self._begin()
        start = self._start()
        data = _data(self.config, start)
        teacher = self._teacher(start)
        self.say("looking at the student as it came")
        pictures, score = data.train.images, accuracy(start, data.validation)
        whole = complex_student(start, pictures)
        curve = self._curve(whole, data.validation)
        student = complex_student(start, pictures, self.config.masks) if self.config.masks else whole
        if self.config.stages != ("complex",):
            with_phase(student.optics)  # what cannot be a relief is refused before the work
        before, results = start, []
        for stage in self.config.stages:
            changed = constrained(student, stage, self.config.levels, pictures)
            student, result = self._stage(stage, before, changed, data, teacher)
            results.append(result)
            before = student
        self._write_masks(student, command)
        return Design(self.config, data, score, tuple(results), student, tuple(curve))

    def _begin(self) -> None:
        """Refuse a folder with another design before anything is done."""
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError("design: expected one process, got torchrun's.")
        path, start = self.folder / CONFIG_FILE, _start_file(self.config)
        settings = {**self.config.to_dict(), "start_sha256": sha256(start)}
        if not self.resume:
            if any((self.folder / name).exists() for name in ("student", "runs", "students")):
                raise FileExistsError(
                    f"{self.folder}: expected a folder without a design, or --resume, got one with a design."
                )
            write_json(path, settings)
            return
        if not path.is_file():
            raise FileNotFoundError(f"{self.folder}: expected a design to resume, found none.")
        found = json.loads(path.read_text(encoding="utf-8"))
        if differing := [name for name in settings if found.get(name) != settings[name]]:
            raise ValueError(f"{path}: expected the same settings, got other {', '.join(differing)}.")

    def _start(self) -> SCLC:
        """The student as it came, trained first if the configuration says how."""
        given = Path(self.config.student)
        if given.suffix != ".toml":
            return load_student(given).to(self.config.device)
        place, settings = self.folder / "student", read_config(given)
        if (settings.network, settings.data) != ("student", self.config.data):
            got = f"{settings.network} of {settings.data}"
            raise ValueError(f"{given}: expected a student of {self.config.data}, got {got}.")
        if not (place / RESULT_FILE).is_file():
            self.say(f"training {given.name}")
            train(settings, place, is_started(place), self.report)
        return load_student(place).to(self.config.device)

    def _teacher(self, start: SCLC) -> nn.Module | None:
        name = self.config.teacher
        if name == "none":
            return None
        if name == "student":
            return copy.deepcopy(start)
        return load_teacher(self.config.run(self.config.stages[0], start.design))

    def _curve(self, student: SCLC, split: Split) -> list[FewerMasks]:
        """Accuracy against the number of masks, before anything is trained again."""
        if not self.config.masks:
            return []
        self.say("accuracy against the number of masks")
        optics: Any = student.optics
        counts = {*mask_counts(min(optics.transfer().flatten(1).shape)), self.config.masks}
        return accuracy_against_masks(student, split, sorted(counts))

    def _stage(
        self, stage: str, before: SCLC, changed: SCLC, data: ImageData, teacher: nn.Module | None
    ) -> tuple[SCLC, StageResult]:
        """Judge what the constraint does, train against it, judge again."""
        config, split = self.config, data.validation
        self.say(f"{stage}: what it changes")
        untrained = self._judged(changed, split)
        error = self._made_error(changed, split) if stage == "fabrication" else None
        error = field_error(before, changed, split.images) if error is None else error
        epochs, best = config.epochs_of(stage), 0
        if epochs:
            self.say(f"{stage}: training")
            changed, best = self._trained(stage, changed, data, teacher)
        result = StageResult(stage, epochs, best, untrained, self._judged(changed, split), error)
        notes = {"data": data.name, "stage": stage, "validation_accuracy": result.after.accuracy}
        save_student(changed, self.folder / "students" / stage, notes)
        return changed, result

    def _trained(
        self, stage: str, student: SCLC, data: ImageData, teacher: nn.Module | None
    ) -> tuple[SCLC, int]:
        """The student at its best epoch: a run that can be killed, and is not repeated once finished."""
        config, place = self.config, self.folder / "runs" / stage
        student = copy.deepcopy(student)
        network: nn.Module = student
        if stage == "fabrication":
            network = Made(student, config.noise, config.levels, config.seed)
        if not (place / RESULT_FILE).is_file():
            task = Task(data, network, teacher)
            train(config.run(stage, student.design), place, is_started(place), self.report, task, self.folder)
        network.load_state_dict(read_state(place / MODEL_FILE).tensors)
        best = json.loads((place / RESULT_FILE).read_text(encoding="utf-8"))["best_epoch"]
        return student.to(config.device).eval(), int(best)

    def _judged(self, student: SCLC, split: Split) -> Judged:
        return judged(student, split, self.config.noise, self.config.levels, self.config.seed)

    def _made_error(self, student: SCLC, split: Split) -> float:
        """R.m.s. over the devices of the error of their fields."""
        made = devices(student, self.config.noise, self.config.levels, self.config.seed)
        errors = [field_error(student, device, split.images) for device in made]
        return float(torch.tensor(errors, dtype=torch.float64).square().mean().sqrt())

    def _write_masks(self, student: SCLC, command: Sequence[str]) -> None:
        last = self.config.stages[-1]
        optics: Any = student.optics
        more: dict[str, Any] = {"design": self.config.to_dict()}
        if isinstance(optics, MixedBench):
            more["mesh"] = optics.weight_parts.cpu().tolist()
            more["mesh_axes"] = ["C_out", "mask", "real and imaginary part"]
        if last == "complex":
            bank = bank_of(getattr(optics, "bench", optics))
        else:
            bank = with_material(
                relief_bank(student, 0 if last == "phase" else self.config.levels), self.config.material
            )
        checkpoint = self.folder / "students" / last / "student.safetensors"
        origin = provenance(checkpoint, self.config.data, command, **more)
        MaskSet({"complex" if last == "complex" else "relief": bank}, origin).save(self.folder / "masks.h5")


def final_test(design: Design) -> Judged:
    """The one look at the test split: what the last stage left."""
    config = design.config
    return judged(design.student, design.data.test, config.noise, config.levels, config.seed)


def _start_file(config: DesignConfig) -> Path:
    """What the start depends on: the numbers of a student, or the settings of its training."""
    given = Path(config.student)
    path = given if given.suffix == ".toml" else given / "student.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"student: expected {path}, a trained student or a TOML file, found none.")
    return path


def _data(config: DesignConfig, student: SCLC) -> ImageData:
    """The data set at the student's size, if it is the one that it was made for."""
    design = student.design
    data = load(config.data, config.data_dir or None, design.shape[0]).to(config.device)
    found = (*data.train.images.shape[1:], data.classes)
    wanted = (design.channels[0], *design.shape, design.classes)
    if found != wanted:
        raise ValueError(f"data: expected pictures and classes {wanted}, as the student has, got {found}.")
    return data
