"""How each format draws a bank: what the manifest says of it, writing one mask, reading a bank back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .bank import MaskBankData
from .bitmap import (
    GREYS,
    device_entry,
    grey_rule,
    read_bitmap,
    read_device_bitmap,
    write_bitmap,
    write_device_bitmap,
)
from .checks import count, number, positive
from .devices import DoseCurve, Modulator
from .heightmap import (
    STEPS,
    points_entry,
    read_height_map,
    read_points,
    tiff_entry,
    write_height_map,
    write_points,
)
from .layout import cell_stem, layer_table, outline_row, read_layout
from .manifest import ExportedFile
from .marks import Marks, Wafer
from .materials import refractive_index
from .metasurface import read_posts
from .posts import PostLibrary
from .relief import height_2pi, phase_of_height, phase_of_level, quantise_phase
from .stl import read_relief, write_relief


class Options(NamedTuple):
    """What the user chose; lengths in metres."""

    levels: int | None
    material: str | float | None
    sign: str
    device: Modulator | DoseCurve | None
    library: PostLibrary | None
    base: float
    marks: Marks | None = None
    wafer: Wafer | None = None
    compact: bool = False


def mask_entry(bank: MaskBankData, name: str, kind: str, options: Options) -> dict[str, Any]:
    """How a format with one file for each mask draws a bank, for the manifest."""
    if kind == "bitmap" and options.device is None:
        sign = options.sign
        return {"sign": sign, "rule": grey_rule(sign), "row_0": "top of the pattern, largest y"}
    if kind == "bitmap" and options.device is not None:
        curve = isinstance(options.device, DoseCurve)
        return device_entry(options.device, bank, _index(bank, name, options.material) if curve else None)
    index = _index(bank, name, options.material)
    if kind != "stl":
        return (tiff_entry if kind == "tiff" else points_entry)(bank.wavelength, index)
    levels = bank.levels or 16 if options.levels is None else options.levels
    quantise_phase(0.0, levels)  # refuses fewer than two levels before the work
    return {
        "levels": levels,
        "refractive_index": index,
        "height_2pi": height_2pi(bank.wavelength, index),
        "height_2pi_unit": "m",
        "base": options.base,
        "base_unit": "m",
        "rule": "in millimetres; the optical axis is at (0, 0); z = base + level * height_2pi / levels",
    }


def _index(bank: MaskBankData, name: str, material: str | float | None) -> float:
    material = bank.refractive_index if material is None else material
    if material is None:
        raise ValueError(
            f"material: expected the material of the relief for bank '{name}', got none; "
            "give --material fused-silica or a refractive index."
        )
    return refractive_index(material, bank.wavelength)


def layout_entry(bank: MaskBankData, name: str, options: Options) -> dict[str, Any]:
    """How GDSII and OASIS draw a bank, for the manifest."""
    levels = bank.levels or 16 if options.levels is None else options.levels
    index = _index(bank, name, options.material)
    layers = layer_table(levels, bank.wavelength, index)
    if options.marks is not None and options.marks.outline:
        layers.append(outline_row())
    entry = {
        "levels": levels,
        "refractive_index": index,
        "height_2pi": height_2pi(bank.wavelength, index),
        "height_2pi_unit": "m",
        "rule": "level = round(phase * levels / (2 pi)) mod levels; its height is level * height_2pi "
        "/ levels above the deepest floor; bit i is drawn where bit i of (levels - 1 - level) is set",
        "cell_stem": cell_stem(name),
        "cells": f"{cell_stem(name)}_O<output channel, 3 digits>_I<input channel, 3 digits>",
        "layers": layers,
    }
    if options.wafer is not None:
        entry["wafer"] = {**options.wafer.described(), "cell": f"{cell_stem(name)}_WAFER"}
    return entry


def layer_files(name: str, layout: dict[str, Any]) -> dict[str, Any]:
    """Which file of an OASIS.MASK set holds which layer, for the manifest."""
    return {
        "files": {str(row["layer"]): f"{name}_L{row['layer']:02d}.oas" for row in layout["layers"]},
        "rule": "a file for each layer, under its layer number; polygons of at most four corners",
    }


def write_mask(
    path: Path, bank: MaskBankData, index: tuple[int, int], kind: str, how: dict[str, Any]
) -> None:
    """Write one mask in a format with one file for each mask; ``how`` is from :func:`mask_entry`."""
    t = bank.transmittance[index].astype(np.complex128)
    if kind == "bitmap" and "device" in how:
        write_device_bitmap(path, t, bank.wavelength, how)
    elif kind == "bitmap":
        write_bitmap(path, np.angle(t), how["sign"])
    elif kind == "tiff":
        write_height_map(path, np.angle(t))
    elif kind == "height":
        write_points(path, np.angle(t), bank, how["refractive_index"])
    else:
        height = quantise_phase(np.angle(t), how["levels"]) * (how["height_2pi"] / how["levels"])
        y, x = (
            (np.arange(n + 1) - 0.5 - origin) * pitch
            for n, origin, pitch in zip(t.shape, bank.origin, bank.pitch, strict=True)
        )
        write_relief(path, height, y, x, how["base"])


def read_bank(folder: Path, files: list[ExportedFile], entry: dict[str, Any], format: str) -> MaskBankData:
    """Rebuild one bank from its files of one format.

    Raises:
        ValueError: If a file is missing or is not what the entry of the manifest says.
    """
    if format in ("gds", "oas"):
        return read_layout(folder / files[0].path, entry)
    if format == "oasis_mask":
        listed = {file.path for file in files}
        layers = {int(layer): name for layer, name in entry[format]["files"].items() if name in listed}
        return read_layout({layer: folder / name for layer, name in layers.items()}, entry)
    shape = tuple(entry["shape"])
    plain = {**entry["geometry"], "encoding": "complex", "levels": 0}
    bank = MaskBankData.from_described(np.ones(shape), plain)
    if format == "metasurface":
        t = read_posts(folder / files[0].path, bank, entry[format])
        return replace(bank, transmittance=t.astype(np.complex64))
    if sorted(file.channels or () for file in files) != sorted(np.ndindex(*shape[:2])):
        raise ValueError(
            f"{folder}: expected one {format} for each of {shape[0]} x {shape[1]} masks, got others."
        )
    masks = np.empty(shape, dtype=np.complex128)
    for file in files:
        masks[file.channels] = _read_mask(folder / file.path, bank, format, entry[format])
    return MaskBankData.from_described(
        masks, {**entry["geometry"], "levels": _levels_read(format, entry[format])}
    )


def _read_mask(path: Path, bank: MaskBankData, format: str, how: dict[str, Any]) -> Any:
    shape = (bank.transmittance.shape[-2], bank.transmittance.shape[-1])
    if format == "bitmap" and "device" in how:
        return read_device_bitmap(path, shape, bank.wavelength, how)
    if format == "bitmap":
        return np.exp(1j * read_bitmap(path, shape, how["sign"]))
    index = positive("refractive_index", how["refractive_index"])
    if format == "tiff":
        return np.exp(1j * read_height_map(path, shape, bank.wavelength, index))
    if format == "height":
        return np.exp(1j * read_points(path, bank, index))
    y, x = (
        (np.arange(n) - origin) * pitch
        for n, origin, pitch in zip(shape, bank.origin, bank.pitch, strict=True)
    )
    levels, base = count("levels", how["levels"]), number("base", how["base"])
    phase = phase_of_height(read_relief(path, y, x, base), bank.wavelength, index)
    level = np.rint(phase * levels / (2 * np.pi))
    # STL holds float32: a thin relief on a thick base comes back a little beside its levels.
    if not np.abs(phase_of_level(level, levels) - phase).max() <= 0.2 * np.pi / levels:
        raise ValueError(f"{path}: expected heights on {levels} levels, got others.")
    return np.exp(1j * phase_of_level(level, levels))


def _levels_read(format: str, how: dict[str, Any]) -> int:
    if format == "bitmap":
        return 0 if "device" in how else GREYS
    return {"tiff": STEPS, "stl": int(how.get("levels", 0))}.get(format, 0)
