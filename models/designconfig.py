"""What ``optics4f design`` is told: a TOML file, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from optics4f.elements.checks import checked_seed
from optics4f.fabrication.materials import material
from optics4f.fabrication.relief import mask_count
from optics4f.units import Quantity, si

from .distill import Distillation
from .runconfig import RunConfig
from .sclc import StudentDesign
from .settings import above_zero, at_least, checked, listed, one_of, read_toml

EPOCHS = {"complex": 0, "phase": 15, "levels": 10, "fabrication": 10}
"""The stages in their order, and how long each is trained if the configuration does not say."""

LARGEST_ETCH = 0.2  # five standard deviations take all of the relief away


@dataclass(frozen=True)
class Noise:
    """Errors of a process, drawn from normal distributions. Quantities are strings with units.

    Attributes:
        etch: Standard deviation of the relative error of all etch depths of one device; 0.03 is 3 %.
        overlay: R.m.s. shift of each etch layer, in y and in x [m].
        phase: R.m.s. error of the phase of each pixel, by itself [rad].
        draws: Devices that are made to judge by.
    """

    etch: float = 0.03
    overlay: str = "200 nm"
    phase: str = "0.05 rad"
    draws: int = 10

    def __post_init__(self) -> None:
        if not 0 <= self.etch <= LARGEST_ETCH:
            raise ValueError(f"noise.etch: expected a share from 0 to {LARGEST_ETCH}, got {self.etch}.")
        for name, unit in (("overlay", "m"), ("phase", "rad")):
            if not si(getattr(self, name), unit, f"noise.{name}") >= 0:
                raise ValueError(f"noise.{name}: expected 0 {unit} or more, got {getattr(self, name)}.")
        at_least("noise.draws", self.draws, 1)

    @cached_property
    def phase_error(self) -> float:
        """R.m.s. error of the phase of each pixel [rad]."""
        return si(self.phase, "rad", "noise.phase")

    @cached_property
    def shift(self) -> Any:
        """R.m.s. shift of each etch layer, as a quantity: reading text takes longer than making a device."""
        return Quantity(si(self.overlay, "m", "noise.overlay"), "m")

    def __str__(self) -> str:
        return f"etch ± {100 * self.etch:g} %, overlay {self.overlay}, phase {self.phase}"


@dataclass(frozen=True)
class DesignConfig:
    """A curriculum from a trained student to masks that can be made.

    Attributes:
        student: Folder of a student, or the TOML file of a run that trains one first.
        data: Name of the data set it was trained on.
        data_dir: Its folder; empty: ``$OPTICS4F_DATA``.
        stages: Some of complex, phase, levels and fabrication, in this order.
        epochs: Of training at each stage, 0: constrained, not trained; empty: the usual ones.
        masks: Number of physical masks per input channel that T(nu) is reduced to first; 0: not reduced.
        levels: Height levels of the relief, a power of two.
        material: Of the relief, from the catalogue.
        noise: Errors of the process: trained against in the last stage, and used to judge every relief.
        teacher: ``"student"``: the student as it came; ``"none"``: the labels alone; or the folder of a run.
        alpha: Weight of the student loss, Eq. 8.
        temperature: T of Eq. 8.
        scale_by_temperature: Whether the temperature loss is multiplied by T^2.
        batch_size: Pictures per step.
        learning_rate: Peak of a one-cycle schedule, at each stage.
        weight_decay: Of AdamW.
        seed: Of the order of the pictures and of the errors.
        device: ``"cpu"``, ``"cuda"``, ...
    """

    student: str = "runs/demo/students/complex"
    data: str = "digits"
    data_dir: str = ""
    stages: tuple[str, ...] = tuple(EPOCHS)
    epochs: tuple[int, ...] = ()
    masks: int = 0
    levels: int = 16
    material: str = "fused-silica"
    noise: Noise = field(default_factory=Noise)
    teacher: str = "student"
    alpha: float = 0.5
    temperature: float = 4.0
    scale_by_temperature: bool = True
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for stage in self.stages:
            one_of("stages", stage, tuple(EPOCHS))
        order = [stage for stage in EPOCHS if stage in self.stages]
        if not order or list(self.stages) != order:
            wanted = ", ".join(order) or "at least one"
            raise ValueError(f"stages: expected {wanted}, in this order, got {list(self.stages)}.")
        if self.epochs and len(self.epochs) != len(self.stages):
            raise ValueError(
                f"epochs: expected {len(self.stages)} numbers, one for each stage, got {list(self.epochs)}."
            )
        for name, value in (("masks", self.masks), *(("epochs", count) for count in self.epochs)):
            at_least(name, value, 0)
        at_least("batch_size", self.batch_size, 1)
        above_zero("learning_rate", self.learning_rate)
        mask_count(self.levels)
        material(self.material)
        checked_seed("design", self.seed)
        self.run("levels", StudentDesign())  # the rest is refused as a run refuses it

    def epochs_of(self, stage: str) -> int:
        """How long a stage is trained."""
        return self.epochs[self.stages.index(stage)] if self.epochs else EPOCHS[stage]

    @property
    def distillation(self) -> Distillation:
        """Eq. 8 with these weights."""
        return Distillation(self.alpha, self.temperature, self.scale_by_temperature)

    def run(self, stage: str, design: StudentDesign) -> RunConfig:
        """The training of one stage."""
        return RunConfig(
            data=self.data,
            data_dir=self.data_dir,
            size=design.shape[0],
            student=design,
            teacher=self.teacher,
            alpha=self.alpha,
            temperature=self.temperature,
            scale_by_temperature=self.scale_by_temperature,
            epochs=max(1, self.epochs_of(stage)) if stage in self.stages else 1,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
            device=self.device,
            checkpoint_every=0,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON and TOML hold it."""
        return {k: listed(v) for k, v in asdict(self).items()}


def read_design(path: str | Path) -> DesignConfig:
    """A curriculum from a TOML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not TOML, has unknown keys, or values out of range.
        TypeError: If a value has another type, or a length no unit.
    """
    return read_toml(path, design_from_dict)


def design_from_dict(values: dict[str, Any]) -> DesignConfig:
    """A curriculum from what JSON or TOML holds; unknown keys are refused."""
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    noise = given.pop("noise", {})
    if not isinstance(noise, dict):
        raise TypeError(f"noise: expected a table, got {noise!r}.")
    for name, kind in (("stages", str), ("epochs", int)):
        if name in given and not (
            isinstance(given[name], tuple) and all(type(v) is kind for v in given[name])
        ):
            what = "names" if kind is str else "whole numbers"
            raise TypeError(f"{name}: expected a list of {what}, got {values[name]!r}.")
    made = replace(Noise(), **checked(Noise(), noise, "noise."))
    return replace(DesignConfig(), **{**checked(DesignConfig(), given, ""), "noise": made})
