"""From light to logits: stages, links and the runtime of one inference."""

from .links import Link, link, link_rate, load_links
from .measurement import measure, median_interval, median_record
from .presets import PRESETS, optical_network_budget, paper_2022, preset
from .stages import KINDS, LatencyBudget, Stage, frame_bytes, time_of_flight, time_text, transfer_time

__all__ = [
    "KINDS",
    "PRESETS",
    "LatencyBudget",
    "Link",
    "Stage",
    "frame_bytes",
    "link",
    "link_rate",
    "load_links",
    "measure",
    "median_interval",
    "median_record",
    "optical_network_budget",
    "paper_2022",
    "preset",
    "time_of_flight",
    "time_text",
    "transfer_time",
]
