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
from numpy.typing import NDArray

from .files import write_file
from .grid import Grid
from .units import compact

if TYPE_CHECKING:
    from torch import Tensor

    from .system import FourF
    from .transduction import LatencyBudget

INK, QUIET = "#22313f", "#95a5a6"
STAGE_COLOURS = {"optics": "#f39c12", "transduction": "#2980b9", "back_end": "#8e44ad"}


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
