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


BOTH = ((0.0, 0.0), (0.5, 0.5))
"""Where evaluation begins to read [samples]."""


class PatchStudent(nn.Module):
    r"""A ``detected`` student with one bank of small complex kernels and no stop, trained patch by patch.

    The field at a sample is a product of the picture's patch with the kernel,
    :math:`U_c(x) = \sum_j v_{cj} \langle b_j, p(x) \rangle`, with the components b of
    :func:`patch_components` and the coefficients v, which are what is trained. The pixels integrate
    :math:`|U|^2` as read at the samples of the plane,

    .. math:: P_{cp} = \sum_x A_{px} |U_c(x)|^2 ,

    where the detector itself reads it at twice as many each way: an intensity has twice the bandwidth of its
    field. Read at the samples alone, its high frequencies pose as low ones, which a student learns to
    use, in vain. So in training every ``stride``-th sample is read, from a start drawn anew for each batch
    that may lie half-way between two samples: in the mean over all starts no frequency poses as another. Of
    the pixels' edges training keeps the frequencies that so few samples tell apart, for less noise. In
    evaluation two starts are read, at the samples and half-way along both axes; what poses as something
    else then is beyond the plane's bandwidth along both axes at once, and little. Half-way, a picture is its
    band-limited interpolation, without the sine at the highest frequency of an even plane, which is not in
    its samples. :meth:`finish` gives the student itself, with the engine's own detector.

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
        if not self.training:
            both = [self.power_from(pictures, start, 1) for start in BOTH]
            return torch.stack(both).mean(0)
        start = (torch.randint(2 * self.stride, (2,)) / 2).tolist()
        return self.power_from(pictures, (start[0], start[1]), self.stride, soft=True)

    def power_from(
        self, pictures: Tensor, start: tuple[float, float], stride: int, soft: bool = False
    ) -> Tensor:
        """Power on every pixel from the intensity at every ``stride``-th sample from a start on.

        Args:
            pictures: Shape (B, C, H, W).
            start: First sample, in halves.
            stride: Of the samples.
            soft: Whether pixels have the edges that these samples can tell.
        """
        plane = self.student.shown(pictures).flip(-2)  # row 0 of a plane is its lowest y
        plane = invert(plane) if _only_stage(self.student).invert_output else plane
        plane = moved_by(plane, start)
        basis = self.get_buffer("basis").contiguous(memory_format=torch.channels_last)
        around = _around(plane, basis.shape[-1]).contiguous(memory_format=torch.channels_last)
        fields = F.conv2d(around, basis, stride=stride).permute(0, 2, 3, 1)
        pixels = self.student.readout.pixel_grid.shape
        weights = [
            _pixel_weights(n, p, first, stride, (n // stride - 1) // 2 if soft else n - 1).to(fields)
            for n, p, first in zip(plane.shape[-2:], pixels, start, strict=True)
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


def moved_by(plane: Tensor, start: tuple[float, float]) -> Tensor:
    """A periodic plane between its samples: what stands at ``start`` comes to (0, 0)."""
    if all(float(s).is_integer() for s in start):
        return plane.roll((-int(start[0]), -int(start[1])), (-2, -1))
    spectrum = torch.fft.rfft2(plane)
    for axis, first in zip((-2, -1), start, strict=True):
        n = plane.shape[axis]
        k = torch.fft.fftfreq(n, 1 / n) if axis == -2 else torch.arange(spectrum.shape[-1])
        phase = 2 * math.pi * first / n * k.to(plane)
        factor = torch.polar(torch.ones_like(phase), phase)
        if n % 2 == 0:  # of a cosine at the highest frequency, what is left of it at the new samples
            factor[n // 2] = math.cos(math.pi * first)
        spectrum = spectrum * (factor[:, None] if axis == -2 else factor)
    moved: Tensor = torch.fft.irfft2(spectrum, s=plane.shape[-2:])
    return moved


def _pixel_weights(samples: int, pixels: int, first: float, stride: int, highest: int) -> Tensor:
    r"""Integrals over pixels from the intensity at ``first``, ``first + stride``, ... samples.

    .. math::
        A_{jn} = \frac{s}{p\,n} \sum_{|k| \le K} \operatorname{sinc}(k/p) \cos\frac{2\pi k (x_j - x_n)}{L}

    With K one less than the samples these are columns of the detector's own matrix, which reads at twice the
    samples. With fewer frequencies the pixels have softer edges, and the noise of few samples is smaller.
    """
    place = ((centred_index(samples)[::stride] + first) / samples)[None, :]
    k = torch.arange(1, highest + 1, dtype=torch.float64)
    turns = centred_index(pixels)[:, None] / pixels - place
    waves = torch.cos(2 * math.pi * turns[..., None] * k) @ torch.sinc(k / pixels)
    return (1 + 2 * waves) * stride / (pixels * samples)


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
