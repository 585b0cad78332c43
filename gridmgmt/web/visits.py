"""Visits at the door, kept on a phone without signal, the notebook of them, and the survey.

A phone sends each visit with a key of its own until it is told that the visit is kept (`static/visits.js`).
Every way in takes the same fields, and the same key twice is one visit and one matter.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID, uuid4

from flask import (
    Blueprint,
    Response,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.households.actor import on_roster
from gridmgmt.households.visits import rounds, service, stored, surveys
from gridmgmt.households.visits.models import OUTCOME_NAMES, PURPOSE_NAMES, Outcome, Purpose
from gridmgmt.households.visits.service import Seen
from gridmgmt.incidents import intake
from gridmgmt.incidents.handling.intake import Told, take_in
from gridmgmt.web import survey_drawing
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import matters, reader, ring, roster
from gridmgmt.web.scope import STAFF, actor, matter_actor, own_area

pages = Blueprint("visits", __name__)

SURVEYORS = (Role.TOWN_OFFICER, Role.COMMAND)
# How many days a page of the notebook holds, and how many categories stand as tiles before the others.
NOTEBOOK_DAYS = 30
TILES = 6
# What became of a stop without anybody having been at the door.
NO_VISIT = ("已由他人办理", "其他")
REFUSED = {
    "visited_at": "走访时间应在最近 30 天内，不能晚于现在。",
    "note": "记录请不超过 1000 字。",
    "matter_text": "请写清是什么事，不超过 500 字。",
    "matter_number": "诉求里像有身份证号或电话号码，请去掉再保存：诉求会转给别的部门，只写事，不写人。",
    "category": "请选一个诉求类别。",
    "dwelling": "请选楼栋和门牌。",
    "reason": "请选一个没有办成的原因。",
    "name": "请给核对起个名字，不超过 60 字。",
    "due_on": "截止日期应在开始以后一年以内。",
}
NOT_HERE = "这户不在您的管辖范围，或门牌已经变动，请重新选。"
TAKEN = "这一户已经由别人上报过了。"
CHOOSE = "请选这次走访做什么、见到人没有。"


def why(error: GridmgmtError) -> str:
    """Return what a person reads about a visit that was not taken."""
    if isinstance(error, InputError):
        return REFUSED.get(error.field, CHOOSE)
    return TAKEN if isinstance(error, ConflictError) else NOT_HERE


# --- a visit


@pages.get("/visits/new")
@allow(*STAFF)
def new() -> Any:
    return _form(request.args)


def _form(typed: Mapping[str, str], refused: str = "") -> Any:
    grid = _grid_of(typed.get("dwelling", ""))
    with reader().connect() as connection:
        here = territory(connection)
        leaves = intake.leaves(connection, own_area()[: DIGITS["town"]])
        survey = surveys.running(connection, own_area(), china_today())
    with on_roster(roster(), actor()) as connection:
        doors = stored.doors(connection, grid) if grid else []
    return render_template(
        "visit_new.html",
        here=here,
        place=here.place(grid) if grid else None,
        doors=doors,
        shared=shared_start(door.address for door in doors),
        survey=survey,
        purposes=PURPOSE_NAMES,
        outcomes=OUTCOME_NAMES,
        tiles=leaves[:TILES],
        others=sorted(leaves[TILES:], key=lambda leaf: (leaf[2] or "", leaf[0])),
        typed=typed,
        key=typed.get("key") or str(uuid4()),
        refused=refused,
        office=actor().is_office,
    )


def shared_start(addresses: Iterable[str]) -> str:
    """Return what all addresses begin with, up to the village or town: on a phone it says nothing new.

    >>> shared_start(["清穗市杏林街道春里社区福寿路94号楼", "清穗市杏林街道春里社区福寿路96号楼"])
    '清穗市杏林街道春里社区'
    """
    every = list(addresses)
    first, last = min(every, default=""), max(every, default="")
    same = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    found = re.match(r".*(?:街道|镇|乡|社区|村)", same)
    return found.group() if found else ""


def _grid_of(dwelling: str) -> str | None:
    """Return the grid whose doors are offered: the own one, or that of the dwelling an office came from."""
    if len(own_area()) == DIGITS["grid"]:
        return own_area()
    if not dwelling.isascii() or not dwelling.isdecimal() or len(dwelling) > 9:
        return None
    with on_roster(roster(), actor()) as connection:
        grid = stored.grid_of(connection, int(dwelling))
    if grid is None:
        raise NotFoundError(f"no dwelling {dwelling} here")
    return grid


@pages.post("/visits")
@allow(*STAFF)
def add() -> Any:
    """Keep one visit from the form; what is not allowed brings the form back with everything typed."""
    try:
        keep(request.form)
    except (InputError, NotFoundError, ConflictError) as error:
        typed = request.form.to_dict()
        if isinstance(error, NotFoundError):
            typed.pop("dwelling", None)
        return _form(typed, why(error)), error.http_status
    flash("已保存。")
    return redirect(url_for("visits.new"), 303)


@pages.post("/visits/send")
@allow(*STAFF)
def send() -> Any:
    """Keep one visit that a phone had waiting, and say so, or why not."""
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict) or not all(isinstance(value, str) for value in sent.values()):
        return jsonify(why=CHOOSE), 400
    try:
        keep(sent)
    except (InputError, NotFoundError, ConflictError) as error:
        return jsonify(why=why(error)), error.http_status
    return jsonify(kept=sent["key"])


@pages.get("/visits/token")
@allow(*STAFF)
def token() -> Response:
    """Who is signed in now, and a token for sending: a page may have been opened days ago."""
    return jsonify(user=current_user.who.username, token=generate_csrf())


def keep(sent: Mapping[str, str]) -> None:
    """Keep what a form or a phone tells: a visit, the stop that it closes, the matter it brought.

    The visit first: whoever is not told that it is kept sends all of it again, and each part knows its own.
    """
    key = _key(sent.get("key", ""))
    if sent.get("result"):
        _close_stop(key, sent)
        return
    category, words = sent.get("category") or sent.get("tile", ""), sent.get("matter_text", "")
    told = bool(category or words.strip())
    if told:
        intake.check_words(words)
        with reader().connect() as connection:
            intake.leaf(connection, category)
    service.record(roster(), ring(), actor(), _seen(key, sent, category if told else None))
    if told:
        _take_in(key, category, words)


def _take_in(key: UUID, category: str, words: str) -> None:
    """Write the matter of a visit, once under the visit's key, where and when the visit was."""
    with on_roster(roster(), actor()) as connection:
        scene = stored.scene(connection, key)
    told = Told(
        category, words, channel="grid_round", lon=scene.lon, lat=scene.lat, address=scene.address,
        occurred_at=scene.visited_at, source="visit",
    )  # fmt: skip
    take_in(matters(), None, matter_actor(), told, key)


