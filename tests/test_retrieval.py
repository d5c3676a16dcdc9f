"""Masks from point-spread functions: what a mask can make is found; what it cannot has a known optimum."""

import math

import pytest
import torch
from torch import Tensor

from optics4f import FourF, Grid, PhaseMask, mm, nm, um
from optics4f.design import Retrieval, error_reduction, mask_psf, relative_error, retrieve_phase
from optics4f.functional import intensity
from optics4f.plotting import show_retrieval

ROUNDING = 1e-12  # float64, sums of some thousand terms of order 1


def random_phase(*shape: int) -> Tensor:
    return 2 * math.pi * torch.rand(*shape, dtype=torch.float64)


def even(*shape: int) -> Tensor:
    return torch.ones(*shape, dtype=torch.float64)


def blob(plane: tuple[int, int] = (20, 21)) -> Tensor:
    """A picture of 5 x 6 uneven samples off the axis, in the dark."""
    target = torch.zeros(plane, dtype=torch.float64)
    target[8:13, 9:15] = 0.2 + torch.rand(5, 6, dtype=torch.float64)
    return target


def splitter(samples: int, orders: tuple[int, ...], **options: object) -> Retrieval:
    """A grating of one period: equal light in the orders wanted, the others free."""
    target = torch.zeros(1, samples, dtype=torch.float64)
    for order in orders:
        target[0, samples // 2 + order] = 1
    return retrieve_phase(target, weight=(target > 0).double(), **options)


def test_intensity_of_a_known_mask_is_recovered() -> None:
    """A square of 8 x 8 on a plane twice as wide: the intensity determines the mask, from a start near it."""
    phase, light = random_phase(16, 17), torch.zeros(16, 17, dtype=torch.float64)
    light[4:12, 4:12] = 1
    target = intensity(mask_psf(phase, light))
    start = phase + 0.3 * torch.randn(16, 17, dtype=torch.float64)
    before = relative_error(mask_psf(start, light), target, even(16, 17))
    found = retrieve_phase(target, illumination=light, start=start)
    assert float(before) > 0.1
    # LBFGS ends where the squared error is that of rounding.
    assert float(found.error) < ROUNDING
    again = intensity(mask_psf(found.phase, light))
    assert float((again - target).abs().max() / target.max()) < 1e-11
    turned = torch.exp(1j * (found.phase - phase))[4:12, 4:12]
    assert float((turned - turned[0, 0]).abs().max()) < 1e-6  # the mask itself, but for a constant phase


def test_gradient_is_needed_for_it() -> None:
    """Error reduction alone falls slowly: that the finish does the work is seen in the test above."""
    phase, light = random_phase(16, 17), torch.zeros(16, 17, dtype=torch.float64)
    light[4:12, 4:12] = 1
    start = phase + 0.3 * torch.randn(16, 17, dtype=torch.float64)
    target = intensity(mask_psf(phase, light))
    found = retrieve_phase(target, illumination=light, start=start, gs_steps=20, steps=0)
    assert 1e-6 < float(found.error) < 0.3
    assert found.losses == ()


@pytest.mark.parametrize("samples", [64, 100])
def test_splitter_into_two_equal_orders(samples: int) -> None:
    r"""The best phase grating is binary: 8/pi^2 = 0.8106 in the limit of fine samples.

    |c_1| + |c_-1| is at most sum|2 cos(2 pi j/P + d)|/P = 4/(P sin(pi/P)), for P a multiple of 4 and the
    zeros of the cosine half-way between samples.
    """
    best = 2 * (2 / (samples * math.sin(math.pi / samples))) ** 2
    assert best == pytest.approx(8 / math.pi**2, abs=1e-3)
    found = splitter(samples, (-1, 1), efficiency_weight=0.1)
    # Squares of what is left of the gradient.
    assert float(found.efficiency) == pytest.approx(best, abs=1e-8)
    assert float(found.error) < 1e-6


def test_no_splitter_beats_the_bound() -> None:
    best = 2 * (2 / (64 * math.sin(math.pi / 64))) ** 2
    for seed in range(5):
        found = splitter(64, (-1, 1), efficiency_weight=0.1, seed=seed, steps=60)
        # Unequal orders could have more: by the square of their difference.
        assert float(found.efficiency) <= best + float(found.error) ** 2 + ROUNDING


def test_splitter_into_three_equal_orders() -> None:
    """The optimum 0.92556 of a continuous phase, arctan(2.65718 cos x); 1e-4 for the price of unequal orders.

    L. A. Romero and F. M. Dickey, J. Opt. Soc. Am. A 24, 2280 (2007).
    """
    x = 2 * math.pi * torch.arange(64, dtype=torch.float64) / 64
    orders = intensity(torch.fft.fft(torch.exp(1j * torch.atan(2.65718 * torch.cos(x)))) / 64)[[0, 1, -1]]
    assert float(orders.sum()) == pytest.approx(0.92556, abs=1e-5)
    assert float(orders.max() - orders.min()) < 1e-5
    found = splitter(64, (-1, 0, 1), efficiency_weight=1e-3)
    assert float(found.efficiency) == pytest.approx(0.92556, abs=1e-4)
    assert float(found.error) < 1e-3


def test_binary_splitter_is_as_good_as_a_continuous_one() -> None:
    """The best grating for two orders has two levels: rounding costs nothing, whatever its constant phase."""
    best = 2 * (2 / (64 * math.sin(math.pi / 64))) ** 2
    found = splitter(64, (-1, 1), efficiency_weight=0.1, levels=2)
    assert float(found.efficiency) == pytest.approx(best, abs=1e-8)
    assert set((found.phase / math.pi).flatten().tolist()) == {0.0, 1.0}


def test_field_on_the_whole_plane_is_the_kinoform() -> None:
    """max |<g, h>| over phases is sum|H|/sqrt(N): the phase of the spectrum, with a known error."""
    target = torch.randn(9, 12, dtype=torch.complex128)
    spectrum = torch.fft.fft2(target, norm="ortho").abs()
    found = retrieve_phase(target)
    best = 1 - spectrum.sum() ** 2 / (spectrum.numel() * spectrum.square().sum())
    assert float(found.error) ** 2 == pytest.approx(float(best), abs=1e-9)


def test_field_of_a_known_mask_is_recovered_at_any_brightness() -> None:
    target = 1e3j * mask_psf(random_phase(9, 12), even(9, 12))
    # One step of error reduction finds the phase of the spectrum.
    assert float(retrieve_phase(target, gs_steps=1, steps=0).error) < ROUNDING


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("kind", ["intensity", "field"])
def test_error_reduction_never_grows(kind: str, levels: int | None) -> None:
    """Nearest points of two sets in turn; also with light left free, uneven light, and levels."""
    target = blob() if kind == "intensity" else blob() * torch.exp(1j * random_phase(20, 21))
    weight = torch.zeros(20, 21, dtype=torch.float64)
    weight[5:16, 6:18] = 1
    light = torch.rand(20, 21, dtype=torch.float64)
    phase, distances = error_reduction(random_phase(3, 20, 21), target, weight, light, 40, levels)
    assert distances.shape == (41, 3)
    assert float(distances.diff(dim=0).max()) <= ROUNDING
    assert bool((distances[-1] < 0.95 * distances[0]).all())
    if levels:
        steps = phase / (2 * math.pi / levels)
        torch.testing.assert_close(steps, steps.round(), rtol=0, atol=ROUNDING)


def test_distance_is_what_is_wrong_where_light_is_wanted() -> None:
    """d^2 = sum over w > 0 of (|g| - sqrt(I))^2 with all light in I; free light counts nothing."""
    target, phase, light = blob(), random_phase(20, 21), even(20, 21)
    weight = (torch.rand(20, 21) < 0.5).double()
    distances = error_reduction(phase, target, weight, light, 0)[1]
    amplitude = mask_psf(phase, light / math.sqrt(420)).abs()
    wanted = (target * weight / (target * weight).sum()).sqrt()
    expected = ((amplitude - wanted).square() * weight).sum().sqrt()
    assert float(distances[0]) == pytest.approx(float(expected), rel=ROUNDING)


def test_levels_are_rounded_at_the_best_constant_phase() -> None:
    """A binary mask, half a level off: to be rounded as it stands it would be noise."""
    binary = math.pi * torch.randint(0, 2, (9, 10)).double()
    start = binary + math.pi / 2 + 0.2 * torch.rand(9, 10, dtype=torch.float64) - 0.1
    target = intensity(mask_psf(binary, even(9, 10)))
    found = retrieve_phase(target, start=start, levels=2, gs_steps=0, steps=0)
    assert float(found.error) < ROUNDING


def test_power_is_kept_and_the_parts_add_up() -> None:
    """Unit light on the mask is unit light in the plane: wanted, and outside."""
    target = blob()
    found = retrieve_phase(target, gs_steps=10, steps=10)
    light = even(20, 21) / math.sqrt(420)
    shares = intensity(mask_psf(found.phase, light))
    assert float(shares.sum()) == pytest.approx(1, abs=ROUNDING)
    assert float(found.efficiency) == pytest.approx(float(shares[target > 0].sum()), abs=ROUNDING)


def test_free_light_makes_the_wanted_better() -> None:
    target, weight = blob(), torch.zeros(20, 21, dtype=torch.float64)
    weight[5:16, 6:18] = 1
    whole, free = retrieve_phase(target), retrieve_phase(target, weight=weight)
    inside = relative_error(mask_psf(whole.phase, even(20, 21)), target, weight)
    assert float(free.error) < 0.2 * float(inside)
    # What is asked for outside is of no consequence: the light there is really free.
    target[0, 0] = 7.0
    again = retrieve_phase(target, weight=weight)
    assert bool((again.phase == free.phase).all())


def test_weight_moves_the_error_to_where_it_matters_less() -> None:
    target, weight = blob(), even(20, 21)
    weight[target > 0] = 30.0
    plain, weighted = retrieve_phase(target), retrieve_phase(target, weight=weight)
    inside = (target > 0).double()
    errors = [relative_error(mask_psf(r.phase, even(20, 21)), target, inside) for r in (weighted, plain)]
    assert float(errors[0]) < 0.7 * float(errors[1])


def test_price_of_lost_light_buys_light() -> None:
    target, weight = blob(), torch.zeros(20, 21, dtype=torch.float64)
    weight[5:16, 6:18] = 1
    free, dear = (retrieve_phase(target, weight=weight, efficiency_weight=price) for price in (0.0, 0.3))
    assert float(dear.efficiency) > float(free.efficiency) + 0.02
    # The losses end at what is reported: the last accepted step is the best one evaluated.
    assert min(free.losses) == pytest.approx(float(free.error) ** 2, rel=1e-9)
    assert min(dear.losses) == pytest.approx(
        float(dear.error) ** 2 + 0.3 * (1 - float(dear.efficiency)), rel=1e-9
    )
    assert float(dear.error) > float(free.error)


def test_levels_are_never_worse_than_rounding() -> None:
    target, weight = blob(), torch.zeros(20, 21, dtype=torch.float64)
    weight[5:16, 6:18] = 1
    smooth = retrieve_phase(target, weight=weight)
    rounded = torch.round(smooth.phase / (math.pi / 2)) * math.pi / 2
    before = relative_error(mask_psf(rounded, even(20, 21)), target, weight)
    found = retrieve_phase(target, weight=weight, levels=4)
    assert float(found.error) < 0.9 * float(before)
    steps = found.phase / (math.pi / 2)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=ROUNDING)
    assert float(found.phase.min()) >= 0 and float(found.phase.max()) < 2 * math.pi - 1


