"""A layer, what stands on the table, and one way to build the layer from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..grid import checked_shape
from ..units import compact
from .stages import frame_bytes

Pair = tuple[int, int]


@dataclass(frozen=True)
class Need:
    """One layer of a network.

    Args:
        inputs: Channels C_in.
        outputs: Channels C_out.
        picture: Samples N of one channel, (y, x).
        kernel: Samples k of one kernel, (y, x).
        signed: Whether the outputs are wanted with their sign.
        read: Pixels that one output is read with, (y, x); as many as the picture has samples if not given.

    Raises:
        TypeError: If a pair is none of integers.
        ValueError: If a number is no whole number above 0.
    """

    inputs: int
    outputs: int
    picture: Pair
    kernel: Pair
    signed: bool = True
    read: Pair | None = None

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs"):
            _check_count(f"Need {name}", getattr(self, name))
        object.__setattr__(self, "read", self.picture if self.read is None else self.read)
        for name in ("picture", "kernel", "read"):
            object.__setattr__(self, name, checked_shape(f"Need {name}", getattr(self, name)))


@dataclass(frozen=True)
class Hardware:
    """What stands on the table.

    Args:
        display: Pixels of the display in the input plane, (y, x).
        mask: Pixels of one mask plate or modulator in the Fourier plane, (y, x).
        sensor: Pixels of the sensor, (y, x).
        bits: Bits per pixel as the sensor sends them.
        sensors: Sensors that look at once; two see both ports of a balanced homodyne.
        coherent: False for light whose channels and kernels add up as powers.

    Raises:
        TypeError: If a pair is none of integers.
        ValueError: If a number is no whole number above 0.
    """

    display: Pair
    mask: Pair
    sensor: Pair
    bits: int
    sensors: int = 1
    coherent: bool = True

    def __post_init__(self) -> None:
        for name in ("display", "mask", "sensor"):
            object.__setattr__(self, name, checked_shape(f"Hardware {name}", getattr(self, name), "pixel"))
        for name in ("bits", "sensors"):
            _check_count(f"Hardware {name}", getattr(self, name))


@dataclass(frozen=True)
class Plan:
    r"""One realisation of a layer, with one readout; ``print`` it for a sentence.

    Attributes:
        realisation: ``"parallel arms"``, ``"psf tiling"``, ``"channel tiling"`` or ``"sequential"``.
        readout: ``"intensity"``, ``"homodyne pair"``, ``"four-step"`` or ``"positive/negative pair"``.
        exposures: Of the sensor, for one inference, one after the other.
        displays: Displays that show a picture at once.
        frames: Pictures that a display shows one after the other.
        masks: Kernels that the layer holds, pairs counted twice.
        plates: Mask plates that they stand on.
        mask_frames: Masks that a plate shows one after the other; more than 1 needs a modulator.
        sensors: Sensors that look at once.
        display_pixels: Pixels that each display needs, (y, x).
        mask_pixels: Pixels that each plate needs, (y, x).
        camera_pixels: The rectangle that each sensor sends for an exposure, (y, x).
        bits: Bits per pixel.
        efficiency: Share of the power of a channel that meets one kernel and reaches its sum.
        least_efficiency: The same for tiled kernels that are all equal, made as one passive mask.
        shortfalls: Why it does not fit, each with its number; none if it fits.
    """

    realisation: str
    readout: str
    exposures: int
    displays: int
    frames: int
    masks: int
    plates: int
    mask_frames: int
    sensors: int
    display_pixels: Pair
    mask_pixels: Pair
    camera_pixels: Pair
    bits: int
    efficiency: float
    least_efficiency: float
    shortfalls: tuple[str, ...]

    @property
    def name(self) -> str:
        """Realisation and readout."""
        return f"{self.realisation}, {self.readout}"

    @property
    def fits(self) -> bool:
        """Whether the hardware is large enough and the readout can do it."""
        return not self.shortfalls

    @property
    def loss_db(self) -> float:
        """-10 log10 of the efficiency [dB]."""
        return -decibel_of_power(self.efficiency)

    @property
    def rows(self) -> int:
        """Rows that a sensor reads for an exposure."""
        return self.camera_pixels[0]

    @property
    def frame_bytes(self) -> int:
        """What all sensors send for one exposure, packed [byte]."""
        return frame_bytes(self.sensors, self.camera_pixels, self.bits)

    @property
    def total_bytes(self) -> int:
        """What all sensors send for one inference [byte]."""
        return self.exposures * self.frame_bytes

    @property
    def summary(self) -> str:
        """The plan in one sentence."""
        size = compact(float(self.frame_bytes), "byte")
        state = "fits" if self.fits else f"does not fit: {'; '.join(self.shortfalls)}"
        return (
            f"{self.name}: {_counted(self.masks, 'kernel')} on {_counted(self.plates, 'plate')}, "
            f"{_counted(self.exposures, 'exposure')} of {size}, {-self.loss_db:.1f} dB, {state}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan with value, unit and text of each number, ready for JSON."""
        counts = ("exposures", "displays", "frames", "masks", "plates", "mask_frames", "sensors", "rows")
        pairs = ("display_pixels", "mask_pixels", "camera_pixels")
        sizes = ("frame_bytes", "total_bytes")
        return {
            "realisation": self.realisation,
            "readout": self.readout,
            "fits": self.fits,
            "shortfalls": list(self.shortfalls),
            **{key: number(getattr(self, key), "1") for key in counts},
            **{key: _pair(getattr(self, key)) for key in pairs},
            **{key: number(getattr(self, key), "byte") for key in sizes},
            "bits": number(self.bits, "bit"),
            "efficiency": number(self.efficiency, "1"),
            "least_efficiency": number(self.least_efficiency, "1"),
            "loss": number(self.loss_db, "dB", f"{self.loss_db:.1f} dB"),
            "summary": self.summary,
        }

    def __str__(self) -> str:
        return self.summary


def number(value: float, unit: str, text: str | None = None) -> dict[str, Any]:
    """A number with its unit and as text, ready for JSON."""
    if text is None:
        text = f"{value:.6g}" if unit == "1" else compact(float(value), unit)
    return {"value": value, "unit": unit, "text": text}


def decibel_of_power(factor: float) -> float:
    r"""A factor of power in dB, :math:`10 \log_{10} x`.

    Example:
        >>> round(decibel_of_power(1 / 64**2), 1)
        -36.1
    """
    return 10 * math.log10(factor) if factor > 0 else -math.inf


def _pair(pair: Pair) -> dict[str, Any]:
    return {"value": list(pair), "unit": "pixel", "text": f"{pair[0]} x {pair[1]}"}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _check_count(name: str, value: Any) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{name}: expected a whole number above 0, got {value!r}.")
