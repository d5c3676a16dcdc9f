"""Metasurfaces: the nearest complex t, posts that can be made, drawings measured when read back."""

from pathlib import Path
from typing import Any

import gdstk
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from optics4f.fabrication import MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.metasurface import (
    PostLibrary,
    load_library,
    posts_entry,
    read_posts,
    write_posts,
)

K = 8
DIAMETERS = np.linspace(60e-9, 200e-9, K)


def library(**changes: Any) -> PostLibrary:
    t = np.linspace(0.7, 1, K) * np.exp(2j * np.pi * np.arange(K) / K)
    values: dict[str, Any] = {"cell_pitch": "350 nm", "wavelength": "532 nm"}
    return PostLibrary(np.repeat(DIAMETERS[:, None], 2, axis=1), t, **{**values, **changes})


def bank_of(t: NDArray[Any], pitch: tuple[float, float] = (350e-9, 350e-9), **changes: Any) -> MaskBankData:
    return MaskBankData(t, pitch, 532e-9, 0.1, 0.1, t.shape[-2:], (8e-6, 8e-6), **changes)


def random_t(*shape: int) -> NDArray[Any]:
    random = np.random.default_rng(0)
    return random.uniform(size=shape) * np.exp(2j * np.pi * random.uniform(size=shape))


def test_nearest_minimises_the_distance_of_complex_values() -> None:
    t, posts = random_t(2, 7, 5), library()
    distance = np.abs(t[..., None] - posts.transmittance)
    np.testing.assert_array_equal(posts.nearest(t), distance.argmin(axis=-1))
    rms, largest = posts.residual(t)
    # The same sums in another order: rounding of float64.
    assert rms == pytest.approx(np.sqrt(np.mean(distance.min(axis=-1) ** 2)), rel=1e-12)
    assert largest == pytest.approx(distance.min(axis=-1).max(), rel=1e-12)


def test_nearest_in_phase_alone_would_be_another_post() -> None:
    posts = PostLibrary(
        np.full((2, 2), 1e-7), np.array([0.1, np.exp(0.5j)]), cell_pitch="350 nm", wavelength="532 nm"
    )
    assert posts.nearest(np.array([np.exp(0.1j)])) == 1  # phase alone says 0, which is dark


def test_posts_that_cannot_be_made_are_left_out() -> None:
    kept = library().allowed("100 nm", "170 nm")
    # 60, 80, 100 ... 200 nm: from 100 nm up, and to 180 nm, whose gap is 170 nm.
    np.testing.assert_allclose(kept.size[:, 0], np.array([100, 120, 140, 160, 180]) * 1e-9, rtol=1e-12)
    with pytest.raises(ValueError, match="expected posts of at least 150 nm with gaps of 250 nm"):
        library().allowed("150 nm", "250 nm")


@pytest.mark.parametrize("suffix", ["oas", "gds"])
@pytest.mark.parametrize("cells", [(1, 1), (2, 3)])
def test_posts_are_read_back(suffix: str, cells: tuple[int, int], tmp_path: Path) -> None:
    posts = library()
    bank = bank_of(random_t(2, 1, 5, 4), (cells[0] * 350e-9, cells[1] * 350e-9), origin=(2.5, 1))
    entry = posts_entry(posts, bank, "main")
    path = tmp_path / f"a.{suffix}"
    write_posts(path, bank, entry)
    back = read_posts(path, bank, entry)
    np.testing.assert_allclose(back, posts.transmittance[posts.nearest(bank.transmittance)], atol=1e-12)
    read = gdstk.read_oas if suffix == "oas" else gdstk.read_gds
    names = [cell.name for cell in read(str(path)).cells]
    assert all("MAIN" not in name and len(name) <= 32 for name in names)


def test_posts_stand_where_the_mask_says(tmp_path: Path) -> None:
    """Asked of the file itself: the one small post is at the largest x and the smallest y."""
    t = np.full((1, 1, 2, 3), library().transmittance[4])
    t[0, 0, 0, 2] = library().transmittance[0]
    bank = bank_of(t)
    write_posts(tmp_path / "a.oas", bank, posts_entry(library(), bank, "a"))
    cell = {c.name: c for c in gdstk.read_oas(str(tmp_path / "a.oas")).cells}["A_O000_I000"]
    boxes = [polygon.bounding_box() for polygon in cell.get_polygons()]
    widths = [right - left for (left, _), (right, _) in boxes]
    assert sorted(np.round(widths, 3)) == [0.06, *[0.14] * 5]
    (left, bottom), (right, top) = boxes[int(np.argmin(widths))]
    # The axis is sample (1, 1): x = 0.35 um, y = -0.35 um; corners are rounded to 1 nm.
    assert ((left + right) / 2, (bottom + top) / 2) == pytest.approx((0.35, -0.35), abs=1e-3)


