"""How fast masks become GDSII and OASIS, beside gdstk and KLayout drawing one rectangle per pixel.

Wall and processor time from a bank to the file on disk; best of a few runs. Run it on a quiet machine:

    python benchmarks/fabrication.py [--markdown FILE] [--json FILE] [--large]

KLayout's rows are there where its module can be imported (``pip install klayout``); it is GPL, and nothing in
the package needs it. ``--large`` adds 8192 x 8192 pixels, with a progress bar, in a process of its own, and
its peak memory.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gdstk
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from optics4f.fabrication import MaskBankData
from optics4f.fabrication.layout import pixel_edges, write_layout
from optics4f.fabrication.metasurface import posts_entry, write_posts
from optics4f.fabrication.posts import PostLibrary
from optics4f.fabrication.relief import etch_masks, phase_of_level, quantise_phase
from optics4f.files import write_json, write_text

PITCH, LEVELS = 8e-6, 16
SIDES = (256, 512, 1024, 2048)
HEAD = ("mask", "file", "wall time [s]", "processor time [s]", "size [MB]", "target")
Row = tuple[str, str, float, float, float, str]


def kernel_levels(n: int, seed: int = 0) -> NDArray[np.int64]:
    """Levels of the angle of the transform of a random 7 x 7 kernel, of n x n samples."""
    kernel = np.random.default_rng(seed).normal(size=(7, 7))
    reach = np.arange(7) - 3
    wave = np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, reach) / n)
    return quantise_phase(np.angle(wave @ kernel @ wave.T), LEVELS)


def noise_levels(n: int) -> NDArray[np.int64]:
    """Levels drawn for each pixel by itself."""
    return np.random.default_rng(1).integers(LEVELS, size=(n, n))


def bank_of(level: NDArray[np.int64]) -> MaskBankData:
    """A bank 1 -> C of masks of shape (C, H, W)."""
    return MaskBankData(
        np.exp(1j * phase_of_level(level[:, None], LEVELS)),
        pitch=(PITCH, PITCH),
        wavelength=532e-9,
        focal_length=0.1,
        second_focal_length=0.1,
        input_shape=level.shape[-2:],
        input_spacing=(PITCH, PITCH),
        refractive_index=1.4607,
    )


def draw(path: Path, bank: MaskBankData, compact: bool) -> None:
    """What is measured: a bank to its file."""
    write_layout(path, bank, "bench", LEVELS, 1.4607, compact=compact)


def draw_pixels(path: Path, level: NDArray[np.int64]) -> None:
    """The plain way: a gdstk rectangle for each pixel of each layer."""
    edges = pixel_edges(level.shape[-1], level.shape[-1] // 2, PITCH) * 1e-3
    cell = gdstk.Cell("PIXELS")
    for bit, mask in enumerate(etch_masks(level, LEVELS)):
        for row, column in np.argwhere(mask).tolist():
            low, high = (edges[column], edges[row]), (edges[column + 1], edges[row + 1])
            cell.add(gdstk.rectangle(low, high, layer=bit + 1))
    library = gdstk.Library("PIXELS")
    library.add(cell)
    if path.suffix == ".oas":
        library.write_oas(path)
    else:
        library.write_gds(path)


def merge_pixels(path: Path, level: NDArray[np.int64], db: Any) -> None:
    """The way of KLayout: a box for each pixel of each layer, merged into polygons by its own sweep."""
    edges = pixel_edges(level.shape[-1], level.shape[-1] // 2, PITCH).tolist()
    layout = db.Layout()
    layout.dbu = 1e-3
    cell = layout.create_cell("PIXELS")
    for bit, mask in enumerate(etch_masks(level, LEVELS)):
        drawn = db.Region()
        for row, column in np.argwhere(mask).tolist():
            drawn.insert(db.Box(edges[column], edges[row], edges[column + 1], edges[row + 1]))
        cell.shapes(layout.layer(bit + 1, 0)).insert(drawn.merge())
    layout.write(str(path))


def draw_posts(path: Path, bank: MaskBankData, library: PostLibrary) -> None:
    """What is measured of a metasurface: the look-up, its residual, and the file."""
    write_posts(path, bank, posts_entry(library, bank, "bench"))


def measured(write: Callable[[Path], None], path: Path, runs: int = 3) -> tuple[float, float, float]:
    """Shortest wall time and processor time [s], and size [MB]."""
    times = []
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        write(path)
        times.append((time.perf_counter() - start, time.process_time() - used))
    wall, processor = map(min, zip(*times, strict=True))
    return wall, processor, path.stat().st_size / 1e6


def table_of(folder: Path, n: int = 1024) -> list[Row]:
    """The masks of the targets, each as GDSII and OASIS."""
    cases = {
        f"transform of a 7 x 7 kernel, {n} x {n}": (kernel_levels(n)[None], "0.1 s, 0.2 MB"),
        f"white noise, {n} x {n}": (noise_levels(n)[None], "1 s, 4 MB"),
        "256 transforms, 224 x 224": (np.stack([kernel_levels(224, k) for k in range(256)]), "5 s"),
    }
    rows: list[Row] = []
    for name, (level, target) in cases.items():
        bank = bank_of(level)
        for kind, compact in (("gds", False), ("oas", False), ("oas", True)):
            *found, size = measured(partial(draw, bank=bank, compact=compact), folder / f"a.{kind}")
            label = "OASIS, compact" if compact else {"gds": "GDSII", "oas": "OASIS"}[kind]
            rows.append((name, label, found[0], found[1], size, target if kind == "oas" else ""))
    return rows + table_of_others(folder, n)


def table_of_others(folder: Path, n: int) -> list[Row]:
    """The same kernel drawn by others, in the same run."""
    ways: dict[str, Callable[..., None]] = {"gdstk, a rectangle per pixel": draw_pixels}
    try:
        import klayout.db

        ways["KLayout, its merge of the pixels"] = partial(merge_pixels, db=klayout.db)
    except ImportError as error:
        print(f"KLayout is left out: {error}; pip install klayout")
    level = kernel_levels(n)
    rows: list[Row] = []
    for way, write in ways.items():
        for kind, label in (("gds", "GDSII"), ("oas", "OASIS")):
            *found, size = measured(partial(write, level=level), folder / f"p.{kind}", runs=1)
            rows.append((f"the same kernel, {way}", label, found[0], found[1], size, ""))
    return rows


def metasurface(folder: Path, n: int = 1024) -> Row:
    """A million posts of 16 kinds, white noise in phase: look-up over the complex value included."""
    kinds = np.arange(16)
    t = np.linspace(0.7, 1, 16) * np.exp(2j * np.pi * kinds / 16)
    size = np.linspace(60e-9, 200e-9, 16)[:, None].repeat(2, axis=1)
    library = PostLibrary(size, t, "350 nm", "532 nm")
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (1, 1, n, n))
    bank = replace(
        bank_of(np.zeros((1, n, n), int)), transmittance=np.exp(1j * phase), pitch=(350e-9, 350e-9)
    )
    *found, size_mb = measured(partial(draw_posts, bank=bank, library=library), folder / "m.oas", runs=5)
    return ("a million posts of 16 kinds, white noise", "OASIS", found[0], found[1], size_mb, "0.5 s, 1.5 MB")


def exponent(rows: list[Row], sizes: tuple[int, ...]) -> float:
    """Least-squares slope of the logarithm of the processor time over that of the number of pixels."""
    pixels = [2 * math.log(n) for n in sizes]
    return float(np.polyfit(pixels, [math.log(row[3]) for row in rows], 1)[0])


def growth(folder: Path) -> list[Row]:
    """White noise of growing size: the time per pixel is to stay, and the exponent over pixels to be 1."""
    rows: list[Row] = []
    for n in SIDES:
        bank = bank_of(noise_levels(n)[None])
        *found, size = measured(partial(draw, bank=bank, compact=True), folder / "g.oas", runs=2)
        speed = f"{found[1] / n**2 * 1e9:.0f} ns/pixel"
        rows.append((f"white noise, {n} x {n}", "OASIS, compact", found[0], found[1], size, speed))
    power = f"linear; time grows as pixels^{exponent(rows, SIDES):.2f}"
    return [*rows[:-1], (*rows[-1][:-1], f"{rows[-1][-1]}; {power}")]


def large() -> None:
    """8192 x 8192 with a progress bar; prints times [s], size [MB] and peak memory [GB]."""
    with TemporaryDirectory() as folder, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("8192 x 8192", total=3)
        level = kernel_levels(8192)
        progress.advance(task)
        bank = bank_of(level[None])
        del level
        progress.advance(task)
        *found, size = measured(lambda path: draw(path, bank, True), Path(folder) / "l.oas", runs=1)
        progress.advance(task)
    print(*found, size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def large_row() -> Row:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--only-large"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    wall, processor, size, peak = map(float, answer)
    return (
        "transform of a 7 x 7 kernel, 8192 x 8192",
        "OASIS, compact",
        wall,
        processor,
        size,
        f"4 GB; {peak:.1f} GB used",
    )


def markdown(rows: list[Row]) -> str:
    """The rows as a table for the docs."""
    lines = [f"| {' | '.join(HEAD)} |", "|---|---|--:|--:|--:|---|"]
    lines += [f"| {a} | {b} | {c:.3f} | {d:.3f} | {e:.3f} | {f} |" for a, b, c, d, e, f in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only-large", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_large:
        large()
        return
    with TemporaryDirectory() as folder:
        rows = [*table_of(Path(folder)), metasurface(Path(folder)), *growth(Path(folder))]
    rows += [large_row()] if options.large else []
    table = Table(*HEAD)
    for name, kind, wall, processor, size, target in rows:
        table.add_row(name, kind, f"{wall:.3f}", f"{processor:.3f}", f"{size:.3f}", target)
    Console().print(table)
    if options.markdown:
        write_text(options.markdown, markdown(rows))
    if options.json:
        records: list[dict[str, Any]] = [dict(zip(HEAD, row, strict=True)) for row in rows]
        write_json(options.json, records)


if __name__ == "__main__":
    main()
