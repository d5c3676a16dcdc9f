"""The quick ways to train and to run a student equal the long one: spectra, space, constants folded."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from optics4f import FourF, Grid, KernelMask
from optics4f.cascade import Cascade
from optics4f.elements import ComplexMask, GaussianIllumination, LowPassStop
from optics4f.fourier import ft2
from optics4f.models.fast import Affine, Planes, Quadratic, deployed
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.spatial import cheaper_in_space, in_space, through, works_in_space
from optics4f.models.spectra import (
    CollapsedStudent,
    augmented_spectra,
    cropped_spectra,
    flip_spectra,
    front_transfer,
    shift_spectra,
)
from optics4f.units import mm, nm, um

# float64: 2e-16 for each of some hundred to thousand terms of a sum, on numbers of order 1.
ROUNDING = 1e-12
PLANES = [
    ((12, 15), (5, 6)),
    ((15, 12), (6, 5)),
    ((13, 13), (7, 7)),
    ((12, 12), (4, 8)),
    ((12, 12), (12, 12)),
]
SMALL = StudentDesign(
    shape=(24, 21), channels=(2, 3, 4, 5), kernel_sizes=(5, 4, 3), stops=(15, 13, 7), pixels=5, classes=3
)


def pictures(count: int, channels: int, shape: tuple[int, int]) -> Tensor:
    return torch.rand(count, channels, *shape, dtype=torch.float64)


def relative(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max())


def student_of(design: StudentDesign, **changes: object) -> SCLC:
    student = SCLC(replace(design, **changes)).double()
    student.optics.fused = False  # stage by stage, as the light goes
    return student


@pytest.mark.parametrize(("shape", "stop"), PLANES)
class TestSpectra:
    """Spectra inside a stop, against transforms of whole pictures."""

    def test_are_those_of_the_whole_transform(self, shape, stop):
        """Two matrix products and a mirror image, against the FFT and the stop as an element."""
        given = pictures(3, 2, shape)
        expected = LowPassStop(stop)(ft2(given.flip(-2)))
        assert relative(cropped_spectra(given, Grid(shape, 8 * um), stop), expected) < ROUNDING

    def test_shift(self, shape, stop):
        """A phase ramp is ``torch.roll`` of the picture, down and to the right."""
        given, grid = pictures(3, 2, shape), Grid(shape, 8 * um)
        shift = torch.tensor([[1, 2], [-3, 0], [4, -5]])
        rolled = torch.stack([p.roll(tuple(s), (-2, -1)) for p, s in zip(given, shift.tolist(), strict=True)])
        found = shift_spectra(cropped_spectra(given, grid, stop), shift, grid)
        assert relative(found, cropped_spectra(rolled, grid, stop)) < ROUNDING

    def test_flip(self, shape, stop):
        """The mirrored index is ``picture.flip(-1)``, for those that were chosen alone."""
        given, grid = pictures(3, 2, shape), Grid(shape, 8 * um)
        chosen = torch.tensor([True, False, True])
        flipped = torch.where(chosen[:, None, None, None], given.flip(-1), given)
        found = flip_spectra(cropped_spectra(given, grid, stop), chosen, grid)
        assert relative(found, cropped_spectra(flipped, grid, stop)) < ROUNDING

    def test_augmentation_is_both_and_seeded(self, shape, stop):
        """The same draws, applied to the pictures: flip first, then shift."""
        given, grid = pictures(6, 1, shape), Grid(shape, 8 * um)
        spectra = cropped_spectra(given, grid, stop)
        found = augmented_spectra(spectra, grid, 3, torch.Generator().manual_seed(1))
        draws = torch.Generator().manual_seed(1)
        shift = torch.randint(-3, 4, (6, 2), generator=draws).tolist()
        flipped = torch.rand(6, generator=draws) < 0.5
        assert flipped.any()
        assert not flipped.all()
        moved = [
            (p.flip(-1) if f else p).roll(tuple(s), (-2, -1))
            for p, f, s in zip(given, flipped, shift, strict=True)
        ]
        assert relative(found, cropped_spectra(torch.stack(moved), grid, stop)) < ROUNDING


def test_part_of_a_sample_shifts_too():
    """Two half steps are one whole step, where the stop is narrower than the plane."""
    grid = Grid((12, 12), 8 * um)
    spectra = cropped_spectra(pictures(1, 1, (12, 12)), grid, (5, 5))
    half, whole = torch.tensor([[0.5, -1.5]]), torch.tensor([[1, -3]])
    twice = shift_spectra(shift_spectra(spectra, half, grid), half, grid)
    assert relative(twice, shift_spectra(spectra, whole, grid)) < ROUNDING


def test_spectra_refuse():
    """Whole numbers, other planes, wide stops."""
    grid = Grid((8, 8), 8 * um)
    with pytest.raises(TypeError, match=r"cropped_spectra: expected a real tensor, got torch\.uint8"):
        cropped_spectra(torch.zeros(8, 8, dtype=torch.uint8), grid, (3, 3))
    with pytest.raises(
        ValueError, match=r"cropped_spectra: expected a field \(..., \(8, 8\)\), got \(7, 8\)"
    ):
        cropped_spectra(torch.zeros(7, 8), grid, (3, 3))
    with pytest.raises(ValueError, match=r"cropped_spectra: expected a stop within \(8, 8\), got \(9, 3\)"):
        cropped_spectra(torch.zeros(8, 8), grid, (9, 3))


@pytest.mark.parametrize("readout", ["strict", "detected"])
@pytest.mark.parametrize("stops", [(15, 13, 7), (14, 12, 8), (15, 8, 7)])
def test_collapsed_training_equals_stage_by_stage(readout, stops):
    """Logits, and the gradient of every kernel of every stage and of the back end; odd and even stops."""
    student = student_of(SMALL, readout=readout, stops=stops)
    given = pictures(4, 2, SMALL.shape)
    collapsed = CollapsedStudent(student)
    parameters = dict(student.named_parameters())
    expected = student(given)
    gradients = torch.autograd.grad(expected.square().sum(), list(parameters.values()))
    found = collapsed(collapsed.spectra(given))
    assert relative(found, expected) < ROUNDING
    quick = torch.autograd.grad(found.square().sum(), list(parameters.values()))
    assert len(parameters) == 5  # three banks, a weight and a bias
    for name, one, other in zip(parameters, quick, gradients, strict=True):
        assert relative(one, other) < 1e-11, name  # as above; standardisation of a batch amplifies it


def test_one_step_of_training_is_the_same():
    """Adam on both ways: the wrapper trains the student itself."""
    one, other = student_of(SMALL), student_of(SMALL)
    given, labels = pictures(4, 2, SMALL.shape), torch.arange(4) % 3
    collapsed = CollapsedStudent(other)
    for model, data in ((one, given), (collapsed, collapsed.spectra(given))):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        nn.functional.cross_entropy(model(data), labels).backward()
        optimiser.step()
    before = SCLC(SMALL).double().state_dict()
    for name, value in one.state_dict().items():
        # Standardisation of a batch of four amplifies rounding.
        torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-9, atol=1e-11)
    name = "optics.stages.0.masks.kernels"
    assert (one.state_dict()[name] - before[name]).abs().max() > 1e-6


def stage(
    channels: tuple[int, int],
    grid: Grid,
    kernel: tuple[int, int],
    complex_kernels: bool = False,
    **more: object,
) -> FourF:
    dtype = torch.complex128 if complex_kernels else torch.float64
    convention = more.pop("convention", "correlation")
    kernels = torch.randn(*channels[::-1], *kernel, dtype=dtype)
    masks = more.pop("masks", None) or KernelMask(kernels, str(convention))
    return FourF(grid, 532 * nm, 100 * mm, masks, **{"combiner": "bound", **more})


@pytest.mark.parametrize("complex_kernels", [False, True])
@pytest.mark.parametrize("middle", ["bound", "ideal", "beam_splitter", 0.3])
@pytest.mark.parametrize("stop", [(5, 7), (6, 4)])
def test_transfer_of_any_row(complex_kernels, middle, stop):
    """Taps where there are taps, responses elsewhere; conventions, upright stages and losses mixed."""
    grid = Grid((14, 15), 8 * um)
    first = stage((2, 3), grid, (3, 4), complex_kernels, stop=(11, 10), invert_output=False)
    second = stage(
        (3, 4),
        first.output_grid,
        (4, 3),
        convention="convolution",
        combiner=middle,
        second_focal_length=50 * mm,
    )
    third = stage((4, 2), second.output_grid, (3, 3), stop=stop)
    third.combiner.insertion_loss_db = 3.0
    row = Cascade([first, second, third])
    expected, found = row.transfer(), front_transfer(row)
    assert found.shape == (2, 2, *stop)
    assert relative(found, expected) < ROUNDING
    weights = torch.randn_like(expected)
    kernels = list(row.parameters())
    one, other = (torch.autograd.grad((t * weights).real.sum(), kernels) for t in (found, expected))
    for quick, plain in zip(one, other, strict=True):
        assert relative(quick, plain) < 1e-11


def test_transfer_with_a_pupil_and_sampled_masks():
    """Parts without taps keep their own transfer function."""
    grid = Grid((9, 9), 8 * um)
    masks = ComplexMask(torch.polar(torch.rand(2, 3, 9, 9), torch.rand(2, 3, 9, 9)).to(torch.complex128))
    row = Cascade(
        [stage((1, 3), grid, (3, 3), pupil=nn.Identity()), stage((3, 2), grid, (1, 1), masks=masks)]
    )
    row.systems[0].pupil = _Tilt()
    assert relative(front_transfer(row), row.transfer()) < ROUNDING


class _Tilt(nn.Module):
    """A phase that is not Hermitian: taking half the frequencies would be wrong."""

    def forward(self, plane: Tensor) -> Tensor:
        return plane * torch.polar(torch.ones(9, 9).double(), torch.rand(9, 9, generator=_seeded()).double())


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_collapsed_student_refuses():
    """Another front end, another light, other spectra."""
    student = SCLC(SMALL)
    with pytest.raises(ValueError, match="CollapsedStudent: expected a Cascade in front, got FourF"):
        CollapsedStudent(student.collapse())
    with pytest.raises(
        ValueError, match=r"CollapsedStudent: expected a field \(..., \(2, 7, 7\)\), got \(1, 2, 7, 5\)"
    ):
        CollapsedStudent(student)(torch.zeros(1, 2, 7, 5, dtype=torch.complex64))
    student.source.illumination = GaussianIllumination(student.source.grid, 80 * um)
    with pytest.raises(
        ValueError, match="CollapsedStudent: expected even illumination, got GaussianIllumination"
    ):
        CollapsedStudent(student)


@pytest.mark.parametrize("convention", ["convolution", "correlation"])
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("kernel", [(3, 3), (4, 3), (2, 5)])
def test_in_space_equals_transforms(convention, upright, real, kernel):
    """Fields and gradients to kernels and field, for odd and even kernels on an even plane."""
    system = stage(
        (2, 3),
        Grid((8, 9), 8 * um),
        kernel,
        convention=convention,
        invert_output=not upright,
        second_focal_length=40 * mm,
    )
    field = torch.randn(2, 2, 8, 9, dtype=torch.float64 if real else torch.complex128, requires_grad=True)
    expected, found = system(field), in_space(system, field)
    assert found.is_complex() is not real
    assert relative(found.to(expected.dtype), expected) < ROUNDING
    inputs = [field, *system.parameters()]
    one, other = (torch.autograd.grad((u.abs() ** 2).sum(), inputs) for u in (found, expected))
    for quick, plain in zip(one, other, strict=True):
        assert relative(quick, plain) < 1e-11


def test_cost_model_decides():
    """Small kernels and few channels go in space, large kernels do not; what cannot, never does."""
    grid = Grid((64, 64), 8 * um)
    small, large = stage((1, 4), grid, (3, 3)), stage((4, 8), grid, (25, 25))
    assert cheaper_in_space(small, real=True)
    assert not cheaper_in_space(large, real=True)
    for more in ({"stop": (9, 9)}, {"combiner": "ideal"}, {"complex_kernels": True}, {"pupil": _Tilt()}):
        if "pupil" in more:
            other = stage((1, 4), Grid((9, 9), 8 * um), (3, 3), **more)
        else:
            other = stage((1, 4), grid, (3, 3), **more)
        assert not works_in_space(other)
        assert not cheaper_in_space(other, real=True)
    # A complex field is twice the work in space and the same between transforms: the border moves.
    sides = [stage((8, 8), grid, (k, k)) for k in range(3, 26, 2)]
    real, both = (sum(cheaper_in_space(s, real=r) for s in sides) for r in (True, False))
    assert 0 < both < real < len(sides)


@pytest.mark.parametrize(("channels", "kernel", "in_reals"), [((16, 16), 3, True), ((4, 8), 25, False)])
def test_a_stage_takes_the_way_that_the_cost_model_names(channels, kernel, in_reals):
    """A real field stays real in space alone; either way gives the same, to float64 rounding."""
    system = stage(channels, Grid((64, 64), 8 * um), (kernel, kernel))
    field = torch.rand(2, channels[0], 64, 64, dtype=torch.float64)
    found, expected = through(system, field).detach(), system(field).detach()
    assert cheaper_in_space(system, real=True) is in_reals
    assert found.is_complex() is not in_reals
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-12


def test_in_space_refuses():
    """A stage with a stop, and fields of another kind."""
    grid = Grid((8, 8), 8 * um)
    with pytest.raises(ValueError, match="in_space: expected real kernels, combiner bound, no stop or pupil"):
        in_space(stage((1, 2), grid, (3, 3), stop=(5, 5)), torch.rand(1, 1, 8, 8))
    with pytest.raises(
        ValueError, match=r"in_space: expected a field \(..., \(1, 8, 8\)\), got \(1, 2, 8, 8\)"
    ):
        in_space(stage((1, 2), grid, (3, 3)), torch.rand(1, 2, 8, 8))


def trained(student: SCLC) -> SCLC:
    """With running statistics of its own, in evaluation."""
    with torch.no_grad():
        student.train()(torch.rand(8, student.design.channels[0], *student.design.shape).double())
    return student.eval()


@pytest.mark.parametrize("collapse", [False, True])
@pytest.mark.parametrize(
    ("design", "kind"),
    [
        (replace(SMALL, readout="strict"), Affine),
        (replace(SMALL, readout="strict", stops=(14, 12, 8), pixels=6), Affine),
        (SMALL, Planes),
        (replace(SMALL, stops=(14, 12, 8), pixels=6), Planes),
        (replace(SMALL, stops=(15, 13, 5), channels=(1, 3, 4, 32)), Quadratic),
        (replace(SMALL, stops=(15, 13, 4), channels=(1, 3, 4, 40)), Quadratic),
        (StudentDesign(), Quadratic),
        (StudentDesign(readout="strict"), Affine),
    ],
)
def test_deployed_equals_the_student(design, kind, collapse):
    """Trained and collapsed, both readouts, odd and even stops, rows other than columns."""
    student = trained(SCLC(design).double())
    given = pictures(3, design.channels[0], design.shape)
    student = student.collapse() if collapse else student
    fast = deployed(student)
    assert type(fast) is kind
    with torch.no_grad():
        assert relative(fast(given), student(given)) < ROUNDING


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_deployed_with_complex_kernels(readout):
    """The light is complex behind them: both of its parts are squared, one is read by homodyne."""
    student = trained(student_of(SMALL, readout=readout))
    student.optics.stages[1].masks = KernelMask(torch.randn(4, 3, 4, 4, dtype=torch.complex128))
    if readout == "strict":
        student.readout.phase = 0.7
    given = pictures(3, 2, SMALL.shape)
    with torch.no_grad():
        assert relative(deployed(student)(given), student(given)) < ROUNDING


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_deployed_at_224(readout):
    """In float32, where sums over 150 528 samples are rounded: 1e-7 times the root of their number, 4e-5."""
    design = StudentDesign(readout, (224, 224), channels=(3, 8), kernel_sizes=(7,), stops=(13,), pixels=13)
    student = SCLC(design).eval()
    given = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        assert relative(deployed(student)(given), student(given)) < 4e-5


def test_deployed_does_not_follow_later_training():
    """It is a copy: constants were folded."""
    student = trained(SCLC(replace(SMALL, readout="strict")).double())
    fast, given = deployed(student), pictures(1, 2, SMALL.shape)
    with torch.no_grad():
        before = fast(given)
        student.back_end.linear.weight.mul_(2)
        assert torch.equal(fast(given), before)
    assert not list(fast.parameters())


def test_deployed_refuses():
    """Other optics, light, readouts, back ends and planes."""
    student = SCLC(SMALL)
    cases = {
        "4f systems in front, got Sequential": {"optics": nn.Sequential()},
        "an ideal readout, got Identity": {"readout": nn.Identity()},
        "the back end of one layer, got Linear": {"back_end": nn.Linear(1, 1)},
    }
    for words, change in cases.items():
        other = copy.copy(student)
        other.__dict__ = {**student.__dict__, "_modules": {**student._modules, **change}}
        with pytest.raises(ValueError, match=f"deployed: expected {words}"):
            deployed(other)
    even = replace(SMALL, shape=(8, 8), stops=(8, 8, 8), kernel_sizes=(3, 3, 3))
    with pytest.raises(ValueError, match=r"deployed: expected a stop or an odd plane, got \(8, 8\)"):
        deployed(SCLC(even))
    student.source.illumination = GaussianIllumination(student.source.grid, 80 * um)
    with pytest.raises(ValueError, match="deployed: expected even illumination, got GaussianIllumination"):
        deployed(student)
