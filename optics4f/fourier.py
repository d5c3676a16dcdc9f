"""Centred, unitary Fourier transforms and what goes with them: crop, pad, inversion, kernel responses.

Every plane has its axis at index ``n // 2``; the zero frequency of a centred transform stands there too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PLANE = (-2, -1)


def ft2(field: Tensor) -> Tensor:
    r"""Centred unitary Fourier transform of the last two dimensions.

    .. math:: \hat U_k = \frac{1}{\sqrt{HW}} \sum_x U_x \, e^{-2\pi i k x / N}

    with k and x counted from ``n // 2`` in each direction.

    Args:
        field: Complex amplitude, shape (..., H, W).
    """
    result: Tensor = torch.fft.fftshift(
        torch.fft.fft2(torch.fft.ifftshift(field, PLANE), norm="ortho"), PLANE
    )
    return result


def ift2(spectrum: Tensor) -> Tensor:
    """Centred unitary inverse Fourier transform: the inverse and the adjoint of :func:`ft2`."""
    result: Tensor = torch.fft.fftshift(
        torch.fft.ifft2(torch.fft.ifftshift(spectrum, PLANE), norm="ortho"), PLANE
    )
    return result


def invert(field: Tensor) -> Tensor:
    r"""Turn a plane by 180 degrees about its axis: :math:`U(x) \to U(-x)`, which is ``ft2(ft2(U))`` exactly.

    On an even grid the sample at ``-n/2`` is its own mirror image.
    """
    flipped = field.flip(PLANE)
    even = [1 - n % 2 for n in field.shape[-2:]]
    return flipped.roll(even, PLANE) if any(even) else flipped


def crop_center(field: Tensor, shape: tuple[int, int]) -> Tensor:
    r"""Keep the central ``shape`` samples of a plane; the axis stays at index ``n // 2`` for every parity.

    Args:
        field: Complex amplitude, shape (..., H, W).
        shape: ``(H', W')``, no larger than ``(H, W)``.

    Returns:
        Shape (..., H', W'), a view of ``field``.

    Raises:
        ValueError: If ``shape`` is larger than the plane.

    Example:
        >>> crop_center(torch.arange(5).expand(5, 5), (3, 2))[0]
        tensor([1, 2])
    """
    height, width = field.shape[-2:]
    if not (1 <= shape[0] <= height and 1 <= shape[1] <= width):
        raise ValueError(f"crop_center: expected a shape within ({height}, {width}), got {tuple(shape)}.")
    top, left = height // 2 - shape[0] // 2, width // 2 - shape[1] // 2
    return field[..., top : top + shape[0], left : left + shape[1]]


def pad_center(field: Tensor, shape: tuple[int, int]) -> Tensor:
    """Surround a plane with darkness up to ``shape``: the adjoint of :func:`crop_center`.

    Raises:
        ValueError: If ``shape`` is smaller than the plane.
    """
    height, width = field.shape[-2:]
    top, left = shape[0] // 2 - height // 2, shape[1] // 2 - width // 2
    bottom, right = shape[0] - height - top, shape[1] - width - left
    if min(shape[0] - height, shape[1] - width) < 0:
        raise ValueError(f"pad_center: expected a shape of at least ({height}, {width}), got {tuple(shape)}.")
    return torch.nn.functional.pad(field, (left, right, top, bottom))


def crop_corners(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """The samples of :func:`crop_center`, of a spectrum in FFT order, in FFT order."""
    for axis, m in zip(PLANE, shape, strict=True):
        n = spectrum.shape[axis]
        if m < n:
            low, high = spectrum.narrow(axis, 0, m - m // 2), spectrum.narrow(axis, n - m // 2, m // 2)
            spectrum = torch.cat((low, high), axis)
    return spectrum


def pad_corners(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """The samples of :func:`pad_center`, of a spectrum in FFT order: the adjoint of :func:`crop_corners`."""
    for axis, n in zip(PLANE, shape, strict=True):
        m = spectrum.shape[axis]
        if m < n:
            low, high = spectrum.narrow(axis, 0, m - m // 2), spectrum.narrow(axis, m - m // 2, m // 2)
            gap = list(spectrum.shape)
            gap[axis] = n - m
            spectrum = torch.cat((low, spectrum.new_zeros(gap), high), axis)
    return spectrum


def in_fft_order(transfer: Tensor, plane: tuple[int, int], inverted: bool, factor: float = 1.0) -> Tensor:
    r"""A transfer function between two plain FFTs that does what it does between centred unitary transforms.

    The FFTs have no factor: :math:`1/\sqrt{HWH'W'}`, which makes them unitary, is folded in. The axis at
    ``n // 2`` instead of 0 is a linear phase, :math:`e^{2\pi i \nu \lfloor n/2 \rfloor / n}` for the input
    plane and its inverse (or, inverted, itself) for the output plane. It is folded in too, so that the planes
    need not be shifted: each shift would cost a pass over all samples.

    Args:
        transfer: Centred, shape (..., H', W').
        plane: Samples ``(H, W)`` of the input plane; the output plane has ``(H', W')``.
        inverted: Whether the second transform is a forward one too.
        factor: A number that is multiplied in as well.
    """
    rows, columns = (_axis_phase(plane[axis], transfer.shape[axis], inverted, transfer) for axis in PLANE)
    result: Tensor = torch.fft.ifftshift(
        transfer * (torch.outer(rows, columns) * factor).to(transfer.dtype), PLANE
    )
    return result


def _axis_phase(n: int, m: int, inverted: bool, like: Tensor) -> Tensor:
    index = centred_index(m, like)
    turns = index * (n // 2 / n + (m // 2 / m if inverted else -(m // 2) / m))
    return torch.polar(torch.ones_like(turns) / math.sqrt(n * m), 2 * math.pi * (turns - turns.round()))


def centred_index(n: int, like: Tensor | None = None) -> Tensor:
    """Integers counted from the axis: ``arange(n) - n // 2``, float64."""
    return torch.arange(n, dtype=torch.float64, device=None if like is None else like.device) - n // 2


