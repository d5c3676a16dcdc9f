"""Accuracy against the number of masks."""

from itertools import pairwise

import pytest
import torch

from optics4f.models.data import Split
from optics4f.models.fewer_masks import accuracy_against_masks
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.train import accuracy


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_all_masks_are_the_student_and_fewer_are_further_from_it(readout: str) -> None:
    design = StudentDesign(
        readout=readout, shape=(16, 16), channels=(1, 6), kernel_sizes=(5,), stops=(9,), pixels=9, classes=4
    )
    student = SCLC(design, seed=2)
    generator = torch.Generator().manual_seed(3)
    pictures = torch.rand(200, 1, 16, 16, generator=generator)
    student.train()
    student(pictures)  # running statistics
    student.eval()
    with torch.no_grad():
        labels = student(pictures).argmax(1)  # the student itself is the truth
    split = Split(pictures, labels)
    rows = accuracy_against_masks(student, split, [1, 2, 4, 6])
    assert [row.masks for row in rows] == [1, 2, 4, 6]
    assert all(before.error > after.error for before, after in pairwise(rows))
    # Six channels are six masks: nothing is lost but float32 rounding, which turns no picture here.
    assert rows[-1].error < 1e-5
    assert rows[-1].accuracy == accuracy(student, split) == 1
    assert rows[0].accuracy < 0.9
    with pytest.raises(ValueError, match="got 7"):
        accuracy_against_masks(student, split, [7])
