"""Signed readouts: exact without noise, and with the shot noise that the closed forms give.

Random numbers come from fixed seeds; bounds are five standard deviations of the statistic.
"""

import math

import pytest
import torch
from torch import Generator, Tensor

from optics4f.detection import photons_per_joule
from optics4f.elements import (
    BalancedHomodyne,
    Camera,
    FourStepReadout,
    HomodyneReadout,
    IntensityDetector,
    OffAxisReadout,
    Sensor,
)
from optics4f.functional import power
from optics4f.grid import Grid
from optics4f.units import nm, uW

ROUNDING = 1e-12  # float64, sums of some hundred terms
SIGMAS = 5
GREEN = 532e-9
TIME = 1e-4
ETA = 0.6
FRAMES = 4000
# Shot noise alone: the rounding adds 1/12 of an electron squared to some thousands.
SHOT = Sensor(ETA, full_well=math.inf, dark_noise=0.0, gain=1.0, bits=24, offset=0)
PHOTON = 1 / (photons_per_joule(GREEN) * TIME)  # [W], one photon in one exposure
GRIDS = [(5, 6), (6, 5), (4, 6), (5, 7)]
SIZES = [(2, 3), (9, 8), (5, 6)]


def plane(shape: tuple[int, int]) -> Grid:
    return Grid(shape, ("8 um", "10 um"))


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=Generator().manual_seed(seed))


def error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def camera(grid: Grid, pixels: tuple[int, int], sensor: Sensor = SHOT, seed: int = 0) -> Camera:
    return Camera(grid, pixels, sensor, "532 nm", "100 us", seed)


def watts_for(photons: float, eye: Camera) -> float:
    """Power over the plane that brings so many photons to every pixel."""
    return photons * PHOTON * math.prod(eye.pixel_grid.shape)


def plane_wave(watts: float, grid: Grid, phase: float = 0.0) -> Tensor:
    amplitude = math.sqrt(watts / (grid.extent[0] * grid.extent[1]))
    return torch.full(
        grid.shape, amplitude * complex(math.cos(phase), math.sin(phase)), dtype=torch.complex128
    )


def quadratures(grid: Grid, pixels: tuple[int, int], field: Tensor) -> Tensor:
    """The mean of the field over every pixel, by the ideal readout of both quadratures."""
    return torch.complex(*(HomodyneReadout(grid, pixels, phase)(field) for phase in (0.0, math.pi / 2)))


# ---- four steps


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("pixels", SIZES)
def test_four_steps_give_the_complex_mean_over_every_pixel(
    shape: tuple[int, int], pixels: tuple[int, int]
) -> None:
    field = randn(2, *shape)
    readout = FourStepReadout(IntensityDetector(plane(shape), pixels), "10 nW")
    assert error(readout(field), quadratures(plane(shape), pixels, field)) < ROUNDING


@pytest.mark.parametrize("phase", [0.0, 0.4, math.pi / 2, -2.0])
def test_a_longer_path_of_the_signal_is_a_larger_phase(phase: float) -> None:
    """exp(-i omega t): light delayed by d has the factor exp(+i k d) and reads as +k d, not conjugated."""
    grid = plane((5, 6))
    got = FourStepReadout(IntensityDetector(grid, (2, 3)), 10 * uW)(plane_wave(1e-6, grid, phase))
    assert error(got, plane_wave(1e-6, grid, phase)[:2, :3]) < ROUNDING


@pytest.mark.parametrize("reference", [100.0, 4000.0])
def test_noise_of_four_steps(reference: float) -> None:
    """Real and imaginary part each have the variance epsilon (|U|^2 + R^2) / (8 eta A R^2), and no bias."""
    grid, pixels = plane((5, 6)), (5, 6)
    eye = camera(grid, pixels, SHOT.with_numbers(gain=64.0))  # rounding adds 2e-5 of an electron squared
    field = plane_wave(watts_for(200.0, eye), grid, 0.7).expand(FRAMES, -1, -1)
    got = FourStepReadout(eye, f"{watts_for(reference, eye)!r} W")(field)
    expected = PHOTON / eye.pixel_grid.cell_area / (8 * ETA) * (1 + 200 / reference)
    n = got.numel()
    for part, truth in ((got.real, field.real), (got.imag, field.imag)):
        assert abs(float((part - truth).mean())) < SIGMAS * math.sqrt(expected / n)
        # Four counts of 20 and more: the kurtosis is below that of one, 3 + 1/20.
        assert float(part.var()) == pytest.approx(expected, rel=SIGMAS * math.sqrt(2.05 / n))


