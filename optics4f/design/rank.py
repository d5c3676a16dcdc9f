"""Fewer physical masks for a front end T(nu): the best at each frequency, and shared bases."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..elements import ComplexMask
from ..functional import largest_singular_value
from ..grid import check_field
from ..system import FourF
from ..units import m

KINDS = ("shared", "frequency")
WEIGHTS = ("electronic", "optical")


class Reduced(NamedTuple):
    r"""Fewer masks and what mixes them, :math:`T \approx W t`.

    Attributes:
        bench: The system of the M bases, or, with optical weights, of all outputs.
        weights: W, complex, shape (C_out, M); None if the bench holds it.
        error: :math:`\lVert T - T_M \rVert / \lVert T \rVert`.
        scale: Amplitude by which the masks of the bases, fan-out included, are brighter than the bases.
    """

    bench: FourF
    weights: Tensor | None
    error: float
    scale: float

    def __call__(self, field: Tensor) -> Tensor:
        """Approximate outputs of the original bench, (..., C_in, H, W) to (..., C_out, H', W')."""
        output: Tensor = self.bench(field)
        if self.weights is None:
            return output
        return torch.einsum("om,...mhw->...ohw", self.weights.to(output.dtype), output)


def shared_bases(transfer: Tensor, masks: int) -> tuple[Tensor, Tensor]:
    r"""A common set of M masks per input channel, and the weights that make all outputs of them.

    .. math:: T_{oi}(\nu) \approx \sum_{m=1}^{M} W_{om} B_{mi}(\nu), \qquad
        T = U \Sigma V^\dagger \text{ as } (C_{out}, C_{in} H W), \quad W = U_M, \quad B = U_M^\dagger T

    The best for a sum over all frequencies, :math:`\lVert T - W B \rVert^2 = \sum_{k > M} \sigma_k^2`, and so
    for the mean power that is missed in white, independent channels. The columns of W are orthonormal: W is
    passive, and :math:`\sigma_{\max}(B(\nu)) \le \sigma_{\max}(T(\nu))`, so B is if T is. The phase of each
    column makes its largest entry real; a bank of real kernels then has real W, unless singular values meet.

    One input channel has rank 1 at every frequency, but its C_out masks may well share a few bases.

    Args:
        transfer: T, complex, shape (C_out, C_in, H, W).
        masks: Number M of bases, 1 to min(C_out, C_in H W).

    Returns:
        W (C_out, M) and B (M, C_in, H, W), complex.

    Raises:
        TypeError: If T is no complex tensor, or the number is no integer.
        ValueError: If T has another number of dimensions, or there are fewer or more masks.

    Source: C. Eckart and G. Young, Psychometrika 1, 211 (1936).
    """
    check_field("shared_bases", transfer, ())
    _check_masks("shared_bases", transfer, masks, "shared")
    left = torch.linalg.svd(transfer.flatten(1), full_matrices=False)[0][:, :masks]
    largest = left.gather(0, left.abs().argmax(0, keepdim=True))
    left = left * torch.polar(torch.ones_like(largest.real), -largest.angle())
    return left, torch.einsum("om,oihw->mihw", left.conj(), transfer)


def frequency_svd(transfer: Tensor, masks: int) -> tuple[Tensor, Tensor]:
    r"""The best approximation of rank M at every frequency by itself: two banks of masks in a row.

    .. math:: T(\nu) \approx P(\nu)\, Q(\nu), \qquad T = U \Sigma V^\dagger, \quad
        P = U_M \Sigma_M, \quad Q = V_M^\dagger

    M channels lie between the banks, so that there are M (C_in + C_out) masks instead of C_in C_out. Q is
    passive, P where T is. Phases of singular vectors are arbitrary from frequency to frequency: the masks
    are not those of small kernels, and need the whole plane. With one input or output channel the rank is 1
    and nothing is gained.

    Args:
        transfer: T, complex, shape (C_out, C_in, H, W).
        masks: Number M of channels between the banks, 1 to min(C_out, C_in).

    Returns:
        P (C_out, M, H, W) and Q (M, C_in, H, W), complex: ``compose(P, Q)`` is the approximation.

    Raises:
        TypeError: If T is no complex tensor, or the number is no integer.
        ValueError: If T has another number of dimensions, or there are fewer or more masks.

    Source: C. Eckart and G. Young, Psychometrika 1, 211 (1936).
    """
    check_field("frequency_svd", transfer, ())
    _check_masks("frequency_svd", transfer, masks, "frequency")
    left, values, right = torch.linalg.svd(transfer.movedim((0, 1), (-2, -1)), full_matrices=False)
    outer = left[..., :masks] * values[..., None, :masks]
    return outer.movedim((-2, -1), (0, 1)), right[..., :masks, :].movedim((-2, -1), (0, 1))


def error_curve(transfer: Tensor, kind: str = "shared") -> Tensor:
    r"""Relative error against the number of masks, without making them.

    .. math:: e_M = \sqrt{\sum_{k > M} \sigma_k^2} \Big/ \sqrt{\sum_k \sigma_k^2}, \quad M = 0, 1, \dots

    with the singular values of T as one matrix, or summed over those of all frequencies.

    Args:
        transfer: T, complex, shape (C_out, C_in, H, W), not all 0.
        kind: ``"shared"``, :func:`shared_bases`, or ``"frequency"``, :func:`frequency_svd`.

    Returns:
        Real, shape (M_max + 1,): from 1 down to 0.

    Raises:
        TypeError: If T is no complex tensor.
        ValueError: For another kind, or another number of dimensions.

    Source: C. Eckart and G. Young, Psychometrika 1, 211 (1936).
    """
    if kind not in KINDS:
        raise ValueError(f"error_curve: expected {' or '.join(KINDS)}, got {kind!r}.")
    check_field("error_curve", transfer, ())
    _check_masks("error_curve", transfer, 1, kind)
    matrices = transfer.flatten(1)[None] if kind == "shared" else transfer.flatten(2).movedim(2, 0)
    energies = torch.linalg.svdvals(matrices).square().sum(0)
    # Summed from the smallest, so that the tail keeps its digits.
    tails = torch.cat((energies.flip(0).cumsum(0).flip(0), energies.new_zeros(1)))
    return (tails / tails[0]).sqrt()


def reduced(bench: FourF, masks: int, weights: str = "electronic") -> Reduced:
    r"""A 4f system with fewer masks whose outputs approximate those of another: :func:`shared_bases`.

    - ``"electronic"``: M outputs, and the weights behind the readout. That must be linear in the field, such
      as a homodyne receiver. The masks are as bright as passive optics allow, by ``scale``; W takes it back.
    - ``"optical"``: all outputs from one 4f system with :math:`T_M = U_M U_M^\dagger T`, as M masks per input
      channel and a passive mesh of beam splitters behind them would give. It is passive where T is: the
      combiner is the number that keeps its brightness.

    Stop, focal lengths and orientation stay; a pupil becomes part of the masks.

    Args:
        bench: The original.
        masks: Number M of bases.
        weights: ``"electronic"`` or ``"optical"``.

    Raises:
        TypeError: If the bench is no :class:`~optics4f.system.FourF`, or the number is no integer.
        ValueError: For other weights, a dark bench, or a number of masks that is too small or too large.

    Source: C. Eckart and G. Young, Psychometrika 1, 211 (1936).
    """
    if not isinstance(bench, FourF):
        raise TypeError(f"reduced: expected a FourF, got {type(bench).__name__}.")
    if weights not in WEIGHTS:
        raise ValueError(f"reduced: expected weights {' or '.join(WEIGHTS)}, got {weights!r}.")
    with torch.no_grad():
        transfer = bench.transfer()
        if not bool(transfer.abs().max() > 0):
            raise ValueError("reduced: expected a bench that lets light through, got a dark one.")
        mixing, bases = shared_bases(transfer, masks)
        approximate = torch.einsum("om,mihw->oihw", mixing, bases)
        error = float((transfer - approximate).norm() / transfer.norm())
        if weights == "optical":
            return Reduced(_with_transfer(bench, approximate), None, error, 1.0)
        scale = 1 / float(largest_singular_value(bases))
        return Reduced(_with_transfer(bench, bases * scale), mixing / scale, error, scale)


def _with_transfer(bench: FourF, transfer: Tensor) -> FourF:
    """The same bench with fixed complex masks that give this T(nu)."""
    peak = float(transfer.abs().max())
    return FourF(
        bench.grid,
        bench.wavelength * m,
        bench.focal_length * m,
        ComplexMask(transfer / peak, pitch=tuple(d * m for d in bench.fourier_grid.spacing)),
        second_focal_length=bench.second_focal_length * m,
        stop=bench.lit_shape,
        combiner=peak,
        invert_output=bench.invert_output,
    ).to(transfer.device)


def _check_masks(name: str, transfer: Tensor, masks: Any, kind: str) -> None:
    if transfer.ndim != 4 or 0 in transfer.shape:
        got = tuple(transfer.shape)
        raise ValueError(f"{name}: expected shape (C_out, C_in, H, W), none of them 0, got {got}.")
    if type(masks) is not int:
        raise TypeError(f"{name} masks: expected an integer, got {masks!r}.")
    inputs = transfer[0].numel() if kind == "shared" else transfer.shape[1]
    most = min(transfer.shape[0], inputs)
    if not 1 <= masks <= most:
        raise ValueError(f"{name} masks: expected 1 to {most}, got {masks}.")
