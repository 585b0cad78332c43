"""The card of one area over the map's column: figures, years, list items, who is responsible."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.db.models import Role
from gridmgmt.errors import NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.hotspots.boundaries import has_changed, only_the_boundary
from gridmgmt.hotspots.place import Place as Ground
from gridmgmt.incidents import service as incidents
from gridmgmt.incidents.figures.stored import newest_day
from gridmgmt.incidents.handling import counts
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks import stored as tasks
from gridmgmt.seasonal.tasks.models import STATUS_NAMES, TaskStatus
from gridmgmt.web import area_trend, ranking, year_list
from gridmgmt.web.access import allow
from gridmgmt.web.areas import LEVELS, Place, Territory, territory
from gridmgmt.web.choice import Choice, period_key, period_name, read_choice
from gridmgmt.web.data import MAP_READERS
from gridmgmt.web.databases import reader
from gridmgmt.web.matters.blueprint import LISTERS
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import own_area, own_staff

pages = Blueprint("area_card", __name__, url_prefix="/areas")

CATEGORIES, COMING = 6, 6


@dataclass(frozen=True)
class Change:
    """How an area's count differs from the same days before; `recorded` as the books of then had it, where
    the boundary has moved since and only that makes the difference."""

    previous: int
    words: str
    clear: bool
    period: str
    recorded: int | None


@dataclass(frozen=True)
class Share:
    """A category of an area: matters, and what the city's rate would put there; None where not known."""

    code: str
    name: str
    count: int
    expected: float | None


@dataclass(frozen=True)
class Coming:
    """A list item that concerns an area, and where its task stands: '' where none was handed out."""

    item: Item
    task: str
    done: bool


@dataclass(frozen=True)
class Contacts:
    """Who is responsible: chiefs by grid, how many grids have none, and the town office."""

    chiefs: tuple[tuple[str, str], ...]
    grids: int
    vacant: int
    town: str


@pages.get("/<code>")
@allow(*MAP_READERS)
def card(code: str) -> Any:
    """The card of a grid, village or town inside the own area; a fragment for htmx, else a page."""
    with reader().connect() as connection:
        here = territory(connection)
        place = _place(here, code)
        choice = read_choice(dict(request.args) | {"level": place.level}, connection)
        line = next(iter(ranking.of_choice(connection, choice, here, code, own=own_staff())), None)
        shown = _shown(connection, here, place, choice, line)
    template = "area_card_part.html" if request.headers.get("HX-Request") else "area_card.html"
    return render_template(
        template,
        here=here,
        place=place,
        choice=choice,
        line=line,
        level_name=LEVELS[place.level],
        few=place.few(own=own_staff()),
        fewest=FEWEST_HOUSEHOLDS,
        period_name=period_name(choice.run) if choice.run else "",
        periods=[(period_key(run), period_name(run)) for run in choice.runs],
        listed=_lister(place, choice),
        back=_back(place, choice),
        **shown,
    )


def _place(here: Territory, code: str) -> Place:
    found = here.place(code) if code.startswith(own_area()) else None
    if found is None:
        raise NotFoundError(f"no area {code!r} in the area of {current_user.who.username}")
    return found


def _shown(
    connection: Connection, here: Territory, place: Place, choice: Choice, line: Line | None
) -> dict[str, Any]:
    few, ground = place.few(own=own_staff()), Ground(connection, place.code, here.grids)
    known = incidents.categories(connection)
    within = known.below(choice.category) if choice.category else None
    return {
        "trend": None if few else _trend(connection, ground, place, choice, within),
        "change": _change(choice, line),
        "shares": [] if few else _shares(connection, ground, choice, line, known, within),
        "coming": _coming(connection, place, within),
        "open": counts.open_in(connection, place.code, datetime.now(UTC)) if _lists() else None,
        "contacts": _contacts(here, place),
    }


def _lists() -> bool:
    """Say whether this person sees how matters are handled: planners see counts on the map alone."""
    return current_user.role in LISTERS


def _lister(place: Place, choice: Choice) -> Callable[..., str] | None:
    """Return what gives the address of the list of matters behind a number; None for who may not see it."""
    if not _lists():
        return None

    def address(endpoint: str = "matters.everything", **changed: str) -> str:
        days = {"from": choice.run.start.isoformat(), "to": choice.run.end.isoformat()} if choice.run else {}
        given = {"area": place.code, "category": choice.category, **days} | changed
        asked: dict[str, Any] = {name: value for name, value in given.items() if value}
        return url_for(endpoint, **asked)

    return address


