"""The commands ``export``, ``masks``, ``rules`` and ``import-masks``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .bank import MaskBankData
    from .manifest import Manifest
    from .maskset import MaskSet
    from .posts import PostLibrary


def register(app: typer.Typer) -> None:
    """Add the commands of this folder to the command line."""
    app.command("export")(export)
    app.command("masks")(masks)
    app.command("rules")(rules)
    app.command("import-masks")(import_masks)


def export(
    path: Annotated[Path, typer.Argument(metavar="MASKS.h5", help="Mask-set file.")],
    out: Annotated[Path, typer.Option(help="Folder for the files and their manifest.")],
    to: Annotated[
        str,
        typer.Option(
            help="Formats, separated by commas: gds, oas, oasis_mask (a file for each layer), bitmap, tiff, "
            "height, stl, metasurface."
        ),
    ] = "gds,bitmap",
    bank: Annotated[str | None, typer.Option(help="Only this bank.")] = None,
    levels: Annotated[
        int | None, typer.Option(help="Height levels, a power of two; else those of the bank, or 16.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="double-phase: complex masks on a phase-only device; lee: on mirrors.")
    ] = None,
    carrier_period: Annotated[
        float, typer.Option(help="lee: period of the fringes [pixels], at least 4.")
    ] = 4,
    material: Annotated[
        str | None, typer.Option(help="Relief: fused-silica or a refractive index; else that of the bank.")
    ] = None,
    sign: Annotated[str, typer.Option(help="Grey values without a device: phase or minus_phase.")] = "phase",
    device: Annotated[
        Path | None, typer.Option(help="Bitmap: TOML profile of a modulator or a dose curve.")
    ] = None,
    base: Annotated[str, typer.Option(help="STL: thickness under the lowest floor.")] = "0.5 mm",
    library: Annotated[
        Path | None, typer.Option(help="Metasurface: posts, phase and |t|; CSV, MATLAB or HDF5.")
    ] = None,
    cell_pitch: Annotated[
        str | None, typer.Option(help="Metasurface: side of the cell of the library, e.g. '350 nm'.")
    ] = None,
    min_feature: Annotated[str, typer.Option(help="Metasurface: smallest post.")] = "0 nm",
    min_gap: Annotated[str, typer.Option(help="Metasurface: smallest gap.")] = "0 nm",
    marks: Annotated[
        bool, typer.Option(help="Layout: crosses, verniers and an outline around each mask.")
    ] = False,
    wafer: Annotated[
        str | None,
        typer.Option(help="Layout: copies of all dies on a wafer of this diameter, e.g. '100 mm'."),
    ] = None,
    wafer_edge: Annotated[str, typer.Option(help="Wafer: ring at the edge that stays empty.")] = "5 mm",
    wafer_lane: Annotated[
        str, typer.Option(help="Wafer: lane between copies; their pitch is their size and a lane.")
    ] = "100 um",
    compact: Annotated[bool, typer.Option(help="Layout: smaller OASIS, with repetitions.")] = False,
) -> None:
    """Write masks for a mask shop, a modulator, a printer or a metasurface foundry, with a manifest."""
    from rich.console import Console
    from rich.progress import Progress

    from .devices import load_device
    from .export import export_masks
    from .marks import Wafer
    from .maskset import MaskSet

    disk = None if wafer is None else Wafer(wafer, wafer_edge, wafer_lane)
    maskset = MaskSet.load(path)
    profile = None if device is None else load_device(device)
    posts = None if library is None else _posts(library, cell_pitch, maskset, bank, min_feature, min_gap)
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("export", total=None)
        manifest = export_masks(
            maskset,
            out,
            tuple(part.strip() for part in to.split(",")),
            bank,
            levels,
            encoding=encoding,
            carrier_period=carrier_period,
            material=material,
            sign=sign,
            device=profile,
            library=posts,
            base=base,
            marks=marks,
            wafer=disk,
            compact=compact,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _show_files(manifest, out)


def masks(path: Annotated[Path, typer.Argument(metavar="MASKS.h5", help="Mask-set file.")]) -> None:
    """Show what is in a mask-set file, after checking its hashes."""
    from rich.console import Console
    from rich.table import Table

    from .maskset import MaskSet

    maskset = MaskSet.load(path)
    table = Table("bank", *maskset.banks, title=f"{path.name}, hashes checked")
    for row in zip(*(_lines(bank) for bank in maskset.banks.values()), strict=True):
        table.add_row(row[0][0], *(value for _, value in row))
    console = Console()
    console.print(table)
    for name, value in maskset.provenance.items():
        console.print(f"{name}: {value}", markup=False)


def rules(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with an exported layout, or any GDSII or OASIS file."),
    ],
    profile: Annotated[
        str, typer.Option(help="Tool: generic, heidelberg_dwl66, heidelberg_mla150, ebeam or oasis_mask.")
    ] = "generic",
    min_feature: Annotated[str, typer.Option(help="Smallest thing that is drawn.")] = "1 um",
    min_gap: Annotated[str, typer.Option(help="Smallest gap between things that are drawn.")] = "1 um",
    grid: Annotated[str, typer.Option(help="Address unit of the writer.")] = "1 nm",
    kissing_corners: Annotated[bool, typer.Option(help="Let pixels touch by a corner alone.")] = False,
    strict: Annotated[bool, typer.Option(help="Anything found is an error.")] = False,
) -> None:
    """Check layouts as they were drawn: widths, gaps, corners, grid, and what the writing tool takes.

    A single file may come from anywhere, and only what the tool takes is checked: it does not say its pixels.
    """
    from .rules import Rules
    from .shop import check_file, check_folder

    process = Rules(min_feature, min_gap, grid, kissing_corners=kissing_corners)
    files, found = check_file(folder, profile) if folder.is_file() else check_folder(folder, profile, process)
    if strict and found:
        raise ValueError(f"rules: expected a layout that can be made, got {len(found)} findings: {found[0]}")
    for line in found or [f"{', '.join(files)}: nothing to find fault with."]:
        typer.echo(line)


def import_masks(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="NPY, MATLAB or torch file of kernels or T.")],
    out: Annotated[Path, typer.Option(help="Mask-set file to write.")],
    wavelength: Annotated[str, typer.Option(help="Vacuum wavelength, e.g. '532 nm'.")],
    focal_length: Annotated[str, typer.Option(help="Of the lens before the masks.")],
    shape: Annotated[str, typer.Option(help="Samples of the input plane, e.g. 224x224.")],
    spacing: Annotated[str, typer.Option(help="Their distance, e.g. '8 um'.")],
    row_0: Annotated[str, typer.Option(help="Where row 0 of a kernel is: top, as in a CNN, or bottom.")],
    convention: Annotated[str, typer.Option(help="correlation, as conv2d computes, or convolution.")],
    imaginary: Annotated[Path | None, typer.Option(help="File of the imaginary part.")] = None,
    variable: Annotated[str | None, typer.Option(help="Name of the array in the file.")] = None,
    bank: Annotated[str, typer.Option(help="Name of the bank.")] = "imported",
) -> None:
    """Turn other people's kernels into a mask-set file; nothing in their file is executed."""
    import sys

    from .importers import import_kernels, imported_set

    height, _, width = shape.partition("x")
    if not (height.strip().isdigit() and width.strip().isdigit()):
        raise ValueError(f"--shape: expected height x width such as 224x224, got {shape!r}.")
    made = import_kernels(
        path,
        wavelength=wavelength,
        focal_length=focal_length,
        input_shape=(int(height), int(width)),
        input_spacing=spacing,
        row_0=row_0,
        convention=convention,
        imaginary=imaginary,
        variable=variable,
    )
    files = [path] if imaginary is None else [path, imaginary]
    imported_set(bank, made, files, command=sys.argv).save(out)
    outputs, inputs = made.transmittance.shape[:2]
    typer.echo(f"{inputs} -> {outputs} masks, scale {made.scale_db:.2f} dB; wrote {out}")


