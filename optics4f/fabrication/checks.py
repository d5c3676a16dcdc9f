"""Values from a file or a caller: what is no number, count, pair or choice is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any


def number(name: str, value: Any) -> float:
    """A finite number as a float."""
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value!r}.")
    return float(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0 as a float."""
    if number(name, value) <= 0:
        raise ValueError(f"{name}: expected a number larger than 0, got {value!r}.")
    return float(value)


def count(name: str, value: Any) -> int:
    """A whole number above 0."""
    if positive(name, value) != int(value):
        raise ValueError(f"{name}: expected a whole number, got {value!r}.")
    return int(value)


def pair(name: str, value: Any, check: Callable[[str, Any], Any]) -> tuple[Any, Any]:
    """Two values (y, x), each checked."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{name}: expected a pair (y, x), got {value!r}.")
    return check(name, value[0]), check(name, value[1])


def sequence(name: str, value: Any) -> Sequence[Any]:
    """A tuple or list."""
    if not isinstance(value, (tuple, list)):
        raise ValueError(f"{name}: expected a sequence, got {value!r}.")
    return value


def choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """One of some words."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}.")
