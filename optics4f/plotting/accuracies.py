"""Accuracies of networks as bars, with what was published beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .common import INK, QUIET, tidy

COLOURS = ("#9aa5b1", "#2980b9", "#16a085", "#e67e22", "#8e44ad", "#c0392b")


class Bar(NamedTuple):
    """One accuracy.

    Attributes:
        name: Of the network.
        kind: What it belongs to; each kind has a colour.
        accuracy: In [0, 1].
        error: Its standard error.
        published: The accuracy that others give, or None.
    """

    name: str
    kind: str
    accuracy: float
    error: float = 0.0
    published: float | None = None


def accuracies_of_networks(axes: Any, bars: Sequence[Bar], title: str = "") -> None:
    """Bars in percent from the top down, each with its standard error and number; published ones as rings."""
    kinds = list(dict.fromkeys(bar.kind for bar in bars))
    for place, bar in enumerate(bars):
        axes.barh(
            place,
            100 * bar.accuracy,
            xerr=100 * bar.error,
            color=COLOURS[kinds.index(bar.kind) % len(COLOURS)],
            height=0.7,
            capsize=3,
        )
        axes.text(1.5, place, f"{100 * bar.accuracy:.1f}", va="center", color="white", fontsize=9)
    published = [(100 * bar.published, place) for place, bar in enumerate(bars) if bar.published is not None]
    if published:
        axes.plot(
            *zip(*published, strict=True), "o", fillstyle="none", markersize=9, color=INK, label="the paper"
        )
    for kind in kinds:
        axes.barh(0, 0, color=COLOURS[kinds.index(kind) % len(COLOURS)], label=kind)
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="accuracy [%]", title=title)
    axes.grid(axis="x", color=QUIET, alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.1), ncols=2)
    tidy(axes)
