"""How long the electronic back end of a trained student takes on this machine."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from optics4f.record import Record, save_records
from optics4f.transduction.measurement import measure, median_record

from .checkpoint import load_student
from .sclc import SCLC

FILE = "backend-timing.json"
CHUNK = 50
"""Runs between two reports of progress; drawing a bar while a run is timed would slow it."""


def measure_back_end(
    checkpoint_folder: str | Path,
    device: str = "cpu",
    runs: int = 1000,
    warmup: int = 50,
    progress: Callable[[int], None] | None = None,
) -> Record:
    """Time the back end of a student: from the tensor that the detector gives to the logits, frame by frame.

    The back end runs as it would be used: folded into one fully connected layer, in evaluation, without
    gradients. On a GPU each run ends when the device has finished; copies between host and device are not in
    it, they are stages of their own. The record goes into ``backend-timing.json`` beside the model,
    atomically.

    Args:
        checkpoint_folder: Folder of a student, as :func:`~optics4f.models.checkpoint.save_student` writes it.
        device: What torch calls it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        runs: Runs that are timed; p99 gets an interval from 368 on.
        warmup: Runs before the first one that is timed.
        progress: Called between runs with the number of runs done.

    Returns:
        The median [s], named ``"back end"``, with p50, p90 and p99 and all samples as its distribution.

    Raises:
        ValueError: If there are fewer than six runs, ``warmup`` is negative, torch cannot use the device, or
            the folder holds no readable student.
        FileNotFoundError: If a file is missing.
    """
    if runs < 6 or warmup < 0:
        raise ValueError(f"measure_back_end: expected runs >= 6 and warmup >= 0, got {runs} and {warmup}.")
    target = _device(device)
    student = load_student(checkpoint_folder)
    layer, frame = _back_end(student).to(target), _frame(student).to(target)
    samples: list[int] = []
    with torch.no_grad():
        call = _call(layer, frame)
        measure(call, warmup, 1)
        while len(samples) < runs:
            samples += measure(call, 1, min(CHUNK, runs - len(samples)))
            if progress is not None:
                progress(len(samples))
    method = f"logits of one frame, back end as one layer, batch 1, {warmup} runs of warm-up"
    record = median_record(samples, "back end", _describe(target), method)
    save_records(Path(checkpoint_folder) / FILE, [record])
    return record


def _call(layer: nn.Module, frame: Tensor) -> Callable[[], Tensor | None]:
    if frame.device.type == "cpu":
        return lambda: layer(frame)

    def call() -> None:
        layer(frame)  # returns before its work is done
        if frame.device.type == "cuda":
            torch.cuda.synchronize(frame.device)  # cuda:1 is not the current device
        else:
            getattr(torch, frame.device.type).synchronize()

    return call


def _back_end(student: SCLC) -> nn.Module:
    """The one layer that is deployed; a collapsed student has it already."""
    standardises = isinstance(student.back_end.standardise, nn.BatchNorm2d)
    return (student.back_end.folded() if standardises else student.back_end).eval()


def _frame(student: SCLC) -> Tensor:
    """What the detector gives for one random picture, (1, C, p_y, p_x)."""
    design = student.design
    pictures = torch.rand(1, design.channels[0], *design.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return student.signal(pictures).contiguous()


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device: expected one that torch can use here, got {name!r} ({reason}).") from None
    return torch.device(name)


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'s' * (threads > 1)}, torch {torch.__version__}"


def processor() -> str:
    """Name of the processor; Linux keeps it where Python does not look."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (found or [platform.processor() or platform.machine()])[0]
