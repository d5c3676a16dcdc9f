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

from optics4f.fabrication import MaskBankData, MaskSet
from optics4f.fabrication.bank import UNITS, phase_only


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
        assert (file.attrs["format"], file.attrs["format_version"]) == ("optics4f-masks", 1)
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
    file.attrs["format_version"] = 2


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
        (newer, "expected format version 1, got version 2"),
        (foreign, "expected the format 'optics4f-masks', got 'slm-calibration'"),
        (other_sample, "expected bank 'first' with SHA-256 .*, got "),
        (other_number, "expected bank 'first' with SHA-256 .*, got "),
        (other_unit, "wavelength: expected the unit 'm', got 'nm'"),
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
