"""What a mask does that stands, or was made, not quite as designed: pure functions.

Shifts of the masks are phases on the planes before and behind; turning and scaling them asks for the Fourier
transform of their point-spread functions at other frequencies.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .elements import MaskBank, PhaseMask
from .fourier import centred_index
from .grid import Grid
from .propagation import squares, unit_wave


def shift_phase(grid: Grid, shift: Tensor, area: Tensor) -> Tensor:
    r"""Phase :math:`2\pi\, \delta x/(\lambda f)` [rad] of a mask's shift over a plane, float64 (H, W).

    Args:
        grid: The plane, in coordinates of the input plane.
        shift: (dy, dx) [m].
        area: :math:`\lambda f` [m^2].
    """
    y, x = (axis.to(shift.device) for axis in grid.coordinates())
    turns = (shift[0].double() * y[:, None] + shift[1].double() * x) / area
    return 2 * math.pi * turns


def axial_phase(grid: Grid, shift: Tensor, wavelength: Tensor, focal_length: Tensor) -> Tensor:
    r"""Phase :math:`\pi\, \delta z\, x^2/(\lambda f^2)` [rad] behind masks that stand off focus; (H, W).

    Behind a lens the light of a point x goes as a plane wave, and over :math:`\delta z` falls behind that of
    the axis by this phase; behind the mask it is :math:`\delta z` closer to the second lens.

    Args:
        grid: The plane.
        shift: :math:`\delta z` along the light [m].
        wavelength: [m].
        focal_length: Of the lens between plane and mask [m].
    """
    return math.pi * shift.double() * squares(grid.coordinates(), shift) / (wavelength * focal_length**2)


def relief_response(masks: MaskBank, factor: Tensor) -> Tensor:
    r"""A relief whose phase, written out in [0, 2 pi), is larger by a factor: :math:`e^{i s \varphi}`.

    Args:
        masks: Phase masks; where they have levels, the gradient passes straight through.
        factor: s, a tensor with one value.

    Returns:
        Complex, shape (C_out, C_in, H, W), on the masks' own samples.
    """
    if not isinstance(masks, PhaseMask):
        raise ValueError(f"relief_response: expected a PhaseMask, got {type(masks).__name__}.")
    turns = masks.values / (2 * math.pi)
    if masks.levels:
        level = torch.floor(masks.values / (2 * math.pi / masks.levels) + 0.5)  # as quantise_phase has it
        made = level % masks.levels / masks.levels
    else:
        made = turns % 1.0 % 1.0  # a tiny negative phase wraps to one whole turn, and then to 0
    phase = turns + (made - turns).detach()
    return unit_wave(2 * math.pi * phase * factor.to(phase.dtype))


def turned_frequencies(
    grid: Grid, shape: tuple[int, int], ratio: Tensor, angle: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Where on masks as they were made the light of each frequency falls: :math:`q R_{-\theta} \nu`.

    Args:
        grid: The input plane.
        shape: Central frequencies wanted, ``(H', W')``.
        ratio: q: how much further from the axis the light falls.
        angle: By which the masks are turned, from +x towards +y [rad]; None if they are not.

    Returns:
        fy and fx [1/sample], shape (H', W'), or (H', 1) and (1, W') where nothing is turned; float64.
    """
    fy, fx = (centred_index(n, ratio) / size for n, size in zip(shape, grid.extent, strict=True))
    fy, fx = fy[:, None], fx[None, :]
    if angle is not None:
        cos, sin = torch.cos(angle), torch.sin(angle)
        fy, fx = cos * fy - sin * fx, cos * fx + sin * fy
    return fy * ratio * grid.spacing[0], fx * ratio * grid.spacing[1]


def response_at(psf: Tensor, y: Tensor, x: Tensor, fy: Tensor, fx: Tensor) -> Tensor:
    r"""Fourier sum of a point-spread function at any frequencies, :math:`\sum h_j e^{-2\pi i f x_j}`: exact.

    Args:
        psf: Real or complex, shape (..., k, l).
        y: Rows of its samples, shape (k,).
        x: Columns, shape (l,).
        fy: Frequencies wanted, shape (H, W), or (H, 1) where all columns have the same.
        fx: Shape (H, W) or (1, W).

    Returns:
        Complex, shape (..., H, W).
    """
    psf = psf if psf.is_complex() else torch.complex(psf, torch.zeros_like(psf))
    if fy.shape[1] == 1 and fx.shape[0] == 1:
        rows, columns = _waves(fy[:, 0], y, psf), _waves(fx[0], x, psf)
        return torch.einsum("hk,...kw->...hw", rows, torch.einsum("...kl,wl->...kw", psf, columns))
    lines = [
        (torch.einsum("...kl,wl->...wk", psf, _waves(across, x, psf)) * _waves(up, y, psf)).sum(-1)
        for up, across in zip(fy, fx, strict=True)  # a line of the plane at a time: H times less memory
    ]
    return torch.stack(lines, -2)


def _waves(frequency: Tensor, position: Tensor, like: Tensor) -> Tensor:
    return unit_wave(-2 * math.pi * frequency[:, None] * position).to(like.dtype)
