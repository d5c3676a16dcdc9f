"""The closed forms that light must meet, numbered 1 to 21: transforms, beams, pupils, gratings, free space.

Forms 22 to 30, on detectors, whole systems and fabrication, are in test_physics_devices.py.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from scipy.special import fresnel as fresnel_integrals
from scipy.special import j0, j1, jn_zeros, jv, sici
from torch import Tensor, nn

from optics4f.elements import (
    Aberration,
    Aperture,
    BinaryMask,
    FourierLens,
    FreeSpace,
    GuardBand,
    KernelMask,
    MaskBank,
    PhaseMask,
    ThinLens,
    Window,
    defocus,
)
from optics4f.fourier import ft2, ift2
from optics4f.functional import intensity, power
from optics4f.grid import Grid
from optics4f.propagation import angular_spectrum, fresnel
from optics4f.system import FourF
from optics4f.units import m, mm, nm, um
from optics4f.zernike import marechal_strehl, strehl_ratio
from optics4f.zoom import zoom_transform

ROUNDING = 1e-12  # float64: phases of some hundred radians, sums of some thousand terms
WAVELENGTH, FOCAL_LENGTH = 532e-9, 0.1
LIGHT, FOCUS = 532 * nm, 100 * mm
LAMBDA_F = WAVELENGTH * FOCAL_LENGTH  # [m^2]
same_plane = pytest.mark.parametrize("propagate", [angular_spectrum, fresnel])
every_parity = pytest.mark.parametrize("shape", [(16, 64), (15, 18), (18, 15), (15, 17)])


def plane(*shape: int) -> Grid:
    return Grid((shape[0], shape[-1]), 8 * um)


def line(samples: int, spacing: float = 8e-6) -> Grid:
    """A plane that is uniform along y."""
    return Grid.from_si((1, samples), (spacing, spacing))


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def largest_error(got: Tensor, expected: Tensor) -> float:
    """Relative to the largest value."""
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def norm_error(got: Tensor, expected: Tensor) -> float:
    """Relative, by root mean square."""
    return float((got - expected).detach().norm() / expected.detach().norm())


def last_digits(shape: tuple[int, int]) -> float:
    """Two units of the last digit of float64, of sums in which roundings average out.

    The factor 1 / sqrt(H W) of a transform is exact for 1024 samples; else every value has its rounding.
    """
    return 4e-16 if math.prod(shape) == 1024 else 1e-15


def lit(element: Aperture) -> Tensor:
    """An opening lit with the amplitude 1."""
    light: Tensor = element(torch.ones(element.grid.shape, dtype=torch.complex128))
    return light


def relay(grid: Grid, **options: object) -> FourF:
    """A 4f system whose only mask is open."""
    pin = KernelMask(torch.ones(1, 1, 1, 1, dtype=torch.float64), trainable=False)
    return FourF(grid, LIGHT, FOCUS, pin, **options)  # type: ignore[arg-type]


def gaussian(grid: Grid, waist: float, distance: float = 0.0) -> Tensor:
    """Paraxial beam of unit amplitude at its waist, q = z - i z_R, without exp(ikz)."""
    rayleigh = math.pi * waist**2 / WAVELENGTH
    y, x = grid.coordinates()
    q = distance - 1j * rayleigh
    return -1j * rayleigh / q * torch.exp(1j * math.pi * (y[:, None] ** 2 + x**2) / (WAVELENGTH * q))


def beam_width(field: Tensor, grid: Grid) -> float:
    """1/e^2 radius along x, twice the root mean square."""
    x = grid.coordinates()[1]
    light = intensity(field)
    return 2 * math.sqrt(float((light * x**2).sum() / light.sum()))


def row(values: Tensor) -> Tensor:
    """A bank of one mask that is constant along y."""
    return values.double().reshape(1, 1, 1, -1)


def orders(bank: MaskBank, square_pixels: bool = True) -> Tensor:
    """Amplitudes of the orders of one period of a mask; the zero order is in the middle.

    A square pixel multiplies what its samples would give as points by sinc(q / P), exactly.
    """
    transmittance = bank.transmittance(bank.samples)[0, 0].detach()
    period = transmittance.shape[-1]
    amplitudes = ft2(transmittance)[0] / math.sqrt(period)
    q = torch.arange(period, dtype=torch.float64) - period // 2
    return amplitudes * torch.sinc(q / period) if square_pixels else amplitudes


# ---- transforms


@every_parity
def test_parseval(shape: tuple[int, int]) -> None:
    """1. Power is the same in both focal planes: sum |U|^2 dx dy = sum |U_f|^2 du dv."""
    lens = FourierLens(Grid(shape, (8 * um, 10 * um)), LIGHT, FOCUS)
    # float64: rounding; float32: 6e-8 times the square root of some hundred operations.
    for dtype, tolerance in ((torch.complex128, ROUNDING), (torch.complex64, 1e-5)):
        field = torch.randn(3, *shape, dtype=dtype)
        before = power(field, lens.grid.cell_area)
        assert largest_error(power(lens(field), lens.output_grid.cell_area), before) < tolerance


@every_parity
def test_two_lenses_invert(shape: tuple[int, int]) -> None:
    """2. Two transforms turn the plane about its axis: flip, and a roll by one where a side is even."""
    field = randn(*shape)
    expected = field.flip((0, 1)).roll([1 - n % 2 for n in shape], (0, 1))
    # Root mean square of two transforms, each with the roundings of log2(n) sums.
    assert norm_error(ft2(ft2(field)), expected) < last_digits(shape)
    first = FourierLens(plane(*shape), LIGHT, FOCUS)
    second = FourierLens(first.output_grid, LIGHT, FOCUS)
    assert second.output_grid.spacing == pytest.approx(first.grid.spacing, rel=1e-15, abs=0)
    assert norm_error(second(first(field)), expected) < 2 * last_digits(shape)  # two factors more
    assert largest_error(relay(plane(*shape))(field[None])[0], expected) < ROUNDING


@every_parity
def test_shift_theorem(shape: tuple[int, int]) -> None:
    """3. A shift by (y0, x0) before a lens is the ramp exp(-2 pi i (v y0 + u x0) / (lambda f)) behind it."""
    lens = FourierLens(plane(*shape), LIGHT, FOCUS)
    field, (down, right) = randn(*shape), (3, -4)
    v, u = lens.output_grid.coordinates()
    turns = (v[:, None] * down + u * right) * 8e-6 / LAMBDA_F
    expected = lens(field) * torch.exp(-2j * math.pi * turns)
    assert largest_error(lens(field.roll((down, right), (0, 1))), expected) < ROUNDING


@pytest.mark.parametrize("side", [16, 17])
@pytest.mark.parametrize("size", [4, 5])
def test_linear_convolution(side: int, size: int) -> None:
    """4. In a dark surround of N + k - 1 samples a 4f system convolves as a sum in space does."""
    picture, kernel = torch.rand(side, side, dtype=torch.float64), torch.randn(size, size).double()
    whole = torch.from_numpy(convolve2d(picture.numpy(), kernel.numpy()))
    expected = whole[size // 2 : size // 2 + side, size // 2 : size // 2 + side]

    def convolved(samples: int) -> Tensor:
        masks = KernelMask(kernel[None, None], "convolution", trainable=False)
        peak = float(masks.response((samples, samples), (samples, samples)).abs().max())
        bench = FourF(plane(samples), LIGHT, FOCUS, masks, combiner=peak, invert_output=False)
        surround = nn.Sequential(GuardBand((samples, samples)), bench, Window((side, side)))
        image: Tensor = surround(picture[None].to(torch.complex128))[0]
        return image.real

    # Two transforms, the response of the kernel, and sums of 25 terms: some ten last digits.
    assert largest_error(convolved(side + size - 1), expected) < 5e-15
    assert largest_error(convolved(side), expected) > 0.1  # without the surround light comes round


# ---- beams


# The beam is known in the paraxial limit, which Fresnel meets to rounding: the plane ends at 10 widths. The
# angular spectrum differs by a part of (lambda / (pi w))^2 = 1e-7 for this waist.
@pytest.mark.parametrize(("propagate", "part"), [(angular_spectrum, 1.0), (fresnel, 1e-4)])
@pytest.mark.parametrize("rayleighs", [-0.5, 1.0, 1.5])
def test_gaussian_beam(propagate: Callable[..., Tensor], part: float, rayleighs: float) -> None:
    """5. w = w0 sqrt(1 + (z / z_R)^2), intensity on the axis (w0 / w)^2, Gouy phase -atan(z / z_R)."""
    grid, waist = Grid((256, 251), (80 * um, 75 * um)), 500e-6
    distance = rayleighs * math.pi * waist**2 / WAVELENGTH
    field = propagate(gaussian(grid, waist), grid, WAVELENGTH, distance)
    assert largest_error(field, gaussian(grid, waist, distance)) < 4e-7 * part
    stretch = math.hypot(1, rayleighs)
    assert beam_width(field, grid) / waist == pytest.approx(stretch, rel=2e-7 * part)
    on_axis = field[128, 125]
    assert float(on_axis.abs() ** 2) == pytest.approx(stretch**-2, rel=4e-7 * part)
    assert float(on_axis.angle()) == pytest.approx(-math.atan(rayleighs), abs=1e-7 * part)


@every_parity
def test_energy_in_free_space(shape: tuple[int, int]) -> None:
    """6. The angular spectrum keeps the power of all light that travels."""
    grid = plane(*shape)
    field = randn(*shape)
    far = angular_spectrum(field, grid, WAVELENGTH, 1.5e-3)
    assert largest_error(far, field) > 0.1
    before, behind = (math.fsum(intensity(u).flatten().tolist()) for u in (field, far))
    assert behind == pytest.approx(before, rel=last_digits(shape), abs=0)


@pytest.mark.parametrize("kind", ["Fourier lens", "space, lens, space"])
def test_gaussian_beam_through_a_lens(kind: str) -> None:
    """7. From a waist w0 in the front focal plane to the waist w' = lambda f / (pi w0) in the back one."""
    grid, waist = Grid((256, 251), (16 * um, 15 * um)), 150e-6
    image_waist = LAMBDA_F / (math.pi * waist)
    if kind == "Fourier lens":
        lens = FourierLens(grid, LIGHT, FOCUS)
        field, image_plane = lens(gaussian(grid, waist)), lens.output_grid
    else:
        space = FreeSpace(grid, LIGHT, FOCUS, method="fresnel")
        # 3 mm of the 3.3 mm that the lens may have on this grid; the beam there is 0.19 mm wide.
        parts = nn.Sequential(space, ThinLens(grid, LIGHT, FOCUS, diameter=3 * mm), space)
        field, image_plane = 1j * parts(gaussian(grid, waist)), grid
    assert beam_width(field, image_plane) / image_waist == pytest.approx(1, rel=1e-6)
    # The plane ends at 13 waists, the lens at 7.9 widths: what they cut off is below rounding.
    expected = waist / image_waist * gaussian(image_plane, image_waist)  # flat: a waist
    assert largest_error(field, expected) < ROUNDING


