"""Where the light and the picture come from."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..grid import Grid, check_field
from ..propagation import squares, unit_wave
from ..units import compact, positive_si, rad, si


class EvenIllumination(nn.Module):
    r"""A plane wave along the axis, even over the grid: :math:`A = \sqrt{P / \text{area}}`.

    Args:
        grid: The plane it lights.
        power: Power over the whole grid [W].

    Shape:
        Transmittance of a display (..., H, W), real or complex, to the light behind it [sqrt(W)/m].
    """

    def __init__(self, grid: Grid, power: Any = "1 mW") -> None:
        super().__init__()
        self.grid = grid
        self.power = positive_si(power, "W", "EvenIllumination power")
        self.peak = math.sqrt(self.power / (grid.cell_area * grid.shape[0] * grid.shape[1]))

    def forward(self, transmittance: Tensor) -> Tensor:
        """The light behind a display."""
        check_field("EvenIllumination", transmittance, self.grid.shape, "real or complex")
        return transmittance * self.peak

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.grid}, power {self.power:g} W"


class GaussianIllumination(nn.Module):
    r"""A collimated Gaussian beam at its waist.

    .. math:: A(r) = \sqrt{\frac{2P}{\pi w^2}}\; e^{-r^2/w^2}

    The power :math:`P` is that of the whole beam, as a power meter reads it before the display; what the
    grid catches of it is :attr:`caught_power`. Paraxial, with a flat wavefront; a
    :class:`~optics4f.elements.Prism` behind it tilts it.

    Args:
        grid: The plane it lights.
        waist: Radius w at which the intensity is 1/e^2 of that on the axis [m].
        power: Power of the whole beam [W].
        decentre: Where the axis of the beam meets the plane, (y, x) [m], y up.

    Shape:
        Transmittance of a display (..., H, W), real or complex, to the light behind it [sqrt(W)/m].

    Raises:
        TypeError: If a number has no unit.
        ValueError: If the waist is less than two samples, which cannot show the beam.

    Source: B. E. A. Saleh, M. C. Teich, Fundamentals of Photonics, 2nd ed., section 3.1.
    """

    amplitude: Tensor

    def __init__(self, grid: Grid, waist: Any, power: Any = "1 mW", decentre: Any = ("0 mm", "0 mm")) -> None:
        super().__init__()
        self.grid = grid
        self.power = positive_si(power, "W", "GaussianIllumination power")
        self.waist = positive_si(waist, "m", "GaussianIllumination waist")
        least = 2 * max(grid.spacing)
        if self.waist < least * (1 - 1e-9):
            got, wanted = compact(self.waist, "m"), compact(least, "m")
            raise ValueError(
                f"GaussianIllumination: expected a waist of two samples, {wanted}, or more, got {got}."
            )
        if not isinstance(decentre, (tuple, list)) or len(decentre) != 2:
            raise TypeError(f"GaussianIllumination: expected a decentre (y, x), got {decentre!r}.")
        y, x = (si(value, "m", "GaussianIllumination decentre") for value in decentre)
        self.centre = (y, x)
        rows, columns = grid.coordinates()
        peak = math.sqrt(2 * self.power / (math.pi * self.waist**2))
        amplitude = peak * torch.exp(-squares((rows - y, columns - x), rows) / self.waist**2)
        self.register_buffer("amplitude", amplitude, persistent=False)  # float64, rounded once when used

    @property
    def caught_power(self) -> float:
        r"""Power that falls on the grid [W]: :math:`P/4` times a difference of erf for each direction.

        From a to b that is :math:`\operatorname{erf}(\sqrt 2\, b/w) - \operatorname{erf}(\sqrt 2\, a/w)`.
        """
        fraction = 1.0
        for n, spacing, centre in zip(self.grid.shape, self.grid.spacing, self.centre, strict=True):
            low = (-(n // 2) - 0.5) * spacing - centre  # the outer border of the outermost sample
            a, b = (math.sqrt(2) * edge / self.waist for edge in (low, low + n * spacing))
            fraction *= (math.erf(b) - math.erf(a)) / 2
        return self.power * fraction

    def forward(self, transmittance: Tensor) -> Tensor:
        """The light behind a display."""
        check_field("GaussianIllumination", transmittance, self.grid.shape, "real or complex")
        return transmittance * self.amplitude.to(transmittance.real.dtype)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.grid}, waist {compact(self.waist, 'm')}, power {self.power:g} W"


Illumination = EvenIllumination | GaussianIllumination


class AmplitudeEncoding(nn.Module):
    r"""A picture as the amplitude transmittance of a lit display.

    .. math:: U = A(x)\, a, \qquad 0 \le a \le 1

    By default the light is even, :math:`A = \sqrt{P / \text{area}}`: each channel of a white picture carries
    the power :math:`P` over the area of the grid; darker ones carry less. Each channel has the whole
    illumination to itself.
    Row 0 of a picture is its top, row 0 of a field is the lowest y: the rows are reversed here.

    Args:
        grid: The input plane.
        power: Power of even light over the whole grid, for each channel [W]; 1 mW if not given.
        illumination: The light, if it is not even; it has a power of its own.

    Shape:
        (..., C, H, W) real in [0, 1] to (..., C, H, W) complex [sqrt(W)/m].

    Raises:
        TypeError: If the power has no unit.
        ValueError: If both power and illumination are given, or the illumination is on another grid.
    """

    def __init__(self, grid: Grid, power: Any = None, illumination: Illumination | None = None) -> None:
        super().__init__()
        self.grid = grid
        self.illumination = _illumination(grid, power, illumination, "AmplitudeEncoding")
        self.power = self.illumination.power

    def forward(self, picture: Tensor) -> Tensor:
        """The field behind the display.

        Raises:
            TypeError: If the picture is not real.
            ValueError: If it has another number of samples.
        """
        check_field("AmplitudeEncoding", picture, self.grid.shape, "real")
        amplitude = self.illumination(picture.flip(-2))
        return torch.complex(amplitude, torch.zeros_like(amplitude))

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.grid}, power {self.power:g} W"


class PhaseEncoding(nn.Module):
    r"""A picture as the phase of a lit phase-only display.

    .. math:: U = A(x)\, e^{i d\, a}, \qquad 0 \le a \le 1

    Brighter is thicker, a later and so a positive phase. Every picture carries all the power of the
    illumination. With the full depth :math:`d = 2\pi` white does what black does; L equal grey levels
    :math:`a = l/L` meet every phase once. The field is not linear in the picture.
    Row 0 of a picture is its top, row 0 of a field is the lowest y: the rows are reversed here.

    Args:
        grid: The input plane.
        power: Power of even light over the whole grid, for each channel [W]; 1 mW if not given.
        depth: Phase d of white against black [rad].
        illumination: The light, if it is not even; it has a power of its own.

    Shape:
        (..., C, H, W) real in [0, 1] to (..., C, H, W) complex [sqrt(W)/m].

    Raises:
        TypeError: If power or depth have no unit.
        ValueError: If both power and illumination are given, or the illumination is on another grid.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 4.4.
    """

    def __init__(
        self,
        grid: Grid,
        power: Any = None,
        depth: Any = 2 * math.pi * rad,
        illumination: Illumination | None = None,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.depth = positive_si(depth, "rad", "PhaseEncoding depth")
        self.illumination = _illumination(grid, power, illumination, "PhaseEncoding")
        self.power = self.illumination.power

    def forward(self, picture: Tensor) -> Tensor:
        """The field behind the display.

        Raises:
            TypeError: If the picture is not real.
            ValueError: If it has another number of samples.
        """
        check_field("PhaseEncoding", picture, self.grid.shape, "real")
        field: Tensor = self.illumination(unit_wave(self.depth * picture.flip(-2)))
        return field

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.grid}, power {self.power:g} W, depth {self.depth:.4g} rad"


def _illumination(grid: Grid, power: Any, illumination: Illumination | None, name: str) -> Illumination:
    if illumination is None:
        return EvenIllumination(grid, "1 mW" if power is None else power)
    if power is not None:
        raise ValueError(f"{name}: expected a power or an illumination with its own, got both.")
    if illumination.grid != grid:
        raise ValueError(f"{name}: expected an illumination of {grid}, got one of {illumination.grid}.")
    return illumination
