"""The mask-set file: what goes in comes out, a stranger can read it, and an altered file is refused."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from optics4f.fabrication import MaskBankData, MaskSet, export_masks, maskset
from optics4f.fabrication.bank import FLIPS, ORIENTATION, UNITS, flipped, phase_only
from optics4f.fabrication.maskset import provenance, seal
from optics4f.fabrication.schema import check_schema, load_schema


def bank(**changes: Any) -> MaskBankData:
    random = np.random.default_rng(0)
    phase = 2 * np.pi * random.uniform(size=(2, 3, 5, 4))
    values: dict[str, Any] = {
        "transmittance": random.uniform(size=phase.shape) * np.exp(1j * phase),
        "pitch": (29.69e-6, 31.3e-6),
        "wavelength": 532e-9,
        "focal_length": 0.1,
        "second_focal_length": 0.05,
        "input_shape": (5, 4),
        "input_spacing": (8e-6, 9e-6),
        "scale_db": -7.1,
        "sum_scale_db": -7.78,
        "convention": "correlation",
    }
    return MaskBankData(**{**values, **changes})


@pytest.fixture
def masks() -> MaskSet:
    return MaskSet(
        {"second": bank(refractive_index=1.4607), "first": bank(levels=4, invert_output=False)},
        {"model": "student", "accuracy": 0.61},
    )


def test_every_field_has_a_unit_or_is_a_word() -> None:
    assert set(UNITS) == {field.name for field in fields(MaskBankData)} - {"transmittance"}


def test_saved_masks_come_back(masks: MaskSet, tmp_path: Path) -> None:
    masks.save(tmp_path / "masks.h5")
    loaded = MaskSet.load(tmp_path / "masks.h5")
    assert loaded.provenance == masks.provenance
    assert loaded.content_sha256 == masks.content_sha256
    for name, source in masks.banks.items():
        np.testing.assert_array_equal(loaded.banks[name].transmittance, source.transmittance)
        assert loaded.banks[name].described() == source.described()


def test_a_stranger_reads_the_file_with_h5py_alone(masks: MaskSet, tmp_path: Path) -> None:
    masks.save(tmp_path / "masks.h5")
    with h5py.File(tmp_path / "masks.h5") as file:
        assert (file.attrs["format"], file.attrs["format_version"]) == ("optics4f-masks", 2)
        assert "transmittance" in file.attrs["README"]
        assert json.loads(file.attrs["provenance"])["model"] == "student"
        group = file["banks/second"]
        assert (group.attrs["wavelength"], group.attrs["wavelength_unit"]) == (532e-9, "m")
        assert (group.attrs["pitch"].tolist(), group.attrs["pitch_unit"]) == ([29.69e-6, 31.3e-6], "m")
        assert [axis.label for axis in group["transmittance"].dims] == ["C_out", "C_in", "H", "W"]
        assert "+y (up)" in group.attrs["orientation"]
        # The hash as the README describes it.
        plain = {
            k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in group.attrs.items()
        }
        sha256 = plain.pop("content_sha256")
        del plain["orientation"]
        samples = group["transmittance"][()]
        text = json.dumps({**plain, "shape": list(samples.shape)}, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode() + samples.astype("<c8").tobytes()).hexdigest() == sha256


def test_same_masks_same_bytes(masks: MaskSet, tmp_path: Path) -> None:
    masks.save(tmp_path / "one.h5")
    time.sleep(1.1)  # a time stamp in whole seconds would show
    MaskSet(dict(reversed(masks.banks.items())), masks.provenance).save(tmp_path / "two.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def newer(file: Any) -> None:
    file.attrs["format_version"] = 3


def foreign(file: Any) -> None:
    file.attrs["format"] = "slm-calibration"


def other_sample(file: Any) -> None:
    file["banks/first/transmittance"][0, 0, 0, 0] *= -1


def other_number(file: Any) -> None:
    file["banks/first"].attrs["wavelength"] = 633e-9


def other_unit(file: Any) -> None:
    file["banks/first"].attrs["wavelength_unit"] = "nm"


def other_provenance(file: Any) -> None:
    file.attrs["provenance"] = "{}"


def missing_number(file: Any) -> None:
    del file["banks/first"].attrs["pitch"]


def missing_bank(file: Any) -> None:
    del file["banks/first"]


def other_samples_elsewhere(file: Any) -> None:
    del file["banks/first"]
    file["banks/first"] = h5py.ExternalLink("elsewhere.h5", "/banks/first")


def wrong_kind(file: Any) -> None:
    file["banks/first/more"] = 1
    file.move("banks/first/more", "banks/third")


@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (newer, "expected format version 1 to 2, got version 3"),
        (foreign, "expected the format 'optics4f-masks', got 'slm-calibration'"),
        (other_sample, "expected bank 'first' with SHA-256 .*, got "),
        (other_number, "expected bank 'first' with SHA-256 .*, got "),
        (other_unit, "banks.first.wavelength_unit: expected 'm', got 'nm'"),
        (other_provenance, "expected the content its hash was made for, got other content"),
        (missing_number, "pitch: expected a value, got none"),
        (missing_bank, "expected the content its hash was made for, got other content"),
        (other_samples_elsewhere, "expected .*, got "),
        (wrong_kind, "expected .*, got "),
    ],
)
def test_altered_file_is_refused(
    masks: MaskSet, tmp_path: Path, alter: Callable[[Any], None], sentence: str
) -> None:
    path = tmp_path / "masks.h5"
    masks.save(path)
    masks.save(tmp_path / "elsewhere.h5")
    with h5py.File(path, "r+") as file:
        alter(file)
    seal(path)  # or the seal would already tell
    with pytest.raises(ValueError, match=sentence) as caught:
        MaskSet.load(path)
    assert str(caught.value).startswith(f"{path}: expected")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.99])
def test_truncated_file_is_refused(masks: MaskSet, tmp_path: Path, keep: float) -> None:
    path = tmp_path / "masks.h5"
    masks.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=r"masks\.h5: expected"):
        MaskSet.load(path)


def test_any_flipped_byte_of_the_samples_is_noticed(masks: MaskSet, tmp_path: Path) -> None:
    path = tmp_path / "masks.h5"
    masks.save(path)
    with h5py.File(path) as file:
        chunk = file["banks/first/transmittance"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"masks\.h5: expected"):
        MaskSet.load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not a mask")
    with pytest.raises(ValueError, match="expected an HDF5 mask set"):
        MaskSet.load(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError):
        MaskSet.load(tmp_path / "nothing.h5")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"transmittance": np.full((1, 1, 2, 2), 1.001)}, r"\|t\| <= 1, got 1.001"),
        ({"transmittance": np.full((1, 1, 2, 2), np.nan)}, r"\|t\| <= 1, got nan"),
        ({"transmittance": np.ones((2, 2))}, r"expected the shape \[C_out, C_in, H, W\], got \[2, 2\]"),
        ({"wavelength": -1.0}, "wavelength: expected a number larger than 0, got -1.0"),
        ({"wavelength": "532 nm"}, "wavelength: expected a finite number, got '532 nm'"),
        ({"pitch": 8e-6}, r"pitch: expected a pair \(y, x\), got 8e-06"),
        ({"input_shape": (4, 4.5)}, "input_shape: expected a whole number, got 4.5"),
        ({"convention": "conv"}, "convention: expected one of convolution, correlation, got 'conv'"),
        ({"encoding": "phase"}, "expected a constant"),
        ({"encoding": "amplitude"}, "expected real t >= 0"),
    ],
)
def test_impossible_bank_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        bank(**changes)


def test_axis_is_at_half_the_samples_unless_given() -> None:
    assert bank().origin == (2.0, 2.0)
    assert bank(origin=(2.5, 1.5)).origin == (2.5, 1.5)


def test_names_that_cannot_be_files_are_refused() -> None:
    for names in (["a/b"], [""], ["../up"], ["a", "A"], []):
        with pytest.raises(ValueError, match="banks: expected"):
            MaskSet({name: bank() for name in names})


def test_constant_absorption_becomes_scale() -> None:
    half = bank(transmittance=0.5 * np.exp(1j * np.linspace(0, 6, 4)).reshape(1, 1, 2, 2), scale_db=-10.0)
    bright = phase_only(half, "half")
    # complex64 holds seven digits.
    np.testing.assert_allclose(bright.transmittance, 2 * half.transmittance, atol=1e-6)
    assert bright.scale_db == pytest.approx(-10 + 20 * np.log10(2), abs=1e-5)
    assert phase_only(bright, "half") is bright


def test_dark_bank_is_no_phase_bank() -> None:
    with pytest.raises(ValueError, match="expected a constant"):
        phase_only(replace(bank(), transmittance=np.zeros((1, 1, 2, 2))), "dark")


def write_version_1(masks: MaskSet, path: Path) -> None:
    """As the first version of the format was written: no seal, and none of the later fields."""
    with h5py.File(path, "w") as file:
        for name, source in masks.banks.items():
            group = file.create_group(f"banks/{name}")
            group.create_dataset("transmittance", data=source.transmittance, compression="gzip", shuffle=True)
            for key, value in source.described().items():
                group.attrs[key] = value
            group.attrs["orientation"] = ORIENTATION
            group.attrs["content_sha256"] = source.content_sha256
        file.attrs["README"] = "Each group /banks/<name> is one Fourier plane."
        file.attrs["content_sha256"] = masks.content_sha256
        file.attrs["format"] = "optics4f-masks"
        file.attrs["format_version"] = 1
        file.attrs["provenance"] = json.dumps(masks.provenance)
        file.attrs["software"] = "optics4f 0.1.0"


def test_version_1_still_loads(masks: MaskSet, tmp_path: Path) -> None:
    write_version_1(masks, tmp_path / "old.h5")
    loaded = MaskSet.load(tmp_path / "old.h5")
    assert loaded.content_sha256 == masks.content_sha256
    assert loaded.banks["second"].flips == () and loaded.banks["second"].material is None
    # Written again, it is of the present version and has the same content.
    loaded.save(tmp_path / "new.h5")
    assert MaskSet.load(tmp_path / "new.h5").content_sha256 == masks.content_sha256


def test_content_hash_is_that_of_version_1() -> None:
    """Fields that are not given are not hashed: hashes in old manifests stay true."""
    plain = MaskBankData(np.ones((1, 1, 1, 1), np.complex64), (1.0, 1.0), 1.0, 1.0, 1.0, (1, 1), (1.0, 1.0))
    text = (
        '{"convention":"convolution","encoding":"complex","focal_length":1.0,"focal_length_unit":"m",'
        '"input_shape":[1,1],"input_shape_unit":"samples","input_spacing":[1.0,1.0],"input_spacing_unit":"m",'
        '"invert_output":true,"levels":0,"levels_unit":"1","origin":[0.0,0.0],"origin_unit":"samples",'
        '"pitch":[1.0,1.0],"pitch_unit":"m","scale_db":0.0,"scale_db_unit":"dB",'
        '"second_focal_length":1.0,"second_focal_length_unit":"m","shape":[1,1,1,1],'
        '"sum_scale_db":0.0,"sum_scale_db_unit":"dB","wavelength":1.0,"wavelength_unit":"m"}'
    )
    one = bytes.fromhex("0000803f00000000")
    assert plain.content_sha256 == hashlib.sha256(text.encode() + one).hexdigest()


def test_new_version_without_its_seal_is_refused(masks: MaskSet, tmp_path: Path) -> None:
    path = tmp_path / "masks.h5"
    write_version_1(masks, path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(ValueError, match="expected the seal of format version 2, got none"):
        MaskSet.load(path)


@pytest.mark.parametrize("version", [0, 3, 99, 2.5, "2"])
def test_unknown_version_is_refused_by_number(version: Any, masks: MaskSet, tmp_path: Path) -> None:
    path = tmp_path / "masks.h5"
    masks.save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = version
    seal(path)
    with pytest.raises(ValueError, match=f"expected format version 1 to 2, got version {version}"):
        MaskSet.load(path)


def test_material_and_history_come_back(tmp_path: Path) -> None:
    source = bank(
        refractive_index=1.46,
        material="fused-silica",
        material_wavelengths=(500e-9, 532e-9, 560e-9),
        material_indices=(1.462, 1.461, 1.460),
    )
    source = flipped(flipped(source, "rows", "import of a.mat"), "conjugate", "import of a.mat")
    MaskSet({"a": source}).save(tmp_path / "masks.h5")
    loaded = MaskSet.load(tmp_path / "masks.h5").banks["a"]
    assert loaded.described() == source.described()
    assert loaded.flips == ("rows at import of a.mat", "conjugate at import of a.mat")
    with h5py.File(tmp_path / "masks.h5") as file:
        assert file["banks/a"].attrs["flips"].tolist() == list(loaded.flips)
        assert file["banks/a"].attrs["material_wavelengths_unit"] == "m"


@pytest.mark.parametrize(("what", "axis"), [("rows", 0), ("columns", 1)])
def test_flip_mirrors_about_the_axis_and_is_its_own_inverse(what: str, axis: int) -> None:
    source = bank(origin=(1.0, 2.5))
    turned = flipped(source, what, "test")
    # The sample at distance d from the axis stands at -d.
    length = source.transmittance.shape[2 + axis]
    for index in range(length):
        mirrored = int(turned.origin[axis] - (index - source.origin[axis]))
        np.testing.assert_array_equal(
            turned.transmittance.take(mirrored, 2 + axis), source.transmittance.take(index, 2 + axis)
        )
    back = flipped(turned, what, "test")
    np.testing.assert_array_equal(back.transmittance, source.transmittance)
    assert back.origin == source.origin and back.flips == (f"{what} at test",) * 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"flips": ("sideways at import",)}, "flips: expected 'rows, .*, got 'sideways at import'"),
        ({"flips": ("rows at \n",)}, "flips: expected"),
        ({"flips": "rows at import"}, "flips: expected a sequence, got 'rows at import'"),
        ({"material": "a/b"}, "material: expected a name of letters, .*, got 'a/b'"),
        ({"material_indices": (1.5,)}, "material_indices: expected one for each of 0 wavelengths, got 1"),
        (
            {"material_wavelengths": (2e-6, 1e-6), "material_indices": (1.5, 1.5)},
            "material_wavelengths: expected increasing ones",
        ),
    ],
)
def test_impossible_material_or_history_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        bank(**changes)


def test_unknown_flip_is_refused() -> None:
    with pytest.raises(ValueError, match="what: expected one of rows, columns, conjugate, got 'x'"):
        flipped(bank(), "x", "test")


def test_provenance_names_the_checkpoint_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "student.pt").write_bytes(b"abc")
    found = provenance(tmp_path / "student.pt", "CIFAR-10", ["optics4f", "demo"], author="me")
    # SHA-256 of "abc": the example of FIPS 180-4.
    assert found["checkpoint_sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (found["data"], found["command"], found["author"]) == ("CIFAR-10", ["optics4f", "demo"], "me")
    assert found["code_version"].startswith("optics4f ")
    MaskSet({"a": bank()}, found).save(tmp_path / "masks.h5")
    assert MaskSet.load(tmp_path / "masks.h5").provenance == found


def test_schema_describes_every_field() -> None:
    properties = load_schema("masks")["properties"]["banks"]["additionalProperties"]["properties"]
    for name, unit in UNITS.items():
        assert name in properties
        assert unit is None or properties[f"{name}_unit"] == {"const": unit}
    assert properties["flips"]["items"]["pattern"] == f"^({'|'.join(FLIPS)}) at "


def test_exported_manifest_follows_its_schema(tmp_path: Path) -> None:
    phase = bank(transmittance=np.ones((1, 1, 5, 4)), refractive_index=1.46)
    export_masks(MaskSet({"a": phase}), tmp_path, ["bitmap"])
    document = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    check_schema(document, load_schema("manifest"), "manifest")
    del document["banks"]["a"]["geometry"]["pitch_unit"]
    with pytest.raises(
        ValueError, match=r"manifest\.banks\.a\.geometry\.pitch_unit: expected a value, got none"
    ):
        check_schema(document, load_schema("manifest"), "manifest")


@pytest.mark.parametrize(
    ("value", "schema", "sentence"),
    [
        (1, {"type": "string"}, "x: expected string, got 1"),
        (True, {"type": ["integer", "number"]}, "x: expected integer or number, got True"),
        ("a", {"const": "b"}, "x: expected 'b', got 'a'"),
        ("a", {"enum": ["b", "c"]}, "x: expected one of b, c, got 'a'"),
        ("a", {"pattern": "^b"}, "x: expected text like"),
        (float("nan"), {"minimum": 0}, "x: expected at least 0, got nan"),
        ([1], {"minItems": 2}, "x: expected 2 to 1 values, got 1"),
        ([1, "a"], {"items": {"type": "integer"}}, r"x\[1\]: expected integer, got 'a'"),
        ({}, {"required": ["y"]}, r"x\.y: expected a value, got none"),
        ({"y": 1}, {"additionalProperties": False}, "x: expected nothing but what the format has, got 'y'"),
        ({"y": 1}, {"additionalProperties": {"type": "null"}}, r"x\.y: expected null, got 1"),
    ],
)
def test_schema_refuses(value: Any, schema: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_schema(value, schema, "x")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("Can't flush")])
def test_full_disk_leaves_no_file(
    error: Exception, masks: MaskSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks.save(tmp_path / "masks.h5")
    before = (tmp_path / "masks.h5").read_bytes()
    write_bank = maskset._write_bank

    def second_fails(group: Any, source: MaskBankData) -> None:
        if group.name.endswith("second"):
            raise error
        write_bank(group, source)

    monkeypatch.setattr(maskset, "_write_bank", second_fails)
    with pytest.raises(
        OSError, match=r"expected to write the mask set, got: .*(No space left|Can't flush).*masks\.h5"
    ):
        masks.save(tmp_path / "masks.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["masks.h5"]
    assert (tmp_path / "masks.h5").read_bytes() == before


def test_unwritable_folder_leaves_nothing(
    masks: MaskSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        masks.save(tmp_path / "file" / "masks.h5")

    def refuse(**options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(options["dir"]))

    monkeypatch.setattr("optics4f.files.tempfile.mkstemp", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied.*masks\.h5"):
        masks.save(tmp_path / "masks.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
