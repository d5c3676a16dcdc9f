"""TOML files read strictly: what is wrong is named with file, line, table and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn


class TomlText:
    """A TOML file, and where things stand in it.

    Args:
        path: The file.
        what: What it should be, for the message.

    Raises:
        ValueError: If it is not TOML.
        OSError: If it cannot be read.
    """

    def __init__(self, path: str | Path, what: str) -> None:
        self.path = str(path)
        data = Path(path).read_bytes()
        try:
            self.text = data.decode("utf-8")
            self.content: dict[str, Any] = tomllib.loads(self.text)
        except ValueError as error:
            raise ValueError(f"{path}: expected {what} in TOML, got unreadable text: {error}.") from error

    def where(self, table: str = "", key: str = "") -> str:
        """``file, line 3: [table] key``; the line is that of the key, or of the table, if it is found."""
        line = find_line(self.text, table, key)
        parts = " ".join(filter(None, (f"[{table}]" if table else "", key)))
        place = f"{self.path}, line {line}" if line else self.path
        return f"{place}: {parts}" if parts else place


def find_line(text: str, table: str, key: str = "") -> int | None:
    """Line of a key within a table, or of the table; ``tomllib`` does not tell it.

    Example:
        >>> find_line("a = 1\\n[links.x]\\nrate = 2\\n", "links.x", "rate")
        3
    """
    current, found = "", None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.fullmatch(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?", line):
            current = header[1].replace('"', "").replace("'", "").replace(" ", "")
            if current == table and found is None:
                found = number
        elif current == table and key and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", line):
            return number
        elif not current and table and "." not in table and re.match(rf"\s*{re.escape(table)}\s*[=.]", line):
            found = number
    return found


def check_keys(where: str, present: Iterable[str], known: Iterable[str], needed: Iterable[str] = ()) -> None:
    """Refuse an unknown key, or a missing one, and list those that are known."""
    present, known = list(present), list(known)
    if unknown := [key for key in present if key not in known]:
        refuse(where, f"keys among {', '.join(known)}", f"the unknown key {unknown[0]!r}")
    if missing := [key for key in needed if key not in present]:
        refuse(where, f"the keys {', '.join(needed)}", f"the missing key {missing[0]!r}")


def refuse(where: str, expected: str, got: str) -> NoReturn:
    """One sentence: where, what was expected, what was given."""
    raise ValueError(f"{where}: expected {expected}, got {got}.")
