"""What an experiment is told, and what it leaves: a record as JSON, as a page, and as a picture."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optics4f.files import write_json, write_text
from optics4f.plotting import save
from optics4f.plotting.experiments import drawn

from ..report import machine, versions
from ..tables import Rows
from ..timing import processor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT, FORMAT_VERSION = "optics4f-experiment", 1
PRESETS = ("cpu", "full")

Draw = Callable[["Figure"], None]


@dataclass(frozen=True)
class Options:
    """What every experiment is told.

    Attributes:
        preset: ``"cpu"``: hours at most on two cores. ``"full"``: 224x224 on a GPU.
        out: Folder of the record.
        runs: Folder of the trainings; each experiment has one of its own in it.
        data_dir: Folder of the data set; that of ``$OPTICS4F_DATA`` if not given.
        jobs: Trainings at a time, each in one thread.
        seeds: Seeds of every training, counted from 0.
        device: ``"cpu"``, ``"cuda"``, ...
    """

    preset: str = "cpu"
    out: Path = Path("docs/results")
    runs: Path = Path("runs/paper")
    data_dir: Path | None = None
    jobs: int = 1
    seeds: int = 3
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"--preset: expected {' or '.join(PRESETS)}, got {self.preset!r}.")
        if min(self.jobs, self.seeds) < 1:
            raise ValueError(
                f"paper: expected --jobs and --seeds of at least 1, got {self.jobs} and {self.seeds}."
            )

    @property
    def seed_list(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return tuple(range(self.seeds))

    def command(self, experiment: str) -> str:
        """The command that gives these numbers again; folders, which change none of them, are left out.

        Example:
            >>> Options(seeds=1, jobs=2).command("fig4")
            'optics4f paper fig4 --preset cpu --seeds 1 --device cpu'
        """
        return (
            f"optics4f paper {experiment} --preset {self.preset} --seeds {self.seeds} --device {self.device}"
        )


@dataclass(frozen=True)
class Report:
    """What an experiment found.

    Attributes:
        name: Of the experiment and of its files, e.g. ``"table2"``.
        title: One line.
        command: What gives it again.
        preset: ``"cpu"`` or ``"full"``.
        seeds: Of its trainings; empty if it has none.
        settings: What else decides the numbers, ready for JSON.
        tables: For the reader; the paper's numbers are columns of them.
        data: Every number behind the tables, ready for JSON, the paper's under ``"paper"``.
        notes: Sentences that a reader of the tables must know.
        device: What it ran on.
    """

    name: str
    title: str
    command: str
    preset: str
    seeds: tuple[int, ...]
    settings: Mapping[str, Any]
    tables: tuple[Rows, ...]
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    device: str = "cpu"
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    """When, on what machine and with which versions; filled in by :func:`write`."""


def write(report: Report, folder: str | Path, draw: Draw | None = None) -> list[Path]:
    """Write ``<name>.png``, ``<name>.md`` and ``<name>.json``, each beside its place and renamed.

    Neither names a host nor an absolute path: of such a path the last part is kept.

    Args:
        report: What was found.
        folder: Made if need be.
        draw: Draws on an empty figure; no picture if not given.

    Returns:
        The files, the JSON last.
    """
    folder = Path(folder)
    content = _content(report)
    picture, page, record = (folder / f"{report.name}.{end}" for end in ("png", "md", "json"))
    if draw is not None:
        save(drawn(draw), picture)
    write_text(page, _page(report, content, picture.name if draw is not None else None))
    write_json(record, content)
    return [picture, page, record] if draw is not None else [page, record]


def read(path: str | Path) -> Report:
    """What :func:`write` wrote as JSON.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, or of another format or version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        found = content.pop("format"), content.pop("format_version")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected the record of an experiment, got: {error!r}.") from error
    if found != (FORMAT, FORMAT_VERSION):
        raise ValueError(f"{path}: expected {FORMAT} of version {FORMAT_VERSION}, got {found}.")
    rows = tuple(
        Rows(
            table["title"],
            tuple(table["columns"]),
            [tuple(row) for row in table["rows"]],
            table["numbers"],
        )
        for table in content.pop("tables")
    )
    surroundings = {key: content.pop(key) for key in ("finished", "machine", "versions")}
    content |= {key: tuple(content[key]) for key in ("seeds", "notes")}
    return Report(**content, tables=rows, surroundings=surroundings)


def _content(report: Report) -> dict[str, Any]:
    """The record, ready for JSON."""
    plain = {item.name: getattr(report, item.name) for item in fields(report)}
    rest = {key: plain[key] for key in plain if key not in ("tables", "surroundings")}
    tables = [
        {**table._asdict(), "columns": list(table.columns), "rows": [list(row) for row in table.rows]}
        for table in report.tables
    ]
    head = {"format": FORMAT, "format_version": FORMAT_VERSION}
    content: dict[str, Any] = portable({**head, **rest, **_surroundings(report.device), "tables": tables})
    return content


def _surroundings(device: str) -> dict[str, Any]:
    """When, on what machine, and with which versions."""
    found = machine(device)
    if not device.startswith("cuda"):
        found["processor"] = processor()
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": found,
        "versions": versions(),
    }


def portable(value: Any) -> Any:
    """The same without absolute paths, which belong to one machine: their last part is kept."""
    if isinstance(value, Mapping):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(item) for item in value]
    if isinstance(value, (str, Path)) and os.path.isabs(value):
        return Path(value).name
    return str(value) if isinstance(value, Path) else value


def _page(report: Report, content: dict[str, Any], picture: str | None) -> str:
    """The record as Markdown."""
    seeds = ", ".join(map(str, report.seeds)) or "none"
    facts = (
        f"`{report.command}`, finished {content['finished']}, preset {report.preset}, seeds {seeds}.",
        *(f"{key.capitalize()}: {_listed(content[key])}." for key in ("machine", "versions", "settings")),
    )
    parts = [f"# {report.title}", "", *(table.for_page() for table in report.tables)]
    parts += [*(f"- {note}" for note in report.notes), ""] if report.notes else []
    parts += [f"![{report.title}]({picture})", ""] if picture else []
    parts += [*(f"- {fact}" for fact in facts), "", f"Every number is in [{report.name}.json]"]
    return "\n".join(parts) + f"({report.name}.json).\n"


def _listed(values: Mapping[str, Any]) -> str:
    """``key value`` pairs; a table within is written as JSON."""
    texts = {
        key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in values.items()
    }
    return ", ".join(f"{key} {value}" for key, value in texts.items()) or "none"
