"""What stands on the table: one 4f system."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from .elements import CoherentSum, FourierLens, LowPassStop, MaskBank
from .elements.masks import check_fit
from .fourier import crop_center
from .functional import decibel, largest_singular_value, mask_and_sum
from .grid import Grid, check_field
from .keeping import Kept
from .passage import Kernel, kernel_of, passage
from .units import compact, positive_si


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
        pupil: What else multiplies the whole Fourier plane, such as an aberration; T holds it, masks do not.

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
        pupil: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.first_lens = FourierLens(grid, wavelength, focal_length)
        self.wavelength, self.focal_length = self.first_lens.wavelength, self.first_lens.focal_length
        self.fourier_grid = self.first_lens.output_grid
        self.masks = masks
        self.combiner = combiner if isinstance(combiner, CoherentSum) else CoherentSum(combiner)
        self.stop = None if stop is None else LowPassStop(stop)
        self.pupil = pupil
        self.lit_shape = grid.shape if self.stop is None else self.stop.shape
        second = focal_length if second_focal_length is None else second_focal_length
        self.second_focal_length = positive_si(second, "m", "FourF second_focal_length")
        self._check()
        lit_grid = self.fourier_grid.with_shape(self.lit_shape)
        self.second_lens = FourierLens(lit_grid, wavelength, second)
        self.output_grid = self.second_lens.output_grid
        self.invert_output = invert_output
        self._kept: Kept[Kernel] = Kept()

    def _check(self) -> None:
        if any(inside > n for inside, n in zip(self.lit_shape, self.grid.shape, strict=True)):
            raise ValueError(
                f"FourF: expected a stop within the plane {self.grid.shape}, got {self.lit_shape}."
            )
        check_fit(self.masks, self.fourier_grid)
        for part in () if self.pupil is None else self.pupil.modules():
            grid = getattr(part, "grid", self.fourier_grid)
            if grid.shape != self.grid.shape or not same_spacing(grid, self.fourier_grid):
                raise ValueError(f"FourF: expected a pupil on {self.fourier_grid}, got one on {grid}.")

    @property
    def magnification(self) -> float:
        """Signed magnification: -f2/f1, or +f2/f1 where the output is read turned round."""
        size = self.second_focal_length / self.focal_length
        return -size if self.invert_output else size

    @property
    def cutoff_frequency(self) -> tuple[float, float]:
        r"""Highest spatial frequency (fy, fx) that the stop lets pass, :math:`D/(2 \lambda f_1)` [1/m].

        A pupil may let pass less.
        """
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
        transfer = self.combiner.transfer(masks)
        if self.pupil is None:
            return transfer
        return transfer * crop_center(self.pupil(transfer.new_ones(self.grid.shape)), self.lit_shape)

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
            TypeError: If the field is no tensor of real or complex numbers.
            ValueError: If it has other channels or samples than the system: they would broadcast.
        """
        return passage(self._checked(field), self.kernel())

    def intensity(self, field: Tensor) -> Tensor:
        """Intensity in the output plane [W/m^2], real: the square of :meth:`forward`.

        Without gradients a few channels at a time are squared while they are in cache, and the field of all
        is never held; a real field with real kernels takes half the work, its output being real.
        """
        return passage(self._checked(field), self.kernel(), squared=True)

    def _checked(self, field: Tensor) -> Tensor:
        check_field("FourF", field, (self.masks.channels[1], *self.grid.shape), "real or complex")
        return field

    def kernel(self) -> Kernel:
        """T(nu) as it stands between two plain FFTs, with both lenses' factors; kept until it changes."""
        return self._kept.get(self, self._kernel)

    def _kernel(self) -> Kernel:
        return kernel_of(self.transfer(), self.grid.shape, self.invert_output, self.amplitude_factor)

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


def same_spacing(one: Grid, other: Grid) -> bool:
    """Whether two grids have the same spacing, up to rounding."""
    return all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(one.spacing, other.spacing, strict=True))
