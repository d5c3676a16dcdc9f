"""The physics of single elements, as pure functions on tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def intensity(field: Tensor) -> Tensor:
    r"""Intensity :math:`|U|^2` of a complex amplitude in :math:`\sqrt{W}/m`, in [W/m^2]; same shape, real."""
    return field.real.square() + field.imag.square()


def power(field: Tensor, cell_area: float) -> Tensor:
    r"""Power [W] of a sampled field, :math:`\sum |U|^2 \Delta x \Delta y` over the plane; shape (...)."""
    return intensity(field).sum((-2, -1)) * cell_area


def mask_and_sum(spectrum: Tensor, transfer: Tensor) -> Tensor:
    r"""Masks and coherent sum in one step: :math:`\hat V_o(\nu) = \sum_i T_{oi}(\nu)\, \hat U_i(\nu)`.

    The light of every arm is never held in memory at once: no array of size B x C_out x C_in x H x W.

    Args:
        spectrum: Complex amplitude in the Fourier plane, shape (..., C_in, H, W).
        transfer: Complex, shape (C_out, C_in, H, W).

    Returns:
        Shape (..., C_out, H, W).
    """
    transfer = transfer.to(spectrum.dtype)
    if transfer.shape[1] == 1:
        return spectrum * transfer[:, 0]
    return torch.einsum("oihw,...ihw->...ohw", transfer, spectrum)


def compose(second: Tensor, first: Tensor) -> Tensor:
    r"""Two front ends in a row, frequency by frequency: :math:`T(\nu) = T_2(\nu)\, T_1(\nu)`.

    Args:
        second: Complex, shape (C_out, C_mid, H, W).
        first: Complex, shape (C_mid, C_in, H, W).

    Returns:
        Shape (C_out, C_in, H, W).
    """
    if first.shape[1] == 1:
        return (second * first[:, 0]).sum(1, keepdim=True)
    return torch.einsum("omhw,mihw->oihw", second, first)


def gain_bound(transfer: Tensor) -> Tensor:
    r"""Upper bound of :func:`largest_singular_value` without a decomposition: the Frobenius norm.

    .. math:: \sigma_{\max}^2 \le \textstyle\sum_{oi} |T_{oi}|^2 \le \min(C_{in}, C_{out})\, \sigma_{\max}^2

    Args:
        transfer: Complex, shape (C_out, C_in, H, W).
    """
    return intensity(transfer).sum((0, 1)).amax().sqrt()


def largest_singular_value(transfer: Tensor) -> Tensor:
    r"""Largest gain of a channel-mixing front end, :math:`\max_\nu \sigma_{\max}(T(\nu))`: one number.

    Passive optics have at most 1. Only the worst frequency enters the gradient, as it does the maximum.

    Args:
        transfer: Complex, shape (C_out, C_in, H, W).
    """
    matrices = transfer.flatten(2).movedim(2, 0)
    worst = _gains_squared(matrices.detach()).argmax()
    result: Tensor = torch.linalg.matrix_norm(matrices[worst], ord=2)
    return result


def _gains_squared(matrices: Tensor) -> Tensor:
    # The Gram matrix of the smaller side has the same largest eigenvalue and is cheaper than an SVD.
    if 1 in matrices.shape[1:]:
        return intensity(matrices).sum((1, 2))
    tall = matrices.shape[1] > matrices.shape[2]
    gram = matrices.mH @ matrices if tall else matrices @ matrices.mH
    result: Tensor = torch.linalg.eigvalsh(gram)[:, -1]
    return result


def clip_gain(transfer: Tensor) -> Tensor:
    r"""Passive by construction, frequency by frequency: :math:`T(\nu) / \max(1, \sigma_{\max}(T(\nu)))`.

    What is passive stays as it is. Only frequencies that amplify are darkened, where one factor for all would
    darken the whole plane: more light comes through, and the kernels change their shape. The gradient is
    exact, but for kinks at a gain of 1 and where the two largest singular values meet.

    Args:
        transfer: Complex, shape (..., C_out, C_in, H, W).
    """
    gain: Tensor = torch.linalg.matrix_norm(transfer.movedim((-4, -3), (-2, -1)), ord=2)
    return transfer / gain.clamp(min=1)[..., None, None, :, :]


def decibel(amplitude: float) -> float:
    r"""An amplitude factor in dB of power: :math:`20 \log_{10} a`."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def quantise_phase(phase: Tensor, levels: int) -> Tensor:
    r"""Round a phase to equal steps of :math:`2\pi/L`; the gradient passes straight through.

    The straight-through gradient is an approximation: the true one is zero almost everywhere.

    Args:
        phase: [rad], any shape.
        levels: Number of levels L, at least 2.

    Source: Y. Bengio, N. Leonard, A. Courville, arXiv:1308.3432 (straight-through estimator).
    """
    step = 2 * math.pi / levels
    return phase + (torch.floor(phase / step + 0.5) * step - phase).detach()
