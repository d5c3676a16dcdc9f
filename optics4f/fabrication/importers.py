"""Kernels and transfer functions of other people's files, as banks with stated geometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..elements import ComplexMask, MaskBank
from ..files import sha256
from ..grid import Grid
from ..system import FourF
from ..units import positive_si
from .arrays import read_array
from .bank import MaskBankData, flipped
from .bench import bank_of
from .checks import choice
from .maskset import MaskSet, provenance

AXES = ("C_out", "C_in", "H", "W")


def read_complex(
    path: str | Path, imaginary: str | Path | None = None, variable: str | None = None
) -> NDArray[np.complex128]:
    """An array from one file, or from two that hold its real and imaginary parts.

    Args:
        path: The array, or its real part.
        imaginary: The imaginary part, if it stands in a file of its own.
        variable: Name of the array in each file, where a file holds several.

    Raises:
        ValueError: As :func:`~optics4f.fabrication.arrays.read_array`, or if the two do not fit together.
    """
    array = read_array(path, variable)
    if imaginary is None:
        return np.asarray(array, dtype=np.complex128)
    other = read_array(imaginary, variable)
    if array.shape != other.shape or np.iscomplexobj(array) or np.iscomplexobj(other):
        raise ValueError(
            f"{imaginary}: expected real numbers of shape {list(array.shape)} beside real ones in {path}, "
            f"got {other.dtype} of shape {list(other.shape)} beside {array.dtype}."
        )
    return np.asarray(array + 1j * other, dtype=np.complex128)


def as_bank_axes(array: NDArray[Any], axes: Sequence[str] = AXES) -> NDArray[Any]:
    """Bring an array to [C_out, C_in, H, W].

    Leading axes of length 1 beyond the named ones are dropped; an axis that is not named is added.

    Args:
        array: Any shape.
        axes: What its last axes are, e.g. ("H", "W", "C_out").

    Raises:
        ValueError: If the names are not some of C_out, C_in, H and W with H and W, or do not fit the shape.
    """
    names = tuple(axes)
    if len(set(names)) < len(names) or not {"H", "W"} <= set(names) <= set(AXES):
        raise ValueError(f"axes: expected H, W and perhaps C_out, C_in, got {names}.")
    extra = array.ndim - len(names)
    if extra < 0 or any(n != 1 for n in array.shape[:extra]):
        raise ValueError(f"axes: expected an array of {', '.join(names)}, got shape {list(array.shape)}.")
    array = array.reshape(array.shape[extra:])
    present = [name for name in AXES if name in names]
    array = array.transpose([names.index(name) for name in present])
    return array.reshape([array.shape[present.index(name)] if name in present else 1 for name in AXES])


def import_kernels(
    path: str | Path,
    *,
    wavelength: Any = None,
    focal_length: Any = None,
    input_shape: tuple[int, int] | None = None,
    input_spacing: Any = None,
    row_0: str | None = None,
    convention: str | None = None,
    second_focal_length: Any = None,
    imaginary: str | Path | None = None,
    variable: str | None = None,
    axes: Sequence[str] = AXES,
) -> MaskBankData:
    r"""Small spatial kernels as the masks that compute with them: see :class:`optics4f.elements.MaskBank`.

    Args:
        path: File of the kernels, or of their real part.
        wavelength: Vacuum wavelength, with its unit.
        focal_length: Focal length of the lens before the mask, with its unit.
        input_shape: Samples (H, W) of the input plane.
        input_spacing: Sample spacing of the input plane, with its unit; or a pair (dy, dx).
        row_0: "top" if row 0 of a kernel is its top row, as in a CNN; "bottom" if rows go up.
        convention: "correlation", as conv2d computes, or "convolution".
        second_focal_length: Focal length of the lens behind the mask; as the first if None.
        imaginary: File of the imaginary part.
        variable: Name of the array in the file.
        axes: See :func:`as_bank_axes`.

    Raises:
        ValueError: If an argument is missing, or the file or its shape is wrong.
        TypeError: If a quantity has no unit.
    """
    grid = _grid(wavelength, focal_length, input_shape, input_spacing, row_0=row_0, convention=convention)
    choice("import_kernels row_0", row_0, ("top", "bottom"))
    kernels = as_bank_axes(read_complex(path, imaginary, variable), axes)
    if row_0 == "top":
        kernels = kernels[..., ::-1, :]
    if not kernels.imag.any():
        kernels = kernels.real
    masks = MaskBank.from_kernels(torch.from_numpy(kernels.copy()), str(convention), trainable=False)
    bank = bank_of(FourF(grid, wavelength, focal_length, masks, second_focal_length))
    return _recorded(bank, ["kernel rows"] if row_0 == "top" else [], path)


def import_transfer(
    path: str | Path,
    *,
    wavelength: Any = None,
    focal_length: Any = None,
    input_shape: tuple[int, int] | None = None,
    input_spacing: Any = None,
    row_0: str | None = None,
    zero_frequency: str | None = None,
    conjugate: bool = False,
    second_focal_length: Any = None,
    imaginary: str | Path | None = None,
    variable: str | None = None,
    axes: Sequence[str] = AXES,
) -> MaskBankData:
    r"""A transfer function that multiplies the spectrum, as the masks of the stop it fills.

    The samples are :math:`1/(N \Delta x)` apart, N being the samples of ``input_shape``; fewer of them than N
    are a stop, and an even stop is dark at -n/2, where no partner is. The largest magnitude becomes 1;
    ``scale_db`` keeps what was divided out.

    Args:
        path: File of the transfer function, or of its real part.
        wavelength: As for :func:`import_kernels`, and so are the next three.
        focal_length: See there.
        input_shape: See there.
        input_spacing: See there.
        row_0: "top" if the pictures it was made for have row 0 at the top, "bottom" if rows go up.
        zero_frequency: "centre" (sample n // 2) or "corner" (sample 0, as an FFT leaves it).
        conjugate: Whether it was made with exp(+i omega t), and is to be conjugated.
        second_focal_length: As for :func:`import_kernels`, and so are the rest.
        imaginary: See there.
        variable: See there.
        axes: See there.

    Raises:
        ValueError: If an argument is missing, or the file or its shape is wrong, or it is zero everywhere.
        TypeError: If a quantity has no unit.
    """
    stated = {"row_0": row_0, "zero_frequency": zero_frequency}
    grid = _grid(wavelength, focal_length, input_shape, input_spacing, **stated)
    choice("import_transfer row_0", row_0, ("top", "bottom"))
    choice("import_transfer zero_frequency", zero_frequency, ("centre", "corner"))
    transfer = as_bank_axes(read_complex(path, imaginary, variable), axes)
    if any(n > plane for n, plane in zip(transfer.shape[-2:], grid.shape, strict=True)):
        raise ValueError(
            f"{path}: expected at most {list(grid.shape)} frequencies, got {list(transfer.shape[-2:])}."
        )
    if zero_frequency == "corner":
        transfer = np.fft.fftshift(transfer, axes=(-2, -1))
    if row_0 == "top":
        transfer = _negated_fy(transfer)
    bank = _transfer_bank(transfer, grid, (wavelength, focal_length, second_focal_length), path)
    bank = _recorded(bank, ["kernel rows"] if row_0 == "top" else [], path)
    return flipped(bank, "conjugate", f"import of {_plain_name(path)}") if conjugate else bank


def imported_set(name: str, bank: MaskBankData, files: Sequence[str | Path], **more: Any) -> MaskSet:
    """A mask set of one imported bank, with the names and hashes of its files.

    Args:
        name: Of the bank.
        bank: From :func:`import_kernels` or :func:`import_transfer`.
        files: The files it was read from.
        more: Further provenance; see :func:`~optics4f.fabrication.maskset.provenance`.
    """
    sources = {Path(file).name: sha256(file) for file in files}
    return MaskSet({name: bank}, provenance(imported_sha256=sources, **more))


def _grid(
    wavelength: Any, focal_length: Any, input_shape: Any, input_spacing: Any, **stated: str | None
) -> Grid:
    """The input plane, if everything was stated: a file of bare numbers says nothing about its geometry."""
    geometry = {
        "wavelength": wavelength,
        "focal_length": focal_length,
        "input_shape": input_shape,
        "input_spacing": input_spacing,
    }
    missing = [name for name, value in {**geometry, **stated}.items() if value is None]
    if missing:
        raise ValueError(f"import: expected {', '.join(missing)}, got none; the file does not say it.")
    positive_si(wavelength, "m", "import wavelength")
    positive_si(focal_length, "m", "import focal_length")
    return Grid(input_shape, input_spacing)


def _transfer_bank(
    transfer: NDArray[Any], grid: Grid, optics: tuple[Any, Any, Any], path: Any
) -> MaskBankData:
    peak = float(np.abs(transfer).max())
    if peak == 0:
        raise ValueError(f"{path}: expected a transfer function that is not all zero, got zeros.")
    wavelength, focal_length, second = optics
    masks = ComplexMask(torch.from_numpy(transfer / peak))
    stop = (int(transfer.shape[-2]), int(transfer.shape[-1]))
    system = FourF(grid, wavelength, focal_length, masks, second, stop=stop)
    bank = bank_of(system)
    return replace(bank, scale_db=bank.scale_db - 20 * math.log10(peak))


def _negated_fy(transfer: NDArray[Any]) -> NDArray[Any]:
    """T(-f_y, f_x): an even number of rows keeps its row at -n/2, which has no partner."""
    turned = transfer[..., ::-1, :]
    return np.roll(turned, 1, axis=-2) if transfer.shape[-2] % 2 == 0 else turned


def _recorded(bank: MaskBankData, what: Sequence[str], path: str | Path) -> MaskBankData:
    return replace(bank, flips=(*bank.flips, *(f"{w} at import of {_plain_name(path)}" for w in what)))


def _plain_name(path: str | Path) -> str:
    return "".join(c if c.isprintable() else "?" for c in Path(path).name)[:120]
