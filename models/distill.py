"""Knowledge distillation, the paper's Eq. 8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .data import Split


def distillation_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    alpha: float = 0.5,
    temperature: float = 4.0,
    scale_by_temperature: bool = True,
) -> Tensor:
    r"""Weighted sum of the student loss (labels) and the temperature loss (teacher).

    .. math:: L = \alpha\, \mathrm{CE}(y, p_s) + (1 - \alpha)\, s\, \mathrm{KL}\big(p_t(T)\,\Vert\,p_s(T)\big)

    ``alpha`` weights the *student* loss, as in the paper; its published code lets it weight the other term.
    Hinton's factor :math:`s = T^2`, which keeps the gradients of both terms on one scale, is not in the
    paper; it is on by default and :math:`s = 1` without it. KL is averaged over the batch (``batchmean``),
    in segmentation over the pixels too, as cross-entropy is. Pixels with the label -100 are left out of the
    student loss; the teacher teaches them all the same.

    Args:
        student: Logits of the student, shape (B, classes), or (B, classes, H, W) per pixel.
        teacher: Logits of the teacher, same shape; no gradient flows into them.
        labels: Shape (B,), or (B, H, W).
        alpha: Weight of the student loss, in [0, 1].
        temperature: T, larger than 0.
        scale_by_temperature: Whether the temperature loss is multiplied by :math:`T^2`.

    Raises:
        ValueError: If ``alpha`` or ``temperature`` is out of range, or the logits differ in shape.

    Source: paper, Eq. 8; G. Hinton, O. Vinyals, J. Dean, arXiv:1503.02531, for :math:`T^2`.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"distillation_loss: expected alpha in [0, 1], got {alpha}.")
    if not temperature > 0:
        raise ValueError(f"distillation_loss: expected a temperature > 0, got {temperature}.")
    student_loss = F.cross_entropy(student, labels)
    if alpha == 1:
        return student_loss
    if student.shape != teacher.shape:
        shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"distillation_loss: expected logits of one shape, got {shapes}.")
    temperature_loss = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher.detach() / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    pixels = math.prod(student.shape[2:])
    if pixels > 1:  # batchmean divides by the batch alone
        temperature_loss = temperature_loss / pixels
    factor = temperature**2 if scale_by_temperature else 1.0
    return alpha * student_loss + (1 - alpha) * factor * temperature_loss


@dataclass(frozen=True)
class Distillation:
    """Eq. 8 as a loss for :func:`~optics4f.models.train.fit`; the split must have been :func:`taught`.

    Attributes:
        alpha: Weight of the student loss.
        temperature: T.
        scale_by_temperature: Whether the temperature loss is multiplied by T^2.
    """

    alpha: float = 0.5
    temperature: float = 4.0
    scale_by_temperature: bool = True

    def __call__(self, logits: Tensor, batch: Split) -> Tensor:
        """Loss of a batch.

        Raises:
            ValueError: If no teacher has seen the batch.
        """
        if batch.teacher is None:
            raise ValueError(
                "Distillation: expected a split that a teacher has seen, got one without logits."
            )
        weights = (self.alpha, self.temperature, self.scale_by_temperature)
        return distillation_loss(logits, batch.teacher, batch.labels, *weights)


def label_loss(logits: Tensor, batch: Split) -> Tensor:
    """Cross-entropy with the labels alone: training without distillation."""
    return F.cross_entropy(logits, batch.labels)


def taught(split: Split, teacher: nn.Module, batch_size: int = 512) -> Split:
    """The split with the teacher's logits, computed once: in evaluation mode, without gradient.

    A teacher in training mode would teach through dropout and the statistics of its batch; it is left in
    evaluation mode.
    """
    return split._replace(teacher=logits_of(teacher, split.images, batch_size))


def logits_of(teacher: nn.Module, images: Tensor, batch_size: int = 512) -> Tensor:
    """What a teacher says of pictures, in evaluation mode (where it is left) and without gradient."""
    teacher.eval()
    with torch.no_grad():
        return torch.cat([teacher(part) for part in images.split(batch_size)])
