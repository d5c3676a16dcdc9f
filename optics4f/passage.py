"""The light's way through one 4f system, and the gradient's way back, in little memory and time.

One plane is bound by passes over memory, not by its transforms. So products, sums and transforms happen in
place, on a cacheful of outputs at a time, in memory that is kept from call to call; what that is worth is
measured by ``benchmarks/engine.py``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from .fourier import crop_corners, in_fft_order, pad_corners
from .functional import intensity, mask_and_sum
from .mkl import half_planes, in_place, to_half, to_real, transform, transform_

CHUNK = 2**19  # samples of output that are worked on at a time: 4 MB of complex64
CHUNK_ON_DEVICE = 2**26  # the same away from the CPU, where launching work is what costs
KEPT = 2**28  # bytes of one piece of scratch memory beyond which it is not kept


class Scratch(threading.local):
    """Memory that one thread may write over; the same for the same name and size or less."""

    def __init__(self) -> None:
        self._pieces: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """An uninitialised contiguous tensor, valid until the same name is taken again."""
        count = math.prod(shape)
        if device.type != "cpu" or count * dtype.itemsize > KEPT:
            return torch.empty(shape, dtype=dtype, device=device)
        piece = self._pieces.get((name, dtype))
        if piece is None or piece.numel() < count:
            with torch.inference_mode(False):  # an inference tensor could not be written to elsewhere
                piece = self._pieces[name, dtype] = torch.empty(count, dtype=dtype)
        return piece[:count].view(shape)


_scratch = Scratch()


class Kernel:
    """What stands between two plain FFTs: T(nu) in their order, with all factors.

    Args:
        whole: Shape (C_out, C_in, H', W').
        inverted: Whether the second transform is a forward one.
    """

    def __init__(self, whole: Tensor, inverted: bool) -> None:
        self.whole, self.inverted = whole, inverted

    @cached_property
    def half(self) -> Tensor | None:
        r"""What real light needs if T is Hermitian, as for real kernels, so that the light stays real.

        Columns 0 to W // 2, conjugated if inverted; None for any other T.
        """
        if self.whole.device.type == "meta":
            return None
        mirrored = self.whole.flip((-2, -1)).roll((1, 1), (-2, -1)).conj()
        # A real kernel's response is Hermitian to some rounding errors, anything else is far from it.
        rounding = 32 * torch.finfo(self.whole.dtype).eps * self.whole.abs().max()
        if (self.whole - mirrored).abs().max() > rounding:
            return None
        half = self.whole[..., : self.whole.shape[-1] // 2 + 1]
        return (half.conj_physical() if self.inverted else half).contiguous()


def kernel_of(transfer: Tensor, plane: tuple[int, int], inverted: bool, factor: float = 1.0) -> Kernel:
    """What :func:`passage` takes, from T(nu) and the arguments of :func:`~optics4f.fourier.in_fft_order`."""
    return Kernel(in_fft_order(transfer, plane, inverted, factor), inverted)


def passage(field: Tensor, kernel: Kernel, squared: bool = False) -> Tensor:
    """Lens, masks, sum and lens: two plain FFTs with a kernel between them that makes them centred ones.

    A second forward transform inverts the picture; reading it turned round makes it an inverse transform.

    Args:
        field: Real or complex, shape (..., C_in, H, W).
        kernel: From :func:`kernel_of`, for masks of shape (C_out, C_in, H', W').
        squared: Return the intensity in place of the field.

    Returns:
        Shape (..., C_out, H', W').
    """
    if torch.is_grad_enabled() and (field.requires_grad or kernel.whole.requires_grad):
        output: Tensor = _Passage.apply(field, kernel.whole, kernel.inverted, squared)
        return output
    return infer(field, kernel, squared)


def infer(
    field: Tensor, kernel: Kernel, squared: bool = False, chunk: int | None = None, short: bool = True
) -> Tensor:
    """:func:`passage` without gradients, ``chunk`` samples of output at a time.

    With ``short``, real light takes the way through :attr:`Kernel.half`, which is worth making if the kernel
    is used again.
    """
    outputs, inputs, *plane = kernel.whole.shape
    shape = (plane[0], plane[1])
    work: Callable[[Tensor, Tensor, Tensor], None]
    half = kernel.half if short and squared and _stays_real(field, shape) else None
    if half is not None:
        spectrum, masks, work = _half_spectrum(field, shape, kernel.inverted), half, _real_piece
    else:
        spectrum, masks = crop_corners(_spectrum(field), shape), kernel.whole
        work = partial(_complex_piece, inverted=kernel.inverted, squared=squared, alone=outputs * inputs == 1)
    pictures = spectrum.reshape(-1, inputs, *spectrum.shape[-2:])
    masks = masks.to(pictures.dtype)
    dtype = pictures.real.dtype if squared else pictures.dtype
    result = pictures.new_empty((len(pictures), outputs, *plane), dtype=dtype)
    for some, few in _pieces(result, chunk):
        work(pictures[some], masks[few], result[some, few])
    return result.reshape(*field.shape[:-3], outputs, *plane)


def _stays_real(field: Tensor, shape: tuple[int, int]) -> bool:
    """Whether the light is real, and every frequency inside the stop has its partner there."""
    sides = zip(shape, field.shape[-2:], strict=True)
    return not field.is_complex() and all(m % 2 or m == n for m, n in sides)


def _pieces(result: Tensor, chunk: int | None) -> Iterator[tuple[slice, slice]]:
    """Pictures and outputs that make a chunk: several pictures only with all outputs, to be contiguous."""
    chunk = chunk or (CHUNK if result.device.type == "cpu" else CHUNK_ON_DEVICE)
    pictures, outputs, height, width = result.shape
    few = max(1, min(outputs, chunk // max(1, height * width)))
    several = max(1, chunk // max(1, outputs * height * width)) if few == outputs else 1
    for c in range(0, outputs, few):
        for b in range(0, pictures, several):
            yield slice(b, b + several), slice(c, c + few)


def _spectrum(field: Tensor) -> Tensor:
    dtype = field.dtype if field.is_complex() else field.dtype.to_complex()
    spectrum = _scratch.take("spectrum", tuple(field.shape), dtype, field.device)
    if in_place(field):
        return transform(field, inverse=False, out=spectrum)
    return transform_(spectrum.copy_(field), inverse=False)


def _half_spectrum(field: Tensor, shape: tuple[int, int], conjugate: bool) -> Tensor:
    take = partial(_scratch.take, "spectrum", dtype=field.dtype.to_complex(), device=field.device)
    half = to_half(field, half_planes(tuple(field.shape), take))[..., : shape[1] // 2 + 1]
    half = crop_corners(half, (shape[0], half.shape[-1]))
    return half.conj_physical_() if conjugate else half


def _real_piece(pictures: Tensor, masks: Tensor, piece: Tensor) -> None:
    take = partial(_scratch.take, "sum", dtype=pictures.dtype, device=pictures.device)
    light = to_real(_sum_into(half_planes(tuple(piece.shape), take), pictures, masks), piece)
    torch.mul(light, light, out=light)


def _complex_piece(
    pictures: Tensor, masks: Tensor, piece: Tensor, inverted: bool, squared: bool, alone: bool
) -> None:
    # A single mask may multiply the spectrum itself, which nothing else will need.
    shape = (len(pictures), len(masks), *masks.shape[-2:])
    if squared and alone:
        total = pictures
    elif squared or not in_place(piece):
        total = _scratch.take("sum", shape, pictures.dtype, pictures.device)
    else:
        total = piece
    light = transform_(_sum_into(total, pictures, masks), inverse=not inverted)
    if squared:
        square_into(piece, light)
    elif light is not piece:
        piece.copy_(light)


def _sum_into(total: Tensor, pictures: Tensor, masks: Tensor) -> Tensor:
    """:func:`~optics4f.functional.mask_and_sum`, channel by channel: up to 64 of them that is faster."""
    if masks.shape[1] > 64:
        return total.copy_(mask_and_sum(pictures, masks))
    arms = pictures[:, :, None]
    torch.mul(arms[:, 0], masks[:, 0], out=total)
    for i in range(1, masks.shape[1]):
        total.addcmul_(arms[:, i], masks[:, i])
    return total


def square_into(target: Tensor, field: Tensor) -> None:
    """The intensity of a field, written where it belongs."""
    torch.mul(field.real, field.real, out=target)
    target.addcmul_(field.imag, field.imag)


class _Passage(torch.autograd.Function):
    """Keeps the input alone: what the way back needs of the way there is computed again, in cache."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, kernel: Tensor, inverted: bool, squared: bool) -> Tensor:
        ctx.save_for_backward(field, kernel)
        ctx.inverted, ctx.squared = inverted, squared
        return infer(field, Kernel(kernel, inverted), squared, short=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        field, kernel = ctx.saved_tensors
        if torch.is_grad_enabled():  # second derivatives are wanted
            return *_plain_gradients(field, kernel, gradient, ctx), None, None
        return *_gradients(field, kernel, gradient, ctx), None, None


def plain_passage(field: Tensor, kernel: Tensor, inverted: bool, squared: bool) -> Tensor:
    """:func:`passage` in the plain operations of torch, which can be differentiated any number of times."""
    spectrum = crop_corners(torch.fft.fft2(field), (kernel.shape[-2], kernel.shape[-1]))
    product = mask_and_sum(spectrum, kernel)
    output = torch.fft.fft2(product) if inverted else torch.fft.ifft2(product, norm="forward")
    return intensity(output) if squared else output


def _plain_gradients(field: Tensor, kernel: Tensor, gradient: Tensor, ctx: Any) -> list[Tensor | None]:
    inputs = [value for value, wanted in zip((field, kernel), ctx.needs_input_grad, strict=False) if wanted]
    output = plain_passage(field, kernel, ctx.inverted, ctx.squared)
    found = iter(torch.autograd.grad(output, inputs, gradient, create_graph=True))
    return [next(found) if wanted else None for wanted in ctx.needs_input_grad[:2]]


def _gradients(
    field: Tensor, kernel: Tensor, gradient: Tensor, ctx: Any
) -> tuple[Tensor | None, Tensor | None]:
    outputs, inputs, *plane = kernel.shape
    spectrum = crop_corners(_spectrum(field), (plane[0], plane[1]))
    pictures = spectrum.reshape(-1, inputs, *plane)
    masks = kernel.to(pictures.dtype)
    arriving = gradient.reshape(-1, outputs, *plane)
    to_masks = torch.zeros_like(masks) if ctx.needs_input_grad[1] else None
    to_pictures = torch.zeros_like(pictures) if ctx.needs_input_grad[0] else None
    factor = 2.0 if ctx.squared else 1.0  # d|U|^2 = 2 Re(U* dU)
    conjugate = pictures.conj_physical() if to_masks is not None else pictures
    for some, few in _pieces(arriving, None):
        back = _adjoint_piece(pictures[some], masks[few], arriving[some, few], ctx)
        if to_masks is not None:
            _add_to_masks(to_masks[few], back, conjugate[some], factor)
        if to_pictures is not None:
            _add_to_pictures(to_pictures[some], back, masks[few], factor)
    to_field = None
    if to_pictures is not None:
        whole = pad_corners(to_pictures.conj_physical_(), (field.shape[-2], field.shape[-1]))
        to_field = transform_(whole, inverse=True).reshape(field.shape)
        to_field = to_field if field.is_complex() else to_field.real
    return to_field, None if to_masks is None else to_masks.to(kernel.dtype)


def _adjoint_piece(pictures: Tensor, masks: Tensor, arriving: Tensor, ctx: Any) -> Tensor:
    """The gradient behind the sum, in scratch memory, but for the factor 2 of a square."""
    shape = (len(pictures), len(masks), *masks.shape[-2:])
    light = _scratch.take("sum", shape, pictures.dtype, pictures.device)
    if ctx.squared:
        light = transform_(_sum_into(light, pictures, masks), inverse=not ctx.inverted)
        light.mul_(arriving)
    else:
        light.copy_(arriving)
    return transform_(light, inverse=ctx.inverted)


def _add_to_masks(to_masks: Tensor, back: Tensor, conjugate: Tensor, factor: float) -> None:
    for one, arms in zip(back, conjugate, strict=True):
        for i in range(len(arms)):
            to_masks[:, i].addcmul_(one, arms[i], value=factor)


def _add_to_pictures(to_pictures: Tensor, back: Tensor, masks: Tensor, factor: float) -> None:
    """Adds the complex conjugate of what is meant, so that no mask needs to be conjugated."""
    back = back.conj_physical_()
    if len(masks) == 1:
        to_pictures.addcmul_(back, masks, value=factor)
        return
    product = _scratch.take("product", tuple(back.shape), back.dtype, back.device)
    for i in range(masks.shape[1]):
        to_pictures[:, i].add_(torch.mul(back, masks[:, i], out=product).sum(1), alpha=factor)
