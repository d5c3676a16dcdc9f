"""The sweep: every point with the same seeds, the choice on validation alone, a table in two forms."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from optics4f.models import lesson as lessons
from optics4f.models import run as runs
from optics4f.models import sweep as sweeps
from optics4f.models.cli import register
from optics4f.models.data import ImageData, digits
from optics4f.models.lesson import MODEL_FILE
from optics4f.models.run import train
from optics4f.models.runconfig import RunConfig
from optics4f.models.sclc import StudentDesign
from optics4f.models.state import read_state
from optics4f.models.sweep import Point, markdown, sweep

pytest.importorskip("safetensors")
pytest.importorskip("joblib")

TINY = StudentDesign(shape=(8, 8), channels=(1, 2), kernel_sizes=(3,), stops=(5,), pixels=5)
CONFIG = RunConfig(size=8, student=TINY, epochs=1, batch_size=256, learning_rate=0.02)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data without a test split: whoever touches it fails."""
    poisoned: Any = None

    def load(name: str, folder: Any, size: int) -> ImageData:
        return replace(digits(size), test=poisoned)

    monkeypatch.setattr(lessons, "load", load)


def test_the_best_on_validation_is_chosen_and_the_test_split_stays_closed(
    tmp_path: Path, loaded: None
) -> None:
    table = sweep(
        CONFIG, {"learning_rate": [1e-9, 0.02], "student.readout": ["strict", "detected"]}, tmp_path
    )
    assert len(table) == 4
    assert [point.mean for point in table] == sorted((point.mean for point in table), reverse=True)
    assert table[0].settings["learning_rate"] == 0.02  # the other rate leaves the weights random
    for point in table:
        case = CONFIG.with_setting("learning_rate", point.settings["learning_rate"])
        case = case.with_setting("student.readout", point.settings["student.readout"])
        readout = case.student.readout
        alone = train(case, tmp_path / f"alone-{case.learning_rate}-{readout}")
        assert point.accuracies == (alone.best_accuracy,)  # trained as it would be alone
    content = json.loads((tmp_path / "sweep.json").read_text())
    assert content["chosen"] == table[0].settings
    assert [row["validation_accuracy"] for row in content["points"]] == [point.mean for point in table]
    assert (tmp_path / "sweep.md").read_text() == markdown(table)
    assert "test" not in (tmp_path / "sweep.json").read_text()


def test_every_point_has_the_same_seeds_and_the_mean_decides(tmp_path: Path, loaded: None) -> None:
    table = sweep(replace(CONFIG, seed=4), {"weight_decay": [0.0, 0.1]}, tmp_path, seeds=2)
    for decay in ("0.0", "0.1"):
        configs = [
            read_state(tmp_path / f"weight_decay={decay},seed={seed}" / MODEL_FILE).rest["config"]["seed"]
            for seed in (4, 5)
        ]
        assert configs == [4, 5]
    for point in table:
        assert point.mean == pytest.approx(sum(point.accuracies) / 2, rel=1e-15)  # float64 rounding
    assert json.loads((tmp_path / "sweep.json").read_text())["seeds"] == [4, 5]


