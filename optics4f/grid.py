"""The sampling grid of one plane: how many samples, how far apart, and where the axis is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .units import compact, positive_si


@dataclass(frozen=True)
class Grid:
    r"""A plane sampled at :math:`x_i = (i - \lfloor n/2 \rfloor)\,\Delta x`, in both directions.

    The optical axis is the sample with index ``n // 2``, for even and odd ``n``. Order is always (y, x);
    the row index grows with +y.

    Args:
        shape: Number of samples ``(H, W)``.
        spacing: Distance between samples [m], as a quantity or string, or a pair ``(dy, dx)`` of them.
            It is kept as a pair of floats in metres.

    Raises:
        ValueError: If the grid is empty or the spacing is not larger than zero.
        TypeError: If the shape is not a pair of integers or the spacing has no unit of length.

    Example:
        >>> from optics4f.units import um
        >>> Grid((4, 6), 8 * um).extent
        (3.2e-05, 4.8e-05)
    """

    shape: tuple[int, int]
    spacing: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", checked_shape("Grid", self.shape))
        pair = self.spacing if isinstance(self.spacing, (tuple, list)) else (self.spacing, self.spacing)
        if len(pair) != 2:
            raise TypeError(f"Grid: expected one spacing or a pair (dy, dx), got {self.spacing!r}.")
        object.__setattr__(self, "spacing", tuple(positive_si(value, "m", "Grid spacing") for value in pair))

    @classmethod
    def from_si(cls, shape: tuple[int, int], spacing: tuple[float, float]) -> Grid:
        """A grid from a spacing (dy, dx) that is already in metres."""
        return cls(shape, (f"{spacing[0]!r} m", f"{spacing[1]!r} m"))

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width of the plane, samples times spacing [m]."""
        return self.shape[0] * self.spacing[0], self.shape[1] * self.spacing[1]

    @property
    def cell_area(self) -> float:
        """Area of one sample [m^2]."""
        return float(self.spacing[0] * self.spacing[1])

    def coordinates(self) -> tuple[Tensor, Tensor]:
        """Coordinates ``y`` (H,) and ``x`` (W,) of the samples [m], float64."""
        y, x = (_centred_index(n) * d for n, d in zip(self.shape, self.spacing, strict=True))
        return y, x

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """Spatial frequencies ``fy`` (H,) and ``fx`` (W,) of the centred transform [1/m], float64."""
        fy, fx = (_centred_index(n) / (n * d) for n, d in zip(self.shape, self.spacing, strict=True))
        return fy, fx

    def behind_lens(self, wavelength: float, focal_length: float) -> Grid:
        r"""The grid in the back focal plane of a lens: spacing :math:`\lambda f / (N \Delta x)`.

        Args:
            wavelength: Vacuum wavelength [m].
            focal_length: Focal length of the lens [m].
        """
        dy, dx = (wavelength * focal_length / length for length in self.extent)
        return Grid.from_si(self.shape, (dy, dx))

    def with_shape(self, shape: tuple[int, int]) -> Grid:
        """The same spacing over another number of samples, about the same axis."""
        return Grid.from_si(shape, self.spacing)

    def __str__(self) -> str:
        dy, dx = self.spacing
        pitch = compact(dx, "m") if dy == dx else f"{compact(dy, 'm')} x {compact(dx, 'm')}"
        return f"{self.shape[0]} x {self.shape[1]} samples at {pitch}"


def _centred_index(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64) - n // 2


def checked_shape(name: str, shape: Any, what: str = "sample") -> tuple[int, int]:
    """A shape (H, W) as given, if it is one.

    Args:
        name: Who asks, for the message.
        shape: What was given.
        what: What is counted.

    Raises:
        TypeError: If it is not a pair of integers.
        ValueError: If one of them is less than 1.
    """
    if not (isinstance(shape, (tuple, list)) and len(shape) == 2 and all(type(n) is int for n in shape)):
        raise TypeError(f"{name}: expected a shape (H, W) of two integers, got {shape!r}.")
    if min(shape) < 1:
        raise ValueError(f"{name}: expected at least one {what} in each direction, got {tuple(shape)}.")
    return int(shape[0]), int(shape[1])


def check_field(name: str, field: Any, shape: tuple[int, ...], kind: str = "complex") -> None:
    """Refuse what is not a field (..., *shape): from type and shape alone, never from the samples.

    torch would broadcast a plane of one sample, and turn whole numbers into a field without a word.

    Args:
        name: Who asks, for the message.
        field: What was given.
        shape: The last dimensions it must have.
        kind: "complex", "real" or "real or complex".

    Raises:
        TypeError: If it is no tensor, or one of another kind, such as whole numbers.
        ValueError: If it has another shape.
    """
    if not isinstance(field, Tensor):
        raise TypeError(f"{name}: expected a {kind} tensor, got {type(field).__name__}.")
    fits = "complex" in kind if field.is_complex() else "real" in kind and field.is_floating_point()
    if not fits:
        raise TypeError(f"{name}: expected a {kind} tensor, got {field.dtype}.")
    if field.ndim < len(shape) or field.shape[field.ndim - len(shape) :] != shape:
        raise ValueError(f"{name}: expected a field (..., {shape}), got {tuple(field.shape)}.")
