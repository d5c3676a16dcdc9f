"""The command ``design``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from .cli_checks import usable_device, writable_folder


def _option(text: str) -> Any:
    return typer.Option(help=text)


def design(
    config: Annotated[Path, typer.Argument(help="TOML file of the curriculum, see docs/fabrication.md.")],
    masks: Annotated[
        int | None,
        _option("Physical masks for each input channel; 0: not reduced. That of the file if not given."),
    ] = None,
    out: Annotated[Path, _option("Folder for everything that is written.")] = Path("runs/design"),
    resume: Annotated[bool, _option("Go on with the design in the folder.")] = False,
    test: Annotated[bool, _option("Look at the test split, once, after the last stage.")] = False,
) -> None:
    """Train a student against the constraints of hardware: complex, phase only, levels, errors of a process.

    Leaves masks.h5 for export, students/ for verify and audit, and the table of accuracies after each
    constraint in design.json, design.md and design.png. A design that was killed goes on with --resume.
    """
    from rich.console import Console
    from rich.progress import Progress

    from optics4f.extras import require

    from .design_job import Job, final_test
    from .design_report import write_report
    from .designconfig import read_design

    for module, extra in (("safetensors", "train"), ("h5py", "fab")):
        require(module, extra)
    settings = read_design(config)
    if masks is not None:
        settings = replace(settings, masks=masks)
    usable_device(settings.device)
    writable_folder(out)
    console = Console()
    command = ["optics4f", "design", config.name, *(["--masks", str(masks)] if masks is not None else [])]
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("preparing", total=None)

        def report(line: dict[str, Any]) -> None:
            if line["validation_accuracy"] is not None:
                text = f"epoch {line['epoch']}: loss {line['loss']:.3f}"
                score = f"validation {100 * line['validation_accuracy']:.2f} %"
                progress.update(bar, description=f"{text}, {score}")

        job = Job(settings, out, resume, lambda text: progress.update(bar, description=text), report)
        found = job.run(command)
        progress.update(bar, description="drawing the table")
        last = final_test(found) if test else None
        shown = write_report(found, out, " ".join([*command, *(["--test"] if test else [])]), last)
    for table in shown:
        console.print(table.for_screen())
    console.print(f"Masks are in {out}/masks.h5, students in {out}/students.", highlight=False)
