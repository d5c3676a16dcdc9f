"""A complex transmittance on a phase-only device, by double-phase encoding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def double_phase(transmittance: ArrayLike) -> NDArray[np.float64]:
    r"""Encode a complex transmittance in phases only: two phases per sample, on a checkerboard.

    .. math::

        A e^{i\varphi} = \tfrac12 \left[ e^{i(\varphi + \theta)} + e^{i(\varphi - \theta)} \right],
        \qquad \theta = \arccos A

    Each sample becomes a super-pixel of 2 x 2 pixels at half the pitch, with :math:`\varphi + \theta` on one
    diagonal and :math:`\varphi - \theta` on the other. The mean over a super-pixel is exactly
    :math:`A e^{i\varphi}`. What is left, :math:`\pm i \sin\theta\, e^{i\varphi}`, alternates from pixel to
    pixel and lands off axis (:func:`unwanted_light_offset`).

    The wanted field at the point x of the output plane is weighted by
    :math:`\cos(\pi x p / \lambda f) \cos(\pi y p / \lambda f)` (p: pitch of the device pixels) and the
    unwanted field by the same with sines: it is zero on the output axes and as strong as the wanted one at
    the corners of the window.

    Args:
        transmittance: Complex amplitude transmittance, \|t\| <= 1, shape (..., H, W).

    Returns:
        Phase [rad] in [0, 2 pi), shape (..., 2H, 2W). The optical axis is at :func:`double_phase_origin`.

    Raises:
        ValueError: If \|t\| is larger than 1.

    Source: Hsueh and Sawchuk, Applied Optics 17, 3874 (1978).
    """
    wanted = _passive(transmittance)
    theta = np.arccos(np.minimum(np.abs(wanted), 1))
    fine = np.repeat(np.repeat(np.angle(wanted), 2, axis=-2), 2, axis=-1)
    rows, columns = np.indices(fine.shape[-2:])
    sign = 1 - 2 * ((rows + columns) % 2)
    turns = (fine + sign * np.repeat(np.repeat(theta, 2, axis=-2), 2, axis=-1)) / (2 * np.pi)
    # A tiny negative phase wraps to exactly one turn in floating point; the second remainder makes it zero.
    phase: NDArray[np.float64] = turns % 1.0 % 1.0 * 2 * np.pi
    return phase


def demodulate(transmittance: ArrayLike) -> NDArray[np.complex128]:
    """Mean over each 2 x 2 super-pixel: the transmittance that a double-phase mask stands for.

    Args:
        transmittance: Complex amplitude transmittance of the device, shape (..., 2H, 2W).

    Returns:
        Complex amplitude transmittance, shape (..., H, W).

    Raises:
        ValueError: If the number of rows or columns is odd.
    """
    fine = np.asarray(transmittance, dtype=np.complex128)
    height, width = fine.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f"demodulate: expected an even number of rows and columns, got {(height, width)}.")
    mean: NDArray[np.complex128] = fine.reshape(*fine.shape[:-2], height // 2, 2, width // 2, 2).mean(
        axis=(-3, -1)
    )
    return mean


def double_phase_efficiency(transmittance: ArrayLike) -> float:
    r"""Part of the light that carries the wanted field, :math:`\langle A^2 \rangle`; the rest is unwanted.

    An amplitude spread evenly over 0...1 gives 1/3.

    Args:
        transmittance: Complex amplitude transmittance before encoding, \|t\| <= 1.

    Raises:
        ValueError: If \|t\| is larger than 1.
    """
    return float(np.mean(np.abs(_passive(transmittance)) ** 2))


def double_phase_origin(origin: tuple[float, float]) -> tuple[float, float]:
    r"""Index of the optical axis on the fine grid: the centre of the super-pixel that was on the axis.

    It is ``2 origin + 1/2``, half a fine pixel from any sample: for an axis at ``H // 2`` it lies half a
    pixel after the fine sample ``2H // 2`` if H is even and half a pixel before it if H is odd. A mask placed
    by that sample instead gets a linear phase of :math:`\pm \pi x p / (\lambda f)` over the output plane (p:
    fine pitch), which the intensity does not show.

    Example:
        >>> double_phase_origin((4, 2))
        (8.5, 4.5)
    """
    return 2 * float(origin[0]) + 0.5, 2 * float(origin[1]) + 0.5


def unwanted_light_offset(
    wavelength: float, focal_length: float, pitch: tuple[float, float]
) -> tuple[float, float]:
    r"""Where the unwanted light lands in the output plane: :math:`\lambda f / (2 p)` off axis in y and x [m].

    Args:
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length of the lens behind the mask [m].
        pitch: Pitch (dy, dx) of the device pixels, which is half that of the encoded samples [m].
    """
    return wavelength * focal_length / (2 * pitch[0]), wavelength * focal_length / (2 * pitch[1])


def _passive(transmittance: ArrayLike) -> NDArray[np.complex128]:
    wanted: NDArray[Any] = np.asarray(transmittance, dtype=np.complex128)
    largest = float(np.abs(wanted).max())
    if not largest <= 1 + 1e-6:  # 1e-6: rounding of complex64; written so that NaN is refused too
        raise ValueError(f"transmittance: expected |t| <= 1, got {largest:.6g}.")
    return wanted
