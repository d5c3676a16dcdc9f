"""From light to logits: stages, devices and the runtime of one inference."""

from .budget import LatencyBudget
from .case import Case, load_case
from .catalogue import Catalogue, Entry, load_catalogue
from .changes import Change, changes, next_best_change
from .distributions import (
    Constant,
    Distribution,
    Samples,
    ShiftedLogNormal,
    Uniform,
    distribution,
    distribution_from_dict,
)
from .links import Link, link, link_rate, load_links
from .measurement import measure, median_interval, median_record
from .presets import PRESETS, optical_network_budget, paper_2022, preset, preset_case
from .stages import KINDS, Stage, frame_bytes, readout_time, time_of_flight, time_text, transfer_time
from .sweep import sweep
from .traces import Percentile, Traces

__all__ = [
    "KINDS",
    "PRESETS",
    "Case",
    "Catalogue",
    "Change",
    "Constant",
    "Distribution",
    "Entry",
    "LatencyBudget",
    "Link",
    "Percentile",
    "Samples",
    "ShiftedLogNormal",
    "Stage",
    "Traces",
    "Uniform",
    "changes",
    "distribution",
    "distribution_from_dict",
    "frame_bytes",
    "link",
    "link_rate",
    "load_case",
    "load_catalogue",
    "load_links",
    "measure",
    "median_interval",
    "median_record",
    "next_best_change",
    "optical_network_budget",
    "paper_2022",
    "preset",
    "preset_case",
    "readout_time",
    "sweep",
    "time_of_flight",
    "time_text",
    "transfer_time",
]
