"""Three months of a small index, for whoever tests bulletins: two towns, three departments, three indicators.

The second town falls sharply in the last month, by what the department told (2.1.1); in the first month one
value is missing.
"""

from collections.abc import Sequence
from datetime import date

import shapely
from sqlalchemy import Engine, text

from gridmgmt.db.models import Role
from gridmgmt.index import trees
from gridmgmt.index.actor import Actor
from gridmgmt.index.periods import Period
from tests.db.matter_world import COUNTY, HOUSING, TOWN_OTHER, TOWN_OWN, URBAN, WATER_BUREAU

CENTRE = Actor("command", Role.COMMAND)
OFFICE = Actor("town_officer", Role.TOWN_OFFICER, TOWN_OWN)
DEPARTMENT = Actor("department", Role.DEPARTMENT, "", URBAN)
OCTOBER, NOVEMBER, DECEMBER = (date(2025, month, 1) for month in (10, 11, 12))
LAST = Period(DECEMBER)
DEPARTMENTS = (URBAN, WATER_BUREAU, HOUSING)

TREE = f"""
code = "small"
name = "小指数"
ways = ["arithmetic", "arithmetic", "arithmetic"]
[[group]]
code = "1"
name = "办理"
weight = 0.6
[[group]]
code = "1.1"
name = "办结"
weight = 1
[[indicator]]
code = "1.1.1"
name = "按期办结率"
weight = 0.5
unit = "%"
better = "more"
levels = ["town", "department", "city"]
measured = {{ part = "matters.on_time", of = "matters.due" }}
floor = 0
target = 100
highest = 100
[[indicator]]
code = "1.1.2"
name = "满意率"
weight = 0.5
unit = "%"
better = "more"
levels = ["town", "city"]
department = "{URBAN}"
floor = 0
target = 100
highest = 100
[[group]]
code = "2"
name = "安全"
weight = 0.4
[[group]]
code = "2.1"
name = "隐患"
weight = 1
[[indicator]]
code = "2.1.1"
name = "隐患整改率"
weight = 1
unit = "%"
better = "more"
levels = ["town", "city"]
department = "{WATER_BUREAU}"
floor = 0
target = 100
highest = 100
"""

# Indicator -> values of the two towns, a row a month.
TOWNS: dict[str, Sequence[tuple[float | None, float | None]]] = {
    "1.1.1": ((80, 90), (82, 91), (84, 92)),
    "1.1.2": ((70, None), (71, 85), (72, 86)),
    "2.1.1": ((90, 95), (91, 95), (92, 40)),
}
_VALUE = """
INSERT INTO indicator_value (indicator, unit, month, level, status, value, made_by)
VALUES (:a, :b, :c, :d, :e, :f, 'test')
"""


def build(engine: Engine, months: Sequence[date] = (OCTOBER, NOVEMBER, DECEMBER)) -> None:
    """Write tree, months and values as the owner; the territory stands already."""
    trees.load(engine, "test", TREE, "small.toml", date(2020, 1, 1))
    for n, month in enumerate(months):
        add_month(engine, month, n)


def add_month(engine: Engine, month: date, row: int) -> None:
    """Write the values of one month, those of a row of the table."""
    with engine.begin() as connection:
        newest = "SELECT :month, max(id), 'test' FROM index_tree"
        built = f"INSERT INTO index_month (month, tree_id, built_by) {newest}"
        connection.execute(text(built), {"month": month})
        for code, values in TOWNS.items():
            status = "measured" if code == "1.1.1" else "entered"
            found = zip((TOWN_OWN, TOWN_OTHER), values[row], strict=True)
            lines = [(unit, "town", value) for unit, value in found]
            lines += [(COUNTY, "city", values[row][0])]
            if code == "1.1.1":
                lines += [(name, "department", 60.0 + 10 * n) for n, name in enumerate(DEPARTMENTS)]
            for unit, level, value in lines:
                said = status if value is not None else "missing"
                given = dict(zip("abcdef", (code, unit, month, level, said, value), strict=True))
                connection.execute(text(_VALUE), given)


def draw_towns(engine: Engine) -> None:
    """Give the two towns an outline each."""
    with engine.begin() as connection:
        for code, west in ((TOWN_OWN, 114.0), (TOWN_OTHER, 114.1)):
            shape = shapely.MultiPolygon([shapely.box(west, 33.0, west + 0.1, 33.1)]).wkt
            statement = "UPDATE division SET geom = ST_GeomFromText(:wkt, 4490) WHERE code = :code"
            connection.execute(text(statement), {"wkt": shape, "code": code})
