"""Classes gathered into fewer, such as car against rest, in splits that read their files when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .datasets import PictureData
from .pictures import Indices, LazySplit, Reader

if TYPE_CHECKING:
    from PIL.Image import Image

IGNORED = 255  # in label pictures of 8 bits no class has this index


def merged(data: PictureData, groups: Mapping[str, tuple[str, ...]]) -> PictureData:
    """The same pictures with classes gathered; pixels that do not count stay so, with the index 255.

    Args:
        data: A data set for segmentation.
        groups: The old classes of each new one, in the order of the new indices. An empty tuple takes all
            that no other group has.

    Raises:
        ValueError: If it is no data set for segmentation, a class is unknown, in two groups or in none, or
            more than one group is empty.

    Example:
        ``merged(load("camvid", size=(96, 128)), {"rest": (), "car": ("car",)})``
    """
    if data.train.reader is None:
        raise ValueError(f"merged: expected a data set for segmentation, got {data.name}.")
    table = np.full(256, IGNORED, dtype=np.uint8)
    table[: len(data.names)] = _new_indices(data.names, groups)
    return replace(
        data,
        names=tuple(groups),
        ignore=IGNORED,
        train=_with_table(data.train, table),
        validation=_with_table(data.validation, table),
        test=_with_table(data.test, table),
    )


def _new_indices(names: tuple[str, ...], groups: Mapping[str, tuple[str, ...]]) -> list[int]:
    """The new index of each old class."""
    new: dict[str, int] = {}
    for index, group in enumerate(groups.values()):
        for name in group:
            if name not in names or name in new:
                raise ValueError(f"merged: expected each of {', '.join(names)} once, got {name!r}.")
            new[name] = index
    rest = [index for index, group in enumerate(groups.values()) if not group]
    left = [name for name in names if name not in new]
    if len(rest) > 1 or (left and not rest):
        raise ValueError(
            f"merged: expected every class in a group, or one empty group for the rest, "
            f"got {len(rest)} empty and no group for {', '.join(left) or 'none'}."
        )
    return [new.get(name, rest[0] if rest else IGNORED) for name in names]


def _with_table(split: LazySplit, table: Indices) -> LazySplit:
    assert split.reader is not None  # checked for the training split, and all splits have the same kind
    return replace(split, reader=partial(_read, reader=split.reader, table=table))


def _read(image: Image, name: str, reader: Reader, table: Indices) -> Indices:
    indices: Indices = table[reader(image, name)]
    return indices
