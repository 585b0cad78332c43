"""A page as a Word file with the letters, margins and spacing of an official paper (GB/T 9704-2012)."""

from datetime import datetime
from io import BytesIO
from typing import Any

from docx import Document
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_ROW_HEIGHT_RULE, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING, WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from gridmgmt.incidents.papers.page import Node, Page, table_cells, widths

FANGSONG, SONG, HEI, TITLE = "仿宋", "宋体", "黑体", "方正小标宋简体"
BODY, LEADING = 16, 28
TEXT_WIDTH = 156  # mm, between the margins
BLANK = "\u3000" * 6
_ALIGN = {
    "center": WD_ALIGN_PARAGRAPH.CENTER, "right": WD_ALIGN_PARAGRAPH.RIGHT,
    "signed": WD_ALIGN_PARAGRAPH.RIGHT,
}  # fmt: skip


def render(page: Page, made_at: datetime) -> bytes:
    """Return the page as a DOCX file."""
    paper = Document()
    _sheet(paper, page)
    about = paper.core_properties
    about.title, about.author, about.created = page.title, page.author, made_at.replace(tzinfo=None)
    about.language = "zh-CN"
    for node in page.root.nodes():
        if node.tag == "table":
            _table(paper, node)
        else:
            _paragraph(paper.add_paragraph(), node)
    stream = BytesIO()
    paper.save(stream)
    return stream.getvalue()


def _sheet(paper: Any, page: Page) -> None:
    """Set the size of the paper, the letters of the text, and what stands at head and foot."""
    section = paper.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(37), Mm(35)
    section.left_margin, section.right_margin = Mm(28), Mm(26)
    section.footer_distance = Mm(24)
    style = paper.styles["Normal"]
    style.font.size = Pt(BODY)
    _letters(style.element.get_or_add_rPr(), FANGSONG)
    form = style.paragraph_format
    form.space_before = form.space_after = Pt(0)
    form.line_spacing_rule, form.line_spacing = WD_LINE_SPACING.EXACTLY, Pt(LEADING)
    for name in ("w:autoSpaceDN", "w:autoSpaceDE"):  # no gaps between characters and figures
        gap = OxmlElement(name)
        gap.set(qn("w:val"), "0")
        style.element.pPr.insert(0, gap)
    paper.settings.odd_and_even_pages_header_footer = True
    _foot(section.footer, page.foot, number_first=False)
    _foot(section.even_page_footer, page.foot, number_first=True)
    if page.draft:
        for head in (section.header, section.even_page_header):
            head.paragraphs[0].alignment = WD_ALIGN_PARAGRAPH.CENTER
            run = _run(head.paragraphs[0], "草稿 未出具，不作凭证", HEI, 12)
            run.font.color.rgb = RGBColor(0x8A, 0x1A, 0x12)


def _foot(foot: Any, words: str, *, number_first: bool) -> None:
    paragraph = foot.paragraphs[0]
    paragraph.style = "Normal"  # the template's own style for it has stops that are in the way
    paragraph.paragraph_format.tab_stops.add_tab_stop(Mm(TEXT_WIDTH), WD_TAB_ALIGNMENT.RIGHT)
    if not number_first:
        _run(paragraph, words + "\t", FANGSONG, 8)
    _run(paragraph, "— ", SONG, 14)
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    run = _run(paragraph, "1", SONG, 14)
    field.append(run._r)
    paragraph._p.append(field)
    _run(paragraph, " —", SONG, 14)
    if number_first:
        _run(paragraph, "\t" + words, FANGSONG, 8)


def _letters(properties: Any, name: str) -> None:
    fonts = properties.get_or_add_rFonts()
    for script in ("w:ascii", "w:hAnsi", "w:eastAsia", "w:cs"):
        fonts.set(qn(script), name)
    language = OxmlElement("w:lang")
    language.set(qn("w:val"), "zh-CN")
    language.set(qn("w:eastAsia"), "zh-CN")
    properties.append(language)


def _run(paragraph: Any, words: str, letters: str = "", size: float = 0) -> Any:
    run = paragraph.add_run(words)
    if letters:
        fonts = run._r.get_or_add_rPr().get_or_add_rFonts()
        for script in ("w:ascii", "w:hAnsi", "w:eastAsia"):
            fonts.set(qn(script), letters)
    if size:
        run.font.size = Pt(size)
    return run


