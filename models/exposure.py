"""Accuracy against exposure time against latency: a trained student behind a camera with noise."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from optics4f.elements import Camera, HomodyneReadout, IntensityDetector, Sensor, sensor_preset
from optics4f.elements.readout import BalancedHomodyne
from optics4f.transduction import KINDS, LatencyBudget, Stage, time_text
from optics4f.units import Quantity, positive_si

from .sclc import SCLC

if TYPE_CHECKING:
    from rich.table import Table


class CameraPower(nn.Module):
    """The power that a camera's frame stands for [W]: a camera in the place of an ideal detector.

    Args:
        camera: What looks at the light.

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, p_y, p_x) real [W].
    """

    def __init__(self, camera: Camera) -> None:
        super().__init__()
        self.camera = camera

    def forward(self, field: Tensor) -> Tensor:
        """Power on every pixel, with the noise of the frame."""
        return self.camera.power(field)


@dataclass(frozen=True)
class ExposurePoint:
    """What one exposure time gives.

    Attributes:
        exposure_time: Of one exposure [s].
        exposures: For one inference, one after the other.
        accuracies: One for each seed of the noise.
        latency: Of one inference [s]; None without a budget.
    """

    exposure_time: float
    exposures: int
    accuracies: tuple[float, ...]
    latency: float | None = None

    @property
    def mean(self) -> float:
        """Mean accuracy over the seeds."""
        return statistics.fmean(self.accuracies)

    @property
    def spread(self) -> float:
        """Standard deviation over the seeds; 0 for one seed."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The point with value, unit and text of each number, ready for JSON."""
        return {
            "exposure_time": _time(self.exposure_time),
            "exposures": _plain(self.exposures),
            "accuracy": _plain(self.mean),
            "spread": _plain(self.spread),
            "accuracies": {"value": list(self.accuracies), "unit": "1"},
            "latency": None if self.latency is None else _time(self.latency),
        }


@dataclass(frozen=True)
class ExposureCurve:
    """Accuracy against exposure time; ``print`` it for a line each.

    Attributes:
        points: In the order of the exposure times that were given.
        ideal: Accuracy of the student as it was trained, with its ideal readout.
        pictures: How many were named.
    """

    points: tuple[ExposurePoint, ...]
    ideal: float
    pictures: int

    def shortest(self, accuracy: float) -> ExposurePoint:
        """The shortest exposure whose mean accuracy is at least this.

        Raises:
            ValueError: If there is none.
        """
        enough = [point for point in self.points if point.mean >= accuracy]
        if not enough:
            best = max(point.mean for point in self.points)
            raise ValueError(f"shortest: expected an accuracy of at most {best:.3f}, got {accuracy}.")
        return min(enough, key=lambda point: point.exposure_time)

    def to_dict(self) -> dict[str, Any]:
        """The curve with value, unit and text of each number, ready for JSON."""
        return {
            "points": [point.to_dict() for point in self.points],
            "ideal_accuracy": _plain(self.ideal),
            "pictures": _plain(self.pictures),
        }

    def table(self) -> Table:
        """A Rich table: exposure, accuracy with its spread over noise, latency."""
        from rich.table import Table

        table = Table(title=f"Accuracy on {self.pictures} pictures; {self.ideal:.1%} without noise")
        for heading in ("exposure", "accuracy", "spread", "latency"):
            table.add_column(heading, justify="right", no_wrap=True)
        for point in self.points:
            latency = "" if point.latency is None else time_text(point.latency)
            count = f"{point.exposures} x " if point.exposures > 1 else ""
            time = count + time_text(point.exposure_time)
            table.add_row(time, f"{point.mean:.1%}", f"{point.spread:.1%}", latency)
        return table

    def __str__(self) -> str:
        lines = [
            f"{time_text(p.exposure_time)}: {p.mean:.1%} ± {p.spread:.1%}"
            + ("" if p.latency is None else f" in {time_text(p.latency)}")
            for p in self.points
        ]
        return "\n".join((*lines, f"without noise: {self.ideal:.1%}"))