# ---- pupils


def airy(step: float, samples: int) -> tuple[Aperture, Grid, Tensor]:
    """Focus behind a grey pupil of 256 samples, sampled every ``step`` of v = pi D r / (lambda f)."""
    diameter = 256 * 8e-6
    part = Aperture(plane(512), diameter * m, edge="grey")
    spacing = step * LAMBDA_F / (math.pi * diameter)
    focus = Grid.from_si((samples, samples), (spacing, spacing))
    return part, focus, zoom_transform(lit(part), part.grid, WAVELENGTH, FOCAL_LENGTH, focus)


@pytest.mark.parametrize("on_lens_samples", [True, False])
def test_airy_pattern(on_lens_samples: bool) -> None:
    """8. Intensity [2 J1(v) / v]^2 behind a round pupil of 256 samples."""
    part, focus, field = airy(0.25, 97)
    if on_lens_samples:
        lens = FourierLens(part.grid, LIGHT, FOCUS)
        focus, field = lens.output_grid, lens(lit(part))
    y, x = focus.coordinates()
    v = math.pi * part.size[0] * torch.hypot(y[:, None], x) / LAMBDA_F
    safe = v.clamp(min=1e-9).numpy()
    expected = torch.from_numpy((2 * j1(safe) / safe) ** 2)
    pattern = intensity(field) / (part.open_area / LAMBDA_F) ** 2
    # The mean over cells takes v^2 / (3 D^2) of the intensity at v: 7e-6 of the peak at most.
    assert float((pattern - expected)[v < 16].abs().max()) < 2e-5
    cells = torch.sinc(y * 8e-6 / LAMBDA_F)[:, None] * torch.sinc(x * 8e-6 / LAMBDA_F)
    assert float((pattern - expected * cells**2)[v < 16].abs().max()) < 4e-7  # replicas are left