def test_point_behind_a_bench_has_the_intensity_upright() -> None:
    """The mask in a 4f system: the image of a point on the axis is the target's, not its mirror image."""
    target = blob()
    found = retrieve_phase(target, efficiency_weight=0.1)
    bench = FourF(
        Grid((20, 21), 8 * um), 532 * nm, 100 * mm, PhaseMask(found.phase[None, None]), invert_output=False
    )
    point = torch.zeros(1, 20, 21, dtype=torch.complex128)
    point[0, 10, 10] = 1
    with torch.no_grad():
        image = bench.intensity(point)[0]
    error = relative_error(image.sqrt().to(torch.complex128), target, even(20, 21))
    assert float(error) == pytest.approx(float(found.error), abs=1e-9)
    mirrored = relative_error(image.flip(-2).sqrt().to(torch.complex128), target, even(20, 21))
    assert float(mirrored) > 0.5 > 5 * float(error)


def test_seed_decides_and_masks_of_a_batch_are_found_together() -> None:
    target = torch.stack((blob(), blob()))
    one, same, other = (retrieve_phase(target, steps=20, gs_steps=5, seed=seed) for seed in (1, 1, 2))
    assert bool((one.phase == same.phase).all()) and not bool((one.phase == other.phase).any())
    assert one.phase.shape == (2, 20, 21)
    assert one.error.shape == one.efficiency.shape == (2,)
    alone = error_reduction(other.phase[1], target[1], even(20, 21), even(20, 21), 3)[0]
    both = error_reduction(other.phase, target, even(2, 20, 21), even(2, 20, 21), 3)[0]
    torch.testing.assert_close(torch.exp(1j * both[1]), torch.exp(1j * alone), rtol=0, atol=1e-9)


