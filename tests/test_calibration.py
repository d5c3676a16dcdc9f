"""From time stamps to records: the fit finds the hidden truth, and a bad file is named with its line."""

import json
import math
import statistics
import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import optics4f
from optics4f.calibration import (
    SimulatedBench,
    SimulatedClock,
    SimulatedDisplay,
    StageTime,
    Stamp,
    SteadyTime,
    WaitTime,
    drawn_together,
    fit_distribution,
    fit_settle,
    fit_stages,
    load_settle,
    load_stamps,
    whole_traces,
)
from optics4f.calibration.cli import settle, timing
from optics4f.calibration.fits import (
    cumulative,
    fit_constant,
    fit_shifted_log_normal,
    fit_uniform,
    ks_distance,
    rank_correlation,
)
from optics4f.calibration.settle import _jump
from optics4f.cli import Commands
from optics4f.record import Estimate, Record, Traces, load_records, load_traces, save_records
from optics4f.transduction import median_interval, median_record, paper_2022
from optics4f.transduction.distributions import distribution_from_dict

TRUTH = {
    "transduction": StageTime(fixed_ns=250e3, mu=math.log(70e3), sigma=0.4),
    "back end": StageTime(fixed_ns=200e3, mu=math.log(80e3), sigma=0.8),
    "exposure": StageTime(fixed_ns=0.0, mu=math.log(1e6), sigma=0.05),
}
RECORD = {
    "name": "back end",
    "value": 2.8e-4,
    "unit": "s",
    "interval": [2.7e-4, 2.9e-4],
    "confidence": 0.95,
    "samples": 1000,
    "date": "2022-05-01T12:00:00+00:00",
    "device": "Tesla P100",
    "version": "0.1.0",
    "method": "median",
}


def fitted(folder: Path, seed: int, runs: int) -> dict[str, Record]:
    path = folder / f"stamps-{seed}.csv"
    SimulatedClock(TRUTH, seed).write_stamps(path, runs)
    return {record.name: record for record in fit_stages(load_stamps(path), device="simulated")}


def test_the_fit_finds_the_hidden_medians(tmp_path: Path) -> None:
    runs = 2010
    records = fitted(tmp_path, seed=1, runs=runs)
    assert list(records) == list(TRUTH)
    for name, truth in TRUTH.items():
        # Standard error of a median: 1 / (2 f(m) sqrt n), with f(m) = 1 / (e^mu sigma sqrt(2 pi)) here.
        error = math.exp(truth.mu) * truth.sigma * math.sqrt(math.pi / 2 / (runs - 10)) / 1e9
        assert abs(records[name].value - truth.median) < 4 * error
        # An interval of 95 % is about 2 * 1.96 standard errors wide. It is the sum of about 1.96 sqrt n = 88
        # gaps between neighbours, each exponential: a deviation of 11 %, of which four are allowed.
        low, high = records[name].interval
        assert high - low == pytest.approx(2 * 1.96 * error, rel=4 / math.sqrt(88))
        assert (records[name].samples, records[name].device) == (runs - 10, "simulated")


def test_the_truth_lies_within_the_interval_as_often_as_it_says(tmp_path: Path) -> None:
    covered = 0
    for seed in range(40):
        for name, record in fitted(tmp_path, seed, runs=110).items():
            covered += record.interval[0] <= TRUTH[name].median <= record.interval[1]
    # 120 independent intervals of at least 95 %: mean 114, deviation 2.4; four deviations below is 104.
    assert covered >= 104


def test_the_interval_of_the_median_covers_it_with_the_binomial_probability() -> None:
    random, trials, count = Random(7), 4000, 25
    hits = 0
    for _ in range(trials):
        low, high = median_interval([random.expovariate(1.0) for _ in range(count)])
        hits += low <= math.log(2) <= high
    exact = 1 - 2 * sum(math.comb(count, k) for k in range(8)) / 2**count  # ranks 8 and 18: 0.957
    bound = 4 * math.sqrt(exact * (1 - exact) / trials)  # four deviations of a binomial share
    assert exact >= 0.95
    assert abs(hits / trials - exact) < bound


