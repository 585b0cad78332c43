"""The wall of the command centre: large, dark, by itself; the city beside four panels in turn."""

import json
from datetime import datetime
from typing import Any

import numpy as np
import shapely
from flask import Blueprint, render_template, request, url_for

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.web import measured, ranking, wall_panels
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Place, Territory, territory
from gridmgmt.web.choice import Choice, period_name, read_choice
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.flat import Frame
from gridmgmt.web.measured import Scale
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import matter_actor, own_area

pages = Blueprint("wall", __name__, url_prefix="/command/wall")

# The map's own units; a wall of any size shows them sharp. Finer than a pixel of 3840.
WIDTH, HEIGHT, MARGIN = 2000, 1800, 20
PANEL_SECONDS, REFRESH_SECONDS = 15, 60


@pages.get("")
@allow(Role.COMMAND)
def screen() -> Any:
    """The whole screen; with htmx's header only what changes, which the screen fetches every minute."""
    now = datetime.now(CHINA)
    with reader().connect() as connection:
        here = territory(connection)
        asked = dict(request.args)
        if asked.get("measure") not in measured.OF_PERIODS:  # what is of today alone is on the panels
            asked.pop("measure", None)
        choice = read_choice(asked, connection)
        found = ranking.of_choice(connection, choice, here, own_area())
        panels = wall_panels.read(connection, matters(), matter_actor(), here, choice, now)
    scale = measured.scale_of(choice.measure, choice.run.rate_unit if choice.run else "", [found])
    arguments: dict[str, Any] = choice.arguments()
    return render_template(
        "wall_live.html" if request.headers.get("HX-Request") else "wall.html",
        here=here,
        choice=choice,
        now=now,
        period_name=period_name(choice.run) if choice.run else "",
        scale=scale,
        map=_map(here, choice, found, scale),
        panels=panels,
        seconds=PANEL_SECONDS,
        refresh=REFRESH_SECONDS,
        number=measured.number,
        source=url_for("wall.screen", **arguments),
        back=url_for("overview.command", **arguments),
    )


def _map(here: Territory, choice: Choice, found: list[Line], scale: Scale) -> dict[str, Any] | None:
    """Return the city as paths: outlines with looks, the hatched ones, towns and names; None without any."""
    if here.bounds() is None:
        return None
    outlines = _outlines(here, choice.level)
    towns = _outlines(here, "town")
    by_code = {line.place.code: line for line in found}
    looks = {code: scale.look(by_code[code]) if code in by_code else measured.NONE for code in outlines}
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "areas": [(outlines[code], looks[code]) for code in outlines],
        "weak": [outlines[code] for code in outlines if code in by_code and scale.weak(by_code[code])],
        "towns": list(towns.values()),
        "names": _names(_frame(here), here.inside("town")),
    }


def _outlines(here: Territory, level: str) -> dict[str, str]:
    """Return the outlines of a level as paths by code; kept with the territory, as long as that is."""
    key = ("wall", level, "", False)
    if key not in here.encoded:
        frame = _frame(here)
        paths = {place.code: frame.path(place.shape) for place in here.inside(level)}
        here.encoded[key] = json.dumps(paths)
    found: dict[str, str] = json.loads(here.encoded[key])
    return found


def _frame(here: Territory) -> Frame:
    bounds = here.bounds()
    return Frame.around(bounds or (0, 0, 1, 1), (MARGIN, MARGIN, WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN))


def _names(frame: Frame, towns: list[Place]) -> list[tuple[int, int, str]]:
    """Return where names of towns stand; one that would lie over another is left out, the larger stays."""
    taken: list[tuple[float, float, float]] = []
    names = []
    for place in sorted(towns, key=lambda place: (-shapely.area(place.shape), place.code)):
        (x, y), half = frame.points(np.array([place.label]))[0], 26 * len(place.name)
        if all(abs(y - v) > 60 or abs(x - u) > half + other for u, v, other in taken):
            taken.append((x, y, half))
            names.append((round(x), round(y), place.name))
    return names
