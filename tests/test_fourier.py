"""Centred unitary transforms against explicit sums for every parity; crop, pad, kernels, interpolation."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from optics4f.fourier import (
    centred_index,
    crop_center,
    ft2,
    ift2,
    interpolation_matrix,
    invert,
    kernel_response,
    pad_center,
    pixel_integration_matrix,
)

ROUNDING = 1e-12  # float64, sums of at most some hundred terms of order 1
SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 99)
few = settings(max_examples=40, deadline=None)


def random_field(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def dft(n: int) -> Tensor:
    """The centred unitary transform of one dimension, written as the sum in the textbook."""
    index = torch.arange(n, dtype=torch.float64) - n // 2
    return torch.exp(-2j * math.pi * torch.outer(index, index) / n) / math.sqrt(n)


@few
@given(SIZES, SIZES, SEEDS)
def test_transform_is_the_explicit_sum(height: int, width: int, seed: int) -> None:
    field = random_field(2, height, width, seed=seed)
    assert relative_error(ft2(field), dft(height) @ field @ dft(width).mT) < ROUNDING
    assert relative_error(ift2(field), dft(height).mH @ field @ dft(width).conj()) < ROUNDING


@few
@given(SIZES, SIZES, SEEDS)
def test_unitary(height: int, width: int, seed: int) -> None:
    """Parseval, inverse, and adjoint: <F x, y> = <x, F^-1 y>."""
    x, y = random_field(2, height, width, seed=seed)
    assert float(ft2(x).norm()) == pytest.approx(float(x.norm()), rel=ROUNDING)
    assert relative_error(ift2(ft2(x)), x) < ROUNDING
    # The product may cancel: the error is measured against the product of the norms.
    products = torch.vdot(y.flatten(), ft2(x).flatten()), torch.vdot(ift2(y).flatten(), x.flatten())
    assert abs(products[0] - products[1]) < ROUNDING * x.norm() * y.norm()


@few
@given(SIZES, SIZES, SEEDS)
def test_two_transforms_turn_the_plane_about_its_axis(height: int, width: int, seed: int) -> None:
    field = random_field(height, width, seed=seed)
    # Index n // 2 + i goes to n // 2 - i, the one unpaired sample of an even n to itself.
    rows = [(2 * (height // 2) - i) % height for i in range(height)]
    columns = [(2 * (width // 2) - j) % width for j in range(width)]
    expected = field[rows][:, columns]
    assert torch.equal(invert(field), expected)
    assert relative_error(ft2(ft2(field)), expected) < ROUNDING


@few
@given(SIZES, SIZES, st.integers(-4, 4), st.integers(-4, 4), SEEDS)
def test_a_shift_is_a_phase_ramp(height: int, width: int, dy: int, dx: int, seed: int) -> None:
    field = random_field(height, width, seed=seed)
    ramp = torch.outer(
        *(torch.exp(-2j * math.pi * centred_index(n) * d / n) for n, d in ((height, dy), (width, dx)))
    )
    assert relative_error(ft2(field.roll((dy, dx), (0, 1))), ft2(field) * ramp) < ROUNDING


PAIRS = [(n, m) for n, m in itertools.product(range(1, 10), repeat=2) if m <= n]


@pytest.mark.parametrize(("n", "m"), PAIRS)
def test_crop_and_pad_keep_the_axis_and_are_adjoint(n: int, m: int) -> None:
    other_n, other_m = 10 - n, max(1, (10 - n) // 2)  # another size and parity in the other direction
    delta = torch.zeros(n, other_n, dtype=torch.float64)
    delta[n // 2, other_n // 2] = 1
    small_delta = torch.zeros(m, other_m, dtype=torch.float64)
    small_delta[m // 2, other_m // 2] = 1
    assert torch.equal(crop_center(delta, (m, other_m)), small_delta)
    assert torch.equal(pad_center(small_delta, (n, other_n)), delta)
    big, small = random_field(n, other_n), random_field(m, other_m, seed=1)
    assert torch.equal(crop_center(pad_center(small, (n, other_n)), (m, other_m)), small)
    cropped = torch.vdot(small.flatten(), crop_center(big, (m, other_m)).flatten())
    padded = torch.vdot(pad_center(small, (n, other_n)).flatten(), big.flatten())
    assert abs(cropped - padded) < ROUNDING * big.norm() * small.norm()


@pytest.mark.parametrize(("n", "m"), PAIRS)
def test_a_constant_stays_constant_through_a_crop_of_its_spectrum(n: int, m: int) -> None:
    """Its one frequency is on the axis; a crop that moved the axis would leave a phase ramp."""
    spectrum = ft2(torch.ones(n, n, dtype=torch.complex128))
    cropped = ift2(crop_center(spectrum, (m, m)))
    assert relative_error(cropped, torch.full((m, m), n / m, dtype=torch.complex128)) < ROUNDING


def test_a_crop_larger_than_the_plane_is_refused_and_a_pad_smaller_than_it() -> None:
    with pytest.raises(ValueError, match=r"crop_center: expected a shape within \(4, 5\), got \(4, 6\)"):
        crop_center(torch.zeros(4, 5), (4, 6))
    with pytest.raises(ValueError, match=r"pad_center: expected a shape of at least \(4, 5\), got \(3, 9\)"):
        pad_center(torch.zeros(4, 5), (3, 9))


@few
@given(st.integers(1, 4), st.integers(1, 4), st.integers(4, 9), st.integers(4, 9), st.data())
def test_response_is_the_transform_of_the_embedded_kernel(
    k: int, size: int, height: int, width: int, data: st.DataObject
) -> None:
    shape = (data.draw(st.integers(1, height)), data.draw(st.integers(1, width)))
    kernels = random_field(2, 3, k, size, seed=data.draw(SEEDS))
    embedded = math.sqrt(height * width) * ft2(pad_center(kernels, (height, width)))
    assert (
        relative_error(kernel_response(kernels, (height, width), shape, -1), crop_center(embedded, shape))
        < ROUNDING
    )
    # Correlation is convolution with the kernel turned about its origin: conjugate twice.
    mirrored = math.sqrt(height * width) * ft2(pad_center(kernels.conj(), (height, width))).conj()
    assert (
        relative_error(kernel_response(kernels, (height, width), shape, +1), crop_center(mirrored, shape))
        < ROUNDING
    )


@pytest.mark.parametrize("n", [1, 4, 5, 8, 9])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_interpolation_keeps_the_samples_and_plane_waves(n: int, factor: int) -> None:
    samples = n * factor
    matrix = interpolation_matrix(n, samples)
    on_samples = samples // 2 + factor * (torch.arange(n) - n // 2)
    assert relative_error(matrix[on_samples], torch.eye(n, dtype=torch.complex128)) < ROUNDING


@pytest.mark.parametrize(("n", "samples"), [(4, 7), (5, 9), (6, 6), (7, 20), (8, 15)])
def test_interpolation_is_exact_for_every_wave_of_the_plane(n: int, samples: int) -> None:
    waves = torch.arange(n) - n // 2
    coarse = torch.exp(2j * math.pi * torch.outer(centred_index(n) / n, waves.double()))
    fine = torch.exp(2j * math.pi * torch.outer(centred_index(samples) / samples, waves.double()))
    assert relative_error(interpolation_matrix(n, samples) @ coarse, fine) < ROUNDING


@pytest.mark.parametrize(("samples", "pixels"), [(9, 4), (9, 5), (8, 3), (10, 6), (7, 12), (5, 1)])
def test_pixel_integrals_of_waves_are_closed_forms(samples: int, pixels: int) -> None:
    """The integral of k periods of a cosine over a pixel of width 1/p: the difference of two sines."""
    x, centre = centred_index(samples) / samples, centred_index(pixels) / pixels
    matrix = pixel_integration_matrix(samples, pixels)
    for k in range((samples + 1) // 2):
        for phase in (0.0, 0.9):
            edges = [torch.sin(2 * math.pi * k * (centre + side / (2 * pixels)) + phase) for side in (1, -1)]
            wanted = (
                (edges[0] - edges[1]) / (2 * math.pi * k)
                if k
                else torch.full_like(centre, math.cos(phase) / pixels)
            )
            got = matrix @ torch.cos(2 * math.pi * k * x + phase)
            assert float((got - wanted).abs().max()) < ROUNDING / pixels
    # What the pixels collect together is the integral over the plane: each sample counts 1/s.
    assert relative_error(matrix.sum(0), torch.full((samples,), 1 / samples, dtype=torch.float64)) < ROUNDING
