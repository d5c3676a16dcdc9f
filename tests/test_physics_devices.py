"""The closed forms that hardware must meet, numbered 22 to 30: detectors, whole systems, fabrication.

Forms 1 to 21, on light in free space, lenses, pupils and gratings, are in test_physics.py. Random numbers
come from fixed seeds; bounds are five standard deviations of the statistic where nothing else is said.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from optics4f.cascade import Cascade
from optics4f.design import demodulate, double_phase, unwanted_light_offset
from optics4f.elements import (
    Aperture,
    BalancedHomodyne,
    Camera,
    FourierLens,
    FreeSpace,
    KernelMask,
    MaskBank,
    PhaseMask,
    Sensor,
)
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of
from optics4f.fabrication.relief import phase_of_height, quantise_phase, relief_height
from optics4f.fourier import crop_center, ft2, invert, pad_center
from optics4f.functional import intensity, largest_singular_value, power
from optics4f.grid import Grid
from optics4f.perturbation import perturbed
from optics4f.propagation import fresnel
from optics4f.system import FourF
from optics4f.units import m, mm, nm, um
from optics4f.zoom import uses_chirp, zoom_adjoint, zoom_transform

LAST_DIGITS = 4e-16  # two units of the last digit of float64, of sums in which roundings average out
ROUNDING = 1e-12  # float64, sums of some thousand terms
CLOSED = 1e-10  # the same, behind phases of up to a hundred radians
SIGMAS = 5
WAVELENGTH, FOCAL_LENGTH = 532e-9, 0.1
LIGHT, FOCUS = 532 * nm, 100 * mm
LAMBDA_F = WAVELENGTH * FOCAL_LENGTH  # [m^2]
PIXELS = (9, 8)
FRAMES = 2500
CHIP = Sensor(0.6, full_well=10_000, dark_noise=3.0, gain=0.35, bits=12, offset=60)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def largest_error(got: Tensor, expected: Tensor) -> float:
    """Relative to the largest value."""
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def norm_error(got: Tensor, expected: Tensor) -> float:
    """Relative, by root mean square."""
    return float((got - expected).detach().norm() / expected.detach().norm())


def camera(chip: Sensor = CHIP, noise: bool = True) -> Camera:
    return Camera(Grid(PIXELS, 8 * um), PIXELS, chip, LIGHT, "100 us", noise=noise)


def watts_for(electrons: float, eye: Camera) -> float:
    """Power over the plane that puts so many electrons into every pixel."""
    return electrons * eye.sensor.gain / eye.responsivity * math.prod(PIXELS)


def flat(electrons: float, eye: Camera) -> Tensor:
    """A plane wave that puts so many electrons into every pixel."""
    amplitude = math.sqrt(watts_for(electrons, eye) / math.prod(eye.grid.extent))
    return torch.full(PIXELS, amplitude, dtype=torch.complex128)


def system(masks: MaskBank, shape: tuple[int, int], **options: Any) -> FourF:
    return FourF(Grid(shape, 8 * um), LIGHT, FOCUS, masks, **options).double()


def kernel_bench(kernel: Tensor, shape: tuple[int, int], **options: Any) -> FourF:
    """One kernel (k, l) that convolves as it stands: amplified, and taken at its word."""
    masks = KernelMask(kernel[None, None], "convolution", trainable=False)
    peak = float(masks.response(shape, shape).abs().max())
    return system(masks, shape, combiner=peak, **options)


def framed(shape: tuple[int, int], frame: int = 4) -> Tensor:
    """Light that stays so far from the edge that small kernels do not carry it round."""
    return pad_center(randn(1, *(n - 2 * frame for n in shape)), shape)


# ---- detectors


@pytest.mark.parametrize("mean", [0.5, 5.0, 19.0, 50.0, 3000.0])
def test_poisson_statistics(mean: float) -> None:
    """22. Electrons of steady light have their mean as variance: n - 1 times the ratio is chi-square."""
    eye = camera(CHIP.with_numbers(dark_noise=0.0))
    counts = eye.electrons(flat(mean, eye).expand(FRAMES, -1, -1))
    n = counts.numel()
    assert float(counts.mean()) == pytest.approx(mean, abs=SIGMAS * math.sqrt(mean / n))
    # Chi-square of n - 1 has the variance 2 (n - 1).
    assert float(counts.var() / counts.mean()) == pytest.approx(1, abs=SIGMAS * math.sqrt(2 / (n - 1)))


@pytest.mark.parametrize("gain", [0.35, 2.0])
def test_photon_transfer_curve(gain: float) -> None:
    """22. Variance against mean of frames up to three quarters of the well: a line of slope K."""
    eye = camera(CHIP.with_numbers(gain=gain, bits=16))
    light = torch.stack([flat(electrons, eye) for electrons in torch.linspace(0, 7500, 11).tolist()])
    frames = eye(light[:, None].expand(-1, FRAMES, -1, -1)).flatten(1)
    mean, variance = frames.mean(1), frames.var(1)
    centred = mean - mean.mean()
    slope = float((centred * variance).sum() / centred.square().sum())
    # Each variance scatters by sqrt(2 / n) of itself; the slope is their sum with known weights.
    scatter = math.sqrt(2 / frames.shape[1])
    error = float((centred * variance).norm() / centred.square().sum()) * scatter
    assert error < 0.005 * gain
    assert slope == pytest.approx(gain, abs=SIGMAS * error)
    # In the dark: noise of the readout and of rounding.
    assert float(variance[0]) == pytest.approx(9 * gain**2 + 1 / 12, rel=SIGMAS * scatter)


def test_saturation() -> None:
    """22. Linear until the well is full; there noise vanishes, and the converter ends at 2^b - 1."""
    still = camera(noise=False)
    for electrons in (100.0, 9_990.0, 10_000.0, 10_010.0, 1e6):
        expected = min(electrons, 10_000)
        assert float((still.electrons(flat(electrons, still)) / expected - 1).abs().max()) < ROUNDING
    noisy = camera(CHIP.with_numbers(dark_noise=0.0))
    assert noisy(flat(1e6, noisy)).unique().tolist() == [round(0.35 * 10_000 + 60)]
    clipped = camera(CHIP.with_numbers(gain=1.0))
    assert clipped(flat(1e6, clipped)).unique().tolist() == [4095]


@pytest.mark.parametrize("phase", [0.0, 1.0])
def test_homodyne_signal_to_noise(phase: float) -> None:
    """23. 2 sqrt(eta n_s) cos(phi) on balanced ports, n_s photons of signal on a pixel, by Monte Carlo."""
    eye = camera(Sensor(0.6, full_well=math.inf, dark_noise=0.0, gain=1.0, bits=24))
    readout = BalancedHomodyne(eye, f"{watts_for(0.6 * 100_000, eye)!r} W", phase)
    got = readout(flat(0.6 * 100, eye).expand(FRAMES, -1, -1))
    # An oscillator 1000 times stronger takes 0.05 %, chance 0.2 %.
    assert float(got.mean() / got.std()) == pytest.approx(
        2 * math.sqrt(0.6 * 100) * math.cos(phase), rel=0.02
    )


# ---- errors of a system


@pytest.mark.parametrize("wavelength", [442e-9, 532e-9, 633e-9])
def test_kernel_of_a_fixed_mask_grows_with_the_wavelength(wavelength: float) -> None:
    """24. One mask exp(-u^2 / w^2) of 301 x 280 pixels: its kernel has the width lambda' f / (pi w)."""
    mask, waist = Grid((301, 280), (9 * um, 10 * um)), 250e-6
    image, width = Grid((300, 301), 3 * um), wavelength * FOCAL_LENGTH / (math.pi * waist)
    assert uses_chirp(301, 300)

    def gaussian(grid: Grid, radius: float) -> Tensor:
        y, x = grid.coordinates()
        return torch.exp(-(y[:, None] ** 2 + x**2) / radius**2).to(torch.complex128)

    kernel = zoom_transform(gaussian(mask, waist), mask, wavelength, FOCAL_LENGTH, image)
    # Mask and kernel end at 5.4 and 5.6 widths: exp(-5.4^2) = 2e-13.
    assert largest_error(kernel, waist / width * gaussian(image, width)) < ROUNDING
    x, light = image.coordinates()[1], intensity(kernel)
    measured = 2 * math.sqrt(float((light * x**2).sum() / light.sum()))
    assert measured == pytest.approx(width, rel=1e-6)


