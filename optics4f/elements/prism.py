"""Thin prisms: they tilt the light, and so shift the Fourier plane."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..grid import Grid, check_field
from .checks import checked_number


class Prism(nn.Module):
    r"""Thin prism: :math:`U \to U\, e^{2\pi i (f_Y y + f_X x)}` shifts the spectrum by its frequency.

    In the focal plane of a lens the light moves by :math:`\lambda f (f_Y, f_X)`. Paraxial, no aperture.

    Args:
        grid: The plane it stands in.
        frequency: ``(fy, fx)`` [1/m].

    Shape:
        (..., H, W) to (..., H, W), complex.

    Raises:
        TypeError: If the frequency is not a pair of plain numbers.
        ValueError: If it is not finite.
    """

    def __init__(self, grid: Grid, frequency: tuple[float, float]) -> None:
        super().__init__()
        if not isinstance(frequency, (tuple, list)) or len(frequency) != 2:
            raise TypeError(f"Prism: expected a frequency (fy, fx), got {frequency!r}.")
        fy, fx = (checked_number("Prism frequency", f, "a finite number of 1/m") for f in frequency)
        self.grid, self.frequency = grid, (fy, fx)
        y, x = grid.coordinates()
        phase = 2 * math.pi * (fy * y[:, None] + fx * x[None, :])
        # Built in float64, kept as a pair of reals: complex buffers break .to(dtype).
        self.register_buffer(
            "pair", torch.view_as_real(torch.polar(torch.ones_like(phase), phase)), persistent=False
        )

    def forward(self, field: Tensor) -> Tensor:
        """The tilted field.

        Raises:
            TypeError: If the field is not complex.
            ValueError: If it has another number of samples.
        """
        check_field("Prism", field, self.grid.shape)
        return field * torch.view_as_complex(self.get_buffer("pair")).to(field.dtype)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.frequency[0]:.4g}, {self.frequency[1]:.4g} 1/m"
