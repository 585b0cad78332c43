"""Boards whose scores are known by heart, for whoever tests talks: two indicators of one weight, 0 to 100.

An indicator's points are its value, so the score of a unit is the mean of its two values.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import pairwise

from sqlalchemy import Engine, text

from gridmgmt.db.engine import WRITER, make_engine
from gridmgmt.db.models import Role
from gridmgmt.index import reading
from gridmgmt.index.actor import Actor
from gridmgmt.index.models import Status
from gridmgmt.index.periods import months_before
from gridmgmt.index.stored import Board, Unit, Value, Version, scored_of
from gridmgmt.index.tree import Level, Tree

COUNTY = "990101"
TOWNS = tuple(f"{COUNTY}{n:03d}" for n in range(1, 6))
OWN, OTHER = TOWNS[:2]
BUREAU, OTHER_BUREAU = "城管局", "水利局"
FIRST, SECOND = "1.1.1", "1.1.2"
CENTRE = Actor("command", Role.COMMAND)
SECOND_CENTRE = Actor("command_2", Role.COMMAND)
OFFICE = Actor("town_officer", Role.TOWN_OFFICER, OWN)
OTHER_OFFICE = Actor("other_officer", Role.TOWN_OFFICER, OTHER)
DEPARTMENT = Actor("department", Role.DEPARTMENT, "", BUREAU)
WORKER = Actor("grid_worker", Role.GRID_WORKER, f"{OWN}001001")
OCTOBER = date(2026, 10, 1)

Pair = tuple[float | None, float | None]


def _indicator(code: str) -> str:
    return f"""
[[indicator]]
code = "{code}"
name = "指标{code}"
weight = 0.5
unit = "%"
better = "more"
levels = ["town", "department"]
department = "{BUREAU}"
floor = 0
target = 100
highest = 100
"""


def rule(words: str, *, kind: str = "talk", span: str = "month", days: int = 15) -> str:
    """Return a rule of the tree's file with these conditions."""
    conditions = words.replace(", ", "\n")
    return f"""
[[rule]]
kind = "{kind}"
span = "{span}"
levels = ["town", "department"]
says = "{kind} {span} {words.replace(" = ", "")}"
days = {days}
{conditions}
"""


def document(*rules: str) -> str:
    """Return the file of the small tree with some rules."""
    head = """
code = "small"
name = "小指数"
ways = ["arithmetic", "arithmetic", "arithmetic"]

[[group]]
code = "1"
name = "为民服务"
weight = 1

[[group]]
code = "1.1"
name = "诉求办理"
weight = 1
"""
    return head + _indicator(FIRST) + _indicator(SECOND) + "".join(rules)


def tree(*rules: str) -> Tree:
    """Return the small tree with some rules."""
    return reading.read(document(*rules), "small.toml")


def board(of: Tree, month: date, values: Mapping[str, Pair]) -> Board:
    """Return a month of towns in memory: code -> the values of the two indicators."""
    units = tuple(Unit(code, code) for code in sorted(values))
    known = {
        (code, unit): Value(value, Status.ENTERED)
        for unit, pair in values.items()
        for code, value in zip((FIRST, SECOND), pair, strict=True)
        if value is not None
    }
    version = Version(1, of.name, date(1900, 1, 1), "", datetime(2026, 1, 1, tzinfo=UTC), "test", of)
    return Board(month, Level.TOWN, version, units, known, scored_of(of, Level.TOWN, units, known), None)


def boards(of: Tree, columns: Mapping[str, list[float]], last: date = OCTOBER) -> list[Board]:
    """Return months of which the last is `last`: code -> the scores of the months."""
    n = len(next(iter(columns.values())))
    assert all(len(a) == len(b) for a, b in pairwise(columns.values()))
    return [
        board(
            of, months_before(last, n - 1 - k), {code: (each[k], each[k]) for code, each in columns.items()}
        )
        for k in range(n)
    ]


# --- on a database


def build(engine: Engine, *rules: str) -> Engine:
    """Write towns, departments and the small tree; return an engine with the writer's rights."""
    with engine.begin() as connection:
        for code, level, parent in [(COUNTY, "county", None), *((town, "town", COUNTY) for town in TOWNS)]:
            connection.execute(
                text(
                    "INSERT INTO division (code, name, level, parent) VALUES (:code, :name, :level, :parent)"
                    " ON CONFLICT DO NOTHING"
                ),
                {"code": code, "name": f"{code[-1]}号镇", "level": level, "parent": parent},
            )
        for name in (BUREAU, OTHER_BUREAU):
            connection.execute(text("INSERT INTO department VALUES (:a) ON CONFLICT DO NOTHING"), {"a": name})
        connection.execute(
            text(
                "INSERT INTO index_tree (name, in_force_from, document, sha256, added_by)"
                " VALUES ('小指数', '1900-01-01', :document, '', 'test')"
            ),
            {"document": document(*rules)},
        )
    return make_engine(engine.url.render_as_string(hide_password=False), role=WRITER, pooled=True)


def put(engine: Engine, month: date, scores: Mapping[str, float]) -> None:
    """Write the index of a month, or write it anew: town or department -> its score."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO index_month (month, tree_id, built_by)"
                " SELECT :month, max(id), 'test' FROM index_tree ON CONFLICT DO NOTHING"
            ),
            {"month": month},
        )
        connection.execute(
            text(
                "INSERT INTO indicator_value (indicator, unit, month, level, status, value, made_by)"
                " VALUES (:indicator, :unit, :month, :level, 'entered', :value, 'test')"
                " ON CONFLICT (indicator, unit, month) DO UPDATE SET value = excluded.value"
            ),
            [
                {
                    "indicator": code, "unit": unit, "month": month, "value": score,
                    "level": "town" if unit in TOWNS else "department",
                }
                for unit, score in scores.items()
                for code in (FIRST, SECOND)
            ],
        )  # fmt: skip
