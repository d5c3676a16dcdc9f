"""A sensor after EMVA 1288: what its frames are on average, how they scatter, and what is refused.

Random numbers come from fixed seeds. Bounds are five standard deviations of the statistic: the mean of n
values scatters by sigma / sqrt(n), and a variance by itself times sqrt((kurtosis - 1) / n), with the kurtosis
3 + 1 / mu of a Poisson number. A sound camera with another seed would fail one bound in a million.
"""

import copy
import math
from pathlib import Path

import pint
import pytest
import torch
from torch import Generator, Tensor

from optics4f import detection
from optics4f.elements import Camera, IntensityDetector, Sensor, load_sensors, sensor_preset
from optics4f.elements.sensor import CATALOGUE
from optics4f.functional import power
from optics4f.grid import Grid
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some hundred terms
SIGMAS = 5
MANY = 200_000
GREEN = 532e-9
PLANE = Grid((9, 8), (8 * um, 10 * um))
CHIP = Sensor(0.6, full_well=10_000, dark_noise=3.0, gain=0.35, bits=12, dark_current="40 1/s", offset=60)


def random(seed: int = 1) -> Generator:
    return Generator().manual_seed(seed)


def many(value: float) -> Tensor:
    return torch.full((MANY,), value, dtype=torch.float64)


def flat(watts: float, grid: Grid = PLANE) -> Tensor:
    """A plane wave of so much power over the plane."""
    area = grid.extent[0] * grid.extent[1]
    return torch.full(grid.shape, math.sqrt(watts / area), dtype=torch.complex128)


def speckle(watts: float, seed: int = 3) -> Tensor:
    field = torch.randn(PLANE.shape, dtype=torch.complex128, generator=random(seed))
    return field * (watts / power(field, PLANE.cell_area)).sqrt()


def camera(
    chip: Sensor = CHIP, pixels: tuple[int, int] = (5, 4), seed: int = 0, noise: bool = True
) -> Camera:
    return Camera(PLANE, pixels, chip, GREEN * 1e9 * nm, "100 us", seed, noise)


def watts_for(electrons: float, eye: Camera) -> float:
    """Power over the plane that puts so many electrons into every pixel."""
    return electrons * eye.sensor.gain / eye.responsivity * math.prod(eye.pixel_grid.shape)


def assert_mean(values: Tensor, expected: float, variance: float) -> None:
    assert abs(float(values.mean()) - expected) < SIGMAS * math.sqrt(variance / values.numel())


def assert_variance(values: Tensor, expected: float, kurtosis: float) -> None:
    bound = SIGMAS * expected * math.sqrt((kurtosis - 1) / values.numel())
    assert abs(float(values.var()) - expected) < bound


# ---- photons


def test_photons_of_a_milliwatt_of_green_light() -> None:
    """lambda / (h c) is 2.678e18 photons a joule, to the four digits given."""
    assert detection.photons_per_joule(GREEN) * 1e-3 == pytest.approx(2.678e15, rel=2e-4)
    photons = detection.photon_number(torch.tensor(1e-3, dtype=torch.float64), 1e-6, GREEN)
    # 53.4 thousand photons per microsecond on each of 224 x 224 pixels.
    assert float(photons) / 224**2 == pytest.approx(5.34e4, rel=1e-3)


def test_photons_as_in_the_formula_of_the_standard() -> None:
    """50.34 A[um^2] t[ms] lambda[um] E[uW/cm^2], printed in EMVA 1288 with four digits."""
    watts = torch.tensor(1e-6 / 1e-4 * 3.45e-6**2, dtype=torch.float64)
    assert float(detection.photon_number(watts, 2e-3, GREEN)) == pytest.approx(
        50.34 * 3.45**2 * 2 * 0.532, rel=1e-4
    )


# ---- Poisson


@pytest.mark.parametrize("mean", [0.05, 1.0, 19.9, 20.0, 50.0, 3000.0])
def test_counts_have_their_mean_as_mean_and_as_variance(mean: float) -> None:
    """On both sides of the change from exact numbers to a Gaussian, which has the smaller kurtosis."""
    counts = detection.poisson(many(mean), random())
    assert_mean(counts, mean, mean)
    assert_variance(counts, mean, 3 + 1 / mean)


