"""What a curriculum found: the table "accuracy after each constraint", as JSON, as a page, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optics4f import plotting
from optics4f.files import write_json, write_text

from .curriculum import Judged
from .design_job import Design
from .report import machine, mean_and_deviation, versions
from .tables import Rows, percent

FORMAT, FORMAT_VERSION = "optics4f-design", 1
EMPTY = "-"


def write_report(design: Design, folder: Path, command: str, test: Judged | None = None) -> list[Rows]:
    """Write ``design.json``, ``design.md`` and ``design.png``, and give the tables back.

    Args:
        design: What was found.
        folder: Where to.
        command: That found it.
        test: The last stage on the test split, if it was looked at.
    """
    found = summarise(design, command, test)
    shown = tables(found)
    write_json(folder / "design.json", found)
    write_text(folder / "design.md", page(found, shown))
    plotting.save(plotting.show_design(found), folder / "design.png")
    return shown


def summarise(design: Design, command: str, test: Judged | None = None) -> dict[str, Any]:
    """Everything that was measured, ready for JSON; the same run gives the same."""
    data = design.data
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "command": command,
        "settings": design.config.to_dict(),
        "noise": str(design.config.noise),
        "machine": machine(design.config.device),
        "versions": versions(),
        "data": {"name": data.name, "note": data.note, "validation_images": len(data.validation.labels)},
        "start_accuracy": design.start,
        "stages": [
            {
                "stage": row.stage,
                "epochs": row.epochs,
                "best_epoch": row.best_epoch,
                "before": _judged(row.before),
                "after": _judged(row.after),
                "field_error": row.error,
            }
            for row in design.stages
        ],
        "masks": [row._asdict() for row in design.curve],
        "test": None if test is None else {**_judged(test), "test_images": len(data.test.labels)},
    }


def tables(found: dict[str, Any]) -> list[Rows]:
    """The tables of a summary: after each constraint, against the number of masks, and the last look."""
    shown = [_constraints(found), _light(found)]
    if found["masks"]:
        rows = [
            (str(row["masks"]), f"{100 * row['error']:.2g} %", percent(row["accuracy"], None))
            for row in found["masks"]
        ]
        columns = ("masks", "error of T(ν)", "accuracy")
        shown.append(Rows("Accuracy against the number of masks, nothing trained again", columns, rows))
    if found["test"] is not None:
        test = found["test"]
        title = f"Test accuracy after the last stage, {test['test_images']} pictures"
        shown.append(Rows(title, ("as drawn", "as made"), [(percent(test["accuracy"], None), _made(test))]))
    return shown


def page(found: dict[str, Any], shown: list[Rows]) -> str:
    """The summary as Markdown."""
    data, settings = found["data"], {k: v for k, v in found["settings"].items() if k != "noise" and v != ""}
    facts = (
        f"`{found['command']}`; {data['note']}.",
        f"Settings: {', '.join(f'{key} {value}' for key, value in settings.items())}.",
        f"As made: {settings['levels']} levels in {settings['material']}; {found['noise']}; mean ± standard "
        f"deviation over {found['settings']['noise']['draws']} devices.",
        "As drawn and as made, each under the constraint and then trained. Light: share of that behind the "
        "source that reaches the sensor. Error: r.m.s., made by the constraint in the field there.",
        f"Machine: {', '.join(f'{key} {value}' for key, value in found['machine'].items())}.",
        f"Versions: {', '.join(f'{key} {value}' for key, value in found['versions'].items())}.",
    )
    lines = [*(f"- {fact}" for fact in facts), "", *(table.for_page() for table in shown)]
    return "\n".join([*lines, "![accuracy after each constraint](design.png)", ""])


def _constraints(found: dict[str, Any]) -> Rows:
    rows = [("as it came", percent(found["start_accuracy"], None), EMPTY, EMPTY, EMPTY)]
    for row in found["stages"]:
        before, after = row["before"], row["after"]
        rows.append(
            (
                row["stage"],
                percent(before["accuracy"], None),
                percent(after["accuracy"], None) if row["epochs"] else EMPTY,
                _made(before),
                _made(after) if row["epochs"] else EMPTY,
            )
        )
    columns = ("stage", "as drawn", "trained", "as made", "trained")
    pictures = found["data"]["validation_images"]
    return Rows(f"Accuracy after each constraint, {pictures} validation pictures", columns, rows)


def _light(found: dict[str, Any]) -> Rows:
    rows = [
        (row["stage"], f"{100 * row['after']['efficiency']:.1f} %", f"{100 * row['field_error']:.2g} %")
        for row in found["stages"]
    ]
    columns = ("stage", "light that comes through", "error of the field")
    return Rows("What each constraint does to the light", columns, rows)


def _judged(found: Judged) -> dict[str, Any]:
    mean, deviation = mean_and_deviation(found.made) if found.made else (None, None)
    return {
        "accuracy": found.accuracy,
        "efficiency": found.efficiency,
        "made_mean": mean,
        "made_standard_deviation": deviation,
        "made": list(found.made),
    }


def _made(judged: dict[str, Any]) -> str:
    if judged["made_mean"] is None:
        return EMPTY
    return percent(judged["made_mean"], judged["made_standard_deviation"])
