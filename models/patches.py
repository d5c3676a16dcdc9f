"""Training one bank of small kernels in space: patches of the picture and their powers on the pixels."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optics4f.cascade import Cascade
from optics4f.elements import IntensityDetector, KernelMask
from optics4f.elements.masks import CONVENTIONS
from optics4f.elements.sources import EvenIllumination
from optics4f.fourier import centred_index, invert
from optics4f.system import FourF

from .sclc import SCLC
from .taps import bound_factor, has_taps

STEADY = 1e-3
"""Added to the variance of a component before it is made 1: rarer patterns than that are noise."""
ROWS = 1024
"""Patches at a time: their fields stay in cache between the product and the square."""


def patch_components(pictures: Tensor, size: int, count: int) -> Tensor:
    r"""The commonest patterns of small patches, each scaled to a mean square of about 1.

    .. math:: C = \langle p\,p^T \rangle = U \Lambda U^T, \qquad b_j = u_j / \sqrt{\lambda_j + \epsilon}

    Kernels :math:`\kappa = \sum_j v_j b_j` meet patches whose coordinates have equal strength, so that one
    learning rate suits all of them; with fewer components than the k k C of a patch, the kernels have no part
    in what is rare. Nothing is subtracted: light has no mean to take away.

    Args:
        pictures: Shape (B, C, H, W); patches are taken round the edges, as the light is.
        size: Side k of the patches [samples], odd.
        count: Number of components.

    Returns:
        Shape (count, C, k, k), the strongest first.

    Raises:
        ValueError: If there are more components than numbers in a patch, or the side is even.
    """
    numbers = pictures.shape[1] * size * size
    if size % 2 == 0 or not 1 <= count <= numbers:
        raise ValueError(
            f"patch_components: expected an odd side and 1 to {numbers} components, got {size} and {count}."
        )
    moment = torch.zeros(numbers, numbers, dtype=torch.float64, device=pictures.device)
    total = 0
    for some in pictures.split(64):
        patches = F.unfold(_around(some, size), size).transpose(0, 1).flatten(1)
        moment += (patches @ patches.mT).double()
        total += patches.shape[1]
    values, vectors = torch.linalg.eigh(moment / total)
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    components = vectors / (values.clamp(min=0) + STEADY).sqrt()
    found: Tensor = components.mT.to(pictures.dtype).unflatten(1, (-1, size, size)).contiguous()
    return found


class PatchStudent(nn.Module):
    r"""A ``detected`` student with one bank of small complex kernels and no stop, trained patch by patch.

    The field at a sample is a product of the picture's patch with the kernel,
    :math:`U_c(x) = \sum_j v_{cj} \langle b_j, p(x) \rangle`, with the components b of
    :func:`patch_components` and the coefficients v, which are what is trained. The pixels integrate
    :math:`|U|^2` as read at the samples of the plane,

    .. math:: P_{cp} = \sum_x A_{px} |U_c(x)|^2 ,

    where the detector itself reads it at twice as many: an intensity has twice the bandwidth of its field.
    What differs is the part of the intensity beyond the plane's own bandwidth, which pixels several samples
    wide hardly see. In training only every ``stride``-th sample is read, from a start drawn anew for each
    batch: noise that costs nothing and saves stride^2 of the work. :meth:`finish` gives the student itself,
    with the engine's own detector.

    Args:
        student: ``detected``, one stage, complex kernels of odd size, no stop, even light.
        pictures: From which the components and, at the end, the moments of the signal are taken.
        components: Number of them; 0: as many as a patch has numbers.
        stride: Of the samples that are read in training.

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).

    Raises:
        ValueError: For another student, or a stride that does not divide the plane.
    """

    def __init__(self, student: SCLC, pictures: Tensor, components: int = 0, stride: int = 1) -> None:
        super().__init__()
        stage = _only_stage(student)
        kernels = cast(KernelMask, stage.masks).kernels
        outputs, inputs, size = kernels.shape[0], kernels.shape[1], kernels.shape[2]
        if any(n % stride for n in stage.grid.shape):
            raise ValueError(
                f"PatchStudent: expected a stride that divides {stage.grid.shape}, got {stride}."
            )
        basis = patch_components(student.shown(pictures), size, components or inputs * size * size)
        self.student, self.stride = student, stride
        kernels.requires_grad_(False)
        self.register_buffer("basis", basis)
        start = torch.randn(len(basis), 2 * outputs, generator=torch.Generator().manual_seed(0))
        self.coefficients = nn.Parameter(start.to(basis) / math.sqrt(len(basis)))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits, with the power on the pixels as read at the samples."""
        result: Tensor = self.student.back_end(self.power(pictures))
        return result

    def power(self, pictures: Tensor) -> Tensor:
        """Power on every pixel (B, C_out, p_y, p_x), as the student's gain gives it."""
        stage, stride = _only_stage(self.student), self.stride if self.training else 1
        plane = self.student.shown(pictures).flip(-2)  # row 0 of a plane is its lowest y
        plane = invert(plane) if stage.invert_output else plane
        start = torch.randint(stride, (2,)).tolist()
        plane = plane.roll((-start[0], -start[1]), (-2, -1))
        basis = self.get_buffer("basis").contiguous(memory_format=torch.channels_last)
        around = _around(plane, basis.shape[-1]).contiguous(memory_format=torch.channels_last)
        fields = F.conv2d(around, basis, stride=stride).permute(0, 2, 3, 1)
        pixels = self.student.readout.pixel_grid.shape
        weights = [
            _pixel_weights(n, p, first, stride).to(fields)
            for n, p, first in zip(stage.grid.shape, pixels, start, strict=True)
        ]
        power: Tensor = _Power.apply(fields.contiguous(), self.coefficients, *weights) * math.prod(pixels)
        return power

    def kernels(self) -> Tensor:
        """The kernels of the masks, complex (C_out, C_in, k, k)."""
        stage = _only_stage(self.student)
        convention = CONVENTIONS[cast(KernelMask, stage.masks).convention]
        real, imaginary = torch.einsum("jcyx,jo->ocyx", self.get_buffer("basis"), self.coefficients).chunk(2)
        kernels = torch.complex(real, imaginary)
        # A forward pass correlates what it sees; the bench sees the plane turned round, or convolves.
        return kernels.flip((-2, -1)) if stage.invert_output == (convention == 1) else kernels

    @torch.no_grad()
    def finish(self, pictures: Tensor) -> SCLC:
        """The student with the trained kernels, its gain, and the moments of what its own detector reads."""
        student = self.student.eval()
        stage = _only_stage(student)
        masks = cast(KernelMask, stage.masks)
        masks.kernels.copy_(torch.view_as_real(self.kernels()))
        light = cast(EvenIllumination, student.source.illumination)
        amplitude = light.peak * stage.amplitude_factor * bound_factor(stage, self.kernels())
        pixels = student.readout.pixel_grid.shape
        student.back_end.get_buffer("gain").fill_(math.prod(pixels) / (student.readout.area * amplitude**2))
        norm: Any = student.back_end.standardise
        signals = [student.back_end.companded(student.signal(some)) for some in pictures.split(128)]
        moments = torch.var_mean(torch.cat(signals), (0, 2, 3))
        norm.running_var.copy_(moments[0])
        norm.running_mean.copy_(moments[1])
        return student


