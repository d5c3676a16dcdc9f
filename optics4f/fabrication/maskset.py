"""The mask-set file: HDF5 that a reader without optics4f can open and use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..extras import require
from ..files import write_file
from .bank import ORIENTATION, MaskBankData

FORMAT = "optics4f-masks"
FORMAT_VERSION = 1

_README = (
    "Each group /banks/<name> is one Fourier plane. Its dataset 'transmittance' [C_out, C_in, H, W] is the "
    "complex amplitude transmittance of the mask from input channel C_in to output channel C_out; each "
    "number 'x' in the attributes has its unit in 'x_unit', pairs are (y, x). Place sample (i, j) as the "
    "attribute 'orientation' says. The optics compute T = c t with 20 log10 c = sum_scale_db. "
    "content_sha256 of a bank is the SHA-256 of its attributes (without 'orientation' and 'content_sha256',"
    " with the dataset's 'shape') as compact JSON with sorted keys, followed by the samples as little-"
    "endian float32 pairs (real, imaginary) in C order."
)
_AXES = ("C_out", "C_in", "H", "W")


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Banks of masks by name, and where they come from.

    Args:
        banks: Bank by name; letters, digits, '_' and '-' (names become file names and cell names).
        provenance: Anything JSON can hold: model, training run, licence, author.

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
            OSError: If the file cannot be written.
            MissingExtraError: If h5py is not installed.
        """
        write_file(path, self._write)

    @classmethod
    def load(cls, path: str | Path) -> MaskSet:
        """Read a set and check its hashes; nothing in the file is executed.

        Raises:
            ValueError: If the file is damaged, was altered, is newer than this software, or is something
                else.
            FileNotFoundError: If there is no such file.
            MissingExtraError: If h5py is not installed.
        """
        h5py = require("h5py", "fab")
        Path(path).stat()  # a missing file is reported as such, by the system
        with _reading(path):
            if not h5py.is_hdf5(path):
                raise _Refused("an HDF5 mask set", "a file that is not complete HDF5")
            with h5py.File(path, "r") as file:
                return cls._read(file)

    def _write(self, draft: Path) -> None:
        h5py = require("h5py", "fab")
        with h5py.File(draft, "w") as file:
            for name, bank in self.banks.items():
                _write_bank(file.create_group(f"banks/{name}"), bank)
            file.attrs["README"] = _README
            file.attrs["content_sha256"] = self.content_sha256
            file.attrs["format"] = FORMAT
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["provenance"] = _json(self.provenance)
            file.attrs["software"] = f"optics4f {__version__}"

    @classmethod
    def _read(cls, file: Any) -> MaskSet:
        if _plain(file.attrs.get("format")) != FORMAT:
            raise _Refused(f"the format '{FORMAT}'", f"{_plain(file.attrs.get('format'))!r}")
        version = _plain(file.attrs["format_version"])
        if version != FORMAT_VERSION:
            raise _Refused(f"format version {FORMAT_VERSION}", f"version {version}")
        banks = {name: _read_bank(name, file["banks"]) for name in file["banks"]}
        masks = cls(banks, json.loads(file.attrs["provenance"]))
        if masks.content_sha256 != _plain(file.attrs["content_sha256"]):
            raise _Refused("the content its hash was made for", "other content")
        return masks


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
    attributes = {**bank.described(), "orientation": ORIENTATION, "content_sha256": bank.content_sha256}
    for name in sorted(attributes):
        group.attrs[name] = attributes[name]


def _read_bank(name: str, banks: Any) -> MaskBankData:
    h5py = require("h5py", "fab")
    links = (banks.get(name, getlink=True), banks[name].get("transmittance", getlink=True))
    dataset = banks[name]["transmittance"]
    # The samples must stand in this file: a link or an external file could read anything on the disk.
    if not all(isinstance(link, h5py.HardLink) for link in links) or dataset.is_virtual or dataset.external:
        raise _Refused(f"the samples of bank '{name}' in this file", "a link to another place")
    if dataset.dtype != np.complex64 or dataset.ndim != 4:
        raise _Refused("transmittance [C_out, C_in, H, W] of complex64", f"{dataset.dtype} {dataset.shape}")
    attributes = {key: _plain(value) for key, value in banks[name].attrs.items()}
    bank = MaskBankData.from_described(dataset[()], attributes)
    if bank.content_sha256 != attributes["content_sha256"]:
        raise _Refused(f"bank '{name}' with SHA-256 {attributes['content_sha256']}", bank.content_sha256)
    return bank


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
