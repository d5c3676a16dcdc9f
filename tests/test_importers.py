"""Other people's arrays: the masks compute what the array says, and nothing in a file is run."""

import struct
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import io

from optics4f.fabrication import MaskSet
from optics4f.fabrication.arrays import read_array
from optics4f.fabrication.bench import bench_of
from optics4f.fabrication.importers import (
    as_bank_axes,
    import_kernels,
    import_transfer,
    imported_set,
    read_complex,
)

GEOMETRY: dict[str, Any] = {
    "wavelength": "532 nm",
    "focal_length": "100 mm",
    "input_shape": (9, 8),
    "input_spacing": "8 um",
}
RANDOM = np.random.default_rng(0)
KERNELS = RANDOM.normal(size=(3, 2, 3, 2)).astype(np.float32)


def legacy(path: Path, array: NDArray[Any]) -> Path:
    """As torch before 1.6 saved a tensor."""
    torch.save(torch.from_numpy(array), path, _use_new_zipfile_serialization=False)
    return path


def npy(path: Path, array: NDArray[Any]) -> Path:
    with path.open("wb") as file:
        np.save(file, array)
    return path


def matlab73(path: Path, array: NDArray[Any]) -> Path:
    """As MATLAB writes v7.3: a 512-byte user block, axes in column order, complex as a pair."""
    with h5py.File(path, "w", userblock_size=512) as file:
        if np.iscomplexobj(array):
            pairs = np.empty(array.T.shape, [("real", "f8"), ("imag", "f8")])
            pairs["real"], pairs["imag"] = array.T.real, array.T.imag
            file["H"] = pairs
        else:
            file["H"] = array.T
        file.create_group("#refs#")
    text = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(text)
    return path


def write(kind: str, path: Path, array: NDArray[Any]) -> Path:
    if kind == "npy":
        return npy(path, array)
    if kind == "legacy":
        return legacy(path, array)
    if kind == "torch":
        torch.save({"H": torch.from_numpy(array)}, path)
    if kind == "v5":
        io.savemat(path, {"H": array}, do_compression=True)
    if kind == "v5 plain":
        io.savemat(path, {"H": array})
    if kind == "v7.3":
        matlab73(path, array)
    return path