class SpatialStudent(nn.Module):
    """A finished ``detected`` student of small kernels for fast inference: convolutions, squares, pixels.

    As :class:`PatchStudent` it reads the intensity at the samples of the plane.

    Args:
        student: As for :class:`PatchStudent`.

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).
    """

    def __init__(self, student: SCLC) -> None:
        super().__init__()
        stage = _only_stage(student)
        masks = cast(KernelMask, stage.masks)
        kernels = torch.view_as_complex(masks.kernels.detach())
        turned = stage.invert_output == (CONVENTIONS[masks.convention] == 1)
        kernels = kernels.flip((-2, -1)) if turned else kernels
        light = cast(EvenIllumination, student.source.illumination)
        factor = (
            light.peak * stage.amplitude_factor * bound_factor(stage, torch.view_as_complex(masks.kernels))
        )
        factor = factor.detach() * math.sqrt(student.readout.area)
        self.register_buffer("kernels", torch.cat((kernels.real, kernels.imag)) * factor)
        pixels = student.readout.pixel_grid.shape
        for name, n, p in zip(("rows", "columns"), stage.grid.shape, pixels, strict=True):
            self.register_buffer(name, _pixel_weights(n, p, 0, 1).to(self.get_buffer("kernels")))
        self.inverted, self.shown = stage.invert_output, student.shown
        self.back_end = student.back_end.folded()

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        plane = self.shown(pictures).flip(-2)
        plane = invert(plane) if self.inverted else plane
        kernels = self.get_buffer("kernels")
        square = F.conv2d(_around(plane, kernels.shape[-1]), kernels).square()
        real, imaginary = square.chunk(2, 1)
        power = self.get_buffer("rows") @ (real + imaginary) @ self.get_buffer("columns").mT
        result: Tensor = self.back_end(power)
        return result


