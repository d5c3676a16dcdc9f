"""Exports: read back from the files alone, the right way up, with the same bytes each time."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import gdstk
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from optics4f.design import demodulate, lee_hologram
from optics4f.fabrication import Manifest, MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.cli import register
from optics4f.fabrication.devices import DoseCurve, Modulator, device_from, device_greys, load_device
from optics4f.fabrication.layout import LABEL_LAYER, STOP_LAYER, cell_stem, pixel_edges
from optics4f.fabrication.raster import merge_rectangles, rasterise
from optics4f.fabrication.relief import etch_masks, phase_of_level, quantise_phase
from optics4f.files import sha256

FORMATS = ("gds", "oas", "bitmap")
LETTER_F = np.array([list(row) for row in ("####.", "#....", "###..", "#....", "#....", "#....")]) == "#"


def bank_of(transmittance: NDArray[Any], **changes: Any) -> MaskBankData:
    values: dict[str, Any] = {
        "pitch": (3.1234e-6, 2.7e-6),
        "wavelength": 532e-9,
        "focal_length": 0.1,
        "second_focal_length": 0.1,
        "input_shape": transmittance.shape[-2:],
        "input_spacing": (8e-6, 8e-6),
        "refractive_index": 1.4607,
    }
    return MaskBankData(transmittance, **{**values, **changes})


def bank_of_levels(level: NDArray[Any], steps: int, **changes: Any) -> MaskBankData:
    return bank_of(np.exp(1j * phase_of_level(level, steps)), **changes)


def levels_of(bank: MaskBankData, levels: int) -> NDArray[np.int64]:
    return quantise_phase(np.angle(bank.transmittance.astype(np.complex128)), levels)


def letter() -> MaskSet:
    """One mask: pi on an upright F that points to +x, 0 elsewhere; the picture is written top row first."""
    return MaskSet({"letter": bank_of_levels(np.flipud(LETTER_F)[None, None].astype(int), 2)})


def complex_masks() -> MaskSet:
    random = np.random.default_rng(0)
    phase = 2 * np.pi * random.uniform(size=(2, 2, 5, 4))
    return MaskSet({"conv": bank_of(random.uniform(size=phase.shape) * np.exp(1j * phase))})


bits = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: st.lists(
        st.lists(st.booleans(), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    ).map(np.array)
)


@given(bits)
def test_rectangles_cover_the_pixels_once(pixels: NDArray[np.bool_]) -> None:
    covered = np.zeros(pixels.shape, dtype=int)
    for row, row_stop, column, column_stop in merge_rectangles(pixels):
        covered[row:row_stop, column:column_stop] += 1
    np.testing.assert_array_equal(covered, pixels.astype(int))


def test_equal_runs_become_one_rectangle() -> None:
    pixels = np.zeros((6, 7), dtype=bool)
    pixels[1:5, 2:6] = True
    assert merge_rectangles(pixels).tolist() == [[1, 5, 2, 6]]


@given(bits)
def test_polygons_merged_elsewhere_are_read_alike(pixels: NDArray[np.bool_]) -> None:
    boxes = [gdstk.rectangle((c, r), (d, s)) for r, s, c, d in merge_rectangles(pixels).tolist()]
    merged = [polygon.points for polygon in gdstk.boolean(boxes, [], "or")]
    clockwise = [points[::-1] for points in merged]
    y, x = (np.arange(n) + 0.5 for n in pixels.shape)
    for polygons in (merged, clockwise, merged + clockwise):
        np.testing.assert_array_equal(rasterise(polygons, y, x), pixels)


def test_oblique_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="oblique"):
        rasterise([np.array([[0, 0], [1, 0], [0, 1]])], np.array([0.5]), np.array([0.5]))


def test_pixel_edges_gather_no_error() -> None:
    edges = pixel_edges(4001, 2000.0, 29.6884e-6)
    exact = (np.arange(4002) - 2000.5) * 29688.4
    # Each edge is rounded to the nanometre by itself, so the last is as good as the first (1e-6: float64).
    assert np.abs(edges - exact).max() <= 0.5 + 1e-6
    with pytest.raises(ValueError, match="at least 2 nm"):
        pixel_edges(4, 2.0, 1e-9)


@settings(deadline=None, max_examples=25)  # each example writes files
@given(
    seed=st.integers(0, 2**16),
    levels=st.sampled_from([2, 4, 16]),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 8)),
    pitch=st.tuples(st.floats(0.05e-6, 40e-6), st.floats(0.05e-6, 40e-6)),
    half=st.booleans(),
)
def test_layout_gives_every_level_back(
    seed: int, levels: int, shape: tuple[int, ...], pitch: tuple[float, float], half: bool
) -> None:
    level = np.random.default_rng(seed).integers(levels, size=shape)
    origin = (shape[2] // 2 + 0.5 * half, shape[3] // 2 - 0.5 * half)
    bank = bank_of_levels(level, levels, pitch=pitch, origin=origin)
    with tempfile.TemporaryDirectory() as folder:
        export_masks(MaskSet({"bank": bank}), folder, ("gds", "oas"), levels=levels)
        for kind in ("gds", "oas"):
            back = read_back(folder, kind).banks["bank"]
            np.testing.assert_array_equal(levels_of(back, levels), level)
            assert (back.pitch, back.origin, back.levels) == (bank.pitch, bank.origin, levels)


@pytest.mark.parametrize("sign", ["phase", "minus_phase"])
@pytest.mark.parametrize("shape", [(5, 4), (4, 7), (1, 1)])
def test_bitmap_gives_the_phase_back(sign: str, shape: tuple[int, int], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    bank = bank_of(np.exp(2j * np.pi * random.uniform(size=(2, 3, *shape))))
    export_masks(MaskSet({"bank": bank}), tmp_path, ["bitmap"], sign=sign)
    back = read_back(tmp_path, "bitmap").banks["bank"]
    error = np.angle(back.transmittance.astype(complex) / bank.transmittance.astype(complex))
    # Half a grey step of 2 pi / 256, and complex64 rounding.
    assert np.abs(error).max() <= np.pi / 256 + 1e-6
    assert back.levels == 256


def test_grey_is_the_phase_on_an_absolute_scale(tmp_path: Path) -> None:
    # A quarter and a half turn are greys 64 and 128 whatever else is in the mask, negated mod 256.
    bank = bank_of(np.exp(2j * np.pi * np.array([0.25, 0.5])).reshape(1, 1, 1, 2))
    for sign, greys in (("phase", [64, 128]), ("minus_phase", [192, 128])):
        export_masks(MaskSet({"bank": bank}), tmp_path, ["bitmap"], sign=sign)
        with Image.open(tmp_path / "bank_O000_I000.png") as picture:
            assert np.asarray(picture).tolist() == [greys]


def test_picture_has_the_letter_upright(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["bitmap"])
    with Image.open(tmp_path / "letter_O000_I000.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture) == 128, LETTER_F)


@pytest.mark.parametrize("kind", ["gds", "oas"])
def test_layout_has_the_letter_upright_about_the_axis(kind: str, tmp_path: Path) -> None:
    """Asked of the file by another library's point test: the F stands, all else in the window is etched."""
    export_masks(letter(), tmp_path, [kind], levels=2)
    read = gdstk.read_gds if kind == "gds" else gdstk.read_oas
    cells = {cell.name: cell for cell in read(str(tmp_path / f"letter.{kind}")).cells}
    etched = cells["LETTER_O000_I000"].get_polygons(layer=1, datatype=0)
    height, width = LETTER_F.shape
    # Micrometres from the axis, which is at sample n // 2; the first row of the picture has the largest y.
    y = 3.1234 * (np.arange(height)[::-1] - height // 2)
    x = 2.7 * (np.arange(width) - width // 2)
    inside = gdstk.inside([(b, a) for a in y for b in x], etched)
    np.testing.assert_array_equal(np.reshape(inside, LETTER_F.shape), ~LETTER_F)


def test_letter_survives_every_format(tmp_path: Path) -> None:
    source = letter()
    export_masks(source, tmp_path, FORMATS, levels=2)
    for kind in FORMATS:
        # complex64 rounding of exp(i pi).
        np.testing.assert_allclose(
            read_back(tmp_path, kind).banks["letter"].transmittance,
            source.banks["letter"].transmittance,
            atol=1e-6,
        )


def test_surround_is_opaque_and_the_marks_stand_outside(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["gds"], levels=2)
    cells = {cell.name: cell for cell in gdstk.read_gds(str(tmp_path / "letter.gds")).cells}
    cell = cells["LETTER_O000_I000"]
    stop = cell.get_polygons(layer=STOP_LAYER, datatype=0)
    (left, bottom), (right, top) = gdstk.Cell("box").add(*stop).bounding_box()
    window = 5 * 2.7 * 6 * 3.1234
    # The window edges are rounded to 1 nm: 0.001 um times its circumference of 64 um.
    assert sum(p.area() for p in stop) == pytest.approx((right - left) * (top - bottom) - window, abs=0.064)
    assert not gdstk.inside([(0, 0)], stop)[0]
    marks = cell.get_polygons(layer=LABEL_LAYER, datatype=0)
    aperture = gdstk.rectangle((-2.5 * 2.7, -3.5 * 3.1234), (2.5 * 2.7, 2.5 * 3.1234))
    assert marks and not gdstk.boolean(marks, aperture, "and")


def test_dies_do_not_touch(tmp_path: Path) -> None:
    bank = bank_of_levels(np.zeros((3, 2, 4, 5), dtype=int), 2)
    export_masks(MaskSet({"bank": bank}), tmp_path, ["gds"], levels=2)
    top = gdstk.read_gds(str(tmp_path / "bank.gds")).top_level()
    assert [cell.name for cell in top] == ["BANK_TOP"]
    boxes = [gdstk.rectangle(*reference.bounding_box()) for reference in top[0].references]
    assert len(boxes) == 6
    # No overlap: the union is as large as the sum (gdstk's own rounding of the union, 1 nm per edge).
    union = gdstk.boolean(boxes, [], "or")
    assert sum(p.area() for p in union) == pytest.approx(sum(p.area() for p in boxes), rel=1e-3)


@pytest.mark.parametrize("name", ["main", "Domain-main", "remained", "x" * 64])
def test_cell_names_suit_every_shop(name: str, tmp_path: Path) -> None:
    bank = bank_of_levels(np.zeros((1, 1, 2, 2), dtype=int), 2)
    export_masks(MaskSet({name: bank}), tmp_path, ["gds"], levels=2)
    for cell in gdstk.read_gds(str(tmp_path / f"{name}.gds")).cells:
        assert "MAIN" not in cell.name.upper() and len(cell.name) <= 32
        assert set(cell.name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$?")
    assert cell_stem("MAMAININ") != cell_stem("MAIN")
    assert "MAIN" not in cell_stem("MAMAININ")


def test_manifest_says_which_layer_etches_how_deep(tmp_path: Path) -> None:
    level = np.arange(16).reshape(1, 1, 4, 4)
    export_masks(MaskSet({"bank": bank_of_levels(level, 16)}), tmp_path, ["gds"], levels=16)
    layout = json.loads((tmp_path / "manifest.json").read_text())["banks"]["bank"]["layout"]
    rows = [row for row in layout["layers"] if "bit" in row]
    assert [(row["layer"], row["bit"]) for row in rows] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    # The published depths for n = 1.4607 at 532 nm are rounded to 0.1 nm.
    np.testing.assert_allclose(
        [row["etch_depth"] * 1e9 for row in rows], [72.2, 144.3, 288.7, 577.4], atol=0.06
    )
    assert all(row["etch_depth_unit"] == "m" and row["tone"] == "drawn area is etched" for row in rows)
    # The drawn areas etch what the table says: together they leave level times 2 pi height / 16.
    cell = {c.name: c for c in gdstk.read_gds(str(tmp_path / "bank.gds")).cells}["BANK_O000_I000"]
    for row, mask in zip(rows, etch_masks(level[0, 0], 16), strict=True):
        area = sum(p.area() for p in cell.get_polygons(layer=row["layer"], datatype=row["datatype"]))
        # Edges are rounded to 1 nm of 2.7 um.
        assert area == pytest.approx(mask.sum() * 3.1234 * 2.7, rel=1e-3)


def test_same_masks_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_masks(letter(), tmp_path / name, FORMATS)
        time.sleep(1.1)  # a time stamp in whole seconds would show
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_returned_manifest_is_the_one_on_disk(tmp_path: Path) -> None:
    source = letter()
    manifest = export_masks(source, tmp_path, FORMATS)
    assert Manifest.load(tmp_path) == manifest
    assert manifest.source_sha256 == source.content_sha256
    assert sorted(f.path for f in manifest.files) == sorted(
        p.name for p in tmp_path.iterdir() if p.name not in ("manifest.json", "SHA256SUMS")
    )


@pytest.mark.parametrize("kind", FORMATS)
def test_complex_masks_are_not_silently_made_phase_only(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bank 'conv'.*constant \|t\|.*double-phase.*fine-tune"):
        export_masks(complex_masks(), tmp_path / "out", [kind])
    assert not (tmp_path / "out").exists()


def test_double_phase_export_demodulates_to_the_masks(tmp_path: Path) -> None:
    source = complex_masks()
    manifest = export_masks(source, tmp_path, FORMATS, levels=256, encoding="double-phase")
    wanted = source.banks["conv"]
    for kind in FORMATS:
        back = read_back(tmp_path, kind).banks["conv"]
        # Each phase is off by half of 2 pi / 256 at most, so is the mean of four; and complex64.
        error = np.abs(demodulate(back.transmittance) - wanted.transmittance)
        assert error.max() <= np.pi / 256 + 1e-6
        assert back.pitch == (wanted.pitch[0] / 2, wanted.pitch[1] / 2)
        assert back.origin == (2 * (5 // 2) + 0.5, 2 * (4 // 2) + 0.5)
        assert back.scale_db == pytest.approx(wanted.scale_db, abs=1e-5)  # complex64 rounding of |t| = 1
    efficiency = manifest.banks["conv"]["encoding"]["efficiency"]
    assert efficiency == pytest.approx(np.mean(np.abs(wanted.transmittance) ** 2), abs=1e-6)  # complex64


def test_interrupted_export_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["gds"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_masks(letter(), tmp_path, ["gds", "bitmap"], levels=2, progress=interrupt)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_second_export_replaces_the_first(tmp_path: Path) -> None:
    level = np.zeros((1, 3, 2, 2), dtype=int)
    export_masks(MaskSet({"bank": bank_of_levels(level, 2)}), tmp_path, ["bitmap"])
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "bank_O000_I002.png").write_bytes(b"altered by hand")
    export_masks(MaskSet({"bank": bank_of_levels(level[:, :1], 2)}), tmp_path, ["bitmap"])
    # The unaltered left-over goes; what a person wrote or altered stays.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "SHA256SUMS",
        "bank_O000_I000.png",
        "bank_O000_I002.png",
        "manifest.json",
        "notes.txt",
    ]
    assert read_back(tmp_path, "bitmap").banks["bank"].transmittance.shape == (1, 1, 2, 2)


def test_only_the_bank_asked_for(tmp_path: Path) -> None:
    bank = bank_of_levels(np.zeros((1, 1, 2, 2), dtype=int), 2)
    masks = MaskSet({"one": bank, "two": bank})
    assert {f.bank for f in export_masks(masks, tmp_path, ["bitmap"], bank="two").files} == {"two"}
    with pytest.raises(ValueError, match="bank: expected one or two, got 'three'"):
        export_masks(masks, tmp_path, bank="three")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"formats": ["dxf"]}, "formats: expected gds or .* or metasurface, got 'dxf'"),
        ({"formats": []}, "formats: expected gds or .* or metasurface, got None"),
        ({"formats": ["metasurface"]}, "library: expected a library of posts .*, got none"),
        ({"encoding": "kinoform"}, "encoding: expected double-phase or lee, got 'kinoform'"),
        ({"base": "0 mm"}, "export base: expected more than 0 m, got 0 mm"),
        ({"levels": 10}, "levels: expected a power of two from 2 to 256, got 10"),
        ({"levels": 0}, "levels: expected a power of two from 2 to 256, got 0"),
        ({"material": "glass"}, "material: expected one of fused-silica, .*got 'glass'"),
        ({"sign": "up"}, "sign: expected one of phase, minus_phase, got 'up'"),
    ],
)
def test_unknown_option_is_refused_before_anything_is_written(
    options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=sentence):
        export_masks(letter(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_relief_without_a_material_is_refused(tmp_path: Path) -> None:
    masks = MaskSet({"bank": bank_of(np.ones((1, 1, 2, 2)), refractive_index=None)})
    with pytest.raises(ValueError, match="material: expected the material of the relief"):
        export_masks(masks, tmp_path, ["gds"])
    entry = export_masks(masks, tmp_path, ["gds"], material="fused-silica").banks["bank"]
    assert entry["layout"]["refractive_index"] == pytest.approx(1.4607, abs=5e-5)  # quoted to four decimals


def test_levels_of_the_bank_are_kept_by_default(tmp_path: Path) -> None:
    bank = bank_of_levels(np.arange(8).reshape(1, 1, 2, 4), 8, levels=8)
    entry = export_masks(MaskSet({"bank": bank}), tmp_path, ["gds"]).banks["bank"]
    assert entry["layout"]["levels"] == 8


def test_altered_or_missing_file_is_refused(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["bitmap"])
    file = tmp_path / "letter_O000_I000.png"
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"letter_O000_I000.png: expected SHA-256 \w+, got \w+"):
        read_back(tmp_path, "bitmap")
    file.unlink()
    with pytest.raises(ValueError, match="got no such file"):
        read_back(tmp_path, "bitmap")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "zip"}, "expected the format 'optics4f-export', got 'zip'"),
        ({"format_version": 2}, "expected format version 1, got 2"),
        ({"files": None}, "expected a complete manifest"),
        ({"banks": {"letter": {}}}, "expected a complete bank 'letter'"),
    ],
)
def test_manifest_that_is_not_ours_is_refused(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["bitmap"])
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    (tmp_path / "SHA256SUMS").unlink()  # as in a folder of an older version
    with pytest.raises(ValueError, match=sentence):
        read_back(tmp_path, "bitmap")
    path.write_text("{")
    with pytest.raises(ValueError, match="expected JSON"):
        read_back(tmp_path, "bitmap")


