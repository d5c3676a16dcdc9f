"""How far one 4f system, and a bank of them, are from the bare FFTs that they need; and how far back it is.

Medians of interleaved runs in one process; what counts are the ratios. Run it on a quiet machine:

    python benchmarks/engine.py [--json FILE] [--threads 2] [--sizes 256,512,1024]
"""

from __future__ import annotations

import argparse
import ctypes
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
from optics4f.transduction.measurement import take_turns
from optics4f.units import mm, nm, um

Calls = dict[str, Callable[[], Any]]


def interleaved(calls: Calls, seconds: float = 2.0) -> dict[str, float]:
    """Median time of each call [s]; they take turns, so that a disturbance meets all of them."""
    return {name: statistics.median(values) for name, values in take_turns(calls, seconds).items()}


def beside(bench: FourF, picture: torch.Tensor) -> Calls:
    """A real picture in and its intensity out, beside the plain lines and the FFTs it cannot do without.

    These are a real transform of the picture and a complex inverse one for a single mask, and the inverse
    transforms of the outputs alone for a bank.
    """
    with torch.no_grad():
        transfer = bench.transfer()
    outputs, inputs, height, width = transfer.shape
    spectrum = torch.randn(*picture.shape[:-3], outputs, height, width, dtype=torch.complex64)

    def plain() -> torch.Tensor:
        before = torch.fft.fft2(picture)[..., :height, :width]
        product = before * transfer[0] if inputs == 1 else torch.einsum("oihw,bihw->bohw", transfer, before)
        return torch.fft.ifft2(product).abs().square()

    floor = (
        (lambda: (torch.fft.rfft2(picture), torch.fft.ifft2(spectrum)))
        if inputs == 1
        else (lambda: torch.fft.ifft2(spectrum))
    )
    return {"FFTs": floor, "plain torch": plain, "FourF": lambda: bench.intensity(picture)}


def gradients(calls: dict[str, tuple[FourF, torch.Tensor]], rounds: int = 12) -> dict[str, dict[str, float]]:
    """Median time forward (recorded) and backward, to the picture, of a sum over the intensity [s]."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (bench, picture) in calls.items():
            picture.requires_grad_().grad = None
            start = time.perf_counter()
            seen = bench.intensity(picture)
            middle = time.perf_counter()
            seen.backward(torch.ones_like(seen))
            samples[name].append((middle - start, time.perf_counter() - middle))
    return {
        name: dict(
            zip(("forward", "backward"), map(statistics.median, zip(*pairs, strict=True)), strict=True)
        )
        for name, pairs in samples.items()
    }


def memory(call: Callable[[], torch.Tensor]) -> float:
    """Largest memory in use during a call, over the bytes of its result; Linux only."""
    result = call()  # what is kept is kept now
    size = result.element_size() * result.numel()
    del result
    ctypes.CDLL(None).malloc_trim(0)  # what the allocator holds back would hide what the call needs
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    call()
    return (_status("VmHWM") - before) / size


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])


def single(n: int) -> tuple[FourF, torch.Tensor]:
    """One mask, and a picture."""
    values = torch.polar(torch.rand(1, 1, n, n), 6 * torch.rand(1, 1, n, n))
    return FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, ComplexMask(values)), torch.rand(1, n, n)


def many(
    n: int, batch: int = 4, stop: int | None = None, complex_masks: bool = False
) -> tuple[FourF, torch.Tensor]:
    """A bank 3 -> 64, and a batch of pictures."""
    kernels = torch.randn(64, 3, 7, 7, dtype=torch.complex64 if complex_masks else torch.float32)
    masks = KernelMask(kernels, trainable=False)
    opening = None if stop is None else (stop, stop)
    return FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, masks, stop=opening), torch.rand(batch, 3, n, n)


def main() -> None:
    """Measure, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default="256,512,1024,1021,2048", help="sides of the single system")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cases = {f"one mask, N = {n}": beside(*single(int(n))) for n in arguments.sizes.split(",")}
    cases["bank 3 -> 64, N = 224, batch 4"] = beside(*many(224))
    cases["the same, complex kernels"] = beside(*many(224, complex_masks=True))
    cases["the same, stop 27"] = beside(*many(224, stop=27))
    with torch.no_grad():
        found = {name: interleaved(calls) for name, calls in cases.items()}
        held = memory(cases["bank 3 -> 64, N = 224, batch 4"]["FourF"])
    back = gradients({"one mask, N = 1024": single(1024), "bank 3 -> 64, N = 224, batch 4": many(224)})
    console = Console(width=110)
    console.print(f"float32, {arguments.threads} threads, {machine('cpu')}, torch {torch.__version__}")
    console.print(ratio_table("no gradient, medians in ms", found, "FFTs", "FourF"))
    console.print(ratio_table("with the gradient of the picture, medians in ms", back, "forward", "backward"))
    console.print(f"memory of the bank: {held:.2f} x its output")
    if arguments.json:
        header = {"threads": arguments.threads, "machine": machine("cpu"), "versions": versions()}
        write_json(arguments.json, {**header, "seconds": found, "gradients": back, "memory": held})


def ratio_table(title: str, times: dict[str, dict[str, float]], floor: str, ours: str) -> Table:
    """Times in ms, and the ratio of two of them."""
    table = Table(title=title, title_justify="left")
    table.add_column("case")
    for name in [*next(iter(times.values())), f"{ours} / {floor}"]:
        table.add_column(name, justify="right")
    for case, row in times.items():
        cells = [f"{1e3 * seconds:.2f}" for seconds in row.values()]
        table.add_row(case, *cells, f"{row[ours] / row[floor]:.2f}")
    return table


if __name__ == "__main__":
    main()
