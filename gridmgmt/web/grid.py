"""The grid chief's phone: what to do now, and the own grid on a map."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db.models import Role
from gridmgmt.households.actor import on_roster
from gridmgmt.households.visits import stored as visits
from gridmgmt.households.visits import surveys
from gridmgmt.households.visits.stored import Due
from gridmgmt.households.visits.surveys import Share, SurveyLine
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Who
from gridmgmt.incidents.handling import stored as handling
from gridmgmt.incidents.handling.stored import Filter, Line
from gridmgmt.incidents.terms import Tier
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks import stored as stored_tasks
from gridmgmt.seasonal.tasks.stored import Task
from gridmgmt.web import ranking, say, tasks, year_list
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.choice import period_name, read_choice
from gridmgmt.web.databases import matters, reader, roster
from gridmgmt.web.overview import city_map
from gridmgmt.web.scope import actor, listed_areas, matter_actor, own_area

pages = Blueprint("grid", __name__, url_prefix="/grid")

# How many cards of what is not yet due stand open, and how many matters among all.
LATER, MOST_MATTERS = 6, 8


@dataclass(frozen=True)
class Card:
    """One thing to do: `kind` says what `thing` is (task, item, round, matter), `due` by when."""

    due: date
    kind: str
    thing: Any


@pages.get("")
@allow(Role.GRID_WORKER)
def today() -> Any:
    now = china_today()
    with reader().connect() as connection:
        here = territory(connection)
        years = [year for year in sorted(seasonal.years(connection)) if year >= now.year]
        items = [item for year in years for item in year_list.items(connection, year, listed_areas())]
        wider = stored_tasks.by_item(connection, [item.id for item in items])
        choice = read_choice(request.args, connection, ("grid",))
        found = ranking.of_choice(connection, choice, here, own_area(), own=True)
    with tasks.own_tasks() as connection:
        own = stored_tasks.current(connection, own_area(), now)
    coming = [item for item in _without_task(items, own) if item.end_on >= now]
    survey, verified, due = _at_the_door(now)
    lines, in_hand = _in_hand()
    cards = sorted(
        [
            *(Card(task.due_on, "task", task) for task in own if task.is_open),
            *(Card(each.due_on, "round", each) for each in due.rounds),
            *(Card(_day_of(line, now), "matter", line) for line in lines),
            # A day to act that has passed is made up for now; it is no task that somebody let lie.
            *(Card(max(item.act_by, now), "item", item) for item in coming if not item.cut),
        ],
        key=lambda card: card.due,
    )  # fmt: skip
    return render_template(
        "grid_today.html",
        here=here,
        place=here.place(own_area()),
        area=current_user.area,
        line=found[0] if found else None,
        unit=choice.run.rate_unit if choice.run else "",
        period_name=period_name(choice.run) if choice.run else "",
        cards=dict(_by_time(cards, now)),
        later=LATER,
        in_hand=in_hand,
        matters_shown=len(lines),
        tasks=len(own),
        closed=[task for task in own if not task.is_open],
        beyond=sum(item.cut for item in coming),
        wider=wider,
        survey=survey,
        verified=verified,
        due=due,
        listed=bool(years),
        today=now,
        soon=tasks.SOON,
    )


def _at_the_door(today: date) -> tuple[SurveyLine | None, Share | None, Due]:
    """Return the running survey with how far the own grid is, and what else waits at doors: numbers only."""
    with on_roster(roster(), actor()) as connection:
        survey = surveys.running(connection, own_area(), today)
        found = surveys.progress(connection, own_area(), survey.id).grids if survey else ()
        due = visits.due(connection, current_user.who.username, today)
    return survey, next(iter(found), None), due


def _in_hand() -> tuple[list[Line], int]:
    """Return the matters that wait for the grid's own staff, the one due first on top, and how many do."""
    with on_matters(matters(), matter_actor()) as connection:
        steps = {
            step.code
            for flow in flows.active(connection).values()
            for step in flow.steps
            if any(Who.GRID in move.who for move in step.moves)
        }
        found = handling.inbox(connection, matter_actor(), Filter(level=Tier.VILLAGE), datetime.now(UTC))
    waiting = [line for line in found.lines if line.stage in steps and not line.suspended_at]
    return waiting[:MOST_MATTERS], len(waiting)


def _day_of(line: Line, otherwise: date) -> date:
    return line.due_at.astimezone(CHINA).date() if line.due_at else otherwise


def _by_time(cards: Collection[Card], today: date) -> Iterator[tuple[str, list[Card]]]:
    """Give what is to be done now, soon and later, each where there is any."""
    sections = {
        "该办了": [card for card in cards if card.due <= today],
        f"{tasks.SOON.days} 天内": [card for card in cards if today < card.due <= today + tasks.SOON],
        "往后": [card for card in cards if card.due > today + tasks.SOON],
    }
    yield from ((name, found) for name, found in sections.items() if found)


def _without_task(items: Collection[Item], own: Collection[Task]) -> list[Item]:
    """Return the items whose season no task of the grid stands for yet."""
    seasons = {(task.category, task.start_on) for task in own}
    linked = {task.item_id for task in own}
    return [item for item in items if item.id not in linked and (item.category, item.start_on) not in seasons]


@pages.get("/map")
@allow(Role.GRID_WORKER)
def own_map() -> Any:
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection, ("grid",)).measured("gi")
    page = render_template(
        "grid_map.html",
        here=here,
        place=here.place(own_area()),
        area=current_user.area,
        choice=choice,
        map=city_map(here, ("gi",), "gi"),
        areas_url=url_for("data.shared_areas", level="grid"),
        values_url=url_for("data.hotspots"),
        bounds=here.bounds(own_area()),
        shared=_path_of(here),
    )
    response = make_response(page)
    response.headers["Permissions-Policy"] = say.WITH_POSITION
    return response


def _path_of(here: Territory) -> str:
    """Return what every address of the own grid begins with, which says nothing new on its map."""
    return "".join((here.city, *(here.name(own_area()[:digits]) for digits in (9, 12))))
