"""What a training run is told: a TOML file, as frozen dataclasses."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .distill import Distillation
from .sclc import StudentDesign

NETWORKS = ("student", "alexnet32")
DTYPES = ("float32", "float64")
WHOLE = ("epochs", "batch_size", "size")
COUNTS = ("patience", "shift", "seed", "checkpoint_every", "report_every")


@dataclass(frozen=True)
class RunConfig:
    """A training run.

    Attributes:
        data: Name of a data set, see :func:`~optics4f.models.data.load`.
        data_dir: Its folder; empty: ``$OPTICS4F_DATA``.
        size: Pictures are resized to this many pixels, both ways.
        network: ``"student"`` or ``"alexnet32"``.
        width: Of ``alexnet32``.
        student: Design of the student; its readout is one of its fields.
        teacher: Folder of a finished run, or ``"none"``: learn from the labels alone.
        alpha: Weight of the student loss, Eq. 8.
        temperature: T of Eq. 8.
        scale_by_temperature: Whether the temperature loss is multiplied by T^2.
        epochs: Passes over the training split, at most.
        batch_size: Pictures per step, over all processes.
        learning_rate: Peak of a one-cycle schedule.
        weight_decay: Of AdamW.
        shift: Augmentation: pictures are moved by up to this many pixels, zeros come in.
        flip: Augmentation: half of the pictures are mirrored, left to right.
        patience: Stop after this many epochs without a better validation accuracy; 0: never.
        seed: Of the weights, the order of the pictures, and the augmentation.
        device: ``"cpu"``, ``"cuda"``, ...
        dtype: ``"float32"`` or ``"float64"``.
        report_every: Steps between lines of ``metrics.jsonl``; 0: one line per epoch alone.
        checkpoint_every: Steps between checkpoints; 0: one per epoch alone.
    """

    data: str = "digits"
    data_dir: str = ""
    size: int = 32
    network: str = "student"
    width: float = 0.25
    student: StudentDesign = field(default_factory=StudentDesign)
    teacher: str = "none"
    alpha: float = 0.5
    temperature: float = 4.0
    scale_by_temperature: bool = True
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    shift: int = 0
    flip: bool = False
    patience: int = 0
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    report_every: int = 20
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        _one_of("network", self.network, NETWORKS)
        _one_of("dtype", self.dtype, DTYPES)
        for name in dict.fromkeys((*WHOLE, *COUNTS)):
            _at_least(name, getattr(self, name), 0 if name in COUNTS else 1)
        for name in ("learning_rate", "width", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}.")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}.")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha: expected a number from 0 to 1, got {self.alpha}.")

    @property
    def distillation(self) -> Distillation:
        """Eq. 8 with this run's weights."""
        return Distillation(self.alpha, self.temperature, self.scale_by_temperature)

    @property
    def augments(self) -> bool:
        """Whether pictures differ from epoch to epoch."""
        return self.shift > 0 or self.flip

    def to_dict(self) -> dict[str, Any]:
        """As JSON and TOML hold it."""
        return {k: _listed(v) for k, v in asdict(self).items()}

    def with_setting(self, name: str, value: Any) -> RunConfig:
        """The same run but for one setting, e.g. ``alpha`` or ``student.readout``."""
        table, _, inner = name.partition(".")
        if table != "student":
            return from_dict({**self.to_dict(), name: value})
        return from_dict({**self.to_dict(), "student": {**self.to_dict()["student"], inner: value}})

    def differences(self, other: RunConfig) -> list[str]:
        """Names of the settings in which two runs differ; how often one writes does not matter."""
        names = [f.name for f in fields(self) if f.name not in ("report_every", "checkpoint_every")]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def read_config(path: str | Path) -> RunConfig:
    """A run's configuration from a TOML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not TOML, has unknown keys, or values out of range.
        TypeError: If a value has another type.
    """
    text = Path(path).read_bytes()
    try:
        return from_dict(tomllib.loads(text.decode("utf-8")))
    except ValueError as error:  # TOML and UTF-8 errors are ValueErrors too
        raise ValueError(f"{path}: {error}") from error
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from error


def from_dict(values: dict[str, Any]) -> RunConfig:
    """A run's configuration from what JSON or TOML holds; unknown keys are refused."""
    given = dict(values)
    design = given.pop("student", {})
    if not isinstance(design, dict):
        raise TypeError(f"student: expected a table, got {design!r}.")
    plain = replace(RunConfig(), **_checked(RunConfig(), given, ""))
    return replace(plain, student=StudentDesign(**{**vars(StudentDesign()), **_design(design)}))


def parse_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    """``["alpha=0.3,0.5"]`` as ``{"alpha": [0.3, 0.5]}``; values are TOML, lists too, or bare words.

    Raises:
        ValueError: If a text is not of that form, or a setting comes twice.
    """
    grid: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if not name.strip() or not values.strip() or name.strip() in grid:
            raise ValueError(f"--grid: expected each setting once, as alpha=0.3,0.5, got {text!r}.")
        grid[name.strip()] = _values(values)
    return grid


def points(grid: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every combination of a grid, the last setting running fastest.

    Example:
        >>> points({"alpha": [0.3, 0.5], "temperature": [2]})
        [{'alpha': 0.3, 'temperature': 2}, {'alpha': 0.5, 'temperature': 2}]
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _values(text: str) -> list[Any]:
    try:
        found: list[Any] = tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",")]
    return found


def _design(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of a student design; lists become tuples of whole numbers."""
    return _checked(StudentDesign(), {k: _tupled(v) for k, v in given.items()}, "student.")


def _checked(defaults: Any, given: dict[str, Any], prefix: str) -> dict[str, Any]:
    """What was given, if every key is known and of the type of its default; whole numbers pass as floats."""
    known = {f.name: getattr(defaults, f.name) for f in fields(defaults)}
    unknown = [f"{prefix}{name}" for name in given if name not in known]
    if unknown:
        raise ValueError(f"expected keys among {', '.join(known)}, got {', '.join(unknown)}.")
    values = {}
    for name, value in given.items():
        wanted = type(known[name])
        whole_as_float = wanted is float and type(value) is int
        if type(value) is not wanted and not whole_as_float:
            raise TypeError(f"{prefix}{name}: expected {wanted.__name__}, got {value!r}.")
        values[name] = float(value) if whole_as_float else value
    return values


def _tupled(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if not all(type(item) is int for item in value):
        raise TypeError(f"student: expected lists of whole numbers, got {value!r}.")
    return tuple(value)


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}.")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name}: expected {least} or more, got {value}.")
