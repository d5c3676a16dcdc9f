"""Signed readouts: a reference beam turns the amplitude of the field into what square-law pixels can see.

Each takes the detector that looks at the light. With an :class:`IntensityDetector` the readout is exact; with
a :class:`Camera` it has the shot noise of field and reference, the noise of the sensor, and its rounding.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import torch
from torch import Tensor, nn

from ..fourier import PLANE, centred_index, crop_center, ft2, ift2, pad_center
from ..grid import Grid, check_field
from ..units import compact, positive_si
from .camera import Camera
from .checks import checked_number
from .detector import IntensityDetector

Detector = IntensityDetector | Camera


class FourStepReadout(nn.Module):
    r"""Phase shifting in four exposures: the mean over each pixel of the complex amplitude U.

    A plane reference R on the axis is delayed by a quarter of a wave from one exposure to the next. In the
    convention exp(-i omega t) the delayed reference is :math:`R\,i^k`, and

    .. math:: I_k = |U + R\,i^k|^2, \qquad U = \frac{(I_0 - I_2) + i (I_1 - I_3)}{4 R}

    Where the reference is advanced instead, or time goes as exp(+i omega t), the second bracket is
    :math:`I_3 - I_1`. Steps are taken as exact and the field as still. With shot noise alone real and
    imaginary part each have the variance :math:`\epsilon (|U|^2 + R^2) / (8 \eta A R^2)`, with
    :math:`\epsilon = h c / (\lambda t)` the power of one photon in *one* exposure and A the area of a pixel;
    all four take the time 4t.

    Args:
        detector: What looks at the light, used four times.
        reference_power: Of the reference over the whole plane [W], as a quantity or string.

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, p_y, p_x) complex [sqrt(W)/m].

    Raises:
        TypeError: If the power has no or the wrong unit.
        ValueError: If it is not larger than zero.

    Source: J. H. Bruning et al., Appl. Opt. 13, 2693 (1974).
    """

    def __init__(self, detector: Detector, reference_power: Any) -> None:
        super().__init__()
        self.detector, self.grid, self.pixel_grid = detector, detector.grid, detector.pixel_grid
        self.reference = _amplitude(detector, reference_power, "FourStepReadout reference_power")

    def forward(self, field: Tensor) -> Tensor:
        """Complex amplitude on every pixel."""
        check_field("FourStepReadout", field, self.grid.shape)
        i0, i1, i2, i3 = (_power(self.detector, field + self.reference * step) for step in (1, 1j, -1, -1j))
        return torch.complex(i0 - i2, i1 - i3) / (4 * self.reference * self.pixel_grid.cell_area)


class BalancedHomodyne(nn.Module):
    r"""Balanced homodyne with a beam splitter: the mean of :math:`\operatorname{Re}(U e^{-i\varphi})`.

    .. math:: I_\pm = \tfrac12 |U \pm L e^{i\varphi}|^2, \qquad
        \operatorname{Re}(U e^{-i\varphi}) = \frac{I_+ - I_-}{2 L}

    The splitter is lossless and even, the oscillator a plane wave without noise of its own. The difference
    has the variance :math:`\eta (|\alpha_L|^2 + |\alpha_s|^2)` in electrons squared, with
    :math:`|\alpha|^2` photons on the pixel, so that a strong oscillator gives the ratio
    :math:`2 \sqrt{\eta n_s} \cos\varphi_s` of amplitude to noise, :math:`\varphi_s` the phase between them.

    Args:
        detector: What looks at the first port, and at the second, one after the other, if no other is given.
        oscillator_power: Of the local oscillator over the whole plane [W], as a quantity or string.
        phase: Of the local oscillator [rad].
        other: What looks at the second port. If it responds differently the oscillator does not cancel.

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, p_y, p_x) real [sqrt(W)/m].

    Raises:
        TypeError: If the power has no or the wrong unit.
        ValueError: If it is not larger than zero, or the detectors differ in grid or pixels.

    Source: H. P. Yuen, V. W. S. Chan, Opt. Lett. 8, 177 (1983); R. Hamerly et al., Phys. Rev. X 9, 021032
    (2019).
    """

    def __init__(
        self, detector: Detector, oscillator_power: Any, phase: float = 0.0, other: Detector | None = None
    ) -> None:
        super().__init__()
        self.detector, self.grid, self.pixel_grid = detector, detector.grid, detector.pixel_grid
        self.other = detector if other is None else other
        if (self.other.grid, self.other.pixel_grid) != (self.grid, self.pixel_grid):
            raise ValueError(
                f"BalancedHomodyne: expected a second detector of {self.grid} on {self.pixel_grid}, "
                f"got {self.other.grid} on {self.other.pixel_grid}."
            )
        self.oscillator = _amplitude(detector, oscillator_power, "BalancedHomodyne oscillator_power")
        self.phase = checked_number("BalancedHomodyne phase", phase, "a finite angle in radians")

    def forward(self, field: Tensor) -> Tensor:
        """Quadrature on every pixel."""
        check_field("BalancedHomodyne", field, self.grid.shape)
        oscillator = cmath.rect(self.oscillator, self.phase)
        bright = _power(self.detector, (field + oscillator) * math.sqrt(0.5))
        dark = _power(self.other, (field - oscillator) * math.sqrt(0.5))
        return (bright - dark) / (2 * self.oscillator * self.pixel_grid.cell_area)


class OffAxisReadout(nn.Module):
    r"""Off-axis hologram: the complex amplitude at every sample, from one exposure.

    A tilted plane reference :math:`R\,e^{2\pi i\,k \cdot x / L}` with k whole periods over the plane L moves
    the term :math:`U R^*` of the frame by -k in frequency, away from :math:`|U|^2 + R^2`. It is cut out,
    moved back and divided by the sinc of the pixel: exact for the periodic, band-limited field that n samples
    stand for, if the terms do not touch. :math:`|U|^2` reaches to the order n - 1 and :math:`U R^*` from
    :math:`-k - \lfloor n/2 \rfloor` to :math:`-k + \lfloor (n-1)/2 \rfloor`; both, and the conjugate of the
    latter, must be apart and below half of the pixels p in the direction of the carrier:

    .. math:: |k| \ge n + \lfloor n/2 \rfloor, \qquad p > 2 (|k| + \lfloor n/2 \rfloor)

    which costs about four pixels for a sample. Across the carrier :math:`p \ge n` is enough.

    With shot noise alone the variance of a sample, real and imaginary part together and averaged over the
    plane, is

    .. math:: \frac{n_y n_x}{p_y p_x} \, \frac{\epsilon}{\eta A} \,
        \bigl(1 + \overline{|U|^2} / R^2\bigr) \, \overline{\operatorname{sinc}^{-2}}

    with :math:`\epsilon` the power of one photon in the exposure and A the area of a pixel.

    Args:
        grid: The plane of the field.
        detector: What looks at the light, used once: the same plane, sampled finely enough for the carrier.
        reference_power: Of the reference over the whole plane [W], as a quantity or string.
        periods: Whole periods of the carrier over the plane ``(k_y, k_x)``, one of them zero.

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, H, W) complex [sqrt(W)/m].

    Raises:
        TypeError: If the power has no or the wrong unit.
        ValueError: If it is not larger than zero, the detector looks at another plane or samples it too
            coarsely, or the terms of the hologram overlap.

    Source: E. N. Leith, J. Upatnieks, J. Opt. Soc. Am. 52, 1123 (1962); E. Cuche et al., Appl. Opt. 39,
    4070 (2000).
    """

    carrier: Tensor
    contrast: Tensor

    def __init__(
        self, grid: Grid, detector: Detector, reference_power: Any, periods: tuple[int, int]
    ) -> None:
        super().__init__()
        self.grid, self.detector, self.periods = grid, detector, periods
        _check_hologram(grid, detector, periods)
        amplitude = _amplitude(detector, reference_power, "OffAxisReadout reference_power")
        pixels = detector.pixel_grid
        # Samples for pixels: the two unitary transforms, and power on a pixel for |U|^2.
        samples = math.prod(grid.shape) / math.prod(pixels.shape)
        self.scale = math.sqrt(samples) / (amplitude * pixels.cell_area)
        waves = [_wave(n, k) for n, k in zip(detector.grid.shape, periods, strict=True)]
        self.register_buffer("carrier", amplitude * torch.stack(_outer(*waves)), persistent=False)
        sincs = [
            torch.sinc((centred_index(n) - k) / p)
            for n, k, p in zip(grid.shape, periods, pixels.shape, strict=True)
        ]
        self.register_buffer("contrast", torch.outer(*sincs), persistent=False)

    def forward(self, field: Tensor) -> Tensor:
        """Complex amplitude at every sample of the field's own grid."""
        check_field("OffAxisReadout", field, self.grid.shape)
        fine = self.detector.grid.shape
        growth = math.sqrt(math.prod(fine) / math.prod(self.grid.shape))
        real, imaginary = self.carrier.to(field.real.dtype)
        reference = torch.complex(real, imaginary)
        frame = _power(self.detector, ift2(pad_center(ft2(field), fine)) * growth + reference)
        spectrum = ft2(torch.complex(frame, torch.zeros_like(frame))).roll(self.periods, PLANE)
        return ift2(crop_center(spectrum, self.grid.shape) / self.contrast.to(frame.dtype)) * self.scale


