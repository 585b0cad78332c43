"""How well does a list repeat what was planted in the sample city, and is it silent where nothing was?"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from gridmgmt.errors import FileError, InputError
from gridmgmt.hotspots.cube import Located
from gridmgmt.seasonal import clocks
from gridmgmt.seasonal.finder import Finder
from gridmgmt.seasonal.stored import Item

XUN_DAYS = 10  # a start within as many days is within one 旬


@dataclass(frozen=True)
class Planted:
    """A planted season in the list's year; `areas` are the codes of the places that have it."""

    category: str
    clock: str
    start: date
    areas: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """A list against the planted truth.

    Attributes
    ----------
    planted, found, recall : seasons; found is one with an item in its place, on its clock, that starts within
        one 旬 of the truth
    listed, precision : items, and the share of them that are of a planted season, in its place and within one
        旬 of its start
    clock_right : share of planted seasons whose items are all on the right clock
    start_error_xun_p95 : 95th percentile over items of planted categories, in 旬
    places, places_found : planted places (grids, towns or the city), and those with an item of their own
        season in them or around them
    """

    planted: int
    found: int
    recall: float
    listed: int
    precision: float
    clock_right: float
    start_error_xun_p95: float | None
    places: int
    places_found: int


def read_truth(path: Path, year: int) -> list[Planted]:
    """Return the seasons that the sample city's `truth.json` plants in a year.

    Raises FileError when there is no such file or it knows no such year.
    """
    try:
        seasons = json.loads(path.read_text(encoding="utf-8"))["seasonal"]
        return [_planted(season, str(year)) for season in seasons]
    except (OSError, ValueError, KeyError) as error:
        wanted = f"the truth of a sample city that knows {year}: gridmgmt demo writes one"
        raise FileError(path, "truth", repr(error), wanted) from error


def _planted(season: dict[str, Any], year: str) -> Planted:
    start = date.fromisoformat(season["dates"][year]["start"])
    return Planted(season["category"], season["clock"], start, tuple(season["area_codes"]))


def score(items: Sequence[Item], planted: Sequence[Planted]) -> Score:
    """Return how a list compares with what was planted; items that were cut for capacity count as listed."""
    right = [any(_is_of(item, one) for one in planted) for item in items]
    found = [any(_is_of(item, one) and item.clock == one.clock for item in items) for one in planted]
    errors = [_start_error(item, planted) for item in items]
    known = [error for error in errors if error is not None]
    places = [(one, area) for one in planted for area in one.areas]
    reached = sum(
        any(
            _is_of(item, one) and _share_ground(item.area, area)
            for item in items
            if item.category == one.category
        )
        for one, area in places
    )
    return Score(
        planted=len(planted),
        found=sum(found),
        recall=round(sum(found) / len(planted), 4) if planted else 1.0,
        listed=len(items),
        precision=round(sum(right) / len(items), 4) if items else 1.0,
        clock_right=round(sum(_clock_right(items, one) for one in planted) / len(planted), 4)
        if planted
        else 1.0,
        start_error_xun_p95=round(float(np.percentile(known, 95)), 2) if known else None,
        places=len(places),
        places_found=reached,
    )


def _share_ground(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _days_off(item: Item, one: Planted) -> int:
    return abs((item.start_on - one.start).days)


def _is_of(item: Item, one: Planted) -> bool:
    placed = any(_share_ground(item.area, area) for area in one.areas)
    return item.category == one.category and placed and _days_off(item, one) <= XUN_DAYS


def _clock_right(items: Sequence[Item], one: Planted) -> bool:
    clocks_found = {item.clock for item in items if item.category == one.category}
    return clocks_found == {one.clock}


def _start_error(item: Item, planted: Sequence[Planted]) -> float | None:
    off = [_days_off(item, one) for one in planted if one.category == item.category]
    return min(off) / XUN_DAYS if off else None


# --- null cities


def null_city(located: Located, seed: int) -> Located:
    """Return the same matters with their days drawn anew within their year, every day alike.

    Grids, categories and years keep their numbers; whatever season there was is gone. It is drawn after
    duplicates were folded, so that no two tell of one event.
    """
    rng = np.random.default_rng(seed)
    year = located.day.astype("datetime64[Y]")
    first = year.astype("datetime64[D]")
    length = ((year + 1).astype("datetime64[D]") - first).astype(int)
    return replace(located, day=first + rng.integers(0, length))


def null_lists(located: Located, cities: int, seed: int) -> Iterator[int]:
    """Yield how many items each of some null cities has, made of `located` problems of whole years.

    Raises InputError for fewer than one city.
    """
    if cities < 1:
        raise InputError("cities", cities, "at least 1")
    year = located.day.astype("datetime64[Y]").astype(int) + 1970
    days = clocks.days_between(date(int(year.min()), 1, 1), date(int(year.max()), 12, 31))
    for each in np.random.SeedSequence(seed).generate_state(cities).tolist():
        yield len(Finder(null_city(located, each), days, each).run().listed)
