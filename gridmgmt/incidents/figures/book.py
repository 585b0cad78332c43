"""Figures as a workbook: the whole, a sheet a breakdown, and what every figure means."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import xlsxwriter

from gridmgmt.incidents.figures.repeats import Repeats
from gridmgmt.incidents.figures.values import (
    BY_NAMES,
    CLOSED_TARGET,
    FEWEST,
    SATISFIED_TARGET,
    SETTLED_TARGET,
    Answer,
    By,
    Figures,
    Line,
)
from gridmgmt.incidents.terms import TIER_NAMES

FONT = "微软雅黑"
_OPTIONS = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False,
}  # fmt: skip
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14},
    "head": {"bold": True, "bg_color": "#E8EEEE", "text_wrap": True, "valign": "vcenter", "align": "center",
             "top": 1, "bottom": 1},
    "text": {"num_format": "@", "quote_prefix": True},
    "wrapped": {"text_wrap": True, "valign": "top", "quote_prefix": True},
    "whole": {"num_format": "#,##0"},
    "rate": {"num_format": "0.0%", "align": "right"},
    "tenth": {"num_format": "#,##0.0", "align": "right"},
}  # fmt: skip


@dataclass(frozen=True)
class Handout:
    """What a workbook says of itself: whose figures, chosen by what, by whom and when."""

    answer: Answer
    repeats: tuple[Repeats, Repeats]
    place: str
    chosen: str
    by: str
    at: datetime

    @property
    def period(self) -> str:
        """The days of the period in words."""
        found = self.answer.question.period
        return f"{found.start:%Y年%-m月%-d日}至{found.end:%Y年%-m月%-d日}"

    @property
    def heading(self) -> str:
        """The title of the workbook."""
        return f"{self.place}诉求办理统计（{self.period}）"


def workbook(handout: Handout) -> bytes:
    """Return the figures as an XLSX file: 总表, a sheet a breakdown, 指标说明."""
    stream = BytesIO()
    with xlsxwriter.Workbook(stream, _OPTIONS) as book:
        made = handout.at.astimezone(UTC).replace(tzinfo=None)
        book.set_properties({"title": handout.heading, "author": handout.by, "created": made})
        formats = {
            name: book.add_format({"font_name": FONT, "font_size": 10} | style)
            for name, style in _STYLES.items()
        }
        _whole(_sheet(book, "总表", handout), formats, handout)
        for by, lines in handout.answer.lines.items():
            _lines(_sheet(book, f"按{BY_NAMES[by]}", handout), formats, by, lines, handout)
        _meanings(_sheet(book, "指标说明", handout), formats)
    return stream.getvalue()


def _sheet(book: Any, name: str, handout: Handout) -> Any:
    sheet = book.add_worksheet(name)
    sheet.set_paper(9)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_header("&L" + handout.heading.replace("&", "&&") + "&R" + name)
    sheet.set_footer("&R第 &P 页，共 &N 页")
    return sheet


# --- the whole

Read = Callable[[Figures], float | int | None]
_ROWS: tuple[tuple[str, str, str, Read, float | None], ...] = (
    ("受理", "件", "whole", lambda each: each.received, None),
    ("已办结", "件", "whole", lambda each: each.closed, None),
    ("办结率", "%", "rate", lambda each: each.closed_rate, CLOSED_TARGET.rate),
    ("按期办结率", "%", "rate", lambda each: each.on_time_rate, None),
    ("计入按期的件数", "件", "whole", lambda each: each.timed, None),
    ("满意率", "%", "rate", lambda each: each.satisfied_rate, SATISFIED_TARGET.rate),
    ("回访表态的件数", "件", "whole", lambda each: each.asked, None),
    ("办结用时中位数", "小时", "tenth", lambda each: each.median_hours, None),
    *(
        (f"{name}化解占比", "%", "rate", lambda each, tier=tier: each.settled_rate(tier), None)
        for tier, name in TIER_NAMES.items()
    ),
)


def _whole(sheet: Any, formats: dict[str, Any], handout: Handout) -> None:
    before = handout.answer.question.period.year_before
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 5, 14)
    sheet.write_string(0, 0, handout.heading, formats["title"])
    told = f"{handout.chosen or '全部诉求'}；制表 {handout.by}，{handout.at:%Y年%-m月%-d日 %H:%M}"
    sheet.write_string(1, 0, told, formats["text"])
    same = f"上年同期（{before.start:%Y-%m-%d}至{before.end:%Y-%m-%d}）"
    for place, name in enumerate(("指标", "单位", "本期", same, "公布的水平")):
        sheet.write_string(3, place, name, formats["head"])
    line = handout.answer.whole
    for n, (name, unit, style, read, target) in enumerate(_ROWS, 4):
        sheet.write_string(n, 0, name, formats["text"])
        sheet.write_string(n, 1, unit, formats["text"])
        for place, value in ((2, read(line.now)), (3, read(line.before)), (4, target)):
            _value(sheet, n, place, value, formats, style, blank=place == 4)
    n = 4 + len(_ROWS)
    sheet.write_string(n, 0, "重复反映占比", formats["text"])
    sheet.write_string(n, 1, "%", formats["text"])
    for place, each in enumerate(handout.repeats, 2):
        _value(sheet, n, place, each.rate, formats, "rate")
    sheet.write_string(n + 2, 0, f"对照：{SETTLED_TARGET.source}", formats["text"])


def _value(
    sheet: Any,
    row: int,
    place: int,
    value: float | None,
    formats: dict[str, Any],
    style: str,
    *,
    blank: bool = False,
) -> None:
    if value is not None:
        sheet.write_number(row, place, value, formats[style])
    elif not blank:
        sheet.write_string(row, place, f"不足{FEWEST}件", formats["text"])


# --- the lines

_COLUMNS: tuple[tuple[str, str, Callable[[Line], float | int | None]], ...] = (
    ("受理（件）", "whole", lambda each: each.now.received),
    ("上年同期受理（件）", "whole", lambda each: each.before.received),
    ("已办结（件）", "whole", lambda each: each.now.closed),
    ("办结率", "rate", lambda each: each.now.closed_rate),
    ("上年同期办结率", "rate", lambda each: each.before.closed_rate),
    ("按期办结率", "rate", lambda each: each.now.on_time_rate),
    ("计入按期（件）", "whole", lambda each: each.now.timed),
    ("满意率", "rate", lambda each: each.now.satisfied_rate),
    ("回访表态（件）", "whole", lambda each: each.now.asked),
    ("办结用时中位数（小时）", "tenth", lambda each: each.now.median_hours),
    *(
        (f"{name}化解（件）", "whole", lambda each, tier=tier: each.now.settled.get(tier, 0))
        for tier, name in TIER_NAMES.items()
    ),
)


def _lines(sheet: Any, formats: dict[str, Any], by: By, lines: list[Line], handout: Handout) -> None:
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 16)
    sheet.set_column(2, 1 + len(_COLUMNS), 12)
    sheet.set_row(0, 32)
    for place, name in enumerate((BY_NAMES[by], "代码", *(name for name, _, _ in _COLUMNS))):
        sheet.write_string(0, place, name, formats["head"])
    for n, line in enumerate([*lines, handout.answer.whole], 1):
        sheet.write_string(n, 0, line.name, formats["text"])
        sheet.write_string(n, 1, line.code, formats["text"])
        for place, (_, style, read) in enumerate(_COLUMNS, 2):
            _value(sheet, n, place, read(line), formats, style)
    sheet.freeze_panes(1, 1)


MEANINGS = (
    ("受理", "本期内登记的诉求件数，按登记时间（北京时间）计；历史导入的和在本系统办理的都算。"),
    ("已办结", "其中到现在已经办结的件数。期末刚登记的还在办，办结率会随时间升高。"),
    ("办结率", "已办结 ÷ 受理。"),
    ("按期办结率", "在期限前办结的 ÷ 计入按期的。"
     "计入按期的：有期限，且已办结并知道办结时间的，加上没办结但已超过期限的。"),
    ("满意率", "回访时打 3 分以上（非常满意、满意、基本满意）的 ÷ 回访时表了态的。"
     "没有回访到、没有表态的不算。"),
    ("办结用时中位数", "从登记到办结的整小时数，一半的诉求不超过它；不知道办结时间的不算。"
     "按自然时间，不按工作日。"),
    ("各级化解占比", "已办结且知道层级的诉求里，在村社区、镇街、市级办结的各占多少。"),
    ("重复反映占比", "同一类别、相距 50 米以内、14 天以内又反映一次的件数 ÷ 有位置的件数。"),
    ("按部门", "牵头部门；没有交办过的，按类别的对口部门。"),
    ("上年同期", "上一年的同一段日子；2 月 29 日对 2 月 28 日。"),
    ("不足 10 件", "分母不足 10 件的比率不显示：一两件就能让它大起大落。"),
    ("公布的水平", f"{CLOSED_TARGET.source} {CLOSED_TARGET.rate:.1%}；{SATISFIED_TARGET.source} "
     f"{SATISFIED_TARGET.rate:.1%}；{SETTLED_TARGET.source}（{SETTLED_TARGET.rate:.1%}）。口径不一定相同，只作参照。"),
)  # fmt: skip


def _meanings(sheet: Any, formats: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 20)
    sheet.set_column(1, 1, 100)
    for place, name in enumerate(("指标", "怎么算的")):
        sheet.write_string(0, place, name, formats["head"])
    for n, (name, words) in enumerate(MEANINGS, 1):
        sheet.write_string(n, 0, name, formats["text"])
        sheet.write_string(n, 1, words, formats["wrapped"])
