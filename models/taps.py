"""What the taps of its kernels tell of a 4f system, without a transform of each kernel."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from optics4f.elements import KernelMask
from optics4f.elements.masks import CONVENTIONS
from optics4f.fourier import kernel_response
from optics4f.system import FourF


def has_taps(stage: FourF) -> bool:
    """Whether a stage is its kernels and a stop alone: no pupil, combiner ``"bound"``, no errors."""
    combiner = stage.combiner
    return (
        type(stage) is FourF
        and type(stage.masks) is KernelMask
        and stage.pupil is None
        and (combiner.kind == "bound" and combiner.errors is None)
    )


def bound_factor(stage: FourF, kernels: Tensor) -> Tensor:
    r"""The combiner's factor c for ``"bound"``, on all frequencies of the stage's own stop.

    :math:`\sum_{oi} |H_{oi}(\nu)|^2` is the transform of the summed autocorrelation of the kernels, which is
    not larger than (2k-1) x (2l-1), however many there are.
    """
    height, width = kernels.shape[-2:]
    flat = kernels.flatten(0, 1).flatten(1)
    gram = (flat.mT @ flat.conj()).unflatten(1, (height, width)).unflatten(0, (height, width))
    rows, columns = (torch.arange(n, device=kernels.device) for n in (height, width))
    down = (rows[:, None] - rows + height - 1)[:, None, :, None]
    right = (columns[:, None] - columns + width - 1)[None, :, None, :]
    place = (down * (2 * width - 1) + right).flatten()
    size = (2 * height - 1, 2 * width - 1)
    autocorrelation = gram.new_zeros(size[0] * size[1]).index_add(0, place, gram.flatten())
    sign = CONVENTIONS[cast(KernelMask, stage.masks).convention]
    gain = kernel_response(autocorrelation.unflatten(0, size), stage.grid.shape, stage.lit_shape, sign).real
    if stage.stop is not None:
        gain = gain * stage.stop.pupil(stage.grid.shape).to(gain)
    loss = 10 ** (-stage.combiner.insertion_loss_db / 20)
    factor: Tensor = loss / gain.amax().sqrt().clamp(min=torch.finfo(gain.dtype).tiny)
    return factor
