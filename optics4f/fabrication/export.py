"""From a mask set to a folder that a mask shop or a modulator takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from errno import EIO
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from ..design.carriers import LEE_GAIN, carrier_offset, carrier_report, lee_hologram
from ..design.encodings import (
    double_phase,
    double_phase_efficiency,
    double_phase_origin,
    unwanted_light_offset,
)
from ..files import sha256
from ..units import positive_si
from .bank import MaskBankData, phase_only
from .devices import DoseCurve, Modulator
from .drawing import Options, layer_files, layout_entry, mask_entry, write_mask
from .layout import cell_name, write_layout
from .manifest import NAME, SUMS, ExportedFile, Manifest
from .marks import Marks, Wafer
from .maskset import MaskSet
from .metasurface import posts_entry, write_posts
from .posts import PostLibrary

LAYOUTS = ("gds", "oas", "oasis_mask")
FORMATS = (*LAYOUTS, "bitmap", "tiff", "height", "stl", "metasurface")
ENCODINGS = ("double-phase", "lee")
LEE_PERIOD = 4  # pixels; the second order is then just within the band
_SUFFIX = {
    "bitmap": "png",
    "tiff": "tiff",
    "height": "xyz",
    "stl": "stl",
}  # formats with one file for each mask


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
    carrier_period: float = LEE_PERIOD,
    material: str | float | None = None,
    sign: str = "phase",
    device: Modulator | DoseCurve | None = None,
    library: PostLibrary | None = None,
    base: Any = "0.5 mm",
    marks: Marks | bool = False,
    wafer: Wafer | None = None,
    compact: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    r"""Write masks and a manifest into a folder.

    Everything is written into a draft inside the folder first, then renamed, the manifest last: an
    interrupted export leaves no half-written file. Files that an earlier export listed and this one does not
    are removed, unless they were altered since.

    Args:
        maskset: The masks.
        out_dir: Folder, made if needed.
        formats: Any of "gds", "oas" (binary etch masks), "oasis_mask" (OASIS, a file for each layer),
            "bitmap" (PNG), "tiff" (16-bit heights), "height" (points x y z), "stl" (solid) and "metasurface"
            (posts, OASIS).
        bank: Name of the one bank to export; all of them if None.
        levels: Height levels of layout and solid, a power of two; if None those of the bank, else 16.
        encoding: "double-phase" to make a complex transmittance phase-only, "lee" for mirrors that are on or
            off, or None.
        carrier_period: Of the fringes of "lee" [pixels along x]. At 4 the second order is just within the
            band; at a period that is no simple fraction, e.g. 5.11, fringes of every width and place occur.
        material: 'fused-silica' or a refractive index for reliefs; if None that of the bank.
        sign: "phase" or "minus_phase", whether a higher grey value delays more, without a device.
        device: What shows the bitmaps; if None they have 8 bits and the size of the mask.
        library: Posts of the metasurface.
        base: Thickness under the lowest floor of the solid [length].
        marks: Crosses, verniers and outline around each mask of a layout; True for the usual ones.
        wafer: Copies of all dies of a layout on a wafer, or None.
        compact: Smaller OASIS, with repetitions.
        progress: Called with the number of files written and of all files.

    Raises:
        ValueError: If \|t\| varies and no encoding is asked for, or an argument is not one of the above.
        MissingExtraError: If gdstk or Pillow is not installed.
    """
    _check_choice("formats", formats or [None], FORMATS)
    _check_choice("encoding", [encoding], (None, *ENCODINGS))
    _check_choice("bank", [bank], (None, *maskset.banks))
    drawn = Marks() if marks is True else marks or None
    floor = positive_si(base, "m", "export base")
    options = Options(levels, material, sign, device, library, floor, drawn, wafer, compact)
    banks: dict[str, dict[str, Any]] = {}
    tasks: list[_Task] = []
    for name, source in maskset.banks.items():
        if bank in (None, name):
            encoded, entry = _encoded(source, name, encoding, carrier_period, _any_t(formats, device))
            tasks += _plan(encoded, name, entry, formats, options)
            banks[name] = entry
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".draft-", dir=out) as draft:
        files = []
        for done, task in enumerate(tasks, start=1):
            with _about(out / task.path):
                files.append(_write(task, Path(draft)))
            if progress is not None:
                progress(done, len(tasks))
        manifest = Manifest(maskset.content_sha256, banks, tuple(files))
        with _about(out / NAME):
            manifest.save(draft)
        _publish(Path(draft), out, manifest)
    return manifest


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


def lee_bank(bank: MaskBankData, period: float = LEE_PERIOD) -> MaskBankData:
    """The bank as a binary hologram on the same pixels; see :func:`optics4f.design.carriers.lee_hologram`."""
    hologram = lee_hologram(bank.transmittance, period).astype(np.complex64)
    return replace(bank, transmittance=hologram, levels=0, encoding="amplitude")


def _any_t(formats: Sequence[str], device: Modulator | DoseCurve | None) -> bool:
    """Whether every format draws a |t| that varies."""
    mirrors = isinstance(device, Modulator) and device.mirrors
    return all(name == "metasurface" or (name == "bitmap" and mirrors) for name in formats)


def _encoded(
    source: MaskBankData, name: str, encoding: str | None, period: float, any_t: bool
) -> tuple[MaskBankData, dict[str, Any]]:
    encodes: dict[str | None, Callable[[MaskBankData], MaskBankData]] = {
        None: lambda bank: bank,
        "double-phase": double_phase_bank,
        "lee": partial(lee_bank, period=period),
    }
    bank = encodes[encoding](source)
    bank = bank if any_t else phase_only(bank, name)
    height, width = bank.transmittance.shape[-2:]
    entry: dict[str, Any] = {
        "shape": list(bank.transmittance.shape),
        "geometry": bank.described(),
        "clear_aperture": [height * bank.pitch[0], width * bank.pitch[1]],
        "clear_aperture_unit": "m",
        "source_sha256": source.content_sha256,
    }
    if encoding == "double-phase":
        offset = unwanted_light_offset(bank.wavelength, bank.second_focal_length, bank.pitch)
        entry["encoding"] = {
            "method": encoding,
            "efficiency": double_phase_efficiency(source.transmittance),
            "unwanted_light_offset": list(offset),
            "unwanted_light_offset_unit": "m",
        }
    if encoding == "lee":
        place = carrier_offset(bank.wavelength, bank.second_focal_length, bank.pitch[1], period)
        report = carrier_report(source.transmittance, bank.transmittance, period, LEE_GAIN)
        entry["encoding"] = {
            "method": encoding,
            "period": period,
            "period_unit": "pixels along x",
            **asdict(report),
            "first_order_offset": place,
            "first_order_offset_unit": "m",
        }
    return bank, entry


def _plan(
    bank: MaskBankData, name: str, entry: dict[str, Any], formats: Sequence[str], options: Options
) -> list[_Task]:
    """The files of one bank; how each format draws it is added to ``entry``."""
    tasks: list[_Task] = []
    if any(kind in formats for kind in LAYOUTS):
        layout = entry["layout"] = layout_entry(bank, name, options)
        write = partial(
            write_layout,
            bank=bank,
            name=name,
            levels=layout["levels"],
            refractive_index=layout["refractive_index"],
            marks=options.marks,
            wafer=options.wafer,
            compact=options.compact,
        )
        tasks += [
            _Task(f"{name}.{kind}", kind, name, None, write) for kind in ("gds", "oas") if kind in formats
        ]
        if "oasis_mask" in formats:
            entry["oasis_mask"] = layer_files(name, layout)
            for layer, file in entry["oasis_mask"]["files"].items():
                tasks.append(_Task(file, "oasis_mask", name, None, partial(write, only=int(layer))))
    for kind in (kind for kind in _SUFFIX if kind in formats):
        entry[kind] = mask_entry(bank, name, kind, options)
        for out, in_ in np.ndindex(*bank.transmittance.shape[:2]):
            draw = partial(write_mask, bank=bank, index=(out, in_), kind=kind, how=entry[kind])
            tasks.append(_Task(f"{cell_name(name, out, in_)}.{_SUFFIX[kind]}", kind, name, (out, in_), draw))
    if "metasurface" in formats:
        if options.library is None:
            raise ValueError("library: expected a library of posts for the format 'metasurface', got none.")
        entry["metasurface"] = posts_entry(options.library, bank, name)
        post = partial(write_posts, bank=bank, entry=entry["metasurface"])
        tasks.append(_Task(f"{name}_posts.oas", "metasurface", name, None, post))
    return tasks


def _write(task: _Task, draft: Path) -> ExportedFile:
    path = draft / task.path
    task.write(path)
    return ExportedFile(task.path, task.format, task.bank, task.channels, path.stat().st_size, sha256(path))


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """What the system says while a draft is written is said of the file that it was to become."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or EIO, error.strerror or str(error), str(path)) from error


def _publish(draft: Path, out: Path, manifest: Manifest) -> None:
    """Rename the files into place, the manifest last, and remove what an earlier export left."""
    new = {file.path for file in manifest.files}
    stale: list[ExportedFile] = []
    with suppress(ValueError, FileNotFoundError):
        stale = [file for file in Manifest.load(out, verify=False).files if file.path not in new]
    for name in sorted(new):
        (draft / name).replace(out / name)
    for name in (NAME, SUMS):
        (draft / name).replace(out / name)
    for file in stale:
        if (out / file.path).is_file() and sha256(out / file.path) == file.sha256:
            (out / file.path).unlink()


def _check_choice(name: str, values: Sequence[Any], choices: Sequence[Any]) -> None:
    for value in values:
        if value not in choices:
            raise ValueError(f"{name}: expected {' or '.join(str(c) for c in choices if c)}, got {value!r}.")
