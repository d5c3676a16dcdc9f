"""Training in space: small kernels without a stop cost less as convolutions than between two transforms."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn

from optics4f.elements import KernelMask
from optics4f.elements.masks import CONVENTIONS
from optics4f.fourier import crop_corners, in_fft_order, invert, kernel_response
from optics4f.grid import check_field
from optics4f.system import FourF

from .taps import bound_factor, has_taps

# CPU time forward and backward, in multiplications of a convolution (0.06 ns); see benchmarks/training.py.
PASSES = 250.0  # over each sample of a convolution's input and output
COMPLEX_PRODUCT = 170.0  # of masks and spectra: bound by memory
TRANSFORM = 15.0  # for each sample and each doubling of the samples


def works_in_space(stage: FourF) -> bool:
    """Whether a stage is a plain convolution: real kernels, no stop or pupil, combiner ``"bound"``."""
    return has_taps(stage) and stage.stop is None and not cast(KernelMask, stage.masks).is_complex


def cheaper_in_space(stage: FourF, real: bool) -> bool:
    r"""Whether :func:`in_space` needs less time than the stage's transforms, by a model of the work.

    .. math::
        W_x &= p\, B\, HW \left[ C_o C_i\, k l + s\, (C_i + C_o) \right] \\
        W_\nu &= B\, HW \left[ t\, (C_i + C_o) \log_2 HW + m\, C_o C_i \right]

    with p = 1 for a real field and 2 for a complex one; s, t and m are :data:`PASSES`, :data:`TRANSFORM` and
    :data:`COMPLEX_PRODUCT`. Both grow alike with the batch B. False where it does not work in space at all.

    Args:
        stage: The 4f system.
        real: Whether its field is real.
    """
    if not works_in_space(stage):
        return False
    outputs, inputs, height, width = cast(KernelMask, stage.masks).kernels.shape
    doublings = math.log2(max(2, math.prod(stage.grid.shape)))
    space = (1 if real else 2) * (outputs * inputs * height * width + PASSES * (inputs + outputs))
    return space <= TRANSFORM * (inputs + outputs) * doublings + COMPLEX_PRODUCT * outputs * inputs


def in_space(stage: FourF, field: Tensor) -> Tensor:
    r"""What a 4f system without a stop does, as a circular convolution of the field with its kernels.

    .. math:: U_o(x) = M c \sum_{ij} h_{oij}\, U_i(x \pm j)

    with the combiner's factor c and the lenses' M, turned over if the output is inverted. It equals
    ``stage(field)`` and its gradients up to rounding.

    Args:
        stage: For which :func:`works_in_space` holds.
        field: Real or complex, shape (B, C_in, H, W).

    Returns:
        Shape (B, C_out, H, W), real for a real field.

    Raises:
        TypeError: If the field is no tensor of real or complex numbers.
        ValueError: For another stage, or other channels or samples than the stage's.
    """
    if not works_in_space(stage):
        raise ValueError(
            "in_space: expected real kernels, combiner bound, no stop or pupil, got another stage."
        )
    masks = cast(KernelMask, stage.masks)
    check_field("in_space", field, (masks.channels[1], *stage.grid.shape), "real or complex")
    kernels = masks.kernels * (bound_factor(stage, masks.kernels) * stage.amplitude_factor)
    before = [k // 2 for k in kernels.shape[-2:]]
    if masks.convention == "convolution":
        kernels = kernels.flip((-2, -1))
        before = [k - 1 - b for k, b in zip(kernels.shape[-2:], before, strict=True)]
    output = _circular(field, kernels, before)
    return invert(output) if stage.invert_output else output


def _circular(field: Tensor, kernels: Tensor, before: list[int]) -> Tensor:
    if field.is_complex():  # both parts as one batch
        parts = _circular(torch.cat((field.real, field.imag)), kernels, before)
        return torch.complex(*parts.chunk(2))
    down, right = (k - 1 - b for k, b in zip(kernels.shape[-2:], before, strict=True))
    padded = nn.functional.pad(field, (before[1], right, before[0], down), mode="circular")
    return nn.functional.conv2d(padded, kernels)


def works_by_frequency(stage: FourF) -> bool:
    """Whether :func:`by_frequency` holds: real kernels and an odd plane behind, half of which tells all."""
    real = has_taps(stage) and not cast(KernelMask, stage.masks).is_complex
    return real and all(m % 2 == 1 for m in stage.lit_shape)


def by_frequency(stage: FourF, field: Tensor) -> Tensor:
    r"""What a 4f system does to a real field: a product of matrices at each frequency of half the plane.

    .. math:: \hat U_{bo}(\nu) = \sum_i \hat U_{bi}(\nu)\, T_{oi}(\nu), \quad \nu_x \ge 0

    With many channels on a small plane this is where the work is, and products of matrices are what a
    processor does best. It equals ``stage(field)`` and its gradients up to rounding.

    Args:
        stage: For which :func:`works_by_frequency` holds.
        field: Real, shape (B, C_in, H, W).

    Returns:
        Real, shape (B, C_out, H', W').

    Raises:
        TypeError: If the field is not real.
        ValueError: For another stage, or other channels or samples than the stage's.
    """
    if not works_by_frequency(stage):
        raise ValueError(
            "by_frequency: expected real kernels, combiner bound, an odd stop, no pupil, got another stage."
        )
    check_field("by_frequency", field, (stage.masks.channels[1], *stage.grid.shape), "real")
    shape = stage.lit_shape
    half = shape[1] // 2 + 1
    spectrum = crop_corners(torch.fft.rfft2(field)[..., :half], (shape[0], half))
    product = spectrum.flatten(2).permute(2, 0, 1) @ _half_transfer(stage)
    behind = product.permute(1, 2, 0).unflatten(-1, (shape[0], half))
    output: Tensor = torch.fft.irfft2(behind, s=shape, norm="forward")
    return output.flip((-2, -1)).roll((1, 1), (-2, -1)) if stage.invert_output else output


def _half_transfer(stage: FourF) -> Tensor:
    """T(nu) between two plain FFTs with all factors, a matrix at each frequency, (frequencies, C_in, C_out).

    A kernel's response is the sum of its taps': two products of real matrices give it for all at once.
    """
    masks = cast(KernelMask, stage.masks)
    kernels = masks.kernels * (bound_factor(stage, masks.kernels) * stage.amplitude_factor)
    weights = kernels.permute(2, 3, 1, 0).flatten(0, 1).flatten(1)  # (k l, C_in C_out)
    size = (kernels.shape[-2], kernels.shape[-1])
    sign = CONVENTIONS[masks.convention]
    taps = _half_taps(stage.grid.shape, stage.lit_shape, size, sign, stage.invert_output)
    parts = [part.to(weights) @ weights for part in (taps.real, taps.imag)]
    transfer: Tensor = torch.complex(*parts).unflatten(1, (kernels.shape[1], kernels.shape[0]))
    return transfer


@lru_cache(maxsize=64)
def _half_taps(
    plane: tuple[int, int], shape: tuple[int, int], size: tuple[int, int], sign: int, inverted: bool
) -> Tensor:
    """What each tap of a kernel adds to its response, (H' (W' // 2 + 1), k l), float64: rounded when used."""
    unit = torch.eye(math.prod(size), dtype=torch.float64).unflatten(-1, size)
    taps = in_fft_order(kernel_response(unit, plane, shape, sign), plane, inverted)
    half: Tensor = taps[..., : shape[1] // 2 + 1].flatten(1).mT.contiguous()
    return half


MANY_CHANNELS = 256
"""Pairs of channels from which a product of matrices for each frequency beats sums of planes."""


def through(stage: FourF, field: Tensor) -> Tensor:
    """The output field of a stage by the cheapest way; real where light and way allow it."""
    worth_it = stage.stop is not None or math.prod(stage.masks.channels) >= MANY_CHANNELS
    if worth_it and not field.is_complex() and works_by_frequency(stage):
        return by_frequency(stage, field)
    if cheaper_in_space(stage, not field.is_complex()):
        return in_space(stage, field)
    result: Tensor = stage(field)
    return result
