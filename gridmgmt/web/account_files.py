"""Accounts as files: many made from a table, with a book of first passwords; all listed, without secrets."""

import io
import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter
from werkzeug.datastructures import FileStorage

from gridmgmt.db.accounts import AccountRow
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.errors import FileError, InputError
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.report import Report, harmless
from gridmgmt.importing.tables import read_chunks
from gridmgmt.privacy.accounts import NewAccount
from gridmgmt.web.account_fields import REFUSED, new_account
from gridmgmt.web.areas import Territory
from gridmgmt.web.sending import XLSX

FORMS = {
    "csv": "text/csv",
    "xlsx": XLSX,
}
MOST_ROWS = 2000
# Our field -> the heading of the template, and other headings under which offices have it.
COLUMNS = {
    "username": ("账号", "用户名", "登录名"),
    "display_name": ("姓名", "name"),
    "role": ("角色", "role"),
    "area": ("范围", "绑定范围", "网格", "区域", "area"),
    "unit": ("部门", "单位", "unit"),
}
HEADINGS = {field: names[0] for field, names in COLUMNS.items()}
TAKEN, TWICE = "这个账号名已经有人用了。", "这个账号名在文件里出现了两次。"
RAGGED = "这一行的列数和表头不一样。"
_SUFFIX = re.compile(r"\.[a-z]{2,4}")
_OPTIONS = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is wrong with a row: its number as a spreadsheet shows it, the column, what stands there, why."""

    row: int
    column: str
    found: str
    words: str


@dataclass(frozen=True)
class Told:
    """What a file says: the accounts to be made, and every row that is wrong."""

    accounts: tuple[NewAccount, ...]
    bad: tuple[BadRow, ...]


def read(sent: FileStorage, here: Territory, units: Collection[str], taken: Any) -> Told:
    """Return what a CSV or a spreadsheet says; `taken(names)` says which names accounts have already.

    Raises FileError when it cannot be read as a whole, has no header of ours, or more than 2,000 rows.
    """
    suffix = Path(sent.filename or "").suffix.lower()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"accounts{suffix if _SUFFIX.fullmatch(suffix) else ''}"
        sent.save(path)
        report = Report("accounts", path)
        rows = list(_rows(path, report))
    if len(rows) > MOST_ROWS:
        raise FileError(sent.filename, "rows", len(rows), f"at most {MOST_ROWS}")
    return _checked(rows, _ragged(report), here, units, taken)


def _rows(path: Path, report: Report) -> Iterator[tuple[int, dict[str, str]]]:
    for chunk in read_chunks(
        path, Mapping(), known=tuple(COLUMNS), required=("username", "display_name", "role"), report=report,
        aliases=COLUMNS, only_known=True,
    ):  # fmt: skip
        columns = {field: chunk.column(field).tolist() for field in COLUMNS}
        for at, number in enumerate(chunk.rows.tolist()):
            if chunk.good[at]:
                yield int(number), {field: str(values[at]) for field, values in columns.items()}


def _ragged(report: Report) -> list[BadRow]:
    found = [re.search(r"\d+", reason) for reason in report.first_reasons]
    return [BadRow(int(number[0]), "", "", RAGGED) for number in found if number]


def _checked(
    rows: Sequence[tuple[int, dict[str, str]]],
    bad: list[BadRow],
    here: Territory,
    units: Collection[str],
    taken: Any,
) -> Told:
    new: list[NewAccount] = []
    known, seen = taken([told["username"].strip() for _, told in rows]), set()
    for number, told in rows:
        name = told["username"].strip()
        try:
            new.append(new_account(here, units, told))
            if name in seen or name in known:
                bad.append(BadRow(number, HEADINGS["username"], name, TWICE if name in seen else TAKEN))
        except InputError as why:
            found = told.get(why.field, "")[:60]
            bad.append(BadRow(number, HEADINGS.get(why.field, why.field), found, REFUSED[why.field]))
        seen.add(name)
    return Told(tuple(new), tuple(sorted(bad, key=lambda row: row.row)))


def passwords_book(made: Sequence[NewAccount], first: Sequence[str], here: Territory) -> bytes:
    """Return the XLSX file that hands out first passwords; it is kept nowhere here."""
    heads = ("账号", "姓名", "角色", "范围", "部门", "初始密码")
    rows = [
        (
            each.username, each.display_name, ROLE_NAMES[Role(each.role)], _where(here, each.area), each.unit,
            given,
        )
        for each, given in zip(made, first, strict=True)
    ]  # fmt: skip
    return _book("初始密码", heads, rows, note="首次登录须改密码。发给本人后请删除本文件。")


def template_book() -> bytes:
    """Return an empty table to fill in, with an example of each kind of account."""
    rows = [
        ("wang01", "王网格", "网格长", "990101001001001", ""),
        ("chengguan", "李主任", "镇街", "城关街道", ""),
        ("chengguanju", "赵科长", "部门", "", "城管局"),
    ]
    return _book("账号", tuple(HEADINGS.values()), rows)


def export(form: str, lines: Sequence[AccountRow], here: Territory) -> bytes:
    """Return a list of accounts as CSV or XLSX."""
    heads = ("账号", "姓名", "角色", "范围", "范围代码", "部门", "状态", "两步验证", "建立日期", "最近登录")
    rows = [_line(line, here) for line in lines]
    if form == "xlsx":
        return _book("账号", heads, rows)
    table = harmless(pd.DataFrame(rows, columns=list(heads), dtype="str"))
    return table.to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")


def _line(line: AccountRow, here: Territory) -> tuple[str, ...]:
    seen = f"{line.signed_in_at:%Y-%m-%d}" if line.signed_in_at else ""
    state = "在用" if line.active else "待确认" if line.proposed_by else "停用"
    return (
        line.username, line.display_name, ROLE_NAMES[line.role], _where(here, line.area), line.area or "",
        line.unit or "", state, "已开" if line.second_factor else "",
        f"{line.created_at:%Y-%m-%d}", seen,
    )  # fmt: skip


def _where(here: Territory, code: str | None) -> str:
    place = here.place(code) if code else None
    return f"{place.path} · {place.name}".removeprefix(" · ") if place else code or ""


def _book(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> bytes:
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        sheet = book.add_worksheet(title)
        head = book.add_format({"bold": True, "bg_color": "#EEF2F1", "bottom": 1})
        text = book.add_format({"num_format": "@", "quote_prefix": True})
        sheet.set_column(0, len(heads) - 1, 20, book.add_format({"num_format": "@"}))
        for place, name in enumerate(heads):
            sheet.write_string(0, place, name, head)
        for number, row in enumerate(rows, 1):
            for place, value in enumerate(row):
                sheet.write_string(number, place, value or "", text)
        sheet.freeze_panes(1, 0)
        if note:
            sheet.write_string(len(rows) + 2, 0, note)
    return stream.getvalue()
