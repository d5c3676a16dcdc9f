"""Accuracy against exposure: no worse than noiseless when long, chance when short, and nothing retrained."""

import copy
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from optics4f import plotting
from optics4f.elements import IntensityDetector, Sensor, Window
from optics4f.models.data import Split, digits
from optics4f.models.distill import label_loss
from optics4f.models.exposure import (
    ExposureCurve,
    ExposurePoint,
    accuracy_against_exposure,
    with_exposure,
)
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.train import TrainConfig, accuracy, fit
from optics4f.transduction import LatencyBudget, Stage

# Shows 16 million electrons in steps of one: up to 0.1 ms, light and readout are all the noise there is.
QUIET = Sensor(quantum_efficiency=0.6, full_well=math.inf, dark_noise=2.0, gain=1.0, bits=24)
BUDGET = LatencyBudget(
    "test", (Stage("light", "optics", "1 ns"), Stage("back end", "back_end", "1 ms", source="given"))
)


@pytest.fixture(scope="module")
def held_out() -> Split:
    return digits(8).test


def trained(readout: str) -> SCLC:
    design = StudentDesign(
        readout=readout, shape=(8, 8), channels=(1, 6), kernel_sizes=(3,), stops=(7,), pixels=7, power="1 uW"
    )
    student = SCLC(design, seed=1)
    fit(student, digits(8), label_loss, TrainConfig(epochs=3, batch_size=64, learning_rate=0.02))
    return student


@pytest.fixture(scope="module")
def detected() -> SCLC:
    return trained("detected")


@pytest.fixture(scope="module")
def strict() -> SCLC:
    return trained("strict")


def curve(
    student: SCLC, split: Split, times: list[str], sensor: Sensor = QUIET, **given: Any
) -> ExposureCurve:
    return accuracy_against_exposure(student, split.images, split.labels, times, sensor, **given)


@pytest.mark.parametrize("readout", ["detected", "strict"])
def test_long_exposures_are_noiseless_and_vanishing_ones_guess(
    readout: str, held_out: Split, request: pytest.FixtureRequest
) -> None:
    student = request.getfixturevalue(readout)
    oscillator: Any = {"oscillator_power": "1 uW"} if readout == "strict" else {}
    times = ["1 ps", "1 ns", "10 ns", "100 ns", "1 us", "100 us"]
    found = curve(student, held_out, times, seeds=range(4), **oscillator)
    assert found.ideal == accuracy(student, held_out) > 0.8
    # At 100 us a mean pixel has 1e5 electrons: noise of 0.3 %, which turns no more than a few close calls.
    assert abs(found.points[-1].mean - found.ideal) < 0.01
    # Noise is all there is: four runs of 359 guesses, and what they repeat, stay within three times 0.016.
    assert abs(found.points[0].mean - 0.1) < 0.05
    means = [point.mean for point in found.points]
    # A mean of four runs is known to about 0.01.
    assert all(later > earlier - 0.02 for earlier, later in itertools.pairwise(means))
    assert means[-1] > means[0] + 0.7


def test_noise_repeats_for_a_seed_and_differs_between_seeds(detected: SCLC, held_out: Split) -> None:
    one = curve(detected, held_out, ["30 ns"], seeds=(5, 6, 7))
    again = curve(detected, held_out, ["10 ns", "30 ns"], seeds=(7, 5))
    assert one.points[0].accuracies[0] == again.points[1].accuracies[1]
    assert one.points[0].accuracies[2] == again.points[1].accuracies[0]
    assert len(set(one.points[0].accuracies)) > 1


def test_batches_see_the_noise_of_one_camera(detected: SCLC, held_out: Split) -> None:
    """A camera goes on with its noise from batch to batch: equal pictures in two batches differ."""
    twice = Split(held_out.images[:50].repeat(2, 1, 1, 1), held_out.labels[:50].repeat(2))
    noisy = curve(detected, twice, ["30 ns"], batch_size=50, seeds=(0,)).points[0].mean
    alone = curve(detected, Split(twice.images[:50], twice.labels[:50]), ["30 ns"], seeds=(0,)).points[0].mean
    assert noisy != alone


def test_a_clipped_sensor_reads_worse(detected: SCLC, held_out: Split) -> None:
    small = QUIET.with_numbers(full_well=100.0)
    found = curve(detected, held_out, ["300 ns", "10 ms"], small, seeds=(0, 1))
    assert found.points[1].mean < found.points[0].mean - 0.3  # all pixels are full: all pictures are one


def test_the_student_is_left_as_it_is(detected: SCLC, held_out: Split) -> None:
    before = copy.deepcopy(detected.state_dict())
    detected.train()
    curve(detected, held_out, ["1 us"], seeds=(0,))
    assert detected.training and isinstance(detected.readout, IntensityDetector)
    detected.eval()
    after = detected.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)


def test_what_stands_behind_the_sensor_stays_there(detected: SCLC, held_out: Split) -> None:
    """Masks read back with a guard band have a window behind their sensor."""
    collapsed = detected.collapse()
    windowed = copy.deepcopy(collapsed)
    windowed.readout = nn.Sequential(collapsed.readout, Window((7, 7)))
    blind = copy.deepcopy(collapsed)
    blind.readout = nn.Sequential(collapsed.readout, nn.Hardshrink(1e9))
    one, other, none = (curve(s, held_out, ["1 us"], seeds=(3,)) for s in (collapsed, windowed, blind))
    assert one.points[0].accuracies == other.points[0].accuracies
    assert none.points[0].mean < 0.2 < 0.5 < one.points[0].mean  # what stands behind the sensor is kept


