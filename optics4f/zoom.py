"""The lens integral on any grid about the axis: matrix Fourier transform or chirp-z, whichever is cheaper.

A made mask has a pitch of its own, which is hardly ever :math:`\\lambda f/(N \\Delta x)`. Here the Fourier
plane is computed where the mask's pixels are, without a transform that is padded until its samples fit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .fourier import centred_index
from .grid import Grid
from .propagation import SLACK, as_float, as_scalar, check_plane, unit_wave
from .units import compact

CHIRP_COST = 8.0  # of a chirp-z transform, per m log2 m, in products of a matrix; measured, see uses_chirp


def zoom_transform(
    field: Tensor, grid: Grid, wavelength: float | Tensor, focal_length: float | Tensor, output_grid: Grid
) -> Tensor:
    r"""The field behind a lens, on any grid about the axis.

    .. math:: U_f(u) = \frac{1}{\lambda f} \sum_x U(x)\, e^{-2\pi i\, x u/(\lambda f)}\, \Delta x\, \Delta y

    Equals :class:`~optics4f.elements.FourierLens` on that lens's own ``output_grid``, and keeps the power on
    every grid that spans all of :math:`\lambda f/\Delta x` with at least as many samples. Ideal lens: scalar,
    paraxial. Wavelength and focal length may be tensors with one value; then gradients reach them.

    Args:
        field: Complex amplitude in the front focal plane, shape (..., H, W).
        grid: The front focal plane.
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length [m].
        output_grid: Where the back focal plane is wanted.

    Returns:
        Shape (..., H', W').

    Raises:
        ValueError: If the output grid is wider than lambda f / dx, beyond which the sum repeats itself.

    Source: R. Soummer et al., Opt. Express 15, 15935 (2007) (matrix transform); L. Bluestein, IEEE Trans.
    Audio Electroacoust. 18, 451 (1970) (chirp-z).
    """
    check_plane("zoom_transform", field, grid)
    _check_width(grid, as_float(wavelength) * as_float(focal_length), output_grid)
    return _lens_sum(field, grid, output_grid, wavelength, focal_length, sign=-1)


def zoom_adjoint(
    field: Tensor, grid: Grid, wavelength: float | Tensor, focal_length: float | Tensor, output_grid: Grid
) -> Tensor:
    r"""The adjoint of :func:`zoom_transform`: from the back focal plane to the front one.

    .. math:: U(x) = \frac{1}{\lambda f} \sum_u U_f(u)\, e^{+2\pi i\, x u/(\lambda f)}\, \Delta u\, \Delta v

    so that :math:`\sum (Z U) V^* \Delta u \Delta v = \sum U (Z^\dagger V)^* \Delta x \Delta y`. It is the
    inverse where the output grid spans all of :math:`\lambda f/\Delta x` with at least as many samples.

    Args:
        field: Complex amplitude in the back focal plane, shape (..., H', W').
        grid: The front focal plane, where the result is wanted.
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length [m].
        output_grid: The back focal plane, where ``field`` is.

    Returns:
        Shape (..., H, W).

    Raises:
        ValueError: As :func:`zoom_transform`.
    """
    check_plane("zoom_adjoint", field, output_grid)
    _check_width(grid, as_float(wavelength) * as_float(focal_length), output_grid)
    return _lens_sum(field, output_grid, grid, wavelength, focal_length, sign=+1)


def uses_chirp(samples: int, wanted: int) -> bool:
    r"""Whether chirp-z is expected to be cheaper than a matrix for one line of a plane.

    A matrix needs :math:`n n'` products, chirp-z two transforms of :math:`m \ge n + n' - 1` samples, m a
    power of two: :math:`c\, m \log_2 m` with c = ``CHIRP_COST``. On one core and n = n' (milliseconds per
    n lines, matrix and chirp-z): complex128, 128: 0.9 and 0.7; 256: 4 and 5; 512: 24 and 17; 2048: 950 and
    350. complex64, 64: 0.14 and 0.15; 256: 2.4 and 1.0; 512: 14 and 3; 2048: 570 and 180. So c lies between
    5 and 20 where they cross, and with c = 8 squares of 256 samples or more take chirp-z.

    Args:
        samples: Samples n of a line.
        wanted: Samples n' wanted.
    """
    m = _transform_length(samples, wanted)
    return samples * wanted > CHIRP_COST * m * math.log2(m)


def _lens_sum(
    field: Tensor,
    source: Grid,
    target: Grid,
    wavelength: float | Tensor,
    focal_length: float | Tensor,
    sign: int,
) -> Tensor:
    area = as_scalar(wavelength, field) * as_scalar(focal_length, field)
    for axis in (1, 0):
        step = sign * source.spacing[axis] * target.spacing[axis] / area
        lines = field.transpose(-1, axis - 2)
        lines = _transform_lines(lines, target.shape[axis], step)
        field = lines.transpose(-1, axis - 2)
    return field * (source.cell_area / area).to(field.real.dtype)


def _transform_lines(lines: Tensor, wanted: int, step: Tensor) -> Tensor:
    r"""Sums :math:`\sum_j U_j e^{2\pi i\, a j k}` over the last dimension, a = step; 0 is on the axis."""
    if uses_chirp(lines.shape[-1], wanted):
        return chirp_lines(lines, wanted, step)
    return matrix_lines(lines, wanted, step)


def matrix_lines(lines: Tensor, wanted: int, step: Tensor) -> Tensor:
    """The sums of a zoomed transform by a matrix; shape (..., n) to (..., wanted)."""
    j, k = centred_index(lines.shape[-1], lines), centred_index(wanted, lines)
    return lines @ unit_wave(2 * math.pi * step * j[:, None] * k).to(lines.dtype)


def chirp_lines(lines: Tensor, wanted: int, step: Tensor) -> Tensor:
    """The same sums as a convolution, from 2 j k = j^2 + k^2 - (k - j)^2; shape (..., n) to (..., wanted)."""
    n = lines.shape[-1]
    length = _transform_length(n, wanted)
    j, k = centred_index(n, lines), centred_index(wanted, lines)
    # All differences k - j, beginning with the smallest, which is where the wrapped convolution begins.
    difference = torch.arange(n + wanted - 1, dtype=torch.float64, device=lines.device) + float(
        -(wanted // 2)
    )
    difference = difference - (n - 1 - n // 2)
    chirp = torch.fft.fft(unit_wave(-math.pi * step * difference**2), n=length).to(lines.dtype)
    spread = torch.fft.fft(lines * unit_wave(math.pi * step * j**2).to(lines.dtype), n=length)
    sums = torch.fft.ifft(spread * chirp)[..., n - 1 : n - 1 + wanted]
    result: Tensor = sums * unit_wave(math.pi * step * k**2).to(lines.dtype)
    return result


def _transform_length(samples: int, wanted: int) -> int:
    return 1 << (samples + wanted - 2).bit_length()


def _check_width(grid: Grid, area: float, output_grid: Grid) -> None:
    for spacing, extent in zip(grid.spacing, output_grid.extent, strict=True):
        widest = area / spacing
        if extent > widest * SLACK:
            raise ValueError(
                f"zoom_transform: expected an output plane of at most lambda f / dx = "
                f"{compact(widest, 'm')}, got {compact(extent, 'm')}; beyond it are replicas of the same "
                f"light. Take fewer output samples or a finer input."
            )
