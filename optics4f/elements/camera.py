"""A camera: the field on its pixels as digital numbers, with noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..detection import add_dark_noise, collect, digitise, photon_number, photons_per_joule
from ..grid import Grid
from ..units import compact, positive_si
from .checks import checked_seed
from .detector import IntensityDetector
from .sensor import Sensor


class Camera(nn.Module):
    r"""An image sensor in the plane of a field: power on pixels, then :func:`optics4f.detection.expose`.

    The pixels tile the plane, as those of :class:`IntensityDetector`. Noise is drawn from the camera's own
    generator: two cameras with one seed give the same frames one after the other, and frames of one camera
    differ. In training, gradients pass the noise and the rounding; clipped pixels have none.

    Args:
        grid: The plane of the field.
        pixels: Number of pixels ``(p_y, p_x)`` over that plane.
        sensor: Its numbers.
        wavelength: In vacuum [m], as a quantity or string.
        exposure_time: [s], as a quantity or string.
        seed: Of the noise.
        noise: False leaves out shot and dark noise; the maps, the clipping and the rounding stay.

    Shape:
        (..., C, H, W) complex [sqrt(W)/m] to (..., C, p_y, p_x) real [DN].

    Raises:
        TypeError: If wavelength or exposure time have no or the wrong unit, or the seed is no integer.
        ValueError: If one is not larger than zero, the seed is negative, or the pixels of the sensor do not
            fit the plane.
    """

    def __init__(
        self,
        grid: Grid,
        pixels: tuple[int, int],
        sensor: Sensor,
        wavelength: Any,
        exposure_time: Any,
        seed: int = 0,
        noise: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(sensor, Sensor):
            raise TypeError(f"Camera: expected a Sensor, such as a sensor_preset gives, got {sensor!r}.")
        self.detector = IntensityDetector(grid, pixels)
        self.grid, self.pixel_grid, self.sensor, self.noise = grid, self.detector.pixel_grid, sensor, noise
        _check_pitch(self.pixel_grid, sensor)
        self.wavelength = positive_si(wavelength, "m", "Camera wavelength")
        self.exposure_time = positive_si(exposure_time, "s", "Camera exposure_time")
        response, dark_signal = sensor.maps(self.pixel_grid.shape)
        self.register_buffer("efficiency", sensor.quantum_efficiency * response, persistent=False)
        self.register_buffer("dark_signal", dark_signal, persistent=False)
        self.restart(seed)

    @property
    def responsivity(self) -> float:
        r"""Digital numbers for the power on a pixel, :math:`K \eta t \lambda / (h c)` [DN/W]."""
        electrons = self.sensor.quantum_efficiency * photons_per_joule(self.wavelength) * self.exposure_time
        return self.sensor.gain * electrons

    def restart(self, seed: int) -> None:
        """Let the noise start again from ``seed``."""
        self.seed = checked_seed("Camera", seed)
        self._generators: dict[str, Generator] = {}

    def electrons(self, field: Tensor) -> Tensor:
        """Electrons as they are read from every pixel, dark noise included, before gain and offset."""
        sensor, power = self.sensor, self.detector(field)
        generator = self._generator(power.device) if self.noise else None
        mean = photon_number(power, self.exposure_time, self.wavelength) * self._map("efficiency", power)
        wells = collect(mean + sensor.dark_current * self.exposure_time, sensor.full_well, generator)
        return add_dark_noise(wells + self._map("dark_signal", power), sensor.dark_noise, generator)

    def forward(self, field: Tensor) -> Tensor:
        """A frame in digital numbers."""
        return digitise(self.electrons(field), self.sensor.gain, self.sensor.offset, self.sensor.bits)

    def power(self, field: Tensor) -> Tensor:
        """The power on every pixel that a frame stands for [W], mean dark signal taken off."""
        sensor = self.sensor
        dark = sensor.offset + sensor.gain * sensor.dark_current * self.exposure_time
        result: Tensor = (self(field) - dark) / self.responsivity
        return result

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{compact(self.exposure_time, 's')} at {compact(self.wavelength, 'm')}, noise={self.noise}"

    def _map(self, name: str, like: Tensor) -> Tensor:
        return self.get_buffer(name).to(like.dtype)

    def _generator(self, device: torch.device) -> Generator:
        if str(device) not in self._generators:
            self._generators[str(device)] = Generator(device).manual_seed(self.seed)
        return self._generators[str(device)]


def _check_pitch(pixel_grid: Grid, sensor: Sensor) -> None:
    if sensor.pixel_pitch is None:
        return
    for n, pitch in zip(pixel_grid.shape, pixel_grid.spacing, strict=True):
        # Half a pixel over the whole array: closer than this no pixel falls on the place of its neighbour.
        if abs(pitch - sensor.pixel_pitch) * n > sensor.pixel_pitch / 2:
            raise ValueError(
                f"Camera: expected pixels of {compact(sensor.pixel_pitch, 'm')}, got {pixel_grid}."
            )
