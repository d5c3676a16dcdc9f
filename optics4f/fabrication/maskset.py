"""The mask-set file: HDF5 that a reader without optics4f can open and use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from errno import EIO
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..extras import require
from ..files import sha256, write_file
from .bank import ORIENTATION, MaskBankData
from .hdf5 import MAX_BYTES, attributes, samples
from .schema import check_schema, load_schema

FORMAT = "optics4f-masks"
FORMAT_VERSION = 2
"""Version 2 adds material, dispersion table and flips to a bank, and a seal before the HDF5."""

SEAL_SIZE = 512  # the smallest user block of HDF5
_SEAL = b"optics4f-masks, sealed: SHA-256 of all bytes after the first 512\n"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_README = (
    "Each group /banks/<name> is one Fourier plane. Its dataset 'transmittance' [C_out, C_in, H, W] is the "
    "complex amplitude transmittance of the mask from input channel C_in to output channel C_out; each "
    "number 'x' in the attributes has its unit in 'x_unit', pairs are (y, x). Place sample (i, j) as the "
    "attribute 'orientation' says. The optics compute T = c t with 20 log10 c = sum_scale_db. "
    "content_sha256 of a bank is the SHA-256 of its attributes (without 'orientation' and 'content_sha256',"
    " with the dataset's 'shape') as compact JSON with sorted keys, followed by the samples as little-"
    "endian float32 pairs (real, imaginary) in C order. 'flips' is a history, nothing to be undone. The "
    "first 512 bytes of the file are an HDF5 user block with the SHA-256 of the rest."
)
_AXES = ("C_out", "C_in", "H", "W")


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Banks of masks by name, and where they come from.

    Args:
        banks: Bank by name; letters, digits, '_' and '-' (names become file names and cell names).
        provenance: Anything JSON can hold: model, training run, licence, author; :func:`provenance` makes
            the usual entries.

    Raises:
        ValueError: If there is no bank, a name cannot be a file name, or two differ only in case.
        TypeError: If the provenance is not JSON.
    """

    banks: dict[str, MaskBankData]
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.banks:
            raise ValueError("banks: expected at least one bank, got none.")
        for name in self.banks:
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
                raise ValueError(f"banks: expected a name of letters, digits, '_' and '-', got {name!r}.")
        if len({name.casefold() for name in self.banks}) < len(self.banks):
            raise ValueError(
                f"banks: expected names that differ in more than case, got {', '.join(self.banks)}."
            )
        object.__setattr__(self, "banks", dict(sorted(self.banks.items())))
        object.__setattr__(self, "provenance", json.loads(_json(self.provenance)))

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the bank hashes and the provenance, as compact JSON with sorted keys."""
        hashes = {name: bank.content_sha256 for name, bank in self.banks.items()}
        return hashlib.sha256(_json({"banks": hashes, "provenance": self.provenance}).encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the set as HDF5, atomically; the same set gives the same bytes.

        Raises:
            OSError: If the file cannot be written; nothing is left behind.
            MissingExtraError: If h5py is not installed.
        """
        try:
            write_file(path, self._write)
        except (OSError, RuntimeError) as error:  # of a full disk h5py says either, about the draft
            code, reason = getattr(error, "errno", None) or EIO, str(error).split("\n")[0]
            raise OSError(code, f"expected to write the mask set, got: {reason}", str(path)) from error

    @classmethod
    def load(cls, path: str | Path, max_bytes: int = MAX_BYTES) -> MaskSet:
        """Read a set and check its hashes; nothing in the file is executed.

        Args:
            path: The file.
            max_bytes: Largest size of all samples together, unpacked.

        Raises:
            ValueError: If the file is damaged, was altered, is newer than this software, or is something
                else.
            FileNotFoundError: If there is no such file.
            MissingExtraError: If h5py is not installed.
        """
        h5py = require("h5py", "fab")
        Path(path).stat()  # a missing file is reported as such, by the system
        with _reading(path):
            sealed = _check_seal(Path(path))
            if not h5py.is_hdf5(path):
                raise _Refused("an HDF5 mask set", "a file that is not complete HDF5")
            with h5py.File(path, "r") as file:
                return cls._read(file, sealed, max_bytes)

    def _write(self, draft: Path) -> None:
        h5py = require("h5py", "fab")
        with h5py.File(draft, "w", userblock_size=SEAL_SIZE) as file:
            for name, bank in self.banks.items():
                _write_bank(file.create_group(f"banks/{name}"), bank)
            file.attrs["README"] = _README
            file.attrs["content_sha256"] = self.content_sha256
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["provenance"] = _json(self.provenance)
            file.attrs["software"] = f"optics4f {__version__}"
        seal(draft)

    @classmethod
    def _read(cls, file: Any, sealed: bool, max_bytes: int) -> MaskSet:
        document = attributes(file)
        if document.get("format") != FORMAT:
            raise _Refused(f"the format '{FORMAT}'", f"{document.get('format')!r}")
        version = document.get("format_version")
        if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
            raise _Refused(f"format version 1 to {FORMAT_VERSION}", f"version {version}")
        if version > 1 and not sealed:
            raise _Refused("the seal of format version 2", "none")
        if not isinstance(file.get("banks"), require("h5py", "fab").Group):
            raise _Refused("a group of banks", "none")
        document["provenance"] = json.loads(document.get("provenance", "null"))
        document["banks"] = {name: _described(name, file["banks"]) for name in file["banks"]}
        check_schema(document, load_schema("masks"), "masks")
        banks: dict[str, MaskBankData] = {}
        for name, entry in document["banks"].items():
            banks[name] = _read_bank(name, file["banks"][name], entry, max_bytes)
            max_bytes -= banks[name].transmittance.nbytes
        masks = cls(banks, document["provenance"])
        if masks.content_sha256 != document["content_sha256"]:
            raise _Refused("the content its hash was made for", "other content")
        return masks


