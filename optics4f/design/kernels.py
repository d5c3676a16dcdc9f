"""From kernels to masks: the convention stated, signs by pairs of masks in incoherent light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..elements.masks import KernelMask, check_bank
from ..functional import decibel, intensity
from ..grid import check_field, checked_shape

ROWS = ("field", "picture")
SPLITS = ("minimal", "biased")


@dataclass(frozen=True)
class KernelDesign:
    r"""Masks that hold kernels, and what passive optics make of them.

    Attributes:
        transmittance: Complex t, largest \|t\| of the bank 1, shape (C_out, C_in, H, W). It multiplies the
            spectrum: as it stands it is a convolution, whatever the kernels were meant for.
        scale_db: 20 log10 s with t = s H, in dB; below 0, light was given up.
        efficiency: Part of white light that passes each mask, shape (C_out, C_in).
    """

    transmittance: Tensor
    scale_db: float
    efficiency: Tensor


def kernel_masks(
    kernels: Tensor, plane: tuple[int, int], convention: str, rows: str = "field"
) -> KernelDesign:
    r"""Masks that hold the Fourier transforms of kernels, scaled by one factor to a largest \|t\| of 1.

    .. math:: t = s \hat h \text{ (convolution)}, \quad s\, \hat h^* \text{ (correlation, } h \text{ real)},
        \qquad s = \frac{1}{\max |\hat h|}, \qquad \eta = \langle |t|^2 \rangle = s^2 \sum |h|^2

    :math:`\hat h` is the transform without a factor. Circular on the plane; the origin of a kernel is its
    sample ``k // 2``. The last equation is Parseval's, for light that fills all frequencies evenly; pictures
    do not, and pass more or less.

    Args:
        kernels: Real or complex, shape (C_out, C_in, k, l).
        plane: Samples (H, W) of the Fourier plane.
        convention: ``"convolution"``, or ``"correlation"`` as ``torch.nn.functional.conv2d`` computes.
        rows: ``"field"`` for kernels with the row index up, as fields lie; ``"picture"`` for weights of an
            electronic CNN, row 0 at the top, which are turned over.

    Raises:
        TypeError: If the kernels are no tensor of real or complex numbers, or the plane is no pair.
        ValueError: For another convention or order of rows, or kernels that are zero, not finite or larger
            than the plane.

    Source: A. B. VanderLugt, IEEE Trans. Inf. Theory 10, 139 (1964); J. W. Goodman, Introduction to Fourier
    Optics, 3rd ed., section 8.6.
    """
    if rows not in ROWS:
        raise ValueError(f"kernel_masks: expected rows {' or '.join(ROWS)}, got {rows!r}.")
    plane = checked_shape("kernel_masks plane", plane)
    check_bank(kernels, "kernel_masks")
    bank = KernelMask(kernels if rows == "field" else kernels.flip(-2), convention, trainable=False)
    with torch.no_grad():
        response = bank.response(plane, plane)
        scale = bank.scale(response)
        transmittance = response * scale
    return KernelDesign(transmittance, decibel(float(scale)), intensity(transmittance).mean((-2, -1)))


def signed_split(kernels: Tensor, split: str = "minimal") -> tuple[Tensor, Tensor]:
    r"""Two kernels without negative values, whose difference is the wanted one: :math:`h = h^+ - h^-`.

    - ``"minimal"``: :math:`h^\pm = \max(\pm h, 0)`, the least light, :math:`\sum (h^+ + h^-) = \sum |h|`; a
      mask for each sign.
    - ``"biased"``: :math:`h^+ = h + b`, :math:`h^- = b = \max(0, -\min h)`, the same box for all outputs, so
      that one exposure more serves them all: C_out + 1 outputs instead of 2 C_out.

    Args:
        kernels: Real, shape (C_out, C_in, k, l).
        split: One of the two.

    Returns:
        :math:`h^+` of shape (C_out, C_in, k, l), and :math:`h^-` of the same or, biased, (1, C_in, k, l).

    Raises:
        TypeError: If the kernels are no tensor of real numbers.
        ValueError: For another split, or values that are not finite.

    Source: E. Wirth-Singh et al., Adv. Photon. Nexus 4, 026009 (2025), for pairs of optics.
    """
    if split not in SPLITS:
        raise ValueError(f"signed_split: expected {' or '.join(SPLITS)}, got {split!r}.")
    check_bank(kernels, "signed_split")
    check_field("signed_split", kernels, (), "real")
    if split == "minimal":
        return kernels.clamp(min=0), (-kernels).clamp(min=0)
    bias = (-kernels.amin()).clamp(min=0)
    return kernels + bias, bias.expand(1, *kernels.shape[1:]).clone()


def exposure_ratio(plus: Tensor, minus: Tensor) -> Tensor:
    r"""How many times the light a split needs for the signal-to-noise ratio of the minimal one.

    .. math:: R_o = \frac{\sum_{i,x} (h^+_{oi} + h^-_{oi})}{\sum_{i,x} |h^+_{oi} - h^-_{oi}|} \ge 1

    Shot noise alone, in even light, with equal light on each kernel unit: the difference is that of h, its
    variance is the sum of both. It is 1 exactly where the two never overlap. A kernel of zeros has no signal
    and gives infinity, or nan without light.

    Args:
        plus: :math:`h^+`, shape (C_out, C_in, k, l).
        minus: :math:`h^-`, of the same shape or (1, C_in, k, l).

    Returns:
        Shape (C_out,).

    Source: variance of a difference of Poisson counts.
    """
    needed, wanted = plus + minus, (plus - minus).abs()
    return needed.sum((1, 2, 3)) / wanted.sum((1, 2, 3))


def incoherent_masks(kernels: Tensor, convention: str, split: str = "minimal") -> KernelMask:
    r"""Masks for signed kernels in incoherent light: the point-spread functions are :math:`\sqrt{h^\pm}`.

    .. math:: I^\pm = |\sqrt{h^\pm}|^2 * I, \qquad I^+ - I^- = s^2\, h * I, \qquad
        s = 1 / \max_{oi} \sum_x \sqrt{h^\pm_{oi}}

    All outputs share the scale s, so that :func:`signed_difference` of what
    :func:`~optics4f.coherence.incoherent_intensity` gives is the signed sum over all input channels. A
    positive kernel is brightest at frequency 0, hence s. The roots fill the whole plane of frequencies: a
    stop widens the point-spread functions, and the identity no longer holds.

    Args:
        kernels: Real, shape (C_out, C_in, k, l).
        convention: ``"convolution"`` or ``"correlation"``.
        split: As in :func:`signed_split`.

    Returns:
        A fixed bank C_in -> 2 C_out, or C_in -> C_out + 1 if biased: first the plus, then the minus.

    Raises:
        TypeError: If the kernels are no tensor of real numbers.
        ValueError: For another convention or split, or kernels that are all zero or not finite.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 6.3.
    """
    return KernelMask(torch.cat(signed_split(kernels, split)).sqrt(), convention, trainable=False)


def signed_difference(light: Tensor, outputs: int) -> Tensor:
    """Outputs of plus masks minus those of minus masks: what the electronics compute from two exposures.

    Args:
        light: Intensity behind :func:`incoherent_masks`, real, shape (..., 2 C_out or C_out + 1, H, W).
        outputs: Number C_out of signed outputs.

    Returns:
        Shape (..., C_out, H, W).

    Raises:
        TypeError: If the light is no tensor of real numbers.
        ValueError: If it has another number of channels.
    """
    check_field("signed_difference", light, (), "real")
    channels = light.shape[-3] if light.ndim > 2 else 0
    if outputs < 1 or channels not in (outputs + 1, 2 * outputs):
        raise ValueError(
            f"signed_difference: expected {outputs + 1} or {2 * outputs} channels for {outputs} outputs, "
            f"got {channels}."
        )
    return light[..., :outputs, :, :] - light[..., outputs:, :, :]
