"""The main job, end to end: teacher, students, distillation, audit, runtime, masks, read-back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optics4f.fabrication import Manifest, MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of
from optics4f.fabrication.maskset import provenance
from optics4f.fabrication.materials import with_material
from optics4f.files import sha256
from optics4f.record import Record, save_records
from optics4f.transduction import LatencyBudget, optical_network_budget
from optics4f.transduction.measurement import measure, median_record
from optics4f.units import m, s

from .checkpoint import save_student
from .constrain import phase_only, with_masks
from .data import ImageData, Split, load
from .distill import Distillation, label_loss, taught
from .processes import one_thread
from .sclc import SCLC, StudentDesign
from .teachers import AlexNet32
from .train import Fit, TrainConfig, accuracy, fit

TEACHER_WIDTH = 0.125
LEVELS = 16
RELIEF = f"phase-only, {LEVELS} levels + KD"
BITS = 16
LINK = "paper_usb3"
FORMATS = ("gds", "bitmap")
MATERIAL = "fused-silica"
SIMULATIONS = {"ideal": 1, "square pixels, guard band": 3}


@dataclass(frozen=True)
class DemoOptions:
    """What ``optics4f demo`` takes; see its help."""

    out: Path
    data: str = "digits"
    data_dir: Path | None = None
    epochs: int = 15
    seeds: int = 3
    seed: int = 0
    device: str = "cpu"
    distillation: Distillation = field(default_factory=Distillation)

    def __post_init__(self) -> None:
        for name in ("epochs", "seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name}: expected at least 1, got {getattr(self, name)}.")
        if self.seed < 0:
            raise ValueError(f"--seed: expected 0 or more, got {self.seed}.")

    @property
    def train_config(self) -> TrainConfig:
        """How every network is trained; only the seed differs."""
        return TrainConfig(epochs=self.epochs)


@dataclass
class Trained:
    """Networks of every seed and what their trainings gave, by name."""

    networks: dict[str, list[Any]] = field(default_factory=dict)
    fits: dict[str, list[Fit]] = field(default_factory=dict)

    def add(self, name: str, network: nn.Module, found: Fit) -> None:
        """Keep one trained network."""
        self.networks.setdefault(name, []).append(network)
        self.fits.setdefault(name, []).append(found)


@dataclass(frozen=True)
class Results:
    """What a run found; :mod:`optics4f.models.report` writes it down.

    Attributes:
        options: What was asked for.
        data: The data set.
        trained: All networks.
        complex_student: The first seed's distilled detected student, collapsed to one bank of complex masks.
        relief_student: The same fine-tuned with phase-only masks in the steps of a relief.
        manifest: Of the exported files.
        rebuilt: Students with masks read from files, by file and way of simulation.
        budget: Runtime of the relief student.
    """

    options: DemoOptions
    data: ImageData
    trained: Trained
    complex_student: SCLC
    relief_student: SCLC
    manifest: Manifest
    rebuilt: dict[tuple[str, str], SCLC]
    budget: LatencyBudget


class Reporter:
    """Where a run says what it is doing; the command line draws bars with it."""

    @contextmanager
    def training(self, name: str) -> Iterator[Callable[[int, float, float], None]]:
        """Announce one training; yields what to call after every epoch."""
        yield lambda epoch, loss, score: None

    def step(self, text: str) -> None:
        """Announce anything else."""


def run(options: DemoOptions, reporter: Reporter | None = None) -> Results:
    """Train, constrain, export and read back; nothing here looks at the test split."""
    with one_thread():  # a second one saves nothing on such small tensors
        return _run(options, reporter or Reporter())


def _run(options: DemoOptions, reporter: Reporter) -> Results:
    data = load(options.data, options.data_dir).to(options.device)
    trained = Trained()
    for seed in range(options.seed, options.seed + options.seeds):
        _train_seed(trained, data, options, seed, reporter)
    distilled, relief = (trained.networks[name][0] for name in ("detected + KD", RELIEF))
    reporter.step("writing masks, layout and bitmaps")
    collapsed = distilled.collapse()
    for name, student in (("complex", distilled), ("relief", relief)):
        save_student(student, options.out / "students" / name, {"data": data.name, "seed": options.seed})
    manifest = _export(options, collapsed, relief)
    reporter.step("reading the files back")
    rebuilt = _read_back(options, collapsed, relief)
    reporter.step("timing the back end")
    budget = _runtime(options, relief, data.validation)
    return Results(options, data, trained, collapsed, relief, manifest, rebuilt, budget)


def trainings(options: DemoOptions) -> int:
    """Number of trainings in a run."""
    return 6 * options.seeds


def final_accuracies(results: Results) -> tuple[dict[str, list[float]], dict[tuple[str, str], float]]:
    """The one look at the test split: accuracy of every trained network, and of every rebuilt one."""
    test = results.data.test
    trained = {
        name: [accuracy(n, test) for n in networks] for name, networks in results.trained.networks.items()
    }
    return trained, {name: accuracy(network, test) for name, network in results.rebuilt.items()}


def _train_seed(
    trained: Trained, data: ImageData, options: DemoOptions, seed: int, reporter: Reporter
) -> None:
    """A teacher, both students without and with it, and the phase-only student, all from one seed."""
    inputs = data.train.images.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        teacher = AlexNet32(inputs, data.classes, TEACHER_WIDTH).to(options.device)
        _train(trained, "teacher", teacher, label_loss, data, options, seed, reporter)
    lesson = _lesson(data, teacher)
    for readout, loss in itertools.product(("strict", "detected"), (label_loss, options.distillation)):
        design = StudentDesign(readout, channels=(inputs, 4, 12, 24, 16, 16), classes=data.classes)
        name = readout if loss is label_loss else f"{readout} + KD"
        _train(trained, name, SCLC(design, seed).to(options.device), loss, lesson, options, seed, reporter)
    # What a relief can hold: the distilled student again, phase-only, taught by the same teacher.
    relief = phase_only(trained.networks["detected + KD"][-1], LEVELS, seed)
    _train(trained, RELIEF, relief, options.distillation, lesson, options, seed, reporter)


def _lesson(data: ImageData, teacher: nn.Module) -> ImageData:
    """The data with what the teacher says of the training split."""
    return replace(data, train=taught(data.train, teacher))


def _train(
    trained: Trained,
    name: str,
    network: nn.Module,
    loss: Any,
    data: ImageData,
    options: DemoOptions,
    seed: int,
    reporter: Reporter,
) -> None:
    config = replace(options.train_config, seed=seed)
    with reporter.training(f"{name}, seed {seed}") as on_epoch:
        trained.add(name, network, fit(network, data, loss, config, on_epoch))


def _export(options: DemoOptions, complex_student: Any, relief_student: Any) -> Manifest:
    """``masks.h5`` with both banks; layout and bitmaps of the one that a relief can hold."""
    relief = bank_of(relief_student.optics, levels=LEVELS, encoding="phase")
    banks = {"complex": bank_of(complex_student.optics), "relief": with_material(relief, MATERIAL)}
    masks = MaskSet(banks, _provenance(options))
    masks.save(options.out / "masks.h5")
    return export_masks(masks, options.out / "fab", formats=FORMATS, bank="relief", levels=LEVELS)


def _provenance(options: DemoOptions) -> dict[str, Any]:
    """Where both banks come from; the folder, which changes no number, is left out."""
    students = options.out / "students"
    command = ["optics4f", "demo", "--data", options.data, "--epochs", options.epochs]
    command += ["--seeds", options.seeds, "--seed", options.seed]
    return provenance(
        students / "complex" / "student.safetensors",
        options.data,
        [str(part) for part in command],
        relief_checkpoint_sha256=sha256(students / "relief" / "student.safetensors"),
        seed=options.seed,
        student="detected + KD",
    )


def _read_back(
    options: DemoOptions, complex_student: SCLC, relief_student: SCLC
) -> dict[tuple[str, str], SCLC]:
    """Students whose masks come from the files alone; their back ends are the trained ones."""
    stored = MaskSet.load(options.out / "masks.h5")
    sources = {
        "masks.h5, bank complex": (complex_student, stored.banks["complex"]),
        "masks.h5, bank relief": (relief_student, stored.banks["relief"]),
        "GDSII layout": (relief_student, read_back(options.out / "fab", "gds").banks["relief"]),
        "8-bit bitmaps": (relief_student, read_back(options.out / "fab", "bitmap").banks["relief"]),
    }
    return {
        (name, way): with_masks(student, bank, oversample).to(options.device).eval()
        for name, (student, bank) in sources.items()
        for way, oversample in SIMULATIONS.items()
    }


def _runtime(options: DemoOptions, student: Any, split: Split) -> LatencyBudget:
    """The budget of the relief student's bench, with the back end as measured on this machine."""
    record = _timed_back_end(student, split)
    save_records(options.out / "back_end.json", [record])
    bench = student.optics
    budget = optical_network_budget(
        focal_lengths=(bench.focal_length * m, bench.second_focal_length * m),
        channels=bench.masks.channels[0],
        pixels=student.readout.pixel_grid.shape,
        bits=BITS,
        link=LINK,
        back_end=record.value * s,
    )
    return budget.replace([record])


def _timed_back_end(student: SCLC, split: Split) -> Record:
    """Median time of the one fully connected layer on one frame, up to the class on the host."""
    layer = student.back_end.folded().eval()
    with torch.inference_mode():
        frame = student.signal(split.images[:1])
        samples = measure(lambda: int(layer(frame).argmax()))
    return median_record(samples, "back end", device=f"{frame.device.type}, torch {torch.__version__}")
