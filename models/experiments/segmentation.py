"""CamVid by a U-Net, its optical counterparts, and its expanding path alone: what table4 and fig5 share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..counterpart import counterpart
from ..data import ImageData
from ..datasets import load
from ..lesson import Task
from ..linear_part import Tap, walk
from ..merged import merged
from ..runconfig import RunConfig
from ..tapped import CollapsedCounterpart
from ..teachers import UNet
from .record import Options
from .runs import Build, Trained, trained

TASKS: dict[str, dict[str, tuple[str, ...]] | None] = {"car": {"rest": (), "car": ("car",)}, "all": None}
"""The classes of each task: gathered ones, or None for those of the data set."""
TITLES = {"car": "Car against rest", "all": "All eleven classes"}
SKIPS = {"detect": "detected", "drop": "dropped"}
READOUTS = ("strict", "detected")
UNET, BACK_END = "U-Net", "back end only"


@dataclass(frozen=True)
class Setting:
    """What a preset decides.

    Attributes:
        size: Height and width of the pictures.
        width: Channels of the U-Net's first level.
        depth: Halvings of the U-Net.
        epochs: Passes over the training split.
        batch_size: Pictures per step.
        learning_rate: Peak of a one-cycle schedule, of every network.
        alpha: Weight of the labels, Eq. 8.
        temperature: T of Eq. 8.
    """

    size: tuple[int, int]
    width: int
    depth: int
    epochs: int
    batch_size: int
    learning_rate: float
    alpha: float = 0.5
    temperature: float = 2.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture, (C, H, W)."""
        return 3, *self.size


SETTINGS = {
    "cpu": Setting((48, 64), 8, 3, 10, 8, 1e-2),
    "full": Setting((224, 304), 64, 4, 100, 8, 3e-3),
}


@dataclass(frozen=True)
class Row:
    """One network of the experiment, over all seeds.

    Attributes:
        task: Key of :data:`TASKS`.
        network: ``"U-Net"``, ``"strict"``, ``"detected"`` or ``"back end only"``.
        skips: ``"detect"`` or ``"drop"``: what becomes of the skip connections.
        distilled: Whether the U-Net of the same task and seed teaches it.
    """

    task: str
    network: str
    skips: str = "detect"
    distilled: bool = False

    @property
    def label(self) -> str:
        """Of its folders."""
        parts = (self.task, self.network, self.skips, "kd" if self.distilled else "")
        return "-".join(part.lower().replace(" ", "-") for part in parts if part)

    @property
    def name(self) -> str:
        """For a reader."""
        return self.network + " + KD" * self.distilled

    @property
    def full_name(self) -> str:
        """The same with what became of its skip connections."""
        return self.name if self.network == UNET else f"{self.name}, skips {SKIPS[self.skips]}"

    @property
    def is_main(self) -> bool:
        """Whether it is trained with every seed: on two cores, not all networks can be."""
        return self.skips == "detect" and self.network != "strict"

    @property
    def is_optical(self) -> bool:
        """Whether its contracting path is light."""
        return self.network in READOUTS


def rows(task: str) -> list[Row]:
    """The networks of a task: the teacher first, then with skip connections kept, then without."""
    students = [
        Row(task, network, skips, distilled)
        for skips in ("detect", "drop")
        for network, distilled in (
            *((readout, distilled) for readout in READOUTS for distilled in (False, True)),
            (BACK_END, False),
        )
    ]
    return [Row(task, UNET), *students]


