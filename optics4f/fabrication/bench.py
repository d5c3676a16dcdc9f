"""From a 4f system to a bank that can be stored, and from a stored bank back to a 4f system."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ..elements import ComplexMask, GuardBand, Prism
from ..fourier import crop_center
from ..functional import decibel
from ..grid import Grid
from ..system import FourF
from ..units import m
from .bank import MaskBankData


def bank_of(
    bench: FourF, refractive_index: float | None = None, levels: int = 0, encoding: str = "complex"
) -> MaskBankData:
    """What the masks of a 4f system are made to, with the geometry they belong to.

    Args:
        bench: The system; its masks inside the stop are taken.
        refractive_index: Of the relief material at the wavelength, if a relief is meant.
        levels: Number of equal phase steps, 0 if continuous.
        encoding: ``"complex"``, ``"phase"`` or ``"amplitude"``.

    Raises:
        ValueError: If the system has a pupil, which is no part of the masks.
    """
    if bench.pupil is not None:
        raise ValueError("bank_of: expected a system without a pupil, got one; collapse it first.")
    with torch.no_grad():
        transmittance = bench.transmittance()
        total = bench.combiner.factor(transmittance)
    mask_scale, _ = bench.scale_db()
    return MaskBankData(
        transmittance=transmittance.cpu().numpy(),
        pitch=bench.fourier_grid.spacing,
        wavelength=bench.wavelength,
        focal_length=bench.focal_length,
        second_focal_length=bench.second_focal_length,
        input_shape=bench.grid.shape,
        input_spacing=bench.grid.spacing,
        refractive_index=refractive_index,
        scale_db=mask_scale,
        sum_scale_db=decibel(float(total)),
        convention="convolution",  # a mask multiplies the spectrum, whatever the kernels were meant for
        invert_output=bench.invert_output,
        levels=levels,
        encoding=encoding,
    )


def bench_of(bank: MaskBankData, oversample: int = 1) -> FourF:
    r"""The 4f system that a stored bank belongs to.

    With ``oversample=1`` every mask pixel is one sample of the Fourier plane: ideal, circular on the input
    plane. A larger odd number s draws each square pixel with s samples a side, which needs an input plane s
    times larger; put the picture into it with a dark surround (:class:`~optics4f.elements.GuardBand`). The
    convolution is then linear, and the square pixels are there: their envelope
    :math:`\sin(\pi s q)/(s \sin \pi q)` on the point-spread function, which tends to the sinc of a real pixel
    for large s, and the higher diffraction orders of the pixels. A pixel that reaches over the edge of the
    plane is cut there.

    Args:
        bank: What was stored.
        oversample: Samples along the side of a mask pixel, odd.

    Raises:
        ValueError: If ``oversample`` is even, the pitch no fraction of :math:`\lambda f/(N\Delta x)`, or
            the axis between two pixels, where no sample stands: see :class:`RebuiltBench`.
    """
    if any(axis != int(axis) for axis in bank.origin):
        raise ValueError(
            f"bench_of: expected an axis on a pixel, got one at {bank.origin}; use RebuiltBench."
        )
    return _nearest_bench(bank, oversample)


class RebuiltBench(nn.Module):
    r"""A stored bank on its bench, from the picture's own plane to the output plane.

    Puts the picture into the dark surround that :func:`bench_of` needs. Where the axis lies between two
    pixels (double phase), the masks stand off axis by :math:`\delta`, half a sample; a prism at the input and
    its opposite at the output, :math:`\mp\delta/(\lambda f_1)`, tilt the light by as much. That is exact.

    Args:
        bank: What was stored.
        oversample: Samples along the side of a mask pixel, odd.

    Shape:
        (..., C_in, H, W) on the bank's input plane to (..., C_out, H', W') on ``bench.output_grid``.

    Raises:
        ValueError: As :func:`bench_of`, but for the axis.
    """

    def __init__(self, bank: MaskBankData, oversample: int = 1) -> None:
        super().__init__()
        self.bench = _nearest_bench(bank, oversample)
        self.guard_band = GuardBand(self.bench.grid.shape)
        tilt = [
            _axis_shift(bank, oversample, axis) / (bank.wavelength * bank.focal_length) for axis in (0, 1)
        ]
        self.before = Prism(self.bench.grid, (-tilt[0], -tilt[1]))
        image = self.bench.magnification
        self.behind = Prism(self.bench.output_grid, (tilt[0] / image, tilt[1] / image))

    def forward(self, field: Tensor) -> Tensor:
        """The field in the output plane."""
        result: Tensor = self.behind(self.bench(self.before(self.guard_band(field))))
        return result


def _nearest_bench(bank: MaskBankData, oversample: int) -> FourF:
    """The 4f system with the masks on the nearest samples; :func:`_axis_shift` says how far off that is."""
    if oversample < 1 or oversample % 2 == 0:
        raise ValueError(f"bench_of: expected an odd number of samples per pixel, got {oversample}.")
    factor = tuple(oversample * _pixels_per_sample(bank, axis) for axis in (0, 1))
    shape = (bank.input_shape[0] * factor[0], bank.input_shape[1] * factor[1])
    masks = torch.from_numpy(np.array(bank.transmittance))
    masks = masks.repeat_interleave(oversample, -2).repeat_interleave(oversample, -1)
    masks = _on_axis(masks, bank, oversample, shape)
    return FourF(
        Grid.from_si(shape, bank.input_spacing),
        bank.wavelength * m,
        bank.focal_length * m,
        ComplexMask(masks, pitch=tuple(p / oversample * m for p in bank.pitch)),
        second_focal_length=bank.second_focal_length * m,
        stop=(masks.shape[-2], masks.shape[-1]),
        combiner=10 ** (bank.sum_scale_db / 20),
        invert_output=bank.invert_output,
    )


def _axis_index(bank: MaskBankData, oversample: int, axis: int) -> tuple[float, int]:
    """Where the axis is, in samples of the drawn masks, and the sample next to it nearest to their middle."""
    index = bank.origin[axis] * oversample + (oversample - 1) / 2
    middle = bank.transmittance.shape[axis - 2] * oversample // 2
    return index, min(max(middle, math.floor(index)), math.ceil(index))


def _axis_shift(bank: MaskBankData, oversample: int, axis: int) -> float:
    """How far the masks really stand from where their samples are [m]: 0, or half a sample."""
    index, at = _axis_index(bank, oversample, axis)
    return (at - index) * bank.pitch[axis] / oversample


def _pixels_per_sample(bank: MaskBankData, axis: int) -> int:
    sample = bank.wavelength * bank.focal_length / (bank.input_shape[axis] * bank.input_spacing[axis])
    ratio = sample / bank.pitch[axis]
    if abs(ratio - round(ratio)) > 1e-6 * ratio or round(ratio) < 1:
        raise ValueError(
            f"bench_of: expected a pitch that divides lambda f / (N dx) = {sample:.6g} m, "
            f"got {bank.pitch[axis]:.6g} m."
        )
    return round(ratio)


def _on_axis(masks: Tensor, bank: MaskBankData, oversample: int, plane: tuple[int, int]) -> Tensor:
    """Surround the masks with darkness until their axis is at ``n // 2``, within the plane."""
    paddings: list[int] = []
    for axis in (1, 0):  # torch pads the last dimension first
        size = masks.shape[axis - 2]
        index, at = _axis_index(bank, oversample, axis)
        if at == size // 2 and at == index:
            paddings += [0, 0]
        else:  # an odd total has the axis in its middle, and no edge that a stop would block
            paddings += [max(0, size - 2 * at - 1), max(0, 2 * at + 1 - size)]
    centred = torch.nn.functional.pad(masks, paddings)
    return crop_center(centred, (min(centred.shape[-2], plane[0]), min(centred.shape[-1], plane[1])))
