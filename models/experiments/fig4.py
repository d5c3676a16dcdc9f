"""Fig. 4: accuracy and time of a picture against its resolution, for teacher, SCLC and OSCLC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from optics4f.plotting.experiments import Curve, accuracies_against_size, times_against_size

from ..processes import THREADS
from ..runconfig import RunConfig
from ..tables import Rows
from . import resolution
from .complexity import OPTICAL
from .record import Draw, Options, Report
from .resolution import NETWORKS, TEACHER, Setting, task_of_run, times_of, train_size
from .runs import look_once, summarise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER_AT_80 = {
    "AlexNet": {"input": 64, "time [s]": 25e-3},
    "SCLC + KD": {"input": 128, "time [s]": 5e-3},
    "OSCLC": {"input": 128, "time [s]": 1e-3},
}
"""What the paper's text says of its figure: the inputs at which the accuracy is about 80 %, and the times."""

EQ_8 = ("alpha", "temperature", "scale_by_temperature")
"""What distillation has by default; nothing of it was chosen."""

Scores = Mapping[int, Mapping[str, Sequence[float]]]
Seconds = Mapping[int, Mapping[str, float]]


def run(options: Options) -> tuple[Report, Draw]:
    """Train what has not been trained, look at the test split, time the networks."""
    what = resolution.setting(options)
    task = partial(task_of_run, what=what)
    runs = {size: train_size(size, task, what, options) for size in what.sizes}
    tests = {size: task(runs[size][TEACHER][0].config).data.test for size in what.sizes}
    scores = {
        size: {name: look_once(found[name], tests[size], task) for name in NETWORKS}
        for size, found in runs.items()
    }
    seconds = {size: times_of(found, task, what, options) for size, found in runs.items()}
    report = Report(
        name="fig4",
        title="Fig. 4: accuracy and time against the resolution of the picture",
        command=options.command("fig4"),
        preset=options.preset,
        seeds=options.seed_list,
        settings={
            **asdict(what),
            "alpha": RunConfig.alpha,
            "temperature": RunConfig.temperature,
            "threads": THREADS,
        },
        tables=(_accuracies(scores), _times(seconds), _paper()),
        data={
            "paper": {"data": "High-10", "at about 80 % accuracy": PAPER_AT_80},
            "test_accuracy": {str(size): row for size, row in scores.items()},
            "validation_accuracy": {
                str(size): {name: [each.progress.best_accuracy for each in row[name]] for name in NETWORKS}
                for size, row in runs.items()
            },
            "test_pictures": next(iter(tests.values())).length,
            "seconds": {str(size): row for size, row in seconds.items()},
        },
        notes=_notes(what),
        device=options.device,
    )

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        seeds = "1 seed" if options.seeds == 1 else f"{options.seeds} seeds"
        accuracies_against_size(left, _score_curves(scores), f"{what.data}, {seeds}")
        times_against_size(right, _time_curves(seconds), title="one picture")

    return report, draw


def _accuracies(scores: Scores) -> Rows:
    names = {TEACHER: "teacher", "strict": "strict, distilled", "detected": "detected, distilled"}
    rows = [(str(n), *(summarise(row[name]).percent() for name in NETWORKS)) for n, row in scores.items()]
    return Rows("Test accuracy, mean ± standard error over seeds", ("side", *names.values()), rows)


def _times(seconds: Seconds) -> Rows:
    names = (*NETWORKS, OPTICAL)
    rows = [(str(n), *(f"{1e3 * row[name]:.3g}" for name in names)) for n, row in seconds.items()]
    columns = ("side", "teacher", "strict, deployed", "detected, deployed", f"{OPTICAL} (estimated)")
    return Rows("Time of one picture [ms]", columns, rows)


def _paper() -> Rows:
    rows = [
        (name, str(found["input"]), f"{1e3 * found['time [s]']:g} ms") for name, found in PAPER_AT_80.items()
    ]
    return Rows("The paper, High-10, at about 80 % accuracy", ("network", "side", "time"), rows)


def _score_curves(scores: Scores) -> list[Curve]:
    curves = []
    for name in NETWORKS:
        found = [summarise(row[name]) for row in scores.values()]
        errors = [each.error for each in found if each.error is not None]
        curves.append(Curve(name, list(scores), [each.mean for each in found], errors))
    return curves


def _time_curves(seconds: Seconds) -> list[Curve]:
    return [
        Curve(name, list(seconds), [row[name] for row in seconds.values()], estimated=name == OPTICAL)
        for name in (*NETWORKS, OPTICAL)
    ]


def _notes(what: Setting) -> tuple[str, ...]:
    data = (
        "The paper's data set, High-10, is brought to each size."
        if what.data == "high10"
        else f"The paper's data set is High-10, with larger pictures; this is {what.data}, made smaller."
    )
    some = f"the first {what.pictures} training pictures" if what.pictures else "all training pictures"
    return (
        f"{data} Networks saw {some}, {what.teacher_epochs} epochs for a teacher and {what.epochs} for a "
        "student: a comparison of sizes, not the best accuracy of either.",
        "Teachers are small CNNs of two convolutions, since AlexNet cannot take the smaller pictures; at "
        "side 8 the second leaves 2x2 samples. A student has one bank of "
        f"{what.masks} masks for each colour, a stop that passes half of the frequencies each way and one "
        "fully connected layer, and learns from the teacher of its size and seed.",
        "The epoch is chosen on the validation split; the test split is looked at once, at the end. Nothing "
        "else was chosen.",
        "Students are timed as models.fast.deployed makes them, in the process of the teacher, which takes "
        "turns with them. The optical time is the preset paper-2022 with the picture's pixels on the link: "
        "an estimate.",
    )
