"""Ways to train: patch by patch, with the bench's own powers and gradients, and as a bench disturbs it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from optics4f.models.data import Split
from optics4f.models.disturbed import Disturbances, Disturbed
from optics4f.models.patches import (
    PatchStudent,
    _pixel_weights,
    _Power,
    moved_by,
    patch_components,
)
from optics4f.models.paths import Collapsing, off_path, on_path
from optics4f.models.runconfig import RunConfig
from optics4f.models.sclc import SCLC, StudentDesign

DESIGN = StudentDesign(
    "detected", (16, 16), channels=(2, 3), kernel_sizes=(5,), stops=(16,), pixels=4, complex_kernels=True
)
# float64: 2e-16 for each of some thousand terms, on numbers of order 1.
ROUNDING = 1e-12


def band_limited(count: int, frequency: int, side: int = 16) -> Tensor:
    """Pictures around 1/2 without frequencies from ``frequency`` on."""
    pictures = torch.rand(
        count, 2, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )
    low = (torch.fft.fftfreq(side, 1 / side).abs() < frequency).double()
    return torch.fft.ifft2(torch.fft.fft2(pictures) * torch.outer(low, low)).real


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("reference", [False, True])
def test_all_starts_together_read_what_the_detector_does(reference: bool, stride: int) -> None:
    """The mean over the starts that training draws: no frequency poses as another one."""
    pictures = band_limited(6, 8)  # all but the highest, of which samples know the cosine alone
    patches = PatchStudent(SCLC(replace(DESIGN, reference=reference)).double(), pictures, stride=stride)
    starts = [half / 2 for half in range(2 * stride)]
    with torch.no_grad():
        powers = [patches.power_from(pictures, (y, x), stride) for y in starts for x in starts]
        both = patches.eval().power(pictures)
    finished = patches.finish(pictures)
    found = finished.signal(pictures) * finished.back_end.gain
    assert float((found - torch.stack(powers).mean(0)).abs().max() / found.abs().max()) < ROUNDING
    # Two starts: of white pictures, the share beyond the band along both axes, through the sides of a sinc.
    assert float((found - both).norm() / found.norm()) < 0.03


@pytest.mark.parametrize("samples", [15, 16])
def test_weights_are_columns_of_the_detectors(samples: int) -> None:
    """The mean of cos(2 pi k x) over a pixel, from all starts, wherever an odd or even plane has its axis."""
    weights = [_pixel_weights(samples, 5, first / 2, 1, samples - 1) for first in range(2)]
    for k in range(samples):
        powers = torch.zeros(5, dtype=torch.float64)
        for first, columns in enumerate(weights):
            place = (torch.arange(samples, dtype=torch.float64) - samples // 2 + first / 2) / samples
            powers += columns @ torch.cos(2 * torch.pi * k * place) / 2
        centres = (torch.arange(5, dtype=torch.float64) - 2) / 5
        expected = (
            torch.cos(2 * torch.pi * k * centres) * torch.sinc(torch.tensor(k / 5, dtype=torch.float64)) / 5
        )
        assert float((powers - expected).abs().max()) < ROUNDING


def test_a_picture_is_moved_between_its_samples() -> None:
    """Of a wave, the same wave elsewhere; twice half a sample is one."""
    place = torch.arange(16, dtype=torch.float64)
    wave = torch.cos(2 * torch.pi * (3 * place[:, None] + 5 * place) / 16)
    found = moved_by(wave, (0.5, 1.5))
    expected = torch.cos(2 * torch.pi * (3 * (place[:, None] + 0.5) + 5 * (place + 1.5)) / 16)
    assert float((found - expected).abs().max()) < ROUNDING
    pictures = band_limited(2, 8)
    twice = moved_by(moved_by(pictures, (0.5, 0.5)), (0.5, -0.5))
    assert float((twice - pictures.roll(-1, -2)).abs().max()) < ROUNDING


def test_finish_standardises_what_the_detector_reads() -> None:
    pictures = torch.rand(32, 2, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    student = PatchStudent(SCLC(replace(DESIGN, companding="sqrt")).double(), pictures).finish(pictures)
    signal = student.back_end.standardise(student.back_end.companded(student.signal(pictures)))
    variance, mean = torch.var_mean(signal, (0, 2, 3))
    assert float(mean.abs().max()) < ROUNDING
    assert float((variance - 1).abs().max()) < 1e-3  # the eps of batch normalisation, on variances of 0.1


def test_gradient_of_the_powers() -> None:
    generator = torch.Generator().manual_seed(0)
    fields = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=generator)
    rows, columns = (torch.randn(2, n, dtype=torch.float64, generator=generator) for n in (4, 5))
    start = torch.randn(6, 4, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: _Power.apply(fields, v, rows, columns), start)


def test_training_moves_the_kernels_downhill() -> None:
    pictures = torch.rand(24, 2, 16, 16, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(24) % 3
    patches = PatchStudent(SCLC(replace(DESIGN, classes=3)), pictures, components=20, stride=2)
    optimizer = torch.optim.Adam([p for p in patches.parameters() if p.requires_grad], 1e-2)
    before, losses = patches.kernels(), []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(patches(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 4
    assert not torch.equal(before, patches.kernels())
    right = patches.finish(pictures)(pictures).argmax(1) == labels
    assert float(right.float().mean()) > 0.8  # the engine agrees with what was trained; by chance 1/3


def test_components_have_equal_strength() -> None:
    r"""<p, b_j> has the mean square lambda/(lambda + eps), and different ones do not correlate."""
    pictures = torch.rand(40, 2, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    basis = patch_components(pictures, 3, 18)
    wrapped = torch.nn.functional.pad(pictures, [1] * 4, mode="circular")
    patches = torch.nn.functional.unfold(wrapped, 3).transpose(0, 1).flatten(1)
    seen = basis.flatten(1) @ patches
    moment = seen @ seen.mT / patches.shape[1]
    values = torch.linalg.eigvalsh(patches @ patches.mT / patches.shape[1]).flip(0)
    assert float((moment - torch.diag(values / (values + 1e-3))).abs().max()) < 1e-10


def test_all_components_make_any_kernel() -> None:
    pictures = torch.rand(40, 2, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    basis = patch_components(pictures, 3, 18).flatten(1)
    kernel = torch.randn(18, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    weights = torch.linalg.solve(basis.mT, kernel)
    assert float((weights @ basis - kernel).abs().max()) < 1e-10


@pytest.mark.parametrize(
    "design",
    [
        replace(DESIGN, readout="strict"),
        replace(DESIGN, complex_kernels=False),
        replace(DESIGN, stops=(9,)),
        replace(DESIGN, channels=(2, 3, 3), kernel_sizes=(3, 3), stops=(16, 16)),
    ],
)
def test_other_students_are_refused(design: StudentDesign) -> None:
    pictures = torch.rand(4, 2, 16, 16)
    with pytest.raises(ValueError, match="expected a detected student with one bank"):
        PatchStudent(SCLC(design), pictures)


def test_bad_numbers_are_refused() -> None:
    pictures = torch.rand(4, 2, 16, 16)
    with pytest.raises(ValueError, match="stride that divides"):
        PatchStudent(SCLC(DESIGN), pictures, stride=3)
    with pytest.raises(ValueError, match="1 to 50 components, got 5 and 51"):
        PatchStudent(SCLC(DESIGN), pictures, components=51)


def test_paths_lead_to_the_same_student() -> None:
    """Through its collapse a student says what it says layer by layer; a run leaves the student itself."""
    split = Split(torch.rand(8, 2, 16, 16), torch.arange(8) % 3)
    student = SCLC(
        StudentDesign("strict", (16, 16), channels=(2, 3), kernel_sizes=(3,), stops=(7,), pixels=7)
    )
    model = on_path(student, RunConfig(path="collapse", student=student.design), split).eval()
    assert isinstance(model, Collapsing)
    with torch.no_grad():
        difference = model(split.images) - student.eval()(split.images)
    assert float(difference.abs().max()) < 1e-4  # complex64 through two transforms, logits of order 1
    assert off_path(model, RunConfig(), split) is student
    assert on_path(student, RunConfig(), split) is student


def test_disturbed_training_is_the_student_when_it_is_judged() -> None:
    design = replace(DESIGN, complex_kernels=False, companding="sqrt")
    student = SCLC(design)
    disturbed = Disturbed(student, Disturbances("kaf_3200me", "1 ms", "5 um"), seed=1)
    pictures = torch.rand(4, 2, 16, 16)
    with torch.no_grad():
        assert torch.equal(disturbed.eval()(pictures), student.eval()(pictures))
    assert off_path(disturbed, RunConfig(), Split(pictures, torch.zeros(4).long())) is student


def test_disturbances_are_drawn_anew_and_again_alike() -> None:
    """Batch k meets the same noise in a run that goes on; the next batch meets another."""
    design = replace(DESIGN, complex_kernels=False)
    pictures = torch.rand(4, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    for disturbances in (Disturbances("kaf_3200me", "1 ns"), Disturbances(mask_shift="20 um")):
        model = Disturbed(SCLC(design), disturbances, seed=1).train()
        with torch.no_grad():
            first, second = model(pictures), model(pictures)
            model.batch.zero_()
            again = model(pictures)
        assert torch.equal(first, again)
        assert not torch.allclose(first, second, atol=1e-3)
    loss = model(pictures).square().mean()
    loss.backward()
    assert float(model.student.optics.systems[0].masks.kernels.grad.abs().max()) > 0


def test_a_shift_of_the_masks_moves_the_phase_alone() -> None:
    """A kernel of one tap is multiplied by a linear phase over the plane, which no intensity shows."""
    design = replace(DESIGN, complex_kernels=False, kernel_sizes=(1,))
    student = SCLC(design).double()
    model = Disturbed(student, Disturbances(mask_shift="20 um"), seed=1).double()
    field = student.source(torch.rand(4, 2, 16, 16, dtype=torch.float64))
    with torch.no_grad():
        shifted = model._optics(torch.Generator().manual_seed(1))(field)
        expected = student.optics(field)
    assert float((shifted - expected).abs().max() / expected.abs().max()) > 0.01
    # float64: sums of 256 terms
    assert float((shifted.abs() - expected.abs()).abs().max() / expected.abs().max()) < 1e-12


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sensor": "kaf_3200me"}, "sensor with its exposure"),
        ({"sensor": "nothing", "exposure": "1 ms"}, "nothing"),
        ({"mask_shift": "-1 um"}, "0 or more"),
        ({"mask_shift": "3"}, "mask_shift"),
    ],
)
def test_bad_disturbances_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Disturbances(**given)


def test_disturbances_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="path elements"):
        RunConfig(path="collapse", disturbances=Disturbances(mask_shift="1 um"))
    with pytest.raises(ValueError, match="one bank of masks"):
        two = replace(DESIGN, channels=(2, 3, 3), kernel_sizes=(3, 3), stops=(9, 9))
        Disturbed(SCLC(two), Disturbances(mask_shift="1 um"), 0)
