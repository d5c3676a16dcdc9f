"""Ways to train one student: layer by layer, through its collapse, or patch by patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .data import Batched
from .disturbed import Disturbed
from .loader import moved, view
from .patches import PatchStudent
from .runconfig import RunConfig
from .sclc import SCLC
from .spectra import CollapsedStudent

SEEN = 2048
"""Training pictures from which components of patches and moments of signals are taken."""


class Collapsing(nn.Module):
    """A :class:`~optics4f.models.spectra.CollapsedStudent` that takes pictures.

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).
    """

    def __init__(self, student: SCLC) -> None:
        super().__init__()
        self.collapsed = CollapsedStudent(student)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.collapsed(self.collapsed.spectra(pictures))
        return result


def on_path(network: nn.Module, config: RunConfig, split: Batched) -> nn.Module:
    """The network in the form in which a run trains it.

    Raises:
        ValueError: If a student cannot be trained on this path.
    """
    if not isinstance(network, SCLC):
        return network
    if config.path == "elements":
        disturbances = config.disturbances
        return Disturbed(network, disturbances, config.seed) if disturbances else network
    if config.path == "collapse":
        return Collapsing(network)
    weight = network.back_end.linear.weight
    return PatchStudent(network, _seen(split).to(weight), config.components, config.stride)


def off_path(model: nn.Module, config: RunConfig, split: Batched) -> nn.Module:
    """What a run leaves: the student itself, with the engine's own elements."""
    if isinstance(model, Collapsing):
        return model.collapsed.student
    if isinstance(model, Disturbed):
        return model.student
    if isinstance(model, PatchStudent):
        return model.finish(_moved(split, config).to(model.coefficients))
    return model


def _moved(split: Batched, config: RunConfig) -> Tensor:
    """Pictures as training shows them: moved, they have other moments."""
    seen = split.taken(torch.arange(min(SEEN, split.length), device=split.device))
    return moved(seen, *view(config, seen.length, 0), config.shift).images


def _seen(split: Batched) -> Tensor:
    return split.taken(torch.arange(min(SEEN, split.length), device=split.device)).images
