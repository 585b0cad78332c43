"""Flows and working days, for the administrator: what stands, and a new file or year in its place."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import NotFoundError
from gridmgmt.incidents import holidays as table
from gridmgmt.incidents.flows import stored
from gridmgmt.incidents.flows.flow import GUARD_NAMES, NEED_NAMES, WHO_NAMES, Guard, Need, Who
from gridmgmt.incidents.flows.reading import FlowError, as_text, read
from gridmgmt.incidents.flows.standing import WRONG_NAMES, Fault, Wrong
from gridmgmt.incidents.holidays import BadRow, Day, HolidayError
from gridmgmt.web.access import allow
from gridmgmt.web.databases import databases, reader
from gridmgmt.web.flow_drawing import drawing, limit_words

pages = Blueprint("matter_admin", __name__)

# Empty rows of the form, for what comes new: a year not announced yet has seven holidays, with worked days.
BLANK, BLANK_YEAR = 6, 45
KINDS = {"off": "休", "work": "班"}


# --- flows


@pages.get("/admin/flows")
@allow(Role.ADMIN)
def flows() -> Any:
    """Every flow as a picture and a table, and the form for another."""
    return _flows()


def _flows(faults: tuple[Fault, ...] = (), file: str = "", status: int = 200) -> Any:
    with reader().connect() as connection:
        versions = stored.versions(connection)
    page = render_template(
        "matter_flows.html",
        active=[version for version in versions if version.active],
        older=[version for version in versions if not version.active],
        draw=drawing, limit_words=limit_words, who_names=_named(Who, WHO_NAMES),
        need_names=_named(Need, NEED_NAMES), guard_names=_named(Guard, GUARD_NAMES),
        faults=faults, wrong_names=WRONG_NAMES, file=file,
    )  # fmt: skip
    return page, status


def _named(kind: Any, names: Any) -> Any:
    """Return what puts a set of words into their order and into Chinese."""
    return lambda found: [names[word] for word in kind if word in found]


@pages.get("/admin/flows/<code>.toml")
@allow(Role.ADMIN)
def flow_file(code: str) -> Any:
    """The file of a flow, to be changed and loaded again."""
    with reader().connect() as connection:
        flow = stored.active(connection).get(code)
    if flow is None:
        raise NotFoundError(f"no flow {code}")
    answer = Response(as_text(flow), mimetype="application/toml")
    answer.headers["Content-Disposition"] = f'attachment; filename="{flow.code}.toml"'
    return answer


@pages.post("/admin/flows")
@allow(Role.ADMIN)
def load_flow() -> Any:
    """Check a flow file, or make it the one by which new matters go."""
    words, name = _uploaded()
    try:
        if words is None:
            raise FlowError(name, [Fault("", "file", name, "TOML in UTF-8", Wrong.FILE)])
        if request.form.get("do") == "check":
            flow = read(words, name)
            flash(f"“{flow.name}”没有问题，可以装入。")
        else:
            code = stored.load(databases().accounts, current_user.who.username, words, name)
            flash(f"流程 {code} 已装入：新登记的诉求按此办理，已登记的按原流程办结。")
    except FlowError as why:
        return _flows(why.faults, name, why.http_status)
    return redirect(url_for("matter_admin.flows"), 303)


def _uploaded() -> tuple[str | None, str]:
    """Return the text and the name of the file sent; None for the text where it is none, or no UTF-8."""
    sent = request.files.get("file")
    name = (sent.filename or "").replace("\\", "/").rpartition("/")[2][:80] if sent else ""
    if sent is None or not name:
        return None, "没有选择文件"
    try:
        return sent.read().decode("utf-8-sig"), name
    except UnicodeDecodeError:
        return None, name


# --- working days


@pages.get("/admin/holidays")
@allow(Role.ADMIN)
def holidays() -> Any:
    """The days of a year that are off or worked, to be changed, and which years are missing."""
    return _holidays(request.args.get("year", china_today().year, type=int))


def _holidays(
    year: int, rows: list[Any] | None = None, bad: tuple[BadRow, ...] = (), status: int = 200
) -> Any:
    this = china_today().year
    with reader().connect() as connection:
        known = table.years(connection)
        days = table.days_of(connection, year)
    if rows is None:
        rows = [(day.day.isoformat(), day.kind.value, day.name) for day in days]
    blank = BLANK if rows else BLANK_YEAR
    page = render_template(
        "matter_holidays.html",
        year=year, years=sorted({*known, this, this + 1}), known=known, days=days, kinds=KINDS, bad=bad,
        missing=[each for each in (this, this + 1) if each not in known],
        rows=[*rows, *[("", "off", "")] * blank],
    )  # fmt: skip
    return page, status


@pages.post("/admin/holidays")
@allow(Role.ADMIN)
def save_holidays() -> Any:
    """Put the rows of the form in the place of a year's; rows without a day are left out."""
    year = request.form.get("year", 0, type=int)
    columns = (request.form.getlist(name) for name in ("day", "kind", "name"))
    rows = [row for row in zip(*columns, strict=False) if row[0].strip()]
    found = [table.entry(f"第 {n} 行", *row) for n, row in enumerate(rows, 1)]
    return _replace(year, found, rows)


@pages.post("/admin/holidays/file")
@allow(Role.ADMIN)
def load_holidays() -> Any:
    """Put the days of a file in the place of its year's."""
    words, name = _uploaded()
    try:
        if words is None:
            raise HolidayError(name, [BadRow("文件", name, "TOML or CSV in UTF-8")])
        days = table.read(words, name)
    except HolidayError as why:
        return _holidays(china_today().year, None, why.rows, why.http_status)
    return _replace(days[0].day.year, list(days), None)


def _replace(year: int, found: list[Day | BadRow], rows: list[Any] | None) -> Any:
    bad = [row for row in found if isinstance(row, BadRow)]
    days = [row for row in found if isinstance(row, Day)]
    bad += [
        BadRow(each.day.isoformat(), each.day.year, f"a day of {year}", f"不是 {year} 年的日子")
        for each in days
        if each.day.year != year
    ]
    try:
        if bad:
            raise HolidayError(str(year), bad)
        table.replace_year(databases().accounts, current_user.who.username, year, days)
    except HolidayError as why:
        return _holidays(year, rows, why.rows, why.http_status)
    flash(f"{year} 年已保存：{len(days)} 天。已经定下的办理期限不变。")
    return redirect(url_for("matter_admin.holidays", year=year), 303)
