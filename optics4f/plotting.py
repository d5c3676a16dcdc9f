"""The only door to matplotlib: pictures of masks, planes, budgets and accuracies.

Every function returns a figure; :func:`save` writes it. No window is opened and no global state is touched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from .files import write_file
from .grid import Grid
from .units import compact

if TYPE_CHECKING:
    from torch import Tensor

    from .design.retrieval import Retrieval
    from .elements.tiling import TileLayout
    from .fabrication.rules import Report
    from .record import Record
    from .system import FourF
    from .transduction import LatencyBudget
    from .transduction.sweep import Sweep

INK, QUIET = "#22313f", "#95a5a6"
STAGE_COLOURS = {"optics": "#f39c12", "transduction": "#2980b9", "back_end": "#8e44ad"}
WATERFALL_COLOURS = STAGE_COLOURS | {
    "display": "#c0392b",
    "trigger": "#e67e22",
    "exposure": "#f1c40f",
    "readout": "#16a085",
    "host": "#5dade2",
}


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, atomically."""
    write_file(path, lambda draft: figure.savefig(draft, dpi=150, facecolor="white"))


def show_bench(bench: FourF) -> Figure:
    """A 4f system from the side: planes, lenses, the rays of two points, the sampling of each plane."""
    first, second = bench.focal_length * 1e3, bench.second_focal_length * 1e3
    z = np.cumsum([0, first, first, second, second])
    size = bench.second_focal_length / bench.focal_length
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    axes = figure.subplots()
    for slope, point in itertools.product((-0.6, 0, 0.6), (0.5, -0.3)):
        # Lens 1 sends every point to a parallel beam, lens 2 each beam back to a point, upside down.
        across = np.array([point, point + slope, slope, slope - point * size, -point * size])
        axes.plot(z, across, color="#c0392b" if point > 0 else "#2980b9", linewidth=0.8, alpha=0.7)
    for position in z[[1, 3]]:
        axes.annotate(
            "", (position, 1.25), (position, -1.25), arrowprops={"arrowstyle": "<->", "color": INK, "lw": 2}
        )
    for position, half in zip(z[[0, 2, 4]], (0.8, 1.0, 0.8 * size), strict=True):
        axes.plot([position, position], [-half, half], color=INK, linewidth=3)
    dx, du, dv = (compact(g.spacing[1], "m") for g in (bench.grid, bench.fourier_grid, bench.output_grid))
    planes = (
        f"input plane\n{bench.grid.shape[1]} samples, $\\Delta x$ = {dx}",
        f"Fourier plane: masks, stop\n$\\lambda f_1/(N\\,\\Delta x)$ = {du}",
        f"output plane, M = {bench.magnification:.3g}\n{bench.output_grid.shape[1]} samples, {dv}",
    )
    for position, text in zip(z[[0, 2, 4]], planes, strict=True):
        axes.text(position, -1.45, text, ha="center", va="top", color=INK)
    for left, right, name in zip(z[:-1], z[1:], ("f_1", "f_1", "f_2", "f_2"), strict=True):
        axes.text((left + right) / 2, 1.35, f"${name}$ = {right - left:.4g} mm", ha="center", color=INK)
    axes.set(
        ylim=(-2.2, 1.6), xlim=(z[0] - 0.18 * z[-1], z[-1] + 0.18 * z[-1]), title=str(bench).split(" | ")[0]
    )
    axes.set_axis_off()
    return figure


def show_masks(transmittance: NDArray[Any], pitch: tuple[float, float], title: str = "") -> Figure:
    """Amplitude and phase of every mask of a bank, side by side in one mosaic each.

    Args:
        transmittance: Complex, shape (C_out, C_in, H, W).
        pitch: (dy, dx) [m].
        title: Above the figure.
    """
    masks = transmittance.reshape(-1, *transmittance.shape[-2:])
    height, width = (n * d * 1e3 for n, d in zip(masks.shape[-2:], pitch, strict=True))
    figure = Figure(figsize=(10.5, 5.2), layout="constrained")
    panels = figure.subplots(1, 2)
    phase = np.angle(masks) % (2 * math.pi)
    drawings = (
        ("amplitude |t|", np.abs(masks), "magma", 1.0),
        ("phase [rad]", phase, "twilight", 2 * math.pi),
    )
    for axes, (name, values, colours, top) in zip(panels, drawings, strict=True):
        image = axes.imshow(
            _mosaic(values), origin="lower", cmap=colours, vmin=0, vmax=top, interpolation="nearest"
        )
        figure.colorbar(image, ax=axes, shrink=0.8)
        axes.set(title=name, xticks=[], yticks=[])
    pixels = f"{masks.shape[-2]} x {masks.shape[-1]} pixels"
    count = f"{len(masks)} masks of {pixels}, {height:.3g} x {width:.3g} mm each"
    figure.suptitle(f"{title}\n{count}" if title else count, color=INK)
    return figure


