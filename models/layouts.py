"""How data sets lie on the disk: folders of classes, pairs of pictures, VOCdevkit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .pictures import FilePicture, Reader, Source

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".webp")
SPLITS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Listed:
    """The pictures of one split as they were found.

    Attributes:
        pictures: Where they are.
        classes: Class of each; empty for segmentation.
        masks: Label picture of each; empty for classification.
        names: Names of the classes, as the layout gives them.
        reader: Of the label pictures.
        groups: What belongs together, such as views of one car, and must not be torn apart; may be empty.
        left_out: Names of pictures that are known to be broken in every copy, and are left out.
    """

    pictures: tuple[Source, ...]
    classes: tuple[int, ...] = ()
    masks: tuple[Source, ...] = ()
    names: tuple[str, ...] = ()
    reader: Reader | None = None
    groups: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


Found = dict[str, Listed]
Finder = Callable[[Path], Found]


def class_folders(
    root: Path, names: tuple[str, ...] = (), single: str | None = None, broken: tuple[str, ...] = ()
) -> Found:
    """``train/<class>/*.jpg``, perhaps ``validation/`` (or ``val/``) and ``test/``; or one folder of classes.

    Args:
        root: Folder of the data set.
        names: Classes in the order of their indices, in any case; the sorted folders of ``train/`` if empty.
        single: Name of the one folder that holds the classes, where there are no splits.
        broken: Pictures, as ``<class>/<file>``, that are broken in every copy.

    Raises:
        ValueError: If a folder is no class, or a class has no folder or no picture.
    """
    if single is not None:
        return {"train": _classes(root / single, root, names, broken)} if (root / single).is_dir() else {}
    if not (root / "train").is_dir() or not _folders(root / "train"):
        return {}
    found: Found = {}
    for folder in sorted(_folders(root), key=lambda path: path.name != "train"):
        if folder.name in SPLITS and _folders(folder):
            found[SPLITS[folder.name]] = _classes(folder, root, names, broken)
            names = names or found["train"].names
    return found


def named_files(root: Path, names: tuple[str, ...]) -> Found:
    """``train/<class>.<number>.jpg``, or the same files in the folder itself.

    Raises:
        ValueError: If a file's name begins with no class.
    """
    folder = root / "train" if (root / "train").is_dir() else root
    files = _pictures(folder)
    if not any(re.match(r"\w+\.\d+\.\w+$", path.name) for path in files):
        return {}
    classes = []
    for path in files:
        first = path.name.split(".")[0]
        if first not in names:
            raise ValueError(f"{path}: expected a name that begins with {' or '.join(names)}, got {first!r}.")
        classes.append(names.index(first))
    return {"train": Listed(_sources(files, root), tuple(classes), names=names)}


def pairs(
    root: Path,
    folders: Mapping[str, tuple[str, str]],
    reader: Reader,
    mask_name: str = "{stem}",
    group: Callable[[str], str] | None = None,
) -> Found:
    """A folder of pictures and one of label pictures for each split; names agree but for the suffix.

    Args:
        root: Folder of the data set.
        folders: For each split: folder of pictures, folder of label pictures.
        reader: Of the label pictures.
        mask_name: Name of a label picture, without its suffix, from the ``stem`` of its picture.
        group: From a picture's stem to what it belongs to.

    Raises:
        ValueError: If a picture or a label picture has no partner.
    """
    found: Found = {}
    for split, (images, masks) in folders.items():
        if not ((root / images).is_dir() and (root / masks).is_dir()):
            continue
        files = _pictures(root / images)
        labels = {path.stem: path for path in _pictures(root / masks)}
        wanted = [mask_name.format(stem=path.stem) for path in files]
        for path, name in zip(files, wanted, strict=True):
            if name not in labels:
                raise ValueError(f"{path}: expected a label picture {root / masks / name}, found none.")
        alone = sorted(set(labels) - set(wanted))
        if alone:
            raise ValueError(f"{labels[alone[0]]}: expected its picture in {root / images}, found none.")
        groups = tuple(group(path.stem) for path in files) if group else ()
        masks_of = _sources((labels[name] for name in wanted), root)
        found[split] = Listed(_sources(files, root), (), masks_of, reader=reader, groups=groups)
    return found


def voc(root: Path, reader: Reader, lists: Mapping[str, str]) -> Found:
    """``VOCdevkit/VOC2012`` with ``JPEGImages``, ``SegmentationClass`` and ``ImageSets/Segmentation/*.txt``.

    Args:
        root: The folder that holds ``VOCdevkit``, or ``VOC2012``, or that folder itself.
        reader: Of the label pictures.
        lists: The split that each list is taken as.

    Raises:
        FileNotFoundError: If a list, or a picture that a list names, is missing.
    """
    homes = (root / "VOCdevkit" / "VOC2012", root / "VOC2012", root)
    home = next((path for path in homes if (path / "SegmentationClass").is_dir()), None)
    if home is None:
        return {}
    found: Found = {}
    for name, split in lists.items():
        path = home / "ImageSets" / "Segmentation" / f"{name}.txt"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected the list of the pictures of {name}, found none.")
        stems = path.read_text(encoding="utf-8").split()
        images = [home / "JPEGImages" / f"{stem}.jpg" for stem in stems]
        masks = [home / "SegmentationClass" / f"{stem}.png" for stem in stems]
        for file in (*images, *masks):
            if not file.is_file():
                raise FileNotFoundError(f"{file}: expected a picture, since {path} names it, found none.")
        found[split] = Listed(_sources(images, root), (), _sources(masks, root), reader=reader)
    return found


def _classes(folder: Path, root: Path, names: tuple[str, ...], broken: tuple[str, ...]) -> Listed:
    folders = {path.name.lower() if names else path.name: path for path in _folders(folder)}
    wanted = {name.lower() if names else name: name for name in names or sorted(folders)}
    for key, path in folders.items():
        if key not in wanted:
            raise ValueError(f"{path}: expected a folder named after one of {', '.join(names)}.")
    files: list[Path] = []
    classes: list[int] = []
    left_out: list[str] = []
    for index, key in enumerate(wanted):
        own = _pictures(folders[key]) if key in folders else []
        if not own:
            raise ValueError(f"{folder / wanted[key]}: expected pictures of this class, found none.")
        known = [path for path in own if f"{path.parent.name}/{path.name}" in broken]
        left_out += map(str, known)
        files += (kept := [path for path in own if path not in known])
        classes += [index] * len(kept)
    sources = _sources(files, root)
    return Listed(sources, tuple(classes), names=tuple(wanted.values()), left_out=tuple(left_out))


def _sources(files: Iterable[Path], root: Path) -> tuple[Source, ...]:
    return tuple(FilePicture(path, root) for path in files)


def _pictures(folder: Path) -> list[Path]:
    """Pictures of a folder by name; hidden files, lists and thumbnails' data bases are none."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