def test_few_counts_are_poisson_numbers() -> None:
    """Whole numbers, and none with the probability exp(-mu), within five sigma of the binomial."""
    counts = detection.poisson(many(2.5), random())
    assert torch.equal(counts, counts.round())
    none = math.exp(-2.5)
    assert abs(float((counts == 0).double().mean()) - none) < SIGMAS * math.sqrt(none * (1 - none) / MANY)


def test_no_light_gives_no_count_and_a_finite_gradient() -> None:
    mean = torch.tensor([0.0, -1e-12, 1e-3, 25.0], dtype=torch.float64, requires_grad=True)
    counts = detection.poisson(mean, random())
    (gradient,) = torch.autograd.grad(counts.sum(), mean)
    assert counts[:2].tolist() == [0, 0]
    assert bool(gradient.isfinite().all())
    assert gradient[[0, 2]].tolist() == [1, 1]


@pytest.mark.parametrize("mean", [20.0, 400.0])
def test_the_mean_gradient_of_many_counts_is_one(mean: float) -> None:
    """The gradient is 1 + z / (2 sqrt(mu)): it scatters by 1 / (2 sqrt(mu))."""
    means = many(mean).requires_grad_()
    (gradient,) = torch.autograd.grad(detection.poisson(means, random()).sum(), means)
    assert_mean(gradient, 1, 1 / (4 * mean))


# ---- mean and scatter of frames


@pytest.mark.parametrize("photons", [0.0, 4.0, 30.0, 2000.0])
def test_mean_of_noisy_frames_is_the_frame_without_noise(photons: float) -> None:
    """Not twice the signal, and with noise of more than a step the rounding has no bias of its own."""
    numbers = {"quantum_efficiency": 0.6, "full_well": 1e4, "dark_noise": 5.0, "gain": 0.7, "bits": 12}
    frame = detection.expose(many(photons), offset=60, dark_electrons=7, generator=random(), **numbers)
    expected = 0.7 * (0.6 * photons + 7) + 60
    variance = 0.7**2 * (0.6 * photons + 7 + 25) + 1 / 12
    # The bias of rounding behind Gaussian noise sigma is below exp(-2 pi^2 sigma^2) / pi: 1e-53 for 3.5 DN.
    assert_mean(frame, expected, variance)
    clean = detection.expose(many(photons), offset=60, dark_electrons=7, **numbers)
    assert float((clean - expected).abs().max()) <= 0.5
    # Poisson and normal noise together are no more peaked than the Poisson part alone.
    assert_variance(frame, variance, 3 + 1 / (0.6 * photons + 7))


@pytest.mark.parametrize("gain", [0.35, 2.0])
def test_slope_of_the_photon_transfer_curve_is_the_gain(gain: float) -> None:
    """Variance against mean of frames from dark to three quarters of the well: a line of slope K."""
    chip = {"quantum_efficiency": 0.6, "full_well": 10_000.0, "dark_noise": 3.0, "gain": gain, "bits": 16}
    photons = torch.linspace(0, 12_500, 11, dtype=torch.float64)
    frames = torch.stack(
        [detection.expose(many(float(n)), generator=random(), offset=60, **chip) for n in photons]
    )
    mean, variance = frames.mean(1), frames.var(1)
    centred = mean - mean.mean()
    slope = float((centred * variance).sum() / centred.square().sum())
    # Each variance scatters by sqrt(2 / n) of itself; the slope is their sum with known weights.
    error = float((centred * variance).square().sum().sqrt() / centred.square().sum()) * math.sqrt(2 / MANY)
    assert abs(slope - gain) < SIGMAS * error
    assert float(variance[0]) == pytest.approx(gain**2 * 9 + 1 / 12, rel=SIGMAS * math.sqrt(2 / MANY))


