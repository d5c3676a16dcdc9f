"""Phase to height, height to levels, levels to binary etch masks: pure functions.

Height is what stands, etch depth is what was taken away. A wafer is etched from its top surface, so that
level ``q = L - 1`` is the untouched surface and level 0 the deepest floor. With time dependence exp(-i omega
t) a thicker glass has the larger phase.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def height_2pi(wavelength: float, refractive_index: float) -> float:
    r"""Height of material in air that delays by one wave, :math:`\lambda / (n - 1)` [m]."""
    return wavelength / (_index(refractive_index) - 1)


def relief_height(phase: ArrayLike, wavelength: float, refractive_index: float) -> NDArray[np.float64]:
    r"""Height of a transmissive relief in air, :math:`h = \varphi \lambda / (2 \pi (n - 1))`.

    Thin element, normal incidence.

    Args:
        phase: Phase [rad], any shape; it is wrapped to [0, 2 pi).
        wavelength: Vacuum wavelength [m].
        refractive_index: Index of the material, larger than 1.

    Returns:
        Height [m] above the deepest floor, in [0, lambda / (n - 1)).
    """
    return _wrapped_turns(phase) * height_2pi(wavelength, refractive_index)


def phase_of_height(height: ArrayLike, wavelength: float, refractive_index: float) -> NDArray[np.float64]:
    r"""Phase of a relief in air, :math:`\varphi = 2 \pi (n - 1) h / \lambda` [rad], not wrapped."""
    return 2 * np.pi * np.asarray(height, dtype=np.float64) / height_2pi(wavelength, refractive_index)


def quantise_phase(phase: ArrayLike, levels: int) -> NDArray[np.int64]:
    r"""Nearest of ``levels`` phases :math:`2 \pi q / L`, wrapping: a phase just below 2 pi becomes level 0.

    Args:
        phase: Phase [rad], any shape.
        levels: Number of levels L, at least 2.

    Returns:
        Level q in 0 ... L - 1.

    Raises:
        ValueError: If there are fewer than two levels.
    """
    if levels < 2:
        raise ValueError(f"levels: expected at least 2, got {levels}.")
    # Halves go up, always: rounding them to even would make the steps of a blaze unequally wide.
    nearest = np.floor(_wrapped_turns(phase) * levels + 0.5).astype(np.int64)
    return nearest % levels


def phase_of_level(level: ArrayLike, levels: int) -> NDArray[np.float64]:
    r"""Phase of a level, :math:`2 \pi q / L` [rad]."""
    return 2 * np.pi * np.asarray(level, dtype=np.float64) / levels


def mask_count(levels: int) -> int:
    """Number n of binary masks that make ``levels`` = 2^n levels.

    Raises:
        ValueError: If ``levels`` is not a power of two from 2 to 256.
    """
    count = int(levels).bit_length() - 1
    if not (1 <= count <= 8 and levels == 2**count):
        raise ValueError(f"levels: expected a power of two from 2 to 256, got {levels}.")
    return count


def etch_depths(levels: int, wavelength: float, refractive_index: float) -> NDArray[np.float64]:
    r"""Depth that binary mask i etches, :math:`\lambda\, 2^i / (L (n - 1))` [m], for i = 0 ... n - 1."""
    return 2.0 ** np.arange(mask_count(levels)) * height_2pi(wavelength, refractive_index) / levels


def binary_masks(level: ArrayLike, levels: int) -> list[NDArray[np.bool_]]:
    r"""Bit i of each level, :math:`q = \sum_i b_i 2^i`: True where mask i leaves the material standing.

    Args:
        level: Levels 0 ... L - 1, any shape, integers.
        levels: Number of levels L, a power of two from 2 to 256.

    Raises:
        ValueError: If a level is outside 0 ... L - 1 or L is not such a power of two.
    """
    count = mask_count(levels)
    array: NDArray[Any] = np.asarray(level)
    if array.size and not (array.min() >= 0 and array.max() < levels):
        raise ValueError(f"level: expected 0 to {levels - 1}, got {array.min()} to {array.max()}.")
    return [(array >> bit & 1).astype(bool) for bit in range(count)]


def etch_masks(level: ArrayLike, levels: int) -> list[NDArray[np.bool_]]:
    r"""Where each binary mask etches: bit i of the complement :math:`L - 1 - q` of the level.

    Every mask takes away :math:`2^i\,\Delta h` where it etches, with :math:`\Delta h = \lambda / (L (n -
    1))`. Together they take away

    .. math:: \sum_i (1 - b_i)\, 2^i \Delta h = (L - 1 - q)\, \Delta h

    so that :math:`q\,\Delta h` stands above the deepest floor: the height of level q. Args and Raises as in
    :func:`binary_masks`.
    """
    return [~standing for standing in binary_masks(level, levels)]


def level_of_etch_masks(masks: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """The level that stands after all binary masks have etched: the inverse of :func:`etch_masks`."""
    standing = [(~mask).astype(np.int64) << bit for bit, mask in enumerate(masks)]
    result: NDArray[np.int64] = np.sum(standing, axis=0, dtype=np.int64)
    return result


def _wrapped_turns(phase: ArrayLike) -> NDArray[np.float64]:
    turns = np.asarray(phase, dtype=np.float64) / (2 * np.pi)
    # A tiny negative phase wraps to exactly one turn in floating point; the second remainder makes it zero.
    return turns % 1.0 % 1.0


def _index(refractive_index: float) -> float:
    if not 1 < refractive_index < 10:
        raise ValueError(f"refractive_index: expected a number between 1 and 10, got {refractive_index}.")
    return refractive_index
