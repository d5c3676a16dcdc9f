"""Lenses as Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..fourier import ft2
from ..grid import Grid, check_field
from ..propagation import SLACK, as_float, as_scalar, fresnel_range, squares, unit_wave
from ..units import compact, positive_si, si


class FourierLens(nn.Module):
    r"""Ideal thin lens between its two focal planes.

    .. math:: U_f(u) = \frac{1}{\lambda f} \iint U(x)\, e^{-2\pi i\, x u / (\lambda f)}\, dx\, dy

    sampled as :math:`\sqrt{\Delta A / \Delta A_f}` times the centred unitary transform, so that the power
    :math:`\sum |U|^2 \Delta A` is the same on both sides. Scalar, paraxial, no aperture; the constant phase
    :math:`e^{2ikf}/i` is left out, as it is common to all channels. Two lenses invert the picture.

    With the input at another distance d before the lens, which is a defocus of the input plane, the light in
    the back focal plane is curved, and its intensity stays:

    .. math:: U_f(u) \to U_f(u)\, e^{i\pi (1 - d/f)\, u^2/(\lambda f)}

    Args:
        grid: The input plane: the front focal plane, if not said otherwise.
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length [m].
        object_distance: Distance d from the input plane to the lens [m]; f if not given.
        trainable: Whether ``object_distance`` is a parameter, in metres.

    Shape:
        (..., H, W) to (..., H, W), complex [sqrt(W)/m].

    Raises:
        ValueError: If the input plane is so far from the front focal plane that the curvature is not sampled,
            :math:`|d - f|` beyond :func:`~optics4f.propagation.fresnel_range`, if d is negative, or if it is
            to be trained and not given.
        TypeError: If a length has no unit.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 5.2.
    """

    object_distance: float | Tensor | None

    def __init__(
        self,
        grid: Grid,
        wavelength: Any,
        focal_length: Any,
        object_distance: Any = None,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.wavelength = positive_si(wavelength, "m", "FourierLens wavelength")
        self.focal_length = positive_si(focal_length, "m", "FourierLens focal_length")
        self.output_grid = grid.behind_lens(self.wavelength, self.focal_length)
        self.amplitude_factor = math.sqrt(grid.cell_area / self.output_grid.cell_area)
        self.object_distance = None
        if object_distance is not None:
            distance = si(object_distance, "m", "FourierLens object_distance")
            self._check(distance)
            number = torch.tensor(distance, dtype=torch.float64)
            self.object_distance = nn.Parameter(number) if trainable else distance
        elif trainable:
            raise ValueError("FourierLens: expected an object_distance to be trained, got none.")

    def _check(self, distance: float) -> None:
        reach = fresnel_range(self.grid, self.wavelength)
        low, high = max(0.0, self.focal_length - reach), self.focal_length + reach
        if not low / SLACK <= distance <= high * SLACK:
            raise ValueError(
                f"FourierLens: expected an object_distance from {compact(low, 'm')} to {compact(high, 'm')}, "
                f"where {self.grid} sample the curvature, got {compact(distance, 'm')}."
            )

    def forward(self, field: Tensor) -> Tensor:
        """The field in the back focal plane."""
        check_field("FourierLens", field, self.grid.shape, "real or complex")
        focal = ft2(field) * self.amplitude_factor
        if self.object_distance is None:
            return focal
        defocus = 1 - as_scalar(self.object_distance, field) / self.focal_length
        area = self.wavelength * self.focal_length
        phase = math.pi / area * defocus * squares(self.output_grid.coordinates(), field)
        return focal * unit_wave(phase).to(focal.dtype)

    def extra_repr(self) -> str:
        """What print shows."""
        distance = self.object_distance
        defocus = "" if distance is None else f", object {compact(as_float(distance), 'm')} before it"
        return f"f {compact(self.focal_length, 'm')}{defocus}, {self.grid} -> {self.output_grid}"
