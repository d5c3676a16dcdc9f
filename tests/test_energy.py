"""Energy of an inference: the sum of its terms, published numbers, and what is never assumed."""

import json
import math
from typing import Any

import pytest

from optics4f.transduction.energy import (
    EnergyBudget,
    compare,
    digital_energy,
    inference_energy,
    plan_energy,
)
from optics4f.transduction.plan import Hardware, Need, plans

ROUNDING = 1e-14  # a few operations in float64
NUMBERS: dict[str, Any] = {
    "laser_power": "2 W",
    "exposure_time": "3 ms",
    "exposures": 5,
    "display_energy": "7 uJ",
    "frames": 11,
    "pixel_energy": "13 pJ",
    "pixels": 17_000,
    "bit_energy": "19 pJ",
    "bits": 23_000,
    "macs": 29_000,
    "idle_power": "31 mW",
    "duration": "37 ms",
}
TERMS = {
    "laser": 2 * 3e-3 * 5,
    "display": 7e-6 * 11,
    "pixels": 13e-12 * 17_000,
    "link": 19e-12 * 23_000,
    "back end": 300e-15 * 29_000,
    "idle": 31e-3 * 37e-3,
}


def test_every_term_is_its_product_and_the_total_their_sum() -> None:
    found = inference_energy(**NUMBERS)
    assert {term.name: term.energy for term in found.terms} == pytest.approx(TERMS, rel=ROUNDING)
    assert found.total_j == math.fsum(term.energy for term in found.terms)
    assert found.total.to("J").magnitude == found.total_j
    assert found.largest.name == "laser"


def test_only_the_mac_has_a_default_and_it_names_its_source() -> None:
    found = inference_energy(**NUMBERS, sources={"laser_power": "data sheet"})
    sources = {term.name: term.source for term in found.terms}
    assert "arXiv:2302.10360" in sources.pop("back end")
    assert sources == {
        "laser": "data sheet",
        "display": "given",
        "pixels": "given",
        "link": "given",
        "idle": "given",
    }
    own = inference_energy(**NUMBERS, mac_energy="1 pJ", sources={"mac_energy": "measured"})
    assert (own.terms[4].each, own.terms[4].source) == (1e-12, "measured")
    assert inference_energy(**NUMBERS, mac_energy="1 pJ").terms[4].source == "given"


def test_every_term_is_printed_with_its_source() -> None:
    lines = str(inference_energy(**NUMBERS, name="bench")).splitlines()
    assert lines[0].startswith("bench: 31.22 mJ for an inference")
    assert [line.split(":")[0].strip() for line in lines[1:]] == list(TERMS)
    assert lines[1].strip() == "laser: 30 mJ = 15 ms x 2 W (given)"
    assert lines[3].strip() == "pixels: 221 nJ = 17,000 x 13 pJ (given)"
    assert all(line.endswith(")") for line in lines[1:])


def test_numbers_of_a_published_hybrid_add_up() -> None:
    """NTKD, arXiv:2508.08421: 2.01 mJ of back end for 65 M MACs and 3.82 mJ of capture are 5.83 mJ."""
    nothing = dict.fromkeys(("display_energy", "bit_energy", "pixel_energy"), "0 J")
    counts = dict.fromkeys(("exposures", "frames", "pixels", "bits"), 1)
    hybrid = inference_energy(
        **nothing,
        **counts,
        laser_power="0 W",
        exposure_time="0 s",
        macs=65_000_000,
        mac_energy=f"{2.01e-3 / 65e6} J",
        idle_power="3.82 W",
        duration="1 ms",
    )
    assert hybrid.total_j == pytest.approx(5.83e-3, rel=1e-12)
    # 7.37 mJ for 239 M MACs is the same energy for each to the digits that are given: 30.8 and 30.9 pJ.
    digital = compare(hybrid, 239_000_000, f"{2.01e-3 / 65e6} J").digital
    assert digital.total_j == pytest.approx(7.37e-3, rel=5e-3)


