"""Panels of exported files: layouts with their marks, posts, wafers, and solids on a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.patches import Circle, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..extras import require
from .common import INK, QUIET
from .masks import COLOURS, Panel, legend

_BLUE, _AROUND = "#1f4e79", (QUIET, "#c0392b", "#27ae60")


def layout_panel(path: str | Path, cell: str, title: str, names: Mapping[int, str] | None = None) -> Panel:
    """What one cell of a GDSII or OASIS file draws, cells within it included, a colour for each layer.

    Etch layers are one blue each, the deeper the darker where more of them lie on one another.

    Args:
        path: The file.
        cell: Name of the cell.
        title: Above the panel.
        names: Of the layers in the legend; layers without a name are drawn, but not listed.
    """
    from ..fabrication.dies import STOP_LAYER  # this layer and those above it stand around the mask

    drawn = _polygons(path, cell)
    etched = [layer for layer in drawn if layer < STOP_LAYER]

    def draw(axes: Any) -> None:
        for layer, polygons in sorted(drawn.items(), reverse=True):
            face, alpha = _AROUND[(layer - STOP_LAYER) % len(_AROUND)], 1.0
            if layer in etched:
                face, alpha = _BLUE, 0.7 * 0.6 ** (max(etched) - layer)
            shapes = PolyCollection(polygons, facecolor=face, alpha=alpha, linewidth=0)
            axes.add_collection(shapes)
            if names and layer in names:
                shapes.set_label(names[layer])
        axes.autoscale_view()
        axes.set(title=title, xlabel="x [um]", ylabel="y [um]", aspect="equal")
        if names:
            legend(axes)

    return Panel(draw)


def posts_panel(path: str | Path, cell: str, title: str, window: tuple[float, float, float, float]) -> Panel:
    """The posts of a metasurface within a window.

    Args:
        path: GDSII or OASIS file.
        cell: Name of the cell that refers to the posts.
        title: Above the panel.
        window: Left, bottom, right, top [um].
    """
    left, bottom, right, top = window
    shapes: list[NDArray[np.float64]] = []
    for reference in _cell(path, cell).references:
        repeated = reference.repetition.get_offsets() if reference.repetition.size else np.zeros((1, 2))
        places = np.asarray(repeated) + reference.origin
        inside = np.all((places > (left, bottom)) & (places < (right, top)), axis=1)
        shapes += [p.points + place for place in places[inside] for p in reference.cell.polygons]

    def draw(axes: Any) -> None:
        axes.add_collection(PolyCollection(shapes, facecolor=_BLUE, linewidth=0))
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", title=title)
        axes.set(xlabel="x [um]", ylabel="y [um]")

    return Panel(draw)


def wafer_panel(path: str | Path, cell: str, title: str, diameter: float, edge: float = 0.0) -> Panel:
    """Where the copies of a die lie on a round wafer.

    Args:
        path: GDSII or OASIS file.
        cell: Name of the cell that refers to the copies.
        title: Above the panel.
        diameter: Of the wafer [m].
        edge: Width of the ring that stays empty [m].
    """
    places = [(reference.origin, reference.cell.bounding_box()) for reference in _cell(path, cell).references]

    def draw(axes: Any) -> None:
        for radius, style in ((diameter / 2, "-"), (diameter / 2 - edge, ":")):
            axes.add_patch(Circle((0, 0), radius * 1e3, fill=False, edgecolor=INK, linestyle=style))
        for (x, y), ((left, bottom), (right, top)) in places:
            low = ((x + left) * 1e-3, (y + bottom) * 1e-3)
            size = ((right - left) * 1e-3, (top - bottom) * 1e-3)
            axes.add_patch(Rectangle(low, *size, facecolor=COLOURS[0], edgecolor="white", linewidth=0.4))
        half = 0.53 * diameter * 1e3
        axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", title=title)
        axes.set(xlabel="x [mm]", ylabel="y [mm]")

    return Panel(draw)


def solid_panel(path: str | Path, title: str, stretch: float = 1.0) -> Panel:
    """An STL file as it would stand on a table, in millimetres, tops coloured by their height, walls grey.

    Args:
        path: Binary STL in millimetres.
        title: Above the panel.
        stretch: By how much heights are drawn larger than widths.
    """
    from ..fabrication.stl import read_stl

    corners = read_stl(path).astype(np.float64)

    def draw(axes: Any) -> None:
        from matplotlib import colormaps
        from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

        height = corners[..., 2]
        low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
        tops = corners[np.ptp(height, axis=1) == 0]
        relief = tops[tops[:, 0, 2] > low[2]]
        floor, step = relief[..., 2].min(), np.ptp(relief[..., 2]) or 1.0
        colour = colormaps["viridis"]((relief[:, 0, 2] - floor) / step)
        # Edges of the same colour close the seams between triangles.
        for shapes, face in ((corners[np.ptp(height, axis=1) > 0], QUIET), (relief, colour)):
            axes.add_collection3d(Poly3DCollection(shapes, facecolors=face, edgecolors=face, linewidths=0.4))
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]), title=title)
        axes.set(xlabel="x [mm]", ylabel="y [mm]")  # one along z would run into the next panel
        axes.zaxis.set_major_locator(MaxNLocator(3))
        axes.set_box_aspect((*(high - low)[:2], stretch * (high - low)[2]), zoom=0.95)
        axes.view_init(elev=40, azim=-65)

    return Panel(draw, "3d")


def _cell(path: str | Path, name: str) -> Any:
    gdstk = require("gdstk", "fab")
    read = gdstk.read_oas if Path(path).suffix == ".oas" else gdstk.read_gds
    cells = {cell.name: cell for cell in read(str(path), unit=1e-6).cells}
    if name not in cells:
        raise ValueError(f"{path}: expected a cell '{name}', got none.")
    return cells[name]


def _polygons(path: str | Path, name: str) -> dict[int, list[NDArray[np.float64]]]:
    """Vertices [um] of all polygons of a cell by layer."""
    drawn: dict[int, list[NDArray[np.float64]]] = {}
    for polygon in _cell(path, name).get_polygons():
        drawn.setdefault(polygon.layer, []).append(polygon.points)
    return drawn
