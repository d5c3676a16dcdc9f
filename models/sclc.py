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

from .back_end import COMPANDINGS, PUBLISHED_WIDTHS, BackEnd, unit_gain
from .relay import Electronics, Relay

READOUTS = {"strict": HomodyneReadout, "detected": IntensityDetector, "paper_code": HomodyneReadout}
POOLINGS = ("spectral", "max")
BACK_ENDS = {"one": (), "published": PUBLISHED_WIDTHS}


@dataclass(frozen=True)
class StudentDesign:
    """What a student is built from. Quantities are strings with units.

    Attributes:
        readout: ``"strict"``: homodyne, real part, so that the network is affine up to its logits.
            ``"detected"``: :math:`|E|^2` on pixels that integrate over their area.
            ``"paper_code"``: homodyne, with a ReLU between each two banks, as in the paper's published code:
            no linear network, and one optical-to-electronic conversion for each ReLU.
        shape: Samples of the input plane.
        spacing: Their distance [m].
        wavelength: [m].
        focal_length: Of every lens [m].
        channels: Channels from the picture to the last bank, as in the teacher.
        kernel_sizes: Side of the kernels of each bank [samples of that bank's plane].
        stops: Side of the stop behind each bank [samples of the Fourier plane]; as many as the plane has: no
            stop.
        pixels: Pixels of the sensor over the output plane, both ways.
        classes: Number of classes.
        power: Illumination over the whole input plane [W].
        pooling: ``"spectral"``: the stops pool. ``"max"``: the stops are left out, and electronics between
            the banks take maxima, to as many samples; not for ``strict``, which is affine.
        back_end: ``"one"`` fully connected layer, or the ``"published"`` three, 512 and 256 wide with ReLUs.
        companding: Of the camera's signal, ``"none"``, ``"sqrt"`` or ``"fourth_root"``; for
            ``detected`` alone.
        reference: Whether one more display, always white, shines through masks of its own. Its light is a
            constant in every output channel, with which the others interfere: a bias before the square.
        complex_kernels: Whether kernels start complex. With a homodyne readout the imaginary half of a
            last bank is not seen.
        dropout: Share of the signals between the layers of the ``"published"`` back end that training drops.
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
    pooling: str = "spectral"
    back_end: str = "one"
    companding: str = "none"
    reference: bool = False
    complex_kernels: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise ValueError(
                f"StudentDesign: expected readout {' or '.join(READOUTS)}, got {self.readout!r}."
            )
        for name, value, known in (
            ("pooling", self.pooling, POOLINGS),
            ("back_end", self.back_end, tuple(BACK_ENDS)),
            ("companding", self.companding, tuple(COMPANDINGS)),
        ):
            if value not in known:
                raise ValueError(f"StudentDesign: expected {name} {' or '.join(known)}, got {value!r}.")
        if self.readout == "strict" and self.pooling == "max":
            raise ValueError("StudentDesign: expected spectral pooling, as strict is affine, got max.")
        if self.readout != "detected" and self.companding != "none":
            raise ValueError(
                f"StudentDesign: expected companding of detected power alone, got it for {self.readout}."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"StudentDesign: expected a dropout from 0 to below 1, got {self.dropout!r}.")
        banks = len(self.channels) - 1
        if banks < 1 or not len(self.kernel_sizes) == len(self.stops) == banks:
            got = f"{len(self.kernel_sizes)} and {len(self.stops)}"
            raise ValueError(
                f"StudentDesign: expected {banks} kernel sizes and {banks} stops, one per bank, got {got}."
            )


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
            self.optics: nn.Module = _optics(design)
            self.readout = READOUTS[design.readout](self.optics.output_grid, (design.pixels, design.pixels))
            self.back_end = back_end_of(design)
            self.set_gain()

    def set_gain(self) -> None:
        """Set the electronic gain so that random pictures give signals of about 1, whatever the light."""
        generator = torch.Generator().manual_seed(0)
        pictures = torch.rand(8, self.design.channels[0], *self.design.shape, generator=generator)
        pictures = pictures.to(self.back_end.linear.weight)
        with torch.no_grad():
            if isinstance(self.optics, Relay):
                self.optics.set_gains(self.source(self.shown(pictures)))
            signal = self.signal(pictures)
            self.back_end.get_buffer("gain").fill_(unit_gain(signal))

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.back_end(self.signal(picture))
        return result

    def signal(self, picture: Tensor) -> Tensor:
        """What the sensor reads, (B, C_out, p_y, p_x): [W] if detected, [sqrt(W)/m] if strict."""
        result: Tensor = self.readout(self.optics(self.source(self.shown(picture))))
        return result

    def shown(self, picture: Tensor) -> Tensor:
        """What the displays show: the picture, and white if there is a reference."""
        if not self.design.reference:
            return picture
        return torch.cat((picture, torch.ones_like(picture[..., :1, :, :])), -3)

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
        return audit(
            twin.optics,
            twin,
            pictures.double(),
            lambda some: twin.source(twin.shown(some)),
            self.design.readout,
        )


def back_end_of(design: StudentDesign) -> BackEnd:
    """The back end that a design names, with random weights."""
    pixels = (design.pixels, design.pixels)
    widths = BACK_ENDS[design.back_end]
    return BackEnd(design.channels[-1], pixels, design.classes, design.companding, widths, design.dropout)


def _optics(design: StudentDesign) -> nn.Module:
    if design.readout != "paper_code" and design.pooling == "spectral":
        return Cascade(_stages(design))
    pooled = [(stop, stop) if design.pooling == "max" else None for stop in design.stops[:-1]]
    rectified = design.readout == "paper_code"
    return Relay(_stages(design), [Electronics(rectified, samples) for samples in pooled])


def _stages(design: StudentDesign) -> list[FourF]:
    grid = Grid(design.shape, design.spacing)
    channels = (design.channels[0] + design.reference, *design.channels[1:])
    stages = []
    last = len(design.stops) - 1
    for index, (pair, size, stop) in enumerate(
        zip(itertools.pairwise(channels), design.kernel_sizes, design.stops, strict=True)
    ):
        dtype = torch.complex64 if design.complex_kernels else torch.float32
        kernels = torch.randn(pair[1], pair[0], size, size, dtype=dtype) / (size * pair[0] ** 0.5)
        masks: Any = MaskBank.from_kernels(kernels)
        pools_here = design.pooling == "spectral" or index == last
        samples = (stop, stop) if pools_here and (stop, stop) != grid.shape else None
        # The bound is passive too, and spares each step a decomposition; collapsing takes the exact value.
        bench = FourF(grid, design.wavelength, design.focal_length, masks, stop=samples, combiner="bound")
        stages.append(bench)
        grid = bench.output_grid if pools_here else _pooled(bench.output_grid, stop)
    return stages


def _pooled(grid: Grid, samples: int) -> Grid:
    """The same plane with fewer samples."""
    return Grid.from_si((samples, samples), (grid.extent[0] / samples, grid.extent[1] / samples))