def test_any_fixed_mask_grows_with_the_wavelength() -> None:
    """24. h'(x) = (lambda0 / lambda') h(x lambda0 / lambda') along both axes, of random masks, by chirp-z."""
    mask, image, ratio = Grid((301, 40), 9 * um), Grid((300, 33), 3 * um), 633 / 532
    light, wide = randn(301, 40), Grid.from_si((300, 33), (3e-6 * ratio, 3e-6 * ratio))
    green = zoom_transform(light, mask, 532e-9, FOCAL_LENGTH, image)
    red = zoom_transform(light, mask, 633e-9, FOCAL_LENGTH, wide)
    assert largest_error(red * ratio, green) < ROUNDING


@pytest.mark.parametrize("wavelength", [480e-9, 600e-9])
def test_kernel_of_a_system_grows_with_the_wavelength(wavelength: float) -> None:
    """24. (lambda0 / lambda')^2 h(x lambda0 / lambda'), h a Gaussian of 2.5 samples."""
    x, ratio, shape = torch.arange(51, dtype=torch.float64) - 25, wavelength / WAVELENGTH, (64, 64)

    def gaussian(width: float) -> Tensor:
        line = torch.exp(-((x / width) ** 2) / 2) / width
        return torch.outer(line, line)

    light = framed(shape, 30)
    expected = kernel_bench(gaussian(2.5 * ratio), shape)(light)
    # 25 samples are 8.9 widths: 1e-17. Light near the edge of the plane meets 1e-7 of the next replica.
    got = perturbed(kernel_bench(gaussian(2.5), shape), wavelength=wavelength * m)(light)
    assert largest_error(got, expected) < 1e-6


