"""A curriculum towards hardware: accuracy after each constraint, and against the number of masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from .common import INK, QUIET, tidy

DRAWN, MADE = "#2980b9", "#c0392b"


def show_design(found: Mapping[str, Any]) -> Figure:
    """Accuracy after each constraint, before and after training; beside it, accuracy against masks.

    Args:
        found: The summary of a curriculum: ``start_accuracy``, ``stages`` with ``before`` and ``after``, and
            ``masks``, which may be empty.
    """
    panels = 2 if found["masks"] else 1
    figure = Figure(figsize=(2.2 + 4.8 * panels, 4.2), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_stages(axes[0], found)
    if found["masks"]:
        _draw_masks(axes[1], found["masks"], int(found["settings"]["masks"]))
    return figure


def _draw_stages(axes: Any, found: Mapping[str, Any]) -> None:
    stages = found["stages"]
    axes.axhline(100 * found["start_accuracy"], color=INK, linestyle=":", label="student as it came")
    for index, row in enumerate(stages):
        _draw_judged(axes, index - 0.2, row["before"], "white", "white")
        if row["epochs"]:
            _draw_judged(axes, index + 0.1, row["after"], DRAWN, MADE)
    for marker, colour, what in (("o", DRAWN, "drawn"), ("s", MADE, "made")):
        for face, when in (("white", "before training"), (colour, "trained")):
            axes.plot([], [], marker, color=colour, markerfacecolor=face, label=f"as {what}, {when}")
    axes.set(xticks=range(len(stages)), xticklabels=[row["stage"] for row in stages])
    pictures = found["data"]["validation_images"]
    axes.set(ylabel="accuracy [%]", title=f"after each constraint, {pictures} validation pictures")
    axes.grid(axis="y", color=QUIET, alpha=0.3)
    axes.margins(x=0.12, y=0.1)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)


def _draw_judged(axes: Any, at: float, judged: Mapping[str, Any], drawn: str, made: str) -> None:
    """One accuracy as drawn, and beside it that as made with its deviation over devices."""
    axes.plot(at, 100 * judged["accuracy"], "o", markersize=8, color=DRAWN, markerfacecolor=drawn)
    if judged["made_mean"] is None:
        return
    mean, spread = 100 * judged["made_mean"], 100 * (judged["made_standard_deviation"] or 0)
    axes.errorbar(at + 0.1, mean, yerr=spread, fmt="s", capsize=4, color=MADE, markerfacecolor=made)


def _draw_masks(axes: Any, rows: list[dict[str, Any]], chosen: int) -> None:
    masks = [row["masks"] for row in rows]
    axes.plot(masks, [100 * row["accuracy"] for row in rows], "o-", color=DRAWN, label="accuracy")
    axes.plot(masks, [100 * row["error"] for row in rows], "s--", color=MADE, label="error of T(ν)")
    axes.axvline(chosen, color=INK, linestyle=":", label="chosen")
    axes.set_xscale("log", base=2)
    axes.set(xticks=masks, xticklabels=[str(n) for n in masks], xlabel="masks for each input channel")
    axes.set(ylabel="[%]", title="fewer masks, nothing trained again")
    axes.minorticks_off()
    axes.grid(axis="y", color=QUIET, alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
