"""What a TOML file says, checked against the frozen dataclass that it fills."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

Config = TypeVar("Config")


def read_toml(path: str | Path, build: Callable[[dict[str, Any]], Config]) -> Config:
    """What ``build`` makes of a TOML file; its errors name the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not TOML, or ``build`` refuses it.
        TypeError: If ``build`` finds a value of another type.
    """
    text = Path(path).read_bytes()
    try:
        return build(tomllib.loads(text.decode("utf-8")))
    except ValueError as error:  # TOML and UTF-8 errors are ValueErrors too
        raise ValueError(f"{path}: {error}") from error
    except TypeError as error:
        raise TypeError(f"{path}: {error}") from error


def checked(defaults: Any, given: dict[str, Any], prefix: str) -> dict[str, Any]:
    """What was given, if every key is known and of the type of its default; whole numbers pass as floats.

    Args:
        defaults: A dataclass with a value for every field.
        given: Values by name.
        prefix: Of the names in messages, e.g. ``"student."``.

    Raises:
        ValueError: If a key is unknown; the known ones are listed.
        TypeError: If a value has another type than its default.
    """
    known = {f.name: getattr(defaults, f.name) for f in fields(defaults)}
    unknown = [f"{prefix}{name}" for name in given if name not in known]
    if unknown:
        raise ValueError(f"expected keys among {', '.join(known)}, got {', '.join(unknown)}.")
    values = {}
    for name, value in given.items():
        wanted = type(known[name])
        whole_as_float = wanted is float and type(value) is int
        if type(value) is not wanted and not whole_as_float:
            raise TypeError(f"{prefix}{name}: expected {wanted.__name__}, got {value!r}.")
        values[name] = float(value) if whole_as_float else value
    return values


def one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Refuse a word that is not among those known."""
    if value not in known:
        raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}.")


def at_least(name: str, value: int, least: int) -> None:
    """Refuse a number that is too small."""
    if value < least:
        raise ValueError(f"{name}: expected {least} or more, got {value}.")


def above_zero(name: str, value: float) -> None:
    """Refuse what is not a finite number above 0."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: expected a number above 0, got {value}.")


def listed(value: Any) -> Any:
    """Tuples as lists, inside tables too, as JSON and TOML hold them."""
    if isinstance(value, dict):
        return {k: listed(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value
