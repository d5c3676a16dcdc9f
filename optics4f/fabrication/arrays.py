"""Arrays in the files that labs hand over: NPY, MATLAB v5 and v7.3, torch. Nothing in a file is executed.

The format is told by the first bytes, never by the name: some files called .npy are torch checkpoints.
Sizes are checked before anything is unpacked.
"""

from __future__ import annotations

import math
import os
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from ..extras import require
from .hdf5 import MAX_BYTES, samples
from .matlab5 import variables

_NPY = b"\x93NUMPY"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled magic number of torch before 1.6


def read_array(path: str | Path, variable: str | None = None, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """One finite real or complex array from a file, axes as the program that wrote it shows them.

    Args:
        path: NPY, MATLAB v5 or v7.3, or a torch file of a tensor or of tensors by name.
        variable: Name of the array, where a file holds several.
        max_bytes: Largest size, unpacked.

    Raises:
        ValueError: If the file is damaged, of another kind, holds objects, is larger than allowed, or the
            variable is not there or not said. The sentence names the file.
        FileNotFoundError: If there is no such file.
        MissingExtraError: If h5py is needed and not installed.
    """
    path = Path(path)
    with path.open("rb") as file, _naming(path):
        head = file.read(128).ljust(128, b"\0")
        file.seek(0)
        if head.startswith(_NPY):
            array = _read_npy(file, max_bytes)
        elif head.startswith((_ZIP, _TORCH)):
            array = _chosen(_read_torch(file, head, max_bytes), variable)
        elif head[124:128] in (b"\x00\x02IM", b"\x02\x00MI") or _HDF5 in (head[:8], _at(file, 512)):
            array = _read_hdf5(path, variable, max_bytes)
        elif head[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
            array = _read_matlab(file, variable, max_bytes)
        else:
            raise ValueError("a file that is neither NPY, MATLAB v5 or v7.3, nor a torch file of tensors")
        return _numbers(array)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file provokes into one sentence that names it."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:  # readers of other projects raise many kinds of errors for damaged files
        text = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: expected an array of numbers, got {text[:300].rstrip('.')}.") from None


def _numbers(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "fciu" or array.size == 0:
        raise ValueError(f"{array.dtype} of shape {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError("numbers that are not finite")
    return array


def _chosen(arrays: Mapping[str, Any], variable: str | None) -> Any:
    """The array asked for, or the only one."""
    if variable is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if variable is None or variable not in arrays:
        wanted = "no variable chosen" if variable is None else f"no variable {variable!r}"
        raise ValueError(f"{wanted} among {', '.join(sorted(arrays)) or 'none'}")
    return arrays[variable]


def _checked_size(shape: Any, itemsize: int, max_bytes: int) -> int:
    size = math.prod(int(n) for n in shape) * itemsize
    if not 0 <= size <= max_bytes or any(n < 0 for n in shape):
        raise ValueError(f"an array declared as {list(shape)}, more than {max_bytes} bytes")
    return size


def _at(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    found = file.read(len(_HDF5))
    file.seek(0)
    return found


def _read_npy(file: BinaryIO, max_bytes: int) -> NDArray[Any]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"NPY version {version}")
    if dtype.hasobject:
        raise ValueError("pickled objects, which are not read")
    declared = _checked_size(shape, dtype.itemsize, max_bytes)
    stored = os.fstat(file.fileno()).st_size - file.tell()
    if declared != stored:
        raise ValueError(f"{stored} bytes for an array of {declared}")
    file.seek(0)
    return np.asarray(np.load(file, allow_pickle=False))


def _read_torch(file: BinaryIO, head: bytes, max_bytes: int) -> dict[str, Any]:
    size = os.fstat(file.fileno()).st_size
    _checked_size((size,), 1, max_bytes)
    _check_pickles(file, head.startswith(_ZIP), size)
    try:
        # Tensors and plain containers only: anything else in the file is refused, not run.
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # Its advice on how to load such a file all the same is kept from the reader.
        found = re.search(r"(Unsupported|GLOBAL)[^.\n]*", str(error))
        reason = f" ({found[0]})" if found else ""
        raise ValueError(f"something else than plain tensors, which is not read{reason}") from None
    tensors = content if isinstance(content, dict) else {"": content}
    kept = {str(k): v.detach() for k, v in tensors.items() if isinstance(v, torch.Tensor)}
    # A tensor may be a small storage that repeats itself; written out it would fill the memory.
    large = [name for name, t in kept.items() if t.numel() * t.element_size() > size]
    if large:
        raise ValueError(f"a tensor larger than its file {large[0]!r}".rstrip(" '"))
    return {name: tensor.resolve_conj().resolve_neg().numpy() for name, tensor in kept.items()}


def _check_pickles(file: BinaryIO, is_zip: bool, size: int) -> None:
    """No declared length is larger than the file: looked up in the opcodes, of which none is carried out."""
    if is_zip:
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:
                raise ValueError("compressed members that unpack to more than the file")
            lengths = [
                n
                for name in archive.namelist()
                if name.endswith("/data.pkl")
                for n in _integers(archive.read(name))
            ]
    else:
        for _ in range(3):  # the magic number, the version and the machine
            list(pickletools.genops(file))
        lengths = _integers(file)
    file.seek(0)
    if any(length > size for length in lengths):
        raise ValueError(f"a declared length of {max(lengths)} in a file of {size} bytes")


def _integers(pickled: Any) -> list[int]:
    return [value for _, value, _ in pickletools.genops(pickled) if type(value) is int]


def _read_hdf5(path: Path, variable: str | None, max_bytes: int) -> NDArray[Any]:
    h5py = require("h5py", "fab")
    with h5py.File(path, "r") as file:
        names = [name for name in file if not name.startswith("#")]  # MATLAB's own begin with #
        array = samples(file, _chosen({name: name for name in names}, variable), max_bytes)
    if array.dtype.names == ("real", "imag"):
        array = array["real"] + 1j * array["imag"]
    return array.T  # MATLAB counts columns first


def _read_matlab(file: BinaryIO, variable: str | None, max_bytes: int) -> NDArray[Any]:
    _checked_size((os.fstat(file.fileno()).st_size,), 1, max_bytes)
    chosen = _chosen(variables(file.read(), max_bytes), variable)
    _checked_size(chosen.shape, 16, max_bytes)
    array: NDArray[Any] = chosen.array()
    return array
