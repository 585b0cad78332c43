"""What the planner's map fetches and sends: the grids of a plan, edits with their consequences, conflicts."""

import json
from collections.abc import Collection
from datetime import date
from typing import Any

import shapely
from flask import Blueprint, Response, jsonify, request
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy import Connection
from werkzeug.exceptions import HTTPException

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, GridmgmtError, InputError
from gridmgmt.grids import service as grids
from gridmgmt.planning import export, figures, publish, service, states, stored
from gridmgmt.planning.comparing import GridChange
from gridmgmt.planning.models import Operation
from gridmgmt.planning.service import Actor, Edited
from gridmgmt.web import plan_words as words
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import databases, reader, writer
from gridmgmt.web.topology import topology

api = Blueprint("api", __name__, url_prefix="/api")

READERS = (Role.PLANNER, Role.COMMAND)
# 1 cm: what is drawn at the closest zoom is where it is.
DECIMALS = 7
MOST_KEYS = 60
TODAY = "today"  # in place of the number of a plan: the grids in force
MOST_BUILDINGS = 5000
LONGEST_EXPLANATION = 2000


def actor() -> Actor:
    """Return the signed-in person as one who plans."""
    return Actor(current_user.who.username, current_user.role)


# --- what is there


@api.get("/<int:number>/state")
@allow(*READERS)
def state(number: int) -> Response:
    """The plan, figures of what it touches, findings, log and comments."""
    with reader().connect() as connection:
        plan = stored.plan(connection, number)
        touched = [each for each in stored.grids(connection, number) if each.status in ("changed", "new")]
        names = names_in(connection, number)
        answer = words.plan(plan) | _log(connection, number)
        answer["touched"] = [each.key for each in touched]
        answer["figures"] = [words.row(each) for each in export.figures_of(connection, touched)]
        answer["findings"] = [words.finding(each, names) for each in stored.check(connection, number)]
    return jsonify(answer)


@api.get("/<int:number>/log")
@allow(*READERS)
def log(number: int) -> Response:
    """The version, who edits, the log and the comments: what a page asks now and then."""
    with reader().connect() as connection:
        return jsonify(words.plan(stored.plan(connection, number)) | _log(connection, number))


def names_in(connection: Connection, *numbers: int | None) -> dict[str, str]:
    """Return the names of divisions, of all grids that ever were, and of those of some plans.

    A new grid of a plan is found with the plan's number behind its key too, as comparisons write it.
    """
    names = grids.division_names(connection)
    names |= {code: name for code, (name, _) in grids.grid_names(connection).items()}
    for number in filter(None, numbers):
        drawn = states.touched(connection, number)
        named = {key: each.name for key, each in drawn.items() if each is not None}
        names |= named | {f"{key}@{number}": name for key, name in named.items()}
    return names


def _log(connection: Connection, number: int) -> dict[str, Any]:
    names = names_in(connection, number)
    return {
        "edits": [words.edit(each, names) for each in stored.edits(connection, number)],
        "comments": [words.comment(each) for each in stored.comments(connection, number)],
    }


@api.get("/<int:number>/grids.topojson")
@allow(*READERS)
def outlines(number: int) -> Response:
    """All grids of the plan, each edge once; households of untouched ones as they are in force."""
    with reader().connect() as connection:
        here = territory(connection)
        names = grids.division_names(connection)
        found = [each for each in stored.grids(connection, number) if each.status != "gone"]
        touched = [each for each in found if each.status != "same"]
        counted = {each.key: words.row(each) for each in export.figures_of(connection, touched)}
    standing = {place.code: place.properties(own=False)["households"] for place in here.inside("grid")}
    properties = [
        words.properties(each, names)
        | {"households": counted[each.key]["households"] if each.key in counted else standing.get(each.key)}
        for each in found
    ]
    made = topology([each.shape for each in found], properties, DECIMALS)
    return Response(json.dumps(made, ensure_ascii=False, separators=(",", ":")), mimetype="application/json")