def test_brightness_and_dtype_of_the_target_do_not_matter() -> None:
    target = blob()
    found = retrieve_phase(target.float() * 1e-30, gs_steps=20, steps=50)  # squares leave float32
    assert found.phase.dtype == torch.float32
    assert float(found.error) == pytest.approx(
        float(retrieve_phase(target, gs_steps=20, steps=50).error), abs=0.05
    )  # two paths through float32 and float64 part, and end in like places


def test_gradient_of_the_error() -> None:
    target, weight = torch.rand(6, 7, dtype=torch.float64), even(6, 7)
    phase = random_phase(6, 7).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: relative_error(mask_psf(p, weight), target, weight), phase)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": -even(4, 4)}, "target: expected finite values, at least 0"),
        ({"target": even(4)}, r"target: expected shape \(..., H, W\)"),
        ({"target": 0 * even(4, 4)}, "expected light where the weight is not 0, got none"),
        ({"weight": even(3, 4)}, r"weight: expected a shape that broadcasts to \(4, 4\), got \(3, 4\)"),
        ({"weight": -even(4, 4)}, "weight: expected finite values of at least 0"),
        ({"weight": 0 * even(4, 4)}, "expected light where the weight is not 0, got none"),
        ({"illumination": 0 * even(4, 4)}, "illumination: expected light on the mask, got none"),
        ({"start": even(3, 4)}, r"start: expected finite phases of shape \(4, 4\), got \(3, 4\)"),
        ({"levels": 1}, "levels: expected at least 2, got 1"),
        ({"steps": -1}, "steps: expected at least 0, got -1"),
        ({"efficiency_weight": -0.1}, "efficiency_weight: expected at least 0, got -0.1"),
        ({"seed": -1}, "seed: expected an integer from 0"),
    ],
)
def test_refused_values(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieve_phase(**({"target": even(4, 4)} | options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": [[1.0]]}, "target: expected a real or complex tensor, got list"),
        ({"target": torch.ones(4, 4, dtype=torch.int64)}, "target: expected a real or complex tensor"),
        ({"weight": 1.0}, "weight: expected a real tensor, got float"),
        ({"gs_steps": 1.5}, "gs_steps: expected an integer, got 1.5"),
        ({"levels": True}, "levels: expected an integer, got True"),
        ({"seed": 0.0}, "seed: expected an integer, got 0.0"),
    ],
)
def test_refused_types(options: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        retrieve_phase(**({"target": even(4, 4)} | options))


def test_figure_shows_target_and_found_upright() -> None:
    target = blob()
    found = retrieve_phase(target, gs_steps=5, steps=5)
    panels = show_retrieval(target, found).axes[:4]
    drawn = [panel.images[0].get_array() for panel in panels[:3]]
    assert (drawn[0] == found.phase.numpy()).all()
    assert (drawn[1] == (target / target.max()).numpy()).all()
    given = intensity(mask_psf(found.phase, even(20, 21)))
    assert abs(drawn[2] - (given / given.max()).numpy()).max() < ROUNDING
    assert [len(line.get_xdata()) for line in panels[3].lines] == [6, len(found.losses)]
    assert all(panel.images[0].origin == "lower" for panel in panels[:3])
