"""The ways to put the channels of a layer through 4f systems: what each needs, and whether it fits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..elements.tiling import TileLayout
from ..grid import checked_shape
from ..units import positive_si, si
from .layer import Hardware, Need, Pair, Plan

__all__ = ["Hardware", "Need", "Plan", "aperture_capacity", "kernel_capacity", "plans"]


def plans(need: Need, hardware: Hardware) -> list[Plan]:
    r"""Every realisation of a layer with every readout that it may need, whether it fits or not.

    Tiles have :math:`p = N + k - 1` samples, as in :class:`~optics4f.elements.tiling.TileLayout`. With C
    kernels, C_in times the outputs that are read, the share of a channel's power in each wanted path is

    - parallel arms, one mask for each kernel, trees of beam splitters: :math:`1/C`, -36.1 dB for 64 x 64;
    - psf tiling, C_in arms with one plate each, on which the outputs stand side by side: a tree of
      :math:`1/C_{in}` for the sum, and at most :math:`1/C_{out}` for the plate;
    - channel tiling, pictures and kernels side by side, one plate: at most :math:`1/C`;
    - sequential, one kernel at a time, the sum in electronics: 1, in C exposures. In the same total time
      every path then gets as much light as in a tree.

    A tiled plate reaches its bound if it absorbs nothing. In coherent light, equal kernels on one passive
    plate add up in amplitude and have the *square* of its part, ``least_efficiency``;
    :func:`optics4f.multiplexing.light_budget` computes it for kernels that are known. The bounds hold for
    masks without loss of their own. Every channel is lit with the full power.

    Outputs with a sign need a reference beam in coherent light: a homodyne pair of ports, on two sensors or
    in two exposures, or four steps. Incoherent light needs a positive and a negative kernel for each. Pixels
    of display, plates and sensor are samples; a sensor sends the smallest rectangle that holds all it reads.

    Args:
        need: The layer.
        hardware: Numbers of pixels, of bits and of sensors, and the light.

    Source: J. Chang et al., Scientific Reports 8, 12324 (2018), for kernels side by side; S. Li et al.,
    arXiv:2011.07391, for pictures side by side; D. A. B. Miller, Optics Express 20, 23985 (2012), for sums.

    Example:
        >>> layer = Need(inputs=1, outputs=64, picture=(224, 224), kernel=(7, 7), signed=False)
        >>> table = Hardware(display=(1080, 1920), mask=(1024, 1024), sensor=(2048, 2448), bits=8)
        >>> tiled = plans(layer, table)[1]
        >>> tiled.name, round(tiled.loss_db, 1), tiled.shortfalls[0]
        ('psf tiling, intensity', 18.1, "needs 1.80 times the mask's rows")
    """
    return [
        build(need, hardware, readout)
        for build in (_parallel_arms, _psf_tiling, _channel_tiling, _sequential)
        for readout in _readouts(need, hardware)
    ]


def kernel_capacity(plane: Pair, picture: Pair, kernel: Pair) -> int:
    r"""Kernels side by side on one mask: whole tiles of :math:`N + k - 1` samples in each direction.

    .. math:: C = \lfloor M_y / (N_y + k_y - 1) \rfloor \, \lfloor M_x / (N_x + k_x - 1) \rfloor

    Args:
        plane: Samples M of the mask, (y, x).
        picture: Samples N of a picture, (y, x).
        kernel: Samples k of a kernel, (y, x).

    Source: J. Chang et al., Scientific Reports 8, 12324 (2018).

    Example:
        >>> kernel_capacity((1080, 1920), (224, 224), (7, 7))
        32
    """
    return TileLayout(picture, kernel).capacity(checked_shape("kernel_capacity", plane))


def aperture_capacity(size: tuple[Any, Any], kernel: Any, gap: Any) -> int:
    r"""Kernels side by side that each have optics of their own, with a gap between neighbours.

    .. math:: C = \lfloor (h + d)/(k + d) \rfloor \, \lfloor (w + d)/(k + d) \rfloor

    Args:
        size: Height h and width w of the whole [m], as quantities or strings.
        kernel: Side k of one [m].
        gap: Distance d of the edges of neighbours [m]; it may be zero.

    Raises:
        TypeError: If a length has no unit.
        ValueError: If one of them is negative, or size or kernel are zero.

    Source: after J. Xiang et al., arXiv:2508.08421, section 3, for a metasurface with one lens per kernel.

    Example:
        >>> aperture_capacity(("5 mm", "10 mm"), "0.9 mm", "0.1 mm")
        50
    """
    side, distance = positive_si(kernel, "m", "kernel"), si(gap, "m", "gap")
    if distance < 0:
        raise ValueError(f"gap: expected at least 0 m, got {gap}.")
    lengths = (positive_si(length, "m", "size") for length in size)
    # Decimal lengths are not exact in binary: 5.1 mm must hold five times 1.02 mm.
    return math.prod(math.floor((n + distance) / (side + distance) + 1e-9) for n in lengths)


@dataclass(frozen=True)
class _Readout:
    name: str
    outputs: int = 1
    exposures: int = 1
    sensors: int = 1


@dataclass(frozen=True)
class _Room:
    """Pixels that a realisation needs on each device."""

    display: Pair
    mask: Pair
    sensor: Pair

    def ratios(self, hardware: Hardware) -> Iterator[tuple[str, float]]:
        for device, axis in itertools.product(("display", "mask", "sensor"), (0, 1)):
            name = f"{device}'s {('rows', 'columns')[axis]}"
            yield name, getattr(self, device)[axis] / getattr(hardware, device)[axis]

    def cost(self, hardware: Hardware) -> tuple[float, int]:
        worst = max(ratio for _, ratio in self.ratios(hardware))
        return max(1.0, worst), math.prod(self.sensor)  # whatever fits: the fewest pixels to send


def _readouts(need: Need, hardware: Hardware) -> tuple[_Readout, ...]:
    if not need.signed:
        return (_Readout("intensity"),)
    if not hardware.coherent:
        return (_Readout("positive/negative pair", outputs=2),)
    ports = min(2, hardware.sensors)
    return _Readout("homodyne pair", exposures=2 // ports, sensors=ports), _Readout("four-step", exposures=4)


def _parallel_arms(need: Need, hardware: Hardware, readout: _Readout) -> Plan:
    outputs = need.outputs * readout.outputs
    kernels = need.inputs * outputs
    # Every output has optics of its own, so its picture may stand anywhere on the sensor, without a guard.
    single = _room(need, (1, 1), (1, 1))
    shapes = [(rows * single.sensor[0], columns * single.sensor[1]) for rows, columns in _grids(outputs)]
    room = _smallest([_Room(single.display, single.mask, shape) for shape in shapes], hardware)
    return _plan("parallel arms", need, hardware, readout, room, plates=kernels, efficiency=1 / kernels)


def _psf_tiling(need: Need, hardware: Hardware, readout: _Readout) -> Plan:
    outputs = need.outputs * readout.outputs
    room = _smallest([_room(need, (1, 1), grid) for grid in _grids(outputs)], hardware)
    return _plan(
        "psf tiling",
        need,
        hardware,
        readout,
        room,
        plates=need.inputs,
        efficiency=1 / (need.inputs * outputs),
        tiled=outputs,
    )


def _channel_tiling(need: Need, hardware: Hardware, readout: _Readout) -> Plan:
    outputs = need.outputs * readout.outputs
    kernels = need.inputs * outputs
    grids = itertools.product(_grids(need.inputs), _grids(outputs))
    room = _smallest([_room(need, *pair) for pair in grids], hardware)
    return _plan(
        "channel tiling",
        need,
        hardware,
        readout,
        room,
        displays=1,
        plates=1,
        efficiency=1 / kernels,
        tiled=kernels,
    )


def _sequential(need: Need, hardware: Hardware, readout: _Readout) -> Plan:
    room = _room(need, (1, 1), (1, 1))
    return _plan(
        "sequential", need, hardware, readout, room, displays=1, plates=1, efficiency=1.0, one_by_one=True
    )


def _plan(
    realisation: str,
    need: Need,
    hardware: Hardware,
    readout: _Readout,
    room: _Room,
    *,
    plates: int,
    efficiency: float,
    displays: int | None = None,
    tiled: int = 1,
    one_by_one: bool = False,
) -> Plan:
    kernels = need.inputs * need.outputs * readout.outputs
    shortfalls = [f"needs {r:.2f} times the {name}" for name, r in room.ratios(hardware) if r > 1]
    if one_by_one and hardware.coherent and not need.signed and need.inputs > 1:
        shortfalls.append("needs a signed readout, as intensities of single channels do not give their sum")
    return Plan(
        realisation,
        readout.name,
        exposures=readout.exposures * (kernels if one_by_one else 1),
        displays=need.inputs if displays is None else displays,
        frames=need.inputs if one_by_one else 1,
        masks=kernels,
        plates=plates,
        mask_frames=kernels if one_by_one else 1,
        sensors=readout.sensors,
        display_pixels=room.display,
        mask_pixels=room.mask,
        camera_pixels=room.sensor,
        bits=hardware.bits,
        efficiency=efficiency,
        # Powers share the light and nothing else; amplitudes of equal kernels meet at one bright frequency.
        least_efficiency=efficiency / tiled if hardware.coherent else efficiency,
        shortfalls=tuple(shortfalls),
    )


def _room(need: Need, inputs: Pair, outputs: Pair) -> _Room:
    """Room of pictures, kernels and sums side by side; the dark surround of the outermost needs no pixels."""
    layout = TileLayout(need.picture, need.kernel, inputs, outputs)
    display, sensor = [], []
    for tile, size, read, n, o in zip(
        layout.tile, need.picture, need.read or need.picture, inputs, outputs, strict=True
    ):
        display.append((n - 1) * tile + size)
        sensor.append((o - 1) * n * -(-tile * read // size) + read)
    return _Room((display[0], display[1]), layout.shape, (sensor[0], sensor[1]))


def _grids(count: int) -> list[Pair]:
    """Rows and columns that hold ``count`` tiles, none of them with a row or a column too many."""
    found = {-(-count // rows): rows for rows in range(count, 0, -1)}  # the fewest rows for these columns
    return [(rows, columns) for columns, rows in found.items()]


def _smallest(rooms: list[_Room], hardware: Hardware) -> _Room:
    return min(rooms, key=lambda room: room.cost(hardware))