def show_planes(planes: Sequence[tuple[str, Grid, Tensor]], sensor: Tensor, title: str = "") -> Figure:
    """One picture per plane of one sample's way through a 4f system, and what the sensor sees.

    Args:
        planes: (name, grid, field of shape (C, H, W)) as :meth:`optics4f.system.FourF.planes` gives them for
            one sample; the first channel is drawn.
        sensor: Signal of every channel, shape (C, p_y, p_x).
        title: Above the figure.
    """
    figure = Figure(figsize=(3.3 * (len(planes) + 1), 3.9), layout="constrained")
    panels = figure.subplots(1, len(planes) + 1)
    for axes, (name, grid, field) in zip(panels, planes, strict=False):
        _draw_plane(figure, axes, name, grid, field[0].detach().abs().square().cpu().numpy())
    image = panels[-1].imshow(_mosaic(sensor.detach().cpu().numpy()), origin="lower", cmap="viridis")
    figure.colorbar(image, ax=panels[-1], shrink=0.75, label="W per pixel")
    panels[-1].set(title=f"sensor, {len(sensor)} channels", xticks=[], yticks=[])
    figure.suptitle(title, color=INK)
    return figure


def show_budget(budget: LatencyBudget, title: str = "") -> Figure:
    """The stages of a latency budget as bars on a logarithmic axis."""
    figure = Figure(figsize=(8.5, 1.4 + 0.55 * (len(budget.stages) + 1)), layout="constrained")
    axes = figure.subplots()
    names = [stage.name for stage in budget.stages] + ["total"]
    seconds = [stage.duration for stage in budget.stages] + [budget.total_s]
    colours = [STAGE_COLOURS.get(stage.kind, QUIET) for stage in budget.stages] + [INK]
    bars = axes.barh(names, seconds, color=colours, height=0.6)
    axes.bar_label(bars, labels=[f" {_time(value)}" for value in seconds], color=INK)
    axes.set(xscale="log", xlabel="time per inference [s]", title=title)
    axes.set_xlim(min(seconds) / 3, max(seconds) * 30)
    axes.invert_yaxis()
    _tidy(axes)
    return figure


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
    _tidy(axes)
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
        _tidy(axes)
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
    _tidy(axes)
    if latencies is not None:
        other = axes.twinx()
        other.plot(exposures, latencies, "s--", color="#2980b9", markersize=4)
        other.set_yscale("log")
        other.set_ylabel("latency of one inference [s]", color="#2980b9")
        other.spines["top"].set_visible(False)
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
        _tidy(axes)
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
        axes.axvline(1e3 * mark.value, color=colour, linewidth=1, label=f"{name}: {_time(mark.value)}")
        axes.axvspan(*(1e3 * end for end in mark.interval), color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel="delay after the command [ms]", ylabel="light of the first order", title=record.name)
    axes.legend(frameon=False)
    _tidy(axes)
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
        text = f"  {_time(stage.duration)}" + (f"  {100 * share:.0f} %" if share >= 0.005 else "")
        _beside(axes, row, start, reach, starts[-1], text + ("" if stage.verified else "  (assumed)"))
    names = [stage.name for stage in budget.stages]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(starts[-1], 0 if below is None else budget.p(99) / scale) * 1.06)
    axes.grid(axis="x", color=QUIET, alpha=0.25, zorder=0)
    _tidy(axes)
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
        text = f"p{percent}  {_time(value * scale)}  "
        axes.text(totals[0], height * top, text, ha="right", va="center", color="#c0392b", fontsize=9)
    axes.set_ylim(0, 1.12 * top)
    axes.set_yticks([])
    axes.set_ylabel("total", rotation=0, ha="right", va="center", color=INK)
    axes.grid(axis="x", color=QUIET, alpha=0.25, zorder=0)
    _tidy(axes)
    axes.spines["left"].set_visible(False)


