"""Polarised light: Malus, wave plates, geometric phase, and masks that see one component."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f.elements import ComplexMask, FourierLens, IntensityDetector, KernelMask, LowPassStop, PhaseMask
from optics4f.elements.polarisation import JonesMask, LinearPolariser, PerPolarisation, WavePlate
from optics4f.functional import intensity, power
from optics4f.grid import Grid
from optics4f.polarisation import (
    LEFT_CIRCULAR,
    RIGHT_CIRCULAR,
    apply_jones,
    linear_polariser,
    polarised,
    polarised_intensity,
    rotation,
    wave_plate,
)
from optics4f.system import FourF
from optics4f.units import mm, nm, um

ROUNDING = 1e-13  # float64, sums of up to some hundred terms of order 1
LIGHT, FOCUS = 532 * nm, 100 * mm
GRID = Grid((6, 5), (8 * um, 10 * um))
ANGLES = (-2.1, 0.3, math.pi / 4, 1.9)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def rand(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().max())


def linear(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


def through(vector: tuple[complex, complex], *matrices: Tensor) -> Tensor:
    """The Jones vector behind some elements, that of one sample of unit intensity."""
    light = polarised(torch.ones(1, 1, 1, dtype=torch.complex128), vector)
    for matrix in matrices:
        light = apply_jones(light, matrix)
    return light.flatten()


def brightness(vector: tuple[complex, complex], *matrices: Tensor) -> float:
    return float(through(vector, *matrices).abs().square().sum())


# ---- polarisers and plates


@pytest.mark.parametrize("psi", ANGLES)
@pytest.mark.parametrize("theta", ANGLES)
def test_malus(psi: float, theta: float) -> None:
    light = through(linear(psi), linear_polariser(theta))
    assert float(light.abs().square().sum()) == pytest.approx(math.cos(psi - theta) ** 2, abs=ROUNDING)
    # What comes through is linear at theta.
    assert abs(complex(light[0] * math.sin(theta) - light[1] * math.cos(theta))) < ROUNDING


def test_crossed_polarisers_and_a_third_one_between_them() -> None:
    """Unpolarised light, the mean of two orthogonal polarisations: 1/2, 0 and 1/8 of the power."""
    x, diagonal, y = (linear_polariser(angle) for angle in (0.0, math.pi / 4, math.pi / 2))
    for one, other in (
        ((1, 0), (0, 1)),
        (LEFT_CIRCULAR, RIGHT_CIRCULAR),
        (linear(0.4), linear(0.4 + math.pi / 2)),
    ):
        for plates, expected in (((x,), 1 / 2), ((x, y), 0.0), ((x, diagonal, y), 1 / 8)):
            got = (brightness(one, *plates) + brightness(other, *plates)) / 2
            assert got == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize(
    ("angle", "expected"), [(-math.pi / 4, LEFT_CIRCULAR), (math.pi / 4, RIGHT_CIRCULAR)]
)
def test_a_quarter_wave_plate_makes_circular_light(angle: float, expected: tuple[complex, complex]) -> None:
    """Light along x; the slow axis, at angle + 90 degrees, lags: exp(-i omega t) gains phase +pi/2 there."""
    light = through((1, 0), wave_plate(math.pi / 2, angle))
    assert float(light[0].abs()) == pytest.approx(math.sqrt(0.5), abs=ROUNDING)
    assert abs(complex(light[1] / light[0]) - expected[1]) < ROUNDING
    for theta in ANGLES:  # circular: every polariser lets half of it through
        half = brightness((1, 0), wave_plate(math.pi / 2, angle), linear_polariser(theta))
        assert half == pytest.approx(0.5, abs=ROUNDING)


def test_left_circular_light_turns_counter_clockwise() -> None:
    """Re[(1, i) exp(-i omega t)] = (cos, sin): from +x towards +y, seen against the light."""
    turning = [(complex(LEFT_CIRCULAR[k]) * complex(math.cos(0.1), -math.sin(0.1))).real for k in (0, 1)]
    assert turning == pytest.approx([math.cos(0.1), math.sin(0.1)], abs=ROUNDING)


@pytest.mark.parametrize("theta", ANGLES)
def test_a_half_wave_plate_turns_linear_light(theta: float) -> None:
    """From psi to 2 theta - psi; from the axis x by 2 theta."""
    for psi in (0.0, 0.7):
        light = through(linear(psi), wave_plate(math.pi, theta))
        expected = torch.tensor(linear(2 * theta - psi), dtype=torch.complex128)
        assert difference(light, expected) < ROUNDING


@pytest.mark.parametrize("theta", ANGLES)
def test_plates_are_turned_elements(theta: float) -> None:
    turned, back = rotation(theta), rotation(-theta)
    slow = torch.diag(torch.tensor([1, complex(math.cos(1.1), math.sin(1.1))], dtype=torch.complex128))
    assert difference(wave_plate(1.1, theta), turned.to(slow) @ slow @ back.to(slow)) < ROUNDING
    passed = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert difference(linear_polariser(theta), turned @ passed @ back) < ROUNDING
    expected = torch.tensor(linear(0.2 + theta), dtype=torch.complex128)
    assert difference(through(linear(0.2), turned), expected) < ROUNDING


@pytest.mark.parametrize("retardance", [math.pi, 2.0])
def test_geometric_phase_of_nanofins(retardance: float) -> None:
    r"""sin^2(G/2) is converted with the phase +-2 theta, cos^2(G/2) keeps its helicity and gets none."""
    theta = 6 * rand(6, 5)
    plane = torch.ones(1, 6, 5, dtype=torch.complex128)
    common = complex(math.cos(retardance / 2), math.sin(retardance / 2))  # exp(i G/2) of both
    for before, behind, sign in ((LEFT_CIRCULAR, RIGHT_CIRCULAR, 2), (RIGHT_CIRCULAR, LEFT_CIRCULAR, -2)):
        got = apply_jones(polarised(plane, before), wave_plate(retardance, theta))
        phase = torch.exp(1j * sign * theta)
        converted = polarised(-1j * math.sin(retardance / 2) * common * phase * plane, behind)
        kept = polarised(math.cos(retardance / 2) * common * plane, before)
        assert difference(got, converted + kept) < ROUNDING


def test_a_gradient_of_nanofins_steers_circular_light() -> None:
    """2 theta = 2 pi k x / L: left circular light goes to the sample +k of the focal plane, right to -k."""
    lens, turns = FourierLens(GRID, LIGHT, FOCUS), torch.arange(5, dtype=torch.float64) / 5
    fins = WavePlate("180 deg", (math.pi * turns).expand(6, 5))
    for vector, column in ((LEFT_CIRCULAR, 3), (RIGHT_CIRCULAR, 1)):
        spot = polarised_intensity(lens(fins(polarised(torch.ones(1, 6, 5, dtype=torch.complex128), vector))))
        assert divmod(int(spot.argmax()), 5) == (3, column)
        assert float(spot.max() / spot.sum()) == pytest.approx(1, abs=ROUNDING)


@pytest.mark.parametrize("shape", [(), (6, 5), (2, 6, 5)])
def test_lossless_elements_keep_the_power_of_every_sample(shape: tuple[int, ...]) -> None:
    field = randn(3, 2, 2, 6, 5)
    before = polarised_intensity(field)
    for matrix in (
        rotation(6 * rand(*shape)),
        wave_plate(6 * rand(*shape), 0.3),
        wave_plate(0.4, rand(*shape)),
    ):
        after = polarised_intensity(apply_jones(field, matrix))
        assert difference(after, before) < ROUNDING * float(before.max())


def test_a_map_is_its_samples_one_by_one() -> None:
    """Every sample and channel meets its own matrix."""
    retardance, angle, field = 6 * rand(2, 6, 5), 6 * rand(2, 6, 5), randn(2, 2, 6, 5)
    got = apply_jones(field, wave_plate(retardance, angle))
    for c, y, x in ((0, 0, 0), (1, 3, 4), (0, 5, 2)):
        expected = wave_plate(float(retardance[c, y, x]), float(angle[c, y, x])) @ field[:, c, y, x]
        assert difference(got[:, c, y, x], expected) < ROUNDING


# ---- masks that see one component


@pytest.mark.parametrize("psi", ANGLES)
def test_zero_order_of_an_lcos(psi: float) -> None:
    r"""Light at psi to the director: sin^2 psi unmodulated and cos^2 psi |mean t|^2 in the zero order."""
    phase = 6 * rand(1, 1, 6, 5)
    device, lens = JonesMask(GRID, PhaseMask(phase)), FourierLens(GRID, LIGHT, FOCUS)
    field = polarised(torch.ones(1, 6, 5, dtype=torch.complex128), linear(psi))
    focus = polarised_intensity(lens(device(field)))[0].detach()
    total = float(focus.sum())
    # All power is there: nothing is lost at a phase-only device.
    assert total * lens.output_grid.cell_area == pytest.approx(30 * GRID.cell_area, rel=1e-12)
    modulated = float(torch.exp(1j * phase).mean().abs() ** 2)
    expected = math.sin(psi) ** 2 + math.cos(psi) ** 2 * modulated
    assert float(focus[3, 2]) / total == pytest.approx(expected, abs=ROUNDING)


def test_a_polariser_along_the_director_removes_the_leak() -> None:
    """Behind it the x component alone is left: the masked light, as scalar optics have it."""
    masks = PhaseMask(6 * rand(1, 1, 6, 5))
    row = nn.Sequential(LinearPolariser("0 deg"), JonesMask(GRID, masks, 0.6 - 0.3j))
    field = randn(2, 1, 6, 5)
    got = row(polarised(field, linear(0.6)))
    scalar = math.cos(0.6) * masks(field[:, None])[:, 0]
    assert difference(got[:, 0], scalar) < ROUNDING
    assert float(got[:, 1].detach().abs().max()) == 0


def test_the_leak_passes_every_arm_with_its_amplitude() -> None:
    """Two channels into three: (U_1 + U_2) a c in each, with the factor c of beam splitters."""
    device = JonesMask(GRID, KernelMask(randn(3, 2, 3, 2)), 0.4j, combiner="beam_splitter")
    field = randn(4, 2, 2, 6, 5)
    expected = 0.4j / math.sqrt(6) * field[:, 1].sum(-3, keepdim=True).expand(4, 3, 6, 5)
    assert difference(device(field)[:, 1], expected) < ROUNDING


@pytest.mark.parametrize("combiner", ["ideal", "bound", "beam_splitter", 0.2])
def test_two_banks_between_two_lenses_are_two_systems(combiner: Any) -> None:
    """What a row of lens, Jones mask, stop and lens gives is two 4f systems with one common factor."""
    banks = [ComplexMask(values / values.abs().max()) for values in (randn(3, 2, 6, 5), randn(3, 2, 6, 5))]
    first = FourierLens(GRID, LIGHT, FOCUS)
    masks = JonesMask(first.output_grid, *banks, combiner)
    second = FourierLens(first.output_grid.with_shape((3, 4)), LIGHT, FOCUS)
    row = nn.Sequential(first, masks, LowPassStop((3, 4)), second)
    both = torch.cat([bank.transmittance((6, 5)) for bank in banks], 2)  # one bank with twice the frequencies
    factor = float(masks.combiner.factor(both))
    systems = PerPolarisation(
        *(FourF(GRID, LIGHT, FOCUS, bank, stop=(3, 4), combiner=factor) for bank in banks)
    )
    field = randn(2, 2, 2, 6, 5)
    expected = systems(field)
    assert difference(row(field), expected) < ROUNDING * float(expected.detach().abs().max()) * 10
    one, other = (
        intensity(FourF(GRID, LIGHT, FOCUS, b, stop=(3, 4), combiner=factor)(field[:, k]))
        for k, b in enumerate(banks)
    )
    assert difference(polarised_intensity(row(field)), one + other) < 10 * ROUNDING * float(one.max())


def test_ideal_masks_are_passive_for_both_components() -> None:
    """The leak of all arms has a larger gain than the masks: it decides on the common factor."""
    device = JonesMask(GRID, ComplexMask(0.1 * torch.ones(3, 2, 6, 5, dtype=torch.complex128)), 1.0)
    gains = torch.linalg.matrix_norm(device.transfer().flatten(3).movedim(3, 1), ord=2).amax(1)
    assert gains.tolist() == pytest.approx([0.1, 1.0], abs=ROUNDING)


def test_a_system_blind_to_polarisation_takes_the_field_as_it_is() -> None:
    bench = FourF(GRID, LIGHT, FOCUS, KernelMask(randn(3, 2, 3, 2)))
    field = randn(2, 2, 2, 6, 5)
    assert difference(bench(field), PerPolarisation(bench, bench)(field)) < ROUNDING


def test_a_detector_sums_the_power_of_both_components() -> None:
    """Crossed waves make no fringes; the same waves in one polarisation do."""
    wave = torch.exp(2j * math.pi * torch.arange(5, dtype=torch.float64) / 5).expand(1, 6, 5)
    plane = torch.ones(1, 6, 5, dtype=torch.complex128)
    crossed = polarised(plane, (1, 0)) + polarised(wave, (0, 1))
    parallel = polarised(plane, (1, 0)) + polarised(wave, (1, 0))
    assert difference(polarised_intensity(crossed), torch.full((1, 6, 5), 2.0)) < ROUNDING
    fringes = 2 + 2 * torch.cos(2 * math.pi * torch.arange(5, dtype=torch.float64) / 5)
    assert difference(polarised_intensity(parallel), fringes.expand(1, 6, 5)) < ROUNDING
    pixels = IntensityDetector(GRID, (2, 3))(crossed).sum(-4)
    # 6 pixels share the power of both components evenly.
    assert (
        difference(pixels / (2 * 30 * GRID.cell_area), torch.full((1, 2, 3), 1 / 6, dtype=torch.float64))
        < ROUNDING
    )


def test_polarising_light_keeps_its_power() -> None:
    field = randn(3, 2, 6, 5)
    for vector in ((2, 0), (3, -4j), torch.tensor([0.1, 0.2 + 1j])):
        got = power(polarised(field, vector), GRID.cell_area).sum(-2)
        assert torch.allclose(got, power(field, GRID.cell_area), rtol=1e-12, atol=0)


def test_gradients() -> None:
    """Of the field, the retardance, and a map of angles."""
    angle, retardance = nn.Parameter(rand(6, 5)), nn.Parameter(rand())
    plate, polariser = WavePlate(retardance, angle), LinearPolariser(nn.Parameter(rand()))
    assert [name for name, _ in plate.named_parameters()] == ["retardance", "angle"]
    field = randn(2, 1, 6, 5).requires_grad_()

    def output(light: Tensor, *numbers: Tensor) -> Tensor:
        first = torch.func.functional_call(plate, {"retardance": numbers[0], "angle": numbers[1]}, (light,))
        return torch.func.functional_call(polariser, {"angle": numbers[2]}, (first,))

    values = [p.detach().clone().requires_grad_() for p in (retardance, angle, polariser.angle)]
    assert torch.autograd.gradcheck(output, (field, *values), fast_mode=True)


def test_single_precision_stays_single() -> None:
    field = randn(2, 1, 6, 5).to(torch.complex64)
    got = WavePlate("90 deg", 6 * rand(6, 5))(LinearPolariser("0.3 rad")(field))
    assert got.dtype == torch.complex64


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: apply_jones(randn(2, 1, 6, 5), torch.ones(2, 3)), r"a matrix \(2, 2\) or .*, got \(2, 3\)"),
        (lambda: apply_jones(randn(2, 1, 6, 5), torch.ones(2, 2, 5)), r"got \(2, 2, 5\)"),
        (
            lambda: apply_jones(randn(3, 1, 6, 5), torch.eye(2)),
            r"two components \(\.\.\., 2, C, H, W\), got \(3, 1, 6, 5\)",
        ),
        (lambda: apply_jones(randn(2, 6, 5), torch.eye(2)), r"two components .*, got \(2, 6, 5\)"),
        (
            lambda: PerPolarisation(nn.Identity(), nn.Identity())(randn(1, 1, 6, 5)),
            r"PerPolarisation: expected",
        ),
        (lambda: polarised(randn(1, 6, 5), (0, 0)), r"a vector \(x, y\) other than 0, got \(0, 0\)"),
        (lambda: polarised(randn(1, 6, 5), torch.ones(3)), r"a vector \(x, y\) other than 0"),
        (lambda: JonesMask(GRID, PhaseMask(rand(1, 1, 6, 5)), 1.2j), r"\|t\| <= 1, got \|t\| = 1\.2"),
        (lambda: JonesMask(GRID, PhaseMask(rand(1, 1, 6, 5)), math.nan), r"\|t\| <= 1, got \|t\| = nan"),
        (lambda: JonesMask(GRID, PhaseMask(rand(1, 1, 7, 5))), r"at most \(6, 5\) samples.*got \(7, 5\)"),
        (
            lambda: JonesMask(GRID, PhaseMask(rand(1, 2, 6, 5)), PhaseMask(rand(2, 1, 6, 5))),
            r"y with channels \(1, 2\), got \(2, 1\)",
        ),
        (
            lambda: JonesMask(GRID, PhaseMask(rand(1, 2, 6, 5)))(randn(2, 1, 6, 5)),
            r"JonesMask: expected a field \(\.\.\., \(2, 6, 5\)\), got \(2, 1, 6, 5\)",
        ),
        (lambda: LinearPolariser(torch.tensor(math.inf)), r"LinearPolariser angle: expected a real, finite"),
        (lambda: WavePlate(torch.tensor(1j), "0 rad"), r"WavePlate retardance: expected .* torch\.complex64"),
    ],
)
def test_refused(build: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


def test_a_real_field_is_refused() -> None:
    with pytest.raises(TypeError, match=r"polarised_intensity: expected a complex tensor, got .*float64"):
        polarised_intensity(rand(2, 1, 6, 5))


def test_a_bare_number_of_an_element_is_refused() -> None:
    with pytest.raises(
        TypeError, match="WavePlate angle: expected a quantity with a unit such as '1 rad', got"
    ):
        WavePlate("180 deg", 0.5)
