"""Networks of a run, the teacher that an earlier run trained, and what it says of the pictures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from optics4f.extras import require
from optics4f.files import write_file

from .data import ImageData, Split, load
from .datasets import PictureData
from .distill import logits_of
from .loader import moved, view
from .runconfig import RunConfig, from_dict
from .sclc import SCLC
from .state import read_state
from .teachers import AlexNet, AlexNet32, Linear

MODEL_FILE = "model.safetensors"
LEAST_SIZE = {"alexnet": 63, "alexnet32": 32, "square_alexnet32": 32}


@dataclass(frozen=True)
class Task:
    """What is trained on what: a run's own parts, or a user's.

    Attributes:
        data: In memory, or read from its files batch by batch; its test split is never touched.
        network: Pictures to logits.
        teacher: The same, or None to learn from the labels alone.
    """

    data: ImageData | PictureData
    network: nn.Module
    teacher: nn.Module | None = None


def task_of(config: RunConfig) -> Task:
    """The data, network and teacher that a configuration names.

    Raises:
        ValueError: If data, network and teacher do not fit one another.
        FileNotFoundError: If the teacher's run has not finished.
    """
    data = load(config.data, config.data_dir or None, config.size)
    _fits(config, data)
    network = build_network(config, data.train.images.shape[1], data.classes)
    return Task(data, network, None if config.teacher == "none" else load_teacher(config))


def build_network(config: RunConfig, inputs: int, classes: int) -> nn.Module:
    """The network that a configuration names, with random weights."""
    if config.network == "student":
        return SCLC(config.student, config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.network == "linear":
            return Linear(inputs, classes, config.size)
        if config.network == "alexnet":
            return AlexNet(inputs, classes)
        return AlexNet32(inputs, classes, config.width, config.network == "square_alexnet32", config.size)


def load_teacher(config: RunConfig) -> nn.Module:
    """The network that the run in the folder ``config.teacher`` left, in evaluation mode.

    Raises:
        ValueError: If it was trained on other data, or its file is damaged.
        FileNotFoundError: If the run has not finished.
    """
    path = Path(config.teacher) / MODEL_FILE
    state = read_state(path)
    theirs = from_dict(state.rest["config"])
    if (theirs.data, theirs.size) != (config.data, config.size):
        raise ValueError(
            f"{path}: expected a teacher of {config.data} at {config.size} pixels, "
            f"got one of {theirs.data} at {theirs.size}."
        )
    network = build_network(theirs, state.rest["inputs"], state.rest["classes"])
    network.load_state_dict(state.tensors)
    return network.eval()


def lesson(split: Split, teacher: nn.Module, folder: str | Path, config: RunConfig | None = None) -> Split:
    """The split with the teacher's logits, which are computed once per teacher and data, then read.

    The file ``teacher-logits-*.safetensors`` is named after the SHA-256 of teacher and pictures, and holds
    both.

    Args:
        split: Pictures; labels do not matter.
        teacher: Pictures to logits.
        folder: Where the file is, or will be.
        config: With views, what the teacher says of each of them: shape (pictures, views, classes).
    """
    hashes = {"teacher": network_hash(teacher), "data": _hash({"images": split.images})}
    views = 0 if config is None else config.views
    if config is not None and views:
        hashes["views"] = f"{views} views, shift {config.shift}, flip {config.flip}"
    name = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()[:16]
    path = Path(folder) / f"teacher-logits-{name}.safetensors"
    kept = _read_logits(path, hashes)
    if kept is None:
        kept = (
            _logits_of_views(split, teacher, config) if config and views else logits_of(teacher, split.images)
        )
        numbers = {"logits": kept.cpu().contiguous()}
        save_file = require("safetensors.torch", "train").save_file
        write_file(path, lambda draft: save_file(numbers, draft, metadata=hashes))
    return split._replace(teacher=kept.to(split.images.device))


def _logits_of_views(split: Split, teacher: nn.Module, config: RunConfig) -> Tensor:
    found = []
    for number in range(config.views):
        offsets, mirrored = view(config, split.length, number)
        parts = []
        for some in torch.arange(split.length).split(2048):
            offset = None if offsets is None else offsets[:, some]
            mirror = None if mirrored is None else mirrored[some]
            parts.append(logits_of(teacher, moved(split.taken(some), offset, mirror, config.shift).images))
        found.append(torch.cat(parts))
    return torch.stack(found, 1)


def network_hash(network: nn.Module) -> str:
    """SHA-256 of a network's printed structure and every number of its state."""
    return _hash(network.state_dict(), str(network))


def _read_logits(path: Path, hashes: dict[str, str]) -> Tensor | None:
    """The logits of a file with these hashes; None if there is none, or a damaged one."""
    if not path.is_file():
        return None
    safetensors = require("safetensors", "train")
    try:
        with safetensors.safe_open(path, "pt") as file:
            logits: Tensor = file.get_tensor("logits")
            return logits if file.metadata() == hashes else None
    except safetensors.SafetensorError:
        return None


def _hash(tensors: dict[str, Tensor], text: str = "") -> str:
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _fits(config: RunConfig, data: ImageData) -> None:
    """Refuse a student for other pictures or classes before anything is built."""
    if config.network != "student":
        least = LEAST_SIZE.get(config.network, 1)
        if config.size < least:
            raise ValueError(f"size: expected {least} or more for {config.network}, got {config.size}.")
        return
    channels, *shape = data.train.images.shape[1:]
    design = config.student
    found = (design.channels[0], *design.shape, design.classes)
    wanted = (channels, *shape, data.classes)
    if found != wanted:
        raise ValueError(
            f"student: expected channels[0], shape and classes {wanted} as in {data.name}, got {found}."
        )
