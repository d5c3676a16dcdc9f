"""Elements for polarised fields, shape (..., 2, C, H, W): see :mod:`optics4f.polarisation`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..functional import mask_and_sum
from ..grid import Grid
from ..polarisation import apply_jones, check_polarised, linear_polariser, wave_plate
from ..units import si
from .combiner import CoherentSum
from .masks import MaskBank, check_fit


class LinearPolariser(nn.Module):
    """Module form of :func:`linear_polariser`.

    Args:
        angle: Of what it lets through [rad]: a quantity or string is fixed; a tensor is taken as it is, a
            number or a map (H, W) or (C, H, W), and an ``nn.Parameter`` is trained.

    Shape:
        (..., 2, C, H, W) to (..., 2, C, H, W), complex [sqrt(W)/m].

    Raises:
        TypeError: If the angle has no unit.
        ValueError: If a tensor is not real and finite.
    """

    angle: Tensor

    def __init__(self, angle: Any) -> None:
        super().__init__()
        _register(self, "angle", angle)

    def forward(self, field: Tensor) -> Tensor:
        """The light behind it."""
        return apply_jones(field, linear_polariser(self.angle))


class WavePlate(nn.Module):
    """Module form of :func:`wave_plate`; with a map of angles, a mask of nanofins (geometric phase).

    Args:
        retardance: Phase of the slow axis over the fast one [rad], as ``angle`` of :class:`LinearPolariser`.
        angle: Of the fast axis [rad], likewise.

    Shape:
        (..., 2, C, H, W) to (..., 2, C, H, W), complex [sqrt(W)/m].

    Raises:
        TypeError, ValueError: As :class:`LinearPolariser`.
    """

    retardance: Tensor
    angle: Tensor

    def __init__(self, retardance: Any, angle: Any) -> None:
        super().__init__()
        _register(self, "retardance", retardance)
        _register(self, "angle", angle)

    def forward(self, field: Tensor) -> Tensor:
        """The light behind it."""
        return apply_jones(field, wave_plate(self.retardance, self.angle))


class JonesMask(nn.Module):
    r"""Masks and coherent sum that act on the two components differently: an LCoS with its director along x.

    .. math:: V_{a,o} = c \sum_i t_{a,oi}\, U_{a,i}, \qquad a = x, y

    Without a bank of its own the component y passes all arms with one amplitude, over the whole plane: the
    unmodulated zero order of an LCoS. The factor c is that of :class:`CoherentSum` and common to both, since
    beam splitters are taken to be blind to the polarisation. A director at an angle is this element between
    two :func:`rotation`. Between two Fourier lenses it is a polarised 4f system.

    Args:
        grid: The plane of the masks.
        x: Bank of masks C_in -> C_out for component x.
        y: The same for component y, or the amplitude with which it passes unmodulated, at most 1.
        combiner: How channels are shared and summed, as in a 4f system.

    Shape:
        (..., 2, C_in, H, W) to (..., 2, C_out, H, W), complex [sqrt(W)/m].

    Raises:
        ValueError: If a bank does not fit the plane, the two have other channels, or y amplifies.
    """

    def __init__(
        self,
        grid: Grid,
        x: MaskBank,
        y: MaskBank | complex = 1.0,
        combiner: CoherentSum | str | float = "ideal",
    ) -> None:
        super().__init__()
        self.grid, self.x, self.y = grid, x, y
        self.combiner = combiner if isinstance(combiner, CoherentSum) else CoherentSum(combiner)
        check_fit(x, grid)
        if isinstance(y, MaskBank):
            check_fit(y, grid)
            if x.channels != y.channels:
                raise ValueError(f"JonesMask: expected y with channels {x.channels}, got {y.channels}.")
        elif not abs(y) <= 1:  # written so that NaN is refused too
            raise ValueError(f"JonesMask: expected a passive component y, |t| <= 1, got |t| = {abs(y):.6g}.")

    def transfer(self) -> Tensor:
        """c t for both components, shape (2, C_out, C_in, H, W)."""
        x = self.x.transmittance(self.grid.shape)
        if isinstance(self.y, MaskBank):
            y = self.y.transmittance(self.grid.shape)
        else:
            y = torch.full_like(x, self.y)
        return torch.stack((x, y)) * self.combiner.factor(torch.cat((x, y), -2))

    def forward(self, field: Tensor) -> Tensor:
        """The light behind masks and sum."""
        components = check_polarised("JonesMask", field, (self.x.channels[1], *self.grid.shape)).unbind(-4)
        return torch.stack(
            [mask_and_sum(*pair) for pair in zip(components, self.transfer(), strict=True)], -4
        )


class PerPolarisation(nn.Module):
    """One system for component x and another for component y, such as two :class:`~optics4f.system.FourF`.

    Each is coherent within its component; :func:`polarised_intensity` then adds what they give. A system that
    is blind to the polarisation takes the polarised field as it is, without this.

    Args:
        x: From (..., C, H, W) to (..., C', H', W').
        y: Likewise, to the same shape.

    Shape:
        (..., 2, C, H, W) to (..., 2, C', H', W'), complex [sqrt(W)/m].
    """

    def __init__(self, x: nn.Module, y: nn.Module) -> None:
        super().__init__()
        self.x, self.y = x, y

    def forward(self, field: Tensor) -> Tensor:
        """Both components behind their systems."""
        x, y = check_polarised("PerPolarisation", field).unbind(-4)
        return torch.stack((self.x(x), self.y(y)), -4)


def _register(module: nn.Module, name: str, value: Any) -> None:
    label = f"{type(module).__name__} {name}"
    number = (
        value if isinstance(value, Tensor) else torch.tensor(si(value, "rad", label), dtype=torch.float64)
    )
    if not number.is_floating_point() or not math.isfinite(float(number.detach().abs().sum())):
        got = f"{number.dtype} of shape {tuple(number.shape)}"
        raise ValueError(f"{label}: expected a real, finite number or map, got {got}.")
    if isinstance(number, nn.Parameter):
        module.register_parameter(name, number)
    else:
        module.register_buffer(name, number)
