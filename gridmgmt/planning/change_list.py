"""The change list of a plan as a workbook: what changes, who moves where, the whole, the log, the check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import xlsxwriter
from sqlalchemy import Connection

from gridmgmt.calendar import CHINA
from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.grids import service as grids
from gridmgmt.grids.checks import RULE_NAMES, Finding, Severity
from gridmgmt.planning import states, stored
from gridmgmt.planning.comparing import GridChange, Move, PlanDiff
from gridmgmt.planning.figures import Figures
from gridmgmt.planning.models import PLAN_STATUS_NAMES, PlanStatus
from gridmgmt.planning.stored import EditInfo, PlanInfo
from gridmgmt.seasonal.export.table import STYLES, Column, Formats, write_table

STATUS_NAMES = {"changed": "有改动", "new": "新增", "gone": "撤销", "same": "未变"}
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_STYLES = STYLES | {
    "hundredth": STYLES["tenth"] | {"num_format": "0.00"},
    "share": STYLES["tenth"] | {"num_format": "0.0%"},
}
_FEW = f"不足{FEWEST_HOUSEHOLDS}"
_A4 = 9


@dataclass(frozen=True, eq=False)
class ChangeList:
    """What the workbook holds; `names` of grids and divisions by key or code."""

    plan: PlanInfo
    diff: PlanDiff
    edits: Sequence[EditInfo]
    findings: Sequence[Finding]
    names: Mapping[str, str]


def read(connection: Connection, plan: PlanInfo) -> ChangeList:
    """Return the change list of a plan against the grids in force."""
    names = grids.division_names(connection)
    names |= {code: name for code, (name, _) in grids.grid_names(connection).items()}
    drawn = states.touched(connection, plan.id)
    names |= {key: each.name for key, each in drawn.items() if each is not None}
    return ChangeList(
        plan,
        stored.diff(connection, None, plan.id),
        stored.edits(connection, plan.id),
        stored.check(connection, plan.id),
        names,
    )


def workbook(made: ChangeList) -> bytes:
    """Return the change list as an XLSX file; texts are never formulas."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        book.set_properties({"title": f"{made.plan.name} 改动清单", "author": made.plan.author})
        formats = Formats(book, _STYLES)
        _sheet(book, formats, made, "改动清单", _change_columns(made), made.diff.changes, "没有改动")
        _sheet(book, formats, made, "去向", _move_columns(made), made.diff.moves, "没有户和土地换网格")
        _sheet(book, formats, made, "前后对照", _WHOLE, _whole(made.diff), "")
        _sheet(book, formats, made, "检查", _finding_columns(made), made.findings, "没有发现问题")
        _sheet(book, formats, made, "编辑记录", _edit_columns(made), made.edits, "没有编辑")
        _sheet(book, formats, made, "方案", _FACTS, _facts(made.plan), "")
    return stream.getvalue()


def _sheet(
    book: Any,
    formats: Formats,
    made: ChangeList,
    name: str,
    columns: Sequence[Column[Any]],
    rows: Sequence[Any],
    nothing: str,
) -> None:
    sheet = book.add_worksheet(name)
    write_table(sheet, formats, columns, rows, nothing)
    sheet.freeze_panes(1, 1)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_header(f"&C {made.plan.name.replace('&', '＆')} · {name}")
    sheet.set_footer("&R第 &P 页，共 &N 页")


def _change_columns(made: ChangeList) -> list[Column[GridChange]]:
    names = made.names
    return [
        Column("网格", "text", lambda change: change.name),
        Column("编码或编号", "text", lambda change: change.key),
        Column("改动", "text", lambda change: STATUS_NAMES[change.status]),
        Column("边界", "text", lambda change: "重画" if change.redrawn else "未动"),
        Column("镇街", "text", lambda change: names.get(change.village[:9], "")),
        Column("村社区", "text", lambda change: names.get(change.village, change.village)),
        *_pair("户数", "whole", lambda each: _people(each, each.households)),
        *_pair("人口", "whole", lambda each: _people(each, each.persons)),
        *_pair("诉求（件/年）", "tenth", lambda each: each.matters_a_year),
        *_pair("网格员", "whole", lambda each: each.workers),
        *_pair("面积（公顷）", "hundredth", lambda each: each.area_m2 / 1e4),
        *_pair("紧凑度", "hundredth", lambda each: each.compactness),
        Column("与规定户数比", "whole", lambda change: _deviation(change.after)),
    ]


