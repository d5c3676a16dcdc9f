"""Masks as a process makes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from optics4f import FourF, Grid, PhaseMask, mm, nm, um
from optics4f.fabrication.bank import MaskBankData
from optics4f.fabrication.bench import bank_of
from optics4f.fabrication.errors import ProcessErrors, fabricated

LEVELS = 16


def relief(phase: np.ndarray) -> MaskBankData:
    """One mask of 50 um pixels, 16 levels."""
    n = phase.shape[-1]
    grid = Grid((n, n), 500e-9 * 0.1 / (n * 50e-6) * 1e6 * um)
    masks = PhaseMask(torch.from_numpy(phase)[None, None], levels=LEVELS)
    return replace(bank_of(FourF(grid, 500 * nm, 100 * mm, masks)), levels=LEVELS)


def random_relief() -> MaskBankData:
    return relief(2 * np.pi * np.random.default_rng(1).integers(0, LEVELS, (16, 16)) / LEVELS)


def test_no_error_gives_the_drawn_masks() -> None:
    bank = random_relief()
    for errors in (ProcessErrors(), ProcessErrors(overlay="1e-9 nm")):  # the second cuts pixels into slivers
        made = fabricated(bank, errors)
        assert np.abs(made.transmittance - bank.transmittance).max() < 1e-6  # complex64


@pytest.mark.parametrize("etch", [-0.1, 0.02, 0.05])
def test_an_etch_error_costs_a_blaze_its_closed_form(etch: float) -> None:
    """First order of a blaze of L levels whose depth is wrong by eps: |mean of exp(-2 pi i eps q/L)|^2."""
    ramp = 2 * np.pi * (np.arange(16) % LEVELS) / LEVELS
    bank = relief(np.tile(ramp, (16, 1)))
    made = fabricated(bank, ProcessErrors(etch=etch)).transmittance[0, 0]
    order = np.fft.fft2(made)[0, 1] / made.size
    steps = np.arange(LEVELS)
    expected = abs(np.exp(2j * np.pi * etch * steps / LEVELS).mean()) ** 2
    assert abs(order) ** 2 == pytest.approx(expected, abs=1e-6)  # complex64
    # For many levels that is sinc^2(eps), to 1/L^2.
    assert expected == pytest.approx(np.sinc(etch) ** 2, abs=1 / LEVELS**2)


def test_a_layer_beside_the_others_mixes_neighbouring_pixels() -> None:
    """A step of pi, its layer shifted by a quarter of a pixel: that pixel is the mean of what covers it."""
    phase = np.zeros((16, 16))
    phase[:, 8:] = np.pi
    bank = replace(relief(phase), levels=2)
    errors = ProcessErrors(overlay="12.5 um", seed=3)
    shift = np.random.default_rng(3).normal(size=(1, 2))[0, 1] * 12.5 / 50  # of a pixel, along x
    made = fabricated(bank, errors).transmittance[0, 0, 8].real
    edge = 8 if shift > 0 else 7
    assert abs(made[edge]) == pytest.approx(abs(1 - 2 * abs(shift)), abs=1e-6)  # complex64
    assert np.abs(np.abs(np.delete(made, [edge, 0, 15])) - 1).max() < 1e-6


def test_rounding_leaves_straight_edges_and_takes_a_lonely_pixel() -> None:
    half = np.zeros((16, 16))
    half[:, 8:] = np.pi
    straight = replace(relief(half), levels=2)
    made = fabricated(straight, ProcessErrors(rounding="20 um"))
    assert np.abs(made.transmittance - straight.transmittance).max() < 1e-6
    alone = np.zeros((16, 16))
    alone[8, 8] = np.pi
    dot = replace(relief(alone), levels=2)
    small = fabricated(dot, ProcessErrors(rounding="10 um")).transmittance[0, 0]
    gone = fabricated(dot, ProcessErrors(rounding="60 um")).transmittance[0, 0]
    drawn = dot.transmittance[0, 0]
    assert abs(drawn[8, 8] - drawn[0, 0]) == pytest.approx(2, abs=1e-6)
    assert 0 < abs(small[8, 8] - drawn[8, 8]) < 0.6  # the corners alone
    assert np.abs(gone - gone[0, 0]).max() < 1e-6  # nothing is left of it


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"etch": -1.5}, "ProcessErrors etch: expected a number above -1, got -1.5"),
        ({"overlay": "-1 nm"}, "ProcessErrors overlay: expected 0 m or more"),
    ],
)
def test_refused(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ProcessErrors(**arguments)  # type: ignore[arg-type]


def test_a_bank_without_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the levels of the relief"):
        fabricated(replace(random_relief(), levels=0), ProcessErrors(etch=0.1))
