"""Training as a bench will show it: a camera with noise, and masks not quite where they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import sensor_preset
from optics4f.perturbation import perturbed
from optics4f.units import m, positive_si, si

from .exposure import CameraPower, behind_camera
from .sclc import SCLC


@dataclass(frozen=True)
class Disturbances:
    """What disturbs a student in training; nothing if all are empty. Quantities are strings with units.

    Attributes:
        sensor: Preset of a sensor that reads in place of the ideal pixels, for ``detected``; empty: none.
        exposure: Its exposure time [s].
        mask_shift: Shift of the masks in their plane, r.m.s. in each direction [m], drawn for every batch;
            for one bank of masks. Empty: none.
    """

    sensor: str = ""
    exposure: str = ""
    mask_shift: str = ""

    def __post_init__(self) -> None:
        if bool(self.sensor) != bool(self.exposure):
            given = f"{self.sensor!r} and {self.exposure!r}"
            raise ValueError(f"disturbances: expected a sensor with its exposure, or neither, got {given}.")
        if self.exposure:
            sensor_preset(self.sensor)
            positive_si(self.exposure, "s", "disturbances.exposure")
        if self.mask_shift and si(self.mask_shift, "m", "disturbances.mask_shift") < 0:
            raise ValueError(
                f"disturbances.mask_shift: expected a length of 0 or more, got {self.mask_shift!r}."
            )

    def __bool__(self) -> bool:
        return bool(self.sensor or self.mask_shift)


class Disturbed(nn.Module):
    """A student that in training reads what a disturbed bench gives; in evaluation it is itself.

    Batch k of a seed meets the same noise whenever it comes: k is part of the state, so that a run that goes
    on draws what it would have drawn.

    Args:
        student: ``detected`` if there is a sensor; with one bank if masks shift.
        disturbances: What disturbs it.
        seed: Of all draws.

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).

    Raises:
        ValueError: If masks shift that are not one bank, or a signed readout is to be read by one sensor.
    """

    batch: Tensor

    def __init__(self, student: SCLC, disturbances: Disturbances, seed: int) -> None:
        super().__init__()
        self.student, self.seed = student, seed
        self.register_buffer("batch", torch.zeros((), dtype=torch.long))
        self.shift = si(disturbances.mask_shift, "m", "mask_shift") if disturbances.mask_shift else 0.0
        one = isinstance(student.optics, Cascade) and len(student.optics.systems) == 1
        if self.shift and not one:
            raise ValueError(
                "disturbances.mask_shift: expected a student with one bank of masks, got others."
            )
        self.readout: nn.Module | None = None
        if disturbances.sensor:
            sensor = sensor_preset(disturbances.sensor).with_numbers(pixel_pitch=None)
            time = positive_si(disturbances.exposure, "s", "exposure")
            self.readout = behind_camera(student, sensor, time, seed, None)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        student = self.student
        if not self.training:
            calm: Tensor = student(pictures)
            return calm
        self.batch += 1
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * int(self.batch))
        field = self._optics(generator)(student.source(student.shown(pictures)))
        result: Tensor = student.back_end(self._reading(generator)(field))
        return result

    def _optics(self, generator: torch.Generator) -> nn.Module:
        optics: Any = self.student.optics
        if not self.shift:
            return self.student.optics
        down, right = (self.shift * torch.randn(2, generator=generator)).tolist()
        moved: nn.Module = perturbed(optics.systems[0], mask_shift=(down * m, right * m))
        return moved

    def _reading(self, generator: torch.Generator) -> nn.Module:
        if self.readout is None:
            own: nn.Module = self.student.readout
            return own
        camera = cast(CameraPower, cast(nn.Sequential, self.readout)[0]).camera
        camera.restart(int(torch.randint(2**31, (), generator=generator)))
        return self.readout
