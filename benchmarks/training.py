"""One training step of an SCLC at 224 x 224 with AlexNet's channels: stage by stage, and by its collapse.

Medians of interleaved steps, forward and backward, in one process; what counts are the ratios. Stage by
stage, a batch of 16 takes some GB and seconds. Run it on a quiet machine:

    python benchmarks/training.py [--json FILE] [--threads 2] [--batch 16] [--rounds 5]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from engine import interleaved
from rich.console import Console
from rich.table import Table
from torch import Tensor

from optics4f import FourF, Grid, KernelMask
from optics4f.cascade import Cascade
from optics4f.files import write_json
from optics4f.models.patches import PatchStudent
from optics4f.models.report import machine, versions
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.spatial import cheaper_in_space, in_space
from optics4f.models.spectra import CollapsedStudent
from optics4f.units import mm, nm, um

ALEXNET = StudentDesign(
    shape=(224, 224),
    channels=(3, 64, 192, 384, 256, 256),
    kernel_sizes=(11, 5, 3, 3, 3),
    stops=(113, 55, 27, 27, 13),
    pixels=13,
)
Calls = dict[str, Callable[[], Any]]


def student_of(design: StudentDesign, fused: bool) -> SCLC:
    """The same student, computed through the product of its stages or stage by stage."""
    student = SCLC(design)
    cast(Cascade, student.optics).fused = fused
    return student


def steps(batch: int) -> tuple[Calls, dict[str, SCLC]]:
    """One step each: pictures or spectra in, a loss, gradients of all parameters."""
    pictures, labels = torch.rand(batch, 3, 224, 224), torch.randint(10, (batch,))
    plain = student_of(ALEXNET, fused=False)
    students = {"stage by stage": plain, "fused": copy.deepcopy(plain), "collapsed": copy.deepcopy(plain)}
    cast(Cascade, students["fused"].optics).fused = True
    collapsed = CollapsedStudent(students["collapsed"])
    spectra = collapsed.spectra(pictures)

    def step(student: SCLC, logits: Callable[[], Tensor]) -> Tensor:
        student.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits(), labels)
        loss.backward()
        return loss.detach()

    def from_pictures() -> Tensor:
        return cast(Tensor, collapsed(collapsed.spectra(pictures)))

    calls: Calls = {name: lambda s=s: step(s, lambda: s(pictures)) for name, s in list(students.items())[:2]}
    calls["collapsed"] = lambda: step(students["collapsed"], from_pictures)
    calls["collapsed, spectra cached"] = lambda: step(students["collapsed"], lambda: collapsed(spectra))
    return calls, students


def first_steps(calls: Calls, students: dict[str, SCLC]) -> tuple[dict[str, float], dict[str, float]]:
    """Memory that a first step adds at its height [bytes], and how far its gradients are from stage by stage.

    Of these it is the largest difference of any parameter's gradient, relative to its norm.
    """
    held, gradients = {}, {}
    for name, student in students.items():
        held[name] = peak(calls[name])
        gradients[name] = [p.grad.clone() for p in student.parameters() if p.grad is not None]
    plain = gradients.pop("stage by stage")
    apart = {
        name: max(float((g - p).norm() / p.norm()) for g, p in zip(found, plain, strict=True))
        for name, found in gradients.items()
    }
    return held, apart


def peak(call: Callable[[], Any]) -> float:
    """Largest memory in use during a call, beyond what there was before [bytes]; Linux only."""
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    call()
    return status("VmHWM") - before


def status(key: str) -> int:
    """A line of this process's status [bytes]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def in_turn(calls: Calls, rounds: int) -> dict[str, dict[str, float]]:
    """Median and least time of each call [s]; they take turns."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            samples[name].append(time.perf_counter() - start)
    return {name: {"median": statistics.median(v), "least": min(v)} for name, v in samples.items()}


def in_space_cases(seconds: float) -> list[dict[str, Any]]:
    """A bank without a stop, forward and backward, in space and by transforms, and what the model says."""
    rows = []
    for inputs, outputs, n, kernel in (
        (1, 8, 64, 3),
        (3, 16, 64, 5),
        (16, 16, 32, 3),
        (3, 16, 64, 15),
        (16, 16, 32, 9),
    ):
        masks = KernelMask(torch.randn(outputs, inputs, kernel, kernel))
        stage = FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, masks, combiner="bound")
        field = torch.rand(8, inputs, n, n)
        ways: Calls = {
            "space": lambda s=stage, f=field: in_space(s, f).square().sum().backward(),
            "transforms": lambda s=stage, f=field: s.intensity(f).sum().backward(),
        }
        case = f"{inputs} -> {outputs}, {n} x {n}, kernels {kernel} x {kernel}"
        chosen = "space" if cheaper_in_space(stage, real=True) else "transforms"
        rows.append({"case": case, **interleaved(ways, seconds), "chosen": chosen})
    return rows


def patch_cases(rounds: int) -> dict[str, dict[str, float]]:
    """A step of a bank of 3 -> 64 complex 7 x 7 kernels behind the square law: by elements, by patches."""
    design = StudentDesign(
        channels=(3, 64),
        kernel_sizes=(7,),
        stops=(32,),
        pixels=8,
        companding="fourth_root",
        reference=True,
        complex_kernels=True,
    )
    pictures, labels = torch.rand(100, 3, 32, 32), torch.randint(10, (100,))
    ways: dict[str, torch.nn.Module] = {"elements": SCLC(design)}
    for stride, name in ((1, "patches"), (2, "patches, every second sample")):
        ways[name] = PatchStudent(SCLC(design), pictures, 64, stride)

    def step(network: torch.nn.Module) -> None:
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(pictures), labels).backward()

    return in_turn({name: partial(step, network) for name, network in ways.items()}, rounds)


def main() -> None:
    """Measure, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5, help="steps of each way that are timed")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    calls, students = steps(arguments.batch)
    held, apart = first_steps(calls, students)
    times = in_turn(calls, arguments.rounds)
    spaces = in_space_cases(1.0)
    patches = patch_cases(arguments.rounds)
    console = Console(width=110)
    console.print(f"float32, {arguments.threads} threads, {machine('cpu')}, torch {torch.__version__}")
    console.print(step_table(arguments.batch, times, held, apart))
    console.print(space_table(spaces))
    console.print(patch_table(patches))
    if arguments.json:
        header = {"threads": arguments.threads, "batch": arguments.batch, "machine": machine("cpu")}
        found = {"seconds": times, "bytes": held, "gradients": apart, "space": spaces, "patches": patches}
        write_json(arguments.json, {**header, "versions": versions(), **found})


