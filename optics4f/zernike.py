"""Zernike polynomials over a disk: indices, values, wavefronts, and what an aberration costs.

Every polynomial here has an r.m.s. of 1 over the unit disk, whatever system numbers it, so that the squares
of coefficients add up to the variance of the wavefront. Coefficients are in waves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from .grid import Grid

# The lowest index of every system.
SYSTEMS = {"noll": 1, "osa": 0, "fringe": 1}


def orders(index: int, system: str) -> tuple[int, int]:
    """Radial order n and azimuthal order m of a numbered polynomial; m < 0 stands for the sine.

    Args:
        index: Number of the polynomial, from 1 (``noll``, ``fringe``) or from 0 (``osa``).
        system: ``"noll"``, ``"osa"`` (ANSI Z80.28) or ``"fringe"``. Fringe is continued by its rule: the
            37th of the set of 37 that some instruments use, n = 12 and m = 0, is number 49 here.

    Raises:
        ValueError: For another system, or an index below the first.
        TypeError: If the index is no integer.

    Example:
        >>> orders(4, "noll"), orders(12, "osa"), orders(9, "fringe")
        ((2, 0), (4, 0), (4, 0))
    """
    _check_system(system)
    if type(index) is not int:
        raise TypeError(f"zernike: expected an integer index, got {index!r}.")
    if index < SYSTEMS[system]:
        raise ValueError(f"zernike: expected an index from {SYSTEMS[system]} on in {system}, got {index}.")
    if system == "fringe":
        return _fringe_orders(index)
    place = index - SYSTEMS[system]  # counted from 0
    n = (math.isqrt(8 * place + 1) - 1) // 2
    within = place - n * (n + 1) // 2
    if system == "osa":
        return n, 2 * within - n
    m = 2 * ((within + 1) // 2) if n % 2 == 0 else 2 * (within // 2) + 1
    return n, m if index % 2 == 0 else -m


def index_of(n: int, m: int, system: str) -> int:
    """The number of the polynomial of orders (n, m): the inverse of :func:`orders`.

    Raises:
        ValueError: For another system, or orders that no polynomial has.
    """
    _check_system(system)
    _check_orders(n, m)
    if system == "osa":
        return (n * (n + 2) + m) // 2
    if system == "fringe":
        return (1 + (n + abs(m)) // 2) ** 2 - 2 * abs(m) + int(m < 0)
    even = (m > 0 and n % 4 in (0, 1)) or (m < 0 and n % 4 in (2, 3))
    return n * (n + 1) // 2 + abs(m) + int(not even)


def convert_index(index: int, source: str, target: str) -> int:
    """The number in the system ``target`` of the polynomial numbered ``index`` in ``source``: exact.

    Example:
        >>> convert_index(11, "noll", "osa"), convert_index(11, "noll", "fringe")
        (12, 9)
    """
    return index_of(*orders(index, source), target)


def radial(n: int, m: int, rho: Tensor) -> Tensor:
    r"""Radial polynomial :math:`R_n^m(\rho)` with :math:`R_n^m(1) = 1`, from a three-term recurrence.

    .. math:: R_n^m(\rho) = \rho^m\, P_{(n-m)/2}^{(0,m)}(2\rho^2 - 1)

    The recurrence of the Jacobi polynomials is stable on the disk, where sums of factorials lose all digits
    from n = 40 or so. Checked against exact fractions up to n = 60, to 1e-12.

    Args:
        n: Radial order.
        m: Azimuthal order, its sign does not matter.
        rho: Radius over that of the disk, any shape; beyond 1 the polynomial is continued as it stands.

    Raises:
        ValueError: For orders that no polynomial has.

    Source: NIST Digital Library of Mathematical Functions, 18.9.1 and 18.5.7.
    """
    _check_orders(n, m)
    m = abs(m)
    x = 2 * rho.square() - 1
    before, value = torch.zeros_like(rho), torch.ones_like(rho)
    for k in range(1, (n - m) // 2 + 1):
        s = 2 * k + m
        if k == 1:
            following = 1 + (m + 2) * (x - 1) / 2
        else:
            grown = (s - 1) * (s * (s - 2) * x - m * m) * value - 2 * (k - 1) * (k + m - 1) * s * before
            following = grown / (2 * k * (k + m) * (s - 2))
        before, value = value, following
    return rho**m * value


def zernike(index: int, rho: Tensor, theta: Tensor, system: str = "noll") -> Tensor:
    r"""Zernike polynomial with an r.m.s. of 1 over the unit disk.

    .. math:: Z = \sqrt{n+1}\, R_n^0(\rho), \qquad
        \sqrt{2(n+1)}\, R_n^{|m|}(\rho) \cos m\theta, \qquad \sqrt{2(n+1)}\, R_n^{|m|}(\rho) \sin |m|\theta

    for m = 0, m > 0 and m < 0. Others scale Fringe polynomials to a peak of 1;
    here they are not.

    Args:
        index: Number of the polynomial.
        rho: Radius over that of the disk.
        theta: Azimuth [rad], from +x towards +y, broadcast with ``rho``.
        system: What numbers it, see :func:`orders`.

    Raises:
        ValueError: As :func:`orders`.

    Source: R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976).
    """
    n, m = orders(index, system)
    if m == 0:
        return math.sqrt(n + 1) * radial(n, 0, rho) * torch.ones_like(theta)
    azimuthal = torch.cos(m * theta) if m > 0 else torch.sin(-m * theta)
    return math.sqrt(2 * (n + 1)) * radial(n, m, rho) * azimuthal


def zernike_basis(indices: tuple[int, ...], grid: Grid, diameter: float, system: str = "noll") -> Tensor:
    """Zernike polynomials on the samples of a plane, about its axis.

    Beyond the disk they have no meaning. They are continued to the last sample whose square touches the disk,
    and keep the value reached there further out, so that nothing grows without bound.

    Args:
        indices: Numbers of the polynomials.
        grid: The plane.
        diameter: Diameter of the disk [m].
        system: What numbers them, see :func:`orders`.

    Returns:
        float64, shape (len(indices), H, W).

    Raises:
        ValueError: If the diameter is not larger than 0; as :func:`orders`.
    """
    if not (math.isfinite(diameter) and diameter > 0):
        raise ValueError(f"zernike_basis: expected a diameter of more than 0 m, got {diameter!r}.")
    y, x = grid.coordinates()
    rho = torch.hypot(y[:, None], x) * (2 / diameter)
    theta = torch.atan2(y[:, None], x.expand(grid.shape))
    rho = rho.clamp(max=1 + math.hypot(*grid.spacing) / diameter)
    values = [zernike(index, rho, theta, system) for index in indices]
    return torch.stack(values) if values else rho.new_zeros((0, *grid.shape))


def wavefront(coefficients: Mapping[int, float], grid: Grid, diameter: float, system: str = "noll") -> Tensor:
    r"""Wavefront :math:`W = \sum_j a_j Z_j` [waves] on the samples of a plane; float64, shape (H, W).

    Args:
        coefficients: Index to coefficient [waves].
        grid: The plane.
        diameter: Diameter of the disk [m].
        system: What numbers the polynomials, see :func:`orders`.

    Raises:
        ValueError: As :func:`zernike_basis`.
    """
    amounts = torch.tensor(list(coefficients.values()), dtype=torch.float64)
    return torch.einsum("j,jhw->hw", amounts, zernike_basis(tuple(coefficients), grid, diameter, system))


def wavefront_rms(coefficients: Mapping[int, float], system: str = "noll") -> float:
    r"""Standard deviation :math:`\sigma = \sqrt{\sum a_j^2}` over the disk [waves]; piston does not count."""
    return math.sqrt(sum(a * a for index, a in coefficients.items() if orders(index, system) != (0, 0)))


def defocus_coefficient(edge: float) -> float:
    r"""Noll's :math:`a_4 = W_{20}/(2\sqrt 3)` from the defocus :math:`W_{20}` at the edge; in its unit.

    :math:`a_4 Z_4 = W_{20} (\rho^2 - 1/2)`: the constant is left to the piston.
    """
    return edge / (2 * math.sqrt(3))


def edge_defocus(coefficient: float) -> float:
    r"""Defocus at the edge of the pupil, :math:`W_{20} = 2\sqrt 3\, a_4`, in the unit of ``coefficient``."""
    return 2 * math.sqrt(3) * coefficient


def axial_shift_defocus(shift: float, numerical_aperture: float, wavelength: float) -> float:
    r"""Defocus that moves the focus: :math:`W_{20} = \delta z\,NA^2/(2\lambda)` [waves].

    Paraxial, in a medium of index 1. A positive :math:`W_{20}` moves the focus on along the light.

    Args:
        shift: How far the focus moves, :math:`\delta z` [m].
        numerical_aperture: Radius of the pupil over the focal length of the lens behind it.
        wavelength: Vacuum wavelength [m].
    """
    return shift * numerical_aperture**2 / (2 * wavelength)


def strehl_ratio(pupil: Tensor) -> Tensor:
    r"""Intensity at the centre of the image of a point, over that of the same amplitude with a flat phase.

    .. math:: S = |\textstyle\sum P|^2 / (\sum |P|)^2

    Args:
        pupil: Complex amplitude over a pupil, shape (..., H, W), not dark everywhere.

    Returns:
        Real, shape (...), in [0, 1].
    """
    return pupil.sum((-2, -1)).abs().square() / pupil.abs().sum((-2, -1)).square()


def marechal_strehl(rms: float) -> float:
    r"""Strehl ratio of a small aberration, :math:`\exp(-(2\pi\sigma)^2)`.

    For small phases. The next term of its logarithm is a twelfth of the fourth cumulant of the phase.

    Args:
        rms: Standard deviation of the wavefront [waves].

    Source: V. N. Mahajan, J. Opt. Soc. Am. 73, 860 (1983).
    """
    return math.exp(-((2 * math.pi * rms) ** 2))


def _fringe_orders(index: int) -> tuple[int, int]:
    group = math.isqrt(index - 1)  # (n + |m|) / 2
    behind = (group + 1) ** 2 - index  # 2|m|, or 2|m| - 1 for a sine
    m = (behind + 1) // 2
    return 2 * group - m, -m if behind % 2 else m


def _check_system(system: str) -> None:
    if system not in SYSTEMS:
        raise ValueError(f"zernike: expected the index system {', '.join(SYSTEMS)}, got {system!r}.")


def _check_orders(n: int, m: int) -> None:
    if n < 0 or abs(m) > n or (n - m) % 2:
        raise ValueError(f"zernike: expected orders with |m| <= n and n - m even, got n = {n}, m = {m}.")