def _power(detector: Detector, field: Tensor) -> Tensor:
    return detector.power(field) if isinstance(detector, Camera) else detector(field)


def _amplitude(detector: Detector, power: Any, name: str) -> float:
    height, width = detector.grid.extent
    return math.sqrt(positive_si(power, "W", name) / (height * width))


def _wave(n: int, periods: int) -> tuple[Tensor, Tensor]:
    phase = centred_index(n) * (2 * math.pi * periods / n)
    return phase.cos(), phase.sin()


def _outer(rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    # Pairs of reals, since complex buffers break .to(dtype).
    (a, b), (c, d) = rows, columns
    return torch.outer(a, c) - torch.outer(b, d), torch.outer(a, d) + torch.outer(b, c)


def _check_hologram(grid: Grid, detector: Detector, periods: tuple[int, int]) -> None:
    if len(periods) != 2 or not all(type(k) is int for k in periods):
        raise TypeError(f"OffAxisReadout: expected whole periods (k_y, k_x), got {periods!r}.")
    for own, other in zip(grid.extent, detector.grid.extent, strict=True):
        if not math.isclose(own, other, rel_tol=1e-9):
            raise ValueError(
                f"OffAxisReadout: expected a detector on {compact(own, 'm')}, got {compact(other, 'm')}."
            )
    if sorted(k == 0 for k in periods) != [False, True]:
        raise ValueError(f"OffAxisReadout: expected periods along y or along x alone, got {periods}.")
    for n, fine, p, k in zip(
        grid.shape, detector.grid.shape, detector.pixel_grid.shape, periods, strict=True
    ):
        carrier = n + n // 2 if k else 0
        _at_least(carrier, abs(k), "periods of the carrier", n, k)
        _at_least(max(n, 2 * abs(k) + 1), fine, "samples of the detector's grid", n, k)
        _at_least(2 * (abs(k) + n // 2) + 1 if k else n, p, "pixels", n, k)


def _at_least(least: int, got: int, what: str, n: int, periods: int) -> None:
    if got < least:
        raise ValueError(
            f"OffAxisReadout: expected at least {least} {what} for {n} samples and {periods} periods, "
            f"got {got}."
        )