KINDS = ["npy", "legacy", "torch", "v5", "v5 plain", "v7.3"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_complex", [False, True])
def test_every_format_gives_the_array_back(kind: str, is_complex: bool, tmp_path: Path) -> None:
    array = RANDOM.normal(size=(2, 3, 4)) + (1j * RANDOM.normal(size=(2, 3, 4)) if is_complex else 0)
    path = write(kind, tmp_path / "H.npy", array)  # a name that is wrong for most of them
    np.testing.assert_array_equal(read_array(path), array)


def test_the_authors_files_are_read(tmp_path: Path) -> None:
    """Real and imaginary parts in torch pickles called .npy, of shape (1, 256, 1, 30, 30)."""
    transfer = RANDOM.normal(size=(2, 1, 256, 1, 30, 30)).astype(np.float32)
    real, imaginary = (legacy(tmp_path / f"f123{part}.npy", transfer[k]) for k, part in enumerate("ri"))
    stated = GEOMETRY | {"input_shape": (224, 224), "row_0": "top", "zero_frequency": "corner"}
    bank = import_transfer(real, imaginary=imaginary, **stated)
    assert bank.transmittance.shape == (256, 1, 30, 30)
    # lambda f / (N dx)
    assert bank.pitch == pytest.approx((532e-9 * 0.1 / (224 * 8e-6),) * 2, rel=1e-12)
    assert bank.flips == ("kernel rows at import of f123r.npy",)
    # One frequency by hand: f_y = -2, f_x = 3 of the file, which is f_y = +2 with rows that go up.
    given = complex(transfer[0, 0, 7, 0, -2, 3], transfer[1, 0, 7, 0, -2, 3])
    scaled = bank.transmittance[7, 0, 15 + 2, 15 + 3] / 10 ** (bank.scale_db / 20)
    assert scaled == pytest.approx(given, rel=1e-5)  # complex64
    assert bank.scale_db == pytest.approx(-20 * np.log10(np.hypot(*transfer).max()), abs=1e-5)


def test_the_authors_kernels_are_read(tmp_path: Path) -> None:
    kernels = RANDOM.normal(size=(256, 1, 6, 6)).astype(np.float32)
    path = npy(tmp_path / "kernel.npy", kernels)
    bank = import_kernels(path, **GEOMETRY, row_0="top", convention="correlation")
    assert bank.transmittance.shape == (256, 1, 9, 8)
    assert bank.flips == ("kernel rows at import of kernel.npy",)


def circular(picture: NDArray[Any], kernels: NDArray[Any], convention: str) -> NDArray[Any]:
    """Sum over the kernel's samples, written out: row and column k // 2 are its origin."""
    result = np.zeros((kernels.shape[0], *picture.shape[1:]), dtype=complex)
    for out, in_, row, column in np.ndindex(*kernels.shape):
        shift = np.array([row - kernels.shape[2] // 2, column - kernels.shape[3] // 2])
        step = shift if convention == "convolution" else -shift
        moved = np.roll(picture[in_], tuple(step), (0, 1))
        result[out] += kernels[out, in_, row, column] * moved
    return result


@pytest.mark.parametrize("convention", ["correlation", "convolution"])
@pytest.mark.parametrize("row_0", ["top", "bottom"])
def test_imported_kernels_compute_what_they_did(convention: str, row_0: str, tmp_path: Path) -> None:
    path = npy(tmp_path / "k.npy", KERNELS)
    bank = import_kernels(path, **GEOMETRY, row_0=row_0, convention=convention)
    field = RANDOM.normal(size=(2, 9, 8))
    kernels = KERNELS[..., ::-1, :] if row_0 == "top" else KERNELS
    bench = bench_of(bank)
    bench.invert_output = False
    output = bench(torch.from_numpy(field).to(torch.complex128)).numpy()
    gain = 10 ** ((bank.scale_db + bank.sum_scale_db) / 20)
    # The masks are complex64: 1e-6 of values of order 1.
    np.testing.assert_allclose(output / gain, circular(field, kernels, convention), atol=2e-5)


def test_transfer_of_either_order_and_row_is_the_same_bank(tmp_path: Path) -> None:
    picture_up = RANDOM.normal(size=(3, 2, 9, 8))  # kernels as large as the plane, rows going up
    centred = np.fft.fftshift(np.fft.fft2(picture_up), axes=(-2, -1))
    # The same kernels with row 0 at the top: y -> -y about sample 0.
    top = np.fft.fft2(np.roll(picture_up[..., ::-1, :], 1, axis=-2))
    one = import_transfer(
        npy(tmp_path / "one.npy", centred), **GEOMETRY, row_0="bottom", zero_frequency="centre"
    )
    two = import_transfer(npy(tmp_path / "two.npy", top), **GEOMETRY, row_0="top", zero_frequency="corner")
    np.testing.assert_allclose(one.transmittance, two.transmittance, atol=1e-6)  # complex64
    assert one.flips == () and two.flips == ("kernel rows at import of two.npy",)


@pytest.mark.parametrize("shape", [(8, 9), (9, 8)])
def test_rows_turn_about_zero_frequency(shape: tuple[int, int], tmp_path: Path) -> None:
    transfer = np.zeros((1, 1, *shape), dtype=complex)
    centre = shape[0] // 2, shape[1] // 2
    transfer[0, 0, centre[0] + 2, centre[1] + 3] = 1j
    stated = GEOMETRY | {"input_shape": shape, "row_0": "top", "zero_frequency": "centre"}
    bank = import_transfer(npy(tmp_path / "t.npy", transfer), **stated)
    assert np.argwhere(bank.transmittance).tolist() == [[0, 0, centre[0] - 2, centre[1] + 3]]
    turned = import_transfer(tmp_path / "t.npy", conjugate=True, **stated)
    np.testing.assert_array_equal(turned.transmittance, bank.transmittance.conj())
    assert turned.flips[-1] == "conjugate at import of t.npy"


def test_axes_by_name() -> None:
    array = RANDOM.normal(size=(5, 4, 3))
    np.testing.assert_array_equal(as_bank_axes(array, ("H", "W", "C_out")), array.transpose(2, 0, 1)[:, None])
    with pytest.raises(ValueError, match="axes: expected H, W and perhaps C_out, C_in, got"):
        as_bank_axes(array, ("C_out", "H", "X"))
    with pytest.raises(ValueError, match=r"expected an array of C_out, C_in, H, W, got shape \[5, 4, 3\]"):
        as_bank_axes(array)
    with pytest.raises(ValueError, match=r"got shape \[2, 1, 1, 3, 3\]"):
        as_bank_axes(np.ones((2, 1, 1, 3, 3)))


@pytest.mark.parametrize("missing", [*GEOMETRY, "row_0", "convention"])
def test_geometry_must_be_stated(missing: str, tmp_path: Path) -> None:
    path = npy(tmp_path / "k.npy", KERNELS)
    stated = {**GEOMETRY, "row_0": "top", "convention": "correlation"}
    del stated[missing]
    with pytest.raises(ValueError, match=f"import: expected {missing}, got none"):
        import_kernels(path, **stated)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"wavelength": 532e-9}, TypeError, "import wavelength: expected a quantity with a unit"),
        ({"row_0": "left"}, ValueError, "row_0: expected one of top, bottom, got 'left'"),
        (
            {"zero_frequency": "edge"},
            ValueError,
            "zero_frequency: expected one of centre, corner, got 'edge'",
        ),
        ({"input_shape": (2, 2)}, ValueError, r"expected at most \[2, 2\] frequencies, got \[3, 2\]"),
    ],
)
def test_wrong_statement_is_refused(
    change: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    path = npy(tmp_path / "k.npy", KERNELS)
    with pytest.raises(error, match=sentence):
        import_transfer(path, **{**GEOMETRY, "row_0": "top", "zero_frequency": "centre", **change})


def test_dark_transfer_is_refused(tmp_path: Path) -> None:
    path = npy(tmp_path / "k.npy", np.zeros((1, 1, 3, 3)))
    with pytest.raises(ValueError, match=r"k\.npy: expected a transfer function that is not all zero"):
        import_transfer(path, **GEOMETRY, row_0="top", zero_frequency="centre")


def test_parts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    real = npy(tmp_path / "r.npy", KERNELS)
    for other in (KERNELS[:1], KERNELS + 1j):
        with pytest.raises(ValueError, match=r"i\.npy: expected real numbers of shape \[3, 2, 3, 2\]"):
            read_complex(real, npy(tmp_path / "i.npy", other))


def test_imported_set_knows_its_files(tmp_path: Path) -> None:
    path = npy(tmp_path / "k.npy", KERNELS)
    bank = import_kernels(path, **GEOMETRY, row_0="top", convention="correlation")
    imported_set("lab", bank, [path], data="MNIST").save(tmp_path / "masks.h5")
    loaded = MaskSet.load(tmp_path / "masks.h5")
    assert set(loaded.provenance["imported_sha256"]) == {"k.npy"} and loaded.provenance["data"] == "MNIST"
    assert loaded.banks["lab"].flips == bank.flips


# ---- nothing is executed, and nothing else than numbers is read


def attack(target: Path) -> bytes:
    """A pickle that runs a command when it is unpickled."""
    return b"cos\nsystem\n(S'touch " + str(target).encode() + b"'\ntR."


@pytest.mark.parametrize("wrap", ["bare", "legacy", "zip", "npy", "v7.3"])
def test_a_pickle_is_never_run(wrap: str, tmp_path: Path) -> None:
    proof, path = tmp_path / "executed", tmp_path / "kernel.npy"
    if wrap == "bare":
        path.write_bytes(attack(proof))
    elif wrap == "legacy":
        legacy(path, KERNELS)
        magic = path.read_bytes()
        third = magic.index(b".", magic.index(b"sys_info") if b"sys_info" in magic else 30)
        # The three pickles that torch begins with, then the attack in the place of the tensor.
        start = magic.index(b"ctorch") - 2 if b"ctorch" in magic else third + 1
        path.write_bytes(magic[:start] + attack(proof))
    elif wrap == "zip":
        torch.save(torch.zeros(2), path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, attack(proof) if name.endswith("data.pkl") else content)
    elif wrap == "npy":
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + attack(proof))
    else:
        with h5py.File(path, "w") as file:
            file["H"] = np.void(attack(proof))
    with pytest.raises(ValueError, match=r"kernel\.npy: expected an array of numbers, got "):
        read_array(path)
    assert not proof.exists()


