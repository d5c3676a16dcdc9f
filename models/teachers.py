"""Electronic CNNs that teach."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Square(nn.Module):
    r"""The square law :math:`x^2` in place of a ReLU: what a detector between two layers would do.

    Shape:
        Any, real, to the same.
    """

    def forward(self, signal: Tensor) -> Tensor:
        """The square of every number."""
        return signal.square()


class AlexNet(nn.Module):
    """AlexNet in one column: the names and, at 1000 classes, the 61,100,840 numbers of torchvision.

    Args:
        inputs: Channels of the picture.
        classes: Number of classes.

    Shape:
        (B, inputs, H, W), at least 63x63 and 224x224 by design, to logits (B, classes).

    Source: A. Krizhevsky, arXiv:1404.5997.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(inputs, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            *(nn.Dropout(0.5), nn.Linear(256 * 36, 4096), nn.ReLU(inplace=True)),
            *(nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(inplace=True)),
            nn.Linear(4096, classes),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.classifier(torch.flatten(self.avgpool(self.features(picture)), 1))
        return result


class AlexNet32(nn.Module):
    """AlexNet's five convolutions, three max-pools and ReLUs for pictures from 32x32 on, scaled by ``width``.

    Width 1 has the paper's channels 64-192-384-256-256. The three fully connected layers are one, as in the
    student's back end; batch normalisation follows each convolution. It is what lets the square law train:
    without it each layer squares the spread of the one before, and five layers raise it to the 32nd power.

    Args:
        inputs: Channels of the picture.
        classes: Number of classes.
        width: Factor on the number of channels.
        square: Whether :class:`Square` stands in place of every ReLU.
        size: Side of the pictures. Of larger ones the layer behind sees averages on 4x4 pixels, as many as
            32x32 leave.

    Shape:
        (B, inputs, size, size) to logits (B, classes).

    Source: A. Krizhevsky, I. Sutskever, G. E. Hinton, NeurIPS 25 (2012).
    """

    def __init__(
        self, inputs: int, classes: int, width: float = 0.25, square: bool = False, size: int = 32
    ) -> None:
        super().__init__()
        channels = [inputs, *(max(4, round(n * width)) for n in (64, 192, 384, 256, 256))]
        pools = (True, True, False, False, True)
        sizes = zip(channels[:-1], channels[1:], pools, strict=True)
        blocks = [_block(*each, square) for each in sizes]
        self.features = nn.Sequential(*blocks, *([nn.AdaptiveAvgPool2d(4)] if size > 32 else []))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels[-1] * 16, classes))

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.classifier(self.features(picture))
        return result


class Linear(nn.Module):
    """One fully connected layer on the pixels: what no front end has to beat.

    Args:
        inputs: Channels of the picture.
        classes: Number of classes.
        side: Of the picture.

    Shape:
        (B, inputs, side, side) to logits (B, classes).
    """

    def __init__(self, inputs: int, classes: int, side: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs * side * side, classes)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.layer(picture.flatten(1) - 0.5)
        return result


class SmallCNN(nn.Module):
    """Two convolutions with max-pools and one fully connected layer, for pictures of at least 16x16.

    Args:
        inputs: Channels of the picture.
        classes: Number of classes.
        width: Channels of the first convolution; the second has twice as many.

    Shape:
        (B, inputs, H, W) to logits (B, classes).
    """

    def __init__(self, inputs: int, classes: int, width: int = 16) -> None:
        super().__init__()
        blocks = _block(inputs, width, True), _block(width, 2 * width, True)
        self.features = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(4))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(2 * width * 16, classes))

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.classifier(self.features(picture))
        return result


class UNet(nn.Module):
    """A small U-Net for segmentation: ``depth`` halvings, as many doublings, skip connections in between.

    Convolutions are padded, so that the mask has the size of the picture, and normalised.

    Args:
        inputs: Channels of the picture.
        classes: Number of classes.
        width: Channels of the first level; each level below has twice as many.
        depth: Number of levels below the first.

    Shape:
        (B, inputs, H, W), H and W multiples of 2**depth, to logits per pixel (B, classes, H, W).

    Source: O. Ronneberger, P. Fischer, T. Brox, arXiv:1505.04597.
    """

    def __init__(self, inputs: int, classes: int, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.contract = nn.ModuleList(
            _double(*pair) for pair in zip([inputs, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        rising = widths[:0:-1]
        self.rise = nn.ModuleList(nn.ConvTranspose2d(n, n // 2, 2, stride=2) for n in rising)
        self.expand = nn.ModuleList(_double(n, n // 2) for n in rising)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits of every pixel."""
        kept: list[Tensor] = []
        signal: Tensor = self.contract[0](picture)
        for level in list(self.contract)[1:]:
            kept.append(signal)
            signal = level(self.pool(signal))
        for rise, expand, skip in zip(self.rise, self.expand, reversed(kept), strict=True):
            signal = expand(torch.cat((skip, rise(signal)), 1))
        result: Tensor = self.head(signal)
        return result


TEACHERS: dict[str, Callable[[int, int], nn.Module]] = {
    "alexnet": AlexNet,
    "alexnet32": AlexNet32,
    "square_alexnet32": lambda inputs, classes: AlexNet32(inputs, classes, square=True),
    "small_cnn": SmallCNN,
    "unet": UNet,
}


def teacher(name: str, classes: int, in_channels: int = 3) -> nn.Module:
    """A teacher by its name, untrained.

    Args:
        name: One of ``TEACHERS``.
        classes: Number of classes, at least 1.
        in_channels: Channels of the picture, at least 1.

    Raises:
        ValueError: If there is no such teacher, with the names there are, or no class or channel.
    """
    if name not in TEACHERS:
        raise ValueError(f"teacher: expected one of {', '.join(TEACHERS)}, got {name!r}.")
    if min(classes, in_channels) < 1:
        got = f"{classes} and {in_channels}"
        raise ValueError(f"teacher: expected at least one class and one channel, got {got}.")
    return TEACHERS[name](in_channels, classes)


def _block(inputs: int, outputs: int, pool: bool, square: bool = False) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        Square() if square else nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*parts, *([nn.MaxPool2d(2)] if pool else []))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*_block(inputs, outputs, False), *_block(outputs, outputs, False))