@given(st.lists(st.floats(-1e9, 1e9), min_size=6, max_size=60))
def test_the_interval_holds_the_median_and_knows_no_order(samples: list[float]) -> None:
    low, high = median_interval(samples)
    assert low <= statistics.median(samples) <= high
    assert median_interval(samples[::-1]) == (low, high)


def test_six_samples_are_the_fewest_for_95_percent() -> None:
    # 1 - 2 / 2^6 = 0.969, but 1 - 2 / 2^5 = 0.9375.
    assert median_interval(range(6)) == (0.0, 5.0)
    for few in (range(5), range(0)):
        with pytest.raises(ValueError, match="expected more samples for 95% confidence"):
            median_interval(few)
    with pytest.raises(ValueError, match="expected finite samples"):
        median_interval([math.nan] * 9)


def test_a_record_of_nanoseconds_is_in_seconds() -> None:
    record = median_record([1000.0] * 9, "back end", "here", "by hand")
    assert (record.value, record.interval, record.unit) == (1e-6, (1e-6, 1e-6), "s")
    assert record.method.startswith("by hand, median")


def test_warm_up_is_the_earliest_passes_whatever_their_order_in_the_file() -> None:
    slow = [Stamp("a", n, n + 900) for n in range(10)]
    fast = [Stamp("a", 1000 + n, 1000 + n + 100) for n in range(9)]
    assert fit_stages(fast + slow, warmup=10)[0].value == pytest.approx(100e-9, rel=1e-15)
    assert fit_stages(fast + slow, warmup=0)[0].value == pytest.approx(900e-9, rel=1e-15)
    with pytest.raises(ValueError, match=r"a: expected at least 25 passes, 19 for warm-up and 6 .* got 19"):
        fit_stages(fast + slow, warmup=19)
    with pytest.raises(ValueError, match="warmup: expected 0 or more"):
        fit_stages(fast, warmup=-1)


def test_stamps_become_records_and_records_replace_stages(tmp_path: Path) -> None:
    records = fitted(tmp_path, seed=3, runs=200)
    chosen = [records["transduction"], records["back end"]]
    save_records(tmp_path / "timing.json", chosen)
    budget = paper_2022().replace(load_records(tmp_path / "timing.json"))
    means = [distribution_from_dict(record.distribution).mean for record in chosen if record.distribution]
    assert budget.total_s == math.fsum([paper_2022().stages[0].duration, *means])
    for record in chosen:  # their medians are those of the record, as far as the fit goes
        assert budget.drawn.of_stage(record.name, 50) == pytest.approx(record.value, rel=0.05)


