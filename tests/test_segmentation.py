"""Segmentation: merged classes, splits that read their files, the collapse with skips, table4 and fig5.

Unless said otherwise both sides are float64 and differ by the order of some thousand sums of numbers of
order 1: 1e-12 relative.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from optics4f.models.counterpart import Counterpart, counterpart
from optics4f.models.data import ImageData, Split
from optics4f.models.datasets import PictureData, load
from optics4f.models.experiments import fig5, runs, segmentation, table4
from optics4f.models.experiments.rates import rates
from optics4f.models.experiments.record import Options, read, write
from optics4f.models.experiments.segmentation import (
    BACK_END,
    UNET,
    BackEndOnly,
    Row,
    Setting,
    network_of,
    rows,
)
from optics4f.models.lesson import MODEL_FILE, Task
from optics4f.models.loader import UNCOUNTED, Loader
from optics4f.models.merged import merged
from optics4f.models.progress import METRICS_FILE
from optics4f.models.run import train
from optics4f.models.runconfig import RunConfig
from optics4f.models.state import read_state
from optics4f.models.tapped import CollapsedCounterpart
from optics4f.plotting.segmentation import coloured

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("safetensors")
pytest.importorskip("joblib")

SHAPE = (3, 16, 24)
TINY = Setting((16, 24), width=2, depth=2, epochs=1, batch_size=2, learning_rate=1e-2)
VOID = 11


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """A small CamVid with class indices: blocks of all classes and of none, in another order each time."""
    random = np.random.default_rng(0)
    for name, count in (("train", 5), ("val", 2), ("test", 3)):
        for index in range(count):
            classes = np.kron(random.permutation(12).reshape(3, 4), np.ones((8, 8))).astype(np.uint8)
            picture = np.stack([classes * 20, 255 - classes * 20, classes * 7], -1).astype(np.uint8)
            for folder, image in ((name, picture), (f"{name}annot", classes)):
                (tmp_path / "camvid" / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(tmp_path / "camvid" / folder / f"{index}.png")
    return tmp_path / "camvid"


@pytest.fixture
def data(camvid: Path) -> PictureData:
    return load("camvid", camvid, (16, 24), strict=False)


# ---------------------------------------------------------------------------------- merged classes


def test_merged_classes_are_a_table_of_the_old_ones(data: PictureData) -> None:
    """Also after resizing, which takes nearest pixels: it does not matter which comes first."""
    groups: dict[str, tuple[str, ...]] = {"thing": ("sign", "car"), "rest": (), "sky": ("sky",)}
    found, before = merged(data, groups), data.read()
    table = torch.full((12,), 1)
    table[[6, 8]], table[0], table[VOID] = 0, 2, 255
    assert (found.names, found.classes, found.ignore) == (("thing", "rest", "sky"), 3, 255)
    for name, split in found.splits.items():
        old: Split = getattr(before, name)
        assert torch.equal(split.read().labels, table[old.labels])
        assert torch.equal(split.read().images, old.images)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({"car": ("car",)}, "no group for sky, building"),
        ({"a": (), "b": ()}, "got 2 empty"),
        ({"car": ("car",), "rest": ("lorry",)}, "expected each of sky, .* once, got 'lorry'"),
        ({"a": ("car",), "b": ("car",), "rest": ()}, "once, got 'car'"),
    ],
)
def test_groups_that_do_not_fit_are_refused(
    data: PictureData, groups: dict[str, tuple[str, ...]], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        merged(data, groups)
    with pytest.raises(ValueError, match="expected a data set for segmentation, got camvid"):
        merged(replace(data, train=replace(data.train, reader=None)), groups)


# ---------------------------------------------------------------------------------- runs


CONFIG = RunConfig(epochs=3, batch_size=2, learning_rate=0.01, report_every=1, checkpoint_every=2, flip=True)


def one_layer(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv2d(3, 11, 3, padding=1)


def trace(folder: Path) -> list[tuple[float, float | None]]:
    text = (folder / METRICS_FILE).read_text().splitlines()
    return [(line["loss"], line["validation_accuracy"]) for line in map(json.loads, text)]


def test_a_split_that_reads_its_files_trains_to_the_same_bits(data: PictureData, tmp_path: Path) -> None:
    """Order, mirror images and classes of pixels: nothing may depend on where the pictures are."""
    train(CONFIG, tmp_path / "memory", task=Task(data.read(), one_layer()))
    train(CONFIG, tmp_path / "files", task=Task(data, one_layer()))
    memory, files = (read_state(tmp_path / name / MODEL_FILE).tensors for name in ("memory", "files"))
    assert all(torch.equal(value, files[name]) for name, value in memory.items())
    assert trace(tmp_path / "memory") == trace(tmp_path / "files") and len(trace(tmp_path / "files")) == 12


def test_a_teacher_of_files_is_asked_at_every_step_and_teaches_the_same(
    data: PictureData, tmp_path: Path
) -> None:
    """In memory it is asked once, five pictures at a time; its logits differ by rounding in float64."""
    config = replace(CONFIG, flip=False, dtype="float64", teacher="taught")
    for name, some in (("memory", data.read()), ("files", data)):
        train(config, tmp_path / name, task=Task(some, one_layer(), one_layer(1)))
    pairs = zip(trace(tmp_path / "memory"), trace(tmp_path / "files"), strict=True)
    assert all(a[0] == pytest.approx(b[0], rel=1e-9) and a[1] == b[1] for a, b in pairs)
    assert len(list((tmp_path / "memory").glob("teacher-logits-*"))) == 1
    assert not list((tmp_path / "files").glob("teacher-logits-*"))


def test_pixels_that_do_not_count_teach_nothing_and_are_not_judged(data: PictureData, tmp_path: Path) -> None:
    """The loss of the first step, and the accuracy of a network that stays as it is, by hand."""
    whole = data.read()
    config = replace(CONFIG, epochs=1, batch_size=5, learning_rate=1e-12, weight_decay=0.0, flip=False)
    train(config, tmp_path, task=Task(whole, one_layer()))
    with torch.no_grad():
        logits, seen = one_layer()(whole.train.images), one_layer()(whole.validation.images).argmax(1)
    loss = float(F.cross_entropy(logits, whole.train.labels, ignore_index=VOID))
    labels = whole.validation.labels
    right = int((seen == labels)[labels != VOID].sum()) / int((labels != VOID).sum())
    assert int((labels == VOID).sum()) > 0
    # The order of the pictures changes the order of sums in float32.
    assert trace(tmp_path)[0][0] == pytest.approx(loss, rel=1e-5)
    assert trace(tmp_path)[-1][1] == right


def test_classes_of_pixels_go_where_their_pixels_go() -> None:
    """Each pixel's colour is its class, so that whatever was moved can be read off."""
    labels = torch.randint(1, 50, (9, 6, 7), generator=torch.Generator().manual_seed(0))
    split = Split(labels[:, None].float(), labels)
    loader = Loader(split, RunConfig(batch_size=9, shift=2, flip=True))
    (batch,) = loader
    inside = batch.labels != UNCOUNTED
    assert torch.equal(batch.images[:, 0][inside], batch.labels[inside].float())
    assert bool((batch.images[:, 0][~inside] == 0).all()) and bool((~inside).any())
    assert not torch.equal(batch.labels, labels[loader.order])


