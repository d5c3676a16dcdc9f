"""What real pixels do to a wanted transmittance, as pure functions of tensors."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ..fourier import centred_index
from ..functional import intensity

_NOTHING = 36.0  # exp(-36) is 2e-16: what a float64 no longer sees beside 1


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The values of ``hard``, exactly, with the gradient of ``soft``.

    An approximation: the true gradient of a decision is zero almost everywhere.

    Source: Y. Bengio, N. Leonard, A. Courville, arXiv:1308.3432.
    """
    return hard.detach() + (soft - soft.detach())


def nearest_value(values: Tensor, reachable: Tensor) -> Tensor:
    r"""The reachable value nearest in the complex plane, :math:`\arg\min_k |z - r_k|`; of two, the earlier.

    Args:
        values: Complex, any shape.
        reachable: Complex, shape (K,).

    Returns:
        Complex, the shape of ``values``; no gradient.
    """
    with torch.no_grad():
        chosen, best = reachable[0].expand_as(values), intensity(values - reachable[0])
        for value in reachable[1:]:  # one pass for each: K values for every sample need not be held at once
            distance = intensity(values - value)
            chosen, best = torch.where(distance < best, value, chosen), torch.minimum(distance, best)
        return chosen


def soft_value(values: Tensor, reachable: Tensor, temperature: float) -> Tensor:
    r"""A mean of the reachable values that favours near ones; it tends to the nearest as T goes to 0.

    .. math:: t = \sum_k w_k r_k, \qquad w_k \propto e^{-|z - r_k|^2 / T}

    A model for training alone: a device shows one value, not a mean of several. No larger than the largest.
    Holds K numbers for every sample.

    Args:
        values: Complex, any shape.
        reachable: Complex, shape (K,).
        temperature: T, in units of :math:`|t|^2`.
    """
    weights = torch.softmax(-intensity(values[..., None] - reachable) / temperature, -1)
    return (weights * reachable).sum(-1)


def drawn_pixels(values: Tensor, oversample: int, lit: int, dead: complex = 0) -> Tensor:
    r"""Every pixel as s x s samples: the value on the k x k in its middle, the dead area around them.

    The orders of a mask with period P pixels are, exactly, the coefficients of its discrete transform times
    :math:`(w/p)^2\,\operatorname{sinc}(w q_x/pP)\,\operatorname{sinc}(w q_y/pP)` with :math:`w/p = k/s`, once
    the samples count as squares of p/s: times :math:`\operatorname{sinc}(q/sP)` in each direction.

    Args:
        values: Transmittance, shape (..., H, W).
        oversample: Samples s along the side of a pixel.
        lit: Samples k along the side of its active area; s - k is even.
        dead: Transmittance of the dead area.

    Returns:
        Shape (..., s H, s W).
    """
    edge = (oversample - lit) // 2
    index = torch.arange(oversample, device=values.device)
    inside = (index >= edge) & (index < edge + lit)
    active = inside[:, None, None] & inside  # (s, 1, s)
    cells = torch.where(active, values[..., :, None, :, None], values.new_full((), dead))
    return cells.reshape(*values.shape[:-2], values.shape[-2] * oversample, values.shape[-1] * oversample)


def fringed(
    phase: Tensor,
    decay_y: tuple[float, float] = (0.0, 0.0),
    decay_x: tuple[float, float] = (0.0, 0.0),
    exponent: float = 1.0,
) -> Tensor:
    r"""Transmittance of a phase modulator whose pixels run into one another: fringing fields.

    .. math:: t = e^{i (k * \varphi)}, \qquad
        k(x) \propto e^{-|x/a_1|^n} \;(x < 0), \quad e^{-|x/a_2|^n} \;(x \ge 0)

    It is the phase wrapped to [0, 2 pi) that is blurred, as the device holds it: a wrap of 2 pi becomes a
    flyback of finite width. The kernel sums to 1, is the product of one along y and one along x, and is
    sampled; beyond its edge the device holds the phase of its last sample. A scalar model that is the same
    all over the device and for every depth of modulation.

    Args:
        phase: [rad], shape (..., H, W).
        decay_y: :math:`(a_1, a_2)` towards -y and towards +y [samples]; 0 is sharp.
        decay_x: The same along x.
        exponent: n, at least 1/2.

    Returns:
        Complex, |t| = 1, shape (..., H, W).

    Raises:
        ValueError: If a decay length is negative or the exponent below 1/2.

    Source: the kernel of the slmsuite package; its asymmetry: Optics Express 27, 25046 (2019).
    """
    if not (all(math.isfinite(a) and a >= 0 for a in (*decay_y, *decay_x)) and exponent >= 0.5):
        raise ValueError(
            "fringed: expected decay lengths of at least 0 samples and an exponent of at least 1/2, "
            f"got {decay_y}, {decay_x} and {exponent}."
        )
    wrapped = torch.remainder(phase, 2 * math.pi)
    rows = _blur_matrix(phase.shape[-2], decay_y, exponent).to(phase)
    columns = _blur_matrix(phase.shape[-1], decay_x, exponent).to(phase)
    blurred = rows @ wrapped @ columns.mT
    return torch.polar(torch.ones_like(blurred), blurred)


def _blur_matrix(n: int, decay: tuple[float, float], exponent: float) -> Tensor:
    # Row x holds what each sample gives to sample x; what would come from outside comes from the edge.
    reach = math.ceil(max(decay) * _NOTHING ** (1 / exponent))
    offset = centred_index(2 * reach + 1)
    length = torch.tensor(decay, dtype=torch.float64).clamp(min=1e-300)[(offset >= 0).long()]
    kernel = torch.exp(-((offset.abs() / length) ** exponent))
    kernel = kernel / kernel.sum()
    source = (torch.arange(n)[:, None] - offset.long()).clamp(0, n - 1)
    return torch.zeros(n, n, dtype=torch.float64).scatter_add_(1, source, kernel.expand(n, -1))


def gumbel_value(values: Tensor, reachable: Tensor, temperature: float, generator: Generator) -> Tensor:
    r"""A reachable value drawn for every sample, near ones more often (Gumbel-softmax, hard).

    .. math:: t = r_k, \quad k = \arg\max_k (\ell_k + g_k), \qquad P(k) = \operatorname{softmax}_k \ell_k,
        \quad \ell_k = -|z - r_k|^2/T

    with independent Gumbel noise g. The gradient is that of :math:`\sum_k r_k
    \operatorname{softmax}_k(\ell_k + g_k)`, which is an approximation. As T goes to 0 the draw tends to the
    nearest value. Holds K numbers for every sample.

    Args:
        values: Complex z, any shape.
        reachable: Complex, shape (K,).
        temperature: T, in units of :math:`|t|^2`.
        generator: Source of the noise, on the device of ``values``.

    Returns:
        Complex, the shape of ``values``.

    Source: E. Jang, S. Gu, B. Poole, arXiv:1611.01144, with their temperature of the softmax at 1.
    """
    logits = -intensity(values[..., None] - reachable) / temperature
    noise = -torch.empty_like(logits).exponential_(generator=generator).log()
    weights = torch.softmax(logits + noise, -1)
    return straight_through(reachable[weights.argmax(-1)], (weights * reachable).sum(-1))
