"""A run's state as one file: tensors in safetensors, the rest as JSON in its header. Loading runs no code."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from optics4f.extras import require
from optics4f.files import write_file

FORMAT, FORMAT_VERSION = "optics4f-run-state", 1
EPOCH_FILE, STEP_FILE = "epoch.safetensors", "step.safetensors"


class State(NamedTuple):
    """Tensors by name, e.g. ``model.back_end.linear.weight``, and everything else, ready for JSON."""

    tensors: dict[str, Tensor]
    rest: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose name begins with ``name.``, without it."""
        return {k[len(name) + 1 :]: v for k, v in self.tensors.items() if k.startswith(f"{name}.")}


def write_state(path: str | Path, state: State) -> None:
    """Write a state, atomically: one file, so that its two halves cannot differ in age."""
    save_file = require("safetensors.torch", "train").save_file
    header = {"format": FORMAT, "format_version": FORMAT_VERSION, **state.rest}
    text = json.dumps(header, allow_nan=False)
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.tensors.items()}
    write_file(path, lambda draft: save_file(tensors, draft, metadata={"state": text}))


def read_state(path: str | Path) -> State:
    """Read what :func:`write_state` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, foreign, or of another version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected the state of a run, found none.")
    try:
        with require("safetensors", "train").safe_open(path, "pt") as file:
            rest = json.loads((file.metadata() or {}).get("state", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: expected the state of a run, got: {reason}") from error
    found = rest.pop("format", None), rest.pop("format_version", None)
    if found != (FORMAT, FORMAT_VERSION):
        raise ValueError(f"{path}: expected {FORMAT} of version {FORMAT_VERSION}, got {found}.")
    return State(tensors, rest)


def newest_state(folder: str | Path) -> State | None:
    """The checkpoint with the most steps: a kill may leave that of a step behind that of its epoch."""
    states = [read_state(path) for path in _checkpoints(folder)]
    return max(states, key=lambda state: int(state.rest["progress"]["step"]), default=None)


def is_started(folder: str | Path) -> bool:
    """Whether a folder holds a checkpoint."""
    return bool(_checkpoints(folder))


def prefixed(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with ``name.`` before their names."""
    return {f"{name}.{k}": v for k, v in tensors.items()}


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """Moments and step counts of every parameter, and the settings of the groups."""
    state = optimizer.state_dict()
    tensors = {f"{i}.{name}": value for i, kept in state["state"].items() for name, value in kept.items()}
    return State(tensors, {"groups": state["param_groups"]})


def set_optimizer_state(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Put back what :func:`optimizer_state` took."""
    kept: dict[int, dict[str, Tensor]] = {}
    for key, value in state.tensors.items():
        index, name = key.split(".", 1)
        kept.setdefault(int(index), {})[name] = value
    groups = [{k: tuple(v) if k == "betas" else v for k, v in g.items()} for g in state.rest["groups"]]
    optimizer.load_state_dict({"state": kept, "param_groups": groups})


def random_state(device: torch.device) -> State:
    """Where the random numbers of torch, Python and NumPy stand."""
    tensors = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["cuda"] = torch.cuda.get_rng_state(device)
    legacy: Any = np.random.get_state()
    numpy = [legacy[0], legacy[1].tolist(), *legacy[2:]]
    return State(tensors, {"python": random.getstate(), "numpy": numpy})


def set_random_state(state: State, device: torch.device) -> None:
    """Put back what :func:`random_state` took."""
    torch.set_rng_state(state.tensors["torch"].clone())  # torch reads a row of a table from the table's start
    if "cuda" in state.tensors:
        torch.cuda.set_rng_state(state.tensors["cuda"], device)
    version, words, gauss = state.rest["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *others = state.rest["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *others))


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), Python and NumPy."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _checkpoints(folder: str | Path) -> list[Path]:
    return [path for name in (EPOCH_FILE, STEP_FILE) if (path := Path(folder) / name).is_file()]
