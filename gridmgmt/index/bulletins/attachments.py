"""The attachments of a bulletin: points by first-level indicators, values, and what is missing."""

from collections.abc import Iterator, Sequence
from typing import Any

from gridmgmt.index.bulletins import phrases as say
from gridmgmt.index.bulletins.blocks import FILLED, STATUS, Facts, Table, all_units, by_code, ordered
from gridmgmt.index.tree import LEVEL_NAMES, Level

NAMES = ("镇街一级指标得分表", "部门得分表", "指标数值及缺项")
# So many units stand side by side in a table of values at most.
SIDE_BY_SIDE = 9
# Levels whose values stand together; the city has but one column.
TOGETHER = ((Level.CITY, Level.TOWN), (Level.DEPARTMENT,))


def attachments(data: Facts) -> list[tuple[str, list[Table]]]:
    """Return the name and the tables of each attachment."""
    return [
        (NAMES[0], [_parts(data, Level.TOWN)]),
        (NAMES[1], [_parts(data, Level.DEPARTMENT)]),
        (NAMES[2], [*_values(data), *_lacking(data)]),
    ]


def _parts(data: Facts, level: Level) -> Table:
    """Return the points of the units in each first-level part, by place."""
    parts = data["tree"]["parts"]
    rows = [
        (
            str(unit["rank"] or "—"), unit["name"], _points(unit["score"]),
            *(_points(unit["parts"][part["code"]]) for part in parts),
        )
        for unit in ordered(data, level)
    ]  # fmt: skip
    head = ("名次", LEVEL_NAMES[level], "总分", *(part["name"] for part in parts))
    columns = (7, 22, 9, *(max(62 // len(parts), 1) for _ in parts))
    return Table(f"{data['period']['name']}{LEVEL_NAMES[level]}一级指标得分", columns, head, tuple(rows))


def _points(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


# --- values


def _values(data: Facts) -> Iterator[Table]:
    """Give the values of the indicators, some units side by side."""
    for levels in TOGETHER:
        units = [(level, unit) for level in levels for unit in all_units(data, level)]
        blocks = -(-len(units) // SIDE_BY_SIDE)
        wide = -(-len(units) // max(blocks, 1))
        for first in range(0, len(units), max(wide, 1)):
            table = _some_values(data, units[first : first + wide])
            if table.rows:
                yield table


def _some_values(data: Facts, units: Sequence[tuple[Level, Facts]]) -> Table:
    rows = []
    for each in data["indicators"]:
        cells = [
            data["levels"][level]["values"].get(each["code"], {}).get(unit["code"]) for level, unit in units
        ]
        if any(cells):
            rows.append((each["name"], each["unit"], *map(_value, cells)))
    names = [unit["name"] if level is not Level.CITY else LEVEL_NAMES[level] for level, unit in units]
    name = LEVEL_NAMES[units[-1][0]]
    columns = (252, 88, *(660 // len(units) for _ in units))
    caption = f"{data['period']['name']}{name}指标数值"
    return Table(caption, columns, ("指标", "单位", *names), tuple(rows))


def _value(cell: Sequence[Any] | None) -> str:
    """Return a value as short as it can be; * where some month of the period has none."""
    if cell is None:
        return "—"
    value, _, missing = cell
    if value is None:
        return "缺"
    digits = 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return say.number(value, digits) + ("*" if missing else "")


def _lacking(data: Facts) -> list[Table]:
    """Return what is missing by who should have it, indicator, month and way of filling, with the units."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    indicators = by_code(data["indicators"])
    for level in Level:
        names = {unit["code"]: unit["name"] for unit in all_units(data, level)}
        for month, code, unit, how, of in data["levels"][level]["gaps"]:
            if code in indicators:
                owner = indicators[code]["department"] or STATUS["measured"]
                filled = FILLED[how] + (f"（{of}）" if of else "")
                found.setdefault((owner, indicators[code]["name"], month, filled), []).append(names[unit])
    rows = [
        (owner, name, month, "、".join(units), filled)
        for (owner, name, month, filled), units in sorted(found.items())
    ]
    head = ("应报单位", "指标", "月份", "缺项单位", "处理")
    caption = f"{data['period']['name']}缺项及处理"
    return [Table(caption, (14, 26, 10, 28, 22), head, tuple(rows))] if rows else []
