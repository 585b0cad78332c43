"""Rounds of visits to households that need one (微服务): begun by an office, walked by a chief."""

from collections.abc import Mapping
from datetime import date
from itertools import groupby
from typing import Any
from uuid import uuid4

from flask import Blueprint, flash, redirect, render_template, request, url_for

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.households.actor import on_roster
from gridmgmt.households.reading.lines import FLAGS
from gridmgmt.households.visits import rounds, stops
from gridmgmt.households.visits.criteria import CARE, Criteria
from gridmgmt.households.visits.rounds import RoundView, StopLine
from gridmgmt.web import visits
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import reader, roster
from gridmgmt.web.scope import STAFF, actor, own_area

pages = Blueprint("rounds", __name__)

REFUSED = {
    "title": f"请写标题，不超过 {rounds.LONGEST_TITLE} 字。",
    "message": f"请写到户要说的话，不超过 {rounds.LONGEST_MESSAGE} 字。",
    "due_on": "截止日期应在今天到一年以内。",
    "criteria": "这样选没有一户，请放宽条件。",
    "alone_from": "年龄请填 1 到 120 的整数，不用就留空。",
}
NOBODY_CHOSEN = "请先选人群或房屋。"


@pages.get("/office/rounds")
@allow(Role.TOWN_OFFICER)
def office() -> Any:
    return _office_page({})


def _office_page(typed: Mapping[str, Any], refused: str = "") -> Any:
    with reader().connect() as connection:
        here = territory(connection)
    with on_roster(roster(), actor()) as connection:
        lines = rounds.of_area(connection)
    return render_template(
        "round_office.html",
        here=here,
        lines=lines,
        villages=here.inside("village", own_area()),
        care=CARE,
        flags=FLAGS,
        typed=typed,
        refused=refused,
        today=china_today(),
    )


@pages.post("/office/rounds/preview")
@allow(Role.TOWN_OFFICER)
def preview() -> Any:
    """How many households the form's criteria fit now, by grid: a piece of the page."""
    with reader().connect() as connection:
        here = territory(connection)
    try:
        found = rounds.preview(roster(), actor(), _criteria())
    except InputError as error:
        refused = NOBODY_CHOSEN if error.field == "criteria" else REFUSED.get(error.field, NOBODY_CHOSEN)
        return render_template("round_preview.html", refused=refused)
    return render_template("round_preview.html", here=here, found=found, total=sum(found.values()))


@pages.post("/office/rounds")
@allow(Role.TOWN_OFFICER)
def begin() -> Any:
    form = request.form
    try:
        due_on = date.fromisoformat(form.get("due_on", ""))
    except ValueError:
        return _office_page(form, REFUSED["due_on"]), 400
    try:
        number = rounds.begin(
            roster(), actor(), form.get("title", ""), form.get("message", ""), _criteria(), due_on
        )
    except InputError as error:
        words = NOBODY_CHOSEN if error.found == "none" else REFUSED.get(error.field, NOBODY_CHOSEN)
        return _office_page(form, words), error.http_status
    flash("已下发到网格，网格长在“今日”里能看到要走的户。")
    return redirect(url_for("rounds.one", number=number), 303)


def _criteria() -> Criteria:
    age = request.form.get("alone_from", "").strip()
    if age and not (age.isascii() and age.isdecimal() and len(age) <= 3):
        raise InputError("alone_from", age, "a whole number")
    many = {name: tuple(request.form.getlist(name)) for name in ("care", "flags", "areas")}
    return Criteria(alone_from=int(age) if age else None, **many)


@pages.get("/rounds/<int:number>")
@allow(*STAFF)
def one(number: int) -> Any:
    return _round_page(number)


def _round_page(number: int, refused: str = "") -> Any:
    found = rounds.view(roster(), actor(), number)
    with reader().connect() as connection:
        here = territory(connection)
    return render_template(
        "round_page.html",
        here=here,
        round=found,
        grids=_by_grid(found),
        shared="" if actor().is_office else visits.shared_start(stop.address for stop in found.stops),
        keys={stop.id: str(uuid4()) for stop in found.stops},
        care=CARE,
        flags=FLAGS,
        reasons=stops.REASONS,
        refused=refused,
        office=actor().is_office,
        today=china_today(),
    )


def _by_grid(found: RoundView) -> list[tuple[str, list[StopLine]]]:
    return [(code, list(group)) for code, group in groupby(found.stops, key=lambda stop: stop.area)]


@pages.post("/rounds/<int:number>/stops")
@allow(*STAFF)
def close(number: int) -> Any:
    """Close one stop from the form; a phone without signal sends the same fields to `visits.send`."""
    try:
        visits.keep(request.form)
    except (InputError, ConflictError) as error:
        return _round_page(number, visits.why(error)), error.http_status
    except NotFoundError:
        return redirect(url_for("rounds.one", number=number), 303)
    flash("已记下。")
    return redirect(url_for("rounds.one", number=number), 303)


@pages.get("/command/rounds")
@allow(Role.COMMAND)
def command() -> Any:
    """All rounds of the city as numbers; nobody's name, nothing of one with fewer than 5 stops."""
    with reader().connect() as connection:
        here = territory(connection)
        lines = rounds.counts(connection)
    return render_template("round_counts.html", here=here, lines=lines, today=china_today())
