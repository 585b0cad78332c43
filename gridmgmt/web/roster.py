"""The roster's pages: a grid's households by building and floor, one household, search, revealing a field.

What is looked for goes by POST, so that no name and no number stands in an address or a log of addresses.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import GridmgmtError, InputError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.households.reading import home as homes_of
from gridmgmt.households.reading import overview, reveal, roster, search
from gridmgmt.households.reading.lines import FLAGS, SHOWS, BuildingLine, DoorLine
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import reader, ring
from gridmgmt.web.databases import roster as roster_engine
from gridmgmt.web.scope import STAFF, actor, own_area

pages = Blueprint("roster", __name__)

# Up to this many buildings stand open from the start: a list to read, not to unfold.
OPEN_BUILDINGS = 3
FOUND_BY = {"identity": "身份证号", "phone": "电话", "words": "姓名、地址"}
NOT_SHOWN: dict[type[GridmgmtError], str] = {
    reveal.RestrictedError: "应本人要求或按规定，此人的信息已限制处理，不能显示。",
    reveal.TooManyError: f"一小时内已查看 {reveal.AN_HOUR} 次，请稍后再看。确有急需，请联系镇街。",
    NotFoundError: "没有这个号码，或者此人已不在您的管辖范围。",
    InputError: "请先选择查看的用途。",
}


@pages.app_context_processor
def asked_by_templates() -> dict[str, Any]:
    return {"flag_names": FLAGS, "now": lambda: datetime.now(UTC), "by_floor": _by_floor}


def _by_floor(building: BuildingLine) -> list[tuple[int | None, list[DoorLine]]]:
    return [(floor, list(doors)) for floor, doors in groupby(building.doors, key=lambda door: door.floor)]


# --- lists


@pages.get("/homes")
@allow(*STAFF)
def homes() -> Any:
    """The own grid's households; for a town office its grids, or one of them."""
    asked = request.args.get("grid", "") if actor().is_office else own_area()
    with reader().connect() as connection:
        here = territory(connection)
    if not asked:
        return render_template(
            "home_grids.html",
            here=here,
            town=here.name(own_area()),
            lines=overview.grids(roster_engine(), actor()),
        )
    if len(asked) != DIGITS["grid"]:
        return render_template("home_nowhere.html", here=here, area=current_user.area)
    shows = [key for key in dict.fromkeys(request.args.getlist("show")) if key in SHOWS]
    whole = roster.grid_roster(roster_engine(), ring(), actor(), asked)
    place = here.place(asked)
    return render_template(
        "home_table.html" if actor().is_office else "home_cards.html",
        here=here,
        place=place,
        grid=whole,
        shown=whole.shown(shows),
        shows=shows,
        chips=_chips(shows, whole.counts(shows)),
        short=_shortener(here, asked),
        today=china_today(),
        all_open=bool(shows) or len(whole.buildings) <= OPEN_BUILDINGS,
    )


def _chips(shows: list[str], counts: dict[str, int]) -> list[tuple[str, int, bool, list[str]]]:
    """Return name, count, whether chosen, and the choice that pressing leads to; empty ones are left out."""
    return [
        (
            name,
            counts[key],
            key in shows,
            [each for each in shows if each != key] if key in shows else [*shows, key],
        )
        for key, name in SHOWS.items()
        if counts[key] or key in shows
    ]


def _shortener(here: Territory, area: str) -> Callable[[str], str]:
    """Return what leaves out of an address the places that everything on the page lies in."""
    names = [here.city, *(here.name(area[:digits]) for digits in (9, 12) if len(area) >= digits)]

    def short(address: str) -> str:
        for name in names:
            address = address.removeprefix(name)
        return address

    return short


@pages.post("/homes/search")
@allow(*STAFF)
def find() -> Any:
    """What fits the words of the form; as a fragment for the page that asks, or as a page."""
    words = request.form.get("words", "")
    try:
        found = search.search(roster_engine(), ring(), actor(), words)
    except InputError:
        found = None
    with reader().connect() as connection:
        here = territory(connection)
    return render_template(
        "home_hits_body.html" if request.headers.get("HX-Request") else "home_hits.html",
        here=here,
        found=found,
        by=FOUND_BY[found.by] if found else "",
        short=_shortener(here, own_area()),
        words=words,
        most=search.MOST,
        longest=search.LONGEST,
    )


@pages.get("/homes/buildings.geojson")
@allow(Role.GRID_WORKER)
def buildings() -> Response:
    """The own grid's buildings for its map, with doors and whether each is checked."""
    return jsonify(overview.buildings(roster_engine(), actor()))


# --- one household


@pages.get("/homes/<int:number>")
@allow(*STAFF)
def home(number: int) -> Any:
    found = homes_of.household(roster_engine(), ring(), actor(), number)
    with reader().connect() as connection:
        here = territory(connection)
    return render_template(
        "home.html",
        here=here,
        home=found,
        changes=found.changes,
        events=found.events,
        visits=found.visits,
        purposes=reveal.PURPOSES,
        fields=reveal.FIELDS,
        today=china_today(),
    )


@pages.post("/people/<int:number>/reveal")
@allow(*STAFF)
def show(number: int) -> Any:
    """One number in full, as JSON for the dialog, else as a page of its own; never kept by the browser."""
    field, purpose = request.form.get("field", ""), request.form.get("purpose", "")
    value, refused, status = "", "", 200
    try:
        value = reveal.reveal(roster_engine(), ring(), actor(), number, field, purpose)
    except tuple(NOT_SHOWN) as why:
        refused, status = NOT_SHOWN[type(why)], why.http_status
    if request.accept_mimetypes.best == "application/json":
        return jsonify(value=value, refused=refused), status
    page = render_template(
        "home_reveal.html", value=value, refused=refused, field=reveal.FIELDS.get(field, ""),
        back=request.form.get("home", type=int),
    )  # fmt: skip
    return page, status
