"""Free space and thin lenses against closed forms; each propagator refuses what it cannot sample."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from optics4f.elements import FourierLens, FreeSpace, ThinLens
from optics4f.elements.space import thin_lens
from optics4f.grid import Grid
from optics4f.propagation import (
    angular_spectrum,
    angular_spectrum_range,
    fresnel,
    fresnel_range,
    fresnel_rescaled,
    fresnel_rescaled_range,
)
from optics4f.units import m, mm, nm, um

ROUNDING = 1e-12  # float64: phases of some hundred radians, sums of some thousand terms
WAVELENGTH = 532e-9
same_plane = pytest.mark.parametrize("propagate", [angular_spectrum, fresnel])


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def random_field(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def line(samples: int, spacing: float = 8e-6) -> Grid:
    """A plane that is uniform along y."""
    return Grid.from_si((1, samples), (spacing, spacing))


def gaussian_beam(grid: Grid, waist: float, distance: float) -> Tensor:
    """Paraxial beam of unit amplitude at its waist, q = z - i z_R; without exp(ikz)."""
    rayleigh = math.pi * waist**2 / WAVELENGTH
    y, x = grid.coordinates()
    q = distance - 1j * rayleigh
    return -1j * rayleigh / q * torch.exp(1j * math.pi * (y[:, None] ** 2 + x**2) / (WAVELENGTH * q))


# The beam is known in the paraxial limit. Fresnel differs by rounding and the tails of the beam, the angular
# spectrum by a phase of pi z s^4 / (4 lambda), which at one Rayleigh length is about (lambda / (pi w))^2 / 2
# = 9e-8 for this waist.
BEAM_GRID, BEAM_WAIST = Grid((256, 250), (64 * um, 60 * um)), 400e-6


# As above: the angular spectrum differs by about (z / z_R) (lambda / (pi w))^2 = 5e-6 here.
@pytest.mark.parametrize(("propagate", "tolerance"), [(fresnel, 1e-11), (angular_spectrum, 5e-6)])
def test_gaussian_beam_beyond_the_range_of_the_whole_band(
    propagate: Callable[..., Tensor], tolerance: float
) -> None:
    """100 mm, where the whole band is sampled up to 31 mm: the cutoff is where the beam has no light left."""
    grid, waist, distance = Grid((256, 256), 8 * um), 100e-6, 0.1
    cutoff = 5.3 / (math.pi * waist)  # exp(-5.3^2) = 6e-13
    assert fresnel_range(grid, WAVELENGTH) < 0.031 < distance < fresnel_range(grid, WAVELENGTH, cutoff)
    field = propagate(gaussian_beam(grid, waist, 0), grid, WAVELENGTH, distance, cutoff)
    assert relative_error(field, gaussian_beam(grid, waist, distance)) < tolerance


@pytest.mark.parametrize("distance", [0.2, -0.1])
def test_gaussian_beam_on_a_growing_plane(distance: float) -> None:
    grid, waist = Grid((128, 120), (16 * um, 18 * um)), 150e-6
    field, plane = fresnel_rescaled(gaussian_beam(grid, waist, 0), grid, WAVELENGTH, distance)
    expected = WAVELENGTH * abs(distance) / (128 * 16e-6), WAVELENGTH * abs(distance) / (120 * 18e-6)
    assert plane.spacing == pytest.approx(expected, rel=ROUNDING)
    # The plane ends at 6.8 waists: exp(-6.8^2) is below rounding.
    assert relative_error(field, gaussian_beam(plane, waist, distance)) < ROUNDING


@pytest.mark.parametrize("shape", [(16, 20), (20, 16)])
def test_the_two_fresnel_propagators_are_one_where_their_ranges_meet(shape: tuple[int, int]) -> None:
    """At z = N dx^2 / lambda the new plane is the old one, and both sums are the same for even N."""
    grid = Grid.from_si(shape, (8e-6 * math.sqrt(20 / shape[0]), 8e-6 * math.sqrt(20 / shape[1])))
    distance = fresnel_range(grid, WAVELENGTH)
    assert distance == pytest.approx(20 * (8e-6) ** 2 / WAVELENGTH, rel=ROUNDING)
    field = random_field(2, *shape)
    rescaled, plane = fresnel_rescaled(field, grid, WAVELENGTH, distance)
    assert plane.spacing == pytest.approx(grid.spacing, rel=ROUNDING)
    assert relative_error(rescaled, fresnel(field, grid, WAVELENGTH, distance)) < ROUNDING


@same_plane
@pytest.mark.parametrize("shape", [(32, 27), (27, 32)])
def test_power_there_and_back_and_in_two_steps(
    propagate: Callable[..., Tensor], shape: tuple[int, int]
) -> None:
    grid = Grid(shape, (8 * um, 9 * um))
    field = random_field(2, *shape)
    far = propagate(field, grid, WAVELENGTH, 3e-3)
    assert float(far.norm()) == pytest.approx(float(field.norm()), rel=ROUNDING)
    assert relative_error(propagate(far, grid, WAVELENGTH, -3e-3), field) < ROUNDING
    steps = propagate(propagate(field, grid, WAVELENGTH, 1.25e-3), grid, WAVELENGTH, 1.75e-3)
    assert relative_error(steps, far) < ROUNDING
    assert relative_error(propagate(field, grid, WAVELENGTH, 0.0), field) < ROUNDING


@pytest.mark.parametrize("distance", [8e-3, -20e-3])
def test_power_on_a_growing_plane(distance: float) -> None:
    grid = Grid((32, 27), (8 * um, 9 * um))
    field = random_field(2, 32, 27)
    far, plane = fresnel_rescaled(field, grid, WAVELENGTH, distance)
    before, behind = (float(u.norm()) ** 2 * g.cell_area for u, g in ((field, grid), (far, plane)))
    assert behind == pytest.approx(before, rel=ROUNDING)


def test_talbot_image_of_three_beams_without_the_paraxial_approximation() -> None:
    """At lambda / (1 - sqrt(1 - (lambda / p)^2)); an eighth nearer than 2 p^2 / lambda."""
    grid, period = line(240, 100e-9), 800e-9
    x = grid.coordinates()[1]
    field = (1 + 0.8 * torch.cos(2 * math.pi * x / period))[None].to(torch.complex128)
    talbot = WAVELENGTH / (1 - math.sqrt(1 - (WAVELENGTH / period) ** 2))
    image = angular_spectrum(field, grid, WAVELENGTH, talbot, cutoff=1.01 / period)
    assert relative_error(image, field) < ROUNDING
    paraxial = angular_spectrum(field, grid, WAVELENGTH, 2 * period**2 / WAVELENGTH, cutoff=1.01 / period)
    assert relative_error(paraxial, field) > 0.1


@pytest.mark.parametrize("distance", [50e-9, -50e-9])
def test_evanescent_waves_decay_both_ways(distance: float) -> None:
    grid = line(64, 100e-9)
    wave = torch.exp(2j * math.pi * grid.coordinates()[1] / 400e-9)[None]
    field = angular_spectrum(wave, grid, WAVELENGTH, distance, cutoff=1e6)
    depth = 2 * math.pi * math.sqrt((1 / 400e-9) ** 2 - (1 / WAVELENGTH) ** 2)
    expected = math.exp(-depth * abs(distance))
    assert float(field[0, 32].abs()) == pytest.approx(expected, rel=ROUNDING)
    # The carrier exp(ikz), which this wave does not have, is taken out all the same.
    phase = -2 * math.pi / WAVELENGTH * distance
    assert relative_error(field, expected * wave * complex(math.cos(phase), math.sin(phase))) < ROUNDING


def test_what_is_not_sampled_is_cut_off() -> None:
    """Beyond the range of the whole band, a wave passes if it walks at most half the plane, and whole."""
    grid, distance = line(256), 0.1
    edge = 1 / (WAVELENGTH * math.sqrt((2 * distance / grid.extent[1]) ** 2 + 1))
    order = int(edge * grid.extent[1])
    for k, expected in ((order, 1.0), (order + 1, 0.0), (-order, 1.0), (-order - 1, 0.0)):
        wave = torch.exp(2j * math.pi * k * grid.coordinates()[1] / grid.extent[1])[None]
        far = angular_spectrum(wave, grid, WAVELENGTH, distance, cutoff=0.9 * edge)
        assert float(far.abs().square().mean()) == pytest.approx(expected, abs=ROUNDING)
        left = angular_spectrum(wave, grid, WAVELENGTH, distance, cutoff=0.9 * edge, band_limited=False)
        assert float(left.abs().square().mean()) == pytest.approx(1, abs=ROUNDING)


def test_ranges_and_refusals_have_numbers() -> None:
    grid = Grid((512, 256), (8 * um, 10 * um))
    # 512 x 8^2 / 0.532 = 61.6 mm along y, 256 x 10^2 / 0.532 = 48.1 mm along x.
    assert fresnel_range(grid, WAVELENGTH) == pytest.approx(256e-10 / WAVELENGTH, rel=ROUNDING)
    assert fresnel_rescaled_range(grid, WAVELENGTH) == pytest.approx(512 * 64e-12 / WAVELENGTH, rel=ROUNDING)
    s2 = (WAVELENGTH / 16e-6) ** 2 + (WAVELENGTH / 20e-6) ** 2
    exact = 256e-10 / WAVELENGTH * math.sqrt(1 - s2)
    assert angular_spectrum_range(grid, WAVELENGTH) == pytest.approx(exact, rel=ROUNDING)
    assert angular_spectrum_range(Grid((4, 4), 200 * nm), WAVELENGTH) == 0
    assert fresnel_range(grid, WAVELENGTH, 5e3) == pytest.approx(
        2.56e-3 / (2 * WAVELENGTH * 5e3), rel=ROUNDING
    )
    assert fresnel_range(Grid((1, 1), 8 * um), WAVELENGTH) == math.inf
    field = random_field(512, 256)
    with pytest.raises(ValueError, match=r"fresnel: expected a distance of at most 48\.12 mm .* got 60 mm"):
        fresnel(field, grid, WAVELENGTH, 60e-3)
    with pytest.raises(
        ValueError, match=r"angular_spectrum: .* at most 48\.08 mm .* got -60 mm.*lower cutoff"
    ):
        angular_spectrum(field, grid, WAVELENGTH, -60e-3)
    with pytest.raises(ValueError, match=r"at least 61\.59 mm .* got 60 mm.*Use fresnel or angular_spectrum"):
        fresnel_rescaled(field, grid, WAVELENGTH, 60e-3)
    with pytest.raises(TypeError, match=r"fresnel: expected a complex tensor, got torch\.float64"):
        fresnel(field.real, grid, WAVELENGTH, 1e-3)
    with pytest.raises(ValueError, match=r"a lens of at most lambda f / dx = 3\.325 mm .* got 4\.096 mm"):
        ThinLens(grid, 532 * nm, 50 * mm)
    with pytest.raises(ValueError, match=r"= 2\.66 mm on samples 10 um apart, got 3 mm.*smaller diameter"):
        thin_lens(random_field(512, 512), Grid((512, 512), 10 * um), WAVELENGTH, 50e-3, 3e-3)


@pytest.mark.parametrize("samples", [32, 48])
def test_a_thin_lens_between_focal_lengths_of_space_is_the_fourier_lens(samples: int) -> None:
    """At N = lambda f / dx^2 space and lens are both just sampled, and for even N the sums agree exactly."""
    grid = Grid((samples, samples), 8 * um)
    focal_length = fresnel_range(grid, WAVELENGTH)
    lens = ThinLens(grid, WAVELENGTH * m, focal_length * m)
    space = FreeSpace(grid, WAVELENGTH * m, focal_length * m, method="fresnel")
    field = random_field(2, samples, samples)
    ideal = FourierLens(grid, WAVELENGTH * m, focal_length * m)
    assert ideal.output_grid.spacing == pytest.approx(grid.spacing, rel=ROUNDING)
    # The ideal lens leaves out the constant phase 1/i.
    assert relative_error(space(lens(space(field))), -1j * ideal(field)) < ROUNDING


def test_a_lens_is_dark_outside_of_its_diameter() -> None:
    grid = Grid((41, 40), 10 * um)
    lens = ThinLens(grid, 532 * nm, 50 * mm, diameter=200 * um)
    open_area = float(lens(torch.ones(41, 40, dtype=torch.complex128)).abs().sum())
    assert open_area == 317  # points of a square grid within a circle of radius 10
    y, x = grid.coordinates()
    spherical = torch.exp(1j * math.pi * (y[:, None] ** 2 + x**2) / (WAVELENGTH * 50e-3))
    flat = lens(spherical)
    assert relative_error(flat, flat.abs().to(flat)) < ROUNDING


@pytest.mark.parametrize("method", ["angular_spectrum", "fresnel", "fresnel_rescaled"])
def test_module_is_the_function(method: str) -> None:
    grid = Grid((16, 16), 8 * um)
    distance = {"fresnel_rescaled": 5e-3}.get(method, 1e-3)
    space = FreeSpace(grid, 532 * nm, distance * m, method)
    field = random_field(3, 16, 16)
    function: Any = {"angular_spectrum": angular_spectrum, "fresnel": fresnel}.get(method, fresnel_rescaled)
    expected = function(field, grid, space.wavelength, space.distance)
    if method == "fresnel_rescaled":
        expected, plane = expected
        assert space.output_grid == plane
    assert torch.equal(space(field), expected)
    # float32: 6e-8 times the square root of some hundred operations; phases are built in double precision.
    single = space(field.to(torch.complex64))
    assert single.dtype == torch.complex64
    assert relative_error(single.to(torch.complex128), expected) < 2e-6
    assert space.to("meta")(field.to("meta")).device.type == "meta"


def test_module_refuses_at_construction() -> None:
    grid = Grid((16, 16), 8 * um)
    with pytest.raises(ValueError, match=r"at most 1\.923 mm .* got 5 mm"):
        FreeSpace(grid, 532 * nm, 5 * mm)
    with pytest.raises(
        ValueError, match=r"expected a method of angular_spectrum, fresnel, .* got 'fraunhofer'"
    ):
        FreeSpace(grid, 532 * nm, 1 * mm, "fraunhofer")
    with pytest.raises(ValueError, match="expected no cutoff with fresnel_rescaled"):
        FreeSpace(grid, 532 * nm, 5 * mm, "fresnel_rescaled", cutoff=1e4 / m)
    with pytest.raises(TypeError, match="FreeSpace distance: expected a quantity"):
        FreeSpace(grid, 532 * nm, 0.001)


@pytest.mark.parametrize("shape", [(5, 6), (6, 5)])
@pytest.mark.parametrize("name", ["angular_spectrum", "fresnel", "fresnel_rescaled", "thin_lens"])
def test_gradients_of_field_wavelength_and_distance(name: str, shape: tuple[int, int]) -> None:
    # Micrometres as the unit of the variables: the step of gradcheck is 1e-6 of them.
    grid = Grid.from_si(shape, (2e-6, 3e-6))
    start = {"fresnel_rescaled": 300.0, "thin_lens": 300.0}.get(name, 20.0)

    def output(field: Tensor, wavelength: Tensor, distance: Tensor) -> Tensor:
        functions = (angular_spectrum, fresnel, fresnel_rescaled, thin_lens)
        function: Any = next(f for f in functions if f.__name__ == name)
        result = function(field, grid, wavelength * 1e-6, distance * 1e-6)
        return result[0] if isinstance(result, tuple) else result

    field = random_field(*shape).requires_grad_()
    wavelength, distance = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.532, start))
    assert torch.autograd.gradcheck(output, (field, wavelength, distance))
