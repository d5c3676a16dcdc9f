"""Data sets as the hub has them: parquet files, and the tables that ``datasets`` makes of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from optics4f.extras import require

from .layouts import SPLITS, Found, Listed
from .pictures import Reader, RowPicture

IN_MEMORY = 256 * 2**20


def tables(
    root: Path, columns: tuple[str, str], names: tuple[str, ...], reader: Reader | None = None
) -> Found:
    """Parquet files as the hub has them: ``train.parquet``, or ``data/train-00000-of-00002.parquet`` etc.

    Args:
        root: Folder of the data set.
        columns: Of the pictures, and of classes or label pictures.
        names: Of the classes.
        reader: Of the label pictures; None for classification.

    Raises:
        ValueError: If a file is no parquet, lacks a column, or has other classes.
    """
    found: dict[str, list[Listed]] = {}
    for path in sorted(root.rglob("*.parquet")):
        split = SPLITS.get(re.sub(r"-\d+-of-\d+$", "", path.stem))
        if split is not None:
            table = _table(path)
            key = path.relative_to(root).as_posix()
            found.setdefault(split, []).append(listed_table(table, str(path), key, columns, names, reader))
    return {split: _joined(parts) for split, parts in found.items()}


def listed_table(
    table: Any, name: str, key: str, columns: tuple[str, str], names: tuple[str, ...], reader: Reader | None
) -> Listed:
    """The rows of one table of ``datasets``."""
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise ValueError(
            f"{name}: expected columns {' and '.join(columns)}, got {', '.join(table.column_names)}."
        )
    pictures, masks = (
        tuple(RowPicture(table.data.column(column), row, name, key) for row in range(table.num_rows))
        if column == columns[0] or reader is not None
        else ()
        for column in columns
    )
    if reader is not None:
        return Listed(pictures, (), masks, reader=reader)
    own = getattr(table.features[columns[1]], "names", None)
    if own is not None and tuple(own) != names:
        raise ValueError(f"{name}: expected the classes {', '.join(names)}, got {', '.join(own)}.")
    classes = tuple(int(value) for value in table.data.column(columns[1]).to_numpy())
    for row, value in enumerate(classes):
        if not 0 <= value < len(names):
            raise ValueError(f"{name}, row {row}: expected a class from 0 to {len(names) - 1}, got {value}.")
    return Listed(pictures, classes, names=names)


def _table(path: Path) -> Any:
    """A parquet file; a large one is mapped from the cache of ``datasets``, not read."""
    try:
        small = path.stat().st_size <= IN_MEMORY
        return require("datasets", "train").Dataset.from_parquet(str(path), keep_in_memory=small)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: expected a parquet file, got: {str(error).splitlines()[0]}") from error


def _joined(parts: list[Listed]) -> Listed:
    pictures, classes, masks = (
        tuple(value for part in parts for value in getattr(part, field))
        for field in ("pictures", "classes", "masks")
    )
    return Listed(pictures, classes, masks, parts[0].names, parts[0].reader)