@api.get("/<int:number>/grids.geojson")
@allow(*READERS)
def exact(number: int) -> Response:
    """The grids named in the address with exact shapes and their figures."""
    keys = list(dict.fromkeys(request.args.get("keys", "").split(",")))[:MOST_KEYS]
    with reader().connect() as connection:
        return jsonify(_features(connection, number, keys))


def _features(connection: Connection, number: int, keys: Collection[str]) -> dict[str, Any]:
    names = grids.division_names(connection)
    found = [each for each in stored.grids(connection, number) if each.key in keys and each.status != "gone"]
    counted = {each.key: each for each in export.figures_of(connection, found)}
    features = [words.feature(each, names, counted.get(each.key)) for each in found]
    return {"type": "FeatureCollection", "features": features}


@api.get("/<int:number>/compared.json")
@allow(*READERS)
def compared(number: int) -> Response:
    """Both sides of a comparison: only the grids that differ, with their exact shapes."""
    other = other_side()
    with reader().connect() as connection:
        changes = stored.diff(connection, other, number).changes
        before = _side(connection, other, [each for each in changes if each.before])
        after = _side(connection, number, [each for each in changes if each.after])
    return jsonify(before=before, after=after)


def other_side() -> int | None:
    """Return the plan that the address compares with; None for the grids in force."""
    wanted = request.args.get("with", "") or TODAY
    if wanted != TODAY and not wanted.isdecimal():
        raise InputError("with", wanted, "today 或方案编号")
    return None if wanted == TODAY else int(wanted)


def _side(connection: Connection, number: int | None, changes: Collection[GridChange]) -> dict[str, Any]:
    own = {each.key.partition("@")[0]: each for each in changes}
    if number is None:
        drawn = states.in_force(connection, china_today(), keys=own)
    else:
        drawn = states.current(connection, stored.plan(connection, number), keys=own)
    features = [
        {
            "type": "Feature",
            "properties": {"key": own[key].key, "name": each.name, "status": own[key].status},
            "geometry": shapely.geometry.mapping(each.shape),
        }
        for key, each in drawn.items()
    ]
    return {"type": "FeatureCollection", "features": features}


@api.get("/<int:number>/buildings.geojson")
@allow(Role.PLANNER)
def buildings(number: int) -> Response:
    """Buildings in a box of the map as points with their number of households, to be given to a grid."""
    box = tuple(map(_degree, request.args.get("box", "").split(",")))
    if len(box) != 4:
        raise InputError("box", request.args.get("box"), "west,south,east,north")
    with acting(writer(), current_user.who.username, "") as connection:
        found = figures.buildings_in(connection, shapely.MultiPolygon([shapely.box(*box)]))
    features = [
        {
            "type": "Feature",
            "properties": {"id": int(id_), "households": words.few(int(households))},
            "geometry": {"type": "Point", "coordinates": [lon, lat]},
        }
        for id_, lon, lat, households in found[:MOST_BUILDINGS].tolist()
    ]
    return jsonify({"type": "FeatureCollection", "features": features})


