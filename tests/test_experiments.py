"""Experiments: records that come back, trainings that go on, exponents that are found again."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from optics4f.models.cli import register
from optics4f.models.data import ImageData, digits
from optics4f.models.experiments import complexity, resolution, runs
from optics4f.models.experiments.record import Options, Report, read, write
from optics4f.models.experiments.resolution import design, pictures, task_of_run
from optics4f.models.experiments.runs import gain, look_once, summarise, trained
from optics4f.models.lesson import Task, task_of
from optics4f.models.progress import Progress
from optics4f.models.run import train
from optics4f.models.runconfig import RunConfig
from optics4f.models.sclc import StudentDesign
from optics4f.models.tables import Rows

pytest.importorskip("safetensors")
pytest.importorskip("joblib")

TINY = StudentDesign(shape=(8, 8), channels=(1, 2), kernel_sizes=(3,), stops=(5,), pixels=5)
CONFIG = RunConfig(size=8, student=TINY, epochs=1, batch_size=256, learning_rate=0.02)
REPORT = Report(
    name="table0",
    title="Table 0: nothing",
    command="optics4f paper table0",
    preset="cpu",
    seeds=(0, 1),
    settings={"epochs": 1, "data_dir": "/home/somebody/data/cifar10", "sizes": [8, 16]},
    tables=(Rows("Accuracies", ("network", "paper", "here"), [("teacher", "85.09 %", "86.00 %")]),),
    data={"paper": {"teacher": 0.8509}, "accuracy": {"teacher": [0.85, 0.87]}},
    notes=("A note.",),
)


def commands(*words: str) -> Any:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, list(words))


def test_a_record_comes_back(tmp_path: Path) -> None:
    """JSON keeps every number to the last bit."""
    files = write(REPORT, tmp_path / "new", lambda figure: figure.subplots().plot([0, 1]))
    assert [path.name for path in files] == ["table0.png", "table0.md", "table0.json"]
    found = read(files[-1])
    assert set(found.surroundings) == {"finished", "machine", "versions"}
    portable = {**REPORT.settings, "data_dir": "cifar10"}
    assert found == replace(REPORT, settings=portable, surroundings=found.surroundings)


def test_the_page_says_what_a_reader_needs(tmp_path: Path) -> None:
    files = write(REPORT, tmp_path, lambda figure: figure.subplots().plot([0, 1]))
    page = files[1].read_text(encoding="utf-8")
    assert page.startswith("# Table 0: nothing\n\n**Accuracies**\n")
    for text in ("| teacher | 85.09 % | 86.00 % |", "- A note.", "(table0.png)", "(table0.json)"):
        assert text in page
    assert "`optics4f paper table0`, finished 20" in page and "seeds 0, 1." in page
    assert "epochs 1, data_dir cifar10, sizes [8, 16]." in page
    assert f"torch {torch.__version__}" in page
    assert "/home" not in page + files[2].read_text(encoding="utf-8")


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """NaN is no JSON; a drawing that fails leaves no picture, and no record of it."""
    with pytest.raises(ValueError, match="JSON"):
        write(replace(REPORT, data={"accuracy": float("nan")}), tmp_path / "nan")
    assert [path.name for path in (tmp_path / "nan").iterdir()] == ["table0.md"]

    def fails(figure: Any) -> None:
        raise RuntimeError("no curve")

    with pytest.raises(RuntimeError, match="no curve"):
        write(REPORT, tmp_path / "drawing", fails)
    assert not (tmp_path / "drawing").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "record of an experiment, got: JSONDecodeError"),
        ("[]", "record of an experiment, got: "),
        ("{}", "KeyError"),
        ('{"format": "optics4f-sweep", "format_version": 1}', "optics4f-experiment of version 1"),
        ('{"format": "optics4f-experiment", "format_version": 2}', "optics4f-experiment of version 1"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "table0.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"table0\.json: expected .*{reason}"):
        read(path)


def test_options_are_checked_and_the_command_leaves_out_folders() -> None:
    assert Options(data_dir=Path("/x"), out=Path("/y")).command("fig3") == Options().command("fig3")
    assert Options(seeds=2).seed_list == (0, 1)
    with pytest.raises(ValueError, match="--preset: expected cpu or full, got 'gpu'"):
        Options("gpu")
    with pytest.raises(ValueError, match="--jobs and --seeds of at least 1, got 0 and 3"):
        Options(jobs=0)


def test_an_unknown_experiment_lists_those_there_are() -> None:
    error = commands("paper", "table9").exception
    assert isinstance(error, ValueError)
    assert "expected one of table1, fig3" in str(error) and "got 'table9'" in str(error)


def test_what_has_finished_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = {f"seed {seed}": replace(CONFIG, seed=seed) for seed in range(2)}
    first = trained(configs, tmp_path)
    assert list(first) == list(configs) and first["seed 0"].progress.epoch == 1

    def fails(*args: Any, **options: Any) -> Progress:
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "train", fails)
    assert trained(configs, tmp_path) == first
    (tmp_path / "seed 1" / "result.json").unlink()
    with pytest.raises(AssertionError, match="trained again"):
        trained(configs, tmp_path)


def test_other_settings_in_the_folder_are_refused(tmp_path: Path) -> None:
    trained({"run": CONFIG}, tmp_path)
    with pytest.raises(ValueError, match="run: expected the same settings, got other learning_rate"):
        trained({"run": replace(CONFIG, learning_rate=0.01)}, tmp_path)


def test_an_interrupted_run_ends_as_if_it_had_not_been(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bit for bit: the sums have the same order."""
    config = replace(CONFIG, epochs=2)

    def stops(line: dict[str, Any]) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", report=stops)
    resumed = trained({"run": config}, tmp_path)["run"]
    assert "run: epoch 2 of 2" in capsys.readouterr().out
    whole = trained({"run": config}, tmp_path / "whole")["run"]
    for one, other in zip(resumed.network().parameters(), whole.network().parameters(), strict=True):
        assert torch.equal(one, other)
    assert replace(resumed.progress, seconds=0) == replace(whole.progress, seconds=0)