def test_a_simulated_clock_writes_the_same_file_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        SimulatedClock(TRUTH, seed=5).write_stamps(tmp_path / name, runs=20)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    stamps = load_stamps(tmp_path / "a.csv")
    assert all(before.end_ns == after.start_ns for before, after in pairwise(stamps))
    with pytest.raises(ValueError, match="no negative time"):
        StageTime(fixed_ns=-1.0, mu=0.0, sigma=1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: expected the columns stage, start_ns, end_ns and at most run, got an empty line"),
        ("stage,start_ns\na,1\n", "line 1: expected the columns .* got stage, start_ns"),
        ("stage;start_ns;end_ns\na;1;2\n", "line 1: expected the columns"),
        ("stage,start_ns,end_ns,rum\na,1,2,3\n", "line 1: expected the columns .* rum"),
        ("stage,start_ns,end_ns\n", "expected at least one row below the header, got none"),
        ("stage,start_ns,end_ns\na,1,2\nb,1.5,2\n", "line 3: expected start_ns as an integer, got '1.5'"),
        ("stage,start_ns,end_ns\na,1,\n", "line 2: expected end_ns as an integer, got ''"),
        ("stage,start_ns,end_ns\n\na,1,1e3\n", "line 3: expected end_ns as an integer, got '1e3'"),
        ("stage,start_ns,end_ns\na,5,4\n", "line 2: expected end_ns not before start_ns, got 4 before 5"),
        ("stage,start_ns,end_ns\na,1\n", "line 2: expected 3 fields, got 2"),
        ("stage,start_ns,end_ns\na,1,2,3\n", "line 2: expected 3 fields, got 4"),
        ("stage,start_ns,end_ns\n ,1,2\n", "line 2: expected the name of a stage"),
        (
            "run,stage,start_ns,end_ns\n1,a,1,2\n1,a,3,4\n",
            "line 3: expected each stage once per run, .*line 2",
        ),
        (
            "stage,start,end\na,10,20\na,5,9\n",
            "line 3: expected a in the order of time, .* got a start 5 ns before that of line 2",
        ),
        (
            "stage,start,end\na,10,20\nb,12,14\na,19,30\n",
            "line 4: expected passes of a that do not overlap, got a start 1 ns before the end of line 2",
        ),
        (
            "stage,start,end\na,10,20\nb,1700000000000000000,1700000000000000005\n",
            "line 3: expected stamps of one clock, within 86400 s of line 2, got a jump of 1.7e\\+09 s",
        ),
        (
            "trace,stage,start,end\n1,a,10,20\n2,a,30,40\n1,b,70000000000,70000000005\n",
            "line 4: expected stamps of one clock, within 60 s of line 2, got a jump of 70 s",
        ),
        ('stage,start_ns,end_ns\n"a,1,2\n', "expected a CSV file of stamps, got unreadable text"),
        (b"\xff\xfe\x00stage", "expected a CSV file of stamps, got unreadable text"),
    ],
)
def test_a_bad_file_of_stamps_is_named_with_its_line(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = tmp_path / "stamps.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=words) as caught:
        load_stamps(path)
    assert str(caught.value).startswith(str(path))


def test_columns_may_come_in_any_order_and_from_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "stamps.csv"
    path.write_bytes("\ufeffend_ns, stage ,start_ns\r\n20,a,10\r\n".encode())
    assert load_stamps(path) == [Stamp("a", 10, 20)]


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.tuples(finite, finite, finite).map(sorted), st.sampled_from(["s", "m", "", "bit/s", "1/m"]), st.text()
)
def test_records_read_back_equal(numbers: list[float], unit: str, words: str) -> None:
    low, value, high = numbers
    record = Record(
        name="n" + words.replace("\ud800", ""),
        value=value,
        unit=unit,
        interval=(low, high),
        samples=3,
        device=words,
        method=words,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.json"
        save_records(path, [record, record])
        assert load_records(path) == [record, record]  # exact: JSON keeps every bit of a float


def test_a_record_says_when_and_by_which_version() -> None:
    record = median_record([1.0] * 9, "a", "here")
    offset = datetime.fromisoformat(record.date).utcoffset()
    assert offset is not None and offset.total_seconds() == 0
    assert record.version == optics4f.__version__


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": math.nan}, "record 1: Record back end value: expected a finite number"),
        ({"value": math.inf}, "expected a finite number"),
        ({"value": 10**400}, "expected a finite number"),
        ({"value": True}, "value: expected a number, got True"),
        ({"value": "0.28 ms"}, "value: expected a number, got '0.28 ms'"),
        ({"interval": [1.0, 2.0]}, "expected an interval around 0.00028"),
        ({"interval": [2.7e-4]}, "expected a pair"),
        ({"interval": [math.nan, 1.0]}, "interval: expected a finite number"),
        ({"unit": "ms"}, "expected an SI unit without prefix, got 'ms'"),
        ({"unit": "parrot"}, "unit: expected one such as 's', got 'parrot'"),
        ({"unit": 5}, "unit: expected text"),
        ({"samples": 0}, "samples: expected a whole number above 0"),
        ({"samples": 3.0}, "samples: expected a whole number above 0"),
        ({"confidence": 1.0}, "confidence: expected between 0 and 1"),
        ({"date": "yesterday"}, "date: expected ISO 8601 in UTC"),
        ({"date": "2022-05-01T12:00:00+02:00"}, "date: expected ISO 8601 in UTC"),
        ({"date": "2022-05-01T12:00:00"}, "date: expected ISO 8601 in UTC"),
        ({"name": " "}, "name: expected some text"),
        ({"colour": "red"}, r"a difference in \['colour'\]"),
    ],
)
def test_a_bad_record_is_refused_with_the_field(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "records.json"
    content = {"format": "optics4f-records", "version": 1, "records": [RECORD | change]}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words) as caught:
        load_records(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a JSON file of records, got unreadable text"),
        ('{"format": "optics4f-records", "version": 1, "rec', "unreadable text"),
        ("[" * 100_000, "unreadable text"),
        ("[]", "expected format 'optics4f-records', got 'list'"),
        ('{"format": "other"}', "expected format 'optics4f-records', got 'other'"),
        ('{"format": "optics4f-records", "version": 3}', "expected format version 2 or older, got 3"),
        ('{"format": "optics4f-records", "version": "1"}', "expected format version 2 or older, got '1'"),
        ('{"format": "optics4f-records", "version": 1, "records": []}', "at least one record"),
        ('{"format": "optics4f-records", "version": 1, "records": [3]}', "record 1 as a JSON object, got 3"),
    ],
)
def test_a_file_that_is_no_file_of_records_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "records.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_records(path)


