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
_OVER, _BESIDE, _TO_REAL, _FROM_REAL = "in place", "beside", "to real", "from real"
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
    return transform(planes, inverse, planes)


def transform(planes: Tensor, inverse: bool, out: Tensor | None = None) -> Tensor:
    """:func:`transform_` that leaves its input alone.

    Args:
        planes: Complex, shape (..., H, W).
        inverse: As there.
        out: Contiguous memory of the same shape and type for the result, if there is some.
    """
    if not in_place(planes):
        result: Tensor = torch.fft.ifft2(planes, norm="forward") if inverse else torch.fft.fft2(planes)
        return result
    out = torch.empty_like(planes) if out is None else out
    height, width = planes.shape[-2:]
    batch = planes.numel() // (height * width)
    kind = _OVER if out.data_ptr() == planes.data_ptr() else _BESIDE
    shape = (height, width, batch)
    plan = _plan(shape, _PRECISION[planes.dtype], kind, width, torch.get_num_threads())
    plan(inverse, planes.data_ptr(), out.data_ptr())
    return out


def half_planes(shape: tuple[int, ...], take: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Memory for columns 0 to W // 2 of planes (..., H, W), with rows that begin on a boundary of 128 bytes.

    Rows of W // 2 + 1 samples begin anywhere, and MKL is up to 1.7 times slower with them.

    Args:
        shape: Of the planes, (..., H, W).
        take: What gives a contiguous complex tensor of a shape.
    """
    columns = shape[-1] // 2 + 1
    return take((*shape[:-1], -(-columns // 16) * 16))[..., :columns]


def to_real(half: Tensor, out: Tensor) -> Tensor:
    r"""Inverse DFT without a factor of a Hermitian spectrum, of which columns 0 to W // 2 are given.

    Args:
        half: Complex, shape (..., H, W // 2 + 1), best from :func:`half_planes`; may be overwritten.
        out: Real, contiguous, shape (..., H, W); receives the result.
    """
    height, width = out.shape[-2:]
    if not (out.is_contiguous() and _regular(half)):
        return out.copy_(torch.fft.irfft2(half, s=(height, width), norm="forward"))
    shape = (height, width, out.numel() // (height * width))
    plan = _plan(shape, _PRECISION[half.dtype], _TO_REAL, half.stride(-2), torch.get_num_threads())
    plan(True, half.data_ptr(), out.data_ptr())
    return out


def to_half(planes: Tensor, out: Tensor) -> Tensor:
    r"""Forward DFT without a factor of real planes: columns 0 to W // 2, the rest being their mirror image.

    Args:
        planes: Real, shape (..., H, W).
        out: From :func:`half_planes`; receives the result where MKL does the work.
    """
    if not (planes.is_contiguous() and planes.numel() > 0 and _regular(out)):
        half: Tensor = torch.fft.rfft2(planes)
        return half
    height, width = planes.shape[-2:]
    shape = (height, width, planes.numel() // (height * width))
    plan = _plan(shape, _PRECISION[out.dtype], _FROM_REAL, out.stride(-2), torch.get_num_threads())
    plan(False, planes.data_ptr(), out.data_ptr())
    return out


def _regular(half: Tensor) -> bool:
    """Whether MKL can take these planes: on the CPU, with one distance from row to row throughout."""
    rows = half.stride(-2)
    expected = [rows]
    for n in reversed(half.shape[1:-1]):
        expected.append(expected[-1] * n)
    strides = half.stride()[-2::-1]
    regular = half.stride(-1) == 1 and all(
        n == 1 or a == b for n, a, b in zip(half.shape[-2::-1], strides, expected, strict=True)
    )
    return regular and half.dtype in _PRECISION and half.device.type == "cpu" and _library() is not None


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
    shape: tuple[int, int, int], precision: str, kind: str, row: int, threads: int
) -> Callable[[bool, int, int], None]:
    """A committed descriptor as a call (inverse, from, to); ``row`` is from row to row of a spectrum."""
    library, handle = _library(), ctypes.c_void_p()
    height, width, batch = shape
    create = getattr(library, f"DftiCreateDescriptor_{precision}_md")
    domain = _REAL if kind in (_TO_REAL, _FROM_REAL) else _COMPLEX
    _check(create(ctypes.byref(handle), domain, 2, _longs(height, width)))
    source = width if kind == _FROM_REAL else row
    target = width if kind == _TO_REAL else row
    settings = {
        _PLACEMENT: ctypes.c_int(_IN_PLACE if kind == _OVER else _NOT_IN_PLACE),
        _INPUT_STRIDES: _longs(0, source, 1),
        _OUTPUT_STRIDES: _longs(0, target, 1),
        _NUMBER_OF_TRANSFORMS: ctypes.c_long(batch),
        _INPUT_DISTANCE: ctypes.c_long(height * source),
        _OUTPUT_DISTANCE: ctypes.c_long(height * target),
    }
    if domain == _REAL:
        settings[_EVEN_STORAGE] = ctypes.c_int(_COMPLEX_COMPLEX)
    for key, value in settings.items():
        _check(library.DftiSetValue(handle, ctypes.c_int(key), value))
    _check(library.DftiCommitDescriptor(handle))

    def run(inverse: bool, source: int, target: int) -> None:
        compute = library.DftiComputeBackward if inverse else library.DftiComputeForward
        # In place, MKL looks at the first address alone.
        _check(compute(handle, ctypes.c_void_p(source), ctypes.c_void_p(target)))

    weakref.finalize(run, library.DftiFreeDescriptor, ctypes.byref(handle)).atexit = False
    return run


def _longs(*values: int) -> Any:
    return (ctypes.c_long * len(values))(*values)


def _check(status: int) -> None:
    if status != 0:
        raise RuntimeError(f"optics4f.mkl: expected MKL to take this transform, got its status {status}.")
