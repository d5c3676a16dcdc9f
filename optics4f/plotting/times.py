"""Pictures of times: budgets, waterfalls, sweeps, growth, fitted durations, a display that settles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from .common import INK, QUIET, STAGE_COLOURS, tidy, time_label

if TYPE_CHECKING:
    from ..record import Record
    from ..transduction import LatencyBudget
    from ..transduction.sweep import Sweep


WATERFALL_COLOURS = STAGE_COLOURS | {
    "display": "#c0392b",
    "trigger": "#e67e22",
    "exposure": "#f1c40f",
    "readout": "#16a085",
    "host": "#5dade2",
}


def show_budget(budget: LatencyBudget, title: str = "") -> Figure:
    """The stages of a latency budget as bars on a logarithmic axis."""
    figure = Figure(figsize=(8.5, 1.4 + 0.55 * (len(budget.stages) + 1)), layout="constrained")
    axes = figure.subplots()
    names = [stage.name for stage in budget.stages] + ["total"]
    seconds = [stage.duration for stage in budget.stages] + [budget.total_s]
    colours = [STAGE_COLOURS.get(stage.kind, QUIET) for stage in budget.stages] + [INK]
    bars = axes.barh(names, seconds, color=colours, height=0.6)
    axes.bar_label(bars, labels=[f" {time_label(value)}" for value in seconds], color=INK)
    axes.set(xscale="log", xlabel="time per inference [s]", title=title)
    axes.set_xlim(min(seconds) / 3, max(seconds) * 30)
    axes.invert_yaxis()
    tidy(axes)
    return figure


def show_waterfall(budgets: Sequence[LatencyBudget]) -> Figure:
    """Stages of one inference one after the other in time, and how its total varies, a panel for each budget.

    A bar is the mean of a stage, and begins where the means before it end; the thin line reaches from the 1st
    to the 99th percentile of the stage. Below is the density of the total with p50, p90 and p99, if it
    varies.
    """
    rows = [len(budget.stages) + (0.8 if budget.is_constant else 3.2) for budget in budgets]
    figure = Figure(figsize=(9.6, 0.9 * len(budgets) + 0.36 * sum(rows)), layout="constrained")
    panels = figure.subfigures(len(budgets), 1, squeeze=False, height_ratios=[row + 2 for row in rows])
    for panel, budget in zip(panels[:, 0], budgets, strict=True):
        _waterfall(panel, budget)
    return figure


def show_sweep(found: Sweep) -> Figure:
    """Median time of one inference against the size of the input or the exposure, on logarithmic axes."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    colours = ("#c0392b", "#2980b9", "#8e44ad", "#16a085", INK)
    ends = _apart([math.log10(times[-1]) for times in found.curves.values()], 0.06)
    for end, (name, times), colour, marker in zip(
        ends, found.curves.items(), itertools.cycle(colours), itertools.cycle("os^vD"), strict=False
    ):
        values = [1e3 * time for time in times]
        axes.loglog(found.values, values, marker=marker, markersize=5, color=colour)
        axes.annotate(
            name,
            (found.values[-1], 1e3 * 10**end),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    ticks = found.values if found.parameter == "input" else found.values[::4]
    texts = found.texts if found.parameter == "input" else found.texts[::4]
    axes.set_xticks(ticks, texts)
    axes.minorticks_off()
    unit = "pixels a side" if found.parameter == "input" else "time"
    axes.set(xlabel=f"{found.parameter} [{unit}]", ylabel="time of one inference, p50 [ms]")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(color=QUIET, alpha=0.25)
    tidy(axes)
    return figure


def show_scaling(
    curves: Mapping[str, Mapping[int, Mapping[str, float]]],
    laws: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Figure:
    """Times against a size on logarithmic axes, one panel for each quantity, with a law beside it.

    Args:
        curves: For each quantity, for each size: times [s] by name.
        laws: What a quantity's time should grow as; the size itself where none is given.
    """
    figure = Figure(figsize=(5.2 * len(curves), 4), layout="constrained")
    for axes, (quantity, rows) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        sizes = np.array(list(rows))
        names = list(next(iter(rows.values())))
        for name, marker in zip(names, itertools.cycle("os^v"), strict=False):
            axes.loglog(sizes, [1e3 * row[name] for row in rows.values()], marker=marker, label=name)
        law = (laws or {}).get(quantity, lambda size: size)(sizes)
        last = 1e3 * rows[int(sizes[-1])][names[0]]
        axes.loglog(
            sizes, law * last / law[-1], color=QUIET, linestyle=":", label="law, through the last point"
        )
        axes.set_xlabel(quantity)
        axes.set_ylabel("time [ms]")
        axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axes.minorticks_off()
        axes.legend(frameon=False)
        tidy(axes)
    return figure


def show_fits(fits: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Measured durations of each stage as a distribution function, and the fit to it as a line.

    Args:
        fits: For each stage: its durations [s] in growing order, and the fitted share at or below each.
    """
    columns = min(len(fits), 3)
    rows = math.ceil(len(fits) / columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(fits) :]:
        axes.set_axis_off()
    for axes, (name, (durations, shares)) in zip(panels, fits.items(), strict=False):
        times = 1e3 * np.asarray(durations)
        measured = np.arange(1, len(times) + 1) / len(times)
        axes.step(times, measured, where="post", color="#2980b9", label=f"{len(times)} passes")
        axes.plot(times, shares, color="#c0392b", linewidth=1, label="fit")
        axes.set(title=name, xlabel="duration [ms]", ylabel="share at or below", ylim=(0, 1))
        axes.legend(frameon=False)
        tidy(axes)
    return figure


def show_settle(delays: Sequence[float], light: Sequence[float], record: Record) -> Figure:
    """Light of the first order against the delay after a command, with the settle time and its interval.

    Args:
        delays: Delays [s].
        light: Intensity at each delay, in any unit.
        record: The settle time that was fitted, with the delay of the display among its estimates.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(1e3 * np.asarray(delays), light, ".", color="#2980b9", label="measured")
    marks: dict[str, Any] = {"delay": record.estimates["delay"], "settled": record}
    for (name, mark), colour in zip(marks.items(), ("#f39c12", "#c0392b"), strict=True):
        axes.axvline(1e3 * mark.value, color=colour, linewidth=1, label=f"{name}: {time_label(mark.value)}")
        axes.axvspan(*(1e3 * end for end in mark.interval), color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="delay after the command [ms]", ylabel="light of the first order", title=record.name)
    axes.legend(frameon=False)
    tidy(axes)
    return figure


def _waterfall(panel: Any, budget: LatencyBudget) -> None:
    scale, unit = _time_unit(budget.total_s)
    if budget.is_constant:
        axes, below = panel.subplots(), None
    else:
        heights = (len(budget.stages) + 0.6, 2.6)
        axes, below = panel.subplots(2, 1, sharex=True, height_ratios=heights)
    starts = np.cumsum([0.0, *(stage.duration for stage in budget.stages)]) / scale
    for row, (stage, start, end) in enumerate(zip(budget.stages, starts[:-1], starts[1:], strict=True)):
        colour = WATERFALL_COLOURS.get(stage.kind, QUIET)
        axes.barh(row, end - start, left=start, height=0.62, color=colour, zorder=2)
        axes.plot([start, start], [row - 0.31, row + 0.31], color=colour, linewidth=2, zorder=2)
        if row + 1 < len(budget.stages):
            axes.plot([end, end], [row + 0.31, row + 0.69], color=QUIET, linewidth=0.8, zorder=1)
        reach = end
        if not stage.is_constant:
            low, high = (start + budget.drawn.of_stage(stage.name, p) / scale for p in (1, 99))
            axes.plot([low, high], [row, row], color=INK, linewidth=1.2, zorder=3, solid_capstyle="butt")
            reach = max(reach, high)
        share = stage.duration / budget.total_s
        text = f"  {time_label(stage.duration)}" + (f"  {100 * share:.0f} %" if share >= 0.005 else "")
        _beside(axes, row, start, reach, starts[-1], text + ("" if stage.verified else "  (assumed)"))
    names = [stage.name for stage in budget.stages]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(starts[-1], 0 if below is None else budget.p(99) / scale) * 1.06)
    axes.grid(axis="x", color=QUIET, alpha=0.25, zorder=0)
    tidy(axes)
    if below is not None:
        _density(below, budget, scale)
    (axes if below is None else below).set_xlabel(f"time since the start of the inference [{unit}]")
    panel.suptitle(_waterfall_title(budget), color=INK, fontsize=11)


def _beside(axes: Any, row: int, start: float, reach: float, end: float, text: str) -> None:
    """Write to the right of a bar, or to the left where the right half is too narrow."""
    right = reach < 0.72 * end
    axes.text(
        reach if right else start,
        row,
        text if right else text.strip() + "  ",
        ha="left" if right else "right",
        va="center",
        color=INK,
        fontsize=9,
    )


def _density(axes: Any, budget: LatencyBudget, scale: float) -> None:
    totals = budget.drawn.totals / scale
    axes.hist(totals, bins=160, density=True, color="#5d6d7e", alpha=0.45, zorder=2)
    top = axes.get_ylim()[1]
    for percent, height in ((50, 1.0), (90, 0.7), (99, 0.4)):
        value = budget.p(percent) / scale
        axes.plot([totals[0], value], [height * top] * 2, color="#c0392b", linewidth=0.7, zorder=3)
        axes.plot([value, value], [0, height * top], color="#c0392b", linewidth=1.2, zorder=3)
        text = f"p{percent}  {time_label(value * scale)}  "
        axes.text(totals[0], height * top, text, ha="right", va="center", color="#c0392b", fontsize=9)
    axes.set_ylim(0, 1.12 * top)
    axes.set_yticks([])
    axes.set_ylabel("total", rotation=0, ha="right", va="center", color=INK)
    axes.grid(axis="x", color=QUIET, alpha=0.25, zorder=0)
    tidy(axes)
    axes.spines["left"].set_visible(False)


def _waterfall_title(budget: LatencyBudget) -> str:
    total = time_label(budget.p(50))
    if not budget.is_constant:
        total = f"p50 {total}, p99 {time_label(budget.p(99))}"
    title = f"{budget.name}: {total}, at most {budget.rate():,.0f} per second"
    return title + (f"\nleaves out {', '.join(budget.missing)}" if budget.missing else "")


def _time_unit(seconds: float) -> tuple[float, str]:
    for scale, unit, top in ((1e-9, "ns", 1e-7), (1e-6, "us", 1e-4), (1e-3, "ms", 1.0)):
        if seconds < top:
            return scale, unit
    return 1.0, "s"


def _apart(places: list[float], share: float) -> list[float]:
    """Places of labels, moved up where they would lie on one another: by a share of their range at least."""
    gap = share * max(1.0, max(places) - min(places))
    moved, last = list(places), -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        last = moved[index] = max(places[index], last + gap)
    return moved
