"""Frames per second of segmentation: measured where electronics compute, estimated where light does."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from optics4f.transduction import optical_network_budget
from optics4f.transduction.measurement import take_turns
from optics4f.units import Quantity

from ..tapped import CollapsedCounterpart

BITS, LINK, LENS = 16, "paper_usb3", "100 mm"
"""Of the paper's own case: its camera's bits, its link, and the focal length it is counted with."""


@dataclass(frozen=True)
class Rate:
    """What one picture costs.

    Attributes:
        seconds: Of the whole network on this machine, its optics simulated [s].
        back_end: Of the electronics behind the sensors alone [s]; None for an electronic network.
        sensors: That read the light of one picture.
        numbers: That all sensors give for one picture.
        optical: Light, link and back end, one after the other [s]: the estimate for a bench.
        bench: The same in words.
    """

    seconds: float
    back_end: float | None = None
    sensors: int = 0
    numbers: int = 0
    optical: float | None = None
    bench: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def rates(networks: dict[str, nn.Module], shape: tuple[int, int, int], seconds: float) -> dict[str, Rate]:
    """Time of one picture for networks that take turns, and an estimate for those with optics.

    On a CPU it is the time of the processor in one thread, from which nothing is taken by other processes.
    The estimate puts the time of the light, and of a link for all that the sensors read, in place of the
    simulated optics; display and exposure are not in it, as in the paper.

    Args:
        networks: In evaluation mode, by name.
        shape: (C, H, W) of the picture.
        seconds: How long to measure [s].
    """
    calls = {}
    for name, network in networks.items():
        device = next(network.parameters()).device
        picture = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
        calls[name] = _call(network, [picture])
        if isinstance(network, CollapsedCounterpart):
            signals = _signals(network, picture)
            calls[f"{name}, back end"] = _call(network.student.back_end, signals)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    on_cpu = all(next(network.parameters()).device.type == "cpu" for network in networks.values())
    try:
        found = take_turns(calls, seconds, time.process_time if on_cpu else time.perf_counter, turn=0.02)
    finally:
        torch.set_num_threads(threads)
    medians = {name: statistics.median(times) for name, times in found.items()}
    return {name: _rate(network, medians, name) for name, network in networks.items()}


def _rate(network: nn.Module, medians: dict[str, float], name: str) -> Rate:
    if not isinstance(network, CollapsedCounterpart):
        return Rate(medians[name])
    taps, back_end = network.student.taps, medians[f"{name}, back end"]
    numbers = sum(math.prod(tap.shape) for tap in taps)
    budget = optical_network_budget(
        focal_lengths=(LENS, LENS),
        channels=numbers,
        pixels=(1, 1),
        bits=BITS,
        link=LINK,
        back_end=Quantity(back_end, "s"),
    )
    return Rate(medians[name], back_end, len(taps), numbers, budget.total_s, str(budget))


def _signals(network: CollapsedCounterpart, picture: Tensor) -> list[Tensor]:
    with torch.no_grad():
        sensors = zip(network.student.signals, network.fields(picture), strict=True)
        return [signal(field).contiguous() for signal, field in sensors]


def _call(network: nn.Module, inputs: list[Tensor]) -> Any:
    def call() -> None:
        with torch.no_grad():
            network(*inputs)
            if inputs[0].device.type == "cuda":
                torch.cuda.synchronize(inputs[0].device)

    return call
