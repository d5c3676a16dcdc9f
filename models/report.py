"""What a run of the main job found: the summary, its tables and its pictures."""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from optics4f import plotting
from optics4f.fabrication import Manifest, read_back
from optics4f.files import sha256, write_json

from .constrain import with_masks
from .data import Split
from .demo import SIMULATIONS, Results, final_accuracies
from .sclc import SCLC
from .train import accuracy

LIBRARIES = ("optics4f", "torch", "numpy", "scipy", "pint", "scikit-learn", "h5py", "gdstk", "matplotlib")
STUDENTS = ("strict", "strict + KD", "detected", "detected + KD")


def report(results: Results) -> dict[str, Any]:
    """Look at the test split, write ``summary.json`` and the figures, and give the summary back."""
    trained, rebuilt = final_accuracies(results)
    summary = summarise(results, trained, rebuilt)
    write_json(results.options.out / "summary.json", summary)
    _figures(results, trained)
    return summary


def summarise(
    results: Results, trained: dict[str, list[float]], rebuilt: dict[tuple[str, str], float]
) -> dict[str, Any]:
    """Everything a reader needs to judge the run and to repeat it, ready for JSON."""
    options, data = results.options, results.data
    pictures = data.validation.images[:6].cpu()
    return {
        "format": "optics4f-demo-summary",
        "format_version": 1,
        "command": shlex.join(["optics4f", *sys.argv[1:]]),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(options.device),
        "versions": versions(),
        "seeds": list(range(options.seed, options.seed + options.seeds)),
        "data": {
            "name": data.name,
            "note": data.note,
            **{f"{name}_images": len(getattr(data, name).labels) for name in ("train", "validation", "test")},
        },
        "training": {**asdict(options.train_config), **asdict(options.distillation)},
        "accuracy": {name: _accuracy(results, name, scores) for name, scores in trained.items()},
        "distillation_gain": {name: _gain(trained, name) for name in ("strict", "detected")},
        "audit": {name: _audit(results.trained.networks[name][0], pictures) for name in STUDENTS},
        "optics": str(results.complex_student.optics),
        "runtime": results.budget.to_dict(),
        "files": _files(options.out),
        "read_back": [
            {"masks_from": source, "simulation": way, "accuracy": score}
            for (source, way), score in rebuilt.items()
        ],
    }


def tables(summary: dict[str, Any]) -> list[Table]:
    """The summary for the screen."""
    return [
        _accuracy_table(summary),
        _audit_table(summary),
        read_back_table(summary["read_back"]),
        _file_table(summary),
    ]


def verified(student: SCLC, folder: str | Path, split: Split) -> list[dict[str, Any]]:
    """Accuracy of a student with the masks of every exported format of a folder, simulated in every way.

    Raises:
        ValueError: If the folder holds more than one bank, or its masks do not fit the student.
    """
    formats = dict.fromkeys(file.format for file in Manifest.load(folder).files)
    rows = []
    for name in formats:
        banks = read_back(folder, name).banks
        if len(banks) != 1:
            raise ValueError(f"{folder}: expected one bank, got {', '.join(banks)}.")
        (bank,) = banks.values()
        for way, oversample in SIMULATIONS.items():
            score = accuracy(with_masks(student, bank, oversample), split)
            rows.append({"masks_from": name, "simulation": way, "accuracy": score})
    return rows


