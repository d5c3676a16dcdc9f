"""GDSII and OASIS with millions of rectangles: their records are made from arrays, all else by gdstk.

gdstk writes the library with one placeholder rectangle in each cell that has pixels. Here it is replaced by
the records of the pixels, byte for byte those that gdstk would have written for them one by one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from errno import EIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extras import require

Boxes = list[tuple[int, NDArray[np.int64]]]
"""Rectangles of one cell: (layer, corners left, bottom, right, top [nm] of shape [R, 4]) of each layer."""

_STAMP = datetime(2000, 1, 1)  # fixed, so that the same masks give the same bytes
_PLACEHOLDER = np.array([[2147418113, 2147401733, 2147430401, 2147434499]])  # beyond every mask [nm]
_PLACEHOLDER_LAYER = 251
_OASIS_END = 256
_CHUNK = 2**18  # rectangles at a time
_GDS_TAIL = b"\0\4\7\0\0\4\4\0"  # ENDSTR, ENDLIB
_OASIS_TAIL = b"\2\1"  # END, and an offset table that begins it


def placeholder() -> Any:
    """The rectangle to put first into a cell whose pixels follow."""
    left, bottom, right, top = (_PLACEHOLDER[0] * 1e-3).tolist()
    return require("gdstk", "fab").rectangle((left, bottom), (right, top), layer=_PLACEHOLDER_LAYER)


def write_gds(path: str | Path, library: Any, boxes: Iterable[Boxes]) -> None:
    """Write GDSII.

    Args:
        path: File to write.
        library: gdstk library in micrometres on a grid of 1 nm; each cell begins with :func:`placeholder`.
        boxes: The rectangles of each cell, in the order of the cells.
    """
    parts = _skeleton(lambda draft: library.write_gds(draft, timestamp=_STAMP), gds_records)
    with Path(path).open("wb") as file:
        file.write(parts[0])
        for part, layers in zip(parts[1:], boxes, strict=True):
            file.writelines(_records(layers, gds_records))
            file.write(part)


def write_oas(path: str | Path, library: Any, boxes: Iterable[Boxes], compact: bool = False) -> None:
    """Write OASIS, with compressed cells and a CRC-32; ``compact`` as in :func:`compact_records`.

    Other args as for :func:`write_gds`.
    """
    record, level = (compact_records, 4) if compact else (oas_records, 6)  # gdstk compresses at 6
    parts = _skeleton(lambda draft: library.write_oas(draft, compression_level=0), oas_records)
    names = b"".join(b"\x03" + _varint(len(cell.name)) + cell.name.encode() for cell in library.cells)
    bodies = [*parts[1:-1], parts[-1][: parts[-1].rindex(names)]]
    with Path(path).open("wb") as file:
        size, crc = 0, 0

        def write(data: bytes) -> None:
            nonlocal size, crc
            size, crc = size + file.write(data), zlib.crc32(data, crc)

        write(parts[0])
        for index, (body, layers) in enumerate(zip(bodies, boxes, strict=True), start=1):
            following = (
                b"\x0d" + _varint(index) if index < len(bodies) else b""
            )  # CELL record of the next one
            write(_compressed([*_records(layers, record), body.removesuffix(following)], level) + following)
        write(names + _end_record(size))
        file.write(crc.to_bytes(4, "little"))


def check_whole(draft: Path, is_oasis: bool) -> None:
    """Refuse a file that lacks its end: gdstk does not say when a disk is full.

    Raises:
        OSError: If the last record is not there.
    """
    with draft.open("rb") as file:
        file.seek(max(0, draft.stat().st_size - _OASIS_END))
        end = file.read()
    if not (end.startswith(_OASIS_TAIL) if is_oasis else end.endswith(_GDS_TAIL)):
        raise OSError(EIO, "expected a whole layout to be written, got a part of it; is the disk full?")


def gds_records(corners: NDArray[np.int64], layer: int) -> bytes:
    """BOUNDARY records of rectangles, 64 bytes each."""
    left, bottom, right, top = corners.astype(">i4").T
    record = np.zeros(
        len(corners),
        [("head", "S20"), ("x0", ">i4"), ("y0", ">i4"), ("xy", ">i4", 8), ("end", ">u2", 2)],
    )
    head = (
        b"\0\x04\x08\0"
        + b"\0\x06\x0d\x02"
        + layer.to_bytes(2, "big")
        + b"\0\x06\x0e\x02\0\0"
        + b"\0\x2c\x10\x03"
    )
    record["head"] = head
    record["x0"], record["y0"] = left, bottom
    record["xy"] = np.stack([right, bottom, right, top, left, top, left, bottom], axis=1)
    record["end"] = (4, 0x1100)
    return record.tobytes()


def oas_records(corners: NDArray[np.int64], layer: int) -> bytes:
    """RECTANGLE records; a square says so and leaves out its height."""
    left, bottom, right, top = corners.T
    width, height = right - left, top - bottom
    square = width == height
    return _packed(
        (np.full(len(corners), 20), True),
        (np.where(square, 0xDB, 0x7B).astype(np.uint8), True),
        (np.full(len(corners), layer), True),
        (np.zeros(len(corners), np.int64), True),
        (width, True),
        (height, ~square),
        (_signed(left), True),
        (_signed(bottom), True),
    )


def compact_records(corners: NDArray[np.int64], layer: int) -> bytes:
    """The same rectangles, each without what the one before it had too, and placed relative to it."""
    if not len(corners):
        return b""
    left, bottom, right, top = corners.T
    steps = [right - left, top - bottom, left, bottom]
    width, height, x, y = (np.diff(step, prepend=0) != 0 for step in steps)
    for fresh in (width, height, x, y):
        fresh[0] = True
    info = width << 6 | height << 5 | x << 4 | y << 3
    info[0] |= 3
    first = np.arange(len(corners)) == 0
    columns = (
        (np.full(len(corners), 20), np.ones_like(first)),
        (info, np.ones_like(first)),
        (np.full(len(corners), layer), first),
        (np.zeros(len(corners), np.int64), first),
        (steps[0], width),
        (steps[1], height),
        (_signed(np.diff(left, prepend=0)), x),
        (_signed(np.diff(bottom, prepend=0)), y),
    )
    # XYABSOLUTE, one rectangle, XYRELATIVE, the rest, XYABSOLUTE
    one, rest = (
        _packed(*((value[cut], present[cut]) for value, present in columns))
        for cut in (slice(0, 1), slice(1, None))
    )
    return b"\x0f" + one + b"\x10" + rest + b"\x0f"


def _records(layers: Boxes, record: Callable[[NDArray[np.int64], int], bytes]) -> Iterator[bytes]:
    for layer, corners in layers:
        for start in range(0, len(corners), _CHUNK):
            yield record(corners[start : start + _CHUNK], layer)


def _skeleton(
    write: Callable[[Path], Any], records: Callable[[NDArray[np.int64], int], bytes]
) -> list[bytes]:
    with TemporaryDirectory() as folder:
        draft = Path(folder) / "skeleton"
        write(draft)
        check_whole(draft, records is oas_records)
        return draft.read_bytes().split(records(_PLACEHOLDER, _PLACEHOLDER_LAYER))


def _compressed(pieces: list[bytes], level: int) -> bytes:
    """A CBLOCK of the records."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = b"".join([*map(deflate.compress, pieces), deflate.flush()])
    return b"\x22\0" + _varint(sum(map(len, pieces))) + _varint(len(packed)) + packed


