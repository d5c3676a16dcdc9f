"""Scores of segmentation: counted by hand, unchanged by names, blind to what does not count."""

import math

import pytest
import torch
from torch import Tensor, nn

from optics4f.models.data import Split
from optics4f.models.scores import (
    confusion,
    intersection_over_union,
    judged,
    majority,
    mean_iou,
    pixel_accuracy,
)

TRUTH = torch.tensor([[0, 0, 1], [1, 2, 9]])
FOUND = torch.tensor([[0, 1, 1], [1, 0, 2]])


def test_counted_by_hand() -> None:
    """Six pixels, of which the last does not count: exact, since all are small whole numbers."""
    counts = confusion(FOUND, TRUTH, 4, ignore=9)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert pixel_accuracy(counts) == 3 / 5
    # Right over true + found - right: 1 / (2 + 2 - 1), 2 / (2 + 3 - 2), 0 / (1 + 0 - 0), and nothing at all.
    assert intersection_over_union(counts)[:3].tolist() == [1 / 3, 2 / 3, 0.0]
    assert math.isnan(float(intersection_over_union(counts)[3]))
    assert mean_iou(counts) == pytest.approx(1 / 3, rel=1e-15)


def test_what_does_not_count_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    truth, found = torch.randint(0, 4, (2, 500), generator=generator)
    expected = confusion(found[truth != 3], truth[truth != 3], 4)
    assert torch.equal(confusion(found, truth, 4, ignore=3), expected)
    assert int(confusion(found, truth, 4).sum()) == 500


def test_new_names_permute_the_counts_and_leave_the_means() -> None:
    """The mean of four quotients in another order: a few roundings."""
    generator = torch.Generator().manual_seed(1)
    truth, found, names = *torch.randint(0, 4, (2, 300), generator=generator), torch.tensor([2, 0, 3, 1])
    before, after = confusion(found, truth, 4), confusion(names[found], names[truth], 4)
    assert torch.equal(after[names][:, names], before)
    assert mean_iou(after) == pytest.approx(mean_iou(before), rel=1e-14)
    assert pixel_accuracy(after) == pixel_accuracy(before)


def test_a_right_answer_is_1_and_one_class_everywhere_is_its_share() -> None:
    truth = torch.tensor([0] * 7 + [1] * 3)
    right = confusion(truth, truth, 2)
    assert (pixel_accuracy(right), mean_iou(right)) == (1, 1)
    everywhere = confusion(torch.zeros_like(truth), truth, 2)
    assert (pixel_accuracy(everywhere), mean_iou(everywhere)) == (0.7, 0.35)  # IoU 0.7 and 0


def test_the_majority_is_counted_without_what_does_not_count() -> None:
    assert majority(torch.tensor([3, 3, 3, 1, 1, 0]), 2, ignore=3) == 1
    assert majority(torch.tensor([0, 0, 1]), 3) == 0


@pytest.mark.parametrize(
    ("found", "truth", "sentence"),
    [
        (FOUND, TRUTH, "expected labels 0 to 3, got 0 to 9"),
        (FOUND + 3, TRUTH.clamp(max=3), "expected predictions 0 to 3, got 3 to 5"),
        (FOUND[:1], TRUTH, r"expected predictions and labels of one shape, got \(1, 3\) and \(2, 3\)"),
    ],
)
def test_pixels_without_a_class_are_refused(found: Tensor, truth: Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        confusion(found, truth, 4)


class Brightness(nn.Module):
    """Names class 1 where a picture is bright; in training it names the other one."""

    def forward(self, pictures: Tensor) -> Tensor:
        sign = -1 if self.training else 1
        return torch.cat((0.5 - pictures, pictures - 0.5), 1) * sign


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_network_is_judged_in_evaluation_whatever_the_batch(batch_size: int) -> None:
    pictures = torch.rand(7, 1, 4, 5, generator=torch.Generator().manual_seed(2))
    labels = (pictures[:, 0] > 0.3).long()
    counts = judged(Brightness().train(), Split(pictures, labels), 2, batch_size=batch_size)
    dark, between = int((pictures <= 0.3).sum()), int(((pictures > 0.3) & (pictures <= 0.5)).sum())
    assert counts.tolist() == [[dark, 0], [between, 140 - dark - between]]