def _waterfall_title(budget: LatencyBudget) -> str:
    total = (
        _time(budget.p(50)) if budget.is_constant else f"p50 {_time(budget.p(50))}, p99 {_time(budget.p(99))}"
    )
    title = f"{budget.name}: {total}, at most {budget.rate():,.0f} per second"
    return title + (f"\nleaves out {', '.join(budget.missing)}" if budget.missing else "")


def _time_unit(seconds: float) -> tuple[float, str]:
    for scale, unit, top in ((1e-9, "ns", 1e-7), (1e-6, "us", 1e-4), (1e-3, "ms", 1.0)):
        if seconds < top:
            return scale, unit
    return 1.0, "s"


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
    _tidy(axes)
    return figure


def _apart(places: list[float], share: float) -> list[float]:
    """Places of labels, moved up where they would lie on one another: by a share of their range at least."""
    gap = share * max(1.0, max(places) - min(places))
    moved, last = list(places), -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        last = moved[index] = max(places[index], last + gap)
    return moved


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


def show_tiling(layout: TileLayout, plane: tuple[int, int] | None = None) -> Figure:
    """Pictures, kernels and sums of a layout in their planes, upright, with the guard bands hatched.

    Args:
        layout: Where they lie.
        plane: Samples of the plane; the smallest that holds all if not given.
    """
    plane = layout.shape if plane is None else plane
    layout.check(plane)
    before = tuple(tile // 2 - size // 2 for tile, size in zip(layout.tile, layout.field, strict=True))
    inside = (layout.kernel[0] // 2, layout.kernel[1] // 2)
    pictures, sums = layout.input_corners(plane), layout.output_corners(plane)
    panels: tuple[tuple[str, list[tuple[int, int]], list[tuple[int, int]], tuple[int, int]], ...] = (
        ("input plane", [(y - before[0], x - before[1]) for y, x in pictures], pictures, layout.field),
        ("point-spread function", [], layout.kernel_corners(plane), layout.kernel),
        ("output plane", sums, [(y + inside[0], x + inside[1]) for y, x in sums], layout.field),
    )
    outputs, inputs = layout.channels
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    for axes, (name, tiles, filled, size) in zip(figure.subplots(1, 3), panels, strict=True):
        _rectangles(axes, plane, tiles, layout.tile, facecolor="none", edgecolor=QUIET, hatch="////")
        _rectangles(axes, plane, filled, size, facecolor="#2980b9", edgecolor="white", linewidth=0.8)
        low, high = ([sign * (n / 2) for n in plane] for sign in (-1, 1))
        axes.set(xlim=(low[1], high[1]), ylim=(low[0], high[0]), aspect="equal", title=name)
        axes.set(xlabel="x [samples]", ylabel="y [samples]")
    figure.suptitle(
        f"{inputs} -> {outputs} channels, tiles of {layout.tile[0]} x {layout.tile[1]} samples "
        f"with guard bands of {layout.guard[0]} x {layout.guard[1]}; "
        f"{100 * layout.fill(plane):.3g} % of the plane is read",
        color=INK,
    )
    return figure


def show_retrieval(target: Tensor, found: Retrieval, title: str = "") -> Figure:
    """A retrieved phase mask, what was wanted, what it gives in even light, and how the error fell.

    Args:
        target: Intensity or field, shape (H, W).
        found: What :func:`~optics4f.design.retrieve_phase` found for it.
        title: Above the figure.
    """
    from .design.retrieval import mask_psf
    from .functional import intensity

    phase = found.phase.detach()
    given = intensity(mask_psf(phase, phase.new_ones(phase.shape))).cpu().numpy()
    wanted = target.detach().abs().cpu().numpy() ** (2 if target.is_complex() else 1)
    figure = Figure(figsize=(14, 3.8), layout="constrained")
    panels = figure.subplots(1, 4)
    drawings = (
        ("phase of the mask [rad]", phase.cpu().numpy(), "twilight", 2 * math.pi),
        ("wanted intensity", wanted / wanted.max(), "inferno", 1.0),
        ("intensity found", given / given.max(), "inferno", 1.0),
    )
    for axes, (name, values, colours, top) in zip(panels, drawings, strict=False):
        image = axes.imshow(values, origin="lower", cmap=colours, vmin=0, vmax=top, interpolation="nearest")
        figure.colorbar(image, ax=axes, shrink=0.75)
        axes.set(title=name, xticks=[], yticks=[])
    distances = found.distances.detach().cpu().numpy()
    axes = panels[3]
    axes.semilogy(distances, color="#2980b9", label="distance, error reduction")
    later = len(distances) + np.arange(len(found.losses))
    axes.semilogy(later, found.losses, color="#c0392b", label="loss, gradient")
    axes.set(xlabel="step", title=f"error {float(found.error):.2g}, efficiency {float(found.efficiency):.3f}")
    axes.legend(frameon=False, fontsize=8)
    _tidy(axes)
    figure.suptitle(title, color=INK)
    return figure


def _rectangles(
    axes: Any, plane: tuple[int, int], corners: Sequence[tuple[int, int]], size: tuple[int, int], **style: Any
) -> None:
    """Rectangles of samples, counted from the axis."""
    for row, column in corners:
        place = (column - plane[1] // 2 - 0.5, row - plane[0] // 2 - 0.5)
        axes.add_patch(Rectangle(place, size[1], size[0], **style))


def show_violations(pixels: NDArray[Any], report: Report, layer: str = "1", title: str = "") -> Figure:
    """A binary layer with the first places where each design rule is broken, a colour for each rule.

    Args:
        pixels: The layer, boolean, shape (H, W).
        report: What :func:`optics4f.fabrication.rules.check_rules` found.
        layer: Name of the layer in the report.
        title: Above the figure.
    """
    figure = Figure(figsize=(6.4, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(pixels, origin="lower", cmap="Greys", vmin=0, vmax=2, interpolation="nearest")
    colours = {"feature": "tab:red", "gap": "tab:blue", "kissing corner": "tab:orange"}
    for violation in report.violations:
        if violation.layer != layer or violation.rule not in colours:
            continue
        label = f"{violation.rule}: {violation.count}"
        for row, row_stop, column, column_stop in violation.places:
            across = np.array([column, column_stop, column_stop, column]) - 0.5
            up = np.array([row, row, row_stop, row_stop]) - 0.5
            axes.fill(across, up, fill=False, color=colours[violation.rule], linewidth=1.5, label=label)
            label = "_"  # one entry of the legend for each rule
    if axes.patches:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.08), fontsize=8, frameon=False)
    axes.set(title=title, xlabel="x [pixels]", ylabel="y [pixels]")
    return figure


def _draw_plane(figure: Figure, axes: Any, name: str, grid: Grid, values: NDArray[Any]) -> None:
    half = [(n // 2 + 0.5) * d * 1e3 for n, d in zip(grid.shape, grid.spacing, strict=True)]
    full = [n * d * 1e3 for n, d in zip(grid.shape, grid.spacing, strict=True)]
    extent = (-half[1], full[1] - half[1], -half[0], full[0] - half[0])
    peak = float(values.max())
    norm = LogNorm(peak * 1e-5, peak) if "Fourier" in name and peak > 0 else None
    drawn = np.maximum(values, peak * 1e-5) if norm else values
    image = axes.imshow(
        drawn, origin="lower", extent=extent, cmap="inferno", norm=norm, interpolation="nearest"
    )
    figure.colorbar(image, ax=axes, shrink=0.75, label="W/m²")
    axes.set(title=name.replace(", ", ",\n"), xlabel="x [mm]", ylabel="y [mm]")


def _mosaic(tiles: NDArray[Any]) -> NDArray[Any]:
    """Tiles (N, H, W) in a near-square arrangement with gaps of NaN, the first at the top left."""
    count, height, width = tiles.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for index, tile in enumerate(tiles):
        top = (rows - 1 - index // columns) * (height + 1)
        left = index % columns * (width + 1)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _time(seconds: float) -> str:
    from .transduction.stages import time_text

    return time_text(seconds)


def _tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
