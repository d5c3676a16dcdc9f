"""The main job on one epoch: what it leaves is complete and agrees with itself; bad input is one sentence."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from optics4f import cli
from optics4f.files import sha256
from optics4f.models import cli as model_cli
from optics4f.models import demo
from optics4f.models.data import digits
from optics4f.models.report import mean_and_deviation

APP = cli.build()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """One run: its folder, its summary, its screen."""
    out = tmp_path_factory.mktemp("demo")
    result = CliRunner().invoke(APP, ["demo", "--out", str(out), "--epochs", "1", "--seeds", "1"])
    assert result.exit_code == 0, result.output
    return out, json.loads((out / "summary.json").read_text()), result.output


def test_summary_holds_what_a_reader_needs(ran: tuple[Path, dict[str, Any], str]) -> None:
    _, summary, _ = ran
    networks = ["teacher", "strict", "strict + KD", "detected", "detected + KD", "phase-only, 16 levels + KD"]
    assert list(summary["accuracy"]) == networks
    assert {row["test_images"] for row in summary["accuracy"].values()} == {359}
    assert summary["seeds"] == [0]
    assert summary["versions"]["torch"].startswith("2.")
    assert [summary["audit"][name]["affine"] for name in networks[1:5]] == [True, True, False, False]
    assert all(found["passive"] and found["conversions"] == 1 for found in summary["audit"].values())
    assert {found["masks"] for found in summary["audit"].values()} == {980}
    assert {found["collapsed_masks"] for found in summary["audit"].values()} == {16}
    gain = summary["accuracy"]["detected + KD"]["mean"] - summary["accuracy"]["detected"]["mean"]
    assert summary["distillation_gain"]["detected"]["mean"] == pytest.approx(gain)


def test_read_back_agrees_with_what_was_trained(ran: tuple[Path, dict[str, Any], str]) -> None:
    """The collapse is exact, complex64 is stored, 16 levels are among 256 greys: only a tie may differ."""
    _, summary, _ = ran
    ideal = {
        row["masks_from"]: row["accuracy"] for row in summary["read_back"] if row["simulation"] == "ideal"
    }
    one = 1.01 / 359  # one picture
    assert ideal["masks.h5, bank complex"] == pytest.approx(
        summary["accuracy"]["detected + KD"]["mean"], abs=one
    )
    for name in ("masks.h5, bank relief", "GDSII layout", "8-bit bitmaps"):
        assert ideal[name] == pytest.approx(
            summary["accuracy"]["phase-only, 16 levels + KD"]["mean"], abs=one
        )


def test_files_are_there_with_their_hashes(ran: tuple[Path, dict[str, Any], str]) -> None:
    out, summary, _ = ran
    listed = {row["path"]: row for row in summary["files"]}
    for path, row in listed.items():
        assert sha256(out / path) == row["sha256"]
        assert (out / path).stat().st_size == row["bytes"]
    assert {"masks.h5", "fab/relief.gds", "fab/manifest.json", "back_end.json"} <= set(listed)
    assert sum(path.endswith(".png") for path in listed) == 16
    assert not list(out.rglob(".*"))  # no draft is left


def test_figures_show_something(ran: tuple[Path, dict[str, Any], str]) -> None:
    figures = sorted((ran[0] / "figures").glob("*.png"))
    assert [f.stem for f in figures] == [
        "accuracy",
        "bench",
        "masks_complex",
        "masks_relief",
        "planes",
        "runtime",
    ]
    for figure in figures:
        pixels = np.asarray(Image.open(figure).convert("L"))
        assert pixels.std() > 10  # an empty canvas has 0, a few thin lines some 5
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert border.min() > 250  # nothing runs out of the picture


def test_runtime_adds_up_and_counts_the_bytes(ran: tuple[Path, dict[str, Any], str]) -> None:
    """16 channels of 11 x 11 pixels of 16 bit at 2500 Mbit/s, and light over 4 x 100 mm."""
    stages = {stage["name"]: stage["duration"]["value"] for stage in ran[1]["runtime"]["stages"]}
    assert stages["time of flight"] == pytest.approx(0.4 / 299_792_458)
    assert stages["transduction"] == pytest.approx(16 * 121 * 16 / 2.5e9)
    assert ran[1]["runtime"]["total"]["value"] == pytest.approx(sum(stages.values()))


def test_same_seed_same_files(ran: tuple[Path, dict[str, Any], str], tmp_path: Path) -> None:
    """Every random number comes from the seed, so masks and layout repeat to the byte on one machine."""
    demo.run(demo.DemoOptions(tmp_path, epochs=1, seeds=1))
    for name in ("masks.h5", "fab/relief.gds", "students/relief/student.safetensors"):
        assert sha256(tmp_path / name) == sha256(ran[0] / name)


def test_screen_says_the_same_as_the_summary(ran: tuple[Path, dict[str, Any], str]) -> None:
    _, summary, screen = ran
    for row in summary["accuracy"].values():
        assert f"{100 * row['mean']:.2f} %" in screen
    assert "summary.json" in screen


def test_audit_and_verify_read_what_the_demo_wrote(ran: tuple[Path, dict[str, Any], str]) -> None:
    out, summary, _ = ran
    found = CliRunner().invoke(APP, ["audit", str(out / "students" / "complex")])
    assert found.exit_code == 0
    assert "optics: affine" in found.output
    assert "whole network NOT AFFINE" in found.output
    args = ["verify", str(out / "fab"), "--model", str(out / "students" / "relief"), "--split", "test"]
    checked = CliRunner().invoke(APP, args)
    assert checked.exit_code == 0, checked.output
    ideal = next(row for row in summary["read_back"] if row["masks_from"] == "GDSII layout")
    assert f"{100 * ideal['accuracy']:.2f} %" in checked.output


def test_complex_masks_survive_double_phase(ran: tuple[Path, dict[str, Any], str], tmp_path: Path) -> None:
    """Phase-only pixels of half the pitch carry the complex masks, at nearly their accuracy.

    The window of the output takes light from the checkerboard too, more towards its corners.
    """
    out, summary, _ = ran
    options = ["--bank", "complex", "--encoding", "double-phase", "--to", "bitmap", "--out", str(tmp_path)]
    assert CliRunner().invoke(APP, ["export", str(out / "masks.h5"), *options]).exit_code == 0
    model = ["--model", str(out / "students" / "complex"), "--split", "test"]
    checked = CliRunner().invoke(APP, ["verify", str(tmp_path), *model])
    assert checked.exit_code == 0, checked.output
    found = [float(number) / 100 for number in re.findall(r"(\d+\.\d+) %", checked.output)]
    stored = [
        row["accuracy"] for row in summary["read_back"] if row["masks_from"] == "masks.h5, bank complex"
    ]
    for score, own in zip(found, stored, strict=True):
        assert score > own - 0.1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "mnist"], "expected one of digits, cifar10, got 'mnist'"),
        (["--seeds", "0"], "--seeds: expected at least 1, got 0"),
        (["--epochs", "-3"], "--epochs: expected at least 1, got -3"),
        (["--seed", "-1"], "--seed: expected 0 or more, got -1"),
        (["--device", "abacus"], "--device: expected a device that torch can use here, got 'abacus'"),
        (["--device", "cuda:99"], "--device: expected a device that torch can use here, got 'cuda:99'"),
        (["--data", "cifar10", "--data-dir", "nowhere"], "nowhere/train.parquet: expected a parquet file"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(APP, ["demo", "--out", str(tmp_path / "run"), *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert len(result.stderr.strip().splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_folder_that_cannot_be_one_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    result = CliRunner().invoke(APP, ["demo", "--out", str(tmp_path / "file")])
    assert result.exit_code == 2
    assert str(tmp_path / "file") in result.stderr
    assert (tmp_path / "file").read_text() == "here"


def test_missing_extra_is_named_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_cli.NEEDED, "no_such_library", "fab")
    result = CliRunner().invoke(APP, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "pip install 'optics4f[fab]'" in result.stderr


def test_interruption_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("optics4f.fabrication.export._publish", interrupted)
    result = CliRunner().invoke(APP, ["demo", "--out", str(tmp_path), "--epochs", "1", "--seeds", "1"])
    assert result.exit_code == 130
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    students = [
        f"students/{n}/student.{kind}" for n in ("complex", "relief") for kind in ("json", "safetensors")
    ]
    assert left == ["masks.h5", *students]  # written whole before the interruption


def test_test_split_is_not_touched_before_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and selection work on a data set whose test split cannot be used."""
    real = digits()
    blind = replace(real, test=None)  # type: ignore[arg-type]
    monkeypatch.setattr(demo, "load", lambda *_: blind)
    monkeypatch.setattr(type(real), "to", lambda self, device: self)
    results = demo.run(demo.DemoOptions(tmp_path, epochs=1, seeds=1))
    with pytest.raises(AttributeError):
        demo.final_accuracies(results)


def test_mean_and_deviation_are_of_a_sample() -> None:
    assert mean_and_deviation([0.9, 1.0]) == pytest.approx((0.95, 0.1 / 2**0.5))
    assert mean_and_deviation([0.9]) == (0.9, None)
