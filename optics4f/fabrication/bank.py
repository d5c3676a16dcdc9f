"""One bank of masks with everything a stranger needs to use it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import choice, count, number, pair, positive, sequence

ORIENTATION = (
    "Seen looking against the light, from the camera: the row index grows with +y (up), the column index "
    "with +x (right). Sample (i, j) is a pixel centred on y = (i - origin_y) pitch_y, "
    "x = (j - origin_x) pitch_x; (0, 0) is the optical axis. "
    "Time dependence exp(-i omega t): thicker glass is positive phase."
)

UNITS: dict[str, str | None] = {
    "pitch": "m",
    "wavelength": "m",
    "focal_length": "m",
    "second_focal_length": "m",
    "input_shape": "samples",
    "input_spacing": "m",
    "refractive_index": "1",
    "scale_db": "dB",
    "sum_scale_db": "dB",
    "convention": None,
    "invert_output": None,
    "levels": "1",
    "encoding": None,
    "origin": "samples",
    "material": None,
    "material_wavelengths": "m",
    "material_indices": "1",
    "flips": None,
}
"""Every field of a bank beside the transmittance, with its unit (None: not a number)."""

OPTIONAL = ("refractive_index", "material", "material_wavelengths", "material_indices", "flips")
"""Fields that a bank may leave out."""

FLIPS = ("rows", "columns", "kernel rows", "kernel columns", "conjugate")
"""What can have been turned over on the way to a bank."""

_TOLERANCE = 1e-6  # rounding of complex64, some tens of its epsilon


@dataclass(frozen=True, eq=False)
class MaskBankData:
    r"""The masks of one Fourier plane and the geometry they were made for; SI floats, pairs are (y, x).

    Sample (i, j) is a pixel centred on :math:`y = (i - o_y)\,p_y`, :math:`x = (j - o_x)\,p_x`. Two banks are
    the same if their :attr:`content_sha256` is the same.

    Args:
        transmittance: Complex amplitude transmittance, \|t\| <= 1, shape [C_out, C_in, H, W], complex64.
        pitch: Pixel pitch (dy, dx) [m].
        wavelength: Vacuum wavelength [m].
        focal_length: Focal length of the lens before the mask [m].
        second_focal_length: Focal length of the lens behind the mask [m].
        input_shape: Samples (H, W) of the input plane.
        input_spacing: Sample spacing (dy, dx) of the input plane [m].
        refractive_index: Index of the relief material at the wavelength, or None for a device without relief.
        scale_db: 20 log10 of t over the unscaled kernel response [dB]; below 0 light was given up.
        sum_scale_db: 20 log10 of the factor c of the fan-out and coherent sum, T(nu) = c t(nu) [dB].
        convention: What the optics computes: "convolution" or "correlation".
        invert_output: Whether the second lens turns the output over, as a real 4f does.
        levels: Number of equal phase steps, 0 if continuous.
        encoding: "complex", "phase" (constant \|t\|) or "amplitude" (t real, not negative).
        origin: Index (y, x) of the optical axis, not always whole; (H // 2, W // 2) if not given.
        material: Name of the relief material, or None.
        material_wavelengths: Wavelengths of its dispersion table [m], increasing; empty without a table.
        material_indices: Refractive index at each of them.
        flips: What was turned over on the way here, oldest first, each as "rows at import of x.npy"; see
            :func:`flipped`. The samples stand as the orientation says: this is their history.

    Raises:
        ValueError: If a number is out of range, \|t\| exceeds 1, or t contradicts ``encoding``.
    """

    transmittance: NDArray[np.complex64]
    pitch: tuple[float, float]
    wavelength: float
    focal_length: float
    second_focal_length: float
    input_shape: tuple[int, int]
    input_spacing: tuple[float, float]
    refractive_index: float | None = None
    scale_db: float = 0.0
    sum_scale_db: float = 0.0
    convention: str = "convolution"
    invert_output: bool = True
    levels: int = 0
    encoding: str = "complex"
    origin: Any = None
    material: str | None = None
    material_wavelengths: tuple[float, ...] = ()
    material_indices: tuple[float, ...] = ()
    flips: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {"transmittance": _transmittance(self.transmittance)}
        height, width = checked["transmittance"].shape[-2:]
        for name in ("wavelength", "focal_length", "second_focal_length"):
            checked[name] = positive(name, getattr(self, name))
        for name in ("pitch", "input_spacing"):
            checked[name] = pair(name, getattr(self, name), positive)
        checked["input_shape"] = pair("input_shape", self.input_shape, count)
        checked["origin"] = pair(
            "origin", (height // 2, width // 2) if self.origin is None else self.origin, number
        )
        for name in ("scale_db", "sum_scale_db"):
            checked[name] = number(name, getattr(self, name))
        checked["levels"] = 0 if self.levels == 0 else count("levels", self.levels)
        checked["invert_output"] = bool(self.invert_output)
        if self.refractive_index is not None:
            checked["refractive_index"] = positive("refractive_index", self.refractive_index)
        for name in ("material_wavelengths", "material_indices"):
            checked[name] = tuple(positive(name, value) for value in sequence(name, getattr(self, name)))
        checked["flips"] = tuple(_flip(entry) for entry in sequence("flips", self.flips))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        choice("convention", self.convention, ("convolution", "correlation"))
        choice("encoding", self.encoding, ("complex", "phase", "amplitude"))
        _check_material(self.material, self.material_wavelengths, self.material_indices)
        self._check_encoding()

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the sorted metadata as compact JSON, then of the samples, little-endian in C order."""
        header = {**self.described(), "shape": list(self.transmittance.shape)}
        text = json.dumps(header, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode() + self.transmittance.astype("<c8").tobytes()).hexdigest()

    def described(self) -> dict[str, Any]:
        """The metadata as plain values, the unit of ``name`` as ``name_unit``; without what is None or ()."""
        described: dict[str, Any] = {}
        for name, unit in UNITS.items():
            value = getattr(self, name)
            if value is None or value == ():
                continue
            described[name] = list(value) if isinstance(value, tuple) else value
            if unit is not None:
                described[f"{name}_unit"] = unit
        return described

    @classmethod
    def from_described(cls, transmittance: Any, described: Mapping[str, Any]) -> MaskBankData:
        """The inverse of :meth:`described`.

        Raises:
            ValueError: If a field is missing, or its unit is not the one expected.
        """
        values: dict[str, Any] = {}
        for name, unit in UNITS.items():
            if name not in described and name in OPTIONAL:
                continue
            if name not in described:
                raise ValueError(f"{name}: expected a value, got none.")
            if unit is not None and described.get(f"{name}_unit") != unit:
                raise ValueError(
                    f"{name}: expected the unit '{unit}', got {described.get(f'{name}_unit')!r}."
                )
            value = described[name]
            values[name] = tuple(value) if isinstance(value, list) else value
        return cls(transmittance=transmittance, **values)

    def constant_amplitude(self) -> float | None:
        r"""The common \|t\| of all masks of the bank, or None if it is not the same everywhere."""
        amplitude = np.abs(self.transmittance)
        low, high = float(amplitude.min()), float(amplitude.max())
        return high if high - low <= 10 * _TOLERANCE * high else None

    def _check_encoding(self) -> None:
        if self.encoding == "phase" and self.constant_amplitude() is None:
            raise ValueError(
                "transmittance: expected a constant |t| for the encoding 'phase', got a varying one."
            )
        t = self.transmittance
        if self.encoding == "amplitude" and (np.abs(t.imag).max() > _TOLERANCE or t.real.min() < -_TOLERANCE):
            raise ValueError(
                "transmittance: expected real t >= 0 for the encoding 'amplitude', got other values."
            )


def flipped(bank: MaskBankData, what: str, when: str) -> MaskBankData:
    r"""The bank turned over, and a line in its history.

    "rows" and "columns" mirror the pattern about the optical axis, :math:`t(y, x) \to t(-y, x)`, and the
    index of the axis with it. "conjugate" is :math:`t \to t^*`, for a source with the other sign of time.

    Args:
        bank: The bank.
        what: "rows", "columns" or "conjugate".
        when: The step, in words, such as "import of masks.mat".

    Raises:
        ValueError: If ``what`` is something else, or ``when`` no text of one line.
    """
    choice("what", what, ("rows", "columns", "conjugate"))
    t, (y, x) = bank.transmittance, bank.origin
    height, width = t.shape[-2:]
    if what == "rows":
        t, y = t[..., ::-1, :], height - 1 - y
    elif what == "columns":
        t, x = t[..., ::-1], width - 1 - x
    else:
        t = t.conj()
    return replace(bank, transmittance=t, origin=(y, x), flips=(*bank.flips, f"{what} at {when}"))


def phase_only(bank: MaskBankData, name: str) -> MaskBankData:
    r"""The bank with \|t\| = 1, as a relief or a phase modulator shows it.

    A constant \|t\| = a below 1 is divided out and ``scale_db`` grows by -20 log10 a: nothing is absorbed.

    Raises:
        ValueError: If \|t\| is not the same everywhere: a phase device would change what the masks compute.
    """
    amplitude = bank.constant_amplitude()
    if not amplitude:
        low, high = np.abs(bank.transmittance).min(), np.abs(bank.transmittance).max()
        raise ValueError(
            f"bank '{name}': expected a constant |t| for a phase relief or phase modulator, got |t| from "
            f"{low:.3g} to {high:.3g}; encode it with double phase (--encoding double-phase) or fine-tune it "
            "phase-only."
        )
    if bank.encoding == "phase" and abs(amplitude - 1) <= _TOLERANCE:
        return bank
    unit = np.exp(1j * np.angle(bank.transmittance.astype(np.complex128)))
    scale_db = bank.scale_db - 20 * math.log10(amplitude)
    return replace(bank, transmittance=unit, encoding="phase", scale_db=scale_db)


def _transmittance(value: Any) -> NDArray[np.complex64]:
    array = np.array(value, dtype=np.complex64, order="C")
    if array.ndim != 4 or array.size == 0:
        raise ValueError(f"transmittance: expected the shape [C_out, C_in, H, W], got {list(array.shape)}.")
    largest = float(np.abs(array).max())
    if not largest <= 1 + _TOLERANCE:  # written so that NaN is refused too
        raise ValueError(f"transmittance: expected |t| <= 1, got {largest:.6g}.")
    array.setflags(write=False)
    return array


def _flip(entry: Any) -> str:
    if not isinstance(entry, str) or not re.fullmatch(
        rf"({'|'.join(FLIPS)}) at [^\x00-\x1f\x7f]{{1,200}}", entry
    ):
        raise ValueError(f"flips: expected '{', '.join(FLIPS)}' and 'at' a step, got {entry!r}.")
    return entry


def _check_material(material: Any, wavelengths: tuple[float, ...], indices: tuple[float, ...]) -> None:
    if material is not None and not (
        isinstance(material, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", material)
    ):
        raise ValueError(f"material: expected a name of letters, digits, '.', '_', '-', got {material!r}.")
    if len(wavelengths) != len(indices):
        raise ValueError(
            f"material_indices: expected one for each of {len(wavelengths)} wavelengths, got {len(indices)}."
        )
    if any(late <= early for early, late in pairwise(wavelengths)):
        raise ValueError(f"material_wavelengths: expected increasing ones, got {list(wavelengths)}.")
