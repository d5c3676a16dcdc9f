"""What setup.cfg promises is there: packages, data files, entry points, pinned versions."""

import re
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def read_config() -> ConfigParser:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


CONFIG = read_config()
ENTRY_POINTS = [
    (group, *(text.strip() for text in line.split("=")))
    for group, lines in CONFIG["options.entry_points"].items()
    for line in lines.strip().splitlines()
    if not line.startswith("#")
]
REQUIREMENTS = [
    Requirement(text)
    for lines in (CONFIG["options"]["install_requires"], *CONFIG["options.extras_require"].values())
    for text in re.split(r"[;\n]", lines)
    if text.strip()
]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.strip() for name, version in pairs}


def test_every_folder_with_an_init_is_packed_and_nothing_else() -> None:
    folders = set()
    for top in ("optics4f", "models", "calibration"):
        for path in (ROOT / top).rglob("__init__.py"):
            name = ".".join(path.parent.relative_to(ROOT).parts)
            folders.add(name if top == "optics4f" else f"optics4f.{name}")
    listed = CONFIG["options"]["packages"].split()
    assert sorted(listed) == sorted(folders)


def test_every_top_folder_is_installed_under_one_name() -> None:
    """A package called ``models`` would overwrite other people's."""
    lines = CONFIG["options"]["package_dir"].strip().splitlines()
    installed = {folder.strip(): name.strip() for name, folder in (line.split("=") for line in lines)}
    assert installed == {
        "optics4f": "optics4f",
        "models": "optics4f.models",
        "calibration": "optics4f.calibration",
    }
    for folder in installed:
        assert (ROOT / folder / "__init__.py").is_file()


def test_every_data_file_is_there() -> None:
    for package, patterns in CONFIG["options.package_data"].items():
        for pattern in patterns.split():
            assert list(ROOT.joinpath(*package.split(".")).glob(pattern)), f"{package}: no {pattern}"


def test_no_data_file_is_forgotten() -> None:
    """What is not Python and stands beside Python is packed, or a wheel lacks it."""
    packed = set()
    for package, patterns in CONFIG["options.package_data"].items():
        folder = ROOT.joinpath(*package.split("."))
        packed |= {path for pattern in patterns.split() for path in folder.glob(pattern)}
    present = {
        path
        for top in ("optics4f", "models", "calibration")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert present == packed


@pytest.mark.parametrize(("group", "name", "target"), ENTRY_POINTS, ids=lambda text: text)
def test_every_entry_point_can_be_called(group: str, name: str, target: str) -> None:
    module, _, attribute = target.partition(":")
    assert callable(getattr(import_module(module), attribute)), f"{group}: {name}"


def test_the_tested_version_of_torch_is_pinned() -> None:
    assert pins()["torch"] == "2.13.0"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_within_its_bounds(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_has_a_lower_bound(requirement: Requirement) -> None:
    assert any(bound.operator == ">=" for bound in requirement.specifier)


def test_the_classifiers_name_the_oldest_python() -> None:
    oldest = CONFIG["options"]["python_requires"].removeprefix(">=")
    assert f"Programming Language :: Python :: {oldest}" in CONFIG["metadata"]["classifiers"]
