"""Pictures made of panels side by side: masks, planes of light and curves; files are in ``layouts``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from .common import INK, tidy

COLOURS = ("#2980b9", "#c0392b", "#f39c12", "#27ae60", "#8e44ad", "#16a085")

Box = tuple[int, int, int, int]
"""Samples (row_start, row_stop, column_start, column_stop), the stops not included."""


class Panel(NamedTuple):
    """One part of a picture.

    Args:
        draw: Called with the axes.
        projection: Of the axes, as matplotlib names it.
    """

    draw: Callable[[Any], None]
    projection: str | None = None


class Curve(NamedTuple):
    """One line of :func:`curve_panel`.

    Args:
        x: Numbers along x, shape (N,).
        y: Numbers along y, shape (N,).
        label: In the legend; none if empty.
        style: "bar", or as matplotlib writes it: "-", "--", "o", ".".
    """

    x: ArrayLike
    y: ArrayLike
    label: str = ""
    style: str = "-"


def show_panels(title: str, *panels: Panel, columns: int | None = None) -> Figure:
    """Panels in rows, the first at the top left.

    Args:
        title: Above the figure.
        panels: What stands in it.
        columns: Panels in a row; all of them if not given.
    """
    across = columns or len(panels)
    down = math.ceil(len(panels) / across)
    figure = Figure(figsize=(4.1 * across, 3.9 * down), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        panel.draw(figure.add_subplot(down, across, place, projection=panel.projection))
    figure.suptitle(title, color=INK)
    return figure


def image_panel(
    values: ArrayLike,
    title: str,
    label: str = "",
    *,
    pitch: tuple[float, float] | None = None,
    colours: str = "magma",
    limits: tuple[float, float] | None = None,
    log: float = 0.0,
    top_first: bool = False,
    boxes: Mapping[str, Sequence[Box]] | None = None,
) -> Panel:
    """A plane as an image, y up, the axis at sample ``n // 2``, with boxes around parts of it.

    Args:
        values: Real numbers, shape (H, W).
        title: Above the panel.
        label: Of the colour bar; no bar if empty.
        pitch: Distance of the samples (dy, dx) [m]; the axes then count millimetres from the axis.
        colours: Colour map.
        limits: Smallest and largest number that is told apart; those of the values if not given.
        log: Smallest part of the largest number that is told apart on a logarithmic map; 0 for a linear one.
        top_first: Whether row 0 is the top, as in a file of a picture.
        boxes: What to outline, by its name in the legend; each name has its colour.
    """
    array: NDArray[Any] = np.asarray(values)

    def draw(axes: Any) -> None:
        low, high = limits or (float(array.min()), float(array.max()))
        range_ = {"norm": LogNorm(high * log, high, clip=True)} if log else {"vmin": low, "vmax": high}
        place = _extent(array.shape, pitch)
        image = axes.imshow(
            array,
            origin="upper" if top_first else "lower",
            extent=place,
            cmap=colours,
            interpolation="nearest" if max(array.shape) < 400 else "antialiased",
            **range_,
        )
        if label:
            bar = axes.figure.colorbar(image, ax=axes, shrink=0.75, label=label)
            bar.ax.tick_params(labelsize=8)
        _outline(axes, boxes or {}, array.shape, place)
        unit = "mm" if pitch is not None else "pixels" if top_first else "samples"
        axes.set(title=title, xlabel=f"x [{unit}]", ylabel=f"y [{unit}]" + ", down" * top_first)

    return Panel(draw)


def curve_panel(
    title: str,
    x_label: str,
    y_label: str,
    *curves: Curve,
    log: bool = False,
    equal: bool = False,
    limits: tuple[float, float] | None = None,
) -> Panel:
    """Curves, points and bars on one pair of axes.

    Args:
        title: Above the panel.
        x_label: Below it.
        y_label: Beside it.
        curves: What is drawn.
        log: Whether y is logarithmic.
        equal: Whether one unit is as long along x as along y.
        limits: Of y.
    """

    def draw(axes: Any) -> None:
        for colour, curve in zip(COLOURS, curves, strict=False):
            x, y = np.asarray(curve.x), np.asarray(curve.y)
            if curve.style == "bar":
                axes.bar(x, y, width=0.6, color=colour, label=curve.label)
            else:
                axes.plot(x, y, curve.style, color=colour, label=curve.label, markersize=4, linewidth=1.3)
        axes.set(title=title, xlabel=x_label, ylabel=y_label, yscale="log" if log else "linear")
        if limits:
            axes.set_ylim(*limits)
        if equal:
            axes.set_aspect("equal")
        if any(curve.label for curve in curves):
            legend(axes)
        tidy(axes)

    return Panel(draw)


def _extent(
    shape: tuple[int, ...], pitch: tuple[float, float] | None
) -> tuple[float, float, float, float] | None:
    """Left, right, bottom and top of an image whose sample n // 2 is at 0 [mm]."""
    if pitch is None:
        return None
    low = [-(n // 2 + 0.5) * d * 1e3 for n, d in zip(shape, pitch, strict=True)]
    high = [start + n * d * 1e3 for start, n, d in zip(low, shape, pitch, strict=True)]
    return low[1], high[1], low[0], high[0]


def _outline(axes: Any, boxes: Mapping[str, Sequence[Box]], shape: tuple[int, ...], place: Any) -> None:
    left, right, bottom, top = place or (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    dx, dy = (right - left) / shape[1], (top - bottom) / shape[0]
    for colour, (name, group) in zip(
        ("#00d7ff", "#ff5252", "#ffd740", "#69f0ae"), boxes.items(), strict=False
    ):
        for row, row_stop, column, column_stop in group:
            corner = (left + column * dx, bottom + row * dy)
            size = ((column_stop - column) * dx, (row_stop - row) * dy)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.2, label=name))
            name = "_"  # one entry of the legend for each group
    if boxes:
        legend(axes, facecolor="#dfe4e8")


def legend(axes: Any, **style: Any) -> None:
    """A legend below the axes and their label.

    Args:
        axes: Where it belongs to.
        style: As matplotlib takes it; with any, it has a frame.
    """
    # The pad is in units of the font: below the label of the axis, however high the panel is.
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 5.0, "ncols": 2}
    axes.legend(**below, fontsize=8, frameon=bool(style), handlelength=1.4, columnspacing=1.0, **style)
