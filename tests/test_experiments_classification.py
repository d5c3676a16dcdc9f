"""Tables II and III on a few coloured pictures: what they say is what their runs give."""

from pathlib import Path
from typing import Any

import pytest
import torch

from optics4f.models.data import ImageData, Split
from optics4f.models.experiments import classification as networks
from optics4f.models.experiments import runs, table2, table3
from optics4f.models.experiments.complexity import OPTICAL, optical
from optics4f.models.experiments.record import Options
from optics4f.models.experiments.runs import gain, summarise
from optics4f.models.progress import Progress
from optics4f.models.runconfig import RunConfig
from optics4f.plotting.experiments import drawn

pytest.importorskip("safetensors")
pytest.importorskip("joblib")

SMALL = networks.Schedule(
    width=0.05,
    teacher=1,
    square=1,
    strict=1,
    detected=1,
    masks=2,
    detected_longer=1,
    masks_longer=3,
    paper_code=1,
    paper_code_longer=1,
    pooling=1,
    paper_channels=(3, 2, 2, 2, 2, 2),
    channels_longer=(3, 2, 2, 2, 2, 3),
    views=2,
    seconds=0.0,
)


def split(count: int, seed: int) -> Split:
    """Ten colours under noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 10
    colours = torch.rand(10, 3, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(count, 3, 32, 32, generator=generator)
    return Split(0.7 * colours[labels, :, None, None] + 0.3 * noise, labels)


TEST = split(100, 3)


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    data = ImageData("cifar10", "colours", 10, split(200, 1), split(50, 2), TEST)
    monkeypatch.setattr(networks, "pictures", lambda folder, side=32: data)
    monkeypatch.setattr(networks, "schedule", lambda options: SMALL)
    return Options(runs=tmp_path / "runs", seeds=2)


def test_table2_says_what_its_runs_give(options: Options) -> None:
    report, draw = table2.run(options)
    drawn(draw)
    scores = report.data["test_accuracy"]
    for name, row in table2.trainings(options).items():
        for lesson, trained in row.items():
            assert [run.config.seed for run in trained] == ([0] if name in SMALL.one_seed else [0, 1])
            assert all((run.config.teacher == "none") == (lesson == networks.LABELS) for run in trained)
            (trained[0].folder / runs.TEST_FILE).unlink()  # look again
            assert runs.look_once(trained[:1], TEST, networks.task) == scores[name][lesson][:1]
    labels, distilled = (scores["detected"][lesson] for lesson in networks.LESSONS)
    lines = {line[0]: line for line in report.tables[0].rows}
    assert lines["detected"][1:4] == (
        summarise(labels).percent(),
        summarise(distilled).percent(),
        gain(distilled, labels).points(),
    )
    row = next(row for row in report.tables[0].rows if row[0] == "paper_code")
    assert row[4:] == ("65.45 %", "80.80 %")
    assert report.data["seconds"][OPTICAL] == optical(32)[OPTICAL]


def test_table3_trains_only_what_table2_has_not(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    table2.trainings(options)
    folders, train = [], runs.train

    def noted(config: RunConfig, folder: Path, *rest: Any) -> Progress:
        folders.append(folder.name)
        return train(config, folder, *rest)

    monkeypatch.setattr(runs, "train", noted)
    report, draw = table3.run(options)
    drawn(draw)
    assert sorted(folders) == [
        "pooled_max-labels-0",
        "pooled_spectral-labels-0",
        "strict_published-distilled-0",
        "strict_published-labels-0",
    ]
    assert set(report.data["test_accuracy"]) == {row.name for row in table3.ROWS}
    assert len({row.name for row in table3.ROWS}) == len(table3.ROWS)


def test_the_full_preset_has_the_paper_s_pictures() -> None:
    """224x224, AlexNet, and the published channels and sizes of its stops."""
    full = Options("full")
    found = networks.networks(full)
    for name, config in found.items():
        assert config.size == 224
        assert config.network != "student" or config.student.shape == (224, 224), name
    assert found["paper_code"].student.channels == (3, 32, 64, 128, 256, 256)
    assert found["paper_code"].student.stops[:4] == (113, 55, 27, 13)
    assert networks.schedule(full).teacher_network == "alexnet"