def test_nothing_is_written_for_no_records(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at least one record"):
        save_records(tmp_path / "records.json", [])
    assert not list(tmp_path.iterdir())


LOG_NORMAL = StageTime(fixed_ns=250e3, mu=math.log(70e3), sigma=0.5)


def drawn(time: Any, seed: int, runs: int) -> list[float]:
    return [row[0] / 1e9 for row in SimulatedClock({"a": time}, seed).draw_ns(runs)]


@pytest.mark.parametrize(
    ("fit", "time", "truth"),
    [
        (fit_uniform, WaitTime(1e6, 1e7), {"low": 1e-3, "high": 1e-2}),
        (fit_constant, SteadyTime(1e6, 2e3), {"value": 1e-3, "jitter": 2e-6}),
        (
            fit_shifted_log_normal,
            LOG_NORMAL,
            {"shift": 250e-6, "scale": 70e-6, "sigma": LOG_NORMAL.sigma},
        ),
    ],
)
def test_the_intervals_of_a_fit_cover_the_truth_as_often_as_they_say(
    fit: Any, time: Any, truth: dict[str, float]
) -> None:
    trials = 150
    found = [fit(drawn(time, seed, runs=300)) for seed in range(trials)]
    for name, value in truth.items():
        hits = sum(
            one.estimates[name].interval[0] <= value <= one.estimates[name].interval[1] for one in found
        )
        # 90 to 99 % are asked for; 3 deviations of a binomial share below for so few trials.
        assert 0.90 - 3 * math.sqrt(0.90 * 0.10 / trials) <= hits / trials, name
        assert hits < trials, name  # at 95 %, all of 150 would be a chance of 0.05 %


def test_the_intervals_are_as_narrow_as_theory_allows() -> None:
    n = 4000
    low, high = fit_uniform(drawn(WaitTime(1e6, 1e7), 1, n)).estimates["high"].interval
    # The gap beyond the last of n uniform points is exponential with mean R / n: ln(0.975 / 0.025) wide.
    assert high - low == pytest.approx(9e-3 / n * math.log(39), rel=0.02)  # 1 / n of R
    low, high = fit_constant(drawn(SteadyTime(1e6, 2e3), 1, n)).estimates["jitter"].interval
    assert high - low == pytest.approx(2 * 1.96 * 2e-6 / math.sqrt(2 * n), rel=0.15)  # kurtosis from samples
    fit = fit_shifted_log_normal(drawn(LOG_NORMAL, 1, n))
    # Known shift would give sigma within sigma / sqrt(2 n); the shift that must be found costs about 4 times.
    low, high = fit.estimates["sigma"].interval
    assert 1 < (high - low) / (2 * 1.96 * 0.5 / math.sqrt(2 * n)) < 8


def test_the_log_normal_fit_is_where_the_likelihood_is_largest() -> None:
    samples = drawn(LOG_NORMAL, 4, 500)

    def cost(shift: float, scale: float, sigma: float) -> float:
        logs = [math.log((time - shift) / scale) for time in samples]
        return sum(log + math.log(scale * sigma) + (log / sigma) ** 2 / 2 for log in logs)

    fit = fit_shifted_log_normal(samples)
    best = [fit.estimates[name].value for name in ("shift", "scale", "sigma")]
    least = cost(*best)
    for place, step in enumerate((2e-6, 2e-6, 0.01)):
        for way in (-1, 1):
            moved = [value + way * step * (k == place) for k, value in enumerate(best)]
            assert cost(*moved) > least


@pytest.mark.parametrize(
    ("time", "kind"),
    [(SteadyTime(1e6, 1e3), "constant"), (WaitTime(0, 1e7), "uniform"), (LOG_NORMAL, "shifted_log_normal")],
)
def test_the_distribution_is_recognised(time: Any, kind: str) -> None:
    samples = drawn(time, 3, 1000)
    fit = fit_distribution(samples)
    assert fit.distribution["kind"] == kind
    if kind != "constant":
        assert f"KS distance {ks_distance(samples, fit.distribution):.3f}" in fit.words
        # The truth stands in the fit: a thousand samples know it to 1.63 / sqrt(1000) with 99 %.
        shares = [0.1, 0.5, 0.9, 0.99]
        times = [time.at(statistics.NormalDist().inv_cdf(share)) / 1e9 for share in shares]
        assert cumulative(times, fit.distribution) == pytest.approx(shares, abs=0.052)


def test_two_humps_are_kept_as_samples() -> None:
    samples = drawn(LOG_NORMAL, 1, 200) + drawn(StageTime(2e6, math.log(50e3), 0.3), 2, 200)
    fit = fit_distribution(samples)
    assert fit.distribution == {"kind": "samples", "unit": "s", "values": samples, "run": ""}
    assert "samples kept: the best fit" in fit.words
    assert list(cumulative([0.0, 1e-3, 1.0], fit.distribution)) == [0.0, 0.5, 1.0]


def test_durations_of_zero_and_ties_do_no_harm() -> None:
    assert fit_distribution([0.0] * 9).distribution == {"kind": "constant", "unit": "s", "value": 0.0}
    assert fit_distribution([0.0, *drawn(WaitTime(0, 1e7), 1, 400)]).distribution["kind"] == "uniform"
    coarse = [1e-3] * 50 + [2e-3] * 30 + [3e-3] * 20  # a clock of 1 ms
    assert fit_distribution(coarse).distribution["kind"] == "samples"
    for bad in ([1.0] * 5, [math.nan] * 9, [-1.0] * 9, [[1.0] * 9]):
        with pytest.raises(ValueError, match="fit: expected at least 6 finite durations"):
            fit_distribution(bad)


def test_rank_correlation_is_that_of_a_busy_computer() -> None:
    rho, runs = 0.6, 4000
    stages = {"a": LOG_NORMAL, "b": WaitTime(0, 1e7), "c": SteadyTime(5e3)}
    columns = list(zip(*SimulatedClock(stages, 1, rho).draw_ns(runs), strict=True))
    found = rank_correlation(columns)
    truth = 6 / math.pi * math.asin(rho / 2)  # Spearman's, of a normal pair; growing functions keep it
    # Its standard error is below 1 / sqrt(n); four of them. A stage that never changes has none.
    assert found[0][1] == found[1][0] == pytest.approx(truth, abs=4 / math.sqrt(runs))
    assert [found[2][0], found[2][2]] == [0.0, 1.0]


def test_whole_traces_keep_what_is_slow_together(tmp_path: Path) -> None:
    bench = SimulatedBench(correlation=0.7, seed=4)
    path, _ = bench.write(tmp_path, runs=300)
    stamps = load_stamps(path)
    traces = whole_traces(stamps, warmup=20)
    assert traces is not None and list(traces.durations) == list(bench.stages)
    assert {len(column) for column in traces.durations.values()} == {280}
    first = [stamp for stamp in stamps if stamp.run == "20"]  # the first run behind the warm-up
    for stamp in first:
        assert traces.durations[stamp.stage][0] == (stamp.end_ns - stamp.start_ns) / 1e9
    lost = [stamp for stamp in stamps if (stamp.run, stamp.stage) != ("30", "exposure")]
    rest = whole_traces(lost, warmup=20)
    assert rest is not None and len(rest.durations["display"]) == 279
    with pytest.raises(ValueError, match="runs: expected at least 306 with every stage, got 300"):
        whole_traces(stamps, warmup=300)
    assert whole_traces([Stamp("a", n, n + 1) for n in range(20)]) is None
    save_records(tmp_path / "r.json", fit_stages(stamps), traces)
    assert load_traces(tmp_path / "r.json") == traces  # exact: JSON keeps every bit of a float
    assert [record.name for record in load_records(tmp_path / "r.json")] == list(bench.stages)


def test_stages_that_are_slow_together_are_drawn_together(tmp_path: Path) -> None:
    for correlation, kinds in ((0.7, {"samples"}), (0.0, {"uniform", "shifted_log_normal"})):
        stages = {"a": LOG_NORMAL, "b": WaitTime(0, 1e7)}
        SimulatedClock(stages, 1, correlation).write_stamps(tmp_path / "s.csv", runs=500)
        stamps = load_stamps(tmp_path / "s.csv")
        traces = whole_traces(stamps)
        assert traces is not None
        records = drawn_together(fit_stages(stamps, device="bench"), traces)
        found = [record.distribution or {} for record in records]
        assert {one["kind"] for one in found} == kinds
        if correlation:
            assert found[0]["run"] == found[1]["run"] != ""
            assert [tuple(one["values"]) for one in found] == list(traces.durations.values())
            words = f"it varies with b (rank correlation {traces.rank_correlation[0][1]:.2f})"
            assert records[0].method.endswith(f"drawn by whole traces, since {words}")
            assert {"shift", "scale", "sigma"} <= set(records[0].estimates)  # the fit stays readable


@pytest.mark.parametrize("time", [SteadyTime(1e6, 1e3), WaitTime(0, 1e7), LOG_NORMAL])
def test_the_engine_reads_the_distribution_of_a_record(time: Any) -> None:
    found = fit_distribution(drawn(time, 3, 1000)).distribution
    for content in (found, {"kind": "samples", "unit": "s", "values": [1e-3, 2e-3], "run": "r"}):
        assert distribution_from_dict(content).to_dict() == content


def test_a_drift_is_told() -> None:
    drifting = [Stamp("a", 1000 * n, 1000 * n + 100 + n) for n in range(200)]
    assert "passes resemble the ones before" in fit_stages(drifting)[0].method
    still = [Stamp("a", int(1e9) * n, int(1e9) * n + int(LOG_NORMAL.at((-1) ** n))) for n in range(200)]
    record = fit_stages(still)[0]  # short after long: the intervals are too wide, if anything
    assert "resemble" not in record.method
    assert record.method.endswith("too few passes for an interval of p99")


@pytest.mark.parametrize(("jump", "noise", "trials"), [(0.0, 0.02, 100), (0.8, 0.02, 30), (0.5, 0.05, 30)])
def test_the_settle_fit_finds_the_hidden_truth_as_often_as_it_says(
    jump: float, noise: float, trials: int
) -> None:
    hits = dict.fromkeys(("delay", "time_constant", "settle"), 0)
    for seed in range(trials):
        # The delay stands at another place between two measured delays each time.
        display = SimulatedDisplay(delay=12e-3 + 37e-6 * (seed % 30), jump=jump, noise=noise, seed=seed)
        delays = [1e-3 * n for n in range(60)]
        record = fit_settle(delays, display.light(delays))
        assert jump == 0 or "with a jump" in record.method
        found = {**record.estimates, "settle": record}
        truth = {"delay": display.delay, "time_constant": display.time_constant, "settle": display.settle}
        for name, value in truth.items():
            hits[name] += found[name].interval[0] <= value <= found[name].interval[1]
        assert record.value == found["delay"].value + 4 * found["time_constant"].value
    # 90 % at least; three deviations of a binomial share of so few trials.
    assert all(count / trials >= 0.90 - 3 * math.sqrt(0.09 / trials) for count in hits.values()), hits
    # At 95 %, all of 100 would be a chance of 0.6 %. With a jump the interval is that of a gap, and wider.
    assert jump > 0 or all(count < trials for count in hits.values()), hits


def test_the_delay_of_a_jump_in_noise_spans_every_gap_that_the_data_allow() -> None:
    trials, hits, wide = 30, 0, 0
    delays = np.arange(60) * 1e-3
    for seed in range(trials):
        display = SimulatedDisplay(delay=12e-3 + 37e-6 * seed, jump=0.5, noise=0.1, seed=seed)
        curve = _jump(delays, np.array(display.light(delays.tolist())))
        hits += abs(curve.delay - display.delay) <= curve.delay_error
        wide += curve.delay_error > 0.6e-3  # half a gap is 0.5 ms
    # Five deviations of noise in a jump of 1/2: one point alone does not always decide.
    assert hits / trials >= 0.90 - 3 * math.sqrt(0.09 / trials) and wide > 0


def test_the_settle_fit_is_exact_without_noise() -> None:
    for jump, error in ((0.0, 1e-8), (0.4, 0.5e-3)):  # with a jump, the delay is known to half a step
        display = SimulatedDisplay(delay=12.4e-3, jump=jump, noise=0.0)
        delays = [1e-3 * n for n in range(60)]
        record = fit_settle(delays, display.light(delays), "display", "LCoS")
        assert record.estimates["delay"].value == pytest.approx(12.4e-3, abs=error)
        assert record.estimates["time_constant"].value == pytest.approx(5e-3, rel=1e-5)
        assert (record.name, record.device, record.unit, record.samples) == ("display", "LCoS", "s", 60)


def test_light_that_cannot_be_fitted_is_refused() -> None:
    delays = [1e-3 * n for n in range(60)]
    random = Random(1)
    for light in ([1.0] * 60, [random.gauss(1, 0.1) for _ in delays]):
        with pytest.raises(ValueError, match="settle: expected light that changes with the delay"):
            fit_settle(delays, light)
    ramp = SimulatedDisplay(delay=10e-3, time_constant=1.0, noise=1e-4)
    with pytest.raises(ValueError, match="settle: expected delays from before the light changes until"):
        fit_settle(delays, ramp.light(delays))
    with pytest.raises(ValueError, match=r"at least 10 different delays .* got 9 delays and 9"):
        fit_settle(delays[:9], [0.0] * 9)
    with pytest.raises(ValueError, match="settle: expected finite delays"):
        fit_settle(delays, [math.nan] * 60)


def test_delays_are_read_in_their_unit(tmp_path: Path) -> None:
    path = tmp_path / "settle.csv"
    path.write_text("intensity,delay_ms\n0.5,2\n\n0.75,3.5\n")
    assert load_settle(path) == ([2e-3, 3.5e-3], [0.5, 0.75])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: expected the columns intensity and one of delay_s, .* got an empty line"),
        ("delay,intensity\n1,2\n", "line 1: expected the columns intensity and one of delay_s"),
        ("delay_s,intensity\n1\n", "line 2: expected 2 fields, got 1"),
        ("delay_s,intensity\n1,2\n1,bright\n", "line 3: expected a finite number, got 'bright'"),
        ("delay_s,intensity\ninf,2\n", "line 2: expected a finite number, got 'inf'"),
        ('delay_s,intensity\n"1,2\n', "expected a CSV file of delays, got unreadable text"),
    ],
)
def test_a_bad_file_of_delays_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "settle.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        load_settle(path)


