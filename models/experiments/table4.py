"""Table IV: segmentation by a U-Net and by its optical counterparts, on CamVid."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from optics4f.plotting.segmentation import draw_scores

from ..data import ImageData
from ..scores import confusion, intersection_over_union, judged, majority, mean_iou, pixel_accuracy
from ..tables import Rows
from .rates import BITS, LINK, Rate, rates
from .record import Options, Report
from .runs import Trained, gain, summarise
from .segmentation import (
    BACK_END,
    SETTINGS,
    SKIPS,
    TASKS,
    TITLES,
    UNET,
    Row,
    builder,
    data_of,
    rows,
    trained_rows,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Accuracy [%] and frames per second of Table IV. Its cars are Carvana, its many classes VOC2012.
PAPER = {
    "car": {"data": "Carvana", UNET: (98.02, 7.36), "OSCLC": (97.1, 12.7)},
    "all": {"data": "VOC2012", UNET: (75.51, 7.36), "OSCLC": (62.21, 12.7)},
}
FACES = {"data": "Face Recognition", UNET: (95.58, 9.38), "OSCLC": (91.39, 15.6)}
SECONDS = 20.0  # for the frames per second of one task


class Score(NamedTuple):
    """What the test split says of one network: numbers of every seed."""

    accuracy: list[float]
    iou: list[float]
    classes: list[list[float]]


Found = Mapping[Row, Score]


def run(options: Options) -> tuple[Report, Callable[[Figure], None]]:
    """Train what is not trained, look at the test split once, and measure frames per second."""
    runs = trained_rows(options)
    scores = {row: _score(row, found, options) for row, found in runs.items()}
    speeds = {task: _speeds(task, runs, options) for task in TASKS}
    trivial = {task: _majority(_data(task, options)) for task in TASKS}
    report = Report(
        name="table4",
        title="Table IV: segmentation of CamVid, U-Net against its optical counterparts",
        command=options.command("table4"),
        preset=options.preset,
        seeds=options.seed_list,
        settings=asdict(SETTINGS[options.preset]),
        tables=tuple(_tables(scores, speeds, trivial)),
        data=_record(scores, speeds, trivial, runs),
        notes=_notes(options, speeds),
        device=options.device,
    )
    lines = {
        TITLES[task]: {row.full_name: (scores[row].accuracy, scores[row].iou) for row in rows(task)}
        for task in TASKS
    }
    floors = {TITLES[task]: trivial[task][1:] for task in TASKS}
    return report, lambda figure: draw_scores(figure, lines, floors)


def _data(task: str, options: Options) -> ImageData:
    return data_of(task, SETTINGS[options.preset].size, options.data_dir)


def _score(row: Row, found: list[Trained], options: Options) -> Score:
    """Each seed on the test split: the last look."""
    data = _data(row.task, options)
    test, build = data.test.to(options.device), builder(row, SETTINGS[options.preset], options)
    counts = [judged(run.network(build).to(options.device), test, data.classes, data.ignore) for run in found]
    classes = [intersection_over_union(count).tolist() for count in counts]
    return Score([pixel_accuracy(c) for c in counts], [mean_iou(c) for c in counts], classes)


def _majority(data: ImageData) -> tuple[str, float, float]:
    """The most frequent class of the training split, named everywhere: its accuracy and mean IoU."""
    found = majority(data.train.labels, data.classes, data.ignore)
    labels = data.test.labels
    counts = confusion(torch.full_like(labels, found), labels, data.classes, data.ignore)
    return data.names[found], pixel_accuracy(counts), mean_iou(counts)


def _speeds(task: str, runs: Mapping[Row, list[Trained]], options: Options) -> dict[str, Rate]:
    """Time of a picture for the networks that differ in more than their numbers."""
    setting = SETTINGS[options.preset]
    networks = {
        row.label: runs[row][0].network(builder(row, setting, options)).to(options.device)
        for row in rows(task)
        if not row.distilled
    }
    return rates(networks, setting.shape, SECONDS)


def _tables(
    scores: Found, speeds: Mapping[str, dict[str, Rate]], trivial: Mapping[str, tuple[str, float, float]]
) -> list[Rows]:
    tables = []
    for task in TASKS:
        columns = ("network", "skips", "pixel accuracy", "mean IoU", "frames/s here", "frames/s, optical")
        paper = f"paper, {PAPER[task]['data']}"
        lines = [_line(row, scores[row], speeds[task], task) for row in rows(task)]
        name, accuracy, iou = trivial[task]
        lines.append((f"{name} everywhere", "", f"{100 * accuracy:.2f} %", f"{100 * iou:.2f} %", "", "", ""))
        tables.append(Rows(TITLES[task], (*columns, paper), lines))
    return [*tables, _gains(scores), _costs(speeds["all"])]


def _line(row: Row, score: Score, speeds: dict[str, Rate], task: str) -> tuple[str, ...]:
    rate = speeds[_timed(row).label]
    optical = "" if rate.optical is None else f"{1 / rate.optical:.0f}"
    return (
        row.name,
        "" if row.network == UNET else SKIPS[row.skips],
        summarise(score.accuracy).percent(),
        summarise(score.iou).percent(),
        f"{1 / rate.seconds:.0f}",
        optical,
        _paper(row, task),
    )


def _timed(row: Row) -> Row:
    """The row whose time counts for this one: distillation changes numbers, not the work."""
    return Row(row.task, row.network, row.skips)


def _paper(row: Row, task: str) -> str:
    """Beside the student that is nearest to the paper's, which was distilled."""
    key = UNET if row.network == UNET else "OSCLC"
    if row.network != UNET and not (row.network == "detected" and row.distilled and row.skips == "detect"):
        return ""
    accuracy, rate = PAPER[task][key]
    return f"{accuracy} %, {rate} frames/s"


