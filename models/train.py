"""One training loop that a reader can hold in the head."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .data import ImageData, Split, batches

Loss = Callable[[Tensor, Split], Tensor]
OnEpoch = Callable[[int, float, float], None]


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Pictures per step.
        learning_rate: Peak of a one-cycle schedule.
        weight_decay: Of AdamW.
        seed: Of the order of the pictures.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True)
class Fit:
    """What a run gave: accuracies on the validation split, and the epoch whose weights were kept."""

    best_epoch: int
    validation_accuracy: float
    history: list[dict[str, float]]


def fit(
    model: nn.Module, data: ImageData, loss: Loss, config: TrainConfig, on_epoch: OnEpoch | None = None
) -> Fit:
    """Train, and keep the weights of the epoch that is best on the validation split (ties: the later one).

    Args:
        model: Pictures to logits; changed in place.
        data: Its test split is not touched.
        loss: Of (logits, batch).
        config: How.
        on_epoch: Called with (epoch, mean loss, validation accuracy), for progress bars.

    Raises:
        FloatingPointError: If the loss is not finite, with the epoch and step.
    """
    generator = torch.Generator().manual_seed(config.seed)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * math.ceil(len(data.train.labels) / config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps)
    history: list[dict[str, float]] = []
    best_accuracy, best_epoch, best_state = -1.0, 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        model.train()
        losses = []
        for batch in batches(data.train, config.batch_size, generator):
            value = loss(model(batch.images), batch)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            schedule.step()
            losses.append(value.detach())
        mean_loss = float(torch.stack(losses).mean())
        if not math.isfinite(mean_loss):
            raise FloatingPointError(f"fit: expected a finite loss, got {mean_loss} in epoch {epoch}.")
        score = accuracy(model, data.validation)
        history.append({"epoch": epoch, "loss": mean_loss, "validation_accuracy": score})
        if score >= best_accuracy:
            best_accuracy, best_epoch, best_state = score, epoch, copy.deepcopy(model.state_dict())
        if on_epoch is not None:
            on_epoch(epoch, mean_loss, score)
    model.load_state_dict(best_state)
    model.eval()
    return Fit(best_epoch, best_accuracy, history)


def accuracy(model: nn.Module, split: Split, batch_size: int = 512) -> float:
    """Fraction of a split that the model, in evaluation mode, names right."""
    model.eval()
    with torch.inference_mode():
        parts = zip(split.images.split(batch_size), split.labels.split(batch_size), strict=True)
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in parts)
    return right / len(split.labels)
