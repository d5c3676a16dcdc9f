"""The teachers: their numbers and names, what the square law is given, and that each has a counterpart."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from optics4f.models.counterpart import counterpart
from optics4f.models.teachers import TEACHERS, AlexNet, AlexNet32, SmallCNN, Square, UNet, teacher


def test_alexnet_has_the_numbers_and_names_of_torchvision() -> None:
    network = teacher("alexnet", 1000)
    assert sum(p.numel() for p in network.parameters()) == 61_100_840
    names = [f"features.{n}" for n in (0, 3, 6, 8, 10)] + [f"classifier.{n}" for n in (1, 4, 6)]
    assert list(network.state_dict()) == [f"{name}.{part}" for name in names for part in ("weight", "bias")]


def test_alexnet_counts_its_planes_as_published() -> None:
    """224 -> 55 -> 27 -> 13 -> 6, each from floor((n + 2p - k) / s) + 1."""
    features = AlexNet(3, 10).features
    picture, sizes = torch.rand(1, 3, 224, 224), []
    with torch.no_grad():
        for layer in features:
            picture = layer(picture)
            sizes += [picture.shape[-1]] if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)) else []
    assert sizes == [55, 27, 27, 13, 13, 13, 13, 6]


def test_alexnet32_keeps_the_names_that_checkpoints_have() -> None:
    """A square law has no numbers, so that both forms load from one another."""
    names = list(AlexNet32(3, 10).state_dict())
    assert names[0] == "features.0.0.weight" and names[-2:] == ["classifier.2.weight", "classifier.2.bias"]
    assert list(AlexNet32(3, 10, square=True).state_dict()) == names
    assert sum(p.numel() for p in AlexNet32(3, 10, 0.125).parameters()) == 40_770  # as before the square law


def test_square_is_what_stands_in_place_of_every_relu() -> None:
    kinds = [type(part) for part in AlexNet32(1, 2, square=True).modules()]
    assert kinds.count(Square) == 5 and nn.ReLU not in kinds
    values = torch.linspace(-2, 2, 9)
    assert torch.equal(Square()(values), values * values)


@pytest.mark.parametrize("size", [33, 64, 224])
def test_alexnet32_of_larger_pictures_has_the_same_weights(size: int) -> None:
    """Averages on 4x4 pixels stand before the last layer, and have no weights."""
    small, large = AlexNet32(3, 4, 0.1).eval(), AlexNet32(3, 4, 0.1, size=size).eval()
    large.load_state_dict(small.state_dict())
    assert large(torch.rand(2, 3, size, size)).shape == (2, 4)
    assert large.features[:-1](torch.rand(1, 3, 32, 32)).shape[-2:] == (4, 4)


def test_square_alexnet_trains() -> None:
    """32 pictures without meaning are learnt by heart: the loss falls to a tenth of chance, ln 4 = 1.39."""
    network = AlexNet32(1, 4, width=0.125, square=True)
    network.classifier[1].p = 0.0  # dropout would keep the loss up
    pictures, labels = torch.rand(32, 1, 32, 32), torch.arange(32) % 4
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(40):
        loss = F.cross_entropy(network(pictures), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.139


def test_unet_gives_logits_for_every_pixel_and_uses_its_skips() -> None:
    """With the light from below cut off, only a skip connection can carry the picture to the mask."""
    network = UNet(3, 5, width=4, depth=2).eval()
    picture = torch.rand(2, 3, 16, 24)
    assert network(picture).shape == (2, 5, 16, 24)
    for layer in network.rise:
        nn.init.zeros_(layer.weight)
    assert float((network(picture) - network(picture.flip(-1))).detach().abs().max()) > 1e-3


def test_unet_halves_as_often_as_told() -> None:
    with pytest.raises(RuntimeError):  # 12 is no multiple of 8
        UNet(1, 2, width=4, depth=3)(torch.rand(2, 1, 12, 12))
    assert UNet(1, 2, width=4, depth=2)(torch.rand(1, 1, 12, 12)).shape[-1] == 12


def test_small_cnn_takes_any_picture() -> None:
    for n in (16, 21, 40):
        assert SmallCNN(2, 3)(torch.rand(1, 2, n, n)).shape == (1, 3)


@pytest.mark.parametrize("name", TEACHERS)
def test_every_teacher_has_a_counterpart_that_gives_what_it_gives(name: str) -> None:
    n = 64 if name == "alexnet" else 32
    network = teacher(name, 4, 2).eval()
    picture = torch.rand(1, 2, n, n)
    student = counterpart(network, (2, n, n))
    with torch.no_grad():
        assert student(picture).shape == network(picture).shape


def test_refuses_unknown_teachers_and_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"expected one of alexnet, alexnet32, .*unet, got 'resnet'"):
        teacher("resnet", 10)
    with pytest.raises(ValueError, match="at least one class and one channel, got 0 and 3"):
        teacher("unet", 0)
