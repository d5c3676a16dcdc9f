"""How long one layer takes against the side of its picture: CNN, SCLC layer by layer, SCLC collapsed.

Shared by table1 and fig3, which show the same times.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from optics4f import FourF, Grid, KernelMask
from optics4f.elements import LowPassStop
from optics4f.elements.stops import spectral_pool
from optics4f.files import write_json
from optics4f.fourier import crop_center
from optics4f.transduction import preset_case
from optics4f.transduction.measurement import take_turns
from optics4f.transduction.sweep import at_input
from optics4f.units import mm, nm, um

from ..fast import deployed
from ..processes import THREADS, one_thread
from ..sclc import SCLC, StudentDesign
from .record import Options

FILE = "complexity.json"
COLLAPSED, LIGHT, OPTICAL = (
    "SCLC, all layers collapsed",
    "OSCLC, light alone",
    "OSCLC, with link and back end",
)

Calls = dict[str, Callable[[], Any]]
Times = dict[int, dict[str, float]]


@dataclass(frozen=True)
class Setting:
    """What is timed.

    Attributes:
        inputs: Channels of the layer's picture.
        outputs: Channels behind it.
        kernel: Side of its kernels.
        masks: Of the collapsed student, for each colour.
        stop: Side of its stop and its sensor [samples].
        sizes: Sides of the picture.
        fit_from: The smallest side that counts for the exponent; below, fixed costs do.
        seconds: Time for each side and each of the two kinds of layer [s].
        turn: The least time of a turn [s]; shorter calls are repeated within it.
        device: Where.
    """

    inputs: int = 8
    outputs: int = 16
    kernel: int = 5
    masks: int = 256
    stop: int = 13
    sizes: tuple[int, ...] = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
    fit_from: int = 128
    seconds: float = 4.0
    turn: float = 2e-4
    device: str = "cpu"


def setting(options: Options) -> Setting:
    """``cpu``: few channels. ``full``: those of AlexNet's second convolution, 64 -> 192, 5x5."""
    if options.preset == "full":
        return Setting(inputs=64, outputs=192, device=options.device)
    return Setting(device=options.device)


class Row(NamedTuple):
    """An operation of Table I, and what the paper claims of it."""

    structure: str
    name: str
    claim: str
    measured: bool = True


ROWS = (
    Row("convolution", "CNN, conv2d", "O(HWk²)"),
    Row("convolution", "SCLC, FFT, masks, inverse FFT", "O(HW log(HW))"),
    Row("convolution", "SCLC, masks alone", "O(HW log(HW))"),
    Row("convolution", COLLAPSED, ""),
    Row("convolution", LIGHT, "O(1)", measured=False),
    Row("convolution", OPTICAL, "", measured=False),
    Row("pooling", "CNN, max-pool", "O(HWk²)"),
    Row("pooling", "SCLC, FFT, crop, inverse FFT", "O(k² log(k²))"),
    Row("pooling", "SCLC, crop as a view", "O(1)"),
    Row("pooling", "SCLC, crop written out", "O(1)"),
)
"""Table I of the paper, its claims letter by letter; where it has none there is no text."""

LAWS: dict[str, Callable[[float, int], float]] = {
    "O(HWk²)": lambda n, k: n * n * k * k,
    "O(HW log(HW))": lambda n, _: n * n * math.log(n * n),
    "O(k² log(k²))": lambda _, k: k * k * math.log(k * k),
    "O(1)": lambda _n, _k: 1.0,
}


