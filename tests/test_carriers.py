"""Carriers: the first order is what was wanted, where it is said to be, with the light it should have."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optics4f.design import (
    LEE_GAIN,
    carrier_offset,
    carrier_report,
    first_order,
    lee_hologram,
    off_axis_gain,
    off_axis_phase,
)
from optics4f.design.carriers import inverse_sinc

ROUNDING = 1e-12  # float64, sums of some thousand terms of order 1

amplitudes = st.floats(0, 1)
phases = st.floats(-3.1, 3.1)


def constant(amplitude: float, phase: float, width: int) -> NDArray[np.complex128]:
    return np.full((1, width), amplitude * np.exp(1j * phase))


def smooth(samples: int) -> NDArray[np.complex128]:
    """Amplitude 0.15 to 0.95, phase -1.5 to 1.5, each one wave over the plane."""
    y, x = np.indices((samples, samples)) / samples
    amplitude = 0.55 + 0.4 * np.cos(2 * np.pi * (x + y))
    return amplitude * np.exp(1.5j * np.sin(2 * np.pi * x) * np.cos(2 * np.pi * y))


def recovered(device: NDArray, period: float, gain: float) -> NDArray[np.complex128]:
    return first_order(device, period) * np.sinc(1 / period) / gain


@given(amplitudes)
def test_inverse_sinc(amplitude: float) -> None:
    depth = float(inverse_sinc(amplitude))
    assert 0 <= depth <= 1
    # The slope of the sinc is at most 1.4: one rounding of the depth, and those of the sine.
    assert float(np.sinc(depth)) == pytest.approx(amplitude, abs=1e-15)


def test_inverse_sinc_of_the_ends_is_exact() -> None:
    assert inverse_sinc([1.0, 0.0]).tolist() == [0.0, 1.0]


@given(amplitudes, phases, st.integers(4, 40))
def test_lee_of_a_constant_is_within_a_pixel(amplitude: float, phase: float, period: int) -> None:
    """Each of the two edges of a fringe moves by half a pixel at most: pi/Lambda, over the gain."""
    wanted = constant(amplitude, phase, 3 * period)
    got = recovered(lee_hologram(wanted, period), period, LEE_GAIN)
    # Near A = 1 the last digit of A moves an edge by 1.5e-8 rad.
    assert float(np.abs(got - wanted).max()) <= np.pi / period + 1e-7


@pytest.mark.parametrize("amplitude", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("phase", [-2.0, 0.4, 3.0])
def test_lee_of_a_constant_in_the_limit_of_fine_pixels(amplitude: float, phase: float) -> None:
    """4001/400 pixels a period meet 4001 places in the fringe: the mean is A/pi = sin(pi w)/pi to 1/4001."""
    pixels, period = 4001, 4001 / 400
    bright = lee_hologram(constant(amplitude, phase, pixels), period)
    first = first_order(bright, period).mean() * np.sinc(1 / pixels)
    w = math.asin(amplitude) / math.pi
    assert abs(first - math.sin(math.pi * w) / math.pi * np.exp(1j * phase)) <= 1 / pixels
    assert bright.mean() == pytest.approx(w, abs=1 / pixels)  # the duty cycle, to one pixel


@given(amplitudes, phases, st.integers(4, 40))
def test_lee_of_a_constant_has_the_first_order_of_its_bright_pixels(
    amplitude: float, phase: float, period: int
) -> None:
    """m of P pixels in a row: sin(pi m/P)/(P sin(pi/P)), exactly."""
    bright = lee_hologram(constant(amplitude, phase, period), period)
    m = bright.sum()
    expected = math.sin(math.pi * m / period) / (period * math.sin(math.pi / period))
    assert abs(first_order(bright, period)[0, 0]) == pytest.approx(expected, abs=ROUNDING)


@pytest.mark.parametrize("period", [4, 6, 16])
def test_light_of_a_bright_lee_hologram(period: int) -> None:
    """A = 1: half is absorbed, a quarter stays on axis, 1/pi^2 = 10.1 % is in the first order."""
    wanted = constant(1.0, 0.3, 4 * period)  # no edge of a fringe on a sample
    report = carrier_report(wanted, lee_hologram(wanted, period), period, LEE_GAIN)
    assert report.efficiency == pytest.approx(1 / np.pi**2, abs=ROUNDING)
    assert report.zero_order == pytest.approx(0.25, abs=ROUNDING)
    assert report.absorbed == pytest.approx(0.5, abs=ROUNDING)
    assert report.error <= np.pi / period


@given(amplitudes, phases, st.integers(3, 40))
def test_off_axis_phase_of_a_constant(amplitude: float, phase: float, period: int) -> None:
    """A e^{i phi} e^{i delta} / sinc(eps/P), |delta| <= pi eps/P: the geometric sum over P steps."""
    wanted = constant(amplitude, phase, 2 * period)
    got = recovered(np.exp(1j * off_axis_phase(wanted, period)), period, off_axis_gain(period))[0, 0]
    lost_depth = float(inverse_sinc(amplitude))
    assert abs(got) == pytest.approx(amplitude / np.sinc(lost_depth / period), abs=ROUNDING)
    assert abs(got - wanted[0, 0]) <= 1.1 / period + ROUNDING
    if amplitude > 1e-3:  # the phase of less is rounding
        delta = np.angle(got * np.exp(-1j * phase))
        # Near A = 1 the last digit of A is 1.5e-8 of the depth.
        assert abs(delta) <= np.pi * lost_depth / period + 1e-7


def test_stated_bound_of_the_off_axis_phase() -> None:
    """The largest value of the closed form is below 1.1/Lambda for every carrier that is taken."""
    lost_depth = np.linspace(0, 1, 2001)
    for period in (3, 4, 5, 8, 16, 100):
        inside = np.exp(1j * np.pi * lost_depth / period) / np.sinc(lost_depth / period) - 1
        assert float(np.abs(np.sinc(lost_depth) * inside).max()) <= 1.1 / period


@pytest.mark.parametrize("amplitude", [0.05, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("phase", [-2.0, 0.4, 3.0])
def test_off_axis_phase_in_the_limit_of_fine_pixels(amplitude: float, phase: float) -> None:
    """The corrected phase: A e^{i phi} itself, with no phase or sign that depends on the depth."""
    pixels, period = 4001, 4001 / 400
    wanted = constant(amplitude, phase, pixels)
    first = first_order(np.exp(1j * off_axis_phase(wanted, period)), period).mean()
    assert abs(first - wanted[0, 0]) <= 1.1 / pixels


@pytest.mark.parametrize("period", [3, 8, 16])
def test_light_of_an_off_axis_phase(period: int) -> None:
    """A = 1 is the blaze in Lambda steps, sinc^2(1/Lambda); A = 0 leaves all light on axis."""
    bright, dark = constant(1.0, 0.7, 4 * period), constant(0.0, 0.0, 4 * period)
    gain = off_axis_gain(period)
    whole = carrier_report(bright, np.exp(1j * off_axis_phase(bright, period)), period, gain)
    none = carrier_report(dark, np.exp(1j * off_axis_phase(dark, period)), period, gain)
    assert whole.efficiency == pytest.approx(np.sinc(1 / period) ** 2, abs=ROUNDING)
    # The sinc is flat at its top: the last digit of A = 1 is 1.5e-8 of the depth.
    assert whole.error == pytest.approx(0, abs=2e-8)
    assert (none.efficiency, none.zero_order) == pytest.approx((0, 1), abs=ROUNDING)
    assert none.absorbed == pytest.approx(0, abs=ROUNDING)


@pytest.mark.parametrize("period", [4, 8, 16])
def test_smooth_masks_come_out_within_the_stated_bounds(period: int) -> None:
    wanted = smooth(32 * period)  # the phase changes by 0.3 rad over a period
    lee = carrier_report(wanted, lee_hologram(wanted, period), period, LEE_GAIN)
    phase = carrier_report(wanted, np.exp(1j * off_axis_phase(wanted, period)), period, off_axis_gain(period))
    assert lee.error <= np.pi / period
    assert phase.error <= 1.1 / period
    # The light is that of the wanted field, up to the part that the error can add: (a + e)^2 - a^2.
    for report, gain in ((lee, LEE_GAIN), (phase, off_axis_gain(period))):
        a = np.sqrt(np.mean(np.abs(wanted) ** 2))
        assert abs(report.efficiency / gain**2 - a**2) <= 2 * a * report.error + report.error**2 + ROUNDING


def test_finer_pixels_make_smaller_errors() -> None:
    """The same field and fringes on pixels of half the size: both errors are those of pixels, and halve."""
    errors = []
    for period in (4, 8, 16):
        wanted = smooth(32 * period)
        lee, phase = lee_hologram(wanted, period), np.exp(1j * off_axis_phase(wanted, period))
        errors.append(
            (
                carrier_report(wanted, lee, period, LEE_GAIN).error,
                carrier_report(wanted, phase, period, off_axis_gain(period)).error,
            )
        )
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert ratios.min() > 1.6  # 2, less what does not depend on the pixels


@pytest.mark.parametrize(("width", "period"), [(24, 8), (21, 7)])
def test_first_order_is_at_plus_one_over_the_period_and_has_the_wanted_phase(width: int, period: int) -> None:
    """About the axis at sample n // 2, even and odd: exp(+2 pi i x / Lambda) goes to +x."""
    device = np.exp(1j * off_axis_phase(np.full((3, width), np.exp(0.9j)), period))
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(device)))
    peak = np.unravel_index(np.abs(spectrum).argmax(), spectrum.shape)
    assert peak == (1, width // 2 + width // period)
    assert np.angle(spectrum[peak]) == pytest.approx(0.9, abs=ROUNDING)
    # 532 nm * 0.1 m / (8 * 4 um)
    assert carrier_offset(532e-9, 0.1, 4e-6, 8) == pytest.approx(1.6625e-3)


def test_first_order_of_a_plain_carrier_is_what_it_carries() -> None:
    """A band-limited field times exp(2 pi i x / Lambda) comes back whole; what lies on axis does not."""
    y, x = np.indices((16, 32))
    carried = 0.3 + 0.2j * np.exp(2j * np.pi * (x / 32 - y / 16))
    carrier = np.exp(2j * np.pi * (x - 16) / 4)
    got = first_order(carried * carrier + 0.5, 4)
    np.testing.assert_allclose(got, carried, atol=ROUNDING)


@given(st.integers(0, 99), st.floats(4, 9))
def test_values_are_those_of_the_device(seed: int, period: float) -> None:
    random = np.random.default_rng(seed)
    wanted = np.sqrt(random.uniform(0, 1, (2, 5, 7))) * np.exp(2j * np.pi * random.uniform(0, 1, (2, 5, 7)))
    wanted[0, 0] = 1
    wanted[0, 1] = 0
    bright, phase = lee_hologram(wanted, period), off_axis_phase(wanted, period)
    assert bright.shape == phase.shape == wanted.shape
    assert set(bright.flatten().tolist()) <= {0.0, 1.0}
    assert bright[0, 1].max() == 0  # nothing wanted: opaque
    assert phase.min() >= 0 and phase.max() < 2 * np.pi
    assert phase[0, 1].max() == 0  # nothing wanted: no blaze


@pytest.mark.parametrize("encode", [lee_hologram, off_axis_phase])
@pytest.mark.parametrize("value", [1.01, float("nan")])
def test_gain_is_refused(encode: object, value: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        encode(np.full((2, 8), value), 4)  # type: ignore[operator]


def test_short_carriers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lee_hologram: expected .* at least 4 pixels per period, got 3.5"):
        lee_hologram(np.ones((2, 8)), 3.5)
    with pytest.raises(ValueError, match=r"off_axis_phase: expected .* at least 3 pixels per period, got 2"):
        off_axis_phase(np.ones((2, 8)), 2)
    with pytest.raises(ValueError, match="got nan"):
        lee_hologram(np.ones((2, 8)), float("nan"))


def test_a_report_on_another_device_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 8\), got \(2, 9\)"):
        carrier_report(np.ones((2, 8)), np.ones((2, 9)), 4, LEE_GAIN)