def read_back_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Accuracies with the masks of files: a row per file, a column per way of simulation."""
    table = Table(title="Read back: accuracy with the masks of the files", title_justify="left")
    table.add_column("masks from")
    for way in dict.fromkeys(row["simulation"] for row in rows):
        table.add_column(way, justify="right")
    for source in dict.fromkeys(row["masks_from"] for row in rows):
        scores = [row["accuracy"] for row in rows if row["masks_from"] == source]
        table.add_row(source, *(_percent(score, None) for score in scores))
    return table


def machine(device: str) -> dict[str, Any]:
    """What the run ran on."""
    name = (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else platform.processor() or platform.machine()
    )
    return {
        "platform": platform.platform(),
        "device": device,
        "processor": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter for a result."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); None for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def _accuracy(results: Results, name: str, scores: list[float]) -> dict[str, Any]:
    mean, deviation = mean_and_deviation(scores)
    return {
        "mean": mean,
        "standard_deviation": deviation,
        "per_seed": scores,
        "test_images": len(results.data.test.labels),
        "validation_per_seed": [found.validation_accuracy for found in results.trained.fits[name]],
        "best_epoch_per_seed": [found.best_epoch for found in results.trained.fits[name]],
    }


def _gain(trained: dict[str, list[float]], readout: str) -> dict[str, Any]:
    """What distillation adds, seed by seed: both students of a seed start from the same kernels."""
    pairs = zip(trained[f"{readout} + KD"], trained[readout], strict=True)
    gains = [with_teacher - without for with_teacher, without in pairs]
    mean, deviation = mean_and_deviation(gains)
    return {"mean": mean, "standard_deviation": deviation, "per_seed": gains}


def _audit(student: Any, pictures: torch.Tensor) -> dict[str, Any]:
    found = student.cpu().audit(pictures)
    return {**found.to_dict(), "sentence": str(found)}


def _files(out: Path) -> list[dict[str, Any]]:
    written = sorted(
        path
        for path in out.rglob("*")
        if path.is_file() and path.suffix in (".h5", ".gds", ".png", ".json", ".safetensors")
    )
    kept = [path for path in written if path.name != "summary.json" and path.parent.name != "figures"]
    return [
        {"path": path.relative_to(out).as_posix(), "bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in kept
    ]


def _figures(results: Results, trained: dict[str, list[float]]) -> None:
    folder = results.options.out / "figures"
    student: Any = results.complex_student.cpu()
    relief: Any = results.relief_student.cpu()
    plotting.save(plotting.show_bench(relief.optics), folder / "bench.png")
    for name, bench in (("complex", student.optics), ("relief", relief.optics)):
        masks = bench.transmittance().detach().numpy()
        figure = plotting.show_masks(masks, bench.fourier_grid.spacing, f"bank {name}")
        plotting.save(figure, folder / f"masks_{name}.png")
    with torch.inference_mode():
        field = student.source(results.data.validation.images[0].cpu())
        planes = list(student.optics.planes(field))
        sensor = student.readout(planes[-1][2])
    figure = plotting.show_planes(planes, sensor, "one picture through the collapsed 4f system (first mask)")
    plotting.save(figure, folder / "planes.png")
    plotting.save(plotting.show_budget(results.budget, "runtime, stage by stage"), folder / "runtime.png")
    images, seeds = len(results.data.test.labels), results.options.seeds
    title = f"{results.data.name}, {images} test pictures, mean ± standard deviation over {seeds} seeds"
    plotting.save(plotting.show_accuracies(trained, title, 1 / results.data.classes), folder / "accuracy.png")


def _percent(mean: float, deviation: float | None) -> str:
    return f"{100 * mean:.2f} %" if deviation is None else f"{100 * mean:.2f} ± {100 * deviation:.2f} %"


def _accuracy_table(summary: dict[str, Any]) -> Table:
    images, seeds = summary["data"]["test_images"], len(summary["seeds"])
    table = Table(
        title=f"Test accuracy, {images} pictures, {seeds} seed{'s' * (seeds > 1)}", title_justify="left"
    )
    for column in ("network", "accuracy", "what distillation adds"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, found in summary["accuracy"].items():
        gain = (
            summary["distillation_gain"].get(name.removesuffix(" + KD")) if name.endswith(" + KD") else None
        )
        added = (
            ""
            if gain is None
            else f"{'+' * (gain['mean'] >= 0)}{_percent(gain['mean'], gain['standard_deviation'])}"
        )
        table.add_row(name, _percent(found["mean"], found["standard_deviation"]), added)
    return table


def _audit_table(summary: dict[str, Any]) -> Table:
    table = Table(title="Audit of the students, first seed", title_justify="left")
    for column in ("student", "optics", "whole network", "passive", "rank of T", "masks", "conversions"):
        table.add_column(column)
    for name, found in summary["audit"].items():
        table.add_row(
            name,
            "affine" if found["optics_affine"] else "NOT AFFINE",
            "affine" if found["affine"] else "not affine",
            {True: "yes", False: "NO", None: "-"}[found["passive"]],
            str(found["rank"]),
            f"{found['masks']} -> {found['collapsed_masks']}",
            str(found["conversions"]),
        )
    return table


def _file_table(summary: dict[str, Any]) -> Table:
    table = Table(title="Files", title_justify="left")
    for column in ("file", "bytes", "SHA-256"):
        table.add_column(column, justify="right" if column == "bytes" else "left")
    bitmaps = [row for row in summary["files"] if row["path"].endswith(".png")]
    for row in (row for row in summary["files"] if row not in bitmaps[1:]):
        more = f" and {len(bitmaps) - 1} more" if row in bitmaps and len(bitmaps) > 1 else ""
        table.add_row(row["path"] + more, f"{row['bytes']:,}".replace(",", " "), row["sha256"][:16] + "…")
    return table
