"""Free space as pure functions: angular spectrum, Fresnel, rescaled Fresnel.

The carrier exp(ikz) is left out everywhere, as it is common to all light. Planes are periodic for the first
two propagators: light that leaves on one side comes back on the other, so a picture needs dark surroundings
(:class:`~optics4f.elements.GuardBand`). Every propagator has an honest range, given by the ``*_range``
functions, and refuses distances outside of it. Wavelength and distance may be tensors with one value; then
gradients reach them. Phases are built in double precision and rounded once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .fourier import ft2, ift2
from .grid import Grid, check_field
from .mkl import transform, transform_
from .units import compact

SLACK = 1 + 1e-9  # equality holds up to the rounding of a grid's spacing


def angular_spectrum(
    field: Tensor,
    grid: Grid,
    wavelength: float | Tensor,
    distance: float | Tensor,
    cutoff: float | None = None,
    band_limited: bool = True,
) -> Tensor:
    r"""Propagate through free space, exactly for scalar light.

    .. math:: \hat U_z(f) = \hat U_0(f)\, e^{i (k_z - k) z}, \quad
        k_z - k = -\frac{k s^2}{1 + \sqrt{1 - s^2}}, \quad s = \lambda |f|

    Scalar, not paraxial, periodic plane. Waves with s > 1 decay, forwards and backwards, so that going back
    does not restore them. A wave that walks more than half the plane sideways is not sampled any more; with
    ``cutoff`` the distance may be larger, and what is above the cutoff and not sampled is cut off.

    Args:
        field: Complex amplitude, shape (..., H, W).
        grid: The plane.
        wavelength: Wavelength in the medium [m].
        distance: Distance [m]; negative goes back.
        cutoff: Highest spatial frequency |f| that must come through [1/m]; all of the grid's if not given.
        band_limited: False leaves what is not sampled in, where it appears in wrong places.

    Returns:
        Shape (..., H, W), on the same grid.

    Raises:
        ValueError: If the distance is beyond :func:`angular_spectrum_range`, or the field is on another grid.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 3.10; K. Matsushima,
    T. Shimobaba, Opt. Express 17, 19662 (2009) for the band limit, here without their rectangle.
    """
    check_plane("angular_spectrum", field, grid)
    check_distance("angular_spectrum", grid, wavelength, distance, cutoff)
    return filtered(field, angular_spectrum_transfer(grid, wavelength, distance, field, band_limited))


def angular_spectrum_range(grid: Grid, wavelength: float | Tensor, cutoff: float | None = None) -> float:
    r"""Largest distance [m] over which :func:`angular_spectrum` samples every wave up to the cutoff.

    .. math:: z \le \min_{x,y} \frac{L}{2} \frac{\sqrt{1 - s^2}}{\lambda f_L}, \quad s = \lambda |f|

    which is :math:`N \Delta x^2/\lambda` for paraxial light and the whole band. It is 0 if evanescent waves
    are asked for, and infinite along a direction with one sample.

    Args:
        grid: The plane.
        wavelength: Wavelength [m].
        cutoff: Highest spatial frequency |f| that matters [1/m]; the corner of the grid's band if not given.
    """
    highest = math.hypot(*_band(grid, math.inf))
    s = as_float(wavelength) * min(math.inf if cutoff is None else cutoff, highest)
    return fresnel_range(grid, wavelength, cutoff) * math.sqrt(1 - s**2) if s < 1 else 0.0


def fresnel(
    field: Tensor,
    grid: Grid,
    wavelength: float | Tensor,
    distance: float | Tensor,
    cutoff: float | None = None,
) -> Tensor:
    r"""Propagate through free space in the Fresnel approximation, by its transfer function.

    .. math:: \hat U_z(f) = \hat U_0(f)\, e^{-i \pi \lambda z |f|^2}

    Scalar, paraxial, periodic plane. Against :func:`angular_spectrum` the phase is wrong by
    :math:`\pi z s^4 / (4 \lambda)` with :math:`s = \lambda |f|`.

    Args:
        field: Complex amplitude, shape (..., H, W).
        grid: The plane.
        wavelength: Wavelength in the medium [m].
        distance: Distance [m]; negative goes back.
        cutoff: Highest spatial frequency |f| that must come through [1/m]; all of the grid's if not given.
            What is above it and not sampled is cut off.

    Returns:
        Shape (..., H, W), on the same grid.

    Raises:
        ValueError: If the distance is beyond :func:`fresnel_range`, or the field is on another grid.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 4.2.
    """
    check_plane("fresnel", field, grid)
    check_distance("fresnel", grid, wavelength, distance, cutoff)
    return filtered(field, fresnel_transfer(grid, wavelength, distance, field))


def fresnel_range(grid: Grid, wavelength: float | Tensor, cutoff: float | None = None) -> float:
    r"""Largest distance [m] for :func:`fresnel`, :math:`L/(2 \lambda f_L)`: N dx^2 / lambda for all waves.

    It is infinite along a direction with one sample, where the light is uniform.

    Args:
        grid: The plane.
        wavelength: Wavelength [m].
        cutoff: Highest spatial frequency that matters [1/m]; the whole band of the grid if not given.

    Example:
        >>> round(fresnel_range(Grid((512, 512), "8 um"), 532e-9) * 1e3, 1)
        61.6
    """
    band = _band(grid, math.inf if cutoff is None else cutoff)
    pairs = [(length, f) for length, f in zip(grid.extent, band, strict=True) if f > 0]
    return min((length / (2 * as_float(wavelength) * f) for length, f in pairs), default=math.inf)


def fresnel_rescaled(
    field: Tensor, grid: Grid, wavelength: float | Tensor, distance: float | Tensor
) -> tuple[Tensor, Grid]:
    r"""Propagate in the Fresnel approximation by one transform, onto a plane that grows with the distance.

    .. math:: U_z(u) = \frac{1}{i \lambda z} e^{i\pi u^2/(\lambda z)} \iint U_0(x)\, e^{i\pi x^2/(\lambda z)}
        e^{-2\pi i\, x u/(\lambda z)}\, dx\, dy, \qquad \Delta u = \frac{\lambda |z|}{N \Delta x}

    Scalar, paraxial, and unitary. Light outside of the new plane, :math:`\lambda |z|/\Delta x` wide, is
    folded into it. Beyond the shortest distance the phase, though right at the samples, may run too fast for
    them. A gradient with respect to the distance is taken at samples that move with the new plane.

    Args:
        field: Complex amplitude, shape (..., H, W).
        grid: The plane.
        wavelength: Wavelength in the medium [m].
        distance: Distance [m]; negative goes back.

    Returns:
        The field, shape (..., H, W), and its grid.

    Raises:
        ValueError: If the distance is below :func:`fresnel_rescaled_range`, or the field is on another grid.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 4.2.
    """
    check_plane("fresnel_rescaled", field, grid)
    check_distance("fresnel_rescaled", grid, wavelength, distance)
    forward = as_float(distance) > 0
    area = as_scalar(wavelength, field) * as_scalar(distance, field)
    before = unit_wave(math.pi / area * squares(grid.coordinates(), field)).to(field.dtype)
    # exp(i pi u^2 / (lambda z)) with u = lambda |z| f.
    behind = unit_wave(math.pi * area * squares(grid.frequencies(), field))
    behind = behind * (-1j * math.sqrt(math.prod(grid.shape)) * grid.cell_area / area)
    transform = ft2 if forward else ift2
    output_grid = grid.behind_lens(as_float(wavelength), abs(as_float(distance)))
    return transform(field * before) * behind.to(field.dtype), output_grid


def fresnel_rescaled_range(grid: Grid, wavelength: float | Tensor) -> float:
    r"""Shortest distance [m] for :func:`fresnel_rescaled`, :math:`\max_{x,y} N \Delta x^2/\lambda`.

    Args:
        grid: The plane.
        wavelength: Wavelength [m].
    """
    result: float = max(
        even_part(n) * d**2 for n, d in zip(grid.shape, grid.spacing, strict=True)
    ) / as_float(wavelength)
    return result


def check_distance(
    method: str,
    grid: Grid,
    wavelength: float | Tensor,
    distance: float | Tensor,
    cutoff: float | None = None,
) -> None:
    """Refuse a distance over which a propagator, given by its name, does not sample the light.

    Raises:
        ValueError: As the propagator.
    """
    length, got = abs(as_float(distance)), compact(as_float(distance), "m")
    if method == "fresnel_rescaled":
        limit = fresnel_rescaled_range(grid, wavelength)
        if length == 0 or length * SLACK < limit:
            raise ValueError(
                f"fresnel_rescaled: expected a distance of at least {compact(limit, 'm')} on {grid}, got "
                f"{got}; the curved wavefront would alias. Use fresnel or angular_spectrum."
            )
        return
    longest = angular_spectrum_range if method == "angular_spectrum" else fresnel_range
    limit = longest(grid, wavelength, cutoff)
    if length > limit * SLACK:
        raise ValueError(
            f"{method}: expected a distance of at most {compact(limit, 'm')} on {grid}, got {got}; light "
            f"would walk out of the plane and come back on the other side. Take a larger plane, give a lower "
            f"cutoff, or use fresnel_rescaled."
        )


def filtered(field: Tensor, transfer: Tensor) -> Tensor:
    """A field whose spectrum is multiplied: two plain FFTs, since centring both planes changes nothing.

    Args:
        field: Complex, shape (..., H, W).
        transfer: Complex, in the precision of the field, in FFT order and divided by HW, shape (H, W).
    """
    if torch.is_grad_enabled() and (field.requires_grad or transfer.requires_grad):
        output: Tensor = torch.fft.ifft2(torch.fft.fft2(field) * transfer, norm="forward")
        return output
    return transform_(transform(field, inverse=False).mul_(transfer), inverse=True)


def angular_spectrum_transfer(
    grid: Grid,
    wavelength: float | Tensor,
    distance: float | Tensor,
    like: Tensor,
    band_limited: bool = True,
) -> Tensor:
    """What :func:`angular_spectrum` gives to :func:`filtered`, in the precision of ``like``."""
    transfer = _spectrum_of_space(grid, as_scalar(wavelength, like), as_scalar(distance, like))
    if band_limited:
        transfer = transfer * _sampled(grid, wavelength, distance, like, paraxial=False)
    return _for_filter(transfer, like)


def fresnel_transfer(
    grid: Grid, wavelength: float | Tensor, distance: float | Tensor, like: Tensor
) -> Tensor:
    """What :func:`fresnel` gives to :func:`filtered`, in the precision of ``like``."""
    area = as_scalar(wavelength, like) * as_scalar(distance, like)
    # The square separates: one row and one column of waves, of which each sample is a product.
    y, x = (unit_wave(-math.pi * area * f.to(like.device) ** 2) for f in grid.frequencies())
    inside = _sampled(grid, wavelength, distance, like, paraxial=True)
    return _for_filter(torch.outer(y, x) * inside, like)


def _for_filter(transfer: Tensor, like: Tensor) -> Tensor:
    shifted: Tensor = torch.fft.ifftshift(transfer / transfer.numel())
    return shifted.to(like.dtype)


def _spectrum_of_space(grid: Grid, wavelength: Tensor, distance: Tensor) -> Tensor:
    wavenumber = 2 * math.pi / wavelength
    s2 = wavelength**2 * squares(grid.frequencies(), wavelength)
    root = (1 - s2).abs().clamp(min=1e-300).sqrt()  # the clamp keeps the gradient finite at s = 1
    travels = s2 <= 1
    # kz - k without the difference of two large numbers.
    phase = torch.where(travels, -s2 / (1 + root), -torch.ones_like(s2)) * wavenumber * distance
    decay = torch.where(travels, torch.zeros_like(s2), root) * wavenumber * distance.abs()
    return torch.polar(torch.exp(-decay), phase)


def _sampled(
    grid: Grid, wavelength: float | Tensor, distance: float | Tensor, like: Tensor, paraxial: bool
) -> Tensor:
    """1 for the waves that walk at most half the plane sideways, or that only decay."""
    fy, fx = (as_float(wavelength) * f.to(like.device) for f in grid.frequencies())
    s2 = fy[:, None] ** 2 + fx**2
    forwards = torch.ones_like(s2) if paraxial else (1 - s2).clamp(min=0).sqrt()
    walk = abs(as_float(distance)) / (forwards * SLACK)
    height, width = grid.extent
    inside = (walk * fy[:, None].abs() <= height / 2) & (walk * fx.abs() <= width / 2)
    return inside if paraxial else inside | (s2 > 1)


def _band(grid: Grid, cutoff: float) -> tuple[float, float]:
    """The highest frequency of each direction that is on the grid and below the cutoff."""
    fy, fx = (min(n // 2 / length, cutoff) for n, length in zip(grid.shape, grid.extent, strict=True))
    return fy, fx


def even_part(n: int) -> int:
    """Twice the largest index from the axis: n for even n, n - 1 for odd n."""
    return n // 2 * 2


def as_float(value: float | Tensor) -> float:
    """A number without its gradient, for what decides on shapes and refusals."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def as_scalar(value: float | Tensor, like: Tensor) -> Tensor:
    """A number with its gradient, in double precision, where ``like`` is."""
    return torch.as_tensor(value, dtype=torch.float64, device=like.device)


def squares(axes: tuple[Tensor, Tensor], like: Tensor) -> Tensor:
    """y^2 + x^2 over the plane, from its axes (H,) and (W,); where ``like`` is."""
    y, x = (axis.to(like.device) for axis in axes)
    return y[:, None] ** 2 + x**2


def unit_wave(phase: Tensor) -> Tensor:
    """exp(i phase)."""
    return torch.polar(torch.ones_like(phase), phase)


def check_plane(name: str, field: Tensor, grid: Grid) -> None:
    """Refuse a field that is real or on another grid."""
    check_field(name, field, grid.shape)