def test_export_draws_complex_masks_without_an_encoding(tmp_path: Path) -> None:
    bank = bank_of(random_t(1, 2, 6, 5))
    entry = export_masks(MaskSet({"meta": bank}), tmp_path, ["metasurface"], library=library()).banks["meta"]
    back = read_back(tmp_path, "metasurface").banks["meta"].transmittance
    error = np.abs(back - bank.transmittance)
    assert entry["metasurface"]["residual_max"] == pytest.approx(error.max(), abs=1e-6)  # complex64
    file = tmp_path / "meta_posts.oas"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(ValueError, match=r"meta_posts\.oas: expected SHA-256"):
        read_back(tmp_path, "metasurface")


def test_million_posts_take_little_room(tmp_path: Path) -> None:
    t = np.exp(2j * np.pi * np.random.default_rng(0).uniform(size=(1, 1, 256, 256)))
    bank = bank_of(t, (4 * 350e-9, 4 * 350e-9))
    write_posts(tmp_path / "a.oas", bank, posts_entry(library(), bank, "a"))
    # 1.5 MB for a million is the aim of the format: explicit repetitions, compressed.
    assert (tmp_path / "a.oas").stat().st_size < 1.5e6


def test_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("diameter_nm,phase_rad,t\n100,0.5,0.9\n150,1.5e0,0.8\n")
    posts = load_library(path, "350 nm", "532 nm")
    np.testing.assert_allclose(posts.size, [[1e-7, 1e-7], [1.5e-7, 1.5e-7]])
    np.testing.assert_allclose(posts.transmittance, [0.9 * np.exp(0.5j), 0.8 * np.exp(1.5j)])
    turned = load_library(path, "350 nm", "532 nm", time_dependence="exp(+iwt)")
    np.testing.assert_allclose(turned.transmittance, posts.transmittance.conj())
    path.write_text("100,0.5\n")
    np.testing.assert_allclose(load_library(path, "350 nm", "532 nm").transmittance, [np.exp(0.5j)])


