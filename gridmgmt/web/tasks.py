"""Tasks of the seasonal list: handing out, the office's board, and the page on which one is closed.

Every page here reads and writes through the writer's role in the caller's own area, so that a task of
another place is not found, whatever the address says.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.importing import kept, pictures
from gridmgmt.seasonal import stored as seasonal_list
from gridmgmt.seasonal.stored import Item
from gridmgmt.seasonal.tasks import service, stored
from gridmgmt.seasonal.tasks.models import STATUS_NAMES, TaskStatus
from gridmgmt.seasonal.tasks.service import Actor, Outcome
from gridmgmt.seasonal.tasks.stored import Task, YearOfTasks
from gridmgmt.web import seasonal, year_list
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import reader, writer
from gridmgmt.web.scope import listed_areas, own_area

pages = Blueprint("tasks", __name__)

OFFICES = (Role.TOWN_OFFICER, Role.COMMAND)
EVERYBODY = (Role.GRID_WORKER, *OFFICES)
PAGE = 60
SOON = timedelta(days=14)
# What a report may carry; a photo above pictures.LARGEST_FILE is refused by name, not as a broken request.
LARGEST_REPORT = 24 << 20
REASONS = ("无人在家", "需部门支持", "问题已消失", "天气不允许", "居民不同意", "其他")
FILTERS = ("state", "area", "category", "q")
STATES = {
    "": "全部", "over": "超期", "soon": "14 天内到期", "open": "待办", "not_done": "没有办成",
    "done": "已办好",
}  # fmt: skip
REFUSED = {
    "reason": "请选一个没有办成的原因，选“其他”时请写明；不超过 500 字。",
    "note": "备注请不超过 500 字。",
    "done_on": "办理日期应在今天或今天以前。",
    "due_on": "新期限应在今天到窗口最后一天之间，没有改。",
    "photo": "这张照片收不下：请换一张 8 MB 以内、能打开的 JPEG、PNG 或 WebP 照片。其他内容还在，没有提交。",
}


def actor() -> Actor:
    """Return the signed-in person as one who acts, in the own area."""
    return Actor(current_user.who.username, current_user.role, own_area())


@contextmanager
def own_tasks() -> Iterator[Connection]:
    """Give a transaction that sees the tasks of the signed-in person's area and no others."""
    with acting(writer(), current_user.who.username, own_area()) as connection:
        yield connection


@pages.url_value_preprocessor
def allow_photos(endpoint: str | None, _: object) -> None:
    # Before the form is read for its token, which is before the view.
    if endpoint == "tasks.close" and request.method == "POST":
        request.max_content_length = LARGEST_REPORT


@pages.app_context_processor
def asked_by_templates() -> dict[str, Any]:
    return {
        "overdue_tasks": _overdue,
        "treated": _treated,
        "to_hand_out": _to_hand_out,
        "handed_out": _handed_out,
        "task_states": STATUS_NAMES,
    }


def _overdue() -> int:
    """Return how many tasks of the own area are overdue, for the menu."""
    try:
        with reader().connect() as connection:
            return stored.overdue_count(connection, own_area(), china_today())
    except OperationalError:  # the page that says so has a menu too
        return 0


def _treated(item: Item) -> list[YearOfTasks]:
    """Return what was done about an item last year and this year, for its evidence."""
    with reader().connect() as connection:
        return stored.of_item(connection, item)


def _handed_out(items: Collection[Item]) -> dict[int, TaskStatus]:
    """Return where the tasks of these items stand; what was not handed out is left out."""
    with reader().connect() as connection:
        return stored.by_item(connection, [item.id for item in items])


def _to_hand_out(items: Collection[Item], linked: Mapping[int, TaskStatus]) -> int:
    """Return how many of these items the signed-in person could hand out now, for the button.

    `linked` says where their tasks stand (`_handed_out`).
    """
    if current_user.role not in OFFICES:
        return 0
    today, area = china_today(), own_area()
    return sum(service.left_because(item, area, linked, today) is None for item in items)


# --- handing out


