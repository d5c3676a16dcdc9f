"""Configurations, the catalogue and what follows from them: closed forms, units, advice, and each refusal."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from optics4f.record import Record, save_records
from optics4f.transduction import (
    PRESETS,
    Case,
    Constant,
    Uniform,
    changes,
    load_case,
    load_catalogue,
    next_best_change,
    preset,
    preset_case,
    sweep,
)
from optics4f.transduction.catalogue import GROUPS, shipped
from optics4f.transduction.changes import best_changes
from optics4f.transduction.report import advice, comparison, differences, remarks, sources, table
from optics4f.transduction.tomltext import find_line
from optics4f.units import mm, us

ROOT = Path(__file__).parents[1]
ROUNDING = 1e-13  # some operations in float64
SPEED_OF_LIGHT = 299_792_458.0

BENCH: dict[str, Any] = {
    "name": "bench",
    "display": {"load": "1 ms", "settle": "0.5 ms", "host_copy": "0.2 ms"},
    "trigger": {"duration": "56 us"},
    "optics": {"focal_lengths": ["100 mm", "50 mm"]},
    "sensor": {
        "exposure": "100 us",
        "region": [415, 200],
        "row_time": "5 us",
        "frame_overhead": "30 us",
        "binning": 2,
        "bits": 12,
        "conversion": "7 us",
    },
    "link": {"rate": "1 Gbit/s", "start_delay": "60 us"},
    "host": {"driver": "90 us", "to_device": "20 us"},
    "back_end": {"duration": "0.28 ms"},
}


def changed(table: str, **values: Any) -> dict[str, Any]:
    """The bench with other values in one table; None takes one out."""
    content = {**BENCH.get(table, {}), **values}
    return {**BENCH, table: {key: value for key, value in content.items() if value is not None}}


def durations(case: Case) -> dict[str, float]:
    return {stage.name: stage.duration for stage in case.budget().stages}


def test_every_stage_is_its_formula() -> None:
    found = durations(Case(BENCH))
    expected = {
        "host to display": 0.2e-3,
        "display load": 1e-3,
        "display settle": 0.5e-3,
        "trigger": 56e-6,
        "time of flight": 2 * (0.1 + 0.05) / SPEED_OF_LIGHT,
        "exposure": 100e-6,
        "sensor readout": 30e-6 + 208 * 5e-6,  # 415 rows in pairs
        "conversion": 7e-6,
        "transmission start": 60e-6,
        "transduction": 208 * 100 * 12 / 1e9,
        "driver and host copy": 90e-6,
        "host to device": 20e-6,
        "back end": 0.28e-3,
    }
    assert list(found) == list(expected)  # in the order of the light
    assert found == pytest.approx(expected, rel=ROUNDING)
    assert Case(BENCH).budget().missing == []


@pytest.mark.parametrize(("bits", "milliseconds"), [(8, 0.1606), (16, 0.3211), (24, 0.4817)])
def test_pictures_of_224_pixels_over_the_paper_s_link(bits: int, milliseconds: float) -> None:
    case = Case({"sensor": {"region": [224, 224], "bits": bits}, "link": {"device": "paper_usb3"}})
    seconds = durations(case)["transduction"]
    assert seconds == pytest.approx(224 * 224 * bits / 2.5e9, rel=ROUNDING)
    assert seconds * 1e3 == pytest.approx(milliseconds, abs=5e-5)  # the last of four written digits


def test_binning_behind_the_sensor_shortens_the_transfer_alone() -> None:
    without = durations(Case(changed("sensor", binning=None)))
    behind = durations(Case(changed("sensor", binning=None, camera_binning=2)))
    assert behind["sensor readout"] == without["sensor readout"]
    assert behind["transduction"] == pytest.approx(208 * 100 * 12 / 1e9, rel=ROUNDING)


def test_time_of_flight_is_known_by_focal_lengths_by_path_and_by_bench() -> None:
    bench = SimpleNamespace(focal_length=0.1, second_focal_length=0.05)  # as FourF keeps them, in metres
    for optics in (
        {"focal_lengths": [100 * mm, "50 mm"]},
        {"path": "300 mm"},
        {"bench": bench},
    ):
        found = durations(Case({**BENCH, "optics": optics}))["time of flight"]
        assert found == pytest.approx(0.3 / SPEED_OF_LIGHT, rel=ROUNDING)


def test_an_exposure_may_be_computed_or_vary() -> None:
    for exposure in (100 * us, lambda: "100 us", Constant("100 us"), Uniform("50 us", "150 us")):
        assert durations(Case(changed("sensor", exposure=exposure)))["exposure"] == pytest.approx(
            1e-4, rel=1e-15
        )


def test_a_camera_that_runs_free_adds_up_to_a_frame_and_a_triggered_one_nothing() -> None:
    triggered = Case({**BENCH, "trigger": {"duration": "56 us"}}).budget()
    free = Case({**BENCH, "trigger": {"free_running": "100 Hz"}}).budget()
    rest = triggered.total_s - 56e-6
    wait = free.stages[3]
    assert triggered.is_constant and wait.distribution == Uniform("0 s", "10 ms")
    for percent in (50, 90, 99):
        value, low, high = free.drawn.percentile(percent)
        # U(0, T) behind a constant; five standard errors of a quantile of the uniform distribution.
        error = 5 * 10e-3 * math.sqrt(percent / 100 * (1 - percent / 100) / free.drawn.count)
        assert abs(value - (rest + 10e-3 * percent / 100)) < error and low <= value <= high
    assert free.rate() == pytest.approx(100, rel=ROUNDING)  # one frame per frame


def test_a_display_that_runs_free_is_waited_for() -> None:
    budget = Case(changed("display", load=None, frame_rate="50 Hz", free_running=True)).budget()
    wait, load = budget.stages[1:3]
    assert (wait.name, wait.distribution) == ("wait for the display", Uniform("0 s", "20 ms"))
    assert (load.name, load.duration) == ("display load", pytest.approx(20e-3, rel=ROUNDING))


def test_numbers_of_a_device_stand_in_for_keys_that_are_not_given() -> None:
    case = Case({"sensor": {"device": "imx250_12bit", "region": [224, 224]}, "link": {"device": "cxp_12"}})
    found = durations(case)
    assert found["sensor readout"] == pytest.approx(233.3e-6 + 224 * 8.333e-6, rel=ROUNDING)
    assert found["transduction"] == pytest.approx(224 * 224 * 12 / 10e9, rel=ROUNDING)
    own = durations(case.changed("sensor", row_time="1 us", bits=16))
    assert own["sensor readout"] == pytest.approx(233.3e-6 + 224e-6, rel=ROUNDING)
    assert own["transduction"] == pytest.approx(224 * 224 * 16 / 10e9, rel=ROUNDING)


def test_a_back_end_may_be_a_device_or_a_measured_record(tmp_path: Path) -> None:
    launched = Case({**BENCH, "host": {"driver": "1 ms"}, "back_end": {"device": "gpu", "duration": "1 ms"}})
    names = [stage.name for stage in launched.budget().stages][-4:]
    assert names == ["driver and host copy", "host to device", "launch", "back end"]
    assert launched.budget().unverified == ["host to device", "launch"]
    both = Case({**BENCH, "back_end": {"device": "gpu", "duration": "1 ms"}})
    assert durations(both)["host to device"] == pytest.approx(20e-6, rel=ROUNDING)  # what the host says
    record = Record(
        name="back end",
        value=3e-4,
        unit="s",
        interval=(2e-4, 4e-4),
        samples=9,
        device="gpu 1",
        method="median",
    )
    save_records(tmp_path / "back_end.json", [record])
    path = tmp_path / "bench.toml"
    path.write_text('[back_end]\nmeasured = "back_end.json"\n')  # beside the configuration
    stage = load_case(path).budget().stages[0]
    assert (stage.duration, stage.interval) == (3e-4, (2e-4, 4e-4)) and "gpu 1" in stage.source


def test_the_shipped_configuration_is_a_complete_bench() -> None:
    budget = load_case(ROOT / "examples" / "runtime.toml").budget()
    assert budget.missing == [] and not budget.is_constant
    found = {stage.name: stage.duration for stage in budget.stages}
    assert found["sensor readout"] == pytest.approx(233.3e-6 + 208 * 8.333e-6, rel=ROUNDING)
    assert found["transduction"] == pytest.approx(208 * 208 * 16 / 2.8e9, rel=ROUNDING)
    assert found["transmission start"] == pytest.approx(62.5e-6, rel=ROUNDING)


def test_the_paper_and_the_paper_complete() -> None:
    paper, complete = preset("paper-2022"), preset("paper-2022-complete")
    assert paper.total_s == pytest.approx(0.60e-3 + 0.4 / SPEED_OF_LIGHT, rel=ROUNDING)
    assert paper.note == "the paper prints 0.61"
    shared = {stage.name: stage.duration for stage in paper.stages}
    assert {s.name: s.duration for s in complete.stages if s.name in shared} == shared
    assert complete.missing == []
    fixed = 0.6e-3 + 0.4 / SPEED_OF_LIGHT + 1 / 1900 + 56e-6 + 100e-6 + 233.3e-6 + 224 * 8.333e-6
    driver = 50e-6 + 50e-6  # the median of the one stage that varies
    # Five standard errors of the median of a log-normal of 50 us and sigma 0.5: sigma scale sqrt(pi/2/n).
    error = 5 * 0.5 * 50e-6 * math.sqrt(math.pi / 2 / 100_000)
    assert abs(complete.p(50) - fixed - driver) < error


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_their_own_file_and_use_no_unverified_device(name: str) -> None:
    case = preset_case(name)
    assert case.name == name and case.budget().total_s > 0
    for key in ("display", "trigger", "sensor", "link", "back_end"):
        entry = case.part(key).entry
        assert entry is None or entry.verified, key


def test_presets_are_those_of_the_file() -> None:
    text = (ROOT / "optics4f" / "transduction" / "presets.toml").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\[([^.\]]+)\]", text, re.MULTILINE)) == PRESETS


def test_a_natural_scene_has_no_display_to_miss() -> None:
    assert preset("natural-scene").missing == []
    with pytest.raises(ValueError, match="expected no display of a natural scene, got one"):
        Case({**BENCH, "natural_scene": True})


# -- units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("link", {"rate": "1000 Mbit/s"}),
        ("link", {"rate": "125 MB/s"}),
        ("link", {"rate": "0.125 GB/s", "start_delay": "0.06 ms"}),
        ("sensor", {"row_time": "0.005 ms", "frame_overhead": "30000 ns"}),
        ("optics", {"focal_lengths": ["10 cm", "0.05 m"]}),
        ("link", {"payload": "31.2 kB"}),
        ("link", {"payload": "249.6 kbit"}),
    ],
)
def test_other_units_change_nothing(table: str, values: dict[str, Any]) -> None:
    assert durations(Case(changed(table, **values))) == pytest.approx(durations(Case(BENCH)), rel=ROUNDING)


@given(st.floats(1e-3, 1e3), st.sampled_from([("s", 1e0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)]))
def test_a_time_is_the_same_in_every_unit(seconds: float, unit: tuple[str, float]) -> None:
    name, factor = unit
    case = Case({"back_end": {"duration": f"{seconds * factor!r} {name}"}})
    assert case.budget().total_s == pytest.approx(seconds, rel=ROUNDING)


def test_kilobytes_are_eight_times_kilobits() -> None:
    sizes = {
        size: durations(Case(changed("link", payload=size)))["transduction"]
        for size in ("100 kB", "100 kbit")
    }
    assert sizes["100 kB"] == pytest.approx(8 * sizes["100 kbit"], rel=ROUNDING)
    for wrong in ("100 kb", "100 KB", "100 k", "100 kHz"):  # kb is a kilobarn
        with pytest.raises((TypeError, ValueError), match=r"bench: \[link\] payload: expected"):
            Case(changed("link", payload=wrong))


# -- properties ------------------------------------------------------------------------------------

rates = st.floats(1e6, 1e11)


@given(rates, st.floats(1.0, 100.0), st.integers(1, 10**8))
def test_a_faster_link_never_slows_the_total(rate: float, factor: float, size: int) -> None:
    slow, fast = (
        Case(changed("link", rate=f"{r!r} bit/s", payload=f"{size} byte")).budget()
        for r in (rate, rate * factor)
    )
    assert fast.total_s <= slow.total_s
    assert fast.rate() >= slow.rate() and fast.rate(1) >= slow.rate(1)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 2000), st.integers(1, 2000), st.integers(1, 8))
def test_fewer_rows_or_more_binning_never_cost_time(rows: int, fewer: int, binning: int) -> None:
    assume(fewer <= rows)
    all_rows = Case(changed("sensor", region=[rows, 64], binning=1)).budget().total_s
    assert Case(changed("sensor", region=[fewer, 64], binning=1)).budget().total_s <= all_rows
    assert Case(changed("sensor", region=[rows, 64], binning=binning)).budget().total_s <= all_rows


@pytest.mark.parametrize("name", PRESETS)
def test_no_advice_makes_it_slower_or_uses_what_is_not_verified(name: str) -> None:
    case = preset_case(name)
    found = changes(case)
    assert all(change.saved > 0 for change in found)
    assert [c.saved for c in found] == sorted((c.saved for c in found), reverse=True)
    for group in ("links", "displays", "sensors"):
        unseen = {n for n in shipped().names(group) if not shipped().find(group, n).verified}
        assert not any(change.what.startswith(n + " as") for change in found for n in unseen)


def test_the_next_best_change_of_the_paper_is_a_link() -> None:
    change = next_best_change(preset_case("paper-2022"))
    assert change is not None
    # 2500 MB/s is enough: it saves 0.28 of the 0.30 ms that 5000 MB/s would.
    assert str(change) == "cxp_6_x4 as link: p50 0.600 ms -> 0.320 ms"
    assert change.after == pytest.approx(0.28e-3 + 0.4 / SPEED_OF_LIGHT + 8e5 / 20e9, rel=ROUNDING)


def test_advice_finds_the_camera_that_runs_free_and_the_slow_display() -> None:
    assert next_best_change(preset_case("natural-scene")).what == "a triggered camera"  # type: ignore[union-attr]
    assert next_best_change(preset_case("lcos-60hz")).part == "display"  # type: ignore[union-attr]
    parts = [change.part for change in best_changes(preset_case("lcos-60hz"))]
    assert "trigger" in parts and len(parts) == len(set(parts))


def test_a_display_of_fewer_bits_or_a_sensor_that_is_too_small_is_no_advice() -> None:
    found = [change.what for change in changes(preset_case("paper-2022-complete"))]
    assert not any("binary" in what or "plm" in what or "imx250_8bit" in what for what in found)
    assert any(what.startswith("pl_x957_12bit") for what in found)
    wide = preset_case("dmd-fast").changed("sensor", region=[2057, 100])
    assert not any("imx250" in change.what for change in changes(wide))


def test_unverified_devices_are_advice_when_asked_for() -> None:
    case = Case({"link": {"device": "gige_vision", "payload": "1 MB"}})
    asked = {change.what for change in changes(case, allow_unverified=True)}
    assert asked - {change.what for change in changes(case)} == {
        "usb3_gen2 as link",
        "twenty_five_gige as link",
        "pcie3_x4 as link",
    }


def test_nothing_better_than_the_best_is_said_so() -> None:
    case = Case({"link": {"device": "cxp_12_x4", "payload": "1 MB"}})
    assert next_best_change(case) is None
    assert advice(case) == ["No single change of a verified device makes it faster."]


# -- sweeps ----------------------------------------------------------------------------------------


def test_a_sweep_of_the_input_is_the_formula() -> None:
    found = sweep(preset_case("paper-2022"), "input=32..1024", {"cnn": lambda side: side * 1e-3})
    assert found.values == [32, 64, 128, 256, 512, 1024]
    expected = [0.28e-3 + 0.4 / SPEED_OF_LIGHT + n * n * 16 / 2.5e9 for n in found.values]
    assert found.curves["paper-2022"] == pytest.approx(expected, rel=ROUNDING)
    assert found.curves["cnn"] == pytest.approx([n * 1e-3 for n in found.values], rel=ROUNDING)
    assert found.to_dict()["values"] == {"value": found.values, "unit": "pixel"}


def test_the_region_grows_in_proportion_to_the_input() -> None:
    tiles = {"input": [100, 100], "sensor": {"region": [400, 200], "bits": 8}, "link": {"rate": "1 Gbit/s"}}
    found = sweep(Case(tiles), "input=50..200")
    assert found.values == [50, 64, 128, 200]
    assert found.curves["runtime"][0] == pytest.approx(200 * 100 * 8 / 1e9, rel=ROUNDING)
    assert found.curves["runtime"][-1] == pytest.approx(800 * 400 * 8 / 1e9, rel=ROUNDING)


def test_a_sweep_of_the_exposure_adds_it() -> None:
    found = sweep(Case(BENCH), "exposure=1us..1ms")
    rest = Case(BENCH).budget().total_s - 100e-6
    assert (len(found.values), found.texts[0], found.texts[-1]) == (13, "1 us", "1 ms")
    assert found.curves["bench"] == pytest.approx([rest + t for t in found.values], rel=ROUNDING)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("inputs=1..2", ValueError, "sweep: expected input=32..1024 or exposure"),
        ("input=32-1024", ValueError, "sweep: expected input=32..1024 or exposure"),
        ("input=a..b", ValueError, "whole numbers of pixels"),
        ("input=64..32", ValueError, "0 < first < last"),
        ("exposure=1..2", TypeError, "sweep exposure: expected a quantity"),
        ("exposure=2 us..1 us", ValueError, "first < last"),
    ],
)
def test_a_sweep_refuses_what_it_cannot_read(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sweep(Case(BENCH), text)


def test_a_sweep_needs_a_region_that_fits() -> None:
    with pytest.raises(ValueError, match="expected region and bits of the sensor for a sweep of the input"):
        sweep(Case({"back_end": {"duration": "1 ms"}}), "input=32..64")
    with pytest.raises(ValueError, match="expected at most 2056 rows of the sensor, got 4096"):
        sweep(preset_case("lcos-60hz"), "input=1024..4096")


# -- what a case refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({**BENCH, "sensors": {}}, ValueError, "keys among name, .*, got the unknown key 'sensors'"),
        (changed("sensor", gain=1), ValueError, r"\[sensor\] gain: expected keys among device, exposure"),
        ({**BENCH, "link": "usb"}, ValueError, r"expected a table \[link\], got 'usb'"),
        (changed("sensor", exposure=100), TypeError, r"\[sensor\] exposure: .*the bare number 100"),
        (changed("sensor", exposure="100"), TypeError, r"\[sensor\] exposure: expected a quantity"),
        (changed("sensor", exposure="1 m"), TypeError, r"\[sensor\] exposure: expected s"),
        (changed("sensor", exposure="-1 s"), ValueError, r"\[sensor\] exposure: expected more than 0 s"),
        (changed("sensor", exposure={"mean": "1 s"}), ValueError, r"\[sensor\] exposure: duration: expected"),
        (changed("sensor", exposure={"uniform": [0, 1]}), TypeError, r"exposure: Uniform low: expected"),
        (changed("sensor", region=[0, 8]), ValueError, r"\[sensor\] region: expected \[rows, columns\]"),
        (changed("sensor", region="8x8"), ValueError, r"\[sensor\] region: expected \[rows, columns\]"),
        (changed("sensor", region=[8.0, 8]), ValueError, r"\[sensor\] region: expected \[rows, columns\]"),
        (changed("sensor", binning=0), ValueError, r"\[sensor\] binning: expected a whole number above 0"),
        (changed("sensor", bits="12"), ValueError, r"\[sensor\] bits: expected a whole number above 0"),
        (changed("sensor", readout="1 ms"), ValueError, "expected readout or row_time, got both"),
        (changed("sensor", region=None), ValueError, "row_time: expected a region as well, got none"),
        (changed("sensor", bits=None), ValueError, r"\[link\]: expected a payload, or region and bits"),
        (changed("sensor", device="x"), ValueError, r"\[sensor\] device: sensor: expected one of imx250"),
        (changed("sensor", device="imx250_8bit", region=[3000, 8]), ValueError, "at most 2056 rows"),
        (changed("sensor", frame_overhead=3), TypeError, r"\[sensor\] frame_overhead: .*bare number"),
        (changed("link", rate=None), ValueError, r"\[link\]: expected a device or a rate, got neither"),
        (changed("link", rate=1e9), TypeError, r"\[link\] rate: .*the bare number"),
        (changed("link", rate="1 MHz"), TypeError, r"\[link\] rate: expected a quantity in bit/s"),
        (changed("link", payload=100), TypeError, r"\[link\] payload: .*the bare number"),
        (changed("link", device="usb9"), ValueError, r"\[link\] device: link: expected one of paper_usb3"),
        (changed("optics", path="1 m"), ValueError, "expected one of focal_lengths, path, bench, got"),
        (changed("optics", focal_lengths=None), ValueError, "one of focal_lengths, path, bench, got none"),
        (changed("optics", focal_lengths=["1 m"]), ValueError, "expected two focal lengths"),
        (changed("optics", focal_lengths=[100, 100]), TypeError, "focal_lengths: .*the bare number 100"),
        (changed("trigger", duration=None), ValueError, "expected a device, duration or free_running"),
        (changed("trigger", free_running="1 Hz"), ValueError, "expected free_running or a trigger, got both"),
        ({**BENCH, "trigger": {"free_running": 100}}, TypeError, "free_running: .*the bare number 100"),
        (
            {**BENCH, "trigger": {"free_running": "1 kHz"}},
            ValueError,
            r"free_running: expected at most 934\.6 Hz, one frame per sensor readout, got 1000 Hz",
        ),
        (changed("display", free_running=True), ValueError, "expected a frame_rate as well, got none"),
        (changed("display", free_running="yes"), ValueError, "free_running: expected true or false"),
        ({**BENCH, "display": {}}, ValueError, "expected a device, host_copy, load, frame_rate or settle"),
        ({**BENCH, "host": {}}, ValueError, "expected driver or to_device, got neither"),
        ({**BENCH, "back_end": {}}, ValueError, "expected a device, duration or measured"),
        (changed("back_end", measured="x"), ValueError, "expected measured or duration, got both"),
        (changed("host", verified="no"), ValueError, r"\[host\] verified: expected true or false"),
        (changed("host", source=3), ValueError, r"\[host\] source: expected text"),
        ({**BENCH, "name": 3}, ValueError, "name: expected text, got 3"),
        ({**BENCH, "natural_scene": 1}, ValueError, "natural_scene: expected true or false, got 1"),
        ({**BENCH, "input": 224}, ValueError, r"input: expected \[rows, columns\]"),
        ({"name": "empty"}, ValueError, "expected stages with names that differ"),
    ],
)
def test_a_case_refuses_what_it_cannot_mean(
    content: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Case(content)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[sensor]\n# one\nexposure = 100\n", TypeError, r"bench.toml, line 3: \[sensor\] exposure: "),
        ('[link]\nrate = "1 Gbit"\n', TypeError, r"bench.toml, line 2: \[link\] rate: "),
        ('[link]\n\nspeed = "1"\n', ValueError, r"bench.toml, line 3: \[link\] speed: expected keys among"),
        ('[lnik]\nrate = "1 Gbit/s"\n', ValueError, "bench.toml: expected keys among name, .* 'lnik'"),
        ('[host]\ndriver = {mean = "1 s"}', ValueError, r"line 2: \[host\] driver: duration: expected"),
        ('[back_end]\nmeasured = "none.json"\n', OSError, "none.json"),
        ("[sensor", ValueError, "bench.toml: expected a configuration in TOML, got unreadable text"),
    ],
)
def test_a_configuration_is_refused_by_file_and_line(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(text)
    with pytest.raises(error, match=words):
        load_case(path)


def test_a_line_is_found_whatever_stands_before_it() -> None:
    text = 'rate = 1\n[links.a] # rate = 2\nsource = "rate = 3"\n rate=4\n[links.b]\nrate = 5\n'
    assert find_line(text, "links.a", "rate") == 4 and find_line(text, "links.b", "rate") == 6
    assert find_line(text, "links.a") == 2 and find_line(text, "links.a", "x") == 2
    assert find_line(text, "links.c") is None


# -- the catalogue ---------------------------------------------------------------------------------

ITEM = '{ value = "1 Mbit/s", source = "x", verified = true }'


def test_every_number_of_the_catalogue_has_a_unit_and_a_source() -> None:
    found = load_catalogue()
    assert set(found.groups) == set(GROUPS)
    entries = [entry for group in found.groups.values() for entry in group.values()]
    numbers = [number for entry in entries for number in entry.numbers.values()]
    assert len(entries) > 25 and all(number.source and number.value > 0 for number in numbers)
    from_memory = [number for number in numbers if "from memory" in number.source]
    assert from_memory and not any(number.verified for number in from_memory)


def test_numbers_of_the_catalogue_agree_with_one_another() -> None:
    def value(group: str, name: str, key: str) -> float:
        return shipped().find(group, name).numbers[key].value

    # Row load and mirror settle are the 43 us of a global reset; the source rounds to 1 us.
    load, settle = (value("displays", "dmd_dlp7000_binary", key) for key in ("load", "settle"))
    assert load == pytest.approx(768 * 16 / 400e6, rel=ROUNDING) and load + settle == pytest.approx(
        43e-6, abs=1e-6
    )
    assert value("displays", "lcos_60hz", "settle") == pytest.approx(
        1 / 130, rel=2e-3
    )  # written to two digits
    for bits, frames in ((8, 76), (12, 57)):  # what the same manual gives as frames per second
        row, extra = (value("sensors", f"imx250_{bits}bit", key) for key in ("row_time", "frame_overhead"))
        assert extra == pytest.approx(28 * row, abs=5e-8)  # written to 0.1 us
        assert int(1 / (extra + 2056 * row)) == frames
    assert value("back_ends", "ntkd_compact", "energy_per_mac") == pytest.approx(7.37e-3 / 239e6, rel=2e-3)
    assert value("links", "cxp_12", "rate") == 2 * value("links", "cxp_6", "rate")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (f"[lnks.a]\nrate = {ITEM}", ValueError, "expected keys among links, displays, .* 'lnks'"),
        (
            f"[links.a]\nrate = {ITEM}\nspeed = {ITEM}",
            ValueError,
            r"line 3: \[links.a\] speed: expected keys",
        ),
        (
            "[links.a]\n",
            ValueError,
            r"line 1: \[links.a\]: expected the keys rate, got the missing key 'rate'",
        ),
        ("[displays.a]\n", ValueError, r"\[displays.a\]: expected at least one of load, settle"),
        ("[links]\na = 3", ValueError, r"\[links\] a: expected a table \[links.a\]"),
        ("links = 3", ValueError, r"expected tables such as \[links.name\], got 3"),
        (
            "[links.a]\nrate = 1e6",
            TypeError,
            r"line 2: \[links.a\] rate: expected {value = .*, got 1000000.0",
        ),
        ('[links.a]\nrate = "1 Mbit/s"', ValueError, r"line 2: \[links.a\] rate: expected {value = "),
        ('[links.a]\nrate = { value = "1 Mbit/s" }', ValueError, "got the missing key 'source'"),
        (
            '[links.a]\nrate = { value = "1 Mbit/s", source = "x" }',
            ValueError,
            "got the missing key 'verified'",
        ),
        (f"[links.a]\nrate = {ITEM.replace('value', 'rate')}", ValueError, "got the unknown key 'rate'"),
        (f"[links.a]\nrate = {ITEM.replace('1 Mbit/s', '1e6')}", TypeError, r"\[links.a\] rate: expected a"),
        (f"[links.a]\nrate = {ITEM.replace('1 Mbit/s', '1 MHz')}", TypeError, "a quantity in bit/s"),
        (f"[links.a]\nrate = {ITEM.replace('1 Mbit/s', '0 bit/s')}", ValueError, "more than 0 bit/s"),
        (f"[links.a]\nrate = {ITEM.replace('true', '1')}", ValueError, "verified: expected true or false"),
        (f"[links.a]\nrate = {ITEM.replace('x', ' ')}", ValueError, "source: expected some text"),
        (
            f"[displays.a]\nload = {ITEM.replace('Mbit/', '')}\nframe_rate = {ITEM.replace('Mbit/s', 'Hz')}",
            ValueError,
            "expected load or frame_rate, got both",
        ),
        (
            '[sensors.a]\nrows = { value = 1.5, source = "x", verified = true }',
            ValueError,
            "a whole number above 0",
        ),
        (f"[sensors.a]\nbits = {ITEM.replace('1 Mbit/s', '1.5 bit')}", ValueError, "a whole number above 0"),
        ("[links", ValueError, "expected a catalogue in TOML, got unreadable text"),
    ],
)
def test_a_catalogue_is_strict(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(error, match=words):
        load_catalogue(path)


def test_own_devices_join_the_catalogue_and_may_not_replace_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[links.mine]\nrate = {ITEM}")
    both = shipped().with_file(path)
    found = Case({"link": {"device": "mine", "payload": "1 Mbit"}}, both)
    assert found.budget().total_s == pytest.approx(1.0, rel=ROUNDING)
    assert set(both.names("links")) - set(shipped().names("links")) == {"mine"}
    path.write_text(f"[links.cxp_6]\nrate = {ITEM}")
    with pytest.raises(
        ValueError, match=r"expected a name that the catalogue does not have yet, got \[links.cxp_6\]"
    ):
        shipped().with_file(path)


def test_a_device_whose_source_was_not_seen_can_be_refused() -> None:
    assert shipped().find("links", "usb3_gen2").verified is False
    with pytest.raises(ValueError, match="link usb3_gen2: expected numbers whose source was seen, got rate"):
        shipped().find("links", "usb3_gen2", allow_unverified=False)


# -- the report ------------------------------------------------------------------------------------


def cells(found: Any) -> list[str]:
    return [str(cell) for column in found.columns for cell in column.cells]


def test_the_table_has_percentiles_and_marks_what_is_not_verified() -> None:
    budget = preset("paper-2022-complete")
    found = table(budget)
    assert [column.header for column in found.columns] == ["stage", "p50", "p90", "p99", "share"]
    assert "driver and host copy *" in cells(found) and "trigger" in cells(found)
    marked = [line for line in sources(budget) if line.endswith("[unverified]")]
    assert marked == [line for line in sources(budget) if line.startswith(("  exposure", "  driver"))]
    lines = remarks(budget)
    assert any(
        line == "* Assumed, or from a source not seen: exposure, driver and host copy." for line in lines
    )
    assert not any("leaves out" in line for line in lines)
    assert f"{budget.rate(1):.4g} per second" in lines[0]


def test_a_picture_that_must_stand_is_said() -> None:
    content = {
        "display": {"load": "1 ms", "settle": "2 ms"},
        "sensor": {"exposure": "3 ms"},
        "back_end": {"duration": "1 ms"},
    }
    assert "The picture stands on the display for 5.000 ms: at most 200/s." in remarks(Case(content).budget())


def test_the_comparison_has_a_row_for_each() -> None:
    found = cells(comparison([preset("paper-2022"), preset("natural-scene")]))
    assert {"paper-2022", "natural-scene", "0.600 ms", "3125"} <= set(found)
    lines = differences([preset("paper-2022"), preset("natural-scene")])
    assert lines[0].startswith("paper-2022: the slowest stage is transduction; it leaves out display, ")
    assert lines[1].endswith("it leaves out nothing known.")


def test_json_of_every_preset_is_json() -> None:
    for name in PRESETS:
        budget = preset(name)
        again = json.loads(json.dumps(budget.to_dict(), allow_nan=False))
        total = math.fsum(stage["duration"]["value"] for stage in again["stages"])
        assert again["total"]["value"] == total
