"""Imports the two-level list of categories (大类, 小类) with the departments that answer for them."""

from collections.abc import Mapping as Table
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.importing.tables import Chunk, read_chunks
from gridmgmt.importing.values import clean_text
from gridmgmt.incidents.models import Category, Department

TEXTS = ("code", "name", "parent", "department")
# What a city may say of a category besides; a file without the column leaves what stands.
MORE = ("days", "open")
KNOWN = (*TEXTS, *MORE)
ALIASES = {
    "code": ("编码", "代码", "类别编码"),
    "name": ("名称", "类别", "类别名称"),
    "parent": ("上级", "大类", "大类编码", "上级编码"),
    "department": ("部门", "责任部门", "主管部门"),
    "days": ("办理天数", "办理工作日", "时限"),
    "open": ("公开", "是否公开"),
}
OPEN = {"": False, "是": True, "否": False, "yes": True, "no": False, "true": True, "false": False, "1": True,
        "0": False}  # fmt: skip
MOST_DAYS = 365
WHOLE = 1_000_000  # rows: a code list is read at once, because a parent may stand below its children


def import_categories(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import categories with their departments in one transaction; idempotent on the code.

    A category without a parent is a 大类; a parent may be given by code or by a 大类's name, in any order of
    rows. `days` are working days in which one is answered, `open` (是/否) says whether anybody may see where
    one was told of. Categories and columns that the file leaves out stay.

    Raises FileError when the file cannot be read or has no code or name.
    """
    path = Path(path)
    with import_run(engine, "categories", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        chunks = read_chunks(
            path, mapping, known=KNOWN, required=("code", "name"), aliases=ALIASES, report=report,
            rows=WHOLE, progress=progress,
        )  # fmt: skip
        for chunk in chunks:
            _import(connection, chunk, report)
    return report


def _import(connection: Connection, chunk: Chunk, report: Report) -> None:
    standing = {row.code: row for row in connection.execute(select(Category.__table__))}
    fields = [*TEXTS, *(name for name in MORE if name in chunk.frame)]
    table = pd.DataFrame({name: clean_text(chunk.column(name)) for name in fields})
    for name in ("code", "name"):
        chunk.reject(table[name] == "", name, "nothing", f"a {name}")
    repeated = table["code"].where(chunk.good).duplicated() & chunk.good
    chunk.reject(repeated, "code", table["code"], "a code once in a file")
    table["parent"] = _parents(chunk, table, standing)
    _check_more(chunk, table)
    good = table[chunk.good]
    _write_departments(connection, good["department"])
    rows = [_row(row) for row in good.to_dict("records")]
    rows.sort(key=lambda row: (row["parent"] is not None, row["code"]))
    changed = []
    for row in rows:
        before = standing.get(row["code"])
        if before is None:
            report.new += 1
        elif {name: getattr(before, name) for name in fields} == row:
            report.unchanged += 1
            continue
        else:
            report.updated += 1
        changed.append(row)
    if changed:
        statement = insert(Category)
        new = {name: statement.excluded[name] for name in fields if name != "code"}
        connection.execute(statement.on_conflict_do_update(index_elements=["code"], set_=new), changed)


def _check_more(chunk: Chunk, table: pd.DataFrame) -> None:
    if "days" in table:
        days = table["days"]
        bad = (days != "") & ~(days.str.fullmatch("[0-9]{1,3}") & ~days.str.fullmatch("0+"))
        far = days.where(~bad & (days != ""), "1").astype(int) > MOST_DAYS
        chunk.reject(bad | far, "days", days, f"working days, 1 to {MOST_DAYS}, or nothing")
    if "open" in table:
        chunk.reject(~table["open"].str.lower().isin(OPEN), "open", table["open"], "是 or 否")


def _row(said: Table[Any, Any]) -> dict[str, Any]:
    """Return the columns of a category; an empty text is none."""
    row = {str(name): value or None for name, value in said.items()}
    if "days" in said:
        row["days"] = int(said["days"]) if said["days"] else None
    if "open" in said:
        row["open"] = OPEN[said["open"].lower()]
    return row


def _parents(chunk: Chunk, table: pd.DataFrame, standing: dict[str, Any]) -> pd.Series:
    """Return parents as codes; rejects those that are no 大类."""
    tops = {code: row for code, row in standing.items() if row.parent is None}
    good = table[chunk.good]
    for code, parent in zip(good["code"], good["parent"], strict=True):
        if parent:
            tops.pop(code, None)
    names = {row.name: code for code, row in tops.items()}
    mine = good[good["parent"] == ""]
    codes = {code: code for code in (*tops, *mine["code"])}
    found = table["parent"].map(
        {**names, **dict(zip(mine["name"], mine["code"], strict=True)), **codes, "": ""}
    )
    unknown = np.asarray(found.isna())
    chunk.reject(
        unknown, "parent", table["parent"], "the code or name of a 大类 of this file or imported before"
    )
    chunk.reject(found == table["code"], "parent", table["parent"], "another category than itself")
    return found.fillna("")


def _write_departments(connection: Connection, names: pd.Series) -> None:
    new = [{"name": name} for name in sorted(set(names) - {""})]
    if new:
        connection.execute(insert(Department).on_conflict_do_nothing(), new)
