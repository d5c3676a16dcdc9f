"""Students under the constraints of hardware: what each stage keeps, and what devices with errors are."""

import copy
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from optics4f.design import error_curve, shared_bases
from optics4f.fabrication import MaskSet, export_masks, read_back
from optics4f.fabrication.relief import quantise_phase
from optics4f.models.checkpoint import load_student, save_student
from optics4f.models.constrain import with_complex, with_masks, with_phase
from optics4f.models.curriculum import (
    complex_student,
    constrained,
    devices,
    efficiency,
    field_error,
    judged,
)
from optics4f.models.data import Split
from optics4f.models.designconfig import Noise
from optics4f.models.fewer_masks import MixedBench, accuracy_against_masks, mask_counts
from optics4f.models.process_draws import Made, device_errors, made_device, relief_bank
from optics4f.models.sclc import SCLC, StudentDesign

DESIGN = StudentDesign(shape=(8, 8), channels=(1, 3, 6), kernel_sizes=(3, 3), stops=(7, 5), pixels=5)
PICTURES = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
NO_NOISE = Noise(etch=0.0, overlay="0 nm", phase="0 rad", draws=2)
FLOAT = 2e-5  # float32: some hundred roundings of logits of order 1
STAGES = ("complex", "phase", "levels", "fabrication")


def student(**changes: Any) -> SCLC:
    """A student whose back end has seen pictures, as after training."""
    made = SCLC(replace(DESIGN, **changes), seed=2)
    made.train()
    with torch.no_grad():
        for _ in range(30):
            made(PICTURES[..., : made.design.shape[0], : made.design.shape[1]])
    return made.eval()


def logits(network: torch.nn.Module, pictures: torch.Tensor = PICTURES) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = network(pictures)
    return found


def optics(network: Any) -> Any:
    """The front end, which is one of several kinds."""
    return network.optics


def transmittance(network: SCLC) -> torch.Tensor:
    found: torch.Tensor = optics(network).transmittance().detach()
    return found


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool((one - other).abs().max() <= FLOAT * other.abs().max())


# ------------------------------------------------------------------------------------------ stages


@pytest.mark.parametrize("readout", ["strict", "detected"])
@pytest.mark.parametrize("masks", [0, 6])
def test_complex_masks_leave_the_logits_as_they_were(readout: str, masks: int) -> None:
    """The collapse is exact, a bank of all masks is a rotation of T, and standardising undoes folding."""
    start = student(readout=readout)
    made = constrained(complex_student(start, PICTURES, masks), "complex", 16, PICTURES)
    assert same(logits(made), logits(start))
    assert field_error(start, made, PICTURES) < FLOAT
    again = complex_student(made, PICTURES, 0)  # from one bank, a mesh behind it or none
    assert same(logits(again), logits(start))


def test_companding_and_hidden_layers_survive() -> None:
    start = student(companding="sqrt", back_end="published")
    # The root makes a rounding error of dark pixels larger, the layers behind it add theirs.
    assert torch.allclose(logits(complex_student(start, PICTURES)), logits(start), atol=1e-3)


def test_phases_are_all_that_is_left_and_they_are_kept() -> None:
    """|t| = 1 to float32 everywhere inside the stop, at the phases of T, and then in equal steps."""
    start = complex_student(student(), PICTURES)
    phase = constrained(start, "phase", 16, PICTURES)
    levels = constrained(phase, "levels", 8, PICTURES)
    drawn, stepped = transmittance(phase), transmittance(levels)
    assert float((drawn.abs() - 1).abs().max()) < 1e-6
    assert float((drawn * transmittance(start).conj()).angle().abs().max()) < 1e-5
    steps = stepped.angle() / (2 * math.pi / 8)
    assert float((steps - steps.round()).abs().max()) < 1e-5
    # A step of 2 pi/L moves a phase by at most half of itself.
    assert float((stepped * drawn.conj()).angle().abs().max()) <= math.pi / 8 + 1e-5
    assert torch.equal(logits(constrained(levels, "fabrication", 8, PICTURES)), logits(levels))


@pytest.mark.parametrize("masks", [0, 4])
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_comes_back_from_its_folder(tmp_path: Path, stage: str, masks: int) -> None:
    made = complex_student(student(), PICTURES, masks)
    for name in STAGES[: STAGES.index(stage) + 1]:
        made = constrained(made, name, 8, PICTURES)
    save_student(made, tmp_path)
    assert torch.equal(logits(load_student(tmp_path)), logits(made))


def test_masks_come_back_from_layout_and_bitmaps_level_for_level(tmp_path: Path) -> None:
    made = constrained(complex_student(student(), PICTURES, 4), "levels", 8, PICTURES)
    bank = relief_bank(made, 8)
    export_masks(MaskSet({"relief": bank}), tmp_path, ("gds", "oas", "bitmap"), material="fused-silica")
    wanted = quantise_phase(np.angle(bank.transmittance), 8)
    for name in ("gds", "oas", "bitmap"):
        read = read_back(tmp_path, name).banks["relief"]
        assert np.array_equal(quantise_phase(np.angle(read.transmittance), 8), wanted)
        assert same(logits(with_masks(made, read)), logits(made))  # the mesh stays behind them


