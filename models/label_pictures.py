"""Label pictures to class indices: by index, by brightness, by colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pictures import Indices

if TYPE_CHECKING:
    from PIL.Image import Image


def index_labels(image: Image, name: str, classes: int, ignore: int | None) -> Indices:
    """Class indices from a palette or grey picture whose values are the indices.

    Raises:
        ValueError: If the picture is in colour, or has a value that is no class.
    """
    if image.mode not in ("P", "L", "1"):
        raise ValueError(f"{name}: expected class indices in a palette or grey picture, got {image.mode}.")
    indices = np.array(image, dtype=np.uint8)
    strange = [int(v) for v in np.flatnonzero(np.bincount(indices.ravel())) if v >= classes and v != ignore]
    if strange:
        also = "" if ignore is None or ignore < classes else f" or {ignore}"
        raise ValueError(f"{name}: expected classes 0 to {classes - 1}{also}, got {strange[0]}.")
    return indices


def half_labels(image: Image, name: str) -> Indices:
    """1 where a grey picture (0 to 255, or 0 and 1) is at least half bright, 0 elsewhere."""
    values = np.array(image.convert("L"))
    return (values >= (128 if values.max() > 1 else 1)).astype(np.uint8)


def colour_labels(image: Image, name: str, colours: dict[tuple[int, int, int], int]) -> Indices:
    """Class indices from a picture in which each class has its colour.

    Raises:
        ValueError: If a colour belongs to no class.
    """
    rgb = np.array(image.convert("RGB"), dtype=np.int32)
    codes, where = np.unique(rgb @ np.array([65536, 256, 1], dtype=np.int32), return_inverse=True)
    found = [(code // 65536, code // 256 % 256, code % 256) for code in codes.tolist()]
    for colour in found:
        if colour not in colours:
            raise ValueError(f"{name}: expected a colour of the class list, got {colour}.")
    classes = np.array([colours[colour] for colour in found], dtype=np.uint8)
    indices: Indices = classes[where].reshape(rgb.shape[:2])
    return indices