def test_the_attack_would_work() -> None:
    """The pickle is sound: its opcodes call what it names."""
    import pickletools

    names = [code.name for code, _, _ in pickletools.genops(attack(Path("x")))]
    assert names == ["GLOBAL", "MARK", "STRING", "TUPLE", "REDUCE", "STOP"]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_that_are_not_finite_are_refused(kind: str, tmp_path: Path) -> None:
    path = write(kind, tmp_path / "H", np.array([[[1.0, np.nan]]]))
    with pytest.raises(ValueError, match="H: expected an array of numbers, got numbers that are not finite"):
        read_array(path)


def test_variable_must_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "two.mat"
    io.savemat(path, {"a": np.ones((2, 2)), "b": np.zeros((2, 3))})
    assert read_array(path, "b").shape == (2, 3)
    with pytest.raises(ValueError, match=r"two\.mat: .* got no variable chosen among a, b"):
        read_array(path)
    with pytest.raises(ValueError, match="got no variable 'c' among a, b"):
        read_array(path, "c")


@pytest.mark.parametrize(
    "content", [{"a": np.array([{"x": 1}], dtype=object)}, {"a": "text"}, {"a": {"field": np.ones(2)}}]
)
def test_matlab_objects_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    io.savemat(tmp_path / "o.mat", content)
    with pytest.raises(ValueError, match=r"o\.mat: .* got a MATLAB (cell|char|struct), which is not read"):
        read_array(tmp_path / "o.mat")
