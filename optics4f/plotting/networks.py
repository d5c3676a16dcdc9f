"""Pictures of networks and their data: accuracies, exposure, contact sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from .common import INK, QUIET, tidy

if TYPE_CHECKING:
    from torch import Tensor


def show_accuracies(scores: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """Mean accuracy of each network with its standard deviation over seeds, and every seed as a dot.

    Args:
        scores: Accuracies in [0, 1] of every seed, by name.
        title: Above the figure.
    """
    figure = Figure(figsize=(8.5, 1.4 + 0.5 * len(scores)), layout="constrained")
    axes = figure.subplots()
    for row, (name, values) in enumerate(scores.items()):
        mean = float(np.mean(values))
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        colour = INK if name == "teacher" else ("#2980b9" if "KD" in name else "#c0392b")
        axes.errorbar(
            100 * mean, row, xerr=100 * spread or None, fmt="o", markersize=9, capsize=5, color=colour
        )
        axes.plot([100 * v for v in values], [row + 0.28] * len(values), "|", color=colour, markersize=8)
        text = f"{100 * mean:.1f}" + (f" ± {100 * spread:.1f} %" if spread else " %")
        axes.text(1.01, row, text, va="center", color=INK, transform=axes.get_yaxis_transform())
    axes.set(yticks=range(len(scores)), yticklabels=list(scores), xlabel="test accuracy [%]", title=title)
    axes.grid(axis="x", color=QUIET, alpha=0.3)
    axes.margins(x=0.08, y=0.1)
    axes.invert_yaxis()
    tidy(axes)
    return figure


def show_exposure(
    exposures: Sequence[float],
    accuracies: Sequence[Sequence[float]],
    ideal: float | None = None,
    latencies: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """Accuracy against exposure time, mean and standard deviation over noise, and the latency that it costs.

    Args:
        exposures: Exposure times [s].
        accuracies: In [0, 1], one for each seed of the noise, for each exposure.
        ideal: Accuracy without noise, in [0, 1]; a line.
        latencies: Of one inference [s], for each exposure; drawn against an axis of its own.
        title: Above the figure.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    mean = [100 * float(np.mean(values)) for values in accuracies]
    spread = [100 * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0 for values in accuracies]
    axes.errorbar(exposures, mean, yerr=spread, fmt="o-", capsize=4, color="#c0392b", label="with noise")
    if ideal is not None:
        axes.axhline(100 * ideal, color=INK, linestyle=":", label="without noise")
    axes.set(xscale="log", xlabel="exposure time [s]", ylabel="accuracy [%]", title=title)
    axes.legend(frameon=False)
    tidy(axes)
    if latencies is not None:
        other = axes.twinx()
        other.plot(exposures, latencies, "s--", color="#2980b9", markersize=4)
        other.set_yscale("log")
        other.set_ylabel("latency of one inference [s]", color="#2980b9")
        other.spines["top"].set_visible(False)
    return figure


def show_contact_sheet(
    pictures: Tensor, captions: Sequence[str], masks: Tensor | None = None, columns: int = 8, title: str = ""
) -> Figure:
    """Pictures in rows, row 0 at the top, with captions, or with the classes of their pixels in colour.

    Args:
        pictures: In [0, 1], shape (N, 1 or 3, H, W).
        captions: One for each picture; none if empty.
        masks: Classes of the pixels, shape (N, H, W); each class has the same colour in all pictures.
        columns: Pictures in a row.
        title: Above the figure.
    """
    rows = math.ceil(len(pictures) / columns)
    figure = Figure(figsize=(1.25 * columns, 1.35 * rows + 0.4), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for index, (axes, picture) in enumerate(zip(panels, pictures, strict=False)):
        values = picture.detach().cpu().movedim(0, -1).expand(-1, -1, 3).numpy()
        axes.imshow(values, vmin=0, vmax=1, interpolation="nearest")
        if masks is not None:
            labels = masks[index].detach().cpu().numpy()
            axes.imshow(labels % 20, cmap="tab20", vmin=0, vmax=19, alpha=0.5, interpolation="nearest")
        if captions:
            axes.set_title(captions[index], fontsize=8, color=INK)
    figure.suptitle(title, color=INK, fontsize=9)
    return figure
