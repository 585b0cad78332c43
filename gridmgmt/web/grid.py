"""The grid chief's phone: what to do now, and the own grid on a map."""

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.web import ranking
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.choice import period_name, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.overview import city_map
from gridmgmt.web.scope import listed_areas, own_area

pages = Blueprint("grid", __name__, url_prefix="/grid")

# A card is urgent in its last days before the work must be done.
SOON = timedelta(days=14)


@pages.get("")
@allow(Role.GRID_WORKER)
def today() -> Any:
    now = date.today()
    with reader().connect() as connection:
        here = territory(connection)
        years = [year for year in sorted(seasonal.years(connection)) if year >= now.year]
        items = [item for year in years for item in seasonal.items(connection, year, listed_areas())]
        choice = read_choice(request.args, connection, ("grid",))
        found = ranking.of_choice(connection, choice, here, own_area(), own=True)
    return render_template(
        "grid_today.html",
        here=here,
        place=here.place(own_area()),
        area=current_user.area,
        line=found[0] if found else None,
        unit=choice.run.rate_unit if choice.run else "",
        period_name=period_name(choice.run) if choice.run else "",
        items=[item for item in items if item.end_on >= now],
        listed=bool(years),
        soon=SOON,
    )


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
