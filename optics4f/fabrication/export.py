"""From a mask set to a folder that a mask shop or a modulator takes, and back from the files alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from ..design.encodings import (
    double_phase,
    double_phase_efficiency,
    double_phase_origin,
    unwanted_light_offset,
)
from ..files import sha256
from .bank import MaskBankData, phase_only
from .bitmap import GREYS, grey_rule, read_bitmap, write_bitmap
from .layout import cell_name, cell_stem, layer_table, read_layout, write_layout
from .manifest import NAME, ExportedFile, Manifest
from .maskset import MaskSet
from .relief import height_2pi, refractive_index

FORMATS = ("gds", "oas", "bitmap")


class _Task(NamedTuple):
    path: str
    format: str
    bank: str
    channels: tuple[int, int] | None
    write: Callable[[Path], None]


def export_masks(
    maskset: MaskSet,
    out_dir: str | Path,
    formats: Sequence[str] = ("gds", "bitmap"),
    bank: str | None = None,
    levels: int | None = None,
    *,
    encoding: str | None = None,
    material: str | float | None = None,
    sign: str = "phase",
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    r"""Write masks and a manifest into a folder.

    Everything is written into a draft inside the folder first, then renamed, the manifest last: an
    interrupted export leaves no half-written file. Files that an earlier export listed and this one does not
    are removed, unless they were altered since.

    Args:
        maskset: The masks.
        out_dir: Folder, made if needed.
        formats: Any of "gds", "oas" (binary etch masks) and "bitmap" (8-bit PNG).
        bank: Name of the one bank to export; all of them if None.
        levels: Height levels of the layout, a power of two; if None those of the bank, else 16.
        encoding: "double-phase" to make a complex transmittance phase-only, or None.
        material: 'fused-silica' or a refractive index for the layout; if None that of the bank.
        sign: "phase" or "minus_phase", whether a higher grey value delays more.
        progress: Called with the number of files written and of all files.

    Raises:
        ValueError: If \|t\| varies and no encoding is asked for, or an argument is not one of the above.
        MissingExtraError: If gdstk or Pillow is not installed.
    """
    _check_choice("formats", formats or [None], FORMATS)
    _check_choice("encoding", [encoding], (None, "double-phase"))
    _check_choice("bank", [bank], (None, *maskset.banks))
    banks: dict[str, dict[str, Any]] = {}
    tasks: list[_Task] = []
    for name, source in maskset.banks.items():
        if bank in (None, name):
            encoded, entry = _encoded(source, name, encoding)
            tasks += _plan(encoded, name, entry, formats, (levels, material, sign))
            banks[name] = entry
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".draft-", dir=out) as draft:
        files = []
        for done, task in enumerate(tasks, start=1):
            files.append(_write(task, Path(draft)))
            if progress is not None:
                progress(done, len(tasks))
        manifest = Manifest(maskset.content_sha256, banks, tuple(files))
        manifest.save(draft)
        _publish(Path(draft), out, manifest)
    return manifest


def read_back(out_dir: str | Path, format: str) -> MaskSet:
    """Rebuild the banks from the exported files of one format, by the manifest.

    The banks come back as they were drawn: phase-only, quantised, and on the grid of the encoding.

    Args:
        out_dir: Folder that was exported to.
        format: "gds", "oas" or "bitmap".

    Raises:
        ValueError: If the folder does not hold this format, or a file is missing, damaged or altered.
    """
    _check_choice("format", [format], FORMATS)
    manifest = Manifest.load(out_dir)
    banks = {}
    for name, entry in manifest.banks.items():
        files = [file for file in manifest.files if (file.bank, file.format) == (name, format)]
        if not files:
            raise ValueError(
                f"{out_dir}: expected files of the format '{format}' for bank '{name}', got none."
            )
        try:
            read = _read_bitmaps if format == "bitmap" else _read_layout
            banks[name] = read(Path(out_dir), files, entry)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{Path(out_dir) / NAME}: expected a complete bank '{name}', got a wrong {error}."
            ) from None
    return MaskSet(banks, {"read_back_from": format, "source_sha256": manifest.source_sha256})


def double_phase_bank(bank: MaskBankData) -> MaskBankData:
    """The bank on a phase-only device of half the pitch; see :func:`optics4f.design.double_phase`."""
    return replace(
        bank,
        transmittance=np.exp(1j * double_phase(bank.transmittance)),
        pitch=(bank.pitch[0] / 2, bank.pitch[1] / 2),
        origin=double_phase_origin(bank.origin),
        levels=0,
        encoding="phase",
    )


def _encoded(source: MaskBankData, name: str, encoding: str | None) -> tuple[MaskBankData, dict[str, Any]]:
    bank = phase_only(source if encoding is None else double_phase_bank(source), name)
    height, width = bank.transmittance.shape[-2:]
    entry: dict[str, Any] = {
        "shape": list(bank.transmittance.shape),
        "geometry": bank.described(),
        "clear_aperture": [height * bank.pitch[0], width * bank.pitch[1]],
        "clear_aperture_unit": "m",
        "source_sha256": source.content_sha256,
    }
    if encoding is not None:
        offset = unwanted_light_offset(bank.wavelength, bank.second_focal_length, bank.pitch)
        entry["encoding"] = {
            "method": encoding,
            "efficiency": double_phase_efficiency(source.transmittance),
            "unwanted_light_offset": list(offset),
            "unwanted_light_offset_unit": "m",
        }
    return bank, entry


def _plan(
    bank: MaskBankData,
    name: str,
    entry: dict[str, Any],
    formats: Sequence[str],
    options: tuple[int | None, str | float | None, str],
) -> list[_Task]:
    """The files of one bank; how each format draws it is added to ``entry``."""
    levels, material, sign = options
    tasks: list[_Task] = []
    if "gds" in formats or "oas" in formats:
        layout = entry["layout"] = _layout_entry(bank, name, levels, material)
        write = partial(
            write_layout,
            bank=bank,
            name=name,
            levels=layout["levels"],
            refractive_index=layout["refractive_index"],
        )
        tasks += [
            _Task(f"{name}.{kind}", kind, name, None, write) for kind in ("gds", "oas") if kind in formats
        ]
    if "bitmap" in formats:
        entry["bitmap"] = {"sign": sign, "rule": grey_rule(sign), "row_0": "top of the pattern, largest y"}
        for out, in_ in np.ndindex(*bank.transmittance.shape[:2]):
            draw = partial(_write_mask, bank=bank, index=(out, in_), sign=sign)
            tasks.append(_Task(f"{cell_name(name, out, in_)}.png", "bitmap", name, (out, in_), draw))
    return tasks


def _layout_entry(
    bank: MaskBankData, name: str, levels: int | None, material: str | float | None
) -> dict[str, Any]:
    levels = bank.levels or 16 if levels is None else levels
    material = bank.refractive_index if material is None else material
    if material is None:
        raise ValueError(
            f"material: expected the material of the relief for bank '{name}', got none; "
            "give --material fused-silica or a refractive index."
        )
    index = refractive_index(material, bank.wavelength)
    return {
        "levels": levels,
        "refractive_index": index,
        "height_2pi": height_2pi(bank.wavelength, index),
        "height_2pi_unit": "m",
        "rule": "level = round(phase * levels / (2 pi)) mod levels; its height is level * height_2pi "
        "/ levels above the deepest floor; bit i is drawn where bit i of (levels - 1 - level) is set",
        "cell_stem": cell_stem(name),
        "cells": f"{cell_stem(name)}_O<output channel, 3 digits>_I<input channel, 3 digits>",
        "layers": layer_table(levels, bank.wavelength, index),
    }


def _write_mask(path: Path, bank: MaskBankData, index: tuple[int, int], sign: str) -> None:
    write_bitmap(path, np.angle(bank.transmittance[index].astype(np.complex128)), sign)


def _write(task: _Task, draft: Path) -> ExportedFile:
    path = draft / task.path
    task.write(path)
    return ExportedFile(task.path, task.format, task.bank, task.channels, path.stat().st_size, sha256(path))


def _publish(draft: Path, out: Path, manifest: Manifest) -> None:
    """Rename the files into place, the manifest last, and remove what an earlier export left."""
    new = {file.path for file in manifest.files}
    stale: list[ExportedFile] = []
    with suppress(ValueError, FileNotFoundError):
        stale = [file for file in Manifest.load(out, verify=False).files if file.path not in new]
    for name in sorted(new):
        (draft / name).replace(out / name)
    (draft / NAME).replace(out / NAME)
    for file in stale:
        if (out / file.path).is_file() and sha256(out / file.path) == file.sha256:
            (out / file.path).unlink()


def _read_layout(folder: Path, files: list[ExportedFile], entry: dict[str, Any]) -> MaskBankData:
    return read_layout(folder / files[0].path, entry)


def _read_bitmaps(folder: Path, files: list[ExportedFile], entry: dict[str, Any]) -> MaskBankData:
    shape = tuple(entry["shape"])
    if sorted(file.channels or () for file in files) != sorted(np.ndindex(*shape[:2])):
        raise ValueError(
            f"{folder}: expected one bitmap for each of {shape[0]} x {shape[1]} masks, got others."
        )
    phase = np.empty(shape)
    for file in files:
        phase[file.channels] = read_bitmap(folder / file.path, shape[-2:], entry["bitmap"]["sign"])
    return MaskBankData.from_described(np.exp(1j * phase), {**entry["geometry"], "levels": GREYS})


def _check_choice(name: str, values: Sequence[Any], choices: Sequence[Any]) -> None:
    for value in values:
        if value not in choices:
            raise ValueError(f"{name}: expected {' or '.join(str(c) for c in choices if c)}, got {value!r}.")
