"""What a mask shop would find in an exported folder: the rules of a process, on masks as they were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .export import read_back
from .layout import cell_name
from .manifest import Manifest
from .relief import etch_masks, quantise_phase
from .rules import Rules, check_rules


def broken_rules(folder: str | Path, format: str, rules: Rules) -> list[str]:
    """One sentence for each rule that a layer of a mask breaks, read back from the layout.

    Args:
        folder: Folder that was exported to.
        format: "gds" or "oas".
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
