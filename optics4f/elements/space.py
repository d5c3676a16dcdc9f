"""Free space and thin lenses, for benches that are not made of ideal Fourier transforms."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..grid import Grid, check_field
from ..keeping import Kept
from ..propagation import (
    SLACK,
    angular_spectrum_transfer,
    as_float,
    as_scalar,
    check_distance,
    even_part,
    filtered,
    fresnel_rescaled,
    fresnel_transfer,
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
        self._kept: Kept[Tensor] = Kept()

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
        check_field("FreeSpace", field, self.grid.shape)
        make = fresnel_transfer if self.method == "fresnel" else angular_spectrum_transfer
        call = partial(make, self.grid, self.wavelength, self.distance, field)
        return filtered(field, self._kept.get(self, call, field.dtype, field.device))

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{compact(self.distance, 'm')}, {self.method}, {self.grid} -> {self.output_grid}"


def thin_lens(
    field: Tensor,
    grid: Grid,
    wavelength: float | Tensor,
    focal_length: float | Tensor,
    diameter: float | None = None,
    decentre: tuple[float, float] | Tensor = (0.0, 0.0),
) -> Tensor:
    r"""Pass a thin lens that is opaque outside of its diameter.

    .. math:: U'(x) = U(x)\, e^{-i\pi |x - d|^2/(\lambda f)}, \quad |x - d| \le D/2

    Paraxial, without thickness or aberrations. Off the axis by d it is, exactly, the lens on the axis with a
    :class:`~optics4f.elements.Prism` of frequency :math:`d/(\lambda f)` and the constant phase
    :math:`-\pi |d|^2/(\lambda f)`; its rim moves with it. The hard rim passes no gradient.

    Args:
        field: Complex amplitude, shape (..., H, W).
        grid: The plane.
        wavelength: Wavelength [m].
        focal_length: Focal length [m].
        diameter: Diameter of the aperture [m]; the lens fills the plane if not given.
        decentre: Centre of the lens d, (y, x) [m].

    Returns:
        Shape (..., H, W).

    Raises:
        ValueError: If neighbouring samples of the lens differ by more than pi inside the aperture,
            D > lambda f / dx, or the field is on another grid. Without a diameter, D is what the plane
            takes: its width and twice the decentre.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 5.1.
    """
    check_field("thin_lens", field, grid.shape)
    check_thin_lens(grid, as_float(wavelength), as_float(focal_length), diameter, as_pair(decentre))
    return field * lens_transmittance(grid, wavelength, focal_length, diameter, decentre, field)


def lens_transmittance(
    grid: Grid,
    wavelength: float | Tensor,
    focal_length: float | Tensor,
    diameter: float | None,
    decentre: tuple[float, float] | Tensor,
    like: Tensor,
) -> Tensor:
    """What :func:`thin_lens` multiplies a field by, in the precision of ``like``; shape (H, W)."""
    area = as_scalar(wavelength, like) * as_scalar(focal_length, like)
    y, x = (
        axis.to(like.device) - as_scalar(part, like)
        for axis, part in zip(grid.coordinates(), decentre, strict=True)
    )
    # The square separates: one row and one column of waves, of which each sample is a product.
    lens = torch.outer(*(unit_wave(-math.pi / area * axis**2) for axis in (y, x)))
    if diameter is not None:
        lens = lens * (squares((y, x), like) <= (diameter / 2) ** 2 * SLACK)
    return lens.to(like.dtype)


def check_thin_lens(
    grid: Grid,
    wavelength: float,
    focal_length: float,
    diameter: float | None,
    decentre: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Refuse a lens whose phase the grid cannot hold.

    Raises:
        ValueError: As :func:`thin_lens`.
    """
    for n, d, off in zip(grid.shape, grid.spacing, decentre, strict=True):
        plane = even_part(n) * d + 2 * abs(off)  # as wide as a lens whose rim reaches the far edge
        width = plane if diameter is None else min(diameter, plane)
        largest = wavelength * abs(focal_length) / d
        if width > largest * SLACK:
            raise ValueError(
                f"thin_lens: expected a lens of at most lambda f / dx = {compact(largest, 'm')} on samples "
                f"{compact(d, 'm')} apart, got {compact(width, 'm')}; its phase would alias. "
                f"Give it a smaller diameter or a finer grid."
            )