def kernel_response(kernels: Tensor, grid: tuple[int, int], shape: tuple[int, int], sign: int) -> Tensor:
    r"""Frequency response of small kernels, evaluated only where it is wanted (a matrix Fourier transform).

    .. math:: H(\nu) = \sum_j h_j \, e^{\mp 2\pi i \nu (j - \lfloor k/2 \rfloor) / N}

    With the upper sign (``sign=-1``) multiplying a spectrum by :math:`H` convolves with :math:`h`; with the
    lower one (``sign=+1``) it correlates, which is what ``torch.nn.functional.conv2d`` computes. Both are
    circular on the ``grid``.

    Args:
        kernels: Real or complex, shape (..., k, l), no larger than the grid.
        grid: Samples ``(H, W)`` of the plane the kernels act on.
        shape: Central frequencies wanted, ``(H', W')``.
        sign: -1 for convolution, +1 for correlation.

    Returns:
        Complex, shape (..., H', W').
    """
    rows, columns = (
        _fourier_matrix(shape[axis], kernels.shape[axis - 2], grid[axis], sign, kernels) for axis in (0, 1)
    )
    # Two einsums, each one matrix product: batched products of tiny complex matrices are ten times slower.
    partial = torch.einsum("...kl,wl->...kw", kernels.to(columns.dtype), columns)
    return torch.einsum("hk,...kw->...hw", rows, partial)


def _fourier_matrix(frequencies: int, taps: int, n: int, sign: int, like: Tensor) -> Tensor:
    # Phases are built in float64 and rounded once, to the precision of the kernels.
    phase = torch.outer(centred_index(frequencies, like), centred_index(taps, like)) * (
        sign * 2 * math.pi / n
    )
    double = like.dtype in (torch.float64, torch.complex128)
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex128 if double else torch.complex64)


def interpolation_matrix(n: int, samples: int) -> Tensor:
    r"""Band-limited interpolation of a periodic field from ``n`` to ``samples`` points on the same period.

    .. math:: R_{sj} = \frac{1}{n} \sum_{\nu} e^{2\pi i \nu (x_s - x_j)/L}, \quad -n/2 \le \nu < n/2

    Args:
        n: Points of the field.
        samples: Points wanted, at least ``n``.

    Returns:
        complex128, shape (samples, n).
    """
    frequency = centred_index(n)
    position = centred_index(samples)[:, None] / samples - frequency[None, :] / n
    phase = 2 * math.pi * position[..., None] * frequency
    return torch.polar(torch.ones_like(phase), phase).mean(-1)


def pixel_integration_matrix(samples: int, pixels: int) -> Tensor:
    r"""Exact integrals, over the pixels of a sensor, of a band-limited periodic function known at samples.

    A function with spectrum within :math:`|k| < s/2` on the period :math:`L` is integrated over the pixel
    centred at :math:`x_j = (j - \lfloor p/2 \rfloor) L/p`:

    .. math:: A_{jn} = \frac{1}{p\,s} \sum_{|k|<s/2} \operatorname{sinc}(k/p) \cos\frac{2\pi k (x_j - x_n)}{L}

    Every column sums to ``1/s``: what the pixels collect together is the integral over the whole plane.

    Args:
        samples: Number ``s`` of samples of the function over one period.
        pixels: Number ``p`` of pixels that tile the same period without gaps.

    Returns:
        float64, shape (pixels, samples), in units of the period.
    """
    k = torch.arange(1, (samples + 1) // 2, dtype=torch.float64)
    position = centred_index(pixels)[:, None] / pixels - centred_index(samples)[None, :] / samples
    waves = torch.cos(2 * math.pi * position[..., None] * k) @ torch.sinc(k / pixels)
    return (1 + 2 * waves) / (pixels * samples)