@pytest.mark.parametrize("photons", [5.0, 100.0, 10_000.0])
def test_signal_to_noise_is_the_closed_form(photons: float) -> None:
    time = 0.2
    frame = detection.expose(
        many(photons),
        quantum_efficiency=0.6,
        full_well=10_000,
        dark_noise=3.0,
        gain=0.35,
        bits=12,
        offset=60,
        dark_electrons=8.0,
        generator=random(),
    )
    signal = 0.35 * 0.6 * photons
    expected = float(CHIP.snr(torch.tensor(photons, dtype=torch.float64), time))
    # Relative error of a standard deviation: half of that of the variance, sqrt((kurtosis - 1) / n) / 2.
    bound = SIGMAS * math.sqrt((2 + 1 / 8) / MANY) / 2
    assert signal / float(frame.std()) == pytest.approx(expected, rel=bound)


def test_without_other_noise_the_ratio_is_the_root_of_the_electrons() -> None:
    photons = torch.tensor([1.0, 100.0, 1e4], dtype=torch.float64)
    assert torch.allclose(detection.snr(photons, 0.64), 0.8 * photons.sqrt(), rtol=ROUNDING)


def test_dark_frame() -> None:
    """Mean offset + K mu_d; variance K^2 (sigma_d^2 + mu_d) + 1/12."""
    chip = CHIP.with_numbers(dark_current="80000 1/s")  # 8 electrons in 100 us
    frames = camera(chip, (9, 8))(torch.zeros(3000, *PLANE.shape, dtype=torch.complex128))
    variance = 0.35**2 * (9 + 8) + 1 / 12
    assert_mean(frames, 60 + 0.35 * 8, variance)
    assert_variance(frames, variance, 3 + 1 / 8)


# ---- saturation and the converter


def test_linear_in_the_exposure_until_the_well_is_full() -> None:
    chip = CHIP.with_numbers(dark_current="0 1/s", dark_noise=0.0)
    power_on_plane = watts_for(1000, camera(chip))
    for factor in (0.5, 1, 5, 9.9, 10, 11, 1000):
        eye = Camera(PLANE, (5, 4), chip, 532 * nm, f"{100 * factor} us", noise=False)
        electrons = eye.electrons(flat(power_on_plane))
        expected = min(1000 * factor, 10_000)
        assert float((electrons / expected - 1).abs().max()) < ROUNDING


def test_a_bright_frame_stops_at_full_well_and_at_the_last_number() -> None:
    bright = flat(watts_for(1e6, camera()))
    full = camera(CHIP.with_numbers(dark_noise=0.0))(bright)
    assert full.unique().tolist() == [round(10_000 * 0.35 + 60)]
    assert camera(CHIP.with_numbers(gain=1.0))(bright).unique().tolist() == [4095]
    light = bright.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(camera()(light).sum(), light)
    assert float(gradient.abs().max()) == 0


def test_rounding_is_off_by_at_most_half_a_number() -> None:
    electrons = torch.linspace(0, 11_000, 40_001, dtype=torch.float64)
    numbers = detection.digitise(electrons, 0.35, 60, 12)
    exact = electrons * 0.35 + 60
    assert torch.equal(numbers, numbers.round())
    assert float((numbers - exact).abs()[exact <= 4095].max()) <= 0.5 + ROUNDING
    assert (
        float(numbers.max()) == 60 + 3850 and float(detection.digitise(electrons, 3.0, 60, 12).max()) == 4095
    )
    light = electrons.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(detection.digitise(light, 0.35, 60, 12).sum(), light)
    assert torch.equal(gradient, torch.full_like(gradient, 0.35))


# ---- the camera in its plane


def test_a_frame_without_noise_is_the_power_on_the_pixels() -> None:
    """K eta t lambda / (h c) P + offset + K mu_d, rounded: photons come from power on the pixel, not |U|."""
    field = speckle(5e-10)
    eye = camera(noise=False)
    watts = IntensityDetector(PLANE, (5, 4))(field)
    exact = watts * eye.responsivity + 60 + 0.35 * 40 * 100e-6
    assert eye.responsivity == pytest.approx(
        0.35 * 0.6 * 100e-6 * detection.photons_per_joule(GREEN), rel=ROUNDING
    )
    assert float(exact.max()) < 3500  # below saturation
    assert float((eye(field) - exact).abs().max()) <= 0.5 + 1e-9
    assert float((eye.power(field) - watts).abs().max()) <= (0.5 + 1e-9) / eye.responsivity
    assert torch.equal(eye(field), eye(field))


