"""What it costs a student to be built with fewer masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from optics4f.design import reduced
from optics4f.system import FourF

from .data import Split
from .sclc import SCLC
from .train import accuracy


class FewerMasks(NamedTuple):
    """Number of masks, relative error of T(nu) (Frobenius), and the accuracy that is left."""

    masks: int
    error: float
    accuracy: float


def accuracy_against_masks(student: SCLC, split: Split, counts: Sequence[int]) -> list[FewerMasks]:
    """Accuracy of a student whose collapsed bank is made of so many shared masks, for each number.

    The masks are those of :func:`~optics4f.design.shared_bases`, mixed in light by the weights, so that both
    readouts see the field that they were trained for. Nothing is trained again.

    Args:
        student: A trained student, collapsed or not.
        split: Pictures to judge by; the test split only when all choices are made.
        counts: Numbers of masks, from 1 to min(C_out, C_in H' W').

    Raises:
        ValueError: If a number of masks is out of range.
    """
    collapsed = student if isinstance(student.optics, FourF) else student.collapse()
    rows = []
    for masks in counts:
        few = reduced(collapsed.optics, masks, "optical")
        score = accuracy(collapsed.with_optics(few.bench), split)
        rows.append(FewerMasks(masks, float(few.error), score))
    return rows