def test_offset_and_dark_current_of_the_sensor_drop_out() -> None:
    grid = plane((5, 6))
    chip = Sensor(ETA, 1e5, 0.0, 0.9, 16, offset=200, dark_current="1e5 1/s")
    eye = camera(grid, (5, 6), chip)
    eye.noise = False
    field = plane_wave(watts_for(2000, eye), grid, 0.7)
    got = FourStepReadout(eye, f"{watts_for(8000, eye)!r} W")(field)
    # Differences of two rounded numbers are off by one at most, over 4 R A and the responsivity.
    step = (
        1
        / eye.responsivity
        / (4 * math.sqrt(8000 * PHOTON / eye.pixel_grid.cell_area) * eye.pixel_grid.cell_area)
    )
    assert float((got - field).real.abs().max()) <= step * (1 + 1e-9)
    assert float((got - field).imag.abs().max()) <= step * (1 + 1e-9)


# ---- balanced homodyne


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("phase", [0.0, 0.7, math.pi / 2])
def test_balanced_ports_give_the_quadrature(shape: tuple[int, int], phase: float) -> None:
    """As the ideal readout, for a weak oscillator as well: |U|^2 is the same in both ports."""
    field = randn(2, *shape)
    readout = BalancedHomodyne(IntensityDetector(plane(shape), (2, 3)), "1 nW", phase)
    assert error(readout(field), HomodyneReadout(plane(shape), (2, 3), phase)(field)) < ROUNDING


@pytest.mark.parametrize("photons", [0.0, 50.0, 3000.0])
def test_noise_of_balanced_homodyne(photons: float) -> None:
    """Variance eta (|alpha_L|^2 + |alpha_s|^2) in electrons squared, whatever the phase between the two."""
    grid = plane((5, 6))
    eye = camera(grid, (5, 6))
    field = plane_wave(watts_for(photons, eye), grid, 0.4).expand(FRAMES, -1, -1)
    readout = BalancedHomodyne(eye, f"{watts_for(20_000, eye)!r} W")
    electrons = readout(field) * (2 * readout.oscillator * eye.pixel_grid.cell_area * eye.responsivity)
    variance = ETA * (20_000 + photons) + 2 / 12
    expected = 2 * ETA * math.sqrt(20_000 * photons) * math.cos(0.4)
    n = electrons.numel()
    assert abs(float(electrons.mean()) - expected) < SIGMAS * math.sqrt(variance / n)
    # Two counts of some thousand each are normal: a variance scatters by sqrt(2 / n).
    assert float(electrons.var()) == pytest.approx(variance, rel=SIGMAS * math.sqrt(2 / n))


def test_ports_that_respond_differently_let_the_oscillator_through() -> None:
    """With a dark input a port that is brighter by g leaves g L / 4."""
    grid = plane((5, 6))
    eyes = [camera(grid, (5, 6), SHOT.with_numbers(prnu=0.05, gain=64.0, seed=seed)) for seed in (1, 2)]
    for eye in eyes:
        eye.noise = False
    readout = BalancedHomodyne(eyes[0], f"{watts_for(2000, eyes[0])!r} W", other=eyes[1])
    got = readout(torch.zeros(grid.shape, dtype=torch.complex128))
    unequal = eyes[0].sensor.maps((5, 6))[0] - eyes[1].sensor.maps((5, 6))[0]
    # Rounding of 600 electrons in steps of 1/64 is off by 1e-5 of them; the difference is some 5 %.
    assert error(got, unequal * readout.oscillator / 4) < 1e-3


# ---- off axis


def finer(grid: Grid, shape: tuple[int, int]) -> Grid:
    return Grid.from_si(shape, (grid.extent[0] / shape[0], grid.extent[1] / shape[1]))


