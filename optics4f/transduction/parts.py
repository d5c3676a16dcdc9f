"""The stages that each part of a bench adds to an inference, from the display to the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..units import Quantity, compact, positive_si, si
from .catalogue import Entry
from .distributions import Constant, Uniform, distribution
from .stages import Stage, frame_bytes, readout_time, time_of_flight, transfer_time
from .tomltext import refuse


class Given(NamedTuple):
    """A value as the case or the catalogue gives it, where it stands, its source, and whether to trust it."""

    value: Any
    text: str
    where: str
    source: str
    verified: bool


@dataclass(frozen=True)
class Part:
    """One table of a case, and the device of the catalogue that it names.

    Args:
        values: What the table holds.
        place: Says where a key stands, for messages.
        entry: The device, whose numbers stand in for keys that are not given.
    """

    values: Mapping[str, Any]
    place: Callable[[str], str]
    entry: Entry | None = None

    def get(self, key: str) -> Given | None:
        """What the table says about a key, or the device, or None."""
        if key in self.values:
            source = str(self.values.get("source", "given"))
            verified = bool(self.values.get("verified", True))
            return Given(self.values[key], str(self.values[key]), self.place(key), source, verified)
        if self.entry is None or key not in self.entry.numbers:
            return None
        number = self.entry.numbers[key]
        where = f"{self.entry.name} {key}"
        return Given(number.value, number.text, where, f"{self.entry.name}: {number.source}", number.verified)

    def seconds(self, key: str) -> Any:
        """A duration of the table or the device as a distribution, or None."""
        given = self.get(key)
        if given is None:
            return None
        if key not in self.values:
            return Constant(Quantity(given.value, "s"))
        value = given.value() if callable(given.value) else given.value
        if isinstance(value, (str, int, float)) or hasattr(value, "magnitude"):
            return Constant(Quantity(positive_si(value, "s", given.where), "s"))
        try:
            return distribution(value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{given.where}: {error}") from error

    def number(self, key: str, unit: str) -> float | None:
        """A positive number of the table or the device in SI, or None."""
        given = self.get(key)
        if given is None:
            return None
        return positive_si(given.value, unit, given.where) if key in self.values else float(given.value)

    def whole(self, key: str, default: int | None = None) -> int | None:
        """A whole number above 0, or the default."""
        given = self.get(key)
        if given is None:
            return default
        value = int(given.value) if key not in self.values else given.value
        if type(value) is not int or value < 1:
            refuse(given.where, "a whole number above 0", repr(value))
        return value

    def stage(self, name: str, kind: str, key: str) -> list[Stage]:
        """The stage of a duration, if there is one."""
        spread, given = self.seconds(key), self.get(key)
        if spread is None or given is None:
            return []
        return [Stage(name, kind, spread, source=given.source, verified=given.verified)]


def display_stages(part: Part) -> list[Stage]:
    """Host to display, the wait for its next frame if it runs free, load, settle."""
    stages = part.stage("host to display", "display", "host_copy")
    rate, loaded = part.number("frame_rate", "1/s"), part.stage("display load", "display", "load")
    if rate and (given := part.get("frame_rate")):
        frame = Quantity(1 / rate, "s")
        if not loaded:
            loaded = [Stage("display load", "display", frame, source=given.source, verified=given.verified)]
        if part.values.get("free_running", False):
            stages.append(wait("wait for the display", "display", rate, given))
    elif part.values.get("free_running", False):
        refuse(part.place("free_running"), "a frame_rate as well", "none")
    stages += [*loaded, *part.stage("display settle", "display", "settle")]
    if not stages:
        refuse(part.place(""), "a device, host_copy, load, frame_rate or settle", "none")
    return stages


def wait(name: str, kind: str, rate: float, given: Given) -> Stage:
    """The wait for a clock that runs free, anywhere in one period; it delivers once per period."""
    period = Quantity(1 / rate, "s")
    source = f"free running at {compact(rate, 'Hz')}, {given.source}"
    return Stage(
        name,
        kind,
        Uniform("0 s", period),
        source=source,
        note="free running",
        period=period,
        verified=given.verified,
    )


def trigger_stages(part: Part) -> list[Stage]:
    """From the order to the start of the exposure, or the wait for a camera that runs free."""
    if "free_running" not in part.values:
        stages = part.stage("trigger", "trigger", "duration") or part.stage("trigger", "trigger", "trigger")
        return stages or refuse(part.place(""), "a device, duration or free_running", "none of them")
    if "duration" in part.values or part.entry is not None:
        refuse(part.place("free_running"), "free_running or a trigger", "both")
    given = part.get("free_running")
    rate = part.number("free_running", "1/s")
    assert given is not None and rate is not None  # the key is there
    return [wait("wait for the frame", "trigger", rate, given)]


def optics_stages(part: Part) -> list[Stage]:
    """Time of flight: of a path, of two focal lengths, or of a bench with both."""
    if len({"path", "focal_lengths", "bench"} & set(part.values)) != 1:
        refuse(part.place(""), "one of focal_lengths, path, bench", ", ".join(part.values) or "none")
    if "path" in part.values:
        length, text = positive_si(part.values["path"], "m", part.place("path")), "path / c"
    else:
        first, second = _focal_lengths(part)
        length = 2 * (first + second)
        text = f"(2 f1 + 2 f2) / c, f1 = {compact(first, 'm')}, f2 = {compact(second, 'm')}"
    duration = Quantity(time_of_flight(Quantity(length, "m")), "s")
    return [Stage("time of flight", "optics", duration, source=text)]


def _focal_lengths(part: Part) -> tuple[float, float]:
    if "bench" in part.values:  # a FourF, known by its focal lengths: the runtime needs no torch
        bench = part.values["bench"]
        return bench.focal_length, bench.second_focal_length
    lengths, where = part.values["focal_lengths"], part.place("focal_lengths")
    if not isinstance(lengths, (list, tuple)) or len(lengths) != 2:
        refuse(where, "two focal lengths", repr(lengths))
    return positive_si(lengths[0], "m", where), positive_si(lengths[1], "m", where)


def exposure_stages(part: Part) -> list[Stage]:
    """Exposure: given, or found by whatever callable stands there, such as a photon budget."""
    return part.stage("exposure", "exposure", "exposure")


def readout_stages(part: Part) -> list[Stage]:
    """Readout, row by row or as given, and conversion."""
    stages = part.stage("sensor readout", "readout", "readout")
    given, region = part.get("row_time"), region_of(part)
    if stages and "row_time" in part.values:
        refuse(part.place("readout"), "readout or row_time", "both")
    if not stages and given is not None and region is not None:
        stages = [_row_readout(part, given, region[0])]
    elif not stages and given is not None and "device" not in part.values:
        refuse(part.place("row_time"), "a region as well", "none")
    return stages + part.stage("conversion", "readout", "conversion")


def _row_readout(part: Part, given: Given, rows: int) -> Stage:
    row_time, binning = part.number("row_time", "s"), part.whole("binning", 1) or 1
    overhead = part.get("frame_overhead")
    extra = 0.0
    if overhead is not None:
        own = "frame_overhead" in part.values
        extra = si(overhead.value, "s", overhead.where) if own else overhead.value
    duration = readout_time(rows, Quantity(row_time, "s"), Quantity(extra, "s"), binning)
    read = -(-rows // binning)
    note = f"{read} rows of {compact(row_time or 0, 's')}"
    verified = given.verified and (overhead is None or overhead.verified)
    return Stage(
        "sensor readout",
        "readout",
        Quantity(duration, "s"),
        source=given.source,
        note=note,
        verified=verified,
    )


def region_of(part: Part) -> tuple[int, int] | None:
    """Rows and columns that are read, checked against the size of the sensor."""
    if "region" not in part.values:
        return None
    where = part.place("region")
    region = whole_pair(part.values["region"], where)
    for key, asked in zip(("rows", "columns"), region, strict=True):
        if (limit := part.whole(key)) and asked > limit:
            refuse(where, f"at most {limit} {key} of the sensor", str(asked))
    return region


def whole_pair(value: Any, where: str) -> tuple[int, int]:
    """Rows and columns as whole numbers above 0."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or any(type(n) is not int for n in value):
        refuse(where, "[rows, columns] as whole numbers above 0", repr(value))
    if min(value) < 1:
        refuse(where, "[rows, columns] as whole numbers above 0", repr(value))
    return value[0], value[1]