@pages.post("/seasonal/hand-out")
@allow(*OFFICES)
def hand_out() -> Any:
    """Hand out the items named in the form, or, with `all`, all that the filters in the address leave."""
    items = seasonal.chosen_list().items if "all" in request.form else _named()
    done = service.hand_out(writer(), actor(), items)
    left = "".join(f"；{service.LEFT_NAMES[why]} {count} 项" for why, count in done.left.items())
    flash(f"下发了 {done.made} 项{left}。" if items else "没有选中事项。")
    query = request.query_string.decode("ascii", "ignore")
    return redirect(url_for("seasonal.calendar") + (f"?{query}" if query else ""), 303)


def _named() -> list[Item]:
    numbers = set(request.form.getlist("item", int))
    with reader().connect() as connection:
        found = (
            item
            for year in seasonal_list.years(connection)
            for item in year_list.items(connection, year, listed_areas())
        )
        return [item for item in found if item.id in numbers]


# --- the board


@dataclass(frozen=True)
class Tally:
    """How the tasks of one place stand; `closed` counts those that could not be done too."""

    code: str
    name: str
    total: int
    closed: int
    over: int


@pages.get("/office/tasks")
@allow(*OFFICES)
def board() -> Any:
    """All tasks of the own area: overdue first, then by the day they are due, then what is closed."""
    chosen = {name: request.args.get(name, "").strip()[:60] for name in FILTERS}
    today = china_today()
    with reader().connect() as connection:
        here = territory(connection)
    with own_tasks() as connection:
        years = stored.years(connection)
        year = _year(years)
        everything = (
            stored.tasks(connection, own_area(), year)
            if year
            else stored.current(connection, own_area(), today)
        )
    fitting = [task for task in everything if _fits(task, chosen, here)]
    found = [task for task in fitting if _in_state(task, chosen["state"], today)]
    found.sort(key=lambda task: (not task.is_open, task.is_done, task.due_on))
    page = max(1, request.args.get("page", 1, int))
    return render_template(
        "tasks_board.html",
        here=here,
        years=years,
        year=year,
        chosen=chosen,
        states=[(key, name, sum(_in_state(t, key, today) for t in fitting)) for key, name in STATES.items()],
        found=found,
        rows=found[(page - 1) * PAGE : page * PAGE],
        page=page,
        pages=-(-len(found) // PAGE),
        tallies=_tallies(everything, here, today),
        categories=sorted({(task.category, task.category_name) for task in everything}),
        where=lambda task: _where(task, here),
        today=today,
        soon=today + SOON,
    )


def _year(years: list[int]) -> int | None:
    asked = request.args.get("year", type=int)
    return asked if asked in years else None


def _in_state(task: Task, state: str, today: date) -> bool:
    holds = {
        "": True,
        "over": task.days_over(today) > 0,
        "soon": task.is_open and today <= task.due_on <= today + SOON,
        "open": task.is_open,
        "not_done": not task.is_open and not task.is_done,
        "done": task.is_done,
    }
    return holds.get(state, True)


def _fits(task: Task, chosen: dict[str, str], here: Territory) -> bool:
    words = (
        f"{task.area_name} {task.category_name} {task.action} {task.chief or ''} {task.reason or ''}"
        f" {task.note or ''} {_where(task, here)}"
    )
    return (
        task.area.startswith(chosen["area"])
        and chosen["category"] in ("", task.category)
        and all(word in words for word in chosen["q"].split())
    )


def _tallies(tasks: list[Task], here: Territory, today: date) -> list[Tally]:
    """Return counts by place in the order of codes: towns for the city, grids and villages for a town.

    In the order of codes, because a grid is one chief: this shows where help is needed and ranks nobody.
    """
    digits = DIGITS["grid"] if own_area() else DIGITS["town"]
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.area[:digits], []).append(task)
    return [
        Tally(
            code,
            here.name(code),
            len(own),
            sum(not task.is_open for task in own),
            sum(task.days_over(today) > 0 for task in own),
        )
        for code, own in sorted(groups.items())
    ]


def _where(task: Task, here: Territory) -> str:
    place = here.place(task.area)
    return place.path if place else ""


# --- one task


@pages.get("/grid/tasks/<int:number>")
@allow(*EVERYBODY)
def task(number: int) -> Any:
    return _task_page(number)