def _paragraph(paragraph: Any, node: Node) -> None:
    """Fill a paragraph of the text: a title, a heading or one of its own kind."""
    form = paragraph.paragraph_format
    letters, size = "", 0.0
    if node.tag == "h1":
        letters, size = TITLE, 22
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        form.line_spacing, form.space_after, form.keep_with_next = Pt(34), Pt(14), True
    elif node.tag == "h2":
        letters = HEI
        form.keep_with_next = True
        _indent(paragraph, first=2)
    elif not node.classes & {"plain", "small", *_ALIGN}:
        _indent(paragraph, first=2)
        paragraph.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
    if "small" in node.classes:
        size, form.line_spacing = 10.5, Pt(16)
    if "signed" in node.classes:
        _indent(paragraph, right=4)
    form.page_break_before = True if "break" in node.classes else None
    _align(paragraph, node)
    _words(paragraph, node, letters, size)


def _align(paragraph: Any, node: Node) -> None:
    for name, where in _ALIGN.items():
        if name in node.classes:
            paragraph.alignment = where


def _indent(paragraph: Any, first: int = 0, right: int = 0) -> None:
    """Indent by characters, which is how Word keeps 首行缩进2字 when the letters change."""
    indent = paragraph._p.get_or_add_pPr().get_or_add_ind()
    for name, count in (("firstLine", first), ("right", right)):
        if count:
            indent.set(qn(f"w:{name}Chars"), str(100 * count))
            indent.set(qn(f"w:{name}"), str(20 * BODY * count))


def _words(paragraph: Any, node: Node, letters: str, size: float) -> None:
    for child in node.children:
        if isinstance(child, str):
            _run(paragraph, child, letters, size)
        elif child.tag == "br":
            paragraph.add_run().add_break()
        elif child.tag == "b":
            _words(paragraph, child, HEI, size)
        else:
            _run(paragraph, BLANK, letters, size).font.underline = True


def _table(paper: Any, node: Node) -> None:
    columns, cells = table_cells(node)
    rows = max((row + cell.rowspan for row, _, cell in cells), default=0)
    table = paper.add_table(rows=rows, cols=columns)
    bare = "bare" in node.classes
    if not bare:
        table.style = "Table Grid"
    table.alignment, table.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    shares = widths(node)
    for column, share in zip(table.columns, shares, strict=True):
        column.width = Mm(TEXT_WIDTH * share)
    if not bare:
        _air(table)
    for line in table.rows:
        line._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
        for cell, share in zip(line.cells, shares, strict=True):
            cell.width = Mm(TEXT_WIDTH * share)
    for row, column, said in cells:
        cell = table.cell(row, column)
        last = table.cell(min(row + said.rowspan, rows) - 1, column + said.colspan - 1)
        if last is not cell:
            cell = cell.merge(last)
        _cell(cell, said, bare=bare)
        if "tall" in said.classes:
            table.rows[row].height, table.rows[row].height_rule = Pt(52), WD_ROW_HEIGHT_RULE.AT_LEAST
    if not bare:  # a table touches what follows it otherwise
        paper.add_paragraph().paragraph_format.line_spacing = Pt(8)


def _air(table: Any) -> None:
    """Leave some points above and below what stands in each cell."""
    margins = OxmlElement("w:tblCellMar")
    for side in ("top", "bottom"):
        margin = OxmlElement(f"w:{side}")
        margin.set(qn("w:w"), "60")
        margin.set(qn("w:type"), "dxa")
        margins.append(margin)
    look = table._tbl.tblPr.find(qn("w:tblLook"))
    look.addprevious(margins)


def _cell(cell: Any, node: Node, *, bare: bool) -> None:
    tall = "tall" in node.classes
    cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.TOP if tall else WD_CELL_VERTICAL_ALIGNMENT.CENTER
    size = BODY if bare else 10.5 if "small" in node.classes else 12
    letters = HEI if node.tag == "th" else ""
    paragraphs = _paragraphs(node)
    for at, said in enumerate(paragraphs):
        paragraph = cell.paragraphs[0] if at == 0 else cell.add_paragraph()
        paragraph.paragraph_format.line_spacing = Pt(LEADING if bare else 16 if size < 12 else 19)
        if node.tag == "th" and "left" not in node.classes:
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        _align(paragraph, node)
        _align(paragraph, said)
        _words(paragraph, said, letters, size)


def _paragraphs(node: Node) -> list[Node]:
    """Return what stands in a cell as paragraphs: those that are said to be, and the text between."""
    found: list[Node] = []
    for child in node.children:
        if isinstance(child, Node) and child.tag == "p":
            found.append(child)
        elif found and found[-1].tag == "":
            found[-1].children.append(child)
        elif not isinstance(child, str) or child.strip():
            found.append(Node("", children=[child]))
    return found or [Node("")]
