"""4f systems with electronics between them: what the published code does, and how a design names it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from optics4f import FourF, Grid, KernelMask
from optics4f.models.back_end import BackEnd
from optics4f.models.checkpoint import load_student, save_student
from optics4f.models.relay import Electronics, Relay
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.spatial import by_frequency, works_by_frequency
from optics4f.units import mm, nm, um

PUBLISHED = StudentDesign(
    "paper_code",
    (12, 12),
    channels=(2, 3, 4),
    kernel_sizes=(3, 3),
    stops=(9, 7),
    pixels=3,
    back_end="published",
)
PICTURES = torch.rand(6, 2, 12, 12, generator=torch.Generator().manual_seed(3))


def stage(stop: tuple[int, int] | None, shape: tuple[int, int], upright: bool, convention: str) -> FourF:
    kernels = torch.randn(4, 3, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return FourF(
        Grid(shape, 10 * um),
        532 * nm,
        50 * mm,
        KernelMask(kernels, convention),
        stop=stop,
        combiner="bound",
        invert_output=not upright,
    ).double()


@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("convention", ["convolution", "correlation"])
@pytest.mark.parametrize(("shape", "stop"), [((10, 12), (5, 7)), ((9, 11), None), ((9, 8), (9, 3))])
def test_frequency_by_frequency_is_the_system(shape, stop, convention, upright) -> None:
    system = stage(stop, shape, upright, convention)
    field = torch.randn(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found, gradients = [], []
    for way in (by_frequency, lambda s, f: s(f.to(torch.complex128)).real):
        given = field.clone().requires_grad_()
        system.zero_grad()
        output = way(system, given)
        output.pow(3).sum().backward()
        found.append(output.detach())
        gradients.append((given.grad, system.masks.kernels.grad.clone()))
    # float64: 2e-16 for each of some hundred terms
    assert float((found[0] - found[1]).abs().max() / found[1].abs().max()) < 1e-13
    for one, other in zip(*gradients, strict=True):
        assert float((one - other).abs().max() / other.abs().max()) < 1e-12


def test_frequency_by_frequency_refuses() -> None:
    system = stage((4, 6), (10, 12), True, "correlation")  # an even stop: half of it does not tell all
    assert not works_by_frequency(system)
    with pytest.raises(ValueError, match="odd stop"):
        by_frequency(system, torch.rand(1, 3, 10, 12))
    with pytest.raises(TypeError, match="real"):
        by_frequency(stage((5, 7), (10, 12), True, "correlation"), torch.rand(1, 3, 10, 12) + 0j)


def test_without_relus_a_relay_is_a_cascade() -> None:
    """Plain electronics between two systems only repeat the light, times a gain."""
    strict = SCLC(replace(PUBLISHED, readout="strict")).double()
    systems = list(strict.optics.systems)
    relay = Relay(systems, [Electronics(rectified=False)]).double()
    relay.between[0].gain.fill_(3.0)
    field = strict.source(PICTURES.double())
    with torch.no_grad():
        found, expected = relay(field), 3 * strict.optics(field)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-12  # two transforms each way


def test_electronics_in_closed_form() -> None:
    field = torch.tensor([[[[1.0, -2.0], [-3.0, -0.5]]]]) + 5j
    steps = Electronics(rectified=True), Electronics(rectified=False, pooled=(1, 2))
    assert steps[0](field).flatten().tolist() == [1, 0, 0, 0]
    assert steps[1](field).flatten().tolist() == [1, -0.5]


def test_published_student_is_not_linear_and_says_so() -> None:
    """Four ReLUs of the published code: here one, and the network is only positively homogeneous."""
    student = SCLC(PUBLISHED).double().eval()
    found = student.audit(PICTURES)
    assert not found.optics_affine
    assert not found.affine
    assert (found.conversions, found.exposures, found.collapsed_masks) == (2, 2, None)
    field = student.source(PICTURES.double())
    with torch.no_grad():
        once, twice = student.optics(field), student.optics(2 * field)
        turned = student.optics(-field) + once
    assert float((twice - 2 * once).abs().max() / once.abs().max()) < 1e-12
    assert float(turned.abs().max() / once.abs().max()) > 0.1
    with pytest.raises(ValueError, match="expected a cascade"):
        student.collapse()


def test_strict_with_published_back_end_has_affine_optics() -> None:
    found = SCLC(replace(PUBLISHED, readout="strict")).audit(PICTURES)
    assert found.optics_affine
    assert not found.affine
    assert found.conversions == 1


def test_max_pooling_takes_the_place_of_the_stops() -> None:
    student = SCLC(replace(PUBLISHED, pooling="max")).double().eval()
    assert isinstance(student.optics, Relay)
    assert student.optics.systems[0].stop is None
    assert student.optics.between[0].pooled == (9, 9)
    assert student.optics.output_grid.shape == (7, 7)
    assert student(PICTURES.double()).shape == (6, 10)
    assert student.audit(PICTURES).conversions == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"readout": "strict", "pooling": "max"}, "strict is affine"),
        ({"pooling": "mean"}, "pooling spectral or max"),
        ({"back_end": "four"}, "back_end one or published"),
        ({"companding": "sqrt"}, "companding of detected power alone"),
        ({"dropout": 1.0}, "dropout from 0 to below 1, got 1.0"),
        ({"companding": "log", "readout": "detected"}, "companding none or sqrt or fourth_root"),
    ],
)
def test_designs_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PUBLISHED, **changes)


@pytest.mark.parametrize("design", [PUBLISHED, replace(PUBLISHED, pooling="max")])
def test_published_student_is_kept_in_a_file(design, tmp_path) -> None:
    student = SCLC(design, seed=3)
    student.train()(PICTURES)
    save_student(student.eval(), tmp_path)
    assert torch.equal(load_student(tmp_path)(PICTURES), student(PICTURES))


@pytest.mark.parametrize(("companding", "widths"), [("none", ()), ("sqrt", ()), ("fourth_root", (7, 5))])
def test_folding_keeps_the_back_end(companding, widths) -> None:
    back_end = BackEnd(3, (2, 2), 4, companding, widths).double()
    signal = torch.rand(9, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        back_end.train()(signal)
    back_end.eval()
    assert back_end.is_affine == (companding == "none" and not widths)
    with torch.no_grad():
        found, expected = back_end.folded(2.5)(2.5 * signal), back_end(signal)
    assert float((found - expected).abs().max()) < 1e-12  # sums of twelve and seven terms
    assert isinstance(back_end.folded().standardise, nn.Identity)


def test_a_relay_that_stays_dark_has_finite_gains() -> None:
    """Behind a ReLU that lets nothing through no gain makes light; the next displays show zeros, not nan."""
    student = SCLC(PUBLISHED)
    with torch.no_grad():
        student.optics.systems[0].masks.kernels.fill_(-1.0)
    student.set_gain()
    assert torch.isfinite(student.eval()(PICTURES)).all()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_acts_in_training_alone(dropout: float) -> None:
    """Training differs from one pass to the next by dropout, or not at all."""
    design = StudentDesign(
        "paper_code",
        (9, 9),
        channels=(1, 2),
        kernel_sizes=(3,),
        stops=(9,),
        pixels=3,
        back_end="published",
        dropout=dropout,
    )
    student, pictures = SCLC(design), torch.rand(4, 1, 9, 9)
    with torch.no_grad():
        training = [student.train()(pictures) for _ in range(2)]
        evaluation = [student.eval()(pictures) for _ in range(2)]
    assert torch.equal(*training) == (dropout == 0)
    assert torch.equal(*evaluation)


def test_reference_makes_a_bias_before_the_square() -> None:
    """In the dark the reference alone shines, and the detector reads its power in every channel."""
    design = StudentDesign("detected", (9, 9), channels=(1, 2), kernel_sizes=(3,), stops=(9,), pixels=3)
    dark = torch.zeros(1, 1, 9, 9)
    assert float(SCLC(design).signal(dark).detach().abs().max()) == 0
    lit = SCLC(replace(design, reference=True)).double().signal(dark.double()).detach()
    assert float(lit.min()) > 0
    assert float((lit.amax((2, 3)) - lit.amin((2, 3))).abs().max() / lit.max()) < 1e-12  # a plane wave
