"""Pupils: apertures, soft stops and aberrations. Each multiplies a plane and is passive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from ..grid import Grid, check_field
from ..units import compact, positive_si, si
from ..zernike import defocus_coefficient, zernike_basis
from .checks import checked_number

_EDGE = 1e-9  # relative: a sample this near to an edge lies on it


class Pupil(nn.Module):
    """Abstract thin element in a plane, with an amplitude transmittance :math:`|t| \\le 1`.

    Args:
        grid: The plane it stands in; a pupil of a 4f system stands in the whole Fourier plane.

    Shape:
        (..., H, W) to (..., H, W), complex.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def transmittance(self) -> Tensor:
        """Amplitude transmittance on the samples of the plane, shape (H, W), real or complex."""
        raise TypeError(f"Pupil: expected one of its kinds, such as Aperture, got {type(self).__name__}.")

    def forward(self, field: Tensor) -> Tensor:
        """The light behind it.

        Raises:
            TypeError: If it is no tensor of real or complex numbers.
            ValueError: If the field has another number of samples.
        """
        check_field(type(self).__name__, field, self.grid.shape, "real or complex")
        pupil = self.transmittance()
        real = field.real.dtype
        return field * pupil.to(torch.promote_types(real, torch.complex64) if pupil.is_complex() else real)


class _Stop(Pupil):
    """A pupil with a real transmittance that is worked out once, in double precision."""

    amplitude: Tensor

    def __init__(self, grid: Grid, amplitude: Tensor) -> None:
        super().__init__(grid)
        self.register_buffer("amplitude", amplitude, persistent=False)

    def transmittance(self) -> Tensor:
        """Amplitude transmittance in [0, 1], shape (H, W)."""
        return self.amplitude


class Aperture(_Stop):
    r"""Round or rectangular opening in an opaque screen.

    A hard edge opens the samples that lie inside, and blocks those on the edge. With a grey edge a sample has
    as its amplitude the fraction of its cell that is open, exactly: :math:`\sum t\,\Delta A` is then the open
    area, and diffraction is that of the true outline to second order in the spacing. The grey edge loses some
    power: :math:`\sum t^2 \Delta A` is smaller by at most a quarter of the cells that the edge runs through.

    Args:
        grid: The plane.
        diameter: Diameter of a round opening [m].
        width: Width of a square opening, or a pair (y, x) for a rectangular one [m]; instead of a diameter.
        decentre: Centre of the opening (y, x) [m].
        edge: ``"hard"`` or ``"grey"``.

    Raises:
        ValueError: If the opening reaches beyond the plane, if both or neither of ``diameter`` and ``width``
            are given, or for another kind of edge.
        TypeError: If a length has no unit.
    """

    def __init__(
        self,
        grid: Grid,
        diameter: Any = None,
        width: Any = None,
        decentre: Any = ("0 m", "0 m"),
        edge: str = "hard",
    ) -> None:
        if (diameter is None) == (width is None):
            raise ValueError(f"Aperture: expected a diameter or a width, got {diameter} and {width}.")
        if edge not in ("hard", "grey"):
            raise ValueError(f"Aperture: expected edge hard or grey, got {edge!r}.")
        shape = "circular" if width is None else "rectangular"
        size = _lengths(diameter, "Aperture diameter") if width is None else _lengths(width, "Aperture width")
        centre = _centre(grid, size, decentre, "Aperture")
        outline = _disk if shape == "circular" else _rectangle
        super().__init__(grid, outline(grid, size, centre, edge))
        self.shape, self.edge, self.size, self.centre = shape, edge, size, centre

    @property
    def open_area(self) -> float:
        """Area of the true opening [m^2]."""
        return self.size[0] * self.size[1] * (math.pi / 4 if self.shape == "circular" else 1.0)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.shape}, {' x '.join(compact(length, 'm') for length in self.size)}, edge {self.edge}"


