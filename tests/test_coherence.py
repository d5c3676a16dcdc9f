"""Spectra and extended sources: the limits of coherent and incoherent light, and what lies between them."""

import math
from typing import Any

import pytest
import torch
from scipy.special import j1
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.coherence import (
    ExtendedSource,
    Spectrum,
    abbe_intensity,
    autocorrelation,
    incoherent_intensity,
    intensity_over_wavelengths,
    otf,
    tilts,
)
from optics4f.elements import (
    Aperture,
    ComplexMask,
    FourierLens,
    KernelMask,
    MaskBank,
    PhaseMask,
    Prism,
)
from optics4f.functional import intensity
from optics4f.grid import Grid
from optics4f.perturbation import perturbed
from optics4f.system import FourF
from optics4f.units import m, mm, nm, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
LIGHT, FOCUS = 532 * nm, 100 * mm
LAMBDA = 532e-9


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def plane(height: int, width: int | None = None) -> Grid:
    return Grid((height, width or height), (8 * um, 10 * um))


def bench_of(masks: MaskBank, grid: Grid, **options: Any) -> FourF:
    return FourF(grid, LIGHT, FOCUS, masks, **options).double()


def relay(grid: Grid, **options: Any) -> FourF:
    """Masks that are open everywhere."""
    return bench_of(ComplexMask(torch.ones(1, 1, *grid.shape, dtype=torch.complex128)), grid, **options)


def total(values: Tensor, grid: Grid) -> Tensor:
    """Power of an intensity [W]."""
    return values.sum((-2, -1)) * grid.cell_area


def blob(grid: Grid, width: float) -> Tensor:
    """A Gaussian field of so many samples, channel first."""
    y, x = (axis / spacing for axis, spacing in zip(grid.coordinates(), grid.spacing, strict=True))
    return torch.exp(-(y[:, None] ** 2 + x**2) / (2 * width**2)).to(torch.complex128)[None]


# ---- spectra


def moments(spectrum: Spectrum) -> tuple[float, float, float]:
    """Mean [nm], second and fourth central moment."""
    wavelengths = torch.tensor(spectrum.wavelengths, dtype=torch.float64) * 1e9
    weights = torch.tensor(spectrum.weights, dtype=torch.float64)
    mean = (weights * wavelengths).sum()
    second, fourth = ((weights * (wavelengths - mean) ** p).sum() for p in (2, 4))
    return float(mean), float(second), float(fourth)


@pytest.mark.parametrize("samples", [2, 3, 9])
def test_spectra_have_their_mean_and_width(samples: int) -> None:
    """Variances fwhm^2 / (8 ln 2) and width^2 / 12; two samples are exact up to degree 3."""
    for spectrum, variance in (
        (Spectrum.gaussian(550 * nm, 20 * nm, samples), 20**2 / (8 * math.log(2))),
        (Spectrum.flat(550 * nm, 20 * nm, samples), 20**2 / 12),
    ):
        assert len(spectrum.wavelengths) == samples
        assert math.fsum(spectrum.weights) == pytest.approx(1, rel=1e-15)
        mean, got, _ = moments(spectrum)
        assert mean == pytest.approx(550, rel=1e-14)  # rounding of some terms
        assert got == pytest.approx(variance, rel=1e-10)  # differences of 1e-2 of the mean, rounded to 1e-16


def test_the_fourth_moments_tell_the_shapes_apart() -> None:
    """Excess: 3 for a Gaussian, 9/5 for a band."""
    for spectrum, expected in (
        (Spectrum.gaussian("550 nm", "20 nm", 5), 3.0),
        (Spectrum.flat("550 nm", "20 nm", 5), 1.8),
    ):
        _, variance, fourth = moments(spectrum)
        assert fourth / variance**2 == pytest.approx(expected, rel=1e-10)  # as above


# ---- wavelengths


BANKS = [
    lambda: KernelMask(randn(2, 1, 5, 3)),
    lambda: PhaseMask(6 * torch.rand(2, 1, 14, 15, dtype=torch.float64)),
    lambda: ComplexMask(randn(2, 1, 10, 11) / 10),
]


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("options", [{}, {"stop": (8, 9), "invert_output": False}])
def test_one_line_is_coherent_light(bank: Any, options: dict[str, Any]) -> None:
    bench, field = bench_of(bank(), plane(14, 15), **options), randn(3, 1, 14, 15)
    got = intensity_over_wavelengths(bench, field, Spectrum.line(LIGHT))
    assert relative_error(got, bench.intensity(field)) < ROUNDING


