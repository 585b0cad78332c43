"""The grid chief's phone: what to do now, and the own grid on a map."""

from collections.abc import Collection
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.households.actor import on_roster
from gridmgmt.households.visits import stored as visits
from gridmgmt.households.visits import surveys
from gridmgmt.households.visits.stored import Due
from gridmgmt.households.visits.surveys import Share, SurveyLine
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks import stored as stored_tasks
from gridmgmt.seasonal.tasks.stored import Task
from gridmgmt.web import ranking, tasks
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.choice import period_name, read_choice
from gridmgmt.web.databases import reader, roster
from gridmgmt.web.overview import city_map
from gridmgmt.web.scope import actor, listed_areas, own_area

pages = Blueprint("grid", __name__, url_prefix="/grid")


@pages.get("")
@allow(Role.GRID_WORKER)
def today() -> Any:
    now = china_today()
    with reader().connect() as connection:
        here = territory(connection)
        years = [year for year in sorted(seasonal.years(connection)) if year >= now.year]
        items = [item for year in years for item in seasonal.items(connection, year, listed_areas())]
        wider = stored_tasks.by_item(connection, [item.id for item in items])
        choice = read_choice(request.args, connection, ("grid",))
        found = ranking.of_choice(connection, choice, here, own_area(), own=True)
    with tasks.own_tasks() as connection:
        own = stored_tasks.current(connection, own_area(), now)
    coming = [item for item in _without_task(items, own) if item.end_on >= now]
    survey, verified, due = _at_the_door(now)
    return render_template(
        "grid_today.html",
        here=here,
        place=here.place(own_area()),
        area=current_user.area,
        line=found[0] if found else None,
        unit=choice.run.rate_unit if choice.run else "",
        period_name=period_name(choice.run) if choice.run else "",
        open=[task for task in own if task.is_open],
        closed=[task for task in own if not task.is_open],
        coming=[item for item in coming if not item.cut],
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
    return render_template(
        "grid_map.html",
        here=here,
        place=here.place(own_area()),
        area=current_user.area,
        choice=choice,
        map=city_map(here, ("gi",), "gi"),
        areas_url=url_for("data.shared_areas", level="grid"),
        values_url=url_for("data.hotspots"),
    )
