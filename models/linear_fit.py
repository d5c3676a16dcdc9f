"""The best linear classifier on given numbers: what a strictly linear front end can reach at most."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optics4f.grid import Grid

from .data import Split
from .spectra import cropped_spectra


def passing(pictures: Tensor, grid: Grid, stop: int) -> Tensor:
    """The real numbers that a stop of odd side lets through of real pictures, (B, C m^2).

    Half of the frequencies tell all: m^2 real and imaginary parts for each channel.
    """
    spectra = cropped_spectra(pictures, grid, (stop, stop)).flatten(2)
    half = spectra[..., : stop * stop // 2 + 1]
    return torch.cat((half.real, half.imag[..., :-1]), -1).flatten(1)


def best_linear(split: Split, grid: Grid, stop: int, decay: float = 1e-4, steps: int = 100) -> nn.Module:
    r"""Multinomial logistic regression on what passes a stop, fitted to its one minimum.

    .. math:: \min_{W,b}\ \langle \mathrm{CE}(y, W f + b) \rangle + \lambda \|W\|^2

    The problem is convex, so that no training of a strictly linear network ends lower on these numbers.
    Pictures are shown mirrored as well. Numbers are standardised before, which the weights absorb.

    Args:
        split: Training pictures with labels.
        grid: The input plane.
        stop: Side of the stop, odd.
        decay: :math:`\lambda`.
        steps: Of L-BFGS, at most.

    Returns:
        Pictures (B, C, H, W) to logits (B, classes).
    """
    numbers = torch.cat([passing(some, grid, stop) for some in (split.images, split.images.flip(-1))])
    labels = torch.cat((split.labels, split.labels))
    spread, mean = torch.std_mean(numbers, 0)
    numbers = (numbers - mean) / spread
    classes = int(labels.max()) + 1
    weight = numbers.new_zeros(classes, numbers.shape[1]).requires_grad_()
    bias = numbers.new_zeros(classes).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=steps, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(numbers, weight, bias), labels) + decay * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        weight /= spread
        bias -= weight @ mean
    return _Linear(grid, stop, weight.detach(), bias.detach())


class _Linear(nn.Module):
    def __init__(self, grid: Grid, stop: int, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.grid, self.stop = grid, stop
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        numbers = passing(pictures, self.grid, self.stop)
        return F.linear(numbers, self.get_buffer("weight"), self.get_buffer("bias"))
