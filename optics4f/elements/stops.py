"""Stops in the Fourier plane."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fourier import crop_center


class LowPassStop(nn.Module):
    r"""Rectangular low-pass stop: the paper's spectral pooling (Eq. 6).

    Passes :math:`|f_Y| < H'/(2 H \Delta y)`, :math:`|f_X| < W'/(2 W \Delta x)` and blocks the rest; what is
    dark is not kept. With an even size the sample at ``-n'/2`` lies exactly on the edge of the stop and has
    no partner at ``+n'/2``; it is blocked, so that a symmetric stop keeps a real picture real.

    Args:
        shape: Samples ``(H', W')`` of the Fourier plane inside the stop.

    Shape:
        (..., H, W) to (..., H', W'), complex.

    Raises:
        ValueError: If the stop is empty or, when light arrives, larger than the plane.

    Source: O. Rippel, J. Snoek, R. P. Adams, arXiv:1506.03767.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        if len(shape) != 2 or not all(type(n) is int and n >= 1 for n in shape):
            raise ValueError(f"LowPassStop: expected a shape (H, W) of positive integers, got {shape!r}.")
        self.shape = (shape[0], shape[1])

    def forward(self, spectrum: Tensor) -> Tensor:
        """The light inside the stop."""
        plane = (spectrum.shape[-2], spectrum.shape[-1])
        return crop_center(spectrum, self.shape) * self.pupil(plane).to(spectrum.real)

    def pupil(self, plane: tuple[int, int]) -> Tensor:
        """1 where a plane of this shape is open, 0 on the unpaired edge of an even stop; float64."""
        rows, columns = (torch.ones(n, dtype=torch.float64) for n in self.shape)
        rows[: int(self.shape[0] % 2 == 0 and self.shape[0] < plane[0])] = 0
        columns[: int(self.shape[1] % 2 == 0 and self.shape[1] < plane[1])] = 0
        return torch.outer(rows, columns)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.shape[0]} x {self.shape[1]}"