def test_a_calibrated_back_end_standardises_what_it_reads() -> None:
    made = constrained(complex_student(student(), PICTURES), "phase", 16, PICTURES)
    with torch.no_grad():
        read = made.back_end.standardise(made.back_end.companded(made.signal(PICTURES)))
    assert float(read.mean((0, 2, 3)).abs().max()) < 1e-4
    # The variance is over all pictures and pixels; 1e-5 is added to it before the root.
    assert float((read.var((0, 2, 3), unbiased=False) - 1).abs().max()) < 1e-3


def test_error_falls_with_the_masks_as_discarded_singular_values_do() -> None:
    start = complex_student(student(), PICTURES)
    transfer = optics(start).transfer().detach()
    values = torch.linalg.svdvals(transfer.flatten(1).to(torch.complex128))
    errors = []
    for masks in range(1, 7):
        reduced = complex_student(start, PICTURES, masks).optics
        assert isinstance(reduced, MixedBench)
        got, bench = reduced.transfer().detach(), reduced.bench
        got = got * (transfer.abs().square().sum() / (got.conj() * transfer).sum())  # one brightness for all
        approximate = torch.einsum("om,mihw->oihw", *shared_bases(transfer, masks))
        errors.append(float((transfer - approximate).norm() / transfer.norm()))
        assert errors[-1] == pytest.approx(float(error_curve(transfer)[masks]), abs=1e-6)
        assert errors[-1] == pytest.approx(
            float(values[masks:].square().sum().sqrt() / values.square().sum().sqrt()), abs=1e-6
        )
        assert bench.masks.channels == (masks, 1)
        # T_M is the projection of T, and the mesh mixes just that, but for brightness.
        along = approximate * ((approximate.conj() * got).sum() / approximate.abs().square().sum())
        assert float((got - along).norm() / got.norm()) < FLOAT
    assert all(late < early for early, late in pairwise(errors))
    assert errors[-1] < 1e-6


def test_a_mesh_keeps_the_power_and_the_curve_has_all_masks() -> None:
    reduced = complex_student(student(), PICTURES, 3).optics
    assert isinstance(reduced, MixedBench)
    weights = reduced.weights.to(torch.complex128)
    identity = torch.eye(3, dtype=torch.complex128)
    assert float((weights.mH @ weights - identity).abs().max()) < 1e-6  # float32
    field = torch.randn(2, 3, 5, 5, dtype=torch.complex64)
    mixed = reduced.mixed(field)
    assert float(mixed.abs().square().sum()) == pytest.approx(float(field.abs().square().sum()), rel=1e-5)
    start = complex_student(student(), PICTURES)
    rows = accuracy_against_masks(start, Split(PICTURES, logits(start).argmax(1)), mask_counts(6))
    assert [row.masks for row in rows] == [1, 2, 4, 6]
    assert rows[-1].accuracy == 1 > rows[0].accuracy


def test_too_many_masks_and_dark_edges_are_refused() -> None:
    start = student()
    with pytest.raises(ValueError, match="expected 1 to 6, got 7"):
        with_complex(start.optics, 7)
    even = complex_student(student(stops=(7, 4), pixels=4), PICTURES)
    with pytest.raises(ValueError, match=r"expected a last stop of odd size.*got \(4, 4\)"):
        with_phase(even.optics, 8)
    relay = SCLC(replace(DESIGN, readout="paper_code"))
    with pytest.raises(ValueError, match="expected optics that are one linear system, got a Relay"):
        complex_student(relay, PICTURES)


def test_phase_masks_without_a_stop_lose_no_light() -> None:
    """One input channel, |t| = 1 on the whole plane: every photon reaches the output plane."""
    whole = student(shape=(7, 7), channels=(1, 4), kernel_sizes=(3,), stops=(7,), pixels=7)
    pictures = PICTURES[..., :7, :7]
    phase = constrained(complex_student(whole, pictures), "phase", 16, pictures)
    assert efficiency(phase, pictures) == pytest.approx(1, abs=1e-5)  # float32 sums
    assert efficiency(complex_student(whole, pictures), pictures) < 0.9


def test_a_common_factor_is_no_error_and_a_phase_error_is_its_closed_form() -> None:
    """One of two channels of power p_1 and p_2 is turned by theta: the best c is (p_1 e^{-i theta} + p_2)/p,
    which leaves 2 |sin(theta/2)| sqrt(p_1 p_2)/p."""
    two = student(channels=(1, 2), kernel_sizes=(3,), stops=(7,), pixels=7)
    made = constrained(complex_student(two, PICTURES), "phase", 16, PICTURES)
    turned = copy.deepcopy(made)
    with torch.no_grad():
        optics(turned).masks.values[0] += 0.3
        powers = made.optics(made.source(PICTURES)).abs().square().sum((0, 2, 3)).double()
    share = math.sqrt(float(powers[0] * powers[1])) / float(powers.sum())
    assert field_error(made, turned, PICTURES) == pytest.approx(2 * math.sin(0.15) * share, rel=1e-4)
    with torch.no_grad():
        optics(turned).masks.values[1] += 0.3
    assert field_error(made, turned, PICTURES) < FLOAT


