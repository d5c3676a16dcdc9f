"""Pictures of experiments: times and accuracies against the size of the input, beside what was claimed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from .common import INK, QUIET, tidy

COLOURS = ("#2980b9", "#c0392b", "#e67e22", "#16a085", "#8e44ad", INK)


class Curve(NamedTuple):
    """Values against sizes.

    Attributes:
        name: In the legend.
        sizes: Pixels a side.
        values: Times [s], or accuracies in [0, 1].
        errors: Standard errors of the values; none if empty.
        law: What the values were claimed to grow as, in any unit; it is drawn through the last value.
        estimated: Whether the values were computed, not measured; the line is dashed.
    """

    name: str
    sizes: Sequence[float]
    values: Sequence[float]
    errors: Sequence[float] = ()
    law: Sequence[float] = ()
    estimated: bool = False


class Point(NamedTuple):
    """A single value that others give: a time [s] or an accuracy in [0, 1] at a size."""

    name: str
    size: float
    value: float


def drawn(draw: Callable[[Figure], None], size: tuple[float, float] = (10.4, 5.2)) -> Figure:
    """A figure on which ``draw`` has drawn; it may set the size anew [inch]."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    return figure


def times_against_size(
    axes: Any, curves: Sequence[Curve], points: Sequence[Point] = (), title: str = ""
) -> None:
    """Times on logarithmic axes, in ms, each with its law as a dotted line; single points as crosses."""
    for curve, colour, marker in zip(curves, itertools.cycle(COLOURS), itertools.cycle("os^vDP")):
        milliseconds = 1e3 * np.asarray(curve.values)
        line = "--" if curve.estimated else "-"
        axes.loglog(
            curve.sizes, milliseconds, line, color=colour, marker=marker, markersize=4, label=curve.name
        )
        if curve.law:
            law = np.asarray(curve.law, dtype=float)
            axes.loglog(curve.sizes, law * milliseconds[-1] / law[-1], ":", color=colour, linewidth=1.2)
    for point, marker in zip(points, itertools.cycle("x+")):
        axes.loglog(
            [point.size], [1e3 * point.value], marker, color=INK, markersize=9, linestyle="", label=point.name
        )
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _against_size(axes, curves, "time [ms]", title)


def accuracies_against_size(axes: Any, curves: Sequence[Curve], title: str = "") -> None:
    """Accuracies in percent, with their standard errors as bars."""
    for curve, colour, marker in zip(curves, itertools.cycle(COLOURS), itertools.cycle("os^vDP")):
        errors = 100 * np.asarray(curve.errors) if curve.errors else None
        axes.errorbar(
            curve.sizes,
            100 * np.asarray(curve.values),
            yerr=errors,
            fmt=f"{marker}-",
            markersize=5,
            capsize=4,
            color=colour,
            label=curve.name,
        )
    axes.set_xscale("log")
    _against_size(axes, curves, "test accuracy [%]", title)


def exponents_beside_claims(
    axes: Any, rows: Sequence[tuple[str, float | None, float, float]], title: str = ""
) -> None:
    """Measured exponents with standard errors, and the claimed ones as rings.

    Args:
        axes: Where.
        rows: Name, claimed exponent if there is one, measured exponent, its standard error.
        title: Above.
    """
    places = range(len(rows))
    claimed = [(claim, y) for (_, claim, _, _), y in zip(rows, places, strict=True) if claim is not None]
    axes.errorbar(
        [row[2] for row in rows],
        places,
        xerr=[row[3] for row in rows],
        fmt="o",
        markersize=5,
        capsize=3,
        color=COLOURS[1],
        label="measured",
    )
    axes.plot(*zip(*claimed, strict=True), "o", fillstyle="none", markersize=12, color=INK, label="claimed")
    axes.set_yticks(places, [row[0] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="exponent of the side N of the picture", title=title)
    axes.grid(axis="x", color=QUIET, alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    tidy(axes)


def _against_size(axes: Any, curves: Sequence[Curve], quantity: str, title: str) -> None:
    sizes = sorted({int(size) for curve in curves for size in curve.sizes})
    ticks = [n for n in sizes if n & (n - 1) == 0] if len(sizes) > 6 else sizes  # powers of two, if many
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="side of the picture [pixels]", ylabel=quantity, title=title)
    axes.grid(color=QUIET, alpha=0.25)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    tidy(axes)
