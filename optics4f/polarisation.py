"""Polarised light as Jones vectors: rotation, polarisers, wave plates, geometric phase, as pure functions.

A polarised field has the shape (..., 2, C, H, W): component x first, then y. All other elements and systems
take it as a batch of two. Angles run from +x towards +y and are in radians. With time as exp(-i omega t) the
light (1, i) is left circular: its field turns counter-clockwise for who looks against the light.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .functional import intensity
from .grid import check_field

LEFT_CIRCULAR: tuple[complex, complex] = (1, 1j)
RIGHT_CIRCULAR: tuple[complex, complex] = (1, -1j)


def polarised(field: Tensor, vector: tuple[complex, complex] | Tensor) -> Tensor:
    """Light of one polarisation everywhere; the power stays.

    Args:
        field: Complex amplitude, shape (..., C, H, W) [sqrt(W)/m].
        vector: Its polarisation (x, y), of any length but 0: (cos psi, sin psi), ``LEFT_CIRCULAR``, ...

    Returns:
        Shape (..., 2, C, H, W).

    Raises:
        ValueError: If the vector has not two components, or is 0.
    """
    pair = torch.as_tensor(vector, dtype=torch.complex128, device=field.device)
    if pair.shape != (2,) or not bool(pair.detach().abs().sum() > 0):
        raise ValueError(f"polarised: expected a vector (x, y) other than 0, got {vector!r}.")
    unit: Tensor = (pair / pair.norm()).to(field.dtype)
    return field.unsqueeze(-4) * unit[:, None, None, None]


def polarised_intensity(field: Tensor) -> Tensor:
    """What a detector sees: orthogonal polarisations do not interfere, their intensities add [W/m^2].

    Unpolarised light is the mean of the intensities for any two orthogonal polarisations of the source.

    Args:
        field: Shape (..., 2, C, H, W) [sqrt(W)/m].

    Returns:
        Real, shape (..., C, H, W).
    """
    return intensity(check_polarised("polarised_intensity", field)).sum(-4)


def apply_jones(field: Tensor, matrix: Tensor) -> Tensor:
    r"""A thin element that acts on the polarisation: :math:`U_a' = \sum_b J_{ab} U_b` at every sample.

    Args:
        field: Complex, shape (..., 2, C, H, W).
        matrix: J, real or complex, shape (2, 2), (2, 2, H, W) or (2, 2, C, H, W).

    Returns:
        Shape (..., 2, C, H, W).

    Raises:
        TypeError: If the field is not complex.
        ValueError: If field or matrix have another shape.

    Source: J. W. Goodman, Statistical Optics, 2nd ed., section 4.3 (Jones calculus).
    """
    if matrix.shape[:2] != (2, 2) or matrix.ndim not in (2, 4, 5):
        got = tuple(matrix.shape)
        raise ValueError(f"apply_jones: expected a matrix (2, 2) or (2, 2, [C,] H, W), got {got}.")
    x, y = check_polarised("apply_jones", field).unbind(-4)
    jones = matrix.to(field).reshape(2, 2, *(1,) * (5 - matrix.ndim), *matrix.shape[2:])
    return torch.stack([jones[a, 0] * x + jones[a, 1] * y for a in (0, 1)], -4)


def rotation(angle: float | Tensor) -> Tensor:
    r"""Jones matrix that turns the polarisation by an angle, as an optically active plate does.

    An element J that is turned by as much is ``rotation(angle) @ J @ rotation(-angle)``.

    Args:
        angle: [rad]; a number, or a map of any shape.

    Returns:
        Real, float64, shape (2, 2, *angle.shape).
    """
    (angle,) = _doubles(angle)
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack((torch.stack((c, -s)), torch.stack((s, c))))


def linear_polariser(angle: float | Tensor) -> Tensor:
    r"""Jones matrix of an ideal polariser.

    .. math:: P_{ab} = e_a e_b, \qquad e = (\cos\theta, \sin\theta)

    Args:
        angle: Of what it lets through [rad]; a number, or a map of any shape.

    Returns:
        Real, float64, shape (2, 2, *angle.shape).
    """
    (angle,) = _doubles(angle)
    axis = torch.stack((torch.cos(angle), torch.sin(angle)))
    return axis[:, None] * axis


def wave_plate(retardance: float | Tensor, angle: float | Tensor) -> Tensor:
    r"""Jones matrix of a thin birefringent plate with its fast axis at an angle.

    .. math:: J = R(\theta) \begin{pmatrix} 1 & 0 \\ 0 & e^{i\Gamma} \end{pmatrix} R(-\theta)
        = P(\theta) + e^{i\Gamma} (1 - P(\theta))

    with R the :func:`rotation` and P the :func:`linear_polariser`. The phase of the fast axis is left out. A
    half-wave plate (:math:`\Gamma = \pi`) turns left circular light into right circular light with the
    geometric phase :math:`e^{+2i\theta}`, and right into left with :math:`e^{-2i\theta}`: a map of angles is
    a mask of nanofins. For any retardance the part :math:`\sin^2(\Gamma/2)` of the power is converted, the
    rest keeps its helicity and gets no geometric phase. Thin, normal incidence, no loss.

    Args:
        retardance: Phase of the slow axis over the fast one [rad]; a number, or a map.
        angle: Of the fast axis [rad]; a number, or a map; the two are broadcast.

    Returns:
        Complex128, shape (2, 2, *broadcast shape).

    Source: Z. Bomzon, G. Biener, V. Kleiner, E. Hasman, Opt. Lett. 27, 1141 (2002).
    """
    phase, angle = _doubles(retardance, angle)
    slow = torch.polar(torch.ones_like(phase), phase)
    fast = linear_polariser(angle + torch.zeros_like(phase))  # a map if either is one
    unity = torch.eye(2, dtype=fast.dtype, device=fast.device).reshape(2, 2, *(1,) * (fast.ndim - 2))
    return fast + slow * (unity - fast)


def check_polarised(name: str, field: Tensor, behind: tuple[int, ...] | None = None) -> Tensor:
    """The field, if it is complex and of shape (..., 2, *behind), with behind = (C, H, W) or any.

    Raises:
        TypeError: If it is not complex.
        ValueError: If it has another shape.
    """
    check_field(name, field, () if behind is None else behind)
    if field.ndim < 4 or field.shape[-4] != 2:
        raise ValueError(f"{name}: expected two components (..., 2, C, H, W), got {tuple(field.shape)}.")
    return field


def _doubles(*values: float | Tensor) -> list[Tensor]:
    """Numbers with their gradient, in double precision, on the device of the tensors among them."""
    device = next((value.device for value in values if isinstance(value, Tensor)), None)
    return [torch.as_tensor(value, dtype=torch.float64, device=device) for value in values]