class ApodisedStop(_Stop):
    r"""Round stop with a soft edge: less ringing than a hard one, for less bandwidth.

    .. math:: t(r) = \tfrac12 \left(1 + \cos \pi \frac{r - (1-s)R}{sR}\right), \quad (1-s)R \le r \le R

    with 1 further inside and 0 outside: a raised cosine of the amplitude.

    Args:
        grid: The plane.
        diameter: Diameter :math:`2R`, beyond which it is dark [m].
        softness: Fraction s of the radius that the edge takes, in (0, 1].
        decentre: Its centre (y, x) [m].

    Raises:
        ValueError: If the stop reaches beyond the plane, or the softness is not in (0, 1].
        TypeError: If a length has no unit.
    """

    def __init__(
        self, grid: Grid, diameter: Any, softness: float = 1.0, decentre: Any = ("0 m", "0 m")
    ) -> None:
        softness = checked_number("ApodisedStop", softness, "a softness in (0, 1]", lambda s: 0 < s <= 1)
        size = _lengths(diameter, "ApodisedStop diameter")
        centre = _centre(grid, size, decentre, "ApodisedStop")
        along_edge = ((_radius(grid, size, centre) - (1 - softness)) / softness).clamp(0, 1)
        super().__init__(grid, (1 + torch.cos(math.pi * along_edge)) / 2)
        self.size, self.softness = size, softness

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{compact(self.size[0], 'm')}, softness {self.softness:g}"


class Aberration(Pupil):
    r"""Generalised pupil phase :math:`t = e^{2\pi i W}`, :math:`|t| = 1`, with :math:`W = \sum_j a_j Z_j`.

    It blocks no light: put an :class:`Aperture` before it. In the Fourier plane it is the same for the whole
    picture. Scalar and thin. Beyond the disk W keeps the value at its edge, see
    :func:`~optics4f.zernike.zernike_basis`.

    Args:
        grid: The plane.
        diameter: Diameter of the disk over which the polynomials are normalised [m].
        coefficients: Index to coefficient [waves r.m.s.]; they are kept in this order in ``coefficients``.
        system: What numbers the polynomials: ``"noll"``, ``"osa"`` or ``"fringe"``.
        trainable: Whether the coefficients are parameters that are trained.

    Raises:
        ValueError: If the disk is larger than the circle round the plane or smaller than two samples, a
            coefficient is not finite, none is given, or an index is unknown.
        TypeError: If the diameter has no unit, or the coefficients are not numbers by index.
    """

    basis: Tensor

    def __init__(
        self,
        grid: Grid,
        diameter: Any,
        coefficients: Mapping[int, float],
        system: str = "noll",
        trainable: bool = True,
    ) -> None:
        super().__init__(grid)
        self.diameter = positive_si(diameter, "m", "Aberration diameter")
        least, most = 2 * max(grid.spacing), math.hypot(*grid.extent)
        if not least * (1 - _EDGE) <= self.diameter <= most * (1 + _EDGE):
            raise ValueError(
                f"Aberration: expected a diameter from {compact(least, 'm')}, two samples, to "
                f"{compact(most, 'm')}, the circle round the plane, got {compact(self.diameter, 'm')}."
            )
        if not isinstance(coefficients, Mapping) or not all(
            isinstance(a, Real) for a in coefficients.values()
        ):
            raise TypeError(f"Aberration: expected a number of waves for each index, got {coefficients!r}.")
        values = torch.tensor([float(value) for value in coefficients.values()])
        if not coefficients or not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"Aberration: expected finite coefficients, at least one, got {dict(coefficients)}."
            )
        self.indices, self.system = tuple(coefficients), system
        self.coefficients = nn.Parameter(values, requires_grad=trainable)
        basis = zernike_basis(self.indices, grid, self.diameter, system)
        self.register_buffer("basis", basis, persistent=False)

    def wavefront(self) -> Tensor:
        """W [waves], shape (H, W), in the precision of the coefficients."""
        return torch.einsum("j,jhw->hw", self.coefficients, self.basis.to(self.coefficients.dtype))

    def transmittance(self) -> Tensor:
        """Unit vectors of the phase, complex, shape (H, W)."""
        phase = 2 * math.pi * self.wavefront()
        return torch.polar(torch.ones_like(phase), phase)

    def extra_repr(self) -> str:
        """What print shows."""
        values = zip(self.indices, self.coefficients.tolist(), strict=True)
        terms = ", ".join(f"Z{index} {value:.4g}" for index, value in values)
        return f"{compact(self.diameter, 'm')}, {self.system}: {terms} waves"


