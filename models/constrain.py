"""A trained student under the constraints of hardware: phase-only masks, square pixels, no wrap-round."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from optics4f.cascade import Cascade
from optics4f.elements import PhaseMask, Window
from optics4f.fabrication.bench import RebuiltBench
from optics4f.system import FourF
from optics4f.units import m, positive_si

from .sclc import READOUTS, SCLC, BackEnd


def phase_only(student: SCLC, levels: int, seed: int = 0) -> SCLC:
    r"""The collapsed student with masks :math:`t = e^{i\varphi}` in ``levels`` steps, ready for fine-tuning.

    The phase starts from that of T(nu); the amplitude is given up, and a fresh back end replaces the old one.

    Args:
        student: A student whose front end is a cascade.
        levels: Number of levels L of the relief.
        seed: Of the new back end.

    Raises:
        ValueError: If the last stop is even: its blocked edge is an amplitude, which a relief has not.
    """
    collapsed = student.collapse()
    bench: Any = collapsed.optics
    if any(
        inside % 2 == 0 and inside < n for inside, n in zip(bench.lit_shape, bench.grid.shape, strict=True)
    ):
        raise ValueError(
            f"phase_only: expected a last stop of odd size, which has no dark edge, got {bench.lit_shape}."
        )
    masks = PhaseMask(
        bench.transmittance().angle(), levels=levels, pitch=tuple(d * m for d in bench.fourier_grid.spacing)
    )
    constrained = collapsed.with_optics(
        FourF(
            bench.grid,
            bench.wavelength * m,
            bench.focal_length * m,
            masks,
            second_focal_length=bench.second_focal_length * m,
            stop=bench.lit_shape,
            invert_output=bench.invert_output,
        )
    )
    design = student.design
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        back_end = BackEnd(design.channels[-1], (design.pixels, design.pixels), design.classes)
    constrained.back_end = back_end.to(student.back_end.linear.weight.device)
    constrained.set_gain()
    return constrained


def with_masks(student: SCLC, bank: Any, oversample: int = 1) -> SCLC:
    """A student with the masks of a stored bank in place of its own; a cascade is collapsed first.

    The sensor grows with the plane, at the same pixels, and its middle is read.

    Args:
        student: Its source, readout and back end are kept.
        bank: :class:`~optics4f.fabrication.MaskBankData`, made for the same bench.
        oversample: 1 for the ideal simulation; a larger odd number for square mask pixels and a dark guard
            band around the picture, see :func:`~optics4f.fabrication.bench.bench_of`.

    Raises:
        ValueError: If the bank was made for other channels, another input plane, or another wavelength.
    """
    student = student.collapse() if isinstance(student.optics, Cascade) else student
    _check_same_bench(student, bank)
    rebuilt = RebuiltBench(bank, oversample)
    replaced = student.with_optics(rebuilt)
    pixels = student.readout.pixel_grid.shape
    factor = [big // small for big, small in zip(rebuilt.bench.grid.shape, bank.input_shape, strict=True)]
    wide = (pixels[0] * factor[0], pixels[1] * factor[1])
    sensor = READOUTS[student.design.readout](rebuilt.bench.output_grid, wide)
    replaced.readout = nn.Sequential(sensor, Window(pixels))
    return replaced


def _check_same_bench(student: SCLC, bank: Any) -> None:
    """Masks of another bench would give a number too, and it would mean nothing."""
    outputs, inputs = bank.transmittance.shape[:2]
    wanted = f"{student.design.channels[0]} -> {student.design.channels[-1]}"
    if wanted != f"{inputs} -> {outputs}":
        raise ValueError(f"with_masks: expected masks for {wanted} channels, got {inputs} -> {outputs}.")
    grid, wavelength = student.source.grid, positive_si(student.design.wavelength, "m", "wavelength")
    for name, own in (
        ("input_shape", grid.shape),
        ("input_spacing", grid.spacing),
        ("wavelength", wavelength),
    ):
        stored = getattr(bank, name)
        if not np.allclose(own, stored, rtol=1e-9, atol=0):
            raise ValueError(f"with_masks: expected masks for {name} {own}, got {stored}.")