class BackEndOnly(nn.Module):
    """The expanding path of a U-Net on what its sensors would read without any mask: the picture itself.

    Every sensor has the pixels and channels that the optical student's has. Each channel holds a colour of
    the picture, averaged over the pixels, so that the electronics are the same to the last number.

    Args:
        electronics: Of :func:`~optics4f.models.linear_part.walk`.
        taps: Its sensors.
        skips: ``"detect"``, or ``"drop"`` for zeros in place of the skip connections.

    Shape:
        As the U-Net's.
    """

    def __init__(self, electronics: nn.Module, taps: list[Tap], skips: str) -> None:
        super().__init__()
        self.electronics, self.taps, self.skips = electronics, taps, skips
        self.train().requires_grad_(True)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits of every pixel."""
        seen = [_seen(picture, tap) for tap in self.taps]
        if self.skips == "drop":
            seen[1:] = [torch.zeros_like(signal) for signal in seen[1:]]
        result: Tensor = self.electronics(*seen)
        return result


def _seen(picture: Tensor, tap: Tap) -> Tensor:
    channels, height, width = tap.shape
    colour = torch.arange(channels, device=picture.device) % picture.shape[1]
    return F.adaptive_avg_pool2d(picture, (height, width))[:, colour]


def network_of(row: Row, setting: Setting, classes: int, seed: int) -> nn.Module:
    """A network of the experiment with random weights; those of a seed are the same in every row."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet(setting.shape[0], classes, setting.width, setting.depth)
    if row.network == UNET:
        return unet
    if row.network == BACK_END:
        plan = walk(unet, setting.shape)
        return BackEndOnly(plan.electronics, plan.taps, row.skips)
    return CollapsedCounterpart(counterpart(unet, setting.shape, readout=row.network, skips=row.skips))


@lru_cache(maxsize=len(TASKS))
def data_of(task: str, size: tuple[int, int], root: Path | None) -> ImageData:
    """CamVid with the classes of a task, in memory; kept, as every row asks for it."""
    data, groups = load("camvid", root, size), TASKS[task]
    return (data if groups is None else merged(data, groups)).read()


def task_of(config: RunConfig, row: Row, setting: Setting, root: Path | None) -> Task:
    """What a run of a row trains; its teacher is in the folder that the configuration names."""
    data = data_of(row.task, setting.size, root)
    network = network_of(row, setting, data.classes, config.seed)
    return Task(data, network, _teacher(config, row, setting, data.classes))


def _teacher(config: RunConfig, row: Row, setting: Setting, classes: int) -> nn.Module | None:
    if config.teacher == "none":
        return None
    from ..lesson import MODEL_FILE
    from ..state import read_state

    network = network_of(Row(row.task, UNET), setting, classes, config.seed)
    network.load_state_dict(read_state(Path(config.teacher) / MODEL_FILE).tensors)
    return network.eval()


def config_of(row: Row, setting: Setting, seed: int, options: Options, folder: Path) -> RunConfig:
    """How a run of a row is trained. The U-Net's convolutions may be rounded to bfloat16, optics never."""
    teacher = folder / f"{Row(row.task, UNET).label}-seed{seed}"
    return RunConfig(
        data="camvid",
        size=setting.size[0],
        network="student" if row.is_optical else "alexnet32",
        width=float(setting.width),
        teacher=str(teacher) if row.distilled else "none",
        alpha=setting.alpha,
        temperature=setting.temperature,
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        learning_rate=setting.learning_rate,
        seed=seed,
        device=options.device,
        autocast=not row.is_optical,
        report_every=0,
        checkpoint_every=0,
    )


def trained_rows(options: Options, setting: Setting | None = None) -> dict[Row, list[Trained]]:
    """Every network of every task; what has finished is not trained again.

    The main networks are trained with every seed, the others with the first one.

    Args:
        options: Of the experiment; ``runs/table4`` holds the trainings, of figure 5 as well.
        setting: That of the preset if not given.

    Raises:
        ValueError: If a folder holds a run with other settings.
    """
    setting = setting or SETTINGS[options.preset]
    folder = options.runs / "table4" / options.preset
    found: dict[Row, list[Trained]] = {}
    for row in (row for task in TASKS for row in rows(task)):
        configs = {
            f"{row.label}-seed{seed}": config_of(row, setting, seed, options, folder)
            for seed in options.seed_list[: None if row.is_main else 1]
        }
        build = builder(row, setting, options)
        found[row] = list(trained(configs, folder, options.jobs, build).values())
    return found


def builder(row: Row, setting: Setting, options: Options) -> Build:
    """Data, network and teacher of a run of a row."""
    return partial(task_of, row=row, setting=setting, root=options.data_dir)
