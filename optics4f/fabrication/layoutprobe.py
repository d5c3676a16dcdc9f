"""Run as a program on one GDSII or OASIS file: does all with it that a reader does, and says what is wrong.

gdstk ends the whole interpreter on some damaged files, so that :mod:`.layoutcheck` starts this file as
another process. It imports nothing of the package, to start fast.
"""

from __future__ import annotations

import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

SOUND = "sound"
MOST = 10**8  # things drawn in one cell, its repetitions written out
_END = 256  # bytes of the last record of OASIS
_MEMORY = 8 * 2**30  # [byte]


def fault(path: Path) -> str:
    """What is wrong with a file, or "" if a reader can go through all of it.

    Args:
        path: OASIS if the name ends in ``.oas``, else GDSII.
    """
    import gdstk

    is_oasis = path.suffix == ".oas"
    try:
        if is_oasis and not is_end(path.read_bytes()[-_END:]):  # gdstk reads to wherever a file was cut
            return "a file that was cut: no END record"
        # False: its bytes are not those of its CRC-32; None: it has none.
        if is_oasis and gdstk.oas_validate(str(path))[0] is False:
            return "other bytes than its checksum was made for"
        library: Any = (gdstk.read_oas if is_oasis else gdstk.read_gds)(str(path))
        return _wrong_cells(library)
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        return f"a damaged file ({' '.join(str(error).split()).rstrip('.')})"


def _wrong_cells(library: Any) -> str:
    if not library.cells:
        return "no cell"
    names = [cell.name for cell in library.cells]
    if len(set(names)) < len(names):
        return "two cells of one name"
    for cell in library.cells:
        if (drawn := _drawn(cell)) > MOST:
            return f"{drawn} things drawn in cell '{cell.name}'"
    try:
        below = {cell.name: [child.name for child in cell.dependencies(False)] for cell in library.cells}
        list(TopologicalSorter(below).static_order())
    except CycleError as error:
        return f"cells that hold one another: {' < '.join(error.args[1])}"
    library.layers_and_datatypes()
    library.top_level()
    for cell in library.cells:
        _touch(cell)
    return ""


def _touch(cell: Any) -> None:
    """Look at all that a reader looks at: what was read wrongly may fail no sooner."""
    cell.bounding_box()
    for label in cell.labels:
        label.text.encode()
    for polygon in cell.polygons:
        polygon.area()
        polygon.points.sum()


def is_end(tail: bytes) -> bool:
    """Whether the last 256 bytes are the END record of OASIS: offsets or none, padding, and a checksum."""
    for offsets in (0, 12):
        at = 1
        try:
            for _ in range(offsets):
                at = _number(tail, at)[1]
            padding, at = _number(tail, at)
            at += padding
            if len(tail) == _END and tail[0] == 2 and at + (5 if tail[at] else 1) == _END:
                return True
        except IndexError:
            continue
    return False


def _number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer of OASIS, seven bits a byte, and where the next thing begins."""
    value, shift = 0, 0
    while data[at] & 0x80:
        value, shift, at = value | (data[at] & 0x7F) << shift, shift + 7, at + 1
    return value | data[at] << shift, at + 1


def _drawn(cell: Any) -> int:
    things = [*cell.polygons, *cell.paths, *cell.references, *cell.labels]
    return sum(max(1, thing.repetition.size or 0) for thing in things)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    _limit_memory()
    print(fault(Path(sys.argv[1])) or SOUND)
