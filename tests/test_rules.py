"""Design rules against brute force; what tools refuse."""

from typing import Any

import gdstk
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from optics4f.fabrication.profiles import Profile, check_profile, profiles
from optics4f.fabrication.rules import (
    RuleError,
    Rules,
    check_rules,
    fix_corners,
    kissing_corners,
    narrow_boxes,
)
from optics4f.plotting import show_violations

MICRON = (1e-6, 1e-6)
planes = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**16)).map(
    lambda made: np.random.default_rng(made[2]).random(made[:2]) < 0.5
)


def brute_corners(pixels: NDArray[np.bool_]) -> list[list[int]]:
    """Blocks of 2 x 2 in which just the two pixels of one diagonal are drawn."""
    rows, columns = pixels.shape
    return [
        [i, j]
        for i in range(rows - 1)
        for j in range(columns - 1)
        if pixels[i : i + 2, j : j + 2].astype(int).tolist() in ([[1, 0], [0, 1]], [[0, 1], [1, 0]])
    ]


def brute_runs(line: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs (start, stop) of True, pixel by pixel."""
    runs, start = [], None
    for k, value in enumerate([*line, False]):
        if value and start is None:
            start = k
        if not value and start is not None:
            runs.append((start, k))
            start = None
    return runs


@given(planes)
def test_kissing_corners_are_those_of_the_definition(pixels: NDArray[np.bool_]) -> None:
    assert kissing_corners(pixels).tolist() == brute_corners(pixels)


@given(planes, st.integers(1, 4), st.booleans())
def test_narrow_places_cover_the_short_runs(pixels: NDArray[np.bool_], least: int, between: bool) -> None:
    expected = np.zeros((2, *pixels.shape), dtype=int)
    for axis, lines in enumerate((pixels, pixels.T)):
        for k, line in enumerate(lines):
            for start, stop in brute_runs(line):
                rim = start == 0 or stop == len(line)
                if stop - start < least and not (between and rim):
                    (expected[0] if axis == 0 else expected[1].T)[k, start:stop] += 1
    found = np.zeros_like(pixels, dtype=int)
    for r, s, c, d in narrow_boxes(pixels, least * 1e-6, MICRON, between):
        found[r:s, c:d] += 1
    np.testing.assert_array_equal(found, expected.sum(axis=0))


def test_widths_are_measured_with_the_pitch_of_their_axis() -> None:
    bar = np.zeros((5, 5), dtype=bool)
    bar[1:4, 1:3] = True  # three rows, two columns
    rules = Rules(min_feature="3 um", min_gap="1 um")
    (wide,) = check_rules([bar], (2e-6, 1e-6), rules).violations  # 6 um high, 2 um wide
    assert (wide.rule, wide.count, wide.places) == ("feature", 1, ((1, 4, 1, 3),))
    assert check_rules([bar], (1e-6, 1.5e-6), rules).ok  # 3 um either way is enough
    assert check_rules([bar], (0.9e-6, 2e-6), rules).violations[0].count == 1  # 2.7 um high


def test_gap_lies_between_features() -> None:
    slit = np.ones((4, 5), dtype=bool)
    slit[:, 2] = False
    rules = Rules(min_feature="1 um", min_gap="2 um")
    (gap,) = check_rules({"chrome": slit}, MICRON, rules).violations
    assert (gap.rule, gap.layer, gap.count, gap.places) == ("gap", "chrome", 1, ((0, 4, 2, 3),))
    slit[:, 0] = False  # what reaches the rim is no gap
    assert check_rules({"chrome": slit}, MICRON, rules).violations[0].count == 1


@given(planes, st.sampled_from([("fill", 1), ("erode", -1)]))
def test_fixed_masks_have_no_kissing_corner(pixels: NDArray[np.bool_], fix: tuple[str, int]) -> None:
    fixed = fix_corners(pixels, fix[0])
    assert not brute_corners(fixed)
    # Pixels only ever come (fill) or go (erode), and none where there was nothing to fix.
    assert ((fixed.astype(int) - pixels) * fix[1] >= 0).all()
    assert (fixed == pixels).all() == (not brute_corners(pixels))
    # To erode a mask is to fill its complement.
    np.testing.assert_array_equal(fix_corners(~pixels, "erode"), ~fix_corners(pixels, "fill"))


def test_waived_corners_stay_and_are_not_reported() -> None:
    pixels = np.eye(3, dtype=bool)
    np.testing.assert_array_equal(fix_corners(pixels, "waive"), pixels)
    (corner,) = check_rules([pixels], MICRON).violations
    assert (corner.rule, corner.count) == ("kissing corner", 2)
    assert corner.places == ((0, 2, 0, 2), (1, 3, 1, 3))
    assert check_rules([pixels], MICRON, Rules(kissing_corners=True)).ok
    with pytest.raises(ValueError, match="fix: expected fill, erode or waive, got 'cut'"):
        fix_corners(pixels, "cut")


def test_grid_and_extent() -> None:
    plain = np.ones((4, 6), dtype=bool)
    assert check_rules([plain], MICRON, Rules(grid="0.25 um", max_extent="6 um")).ok
    report = check_rules([plain], (1e-6, 1.1e-6), Rules(grid="0.25 um", max_extent="6 um"))
    assert [violation.rule for violation in report.violations] == ["grid", "extent"]
    assert "along x that is a multiple of 250 nm, got 1100 nm" in str(report)
    assert "at most 0.006 mm along x, got 0.0066 mm" in str(report)


def test_strict_check_is_an_error_with_the_report() -> None:
    with pytest.raises(RuleError, match=r"kissing corner of layer 1: .*got 1 hits") as caught:
        check_rules([np.eye(2)], MICRON, strict=True)
    assert caught.value.report.violations[0].count == 1
    assert str(check_rules([np.ones((2, 2))], MICRON, strict=True)) == "No rule is broken."


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([], "layers: expected at least one"),
        ([np.ones((2, 2)), np.ones((2, 3))], "all of one shape"),
        ([np.array([[0, 2]])], "layer 1: expected a plane of booleans"),
        ([np.ones(3)], "layer 1: expected a plane of booleans"),
    ],
)
def test_layers_that_are_no_binary_planes_are_refused(layers: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_rules(layers, MICRON)


def test_rules_want_lengths() -> None:
    with pytest.raises(ValueError, match="Rules min_gap: expected more than 0 m"):
        Rules(min_gap="0 um")
    with pytest.raises(TypeError, match="Rules grid: expected a quantity"):
        Rules(grid=1.0)


def test_figure_marks_the_places_of_its_layer() -> None:
    pixels = np.eye(4, dtype=bool)
    report = check_rules({"a": pixels, "b": np.ones((4, 4))}, MICRON)
    axes = show_violations(pixels, report, layer="a").axes[0]
    drawn: list[Any] = list(axes.patches)
    corners = {tuple(patch.get_xy().min(axis=0)) for patch in drawn}
    assert corners == {(-0.5, -0.5), (0.5, 0.5), (1.5, 1.5)}
    assert not show_violations(pixels, report, layer="b").axes[0].patches


def library(*polygons: Any, name: str = "DIE") -> Any:
    made = gdstk.Library("TEST")
    made.add(gdstk.Cell(name).add(*(polygons or (gdstk.rectangle((0, 0), (1, 1)),))))
    return made


def chain_of(depth: int) -> Any:
    made = library(name="C0")
    for k in range(1, depth):
        made.add(gdstk.Cell(f"C{k}").add(gdstk.Reference(made.cells[-1])))
    return made


def many_points(count: int) -> Any:
    return gdstk.regular_polygon((0, 0), 100, count)


WRITTEN = library(gdstk.rectangle((0, 0), (1, 1)))
WRITTEN.cells[0].add(gdstk.Label("hello", (0, 0)))


@pytest.mark.parametrize(
    ("layout", "profile", "sentence"),
    [
        (library(name="doMAINe"), "heidelberg_mla150", "no cell name with 'main' in it, got doMAINe"),
        (library(name="A-B"), "generic", "cell names of A-Za-z0-9"),
        (library(name="A" * 33), "generic", "at most 32 characters"),
        (library(name="A$"), "heidelberg_mla150", "cell names of"),
        (library(many_points(8191)), "generic", "at most 8190 vertices of a polygon, got 8191 in DIE"),
        (library(many_points(200)), "ebeam", "at most 199 vertices"),
        (library(many_points(5)), "oasis_mask", "at most 4 vertices"),
        (chain_of(17), "heidelberg_dwl66", "at most 16 levels of hierarchy, got 17"),
        (chain_of(4), "oasis_mask", "at most 3 levels"),
        (library(gdstk.rectangle((0, 0), (2.1e6, 1))), "heidelberg_dwl66", "at most 2.0 m, got 2.1 m in DIE"),
        (library(gdstk.rectangle((0, 0), (1, 1), layer=256)), "generic", "layers 0 to 255, got 256"),
        (
            library(gdstk.rectangle((0, 0), (1, 1)), gdstk.rectangle((0, 0), (1, 1), layer=1)),
            "oasis_mask",
            "at most 1 layers",
        ),
        (library(gdstk.rectangle((0, 0), (0, 1))), "generic", "no polygon without area"),
        (library(gdstk.Polygon([(0, 0), (1, 0), (1, 0), (1, 1)])), "generic", "the same vertex twice"),
        (library(gdstk.Polygon([(0, 0), (1, 0), (1, 1), (0, 0)])), "generic", "the same vertex twice"),
        (WRITTEN, "generic", "labels as polygons"),
    ],
)
def test_what_a_tool_refuses_is_found(layout: Any, profile: str, sentence: str) -> None:
    findings = check_profile(layout, profile)
    assert any(sentence in finding.text for finding in findings), findings
    with pytest.raises(ValueError, match=f"profile {profile}: expected a layout that it takes"):
        check_profile(layout, profile, strict=True)


def test_limits_are_met_exactly() -> None:
    assert check_profile(chain_of(16), "heidelberg_dwl66") == []
    assert check_profile(library(many_points(8190)), "generic") == []
    assert check_profile(library(name="A" * 32), "generic", strict=True) == []


def test_references_and_tops_are_counted() -> None:
    made = library()
    made.add(gdstk.Cell("TOP").add(*(gdstk.Reference(made.cells[0], (k, 0)) for k in range(3))))
    assert check_profile(made, Profile("few", max_references=3)) == []
    (finding,) = check_profile(made, Profile("few", max_references=2))
    assert "at most 2 references, got 3" in finding.text
    made.add(gdstk.Cell("OTHER").add(gdstk.rectangle((0, 0), (1, 1))))
    assert "one top cell, got" in check_profile(made, Profile("one", one_top=True))[0].text


def test_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"profile: expected one of .*oasis_mask.*, got 'laser'"):
        check_profile(library(), "laser")
    assert profiles()["heidelberg_mla150"].forbidden == ("main",)
