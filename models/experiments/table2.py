"""Table II on CIFAR-10: teacher, students by readout, and the AlexNet that squares; labels or a teacher."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch

from optics4f.grid import Grid
from optics4f.plotting.accuracies import Bar, accuracies_of_networks
from optics4f.transduction.measurement import take_turns

from ..data import Split
from ..fast import deployed
from ..linear_fit import best_linear
from ..processes import one_thread
from ..sclc import SCLC
from ..tables import Rows
from . import classification as networks
from .classification import DISTILLED, LABELS, TEACHER
from .complexity import OPTICAL, clock_of, optical
from .record import Draw, Options, Report
from .runs import Trained, gain, look_once, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUDENTS = ("strict", "detected", "paper_code", "square")
LONGER = ("detected_longer", "paper_code_longer")
NAMES = {
    TEACHER: "teacher, AlexNet",
    "linear": "one layer on the pixels",
    "best linear": "best linear one on what passes",
    "strict": "strict",
    "detected": "detected",
    "detected_longer": "detected, larger and longer",
    "paper_code": "paper_code",
    "paper_code_longer": "paper_code, larger and longer",
    "square": "AlexNet that squares",
}
PAPER = {
    TEACHER: {LABELS: 0.8509},
    "paper_code": {LABELS: 0.6545, DISTILLED: 0.8080},
}
"""CIFAR-10 in the paper's Table II. What it calls SCLC is, in its published code, our ``paper_code``."""

Runs = Mapping[str, Mapping[str, list[Trained]]]
Scores = Mapping[str, Mapping[str, list[float]]]


class Times(NamedTuple):
    """Medians [s] of one picture."""

    simulated: Mapping[str, float]
    optical: float


def run(options: Options) -> tuple[Report, Draw]:
    """Train what has not been trained, look at the test split, time the networks."""
    runs = trainings(options)
    plan = networks.schedule(options)
    test = networks.pictures(str(options.data_dir or ""), plan.side).test
    scores = {
        name: {lesson: look_once(found, test, networks.task) for lesson, found in row.items()}
        for name, row in runs.items()
    }
    scores["best linear"] = {LABELS: [_best_linear(runs, test)]}
    scores = {name: scores[name] for name in NAMES}
    times = _times(runs, plan)
    report = Report(
        name="table2",
        title="Table II: CIFAR-10, by readout, with and without distillation",
        command=options.command("table2"),
        preset=options.preset,
        seeds=options.seed_list,
        settings=asdict(plan),
        tables=(_accuracies(scores), _seconds(times, plan.side)),
        data={
            "paper": PAPER,
            "test_accuracy": scores,
            "validation_accuracy": {
                name: {
                    lesson: [each.progress.best_accuracy for each in found] for lesson, found in row.items()
                }
                for name, row in runs.items()
            },
            "test_pictures": test.length,
            "seconds": {**times.simulated, OPTICAL: times.optical},
        },
        notes=_notes(options),
        device=options.device,
    )

    def draw(figure: Figure) -> None:
        accuracies_of_networks(figure.subplots(), _bars(scores), "CIFAR-10, test split")

    return report, draw


def trainings(options: Options) -> dict[str, dict[str, list[Trained]]]:
    """All runs, by network and by what taught them; those of the teacher first."""
    teachers = networks.teacher_runs(options)
    found = {
        TEACHER: {LABELS: teachers},
        "linear": {LABELS: networks.student_runs("linear", LABELS, teachers[0], options)},
    }
    for name in STUDENTS:
        found[name] = {
            lesson: networks.student_runs(name, lesson, teachers[0], options) for lesson in networks.LESSONS
        }
    for name in LONGER:
        found[name] = {DISTILLED: networks.student_runs(name, DISTILLED, teachers[0], options)}
    return found


def _best_linear(runs: Runs, test: Split) -> float:
    """Of all linear classifiers on what passes the stop of ``strict``."""
    config = runs["strict"][LABELS][0].config
    split = networks.task(config).data.train
    grid = Grid(config.student.shape, config.student.spacing)
    network = best_linear(split.taken(torch.arange(split.length)), grid, config.student.stops[-1])
    with torch.inference_mode():
        return float((network(test.images).argmax(1) == test.labels).double().mean())


