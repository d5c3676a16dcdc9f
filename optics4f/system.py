"""What stands on the table: one 4f system, and several in a row."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .elements import CoherentSum, ComplexMask, FourierLens, LowPassStop, MaskBank
from .elements.masks import check_fit
from .fourier import PLANE, crop_center, ft2, invert
from .functional import compose, decibel, largest_singular_value, mask_and_sum
from .grid import Grid
from .units import compact, m, positive_si


class FourF(nn.Module):
    r"""A 4f system: lens, Fourier-plane masks, coherent sum, stop, lens.

    .. math:: \hat U_o(\nu) = \sum_i T_{oi}(\nu)\, \hat U_i(\nu), \qquad T = c\,t, \quad u = \lambda f_1 \nu

    The Fourier plane has pitch :math:`\lambda f_1/(N \Delta x)`, the output plane is magnified by
    :math:`M = -f_2/f_1` and inverted, as two lenses in a row do. Ideal lenses: scalar, paraxial, circular
    convolution on the grid. A stop keeps the field of view and the mean amplitude, with fewer samples.
    Passive by construction, :math:`|t| \le 1` and :math:`\sigma_{\max}(T(\nu)) \le 1`, unless ``combiner`` is
    a number, which is taken at its word; print and audit say what came of it.

    Args:
        grid: The input plane.
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length of the first lens [m].
        masks: Bank of masks C_in -> C_out.
        second_focal_length: Focal length of the second lens [m]; the first one's if not given.
        stop: Samples ``(H', W')`` of the Fourier plane that a stop lets through; all if not given.
        combiner: How channels are shared and summed, see :class:`~optics4f.elements.CoherentSum`.
        invert_output: False reads the output plane turned by 180 degrees, which undoes the inversion.

    Shape:
        (..., C_in, H, W) to (..., C_out, H', W'), complex [sqrt(W)/m].

    Raises:
        ValueError: If the masks' pitch is not the Fourier plane's, or the stop is larger than the plane.
        TypeError: If a length has no unit.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., section 8.1.
    """

    def __init__(
        self,
        grid: Grid,
        wavelength: Any,
        focal_length: Any,
        masks: MaskBank,
        second_focal_length: Any = None,
        stop: tuple[int, int] | None = None,
        combiner: CoherentSum | str | float = "ideal",
        invert_output: bool = True,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.first_lens = FourierLens(grid, wavelength, focal_length)
        self.wavelength, self.focal_length = self.first_lens.wavelength, self.first_lens.focal_length
        self.fourier_grid = self.first_lens.output_grid
        self.masks = masks
        self.combiner = combiner if isinstance(combiner, CoherentSum) else CoherentSum(combiner)
        self.stop = None if stop is None else LowPassStop(stop)
        self.lit_shape = grid.shape if self.stop is None else self.stop.shape
        second = focal_length if second_focal_length is None else second_focal_length
        self.second_focal_length = positive_si(second, "m", "FourF second_focal_length")
        self._check()
        lit_grid = self.fourier_grid.with_shape(self.lit_shape)
        self.second_lens = FourierLens(lit_grid, wavelength, second)
        self.output_grid = self.second_lens.output_grid
        self.invert_output = invert_output

    def _check(self) -> None:
        if any(inside > n for inside, n in zip(self.lit_shape, self.grid.shape, strict=True)):
            raise ValueError(
                f"FourF: expected a stop within the plane {self.grid.shape}, got {self.lit_shape}."
            )
        check_fit(self.masks, self.fourier_grid)

    @property
    def magnification(self) -> float:
        """Signed magnification: -f2/f1, or +f2/f1 where the output is read turned round."""
        size = self.second_focal_length / self.focal_length
        return -size if self.invert_output else size

    @property
    def cutoff_frequency(self) -> tuple[float, float]:
        r"""Highest spatial frequency (fy, fx) of the input that passes, :math:`D/(2 \lambda f_1)` [1/m]."""
        fy, fx = (n / (2 * length) for n, length in zip(self.lit_shape, self.grid.extent, strict=True))
        return fy, fx

    @property
    def path_length(self) -> float:
        """Length of the light's path, 2 f1 + 2 f2 [m]."""
        return 2 * (self.focal_length + self.second_focal_length)

    def transmittance(self) -> Tensor:
        """What the masks are made to: |t| <= 1 inside the stop, shape (C_out, C_in, H', W')."""
        return self._inside_stop(self.masks.transmittance(self.grid.shape, self.lit_shape))

    def transfer(self) -> Tensor:
        """T(nu) = c t(nu) inside the stop, shape (C_out, C_in, H', W'); sigma_max(T) <= 1."""
        if self.combiner.follows_masks:  # c absorbs the masks' own scale, which need not be computed
            masks = self._inside_stop(self.masks.response(self.grid.shape, self.lit_shape))
        else:
            masks = self.transmittance()
        return masks * self.combiner.factor(masks)

    def scale_db(self) -> tuple[float, float]:
        """Mask scale (t over the unscaled response) and sum scale (c), in dB of power."""
        with torch.no_grad():
            scale = self.masks.scale(self.masks.response(self.grid.shape, self.lit_shape))
            return decibel(float(scale)), decibel(float(self.combiner.factor(self.transmittance())))

    def _inside_stop(self, masks: Tensor) -> Tensor:
        return masks if self.stop is None else masks * self.stop.pupil(self.grid.shape).to(masks.real)

    def forward(self, field: Tensor) -> Tensor:
        """The field in the output plane.

        Raises:
            ValueError: If the field has other channels or samples than the system: they would broadcast.
        """
        expected = (self.masks.channels[1], *self.grid.shape)
        if field.shape[-3:] != expected:
            raise ValueError(f"FourF: expected a field (..., {expected}), got {tuple(field.shape)}.")
        spectrum = crop_center(ft2(field), self.lit_shape)
        return _output_plane(spectrum, self.transfer(), self.invert_output, self.amplitude_factor)

    @property
    def amplitude_factor(self) -> float:
        """What both lenses multiply an amplitude by beside their unitary transforms."""
        return self.first_lens.amplitude_factor * self.second_lens.amplitude_factor

    def planes(self, field: Tensor) -> Iterator[tuple[str, Grid, Tensor]]:
        """The field plane by plane, as (name, grid, field), for looking at."""
        yield "input plane", self.grid, field
        spectrum = self.first_lens(field)
        yield "Fourier plane, before the masks", self.fourier_grid, spectrum
        masked = mask_and_sum(crop_center(spectrum, self.lit_shape), self.transfer())
        yield "Fourier plane, behind masks and stop", self.second_lens.grid, masked
        yield "output plane", self.output_grid, self.forward(field)

    def __str__(self) -> str:
        outputs, inputs = self.masks.channels
        with torch.no_grad():
            gain = float(largest_singular_value(self.transfer()))
        passive = "passive" if gain <= 1 + 1e-5 else f"NOT PASSIVE, gain {gain:.3g}"
        orientation = "inverted" if self.invert_output else "upright"
        focal = " and ".join(
            dict.fromkeys(compact(f, "m") for f in (self.focal_length, self.second_focal_length))
        )
        return " | ".join(
            (
                f"FourF {inputs} -> {outputs} at {compact(self.wavelength, 'm')}, f {focal}",
                f"Fourier plane: pitch {compact(self.fourier_grid.spacing[1], 'm')}, "
                f"extent {compact(self.fourier_grid.extent[1], 'm', 3)}, "
                f"cut-off {self.cutoff_frequency[1] / 1e3:.3g} lp/mm",
                f"magnification {self.magnification:.3g} (output {orientation})",
                f"{passive}, scale {sum(self.scale_db()):.1f} dB",
            )
        )


