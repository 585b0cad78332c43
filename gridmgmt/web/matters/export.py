"""A list of matters as a file: the same filters, no personal data, nothing that a spreadsheet runs."""

import io
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from flask import Response, abort, request

from gridmgmt.calendar import CHINA
from gridmgmt.importing.report import harmless
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.handling import stored
from gridmgmt.incidents.handling.options import options
from gridmgmt.incidents.handling.stored import Line
from gridmgmt.incidents.terms import TIER_NAMES, Tier
from gridmgmt.incidents.working_days import LIGHT_NAMES
from gridmgmt.web.access import allow
from gridmgmt.web.areas import Territory, territory
from gridmgmt.web.databases import matters, reader
from gridmgmt.web.matters.blueprint import OFFICES, pages
from gridmgmt.web.matters.lists import asked
from gridmgmt.web.scope import matter_actor
from gridmgmt.web.sending import XLSX

MOST = stored.NEWEST
TYPES = {
    "csv": "text/csv",
    "xlsx": XLSX,
}


@pages.get("/list.<form>")
@allow(*OFFICES)
def export(form: str) -> Response:
    """The matters that the list shows with the same address, without what people wrote."""
    if form not in TYPES:
        abort(404)
    lister = stored.all_matters if request.args.get("list") == "all" else stored.inbox
    with reader().connect() as connection:
        here = territory(connection)
    with on_matters(matters(), matter_actor()) as connection:
        known = options(connection)
        found = lister(connection, matter_actor(), asked(), datetime.now(UTC), size=MOST)
    rows = [_row(line, here, known.channels) for line in found.lines]
    table = harmless(pd.DataFrame(rows, columns=list(_row(None, here, {}))))
    response = Response(_csv(table) if form == "csv" else _xlsx(table), mimetype=TYPES[form])
    response.headers["Content-Disposition"] = f'attachment; filename="matters.{form}"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _row(line: Line | None, here: Territory, channels: dict[str, str]) -> dict[str, Any]:
    area = line.area if line else ""
    return {
        "编号": line and (line.number or ""),
        "登记日期": line and _day(line.reported_at),
        "类别": line and line.category_name,
        "渠道": line and channels.get(line.channel or "", ""),
        "镇街": here.name(area[:9]) if area else "",
        "村社区": here.name(area[:12]) if area else "",
        "网格": line.grid or "" if line else "",
        "层级": line and (TIER_NAMES[Tier(line.level)] if line.level in set(Tier) else ""),
        "环节": line and (line.stage_name or ""),
        "时限": line and _moment(line.due_at),
        "时限状态": line and LIGHT_NAMES[line.light],
        "承办部门": line and "、".join(unit for unit, _ in line.units),
        "办结日期": line and _day(line.closed_at),
    }


def _day(moment: datetime | None) -> str:
    return f"{moment.astimezone(CHINA):%Y-%m-%d}" if moment else ""


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M}" if moment else ""


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def _xlsx(table: pd.DataFrame) -> bytes:
    written = io.BytesIO()
    with pd.ExcelWriter(
        written, engine="xlsxwriter",
        engine_kwargs={"options": {"strings_to_formulas": False, "strings_to_urls": False}},
    ) as book:  # fmt: skip
        table.to_excel(book, sheet_name="诉求", index=False)
        book.sheets["诉求"].set_column(0, len(table.columns) - 1, 16)
        book.sheets["诉求"].freeze_panes(1, 0)
    return written.getvalue()
