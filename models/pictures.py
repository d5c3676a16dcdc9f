"""Pictures and label pictures, from files or table rows to tensors; a split that reads them when asked."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optics4f.extras import require

from .data import Split

if TYPE_CHECKING:
    from PIL.Image import Image

OnPicture = Callable[[int, int], None]
Indices = NDArray[np.uint8]


class Source(Protocol):
    """One encoded picture, wherever it is."""

    @property
    def name(self) -> str:
        """Where a person finds it."""

    @property
    def key(self) -> str:
        """What it is called within the data set, wherever that lies."""

    @property
    def length(self) -> int:
        """Number of encoded bytes."""

    def read(self) -> bytes:
        """The encoded bytes."""


class FilePicture(NamedTuple):
    """A picture in a file of its own."""

    path: Path
    root: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def key(self) -> str:
        """The path below the folder of the data set."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def length(self) -> int:
        """Number of encoded bytes."""
        return self.path.stat().st_size

    def read(self) -> bytes:
        """The encoded bytes."""
        return self.path.read_bytes()


class RowPicture(NamedTuple):
    """A picture in a row of a table, as ``datasets`` stores it: encoded bytes and a path."""

    column: Any
    row: int
    table: str
    key_table: str

    @property
    def name(self) -> str:
        """Table and row."""
        return f"{self.table}, row {self.row}"

    @property
    def key(self) -> str:
        """Table below the folder of the data set, and row."""
        return f"{self.key_table}:{self.row}"

    @property
    def length(self) -> int:
        """Number of encoded bytes."""
        return len(self.read())

    def read(self) -> bytes:
        """The encoded bytes."""
        content = self.column[self.row].as_py()
        if not content or not content.get("bytes"):
            raise ValueError(f"{self.name}: expected the bytes of a picture, got none.")
        return bytes(content["bytes"])


@dataclass(frozen=True)
class Form:
    """What pictures are brought to.

    Attributes:
        size: (height, width), or None to leave each picture as it is.
        grey: One channel instead of red, green and blue.
        crop: Cut the largest centred part with the wanted sides' ratio first, instead of changing the ratio.
    """

    size: tuple[int, int] | None
    grey: bool = False
    crop: bool = False

    def picture(self, image: Image) -> Tensor:
        """Tensor (C, H, W), float32 in [0, 1]; bilinear, averaging over what one new pixel covers."""
        converted = image.convert("L" if self.grey else "RGB")
        pixels = np.array(self._resized(converted, "BILINEAR"), dtype=np.float32)
        return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1).contiguous() / 255

    def labels(self, indices: Indices) -> Tensor:
        """Tensor (H, W) of class indices; the nearest pixel, since classes have no mean."""
        image = require("PIL.Image", "train").fromarray(indices)
        return torch.from_numpy(np.array(self._resized(image, "NEAREST"))).long()

    def _resized(self, image: Image, way: str) -> Image:
        if self.size is None or image.size == self.size[::-1]:
            return image
        filter_ = getattr(require("PIL.Image", "train").Resampling, way)
        if self.crop:
            fitted: Image = require("PIL.ImageOps", "train").fit(image, self.size[::-1], filter_)
            return fitted
        return image.resize(self.size[::-1], filter_)


def decoded(source: Source) -> Image:
    """The decoded picture.

    Raises:
        ValueError: If it is empty, truncated or no picture; it says which.
        FileNotFoundError: If the file is gone.
    """
    content = source.read()
    try:
        image: Image = require("PIL.Image", "train").open(io.BytesIO(content))
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow raises all four on broken files
        reason = f"{len(content)} bytes" if "BytesIO" in str(error) else str(error).splitlines()[0]
        raise ValueError(f"{source.name}: expected a picture that can be decoded, got: {reason}.") from error
    return image


T = TypeVar("T")


def chosen(values: tuple[T, ...], index: Sequence[int] | NDArray[np.intp]) -> tuple[T, ...]:
    """Those with these indices; nothing of nothing."""
    return tuple(values[i] for i in index) if values else ()


Reader = Callable[["Image", str], Indices]


@dataclass(frozen=True)
class LazySplit(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """A split that holds names and reads a picture when it is asked for; it can feed a ``DataLoader``.

    Attributes:
        pictures: Where the pictures are.
        classes: Class of each picture; empty for segmentation.
        masks: Label picture of each picture; empty for classification.
        form: What pictures are brought to.
        reader: Turns a label picture into class indices; checks them.
    """

    pictures: tuple[Source, ...]
    classes: tuple[int, ...]
    masks: tuple[Source, ...]
    form: Form
    reader: Reader | None = None

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    @property
    def length(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    @property
    def device(self) -> torch.device:
        """Pictures are decoded by the processor."""
        return torch.device("cpu")

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Picture (C, H, W), and its class () or the classes of its pixels (H, W).

        Raises:
            ValueError: If the file is broken, or a label picture has another size or an unknown class.
        """
        image = decoded(self.pictures[index])
        if self.reader is None:
            return self.form.picture(image), torch.tensor(self.classes[index])
        mask = decoded(self.masks[index])
        if mask.size != image.size:
            raise ValueError(
                f"{self.masks[index].name}: expected the size of its picture, {_size(image)}, "
                f"got {_size(mask)}."
            )
        return self.form.picture(image), self.form.labels(self.reader(mask, self.masks[index].name))

    def subset(self, index: Sequence[int] | NDArray[np.intp]) -> LazySplit:
        """The same split with these pictures alone; nothing is read."""
        return replace(
            self,
            pictures=chosen(self.pictures, index),
            classes=chosen(self.classes, index),
            masks=chosen(self.masks, index),
        )

    def taken(self, index: Tensor) -> Split:
        """Read the pictures with these indices; all of one size."""
        return _stacked([self[i] for i in index.tolist()])

    def read(self, on_picture: OnPicture | None = None) -> Split:
        """Read all into memory: 4 C H W bytes a picture, and for segmentation 8 H W more.

        Args:
            on_picture: Called with (read, total) after each picture, for progress bars.
        """
        if self.form.size is None:
            raise ValueError("LazySplit.read: expected a size that all pictures are brought to, got none.")
        images: Tensor | None = None
        labels = torch.empty(0)
        for done, (image, label) in enumerate(self[i] for i in range(len(self))):
            if (
                images is None
            ):  # the tensors are made once: a list of pictures and their stack are twice as much
                images = image.new_empty(len(self), *image.shape)
                labels = label.new_empty(len(self), *label.shape)
            images[done], labels[done] = image, label
            if on_picture is not None:
                on_picture(done + 1, len(self))
        return Split(torch.empty(0) if images is None else images, labels)


def _stacked(items: list[tuple[Tensor, Tensor]]) -> Split:
    images, labels = zip(*items, strict=True)
    return Split(torch.stack(images), torch.stack(labels))


def _size(image: Image) -> str:
    return f"{image.width}x{image.height}"
