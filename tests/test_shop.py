"""Design rules of an exported layout, and other people's kernels as a mask set: functions and commands."""

import json
from pathlib import Path

import gdstk
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
from optics4f.fabrication.export import export_masks
from optics4f.fabrication.profiles import check_profile
from optics4f.fabrication.readback import read_back
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


def two_masks(folder: Path) -> Path:
    phase = torch.tensor(np.random.default_rng(3).integers(4, size=(2, 1, 10, 12)) * np.pi / 2)
    masks = PhaseMask(phase.float(), levels=4)
    bench = FourF(Grid((10, 12), 100 * um), 500 * nm, 100 * mm, masks)
    MaskSet({"two": bank_of(bench)}).save(folder / "masks.h5")
    return folder / "masks.h5"


def test_a_file_for_each_layer_is_what_oasis_mask_takes(tmp_path: Path) -> None:
    out = tmp_path / "fab"
    words = ["--to", "oas,oasis_mask", "--levels", 4, "--material", "1.5", "--marks", "--out", out]
    code, shown, error = run("export", two_masks(tmp_path), *words)
    assert code == 0, error
    document = json.loads((out / "manifest.json").read_text())
    layers = {str(row["layer"]) for row in document["banks"]["two"]["layout"]["layers"]}
    files = document["banks"]["two"]["oasis_mask"]["files"]
    assert set(files) == layers == {"1", "2", "10", "11", "12"}
    listed = {file["path"] for file in document["files"]}
    assert listed == {"two.oas", *files.values()} == {path.name for path in out.glob("*.oas")}
    whole = {cell.name: cell for cell in gdstk.read_oas(out / "two.oas").cells}
    for layer, name in files.items():
        assert check_profile(out / name, "oasis_mask") == []
        part = gdstk.read_oas(out / name)
        assert part.layers_and_datatypes() == {(int(layer), 0)}
        for cell in part.cells:
            drawn = [c.get_polygons(depth=0, layer=int(layer), datatype=0) for c in (cell, whole[cell.name])]
            difference = gdstk.boolean(*drawn, "xor", precision=1e-4) if any(drawn) else []
            # Letters have oblique edges: cut, their new corners are rounded to 1 nm. All else is the same.
            allowed = sum(p.perimeter() for p in drawn[1]) * 1e-3 if layer == "11" else 0
            assert sum(p.area() for p in difference) <= allowed
    np.testing.assert_array_equal(
        read_back(out, "oasis_mask").banks["two"].transmittance,
        read_back(out, "oas").banks["two"].transmittance,
    )
    assert broken_rules(out, "oasis_mask", Rules()) == broken_rules(out, "oas", Rules())
    code, shown, _ = run("rules", out, "--profile", "oasis_mask", "--kissing-corners")
    assert code == 0 and "two.oas: vertices" in shown and "two_L" not in shown


def test_one_altered_layer_is_named(tmp_path: Path) -> None:
    out = tmp_path / "fab"
    run("export", two_masks(tmp_path), "--to", "oasis_mask", "--material", "1.5", "--out", out)
    path = out / "two_L02.oas"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    code, _, error = run("rules", out)
    assert code == 2 and "two_L02.oas: expected SHA-256" in error


def test_the_command_fills_a_wafer(tmp_path: Path) -> None:
    """Copies stand at their size and a lane, within the circle that is left, and the masks come back."""
    out, path = tmp_path / "fab", two_masks(tmp_path)
    words = ["--to", "gds,oas,oasis_mask", "--material", "1.5", "--compact", "--out", out]
    code, _, error = run(
        "export", path, *words, "--wafer", "50 mm", "--wafer-edge", "3 mm", "--wafer-lane", "1 mm"
    )
    assert code == 0, error
    wafer = json.loads((out / "manifest.json").read_text())["banks"]["two"]["layout"]["wafer"]
    assert (wafer["diameter"], wafer["edge"], wafer["lane"]) == pytest.approx((0.05, 0.003, 0.001))
    cells = {cell.name: cell for cell in gdstk.read_oas(out / "two.oas").cells}
    copies = cells[wafer["cell"]].references
    boxes = np.array([np.ravel(copy.bounding_box()) for copy in copies]) * 1e-6
    assert len(copies) > 4 and len(np.unique(boxes, axis=0)) == len(copies)
    corners = np.hypot(*np.maximum(abs(boxes[:, :2]), abs(boxes[:, 2:])).T)
    assert corners.max() <= 0.025 - 0.003
    places = np.unique(np.round([copy.origin for copy in copies], 3)[:, 0]) * 1e-6
    steps = np.diff(places)
    # Both ends are rounded to 1 nm.
    np.testing.assert_allclose(steps, steps[0], atol=2e-9)
    assert steps[0] >= boxes[0, 2] - boxes[0, 0] + 0.001 - 2e-9
    run("export", path, "--to", "oas", "--material", "1.5", "--out", tmp_path / "plain")
    plain = read_back(tmp_path / "plain", "oas").banks["two"].transmittance
    for kind in ("gds", "oas", "oasis_mask"):
        np.testing.assert_array_equal(read_back(out, kind).banks["two"].transmittance, plain)
    code, _, error = run("export", path, *words, "--wafer", "2 mm", "--wafer-edge", "0.9 mm")
    assert code == 2 and "Wafer diameter: expected room for" in error
    code, _, error = run("export", path, *words, "--wafer", "50")
    assert code == 2 and "Wafer diameter: expected a quantity" in error
