"""STL: closed, oriented, of the right volume and size, and read back by another path than it was written."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optics4f.fabrication import MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.stl import height_of_mesh, read_stl, relief_mesh, write_stl


def edges(triangles: NDArray[Any]) -> Counter[Any]:
    corners = [tuple(map(tuple, triangle)) for triangle in triangles.tolist()]
    return Counter((c[k], c[(k + 1) % 3]) for c in corners for k in range(3))


def is_closed(triangles: NDArray[Any]) -> bool:
    """Every edge belongs to two triangles, which run along it in opposite directions."""
    directed = edges(triangles)
    return set(directed.values()) == {1} and all((b, a) in directed for a, b in directed)


def volume(triangles: NDArray[Any]) -> float:
    """A third of the flux of the position vector through the surface."""
    a, b, c = triangles.astype(np.float64).swapaxes(0, 1)
    return float(np.einsum("ti,ti->", a, np.cross(b, c)) / 6)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**16), st.integers(1, 9), st.integers(1, 8), st.sampled_from([1, 2, 3, 8]))
def test_solid_is_closed_and_has_the_volume_of_its_pixels(
    seed: int, rows: int, columns: int, levels: int
) -> None:
    # Dyadic lengths, which float32 holds exactly: what is left is the sum, 1e-9 of it at the most.
    height = 1 + np.random.default_rng(seed).integers(0, levels, (rows, columns)) / 8
    y, x = np.arange(rows + 1) * 0.5 - 1, np.arange(columns + 1) * 0.25
    triangles = relief_mesh(height, y, x)
    assert is_closed(triangles)
    assert volume(triangles) == pytest.approx(height.sum() * 0.125, rel=1e-9)
    found = height_of_mesh(triangles, (y[1:] + y[:-1]) / 2, (x[1:] + x[:-1]) / 2)
    np.testing.assert_allclose(found, height, atol=1e-12)  # a running sum of exact numbers


def test_kissing_corner_would_give_an_edge_to_four_triangles() -> None:
    height = np.array([[2.0, 1.0], [1.0, 2.0]])
    triangles = relief_mesh(height, np.arange(3.0), np.arange(3.0))
    assert is_closed(triangles)
    # The bridge is a post of the mean height, 1/32 of the pitch wide, about the common corner.
    near = height_of_mesh(triangles, np.array([0.98, 0.99, 1.01, 1.02]), np.array([0.98, 0.99, 1.01, 1.02]))
    np.testing.assert_allclose(near[1:3, 1:3], 1.5)
    np.testing.assert_allclose(near[::3, ::3], height)


def test_equal_pixels_are_merged() -> None:
    assert len(relief_mesh(np.ones((50, 40)), np.arange(51.0), np.arange(41.0))) == 12  # a box


def stl_bank(level: NDArray[Any], pitch: tuple[float, float]) -> MaskBankData:
    t = np.exp(2j * np.pi * level / 4)
    return MaskBankData(
        t, pitch, 0.75e-3, 0.1, 0.1, level.shape[-2:], (1e-3, 1e-3), refractive_index=1.7, levels=4
    )


def test_size_is_in_millimetres_and_the_levels_come_back(tmp_path: Path) -> None:
    level = np.random.default_rng(3).integers(0, 4, (1, 2, 7, 5))
    level[..., 0, 0], level[..., -1, -1] = 0, 3
    bank = stl_bank(level, (0.5e-3, 0.4e-3))
    export_masks(MaskSet({"lens": bank}), tmp_path, ["stl"], base="2 mm")
    corners = read_stl(tmp_path / "lens_O000_I001.stl").reshape(-1, 3).astype(float)
    # Centred on sample n // 2; 2 pi height 0.75 mm / 0.7, of which level 3 is three quarters. float32.
    np.testing.assert_allclose(corners.min(axis=0), [-1.0, -1.75, 0], rtol=1e-6)
    np.testing.assert_allclose(corners.max(axis=0), [1.0, 1.75, 2 + 0.75 * 0.75 / 0.7], rtol=1e-6)
    for out, in_ in np.ndindex(1, 2):
        assert is_closed(read_stl(tmp_path / f"lens_O{out:03d}_I{in_:03d}.stl"))
    back = read_back(tmp_path, "stl").banks["lens"]
    np.testing.assert_allclose(back.transmittance, bank.transmittance, atol=1e-6)  # complex64
    assert back.levels == 4


def test_mirrored_file_does_not_pass(tmp_path: Path) -> None:
    level = np.arange(4).reshape(1, 1, 2, 2)
    export_masks(MaskSet({"lens": stl_bank(level, (1e-3, 1e-3))}), tmp_path, ["stl"])
    # Pixels about sample 1: x and y are -1.5, -0.5, 0.5 mm; level 3 stands at the top right.
    triangles = read_stl(tmp_path / "lens_O000_I000.stl")
    height = height_of_mesh(triangles, np.array([-1.0, 0.0]), np.array([-1.0, 0.0])) - 0.5
    np.testing.assert_allclose(height * 0.7 / 0.75 * 4, level[0, 0], atol=1e-6)  # float32


def test_what_is_no_relief_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected heights above 0 and edges that float32 tells apart"):
        relief_mesh(np.zeros((1, 1)), np.arange(2.0), np.arange(2.0))
    with pytest.raises(ValueError, match="edges that float32 tells apart"):
        relief_mesh(np.ones((1, 1)), np.array([1, 1 + 1e-12]), np.arange(2.0))
    slope = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 1]]], dtype=np.float32)
    with pytest.raises(ValueError, match="expected faces that are flat or upright, got a slope"):
        height_of_mesh(slope, np.array([0.1]), np.array([0.1]))
    path = tmp_path / "a.stl"
    write_stl(path, slope)
    assert not path.read_bytes().startswith(b"solid")  # readers would take it for text
    data = path.read_bytes()
    for spoilt in (data[:-1], data[:80] + b"\xff\xff\xff\xff" + data[84:], b"", b"solid"):
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match=r"a\.stl: expected \d+ bytes of binary STL, got"):
            read_stl(path)
    write_stl(path, np.full((1, 3, 3), np.nan, dtype=np.float32))
    with pytest.raises(ValueError, match="expected finite corners"):
        read_stl(path)