def link_stages(part: Part, sensor: Part) -> list[Stage]:
    """Start of the transmission, and the transfer of one frame."""
    rate, given = part.number("rate", "bit/s"), part.get("rate")
    if rate is None or given is None:
        refuse(part.place(""), "a device or a rate", "neither")
    size = payload_bytes(part, sensor)
    if size is None:
        refuse(part.place(""), "a payload, or region and bits of the sensor", "neither")
    note = f"{compact(size, 'byte')} at {given.text}"
    duration = Quantity(transfer_time(Quantity(size, "byte"), Quantity(rate, "bit/s")), "s")
    stage = Stage(
        "transduction", "transduction", duration, source=given.source, note=note, verified=given.verified
    )
    return [*part.stage("transmission start", "transduction", "start_delay"), stage]


def payload_bytes(link: Part, sensor: Part) -> float | None:
    """Size of one frame [byte]: as given, or from the region, binning and bits of the sensor."""
    if "payload" in link.values:
        return positive_si(link.values["payload"], "bit", link.place("payload")) / 8
    region, bits = region_of(sensor), sensor.get("bits")
    if region is None or bits is None:
        return None
    depth = bits.value
    if "bits" in sensor.values:
        depth = sensor.whole("bits")
    binning = (sensor.whole("binning", 1) or 1) * (sensor.whole("camera_binning", 1) or 1)
    return frame_bytes(1, (-(-region[0] // binning), -(-region[1] // binning)), int(depth))


def host_stages(part: Part) -> list[Stage]:
    """Driver with the copy to the program, and the copy to the device that computes."""
    stages = part.stage("driver and host copy", "host", "driver")
    stages += part.stage("host to device", "host", "to_device")
    return stages or refuse(part.place(""), "driver or to_device", "neither")
