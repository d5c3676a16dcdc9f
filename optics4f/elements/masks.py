"""Banks of Fourier-plane masks, one mask for every pair of an output and an input channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..fourier import crop_center, kernel_response, pad_center
from ..functional import quantise_phase
from ..grid import Grid, check_field
from ..units import compact, positive_si

CONVENTIONS = {"convolution": -1, "correlation": +1}


class MaskBank(nn.Module):
    """Abstract bank of masks C_in -> C_out: ``response`` says what a kind of mask does at each frequency.

    Every bank is passive mask by mask: ``transmittance`` has :math:`|t| \\le 1`.

    Args:
        bank: Anything of shape (C_out, C_in, H, W), for the number of channels and samples.
        pitch: Pitch ``(dy, dx)`` at which the masks are made [m], or None where the plane decides.
    """

    def __init__(self, bank: Tensor, pitch: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.channels = (bank.shape[0], bank.shape[1])
        self.samples = (bank.shape[2], bank.shape[3])
        self.pitch = pitch

    @staticmethod
    def from_kernels(kernels: Tensor, convention: str = "correlation", trainable: bool = True) -> KernelMask:
        """Masks that convolve or correlate with small kernels: see :class:`KernelMask`."""
        return KernelMask(kernels, convention, trainable)

    def response(self, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        """Frequency response before it is made passive.

        Args:
            grid: Samples of the Fourier plane.
            shape: Central samples wanted, those inside the stop.

        Returns:
            Complex, shape (C_out, C_in, *shape).
        """
        raise TypeError(
            f"MaskBank: expected one of its kinds, such as KernelMask, got {type(self).__name__}."
        )

    def scale(self, response: Tensor) -> Tensor:
        """The factor s that makes a response passive, ``t = s * response``: one real number as a tensor."""
        return torch.ones((), dtype=response.real.dtype, device=response.device)

    def transmittance(self, grid: tuple[int, int], shape: tuple[int, int] | None = None) -> Tensor:
        """Complex transmittance with |t| <= 1, shape (C_out, C_in, *shape)."""
        response = self.response(grid, shape or grid)
        return response * self.scale(response)

    def forward(self, arms: Tensor) -> Tensor:
        """Light through the masks: (..., C_out, C_in, H, W) to the same shape.

        Raises:
            TypeError: If it is no tensor of real or complex numbers.
            ValueError: If it has other channels than the masks: they would broadcast.
        """
        plane = getattr(arms, "shape", ())[-2:]  # any
        check_field(type(self).__name__, arms, (*self.channels, *plane), "real or complex")
        return arms * self.transmittance((arms.shape[-2], arms.shape[-1]))

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.channels[1]} -> {self.channels[0]}"


class KernelMask(MaskBank):
    r"""Masks that hold the Fourier transform of small kernels, scaled to a largest :math:`|t|` of 1.

    ``"correlation"`` is what a CNN layer computes, ``"convolution"`` the product of spectra with the kernel
    as it stands. The kernel's origin is its sample ``k // 2``. Circular on the plane. Kernels lie in the
    plane as fields do, row index up: weights of an electronic CNN, row 0 at the top, are turned over
    (``flip(-2)``) to do behind :class:`AmplitudeEncoding` what they did to the picture.

    Args:
        kernels: Real or complex, shape (C_out, C_in, k, l).
        convention: ``"correlation"`` or ``"convolution"``.
        trainable: Whether the kernels are parameters.

    Raises:
        ValueError: For another convention or number of dimensions, or kernels that are zero or not finite.
    """

    def __init__(self, kernels: Tensor, convention: str = "correlation", trainable: bool = True) -> None:
        if convention not in CONVENTIONS:
            raise ValueError(
                f"KernelMask: expected convention {' or '.join(CONVENTIONS)}, got {convention!r}."
            )
        check_bank(kernels, "KernelMask")
        if not bool(kernels.detach().abs().max() > 0):
            raise ValueError("KernelMask: expected kernels that are not all zero, got zeros.")
        super().__init__(kernels)
        self.convention = convention
        self.is_complex = kernels.is_complex()
        self.kernels = _values(torch.view_as_real(kernels) if self.is_complex else kernels, trainable)

    def response(self, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        """The Fourier transform of the kernels.

        Raises:
            ValueError: If a kernel is larger than the plane.
        """
        kernels = torch.view_as_complex(self.kernels) if self.is_complex else self.kernels
        check_size(self, grid)
        return kernel_response(kernels, grid, shape, CONVENTIONS[self.convention])

    def scale(self, response: Tensor) -> Tensor:
        """1 / max|H|: the brightest passive mask."""
        return 1 / response.abs().amax()


class SampledMask(MaskBank):
    """Abstract bank given sample by sample, as ``sampled`` says; outside its samples the plane is opaque."""

    def __init__(self, values: Tensor, trainable: bool, pitch: Any) -> None:
        super().__init__(values, _pitch(pitch, type(self).__name__))
        self.values = _values(values, trainable)

    def sampled(self) -> Tensor:
        """Complex values at the bank's own samples."""
        raise TypeError(f"{type(self).__name__} is abstract.")

    def response(self, grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
        """The central samples wanted.

        Raises:
            ValueError: If the bank has more samples than the plane.
        """
        check_size(self, grid)
        sampled = self.sampled()
        whole = [max(m, n) for m, n in zip(sampled.shape[-2:], shape, strict=True)]
        return crop_center(pad_center(sampled, (whole[0], whole[1])), shape)


class ComplexMask(SampledMask):
    r"""Masks that set amplitude and phase: the values :math:`z` given, over :math:`\max(1, \max|z|)`.

    Args:
        transmittance: Complex, shape (C_out, C_in, H, W), with magnitude at most 1.
        trainable: Whether real and imaginary parts are parameters.
        pitch: Pitch at which the masks are made, or a pair (dy, dx) [m]; it must meet the plane's.

    Raises:
        ValueError: If a value is larger than 1 in magnitude or not finite.
    """

    def __init__(self, transmittance: Tensor, trainable: bool = False, pitch: Any = None) -> None:
        check_bank(transmittance, "ComplexMask")
        peak = float(transmittance.detach().abs().max())
        if peak > 1 + 1e-6:  # float32 rounding of a value that was 1
            raise ValueError(
                f"ComplexMask: expected a passive transmittance, |t| <= 1, got |t| up to {peak:.6g}."
            )
        if not transmittance.is_complex():
            transmittance = torch.complex(transmittance, torch.zeros_like(transmittance))
        super().__init__(torch.view_as_real(transmittance), trainable, pitch)

    def sampled(self) -> Tensor:
        """Values as they are kept."""
        return torch.view_as_complex(self.values)

    def scale(self, response: Tensor) -> Tensor:
        """1 unless training drove a value beyond 1."""
        return 1 / response.abs().amax().clamp(min=1)


class PhaseMask(SampledMask):
    r"""Masks that set the phase alone: :math:`t = e^{i\varphi}`, optionally in L levels of :math:`2\pi/L`.

    Args:
        phase: [rad], shape (C_out, C_in, H, W).
        trainable: Whether the phase is a parameter.
        levels: Number of levels (straight-through gradient), or None for a continuous phase.
        pitch: As in :class:`ComplexMask`.

    Raises:
        ValueError: If the phase is complex or not finite, or there are fewer than 2 levels.
        TypeError: If the number of levels is no integer.
    """

    def __init__(
        self, phase: Tensor, trainable: bool = True, levels: int | None = None, pitch: Any = None
    ) -> None:
        check_bank(phase, "PhaseMask")
        if levels is not None and type(levels) is not int:
            raise TypeError(f"PhaseMask levels: expected an integer or None, got {levels!r}.")
        if phase.is_complex() or (levels is not None and levels < 2):
            raise ValueError(
                f"PhaseMask: expected a real phase and at least 2 levels, got {phase.dtype}, {levels}."
            )
        super().__init__(phase, trainable, pitch)
        self.levels = levels

    def sampled(self) -> Tensor:
        """Unit vectors of the phase."""
        phase = quantise_phase(self.values, self.levels) if self.levels else self.values
        return torch.polar(torch.ones_like(phase), phase)


class AmplitudeMask(SampledMask):
    r"""Masks that set the amplitude alone: :math:`t = \sin^2\theta` with the free parameter :math:`\theta`.

    0 and 1 are reached exactly; there the gradient vanishes, so start training in between.

    Args:
        amplitude: In [0, 1], shape (C_out, C_in, H, W).
        trainable: Whether :math:`\theta` is a parameter.
        pitch: As in :class:`ComplexMask`.
    """

    def __init__(self, amplitude: Tensor, trainable: bool = True, pitch: Any = None) -> None:
        check_bank(amplitude, "AmplitudeMask")
        low, high = float(amplitude.detach().real.min()), float(amplitude.detach().real.max())
        if amplitude.is_complex() or low < 0 or high > 1:
            raise ValueError(
                f"AmplitudeMask: expected real values in [0, 1], got {amplitude.dtype}, {low:g} to {high:g}."
            )
        super().__init__(torch.asin(torch.sqrt(amplitude)), trainable, pitch)

    def sampled(self) -> Tensor:
        """Amplitudes as complex numbers."""
        amplitude = torch.sin(self.values).square()
        return torch.complex(amplitude, torch.zeros_like(amplitude))


def check_fit(bank: MaskBank, grid: Grid) -> None:
    """Refuse a bank that is larger than the Fourier plane, or made at another pitch.

    A mask is accepted while its outermost sample stands within 1/20 of a sample of where it should.

    Raises:
        TypeError: If it is no bank.
        ValueError: With what was expected and what came.
    """
    if not isinstance(bank, MaskBank):
        raise TypeError(f"FourF masks: expected a MaskBank, such as KernelMask, got {type(bank).__name__}.")
    check_size(bank, grid.shape)
    for own, wanted, n in zip(bank.pitch or grid.spacing, grid.spacing, grid.shape, strict=True):
        if abs(own / wanted - 1) * n / 2 > 0.05:
            raise ValueError(
                f"{type(bank).__name__}: expected the pitch of the Fourier plane, lambda f / (N dx) = "
                f"{compact(wanted, 'm')}, got a mask made at {compact(own, 'm')}; "
                f"the kernel would be rescaled by {own / wanted:.4g}."
            )


def check_size(bank: MaskBank, plane: tuple[int, int]) -> None:
    """Refuse a bank with more samples than the plane."""
    if any(own > n for own, n in zip(bank.samples, plane, strict=True)):
        name = type(bank).__name__
        raise ValueError(f"{name}: expected at most {plane} samples, those of the plane, got {bank.samples}.")


def check_bank(values: Tensor, name: str) -> None:
    """Refuse what is not a finite floating-point tensor of shape (C_out, C_in, H, W)."""
    if not isinstance(values, Tensor) or not (values.is_floating_point() or values.is_complex()):
        raise TypeError(
            f"{name}: expected a real or complex tensor, got {getattr(values, 'dtype', type(values))}."
        )
    if values.ndim != 4 or 0 in values.shape:
        raise ValueError(
            f"{name}: expected shape (C_out, C_in, H, W), none of them 0, got {tuple(values.shape)}."
        )
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{name}: expected finite values, got NaN or infinity.")


def _values(values: Tensor, trainable: bool) -> nn.Parameter:
    return nn.Parameter(values.detach().clone().contiguous(), requires_grad=trainable)


def _pitch(pitch: Any, name: str) -> tuple[float, float] | None:
    if pitch is None:
        return None
    pair = pitch if isinstance(pitch, (tuple, list)) else (pitch, pitch)
    if len(pair) != 2:
        raise TypeError(f"{name} pitch: expected one length or a pair (dy, dx), got {pitch!r}.")
    return positive_si(pair[0], "m", f"{name} pitch"), positive_si(pair[1], "m", f"{name} pitch")
