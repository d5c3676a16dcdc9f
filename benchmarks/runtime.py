"""How long it takes to draw the runtime of a chain of twelve stages 100 000 times, percentiles included.

    python benchmarks/runtime.py [--json FILE] [--count 100000]

Asked for: less than half a second. Median of interleaved runs; time of this process alone, so that other work
on the machine does not count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from optics4f.files import write_json
from optics4f.transduction import Constant, LatencyBudget, Samples, ShiftedLogNormal, Stage, Uniform

LIMIT = 0.5  # [s]
SPREADS = {
    "constant": Constant("1 ms"),
    "uniform": Uniform("0 ms", "10 ms"),
    "shifted log-normal": ShiftedLogNormal("50 us", "50 us", 0.5),
    "samples": Samples([f"{100 + n % 17} us" for n in range(1000)]),
}


def chain(stages: int = 12) -> LatencyBudget:
    """A chain of so many stages, each kind of distribution in turn."""
    spreads = [*SPREADS.values()] * stages
    return LatencyBudget("chain", tuple(Stage(f"stage {n}", "host", spreads[n]) for n in range(stages)))


def only(name: str, stages: int = 12) -> LatencyBudget:
    """A chain of one kind of distribution."""
    return LatencyBudget(name, tuple(Stage(f"stage {n}", "host", SPREADS[name]) for n in range(stages)))


def seconds(budget: LatencyBudget, count: int) -> float:
    """Time to draw the traces and read off three percentiles with their intervals [s]."""
    start = time.process_time()
    traces = budget.traces(count)
    for percent in (50, 90, 99):
        traces.percentile(percent)
    return time.process_time() - start


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    options = parser.parse_args()
    budgets = {"twelve stages, mixed": chain(), **{f"twelve stages, {name}": only(name) for name in SPREADS}}
    for budget in budgets.values():
        seconds(budget, 1000)  # imports
    runs = [{name: seconds(budget, options.count) for name, budget in budgets.items()} for _ in range(7)]
    medians = {name: statistics.median(run[name] for run in runs) for name in budgets}
    table = Table("chain", "traces", "time", "of the limit", title="Drawing the runtime")
    for name, median in medians.items():
        table.add_row(name, str(options.count), f"{1e3 * median:.0f} ms", f"{median / LIMIT:.0%}")
    Console().print(table)
    if options.json:
        write_json(options.json, {"count": options.count, "limit_s": LIMIT, "median_s": medians})


if __name__ == "__main__":
    main()
