"""Imports run downwards only, and every outside library has its door: proved on the syntax trees."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

# Bottom to top. A part imports from lines further up only; parts of one line do not know one another.
LAYERS = [
    ("_version", "units", "files", "extras"),
    ("__init__",),  # optics4f itself: it knows the version, and loads every other name when it is first used
    ("grid", "record", "detection", "keeping", "mkl"),
    ("fourier", "functional", "zernike"),
    ("propagation", "polarisation"),
    ("zoom",),
    ("elements",),
    ("misalignment",),
    ("passage",),
    ("system",),
    ("cascade",),
    ("transfer", "wave", "perturbation", "multiplexing", "light"),
    ("coherence",),
    ("design", "transduction"),
    ("fabrication",),
    ("plotting",),
    ("cli",),
    ("models", "calibration"),
]
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# Who may import what, at the top of a file or inside a function, and why.
DOORS = {
    "pint": {"optics4f.units"},  # one registry for the whole package
    "matplotlib": {
        f"optics4f.plotting.{path.stem}" for path in (ROOT / "optics4f" / "plotting").glob("[!_]*.py")
    },  # the engine runs without a display
}
# Libraries of an extra: never at the top of a file, so that a bare install imports everything.
OF_AN_EXTRA = ("h5py", "gdstk", "PIL", "sklearn", "datasets", "safetensors", "accelerate", "joblib")
RUNS_CODE = ("pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle")


class Import(NamedTuple):
    """One import: where, of what, whether when the file is loaded, and whether for a type checker alone."""

    line: int
    module: str
    on_load: bool
    for_types: bool


def imports(tree: ast.Module, name: str, is_package: bool) -> Iterator[Import]:
    """All imports of a file; a relative one is written out, and ``from a import b`` is ``a`` and ``a.b``."""
    package = name if is_package else name.rpartition(".")[0]

    def walk(node: ast.AST, on_load: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            lazy = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            checked = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            found: list[str] = []
            if isinstance(child, ast.Import):
                found = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                up = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                base = ".".join([*up, *([child.module] if child.module else [])])
                found = [base, *(f"{base}.{alias.name}" for alias in child.names)]
            for module in found:
                yield Import(child.lineno, module, on_load, for_types)
            yield from walk(child, on_load and not lazy, for_types or checked)

    yield from walk(tree, True, False)


class Source(NamedTuple):
    """A file of the package under its installed name."""

    path: Path
    name: str
    tree: ast.Module
    imports: list[Import]


def sources() -> dict[str, Source]:
    found = {}
    for folder in ("optics4f", "models", "calibration"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            if folder != "optics4f":
                parts.insert(0, "optics4f")
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found[name] = Source(path, name, tree, list(imports(tree, name, is_package)))
    return found


SOURCES = sources()
ALL_FILES = [
    path
    for folder in ("optics4f", "models", "calibration", "tests", "examples", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
each_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())


def part(name: str) -> str:
    """The part of the package that a module belongs to: a folder, or a file of its own."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 else "__init__"


def own(source: Source) -> Iterator[tuple[int, str, bool, bool]]:
    """Imports of the package's own modules, each named once."""
    for line, module, on_load, for_types in source.imports:
        if module in SOURCES and module != source.name:
            yield line, module, on_load, for_types


def test_relative_and_lazy_imports_are_seen() -> None:
    text = "from ..grid import Grid\nfrom . import lens\nimport os\ndef f():\n    from ...x import y\n"
    found = list(imports(ast.parse(text), "optics4f.elements.masks", is_package=False))
    assert [(i.module, i.on_load) for i in found] == [
        ("optics4f.grid", True),
        ("optics4f.grid.Grid", True),
        ("optics4f.elements", True),
        ("optics4f.elements.lens", True),
        ("os", True),
        ("x", False),
        ("x.y", False),
    ]


def test_every_part_has_its_layer() -> None:
    assert {part(name) for name in SOURCES} == set(RANK)


@each_source
def test_imports_run_downwards(source: Source) -> None:
    """Lazy imports and those for types count as well: an upward one is a hidden dependence."""
    here = part(source.name)
    upward = [
        f"{source.path.relative_to(ROOT)}:{line} imports {module}"
        for line, module, _, _ in own(source)
        if part(module) != here and RANK[part(module)] >= RANK[here]
    ]
    assert upward == []


def test_no_file_needs_itself() -> None:
    """No cycles within a folder either; static_order raises on one."""
    graph = {
        source.name: {module for _, module, _, for_types in own(source) if not for_types}
        # A package is what its __init__ imports; importing a sibling through it is no cycle of files.
        - {source.name.rpartition(".")[0]}
        for source in SOURCES.values()
    }
    assert set(TopologicalSorter(graph).static_order()) == set(SOURCES)


@each_source
def test_relative_inside_a_folder_and_by_full_name_across(source: Source) -> None:
    top = source.path.relative_to(ROOT).parts[0]
    home = "optics4f" if top == "optics4f" else f"optics4f.{top}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if top == "optics4f":
                assert node.module.split(".")[0] != "optics4f", f"line {node.lineno}: write it relative"
            else:
                assert not f"{node.module}.".startswith(f"{home}."), f"line {node.lineno}: write it relative"
        if isinstance(node, ast.ImportFrom) and node.level:
            depth = len(source.path.relative_to(ROOT).parts) - 1
            assert node.level <= depth, f"line {node.lineno}: leaves the folder {top}"


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_the_folders_by_their_bare_name(path: Path) -> None:
    """``models`` and ``calibration`` at the top of sys.path may be anybody's."""
    found = imports(ast.parse(path.read_text(encoding="utf-8")), "file", is_package=False)
    assert [i for i in found if i.module.split(".")[0] in ("models", "calibration")] == []


@each_source
def test_every_outside_library_has_its_door(source: Source) -> None:
    for library, allowed in DOORS.items():
        used = [i.line for i in source.imports if i.module.split(".")[0] == library and not i.for_types]
        assert used == [] or source.name in allowed, f"{library} in line {used}"


@each_source
def test_libraries_of_an_extra_are_imported_when_they_are_needed(source: Source) -> None:
    early = [
        (i.line, i.module)
        for i in source.imports
        if i.module.split(".")[0] in OF_AN_EXTRA and i.on_load and not i.for_types
    ]
    assert early == []


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_runs_code_that_it_reads(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = [i for i in imports(tree, "file", is_package=False) if i.module.split(".")[0] in RUNS_CODE]
    assert used == []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        assert called not in ("eval", "exec", "compile", "__import__"), f"line {node.lineno}: {called}"
        if called == "torch.load":
            assert options.get("weights_only") == "True", f"line {node.lineno}: torch.load runs code"
        assert options.get("allow_pickle", "False") == "False", f"line {node.lineno}: numpy unpickles"
