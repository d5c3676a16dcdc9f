"""Optional dependencies: imported when a command needs them, and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class MissingExtraError(ImportError):
    """A library of an optional extra is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Import a library that belongs to an extra.

    Args:
        module: Name of the library, e.g. ``"gdstk"``.
        extra: Name of the extra that installs it, e.g. ``"fab"``.

    Raises:
        MissingExtraError: If it cannot be imported.

    Example:
        >>> require("json", "fab").loads("[1]")
        [1]
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} needs the extra [{extra}]: pip install 'optics4f[{extra}]'."
        ) from error