def _degree(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError("box", text, "west,south,east,north") from None


# --- what is done


@api.post("/<int:number>/edit")
@allow(Role.PLANNER)
def edit(number: int) -> Response:
    sent = _sent()
    name, arguments = sent.get("operation"), sent.get("arguments")
    if name not in list(Operation) or not isinstance(arguments, dict):
        raise InputError("operation", name, "、".join(Operation))
    return _edited(
        number, service.edit(writer(), actor(), number, Operation(name), arguments, _version(sent))
    )


@api.post("/<int:number>/undo")
@allow(Role.PLANNER)
def undo(number: int) -> Response:
    return _edited(number, service.undo(writer(), actor(), number, _version(_sent())))


@api.post("/<int:number>/redo")
@allow(Role.PLANNER)
def redo(number: int) -> Response:
    return _edited(number, service.redo(writer(), actor(), number, _version(_sent())))


@api.post("/<int:number>/rebase")
@allow(Role.PLANNER)
def rebase(number: int) -> Response:
    return _edited(number, service.rebase(writer(), actor(), number, _version(_sent())))


def _edited(number: int, done: Edited) -> Response:
    with reader().connect() as connection:
        names = names_in(connection, number)
    counted = {each.key: each for each in done.figures}
    changed = {key: each for key, each in done.changed.items() if each is not None and each.status != "gone"}
    return jsonify(
        version=done.version,
        number=done.number,
        changed=[words.feature(each, names, counted.get(key)) for key, each in changed.items()],
        gone=[key for key in done.changed if key not in changed],
        figures=[words.row(each) for each in done.figures],
        findings=[words.finding(each, names) for each in done.findings],
        conflicts=len(done.conflicts),
    )


@api.post("/<int:number>/lock")
@allow(Role.PLANNER)
def lock(number: int) -> Response:
    service.lock(writer(), actor(), number)
    return log(number)


@api.post("/<int:number>/unlock")
@allow(Role.PLANNER)
def unlock(number: int) -> Response:
    service.unlock(writer(), actor(), number)
    return log(number)


@api.post("/<int:number>/comment")
@allow(Role.PLANNER)
def comment(number: int) -> Response:
    sent = _sent()
    at = sent.get("at")
    place = (float(at[0]), float(at[1])) if at else None
    service.comment(writer(), actor(), number, str(sent.get("text", "")), place)
    return log(number)


@api.post("/<int:number>/retire")
@allow(Role.PLANNER)
def retire(number: int) -> Response:
    service.retire(writer(), actor(), number)
    return log(number)


@api.post("/<int:number>/publish")
@allow(Role.PLANNER)
def put_in_force(number: int) -> Response:
    """Publishing moves households, matters and tasks, which takes more rights than drawing does."""
    sent = _sent()
    try:
        on = date.fromisoformat(str(sent.get("on", "")))
    except ValueError:
        raise InputError("on", sent.get("on"), "请选启用日期：今天或以后") from None
    explanation = str(sent.get("explanation", "")).strip()
    if not 0 < len(explanation) <= LONGEST_EXPLANATION:
        raise InputError("explanation", len(explanation), f"请写发布说明，不超过 {LONGEST_EXPLANATION} 字")
    publish.publish(databases().accounts, actor(), number, on, explanation)
    return log(number)


@api.post("/<int:number>/unpublish")
@allow(Role.PLANNER)
def take_back(number: int) -> Response:
    publish.unpublish(databases().accounts, actor(), number)
    return log(number)


def _sent() -> dict[str, Any]:
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict):
        raise InputError("body", request.mimetype, "a JSON object")
    return sent


def _version(sent: dict[str, Any]) -> int:
    version = sent.get("version")
    if not isinstance(version, int):
        raise InputError("version", version, "the version that the page shows")
    return version


# --- what is refused


@api.errorhandler(GridmgmtError)
def refused(error: GridmgmtError) -> tuple[Response, int]:
    """Say in words why, and to whom an older version was shown what has been done since."""
    number = int((request.view_args or {}).get("number", 0))
    with reader().connect() as connection:
        answer: dict[str, Any] = {"error": words.refusal(error, names_in(connection, number))}
        if isinstance(error, ConflictError):
            answer |= words.plan(stored.plan(connection, number)) | _log(connection, number)
    return jsonify(answer), error.http_status


@api.errorhandler(CSRFError)
def expired(_: CSRFError) -> tuple[Response, int]:
    return jsonify(error="页面已过期，请刷新后再试；这一步没有保存。"), 400


@api.errorhandler(HTTPException)
def not_so(error: HTTPException) -> Any:
    if error.response is not None:
        return error.response
    return jsonify(error="这一步没有办成，请刷新后再试。"), error.code or 500