def test_manifest_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path / "out", ["bitmap"])
    path = tmp_path / "out" / "manifest.json"
    path.write_text(path.read_text().replace('"letter_O000_I000.png"', '"../secret.png"'))
    with pytest.raises(ValueError, match="expected file names without a folder"):
        Manifest.load(tmp_path / "out")


def test_format_that_was_not_exported_is_refused(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["bitmap"])
    with pytest.raises(ValueError, match="expected files of the format 'gds' for bank 'letter', got none"):
        read_back(tmp_path, "gds")


def test_command_line_exports_and_shows(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    letter().save(tmp_path / "masks.h5")
    out = tmp_path / "fab"
    command = [
        "export",
        str(tmp_path / "masks.h5"),
        "--out",
        str(out),
        "--to",
        "gds, bitmap",
        "--levels",
        "2",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    for file in Manifest.load(out).files:
        assert file.path in result.output and file.sha256[:12] in result.output
    np.testing.assert_array_equal(
        levels_of(read_back(out, "gds").banks["letter"], 2)[0, 0], np.flipud(LETTER_F)
    )
    shown = CliRunner().invoke(app, ["masks", str(tmp_path / "masks.h5")])
    assert shown.exit_code == 0, shown.output
    for text in ("letter", "532 nm", "100 mm", "3.123 um x 2.7 um", "1 -> 1", "6 x 5"):
        assert text in shown.output


def slm(**changes: Any) -> Modulator:
    values: dict[str, Any] = {"name": "slm", "shape": (12, 21), "pitch": "8 um", "wavelength": "532 nm"}
    return Modulator(**{**values, **changes})


def on_slm(shape: tuple[int, ...] = (2, 3, 5, 4), **changes: Any) -> MaskBankData:
    phase = 2 * np.pi * np.random.default_rng(1).uniform(size=shape)
    return bank_of(np.exp(1j * phase), pitch=(8e-6, 8e-6), **changes)


MEASURED = tuple(1.7 * np.pi * (np.arange(256) / 255) ** 1.3)  # bent, and short of a turn


@pytest.mark.parametrize("bits", [8, 10, 16])
@pytest.mark.parametrize("sign", ["phase", "minus_phase"])
def test_modulator_gives_every_grey_back(bits: int, sign: str, tmp_path: Path) -> None:
    device = slm(bits=bits, sign=sign)
    greys = np.random.default_rng(0).integers(2**bits, size=(1, 2, 5, 4))
    bank = bank_of(device.transmittance(532e-9)[greys], pitch=(8e-6, 8e-6))
    export_masks(MaskSet({"bank": bank}), tmp_path, ["bitmap"], device=device)
    back = read_back(tmp_path, "bitmap").banks["bank"].transmittance
    np.testing.assert_array_equal(back, bank.transmittance)  # levels, so exactly
    with Image.open(tmp_path / "bank_O000_I001.png") as picture:
        shown = np.flipud(np.asarray(picture))  # y up
    # Sample n // 2 stands on pixel N // 2: rows 6 - 2 ..., columns 10 - 2 ...
    np.testing.assert_array_equal(shown[4:9, 8:12], greys[0, 1])
    assert shown.sum() == greys[0, 1].sum()  # grey 0 around it


def test_linear_modulator_is_the_rule_of_plain_bitmaps() -> None:
    phase = np.random.default_rng(0).uniform(-9, 9, 1000)
    phase[:3] = 0, np.pi, -1e-17
    for sign, factor in (("phase", 1), ("minus_phase", -1)):
        expected = quantise_phase(factor * phase, 256)
        np.testing.assert_array_equal(device_greys(slm(sign=sign), np.exp(1j * phase), 532e-9), expected)


def test_short_range_takes_the_nearer_end(tmp_path: Path) -> None:
    device = slm(lut=MEASURED)
    phase = np.linspace(0, 2 * np.pi, 997, endpoint=False)
    grey = device_greys(device, np.exp(1j * phase), 532e-9)
    error = np.abs(np.exp(1j * phase)[:, None] - np.exp(1j * np.array(MEASURED)))
    chosen = error[np.arange(997), grey]
    np.testing.assert_allclose(chosen, error.min(axis=1), atol=1e-12)  # rounding of the phases
    assert (grey[phase < 1.7 * np.pi] > 0).sum() > 800
    assert set(grey[phase > 1.72 * np.pi]) == {255, 0}  # beyond the range: its nearer end, never a wrap
    # At a longer wavelength the same list reaches less far.
    assert np.angle(device.transmittance(1064e-9)[255]) == pytest.approx(0.85 * np.pi)


def test_list_that_does_not_begin_at_zero_is_searched_round_the_circle() -> None:
    listed = np.array(MEASURED) + 0.29 * np.pi
    t = np.exp(1j * np.linspace(0, 2 * np.pi, 997, endpoint=False))
    error = np.abs(t[:, None] - np.exp(1j * listed))
    grey = device_greys(slm(lut=listed), t, 532e-9)
    # Rounding of the phases.
    np.testing.assert_allclose(error[np.arange(997), grey], error.min(axis=1), atol=1e-12)


def test_device_survives_the_manifest(tmp_path: Path) -> None:
    curve = DoseCurve("dlw", ["0 nm", "500 nm", "1300 nm"], (10, 100, 250), 8)
    for device in (slm(lut=MEASURED, sign="minus_phase"), curve):
        assert device_from(json.loads(json.dumps(device.described()))) == device
        text = "".join(f"{k} = {json.dumps(v)}\n" for k, v in _as_text(device.described()).items())
        (tmp_path / "device.toml").write_text(text)
        assert load_device(tmp_path / "device.toml") == device


def _as_text(described: dict[str, Any]) -> dict[str, Any]:
    """Lengths as a person writes them, no units beside."""
    plain = {k: v for k, v in described.items() if not k.endswith("_unit")}
    for key in {"pitch", "wavelength", "depth"} & set(plain):
        value = plain[key]
        plain[key] = [f"{v!r} m" for v in value] if isinstance(value, list) else f"{value!r} m"
    return plain


def test_mirrors_show_what_is_on_or_off(tmp_path: Path) -> None:
    device = slm(bits=1)
    t = (np.random.default_rng(0).uniform(size=(1, 2, 5, 4)) > 0.5).astype(complex)
    bank = bank_of(t, pitch=(8e-6, 8e-6), encoding="amplitude")
    export_masks(MaskSet({"bank": bank}), tmp_path, ["bitmap"], device=device)
    np.testing.assert_array_equal(read_back(tmp_path, "bitmap").banks["bank"].transmittance, t)
    with Image.open(tmp_path / "bank_O000_I000.png") as picture:
        assert (picture.mode, picture.size) == ("1", (21, 12))
    with pytest.raises(ValueError, match="device 'slm': expected masks that are on or off"):
        export_masks(MaskSet({"bank": on_slm()}), tmp_path, ["bitmap"], device=device)


def test_lee_hologram_on_mirrors_has_the_masks_in_its_first_order(tmp_path: Path) -> None:
    from optics4f.design.carriers import LEE_GAIN, first_order

    t = 0.9 * np.exp(1j * np.full((1, 1, 32, 32), 0.7))
    source = MaskSet({"bank": bank_of(t, pitch=(8e-6, 8e-6))})
    device = slm(bits=1, shape=(40, 40))
    entry = export_masks(source, tmp_path, ["bitmap"], device=device, encoding="lee").banks["bank"]
    assert entry["encoding"]["period"] == 4
    back = read_back(tmp_path, "bitmap").banks["bank"]
    assert set(np.unique(back.transmittance)) == {0, 1}
    # Pixels move the edges of fringes by half a pixel: within pi / 4 of what it should be.
    order = first_order(back.transmittance, 4) / LEE_GAIN
    assert np.abs(order - t).max() <= np.pi / 4
    assert abs(order.mean()) > 0.5


def test_a_carrier_that_meets_every_place_of_a_fringe_errs_less(tmp_path: Path) -> None:
    """The file holds the hologram of the period asked for, and the manifest its error."""
    place = np.arange(511)[None, None, None]
    t = (0.1 + 0.8 * place / 511) * np.exp(2j * np.pi * (place / 511) ** 2)
    device, errors = slm(bits=1, shape=(4, 511)), []
    for period in (4, 5.11):
        source, out = MaskSet({"bank": bank_of(t, pitch=(8e-6, 8e-6))}), tmp_path / str(period)
        how = {"device": device, "encoding": "lee", "carrier_period": period}
        entry = export_masks(source, out, ["bitmap"], **how).banks["bank"]["encoding"]
        wanted = lee_hologram(source.banks["bank"].transmittance, period)
        assert np.array_equal(read_back(out, "bitmap").banks["bank"].transmittance.real, wanted)
        assert entry["period"] == period
        errors.append(entry["error"])
    assert errors[1] < errors[0]


def test_dose_curve_makes_the_depth_below_the_full_height(tmp_path: Path) -> None:
    curve = DoseCurve("dlw", ["0 nm", "400 nm", "1300 nm"], (250, 120, 5), 8)
    bank = on_slm()
    how = export_masks(MaskSet({"bank": bank}), tmp_path, ["bitmap"], device=curve).banks["bank"]["bitmap"]
    back = read_back(tmp_path, "bitmap").banks["bank"].transmittance.astype(np.complex128)
    error = np.abs(np.angle(back / bank.transmittance))
    # Half a grey value on the steeper part, 900 nm / 115 greys, of a wave of 1154.8 nm; complex64.
    assert error.max() <= np.pi * (900 / 115) / 1154.7 + 1e-6
    assert how["refractive_index"] == 1.4607
    assert curve.grey_of_depth(np.array([0, 400e-9])).tolist() == [250, 120]
    shallow = DoseCurve("dlw", ["0 nm", "400 nm"], (0, 255))
    with pytest.raises(ValueError, match="DoseCurve 'dlw': expected depths of 0 m to 400 nm, got"):
        export_masks(MaskSet({"bank": bank}), tmp_path, ["bitmap"], device=shallow)


def test_masks_that_do_not_fit_the_device_are_refused(tmp_path: Path) -> None:
    masks = MaskSet({"bank": on_slm()})
    sentence = "expected masks on its pixels of 9 um along y, got 8 um; a wrapped phase is not resampled"
    with pytest.raises(ValueError, match=sentence):
        export_masks(masks, tmp_path / "out", ["bitmap"], device=slm(pitch=("9 um", "8 um"), shape=(99, 99)))
    with pytest.raises(ValueError, match="masks of at most 12 x 3 pixels, got 4 along x"):
        export_masks(masks, tmp_path / "out", ["bitmap"], device=slm(shape=(12, 3)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"bits": 12}, ValueError, "Modulator bits: expected one of 1, 8, 10, 16, got 12"),
        ({"shape": (12,)}, ValueError, r"Modulator shape: expected two whole numbers \(H, W\)"),
        ({"pitch": 8e-6}, TypeError, "Modulator pitch: expected a quantity"),
        ({"pitch": ("8 um",) * 3}, ValueError, "Modulator pitch: expected one length or a pair"),
        ({"lut": (0.0, 1.0)}, ValueError, "Modulator lut: expected 256 finite phases for 8 bits, got 2"),
        ({"sign": "up"}, ValueError, "sign: expected one of phase, minus_phase, got 'up'"),
    ],
)
def test_bad_modulator_is_refused(changes: dict[str, Any], error: Any, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        slm(**changes)


def test_bad_dose_curve_or_profile_is_refused(tmp_path: Path) -> None:
    for depth, grey in ((["0 nm", "1 um"], (5, 5)), (["1 um", "0 nm"], (0, 9)), (["0 nm"], (0,))):
        with pytest.raises(ValueError, match="DoseCurve: expected at least two depths, growing"):
            DoseCurve("a", depth, grey)
    with pytest.raises(ValueError, match="DoseCurve grey: expected 0 to 255, got 0 to 256"):
        DoseCurve("a", ["0 nm", "1 um"], (0, 256))
    with pytest.raises(ValueError, match="DoseCurve bits: expected one of 8, 10, 16, got 1"):
        DoseCurve("a", ["0 nm", "1 um"], (0, 1), 1)
    path = tmp_path / "a.toml"
    for text, sentence in (
        ('kind = "screen"', "a.toml: device: expected the kind 'modulator' or 'dose_curve', got 'screen'"),
        ('kind = "modulator"', "a.toml: device: expected the fields of a modulator"),
        ('kind = "modulator"\npitch = 8e-6', "pitch: expected a text with a unit"),
        ("kind", "a.toml: "),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=sentence):
            load_device(path)


def test_picture_of_another_device_is_refused(tmp_path: Path) -> None:
    from optics4f.fabrication.bitmap import device_entry, read_device_bitmap

    entry = device_entry(slm(bits=10), on_slm((1, 1, 5, 4)), None)
    path = tmp_path / "a.png"
    for picture, sentence in (
        (np.zeros((12, 21), np.uint8), r"expected I;16 12 x 21, got L 12 x 21"),
        (np.full((12, 21), 1024, np.uint16), "expected grey values below 1024, got 1024"),
        (np.full((12, 21), 1, np.uint16), "expected grey 0 around the mask"),
    ):
        Image.fromarray(picture).save(path)
        with pytest.raises(ValueError, match=sentence):
            read_device_bitmap(path, (5, 4), 532e-9, entry)


def test_manifest_is_hashed_itself(tmp_path: Path) -> None:
    export_masks(letter(), tmp_path, ["bitmap"])
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    for line in lines:  # as sha256sum -c reads it
        digest, name = line.split("  ")
        assert sha256(tmp_path / name) == digest
    assert [line.split("  ")[1] for line in lines] == ["manifest.json", "letter_O000_I000.png"]
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"wavelength": 5.32e-07', '"wavelength": 5.33e-07'))
    with pytest.raises(ValueError, match=r"manifest\.json: expected SHA-256 \w+, got \w+"):
        read_back(tmp_path, "bitmap")
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(ValueError, match=r"manifest\.json: expected SHA-256 in SHA256SUMS"):
        read_back(tmp_path, "bitmap")


def test_command_line_takes_a_device_and_a_library(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    bank = on_slm((1, 1, 5, 4))
    MaskSet({"bank": bank}).save(tmp_path / "masks.h5")
    profile = 'kind = "modulator"\nname = "slm"\nshape = [12, 21]\npitch = "8 um"\nwavelength = "532 nm"\n'
    (tmp_path / "slm.toml").write_text(profile)
    (tmp_path / "posts.csv").write_text("diameter,phase,t\n100,0,1\n150,3,1\n30,1,1\n")
    out = tmp_path / "fab"
    command = ["export", str(tmp_path / "masks.h5"), "--out", str(out), "--to", "bitmap,stl,metasurface"]
    options = ["--device", str(tmp_path / "slm.toml"), "--library", str(tmp_path / "posts.csv")]
    cells = ["--cell-pitch", "400 nm", "--min-feature", "50 nm", "--base", "1 mm"]
    result = CliRunner().invoke(app, [*command, *options, *cells])
    assert result.exit_code == 0, result.output
    entry = Manifest.load(out).banks["bank"]
    assert entry["bitmap"]["device"]["shape"] == [12, 21]
    assert entry["stl"]["base"] == pytest.approx(1e-3, rel=1e-12)
    assert len(entry["metasurface"]["size"]) == 2  # the post of 30 nm cannot be made
    for kind in ("bitmap", "stl", "metasurface"):
        assert read_back(out, kind).banks["bank"].transmittance.shape == (1, 1, 5, 4)
    missing = CliRunner().invoke(app, [*command, *options])
    assert "--cell-pitch: expected the side of the cell" in str(missing.exception)
