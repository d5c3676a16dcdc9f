"""Layouts: the bytes of gdstk, made from arrays; masks read back and the right way up; marks and wafers."""

import hashlib
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import gdstk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optics4f.fabrication import MaskBankData
from optics4f.fabrication.layout import (
    cell_name,
    cell_stem,
    chrome_table,
    layer_table,
    read_chrome,
    read_layout,
    write_chrome,
    write_layout,
)
from optics4f.fabrication.marks import Marks, Wafer, mark_rectangles, vernier_bars, wafer_places
from optics4f.fabrication.profiles import check_profile
from optics4f.fabrication.raster import merge_rectangles
from optics4f.fabrication.relief import phase_of_level, quantise_phase
from optics4f.fabrication.stream import placeholder, write_gds, write_oas

GREEN = 532e-9
LETTER_F = np.array([list(row) for row in ("####.", "#....", "###..", "#....", "#....", "#....")]) == "#"
SMALL = Marks(cross="4 um", cross_width="1 um", vernier_pitch="1 um", vernier_step="0.1 um", vernier_bars=3)
HASHES = {  # of the first release: the writer may become faster, the files stay as they were
    ("gds", 16, (2, 3, 9, 14), 0): "5785b807c8bfeac97c94f0f89019f787e0a8c1574a40929693ef30feebdd10a7",
    ("oas", 16, (2, 3, 9, 14), 0): "de733e57a44e8089e3430a6eb7eb75f3edd280604424757b7c728024bb78bf37",
    ("gds", 2, (1, 1, 33, 20), 1): "9b41942801c999f2f943708112b00ee1bd59ac9fd11f0b89c93769838c6370fe",
    ("oas", 2, (1, 1, 33, 20), 1): "0a84bfda715643cedf67c3ff31c519b6378421757a5370c350a997fc90435d9f",
    ("gds", 256, (1, 1, 1, 1), 3): "c1c8ecdbb60be4b398675f843a307978c8a34aa6ee0e0794b3ba13a827e4f0f8",
    ("oas", 256, (1, 1, 1, 1), 3): "8a5205ad72bcb09fdb4d28332ec0b41043c96509de03e1deef1299c73b10b17e",
}


def bank_of(transmittance: NDArray[Any], pitch: tuple[float, float] = (3.1234e-6, 2.7e-6)) -> MaskBankData:
    return MaskBankData(
        transmittance,
        pitch=pitch,
        wavelength=GREEN,
        focal_length=0.1,
        second_focal_length=0.1,
        input_shape=transmittance.shape[-2:],
        input_spacing=(8e-6, 8e-6),
        refractive_index=1.4607,
    )


def bank_of_levels(level: NDArray[Any], levels: int, **changes: Any) -> MaskBankData:
    return bank_of(np.exp(1j * phase_of_level(level, levels)), **changes)


def entry_of(bank: MaskBankData, levels: int, name: str = "bank") -> dict[str, Any]:
    layout = {"levels": levels, "refractive_index": 1.4607, "cell_stem": cell_stem(name)}
    layout["layers"] = layer_table(levels, GREEN, 1.4607)
    return {"shape": list(bank.transmittance.shape), "geometry": bank.described(), "layout": layout}


def levels_of(bank: MaskBankData, levels: int) -> NDArray[np.int64]:
    return quantise_phase(np.angle(bank.transmittance.astype(np.complex128)), levels)