def _pair(heading: str, style: str, value: Any) -> list[Column[GridChange]]:
    return [
        Column(f"{heading} 原", style, lambda change: value(change.before) if change.before else None),
        Column(f"{heading} 新", style, lambda change: value(change.after) if change.after else None),
    ]


def _people(figures: Figures, count: int) -> int | str:
    return count if figures.households >= FEWEST_HOUSEHOLDS else _FEW


def _deviation(figures: Figures | None) -> int | str | None:
    return _people(figures, figures.deviation) if figures else None


def _move_columns(made: ChangeList) -> list[Column[Move]]:
    names = made.names
    return [
        Column("从", "text", lambda move: names.get(move.old, move.old)),
        Column("从（编码）", "text", lambda move: move.old),
        Column("到", "text", lambda move: names.get(move.new, move.new)),
        Column("到（编码）", "text", lambda move: move.new),
        Column("户数", "whole", lambda move: _of(move, move.households)),
        Column("人口", "whole", lambda move: _of(move, move.persons)),
        Column("诉求（件/年）", "tenth", lambda move: move.matters_a_year),
        Column("网格员", "whole", lambda move: move.workers),
        Column("面积（公顷）", "hundredth", lambda move: move.area_m2 / 1e4),
    ]


def _of(move: Move, count: int) -> int | str:
    return count if move.households == 0 or move.households >= FEWEST_HOUSEHOLDS else _FEW


_Line = tuple[str, str, float | None, float | None]
_WHOLE: list[Column[_Line]] = [
    Column("全部网格", "text", lambda line: line[0]),
    Column("原", "hundredth", lambda line: line[2]),
    Column("新", "hundredth", lambda line: line[3]),
    Column("单位", "text", lambda line: line[1]),
]


def _whole(diff: PlanDiff) -> list[_Line]:
    return [(name, unit, value(diff.before), value(diff.after)) for name, unit, value in WHOLE]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


# What is said of all grids of one side: name, unit, value.
WHOLE: tuple[tuple[str, str, Any], ...] = (
    ("网格", "个", lambda each: each.grids),
    ("户数", "户", lambda each: each.households),
    ("每格平均户数", "户", lambda each: each.households_mean),
    ("户数离散系数", "", lambda each: each.households_cv),
    ("城镇网格在规定户数内", "%", lambda each: _percent(each.in_band_share)),
    ("紧凑度中位数", "", lambda each: each.compactness_median),
)


def _finding_columns(made: ChangeList) -> list[Column[Finding]]:
    return [
        Column("问题", "text", lambda found: RULE_NAMES[found.rule]),
        Column("轻重", "text", lambda found: "必须改" if found.severity == Severity.ERROR else "提醒"),
        Column("网格", "text", lambda found: made.names.get(found.key, found.key)),
        Column("编码或编号", "text", lambda found: found.key),
        Column("说明", "wrapped", lambda found: found.text, 60),
    ]


def _edit_columns(made: ChangeList) -> list[Column[EditInfo]]:
    names = made.names
    return [
        Column("第几步", "whole", lambda edit: edit.number),
        Column("操作", "text", lambda edit: edit.operation_name),
        Column("涉及网格", "wrapped", lambda edit: "、".join(names.get(key, key) for key in edit.keys), 60),
        Column("谁", "text", lambda edit: edit.author),
        Column("什么时候", "text", lambda edit: f"{edit.at.astimezone(CHINA):%Y-%m-%d %H:%M}"),
        Column("已撤销", "text", lambda edit: "是" if edit.undone else ""),
    ]


_FACTS: list[Column[tuple[str, str]]] = [
    Column("方案", "text", lambda fact: fact[0]),
    Column("内容", "wrapped", lambda fact: fact[1], 80),
]


def _facts(plan: PlanInfo) -> list[tuple[str, str]]:
    return [
        ("名称", plan.name),
        ("状态", PLAN_STATUS_NAMES[PlanStatus(plan.status)]),
        ("范围", plan.scope or "全市"),
        ("起草", plan.author),
        ("版本", str(plan.version)),
        ("启用日期", plan.in_force_on.isoformat() if plan.in_force_on else ""),
        ("说明", plan.explanation or ""),
    ]
