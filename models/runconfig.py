"""What a training run is told: a TOML file, as frozen dataclasses."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .distill import Distillation
from .disturbed import Disturbances
from .sclc import StudentDesign
from .settings import above_zero, at_least, checked, listed, one_of, read_toml

NETWORKS = ("student", "alexnet", "alexnet32", "square_alexnet32", "linear")
DTYPES = ("float32", "float64")
TABLES = ("student", "disturbances")
PATHS = ("elements", "collapse", "patches")
WHOLE = ("epochs", "batch_size", "size", "stride")
COUNTS = ("components", "views", "patience", "shift", "seed", "checkpoint_every", "report_every")


@dataclass(frozen=True)
class RunConfig:
    """A training run.

    Attributes:
        data: Name of a data set, see :func:`~optics4f.models.data.load`.
        data_dir: Its folder; empty: ``$OPTICS4F_DATA``.
        size: Pictures are resized to this many pixels, both ways.
        network: ``"student"``; ``"alexnet"`` for large pictures, ``"alexnet32"`` for small ones, or
            ``"square_alexnet32"``, which squares in place of ReLUs; ``"linear"``: one layer on the pixels.
        width: Of the last two AlexNets.
        student: Design of the student; its readout is one of its fields.
        disturbances: What the bench does to the student in training; for the path ``"elements"``.
        teacher: Folder of a finished run, or ``"none"``: learn from the labels alone.
        alpha: Weight of the student loss, Eq. 8.
        temperature: T of Eq. 8.
        scale_by_temperature: Whether the temperature loss is multiplied by T^2.
        epochs: Passes over the training split, at most.
        batch_size: Pictures per step, over all processes.
        learning_rate: Peak of a one-cycle schedule.
        back_end_rate: Learning rate of a student's back end, whose many inputs want a smaller one; 0: as the
            rest. With one, weights decay in the back end alone.
        weight_decay: Of AdamW.
        shift: Augmentation: pictures are moved by up to this many pixels, zeros come in.
        flip: Augmentation: half of the pictures are mirrored, left to right.
        patience: Stop after this many epochs without a better validation accuracy; 0: never.
        seed: Of the weights, the order of the pictures, and the augmentation.
        device: ``"cpu"``, ``"cuda"``, ...
        dtype: ``"float32"`` or ``"float64"``.
        path: How a student is trained: ``"elements"``, layer by layer; ``"collapse"``, through the one T(nu)
            to which it comes; ``"patches"``, one bank of small complex kernels, in space.
        components: For ``"patches"``: components of patches that the kernels are made of; 0: all.
        stride: For ``"patches"``: of the samples at which training reads the light.
        views: Each picture is moved and mirrored in this many ways, one per epoch in turn, so that the
            teacher's logits are computed once for each; 0: in a new way every time.
        autocast: Train an electronic network's convolutions in bfloat16; never the optics.
        report_every: Steps between lines of ``metrics.jsonl``; 0: one line per epoch alone.
        checkpoint_every: Steps between checkpoints; 0: one per epoch alone.
    """

    data: str = "digits"
    data_dir: str = ""
    size: int = 32
    network: str = "student"
    width: float = 0.25
    student: StudentDesign = field(default_factory=StudentDesign)
    disturbances: Disturbances = field(default_factory=Disturbances)
    teacher: str = "none"
    alpha: float = 0.5
    temperature: float = 4.0
    scale_by_temperature: bool = True
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 3e-3
    back_end_rate: float = 0.0
    weight_decay: float = 1e-4
    shift: int = 0
    flip: bool = False
    patience: int = 0
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    path: str = "elements"
    components: int = 0
    stride: int = 1
    views: int = 0
    autocast: bool = False
    report_every: int = 20
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        one_of("network", self.network, NETWORKS)
        one_of("path", self.path, PATHS)
        one_of("dtype", self.dtype, DTYPES)
        for name in dict.fromkeys((*WHOLE, *COUNTS)):
            at_least(name, getattr(self, name), 0 if name in COUNTS else 1)
        for name in ("learning_rate", "width", "temperature"):
            above_zero(name, getattr(self, name))
        if self.autocast and self.network == "student":
            raise ValueError("autocast: expected an electronic network, as phases need float32, got student.")
        if not 0 <= self.back_end_rate < float("inf"):
            raise ValueError(f"back_end_rate: expected 0 or more, got {self.back_end_rate}.")
        if self.disturbances and (self.network != "student" or self.path != "elements"):
            raise ValueError(
                f"disturbances: expected a student on the path elements, got {self.network} on {self.path}."
            )
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
        return {k: listed(v) for k, v in asdict(self).items()}

    def with_setting(self, name: str, value: Any) -> RunConfig:
        """The same run but for one setting, e.g. ``alpha`` or ``student.readout``."""
        table, _, inner = name.partition(".")
        whole = self.to_dict()
        if table not in TABLES:
            return from_dict({**whole, name: value})
        return from_dict({**whole, table: {**whole[table], inner: value}})

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
    return read_toml(path, from_dict)


def from_dict(values: dict[str, Any]) -> RunConfig:
    """A run's configuration from what JSON or TOML holds; unknown keys are refused."""
    given = dict(values)
    tables = {name: given.pop(name, {}) for name in TABLES}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise TypeError(f"{name}: expected a table, got {table!r}.")
    student = StudentDesign(**{**vars(StudentDesign()), **_design(tables["student"])})
    disturbances = Disturbances(**checked(Disturbances(), tables["disturbances"], "disturbances."))
    plain = checked(RunConfig(), given, "")
    return RunConfig(**{**plain, "student": student, "disturbances": disturbances})


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
    return checked(StudentDesign(), {k: _tupled(v) for k, v in given.items()}, "student.")


def _tupled(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if not all(type(item) is int for item in value):
        raise TypeError(f"student: expected lists of whole numbers, got {value!r}.")
    return tuple(value)
