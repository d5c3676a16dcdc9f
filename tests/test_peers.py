"""The same 4f system in other people's simulators: whole complex fields, up to one constant phase.

A simulator that is not installed is skipped; ``pip install -e .[bench]`` brings those that go together.
"""

import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.peer_adapters import LEFT_OUT, PEERS, Array, Light, Peer, hcipy_grid, peers
from optics4f.elements import ComplexMask, FreeSpace, KernelMask, ThinLens
from optics4f.fourier import crop_center, pad_center
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import m, mm
from optics4f.wave import onto_wave_grid, wave_four_f
from optics4f.zoom import zoom_transform

WAVELENGTH, SPACING = 532e-9, 8e-6
CARRIER_ROUNDING = 1e-9  # exp(ikz) with kz = 1e5 to 1e6 rad in float64, four times
# The chirps of lens and space run through pi N/2 = 100 rad; the distance is 1e-12 below where they just fit.
CHIRP_ROUNDING = 1e-9
LIGHTPIPES_PI = 5e-6  # its lens has 3.1415926 for pi, 1.7e-8 too little: 1.7e-6 rad at the corners, twice

CASES = ("amplitude grating", "off-axis pinhole", "photograph")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """odak writes a log into the folder where it is imported."""
    monkeypatch.chdir(tmp_path)


def scene(case: str, n: int) -> tuple[Array, Array]:
    """What stands in the input plane and in the Fourier plane; nothing is even, so that no flip hides."""
    y, x = np.meshgrid(*[np.arange(n) - n // 2] * 2, indexing="ij")
    if case == "amplitude grating":  # oblique lines; all orders on one side of a knife edge, with a phase
        lines = ((3 * x + 2 * y) % 16 < 7).astype(float)
        return lines + 0j, np.where(x > -3, np.exp(0.4j * y / n), 0.0)
    if case == "off-axis pinhole":  # a hole that lets one side band of a tilted phase grating through
        phase = 1.3 * np.sin(2 * math.pi * (5 * x + 3 * y) / n)
        return np.exp(1j * phase) * (x + 2 * y < 20), (np.hypot(x - 5, y - 3) < 4.5) + 0j
    rng = np.random.default_rng(7)
    return photograph(n, rng), rng.random((n, n)) * np.exp(2j * math.pi * rng.random((n, n)))


def photograph(n: int, rng: np.random.Generator) -> Array:
    """Amplitude of a picture whose spectrum falls as 1/f, as those of natural scenes do; between 0 and 1."""
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n), indexing="ij"))
    f[0, 0] = math.inf
    picture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, n))) / f).real
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.asarray(np.sqrt(picture) + 0j)


def ideal(light: Light, mask: Array, upright: bool) -> FourF:
    grid = Grid((light.samples, light.samples), light.spacing * m)
    bank = ComplexMask(torch.from_numpy(mask)[None, None])
    lengths = (light.wavelength * m, light.focal_length * m)
    return FourF(grid, *lengths, bank, combiner=1.0, invert_output=not upright)


def asked(peer: Peer, light: Light, mask: Array, field: Array) -> Array:
    """The output that another simulator finds, with the factor that its conventions leave out."""
    need(peer.module)
    return peer.build(light, mask)(field) * peer.factor(light)


def need(module: str) -> None:
    reason = LEFT_OUT.get(module, f"{module} comes with the extra bench, which is not installed")
    pytest.importorskip(module, reason=reason, exc_type=ImportError)


