"""The administrator's desk: what stands, what is to be done, imports and analyses; the auditor's record."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask_login import current_user

from gridmgmt.calendar import china_today
from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.crs import parse_crs
from gridmgmt.db import accounts, jobs
from gridmgmt.db.models import ROLE_NAMES, JobKind, Role
from gridmgmt.errors import ConflictError, FileError, InputError, NotFoundError
from gridmgmt.grids import staffing
from gridmgmt.importing import uploads
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents import service as incidents
from gridmgmt.privacy.accounts import confirm as confirm_account
from gridmgmt.web import health, records
from gridmgmt.web.access import allow, may_open
from gridmgmt.web.account_fields import PROPOSALS
from gridmgmt.web.areas import Place, Territory, territory
from gridmgmt.web.databases import databases, reader
from gridmgmt.web.jobs import TRIAL, begin, rejects_file, unseen

pages = Blueprint("admin", __name__)

# The side menu of every page of this desk: groups of where it lies, its endpoint, its name.
SIDE: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("", (("/admin", "admin.home", "总览"), ("/jobs", "jobs.listed", "后台工作"))),
    ("安全", (("/admin/accounts", "accounts.listed", "账号"), ("/admin/keys", "keys.listed", "接口"))),
    ("基础", (
        ("/admin/areas", "admin.areas", "区划与网格"), ("/admin/codes", "codes.page", "码表"),
        ("/admin/flows", "matter_admin.flows", "流程"),
        ("/admin/holidays", "matter_admin.holidays", "工作日"),
        ("/admin/papers", "papers.templates", "文书模板"),
    )),
    ("数据", (("/admin/imports", "admin.imports", "导入"), ("/admin/analyses", "admin.analyses", "分析"))),
    ("运行", (("/admin/backups", "backups.page", "备份"), ("/admin/health", "health.page", "健康"))),
)  # fmt: skip
# Pages that lie elsewhere than the item they belong to.
ALSO = {"/admin/webhooks": "/admin/keys"}

LARGEST_UPLOAD = 200 << 20
CRS_NAMES = {
    "": "按映射文件；没有写的按 CGCS2000", "cgcs2000": "CGCS2000（国家 2000）", "wgs84": "WGS 84（GPS）",
    "gcj02": "GCJ-02（高德、腾讯地图）", "bd09": "BD-09（百度地图）",
}  # fmt: skip
FIRST_YEAR, LAST_YEAR = 2000, 2060
TERRITORY = ("divisions", "grids")


@pages.app_context_processor
def frame() -> dict[str, Any]:
    """Give the side menu and the number of jobs under way to the pages of this desk."""
    return {"may_open": may_open, "admin_side": _side, "admin_at": _at, "admin_busy": _busy}


def _side() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Return the groups of the side menu with the items that this person may open."""
    groups = [(name, [item for item in items if may_open(item[1])]) for name, items in SIDE]
    return [(name, items) for name, items in groups if items]


def _at(path: str) -> bool:
    """Say whether the page that is shown belongs to the item of the side menu that lies there."""
    shown = ALSO.get(request.path, request.path)
    return shown == path if path == "/admin" else shown == path or shown.startswith((f"{path}/", f"{path}."))


def _busy() -> int:
    return len(jobs.under_way(databases().accounts))


@pages.url_value_preprocessor
def allow_uploads(endpoint: str | None, _: object) -> None:
    # Before the form is read for its token, which is before the view; for whoever may send files alone.
    if endpoint == "admin.upload" and current_user.is_authenticated and current_user.role is Role.ADMIN:
        request.max_content_length = LARGEST_UPLOAD


# --- what stands, and what is to be done


@pages.get("/admin")
@allow(Role.ADMIN)
def home() -> Any:
    """What needs doing, what is under way, how much there is."""
    found, (under_way, ended) = health.lines(), unseen()
    with reader().connect() as connection:
        here, period = territory(connection), incidents.period(connection)
        latest = records.imports(connection)[:5]
    return render_template(
        "admin.html", here=here, lines=found, names=health.STATE_NAMES, signs=health.STATE_SIGNS,
        under_way=under_way, ended=ended, period=period, tally=accounts.tally(databases().accounts),
        role_names=ROLE_NAMES, latest=latest, proposals=PROPOSALS,
        waiting=accounts.listed(databases().accounts, accounts.Filter(state="waiting"), page=None)[0],
    )  # fmt: skip


