"""What a mask shop would find in an exported folder: the rules of a process, on masks as they were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .export import LAYOUTS
from .layout import cell_name
from .manifest import Manifest
from .profiles import check_profile
from .readback import read_back
from .relief import etch_masks, quantise_phase
from .rules import Rules, check_rules


def check_folder(folder: Path, profile: str, rules: Rules) -> tuple[list[str], list[str]]:
    """The layouts of an exported folder, and a sentence for each thing a tool or a process would not take.

    Args:
        folder: Folder that was exported to.
        profile: Name of the tool.
        rules: What the process can make.

    Raises:
        ValueError: If the profile is unknown, the folder holds no layout, or a file was altered.
    """
    files = [file for file in Manifest.load(folder).files if file.format in LAYOUTS]
    if not files:
        raise ValueError(f"{folder}: expected a layout, {' or '.join(LAYOUTS)}, got none.")
    found = [line for file in files for line in check_file(folder / file.path, profile)[1]]
    return [file.path for file in files], found + broken_rules(folder, files[0].format, rules)


def check_file(path: Path, profile: str) -> tuple[list[str], list[str]]:
    """The name of a layout of any origin, and a sentence for each thing that a tool would not take.

    Raises:
        ValueError: If the profile is unknown or the file damaged.
    """
    return [path.name], [f"{path.name}: {finding.text}" for finding in check_profile(path, profile)]


def broken_rules(folder: str | Path, format: str, rules: Rules) -> list[str]:
    """One sentence for each rule that a layer of a mask breaks, read back from the layout.

    Args:
        folder: Folder that was exported to.
        format: "gds", "oas" or "oasis_mask".
        rules: What the process can make.

    Raises:
        ValueError: If the folder does not hold this format, or a file is missing, damaged or altered.
    """
    entries = Manifest.load(folder).banks
    found = []
    for name, bank in read_back(folder, format).banks.items():
        layout = entries[name]["layout"]
        levels, stem = int(layout["levels"]), str(layout["cell_stem"])
        for out, in_ in np.ndindex(*bank.transmittance.shape[:2]):
            level = quantise_phase(np.angle(bank.transmittance[out, in_]), levels)
            report = check_rules(etch_masks(level, levels), bank.pitch, rules)
            found += [f"{cell_name(stem, out, in_)}: {violation.text}" for violation in report.violations]
    return found
