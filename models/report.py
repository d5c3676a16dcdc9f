"""What a run of the main job found: the summary and its pictures."""

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

from optics4f import plotting
from optics4f.fabrication import Manifest, read_back
from optics4f.fabrication.errors import ProcessErrors, fabricated
from optics4f.files import sha256, write_json, write_text

from .constrain import with_masks
from .data import Split
from .demo import SIMULATIONS, Results, final_accuracies
from .processes import THREADS
from .sclc import SCLC
from .tables import markdown
from .train import accuracy

LIBRARIES = ("optics4f", "torch", "numpy", "scipy", "pint", "scikit-learn", "h5py", "gdstk", "matplotlib")
STUDENTS = ("strict", "strict + KD", "detected", "detected + KD")


def report(results: Results) -> dict[str, Any]:
    """Look at the test split, write the summary and the figures, and give the summary back."""
    trained, rebuilt = final_accuracies(results)
    summary = summarise(results, trained, rebuilt)
    write_json(results.options.out / "summary.json", summary)
    write_text(results.options.out / "summary.md", markdown(summary))
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
        "training": _training(results),
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


def verified(
    student: SCLC, folder: str | Path, split: Split, errors: ProcessErrors | None = None
) -> list[dict[str, Any]]:
    """Accuracy of a student with the masks of every exported format of a folder, simulated in every way.

    With the errors of a process, layouts have another row each: their masks as that process would make them.

    Raises:
        ValueError: If the folder holds more than one bank, or its masks do not fit the student.
    """
    manifest = Manifest.load(folder)
    formats = dict.fromkeys(file.format for file in manifest.files)
    rows = []
    for name in formats:
        banks = read_back(folder, name).banks
        if len(banks) != 1:
            raise ValueError(f"{folder}: expected one bank, got {', '.join(banks)}.")
        ((bank_name, bank),) = banks.items()
        made = {name: bank}
        if errors is not None and name in ("gds", "oas"):
            levels = int(manifest.banks[bank_name]["layout"]["levels"])
            made[f"{name}, {errors}"] = fabricated(bank, errors, levels)
        for source, masks in made.items():
            for way, oversample in SIMULATIONS.items():
                score = accuracy(with_masks(student, masks, oversample), split)
                rows.append({"masks_from": source, "simulation": way, "accuracy": score})
    return rows


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


def _training(results: Results) -> dict[str, Any]:
    """How every network was trained; the seed differs and stands elsewhere."""
    options = results.options
    settings = {**asdict(options.train_config), **asdict(options.distillation), "threads": THREADS}
    return {key: value for key, value in settings.items() if key != "seed"}


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
    kept = [path for path in written if path.stem != "summary" and path.parent.name != "figures"]
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
    title = f"{results.data.name}, {images} test pictures"
    title += f", mean ± standard deviation over {seeds} seeds" if seeds > 1 else ", one seed"
    plotting.save(plotting.show_accuracies(trained, title), folder / "accuracy.png")