def test_frames_repeat_for_a_seed_and_differ_within_one() -> None:
    field = flat(watts_for(500, camera())).expand(2, -1, -1)
    one, two, other = camera(seed=5), camera(seed=5), camera(seed=6)
    first = one(field)
    assert torch.equal(first, two(field))
    assert not torch.equal(first, one(field)) and not torch.equal(first, other(field))
    assert not torch.equal(first[0], first[1])
    one.restart(5)
    assert torch.equal(first, one(field))
    torch.manual_seed(99)  # the noise does not hang on the global generator, and leaves it alone
    state = torch.get_rng_state()
    two.restart(5)
    assert torch.equal(first, two(field)) and torch.equal(state, torch.get_rng_state())


def test_gradient_of_the_mean_frame_is_the_responsivity_with_the_noise_on() -> None:
    """dD/dP = K eta t lambda / (h c), by way of noise, rounding and offset; finite and right in the dark."""
    light = torch.zeros(MANY, dtype=torch.float64, requires_grad=True)
    factor = 0.35 * 0.6 * detection.photons_per_joule(GREEN) * 1e-4
    for electrons in (0.0, 6.0, 1000.0):
        watts = (light + electrons / 0.6) / (1e-4 * detection.photons_per_joule(GREEN))
        photons = detection.photon_number(watts, 1e-4, GREEN)
        frame = detection.expose(
            photons,
            quantum_efficiency=0.6,
            full_well=1e4,
            dark_noise=3.0,
            gain=0.35,
            bits=12,
            offset=60,
            generator=random(),
        )
        (gradient,) = torch.autograd.grad(frame.sum(), watts)
        # Below 20 electrons the gradient is exact; above it scatters by 1 / (2 sqrt(mu)) of itself.
        bound = SIGMAS / (2 * math.sqrt(electrons * MANY)) if electrons > 20 else ROUNDING
        assert float(gradient.mean()) == pytest.approx(factor, rel=bound)


def test_gradient_of_the_field_through_a_camera() -> None:
    """That of the power times the responsivity where no pixel clips, rounded or not; zero in the dark."""
    field = speckle(5e-10).requires_grad_()
    eye = camera(noise=False)
    (got,) = torch.autograd.grad(eye(field).sum(), field)
    (expected,) = torch.autograd.grad(eye.detector(field).sum() * eye.responsivity, field)
    assert float((got - expected).abs().max() / expected.abs().max()) < ROUNDING
    dark = torch.zeros_like(field).requires_grad_()
    (got,) = torch.autograd.grad(camera()(dark).sum(), dark)
    assert float(got.abs().max()) == 0


def test_dtype_is_kept_and_a_camera_can_be_copied() -> None:
    field = flat(watts_for(500, camera())).to(torch.complex64)
    eye = camera()
    frame = eye(field)
    assert frame.dtype == torch.float32
    # float32 moves a value by 6e-8 of some hundred numbers: at most by one step, where it stood between two.
    difference = camera(noise=False)(field).double() - camera(noise=False)(field.to(torch.complex128))
    assert float(difference.abs().max()) <= 1
    twin = copy.deepcopy(eye)
    assert torch.equal(twin(field), eye(field))
    assert list(eye.state_dict()) == []


# ---- pixels that differ


def test_maps_have_the_stated_scatter_and_belong_to_the_specimen() -> None:
    chip = CHIP.with_numbers(prnu=0.02, dsnu=1.5, seed=4)
    response, dark = chip.maps((300, 200))
    # A standard deviation of n normal numbers scatters by 1 / sqrt(2 n) of itself.
    bound = SIGMAS / math.sqrt(2 * 60_000)
    assert float(response.std()) == pytest.approx(0.02, rel=bound)
    assert float(dark.std()) == pytest.approx(1.5, rel=bound)
    assert_mean(response, 1, 0.02**2)
    assert_mean(dark, 0, 1.5**2)
    assert abs(float(((response - 1) * dark).mean())) < SIGMAS * 0.02 * 1.5 / math.sqrt(60_000)
    again, _ = chip.with_numbers().maps((300, 200))
    other, _ = chip.with_numbers(seed=5).maps((300, 200))
    assert torch.equal(response, again) and not torch.equal(response, other)


