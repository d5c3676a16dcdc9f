"""The optical student: a Spectral CNN Linear Counterpart made of engine elements, named by its readout."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import AmplitudeEncoding, CoherentSum, HomodyneReadout, IntensityDetector, MaskBank
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.transfer import Audit, audit

READOUTS = {"strict": HomodyneReadout, "detected": IntensityDetector}


@dataclass(frozen=True)
class StudentDesign:
    """What a student is built from. Quantities are strings with units.

    Attributes:
        readout: ``"strict"``: homodyne, real part, so that the network is affine up to its logits.
            ``"detected"``: :math:`|E|^2` on pixels that integrate over their area.
        shape: Samples of the input plane.
        spacing: Their distance [m].
        wavelength: [m].
        focal_length: Of every lens [m].
        channels: Channels from the picture to the last bank, as in the teacher.
        kernel_sizes: Side of the kernels of each bank [samples of that bank's plane].
        stops: Side of the stop behind each bank [samples of the Fourier plane].
        pixels: Pixels of the sensor over the output plane, both ways.
        classes: Number of classes.
        power: Illumination over the whole input plane [W].
    """

    readout: str = "detected"
    shape: tuple[int, int] = (32, 32)
    spacing: str = "10 um"
    wavelength: str = "532 nm"
    focal_length: str = "100 mm"
    channels: tuple[int, ...] = (1, 4, 12, 24, 16, 16)
    kernel_sizes: tuple[int, ...] = (5, 5, 3, 3, 3)
    stops: tuple[int, ...] = (23, 15, 15, 15, 11)
    pixels: int = 11
    classes: int = 10
    power: str = "1 mW"

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise ValueError(
                f"StudentDesign: expected readout {' or '.join(READOUTS)}, got {self.readout!r}."
            )
        banks = len(self.channels) - 1
        if banks < 1 or not len(self.kernel_sizes) == len(self.stops) == banks:
            got = f"{len(self.kernel_sizes)} and {len(self.stops)}"
            raise ValueError(
                f"StudentDesign: expected {banks} kernel sizes and {banks} stops, one per bank, got {got}."
            )


class BackEnd(nn.Module):
    """The electronic back end: a gain, standardise each channel, then one fully connected layer.

    In evaluation all of it is affine, so :meth:`folded` makes it part of the one layer.

    Shape:
        (B, C, p_y, p_x) to logits (B, classes).
    """

    def __init__(self, channels: int, pixels: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.register_buffer("gain", torch.ones(()))
        self.standardise: nn.Module = nn.BatchNorm2d(channels, affine=False)
        self.linear = nn.Linear(channels * pixels[0] * pixels[1], classes)

    def forward(self, signal: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.linear(self.standardise(signal * self.get_buffer("gain")).flatten(1))
        return result

    def folded(self, brightness: float = 1.0) -> BackEnd:
        """The same map as one fully connected layer, for signals ``brightness`` times as strong."""
        norm = self.standardise
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
            raise ValueError("folded: expected a back end that standardises, got one that is folded already.")
        weight = self.linear.weight.detach().double().unflatten(1, (norm.num_features, -1))
        weight = weight / (norm.running_var.double() + norm.eps).sqrt()[:, None]
        bias = self.linear.bias.detach().double() - (weight * norm.running_mean.double()[:, None]).sum((1, 2))
        folded = copy.deepcopy(self)
        folded.standardise = nn.Identity()
        folded.get_buffer("gain").fill_(self.get_buffer("gain") / brightness)
        folded.linear.weight.data = weight.flatten(1).to(self.linear.weight)
        folded.linear.bias.data = bias.to(self.linear.bias)
        return folded


class SCLC(nn.Module):
    """A classifier with a cascade of 4f systems as front end and one fully connected layer as back end.

    Args:
        design: What it is built from.
        seed: Of the kernels and the back end.

    Shape:
        Pictures (B, C_in, H, W) in [0, 1] to logits (B, classes).

    Source: paper, "Spectral CNN Linear Counterpart"; the detectors are our addition.
    """

    def __init__(self, design: StudentDesign, seed: int = 0) -> None:
        super().__init__()
        self.design = design
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.source = AmplitudeEncoding(Grid(design.shape, design.spacing), design.power)
            self.optics: nn.Module = Cascade(_stages(design))
            self.readout = READOUTS[design.readout](self.optics.output_grid, (design.pixels, design.pixels))
            self.back_end = BackEnd(design.channels[-1], (design.pixels, design.pixels), design.classes)
            self.set_gain()

    def set_gain(self) -> None:
        """Set the electronic gain so that random pictures give signals of about 1, whatever the light."""
        generator = torch.Generator().manual_seed(0)
        pictures = torch.rand(8, self.design.channels[0], *self.design.shape, generator=generator)
        with torch.no_grad():
            signal = self.signal(pictures.to(self.back_end.linear.weight))
        self.back_end.get_buffer("gain").fill_(1 / signal.square().mean().sqrt())

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.back_end(self.signal(picture))
        return result

    def signal(self, picture: Tensor) -> Tensor:
        """What the sensor reads, (B, C_out, p_y, p_x): [W] if detected, [sqrt(W)/m] if strict."""
        result: Tensor = self.readout(self.optics(self.source(picture)))
        return result

    def collapse(self) -> SCLC:
        """The same classifier with one mask bank, as bright as passive optics allow, and one layer behind."""
        if not isinstance(self.optics, Cascade):
            raise ValueError(f"collapse: expected a cascade of 4f systems, got {type(self.optics).__name__}.")
        bench = self.optics.collapse()
        collapsed = self.with_optics(bench)
        with torch.no_grad():
            transmittance = bench.transmittance()
            brightest = CoherentSum("ideal").factor(transmittance)
            gain = float(brightest / bench.combiner.factor(transmittance))
        bench.combiner = CoherentSum(float(brightest)).to(brightest.device)
        collapsed.back_end = self.back_end.folded(gain**2 if self.design.readout == "detected" else gain)
        return collapsed.eval()

    def with_optics(self, optics: nn.Module) -> SCLC:
        """A copy with another front end before the same readout and back end."""
        other = copy.deepcopy(self)
        other.optics = optics
        return other

    def audit(self, pictures: Tensor) -> Audit:
        """What this network really is, measured in float64 on at least three pictures."""
        twin = copy.deepcopy(self).double().eval()
        return audit(twin.optics, twin, pictures.double(), twin.source, self.design.readout)


def _stages(design: StudentDesign) -> list[FourF]:
    grid = Grid(design.shape, design.spacing)
    stages = []
    for pair, size, stop in zip(
        itertools.pairwise(design.channels), design.kernel_sizes, design.stops, strict=True
    ):
        kernels = torch.randn(pair[1], pair[0], size, size) / (size * pair[0] ** 0.5)
        masks: Any = MaskBank.from_kernels(kernels)
        # The bound is passive too, and spares each step a decomposition; collapsing takes the exact value.
        bench = FourF(
            grid, design.wavelength, design.focal_length, masks, stop=(stop, stop), combiner="bound"
        )
        stages.append(bench)
        grid = stages[-1].output_grid
    return stages
