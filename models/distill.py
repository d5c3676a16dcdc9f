"""Knowledge distillation, the paper's Eq. 8."""

from __future__ import annotations

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
    paper; it is on by default and :math:`s = 1` without it. KL is averaged over the batch (``batchmean``).

    Args:
        student: Logits of the student, shape (B, classes).
        teacher: Logits of the teacher, shape (B, classes); no gradient flows into them.
        labels: Shape (B,).
        alpha: Weight of the student loss, in [0, 1].
        temperature: T, larger than 0.
        scale_by_temperature: Whether the temperature loss is multiplied by :math:`T^2`.

    Raises:
        ValueError: If ``alpha`` or ``temperature`` is out of range.

    Source: paper, Eq. 8; G. Hinton, O. Vinyals, J. Dean, arXiv:1503.02531, for :math:`T^2`.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"distillation_loss: expected alpha in [0, 1], got {alpha}.")
    if not temperature > 0:
        raise ValueError(f"distillation_loss: expected a temperature > 0, got {temperature}.")
    student_loss = F.cross_entropy(student, labels)
    if alpha == 1:
        return student_loss
    temperature_loss = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher.detach() / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
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
    teacher.eval()
    with torch.no_grad():
        logits = torch.cat([teacher(images) for images in split.images.split(batch_size)])
    return split._replace(teacher=logits)
