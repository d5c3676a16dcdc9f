"""Relief: closed forms for height, levels and etch masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optics4f.fabrication.materials import refractive_index
from optics4f.fabrication.relief import (
    binary_masks,
    etch_depths,
    etch_masks,
    height_2pi,
    level_of_etch_masks,
    phase_of_height,
    phase_of_level,
    quantise_phase,
    relief_height,
)

GREEN = 532e-9
LEVELS = [2, 4, 8, 16, 32, 256]


def test_height_of_one_wave_in_fused_silica() -> None:
    # n to four decimals gives the height to 1e-4 / 0.46 = 2e-4 of itself at worst; printed to 0.1 nm.
    assert height_2pi(GREEN, 1.4607) * 1e9 == pytest.approx(1154.8, abs=0.05)
    assert height_2pi(GREEN, refractive_index("fused-silica", GREEN)) * 1e9 == pytest.approx(1154.8, abs=0.1)


def test_positive_phase_is_thicker_glass_and_wraps() -> None:
    phase = np.array([0.0, np.pi / 2, np.pi, 2 * np.pi, -np.pi / 2, -1e-20])
    expected = np.array([0, 1, 2, 0, 3, 0]) / 4 * height_2pi(GREEN, 1.46)
    # Float64 rounding of a height of one micrometre.
    np.testing.assert_allclose(relief_height(phase, GREEN, 1.46), expected, atol=1e-20)


@given(st.floats(-50, 50))
def test_height_gives_the_phase_back(phase: float) -> None:
    back = phase_of_height(relief_height(phase, GREEN, 1.46), GREEN, 1.46)
    # Float64 rounding of the division of 50 rad by one turn.
    assert abs(np.exp(1j * back) - np.exp(1j * phase)) < 1e-13


@given(st.floats(-50, 50), st.integers(2, 300))
def test_quantised_phase_is_the_nearest_level(phase: float, levels: int) -> None:
    level = int(quantise_phase(phase, levels))
    assert 0 <= level < levels
    error = np.angle(np.exp(1j * (phase - phase_of_level(level, levels))))
    # Half a level, and float64 rounding of a phase of 50 rad.
    assert abs(error) <= np.pi / levels + 1e-12


@pytest.mark.parametrize("levels", LEVELS)
def test_levels_survive_quantisation(levels: int) -> None:
    level = np.arange(levels)
    np.testing.assert_array_equal(quantise_phase(phase_of_level(level, levels) - 4 * np.pi, levels), level)


def test_etch_depths_of_sixteen_levels() -> None:
    # The published depths are rounded to 0.1 nm.
    depths = etch_depths(16, GREEN, refractive_index("fused-silica", GREEN)) * 1e9
    np.testing.assert_allclose(depths[::-1], [577.4, 288.7, 144.3, 72.2], atol=0.06)


@pytest.mark.parametrize("levels", LEVELS)
def test_masks_are_the_bits_and_etching_leaves_the_level(levels: int) -> None:
    level = np.arange(levels).reshape(2, -1)
    bits = binary_masks(level, levels)
    np.testing.assert_array_equal(sum(bit * 2**i for i, bit in enumerate(bits)), level)
    step = height_2pi(GREEN, 1.46) / levels
    removed = sum(
        mask * depth
        for mask, depth in zip(etch_masks(level, levels), etch_depths(levels, GREEN, 1.46), strict=True)
    )
    # What stands above the deepest floor is level times step, to float64 rounding of one micrometre.
    np.testing.assert_allclose((levels - 1) * step - removed, level * step, atol=1e-20)
    np.testing.assert_array_equal(level_of_etch_masks(etch_masks(level, levels)), level)


@pytest.mark.parametrize("levels", [-4, 0, 1, 3, 10, 512])
def test_levels_that_binary_masks_cannot_make_are_refused(levels: int) -> None:
    with pytest.raises(ValueError, match="power of two from 2 to 256"):
        etch_depths(levels, GREEN, 1.46)


@pytest.mark.parametrize("level", [-1, 4])
def test_level_outside_the_range_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 3"):
        binary_masks(np.array([level]), 4)


@pytest.mark.parametrize("levels", [2, 4, 8, 16, 32])
def test_quantised_blaze_has_efficiency_sinc_squared(levels: int) -> None:
    pixels = 8 * levels  # of one period
    ramp = 2 * np.pi * (np.arange(pixels) + 0.5) / pixels  # the phase at pixel centres, never between levels
    staircase = np.exp(1j * phase_of_level(quantise_phase(ramp, levels), levels))
    # A pixel is constant over its width: the Fourier coefficient is that of the samples times a sinc.
    order = np.fft.fft(staircase)[1] / pixels * np.sinc(1 / pixels)
    # Float64 rounding over a sum of 256 terms.
    assert abs(order) ** 2 == pytest.approx(np.sinc(1 / levels) ** 2, abs=1e-13)
