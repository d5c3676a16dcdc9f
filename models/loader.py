"""Random batches whose place can be written down and found again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import Split
from .runconfig import RunConfig
from .state import State


class Loader:
    """The batches of a training split, in random order, moved and mirrored if the run says so.

    Iterating goes on where the loader stands, to the end of the epoch.

    Args:
        split: The training pictures.
        config: Batch size, augmentation and seed.
    """

    def __init__(self, split: Split, config: RunConfig) -> None:
        self.split, self.config = split, config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.order = torch.empty(0, dtype=torch.long)
        self.done = 0  # batches of this order that were given

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.split.labels) // self.config.batch_size)

    def __iter__(self) -> Iterator[Split]:
        if self.done == 0:
            self.order = torch.randperm(len(self.split.labels), generator=self.generator)
        for index in self.order.split(self.config.batch_size)[self.done :]:
            self.done = (self.done + 1) % len(self)
            yield self._augmented(self.split.taken(index.to(self.split.labels.device)))

    def state(self) -> State:
        """Where it stands."""
        tensors = {"generator": self.generator.get_state(), "order": self.order}
        return State(tensors, {"done": self.done})

    def set_state(self, state: State) -> None:
        """Go back to where :meth:`state` was called."""
        self.generator.set_state(state.tensors["generator"])
        self.order, self.done = state.tensors["order"], state.rest["done"]

    def _augmented(self, batch: Split) -> Split:
        images, count = batch.images, len(batch.labels)
        if self.config.shift:
            reach = 2 * self.config.shift + 1
            offsets = torch.randint(reach, (2, count), generator=self.generator)
            images = shifted(images, offsets.to(images.device), self.config.shift)
        if self.config.flip:
            mirrored = torch.rand(count, generator=self.generator) < 0.5
            images = torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(-1), images)
        return batch._replace(images=images)


def shifted(images: Tensor, offsets: Tensor, reach: int) -> Tensor:
    """Pictures moved by whole pixels, zeros coming in.

    Args:
        images: Shape (B, C, H, W).
        offsets: Shape (2, B), from 0 to ``2 * reach``; ``reach`` leaves a picture where it is, less moves
            it down or right.
        reach: The farthest move.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (reach, reach, reach, reach))
    rows = offsets[0][:, None] + torch.arange(height, device=images.device)
    columns = offsets[1][:, None] + torch.arange(width, device=images.device)
    picture = torch.arange(len(images), device=images.device)[:, None, None]
    # Indices first, then channels: (B, H, W, C).
    return padded.movedim(1, -1)[picture, rows[:, :, None], columns[:, None]].movedim(-1, 1)
