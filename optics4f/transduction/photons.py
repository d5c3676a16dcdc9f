"""From the laser to the pixels: where the light goes in one 4f system, step by step."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..elements import AmplitudeEncoding, IntensityDetector, Sensor, sensor_preset
from ..elements.checks import checked_number
from ..fourier import crop_center, ft2
from ..functional import intensity, mask_and_sum
from ..grid import check_field, checked_shape
from ..system import FourF
from ..units import Quantity, positive_si
from .snr import PhotonBudget, Term, amplitude_snr, checked_ratio, electron_capacity, exposure_for_snr

__all__ = [
    "PhotonBudget",
    "Term",
    "amplitude_snr",
    "electron_capacity",
    "exposure_for_snr",
    "photon_budget",
    "photon_budget_by_numbers",
]


def photon_budget(
    bench: FourF,
    sensor: Sensor | str,
    power: Any,
    exposure_time: Any,
    picture: Tensor | None = None,
    pixels: tuple[int, int] | None = None,
) -> PhotonBudget:
    r"""Follow the power of a laser through one 4f system to the pixels of a sensor.

    The steps are exact for the system as it is simulated: their product is :math:`\sum |U_{out}|^2` over the
    power of the laser. With F the spectra of the channels, t the masks and c the factor of the combiner:

    - laser: shared evenly among the C_in pictures;
    - encoding: what the picture lets through, the mean of its square;
    - stop: the part of the spectrum inside;
    - masks: :math:`\sum_{oi} |t_{oi} F_i|^2 / (C_{out} \sum_i |F_i|^2)`, with an even fan-out;
    - sum: :math:`\sum_o |\sum_i t_{oi} F_i|^2 / (C_{in} \sum_{oi} |t_{oi} F_i|^2)`, a tree of beam splitters;
    - combiner: :math:`c^2 C_{in} C_{out}`, 0 dB for trees; above it for better optics;
    - pupil and errors: what else the transfer function holds.

    Losses of glass, coatings and the efficiency of a modulator are not in it: add them to ``terms``.

    Args:
        bench: The system.
        sensor: Its numbers, or the name of a preset.
        power: Of the laser, before it is shared among the channels [W], as a quantity or string.
        exposure_time: Of one exposure [s].
        picture: (..., C_in, H, W) in [0, 1], one or many. Without one, every channel is white and fills the
            Fourier plane evenly, with random phases; the brightest pixel is then not known.
        pixels: Pixels ``(p_y, p_x)`` over the output plane; by default what the pitch of the sensor gives,
            and the samples of the output plane if it has none.

    Raises:
        TypeError: If the bench is no FourF, or a number has no unit.
        ValueError: If the picture does not fit the bench, is not within [0, 1], or no light is left.
    """
    if not isinstance(bench, FourF):
        raise TypeError(f"photon_budget: expected a FourF, got {type(bench).__name__}.")
    sensor = sensor_preset(sensor) if isinstance(sensor, str) else sensor
    laser = positive_si(power, "W", "photon_budget power")
    time = positive_si(exposure_time, "s", "photon_budget exposure_time")
    shape = _pixels(bench, sensor, pixels)
    twin = copy.deepcopy(bench).double().eval()
    with torch.no_grad():
        field = None if picture is None else _field(twin, picture, laser)
        terms = _terms(twin, field, laser)
        ratio = 1.0 if field is None else _peak_to_mean(twin, field, shape)
    count = bench.masks.channels[0] * math.prod(shape)
    return PhotonBudget(laser, bench.wavelength, time, sensor, terms, count, ratio)


def photon_budget_by_numbers(
    sensor: Sensor | str,
    power: Any,
    wavelength: Any,
    exposure_time: Any,
    pixels: int,
    transmissions: Mapping[str, float],
    peak_to_mean: float = 1.0,
) -> PhotonBudget:
    """The same without a bench: give what part of the power passes each step.

    Args:
        sensor: Its numbers, or the name of a preset.
        power: Of the laser [W], as a quantity or string.
        wavelength: In vacuum [m].
        exposure_time: Of one exposure [s].
        pixels: Number of pixels that share the light, over all outputs.
        transmissions: Part of the power that passes, by name of the step, in order.
        peak_to_mean: Brightest pixel over the mean.

    Raises:
        TypeError: If a number has no unit.
        ValueError: If a part is not in (0, 1], there is no pixel, or the peak is below the mean.
    """
    terms = [
        Term(name, checked_number(f"transmission {name}", part, "0 < x <= 1", lambda x: 0 < x <= 1), "given")
        for name, part in transmissions.items()
    ]
    if type(pixels) is not int or pixels < 1:
        raise ValueError(f"photon_budget_by_numbers: expected a whole number of pixels, got {pixels!r}.")
    return PhotonBudget(
        positive_si(power, "W", "power"),
        positive_si(wavelength, "m", "wavelength"),
        positive_si(exposure_time, "s", "exposure_time"),
        sensor_preset(sensor) if isinstance(sensor, str) else sensor,
        tuple(terms),
        pixels,
        checked_ratio(peak_to_mean),
    )


def _pixels(bench: FourF, sensor: Sensor, pixels: tuple[int, int] | None) -> tuple[int, int]:
    if pixels is not None:
        return checked_shape("photon_budget pixels", pixels, "pixel")
    if sensor.pixel_pitch is None:
        return bench.output_grid.shape
    height, width = (max(1, round(length / sensor.pixel_pitch)) for length in bench.output_grid.extent)
    return height, width


def _peak_to_mean(bench: FourF, field: Tensor, shape: tuple[int, int]) -> float:
    signal = IntensityDetector(bench.output_grid, shape).to(field.device)(bench(field))
    return float(signal.amax() / signal.mean())


def _field(bench: FourF, picture: Tensor, power: float) -> Tensor:
    inputs = bench.masks.channels[1]
    check_field("photon_budget", picture, (inputs, *bench.grid.shape), "real")
    if float(picture.amin()) < 0 or float(picture.amax()) > 1:
        raise ValueError(
            f"photon_budget: expected a picture within [0, 1], got {float(picture.amin()):g} to "
            f"{float(picture.amax()):g}."
        )
    field: Tensor = AmplitudeEncoding(bench.grid, Quantity(power / inputs, "W"))(picture.double())
    return field.reshape(-1, *field.shape[-3:])


def _terms(bench: FourF, field: Tensor | None, power: float) -> tuple[Term, ...]:
    outputs, inputs = bench.masks.channels
    factor = float(bench.combiner.factor(bench.transmittance()))
    powers = _even_powers(bench, power) if field is None else _powers(bench, field)
    encoded, stopped, masked, summed, left = powers
    if not left > 0:
        raise ValueError("photon_budget: expected a picture that sends light to the sensor, got none.")
    masks, _ = bench.scale_db()
    return (
        Term("laser", 1.0, f"shared among {inputs} channels"),
        Term("encoding", encoded / power, "white" if field is None else "mean square of the picture"),
        Term("stop", stopped / encoded, f"{bench.lit_shape[0]} x {bench.lit_shape[1]} samples"),
        Term("masks", masked / (outputs * stopped), f"scale {masks:.1f} dB, even fan-out to {outputs}"),
        Term("sum", summed / (inputs * masked), f"tree of beam splitters for {inputs}"),
        Term("combiner", factor**2 * inputs * outputs, f"{bench.combiner.kind}, against trees"),
        Term("pupil and errors", left / (factor**2 * summed)),
    )


def _powers(bench: FourF, field: Tensor) -> tuple[float, ...]:
    """Power behind display, stop, masks, sum and all of T, a mean over pictures [W]; the last three
    without the factors 1/C_out, 1/C_in and c."""
    masks, transfer = bench.transmittance(), bench.transfer()
    spectrum = crop_center(ft2(field), bench.lit_shape)
    if bench.stop is not None:
        spectrum = spectrum * bench.stop.pupil(bench.grid.shape).to(field.device)

    def power(values: Tensor) -> float:
        return float(values.sum() * bench.grid.cell_area / len(field))

    return (
        power(intensity(field)),
        power(intensity(spectrum)),
        power(intensity(masks).sum(0) * intensity(spectrum)),
        power(intensity(mask_and_sum(spectrum, masks))),
        power(intensity(mask_and_sum(spectrum, transfer))),
    )


def _even_powers(bench: FourF, power: float) -> tuple[float, ...]:
    """The same for light with random phases, spread evenly over channels and samples of the plane."""
    inputs, samples = bench.masks.channels[1], math.prod(bench.grid.shape)
    masks, transfer = (float(intensity(t).sum()) for t in (bench.transmittance(), bench.transfer()))
    open_samples = math.prod(bench.lit_shape)
    if bench.stop is not None:
        open_samples = int(bench.stop.pupil(bench.grid.shape).sum())
    sample = power / (inputs * samples)
    return power, power * open_samples / samples, sample * masks, sample * masks, sample * transfer
