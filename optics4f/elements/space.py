"""Free space and thin lenses, for benches that are not made of ideal Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from ..grid import Grid
from ..propagation import (
    SLACK,
    angular_spectrum,
    as_float,
    as_scalar,
    check_distance,
    check_plane,
    even_part,
    fresnel,
    fresnel_rescaled,
    squares,
    unit_wave,
)
from ..units import compact, positive_si, si

METHODS = ("angular_spectrum", "fresnel", "fresnel_rescaled")


class FreeSpace(nn.Module):
    r"""Free space of a given length.

    ``"angular_spectrum"`` is exact for scalar light, ``"fresnel"`` is paraxial, and ``"fresnel_rescaled"`` is
    paraxial and ends on samples :math:`\lambda z/(N \Delta x)` apart. See :mod:`optics4f.propagation` for the
    formulas and for the distances over which each is sampled. The carrier exp(ikz) is left out.

    Args:
        grid: The plane where the light starts.
        wavelength: Wavelength in the medium [m].
        distance: Length [m]; negative goes back.
        method: One of ``METHODS``.
        cutoff: Highest spatial frequency that must come through [1/m]; all of the grid's if not given.

    Shape:
        (..., H, W) to (..., H, W) on ``output_grid``, complex [sqrt(W)/m].

    Raises:
        ValueError: If the distance is not sampled on this grid, or the method is unknown.
        TypeError: If a length has no unit.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., chapters 3 and 4.
    """

    def __init__(
        self,
        grid: Grid,
        wavelength: Any,
        distance: Any,
        method: str = "angular_spectrum",
        cutoff: Any = None,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.wavelength = positive_si(wavelength, "m", "FreeSpace wavelength")
        self.distance = si(distance, "m", "FreeSpace distance")
        self.method = method
        self.cutoff = None if cutoff is None else positive_si(cutoff, "1/m", "FreeSpace cutoff")
        self._check()
        rescaled = method == "fresnel_rescaled"
        self.output_grid = grid.behind_lens(self.wavelength, abs(self.distance)) if rescaled else grid

    def _check(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"FreeSpace: expected a method of {', '.join(METHODS)}, got {self.method!r}.")
        if self.method == "fresnel_rescaled" and self.cutoff is not None:
            raise ValueError("FreeSpace: expected no cutoff with fresnel_rescaled, got one.")
        check_distance(self.method, self.grid, self.wavelength, self.distance, self.cutoff)

    def forward(self, field: Tensor) -> Tensor:
        """The field at the other end."""
        if self.method == "fresnel_rescaled":
            return fresnel_rescaled(field, self.grid, self.wavelength, self.distance)[0]
        propagate = fresnel if self.method == "fresnel" else angular_spectrum
        return propagate(field, self.grid, self.wavelength, self.distance, self.cutoff)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{compact(self.distance, 'm')}, {self.method}, {self.grid} -> {self.output_grid}"


def thin_lens(
    field: Tensor,
    grid: Grid,
    wavelength: float | Tensor,
    focal_length: float | Tensor,
    diameter: float | None = None,
) -> Tensor:
    r"""Pass a thin lens that is opaque outside of its diameter.

    .. math:: U'(x, y) = U(x, y)\, e^{-i\pi (x^2 + y^2)/(\lambda f)}, \quad x^2 + y^2 \le D^2/4

    Paraxial, without thickness or aberrations.

    Args:
        field: Complex amplitude, shape (..., H, W).
        grid: The plane.
        wavelength: Wavelength [m].
        focal_length: Focal length [m].
        diameter: Diameter of the aperture [m]; the lens fills the plane if not given.

    Returns:
        Shape (..., H, W).

    Raises:
        ValueError: If neighbouring samples of the lens differ by more than pi inside the aperture,
            D > lambda f / dx, or the field is on another grid.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 5.1.
    """
    check_plane("thin_lens", field, grid)
    check_thin_lens(grid, as_float(wavelength), as_float(focal_length), diameter)
    area = as_scalar(wavelength, field) * as_scalar(focal_length, field)
    radius2 = squares(grid.coordinates(), field)
    lens = unit_wave(-math.pi / area * radius2)
    if diameter is not None:
        lens = lens * (radius2 <= (diameter / 2) ** 2 * SLACK)
    return field * lens.to(field.dtype)


def check_thin_lens(grid: Grid, wavelength: float, focal_length: float, diameter: float | None) -> None:
    """Refuse a lens whose phase the grid cannot hold.

    Raises:
        ValueError: As :func:`thin_lens`.
    """
    for n, d in zip(grid.shape, grid.spacing, strict=True):
        width = even_part(n) * d if diameter is None else min(diameter, even_part(n) * d)
        largest = wavelength * abs(focal_length) / d
        if width > largest * SLACK:
            raise ValueError(
                f"thin_lens: expected a lens of at most lambda f / dx = {compact(largest, 'm')} on samples "
                f"{compact(d, 'm')} apart, got {compact(width, 'm')}; its phase would alias. "
                f"Give it a smaller diameter or a finer grid."
            )


class ThinLens(nn.Module):
    """Module form of :func:`thin_lens`: a quadratic phase, opaque outside its diameter.

    Args:
        grid: The plane of the lens.
        wavelength: Wavelength [m].
        focal_length: Focal length [m].
        diameter: Diameter of the aperture [m]; the lens fills the plane if not given.

    Shape:
        (..., H, W) to (..., H, W), complex [sqrt(W)/m].

    Raises:
        ValueError: If the phase of the lens aliases inside its aperture.
        TypeError: If a length has no unit.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 5.1.
    """

    def __init__(self, grid: Grid, wavelength: Any, focal_length: Any, diameter: Any = None) -> None:
        super().__init__()
        self.grid = self.output_grid = grid
        self.wavelength = positive_si(wavelength, "m", "ThinLens wavelength")
        self.focal_length = positive_si(focal_length, "m", "ThinLens focal_length")
        self.diameter = None if diameter is None else positive_si(diameter, "m", "ThinLens diameter")
        check_thin_lens(grid, self.wavelength, self.focal_length, self.diameter)

    def forward(self, field: Tensor) -> Tensor:
        """The field behind the lens."""
        return thin_lens(field, self.grid, self.wavelength, self.focal_length, self.diameter)

    def extra_repr(self) -> str:
        """What print shows."""
        stop = "" if self.diameter is None else f", diameter {compact(self.diameter, 'm')}"
        return f"f {compact(self.focal_length, 'm')}{stop}, {self.grid}"