@pages.post("/admin/confirm")
@allow(Role.ADMIN)
def confirm() -> Any:
    """Open an administrator's account that a security administrator proposed, or leave it closed."""
    form, agreed = request.form, request.form.get("agree") == "yes"
    name, seen = form.get("account", ""), form.getlist("why")
    try:
        confirm_account(databases().accounts, current_user.username, name, seen, agreed=agreed)
    except ConflictError:
        flash("没有办理：这个账号的情况已经变了，请再看一遍。")
    else:
        flash(f"已确认：{name} 可以登录了。" if agreed else f"已退回：{name} 仍然停用。")
    return redirect(url_for("admin.home"), 303)


@pages.get("/admin/health.json")
@allow(Role.ADMIN)
def health_json() -> Any:
    return jsonify(health.as_json())


@dataclass(frozen=True)
class AreaLine:
    """A town or village with what lies in it; `households` is a text, "<5" where they are few."""

    place: Place
    town: bool
    villages: int
    grids: int
    households: str
    vacant: int


@pages.get("/admin/areas")
@allow(Role.ADMIN)
def areas() -> Any:
    """Towns and villages in numbers, grids without a chief, accounts bound to no place that stands."""
    with reader().connect() as connection:
        here, vacant = territory(connection), staffing.vacancies(connection)
        done = records.imports(connection)
    bound = accounts.listed(databases().accounts, accounts.Filter(state="on"), page=None)[0]
    adrift = [
        each for each in bound
        if each.role in (Role.GRID_WORKER, Role.TOWN_OFFICER) and not here.place(each.area or "-")
    ]  # fmt: skip
    return render_template(
        "admin_areas.html", here=here, areas=_area_lines(here, vacant), vacant=vacant, adrift=adrift,
        role_names=ROLE_NAMES, last=next((each for each in done if each.code in TERRITORY), None),
    )  # fmt: skip


def _area_lines(here: Territory, vacant: Sequence[staffing.Vacancy]) -> list[AreaLine]:
    """Return each town, followed by its villages."""
    places = {**here.places["town"], **here.places["village"]}
    return [_area_line(here, places[code], vacant) for code in sorted(places)]


def _area_line(here: Territory, place: Place, vacant: Sequence[staffing.Vacancy]) -> AreaLine:
    count = place.households
    few = count is not None and 0 < count < FEWEST_HOUSEHOLDS
    shown = "—" if count is None else f"<{FEWEST_HOUSEHOLDS}" if few else f"{count:,}"
    return AreaLine(
        place, place.level == "town", len(here.inside("village", place.code)),
        len(here.inside("grid", place.code)), shown, sum(each.code.startswith(place.code) for each in vacant),
    )  # fmt: skip


# --- imports


@pages.get("/admin/imports")
@allow(Role.ADMIN)
def imports() -> Any:
    return _imports()


def _imports(refused: str = "", filled: Any = None, status: int = 200) -> Any:
    asked = jobs.listed(databases().accounts, JobKind.IMPORT)
    with reader().connect() as connection:
        found = records.imports(connection, asked)
    page = render_template(
        "admin_imports.html", imports=found, counts=records.COUNTS, kinds=uploads.KIND_NAMES, crs=CRS_NAMES,
        plain=uploads.PLAIN_KINDS, refused=refused, filled=filled or {}, most=LARGEST_UPLOAD >> 20,
    )  # fmt: skip
    return page, status


@pages.get("/admin/imports/<int:number>/rejects.csv")
@allow(Role.ADMIN)
def import_rejects(number: int) -> Any:
    """The rejected rows of an import, as `jobs.rejects_file` may give them out."""
    with reader().connect() as connection:
        found = records.import_of(connection, number)
    if found is None or found.rejects is None:
        raise NotFoundError(f"no rejected rows of import {number}")
    return rejects_file(found.rejects, found.code)


@pages.post("/admin/imports")
@allow(Role.ADMIN)
def upload() -> Any:
    """Keep the files sent and ask for their import, for a trial unless it is said otherwise."""
    form, home = request.form, current_app.config["SETTINGS"].home
    kind, trial = form.get("kind", ""), form.get("do") != "import"
    _clear(home)
    token = ""
    try:
        crs = _crs(kind, form.get("crs", ""), form.get("epsg", ""))
        token, names = uploads.keep(home, request.files.getlist("files"), request.files.get("mapping"))
        mapping = home / "uploads" / token / uploads.MAPPING
        load_mapping(mapping if mapping.exists() else None, crs=crs)
    except InputError as why:
        uploads.drop(home, token)
        return _imports(_refused(why), form, why.http_status)
    title = f"导入{uploads.KIND_NAMES[kind]}{TRIAL if trial else ''}"
    asked = {
        "kind": kind, "files": names, "folder": token, "mapping": mapping.exists(), "crs": crs,
        "dry_run": trial,
    }  # fmt: skip
    return redirect(url_for("jobs.shown", number=begin(JobKind.IMPORT, title, asked)), 303)