def _back(place: Place, choice: Choice) -> str:
    """Return the address of the map with the same choice, at a level that this person's map has."""
    if current_user.role is Role.GRID_WORKER:
        return url_for("grid.own_map")
    office = current_user.role is Role.TOWN_OFFICER
    level = "grid" if office and place.level == "town" else place.level
    arguments: dict[str, Any] = choice.arguments(level=level)
    return url_for("overview.office" if office else "overview.command", **arguments)


# --- the period


def _change(choice: Choice, line: Line | None) -> Change | None:
    found = line.result if line else None
    if choice.run is None or choice.run.previous is None or found is None or found.previous is None:
        return None
    before, now = found.previous, found.count
    share = f"{(now - before) / before:+.0%}" if before else f"{now - before:+d} 件"
    clear = has_changed(now, before)
    moved = only_the_boundary(now, before, found.recorded_previous)
    return Change(
        previous=before,
        words=share.replace("-", "−"),
        clear=clear,
        period="-".join(f"{day:%Y%m%d}" for day in choice.run.previous),
        recorded=found.recorded_previous if moved else None,
    )


def _shares(
    connection: Connection,
    ground: Ground,
    choice: Choice,
    line: Line | None,
    known: incidents.Categories,
    within: set[str] | None,
) -> list[Share]:
    """Return the most frequent categories of the period beside what the city's rate would put there."""
    if choice.run is None:
        return []
    found = ground.categories(choice.run.start, choice.run.end, within)
    city = {each.category: each.count for each in hotspots.fields(connection, choice.run.id)}
    whole = city.get(choice.category)
    share = line.expected / whole if line and line.expected and whole else None
    return [
        Share(code, known.name(code), count, city[code] * share if code in city and share else None)
        for code, count in list(found.items())[:CATEGORIES]
    ]


# --- the years


def _trend(
    connection: Connection, ground: Ground, place: Place, choice: Choice, within: set[str] | None
) -> area_trend.Trend | None:
    newest = newest_day(connection)
    if newest is None:
        return None
    # What was analysed is what is known; to ask all matters for their first day would take longest of all.
    first = min((run.start for run in choice.runs), default=None)
    years = area_trend.years_shown(newest, first)
    year = _list_year(connection)
    expected = None
    if year and choice.category:  # all categories together hold some without a season
        run = seasonal.run_of(connection, year)
        _, cells = seasonal.expected_cells(connection, run, place.code, choice.category)
        expected = cells.sum(axis=0) if len(cells) else None
    return area_trend.draw(ground.years(years, within), newest, expected, year)


def _list_year(connection: Connection) -> int:
    known = seasonal.years(connection)
    today = china_today().year
    return today if today in known else max(known, default=0)


# --- what comes


def _coming(connection: Connection, place: Place, within: set[str] | None) -> list[Coming]:
    """Return list items of the area and of what it lies in that are still to come, the first to act first."""
    today = china_today()
    years = [year for year in sorted(seasonal.years(connection)) if year >= today.year]
    own = [
        item
        for year in years
        for item in year_list.items(connection, year, [place.code])
        if item.end_on >= today and _concerns(item, place) and (within is None or item.category in within)
    ]
    own.sort(key=lambda item: (item.act_by < today, item.act_by, item.category))
    states = tasks.by_item(connection, [item.id for item in own[:COMING]])
    return [_with_task(item, states) for item in own[:COMING]]


def _concerns(item: Item, place: Place) -> bool:
    """Of a town or the city only what concerns this area is shown: its own, and what stands above it."""
    return place.level != "town" or len(item.area) <= DIGITS["village"] or item.area == place.code


def _with_task(item: Item, states: Mapping[int, TaskStatus]) -> Coming:
    state = states.get(item.id)
    return Coming(item, STATUS_NAMES[state] if state else "", done=state is TaskStatus.DONE)


# --- who


def _contacts(here: Territory, place: Place) -> Contacts:
    inside = here.inside("grid", place.code)
    chiefs = tuple((each.name, each.chief) for each in inside if each.chief)
    town = here.name(place.code[: DIGITS["town"]])
    return Contacts(chiefs, len(inside), len(inside) - len(chiefs), town)