def _close_stop(key: UUID, sent: Mapping[str, str]) -> None:
    result = sent["result"]
    done = result == "done"
    visit = None
    if result not in NO_VISIT:
        named = {name: outcome for outcome, name in OUTCOME_NAMES.items()}
        outcome = Outcome.MET if done else named.get(result, Outcome.ABSENT)
        fields = {**sent, "purpose": sent.get("purpose") or Purpose.REMINDER, "outcome": outcome}
        visit = _seen(key, fields, None)
    reason = None if done else result
    rounds.report(roster(), ring(), actor(), _number("stop", sent), done, reason, visit)


def _seen(key: UUID, sent: Mapping[str, str], category: str | None) -> Seen:
    at = sent.get("visited_at", "")
    try:
        moment = datetime.fromisoformat(at) if at else datetime.now(UTC)
    except ValueError as error:
        raise InputError("visited_at", at, "a moment as ISO 8601") from error
    return Seen(
        key,
        _number("dwelling", sent),
        _word(Purpose, "purpose", sent),
        _word(Outcome, "outcome", sent),
        moment,
        household_id=_number("household", sent) if sent.get("household") else None,
        note=sent.get("note", ""),
        matter=category,
        stop_id=_number("stop", sent) if sent.get("stop") else None,
    )


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InputError("key", text, "a UUID") from error