class Cascade(nn.Module):
    r"""4f systems in a row, each lit by the one before.

    Everything is linear, so the row equals one matrix per frequency: with :math:`P` the inversion that each
    stage adds, stages act as :math:`T_L(\pm\nu) \cdots T_2(-\nu)\, T_1(\nu)` inside the narrowest stop.

    Args:
        stages: :class:`FourF` systems; each must begin on the grid where the one before ends.
        fused: True computes through that product (exact, and cheaper than layer by layer); False goes stage
            by stage, as the light does.

    Raises:
        ValueError: If grids or channels of neighbours do not meet.
    """

    def __init__(self, stages: list[FourF], fused: bool = True) -> None:
        super().__init__()
        _check_neighbours(stages)
        self.stages = nn.ModuleList(stages)
        self.fused = fused
        self.grid, self.output_grid = stages[0].grid, stages[-1].output_grid

    @property
    def systems(self) -> list[FourF]:
        """The stages in order."""
        return [stage for stage in self.stages if isinstance(stage, FourF)]

    def transfer(self) -> Tensor:
        """T(nu) of the whole row, in the frequencies of the first stage, shape (C_out, C_in, H', W')."""
        systems = self.systems
        shape = systems[-1].lit_shape
        inverted = False
        total: Tensor | None = None
        for stage in systems:
            own = crop_center(stage.transfer(), shape)
            own = invert(own) if inverted else own
            total = own if total is None else compose(own, total)
            inverted ^= stage.invert_output
        assert total is not None  # a cascade has at least one stage
        return total

    def collapse(self) -> FourF:
        """The single 4f system that does the same, with fixed complex masks: exact, not an approximation."""
        systems = self.systems
        first = systems[0]
        with torch.no_grad():
            transfer = self.transfer()
            peak = float(transfer.abs().max())
        magnification = 1.0
        for stage in systems:
            magnification *= stage.magnification
        return FourF(
            self.grid,
            first.wavelength * m,
            first.focal_length * m,
            ComplexMask(transfer / peak, pitch=tuple(d * m for d in first.fourier_grid.spacing)),
            second_focal_length=first.focal_length * abs(magnification) * m,
            stop=systems[-1].lit_shape,
            combiner=peak,
            invert_output=magnification < 0,
        ).to(transfer.device)

    def forward(self, field: Tensor) -> Tensor:
        """The field in the last output plane."""
        if not self.fused:
            for stage in self.stages:
                field = stage(field)
            return field
        systems = self.systems
        spectrum = crop_center(ft2(field), systems[-1].lit_shape)
        amplitude_factor = math.prod(stage.amplitude_factor for stage in systems)
        inverted = sum(stage.invert_output for stage in systems) % 2 == 1
        return _output_plane(spectrum, self.transfer(), inverted, amplitude_factor)

    def planes(self, field: Tensor) -> Iterator[tuple[str, Grid, Tensor]]:
        """The field plane by plane through all stages, as (name, grid, field)."""
        for number, stage in enumerate(self.systems, start=1):
            for name, grid, plane in stage.planes(field):
                yield f"stage {number}: {name}", grid, plane
            field = plane

    def __str__(self) -> str:
        return "\n".join(f"{number}. {stage}" for number, stage in enumerate(self.systems, start=1))


