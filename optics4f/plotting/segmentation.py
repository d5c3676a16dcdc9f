"""Pictures of segmentation: scores of networks, and what they make of single frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.patches import Patch

from .common import INK, QUIET, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

KINDS = ("pixel accuracy", "mean IoU")


class Frames(NamedTuple):
    """Frames of one task, and what is seen in them.

    Attributes:
        title: Of the task.
        pictures: In [0, 1], shape (N, 3, H, W).
        seen: Classes of the pixels by column, each (N, H, W): the truth first, then the networks.
        names: Of the classes.
        colours: Of the classes, 0 to 255.
        ignore: Class index of pixels that do not count; they are black.
    """

    title: str
    pictures: Tensor
    seen: Mapping[str, Tensor]
    names: Sequence[str]
    colours: Sequence[tuple[int, int, int]]
    ignore: int | None = None


def draw_scores(
    figure: Figure,
    scores: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
    floors: Mapping[str, tuple[float, float]],
) -> None:
    """Pixel accuracy and mean IoU of networks: a row for each task, every seed a dot, the mean a circle.

    Args:
        figure: Drawn on.
        scores: For each task and network the accuracies and the mean IoUs of its seeds, in [0, 1].
        floors: For each task both scores of a network that names one class everywhere; a line.
    """
    lines = max(len(networks) for networks in scores.values())
    figure.set_size_inches(11, 0.6 + (0.8 + 0.27 * lines) * len(scores))
    panels = figure.subplots(len(scores), 2, squeeze=False)
    for row, (task, networks) in enumerate(scores.items()):
        for column, kind in enumerate(KINDS):
            axes = panels[row, column]
            for line, (name, found) in enumerate(networks.items()):
                values = [100 * value for value in found[column]]
                colour = INK if "skips" not in name else ("#2980b9" if "KD" in name else "#c0392b")
                colour = QUIET if name.startswith("back end") else colour
                axes.plot(np.mean(values), line, "o", color=colour, markersize=7)
                axes.plot(values, [line] * len(values), "|", color=colour, markersize=11)
            axes.axvline(100 * floors[task][column], color=QUIET, linestyle=":")
            axes.set(xlabel=f"{kind} [%]", yticks=range(len(networks)), title=task if column == 0 else "")
            axes.set_yticklabels(list(networks) if column == 0 else [], fontsize=8)
            axes.grid(axis="x", color=QUIET, alpha=0.3)
            axes.invert_yaxis()
            tidy(axes)
    figure.supxlabel("dotted: the most frequent class everywhere", fontsize=8, color=INK)


def draw_frames(figure: Figure, tasks: Sequence[Frames]) -> None:
    """Frames in rows, row 0 at the top: the picture, the truth, and the classes that each network names.

    Args:
        figure: Drawn on.
        tasks: One after the other, from the top; all with the same columns.
    """
    columns = 1 + len(tasks[0].seen)
    lines = [(task, index) for task in tasks for index in range(len(task.pictures))]
    height, width = tasks[0].pictures.shape[-2:]
    cell = 1.35
    figure.set_size_inches(cell * columns, (cell * height / width + 0.04) * len(lines) + 0.9)
    figure.set_layout_engine("constrained", h_pad=0.02, w_pad=0.02, hspace=0.02, wspace=0.01)
    panels = figure.subplots(len(lines), columns, squeeze=False)
    for line, (task, index) in enumerate(lines):
        images = [task.pictures[index].movedim(0, -1).cpu().numpy()]
        images += [coloured(classes[index], task.colours, task.ignore) for classes in task.seen.values()]
        for axes, image, name in zip(panels[line], images, ("picture", *task.seen), strict=True):
            axes.imshow(image, vmin=0, vmax=1, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if line == 0:
                axes.set_title(name.replace(", ", "\n"), fontsize=8, color=INK)
        if index == 0:
            panels[line, 0].set_ylabel(task.title, fontsize=8, color=INK, loc="top")
    handles = [
        Patch(color=(colour[0] / 255, colour[1] / 255, colour[2] / 255), label=name)
        for task in tasks
        for name, colour in zip(task.names, task.colours, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)


def coloured(
    classes: Tensor, colours: Sequence[tuple[int, int, int]], ignore: int | None = None
) -> np.ndarray:
    """Classes of pixels (H, W) as a picture (H, W, 3) in [0, 1]; pixels that do not count are black.

    Raises:
        ValueError: If a pixel has a class without a colour.
    """
    values = classes.detach().cpu().numpy()
    counted = values != ignore if ignore is not None else np.ones_like(values, dtype=bool)
    if counted.any() and not 0 <= values[counted].min() <= values[counted].max() < len(colours):
        got = f"{values[counted].min()} to {values[counted].max()}"
        raise ValueError(f"coloured: expected classes 0 to {len(colours) - 1}, got {got}.")
    picture = np.zeros((*values.shape, 3))
    picture[counted] = np.array(colours, dtype=float)[values[counted]] / 255
    return picture
