"""Damaged and hostile libraries of posts, and device profiles: a sentence that names the file."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damage import damage, memory, refused
from numpy.typing import NDArray
from scipy.io import savemat

from optics4f.fabrication.devices import load_device
from optics4f.fabrication.posts import PostLibrary, load_library

AXES: dict[str, NDArray[Any]] = {
    "phase": np.random.default_rng(0).uniform(-3, 3, (1, 2, 3, 2)),
    "transmission": np.random.default_rng(1).uniform(0.5, 1, (1, 2, 3, 2)),
    "leny": np.array([60e-9, 80e-9]),
    "lenx": np.array([110e-9, 120e-9, 130e-9]),
    "wavelength_m": np.array([532e-9, 633e-9]),
}
TABLE = "diameter,phase,t\n100,0.5,0.9\n150,1.5e0,0.8\n175,-2.25,1\n"
PROFILE = """kind = "modulator"
name = "slm"
shape = [6, 5]
pitch = "8 um"
wavelength = "532 nm"
bits = 1
lut = [0.0, 3.0]
"""


def hdf5(path: Path, **changes: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, array in {**AXES, **changes}.items():
            if array is not None:
                file[name] = array


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.csv": lambda path: path.write_text(TABLE),
    "a.mat": lambda path: savemat(path, AXES),
    "packed.mat": lambda path: savemat(path, AXES, do_compression=True),
    "a.h5": hdf5,
}


def read(path: Path) -> Any:
    posts: PostLibrary = load_library(path, "350 nm", "532 nm")
    return np.concatenate([posts.size.ravel(), posts.transmittance.ravel()])


@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_refused_or_leaves_posts(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    assert np.isfinite(read(path)).all()
    damage(
        path.read_bytes(), lambda damaged, how: [path.write_bytes(damaged), refused(lambda: read(path), path)]
    )


def test_damaged_profile_is_refused_or_read(tmp_path: Path) -> None:
    path = tmp_path / "slm.toml"

    def check(damaged: bytes, how: str) -> None:
        path.write_bytes(damaged)
        refused(lambda: load_device(path).transmittance(532e-9), path)  # type: ignore[union-attr]

    damage(PROFILE.encode(), check)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("100,nan\n", "finite real numbers"),
        ("100,1e999\n", "finite real numbers"),
        ("nan,1\n", "finite real numbers"),
        ("100,0,1.5\n", r"\|t\| <= 1"),
        ("100,0,-1e300\n", r"\|t\| <= 1"),
        ("-100,0\n", "more than 0"),
        ("1e300,0\n", "at most the cell"),
        ("# words\n#\n", "got none"),
        ("diameter,phase\n", "got none"),
        ("100\n", "got 1"),
        ("100,0\n100,0,0\n", "columns changed"),
        ("\0" * 1000, "could not convert"),
    ],
)
def test_hostile_tables_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(
        ValueError, match=rf"^{path}: expected a library of posts, got another file \(.*{reason}"
    ):
        load_library(path, "350 nm", "532 nm")


HUGE = (1, 2, 3, 10**8)


def packed(times: int) -> Callable[[Path], None]:
    """Phases that are all 0, deflated once or twice: 800 MB in a few kB."""

    def write(path: Path) -> None:
        hdf5(path, phase=None)
        with h5py.File(path, "r+") as file:
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((1, 1, 1, 10**7))
            for _ in range(times):
                plan.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
            space = h5py.h5s.create_simple((1, 1, 1, 10**7))
            h5py.h5d.create(file.id, b"phase", h5py.h5t.NATIVE_DOUBLE, space, plan)
            file["phase"][:] = 0

    return write


def linked(path: Path) -> None:
    hdf5(path.with_name("other.h5"))
    hdf5(path, phase=None)
    with h5py.File(path, "r+") as file:
        file["phase"] = h5py.ExternalLink("other.h5", "phase")


def sparse(path: Path) -> None:
    hdf5(path, phase=None)
    with h5py.File(path, "r+") as file:
        file.create_dataset("phase", (1, 2, 3, 10**6), "f8", chunks=(1, 1, 1, 1000))


def huge(path: Path) -> None:
    hdf5(path, phase=None)
    with h5py.File(path, "r+") as file:
        file.create_dataset("phase", HUGE, "f8", chunks=(1, 1, 1, 1000))


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (packed(1), "expected phase .polarisation, 2, 3, 2"),
        (packed(2), r"gzip once or no compression, got filters \[1, 1\]"),
        (linked, "expected phase in this file, got a link or nothing"),
        (sparse, "expected 48000000 bytes of samples, got 0 stored"),
        (huge, "expected at most 100000000 numbers"),
        (lambda path: hdf5(path, phase=None), "expected phase in this file"),
        (lambda path: hdf5(path, phase=np.full((1, 2, 3, 2), np.nan)), "finite real numbers"),
        (lambda path: hdf5(path, wavelength_m=np.array([np.nan, 532e-9])), "finite real numbers"),
        (lambda path: hdf5(path, phase=np.zeros((1, 2, 3, 2), "S3")), "finite real numbers"),
        (lambda path: hdf5(path, phase=np.zeros((1, 2, 3, 2), complex)), "finite real numbers"),
        (lambda path: hdf5(path, wavelength_m=np.empty(0)), "another file"),
    ],
)
def test_hostile_axes_are_refused(write: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write(path)
    # The zeros that are unpacked once are within what a library may hold; 80 MB, and a copy of them.
    with (
        memory(400_000_000),
        pytest.raises(ValueError, match=rf"^{path}: expected a library of posts.*{reason}"),
    ):
        load_library(path, "350 nm", "532 nm")


def test_matlab_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    stream = io.BytesIO()
    savemat(stream, {**AXES, "phase": np.zeros(2 * 10**7)}, do_compression=True)
    path.write_bytes(stream.getvalue())
    assert path.stat().st_size < 10**6
    with pytest.raises(ValueError, match=rf"^{path}: expected a library of posts"):
        load_library(path, "350 nm", "532 nm")
