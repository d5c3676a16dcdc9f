"""Fewer masks: nothing is better than what is kept, what is lost is known, and what is kept is passive."""

import pytest
import torch
from torch import Tensor

from optics4f import Aperture, ComplexMask, FourF, Grid, HomodyneReadout, MaskBank, mm, nm, um
from optics4f.design import error_curve, frequency_svd, reduced, shared_bases
from optics4f.functional import compose, largest_singular_value

ROUNDING = 1e-12  # float64, sums of some thousand terms of order 1


def random_transfer(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128)


def mixed(weights: Tensor, bases: Tensor) -> Tensor:
    return torch.einsum("om,mihw->oihw", weights, bases)


def low_rank(masks: int) -> Tensor:
    return mixed(random_transfer(6, masks), random_transfer(masks, 2, 5, 4))


def bench_of(kernels: Tensor, plane: tuple[int, int] = (12, 13), **options: object) -> FourF:
    return FourF(Grid(plane, 8 * um), 532 * nm, 100 * mm, MaskBank.from_kernels(kernels), **options)


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("shape", [(6, 2, 5, 4), (3, 5, 1, 1), (4, 1, 5, 5)])
def test_full_rank_is_exact(shape: tuple[int, int, int, int]) -> None:
    transfer = random_transfer(*shape)
    most = min(shape[0], transfer[0].numel())
    assert difference(mixed(*shared_bases(transfer, most)), transfer) < ROUNDING
    assert difference(compose(*frequency_svd(transfer, min(shape[:2]))), transfer) < ROUNDING


def test_a_bank_of_low_rank_is_recovered_with_as_many_masks() -> None:
    transfer = low_rank(3)
    assert difference(mixed(*shared_bases(transfer, 3)), transfer) < ROUNDING
    assert difference(mixed(*shared_bases(transfer, 2)), transfer) > 1e-2
    # The square root of a tail of rounding, 1e-16 of all energy.
    assert float(error_curve(transfer)[3]) < 1e-14
    assert float(error_curve(transfer)[2]) > 1e-2


def test_error_is_the_discarded_singular_values() -> None:
    transfer = random_transfer(5, 3, 4, 6)
    curve, at_each = error_curve(transfer), error_curve(transfer, "frequency")
    assert (len(curve), len(at_each)) == (6, 4)
    assert float(curve[0]) == float(at_each[0]) == 1
    assert float(curve[-1]) == float(at_each[-1]) == 0
    for masks in range(1, 6):
        found = (mixed(*shared_bases(transfer, masks)) - transfer).norm() / transfer.norm()
        assert float(found) == pytest.approx(float(curve[masks]), abs=ROUNDING)
    for masks in range(1, 4):
        found = (compose(*frequency_svd(transfer, masks)) - transfer).norm() / transfer.norm()
        assert float(found) == pytest.approx(float(at_each[masks]), abs=ROUNDING)


def test_nothing_is_better() -> None:
    """Eckart-Young against other bases, each with its own best weights, far off and close by."""
    transfer = random_transfer(5, 2, 4, 4)
    matrix = transfer.flatten(1)
    weights, bases = shared_bases(transfer, 2)
    best = float((mixed(weights, bases) - transfer).norm())
    for spread in (0.1, 1.0, 10.0):
        for _ in range(30):
            other = bases.flatten(1) + spread * bases.abs().mean() * random_transfer(2, 32)
            fitted = torch.linalg.lstsq(other.mT, matrix.mT).solution.mT
            assert float((fitted @ other - matrix).norm()) > best


def test_nothing_is_better_at_any_frequency() -> None:
    transfer = random_transfer(4, 3, 3, 3)
    outer, inner = frequency_svd(transfer, 2)
    best = (compose(outer, inner) - transfer).flatten(0, 1).norm(dim=0)
    for _ in range(30):
        other = inner + 0.3 * random_transfer(*inner.shape)
        a, b = (values.movedim((0, 1), (-2, -1)) for values in (other, transfer))
        fitted = torch.linalg.lstsq(a.mT, b.mT).solution.mT
        assert bool(((fitted @ a - b).flatten(-2).norm(dim=-1) > best).all())


def test_shared_bases_cannot_beat_the_svd_of_each_frequency() -> None:
    transfer = random_transfer(5, 3, 4, 4)
    curve, at_each = error_curve(transfer), error_curve(transfer, "frequency")
    assert bool((at_each[1:] < curve[1:4]).all())


def test_weights_and_masks_are_passive() -> None:
    transfer = random_transfer(5, 3, 4, 4)
    transfer = transfer / largest_singular_value(transfer)
    weights, bases = shared_bases(transfer, 3)
    identity = torch.eye(3, dtype=torch.complex128)
    torch.testing.assert_close(weights.mH @ weights, identity, rtol=0, atol=ROUNDING)
    assert float(largest_singular_value(bases)) <= 1 + ROUNDING
    outer, inner = frequency_svd(transfer, 2)
    assert float(largest_singular_value(outer)) <= 1 + ROUNDING
    torch.testing.assert_close(
        torch.einsum("mihw,nihw->hwmn", inner, inner.conj()),
        identity[:2, :2].expand(4, 4, 2, 2),
        rtol=0,
        atol=ROUNDING,
    )