def provenance(
    checkpoint: str | Path | None = None,
    data: str | None = None,
    command: Sequence[str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Where masks come from, as a mask set stores it; what is not given is left out.

    Args:
        checkpoint: File of the trained numbers; its SHA-256 is stored.
        data: Name of the data set.
        command: The command and its arguments.
        more: Anything else JSON can hold.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
    """
    known: dict[str, Any] = {"code_version": f"optics4f {__version__}"}
    if checkpoint is not None:
        known["checkpoint_sha256"] = sha256(checkpoint)
    if data is not None:
        known["data"] = data
    if command is not None:
        known["command"] = [str(part) for part in command]
    return {**known, **more}


def seal(path: str | Path) -> None:
    """Write the SHA-256 of what follows into the user block of a mask-set file."""
    with Path(path).open("r+b") as file:
        file.write(_seal_of(file))


class _Refused(Exception):
    """What was expected in a file, and what was found."""


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turn whatever a damaged file provokes into one sentence."""
    try:
        yield
    except _Refused as refused:
        raise ValueError(f"{path}: expected {refused.args[0]}, got {refused.args[1]}.") from None
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError) as error:
        raise ValueError(f"{path}: expected a sound mask set, got a damaged one ({error}).") from error


def _write_bank(group: Any, bank: MaskBankData) -> None:
    # No time stamps: the same masks shall give the same bytes.
    dataset = group.create_dataset(
        "transmittance", data=bank.transmittance, compression="gzip", shuffle=True, track_times=False
    )
    for dimension, label in zip(dataset.dims, _AXES, strict=True):
        dimension.label = label
    described = {**bank.described(), "orientation": ORIENTATION, "content_sha256": bank.content_sha256}
    for name in sorted(described):
        group.attrs[name] = described[name]


def _described(name: str, banks: Any) -> dict[str, Any]:
    h5py = require("h5py", "fab")
    # A bank must stand in this file: a link could read anything on the disk.
    link = banks.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink) or not isinstance(banks[name], h5py.Group):
        raise _Refused(f"the bank '{name}' in this file", "a link to another place, or no group")
    dataset = banks[name].get("transmittance", getlink=True)
    if not isinstance(dataset, h5py.HardLink):
        raise _Refused(f"the samples of bank '{name}' in this file", "a link to another place, or none")
    return {**attributes(banks[name]), "shape": list(banks[name]["transmittance"].shape)}


def _read_bank(name: str, group: Any, described: dict[str, Any], max_bytes: int) -> MaskBankData:
    dataset = group["transmittance"]
    if dataset.dtype != np.complex64:
        raise _Refused("transmittance [C_out, C_in, H, W] of complex64", f"{dataset.dtype} {dataset.shape}")
    if described["orientation"] != ORIENTATION:
        raise _Refused(f"bank '{name}' in the orientation of this format", "another orientation")
    bank = MaskBankData.from_described(samples(group, "transmittance", max_bytes), described)
    if bank.content_sha256 != described["content_sha256"]:
        raise _Refused(f"bank '{name}' with SHA-256 {described['content_sha256']}", bank.content_sha256)
    return bank


def _check_seal(path: Path) -> bool:
    """Whether the file has a seal, which is then right; damage is found before HDF5 parses anything."""
    with path.open("rb") as file:
        found = file.read(SEAL_SIZE)
        if found.startswith(_SIGNATURE):
            return False  # format version 1 has no seal
        if not found.startswith(_SEAL):
            raise _Refused("an HDF5 mask set", "a file that is not complete HDF5, or has no seal")
        if found != _seal_of(file):
            raise _Refused("the bytes its seal was made for", "other bytes: the file was cut or altered")
    return True


def _seal_of(file: BufferedIOBase) -> bytes:
    file.seek(SEAL_SIZE)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return (_SEAL + digest.encode() + b"\n").ljust(SEAL_SIZE, b"\0")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
