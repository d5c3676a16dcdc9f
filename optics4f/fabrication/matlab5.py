"""Numeric arrays of MATLAB v5 files (MAT 5, as up to version 7).

A reader of our own: a damaged file made SciPy's read outside its memory. Everything here is a slice of bytes,
so that the worst a file can do is to be refused. Structures, cells, objects and text are not read.

Source: The MathWorks, "MAT-File Format", chapter 1 (level 5).
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_COMPLEX = 0x0800
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque",
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip


class Variable(NamedTuple):
    """An array of the file, not yet unpacked: its kind, shape, and the elements with its numbers."""

    kind: str
    shape: tuple[int, ...]
    parts: tuple[tuple[int, bytes], ...]
    order: str

    def array(self) -> NDArray[Any]:
        """The numbers, axes as MATLAB shows them.

        Raises:
            ValueError: If it holds no numbers, or not as many as it says.
        """
        if self.kind not in _STORED.values():
            raise ValueError(f"a MATLAB {self.kind}, which is not read")
        values = [self._numbers(*part) for part in self.parts]
        whole = values[0] if len(values) == 1 else values[0] + 1j * values[1]
        return whole.reshape(self.shape, order="F")

    def _numbers(self, stored: int, content: bytes) -> NDArray[Any]:
        # MATLAB stores whole numbers in the shortest type, whatever the class of the array.
        if stored not in _STORED or math.prod(self.shape) * int(_STORED[stored][1]) != len(content):
            raise ValueError(f"{len(content)} bytes for an array declared as {list(self.shape)}")
        return np.frombuffer(content, self.order + _STORED[stored]).astype(self.kind)


def variables(content: bytes, max_bytes: int) -> dict[str, Variable]:
    """The arrays of a file by name.

    Args:
        content: The whole file.
        max_bytes: Largest size of what is unpacked.

    Raises:
        ValueError: If the file is cut or damaged, or unpacks to more.
    """
    order = "<" if content[126:128] == b"IM" else ">"
    found: dict[str, Variable] = {}
    at = _HEADER
    while at < len(content):
        kind, element = _element(content, at, order)
        at += 8 + len(element)
        if kind == _COMPRESSED:
            kind, element = _element(_inflated(element, max_bytes), 0, order)
            max_bytes -= len(element)
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} where an array should be")
        name, variable = _variable(element, order)
        found[name] = variable
    return found


def _element(content: bytes, at: int, order: str) -> tuple[int, bytes]:
    if at + 8 > len(content):
        raise ValueError("a MATLAB file that was cut")
    kind, length = struct.unpack_from(f"{order}II", content, at)
    if at + 8 + length > len(content):
        raise ValueError(f"an element of {length} bytes where {len(content) - at - 8} are left")
    return kind, content[at + 8 : at + 8 + length]


def _variable(element: bytes, order: str) -> tuple[str, Variable]:
    at = 0
    parts: list[tuple[int, bytes]] = []
    while at < len(element) and len(parts) < 5:
        (first,) = struct.unpack_from(f"{order}I", element.ljust(at + 4, b"\0"), at)
        if first >> 16:  # a small element: type and length in one word, at most four bytes of data
            length = first >> 16
            if length > 4 or at + 8 > len(element):
                raise ValueError("a small element that is damaged")
            parts.append((first & 0xFFFF, element[at + 4 : at + 4 + length]))
            at += 8
        else:
            parts.append(_element(element, at, order))
            at += 8 + len(parts[-1][1]) + -len(parts[-1][1]) % 8
    if len(parts) < 3 or len(parts[0][1]) != 8 or parts[1][0] != 5 or len(parts[1][1]) % 4:
        raise ValueError("an array without flags, shape and name")
    (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
    shape = tuple(int(n) for n in np.frombuffer(parts[1][1], f"{order}i4"))
    if not 2 <= len(shape) <= 32 or min(shape) < 0:
        raise ValueError(f"an array declared as {list(shape)}")
    kind = _CLASSES.get(flags & 0xFF, "array of an unknown class")
    needed = 2 if flags & _COMPLEX else 1
    if kind in _STORED.values() and len(parts) != 3 + needed:
        raise ValueError(f"{len(parts) - 3} parts where {needed} should be")
    name = parts[2][1].decode("ascii")
    return name, Variable(kind, shape, tuple(parts[3:]), order)


def _inflated(packed: bytes, max_bytes: int) -> bytes:
    unpack = zlib.decompressobj()
    content = unpack.decompress(packed, max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"compressed data that unpacks to more than {max_bytes} bytes")
    if not unpack.eof:  # its checksum was compared at the end
        raise ValueError("compressed data that was cut")
    return content
