"""T(nu): passivity, rank, and an audit that finds what is not linear."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from optics4f.cascade import Cascade
from optics4f.elements import ComplexMask, KernelMask, PhaseMask
from optics4f.functional import gain_bound, largest_singular_value
from optics4f.grid import Grid
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.system import FourF
from optics4f.transfer import Audit, affine_residual, audit, rank
from optics4f.units import mm, nm, um

ROUNDING = 1e-12  # float64, sums of some thousand terms
few = settings(max_examples=30, deadline=None)
SEEDS = st.integers(0, 99)
CHANNELS = st.integers(1, 4)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def bench(masks: KernelMask | ComplexMask | PhaseMask, combiner: str = "ideal") -> FourF:
    return FourF(Grid((5, 6), 8 * um), 532 * nm, 100 * mm, masks, combiner=combiner)


def gain(system: FourF | Cascade) -> float:
    """Largest singular value over all frequencies, by a full decomposition of each."""
    matrices = system.transfer().detach().flatten(2).movedim(2, 0)
    return float(torch.linalg.svdvals(matrices).max())


# ---- passivity


@few
@given(CHANNELS, CHANNELS, SEEDS)
def test_bound_is_never_below_the_gain(outputs: int, inputs: int, seed: int) -> None:
    transfer = randn(outputs, inputs, 3, 4, seed=seed)
    exact = float(torch.linalg.svdvals(transfer.flatten(2).movedim(2, 0)).max())
    assert float(largest_singular_value(transfer)) == pytest.approx(exact, rel=ROUNDING)
    assert float(gain_bound(transfer)) >= exact * (1 - ROUNDING)


def test_bound_is_the_gain_of_a_single_channel_and_of_equal_masks() -> None:
    one = randn(1, 1, 3, 4)
    equal = torch.ones(3, 2, 4, 5, dtype=torch.complex128)
    for transfer in (one, equal):
        assert float(gain_bound(transfer)) == pytest.approx(
            float(largest_singular_value(transfer)), rel=ROUNDING
        )
    assert float(largest_singular_value(equal)) == pytest.approx(math.sqrt(6), rel=ROUNDING)


@few
@given(CHANNELS, CHANNELS, st.sampled_from(["ideal", "bound", "beam_splitter"]), SEEDS)
def test_every_combiner_is_passive_and_the_ideal_one_loses_nothing(
    outputs: int, inputs: int, combiner: str, seed: int
) -> None:
    values = randn(outputs, inputs, 5, 6, seed=seed)
    for masks in (
        KernelMask(randn(outputs, inputs, 2, 3, seed=seed)),
        ComplexMask(values / values.abs().max()),
        PhaseMask(values.angle()),
    ):
        largest = gain(bench(masks, combiner))
        assert largest <= 1 + ROUNDING
        if combiner == "ideal":
            assert largest == pytest.approx(1, rel=ROUNDING)
        # No fixed network of beam splitters passes more light than the best optics for these masks.
        assert largest >= gain(bench(masks, "beam_splitter")) * (1 - ROUNDING) or combiner == "beam_splitter"


def test_ideal_optics_beat_beam_splitters_by_the_closed_form() -> None:
    """Masks of a unitary matrix: nothing is lost at best, 1 / sqrt(C_in C_out) with beam splitters."""
    angle = 2 * math.pi * torch.outer(torch.arange(4.0), torch.arange(4.0)).double() / 4
    masks = PhaseMask(angle[:, :, None, None].expand(4, 4, 5, 6))
    # The masks are 2 times a unitary matrix, so that beam splitters pass 2 / sqrt(16), a half.
    assert gain(bench(masks, "ideal")) == pytest.approx(1, rel=ROUNDING)
    assert gain(bench(masks, "beam_splitter")) == pytest.approx(0.5, rel=ROUNDING)


def test_a_row_of_passive_systems_is_passive() -> None:
    first = bench(KernelMask(randn(3, 2, 3, 3)))
    second = bench(KernelMask(randn(4, 3, 3, 3, seed=1)), "bound")
    assert gain(Cascade([first, second])) <= 1 + ROUNDING


# ---- rank


@few
@given(CHANNELS, CHANNELS, SEEDS)
def test_rank_is_at_most_the_smaller_number_of_channels(outputs: int, inputs: int, seed: int) -> None:
    # Random matrices have full rank with probability 1; at float64 the threshold is far below them.
    assert rank(randn(outputs, inputs, 3, 4, seed=seed)) == min(outputs, inputs)


def test_rank_of_a_bottleneck_and_of_weak_channels() -> None:
    bottleneck = torch.einsum("omhw,mihw->oihw", randn(5, 2, 3, 4), randn(2, 4, 3, 4, seed=1))
    assert rank(bottleneck) == 2
    # Another single channel at every frequency: each matrix has rank 1, though together they span all.
    lonely = torch.zeros(3, 3, 1, 3, dtype=torch.complex128)
    for frequency in range(3):
        lonely[frequency, frequency, 0, frequency] = 1
    assert rank(lonely) == 1
    weak = torch.diag(torch.tensor([1, 1e-3, 1e-7], dtype=torch.complex128))[:, :, None, None]
    assert rank(weak) == 2 and rank(weak, tolerance=1e-8) == 3 and rank(weak, tolerance=1e-2) == 1


def test_rank_of_a_row_is_that_of_its_narrowest_stage() -> None:
    wide = bench(KernelMask(randn(4, 3, 3, 3)))
    narrow = bench(KernelMask(randn(1, 4, 3, 3, seed=1)))
    again = bench(KernelMask(randn(5, 1, 3, 3, seed=2)))
    assert rank(Cascade([wide]).transfer().detach()) == 3
    assert rank(Cascade([wide, narrow, again]).transfer().detach()) == 1


# ---- affine or not


def pictures(batch: int = 6, *shape: int) -> Tensor:
    shape = shape or (1, 4, 5)
    return torch.rand(batch, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


WEIGHT = randn(7, 20, dtype=torch.float64)
AFFINE: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "matrix and bias": lambda x: x.flatten(1) @ WEIGHT.mT + 3,
    "real part of complex optics": lambda x: torch.fft.fft2(x * (1 + 2j)).real,
    "mean": lambda x: x.mean((1, 2, 3))[:, None],
}
NOT_AFFINE: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: torch.relu(x - 0.5),
    "relu, open on all examples": torch.relu,
    "relu, open on all examples with room to spare": lambda x: torch.relu(x + 0.5),
    "absolute value": lambda x: (x - 0.5).abs(),
    "square": lambda x: x.square(),
    "product of two samples": lambda x: x[..., :1] * x,
    "brightest sample": lambda x: x.flatten(1).amax(1, keepdim=True),
    "division by the mean": lambda x: x / x.mean((1, 2, 3), keepdim=True),
}


@pytest.mark.parametrize("name", AFFINE)
def test_residual_of_an_affine_map_is_rounding(name: str) -> None:
    assert affine_residual(AFFINE[name], pictures()) < ROUNDING


@pytest.mark.parametrize("name", NOT_AFFINE)
def test_residual_of_anything_else_is_large(name: str) -> None:
    assert affine_residual(NOT_AFFINE[name], pictures()) > 1e-3


@pytest.mark.parametrize("bias", [2.0, 10.0])
def test_a_relu_that_is_far_from_closing_on_the_examples_is_found(bias: float) -> None:
    """The weights reach far outside [0, 1], so that a ReLU that happens to be open is found as well."""
    assert affine_residual(lambda x: torch.relu(x + bias), pictures()) > 1e-3


def test_a_constant_is_affine() -> None:
    """A back end whose weights are zero gives its bias for every picture."""
    found = affine_residual(lambda x: torch.full((len(x), 3), 0.1, dtype=torch.float64), pictures())
    assert found < 1e-9  # 1e-16 of the constant, over the 1e-6 of it below which nothing is looked for


def test_two_inputs_are_too_few() -> None:
    with pytest.raises(ValueError, match="expected at least three inputs, got 2"):
        affine_residual(torch.relu, pictures(2))


# ---- the audit of a student

SMALL = {"shape": (12, 11), "channels": (1, 3, 2, 4), "kernel_sizes": (3, 3, 2), "stops": (10, 7, 6)}


def student(readout: str) -> SCLC:
    return SCLC(StudentDesign(readout=readout, pixels=5, classes=3, **SMALL)).double().eval()


EXAMPLES = pictures(5, 1, 12, 11)


class RealRelu(nn.Module):
    """An electronic ReLU hidden in the light: the real part is rectified and sent on."""

    def forward(self, field: Tensor) -> Tensor:
        rectified = torch.relu(field.real)
        return torch.complex(rectified, torch.zeros_like(rectified))


class StageWithRelu(nn.Module):
    """The same, written into the forward pass of a module that holds a 4f system."""

    def __init__(self, stage: FourF) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, field: Tensor) -> Tensor:
        rectified = torch.relu(self.stage(field).real)
        return torch.complex(rectified, torch.zeros_like(rectified))


def test_a_strict_student_is_affine_as_a_whole() -> None:
    found = student("strict").audit(EXAMPLES)
    assert found.optics_affine and found.affine and found.passive
    assert found.residual < ROUNDING and found.optics_residual < ROUNDING
    assert found.gain is not None and found.gain <= 1
    assert (found.rank, found.channels, found.masks, found.collapsed_masks) == (1, (1, 4), 3 + 6 + 8, 4)
    assert found.conversions == 1
    assert "whole network affine" in str(found) and "NOT AFFINE" not in str(found)


def test_a_detected_student_is_affine_in_its_optics_alone() -> None:
    found = student("detected").audit(EXAMPLES)
    assert found.optics_affine and not found.affine
    assert found.residual > 1e-3 and found.conversions == 1
    assert "optics: affine" in str(found) and "whole network NOT AFFINE" in str(found)


def with_hidden_relu(kind: str) -> SCLC:
    network = student("strict")
    first, *rest = network.optics.systems  # type: ignore[union-attr, operator]
    if kind == "module between two stages":
        network.optics = nn.Sequential(first, RealRelu(), *rest)
    elif kind == "module before a row":
        network.optics = nn.Sequential(first, RealRelu(), Cascade(rest))
    else:
        network.optics = nn.Sequential(StageWithRelu(first), *rest)
    return network


@pytest.mark.parametrize(
    "kind", ["module between two stages", "module before a row", "function in a forward pass"]
)
def test_a_hidden_relu_is_found_and_counted(kind: str) -> None:
    found = with_hidden_relu(kind).audit(EXAMPLES)
    assert not found.optics_affine and not found.affine
    assert found.optics_residual > 1e-3
    assert found.collapsed_masks is None and found.gain is None and found.rank is None
    assert str(found).startswith("optics: NOT AFFINE")
    assert found.conversions == 2
    assert "2 optical-to-electronic conversions" in str(found)


def test_two_hidden_relus_are_three_conversions() -> None:
    network = student("strict")
    relu = RealRelu()
    first, second, third = network.optics.systems  # type: ignore[union-attr, operator]
    network.optics = nn.Sequential(first, relu, second, relu, third)  # one module, used twice
    assert network.audit(EXAMPLES).conversions == 3


def test_a_cascade_that_amplifies_is_not_called_passive() -> None:
    network = student("strict")
    stages = [copy.deepcopy(stage) for stage in network.optics.systems]  # type: ignore[union-attr, operator]
    loud = FourF(
        stages[0].grid, 532 * nm, 100 * mm, copy.deepcopy(stages[0].masks), stop=(10, 10), combiner=1000.0
    )
    network.optics = Cascade([loud, *stages[1:]])
    found = network.audit(EXAMPLES)
    assert found.optics_affine and found.passive is False and found.gain is not None and found.gain > 1
    assert "NOT PASSIVE" in str(found)


def test_the_audit_takes_any_optics() -> None:
    """A single system between a source and a network that are written here."""
    system = bench(KernelMask(randn(2, 1, 3, 3)))

    def source(picture: Tensor) -> Tensor:
        return picture.to(torch.complex128)

    found = audit(system, lambda x: system(source(x)).abs().square(), pictures(4, 1, 5, 6), source, "square")
    assert isinstance(found, Audit)
    assert found.optics_affine and not found.affine and found.rank == 1
    assert found.gain == pytest.approx(1, rel=ROUNDING)
    assert Audit(**found.to_dict()) == found


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_a_collapsed_student_gives_the_same_logits(readout: str) -> None:
    network = student(readout)
    norm = network.back_end.standardise
    with torch.no_grad():  # statistics as after training
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        collapsed = network.collapse()
        expected, got = network(EXAMPLES), collapsed(EXAMPLES)
    # Four roundings in a row of sums of some thousand terms, and powers of some 1e-9 W times gains of 1e9.
    assert float((got - expected).abs().max() / expected.abs().max()) < 1e-10
    # It is as bright as passive optics allow, with one mask per output channel.
    assert gain(collapsed.optics) == pytest.approx(1, rel=1e-9)
    assert collapsed.audit(EXAMPLES).masks == 4
