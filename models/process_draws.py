"""Devices as a process makes them, one after another: masks with errors drawn anew for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optics4f.fabrication.bank import MaskBankData
from optics4f.fabrication.bench import bank_of
from optics4f.fabrication.errors import ProcessErrors, fabricated
from optics4f.passage import kernel_of, passage

from .designconfig import Noise
from .fewer_masks import MixedBench
from .sclc import SCLC

TRAINING, JUDGING = 1, 2  # streams of random numbers: no device is both trained and judged with


def device_errors(noise: Noise, seed: tuple[int, ...]) -> ProcessErrors:
    """What goes wrong with one device: its etch depths, and the seed of its overlay.

    Args:
        noise: Sizes of the errors.
        seed: Of this device.
    """
    random = np.random.default_rng(seed)
    # The limit is five standard deviations of the largest noise that is taken.
    etch = max(noise.etch * random.normal(), -0.99)
    return ProcessErrors(float(etch), noise.shift, 0 * noise.shift, seed=int(random.integers(2**32)))


def made_device(bank: MaskBankData, noise: Noise, levels: int, seed: tuple[int, ...]) -> MaskBankData:
    r"""The masks of one device: :func:`~optics4f.fabrication.errors.fabricated`, and a phase error per pixel.

    Args:
        bank: Phase-only masks as drawn.
        noise: Sizes of the errors.
        levels: Height levels of the relief.
        seed: Of this device.
    """
    made = fabricated(bank, device_errors(noise, seed), levels)
    if not noise.phase_error:
        return made
    error = np.random.default_rng((*seed, 1)).normal(size=made.transmittance.shape) * noise.phase_error
    return replace(made, transmittance=made.transmittance * np.exp(1j * error))


class Made(nn.Module):
    r"""A student in training, its masks made anew in each step; in evaluation it is as drawn.

    .. math:: T = c\, t\, r, \qquad r = t_{made} / t

    The ratio r of the masks as made to those as drawn carries no gradient: that of the phases passes as it
    does through the levels. The brightness c is that of the masks as drawn. Device k of the seed is drawn in
    step k, and k is part of the state, so that a run that goes on draws what it would have drawn.

    Args:
        student: With phase masks in levels, a mesh behind them or none.
        noise: Sizes of the errors.
        levels: Height levels of the relief.
        seed: Of all devices.
    """

    device: Tensor

    def __init__(self, student: SCLC, noise: Noise, levels: int, seed: int) -> None:
        super().__init__()
        self.student, self.noise, self.levels, self.seed = student, noise, levels, seed
        self.register_buffer("device", torch.zeros((), dtype=torch.long))

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        student = self.student
        if not self.training:
            logits: Tensor = student(picture)
            return logits
        self.device += 1
        logits = student.back_end(student.readout(self.field(student.source(picture))))
        return logits

    def field(self, field: Tensor) -> Tensor:
        """The field in the output plane with the masks of the present device."""
        optics: Any = self.student.optics
        bench = optics.bench if isinstance(optics, MixedBench) else optics
        transfer = bench.transfer() * self.ratio().to(field.device)
        kernel = kernel_of(transfer, bench.grid.shape, bench.invert_output, bench.amplitude_factor)
        output = passage(field, kernel)
        return optics.mixed(output) if isinstance(optics, MixedBench) else output

    def ratio(self) -> Tensor:
        """Masks of the present device over those as drawn, complex, shape (C_out, C_in, H', W')."""
        drawn = relief_bank(self.student, self.levels)
        made = made_device(drawn, self.noise, self.levels, (self.seed, TRAINING, int(self.device)))
        return torch.from_numpy(made.transmittance / drawn.transmittance)


def relief_bank(student: SCLC, levels: int = 0) -> MaskBankData:
    """The phase masks of a student, as they are stored; ``levels`` is 0 where they are continuous."""
    optics: Any = student.optics
    bench = optics.bench if isinstance(optics, MixedBench) else optics
    return bank_of(bench, levels=levels, encoding="phase")