def test_several_processes_train_the_same(tmp_path: Path) -> None:
    """One thread each, so the sums have one order."""
    configs = {str(seed): replace(CONFIG, seed=seed) for seed in range(2)}
    two, one = trained(configs, tmp_path / "two", jobs=2), trained(configs, tmp_path / "one")
    for label in configs:
        assert two[label].progress.best_accuracy == one[label].progress.best_accuracy


def test_a_task_of_ones_own_is_trained_and_looked_at(tmp_path: Path) -> None:
    """Accuracies are shares of the test pictures: those of the network that the run left."""

    def task(config: RunConfig) -> Task:
        named = task_of(config)
        return replace(named, network=torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))

    data: ImageData = digits(8)
    found = trained({"linear": CONFIG}, tmp_path, task=task)
    (score,) = look_once(found.values(), data.test, task)
    network = found["linear"].network(task)
    with torch.no_grad():
        right = (network(data.test.images).argmax(1) == data.test.labels).float().mean()
    assert not network.training
    # float32 holds the mean of 359 zeros and ones to 6e-8.
    assert score == pytest.approx(float(right), abs=1e-6) and score > 0.3


def test_other_weights_are_looked_at_anew(tmp_path: Path) -> None:
    """A look is kept for the weights it was taken of; a run that is trained again in its place has others."""
    data = digits(8)
    first = trained({"run": CONFIG}, tmp_path)["run"]
    (before,) = look_once([first], data.test)
    kept = (first.folder / runs.TEST_FILE).read_bytes()
    assert look_once([first], data.test) == [before]
    for name in (runs.RESULT_FILE, runs.MODEL_FILE, "epoch.safetensors", "metrics.jsonl"):
        (first.folder / name).unlink(missing_ok=True)
    other = trained({"run": replace(CONFIG, seed=7)}, tmp_path)["run"]
    (after,) = look_once([other], data.test)
    assert (first.folder / runs.TEST_FILE).read_bytes() != kept
    (first.folder / runs.TEST_FILE).unlink()
    assert look_once([other], data.test) == [after]


def test_standard_error_by_hand() -> None:
    """Values 1, 2, 3, 4: s^2 = 5/3, so s / sqrt(4) = sqrt(5/12). Doubles hold it to 1e-15."""
    found = summarise([1.0, 2.0, 3.0, 4.0])
    assert found.mean == 2.5
    assert found.error == pytest.approx(math.sqrt(5 / 12), rel=1e-12)
    assert summarise([0.7]).error is None
    # The same gain for every seed has no error, whatever the seeds differ by.
    assert gain([0.5, 0.75], [0.25, 0.5]) == (0.25, 0.0)
    assert gain([0.5, 0.75], [0.25, 0.5]).points() == "+25.00 ± 0.00 points"


@pytest.fixture
def small_fig4(monkeypatch: pytest.MonkeyPatch) -> resolution.Setting:
    what = resolution.Setting("digits", (8, 16), 300, 4.0, 2, 3, 1, 1, batch_size=100, seconds=0.0)
    monkeypatch.setattr(resolution, "setting", lambda options: what)
    return what


def test_fig4_trains_once_and_reports_what_its_networks_give(
    tmp_path: Path, small_fig4: resolution.Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = ("--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"))
    result = commands("paper", "fig4", "--seeds", "2", *folders)
    assert result.exit_code == 0, result.output
    found = read(tmp_path / "out" / "fig4.json")
    assert [row[0] for row in found.tables[0].rows] == ["8", "16"]
    assert (tmp_path / "out" / "fig4.png").stat().st_size > 0
    monkeypatch.setattr(runs, "train", None)  # whoever trains fails
    what, options = small_fig4, Options(runs=tmp_path / "runs", seeds=2)

    def task(config: RunConfig) -> Task:
        return task_of_run(config, what)

    trained_16, test = resolution.train_size(16, task, what, options), pictures("digits", "", 16, 300).test
    for name, kept in trained_16.items():
        assert found.data["test_accuracy"]["16"][name] == look_once(kept, test, task)
        mean = summarise(found.data["test_accuracy"]["16"][name]).percent()
        assert mean in found.tables[0].rows[1]
    student = trained_16["strict"][1]
    assert student.config.seed == 1 and student.config.teacher == str(trained_16["teacher"][1].folder)
    assert found.data["seconds"]["16"][complexity.OPTICAL] == complexity.optical(16)[complexity.OPTICAL]


@pytest.mark.parametrize("size", [8, 16, 24, 32, 96, 224])
def test_the_stop_of_fig4_passes_half_of_the_frequencies(size: int) -> None:
    """Frequencies -s/2 to s/2 of half the sampling rate are s/2 + 1 samples; even stops lose an edge."""
    stop = design(size, "strict", 3, 10, resolution.Setting()).stops[0]
    assert stop % 2 == 1 and abs(stop - size / 2) <= 1


def test_fig4_takes_the_first_pictures_of_the_training_split() -> None:
    """digits are 8x8: what was made larger keeps its labels; validation and test keep their pictures."""
    whole, some = digits(16), pictures("digits", "", 16, 300)
    assert isinstance(some, ImageData) and some.train.length == 300
    assert torch.equal(some.train.labels, whole.train.labels[:300])
    assert torch.equal(some.test.labels, whole.test.labels)
    assert some.test.images.shape[-2:] == (16, 16)
    assert pictures("digits", "", 16, 0).train.length == whole.train.length