def hologram(
    shape: tuple[int, int], axis: int, more: int = 0
) -> tuple[Grid, Grid, tuple[int, int], tuple[int, int]]:
    """The smallest carrier, samples and pixels that fit, or larger ones."""
    n = shape[axis]
    k = n + n // 2 + more
    periods, fine, pixels = [0, 0], list(shape), list(shape)
    periods[axis], fine[axis], pixels[axis] = k, 2 * k + 1 + more, 2 * (k + n // 2) + 1 + more
    grid = plane(shape)
    return grid, finer(grid, (fine[0], fine[1])), (pixels[0], pixels[1]), (periods[0], periods[1])


@pytest.mark.parametrize("shape", GRIDS)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("more", [0, 1, 4])
def test_one_hologram_gives_the_field_at_every_sample(
    shape: tuple[int, int], axis: int, sign: int, more: int
) -> None:
    """Exact already with the least carrier and the least pixels that are accepted."""
    grid, fine, pixels, periods = hologram(shape, axis, more)
    field = randn(2, *shape)
    readout = OffAxisReadout(
        grid, IntensityDetector(fine, pixels), "10 nW", (sign * periods[0], sign * periods[1])
    )
    assert error(readout(field), field) < 1e-11  # the reference is some times larger than the field, and the
    # division by sinc >= 2 / pi twice: ten times the rounding of one transform


def test_noise_of_a_hologram() -> None:
    """n n' / (p p') epsilon / (eta A) (1 + mean |U|^2 / R^2) mean(1 / sinc^2), over the plane; no bias."""
    grid, fine, pixels, periods = hologram((4, 5), 1)
    eye = camera(fine, pixels, SHOT.with_numbers(gain=64.0))
    field = randn(4, 5)
    field = field * (watts_for(100, eye) / power(field, grid.cell_area)).sqrt()
    got = OffAxisReadout(grid, eye, f"{watts_for(2000, eye)!r} W", periods)(field.expand(FRAMES, -1, -1))
    orders = torch.arange(5, dtype=torch.float64) - 2 - periods[1]
    rows = torch.arange(4, dtype=torch.float64) - 2
    loss = float(torch.sinc(rows / pixels[0]).pow(-2).mean() * torch.sinc(orders / pixels[1]).pow(-2).mean())
    area = eye.pixel_grid.cell_area
    expected = 20 / math.prod(pixels) * PHOTON / (ETA * area) * (1 + 100 / 2000) * loss
    scatter = (got - field).abs().square().mean()
    # A sum of 2 x 20 normal numbers in a frame: relative error sqrt(2 / 40 / frames).
    assert float(scatter) == pytest.approx(expected, rel=SIGMAS * math.sqrt(2 / 40 / FRAMES))
    assert float((got.mean(0) - field).abs().max()) < SIGMAS * math.sqrt(2 * expected / FRAMES)


# ---- what is refused


@pytest.mark.parametrize(
    ("periods", "fine", "pixels", "message"),
    [
        ((0, 7), (4, 17), (4, 23), r"at least 9 periods of the carrier for 6 samples and 7 periods, got 7\."),
        ((0, 9), (4, 18), (4, 25), r"at least 19 samples of the detector's grid for 6 samples .*, got 18\."),
        ((0, 9), (4, 19), (4, 24), r"at least 25 pixels for 6 samples and 9 periods, got 24\."),
        ((0, 9), (4, 19), (3, 25), r"at least 4 pixels for 4 samples and 0 periods, got 3\."),
        ((6, 9), (13, 19), (17, 25), r"expected periods along y or along x alone, got \(6, 9\)\."),
        ((0, 0), (4, 19), (4, 25), r"expected periods along y or along x alone, got \(0, 0\)\."),
    ],
)
def test_a_hologram_whose_terms_do_not_fit(
    periods: tuple[int, int], fine: tuple[int, int], pixels: tuple[int, int], message: str
) -> None:
    grid = plane((4, 6))
    with pytest.raises(ValueError, match=message):
        OffAxisReadout(grid, IntensityDetector(finer(grid, fine), pixels), "1 nW", periods)


def test_a_detector_on_another_plane() -> None:
    grid = plane((4, 6))
    with pytest.raises(ValueError, match=r"^OffAxisReadout: expected a detector on 60 um, got 190 um\.$"):
        OffAxisReadout(grid, IntensityDetector(plane((4, 19)), (4, 25)), "1 nW", (0, 9))
    with pytest.raises(ValueError, match=r"^BalancedHomodyne: expected a second detector of 4 x 6 samples"):
        BalancedHomodyne(IntensityDetector(grid, (2, 3)), "1 nW", other=IntensityDetector(grid, (2, 2)))


@pytest.mark.parametrize(
    ("power", "kind", "message"),
    [
        (1e-3, TypeError, r"expected a quantity .* the bare number 0\.001\.$"),
        ("-1 mW", ValueError, r"expected more than 0 W, got -1 mW\.$"),
        (532 * nm, TypeError, r"expected W, got 532 nanometer\."),
    ],
)
def test_power_of_a_reference_that_cannot_be(power: object, kind: type[Exception], message: str) -> None:
    detector = IntensityDetector(plane((4, 6)), (2, 3))
    with pytest.raises(kind, match="FourStepReadout reference_power: " + message):
        FourStepReadout(detector, power)
    with pytest.raises(kind, match="BalancedHomodyne oscillator_power: " + message):
        BalancedHomodyne(detector, power)
