"""What is known of each data set: its classes, its layouts, how many pictures it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .class_names import (
    CAMVID_COLOURS,
    CAMVID_INDEX,
    CAMVID_NAMES,
    CAMVID_VOID,
    CIFAR10_NAMES,
    PETS,
    VOC_NAMES,
)
from .label_pictures import colour_labels, half_labels, index_labels
from .layouts import Finder, Found, class_folders, named_files, pairs, voc
from .parquet import tables


@dataclass(frozen=True)
class Layout:
    """One way in which people have a data set: its looks, what finds the pictures, how many there must be."""

    looks: str
    find: Finder
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Hub:
    """Where the hub has a data set, and the columns there."""

    name: str
    columns: tuple[str, str]
    counts: dict[str, int]


@dataclass(frozen=True)
class Known:
    """What is known of a data set.

    Attributes:
        title: Its full name and source.
        names: Of the classes; empty if the folders say.
        layouts: Those that are tried, in this order.
        classes: How many there must be.
        ignore: Class index of pixels that do not count.
        test_share: Share of all pictures that becomes the test split where the data set has none.
        hub: Where the hub has it, if it has.
    """

    title: str
    names: tuple[str, ...]
    layouts: tuple[Layout, ...]
    classes: int
    ignore: int | None = None
    test_share: float = 0.1
    hub: Hub | None = None


CAMVID_READER = partial(index_labels, classes=CAMVID_VOID, ignore=CAMVID_VOID)


def _beside(labels: str) -> dict[str, tuple[str, str]]:
    """Folders of pictures ``train``, ``val`` and ``test``, each with its folder of label pictures."""
    return {
        split: (folder, folder + labels)
        for split, folder in (("train", "train"), ("validation", "val"), ("test", "test"))
    }


def _inside() -> dict[str, tuple[str, str]]:
    folders = {"train": "train", "validation": "val", "test": "test"}
    return {split: (f"{folder}/images", f"{folder}/masks") for split, folder in folders.items()}


def _car(stem: str) -> str:
    """The car of ``<car>_<view>``: sixteen views of one car."""
    return stem.rpartition("_")[0]


def _camvid_colours(root: Path) -> Found:
    """Label pictures in colours; a class list ``class_dict.csv`` (name, r, g, b) must agree with ours."""
    listed = {name: colour for group in CAMVID_COLOURS.values() for name, colour in group.items()}
    path = root / "class_dict.csv"
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.is_file() else []
    for name, *colour in (line.replace(" ", "").split(",") for line in lines if line.strip()):
        if name not in listed or list(map(str, listed[name])) != colour:
            raise ValueError(f"{path}: expected a class of CamVid with its colour, got {name} {colour}.")
    reader = partial(colour_labels, colours=CAMVID_INDEX)
    return pairs(root, _beside("_labels"), reader, mask_name="{stem}_L")


CIFAR10_COUNTS = {"train": 50000, "test": 10000}
CAMVID_COUNTS = {"train": 367, "validation": 101, "test": 233}
FACE_LAYOUTS = (
    Layout(
        "train/images/, train/masks/, test/images/, test/masks/",
        partial(pairs, folders=_inside(), reader=half_labels),
        {"train": 1700, "test": 300},
    ),
    Layout(
        "images/*, masks/*",
        partial(pairs, folders={"train": ("images", "masks")}, reader=half_labels),
        {"train": 2000},
    ),
)

KNOWN: dict[str, Known] = {
    "cifar10": Known(
        "CIFAR-10 (A. Krizhevsky, 2009)",
        CIFAR10_NAMES,
        (
            Layout(
                "train.parquet and test.parquet with columns img and label",
                partial(tables, columns=("img", "label"), names=CIFAR10_NAMES),
                CIFAR10_COUNTS,
            ),
            Layout(
                "train/<class>/*.png and test/<class>/*.png",
                partial(class_folders, names=CIFAR10_NAMES),
                CIFAR10_COUNTS,
            ),
        ),
        classes=10,
        hub=Hub("uoft-cs/cifar10", ("img", "label"), CIFAR10_COUNTS),
    ),
    "cats-vs-dogs": Known(
        "Cats vs Dogs (Kaggle and Microsoft Research, 2013)",
        PETS,
        (
            Layout(
                "train/cat.0.jpg, train/dog.0.jpg, ...", partial(named_files, names=PETS), {"train": 25000}
            ),
            Layout(
                "PetImages/Cat/*.jpg and PetImages/Dog/*.jpg",
                partial(
                    class_folders, names=PETS, single="PetImages", broken=("Cat/666.jpg", "Dog/11702.jpg")
                ),
                {"train": 24998},
            ),
            Layout(
                "train.parquet with columns image and labels",
                partial(tables, columns=("image", "labels"), names=PETS),
                {"train": 23410},
            ),
            Layout("train/cat/*.jpg and train/dog/*.jpg", partial(class_folders, names=PETS)),
        ),
        classes=2,
        hub=Hub("microsoft/cats_vs_dogs", ("image", "labels"), {"train": 23410}),
    ),
    "high10": Known(
        "High-10, ten classes of ImageNet", (), (Layout("train/<class>/*.jpg", class_folders),), classes=10
    ),
    "carvana": Known(
        "Carvana Image Masking Challenge (Kaggle, 2017)",
        ("background", "car"),
        (
            Layout(
                "train/*.jpg and train_masks/*_mask.gif",
                partial(
                    pairs,
                    folders={"train": ("train", "train_masks")},
                    reader=half_labels,
                    mask_name="{stem}_mask",
                    group=_car,
                ),
                {"train": 5088},
            ),
        ),
        classes=2,
    ),
    "faces": Known(
        "Portraits with masks (X. Shen et al., 2016)",
        ("background", "person"),
        FACE_LAYOUTS,
        classes=2,
        test_share=0.15,
    ),
    "voc2012": Known(
        "PASCAL VOC 2012, segmentation (M. Everingham et al., 2012)",
        VOC_NAMES,
        (
            Layout(
                "VOCdevkit/VOC2012/JPEGImages, SegmentationClass and ImageSets/Segmentation",
                partial(
                    voc,
                    reader=partial(index_labels, classes=len(VOC_NAMES), ignore=255),
                    # The labels of its own test set were never published: its validation list is our test.
                    lists={"train": "train", "val": "test"},
                ),
                {"train": 1464, "test": 1449},
            ),
        ),
        classes=21,
        ignore=255,
    ),
    "camvid": Known(
        "CamVid, eleven classes (G. Brostow, J. Fauqueur, R. Cipolla, 2009)",
        CAMVID_NAMES,
        (
            Layout(
                "train.parquet, val.parquet and test.parquet with columns image and mask",
                partial(tables, columns=("image", "mask"), names=CAMVID_NAMES, reader=CAMVID_READER),
                CAMVID_COUNTS,
            ),
            Layout(
                "train/, trainannot/, val/, valannot/, test/, testannot/ with class indices",
                partial(pairs, folders=_beside("annot"), reader=CAMVID_READER),
                CAMVID_COUNTS,
            ),
            Layout(
                "train/, train_labels/*_L.png, val/, val_labels/, test/, test_labels/ in colours",
                _camvid_colours,
            ),
        ),
        classes=11,
        ignore=CAMVID_VOID,
    ),
}
