"""Sharing light among arms, and adding the fields of arms: ideally or with splitters, errors and losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..functional import clip_gain, gain_bound, largest_singular_value
from ..grid import check_field, checked_shape
from .checks import checked_number, checked_seed
from .masks import MaskBank


def combining_efficiency(channels: int, phase_error: float, amplitude_error: float = 0.0) -> float:
    r"""Mean efficiency of a coherent sum of N equal channels with Gaussian errors of their own.

    .. math:: \frac{\langle |\sum_n (1 + a_n) e^{i \varphi_n}|^2 \rangle}{N^2}
        = e^{-\sigma^2} + \frac{1 + \sigma_a^2 - e^{-\sigma^2}}{N}

    For channels that are in phase and equally bright; of a signed sum that cancels, the error is relatively
    larger. Amplitudes are taken as they are, not limited to what is passive.

    Args:
        channels: Number N of channels.
        phase_error: :math:`\sigma`, r.m.s. [rad].
        amplitude_error: :math:`\sigma_a`, r.m.s., relative.

    Source: mean of normal errors; small ones as in G. D. Goodno et al., Optics Express 18, 25403 (2010), and
    T. Y. Fan, IEEE J. Sel. Top. Quantum Electron. 15, 291 (2009), for amplitudes.
    """
    coherent = math.exp(-(phase_error**2))
    return coherent + (1 + amplitude_error**2 - coherent) / channels


class ChannelErrors(nn.Module):
    r"""What the arms of one particular bench do wrong: a complex factor for every pair of channels.

    .. math:: r_{oi} = 10^{-L_{oi}/20}\, \frac{1 + a_{oi}}{\max(1, 1 + \max a)}\, e^{i \varphi_{oi}}

    Constant over the plane. Passive, :math:`|r| \le 1`: the strongest arm is the reference, so that errors
    keep the ratios of the arms and can only lose light. An amplitude drawn below 0 is 0.

    A number is an r.m.s. value, from which a normal distribution is drawn once, from a generator of its own;
    the draws are buffers. An ``nn.Parameter`` is trained, another tensor is fixed.

    Args:
        channels: ``(C_out, C_in)``.
        amplitude_error: :math:`a`, relative: r.m.s. value, or a tensor (C_out, C_in), at least -1.
        phase_error: :math:`\varphi` [rad]: r.m.s. value, or a tensor (C_out, C_in). Later is positive.
        insertion_loss_db: L of power [dB], at least 0: a number, or a tensor (C_out, C_in).
        seed: Of the device.

    Shape:
        (..., C_out, C_in, H, W) to the same shape, complex.

    Raises:
        TypeError: If a number or the seed is none.
        ValueError: If a number is negative, or a tensor has another shape, a loss below 0 or an amplitude
            below -1, or is not finite.
    """

    amplitude_error: Tensor
    phase_error: Tensor
    insertion_loss_db: Tensor

    def __init__(
        self,
        channels: tuple[int, int],
        amplitude_error: float | Tensor = 0.0,
        phase_error: float | Tensor = 0.0,
        insertion_loss_db: float | Tensor = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.channels = checked_shape("ChannelErrors", channels, "channel")
        generator = torch.Generator().manual_seed(checked_seed("ChannelErrors", seed))
        # Both are always drawn, so that the phases of a seed do not depend on whether amplitudes are given.
        amplitude, phase = (
            torch.randn(self.channels, generator=generator, dtype=torch.float64) for _ in range(2)
        )
        self._keep("amplitude_error", amplitude_error, amplitude, -1)
        self._keep("phase_error", phase_error, phase, -math.inf)
        self._keep("insertion_loss_db", insertion_loss_db, torch.ones_like(phase), 0)

    def _keep(self, name: str, value: float | Tensor, unit: Tensor, least: float) -> None:
        title = f"ChannelErrors {name}"
        if not isinstance(value, Tensor):
            value = unit * checked_number(title, value, "at least 0", lambda x: 0 <= x < math.inf)
        elif not value.is_floating_point() or value.shape != self.channels:
            got = f"{value.dtype} of shape {tuple(value.shape)}"
            raise ValueError(f"{title}: expected a real tensor of shape {self.channels}, got {got}.")
        elif not bool((torch.isfinite(value) & (value >= least)).all()):
            wanted = "finite values" + ("" if least == -math.inf else f" of at least {least}")
            raise ValueError(f"{title}: expected {wanted}, got {value.tolist()}.")
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value.detach().clone())

    def factors(self) -> Tensor:
        """The factors r, complex, shape (C_out, C_in)."""
        amplitude = (1 + self.amplitude_error).clamp(min=0)
        amplitude = amplitude / amplitude.amax().clamp(min=1) * 10 ** (-self.insertion_loss_db / 20)
        return torch.polar(amplitude, self.phase_error.to(amplitude))

    def forward(self, arms: Tensor) -> Tensor:
        """Light in the arms, or their masks, with the errors."""
        check_field("ChannelErrors", arms, (), "real or complex")
        factors = self.factors().to(torch.promote_types(arms.dtype, torch.complex32))
        return arms * factors[..., None, None]

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.channels[1]} -> {self.channels[0]}"


class FanOut(nn.Module):
    r"""Beam splitters that share every channel among the arms: amplitude :math:`1/\sqrt{C_{out}}` each.

    Args:
        channels: Number of arms.
        insertion_loss_db: Loss of power in the splitters [dB], at least 0.

    Shape:
        (..., C_in, H, W) to (..., C_out, C_in, H, W), complex.

    Raises:
        TypeError: If the loss is no number.
        ValueError: If there is no arm, or the loss is negative.
    """

    def __init__(self, channels: int, insertion_loss_db: float = 0.0) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"FanOut: expected at least one arm, got {channels}.")
        self.channels = channels
        self.insertion_loss_db = _checked_loss("FanOut", insertion_loss_db)

    def forward(self, field: Tensor) -> Tensor:
        """One copy per arm, a view."""
        check_field("FanOut", field, (), "real or complex")
        shape = (*field.shape[:-3], self.channels, *field.shape[-3:])
        shared = field / (math.sqrt(self.channels) * 10 ** (self.insertion_loss_db / 20))
        return shared.unsqueeze(-4).expand(shape)


class CoherentSum(nn.Module):
    r"""Coherent sum over the input channels, with the amplitude factor that passive optics allow.

    As an element of its own it is the wanted port of a lossless N-port combiner,
    :math:`U = \frac{1}{\sqrt{C_{in}}} \sum_i U_i`. Inside a 4f system it also decides the factor :math:`c` of
    fan-out and sum together, :math:`T(\nu) = c\, t(\nu)`:

    - ``"ideal"``: :math:`c = 1/\max_\nu \sigma_{\max}(t(\nu))`, the most that any passive optics can reach;
    - ``"beam_splitter"``: :math:`c = 1/\sqrt{C_{in} C_{out}}`, trees of beam splitters;
    - ``"bound"``: as ideal, with an upper bound of :math:`\sigma_{\max}` that is cheap; for training;
    - a number: a factor known from elsewhere.

    An insertion loss of L dB multiplies :math:`c` by :math:`10^{-L/20}`; errors make it
    :math:`T_{oi} = c\, r_{oi}\, t_{oi}`. Trees and ``"bound"`` stay passive with any errors. ``"ideal"``
    optics have no light to spare: where errors would make them amplify, all is darkened by one factor.

    Channels that share one mask side by side are another way: :class:`~optics4f.elements.tiling.TiledMask`.

    Args:
        scale: One of the four above.
        insertion_loss_db: Loss of power of fan-out and sum together [dB], at least 0.
        errors: Errors and losses of the single arms.

    Shape:
        (..., C_out, C_in, H, W) to (..., C_out, H, W), complex.

    Raises:
        TypeError: If the loss is no number, or the errors are no :class:`ChannelErrors`.
        ValueError: For another scale, or a negative loss.

    Source: D. A. B. Miller, Optics Express 20, 23985 (2012), for the bound on sums of orthogonal modes.
    """

    def __init__(
        self,
        scale: str | float = "ideal",
        insertion_loss_db: float = 0.0,
        errors: ChannelErrors | None = None,
    ) -> None:
        super().__init__()
        if isinstance(scale, str):
            known = scale in ("ideal", "bound", "beam_splitter")
        else:
            known = not isinstance(scale, bool) and math.isfinite(scale) and scale > 0
        if not known:
            raise ValueError(
                f"CoherentSum: expected ideal, bound, beam_splitter or a number > 0, got {scale!r}."
            )
        if errors is not None and not isinstance(errors, ChannelErrors):
            raise TypeError(f"CoherentSum: expected errors as ChannelErrors, got {type(errors).__name__}.")
        self.kind = scale if isinstance(scale, str) else "given"
        if not isinstance(scale, str):
            self.register_buffer("value", torch.tensor(float(scale), dtype=torch.float64))
        self.insertion_loss_db = _checked_loss("CoherentSum", insertion_loss_db)
        self.errors = errors

    def forward(self, arms: Tensor) -> Tensor:
        """The field in the wanted port."""
        check_field("CoherentSum", arms, (), "real or complex")
        arms = arms if self.errors is None else self.errors(arms)
        return arms.sum(-3) / (math.sqrt(arms.shape[-3]) * 10 ** (self.insertion_loss_db / 20))

    @property
    def follows_masks(self) -> bool:
        """Whether the factor is inversely proportional to the masks, so that their scale drops out of T."""
        return self.kind in ("ideal", "bound")

    def factor(self, transmittance: Tensor) -> Tensor:
        """The factor c, errors apart, for masks (C_out, C_in, H, W): one real number as a tensor."""
        return self._lossless(transmittance) * 10 ** (-self.insertion_loss_db / 20)

    def _lossless(self, transmittance: Tensor) -> Tensor:
        if self.kind == "given":
            return self.get_buffer("value").to(transmittance.real.dtype)
        if self.kind == "beam_splitter":
            return transmittance.real.new_tensor(
                1 / math.sqrt(transmittance.shape[0] * transmittance.shape[1])
            )
        gain = largest_singular_value(transmittance) if self.kind == "ideal" else gain_bound(transmittance)
        return 1 / gain.clamp(min=torch.finfo(gain.dtype).tiny)  # a dark bank stays dark

    def transfer(self, masks: Tensor) -> Tensor:
        """T(nu) of masks (C_out, C_in, H, W): fan-out, masks and sum with errors; same shape."""
        return self.in_arms(masks * self.factor(masks))

    def in_arms(self, transfer: Tensor) -> Tensor:
        """An error-free T(nu) with the errors of the arms, and no brighter than passive optics allow."""
        if self.errors is None:
            return transfer
        transfer = self.errors(transfer)
        return transfer / largest_singular_value(transfer).clamp(min=1) if self.kind == "ideal" else transfer

    def extra_repr(self) -> str:
        """What print shows."""
        kind = f"scale {float(self.get_buffer('value')):.4g}" if self.kind == "given" else self.kind
        return kind + (f", insertion loss {self.insertion_loss_db:g} dB" if self.insertion_loss_db else "")


class ClippedMask(MaskBank):
    r"""A bank whose masks are made passive together, at every frequency by itself: see :func:`clip_gain`.

    For ``FourF(..., combiner=1.0)``: T is then passive, and as bright as it can be where the masks sum up to
    more than 1. It is the kernels that pay: their shape changes, and their masks are no longer phase-only.

    Args:
        bank: Any bank of masks.

    Raises:
        TypeError: If it is none.
    """

    def __init__(self, bank: MaskBank) -> None:
        if not isinstance(bank, MaskBank):
            raise TypeError(f"ClippedMask: expected a bank of masks, got {type(bank).__name__}.")
        super().__init__(torch.empty(*bank.channels, *bank.samples, device="meta"), bank.pitch)
        self.bank = bank

    def response(self, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        """The clipped transmittance of the bank."""
        return clip_gain(self.bank.transmittance(grid, shape))


def _checked_loss(name: str, loss: float) -> float:
    return checked_number(f"{name} insertion_loss_db", loss, "at least 0", lambda x: 0 <= x < math.inf)
