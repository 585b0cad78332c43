"""A page as a Word file with the letters, margins and spacing of an official paper (GB/T 9704-2012)."""

from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docx import Document
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_ROW_HEIGHT_RULE, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING, WD_TAB_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from gridmgmt.incidents.papers.page import Node, Page, Picture, table_cells, widths

FANGSONG, SONG, HEI, TITLE = "仿宋", "宋体", "黑体", "方正小标宋简体"
BODY, LEADING = 16, 28
# Letters and lines of tables with many rows.
CLOSE = {"dense": (8.5, 11.5), "compact": (10.5, 14)}
RED = RGBColor(0xC8, 0x16, 0x1D)
TEXT_WIDTH = 156  # mm, between the margins
BLANK = "\u3000" * 6
_ALIGN = {
    "center": WD_ALIGN_PARAGRAPH.CENTER, "right": WD_ALIGN_PARAGRAPH.RIGHT,
    "signed": WD_ALIGN_PARAGRAPH.RIGHT,
    **dict.fromkeys(("masthead", "number", "picture", "caption"), WD_ALIGN_PARAGRAPH.CENTER),
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
    return _timeless(stream)


def _timeless(stream: BytesIO) -> bytes:
    """Return a file of the same parts without the moment at which they were packed."""
    packed = BytesIO()
    with ZipFile(stream) as made, ZipFile(packed, "w", ZIP_DEFLATED) as kept:
        for part in made.infolist():
            kept.writestr(ZipInfo(part.filename), made.read(part), ZIP_DEFLATED)
    return packed.getvalue()


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
            run = _run(head.paragraphs[0], page.mark, HEI, 12)
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
    elif "masthead" in node.classes:
        letters, size = TITLE, 30
        form.line_spacing, form.space_after = Pt(44), Pt(14)
    elif "number" in node.classes:
        form.space_after = Pt(28)
        _rule_below(paragraph)
    elif "caption" in node.classes:
        letters, size = HEI, 12
        form.line_spacing, form.space_before, form.keep_with_next = Pt(19), Pt(6), True
    elif "picture" in node.classes:
        form.line_spacing_rule = WD_LINE_SPACING.SINGLE  # an exact one would cut the picture
        form.space_before = form.space_after = Pt(6)
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
    if "masthead" in node.classes:
        for run in paragraph.runs:
            run.font.color.rgb, run.font.bold = RED, True


def _rule_below(paragraph: Any) -> None:
    borders, line = OxmlElement("w:pBdr"), OxmlElement("w:bottom")
    for name, value in (("val", "single"), ("sz", "12"), ("space", "6"), ("color", str(RED))):
        line.set(qn(f"w:{name}"), value)
    borders.append(line)
    paragraph._p.get_or_add_pPr().insert_element_before(
        borders, "w:shd", "w:tabs", "w:suppressAutoHyphens", "w:spacing", "w:ind", "w:jc", "w:rPr"
    )


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
        elif child.picture:
            _picture(paragraph, child.picture)
        elif child.tag == "b":
            _words(paragraph, child, HEI, size)
        else:
            _run(paragraph, BLANK, letters, size).font.underline = True


def _picture(paragraph: Any, picture: Picture) -> None:
    size = Mm(picture.width), Mm(picture.height)
    drawn = paragraph.add_run().add_picture(BytesIO(picture.png), *size)
    drawn._inline.docPr.set("descr", picture.says)


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
    close = next((CLOSE[name] for name in CLOSE if name in node.classes), None)
    if not bare:
        _air(table, *((30, 60) if close else (60, 0)))
    grid = [list(line.cells) for line in table.rows]  # asking the table for each cell takes long
    for line, own in zip(table.rows, grid, strict=True):
        line._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
        for cell, share in zip(own, shares, strict=True):
            cell.width = Mm(TEXT_WIDTH * share)
    for row, column, said in cells:
        cell = grid[row][column]
        last = grid[min(row + said.rowspan, rows) - 1][column + said.colspan - 1]
        if last is not cell:
            cell = cell.merge(last)
        _cell(cell, said, bare=bare, close=close)
        if "tall" in said.classes:
            table.rows[row].height, table.rows[row].height_rule = Pt(52), WD_ROW_HEIGHT_RULE.AT_LEAST
    if not bare:  # a table touches what follows it otherwise
        paper.add_paragraph().paragraph_format.line_spacing = Pt(8)


def _air(table: Any, above: int, beside: int) -> None:
    """Leave some twentieths of a point above, below and, unless 0, beside what stands in each cell."""
    margins = OxmlElement("w:tblCellMar")
    for side, wide in (("top", above), ("left", beside), ("bottom", above), ("right", beside)):
        if wide:
            margin = OxmlElement(f"w:{side}")
            margin.set(qn("w:w"), str(wide))
            margin.set(qn("w:type"), "dxa")
            margins.append(margin)
    look = table._tbl.tblPr.find(qn("w:tblLook"))
    look.addprevious(margins)


def _cell(cell: Any, node: Node, *, bare: bool, close: tuple[float, float] | None) -> None:
    tall = "tall" in node.classes
    cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.TOP if tall else WD_CELL_VERTICAL_ALIGNMENT.CENTER
    small = "small" in node.classes
    size, leading = (BODY, LEADING) if bare else close or ((10.5, 16) if small else (12, 19))
    letters = HEI if node.tag == "th" else ""
    paragraphs = _paragraphs(node)
    for at, said in enumerate(paragraphs):
        paragraph = cell.paragraphs[0] if at == 0 else cell.add_paragraph()
        paragraph.paragraph_format.line_spacing = Pt(leading)
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
