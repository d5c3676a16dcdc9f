"""Apertures, soft stops and aberrations against the closed forms of diffraction, alone and in a 4f system."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import (
    Aberration,
    Aperture,
    ApodisedStop,
    FourierLens,
    KernelMask,
    LowPassStop,
    defocus,
)
from optics4f.fourier import crop_center, ft2, ift2, invert, pad_center
from optics4f.functional import intensity, largest_singular_value, power
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import m, mm, nm, um
from optics4f.zernike import axial_shift_defocus

ROUNDING = 1e-12  # float64, sums of some thousand terms
LIGHT, FOCUS = 532 * nm, 100 * mm
PITCH = 8e-6


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def plane(*shape: int) -> Grid:
    return Grid((shape[0], shape[-1]), 8 * um)


def lit(element: Any) -> Tensor:
    """An element lit with the amplitude 1."""
    return element(torch.ones(element.grid.shape, dtype=torch.complex128))


# ---- apertures


@pytest.mark.parametrize("samples", [24, 25])
@pytest.mark.parametrize("decentre", [(0, 0), (11.3, -17.9)])
@pytest.mark.parametrize("outline", [{"diameter": 120 * um}, {"width": (99 * um, 77 * um)}])
def test_grey_edge_holds_the_open_area(samples: int, decentre: tuple[float, float], outline: Any) -> None:
    """The amplitude sums to the open area exactly, and the power misses less than the edge cells can hide."""
    part = Aperture(plane(samples), **outline, decentre=[d * um for d in decentre], edge="grey")
    amplitude = part.transmittance()
    area = float(amplitude.sum()) * part.grid.cell_area
    assert area == pytest.approx(part.open_area, rel=ROUNDING)
    on_edge = int(((amplitude > 0) & (amplitude < 1 - ROUNDING)).sum())
    lost = part.open_area - float(power(lit(part), part.grid.cell_area))
    assert -ROUNDING * area <= lost <= on_edge * part.grid.cell_area / 4 + ROUNDING * area


def test_grey_edge_cell_by_cell() -> None:
    """Against the count of 400 x 400 points in each cell, off the axis."""
    grid, fine = Grid((5, 6), (8 * um, 10 * um)), 400
    part = Aperture(grid, 31 * um, decentre=(1.5 * um, -2.25 * um), edge="grey")
    position = [
        ((torch.arange(n * fine, dtype=torch.float64) + 0.5) / fine - 0.5 - n // 2) * d
        for n, d in zip(grid.shape, grid.spacing, strict=True)
    ]
    inside = (position[0][:, None] - 1.5e-6) ** 2 + (position[1] + 2.25e-6) ** 2 < 15.5e-6**2
    counted = inside.double().reshape(5, fine, 6, fine).mean((1, 3))
    # A count misses half a row of points at most along the edge, and its signs mix.
    assert float((part.transmittance() - counted).abs().max()) < 0.5 / fine


def test_hard_edge_passes_the_power_of_its_samples() -> None:
    """A slit on the borders of cells: power = open area. A disk: the number of points inside a circle."""
    slit = Aperture(plane(24), width=(5 * 8 * um, 11 * 8 * um))
    assert float(power(lit(slit), slit.grid.cell_area)) == pytest.approx(slit.open_area, rel=ROUNDING)
    disk = Aperture(plane(24), 2 * 5 * 8 * um + 0.1 * um)
    points = sum(x * x + y * y <= 25 for x in range(-9, 10) for y in range(-9, 10))
    assert points == 81  # the Gauss circle problem, N(5)
    assert float(lit(disk).real.sum()) == points


@pytest.mark.parametrize("edge", ["hard", "grey"])
def test_a_slit_moves_by_whole_samples(edge: str) -> None:
    centred = Aperture(plane(24), width=(60 * um, 50 * um), edge=edge).transmittance()
    moved = Aperture(plane(24), width=(60 * um, 50 * um), decentre=(24 * um, -16 * um), edge=edge)
    assert torch.allclose(moved.transmittance(), centred.roll((3, -2), (0, 1)), atol=ROUNDING)


@pytest.mark.parametrize("inside", [(5, 7), (6, 4), (9, 8)])
def test_a_hard_rectangle_is_the_low_pass_stop(inside: tuple[int, int]) -> None:
    """Of as many samples, even ones included: what lies on the edge is blocked by both."""
    part = Aperture(plane(12, 11), width=[n * 8 * um for n in inside])
    field = randn(2, 12, 11)
    assert torch.equal(part(field), pad_center(LowPassStop(inside)(field), (12, 11)))


# ---- in a 4f system


def relay(grid: Grid, **options: Any) -> FourF:
    pin = KernelMask(torch.ones(1, 1, 1, 1, dtype=torch.float64), trainable=False)
    return FourF(grid, LIGHT, FOCUS, pin, **options)


BENCHES: list[dict[str, Any]] = [
    {},
    {"stop": (5, 7)},
    {"stop": (4, 6), "invert_output": False},
    {"stop": (6, 8), "combiner": "bound", "second_focal_length": 60 * mm},
    {"combiner": "beam_splitter"},
]


def pupils(grid: Grid) -> nn.Sequential:
    """An aperture off the axis and an aberration behind it."""
    aperture = Aperture(grid, 3.5 * mm, decentre=(0.4 * mm, -0.3 * mm), edge="grey")
    return nn.Sequential(aperture, Aberration(grid, 4 * mm, {2: 0.3, 4: -0.4, 7: 0.2, 11: 0.1}))


def system(grid: Grid, channels: tuple[int, int], with_pupil: bool = True, **options: Any) -> FourF:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(channels[0])
        masks = KernelMask(randn(*channels, 3, 2))
    fourier_plane = relay(grid).fourier_grid
    return FourF(grid, LIGHT, FOCUS, masks, pupil=pupils(fourier_plane) if with_pupil else None, **options)


@pytest.mark.parametrize("options", BENCHES)
def test_a_pupil_in_a_4f_system_is_the_element_between_the_lenses(options: dict[str, Any]) -> None:
    """Lens, pupil, stop, masks and sum, lens by hand; the bare system lends its masks and second lens."""
    bench, bare = (system(plane(9, 10), (3, 2), with_pupil, **options) for with_pupil in (True, False))
    field = randn(4, 2, 9, 10)
    behind_pupil = pupils(bench.fourier_grid)(bench.first_lens(field))
    inside = crop_center(behind_pupil, bare.lit_shape)
    image = bare.second_lens(torch.einsum("oihw,bihw->bohw", bare.transfer(), inside))
    assert relative_error(bench(field), image if bare.invert_output else invert(image)) < ROUNDING
    # The masks are the same; T holds the pupil, and no light is gained.
    assert torch.equal(bench.transmittance(), bare.transmittance())
    assert float(largest_singular_value(bench.transfer().detach())) <= 1 + ROUNDING


def cascade(fused: bool) -> Cascade:
    """Odd and even stops, upright and inverted, unequal focal lengths, a pupil off the axis in each."""
    options: list[dict[str, Any]] = [
        {"stop": (8, 9), "second_focal_length": 60 * mm},
        {"stop": (6, 8), "invert_output": False, "combiner": "bound"},
        {"stop": (5, 6)},
    ]
    grid, stages = plane(11, 12), []
    for channels, option in zip(((3, 2), (2, 3), (4, 2)), options, strict=True):
        fourier_plane = relay(grid).fourier_grid
        pupil = nn.Sequential(
            Aperture(fourier_plane, 0.6 * min(fourier_plane.extent) * m, decentre=(0.5 * mm, -0.3 * mm)),
            Aberration(fourier_plane, 0.8 * min(fourier_plane.extent) * m, {2: 0.3, 4: -0.4, 7: 0.2}),
        )
        masks = KernelMask(randn(*channels, 3, 2))
        stages.append(FourF(grid, LIGHT, FOCUS, masks, pupil=pupil, **option))
        grid = stages[-1].output_grid
    return Cascade(stages, fused=fused)


def test_collapse_of_a_cascade_with_pupils_is_exact() -> None:
    row = cascade(fused=True)
    walked = Cascade(row.systems, fused=False)
    field = randn(2, 2, 11, 12)
    expected = walked(field)
    assert relative_error(row(field), expected) < ROUNDING
    collapsed = row.collapse()
    assert collapsed.pupil is None  # its masks hold it
    assert relative_error(collapsed(field), expected) < ROUNDING
    assert float(largest_singular_value(row.transfer().detach())) <= 1 + ROUNDING


def test_an_even_stop_with_a_round_pupil_keeps_real_pictures_real() -> None:
    """Its unpaired edge stays dark; the pupil alone, symmetric and real, keeps frequencies paired."""
    grid = plane(12, 10)
    pupil = Aperture(relay(grid).fourier_grid, 4.5 * mm, edge="grey")
    bench = FourF(grid, LIGHT, FOCUS, KernelMask(randn(2, 1, 3, 3).real), stop=(8, 6), pupil=pupil)
    assert float(bench.transfer().detach()[..., 0, :].abs().max()) == 0
    picture = torch.rand(1, 12, 10, dtype=torch.float64).to(torch.complex128)
    image = bench(picture).detach()
    assert float(image.imag.abs().max()) < ROUNDING * float(image.abs().max())


# ---- aberrations


def test_an_aberration_is_a_phase() -> None:
    part = Aberration(plane(7, 8), 30 * um, {4: 3.0, 11: -2.0, 8: 1.5})
    assert part.coefficients.requires_grad
    part = part.double()
    # |exp(i phi)| from a sine and a cosine, each rounded once.
    assert float((part.transmittance().abs() - 1).detach().abs().max()) < 1e-15
    fixed = Aberration(plane(7, 8), 30 * um, {4: 3.0}, trainable=False)
    assert [p.requires_grad for p in fixed.parameters()] == [False]


@pytest.mark.parametrize(("index", "axis"), [(2, 1), (3, 0)])
@pytest.mark.parametrize("steps", [-3, 4])
def test_tilt_moves_the_spot_to_the_growing_side(index: int, axis: int, steps: int) -> None:
    """Noll's Z2 grows along +x, Z3 along +y, by 4 a / D [waves/m]; the spot moves by lambda f times that."""
    grid, across = plane(40, 41), 30 * PITCH
    lens = FourierLens(grid, LIGHT, FOCUS)
    waves = steps * across / (4 * grid.extent[axis])
    aperture = Aperture(grid, across * m, edge="grey")
    tilted = Aberration(grid, across * m, {index: waves}).double()(lit(aperture))
    spot = intensity(lens(tilted)).detach()
    row, column = divmod(int(spot.argmax()), grid.shape[1])
    expected = [grid.shape[0] // 2, grid.shape[1] // 2]
    expected[axis] += steps
    assert [row, column] == expected
    # The coefficient is kept in float32, 6e-8 of some rad; at its peak the spot does not see that.
    untouched = intensity(lens(lit(aperture)))[grid.shape[0] // 2, grid.shape[1] // 2]
    assert float(spot.max()) == pytest.approx(float(untouched), rel=1e-11)


def test_refocusing_undoes_a_defocus() -> None:
    r"""W20 = dz NA^2 / (2 lambda) > 0: the sharp image stands dz further along the light."""
    grid, shift, across = plane(24), 0.9e-3, 5e-3
    waves = axial_shift_defocus(shift, across / 2 / 0.1, 532e-9)
    fourier_plane = relay(grid).fourier_grid
    opening = Aperture(fourier_plane, across * m)
    sharp, blurred = (
        relay(grid, pupil=opening),
        relay(grid, pupil=nn.Sequential(opening, defocus(fourier_plane, across * m, waves).double())),
    )
    field = randn(1, 24, 24)
    fy, fx = sharp.output_grid.frequencies()
    # Fresnel propagation by dz; defocus has no piston, so half of W20 stays as a constant phase.
    step = torch.exp(-1j * math.pi * 532e-9 * shift * (fy[:, None] ** 2 + fx**2))
    moved = ift2(ft2(blurred(field)) * step) * complex(math.cos(math.pi * waves), math.sin(math.pi * waves))
    assert relative_error(blurred(field), sharp(field)) > 0.5
    # The coefficient is kept in float32: 6e-8 of 2 pi W20 = 3.3 rad.
    assert relative_error(moved, sharp(field)) < 1e-6


def test_gradient_of_coefficients() -> None:
    """Through a whole 4f system, in float64; the tolerance is that of a central difference of step 1e-6."""
    bench = system(plane(6, 7), (2, 1), stop=(4, 5)).double()
    names = [name for name, _ in bench.named_parameters() if name.endswith("coefficients")]
    field = randn(1, 6, 7)

    def image(coefficients: Tensor) -> Tensor:
        return intensity(torch.func.functional_call(bench, {names[0]: coefficients}, (field,)))

    start = torch.tensor([0.3, -0.4, 0.2, 0.1], dtype=torch.float64, requires_grad=True)
    assert len(names) == 1
    assert torch.autograd.gradcheck(image, (start,))


def test_an_aberration_is_found_from_its_image() -> None:
    """Training: the coefficients that made the image of a random object come back from others."""
    grid = plane(12)
    fourier_plane = relay(grid).fourier_grid
    truth, guess = ({4: 0.12, 8: -0.07}, {4: 0.05, 8: 0.0})
    benches = [
        relay(grid, pupil=Aberration(fourier_plane, 6 * mm, values).double()) for values in (truth, guess)
    ]
    field = randn(3, 1, 12, 12)
    wanted = intensity(benches[0](field)).detach()
    part = benches[1].pupil
    assert isinstance(part, Aberration)
    optimiser = torch.optim.LBFGS(part.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = (intensity(benches[1](field)) - wanted).square().mean()
        value.backward()
        return value

    optimiser.step(loss)
    # LBFGS stops at changes of 1e-9; the truth is kept in float32, 6e-8 of 0.1.
    assert part.coefficients.tolist() == pytest.approx([0.12, -0.07], abs=1e-6)


def test_a_coefficient_set_by_hand_acts_at_once() -> None:
    """Without gradients as well, where a system may keep what it worked out before."""
    grid = plane(9)
    fourier_plane = relay(grid).fourier_grid
    bench = relay(grid, pupil=Aberration(fourier_plane, 5 * mm, {4: 0.1, 7: 0.2}, trainable=False)).double()
    fresh = relay(grid, pupil=Aberration(fourier_plane, 5 * mm, {4: 0.5, 7: 0.2}, trainable=False)).double()
    field = randn(1, 9, 9)
    with torch.no_grad():
        row = Cascade([bench])
        before, _ = bench(field), row(field)
        bench.get_parameter("pupil.coefficients")[0] = 0.5
        assert relative_error(before, fresh(field)) > 0.1
        for changed in (bench, row):
            assert relative_error(changed(field), fresh(field)) < ROUNDING


# ---- soft stops


def test_apodised_stop_has_its_closed_form() -> None:
    """1 on the axis, 1/2 half-way down its edge, 0 beyond; its integral, and no ringing to speak of."""
    grid = plane(258)
    across = 256 * PITCH
    part = ApodisedStop(grid, across * m)
    amplitude = part.transmittance()
    assert float(amplitude[129, 129]) == 1
    assert float(amplitude[129, 129 + 64]) == pytest.approx(0.5, abs=ROUNDING)
    assert float(amplitude[:, 129 + 128 :].abs().max()) < ROUNDING
    # Twice the integral of (1 + cos pi r) r / 2 is 1/2 - 2/pi^2; a smooth edge sums to h^2 = 6e-5 of itself.
    area = float(amplitude.sum()) * grid.cell_area / (math.pi / 4 * across**2)
    assert area == pytest.approx(0.5 - 2 / math.pi**2, rel=1e-4)
    soft = ApodisedStop(grid, across * m, softness=0.25).transmittance()
    assert float(soft[129, 129 + 96]) == pytest.approx(1, abs=ROUNDING)
    assert float(soft[129, 129 + 112]) == pytest.approx(0.5, abs=ROUNDING)


def test_a_soft_stop_rings_less_and_blurs_more() -> None:
    grid = plane(512)
    rings, widths = [], []
    for part in (Aperture(grid, 512e-6 * m, edge="grey"), ApodisedStop(grid, 512e-6 * m)):
        row = intensity(FourierLens(grid, LIGHT, FOCUS)(lit(part)))[256, 256:]
        row = row / row[0]
        lowest = int((row.diff() > 0).nonzero()[0])  # the first dark ring
        rings.append(float(row[lowest:].max()))
        widths.append(int((row < 0.5).nonzero()[0]))
    assert rings[0] == pytest.approx(
        0.0175, abs=5e-4
    )  # the first ring of Airy, sampled at 16 per pi / 2 of v
    assert rings[1] < rings[0] / 5
    assert widths[1] > widths[0]


# ---- refusals


def refused(pattern: str, build: Any, kind: type[Exception] = ValueError) -> None:
    with pytest.raises(kind, match=pattern):
        build()


def test_refusals_say_what_was_expected_and_what_came() -> None:
    grid = plane(10)  # its cells reach from -44 um to 36 um
    refused(r"within the plane, -44 um to 36 um in y, got -37 um to 37 um", lambda: Aperture(grid, 74 * um))
    refused(
        r"in x, got -5 um to 41 um",
        lambda: Aperture(grid, width=(20 * um, 46 * um), decentre=(0 * um, 18 * um)),
    )
    refused(r"ApodisedStop: .* got -45 um to 45 um", lambda: ApodisedStop(grid, 90 * um))
    refused(r"Aperture: expected a diameter or a width, got None and None", lambda: Aperture(grid))
    refused(r"expected a diameter or a width, got 5", lambda: Aperture(grid, 5 * um, 5 * um))
    refused(r"expected edge hard or grey, got 'soft'", lambda: Aperture(grid, 5 * um, edge="soft"))
    refused(r"got the bare number 50", lambda: Aperture(grid, 50), TypeError)
    refused(
        r"Aperture decentre: .* got the bare number 0",
        lambda: Aperture(grid, 5 * um, decentre=(0, 0)),
        TypeError,
    )
    refused(r"expected one length", lambda: Aperture(grid, (5 * um, 6 * um)), TypeError)
    refused(r"more than 0 m, got -3", lambda: Aperture(grid, width=-3 * um))
    refused(r"softness in \(0, 1\], got 1.5", lambda: ApodisedStop(grid, 50 * um, 1.5))
    refused(
        r"from 16 um, two samples, to 113.1 um, .* got 114 um", lambda: Aberration(grid, 114 * um, {4: 0.1})
    )
    refused(r"two samples, .* got 9 um", lambda: Aberration(grid, 9 * um, {4: 0.1}))
    refused(r"finite coefficients, at least one, got {}", lambda: Aberration(grid, 50 * um, {}))
    refused(r"got {4: nan}", lambda: Aberration(grid, 50 * um, {4: math.nan}))
    refused(r"index from 1 on in noll, got 0", lambda: Aberration(grid, 50 * um, {0: 0.1}))
    refused(
        r"expected a field \(..., \(10, 10\)\), got \(2, 9, 10\)",
        lambda: Aperture(grid, 5 * um)(randn(2, 9, 10)),
    )


def test_a_4f_system_refuses_a_pupil_of_another_plane() -> None:
    grid = plane(16)
    refused(
        r"FourF: expected a pupil on 16 x 16 samples at 415.6 um, got one on 16 x 16 samples at 8 um",
        lambda: relay(grid, pupil=nn.Sequential(Aperture(grid, 50 * um))),
    )
    fourier_plane = relay(grid).fourier_grid.with_shape((8, 8))
    refused(
        r"got one on 8 x 8 samples", lambda: relay(grid, stop=(8, 8), pupil=Aperture(fourier_plane, 2 * mm))
    )
