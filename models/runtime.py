"""What networks lend to ``optics4f runtime``: pictures, measured networks, a measured back end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from optics4f.record import Record
    from optics4f.transduction.sweep import Curve

RUNS = 7  # of each network and size, of which the median counts


def register(app: typer.Typer) -> None:
    """Add the command ``runtime`` with all that the engine alone does not have."""
    from optics4f.transduction import cli

    cli.register(app, cli.Hooks(draw, curves, measure_back_end))


def draw(what: Any, path: Path) -> None:
    """Write the picture of some budgets, or of a sweep."""
    from optics4f import plotting
    from optics4f.transduction.sweep import Sweep

    figure = plotting.show_sweep(what) if isinstance(what, Sweep) else plotting.show_waterfall(what)
    plotting.save(figure, path)


def measure_back_end(folder: Path) -> Record:
    """Time the back end of the student in a folder, and keep the record there."""
    from .timing import measure_back_end as measure

    return measure(folder)


def curves() -> Mapping[str, Curve]:
    """Time [s] of a CNN and of an SCLC on this machine, for one colour picture of so many pixels a side.

    The CNN is AlexNet; the SCLC is its optical part alone, simulated: one bank of 3 -> 256 masks behind a
    stop of 13 x 13 samples, and |E|^2. Untrained: their times do not depend on the numbers in them.
    """
    return {"CNN on this machine": _time_cnn, "SCLC on this machine": _time_sclc}


def _time_cnn(side: float) -> float:
    import torch

    from .teachers import AlexNet

    network = AlexNet(3, 10).eval()
    n = max(63, int(side))  # smaller pictures do not reach its last pooling
    return _median_time(network, torch.rand(1, 3, n, n))


def _time_sclc(side: float) -> float:
    import torch

    from optics4f import FourF, Grid, KernelMask, mm, nm, um

    n = max(13, int(side))
    masks = KernelMask(torch.randn(256, 3, 5, 5), trainable=False)
    bench = FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, masks, stop=(13, 13), combiner="bound")
    return _median_time(bench.intensity, torch.rand(1, 3, n, n))


def _median_time(call: Any, picture: Any) -> float:
    import statistics

    import torch

    from optics4f.transduction.measurement import measure

    with torch.no_grad():
        return statistics.median(measure(lambda: call(picture), warmup=2, runs=RUNS)) / 1e9
