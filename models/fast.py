"""A trained student as one small inference module: all that does not depend on the picture is folded."""

from __future__ import annotations

import copy
import math
from typing import cast

import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import HomodyneReadout, IntensityDetector
from optics4f.elements.sources import EvenIllumination
from optics4f.fourier import centred_index, pixel_integration_matrix
from optics4f.grid import check_field
from optics4f.system import FourF

from .back_end import BackEnd
from .sclc import SCLC


class Crop(nn.Module):
    """The real numbers of a picture that pass the stop: two products with real waves, cos and sin.

    Shape:
        (B, C, H, W) real, row 0 at the top, to (B, C, w_y, w_x) with w waves each way.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.plane = (len(rows), len(columns))
        self.register_buffer("rows", rows.flip(0).mT.contiguous())
        self.register_buffer("columns", columns.contiguous())

    def forward(self, picture: Tensor) -> Tensor:
        """The two products."""
        check_field("deployed", picture, self.plane, "real")
        lines = self.rows @ picture
        waves: Tensor = (lines.flatten(0, -2) @ self.columns).unflatten(0, lines.shape[:-1])
        return waves


class Affine(nn.Module):
    """A ``strict`` student: its crop, and one real matrix from there to the logits.

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).
    """

    def __init__(self, crop: Crop, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.crop = crop
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        crop = self.crop(picture).flatten(1)
        return nn.functional.linear(crop, self.get_buffer("weight"), self.get_buffer("bias"))


class Quadratic(nn.Module):
    r"""A ``detected`` student: its crop x, and one quadratic form :math:`x^T Q_k x + b_k` for each class.

    Its cost does not depend on the number of masks and pixels. Each pair is counted once, along the diagonals
    of Q, which turn round at its edges: :math:`x_i x_{i+\delta}` for :math:`0 \le \delta \le d/2`.

    Args:
        crop: What passes the stop.
        forms: Symmetric, shape (classes, d, d).
        bias: (classes).

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).
    """

    def __init__(self, crop: Crop, forms: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.crop, self.size = crop, forms.shape[-1]
        index = torch.arange(self.size, device=forms.device)[:, None]
        delta = torch.arange(self.size // 2 + 1, device=forms.device)
        once = (delta == 0) | (2 * delta == self.size)  # the diagonal, or met from both ends
        weight = forms[:, index, (index + delta) % self.size] * (2 - once.to(forms))
        self.register_buffer("weight", weight.flatten(1))
        self.register_buffer("bias", bias)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        crop = self.crop(picture).flatten(1)
        diagonals = torch.cat((crop, crop[:, : self.size // 2]), 1).unfold(1, self.size, 1)
        # Windows of one row: in this order their product is contiguous without a copy.
        pairs = (crop[:, :, None] * diagonals.mT).flatten(1)
        return nn.functional.linear(pairs, self.get_buffer("weight"), self.get_buffer("bias"))


class Planes(nn.Module):
    r"""A ``detected`` student: its crop, the masks, :math:`|U|^2` on the pixels, and one layer.

    All planes are computed with the channels last, so that each step is one product of real matrices. A field
    that is complex counts as two real ones. Waves are cos and sin of the G frequencies from 0 on.

    Args:
        crop: What passes the stop.
        masks: For each pair of frequencies, from 4 C_in to 4 F real numbers, (G_y, G_x, 4 C_in, 4 F).
        samples: Waves at the samples of the output plane, rows and columns, (s, 2 G).
        integrals: Of the samples over the pixels, rows and columns, (p, s).
        weight: (classes, p_y p_x F).
        bias: (classes).

    Shape:
        Pictures (B, C, H, W) to logits (B, classes).
    """

    def __init__(
        self,
        crop: Crop,
        masks: Tensor,
        samples: list[Tensor],
        integrals: list[Tensor],
        weight: Tensor,
        bias: Tensor,
    ) -> None:
        super().__init__()
        self.crop, self.groups = crop, (masks.shape[0], masks.shape[1])
        self.register_buffer("masks", masks.flatten(0, 1).contiguous())
        for name, pair in (("sample", samples), ("integrate", integrals)):
            self.register_buffer(f"{name}_rows", pair[0])
            self.register_buffer(f"{name}_columns", pair[1])
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        return self.behind(self.crop(picture))

    def behind(self, crop: Tensor) -> Tensor:
        """Logits of what passes the stop, (B, C_in, 2 G_y, 2 G_x)."""
        part = self.get_buffer
        down, right = self.groups
        batch = len(crop)
        light = crop.unflatten(-1, (right, 2)).unflatten(-3, (down, 2))  # (B, C, Gy, 2, Gx, 2)
        light = light.permute(2, 4, 0, 1, 3, 5).reshape(down * right, batch, -1)
        waves = torch.bmm(light, part("masks")).view(down, right, batch, 2, 2, -1)
        waves = waves.permute(0, 3, 1, 4, 2, 5).reshape(2 * down, -1)  # (2 Gy, 2 Gx B F)
        field = part("sample_columns") @ (part("sample_rows") @ waves).unflatten(1, (2 * right, -1))
        lines = part("integrate_rows") @ field.square().flatten(1)
        power = part("integrate_columns") @ lines.unflatten(1, (field.shape[1], -1))  # (p_y, p_x, B F)
        signal = power.unflatten(-1, (batch, -1)).permute(2, 0, 1, 3).flatten(1)
        return nn.functional.linear(signal, part("weight"), part("bias"))

    def products(self) -> int:
        """Multiplications behind the crop, per picture."""
        sizes = {name: tensor.shape for name, tensor in self.named_buffers(recurse=False)}
        fields = self.get_buffer("masks").shape[-1] // 4
        (down, gy), (across, gx) = sizes["sample_rows"], sizes["sample_columns"]
        py, px = len(self.get_buffer("integrate_rows")), len(self.get_buffer("integrate_columns"))
        per_field = down * gy * gx + down * across * gx + py * down * across + py * across * px
        return fields * per_field + self.get_buffer("masks").numel() + self.get_buffer("weight").numel()


def deployed(student: SCLC) -> Affine | Quadratic | Planes:
    r"""The student in evaluation as an inference module, equal to it up to rounding.

    A real picture leaves :math:`m_y m_x` real numbers per channel behind the stop. ``strict`` is one matrix
    from these to the logits. ``detected`` is a quadratic form in them where that is cheaper than T(nu), the
    field at 2m - 1 points each way, which its square needs, and the power on the pixels. Source, gain and
    standardisation are folded. Built in double precision and rounded once; it does not follow later training.

    Args:
        student: With 4f systems in front, in even light, and one fully connected layer behind.

    Raises:
        ValueError: For anything else, or an even plane without a stop, whose highest frequency is one-sided.
    """
    systems, factor = _checked(student)
    stop, like = systems[-1].lit_shape, student.back_end.linear.weight.detach()
    with torch.no_grad():
        transfer = cast(FourF, copy.deepcopy(student.optics).double()).transfer() * factor
    inverted = sum(stage.invert_output for stage in systems) % 2 == 1
    masks = _real_masks(transfer, inverted)
    weight, bias = _one_layer(student.back_end, student.readout.pixel_grid.shape)
    waves = [_waves(n, n, m).to(like.device) for n, m in zip(student.source.grid.shape, stop, strict=True)]
    found: Affine | Quadratic | Planes
    if isinstance(student.readout, HomodyneReadout):
        found = _affine(Crop(waves[0], waves[1]), masks, student.readout, stop, weight, bias)
    else:
        found = _quadratic(_planes(Crop(waves[0], waves[1]), masks, student.readout, stop, weight, bias))
    return found.to(like).eval()


def _checked(student: SCLC) -> tuple[list[FourF], float]:
    """The 4f systems in front, and what the source and all lenses multiply by."""
    optics, light = student.optics, student.source.illumination
    if not isinstance(optics, (Cascade, FourF)):
        raise ValueError(f"deployed: expected 4f systems in front, got {type(optics).__name__}.")
    if not isinstance(light, EvenIllumination):
        raise ValueError(f"deployed: expected even illumination, got {type(light).__name__}.")
    if type(student.readout) not in (HomodyneReadout, IntensityDetector):
        raise ValueError(f"deployed: expected an ideal readout, got {type(student.readout).__name__}.")
    if type(student.back_end) is not BackEnd:
        raise ValueError(
            f"deployed: expected the back end of one layer, got {type(student.back_end).__name__}."
        )
    systems = optics.systems if isinstance(optics, Cascade) else [optics]
    sides = zip(systems[-1].lit_shape, optics.grid.shape, strict=True)
    if any(m == n and n % 2 == 0 for m, n in sides):
        raise ValueError(f"deployed: expected a stop or an odd plane, got {optics.grid.shape} and no stop.")
    return systems, light.peak * math.prod(stage.amplitude_factor for stage in systems)


def _waves(points: int, period: int, m: int) -> Tensor:
    """Cos and sin of frequencies 0 to (m-1) // 2 at points of one period, (points, 2 G), float64.

    They are orthonormal on ``period`` points.
    """
    index = torch.arange((m - 1) // 2 + 1, dtype=torch.float64)
    turns = torch.outer(centred_index(points), index) * (2 * math.pi / points)
    waves = torch.stack((turns.cos(), turns.sin()), -1) * math.sqrt(2 / period)
    waves[:, 0] /= math.sqrt(2)
    return waves.flatten(1)


def _real_masks(transfer: Tensor, inverted: bool) -> Tensor:
    """T(nu) between real waves: complex, shape (G_y, G_x, C_in, 2, 2, 2, 2, C_out), waves in, then out."""
    m = transfer.shape[-2:]
    frequency = [torch.arange((n - 1) // 2 + 1) for n in m]
    # Frequencies +g and -g of each axis; a second forward transform meets both of the other sign.
    sides = [torch.stack((n // 2 + g, n // 2 - g), -1) for n, g in zip(m, frequency, strict=True)]
    pairs = transfer[..., sides[0], :][..., sides[1]]  # (C_out, C_in, G_y, 2, G_x, 2)
    down, right = (_wave_spectra(len(g)) for g in frequency)
    out = (down.conj(), right.conj()) if not inverted else (down, right)
    return torch.einsum("gsc,htd,oigsht,gsa,htb->ghiabcdo", *out, pairs, down, right)


def _wave_spectra(count: int) -> Tensor:
    """What cos and sin (last) have at frequencies +g and -g (middle), unitary; frequency 0 has +0 alone."""
    pair = torch.tensor([[1, -1j], [1, 1j]], dtype=torch.complex128) / math.sqrt(2)
    spectra = pair.repeat(count, 1, 1)
    spectra[0] = torch.tensor([[1, 0], [0, 0]])
    return spectra


def _one_layer(back_end: BackEnd, pixels: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Weight (classes, C, p_y, p_x) and bias of the whole back end in evaluation, float64."""
    twin = copy.deepcopy(back_end).double()
    twin = twin.folded() if isinstance(twin.standardise, nn.BatchNorm2d) else twin
    weight = twin.linear.weight.detach() * twin.get_buffer("gain")
    return weight.unflatten(1, (-1, *pixels)), twin.linear.bias.detach()


