"""What all pictures share: colours, writing, tidy axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ..files import write_file

INK, QUIET = "#22313f", "#95a5a6"


STAGE_COLOURS = {"optics": "#f39c12", "transduction": "#2980b9", "back_end": "#8e44ad"}


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG, atomically."""
    write_file(path, lambda draft: figure.savefig(draft, dpi=150, facecolor="white"))


def tidy(axes: Any) -> None:
    """Take away what frames a picture and says nothing."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


def time_label(seconds: float) -> str:
    """A time as tables write it."""
    from ..transduction.stages import time_text

    return time_text(seconds)
