"""The lens integral on any grid against the explicit sum, the Fourier lens and a Gaussian."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from optics4f.elements import FourierLens
from optics4f.grid import Grid
from optics4f.units import mm, nm, um
from optics4f.zoom import chirp_lines, matrix_lines, uses_chirp, zoom_adjoint, zoom_transform

ROUNDING = 1e-12  # float64: phases of some hundred radians, sums of some hundred terms
WAVELENGTH, FOCAL_LENGTH = 532e-9, 0.1
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PARTS = st.tuples(st.floats(0.05, 1), st.floats(0.05, 1))  # of the width that the sum does not repeat
few = settings(max_examples=40, deadline=None)


def random_field(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def part_of_the_plane(grid: Grid, shape: tuple[int, int], parts: tuple[float, float]) -> Grid:
    """Samples that cover these parts of lambda f / dx."""
    dy, dx = (
        part * WAVELENGTH * FOCAL_LENGTH / (d * n)
        for part, d, n in zip(parts, grid.spacing, shape, strict=True)
    )
    return Grid.from_si(shape, (dy, dx))


@few
@given(SHAPES, SHAPES, PARTS)
def test_transform_is_the_explicit_integral(
    shape: tuple[int, int], wanted: tuple[int, int], parts: tuple[float, float]
) -> None:
    grid = Grid(shape, (8 * um, 10 * um))
    plane = part_of_the_plane(grid, wanted, parts)
    field = random_field(2, *shape)
    (y, x), (v, u) = grid.coordinates(), plane.coordinates()
    turns = (v[:, None, None, None] * y[:, None] + u[None, :, None, None] * x) / (WAVELENGTH * FOCAL_LENGTH)
    area = grid.cell_area / (WAVELENGTH * FOCAL_LENGTH)
    expected = area * torch.einsum("vuyx,cyx->cvu", torch.exp(-2j * math.pi * turns), field)
    got = zoom_transform(field, grid, WAVELENGTH, FOCAL_LENGTH, plane)
    assert relative_error(got, expected) < ROUNDING


@few
@given(st.integers(1, 40), st.integers(1, 40), st.floats(-1, 1))
def test_chirp_is_the_matrix(samples: int, wanted: int, step: float) -> None:
    lines, a = random_field(2, samples), torch.tensor(step, dtype=torch.float64)
    expected = matrix_lines(lines, wanted, a)
    assert float((chirp_lines(lines, wanted, a) - expected).abs().max()) < ROUNDING * float(lines.norm())


@few
@given(SHAPES, SHAPES, PARTS)
def test_adjoint(shape: tuple[int, int], wanted: tuple[int, int], parts: tuple[float, float]) -> None:
    grid = Grid(shape, (8 * um, 10 * um))
    plane = part_of_the_plane(grid, wanted, parts)
    x, y = random_field(*shape, seed=1), random_field(*wanted, seed=2)
    there = zoom_transform(x, grid, WAVELENGTH, FOCAL_LENGTH, plane)
    back = zoom_adjoint(y, grid, WAVELENGTH, FOCAL_LENGTH, plane)
    products = (
        torch.vdot(y.flatten(), there.flatten()) * plane.cell_area,
        torch.vdot(back.flatten(), x.flatten()) * grid.cell_area,
    )
    # The products may cancel: the error is measured against the norms.
    scale = there.norm() * y.norm() * plane.cell_area
    assert abs(products[0] - products[1]) <= ROUNDING * scale


@pytest.mark.parametrize("shape", [(24, 31), (31, 24), (300, 5)])
def test_the_lens_on_its_own_grid(shape: tuple[int, int]) -> None:
    """300 samples take chirp-z along y and a matrix along x."""
    assert uses_chirp(300, 300)
    assert not uses_chirp(31, 31)
    grid = Grid(shape, (8 * um, 10 * um))
    lens = FourierLens(grid, 532 * nm, 100 * mm)
    field = random_field(2, *shape)
    got = zoom_transform(field, grid, lens.wavelength, lens.focal_length, lens.output_grid)
    assert relative_error(got, lens(field)) < ROUNDING


@few
@given(SHAPES, st.integers(0, 5))
def test_adjoint_is_the_inverse_where_the_whole_width_is_covered(shape: tuple[int, int], more: int) -> None:
    """Finer samples over all of lambda f / dx lose nothing: power is kept and the adjoint brings it back."""
    grid = Grid(shape, (8 * um, 10 * um))
    plane = part_of_the_plane(grid, (shape[0] + more, shape[1] + 2 * more), (1, 1))
    field = random_field(*shape)
    there = zoom_transform(field, grid, WAVELENGTH, FOCAL_LENGTH, plane)
    power = float(there.norm()) ** 2 * plane.cell_area
    assert power == pytest.approx(float(field.norm()) ** 2 * grid.cell_area, rel=ROUNDING)
    assert relative_error(zoom_adjoint(there, grid, WAVELENGTH, FOCAL_LENGTH, plane), field) < ROUNDING


def test_single_precision() -> None:
    grid, plane = Grid((300, 40), 8 * um), Grid((290, 50), 10 * um)
    field = random_field(300, 40)
    exact = zoom_transform(field, grid, WAVELENGTH, FOCAL_LENGTH, plane)
    single = zoom_transform(field.to(torch.complex64), grid, WAVELENGTH, FOCAL_LENGTH, plane)
    assert single.dtype == torch.complex64
    # float32: 6e-8 times the square root of some hundred terms.
    assert relative_error(single.to(torch.complex128), exact) < 2e-6


@pytest.mark.parametrize("transform", [matrix_lines, chirp_lines])
def test_gradients_by_both_ways(transform: object) -> None:
    def output(lines: Tensor, step: Tensor) -> Tensor:
        return transform(lines, 5, step)  # type: ignore[operator]

    step = torch.tensor(0.17, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(output, (random_field(2, 4).requires_grad_(), step))


@pytest.mark.parametrize("shape", [(4, 5), (5, 4)])
def test_gradients_of_field_wavelength_and_focal_length(shape: tuple[int, int]) -> None:
    grid, plane = Grid(shape, 8 * um), Grid((6, 3), 500 * um)

    def output(field: Tensor, wavelength: Tensor, focal_length: Tensor) -> Tensor:
        return zoom_transform(field, grid, wavelength * 1e-6, focal_length * 1e-3, plane)

    # Micrometres and millimetres as the units of the variables: the step of gradcheck is 1e-6 of them.
    variables = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.532, 100.0))
    assert torch.autograd.gradcheck(output, (random_field(*shape).requires_grad_(), *variables))


def test_replicas_are_refused() -> None:
    grid = Grid((20, 20), 8 * um)
    field = random_field(20, 20)
    with pytest.raises(ValueError, match=r"at most lambda f / dx = 6\.65 mm, got 6\.7 mm; beyond it are rep"):
        zoom_transform(field, grid, WAVELENGTH, FOCAL_LENGTH, Grid((67, 10), 100 * um))
    with pytest.raises(ValueError, match=r"at most lambda f / dx = 6\.65 mm, got 6\.7 mm"):
        zoom_adjoint(random_field(10, 67), grid, WAVELENGTH, FOCAL_LENGTH, Grid((10, 67), 100 * um))
    with pytest.raises(ValueError, match=r"zoom_adjoint: expected a field \(\.\.\., \(10, 66\)\)"):
        zoom_adjoint(field, grid, WAVELENGTH, FOCAL_LENGTH, Grid((10, 66), 100 * um))