def picture(kind: str, shape: tuple[int, int], levels: int) -> NDArray[np.int64]:
    """Levels of a mask: noise, a smooth lens, or the angle of the transform of a 3 x 3 kernel."""
    random = np.random.default_rng(5)
    y, x = (np.arange(n) - n // 2 for n in shape)
    if kind == "random":
        return random.integers(levels, size=shape)
    if kind == "smooth":
        return quantise_phase(0.05 * (y[:, None] ** 2 + 2 * x**2), levels)
    kernel = np.zeros(shape)
    kernel[:3, :3] = random.normal(size=(3, 3))[: shape[0]]
    return quantise_phase(np.angle(np.fft.fftshift(np.fft.fft2(kernel))), levels)


def boxes_of(cell: Any, layer: int) -> NDArray[np.int64]:
    """Bounding boxes (left, bottom, right, top) of what a layer draws [nm]."""
    boxes = [np.ravel(p.bounding_box()) for p in cell.get_polygons(layer=layer, datatype=0)]
    return np.rint(np.array(boxes).reshape(-1, 4) * 1e3).astype(np.int64)


@pytest.mark.parametrize(("case", "expected"), HASHES.items())
def test_plain_files_keep_their_bytes(
    case: tuple[str, int, tuple[int, ...], int], expected: str, tmp_path: Path
) -> None:
    kind, levels, shape, seed = case
    level = np.random.default_rng(seed).integers(levels, size=shape)
    pitch = (3.1234e-6, 2.7e-6) if seed == 0 else (8e-6, 8e-6)
    path = tmp_path / f"bank.{kind}"
    write_layout(path, bank_of_levels(level, levels, pitch=pitch), "domain-1", levels, 1.4607)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected


@settings(deadline=None, max_examples=20)  # each example writes files
@given(st.integers(0, 2**16), st.integers(0, 300), st.sampled_from([30, 10**4, 2**30]))
def test_records_are_those_that_gdstk_writes(seed: int, count: int, reach: int) -> None:
    """Two cells, squares among the rectangles, coordinates of one to five bytes of either sign."""
    random = np.random.default_rng(seed)
    low = random.integers(-reach, reach, size=(count, 2))
    size = random.integers(1, reach, size=(count, 2))
    size[::3, 1] = size[::3, 0]
    corners = np.concatenate([low, low + size], axis=1)
    boxes = [[(1, corners), (200, corners[:0])], [(7, corners[::2])]]
    ours, theirs = gdstk.Library("L", 1e-6, 1e-9), gdstk.Library("L", 1e-6, 1e-9)
    for name, layers in zip("AB", boxes, strict=True):
        ours.add(cell := gdstk.Cell(name))
        cell.add(placeholder(), *gdstk.text("AF", 3.3, (1.5, 2)))
        theirs.add(cell := gdstk.Cell(name))
        for layer, box in layers:
            for left, bottom, right, top in (box * 1e-3).tolist():
                cell.add(gdstk.rectangle((left, bottom), (right, top), layer=layer))
        cell.add(*gdstk.text("AF", 3.3, (1.5, 2)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_gds(folder / "a.gds", ours, boxes)
        write_oas(folder / "a.oas", ours, boxes)
        write_oas(folder / "c.oas", ours, boxes, compact=True)
        theirs.write_gds(folder / "b.gds", timestamp=datetime(2000, 1, 1))
        theirs.write_oas(folder / "b.oas", validation="crc32")
        assert (folder / "a.gds").read_bytes() == (folder / "b.gds").read_bytes()
        assert (folder / "a.oas").read_bytes() == (folder / "b.oas").read_bytes()
        assert gdstk.oas_validate(str(folder / "c.oas"))[0]
        read = {cell.name: cell for cell in gdstk.read_oas(str(folder / "c.oas")).cells}
    for name, layers in zip("AB", boxes, strict=True):
        for layer, box in layers:
            np.testing.assert_array_equal(boxes_of(read[name], layer), box)


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("shape", [(1, 2, 21, 34), (2, 1, 15, 15), (1, 1, 1, 7)])
@pytest.mark.parametrize("kind", ["random", "smooth", "kernel"])
def test_masks_come_back_from_their_files(
    kind: str, shape: tuple[int, ...], marked: bool, compact: bool, tmp_path: Path
) -> None:
    plane = picture(kind, (shape[2], shape[3]), 8)
    level = np.stack([np.roll(plane, k, axis=1) for k in range(shape[0] * shape[1])]).reshape(shape)
    bank = bank_of_levels(level, 8)
    options: dict[str, Any] = {"marks": SMALL, "wafer": Wafer("20 mm", "1 mm", "50 um")} if marked else {}
    for suffix in ("gds", "oas"):
        path = tmp_path / f"bank.{suffix}"
        write_layout(path, bank, "bank", 8, 1.4607, compact=compact, **options)
        np.testing.assert_array_equal(levels_of(read_layout(path, entry_of(bank, 8)), 8), level)
        first = path.read_bytes()
        write_layout(path, bank, "bank", 8, 1.4607, compact=compact, **options)
        assert path.read_bytes() == first


@pytest.mark.parametrize("suffix", ["gds", "oas"])
def test_letter_stands_upright_and_a_mirrored_file_is_noticed(suffix: str, tmp_path: Path) -> None:
    letter = np.flipud(LETTER_F)[None, None].astype(int)  # row 0 lowest
    bank = bank_of_levels(letter, 2)
    path = tmp_path / f"letter.{suffix}"
    write_layout(path, bank, "letter", 2, 1.4607)
    library: Any = (gdstk.read_gds if suffix == "gds" else gdstk.read_oas)(str(path))
    cell = next(cell for cell in library.cells if cell.name == "LETTER_O000_I000")
    # Level 1 is the untouched surface: the stem of the F, on the left from bottom to top, is not etched.
    etched = [polygon.points for polygon in cell.get_polygons(layer=1, datatype=0)]
    stem = [((0 - 2) * 2.7, (row - 3) * 3.123) for row in range(6)]
    assert not any(gdstk.inside(stem, [gdstk.Polygon(points) for points in etched]))
    entry = entry_of(bank, 2, "letter")
    np.testing.assert_array_equal(levels_of(read_layout(path, entry), 2), letter)
    for mirror in ("x", "y"):
        turned: Any = gdstk.Library("MIRROR")
        turned.add(gdstk.Cell(cell.name).add(*(p.copy() for p in cell.polygons)))
        for polygon in turned.cells[0].polygons:
            polygon.mirror((1, 0) if mirror == "x" else (0, 1))
        turned.write_gds(tmp_path / "turned.gds")
        back = levels_of(read_layout(tmp_path / "turned.gds", entry), 2)
        assert (back != letter).sum() > 3


def test_heights_of_sixteen_levels_stand_beside_their_layers() -> None:
    rows = [row for row in layer_table(16, GREEN, 1.4607) if "bit" in row]
    # Closed form 1154.8 nm / 2, 4, 8, 16; printed to 0.1 nm, which the sum of the roundings doubles at most.
    np.testing.assert_allclose(
        [row["etch_depth"] * 1e9 for row in rows], [72.2, 144.3, 288.7, 577.4], atol=0.06
    )
    assert [(row["layer"], row["bit"]) for row in rows] == [(1, 0), (2, 1), (3, 2), (4, 3)]


@pytest.mark.parametrize("suffix", ["gds", "oas"])
def test_chrome_is_where_the_mask_is_dark(suffix: str, tmp_path: Path) -> None:
    bright = np.random.default_rng(3).random((2, 1, 7, 10)) < 0.4
    bank = bank_of(0.9 * bright)
    path = tmp_path / f"bank.{suffix}"
    write_chrome(path, bank, "bank", marks=SMALL)
    np.testing.assert_array_equal(read_chrome(path, "BANK", bank), ~bright)
    assert chrome_table()[0]["tone"] == "drawn area is opaque (chrome)"
    with pytest.raises(ValueError, match="bank 'bank': expected pixels that are 0 or one bright value"):
        write_chrome(path, bank_of(np.array([0, 0.5, 1.0]).reshape(1, 1, 1, 3)), "bank")
    with pytest.raises(ValueError, match="expected a cell 'OTHER_O000_I000', got none"):
        read_chrome(path, "OTHER", bank)


def test_marks_stand_outside_the_window_and_do_not_overlap() -> None:
    window, keep_out = (-50_000, -30_000, 50_000, 30_000), (-60_000, -50_000, 60_000, 50_000)
    found = dict(mark_rectangles(window, keep_out, 3, SMALL))
    assert sorted(found) == [1, 2, 3, 12]
    for layer, boxes in found.items():
        box = window if layer == 12 else keep_out
        left, bottom, right, top = boxes.T
        assert ((right <= box[0]) | (left >= box[2]) | (top <= box[1]) | (bottom >= box[3])).all()
        drawn = [gdstk.rectangle((a, b), (c, d)) for a, b, c, d in boxes.tolist()]
        union = sum(p.area() for p in gdstk.boolean(drawn, [], "or"))
        # Exact: integer corners below 2^53. Overlapping marks would vanish in a tool that draws with XOR.
        assert union == sum(p.area() for p in drawn)
    assert mark_rectangles(window, keep_out, 2, Marks(crosses=False, verniers=False, outline=False)) == []


def test_crosses_of_all_layers_coincide() -> None:
    found = dict(mark_rectangles((0, 0, 9, 9), (0, 0, 9, 9), 2, Marks(verniers=False, outline=False)))
    np.testing.assert_array_equal(found[1], found[2])
    assert len(found[1]) == 4 * 3
    arm = found[1][0]
    assert (arm[2] - arm[0], arm[3] - arm[1]) == (100_000, 10_000)


@pytest.mark.parametrize("shift", [-3, 0, 2])
def test_vernier_reads_its_shift(shift: int) -> None:
    main, moved = vernier_bars(20_000, 200, 10)
    opposite = np.flatnonzero(main == moved + shift * 200) - 10
    assert opposite.tolist() == [-shift]


def test_verniers_of_a_layer_face_the_main_scale() -> None:
    found = dict(mark_rectangles((0, 0, 9, 9), (0, 0, 9, 9), 2, Marks(crosses=False, outline=False)))
    scale, moved = found[2], found[1]
    assert len(scale) == len(moved) == 2 * 21  # 10 bars on each side and the middle one, along x and y
    across, faced = scale[:21], moved[:21]
    assert (faced[:, 3] == across[:, 1]).all()  # the upper ends of one touch the lower ends of the other
    step = (faced[:, 0] - across[:, 0]) // 200
    np.testing.assert_array_equal(step, np.arange(-10, 11))
    np.testing.assert_array_equal(moved[21:, 1] - scale[21:, 1], 200 * np.arange(-10, 11))


@pytest.mark.parametrize("width", [8e6, 31e6])
def test_copies_lie_on_the_wafer_and_all_that_fit_are_there(width: float) -> None:
    wafer, height = Wafer("100 mm", "5 mm", "1 mm"), 12e6
    places = wafer_places(int(width), int(height), wafer)
    expected = {
        (i * (width + 1e6), j * (height + 1e6))
        for i in range(-20, 21)
        for j in range(-20, 21)
        if max(
            np.hypot(i * (width + 1e6) + a * width / 2, j * (height + 1e6) + b * height / 2)
            for a in (-1, 1)
            for b in (-1, 1)
        )
        <= 45e6
    }
    assert set(places) == expected and len(places) == len(expected)


def test_wafer_holds_references_and_a_tool_takes_it(tmp_path: Path) -> None:
    level = np.random.default_rng(0).integers(4, size=(1, 3, 6, 9))
    path = tmp_path / "bank.oas"
    write_layout(
        path, bank_of_levels(level, 4), "bank", 4, 1.4607, marks=SMALL, wafer=Wafer("2 mm", "0.1 mm")
    )
    library: Any = gdstk.read_oas(str(path))
    cells = {cell.name: cell for cell in library.cells}
    assert [cell.name for cell in library.top_level()] == ["BANK_WAFER"]
    copies, dies = len(cells["BANK_WAFER"].references), len(cells["BANK_TOP"].references)
    assert dies == 6 and copies > 4  # three masks, each with its marks
    outline = boxes_of(cells["BANK_WAFER"], 12)
    assert len(outline) == copies * 3 * 4
    assert (
        np.hypot(*np.maximum(abs(outline[:, :2]), abs(outline[:, 2:])).T).max() <= 0.9e6
    )  # radius less edge
    assert check_profile(path, "heidelberg_dwl66") == []
    assert check_profile(path, "heidelberg_mla150") == []
    dies_drawn = [np.ravel(reference.bounding_box()) for reference in cells["BANK_WAFER"].references]
    for k, (left, bottom, right, top) in enumerate(dies_drawn):
        for a, b, c, d in dies_drawn[:k]:
            assert c <= left or right <= a or d <= bottom or top <= b


def test_wafer_without_room_is_refused(tmp_path: Path) -> None:
    bank = bank_of_levels(np.zeros((1, 1, 50, 50), dtype=int), 2)
    with pytest.raises(ValueError, match="Wafer diameter: expected room for"):
        write_layout(tmp_path / "b.gds", bank, "b", 2, 1.4607, wafer=Wafer("0.1 mm", "0.01 mm"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("make", "values", "sentence"),
    [
        (Marks, {"cross": "0 um"}, "Marks cross: expected more than 0 m"),
        (Marks, {"cross": "1 nm"}, "Marks cross: expected at least 2 nm, got 1 nm"),
        (Marks, {"cross_width": "1 mm"}, "Marks cross_width: expected under 100000 nm"),
        (Marks, {"vernier_bars": 0}, "Marks vernier: expected at least one bar"),
        (Marks, {"vernier_step": "10 um"}, "Marks vernier: expected"),
        (Wafer, {"edge": "50 mm"}, "Wafer edge: expected less than half the diameter"),
    ],
)
def test_bad_marks_are_refused(make: Any, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make(**values)


def test_cells_are_named_as_before() -> None:
    assert cell_name(cell_stem("domain-1"), 3, 12) == "DOM_IN_1_O003_I012"


def test_too_many_pixels_to_sort_are_refused() -> None:
    with pytest.raises(ValueError, match="pixels: expected fewer than 2e9"):
        merge_rectangles(np.broadcast_to(np.zeros(1, dtype=bool), (50_000, 50_000)))
