"""The low-pass stop as spectral pooling: what it keeps of a picture, alone and in a 4f system."""

import math

import pytest
import torch
from torch import Tensor

from optics4f.elements import ComplexMask, FourierLens, LowPassStop
from optics4f.elements.stops import spectral_pool
from optics4f.fourier import ft2, ift2
from optics4f.functional import power
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import mm, nm, um

ROUNDING = 1e-13  # float64, sums of some hundred terms of order 1
LIGHT, FOCUS = 532 * nm, 100 * mm
PAIRS = [((9, 12), (5, 6)), ((12, 9), (6, 5)), ((8, 8), (4, 7)), ((7, 11), (7, 4)), ((6, 9), (6, 9))]

pairs = pytest.mark.parametrize(("shape", "inside"), PAIRS)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def in_the_stop(picture: Tensor, inside: tuple[int, int]) -> Tensor:
    """The part of a picture that the stop lets through, on its own samples, by a sum over frequencies."""
    passed = torch.zeros_like(picture, dtype=torch.complex128)
    spectrum = torch.fft.fft2(picture)
    heights, widths = (
        [k for k in range(-(n // 2), n - n // 2) if m == n or abs(k) < m / 2]
        for n, m in zip(picture.shape[-2:], inside, strict=True)
    )
    for ky in heights:
        for kx in widths:
            passed[..., ky, kx] = spectrum[..., ky, kx]
    return torch.fft.ifft2(passed)


@pairs
def test_the_mean_of_any_picture_is_kept(shape: tuple[int, int], inside: tuple[int, int]) -> None:
    picture = rand(3, *shape)
    pooled = spectral_pool(picture, inside)
    assert pooled.shape == (3, *inside)
    assert difference(pooled.mean((-2, -1)), picture.mean((-2, -1))) < ROUNDING
    flat = spectral_pool(torch.full(shape, 0.7, dtype=torch.float64), inside, keeps="mean")
    assert difference(flat, torch.full(inside, 0.7, dtype=torch.float64)) < ROUNDING
    # With the name, its mean square is that of the part inside the stop.
    expected = in_the_stop(picture, inside).abs().square().mean((-2, -1))
    assert difference(pooled.square().mean((-2, -1)), expected) < ROUNDING


@pairs
def test_the_energy_inside_the_stop_is_kept(shape: tuple[int, int], inside: tuple[int, int]) -> None:
    """Parseval: the sum of |V|^2 over the samples; the mean then grows by sqrt(HW / H'W')."""
    for picture in (rand(3, *shape), randn(3, *shape)):
        pooled = spectral_pool(picture, inside, keeps="energy")
        expected = in_the_stop(picture, inside).abs().square().sum((-2, -1))
        assert difference(pooled.abs().square().sum((-2, -1)) / expected, torch.ones(3)) < ROUNDING
        grown = math.sqrt(math.prod(shape) / math.prod(inside)) * picture.mean((-2, -1))
        assert difference(pooled.mean((-2, -1)), grown) < ROUNDING


@pairs
def test_a_real_picture_stays_real(shape: tuple[int, int], inside: tuple[int, int]) -> None:
    """The imaginary part that is dropped is rounding, for odd and even sizes."""
    picture = rand(2, *shape)
    for keeps in ("mean", "energy"):
        pooled, through = spectral_pool(picture, inside, keeps), spectral_pool(picture + 0j, inside, keeps)
        assert not pooled.is_complex() and through.is_complex()
        assert float(through.imag.abs().max()) < ROUNDING
        assert difference(pooled, through.real) == 0


@pairs
def test_pooling_samples_the_smooth_picture(shape: tuple[int, int], inside: tuple[int, int]) -> None:
    """A wave inside the stop is itself at the new samples, with the axis on sample n // 2."""

    def wave(samples: tuple[int, int]) -> Tensor:
        y, x = ((torch.arange(n, dtype=torch.float64) - n // 2) / n for n in samples)
        return 1 + torch.cos(2 * math.pi * (y[:, None] - x) + 0.4)

    assert difference(spectral_pool(wave(shape), inside), wave(inside)) < ROUNDING


@pairs
def test_it_is_the_stop_of_a_system_with_open_masks(shape: tuple[int, int], inside: tuple[int, int]) -> None:
    """Fields in sqrt(W)/m: a 4f system keeps the mean, and the power inside the stop too."""
    grid, picture = Grid(shape, (8 * um, 10 * um)), rand(2, 1, *shape)
    open_mask = ComplexMask(torch.ones(1, 1, *shape, dtype=torch.complex128))
    bench = FourF(grid, LIGHT, FOCUS, open_mask, stop=inside, invert_output=False)
    output = bench(picture + 0j)
    assert difference(spectral_pool(picture, inside), output.real) < ROUNDING
    energy = spectral_pool(picture, inside, "energy").square().sum((-2, -1)) * grid.cell_area
    assert difference(power(output, bench.output_grid.cell_area) / energy, torch.ones(2, 1)) < ROUNDING


@pairs
def test_the_stop_between_lenses_and_between_bare_transforms(
    shape: tuple[int, int], inside: tuple[int, int]
) -> None:
    """As it stands the stop keeps the mean between lenses; between bare transforms that is asked for."""
    field, grid = randn(*shape), Grid(shape, (8 * um, 10 * um))
    first = FourierLens(grid, LIGHT, FOCUS)
    second = FourierLens(first.output_grid.with_shape(inside), LIGHT, FOCUS)
    image = second(LowPassStop(inside)(first(field)))
    bare = ift2(LowPassStop(inside, keeps="mean")(ft2(field)))
    assert abs(complex(image.mean() - field.mean())) < ROUNDING
    assert abs(complex(bare.mean() - field.mean())) < ROUNDING
    assert torch.equal(bare, spectral_pool(field, inside))


def test_single_precision_and_gradient() -> None:
    assert spectral_pool(rand(9, 8).float(), (4, 5)).dtype == torch.float32
    for keeps in ("mean", "energy"):
        picture = rand(5, 6).requires_grad_()
        assert torch.autograd.gradcheck(lambda p, keeps=keeps: spectral_pool(p, (4, 3), keeps), (picture,))


def test_what_is_kept_is_said() -> None:
    assert str(LowPassStop((3, 4))) == "LowPassStop(3 x 4)"
    assert str(LowPassStop((3, 4), "mean")) == "LowPassStop(3 x 4, keeps the mean)"


def test_refused() -> None:
    with pytest.raises(ValueError, match="LowPassStop: expected keeps energy or mean, got 'power'"):
        spectral_pool(rand(5, 6), (3, 4), "power")
    with pytest.raises(ValueError, match=r"expected a shape within \(5, 6\), got \(6, 6\)"):
        spectral_pool(rand(5, 6), (6, 6))