def _affine(
    crop: Crop, masks: Tensor, readout: HomodyneReadout, stop: tuple[int, int], weight: Tensor, bias: Tensor
) -> Affine:
    quadrature = (masks * complex(math.cos(readout.phase), -math.sin(readout.phase))).real
    rows, columns = (  # means over pixels of each wave
        (pixel_integration_matrix(m | 1, p) * p @ _waves(m | 1, m, m)).unflatten(1, (-1, 2))
        for m, p in zip(stop, readout.pixel_grid.shape, strict=True)
    )
    seen = torch.einsum("koyx,ygc->kogcx", weight, rows)
    seen = torch.einsum("kogcx,xhd->kogchd", seen, columns)
    matrix = torch.einsum("kogchd,ghiabcdo->kigahb", seen, quadrature)
    return Affine(crop, matrix.flatten(1), bias)


def _planes(
    crop: Crop, masks: Tensor, readout: IntensityDetector, stop: tuple[int, int], weight: Tensor, bias: Tensor
) -> Planes:
    fields = [masks.real]
    if masks.imag.abs().max() > 1e-6 * masks.real.abs().max():  # no real kernels, beyond their rounding
        fields.append(masks.imag)
    sides = list(zip(stop, readout.pixel_grid.shape, strict=True))
    samples = [_waves(2 * m - 1, m, m).to(masks.device) for m, _ in sides]
    integrals = [pixel_integration_matrix(2 * m - 1, p).to(masks.device) for m, p in sides]
    layer = torch.cat([weight * readout.area] * len(fields), 1).permute(0, 2, 3, 1).flatten(1)
    real = torch.cat(fields, -1).flatten(2, 4).flatten(3)
    return Planes(crop, real, samples, integrals, layer, bias)


