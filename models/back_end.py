"""The electronic back end of a student: from the sensor's numbers to the logits."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn

COMPANDINGS = {"none": 1.0, "sqrt": 0.5, "fourth_root": 0.25}
"""Powers of the camera's signal."""
PUBLISHED_WIDTHS = (512, 256)
"""Hidden layers of the back end in the paper's published code; its text has one layer."""


DARK = 1e-3
"""The camera's offset, of a mean signal of 1: a root's slope at 0 is infinite."""


def unit_gain(signal: Tensor) -> float:
    """The gain that brings a signal to a root mean square of 1; 1 in the dark.

    Example:
        >>> unit_gain(torch.tensor([2.0, -2.0])), unit_gain(torch.zeros(2))
        (0.5, 1.0)
    """
    strength = float(signal.square().mean().sqrt())
    return 1 / strength if strength > 0 else 1.0


class BackEnd(nn.Module):
    r"""A gain, companding, standardise each channel, then one fully connected layer, or several.

    With neither companding nor hidden layers all of it is affine in evaluation, and :meth:`folded` makes it
    part of the one layer. Companding :math:`s \mapsto (s + s_0)^\gamma` is what a camera's lookup table
    does: with :math:`\gamma = 1/2` the power on a pixel becomes an amplitude again. It is a nonlinearity of
    its own, on top of the detector's square.

    Args:
        channels: Of the signal.
        pixels: Of the sensor, for each channel.
        classes: Number of logits.
        companding: One of ``COMPANDINGS``; all but ``"none"`` want signals that are nowhere negative.
        widths: Of hidden layers, each with a ReLU.
        dropout: Share of a hidden layer's signals that training drops.

    Shape:
        (B, C, p_y, p_x) to logits (B, classes).

    Raises:
        ValueError: For another companding.
    """

    def __init__(
        self,
        channels: int,
        pixels: tuple[int, int],
        classes: int,
        companding: str = "none",
        widths: tuple[int, ...] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if companding not in COMPANDINGS:
            raise ValueError(f"BackEnd: expected companding {' or '.join(COMPANDINGS)}, got {companding!r}.")
        self.companding = companding
        self.register_buffer("gain", torch.ones(()))
        self.standardise: nn.Module = nn.BatchNorm2d(channels, affine=False)
        sizes = (channels * pixels[0] * pixels[1], *widths, classes)
        self.linear = nn.Linear(sizes[0], sizes[1])
        hidden = [
            part
            for pair in itertools.pairwise(sizes[1:])
            for part in (nn.ReLU(), nn.Dropout(dropout), nn.Linear(*pair))
        ]
        self.hidden: nn.Module = nn.Sequential(*hidden)

    @property
    def is_affine(self) -> bool:
        """Whether it is an affine map in evaluation."""
        return self.companding == "none" and not list(self.hidden.children())

    def forward(self, signal: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.hidden(self.linear(self.standardise(self.companded(signal)).flatten(1)))
        return result

    def companded(self, signal: Tensor) -> Tensor:
        """The signal behind gain and companding."""
        signal = signal * self.get_buffer("gain")
        if self.companding == "none":
            return signal
        root = (signal.clamp(min=0) + DARK).sqrt()
        return root if self.companding == "sqrt" else root.sqrt()

    def folded(self, brightness: float = 1.0) -> BackEnd:
        """The same map without a step that standardises, for signals ``brightness`` times as strong."""
        norm = self.standardise
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            raise ValueError("folded: expected a back end that standardises, got one that is folded already.")
        weight = self.linear.weight.detach().double().unflatten(1, (norm.num_features, -1))
        weight = weight / (norm.running_var.double() + norm.eps).sqrt()[:, None]
        bias = self.linear.bias.detach().double() - (weight * norm.running_mean.double()[:, None]).sum((1, 2))
        folded = copy.deepcopy(self)
        folded.standardise = nn.Identity()
        folded.get_buffer("gain").fill_(self.get_buffer("gain") / brightness)
        folded.linear.weight.data = weight.flatten(1).to(self.linear.weight)
        folded.linear.bias.data = bias.to(self.linear.bias)
        return folded
