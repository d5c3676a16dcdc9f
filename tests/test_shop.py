"""Design rules of an exported layout, and other people's kernels as a mask set: functions and commands."""

from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from optics4f import FourF, Grid, KernelMask, PhaseMask, mm, nm, um
from optics4f.cli import Commands
from optics4f.fabrication import MaskSet
from optics4f.fabrication.bench import bank_of
from optics4f.fabrication.cli import register
from optics4f.fabrication.export import export_masks, read_back
from optics4f.fabrication.rules import Rules
from optics4f.fabrication.shop import broken_rules


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    phase = torch.zeros(1, 1, 10, 10)
    phase[..., 4, 4] = torch.pi  # one pixel of 50 um, alone
    masks = PhaseMask(phase, levels=2)
    bench = FourF(Grid((10, 10), 100 * um), 500 * nm, 100 * mm, masks)
    export_masks(
        MaskSet({"one": bank_of(bench)}), tmp_path, ("gds", "oas"), material=1.5, marks=True, compact=True
    )
    return tmp_path


def run(*words: object) -> tuple[int, str, str]:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    register(app)
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def test_marks_are_drawn_outside_and_change_no_mask(folder: Path, tmp_path: Path) -> None:
    for kind in ("gds", "oas"):
        level = np.angle(read_back(folder, kind).banks["one"].transmittance[0, 0])
        assert np.abs(level[4, 4]) == pytest.approx(np.pi, abs=1e-6)
        assert np.count_nonzero(np.abs(level) > 1) == 1
    assert "not for making" in (folder / "manifest.json").read_text()


def test_a_lonely_pixel_is_too_small_for_a_coarse_process(folder: Path) -> None:
    """One pixel of 50 um is a gap in what is etched, or a feature: it breaks exactly one rule."""
    assert broken_rules(folder, "gds", Rules("50 um", "50 um")) == []
    found = broken_rules(folder, "gds", Rules("60 um", "60 um"))
    assert len(found) == 1 and found[0].startswith("ONE_O000_I000: ")


def test_the_command_names_what_it_finds(folder: Path) -> None:
    code, out, _ = run("rules", folder)
    assert code == 0 and "one.gds, one.oas: nothing to find fault with." in out
    code, out, _ = run("rules", folder, "--min-feature", "60 um", "--min-gap", "60 um")
    assert code == 0 and "ONE_O000_I000" in out
    code, out, error = run("rules", folder, "--min-feature", "60 um", "--min-gap", "60 um", "--strict")
    assert (code, out) == (2, "") and "rules: expected a layout that can be made, got 1 findings" in error
    code, _, error = run("rules", folder, "--profile", "pencil")
    assert code == 2 and "profile: expected one of" in error


def test_what_export_refuses_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    phase = torch.zeros(1, 1, 10, 10)
    bench = FourF(Grid((10, 10), 100 * um), 500 * nm, 100 * mm, PhaseMask(phase, levels=2))
    MaskSet({"one": bank_of(bench)}).save(tmp_path / "masks.h5")
    code, out, error = run("export", tmp_path / "masks.h5", "--to", "gds,pencil", "--out", tmp_path / "fab")
    assert (code, out, len(error.splitlines())) == (2, "", 1) and "got 'pencil'" in error
    assert not (tmp_path / "fab").exists()


def test_kernels_of_another_lab_become_masks(tmp_path: Path) -> None:
    kernels = np.random.default_rng(0).normal(size=(3, 2, 5, 5)).astype(np.float32)
    np.save(tmp_path / "kernel.npy", kernels)
    words = ["--wavelength", "532 nm", "--focal-length", "100 mm", "--shape", "16x18", "--spacing", "8 um"]
    words += ["--row-0", "top", "--convention", "correlation", "--out", tmp_path / "masks.h5"]
    code, out, error = run("import-masks", tmp_path / "kernel.npy", *words)
    assert code == 0, error
    assert "2 -> 3 masks" in out
    bank = MaskSet.load(tmp_path / "masks.h5").banks["imported"]
    # Row 0 on top: turned over, they are the kernels of a bench.
    turned = torch.from_numpy(kernels).flip(-2)
    bench = FourF(Grid((16, 18), 8 * um), 532 * nm, 100 * mm, KernelMask(turned, "correlation"))
    expected = bench.transmittance().detach().numpy()
    assert np.abs(bank.transmittance - expected).max() < 1e-6  # float32
    code, _, error = run("import-masks", tmp_path / "kernel.npy", *words[:4], "--shape", "16", *words[6:])
    assert code == 2 and "--shape: expected height x width" in error
