"""Devices that show a bitmap: modulators, micromirrors, grey-scale lithography; t to grey, and back."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..units import Quantity, compact, positive_si, si
from .relief import height_2pi, phase_of_height, phase_of_level, relief_height

SIGNS = {"phase": 1, "minus_phase": -1}
BITS = (1, 8, 10, 16)


@dataclass(frozen=True)
class Modulator:
    r"""A phase modulator, or with one bit and no list a micromirror device (on and off).

    Grey g shows :math:`t = \exp(\pm i\,\varphi_g \lambda_0/\lambda)`, with the listed phase
    :math:`\varphi_g` at :math:`\lambda_0`; dispersion is neglected. The nearest t on the circle is taken, so
    a range short of :math:`2\pi` is not wrapped: phases beyond it go to its nearer end.

    Args:
        name: What it is called in the manifest.
        shape: Pixels (H, W).
        pitch: Pixel pitch (dy, dx), or one number for both [length].
        wavelength: Vacuum wavelength of the list [length].
        bits: 1, 8, 10 or 16.
        lut: Phase of each grey value [rad], 2^bits numbers; 2 pi g / 2^bits if None.
        sign: "phase" if a higher listed phase delays more, "minus_phase" for the opposite.

    Raises:
        ValueError: If a number is out of range or the list has another length.
        TypeError: If a length has no unit.

    Source: the sign and the short range as in slmsuite 0.5.0.
    """

    name: str
    shape: tuple[int, int]
    pitch: Any
    wavelength: Any
    bits: int = 8
    lut: Any = None
    sign: str = "phase"

    def __post_init__(self) -> None:
        sign_factor(self.sign)
        if self.bits not in BITS:
            raise ValueError(
                f"Modulator bits: expected one of {', '.join(map(str, BITS))}, got {self.bits!r}."
            )
        shape = tuple(self.shape)
        if len(shape) != 2 or not all(isinstance(n, int) and n > 0 for n in shape):
            raise ValueError(f"Modulator shape: expected two whole numbers (H, W), got {self.shape!r}.")
        pair = self.pitch if isinstance(self.pitch, (tuple, list)) else (self.pitch, self.pitch)
        pitch = tuple(positive_si(value, "m", "Modulator pitch") for value in pair)
        if len(pitch) != 2:
            raise ValueError(f"Modulator pitch: expected one length or a pair (y, x), got {len(pitch)}.")
        lut = None if self.lut is None else tuple(float(phase) for phase in self.lut)
        if lut is not None and (len(lut) != 2**self.bits or not np.all(np.isfinite(lut))):
            raise ValueError(
                f"Modulator lut: expected {2**self.bits} finite phases for {self.bits} bits, got {len(lut)}."
            )
        wavelength = positive_si(self.wavelength, "m", "Modulator wavelength")
        for name, value in (("shape", shape), ("pitch", pitch), ("wavelength", wavelength), ("lut", lut)):
            object.__setattr__(self, name, value)

    @property
    def mirrors(self) -> bool:
        """Whether its pixels are on or off rather than early or late."""
        return self.bits == 1 and self.lut is None

    def transmittance(self, wavelength: float) -> NDArray[np.complex128]:
        """What each grey value shows at a wavelength [m], shape (2^bits,)."""
        if self.mirrors:
            return np.array([0, 1], dtype=np.complex128)
        listed = phase_of_level(np.arange(2**self.bits), 2**self.bits) if self.lut is None else self.lut
        phase = sign_factor(self.sign) * np.asarray(listed) * (self.wavelength / wavelength)
        return np.asarray(np.exp(1j * phase))

    def described(self) -> dict[str, Any]:
        """The profile as plain values with units, for the manifest."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"kind": "modulator", **plain, "pitch_unit": "m", "wavelength_unit": "m", "lut_unit": "rad"}


