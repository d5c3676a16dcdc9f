"""Damaged arrays and mask sets: their readers say what is wrong and name the file, and do nothing else.

Random damage comes from hypothesis, seeded, so that a failure comes back. A reader may accept damage that
leaves the numbers whole (a changed label); then it must give finite numbers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import FEW
from hypothesis import given
from hypothesis import strategies as st
from scipy import io as matlab
from test_importers import legacy, matlab73, npy

from optics4f.fabrication import MaskBankData, MaskSet
from optics4f.fabrication.arrays import read_array

ARRAY = np.random.default_rng(0).normal(size=(2, 3, 6, 5)).astype(np.float32)


def masks() -> MaskSet:
    phase = np.random.default_rng(1).uniform(0, 6, (2, 1, 6, 5))
    bank = MaskBankData(np.exp(1j * phase), (8e-6, 8e-6), 532e-9, 0.1, 0.1, (6, 5), (8e-6, 8e-6))
    return MaskSet({"first": bank, "second": bank}, {"data": "MNIST"})


def write_torch(path: Path) -> None:
    torch.save({"H": torch.from_numpy(ARRAY)}, path)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "masks": lambda path: masks().save(path),
    "npy": lambda path: npy(path, ARRAY),
    "legacy": lambda path: legacy(path, ARRAY),
    "torch": write_torch,
    "v5": lambda path: matlab.savemat(path, {"H": ARRAY}, do_compression=True),
    "v5 plain": lambda path: matlab.savemat(path, {"H": ARRAY}),
    "v7.3": lambda path: matlab73(path, ARRAY),
}


def read(kind: str, path: Path) -> Any:
    return MaskSet.load(path) if kind == "masks" else read_array(path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sound")
    for kind, write in WRITERS.items():
        write(folder / kind)
        read(kind, folder / kind)
    return {kind: (folder / kind).read_bytes() for kind in WRITERS}


def refuses_or_reads(kind: str, path: Path, content: bytes) -> bool:
    """True if refused, by one sentence that names the file."""
    path.write_bytes(content)
    try:
        found = read(kind, path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: expected") and "\n" not in str(error)
        return True
    if kind != "masks":
        assert np.isfinite(found).all()
    return False


@pytest.mark.parametrize("kind", WRITERS)
def test_truncated(kind: str, sound: dict[str, bytes], tmp_path: Path) -> None:
    content = sound[kind]

    @FEW
    @given(st.integers(0, len(content) - 1))
    def check(length: int) -> None:
        refused = refuses_or_reads(kind, tmp_path / "f", content[:length])
        # The last bytes of a zip or HDF5 file may be padding; those of samples and seals are none.
        assert refused or kind in ("v7.3", "legacy") or length > 0.9 * len(content)
        if kind == "masks":
            assert refused

    check()


@pytest.mark.parametrize("kind", WRITERS)
def test_flipped_bits(kind: str, sound: dict[str, bytes], tmp_path: Path) -> None:
    content = sound[kind]
    places = st.lists(st.integers(0, 8 * len(content) - 1), min_size=1, max_size=6, unique=True)

    @FEW
    @given(places)
    def check(bits: list[int]) -> None:
        damaged = bytearray(content)
        for bit in bits:
            damaged[bit // 8] ^= 1 << bit % 8
        refused = refuses_or_reads(kind, tmp_path / "f", bytes(damaged))
        # The seal sees every bit.
        assert refused or kind != "masks"

    check()


@FEW
@given(st.binary(max_size=600), st.sampled_from(sorted(WRITERS)), st.booleans())
def test_noise_behind_a_right_or_wrong_magic(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, kind: str, is_headed: bool
) -> None:
    magic = {
        "npy": b"\x93NUMPY\x01\x00",
        "legacy": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        "torch": b"PK\x03\x04",
        "v5": b"MATLAB 5.0".ljust(124) + b"\x00\x01IM",
        "v5 plain": b"MATLAB 5.0".ljust(124) + b"\x01\x00MI",
        "v7.3": b"MATLAB 7.3".ljust(124) + b"\x00\x02IM",
        "masks": b"\x89HDF\r\n\x1a\n",
    }[kind]
    path = tmp_path_factory.getbasetemp() / "noise"
    assert refuses_or_reads(kind, path, (magic if is_headed else b"") + noise)
