"""Networks of CIFAR-10 for table2 and table3: a teacher, and students by readout, with and without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from ..data import ImageData, load
from ..lesson import Task, build_network, load_teacher
from ..runconfig import RunConfig
from ..sclc import StudentDesign
from .record import Options
from .runs import Trained, trained

TEACHER = "teacher"
LABELS, DISTILLED = "labels", "distilled"
LESSONS = (LABELS, DISTILLED)


@dataclass(frozen=True)
class Schedule:
    """How long everything is trained.

    Attributes:
        side: Of the pictures.
        teacher_network: What teaches.
        teacher_rate: Its learning rate.
        width: Of the teacher.
        teacher: Epochs of the teacher.
        square: Epochs of the AlexNet that squares, a quarter as wide as the paper's.
        strict: Epochs of the strict student.
        detected: Epochs of the detected one.
        masks: Output channels of its bank.
        detected_longer: Epochs of a larger one.
        masks_longer: Output channels of that one's bank.
        paper_code: Epochs of the published one.
        paper_code_longer: Epochs of a wider one.
        pooling: Epochs of the pair that compares its poolings.
        paper_channels: Its channels.
        channels_longer: Those of the wider one.
        paper_stops: Its stops.
        stride: Of the samples at which the detected ones are trained.
        seconds: For the time of each network.
        views: Ways in which each picture is moved and mirrored; the teacher is asked once for each.
        one_seed: Networks of which the first seed alone is trained.
    """

    side: int = 32
    teacher_network: str = "alexnet32"
    teacher_rate: float = 5e-3
    width: float = 0.5
    teacher: int = 22
    square: int = 8
    strict: int = 6
    detected: int = 6
    masks: int = 160
    detected_longer: int = 20
    masks_longer: int = 512
    paper_code: int = 8
    paper_code_longer: int = 28
    pooling: int = 2
    paper_channels: tuple[int, ...] = (3, 16, 32, 64, 128, 128)
    channels_longer: tuple[int, ...] = (3, 32, 64, 128, 128, 128)
    paper_stops: tuple[int, ...] = (17, 13, 9, 7, 7)
    stride: int = 2
    seconds: float = 5.0
    views: int = 10
    one_seed: tuple[str, ...] = (
        TEACHER,
        "detected_longer",
        "strict_published",
        "paper_code",
        "paper_code_longer",
        "pooled_spectral",
        "pooled_max",
        "square",
    )


def schedule(options: Options) -> Schedule:
    """``cpu``: hours on two cores. ``full``: 224x224, the published channels, long schedules, on a GPU."""
    if options.preset == "cpu":
        return Schedule()
    wide = (3, 32, 64, 128, 256, 256)
    return Schedule(
        side=224,
        teacher_network="alexnet",
        teacher_rate=3e-4,
        width=1.0,
        teacher=120,
        square=120,
        strict=60,
        detected=100,
        masks=512,
        detected_longer=300,
        masks_longer=1024,
        paper_code=100,
        paper_code_longer=300,
        pooling=100,
        paper_channels=wide,
        channels_longer=wide,
        paper_stops=(113, 55, 27, 13, 13),
        stride=4,
        views=50,
        one_seed=(),
    )


@cache
def pictures(folder: str, side: int = 32) -> ImageData:
    """CIFAR-10, read once; enlarged to 224x224 all pictures take 36 GB."""
    return load("cifar10", folder or None, side)


def task(config: RunConfig) -> Task:
    """Data, network and teacher of a run; the data are read once for all."""
    data = pictures(config.data_dir, config.size)
    teacher = None if config.teacher == "none" else load_teacher(config)
    return Task(data, build_network(config, data.train.images.shape[1], data.classes), teacher)


def teacher_runs(options: Options) -> list[Trained]:
    """The teachers, one per seed."""
    plan = schedule(options)
    config = replace(
        _plain(options),
        network=plan.teacher_network,
        width=plan.width,
        autocast=True,
        epochs=plan.teacher,
        batch_size=128,
        learning_rate=plan.teacher_rate,
        weight_decay=0.02,
    )
    runs = {f"{TEACHER}-{seed}": replace(config, seed=seed) for seed in _seeds(TEACHER, options)}
    return list(trained(runs, options.runs / "cifar10", options.jobs, task).values())


def student_runs(name: str, lesson: str, teacher: Trained, options: Options) -> list[Trained]:
    """The runs of one network, one per seed; all distilled ones learn from one teacher."""
    config = networks(options)[name]
    if lesson == DISTILLED:
        config = replace(config, teacher=str(teacher.folder))
    runs = {f"{name}-{lesson}-{seed}": replace(config, seed=seed) for seed in _seeds(name, options)}
    return list(trained(runs, options.runs / "cifar10", options.jobs, task).values())


def networks(options: Options) -> dict[str, RunConfig]:
    """How each network but the teacher is trained."""
    plan, plain = schedule(options), _student(options)
    return {
        "strict": strict(options, "one"),
        "detected": detected(options, plan.detected, plan.masks),
        "detected_longer": detected(options, plan.detected_longer, plan.masks_longer),
        "paper_code": paper_code(options, "spectral", plan.paper_code),
        "paper_code_longer": paper_code(options, "spectral", plan.paper_code_longer, plan.channels_longer),
        "pooled_spectral": paper_code(options, "spectral", plan.pooling),
        "pooled_max": paper_code(options, "max", plan.pooling),
        "linear": replace(plain, network="linear", epochs=plan.strict, shift=0, views=2, learning_rate=2e-4),
        "strict_published": strict(options, "published"),
        "square": replace(
            plain,
            network="square_alexnet32",
            width=plan.width / 2,
            autocast=True,
            epochs=plan.square,
            views=plan.views,
            weight_decay=0.02,
        ),
    }


def strict(options: Options, back_end: str) -> RunConfig:
    """One bank with a stop of 15 x 15, read as a field, and one layer behind it or the published three."""
    plan = schedule(options)
    student = StudentDesign(
        "strict",
        shape=(plan.side, plan.side),
        channels=(3, 6),
        kernel_sizes=(5,),
        stops=(15,),
        pixels=15,
        back_end=back_end,
    )
    return replace(
        _student(options),
        student=student,
        path="collapse",
        epochs=plan.strict,
        shift=0,  # it knows things by their place
        views=2,
        learning_rate=5e-4,
        back_end_rate=2e-4,
        weight_decay=1e-2,
    )


def detected(options: Options, epochs: int, masks: int) -> RunConfig:
    """One bank of small complex kernels and a reference beam behind the square law, one layer behind it."""
    plan = schedule(options)
    student = StudentDesign(
        "detected",
        shape=(plan.side, plan.side),
        channels=(3, masks),
        kernel_sizes=(7,),
        stops=(plan.side,),
        pixels=8,
        companding="fourth_root",
        reference=True,
        complex_kernels=True,
    )
    return replace(
        _student(options),
        student=student,
        path="patches",
        components=64,
        stride=plan.stride,
        epochs=epochs,
        views=plan.views,
        learning_rate=6e-3,
        back_end_rate=5e-4,
        weight_decay=1e-3,
    )


def paper_code(
    options: Options, pooling: str, epochs: int, channels: tuple[int, ...] | None = None
) -> RunConfig:
    """The student of the published code: a ReLU behind each bank but the last, three layers behind them."""
    plan = schedule(options)
    student = StudentDesign(
        "paper_code",
        shape=(plan.side, plan.side),
        channels=channels or plan.paper_channels,
        kernel_sizes=(3,) * (len(plan.paper_channels) - 1),
        stops=plan.paper_stops,
        pixels=6,
        pooling=pooling,
        back_end="published",
    )
    return replace(
        _student(options),
        student=student,
        epochs=epochs,
        views=plan.views,
        learning_rate=2e-3,
    )


def _student(options: Options) -> RunConfig:
    return replace(_plain(options), alpha=0.3, temperature=3.0)


def _plain(options: Options) -> RunConfig:
    return RunConfig(
        data="cifar10",
        data_dir=str(options.data_dir or ""),
        size=schedule(options).side,
        batch_size=100,
        shift=4,
        flip=True,
        device=options.device,
        report_every=0,
        checkpoint_every=0,
    )


def _seeds(name: str, options: Options) -> tuple[int, ...]:
    return options.seed_list[:1] if name in schedule(options).one_seed else options.seed_list
