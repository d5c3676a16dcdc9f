"""The 4f system by real propagation against the ideal one, and where the two must differ."""

import math

import pytest
import torch
from torch import Tensor

from optics4f.elements import KernelMask, MaskBank
from optics4f.fourier import ft2, ift2
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import mm, nm, um
from optics4f.wave import agreement, documented_case, onto_wave_grid, wave_four_f, wave_grid

WAVELENGTH, FOCAL_LENGTH = 532e-9, 20e-3


def spot(grid: Grid, down: float = 0, right: float = 0, waist: float = 24e-6) -> Tensor:
    y, x = grid.coordinates()
    return torch.exp(-((y[:, None] - down) ** 2 + (x - right) ** 2) / waist**2).to(torch.complex128)


def bench_with(grid: Grid, kernels: Tensor, **options: object) -> FourF:
    return FourF(grid, 532 * nm, 20 * mm, KernelMask(kernels, "convolution"), **options)  # type: ignore[arg-type]


def scene(grid: Grid) -> Tensor:
    """Two channels of spots in the middle."""
    return torch.stack([spot(grid, 16e-6, -8e-6), 0.7j * spot(grid, -24e-6, 16e-6) + spot(grid, 0, 24e-6)])


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize(("shape", "dx"), [((40, 40), 8), ((41, 48), 8), ((48, 43), 7.5)])
@pytest.mark.parametrize("inverted", [True, False])
@torch.no_grad()
def test_fresnel_is_the_ideal_system(shape: tuple[int, int], dx: float, inverted: bool) -> None:
    grid = Grid(shape, (8 * um, dx * um))
    kernels = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    bench = bench_with(grid, kernels, invert_output=inverted)
    output, plane = wave_four_f(bench, scene(grid))
    expected = onto_wave_grid(bench, bench(scene(grid)), plane)
    # The spots end 4.7 waists from the edge at least, exp(-4.7^2) = 3e-10, and the band ends at 4.7 waists.
    assert relative_error(output, expected) < 1e-8


def test_more_samples_change_nothing() -> None:
    grid = Grid((40, 40), 8 * um)
    bench = bench_with(grid, torch.randn(1, 2, 3, 3, dtype=torch.float64))
    least = wave_grid(bench).shape[0]
    area = WAVELENGTH * FOCAL_LENGTH
    assert least >= (40 * 8e-6 + area / 8e-6) ** 2 / area
    output, plane = wave_four_f(bench, scene(grid), samples=least + 25)
    # An odd number of samples: the steps are no longer a discrete transform, but still sampled. Light that
    # is bent to the edge of the plane has exp(-4.7^2) of the amplitude.
    assert relative_error(output, onto_wave_grid(bench, bench(scene(grid)), plane)) < 1e-8


def test_the_exact_system_differs_by_the_phase_that_fresnel_is_wrong_by() -> None:
    r"""Two free spaces with light bent by s: the ideal output times exp(-2 i pi f s^4 / (4 lambda))."""
    bench, field = long_bench()
    output, plane = wave_four_f(bench, field, "angular_spectrum")
    ideal = bench(field)
    fy, fx = bench.output_grid.frequencies()
    s4 = (WAVELENGTH**2 * (fy[:, None] ** 2 + fx**2)) ** 2
    predicted = ift2(ft2(ideal) * torch.exp(-2j * math.pi * bench.focal_length * s4 / (4 * WAVELENGTH)))
    plain = relative_error(output, onto_wave_grid(bench, ideal, plane))
    left = relative_error(output, onto_wave_grid(bench, predicted, plane))
    assert plain > 1e-4
    # What is left is the next order, s^2 / 2 of it with s up to 0.04, and the spaces beside the masks, where
    # light is bent by x / f < 1e-3.
    assert left < 1e-3 * plain


def long_bench() -> tuple[FourF, Tensor]:
    grid = Grid((48, 48), 6 * um)
    bench = FourF(grid, 532 * nm, 40 * mm, KernelMask(torch.ones(1, 1, 1, 1, dtype=torch.float64)))
    return bench, spot(grid, 12e-6, -6e-6, waist=18e-6)[None]


def test_light_does_not_wrap_round() -> None:
    """A kernel that moves a spot out of the input plane: it arrives beside it, not on the other side."""
    grid = Grid((48, 48), 8 * um)
    kernel = torch.zeros(1, 1, 48, 48, dtype=torch.float64)
    kernel[..., 24, 24 + 23] = 1
    bench = bench_with(grid, kernel)
    output, plane = wave_four_f(bench, spot(grid, right=80e-6)[None])
    # By 80 + 184 um to the right, inverted by the lenses. Spots keep 4.7 waists from the edge of the input.
    assert relative_error(output[0], spot(plane, right=-264e-6)) < 1e-8
    # The ideal output has it at 384 - 264 um, three waists from its edge: exp(-9) = 1.2e-4 is left there.
    ideal = bench(spot(grid, right=80e-6)[None])
    assert relative_error(ideal[0], spot(grid, right=120e-6)) < 2e-4


