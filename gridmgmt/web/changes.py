"""Requests for changes of the roster, and rows of files that may be somebody known: asked for and decided.

Grid staff ask, an office's own change is done at once. Nothing that was typed stands in an address.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.households.changes import places, reviews, service
from gridmgmt.households.changes.models import KIND_NAMES, ChangeStatus, Kind, ReviewStatus
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.households.changes.words import CHOICES, REVIEW_NAMES, STATUS_NAMES
from gridmgmt.households.reading import home as homes
from gridmgmt.web.access import allow
from gridmgmt.web.change_words import TILES, in_words, not_reviewed
from gridmgmt.web.databases import ring, roster
from gridmgmt.web.scope import STAFF, actor

pages = Blueprint("changes", __name__)

NEWCOMERS = 4
A_YEAR = timedelta(days=365)
# Kinds that begin with choosing one person.
OF_ONE = (Kind.CORRECT, Kind.DEATH)


# --- asking


@pages.get("/homes/<int:number>/changes/new")
@allow(*STAFF)
def new(number: int) -> Any:
    """The form for one kind, or the kinds to choose from."""
    return _form(number, request.args.get("kind", ""), request.args.get("person", 0, int))


def _form(number: int, kind: str, person: int, refused: str = "") -> Any:
    home = homes.household(roster(), ring(), actor(), number)
    if kind and kind not in tuple(Kind):
        raise InputError("kind", kind, " or ".join(Kind))
    chosen = next((one for one in home.people if one.id == person), None)
    return render_template(
        "change_new.html",
        home=home,
        kind=kind,
        kinds={each: name for each, name in KIND_NAMES.items() if _possible(each, home)},
        tiles=TILES,
        person=chosen,
        choose_person=kind in OF_ONE and chosen is None,
        addresses=places.addresses(roster(), actor(), home.grid) if kind in _WITH_PLACE else (),
        refused=refused,
        typed=request.form,
        **_choices(),
    )


_WITH_PLACE = (Kind.MOVE_OUT, Kind.SPLIT, Kind.MERGE)


def _possible(kind: Kind, home: homes.Home) -> bool:
    """Say whether a kind makes sense for a household of so many."""
    if kind is Kind.MOVE_IN:
        return True
    if kind is Kind.CARE_END:
        return bool(home.care)
    return len(home.people) >= (2 if kind in (Kind.HEAD, Kind.SPLIT) else 1)


def _choices() -> dict[str, Any]:
    return {
        **CHOICES,
        "newcomers": NEWCOMERS,
        "today": china_today(),
        "in_a_year": china_today() + A_YEAR,
        "is_office": actor().is_office,
    }


@pages.post("/homes/<int:number>/changes")
@allow(*STAFF)
def ask(number: int) -> Any:
    """Ask for a change; what does not fit brings the form back with everything typed."""
    kind = request.form.get("kind", "")
    try:
        wanted = _wanted(number, kind)
        made = service.ask(roster(), ring(), actor(), wanted)
    except (InputError, ConflictError) as why:
        person = request.form.get("person", 0, int)
        return _form(number, kind if kind in tuple(Kind) else "", person, in_words(why)), why.http_status
    flash(_told(made))
    return redirect(url_for("roster.home", number=number), 303)


def _told(made: int | None) -> str:
    if made is None:
        return "电话已更新。"
    return "已办理，户内信息已更新。" if actor().is_office else "已报镇街审批，结果会出现在这一户的变动里。"


@pages.get("/dwellings/<int:number>/move-in")
@allow(*STAFF)
def empty(number: int) -> Any:
    """The form for people who move into a dwelling without a household of its own."""
    return _empty_form(number)


def _empty_form(number: int, refused: str = "") -> Any:
    door = places.door(roster(), actor(), number)
    return render_template(
        "change_move_in.html", door=door, refused=refused, typed=request.form, **_choices()
    )


@pages.post("/dwellings/<int:number>/move-in")
@allow(*STAFF)
def move_in(number: int) -> Any:
    door = places.door(roster(), actor(), number)
    try:
        values = {"dwelling_id": number, "people": _newcomers()}
        made = service.ask(roster(), ring(), actor(), _of_form(Kind.MOVE_IN, None, None, values))
    except (InputError, ConflictError) as why:
        return _empty_form(number, in_words(why)), why.http_status
    flash(_told(made))
    grid = None if current_user.role == Role.GRID_WORKER else door.grid
    return redirect(url_for("roster.homes", grid=grid), 303)


@pages.post("/homes/changes/<int:number>/withdraw")
@allow(*STAFF)
def withdraw(number: int) -> Any:
    service.withdraw(roster(), actor(), number)
    flash("已撤回。")
    home = request.form.get("home", 0, int)
    return redirect(url_for("roster.home", number=home) if home else url_for("changes.own"), 303)


# --- what the form says


def _wanted(number: int, kind: str) -> Wanted:
    if kind not in tuple(Kind):
        raise InputError("kind", kind, " or ".join(Kind))
    person = request.form.get("person", 0, int) or None
    return _of_form(Kind(kind), number, person, VALUES[Kind(kind)]())


def _of_form(kind: Kind, household: int | None, person: int | None, values: dict[str, Any]) -> Wanted:
    given = request.form.get("on_date", "")
    try:
        day = date.fromisoformat(given) if given else china_today()
    except ValueError as why:
        raise InputError("on_date", given, "a date") from why
    return Wanted(kind, household, person, day, values, request.form.get("reason", ""))


def _words(*fields: str) -> dict[str, Any]:
    """Return the fields that hold something."""
    given = {field: request.form.get(field, "").strip() for field in fields}
    return {field: words for field, words in given.items() if words}


def _number(field: str) -> int | None:
    return request.form.get(field, 0, int) or None


def _correct() -> dict[str, Any]:
    """Return what differs from what the form was filled with: what is left as it was is no correction."""
    values = _words("identity_number", "phone", "relation", "birth_on")
    name = request.form.get("name", "").strip()
    if name and name != request.form.get("name_was", ""):
        values["name"] = name
    if request.form.get("no_phone") == "yes":
        values["phone"] = ""
    return values | _registered()


def _registered() -> dict[str, Any]:
    said = request.form.get("registered_here", "")
    return {"registered_here": said == "yes"} if said in ("yes", "no") else {}


def _birth() -> dict[str, Any]:
    return _words("name", "sex", "identity_number") | _registered()


def _newcomers() -> list[dict[str, Any]]:
    """Return the people of the form's blocks that have a name."""
    found = []
    for at in range(NEWCOMERS):
        fields = ("name", "relation", "identity_number", "phone", "sex", "birth_on", "tenure")
        one = {field: request.form.get(f"{field}_{at}", "").strip() for field in fields}
        if one["name"]:
            said = request.form.get(f"registered_here_{at}") == "yes"
            found.append({**{key: words for key, words in one.items() if words}, "registered_here": said})
    if not found:
        raise InputError("name", "", "at least one person")
    return found


