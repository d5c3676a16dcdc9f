"""Other simulators of light, each behind one call: a field in, the output field of the same 4f system out.

What a simulator builds once is built before the call. Nothing is put right that a simulator computes; what
its conventions leave out of an amplitude is a factor, derived from its source and written down here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

Array = npt.NDArray[Any]
Call = Callable[[Array], Array]
mm, um = 1e3, 1e6  # prysm counts in millimetres, and wavelengths in micrometres


# Not in the extra `bench`, and why; whoever has them installed gets them tested and timed as well.
LEFT_OUT = {
    "prysm": "prysm 0.21.1 needs pkg_resources, which setuptools 84 has no more",
    "diffractsim": "diffractsim 2.2.13 installs jax, 380 MB",
    "odak": "odak 0.2.7 installs opencv, 190 MB, and writes a log where it is imported",
}


class Light(NamedTuple):
    """What every simulator is told: a square plane, the light and the lenses [m]."""

    samples: int
    spacing: float
    wavelength: float
    focal_length: float
    diameter: float | None = None  # of both lenses

    @property
    def fourier_spacing(self) -> float:
        """Pitch of the Fourier plane behind an ideal lens, lambda f / (N dx)."""
        return self.wavelength * self.focal_length / (self.samples * self.spacing)

    @property
    def axis(self) -> float:
        """From the middle of the plane to the sample N // 2."""
        return (self.samples // 2 - (self.samples - 1) / 2) * self.spacing


class Peer(NamedTuple):
    """One way of one simulator through a 4f system.

    ``kind`` is ``lens`` where lenses are ideal Fourier transforms, and else what free space is computed by
    between thin lenses: ``fresnel`` or ``space`` for the angular spectrum, on a plane that repeats itself
    unless it is padded to ``padding`` times its width.
    """

    name: str
    module: str
    kind: str
    build: Callable[[Light, Array], Call]
    factor: Callable[[Light], float] = lambda light: 1.0
    upright: bool = False  # the second lens is an inverse transform
    any_size: bool = True  # False where the axis is at N // 2 for even N alone
    padding: int = 1
    own_planes: bool = False  # pads or changes planes on the way, and so cannot take just any bench

    def __str__(self) -> str:
        return f"{self.name}-{self.kind}".replace(" ", "-")


def _through(state: Any, *steps: Callable[[Any], Any]) -> Any:
    for step in steps:
        state = step(state)
    return state


# ---- hcipy: SI, exp(-i omega t), planes as lists of points, x first


def hcipy_grid(samples: int, spacing: float) -> Any:
    hcipy = import_module("hcipy")
    first = -(samples // 2) * spacing
    return hcipy.CartesianGrid(hcipy.RegularCoords([spacing] * 2, [samples] * 2, [first] * 2))


def _hcipy_call(light: Light, grid: Any, *steps: Callable[[Any], Any]) -> Call:
    hcipy = import_module("hcipy")

    def call(field: Array) -> Array:
        wave = hcipy.Wavefront(hcipy.Field(field.ravel(), grid), light.wavelength)
        return np.asarray(_through(wave, *steps).electric_field.shaped)

    return call


def hcipy_lens(light: Light, mask: Array) -> Call:
    """Two Fraunhofer propagators, each 1/(i lambda f) times the integral."""
    hcipy = import_module("hcipy")
    grid = hcipy_grid(light.samples, light.spacing)
    fourier = hcipy_grid(light.samples, light.fourier_spacing)
    first = hcipy.FraunhoferPropagator(grid, fourier, light.focal_length)
    second = hcipy.FraunhoferPropagator(fourier, grid, light.focal_length)
    return _hcipy_call(light, grid, first, hcipy.Apodizer(hcipy.Field(mask.ravel(), fourier)), second)


def _hcipy_bench(light: Light, mask: Array, propagator: str, **options: Any) -> Call:
    hcipy = import_module("hcipy")
    grid = hcipy_grid(light.samples, light.spacing)
    space = getattr(hcipy, propagator)(grid, light.focal_length, num_oversampling=1, **options)
    # A parabolic surface of glass; of its index and radius only the focal length is left.
    lens = [hcipy.ThinLens(light.focal_length, lambda wavelength: 1.5, light.wavelength)]
    if light.diameter is not None:
        lens.append(hcipy.Apodizer(hcipy.make_circular_aperture(light.diameter)(grid)))
    screen = hcipy.Apodizer(hcipy.Field(mask.ravel(), grid))
    return _hcipy_call(light, grid, space, *lens, space, screen, space, *lens, space)


def hcipy_fresnel(light: Light, mask: Array) -> Call:
    """Fresnel propagators without padding, thin lenses."""
    return _hcipy_bench(light, mask, "FresnelPropagator", zero_padding=1)


def hcipy_space(light: Light, mask: Array) -> Call:
    """Angular spectra, which hcipy always pads to twice the plane, thin lenses."""
    return _hcipy_bench(light, mask, "AngularSpectrumPropagator")


# ---- poppy: exp(+i omega t), so that its inverse transform is what light does under exp(-i omega t)


def poppy_lens(light: Light, mask: Array) -> Call:
    """Two matrix Fourier transforms, unitary; poppy builds the matrices anew at each."""
    transform = import_module("poppy.matrixDFT").MatrixFourierTransform("FFTSTYLE")
    n = light.samples

    def call(field: Array) -> Array:
        return np.asarray(transform.inverse(mask * transform.inverse(field, n, n), n, n))

    return call


# ---- LightPipes: SI, exp(-i omega t)


def _lightpipes(light: Light, field: Array) -> Any:
    fields = import_module("LightPipes.field")
    light_field = fields.Field.begin(
        light.samples * light.spacing, light.wavelength, light.samples, dtype=field.dtype.type
    )
    light_field.field = field
    return light_field


def _lightpipes_screen(mask: Array) -> Callable[[Any], Any]:
    def screen(field: Any) -> Any:
        field.field = field.field * mask
        return field

    return screen


def lightpipes_lens(light: Light, mask: Array) -> Call:
    """Two transforms "for spatial filters" without the factor 1/N of each."""
    transform = import_module("LightPipes").PipFFT
    screen = _lightpipes_screen(mask)

    def call(field: Array) -> Array:
        return np.asarray(_through(_lightpipes(light, field), transform, screen, transform).field)

    return call


def lightpipes_fresnel(light: Light, mask: Array) -> Call:
    """Forvard, which is the Fresnel transfer function, and thin lenses."""
    pipes = import_module("LightPipes")
    screen, f = _lightpipes_screen(mask), light.focal_length

    def lens(field: Any) -> Any:
        field = pipes.Lens(field, f)
        return field if light.diameter is None else pipes.CircAperture(field, light.diameter / 2)

    def space(field: Any) -> Any:
        return pipes.Forvard(field, f)

    def call(field: Array) -> Array:
        steps = (space, lens, space, screen, space, lens, space)
        return np.asarray(_through(_lightpipes(light, field), *steps).field)

    return call


# ---- torchoptics: SI, exp(-i omega t), its axis in the middle of the plane


def _torchoptics_bench(light: Light, mask: Array, method: str) -> Call:
    optics, profiles = import_module("torchoptics"), import_module("torchoptics.profiles")
    modulator = import_module("torchoptics.elements").Modulator
    n, dx, f = light.samples, light.spacing, light.focal_length
    plane = {"spacing": dx, "offset": (light.axis, light.axis)}  # the profile's centre on sample n // 2
    lens = torch.exp(1j * profiles.lens_phase((n, n), f, light.wavelength, **plane))
    if light.diameter is not None:
        lens = lens * profiles.circle((n, n), light.diameter / 2, **plane)
    parts = ((lens, f), (torch.from_numpy(mask), 2 * f), (lens, 3 * f))
    system = optics.System(*(modulator(screen, z=z, spacing=dx) for screen, z in parts))

    def call(field: Array) -> Array:
        source = optics.Field(torch.from_numpy(field), light.wavelength, spacing=dx)
        light_field = system.measure_at_z(source, z=4 * f, propagation_method=method, asm_pad=(0, 0))
        return np.asarray(light_field.data.numpy())

    return call


def torchoptics_fresnel(light: Light, mask: Array) -> Call:
    """Fresnel transfer functions without padding, thin lenses."""
    return _torchoptics_bench(light, mask, "ASM_FRESNEL")


def torchoptics_space(light: Light, mask: Array) -> Call:
    """Angular spectra without padding, thin lenses."""
    return _torchoptics_bench(light, mask, "ASM")


# ---- diffractsim: SI, exp(-i omega t)


def _diffractsim_bench(light: Light, mask: Array, space: Callable[[Any], None]) -> Call:
    diffractsim = import_module("diffractsim")
    radius = None if light.diameter is None else light.diameter / 2
    lens = diffractsim.Lens(light.focal_length, radius=radius)

    def call(field: Array) -> Array:
        plane = _diffractsim(light, field)
        for half in (1, 2):
            space(plane)
            plane.add(lens)
            space(plane)
            plane.E = plane.E * mask if half == 1 else plane.E
        return np.asarray(plane.E)

    return call


def _diffractsim(light: Light, field: Array) -> Any:
    n, extent = light.samples, light.samples * light.spacing
    plane = import_module("diffractsim").MonochromaticField(light.wavelength, extent, extent, n, n, 1.0)
    plane.E = field
    return plane


def diffractsim_fresnel(light: Light, mask: Array) -> Call:
    """The two-step Fresnel propagator, which is a transfer function at the scale 1, and thin lenses."""
    return _diffractsim_bench(light, mask, lambda plane: plane.scale_propagate(light.focal_length, 1))


def diffractsim_space(light: Light, mask: Array) -> Call:
    """Angular spectra without padding, thin lenses."""
    return _diffractsim_bench(light, mask, lambda plane: plane.propagate(light.focal_length))


def diffractsim_bluestein(light: Light, mask: Array) -> Call:
    """Fresnel to the lens, and from the lens to its focal plane by chirp-z."""
    n, f = light.samples, light.focal_length
    interval = [-(n // 2) * light.fourier_spacing, ((n - 1) // 2) * light.fourier_spacing]

    def call(field: Array) -> Array:
        plane = _diffractsim(light, field)
        for half in (1, 2):
            plane.scale_propagate(f, 1)
            plane.propagate_to_lens_focal_plane(f, interval, interval)
            plane.E = plane.E * mask if half == 1 else plane.E
        return np.asarray(plane.E)

    return call


# ---- prysm: millimetres; its thin lens converges for a negative focal length


def prysm_lens(light: Light, mask: Array) -> Call:
    """Two unitary transforms."""
    focus = import_module("prysm.propagation").focus
    return lambda field: np.asarray(focus(mask * focus(field, 1), 1))


def prysm_fresnel(light: Light, mask: Array) -> Call:
    """Its free space, which is the Fresnel transfer function, and thin lenses."""
    wavefront = import_module("prysm.propagation").Wavefront
    n, dx, f, wavelength = light.samples, light.spacing * mm, light.focal_length * mm, light.wavelength * um
    x, y = np.meshgrid(*[(np.arange(n) - n // 2) * dx] * 2)
    lens = wavefront.thin_lens(-f, wavelength, x, y)
    if light.diameter is not None:
        radius = light.diameter / 2 * mm
        lens = lens * import_module("prysm.geometry").circle(radius, np.hypot(x, y))
    screen = wavefront(mask, wavelength, dx)

    def space(wave: Any) -> Any:
        return wave.free_space(f, Q=1)

    def call(field: Array) -> Array:
        steps = (space, lens.__mul__, space, screen.__mul__, space, lens.__mul__, space)
        return np.asarray(_through(wavefront(field, wavelength, dx), *steps).data)

    return call


# ---- odak


def odak_lens(light: Light, mask: Array) -> Call:
    """A beam "with a custom kernel": transform, kernel in the Fourier plane, inverse transform.

    Its own propagators are left out: their frequencies run from edge to edge, N/(N - 1) too far apart.
    """
    custom = import_module("odak.learn.wave").custom
    kernel = torch.from_numpy(mask)
    return lambda field: np.asarray(custom(torch.from_numpy(field), kernel).numpy())


PEERS = (
    Peer("hcipy", "hcipy", "lens", hcipy_lens),
    Peer("poppy", "poppy", "lens", poppy_lens, any_size=False),
    Peer("LightPipes", "LightPipes", "lens", lightpipes_lens, lambda light: light.samples**-2),
    Peer("prysm", "prysm", "lens", prysm_lens),
    Peer("odak", "odak", "lens", odak_lens, upright=True),
    Peer("torchoptics", "torchoptics", "fresnel", torchoptics_fresnel),
    Peer("LightPipes", "LightPipes", "fresnel", lightpipes_fresnel),
    Peer("hcipy", "hcipy", "fresnel", hcipy_fresnel),
    Peer("prysm", "prysm", "fresnel", prysm_fresnel),
    Peer("diffractsim", "diffractsim", "fresnel", diffractsim_fresnel),
    Peer("diffractsim chirp-z", "diffractsim", "fresnel", diffractsim_bluestein, own_planes=True),
    Peer("torchoptics", "torchoptics", "space", torchoptics_space),
    Peer("hcipy", "hcipy", "space", hcipy_space, padding=2, own_planes=True),
    Peer("diffractsim", "diffractsim", "space", diffractsim_space),
)


def peers(kind: str) -> list[Peer]:
    """All ways of one kind."""
    return [peer for peer in PEERS if peer.kind == kind]
