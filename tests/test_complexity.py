"""Times of layers: exponents that are found again, layers that compute the same, times kept and read."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from optics4f.models.cli import register
from optics4f.models.experiments import complexity
from optics4f.models.experiments.complexity import LAWS, ROWS, Setting, claimed_exponent, exponent
from optics4f.models.experiments.record import Options, read
from optics4f.transduction.measurement import take_turns


def commands(*words: str) -> Any:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, 2.5])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    """Least squares through points on a line: exact up to the rounding of logarithms."""
    sizes = Setting().sizes
    found = exponent(sizes, [3e-6 * n**power for n in sizes])
    assert found.value == pytest.approx(power, abs=1e-12)
    assert found.error < 1e-12


def test_an_exact_law_has_its_own_exponent() -> None:
    """t = a N^2 log N^2 and the claim O(HW log(HW)) are one curve: equal up to rounding, and above 2."""
    sizes = [n for n in Setting().sizes if n >= 128]
    found = exponent(sizes, [7e-9 * n**2 * math.log(n**2) for n in sizes])
    assert found.value == pytest.approx(claimed_exponent("O(HW log(HW))", sizes, 5), abs=1e-12)
    # d log(N^2 log N^2) / d log N = 2 + 1 / log N, somewhere between the ends.
    assert 2 + 1 / math.log(1024) < found.value < 2 + 1 / math.log(128)
    assert found.error > 1e-4  # it is no power law
    for claim, power in (("O(HWk²)", 2.0), ("O(k² log(k²))", 0.0), ("O(1)", 0.0)):
        assert claimed_exponent(claim, sizes, 5) == pytest.approx(power, abs=1e-12)


def test_the_standard_error_of_an_exponent_by_hand() -> None:
    """x = -1, 0, 1 and y = -1, 0.5, 1 in units of log 2: slope 1, residuals -1/6, 1/3, -1/6, so
    s^2 = (1/36 + 1/9 + 1/36) / 1 = 1/6 and the error is sqrt(1/6 / 2)."""
    found = exponent([0.5, 1, 2], [0.5, 2**0.5, 2])
    assert found.value == pytest.approx(1, abs=1e-12)
    assert found.error == pytest.approx(math.sqrt(1 / 12), rel=1e-12)


@pytest.mark.parametrize(("sizes", "times"), [([1, 2], [1, 2]), ([1, 2, 4], [1, 2]), ([1, 2, 4], [0, 1, 2])])
def test_an_exponent_needs_three_points(sizes: list[float], times: list[float]) -> None:
    with pytest.raises(ValueError, match="exponent: expected three or more sizes and times above 0"):
        exponent(sizes, times)


def test_the_layers_that_are_timed_compute_the_same() -> None:
    """Inside the picture, where conv2d's zeros and the circular plane do not meet, up to float32 rounding."""
    what = Setting(inputs=2, outputs=3, kernel=3, masks=2, stop=5)
    calls = complexity.convolutions(16, what)
    plane, image = calls["SCLC, FFT, masks, inverse FFT"](), calls["CNN, conv2d"]()
    upright = plane.flip((-2, -1)).roll((1, 1), (-2, -1))  # two lenses invert, about sample n // 2
    ratio = upright.real[..., 2:-2, 2:-2] / image[..., 2:-2, 2:-2]
    assert ratio.std() / ratio.mean().abs() < 1e-3
    pools = complexity.poolings(16, what)
    view, written = pools["SCLC, crop as a view"](), pools["SCLC, crop written out"]()
    assert torch.equal(view[..., 1:, 1:], written[..., 1:, 1:])  # row and column 0 are the unpaired edge


@pytest.fixture
def few_sizes(monkeypatch: pytest.MonkeyPatch) -> Setting:
    what = Setting(2, 3, 3, masks=2, stop=5, sizes=(16, 24, 32, 48), fit_from=16, seconds=0.0, turn=0.0)
    monkeypatch.setattr(complexity, "setting", lambda options: what)
    return what