def _end_record(names_at: int) -> bytes:
    """END up to the CRC: where the names are, five empty tables, and zeros up to 256 bytes."""
    tables = b"\x02\x01" + _varint(names_at) + b"\x01\0" * 5
    zeros = _OASIS_END - len(tables) - 2 - 5
    return tables + _varint(zeros) + bytes(zeros) + b"\x01"


def _varint(value: int) -> bytes:
    return _packed((np.array([value]), True))


def _packed(*columns: tuple[NDArray[Any], Any]) -> bytes:
    """Column by column of each record, the numbers that are present: uint8 as they are, others seven bits a
    byte, the lowest first, with the top bit set in all bytes but the last."""
    rows = len(columns[0][0])
    digits, used = [], []
    for value, present in columns:
        count = 1 if value.dtype == np.uint8 else -(-int(value.max(initial=1)).bit_length() // 7)
        byte = np.empty((count, rows), dtype=np.uint8)
        kept = np.empty((count, rows), dtype=bool)
        kept[0] = present
        for place in range(count):
            byte[place] = value >> 7 * place
            if place < count - 1:
                kept[place + 1] = kept[place] & (more := value >> 7 * (place + 1) > 0)
                byte[place] = byte[place] & 0x7F | more.astype(np.uint8) << 7
        digits.append(byte)
        used.append(kept)
    kept_bytes: NDArray[np.uint8] = np.concatenate(digits).T[np.concatenate(used).T]
    return kept_bytes.tobytes()


def _signed(value: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.abs(value) << 1 | (value < 0)
