"""The workbook of an export: a row a person; each row and each page names who fetched it and when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any

import xlsxwriter

from gridmgmt.errors import TamperedError
from gridmgmt.households.models import (
    CARE_NAMES,
    RELATION_NAMES,
    SEX_NAMES,
    TENURE_NAMES,
    Care,
    Relation,
    Tenure,
)
from gridmgmt.households.reading.residents import DAMAGED, age_on, masked
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing

FULL = frozenset({"identity_full", "phone_full"})
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_A4 = 9
_LONGEST_HEADER = 255


@dataclass(frozen=True)
class Made:
    """Whose file it is: request, account, moment, purpose, area."""

    number: int
    account: str
    at: datetime
    purpose: str
    area: str

    @property
    def mark(self) -> str:
        """What every row and every page carries."""
        return f"{self.account} {self.at:%Y-%m-%d %H:%M} 第{self.number}号"


@dataclass(frozen=True)
class Column:
    """A column that can be asked for: `value(row, ring, today)`; with `always` it need not be."""

    heading: str
    width: int
    value: Callable[[Any, KeyRing, date], str]
    always: bool = False


def _full(field: str) -> Callable[[Any, KeyRing, date], str]:
    def clear(row: Any, ring: KeyRing, _: date) -> str:
        sealed = getattr(row, field)
        if sealed is None:
            return ""
        try:
            return unseal(ring, bytes(row.salt), field, sealed)
        except TamperedError:
            return DAMAGED

    return clear


def _masked(field: str) -> Callable[[Any, KeyRing, date], str]:
    return lambda row, ring, _: masked(ring, field, row.salt, getattr(row, field)) or ""


def _age(row: Any, _: KeyRing, today: date) -> str:
    age = age_on(row.birth_on, today)
    return "" if age is None else str(age)


COLUMNS = {
    "door": Column("住址", 28, lambda row, *_: f"{row.address} {row.door}", always=True),
    "name": Column("姓名", 12, lambda row, *_: row.name, always=True),
    "relation": Column("与户主关系", 10, lambda row, *_: RELATION_NAMES[Relation(row.relation)], always=True),
    "grid": Column("网格", 14, lambda row, *_: row.grid),
    "sex": Column("性别", 6, lambda row, *_: SEX_NAMES.get(row.sex, "")),
    "age": Column("年龄", 6, _age),
    "tenure": Column("居住", 8, lambda row, *_: TENURE_NAMES[Tenure(row.tenure)] if row.tenure else ""),
    "registered": Column("户籍在此", 8, lambda row, *_: "是" if row.registered_here else "否"),
    "care": Column("关爱", 20, lambda row, *_: "、".join(CARE_NAMES[Care(each)] for each in row.care)),
    "identity": Column("身份证号（遮盖）", 22, _masked("identity")),
    "phone": Column("电话（遮盖）", 14, _masked("phone")),
    "identity_full": Column("身份证号", 22, _full("identity")),
    "phone_full": Column("电话", 14, _full("phone")),
}  # fmt: skip


def workbook(ring: KeyRing, made: Made, columns: Sequence[str], people: Sequence[Any], today: date) -> bytes:
    """Return the XLSX file; every cell is a text, never a formula, also after somebody edits it."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        book.set_properties(
            {"title": f"名册 第{made.number}号", "author": made.account, "comments": made.mark}
        )
        text = book.add_format({"quote_prefix": True, "num_format": "@"})
        head = book.add_format({"bold": True, "bg_color": "#EEF2F1", "bottom": 1})
        faint = book.add_format({"quote_prefix": True, "font_color": "#8A9799"})
        sheet = book.add_worksheet("名册")
        chosen = [COLUMNS[column] for column in columns]
        for place, column in enumerate(chosen):
            sheet.set_column(place, place, column.width)
            sheet.write_string(0, place, column.heading, head)
        last = len(chosen)
        sheet.set_column(last, last, 44)
        sheet.write_string(0, last, "水印", head)
        for line, row in enumerate(people, 1):
            for place, column in enumerate(chosen):
                sheet.write_string(line, place, column.value(row, ring, today), text)
            sheet.write_string(line, last, made.mark, faint)
        _page(sheet, made)
    return stream.getvalue()


def _page(sheet: Any, made: Made) -> None:
    sheet.freeze_panes(1, 2)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    mark = made.mark.replace("&", "&&")
    sheet.set_header(f"&L用途：{made.purpose}&R{mark}"[:_LONGEST_HEADER])
    sheet.set_footer(f"&L{mark}，含个人信息，用后销毁&R第 &P 页，共 &N 页"[:_LONGEST_HEADER])
