"""One lens between its focal planes, and one lens alone, against the closed forms of the textbook."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f.elements import Aberration, FourierLens, FreeSpace, Prism, ThinLens
from optics4f.functional import intensity
from optics4f.grid import Grid
from optics4f.propagation import fresnel_range
from optics4f.units import m, mm, nm, um
from optics4f.zernike import defocus_coefficient

ROUNDING = 1e-12  # float64, sums of some thousand terms
WAVELENGTH, FOCAL_LENGTH = 532e-9, 0.1


def lens(shape: tuple[int, int], dy: float = 8, dx: float = 8) -> FourierLens:
    return FourierLens(Grid(shape, (dy * um, dx * um)), 532 * nm, 100 * mm)


def test_pitch_and_extent_of_the_fourier_plane() -> None:
    plane = lens((224, 112), 8, 10).output_grid
    # lambda f / (N dx) and lambda f / dx; for N = 224 and dx = 8 um the well-known 29.69 um and 6.65 mm.
    assert plane.spacing == pytest.approx((29.6875e-6, 47.5e-6), rel=ROUNDING)
    assert plane.extent == pytest.approx((6.65e-3, 5.32e-3), rel=ROUNDING)


@pytest.mark.parametrize("shape", [(12, 15), (15, 12)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", [-3, 2])
def test_a_growing_phase_moves_the_spot_to_the_growing_side(
    shape: tuple[int, int], axis: int, order: int
) -> None:
    """A phase that grows along +y moves the spot to +y, by lambda f times its frequency; x likewise."""
    part = lens(shape, 8, 10)
    frequency = order / part.grid.extent[axis]
    ramp = torch.exp(2j * math.pi * frequency * part.grid.coordinates()[axis])
    spot = part((ramp[:, None] if axis == 0 else ramp[None]).expand(shape)).abs()
    row, column = divmod(int(spot.argmax()), shape[1])
    position = [
        coordinates[i].item()
        for coordinates, i in zip(part.output_grid.coordinates(), (row, column), strict=True)
    ]
    expected = [0.0, 0.0]
    expected[axis] = WAVELENGTH * FOCAL_LENGTH * frequency
    assert position == pytest.approx(expected, rel=ROUNDING, abs=1e-15)
    assert float(spot.max() ** 2 / spot.square().sum()) == pytest.approx(
        1, rel=ROUNDING
    )  # all light is there


@pytest.mark.parametrize("shape", [(16, 21), (21, 16)])
def test_amplitude_on_the_axis_is_the_integral_over_lambda_f(shape: tuple[int, int]) -> None:
    """A slit of 5 x 7 samples with amplitude 3: 3 a b / (lambda f), with phase 0."""
    part = lens(shape, 8, 10)
    field = torch.zeros(shape, dtype=torch.complex128)
    y, x = part.grid.coordinates()
    field[(y[:, None].abs() < 2.5 * 8e-6) & (x.abs() < 3.5 * 10e-6)] = 3
    area = 5 * 8e-6 * 7 * 10e-6
    on_axis = complex(part(field)[shape[0] // 2, shape[1] // 2])
    assert on_axis == pytest.approx(3 * area / (WAVELENGTH * FOCAL_LENGTH), rel=ROUNDING)


# ---- the input plane elsewhere


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("shape", [(16, 21), (21, 16)])
@pytest.mark.parametrize("distance", ["98.9 mm", "100 mm", "101.3 mm"])
def test_an_object_elsewhere_is_free_space_before_the_ideal_lens(
    shape: tuple[int, int], distance: str
) -> None:
    """The curvature exp[i pi (1 - d/f) u^2/(lambda f)] is Fresnel propagation by d - f."""
    grid = Grid(shape, (8 * um, 10 * um))
    curved = FourierLens(grid, 532 * nm, 100 * mm, object_distance=distance)
    space = FreeSpace(grid, 532 * nm, (curved.object_distance - FOCAL_LENGTH) * m, "fresnel")
    ideal, field = FourierLens(grid, 532 * nm, 100 * mm), randn(2, *shape)
    assert relative_error(curved(field), ideal(space(field))) < ROUNDING
    assert relative_error(intensity(curved(field)), intensity(ideal(field))) < ROUNDING


def test_sign_of_the_curvature_of_an_object_against_the_lens() -> None:
    """d < f: the phase grows away from the axis, as of light that comes from a point before the plane."""
    part = FourierLens(Grid((8, 9), 8 * um), 532 * nm, 0.5 * mm, object_distance="0 mm")
    ideal = FourierLens(part.grid, 532 * nm, 0.5 * mm)
    point = torch.zeros(8, 9, dtype=torch.complex128)
    point[4, 4] = 1
    u = part.output_grid.spacing[1]
    expected = math.pi * u**2 / (WAVELENGTH * 0.5e-3)
    assert float((part(point) / ideal(point))[4, 5].angle()) == pytest.approx(expected, rel=1e-10)
    assert expected > 0.1


def test_gradient_of_the_object_distance() -> None:
    grid = Grid((5, 6), 2 * um)
    part = FourierLens(grid, 532 * nm, 1 * mm, object_distance="1.01 mm", trainable=True)
    ((name, distance),) = part.named_parameters()
    assert name == "object_distance" and distance.dtype == torch.float64
    field = randn(5, 6)

    def output(micrometres: Tensor) -> Tensor:  # the step of gradcheck is 1e-6 of these
        return torch.func.functional_call(part, {name: micrometres * 1e-6}, (field,))

    assert torch.autograd.gradcheck(output, (distance.detach().mul(1e6).requires_grad_(),))
    fixed = FourierLens(grid, 532 * nm, 1 * mm, object_distance="1.01 mm")
    assert not list(fixed.parameters()) and torch.equal(fixed(field), part(field))
    assert str(part) == str(fixed) and "f 1 mm, object 1.01 mm before it" in str(fixed)


# ---- one thin lens


def thin(shape: tuple[int, int] = (20, 23), focal_length: Any = 3 * mm, **options: Any) -> ThinLens:
    return ThinLens(Grid(shape, (6 * um, 5 * um)), 532 * nm, focal_length, **options)


@pytest.mark.parametrize("shape", [(20, 23), (23, 20)])
def test_a_decentred_lens_is_a_centred_one_with_a_prism(shape: tuple[int, int]) -> None:
    """|x - d|^2 = |x|^2 - 2 x d + |d|^2: a tilt of d/(lambda f) and a constant phase."""
    dy, dx, area = 17e-6, -31e-6, WAVELENGTH * 3e-3
    centred = thin(shape)
    prism = Prism(centred.grid, (dy / area, dx / area))
    constant = torch.tensor(-1j * math.pi * (dy**2 + dx**2) / area, dtype=torch.complex128).exp()
    field = randn(2, *shape)
    got = thin(shape, decentre=(17 * um, -31 * um))(field)
    assert relative_error(got, constant * prism(centred(field))) < ROUNDING


def test_the_rim_moves_with_the_lens() -> None:
    lens = thin(diameter=40 * um, decentre=("12 um", "-20 um"))
    lit = lens(torch.ones(20, 23, dtype=torch.complex128)).abs()
    y, x = lens.grid.coordinates()
    assert float((lit.sum(1) * y).sum() / lit.sum()) == pytest.approx(12e-6, rel=ROUNDING)  # both on samples
    assert float((lit.sum(0) * x).sum() / lit.sum()) == pytest.approx(-20e-6, rel=ROUNDING)
    inside = (y[:, None] - 12e-6) ** 2 + (x + 20e-6) ** 2 <= (20e-6) ** 2 * (1 + 1e-9)
    assert torch.equal(lit > 0.5, inside)


def test_the_focus_moves_with_the_lens() -> None:
    """Collimated light meets the axis of the lens, one focal length behind it."""
    grid = Grid((64, 64), 8 * um)
    focal_length = fresnel_range(grid, WAVELENGTH)
    y, x = grid.coordinates()
    beam = torch.exp(-(y[:, None] ** 2 + x**2) / 60e-6**2).to(torch.complex128)
    space = FreeSpace(grid, WAVELENGTH * m, focal_length * m, "fresnel")
    spots = []
    for centre in ((0 * um, 0 * um), (-40 * um, 72 * um)):
        # 420 um of 512: what the plane holds of a lens that far off the axis. exp(-(138/60)^2) = 5e-3 of the
        # amplitude is cut off at the nearer edge, which does not move the middle of the spot.
        lens = ThinLens(grid, WAVELENGTH * m, focal_length * m, diameter=420 * um, decentre=centre)
        spots.append(intensity(space(lens(beam))))
    rows, columns = (divmod(int(spot.argmax()), 64) for spot in spots)
    assert rows == (32, 32) and columns == (32 - 5, 32 + 9)


def test_numerical_aperture_is_the_paraxial_one() -> None:
    """D = 2 f NA, and the light at the rim is bent to the spatial frequency NA / lambda."""
    lens = thin(numerical_aperture=0.008)
    assert lens.diameter == pytest.approx(48e-6, rel=ROUNDING)
    field = randn(20, 23)
    assert torch.equal(lens(field), thin(diameter=lens.diameter * m)(field))
    fine = ThinLens(Grid((1, 4001), 0.01 * um), 532 * nm, 3 * mm, numerical_aperture=0.006)
    phase = fine(torch.ones(1, 4001, dtype=torch.complex128))[0]
    edge = 2000 + 1799  # the last pair of samples inside the radius of 18 um
    step = float((phase[edge + 1] / phase[edge]).angle())
    # The step stands half a sample inside the rim, at 1799.5 of 1800 samples.
    assert step / (2 * math.pi * 0.01e-6) == pytest.approx(-0.006 / WAVELENGTH, rel=1e-3)


def test_a_change_of_focal_length_is_a_defocus_at_the_lens() -> None:
    """A lens and Zernike terms in its plane: W20 = D^2/(8 lambda) (1/f - 1/f'), and a piston."""
    across, focal_length, other = 90e-6, 3e-3, 2.8e-3
    lens, field = thin(numerical_aperture=across / (2 * focal_length)), randn(20, 23)
    waves = across**2 / 8 / WAVELENGTH * (1 / focal_length - 1 / other)
    terms = {1: waves / 2, 4: defocus_coefficient(waves)}
    refocused = nn.Sequential(lens, Aberration(lens.grid, across * m, terms).double())
    # Coefficients are made in float32: 6e-8 of some waves.
    assert relative_error(refocused(field), thin(focal_length=other * m, diameter=across * m)(field)) < 1e-6


def test_a_decentre_is_a_tilt_at_the_lens() -> None:
    """Noll's Z2 and Z3 have slopes of 4 a/D [waves/m] along x and y; a decentre d has d/(lambda f)."""
    lens, field, (dy, dx) = thin(), randn(20, 23), (9e-6, -14e-6)
    across, area = math.hypot(*lens.grid.extent), WAVELENGTH * 3e-3  # a disk round the whole plane
    terms = {1: -(dy**2 + dx**2) / (2 * area), 2: dx * across / (4 * area), 3: dy * across / (4 * area)}
    tilted = nn.Sequential(lens, Aberration(lens.grid, across * m, terms).double())
    assert relative_error(tilted(field), thin(decentre=(dy * m, dx * m))(field)) < 1e-6  # as above


@pytest.mark.parametrize("trainable", [(), ("focal_length",), ("decentre",), ("decentre", "focal_length")])
def test_what_is_trained_is_chosen_by_name(trainable: tuple[str, ...]) -> None:
    options: Any = {"numerical_aperture": 0.0081, "decentre": (2 * um, -3 * um)}
    lens, fixed, field = thin(trainable=trainable, **options), thin(**options), randn(20, 23)
    assert {name for name, _ in lens.named_parameters()} == set(trainable)
    assert all(p.dtype == torch.float64 for p in lens.parameters())
    assert torch.equal(lens(field), fixed(field))
    assert str(lens) == str(fixed) and "centre (2 um, -3 um)" in str(fixed)
    other = thin(trainable=trainable, **options | {"decentre": (0 * um, 0 * um)}, focal_length=4 * mm)
    other.load_state_dict(lens.state_dict())
    for name in trainable:
        assert torch.equal(getattr(other, name), getattr(lens, name))


def test_gradients_of_focal_length_and_decentre() -> None:
    """No sample lies within the step of gradcheck of the hard rim, which passes no gradient."""
    lens = thin(
        (5, 6),
        0.3 * mm,
        diameter=23 * um,
        decentre=(1.1 * um, -0.7 * um),
        trainable=("focal_length", "decentre"),
    )
    field = randn(5, 6)

    def output(field: Tensor, focal_length: Tensor, decentre: Tensor) -> Tensor:
        numbers = {"focal_length": focal_length * 1e-6, "decentre": decentre * 1e-6}  # from micrometres
        return torch.func.functional_call(lens, numbers, (field,))

    start = [value.detach().mul(1e6).requires_grad_() for value in (lens.focal_length, lens.decentre)]
    assert torch.autograd.gradcheck(output, (field.requires_grad_(), *start))


def test_a_lens_that_training_drove_beyond_its_samples_is_refused() -> None:
    lens = thin(trainable=("focal_length",))
    with torch.no_grad():
        lens.focal_length.mul_(0.1)
    with pytest.raises(ValueError, match="its phase would alias"):
        lens(randn(20, 23))


@pytest.mark.parametrize(
    ("kind", "build", "words"),
    [
        (
            ValueError,
            lambda: thin(diameter="1 um", numerical_aperture=0.1),
            "or a numerical_aperture, got 1 um",
        ),
        (ValueError, lambda: thin(numerical_aperture=0.0), r"numerical_aperture in \(0, 1\), got 0\.0"),
        (ValueError, lambda: thin(numerical_aperture=1.0), r"numerical_aperture in \(0, 1\), got 1\.0"),
        (ValueError, lambda: thin(numerical_aperture=math.nan), r"numerical_aperture in \(0, 1\), got nan"),
        (TypeError, lambda: thin(decentre="1 um"), r"ThinLens: expected a decentre \(y, x\), got '1 um'"),
        (TypeError, lambda: thin(decentre=(0, 1e-6)), "ThinLens decentre: expected a quantity"),
        (
            ValueError,
            lambda: thin(trainable=("diameter",)),
            r"focal_length or decentre to train, got \('diameter'",
        ),
        (ValueError, lambda: thin(trainable="decentre"), "focal_length or decentre to train, got 'decentre'"),
        # lambda f / dx = 319.2 um; the plane is 110 um wide, and 2 x 110 um come with the decentre.
        (
            ValueError,
            lambda: thin(decentre=("0 um", "110 um")),
            r"at most lambda f / dx = 319\.2 um .* got 330 um",
        ),
        (
            ValueError,
            lambda: thin(decentre=("-80 um", "0 um")),
            r"at most lambda f / dx = 266 um .* got 280 um",
        ),
        (
            ValueError,
            lambda: FourierLens(Grid((64, 64), 8 * um), 532 * nm, 100 * mm, object_distance="92 mm"),
            r"object_distance from 92\.3 mm to 107\.7 mm, where 64 x 64 .* got 92 mm",
        ),
        (
            ValueError,
            lambda: FourierLens(Grid((64, 64), 8 * um), 532 * nm, 1 * mm, object_distance="-1 um"),
            r"object_distance from 0 m to 8\.699 mm, .* got -1 um",
        ),
        (ValueError, lambda: FourierLens(Grid((4, 4), 8 * um), 532 * nm, 1 * mm, trainable=True), "got none"),
        (
            TypeError,
            lambda: FourierLens(Grid((4, 4), 8 * um), 532 * nm, 1 * mm, 0.1),
            "FourierLens object_distance",
        ),
    ],
)
def test_refused(kind: type[Exception], build: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        build()