def step_table(
    batch: int, times: dict[str, dict[str, float]], held: dict[str, float], apart: dict[str, float]
) -> Table:
    """Times, memory and gradients of the ways to take a step."""
    table = Table(title=f"one step, 224 x 224, batch {batch}, forward and backward", title_justify="left")
    for name in ("way", "ms: median (least)", "times faster", "MB", "gradients differ by"):
        table.add_column(name, justify="left" if name == "way" else "right")
    slowest = times["stage by stage"]
    for name, row in times.items():
        faster = f"{slowest['median'] / row['median']:.1f} ({slowest['least'] / row['least']:.1f})"
        memory = f"{held[name] / 1e6:.0f}" if name in held else ""
        other = f"{apart[name]:.0e}" if name in apart else ""
        table.add_row(name, f"{1e3 * row['median']:.0f} ({1e3 * row['least']:.0f})", faster, memory, other)
    return table


def space_table(rows: list[dict[str, Any]]) -> Table:
    """Both ways for banks without a stop."""
    table = Table(title="a bank without a stop, batch 8, forward and backward, ms", title_justify="left")
    for name in ("case", "space", "transforms", "chosen"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row["case"], *(f"{1e3 * row[way]:.2f}" for way in ("space", "transforms")), row["chosen"]
        )
    return table


def patch_table(times: dict[str, dict[str, float]]) -> Table:
    """Times of the ways to train a bank behind the square law."""
    title = "one bank of 7 x 7 kernels behind the square law, 32 x 32, batch 100, forward and backward"
    table = Table(title=title, title_justify="left")
    for name in ("way", "ms: median", "times faster"):
        table.add_column(name, justify="left" if name == "way" else "right")
    slowest = times["elements"]["median"]
    for name, row in times.items():
        table.add_row(name, f"{1e3 * row['median']:.0f}", f"{slowest / row['median']:.1f}")
    return table


if __name__ == "__main__":
    main()
