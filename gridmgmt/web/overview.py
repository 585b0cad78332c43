"""The map with its list beside it: the city's, a town's, and the planner's with counts only."""

from datetime import date
from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for
from sqlalchemy import Connection

from gridmgmt.db.models import Role
from gridmgmt.hotspots.service import ALL_NAME
from gridmgmt.seasonal import service as seasonal
from gridmgmt.seasonal.service import Item
from gridmgmt.web import maps, ranking
from gridmgmt.web.access import allow
from gridmgmt.web.areas import LEVELS, Territory, territory
from gridmgmt.web.choice import MEASURES, Choice, period_key, period_name, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import listed_areas, own_area, own_staff

pages = Blueprint("overview", __name__)

TABS = {"hot": "热点网格", "seasonal": "时令清单"}
# The usual size of a grid in towns; what lies outside is for the planner to look at.
BAND = (300, 500)
COMING = 30


@pages.get("/command")
@allow(Role.COMMAND, Role.PLANNER)
def command() -> Any:
    return _overview("指挥中心", tuple(LEVELS))


@pages.get("/office")
@allow(Role.TOWN_OFFICER)
def office() -> Any:
    return _overview("镇街总览", ("grid", "village"))


@pages.get("/plan")
@allow(Role.PLANNER)
def plan() -> Any:
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection).measured("count")
        found = ranking.of_choice(connection, choice, here, own_area())
    grids = here.inside("grid")
    outside = [
        grid for grid in grids if grid.households is not None and not BAND[0] <= grid.households <= BAND[1]
    ]
    outside.sort(key=lambda grid: (-abs((grid.households or 0) - sum(BAND) / 2), grid.code))
    return render_template(
        "plan.html",
        **_common(here, choice, found, tuple(LEVELS), ("count",)),
        grids=grids,
        outside=outside,
        band=BAND,
    )


def _overview(title: str, levels: tuple[str, ...]) -> Any:
    tab = request.args.get("tab", "hot")
    tab = tab if tab in TABS else "hot"
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection, levels)
        found = ranking.of_choice(connection, choice, here, own_area())
        coming = _coming(connection, choice) if tab == "seasonal" else []
    shown: dict[str, Any] = dict(choice.arguments())
    hot = ranking.hot(found)
    rest = ranking.highest(found, max(0, ranking.SHOWN // 2 - len(hot)))
    return render_template(
        "overview.html",
        **_common(here, choice, found, levels, tuple(MEASURES)),
        title=title,
        tabs=TABS,
        tab=tab,
        tab_urls={key: url_for(request.endpoint or "", **shown, tab=key) for key in TABS},
        hot=hot,
        rest=rest,
        most=max((line.rate or 0 for line in (*hot, *rest) if not line.weak), default=0),
        coming=coming,
    )


def _coming(connection: Connection, choice: Choice) -> list[Item]:
    """Return what is still to be done: the nearest day to act first, then what is in season now."""
    today = date.today()
    known = seasonal.years(connection)
    years = [year for year in sorted(known) if year >= today.year] or known[:1]
    category = choice.category or None
    found = [item for year in years for item in seasonal.items(connection, year, listed_areas(), category)]
    standing = [item for item in found if item.end_on >= today]
    return sorted(standing, key=lambda item: item.act_by < today)[:COMING]


def _common(
    here: Territory, choice: Choice, found: list[Line], levels: tuple[str, ...], measures: tuple[str, ...]
) -> dict[str, Any]:
    values: dict[str, Any] = dict(choice.arguments(measure="rate"))
    return {
        "here": here,
        "area": own_area(),
        "choice": choice,
        "levels": {level: LEVELS[level] for level in levels},
        "measures": {measure: MEASURES[measure] for measure in measures},
        "periods": [(period_key(run), period_name(run)) for run in choice.runs],
        "period_name": period_name(choice.run) if choice.run else "",
        "all_categories": ALL_NAME,
        "total": sum(line.count for line in found),
        "classes": [sum(line.gi_class == step for line in found) for step in (3, 2, 1)],
        "lines": found,
        "limits": ranking.breaks([line.rate or 0 for line in found]),
        "class_of": ranking.class_of,
        "map": city_map(here, measures, choice.measure),
        "areas_url": url_for("data.shared_areas", level=choice.level),
        "values_url": url_for("data.hotspots", **values),
    }


def city_map(here: Territory, measures: tuple[str, ...], shown: str) -> maps.MapParts | None:
    """Return the map of what this person sees, or None where there is no grid."""
    bounds = here.bounds(own_area())
    if bounds is None:
        return None
    urls = {"layers": url_for("data.layers")}
    if not own_staff():  # somebody's own grid has no town lines in it
        urls["towns"] = url_for("data.shared_areas", level="town")
    return maps.area_map(bounds, measures, shown, tuple(urls.items()), current_app.config["BASEMAP"])
