"""A phase-only mask from a wanted point-spread function: Gerchberg-Saxton start, gradient finish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..elements.checks import checked_number, checked_seed
from ..fourier import ft2, ift2
from ..functional import intensity, quantise_phase
from ..grid import check_field

PLANE = (-2, -1)


@dataclass(frozen=True)
class Retrieval:
    r"""What :func:`retrieve_phase` found.

    Attributes:
        phase: [rad] in [0, 2 pi), shape (..., H, W).
        efficiency: Part of the light on the mask that reaches the wanted region, shape (...).
        error: R.m.s. of what was found minus what was wanted, over the r.m.s. of what was found, shape (...);
            see :func:`relative_error`.
        distances: :func:`error_reduction`'s, shape (gs_steps + 1, ...): they never grow.
        losses: Squared error plus the price of lost light, all masks together, at each evaluation of the
            gradient; trials of the line search are among them.
    """

    phase: Tensor
    efficiency: Tensor
    error: Tensor
    distances: Tensor
    losses: tuple[float, ...]


def retrieve_phase(
    target: Tensor,
    *,
    weight: Tensor | None = None,
    illumination: Tensor | None = None,
    start: Tensor | None = None,
    levels: int | None = None,
    gs_steps: int = 100,
    steps: int = 200,
    efficiency_weight: float = 0.0,
    seed: int = 0,
) -> Retrieval:
    r"""A phase-only mask whose point-spread function has the wanted intensity, or the wanted field.

    .. math:: \min_\varphi\; \epsilon^2 + \mu (1 - \eta), \qquad g = F^{-1}[A e^{i\varphi}]

    with the :func:`relative_error` :math:`\epsilon` and the efficiency :math:`\eta`, the part of the light
    where the target is not 0 and the weight neither. The start is :func:`error_reduction`; the finish is
    LBFGS on the phase, with the gradient through the transform. With levels the phase is rounded, at the
    best of 16 constant phases, Adam follows with a straight-through gradient, and the best mask it meets is
    kept: it is never worse than rounding.

    A real target is an intensity, a complex one a field up to one complex factor. A local minimum, not the
    best of all: another seed is another answer. An intensity does not tell a mask from its shifts by one
    period, from its conjugate turned round, or from a constant phase. The point-spread function lies upright,
    as behind ``FourF(..., invert_output=False)``, the axis at ``n // 2``, circular on the plane.

    Args:
        target: Intensity (real, at least 0) or field (complex), in any unit, shape (..., H, W).
        weight: At least 0, broadcast against the target; where it is 0 the light is free. Error reduction
            only asks where it is 0.
        illumination: Amplitude of the light on the mask, at least 0; 0 is opaque. Even if not given.
        start: Phase to start from [rad], shape of the target; random and even in [0, 2 pi) if not given.
        levels: Number of equal phase steps, or None for a continuous phase.
        gs_steps: Steps of error reduction.
        steps: Steps of gradient; again as many with levels.
        efficiency_weight: Price :math:`\mu` of lost light.
        seed: Of the random start.

    Raises:
        TypeError: If a tensor, a number or the seed is none.
        ValueError: If the target is negative, not finite, or dark wherever there is a weight; for a tensor of
            another shape, a negative weight or illumination, a number of steps below 0, or of levels below 2.

    Source: R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972); J. R. Fienup, Applied Optics 21, 2758
    (1982), for error reduction and gradients; F. Wyrowski, J. Opt. Soc. Am. A 7, 961 (1990), for light that
    is left free.
    """
    _check_counts(gs_steps, steps, levels)
    price = checked_number(
        "retrieve_phase efficiency_weight", efficiency_weight, "at least 0", lambda x: 0 <= x < math.inf
    )
    goal = _goal(target, weight, illumination, price)
    phase = _start(goal, start, seed)
    phase, distances = error_reduction(phase, goal.target, goal.weight, goal.light, gs_steps)
    phase, losses = _descend(phase, goal, steps)
    if levels is not None:
        phase, more = _descend_levels(phase, goal, steps, levels)
        losses += more
    phase = torch.remainder(
        torch.remainder(phase, 2 * math.pi), 2 * math.pi
    )  # a tiny negative one wraps to 0
    psf = mask_psf(phase, goal.light)
    return Retrieval(phase, goal.efficiency(psf), goal.error(psf), distances, losses)


def mask_psf(phase: Tensor, light: Tensor) -> Tensor:
    r"""Point-spread function :math:`g = F^{-1}[A e^{i\varphi}]` of a phase mask, unitary and upright.

    Args:
        phase: [rad], shape (..., H, W).
        light: Amplitude A, shape (..., H, W) or (H, W).
    """
    return ift2(torch.polar(light.expand(phase.shape), phase))


def relative_error(psf: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    r"""R.m.s. deviation from the target at its best brightness, over the r.m.s. of what was found.

    .. math:: \epsilon^2 = \frac{\sum w\, |p - a I|^2}{\sum w\, |p|^2}, \qquad
        a = \frac{\sum w\, I^* p}{\sum w\, |I|^2}

    with :math:`p = |g|^2` for an intensity I, :math:`p = g` for a field. It lies between 0 and 1, the sine of
    the angle between the two.

    Args:
        psf: g, complex, shape (..., H, W).
        target: I, real or complex.
        weight: w.

    Returns:
        Shape (...).
    """
    return _squared_error(psf, target, weight).sqrt()


def _squared_error(psf: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    found = psf if target.is_complex() else intensity(psf)
    size = (weight * target.abs().square()).sum(PLANE, keepdim=True)
    fit = (weight * target.conj() * found).sum(PLANE, keepdim=True) / size
    missed = (found - fit * target).abs().square() if target.is_complex() else (found - fit * target).square()
    return (weight * missed).sum(PLANE) / (weight * found.abs().square()).sum(PLANE)


def error_reduction(
    phase: Tensor, target: Tensor, weight: Tensor, light: Tensor, steps: int, levels: int | None = None
) -> tuple[Tensor, Tensor]:
    r"""Gerchberg-Saxton iterations: go to the nearest wanted field, then to the nearest mask, and again.

    .. math:: g' = \begin{cases} \sqrt{I}\, g/|g| & w > 0 \\ g & w = 0 \end{cases}, \qquad
        \varphi \leftarrow \arg F[g'], \qquad d = \lVert g' - g \rVert

    All light is wanted where :math:`w > 0`: there :math:`\sum I` is that of the mask. Each step is the
    nearest point of its set, also for phases in L levels, so that the distance d never grows: with
    :math:`g_2` nearest to :math:`g_1'` among the masks, and :math:`g_2'` to :math:`g_2` among the wanted,
    :math:`\lVert g_2' - g_2 \rVert \le \lVert g_1' - g_2 \rVert \le \lVert g_1' - g_1 \rVert`. It may stop
    falling far from 0. A wanted field has one free phase, :math:`g' = I e^{i\gamma}`.

    Args:
        phase: [rad], shape (..., H, W).
        target: Intensity (real) or field (complex), shape (..., H, W).
        weight: Where it is 0 the light is free.
        light: Amplitude A of the light on the mask.
        steps: Number of iterations.
        levels: Number of phase levels, or None.

    Returns:
        The phase, and the distances, shape (steps + 1, ...), in units of the amplitude of all light.

    Source: J. R. Fienup, Applied Optics 21, 2758 (1982), section II.
    """
    care = weight > 0
    wanted = target if target.is_complex() else target.sqrt()
    wanted = torch.where(care, wanted, 0)
    power = light.square().sum(PLANE, keepdim=True)
    wanted = wanted * (power / wanted.abs().square().sum(PLANE, keepdim=True)).sqrt()
    distances = []
    for step in range(steps + 1):
        phase = quantise_phase(phase, levels) if levels else phase
        psf = mask_psf(phase, light)
        nearest = torch.where(care, _with_phase_of(psf, wanted), psf)
        distances.append((intensity(nearest - psf).sum(PLANE) / power[..., 0, 0]).sqrt())
        if step < steps:
            phase = ft2(nearest).angle()
    return phase, torch.stack(distances)


def _with_phase_of(psf: Tensor, wanted: Tensor) -> Tensor:
    if wanted.is_complex():
        turn = (wanted.conj() * psf).sum(PLANE, keepdim=True).angle()
        return wanted * torch.polar(torch.ones_like(turn), turn)
    return torch.polar(wanted.expand(psf.shape), psf.angle())


@dataclass(frozen=True)
class _Goal:
    """Target, weight and light of one retrieval, checked; the light has the power 1."""

    target: Tensor
    weight: Tensor
    light: Tensor
    price: float

    def efficiency(self, psf: Tensor) -> Tensor:
        wanted = (self.weight > 0) & (self.target != 0)
        return (intensity(psf) * wanted).sum(PLANE)

    def error(self, psf: Tensor) -> Tensor:
        return relative_error(psf, self.target, self.weight)

    def loss(self, phase: Tensor) -> Tensor:
        """One number per mask."""
        psf = mask_psf(phase, self.light)
        squared = _squared_error(psf, self.target, self.weight)
        return squared + self.price * (1 - self.efficiency(psf)) if self.price else squared


def _descend(phase: Tensor, goal: _Goal, steps: int) -> tuple[Tensor, tuple[float, ...]]:
    if steps == 0:
        return phase, ()
    free = phase.detach().clone().requires_grad_()
    # All steps in one call: an LBFGS that is called step by step loses its line search, and stalls.
    optimiser = torch.optim.LBFGS(
        [free],
        max_iter=steps,
        max_eval=2 * steps,
        history_size=50,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    losses: list[float] = []

    def closure() -> float:
        with torch.enable_grad():
            loss = goal.loss(free).sum()
            (free.grad,) = torch.autograd.grad(loss, free)
        losses.append(float(loss.detach()))
        return losses[-1]

    optimiser.step(closure)
    return free.detach(), tuple(losses)


def _descend_levels(phase: Tensor, goal: _Goal, steps: int, levels: int) -> tuple[Tensor, tuple[float, ...]]:
    phase = _best_offset(phase, goal, levels)
    free = phase.clone().requires_grad_()
    optimiser = torch.optim.Adam([free], lr=0.1 * math.pi / levels)
    best = quantise_phase(phase, levels)
    least, losses = goal.loss(best), []
    for _ in range(steps):
        with torch.enable_grad():
            shown = quantise_phase(free, levels)
            loss = goal.loss(shown)
            (free.grad,) = torch.autograd.grad(loss.sum(), free)
        losses.append(float(loss.detach().sum()))
        better = loss.detach() < least
        best = torch.where(better[..., None, None], shown.detach(), best)
        least = torch.where(better, loss.detach(), least)
        optimiser.step()
    return best, tuple(losses)


def _best_offset(phase: Tensor, goal: _Goal, levels: int) -> Tensor:
    """A constant phase changes nothing but how the levels round: the best of 16."""
    best, least = phase, goal.loss(quantise_phase(phase, levels))
    for part in range(1, 16):
        moved = phase + part / 16 * 2 * math.pi / levels
        loss = goal.loss(quantise_phase(moved, levels))
        better = loss < least
        best = torch.where(better[..., None, None], moved, best)
        least = torch.where(better, loss, least)
    return best


def _goal(target: Tensor, weight: Tensor | None, illumination: Tensor | None, price: float) -> _Goal:
    check_field("retrieve_phase target", target, (), "real or complex")
    if target.ndim < 2 or 0 in target.shape:
        got = tuple(target.shape)
        raise ValueError(f"retrieve_phase target: expected shape (..., H, W), none of them 0, got {got}.")
    if not bool(torch.isfinite(target).all()) or not (target.is_complex() or bool((target >= 0).all())):
        raise ValueError("retrieve_phase target: expected finite values, at least 0 for an intensity.")
    real = target.detach().abs()
    care = _positive("weight", weight, real)
    light = _positive("illumination", illumination, real)
    if not bool(((care * real).sum(PLANE) > 0).all()):
        raise ValueError("retrieve_phase target: expected light where the weight is not 0, got none.")
    if not bool((light.sum(PLANE) > 0).all()):
        raise ValueError("retrieve_phase illumination: expected light on the mask, got none.")
    # To a largest value of 1: squares of very small or large numbers leave the range of float32.
    unit = (real * (care > 0)).amax(PLANE, keepdim=True)
    light = light / light.square().sum(PLANE, keepdim=True).sqrt()
    return _Goal(target.detach() / unit, care, light, price)


def _positive(name: str, given: Tensor | None, like: Tensor) -> Tensor:
    if given is None:
        return torch.ones_like(like)
    check_field(f"retrieve_phase {name}", given, (), "real")
    try:
        values = given.detach().to(like).expand(like.shape)
    except RuntimeError:
        shapes = f"{tuple(like.shape)}, got {tuple(given.shape)}"
        raise ValueError(f"retrieve_phase {name}: expected a shape that broadcasts to {shapes}.") from None
    if not bool((torch.isfinite(values) & (values >= 0)).all()):
        raise ValueError(f"retrieve_phase {name}: expected finite values of at least 0.")
    return values


def _start(goal: _Goal, start: Tensor | None, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(checked_seed("retrieve_phase", seed))
    if start is None:
        turns = torch.rand(goal.target.shape, generator=generator, dtype=torch.float64)
        return (2 * math.pi * turns).to(goal.weight)
    check_field("retrieve_phase start", start, (), "real")
    if start.shape != goal.target.shape or not bool(torch.isfinite(start).all()):
        wanted, got = tuple(goal.target.shape), tuple(start.shape)
        raise ValueError(f"retrieve_phase start: expected finite phases of shape {wanted}, got {got}.")
    return start.detach().to(goal.weight)


def _check_counts(gs_steps: Any, steps: Any, levels: Any) -> None:
    for name, value, least in (("gs_steps", gs_steps, 0), ("steps", steps, 0), ("levels", levels, 2)):
        if value is None and name == "levels":
            continue
        if type(value) is not int:
            raise TypeError(f"retrieve_phase {name}: expected an integer, got {value!r}.")
        if value < least:
            raise ValueError(f"retrieve_phase {name}: expected at least {least}, got {value}.")