def _gains(scores: Found) -> Rows:
    """What distillation and what the optics add, seed by seed."""
    lines = []
    for row in (row for task in TASKS for row in rows(task) if row.is_optical):
        base = Row(row.task, BACK_END, row.skips)
        cells = [row.full_name, TITLES[row.task]]
        for before in (_timed(row) if row.distilled else None, base):
            cells += [
                "" if before is None else gain(after, first).points()
                for after, first in _pairs(scores, row, before)
            ]
        lines.append(tuple(cells))
    columns = (
        *("student", "task", "KD: accuracy", "KD: mean IoU"),
        *("optics over back end only: accuracy", "optics over back end only: mean IoU"),
    )
    return Rows("What distillation and the optics add", columns, lines)


def _pairs(scores: Found, row: Row, before: Row | None) -> list[tuple[list[float], list[float]]]:
    """Scores of a network and of another with the same seeds, which may be fewer than the other has."""
    own, other = scores[row], scores[row if before is None else before]
    both = ((own.accuracy, other.accuracy), (own.iou, other.iou))
    return [(after, first[: len(after)]) for after, first in both]


def _costs(speeds: dict[str, Rate]) -> Rows:
    """What skip connections cost a bench: sensors, numbers to be read, light for each, and time."""
    lines = []
    for skips, words in SKIPS.items():
        for network in ("strict", "detected"):
            rate = speeds[Row("all", network, skips).label]
            back_end = 1e3 * (rate.back_end or math.nan)
            total = 1e3 * (rate.optical or math.nan)
            link = f"{total - back_end:.3f} ms"
            light = f"{1 / rate.sensors:.0%}"
            lines.append(
                (network, words, str(rate.sensors), str(rate.numbers), light, link, f"{back_end:.2f} ms")
            )
    columns = (
        "student",
        "skips",
        "sensors",
        "numbers per picture",
        "light of each",
        "light and link",
        "back end",
    )
    return Rows("What skip connections cost, all classes", columns, lines)


def _record(
    scores: Found,
    speeds: Mapping[str, dict[str, Rate]],
    trivial: Mapping[str, tuple[str, float, float]],
    runs: Mapping[Row, list[Trained]],
) -> dict[str, Any]:
    networks = [
        {
            **asdict(row),
            "pixel_accuracy": score.accuracy,
            "mean_iou": score.iou,
            "iou_of_classes": [[None if math.isnan(v) else v for v in seed] for seed in score.classes],
            "validation_accuracy": [found.progress.best_accuracy for found in runs[row]],
            "best_epoch": [found.progress.best_epoch for found in runs[row]],
        }
        for row, score in scores.items()
    ]
    keys = ("class", "pixel_accuracy", "mean_iou")
    return {
        "networks": networks,
        "seconds_per_picture": {
            t: {name: rate.to_dict() for name, rate in s.items()} for t, s in speeds.items()
        },
        "majority": {task: dict(zip(keys, found, strict=True)) for task, found in trivial.items()},
        "paper": {"car": PAPER["car"], "faces": FACES, "all": PAPER["all"]},
    }


def _notes(options: Options, speeds: Mapping[str, dict[str, Rate]]) -> tuple[str, ...]:
    height, width = SETTINGS[options.preset].size
    unit = "in processor time of one thread" if options.device == "cpu" else f"on {options.device}"
    return (
        f"CamVid at {width}x{height}, its own 367, 101 and 233 frames for training, validation and test. The "
        "label pictures have eleven classes, to which CamVid's 32 are usually gathered; unlabelled pixels "
        "count in no loss and no score. The pictures are JPEG copies. The epoch is chosen by the pixel "
        "accuracy on the validation split; the test split is looked at once.",
        "The paper's numbers are of other data and larger pictures, and it does not say what became of the "
        "skip connections; its OSCLC stands beside the student nearest to it.",
        f"Frames per second are of batches of one picture, {unit}; 'here' simulates the optics.",
        f"'Optical' is an estimate: time of flight, {BITS} bits for every number of every sensor over the "
        f"paper's link ({LINK}), and the back end as measured here, one after the other. Display and "
        "exposure are left out, as in the paper.",
        "'Back end only' has the same electronics, pixels and training, and no masks: its sensors read the "
        "colours of the picture itself.",
        "alpha, T and the learning rate are the same for all networks and were not searched for. Numbers "
        "with an error are means over all seeds with their standard error; the others are of the first seed.",
    )
