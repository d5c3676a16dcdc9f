"""Photons from the laser to the pixel: energy is kept, ratios are closed forms, and saturation refuses."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optics4f.detection import photons_per_joule
from optics4f.elements import (
    AmplitudeEncoding,
    Camera,
    ComplexMask,
    IntensityDetector,
    MaskBank,
    PhaseMask,
    Sensor,
    sensor_preset,
)
from optics4f.elements.combiner import ChannelErrors, CoherentSum
from optics4f.elements.readout import BalancedHomodyne, FourStepReadout
from optics4f.functional import intensity
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.transduction.photons import (
    PhotonBudget,
    amplitude_snr,
    electron_capacity,
    exposure_for_snr,
    photon_budget,
    photon_budget_by_numbers,
)
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
# Rounding to 1e-4 electrons is a variance of 1e-9; the converter holds 1678 electrons.
PERFECT = Sensor(quantum_efficiency=1.0, full_well=math.inf, dark_noise=0.0, gain=1e4, bits=24)
REAL = Sensor(
    quantum_efficiency=0.6,
    full_well=10_000.0,
    dark_noise=7.0,
    gain=0.05,
    bits=12,
    dark_current="400 1/s",
)
GRID = Grid((16, 14), 10 * um)


def bench(masks: MaskBank | None = None, **options: Any) -> FourF:
    if masks is None:
        masks = MaskBank.from_kernels(torch.randn(4, 3, 3, 3, dtype=torch.float64))
    options = {"combiner": "beam_splitter", "stop": (9, 8)} | options
    return FourF(GRID, 532 * nm, 100 * mm, masks, **options)


class Grey(nn.Module):
    """A filter of one density over the whole plane."""

    def forward(self, field: Tensor) -> Tensor:
        return 0.5 * field


def parts(budget: PhotonBudget) -> dict[str, float]:
    return {term.name: term.transmission for term in budget.terms}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"combiner": "ideal", "stop": None},
        {"combiner": CoherentSum("beam_splitter", 2.0, ChannelErrors((4, 3), 0.1, 0.3))},
        {"pupil": Grey(), "second_focal_length": 50 * mm},
    ],
)
def test_terms_keep_the_energy_to_the_pixels(options: dict[str, Any]) -> None:
    """Their product is the power that a field of this laser has in the output plane, and on its pixels."""
    system, pictures = bench(**options), torch.rand(2, 3, 16, 14, dtype=torch.float64)
    found = photon_budget(system, PERFECT, "3 mW", "1 us", pictures, (5, 4))
    with torch.no_grad():
        field = system.double()(AmplitudeEncoding(GRID, "1 mW")(pictures))
    power = float(intensity(field).sum() * system.output_grid.cell_area / 2)
    assert found.power * found.transmission == pytest.approx(power, rel=ROUNDING)
    signal = IntensityDetector(system.output_grid, (5, 4))(field)
    photons = signal * 1e-6 * photons_per_joule(532e-9)
    assert found.mean_photons == pytest.approx(float(photons.mean()), rel=ROUNDING)
    assert found.peak_photons == pytest.approx(float(photons.amax()), rel=ROUNDING)
    assert found.pixels == 4 * 5 * 4


def test_every_term_of_trees_can_only_lose_light() -> None:
    pictures = torch.rand(3, 16, 14, dtype=torch.float64)
    values = parts(photon_budget(bench(), PERFECT, "1 mW", "1 us", pictures))
    # The stop of 9 x 8 passes the orders -4 to 4 and -3 to 3: the unpaired one at -4 is dark.
    passed = intensity(torch.fft.fft2(pictures).roll((4, 3), (-2, -1)))[:, :9, :7]
    assert values["encoding"] == pytest.approx(float(pictures.square().mean()), rel=ROUNDING)
    assert values["stop"] == pytest.approx(
        float(passed.sum() / intensity(torch.fft.fft2(pictures)).sum()), rel=ROUNDING
    )
    assert all(0 < part <= 1 + ROUNDING for part in values.values())
    assert values["combiner"] == pytest.approx(1, rel=ROUNDING)
    assert values["pupil and errors"] == pytest.approx(1, rel=ROUNDING)


def test_closed_forms_of_single_terms() -> None:
    """A white picture is all on the axis: it passes every stop, and t and T act on it there."""
    masks = PhaseMask(torch.zeros(4, 3, 16, 14, dtype=torch.float64))
    found = photon_budget(bench(masks), PERFECT, "1 mW", "1 us", torch.ones(3, 16, 14, dtype=torch.float64))
    # Equal fields in phase add up without loss in a tree, and clear masks take nothing.
    assert list(parts(found).values()) == pytest.approx([1.0] * 7, rel=ROUNDING)
    grey = torch.full((3, 16, 14), 0.3, dtype=torch.float64)
    dark = photon_budget(bench(masks, pupil=Grey()), PERFECT, "1 mW", "1 us", grey)
    assert parts(dark)["encoding"] == pytest.approx(0.09, rel=ROUNDING)
    assert parts(dark)["pupil and errors"] == pytest.approx(0.25, rel=ROUNDING)
    halves = ComplexMask(torch.full((4, 3, 16, 14), 0.5, dtype=torch.complex128))
    factor = parts(photon_budget(bench(halves), PERFECT, "1 mW", "1 us", grey))["masks"]
    assert factor == pytest.approx(float(halves.transmittance((16, 14), (9, 8)).abs().amax().detach()) ** 2)


def test_light_that_fills_the_plane_evenly() -> None:
    """Without a picture: the stop passes its share of samples, of which an even one darkens an edge."""
    masks = PhaseMask(torch.rand(4, 3, 16, 14, dtype=torch.float64))
    found = parts(photon_budget(bench(masks), PERFECT, "1 mW", "1 us"))
    assert found["stop"] == pytest.approx(9 * 7 / (16 * 14), rel=ROUNDING)
    assert found["masks"] == pytest.approx(1, rel=ROUNDING)
    assert found["sum"] == pytest.approx(1 / 3, rel=ROUNDING)


def test_light_that_fills_the_plane_is_the_mean_over_random_phases() -> None:
    system, count = bench(), 4000
    expected = photon_budget(system, PERFECT, "1 mW", "1 us").transmission
    with torch.no_grad():
        noise = torch.randn(count, 3, 16, 14, dtype=torch.complex128)
        field = noise / intensity(noise).sum((-3, -2, -1), keepdim=True).sqrt()
        passed = intensity(system.double()(field)).sum((-3, -2, -1)) * system.output_grid.cell_area
    ratio = float(passed.mean()) / GRID.cell_area / expected
    spread = float(passed.std() / passed.mean()) / math.sqrt(count)
    assert abs(ratio - 1) < 4 * spread < 0.05  # four standard errors


def test_photons_of_a_milliwatt_of_green_light() -> None:
    found = photon_budget_by_numbers(PERFECT, "1 mW", "532 nm", "1 us", 224 * 224, {"lens": 1.0})
    assert found.photon_rate * found.pixels == pytest.approx(2.68e15, rel=2e-3)  # three digits
    assert found.mean_photons == pytest.approx(5.3e4, rel=0.01)  # two digits
    combined = photon_budget_by_numbers(
        PERFECT, "1 mW", "532 nm", "1 us", 224 * 224, {"lens": 1.0, "fan-out": 1 / 64, "sum": 1 / 64}
    )
    assert combined.mean_photons == pytest.approx(13, rel=0.01)
    assert sum(term.db for term in combined.terms) == pytest.approx(-36.12, abs=0.005)
    assert combined.mean_snr**2 == pytest.approx(combined.mean_photons, rel=1e-9)  # of rounding: 1e-10


def test_snr_and_saturation_of_a_real_sensor() -> None:
    found = photon_budget_by_numbers(REAL, "1 nW", "532 nm", "1 ms", 1000, {"all": 0.5}, peak_to_mean=3.0)
    electrons = 0.6 * 0.5e-9 * 1e-3 * photons_per_joule(532e-9) / 1000
    variance = electrons + 0.4 + 49 + 1 / (12 * 0.05**2)
    assert found.mean_electrons == pytest.approx(electrons, rel=ROUNDING)
    assert found.mean_snr == pytest.approx(electrons / math.sqrt(variance), rel=ROUNDING)
    assert found.peak_snr == pytest.approx(3 * electrons / math.sqrt(variance + 2 * electrons), rel=ROUNDING)
    assert found.filling == pytest.approx((3 * electrons + 0.4) / 10_000, rel=ROUNDING)
    assert not found.saturated and "SATURATED" not in str(found)
    longer = replace(found, exposure_time=found.exposure_time * 1.01 / found.filling)
    assert longer.saturated and "SATURATED" in str(longer)


def test_the_converter_may_be_full_before_the_well() -> None:
    assert electron_capacity(REAL) == 10_000
    assert electron_capacity(REAL.with_numbers(gain=1.0, offset=95.0)) == 4000


@pytest.mark.parametrize("snr", [0.01, 1.0, 20.0])
@pytest.mark.parametrize("rate", [1e3, 1e6])
def test_exposure_is_the_inverse_of_the_snr(snr: float, rate: float) -> None:
    sensor = REAL.with_numbers(full_well=math.inf, gain=1e-3, bits=24)
    time = exposure_for_snr(snr, f"{rate} 1/s", sensor)
    assert float(sensor.snr(torch.tensor(rate * time, dtype=torch.float64), time)) == pytest.approx(snr)


def test_exposure_of_shot_noise_alone_is_s_squared_over_the_rate() -> None:
    time = exposure_for_snr(30.0, "1e6 1/s", PERFECT)
    assert time == pytest.approx(900 / 1e6, rel=ROUNDING)
    assert exposure_for_snr(30.0, "1e6 1/s", PERFECT.with_numbers(quantum_efficiency=0.5)) == pytest.approx(
        2 * time, rel=ROUNDING
    )


def test_exposure_of_read_noise_alone_is_linear() -> None:
    """With so few photons that the readout is all the noise, S = r t / sigma."""
    sensor = PERFECT.with_numbers(dark_noise=1e5, gain=100.0)
    assert exposure_for_snr(0.1, "1e4 1/s", sensor) == pytest.approx(1.0, rel=1e-5)  # 1e4 of 1e10 e^2


def test_the_full_well_forbids_more_than_its_root() -> None:
    sensor = PERFECT.with_numbers(full_well=10_000.0, gain=1.0, bits=24, dark_noise=0.0)
    # Rounding adds 1/12 to a variance of 10 000.
    assert exposure_for_snr(99.9, "1e6 1/s", sensor) == pytest.approx(99.9**2 / 1e6, rel=1e-5)
    words = r"SNR of at most 100 in one .* show 1e\+04 electrons .* after 10\.000 ms, got 200: average 5 exp"
    with pytest.raises(ValueError, match=words):
        exposure_for_snr(200.0, "1e6 1/s", sensor)
    with pytest.raises(ValueError, match=r"at most 50 in one"):  # another pixel is four times as bright
        exposure_for_snr(60.0, "1e6 1/s", sensor, peak_to_mean=4.0)


def test_a_budget_finds_its_own_exposure() -> None:
    found = photon_budget(bench(), REAL, "1 nW", "1 ms", torch.rand(3, 16, 14, dtype=torch.float64))
    time = found.exposure_for_snr(10.0)
    assert replace(found, exposure_time=time).mean_snr == pytest.approx(10.0, rel=ROUNDING)
    assert not replace(found, exposure_time=time).saturated
    with pytest.raises(ValueError, match="expected an SNR of at most"):
        found.exposure_for_snr(math.sqrt(10_000))  # the brightest pixel is clipped first


@pytest.mark.parametrize("readout", ["homodyne pair", "four-step"])
def test_amplitude_snr_is_that_of_the_readouts(readout: str) -> None:
    """A uniform field in phase with a reference 1000 times stronger, on 64 x 64 pixels."""
    grid, sensor = Grid((64, 64), 10 * um), PERFECT.with_numbers(quantum_efficiency=0.5, gain=1.0)
    camera = Camera(grid, (64, 64), sensor, "532 nm", "1 ms", seed=3)
    power = 1e-13 * math.prod(grid.shape)
    amplitude = math.sqrt(power / math.prod(grid.extent))
    field = torch.full((1, 64, 64), amplitude, dtype=torch.complex128)
    reference = f"{1000 * power} W"
    if readout == "homodyne pair":  # a splitter sends half of the light to each port
        read, exposures = BalancedHomodyne(camera, reference)(field), 1
    else:
        read, exposures = FourStepReadout(camera, reference)(field).real, 4
    photons = exposures * 1e-13 * 1e-3 * photons_per_joule(532e-9)
    found = amplitude / float(read.std())
    # 4096 pixels give the spread to 1/sqrt(8192) = 1.1 %, four of which are allowed; the signal adds 0.05 %.
    assert found == pytest.approx(amplitude_snr(photons, 0.5, readout), rel=0.05)


def test_amplitude_snr_closed_forms() -> None:
    assert amplitude_snr(25.0, 1.0) == 10.0
    assert amplitude_snr(50.0, 0.5, "four-step") == pytest.approx(math.sqrt(50), rel=ROUNDING)
    assert amplitude_snr(0.0, 1.0) == 0.0


def test_presets_and_pixels_of_a_pitch() -> None:
    by_name = photon_budget(bench(stop=None), "kaf_3200me", "1 uW", "1 ms")
    assert by_name.sensor == sensor_preset("kaf_3200me")
    assert by_name.pixels == 4 * round(160 / 6.8) * round(140 / 6.8)  # outputs, pixels of 6.8 um on 10 um
    assert photon_budget(bench(), PERFECT, "1 uW", "1 ms").pixels == 4 * 9 * 8
    numbers = photon_budget_by_numbers("kaf_3200me", "1 uW", "532 nm", "1 ms", 10, {})
    assert numbers.sensor == by_name.sensor and numbers.transmission == 1


def test_the_bench_is_left_as_it_is() -> None:
    system = bench(MaskBank.from_kernels(torch.randn(4, 3, 3, 3)))
    photon_budget(system, PERFECT, "1 uW", "1 ms", torch.rand(3, 16, 14))
    assert {p.dtype for p in system.parameters()} == {torch.float32} and system.training


def test_a_budget_is_json_with_units() -> None:
    found = photon_budget(bench(), REAL, "1 nW", "1 ms")
    content = json.loads(json.dumps(found.to_dict()))
    assert content["power"] == {"value": 1e-9, "unit": "W", "text": "1 nW"}
    assert content["exposure_time"]["value"] == 1e-3
    assert math.prod(t["transmission"]["value"] for t in content["terms"]) == pytest.approx(
        found.transmission
    )
    assert [t["gain"]["unit"] for t in content["terms"]] == ["dB"] * 7
    for key, item in content.items():
        if key not in ("terms", "saturated"):
            assert set(item) == {"value", "unit", "text"}, key
    assert str(found).splitlines()[-2].split()[:3] == ["on", "the", "sensor"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bench": nn.Identity()}, "expected a FourF, got Identity"),
        ({"power": 1e-3}, "photon_budget power: expected a quantity"),
        ({"exposure_time": "0 s"}, "photon_budget exposure_time: expected more than 0 s"),
        ({"pixels": (0, 4)}, "photon_budget pixels: expected at least one pixel"),
        ({"picture": torch.rand(2, 16, 14)}, "photon_budget: expected"),
        ({"picture": torch.full((3, 16, 14), 2.0)}, r"expected a picture within \[0, 1\], got 2 to 2"),
        ({"picture": torch.zeros(3, 16, 14)}, "expected a picture that sends light to the sensor"),
    ],
)
def test_bad_benches_are_refused(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "bench": bench(),
        "sensor": PERFECT,
        "power": "1 mW",
        "exposure_time": "1 us",
    } | changes
    with pytest.raises((TypeError, ValueError), match=words):
        photon_budget(**given)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transmissions": {"lens": 1.1}}, "transmission lens: expected 0 < x <= 1"),
        ({"transmissions": {"lens": 0.0}}, "transmission lens: expected 0 < x <= 1"),
        ({"pixels": 0}, "expected a whole number of pixels, got 0"),
        ({"peak_to_mean": 0.5}, "peak_to_mean: expected at least 1"),
        ({"wavelength": 532e-9}, "wavelength: expected a quantity"),
    ],
)
def test_bad_numbers_are_refused(changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "sensor": PERFECT,
        "power": "1 mW",
        "wavelength": "532 nm",
        "exposure_time": "1 us",
        "pixels": 10,
        "transmissions": {},
    }
    with pytest.raises((TypeError, ValueError), match=words):
        photon_budget_by_numbers(**(given | changes))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: exposure_for_snr(0.0, "1 1/s", REAL), "snr: expected more than 0"),
        (lambda: exposure_for_snr(1.0, "0 1/s", REAL), "photon_rate: expected more than 0"),
        (lambda: exposure_for_snr(1.0, 1e6, REAL), "photon_rate: expected a quantity"),
        (lambda: amplitude_snr(1.0, 1.0, "intensity"), "expected one of homodyne pair, four-step"),
        (lambda: amplitude_snr(-1.0, 1.0), "photons: expected at least 0"),
        (lambda: amplitude_snr(1.0, 1.5), "quantum_efficiency: expected 0 < x <= 1"),
    ],
)
def test_bad_ratios_are_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()
