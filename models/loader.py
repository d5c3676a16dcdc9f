"""Random batches whose place can be written down and found again."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import Batched, Split
from .runconfig import RunConfig
from .state import State

UNCOUNTED = -100
"""The label of pixels that no loss counts, for torch."""
JUDGED = 128
"""Validation pictures at a time: of a segmentation, every one has megabytes of activations."""


class Loader:
    """The batches of a training split, in random order, moved and mirrored if the run says so.

    Iterating goes on where the loader stands, to the end of the epoch. Classes of pixels go where their
    pixels go; those that come in from outside the picture do not count.

    Args:
        split: The training pictures, in memory or read from their files when a batch is due.
        config: Batch size, augmentation and seed.
    """

    def __init__(self, split: Batched, config: RunConfig) -> None:
        self.split, self.config = split, config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.order = torch.empty(0, dtype=torch.long)
        self.done = 0  # batches of this order that were given
        self.epoch = -1  # of the order

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-self.split.length // self.config.batch_size)

    def __iter__(self) -> Iterator[Split]:
        if self.done == 0:
            self.order = torch.randperm(self.split.length, generator=self.generator)
            self.epoch += 1
        for index in self.order.split(self.config.batch_size)[self.done :]:
            self.done = (self.done + 1) % len(self)
            batch = self.split.taken(index.to(self.split.device))
            yield self._viewed(batch, index) if self.config.views else self._augmented(batch)

    def state(self) -> State:
        """Where it stands."""
        tensors = {"generator": self.generator.get_state(), "order": self.order}
        return State(tensors, {"done": self.done, "epoch": self.epoch})

    def set_state(self, state: State) -> None:
        """Go back to where :meth:`state` was called."""
        self.generator.set_state(state.tensors["generator"])
        self.order, self.done = state.tensors["order"], state.rest["done"]
        self.epoch = state.rest.get("epoch", 0)  # older checkpoints knew no views

    def _viewed(self, batch: Split, index: Tensor) -> Split:
        """The pictures in the view of this epoch, with what the teacher says of just that view."""
        number = self.epoch % self.config.views
        offsets, mirrored = view(self.config, self.split.length, number)
        teacher = None if batch.teacher is None else batch.teacher[:, number]
        offsets = None if offsets is None else offsets[:, index]
        mirrored = None if mirrored is None else mirrored[index]
        return moved(batch._replace(teacher=teacher), offsets, mirrored, self.config.shift)

    def _augmented(self, batch: Split) -> Split:
        count, reach = len(batch.labels), self.config.shift
        offsets = mirrored = None
        if reach:
            offsets = torch.randint(2 * reach + 1, (2, count), generator=self.generator)
        if self.config.flip:
            mirrored = torch.rand(count, generator=self.generator) < 0.5
        return moved(batch, offsets, mirrored, reach)


def view(config: RunConfig, count: int, number: int) -> tuple[Tensor | None, Tensor | None]:
    """How each of ``count`` pictures is moved and mirrored in one view; the same for every seed of a run.

    Returns:
        Offsets (2, count) for :func:`shifted`, and booleans (count), as in ``config``, or None.
    """
    generator = torch.Generator().manual_seed(number)
    reach = 2 * config.shift + 1
    offsets = torch.randint(reach, (2, count), generator=generator) if config.shift else None
    mirrored = torch.rand(count, generator=generator) < 0.5 if config.flip else None
    return offsets, mirrored


def moved(batch: Split, offsets: Tensor | None, mirrored: Tensor | None, reach: int) -> Split:
    """Pictures moved and mirrored, classes of pixels with them."""
    images, labels = batch.images, batch.labels
    if offsets is not None:
        offsets = offsets.to(images.device)
        images = shifted(images, offsets, reach)
        if labels.ndim == 3:
            labels = shifted(labels[:, None], offsets, reach, UNCOUNTED)[:, 0]
    if mirrored is not None:
        mirrored = mirrored.to(images.device)
        images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        if labels.ndim == 3:
            labels = torch.where(mirrored[:, None, None], labels.flip(-1), labels)
    return batch._replace(images=images, labels=labels)


def shifted(images: Tensor, offsets: Tensor, reach: int, outside: int = 0) -> Tensor:
    """Pictures moved by whole pixels.

    Args:
        images: Shape (B, C, H, W).
        offsets: Shape (2, B), from 0 to ``2 * reach``; ``reach`` leaves a picture where it is, less moves
            it down or right.
        reach: The farthest move.
        outside: What comes in.
    """
    height, width = images.shape[-2:]
    padded = F.pad(images, (reach, reach, reach, reach), value=outside)
    rows = offsets[0][:, None] + torch.arange(height, device=images.device)
    columns = offsets[1][:, None] + torch.arange(width, device=images.device)
    picture = torch.arange(len(images), device=images.device)[:, None, None]
    # Indices first, then channels: (B, H, W, C).
    return padded.movedim(1, -1)[picture, rows[:, :, None], columns[:, None]].movedim(-1, 1)