class _Power(torch.autograd.Function):
    """A_y |fields V|^2 A_x^T, a few patches at a time; the way back computes the fields again, in cache."""

    @staticmethod
    def forward(ctx: Any, fields: Tensor, coefficients: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(fields, coefficients, rows, columns)
        count, half = coefficients.shape[1], coefficients.shape[1] // 2
        powers = []
        for some in fields.split(_pictures_at_once(fields)):
            square = (some.flatten(0, 2) @ coefficients).square_()
            lines = rows @ square.view(len(some), some.shape[1], -1)  # (b, p_y, W 2C)
            powers.append(columns @ lines.view(len(some), len(rows), some.shape[2], count))
        power = torch.cat(powers)  # (B, p_y, p_x, 2C)
        return (power[..., :half] + power[..., half:]).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        fields, coefficients, rows, columns = ctx.saved_tensors
        count = coefficients.shape[1]
        arriving = 2 * gradient.permute(0, 2, 3, 1)
        arriving = torch.cat((arriving, arriving), -1)
        found = torch.zeros_like(coefficients)
        at_once = _pictures_at_once(fields)
        for some, back in zip(fields.split(at_once), arriving.split(at_once), strict=True):
            patches = some.flatten(0, 2)
            lines = (columns.mT @ back).view(len(some), len(rows), -1)
            slope = (rows.mT @ lines).view(-1, count)
            found.addmm_(patches.mT, slope.mul_(patches @ coefficients))
        return None, found, None, None


def _pictures_at_once(fields: Tensor) -> int:
    return max(1, ROWS // (fields.shape[1] * fields.shape[2]))


def _around(pictures: Tensor, size: int) -> Tensor:
    return F.pad(pictures, [size // 2] * 4, mode="circular")


def _pixel_weights(samples: int, pixels: int, first: int, stride: int) -> Tensor:
    r"""Integrals over pixels of a periodic function read at samples ``first``, ``first + stride``, ...

    As :func:`~optics4f.fourier.pixel_integration_matrix`, which has ``first = 0`` and ``stride = 1``.
    """
    read = samples // stride
    place = (centred_index(samples)[first::stride] / samples)[None, :]
    k = torch.arange(1, (read + 1) // 2, dtype=torch.float64)
    turns = centred_index(pixels)[:, None] / pixels - place
    waves = torch.cos(2 * math.pi * turns[..., None] * k) @ torch.sinc(k / pixels)
    return (1 + 2 * waves) / (pixels * read)


def _only_stage(student: SCLC) -> FourF:
    optics = student.optics
    stage = optics.systems[0] if isinstance(optics, Cascade) and len(optics.systems) == 1 else None
    fits = isinstance(stage, FourF) and has_taps(stage) and stage.stop is None
    fits = fits and cast(KernelMask, cast(FourF, stage).masks).is_complex
    fits = fits and type(student.readout) is IntensityDetector
    if not fits or not isinstance(student.source.illumination, EvenIllumination):
        raise ValueError(
            "PatchStudent: expected a detected student with one bank of complex kernels, no stop, even light."
        )
    return cast(FourF, stage)
