"""The command design: its files and tables, a kill and its resumption bit for bit, refusals."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from optics4f import cli
from optics4f.fabrication import MaskSet
from optics4f.fabrication.relief import quantise_phase
from optics4f.files import sha256
from optics4f.models import design_job
from optics4f.models.checkpoint import load_student, save_student
from optics4f.models.cli import register
from optics4f.models.data import digits
from optics4f.models.design_job import Design, Job, final_test
from optics4f.models.design_report import summarise, tables, write_report
from optics4f.models.designconfig import DesignConfig, Noise, design_from_dict, read_design
from optics4f.models.run import train
from optics4f.models.runconfig import RunConfig
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.train import accuracy

pytest.importorskip("safetensors")
pytest.importorskip("sklearn")

TINY = StudentDesign(shape=(8, 8), channels=(1, 2, 4), kernel_sizes=(3, 3), stops=(7, 5), pixels=5)
NOISE = Noise(etch=0.05, overlay="20 um", phase="0.1 rad", draws=2)
EPOCHS = (0, 2, 1, 2)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that has learned something."""
    folder = tmp_path_factory.mktemp("start")
    train(RunConfig(size=8, student=TINY, epochs=2, learning_rate=0.02, report_every=0), folder)
    return folder


@pytest.fixture(scope="module")
def config(start: Path) -> DesignConfig:
    return DesignConfig(
        str(start), epochs=EPOCHS, levels=8, noise=NOISE, learning_rate=0.02, batch_size=256, masks=3
    )


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data without a test split: whoever touches it fails."""
    poisoned: Any = None
    monkeypatch.setattr(design_job, "load", lambda name, folder, size: replace(digits(size), test=poisoned))
    monkeypatch.setattr("optics4f.models.data.ImageData.to", lambda self, device: self)


@pytest.fixture(scope="module")
def done(config: DesignConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design]:
    """One design, made blind."""
    folder = tmp_path_factory.mktemp("design")
    with pytest.MonkeyPatch.context() as patch:
        blind(patch)
        found = Job(config, folder).run(["optics4f", "design", "tiny.toml"])
    return folder, found


def test_the_table_has_every_stage_and_what_it_cost(done: tuple[Path, Design], config: DesignConfig) -> None:
    _, found = done
    assert [row.stage for row in found.stages] == ["complex", "phase", "levels", "fabrication"]
    assert [row.epochs for row in found.stages] == list(EPOCHS)
    whole, light, curve = tables(summarise(found, "command"))
    assert [row[0] for row in whole.rows] == ["as it came", *config.stages]
    for table in (whole, light, curve):
        assert all(len(row) == len(table.columns) and all(row) for row in table.rows)
    for row, (_, drawn, trained, made, made_trained) in zip(found.stages, whole.rows[1:], strict=True):
        assert drawn == f"{100 * row.before.accuracy:.2f} %"
        assert (trained == "-") == (row.epochs == 0)
        assert (made == "-") == (row.stage == "complex")
        assert (made_trained == "-") == (row.stage == "complex")
        assert len(row.before.made) == (0 if row.stage == "complex" else NOISE.draws)
    # What was trained is where the next stage begins; levels are kept, so that nothing changes at all.
    levels, fabrication = found.stages[2:]
    assert levels.after == fabrication.before
    assert 0 < found.stages[0].error < 1 and 0 < fabrication.error < 1


def test_fewer_masks_are_made_and_the_curve_falls(done: tuple[Path, Design]) -> None:
    folder, found = done
    assert [row.masks for row in found.curve] == [1, 2, 3, 4]
    assert all(late.error < early.error for early, late in pairwise(found.curve))
    assert found.curve[-1].accuracy == found.start
    bank = MaskSet.load(folder / "masks.h5").banks["relief"]
    assert bank.transmittance.shape == (3, 1, 5, 5)


def test_masks_have_their_material_levels_and_origin(
    done: tuple[Path, Design], config: DesignConfig, start: Path
) -> None:
    folder, _ = done
    masks = MaskSet.load(folder / "masks.h5")
    bank = masks.banks["relief"]
    assert (bank.material, bank.levels, bank.encoding) == ("fused-silica", 8, "phase")
    assert bank.refractive_index == pytest.approx(1.4607, abs=1e-4)
    level = quantise_phase(np.angle(bank.transmittance), 8)
    assert np.abs(bank.transmittance - np.exp(2j * np.pi * level / 8)).max() < 1e-6  # complex64
    told = masks.provenance
    assert told["checkpoint_sha256"] == sha256(folder / "students" / "fabrication" / "student.safetensors")
    assert (told["data"], told["command"]) == ("digits", ["optics4f", "design", "tiny.toml"])
    assert told["design"] == config.to_dict() and told["code_version"].startswith("optics4f ")
    assert np.array(told["mesh"]).shape == (4, 3, 2)
    settings = json.loads((folder / "config.json").read_text())
    assert settings["start_sha256"] == sha256(start / "student.safetensors")
    assert not list(folder.rglob(".*"))  # no draft is left


def test_each_stage_has_a_student_that_does_what_the_table_says(done: tuple[Path, Design]) -> None:
    folder, found = done
    for row in found.stages:
        student = load_student(folder / "students" / row.stage)
        assert accuracy(student, found.data.validation) == row.after.accuracy


def test_the_report_is_the_table_the_page_and_a_picture(done: tuple[Path, Design], tmp_path: Path) -> None:
    _, found = done
    seen = replace(found, data=digits(8))
    shown = write_report(seen, tmp_path, "optics4f design tiny.toml --test", final_test(seen))
    content = json.loads((tmp_path / "design.json").read_text())
    assert content["format"] == "optics4f-design" and content["test"]["test_images"] == 359
    assert content["stages"][3]["after"]["made"] == list(found.stages[3].after.made)
    text = (tmp_path / "design.md").read_text()
    assert all(table.for_page() in text for table in shown) and len(shown) == 4
    pixels = np.asarray(Image.open(tmp_path / "design.png").convert("L"))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert pixels.std() > 10 and border.min() > 250  # something is drawn, and nothing runs out


@pytest.mark.parametrize("stopped", ["phase: training", "fabrication: training"])
def test_a_design_that_was_stopped_ends_with_the_same_bits(
    done: tuple[Path, Design], config: DesignConfig, tmp_path: Path, stopped: str
) -> None:
    """Stopped after the first epoch of a stage; on one machine the sums have one order."""
    folder, found = done
    said: list[str] = []

    def stop(line: dict[str, Any]) -> None:
        if said[-1] == stopped and line["validation_accuracy"] is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Job(config, tmp_path, say=said.append, report=stop).run(["optics4f", "design", "tiny.toml"])
    assert not (tmp_path / "masks.h5").exists()
    again = Job(config, tmp_path, resume=True).run(["optics4f", "design", "tiny.toml"])
    assert again.stages == found.stages and again.curve == found.curve
    files = ["masks.h5", *(f"students/{stage}/student.safetensors" for stage in config.stages)]
    assert [sha256(tmp_path / name) for name in files] == [sha256(folder / name) for name in files]


def test_only_the_same_design_goes_on(
    done: tuple[Path, Design], config: DesignConfig, tmp_path: Path
) -> None:
    folder, _ = done
    with pytest.raises(FileExistsError, match="expected a folder without a design, or --resume, got one"):
        Job(config, folder).run()
    with pytest.raises(FileNotFoundError, match="expected a design to resume, found none"):
        Job(config, tmp_path, resume=True).run()
    with pytest.raises(ValueError, match="expected the same settings, got other levels, seed"):
        Job(replace(config, levels=4, seed=1), folder, resume=True).run()
    assert list(tmp_path.iterdir()) == []


def test_no_noise_and_complex_masks_alone_leave_the_student_as_it_was(start: Path, tmp_path: Path) -> None:
    quiet = Noise(etch=0.0, overlay="0 nm", phase="0 rad", draws=1)
    config = DesignConfig(str(start), stages=("complex",), noise=quiet)
    found = Job(config, tmp_path).run()
    pictures, student = found.data.validation.images, load_student(start)
    with torch.no_grad():
        before, after = student(pictures), load_student(tmp_path / "students" / "complex")(pictures)
    # Float32: the collapse and the back end are rounded anew, some hundred times.
    assert float((after - before).abs().max()) < 2e-5 * float(before.abs().max())
    assert list(MaskSet.load(tmp_path / "masks.h5").banks) == ["complex"]


def test_a_student_is_trained_first_if_a_file_says_how(tmp_path: Path) -> None:
    (tmp_path / "student.toml").write_text(
        "size = 8\nepochs = 1\nbatch_size = 512\n"
        "[student]\nshape = [8, 8]\nchannels = [1, 2]\nkernel_sizes = [3]\nstops = [5]\npixels = 5\n"
    )
    (tmp_path / "design.toml").write_text(
        f'student = "{tmp_path / "student.toml"}"\nstages = ["phase"]\nepochs = [1]\nbatch_size = 512\n'
        'teacher = "none"\n[noise]\ndraws = 1\n'
    )
    app = typer.Typer()
    register(app)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["design", str(tmp_path / "design.toml"), "--out", str(out), "--test"])
    assert result.exit_code == 0, result.output
    found = json.loads((out / "design.json").read_text())
    assert (
        found["start_accuracy"] == json.loads((out / "student" / "result.json").read_text())["best_accuracy"]
    )
    assert [row["stage"] for row in found["stages"]] == ["phase"] and found["masks"] == []
    assert f"{100 * found['stages'][0]['after']['accuracy']:.2f} %" in result.stdout
    assert found["command"] == "optics4f design design.toml --test" and found["test"] is not None
    assert MaskSet.load(out / "masks.h5").banks["relief"].levels == 0  # continuous, as trained


# ---------------------------------------------------------------------------------- configuration


def test_the_example_is_the_usual_curriculum() -> None:
    found = read_design(Path(__file__).parents[1] / "examples" / "design.toml")
    assert replace(found, epochs=()) == DesignConfig()
    assert [found.epochs_of(stage) for stage in found.stages] == list(found.epochs)
    assert design_from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("level = 16", "expected keys among student, data, .*, got level"),
        ("stages = []", r"stages: expected at least one, in this order, got \[\]"),
        ('stages = ["phase", "complex"]', "stages: expected complex, phase, in this order"),
        ('stages = ["etch"]', "stages: expected complex or phase or levels or fabrication, got 'etch'"),
        ('stages = "phase"', "stages: expected a list of names, got 'phase'"),
        ("epochs = [1, 2]", r"epochs: expected 4 numbers, one for each stage, got \[1, 2\]"),
        ("epochs = [0, 1, 1, -1]", "epochs: expected 0 or more, got -1"),
        ("epochs = [0, 1.5, 1, 1]", "epochs: expected a list of whole numbers"),
        ("masks = -1", "masks: expected 0 or more, got -1"),
        ("levels = 10", "levels: expected a power of two from 2 to 256, got 10"),
        ('material = "jelly"', "material: expected one of fused-silica, .*, got 'jelly'"),
        ("alpha = 2", "alpha: expected a number from 0 to 1, got 2"),
        ("temperature = 0", "temperature: expected a number above 0"),
        ("learning_rate = nan", "learning_rate: expected a number above 0, got nan"),
        ("batch_size = 0", "batch_size: expected 1 or more, got 0"),
        ("seed = -1", "seed: expected an integer from 0"),
        ("noise = 3", "noise: expected a table, got 3"),
        ("[noise]\netch = 0.5", "noise.etch: expected a share from 0 to 0.2, got 0.5"),
        ("[noise]\noverlay = 200", "noise.overlay: expected str, got 200"),
        ('[noise]\noverlay = "200"', "noise.overlay: expected a quantity with a unit"),
        ('[noise]\noverlay = "-1 nm"', "noise.overlay: expected 0 m or more, got -1 nm"),
        ('[noise]\nphase = "3 nm"', "noise.phase: expected rad, got 3 nanometer"),
        ("[noise]\ndraws = 0", "noise.draws: expected 1 or more, got 0"),
        ("[noise]\nrounding = 1", r"got noise\.rounding"),
        ("levels = ", "Invalid value"),
        ('student = "nowhere"', "student: expected nowhere/student.safetensors, a trained student or a"),
    ],
)
def test_a_bad_configuration_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "design.toml"
    path.write_text(text)
    result = CliRunner().invoke(cli.build(), ["design", str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    with pytest.raises((ValueError, TypeError, OSError), match=sentence):
        Job(read_design(path), tmp_path / "out").run()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_student_of_other_pictures_or_with_a_dark_edge_is_refused(tmp_path: Path) -> None:
    save_student(SCLC(replace(TINY, classes=4)), tmp_path / "four")
    with pytest.raises(
        ValueError, match=r"expected pictures and classes \(1, 8, 8, 4\), .*got \(1, 8, 8, 10\)"
    ):
        Job(DesignConfig(str(tmp_path / "four")), tmp_path / "a").run()
    save_student(SCLC(replace(TINY, stops=(7, 4), pixels=4)), tmp_path / "even")
    with pytest.raises(ValueError, match="expected a last stop of odd size"):
        Job(DesignConfig(str(tmp_path / "even"), stages=("phase",)), tmp_path / "b").run()
    with pytest.raises(ValueError, match="expected 1 to 4, got 9"):
        Job(DesignConfig(str(tmp_path / "even"), masks=9), tmp_path / "b").run()
    assert not (
        tmp_path / "b" / "runs"
    ).exists()  # refused before the work, and the folder is free for another
