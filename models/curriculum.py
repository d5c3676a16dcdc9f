"""From a trained student to one that can be made, one constraint of the hardware after another."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optics4f.cascade import Cascade
from optics4f.functional import power

from .constrain import with_complex, with_masks, with_phase
from .data import Split
from .designconfig import Noise
from .process_draws import JUDGING, made_device, relief_bank
from .sclc import SCLC
from .train import accuracy

BATCH = 256


@dataclass(frozen=True)
class Judged:
    """What a student does on a split.

    Attributes:
        accuracy: With the masks as drawn.
        made: With the masks of each device that a process makes; empty where they are no relief.
        efficiency: Share of the light behind the source that reaches the output plane.
    """

    accuracy: float
    made: tuple[float, ...]
    efficiency: float


def complex_student(student: SCLC, pictures: Tensor, masks: int = 0) -> SCLC:
    r"""A student with one bank of trainable complex masks and a back end that standardises.

    Nothing changes but rounding, unless ``masks`` is below the rank of T(nu): then the back end sees the
    field of the best approximation.

    Args:
        student: With a cascade, or one bank; trained.
        pictures: Whose moments the standardisation holds; they do not change the logits.
        masks: Number of physical masks per input channel; 0: one for each output channel.

    Raises:
        ValueError: If there are too many masks.
    """
    plain = student.collapse() if isinstance(student.optics, Cascade) else student
    optics, gain = with_complex(plain.optics, masks)
    made = plain.with_optics(optics).eval()
    made.back_end.get_buffer("gain").div_(gain**2 if made.design.readout == "detected" else gain)
    return _standardised(made, pictures)


def constrained(student: SCLC, stage: str, levels: int, pictures: Tensor) -> SCLC:
    """A copy under the constraint of a stage, before it is trained.

    Phases are kept and amplitudes given up, or phases rounded. Then the gain is set and every channel
    standardised anew on the pictures, without labels, as a bench is calibrated; the weights stay.

    Args:
        student: As the stage before left it.
        stage: One of complex, phase, levels and fabrication.
        levels: Height levels of the relief.
        pictures: Of the training split.

    Raises:
        ValueError: If the stop is even, which leaves a dark edge that a relief has not.
    """
    if stage == "complex":
        return copy.deepcopy(student)
    wanted = None if stage == "phase" else levels
    if getattr(_masks(student), "levels", 0) == wanted:
        return copy.deepcopy(student)  # nothing changes, and no calibration is due
    made = student.with_optics(with_phase(student.optics, wanted)).eval()
    made.set_gain()
    mean, variance = _moments(made, pictures)
    norm: Any = made.back_end.standardise
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    return made


def judged(student: SCLC, split: Split, noise: Noise, levels: int, seed: int) -> Judged:
    """Accuracy as drawn and on devices with errors, and the light that comes through.

    Args:
        student: With one bank of masks.
        split: Pictures and labels.
        noise: Errors of the devices.
        levels: Height levels of the relief; continuous phases are rounded to them before they are made.
        seed: Of the devices; the same for every student.
    """
    made = tuple(accuracy(device, split) for device in devices(student, noise, levels, seed))
    return Judged(accuracy(student, split), made, efficiency(student, split.images))


def devices(student: SCLC, noise: Noise, levels: int, seed: int) -> Iterator[SCLC]:
    """The student with the masks of one device after another; none where the masks are no relief."""
    if not hasattr(_masks(student), "levels"):
        return
    drawn = relief_bank(student)
    for index in range(noise.draws):
        yield with_masks(student, made_device(drawn, noise, levels, (seed, JUDGING, index))).to(
            student.back_end.linear.weight.device
        )


def efficiency(student: SCLC, pictures: Tensor) -> float:
    """Share of the light behind the source that reaches the output plane, over all pictures."""
    source: Any = student.source
    optics: Any = student.optics
    areas = [grid.spacing[0] * grid.spacing[1] for grid in (source.grid, optics.output_grid)]
    total = torch.zeros(2, dtype=torch.float64)
    with torch.inference_mode():
        for part in pictures.split(BATCH):
            field = source(part)
            for i, plane in enumerate((field, optics(field))):
                total[i] += float(power(plane, areas[i]).sum())
    return float(total[1] / total[0])


def field_error(before: SCLC, after: SCLC, pictures: Tensor) -> float:
    r"""R.m.s. error of the output field, after the best common factor c: :math:`|U - c U'| / |U|`.

    Args:
        before: The student whose field U is wanted.
        after: The student whose field U' is had.
        pictures: Over which both are summed.
    """
    products = torch.zeros(2, dtype=torch.complex128)
    missed = torch.zeros(2, dtype=torch.float64)
    with torch.inference_mode():
        for wanted, had in _fields(before, after, pictures):
            products += torch.stack([(had.conj() * wanted).sum(), (had.conj() * had).sum()]).cpu()
        factor = products[0] / products[1]
        for wanted, had in _fields(before, after, pictures):
            error = wanted - factor.to(had.device) * had
            missed += torch.stack([error.abs().square().sum(), wanted.abs().square().sum()]).cpu()
    return float((missed[0] / missed[1]).sqrt())


def _fields(before: SCLC, after: SCLC, pictures: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for part in pictures.split(BATCH):
        field = before.source(part)
        yield before.optics(field).to(torch.complex128), after.optics(field).to(torch.complex128)


def _masks(student: SCLC) -> Any:
    optics: Any = student.optics
    return getattr(optics, "bench", optics).masks


def _standardised(student: SCLC, pictures: Tensor) -> SCLC:
    """The same map with a back end that standardises, so that it can be trained; the inverse of folding."""
    folded = student.back_end
    if not isinstance(folded.standardise, torch.nn.Identity):
        return student
    mean, variance = _moments(student, pictures)
    norm: Any = torch.nn.BatchNorm2d(len(mean), affine=False).to(folded.linear.weight)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    weight = folded.linear.weight.detach().double().unflatten(1, (len(mean), -1))
    bias = folded.linear.bias.detach().double() + (weight * mean[:, None]).sum((1, 2))
    weight = weight * (variance + norm.eps).sqrt()[:, None]
    folded.standardise = norm.eval()
    folded.linear.weight.data = weight.flatten(1).to(folded.linear.weight)
    folded.linear.bias.data = bias.to(folded.linear.bias)
    return student


def _moments(student: SCLC, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel behind gain and companding, in float64, shape (C,)."""
    moments = torch.zeros(2, student.design.channels[-1], dtype=torch.float64, device=pictures.device)
    count = 0
    with torch.no_grad():
        for part in pictures.split(BATCH):
            signal = student.back_end.companded(student.signal(part)).double()
            moments += torch.stack([signal.sum((0, 2, 3)), signal.square().sum((0, 2, 3))])
            count += signal[:, 0].numel()
    mean, square = moments / count
    return mean, (square - mean.square()).clamp(min=0)
