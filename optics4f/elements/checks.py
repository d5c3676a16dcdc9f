"""What several elements refuse, each in one sentence: numbers without a unit, and seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any


def checked_number(
    name: str, value: Any, expected: str = "a finite number", fits: Callable[[float], bool] = math.isfinite
) -> float:
    """A plain number as a float, if it fits.

    Args:
        name: What it is, for the message.
        value: What was given.
        expected: What it should be, in words.
        fits: Whether it is; false for NaN.

    Raises:
        TypeError: If it is no plain number.
        ValueError: If it does not fit.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a plain number, {expected}, got {value!r}.")
    if not fits(float(value)):
        raise ValueError(f"{name}: expected {expected}, got {value!r}.")
    return float(value)


def checked_seed(name: str, seed: Any) -> int:
    """A seed of random numbers, if it is one that torch takes.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is negative, or does not fit into 64 bits.
    """
    if type(seed) is not int:
        raise TypeError(f"{name} seed: expected an integer, got {seed!r}.")
    if not 0 <= seed < 2**64:
        raise ValueError(f"{name} seed: expected an integer from 0 to 2^64 - 1, got {seed}.")
    return seed
