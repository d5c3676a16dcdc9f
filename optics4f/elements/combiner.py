"""Sharing light among arms, and adding the fields of arms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..functional import gain_bound, largest_singular_value


class FanOut(nn.Module):
    r"""Beam splitters that share every channel among the arms: amplitude :math:`1/\sqrt{C_{out}}` each.

    Shape:
        (..., C_in, H, W) to (..., C_out, C_in, H, W), complex.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"FanOut: expected at least one arm, got {channels}.")
        self.channels = channels

    def forward(self, field: Tensor) -> Tensor:
        """One copy per arm, a view."""
        shape = (*field.shape[:-3], self.channels, *field.shape[-3:])
        return (field / math.sqrt(self.channels)).unsqueeze(-4).expand(shape)


class CoherentSum(nn.Module):
    r"""Coherent sum over the input channels, with the amplitude factor that passive optics allow.

    As an element of its own it is the wanted port of a lossless N-port combiner,
    :math:`U = \frac{1}{\sqrt{C_{in}}} \sum_i U_i`. Inside a 4f system it also decides the factor :math:`c` of
    fan-out and sum together, :math:`T(\nu) = c\, t(\nu)`:

    - ``"ideal"``: :math:`c = 1/\max_\nu \sigma_{\max}(t(\nu))`, the most that any passive optics can reach;
    - ``"beam_splitter"``: :math:`c = 1/\sqrt{C_{in} C_{out}}`, trees of beam splitters;
    - ``"bound"``: as ideal, with an upper bound of :math:`\sigma_{\max}` that is cheap; for training;
    - a number: a factor known from elsewhere.

    Args:
        scale: One of the four above.

    Shape:
        (..., C_out, C_in, H, W) to (..., C_out, H, W), complex.

    Source: D. A. B. Miller, Optics Express 20, 23985 (2012), for the bound on sums of orthogonal modes.
    """

    def __init__(self, scale: str | float = "ideal") -> None:
        super().__init__()
        if isinstance(scale, str):
            known = scale in ("ideal", "bound", "beam_splitter")
        else:
            known = not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
        if not known:
            raise ValueError(
                f"CoherentSum: expected ideal, bound, beam_splitter or a number > 0, got {scale!r}."
            )
        self.kind = scale if isinstance(scale, str) else "given"
        if not isinstance(scale, str):
            self.register_buffer("value", torch.tensor(float(scale), dtype=torch.float64))

    def forward(self, arms: Tensor) -> Tensor:
        """The field in the wanted port."""
        return arms.sum(-3) / math.sqrt(arms.shape[-3])

    @property
    def follows_masks(self) -> bool:
        """Whether the factor is inversely proportional to the masks, so that their scale drops out of T."""
        return self.kind in ("ideal", "bound")

    def factor(self, transmittance: Tensor) -> Tensor:
        """The factor c for masks of shape (C_out, C_in, H, W): one real number as a tensor."""
        if self.kind == "given":
            return self.get_buffer("value").to(transmittance.real.dtype)
        if self.kind == "beam_splitter":
            return transmittance.real.new_tensor(
                1 / math.sqrt(transmittance.shape[0] * transmittance.shape[1])
            )
        gain = largest_singular_value(transmittance) if self.kind == "ideal" else gain_bound(transmittance)
        return 1 / gain.clamp(min=torch.finfo(gain.dtype).tiny)  # a dark bank stays dark

    def extra_repr(self) -> str:
        """What print shows."""
        return f"scale {float(self.get_buffer('value')):.4g}" if self.kind == "given" else self.kind
