"""Damaged and hostile pictures, points and solids: a sentence that names the file, or finite numbers."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import damage, memory, refused
from numpy.typing import NDArray
from PIL import Image

from optics4f.fabrication import MaskBankData
from optics4f.fabrication.bitmap import device_entry, read_bitmap, read_device_bitmap, write_device_bitmap
from optics4f.fabrication.devices import DoseCurve, Modulator
from optics4f.fabrication.heightmap import read_height_map, read_points, write_height_map, write_points
from optics4f.fabrication.stl import read_relief, write_relief, write_stl

N, WAVE, SHAPE = 1.46, 532e-9, (6, 5)
PHASE = np.random.default_rng(0).uniform(0, 6, SHAPE)
Y, X = (np.arange(n + 1) * 8e-6 for n in SHAPE)
MIDDLE = (Y[1:] - 4e-6, X[1:] - 4e-6)
DEVICES = {
    "modulator": Modulator("slm", (8, 9), "8 um", "532 nm", bits=16),
    "mirrors": Modulator("dmd", (8, 9), "8 um", "532 nm", bits=1),
    "dose": DoseCurve("writer", ["0 nm", "400 nm", "1300 nm"], (5, 120, 250)),
}


def bank() -> MaskBankData:
    return MaskBankData(np.exp(1j * PHASE)[None, None], (8e-6, 8e-6), WAVE, 0.1, 0.1, SHAPE, (8e-6, 8e-6))


def entry(kind: str) -> dict[str, Any]:
    return device_entry(DEVICES[kind], bank(), N)


def on_device(kind: str, path: Path) -> None:
    t = (PHASE > 3).astype(complex) if kind == "mirrors" else np.exp(1j * PHASE)
    write_device_bitmap(path, t, WAVE, entry(kind))


def named(value: object) -> str:
    return value if isinstance(value, str) else "file"


def save(path: Path, pixels: NDArray[Any], kind: str = "PNG", **options: Any) -> None:
    Image.fromarray(pixels).save(path, format=kind, **options)


GREY = np.random.default_rng(1).integers(0, 256, SHAPE).astype(np.uint8)
CASES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "png": (lambda path: save(path, GREY), lambda path: read_bitmap(path, SHAPE)),
    "bmp": (lambda path: save(path, GREY, "BMP"), lambda path: read_bitmap(path, SHAPE)),
    "tiff": (
        lambda path: write_height_map(path, PHASE),
        lambda path: read_height_map(path, SHAPE, WAVE, N),
    ),
    "xyz": (lambda path: write_points(path, PHASE, bank(), N), lambda path: read_points(path, bank(), N)),
    "stl": (
        lambda path: write_relief(path, np.round(PHASE) * 1e-6, Y, X, 1e-4),
        lambda path: read_relief(path, *MIDDLE, 1e-4),
    ),
    **{
        kind: (
            lambda path, kind=kind: on_device(kind, path),
            lambda path, kind=kind: read_device_bitmap(path, SHAPE, WAVE, entry(kind)),
        )
        for kind in DEVICES
    },
}


@pytest.mark.parametrize("kind", CASES)
def test_damage_is_refused_or_harmless(kind: str, tmp_path: Path) -> None:
    write, read = CASES[kind]
    path = tmp_path / "file"
    write(path)
    sound, content = read(path), path.read_bytes()

    def check(damaged: bytes, how: str) -> None:
        path.write_bytes(damaged)
        if not refused(lambda: read(path), path) and how == "cut" and kind != "xyz":
            # All of the picture was there. A number of a text that was cut is another number.
            np.testing.assert_array_equal(read(path), sound)

    damage(content, check)


NOISE = [b"", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"GIF89a", b"%!PS-Adobe-3.0 EPSF-3.0\n"]


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("noise", NOISE)
def test_other_files_are_refused(kind: str, noise: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(noise + np.random.default_rng(2).bytes(300 if noise else 0))
    assert refused(lambda: CASES[kind][1](path), path)


@pytest.mark.parametrize("kind", CASES)
def test_no_file_is_no_damaged_file(kind: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CASES[kind][1](tmp_path / "none")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(height: int, width: int, *more: bytes, pixels: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(pixels or bytes((SHAPE[1] + 1) * SHAPE[0])))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + data + chunk(b"IEND", b"")


ZEROS = zlib.compress(bytes(10**8), 9)  # 100 kB that unpack to 100 MB


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (png(60_000, 60_000), "a sound PNG or BMP, got another file .*exceeds limit"),
        (png(10_000, 10_000), "8-bit grey, L 6 x 5, got L 10000 x 10000"),
        (png(0, 0), "a sound PNG or BMP"),
        (png(*SHAPE, chunk(b"zTXt", b"a\0\0" + ZEROS)), "a sound PNG or BMP"),
        (png(*SHAPE, chunk(b"iTXt", b"a\0\1\0\0\0" + ZEROS)), "a sound PNG or BMP"),
        (png(*SHAPE)[:-30], "a sound PNG or BMP"),
    ],
    ids=named,
)
def test_hostile_pictures_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with memory(50_000_000), pytest.raises(ValueError, match=rf"^{path}: expected ({reason})"):
        read_bitmap(path, SHAPE)


def test_a_picture_with_more_than_its_pixels_is_read_and_the_rest_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(png(*SHAPE, pixels=bytes(10**8)))
    with memory(50_000_000):
        np.testing.assert_array_equal(read_bitmap(path, SHAPE), np.zeros(SHAPE))


def tiff(width: int, height: int, offset: int = 8, packing: int = 1) -> bytes:
    tags = [(256, width), (257, height), (258, 16), (259, packing), (262, 1)]
    tags += [(273, offset), (278, height), (279, 60)]
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 68) + bytes(60) + struct.pack("<H", len(tags)) + rows + bytes(4)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(60_000, 60_000), "a sound TIFF, got another file .*exceeds limit"),
        (tiff(5, 10**6), "16-bit grey, I;16 6 x 5, got I;16 1000000 x 5"),
        (tiff(5, 6, offset=2**31), "a sound TIFF"),
        (tiff(5, 6, packing=8), "16-bit grey, I;16 6 x 5, got I;16 6 x 5, packed by tiff_adobe_deflate"),
    ],
    ids=named,
)
def test_hostile_height_maps_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.tiff"
    path.write_bytes(tiff(5, 6))
    assert not read_height_map(path, SHAPE, WAVE, N).any()  # the sound one is flat
    path.write_bytes(content)
    with memory(50_000_000), pytest.raises(ValueError, match=rf"^{path}: expected {reason}"):
        read_height_map(path, SHAPE, WAVE, N)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0 nan", "points x y z"),
        ("0 0 1e999", "points x y z"),
        ("1e300 0 0", "points on the centres"),
        ("0 -1e300 0", "points on the centres"),
        ("0 0 1e300", "heights of 0 to 1.15652 um"),
        ("0 0", "lines of three numbers"),
        ("0 0 zero", "lines of three numbers"),
        ("0 0 0\n0 0 0", "30 points x y z, got"),
    ],
    ids=named,
)
def test_hostile_points_are_refused(line: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.xyz"
    write_points(path, PHASE, bank(), N)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], line]))
    with pytest.raises(ValueError, match=rf"^{path}: expected .*{reason}"):
        read_points(path, bank(), N)


def test_points_that_fill_the_disk_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file.xyz"
    with path.open("wb") as file:
        file.truncate(10**12)  # a hole: it takes no room
    reason = "expected lines of three numbers, got .*1000000000000 bytes for 30 points"
    with memory(50_000_000), pytest.raises(ValueError, match=rf"^{path}: {reason}"):
        read_points(path, bank(), N)


RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
UPWARD = np.array([[[0, 0, 1], [1, 0, 1], [0, 1, 1]]], dtype=np.float32)


def solid(triangles: NDArray[Any], count: int | None = None) -> bytes:
    records = np.zeros(len(triangles), RECORD)
    records["corners"] = triangles
    declared = len(triangles) if count is None else count
    return bytes(80) + struct.pack("<I", declared) + records.tobytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (solid(UPWARD, 2**32 - 1), "expected 214748364834 bytes of binary STL, got 134"),
        (solid(UPWARD * [1, 1, np.nan]), "expected finite corners"),
        (solid(UPWARD + np.float32(np.inf)), "expected finite corners"),
        (solid(UPWARD * [[1, 1, 1], [1, 1, 2], [1, 1, 1]]), "expected faces that are flat or upright"),
        (b"solid ascii\n facet normal 0 0 1\n", "bytes of binary STL, got 32"),
    ],
    ids=named,
)
def test_hostile_solids_are_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.stl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path}: .*{reason}"):
        read_relief(path, *MIDDLE, 0)


def test_triangles_across_all_rows_take_no_memory_for_each_crossing(tmp_path: Path) -> None:
    """6000 triangles cross 2000 rows: 24 million crossings, 2.4 GB if they were all written out."""
    path, count, rows = tmp_path / "file.stl", 6000, 2000
    write_stl(path, np.repeat(UPWARD, count, axis=0))
    y = (np.arange(rows) + 0.5) / rows * 1e-3
    with memory(600_000_000):
        height = read_relief(path, y, np.array([1e-7]), 0)
    # x = 0.0001 mm is within the triangle in every row: the last ends at 0.00025 mm. Whole numbers add up.
    np.testing.assert_allclose(height[:, 0], count * 1e-3, rtol=1e-12)
