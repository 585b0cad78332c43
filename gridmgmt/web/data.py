"""What maps fetch: outlines by data version, values by run; each under the caller's own area."""

import gzip
import hashlib
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request
from sqlalchemy import Connection

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.web import present, ranking
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.choice import Choice, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.kept import Kept
from gridmgmt.web.scope import own_area, own_staff

pages = Blueprint("data", __name__, url_prefix="/data")

# Outlines packed as small as they go: once, not for every browser.
_packed: Kept[bytes] = Kept(64)

MAP_READERS = (Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER)


def tagged(response: Response, *versions: object) -> Response:
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
    versions = (here.version, form, level)
    if (known := tagged(Response(), *versions)).status_code == 304:
        return known
    if "gzip" not in request.accept_encodings:
        text = here.outlines(form, level, own_area(), own=own_staff())
        return tagged(Response(text, mimetype=kind), *versions)
    key = (form, level, own_area(), own_staff(), str(reader().url))
    packed = _packed.get(
        key, lambda: _gzipped(here.outlines(form, level, own_area(), own=own_staff())), here.version
    )
    answer = Response(packed, mimetype=kind)
    answer.headers["Content-Encoding"] = "gzip"
    answer.vary.add("Accept-Encoding")
    return tagged(answer, *versions)


def _gzipped(text: str) -> bytes:
    return gzip.compress(text.encode(), 9, mtime=0)


@pages.get("/layers.geojson")
@allow(*MAP_READERS)
def layers() -> Response:
    with reader().connect() as connection:
        here = territory(connection)
    return tagged(Response(here.layers, mimetype="application/geo+json"), here.version)


@pages.get("/hotspots.json")
@allow(*MAP_READERS)
def hotspots() -> Response:
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection)
        run = choice.run.id if choice.run else 0
        versions = (here.version, run, choice.level, choice.category)
        known = tagged(Response(), *versions)
        if known.status_code == 304:
            return known
        answer = _values(connection, here, choice)
    return tagged(jsonify(answer), *versions)


@pages.get("/today.json")
@allow(*MAP_READERS)
def today() -> Response:
    """What is so today, by area: matters expected in the 旬 to come, and open matters over their limit."""
    with reader().connect() as connection:
        here = territory(connection)
        choice = read_choice(request.args, connection)
        places = here.inside(choice.level, own_area())
        coming = present.expected(connection, here, choice.level, choice.category, china_today())
        overdue = present.overdue(connection, choice.level, choice.category, datetime.now(UTC))
    answer = present.answer(places, coming, overdue, own=own_staff())
    response = jsonify(answer)
    response.headers["Cache-Control"] = "no-store"
    return response


def _values(connection: Connection, here: Territory, choice: Choice) -> dict[str, Any]:
    found = ranking.of_choice(connection, choice, here, own_area(), own=own_staff())
    return {
        "level": choice.level,
        "unit": choice.run.rate_unit if choice.run else "",
        "breaks": {
            "rate": ranking.breaks([line.rate or 0 for line in found]),
            "count": ranking.breaks([line.count for line in found]),
            "smoothed": ranking.breaks([line.result.smoothed for line in found if line.result]),
        },
        "areas": ranking.values(found),
    }
