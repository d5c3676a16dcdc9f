"""Pictures of benches and of light: systems from the side, masks, planes, tilings, layouts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ..grid import Grid
from ..units import compact
from .common import INK, QUIET, tidy

if TYPE_CHECKING:
    from torch import Tensor

    from ..design.retrieval import Retrieval
    from ..elements.tiling import TileLayout
    from ..fabrication.rules import Report
    from ..system import FourF


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
    from ..design.retrieval import mask_psf
    from ..functional import intensity

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
    tidy(axes)
    figure.suptitle(title, color=INK)
    return figure


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


def _rectangles(
    axes: Any, plane: tuple[int, int], corners: Sequence[tuple[int, int]], size: tuple[int, int], **style: Any
) -> None:
    """Rectangles of samples, counted from the axis."""
    for row, column in corners:
        place = (column - plane[1] // 2 - 0.5, row - plane[0] // 2 - 0.5)
        axes.add_patch(Rectangle(place, size[1], size[0], **style))


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