def test_stamps_may_come_as_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "stamps.parquet"
    columns = {"stage": ["a", "b"], "start": [10, 20], "end": [15, 30], "trace_id": [7, 7]}
    parquet.write_table(pyarrow.table(columns), path)
    assert load_stamps(path) == [Stamp("a", 10, 15, "7"), Stamp("b", 20, 30, "7")]
    parquet.write_table(pyarrow.table({**columns, "end": [15, None]}), path)
    with pytest.raises(ValueError, match="row 2: expected end_ns as an integer, got 'None'"):
        load_stamps(path)
    parquet.write_table(pyarrow.table({"stage": ["a"], "start": [1]}), path)
    with pytest.raises(ValueError, match="expected the columns stage, start_ns, end_ns"):
        load_stamps(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match="expected a Parquet file of stamps"):
        load_stamps(path)
    with pytest.raises(FileNotFoundError):
        load_stamps(tmp_path / "none.parquet")


def test_the_commands_write_records_and_pictures(tmp_path: Path) -> None:
    stamps, points = SimulatedBench(seed=2).write(tmp_path, runs=400)
    app = typer.Typer(cls=Commands)
    app.command()(timing)
    app.command()(settle)
    for name, source in (("timing", stamps), ("settle", points)):
        out, figure = tmp_path / f"{name}.json", tmp_path / f"{name}.png"
        result = CliRunner().invoke(app, [name, str(source), "--out", str(out), "--figure", str(figure)])
        assert result.exit_code == 0, result.output
        assert figure.read_bytes().startswith(b"\x89PNG") and load_records(out)
    kinds = [
        record.distribution and record.distribution["kind"]
        for record in load_records(tmp_path / "timing.json")
    ]
    assert kinds == ["constant", "uniform", "constant", "shifted_log_normal", "shifted_log_normal"]
    (found,) = load_records(tmp_path / "settle.json")
    assert found.name == "display" and found.interval[0] <= SimulatedDisplay().settle <= found.interval[1]
    few = tmp_path / "few.csv"
    few.write_text("stage,start_ns,end_ns\na,1,2\n")
    result = CliRunner().invoke(app, ["timing", str(few), "--out", str(tmp_path / "x.json")])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"optics4f: {few}: a: expected at least 16 passes") and not result.stdout
    assert not (tmp_path / "x.json").exists()


