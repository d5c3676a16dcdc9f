"""How the cost of a 4f system grows with its samples and with its channels, beside N^2 log N and C.

    python benchmarks/scaling.py [--json FILE] [--png FILE] [--threads 2]

One mask and N from 64 to 4096; a bank 1 -> C of N = 224 and C from 1 to 256. The exponent is fitted to the
large half of each curve, where fixed costs do not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from engine import interleaved, single
from rich.console import Console
from rich.table import Table

from optics4f import FourF, Grid, KernelMask
from optics4f.files import write_json
from optics4f.models.report import machine, versions
from optics4f.plotting import save, show_scaling
from optics4f.units import mm, nm, um

SIDES = (64, 128, 256, 512, 1024, 2048, 4096)
CHANNELS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def of_side(n: int) -> dict[str, float]:
    """Median times [s] of one 4f system, and of its bare transforms."""
    bench, picture = single(n)
    field = picture.to(torch.complex64)
    calls = {
        "FFTs": lambda: (torch.fft.rfft2(picture), torch.fft.ifft2(field)),
        "FourF": lambda: bench.intensity(picture),
    }
    return interleaved(calls, 1.0)


def of_channels(count: int, n: int = 224) -> dict[str, float]:
    """Median times [s] of a bank of complex kernels, and of the bare transforms of its outputs."""
    kernels = torch.randn(count, 1, 7, 7, dtype=torch.complex64)
    bench = FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, KernelMask(kernels, trainable=False))
    picture, spectrum = torch.rand(1, n, n), torch.randn(count, n, n, dtype=torch.complex64)
    calls = {"FFTs": lambda: torch.fft.ifft2(spectrum), "FourF": lambda: bench.intensity(picture)}
    return interleaved(calls, 1.0)


def exponent(sizes: list[int], times: list[float]) -> float:
    """Slope of the large half of a curve on logarithmic axes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half:]), np.log(times[half:]), 1)[0])


def main() -> None:
    """Measure, fit, print, and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.no_grad():
        sides = {n: of_side(n) for n in SIDES}
        channels = {count: of_channels(count) for count in CHANNELS}
    wanted = exponent(list(SIDES), [n**2 * np.log2(n) for n in SIDES])
    curves = {"samples N x N": sides, "output channels C, N = 224": channels}
    table = Table(title=f"fitted exponents; N^2 log N itself has {wanted:.2f} here, C has 1")
    for column in ("against", "bare FFTs", "FourF"):
        table.add_column(column)
    fits: dict[str, dict[str, float]] = {}
    for name, times in curves.items():
        fits[name] = {
            who: exponent(list(times), [t[who] for t in times.values()]) for who in ("FFTs", "FourF")
        }
        table.add_row(name, *(f"{value:.2f}" for value in fits[name].values()))
    Console().print(table)
    if arguments.png:
        save(show_scaling(curves, {"samples N x N": lambda n: n**2 * np.log2(n)}), arguments.png)
    if arguments.json:
        header = {"threads": arguments.threads, "machine": machine("cpu"), "versions": versions()}
        write_json(arguments.json, {**header, "seconds": curves, "exponents": fits})


if __name__ == "__main__":
    main()
