"""The planner's desk: what to plan, a plan on its map, two plans side by side, and plans as files."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import Connection

from gridmgmt.calendar import format_date
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.grids import service as grids
from gridmgmt.grids.checks import PlanLimits
from gridmgmt.grids.codes import DIGITS
from gridmgmt.planning import change_list, export, figures, service, stored
from gridmgmt.planning.atlas import atlas
from gridmgmt.planning.atlas_pages import atlas_pages
from gridmgmt.planning.bands import limits
from gridmgmt.planning.models import OPERATION_NAMES, PLAN_STATUS_NAMES, Operation, PlanStatus
from gridmgmt.planning.stored import PlanInfo
from gridmgmt.web import plan_api, plan_words
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Place, Territory, territory
from gridmgmt.web.databases import reader, writer
from gridmgmt.web.overview import city_map
from gridmgmt.web.plan_api import READERS, actor
from gridmgmt.web.plan_words import BAND
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("plan", __name__, url_prefix="/plan")
pages.register_blueprint(plan_api.api)

SHOWN = 60
LONGEST_NAME = 60
ORDER = {PlanStatus.DRAFT: 0, PlanStatus.PUBLISHED: 1, PlanStatus.RETIRED: 2}


@pages.get("")
@allow(*READERS)
def home() -> Any:
    """Plans, drafts first, and the grids outside the band with which planning begins."""
    with reader().connect() as connection:
        here = territory(connection)
        plans = stored.plans(connection)
    outside = _outside(here)
    plans.sort(key=lambda plan: (ORDER[PlanStatus(plan.status)], -plan.id))
    return render_template(
        "plan.html",
        here=here,
        map=city_map(here, (), ""),
        plans=plans,
        names={plan.id: plan.name for plan in plans},
        status_names=PLAN_STATUS_NAMES,
        towns=here.inside("town"),
        grids=here.inside("grid"),
        outside=outside,
        shown=SHOWN,
        band=BAND,
        may_edit=_may_edit(),
    )


def _outside(here: Territory) -> list[Place]:
    """Return the grids outside the usual band, those that must change before those that may be small."""
    middle, allowed = sum(BAND) / 2, limits()
    known = [(grid, grid.households) for grid in here.inside("grid") if grid.households is not None]
    found = [(grid, count) for grid, count in known if not _within(grid, count, allowed)]

    def urgency(pair: tuple[Place, int]) -> tuple[float, float, str]:
        grid, count = pair
        return (
            -abs(figures.deviation(count, grid.code[: DIGITS["village"]], allowed)),
            -abs(count - middle),
            grid.code,
        )

    return [grid for grid, _ in sorted(found, key=urgency)]


def _within(grid: Place, households: int, allowed: PlanLimits) -> bool:
    low, high = allowed.band_of(grid.code[: DIGITS["village"]])
    return low <= households <= high


@pages.post("/create")
@allow(Role.PLANNER)
def create() -> Any:
    """Begin a plan; with a `grid` it is about that grid's town, with `divide` the grid is divided at once."""
    form = request.form
    code, divide = form.get("grid", ""), "divide" in form
    with reader().connect() as connection:
        place = territory(connection).place(code) if code else None
        number = form.get("parent", type=int)
        parent = stored.plan(connection, number) if number else None
    if code and place is None:
        raise NotFoundError(f"no grid {code} is in force")
    name = form.get("name", "").strip() or (f"{place.name}调整" if place else "")
    if not 0 < len(name) <= LONGEST_NAME:
        raise InputError("name", name, f"请写方案名称，不超过 {LONGEST_NAME} 字")
    scope = parent.scope if parent else place.code[: DIGITS["town"]] if place else form.get("scope", "")
    plan = service.create(writer(), actor(), name, scope, parent.id if parent else None)
    if divide and place:
        arguments = {"keys": [place.code], "low": BAND[0], "high": BAND[1]}
        service.edit(writer(), actor(), plan.id, Operation.PROPOSE, arguments, plan.version)
    return redirect(url_for("plan.draw", number=plan.id, grid=code or None), 303)


