"""A budget as a table for people, and what to keep in mind when reading it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from .budget import LatencyBudget
from .case import Case
from .changes import best_changes
from .stages import Stage, time_text
from .sweep import Sweep
from .traces import PERCENTILES


def table(budget: LatencyBudget) -> Table:
    """A Rich table: stage, duration or its percentiles, share of the mean total.

    Beside single durations stands their source; percentiles leave no room for it, see :func:`sources`. A star
    marks what is not verified.
    """
    result = Table(title=Text(f"Runtime of one inference: {budget.name}"))
    result.add_column("stage", no_wrap=True)
    percentiles = () if budget.is_constant else PERCENTILES
    for heading in (*(f"p{p}" for p in percentiles), *(() if percentiles else ("duration",)), "share"):
        result.add_column(heading, justify="right", no_wrap=True)
    if budget.is_constant:
        result.add_column("source")
    for stage in budget.stages:
        times = [budget.drawn.of_stage(stage.name, p) for p in percentiles] or [stage.duration]
        share = _percent(stage.duration / budget.total_s)
        source = [Text(_source(stage))] if budget.is_constant else []
        name = stage.name if stage.verified else f"{stage.name} *"
        result.add_row(Text(name), *map(time_text, times), share, *source)
    result.add_section()
    totals = [budget.p(p) for p in percentiles] or [budget.total_s]
    note = [Text(budget.note)] if budget.is_constant else []
    result.add_row("total", *map(time_text, totals), _percent(1.0), *note)
    return result


def sources(budget: LatencyBudget) -> list[str]:
    """Where each number comes from, a line for each stage."""
    return [f"  {stage.name}: {_source(stage)}" for stage in budget.stages]


def comparison(budgets: Sequence[LatencyBudget]) -> Table:
    """Several budgets side by side: percentiles and rate; :func:`differences` says the rest."""
    result = Table(title="Compared")
    result.add_column("case", no_wrap=True)
    for heading in (*(f"p{p}" for p in PERCENTILES), "per second"):
        result.add_column(heading, justify="right", no_wrap=True)
    for budget in budgets:
        times = [time_text(budget.p(p)) for p in PERCENTILES]
        result.add_row(Text(budget.name), *times, f"{budget.rate():.4g}")
    return result


def differences(budgets: Sequence[LatencyBudget]) -> list[str]:
    """The slowest stage of each budget, and what it leaves out."""
    return [
        f"{budget.name}: the slowest stage is {budget.bottleneck.name}; "
        f"it leaves out {', '.join(budget.missing) or 'nothing known'}."
        for budget in budgets
    ]


def sweep_table(found: Sweep) -> Table:
    """Times against the number that was changed, one column for each curve."""
    result = Table(title=f"Median runtime against {found.parameter}")
    for heading in (found.parameter, *found.curves):
        result.add_column(Text(heading), justify="right", no_wrap=True)
    for text, *times in zip(found.texts, *found.curves.values(), strict=True):
        result.add_row(text, *map(time_text, times))
    return result


def remarks(budget: LatencyBudget) -> list[str]:
    """What to keep in mind when reading the total."""
    lines = [
        f"Pipelined with two buffers or more, at most {budget.rate():.4g} inferences per second; the slowest "
        f"stage is {budget.bottleneck.name}. One after the other: {budget.rate(1):.4g} per second."
    ]
    if (standing := budget.standing) and standing > budget.bottleneck.occupied:
        lines.append(
            f"The picture stands on the display for {time_text(standing)}: at most {1 / standing:.4g}/s."
        )
    if budget.is_constant:
        lines.append(
            "Every stage is a single number, so there are no percentiles; drivers and hosts do vary."
        )
    else:
        lines.append(_sampling(budget))
    if budget.unverified:
        lines.append(f"* Assumed, or from a source not seen: {', '.join(budget.unverified)}.")
    if budget.missing:
        lines.append(f"The total is a lower bound: it leaves out {', '.join(budget.missing)}.")
    return lines


def advice(case: Case) -> list[str]:
    """The change of one part that saves most, and the best one of each other part."""
    best = best_changes(case)
    if not best:
        return ["No single change of a verified device makes it faster."]
    return [f"Next best change, {best[0]}.", *(f"Otherwise, {change}." for change in best[1:3])]


def _sampling(budget: LatencyBudget) -> str:
    value, low, high = budget.drawn.percentile(99)
    # Relative: an absolute time would be rounded to nothing here.
    width = max(high - value, value - low) / value
    return (
        f"Percentiles are of {budget.drawn.count} traces drawn stage by stage; p99 is sampled to "
        f"{100 * width:.2g} % (95 % confidence). They do not add from stage to stage."
    )


def _source(stage: Stage) -> str:
    source = stage.source
    if stage.interval:
        low, high = map(time_text, stage.interval)
        source = f"{low} to {high}, {source}"
    return source if stage.verified else f"{source} [unverified]"


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 1e-3 else f"{share:.1%}".replace("%", " %")
