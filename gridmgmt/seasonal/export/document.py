"""The list as a document for the meeting: what it rests on, the year drawn, and what to do month by month."""

from collections.abc import Sequence
from datetime import UTC
from io import BytesIO
from itertools import groupby
from typing import Any

import docx
from docx.enum.section import WD_ORIENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.shared import Mm

from gridmgmt.calendar import CHINA, format_date
from gridmgmt.seasonal.export import picture, word, words
from gridmgmt.seasonal.export.handout import Handout, Season, seasons
from gridmgmt.seasonal.models import VERDICT_NAMES, Verdict
from gridmgmt.seasonal.stored import Item

_PAGE, _MARGIN = (297, 210), 18  # A4 across, mm
TEXT_WIDTH = _PAGE[0] - 2 * _MARGIN
NO_FONT = "（生成这份文件的服务器没有中文字体，未画年历图。）"

_EXPLAINED = ("最迟动手日", "窗口、高峰", "历法", "预计件数", "把握", "其余地方")
_MOST_NAMES = 20  # of categories that are not in the list; more are counted
_ELSEWHERE = "名单在同时导出的表格里，“没有列入的类别”一页"

# Headings, and widths in mm that fill the page.
_SEASON_TABLE = (
    ("最迟动手", "事项", "窗口（历法）", "处数", "预计", "件数最多的地方", "提前做什么", "对口部门"),
    (29, 30, 44, 12, 15, 57, 43, 31),
)
_ITEM_TABLE = (
    ("最迟动手", "事项", "地方", "窗口（历法）", "预计", "把握", "提前做什么", "网格长、部门"),
    (29, 30, 36, 44, 26, 20, 45, 31),
)


def document(handout: Handout) -> bytes:
    """Return a list as a DOCX file: item by item where they are few, else season by season."""
    paper = docx.Document()
    _set_up(paper, handout)
    _head(paper, handout)
    if handout.kept:
        _year(paper, handout)
        _months(paper, handout)
    if handout.cut:
        paper.add_heading("超出承载、暂不列入的", level=1)
        _table(paper, handout.cut)
    _left_out(paper, handout)
    _how_to_read(paper)
    return _bytes(paper)


def _bytes(paper: Any) -> bytes:
    stream = BytesIO()
    paper.save(stream)
    return stream.getvalue()


def _set_up(paper: Any, handout: Handout) -> None:
    word.use_chinese_fonts(paper)
    about = paper.core_properties
    about.title, about.author, about.comments = handout.heading, handout.by, ""
    about.created = about.modified = handout.at.astimezone(UTC)
    section = paper.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = (Mm(side) for side in _PAGE)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(_MARGIN)
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.add_run(f"导出：{handout.signature}　·　第 ")
    word.add_field(footer, "PAGE")
    footer.add_run(" 页，共 ")
    word.add_field(footer, "NUMPAGES")
    footer.add_run(" 页")


def _head(paper: Any, handout: Handout) -> None:
    title = paper.add_paragraph(f"{handout.year}年时令清单治未病工作方案", style="Title")
    place = paper.add_paragraph(f"{handout.title}　{format_date(handout.at.astimezone(CHINA).date())}")
    title.alignment = place.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for name, text in words.facts(handout)[1:-1]:  # the place stands above, the signature below every page
        paper.add_paragraph(f"{name}：{text}。")


def _year(paper: Any, handout: Handout) -> None:
    drawn = picture.year(handout)
    if drawn is None:
        paper.add_paragraph(NO_FONT)
    else:
        shown = "；".join(
            f"{season.first.category_name} {words.window(season.first)}" for season in seasons(handout.kept)
        )
        word.add_picture(paper, BytesIO(drawn), TEXT_WIDTH, f"年历：{shown}")


def _months(paper: Any, handout: Handout) -> None:
    for (year, month), items in groupby(handout.kept, key=lambda item: (item.act_by.year, item.act_by.month)):
        of_month = list(items)
        title = f"{month}月" if year == handout.year else f"{year}年{month}月"
        paper.add_heading(f"{title}要动手的（{len(of_month)} 项）", level=1)
        _table(paper, of_month, one_by_one=handout.one_by_one)


def _table(paper: Any, items: Sequence[Item], *, one_by_one: bool = False) -> None:
    if one_by_one:
        word.add_table(paper, *_ITEM_TABLE, [_item_row(item) for item in items])
    else:
        word.add_table(paper, *_SEASON_TABLE, [_season_row(season) for season in seasons(items)])


def _item_row(item: Item) -> list[str]:
    who = "；".join(filter(None, (item.chief, item.department)))
    return [
        words.day(item.act_by, item.year), item.category_name, item.area_name, _window(item),
        words.expected(item), item.confidence, item.action, who,
    ]  # fmt: skip


def _season_row(season: Season) -> list[str]:
    first = season.first
    return [
        words.day(season.act_by, first.year), first.category_name, _window(first), str(len(season.items)),
        words.number(season.expected), words.places(season), first.action, first.department or "",
    ]  # fmt: skip


def _window(item: Item) -> str:
    return f"{words.window(item)}（{item.clock_name}）"


def _left_out(paper: Any, handout: Handout) -> None:
    """Say in a line each how many categories are not in the list and why, and which ones where few."""
    if any(row.verdict is not Verdict.SEASONAL for row in handout.verdicts):
        paper.add_heading("没有列入的类别", level=1)
    for verdict in Verdict:
        names = [row.category_name for row in handout.verdicts if row.verdict is verdict]
        if names and verdict is not Verdict.SEASONAL:
            which = "、".join(names) if len(names) <= _MOST_NAMES else _ELSEWHERE
            text = f"{VERDICT_NAMES[verdict]} {len(names)} 类：{words.WHY_NOT[verdict]}。{which}。"
            paper.add_paragraph(text)


def _how_to_read(paper: Any) -> None:
    paper.add_heading("怎么读", level=1)
    for name, text in words.HOW_TO_READ:
        if name in _EXPLAINED:
            paper.add_paragraph(f"{name}：{text}。")