def test_intensities_of_wavelengths_add_with_their_weights() -> None:
    bench, field = bench_of(KernelMask(randn(2, 1, 5, 3)), plane(14, 15)), randn(3, 1, 14, 15)
    red, blue = (intensity_over_wavelengths(bench, field, Spectrum.line(w)) for w in (600 * nm, 450 * nm))
    both = intensity_over_wavelengths(bench, field, Spectrum((600 * nm, 450 * nm), (3, 1)))
    assert relative_error(red, blue) > 0.1
    assert relative_error(both, 0.75 * red + 0.25 * blue) < ROUNDING


@pytest.mark.parametrize("wavelength", [480e-9, 600e-9])
def test_the_kernel_grows_with_the_wavelength(wavelength: float) -> None:
    """A Gaussian kernel of 2.5 samples has 2.5 q; with a blob of 3 the widths of fields add in squares."""
    x = torch.arange(41, dtype=torch.float64) - 20
    line = torch.exp(-((x / 2.5) ** 2) / 2)
    grid = plane(64, 63)
    bench = bench_of(KernelMask(torch.outer(line, line)[None, None]), grid)
    got = intensity_over_wavelengths(bench, blob(grid, 3.0), Spectrum.line(wavelength * m))
    expected = intensity(blob(grid, math.hypot(3.0, 2.5 * wavelength / LAMBDA)))
    # The kernel is cut at 8 widths, exp(-32), and the plane 7 widths out: 1e-11 of the peak.
    assert relative_error(got / got.max(), expected) < 1e-9


@pytest.mark.parametrize("band", [20, 60])
def test_a_band_smears_the_edge_of_a_kernel(band: float) -> None:
    """A tap x0 off the axis moves to x0 lambda / lambda0: a band is a rectangle of full width x0 B / lambda0.

    So it stays below half a pixel for the outermost tap, x0 = k / 2, while B < lambda0 / k.
    """
    taps = torch.zeros(1, 1, 1, 17, dtype=torch.float64)
    taps[..., -1] = 1  # 8 samples from the axis
    grid = plane(32, 65)
    bench = bench_of(KernelMask(taps, "convolution"), grid, invert_output=False)
    got = intensity_over_wavelengths(bench, blob(grid, 3.0), Spectrum.flat(LIGHT, band * nm)).detach()
    x = torch.arange(65, dtype=torch.float64) - 32
    profile = got[0].sum(0) / got.sum()
    mean = float((profile * x).sum())
    variance = float((profile * (x - mean) ** 2).sum())
    assert mean == pytest.approx(8, rel=1e-9)  # the blob is cut 8 widths out: exp(-64)
    assert variance - 3.0**2 / 2 == pytest.approx((8 * band / 532) ** 2 / 12, rel=1e-9)


def glass(wavelength: float) -> float:
    return 1.45 + 4e-15 / wavelength**2


@pytest.mark.parametrize("index", [None, glass])
def test_a_relief_delays_other_wavelengths_otherwise(index: Any) -> None:
    """Two arms, one behind an even relief: 4 c^2 |U|^2 cos^2(phi / 2), with the phase at the wavelength."""
    phase, grid = 2.2, plane(32)
    relief = torch.zeros(1, 2, 32, 32, dtype=torch.float64)
    relief[0, 0] = phase
    bench, field = bench_of(PhaseMask(relief), grid), blob(grid, 2.5).expand(2, 32, 32)
    c = float(bench.combiner.factor(bench.transmittance()).detach())
    spectrum = Spectrum((500 * nm, 580 * nm), (2, 1))
    got = intensity_over_wavelengths(bench, field, spectrum, index)
    mean = 0.0
    for wavelength, weight in zip((500e-9, 580e-9), (2 / 3, 1 / 3), strict=True):
        ratio = 1.0 if index is None else (glass(wavelength) - 1) / (glass(LAMBDA) - 1)
        mean += weight * math.cos(phase * LAMBDA / wavelength * ratio / 2) ** 2
    expected = 4 * c**2 * mean * intensity(field[:1])
    # At 580 nm the masks end at 0.92 of the plane; the blob has exp(-26) of its amplitude there.
    assert relative_error(got, expected) < 1e-9