def test_break_even_is_where_both_take_the_same() -> None:
    optical = inference_energy(**NUMBERS)
    found = compare(optical, 10**9)
    assert found.ratio == pytest.approx(300e-15 * 1e9 / optical.total_j, rel=ROUNDING)
    assert found.break_even_macs == pytest.approx(optical.total_j / 300e-15, rel=ROUNDING)
    level = compare(optical, round(found.break_even_macs))
    assert level.ratio == pytest.approx(1, rel=1e-10)  # a whole number of 1e11 MACs
    assert "break-even at 104," in str(found) and "0.00961 times as much" in str(found)
    assert "arXiv:2302.10360" in found.digital.terms[0].source
    assert digital_energy(7, "2 pJ", "measured").terms[0].source == "measured"


def test_a_plan_brings_its_counts() -> None:
    rest = {
        key: value for key, value in NUMBERS.items() if key not in ("exposures", "frames", "pixels", "bits")
    }
    hardware = Hardware((99, 99), (999, 999), (999, 999), bits=10, sensors=2)
    for plan in plans(Need(3, 4, (8, 9), (3, 3)), hardware):
        found = plan_energy(plan, **rest)
        counts = {term.name: term.count for term in found.terms}
        exposures = {"homodyne pair": 1, "four-step": 4}[plan.readout]
        one_by_one = plan.realisation == "sequential"
        exposures *= 12 if one_by_one else 1
        sensors = 2 if plan.readout == "homodyne pair" else 1
        height, width = plan.camera_pixels
        assert counts["laser"] == pytest.approx(3e-3 * exposures, rel=ROUNDING)
        assert counts["pixels"] == exposures * sensors * height * width
        assert 0 <= counts["link"] - 10 * counts["pixels"] < 8 * exposures  # the last byte of a frame
        tiled = plan.realisation == "channel tiling"
        assert counts["display"] == (3 + 12 if one_by_one else 1 if tiled else 3)
        assert found.name == plan.name
    assert plan_energy(plan, **rest, name="mine").name == "mine"


def test_a_budget_is_json_with_units() -> None:
    content = json.loads(json.dumps(compare(inference_energy(**NUMBERS), 10**9).to_dict()))
    laser, link = content["optical"]["terms"][0], content["optical"]["terms"][3]
    assert laser["each"] == {"value": 2.0, "unit": "W", "text": "2 W"}
    assert laser["count"]["unit"] == "s" and laser["energy"]["unit"] == "J"
    assert (link["count"]["value"], link["count"]["unit"], link["each"]["unit"]) == (23_000, "bit", "J")
    total = math.fsum(term["energy"]["value"] for term in content["optical"]["terms"])
    assert content["optical"]["total"]["value"] == total
    assert content["ratio"]["unit"] == content["break_even_macs"]["unit"] == "1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"laser_power": 2.0}, "laser_power: expected a quantity"),
        ({"laser_power": "2 J"}, "laser_power"),
        ({"laser_power": "-2 W"}, "laser_power: expected at least 0 W, got -2 W"),
        ({"pixel_energy": "-1 pJ"}, "pixel_energy: expected at least 0 J"),
        ({"exposure_time": "-1 s"}, "exposure_time: expected at least 0 s"),
        ({"duration": "0 s"}, "duration: expected more than 0 s"),
        ({"frames": -1}, "frames: expected a whole number of at least 0, got -1"),
        ({"macs": 1.5}, "macs: expected a whole number of at least 0, got 1.5"),
        ({"sources": {"laser": "x"}}, "sources: expected names among .* got laser"),
    ],
)
def test_bad_numbers_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        inference_energy(**(NUMBERS | changes))


@pytest.mark.parametrize("key", sorted(NUMBERS))
def test_nothing_else_is_assumed(key: str) -> None:
    with pytest.raises(TypeError, match=f"missing 1 required keyword-only argument: '{key}'"):
        inference_energy(**{name: value for name, value in NUMBERS.items() if name != key})


def test_bad_comparisons_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a whole number of MACs above 0, got 0"):
        digital_energy(0)
    with pytest.raises(ValueError, match="mac_energy: expected more than 0 J"):
        digital_energy(1, "0 J")
    with pytest.raises(ValueError, match="expected an optical network that takes energy, got 0 J"):
        compare(EnergyBudget("nothing", ()), 1)
