"""What the files of every target compute when they are read back; and the pictures of them."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gdstk
import numpy as np
import pytest
import torch
from matplotlib.patches import Circle
from PIL import Image
from torch import Tensor

from optics4f import FourF, Grid, MaskBank, PhaseMask
from optics4f.fabrication import Manifest, MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.bench import bank_of, bench_of
from optics4f.fabrication.devices import Modulator
from optics4f.fabrication.export import LEE_PERIOD, lee_bank
from optics4f.fabrication.layout import write_layout
from optics4f.fabrication.marks import Wafer
from optics4f.fabrication.metasurface import PostLibrary
from optics4f.fabrication.stl import read_stl, write_stl
from optics4f.files import sha256
from optics4f.functional import quantise_phase
from optics4f.plotting.layouts import layout_panel, posts_panel, solid_panel, wafer_panel
from optics4f.plotting.masks import Curve, Panel, curve_panel, image_panel, show_panels

ROOT = Path(__file__).parents[1]
PITCH, WAVELENGTH = 700e-9, 532e-9
STORED = 1e-5  # relative: transmittances in complex64, heights in float32 (STL) or to 1 pm (points)
ROWS = ["1111", "1000", "1110", "1000", "1000"]
LETTER_F = torch.tensor([[float(dot) for dot in row] for row in ROWS]).flip(-2)


def bench(masks: MaskBank, side: int) -> FourF:
    """Mask pixels of 700 nm; behind it the output plane of a real 4f system, which is inverted."""
    focal_length = side * 4e-6 * PITCH / WAVELENGTH
    return FourF(Grid((side, side), "4 um"), f"{WAVELENGTH!r} m", f"{focal_length!r} m", masks)


def filter_of_f() -> MaskBankData:
    """The phase, in 16 steps, of the transform of a letter that no mirror and no turn brings onto itself."""
    phase = bench(MaskBank.from_kernels(LETTER_F[None, None], "convolution"), 15).transmittance().angle()
    return replace(bank_of(bench(PhaseMask(quantise_phase(phase.detach(), 16)), 15)), levels=16)


def blaze(side: int) -> MaskBankData:
    """One period towards +x, of the phase at the centres of the pixels; of 64, none between 16 levels."""
    ramp = 2 * torch.pi * (torch.arange(side, dtype=torch.float64) + 0.5) / side
    return bank_of(bench(PhaseMask(ramp.expand(1, 1, side, side).clone()), side))


def response(bank: MaskBankData) -> Tensor:
    """The field that a point on the axis makes in the output plane."""
    system = bench_of(bank).double()
    point = torch.zeros(1, *system.grid.shape, dtype=torch.complex128)
    point[0, system.grid.shape[0] // 2, system.grid.shape[1] // 2] = 1
    with torch.no_grad():
        field: Tensor = system(point)[0]
    return field


def device(**changes: Any) -> Modulator:
    """Odd numbers of pixels: its picture turned over has the mask in the same place."""
    return Modulator("device", (31, 41), f"{PITCH!r} m", f"{WAVELENGTH!r} m", **changes)


def library() -> PostLibrary:
    """Sixteen posts with the phases of sixteen levels, in cells of half a pixel."""
    size = np.linspace(100e-9, 250e-9, 16)[:, None].repeat(2, axis=1)
    t = np.exp(2j * np.pi * np.arange(16) / 16)
    return PostLibrary(size, t, f"{PITCH / 2!r} m", f"{WAVELENGTH!r} m")


def turn_picture(path: Path, axis: int) -> None:
    with Image.open(path) as picture:
        kind, values = picture.format, np.asarray(picture)
    Image.fromarray(np.ascontiguousarray(np.flip(values, axis))).save(path, format=kind)


def turn_points(path: Path, axis: int) -> None:
    points = np.loadtxt(path)
    points[:, 1 - axis] *= -1
    np.savetxt(path, points, fmt="%.6f")


def turn_solid(path: Path, axis: int) -> None:
    triangles = read_stl(path).copy()
    triangles[..., 1 - axis] *= -1
    write_stl(path, triangles[:, [0, 2, 1]])  # a mirrored triangle would look inwards


def turn_layout(path: Path, axis: int) -> None:
    """Etched areas, and the places of posts."""
    oasis = path.suffix == ".oas"
    drawing: Any = (gdstk.read_oas if oasis else gdstk.read_gds)(str(path))
    sign = np.array([1, -1] if axis == 0 else [-1, 1])
    for cell in drawing.cells:
        for polygon in cell.polygons if cell.name.endswith("_I000") else []:
            polygon.mirror((1, 0) if axis == 0 else (0, 1))
        for reference in cell.references:
            offsets = reference.repetition.get_offsets() if reference.repetition.size else np.zeros((1, 2))
            reference.origin = tuple(sign * reference.origin)
            if len(offsets) > 1:
                reference.repetition = gdstk.Repetition(offsets=(sign * offsets)[1:])
    (drawing.write_oas if oasis else drawing.write_gds)(str(path))


def mirror_file(folder: Path, axis: int, turn: Callable[[Path, int], None]) -> None:
    """Turn over the one file of a folder, and let the manifest vouch for it."""
    manifest = Manifest.load(folder)
    (file,) = manifest.files
    turn(folder / file.path, axis)
    replace(manifest, files=(replace(file, sha256=sha256(folder / file.path)),)).save(folder)


TARGETS: dict[str, tuple[str, dict[str, Any], Callable[[Path, int], None]]] = {
    "GDSII": ("gds", {"levels": 16, "material": "fused-silica"}, turn_layout),
    "OASIS": ("oas", {"levels": 16, "material": "fused-silica"}, turn_layout),
    "bitmap": ("bitmap", {}, turn_picture),
    "modulator": ("bitmap", {"device": device(sign="minus_phase")}, turn_picture),
    "mirrors": ("bitmap", {"device": device(bits=1)}, turn_picture),
    "TIFF": ("tiff", {"material": 1.7}, turn_picture),
    "points": ("height", {"material": 1.7}, turn_points),
    "STL": ("stl", {"levels": 16, "material": 1.7, "base": "1 um"}, turn_solid),
    "metasurface": ("metasurface", {"library": library()}, turn_layout),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_computes_its_kernel_and_a_mirrored_one_its_mirror_image(target: str, tmp_path: Path) -> None:
    """A mask turned over about x is the kernel turned over about x: nothing else notices, so this must."""
    kind, options, turn = TARGETS[target]
    source = lee_bank(filter_of_f()) if target == "mirrors" else filter_of_f()
    wanted = response(source)
    export_masks(MaskSet({"f": source}), tmp_path, (kind,), **options)
    got = response(read_back(tmp_path, kind).banks["f"])
    assert float((got - wanted).norm() / wanted.norm()) < STORED
    for axis in (0, 1):
        mirror_file(tmp_path, axis, turn)
        got = response(read_back(tmp_path, kind).banks["f"])
        mirrored = wanted.flip(axis)
        assert float((got - mirrored).norm() / wanted.norm()) < STORED
        assert float((got - wanted).norm() / wanted.norm()) > 0.5
        mirror_file(tmp_path, axis, turn)  # and back again


@pytest.mark.parametrize("kind", ["gds", "oas", "stl"])
@pytest.mark.parametrize("levels", [2, 4, 8, 16])
def test_a_blaze_from_the_file_has_the_efficiency_of_its_levels(
    levels: int, kind: str, tmp_path: Path
) -> None:
    r"""sinc^2(1/L) in the first order, the next ones at 1 + mL with sinc^2(1/L) / (1 + mL)^2.

    One period fills 64 pixels; the phase is taken at their centres, so that none lies between two levels. The
    simulated orders of samples get the envelope of square pixels, sinc^2(k/64).
    """
    export_masks(MaskSet({"blaze": blaze(64)}), tmp_path, (kind,), levels=levels, material=1.5)
    light = response(read_back(tmp_path, kind).banks["blaze"]).abs().square()
    order = torch.arange(-32, 32)
    share = light[32] / light.sum() * torch.sinc(order / 64) ** 2
    first = float(np.sinc(1 / levels) ** 2)
    assert float(light[32].sum() / light.sum()) == pytest.approx(1, abs=1e-6)  # nothing beside the axis
    assert float(share[32 + 1]) == pytest.approx(first, abs=1e-6)  # masks of complex64
    assert float(share[32 + 1 - levels]) == pytest.approx(first / (levels - 1) ** 2, abs=1e-6)
    wanted = ((order - 1) % levels == 0).double() * first / order.double() ** 2
    assert float((share - wanted.nan_to_num(posinf=0)).abs().max()) < 1e-6


def test_mirrors_send_the_first_order_where_the_manifest_says(tmp_path: Path) -> None:
    """t = e^{i pi/4} on a carrier of four mirrors: those at x = -1 and 0 of each four are on.

    The order q then is (1 + i^q) / 4: the first and the minus first differ in the sign of their phase.
    """
    masks = PhaseMask(torch.full((1, 1, 16, 16), torch.pi / 4))
    source = MaskSet({"flat": bank_of(bench(masks, 16))})
    entry = export_masks(source, tmp_path, ("bitmap",), device=device(bits=1), encoding="lee").banks["flat"]
    aside = entry["encoding"]["first_order_offset"] / 4e-6  # samples of the output plane, as the input's
    assert aside == pytest.approx(16 / LEE_PERIOD, rel=1e-9)  # lambda f / (period pitch), in float64
    wanted = torch.zeros(16, 16, dtype=torch.complex128)
    wanted[8, 8], wanted[8, 8 + round(aside)], wanted[8, 8 - round(aside)] = 1 / 2, (1 + 1j) / 4, (1 - 1j) / 4
    field = response(read_back(tmp_path, "bitmap").banks["flat"])
    assert float((field - wanted).abs().max()) < 1e-6  # the scale of the sum is kept in decibels, and float32


def drawn(panel: Panel) -> Any:
    return show_panels("", panel).axes[0]


def test_image_panel_counts_millimetres_from_the_axis_and_frames_samples() -> None:
    """Sample n // 2 is at 0, for even and odd n; a box covers its samples and nothing else."""
    box = {"box": [(1, 3, 2, 5)]}
    for shape, top_first in (((6, 7), False), ((7, 6), True)):
        panel = image_panel(np.eye(*shape), "", pitch=(2e-3, 1e-3), top_first=top_first, boxes=box)
        axes = drawn(panel)
        left, right, bottom, top = axes.images[0].get_extent()
        x, y = (left + (shape[1] // 2 + 0.5)), (bottom + 2 * (shape[0] // 2 + 0.5))
        assert (x, y, right - left, top - bottom) == pytest.approx((0, 0, shape[1], 2 * shape[0]), abs=1e-12)
        (frame,) = axes.patches
        low, high = frame.get_extents().transformed(axes.transData.inverted()).get_points()
        assert (low[0] - left, high[0] - left) == pytest.approx((2, 5), abs=1e-9)
        assert (low[1] - bottom, high[1] - bottom) == pytest.approx((2, 6), abs=1e-9)


def test_layout_panel_draws_the_area_that_each_layer_of_the_file_has(tmp_path: Path) -> None:
    export_masks(MaskSet({"f": filter_of_f()}), tmp_path, ("oas",), levels=16, material=1.5, marks=True)
    (cell,) = (c for c in gdstk.read_oas(str(tmp_path / "f.oas")).cells if c.name == "F_TOP")
    areas: dict[str, float] = {}
    for polygon in cell.get_polygons():
        name = f"layer {polygon.layer}"
        areas[name] = areas.get(name, 0) + polygon.area()
    numbers = {int(name.split()[1]): name for name in areas}
    found = {}
    for shapes in drawn(layout_panel(tmp_path / "f.oas", "F_TOP", "", numbers)).collections:
        corners = [path.vertices[:-1] for path in shapes.get_paths()]
        twice = [x @ np.roll(y, -1) - y @ np.roll(x, -1) for x, y in (c.T for c in corners)]
        found[shapes.get_label()] = sum(abs(area) / 2 for area in twice)
    assert found == pytest.approx(areas, rel=1e-9)  # the same float64 corners, summed in another order
    with pytest.raises(ValueError, match=r"f\.oas: expected a cell 'G', got none\."):
        layout_panel(tmp_path / "f.oas", "G", "")


def test_posts_panel_draws_the_posts_of_its_window(tmp_path: Path) -> None:
    export_masks(MaskSet({"f": filter_of_f()}), tmp_path, ("metasurface",), library=library())
    window = (-0.7, -0.7, 1.4, 0.7)  # um: cells of 0.35 um with centres at odd multiples of 0.175 um
    axes = drawn(posts_panel(tmp_path / "f_posts.oas", "F_O000_I000", "", window))
    centres = np.array([path.vertices[:-1].mean(axis=0) for path in axes.collections[0].get_paths()])
    x, y = np.meshgrid(0.175 + 0.35 * np.arange(-2, 4), 0.175 + 0.35 * np.arange(-2, 2))
    expected = np.stack([x, y], axis=-1).reshape(-1, 2)
    nearest = np.abs(centres[:, None] - expected).max(axis=-1)
    # Places and corners are rounded to 1 nm each, the corners of a polygon not all to one side.
    assert centres.shape == expected.shape and nearest.min(axis=0).max() < 2e-3


def test_wafer_panel_shows_every_copy_inside_the_edge(tmp_path: Path) -> None:
    bank = filter_of_f()
    path = tmp_path / "wafer.oas"
    write_layout(path, bank, "f", 16, 1.5, wafer=Wafer("1 mm", "0.1 mm", "10 um"))
    (cell,) = (c for c in gdstk.read_oas(str(path)).cells if c.name == "F_WAFER")
    circles, dies = [], []
    for patch in drawn(wafer_panel(path, "F_WAFER", "", 1e-3, 1e-4)).patches:
        (circles if isinstance(patch, Circle) else dies).append(patch)
    assert [circle.radius for circle in circles] == pytest.approx([0.5, 0.4])
    assert len(dies) == len(cell.references) > 100
    corners = np.concatenate([die.get_corners() for die in dies])
    assert np.hypot(*corners.T).max() < 0.4


def test_solid_panel_shows_the_file_in_its_own_size(tmp_path: Path) -> None:
    """A colour for each height that stands on the base; millimetres on all axes."""
    export_masks(MaskSet({"f": blaze(64)}), tmp_path, ("stl",), levels=16, material=1.7, base="1 um")
    axes = drawn(solid_panel(tmp_path / "f_O000_I000.stl", "", 2))
    _, tops = axes.collections
    assert len(np.unique(tops.get_facecolor(), axis=0)) == 16
    high = 1e-3 + 15 / 16 * WAVELENGTH * 1e3 / 0.7
    assert axes.get_zlim() == pytest.approx((0, high), rel=1e-6)  # STL holds float32
    side = np.array([-32.5, 31.5]) * PITCH * 1e3  # the axis is in the middle of pixel 32
    assert axes.get_xlim() == axes.get_ylim() == pytest.approx(tuple(side), rel=1e-6)


def test_curve_panel_draws_what_it_is_given() -> None:
    x, y = np.arange(3.0), np.array([1.0, 10.0, 100.0])
    axes = drawn(curve_panel("", "x", "y", Curve(x, y, "line"), Curve(x, y, "bars", "bar"), log=True))
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([x, y], axis=1))
    bars = [(bar.get_center()[0], bar.get_height()) for bar in axes.patches]
    np.testing.assert_allclose(bars, np.stack([x, y], axis=1), rtol=1e-14)  # the middle of two float64
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["line", "bars"]


def test_panels_stand_in_rows() -> None:
    """The first at the top left, the fourth of three columns below it."""
    panels = [image_panel(np.zeros((2, 2)), str(k)) for k in range(4)]
    figure = show_panels("", *panels, columns=3)
    figure.draw_without_rendering()
    place = {axes.get_title(): axes.get_position() for axes in figure.axes}
    assert place["0"].x0 < place["1"].x0 < place["2"].x0 and place["3"].x0 < place["1"].x0
    assert place["0"].y0 == pytest.approx(place["2"].y0) and place["3"].y1 < place["0"].y0


def test_the_page_shows_a_picture_of_each_target() -> None:
    """Every picture of the page is there, small enough to load at once, and none lies there unused."""
    page, folder = ROOT / "docs" / "targets.md", ROOT / "docs" / "images" / "targets"
    shown = re.findall(r"\]\(images/targets/(\w+\.png)\)", page.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in folder.iterdir()) and len(shown) == 6
    assert max((folder / name).stat().st_size for name in shown) < 150_000
