"""The copy as a Word document that is handed to the resident."""

from io import BytesIO
from typing import Any

from docx import Document
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor

from gridmgmt.households.rights.copy import Part, PersonCopy
from gridmgmt.households.rights.subject import ASKED_BY

FONT = "Noto Sans CJK SC"
_GREY = RGBColor(0x54, 0x65, 0x6A)


def document(made: PersonCopy) -> bytes:
    """Return the copy as a DOCX file: one table a part, who gave it out and when on every page."""
    paper = Document()
    _style(paper)
    paper.core_properties.author = made.made_by
    paper.core_properties.title = "个人信息副本"
    paper.add_heading("个人信息副本", level=1)
    paper.add_paragraph(
        f"{made.name}：这是截至 {made.made_at:%Y年%m月%d日 %H:%M} 名册中与您有关的全部记录。"
        f"{ASKED_BY[made.asked_by]}，由账号 {made.made_by} 提供。"
    )
    paper.add_paragraph("内容有误可以要求更正；也可以要求限制处理或者删除，请向镇街提出。")
    for part in made.parts:
        _part(paper, part)
    footer = paper.sections[0].footer.paragraphs[0]
    footer.text = f"{made.made_by} {made.made_at:%Y-%m-%d %H:%M} · 含个人信息，请妥善保管"
    stream = BytesIO()
    paper.save(stream)
    return stream.getvalue()


def _style(paper: Any) -> None:
    section = paper.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2)
    section.top_margin = section.bottom_margin = Cm(2)
    for name, size in (("Normal", 10), ("Heading 1", 18), ("Heading 2", 13)):
        style = paper.styles[name]
        style.font.name, style.font.size = FONT, Pt(size)
        style.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), FONT)
        if name != "Normal":
            style.font.color.rgb = RGBColor(0x1D, 0x2B, 0x2E)


def _part(paper: Any, part: Part) -> None:
    paper.add_heading(part.title, level=2)
    if part.note:
        paper.add_paragraph().add_run(part.note).font.color.rgb = _GREY
    if not part.rows:
        paper.add_paragraph().add_run("没有记录").font.color.rgb = _GREY
        return
    table = paper.add_table(rows=1, cols=len(part.headings), style="Table Grid")
    for cell, heading in zip(table.rows[0].cells, part.headings, strict=True):
        cell.paragraphs[0].add_run(heading).bold = True
    for row in part.rows:
        for cell, words in zip(table.add_row().cells, row, strict=True):
            cell.text = words