def as_pair(value: tuple[float, float] | Tensor) -> tuple[float, float]:
    """A pair (y, x) without its gradient."""
    y, x = value.tolist() if isinstance(value, Tensor) else value
    return float(y), float(x)


class ThinLens(nn.Module):
    r"""Module form of :func:`thin_lens`: a quadratic phase, opaque outside its diameter.

    The numerical aperture is the paraxial one, :math:`D/2f`, as the quadratic phase has it: at its rim the
    light is bent to the frequency :math:`NA/\lambda`. The true :math:`\sin\arctan(D/2f)` is smaller by
    :math:`NA^3/2`. An aberrated lens is this one and an :class:`~optics4f.elements.Aberration`; a tilt of the
    light is a decentre or a :class:`~optics4f.elements.Prism`.

    Args:
        grid: The plane of the lens.
        wavelength: Wavelength [m].
        focal_length: Focal length [m].
        diameter: Diameter of the aperture [m]; the lens fills the plane if not given.
        numerical_aperture: In (0, 1), instead of a diameter; the diameter stays while f is trained.
        decentre: Its centre (y, x) [m].
        trainable: Which of ``"focal_length"`` and ``"decentre"`` are parameters, in metres.

    Shape:
        (..., H, W) to (..., H, W), complex [sqrt(W)/m].

    Raises:
        ValueError: If the phase of the lens aliases inside its aperture, at construction or when training
            drove it there, if both diameter and numerical aperture are given, or for another name of what is
            trained.
        TypeError: If a length has no unit.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 5.1.
    """

    focal_length: float | Tensor
    decentre: tuple[float, float] | Tensor

    def __init__(
        self,
        grid: Grid,
        wavelength: Any,
        focal_length: Any,
        diameter: Any = None,
        numerical_aperture: float | None = None,
        decentre: Any = ("0 m", "0 m"),
        trainable: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.grid = self.output_grid = grid
        self.wavelength = positive_si(wavelength, "m", "ThinLens wavelength")
        length = positive_si(focal_length, "m", "ThinLens focal_length")
        self.diameter = _diameter(length, diameter, numerical_aperture)
        centre = _decentre(decentre)
        check_thin_lens(grid, self.wavelength, length, self.diameter, centre)
        self.focal_length, self.decentre = length, centre
        if not isinstance(trainable, (tuple, list)) or not set(trainable) <= {"focal_length", "decentre"}:
            raise ValueError(f"ThinLens: expected focal_length or decentre to train, got {trainable!r}.")
        for name in trainable:
            number = torch.tensor(getattr(self, name), dtype=torch.float64)
            delattr(self, name)
            self.register_parameter(name, nn.Parameter(number))
        self._kept: Kept[Tensor] = Kept()

    def forward(self, field: Tensor) -> Tensor:
        """The field behind the lens."""
        check_field("ThinLens", field, self.grid.shape)
        return field * self._kept.get(self, partial(self._transmittance, field), field.dtype, field.device)

    def _transmittance(self, like: Tensor) -> Tensor:
        lens = self.wavelength, self.focal_length, self.diameter, self.decentre
        check_thin_lens(self.grid, lens[0], as_float(lens[1]), lens[2], as_pair(lens[3]))
        return lens_transmittance(self.grid, *lens, like)

    def extra_repr(self) -> str:
        """What print shows."""
        stop = "" if self.diameter is None else f", diameter {compact(self.diameter, 'm')}"
        off = as_pair(self.decentre)
        centre = f", centre ({compact(off[0], 'm')}, {compact(off[1], 'm')})" if any(off) else ""
        return f"f {compact(as_float(self.focal_length), 'm')}{stop}{centre}, {self.grid}"


def _diameter(focal_length: float, diameter: Any, numerical_aperture: float | None) -> float | None:
    if numerical_aperture is None:
        return None if diameter is None else positive_si(diameter, "m", "ThinLens diameter")
    if diameter is not None:
        raise ValueError(
            f"ThinLens: expected a diameter or a numerical_aperture, got {diameter} and {numerical_aperture}."
        )
    if not 0 < numerical_aperture < 1:
        raise ValueError(f"ThinLens: expected a numerical_aperture in (0, 1), got {numerical_aperture!r}.")
    return 2 * focal_length * numerical_aperture


def _decentre(value: Any) -> tuple[float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"ThinLens: expected a decentre (y, x), got {value!r}.")
    return si(value[0], "m", "ThinLens decentre"), si(value[1], "m", "ThinLens decentre")