def test_the_teacher_is_asked_once_for_all_points(
    tmp_path: Path, loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    ask = lessons.logits_of
    monkeypatch.setattr(lessons, "logits_of", lambda *args: (calls.append(1), ask(*args))[1])
    train(CONFIG, tmp_path / "teacher")
    taught = replace(CONFIG, teacher=str(tmp_path / "teacher"))
    sweep(taught, {"alpha": [0.3, 0.7], "temperature": [2, 4]}, tmp_path / "sweep")
    assert len(calls) == 1
    assert len(list((tmp_path / "sweep").glob("teacher-logits-*"))) == 1


def test_jobs_in_processes_of_their_own_give_the_same_table(tmp_path: Path) -> None:
    """Both compute in one thread, so that sums have one order."""
    grid: dict[str, list[Any]] = {"weight_decay": [0.0, 0.1]}
    assert torch.get_num_threads() == 1
    assert sweep(CONFIG, grid, tmp_path / "two", jobs=2) == sweep(CONFIG, grid, tmp_path / "one")


def test_a_point_that_diverges_loses_and_says_why(
    tmp_path: Path, loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(config: RunConfig, *args: Any, **options: Any) -> Any:
        if config.learning_rate == 1.0:
            raise FloatingPointError("train: expected a finite loss, got nan in step 3.")
        return runs.train(config, *args, **options)

    monkeypatch.setattr(sweeps, "train", stopping)
    table = sweep(CONFIG, {"learning_rate": [1.0, 0.02]}, tmp_path)
    assert [point.settings["learning_rate"] for point in table] == [0.02, 1.0]
    assert "got nan in step 3" in markdown(table)
    row = json.loads((tmp_path / "sweep.json").read_text())["points"][1]
    assert row["validation_accuracy"] is None and "step 3" in row["stopped"]


def test_a_sweep_goes_on_where_it_was_killed(tmp_path: Path, loaded: None) -> None:
    grid: dict[str, list[Any]] = {"weight_decay": [0.0, 0.1]}
    first = sweep(CONFIG, {"weight_decay": [0.1]}, tmp_path)
    written = (tmp_path / "weight_decay=0.1,seed=0" / "epoch.safetensors").stat().st_mtime_ns
    both = sweep(CONFIG, grid, tmp_path, resume=True)
    assert first[0] in both and len(both) == 2
    assert (tmp_path / "weight_decay=0.1,seed=0" / "epoch.safetensors").stat().st_mtime_ns == written
    with pytest.raises(FileExistsError, match="expected a folder without a run, or --resume"):
        sweep(CONFIG, grid, tmp_path)


def test_the_table_is_markdown() -> None:
    table = [
        Point({"alpha": 0.3}, (0.9, 0.8), (4, 5)),
        Point({"alpha": 0.5}, (0.7, -1.0), (4, 0), stopped="train: diverged."),
    ]
    assert markdown(table).splitlines() == [
        "| alpha | validation accuracy | per seed | best epoch |",
        "| --- | --- | --- | --- |",
        "| 0.3 | 85.00 % | 90.00, 80.00 | 4, 5 |",
        "| 0.5 | train: diverged. |  |  |",
    ]


@pytest.mark.parametrize(
    ("grid", "options", "sentence"),
    [
        ({}, {}, "expected a grid, jobs and seeds above 0"),
        ({"alpha": [0.5]}, {"jobs": 0}, "expected a grid, jobs and seeds above 0"),
        ({"alpha": [0.5]}, {"seeds": 0}, "expected a grid, jobs and seeds above 0"),
        ({"seed": [0, 1]}, {}, "expected seeds as a number of its own"),
        ({"beta": [1]}, {}, "expected keys among data, .* got beta"),
        ({"student.lens": [1]}, {}, r"got student\.lens"),
        ({"alpha": [0.5, 2]}, {}, "alpha: expected a number from 0 to 1, got 2"),
    ],
)
def test_a_bad_sweep_is_refused_before_anything_is_trained(
    tmp_path: Path, grid: dict[str, list[Any]], options: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        sweep(CONFIG, grid, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_is_not_for_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="expected one process and --jobs"):
        sweep(CONFIG, {"alpha": [0.5]}, tmp_path)


def test_the_command_prints_the_table(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    path = tmp_path / "run.toml"
    path.write_text(
        "size = 8\nepochs = 1\nbatch_size = 512\n"
        "[student]\nshape = [8, 8]\nchannels = [1, 2]\nkernel_sizes = [3]\nstops = [5]\npixels = 5\n"
    )
    words = ["sweep", str(path), "--grid", "student.readout=strict,detected", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith((tmp_path / "out" / "sweep.md").read_text())
