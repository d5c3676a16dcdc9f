"""Lenses as Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from ..fourier import ft2
from ..grid import Grid
from ..units import compact, positive_si


class FourierLens(nn.Module):
    r"""Ideal thin lens between its two focal planes.

    .. math:: U_f(u) = \frac{1}{\lambda f} \iint U(x)\, e^{-2\pi i\, x u / (\lambda f)}\, dx\, dy

    sampled as :math:`\sqrt{\Delta A / \Delta A_f}` times the centred unitary transform, so that the power
    :math:`\sum |U|^2 \Delta A` is the same on both sides. Scalar, paraxial, no aperture; the constant phase
    :math:`e^{2ikf}/i` is left out, as it is common to all channels. Two lenses invert the picture.

    Args:
        grid: The front focal plane.
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length [m].

    Shape:
        (..., H, W) to (..., H, W), complex [sqrt(W)/m].

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 5.2.
    """

    def __init__(self, grid: Grid, wavelength: Any, focal_length: Any) -> None:
        super().__init__()
        self.grid = grid
        self.wavelength = positive_si(wavelength, "m", "FourierLens wavelength")
        self.focal_length = positive_si(focal_length, "m", "FourierLens focal_length")
        self.output_grid = grid.behind_lens(self.wavelength, self.focal_length)
        self.amplitude_factor = math.sqrt(grid.cell_area / self.output_grid.cell_area)

    def forward(self, field: Tensor) -> Tensor:
        """The field in the back focal plane."""
        return ft2(field) * self.amplitude_factor

    def extra_repr(self) -> str:
        """What print shows."""
        return f"f {compact(self.focal_length, 'm')}, {self.grid} -> {self.output_grid}"
