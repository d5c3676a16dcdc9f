"""The data sets of the experiments by name: found, checked, in three splits, and read when asked."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optics4f.extras import require

from .data import SPLIT_SEED, ImageData, stratified
from .layouts import Found, Listed
from .parquet import listed_table
from .pictures import Form, LazySplit, OnPicture, chosen
from .registry import KNOWN, Known

SPLIT_NAMES = ("train", "validation", "test")
VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class PictureData:
    """A data set in three splits that read their files when asked; see :class:`ImageData` for the rules.

    Attributes:
        name: Of the data set.
        note: What it is and where it came from.
        names: Of the classes that count.
        ignore: Class index of pixels that no score and no loss counts.
        train: For training.
        validation: For choosing.
        test: For the last look.
        left_out: Pictures known to be broken in every copy.
    """

    name: str
    note: str
    names: tuple[str, ...]
    ignore: int | None
    train: LazySplit
    validation: LazySplit
    test: LazySplit
    left_out: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes that count."""
        return len(self.names)

    @property
    def splits(self) -> dict[str, LazySplit]:
        """The three splits by name."""
        return {name: getattr(self, name) for name in SPLIT_NAMES}

    @property
    def digest(self) -> str:
        """SHA-256 over split, name, length and class of every picture, wherever the folder lies."""
        total = hashlib.sha256()
        for name, split in self.splits.items():
            for index, picture in enumerate(split.pictures):
                words = [name, picture.key, str(picture.length)]
                if split.masks:
                    words += [split.masks[index].key, str(split.masks[index].length)]
                else:
                    words.append(str(split.classes[index]))
                total.update(("\t".join(words) + "\n").encode())
        return total.hexdigest()

    def read(self, on_picture: OnPicture | None = None) -> ImageData:
        """Everything as tensors in memory; for sets that fit.

        Args:
            on_picture: Called with (read, total) after each picture, for progress bars.
        """
        total, before, splits = sum(map(len, self.splits.values())), 0, []
        for split in self.splits.values():
            splits.append(split.read(_shifted(on_picture, before, total)))
            before += len(split)
        train, validation, test = splits
        rest = (self.names, self.ignore)
        return ImageData(self.name, self.note, self.classes, train, validation, test, *rest)


def load(
    name: str,
    root: str | Path | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = SPLIT_SEED,
    *,
    grey: bool = False,
    crop: bool = False,
    strict: bool = True,
    download: bool = False,
) -> PictureData:
    """A data set by name, in the layout in which it lies there; files are found and checked, none is decoded.

    Args:
        name: One of :data:`KNOWN`.
        root: Its folder; ``$OPTICS4F_DATA/<name>`` if not given.
        size: Height and width of all pictures; None leaves them as they are.
        seed: Of the splits that the data set does not have itself.
        grey: One channel instead of three.
        crop: Cut the centred part with the sides' ratio of ``size`` instead of squeezing the picture.
        strict: Refuse a copy with more or fewer pictures than the data set has.
        download: Fetch it from the hub, where that has it, when no folder is given.

    Raises:
        ValueError: If the name is unknown, or the copy has other classes, counts or names than the data set.
        FileNotFoundError: If nothing is there in a known layout, or a listed file is missing.
        MissingExtraError: If a library of the extra ``train`` is not installed.
    """
    if name not in KNOWN:
        raise ValueError(f"data: expected one of {', '.join(KNOWN)}, got {name!r}.")
    known = KNOWN[name]
    form = Form(_pair(size), grey, crop)
    if root is None and download:
        found, counts, place = _fetched(name, known)
    else:
        found, counts, place = _found(name, known, _root(name, root, known))
    names = _names(name, known, found)
    _check_counts(name, {split: len(listed.pictures) for split, listed in found.items()}, counts, strict)
    _check_apart(found)
    parts = {split: _lazy(listed, form) for split, listed in _divided(name, known, found, seed).items()}
    left_out = tuple(path for listed in found.values() for path in listed.left_out)
    return PictureData(name, f"{known.title}, {place}", names, known.ignore, **parts, left_out=left_out)


def _pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    pair = (size, size) if isinstance(size, int) else size
    if pair is not None and min(pair) < 1:
        raise ValueError(f"data: expected a size of at least 1 pixel, got {size}.")
    return pair


