"""Ways to put a layer through 4f systems: capacities, closed forms of light, and what does not fit."""

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from optics4f.elements.masks import KernelMask
from optics4f.elements.tiling import TiledMask, TileLayout
from optics4f.grid import Grid
from optics4f.multiplexing import light_budget
from optics4f.system import FourF
from optics4f.transduction.layer import decibel_of_power
from optics4f.transduction.plan import (
    Hardware,
    Need,
    Plan,
    aperture_capacity,
    kernel_capacity,
    plans,
)
from optics4f.units import mm, nm, um

ROUNDING = 1e-14  # a few operations in float64
LARGE = Hardware(display=(4000, 4000), mask=(4000, 4000), sensor=(4000, 4000), bits=12)
LAYER = Need(inputs=3, outputs=16, picture=(30, 40), kernel=(3, 5))
WAYS = ["parallel arms", "psf tiling", "channel tiling", "sequential"]

small = st.integers(1, 12)


def named(need: Need, hardware: Hardware = LARGE, readout: str = "") -> dict[str, Plan]:
    return {plan.realisation: plan for plan in plans(need, hardware) if readout in plan.readout}


@pytest.mark.parametrize(
    ("plane", "wide", "narrow"),
    [
        ((1024, 1024), 16, 784),
        ((1080, 1920), 32, 1590),
        ((2048, 2048), 64, 3136),
        ((2464, 4160), 180, 7820),
        ((25_000, 25_000), 11_664, 481_636),
    ],
)
def test_capacity_of_known_planes(plane: tuple[int, int], wide: int, narrow: int) -> None:
    """Pictures of 224 with kernels of 7 need tiles of 230; 32 with 5 need 36."""
    assert kernel_capacity(plane, (224, 224), (7, 7)) == wide
    assert kernel_capacity(plane, (32, 32), (5, 5)) == narrow


def test_capacity_of_an_aperture_counts_one_gap_less_than_kernels() -> None:
    assert aperture_capacity(("5 mm", "10 mm"), "1 mm", "0 mm") == 50
    assert aperture_capacity(("5 mm", "5 mm"), "1 mm", "0.1 mm") == 16  # 4 * 1 + 3 * 0.1 < 5 < 5 + 0.4
    # 3 * 1.1 + 2 * 0.1 fills 3.5 mm exactly, though not in binary.
    assert aperture_capacity(("3.5 mm", "3.5 mm"), "1.1 mm", "0.1 mm") == 9
    assert aperture_capacity(("3.4999 mm", "3.5 mm"), "1.1 mm", "0.1 mm") == 6


@given(
    small, st.tuples(small, small), st.tuples(small, small), st.tuples(st.integers(1, 90), st.integers(1, 90))
)
def test_tiled_outputs_fit_exactly_when_the_capacity_holds_them(
    outputs: int, picture: tuple[int, int], kernel: tuple[int, int], mask: tuple[int, int]
) -> None:
    need = Need(1, outputs, picture, kernel, signed=False)
    plan = named(need, replace(LARGE, mask=mask))["psf tiling"]
    assert plan.fits == (outputs <= kernel_capacity(mask, picture, kernel))
    assert all(word.startswith("needs") and "the mask's" in word for word in plan.shortfalls)


