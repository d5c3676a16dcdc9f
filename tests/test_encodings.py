"""Double phase: the device, demodulated, is what was wanted, and the rest goes where it is said to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optics4f.design import (
    demodulate,
    double_phase,
    double_phase_efficiency,
    double_phase_origin,
)

ROUNDING = 1e-13  # float64, sums of up to some hundred terms of order 1


def wanted_transmittance(height: int, width: int, seed: int = 0) -> NDArray[np.complex128]:
    random = np.random.default_rng(seed)
    return random.uniform(0, 1, (height, width)) * np.exp(2j * np.pi * random.uniform(0, 1, (height, width)))


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 99))
def test_mean_over_a_super_pixel_is_the_wanted_transmittance(height: int, width: int, seed: int) -> None:
    wanted = wanted_transmittance(height, width, seed)
    phase = double_phase(wanted)
    assert phase.min() >= 0 and phase.max() < 2 * np.pi
    # arccos near A = 1 loses half the digits in theta, but cos(theta) gives them back.
    np.testing.assert_allclose(demodulate(np.exp(1j * phase)), wanted, atol=ROUNDING)


def test_light_is_shared_between_the_wanted_and_the_unwanted_field() -> None:
    wanted = wanted_transmittance(6, 5)
    device = np.exp(1j * double_phase(wanted))
    unwanted = device - np.repeat(np.repeat(wanted, 2, axis=0), 2, axis=1)
    efficiency = double_phase_efficiency(wanted)
    # |unwanted|^2 = 1 - A^2 everywhere, and the two parts are orthogonal: their energies add up.
    expected = np.repeat(np.repeat(1 - np.abs(wanted) ** 2, 2, axis=0), 2, axis=1)
    np.testing.assert_allclose(np.abs(unwanted) ** 2, expected, atol=ROUNDING)
    assert efficiency + np.mean(np.abs(unwanted) ** 2) == pytest.approx(1, abs=ROUNDING)


def test_evenly_spread_amplitudes_use_a_third_of_the_light() -> None:
    count = 1000
    amplitude = (np.arange(count) + 0.5) / count
    # The mean of squares of midpoints is 1/3 - 1/(12 n^2), exactly.
    assert double_phase_efficiency(amplitude) == pytest.approx(1 / 3 - 1 / (12 * count**2), abs=ROUNDING)


@pytest.mark.parametrize("shape", [(6, 8), (5, 7)])
def test_output_field_about_the_super_pixel_centre(shape: tuple[int, int]) -> None:
    """About the stated origin the output is cos cos times the wanted field and sin sin times the rest."""
    height, width = shape
    wanted = wanted_transmittance(height, width)
    rest = 1j * np.sqrt(1 - np.abs(wanted) ** 2) * np.exp(1j * np.angle(wanted))
    device = np.exp(1j * double_phase(wanted))
    origin_y, origin_x = double_phase_origin((height // 2, width // 2))

    def transform(samples: NDArray[np.complex128], y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray:
        return np.exp(-2j * np.pi * np.outer(ny, y)) @ samples @ np.exp(-2j * np.pi * np.outer(x, nx))

    # Frequencies in cycles per fine pixel: the output window reaches from -1/4 to 1/4.
    ny, nx = np.linspace(-0.25, 0.25, 5), np.linspace(-0.25, 0.25, 7)
    output = transform(device, np.arange(2 * height) - origin_y, np.arange(2 * width) - origin_x)
    coarse = (2.0 * (np.arange(height) - height // 2), 2.0 * (np.arange(width) - width // 2))
    cosines = np.outer(np.cos(np.pi * ny), np.cos(np.pi * nx))
    sines = np.outer(np.sin(np.pi * ny), np.sin(np.pi * nx))
    # The sign of the sine term: the checkerboard, (e^{ia} - e^{-ia})^2 = -4 sin sin.
    expected = 4 * (cosines * transform(wanted, *coarse) - sines * transform(rest, *coarse))
    np.testing.assert_allclose(output, expected, atol=4 * height * width * ROUNDING)


@pytest.mark.parametrize("value", [1.01, float("nan")])
def test_gain_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        double_phase(np.full((2, 2), value))


def test_half_a_super_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="even number"):
        demodulate(np.ones((3, 4)))