# --------------------------------------------------------------------------------------- the noise


def relief() -> SCLC:
    return constrained(complex_student(student(), PICTURES), "levels", 8, PICTURES)


def test_etch_depths_scatter_by_what_is_stated() -> None:
    depths = [device_errors(Noise(etch=0.04), (5, 2, index)).etch for index in range(500)]
    # A standard deviation of 500 draws is known to 1/sqrt(2 x 500); three times that.
    assert np.std(depths) == pytest.approx(0.04, rel=3 / math.sqrt(1000))
    assert abs(np.mean(depths)) < 3 * 0.04 / math.sqrt(500)


def test_phases_scatter_by_what_is_stated() -> None:
    bank = relief_bank(relief(), 8)
    noise = Noise(etch=0.0, overlay="0 nm", phase="0.1 rad")
    made = [made_device(bank, noise, 8, (5, 2, index)).transmittance for index in range(20)]
    errors = np.angle(np.stack(made) / bank.transmittance)
    assert errors.std() == pytest.approx(0.1, rel=3 / math.sqrt(2 * errors.size))
    assert not np.array_equal(made[0], made[1])


def test_layers_are_shifted_by_what_is_stated() -> None:
    """A step of pi etched in one layer, shifted by s: the pixel at its edge has the mean 1 - 2 |s|/pitch."""
    bank = relief_bank(relief(), 8)
    step = np.ones((1, 1, 5, 5), np.complex64)
    step[..., 3:] = -1
    bank = replace(bank, transmittance=step, levels=2)
    noise = Noise(etch=0.0, overlay="20 um", phase="0 rad")
    shifts = []
    for index in range(400):
        row = made_device(bank, noise, 2, (5, 2, index)).transmittance[0, 0, 2].real
        shifts.append((1 - np.abs(row[2:4]).min()) / 2 * bank.pitch[1])
    assert np.sqrt(np.mean(np.square(shifts))) == pytest.approx(20e-6, rel=3 / math.sqrt(800))


def test_without_noise_every_device_is_as_drawn() -> None:
    made = relief()
    split = Split(PICTURES, logits(made).argmax(1))
    assert judged(made, split, NO_NOISE, 8, 0).made == (1.0, 1.0)
    assert judged(complex_student(student(), PICTURES), split, NO_NOISE, 8, 0).made == ()
    in_training = Made(made, NO_NOISE, 8, 0).train()
    field = made.source(PICTURES)
    with torch.no_grad():
        drawn = made.optics(field)
        assert float((in_training.field(field) - drawn).abs().max()) < FLOAT * float(drawn.abs().max())


def test_a_device_in_training_is_the_one_that_a_bank_of_its_masks_gives() -> None:
    """The light in training against that through masks that were stored and put back: complex64 between."""
    noise = Noise(etch=0.1, overlay="50 um", phase="0.2 rad")
    for masks in (0, 4):
        made = constrained(complex_student(student(), PICTURES, masks), "levels", 8, PICTURES)
        in_training = Made(made, noise, 8, 7).train()
        in_training.device.fill_(3)
        device = with_masks(made, made_device(relief_bank(made, 8), noise, 8, (7, 1, 3)))
        with torch.no_grad():
            field = made.source(PICTURES)
            got, wanted, drawn = in_training.field(field), device.optics(field), made.optics(field)
        assert float((got - wanted).abs().max()) < FLOAT * float(wanted.abs().max())
        assert float((got - drawn).abs().max()) > 0.05 * float(wanted.abs().max())


def test_each_step_draws_another_device_and_evaluation_none() -> None:
    made = Made(relief(), Noise(), 8, 0)
    assert torch.equal(logits(made.eval()), logits(made.student)) and int(made.device) == 0
    made.train()
    ratios = []
    for _ in range(2):
        logits(made)
        ratios.append(made.ratio())
    assert int(made.device) == 2 and not torch.equal(*ratios)
    made(PICTURES).square().sum().backward()
    assert float(optics(made.student).masks.values.grad.abs().min()) > 0


def test_devices_to_judge_by_are_the_same_for_every_student_and_none_is_trained_with() -> None:
    made, noise = relief(), Noise(draws=3)
    first, second = ([logits(device) for device in devices(made, noise, 8, 0)] for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    judging = {device_errors(noise, (0, 2, index)).etch for index in range(50)}
    assert not judging & {device_errors(noise, (0, 1, index)).etch for index in range(50)}
