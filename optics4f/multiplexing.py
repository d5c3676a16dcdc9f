"""What the ways to share and to sum channels cost in light, for one 4f system."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .elements import CoherentSum, KernelMask
from .elements.tiling import TiledMask, TileLayout
from .functional import decibel, intensity
from .system import FourF


@dataclass(frozen=True)
class Realisation:
    """A way to build the sum over channels; ``print`` it for a line.

    Attributes:
        name: ``"ideal"``, ``"beam_splitter"``, ``"tiling"`` or ``"as built"``.
        amplitude: c in T(nu) = c t(nu), at equal kernels.
    """

    name: str
    amplitude: float

    @property
    def efficiency(self) -> float:
        """Power in the wanted sum, over that of masks that every channel would meet undivided: c squared."""
        return self.amplitude**2

    @property
    def loss_db(self) -> float:
        """-20 log10 c [dB]: light that leaves by other ports, falls beside the tiles or is absorbed."""
        return -decibel(self.amplitude)

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')}: {-self.loss_db:.1f} dB"


def light_budget(bench: FourF, layout: TileLayout | None = None) -> list[Realisation]:
    r"""How bright one layer is, :math:`c^2` in dB, however its sum over channels is built.

    - ideal: :math:`c = 1/\max_\nu \sigma_{\max}(t)`, the bound for any passive optics;
    - beam splitter: :math:`c = 1/\sqrt{C_{in} C_{out}}`, -36.1 dB for 64 x 64 and -48.2 dB for 256 x 256;
    - tiling, if there is a layout: one mask with all kernels, :math:`c = \max |\hat h_{oi}| / \max |\hat h|`
      with :math:`\hat h` of all together, at least :math:`1/(C_{in} C_{out})`, which equal kernels have;
    - as built: the bench itself, losses, errors and pupil included; r.m.s. over arms and frequencies.

    Args:
        bench: The system. For a tiling its masks hold small kernels.
        layout: Where pictures and kernels lie; the mask is computed on the smallest plane that holds them.

    Raises:
        ValueError: If the layout has other channels or kernels than the masks, or the masks are no kernels.

    Source: D. A. B. Miller, Optics Express 20, 23985 (2012), for the bound.
    """
    with torch.no_grad():
        masks, transfer = bench.transmittance(), bench.transfer()
        rows = [
            Realisation(kind, float(CoherentSum(kind).factor(masks))) for kind in ("ideal", "beam_splitter")
        ]
        if layout is not None:
            rows.append(Realisation("tiling", _tiling(bench, layout)))
        built = (intensity(transfer).sum() / intensity(masks).sum()).sqrt()
    return [*rows, Realisation("as built", float(built))]


def _tiling(bench: FourF, layout: TileLayout) -> float:
    masks = bench.masks
    if not isinstance(masks, KernelMask):
        raise ValueError(
            f"light_budget: expected masks that hold kernels for a tiling, got {type(masks).__name__}."
        )
    kernels: Tensor = torch.view_as_complex(masks.kernels) if masks.is_complex else masks.kernels
    if masks.convention == "correlation":
        kernels = kernels.flip((-2, -1))
    tiled = TiledMask(kernels, layout)
    own = masks.scale(masks.response(bench.grid.shape, bench.lit_shape))
    return float(tiled.scale(tiled.response(layout.shape, layout.shape)) / own)
