"""Banks of masks as real hardware makes them: two values, a measured list of values, pixels with gaps."""

from __future__ import annotations

import cmath
import math
from typing import Any

import torch
from torch import Generator, Tensor

from ..fourier import crop_center, pad_center
from .masks import MaskBank, SampledMask, check_bank, check_size
from .pixels import drawn_pixels, gumbel_value, nearest_value, soft_value, straight_through

KINDS = {"amplitude": 0.0, "phase": -1.0}
"""Transmittance of a binary pixel that is off; one that is on has 1."""
RELAXATIONS = ("straight_through", "soft", "gumbel")


class BinaryMask(SampledMask):
    r"""Masks of two values: open and opaque (DMD, chrome), or a phase of 0 and pi (a single etch).

    .. math:: b = [\ell > 0], \qquad t = b \;\;\text{or}\;\; 2b - 1

    A logit larger than 0 is on, t = 1. The gradient is that of :math:`\sigma(\ell/T)` in the place of b and
    passes straight through the decision, which is an approximation. ``soft`` puts :math:`\sigma(\ell/T)`
    itself into the light: grey values that train with their true gradient, passive, but no such device; it
    tends to the binary mask as T goes to 0. To hold bits as they are, give ``bits - 0.5``.

    Args:
        logits: Real, shape (C_out, C_in, H, W).
        kind: ``"amplitude"`` (0 and 1) or ``"phase"`` (t = -1 and 1).
        temperature: T of the sigmoid, in units of the logits.
        soft: Whether the light meets the sigmoid instead of the bits.
        trainable: Whether the logits are parameters.
        pitch: As in :class:`~optics4f.elements.ComplexMask`.

    Raises:
        TypeError: If the logits are complex.
        ValueError: For another kind, or a temperature that is not larger than 0.

    Source: Y. Bengio, N. Leonard, A. Courville, arXiv:1308.3432 (straight-through estimator).
    """

    def __init__(
        self,
        logits: Tensor,
        kind: str = "amplitude",
        temperature: float = 1.0,
        soft: bool = False,
        trainable: bool = True,
        pitch: Any = None,
    ) -> None:
        check_bank(logits, "BinaryMask")
        if logits.is_complex():
            raise TypeError(f"BinaryMask: expected real logits, got {logits.dtype}.")
        if kind not in KINDS:
            raise ValueError(f"BinaryMask: expected the kind {' or '.join(KINDS)}, got {kind!r}.")
        super().__init__(logits, trainable, pitch)
        self.kind, self.soft = kind, soft
        self.temperature = _temperature(temperature, "BinaryMask")

    def bits(self) -> Tensor:
        """Which pixels are on, shape (C_out, C_in, H, W), bool."""
        return self.values > 0

    def sampled(self) -> Tensor:
        """The two values, or with ``soft`` what lies between them."""
        on = torch.sigmoid(self.values / self.temperature)
        if not self.soft:
            on = straight_through(self.bits().to(on), on)
        off = KINDS[self.kind]
        amplitude = off + (1 - off) * on
        return torch.complex(amplitude, torch.zeros_like(amplitude))


