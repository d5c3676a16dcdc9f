"""How far one 4f system, and a bank of them, are from the bare FFTs that they need.

Medians of interleaved runs in one process; what counts are the ratios. Run it on a quiet machine:

    python benchmarks/engine.py [--json FILE] [--threads 2] [--sizes 256,512,1024]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from optics4f import ComplexMask, FourF, Grid, KernelMask
from optics4f.files import write_json
from optics4f.models.report import machine, versions
from optics4f.units import mm, nm, um

Calls = dict[str, Callable[[], Any]]


def interleaved(calls: Calls, seconds: float = 2.0) -> dict[str, float]:
    """Median time of each call [s]; they take turns, so that a disturbance meets all of them."""
    for call in calls.values():
        call()
    samples: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, samples.values())) < 5:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            samples[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in samples.items()}


def one_system(n: int) -> Calls:
    """A complex mask, a real picture in, its intensity out, beside the FFTs and the plain three lines."""
    picture = torch.rand(1, n, n)
    values = torch.polar(torch.rand(1, 1, n, n), 6 * torch.rand(1, 1, n, n))
    bench = FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, ComplexMask(values))
    field, mask = picture.to(torch.complex64), values[0, 0]
    return {
        "FFTs": lambda: (torch.fft.rfft2(picture), torch.fft.ifft2(field)),
        "plain torch": lambda: torch.fft.ifft2(torch.fft.fft2(field) * mask).abs().square(),
        "FourF": lambda: bench.intensity(field),
    }


def bank(n: int, batch: int = 4, inputs: int = 3, outputs: int = 64, stop: int | None = None) -> Calls:
    """A bank of masks, intensity out, beside the bare inverse FFTs of its outputs."""
    bench = FourF(
        Grid((n, n), 8 * um),
        532 * nm,
        100 * mm,
        KernelMask(torch.randn(outputs, inputs, 7, 7), trainable=False),
        stop=None if stop is None else (stop, stop),
    )
    m = stop or n
    field = torch.rand(batch, inputs, n, n).to(torch.complex64)
    spectrum = torch.randn(batch, outputs, m, m, dtype=torch.complex64)
    transfer = bench.transfer()

    def plain() -> torch.Tensor:
        product = torch.einsum("oihw,bihw->bohw", transfer, torch.fft.fft2(field)[..., :m, :m])
        return torch.fft.ifft2(product).abs().square()

    return {
        "FFTs": lambda: torch.fft.ifft2(spectrum),
        "plain torch": plain,
        "FourF": lambda: bench.intensity(field),
    }


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default="256,512,1024,1021,2048", help="sides of the single system")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cases = {f"one mask, N = {n}": one_system(int(n)) for n in arguments.sizes.split(",")}
    cases["bank 3 -> 64, N = 224, batch 4"] = bank(224)
    cases["the same, stop 27"] = bank(224, stop=27)
    table = Table(title=f"float32, {arguments.threads} threads, no gradient, medians in ms")
    for column in ("case", "FFTs", "plain torch", "FourF", "FourF / FFTs"):
        table.add_column(column, justify="left" if column == "case" else "right")
    found: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        for name, calls in cases.items():
            found[name] = times = interleaved(calls)
            cells = [f"{1e3 * times[key]:.2f}" for key in ("FFTs", "plain torch", "FourF")]
            table.add_row(name, *cells, f"{times['FourF'] / times['FFTs']:.2f}")
    Console().print(table)
    if arguments.json:
        header = {"threads": arguments.threads, "machine": machine("cpu"), "versions": versions()}
        write_json(arguments.json, {**header, "seconds": found})


if __name__ == "__main__":
    main()
