"""`gridmgmt index`: the index (平安指数), its tree, what is sent in for it, talks and bulletins."""

import getpass
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table
from sqlalchemy import Connection

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table, text_of, write_whole
from gridmgmt.db.engine import READER
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.importing import progress
from gridmgmt.index import service, spans, stored, trees
from gridmgmt.index.actor import Actor
from gridmgmt.index.bulletins import service as bulletins
from gridmgmt.index.bulletins import stored as issued
from gridmgmt.index.bulletins.service import FORMS
from gridmgmt.index.entries import importer, template
from gridmgmt.index.entries.service import counts
from gridmgmt.index.models import BulletinStatus
from gridmgmt.index.periods import (
    Span,
    months_apart,
    months_before,
    months_up_to,
    of_month,
    read_month,
    write_month,
)
from gridmgmt.index.reading import read
from gridmgmt.index.scoring import Change
from gridmgmt.index.spans import SpanBoard
from gridmgmt.index.talks import service as talking
from gridmgmt.index.tree import LEVEL_NAMES, Indicator, Level, Node

File = click.Path(exists=True, dir_okay=False, path_type=Path)


# So many reasons of a change are printed.
MOVED = 3


class Month(click.ParamType):
    """A month as YYYY-MM."""

    name = "YYYY-MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        return value if isinstance(value, date) else read_month(value, param.name or "" if param else "")


MONTH = Month()
LEVEL = click.Choice([level.value for level in Level])
SPAN = click.Choice([span.value for span in Span])


@click.group()
def index() -> None:
    """The index (平安指数): scores that explain themselves, talks, bulletins."""


@index.command("build")
@click.option("--month", type=MONTH, help="Default: the last month that is over.")
@click.option("--from", "first", type=MONTH, help="Build every month from this one on.")
@click.option("--json", "as_json", is_flag=True)
def build(month: date | None, first: date | None, as_json: bool) -> None:
    """Measure the indicators of a month for every town and department; issued months stand."""
    last = month or months_before(china_today().replace(day=1), 1)
    wanted = _range(first or last, last)
    with ready() as engine, progress.shown("平安指数") as bar:
        built = service.build(engine, wanted, getpass.getuser(), progress=bar)
    if as_json:
        print_json(asdict(built))
        return
    stands = f"，{len(built.issued)} 个月已发布，不再改动" if built.issued else ""
    click.echo(
        f"已计算 {len(built.months)} 个月{stands}：测得 {built.measured} 个值，填报 {built.entered} 个，"
        f"缺 {built.missing} 个"
    )


def _range(first: date, last: date) -> list[date]:
    if first > last:
        raise InputError("from", write_month(first), f"a month up to {write_month(last)}")
    return months_up_to(last, months_apart(first, last) + 1)


# --- show


@index.command("show")
@click.option("--month", type=MONTH, help="Default: the newest month that was built.")
@click.option("--level", type=LEVEL, default=Level.TOWN.value, show_default=True)
@click.option("--span", type=SPAN, default=Span.MONTH.value, show_default=True)
@click.option("--tree", "of_tree", is_flag=True, help="Show the tree of indicators instead.")
@click.option("--json", "as_json", is_flag=True)
def show(month: date | None, level: str, span: str, of_tree: bool, as_json: bool) -> None:
    """Print the scores of a month or longer period with what moved them, or the tree."""
    with ready(READER) as engine, engine.connect() as connection:
        found = _tree(connection, month) if of_tree else _scores(connection, month, level, span)
    if as_json:
        print_json(found)
    elif of_tree:
        _print_tree(found)
    else:
        _print_scores(found)


def _tree(connection: Connection, month: date | None) -> dict[str, Any]:
    version = stored.version_of(connection, month or china_today().replace(day=1))
    tree = version.tree
    measured = [each for each in tree.indicators if each.measured]
    return {
        "name": tree.name,
        "version": version.id,
        "in_force_from": write_month(version.in_force_from),
        "sha256": version.sha256,
        "levels": list(tree.counts()),
        "measured": len(measured),
        "entered": len(tree.indicators) - len(measured),
        "weights_ok": tree.weights_ok(),
        "ways": [way.value for way in tree.ways],
        "rules": len(tree.rules),
        "parts": [_as_json(part) for part in tree.parts],
    }


