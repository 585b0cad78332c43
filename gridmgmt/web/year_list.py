"""The seasonal list as pages read it: kept, because every page of it needs the whole year."""

import time
from collections.abc import Collection

from sqlalchemy import Connection

from gridmgmt.errors import NotFoundError
from gridmgmt.seasonal import stored
from gridmgmt.seasonal.stored import Item, Names, YearList
from gridmgmt.web.areas import territory
from gridmgmt.web.kept import Kept

# A chief or a category renamed shows after this many seconds; a list built anew at once.
KEPT_SECONDS = 60

KEPT: Kept[YearList] = Kept(6, alone=True)
NAMES: Kept[Names] = Kept(1)


def items(
    connection: Connection, year: int, areas: Collection[str] | None, category: str | None = None
) -> list[Item]:
    """Return the items of a year that speak for these places, in the order of their days to act."""
    try:
        run = stored.run_of(connection, year).id
    except NotFoundError:
        return []
    where, minute = str(connection.engine.url), int(time.monotonic() / KEPT_SECONDS)
    known = NAMES.get(where, lambda: stored.names(connection), (territory(connection).version, minute))
    kept = KEPT.get((where, year), lambda: stored.year_list(connection, year, known), (run, known))
    found = kept.speaking_for(areas)
    if category is None:
        return found
    codes = known.categories.below(category)
    return [item for item in found if item.category in codes]


def item(connection: Connection, number: int, areas: Collection[str] | None) -> Item | None:
    """Return one item by its number, None when it does not speak for these places (None for all)."""
    year = stored.year_of(connection, number)
    found = items(connection, year, areas) if year else []
    return next((each for each in found if each.id == number), None)
