"""Hostile arrays and mask sets, made by hand: huge declared shapes, and little that unpacks to very much."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from test_reader_fuzz import masks

from optics4f.fabrication import MaskSet
from optics4f.fabrication.arrays import read_array
from optics4f.fabrication.maskset import seal


def npy_header(shape: str, dtype: str = "<f8") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matlab_declared(rows: int, columns: int, data: bytes = b"") -> bytes:
    flags = element(6, struct.pack("<II", 6, 0))
    inner = flags + element(5, struct.pack("<ii", rows, columns)) + element(1, b"H") + element(9, data)
    packed = zlib.compress(element(14, inner))
    return b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed


def without_checksum() -> bytes:
    whole = matlab_declared(1, 1, bytes(8))
    packed = whole[136:-4]
    return whole[:132] + struct.pack("<I", len(packed)) + packed


def hdf5(**options: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("H", dtype="f8", **options)
    return stream.getvalue()


def packed_twice() -> bytes:
    """A thousand zeros, deflated twice: the ratio of one deflate says nothing about its size."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((1000,))
        for _ in range(2):
            plan.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
        space = h5py.h5s.create_simple((1000,))
        h5py.h5d.create(file.id, b"H", h5py.h5t.NATIVE_DOUBLE, space, plan)
        file["H"][:] = 0
    return stream.getvalue()


def legacy_of_length(length: int) -> bytes:
    """A legacy file of torch whose storage is said to be longer than it is."""
    stream = io.BytesIO()
    torch.save(torch.zeros(77777), stream, _use_new_zipfile_serialization=False)
    content = stream.getvalue()
    number = struct.pack("<I", 77777)[:3]
    assert b"J" + number + b"\0" in content
    return content.replace(b"J" + number + b"\0", b"J" + struct.pack("<i", length))


def stretched(length: int) -> bytes:
    """One number that stands for many, by a stride of 0."""
    stream = io.BytesIO()
    torch.save({"H": torch.zeros(1).expand(length)}, stream)
    return stream.getvalue()


def packed_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02N.")
        archive.writestr("archive/data/0", bytes(10**7))
    return stream.getvalue()


HUGE = 2_000_000_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy_header(f"({HUGE}, {HUGE})"), "declared as"),
        (npy_header("(1000000,)") + bytes(8), "8 bytes for an array of 8000000"),
        (npy_header("(-3, -4)") + bytes(96), "declared as"),
        (npy_header("(1,)", "|O") + b"N.", "pickled objects, which are not read"),
        (b"\x93NUMPY\x09\x00" + bytes(50), "NPY version"),
        (matlab_declared(HUGE, HUGE), "declared as"),
        (matlab_declared(100, 100, bytes(800)), "800 bytes for an array declared as"),
        (matlab_declared(2, 2, bytes(5 * 10**7)), "unpacks to more than"),
        (without_checksum(), "compressed data that was cut"),
        (hdf5(shape=(HUGE, HUGE), chunks=(4, 4)), "declared"),
        (hdf5(shape=(10**6,), chunks=(100,)), "expected 8000000 bytes of samples, got 0 stored"),
        (hdf5(shape=(4,), maxshape=(None,), chunks=(10**6,), compression="gzip"), "expected chunks within"),
        (hdf5(data=np.ones((4, 4)), chunks=(4, 4), compression="lzf"), "gzip once or no compression"),
        (packed_twice(), r"gzip once or no compression, got filters \[1, 1\]"),
        (legacy_of_length(HUGE), f"a declared length of {HUGE}"),
        (stretched(10**6), "a declared length of 1000000|a tensor larger than its file"),
        (packed_zip(), "unpack to more than the file"),
    ],
)
def test_bombs_are_refused_before_they_are_unpacked(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path}: expected .*({reason})"):
        read_array(path, max_bytes=4 * 10**7)


def hostile(alter: Callable[[h5py.File], Any], path: Path) -> None:
    """A mask set altered by somebody who can make a seal."""
    masks().save(path)
    with h5py.File(path, "r+") as file:
        alter(file)
    seal(path)


