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

import pytest
from hypothesis import given
from hypothesis import strategies as st

import optics4f
from optics4f.calibration import SimulatedClock, StageTime, Stamp, fit_stages, load_stamps
from optics4f.record import Record, load_records, save_records
from optics4f.transduction import median_interval, median_record, paper_2022

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
        # An interval of 95 % is about 2 * 1.96 standard errors wide; ranks are whole, so allow 20 %.
        low, high = records[name].interval
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)
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
    assert budget.total_s == math.fsum([paper_2022().stages[0].duration, *(r.value for r in chosen)])


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
        ('{"format": "optics4f-records", "version": 2}', "expected format version 1 or older, got 2"),
        ('{"format": "optics4f-records", "version": "1"}', "expected format version 1 or older, got '1'"),
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