def defocus(grid: Grid, diameter: Any, edge: float, trainable: bool = True) -> Aberration:
    r"""A defocus of :math:`W_{20}` waves between the centre and the edge of a pupil.

    Args:
        grid: The plane.
        diameter: Diameter of the pupil [m].
        edge: :math:`W_{20}` [waves]; more than 0 moves the focus on along the light.
        trainable: Whether it is a parameter that is trained.

    Raises:
        ValueError, TypeError: As :class:`Aberration`.
    """
    return Aberration(grid, diameter, {4: defocus_coefficient(edge)}, "noll", trainable)


def _lengths(value: Any, name: str) -> tuple[float, float]:
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or (pair is value and "diameter" in name):
        raise TypeError(f"{name}: expected one length or, for a width, a pair (y, x), got {value!r}.")
    return positive_si(pair[0], "m", name), positive_si(pair[1], "m", name)


def _centre(grid: Grid, size: tuple[float, float], decentre: Any, name: str) -> tuple[float, float]:
    if not isinstance(decentre, (tuple, list)) or len(decentre) != 2:
        raise TypeError(f"{name}: expected a decentre (y, x), got {decentre!r}.")
    centre = si(decentre[0], "m", f"{name} decentre"), si(decentre[1], "m", f"{name} decentre")
    for axis, borders in enumerate(_borders(grid)):
        low, high = centre[axis] - size[axis] / 2, centre[axis] + size[axis] / 2
        slack = _EDGE * grid.extent[axis]
        if low < float(borders[0]) - slack or high > float(borders[-1]) + slack:
            plane, got = ([compact(float(v), "m") for v in ends] for ends in (borders[[0, -1]], (low, high)))
            raise ValueError(
                f"{name}: expected an opening within the plane, {plane[0]} to {plane[1]} in {'yx'[axis]}, "
                f"got {got[0]} to {got[1]}."
            )
    return centre


def _borders(grid: Grid) -> tuple[Tensor, Tensor]:
    """Borders of the cells of all samples, (H + 1,) and (W + 1,) [m]."""
    y, x = (
        (torch.arange(n + 1, dtype=torch.float64) - n // 2 - 0.5) * spacing
        for n, spacing in zip(grid.shape, grid.spacing, strict=True)
    )
    return y, x


def _radius(grid: Grid, size: tuple[float, float], centre: tuple[float, float]) -> Tensor:
    """Distance from the centre over the radius, shape (H, W)."""
    y, x = grid.coordinates()
    return torch.hypot((y[:, None] - centre[0]) * (2 / size[0]), (x - centre[1]) * (2 / size[1]))


def _rectangle(grid: Grid, size: tuple[float, float], centre: tuple[float, float], edge: str) -> Tensor:
    along = []
    for axis, length in enumerate(size):
        if edge == "hard":
            inside = (grid.coordinates()[axis] - centre[axis]).abs() < length / 2 * (1 - _EDGE)
            along.append(inside.double())
        else:
            borders = (_borders(grid)[axis] - centre[axis]).clamp(-length / 2, length / 2)
            along.append((borders.diff() / grid.spacing[axis]).clamp(0, 1))
    return torch.outer(*along)


def _disk(grid: Grid, size: tuple[float, float], centre: tuple[float, float], edge: str) -> Tensor:
    if edge == "hard":
        return (_radius(grid, size, centre) < 1 - _EDGE).double()
    y, x = (
        ((border - middle) * (2 / length)).clamp(-1, 1)
        for border, length, middle in zip(_borders(grid), size, centre, strict=True)
    )
    area = _disk_below(y[:, None], x).diff(dim=0).diff(dim=1)
    return (area * (size[0] * size[1] / 4 / grid.cell_area)).clamp(0, 1)


def _disk_below(b: Tensor, a: Tensor) -> Tensor:
    """Area of the unit disk where x < a and y < b, for a and b in [-1, 1]: exact."""
    half = torch.sqrt(1 - b.square())  # the chord at height b ends at -half and half
    under = _half_disk(torch.minimum(a, -half)) + _half_disk(torch.maximum(a, half)) - _half_disk(half)
    under = under + b.abs() * (torch.minimum(torch.maximum(a, -half), half) + half)
    return _half_disk(a) + torch.sign(b) * under


def _half_disk(a: Tensor) -> Tensor:
    """Area of the upper half of the unit disk where x < a."""
    return (a * torch.sqrt((1 - a.square()).clamp(min=0)) + torch.asin(a)) / 2 + math.pi / 4
