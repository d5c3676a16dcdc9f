"""The summary of a run as tables, for the screen and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from rich.markup import escape
from rich.table import Table


class Rows(NamedTuple):
    """A table as plain text; the first column is left-aligned, the others as told."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: bool = True

    def for_screen(self) -> Table:
        """As Rich draws it."""
        table = Table(title=escape(self.title), title_justify="left")  # [ms] is no markup
        for index, column in enumerate(self.columns):
            # A cell may take two lines in a narrow window; a number that is cut says something else.
            justify: Literal["left", "right"] = "right" if self.numbers and index else "left"
            words = " ".join([column, *(row[index] for row in self.rows)]).split()
            table.add_column(column, justify=justify, min_width=max(map(len, words), default=0))
        for row in self.rows:
            table.add_row(*row)
        return table

    def for_page(self) -> str:
        """As Markdown."""
        ruler = ["---", *("---:" if self.numbers else "---" for _ in self.columns[1:])]
        lines = [" | ".join(cells) for cells in (self.columns, ruler, *self.rows)]
        return "\n".join([f"**{self.title}**", "", *(f"| {line} |" for line in lines), ""])


def tables(summary: dict[str, Any]) -> list[Rows]:
    """All tables of a summary."""
    return [accuracies(summary), audits(summary), read_backs(summary["read_back"]), files(summary)]


def markdown(summary: dict[str, Any]) -> str:
    """The summary as a page."""
    data, versions, machine = summary["data"], summary["versions"], summary["machine"]
    seeds = ", ".join(str(seed) for seed in summary["seeds"])
    sizes = ", ".join(f"{data[f'{name}_images']} {name}" for name in ("train", "validation", "test"))
    stages = [
        (stage["name"], stage["duration"]["text"], stage["note"]) for stage in summary["runtime"]["stages"]
    ]
    runtime = Rows(
        "Runtime",
        ("stage", "duration", "note"),
        [*stages, ("total", summary["runtime"]["total"]["text"], "")],
    )
    facts = (
        f"`{summary['command']}`, finished {summary['finished']}, seeds {seeds}.",
        f"Data: {data['note']}; pictures: {sizes}.",
        f"Training: {', '.join(f'{key} {value}' for key, value in summary['training'].items())}.",
        f"Machine: {', '.join(f'{key} {value}' for key, value in machine.items())}.",
        f"Versions: {', '.join(f'{key} {value}' for key, value in versions.items())}.",
    )
    found = [accuracies(summary), audits(summary), read_backs(summary["read_back"]), runtime]
    return "\n".join([*(f"- {fact}" for fact in facts), "", *(table.for_page() for table in found)])


def accuracies(summary: dict[str, Any]) -> Rows:
    """Test accuracy of every network, and what distillation adds."""
    images, seeds = summary["data"]["test_images"], len(summary["seeds"])
    rows = []
    for name, found in summary["accuracy"].items():
        gain = (
            summary["distillation_gain"].get(name.removesuffix(" + KD")) if name.endswith(" + KD") else None
        )
        added = "" if gain is None else points(gain["mean"], gain["standard_deviation"])
        rows.append((name, percent(found["mean"], found["standard_deviation"]), added))
    title = f"Test accuracy, {images} pictures, {seeds} seed{'s' * (seeds > 1)}"
    return Rows(title, ("network", "accuracy", "what distillation adds"), rows)


def audits(summary: dict[str, Any]) -> Rows:
    """What each student really is."""
    rows = [
        (
            name,
            "affine" if found["optics_affine"] else "NOT AFFINE",
            "affine" if found["affine"] else "not affine",
            {True: "yes", False: "NO", None: "-"}[found["passive"]],
            str(found["rank"]),
            f"{found['masks']} -> {found['collapsed_masks']}",
            str(found["conversions"]),
        )
        for name, found in summary["audit"].items()
    ]
    columns = ("student", "optics", "network", "passive", "rank", "masks", "readouts")
    return Rows("Audit of the students, first seed", columns, rows, numbers=False)


def read_backs(rows: Sequence[dict[str, Any]]) -> Rows:
    """Accuracies with the masks of files: a row per file, a column per way of simulation."""
    ways = dict.fromkeys(row["simulation"] for row in rows)
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["masks_from"], []).append(percent(row["accuracy"], None))
    lines = [(source, *scores) for source, scores in found.items()]
    return Rows("Read back: accuracy with the masks of the files", ("masks from", *ways), lines)


def files(summary: dict[str, Any]) -> Rows:
    """What was written; bitmaps share a line."""
    rows = []
    bitmaps = [row for row in summary["files"] if row["path"].endswith(".png")]
    for row in (row for row in summary["files"] if row not in bitmaps[1:]):
        more = f" and {len(bitmaps) - 1} more" if row in bitmaps and len(bitmaps) > 1 else ""
        rows.append((row["path"] + more, f"{row['bytes']:,}".replace(",", " "), row["sha256"][:16] + "…"))
    return Rows("Files", ("file", "bytes", "SHA-256"), rows)


def percent(mean: float, deviation: float | None) -> str:
    """A share, with its deviation if there is one.

    Example:
        >>> percent(0.9873, 0.0064)
        '98.73 ± 0.64 %'
    """
    return f"{100 * mean:.2f} %" if deviation is None else f"{100 * mean:.2f} ± {100 * deviation:.2f} %"


def points(mean: float, deviation: float | None) -> str:
    """A difference of shares, in percentage points.

    Example:
        >>> points(0.013, 0.0043)
        '+1.30 ± 0.43 points'
    """
    return (
        f"{100 * mean:+.2f} points"
        if deviation is None
        else f"{100 * mean:+.2f} ± {100 * deviation:.2f} points"
    )
