"""The command line: the paper's runtime, and each bad input as one sentence with exit code 2."""

import configparser
import json
import math
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from optics4f import cli
from optics4f.calibration import SimulatedClock, StageTime
from optics4f.extras import MissingExtraError, require
from optics4f.transduction import distribution_from_dict

ROOT = Path(__file__).parents[1]


def entry_points_of_setup() -> list[EntryPoint]:
    """The commands as setup.cfg names them, so that a bare checkout has them too."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"][cli.GROUP].strip().splitlines()
    pairs = (line.split("=") for line in lines)
    return [EntryPoint(name.strip(), value.strip(), cli.GROUP) for name, value in pairs]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(cli, "entry_points", lambda group: entry_points_of_setup())
    monkeypatch.delenv("OPTICS4F_DEBUG", raising=False)
    return cli.build()


def run(app: typer.Typer, *words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def refused(app: typer.Typer, *words: object) -> str:
    """Run a command that must fail with one sentence and exit code 2, and return the sentence."""
    result = run(app, *words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("optics4f: ") and "Traceback" not in lines[0]
    return str(lines[0])


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    stages = {"back end": StageTime(fixed_ns=2e5, mu=math.log(8e4), sigma=0.3)}
    SimulatedClock(stages, seed=2).write_stamps(tmp_path / "stamps.csv", runs=100)
    return tmp_path / "stamps.csv"


def test_every_command_of_setup_is_there(app: typer.Typer) -> None:
    text = run(app, "--help").stdout
    assert all(entry.load() and f" {entry.name} " in text for entry in entry_points_of_setup())


def test_version(app: typer.Typer) -> None:
    assert run(app, "--version").stdout.split() == ["optics4f", cli.__version__]


def test_the_runtime_of_the_paper(app: typer.Typer) -> None:
    content = json.loads(run(app, "runtime", "--preset", "paper-2022", "--json").stdout)
    seconds = {stage["name"]: stage["duration"]["value"] for stage in content["stages"]}
    assert seconds["transduction"] == pytest.approx(0.32e-3, rel=1e-14)  # float64 rounding
    assert seconds["back end"] == pytest.approx(0.28e-3, rel=1e-14)
    assert content["total"]["value"] == pytest.approx(0.60e-3 + 0.4 / 299_792_458, rel=1e-14)
    assert content["missing"] == ["display", "exposure", "sensor readout", "driver and host copy"]
    assert content["summary"] in run(app, "runtime").stdout  # the preset is what one gets without options


def test_a_case_of_one_s_own(app: typer.Typer) -> None:
    words: list[object] = [
        "--channels",
        16,
        "--pixels",
        "8x8",
        "--bits",
        12,
        "--link",
        "paper_usb3",
        "--json",
    ]
    result = run(app, "runtime", "--focal-length", "100 mm", "--back-end", "0.28 ms", *words)
    total = json.loads(result.stdout)["total"]["value"]
    transfer = 16 * 8 * 8 * 12 / 2.5e9
    assert total == pytest.approx(0.4 / 299_792_458 + transfer + 0.28e-3, rel=1e-14)  # float64 rounding


OWN = ["--focal-length", "100 mm", "--channels", 16, "--pixels", "8x8", "--bits", 12]
OWN += ["--link", "paper_usb3", "--back-end", "0.28 ms"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--preset", "paper-1999"],
            "preset: expected one of paper-2022, paper-2022-complete, dmd-fast, lcos-60hz, natural-scene",
        ),
        (["--preset", "paper-2022", "--bits", 8], "expected --preset or your own case"),
        (["--bits", 8], "expected --focal-length, --channels, --pixels, --link, --back-end as well"),
        ([*OWN, "--focal-length", "100"], "focal length: expected a quantity with a unit"),
        ([*OWN, "--focal-length", "100 s"], "focal length: expected m, got 100 second"),
        ([*OWN, "--second-focal-length", "-1 mm"], "focal length: expected more than 0 m"),
        ([*OWN, "--back-end", "fast"], "back end: expected a quantity in s"),
        ([*OWN, "--back-end", "nan s"], "back end: expected a"),
        ([*OWN, "--link", "usb9"], "link: expected one of paper_usb3"),
        ([*OWN, "--pixels", "64"], "--pixels: expected height x width such as 8x8, got '64'"),
        ([*OWN, "--pixels", "0x8"], "pixels: expected a whole number above 0"),
        ([*OWN, "--bits", -1], "bits: expected a whole number above 0"),
        (["--record", "missing.json"], "missing.json: no such file or directory."),
        (["--record", "."], ".: is a directory."),
        (["--record", ROOT / "setup.cfg"], "expected a JSON file of records"),
    ],
)
def test_bad_input_to_runtime_is_one_sentence(app: typer.Typer, words: list[object], sentence: str) -> None:
    assert sentence in refused(app, "runtime", *words)


def test_an_option_typer_cannot_read_also_exits_with_2(app: typer.Typer) -> None:
    result = run(app, "runtime", "--bits", "many")
    assert result.exit_code == 2 and "Traceback" not in result.stderr


def test_timing_goes_from_stamps_to_the_budget(app: typer.Typer, stamps: Path) -> None:
    out = stamps.parent / "timing.json"
    assert run(app, "calibrate", "timing", stamps, "--out", out, "--warmup", 20).exit_code == 0
    measured = json.loads(out.read_text())["records"][0]
    assert measured["samples"] == 80
    content = json.loads(run(app, "runtime", "--record", out, "--json").stdout)
    stage = content["stages"][2]
    assert stage["distribution"] == distribution_from_dict(measured["distribution"]).to_dict()
    assert stage["duration"]["value"] == distribution_from_dict(measured["distribution"]).mean


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("stage,start_ns\n", [], "stamps.csv, line 1: expected the columns"),
        ("stage,start_ns,end_ns\na,2,1\n", [], "stamps.csv, line 2: expected end_ns not before"),
        ("stage,start_ns,end_ns\na,1,2\n", [], "a: expected at least 16 passes"),
        ("stage,start_ns,end_ns\na,1,2\n", ["--warmup", -3], "warmup: expected 0 or more"),
    ],
)
def test_bad_stamps_are_one_sentence_and_no_file(
    app: typer.Typer, tmp_path: Path, text: str, words: list[object], sentence: str
) -> None:
    path = tmp_path / "stamps.csv"
    path.write_text(text)
    assert sentence in refused(app, "calibrate", "timing", path, "--out", tmp_path / "timing.json", *words)
    assert [file.name for file in tmp_path.iterdir()] == ["stamps.csv"]


def test_a_place_that_cannot_be_written_is_one_sentence(app: typer.Typer, stamps: Path) -> None:
    assert "stamps.csv" in refused(app, "calibrate", "timing", stamps, "--out", stamps / "timing.json")


def test_an_interrupted_write_leaves_the_old_file(
    app: typer.Typer, stamps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = stamps.parent / "timing.json"
    out.write_text("old")

    def stop(draft: Path, text: str, encoding: str) -> None:
        draft.write_bytes(text[: len(text) // 2].encode())
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", stop)
    result = run(app, "calibrate", "timing", stamps, "--out", out)
    assert result.exit_code == 130
    assert result.stderr.splitlines() == ["interrupted: nothing half-written"]
    assert out.read_text() == "old"
    assert sorted(file.name for file in stamps.parent.iterdir()) == ["stamps.csv", "timing.json"]


def test_debug_shows_where_the_error_came_from(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTICS4F_DEBUG", "1")
    assert isinstance(run(app, "runtime", "--preset", "x").exception, ValueError)


def test_a_missing_extra_is_named(app: typer.Typer) -> None:
    def needs() -> None:
        require("a_library_that_is_not_there", "fab")

    app.command()(needs)
    assert refused(app, "needs") == (
        "optics4f: a_library_that_is_not_there needs the extra [fab]: pip install 'optics4f[fab]'."
    )
    with pytest.raises(MissingExtraError):
        needs()


def test_a_broken_folder_leaves_the_other_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = EntryPoint("broken", "a_library_that_is_not_there:register", cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda group: [broken, *entry_points_of_setup()])
    assert run(cli.build(), "runtime").exit_code == 0
    assert "the command 'broken' is left out" in capsys.readouterr().err


def test_help_is_fast_because_it_loads_no_torch() -> None:
    entries = [(entry.name, entry.value, entry.group) for entry in entry_points_of_setup()]
    code = (
        "import sys, optics4f; from optics4f import cli; from importlib.metadata import EntryPoint;"
        f"optics4f.__path__.append({str(ROOT)!r});"
        f"found = [EntryPoint(*e) for e in {entries!r}];"
        "cli.entry_points = lambda group: found;"
        "sys.argv = ['optics4f', '--help'];\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules or 'gdstk' in sys.modules or 'scipy.special' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "runtime" in done.stdout