def test_records_of_version_1_still_load(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"format": "optics4f-records", "version": 1, "records": [RECORD]}))
    (record,) = load_records(path)
    assert (record.value, record.distribution, record.estimates) == (2.8e-4, None, {})
    assert load_traces(path) is None


GOOD: dict[str, Any] = {"distribution": None, "estimates": {}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distribution": {"kind": "gamma"}}, "distribution: expected a kind among constant, uniform"),
        (
            {"distribution": {"kind": "uniform", "unit": "s", "low": 1.0}},
            "expected kind, unit 's', low, high",
        ),
        ({"distribution": {"kind": "constant", "unit": "m", "value": 1.0}}, "expected kind, unit 's', value"),
        (
            {"distribution": {"kind": "uniform", "unit": "s", "low": 2.0, "high": 1.0}},
            "expected low below high",
        ),
        ({"distribution": {"kind": "constant", "unit": "s", "value": "x"}}, "value: expected a number"),
        (
            {"distribution": {"kind": "samples", "unit": "s", "values": [], "run": ""}},
            "expected at least one sample",
        ),
        (
            {"distribution": {"kind": "samples", "unit": "s", "values": 3, "run": ""}},
            "values: expected a list of numbers",
        ),
        ({"distribution": {"kind": "samples", "unit": "s", "values": [1], "run": 1}}, "run: expected text"),
        ({"estimates": []}, "object has no attribute 'items'"),
        ({"estimates": {"p99": {"value": 1.0, "unit": "ms", "interval": [0, 2]}}}, "without prefix"),
        ({"estimates": {"p99": {"value": 3.0, "unit": "s", "interval": [0, 2]}}}, "an interval around 3.0"),
        ({"estimates": {"p99": {"value": 3.0}}}, "missing"),
    ],
)
def test_bad_distributions_and_estimates_are_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = tmp_path / "records.json"
    content = {"format": "optics4f-records", "version": 2, "records": [RECORD | GOOD | change]}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words) as caught:
        load_records(path)
    assert str(caught.value).startswith(f"{path}: record 1")