def accuracy_against_exposure(
    student: SCLC,
    pictures: Tensor,
    labels: Tensor,
    exposures: Sequence[Any],
    sensor: Sensor | str,
    budget: LatencyBudget | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    oscillator_power: Any = None,
    batch_size: int = 256,
) -> ExposureCurve:
    """Put a camera behind a trained student, and name pictures at every exposure time.

    The optics, the electronic gain and the back end stay as they were trained. A detected student reads the
    power that a frame stands for, a strict one the difference of two frames with a local oscillator, the two
    ports of a beam splitter one after the other. Saturation, rounding and the fixed pattern of the sensor are
    in it: a curve may fall again where pixels are clipped.

    Args:
        student: Trained; it is left as it is.
        pictures: (B, C_in, H, W) in [0, 1].
        labels: (B,), whole numbers.
        exposures: Exposure times [s], as quantities or strings.
        sensor: Its numbers, or the name of a preset. Pixels of the student that stand for many pixels of the
            sensor need a sensor without a pitch, ``sensor.with_numbers(pixel_pitch=None)``.
        budget: Of the latency; its exposure is replaced, or put in where it has none.
        seeds: Of the noise, one run of all pictures for each.
        oscillator_power: Of the local oscillator over the whole output plane [W]; for a strict student alone.
        batch_size: Pictures at once.

    Raises:
        TypeError: If an exposure time or power has no unit.
        ValueError: If there is no exposure, no seed or no picture, labels and pictures differ in number, a
            strict student has no oscillator or a detected one has one, or the sensor's pixels do not fit.
    """
    times = [positive_si(time, "s", "accuracy_against_exposure exposures") for time in exposures]
    _check(times, seeds, pictures, labels)
    found = sensor_preset(sensor) if isinstance(sensor, str) else sensor
    student = copy.deepcopy(student).eval()
    readouts = {
        (time, seed): behind_camera(student, found, time, seed, oscillator_power).eval()
        for time in dict.fromkeys(times)
        for seed in dict.fromkeys(seeds)
    }
    right = dict.fromkeys(readouts, 0)
    ideal = 0
    with torch.inference_mode():
        for batch, truth in zip(
            torch.split(pictures, batch_size), torch.split(labels, batch_size), strict=True
        ):
            field = student.optics(student.source(batch))
            ideal += _right(student, student.readout(field), truth)
            for key, readout in readouts.items():
                right[key] += _right(student, readout(field), truth)
    count = 2 if student.design.readout == "strict" else 1
    points = (
        ExposurePoint(
            time,
            count,
            tuple(right[time, seed] / len(labels) for seed in seeds),
            None if budget is None else with_exposure(budget, Quantity(count * time, "s")).total_s,
        )
        for time in times
    )
    return ExposureCurve(tuple(points), ideal / len(labels), len(labels))


def with_exposure(budget: LatencyBudget, exposure: Any) -> LatencyBudget:
    """A budget with this time of exposure in place of its own, or put in where light becomes electrons.

    Args:
        budget: Any budget.
        exposure: All exposures of one inference together [s], as a quantity or string.

    Raises:
        TypeError: If the time has no unit.
        ValueError: If it is not above 0, or the budget has several stages of exposure.
    """
    own = [stage for stage in budget.stages if stage.kind == "exposure"]
    if len(own) > 1:
        names = ", ".join(stage.name for stage in own)
        raise ValueError(f"with_exposure: expected at most one stage of exposure, got {names}.")
    name = own[0].name if own else "exposure"
    new = Stage(name, "exposure", Quantity(positive_si(exposure, "s", "exposure"), "s"), source="given")
    if own:
        stages = [new if stage is own[0] else stage for stage in budget.stages]
    else:
        order = list(KINDS)
        before = [order.index(stage.kind) < order.index("exposure") for stage in budget.stages]
        place = before.index(False) if False in before else len(before)
        stages = [*budget.stages[:place], new, *budget.stages[place:]]
    return replace(budget, stages=tuple(stages))


def behind_camera(student: SCLC, sensor: Sensor, time: float, seed: int, oscillator: Any) -> nn.Module:
    """The student's readout with a camera in place of its ideal pixels."""
    # Read-back masks with a guard band have a larger sensor, of which the middle is kept.
    parts = list(student.readout) if isinstance(student.readout, nn.Sequential) else [student.readout]
    inner: Any = parts[0]
    wavelength = student.design.wavelength
    camera = Camera(inner.grid, inner.pixel_grid.shape, sensor, wavelength, Quantity(time, "s"), seed).to(
        student.back_end.linear.weight.device
    )
    readout: nn.Module
    if isinstance(inner, IntensityDetector):
        if oscillator is not None:
            raise ValueError("accuracy_against_exposure: expected no oscillator for a detected student.")
        readout = CameraPower(camera)
    elif isinstance(inner, HomodyneReadout):
        if oscillator is None:
            raise ValueError("accuracy_against_exposure: expected an oscillator_power for a strict student.")
        readout = BalancedHomodyne(camera, oscillator, inner.phase)
    else:
        raise ValueError(f"accuracy_against_exposure: expected an ideal readout, got {type(inner).__name__}.")
    return nn.Sequential(readout, *parts[1:])


def _right(student: SCLC, signal: Tensor, labels: Tensor) -> int:
    return int((student.back_end(signal).argmax(1) == labels).sum())


def _check(times: list[float], seeds: Sequence[int], pictures: Tensor, labels: Tensor) -> None:
    if not times or not seeds:
        raise ValueError(
            f"accuracy_against_exposure: expected exposures and seeds, got {len(times)} and {len(seeds)}."
        )
    if len(labels) < 1 or len(labels) != len(pictures):
        raise ValueError(
            f"accuracy_against_exposure: expected one label for each picture, got {len(labels)} and "
            f"{len(pictures)}."
        )


def _plain(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "1", "text": f"{value:.6g}"}


def _time(value: float) -> dict[str, Any]:
    return {"value": value, "unit": "s", "text": time_text(value)}
