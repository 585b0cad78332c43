"""Codes: parts, checks, and numbering in reading order without using a number twice."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gridmgmt.errors import InputError
from gridmgmt.grids.codes import (
    check_code,
    check_division,
    from_20,
    is_merged,
    make_code,
    number_grids,
    parent_code,
    parse_code,
    to_20,
)
from gridmgmt.grids.lineage import LINEAGE_NAMES, LineageKind, kind_of
from gridmgmt.grids.models import Level


def test_a_code_says_county_town_village_and_number() -> None:
    code = parse_code("999999001002003")
    assert (code.county, code.town, code.village, code.sequence) == ("999999", "999999001", "999999001002", 3)


@given(village=st.from_regex(r"[1-9][0-9]{11}", fullmatch=True), number=st.integers(1, 999))
def test_a_made_code_parses_back_to_what_it_was_made_of(village: str, number: int) -> None:
    parts = parse_code(make_code(village, number))
    assert (parts.village, parts.sequence, str(parts)) == (village, number, make_code(village, number))


@pytest.mark.parametrize(
    "bad", ["", "99999900100200", "99999900100200A", "９９９９９９００１００２００３", "999999001002000"]
)
def test_what_is_not_fifteen_plain_digits_with_a_number_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="code"):
        parse_code(bad)


def test_a_code_of_another_village_is_refused() -> None:
    with pytest.raises(InputError, match="begins with its village's 999999001003"):
        check_code("999999001002003", "999999001003")


def test_the_level_and_the_parent_follow_from_a_division_code() -> None:
    assert [check_division(code) for code in ("999999", "999999001", "999999001002")] == list(Level)
    assert [parent_code(code) for code in ("999999", "999999001", "999999001002")] == [
        None,
        "999999",
        "999999001",
    ]


def test_a_level_or_parent_that_contradicts_the_code_is_refused() -> None:
    with pytest.raises(InputError, match="level: found 'village', allowed: town"):
        check_division("999999001", "village")
    with pytest.raises(InputError, match="parent: found '999998', allowed: 999999,"):
        check_division("999999001", parent="999998")
    with pytest.raises(InputError, match="6 digits"):
        check_division("9999990011")


def squares(*corners: tuple[float, float]) -> list[shapely.Polygon]:
    return [shapely.box(x, y, x + 1, y + 1) for x, y in corners]


def test_numbers_run_west_to_east_then_north_to_south() -> None:
    assert number_grids(squares((1, 0), (0, 0), (1, 1), (0, 1))).tolist() == [4, 3, 2, 1]


def test_grids_a_little_out_of_line_still_make_one_row() -> None:
    assert number_grids(squares((0, 0.0), (1, 0.3), (2, -0.1), (0.5, -1.2))).tolist() == [1, 2, 3, 4]


def test_a_number_once_given_is_never_given_again() -> None:
    assert number_grids(squares((0, 0), (1, 0), (2, 0)), taken={1, 3}).tolist() == [2, 4, 5]


def test_a_village_whose_numbers_are_used_up_is_told_so() -> None:
    with pytest.raises(InputError, match="at most 0"):
        number_grids(squares((0, 0)), taken=range(1, 1000))


@given(seed=st.integers(0, 1000), count=st.integers(0, 30))
def test_numbers_do_not_depend_on_the_order_of_the_file(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = np.array(squares(*rng.uniform(0, 9, (count, 2)).tolist()), dtype=object)
    order = rng.permutation(count)
    assert np.array_equal(number_grids(shapes)[order], number_grids(shapes[order]))


# --- 20 digits


def test_the_twenty_digits_are_class_county_street_community_and_number() -> None:
    assert to_20("379981001002003", object_class="060101") == "060101" + "379981" + "001" + "002" + "03"


@given(
    village=st.from_regex(r"[1-9][0-9]{11}", fullmatch=True),
    number=st.integers(1, 99),
    object_class=st.from_regex(r"[0-9]{6}", fullmatch=True),
)
def test_twenty_digits_come_back_as_the_fifteen(village: str, number: int, object_class: str) -> None:
    code = make_code(village, number)
    parts, found = from_20(to_20(code, object_class))
    assert (str(parts), found) == (code, object_class)


def test_a_number_over_99_has_no_room_in_twenty_digits() -> None:
    with pytest.raises(InputError, match="up to 99"):
        to_20("379981001002100", object_class="060101")


@pytest.mark.parametrize(
    "bad", ["", "0601013799810010020", "06010137998100100200", "０6010137998100100203", "379981001002003"]
)
def test_what_is_not_twenty_plain_digits_with_a_number_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="20 digits"):
        from_20(bad)


def test_an_object_class_has_six_digits() -> None:
    with pytest.raises(InputError, match="object class"):
        to_20("379981001002003", object_class="0601")


def test_merged_communities_are_numbered_from_601() -> None:
    assert [is_merged(f"379981001{number}") for number in ("001", "600", "601", "999")] == [
        False,
        False,
        True,
        True,
    ]


# --- lineage


@pytest.mark.parametrize(
    ("links", "kinds"),
    [
        ({("a", "b"), ("a", "c")}, {LineageKind.SPLIT}),
        ({("a", "c"), ("b", "c")}, {LineageKind.MERGE}),
        ({("a", "b")}, {LineageKind.RENAME}),  # renumbered
        ({("a", "a"), ("a", "b"), ("b", "b")}, {LineageKind.SHIFT}),
        ({("a", "a"), ("a", "n")}, {LineageKind.SHIFT, LineageKind.SPLIT}),  # a new one cut off
        ({("a", "b"), ("b", "b")}, {LineageKind.SHIFT, LineageKind.MERGE}),  # swallowed
    ],
)
def test_how_grids_became_others_follows_from_their_codes(
    links: set[tuple[str, str]], kinds: set[LineageKind]
) -> None:
    assert {kind_of(old, new, links) for old, new in links} == kinds


def test_a_grid_that_kept_code_and_ground_was_renamed() -> None:
    assert kind_of("a", "a", {("a", "a")}, moved=False) == LineageKind.RENAME
    assert set(LINEAGE_NAMES) == set(LineageKind)
