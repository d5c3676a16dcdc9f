"""A trained student under the constraints of hardware: phase-only masks, square pixels, no wrap-round."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.design import shared_bases
from optics4f.elements import ComplexMask, MaskBank, PhaseMask, Window
from optics4f.fabrication.bench import RebuiltBench
from optics4f.system import FourF
from optics4f.units import m, positive_si

from .fewer_masks import MixedBench
from .sclc import READOUTS, SCLC, back_end_of


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
    return with_fresh_back_end(student, with_phase(student.collapse().optics, levels), seed)


def with_fresh_back_end(student: SCLC, optics: nn.Module, seed: int = 0) -> SCLC:
    """The student with another front end, and a back end that has learned nothing yet.

    Args:
        student: Its source and readout are kept.
        optics: The front end.
        seed: Of the new back end.
    """
    constrained = student.with_optics(optics).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        back_end = back_end_of(student.design)
    constrained.back_end = back_end.to(student.back_end.linear.weight.device)
    constrained.set_gain()
    return constrained


def with_complex(optics: nn.Module, masks: int = 0) -> tuple[nn.Module, float]:
    r"""One bank of trainable complex masks in the place of a front end, as bright as passive optics allow.

    With ``masks`` given the bank holds that many bases of T(nu), :math:`T \approx W B`, and a mesh behind it
    mixes them by the fixed W of :func:`~optics4f.design.shared_bases`.

    Args:
        optics: A cascade, a 4f system, or one with a mesh; a pupil becomes part of the masks.
        masks: Number of physical masks per input channel; 0: one for each output channel.

    Returns:
        The front end, and the amplitude factor by which it is brighter than the one before.

    Raises:
        ValueError: If there are too few or too many masks, or the front end is dark, or has no T(nu).
    """
    if not isinstance(optics, (Cascade, FourF, MixedBench)):
        got = type(optics).__name__
        raise ValueError(f"with_complex: expected optics that are one linear system, got a {got}.")
    bench: Any = optics.collapse() if isinstance(optics, Cascade) else getattr(optics, "bench", optics)
    with torch.no_grad():
        wanted = (optics if isinstance(optics, MixedBench) else bench).transfer()
        weights, bases = shared_bases(wanted, masks) if masks else (None, wanted)
        peak = float(bases.abs().max())
        if not peak > 0:
            raise ValueError("with_complex: expected a front end that lets light through, got a dark one.")
        pitch = tuple(d * m for d in bench.fourier_grid.spacing)
        made = on_same_bench(bench, ComplexMask(bases / peak, trainable=True, pitch=pitch))
        gain = float(made.transfer().norm() / bases.norm())
    return made if weights is None else MixedBench(made, weights), gain


def with_phase(optics: nn.Module, levels: int | None = None) -> nn.Module:
    r"""The front end with the phases of its masks alone, in L levels or continuous; |t| = 1 everywhere.

    Phases of phase masks are kept as they are, beyond 2 pi and between levels too: training goes on where
    it was.

    Args:
        optics: A 4f system, or one with a mesh behind it, which stays.
        levels: Number of levels L, or None.

    Raises:
        ValueError: If the stop is even: its blocked edge is an amplitude, which a relief has not.
    """
    if isinstance(optics, MixedBench):
        return MixedBench(with_phase(optics.bench, levels), optics.weights)
    bench: Any = optics
    if any(
        inside % 2 == 0 and inside < n for inside, n in zip(bench.lit_shape, bench.grid.shape, strict=True)
    ):
        raise ValueError(
            f"phase_only: expected a last stop of odd size, which has no dark edge, got {bench.lit_shape}."
        )
    phase: Tensor = (
        bench.masks.values if isinstance(bench.masks, PhaseMask) else bench.transmittance().angle()
    )
    pitch = tuple(d * m for d in bench.fourier_grid.spacing)
    return on_same_bench(bench, PhaseMask(phase, levels=levels, pitch=pitch))


def on_same_bench(bench: FourF, masks: MaskBank) -> FourF:
    """The 4f system with other masks, as bright as passive optics allow; a pupil is left out."""
    return FourF(
        bench.grid,
        bench.wavelength * m,
        bench.focal_length * m,
        masks,
        second_focal_length=bench.second_focal_length * m,
        stop=bench.lit_shape,
        invert_output=bench.invert_output,
    )


def with_masks(student: SCLC, bank: Any, oversample: int = 1) -> SCLC:
    """A student with the masks of a stored bank in place of its own; a cascade is collapsed first.

    The sensor grows with the plane, at the same pixels, and its middle is read. A mesh behind masks stays.

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
    own = student.optics
    replaced = student.with_optics(
        MixedBench(rebuilt, own.weights) if isinstance(own, MixedBench) else rebuilt
    )
    pixels = student.readout.pixel_grid.shape
    factor = [big // small for big, small in zip(rebuilt.bench.grid.shape, bank.input_shape, strict=True)]
    wide = (pixels[0] * factor[0], pixels[1] * factor[1])
    sensor = READOUTS[student.design.readout](rebuilt.bench.output_grid, wide)
    replaced.readout = nn.Sequential(sensor, Window(pixels))
    return replaced


def _check_same_bench(student: SCLC, bank: Any) -> None:
    """Masks of another bench would give a number too, and it would mean nothing."""
    outputs, inputs = bank.transmittance.shape[:2]
    own = student.design.channels[-1]
    if isinstance(student.optics, MixedBench):
        own = student.optics.weights.shape[1]
    wanted = f"{student.design.channels[0]} -> {own}"
    if wanted != f"{inputs} -> {outputs}":
        raise ValueError(f"with_masks: expected masks for {wanted} channels, got {inputs} -> {outputs}.")
    grid, wavelength = student.source.grid, positive_si(student.design.wavelength, "m", "wavelength")
    for name, own_value in (
        ("input_shape", grid.shape),
        ("input_spacing", grid.spacing),
        ("wavelength", wavelength),
    ):
        stored = getattr(bank, name)
        if not np.allclose(own_value, stored, rtol=1e-9, atol=0):
            raise ValueError(f"with_masks: expected masks for {name} {own_value}, got {stored}.")
