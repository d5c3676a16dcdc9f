"""Training through the collapse: pictures as the few frequencies that pass, masks as one T(nu)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import KernelMask, LowPassStop
from optics4f.elements.masks import CONVENTIONS
from optics4f.elements.sources import EvenIllumination
from optics4f.fourier import centred_index, crop_center, ft2, ift2, invert, kernel_response
from optics4f.functional import mask_and_sum
from optics4f.grid import Grid, check_field
from optics4f.system import FourF

from .taps import bound_factor, has_taps

if TYPE_CHECKING:
    from .sclc import SCLC


def cropped_spectra(pictures: Tensor, grid: Grid, stop: tuple[int, int]) -> Tensor:
    r"""What a stop lets through of pictures, the only thing that a front end behind it can know of them.

    .. math:: \hat a(\nu) = \frac{1}{\sqrt{HW}} \sum_x a(x)\, e^{-2\pi i \nu x}, \quad |\nu| < m/2

    Exactly ``LowPassStop(stop)(ft2(pictures.flip(-2)))``, by two matrix products that compute nothing else.
    It does not depend on the masks: computed once, it serves all epochs.

    Args:
        pictures: Real, shape (..., H, W), row 0 at the top.
        grid: The input plane.
        stop: Samples ``(m_y, m_x)`` of the last, narrowest stop.

    Returns:
        Complex, shape (..., m_y, m_x), of amplitude 1 for a white picture's unit light.

    Raises:
        TypeError: If the pictures are not real.
        ValueError: If they have another number of samples, or the stop is larger than the plane.
    """
    check_field("cropped_spectra", pictures, grid.shape, "real")
    if any(m > n for m, n in zip(stop, grid.shape, strict=True)):
        raise ValueError(f"cropped_spectra: expected a stop within {grid.shape}, got {tuple(stop)}.")
    rows, columns = (_waves(n, m, pictures) for n, m in zip(grid.shape, stop, strict=True))
    left = stop[1] // 2 + 1  # columns up to frequency 0; the others mirror them, the picture being real
    pairs = torch.view_as_real(columns[:, :left]).flatten(1)
    halves = torch.view_as_complex((pictures @ pairs).unflatten(-1, (left, 2)))
    half = rows.mT.flip(-1) @ halves  # row 0 of a picture is its top
    mirrored = half[..., left - 1 - (stop[1] - 1) // 2 : left - 1].flip(-1).conj()
    mirrored = mirrored.flip(-2).roll(1 - stop[0] % 2, -2)
    pupil = LowPassStop(stop).pupil(grid.shape).to(pictures)
    return torch.cat((half, mirrored), -1) * pupil


def _waves(n: int, m: int, like: Tensor) -> Tensor:
    """Unitary Fourier matrix from n samples to the m central frequencies, (n, m); rounded once."""
    phase = torch.outer(centred_index(n, like), centred_index(m, like)) * (-2 * math.pi / n)
    return torch.polar(torch.full_like(phase, n**-0.5), phase).to(like.dtype.to_complex())


def shift_spectra(spectra: Tensor, shift: Tensor, grid: Grid) -> Tensor:
    r"""Spectra of pictures that were shifted round: :math:`\hat a(\nu)\, e^{-2\pi i \nu s}`, exactly.

    Args:
        spectra: Of :func:`cropped_spectra`, shape (B, ..., m_y, m_x).
        shift: Real or whole numbers, shape (B, 2): samples down and to the right, as ``torch.roll`` counts
            them. Parts of a sample shift as well where the stop is narrower than the plane.
        grid: The input plane.
    """
    turns = [
        shift[:, axis, None].double() * (centred_index(spectra.shape[axis - 2], spectra) * sign / n)
        for axis, sign, n in zip((0, 1), (1, -1), grid.shape, strict=True)  # down is towards -y
    ]
    total = 2 * math.pi * (turns[0][:, :, None] + turns[1][:, None, :])
    ramp = torch.polar(torch.ones_like(total), total).to(spectra.dtype)
    return spectra * ramp.reshape(len(ramp), *[1] * (spectra.ndim - 3), *ramp.shape[1:])


def flip_spectra(spectra: Tensor, flipped: Tensor, grid: Grid) -> Tensor:
    r"""Spectra of pictures of which some were exchanged left for right, exactly.

    The index of the columns is mirrored; on an even plane, whose mirror stands between two samples, there is
    a shift by one sample as well.

    Args:
        spectra: Of :func:`cropped_spectra`, shape (B, ..., m_y, m_x).
        flipped: Which ones, booleans, shape (B,).
        grid: The input plane.
    """
    width = grid.shape[1]
    mirrored = spectra.flip(-1).roll(1 - spectra.shape[-1] % 2, -1)
    phase = centred_index(spectra.shape[-1], spectra) * (2 * math.pi * (1 - width % 2) / width)
    mirrored = mirrored * torch.polar(torch.ones_like(phase), phase).to(spectra.dtype)
    return torch.where(flipped.reshape(-1, *[1] * (spectra.ndim - 1)), mirrored, spectra)


def augmented_spectra(
    spectra: Tensor, grid: Grid, largest_shift: int, generator: torch.Generator | None = None
) -> Tensor:
    """Spectra as of pictures shifted round by up to some whole samples both ways, every second one mirrored.

    Args:
        spectra: Shape (B, ..., m_y, m_x).
        grid: The input plane.
        largest_shift: [samples].
        generator: On the CPU, so that a seed means the same everywhere.
    """
    count = len(spectra)
    shift = torch.randint(-largest_shift, largest_shift + 1, (count, 2), generator=generator)
    flipped = torch.rand(count, generator=generator) < 0.5
    moved = flip_spectra(spectra, flipped.to(spectra.device), grid)
    return shift_spectra(moved, shift.to(spectra.device), grid)


def front_transfer(optics: Cascade) -> Tensor:
    r"""``optics.transfer()`` for training: T(nu) of a row, its masks never being computed one by one.

    A stage of kernels takes the transfer of the stages before it tap by tap,

    .. math:: T_{oc}(\nu) = c \sum_{mj} h_{omj} \left[ e^{\pm 2\pi i \nu j} T'_{mc}(\nu) \right]

    which is one product of real matrices, of size C_out x (C_mid taps) x (C_in frequencies), in place of
    C_out C_mid responses. Real kernels need half the frequencies. The factor c of the combiner ``"bound"``
    follows from the kernels' summed autocorrelation, exactly. Any other stage gives its own transfer.

    Returns:
        Shape (C_out, C_in, H', W') inside the last stop, and the same gradients.
    """
    systems = optics.systems
    shape = systems[-1].lit_shape
    count = shape[0] * shape[1]
    hermitian = count % 2 == 1 and all(_is_real(stage) for stage in systems)
    few = count // 2 + 1 if hermitian else count
    total: Tensor | None = None
    inverted = False
    for stage in systems:
        through = _through_taps if has_taps(stage) else _through_responses
        total = through(stage, total, shape, few, inverted)
        inverted ^= stage.invert_output
    assert total is not None  # a cascade has at least one stage
    if hermitian:  # the second half of an odd plane is the first one, turned round
        total = torch.cat((total, total[..., :-1].flip(-1).conj()), -1)
    transfer: Tensor = total.unflatten(-1, shape)
    return transfer


def _is_real(stage: FourF) -> bool:
    return has_taps(stage) and not cast(KernelMask, stage.masks).is_complex


def _through_responses(
    stage: FourF, total: Tensor | None, shape: tuple[int, int], few: int, inverted: bool
) -> Tensor:
    own = crop_center(stage.transfer(), shape)
    own = (invert(own) if inverted else own).flatten(2)[..., :few]
    return own if total is None else torch.einsum("omf,mcf->ocf", own, total)


def _through_taps(
    stage: FourF, total: Tensor | None, shape: tuple[int, int], few: int, inverted: bool
) -> Tensor:
    kernels = _kernels(stage)
    taps = _tap_phases(stage, shape, kernels, inverted)[:, :few]  # (k l, F)
    factor = bound_factor(stage, kernels)
    if total is None:
        return (kernels * factor).flatten(2).to(taps.dtype) @ taps
    arms = taps[:, None] * total[:, None]  # (C_mid, k l, C_in, F)
    weights = (kernels * factor).flatten(1)
    if kernels.is_complex():
        return torch.einsum("ow,wcf->ocf", weights, arms.flatten(0, 1))
    pairs = torch.view_as_real(arms).flatten(2).flatten(0, 1)
    return torch.view_as_complex((weights @ pairs).unflatten(-1, (*arms.shape[2:], 2)))


def _kernels(stage: FourF) -> Tensor:
    masks = cast(KernelMask, stage.masks)
    return torch.view_as_complex(masks.kernels) if masks.is_complex else masks.kernels


def _tap_phases(stage: FourF, shape: tuple[int, int], kernels: Tensor, inverted: bool) -> Tensor:
    """What each tap of a kernel adds to its response, with the stage's own stop, (k l, H' W')."""
    sign = CONVENTIONS[cast(KernelMask, stage.masks).convention] * (-1 if inverted else 1)
    height, width = kernels.shape[-2:]
    unit = torch.eye(height * width, dtype=kernels.real.dtype, device=kernels.device)
    phases = kernel_response(unit.unflatten(-1, (height, width)), stage.grid.shape, shape, sign)
    if stage.stop is not None:
        phases = phases * crop_center(stage.stop.pupil(stage.grid.shape), shape).to(phases.real)
    return phases.flatten(1)


class CollapsedStudent(nn.Module):
    r"""A student that is trained through its collapse: cropped spectra in, logits out.

    The factors give T(nu), the batch meets it once, and the field in the output plane is a small transform
    of the product. It holds the student itself, whose parameters get the same gradients as stage by stage.

    Args:
        student: With a :class:`~optics4f.cascade.Cascade` as front end, in even light.

    Shape:
        :meth:`spectra` of pictures, (B, C_in, m_y, m_x) complex, to logits (B, classes).

    Raises:
        ValueError: For another front end or light.
    """

    def __init__(self, student: SCLC) -> None:
        super().__init__()
        optics, light = student.optics, student.source.illumination
        if not isinstance(optics, Cascade):
            raise ValueError(f"CollapsedStudent: expected a Cascade in front, got {type(optics).__name__}.")
        if not isinstance(light, EvenIllumination):
            raise ValueError(f"CollapsedStudent: expected even illumination, got {type(light).__name__}.")
        self.student = student
        self.stop = optics.systems[-1].lit_shape
        self.inverted = sum(stage.invert_output for stage in optics.systems) % 2 == 1
        self.factor = light.peak * math.prod(stage.amplitude_factor for stage in optics.systems)

    def spectra(self, pictures: Tensor) -> Tensor:
        """What :meth:`forward` takes; computed once for all epochs."""
        shown = self.student.shown(pictures)
        return cropped_spectra(shown, self.student.source.grid, self.stop)

    def forward(self, spectra: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.student.back_end(self.signal(spectra))
        return result

    def signal(self, spectra: Tensor) -> Tensor:
        """What the sensor reads, (B, C_out, p_y, p_x), as :meth:`SCLC.signal`."""
        optics = cast(Cascade, self.student.optics)
        check_field("CollapsedStudent", spectra, (optics.systems[0].masks.channels[1], *self.stop))
        product = mask_and_sum(spectra, front_transfer(optics) * self.factor)
        result: Tensor = self.student.readout(ft2(product) if self.inverted else ift2(product))
        return result
