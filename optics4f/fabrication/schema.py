"""The schemas that ship with the package, and the part of JSON Schema they use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

_KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "null": lambda value: value is None,
}


@cache
def load_schema(name: str) -> dict[str, Any]:
    """A schema of the package: "masks" (a mask-set file) or "manifest" (an export folder)."""
    text = Path(__file__).with_name(f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def check_schema(value: Any, schema: dict[str, Any], where: str) -> None:
    """Refuse a document that does not follow a schema.

    Understands type, const, enum, pattern, minimum, minItems, maxItems, items, required, properties and
    additionalProperties; anything else in a schema is ignored, as descriptions are.

    Args:
        value: What was read, as JSON values.
        schema: As from :func:`load_schema`.
        where: The path so far, for the sentence.

    Raises:
        ValueError: At the first thing that is missing or of another kind.
    """
    kinds = schema.get("type", list(_KINDS))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_KINDS[kind](value) for kind in kinds):
        raise ValueError(f"{where}: expected {' or '.join(kinds)}, got {_short(value)}.")
    if "const" in schema and value != schema["const"]:
        raise ValueError(f"{where}: expected {schema['const']!r}, got {_short(value)}.")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(
            f"{where}: expected one of {', '.join(map(str, schema['enum']))}, got {_short(value)}."
        )
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        raise ValueError(f"{where}: expected text like {schema['pattern']}, got {_short(value)}.")
    if "minimum" in schema and isinstance(value, (int, float)) and not value >= schema["minimum"]:
        raise ValueError(f"{where}: expected at least {schema['minimum']}, got {value}.")
    if isinstance(value, list):
        _check_items(value, schema, where)
    if isinstance(value, dict):
        _check_members(value, schema, where)


def _check_items(value: list[Any], schema: dict[str, Any], where: str) -> None:
    low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not low <= len(value) <= high:
        raise ValueError(f"{where}: expected {low} to {high} values, got {len(value)}.")
    for index, item in enumerate(value):
        check_schema(item, schema.get("items", {}), f"{where}[{index}]")


def _check_members(value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise ValueError(f"{where}.{name}: expected a value, got none.")
    others = schema.get("additionalProperties", True)
    for name, member in value.items():
        known = schema.get("properties", {}).get(name, others)
        if known is False:
            raise ValueError(f"{where}: expected nothing but what the format has, got {name!r}.")
        if known is not True:
            check_schema(member, known, f"{where}.{name}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