def _number(field: str, sent: Mapping[str, str]) -> int:
    text = sent.get(field, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InputError(field, text, "a number")
    return int(text)


def _word(kind: Any, field: str, sent: Mapping[str, str]) -> Any:
    try:
        return kind(sent.get(field, ""))
    except ValueError as error:
        raise InputError(field, sent.get(field), " | ".join(kind)) from error


# --- the notebook


@pages.get("/visits")
@allow(*STAFF)
def notebook() -> Any:
    """The visits of thirty days in the own area, by day; with `own` the own ones."""
    last = min(_day(request.args.get("until", "")) or china_today(), china_today())
    first = last - timedelta(days=NOTEBOOK_DAYS - 1)
    own = request.args.get("own") == "1"
    lines = service.notebook(roster(), ring(), actor(), first, last, own=own)
    days: dict[date, list[stored.VisitLine]] = {}
    for line in lines:
        days.setdefault(line.day, []).append(line)
    with reader().connect() as connection:
        here = territory(connection)
    return render_template(
        "visit_book.html",
        here=here,
        place=here.place(own_area()),
        days=days,
        first=first,
        last=last,
        own=own,
        count=len(lines),
        before=first - timedelta(days=1),
        after=min(last + timedelta(days=NOTEBOOK_DAYS), china_today()),
        office=actor().is_office,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InputError("day", text, "a date") from error


# --- the survey


@pages.get("/office/survey")
@allow(*SURVEYORS)
def survey() -> Any:
    return _survey_page()


def _survey_page(refused: str = "") -> Any:
    today = china_today()
    with reader().connect() as connection:
        here = territory(connection)
        known = surveys.surveys(connection, own_area())
        asked = request.args.get("survey", type=int)
        chosen = next((each for each in known if each.id == asked), None) or next(iter(known), None)
        found = surveys.progress(connection, own_area(), chosen.id) if chosen else None
    return render_template(
        "survey_page.html",
        here=here,
        surveys=known,
        chosen=chosen,
        found=found,
        **(_survey_parts(here, chosen, found, today) if chosen and found else {}),
        may_begin=current_user.role is Role.TOWN_OFFICER,
        typed=request.form,
        refused=refused,
        today=today,
    )


def _survey_parts(
    here: Territory, chosen: surveys.SurveyLine, found: surveys.Progress, today: date
) -> dict[str, Any]:
    """Return the table's villages with their grids, the map and the curve."""
    level = "grid" if own_area() else "village"
    shares = {each.area: each for each in (found.grids if own_area() else found.by(DIGITS["village"]))}
    grids: dict[str, list[surveys.Share]] = {}
    for each in found.grids:
        grids.setdefault(each.area[: DIGITS["village"]], []).append(each)
    return {
        "villages": found.by(DIGITS["village"]),
        "grids": grids,
        "level": level,
        "map": survey_drawing.area_map(here.inside(level, chosen.area), shares),
        "curve": survey_drawing.curve(chosen, found, today),
        "classes": [name for _, name in survey_drawing.CLASSES],
        "words": survey_drawing.words,
        "share_class": survey_drawing.share_class,
    }


@pages.post("/office/survey")
@allow(Role.TOWN_OFFICER)
def begin_survey() -> Any:
    form = request.form
    try:
        start, due = _day(form.get("start_on", "")), _day(form.get("due_on", ""))
        if start is None or due is None:
            raise InputError("due_on", "", "a date")
        surveys.begin_survey(roster(), actor(), form.get("name", ""), start, due)
    except InputError as error:
        return _survey_page(why(error)), error.http_status
    flash("核对已开始，各网格在“今日”里能看到还有几套没有核对。")
    return redirect(url_for("visits.survey"), 303)
