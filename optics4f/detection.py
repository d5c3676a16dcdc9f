"""From power on a pixel to digital numbers, after EMVA 1288: photons, electrons, noise, gain, rounding.

Pure functions of tensors in SI units; counts of photons and electrons have no unit, digital numbers are [DN].
Every function can be differentiated. Noise comes from a generator that is passed in, and from nowhere else.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

PLANCK = 6.62607015e-34  # [J s], exact since 2019
SPEED_OF_LIGHT = 299792458.0  # [m/s], exact
FEW = 20.0  # electrons; from here on a Gaussian stands for the Poisson distribution
ROUNDING_VARIANCE = 1 / 12  # [DN^2], of an error spread evenly over one step


def photons_per_joule(wavelength: float) -> float:
    r"""Photons in one joule of light, :math:`\lambda / (h c)`.

    Args:
        wavelength: In vacuum [m].

    Example:
        >>> f"{1e-3 * photons_per_joule(532e-9):.3g} photons a second in 1 mW of green light"
        '2.68e+15 photons a second in 1 mW of green light'
    """
    return wavelength / (PLANCK * SPEED_OF_LIGHT)


def photon_number(power: Tensor, exposure_time: float, wavelength: float) -> Tensor:
    r"""Mean number of photons in an exposure, :math:`N = P\,t\,\lambda / (h c)`.

    Args:
        power: [W], any shape.
        exposure_time: [s].
        wavelength: In vacuum [m].
    """
    return power * (exposure_time * photons_per_joule(wavelength))


def poisson(mean: Tensor, generator: Generator) -> Tensor:
    r"""Random counts with mean and variance ``mean``, differentiable in the mean.

    Below :data:`FEW` the counts are exact Poisson numbers and the gradient passes straight through. From
    there on they are :math:`\mu + \sqrt{\mu}\,z` with normal z: mean and variance are right, the skewness
    :math:`1/\sqrt{\mu} \le 0.22` is left out, and counts are no integers. The mean of the gradient is 1 in
    both. A mean below zero, as rounding may leave it in the dark, counts as zero.

    Args:
        mean: Any shape.
        generator: On the device of ``mean``.

    Source: D. P. Kingma, M. Welling, arXiv:1312.6114 (reparameterisation); Y. Bengio, N. Leonard,
    A. Courville, arXiv:1308.3432 (straight-through estimator).
    """
    mean = mean.clamp(min=0)
    # Each branch sees only the means that it is for, so that no root of zero reaches the gradient.
    few = mean + (torch.poisson(mean.detach().clamp(max=FEW), generator) - mean).detach()
    many = mean + mean.clamp(min=FEW).sqrt() * _normal(mean, generator)
    return torch.where(mean < FEW, few, many)


def collect(mean: Tensor, full_well: float, generator: Generator | None = None) -> Tensor:
    r"""Electrons in the wells: Poisson counts about ``mean``, clipped to :math:`[0, N_{full}]`.

    Args:
        mean: Mean electrons from light and dark current, any shape.
        full_well: Electrons that a pixel holds.
        generator: Source of the noise; None leaves it out.
    """
    electrons = mean if generator is None else poisson(mean, generator)
    return electrons.clamp(0, full_well)


def add_dark_noise(electrons: Tensor, dark_noise: float, generator: Generator | None = None) -> Tensor:
    """Normal noise of the readout, standard deviation ``dark_noise`` [e-]; none without a generator."""
    if generator is None or dark_noise == 0:
        return electrons
    return electrons + dark_noise * _normal(electrons, generator)


def digitise(electrons: Tensor, gain: float, offset: float, bits: int) -> Tensor:
    r"""Digital numbers :math:`\operatorname{round}(K N_e + D_0)`, clipped to :math:`[0, 2^b - 1]`.

    The gradient passes straight through the rounding; where the converter clips it is zero. An offset below
    some standard deviations of the dark noise clips dark pixels from below and lifts their mean.

    Args:
        electrons: Any shape.
        gain: K [DN/e-].
        offset: [DN].
        bits: Of the converter.
    """
    level = electrons * gain + offset
    level = level + (level.round() - level).detach()
    return level.clamp(0, 2**bits - 1)


def expose(
    photons: Tensor,
    *,
    quantum_efficiency: float | Tensor,
    full_well: float,
    dark_noise: float,
    gain: float,
    bits: int,
    offset: float = 0.0,
    dark_electrons: float = 0.0,
    fixed_pattern: float | Tensor = 0.0,
    generator: Generator | None = None,
) -> Tensor:
    r"""One exposure, after the linear model of EMVA 1288.

    .. math:: \mu_y = K (\eta \mu_p + \mu_d) + D_0, \qquad
        \sigma_y^2 = K^2 (\sigma_d^2 + \mu_d + \eta \mu_p) + 1/12

    In this order: Poisson electrons from light and dark current, clipping at full well, fixed pattern, dark
    noise, gain, offset, rounding, clipping by the converter. The formulas hold where nothing clips, and the
    1/12 where the noise is larger than about half a step.

    Args:
        photons: Mean photons on every pixel, any shape.
        quantum_efficiency: Electrons for a photon; a map if the pixels respond differently.
        full_well: Electrons that a pixel holds.
        dark_noise: Standard deviation of the readout [e-].
        gain: K [DN/e-].
        bits: Of the converter.
        offset: [DN].
        dark_electrons: Mean electrons from dark current.
        fixed_pattern: Electrons that a pixel shows too many or too few in every frame.
        generator: Source of all noise; None gives the frame without noise.

    Returns:
        Digital numbers [DN], shape of ``photons``.

    Source: EMVA Standard 1288, release 3.1, section 2.
    """
    electrons = collect(photons * quantum_efficiency + dark_electrons, full_well, generator)
    read = add_dark_noise(electrons + fixed_pattern, dark_noise, generator)
    return digitise(read, gain, offset, bits)


def snr(
    photons: Tensor,
    quantum_efficiency: float,
    dark_noise: float = 0.0,
    dark_electrons: float = 0.0,
    gain: float = float("inf"),
) -> Tensor:
    r"""Signal-to-noise ratio of one pixel.

    .. math:: \frac{\eta N}{\sqrt{\eta N + \mu_d + \sigma_d^2 + 1/(12 K^2)}}

    Below saturation, without non-uniformity. With all else zero it is :math:`\sqrt{\eta N}`; a gain of
    infinity leaves the rounding out.

    Args:
        photons: Mean photons on the pixel, more than zero where nothing else makes noise; any shape.
        quantum_efficiency: Electrons for a photon.
        dark_noise: [e-].
        dark_electrons: Mean electrons from dark current.
        gain: K [DN/e-].

    Source: EMVA Standard 1288, release 3.1, section 2.3.
    """
    electrons = photons * quantum_efficiency
    variance = electrons + dark_electrons + dark_noise**2 + ROUNDING_VARIANCE / gain**2
    return electrons / variance.sqrt()


def _normal(like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
