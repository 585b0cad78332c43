"""The issue pool: what counts as told twice."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmgmt.errors import InputError
from gridmgmt.incidents.pool import FOLD_DAYS, FOLD_METRES, problems

METRE = 1 / 111_195.0  # of latitude, in degrees
START = date(2025, 7, 1)


def opened(*matters: tuple[float, int, int]) -> list[int]:
    """Fold matters at (metres north, days after the start, category)."""
    north, after, category = zip(*matters, strict=True)
    lat = 33 + np.array(north) * METRE
    day = np.array([START + timedelta(days) for days in after], dtype="datetime64[D]")
    return problems(np.full(len(lat), 114.0), lat, np.array(category), day).tolist()


def test_one_burst_pipe_told_three_times_is_one_problem() -> None:
    assert opened((0, 0, 1), (30, 3, 1), (49, 14, 1)) == [0, 0, 0]


def test_farther_later_or_of_another_kind_is_a_problem_of_its_own() -> None:
    assert opened((0, 0, 1), (51, 0, 1), (0, 15, 1), (0, 0, 2)) == [0, 1, 2, 3]


def test_trouble_all_summer_in_one_place_stays_much_trouble() -> None:
    daily = opened(*((0, day, 1) for day in range(60)))
    assert len(set(daily)) == 4  # days 0, 15, 30 and 45 open a problem


def test_what_was_folded_takes_nothing_in() -> None:
    # The second is told of the first; the third is near the second only.
    assert opened((0, 0, 1), (40, 5, 1), (80, 6, 1)) == [0, 0, 2]


def test_a_matter_without_a_place_is_a_problem_by_itself() -> None:
    day = np.array([START] * 3, dtype="datetime64[D]")
    lat = np.array([np.nan, 33.0, np.nan])
    assert problems(np.array([np.nan, 114.0, 114.0]), lat, np.ones(3), day).tolist() == [0, 1, 2]
    assert problems(np.empty(0), np.empty(0), np.empty(0), np.empty(0, "datetime64[D]")).tolist() == []
    with pytest.raises(InputError, match="one length"):
        problems(lat, lat, lat, day[:2])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 40), st.integers(0, 1)), min_size=1))
def test_folding_is_that_of_the_plain_rule(matters: list[tuple[int, int, int]]) -> None:
    leaders: list[int] = []
    expected = list(range(len(matters)))
    for row in sorted(range(len(matters)), key=lambda row: (matters[row][1], row)):
        north, day, category = matters[row]
        near = [
            each
            for each in leaders
            if matters[each][2] == category
            and abs(matters[each][0] - north) <= FOLD_METRES
            and day - matters[each][1] <= FOLD_DAYS
        ]
        # The one that opened first takes it in.
        if near:
            expected[row] = near[0]
        else:
            leaders.append(row)
    assert opened(*matters) == expected
