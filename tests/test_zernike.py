"""Zernike polynomials: published numbers and closed forms, exact radial values, and what aberrations cost."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from optics4f.grid import Grid
from optics4f.units import mm, um
from optics4f.zernike import (
    SYSTEMS,
    axial_shift_defocus,
    convert_index,
    defocus_coefficient,
    edge_defocus,
    index_of,
    marechal_strehl,
    orders,
    radial,
    strehl_ratio,
    wavefront,
    wavefront_rms,
    zernike,
    zernike_basis,
)

ROUNDING = 1e-12  # float64, sums of some thousand terms


def disk_quadrature(radii: int = 40, angles: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """Mean over the disk, exact for polynomials up to degree 2 * radii - 2: (rho, theta, weight)."""
    nodes, weights = (torch.from_numpy(values) for values in np.polynomial.legendre.leggauss(radii))
    rho = (nodes[:, None] + 1) / 2
    theta = torch.arange(angles, dtype=torch.float64) * (2 * math.pi / angles)
    return rho, theta, weights[:, None] * rho / angles


# ---- indices


# Noll, OSA, Fringe, n, m: Noll (1976), table I; ANSI Z80.28-2004; Wyant and Creath (1992), counted from 1.
PUBLISHED = {
    "piston": (1, 0, 1, 0, 0),
    "tilt x": (2, 2, 2, 1, 1),
    "tilt y": (3, 1, 3, 1, -1),
    "defocus": (4, 4, 4, 2, 0),
    "oblique astigmatism": (5, 3, 6, 2, -2),
    "astigmatism": (6, 5, 5, 2, 2),
    "coma y": (7, 7, 8, 3, -1),
    "coma x": (8, 8, 7, 3, 1),
    "trefoil y": (9, 6, 11, 3, -3),
    "trefoil x": (10, 9, 10, 3, 3),
    "spherical": (11, 12, 9, 4, 0),
    "second astigmatism": (12, 13, 12, 4, 2),
    "second oblique astigmatism": (13, 11, 13, 4, -2),
    "quadrafoil": (14, 14, 17, 4, 4),
    "oblique quadrafoil": (15, 10, 18, 4, -4),
    "second coma y": (17, 17, 15, 5, -1),
    "second coma x": (16, 18, 14, 5, 1),
    "second spherical": (22, 24, 16, 6, 0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers(name: str) -> None:
    noll, osa, fringe, n, m = PUBLISHED[name]
    numbers = {"noll": noll, "osa": osa, "fringe": fringe}
    assert {system: orders(index, system) for system, index in numbers.items()} == dict.fromkeys(
        SYSTEMS, (n, m)
    )
    for source, target in itertools.product(SYSTEMS, repeat=2):
        assert convert_index(numbers[source], source, target) == numbers[target]


@pytest.mark.parametrize("system", SYSTEMS)
def test_numbers_and_orders_are_one_to_one(system: str) -> None:
    """The first numbers are all different polynomials, and every order up to n = 12 has its number."""
    first = SYSTEMS[system]
    found = [orders(index, system) for index in range(first, first + 300)]
    assert len(set(found)) == 300
    assert [index_of(n, m, system) for n, m in found] == list(range(first, first + 300))
    for n in range(13):
        for m in range(-n, n + 1, 2):
            assert orders(index_of(n, m, system), system) == (n, m)


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(SYSTEMS, 2)))
def test_conversion_there_and_back(source: str, target: str) -> None:
    for index in range(SYSTEMS[source], SYSTEMS[source] + 100):
        assert convert_index(convert_index(index, source, target), target, source) == index


# ---- values


def test_the_first_fifteen_of_noll() -> None:
    """Noll (1976), table I, written in x and y."""
    x, y = (2 * torch.rand(2, 500, dtype=torch.float64) - 1) / math.sqrt(2)
    r2 = x * x + y * y
    expected = [
        torch.ones_like(x),
        2 * x,
        2 * y,
        math.sqrt(3) * (2 * r2 - 1),
        math.sqrt(6) * 2 * x * y,
        math.sqrt(6) * (x * x - y * y),
        math.sqrt(8) * (3 * r2 - 2) * y,
        math.sqrt(8) * (3 * r2 - 2) * x,
        math.sqrt(8) * (3 * x * x - y * y) * y,
        math.sqrt(8) * (x * x - 3 * y * y) * x,
        math.sqrt(5) * (6 * r2 * r2 - 6 * r2 + 1),
        math.sqrt(10) * (4 * r2 - 3) * (x * x - y * y),
        math.sqrt(10) * (4 * r2 - 3) * 2 * x * y,
        math.sqrt(10) * (x**4 - 6 * x * x * y * y + y**4),
        math.sqrt(10) * 4 * x * y * (x * x - y * y),
    ]
    rho, theta = torch.sqrt(r2), torch.atan2(y, x)
    for index, values in enumerate(expected, start=1):
        assert float((zernike(index, rho, theta) - values).abs().max()) < ROUNDING, index


@pytest.mark.parametrize("system", SYSTEMS)
def test_orthonormal_over_the_disk(system: str) -> None:
    """The quadrature is exact for these products; what is left is rounding."""
    rho, theta, weight = disk_quadrature()
    first = SYSTEMS[system]
    basis = torch.stack([zernike(index, rho, theta, system) for index in range(first, first + 66)])
    gram = torch.einsum("iab,jab,ab->ij", basis, basis, weight.expand(basis.shape[1:]))
    assert float((gram - torch.eye(66, dtype=torch.float64)).abs().max()) < ROUNDING


def exact_radial(n: int, m: int, rho: Fraction) -> Fraction:
    """The sum of factorials, in exact fractions."""
    return sum(
        (
            Fraction(
                (-1) ** k * math.factorial(n - k),
                math.factorial(k) * math.factorial((n + m) // 2 - k) * math.factorial((n - m) // 2 - k),
            )
            * rho ** (n - 2 * k)
            for k in range((n - m) // 2 + 1)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize("n", [*range(9), 20, 41, 60])
def test_radial_polynomials_are_those_of_exact_fractions(n: int) -> None:
    points = [Fraction(k, 16) for k in range(17)]  # exact in binary, the axis and the edge among them
    rho = torch.tensor([float(point) for point in points], dtype=torch.float64)
    for m in range(n % 2, n + 1, 2):
        expected = torch.tensor([float(exact_radial(n, m, point)) for point in points], dtype=torch.float64)
        # |R| <= 1 on the disk; every step of the recurrence rounds by some 1e-16.
        assert float((radial(n, m, rho) - expected).abs().max()) < ROUNDING, m
        assert torch.equal(radial(n, -m, rho), radial(n, m, rho))


# ---- wavefronts


def test_wavefront_is_the_sum_of_its_terms_about_the_axis() -> None:
    """Tilt along +y and defocus, in metres: 4 a3 y / D and a4 sqrt(3) (8 r^2 / D^2 - 1)."""
    grid = Grid((8, 11), (3 * um, 2 * um))
    diameter = 40e-6  # larger than the plane, so that every sample is inside
    y, x = grid.coordinates()
    tilt = 0.7 * 4 * y[:, None] / diameter
    bowl = -0.2 * math.sqrt(3) * (8 * (y[:, None] ** 2 + x**2) / diameter**2 - 1)
    got = wavefront({3: 0.7, 4: -0.2}, grid, diameter)
    assert got.dtype == torch.float64
    assert torch.allclose(got, tilt + bowl, rtol=0, atol=ROUNDING)
    assert torch.allclose(wavefront({1: 0.7, 4: -0.2}, grid, diameter, "osa"), got, rtol=0, atol=ROUNDING)


def test_nothing_grows_beyond_the_disk() -> None:
    """Samples whose square touches the disk have the polynomial; further out it stays as it is there."""
    grid = Grid((41, 41), 1 * um)
    basis = zernike_basis((4, 22), grid, 10e-6)
    axis = basis[:, 20, 20:]
    reach = 1 + math.sqrt(2) / 10  # half the diagonal of a sample over the radius
    edge = torch.tensor([reach], dtype=torch.float64)
    held = torch.cat([zernike(index, edge, 0 * edge) for index in (4, 22)])
    assert torch.allclose(axis[:, 6:], held[:, None].expand(2, 15), rtol=0, atol=1e-11)
    inside = torch.arange(6, dtype=torch.float64) / 5
    assert torch.allclose(axis[1, :6], zernike(22, inside, 0 * inside), rtol=0, atol=ROUNDING)


def test_rms_of_a_wavefront() -> None:
    """The squares add up; piston does not count, whatever its number is."""
    assert wavefront_rms({1: 5.0, 4: 0.03, 11: -0.04}) == pytest.approx(0.05, rel=ROUNDING)
    assert wavefront_rms({0: 5.0, 1: 0.03, 4: -0.04}, "osa") == pytest.approx(0.05, rel=ROUNDING)
    rho, theta, weight = disk_quadrature()
    values = 0.03 * zernike(4, rho, theta) - 0.04 * zernike(11, rho, theta)
    assert float((weight * values.square()).sum()) == pytest.approx(0.05**2, rel=ROUNDING)


def test_defocus_at_the_edge() -> None:
    """From the centre to the edge a4 Z4 rises by W20 = 2 sqrt(3) a4."""
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    centre, edge = (defocus_coefficient(1.3) * zernike(4, ends, 0 * ends)).tolist()
    assert edge - centre == pytest.approx(1.3, rel=ROUNDING)
    assert edge_defocus(defocus_coefficient(1.3)) == pytest.approx(1.3, rel=ROUNDING)
    # A pupil of 10 mm behind 100 mm has NA 0.05: one wave of 532 nm at 2 lambda / NA^2 = 0.4256 mm.
    assert axial_shift_defocus(0.4256e-3, 0.05, 532e-9) == pytest.approx(1, rel=ROUNDING)


# ---- Strehl ratio


def phase_over_disk(index: int, sigma: float) -> tuple[Tensor, Tensor]:
    rho, theta, weight = disk_quadrature()
    return sigma * zernike(index, rho, theta), weight.expand(rho.shape[0], theta.shape[0])


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("index", range(2, 16))
def test_strehl_ratio_of_a_small_aberration(index: int, sigma: float) -> None:
    r"""exp(-sigma^2), and with the next term exp(-sigma^2 + kappa4 / 12)."""
    phase, weight = phase_over_disk(index, sigma)
    strehl = float(strehl_ratio(weight * torch.exp(1j * phase)))
    kappa = float((weight * phase**4).sum()) - 3 * sigma**4
    expected = marechal_strehl(sigma / (2 * math.pi))
    assert expected == pytest.approx(math.exp(-(sigma**2)), rel=ROUNDING)
    # The next term is kappa4 / 12: 0.1 sigma^4 = 8.1e-4 at 0.3 rad for defocus, the largest of these.
    assert abs(strehl - expected) <= 0.1 * sigma**4
    # Then the sixth cumulant over 360 and the third one squared over 36 come, below 0.022 sigma^6 for these.
    assert strehl == pytest.approx(expected * math.exp(kappa / 12), abs=0.025 * sigma**6)


def test_strehl_ratio_at_a_fourteenth_and_a_twentieth_of_a_wave() -> None:
    assert marechal_strehl(1 / 14) == pytest.approx(0.818, abs=5e-4)  # the published digits
    assert marechal_strehl(1 / 20) == pytest.approx(0.906, abs=5e-4)


def test_strehl_ratio_of_a_flat_pupil_and_of_a_batch() -> None:
    pupil = torch.rand(2, 5, 6, dtype=torch.float64)
    assert torch.allclose(
        strehl_ratio(pupil * (0.6 - 0.8j)), torch.ones(2, dtype=torch.float64), rtol=ROUNDING
    )
    waves = torch.exp(2j * math.pi * torch.arange(4) / 4).to(torch.complex128)
    assert float(strehl_ratio(waves[None])) < ROUNDING


# ---- refusals


def test_refusals() -> None:
    some = torch.zeros(1)
    with pytest.raises(ValueError, match=r"expected the index system noll, osa, fringe, got 'ansi'"):
        zernike(4, some, some, "ansi")
    with pytest.raises(ValueError, match=r"expected an index from 1 on in noll, got 0"):
        orders(0, "noll")
    with pytest.raises(ValueError, match=r"expected an index from 0 on in osa, got -1"):
        convert_index(-1, "osa", "noll")
    with pytest.raises(TypeError, match=r"expected an integer index, got 4.0"):
        orders(4.0, "noll")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got n = 3, m = 2"):
        radial(3, 2, some)
    with pytest.raises(ValueError, match=r"got n = 2, m = -4"):
        index_of(2, -4, "fringe")
    with pytest.raises(ValueError, match=r"expected a diameter of more than 0 m, got -0.001"):
        wavefront({4: 0.1}, Grid((4, 4), 1 * mm), -1e-3)
