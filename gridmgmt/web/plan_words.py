"""What the planner's page says of a plan: its state, figures, findings and log, as JSON and in words.

Counts that rest on a few households are not shown here either: a planner is not the grid's own staff.
"""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import shapely

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.errors import GridmgmtError, InputError
from gridmgmt.grids.checks import RULE_NAMES, Finding, PlanLimits
from gridmgmt.planning.figures import Figures
from gridmgmt.planning.models import PLAN_STATUS_NAMES, PlanStatus
from gridmgmt.planning.stored import CommentInfo, EditInfo, GridState, PlanInfo

BAND = PlanLimits().band
KIND_NAMES = {"base": "基础网格", "special": "专属网格", "micro": "微网格"}
STATUS_NAMES = {"same": "未变", "changed": "有改动", "new": "新网格", "gone": "撤销"}
FEW = f"<{FEWEST_HOUSEHOLDS}"
SQUARE_METRES_A_HECTARE = 10_000
# What arguments are called where an error names them.
FIELDS = {
    "name": "名称", "keys": "网格", "key": "网格", "code": "编码", "line": "画的线", "text": "批注",
    "village": "村社区", "kind": "类型", "purpose": "用途", "parts": "块数", "low": "最少户数",
    "high": "最多户数", "block": "地块", "shape": "图形", "building": "楼栋", "scope": "范围", "area": "范围",
    "on": "启用日期", "explanation": "说明", "at": "位置", "to": "位置",
}  # fmt: skip
_KEY = re.compile(r"(?<![0-9A-Za-z])(?:[0-9]{12}(?:[0-9]{3})?|n[0-9]+)(?![0-9A-Za-z])")


def plan(info: PlanInfo) -> dict[str, Any]:
    """Return what the head of the page says of a plan."""
    return {
        "id": info.id,
        "name": info.name,
        "status": info.status,
        "status_name": PLAN_STATUS_NAMES[PlanStatus(info.status)],
        "version": info.version,
        "locked_by": info.locked_by,
    }


def properties(state: GridState, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what a map reads of a grid of a plan."""
    return {
        "key": state.key,
        "code": state.code,
        "name": state.name,
        "kind": state.kind,
        "kind_name": KIND_NAMES[state.kind],
        "purpose": state.purpose,
        "village": state.village,
        "in": " · ".join(names[code] for code in (state.village[:9], state.village) if code in names),
        "status": state.status,
        "status_name": STATUS_NAMES[state.status],
    }


def feature(state: GridState, names: Mapping[str, str], figures: Figures | None = None) -> dict[str, Any]:
    """Return a grid with its exact shape as a GeoJSON feature; with figures where they are known."""
    shown = row(figures) if figures else None
    own = properties(state, names) | ({"households": shown["households"]} if shown else {})
    return {
        "type": "Feature",
        "properties": own | {"figures": shown},
        "geometry": shapely.geometry.mapping(state.shape),
    }


def row(figures: Figures) -> dict[str, Any]:
    """Return a grid's figures as they may be shown; persons and deviation go with the households."""
    few = figures.households < FEWEST_HOUSEHOLDS
    return {
        "key": figures.key,
        "hectares": round(figures.area_m2 / SQUARE_METRES_A_HECTARE, 2),
        "households": FEW if few else figures.households,
        "persons": None if few else figures.persons,
        "matters": round(figures.matters_a_year, 1),
        "workers": figures.workers,
        "compactness": round(figures.compactness, 2),
        "deviation": None if few else figures.deviation,
        "urban": figures.urban,
    }


def finding(each: Finding, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a finding with the place that 定位 goes to; None where there is no shape."""
    return {
        "rule": each.rule,
        "name": RULE_NAMES[each.rule],
        "severity": each.severity,
        "key": each.key,
        "other": each.other,
        "text": with_names(each.text, names),
        "at": [each.lon, each.lat] if isfinite(each.lon) else None,
    }


def with_names(text: str, names: Mapping[str, str]) -> str:
    """Return a text with names in place of the codes and keys in it, where they are known.

    >>> with_names("网格 n1 有 3 块", {"n1": "河东网格"})
    '网格 河东网格 有 3 块'
    """
    return _KEY.sub(lambda found: names.get(found[0], found[0]), text)


def edit(each: EditInfo, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a line of the log: who did what to which grids, when."""
    named = _named_in(each.arguments) or each.keys
    return {
        "number": each.number,
        "what": each.operation_name,
        "where": _in_words(named, names),
        "keys": each.keys,
        "by": each.author,
        "at": each.at.isoformat(timespec="seconds"),
        "undone": each.undone,
    }


def _named_in(arguments: Mapping[str, Any]) -> list[str]:
    found = [arguments[name] for name in ("key", "to") if isinstance(arguments.get(name), str)]
    return found + [key for key in arguments.get("keys") or [] if isinstance(key, str)]


def _in_words(keys: Sequence[str], names: Mapping[str, str]) -> str:
    said = [names.get(key, f"新网格 {key}") for key in keys]  # one that is no more: its name went with it
    return "、".join(said[:3]) + (f" 等 {len(said)} 个" if len(said) > 3 else "")


def refusal(error: GridmgmtError, names: Mapping[str, str]) -> str:
    """Return what a planner can do something with: what was found, and what is asked for."""
    if not isinstance(error, InputError):
        return with_names(str(error), names) or "没有办成"
    field = FIELDS.get(error.field, error.field)
    return with_names(f"{field}：{error.found}。要求：{error.allowed}。", names)


def comment(each: CommentInfo) -> dict[str, Any]:
    """Return what somebody wrote, and where; `place` is None for the whole plan."""
    return {
        "id": each.id,
        "by": each.author,
        "at": each.at.isoformat(timespec="seconds"),
        "text": each.text,
        "place": each.at_place and list(each.at_place),
    }


def few(households: int) -> int | str:
    """Return a number of households as it may be shown."""
    return FEW if households < FEWEST_HOUSEHOLDS else households
