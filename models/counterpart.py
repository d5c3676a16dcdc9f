"""Any CNN to its optical, linear counterpart: convolutions become masks, pools become stops."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import AmplitudeEncoding, GuardBand, Window
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.transfer import Audit, audit

from .bench_design import BenchDesign, stages_of
from .linear_part import Plan, Tap, carried_bias, walk
from .sclc import READOUTS

SKIPS = ("detect", "drop")


class SensorSignal(nn.Module):
    """What one sensor reads, as the CNN's electronics expect it.

    ``strict``: a gain that undoes the light, and the constant to which the biases of the layers come: the
    linear part of the CNN itself. ``detected``: a gain that makes random pictures about 1, and each channel
    standardised. A bias cannot be given back there: it would have to be in the light before the square.

    Args:
        sensor: Field to pixels.
        bias: (C,).
        standardised: Whether channels are standardised, in place of the bias.

    Shape:
        (B, C, H, W) complex to (B, C, p_y, p_x).
    """

    def __init__(self, sensor: nn.Module, bias: Tensor, standardised: bool) -> None:
        super().__init__()
        self.sensor = sensor
        self.register_buffer("gain", bias.new_ones(()))
        self.bias = None if standardised else nn.Parameter(bias[:, None, None].clone())
        self.standardise: nn.Module = nn.Identity()
        if standardised:
            self.standardise = nn.BatchNorm2d(len(bias), affine=False, dtype=bias.dtype)

    def forward(self, field: Tensor) -> Tensor:
        """The signal."""
        # Row 0 of the plane is its lowest y, that of a CNN its top.
        signal: Tensor = self.standardise(self.sensor(field).flip(-2) * self.get_buffer("gain"))
        return signal if self.bias is None else signal + self.bias


class Counterpart(nn.Module):
    """A CNN whose linear layers are 4f systems, up to its sensors; made by :func:`counterpart`.

    Planes are read turned with the image, so that the kernels stand as in the CNN. On a bench, where each
    system inverts, the masks of every second one are turned by 180 degrees.

    Attributes:
        source: Pictures in [0, 1] to fields.
        optics: A :class:`~optics4f.cascade.Cascade` of all layers.
        signals: One :class:`SensorSignal` for each sensor; the one behind all layers first.
        back_end: The rest of the CNN, a function of the signals.
        steps: What became of every node of the CNN, for reading.

    Shape:
        Pictures (B, C, H, W) in [0, 1] to what the CNN gives.
    """

    def __init__(self, plan: Plan, shape: tuple[int, int, int], bench: BenchDesign, readout: str) -> None:
        super().__init__()
        self.design, self.readout, self.taps, self.steps = bench, readout, plan.taps, tuple(plan.steps)
        plane = bench.guard * shape[1], bench.guard * shape[2]
        display = AmplitudeEncoding(Grid((shape[1], shape[2]), bench.spacing), bench.power)
        self.white: float = display.power**0.5 / math.sqrt(shape[1] * shape[2] * display.grid.cell_area)
        self.source = nn.Sequential(display, GuardBand(plane))
        self.optics: nn.Module = Cascade(stages_of(plan.layers, plane, bench))
        self.signals = nn.ModuleList(
            SensorSignal(self._sensor(tap), carried_bias(plan.layers[: tap.layers]), readout == "detected")
            for tap in plan.taps
        )
        self.back_end = plan.electronics
        self.to(plan.layers[0].bias.device)
        self._set_gains(torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)))
        self.train().requires_grad_(True)  # a teacher is often frozen, and was read in evaluation mode

    def _sensor(self, tap: Tap) -> nn.Module:
        """As many pixels as the CNN has samples; with a guard band more, of which the middle is read."""
        systems = _systems(self.optics)
        pixels, guard = tap.shape[1:], self.design.guard
        wide = READOUTS[self.readout](
            systems[tap.layers - 1].output_grid, (guard * pixels[0], guard * pixels[1])
        )
        return nn.Sequential(wide, Window(pixels)) if guard > 1 else wide

    def _set_gains(self, pictures: Tensor) -> None:
        with torch.no_grad():
            fields = self.fields(pictures.to(self.get_buffer("signals.0.gain")))
            for tap, signal, field in zip(self.taps, self.signals, fields, strict=True):
                gain = signal.get_buffer("gain")
                power = signal.get_submodule("sensor")(field).square().mean()
                gain.fill_(1 / self.amplitude(tap.layers) if self.readout == "strict" else power.rsqrt())

    def amplitude(self, layers: int | None = None) -> float:
        """Field of a white picture times the scales of masks and sums of the first ``layers`` [sqrt(W)/m].

        The field over this number is what the CNN's own kernels give for the picture.

        Raises:
            ValueError: If it is collapsed, which mixes the scale with the masks.
        """
        if not isinstance(self.optics, Cascade):
            raise ValueError(f"amplitude: expected a cascade, got a {type(self.optics).__name__}.")
        decibels = [sum(system.scale_db()) for system in _systems(self.optics)[:layers]]
        return self.white * 10 ** (math.fsum(decibels) / 20)

    def fields(self, picture: Tensor) -> list[Tensor]:
        """The field at every sensor, (B, C, H, W) complex [sqrt(W)/m]."""
        field = self.source(picture)
        if len(self.taps) == 1:
            return [self.optics(field)]
        fields = [field]
        for system in _systems(self.optics):
            fields.append(system(fields[-1]))
        return [fields[tap.layers] for tap in self.taps]

    def forward(self, picture: Tensor) -> Tensor:
        """What the CNN gives."""
        sensors = zip(self.signals, self.fields(picture), strict=True)
        result: Tensor = self.back_end(*(signal(field) for signal, field in sensors))
        return result

    @property
    def conversions(self) -> int:
        """Sensors that read the light of one picture: 1, and 1 for each skip connection that is detected."""
        return len(self.taps)

    def cost(self) -> str:
        """What the sensors cost: conversions, numbers to be read, and the light that they share."""
        numbers = [math.prod(tap.shape) for tap in self.taps]
        skips = f", {sum(numbers[1:])} of them for {len(numbers) - 1} skip connections" if numbers[1:] else ""
        plural = "s" if numbers[1:] else ""
        return (
            f"{len(numbers)} optical-to-electronic conversion{plural} with {sum(numbers)} numbers per picture"
            f"{skips}; shared evenly, each sensor has {1 / len(numbers):.0%} of the light"
        )

    def collapse(self) -> Counterpart:
        """The same with the one 4f system that all layers equal.

        Raises:
            ValueError: If skip connections are detected between the layers, or it is collapsed already.
        """
        if len(self.taps) > 1 or not isinstance(self.optics, Cascade):
            got = f"{self.conversions} sensors behind a {type(self.optics).__name__}"
            raise ValueError(f"collapse: expected one sensor behind a cascade, got {got}.")
        collapsed = copy.deepcopy(self)
        collapsed.optics = self.optics.collapse()
        collapsed.taps = [replace(self.taps[0], layers=1)]
        return collapsed

    def audit(self, pictures: Tensor) -> Audit:
        """What this network really is, measured in float64 on at least three pictures."""
        twin = copy.deepcopy(self).double().eval()
        found = audit(twin.optics, twin, pictures.double(), twin.source, self.readout)
        return replace(found, conversions=found.conversions + len(self.taps) - 1)


def counterpart(
    teacher: nn.Module,
    shape: tuple[int, int, int],
    bench: BenchDesign | None = None,
    readout: str = "detected",
    back_end: str | int = "last",
    skips: str = "detect",
) -> Counterpart:
    r"""The optical, linear counterpart of any CNN, with the CNN's own kernels as its first weights.

    Every Conv2d is a :class:`~optics4f.system.FourF` with a bank of its kernels. BatchNorm, with its running
    statistics, is folded into the layer before. ReLU, x^2 and dropout are dropped. Max and average pools
    become stops of the size of their output. What optics do not do as the CNN does:

    - *Stride.* It keeps every s-th sample, so that higher frequencies fold onto lower ones. A stop has no
      folding: what stands here is the convolution and an ideal low-pass to the size the CNN has. Likewise
      without padding, where the CNN cuts off the border: the field of view is kept. Layers of stride 1 that
      keep their size are exact.
    - *Padding.* Planes are circular, whatever the CNN pads with; see ``BenchDesign.guard``. A kernel wider
      than its plane wraps round.
    - *Groups* are kernels that are zero. They may be trained; optics are not dearer for it.
    - *Bias.* A bias is light at zero frequency that does not come from the picture. Masks have none.
      Electronics add it behind a ``strict`` readout (:func:`~optics4f.models.linear_part.carried_bias`);
      behind a ``detected`` one it is given up, since it would have to be there before the square.
    - *Even stops* block their unpaired edge and so pass one row and one column less; ``odd_stops`` leaves
      those out of the plane. The sensor has the CNN's number of pixels in either case.

    So, where no layer changes its size, a ``strict`` counterpart begins as the circular CNN without its
    nonlinearities, but for the pixels, which read a mean over their area where the CNN has a sample. Behind a
    ``detected`` one the back end has the CNN's weights too, and there they are no more than a beginning.

    Linear layers that are not kept in electronics are multiplied into the first one that is. A U-Net is cut
    where it begins to rise: the contracting path is optical, the expanding path stays electronic as it is.

    Args:
        teacher: Any torch model that torch.fx can trace; it is not changed.
        shape: (C, H, W) of its pictures.
        bench: The bench; ``BenchDesign()`` if not given.
        readout: ``"strict"`` or ``"detected"``, as of :class:`~optics4f.models.sclc.SCLC`.
        back_end: ``"last"``, or how many trailing Linear stay electronic, with what stands between them.
        skips: What the skip connections of a U-Net become. ``"detect"``: a sensor each, at the price that
            :meth:`Counterpart.cost` gives; the field of each is that of the undivided light.
            ``"drop"``: zeros for the expanding path.

    Raises:
        ValueError: If a node is not supported, with its name; if the model has fewer Linear than are kept or
            does not take such pictures; for another readout, back end or way with skips.
        TypeError: If a length has no unit.

    Source: paper, "Spectral CNN Linear Counterpart"; stops for pools: O. Rippel et al., arXiv:1506.03767.
    """
    if readout not in READOUTS:
        raise ValueError(f"counterpart: expected readout {' or '.join(READOUTS)}, got {readout!r}.")
    if skips not in SKIPS:
        raise ValueError(f"counterpart: expected skips {' or '.join(SKIPS)}, got {skips!r}.")
    kept = 1 if back_end == "last" else back_end
    if type(kept) is not int or kept < 1:
        raise ValueError(f"counterpart: expected back_end 'last' or 1, 2, ..., got {back_end!r}.")
    if len(shape) != 3 or any(type(n) is not int or n < 1 for n in shape):
        raise ValueError(f"counterpart: expected a shape (C, H, W) of positive integers, got {shape!r}.")
    plan = walk(teacher, shape, kept)
    if not plan.layers:
        raise ValueError("counterpart: expected a model with a Conv2d or a pool, got one without.")
    if skips == "drop":
        dark = _Dark(plan.electronics, plan.taps[1:])
        plan = replace(plan, taps=plan.taps[:1], electronics=dark if plan.taps[1:] else plan.electronics)
    return Counterpart(plan, shape, bench or BenchDesign(), readout)


class _Dark(nn.Module):
    """An expanding path whose skip connections carry nothing."""

    def __init__(self, electronics: nn.Module, skips: list[Tap]) -> None:
        super().__init__()
        self.electronics, self.skips = electronics, skips

    def forward(self, signal: Tensor) -> Tensor:
        dark = (signal.new_zeros(len(signal), *skip.shape) for skip in self.skips)
        result: Tensor = self.electronics(signal, *dark)
        return result


def _systems(optics: nn.Module) -> list[FourF]:
    return [part for part in optics.modules() if isinstance(part, FourF)]