def test_table1_and_fig3_show_the_same_times(tmp_path: Path, few_sizes: Setting) -> None:
    """The second one reads what the first has measured."""
    words = ("--out", str(tmp_path / "out"), "--runs", str(tmp_path / "runs"))
    for name in ("table1", "fig3"):
        result = commands("paper", name, *words)
        assert result.exit_code == 0, result.output
    table, figure = (read(tmp_path / "out" / f"{name}.json") for name in ("table1", "fig3"))
    assert table.data["seconds"] == figure.data["seconds"]
    assert list(table.data["seconds"]) == [str(n) for n in few_sizes.sizes]
    assert table.data["claimed_exponents"] == pytest.approx(
        {claim: claimed_exponent(claim, few_sizes.sizes, 3) for claim in LAWS}
    )
    assert [row[1] for row in table.tables[0].rows] == [row.claim or "-" for row in ROWS]
    for row in ROWS:
        times = [seconds[row.name] for seconds in table.data["seconds"].values()]
        assert table.data["exponents"][row.name]["value"] == exponent(few_sizes.sizes, times).value
    assert (tmp_path / "out" / "fig3.png").stat().st_size > 0


def test_times_of_other_settings_are_measured_anew(
    tmp_path: Path, few_sizes: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    measure: Callable[[int, Setting], dict[str, float]] = complexity.of_side

    def counted(n: int, what: Setting) -> dict[str, float]:
        asked.append(n)
        return measure(n, what)

    monkeypatch.setattr(complexity, "of_side", counted)
    options = Options(runs=tmp_path)
    _, times = complexity.measured(options)
    assert complexity.measured(options)[1] == times and len(asked) == 4
    content = json.loads((tmp_path / complexity.FILE).read_text())
    assert content["setting"] == json.loads(json.dumps(asdict(few_sizes)))
    monkeypatch.setattr(complexity, "setting", lambda options: replace(few_sizes, outputs=4))
    complexity.measured(options)
    assert len(asked) == 8


def test_an_interrupted_measurement_goes_on(
    tmp_path: Path, few_sizes: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def stops(n: int, what: Setting) -> dict[str, float]:
        asked.append(n)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {row.name: n * 1e-6 for row in ROWS if row.measured}

    monkeypatch.setattr(complexity, "of_side", stops)
    with pytest.raises(KeyboardInterrupt):
        complexity.measured(Options(runs=tmp_path))
    _, times = complexity.measured(Options(runs=tmp_path))
    assert asked == [16, 24, 32, 32, 48] and list(times) == [16, 24, 32, 48]


def test_the_optical_estimate_is_the_papers_case() -> None:
    """At 224: 4 x 100 mm at the speed of light; 224^2 x 16 bit at 2500 Mbit/s; 0.28 ms of back end."""
    found = complexity.optical(224)
    light = 0.4 / 299792458
    assert found[complexity.LIGHT] == pytest.approx(light, rel=1e-12)
    assert found[complexity.OPTICAL] == pytest.approx(light + 224**2 * 16 / 2500e6 + 0.28e-3, rel=1e-9)


def test_turns_are_taken_in_order_and_short_calls_are_repeated() -> None:
    """By a clock that stands still but for the calls themselves: 1 s and 0.25 s each."""
    now, order = [0.0], []

    def call(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            now[0] += seconds

        return run

    calls = {"long": call("long", 1.0), "short": call("short", 0.25)}
    found = take_turns(calls, seconds=0.0, clock=lambda: now[0], turn=0.5)
    assert found == {"long": [1.0] * 5, "short": [0.25] * 5}
    assert order == ["long"] * 2 + ["short"] * 2 + ["long", "short", "short"] * 5
    with pytest.raises(ValueError, match="take_turns: expected at least one call, got none"):
        take_turns({}, 1.0)