def _quadratic(planes: Planes, chunk: int = 4) -> Quadratic | Planes:
    """The quadratic form if it is cheaper: half of its second derivative, one row for each wave.

    A weight of the form is read from memory for one product. That takes twice as long as a product of the
    planes, whose matrices stay in cache.
    """
    live = [torch.arange(2 * count) != 1 for count in planes.groups]  # all but the sines of frequency 0
    crop, bias = planes.crop, planes.get_buffer("bias")
    channels = planes.get_buffer("masks").shape[1] // 4
    lit = (live[0][:, None] & live[1]).to(bias.device).expand(channels, -1, -1)
    size = int(lit.sum())
    if len(bias) * size * (size + 1) > planes.products():
        return planes
    unit = torch.eye(lit.numel(), dtype=bias.dtype, device=bias.device)[lit.flatten()]
    rows = [_derivatives(planes, some.unflatten(1, lit.shape)) for some in unit.split(chunk)]
    forms = torch.cat(rows, 1)[..., lit] / 2
    small = Crop(crop.rows[live[0]].mT.flip(0), crop.columns[:, live[1]])
    return Quadratic(small, forms, bias)


@torch.enable_grad()
def _derivatives(planes: Planes, crop: Tensor) -> Tensor:
    """Of each logit to the crop, (classes, B, C, 2 G_y, 2 G_x)."""
    crop = crop.requires_grad_()
    logits = planes.behind(crop).sum(0)
    return torch.stack([torch.autograd.grad(logit, crop, retain_graph=True)[0] for logit in logits])