def _people() -> list[int]:
    return request.form.getlist("people", int)


def _place() -> dict[str, Any]:
    """Return the dwelling meant by building and door, where the form says that it is in the town."""
    if request.form.get("to") != "town":
        return {}
    found = places.dwelling_at(
        roster(), actor(), request.form.get("building", ""), request.form.get("door", "")
    )
    return {"to_dwelling": found}


def _move_out() -> dict[str, Any]:
    everybody = request.form.get("whole") == "yes"
    return {"people": None if everybody else _people(), **_place(), "new_head": _number("new_head")}


def _split() -> dict[str, Any]:
    return {"people": _people(), "head": _number("head"), "new_head": _number("new_head"), **_place()}


def _merge() -> dict[str, Any]:
    into = _number("into") or places.household_at(
        roster(), actor(), request.form.get("building", ""), request.form.get("door", "")
    )
    return {"into": into, **_words("relation")}


VALUES: dict[Kind, Callable[[], dict[str, Any]]] = {
    Kind.CORRECT: _correct,
    Kind.BIRTH: _birth,
    Kind.DEATH: lambda: {"new_head": _number("new_head")},
    Kind.MOVE_IN: lambda: {"people": _newcomers()},
    Kind.MOVE_OUT: _move_out,
    Kind.SPLIT: _split,
    Kind.MERGE: _merge,
    Kind.HEAD: lambda: {"new_head": _number("new_head")},
    Kind.CARE: lambda: _words("category", "basis", "expires"),
    Kind.CARE_END: lambda: {"care_id": _number("care_id")},
}