@pytest.mark.parametrize("kind", ["mat", "packed", "h5", "mat73"])
def test_axes_are_read(kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {
        "phase": random.uniform(-3, 3, (2, 3, 4, 5)),  # [polarisation, leny, lenx, wavelength]
        "transmission": random.uniform(0, 1, (2, 3, 4, 5)),
        "leny": np.array([60, 80, 100]) * 1e-9,
        "lenx": np.array([110, 120, 130, 140]) * 1e-9,
        "wavelength_m": np.array([450, 500, 532, 600, 650]) * 1e-9,
    }
    path = tmp_path / f"a.{'h5' if kind == 'h5' else 'mat'}"
    if kind in ("mat", "packed"):
        savemat(path, arrays, do_compression=kind == "packed")
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                stored = file.create_dataset(name, data=array.T if kind == "mat73" else array)
                if kind == "mat73":
                    stored.attrs["MATLAB_class"] = np.bytes_("double")
    posts = load_library(path, "350 nm", "532 nm", polarisation=1)
    t = (arrays["transmission"] * np.exp(1j * arrays["phase"]))[1, :, :, 2]
    np.testing.assert_allclose(posts.transmittance, t.ravel(), rtol=1e-12)
    np.testing.assert_allclose(posts.size[5], [80e-9, 120e-9])
    assert not posts.round_posts
    bank = bank_of(random_t(1, 1, 3, 4))
    entry = posts_entry(posts, bank, "a")
    write_posts(tmp_path / "a.oas", bank, entry)
    back = read_posts(tmp_path / "a.oas", bank, entry)
    np.testing.assert_allclose(back, posts.transmittance[posts.nearest(bank.transmittance)], atol=1e-12)
    with pytest.raises(ValueError, match=r"expected the wavelength 5\.5e-07 m, nearest is 5\.32e-07 m"):
        load_library(path, "350 nm", "550 nm")
    with pytest.raises(ValueError, match="expected a polarisation below 2, got 2"):
        load_library(path, "350 nm", "532 nm", polarisation=2)


@pytest.mark.parametrize("name", ["a.csv", "a.mat", "a.h5"])
@pytest.mark.parametrize("data", [b"", b"\xff\x00", b"1,2,3,4\n", b"MATLAB 5.0 MAT-file"])
def test_other_file_is_refused_by_name(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{name}: expected a library of posts, got another file"):
        load_library(path, "350 nm", "532 nm")


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_matlab_file_is_refused_or_read(packed: bool, tmp_path: Path) -> None:
    """Never a crash: scipy's own reader takes the interpreter down on some of these."""
    random, path = np.random.default_rng(0), tmp_path / "a.mat"
    names = ("phase", "transmission", "leny", "lenx", "wavelength_m")
    savemat(path, {name: np.full((1, 1, 1, 1), 1e-7) for name in names}, do_compression=packed)
    data = path.read_bytes()
    refused = 0
    for _ in range(300):
        spoilt = bytearray(data[: random.integers(1, len(data) + 1)])
        spoilt[random.integers(len(spoilt))] ^= 1 << int(random.integers(8))
        path.write_bytes(spoilt)
        try:
            load_library(path, "350 nm", "100 nm")
        except ValueError as error:
            assert str(error).startswith(f"{path}: expected a library of posts")
            refused += 1
    assert refused > 250


def test_library_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("lenx", "leny", "wavelength_m"):
            file[name] = np.array([1e-7])
        for name in ("phase", "transmission"):
            file.create_dataset(
                name, (2, 10**4, 10**4, 10), "f8", chunks=(1, 100, 100, 1)
            )  # nothing is stored
    with pytest.raises(ValueError, match="expected at most 100000000 numbers"):
        load_library(tmp_path / "a.h5", "350 nm", "532 nm")


def test_bad_libraries_are_refused() -> None:
    with pytest.raises(ValueError, match="at most the cell of 150 nm, got 60 nm to 200 nm"):
        library(cell_pitch="150 nm")
    with pytest.raises(TypeError, match="PostLibrary cell_pitch: expected a quantity"):
        library(cell_pitch=350e-9)
    with pytest.raises(ValueError, match=r"expected \|t\| <= 1, got 2"):
        PostLibrary(np.full((1, 2), 1e-7), np.array([2]), "350 nm", "532 nm")
    with pytest.raises(ValueError, match=r"expected sizes \(K, 2\) and t \(K,\), got \[1, 2\] and \[2\]"):
        PostLibrary(np.full((1, 2), 1e-7), np.array([1, 1]), "350 nm", "532 nm")
    with pytest.raises(ValueError, match=r"time_dependence: expected one of exp\(-iwt\), exp\(\+iwt\)"):
        load_library("a.csv", "350 nm", "532 nm", time_dependence="plus")
    with pytest.raises(FileNotFoundError):
        load_library("not-there.csv", "350 nm", "532 nm")


def test_masks_on_other_cells_or_light_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number of cells of 350 nm, got a pitch of 500 nm"):
        posts_entry(library(), bank_of(np.ones((1, 1, 4, 4)), (500e-9, 500e-9)), "a")
    with pytest.raises(ValueError, match="library: expected posts for 532 nm, got 633 nm"):
        posts_entry(library(wavelength="633 nm"), bank_of(np.ones((1, 1, 4, 4))), "a")


def test_drawing_of_other_posts_is_refused(tmp_path: Path) -> None:
    bank = bank_of(random_t(1, 1, 4, 4))
    entry = posts_entry(library(), bank, "a")
    write_posts(tmp_path / "a.oas", bank, entry)
    with pytest.raises(ValueError, match="expected a cell 'B_O000_I000', got none"):
        read_posts(tmp_path / "a.oas", bank, {**entry, "cell_stem": "B"})
    thick = {**entry, "size": (np.array(entry["size"]) + 10e-9).tolist()}
    with pytest.raises(ValueError, match="expected posts of listed sizes"):
        read_posts(tmp_path / "a.oas", bank, thick)
    moved = bank_of(bank.transmittance, origin=(2.1, 2))
    with pytest.raises(ValueError, match="expected posts on the lattice"):
        read_posts(tmp_path / "a.oas", moved, entry)
    larger = bank_of(random_t(1, 1, 6, 6), origin=(3, 3))
    with pytest.raises(ValueError, match="expected a post in every cell, got empty ones"):
        read_posts(tmp_path / "a.oas", larger, entry)
