"""A small tree of indicators, of which departments fill in four."""

import hashlib
from datetime import date

from sqlalchemy import Connection, text

from gridmgmt.index import stored

# 1.1.1 is measured; 民政局 fills in 1.1.2 (%, towns and city), 1.1.3 (towns, no bounds above) and 1.1.5
# (departments); 公安局 1.1.4.
TREE = """
code = "small"
name = "小指数"
ways = ["arithmetic", "arithmetic", "arithmetic"]
[[group]]
code = "1"
name = "服务"
weight = 1
[[group]]
code = "1.1"
name = "便民"
weight = 1
[[indicator]]
code = "1.1.1"
name = "按期办结率"
weight = 0.2
unit = "%"
better = "more"
levels = ["town"]
measured = { part = "matters.on_time", of = "matters.due" }
floor = 0
target = 100
[[indicator]]
code = "1.1.2"
name = "救助按期率"
weight = 0.2
unit = "%"
better = "more"
levels = ["town", "city"]
department = "民政局"
floor = 40
target = 95
highest = 100
about = "本月到期的救助申请中按期办结的比例。"
[[indicator]]
code = "1.1.3"
name = "探访次数"
weight = 0.2
unit = "次"
better = "more"
levels = ["town"]
department = "民政局"
floor = 0
target = 500
[[indicator]]
code = "1.1.4"
name = "停车秩序达标率"
weight = 0.2
unit = "%"
better = "more"
levels = ["town", "city"]
department = "公安局"
floor = 40
target = 95
highest = 100
[[indicator]]
code = "1.1.5"
name = "政务公开得分"
weight = 0.2
unit = "分"
better = "more"
levels = ["department"]
department = "民政局"
floor = 0
target = 10
highest = 10
"""


def add_tree(connection: Connection, document: str, month: date) -> None:
    """Let months from one on go by a tree."""
    row = {
        "name": "小指数", "month": month, "document": document,
        "sha256": hashlib.sha256(document.encode()).hexdigest(),
    }  # fmt: skip
    number = connection.execute(
        text(
            "INSERT INTO index_tree (name, in_force_from, document, sha256, added_by)"
            " VALUES (:name, :month, :document, :sha256, 't') RETURNING id"
        ),
        row,
    ).scalar_one()
    for each in stored.version_of(connection, month).tree.indicators:
        connection.execute(
            text("INSERT INTO indicator VALUES (:tree, :code, '1.1', :name, 0.2, '%', '{}', :department)"),
            {"tree": number, "code": each.code, "name": each.name, "department": each.department},
        )