def _task_page(number: int, refused: str = "") -> Any:
    today = china_today()
    with reader().connect() as connection:
        here = territory(connection)
    with own_tasks() as connection:
        found = stored.task(connection, number)
        record = stored.steps(connection, number)
        pictures = stored.photos(connection, number)
        parts = stored.tasks(connection, own_area(), parent=number) if found.parts else []
    return render_template(
        "tasks_task.html",
        here=here,
        task=found,
        where=_where(found, here),
        steps=record,
        photos=pictures,
        parts_of=parts,
        mine=service.may_close(current_user.role, found.level),
        movable=current_user.role is Role.TOWN_OFFICER or found.level == "county",
        splittable=current_user.role is Role.TOWN_OFFICER and found.level in service.SPLITS,
        reasons=REASONS,
        typed=request.form,
        refused=refused,
        today=today,
        soon=SOON,
    )


@pages.post("/grid/tasks/<int:number>")
@allow(*EVERYBODY)
def close(number: int) -> Any:
    """Close a task; what is not allowed brings the form back with everything typed but the photo."""
    try:
        outcome = _outcome()
        picture = _photo()
        service.close(
            writer(),
            actor(),
            number,
            outcome,
            photo=picture.sha256 if picture else None,
            keep_photo=lambda: _keep(picture) if picture else None,
        )
    except InputError as why:
        return _task_page(number, REFUSED.get(why.field, "")), why.http_status
    flash("已记下：办好了。" if outcome.done else "已记下：没有办成，镇街能看到原因。")
    return redirect(url_for("tasks.task", number=number), 303)


def _outcome() -> Outcome:
    form = request.form
    chosen, words = form.get("why", ""), form.get("reason", "").strip()
    told = [part for part in (chosen if chosen in REASONS else "", words) if part]
    return Outcome(
        done=form.get("outcome") == "done",
        done_on=_day("done_on"),
        reason="" if told == ["其他"] else "：".join(told),
        note=form.get("note", ""),
    )


def _day(field: str) -> date | None:
    """Return the day of a form's field, None when nothing stands there."""
    found = request.form.get(field, "").strip()
    try:
        return date.fromisoformat(found) if found else None
    except ValueError as why:
        raise InputError(field, found, "a date") from why


def _photo() -> pictures.Photo | None:
    sent = request.files.get("photo")
    if sent is None or not sent.filename:
        return None
    return pictures.prepare(sent.read(pictures.LARGEST_FILE + 1))


def _keep(picture: pictures.Photo) -> None:
    kept.keep(_folder(), picture.sha256, pictures.ENDING, picture.data)


def _folder() -> Path:
    folder: Path = current_app.config["PHOTOS"]
    return folder


@pages.post("/grid/tasks/<int:number>/reopen")
@allow(*EVERYBODY)
def reopen(number: int) -> Any:
    service.reopen(writer(), actor(), number)
    flash("已撤销，可以重新填报。")
    return redirect(url_for("tasks.task", number=number), 303)


@pages.post("/grid/tasks/<int:number>/due")
@allow(*OFFICES)
def move(number: int) -> Any:
    try:
        due_on = _day("due_on")
        if due_on is None:
            raise InputError("due_on", "", "a date")
        service.move(writer(), actor(), number, due_on)
    except InputError as why:
        return _task_page(number, REFUSED[why.field]), why.http_status
    flash("期限已改。")
    return redirect(url_for("tasks.task", number=number), 303)


@pages.post("/grid/tasks/<int:number>/split")
@allow(Role.TOWN_OFFICER)
def split(number: int) -> Any:
    made = service.split(writer(), actor(), number)
    flash(f"分到了 {made} 个网格。" if made else "各网格都已有这项任务，没有再分。")
    return redirect(url_for("tasks.task", number=number), 303)


@pages.get("/grid/tasks/photos/<int:number>")
@allow(*EVERYBODY)
def photo(number: int) -> Response:
    """A photo, to whoever may see its task; a browser asks each time whether it still may."""
    with own_tasks() as connection:
        sha256 = stored.photo(connection, number)
    response = Response(kept.read(_folder(), sha256, pictures.ENDING), mimetype="image/jpeg")
    response.set_etag(sha256)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Cookie")
    return response.make_conditional(request)  # type: ignore[return-value]
