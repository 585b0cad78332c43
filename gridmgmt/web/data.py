"""What maps fetch: outlines by data version, values by run; each under the caller's own area."""

import hashlib
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Connection

from gridmgmt.db.models import Role
from gridmgmt.web import ranking
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.choice import Choice, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.scope import own_area, own_staff

pages = Blueprint("data", __name__, url_prefix="/data")

MAP_READERS = (Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER)


def _tagged(response: Response, *versions: object) -> Response:
    """Let a browser keep an answer and ask whether it still holds; a shared cache must not keep it."""
    tag = hashlib.sha256("|".join(map(str, (*versions, own_area(), own_staff()))).encode()).hexdigest()[:20]
    response.set_etag(tag, weak=True)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Cookie")
    response.make_conditional(request)
    return response


@pages.get("/areas.geojson")
@allow(*MAP_READERS)
def areas() -> Response:
    return _outlines("geojson", "application/geo+json")


@pages.get("/areas.topojson")
@allow(*MAP_READERS)
def shared_areas() -> Response:
    """The same outlines in a third of the bytes; our own maps read these."""
    return _outlines("topojson", "application/json")


def _outlines(form: str, kind: str) -> Response:
    level = request.args.get("level", "grid")
    with reader().connect() as connection:
        here = territory(connection)
    text = here.outlines(form, level, own_area(), own=own_staff())
    return _tagged(Response(text, mimetype=kind), here.version, form, level)


@pages.get("/layers.geojson")
@allow(*MAP_READERS)
def layers() -> Response:
    with reader().connect() as connection:
        here = territory(connection)
    return _tagged(Response(here.layers, mimetype="application/geo+json"), here.version)


@pages.get("/hotspots.json")
@allow(*MAP_READERS)
def hotspots() -> Response:
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection)
        answer = _values(connection, here, choice)
    run = choice.run.id if choice.run else 0
    return _tagged(jsonify(answer), here.version, run, choice.category)


def _values(connection: Connection, here: Territory, choice: Choice) -> dict[str, Any]:
    found = ranking.of_choice(connection, choice, here, own_area(), own=own_staff())
    return {
        "level": choice.level,
        "unit": choice.run.rate_unit if choice.run else "",
        "breaks": {
            "rate": ranking.breaks([line.rate or 0 for line in found]),
            "count": ranking.breaks([line.count for line in found]),
        },
        "areas": ranking.values(found),
    }
