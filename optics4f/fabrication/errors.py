"""Masks as a process makes them: etched too deep, layers beside one another, corners rounded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..units import compact, si
from .bank import MaskBankData
from .relief import etch_masks, quantise_phase

FINE = 8  # samples across a pixel on which corners are rounded


@dataclass(frozen=True)
class ProcessErrors:
    """What a process gets wrong on a relief of binary etch steps.

    Args:
        etch: Relative error of all etch depths; 0.05 is 5 % too deep.
        overlay: Each etch layer is shifted by a normal random step of this r.m.s. in y and in x [length].
        rounding: Radius to which corners are rounded and below which features are lost, as the r.m.s. width
            of a Gaussian blur of each layer before it is thresholded at one half [length].
        seed: Of the overlay.

    Raises:
        TypeError: If a length has no unit.
        ValueError: If a length is negative, or the etch error not above -1.
    """

    etch: float = 0.0
    overlay: Any = "0 nm"
    rounding: Any = "0 nm"
    seed: int = 0

    def __post_init__(self) -> None:
        if not -1 < self.etch < 10:
            raise ValueError(f"ProcessErrors etch: expected a number above -1, got {self.etch!r}.")
        for name in ("overlay", "rounding"):
            value = si(getattr(self, name), "m", f"ProcessErrors {name}")
            if not value >= 0:
                raise ValueError(f"ProcessErrors {name}: expected 0 m or more, got {value} m.")
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        parts = [f"etch {100 * self.etch:+g} %"] if self.etch else []
        lengths = {"overlay": self.overlay, "rounding": self.rounding}
        parts += [f"{name} {compact(value, 'm')}" for name, value in lengths.items() if value]
        return ", ".join(parts) or "as drawn"


def fabricated(bank: MaskBankData, errors: ProcessErrors, levels: int | None = None) -> MaskBankData:
    r"""The bank with the errors of a process, averaged over each pixel.

    Layer i of :func:`~optics4f.fabrication.relief.etch_masks` takes away :math:`2^i (1 + \epsilon)` steps of
    :math:`2\pi/L` where it etches, with its corners rounded (on 8 x 8 samples of a pixel) and its edges
    moved (exactly). The mean of :math:`e^{i\varphi}` over a pixel is what light near the axis sees of it;
    what finer structure sends aside is left out. Around the mask its rim goes on. Thin element.

    Args:
        bank: Phase-only masks; :math:`|t|` comes back 1 where no edge crosses a pixel, and below 1 elsewhere.
        errors: What goes wrong.
        levels: Height levels L, a power of two; those of the bank if None.

    Raises:
        ValueError: If the bank has no levels and none are given, or they are no power of two.
    """
    count = levels or bank.levels
    if not count:
        raise ValueError("fabricated: expected the levels of the relief, got a bank of continuous phase.")
    random = np.random.default_rng(errors.seed)
    shifts = random.normal(size=(count.bit_length() - 1, 2)) * errors.overlay / np.array(bank.pitch)
    made = np.empty_like(bank.transmittance)
    for place in np.ndindex(*bank.transmittance.shape[:2]):
        level = quantise_phase(np.angle(bank.transmittance[place]), count)
        made[place] = _mask(etch_masks(level, count), shifts, errors, bank.pitch)
    return replace(bank, transmittance=made, levels=0, encoding="complex")


def _mask(
    layers: list[NDArray[np.bool_]],
    shifts: NDArray[np.float64],
    errors: ProcessErrors,
    pitch: tuple[float, float],
) -> NDArray[np.complex128]:
    height, width = layers[0].shape
    fine = FINE if errors.rounding else 1
    if errors.rounding:
        layers = [_rounded(layer, errors.rounding, pitch) for layer in layers]
    mean = _mean_over_samples(layers, shifts * fine, errors.etch)
    return np.asarray(mean.reshape(height, fine, width, fine).mean((1, 3)))


def _mean_over_samples(
    layers: list[NDArray[np.bool_]], shifts: NDArray[np.float64], etch: float
) -> NDArray[np.complex128]:
    """Mean of t over each sample, exactly: between the edges that cross a sample all layers are constant."""
    whole = np.floor(shifts).astype(int)
    cuts = [sorted({0.0, 1.0, *part}) for part in (shifts - whole).T]
    mean = np.zeros(layers[0].shape, np.complex128)
    for (bottom, top), (left, right) in product(*(list(pairwise(cut)) for cut in cuts)):
        depth = np.zeros(mean.shape)
        for bit, (layer, shift, step) in enumerate(zip(layers, shifts, whole, strict=True)):
            down, across = step + ((bottom, left) < shift - step)
            depth += 2**bit * _moved(layer, int(down), int(across))
        mean += (top - bottom) * (right - left) * np.exp(1j * _phase(depth, 2 ** len(layers), etch))
    return mean


def _moved(layer: NDArray[np.bool_], down: int, across: int) -> NDArray[np.bool_]:
    """A layer moved by whole samples; its rim goes on around it."""
    height, width = layer.shape
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - across, 0, width - 1)
    return np.asarray(layer[np.ix_(rows, columns)])


def _phase(depth: NDArray[np.float64], count: int, etch: float) -> NDArray[np.float64]:
    """Phase over that of the deepest floor as it was meant, so that no error gives the drawn phase."""
    return np.asarray(2 * np.pi / count * ((count - 1) - depth * (1 + etch)))


def _rounded(layer: NDArray[np.bool_], rounding: float, pitch: tuple[float, float]) -> NDArray[np.bool_]:
    from scipy import ndimage

    fine = np.repeat(np.repeat(layer, FINE, 0), FINE, 1).astype(float)
    blurred = ndimage.gaussian_filter(fine, [FINE * rounding / p for p in pitch], mode="nearest")
    return np.asarray(blurred > 0.5)