def test_a_mean_frame_shows_the_maps() -> None:
    """K (eta N (1 + g) + d): response times light, dark signal in any light, for any seed of the noise."""
    chip = CHIP.with_numbers(prnu=0.05, dsnu=4.0, seed=2, dark_current="0 1/s")
    response, dark = chip.maps((5, 4))
    for electrons in (0.0, 2000.0):
        light = flat(watts_for(electrons, camera()))
        expected = electrons * response + dark
        for seed in (1, 2):
            clean = camera(chip, seed=seed, noise=False).electrons(light)
            assert float((clean - expected).abs().max()) < 1e-9  # 2000 electrons to double precision
        frames = camera(chip, seed=1).electrons(light.expand(4000, -1, -1)).mean(0)
        scatter = math.sqrt((electrons * 1.2 + 9) / 4000)  # no response is above 1.2 with this seed
        assert float((frames - expected).abs().max()) < SIGMAS * scatter


# ---- the catalogue


def test_numbers_of_the_catalogue() -> None:
    entries = load_sensors()
    assert set(entries) == {"kaf_3200me", "imx250"}
    found = sensor_preset("kaf_3200me")
    assert found == Sensor(0.79, 70000, 12.6, 0.7077, 16, "6.8 um", "0.08 1/s")
    assert found.gain == pytest.approx(1 / 1.413, rel=1e-4)  # four digits
    assert found.full_well * found.gain < 2**16  # the well fills before the converter does
    assert all(source.strip() for entry in entries.values() for source in entry.sources.values())


