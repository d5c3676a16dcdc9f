"""Sources and encodings: powers, Gaussian beams and phase gratings against their closed forms."""

import itertools
import math
from typing import Any

import pytest
import torch
from scipy.special import jv
from torch import Tensor

from optics4f.elements import FourierLens
from optics4f.elements.sources import (
    AmplitudeEncoding,
    EvenIllumination,
    GaussianIllumination,
    PhaseEncoding,
)
from optics4f.functional import intensity, power
from optics4f.grid import Grid
from optics4f.units import mm, mW, nm, rad, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
GRID = Grid((40, 51), (8 * um, 10 * um))
BEAM = {"waist": 90 * um, "power": 3 * mW, "decentre": (40 * um, -60 * um)}


def picture(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, dtype=dtype)


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).detach().abs().max() / expected.detach().abs().max())


# ---- even light


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_by_default_an_amplitude_is_one_product_with_one_number(dtype: torch.dtype) -> None:
    """To the bit, and with nothing to store: saved students are read back with the same source."""
    example = picture(2, 3, 40, 51, dtype=dtype)
    peak = math.sqrt(1e-3 / (GRID.cell_area * 40 * 51))
    expected = example.flip(-2) * peak
    source = AmplitudeEncoding(GRID)
    assert torch.equal(source(example), torch.complex(expected, torch.zeros_like(expected)))
    assert dict(source.state_dict()) == {}
    assert source.power == 1e-3


@pytest.mark.parametrize("encoding", [AmplitudeEncoding, PhaseEncoding])
def test_even_light_given_as_an_illumination_is_the_default(encoding: Any) -> None:
    example = picture(2, 40, 51)
    given = encoding(GRID, illumination=EvenIllumination(GRID, 3 * mW))
    assert torch.equal(given(example), encoding(GRID, 3 * mW)(example))


def test_every_picture_in_phase_carries_all_the_power() -> None:
    lit = power(PhaseEncoding(GRID, 3 * mW)(picture(4, 40, 51)), GRID.cell_area)
    assert lit.tolist() == pytest.approx([3e-3] * 4, rel=ROUNDING)


# ---- Gaussian light


def test_a_gaussian_beam_has_its_closed_form() -> None:
    """sqrt(2P / (pi w^2)) exp(-r^2 / w^2) about a centre at y = 40 um, above the axis, and x = -60 um."""
    field = AmplitudeEncoding(GRID, illumination=GaussianIllumination(GRID, **BEAM))(torch.ones(1, 40, 51))
    row, column = divmod(int(intensity(field).argmax()), 51)
    assert (row, column) == (20 + 5, 25 - 6)  # samples of 8 um and 10 um
    peak = math.sqrt(2 * 3e-3 / (math.pi * 90e-6**2))
    # float32 pictures: one rounding of 6e-8 each for the amplitude and the product.
    assert float(field[0, 25, 19].real) == pytest.approx(peak, rel=2e-7)
    assert float(field[0, 25, 19 + 9].real) == pytest.approx(peak / math.e, rel=2e-7)  # 90 um from its axis
    assert field.dtype == torch.complex64


@pytest.mark.parametrize("waist", [20, 90, 400])
@pytest.mark.parametrize("decentre", [(0, 0), (40, -60), (-170, 300)])
@pytest.mark.parametrize("encoding", [AmplitudeEncoding, PhaseEncoding])
def test_the_grid_catches_what_erf_says(waist: float, decentre: tuple[float, float], encoding: Any) -> None:
    """P is that of the whole beam; a white picture hands on what falls on the grid."""
    light = GaussianIllumination(GRID, waist * um, 3 * mW, [d * um for d in decentre])
    field = encoding(GRID, illumination=light)(torch.ones(1, 40, 51, dtype=torch.float64))
    # Middles of cells miss h^2 / 24 of the slope at each of two borders, at most P / w^2.
    allowed = 2 * 3e-3 * (10 / waist) ** 2 / 24
    assert float(power(field, GRID.cell_area)) == pytest.approx(light.caught_power, abs=allowed)
    assert light.caught_power < 3e-3 * (1 + ROUNDING)


def test_the_sum_over_samples_converges_to_erf_with_the_square_of_the_spacing() -> None:
    """A beam that the plane cuts near its axis; middles of cells are right to second order."""
    errors = []
    for n in (20, 40, 80):
        grid = Grid((n + 1, n + 1), 320 / (n + 1) * um)  # the same square plane, with its axis in the middle
        light = GaussianIllumination(grid, 150 * um, decentre=(50 * um, -100 * um))
        field = light(torch.ones(n + 1, n + 1, dtype=torch.float64))
        errors.append(abs(float(power(torch.complex(field, 0 * field), grid.cell_area)) - light.caught_power))
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    # (41 / 21)^2 and (81 / 41)^2 for the spacings; the next order is (h / w)^2 = 1 % of that.
    assert orders == pytest.approx([2 * math.log2(41 / 21), 2 * math.log2(81 / 41)], abs=0.02)


