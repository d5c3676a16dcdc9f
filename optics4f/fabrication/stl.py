"""Reliefs as watertight binary STL in millimetres, for 3-D printing, and back.

The solid stands on z = 0: a base, and on it one flat top for each pixel; pixels of one height are merged into
rectangles. x runs right, y up, z towards the pattern. Faces that meet share their vertices, so that every
edge belongs to exactly two triangles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..files import write_file

_MM = 1e-3
_BLOCK = 2**21  # crossings of an edge and a row at a time
_BRIDGE = 64  # a bridge is this part of the pitch wide on each side of its corner
_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEADER = b"optics4f relief; units: mm; +x right, +y up, +z pattern side"

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


class _Faces(NamedTuple):
    """Rectangles across one axis: plane, and extent along the next two axes in cyclic order, as indices."""

    plane: Indices
    u: tuple[Indices, Indices]
    v: tuple[Indices, Indices]
    outward: Indices  # +1 or -1 along the axis


def relief_mesh(height: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float32]:
    """Triangles of the solid between z = 0 and the heights, seen from outside anticlockwise.

    Where two higher pixels touch at a corner only, an edge would belong to four triangles. A post of 1/32
    of the pitch, as high as the mean of the four pixels, stands there instead: it keeps the volume.

    Args:
        height: Height of each pixel, larger than 0, shape (H, W) [any length].
        y: Edges of the rows, growing, shape (H + 1,).
        x: Edges of the columns, growing, shape (W + 1,).

    Returns:
        Corners (x, y, z), shape [T, 3, 3].

    Raises:
        ValueError: If a height is not larger than 0, or the edges are too close for float32.
    """
    height, y, x = _bridged(
        np.asarray(height, np.float64), np.asarray(y, np.float64), np.asarray(x, np.float64)
    )
    z, level = np.unique(np.append(height.astype(np.float32), np.float32(0)), return_inverse=True)
    places = [axis.astype(np.float32) for axis in (x, y)] + [z]
    if not (height.min() > 0 and all(np.all(np.diff(place) > 0) for place in places)):
        raise ValueError(
            "relief_mesh: expected heights above 0 and edges that float32 tells apart, got others."
        )
    level = level[:-1].reshape(height.shape)
    faces = (_walls(level), _walls_across_y(level), _tops(level))
    lines = _lines(faces, [len(place) for place in places])
    return np.concatenate([_triangles(axis, faces[axis], lines, places) for axis in range(3)])


def write_stl(path: str | Path, triangles: NDArray[np.float32]) -> None:
    """Write triangles [mm] as binary STL."""
    records = np.zeros(len(triangles), dtype=_RECORD)
    records["corners"] = triangles
    edges = triangles.astype(np.float64)
    normal = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    records["normal"] = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    head = _HEADER.ljust(80) + np.uint32(len(triangles)).astype("<u4").tobytes()
    write_file(path, lambda draft: draft.write_bytes(head + records.tobytes()))


def read_stl(path: str | Path) -> NDArray[np.float32]:
    """Triangles of a binary STL file, shape [T, 3, 3].

    Raises:
        ValueError: If its length is not what its number of triangles asks for, or a corner is not finite.
    """
    data = Path(path).read_bytes()
    count = int.from_bytes(data[80:84], "little")
    if len(data) != 84 + count * _RECORD.itemsize:
        raise ValueError(
            f"{path}: expected {84 + count * _RECORD.itemsize} bytes of binary STL, got {len(data)}."
        )
    corners: NDArray[np.float32] = np.frombuffer(data, _RECORD, offset=84)["corners"]
    if not np.isfinite(corners).all():
        raise ValueError(f"{path}: expected finite corners, got others.")
    return corners


def height_of_mesh(triangles: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> Floats:
    """Height of the flat faces that look up, at points: a running sum over the edges each row crosses.

    Args:
        triangles: Corners (x, y, z), shape [T, 3, 3].
        y: Coordinates of the rows, growing, shape (H,).
        x: Coordinates of the columns, growing, shape (W,).

    Returns:
        Height, 0 where nothing stands, shape (H, W).

    Raises:
        ValueError: If a face that looks up is not flat.
    """
    corners = np.asarray(triangles, dtype=np.float64)
    (ax, ay), (bx, by) = (corners[:, k, :2].T - corners[:, 0, :2].T for k in (1, 2))
    up = corners[ax * by - ay * bx > 0]
    if np.any(up[..., 2] != up[:, :1, 2]):
        raise ValueError("height_of_mesh: expected faces that are flat or upright, got a slope.")
    start, stop = up.reshape(-1, 3), np.roll(up, -1, axis=1).reshape(-1, 3)
    first, last = (np.searchsorted(y, np.sort([start[:, 1], stop[:, 1]], axis=0)[k]) for k in (0, 1))
    height = np.zeros((len(y), len(x) + 1))
    # A block at a time: in a file of others each triangle may cross every row.
    total = np.cumsum(last - first)
    cuts = np.searchsorted(total, np.arange(_BLOCK, total[-1] if len(total) else 0, _BLOCK))
    for block in np.split(np.arange(len(start)), cuts):
        _add_steps(height, (start[block], stop[block]), (first[block], last[block]), y, x)
    return height.cumsum(axis=1)[:, :-1]


def _add_steps(
    height: Floats, ends: tuple[Floats, Floats], rows: tuple[Indices, Indices], y: Floats, x: Floats
) -> None:
    """Add the steps of some edges where they cross the rows from the first to the last of each."""
    first, last = rows
    edge = np.repeat(np.arange(len(first)), last - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(last - first) - last, last - first)
    start, stop = (end[edge] for end in ends)
    crossing = start[:, 0] + (y[row] - start[:, 1]) / (stop[:, 1] - start[:, 1]) * (stop[:, 0] - start[:, 0])
    # An edge that runs down has its face on the right.
    step = np.where(stop[:, 1] < start[:, 1], start[:, 2], -start[:, 2])
    np.add.at(height, (row, np.searchsorted(x, crossing)), step)


def write_relief(
    path: str | Path, height: NDArray[Any], y: NDArray[Any], x: NDArray[Any], base: float
) -> None:
    """Write heights [m] on a base [m] between edges [m] as STL in millimetres."""
    solid = (np.asarray(height) + base) / _MM
    write_stl(path, relief_mesh(solid, np.asarray(y) / _MM, np.asarray(x) / _MM))


def read_relief(path: str | Path, y: NDArray[Any], x: NDArray[Any], base: float) -> Floats:
    """Heights [m] above the base [m] at points [m] of an STL file in millimetres.

    Raises:
        ValueError: As :func:`read_stl` and :func:`height_of_mesh`.
    """
    mesh = read_stl(path)
    try:
        return height_of_mesh(mesh, np.asarray(y) / _MM, np.asarray(x) / _MM) * _MM - base
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _bridged(height: Floats, y: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    a, b, c, d = height[:-1, :-1], height[:-1, 1:], height[1:, 1:], height[1:, :-1]
    kissing = (np.minimum(a, c) > np.maximum(b, d)) | (np.minimum(b, d) > np.maximum(a, c))
    row, column = np.nonzero(kissing)
    if not len(row):
        return height, y, x
    side = min(np.diff(y).min(), np.diff(x).min()) / _BRIDGE
    mean = ((a + b + c + d) / 4)[row, column]
    (fine_y, rows), (fine_x, columns) = _split(y, row, side), _split(x, column, side)
    fine = height[np.ix_(rows, columns)]
    i, j = np.searchsorted(fine_y, y[row + 1]), np.searchsorted(fine_x, x[column + 1])
    for below in (0, 1):
        for left in (0, 1):
            fine[i - below, j - left] = mean
    return fine, fine_y, fine_x


def _split(edges: Floats, line: Indices, side: float) -> tuple[Floats, Indices]:
    """Edges with two more beside each inner line, and the old cell of each new one."""
    inner = edges[np.unique(line) + 1]
    fine = np.sort(np.concatenate([edges, inner - side, inner + side]))
    return fine, np.searchsorted(edges, (fine[1:] + fine[:-1]) / 2) - 1


def _runs(code: Indices) -> tuple[Indices, Indices, Indices]:
    """Row, start and stop of the runs of equal codes along the rows; 0 is no run."""
    padded = np.pad(code, ((0, 0), (1, 1)))
    change = padded[:, 1:] != padded[:, :-1]
    row, start = np.nonzero(change & (padded[:, 1:] != 0))
    return row, start, np.nonzero(change & (padded[:, :-1] != 0))[1]


def _tops(level: Indices) -> _Faces:
    """Equal runs of consecutive rows as one rectangle, and the one rectangle of the bottom."""
    row, start, stop = _runs(level)
    value = level[row, start]
    order = np.lexsort((row, value, stop, start))
    row, start, stop, value = row[order], start[order], stop[order], value[order]
    same = [np.diff(part) == 0 for part in (start, stop, value)]
    follows = same[0] & same[1] & same[2] & (np.diff(row) == 1)
    first = np.flatnonzero(np.append(True, ~follows))
    last = np.flatnonzero(np.append(~follows, True))
    height, width = level.shape
    return _Faces(
        np.append(value[first], 0),
        (np.append(start[first], 0), np.append(stop[first], width)),
        (np.append(row[first], 0), np.append(row[last] + 1, height)),
        np.append(np.ones(len(first), dtype=np.int64), -1),
    )


def _walls(level: Indices) -> _Faces:
    """Walls across x, merged along y where they join the same two heights."""
    padded = np.pad(level, ((0, 0), (1, 1)))
    left, right = padded[:, :-1].T, padded[:, 1:].T
    many = int(level.max()) + 1
    column, start, stop = _runs(np.where(left == right, 0, left * many + right))
    a, b = left[column, start], right[column, start]
    return _Faces(column, (start, stop), (np.minimum(a, b), np.maximum(a, b)), np.sign(a - b))


def _walls_across_y(level: Indices) -> _Faces:
    faces = _walls(level.T)
    return faces._replace(u=faces.v, v=faces.u)  # the axes after y are z and x


def _lines(faces: tuple[_Faces, ...], sizes: list[int]) -> list[Indices]:
    """For each axis the corners of all faces as sorted numbers: the line along that axis, then the place."""
    corners: list[list[Indices]] = [[], [], []]
    for axis, face in enumerate(faces):
        for u in face.u:
            for v in face.v:
                for k, part in enumerate((face.plane, u, v)):
                    corners[(axis + k) % 3].append(part)
    place = [np.concatenate(parts) for parts in corners]
    return [np.unique(_number(axis, place, sizes)) for axis in range(3)]


def _number(axis: int, place: list[Any], sizes: list[int]) -> Any:
    after, before = (axis + 1) % 3, (axis + 2) % 3
    return (place[after] * sizes[before] + place[before]) * sizes[axis] + place[axis]


def _triangles(
    axis: int, faces: _Faces, lines: list[Indices], places: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Each face cut from its centre to every vertex on its border, or in two if it has four."""
    face, border = _border(axis, faces, lines, [len(place) for place in places])
    points = np.stack([place[part] for place, part in zip(places, border, strict=True)], axis=1)
    count = np.bincount(face, minlength=len(faces.plane))
    first = np.cumsum(count) - count
    following = np.arange(1, len(face) + 1)
    following[first + count - 1] = first
    centre = np.empty((len(count), 3), dtype=np.float32)
    for k, (low, high) in enumerate(((faces.plane, faces.plane), faces.u, faces.v)):
        place = places[(axis + k) % 3]
        centre[:, (axis + k) % 3] = (place[low].astype(np.float64) + place[high]) / 2
    fan = count[face] > 4
    four = first[count == 4]
    fans = np.stack([points[fan], points[following[fan]], centre[face[fan]]], axis=1)
    halves = [np.stack([points[four], points[four + k], points[four + k + 1]], axis=1) for k in (1, 2)]
    result = np.concatenate([fans, *halves])
    inward = faces.outward[np.concatenate([face[fan], *[np.flatnonzero(count == 4)] * 2])] < 0
    result[inward] = result[inward][:, ::-1]
    return result


