"""Durations of stages, from the time stamps of a bench."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from optics4f.record import Record, Traces
from optics4f.transduction.measurement import PERCENTILES, median_interval, percentiles

from .stamps import Stamp

WARMUP = 10


def fit_stages(stamps: Sequence[Stamp], warmup: int = WARMUP, device: str = "unnamed bench") -> list[Record]:
    """The duration of each stage: median, percentiles and distribution, with 95 % intervals.

    The value of a record is the median, with an interval by order statistics that needs no model. Its
    ``estimates`` hold p50, p90 and p99, as far as the number of passes allows (6, 36 and 368), and the
    parameters of the distribution of :func:`~optics4f.calibration.fits.fit_distribution`; ``method`` says
    how that was chosen.

    Args:
        stamps: Time stamps, in any order.
        warmup: Passes of each stage, the earliest, that are dropped: first calls are slow.
        device: What the stamps were taken on.

    Returns:
        One record per stage [s], in the order in which the stages first stand in ``stamps``.

    Raises:
        ValueError: If ``warmup`` is negative, or leaves fewer than the six passes an interval needs.
    """
    return [_fit(stage, taken, warmup, device) for stage, taken in durations_ns(stamps, warmup).items()]


def durations_ns(stamps: Sequence[Stamp], warmup: int = WARMUP) -> dict[str, list[int]]:
    """Durations of each stage [ns] in the order of time, without the first ``warmup`` passes.

    Raises:
        ValueError: As :func:`fit_stages`.
    """
    if warmup < 0:
        raise ValueError(f"warmup: expected 0 or more passes, got {warmup}.")
    passes: dict[str, list[Stamp]] = {}
    for stamp in sorted(stamps, key=lambda stamp: stamp.start_ns):
        passes.setdefault(stamp.stage, []).append(stamp)
    found = {}
    for stage in dict.fromkeys(stamp.stage for stamp in stamps):
        if len(passes[stage]) < warmup + 6:
            raise ValueError(
                f"{stage}: expected at least {warmup + 6} passes, {warmup} for warm-up and 6 for an "
                f"interval, got {len(passes[stage])}."
            )
        found[stage] = [stamp.end_ns - stamp.start_ns for stamp in passes[stage][warmup:]]
    return found


def whole_traces(stamps: Sequence[Stamp], warmup: int = WARMUP) -> Traces | None:
    """Durations of all stages, run by run, with their rank correlation; None where stamps have no run.

    Runs that miss a stage are left out, and so are the first ``warmup`` of the others: percentiles of a
    total need samples of whole inferences, since stages that are slow together do not average out.

    Raises:
        ValueError: If fewer than six whole runs remain.
    """
    from .fits import rank_correlation

    stages = list(dict.fromkeys(stamp.stage for stamp in stamps))
    runs: dict[str, dict[str, Stamp]] = {}
    for stamp in stamps:
        if stamp.run:
            runs.setdefault(stamp.run, {})[stamp.stage] = stamp
    if not runs:
        return None
    whole = [run for run in runs.values() if len(run) == len(stages)]
    whole.sort(key=lambda run: min(stamp.start_ns for stamp in run.values()))
    if len(kept := whole[warmup:]) < 6:
        raise ValueError(f"runs: expected at least {warmup + 6} with every stage, got {len(whole)}.")
    durations = {name: [(r[name].end_ns - r[name].start_ns) / 1e9 for r in kept] for name in stages}
    return Traces(durations, rank_correlation(list(durations.values())))


def drawn_together(records: Sequence[Record], traces: Traces) -> list[Record]:
    """The records, with whole traces in place of fits for stages that are slow together.

    Stages whose rank correlation with another is beyond 0.1, and three deviations of independent ones, get
    their samples as distribution, all of one ``run``: a budget draws them trace by trace.
    """
    count = len(next(iter(traces.durations.values())))
    limit, run = max(0.1, 3 / count**0.5), f"{records[0].device}, {records[0].date}"
    found = []
    for record, row in zip(records, traces.rank_correlation, strict=True):
        others = {name: r for name, r in zip(traces.durations, row, strict=True) if name != record.name}
        if (
            others
            and (strongest := max(others, key=lambda name: abs(others[name])))
            and (abs(others[strongest]) > limit)
        ):
            values = list(traces.durations[record.name])
            record = replace(
                record,
                distribution={"kind": "samples", "unit": "s", "values": values, "run": run},
                method=f"{record.method}; drawn by whole traces, since it varies with {strongest} "
                f"(rank correlation {others[strongest]:.2f})",
            )
        found.append(record)
    return found


def _fit(stage: str, kept: list[int], warmup: int, device: str) -> Record:
    from .fits import fit_distribution, rank_correlation

    seconds = [duration / 1e9 for duration in kept]
    fit = fit_distribution(seconds)
    method = f"time stamps, first {warmup} passes dropped, median with order-statistic interval; {fit.words}"
    follow = rank_correlation([seconds[:-1], seconds[1:]])[0][1]
    if follow > 0.1 and follow > 3 / len(seconds) ** 0.5:  # three deviations of independent passes
        method += f"; passes resemble the ones before (rank correlation {follow:.2f}): intervals too narrow"
    found = percentiles(seconds)
    if missing := [f"p{number}" for number in PERCENTILES if f"p{number}" not in found]:
        method += f"; too few passes for an interval of {' and '.join(missing)}"
    return Record(
        name=stage,
        value=statistics.median(kept) / 1e9,
        unit="s",
        interval=median_interval(seconds),
        samples=len(kept),
        device=device,
        method=method,
        distribution=fit.distribution,
        estimates={**found, **fit.estimates},
    )
