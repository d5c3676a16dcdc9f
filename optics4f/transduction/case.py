"""A bench described by tables, as in a configuration file: what its runtime is computed from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..record import load_records
from ..units import Quantity
from .budget import LatencyBudget
from .catalogue import Catalogue, shipped
from .parts import (
    Part,
    display_stages,
    exposure_stages,
    host_stages,
    link_stages,
    optics_stages,
    readout_stages,
    trigger_stages,
    whole_pair,
)
from .stages import Stage
from .tomltext import TomlText, check_keys, refuse

if TYPE_CHECKING:
    from .plan import Plan

TABLES: dict[str, tuple[str, ...]] = {
    "display": ("device", "host_copy", "load", "frame_rate", "free_running", "settle"),
    "trigger": ("device", "duration", "free_running"),
    "optics": ("focal_lengths", "path", "bench"),
    "sensor": (
        "device",
        "exposure",
        "region",
        "bits",
        "row_time",
        "frame_overhead",
        "binning",
        "camera_binning",
        "readout",
        "conversion",
    ),
    "link": ("device", "rate", "payload", "start_delay"),
    "host": ("driver", "to_device"),
    "back_end": ("device", "duration", "measured", "launch", "to_device"),
}
"""The tables of a case and their keys; each may have ``source`` and ``verified`` as well."""

_TOP = ("name", "note", "natural_scene", "input", "frames", "exposures")
_COUNTS = {
    "frames": ("display",),
    "exposures": ("trigger", "optics", "exposure", "readout", "transduction", "host"),
}
"""Kinds of stages that come several times where one inference takes several frames."""
_GROUP = {
    "display": "displays",
    "trigger": "sensors",
    "sensor": "sensors",
    "link": "links",
    "back_end": "back_ends",
}


@dataclass(frozen=True)
class Case:
    """A bench, part by part; checked when it is made.

    Args:
        content: Tables by name, as :data:`TABLES` lists them, and at the top ``name``, ``note``,
            ``natural_scene`` (the input is light already; there is no display), ``input`` (pixels
            [rows, columns] of the input picture, which a sweep changes), ``frames`` (pictures that the
            display shows for one inference) and ``exposures`` (of the sensor, for one inference).
            Quantities are strings with a unit, pint quantities, distributions, or, for a duration, a
            callable that gives one of these.
        catalogue: Where devices are looked up.
        file: The file that ``content`` was read from, for messages and relative paths.

    Raises:
        TypeError: If a quantity is a bare number or has the wrong unit.
        ValueError: If a table, key or device is unknown, something is missing, or a number is out of range.

    Example:
        >>> case = Case({"link": {"device": "paper_usb3", "payload": "100 kB"}})
        >>> print(case.budget())
        transduction 0.320 ms (100 kB at 2500 Mbit/s) · total 0.320 ms
    """

    content: Mapping[str, Any]
    catalogue: Catalogue = field(default_factory=shipped, repr=False)
    file: TomlText | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_keys(self._where(), self.content, (*_TOP, *TABLES))
        for table, keys in TABLES.items():
            content = self.content.get(table, {})
            if not isinstance(content, Mapping):
                refuse(self._where(table), f"a table [{table}]", repr(content))
            for key in content:
                check_keys(self._where(table, key), [key], (*keys, "source", "verified"))
        for key, kind in (("name", str), ("note", str), ("natural_scene", bool)):
            if key in self.content and not isinstance(self.content[key], kind):
                expected = "text" if kind is str else "true or false"
                refuse(self._where("", key), expected, repr(self.content[key]))
        if "input" in self.content:
            whole_pair(self.content["input"], self._where("", "input"))
        for key in _COUNTS:
            if type(times := self.content.get(key, 1)) is not int or times < 1:
                refuse(self._where("", key), "a whole number above 0", repr(times))
        self._check_switches()
        if self.content.get("natural_scene") and "display" in self.content:
            refuse(self._where("display"), "no display of a natural scene", "one")
        self.budget()

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.content.get("name", "runtime"))

    def table(self, name: str) -> Mapping[str, Any]:
        """One of its tables; empty if it is not there."""
        return dict(self.content.get(name, {}))

    def part(self, name: str) -> Part:
        """One of its tables with the device it names."""
        values, entry = self.table(name), None
        if "device" in values:
            try:
                entry = self.catalogue.find(_GROUP[name], values["device"])
            except ValueError as error:
                raise ValueError(f"{self._where(name, 'device')}: {error}") from error
        return Part(values, lambda key: self._where(name, key), entry)

    def changed(self, table: str, drop: tuple[str, ...] = (), **values: Any) -> Case:
        """This case with other values in one table; those named in ``drop`` are taken out first."""
        kept = {key: value for key, value in self.table(table).items() if key not in drop}
        return replace(self, content={**self.content, table: {**kept, **values}})

    def with_plan(self, plan: Plan) -> Case:
        """This case with what one way to build the layer needs: frames, exposures, pixels and bytes.

        Raises:
            ValueError: If the plan does not fit its hardware; the message says by how much.
        """
        if not plan.fits:
            raise ValueError(f"{plan.name}: expected a plan that fits, got one that {plan.shortfalls[0]}.")
        sensor = self.changed("sensor", region=list(plan.camera_pixels), bits=plan.bits)
        sent = (
            sensor.changed("link", payload=Quantity(plan.frame_bytes, "byte"))
            if "link" in self.content
            else sensor
        )
        return replace(sent, content={**sent.content, "frames": plan.frames, "exposures": plan.exposures})

    def budget(self) -> LatencyBudget:
        """Its stages, in the order of the light."""
        builders: dict[str, Callable[[Part], list[Stage]]] = {
            "display": display_stages,
            "trigger": trigger_stages,
            "optics": optics_stages,
        }
        present = [name for name in builders if name in self.content]
        stages = [stage for name in present for stage in builders[name](self.part(name))]
        sensor = self.part("sensor")
        stages += exposure_stages(sensor) + readout_stages(sensor)
        if "link" in self.content:
            stages += link_stages(self.part("link"), sensor)
        stages += host_stages(self.part("host")) if "host" in self.content else []
        stages += self._back_end() if "back_end" in self.content else []
        self._check_frame_rate(stages)
        for key, kinds in _COUNTS.items():
            times = self.content.get(key, 1)
            stages = [stage.repeated(times) if stage.kind in kinds else stage for stage in stages]
        absent = ("display",) if self.content.get("natural_scene") else ()
        return LatencyBudget(self.name, tuple(stages), str(self.content.get("note", "")), absent)

    def _back_end(self) -> list[Stage]:
        part = self.part("back_end")
        copied = part.stage("host to device", "host", "to_device")
        if copied and "to_device" in self.table("host"):
            copied = []  # what the host says goes before what the device says
        stages = [*copied, *part.stage("launch", "back_end", "launch")]
        if "measured" not in part.values:
            stages += part.stage("back end", "back_end", "duration")
            return stages or refuse(self._where("back_end"), "a device, duration or measured", "none of them")
        if "duration" in part.values:
            refuse(self._where("back_end", "measured"), "measured or duration", "both")
        return [*stages, self._measured(part)]

    def _measured(self, part: Part) -> Stage:
        folder = Path(self.file.path).parent if self.file else Path()
        records = load_records(folder / str(part.values["measured"]))
        chosen = [record for record in records if record.name == "back end"] or records
        if len(chosen) != 1:
            names = ", ".join(record.name for record in records)
            refuse(self._where("back_end", "measured"), "one record named back end", names)
        return Stage("back end", "back_end", Quantity(1, "s")).measured(chosen[0])

    def _check_frame_rate(self, stages: list[Stage]) -> None:
        for waiting in (stage for stage in stages if stage.name == "wait for the frame"):
            for stage in stages:
                if stage.kind in ("exposure", "readout") and stage.duration > (waiting.period or 0.0):
                    refuse(
                        self._where("trigger", "free_running"),
                        f"at most {1 / stage.duration:.4g} Hz, one frame per {stage.name}",
                        f"{1 / waiting.period:.4g} Hz",
                    )

    def _check_switches(self) -> None:
        for table in TABLES:
            for key in ("verified", *(("free_running",) if table == "display" else ())):
                value = self.table(table).get(key, True)
                if not isinstance(value, bool):
                    refuse(self._where(table, key), "true or false", repr(value))
            if not isinstance(self.table(table).get("source", ""), str):
                refuse(self._where(table, "source"), "text", repr(self.table(table)["source"]))

    def _where(self, table: str = "", key: str = "") -> str:
        if self.file is not None:
            return self.file.where(table, key)
        parts = " ".join(filter(None, (f"[{table}]" if table else "", key)))
        return f"{self.name}: {parts}" if parts else self.name


def load_case(path: str | Path, catalogue: Catalogue | None = None) -> Case:
    """Read a case from a configuration file in TOML.

    Raises:
        TypeError, ValueError: As :class:`Case`; they name file, line, table and key.
        OSError: If the file, or a measured record it names, cannot be read.
    """
    file = TomlText(path, "a configuration")
    content = {"name": Path(path).stem, **file.content}
    return Case(content, catalogue or shipped(), file)
