"""Training in space: small kernels without a stop cost less as convolutions than between two transforms."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from optics4f.elements import KernelMask
from optics4f.fourier import invert
from optics4f.grid import check_field
from optics4f.system import FourF

from .spectra import bound_factor, has_taps

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


def through(stage: FourF, field: Tensor) -> Tensor:
    """The output field of a stage by the cheaper of both ways; real where light and way allow it."""
    if cheaper_in_space(stage, not field.is_complex()):
        return in_space(stage, field)
    result: Tensor = stage(field)
    return result
