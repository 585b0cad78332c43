"""民心沟通会: planned with an agenda, held, reported on paper."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for

from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.mediation import meetings, stored
from gridmgmt.incidents.mediation.meetings import MeetingTold
from gridmgmt.incidents.papers import service as papers
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.mediation import blueprint as forms
from gridmgmt.web.mediation.blueprint import EARLY, OFFICES, moment, pages, why
from gridmgmt.web.scope import matter_actor, own_area


@pages.get("/meetings")
@allow(*OFFICES)
def all_meetings() -> Any:
    """The meetings of one's own area, and a form for the next."""
    return _meetings()


def _meetings(refused: str = "", status: int = 200) -> Any:
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        lines = stored.meetings(connection)
        offered = stored.offered(connection)
    answer = render_template(
        "meetings.html", here=here, lines=lines, offered=offered, refused=refused, typed=request.form,
        villages=here.inside("village", own_area()) if own_area() else here.inside("town"), 
        own_area_code=own_area(),
    )  # fmt: skip
    return answer, status


@pages.post("/meetings")
@allow(*OFFICES)
def plan_meeting() -> Any:
    """Plan a meeting."""
    form = request.form
    try:
        numbers = (
            *form.getlist("matter"),
            *form.get("others", "").replace("，", " ").replace(",", " ").split(),
        )
        told = MeetingTold(
            form.get("title", ""), form.get("place", ""), moment("held_at", form.get("held_at", "")), numbers,
            form.get("area", own_area()),
        )  # fmt: skip
        number = meetings.plan(matters(), matter_actor(), told)
    except InputError as error:
        return _meetings(why(error), error.http_status)
    flash("已安排，可以出通知。")
    return redirect(url_for("mediation.meeting", number=number), 303)


@pages.get("/meetings/<int:number>")
@allow(*OFFICES)
def meeting(number: int) -> Any:
    """One meeting with its agenda, its report and its papers."""
    return _meeting(number)


def _meeting(number: int, refused: str = "", status: int = 200) -> Any:
    with reader().connect() as connection:
        here = territory(connection)
    actor = matter_actor()
    with on_matters(matters(), actor) as connection:
        line, items = stored.meeting(connection, number)
    possible, issued = papers.possible_of_meeting(matters(), actor, number)
    answer = render_template(
        "meeting.html", here=here, line=line, items=items, possible=possible, issued=issued, refused=refused,
        typed=request.form,
    )  # fmt: skip
    return answer, status


@pages.post("/meetings/<int:number>/hold")
@allow(*OFFICES)
def hold_meeting(number: int) -> Any:
    """Write down how a meeting went."""
    try:
        attended = forms.number(request.form.get("attended"))
        meetings.hold(matters(), matter_actor(), number, attended, request.form.get("report", ""))
    except (InputError, ConflictError) as error:
        return _meeting(number, why(error, EARLY), error.http_status)
    flash("已记下，可以出通报。")
    return redirect(url_for("mediation.meeting", number=number), 303)


@pages.post("/meetings/<int:number>/call-off")
@allow(*OFFICES)
def call_off_meeting(number: int) -> Any:
    """Call a meeting off."""
    try:
        meetings.call_off(matters(), matter_actor(), number)
    except ConflictError as error:
        return _meeting(number, why(error, EARLY), error.http_status)
    flash("已取消。")
    return redirect(url_for("mediation.meeting", number=number), 303)
