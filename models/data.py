"""The data sets, each split once into train, validation and test with a fixed seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from optics4f.extras import require

SPLIT_SEED = 0


class Split(NamedTuple):
    """Pictures (B, C, H, W) in [0, 1], row 0 at the top, labels, and perhaps a teacher's logits.

    Labels are classes of pictures (B,), or classes of pixels (B, H, W).
    """

    images: Tensor
    labels: Tensor
    teacher: Tensor | None = None

    @property
    def length(self) -> int:
        """Number of pictures; ``len`` of a tuple is that of its fields."""
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.labels.device

    def to(self, device: torch.device | str) -> Split:
        """The same split on a device."""
        teacher = None if self.teacher is None else self.teacher.to(device)
        return Split(self.images.to(device), self.labels.to(device), teacher)

    def taken(self, index: Tensor) -> Split:
        """The pictures with these indices."""
        teacher = None if self.teacher is None else self.teacher[index]
        return Split(self.images[index], self.labels[index], teacher)


class Batched(Protocol):
    """What :func:`batches` takes: a split in memory, or one that reads its files when asked."""

    @property
    def length(self) -> int:
        """Number of pictures."""

    @property
    def device(self) -> torch.device:
        """Where indices are expected."""

    def taken(self, index: Tensor) -> Split:
        """The pictures with these indices."""


@dataclass(frozen=True)
class ImageData:
    """A data set in three splits. Select on ``validation``; look at ``test`` once, at the end.

    Attributes:
        name: Of the data set.
        note: What was done to it, for a report.
        classes: Number of classes that count.
        train: For training.
        validation: For choosing.
        test: For the last look.
        names: Of the classes, where known.
        ignore: The class index of pixels that no score and no loss counts; None if all count.
    """

    name: str
    note: str
    classes: int
    train: Split
    validation: Split
    test: Split
    names: tuple[str, ...] = ()
    ignore: int | None = None

    def to(self, device: torch.device | str) -> ImageData:
        """The same data on a device."""
        train, validation, test = (split.to(device) for split in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)


def digits(size: int = 32) -> ImageData:
    """Real handwritten digits that ship with scikit-learn, 1797 pictures of 8x8, resized to ``size``.

    60 % train, 20 % validation, 20 % test, stratified, always the same split.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.

    Raises:
        MissingExtraError: If scikit-learn is not installed.
    """
    require("sklearn", "train")
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = torch.from_numpy(raw.images / 16).float()[:, None]
    images = torch.nn.functional.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    labels = torch.from_numpy(raw.target).long()
    whole, parts = Split(images, labels), stratified(labels.numpy(), (0.2, 0.2))
    train, validation, test = (whole.taken(torch.from_numpy(index)) for index in parts)
    note = f"scikit-learn digits, 8x8 resized to {size}x{size}, bilinear"
    return ImageData("digits", note, 10, train, validation, test)


def cifar10(size: int = 32, folder: str | Path | None = None) -> ImageData:
    """CIFAR-10 from parquet files ``train.parquet`` and ``test.parquet`` with columns ``img`` and ``label``.

    The test split is the data set's own; a stratified tenth of the training pictures is the validation split.

    Args:
        size: Pictures are resized to this if they differ.
        folder: Where the files are; ``$OPTICS4F_DATA/cifar10`` if not given. Nothing is downloaded.

    Raises:
        ValueError: If a file lacks a column, a label is outside 0 to 9, or pictures are not 32x32 RGB.
        FileNotFoundError: If a file is missing.
        MissingExtraError: If ``datasets`` is not installed.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    place = _folder(folder, "cifar10")
    whole, test = (_parquet(place / f"{name}.parquet", size) for name in ("train", "test"))
    kept, held = stratified(whole.labels.numpy(), (0.1,))
    train, validation = (whole.taken(torch.from_numpy(index)) for index in (kept, held))
    return ImageData("cifar10", f"CIFAR-10 at {size}x{size}", 10, train, validation, test)


DATA: dict[str, Callable[..., ImageData]] = {"digits": digits, "cifar10": cifar10}


def load(name: str, folder: str | Path | None = None, size: int = 32) -> ImageData:
    """A data set by name.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in DATA:
        raise ValueError(f"data: expected one of {', '.join(DATA)}, got {name!r}.")
    return DATA[name](size) if name == "digits" else DATA[name](size, folder)


def batches(split: Batched, batch_size: int, generator: torch.Generator) -> Iterator[Split]:
    """The batches of one epoch, in random order."""
    order = torch.randperm(split.length, generator=generator)
    for index in order.to(split.device).split(batch_size):
        yield split.taken(index)


def stratified(labels: np.ndarray, fractions: tuple[float, ...], seed: int = SPLIT_SEED) -> list[np.ndarray]:
    """Indices of what remains, then of one part per fraction of the whole, classes in proportion."""
    require("sklearn", "train")
    from sklearn.model_selection import train_test_split

    parts: list[np.ndarray] = []
    rest = np.arange(len(labels))
    for fraction in fractions:
        size = round(fraction * len(labels))
        rest, part = train_test_split(rest, test_size=size, stratify=labels[rest], random_state=seed)
        parts.append(part)
    return [rest, *parts]


def _folder(folder: str | Path | None, name: str) -> Path:
    if folder is not None:
        return Path(folder)
    root = os.environ.get("OPTICS4F_DATA")
    if not root:
        raise ValueError(
            f"{name}: expected --data-dir or the environment variable OPTICS4F_DATA, got neither."
        )
    return Path(root) / name


def _parquet(path: Path, size: int) -> Split:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a parquet file with columns img and label, found none.")
    try:
        table: Any = require("datasets", "train").Dataset.from_parquet(str(path), keep_in_memory=True)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: expected a parquet file, got: {str(error).splitlines()[0]}") from error
    if not {"img", "label"} <= set(table.column_names):
        raise ValueError(f"{path}: expected columns img and label, got {', '.join(table.column_names)}.")
    labels = torch.tensor(table["label"])
    if int(labels.min()) < 0 or int(labels.max()) > 9:
        raise ValueError(f"{path}: expected labels 0 to 9, got {int(labels.min())} to {int(labels.max())}.")
    pictures = np.stack([np.asarray(picture.convert("RGB")) for picture in table["img"]])
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    if images.shape[-1] != size:
        images = torch.nn.functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return Split(images, labels)
