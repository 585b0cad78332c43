"""`gridmgmt plan`: the plans of grids from a draft to publishing, and back."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import click
from rich.table import Table
from sqlalchemy import Connection, Engine

from gridmgmt.calendar import china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.cli.propose import propose
from gridmgmt.cli.publishing import recompute, settle
from gridmgmt.db.engine import READER, WRITER
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.grids.checks import RULE_NAMES, Finding
from gridmgmt.grids.models import GridKind
from gridmgmt.grids.service import grids_in_force
from gridmgmt.planning import service, stored
from gridmgmt.planning.comparing import GridChange, PlanDiff, Statistics
from gridmgmt.planning.figures import Figures
from gridmgmt.planning.models import PLAN_STATUS_NAMES, PlanStatus

# Who the record names for what was done on the server itself.
ACTOR = service.Actor("cli", Role.PLANNER)
TODAY = "today"  # instead of a plan: the grids in force
STATUS_NAMES = {"changed": "改动", "new": "新增", "gone": "撤销"}
SEVERITY_NAMES = {"error": "错误", "warning": "提醒"}
SHOWN = 40


class Side(click.ParamType):
    """The number of a plan, or `today` for the grids in force."""

    name = "plan"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == TODAY:
            return None
        if not value.isdecimal():
            raise InputError("plan", value, f"the number of a plan, or {TODAY}")
        return int(value)


@click.group()
def plan() -> None:
    """Plans of grid boundaries (网格规划): draw, check, compare, publish."""


@plan.command("list")
@click.option("--json", "as_json", is_flag=True)
def show(as_json: bool) -> None:
    """Print all plans, the newest first."""
    with ready(READER) as engine, engine.connect() as connection:
        found = stored.plans(connection)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    table = new_table(
        "网格方案", ("#编号", "名称", "范围", "状态", "作者", "#编辑", "#版本", "锁定", "启用日期")
    )
    for each in found:
        table.add_row(
            str(each.id), each.name, each.scope or "全市", PLAN_STATUS_NAMES[PlanStatus(each.status)],
            each.author, str(each.edits), str(each.version), each.locked_by or "",
            each.in_force_on.isoformat() if each.in_force_on else "",
        )  # fmt: skip
    print_table(table)


@plan.command("create")
@click.argument("name")
@click.option("--scope", default="", help="A division code; the whole city when left out.")
@click.option("--parent", type=int, help="Begin from this plan instead of the grids in force.")
@click.option("--json", "as_json", is_flag=True)
def create(name: str, scope: str, parent: int | None, as_json: bool) -> None:
    """Begin a plan."""
    with ready(WRITER) as engine:
        made = service.create(engine, ACTOR, name, scope, parent)
    if as_json:
        print_json(asdict(made))
    else:
        click.echo(f"方案 {made.id}：{made.name}，以 {made.base_on} 的网格为底")


@plan.command("check")
@click.argument("number", type=Side(), default=TODAY, metavar="[PLAN]")
@click.option("--json", "as_json", is_flag=True)
def check(number: int | None, as_json: bool) -> None:
    """Hold a plan, or the grids in force, against every rule; publishing needs 0 errors."""
    with ready(READER) as engine, engine.connect() as connection:
        found = stored.check(connection, number)
        grids = _base_grids(connection, number)
    errors = [each for each in found if each.severity == "error"]
    if as_json:
        totals = {"plan": number, "grids": grids, "errors": len(errors), "warnings": len(found) - len(errors)}
        print_json(totals | {"passes": not errors, "findings": [_finding(each) for each in found]})
        return
    if found:
        table = new_table("检查结果", ("程度", "规则", "说明", "经度，纬度"))
        for each in found[:SHOWN]:
            place = f"{each.lon:.6f}，{each.lat:.6f}"
            table.add_row(SEVERITY_NAMES[each.severity], RULE_NAMES[each.rule], each.text, place)
        print_table(table)
    click.echo(f"{grids} 个网格，错误 {len(errors)}，提醒 {len(found) - len(errors)}")


def _base_grids(connection: Connection, number: int | None) -> int:
    if number is None:
        return len(grids_in_force(connection, china_today()))
    scope = stored.plan(connection, number).scope
    inside = stored.grids(connection, number, scope)
    return sum(grid.kind == GridKind.BASE and grid.status != "gone" for grid in inside)


def _finding(found: Finding) -> dict[str, Any]:
    # NaN, where there is no place, is no JSON.
    place = {"lon": found.lon, "lat": found.lat} if found.lon == found.lon else {"lon": None, "lat": None}
    return asdict(found) | place | {"severity": found.severity, "text": found.text}


@plan.command("diff")
@click.argument("a", type=Side(), metavar="A")
@click.argument("b", type=Side(), metavar="B")
@click.option("--json", "as_json", is_flag=True)
def diff(a: int | None, b: int | None, as_json: bool) -> None:
    """Say what leads from A to B: numbers of plans, or `today` for the grids in force."""
    with ready(READER) as engine, engine.connect() as connection:
        found = stored.diff(connection, a, b)
    if as_json:
        print_json(found.as_json())
        return
    print_table(_whole(found))
    print_table(_changes(found))


def _whole(found: PlanDiff) -> Table:
    table = new_table(f"{found.a or '现行'} → {found.b or '现行'}", ("", "#之前", "#之后"))
    rows: tuple[tuple[str, Callable[[Statistics], str]], ...] = (
        ("网格", lambda side: f"{side.grids:,}"),
        ("面积（公顷）", lambda side: f"{side.area_m2 / 1e4:,.1f}"),
        ("户数", lambda side: f"{side.households:,}"),
        ("平均户数", lambda side: f"{side.households_mean:.1f}"),
        ("户数变异系数", lambda side: _number(side.households_cv)),
        ("城镇网格户数合规", lambda side: _percent(side.in_band_share)),
        ("紧凑度中位数", lambda side: _number(side.compactness_median)),
    )
    for name, value in rows:
        table.add_row(name, value(found.before), value(found.after))
    return table


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"


def _changes(found: PlanDiff) -> Table:
    table = new_table(
        f"{len(found.changes)} 个网格不同，共 {sum(move.households for move in found.moves):,} 户换网格",
        ("网格", "名称", "变化", "#户数", "#诉求/年", "去向"),
    )
    to: dict[str, list[str]] = {}
    for move in found.moves:
        to.setdefault(move.old, []).append(f"{move.new} {move.households} 户")
    for change in found.changes[:SHOWN]:
        table.add_row(
            change.key, change.name, STATUS_NAMES[change.status],
            _both(change, lambda each: f"{each.households:,}"),
            _both(change, lambda each: f"{each.matters_a_year:.1f}"), "，".join(to.get(change.key, ())),
        )  # fmt: skip
    return table


def _both(change: GridChange, value: Callable[[Figures], str]) -> str:
    return " → ".join(value(each) if each else "—" for each in (change.before, change.after))


def _stepping(step: Callable[[Engine, service.Actor, int, int], service.Edited], number: int) -> None:
    with ready(WRITER) as engine:
        with engine.connect() as connection:
            version = stored.plan(connection, number).version
        done = step(engine, ACTOR, number, version)
    click.echo(f"方案 {number}：版本 {done.version}，{len(done.changed)} 个网格变动")
    for each in done.conflicts:
        click.echo(f"  未能重做：{each['name']}（{each['author']}）{each['why']}", err=True)


@plan.command("undo")
@click.argument("number", type=int, metavar="PLAN")
def undo(number: int) -> None:
    """Take back the last edit."""
    _stepping(service.undo, number)


@plan.command("redo")
@click.argument("number", type=int, metavar="PLAN")
def redo(number: int) -> None:
    """Do the edit again that was undone last."""
    _stepping(service.redo, number)


@plan.command("rebase")
@click.argument("number", type=int, metavar="PLAN")
def rebase(number: int) -> None:
    """Follow the grids in force, which changed since; what does not fit any more is named."""
    _stepping(service.rebase, number)


@plan.command("lock")
@click.argument("number", type=int, metavar="PLAN")
@click.option("--off", is_flag=True, help="Let others edit it again.")
def lock(number: int, off: bool) -> None:
    """Keep others from editing a plan."""
    with ready(WRITER) as engine:
        (service.unlock if off else service.lock)(engine, ACTOR, number)
    click.echo(f"方案 {number} {'已解锁' if off else '已锁定'}")


@plan.command("retire")
@click.argument("number", type=int, metavar="PLAN")
def retire(number: int) -> None:
    """Give a draft up; it stays readable."""
    with ready(WRITER) as engine:
        service.retire(engine, ACTOR, number)
    click.echo(f"方案 {number} 已放弃")


@plan.command("publish")
@click.argument("number", type=int, metavar="PLAN")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The first day in force; default today.")
@click.option("--explanation", required=True, help="Why the grids are drawn anew; kept with the plan.")
@click.option("--json", "as_json", is_flag=True)
def publish(number: int, on: datetime | None, explanation: str, as_json: bool) -> None:
    """Put a plan in force on a day and freeze it. All or nothing."""
    from gridmgmt.planning import publish as publishing

    day: date = on.date() if on else china_today()
    with ready() as engine:
        done = publishing.publish(engine, ACTOR, number, day, explanation)
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(
            f"方案 {number} 自 {done.in_force_on} 启用：新启 {len(done.codes)}，停用 {len(done.closed)}"
        )


@plan.command("unpublish")
@click.argument("number", type=int, metavar="PLAN")
def unpublish(number: int) -> None:
    """Take back a plan whose day is still to come; it is a draft again."""
    from gridmgmt.planning import publish as publishing

    with ready() as engine:
        publishing.unpublish(engine, ACTOR, number)
    click.echo(f"方案 {number} 已撤回，恢复为草稿")


for command in (propose, settle, recompute):
    plan.add_command(command)