def _posts(
    path: Path, cell_pitch: str | None, maskset: MaskSet, bank: str | None, min_feature: str, min_gap: str
) -> PostLibrary:
    from .posts import load_library

    if cell_pitch is None:
        raise ValueError("--cell-pitch: expected the side of the cell of the library, got none.")
    names = list(maskset.banks) if bank is None else [bank]
    if names[0] not in maskset.banks:
        raise ValueError(f"bank: expected {' or '.join(maskset.banks)}, got {bank!r}.")
    wavelength = f"{maskset.banks[names[0]].wavelength!r} m"  # a CSV does not say its own
    return load_library(path, cell_pitch, wavelength).allowed(min_feature, min_gap)


def _lines(bank: MaskBankData) -> list[tuple[str, str]]:
    from ..units import compact

    outputs, inputs, height, width = bank.transmittance.shape
    focal = (compact(bank.focal_length, "m"), compact(bank.second_focal_length, "m"))
    return [
        ("masks", f"{inputs} -> {outputs}"),
        ("pixels", f"{height} x {width}"),
        ("pitch (y, x)", " x ".join(compact(p, "m") for p in bank.pitch)),
        ("axis at (y, x)", f"{bank.origin[0]:g}, {bank.origin[1]:g}"),
        ("wavelength", compact(bank.wavelength, "m")),
        ("focal lengths", ", ".join(focal)),
        ("input plane", f"{bank.input_shape[0]} x {bank.input_shape[1]}"),
        ("input spacing (y, x)", " x ".join(compact(d, "m") for d in bank.input_spacing)),
        ("material", bank.material or "none"),
        ("refractive index", "none" if bank.refractive_index is None else f"{bank.refractive_index:.5g}"),
        ("computes", bank.convention + (", output inverted" if bank.invert_output else "")),
        ("encoding", f"{bank.encoding}, {f'{bank.levels} levels' if bank.levels else 'continuous'}"),
        ("turned over", ", ".join(map(str, bank.flips)) or "never"),
        ("scale", f"{bank.scale_db:.2f} dB"),
        ("scale of the sum", f"{bank.sum_scale_db:.2f} dB"),
        ("SHA-256", bank.content_sha256[:12]),
    ]


def _show_files(manifest: Manifest, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("file", "bytes", "SHA-256", title=str(out))
    for file in manifest.files:
        table.add_row(file.path, str(file.size), file.sha256[:12])
    Console().print(table)