def test_gradients_pass_through_wavelengths() -> None:
    bench, field = (
        bench_of(PhaseMask(torch.rand(1, 1, 4, 5, dtype=torch.float64)), plane(4, 5)),
        randn(1, 4, 5),
    )
    spectrum = Spectrum.gaussian(LIGHT, 30 * nm, 2)

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bench = bench

        def forward(self, field: Tensor) -> Tensor:
            return intensity_over_wavelengths(self.bench, field, spectrum)

    def image(field: Tensor, phase: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(Image(), {"bench.masks.values": phase}, (field,))
        return result

    phase = torch.rand(1, 1, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(image, (field.requires_grad_(), phase.requires_grad_()))


# ---- extended sources


def test_a_tilt_is_a_prism() -> None:
    grid, points = plane(7, 8), torch.tensor([[3e3, -5e3], [0.0, 4e3]], dtype=torch.float64)
    ones = torch.ones(7, 8, dtype=torch.complex128)
    expected = torch.stack([Prism(grid, (fy, fx))(ones) for fy, fx in points.tolist()])
    assert relative_error(tilts(grid, points), expected) < ROUNDING


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_a_disk_has_its_moments(samples: int) -> None:
    """Mean of r^2p is R^2p / (p + 1) up to the degree of the rule; means of odd powers are 0."""
    source = ExtendedSource.disk("30 / mm", samples)
    assert len(source.points) == 4 * samples**2
    fy, fx = torch.tensor(source.points, dtype=torch.float64).T / 3e4
    weights = torch.tensor(source.weights, dtype=torch.float64)
    for p in range(2 * samples):
        got = float((weights * (fy**2 + fx**2) ** p).sum())
        assert got == pytest.approx(1 / (p + 1), rel=ROUNDING)
    assert float((weights * fx).sum()) == pytest.approx(0, abs=ROUNDING)
    assert float((weights * fx**2).sum()) == pytest.approx(float((weights * fy**2).sum()), rel=ROUNDING)


def test_sigma_is_the_source_over_the_stop() -> None:
    bench = relay(plane(32), stop=(16, 12))
    radius = 0.5 * min(16 / (2 * 32 * 8e-6), 12 / (2 * 32 * 10e-6))
    assert ExtendedSource.from_sigma(bench, 0.5, 2) == ExtendedSource.disk(f"{radius!r} 1/m", 2)


@pytest.mark.parametrize("system", ["4f", "perturbed", "cascade"])
def test_one_point_on_the_axis_is_coherent_light(system: str) -> None:
    bench: Any = bench_of(KernelMask(randn(2, 1, 5, 3)), plane(14, 15), stop=(8, 9))
    bench = {
        "4f": bench,
        "perturbed": perturbed(bench, mask_shift=(3 * um, 5 * um)),
        "cascade": Cascade([bench]),
    }[system]
    field = randn(3, 1, 14, 15)
    got = abbe_intensity(bench, field, ExtendedSource.point())
    assert relative_error(got, intensity(bench(field))) < ROUNDING


def test_a_tilt_does_not_show_in_the_image_of_a_perfect_relay() -> None:
    grid, field = plane(14, 15), randn(3, 1, 14, 15)
    got = abbe_intensity(relay(grid), field, ExtendedSource([(4.1e3, -7.3e3)], [1.0]))
    assert relative_error(got, relay(grid).intensity(field)) < ROUNDING


def test_a_tilt_beyond_the_stop_leaves_a_dark_field() -> None:
    """An even object is dark when its light misses the stop, and bright when it just does not."""
    grid = plane(16)
    bench, even = relay(grid, stop=(9, 9)), torch.ones(1, 16, 16, dtype=torch.complex128)
    step = 1 / grid.extent[1]
    missed, met = (abbe_intensity(bench, even, ExtendedSource([(0.0, k * step)], [1.0])) for k in (5, 4))
    assert float(missed.abs().max()) < ROUNDING
    assert relative_error(met, torch.ones_like(met) * intensity(bench(even))) < ROUNDING


def test_weights_are_shares_of_the_power() -> None:
    grid, field = plane(14, 15), randn(1, 14, 15)
    bench = bench_of(KernelMask(randn(2, 1, 5, 3)), grid)
    points = [(4e3, -7e3), (0.0, 2e3)]
    one, other = (abbe_intensity(bench, field, ExtendedSource([point], [1.0])) for point in points)
    both = abbe_intensity(bench, field, ExtendedSource(points, [1, 3]))
    assert relative_error(both, 0.25 * one + 0.75 * other) < ROUNDING
    assert relative_error(one, other) > 0.1


@pytest.mark.parametrize("v", [0.5, 2.0, 3.8317059702075125, 5.5])
def test_fringes_of_two_pinholes_show_the_coherence_of_a_disk(v: float) -> None:
    """Van Cittert and Zernike: 1 + gamma cos, gamma = 2 J1(v) / v, v = 2 pi R d; negative beyond 3.83."""
    grid = plane(4, 64)
    field = torch.zeros(1, 4, 64, dtype=torch.complex128)
    field[0, 2, [32 - 6, 32 + 5]] = 1  # 11 samples apart
    radius = v / (2 * math.pi * 11 * 10e-6)
    source = ExtendedSource.disk(f"{radius!r} 1/m", 6)
    fringes = abbe_intensity(FourierLens(grid, LIGHT, FOCUS), field, source)[0]
    k = torch.arange(64, dtype=torch.float64) - 32
    gamma = 2 * j1(v) / v
    expected = (1 + gamma * torch.cos(2 * math.pi * k * 11 / 64)).expand(4, 64)
    # Six rings of 24 points: the first term they miss is J_24(v), 1e-14 at 5.5.
    assert relative_error(fringes / fringes.mean(), expected) < 1e-10
    visibility = (fringes.max() - fringes.min()) / (fringes.max() + fringes.min())
    assert float(visibility) == pytest.approx(
        abs(gamma), abs=2e-3
    )  # fringes are met within 1/128 of a period


def test_an_amplitude_grating_is_lost_beyond_the_stop_and_the_source_together() -> None:
    """First orders stay outside beyond (1 + sigma) fc, and reach the image below."""
    grid = plane(8, 48)
    bench = relay(grid, stop=(8, 13))  # passes k = -6 to 6
    step, x = 1 / grid.extent[1], torch.arange(48, dtype=torch.float64) - 24
    source = ExtendedSource([(0.0, k * step) for k in range(-3, 4)], [1] * 7)  # sigma = 1/2
    for k, lost in ((9, False), (10, True)):
        grating = 1 + 0.5 * torch.cos(2 * math.pi * k * x / 48)
        image = abbe_intensity(bench, grating.expand(1, 8, 48) + 0j, source)
        ripple = float((image.amax() - image.amin()) / image.mean())
        assert (ripple < ROUNDING) if lost else (ripple > 0.01)
        coherent = bench.intensity(grating.expand(1, 8, 48) + 0j)
        assert float((coherent.amax() - coherent.amin()) / coherent.mean()) < ROUNDING


def test_masks_of_phase_keep_the_power_in_any_light() -> None:
    grid, field = plane(14, 15), randn(2, 1, 14, 15)
    bench = bench_of(PhaseMask(6 * torch.rand(1, 1, 14, 15, dtype=torch.float64)), grid)
    image = abbe_intensity(bench, field, ExtendedSource.disk("20 / mm", 2))
    before = total(intensity(field), grid)
    assert relative_error(total(image, bench.output_grid), before) < ROUNDING
    image = incoherent_intensity(bench, intensity(field))
    assert relative_error(total(image, bench.output_grid), before) < ROUNDING


def test_chunks_bound_what_is_computed_at_a_time_and_change_nothing() -> None:
    bench = bench_of(KernelMask(randn(2, 1, 5, 3)), plane(14, 15))
    source, sizes = ExtendedSource.disk("20 / mm", 2), []

    def watched(field: Tensor) -> Tensor:
        sizes.append(field.shape[0])
        output: Tensor = bench(field)
        return output

    field = randn(3, 1, 14, 15).requires_grad_()
    results = []
    for chunk in (1, 5, 16):
        sizes.clear()
        image = abbe_intensity(watched, field, source, grid=bench.grid, chunk=chunk)
        assert max(sizes) == chunk
        gradients = torch.autograd.grad(image.square().sum(), (field, *bench.parameters()))
        results.append((image, *gradients))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert relative_error(one, two) < ROUNDING


def test_gradients_do_not_hold_the_light_of_all_points() -> None:
    bench, field = bench_of(KernelMask(randn(2, 1, 5, 3)), plane(14, 15)), randn(1, 14, 15).requires_grad_()
    held = []
    for samples in (2, 6):  # 16 and 144 points
        kept: list[int] = []

        def count(tensor: Tensor, kept: list[int] = kept) -> Tensor:
            kept.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            abbe_intensity(bench, field, ExtendedSource.disk("20 / mm", samples), chunk=4)
        held.append(sum(kept))
    assert held[1] - held[0] < 144 * 14 * 15  # a plane for each point would be more, and each has several


def test_gradcheck_of_extended_light() -> None:
    """Field and kernels, in chunks that are computed twice."""
    bench, field = (
        bench_of(KernelMask(torch.randn(2, 1, 3, 2, dtype=torch.float64)), plane(4, 5)),
        randn(1, 4, 5),
    )
    source = ExtendedSource.disk("10 / mm", 1)

    def image(field: Tensor, kernels: Tensor) -> Tensor:
        def system(field: Tensor) -> Tensor:
            output: Tensor = torch.func.functional_call(bench, {"masks.kernels": kernels}, (field,))
            return output

        return abbe_intensity(system, field, source, grid=bench.grid, chunk=3)

    kernels = torch.randn(2, 1, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(image, (field.requires_grad_(), kernels.requires_grad_()))


# ---- incoherent light


SYSTEMS: list[tuple[tuple[int, int], dict[str, Any]]] = [
    ((8, 9), {}),
    ((8, 9), {"stop": (5, 6)}),
    ((9, 10), {"stop": (6, 4), "invert_output": False}),
    ((9, 8), {"stop": (3, 3), "second_focal_length": 250 * mm}),
    ((7, 10), {"invert_output": False, "second_focal_length": 60 * mm}),
]


@pytest.mark.parametrize(("shape", "options"), SYSTEMS)
def test_a_source_of_all_frequencies_is_incoherent_light(
    shape: tuple[int, int], options: dict[str, Any]
) -> None:
    """Parseval over the tilts: (1/N) sum_s |sum_x g(x) e^(2 pi i s x)|^2 = sum_x |g(x)|^2."""
    grid = plane(*shape)
    bench = bench_of(KernelMask(randn(3, 1, 3, 2)), grid, **options)
    fy, fx = grid.frequencies()
    points = torch.cartesian_prod(fy, fx).tolist()
    field = randn(2, 1, *shape)
    with torch.no_grad():
        everywhere = abbe_intensity(
            bench, field, ExtendedSource([tuple(p) for p in points], [1] * len(points))
        )
        got = incoherent_intensity(bench, intensity(field))
    assert got.shape == (2, 3, *bench.output_grid.shape)
    assert relative_error(got, everywhere) < ROUNDING


@pytest.mark.parametrize(("shape", "options"), SYSTEMS)
def test_every_sample_of_every_channel_shines_for_itself(
    shape: tuple[int, int], options: dict[str, Any]
) -> None:
    """The image is the sum of the intensities that single samples give, one after the other."""
    bench = bench_of(KernelMask(randn(3, 2, 3, 2)), plane(*shape), **options)
    size = 2 * shape[0] * shape[1]
    singles = bench.intensity(torch.eye(size, dtype=torch.complex128).reshape(size, 2, *shape)).detach()
    light = torch.rand(4, 2, *shape, dtype=torch.float64)
    expected = torch.tensordot(light.reshape(4, size), singles, dims=1)
    assert relative_error(incoherent_intensity(bench, light), expected) < ROUNDING


@pytest.mark.parametrize(("shape", "options"), SYSTEMS)
def test_incoherent_power_falls_to_the_mean_of_the_masks(
    shape: tuple[int, int], options: dict[str, Any]
) -> None:
    """Independent points light all frequencies alike: the mean of |T|^2 over the plane gets through."""
    bench = bench_of(KernelMask(randn(1, 1, 3, 2)), plane(*shape), **options)
    light = torch.rand(1, *shape, dtype=torch.float64)
    passed = total(incoherent_intensity(bench, light), bench.output_grid) / total(light, bench.grid)
    expected = intensity(bench.transfer()).sum() / (shape[0] * shape[1])
    # The transform of |h|^2 ends before n', so that the samples of the output sum to all of it.
    assert float(passed.detach()) == pytest.approx(float(expected.detach()), rel=ROUNDING)


def test_a_perfect_relay_shows_any_light_turned_round() -> None:
    grid, light = plane(7, 9), torch.rand(1, 7, 9, dtype=torch.float64)
    assert relative_error(incoherent_intensity(relay(grid), light), light.flip((-2, -1))) < ROUNDING


def test_autocorrelation_is_the_sum_it_says() -> None:
    transfer = randn(3, 4)
    got = autocorrelation(transfer)
    for ky in range(-3, 3):
        for kx in range(-4, 4):
            pairs = [
                transfer[y + ky, x + kx] * transfer[y, x].conj()
                for y in range(3)
                for x in range(4)
                if 0 <= y + ky < 3 and 0 <= x + kx < 4
            ]
            expected = sum(pairs, start=torch.zeros((), dtype=torch.complex128))
            assert abs(got[3 + ky, 4 + kx] - expected) < ROUNDING * 12  # terms of order 1


def test_transfer_function_of_a_round_pupil() -> None:
    """(2/pi) [acos s - s sqrt(1 - s^2)], and nothing beyond 2 fc."""
    grid = Grid((256, 256), 8 * um)
    plain = relay(grid)
    pitch = plain.fourier_grid.spacing[0]
    bench = relay(grid, pupil=Aperture(plain.fourier_grid, 200 * pitch * m))
    got = otf(bench).detach()[0, 0]
    assert got.shape == (512, 512)
    fc = 200 * pitch / (2 * LAMBDA * 0.1)  # D / (2 lambda f)
    k = torch.arange(512, dtype=torch.float64) - 256
    s = (torch.hypot(k[:, None], k) / grid.extent[0] / (2 * fc)).clamp(max=1)
    expected = 2 / math.pi * (torch.acos(s) - s * torch.sqrt(1 - s**2))
    # Stairs at the edge of the disk: 6e-4 measured with 200 samples across, 2e-3 with 100.
    assert float((got - expected).abs().max()) < 1e-3
    assert float(got[256, 256 + 200 :].abs().max()) < ROUNDING


def test_gratings_have_the_contrast_of_the_transfer_function() -> None:
    """1 + cos keeps |OTF|: what coherent light no longer passes is there, and beyond 2 fc nothing is."""
    grid = plane(8, 48)
    bench = relay(grid, stop=(8, 13))  # fc between 6 and 7
    x = torch.arange(48, dtype=torch.float64) - 24
    for k in (3, 6, 9, 12, 13, 20):
        grating = (1 + torch.cos(2 * math.pi * k * x / 48)).expand(1, 8, 48)
        image = incoherent_intensity(bench, grating)[0].detach()
        harmonic = torch.exp(-2j * math.pi * k * (torch.arange(13) - 6).double() / 13)
        contrast = 2 * (image * harmonic).mean().abs() / image.mean()
        if k <= 6:  # of 13 samples, more periods are not told apart
            # A slit passes 13 of its own samples, and 13 - k of them twice.
            assert float(contrast) == pytest.approx((13 - k) / 13, rel=1e-9)
            assert float(otf(bench)[0, 0, 8, 13 + k].abs()) == pytest.approx((13 - k) / 13, rel=1e-9)
        if k >= 13:
            assert float((image - image.mean()).abs().max()) < ROUNDING * float(image.mean())
        else:
            assert float(image.std()) > 0.01 * float(image.mean())


def test_gradcheck_of_incoherent_light() -> None:
    bench = bench_of(KernelMask(torch.randn(2, 1, 3, 2, dtype=torch.float64)), plane(4, 5), stop=(3, 3))

    class Image(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bench = bench

        def forward(self, light: Tensor) -> Tensor:
            return incoherent_intensity(self.bench, light)

    def image(light: Tensor, kernels: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(Image(), {"bench.masks.kernels": kernels}, (light,))
        return result

    light, kernels = torch.rand(1, 4, 5, dtype=torch.float64), torch.randn(2, 1, 3, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(image, (light.requires_grad_(), kernels.requires_grad_()))


def test_the_dtype_follows_the_light() -> None:
    bench = FourF(plane(14, 15), LIGHT, FOCUS, KernelMask(torch.randn(2, 1, 5, 3)), stop=(8, 9))
    field = torch.randn(3, 1, 14, 15, dtype=torch.complex64)
    images = (
        intensity_over_wavelengths(bench, field, Spectrum.flat(LIGHT, 20 * nm, 2)),
        abbe_intensity(bench, field, ExtendedSource.disk("20 / mm", 2)),
        incoherent_intensity(bench, intensity(field)),
    )
    double = bench.double()
    wide = field.to(torch.complex128)
    expected = (
        intensity_over_wavelengths(double, wide, Spectrum.flat(LIGHT, 20 * nm, 2)),
        abbe_intensity(double, wide, ExtendedSource.disk("20 / mm", 2)),
        incoherent_intensity(double, intensity(wide)),
    )
    for image, reference in zip(images, expected, strict=True):
        assert image.dtype == torch.float32
        assert relative_error(image, reference) < 1e-5  # 6e-8 times some hundred operations


# ---- refusals


def refused(pattern: str, build: Any, kind: type[Exception] = ValueError) -> None:
    with pytest.raises(kind, match=pattern):
        build()


def test_spectra_and_sources_refuse() -> None:
    three: Any = 3
    half: Any = 1.5
    refused("Spectrum wavelength: .* bare number 532", lambda: Spectrum.line(532), TypeError)
    refused("Spectrum wavelength: expected more than 0 m", lambda: Spectrum.gaussian(LIGHT, 900 * nm, 9))
    refused("Spectrum centre: .* bare number", lambda: Spectrum.flat(532, 3 * nm), TypeError)
    refused("Spectrum fwhm: .* bare number", lambda: Spectrum.gaussian(LIGHT, 3), TypeError)
    refused("Spectrum width: expected more than 0 m", lambda: Spectrum.flat(LIGHT, 0 * nm))
    refused(
        "Spectrum samples: expected an integer of at least 1, got 0", lambda: Spectrum.flat(LIGHT, 3 * nm, 0)
    )
    refused(
        r"Spectrum: expected a weight for each of 1, not all 0, got \[1.0, 2.0\]",
        lambda: Spectrum([LIGHT], [1, 2]),
    )
    refused(r"for each of 0, not all 0, got \[\]", lambda: Spectrum([], []))
    refused(r"for each of 1, not all 0, got \[0.0\]", lambda: Spectrum([LIGHT], [0]))
    refused("Spectrum weight: expected a number of at least 0, got -1", lambda: Spectrum([LIGHT], [-1]))
    refused(
        r"ExtendedSource: expected points \(fy, fx\), got 3", lambda: ExtendedSource([three], [1]), TypeError
    )
    refused("ExtendedSource point: .* got nan", lambda: ExtendedSource([(0, math.nan)], [1]))
    refused("ExtendedSource: expected a weight for each of 1", lambda: ExtendedSource([(0, 0)], [1, 1]))
    refused("ExtendedSource radius: .* bare number 5", lambda: ExtendedSource.disk(5), TypeError)
    refused("ExtendedSource samples: .* got 1.5", lambda: ExtendedSource.disk("5 / mm", half))
    refused("ExtendedSource sigma: .* got 0", lambda: ExtendedSource.from_sigma(relay(plane(4)), 0))


def test_sums_refuse() -> None:
    bench, line, point = relay(plane(4, 5)), Spectrum.line(LIGHT), ExtendedSource.point()
    field = randn(1, 4, 5)
    row: Any = Cascade([bench])
    refused(
        "expected a FourF, got Cascade",
        lambda: intensity_over_wavelengths(row, field, line),
        TypeError,
    )
    refused(
        "index_ratio: expected phase masks",
        lambda: intensity_over_wavelengths(bench, field, line, index=glass),
    )
    refused(
        r"abbe_intensity: expected a field \(..., \(4, 5\)\)",
        lambda: abbe_intensity(bench, randn(1, 5, 4), point),
    )
    refused(
        "abbe_intensity: expected a complex tensor",
        lambda: abbe_intensity(bench, field.real, point),
        TypeError,
    )
    refused(
        "abbe_intensity: expected a grid for Identity, got None",
        lambda: abbe_intensity(nn.Identity(), field, point),
        TypeError,
    )
    refused("abbe_intensity chunk: .* got 0", lambda: abbe_intensity(bench, field, point, chunk=0))
    refused(
        "abbe_intensity: expected tilts in x up to 50 .*, half of 1/dx, got 51 ",
        lambda: abbe_intensity(bench, field, ExtendedSource([(0, -51e3)], [1])),
    )
    refused(
        "incoherent_intensity: expected a real tensor", lambda: incoherent_intensity(bench, field), TypeError
    )
    refused(
        r"incoherent_intensity: expected a field \(..., \(1, 4, 5\)\), got \(2, 4, 5\)",
        lambda: incoherent_intensity(bench, torch.rand(2, 4, 5)),
    )
