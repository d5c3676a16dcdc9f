"""The student: what it is made of, and that folding, collapsing, constraining and saving keep it."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from optics4f import KernelMask
from optics4f.fabrication.bench import bank_of
from optics4f.models.checkpoint import load_student, save_student
from optics4f.models.constrain import phase_only, with_masks
from optics4f.models.sclc import SCLC, StudentDesign
from optics4f.models.teachers import AlexNet32

SMALL = StudentDesign(shape=(16, 14), channels=(2, 3, 4), kernel_sizes=(3, 3), stops=(9, 7), pixels=5)
PICTURES = torch.rand(6, 2, 16, 14, generator=torch.Generator().manual_seed(3))
# complex64 through some ten transforms and products, logits of order 1
SINGLE = 2e-5


def trained(design: StudentDesign) -> SCLC:
    """A student whose running statistics have seen pictures."""
    generator = torch.Generator().manual_seed(3)
    pictures = torch.rand(6, design.channels[0], *design.shape, generator=generator)
    student = SCLC(design, seed=1)
    student.train()
    for _ in range(3):
        student(pictures)
    return student.eval()


def test_layers_correlate_like_a_cnn() -> None:
    """Stage by stage the front end is conv2d with circular padding, up to the scale that keeps it passive.

    Rows of a picture are reversed on the way in, so the kernels act on the reversed picture.
    """
    student = SCLC(replace(SMALL, stops=(16, 16), shape=(16, 16))).double()
    stage = student.optics.systems[0]
    picture = torch.rand(1, 2, 16, 16, dtype=torch.float64)
    field = student.source(picture)
    assert isinstance(stage.masks, KernelMask)
    kernels = stage.masks.kernels.detach()
    wrapped = nn.functional.pad(picture.flip(-2), (1, 1, 1, 1), mode="circular")
    expected = nn.functional.conv2d(wrapped, kernels).flip((-2, -1)).roll((1, 1), (-2, -1))
    found = stage(field).real.detach()
    ratio = float((found * expected).sum() / expected.square().sum())
    assert ratio > 0
    assert float((found - ratio * expected).norm() / found.norm()) < 1e-12  # float64, 256-point sums


@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_collapse_keeps_the_logits(readout: str) -> None:
    student = trained(replace(SMALL, readout=readout)).double()
    with torch.no_grad():
        before, after = student(PICTURES.double()), student.collapse()(PICTURES.double())
    assert float((before - after).norm() / before.norm()) < 1e-10  # float64, through a matrix of gain ~1e3


def test_collapsed_student_is_as_bright_as_passive_optics_allow() -> None:
    found = trained(SMALL).collapse().audit(PICTURES)
    assert found.gain == pytest.approx(1, rel=1e-5)  # the scale is a float32 number
    assert found.masks == found.collapsed_masks == 2 * 4


def test_folded_back_end_is_one_layer() -> None:
    student = trained(SMALL)
    folded = student.back_end.folded()
    assert isinstance(folded.standardise, nn.Identity)
    with torch.no_grad():
        signal = student.signal(PICTURES)
        before, after = student.back_end(signal), folded(signal)
    assert float((before - after).norm() / before.norm()) < SINGLE
    with pytest.raises(ValueError, match="folded already"):
        folded.folded()


def test_logits_do_not_depend_on_the_power_of_the_lamp_after_the_gain_is_set() -> None:
    """The gain is set on a reference picture, so a lamp a million times weaker reads the same."""
    with torch.no_grad():
        weak, strong = (SCLC(replace(SMALL, power=p), seed=1).eval()(PICTURES) for p in ("1 nW", "1 mW"))
    assert float((weak - strong).norm() / strong.norm()) < SINGLE


def test_same_seed_same_student_and_the_callers_random_state_is_kept() -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    one, other = SCLC(SMALL, seed=2), SCLC(SMALL, seed=2)
    assert torch.equal(torch.rand(1), first)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_phase_only_student_has_unit_masks_in_equal_steps() -> None:
    student = phase_only(trained(SMALL), 8)
    masks = student.optics.transmittance().detach()
    step = masks.angle() * 8 / (2 * torch.pi)
    assert float((masks.abs() - 1).abs().max()) < 1e-6  # complex64 rounding of a unit number
    assert float((step - step.round()).abs().max()) < 1e-5  # float32 rounding, angles to pi
    start = trained(SMALL).collapse().optics.transmittance().angle()
    turned = torch.polar(torch.ones_like(start), start) * masks.conj()
    assert float(turned.angle().abs().max()) <= torch.pi / 8 + 1e-5  # half a step


def test_phase_only_student_depends_on_its_seed_alone() -> None:
    """Its back end is new: drawn from the seed, whatever the caller drew before."""
    student = trained(SMALL)
    first = phase_only(student, 8, seed=3).state_dict()
    torch.rand(5)
    again, other = (phase_only(student, 8, seed=seed).state_dict() for seed in (3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["back_end.linear.weight"], other["back_end.linear.weight"])


def test_masks_put_back_from_a_bank_give_the_same_signal() -> None:
    student = trained(SMALL).collapse()
    back = with_masks(student, bank_of(student.optics))
    with torch.no_grad():
        before, after = student(PICTURES), back(PICTURES)
    assert float((before - after).norm() / before.norm()) < SINGLE


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(SMALL, channels=(1, 3, 4)), r"2 -> 4 channels, got 1 -> 4"),
        (replace(SMALL, shape=(16, 16)), r"input_shape \(16, 14\), got \(16, 16\)"),
        (replace(SMALL, spacing="8 um"), r"input_spacing"),
        (replace(SMALL, wavelength="633 nm"), r"wavelength 5.32e-07, got 6.33e-07"),
    ],
)
def test_masks_of_another_bench_are_refused(other: StudentDesign, words: str) -> None:
    """They would give a number, and the number would mean nothing."""
    foreign = bank_of(SCLC(other).collapse().optics)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        with_masks(trained(SMALL), foreign)


def test_guard_band_and_square_pixels_change_the_signal_but_little_in_the_middle() -> None:
    """A small spot far from the border: circular and linear convolution agree but for the envelope."""
    student = trained(replace(SMALL, shape=(16, 16))).collapse()
    spot = torch.zeros(1, 2, 16, 16)
    spot[..., 7:9, 7:9] = 1
    with torch.no_grad():
        ideal = student.signal(spot)
        wide = with_masks(student, bank_of(student.optics), oversample=3).signal(spot)
    middle = (..., slice(1, -1), slice(1, -1))
    assert wide.shape == ideal.shape
    # The envelope sinc^2 takes at most 30 % within the middle three fifths of the field.
    assert float((ideal[middle] - wide[middle]).abs().sum() / ideal[middle].sum()) < 0.3
    assert float((ideal - wide).abs().max()) > 0


@pytest.mark.parametrize("make", [lambda student: student, lambda student: phase_only(student, 16).eval()])
def test_saved_student_comes_back(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    student = make(trained(SMALL))
    save_student(student, tmp_path, {"why": "test"})
    back = load_student(tmp_path)
    assert back.design == student.design
    assert torch.equal(back(PICTURES), student(PICTURES))


def _edit(folder: Path, **changes: object) -> None:
    header = json.loads((folder / "student.json").read_text())
    (folder / "student.json").write_text(json.dumps(header | changes))


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda folder: (folder / "student.json").unlink(), "expected a folder with student.json"),
        (lambda folder: (folder / "student.json").write_text("{"), "expected JSON"),
        (lambda folder: _edit(folder, format="else"), "expected the format"),
        (lambda folder: _edit(folder, format_version=99), "expected format version 1 to 2, got 99"),
        (lambda folder: _edit(folder, design={}), "expected a design"),
        (lambda folder: (folder / "student.safetensors").unlink(), "student.safetensors"),
        (lambda folder: (folder / "student.safetensors").write_bytes(b"12"), "expected numbers"),
    ],
)
def test_damaged_student_is_refused(tmp_path: Path, harm, error: str) -> None:  # type: ignore[no-untyped-def]
    save_student(trained(SMALL), tmp_path)
    harm(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=error):
        load_student(tmp_path)


def test_bad_designs_are_refused() -> None:
    with pytest.raises(ValueError, match="expected readout strict or detected or paper_code, got 'relu'"):
        StudentDesign("relu")
    with pytest.raises(ValueError, match="expected 2 kernel sizes and 2 stops"):
        replace(SMALL, stops=(9,))


def test_full_width_teacher_has_the_channels_of_the_paper() -> None:
    """64-192-384-256-256: the number of weights of five 3x3 convolutions, their norms, and one layer."""
    channels = (3, 64, 192, 384, 256, 256)
    convolutions = sum(9 * a * b + 2 * b for a, b in pairwise(channels))
    expected = convolutions + 256 * 16 * 10 + 10
    assert sum(p.numel() for p in AlexNet32(3, 10, width=1).parameters()) == expected
