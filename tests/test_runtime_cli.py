"""``optics4f runtime``: configurations, cases compared, sweeps, pictures, a sentence for what is wrong."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from matplotlib.figure import Figure
from typer.testing import CliRunner

from optics4f import plotting
from optics4f.cli import Commands
from optics4f.transduction import changes, cli, load_case, preset, preset_case, sweep
from optics4f.transduction.catalogue import shipped
from optics4f.transduction.sweep import Sweep

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "examples" / "runtime.toml"


def draw(what: Any, path: Path) -> None:
    figure = plotting.show_sweep(what) if isinstance(what, Sweep) else plotting.show_waterfall(what)
    plotting.save(figure, path)


def app(hooks: cli.Hooks | None = None) -> typer.Typer:
    made = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    made.callback()(lambda: None)
    cli.register(made, hooks)
    return made


def run(*words: object, hooks: cli.Hooks | None = None) -> Any:
    return CliRunner().invoke(app(hooks), ["runtime", *map(str, words)])


def printed(*words: object, hooks: cli.Hooks | None = None) -> str:
    result = run(*words, hooks=hooks)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def refused(*words: object, hooks: cli.Hooks | None = None) -> str:
    result = run(*words, hooks=hooks)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    return str(result.stderr)


def test_a_configuration_gives_percentiles_and_advice() -> None:
    content = json.loads(printed(CONFIG, "--json"))
    budget = load_case(CONFIG).budget()
    assert content["percentiles"]["p99"]["value"] == budget.p(99)
    text = printed(CONFIG)
    assert budget.note in text and "Next best change, " in text and "p99" in text
    assert "  sensor readout: imx250_12bit: Teledyne DALSA" in text


@pytest.mark.parametrize(
    "name", ["paper-2022", "paper-2022-complete", "dmd-fast", "lcos-60hz", "natural-scene"]
)
def test_every_preset_is_printed(name: str) -> None:
    content = json.loads(printed("--preset", name, "--json"))
    assert content["total"]["value"] == preset(name).total_s


def test_the_paper_s_number_stands_beside_ours() -> None:
    assert "total 0.600 ms (the paper prints 0.61)" in printed("--preset", "paper-2022")


def test_cases_are_compared() -> None:
    words = ("--preset", "paper-2022", "--compare", "natural-scene", "--compare", CONFIG)
    content = json.loads(printed(*words, "--json"))
    assert [other["name"] for other in content["compared"]] == ["natural-scene", "bench on table 3"]
    assert "Compared" in printed(*words)


def test_a_sweep_is_a_table_and_json_with_curves_of_others() -> None:
    hooks = cli.Hooks(curves=lambda: {"AlexNet": lambda side: 1e-6 * side})
    words = ("--preset", "paper-2022", "--sweep", "input=32..128")
    content = json.loads(printed(*words, "--json", hooks=hooks))
    own = sweep(preset_case("paper-2022"), "input=32..128").curves["paper-2022"]
    assert content["curves"]["paper-2022"]["value"] == own
    assert content["curves"]["AlexNet"]["value"] == pytest.approx([32e-6, 64e-6, 128e-6], rel=1e-15)
    assert "AlexNet" in printed(*words, hooks=hooks)
    timed = printed(CONFIG, "--sweep", "exposure=1us..1ms", hooks=hooks)
    assert "31.6 us" in timed and "AlexNet" not in timed  # a network has no exposure


def test_pictures_are_written(tmp_path: Path) -> None:
    hooks = cli.Hooks(draw=draw)
    printed(CONFIG, "--compare", "paper-2022", "--plot", tmp_path / "a.png", hooks=hooks)
    printed(CONFIG, "--sweep", "input=32..64", "--plot", tmp_path / "b.png", hooks=hooks)
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "--plot: expected a command that can draw" in refused(CONFIG, "--plot", tmp_path / "c.png")
    assert "a.png" in refused(CONFIG, "--plot", tmp_path / "a.png" / "c.png", hooks=hooks)


def test_own_devices_are_found(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[links.mine]\nrate = { value = "8 Gbit/s", source = "data sheet", verified = true }\n')
    words = ["--focal-length", "100 mm", "--channels", 1, "--pixels", "1000x1000", "--bits", 8]
    words += ["--link", "mine", "--back-end", "1 ms", "--catalogue", mine]
    content = json.loads(printed(*words, "--json"))
    assert content["stages"][1]["duration"]["value"] == pytest.approx(1e-3, rel=1e-14)  # rounding
    case = preset_case("paper-2022", shipped().with_file(mine))
    assert "mine as link" in [change.what for change in changes(case)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            [CONFIG, "--preset", "paper-2022"],
            "expected a configuration alone, got a configuration and --preset",
        ),
        ([CONFIG, "--bits", 8], "expected a configuration alone, got a configuration and --bits"),
        (["none.toml"], "none.toml: no such file or directory"),
        ([ROOT / "README.md"], "README.md: expected a configuration in TOML, got unreadable text"),
        ([CONFIG, "--compare", "x"], "preset: expected one of paper-2022, "),
        ([CONFIG, "--sweep", "x"], "sweep: expected input=32..1024 or exposure=1us..1ms, got 'x'"),
        ([CONFIG, "--sweep", "input=1..2", "--compare", "paper-2022"], "expected --sweep alone"),
        ([CONFIG, "--record", ROOT / "setup.cfg"], "expected a JSON file of records"),
        ([CONFIG, "--catalogue", ROOT / "setup.cfg"], "expected a catalogue in TOML"),
        ([CONFIG, "--catalogue", CONFIG], "expected keys among links, displays, sensors, back_ends"),
    ],
)
def test_bad_input_is_one_sentence(words: list[object], sentence: str) -> None:
    assert sentence in refused(*words)


def test_the_waterfall_draws_a_bar_for_each_stage_where_the_one_before_ends() -> None:
    budget = preset("natural-scene")
    figure = plotting.show_waterfall([budget])
    axes: list[Any] = figure.get_axes()
    bars, below = axes
    drawn = [patch for patch in bars.patches if patch.get_width() > 0]
    assert len(drawn) == len(budget.stages)
    scale = 1e-3  # a total of milliseconds is drawn in ms
    for patch, stage in zip(drawn, budget.stages, strict=True):
        assert patch.get_width() == pytest.approx(stage.duration / scale, abs=1e-9)  # rounding of sums
    for before, after in pairwise(drawn):
        assert before.get_x() + before.get_width() == pytest.approx(after.get_x(), abs=1e-9)
    lines = {round(float(line.get_xdata()[1]), 6) for line in below.get_lines()}
    assert {round(budget.p(p) / scale, 6) for p in (50, 90, 99)} <= lines


def test_the_picture_of_a_sweep_has_the_numbers_of_the_sweep() -> None:
    found = sweep(preset_case("paper-2022"), "input=32..256", {"CNN": lambda side: 1e-6 * side**2})
    figure: Figure = plotting.show_sweep(found)
    lines: list[Any] = figure.get_axes()[0].get_lines()
    for line, times in zip(lines, found.curves.values(), strict=True):
        assert list(line.get_xdata()) == found.values
        assert list(line.get_ydata()) == pytest.approx([1e3 * t for t in times], rel=1e-14)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[link]\nrate = "-1 Gbit/s"\npayload = "1 kB"\n', "line 2: [link] rate: expected more than 0 bit/s"),
        ('[link]\nrate = "1 Gbit/s"\npayload = "1 kb"\n', "line 3: [link] payload: expected"),
        (
            "[sensor]\nbits = 8\nregion = [0, 224]\n[link]\n",
            "line 3: [sensor] region: expected [rows, columns]",
        ),
        ("[sensor]\nexposure = 100\n", "line 2: [sensor] exposure: expected a quantity with a unit"),
    ],
)
def test_a_bad_configuration_is_one_sentence_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(text + ('device = "paper_usb3"\n' if text.endswith("[link]\n") else ""))
    assert sentence in refused(path)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    names = "paper-2022, paper-2022-complete, dmd-fast, lcos-60hz, natural-scene"
    assert f"preset: expected one of {names}, got 'paper-1999'." in refused("--preset", "paper-1999")