def test_largest_weight_of_each_basis_is_real_and_positive() -> None:
    """The phase of a singular vector is free; it is fixed so that a second run gives the same masks."""
    weights = shared_bases(random_transfer(5, 2, 4, 4), 4)[0]
    largest = weights.gather(0, weights.abs().argmax(0, keepdim=True))
    assert float(largest.imag.abs().max()) < ROUNDING
    assert float(largest.real.min()) > 0.4  # 1/sqrt(5) at least


def test_one_input_channel_has_rank_1_at_each_frequency_but_not_over_all() -> None:
    transfer = random_transfer(5, 1, 4, 4)
    assert len(error_curve(transfer, "frequency")) == 2
    assert difference(compose(*frequency_svd(transfer, 1)), transfer) < ROUNDING
    assert float(error_curve(transfer)[4]) > 0.1


def test_real_kernels_have_real_weights_and_real_bases() -> None:
    bench = bench_of(torch.randn(6, 1, 3, 3, dtype=torch.float64), (13, 13))
    weights, bases = shared_bases(bench.transfer().detach(), 4)
    assert float(weights.imag.abs().max()) < ROUNDING
    assert difference(bases.flip((-2, -1)).conj(), bases) < ROUNDING  # a real point-spread function


@pytest.mark.parametrize("weights", ["electronic", "optical"])
@pytest.mark.parametrize("invert_output", [True, False])
def test_reduced_bench_does_the_same_at_full_rank(weights: str, invert_output: bool) -> None:
    """With a stop of even size, a pupil, another second lens, and either orientation."""
    grid = Grid((12, 13), 8 * um)
    fourier = grid.behind_lens(532e-9, 0.1)
    bench = bench_of(
        torch.randn(5, 2, 3, 3, dtype=torch.float64),
        second_focal_length=50 * mm,
        stop=(8, 9),
        pupil=Aperture(fourier, "3 mm"),
        invert_output=invert_output,
    )
    field = random_transfer(2, 2, 12, 13)
    with torch.no_grad():
        wanted, few = bench(field), reduced(bench, 5, weights)
        assert difference(few(field), wanted) < 1e-11  # through a scale of about 30
        assert few.bench.output_grid == bench.output_grid
        HomodyneReadout(few.bench.output_grid, (4, 3))(few(field))


def test_light_missed_is_the_error() -> None:
    """Impulses at all samples of all channels: the missed share of power is the square of the error."""
    bench = bench_of(torch.randn(5, 2, 3, 3, dtype=torch.float64), (6, 7))
    few = reduced(bench, 3)
    points = torch.eye(84, dtype=torch.complex128).reshape(84, 2, 6, 7)
    with torch.no_grad():
        missed = (few(points) - bench(points)).norm() / bench(points).norm()
    assert float(missed) == pytest.approx(few.error, rel=1e-10)
    assert few.error == pytest.approx(float(error_curve(bench.transfer().detach())[3]), abs=ROUNDING)
    assert few.bench.masks.channels == (3, 2)
    assert few.weights is not None and few.weights.shape == (5, 3)


def test_reduced_benches_are_passive_and_the_masks_as_bright_as_they_can_be() -> None:
    bench = bench_of(torch.randn(6, 3, 3, 3, dtype=torch.float64))
    with torch.no_grad():
        for masks in (1, 3, 6):
            electronic, optical = reduced(bench, masks), reduced(bench, masks, "optical")
            assert float(largest_singular_value(electronic.bench.transfer())) == pytest.approx(
                1, abs=ROUNDING
            )
            assert electronic.scale >= 1 - ROUNDING
            assert float(largest_singular_value(optical.bench.transfer())) <= 1 + ROUNDING
            assert (optical.weights, optical.scale) == (None, 1.0)


def test_gradient_passes_through_the_bases() -> None:
    """W B does not depend on the phases of singular vectors, so its gradient is that of a projection."""
    transfer = random_transfer(4, 1, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: mixed(*shared_bases(t, 2)), transfer)


def test_refusals() -> None:
    transfer = random_transfer(4, 2, 3, 3)
    with pytest.raises(ValueError, match="shared_bases masks: expected 1 to 4, got 5"):
        shared_bases(transfer, 5)
    with pytest.raises(ValueError, match="shared_bases masks: expected 1 to 4, got 0"):
        shared_bases(transfer, 0)
    with pytest.raises(ValueError, match="frequency_svd masks: expected 1 to 2, got 3"):
        frequency_svd(transfer, 3)
    with pytest.raises(TypeError, match="shared_bases masks: expected an integer, got True"):
        shared_bases(transfer, True)
    with pytest.raises(TypeError, match="shared_bases: expected a complex tensor"):
        shared_bases(transfer.real, 1)
    with pytest.raises(ValueError, match=r"expected shape \(C_out, C_in, H, W\)"):
        error_curve(transfer[0])
    with pytest.raises(ValueError, match="error_curve: expected shared or frequency, got 'both'"):
        error_curve(transfer, "both")
    bench = bench_of(torch.randn(4, 2, 3, 3))
    with pytest.raises(ValueError, match="reduced: expected weights electronic or optical, got 'digital'"):
        reduced(bench, 2, "digital")
    with pytest.raises(TypeError, match="reduced: expected a FourF, got Linear"):
        reduced(torch.nn.Linear(1, 1), 2)  # type: ignore[arg-type]
    masks = ComplexMask(torch.zeros(1, 1, 4, 4, dtype=torch.complex64))
    with pytest.raises(ValueError, match="expected a bench that lets light through, got a dark one"):
        reduced(FourF(Grid((4, 4), 8 * um), 532 * nm, 100 * mm, masks, combiner=1.0), 1)
