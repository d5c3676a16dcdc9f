"""Refractive indices: published values, ranges, and what is not verified stays out of the way."""

from pathlib import Path

import numpy as np
import pytest

from optics4f.fabrication import MaskBankData, MaskSet
from optics4f.fabrication.materials import (
    CATALOGUE,
    load_materials,
    material,
    refractive_index,
    with_material,
)
from optics4f.fabrication.relief import height_2pi

MATERIALS = load_materials()
GREEN, RED = 532e-9, 632.8e-9


def bank(wavelength: float = GREEN) -> MaskBankData:
    return MaskBankData(
        np.ones((1, 1, 2, 2), np.complex64), (8e-6, 8e-6), wavelength, 0.1, 0.1, (2, 2), (8e-6, 8e-6)
    )


@pytest.mark.parametrize(
    ("name", "wavelength", "published", "tolerance"),
    [
        # Quoted to four decimals; the closed forms of the heights rest on them.
        ("fused-silica", GREEN, 1.4607, 1e-4),
        ("fused-silica", RED, 1.4570, 1e-4),
        # Malitson's own table, five decimals: half of the last digit.
        ("fused-silica", 0.58756e-6, 1.45846, 5e-6),
        ("fused-silica", 1.0640e-6, 1.44963, 5e-6),
        # H. H. Li's table of 1980 for 20 degrees C: measured by others, who differ by 0.002.
        ("silicon", 1.55e-6, 3.4757, 3e-3),
        ("silicon", 5e-6, 3.4195, 5e-3),
        # Zhukovsky's table, which the one oscillator meets to 6e-4.
        ("tio2-film", 0.531647e-6, 2.450647, 6e-4),
        ("tio2-film", 0.632867e-6, 2.388520, 6e-4),
        ("tio2-film", 0.801724e-6, 2.340459, 6e-4),
        # By hand: 5.913 + 0.2441 / (0.25 - 0.0803) = 7.35143, its root; six digits.
        ("tio2-rutile-o", 0.5e-6, 2.71135, 1e-5),
        # By hand: 1.5525 + 0.00629 / 0.25 + 0.0004 / 0.0625, and 1.488 + 0.002898 * 4 + 0.0001579 * 16.
        ("su-8-3000", 0.5e-6, 1.58406, 1e-9),
        ("pmma-950", 0.5e-6, 1.5021184, 1e-9),
    ],
)
def test_published_indices(name: str, wavelength: float, published: float, tolerance: float) -> None:
    assert refractive_index(name, wavelength) == pytest.approx(published, abs=tolerance)


def test_heights_of_one_wave() -> None:
    # Printed to 0.1 nm, from n to four decimals: an error of 5e-5 in 0.46 is 0.13 nm.
    assert height_2pi(GREEN, refractive_index("fused-silica", GREEN)) * 1e9 == pytest.approx(1154.8, abs=0.2)
    assert height_2pi(RED, refractive_index("fused-silica", RED)) * 1e9 == pytest.approx(1384.7, abs=0.2)


@pytest.mark.parametrize("name", MATERIALS)
def test_dispersion_is_normal_within_the_range_and_refused_outside(name: str) -> None:
    entry = MATERIALS[name]
    wavelengths = np.linspace(*entry.range, 50)
    index = [entry.index(float(w)) for w in wavelengths]
    assert np.all(np.diff(index) < 0) and min(index) > 1 and entry.source
    for outside in (0.99 * entry.range[0], 1.01 * entry.range[1], float("nan")):
        with pytest.raises(ValueError, match=rf"{name}: expected a wavelength of .* um to .* um, got "):
            entry.index(outside)


def test_refusal_says_the_numbers() -> None:
    sentence = r"^silicon: expected a wavelength of 1\.357 um to 11\.04 um, got 0\.532 um\.$"
    with pytest.raises(ValueError, match=sentence):
        refractive_index("silicon", GREEN)


def test_unverified_only_on_request() -> None:
    names = [name for name, entry in MATERIALS.items() if not entry.verified]
    assert "ip-dip" in names
    for name in names:
        with pytest.raises(ValueError, match=f"expected a verified formula, got '{name}'"):
            refractive_index(name, GREEN)
        assert refractive_index(name, GREEN, allow_unverified=True) == MATERIALS[name].index(GREEN)


def test_numbers_and_unknown_names() -> None:
    assert refractive_index("1.64", GREEN) == refractive_index(1.64, GREEN) == 1.64
    with pytest.raises(ValueError, match=r"material: expected one of fused-silica, .*, got 'glass'"):
        refractive_index("glass", GREEN)
    for number in (1.0, "nan", 12):
        with pytest.raises(ValueError, match="refractive_index: expected a number between 1 and 10, got "):
            refractive_index(number, GREEN)


def test_bank_gets_its_material_and_keeps_it_in_the_file(tmp_path: Path) -> None:
    coated = with_material(bank(), "fused-silica")
    assert coated.refractive_index == material("fused-silica").index(GREEN)
    assert coated.material_wavelengths[0] == pytest.approx(0.9 * GREEN)
    assert coated.material_wavelengths[-1] == pytest.approx(1.1 * GREEN)
    # Interpolating 11 points over 20 % between points: the curvature of n leaves 1e-5.
    between = np.interp(520e-9, coated.material_wavelengths, coated.material_indices)
    assert between == pytest.approx(refractive_index("fused-silica", 520e-9), abs=1e-5)
    MaskSet({"a": coated}).save(tmp_path / "masks.h5")
    loaded = MaskSet.load(tmp_path / "masks.h5").banks["a"]
    assert (loaded.material, loaded.material_indices) == ("fused-silica", coated.material_indices)


def test_table_ends_where_the_formula_ends() -> None:
    coated = with_material(bank(1.4e-6), "silicon", samples=2)
    assert coated.material_wavelengths[0] == pytest.approx(1.357e-6, rel=1e-12)
    with pytest.raises(ValueError, match="samples: expected at least 2, got 1"):
        with_material(bank(), "fused-silica", samples=1)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            'formula = "sellmeier"',
            'formula = "drude"',
            "expected one of sellmeier, poles, cauchy, got 'drude'",
        ),
        ("range = [0.21, 3.71]", "range = [3.71, 0.21]", "expected a range from short to long"),
        ("constant = 1.0\n", "", r"\[fused-silica\]: expected constant, formula, .*, got other keys"),
        ("range = [0.21, 3.71]", 'range = ["a", 1]', "expected numbers, got something else"),
        ("[fused-silica]", "[fused-silica", "expected a TOML catalogue of materials"),
    ],
)
def test_wrong_catalogue_is_refused(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "materials.toml"
    path.write_text(CATALOGUE.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        load_materials(path)
