"""Forward time of AlexNet beside collapsed SCLCs of one picture, each as ``deployed`` makes it.

All run in one process with the same threads and take turns. AlexNet reads 244 MB of weights for each picture;
a student's stay in the processor's cache, as they would in use, so each turn of it is many calls in a row.

    python benchmarks/sclc.py [--json FILE] [--threads 2] [--sizes 32,64,128,224,512,1024] [--seconds 20]
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
from torch import Tensor, nn

from optics4f.files import write_json
from optics4f.models.fast import deployed
from optics4f.models.report import machine, versions
from optics4f.models.sclc import SCLC, StudentDesign

CALLS = 50  # of a student in one turn
TARGETS = {"detected": 60, "strict": 100}


def alexnet(classes: int = 1000) -> nn.Sequential:
    """AlexNet as torchvision has it: 61 100 840 parameters for 1000 classes."""
    convolutions: list[nn.Module] = []
    for inputs, outputs, kernel, stride, padding, pool in (
        (3, 64, 11, 4, 2, True),
        (64, 192, 5, 1, 2, True),
        (192, 384, 3, 1, 1, False),
        (384, 256, 3, 1, 1, False),
        (256, 256, 3, 1, 1, True),
    ):
        convolutions += [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU(inplace=True)]
        convolutions += [nn.MaxPool2d(3, 2)] if pool else []
    return nn.Sequential(
        *convolutions,
        nn.AdaptiveAvgPool2d(6),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(256 * 36, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Linear(4096, classes),
    ).eval()


def collapsed(readout: str, n: int) -> SCLC:
    """What any cascade 3 -> ... -> 256 with a last stop of 13 x 13 collapses to, before n x n samples."""
    design = StudentDesign(
        readout, (n, n), channels=(3, 256), kernel_sizes=(7,), stops=(13,), pixels=13, classes=10
    )
    return SCLC(design).eval().collapse()


def turns(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, list[float]]:
    """Times of single calls [s]; the networks take turns, a student with :data:`CALLS` calls in each."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, samples.values())) < 5:
        for name, call in calls.items():
            call()  # what another one left in the cache is gone
            for _ in range(1 if name == "AlexNet" else CALLS):
                start = time.perf_counter()
                call()
                samples[name].append(time.perf_counter() - start)
    return samples


def networks(n: int) -> tuple[dict[str, Callable[[], Any]], float]:
    """All of them on one picture, and the largest difference of a deployed student's logits from its own."""
    picture = torch.rand(1, 3, n, n)
    cnn = alexnet() if n >= 63 else None  # smaller pictures do not survive its three pools
    calls: dict[str, Callable[[], Any]] = {} if cnn is None else {"AlexNet": lambda: cnn(picture)}
    apart = 0.0
    for readout in TARGETS:
        student = collapsed(readout, n)
        fast = deployed(student)
        with torch.no_grad():
            apart = max(apart, _difference(fast(picture), student(picture)))
        calls[f"{readout}, as trained"] = lambda s=student: s(picture)
        calls[readout] = lambda f=fast: f(picture)
    return calls, apart


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


def summary(samples: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median and least of each."""
    return {
        name: {"median": statistics.median(times), "least": min(times)} for name, times in samples.items()
    }


def main() -> None:
    """Measure, print the table, and write the numbers where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default="32,64,128,224,512,1024", help="sides of the picture")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each size")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    found, apart = {}, {}
    for n in map(int, arguments.sizes.split(",")):
        calls, apart[n] = networks(n)
        with torch.inference_mode():
            found[n] = summary(turns(calls, arguments.seconds))
    console = Console(width=120)
    console.print(f"float32, {arguments.threads} threads, {machine('cpu')}, torch {torch.__version__}")
    console.print(table(found))
    console.print(f"deployed and student differ by at most {max(apart.values()):.0e} of the largest logit")
    if arguments.json:
        header = {"threads": arguments.threads, "machine": machine("cpu"), "versions": versions()}
        write_json(arguments.json, {**header, "seconds": found, "differences": apart, "targets": TARGETS})


def table(found: dict[int, dict[str, dict[str, float]]]) -> Table:
    """Times in ms, median (least), and how many times faster than AlexNet by both."""
    result = Table(title="one picture, ms: median (least)", title_justify="left")
    names = ["AlexNet", *(f"{readout}{end}" for readout in TARGETS for end in (", as trained", ""))]
    for name in ["size", *names, *(f"AlexNet / {readout}" for readout in TARGETS)]:
        result.add_column(name, justify="right")
    for n, row in found.items():
        cells = [
            f"{1e3 * row[name]['median']:.3f} ({1e3 * row[name]['least']:.3f})" if name in row else "-"
            for name in names
        ]
        ratios = [
            " (".join(f"{row['AlexNet'][kind] / row[readout][kind]:.0f}" for kind in ("median", "least"))
            + ")"
            if "AlexNet" in row
            else "-"
            for readout in TARGETS
        ]
        result.add_row(str(n), *cells, *ratios)
    return result


if __name__ == "__main__":
    main()
