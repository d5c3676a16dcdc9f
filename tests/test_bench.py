"""A stored bank put back on a bench: the ideal one exactly, square pixels against a direct sum in space."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from optics4f.design import double_phase, double_phase_origin
from optics4f.elements import ComplexMask, GuardBand, KernelMask, PhaseMask
from optics4f.fabrication import MaskBankData
from optics4f.fabrication.bench import RebuiltBench, bank_of, bench_of
from optics4f.grid import Grid
from optics4f.system import FourF
from optics4f.units import mm, nm, um

STORED = 2e-6  # masks are stored in complex64: 6e-8 each, and the scale as decibels

# Plane and stop: every parity of both, the plane itself, and no stop.
PLANES = [(8, 9), (9, 8), (7, 9), (8, 10)]
STOPS: list[tuple[int, int] | None] = [(5, 5), (4, 6), (5, 4), (6, 7), None]


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex64)


def design(shape: tuple[int, int], stop: tuple[int, int] | None, **options: Any) -> FourF:
    masks = options.pop("masks", None) or KernelMask(randn(3, 2, 3, 2))
    return FourF(Grid(shape, (8 * um, 10 * um)), 532 * nm, 100 * mm, masks, stop=stop, **options)


def relative_error(got: Any, expected: Any) -> float:
    got, expected = np.asarray(got), np.asarray(expected)
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def on_bench(bank: MaskBankData, picture: Tensor, oversample: int) -> tuple[FourF, NDArray[np.complex128]]:
    """The field behind the bench of a bank, for a picture in the middle of its input plane."""
    bench = bench_of(bank, oversample).double()
    with torch.no_grad():
        field = bench(GuardBand(bench.grid.shape)(picture.to(torch.complex128)))
    return bench, field.numpy()


def in_space(
    bank: MaskBankData, masks: NDArray[Any], picture: Tensor, output: Grid, samples: int
) -> NDArray[np.complex128]:
    r"""Linear convolution as a direct sum, with the point-spread function of square mask pixels.

    A pixel at the frequency nu adds e^{2 pi i nu x} times its aperture to h(x). The aperture is drawn with so
    many samples a side, so that its integral is sin(pi s q) / (s sin(pi q)) with q = x p / (s lambda f); with
    many samples that is the sinc of a square.
    """
    scale = 10 ** (bank.sum_scale_db / 20)
    magnification = bank.second_focal_length / bank.focal_length * (-1 if bank.invert_output else 1)
    factors = []
    for axis in (0, 1):
        per_metre = bank.pitch[axis] / (bank.wavelength * bank.focal_length)  # frequency of one pixel pitch
        nu = (np.arange(masks.shape[axis - 2]) - bank.origin[axis]) * per_metre
        n = bank.input_shape[axis]
        x = (np.arange(n) - n // 2) * bank.input_spacing[axis]
        image = output.coordinates()[axis].numpy() / magnification
        distance = image[:, None] - x[None, :]
        q = distance * per_metre / samples
        aperture = np.ones_like(q)
        wide = np.abs(np.sin(np.pi * q)) > 1e-12
        aperture[wide] = np.sin(np.pi * samples * q[wide]) / (samples * np.sin(np.pi * q[wide]))
        waves = np.exp(2j * np.pi * nu[:, None, None] * distance) * aperture  # pixel, image, source
        factors.append(waves * per_metre * bank.input_spacing[axis])
    sums = np.einsum("oiab,apy,bqx,iyx->opq", masks, *factors, picture.numpy(), optimize=True)
    return scale * sums / abs(magnification)


# ---- one sample per mask pixel


@pytest.mark.parametrize("shape", PLANES)
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize(("inverted", "second"), [(True, 100), (False, 60)])
def test_a_stored_system_is_the_same_system(
    shape: tuple[int, int], stop: tuple[int, int] | None, inverted: bool, second: float
) -> None:
    original = design(shape, stop, invert_output=inverted, second_focal_length=second * mm)
    again = bench_of(bank_of(original)).double()
    original.double()
    field = torch.randn(2, 2, *shape, dtype=torch.complex128)
    with torch.no_grad():
        assert relative_error(again(field), original(field)) < STORED
    assert again.grid == original.grid
    assert again.output_grid.spacing == pytest.approx(original.output_grid.spacing, rel=1e-12)
    assert again.magnification == original.magnification


@pytest.mark.parametrize("combiner", ["ideal", "bound", "beam_splitter"])
@pytest.mark.parametrize("kind", ["phase", "small phase", "complex"])
def test_every_kind_of_mask_and_combiner_is_stored_whole(combiner: str, kind: str) -> None:
    values = randn(3, 2, 5, 6)
    masks = {
        "phase": lambda: PhaseMask(torch.randn(3, 2, 7, 8), levels=8),
        "small phase": lambda: PhaseMask(torch.randn(3, 2, 4, 3)),
        "complex": lambda: ComplexMask(values / values.abs().max()),
    }[kind]()
    original = design((7, 8), (5, 5), masks=masks, combiner=combiner)
    again = bench_of(bank_of(original)).double()
    original.double()
    field = torch.randn(2, 7, 8, dtype=torch.complex128)
    with torch.no_grad():
        assert relative_error(again(field), original(field)) < STORED


def test_the_stored_scales_are_those_of_the_system() -> None:
    original = design((8, 9), (5, 5), combiner="bound")
    bank = bank_of(original)
    assert (bank.scale_db, bank.sum_scale_db) == pytest.approx(original.scale_db(), rel=1e-6)
    assert bank.pitch == original.fourier_grid.spacing
    assert bank.convention == "convolution"


# ---- square mask pixels, and no wrap-round


@pytest.mark.parametrize("shape", PLANES)
@pytest.mark.parametrize("stop", [(5, 5), (5, 7)])
@pytest.mark.parametrize("oversample", [1, 3, 5])
@pytest.mark.parametrize(("inverted", "second"), [(True, 100), (False, 60)])
def test_pixels_of_an_odd_mask_against_the_sum_in_space(
    shape: tuple[int, int], stop: tuple[int, int], oversample: int, inverted: bool, second: float
) -> None:
    bank = bank_of(design(shape, stop, invert_output=inverted, second_focal_length=second * mm))
    picture = torch.randn(2, *shape, dtype=torch.complex128)
    bench, got = on_bench(bank, picture, oversample)
    expected = in_space(bank, bank.transmittance, picture, bench.output_grid, oversample)
    assert relative_error(got, expected) < STORED


@pytest.mark.parametrize(("shape", "stop"), [((8, 9), (4, 4)), ((9, 8), (6, 5)), ((8, 8), (5, 6))])
@pytest.mark.parametrize("oversample", [1, 3])
def test_pixels_of_an_even_mask_against_the_sum_in_space(
    shape: tuple[int, int], stop: tuple[int, int], oversample: int
) -> None:
    """The design blocks the unpaired first row of an even stop; so must the bench with square pixels."""
    original = design(shape, stop)
    bank = bank_of(original)
    assert original.stop is not None
    masks = bank.transmittance * original.stop.pupil(shape).numpy()
    picture = torch.randn(2, *shape, dtype=torch.complex128)
    bench, got = on_bench(bank, picture, oversample)
    expected = in_space(bank, masks, picture, bench.output_grid, oversample)
    assert relative_error(got, expected) < STORED


@pytest.mark.parametrize("shape", [(7, 9), (5, 7)])
@pytest.mark.parametrize("oversample", [3, 5])
def test_pixels_of_a_mask_as_large_as_an_odd_plane(shape: tuple[int, int], oversample: int) -> None:
    bank = bank_of(design(shape, None))
    picture = torch.randn(2, *shape, dtype=torch.complex128)
    bench, got = on_bench(bank, picture, oversample)
    expected = in_space(bank, bank.transmittance, picture, bench.output_grid, oversample)
    assert relative_error(got, expected) < STORED


@pytest.mark.parametrize("shape", [(6, 5), (5, 6), (4, 6)])
@pytest.mark.parametrize("oversample", [3, 5])
def test_pixels_of_a_mask_as_large_as_an_even_plane(shape: tuple[int, int], oversample: int) -> None:
    """The first pixel of an even mask stands half outside the plane: that half of it is cut off."""
    bank = bank_of(design(shape, None))
    picture = torch.randn(2, *shape, dtype=torch.complex128)
    bench, got = on_bench(bank, picture, oversample)
    # Written out at the fine samples: those at or beyond -n s / 2 remain.
    masks = bank.transmittance.repeat(oversample, -2).repeat(oversample, -1)
    fine_pitch = tuple(pitch / oversample for pitch in bank.pitch)
    origin = tuple(float(n // 2 * oversample + oversample // 2) for n in shape)
    for axis, n in enumerate(shape):
        index = np.arange(n * oversample) - origin[axis]
        inside = index >= -(n * oversample // 2)
        masks = np.take(masks, np.flatnonzero(inside), axis - 2)
        origin = tuple(o - (~inside).sum() if a == axis else o for a, o in enumerate(origin))
    fine = replace(bank, transmittance=masks, pitch=fine_pitch, origin=origin)
    expected = in_space(fine, masks, picture, bench.output_grid, 1)
    assert relative_error(got, expected) < STORED


def test_the_pixels_envelope_is_nearly_the_sinc_of_a_square() -> None:
    """With s samples a side the envelope is the sinc of a square divided by the sinc of one sample."""
    shape = (7, 9)
    bank = bank_of(design(shape, (5, 5)))
    picture = torch.randn(2, *shape, dtype=torch.complex128)
    errors = []
    for oversample in (3, 5, 7):
        bench, got = on_bench(bank, picture, oversample)
        expected = in_space(bank, bank.transmittance, picture, bench.output_grid, 10_001)
        middle = tuple(slice(n // 3, -(n // 3)) for n in got.shape[-2:])  # where the picture's image is
        errors.append(relative_error(got[(..., *middle)], expected[(..., *middle)]))
    # q reaches 1/s in the image, in two directions: (pi / s)^2 / 6 each.
    for error, oversample in zip(errors, (3, 5, 7), strict=True):
        assert error < 2 * (math.pi / oversample) ** 2 / 6
    assert errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize("size", [7, 9])
def test_a_picture_at_the_border_does_not_wrap_round(size: int) -> None:
    """A kernel moves a lit left border two samples out of the window.

    On the ideal bench all its light comes in again on the right. On the real one it stays outside, under the
    envelope e(x) of the mask pixels, and what is seen on the right is their next diffraction order, e(x + N).
    """
    kernel = torch.zeros(1, 1, 1, 5)
    kernel[..., 0] = 1  # two samples left of the kernel's origin: convolution moves to the left
    bench = design((size, size), None, masks=KernelMask(kernel, "convolution"), invert_output=False)
    picture = torch.zeros(1, size, size, dtype=torch.complex128)
    picture[0, size // 2, 0] = 1
    bank = bank_of(bench)
    for oversample in (1, 3):
        _, field = on_bench(bank, picture, oversample)
        row = np.abs(field[0, field.shape[-2] // 2])
        left = field.shape[-1] // 2 - size // 2
        q = np.array([-2, size - 2]) / (oversample * size)
        envelope = np.sin(np.pi * oversample * q) / (oversample * np.sin(np.pi * q))
        if oversample == 1:
            assert row[left + size - 2] == pytest.approx(1, rel=STORED)
        else:
            assert row[[left - 2, left + size - 2]] == pytest.approx(envelope, rel=10 * STORED)


# ---- an axis between two pixels


def double_phase_bank(shape: tuple[int, int], masks: tuple[int, int], **options: Any) -> MaskBankData:
    source = bank_of(design(shape, masks, masks=ComplexMask(torch.ones(2, 1, *masks)), **options))
    values = randn(2, 1, *masks).numpy()
    return replace(
        source,
        transmittance=np.exp(1j * double_phase(values / np.abs(values).max())),
        pitch=tuple(p / 2 for p in source.pitch),
        encoding="phase",
        origin=double_phase_origin(source.origin),
    )


def test_an_axis_between_two_pixels_is_refused_by_the_plain_bench() -> None:
    """No sample of the plane stands there, and a mask moved by half a pixel is another mask."""
    with pytest.raises(ValueError, match=r"expected an axis on a pixel, got one at \(4\.5, 4\.5\); use"):
        bench_of(double_phase_bank((8, 9), (5, 5)))


@pytest.mark.parametrize(
    ("shape", "masks"),
    [((8, 9), (5, 5)), ((9, 8), (4, 6)), ((8, 9), (4, 5)), ((8, 8), (8, 8)), ((7, 9), (7, 9))],
)
@pytest.mark.parametrize("oversample", [1, 3])
@pytest.mark.parametrize("options", [{}, {"second_focal_length": 60 * mm, "invert_output": False}])
def test_a_double_phase_bank_is_rebuilt_about_its_own_axis(
    shape: tuple[int, int], masks: tuple[int, int], oversample: int, options: dict[str, Any]
) -> None:
    """The complex field, not its square alone, against the sum in space; no pixel of the bank is lost."""
    if masks == shape and oversample == 3:
        pytest.skip(
            "the outermost pixels of a bank as large as the plane reach over its edge and are cut there"
        )
    bank = double_phase_bank(shape, masks, **options)
    picture = torch.randn(1, *shape, dtype=torch.complex128)
    rebuilt = RebuiltBench(bank, oversample).double()
    with torch.no_grad():
        got = rebuilt(picture).numpy()
    expected = in_space(bank, bank.transmittance, picture, rebuilt.bench.output_grid, oversample)
    assert relative_error(got, expected) < 4 * STORED


def test_a_rebuilt_bench_is_the_plain_one_where_the_axis_is_on_a_pixel() -> None:
    bench = design((8, 9), (5, 4))
    bank = bank_of(bench)
    picture = randn(2, 8, 9)
    with torch.no_grad():
        assert torch.equal(RebuiltBench(bank)(picture), bench_of(bank)(picture))


def test_any_axis_is_taken_from_the_bank() -> None:
    """A bank cut off-centre, its axis far from the middle sample."""
    shape = (9, 8)
    whole = bank_of(design(shape, (7, 7)))
    part = replace(whole, transmittance=whole.transmittance[..., 1:, 2:], origin=(2, 1))
    picture = torch.randn(2, *shape, dtype=torch.complex128)
    for oversample in (1, 3):
        bench, got = on_bench(part, picture, oversample)
        expected = in_space(part, part.transmittance, picture, bench.output_grid, oversample)
        assert relative_error(got, expected) < STORED


# ---- what is refused


@pytest.mark.parametrize("oversample", [0, 2, -1])
def test_an_even_number_of_samples_is_refused(oversample: int) -> None:
    bank = bank_of(design((8, 9), (5, 5)))
    with pytest.raises(ValueError, match=f"expected an odd number of samples per pixel, got {oversample}"):
        bench_of(bank, oversample)


@pytest.mark.parametrize("factor", [1.01, 2.0, 0.4])
def test_a_pitch_that_does_not_divide_the_sample_is_refused(factor: float) -> None:
    bank = bank_of(design((8, 9), (5, 5)))
    pitch = tuple(p * factor for p in bank.pitch)
    wrong = replace(bank, pitch=pitch)
    sample, got = (f"{p[0]:.6g} m" for p in (bank.pitch, pitch))
    with pytest.raises(ValueError, match=rf"divides lambda f / \(N dx\) = {sample}, got {got}"):
        bench_of(wrong)