def test_latency_follows_the_exposure(detected: SCLC, strict: SCLC, held_out: Split) -> None:
    found = curve(detected, held_out, ["1 us", "1 ms"], budget=BUDGET, seeds=(0,))
    assert [p.latency for p in found.points] == pytest.approx([1.001001e-3, 2.000001e-3], rel=1e-12)
    both = curve(strict, held_out, ["1 ms"], budget=BUDGET, seeds=(0,), oscillator_power="1 uW")
    assert both.points[0].exposures == 2  # two ports, one after the other
    assert both.points[0].latency == pytest.approx(3.000001e-3, rel=1e-12)
    assert curve(detected, held_out, ["1 us"], seeds=(0,)).points[0].latency is None


def test_exposure_replaces_its_stage_or_stands_before_the_readout() -> None:
    put_in = with_exposure(BUDGET, "5 ms")
    assert [stage.name for stage in put_in.stages] == ["light", "exposure", "back end"]
    stages = (*BUDGET.stages[:1], Stage("shutter", "exposure", "9 s"), BUDGET.stages[1])
    replaced = with_exposure(LatencyBudget("test", stages), "5 ms")
    assert [stage.name for stage in replaced.stages] == ["light", "shutter", "back end"]
    assert replaced.total_s == put_in.total_s == pytest.approx(6.000001e-3, rel=1e-12)
    last = with_exposure(LatencyBudget("test", BUDGET.stages[:1]), "5 ms")
    assert [stage.name for stage in last.stages] == ["light", "exposure"]
    two = (Stage("a", "exposure", "1 s"), Stage("b", "exposure", "1 s"))
    with pytest.raises(ValueError, match="expected at most one stage of exposure, got a, b"):
        with_exposure(LatencyBudget("test", two), "5 ms")
    with pytest.raises(ValueError, match="exposure: expected more than 0 s"):
        with_exposure(BUDGET, "0 s")


POINTS = (
    ExposurePoint(1e-6, 1, (0.1, 0.3), 1e-3),
    ExposurePoint(1e-3, 1, (0.8, 0.9), 2e-3),
    ExposurePoint(1e-4, 1, (0.8, 0.8), 1.1e-3),
)


def test_mean_spread_and_the_shortest_exposure_that_is_enough() -> None:
    found = ExposureCurve(POINTS, 0.95, 20)
    assert found.points[0].mean == pytest.approx(0.2, rel=1e-12)
    assert found.points[0].spread == pytest.approx(math.sqrt(0.02), rel=1e-12)  # of two values, n - 1
    assert ExposurePoint(1.0, 1, (0.5,)).spread == 0
    assert found.shortest(0.8).exposure_time == 1e-4
    assert found.shortest(0.81).exposure_time == 1e-3
    with pytest.raises(ValueError, match=r"expected an accuracy of at most 0\.850, got 0\.9"):
        found.shortest(0.9)


def test_a_curve_is_json_a_table_and_a_figure() -> None:
    found = ExposureCurve(POINTS, 0.95, 20)
    content = json.loads(json.dumps(found.to_dict()))
    assert content["points"][0]["exposure_time"] == {"value": 1e-6, "unit": "s", "text": "1.0 us"}
    assert content["points"][1]["latency"]["value"] == 2e-3
    assert content["ideal_accuracy"]["value"] == 0.95
    assert found.table().row_count == 3
    assert str(found).splitlines()[0] == "1.0 us: 20.0% ± 14.1% in 1.000 ms"
    figure = plotting.show_exposure(
        [p.exposure_time for p in POINTS],
        [p.accuracies for p in POINTS],
        0.95,
        [p.latency or 0 for p in POINTS],
    )
    drawn, latencies = figure.axes
    assert np.asarray(drawn.lines[0].get_ydata()).tolist() == pytest.approx([20, 85, 80], rel=1e-12)
    assert np.asarray(latencies.lines[0].get_ydata()).tolist() == [1e-3, 2e-3, 1.1e-3]
    assert len(plotting.show_exposure([1e-3], [[0.5]]).axes) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exposures": []}, "expected exposures and seeds, got 0 and 5"),
        ({"seeds": ()}, "expected exposures and seeds, got 1 and 0"),
        ({"exposures": [1e-3]}, "exposures: expected a quantity"),
        ({"exposures": ["0 s"]}, "exposures: expected more than 0 s"),
        ({"labels": torch.zeros(2).long()}, "expected one label for each picture, got 2 and 3"),
        ({"oscillator_power": "1 mW"}, "expected no oscillator for a detected student"),
        ({"sensor": QUIET.with_numbers(pixel_pitch="3.45 um")}, "Camera: expected pixels of 3.45 um"),
    ],
)
def test_bad_input_is_refused(detected: SCLC, changes: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "student": detected,
        "pictures": torch.rand(3, 1, 8, 8),
        "labels": torch.zeros(3).long(),
        "exposures": ["1 us"],
        "sensor": QUIET,
    }
    with pytest.raises((TypeError, ValueError), match=words):
        accuracy_against_exposure(**(given | changes))


def test_a_readout_that_is_no_ideal_one_is_refused(detected: SCLC, strict: SCLC, held_out: Split) -> None:
    with pytest.raises(ValueError, match="expected an oscillator_power for a strict student"):
        curve(strict, held_out, ["1 us"])
    other = copy.deepcopy(detected)
    other.readout = Odd(other.readout.grid, other.readout.pixel_grid)
    with pytest.raises(ValueError, match="expected an ideal readout, got Odd"):
        curve(other, held_out, ["1 us"])


class Odd(nn.Module):
    """A readout that nobody knows."""

    def __init__(self, grid: Any, pixel_grid: Any) -> None:
        super().__init__()
        self.grid, self.pixel_grid = grid, pixel_grid

    def forward(self, field: Tensor) -> Tensor:
        return field.abs()