def test_airy_disk() -> None:
    """8. Its first zero is at 1.2197 lambda f / D, and 1 - J0^2 = 83.8 % of the light within."""
    part, focus, field = airy(0.05, 161)
    across = field[80, 80:].real
    dark = int((across < 0).nonzero()[0])
    before, behind = float(across[dark - 1]), float(across[dark])
    zero = (dark - 1 + before / (before - behind)) * 0.05
    first_zero = float(jn_zeros(1, 1)[0])
    assert first_zero / math.pi == pytest.approx(1.2197, abs=5e-5)  # the published digits
    # A straight line over h = 0.05 misses by up to h^2 / 8 |f'' / f'|, and f'' / f' is 3 / v: 2.5e-4 of 3.83.
    assert zero == pytest.approx(first_zero, abs=2.5e-4)
    ring = Aperture(focus, 2 * first_zero / 0.05 * focus.spacing[0] * m, edge="grey")
    within = float((intensity(field) * ring.transmittance()).sum()) * focus.cell_area
    share = 1 - j0(first_zero) ** 2
    assert share == pytest.approx(0.838, abs=5e-4)  # the published digits
    assert within / part.open_area == pytest.approx(share, abs=2e-5)


def test_circular_transfer_function() -> None:
    r"""9. The transform of |h|^2 is (2/pi) (acos s - s sqrt(1 - s^2)), s = nu / (2 f_c)."""
    samples, across = 512, 250
    grid = plane(samples)
    pitch = relay(grid).fourier_grid.spacing[1]
    bench = relay(grid, pupil=Aperture(relay(grid).fourier_grid, across * pitch * m))
    point = torch.zeros(1, samples, samples, dtype=torch.complex128)
    point[0, samples // 2, samples // 2] = 1
    transfer = ft2(intensity(bench(point))[0].to(torch.complex128)).real[samples // 2, samples // 2 :]
    cutoff = across * pitch / (2 * LAMBDA_F)
    s = bench.output_grid.frequencies()[1][samples // 2 :] / (2 * cutoff)
    inside = s.clamp(max=1)
    expected = 2 / math.pi * (torch.acos(inside) - inside * torch.sqrt(1 - inside**2))
    # The area of a hard disk of 250 samples is known to some 1e-4 by counting; the sheared one as well.
    assert float((transfer / transfer[0] - expected).abs().max()) < 5e-4
    assert float((transfer / transfer[0])[s >= 1].abs().max()) < ROUNDING


@pytest.mark.parametrize("axis", [0, 1])
def test_coherent_cutoff(axis: int) -> None:
    """9. A grating just below f_c = D / (2 lambda f) passes whole, one just above not at all."""
    grid, order = plane(63, 64), 12
    fourier_plane = relay(grid).fourier_grid
    diameter = (2 * order + 1) * fourier_plane.spacing[axis]  # cut-off between the orders 12 and 13
    bench = relay(grid, pupil=Aperture(fourier_plane, diameter * m))
    for q, passed in ((order, 1.0), (order + 1, 0.0)):
        frequency = q / grid.extent[axis]
        assert (frequency < diameter / (2 * LAMBDA_F)) == bool(passed)
        wave = torch.cos(2 * math.pi * frequency * grid.coordinates()[axis]).to(torch.complex128)
        field = (wave[:, None] if axis == 0 else wave[None]).expand(1, *grid.shape)
        ratio = power(bench(field), bench.output_grid.cell_area) / power(field, grid.cell_area)
        assert float(ratio) == pytest.approx(passed, abs=ROUNDING)


# ---- gratings


def half_on(period: int) -> Tensor:
    return row((torch.arange(period) < period // 2).double() - 0.5)


@pytest.mark.parametrize("period", range(2, 65, 2))
def test_binary_phase_grating(period: int) -> None:
    """10. 4 / pi^2 of the light in each first order, for every even period."""
    amplitudes = orders(BinaryMask(half_on(period), "phase"))
    assert float(amplitudes[period // 2 - 1].abs() ** 2) == pytest.approx(4 / math.pi**2, abs=1e-14)
    assert float(amplitudes[period // 2].abs()) < 1e-14  # sums of up to 64 terms of order 1


@pytest.mark.parametrize("levels", [2, 3, 4, 8, 16, 32])
@pytest.mark.parametrize("pixels", [1, 4, 8])
def test_blaze_in_levels(levels: int, pixels: int) -> None:
    """11. sinc^2(1/L) of the light in the first order of a blaze of L levels."""
    period = levels * pixels
    ramp = 2 * math.pi * (torch.arange(period, dtype=torch.float64) + 0.3) / period  # never between levels
    efficiency = orders(PhaseMask(row(ramp), levels=levels)).abs().square()
    assert float(efficiency[(period // 2 + 1) % period]) == pytest.approx(
        np.sinc(1 / levels) ** 2, abs=ROUNDING
    )


@pytest.mark.parametrize("depth", [0.3, 2.0, 5.0])
def test_sinusoidal_phase_grating(depth: float) -> None:
    """12. J_q^2(m/2) of the light in the order q of the phase (m/2) sin x."""
    period = 64  # of point samples: aliased orders, J_57(2.5), are below 1e-60
    x = 2 * math.pi * torch.arange(period, dtype=torch.float64) / period
    efficiency = orders(PhaseMask(row(depth / 2 * torch.sin(x))), square_pixels=False).abs().square()
    for q in range(-7, 8):
        assert float(efficiency[32 + q]) == pytest.approx(jv(q, depth / 2) ** 2, abs=1e-10)


@pytest.mark.parametrize("period", [2, 4, 12, 22, 64])
def test_ronchi_grating(period: int) -> None:
    """13. Amplitudes 1/2 in the zero order, 1/(pi q) in the odd ones, none in the even ones."""
    amplitudes = orders(BinaryMask(half_on(period))).abs()
    for q in range(period // 2):
        expected = 0.5 if q == 0 else (q % 2) / (math.pi * q)
        assert float(amplitudes[period // 2 - q]) == pytest.approx(expected, abs=1e-14)  # as above


# ---- free space


@pytest.mark.parametrize("period", [16, 15])
def test_talbot_images(period: int) -> None:
    """14. By Fresnel a period p comes back at 2 p^2 / lambda, and moved by p/2 at half of that."""
    grid = line(32 * period)
    field = randn(1, period).repeat(1, 32)
    talbot = 2 * (period * 8e-6) ** 2 / WAVELENGTH
    assert largest_error(fresnel(field, grid, WAVELENGTH, talbot), field) < ROUNDING
    half = fresnel(field, grid, WAVELENGTH, talbot / 2)
    if period % 2 == 0:
        assert largest_error(half, field.roll(period // 2, -1)) < ROUNDING
    again = fresnel(half, grid, WAVELENGTH, talbot / 2)
    assert largest_error(again, field) < ROUNDING


def test_talbot_image_of_three_beams() -> None:
    """14. Exactly, three beams meet again at lambda / (1 - sqrt(1 - (lambda / p)^2)); 13 % nearer here."""
    grid, period = line(240, 100e-9), 800e-9
    x = grid.coordinates()[1]
    field = (1 + 0.8 * torch.cos(2 * math.pi * x / period))[None].to(torch.complex128)
    talbot = WAVELENGTH / (1 - math.sqrt(1 - (WAVELENGTH / period) ** 2))

    def image(distance: float) -> Tensor:
        return angular_spectrum(field, grid, WAVELENGTH, distance, cutoff=1.01 / period)

    assert largest_error(image(talbot), field) < ROUNDING
    assert largest_error(image(talbot / 2), field.roll(4, -1)) < ROUNDING
    assert largest_error(image(2 * period**2 / WAVELENGTH), field) > 0.1


def test_coherent_knife_edge() -> None:
    r"""15. Behind a slit pupil 1/2 + Si(2 pi f_c x) / pi: intensity 1/4 at the edge, 1.187 at most."""
    samples, order = 32768, 256
    grid = line(samples, 1e-6)
    fourier_plane = relay(grid).fourier_grid
    width = 2 * order * fourier_plane.spacing[1]
    slit = Aperture(fourier_plane, width=(fourier_plane.spacing[0] * m, width * m))
    bench = relay(grid, pupil=slit, invert_output=False)
    x = grid.coordinates()[1]
    edge = torch.heaviside(x, torch.tensor(0.5, dtype=torch.float64))
    edge[0] = 0.5  # the edge where the plane closes is like the one on the axis
    field = bench(edge.to(torch.complex128)[None, None]).real[0, 0]
    cutoff = width / (2 * LAMBDA_F)
    near = (x * cutoff).abs() < 3
    expected = 0.5 + torch.from_numpy(sici((2 * math.pi * cutoff * x[near]).numpy())[0]) / math.pi
    # A sum over K = 256 orders in place of the integral misses x f_c / (3 K^2), 1.5e-5 here, and the sampled
    # edge (K / N)^2 / 2 = 3e-5.
    assert float((field[near] - expected).abs().max()) < 6e-5
    assert float(field[samples // 2] ** 2) == pytest.approx(0.25, rel=ROUNDING)
    assert float(field[near].max() ** 2) == pytest.approx(1.187, abs=5e-4)  # the published digits


def test_fresnel_straight_edge() -> None:
    r"""16. ((1/2 + C(v))^2 + (1/2 + S(v))^2) / 2: 1/4 at the edge, 1.370 in the first fringe."""
    grid, distance = line(65536, 2e-6), 0.1
    x = grid.coordinates()[1]
    # The edge at x = 0 runs through the middle of a sample; the other side fades out slowly, far away.
    field = (x > 0).double() + 0.5 * (x == 0)
    field = field * torch.cos(math.pi / 2 * ((x - 20e-3) / 40e-3).clamp(0, 1)).square()
    light = intensity(fresnel(field[None].to(torch.complex128), grid, WAVELENGTH, distance))[0]
    v = x * math.sqrt(2 / (WAVELENGTH * distance))
    s, c = (torch.from_numpy(part) for part in fresnel_integrals(v.numpy()))
    expected = ((0.5 + c) ** 2 + (0.5 + s) ** 2) / 2
    near = (v > -10) & (v < 10)
    # The edge is as steep as a sample is long: light bent by f loses (pi f dx)^2 / 6, 6e-3 at v = 10, where
    # its amplitude is 1 / (sqrt(2) pi v) = 2 %, twice that in intensity.
    assert float((light - expected)[near].abs().max()) < 1e-3
    assert float(light[32768]) == pytest.approx(0.25, abs=1e-3)
    assert float(light[near].max()) == pytest.approx(1.370, abs=1e-3)


def on_axis(field: Tensor, radius: float, fresnel_number: float, propagate: Callable[..., Tensor]) -> float:
    """Intensity on the axis where N_F = a^2 / (lambda z)."""
    grid, distance = plane(512), radius**2 / (WAVELENGTH * fresnel_number)
    half_way = grid.extent[0] / (2 * WAVELENGTH * distance)  # a wave that walks to the edge of the plane
    far = propagate(field, grid, WAVELENGTH, distance, cutoff=0.99 * half_way)
    return float(intensity(far)[256, 256])


@same_plane
@pytest.mark.parametrize("fresnel_number", [5.0, 6.0, 7.0, 8.5])
def test_axis_behind_a_round_aperture(propagate: Callable[..., Tensor], fresnel_number: float) -> None:
    """17. 4 sin^2(pi N_F / 2) on the axis: bright for odd, dark for even N_F = a^2 / (lambda z)."""
    grid, radius = plane(512), 400e-6
    fy, fx = grid.frequencies()
    f = torch.hypot(fy[:, None], fx).clamp(min=1e-9)
    # A disk without steps at its edge: its exact spectrum a J1(2 pi a f) / f within the band of the grid.
    disk = ift2((radius * torch.from_numpy(j1(2 * math.pi * radius * f.numpy())) / f).to(torch.complex128))
    disk = disk * (math.sqrt(math.prod(grid.shape)) / math.prod(grid.extent))
    expected = 4 * math.sin(math.pi * fresnel_number / 2) ** 2
    # 1e-3 of the peak of 4: the band of the grid ends sharply where the edge still has light.
    assert on_axis(disk, radius, fresnel_number, propagate) == pytest.approx(expected, abs=4 * 1e-3)


@same_plane
@pytest.mark.parametrize("fresnel_number", [2.0, 1.0, 0.7, 0.4, 0.25])
def test_axis_far_behind_a_round_aperture(propagate: Callable[..., Tensor], fresnel_number: float) -> None:
    """17. The same at 2 to 20 times N dx^2 / lambda, with what is not sampled any more cut off."""
    part = Aperture(plane(512), 800 * um, edge="grey")
    expected = 4 * math.sin(math.pi * fresnel_number / 2) ** 2
    # The band that is left ends sharply, at 8 times the frequency that the edge sends to the axis, or less.
    assert on_axis(lit(part), 400e-6, fresnel_number, propagate) == pytest.approx(expected, abs=4 * 5e-3)


def strehl_at_focus(aberration: Callable[[Tensor], Tensor], pupil: Tensor) -> float:
    """Intensity on the axis behind a lens, over that without the aberration."""
    with torch.no_grad():
        light = torch.stack([aberration(pupil), pupil])
        field = zoom_transform(light, plane(514), WAVELENGTH, FOCAL_LENGTH, Grid((1, 1), 1 * um))
        strehl = float(intensity(field[0]) / intensity(field[1]))
        assert float(strehl_ratio(light[0])) == pytest.approx(strehl, abs=ROUNDING)
    return strehl


ACROSS = 512 * 8e-6 * m  # the middle of a cell on the edge is not that of its open part: 1 / 512^2 of effects


@pytest.mark.parametrize("waves", [0.0, 0.25, 0.5, 1.0, 1.7])
def test_defocus_on_axis(waves: float) -> None:
    """18. sinc^2(W20), W20 in waves: dark on the axis at one wave."""
    pupil = lit(Aperture(plane(514), ACROSS, edge="grey"))
    strehl = strehl_at_focus(defocus(plane(514), ACROSS, waves).double(), pupil)
    assert strehl == pytest.approx(np.sinc(waves) ** 2, abs=2e-5)  # 1.1e-5 measured, 4.2e-5 of 256 samples


@pytest.mark.parametrize("index", range(2, 16))
def test_strehl_ratio(index: int) -> None:
    """19. exp(-sigma^2) at the focus, sigma the r.m.s. phase of any small aberration of the pupil [rad]."""
    pupil = lit(Aperture(plane(514), ACROSS, edge="grey"))
    for sigma in (0.1, 0.2, 0.3):
        part = Aberration(plane(514), ACROSS, {index: sigma / (2 * math.pi)}).double()
        strehl = strehl_at_focus(part, pupil)
        # The next term, kappa4 / 12, is at most 0.1 sigma^4, 8.1e-4, for these; cells add 2e-4 sigma^2.
        assert strehl == pytest.approx(math.exp(-(sigma**2)), abs=0.1 * sigma**4 + 2e-4 * sigma**2)
        assert marechal_strehl(sigma / (2 * math.pi)) == pytest.approx(math.exp(-(sigma**2)), rel=ROUNDING)


@pytest.mark.parametrize("shape", [(15, 16), (16, 15)])
def test_zernike_phase_contrast(shape: tuple[int, int]) -> None:
    r"""20. A spot of pi/2 on the axis turns exp(i phi) into 3 + 2 sin(phi) - 2 cos(phi), nearly 1 + 2 phi.

    The second object, 2 - exp(i phi), keeps the mean of the plane at exactly 1, the direct light.
    """
    spot = torch.zeros(1, 1, *shape, dtype=torch.float64)
    spot[..., shape[0] // 2, shape[1] // 2] = math.pi / 2
    bench = FourF(plane(*shape), LIGHT, FOCUS, PhaseMask(spot, trainable=False), invert_output=False)
    for phi in (-1.2, 0.01, 0.1, 0.7, 3.0):
        phasor = torch.exp(torch.tensor(1j * phi, dtype=torch.complex128))
        field = torch.ones(1, *shape, dtype=torch.complex128)
        field[0, 3, 4], field[0, 10, 9] = phasor, 2 - phasor
        got = float(intensity(bench(field))[0, 3, 4])
        assert got == pytest.approx(3 + 2 * math.sin(phi) - 2 * math.cos(phi), abs=1e-10)  # rounding
        if abs(phi) <= 0.1:
            assert got == pytest.approx(1 + 2 * phi, rel=0.01)  # the next term is phi^2


@pytest.mark.parametrize("order", [(0, 16), (32, 0), (24, 32)])
def test_phase_by_which_fresnel_is_wrong(order: tuple[int, int]) -> None:
    r"""21. Fresnel minus the angular spectrum: pi z s^4 / (4 lambda), s = lambda |f|."""
    grid, distance = plane(128), 0.02
    y, x = grid.coordinates()
    fy, fx = (q / grid.extent[0] for q in order)
    wave = torch.exp(2j * math.pi * (fy * y[:, None] + fx * x))
    cutoff = math.hypot(fy, fx)
    paraxial, exact = (p(wave, grid, WAVELENGTH, distance, cutoff) for p in (fresnel, angular_spectrum))
    s = WAVELENGTH * cutoff
    predicted = math.pi * distance * s**4 / (4 * WAVELENGTH)
    measured = float((paraxial / exact).angle().mean())
    # The next order is s^2 / 2 of it; then s^4, and rounding of phases of some hundred radians.
    assert measured == pytest.approx(predicted, rel=s**2)
    assert measured == pytest.approx(predicted * (1 + s**2 / 2), rel=s**4, abs=ROUNDING)
