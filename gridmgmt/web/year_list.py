"""The seasonal list as pages read it: kept for a minute, because every page of it needs the whole year."""

import time
from collections import OrderedDict
from collections.abc import Collection
from threading import Lock

from sqlalchemy import Connection

from gridmgmt.errors import NotFoundError
from gridmgmt.incidents import service as incidents
from gridmgmt.seasonal import stored
from gridmgmt.seasonal.stored import Item, YearList
from gridmgmt.web.areas import territory

# A chief or a category renamed shows after this many seconds; a list built anew at once.
KEPT_SECONDS = 60
KEPT = 6

_kept: OrderedDict[tuple[object, ...], YearList] = OrderedDict()
_lock = Lock()


def items(
    connection: Connection, year: int, areas: Collection[str] | None, category: str | None = None
) -> list[Item]:
    """Return the items of a year that speak for these places, in the order of their days to act."""
    found = _list(connection, year).speaking_for(areas)
    if category is None:
        return found
    codes = set(incidents.categories(connection).below(category))
    return [item for item in found if item.category in codes]


def _list(connection: Connection, year: int) -> YearList:
    try:
        run = stored.run_of(connection, year).id
    except NotFoundError:
        return YearList([], {})
    minute = int(time.monotonic() / KEPT_SECONDS)
    key = (str(connection.engine.url), year, run, territory(connection).version, minute)
    with _lock:
        found = _kept.get(key)
    if found is None:  # two requests may both read it: better than one waiting for the other
        found = stored.year_list(connection, year)
    with _lock:
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found
