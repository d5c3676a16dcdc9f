"""A disk that is full, or a folder that cannot be written: no partial file is left, whatever the format."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optics4f.cli import sentence
from optics4f.fabrication import MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.export import FORMATS
from optics4f.fabrication.posts import PostLibrary

resource = pytest.importorskip("resource", reason="the system has no limit for the size of a file")

SIZES = np.linspace(1e-7, 2e-7, 8)[:, None].repeat(2, axis=1)
POSTS = PostLibrary(SIZES, np.exp(0.25j * np.pi * np.arange(8)), "350 nm", "532 nm")


def masks(seed: int, side: int) -> MaskSet:
    phase = np.random.default_rng(seed).integers(8, size=(1, 1, side, side - 3)) * np.pi / 4
    shape, pitch = phase.shape[-2:], (350e-9, 350e-9)
    bank = MaskBankData(np.exp(1j * phase), pitch, 532e-9, 0.1, 0.1, shape, (8e-6, 8e-6), 1.46)
    return MaskSet({"bank": bank})


def export(masks: MaskSet, folder: Path, kind: str, **options: Any) -> None:
    export_masks(masks, folder, [kind], levels=8, library=POSTS, **options)


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow beyond a size meanwhile, as on a disk that has as much left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_leaves_what_was_there(kind: str, tmp_path: Path) -> None:
    old, new, out = masks(0, 9), masks(1, 60), tmp_path / "fab"
    export(new, tmp_path / "whole", kind, compact=True)
    export(old, out, kind)
    before, sizes = content(out), [len(data) for data in content(tmp_path / "whole").values()]
    grid = {0, 1, 9, 100, *np.linspace(0, max(sizes) - 1, 25).astype(int).tolist(), *(n - 1 for n in sizes)}
    for size in sorted(grid):
        with room(size), pytest.raises(OSError, match=r"File too large|disk full") as caught:
            export(new, out, kind, compact=True)
        assert content(out) == before, f"{size} bytes"
        assert str(out) in sentence(caught.value)
    with room(max(sizes)):
        export(new, out, kind, compact=True)
    assert content(out) == content(tmp_path / "whole")
    assert read_back(out, kind).banks["bank"].transmittance.shape == (1, 1, 60, 57)


@pytest.mark.parametrize("suffix", ["gds", "oas"])
def test_a_part_of_a_layout_is_never_taken_for_the_whole(suffix: str, tmp_path: Path) -> None:
    """gdstk writes what there is room for and says nothing: its drafts are looked at."""
    from optics4f.fabrication.metasurface import posts_entry, write_posts

    bank = masks(1, 60).banks["bank"]
    entry, path = posts_entry(POSTS, bank, "bank"), tmp_path / f"a.{suffix}"
    write_posts(path, bank, entry)
    whole = path.read_bytes()
    for size in (0, 1, 300, len(whole) // 2, len(whole) - 1):
        with room(size), pytest.raises(OSError, match="expected a whole layout to be written, got a part"):
            write_posts(path, bank, entry)
        assert content(tmp_path) == {path.name: whole}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_folder_that_cannot_be_written_is_named(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file") as caught:
        export(masks(0, 9), tmp_path / "file", kind)
    assert str(tmp_path / "file") in sentence(caught.value)
    out = tmp_path / "fab"
    export(masks(0, 9), out, kind)
    before, make = content(out), os.mkdir

    def refuse(path: Any, *mode: Any, **options: Any) -> None:
        if str(path).startswith(str(out)):
            raise PermissionError(13, "Permission denied", str(path))
        make(path, *mode, **options)

    monkeypatch.setattr("os.mkdir", refuse)  # to the user who owns everything no folder is closed
    with pytest.raises(PermissionError, match="Permission denied") as refused:
        export(masks(1, 9), out, kind)
    assert str(out) in sentence(refused.value)
    assert content(out) == before