def test_bad_traces_and_estimates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="as many durations of each stage, got lengths"):
        Traces({"a": [1.0], "b": [1.0, 2.0]}, [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="expected a rank correlation of 1 x 1"):
        Traces({"a": [1.0]}, [[1.0, 0.0]])
    with pytest.raises(TypeError, match="expected an Estimate as p50, got 3"):
        Record(**{**RECORD, "interval": (2e-4, 3e-4), "estimates": {"p50": 3}})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Estimate unit: expected text"):
        Estimate(1.0, 1, (0.0, 2.0))  # type: ignore[arg-type]
    path = tmp_path / "records.json"
    content = {"format": "optics4f-records", "version": 2, "records": [RECORD | GOOD]}
    for traces, words in (({"unit": "ms"}, "expected the unit 's'"), ([], "expected readable traces")):
        path.write_text(json.dumps(content | {"traces": traces}))
        with pytest.raises(ValueError, match=words):
            load_traces(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WaitTime(2, 1), "WaitTime: expected 0 <= low_ns < high_ns"),
        (lambda: SteadyTime(-1), "SteadyTime: expected no negative time"),
        (lambda: SimulatedClock({}, correlation=2.0), r"expected a correlation in \[0, 1\], got 2.0"),
        (lambda: SimulatedDisplay(jump=1.0), "SimulatedDisplay: expected times above 0 and a jump"),
    ],
)
def test_impossible_devices_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
