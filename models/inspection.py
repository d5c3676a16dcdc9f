"""A look at every picture of a data set: sizes, broken files, how often each class occurs."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import torch

from optics4f.extras import require

from .datasets import PictureData
from .pictures import OnPicture


def picture_sizes(data: PictureData, on_picture: OnPicture | None = None) -> str:
    """Width and height, from the headers alone: the one size, or the range and the median.

    Raises:
        ValueError: If a header cannot be read; it says which.
    """
    sources = [source for split in data.splits.values() for source in split.pictures]
    sizes: list[tuple[int, int]] = []
    for done, source in enumerate(sources):
        content = source.read()
        try:
            sizes.append(require("PIL.Image", "train").open(io.BytesIO(content)).size)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(
                f"{source.name}: expected a picture, got {len(content)} bytes that are none."
            ) from error
        if on_picture is not None:
            on_picture(done + 1, len(sources))
    if len(set(sizes)) == 1:
        return "all {}x{}".format(*sizes[0])
    widths, heights = (sorted(values) for values in zip(*sizes, strict=True))
    ranges = (f"{v[0]} to {v[-1]} (median {v[len(v) // 2]})" for v in (widths, heights))
    return "width {}, height {}".format(*ranges)


def pixel_shares(data: PictureData, on_picture: OnPicture | None = None) -> str:
    """Decode everything; for segmentation, the share of each class among the pixels of the training split.

    Raises:
        ValueError: If a picture or a label picture is broken; it says which.
    """
    total, done = sum(map(len, data.splits.values())), 0
    counts: Counter[int] = Counter()
    for name, split in data.splits.items():
        whole = replace(split, form=replace(split.form, size=None))  # decoded as it is, nothing resized
        for index in range(len(whole)):
            _, labels = whole[index]
            if name == "train" and whole.masks:
                values, times = torch.unique(labels, return_counts=True)
                counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
            done += 1
            if on_picture is not None:
                on_picture(done, total)
    names = dict(enumerate(data.names)) | ({} if data.ignore is None else {data.ignore: "ignored"})
    pixels = sum(counts.values())
    return ", ".join(f"{names[c]} {100 * counts[c] / pixels:.1f} %" for c in sorted(counts))
