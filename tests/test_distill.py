"""Eq. 8: which term alpha weights, what KL measures, and that the teacher only teaches."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from optics4f.models.data import Split, batches
from optics4f.models.distill import Distillation, distillation_loss, taught

STUDENT = torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TEACHER = torch.randn(7, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1])
ROUNDING = 1e-12  # sums of some tens of float64 numbers of order 1


def test_alpha_one_is_cross_entropy() -> None:
    """alpha weights the label term, as in the paper; in its published code it weights the other one."""
    loss = distillation_loss(STUDENT, TEACHER, LABELS, alpha=1)
    assert float(loss) == pytest.approx(float(F.cross_entropy(STUDENT, LABELS)), rel=ROUNDING)


def test_teacher_equal_student_gives_zero_divergence() -> None:
    loss = distillation_loss(STUDENT, STUDENT, LABELS, alpha=0, temperature=3)
    assert abs(float(loss)) < ROUNDING


def test_logits_shifted_by_a_constant_teach_the_same() -> None:
    """Softmax does not see a constant added to all logits of a picture."""
    shift = torch.arange(7, dtype=torch.float64)[:, None]
    plain = distillation_loss(STUDENT, TEACHER, LABELS, alpha=0.3)
    shifted = distillation_loss(STUDENT + shift, TEACHER - shift, LABELS, alpha=0.3)
    assert float(shifted) == pytest.approx(float(plain), rel=ROUNDING)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_divergence_is_the_definition_averaged_over_the_batch(temperature: float) -> None:
    p, q = (torch.softmax(logits / temperature, 1) for logits in (TEACHER, STUDENT))
    expected = (p * (p / q).log()).sum(1).mean()
    loss = distillation_loss(STUDENT, TEACHER, LABELS, 0, temperature, scale_by_temperature=False)
    assert float(loss) == pytest.approx(float(expected), rel=ROUNDING)


def test_terms_add_with_alpha_and_the_square_of_the_temperature() -> None:
    def loss(alpha: float, scaled: bool = True) -> float:
        return float(distillation_loss(STUDENT, TEACHER, LABELS, alpha, 4.0, scaled))

    assert loss(0.3) == pytest.approx(0.3 * loss(1) + 0.7 * loss(0), rel=ROUNDING)
    assert loss(0) == pytest.approx(16 * loss(0, scaled=False), rel=ROUNDING)


def test_hot_limit_matches_logits() -> None:
    """T^2 KL tends to the mean squared distance of centred logits over 2 C (Hinton 2015, Eq. 4)."""
    centred = (STUDENT - STUDENT.mean(1, keepdim=True)) - (TEACHER - TEACHER.mean(1, keepdim=True))
    expected = float(centred.square().sum(1).mean()) / (2 * 5)
    found = float(distillation_loss(STUDENT, TEACHER, LABELS, alpha=0, temperature=1e4))
    assert found == pytest.approx(expected, rel=1e-3)  # the next term is smaller by logits / T, some 1e-4


def per_pixel(logits: torch.Tensor) -> torch.Tensor:
    """Seven pictures of one pixel, (7, 5), as one picture of seven pixels, (1, 5, 1, 7)."""
    return logits.T[None, :, None]


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_pixels_are_averaged_like_pictures(alpha: float) -> None:
    """A picture's gradient must not grow with its number of pixels."""
    one = distillation_loss(STUDENT, TEACHER, LABELS, alpha)
    maps = distillation_loss(per_pixel(STUDENT), per_pixel(TEACHER), LABELS[None, None], alpha)
    assert float(maps) == pytest.approx(float(one), rel=ROUNDING)
    twice = [torch.cat([per_pixel(logits)] * 2) for logits in (STUDENT, TEACHER)]
    both = distillation_loss(*twice, LABELS.expand(2, 1, 7), alpha)
    assert float(both) == pytest.approx(float(one), rel=ROUNDING)


def test_void_pixels_are_left_out_of_the_student_loss_alone() -> None:
    labels = torch.where(LABELS == 0, -100, LABELS)[None, None]
    maps = [per_pixel(STUDENT), per_pixel(TEACHER)]
    kept = LABELS != 0
    expected = F.cross_entropy(STUDENT[kept], LABELS[kept])
    assert float(distillation_loss(*maps, labels, 1)) == pytest.approx(float(expected), rel=ROUNDING)
    whole = distillation_loss(STUDENT, TEACHER, LABELS, 0)
    assert float(distillation_loss(*maps, labels, 0)) == pytest.approx(float(whole), rel=ROUNDING)


def test_one_pixel_is_a_picture_to_the_bit() -> None:
    flat = distillation_loss(STUDENT, TEACHER, LABELS)
    maps = distillation_loss(STUDENT[..., None, None], TEACHER[..., None, None], LABELS[:, None, None])
    assert torch.equal(flat, maps)


def test_logits_of_another_shape_are_refused() -> None:
    """They would be broadcast without a word."""
    with pytest.raises(ValueError, match=r"expected logits of one shape, got \(7, 5\) and \(1, 5\)"):
        distillation_loss(STUDENT, TEACHER[:1], LABELS)


@pytest.mark.parametrize(
    ("alpha", "temperature"), [(-0.1, 1), (1.1, 1), (0.5, 0), (0.5, math.nan), (math.nan, 1)]
)
def test_bad_weights_are_refused(alpha: float, temperature: float) -> None:
    with pytest.raises(ValueError, match=r"expected .* got"):
        distillation_loss(STUDENT, TEACHER, LABELS, alpha, temperature)


def test_teacher_is_asked_once_in_evaluation_mode_and_learns_nothing() -> None:
    """Dropout would make its targets noisy, and batch statistics would follow the student's batches."""
    teacher = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    split = Split(torch.randn(7, 3), LABELS)
    lesson = taught(split, teacher, batch_size=2)
    assert lesson.teacher is not None
    # The sum over 3 inputs may run in another order for another batch size: some float32 epsilons.
    assert torch.allclose(lesson.teacher, teacher.eval()(split.images).detach(), atol=1e-6)
    assert not lesson.teacher.requires_grad
    student = nn.Linear(3, 5)
    Distillation()(student(lesson.images), lesson).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in student.parameters())


def test_each_picture_keeps_its_own_lesson_in_shuffled_batches() -> None:
    pictures = torch.arange(10.0)[:, None]
    lesson = taught(Split(pictures, torch.arange(10)), nn.Identity())
    for batch in batches(lesson, 3, torch.Generator().manual_seed(0)):
        assert batch.teacher is not None
        assert torch.equal(batch.teacher, batch.images)
        assert torch.equal(batch.labels.float(), batch.images[:, 0])


def test_a_split_without_a_teacher_cannot_be_distilled() -> None:
    with pytest.raises(ValueError, match="expected a split that a teacher has seen"):
        Distillation()(STUDENT, Split(STUDENT, LABELS))
