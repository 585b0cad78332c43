"""Import of mediators into the talent pool."""

import re
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from gridmgmt.grids import rows
from gridmgmt.grids.codes import DIGITS
from gridmgmt.grids.models import Division
from gridmgmt.grids.rows import Row, read_rows
from gridmgmt.grids.store import insert_rows, update_rows
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.incidents.mediation.mediators import MOST_SPECIALITIES
from gridmgmt.incidents.mediation.models import MediationPanel, Mediator

FIELDS = ("name", "area", "panel", "specialities", "active")
ALIASES = {
    "name": ("姓名", "调解员", "调解员姓名"),
    "area": ("区域", "区域编码", "所属区域", "村社区", "镇街", "所属单位"),
    "panel": ("调委会", "专业调委会", "行业调委会", "所属调委会"),
    "specialities": ("专长", "擅长", "擅长领域", "调解特长"),
    "active": ("状态", "是否在聘"),
}
YES, NO = "yes", "no"
ACTIVE_WORDS = {
    "在聘": YES, "是": YES, "聘任": YES, "yes": YES, "true": YES, "1": YES,
    "解聘": NO, "否": NO, "离任": NO, "no": NO, "false": NO, "0": NO,
}  # fmt: skip
LONGEST_NAME = 40
_BETWEEN = re.compile(r"[,，、;；/|\s]+")


def import_mediators(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import mediators; idempotent on name and area.

    `area` is a code or the name of a village, town or the county (which stands for the whole city); a name
    that several places have must be given as a code. `panel` is a code, a name or a trade, `specialities`
    words with commas between. A field that the file leaves empty stays as it is.

    Raises FileError when the file cannot be read or lacks name or area.
    """
    with import_run(engine, "mediators", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        found = read_rows(
            path, mapping, report, known=FIELDS, required=("name", "area"), aliases=ALIASES, progress=progress
        )
        pool = _Pool(connection)
        taken = [pool.read(row) for row in found]
        rows.reject_repeated(found, "name", [each and (each["name"], each["area"]) for each in taken])
        for row, each in zip(found, taken, strict=True):
            if each and not row.rejected:
                pool.take(each, report)
        pool.write(connection)
    return report


class _Pool:
    """The pool as it stands, with what the file changes; names of places and panels."""

    def __init__(self, connection: Connection) -> None:
        self._places: dict[str, list[str]] = {}
        for code, name in connection.execute(select(Division.code, Division.name)):
            area = "" if len(code) < DIGITS["town"] else code
            self._places[code] = [area]
            self._places.setdefault(name, []).append(area)
        self._panels: dict[str, str] = {}
        for code, name, trade in connection.execute(
            select(MediationPanel.code, MediationPanel.name, MediationPanel.trade)
        ):
            self._panels.update({word: code for word in (code, name, trade) if word})
        columns = Mediator.id, Mediator.name, Mediator.area, Mediator.panel, Mediator.specialities
        standing = connection.execute(select(*columns, Mediator.active))
        self._known = {(row.name, row.area): dict(row._mapping) for row in standing}
        self._new: list[dict[str, object]] = []
        self._changed: list[dict[str, object]] = []

    def read(self, row: Row) -> dict[str, object] | None:
        """Return what a row says: name, area, and what else it does not leave open; None when rejected."""
        if not row["name"] or len(row["name"]) > LONGEST_NAME:
            row.reject("name", row["name"], f"a name of up to {LONGEST_NAME} characters")
        areas = self._places.get(row["area"], [])
        if len(areas) != 1:
            allowed = "the code of a place" if areas else "the code or name of a village, town or the county"
            row.reject("area", row["area"], allowed)
        panel = self._panels.get(row["panel"])
        if row["panel"] and panel is None:
            row.reject("panel", row["panel"], ", ".join(sorted(set(self._panels.values()))))
        words = list(dict.fromkeys(word for word in _BETWEEN.split(row["specialities"]) if word))
        if len(words) > MOST_SPECIALITIES:
            row.reject("specialities", len(words), f"at most {MOST_SPECIALITIES}")
        active = rows.word(row, "active", ACTIVE_WORDS, "")
        if row.rejected:
            return None
        said = {"panel": panel, "specialities": words or None, "active": active == YES if active else None}
        told = {name: value for name, value in said.items() if value is not None}
        return {"name": row["name"], "area": areas[0], **told}

    def take(self, told: dict[str, object], report: Report) -> None:
        """Count a row as new, updated or unchanged, and keep what is to be written."""
        known = self._known.get((str(told["name"]), str(told["area"])))
        if known is None:
            report.new += 1
            self._new.append({"panel": None, "specialities": [], "active": True} | told)
        elif known | told == known:
            report.unchanged += 1
        else:
            report.updated += 1
            self._changed.append(known | told)

    def write(self, connection: Connection) -> None:
        """Write what was taken in."""
        insert_rows(connection, Mediator, self._new)
        update_rows(connection, Mediator, ["id"], self._changed)
