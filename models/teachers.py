"""Electronic CNNs that teach."""

from __future__ import annotations

from torch import Tensor, nn


class AlexNet32(nn.Module):
    """AlexNet's five convolutions, three max-pools and ReLUs for pictures of 32x32, scaled by ``width``.

    Width 1 has the paper's channels 64-192-384-256-256. The three fully connected layers are one, as in the
    student's back end; batch normalisation follows each convolution.

    Args:
        inputs: Channels of the picture.
        classes: Number of classes.
        width: Factor on the number of channels.

    Shape:
        (B, inputs, 32, 32) to logits (B, classes).

    Source: A. Krizhevsky, I. Sutskever, G. E. Hinton, NeurIPS 25 (2012).
    """

    def __init__(self, inputs: int, classes: int, width: float = 0.25) -> None:
        super().__init__()
        channels = [inputs, *(max(4, round(n * width)) for n in (64, 192, 384, 256, 256))]
        pools = (True, True, False, False, True)
        blocks = [_block(*sizes) for sizes in zip(channels[:-1], channels[1:], pools, strict=True)]
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels[-1] * 16, classes))

    def forward(self, picture: Tensor) -> Tensor:
        """Logits."""
        result: Tensor = self.classifier(self.features(picture))
        return result


def _block(inputs: int, outputs: int, pool: bool) -> nn.Sequential:
    parts: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*parts, *([nn.MaxPool2d(2)] if pool else []))