class LookupMask(SampledMask):
    r"""Masks on a device that reaches a measured list of complex values, such as an LCoS that also absorbs.

    .. math:: t = r_k, \qquad k = \arg\min_k |z - r_k|

    A decision has no gradient; what stands in for it is the ``relaxation``:

    - ``"straight_through"``: the gradient passes straight through to z, which is an approximation.
    - ``"soft"``: the light meets a mean that favours near values, with its true gradient:
      :func:`~optics4f.elements.pixels.soft_value`.
    - ``"gumbel"``: in training the light meets values drawn anew with each pass, near ones more often
      (:func:`gumbel_value`); in evaluation the nearest. Draws come from the mask's own generator: two masks
      with one seed give the same draws one after the other. A system that keeps its kernel, as it does
      without gradients, keeps the draw.

    Args:
        wanted: Complex z, shape (C_out, C_in, H, W).
        reachable: What the device can show, complex, shape (K,), with magnitude at most 1.
        temperature: Of the soft assignment and of the draw, in units of :math:`|t|^2`.
        soft: Short for the relaxation ``"soft"``.
        trainable: Whether real and imaginary parts of z are parameters.
        pitch: As in :class:`~optics4f.elements.ComplexMask`.
        relaxation: One of ``RELAXATIONS``.
        seed: Of the draws.

    Raises:
        ValueError: If the list is empty or larger than 1 somewhere, the temperature not larger than 0, or the
            relaxation another one, or ``"gumbel"`` and ``soft`` at once.
    """

    reachable_parts: Tensor

    def __init__(
        self,
        wanted: Tensor,
        reachable: Tensor,
        temperature: float = 0.01,
        soft: bool = False,
        trainable: bool = True,
        pitch: Any = None,
        relaxation: str = "straight_through",
        seed: int = 0,
    ) -> None:
        check_bank(wanted, "LookupMask")
        if not wanted.is_complex():
            wanted = torch.complex(wanted, torch.zeros_like(wanted))
        super().__init__(torch.view_as_real(wanted), trainable, pitch)
        self.register_buffer("reachable_parts", torch.view_as_real(_reachable(reachable).to(wanted)))
        self.temperature = _temperature(temperature, "LookupMask")
        self.relaxation = _relaxation(relaxation, soft)
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Let the draws start again from ``seed``."""
        self.seed = int(seed)
        self._generators: dict[str, Generator] = {}

    @property
    def reachable(self) -> Tensor:
        """What the device can show, complex, shape (K,)."""
        return torch.view_as_complex(self.reachable_parts)

    def sampled(self) -> Tensor:
        """The values shown."""
        wanted = torch.view_as_complex(self.values)
        if self.relaxation == "soft":
            return soft_value(wanted, self.reachable, self.temperature)
        if self.relaxation == "gumbel" and self.training:
            return gumbel_value(wanted, self.reachable, self.temperature, self._generator(wanted.device))
        return straight_through(nearest_value(wanted, self.reachable), wanted)

    def _generator(self, device: torch.device) -> Generator:
        if str(device) not in self._generators:
            self._generators[str(device)] = Generator(device).manual_seed(self.seed)
        return self._generators[str(device)]


class Pixelated(MaskBank):
    r"""A sampled bank on square pixels with gaps: each drawn with s x s samples of the Fourier plane.

    .. math:: F = w^2/p^2, \qquad \text{orders} \propto
        F \operatorname{sinc}(w \nu_x) \operatorname{sinc}(w \nu_y), \qquad t_0 = F \bar t + (1 - F)\,t_d

    with w the side of the active area and p the pitch. The active area sends :math:`F^2` of the light into
    its zero order. A dead area that is not black adds :math:`(1 - F)\,t_d` on axis, whatever the masks show.
    Samples stand for points: in each direction the envelope is
    :math:`\sin(\pi w \nu)/(s \sin(\pi p \nu/s))`, which tends to :math:`(w/p) \operatorname{sinc}(w \nu)`
    for large s.

    Pixel n // 2 stands on the axis. With s even no sample does: the masks then stand half a sample, p / 2s,
    towards -y and -x, which is a linear phase over the output plane that the intensity does not show. On a
    plane of just s H x s W samples a pixel that reaches over the edge is cut there.

    Args:
        bank: A bank given sample by sample: complex, phase, amplitude, binary or lookup.
        oversample: Samples s along the side of a pixel.
        fill_factor: F, in (0, 1]; s (1 - w/p) must be an even number, so that the gap is drawn evenly.
        dead: Complex transmittance of the dead area, :math:`|t_d| \le 1`.

    Raises:
        TypeError: If the bank has no samples of its own, as a :class:`~optics4f.elements.KernelMask`.
        ValueError: If s samples cannot draw the fill factor, or the dead area amplifies.
    """

    def __init__(
        self, bank: MaskBank, oversample: int, fill_factor: float = 1.0, dead: complex = 0.0
    ) -> None:
        if not isinstance(bank, SampledMask):
            raise TypeError(f"Pixelated: expected a bank given by samples, got {type(bank).__name__}.")
        lit = _lit_samples(oversample, fill_factor)
        if not abs(dead) <= 1 + 1e-12:  # rounding of exp(i phi); written so that NaN is refused too
            raise ValueError(f"Pixelated: expected a passive dead area, |t| <= 1, got |t| = {abs(dead):.6g}.")
        drawn = [n * oversample for n in bank.samples]
        pitch = None if bank.pitch is None else (bank.pitch[0] / oversample, bank.pitch[1] / oversample)
        super().__init__(torch.empty(*bank.channels, *drawn, device="meta"), pitch)
        self.bank, self.oversample, self.lit = bank, oversample, lit
        # Two floats: what is kept from the state of a module follows floats, not complex numbers.
        self.dead_amplitude, self.dead_phase = min(1.0, abs(dead)), cmath.phase(dead)

    @property
    def fill_factor(self) -> float:
        """Active part of the area, F."""
        return (self.lit / self.oversample) ** 2

    def sampled(self) -> Tensor:
        """All pixels drawn, pixel n // 2 on the axis, shape (C_out, C_in, s H, s W) or one pixel more."""
        values = self.bank.sampled()
        values = values * self.bank.scale(values)
        dead = cmath.rect(self.dead_amplitude, self.dead_phase)
        return _on_axis(drawn_pixels(values, self.oversample, self.lit, dead), self.oversample)

    def response(self, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        """The central samples wanted; outside the pixels the plane is opaque.

        Raises:
            ValueError: If the plane has fewer samples than the pixels take.
        """
        check_size(self, grid)
        sampled = self.sampled()
        whole = [max(m, n) for m, n in zip(sampled.shape[-2:], shape, strict=True)]
        return crop_center(pad_center(sampled, (whole[0], whole[1])), shape)


def _on_axis(drawn: Tensor, oversample: int) -> Tensor:
    # The middle of pixel n // 2 (for even s the sample behind it) is brought to the middle of an odd size.
    paddings: list[int] = []
    for size in (drawn.shape[-1], drawn.shape[-2]):  # torch pads the last dimension first
        at = size // oversample // 2 * oversample + oversample // 2
        paddings += [0, 0 if at == size // 2 else 2 * at + 1 - size]
    return torch.nn.functional.pad(drawn, paddings)


def _lit_samples(oversample: int, fill_factor: float) -> int:
    if type(oversample) is not int or oversample < 1:
        raise ValueError(f"Pixelated: expected at least 1 sample per pixel, got {oversample!r}.")
    if not 0 < fill_factor <= 1:
        raise ValueError(f"Pixelated: expected a fill factor in (0, 1], got {fill_factor!r}.")
    side = math.sqrt(fill_factor)
    lit = round(side * oversample)
    # 1e-6 of a sample: a fill factor given with seven digits is meant
    if lit < 1 or (oversample - lit) % 2 or abs(side * oversample - lit) > 1e-6 * oversample:
        drawable = [(k / oversample) ** 2 for k in range(oversample, 0, -2)]
        nearest = sorted(drawable, key=lambda f: abs(math.sqrt(f) - side))[:2]
        raise ValueError(
            f"Pixelated: expected a fill factor that {oversample} samples can draw, w/p a multiple of "
            f"1/{oversample} with an even gap, such as F = {' or '.join(f'{f:.4g}' for f in nearest)}, "
            f"got F = {fill_factor:.4g}, w/p = {side:.4g}."
        )
    return lit


def _reachable(values: Tensor) -> Tensor:
    if not isinstance(values, Tensor) or values.ndim != 1 or values.numel() == 0:
        raise ValueError(f"LookupMask: expected a list of values of shape (K,), got {_shape_of(values)}.")
    peak = float(values.detach().abs().max())
    if not peak <= 1 + 1e-6:  # rounding of float32; written so that NaN is refused too
        raise ValueError(f"LookupMask: expected reachable values with |t| <= 1, got |t| up to {peak:.6g}.")
    return values.detach() / max(1.0, peak)


def _shape_of(values: Any) -> str:
    return str(tuple(values.shape)) if isinstance(values, Tensor) else repr(type(values))


def _temperature(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a temperature larger than 0, got {value!r}.")
    return float(value)


def _relaxation(name: str, soft: bool) -> str:
    if name not in RELAXATIONS or (soft and name == "gumbel"):
        got = f"{name!r}{' with soft' if soft else ''}"
        raise ValueError(f"LookupMask: expected a relaxation of {', '.join(RELAXATIONS)}, got {got}.")
    return "soft" if soft else name