def _output_plane(spectrum: Tensor, transfer: Tensor, inverted: bool, amplitude_factor: float) -> Tensor:
    """Masks, sum and second lens.

    A second forward transform inverts the picture; reading it turned round makes it an inverse transform.
    Shift and scale are done before the light fans out into C_out channels, where they cost less.
    """
    transfer = torch.fft.ifftshift(transfer * amplitude_factor, PLANE)
    product = mask_and_sum(torch.fft.ifftshift(spectrum, PLANE), transfer)
    transform = torch.fft.fft2 if inverted else torch.fft.ifft2
    return torch.fft.fftshift(transform(product, norm="ortho"), PLANE)


def _check_neighbours(stages: list[FourF]) -> None:
    if not stages:
        raise ValueError("Cascade: expected at least one 4f system, got none.")
    for before, after in itertools.pairwise(stages):
        if before.masks.channels[0] != after.masks.channels[1]:
            got = f"{before.masks.channels[0]} into {after.masks.channels[1]}"
            raise ValueError(f"Cascade: expected as many channels in as the stage before gives, got {got}.")
        if before.output_grid.shape != after.grid.shape or not _same_spacing(before.output_grid, after.grid):
            raise ValueError(f"Cascade: expected a stage on {before.output_grid}, got one on {after.grid}.")
        if before.wavelength != after.wavelength:
            got = f"{compact(before.wavelength, 'm')} and {compact(after.wavelength, 'm')}"
            raise ValueError(f"Cascade: expected one wavelength, got {got}.")


def _same_spacing(one: Grid, other: Grid) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(one.spacing, other.spacing, strict=True))
