"""Data and training: honest splits, a loop that learns, keeps the best epoch and repeats itself."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from optics4f.models.data import ImageData, Split, batches, cifar10, digits, load
from optics4f.models.distill import label_loss
from optics4f.models.train import TrainConfig, accuracy, fit

datasets = pytest.importorskip("datasets")


def small(pictures: int = 8) -> ImageData:
    """A data set of noise with labels: it can only be learned by heart."""
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(pictures, 1, 6, 6, generator=generator), torch.arange(pictures) % 4)
    return ImageData("noise", "noise", 4, split, split, split)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 4))


def test_overfits_eight_pictures() -> None:
    found = fit(network(), small(), label_loss, TrainConfig(epochs=60, batch_size=4, learning_rate=0.05))
    assert found.validation_accuracy == 1  # 36 weights a class, 2 pictures of each: separable


def test_same_seed_same_weights_to_the_bit() -> None:
    config = TrainConfig(epochs=3, batch_size=4, seed=7)
    one, other = network(), network()
    fit(one, small(), label_loss, config)
    fit(other, small(), label_loss, config)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_weights_of_the_best_epoch_are_kept() -> None:
    data, model = small(12), network()
    found = fit(model, data, label_loss, TrainConfig(epochs=8, batch_size=4, learning_rate=0.3))
    assert accuracy(model, data.validation) == found.validation_accuracy
    assert found.validation_accuracy == max(epoch["validation_accuracy"] for epoch in found.history)


def test_diverging_loss_stops_with_the_epoch() -> None:
    with pytest.raises(FloatingPointError, match="epoch 1"):
        fit(network(), small(), lambda logits, *_: logits.sum() * float("nan"), TrainConfig(epochs=2))


def test_digits_split_is_disjoint_complete_stratified_and_fixed() -> None:
    data, again = digits(8), digits(8)
    splits = (data.train, data.validation, data.test)
    assert sum(len(split.labels) for split in splits) == 1797
    rows = [tuple(image.flatten().tolist()) for split in splits for image in split.images]
    assert len(set(rows)) == len({*rows}) == 1797  # no picture of the set stands in it twice
    for split in splits:
        share = torch.bincount(split.labels, minlength=10) / len(split.labels)
        assert float((share - 0.1).abs().max()) < 0.01  # 174 to 183 pictures a class, whole ones
    assert torch.equal(data.test.images, again.test.images)


def test_resizing_is_bilinear() -> None:
    """A block of 4x4 lies 1/8 and 3/8 of a pixel off centre: its mean is 3/4 own, 1/8 each neighbour."""
    small_images, large_images = digits(8).train.images, digits(32).train.images
    edge = nn.functional.pad(small_images, (1, 1, 1, 1), mode="replicate")
    weights = torch.tensor([1 / 8, 3 / 4, 1 / 8])
    expected = nn.functional.conv2d(edge, torch.outer(weights, weights)[None, None])
    found = nn.functional.avg_pool2d(large_images, 4)
    assert float((found - expected).abs().max()) < 1e-6  # float32, values to 1


def test_every_picture_comes_once_an_epoch() -> None:
    data = small(10)
    seen = torch.cat([batch.images for batch in batches(data.train, 3, torch.Generator().manual_seed(0))])
    assert sorted(seen.flatten(1).sum(1).tolist()) == sorted(data.train.images.flatten(1).sum(1).tolist())


def _parquet(folder: Path, name: str, labels: list[int], column: str = "label") -> None:
    """Pictures in the layout of the public hub: img (bytes, path) and label."""
    from PIL import Image

    generator = np.random.default_rng(0)
    pictures = []
    for label in labels:
        colour = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        colour[0, :, 0], colour[1:, :, 0] = 255, label
        buffer = io.BytesIO()
        Image.fromarray(colour).save(buffer, format="PNG")
        pictures.append({"bytes": buffer.getvalue(), "path": None})
    features = datasets.Features({"img": datasets.Image(), column: datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"img": pictures, column: labels}, features=features)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(str(folder / f"{name}.parquet"))


def test_cifar10_in_its_true_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, labels in (("train", [0, 1] * 20), ("test", [3, 9])):
        _parquet(tmp_path / "cifar10", name, labels)
    monkeypatch.setenv("OPTICS4F_DATA", str(tmp_path))
    data = cifar10()
    assert (len(data.train.labels), len(data.validation.labels)) == (36, 4)
    assert data.test.labels.tolist() == [3, 9]
    assert torch.equal(data.test.images[:, 0, 0], torch.ones(2, 32))  # the red top row stays at the top
    assert torch.allclose(data.test.images[1, 0, 1:], torch.tensor(9 / 255))
    assert torch.bincount(data.validation.labels).tolist() == [2, 2]


def test_bad_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPTICS4F_DATA", raising=False)
    with pytest.raises(ValueError, match="expected one of digits, cifar10, got 'mnist'"):
        load("mnist")
    with pytest.raises(ValueError, match="OPTICS4F_DATA"):
        load("cifar10")
    with pytest.raises(FileNotFoundError, match=r"train\.parquet: expected a parquet file"):
        load("cifar10", tmp_path)
    _parquet(tmp_path, "train", [0, 1], column="fine_label")
    with pytest.raises(ValueError, match="expected columns img and label, got img, fine_label"):
        load("cifar10", tmp_path)
    _parquet(tmp_path, "train", [0, 10])
    with pytest.raises(ValueError, match="expected labels 0 to 9, got 0 to 10"):
        load("cifar10", tmp_path)
    (tmp_path / "train.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(ValueError, match=r"train\.parquet: expected a parquet file"):
        load("cifar10", tmp_path)