def _border(
    axis: int, faces: _Faces, lines: list[Indices], sizes: list[int]
) -> tuple[Indices, list[Indices]]:
    """The vertices on the border of each face, anticlockwise about +axis: which face, place on each axis."""
    (u0, u1), (v0, v1), plane = faces.u, faces.v, faces.plane
    along_u, along_v = (axis + 1) % 3, (axis + 2) % 3
    sides = [(along_u, u0, u1, v0), (along_v, v0, v1, u1), (along_u, u1, u0, v1), (along_v, v1, v0, u0)]
    start = np.empty((len(plane), 4), dtype=np.int64)
    stop = np.empty_like(start)
    for k, (along, begin, end, fixed) in enumerate(sides):
        for table, moving in ((start, begin), (stop, end)):
            place: list[Any] = [None, None, None]
            place[axis], place[along], place[3 - axis - along] = plane, moving, fixed
            table[:, k] = np.searchsorted(lines[along], _number(along, place, sizes))
    count = np.abs(stop - start).ravel()
    side = np.repeat(np.arange(count.size), count)
    step = np.arange(len(side)) - np.repeat(np.cumsum(count) - count, count)
    index = start.ravel()[side] + np.sign(stop - start).ravel()[side] * step
    border = [np.empty(len(side), dtype=np.int64) for _ in range(3)]
    for along in (along_u, along_v):
        here = np.isin(side % 4, (0, 2) if along == along_u else (1, 3))
        rest, border[along][here] = np.divmod(lines[along][index[here]], sizes[along])
        after, before = (along + 1) % 3, (along + 2) % 3
        border[after][here], border[before][here] = np.divmod(rest, sizes[before])
    return side // 4, border
