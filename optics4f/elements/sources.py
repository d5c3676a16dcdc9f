"""Where the light and the picture come from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..grid import Grid
from ..units import positive_si


class AmplitudeEncoding(nn.Module):
    r"""A picture as the amplitude transmittance of an evenly lit display.

    .. math:: U = \sqrt{P / A}\; a, \qquad 0 \le a \le 1

    Each channel of a white picture carries the power :math:`P` over the area :math:`A` of the grid; darker
    ones carry less.
    Row 0 of a picture is its top, row 0 of a field is the lowest y: the rows are reversed here.

    Args:
        grid: The input plane.
        power: Power of the illumination over the whole grid, for each channel [W].

    Shape:
        (..., C, H, W) real in [0, 1] to (..., C, H, W) complex [sqrt(W)/m].
    """

    def __init__(self, grid: Grid, power: Any = "1 mW") -> None:
        super().__init__()
        self.grid = grid
        self.power = positive_si(power, "W", "AmplitudeEncoding power")
        self.peak = math.sqrt(self.power / (grid.cell_area * grid.shape[0] * grid.shape[1]))

    def forward(self, picture: Tensor) -> Tensor:
        """The field behind the display."""
        amplitude = picture.flip(-2) * self.peak
        return torch.complex(amplitude, torch.zeros_like(amplitude))

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.grid}, power {self.power:g} W"