def _clear(home: Path) -> None:
    """Remove what was sent more than a day ago and is not waited for."""
    needed = [str(job.parameters.get("folder")) for job in jobs.under_way(databases().accounts)]
    for token in uploads.left_over(home, needed):
        uploads.drop(home, token)


def _crs(kind: str, name: str, epsg: str) -> str | None:
    if kind not in uploads.KIND_NAMES:
        raise InputError("kind", kind, " | ".join(uploads.KIND_NAMES))
    if name == "epsg":
        name = f"EPSG:{epsg.strip()}" if re.fullmatch("[0-9]{4,6}", epsg.strip()) else f"EPSG:{epsg[:9]}?"
    return parse_crs(name) if name else None


def _refused(why: InputError) -> str:
    """Return what a person reads about files that were not taken; nothing was kept of them."""
    if why.field == "files":
        return (
            f"请选择 1 到 {uploads.MOST_FILES} 个文件，名称不重复；Shapefile 的几个部分要一起选，或用 .zip。"
        )
    if why.field == "kind":
        return "请选择导入什么。"
    if isinstance(why, FileError):
        found = str(why.found)[:120]
        return f"没有发起导入。映射文件不能使用：{why.field} 写的是 {found}；可以是：{why.allowed}。"
    return f"坐标系不对：{str(why.found)[:40]}。请从列表里选，或填一个 EPSG 代码。"


# --- analyses


@pages.get("/admin/analyses")
@allow(Role.ADMIN)
def analyses() -> Any:
    return _analyses()


def _analyses(refused: str = "", filled: Any = None, status: int = 200) -> Any:
    with reader().connect() as connection:
        found, period = records.runs(connection), incidents.period(connection)
    page = render_template(
        "admin_analyses.html", runs=found, period=period, levels=records.LEVELS, year=china_today().year,
        refused=refused, filled=filled or {}, first_year=FIRST_YEAR, last_year=LAST_YEAR,
    )  # fmt: skip
    return page, status


@pages.post("/admin/analyses")
@allow(Role.ADMIN)
def analyse() -> Any:
    """Ask for an analysis."""
    try:
        kind, title, asked = _asked(request.form)
    except InputError as why:
        return _analyses(why.allowed, request.form, why.http_status)
    number = begin(kind, title, asked)
    flash("已发起。可以离开本页，完成后在“后台工作”里看结果。")
    return redirect(url_for("jobs.shown", number=number), 303)


def _asked(form: Any) -> tuple[JobKind, str, dict[str, Any]]:
    """Return kind, title and parameters of what a form asks for; InputError with what a person reads."""
    kind = form.get("kind", "")
    if kind == JobKind.HOTSPOTS:
        level = form.get("level", "")
        if level not in ("grid", "village", "town"):
            raise InputError("level", level, "请选网格、村社区或镇街。")
        first, last = _day(form.get("from", "")), _day(form.get("to", ""))
        if first > last:
            raise InputError("from", first.isoformat(), "开始的日子要在结束之前。")
        title = f"热点分析（{records.LEVELS[level]}，{first} 至 {last}）"
        return JobKind.HOTSPOTS, title, {"from": str(first), "to": str(last), "level": level}
    if kind == JobKind.CLUSTERS:
        last = _day(form.get("to", ""))
        return JobKind.CLUSTERS, f"近期聚集（截至 {last}）", {"to": str(last)}
    if kind == JobKind.SEASONAL:
        year = form.get("year", "")
        if not (re.fullmatch("[0-9]{4}", year) and FIRST_YEAR <= int(year) <= LAST_YEAR):
            raise InputError("year", year, f"年份要在 {FIRST_YEAR} 到 {LAST_YEAR} 之间。")
        return JobKind.SEASONAL, f"编制 {year} 年时令清单", {"year": int(year)}
    raise InputError("kind", kind, "请选一种分析。")


def _day(told: str) -> date:
    try:
        return date.fromisoformat(told)
    except ValueError as why:
        raise InputError("day", told[:10], "请填写日期。") from why


# --- the auditor


@pages.get("/audit")
@allow(Role.AUDITOR)
def audit() -> Any:
    """The record of imports and analyses, to read."""
    with reader().connect() as connection:
        return render_template(
            "audit.html", here=None, imports=records.imports(connection), runs=records.runs(connection),
            counts=records.COUNTS,
        )  # fmt: skip
