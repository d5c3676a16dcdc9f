"""Fourier transforms in place, through the MKL that PyTorch brings along.

``torch.fft`` writes every transform into fresh memory. For large planes the operating system then spends as
long on clearing pages as the processor on the transform. MKL itself works in place and keeps its plans; its
functions are part of PyTorch's own library on x86, and are called here through ``ctypes``. Where they are
missing (other processors, a GPU), ``torch.fft`` does the same work: the result does not depend on it.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# Names and values of mkl_dfti.h, fixed since MKL 10.
_NUMBER_OF_TRANSFORMS, _EVEN_STORAGE, _PLACEMENT = 7, 10, 11
_INPUT_STRIDES, _OUTPUT_STRIDES, _INPUT_DISTANCE, _OUTPUT_DISTANCE = 12, 13, 14, 15
_COMPLEX, _REAL, _COMPLEX_COMPLEX, _IN_PLACE, _NOT_IN_PLACE = 32, 33, 39, 43, 44
_PRECISION = {torch.complex64: "s", torch.complex128: "d"}


def in_place(planes: Tensor) -> bool:
    """Whether :func:`transform_` overwrites such planes: MKL is there, and they are contiguous on the CPU."""
    return (
        planes.dtype in _PRECISION
        and planes.device.type == "cpu"
        and planes.is_contiguous()
        and planes.numel() > 0
        and _library() is not None
    )


def transform_(planes: Tensor, inverse: bool) -> Tensor:
    r"""Two-dimensional DFT without a factor, :math:`\sum_x U_x e^{\mp 2\pi i k x/N}`, over the last two axes.

    Args:
        planes: Complex, shape (..., H, W); overwritten where :func:`in_place` says so.
        inverse: The lower sign.

    Returns:
        The same shape; ``planes`` itself if it was overwritten.
    """
    if not in_place(planes):
        result: Tensor = torch.fft.ifft2(planes, norm="forward") if inverse else torch.fft.fft2(planes)
        return result
    height, width = planes.shape[-2:]
    batch = planes.numel() // (height * width)
    plan = _plan(height, width, batch, _PRECISION[planes.dtype], False, torch.get_num_threads())
    plan(inverse, planes.data_ptr(), planes.data_ptr())
    return planes


def to_real(half: Tensor, out: Tensor) -> Tensor:
    r"""Inverse DFT without a factor of a Hermitian spectrum, of which columns 0 to W // 2 are given.

    Args:
        half: Complex, contiguous, shape (..., H, W // 2 + 1); may be overwritten.
        out: Real, contiguous, shape (..., H, W); receives the result.
    """
    height, width = out.shape[-2:]
    if not (in_place(half) and out.is_contiguous()):
        return out.copy_(torch.fft.irfft2(half, s=(height, width), norm="forward"))
    batch = out.numel() // (height * width)
    plan = _plan(height, width, batch, _PRECISION[half.dtype], True, torch.get_num_threads())
    plan(True, half.data_ptr(), out.data_ptr())
    return out


@cache
def _library() -> Any:
    """PyTorch's CPU library, if it exports MKL's transforms."""
    for name in ("libtorch_cpu.so", "torch_cpu.dll"):
        path = Path(torch.__file__).parent / "lib" / name
        if path.exists():
            library = ctypes.CDLL(str(path))
            if all(hasattr(library, f"Dfti{end}") for end in ("CommitDescriptor", "CreateDescriptor_s_md")):
                return library
    return None


@lru_cache(maxsize=64)
def _plan(
    height: int, width: int, batch: int, precision: str, real: bool, threads: int
) -> Callable[[bool, int, int], None]:
    """A committed descriptor as a call (inverse, from, to), made for one number of threads."""
    library = _library()
    handle = ctypes.c_void_p()
    create = getattr(library, f"DftiCreateDescriptor_{precision}_md")
    _check(create(ctypes.byref(handle), _REAL if real else _COMPLEX, 2, _longs(height, width)))
    row = width // 2 + 1 if real else width
    settings = {
        _PLACEMENT: ctypes.c_int(_NOT_IN_PLACE if real else _IN_PLACE),
        _INPUT_STRIDES: _longs(0, row, 1),
        _OUTPUT_STRIDES: _longs(0, width, 1),
        _NUMBER_OF_TRANSFORMS: ctypes.c_long(batch),
        _INPUT_DISTANCE: ctypes.c_long(height * row),
        _OUTPUT_DISTANCE: ctypes.c_long(height * width),
    }
    if real:
        settings[_EVEN_STORAGE] = ctypes.c_int(_COMPLEX_COMPLEX)
    for key, value in settings.items():
        _check(library.DftiSetValue(handle, ctypes.c_int(key), value))
    _check(library.DftiCommitDescriptor(handle))

    def run(inverse: bool, source: int, target: int) -> None:
        compute = library.DftiComputeBackward if inverse else library.DftiComputeForward
        if real:
            _check(compute(handle, ctypes.c_void_p(source), ctypes.c_void_p(target)))
        else:
            _check(compute(handle, ctypes.c_void_p(source)))

    weakref.finalize(run, library.DftiFreeDescriptor, ctypes.byref(handle)).atexit = False
    return run


def _longs(*values: int) -> Any:
    return (ctypes.c_long * len(values))(*values)


def _check(status: int) -> None:
    if status != 0:
        raise RuntimeError(f"optics4f.mkl: expected MKL to take this transform, got its status {status}.")