def _as_json(each: Node | Indicator) -> dict[str, Any]:
    said = {"code": each.code, "name": each.name, "weight": each.weight}
    if isinstance(each, Node):
        return said | {"parts": [_as_json(part) for part in each.parts]}
    return said | {
        "unit": each.unit, "better": each.better.value, "scale": each.scale.value,
        "levels": sorted(each.levels), "measured": each.measured and each.measured.part,
        "department": each.department,
    }  # fmt: skip


def _print_tree(found: dict[str, Any]) -> None:
    title = f"{found['name']}（自 {found['in_force_from']} 起，第 {found['version']} 版）"
    table = new_table(title, ("代码", "指标", "#权重", "单位", "对象", "来源"))
    _rows(table, found["parts"])
    print_table(table)
    counts = " / ".join(map(str, found["levels"]))
    told = f"{counts} 项，本系统测得 {found['measured']} 项，部门填报 {found['entered']} 项"
    click.echo(f"{told}；权重{'合计为一' if found['weights_ok'] else '不合计为一'}")


def _rows(table: Table, parts: Sequence[dict[str, Any]], depth: int = 0) -> None:
    for part in parts:
        levels = "、".join(LEVEL_NAMES[Level(level)] for level in part.get("levels", ()))
        source = part.get("measured") or part.get("department") or ""
        name = "  " * depth + part["name"]
        table.add_row(part["code"], name, f"{part['weight']:.1%}", part.get("unit", ""), levels, source)
        _rows(table, part.get("parts", ()), depth + 1)


def _scores(connection: Connection, month: date | None, level: str, span: str) -> dict[str, Any]:
    period = of_month(month or _newest(connection), Span(span))
    boards = stored.boards(connection, [*period.before.months, *period.months], Level(level))
    now, _, moved = spans.with_before(boards, period)
    return {
        "period": period.name, "level": level, "complete": now.complete,
        "issued": all(each.issued_at for each in now.boards),
        "units": [_unit(now, moved, n) for n in np.argsort(-now.total, kind="stable").tolist()],
    }  # fmt: skip


def _unit(now: SpanBoard, moved: Change | None, n: int) -> dict[str, Any]:
    names = now.by_code
    said: dict[str, Any] = {
        "code": now.units[n].code, "name": now.units[n].name, "rank": int(now.ranks[n]),
        "score": _number(now.total[n]), "change": None, "moved": [],
    }  # fmt: skip
    if moved and math.isfinite(moved.total[n]):
        parts = [(float(each[n]), code) for code, each in moved.moved.items() if code in names]
        told = sorted(parts, key=lambda part: -abs(part[0]))[:MOVED]
        said["change"] = _number(moved.total[n])
        said["moved"] = [
            {"code": code, "name": names[code].name, "points": round(points, 2)} for points, code in told
        ]
    return said


def _number(value: float) -> float | None:
    return round(float(value), 2) if math.isfinite(value) else None


def _newest(connection: Connection) -> date:
    found = stored.months(connection)
    if not found:
        raise NotFoundError("no month of the index has been built: gridmgmt index build --month YYYY-MM")
    return found[0]


def _print_scores(found: dict[str, Any]) -> None:
    state = "" if found["issued"] else "，未发布"
    title = f"{found['period']}平安指数（{LEVEL_NAMES[Level(found['level'])]}{state}）"
    table = new_table(title, ("#名次", "名称", "#得分", "#比上期", "主要原因"))
    for unit in found["units"]:
        why = "；".join(f"{each['name']} {each['points']:+.2f}" for each in unit["moved"])
        score, change = unit["score"], unit["change"]
        table.add_row(
            str(unit["rank"] or ""), unit["name"], "缺" if score is None else f"{score:.2f}",
            "" if change is None else f"{change:+.2f}", why,
        )  # fmt: skip
    print_table(table)


# --- the tree


@index.group("tree")
def tree_() -> None:
    """Versions of the tree of indicators."""


@tree_.command("list")
def list_trees() -> None:
    """List the versions of the tree, the one that holds longest first."""
    with ready(READER) as engine, engine.connect() as connection:
        found = stored.versions(connection)
    table = new_table("指标体系", ("#版本", "名称", "自", "指标", "由谁装入", "时间"))
    for each in found:
        counts = " / ".join(map(str, each.tree.counts()))
        added = f"{each.added_at.astimezone(CHINA):%Y-%m-%d}"
        start = write_month(each.in_force_from)
        table.add_row(str(each.id), each.name, start, counts, each.added_by, added)
    print_table(table)


