"""Data sets in the layouts in which people have them: tiny copies, written here, in their true layout."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from optics4f.models import cli
from optics4f.models.class_names import CAMVID_COLOURS, CAMVID_INDEX, CAMVID_NAMES, CIFAR10_NAMES
from optics4f.models.data import batches, cifar10
from optics4f.models.datasets import PictureData, grouped, load
from optics4f.models.inspection import picture_sizes, pixel_shares
from optics4f.models.pictures import Form
from optics4f.models.registry import KNOWN

Image = pytest.importorskip("PIL.Image")
datasets = pytest.importorskip("datasets")

RANDOM = np.random.default_rng(0)
PALETTE = [value for index in range(256) for value in (index, 255 - index, 7 * index % 256)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """``datasets`` keeps what it read; here it does so in a folder of the test, and reaches no network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("OPTICS4F_DATA", raising=False)


def noise(height: int = 8, width: int = 8) -> Any:
    return Image.fromarray(RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8))


def palette(indices: np.ndarray) -> Any:
    """A label picture as VOC has them: indices into a colour table, whose colours mean nothing here."""
    image = Image.fromarray(indices.astype(np.uint8), mode=None)
    image = image.convert("L")
    image.putpalette(PALETTE)
    return image


def save(image: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def encoded(image: Any, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def write_table(path: Path, columns: dict[str, list[Any]], names: tuple[str, ...] | None = None) -> None:
    """A parquet file with pictures as the hub stores them: a struct of bytes and path, with features."""
    features = {
        name: datasets.ClassLabel(names=list(names))
        if names and isinstance(values[0], int)
        else datasets.Image()
        for name, values in columns.items()
    }
    rows = {
        name: [v if isinstance(v, int) else {"bytes": v, "path": None} for v in values]
        for name, values in columns.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet(str(path))


def cifar_table(path: Path, each: int, **given: Any) -> None:
    labels = given.get("labels", [label for label in range(10) for _ in range(each)])
    pictures = [encoded(noise(32, 32)) for _ in labels]
    write_table(path, {"img": pictures, "label": labels}, given.get("names", CIFAR10_NAMES))


def cifar_parquet(root: Path) -> None:
    cifar_table(root / "train.parquet", 10)
    cifar_table(root / "test.parquet", 2)


def cifar_shards(root: Path) -> None:
    """As ``huggingface-cli download`` leaves it."""
    for shard in range(2):
        cifar_table(root / "plain_text" / f"train-0000{shard}-of-00002.parquet", 5)
    cifar_table(root / "plain_text" / "test-00000-of-00001.parquet", 2)


def folders(root: Path, names: tuple[str, ...], splits: dict[str, int], suffix: str = "png") -> None:
    for split, count in splits.items():
        for name in names:
            for index in range(count):
                save(noise(), root / split / name / f"{index:04}.{suffix}")


def kaggle_pets(root: Path) -> None:
    for index in range(10):
        for pet in ("cat", "dog"):
            save(noise(6 + index, 9), root / "train" / f"{pet}.{index}.jpg")
    save(noise(), root / "test" / "1.jpg")  # of the competition: it has no label


def pet_images(root: Path) -> None:
    for folder, broken in (("Cat", 666), ("Dog", 11702)):
        for index in range(10):
            save(noise(), root / "PetImages" / folder / f"{index}.jpg")
        (root / "PetImages" / folder / f"{broken}.jpg").write_bytes(b"")
        (root / "PetImages" / folder / "Thumbs.db").write_bytes(b"no picture")


def high10(root: Path) -> None:
    folders(root, tuple(f"n0{index}" for index in range(10)), {"train": 10, "val": 2, "test": 2}, "JPEG")


def carvana(root: Path) -> None:
    for car in range(10):
        for view in range(1, 17):
            save(noise(), root / "train" / f"car{car}_{view:02}.jpg")
            mask = Image.fromarray(np.eye(8, dtype=np.uint8))  # values 0 and 1, in a GIF
            mask.putpalette([0, 0, 0, 255, 255, 255])
            save(mask, root / "train_masks" / f"car{car}_{view:02}_mask.gif")


def faces(root: Path, *splits: str) -> None:
    for split in splits or (".",):
        for index in range(20):
            save(noise(), root / split / "images" / f"{index:05}.jpg")
            save(Image.fromarray(np.full((8, 8), 255, np.uint8)), root / split / "masks" / f"{index:05}.png")


def voc(root: Path) -> None:
    home = root / "VOCdevkit" / "VOC2012"
    for name, stems in (("train", range(20)), ("val", range(20, 30))):
        for stem in stems:
            save(noise(6, 8), home / "JPEGImages" / f"2007_{stem:06}.jpg")
            indices = np.full((6, 8), stem % 21)
            indices[0] = 255
            save(palette(indices), home / "SegmentationClass" / f"2007_{stem:06}.png")
        text = "".join(f"2007_{stem:06}\n" for stem in stems)
        lists = home / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{name}.txt").write_text(text, encoding="utf-8")
    save(
        noise(), home / "JPEGImages" / "2008_000001.jpg"
    )  # of another task: no list of segmentation names it


def camvid_indices() -> np.ndarray:
    return np.repeat(np.arange(12, dtype=np.uint8), 8).reshape(12, 8)


def camvid_parquet(root: Path) -> None:
    for name, count in (("train", 4), ("val", 2), ("test", 3)):
        pictures = [encoded(noise(12, 8), "JPEG") for _ in range(count)]
        masks = [encoded(Image.fromarray(camvid_indices()))] * count
        write_table(root / f"{name}.parquet", {"image": pictures, "mask": masks})


def camvid_annot(root: Path) -> None:
    for name, count in (("train", 4), ("val", 2), ("test", 3)):
        for index in range(count):
            save(noise(12, 8), root / name / f"0001TP_{name}{index}.png")
            save(Image.fromarray(camvid_indices()), root / f"{name}annot" / f"0001TP_{name}{index}.png")


def camvid_colours(root: Path) -> None:
    first = [next(iter(group.values())) for group in CAMVID_COLOURS.values()]
    picture = Image.fromarray(np.array(first, dtype=np.uint8)[camvid_indices()])
    for name, count in (("train", 4), ("val", 2), ("test", 3)):
        for index in range(count):
            save(noise(12, 8), root / name / f"0001TP_{name}{index}.png")
            save(picture, root / f"{name}_labels" / f"0001TP_{name}{index}_L.png")
    listed = (
        f"{name}, {r}, {g}, {b}" for group in CAMVID_COLOURS.values() for name, (r, g, b) in group.items()
    )
    (root / "class_dict.csv").write_text("\n".join(["name,r,g,b", *listed]), encoding="utf-8")


# Name, what writes a copy, and the pictures of train, validation and test that follow from the rules.
COPIES: dict[str, tuple[str, Callable[[Path], None], tuple[int, int, int]]] = {
    "cifar10, parquet": ("cifar10", cifar_parquet, (90, 10, 20)),
    "cifar10, shards": ("cifar10", cifar_shards, (90, 10, 20)),
    "cifar10, folders": (
        "cifar10",
        lambda root: folders(root, CIFAR10_NAMES, {"train": 10, "test": 2}),
        (90, 10, 20),
    ),
    "pets, Kaggle": ("cats-vs-dogs", kaggle_pets, (16, 2, 2)),
    "pets, PetImages": ("cats-vs-dogs", pet_images, (16, 2, 2)),
    "pets, parquet": (
        "cats-vs-dogs",
        lambda root: write_table(
            root / "data" / "train-00000-of-00001.parquet",
            {"image": [encoded(noise(), "JPEG") for _ in range(20)], "labels": [0, 1] * 10},
            ("cat", "dog"),
        ),
        (16, 2, 2),
    ),
    "pets, folders": (
        "cats-vs-dogs",
        lambda root: folders(root, ("cat", "dog"), {"train": 10, "test": 3}),
        (18, 2, 6),
    ),
    "high10": ("high10", high10, (100, 20, 20)),
    "carvana": ("carvana", carvana, (128, 16, 16)),
    "faces": ("faces", faces, (15, 2, 3)),
    "faces, split": ("faces", lambda root: faces(root, "train", "test"), (18, 2, 20)),
    "voc2012": ("voc2012", voc, (18, 2, 10)),
    "camvid, parquet": ("camvid", camvid_parquet, (4, 2, 3)),
    "camvid, indices": ("camvid", camvid_annot, (4, 2, 3)),
    "camvid, colours": ("camvid", camvid_colours, (4, 2, 3)),
}
each_copy = pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
Copy = tuple[str, Callable[[Path], None], tuple[int, int, int]]


def small(root: Path, name: str, **given: Any) -> PictureData:
    return load(name, root, **({"size": 8, "strict": False} | given))


@each_copy
def test_a_copy_in_its_layout_has_disjoint_splits_that_a_seed_fixes(copy: Copy, tmp_path: Path) -> None:
    name, write, counts = copy
    write(tmp_path)
    data = small(tmp_path, name)
    assert tuple(map(len, data.splits.values())) == counts
    keys = [{picture.key for picture in split.pictures} for split in data.splits.values()]
    assert len(set.union(*keys)) == sum(counts)
    assert small(tmp_path, name).digest == data.digest
    assert len(data.names) == KNOWN[name].classes


@each_copy
def test_pictures_and_labels_are_tensors_of_the_promised_kind(copy: Copy, tmp_path: Path) -> None:
    name, write, counts = copy
    write(tmp_path)
    data = small(tmp_path, name)
    whole = data.read()
    for split, count in zip((whole.train, whole.validation, whole.test), counts, strict=True):
        assert split.images.shape == (count, 3, 8, 8) and split.images.dtype == torch.float32
        assert split.images.min() >= 0 and split.images.max() <= 1
        assert split.labels.shape == ((count,) if data.train.classes else (count, 8, 8))
        found = set(split.labels.unique().tolist()) - {data.ignore}
        assert split.labels.dtype == torch.int64 and found <= set(range(whole.classes))
    picture, label = data.test[1]
    assert torch.equal(picture, whole.test.images[1]) and torch.equal(label, whole.test.labels[1])


@each_copy
def test_another_seed_moves_only_what_is_cut_from_train(copy: Copy, tmp_path: Path) -> None:
    name, write, _ = copy
    write(tmp_path)
    first, second = (small(tmp_path, name, seed=seed) for seed in (0, 1))
    for split in ("validation", "test"):
        keys = [[picture.key for picture in getattr(data, split).pictures] for data in (first, second)]
        # The folder or list in which a picture lies says whether the data set has this split itself.
        cut = not any(word in keys[0][0] for word in (split, split[:3]))
        own_list = name == "voc2012" and split == "test"
        assert (keys[0] != keys[1]) == (cut and not own_list), split


def test_classes_are_in_proportion_in_every_split(tmp_path: Path) -> None:
    kaggle_pets(tmp_path)
    for split in small(tmp_path, "cats-vs-dogs").splits.values():
        assert 2 * sum(split.classes) == len(split)
        for picture, label in zip(split.pictures, split.classes, strict=True):
            assert Path(picture.key).name.startswith(("cat.", "dog.")[label])


def test_views_of_one_car_are_never_torn_apart(tmp_path: Path) -> None:
    carvana(tmp_path)
    cars = [
        {Path(picture.key).name.split("_")[0] for picture in split.pictures}
        for split in small(tmp_path, "carvana").splits.values()
    ]
    assert [len(found) for found in cars] == [8, 1, 1] and len(set.union(*cars)) == 10


def test_groups_go_as_a_whole_and_none_is_lost() -> None:
    groups = [str(index // 3) for index in range(30)]
    rest, first, second = grouped(groups, (0.2, 0.3), seed=3)
    assert sorted([*rest, *first, *second]) == list(range(30))
    assert (len(first), len(second)) == (6, 9)
    for part in (rest, first, second):
        assert len({groups[i] for i in part}) * 3 == len(part)


def test_cifar10_is_the_same_here_and_in_the_demo(tmp_path: Path) -> None:
    cifar_parquet(tmp_path)
    here, there = small(tmp_path, "cifar10", size=32).read(), cifar10(32, tmp_path)
    for split in ("train", "validation", "test"):
        assert torch.equal(getattr(here, split).images, getattr(there, split).images)
        assert torch.equal(getattr(here, split).labels, getattr(there, split).labels)


def test_a_png_comes_back_exactly_and_a_mask_keeps_its_classes(tmp_path: Path) -> None:
    camvid_annot(tmp_path)
    data = load("camvid", tmp_path, strict=False)
    for index, source in enumerate(data.train.pictures):
        image, labels = data.train[index]
        stored = np.asarray(Image.open(tmp_path / source.key))
        # 255 levels times 1/255 in float32: exact to rounding, half a unit of 2**-24, times 255.
        np.testing.assert_allclose(image.permute(1, 2, 0).numpy() * 255, stored, atol=255 * 2**-24)
        assert np.array_equal(labels.numpy(), camvid_indices())


def test_colours_and_indices_of_camvid_say_the_same(tmp_path: Path) -> None:
    camvid_colours(tmp_path)
    _, labels = load("camvid", tmp_path, strict=False).train[0]
    assert np.array_equal(labels.numpy(), camvid_indices())


def test_each_of_the_32_colours_of_camvid_is_one_class() -> None:
    colours = [colour for group in CAMVID_COLOURS.values() for colour in group.values()]
    assert len(colours) == len(set(colours)) == 32
    assert CAMVID_INDEX[(64, 0, 128)] == CAMVID_NAMES.index("car") == 8


def test_masks_of_voc_are_indices_and_not_colours(tmp_path: Path) -> None:
    voc(tmp_path)
    data = load("voc2012", tmp_path, strict=False)
    for split in data.splits.values():
        for picture, (_, labels) in zip(split.pictures, (split[i] for i in range(len(split))), strict=True):
            stem = int(Path(picture.key).stem.split("_")[1])
            assert set(labels[0].tolist()) == {255} == {data.ignore}
            assert set(labels[1:].flatten().tolist()) == {stem % 21}


@pytest.mark.parametrize("top", [1, 255])
def test_two_classes_whether_a_mask_has_0_and_1_or_0_and_255(tmp_path: Path, top: int) -> None:
    faces(tmp_path)
    half = np.zeros((8, 8), np.uint8)
    half[:, 5:] = top
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(half).save(path)
    _, labels = small(tmp_path, "faces").train[0]
    assert torch.equal(labels, torch.from_numpy(half > 0).long())


def test_shrinking_averages_pictures_and_never_invents_a_class() -> None:
    """A board of single black and white pixels: averaging gives grey, the nearest pixel black or white."""
    board = (255 * (np.indices((32, 32)).sum(0) % 2)).astype(np.uint8)
    grey = Form((4, 4), grey=True).picture(Image.fromarray(board))
    assert grey.shape == (1, 4, 4)
    # Bilinear weights over 8 pixels a side are symmetric but at the edges, where one side is cut off.
    assert (grey[:, 1:-1, 1:-1] - 0.5).abs().max() <= 1 / 255
    labels = Form((4, 4)).labels(np.where(board > 0, 11, 3).astype(np.uint8))
    assert set(labels.unique().tolist()) <= {3, 11}


def test_crop_keeps_the_ratio_of_sides_and_the_middle() -> None:
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 255  # the central square is white, all else black
    cropped = Form((8, 8), crop=True).picture(Image.fromarray(wide))
    squeezed = Form((8, 8)).picture(Image.fromarray(wide))
    assert cropped.min() == 1 and squeezed.min() == 0
    labels = Form((8, 8), crop=True).labels(wide[..., 0])
    assert labels.unique().tolist() == [255]


def test_batches_of_a_lazy_split_are_those_of_the_split_in_memory(tmp_path: Path) -> None:
    carvana(tmp_path)
    split = small(tmp_path, "carvana").train
    pairs = zip(
        batches(split, 50, torch.Generator().manual_seed(1)),
        batches(split.read(), 50, torch.Generator().manual_seed(1)),
        strict=True,
    )
    for lazy, kept in pairs:
        assert torch.equal(lazy.images, kept.images) and torch.equal(lazy.labels, kept.labels)


def test_a_loader_takes_a_lazy_split(tmp_path: Path) -> None:
    faces(tmp_path)
    split = small(tmp_path, "faces").train
    loader: Any = torch.utils.data.DataLoader(split, batch_size=15)
    ((images, labels),) = list(loader)
    assert torch.equal(images, split.read().images) and torch.equal(labels, split.read().labels)


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    camvid_annot(tmp_path)
    seen: list[tuple[int, int]] = []
    small(tmp_path, "camvid").read(lambda done, total: seen.append((done, total)))
    assert seen == [(done, 9) for done in range(1, 10)]


def test_known_broken_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    pet_images(tmp_path)
    data = small(tmp_path, "cats-vs-dogs")
    assert [Path(path).name for path in data.left_out] == ["666.jpg", "11702.jpg"]


def test_the_digest_follows_content_and_not_the_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        global RANDOM
        RANDOM = np.random.default_rng(5)
        camvid_annot(tmp_path / name)
    first, second = (small(tmp_path / name, "camvid").digest for name in ("a", "b"))
    assert first == second
    next((tmp_path / "b" / "test").iterdir()).write_bytes(b"other")
    assert small(tmp_path / "b", "camvid").digest != first


def first_of(root: Path, pattern: str) -> Path:
    return min(root.rglob(pattern))


def removed(path: Path) -> Path:
    path.unlink()
    return path


def truncated(path: Path, by: int = 40) -> Path:
    path.write_bytes(path.read_bytes()[:-by])
    return path


def rewritten(path: Path, old: str, new: str) -> Path:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return path


def overwritten(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


# What is done to a copy, and what the sentence says; {} is the file.
Damage = tuple[str, Callable[[Path], None], Callable[[Path], Path], str]
DAMAGES: dict[str, Damage] = {
    "other class folder": (
        "cats-vs-dogs",
        lambda root: folders(root, ("cat", "dog"), {"train": 10}),
        lambda root: save(noise(), root / "train" / "bird" / "0.png").parent,
        "{}: expected a folder named after one of cat, dog.",
    ),
    "other class in a name": (
        "cats-vs-dogs",
        kaggle_pets,
        lambda root: save(noise(), root / "train" / "bird.3.jpg"),
        "{}: expected a name that begins with cat or dog, got 'bird'.",
    ),
    "class without pictures": (
        "cifar10",
        lambda root: folders(root, CIFAR10_NAMES, {"train": 10, "test": 1}),
        lambda root: removed(root / "test" / "frog" / "0000.png").parent,
        "{}: expected pictures of this class, found none.",
    ),
    "mask missing": (
        "carvana",
        carvana,
        lambda root: (
            root
            / "train"
            / removed(root / "train_masks" / "car0_01_mask.gif").name.replace("_mask.gif", ".jpg")
        ),
        "{}: expected a label picture",
    ),
    "picture missing": (
        "faces",
        faces,
        lambda root: root / "masks" / removed(root / "images" / "00003.jpg").with_suffix(".png").name,
        "{}: expected its picture in",
    ),
    "listed picture missing": (
        "voc2012",
        voc,
        lambda root: removed(first_of(root, "2007_000021.jpg")),
        "{}: expected a picture, since",
    ),
    "list missing": (
        "voc2012",
        voc,
        lambda root: removed(first_of(root, "val.txt")),
        "{}: expected the list of the pictures of val, found none.",
    ),
    "picture in two splits": (
        "voc2012",
        voc,
        lambda root: (
            rewritten(first_of(root, "val.txt"), "2007_000021", "2007_000003").parents[2]
            / "JPEGImages"
            / "2007_000003.jpg"
        ),
        "{}: expected every picture once in one split, got it 2 times.",
    ),
    "other class list": (
        "camvid",
        camvid_colours,
        lambda root: rewritten(root / "class_dict.csv", "64, 0, 128", "1, 2, 3"),
        "{}: expected a class of CamVid with its colour, got Car ['1', '2', '3'].",
    ),
    "no parquet": (
        "cifar10",
        cifar_parquet,
        lambda root: overwritten(root / "test.parquet", b"no table"),
        "{}: expected a parquet file, got:",
    ),
    "other column": (
        "cifar10",
        lambda root: write_table(
            root / "train.parquet", {"image": [encoded(noise())], "label": [0]}, CIFAR10_NAMES
        ),
        lambda root: root / "train.parquet",
        "{}: expected columns img and label, got image, label.",
    ),
    "other class names": (
        "cifar10",
        lambda root: cifar_table(root / "train.parquet", 2, names=(*CIFAR10_NAMES[:-1], "lorry")),
        lambda root: root / "train.parquet",
        "{}: expected the classes airplane",
    ),
    "more classes": (
        "cifar10",
        lambda root: cifar_table(root / "train.parquet", 2, names=(*CIFAR10_NAMES, "boat")),
        lambda root: root / "train.parquet",
        "{}: expected the classes airplane",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_wrong_on_the_disk_names_itself(damage: Damage, tmp_path: Path) -> None:
    name, write, spoil, words = damage
    write(tmp_path)
    path = spoil(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        small(tmp_path, name)
    assert words.format(path) in str(error.value)


def test_a_label_of_a_row_that_is_no_class_names_the_row(tmp_path: Path) -> None:
    """Without class names beside them, as from other writers: the numbers themselves are checked."""
    path = tmp_path / "train.parquet"
    rows = {"img": [{"bytes": encoded(noise()), "path": None}] * 3, "label": [0, 4, -1]}
    datasets.Dataset.from_dict(rows).to_parquet(str(path))
    with pytest.raises(ValueError, match=r"train\.parquet, row 2: expected a class from 0 to 9, got -1\."):
        small(tmp_path, "cifar10")


BROKEN: dict[str, Damage] = {
    "empty picture": (
        "cats-vs-dogs",
        kaggle_pets,
        lambda root: overwritten(root / "train" / "cat.3.jpg", b""),
        "{}: expected a picture that can be decoded, got: 0 bytes.",
    ),
    "truncated JPEG": (
        "cats-vs-dogs",
        kaggle_pets,
        lambda root: truncated(root / "train" / "dog.5.jpg"),
        "{}: expected a picture that can be decoded, got:",
    ),
    "truncated mask": (
        "voc2012",
        voc,
        lambda root: truncated(first_of(root, "2007_000004.png")),
        "{}: expected a picture that can be decoded, got:",
    ),
    "mask in colours": (
        "voc2012",
        voc,
        lambda root: save(noise(6, 8), first_of(root, "2007_000004.png")),
        "{}: expected class indices in a palette or grey picture, got RGB.",
    ),
    "class of a pixel": (
        "voc2012",
        voc,
        lambda root: save(palette(np.full((6, 8), 21)), first_of(root, "2007_000004.png")),
        "{}: expected classes 0 to 20 or 255, got 21.",
    ),
    "size of a mask": (
        "carvana",
        carvana,
        lambda root: save(Image.fromarray(np.eye(9, dtype=np.uint8)), first_of(root, "car3_05_mask.gif")),
        "{}: expected the size of its picture, 8x8, got 9x9.",
    ),
    "unknown colour": (
        "camvid",
        camvid_colours,
        lambda root: save(Image.new("RGB", (8, 12), (1, 2, 3)), first_of(root, "*_L.png")),
        "{}: expected a colour of the class list, got (1, 2, 3).",
    ),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_picture_names_itself_when_it_is_read(damage: Damage, tmp_path: Path) -> None:
    name, write, spoil, words = damage
    write(tmp_path)
    path = spoil(tmp_path)
    data = small(tmp_path, name)
    for look in (data.read, lambda: pixel_shares(data)):
        with pytest.raises(ValueError) as error:
            look()
        assert words.format(path) in str(error.value)


def test_a_row_without_a_picture_names_itself(tmp_path: Path) -> None:
    cifar_table(tmp_path / "train.parquet", 10)
    good = [encoded(noise())] * 9
    write_table(tmp_path / "test.parquet", {"img": [*good, b""], "label": list(range(10))}, CIFAR10_NAMES)
    data = small(tmp_path, "cifar10")
    with pytest.raises(
        ValueError, match=r"test\.parquet, row 9: expected the bytes of a picture, got none\."
    ):
        data.test[9]


def test_counts_are_those_of_the_data_set_unless_asked(tmp_path: Path) -> None:
    camvid_annot(tmp_path)
    with pytest.raises(ValueError, match="camvid: expected 367 pictures in train, got 4; strict=False"):
        load("camvid", tmp_path, 8)
    assert len(load("camvid", tmp_path, 8, strict=False).train) == 4


def test_ten_classes_of_high10_are_ten(tmp_path: Path) -> None:
    folders(tmp_path, ("cat", "dog", "fish"), {"train": 10})
    with pytest.raises(ValueError, match="high10: expected 10 classes, got 3: cat, dog, fish"):
        small(tmp_path, "high10")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "mnist"}, "data: expected one of cifar10, cats-vs-dogs, high10"),
        (
            {"name": "cifar10"},
            r"cifar10: expected --root .* or --download \(download=True\) to fetch uoft-cs/cifar10 from "
            "the hub; got none, and nothing is downloaded without being asked",
        ),
        ({"name": "voc2012"}, "voc2012: expected --root with its folder, or the environment variable"),
        ({"name": "voc2012", "download": True}, "voc2012: expected --root .* no copy on the hub is known"),
        ({"name": "camvid", "root": "nowhere"}, "nowhere: expected the folder of camvid, found none"),
        ({"name": "camvid", "size": 0}, "data: expected a size of at least 1 pixel, got 0"),
    ],
)
def test_requests_that_cannot_be_met(given: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load(**given)


def test_an_unknown_layout_says_which_are_known(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"not read")
    with pytest.raises(FileNotFoundError, match=r"expected cifar10 as train\.parquet .* or train/<class>/\*"):
        load("cifar10", tmp_path)


def test_sizes_are_asked_for_before_all_is_read(tmp_path: Path) -> None:
    kaggle_pets(tmp_path)
    data = small(tmp_path, "cats-vs-dogs", size=None)
    assert picture_sizes(data) == "width 9 to 9 (median 9), height 6 to 15 (median 11)"
    with pytest.raises(ValueError, match="expected a size that all pictures are brought to"):
        data.read()
    path = overwritten(tmp_path / "train" / "cat.3.jpg", b"html")
    with pytest.raises(ValueError) as error:
        picture_sizes(data)
    assert f"{path}: expected a picture, got 4 bytes that are none." in str(error.value)


def test_the_hub_is_asked_for_by_name_only_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar_parquet(tmp_path)
    asked: list[str] = []

    def hub(name: str) -> Any:
        asked.append(name)
        paths = {split: str(tmp_path / f"{split}.parquet") for split in ("train", "test")}
        return {split: datasets.Dataset.from_parquet(path) for split, path in paths.items()}

    monkeypatch.setattr(datasets, "load_dataset", hub)
    here = small(tmp_path, "cifar10")
    with pytest.raises(ValueError, match="nothing is downloaded"):
        load("cifar10")
    assert asked == []
    fetched = load("cifar10", size=8, strict=False, download=True)
    assert asked == ["uoft-cs/cifar10"]
    assert torch.equal(fetched.train.read().images, here.train.read().images)


def test_the_environment_says_where_data_sets_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    camvid_annot(tmp_path / "camvid")
    monkeypatch.setenv("OPTICS4F_DATA", str(tmp_path))
    assert load("camvid", strict=False).digest == small(tmp_path / "camvid", "camvid").digest


def test_shares_of_pixels_are_those_of_the_masks(tmp_path: Path) -> None:
    camvid_annot(tmp_path)
    shares = pixel_shares(small(tmp_path, "camvid"))
    # Twelve rows of one class each.
    assert shares.startswith("sky 8.3 %, building 8.3 %") and shares.endswith("ignored 8.3 %")


def test_a_large_table_is_mapped_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar_parquet(tmp_path)
    whole = small(tmp_path, "cifar10")
    monkeypatch.setattr("optics4f.models.parquet.IN_MEMORY", 0)
    mapped = small(tmp_path, "cifar10")
    assert torch.equal(mapped.read().train.images, whole.read().train.images)
    assert list(Path(datasets.config.HF_DATASETS_CACHE).rglob("*.arrow"))


def run(*words: object) -> Any:
    app = typer.Typer()
    cli.register(app)
    return CliRunner().invoke(app, ["data", *map(str, words)])


@pytest.mark.parametrize(("name", "write"), [("cats-vs-dogs", kaggle_pets), ("camvid", camvid_annot)])
def test_the_command_counts_and_draws(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "set")
    sheet = tmp_path / "sheet.png"
    result = run(name, "--root", tmp_path / "set", "--no-strict", "--check", "--sheet", sheet)
    assert result.exit_code == 0, result.output
    data = load(name, tmp_path / "set", strict=False)
    assert data.digest in result.output.replace("\n", "")
    assert "every picture can be decoded" in result.output
    if name == "camvid":
        assert "all 8x12" in result.output and "sky 8.3 %" in result.output
    else:
        row = next(line for line in result.output.splitlines() if "cat " in line)
        assert [word for word in row.split() if word.isdigit()] == ["8", "1", "1"]
    assert np.asarray(Image.open(sheet)).std() > 10  # a sheet with pictures on it is not one colour


def test_sheets_are_cut_to_the_pictures_there_are(tmp_path: Path) -> None:
    """Fewer training pictures than places: none is drawn twice, and none is missing."""
    camvid_annot(tmp_path)
    from optics4f.models.data_cli import _chosen

    images, captions, masks = _chosen(small(tmp_path, "camvid"))
    assert len(images) == 4 and captions == [] and masks is not None and len(masks) == 4
    assert len({tuple(image.flatten().tolist()) for image in images}) == 4


def test_a_part_of_a_split_is_those_pictures(tmp_path: Path) -> None:
    carvana(tmp_path)
    split = replace(small(tmp_path, "carvana").train)
    part = split.subset([3, 1])
    assert [p.key for p in part.pictures] == [split.pictures[3].key, split.pictures[1].key]
    assert torch.equal(part.read().images, split.taken(torch.tensor([3, 1])).images)