class Exponent(NamedTuple):
    """Slope of a curve on logarithmic axes, and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.error:.2f}"


def exponent(sizes: Sequence[float], times: Sequence[float]) -> Exponent:
    r"""The exponent p of :math:`t = a N^p`, by least squares on logarithms.

    Its standard error, :math:`\sqrt{\sum r^2 / (n-2) / \sum (x - \bar x)^2}` with the residuals r, counts the
    scatter of the points, and also that a curve is no power law.

    Raises:
        ValueError: If there are fewer than three points, or a size or a time is not above 0.

    Example:
        >>> print(exponent([1, 2, 4], [3, 12, 48]))
        2.00 ± 0.00
    """
    if len(sizes) != len(times) or len(sizes) < 3 or min(*sizes, *times) <= 0:
        raise ValueError(
            f"exponent: expected three or more sizes and times above 0, got {sizes} and {times}."
        )
    x, y = np.log(np.asarray(sizes, dtype=float)), np.log(np.asarray(times, dtype=float))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    residuals = y - y.mean() - slope * (x - x.mean())
    return Exponent(slope, math.sqrt(float((residuals**2).sum()) / (len(x) - 2) / spread))


def claimed_exponent(claim: str, sizes: Sequence[int], kernel: int) -> float:
    """The exponent that a claimed formula itself has over these sizes."""
    return exponent(sizes, [LAWS[claim](n, kernel) for n in sizes]).value


def measured(options: Options) -> tuple[Setting, Times]:
    """Median times [s] by side and name: those that the folder of the runs has for these settings, or new."""
    what, path = setting(options), options.runs / FILE
    header = json.loads(json.dumps({"setting": asdict(what), "threads": THREADS}))
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if {key: kept.get(key) for key in header} != header:
        kept = {**header, "seconds": {}}
    for n in what.sizes:
        if str(n) not in kept["seconds"]:
            with one_thread():
                kept["seconds"][str(n)] = of_side(n, what)
            write_json(path, kept)  # after each size: an interruption costs one
    return what, {int(n): {**row, **optical(int(n))} for n, row in kept["seconds"].items()}


def of_side(n: int, what: Setting) -> dict[str, float]:
    """Median time of every operation that is measured [s]; the two kinds of layer are timed apart."""
    found: dict[str, float] = {}
    clock = clock_of(what.device)
    for build in (convolutions, poolings):
        calls = {name: waiting(call, what.device) for name, call in build(n, what).items()}
        with torch.inference_mode():
            samples = take_turns(calls, what.seconds, clock, what.turn)
        found |= {name: statistics.median(values) for name, values in samples.items()}
    return found


def convolutions(n: int, what: Setting) -> Calls:
    """One layer ``inputs`` -> ``outputs`` in three ways, and a whole collapsed student beside it."""
    kernels = torch.randn(what.outputs, what.inputs, what.kernel, what.kernel, device=what.device)
    picture = torch.rand(1, what.inputs, n, n, device=what.device)
    field = picture.to(torch.complex64)
    masks = KernelMask(kernels.cpu(), trainable=False)
    bench = FourF(Grid((n, n), 8 * um), 532 * nm, 100 * mm, masks, combiner="bound").to(what.device)
    transfer = bench.transfer().detach()
    student = collapsed(n, what).to(what.device)
    colours = torch.rand(1, 3, n, n, device=what.device)
    return {
        "CNN, conv2d": lambda: conv2d(picture, kernels, padding=what.kernel // 2),
        "SCLC, FFT, masks, inverse FFT": lambda: bench(field),
        "SCLC, masks alone": lambda: _masked(field, transfer),
        COLLAPSED: lambda: student(colours),
    }


def collapsed(n: int, what: Setting) -> nn.Module:
    """What a cascade 3 -> ... -> ``masks`` with this last stop is deployed as, detector and back end too."""
    design = StudentDesign(
        "detected",
        (n, n),
        channels=(3, what.masks),
        kernel_sizes=(7,),
        stops=(what.stop,),
        pixels=what.stop,
    )
    return deployed(SCLC(design).eval().collapse())


def poolings(n: int, what: Setting) -> Calls:
    """One layer that halves the side: 3x3 with stride 2 as in AlexNet, and what stands for it in optics."""
    picture = torch.rand(1, what.outputs, n, n, device=what.device)
    spectrum = picture.to(torch.complex64)
    half = (n // 2, n // 2)
    stop = LowPassStop(half)
    return {
        "CNN, max-pool": lambda: max_pool2d(picture, 3, 2, padding=1),
        "SCLC, FFT, crop, inverse FFT": lambda: spectral_pool(picture, half),
        "SCLC, crop as a view": lambda: crop_center(spectrum, half),
        "SCLC, crop written out": lambda: stop(spectrum),
    }


def optical(n: int) -> dict[str, float]:
    """Estimated times of the OSCLC [s]: the paper's case, with N x N pixels on sensor and link."""
    budget = at_input(preset_case("paper-2022"), n).budget()
    light = sum(stage.duration for stage in budget.stages if stage.kind == "optics")
    return {LIGHT: light, OPTICAL: budget.total_s}


def described(what: Setting) -> dict[str, Any]:
    """The setting and how it was timed, ready for JSON."""
    clock = "time of this process" if what.device == "cpu" else "wall clock"
    times = f"medians of calls that take turns, {clock}"
    return {**asdict(what), "times": times, "dtype": "float32", "threads": THREADS}


def exponents(what: Setting, times: Mapping[int, Mapping[str, float]]) -> dict[str, Exponent]:
    """Fitted exponents of every operation, from ``fit_from`` on."""
    sizes = [n for n in times if n >= what.fit_from]
    return {row.name: exponent(sizes, [times[n][row.name] for n in sizes]) for row in ROWS}


def _masked(spectrum: Tensor, transfer: Tensor) -> Tensor:
    """Masks and coherent sum, input by input, as a 4f system computes them."""
    total = spectrum[:, :1] * transfer[:, 0]
    for i in range(1, transfer.shape[1]):
        total.addcmul_(spectrum[:, i : i + 1], transfer[:, i])
    return total


def clock_of(device: str) -> Callable[[], float]:
    """On a CPU the time of this process counts, whatever else the machine does; elsewhere all time does."""
    return time.process_time if device == "cpu" else time.perf_counter


def waiting(call: Callable[[], Any], device: str) -> Callable[[], Any]:
    """The call with its end: a GPU returns before its work is done."""
    if not device.startswith("cuda"):
        return call

    def waited() -> None:
        call()
        torch.cuda.synchronize(device)

    return waited