@pages.get("/<int:number>")
@allow(*READERS)
def draw(number: int) -> Any:
    """A plan on its map, to be drawn by a planner as long as it is a draft."""
    with reader().connect() as connection:
        plan = stored.plan(connection, number)
        here = territory(connection)
        others = stored.plans(connection)
        divisions = grids.division_names(connection)
    return render_template(
        "plan_draw.html",
        here=here,
        plan=plan,
        parent=next((each for each in others if each.id == plan.parent_id), None),
        others=[each for each in others if each.id != number and each.status != PlanStatus.RETIRED],
        status_names=PLAN_STATUS_NAMES,
        map=city_map(here, (), ""),
        bounds=here.bounds(plan.scope) if plan.scope else None,
        villages=[
            (code, name)
            for code, name in divisions.items()
            if len(code) == DIGITS["village"] and code.startswith(plan.scope)
        ],
        kinds=plan_words.KIND_NAMES,
        operations=OPERATION_NAMES,
        band=BAND,
        focus=request.args.get("grid", ""),
        may_edit=_may_edit() and plan.status == PlanStatus.DRAFT,
        may_take_back=_may_edit() and plan.status == PlanStatus.PUBLISHED and _still_to_come(plan),
        files=FILES,
    )


def _may_edit() -> bool:
    return bool(current_user.role == Role.PLANNER)


def _still_to_come(plan: PlanInfo) -> bool:
    return plan.in_force_on is not None and plan.in_force_on > date.today()


# --- two side by side


@pages.get("/<int:number>/compare")
@allow(*READERS)
def compare(number: int) -> Any:
    """A plan beside the grids in force, or beside another plan: what changed, who moves where, the whole."""
    other = plan_api.other_side()
    with reader().connect() as connection:
        here = territory(connection)
        plans = {plan.id: plan for plan in stored.plans(connection)}
        plan = stored.plan(connection, number)
        found = stored.diff(connection, other, number)
        names = plan_api.names_in(connection, number, other)
    return render_template(
        "plan_compare.html",
        here=here,
        plan=plan,
        beside=plans.get(other) if other else None,
        others=[each for each in plans.values() if each.id != number and each.status != PlanStatus.RETIRED],
        map=city_map(here, (), ""),
        diff=found,
        whole=[
            (name, unit, value(found.before), value(found.after)) for name, unit, value in change_list.WHOLE
        ],
        names=names,
        row=lambda figures: figures and plan_words.row(figures),
        moved=lambda move: plan_words.few(move.households) if move.households else 0,
        status_names=change_list.STATUS_NAMES,
        band=BAND,
    )


# --- files


@pages.get("/<int:number>/files/<form>")
@allow(*READERS)
def files(number: int, form: str) -> Response:
    """A plan as a map file, as the workbook of its changes, or as an atlas."""
    if form not in FILES:
        abort(404)
    with reader().connect() as connection:
        plan = stored.plan(connection, number)
        content = FILES[form].write(connection, plan)
    return _attached(content, FILES[form], plan)


@dataclass(frozen=True)
class File:
    """A file that the menu offers, and who writes it."""

    name: str
    ending: str
    mime_type: str
    write: Callable[[Connection, PlanInfo], bytes]


def _map_file(form: export.Form) -> File:
    return File(
        form.name, form.ending, form.mime_type, lambda connection, plan: export.write(form, connection, plan)
    )


def _workbook(connection: Connection, plan: PlanInfo) -> bytes:
    return change_list.workbook(change_list.read(connection, plan))


def _atlas(connection: Connection, plan: PlanInfo) -> bytes:
    signature = f"第 {plan.version} 版　{current_user.display_name}　{format_date(date.today())}打印"
    return atlas(atlas_pages(connection, plan), plan.name, signature)


FILES = {
    "xlsx": File("改动清单 XLSX", "xlsx", XLSX, _workbook),
    "atlas": File("图册 PDF（改动的网格各一页）", "pdf", "application/pdf", _atlas),
    **{key: _map_file(form) for key, form in export.FORMS.items()},
}


def _attached(content: bytes, file: File, plan: PlanInfo) -> Response:
    name = f"{plan.name} 第{plan.version}版.{file.ending}"
    return attachment(content, name, file.mime_type, f"plan-{plan.id}.{file.ending}")
