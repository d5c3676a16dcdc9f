"""The door for quantities: what comes in with a unit, and what is refused."""

import math

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optics4f.grid import Grid
from optics4f.units import Quantity, compact, mm, nm, positive_si, si, um

ROUNDING = 1e-14  # a prefix and a unit are a few roundings of 1.1e-16 each
LENGTHS = {"pm": 1e-12, "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3}


def test_532_nm_as_text_and_as_quantity() -> None:
    assert si("532 nm", "m", "wavelength") == pytest.approx(5.32e-7, rel=ROUNDING)
    assert si(532 * nm, "m", "wavelength") == si("532 nm", "m", "wavelength")


@given(st.floats(1e-6, 1e6), st.sampled_from(sorted(LENGTHS)))
def test_text_with_any_prefix_is_the_number_times_the_prefix(number: float, unit: str) -> None:
    assert si(f"{number!r} {unit}", "m", "length") == pytest.approx(number * LENGTHS[unit], rel=ROUNDING)


@given(st.floats(1e-15, 1e6), st.sampled_from(["m", "s", "W", "bit/s", "byte", "1/m"]))
def test_text_for_people_reads_back_as_the_same_number(number: float, unit: str) -> None:
    # Four significant digits are written: half a unit of the fourth is at most 5e-4 of the number.
    assert si(compact(number, unit), unit, "number") == pytest.approx(number, rel=5.1e-4)


@pytest.mark.parametrize("wrong", ["5 s", "5 W", 5 * um**2, "100 kB/s"])
def test_another_dimension_is_refused(wrong: object) -> None:
    with pytest.raises(pint.DimensionalityError, match=r"focal length: expected m, got"):
        si(wrong, "m", "focal length")


@pytest.mark.parametrize("bare", [532, 532.0, "532", None, True, [1, 2]])
def test_a_number_without_unit_is_refused(bare: object) -> None:
    with pytest.raises(TypeError, match=r"wavelength: expected a quantity with a unit such as '1 m', got"):
        si(bare, "m", "wavelength")


@pytest.mark.parametrize(
    "text", ["", "nm 532", "532 nm ??", "5 parrots", "5 m (", "five mm", "2 mm 3", "5 m - 3 m"]
)
def test_unreadable_text_is_refused(text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=r"pitch: expected a quantity"):
        si(text, "m", "pitch")


@pytest.mark.parametrize("text", ["1,5 mm", "12 500 um", "1_000 um", "1'000 um"])
def test_separators_are_refused_and_never_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r"pitch: expected a quantity in m such as '1 m', got"):
        si(text, "m", "pitch")


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("5 µm", "m", 5e-6),
        ("5 μm", "m", 5e-6),
        (" 1.5e3um ", "m", 1.5e-3),
        ("+.5 mm", "m", 5e-4),
        ("2 1/mm", "1/m", 2e3),
        ("2 / mm", "1/m", 2e3),
        ("3 m²", "m^2", 3.0),
        ("3 W / m**2", "W/m^2", 3.0),
        ("180 deg", "rad", math.pi),
        ("180°", "rad", math.pi),
        ("3 %", "", 0.03),
    ],
)
def test_common_ways_to_write_a_quantity(text: str, unit: str, number: float) -> None:
    assert si(text, unit, "value") == pytest.approx(number, rel=ROUNDING)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="expected a finite quantity in m"):
        si(number * mm, "m", "length")


@pytest.mark.parametrize("number", [0.0, -1.0])
def test_positive_means_more_than_zero(number: float) -> None:
    with pytest.raises(ValueError, match="length: expected more than 0 m"):
        positive_si(number * mm, "m", "length")
    assert si(number * mm, "m", "length") == pytest.approx(number * 1e-3, rel=ROUNDING)


def test_bytes_are_decimal_and_eight_bits() -> None:
    assert si("100 kB", "byte", "size") == 100_000
    assert si("100 kB", "bit", "size") == 800_000
    assert si("1 KiB", "byte", "size") == 1024
    assert si("2500 Mbit/s", "bit/s", "rate") == 2.5e9
    assert si("312.5 MB/s", "bit/s", "rate") == 2.5e9


@pytest.mark.parametrize(
    ("wrong", "unit"), [("5 Hz", "bit/s"), ("3 rad", "bit"), ("3", "byte"), ("8 bit", "rad"), ("8 bit", "")]
)
def test_a_bit_is_neither_a_pure_number_nor_an_angle(wrong: str, unit: str) -> None:
    with pytest.raises(TypeError, match="size: expected a quantity"):
        si(wrong, unit, "size")


def test_seconds_for_metres_raise_in_a_grid() -> None:
    with pytest.raises(pint.DimensionalityError, match="Grid spacing: expected m, got 8 second"):
        Grid((4, 4), "8 s")


@pytest.mark.parametrize(
    ("shape", "spacing", "error", "words"),
    [
        ((4, 4), 8e-6, TypeError, "bare number"),
        ((4, 4), (8 * um, 8 * um, 8 * um), TypeError, "pair"),
        ((4, 4), (8 * um, 8e-6), TypeError, "bare number"),
        ((4, 4), 0 * um, ValueError, "more than 0 m"),
        ((4, 4), -8 * um, ValueError, "more than 0 m"),
        ((4, 4), math.nan * um, ValueError, "finite"),
        ((0, 4), 8 * um, ValueError, "at least one sample"),
        ((4.0, 4), 8 * um, TypeError, "two integers"),
        (4, 8 * um, TypeError, "two integers"),
        ((True, 4), 8 * um, TypeError, "two integers"),
    ],
)
def test_a_grid_refuses_what_it_cannot_mean(
    shape: object, spacing: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        Grid(shape, spacing)  # type: ignore[arg-type]


@given(st.integers(1, 64), st.floats(1e-7, 1e-3), st.floats(1e-7, 2e-6), st.floats(1e-3, 1.0))
def test_two_lenses_bring_back_the_grid(count: int, spacing: float, wavelength: float, focal: float) -> None:
    grid = Grid((count, count), Quantity(spacing, "m"))
    back = grid.behind_lens(wavelength, focal).behind_lens(wavelength, focal)
    assert back.spacing == pytest.approx(grid.spacing, rel=ROUNDING)  # lambda f / (N lambda f / (N dx)) = dx
