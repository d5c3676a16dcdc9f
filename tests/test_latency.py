"""How long one inference takes: closed forms, the numbers of the paper, and what a budget refuses."""

import math
import time

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optics4f.record import Record
from optics4f.transduction import (
    LatencyBudget,
    Stage,
    frame_bytes,
    link_rate,
    load_links,
    measure,
    optical_network_budget,
    paper_2022,
    preset,
    time_of_flight,
    time_text,
    transfer_time,
)
from optics4f.transduction.report import remarks, table
from optics4f.units import Quantity, mm

ROUNDING = 1e-14  # a few operations in float64, 1.1e-16 each
SPEED_OF_LIGHT = 299_792_458.0

durations = st.lists(st.floats(1e-12, 1e3), min_size=1, max_size=8)


def budget_of(seconds: list[float]) -> LatencyBudget:
    stages = (Stage(f"stage {n}", "host", Quantity(t, "s")) for n, t in enumerate(seconds))
    return LatencyBudget("test", tuple(stages))


def record(name: str, value: float = 4e-4, unit: str = "s") -> Record:
    interval = (0.9 * value, 1.1 * value)
    return Record(
        name=name, value=value, unit=unit, interval=interval, samples=9, device="bench", method="median"
    )


def test_time_of_flight_of_a_4f_system_is_4_f_over_c() -> None:
    assert time_of_flight(4 * 100 * mm) == pytest.approx(0.4 / SPEED_OF_LIGHT, rel=ROUNDING)
    assert time_of_flight("40 mm") == pytest.approx(133e-12, rel=0.005)  # 133 ps is given to three digits
    assert time_of_flight("1 m", 1.5) == pytest.approx(1.5 * time_of_flight("1 m"), rel=ROUNDING)


def test_transfer_time_is_8_bytes_over_rate() -> None:
    assert transfer_time("100 kB", "2500 Mbit/s") == pytest.approx(8 * 100_000 / 2.5e9, rel=ROUNDING)
    # The slip of the paper's text: 100 kbit would take 0.04 ms, not 0.32 ms.
    assert transfer_time("100 kbit", "2500 Mbit/s") == pytest.approx(0.04e-3, rel=ROUNDING)


@pytest.mark.parametrize(
    ("channels", "bits", "milliseconds"), [(1, 16, 0.3211), (1, 8, 0.1606), (3, 8, 0.4817), (64, 8, 10.28)]
)
def test_pictures_of_224_pixels_over_usb(channels: int, bits: int, milliseconds: float) -> None:
    size = frame_bytes(channels, (224, 224), bits)
    seconds = transfer_time(f"{size} byte", "2500 Mbit/s")
    assert seconds * 1e3 == pytest.approx(milliseconds, rel=4e-4)  # the last of four written digits


def test_packed_bits_round_up_to_whole_bytes() -> None:
    assert frame_bytes(1, (1, 1), 12) == 2
    assert frame_bytes(1, (1, 2), 12) == 3


@pytest.mark.parametrize("wrong", [(0, (8, 8), 8), (1, (8, -1), 8), (1, (8, 8), 0), (1, (8.0, 8), 8)])
def test_a_frame_needs_whole_numbers(wrong: tuple[int, tuple[int, int], int]) -> None:
    with pytest.raises(ValueError, match="expected a whole number above 0"):
        frame_bytes(*wrong)


@given(durations)
def test_total_is_the_sum_and_the_slowest_stage_sets_the_rate(seconds: list[float]) -> None:
    budget = budget_of(seconds)
    assert budget.total_s == math.fsum(seconds)  # exact: both are the rounded true sum
    assert budget.total.to("s").magnitude == budget.total_s
    assert budget.throughput.to("1/s").magnitude == pytest.approx(1 / max(seconds), rel=ROUNDING)
    assert budget.bottleneck.duration == max(seconds)


@given(durations.flatmap(lambda seconds: st.tuples(st.just(seconds), st.permutations(seconds))))
def test_order_of_stages_is_irrelevant_to_the_bit(pair: tuple[list[float], list[float]]) -> None:
    first, second = map(budget_of, pair)
    assert first.total_s == second.total_s
    assert first.throughput == second.throughput


def test_the_numbers_of_the_paper() -> None:
    budget = paper_2022()
    flight, transduction, back_end = (stage.duration for stage in budget.stages)
    assert flight == pytest.approx(1.33e-9, rel=0.004)  # 1.33 ns is given to three digits
    assert transduction == pytest.approx(0.32e-3, rel=ROUNDING)
    assert back_end == pytest.approx(0.28e-3, rel=ROUNDING)
    assert budget.total_s - flight == pytest.approx(0.60e-3, rel=ROUNDING)
    assert budget.missing == ["display", "exposure", "sensor readout", "driver and host copy"]
    assert str(budget) == (
        "time of flight 1.3 ns · transduction 0.320 ms (100 kB at 2500 Mbit/s) · back end 0.280 ms · "
        "total 0.600 ms (the paper prints 0.61)"
    )


