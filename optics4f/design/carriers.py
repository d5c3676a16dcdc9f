"""A complex transmittance in one order of a carrier, on a device of two values or of phases only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .encodings import _passive

LEE_GAIN = 1 / math.pi
"""Amplitude of the first order of a Lee hologram where the wanted one is 1."""


def lee_hologram(transmittance: ArrayLike, period: float) -> NDArray[np.float64]:
    r"""Encode a complex transmittance in open and opaque pixels: fringes of changing width and place.

    .. math::

        t = \tfrac12 + \tfrac12 \operatorname{sgn}\left[\cos(2\pi x/\Lambda + \varphi) - \cos \pi w\right],
        \qquad w = \arcsin(A)/\pi

    The order q of fringes with the duty cycle w is :math:`\sin(\pi q w)/(\pi q)\, e^{iq\varphi}`: the first
    is :math:`A e^{i\varphi}/\pi`. Pixels move each edge of a fringe by up to half a pixel, so that a constant
    transmittance comes out, over :data:`LEE_GAIN`, within :math:`\pi/\Lambda` of what it should where
    :math:`\Lambda` is whole. Smooth masks, which change little over a period, stay below that. With a period
    of P/Q pixels the mean comes within :math:`\pi/P`; the error becomes a ripple, high orders folded back.

    Args:
        transmittance: Complex amplitude transmittance, \|t\| <= 1, on the pixels of the device, (..., H, W).
        period: Period of the carrier along x [pixels], at least 4: the second order is then within the band.

    Returns:
        Amplitude transmittance, 0 or 1, shape (..., H, W); x = 0 is the pixel W // 2.

    Raises:
        ValueError: If \|t\| is larger than 1 or the period is shorter than 4 pixels.

    Source: W. H. Lee, Applied Optics 18, 3661 (1979).
    """
    wanted = _passive(transmittance)
    carrier = _carrier(wanted.shape, _period(period, 4, "lee_hologram"))
    # cos(asin A), without the rounding of pi w; A = 0 gives 1, which no cosine exceeds: opaque.
    edge = np.sqrt(np.maximum(1 - np.abs(wanted) ** 2, 0))
    bright: NDArray[np.float64] = (np.cos(carrier + np.angle(wanted)) > edge).astype(np.float64)
    return bright


def off_axis_phase(transmittance: ArrayLike, period: float) -> NDArray[np.float64]:
    r"""Encode a complex transmittance in phases only: a blaze whose depth sets the amplitude.

    .. math::

        \psi = M \left[(F + 2\pi x/\Lambda) \bmod 2\pi\right], \qquad
        M = 1 - \epsilon, \quad \operatorname{sinc} \epsilon = A, \quad F = \varphi + \pi \epsilon

    with :math:`\operatorname{sinc} \epsilon = \sin(\pi\epsilon)/(\pi\epsilon)`, :math:`0 \le \epsilon \le 1`,
    which is :math:`M = 1 + \operatorname{sinc}^{-1}(A)/\pi` in the notation of the source. A blaze of depth M
    has the first order :math:`\operatorname{sinc}(1 - M)\, e^{i(F - \pi(1 - M))}`; F takes back its phase, so
    that the first order is :math:`A e^{i\varphi}` (the source's :math:`F = \varphi - \pi M` leaves a sign).
    The rest goes to the zero order and the others.

    Pixels make steps of the blaze: with :math:`\Lambda` pixels a constant transmittance comes out as
    :math:`A e^{i\varphi}\, e^{i\delta}/\operatorname{sinc}(\epsilon/\Lambda)`,
    :math:`|\delta| \le \pi\epsilon/\Lambda`, over the gain :math:`\operatorname{sinc}(1/\Lambda)`: within
    :math:`1.1/\Lambda` of what it should. Smooth masks, which change little over a period, stay below that.

    Args:
        transmittance: Complex amplitude transmittance, \|t\| <= 1, on the pixels of the device, (..., H, W).
        period: Period of the carrier along x [pixels], at least 3: half-way to the second order is the band.

    Returns:
        Phase [rad] in [0, 2 pi), shape (..., H, W); x = 0 is the pixel W // 2.

    Raises:
        ValueError: If \|t\| is larger than 1 or the period is shorter than 3 pixels.

    Source: J. A. Davis et al., Applied Optics 38, 5004 (1999); with the phase corrected, E. Bolduc et al.,
    Optics Letters 38, 3546 (2013).
    """
    wanted = _passive(transmittance)
    carrier = _carrier(wanted.shape, _period(period, 3, "off_axis_phase"))
    lost_depth = inverse_sinc(np.abs(wanted))
    turns = (carrier + np.angle(wanted)) / (2 * np.pi) + lost_depth / 2
    # A tiny negative phase wraps to exactly one turn in floating point; the second remainder makes it zero.
    phase: NDArray[np.float64] = (1 - lost_depth) * (turns % 1.0 % 1.0) * 2 * np.pi
    return phase


def off_axis_gain(period: float) -> float:
    r"""Amplitude of the first order of :func:`off_axis_phase` per unit A: that of square pixels.

    :math:`\operatorname{sinc}(1/\Lambda)`, as of a blaze in :math:`\Lambda` steps.
    """
    return float(np.sinc(1 / period))


@dataclass(frozen=True)
class CarrierReport:
    r"""Where the light of a device with a carrier goes, and how good its first order is.

    Args:
        efficiency: Part of the light on the device that its first order carries.
        zero_order: Part that stays about the axis.
        absorbed: Part that the device absorbs; the remainder is in the other orders, at multiples of
            :func:`carrier_offset`.
        error: Root mean square of the demodulated first order over its gain minus what was wanted, in units
            of \|t\|. Detail that the window of the first order cuts off counts as error.
    """

    efficiency: float
    zero_order: float
    absorbed: float
    error: float


def carrier_report(transmittance: ArrayLike, device: ArrayLike, period: float, gain: float) -> CarrierReport:
    r"""Efficiency and error of a device on square pixels without gaps.

    The envelope of the pixels is taken at the centre of the order, :math:`\operatorname{sinc}(1/\Lambda)`.

    Args:
        transmittance: What was wanted, complex, shape (..., H, W).
        device: What the device shows: the Lee hologram, or exp(i psi) of an off-axis phase.
        period: Period of the carrier along x [pixels].
        gain: :data:`LEE_GAIN`, or :func:`off_axis_gain` of the period.

    Raises:
        ValueError: If the shapes differ.
    """
    wanted, shown = np.asarray(transmittance, np.complex128), np.asarray(device, np.complex128)
    if wanted.shape != shown.shape:
        raise ValueError(f"carrier_report: expected a device of shape {wanted.shape}, got {shown.shape}.")
    first = first_order(shown, period) * np.sinc(1 / period)
    return CarrierReport(
        efficiency=float(np.mean(np.abs(first) ** 2)),
        zero_order=float(np.mean(np.abs(_window(shown, period)) ** 2)),
        absorbed=float(1 - np.mean(np.abs(shown) ** 2)),
        error=float(np.sqrt(np.mean(np.abs(first / gain - wanted) ** 2))),
    )


def first_order(device: ArrayLike, period: float) -> NDArray[np.complex128]:
    r"""What a square stop of side :math:`1/\Lambda` about the first order lets through, without the carrier.

    .. math:: S = \operatorname{lowpass}\left[t\, e^{-2\pi i x/\Lambda}\right],
        \quad |\nu_x|, |\nu_y| < 1/(2\Lambda)

    Samples, not pixels: :math:`\operatorname{sinc}(1/\Lambda)` is not in it. The plane is taken as periodic;
    a width that is no multiple of the period lets orders leak into one another at its edge.

    Args:
        device: Complex amplitude transmittance, shape (..., H, W).
        period: Period of the carrier along x [pixels].
    """
    shown = np.asarray(device, np.complex128)
    return _window(shown * np.exp(-1j * _carrier(shown.shape, period)), period)


def carrier_offset(wavelength: float, focal_length: float, pitch: float, period: float) -> float:
    r"""Where the first order lands in the output plane, :math:`\lambda f/(\Lambda p)` towards +x [m].

    The zero order stays on axis and order q lands q times as far.

    Args:
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length of the lens behind the device [m].
        pitch: Pitch of the device's pixels along x [m].
        period: Period of the carrier [pixels].
    """
    return wavelength * focal_length / (period * pitch)


def inverse_sinc(amplitude: ArrayLike) -> NDArray[np.float64]:
    r"""The :math:`\epsilon` in [0, 1] with :math:`\sin(\pi\epsilon)/(\pi\epsilon) = A`, by bisection.

    Args:
        amplitude: A in [0, 1], any shape.
    """
    wanted = np.asarray(amplitude, np.float64)
    low, high = np.zeros_like(wanted), np.ones_like(wanted)
    for _ in range(54):  # 2^-54: the last digit of a float64
        middle = (low + high) / 2
        above = np.sinc(middle) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    # The ends are exact: A = 1 is the whole blaze, A = 0 none.
    return np.where(wanted >= 1, 0.0, np.where(wanted <= 0, 1.0, (low + high) / 2))


def _carrier(shape: tuple[int, ...], period: float) -> NDArray[np.float64]:
    width = shape[-1]
    carrier: NDArray[np.float64] = 2 * np.pi * ((np.arange(width) - width // 2) / period % 1.0)
    return carrier


def _window(field: NDArray[np.complex128], period: float) -> NDArray[np.complex128]:
    inside = [np.abs(np.fft.fftfreq(n)) * 2 * period < 1 for n in field.shape[-2:]]
    spectrum = np.fft.fft2(field) * (inside[0][:, None] & inside[1])
    passed: NDArray[np.complex128] = np.fft.ifft2(spectrum)
    return passed


def _period(period: float, least: int, name: str) -> float:
    if not (math.isfinite(period) and period >= least):
        raise ValueError(f"{name}: expected a carrier of at least {least} pixels per period, got {period!r}.")
    return float(period)
