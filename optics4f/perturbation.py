"""Errors of the masks of a 4f system, for tolerances, robust training and calibration alike.

The nominal system stays as it is and is wrapped. A number given as a quantity, string or float is fixed; a
tensor in SI units is taken as it is, so that gradients reach it, and an ``nn.Parameter`` is trained.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .elements import KernelMask, PhaseMask
from .elements.checks import checked_seed
from .elements.masks import CONVENTIONS
from .fourier import centred_index, crop_center, ift2, pad_center
from .functional import largest_singular_value
from .grid import Grid, check_field
from .misalignment import axial_phase, relief_response, response_at, shift_phase, turned_frequencies
from .passage import kernel_of, passage
from .propagation import as_scalar, unit_wave
from .system import FourF
from .units import compact, si

_NUMBERS = {  # unit, and what the number must be larger than
    "mask_shift": ("m", -math.inf),
    "mask_rotation": ("rad", -math.inf),
    "mask_scale": ("", 0.0),
    "axial_shift": ("m", -math.inf),
    "wavelength": ("m", 0.0),
    "focal_length_error": ("", -1.0),
    "phase_scale": ("", -math.inf),
    "index_ratio": ("", 0.0),
}
_RESAMPLED = ("mask_rotation", "mask_scale", "wavelength", "focal_length_error")


class Perturbed(nn.Module):
    r"""A 4f system with errors: :func:`perturbed` makes it, and says what each number does.

    Shape:
        As the system: (..., C_in, H, W) to (..., C_out, H', W') on the same grids.
    """

    mask_shift: Tensor | None
    mask_rotation: Tensor | None
    mask_scale: Tensor | None
    axial_shift: Tensor | None
    wavelength: Tensor | None
    focal_length_error: Tensor | None
    phase_scale: Tensor | None
    index_ratio: Tensor | None
    dead: Tensor | None

    def __init__(self, bench: FourF, numbers: dict[str, Tensor | None], dead: Tensor | None) -> None:
        super().__init__()
        self.bench = bench
        self.grid, self.output_grid = bench.grid, bench.output_grid
        for name, value in numbers.items():
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)
        self.register_buffer("dead", dead)

    def forward(self, field: Tensor) -> Tensor:
        """The field in the output plane.

        Raises:
            TypeError: If the field is no tensor of real or complex numbers.
            ValueError: If it has other channels or samples than the system.
        """
        shape = (self.bench.masks.channels[1], *self.grid.shape)
        check_field("perturbed", field, shape, "real or complex")
        if self.mask_shift is None and self.axial_shift is None:
            return self._through_masks(field)
        before = self._wave(self.grid, field, 1.0).conj()
        behind = self._wave(self.output_grid, field, self.bench.magnification)
        return self._through_masks(field * before) * behind

    def _through_masks(self, field: Tensor) -> Tensor:
        bench = self.bench
        if not self._edits_masks:
            result: Tensor = bench(field)  # it keeps its kernel
            return result
        kernel = kernel_of(self.transfer(), bench.grid.shape, bench.invert_output, bench.amplitude_factor)
        return passage(field, kernel)

    def _wave(self, grid: Grid, like: Tensor, magnification: float) -> Tensor:
        """What the output is multiplied by, and the input by its conjugate; shape (H, W)."""
        wavelength, focal_length = self.light(like)
        phase = torch.zeros((), dtype=torch.float64, device=like.device)
        if self.mask_shift is not None:  # areas and lengths turn coordinates into those of the input plane
            area = wavelength * focal_length * magnification
            phase = phase + shift_phase(grid, self.mask_shift.to(like.device), area)
        if self.axial_shift is not None:
            image = focal_length * magnification
            phase = phase + axial_phase(grid, self.axial_shift.to(like.device), wavelength, image)
        return unit_wave(phase).to(torch.promote_types(like.dtype, torch.complex64))

    def light(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """True wavelength and focal length of the first lens [m], float64, where ``like`` is."""
        own = self.bench.wavelength if self.wavelength is None else self.wavelength
        error = 0.0 if self.focal_length_error is None else self.focal_length_error
        return as_scalar(own, like), self.bench.focal_length * (1 + as_scalar(error, like))

    @property
    def _resamples(self) -> bool:
        return any(getattr(self, name) is not None for name in _RESAMPLED)

    @property
    def _edits_masks(self) -> bool:
        return self._resamples or self.phase_scale is not None or self.dead is not None

    def transfer(self) -> Tensor:
        """T(nu) with what rotates, scales or spoils the masks, shape (C_out, C_in, H', W').

        Shifts are not in it: they are phases on the input and output plane. The factors that made the masks
        and their sum passive are those of the system as designed. Where the edited masks would still amplify,
        all are darkened by one factor: light that was given up.
        """
        bench = self.bench
        if not self._edits_masks:
            return bench.transfer()
        plane, lit = bench.grid.shape, bench.lit_shape
        made = bench.masks.scale(bench.masks.response(plane, lit))
        nominal = self.response() * (made * bench.combiner.factor(bench.transmittance()))
        transfer = bench.combiner.in_arms(nominal)
        if bench.stop is not None:
            transfer = transfer * bench.stop.pupil(plane).to(made)
        if bench.pupil is not None:
            transfer = transfer * crop_center(bench.pupil(transfer.new_ones(plane)), lit)
        allowed = largest_singular_value(bench.transfer()).clamp(min=1)
        return transfer / (largest_singular_value(transfer) / allowed).clamp(min=1)

    def response(self) -> Tensor:
        """Response of the edited masks before it is made passive, shape (C_out, C_in, H', W')."""
        masks, plane = self.bench.masks, self.bench.grid.shape
        if isinstance(masks, KernelMask) and self.dead is None:
            kernels = torch.view_as_complex(masks.kernels) if masks.is_complex else masks.kernels
            sign = -CONVENTIONS[masks.convention]
            y, x = (sign * centred_index(n, kernels) for n in kernels.shape[-2:])
            return self._resampled(kernels, y, x)
        whole = masks.response(plane, plane)
        if self.phase_scale is not None or (self.wavelength is not None and isinstance(masks, PhaseMask)):
            whole = pad_center(relief_response(masks, self._phase_factor(whole)), plane)
        if self.dead is not None:
            whole = whole * (1 - pad_center(self.dead.to(whole.real), plane))
        if not self._resamples:
            return crop_center(whole, self.bench.lit_shape)
        y, x = (centred_index(n, whole) for n in plane)
        resampled = self._resampled(ift2(whole) / math.sqrt(plane[0] * plane[1]), y, x)
        fy, fx = self._frequencies(whole)
        height, width = (n // 2 + 0.5 for n in plane)  # the outer border of the outermost pixel
        inside = (fy.abs() * plane[0] <= height) & (fx.abs() * plane[1] <= width)
        return resampled * inside.to(resampled.real)

    def _resampled(self, psf: Tensor, y: Tensor, x: Tensor) -> Tensor:
        return response_at(psf, y, x, *self._frequencies(psf))

    def _frequencies(self, like: Tensor) -> tuple[Tensor, Tensor]:
        wavelength, focal_length = self.light(like)
        ratio = (wavelength / self.bench.wavelength) * (focal_length / self.bench.focal_length)
        if self.mask_scale is not None:
            ratio = ratio / as_scalar(self.mask_scale, like)
        angle = None if self.mask_rotation is None else as_scalar(self.mask_rotation, like)
        return turned_frequencies(self.bench.grid, self.bench.lit_shape, ratio, angle)

    def _phase_factor(self, like: Tensor) -> Tensor:
        """By how much the phase of a relief is larger than designed."""
        depth = 1.0 if self.phase_scale is None else self.phase_scale
        index = 1.0 if self.index_ratio is None else self.index_ratio
        wavelength, _ = self.light(like)
        return as_scalar(depth, like) * as_scalar(index, like) * (self.bench.wavelength / wavelength)

    def __str__(self) -> str:
        return f"{self.bench} | perturbed: {self.extra_repr() or 'nothing'}"

    def extra_repr(self) -> str:
        """What print shows."""
        said = [_said(name, value) for name in _NUMBERS if (value := getattr(self, name)) is not None]
        if self.dead is not None:
            said.append(f"{int(self.dead.sum())} of {self.dead.numel()} pixels dead")
        return ", ".join(said)


def perturbed(
    bench: FourF,
    *,
    mask_shift: Any = None,
    mask_rotation: Any = None,
    mask_scale: Any = None,
    axial_shift: Any = None,
    wavelength: Any = None,
    focal_length_error: Any = None,
    phase_scale: Any = None,
    index_ratio: Any = None,
    dead_pixels: float | Tensor | None = None,
    seed: int = 0,
) -> Perturbed:
    r"""A 4f system whose masks stand, or were made, not quite as designed; the system itself is not changed.

    With h the kernel of a mask, x and x0 on the output and input plane in coordinates of the latter:

    - shift :math:`\delta`: :math:`h\, e^{2\pi i\, \delta x/(\lambda f)}`;
    - axial shift: :math:`h(x - x_0)\, e^{i\pi\, \delta z\, (x^2 - x_0^2)/(\lambda f^2)}`;
    - rotation: h turned by as much; made larger by m: :math:`m^2 h(m x)`;
    - wavelength and focal length larger by q: :math:`h(x/q)/q^2`, from :math:`T(q\nu)`;
    - relief: its phase, within one wave, times ``phase_scale`` :math:`\lambda/\lambda'` ``index_ratio``.

    Scalar, paraxial, thin masks, circular as the system: the two shifts are exact for all light that does not
    wrap round. Masks of kernels are computed from the kernels at the new frequencies. Sampled ones, and any
    with dead pixels, are interpolated as the transform of their point-spread function on the input plane,
    and are dark beyond the Fourier plane. Only a relief depends on the wavelength, up to a phase common to
    all masks. Stop and pupil move with the masks when these are shifted; they are not rotated or scaled, and
    keep the frequencies that they pass when the light changes.

    Args:
        bench: The system as designed.
        mask_shift: (dy, dx) of the masks [m]; a pair of quantities, or a tensor of shape (2,).
        mask_rotation: From +x towards +y [rad]; a quantity or string such as "1 deg", or a tensor.
        mask_scale: Size of the masks over that designed.
        axial_shift: How far the masks stand behind the focal plane, along the light [m].
        wavelength: True wavelength in vacuum [m].
        focal_length_error: Relative, of both lenses; planes are taken to stand in the true focal planes.
        phase_scale: Depth of the relief over that designed; an etch error eps is 1 + eps. Phase masks only.
        index_ratio: :math:`(n(\lambda')-1)/(n(\lambda)-1)` of the relief's material, 1 if not given. Phase
            masks only, with a wavelength.
        dead_pixels: Opaque pixels: their fraction, drawn anew for each mask, or True where a pixel is dead,
            of shape (H', W') or (C_out, C_in, H', W') inside the stop.
        seed: For the draw.

    Raises:
        TypeError: If a length or angle has no unit, or the system is no :class:`~optics4f.system.FourF`.
        ValueError: If a number is not finite, or a ratio or wavelength not positive, or a tensor or map has
            another shape; if the masks have no phase to scale.

    Source: J. W. Goodman, Introduction to Fourier Optics, 3rd ed., sections 4.2, 5.2 and 8.1.
    """
    if not isinstance(bench, FourF):
        raise TypeError(f"perturbed: expected a FourF, got {type(bench).__name__}; collapse a cascade first.")
    given = {"mask_shift": mask_shift, "mask_rotation": mask_rotation, "mask_scale": mask_scale}
    given |= {"axial_shift": axial_shift, "wavelength": wavelength, "focal_length_error": focal_length_error}
    given |= {"phase_scale": phase_scale, "index_ratio": index_ratio}
    numbers = {name: None if value is None else _number(name, value) for name, value in given.items()}
    for name in ("phase_scale", "index_ratio"):
        if given[name] is not None and not isinstance(bench.masks, PhaseMask):
            got = type(bench.masks).__name__
            raise ValueError(f"perturbed {name}: expected phase masks, which have a relief, got {got}.")
    if index_ratio is not None and wavelength is None:
        raise ValueError("perturbed index_ratio: expected a wavelength with it, got none.")
    return Perturbed(bench, numbers, None if dead_pixels is None else _dead_map(bench, dead_pixels, seed))


def _number(name: str, value: Any) -> Tensor:
    unit, least = _NUMBERS[name]
    shape = (2,) if name == "mask_shift" else ()
    said = f"perturbed {name}"
    if isinstance(value, Tensor):
        number = value
    elif name == "mask_shift":
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"{said}: expected a pair (dy, dx) or a tensor of shape (2,), got {value!r}.")
        number = torch.tensor([si(part, unit, said) for part in value], dtype=torch.float64)
    elif unit:
        number = torch.tensor(si(value, unit, said), dtype=torch.float64)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{said}: expected a number without a unit, got {value!r}.")
    else:
        number = torch.tensor(float(value), dtype=torch.float64)
    if not number.is_floating_point() or number.shape != shape:
        got = f"{number.dtype} of shape {tuple(number.shape)}"
        raise ValueError(f"{said}: expected a real tensor of shape {shape}, got {got}.")
    if not bool((torch.isfinite(number) & (number > least)).all()):
        wanted = "finite" if least == -math.inf else f"finite and more than {least:g}"
        raise ValueError(f"{said}: expected what is {wanted}, got {number.tolist()}.")
    return number


def _dead_map(bench: FourF, dead: float | Tensor, seed: int) -> Tensor:
    lit = bench.lit_shape
    whole = (*bench.masks.channels, *lit)
    if isinstance(dead, Tensor):
        if dead.dtype != torch.bool or tuple(dead.shape) not in (lit, whole):
            got = f"{dead.dtype} of shape {tuple(dead.shape)}"
            raise ValueError(
                f"perturbed dead_pixels: expected a boolean map of shape {lit} or {whole}, got {got}."
            )
        return dead.clone()
    if isinstance(dead, bool) or not isinstance(dead, (int, float)) or not 0 <= dead <= 1:
        raise ValueError(
            f"perturbed dead_pixels: expected a fraction in [0, 1] or a boolean map, got {dead!r}."
        )
    generator = torch.Generator().manual_seed(checked_seed("perturbed", seed))
    return torch.rand(whole, generator=generator, dtype=torch.float64) < dead


def _said(name: str, value: Tensor) -> str:
    unit, _ = _NUMBERS[name]
    parts = [float(part) for part in value.detach().reshape(-1)]
    said = ", ".join(compact(part, unit) if unit == "m" else f"{part:.6g} {unit}".rstrip() for part in parts)
    said = f"({said})" if len(parts) > 1 else said
    return f"{name.replace('_', ' ')} {said}{' (trained)' if isinstance(value, nn.Parameter) else ''}"
