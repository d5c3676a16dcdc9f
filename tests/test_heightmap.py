"""Height maps: the height is lambda / (n - 1) per turn, and the phase comes back within half a step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from optics4f.fabrication import MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.heightmap import STEPS

N = 1.4607  # fused silica at 532 nm, as published


def bank_of(phase: NDArray[Any], **changes: Any) -> MaskBankData:
    values: dict[str, Any] = {
        "pitch": (3.1234e-6, 2.7e-6),
        "wavelength": 532e-9,
        "focal_length": 0.1,
        "second_focal_length": 0.1,
        "input_shape": phase.shape[-2:],
        "input_spacing": (8e-6, 8e-6),
        "refractive_index": N,
    }
    return MaskBankData(np.exp(1j * phase), **{**values, **changes})


def random_bank(**changes: Any) -> MaskBankData:
    return bank_of(2 * np.pi * np.random.default_rng(0).uniform(size=(2, 3, 5, 4)), **changes)


def export(bank: MaskBankData, folder: Path, kind: str) -> dict[str, Any]:
    return export_masks(MaskSet({"bank": bank}), folder, [kind]).banks["bank"][kind]


@pytest.mark.parametrize("kind", ["tiff", "height"])
@pytest.mark.parametrize("origin", [(2, 2), (2.5, 1.5)])
def test_phase_comes_back_within_half_a_step(kind: str, origin: tuple[float, float], tmp_path: Path) -> None:
    bank = random_bank(origin=origin)
    export(bank, tmp_path, kind)
    back = read_back(tmp_path, kind).banks["bank"].transmittance.astype(np.complex128)
    error = np.abs(np.angle(back / bank.transmittance.astype(np.complex128)))
    # Half of 2 pi / 65536, or 1 pm in half a wave of 1155 nm; and the rounding of two complex64.
    assert error.max() <= (np.pi / STEPS if kind == "tiff" else 3e-6) + 3e-7


def test_grey_values_of_the_tiff_are_the_published_heights(tmp_path: Path) -> None:
    phase = np.array([[0, np.pi / 2], [np.pi, 3 * np.pi / 2]])[None, None]
    how = export(bank_of(phase), tmp_path, "tiff")
    with Image.open(tmp_path / "bank_O000_I000.tiff") as picture:
        grey = np.flipud(np.asarray(picture)).astype(float)
    # 1154.8 nm for one wave (physics of fused silica at 532 nm), quoted to 0.1 nm.
    np.testing.assert_allclose(grey * how["step"] * 1e9, [[0, 288.7], [577.4, 866.1]], atol=0.1)
    assert how["step_unit"] == "m"


def test_points_stand_on_the_pixels_and_in_any_order(tmp_path: Path) -> None:
    phase = np.zeros((1, 1, 2, 3))
    phase[0, 0, 1, 2] = np.pi  # the largest y, the largest x
    export(bank_of(phase), tmp_path, "height")
    path = tmp_path / "bank_O000_I000.xyz"
    lines = path.read_text().splitlines()
    assert lines[0] == "# x y z in micrometres; z is the height above the deepest floor"
    table = np.loadtxt(lines)
    # The axis is at sample n // 2, so x is -2.7, 0, 2.7 and y -3.1234, 0; 577.4 nm is half a wave.
    np.testing.assert_allclose(table[-1], [2.7, 0, 0.57738], atol=1e-5)
    np.testing.assert_allclose(table[0], [-2.7, -3.1234, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda lines: lines[:-1], r"expected 6 points x y z, got \[5, 3\]"),
        (lambda lines: [*lines[:-1], lines[1]], "expected one point for each pixel, got some twice"),
        (lambda lines: [*lines[:-1], "0.5 0 0"], "expected points on the centres of the pixels"),
        (lambda lines: [*lines[:-1], "270 0 0"], "expected points on the centres of the pixels"),
        (lambda lines: [*lines[:-1], "nan 0 0"], r"expected 6 points x y z, got \[6, 3\]"),
        (lambda lines: ["letters"], "expected lines of three numbers"),
    ],
)
def test_file_of_other_points_is_refused(spoil: Any, sentence: str, tmp_path: Path) -> None:
    from optics4f.fabrication.heightmap import read_points

    bank = bank_of(np.zeros((1, 1, 2, 3)))
    export(bank, tmp_path, "height")
    path = tmp_path / "bank_O000_I000.xyz"
    path.write_text("\n".join(spoil(path.read_text().splitlines())))
    with pytest.raises(ValueError, match=sentence):
        read_points(path, bank, N)


def test_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    from optics4f.fabrication.heightmap import read_height_map

    Image.fromarray(np.zeros((2, 3), dtype=np.uint8)).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=r"expected 16-bit grey, I;16 2 x 3, got L 2 x 3"):
        read_height_map(tmp_path / "a.tiff", (2, 3), 532e-9, N)


@pytest.mark.parametrize("kind", ["tiff", "height", "stl"])
def test_changed_byte_is_caught_and_named(kind: str, tmp_path: Path) -> None:
    export(random_bank(), tmp_path, kind)
    path = sorted(tmp_path.glob("bank_O001*"))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{path.name}: expected SHA-256"):
        read_back(tmp_path, kind)


def test_material_is_needed(tmp_path: Path) -> None:
    for kind in ("tiff", "height", "stl"):
        with pytest.raises(ValueError, match="material: expected the material of the relief"):
            export(random_bank(refractive_index=None), tmp_path, kind)
