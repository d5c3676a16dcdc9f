"""A budget as a table for people."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from .stages import LatencyBudget, time_text


def table(budget: LatencyBudget) -> Table:
    """A Rich table: stage, duration, interval if measured, share of the total, source."""
    result = Table(title=Text(f"Runtime of one inference: {budget.name}"))
    result.add_column("stage", no_wrap=True)
    for heading in ("duration", "share"):
        result.add_column(heading, justify="right", no_wrap=True)
    result.add_column("source")
    for stage in budget.stages:
        source = stage.source
        if stage.interval:
            low, high = map(time_text, stage.interval)
            source = f"{low} to {high}, {source}"
        share = _percent(stage.duration / budget.total_s)
        result.add_row(Text(stage.name), time_text(stage.duration), share, Text(source))
    result.add_section()
    result.add_row("total", time_text(budget.total_s), _percent(1.0), Text(budget.note))
    return result


def remarks(budget: LatencyBudget) -> list[str]:
    """What to keep in mind when reading the total."""
    rate = float(budget.throughput.magnitude)
    lines = [
        f"Pipelined, at most {rate:.4g} inferences per second; the slowest stage is {budget.bottleneck.name}."
    ]
    if budget.missing:
        lines.append(f"The total is a lower bound: it leaves out {', '.join(budget.missing)}.")
    return lines


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 1e-3 else f"{share:.1%}".replace("%", " %")
