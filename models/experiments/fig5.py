"""Figure 5: frames of CamVid, their truth, and what the networks of table4 make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from optics4f.plotting.segmentation import Frames, draw_frames

from ..class_names import CAMVID_COLOURS, CAMVID_NAMES
from ..data import Split
from ..scores import confusion, mean_iou, pixel_accuracy
from ..tables import Rows
from .record import Options, Report
from .runs import Trained
from .segmentation import SETTINGS, TASKS, TITLES, Row, builder, data_of, rows, trained_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNT = 3
"""Frames of the test split that are shown, of each task."""
COLOURS: dict[str, list[tuple[int, int, int]]] = {
    "car": [(190, 195, 199), (192, 57, 43)],
    "all": [next(iter(CAMVID_COLOURS[name].values())) for name in CAMVID_NAMES],
}


def run(options: Options) -> tuple[Report, Callable[[Figure], None]]:
    """Draw what the first seed of every network of table4 sees; nothing is trained twice."""
    runs = trained_rows(options)
    chosen, drawings, tables, data = shown(_test(next(iter(TASKS)), options).length), [], [], {}
    for task in TASKS:
        frames = _frames(task, runs, options, chosen)
        scores = _scores(frames)
        drawings.append(frames)
        data[task] = {
            name: dict(zip(("pixel_accuracy", "mean_iou"), s, strict=True)) for name, s in scores.items()
        }
        lines = [(name, f"{100 * a:.2f} %", f"{100 * i:.2f} %") for name, (a, i) in scores.items()]
        tables.append(Rows(TITLES[task], ("network", "pixel accuracy", "mean IoU"), lines))
    report = Report(
        name="fig5",
        title="Figure 5: segmentation of CamVid, frame by frame",
        command=options.command("fig5"),
        preset=options.preset,
        seeds=options.seed_list[:1],
        settings=asdict(SETTINGS[options.preset]),
        tables=tuple(tables),
        data={"frames": chosen.tolist(), "scores": data, "paper": None},
        notes=(
            f"Frames {', '.join(map(str, chosen.tolist()))} of the test split, evenly spaced and chosen "
            "before anything was seen; the scores are of these frames alone, table4 has those of all.",
            "The networks are those of table4, seed 0. Black: unlabelled, counted nowhere.",
            "The paper's figure shows cars, faces and VOC2012, and gives no numbers.",
        ),
        device=options.device,
    )
    return report, lambda figure: draw_frames(figure, drawings)


def shown(length: int, count: int = COUNT) -> Tensor:
    """Indices of frames that are evenly spaced: the middle of each of ``count`` equal parts.

    Example:
        >>> shown(12, 3).tolist()
        [2, 6, 10]
    """
    return torch.tensor([(2 * part + 1) * length // (2 * count) for part in range(count)])


def _test(task: str, options: Options) -> Split:
    return data_of(task, SETTINGS[options.preset].size, options.data_dir).test


def _frames(task: str, runs: Mapping[Row, list[Trained]], options: Options, chosen: Tensor) -> Frames:
    setting = SETTINGS[options.preset]
    data = data_of(task, setting.size, options.data_dir)
    frames = data.test.taken(chosen)
    seen = {"truth": frames.labels}
    for row in rows(task):
        network = runs[row][0].network(builder(row, setting, options))
        with torch.no_grad():
            seen[row.full_name] = network(frames.images).argmax(1)
    return Frames(TITLES[task], frames.images, seen, data.names, COLOURS[task], data.ignore)


def _scores(frames: Frames) -> dict[str, tuple[float, float]]:
    """Pixel accuracy and mean IoU of every network over the frames."""
    truth, *networks = frames.seen.items()
    counts = {name: confusion(found, truth[1], len(frames.names), frames.ignore) for name, found in networks}
    return {name: (pixel_accuracy(count), mean_iou(count)) for name, count in counts.items()}