def relative_error(got: Array, expected: Array | Tensor) -> float:
    """Largest difference over the largest field; only a constant phase is free, no amplitude."""
    expected = np.asarray(expected)
    phase = np.vdot(expected, got)
    return float(np.abs(got * phase.conj() / abs(phase) - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("peer", "n"), [(p, n) for p in peers("lens") for n in (64, 63) if p.any_size or n == 64], ids=str
)
def test_ideal_lenses(peer: Peer, n: int, case: str) -> None:
    """Where lenses are Fourier transforms there is nothing between the two but rounding."""
    light = Light(n, SPACING, WAVELENGTH, 0.1)
    field, mask = scene(case, n)
    expected = ideal(light, mask, peer.upright)(torch.from_numpy(field)[None])[0]
    # Sums of 4096 terms; matrices are built from phases of up to pi N^2 / 2 = 6e3 rad.
    assert relative_error(asked(peer, light, mask, field), expected) < 1e-11


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("peer", peers("fresnel"), ids=str)
def test_fresnel_and_thin_lenses_where_they_are_a_fourier_transform(peer: Peer, case: str) -> None:
    r"""At N dx^2 = lambda f, space, lens, space is the discrete Fourier transform, for any field.

    No light need be dark anywhere: :math:`e^{-i\pi j^2/N}` repeats itself after N samples, for even N.
    """
    n = 64
    light = Light(n, SPACING, WAVELENGTH, n * SPACING**2 / WAVELENGTH * (1 - 1e-12))
    field, mask = scene(case, n)
    expected = ideal(light, mask, peer.upright)(torch.from_numpy(field)[None])[0]
    tolerance = LIGHTPIPES_PI if peer.module == "LightPipes" else CHIRP_ROUNDING
    assert relative_error(asked(peer, light, mask, field), expected) < tolerance


@torch.no_grad()
def own_wave(light: Light, mask: Array, field: Array, method: str, padding: int = 1) -> Tensor:
    """The engine's space, lens, space, masks, space, lens, space, each space padded and cropped."""
    shape, dx = (light.samples, light.samples), light.spacing * m
    grid, wide = Grid(shape, dx), Grid((padding * shape[0], padding * shape[1]), dx)
    free = FreeSpace(wide, light.wavelength * m, light.focal_length * m, method)
    aperture = None if light.diameter is None else light.diameter * m
    lens = ThinLens(grid, light.wavelength * m, light.focal_length * m, aperture)

    def space(u: Tensor) -> Tensor:
        return crop_center(free(pad_center(u, wide.shape)), shape)

    behind = space(lens(space(torch.from_numpy(field)))) * torch.from_numpy(mask)
    return space(lens(space(behind)))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("peer", peers("space"), ids=str)
def test_angular_spectra_and_lenses_with_stops(peer: Peer, case: str) -> None:
    """Fields that fill the plane, lenses that cut them: four spaces and two stops, all the same."""
    light = Light(128, SPACING, WAVELENGTH, 12e-3, diameter=0.7035e-3)  # no sample lies on the stop's edge
    field, mask = scene(case, light.samples)
    got = asked(peer, light, mask, field)
    expected = own_wave(light, mask, field, "angular_spectrum", peer.padding)
    assert relative_error(got, expected) < CARRIER_ROUNDING
    # That is no accident of light which takes any road: Fresnel's is elsewhere, and the stops do cut.
    assert relative_error(got, own_wave(light, mask, field, "fresnel", peer.padding)) > 1e-5
    wider = own_wave(light._replace(diameter=0.79e-3), mask, field, "angular_spectrum", peer.padding)
    assert relative_error(got, wider) > 1e-2


@pytest.mark.parametrize("peer", [p for p in PEERS if p.kind != "lens" and not p.own_planes], ids=str)
@torch.no_grad()
def test_wave_four_f(peer: Peer) -> None:
    """The whole bench by real propagation; the peers get the mask as a closed form on its plane."""
    bench, field = lit_photograph()
    method = "fresnel" if peer.kind == "fresnel" else "angular_spectrum"
    expected, plane = wave_four_f(bench, field, method)
    light = Light(plane.shape[0], plane.spacing[0], WAVELENGTH, bench.focal_length * (1 - 1e-12))
    source = onto_wave_grid(bench, field, plane)[0].numpy()
    got = asked(peer, light, shifted_copies(bench, plane), source)
    tolerance = LIGHTPIPES_PI if peer.module == "LightPipes" else CHIRP_ROUNDING
    assert relative_error(got, expected[0]) < tolerance


def lit_photograph() -> tuple[FourF, Tensor]:
    """A photograph in a Gaussian beam, smoothed to below the sampling, and the difference of two copies."""
    n = 40
    grid = Grid((n, n), SPACING * m)
    y, x = grid.coordinates()
    beam = torch.exp(-(y[:, None] ** 2 + x**2) / (4.5 * SPACING) ** 2)
    picture = torch.from_numpy(photograph(n, np.random.default_rng(3)))
    f = torch.fft.fftfreq(n, dtype=torch.float64)
    smooth = torch.fft.ifft2(torch.fft.fft2(picture) * torch.exp(-((f[:, None] ** 2 + f**2) / 0.08**2)))
    kernel = torch.zeros(1, 1, 5, 5, dtype=torch.complex128)
    kernel[..., 2, 2], kernel[..., 3, 4] = 1, torch.tensor(-0.5j)
    bank = KernelMask(kernel, "convolution")
    return FourF(grid, WAVELENGTH * m, 20 * mm, bank, combiner=1 / 1.5), (beam * smooth)[None]


def shifted_copies(bench: FourF, plane: Grid) -> Array:
    r"""(1 - i/2 exp(-2 pi i (2 u + v) dx / (lambda f))) / 1.5^2, dark outside of the mask."""
    v, u = (axis.numpy() for axis in plane.coordinates())
    turns = (2 * u + v[:, None]) * SPACING / (WAVELENGTH * bench.focal_length)
    edge = bench.fourier_grid.extent[0] / 2
    inside = (np.abs(u) <= edge) & (np.abs(v[:, None]) <= edge)
    return np.asarray(inside * (1 - 0.5j * np.exp(-2j * math.pi * turns)) / 1.5**2)


def test_the_phase_that_is_left_out() -> None:
    """exp(2ikf)/i of each lens, in hcipy's ideal lenses 1/i, in its space and thin lenses all of it."""
    n = 64
    light = Light(n, SPACING, WAVELENGTH, n * SPACING**2 / WAVELENGTH * (1 - 1e-12))
    field, mask = scene("photograph", n)
    expected = ideal(light, mask, False)(torch.from_numpy(field)[None])[0].numpy()
    for peer in (*peers("lens"), *peers("fresnel")):
        if peer.name == "hcipy":
            turns = 4 * light.focal_length / WAVELENGTH if peer.kind == "fresnel" else 0.0
            left_out = -np.exp(2j * math.pi * turns)
            got = asked(peer, light, mask, field)
            assert np.abs(got - left_out * expected).max() < CHIRP_ROUNDING * np.abs(expected).max()


@pytest.mark.parametrize("peer", ["hcipy", "poppy"])
def test_lens_onto_masks_with_a_pitch_of_their_own(peer: str) -> None:
    """Matrix Fourier transforms onto 50 samples of 23 um, amplitudes and phases as they are."""
    n, wanted, pitch, f = 64, 50, 23e-6, 0.1
    need(peer)
    field, _ = scene("photograph", n)
    grid, mask_grid = Grid((n, n), SPACING * m), Grid((wanted, wanted), pitch * m)
    expected = zoom_transform(torch.from_numpy(field), grid, WAVELENGTH, f, mask_grid).numpy()
    got = zoomed_by(peer, field, wanted, pitch, f)
    assert np.abs(got - expected).max() < 1e-11 * np.abs(expected).max()  # rounding, as above


def zoomed_by(peer: str, field: Array, wanted: int, pitch: float, f: float) -> Array:
    """hcipy has 1/(i lambda f); poppy's sum is unitary, sqrt(dA / dA_f) = dx / pitch beside ours."""
    n = len(field)
    if peer == "poppy":
        transform = import_module("poppy.matrixDFT").MatrixFourierTransform("FFTSTYLE")
        area = n * SPACING * wanted * pitch / (WAVELENGTH * f)
        return np.asarray(transform.inverse(field, area, wanted) * SPACING / pitch)
    hcipy, front = import_module("hcipy"), hcipy_grid(n, SPACING)
    lens = hcipy.FraunhoferPropagator(front, hcipy_grid(wanted, pitch), f)
    wave = lens(hcipy.Wavefront(hcipy.Field(field.ravel(), front), WAVELENGTH))
    return np.asarray(1j * wave.electric_field.shaped)


def test_a_simulator_that_is_wrong_is_found() -> None:
    """What the comparison must see: a flip, another amplitude, a mask that is moved by one sample."""
    light = Light(64, SPACING, WAVELENGTH, 0.1)
    field, mask = scene("photograph", 64)
    expected = ideal(light, mask, False)(torch.from_numpy(field)[None])[0].numpy()
    assert relative_error(expected * np.exp(0.7j), expected) < 1e-14
    moved = ideal(light, np.roll(mask, 1, 0), False)(torch.from_numpy(field)[None])[0].numpy()
    for wrong in (expected[::-1], expected.T, 1.001 * expected, moved):
        assert relative_error(wrong, expected) > 5e-4