def test_numbers_that_were_not_verified_are_not_handed_out_unasked() -> None:
    assert load_sensors()["imx250"].unverified == ("quantum_efficiency", "dark_noise", "gain")
    with pytest.raises(
        ValueError, match=r"allow_unverified=True, got 'imx250': quantum_efficiency, dark_noise"
    ):
        sensor_preset("imx250")
    assert sensor_preset("imx250", allow_unverified=True).pixel_pitch == pytest.approx(3.45e-6, rel=ROUNDING)
    with pytest.raises(
        ValueError, match=r"sensor_preset: expected one of kaf_3200me, imx250, got 'imx999'\."
    ):
        sensor_preset("imx999")


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (
            '"79 %"',
            '"79"',
            TypeError,
            r"\[kaf_3200me\] quantum_efficiency: expected a number in %, got '79'\.",
        ),
        ('"79 %"', '"790 %"', ValueError, r"\[kaf_3200me\]: Sensor quantum_efficiency: expected 0 < x <= 1"),
        ('"70000 e-"', "70000", TypeError, r"\[kaf_3200me\] full_well: expected a number in e-, got 70000\."),
        ('"12.6 e-"', '"12.6 DN"', TypeError, r"\[kaf_3200me\] dark_noise: expected a number in e-"),
        ('"0.080 e-/s"', '"0.080 e-"', TypeError, r"\[kaf_3200me\] dark_current: expected a number in e-/s"),
        ('"6.80 um"', '"6.80 us"', pint.DimensionalityError, r"\[kaf_3200me\] pixel_pitch: expected m, got"),
        ('"6.80 um"', "6.80", TypeError, r"\[kaf_3200me\] pixel_pitch: expected a quantity"),
        (
            '"16 bit"',
            '"12.5 bit"',
            ValueError,
            r"\[kaf_3200me\]: Sensor bits: expected an integer from 1 to 24",
        ),
        ("dark_noise =", "dark_nose =", ValueError, r"\[kaf_3200me\]: expected the keys .*'dark_nose'\."),
        (
            "dark_noise =",
            "# =",
            ValueError,
            r"\[kaf_3200me\]: expected the keys .* missing key 'dark_noise'\.",
        ),
        (
            ", verified = true",
            "",
            ValueError,
            r"\[kaf_3200me\] quantum_efficiency: .* missing key 'verified'\.",
        ),
        ("verified = true", 'verified = "yes"', ValueError, r"verified: expected true or false, got 'yes'\."),
        ("verified = true", "verified = true, was = 1", ValueError, r"got the unknown key 'was'\."),
        ('= "C. Buil', '= "", x = "', ValueError, r"unknown key 'x'\."),
        ("[kaf_3200me]", "[kaf_3200me", ValueError, r"expected a TOML catalogue of sensors"),
    ],
)
def test_a_catalogue_with_a_fault_is_refused(
    old: str, new: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    text = CATALOGUE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "sensors.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(error, match=message) as caught:
        load_sensors(path)
    assert "sensors.toml" in str(caught.value) or error is pint.DimensionalityError


# ---- what is refused


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"quantum_efficiency": 1.2},
            ValueError,
            r"^Sensor quantum_efficiency: expected 0 < x <= 1, got 1\.2\.$",
        ),
        ({"quantum_efficiency": math.nan}, ValueError, r"quantum_efficiency: expected 0 < x <= 1, got nan\."),
        ({"full_well": 0}, ValueError, r"^Sensor full_well: expected more than 0 electrons, got 0\.$"),
        ({"full_well": "10 e"}, TypeError, r"full_well: expected a plain number, .* got '10 e'\."),
        ({"dark_noise": -1}, ValueError, r"^Sensor dark_noise: expected at least 0 and finite, got -1\.$"),
        ({"gain": 0.0}, ValueError, r"^Sensor gain: expected more than 0 DN/e- and finite, got 0\.0\.$"),
        ({"bits": 12.0}, ValueError, r"^Sensor bits: expected an integer from 1 to 24, got 12\.0\.$"),
        ({"prnu": 1.0}, ValueError, r"^Sensor prnu: expected 0 <= x < 1, got 1\.0\.$"),
        ({"dark_current": 5.0}, TypeError, r"dark_current: expected a quantity .* the bare number 5\.0\."),
        ({"dark_current": "-5 1/s"}, ValueError, r"dark_current: expected at least 0 electrons per second"),
        ({"pixel_pitch": 3.45e-6}, TypeError, r"pixel_pitch: expected a quantity .* the bare number"),
        ({"pixel_pitch": "3 s"}, pint.DimensionalityError, r"Sensor pixel_pitch: expected m, got 3 second"),
    ],
)
def test_sensor_that_cannot_be(change: dict[str, object], error: type[Exception], message: str) -> None:
    numbers = {"quantum_efficiency": 0.6, "full_well": 1e4, "dark_noise": 3.0, "gain": 0.35, "bits": 12}
    with pytest.raises(error, match=message):
        Sensor(**(numbers | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wavelength", "exposure", "error", "message"),
    [
        (532, "1 ms", TypeError, r"^Camera wavelength: expected a quantity .* the bare number 532\.$"),
        (
            "532 nm",
            1e-3,
            TypeError,
            r"^Camera exposure_time: expected a quantity .* the bare number 0\.001\.$",
        ),
        ("532 nm", "-1 ms", ValueError, r"^Camera exposure_time: expected more than 0 s, got -1 ms\.$"),
        ("532 nm", 3 * mm, pint.DimensionalityError, r"Camera exposure_time: expected s, got 3 millimeter"),
    ],
)
def test_camera_that_cannot_be(
    wavelength: object, exposure: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Camera(PLANE, (5, 4), CHIP, wavelength, exposure)


def test_pixels_that_do_not_fit_the_plane() -> None:
    chip = CHIP.with_numbers(pixel_pitch="4 um")
    grid = Grid((10, 10), 8 * um)
    assert Camera(grid, (20, 20), chip, 532 * nm, "1 ms").pixel_grid.spacing == pytest.approx((4e-6, 4e-6))
    with pytest.raises(ValueError, match=r"^Camera: expected pixels of 4 um, got 10 x 10 samples at 8 um\.$"):
        Camera(grid, (10, 10), chip, 532 * nm, "1 ms")
