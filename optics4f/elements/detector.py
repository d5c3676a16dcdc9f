"""Light to numbers: square-law pixels and homodyne readout."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from ..fourier import interpolation_matrix, pixel_integration_matrix
from ..grid import Grid, check_field, checked_shape
from .checks import checked_number


class _PixelArray(nn.Module):
    """Pixels that tile the plane of a grid without gaps; pixel ``n // 2`` is centred on the axis.

    The field is taken as band-limited and periodic: its samples are interpolated to ``samples``, and what is
    read from them is integrated exactly. Matrix products do both: on the small planes behind a stop they take
    half the time of padded FFTs.
    """

    def __init__(self, grid: Grid, pixels: tuple[int, int], samples: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        rows, columns = checked_shape(type(self).__name__, pixels, "pixel")
        spacing = (grid.extent[0] / rows, grid.extent[1] / columns)
        self.pixel_grid = Grid.from_si((rows, columns), spacing)
        for axis, name in enumerate(("rows", "columns")):
            # float64, rounded once when used; pairs of reals, since complex buffers break .to(dtype).
            pair = torch.view_as_real(interpolation_matrix(grid.shape[axis], samples[axis]))
            integral = pixel_integration_matrix(samples[axis], self.pixel_grid.shape[axis])
            self.register_buffer(f"interpolate_{name}", pair, persistent=False)
            self.register_buffer(f"integrate_{name}", integral, persistent=False)
        self.real_weights = all(n % 2 == 1 for n in grid.shape)  # every frequency has its partner

    def interpolate(self, field: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of the field at the finer samples, each (..., s_y, s_x).

        Raises:
            TypeError: If the field is not complex.
            ValueError: If it has another number of samples.
        """
        check_field(type(self).__name__, field, self.grid.shape)
        pairs = [self.get_buffer(f"interpolate_{name}") for name in ("rows", "columns")]
        if self.real_weights:  # two real products instead of a complex one: half the work
            rows, columns = (pair[..., 0].to(field.real.dtype) for pair in pairs)
            return rows @ (field.real @ columns.mT), rows @ (field.imag @ columns.mT)
        rows, columns = (torch.view_as_complex(pair).to(field.dtype) for pair in pairs)
        fine = rows @ (field @ columns.mT)
        return fine.real, fine.imag

    def integrate(self, values: Tensor) -> Tensor:
        """Integral over each pixel as a fraction of the whole plane, (..., s_y, s_x) to (..., p_y, p_x)."""
        rows, columns = (
            self.get_buffer(f"integrate_{name}").to(values.dtype) for name in ("rows", "columns")
        )
        return rows @ (values @ columns.mT)  # in this order both are plain products, without copies

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.grid} -> {self.pixel_grid.shape[0]} x {self.pixel_grid.shape[1]} pixels"


class IntensityDetector(_PixelArray):
    r"""Square-law detector with integrating pixels: :math:`P_j = \iint_{pixel\,j} |U|^2\,dx\,dy`.

    :math:`|U|^2` has twice the bandwidth of :math:`U`, so the field is interpolated to twice its samples
    before it is squared; the integral over a pixel is then exact for the band-limited, periodic field that
    the samples stand for. Few large pixels behind the square law are optical pooling at no cost. Ideal:
    quantum efficiency 1, fill factor 1, no noise.

    Args:
        grid: The plane of the field.
        pixels: Number of pixels ``(p_y, p_x)`` over that plane.

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, p_y, p_x) real [W].

    Raises:
        TypeError: If the pixels are not a pair of integers.
        ValueError: If there are none.
    """

    def __init__(self, grid: Grid, pixels: tuple[int, int]) -> None:
        height, width = (int(next_fast_len(2 * n - 1)) for n in grid.shape)
        super().__init__(grid, pixels, (height, width))
        self.area = grid.extent[0] * grid.extent[1]

    def forward(self, field: Tensor) -> Tensor:
        """Power on every pixel."""
        real, imaginary = self.interpolate(field)
        return self.integrate(real.square() + imaginary.square()) * self.area


class HomodyneReadout(_PixelArray):
    r"""Balanced homodyne readout: the mean over each pixel of :math:`\operatorname{Re}(U e^{-i\varphi})`.

    The local oscillator has the constant phase :math:`\varphi`. The readout is linear in the field, signed,
    and needs a stable reference beam; it is what a real-part readout in software stands for. Ideal: no noise.

    Args:
        grid: The plane of the field.
        pixels: Number of pixels ``(p_y, p_x)`` over that plane.
        phase: Phase of the local oscillator [rad].

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, p_y, p_x) real [sqrt(W)/m].

    Raises:
        TypeError: If the pixels are not a pair of integers, or the phase is no number.
        ValueError: If there are no pixels, or the phase is not finite.
    """

    def __init__(self, grid: Grid, pixels: tuple[int, int], phase: float = 0.0) -> None:
        height, width = (n | 1 for n in grid.shape)  # an odd number has a partner for every frequency
        super().__init__(grid, pixels, (height, width))
        self.phase = checked_number("HomodyneReadout phase", phase, "a finite angle in radians")

    def forward(self, field: Tensor) -> Tensor:
        """Quadrature on every pixel."""
        real, imaginary = self.interpolate(field)
        quadrature = real * math.cos(self.phase) + imaginary * math.sin(self.phase)
        pixels = self.pixel_grid.shape
        return self.integrate(quadrature) * (pixels[0] * pixels[1])
