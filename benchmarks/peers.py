"""How fast and how exact the engine is beside other simulators of light, those that are installed.

Medians of interleaved runs in one process; what counts are the ratios. Each side is built once and called
often; what a simulator builds at every call counts. NumPy's transforms use one thread whatever is asked for.
Run it on a quiet machine, from the top of the repository:

    OMP_NUM_THREADS=2 python -m benchmarks.peers [--json FILE] [--threads 2] [--samples 1024] [--seconds 10]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.engine import Calls, interleaved
from benchmarks.peer_adapters import PEERS, Array, Call, Light, Peer, peers
from optics4f import ComplexMask, FourF, Grid
from optics4f.elements import FreeSpace, ThinLens
from optics4f.files import write_json
from optics4f.fourier import crop_center, pad_center
from optics4f.models.report import machine, versions
from optics4f.units import m

Times = dict[str, float]  # median of each call [s]
Errors = dict[str, float]  # largest difference over the largest field
WAVELENGTH, SPACING, FOCAL_LENGTH = 532e-9, 8e-6, 0.1


def installed(kind: str) -> list[Peer]:
    """The ways of one kind whose simulator imports here."""
    return [peer for peer in peers(kind) if _imports(peer.module)]


def _imports(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def single_precision() -> None:
    """Simulators with a setting for it compute in float32; the others follow the field, or do not."""
    if _imports("torchoptics"):
        import_module("torchoptics").set_default_dtype(torch.float32)
    if _imports("poppy"):
        import_module("poppy").conf.double_precision = False
    if _imports("prysm"):
        import_module("prysm.conf").config.precision = 32


def ideal_calls(n: int) -> Calls:
    """Ideal lenses, a complex mask, a real picture in and its intensity out."""
    light = Light(n, SPACING, WAVELENGTH, FOCAL_LENGTH)
    picture = torch.rand(1, n, n)
    values = torch.polar(torch.rand(n, n), 6 * torch.rand(n, n))
    bank = ComplexMask(values[None, None])
    bench = FourF(Grid((n, n), SPACING * m), WAVELENGTH * m, FOCAL_LENGTH * m, bank)
    calls: Calls = {
        "optics4f": lambda: bench.intensity(picture),
        "plain torch": lambda: (
            torch.fft.ifft2(torch.fft.fft2(picture[0].to(values.dtype)) * values).abs().square()
        ),
    }
    for peer in installed("lens"):
        call = peer.build(light, values.numpy())
        calls[peer.name] = partial(_intensity, call, picture[0].numpy())
    return calls


def _intensity(call: Call, picture: Array) -> Array:
    return np.asarray(np.abs(call(picture.astype(np.complex64))) ** 2)


def wave_scene(n: int) -> tuple[Light, Array, Array]:
    """Lines in a Gaussian beam, and a soft spot of phase contrast; light stays inside of the plane.

    With 1024 samples: a plane of 8.2 mm, a beam of 1 mm, 98.6 mm of focal length, lenses of 6 mm.
    """
    width = n * SPACING
    light = Light(n, SPACING, WAVELENGTH, 0.8 * width * SPACING / WAVELENGTH, 0.7305 * width)
    x = (np.arange(n) - n // 2) * SPACING
    beam, spot = (np.exp(-(x[:, None] ** 2 + x**2) / (width / part) ** 2) for part in (16, 40))
    lines = 1 + 0.5 * np.cos(2 * np.pi * (x + 0.3 * x[:, None]) / (15 * SPACING))
    return light, lines * beam + 0j, 1 + (0.3j - 1) * spot


def own_wave(light: Light, mask: Array, method: str, dtype: torch.dtype, padding: int = 1) -> Call:
    """Space, lens, space, mask, space, lens, space by the engine's elements."""
    n = light.samples
    shape = (padding * n, padding * n)
    grid = Grid(shape, light.spacing * m)
    space = FreeSpace(grid, light.wavelength * m, light.focal_length * m, method)
    diameter = None if light.diameter is None else light.diameter * m
    lens = ThinLens(grid, light.wavelength * m, light.focal_length * m, diameter)
    screen = pad_center(torch.from_numpy(mask).to(dtype), shape)

    def call(field: Array) -> Array:
        start: Tensor = pad_center(torch.from_numpy(field).to(dtype), shape)
        end = space(lens(space(screen * space(lens(space(start))))))
        return np.asarray(crop_center(end, (n, n)).numpy())

    return call


def wave_calls(n: int) -> tuple[Calls, Errors]:
    """Four free spaces and two lenses with stops: the calls, and the error of each.

    The reference is the angular spectrum in float64 on a plane twice as wide. A Fresnel row holds the error
    of that approximation as well.
    """
    light, field, mask = wave_scene(n)
    reference = own_wave(light, mask, "angular_spectrum", torch.complex128, padding=2)(field)
    small = mask.astype(np.complex64)
    built: dict[str, Callable[[Array], Array]] = {
        f"optics4f, {method}": own_wave(light, mask, method, torch.complex64)
        for method in ("angular_spectrum", "fresnel")
    }
    for peer in (*installed("space"), *(p for p in installed("fresnel") if not p.own_planes)):
        method = "fresnel" if peer.kind == "fresnel" else "angular_spectrum"
        built[f"{peer.name}, {method}{' padded' if peer.padding > 1 else ''}"] = peer.build(light, small)
    single = field.astype(np.complex64)
    errors = {name: _error(call(single), reference) for name, call in built.items()}
    return {name: partial(call, single) for name, call in built.items()}, errors


def _error(got: Array, expected: Array) -> float:
    phase = np.vdot(expected, got)
    return float(np.abs(got * phase.conj() / abs(phase) - expected).max() / np.abs(expected).max())


def tables(times: Times, errors: Errors, wave: Times, precision: dict[str, str]) -> list[Table]:
    """One table for each fidelity."""
    ideal = Table("simulator", "result", "ms", "beside optics4f", title="ideal lenses, picture to intensity")
    for name, seconds in times.items():
        cells = f"{1e3 * seconds:.2f}", f"{seconds / times['optics4f']:.2f}"
        ideal.add_row(name, precision[name], *cells)
    columns = ("simulator", "result", "ms", "beside optics4f", "error")
    real = Table(*columns, title="space and thin lenses with stops")
    for name, seconds in wave.items():
        cells = f"{1e3 * seconds:.1f}", f"{seconds / wave['optics4f, angular_spectrum']:.2f}"
        real.add_row(name, precision[name], *cells, f"{errors[name]:.1e}")
    return [ideal, real]


def main() -> None:
    """Measure, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each of the two tables, at least")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    target = None if arguments.json is None else arguments.json.resolve()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        os.chdir(folder)  # odak writes a log into the folder where it is imported
        single_precision()
        ideal = ideal_calls(arguments.samples)
        calls, errors = wave_calls(arguments.samples)
        precision = {name: str(call().dtype).split(".")[-1] for name, call in {**ideal, **calls}.items()}
        times, wave = interleaved(ideal, arguments.seconds), interleaved(calls, arguments.seconds)
    console = Console()
    for table in tables(times, errors, wave, precision):
        console.print(table)
    if target:
        header = {"threads": arguments.threads, "samples": arguments.samples, "machine": machine("cpu")}
        peer_versions = {peer.module: version(peer.module) for peer in PEERS if _imports(peer.module)}
        found = {"seconds": {"ideal": times, "wave": wave}, "errors": errors, "results": precision}
        write_json(target, {**header, "versions": {**versions(), **peer_versions}, **found})


if __name__ == "__main__":
    main()