@pytest.mark.parametrize("shape", [(32, 30), (31, 32)])
def test_a_shift_of_the_mask_is_a_ramp_on_the_kernel(shape: tuple[int, int]) -> None:
    """25. h exp(2 pi i delta x / (lambda f))."""
    kernel, (dy, dx) = torch.randn(7, 5, dtype=torch.float64), (17e-6, -41e-6)
    y, x = (8e-6 * (torch.arange(n, dtype=torch.float64) - n // 2) for n in kernel.shape)
    ramp = torch.exp(2j * math.pi * (dy * y[:, None] + dx * x) / LAMBDA_F)
    light = framed(shape)
    moved = perturbed(kernel_bench(kernel, shape), mask_shift=(dy * m, dx * m))
    assert largest_error(moved(light), kernel_bench(kernel * ramp, shape)(light)) < CLOSED


@pytest.mark.parametrize("shape", [(20, 19), (19, 18)])
@pytest.mark.parametrize("dz", [7e-3, -3e-3])
def test_an_axial_shift_of_the_mask_is_a_quadratic_phase(shape: tuple[int, int], dz: float) -> None:
    """25. h(x - x0) exp[i pi dz (x^2 - x0^2) / (lambda f^2)], dz along the light, tap by tap."""
    kernel = torch.randn(3, 5, dtype=torch.float64)
    bench = kernel_bench(kernel, shape, invert_output=False, second_focal_length=50 * mm)
    light = framed(shape)
    y, x = bench.grid.coordinates()
    wave = torch.exp(1j * math.pi * dz * (y[:, None] ** 2 + x**2) / (LAMBDA_F * FOCAL_LENGTH))
    expected = torch.zeros_like(light)
    for (j, i), tap in np.ndenumerate(kernel.numpy()):  # x - x0 is the place of the tap
        expected += float(tap) * (light * wave.conj()).roll((j - 1, i - 2), (-2, -1))
    got = perturbed(bench, axial_shift=dz * m)(light)
    assert largest_error(got, expected * wave * bench.amplitude_factor) < CLOSED


@pytest.mark.parametrize("shape", [(16, 16), (15, 18)])
@pytest.mark.parametrize("dz", [0.08, -0.03])
def test_an_axial_shift_of_the_mask_is_free_space(shape: tuple[int, int], dz: float) -> None:
    """25. Light goes on by dz to the masks and comes back by dz behind them, which fixes the sign above."""
    masks = PhaseMask(6 * torch.rand(2, 1, *shape, dtype=torch.float64))
    bench = system(masks, shape, second_focal_length=70 * mm)
    light, fourier_plane = randn(1, *shape), bench.fourier_grid
    at_masks = fresnel(bench.first_lens(light), fourier_plane, WAVELENGTH, dz)
    behind = fresnel(at_masks * bench.transfer()[:, 0], fourier_plane, WAVELENGTH, -dz)
    assert largest_error(perturbed(bench, axial_shift=dz * m)(light), bench.second_lens(behind)) < CLOSED


# ---- linear algebra of a system


def row_of_three(stops: list[tuple[int, int]], inverted: bool) -> list[FourF]:
    """Two to three to two to four channels, each stage on the grid that the stop before it leaves."""
    grid, channels, stages = Grid((13, 12), (8 * um, 10 * um)), (2, 3, 2, 4), []
    for number, stop in enumerate(stops):
        masks = KernelMask(randn(channels[number + 1], channels[number], 3, 2), trainable=False)
        stages.append(FourF(grid, LIGHT, FOCUS, masks, stop=stop, invert_output=inverted))
        grid = stages[-1].output_grid
    return stages


@pytest.mark.parametrize("stops", [[(11, 9), (9, 7), (5, 5)], [(12, 10), (8, 8), (8, 6)]])
@pytest.mark.parametrize("inverted", [True, False])
def test_a_row_of_systems_collapses_to_one(stops: list[tuple[int, int]], inverted: bool) -> None:
    """26. One centre crop and one matrix for every frequency: the product of the cropped T."""
    stages = row_of_three(stops, inverted)
    first, second, third = (crop_center(stage.transfer(), stops[-1]) for stage in stages)
    if inverted:  # the second stage meets the picture turned round
        second = invert(second)
    product = torch.einsum("abhw,bchw,cdhw->adhw", third, second, first)
    row = Cascade(stages)
    # Sums of six products: rounding alone.
    assert norm_error(row.transfer(), product) < LAST_DIGITS
    assert norm_error(row.collapse().transfer(), product) < LAST_DIGITS
    light = randn(4, 2, 13, 12)
    walked = Cascade(stages, fused=False)(light)
    assert largest_error(row.collapse()(light), walked) < ROUNDING  # six transforms in the place of two


def mixing_bench() -> FourF:
    """Three channels to two, an odd and an even side, a stop, a pupil off the axis, two focal lengths."""
    shape = (9, 10)
    plane = kernel_bench(torch.ones(1, 1, dtype=torch.float64), shape).fourier_grid
    pupil = Aperture(plane, 5 * mm, decentre=(0.4 * mm, -0.3 * mm), edge="grey")
    masks = KernelMask(randn(2, 3, 3, 2))
    return system(masks, shape, stop=(6, 7), pupil=pupil, second_focal_length=60 * mm)


def test_adjoint_of_a_system() -> None:
    """27. <A x, y> = <x, A^+ y>: back through the second lens, the conjugate masks, and the first lens."""
    bench = mixing_bench()
    x, y, masks = randn(3, 9, 10), randn(2, 6, 7), bench.transfer().detach()
    at_masks = zoom_adjoint(
        y, bench.second_lens.grid, WAVELENGTH, bench.second_focal_length, bench.output_grid
    )
    spectrum = torch.einsum("oihw,ohw->ihw", masks.conj(), at_masks)
    back = zoom_adjoint(
        pad_center(spectrum, (9, 10)), bench.grid, WAVELENGTH, FOCAL_LENGTH, bench.fourier_grid
    )
    there = torch.vdot(y.flatten(), bench(x).flatten()) * bench.output_grid.cell_area
    here = torch.vdot(back.flatten(), x.flatten()) * bench.grid.cell_area
    # The sums may cancel: the error is measured against the norms.
    size = float(back.norm() * x.norm()) * bench.grid.cell_area
    assert float((there - here).detach().abs()) < CLOSED * size


def test_gradients_of_a_system() -> None:
    """27. Those of the field and of the kernels, against central differences."""
    bench = mixing_bench()
    kernels = bench.get_parameter("masks.kernels").detach().requires_grad_()

    def image(field: Tensor, values: Tensor) -> Tensor:
        return intensity(torch.func.functional_call(bench, {"masks.kernels": values}, (field,)))

    assert torch.autograd.gradcheck(image, (randn(3, 9, 10).requires_grad_(), kernels), fast_mode=True)


@pytest.mark.parametrize("combiner", ["ideal", "bound", "beam_splitter"])
def test_passivity(combiner: str) -> None:
    """27. ||T(nu)||_2 <= 1 at every frequency, with equality somewhere for the ideal sum."""
    bench = system(KernelMask(randn(2, 3, 3, 2)), (9, 10), combiner=combiner)
    transfer = bench.transfer().detach()
    gains = torch.linalg.svdvals(transfer.flatten(2).movedim(2, 0))[:, 0]
    assert float(gains.max()) <= 1 + ROUNDING
    assert float(largest_singular_value(transfer)) == pytest.approx(float(gains.max()), rel=ROUNDING)
    if combiner == "ideal":
        assert float(gains.max()) == pytest.approx(1, rel=ROUNDING)
    field = randn(5, 3, 9, 10)
    sent, came = power(field, bench.grid.cell_area).sum(1), power(bench(field), bench.output_grid.cell_area)
    assert bool((came.sum(1) <= sent).all())


# ---- fabrication


@pytest.mark.parametrize("shape", [(6, 8), (5, 7)])
def test_double_phase(shape: tuple[int, int]) -> None:
    """28. Demodulated it is A exp(i phi); behind a lens the rest is weighted by sin sin: none on the axes."""
    wanted = torch.rand(*shape, dtype=torch.float64) * torch.exp(6j * torch.rand(*shape, dtype=torch.float64))
    device = np.exp(1j * double_phase(wanted.numpy()))
    np.testing.assert_allclose(demodulate(device), wanted.numpy(), atol=1e-13)  # rounding
    rest = 1j * torch.sqrt(1 - wanted.abs() ** 2) * wanted / wanted.abs()
    q, r = (math.pi / 2 * (torch.arange(n, dtype=torch.float64) - n // 2) / n for n in shape)
    cosines, sines = (torch.outer(wave(q), wave(r)) for wave in (torch.cos, torch.sin))
    # The axis is half a pixel from the sample in the middle, behind it for even sides and before it for odd.
    side = [1 - 2 * (n % 2) for n in shape]
    tilt = torch.exp(-1j * (side[0] * q[:, None] + side[1] * r))
    expected = 2 * tilt * (cosines * ft2(wanted) - sines * ft2(rest))
    assert largest_error(crop_center(ft2(torch.from_numpy(device)), shape), expected) < ROUNDING


@pytest.mark.parametrize("amplitude", [0.0, 0.4, 1.0])
def test_unwanted_light_of_double_phase(amplitude: float) -> None:
    """28. Of a constant mask A^2 stays on the axis and 1 - A^2 lands at lambda f / (2 p) in y and in x."""
    phasor = amplitude * np.exp(0.9j)
    device = torch.from_numpy(np.exp(1j * double_phase(np.full((4, 6), phasor))))
    lens = FourierLens(Grid((8, 12), (4 * um, 6 * um)), LIGHT, FOCUS)
    light = intensity(lens(device)) * lens.output_grid.cell_area / power(device, lens.grid.cell_area)
    expected = torch.zeros(8, 12, dtype=torch.float64)
    expected[4, 6], expected[0, 0] = amplitude**2, 1 - amplitude**2
    assert float((light - expected).abs().max()) < ROUNDING
    corner = [-float(axis[0]) for axis in lens.output_grid.coordinates()]
    assert unwanted_light_offset(WAVELENGTH, FOCAL_LENGTH, (4e-6, 6e-6)) == pytest.approx(
        corner, rel=ROUNDING
    )
    assert corner[0] == pytest.approx(LAMBDA_F / (2 * 4e-6), rel=ROUNDING)


@pytest.mark.parametrize("error", [0.02, 0.05, 0.10, -0.3])
def test_etch_scale_error(error: float) -> None:
    """29. sinc^2(eps) of the light in the first order of a blaze that is too deep by eps.

    However many turns the phase of each pixel is away: a relief is made within one wave.
    """
    pixels = 1024
    turns = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels + torch.randint(-2, 3, (pixels,))
    ramp = 2 * math.pi * turns
    bench = system(PhaseMask(ramp.expand(1, 1, 1, -1)), (1, pixels))
    point = torch.zeros(1, 1, pixels, dtype=torch.complex128)
    point[0, 0, pixels // 2] = 1
    image = intensity(perturbed(bench, phase_scale=1 + error)(point)).detach()[0, 0]
    # A sum of P samples is the integral to (pi eps / P)^2 / 3 of itself: 3e-7 for eps = 0.3.
    assert float(image[pixels // 2 + 1] / image.sum()) == pytest.approx(np.sinc(error) ** 2, rel=1e-6)


@pytest.mark.parametrize("kind", ["gds", "oas"])
@pytest.mark.parametrize("levels", [2, 16])
def test_export_and_back(kind: str, levels: int, tmp_path: Path) -> None:
    """30. From GDSII or OASIS alone every pixel comes back, and the system computes what it did."""
    phase = 2 * math.pi * torch.rand(2, 3, 7, 8, dtype=torch.float64)
    bench = system(PhaseMask(phase, levels=levels), (7, 8), combiner="beam_splitter")
    bank = bank_of(bench, refractive_index=1.4607, levels=levels, encoding="phase")
    export_masks(MaskSet({"bank": bank}), tmp_path, [kind])
    back = read_back(tmp_path, kind).banks["bank"]
    wanted, got = (quantise_phase(np.angle(b.transmittance).astype(float), levels) for b in (bank, back))
    np.testing.assert_array_equal(got, wanted)
    field = randn(3, 7, 8)
    # Stored masks are complex64.
    assert norm_error(bench_of(back).double()(field), bench(field)) < 2e-7


@pytest.mark.parametrize("levels", [4, 16, 256])
def test_continuous_phase_exported_is_within_half_a_level(levels: int, tmp_path: Path) -> None:
    """30. A free phase comes back to half a level, pi / L, and no pixel to more."""
    phase = 2 * math.pi * torch.rand(1, 1, 15, 16, dtype=torch.float64)
    bank = bank_of(system(PhaseMask(phase), (15, 16)), refractive_index=1.4607, encoding="phase")
    export_masks(MaskSet({"bank": bank}), tmp_path, ["gds"], levels=levels)
    back = read_back(tmp_path, "gds").banks["bank"]
    error = np.abs(np.angle(back.transmittance * np.conj(bank.transmittance)))
    assert 0.9 * np.pi / levels < error.max() <= np.pi / levels + 1e-6  # complex64


def test_height_gives_the_phase() -> None:
    """30. h = phi lambda / (2 pi (n - 1)): thicker is later, one wave is one turn, and back again."""
    phase = 2 * np.pi * np.arange(64) / 64
    height = relief_height(phase, WAVELENGTH, 1.4607)
    np.testing.assert_allclose(height, np.arange(64) / 64 * WAVELENGTH / 0.4607, rtol=1e-14, atol=0)
    np.testing.assert_allclose(phase_of_height(height, WAVELENGTH, 1.4607), phase, rtol=1e-14, atol=0)
    # Rounding of a phase of two turns is 1e-15 of a height of 1 um.
    np.testing.assert_allclose(relief_height(phase + 2 * np.pi, WAVELENGTH, 1.4607), height, atol=1e-20)


# ---- what must not matter; linearity and the common phase of light are in test_laws.py


@pytest.mark.parametrize("shape", [(24, 25), (25, 24)])
def test_translation(shape: tuple[int, int]) -> None:
    """A picture that moves in its dark surround moves the image as far, the other way."""
    bench, light = kernel_bench(torch.randn(3, 5, dtype=torch.float64), shape), framed(shape, 8)
    moved = bench(light.roll((2, -3), (1, 2)))
    assert largest_error(moved, bench(light).roll((-2, 3), (1, 2))) < ROUNDING


def test_units_and_scale() -> None:
    """Micrometres or millimetres are the same space; twice as wide is the same over four times the length."""
    light = randn(16, 18)
    space = FreeSpace(Grid((16, 18), "8 um"), "532 nm", "1 mm", "fresnel")
    same = FreeSpace(Grid((16, 18), 0.008 * mm), 0.532 * um, "0.1 cm", "fresnel")
    wide = FreeSpace(Grid((16, 18), 16 * um), 532 * nm, 4 * mm, "fresnel")
    for other in (same, wide):
        assert largest_error(other(light), space(light)) < ROUNDING