@given(small, small, st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_tiled_channels_fit_exactly_when_some_layout_does(
    inputs: int, outputs: int, mask: tuple[int, int]
) -> None:
    """Every arrangement by rows and columns is tried here, with no short cut."""
    plan = named(Need(inputs, outputs, (3, 2), (2, 1), signed=False), replace(LARGE, mask=mask))
    some = any(
        4 * a * c <= mask[0] and 2 * -(-inputs // a) * -(-outputs // c) <= mask[1]
        for a in range(1, inputs + 1)
        for c in range(1, outputs + 1)
    )
    assert plan["channel tiling"].fits == some


@given(small, small)
def test_counts_are_those_of_the_layer(inputs: int, outputs: int) -> None:
    found = named(Need(inputs, outputs, (5, 5), (3, 3)), readout="four-step")
    kernels = inputs * outputs
    counts = {w: (p.displays, p.plates, p.exposures, p.frames, p.mask_frames) for w, p in found.items()}
    assert counts == {
        "parallel arms": (inputs, kernels, 4, 1, 1),
        "psf tiling": (inputs, inputs, 4, 1, 1),
        "channel tiling": (1, 1, 4, 1, 1),
        "sequential": (1, 1, 4 * kernels, inputs, kernels),
    }
    assert {plan.masks for plan in found.values()} == {kernels}


@pytest.mark.parametrize(("channels", "decibel"), [(64, -36.1), (256, -48.2)])
def test_light_of_beam_splitters_is_that_of_the_literature(channels: int, decibel: float) -> None:
    plan = named(Need(channels, channels, (4, 4), (1, 1), signed=False))["parallel arms"]
    assert -plan.loss_db == pytest.approx(decibel, abs=0.05)  # given to one decimal
    assert plan.efficiency == pytest.approx(channels**-2, rel=ROUNDING)


def test_light_of_the_other_ways() -> None:
    found = named(LAYER, readout="four-step")
    assert [found[way].efficiency for way in WAYS] == pytest.approx([1 / 48, 1 / 48, 1 / 48, 1], rel=ROUNDING)
    least = [1 / 48, 1 / (3 * 16**2), 1 / 48**2, 1]
    assert [found[way].least_efficiency for way in WAYS] == pytest.approx(least, rel=ROUNDING)
    dark = named(LAYER, replace(LARGE, coherent=False))
    assert [dark[way].least_efficiency for way in WAYS] == [dark[way].efficiency for way in WAYS]


def test_light_agrees_with_masks_that_are_built() -> None:
    """A bench of beam splitters, and equal kernels tiled on one plate, have just what the plan says."""
    layout = TileLayout((6, 6), (3, 3), inputs=(1, 2), outputs=(2, 1))
    kernels = torch.ones(2, 2, 3, 3, dtype=torch.float64)
    masks = KernelMask(kernels, convention="convolution")
    bench = FourF(Grid(layout.tile, 8 * um), 532 * nm, 100 * mm, masks, combiner="beam_splitter")
    built = {row.name: row.efficiency for row in light_budget(bench, layout)}
    found = named(Need(2, 2, (6, 6), (3, 3), signed=False))
    assert built["beam_splitter"] == pytest.approx(found["parallel arms"].efficiency, rel=1e-12)  # FFTs
    assert built["tiling"] == pytest.approx(found["channel tiling"].least_efficiency, rel=1e-12)
    # Energy: kernels side by side share at most what one passive mask lets through.
    mask = TiledMask(torch.randn(2, 2, 3, 3, dtype=torch.float64), layout)
    passed = float(mask.transmittance(layout.shape, layout.shape).abs().square().mean().detach())
    assert passed / 4 <= found["channel tiling"].efficiency


def test_pixels_of_every_device() -> None:
    """By hand: tiles of 32 x 44 samples; a row of 16 outputs needs the fewest pixels of guard, and fits."""
    found = named(LAYER, readout="four-step")
    assert found["parallel arms"].display_pixels == (30, 40)
    assert found["parallel arms"].mask_pixels == (32, 44)
    assert math.prod(found["parallel arms"].camera_pixels) == 16 * 30 * 40
    tiled = found["psf tiling"]
    assert (tiled.mask_pixels, tiled.camera_pixels) == ((16 * 32, 44), (15 * 32 + 30, 40))
    assert found["sequential"].camera_pixels == (30, 40)


@given(small, small, st.tuples(small, small), st.tuples(small, small))
def test_every_wanted_tile_lies_in_the_rectangle_that_is_sent(
    inputs: int, outputs: int, picture: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """The layout that elements use agrees: display and sensor hold what its corners span, and no more."""
    plan = named(Need(inputs, outputs, picture, kernel, signed=False))["channel tiling"]
    layouts = [
        TileLayout(picture, kernel, (a, -(-inputs // a)), (c, -(-outputs // c)))
        for a in range(1, inputs + 1)
        for c in range(1, outputs + 1)
    ]
    spans = set()
    for layout in layouts:
        display, sensor = (
            tuple(
                max(c[axis] for c in corners) - min(c[axis] for c in corners) + picture[axis]
                for axis in (0, 1)
            )
            for corners in (layout.input_corners(layout.shape), layout.output_corners(layout.shape))
        )
        spans.add((display, layout.shape, sensor))
    assert (plan.display_pixels, plan.mask_pixels, plan.camera_pixels) in spans
    fitting = [math.prod(sensor) for _, mask, sensor in spans if max(*mask, *sensor) <= 4000]
    assert not fitting or math.prod(plan.camera_pixels) == min(fitting)


def test_pooling_before_the_sensor_saves_pixels() -> None:
    """13 x 13 pixels for each of 256 outputs at 16 bits are 86.5 kB."""
    plan = named(Need(1, 256, (224, 224), (7, 7), signed=False, read=(13, 13)))["parallel arms"]
    assert plan.frame_bytes == 256 * 13 * 13 * 12 // 8
    assert replace(plan, bits=16).frame_bytes == 86_528
    tiled = named(Need(1, 4, (224, 224), (7, 7), signed=False, read=(112, 112)))["psf tiling"]
    # Tiles of 230 samples are 115 pixels; in a column of four, three of them lie before the last picture.
    assert tiled.camera_pixels in ((3 * 115 + 112, 112), (112, 3 * 115 + 112), (115 + 112, 115 + 112))


def test_signs_are_read_with_a_reference_or_in_pairs() -> None:
    readouts = [(p.readout, p.exposures, p.sensors) for p in plans(LAYER, LARGE)[:2]]
    assert readouts == [("homodyne pair", 2, 1), ("four-step", 4, 1)]
    two = plans(LAYER, replace(LARGE, sensors=2))[0]
    assert (two.exposures, two.sensors) == (1, 2)
    assert two.total_bytes == plans(LAYER, LARGE)[0].total_bytes  # the same two frames, at once
    assert [p.readout for p in plans(replace(LAYER, signed=False), LARGE)] == ["intensity"] * 4
    pairs = named(LAYER, replace(LARGE, coherent=False))
    alone = named(replace(LAYER, signed=False, outputs=32), replace(LARGE, coherent=False))
    for way, plan in pairs.items():  # a pair is two outputs
        assert plan.readout == "positive/negative pair"
        expected = replace(alone[way], readout=plan.readout, shortfalls=plan.shortfalls)
        assert plan == expected


def test_intensities_of_single_channels_are_no_intensity_of_their_sum() -> None:
    unsigned = replace(LAYER, signed=False)
    plan = named(unsigned)["sequential"]
    assert not plan.fits and "needs a signed readout" in plan.summary
    assert named(replace(unsigned, inputs=1))["sequential"].fits
    assert named(unsigned, replace(LARGE, coherent=False))["sequential"].fits
    assert named(LAYER, readout="homodyne")["sequential"].fits


def test_a_shortfall_says_by_how_much() -> None:
    need = Need(1, 1, (32, 32), (1, 1), signed=False)
    plan = named(need, Hardware((40, 40), (40, 40), (40, 10), 8))["parallel arms"]
    assert plan.shortfalls == ("needs 3.20 times the sensor's columns",)
    assert re.search(r"does not fit: needs 3\.20 times the sensor's columns\.$", str(plan))
    narrow = named(need, Hardware((16, 40), (40, 8), (40, 40), 8))["parallel arms"]
    assert narrow.shortfalls == ("needs 2.00 times the display's rows", "needs 4.00 times the mask's columns")
    fitting = named(need, Hardware((32, 32), (32, 32), (32, 32), 8))["parallel arms"]
    assert fitting.fits and str(fitting).endswith("fits.")


def test_a_plan_is_json_with_units() -> None:
    plan = named(LAYER, readout="four-step")["channel tiling"]
    content = json.loads(json.dumps(plan.to_dict()))
    assert content["frame_bytes"] == {
        "value": plan.frame_bytes,
        "unit": "byte",
        "text": content["frame_bytes"]["text"],
    }
    assert content["camera_pixels"]["value"] == list(plan.camera_pixels)
    assert content["loss"]["value"] == pytest.approx(-decibel_of_power(1 / 48), rel=ROUNDING)
    for key, item in content.items():
        if key not in ("realisation", "readout", "fits", "shortfalls", "summary"):
            assert set(item) == {"value", "unit", "text"}, key
    assert plan.rows == plan.camera_pixels[0] and plan.total_bytes == 4 * plan.frame_bytes


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (Need, {"inputs": 0}, "Need inputs: expected a whole number above 0, got 0"),
        (Need, {"outputs": 1.5}, "Need outputs: expected a whole number above 0, got 1.5"),
        (Need, {"kernel": (0, 3)}, "Need kernel: expected at least one sample"),
        (Need, {"picture": (8,)}, "Need picture: expected a shape"),
        (Need, {"read": (8, 0)}, "Need read: expected at least one sample"),
        (Hardware, {"sensor": (0, 8)}, "Hardware sensor: expected at least one pixel"),
        (Hardware, {"bits": 0}, "Hardware bits: expected a whole number above 0, got 0"),
        (Hardware, {"sensors": True}, "Hardware sensors: expected a whole number above 0, got True"),
    ],
)
def test_bad_numbers_are_refused(kind: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        replace(LAYER if kind is Need else LARGE, **changes)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((("1 mm", "1 mm"), "1 mm", "-1 um"), "gap: expected at least 0 m"),
        ((("1 mm", "1 mm"), "0 mm", "1 um"), "kernel: expected more than 0 m"),
        ((("1 mm", 1), "1 mm", "0 m"), "size: expected a quantity"),
    ],
)
def test_a_bad_aperture_is_refused(arguments: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        aperture_capacity(*arguments)
