"""CIFAR-10's experiments in small: views, the best linear classifier, and what networks are."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from optics4f.fourier import crop_center, ft2, ift2, pad_center
from optics4f.grid import Grid
from optics4f.models.data import Split
from optics4f.models.experiments.classification import networks
from optics4f.models.experiments.record import Options
from optics4f.models.lesson import lesson
from optics4f.models.linear_fit import best_linear, passing
from optics4f.models.loader import Loader
from optics4f.models.runconfig import RunConfig
from optics4f.models.sclc import SCLC, StudentDesign

pytest.importorskip("safetensors")
pytest.importorskip("joblib")

VIEWS = RunConfig(batch_size=8, shift=2, flip=True, views=3)


def some(count: int, seed: int, side: int = 32) -> Split:
    generator = torch.Generator().manual_seed(seed)
    return Split(torch.rand(count, 3, side, side, generator=generator), torch.arange(count) % 10)


def teacher() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 10))


def test_views_come_round_and_bring_the_teachers_words(tmp_path: Path) -> None:
    """Three views, asked for once: in every epoch each picture's logits are those of the picture as shown."""
    split, network = some(20, 0, side=8), teacher()
    taught = lesson(split, network, tmp_path, VIEWS)
    assert taught.teacher is not None and taught.teacher.shape == (20, 3, 10)
    epochs = []
    loader = Loader(taught, VIEWS)
    for _ in range(4):
        batches = list(loader)
        for batch in batches:
            assert batch.teacher is not None
            # one product in float32, in batches of another size
            assert float((batch.teacher - network(batch.images).detach()).abs().max()) < 1e-5
        order = loader.order.argsort()
        epochs.append(torch.cat([batch.images for batch in batches])[order])
    assert torch.equal(epochs[0], epochs[3])
    assert not torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[1], epochs[2])
    other = Loader(taught, replace(VIEWS, seed=5))
    shown = torch.cat([batch.images for batch in other])[other.order.argsort()]
    assert torch.equal(shown, epochs[0])  # one lesson serves all seeds


def test_a_loader_in_its_third_view_goes_on_there() -> None:
    one, other = (Loader(some(20, 0, side=8), VIEWS) for _ in range(2))
    for _ in range(2):
        list(one)
    other.set_state(one.state())
    pairs = zip(one, other, strict=True)
    assert all(torch.equal(mine.images, theirs.images) for mine, theirs in pairs)


def test_what_passes_is_all_that_passes() -> None:
    """Parseval: the numbers hold the power of the low-pass picture, and a strict student knows no more."""
    grid = Grid((12, 12), "10 um")
    pictures = some(5, 2, side=12).images.double()
    low = ift2(pad_center(crop_center(ft2(pictures + 0j), (5, 5)), (12, 12))).real
    numbers = passing(pictures, grid, 5)
    assert numbers.shape == (5, 75)
    # each frequency but 0 stands for two, that of its mirror image as well
    weights = torch.full((3, 25), 2.0, dtype=torch.float64)
    weights[:, 12] = 1
    power = (numbers.unflatten(1, (3, 25)).square() * weights).sum((1, 2))
    assert float((power - low.square().sum((1, 2, 3))).abs().max()) < 1e-10  # float64, sums of 432 terms
    assert float((passing(low, grid, 5) - numbers).abs().max()) < 1e-12
    design = StudentDesign("strict", (12, 12), channels=(3, 4), kernel_sizes=(3,), stops=(5,), pixels=5)
    student = SCLC(design).double().eval()
    with torch.no_grad():
        assert float((student(low) - student(pictures)).abs().max()) < 1e-9


def test_best_linear_is_at_the_minimum() -> None:
    """The gradient of the convex problem vanishes, in the standardised numbers in which it is stated."""
    split, grid = some(40, 3, side=8), Grid((8, 8), "10 um")
    split = split._replace(images=split.images.double())
    network = best_linear(split, grid, 3, decay=1e-2, steps=500)
    numbers = torch.cat([passing(images, grid, 3) for images in (split.images, split.images.flip(-1))])
    spread, mean = torch.std_mean(numbers, 0)
    weight = (network.get_buffer("weight") * spread).requires_grad_()
    bias = (network.get_buffer("bias") + network.get_buffer("weight") @ mean).requires_grad_()
    logits = nn.functional.linear((numbers - mean) / spread, weight, bias)
    loss = nn.functional.cross_entropy(logits, torch.cat((split.labels, split.labels)))
    (loss + 1e-2 * weight.square().sum()).backward()
    for found in (weight.grad, bias.grad):
        assert found is not None and float(found.abs().max()) < 1e-4  # L-BFGS stops at 1e-7 of its own scale


@pytest.mark.parametrize("preset", ["cpu", "full"])
def test_networks_are_what_their_names_say(preset: str) -> None:
    """An audit, not a name: strict is affine up to its logits, the others are not."""
    found = networks(Options(preset=preset))
    side = {"cpu": 32, "full": 224}[preset]
    pictures = torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))
    for name, affine, optics in (("strict", True, True), ("strict_published", False, True)):
        audit = SCLC(found[name].student).audit(pictures)
        assert (audit.affine, audit.optics_affine) == (affine, optics)
    if preset == "cpu":
        assert not SCLC(found["paper_code"].student).audit(pictures).optics_affine
        audit = SCLC(replace(found["detected"].student, channels=(3, 4))).audit(pictures)
        assert (audit.affine, audit.optics_affine, audit.conversions) == (False, True, 1)