def test_a_lens_turns_a_waist_into_a_waist() -> None:
    r"""w' = lambda f / (pi w), with the same power: a closed form of amplitude and phase."""
    grid = Grid((128, 127), 8 * um)
    light = GaussianIllumination(grid, 80 * um, 2 * mW)
    lens = FourierLens(grid, 532 * nm, 100 * mm)
    field = lens(AmplitudeEncoding(grid, illumination=light)(torch.ones(128, 127, dtype=torch.float64)))
    waist = 532e-9 * 0.1 / (math.pi * 80e-6)
    y, x = lens.output_grid.coordinates()
    r2 = y[:, None] ** 2 + x**2
    expected = math.sqrt(2 * 2e-3 / (math.pi * waist**2)) * torch.exp(-r2 / waist**2)
    # The plane ends at 6.3 w: exp(-40) of the peak.
    assert relative_error(field, expected.to(field.dtype)) < ROUNDING


# ---- phase


@pytest.mark.parametrize("depth", [1.0, 2 * math.pi, 9.0])
def test_orders_of_a_sinusoidal_phase_grating(depth: float) -> None:
    r"""a = (1 + sin) / 2 with depth d: order q has J_q(d / 2)^2 of the power."""
    grid = Grid((4, 64), 8 * um)
    x = torch.arange(64, dtype=torch.float64) - 32
    grating = (1 + torch.sin(2 * math.pi * 2 * x / 64)).expand(4, 64) / 2  # 2 periods: 16 orders each side
    lens = FourierLens(grid, 532 * nm, 100 * mm)
    spectrum = intensity(lens(PhaseEncoding(grid, 3 * mW, depth * rad)(grating))) * lens.output_grid.cell_area
    orders = torch.arange(-8, 9)
    expected = torch.tensor([3e-3 * float(jv(q, depth / 2)) ** 2 for q in orders.tolist()])
    # Orders beyond 16 come in again: J_24(4.5)^2 is 1e-31.
    assert relative_error(spectrum[2, 32 + 2 * orders], expected.double()) < 1e-6


def test_bright_is_late_and_the_top_of_the_picture_is_up() -> None:
    top = torch.zeros(1, 40, 51, dtype=torch.float64)
    top[0, 0, 7] = 0.25  # in the upper row of the picture, the one of the highest y
    field = PhaseEncoding(GRID, depth="2 rad")(top)
    assert float(field[0, 39, 7].angle()) == pytest.approx(0.5, rel=ROUNDING)
    assert int((field.angle() != 0).sum()) == 1


def test_black_and_white_are_the_same_at_the_full_depth() -> None:
    field = PhaseEncoding(GRID)(
        torch.tensor([0.0, 1.0], dtype=torch.float64).reshape(2, 1, 1).expand(2, 40, 51)
    )
    assert relative_error(field[0], field[1]) < ROUNDING


def test_gradient_of_a_phase() -> None:
    grid = Grid((3, 4), 8 * um)
    light = GaussianIllumination(grid, 30 * um, "1 pW")
    example = picture(2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(PhaseEncoding(grid, depth=3 * rad, illumination=light), (example,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_follows_the_picture(dtype: torch.dtype) -> None:
    light = GaussianIllumination(GRID, 90 * um)
    for encoding in (AmplitudeEncoding, PhaseEncoding):
        field = encoding(GRID, illumination=light)(picture(1, 40, 51, dtype=dtype))
        assert field.real.dtype == dtype


# ---- refusals


def refused(pattern: str, build: Any, kind: type[Exception] = ValueError) -> None:
    with pytest.raises(kind, match=pattern):
        build()


def test_refusals_say_what_was_expected_and_what_came() -> None:
    light = GaussianIllumination(GRID, 90 * um)
    refused(
        "AmplitudeEncoding: expected a power or an illumination with its own, got both",
        lambda: AmplitudeEncoding(GRID, 1 * mW, light),
    )
    refused(
        "PhaseEncoding: expected an illumination of 4 x 4 samples at 8 um, got one of 40 x 51 samples",
        lambda: PhaseEncoding(Grid((4, 4), 8 * um), illumination=light),
    )
    refused("PhaseEncoding depth: .* got the bare number 3", lambda: PhaseEncoding(GRID, depth=3), TypeError)
    refused("depth: expected more than 0 rad, got 0", lambda: PhaseEncoding(GRID, depth=0 * rad))
    refused("EvenIllumination power: .* bare number 1", lambda: AmplitudeEncoding(GRID, 1), TypeError)
    refused("GaussianIllumination power: ", lambda: GaussianIllumination(GRID, 90 * um, 1 * mm), TypeError)
    refused("GaussianIllumination waist: .* bare number 1", lambda: GaussianIllumination(GRID, 1), TypeError)
    refused(
        "expected a waist of two samples, 20 um, or more, got 19 um",
        lambda: GaussianIllumination(GRID, 19 * um),
    )
    refused(
        r"expected a decentre \(y, x\), got <Quantity",
        lambda: GaussianIllumination(GRID, 90 * um, decentre=1 * um),
        TypeError,
    )
    refused(
        "GaussianIllumination decentre: .* bare number 0",
        lambda: GaussianIllumination(GRID, 90 * um, decentre=(0, 0)),
        TypeError,
    )
    for encoding in (AmplitudeEncoding, PhaseEncoding):
        refused(r"expected a field \(..., \(40, 51\)\), got", lambda e=encoding: e(GRID)(picture(1, 51)))
        refused("expected a real tensor, got", lambda e=encoding: e(GRID)(picture(40, 51) + 0j), TypeError)