def _accuracies(scores: Scores) -> Rows:
    rows = []
    for name, row in scores.items():
        paper = PAPER.get(name, {})
        ours = (summarise(row[lesson]).percent() if lesson in row else "-" for lesson in networks.LESSONS)
        both = all(lesson in row for lesson in networks.LESSONS)
        change = gain(row[DISTILLED], row[LABELS]).points() if both else "-"
        theirs = (f"{100 * paper[lesson]:.2f} %" if lesson in paper else "-" for lesson in networks.LESSONS)
        rows.append((NAMES[name], *ours, change, *theirs))
    columns = ("network", "labels alone", "distilled", "gain", "paper", "paper, KD")
    return Rows("Test accuracy, mean ± standard error over seeds", columns, rows)


def _seconds(times: Times, side: int) -> Rows:
    teacher = times.simulated[TEACHER]
    rows = [
        (NAMES[name], f"{1e3 * seconds:.3g}", f"{teacher / seconds:.1f}")
        for name, seconds in times.simulated.items()
    ]
    rows.append(("optical, estimated", f"{1e3 * times.optical:.3g}", f"{teacher / times.optical:.1f}"))
    return Rows(
        f"One picture of {side}x{side} [ms], one thread", ("network", "time", "teacher's over it"), rows
    )


def _times(runs: Runs, plan: networks.Schedule) -> Times:
    """Networks of the first seed, in the form that is fastest for each, taking turns."""
    quickest: dict[str, Any] = {
        name: runs[name][LABELS][0].network(networks.task) for name in (TEACHER, "paper_code", "detected")
    }
    strict = cast(SCLC, runs["strict"][LABELS][0].network(networks.task))
    quickest["strict"] = deployed(strict.collapse())
    picture = torch.rand(1, 3, plan.side, plan.side)
    calls = {name: partial(network.to("cpu"), picture) for name, network in quickest.items()}
    with one_thread(), torch.inference_mode():
        samples = take_turns(calls, plan.seconds, clock_of("cpu"), turn=2e-4)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    return Times(medians, optical(plan.side)[OPTICAL])


def _bars(scores: Scores) -> list[Bar]:
    bars = []
    for name, row in scores.items():
        for lesson, found in row.items():
            score = summarise(found)
            paper = PAPER.get(name, {}).get(lesson)
            bars.append(Bar(NAMES[name], lesson, score.mean, score.error or 0.0, paper))
    return bars


def _notes(options: Options) -> tuple[str, ...]:
    plan = networks.schedule(options)
    size = f"{plan.side}x{plan.side}"
    few = ", ".join(NAMES[name] for name in plan.one_seed if name in NAMES)
    alone = f" Trained with the first seed alone: {few}." if few and options.seeds > 1 else ""
    return (
        f"Pictures are those of CIFAR-10 at {size}; the paper enlarges them to 224x224. A tenth of the "
        "training pictures is the validation split, on which epochs and settings were chosen; the test split "
        f"is looked at once, at the end.{alone}",
        "strict is affine up to its logits: whatever trains it, it is one linear layer on the frequencies "
        "that pass its stop. The best linear one on just these is the minimum of a convex problem.",
        f"detected has one bank of {plan.masks} masks per colour (7x7 kernels), |E|^2 on 8x8 pixels, a "
        "fourth root in the camera, and one fully connected layer. One more display, always white, is the "
        "reference beam that gives each channel a bias before the square. The larger one has "
        f"{plan.masks_longer} masks per colour and {plan.detected_longer} epochs instead of {plan.detected}.",
        "paper_code has a ReLU behind every bank but the last, each with an optical-to-electronic conversion "
        "of its own, and three fully connected layers, as the published code has; channels "
        f"{'-'.join(map(str, plan.paper_channels))}, stops {'-'.join(map(str, plan.paper_stops))}. The "
        f"larger one has channels {'-'.join(map(str, plan.channels_longer))} and {plan.paper_code_longer} "
        f"epochs instead of {plan.paper_code}. The paper's rows stand beside the smaller.",
        "The AlexNet that squares is normalised behind every convolution, without which its square diverges.",
        "All students learn from the teacher of the first seed (alpha 0.3 on the labels, T 3, times T^2). "
        "The gain is taken seed by seed: both runs of a seed start alike and see the same pictures.",
        f"The optical time is the preset paper-2022 with {size} pixels on the link: an estimate.",
    )