@tree_.command("show")
@click.option("--month", type=MONTH, help="The tree of that month; default: this month's.")
def show_tree(month: date | None) -> None:
    """Print the file of a tree, to be changed and loaded again."""
    with ready(READER) as engine, engine.connect() as connection:
        version = stored.version_of(connection, month or china_today().replace(day=1))
        click.echo(trees.document(connection, version.id), nl=False)


@tree_.command("check")
@click.argument("file", type=File)
def check_tree(file: Path) -> None:
    """Say whether a tree may be loaded; exit code 2, with everything that is wrong, when not."""
    found = read(text_of(file), file.name)
    click.echo(f"{found.name}：{' / '.join(map(str, found.counts()))} 项，可以使用")


@tree_.command("load")
@click.argument("file", type=File)
@click.option("--from", "first", type=MONTH, required=True, help="The first month that goes by it.")
def load_tree(file: Path, first: date) -> None:
    """Let the months from one on go by a tree; what was issued stands."""
    with ready() as engine:
        number = trees.load(engine, getpass.getuser(), text_of(file), file.name, first)
    click.echo(f"第 {number} 版，自 {write_month(first)} 起使用；已计算而未发布的月份请重新计算")


# --- what departments send in


@index.command("template")
@click.option("--month", type=MONTH, required=True)
@click.option("--department", required=True, help="The name of the department.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The XLSX file to write.")
def template_(month: date, department: str, out: Path) -> None:
    """Write the form that a department fills in for a month."""
    with ready(READER) as engine, engine.connect() as connection:
        write_whole(out, template.book(connection, month, department))
    click.echo(f"{out}：{department} {write_month(month)} 填报表")


@index.command("enter")
@click.argument("files", type=File, nargs=-1, required=True)
@click.option("--month", type=MONTH, help="The month that the files must be of.")
@click.option("--dry-run", is_flag=True, help="Look, and enter nothing.")
def enter(files: tuple[Path, ...], month: date | None, dry_run: bool) -> None:
    """Enter filled-in forms, or long CSV files; one with anything wrong is refused whole."""
    with ready() as engine:
        for path in files:
            sent = importer.read(path.name, path.read_bytes())
            found = counts(importer.load(engine, _centre(), sent, month, dry_run=dry_run).steps)
            trial = "试读，没有入库：" if dry_run else ""
            click.echo(
                f"{path.name}：{trial}新增 {found.new}，更新 {found.updated}，未变 {found.unchanged}，"
                f"清除 {found.cleared}"
            )


def _centre() -> Actor:
    return Actor(getpass.getuser(), Role.COMMAND)


# --- talks and bulletins


@index.command("talks")
@click.option("--month", type=MONTH, required=True, help="A month of the period.")
@click.option("--span", type=SPAN, default=Span.MONTH.value, show_default=True)
def talks(month: date, span: str) -> None:
    """Propose the talks and supervisions that a period calls for; doing it again changes nothing."""
    period = of_month(month, Span(span))
    with ready() as engine:
        found = talking.propose(engine, _centre(), period)
    click.echo(f"{period.name}：提出 {found.made} 项，更新 {found.updated} 项，撤回 {found.withdrawn} 项")


@index.command("bulletin")
@click.option("--month", type=MONTH, required=True, help="A month of the period.")
@click.option("--span", type=SPAN, default=Span.MONTH.value, show_default=True)
@click.option("--format", "form", type=click.Choice(FORMS), default="docx", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Default: its own name, in this folder.")
def bulletin(month: date, span: str, form: str, out: Path | None) -> None:
    """Write the bulletin of a period: the issued file, or a draft of what stands now."""
    period = of_month(month, Span(span))
    with ready() as engine:
        with engine.connect() as connection:
            found = next((each for each in issued.bulletins(connection) if each.period == period), None)
        drafted = found is None or found.status is BulletinStatus.DRAFT
        number = bulletins.draft(engine, _centre(), period) if drafted or not found else found.id
        name, data = bulletins.file(engine, _centre(), number, form)
    path = out or Path(name)
    write_whole(path, data)
    click.echo(f"{path}{'（草稿）' if not found or found.status is not BulletinStatus.ISSUED else ''}")
