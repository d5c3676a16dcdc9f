"""4f systems with electronics between them: what the paper's published code does, named as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optics4f.system import FourF

from .back_end import unit_gain
from .spatial import through


class Electronics(nn.Module):
    r"""From one 4f system to the next through a camera, a processor and a display.

    The real part of the field is read (homodyne, ideal), rectified or not, perhaps reduced by a maximum over
    neighbours, and shown again:

    .. math:: U \mapsto g\, \max_{block} \sigma(\operatorname{Re} U)

    Neither a ReLU nor a maximum is linear: each of these steps costs an optical-to-electronic conversion, an
    exposure and a display frame, and what stands before and after it cannot be collapsed into one mask.

    Args:
        rectified: Whether negative amplitudes are set to 0.
        pooled: Samples ``(H', W')`` that a maximum leaves, or None.

    Shape:
        (B, C, H, W) real or complex to (B, C, H', W') real.
    """

    def __init__(self, rectified: bool, pooled: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.rectified, self.pooled = rectified, pooled
        self.register_buffer("gain", torch.ones(()))

    def forward(self, field: Tensor) -> Tensor:
        """What the next display shows."""
        signal = field.real * self.get_buffer("gain")
        if self.rectified:
            signal = signal.relu()
        return signal if self.pooled is None else F.adaptive_max_pool2d(signal, self.pooled)

    def extra_repr(self) -> str:
        """What print shows."""
        words = ["ReLU"] if self.rectified else []
        return ", ".join(words + ([] if self.pooled is None else [f"maximum to {self.pooled}"])) or "relay"


class Relay(nn.Module):
    """A row of 4f systems with :class:`Electronics` between each two: not one optical system, but several.

    Args:
        systems: In the order of the light.
        between: One fewer; each may change the number of samples.

    Shape:
        (B, C_in, H, W) to (B, C_out, H', W'), complex.
    """

    def __init__(self, systems: Sequence[FourF], between: Sequence[Electronics]) -> None:
        super().__init__()
        if len(between) != len(systems) - 1:
            raise ValueError(
                f"Relay: expected {len(systems) - 1} steps between the systems, got {len(between)}."
            )
        self.systems, self.between = nn.ModuleList(systems), nn.ModuleList(between)
        self.grid, self.output_grid = systems[0].grid, systems[-1].output_grid

    @property
    def conversions(self) -> int:
        """Optical-to-electronic conversions before the last sensor."""
        return len(self.between)

    def forward(self, field: Tensor) -> Tensor:
        """The field behind the last system."""
        if field.is_complex() and not field.imag.any():  # real light takes half the work
            field = field.real
        for system, electronics in self._steps():
            field = electronics(through(system, field))
        result = through(cast(FourF, self.systems[-1]), field)
        return result if result.is_complex() else torch.complex(result, torch.zeros_like(result))

    def _steps(self) -> Iterator[tuple[FourF, Electronics]]:
        for system, electronics in zip(self.systems, self.between, strict=False):
            yield cast(FourF, system), cast(Electronics, electronics)

    def set_gains(self, field: Tensor) -> None:
        """Set each gain so that this light gives amplitudes of about 1 on the next display."""
        with torch.no_grad():
            for system, electronics in self._steps():
                signal = through(system, field)
                electronics.get_buffer("gain").fill_(unit_gain(signal.real))
                field = electronics(signal)
