"""Export folders that were changed: hashes are compared before anything is parsed, and manifests doubted."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from damage import FEW, damage, memory, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from optics4f.cli import Commands
from optics4f.fabrication import MaskBankData, MaskSet, export_masks, read_back
from optics4f.fabrication.cli import register
from optics4f.fabrication.devices import Modulator
from optics4f.fabrication.export import FORMATS
from optics4f.fabrication.manifest import NAME, SUMS
from optics4f.fabrication.posts import PostLibrary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    phase = np.random.default_rng(0).integers(4, size=(1, 2, 4, 3)) * np.pi / 2
    shape, pitch = (4, 3), (700e-9, 350e-9)
    bank = MaskBankData(np.exp(1j * phase), pitch, 532e-9, 0.1, 0.1, shape, (8e-6, 8e-6), 1.46)
    size = np.linspace(1e-7, 2e-7, 4)[:, None].repeat(2, axis=1)
    posts = PostLibrary(size, np.exp(0.5j * np.pi * np.arange(4)), "350 nm", "532 nm")
    device = Modulator("slm", (6, 5), ("0.7 um", "0.35 um"), "532 nm")
    out = tmp_path_factory.mktemp("fab")
    export_masks(MaskSet({"bank": bank}), out, FORMATS, levels=4, library=posts, device=device)
    return out


@pytest.fixture
def unparsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parser of layouts and pictures fails the test: nothing may reach it."""

    def parsed(*given: Any, **options: Any) -> None:
        pytest.fail(f"parsed {given}")

    for name in ("gdstk.read_gds", "gdstk.read_oas", "gdstk.oas_validate", "PIL.Image.open", "numpy.loadtxt"):
        monkeypatch.setattr(name, parsed)
    monkeypatch.setattr("subprocess.run", parsed)


def read(folder: Path, kind: str) -> Any:
    return read_back(folder, kind).banks["bank"].transmittance


@pytest.mark.parametrize("kind", FORMATS)
def test_a_changed_file_reaches_no_parser(kind: str, folder: Path, tmp_path: Path, unparsed: None) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    listed = json.loads((folder / NAME).read_text())["files"]
    path = tmp_path / next(file["path"] for file in listed if file["format"] == kind)
    app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    register(app)

    def check(damaged: bytes, how: str) -> None:
        path.write_bytes(damaged)
        for kind in FORMATS:  # not even the sound files of another format
            assert refused(lambda kind=kind: read(tmp_path, kind), path)
        shown = CliRunner().invoke(app, ["rules", str(tmp_path)])
        assert shown.exit_code == 2 and f"{path}: expected SHA-256" in shown.stderr

    damage(path.read_bytes(), check, examples=4)


def test_a_changed_manifest_reaches_no_parser(folder: Path, tmp_path: Path, unparsed: None) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())

    def check(damaged: bytes, how: str) -> None:
        (tmp_path / NAME).write_bytes(damaged)
        assert refused(lambda: read(tmp_path, "gds"), tmp_path / NAME)

    damage((folder / NAME).read_bytes(), check)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a document a value can be put."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, member in inner for place in places(member, (*path, key)))]


HOSTILE: list[Any] = [
    None,
    True,
    -1,
    0,
    0.5,
    7,
    2**31,
    10**12,
    10**400,
    1e308,
    -1e-308,
    float("nan"),
    float("inf"),
]
HOSTILE += [
    "",
    "x",
    "../x",
    "\0",
    "\ud800",
    "A" * 10**4,
    [],
    [[]],
    [0],
    [-1, -1],
    [10**6] * 4,
    [10**12] * 2,
    {},
]
HOSTILE += [{"": None}, {"shape": [10**9] * 4}]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_hostile_manifest_is_refused_or_harmless(kind: str, folder: Path, tmp_path: Path) -> None:
    """Somebody who can make hashes: one value of the manifest is another, the files are as they were."""
    for file in folder.iterdir():
        if file.name != SUMS:  # as in a folder of an older version
            (tmp_path / file.name).write_bytes(file.read_bytes())
    document = json.loads((folder / NAME).read_text())
    bank = document["banks"]["bank"]
    used = {"shape", "geometry", "layout" if kind in ("gds", "oas", "oasis_mask") else kind, kind}
    document["banks"]["bank"] = {name: bank[name] for name in bank if name in used}
    document["files"] = [file for file in document["files"] if file["format"] == kind]

    @settings(FEW, max_examples=150)
    @given(st.sampled_from(places(document)), st.sampled_from(HOSTILE))
    def check(place: tuple[Any, ...], value: Any) -> None:
        made = {"": copy.deepcopy(document)}
        inner: Any = made
        for key in ("", *place)[:-1]:
            inner = inner[key]
        inner[("", *place)[-1]] = value
        (tmp_path / NAME).write_text(json.dumps(made[""]))
        refused(lambda: read(tmp_path, kind), tmp_path)

    with memory(300_000_000):
        check()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "expected JSON, got something else"),
        ("1" * 10_000, "expected JSON, got something else"),
        ("\udcff", "expected JSON, got something else"),
        ("[]", "expected the format 'optics4f-export', got None"),
        ("", "expected JSON"),
    ],
    ids=["deep", "digits", "no text", "list", "empty"],
)
def test_other_text_is_no_manifest(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=rf"^{tmp_path / NAME}: {reason}"):
        read_back(tmp_path, "gds")