def replaced(**options: Any) -> Callable[[h5py.File], Any]:
    def alter(file: h5py.File) -> None:
        del file["banks/first/transmittance"]
        file["banks/first"].create_dataset("transmittance", dtype="c8", **options)

    return alter


def nan_phases(file: h5py.File) -> None:
    file["banks/first/transmittance"][0, 0, 0, 0] = np.nan


def large_attribute(file: h5py.File) -> None:
    file["banks/first"].attrs["extra"] = np.empty((), "V60000")


def many_attributes(file: h5py.File) -> None:
    for index in range(200):
        file["banks/first"].attrs[f"a{index}"] = index


def number_for_text(file: h5py.File) -> None:
    file.attrs["software"] = np.zeros(8000)


def loop(file: h5py.File) -> None:
    file["banks/third"] = file["/"]


def external(file: h5py.File) -> None:
    del file["banks/first/transmittance"]
    file["banks/first"].create_dataset(
        "transmittance", (2, 1, 6, 5), "c8", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def virtual(file: h5py.File) -> None:
    del file["banks/first/transmittance"]
    layout = h5py.VirtualLayout((2, 1, 6, 5), "c8")
    layout[:] = h5py.VirtualSource("other.h5", "H", (2, 1, 6, 5))
    file["banks/first"].create_virtual_dataset("transmittance", layout)


def deep(file: h5py.File) -> None:
    file.attrs["provenance"] = "[" * 30000


def turned(file: h5py.File) -> None:
    file["banks/first"].attrs["orientation"] = "row 0 at the top"


@pytest.mark.parametrize(
    ("alter", "reason"),
    [
        (nan_phases, r"expected \|t\| <= 1, got nan"),
        (replaced(shape=(2**15, 2**15, 64, 64), chunks=(1, 1, 64, 64), compression="gzip"), "declared"),
        (replaced(shape=(2, 1, 2000, 2000), chunks=(1, 1, 10, 10)), "of samples, got 0 stored"),
        (replaced(shape=(2, 1, 6, 5), chunks=(2, 1, 6, 5), compression="lzf"), "gzip once or no compression"),
        (large_attribute, "nothing but what the format has, got 'extra'"),
        (many_attributes, "expected at most 128 attributes"),
        (number_for_text, "software: expected string"),
        (loop, "the samples of bank 'third' in this file, got a link to another place, or none"),
        (external, "got a link to another place"),
        (virtual, "got a link to another place"),
        (deep, "got a damaged one .maximum recursion depth"),
        (turned, "bank 'first' in the orientation of this format, got another"),
    ],
)
def test_hostile_mask_set_is_refused(alter: Callable[[h5py.File], Any], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "masks.h5"
    hostile(alter, path)
    with pytest.raises(ValueError, match=rf"^{path}: expected .*{reason}") as caught:
        MaskSet.load(path)
    assert "\n" not in str(caught.value)


def test_size_limit_counts_all_banks(tmp_path: Path) -> None:
    masks().save(tmp_path / "masks.h5")
    size = sum(bank.transmittance.nbytes for bank in masks().banks.values())
    assert MaskSet.load(tmp_path / "masks.h5", max_bytes=size).banks
    with pytest.raises(ValueError, match=r"masks\.h5: .*expected at most \d+ bytes, got \d+ declared"):
        MaskSet.load(tmp_path / "masks.h5", max_bytes=size - 1)


@pytest.mark.parametrize("place", ["header", "hash", "padding", "body", "end"])
def test_the_seal_sees_every_byte(place: str, tmp_path: Path) -> None:
    path = tmp_path / "masks.h5"
    masks().save(path)
    content = bytearray(path.read_bytes())
    content[{"header": 3, "hash": 70, "padding": 500, "body": 600, "end": -1}[place]] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"masks\.h5: expected (the bytes its seal|an HDF5 mask set)"):
        MaskSet.load(path)
