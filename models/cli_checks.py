"""What commands check before the work begins rather than after it."""

from __future__ import annotations

import os
from pathlib import Path


def usable_device(name: str) -> str:
    """The name of a device, if torch can use it here.

    Raises:
        ValueError: If it cannot, with the reason.
    """
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--device: expected a device that torch can use here, got {name!r} ({reason})."
        ) from None
    return name


def writable_folder(folder: Path) -> None:
    """Make a folder if need be, and see that files can be written there.

    Raises:
        PermissionError: If they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"--out: expected a folder that can be written, got {folder}.")
