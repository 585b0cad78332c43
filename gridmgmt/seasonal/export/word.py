"""What python-docx has no call for: East Asian fonts, repeated header rows, page numbers, alt text."""

from collections.abc import Sequence
from typing import Any

from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

BODY, HEADING, LATIN = "宋体", "黑体", "Times New Roman"
INK, PAPER = RGBColor(0x22, 0x22, 0x22), "E8EEEE"
# Style, East Asian font, size in points, bold, space before and after in points.
_STYLES = (
    ("Normal", BODY, 10.5, False, 0, 4),
    ("Title", HEADING, 20, False, 0, 4),
    ("Heading 1", HEADING, 13, False, 12, 4),
    ("Footer", BODY, 9, False, 0, 0),
)
_TABLE_TEXT = Pt(9)


def use_chinese_fonts(document: Any) -> None:
    """Set the fonts of a document's styles for Chinese, and its language."""
    for name, font, size, bold, before, after in _STYLES:
        style = document.styles[name]
        style.font.size, style.font.bold, style.font.color.rgb = Pt(size), bold, INK
        style.paragraph_format.space_before, style.paragraph_format.space_after = Pt(before), Pt(after)
        _set_fonts(style.element.get_or_add_rPr(), font)
    borders = document.styles["Title"].element.pPr.find(qn("w:pBdr"))
    if borders is not None:  # the template's blue line under titles
        borders.getparent().remove(borders)
    defaults = document.styles.element.find(f"{qn('w:docDefaults')}/{qn('w:rPrDefault')}/{qn('w:rPr')}")
    _set_fonts(defaults, BODY)
    defaults.find(qn("w:lang")).set(qn("w:eastAsia"), "zh-CN")


def _set_fonts(properties: Any, east_asian: str) -> None:
    fonts = properties.get_or_add_rFonts()
    for name in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):  # they go before named fonts
        fonts.attrib.pop(qn(f"w:{name}"), None)
    for name, font in (("ascii", LATIN), ("hAnsi", LATIN), ("eastAsia", east_asian)):
        fonts.set(qn(f"w:{name}"), font)


def add_table(
    document: Any, headings: Sequence[str], widths: Sequence[float], rows: Sequence[Sequence[str]]
) -> None:
    """Add a table whose header row repeats on every page and whose rows are not split; widths in mm."""
    table = document.add_table(rows=1 + len(rows), cols=len(headings), style="Table Grid")
    table.alignment, table.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Mm(width)
    for line, (row, texts) in enumerate(zip(table.rows, [headings, *rows], strict=True)):
        _add_flag(row._tr.get_or_add_trPr(), "w:cantSplit")
        for cell, text, width in zip(row.cells, texts, widths, strict=True):
            cell.width = Mm(width)
            _write(cell, text, bold=line == 0)
    head = table.rows[0]._tr
    _add_flag(head.get_or_add_trPr(), "w:tblHeader")
    for cell in table.rows[0].cells:
        _shade(cell)


def _write(cell: Any, text: str, *, bold: bool) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_after = Pt(0)
    run = paragraph.add_run(text)
    run.font.size, run.font.bold = _TABLE_TEXT, bold


def _shade(cell: Any) -> None:
    shading = OxmlElement("w:shd")
    for name, value in (("val", "clear"), ("color", "auto"), ("fill", PAPER)):
        shading.set(qn(f"w:{name}"), value)
    cell._tc.get_or_add_tcPr().append(shading)


def _add_flag(properties: Any, name: str) -> None:
    properties.append(OxmlElement(name))


def add_field(paragraph: Any, code: str) -> None:
    """Add a field that Word counts by itself, such as PAGE or NUMPAGES."""
    for kind in ("begin", None, "separate", "end"):
        run = paragraph.add_run()
        if kind is None:
            element = OxmlElement("w:instrText")
            element.set(qn("xml:space"), "preserve")
            element.text = code
        else:
            element = OxmlElement("w:fldChar")
            element.set(qn("w:fldCharType"), kind)
        run._r.append(element)


def add_picture(document: Any, png: Any, width: float, words: str) -> None:
    """Add a picture as wide as `width` mm; `words` say what it shows to who cannot see it."""
    shape = document.add_picture(png, width=Mm(width))
    shape._inline.docPr.set("descr", words)