# ---------------------------------------------------------------------------------- networks


def relative(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


def student(readout: str, skips: str) -> Counterpart:
    unet = network_of(Row("all", UNET), TINY, 5, 0).double()
    return counterpart(unet, SHAPE, readout=readout, skips=skips)


@pytest.mark.parametrize("skips", ["detect", "drop"])
@pytest.mark.parametrize("readout", ["strict", "detected"])
def test_the_collapse_of_every_sensor_is_the_counterpart(readout: str, skips: str) -> None:
    """Logits, and the gradients of every number; without gradients the kept T(nu) are used."""
    pictures = torch.rand(2, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain, collapsed = student(readout, skips), CollapsedCounterpart(student(readout, skips))
    expected, found = plain(pictures), collapsed(pictures)
    assert relative(found, expected) < 1e-12
    expected.square().sum().backward()
    found.square().sum().backward()
    own = dict(collapsed.student.named_parameters())
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None and own[name].grad is not None
        # A bias before a batch norm has the gradient 0, up to rounding of what cancels.
        size = max(float(parameter.grad.abs().max()), 1e-3)
        assert float((own[name].grad - parameter.grad).abs().max()) < 1e-10 * size
    with torch.no_grad():
        assert relative(collapsed.eval()(pictures), plain.eval()(pictures)) < 1e-12
    with pytest.raises(ValueError, match="expected a Cascade in front, got FourF"):
        CollapsedCounterpart(student(readout, "drop").collapse())


@pytest.mark.parametrize("skips", ["detect", "drop"])
def test_back_end_only_has_the_electronics_of_the_student_and_no_masks(skips: str) -> None:
    network = network_of(Row("all", BACK_END, skips), TINY, 5, 3)
    twin = network_of(Row("all", "strict", skips), TINY, 5, 3)
    assert isinstance(network, BackEndOnly) and isinstance(twin, CollapsedCounterpart)
    electronics = twin.student.back_end if skips == "detect" else twin.student.back_end.electronics
    theirs = electronics.state_dict()
    assert theirs.keys() == network.electronics.state_dict().keys()
    assert all(torch.equal(value, theirs[name]) for name, value in network.electronics.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_back_end_only_sees_the_mean_colour_over_each_pixel() -> None:
    network = network_of(Row("all", BACK_END), TINY, 5, 3)
    assert isinstance(network, BackEndOnly)
    seen: list[Tensor] = []
    network.electronics.forward = lambda *signals: seen.extend(signals)  # type: ignore[method-assign, assignment]
    picture = torch.rand(2, *SHAPE)
    network(picture)
    assert [tuple(signal.shape[1:]) for signal in seen] == [(8, 4, 6), (2, 16, 24), (4, 8, 12)]
    means = picture.unflatten(2, (4, 4)).unflatten(4, (6, 4)).mean((3, 5))
    # A mean of sixteen numbers of order 1 in float32.
    assert float((seen[0] - means[:, [0, 1, 2, 0, 1, 2, 0, 1]]).abs().max()) < 1e-6
    assert torch.equal(seen[1], picture[:, :2])


def test_the_networks_of_a_seed_begin_alike_and_those_of_two_do_not() -> None:
    def head(network: str, seed: int) -> Tensor:
        state = network_of(Row("car", network), TINY, 2, seed).state_dict()
        return next(value for name, value in state.items() if name.endswith("head.weight"))

    assert torch.equal(head("detected", 1), head(UNET, 1)) and torch.equal(head(BACK_END, 1), head(UNET, 1))
    assert not torch.equal(head(UNET, 0), head(UNET, 1))


def test_an_optical_rate_is_flight_link_and_back_end() -> None:
    """Numbers of 16 bits over 2.5 Gbit/s and 400 mm of light: the closed form, to rounding."""
    networks = {
        name: network_of(Row("car", "strict", name), TINY, 2, 0).eval() for name in ("detect", "drop")
    }
    found = rates({**networks, UNET: network_of(Row("car", UNET), TINY, 2, 0).eval()}, SHAPE, 0.1)
    numbers = {"drop": 8 * 4 * 6, "detect": 8 * 4 * 6 + 2 * 16 * 24 + 4 * 8 * 12}
    for name, sensors in (("drop", 1), ("detect", 3)):
        rate = found[name]
        assert (rate.sensors, rate.numbers) == (sensors, numbers[name])
        assert rate.back_end is not None and rate.optical is not None
        expected = numbers[name] * 16 / 2.5e9 + 0.4 / 299792458 + rate.back_end
        assert rate.optical == pytest.approx(expected, rel=1e-12)
    assert (found[UNET].optical, found[UNET].sensors) == (None, 0)


# ---------------------------------------------------------------------------------- table4 and fig5


@pytest.fixture
def options(camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Options]:
    monkeypatch.setattr(segmentation, "load", partial(load, strict=False))
    monkeypatch.setitem(segmentation.SETTINGS, "cpu", replace(TINY, depth=1))
    monkeypatch.setattr(table4, "SECONDS", 0.1)
    segmentation.data_of.cache_clear()
    yield Options(out=tmp_path / "out", runs=tmp_path / "runs", data_dir=camvid, seeds=2)
    segmentation.data_of.cache_clear()


def test_table4_and_fig5_train_every_network_once(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    report, draw = table4.run(options)
    write(report, options.out, draw)
    kept = read(options.out / "table4.json")
    networks = {(n["task"], n["network"], n["skips"], n["distilled"]): n for n in kept.data["networks"]}
    assert len(networks) == 22
    for (_, network, skips, _), found in networks.items():  # two seeds of the main networks
        assert len(found["mean_iou"]) == (2 if skips == "detect" and network != "strict" else 1)
    lines = {table.title: table.rows for table in kept.tables}
    assert len(lines["Car against rest"]) == len(lines["All eleven classes"]) == 11 + 1
    assert (options.out / "table4.png").stat().st_size > 0

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("trained twice")

    monkeypatch.setattr(runs, "train", refuse)
    again, draw = fig5.run(options)
    write(again, options.out, draw)
    assert again.data["frames"] == [0, 1, 2]  # all frames there are: the scores are those of the table
    for task in ("car", "all"):
        for row in rows(task):
            found = networks[(task, row.network, row.skips, row.distilled)]
            shown = again.data["scores"][task][row.full_name]
            assert shown["pixel_accuracy"] == found["pixel_accuracy"][0]
            assert shown["mean_iou"] == pytest.approx(found["mean_iou"][0], rel=1e-14)


def test_the_trivial_network_of_cars_says_rest(options: Options) -> None:
    """Blocks of equal size: 10 of the 11 that count are no cars."""
    data: ImageData = segmentation.data_of("car", TINY.size, options.data_dir)
    counted = data.test.labels != data.ignore
    share = float((data.test.labels[counted] == 0).double().mean())
    found = table4._majority(data)
    assert found == ("rest", share, share / 2) and abs(share - 10 / 11) < 0.02  # blocks are 8 pixels wide


def test_classes_have_their_colours_and_black_is_nothing() -> None:
    picture = coloured(torch.tensor([[0, 1], [7, 1]]), [(255, 0, 0), (0, 0, 255)], ignore=7)
    assert picture.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 1]]]
    with pytest.raises(ValueError, match="expected classes 0 to 1, got 0 to 7"):
        coloured(torch.tensor([[0, 7]]), [(255, 0, 0), (0, 0, 255)])