def test_a_network_of_the_paper_s_size_is_the_sum_of_its_formulas() -> None:
    budget = optical_network_budget(
        focal_lengths=("100 mm", "50 mm"),
        channels=16,
        pixels=(8, 8),
        bits=12,
        link="gige_vision",
        back_end="1 ms",
    )
    flight = 2 * (0.1 + 0.05) / SPEED_OF_LIGHT
    transfer = 8 * (16 * 8 * 8 * 12 / 8) / (115e6 * 8)
    assert budget.total_s == pytest.approx(flight + transfer + 1e-3, rel=ROUNDING)


def test_a_stage_that_is_described_is_no_longer_missing() -> None:
    stages = (*paper_2022().stages, Stage("exposure", "exposure", "100 us"))
    longer = LatencyBudget("with exposure", stages)
    assert "exposure" not in longer.missing
    assert longer.total_s - paper_2022().total_s == pytest.approx(1e-4, rel=1e-12)  # cancels three digits


def test_a_record_replaces_the_stage_of_its_name() -> None:
    budget = paper_2022().replace([record("back end")])
    stage = budget.stages[2]
    assert (stage.duration, stage.interval) == (4e-4, (0.9 * 4e-4, 1.1 * 4e-4))
    assert "bench" in stage.source and budget.stages[:2] == paper_2022().stages[:2]
    assert budget.bottleneck is stage


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([record("backend")], "names among time of flight, transduction, back end, got backend"),
        ([record("back end"), record("back end")], "expected one per stage"),
        ([record("back end", value=0.0)], "expected more than 0 s"),
    ],
)
def test_a_record_that_fits_no_stage_is_refused(records: list[Record], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        paper_2022().replace(records)


def test_a_record_that_is_no_time_is_refused() -> None:
    with pytest.raises(pint.DimensionalityError, match="back end: expected s"):
        paper_2022().replace([record("back end", unit="m")])


@pytest.mark.parametrize(
    ("name", "kind", "duration", "interval", "error"),
    [
        ("a", "magic", "1 s", None, ValueError),
        ("a", "host", 1.0, None, TypeError),
        ("a", "host", "1 m", None, TypeError),
        ("a", "host", "-1 s", None, ValueError),
        ("a", "host", "1 s", ("2 s", "3 s"), ValueError),
        ("a", "host", "1 s", ("0.5 s", 1.5), TypeError),
    ],
)
def test_a_stage_refuses_what_it_cannot_mean(
    name: str, kind: str, duration: object, interval: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="a"):
        Stage(name, kind, duration, interval)


def test_a_budget_needs_stages_with_names_that_differ() -> None:
    stage = Stage("a", "host", "1 s")
    for stages in ((), (stage, stage)):
        with pytest.raises(ValueError, match="names that differ"):
            LatencyBudget("test", stages)


def test_every_link_has_a_source_and_the_paper_s_rate_is_2500_mbit() -> None:
    links = load_links()
    assert all(link.source for link in links.values())
    assert link_rate("paper_usb3") == 2.5e9
    assert link_rate("cxp_6_x4") == 4 * link_rate("cxp_6")  # four cables carry four times as much
    with pytest.raises(ValueError, match=r"expected one of paper_usb3, .*got 'usb9'"):
        link_rate("usb9")


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected one of paper-2022, .*, natural-scene, got 'x'"):
        preset("x")


def test_the_dictionary_says_what_the_budget_says() -> None:
    content = paper_2022().to_dict()
    assert content["total"] == {"value": paper_2022().total_s, "unit": "s", "text": "0.600 ms"}
    assert [stage["duration"]["value"] for stage in content["stages"]] == [
        stage.duration for stage in paper_2022().stages
    ]
    assert content["throughput"]["value"] == pytest.approx(3125, rel=ROUNDING)  # 1 / 0.32 ms
    assert content["bottleneck"] == "transduction"


def test_the_report_has_every_stage_and_says_that_it_is_a_lower_bound() -> None:
    budget = paper_2022().replace([record("back end")])
    cells = [str(cell) for column in table(budget).columns for cell in column.cells]
    assert {"transduction", "0.320 ms", "44.4 %", "55.6 %", "< 0.1 %", "0.720 ms"} <= set(cells)
    assert any("0.360 ms to 0.440 ms, measured on bench" in cell for cell in cells)
    assert remarks(budget)[-1].endswith("leaves out display, exposure, sensor readout, driver and host copy.")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(133e-12, "133 ps"), (1.33e-9, "1.3 ns"), (5e-6, "5.0 us"), (3.2e-4, "0.320 ms"), (2.5, "2.500 s")],
)
def test_times_are_written_for_people(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_measure_calls_and_times_what_it_is_given() -> None:
    calls: list[int] = []
    samples = measure(lambda: (calls.append(1), time.sleep(1e-3)), warmup=2, runs=5)
    assert (len(calls), len(samples)) == (7, 5)
    assert min(samples) >= 0.99e6  # sleep never returns early; 1 % for two clocks
    for warmup, runs in ((-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="expected warmup >= 0 and runs >= 1"):
            measure(lambda: None, warmup, runs)