@torch.no_grad()
def test_a_small_lens_takes_light_away() -> None:
    grid = Grid((40, 40), 8 * um)
    bench = bench_with(grid, torch.ones(1, 1, 1, 1, dtype=torch.float64))
    field = spot(grid)[None]
    whole, plane = wave_four_f(bench, field)
    # At the lens the spot is a Gaussian of width w sqrt(1 + (f / z_R)^2); at the second one nearly the same.
    width = 24e-6 * math.sqrt(1 + (WAVELENGTH * FOCAL_LENGTH / (math.pi * 24e-6**2)) ** 2)
    # A lens four widths wide cuts off exp(-8) of the power. At the second one as much of the whole beam is
    # outside, plus or minus what the first one cut off: at most twice the amplitude. 10 % for stepped edges.
    for diameter, lost in ((4 * width, math.exp(-8)), (10 * width, 0.0)):
        output, _ = wave_four_f(bench, field, lens_diameter=diameter)
        power = float((output.norm() / whole.norm()) ** 2)
        assert 1 - 1.1 * 5 * lost - 1e-9 <= power <= 1 - 0.9 * lost + 1e-9
    assert float(whole.norm()) ** 2 * plane.cell_area == pytest.approx(
        float(field.norm()) ** 2 * grid.cell_area, rel=1e-9
    )


def test_agreement_of_all_methods() -> None:
    grid = Grid((40, 40), 8 * um)
    bench = bench_with(grid, torch.randn(1, 2, 3, 3, dtype=torch.float64))
    rows = agreement(bench, scene(grid))
    assert [row.method.split(", ")[1] for row in rows] == [
        "FFT",
        "matrix Fourier",
        "fresnel",
        "angular_spectrum",
    ]
    assert rows[0].relative_error == 0
    assert rows[1].relative_error < 1e-12  # rounding
    assert rows[2].relative_error < 1e-8  # as above
    assert 1e-6 < rows[3].relative_error < 1e-2
    assert all(row.seconds > 0 for row in rows)


def test_documented_case_is_what_the_page_says() -> None:
    bench, field = documented_case()
    assert wave_grid(bench).shape == (972, 972)
    assert field.shape == (1, 64, 64)
    edge = torch.cat([field[0, 0], field[0, -1], field[0, :, 0], field[0, :, -1]]).abs().max()
    assert float(edge) < 1e-10


def test_gradient_of_the_field() -> None:
    grid = Grid((6, 5), 8 * um)
    bench = FourF(grid, 532 * nm, 1 * mm, MaskBank.from_kernels(torch.randn(2, 1, 2, 2, dtype=torch.float64)))
    field = torch.randn(1, 6, 5, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u: wave_four_f(bench, u)[0], (field,), fast_mode=True)


def test_gradient_of_the_masks() -> None:
    """Against a central difference along the gradient, whose error is of the order of its step squared."""
    grid = Grid((8, 8), 8 * um)
    bench = FourF(grid, 532 * nm, 1 * mm, KernelMask(torch.randn(2, 1, 3, 3, dtype=torch.float64)))
    (kernels,) = bench.masks.parameters()
    target = torch.randn(2, *wave_grid(bench).shape, dtype=torch.complex128)

    def loss() -> Tensor:
        return (wave_four_f(bench, spot(grid)[None])[0] - target).abs().square().sum()

    (gradient,) = torch.autograd.grad(loss(), kernels)
    step, start = 1e-4 * gradient / gradient.norm(), kernels.detach().clone()
    with torch.no_grad():
        ahead = (kernels.copy_(start + step), loss())[1]
        behind = (kernels.copy_(start - step), loss())[1]
    slope = float(ahead - behind) / 2e-4
    assert slope == pytest.approx(float(gradient.norm()), rel=1e-5)


def test_what_is_not_honest_is_refused() -> None:
    grid = Grid((40, 40), 8 * um)
    kernel = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    field = spot(grid)[None]
    with pytest.raises(ValueError, match=r"without a stop, got one of \(20, 20\) of \(40, 40\) samples"):
        wave_four_f(bench_with(grid, kernel, stop=(20, 20)), field)
    with pytest.raises(ValueError, match=r"equal focal lengths, got 20 mm and 30 mm"):
        wave_four_f(bench_with(grid, kernel, second_focal_length=30 * mm), field)
    # (0.32 + 1.33)^2 / 0.01064 = 255.9
    with pytest.raises(ValueError, match=r"at least 256 samples, so that light 1\.65 mm wide .* got 200"):
        wave_four_f(bench_with(grid, kernel), field, samples=200)
    with pytest.raises(ValueError, match=r"expected fresnel or angular_spectrum, got 'ray'"):
        wave_four_f(bench_with(grid, kernel), field, method="ray")
