"""Training a counterpart through its collapse: one T(nu) for each sensor, whatever layers lie before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.fourier import crop_center, ft2, ift2
from optics4f.functional import mask_and_sum

from .counterpart import Counterpart
from .spectra import front_transfer


class CollapsedCounterpart(nn.Module):
    r"""A counterpart that is trained through its collapse: what it computes, in less time.

    All before a sensor is linear, skip connections or not. So the field of sensor s is one product,

    .. math:: U_s = \mathcal F^{-1}\big[T_s(\nu)\, \hat a(\nu)\big], \qquad T_s = T_{l_s} \cdots T_1

    with the spectrum of the picture, which is transformed once for all sensors. It holds the counterpart
    itself, whose parameters get the same gradients as layer by layer.

    Args:
        student: With a :class:`~optics4f.cascade.Cascade` in front.

    Shape:
        As the counterpart's.

    Raises:
        ValueError: For a counterpart that is collapsed already.
    """

    def __init__(self, student: Counterpart) -> None:
        super().__init__()
        if not isinstance(student.optics, Cascade):
            got = type(student.optics).__name__
            raise ValueError(f"CollapsedCounterpart: expected a Cascade in front, got {got}.")
        self.student = student
        systems = student.optics.systems
        self.fronts = tuple(Cascade(systems[: tap.layers]) for tap in student.taps)

    def fields(self, picture: Tensor) -> list[Tensor]:
        """The field at every sensor, as :meth:`Counterpart.fields`."""
        light = self.student.source(picture)
        if not torch.is_grad_enabled():  # each T is kept until a mask changes
            return [front(light) for front in self.fronts]
        spectrum = ft2(light)
        return [_field(spectrum, front) for front in self.fronts]

    def forward(self, picture: Tensor) -> Tensor:
        """What the counterpart gives."""
        sensors = zip(self.student.signals, self.fields(picture), strict=True)
        result: Tensor = self.student.back_end(*(signal(field) for signal, field in sensors))
        return result


def _field(spectrum: Tensor, front: Cascade) -> Tensor:
    factor = math.prod(stage.amplitude_factor for stage in front.systems)
    inverted = sum(stage.invert_output for stage in front.systems) % 2 == 1
    transfer = front_transfer(front) * factor
    product = mask_and_sum(crop_center(spectrum, (transfer.shape[-2], transfer.shape[-1])), transfer)
    return ft2(product) if inverted else ift2(product)
