"""Scores of segmentation: what was taken for what, pixel by pixel, and what follows from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .data import Batched


def confusion(predicted: Tensor, labels: Tensor, classes: int, ignore: int | None = None) -> Tensor:
    """How many pixels of each true class (row) were taken for each class (column).

    Args:
        predicted: Classes of pixels, 0 to ``classes - 1``, any shape.
        labels: True classes, same shape.
        classes: Number of classes.
        ignore: The label of pixels that no score counts; None if all count.

    Returns:
        Counts (classes, classes), int64.

    Raises:
        ValueError: If the shapes differ, or a pixel that counts has no class in either.
    """
    if predicted.shape != labels.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"confusion: expected predictions and labels of one shape, got {shapes}.")
    counted = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    true, found = labels[counted], predicted[counted]
    for name, values in (("labels", true), ("predictions", found)):
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < classes:
            got = f"{int(values.min())} to {int(values.max())}"
            raise ValueError(f"confusion: expected {name} 0 to {classes - 1}, got {got}.")
    counts = torch.bincount(classes * true + found, minlength=classes**2)
    return counts.reshape(classes, classes)


def pixel_accuracy(counts: Tensor) -> float:
    """Share of the pixels that are named right; NaN if none counts."""
    return float(counts.diagonal().sum().double() / counts.sum())


def intersection_over_union(counts: Tensor) -> Tensor:
    r"""For each class the pixels named right over those that are it or are taken for it.

    .. math:: \mathrm{IoU}_c = \frac{n_{cc}}{\sum_j n_{cj} + \sum_i n_{ic} - n_{cc}}

    Args:
        counts: From :func:`confusion`.

    Returns:
        Shape (classes,), float64; NaN for a class that neither is there nor is seen.

    Source: M. Everingham et al., Int. J. Comput. Vis. 88, 303 (2010).
    """
    right = counts.diagonal().double()
    return right / (counts.sum(0) + counts.sum(1) - right)


def mean_iou(counts: Tensor) -> float:
    """The mean of :func:`intersection_over_union` over the classes that are there or are seen."""
    return float(intersection_over_union(counts).nanmean())


def majority(labels: Tensor, classes: int, ignore: int | None = None) -> int:
    """The most frequent class, which the simplest of all networks would name everywhere."""
    counted = labels.flatten() if ignore is None else labels[labels != ignore]
    return int(torch.bincount(counted, minlength=classes).argmax())


def judged(
    network: nn.Module, split: Batched, classes: int, ignore: int | None = None, batch_size: int = 16
) -> Tensor:
    """:func:`confusion` of a network, in evaluation mode, over a split; of equal logits the first counts.

    Args:
        network: Pictures to logits of their pixels, (B, C, H, W) to (B, classes, H, W).
        split: Pictures and the classes of their pixels; in memory, or read when asked.
        classes: Number of classes.
        ignore: The label of pixels that no score counts.
        batch_size: Pictures at a time.
    """
    network.eval()
    total = torch.zeros(classes, classes, dtype=torch.long, device=split.device)
    with torch.no_grad():
        for index in torch.arange(split.length, device=split.device).split(batch_size):
            batch = split.taken(index)
            found = network(batch.images).argmax(1)
            total += confusion(found, batch.labels, classes, ignore)
    return total