# --- deciding


@pages.get("/grid/changes")
@allow(Role.GRID_WORKER)
def own() -> Any:
    """The grid's requests and what became of them, newest first."""
    lines = service.open_changes(roster(), ring(), actor(), None)
    return render_template("change_own.html", lines=lines)


@pages.get("/office/changes")
@allow(Role.TOWN_OFFICER)
def waiting() -> Any:
    """The requests of the town in one state, each with its differences side by side."""
    status = request.args.get("status", ChangeStatus.OPEN)
    kind = request.args.get("kind", "")
    everything = service.open_changes(roster(), ring(), actor(), status)
    kinds: dict[str, int] = {}
    for line in everything:
        kinds[line.kind] = kinds.get(line.kind, 0) + 1
    return render_template(
        "change_list.html",
        lines=[line for line in everything if kind in ("", line.kind)],
        total=len(everything),
        kinds=[(each, name, kinds[each]) for each, name in KIND_NAMES.items() if each in kinds],
        kind=kind,
        status=status,
        statuses=STATUS_NAMES,
        most=service.MOST_LINES,
    )


@pages.post("/office/changes")
@allow(Role.TOWN_OFFICER)
def decide_many() -> Any:
    """Approve the requests that are ticked, each in its own transaction; one that fails stops no other."""
    done, failed = 0, []
    for number in request.form.getlist("change", int):
        try:
            service.decide(roster(), ring(), actor(), number, approve=True)
            done += 1
        except (ConflictError, NotFoundError) as why:
            failed.append(in_words(why))
    left = f"；{len(failed)} 件没有办成：{'；'.join(sorted(set(failed)))}" if failed else ""
    flash(f"同意并办理了 {done} 件{left}。" if done or failed else "没有选中事项。")
    return redirect(url_for("changes.waiting"), 303)


@pages.post("/office/changes/<int:number>")
@allow(Role.TOWN_OFFICER)
def decide(number: int) -> Any:
    """Approve one request, or refuse it with the note of its row."""
    approve = request.form.get("approve") == "yes"
    try:
        note = "" if approve else request.form.get(f"note-{number}", "")
        service.decide(roster(), ring(), actor(), number, approve, note)
    except (InputError, ConflictError) as why:
        flash(f"没有办成：{in_words(why)}")
    else:
        flash("已同意并办理。" if approve else "已退回，报的人能看到原因。")
    return redirect(url_for("changes.waiting"), 303)


# --- rows that may be somebody known


@pages.get("/office/reviews")
@allow(Role.TOWN_OFFICER)
def doubles() -> Any:
    """The rows of imported files that wait for a decision, each beside the person known."""
    lines = reviews.reviews(roster(), ring(), actor())
    return render_template("review_list.html", lines=lines, decisions=REVIEW_NAMES)


@pages.post("/office/reviews/<int:number>")
@allow(Role.TOWN_OFFICER)
def decide_double(number: int) -> Any:
    decision = request.form.get("decision", "")
    if decision not in tuple(ReviewStatus):
        raise InputError("decision", decision, " or ".join(reviews.DECISIONS))
    try:
        reviews.decide_review(roster(), ring(), actor(), number, ReviewStatus(decision))
    except ConflictError as why:
        flash(f"没有办成：{not_reviewed(why)}")
    else:
        flash("已核对。")
    return redirect(url_for("changes.doubles"), 303)
