"""Damaged GDSII and OASIS without a hash: another process reads them first; what ends it is a sentence."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import gdstk
import numpy as np
import pytest
import typer
from damage import damage
from typer.testing import CliRunner

from optics4f.cli import Commands
from optics4f.fabrication import layoutcheck, layoutprobe
from optics4f.fabrication.cli import register
from optics4f.fabrication.layoutcheck import check_readable
from optics4f.fabrication.profiles import check_profile


def library() -> Any:
    made: Any = gdstk.Library("L")
    made.add(low := gdstk.Cell("LOW"), high := gdstk.Cell("HIGH"))
    low.add(gdstk.rectangle((0, 0), (1, 2), layer=1), *gdstk.text("AF", 3, (2, 0), layer=2))
    high.add(gdstk.Reference(low, (5, 5), columns=2, rows=3, spacing=(20, 20)))
    return made


def write(path: Path, made: Any, **options: Any) -> None:
    if path.suffix == ".gds":
        made.write_gds(path, timestamp=datetime(2000, 1, 1))
    else:
        made.write_oas(path, **options)  # without a checksum unless asked for


def run(*words: object) -> tuple[int, str, str]:
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    register(app)
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("suffix", ["gds", "oas"])
def test_damage_is_refused_or_harmless(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"file.{suffix}"
    write(path, library(), compression_level=0)
    assert check_profile(path, "generic") == []

    def check(damaged: bytes, how: str) -> None:
        path.write_bytes(damaged)
        try:
            check_readable(path)
        except ValueError as error:
            text = str(error)
            assert text.startswith(f"{path}: expected a layout, got ") and "\n" not in text
        else:
            assert how == "flipped"  # nothing in the file says what its bytes should be

    damage(path.read_bytes(), check, examples=8)  # each starts a process


def test_a_checksum_sees_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "file.oas"
    write(path, library(), validation="crc32")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{path}: expected a layout, got other bytes than its checksum"):
        check_readable(path)


@pytest.mark.parametrize("compression", [0, 6])
def test_every_cut_of_oasis_is_seen(compression: int, tmp_path: Path) -> None:
    """gdstk itself reads to wherever a file was cut, and says nothing."""
    path = tmp_path / "file.oas"
    write(path, library(), compression_level=compression)
    content = path.read_bytes()
    ends = [n for n in range(len(content) + 1) if layoutprobe.is_end(content[:n][-256:])]
    assert ends == [len(content)]


@pytest.mark.parametrize("suffix", ["gds", "oas"])
@pytest.mark.parametrize("kind", ["circle", "repetition", "names", "empty"])
def test_hostile_layouts_are_refused(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"file.{suffix}"
    made = library()
    low, high = made.cells
    reason = {
        "circle": "cells that hold one another",
        "repetition": "things drawn in cell",
        "names": "two cells of one name",
        "empty": "no cell",
    }[kind]
    if kind == "circle":
        low.add(gdstk.Reference(high))
    if kind == "repetition":
        high.add(*(gdstk.Reference(low, columns=30_000, rows=30_000, spacing=(1, 1)) for _ in range(2)))
    if kind == "names":
        made.add(gdstk.Cell("HIGH"))
    if kind == "empty":
        made.remove(low, high)
    write(path, made)
    with pytest.raises(ValueError, match=f"^{path}: expected a layout, got .*{reason}"):
        check_profile(path, "generic")


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", r"ends the program that reads it \(exit -6\)"),
        ("import time; time.sleep(60)", "takes more than 2 s"),
        ("bytearray(10**12)", r"ends the program that reads it \(exit 1\)"),
        ("pass", "nothing"),
    ],
)
def test_what_ends_the_other_process_is_a_sentence(
    program: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, probe = tmp_path / "file.gds", tmp_path / "probe.py"
    write(path, library())
    probe.write_text(program)
    monkeypatch.setattr(layoutprobe, "__file__", str(probe))
    if "sleep" in program:
        monkeypatch.setattr(layoutcheck, "_SECONDS", 2)
    with pytest.raises(ValueError, match=f"^{path}: expected a layout, got .*{reason}"):
        check_readable(path)


def test_a_module_beside_the_user_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gdstk.py").write_text("raise SystemExit('run')")
    write(tmp_path / "file.gds", library())
    monkeypatch.chdir(tmp_path)
    check_readable("file.gds")
    with pytest.raises(FileNotFoundError):
        check_readable("none.gds")


def test_the_command_checks_any_file_against_a_tool(tmp_path: Path) -> None:
    path = tmp_path / "file.oas"
    write(path, library())
    code, out, _ = run("rules", path, "--profile", "heidelberg_dwl66")
    assert (code, out.strip()) == (0, "file.oas: nothing to find fault with.")
    code, out, _ = run("rules", path, "--profile", "oasis_mask")
    assert code == 0 and "file.oas: vertices: expected at most 4 vertices" in out
    path.write_bytes(path.read_bytes()[:-1])
    code, out, error = run("rules", path)
    assert (code, out) == (2, "") and error.strip().endswith("got a file that was cut: no END record.")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of memory to set")
def test_large_layouts_that_are_sound_are_read(tmp_path: Path) -> None:
    """A repetition is counted, not written out: a hundred thousand squares are no hostile file."""
    made = library()
    made.cells[1].add(gdstk.Reference(made.cells[0], columns=300, rows=300, spacing=(10, 10)))
    write(tmp_path / "file.oas", made)
    assert check_profile(tmp_path / "file.oas", "generic") == []
    assert np.prod([300, 300]) < layoutprobe.MOST
