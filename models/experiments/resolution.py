"""Networks of one data set at several resolutions: trained, distilled and timed, for fig4.

Teachers are small CNNs, as AlexNet cannot take the smaller pictures. Students have one bank of masks, whose
stop passes half of the frequencies each way; they are distilled.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from optics4f.transduction.measurement import take_turns

from .. import datasets
from ..data import ImageData, Split, load
from ..datasets import PictureData
from ..fast import deployed
from ..lesson import MODEL_FILE, Task
from ..processes import one_thread
from ..runconfig import RunConfig
from ..sclc import SCLC, StudentDesign
from ..state import read_state
from ..teachers import SmallCNN
from .complexity import OPTICAL, clock_of, optical, waiting
from .record import Options
from .runs import Build, Trained, trained

TEACHER, READOUTS = "teacher", ("strict", "detected")
NETWORKS = (TEACHER, *READOUTS)


@dataclass(frozen=True)
class Setting:
    """What is trained.

    Attributes:
        data: Name of the data set.
        sizes: Sides to which its pictures are brought.
        pictures: Training pictures, the first of their split; 0: all.
        width: Channels of the teacher's first convolution.
        masks: Of the students' bank, for each colour.
        kernel: Side of their kernels [samples].
        teacher_epochs: Passes over the training pictures.
        epochs: The same, of the students.
        batch_size: Pictures per step.
        learning_rate: Peak of a one-cycle schedule.
        seconds: Time for timing at each size [s].
    """

    data: str = "cifar10"
    sizes: tuple[int, ...] = (8, 16, 24, 32)
    pictures: int = 10_000
    width: float = 16.0
    masks: int = 32
    kernel: int = 5
    teacher_epochs: int = 5
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 3e-3
    seconds: float = 3.0


def setting(options: Options) -> Setting:
    """``cpu``: CIFAR-10, minutes. ``full``: High-10 as in the paper, for whoever has it, on a GPU."""
    if options.preset == "full":
        return Setting("high10", (32, 64, 96, 128, 160, 224), 0, 64.0, 256, 7, teacher_epochs=60, epochs=60)
    return Setting()


def train_size(size: int, task: Build, what: Setting, options: Options) -> dict[str, list[Trained]]:
    """Teachers of all seeds at one size, then their students."""
    folder = options.runs / "fig4" / f"{what.data}-{what.pictures or 'all'}"
    plain = RunConfig(
        data=what.data,
        data_dir=str(options.data_dir or ""),
        size=size,
        width=what.width,
        batch_size=what.batch_size,
        learning_rate=what.learning_rate,
        device=options.device,
        report_every=0,
        checkpoint_every=0,
    )
    teachers = {
        f"{size}-{TEACHER}-{seed}": replace(plain, network="alexnet32", epochs=what.teacher_epochs, seed=seed)
        for seed in options.seed_list
    }
    found = {TEACHER: list(trained(teachers, folder, options.jobs, task).values())}
    data = task(next(iter(teachers.values()))).data
    for readout in READOUTS:
        built = design(size, readout, _channels(data), data.classes, what)
        student = replace(plain, student=built, epochs=what.epochs)
        students = {
            f"{size}-{readout}-{each.config.seed}": replace(
                student, seed=each.config.seed, teacher=str(each.folder)
            )
            for each in found[TEACHER]
        }
        found[readout] = list(trained(students, folder, options.jobs, task).values())
    return found


def design(size: int, readout: str, inputs: int, classes: int, what: Setting) -> StudentDesign:
    """One bank, and an odd stop that passes half of the frequencies each way; a pixel for each sample."""
    stop = size // 2 + 1 - size // 2 % 2
    return StudentDesign(
        readout,
        (size, size),
        channels=(inputs, what.masks),
        kernel_sizes=(what.kernel,),
        stops=(stop,),
        pixels=stop,
        classes=classes,
    )


def task_of_run(config: RunConfig, what: Setting) -> Task:
    """Data, network and teacher of a run; what is no student is a small CNN."""
    data = pictures(what.data, config.data_dir, config.size, what.pictures)
    if config.network != "student":
        return Task(data, _cnn(data, config))
    teacher = _cnn(data, config)
    teacher.load_state_dict(read_state(Path(config.teacher) / MODEL_FILE).tensors)
    return Task(data, SCLC(config.student, config.seed), teacher.eval())


@cache
def pictures(name: str, folder: str, size: int, count: int) -> ImageData | PictureData:
    """A data set at one size, with the first ``count`` training pictures; those of High-10 stay files."""
    if name == "high10":
        return datasets.load(name, folder or None, size)
    whole = _whole(name, folder)
    first = torch.arange(min(count or whole.train.length, whole.train.length))
    parts = (whole.train.taken(first), whole.validation, whole.test)
    train, validation, test = (_resized(split, size) for split in parts)
    return replace(whole, train=train, validation=validation, test=test)


@cache
def _whole(name: str, folder: str) -> ImageData:
    return load(name, folder or None)


def _resized(split: Split, size: int) -> Split:
    if split.images.shape[-1] == size:
        return split
    small = interpolate(split.images, size=(size, size), mode="bilinear", antialias=True)
    return split._replace(images=small)


def _cnn(data: ImageData | PictureData, config: RunConfig) -> SmallCNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return SmallCNN(_channels(data), data.classes, int(config.width))


def _channels(data: ImageData | PictureData) -> int:
    return int(data.train.taken(torch.zeros(1, dtype=torch.long)).images.shape[1])


def times_of(
    found: dict[str, list[Trained]], task: Build, what: Setting, options: Options
) -> dict[str, float]:
    """Median time of one picture [s]: networks of the first seed as they are deployed, and the estimate."""
    networks: dict[str, nn.Module] = {TEACHER: found[TEACHER][0].network(task)}
    for readout in READOUTS:
        student: Any = found[readout][0].network(task)
        networks[readout] = deployed(student.collapse())
    config = found[TEACHER][0].config
    picture = torch.rand(1, _channels(task(config).data), config.size, config.size).to(options.device)
    calls = {
        name: waiting(partial(network.to(options.device), picture), options.device)
        for name, network in networks.items()
    }
    with one_thread(), torch.inference_mode():
        samples = take_turns(calls, what.seconds, clock_of(options.device), turn=2e-4)
    found_times = {name: statistics.median(values) for name, values in samples.items()}
    return {**found_times, OPTICAL: optical(config.size)[OPTICAL]}