def _root(name: str, root: str | Path | None, known: Known) -> Path:
    if root is None:
        home = os.environ.get("OPTICS4F_DATA")
        if not home:
            hub = (
                f", or --download (download=True) to fetch {known.hub.name} from the hub" if known.hub else ""
            )
            raise ValueError(
                f"{name}: expected --root with its folder, or the environment variable OPTICS4F_DATA{hub}; "
                f"got none, and nothing is downloaded without being asked."
            )
        root = Path(home) / name
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: expected the folder of {name}, found none.")
    return root


def _found(name: str, known: Known, root: Path) -> tuple[Found, dict[str, int], str]:
    for layout in known.layouts:
        found = layout.find(root)
        if "train" in found:
            return found, layout.counts, layout.looks
    looks = " or ".join(layout.looks for layout in known.layouts)
    raise FileNotFoundError(f"{root}: expected {name} as {looks}; found none of these.")


def _fetched(name: str, known: Known) -> tuple[Found, dict[str, int], str]:
    if known.hub is None:
        raise ValueError(f"{name}: expected --root with its folder, since no copy on the hub is known here.")
    hub = known.hub
    splits = require("datasets", "train").load_dataset(hub.name)
    found = {
        split: listed_table(table, f"{hub.name} {split}", split, hub.columns, known.names, None)
        for split, table in splits.items()
    }
    return found, hub.counts, f"from the hub, {hub.name}"


def _names(name: str, known: Known, found: Found) -> tuple[str, ...]:
    names = known.names or found["train"].names
    if len(names) != known.classes:
        raise ValueError(f"{name}: expected {known.classes} classes, got {len(names)}: {', '.join(names)}.")
    for split, listed in found.items():
        absent = sorted(set(range(known.classes)) - set(listed.classes)) if listed.classes else []
        if absent:
            raise ValueError(
                f"{name}: expected pictures of every class in {split}, got none of {names[absent[0]]}."
            )
    return names


def _check_counts(name: str, got: dict[str, int], counts: dict[str, int], strict: bool) -> None:
    for split in counts if strict else ():
        if got.get(split, 0) != counts[split]:
            raise ValueError(
                f"{name}: expected {counts[split]} pictures in {split}, got {got.get(split, 0)}; "
                "strict=False (--no-strict) takes what is there."
            )


def _check_apart(found: Found) -> None:
    times = Counter(source.key for listed in found.values() for source in listed.pictures)
    twice = next(
        (source for listed in found.values() for source in listed.pictures if times[source.key] > 1), None
    )
    if twice is not None:
        raise ValueError(
            f"{twice.name}: expected every picture once in one split, got it {times[twice.key]} times."
        )


def _divided(name: str, known: Known, found: Found, seed: int) -> Found:
    """Cut what is missing from the training pictures; a split that the data set has itself stays."""
    shares = {"test": known.test_share, "validation": VALIDATION_SHARE}
    missing = {split: share for split, share in shares.items() if split not in found}
    train = found["train"]
    fractions = tuple(missing.values())
    if missing and train.classes:
        try:
            parts = stratified(np.array(train.classes), fractions, seed)
        except ValueError as error:
            raise ValueError(
                f"{name}: expected enough pictures of each class to split, got: {error}"
            ) from error
    else:
        parts = grouped(train.groups or [source.key for source in train.pictures], fractions, seed)
    pieces = {split: _part(train, part) for split, part in zip(("train", *missing), parts, strict=True)}
    divided = {split: pieces.get(split) or found[split] for split in SPLIT_NAMES}
    for split, listed in divided.items():
        if not listed.pictures:
            raise ValueError(f"{name}: expected pictures in every split, got none in {split}.")
    return divided


def grouped(groups: Sequence[str], fractions: tuple[float, ...], seed: int) -> list[NDArray[np.intp]]:
    """Indices of what remains, then of one part per fraction of the groups; no group is in two parts."""
    names, of = np.unique(np.array(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    ends = np.cumsum([round(fraction * len(names)) for fraction in fractions]).astype(int)
    *parts, rest = np.split(order, ends)
    return [np.flatnonzero(np.isin(of, part)) for part in (rest, *parts)]


def _part(listed: Listed, index: NDArray[np.intp]) -> Listed:
    return replace(
        listed,
        pictures=chosen(listed.pictures, index),
        classes=chosen(listed.classes, index),
        masks=chosen(listed.masks, index),
        groups=(),
    )


def _lazy(listed: Listed, form: Form) -> LazySplit:
    return LazySplit(listed.pictures, listed.classes, listed.masks, form, listed.reader)


def _shifted(on_picture: OnPicture | None, before: int, total: int) -> OnPicture | None:
    if on_picture is None:
        return None
    return lambda done, _: on_picture(before + done, total)
