"""What it costs a student to be built with fewer masks, and the bench that has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from optics4f.design import reduced
from optics4f.grid import Grid
from optics4f.system import FourF

from .data import Split
from .sclc import SCLC
from .train import accuracy


class FewerMasks(NamedTuple):
    """Number of masks, relative error of T(nu) (Frobenius), and the accuracy that is left."""

    masks: int
    error: float
    accuracy: float


class MixedBench(nn.Module):
    r"""A 4f system of M masks with a mesh of beam splitters behind it: :math:`U_o = \sum_m W_{om} V_m`.

    The weights are fixed and have orthonormal columns, :math:`W^\dagger W = 1`, so that the mesh keeps the
    power of its M inputs. It is ideal: no loss, no phase errors, the same at every point of the plane.

    Args:
        bench: The 4f system, or one that is rebuilt from stored masks.
        weights: W, complex, shape (C_out, M).

    Shape:
        (..., C_in, H, W) to (..., C_out, H', W'), complex [sqrt(W)/m].
    """

    weight_parts: Tensor

    def __init__(self, bench: nn.Module, weights: Tensor) -> None:
        super().__init__()
        self.bench: Any = bench
        # Real and imaginary part: a change of precision leaves complex buffers as they are.
        self.register_buffer("weight_parts", torch.view_as_real(weights.detach()).clone())

    @property
    def weights(self) -> Tensor:
        """W, complex, shape (C_out, M)."""
        return torch.view_as_complex(self.weight_parts)

    @property
    def output_grid(self) -> Grid:
        """The output plane, which the mesh does not change."""
        grid: Grid = getattr(self.bench, "bench", self.bench).output_grid
        return grid

    def forward(self, field: Tensor) -> Tensor:
        """The field in the output plane."""
        return self.mixed(self.bench(field))

    def mixed(self, fields: Tensor) -> Tensor:
        """The mesh alone: (..., M, H', W') to (..., C_out, H', W')."""
        return torch.einsum("om,...mhw->...ohw", self.weights.to(fields.dtype), fields)

    def transfer(self) -> Tensor:
        """T(nu) = W B(nu), shape (C_out, C_in, H', W')."""
        bases: Tensor = self.bench.transfer()
        return torch.einsum("om,mihw->oihw", self.weights.to(bases.dtype), bases)

    def __str__(self) -> str:
        outputs, masks = self.weights.shape
        return f"{self.bench} | mesh {masks} -> {outputs}"


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


def mask_counts(most: int) -> list[int]:
    """Numbers of masks for a curve: powers of two, and all.

    Example:
        >>> mask_counts(12)
        [1, 2, 4, 8, 12]
    """
    return [*(2**n for n in range(most.bit_length()) if 2**n < most), most]
