"""Timing the electronic back end of a student: what is timed, how it is waited for, what is written."""

import json
import math
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import torch
import typer
from typer.testing import CliRunner

from optics4f.models import timing
from optics4f.models.checkpoint import save_student
from optics4f.models.cli import measure_backend
from optics4f.models.runtime import register as register_runtime
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.timing import FILE, measure_back_end
from optics4f.record import load_records
from optics4f.transduction import paper_2022
from optics4f.transduction.measurement import percentile, percentile_interval, percentiles

DESIGN = StudentDesign(
    shape=(16, 16), channels=(1, 3), kernel_sizes=(3,), stops=(7,), pixels=5, classes=4, readout="detected"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_student(SCLC(DESIGN, seed=1), tmp_path)
    return tmp_path


def test_the_record_lies_beside_the_model_and_enters_a_budget(folder: Path) -> None:
    record = measure_back_end(folder, runs=400, warmup=3)
    assert load_records(folder / FILE) == [record]
    assert (record.name, record.unit, record.samples) == ("back end", "s", 400)
    assert list(record.estimates) == ["p50", "p90", "p99"]
    assert record.distribution is not None
    values = record.distribution["values"]
    assert len(values) == 400 and record.estimates["p50"].value == percentile(values, 0.5)
    # The same mean of two samples, in nanoseconds and in seconds: float64 rounding.
    assert record.value == pytest.approx(percentile(values, 0.5), rel=1e-14)
    # One layer of 75 x 4 numbers takes microseconds; tens of milliseconds would be nanoseconds misread.
    assert 1e-7 < record.value < 0.05
    assert record.name in [stage.name for stage in paper_2022().stages]
    assert sorted(path.name for path in folder.iterdir()) == [FILE, "student.json", "student.safetensors"]


def test_only_the_layer_is_timed_on_one_frame_of_the_detector(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[int, ...], bool]] = []

    class Layer(torch.nn.Module):
        def forward(self, frame: torch.Tensor) -> torch.Tensor:
            calls.append((tuple(frame.shape), torch.is_grad_enabled()))
            return frame

    monkeypatch.setattr(timing, "_back_end", lambda student: Layer())
    done: list[int] = []
    record = measure_back_end(folder, runs=120, warmup=7, progress=done.append)
    assert set(calls) == {((1, 3, 5, 5), False)}
    # The warm-up and its one run, then three pieces of 50, 50 and 20 with one call before each.
    assert len(calls) == 7 + 1 + 120 + 3 and done == [50, 100, 120] and record.samples == 120


def test_the_layer_that_is_timed_gives_the_logits_of_the_student() -> None:
    student = SCLC(DESIGN, seed=2).double().eval()
    student.back_end.standardise.get_buffer("running_mean").uniform_(-1, 1)
    student.back_end.standardise.get_buffer("running_var").uniform_(0.5, 2)
    signal = student.signal(torch.rand(4, 1, 16, 16, dtype=torch.float64))
    folded = timing._back_end(student)
    # Both are affine maps of 75 numbers in float64: the order of sums differs.
    torch.testing.assert_close(folded(signal), student.back_end(signal), rtol=1e-10, atol=1e-10)
    assert isinstance(folded.get_submodule("standardise"), torch.nn.Identity)
    collapsed = student.collapse()
    assert timing._back_end(collapsed) is collapsed.back_end  # folded already


def test_a_run_on_an_accelerator_ends_when_its_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: events.append(f"waited for {device}"))
    frame = SimpleNamespace(device=torch.device("cuda:1"))
    call = timing._call(lambda x: events.append("layer"), frame)  # type: ignore[arg-type]
    call()
    assert events == ["layer", "waited for cuda:1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"runs": 5}, "expected runs >= 6 and warmup >= 0, got 5 and 50"),
        ({"warmup": -1}, "expected runs >= 6 and warmup >= 0, got 1000 and -1"),
        ({"device": "abacus"}, "device: expected one that torch can use here, got 'abacus'"),
    ],
)
def test_bad_options_are_refused_and_leave_no_file(
    folder: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        measure_back_end(folder, **options)  # type: ignore[arg-type]
    assert not (folder / FILE).exists()


def test_a_folder_without_a_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected a folder with student\.json"):
        measure_back_end(tmp_path)


def test_the_command_prints_the_percentiles_and_writes_the_record(folder: Path) -> None:
    app = typer.Typer()
    app.command()(measure_backend)
    result = CliRunner().invoke(app, [str(folder), "--runs", "400", "--warmup", "2"])
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[-4:]] == ["p50", "p90", "p99", "400"]
    content = json.loads((folder / FILE).read_text())
    assert content["records"][0]["estimates"]["p99"]["unit"] == "s"


@pytest.mark.parametrize(("share", "fewest"), [(0.5, 6), (0.9, 36), (0.99, 368)])
def test_the_fewest_samples_of_a_percentile(share: float, fewest: int) -> None:
    # The largest of n samples lies above the percentile with 1 - p^n, which must reach 97.5 %.
    assert share**fewest <= 0.025 < share ** (fewest - 1)
    low, high = percentile_interval(range(fewest), share)
    assert high == fewest - 1 and low < share * fewest
    with pytest.raises(ValueError, match="expected more samples for 95% confidence"):
        percentile_interval(range(fewest - 1), share)


def test_the_interval_of_a_percentile_covers_it_with_the_binomial_probability() -> None:
    random, trials, count, share = Random(3), 3000, 60, 0.9
    truth, hits = -math.log(1 - share), 0
    for _ in range(trials):
        low, high = percentile_interval([random.expovariate(1.0) for _ in range(count)], share)
        hits += low <= truth <= high
    low, high = percentile_interval(range(1, count + 1), share)  # the ranks themselves
    exact = sum(
        math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(int(low), int(high))
    )
    assert exact >= 0.95
    assert abs(hits / trials - exact) < 4 * math.sqrt(exact * (1 - exact) / trials)  # four deviations


def test_percentiles_that_need_more_samples_are_left_out() -> None:
    assert list(percentiles([float(n) for n in range(5)])) == []
    assert list(percentiles([float(n) for n in range(100)])) == ["p50", "p90"]
    for bad in ((), [1.0]):
        with pytest.raises(ValueError, match=r"expected samples and a share in \(0, 1\)"):
            percentile(bad, 0.5 if not bad else 1.0)
    with pytest.raises(ValueError, match=r"expected share and confidence in \(0, 1\)"):
        percentile_interval([1.0] * 9, 1.5)


def test_runtime_measures_the_back_end_on_demand(folder: Path) -> None:
    app = typer.Typer()
    app.callback()(lambda: None)
    register_runtime(app)
    done = CliRunner().invoke(app, ["runtime", "--measure-backend", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    stage = json.loads(done.stdout)["stages"][2]
    kept = load_records(folder / FILE)[0]
    assert (stage["name"], stage["note"]) == ("back end", "measured")
    # The mean of what was timed just now, and kept beside the model.
    assert kept.distribution is not None
    assert stage["duration"]["value"] == pytest.approx(
        math.fsum(kept.distribution["values"]) / 1000, rel=1e-12
    )