@dataclass(frozen=True)
class DoseCurve:
    """The dose curve of a grey-scale lithography machine: a monotone table from depth to grey value.

    Args:
        name: What it is called in the manifest.
        depth: Depths that were measured, growing [length].
        grey: Grey value that made each depth, growing or falling, within the bits.
        bits: 8, 10 or 16; ten bits stand in the lower bits of 16.

    Raises:
        ValueError: If the table is not monotone or a grey value does not fit the bits.
        TypeError: If a depth has no unit.
    """

    name: str
    depth: Any
    grey: tuple[float, ...]
    bits: int = 8

    def __post_init__(self) -> None:
        depth = tuple(_depth(value) for value in self.depth)
        grey = tuple(float(value) for value in self.grey)
        if self.bits not in BITS[1:]:
            raise ValueError(f"DoseCurve bits: expected one of 8, 10, 16, got {self.bits!r}.")
        rise, step = np.diff(depth), np.diff(grey)
        if (
            len(depth) != len(grey)
            or len(depth) < 2
            or not (np.all(rise > 0) and (np.all(step > 0) or np.all(step < 0)))
        ):
            raise ValueError(
                "DoseCurve: expected at least two depths, growing, each with a grey value, growing or "
                f"falling, got {len(depth)} depths and {len(grey)} grey values that are not."
            )
        if not (min(grey) >= 0 and max(grey) < 2**self.bits):
            raise ValueError(
                f"DoseCurve grey: expected 0 to {2**self.bits - 1}, got {min(grey):g} to {max(grey):g}."
            )
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "grey", grey)

    def grey_of_depth(self, depth: ArrayLike) -> NDArray[np.int64]:
        """Grey value of depths [m], interpolated and rounded.

        Raises:
            ValueError: If a depth is outside the table.
        """
        wanted = np.asarray(depth, dtype=np.float64)
        low, high = self.depth[0], self.depth[-1]
        slack = 1e-9 * high  # rounding of the last depth
        if wanted.min() < low - slack or wanted.max() > high + slack:
            raise ValueError(
                f"DoseCurve '{self.name}': expected depths of {compact(low, 'm')} to {compact(high, 'm')}, "
                f"got {compact(float(wanted.min()), 'm')} to {compact(float(wanted.max()), 'm')}."
            )
        return np.rint(np.interp(wanted, self.depth, self.grey)).astype(np.int64)

    def depth_of_grey(self, grey: ArrayLike) -> NDArray[np.float64]:
        """Depth [m] that a grey value makes."""
        order = np.argsort(self.grey)
        table = np.asarray(self.grey)[order], np.asarray(self.depth)[order]
        return np.asarray(np.interp(np.asarray(grey, dtype=np.float64), *table))

    def described(self) -> dict[str, Any]:
        """The table as plain values with units, for the manifest."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"kind": "dose_curve", **plain, "depth_unit": "m"}


def device_from(described: Mapping[str, Any]) -> Modulator | DoseCurve:
    """A device from the values of its ``described()``, or from a table of a profile with lengths as text.

    Raises:
        ValueError: If the kind is unknown, or a field is missing or unknown.
    """
    values = {k: v for k, v in described.items() if k != "kind" and not k.endswith("_unit")}
    kind = described.get("kind")
    try:
        if kind == "modulator":
            pitch = values.pop("pitch")
            pair = pitch if isinstance(pitch, list) else [pitch, pitch]
            metres = {"pitch": tuple(map(_length, pair)), "wavelength": _length(values.pop("wavelength"))}
            return Modulator(**values, **metres)
        if kind == "dose_curve":
            depth = [_length(value) for value in values.pop("depth")]
            return DoseCurve(depth=depth, **values)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"device: expected the fields of a {kind}, got a wrong or missing one ({error})."
        ) from None
    raise ValueError(f"device: expected the kind 'modulator' or 'dose_curve', got {kind!r}.")


def load_device(path: str | Path) -> Modulator | DoseCurve:
    """Read a device profile, a TOML file with ``kind`` and the fields of the class; lengths are text.

    Raises:
        ValueError: If the file is not such a profile.
    """
    content = Path(path).read_bytes()
    try:
        described = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, or not text
        raise ValueError(f"{path}: expected a profile in TOML, got another file ({error}).") from None
    try:
        for key in ("pitch", "wavelength", "depth"):
            value = described.get(key, "")
            if not all(isinstance(v, str) for v in (value if isinstance(value, list) else [value])):
                raise ValueError(f"{key}: expected a text with a unit such as '8 um', got {value!r}")
        return device_from(described)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def device_greys(
    device: Modulator | DoseCurve, transmittance: NDArray[Any], wavelength: float, index: float | None = None
) -> NDArray[np.int64]:
    """Grey value of every sample of a mask.

    A modulator takes the grey value whose t is nearest; a dose curve the depth below one full wave of height.

    Args:
        device: What shows it.
        transmittance: Complex amplitude transmittance, any shape.
        wavelength: Vacuum wavelength [m].
        index: Refractive index of the resist, which a dose curve needs.

    Raises:
        ValueError: If mirrors that are on or off are asked for anything but 1 and 0.
    """
    if isinstance(device, DoseCurve):
        height = relief_height(np.angle(transmittance), wavelength, _known(index))
        return device.grey_of_depth(height_2pi(wavelength, _known(index)) - height)
    if device.mirrors:
        return _on_off(transmittance, device.name)
    phases, grey = _on_circle(np.angle(device.transmittance(wavelength)))
    bounds = (phases + np.append(phases[1:], phases[0] + 2 * np.pi)) / 2
    wanted = np.angle(transmittance) % (2 * np.pi) % (2 * np.pi)
    nearest = np.searchsorted(bounds, wanted, side="right")  # halves go up, as everywhere
    nearest[wanted < bounds[-1] - 2 * np.pi] = len(phases) - 1
    greys: NDArray[np.int64] = grey[nearest % len(phases)]
    return greys


def device_shows(
    device: Modulator | DoseCurve, grey: NDArray[Any], wavelength: float, index: float | None = None
) -> NDArray[np.complex128]:
    """Amplitude transmittance of grey values: the inverse of :func:`device_greys`, up to its steps."""
    if isinstance(device, Modulator):
        return device.transmittance(wavelength)[np.asarray(grey, dtype=np.int64)]
    height = height_2pi(wavelength, _known(index)) - device.depth_of_grey(grey)
    return np.asarray(np.exp(1j * phase_of_height(height, wavelength, _known(index))))


def _on_circle(angle: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Phases in [0, 2 pi), growing, and the lowest grey value that shows each."""
    phase = np.round(angle % (2 * np.pi), 12)
    phase[phase >= 6.283185307179] = 0  # a tiny negative angle is no other phase than 0
    return np.unique(phase, return_index=True)


def _on_off(transmittance: NDArray[Any], name: str) -> NDArray[np.int64]:
    grey: NDArray[np.int64] = np.rint(np.abs(transmittance)).astype(np.int64)
    if np.abs(transmittance - grey).max() > 1e-6:  # rounding of complex64
        raise ValueError(
            f"device '{name}': expected masks that are on or off (t = 1 or 0), got others; encode them with "
            "--encoding lee."
        )
    return grey


def _known(index: float | None) -> float:
    if index is None:
        raise ValueError("device: expected a refractive index for a dose curve, got none.")
    return index


def _length(value: Any) -> Any:
    return value if isinstance(value, str) else Quantity(value, "m")


def _depth(value: Any) -> float:
    depth = si(value, "m", "DoseCurve depth")
    if depth < 0:
        raise ValueError(f"DoseCurve depth: expected 0 m or more, got {value}.")
    return depth


def sign_factor(sign: str) -> int:
    if sign not in SIGNS:
        raise ValueError(f"sign: expected one of {', '.join(SIGNS)}, got {sign!r}.")
    return SIGNS[sign]
