"""The list as files, read back by other readers than wrote them."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

import docx
import icalendar
import openpyxl
import pytest
from docx.oxml.ns import qn
from PIL import Image

from gridmgmt.seasonal.export import Form, Handout, export, file_name, picture
from gridmgmt.seasonal.export.handout import FEW
from gridmgmt.seasonal.models import CLOCK_NAMES, Clock, Verdict
from gridmgmt.seasonal.stored import CategoryVerdict, Item, ListRun

# openpyxl reads bars of 2007 only and says so; ours have a solid fill, which is of 2010.
pytestmark = pytest.mark.filterwarnings("ignore:.*xtension is not supported:UserWarning")

TOWN = "036101001"
GRIDS = (f"{TOWN}001001", f"{TOWN}001002")
FORMULA = '=HYPERLINK("http://evil.example","点我")'


def _item(area: str, category: str, start: date, **changes: Any) -> Item:
    known: dict[str, Any] = {
        "id": 1, "year": 2026, "level": "grid", "area": area, "area_name": f"{int(area[-3:])}号网格",
        "category": category, "category_name": f"第{category}类", "department": "水利局",
        "clock": Clock.GREGORIAN, "start_on": start, "peak_on": start + timedelta(days=14),
        "end_on": start + timedelta(days=29), "act_by": start - timedelta(days=20), "lead_days": 20,
        "lead_learnt": False, "expected": 12.4, "expected_low": 7, "expected_high": 18, "usual": 3.1,
        "ratio": 4.0, "q": 4e-9, "confidence": "很有把握", "stable": 4, "cut": False,
        "action": "提前走访", "chief": "王网格",
        "years": [{"year": year, "inside": 10 + year - 2022, "outside": 3.0} for year in range(2022, 2026)],
    }  # fmt: skip
    known |= changes
    return Item(clock_name=CLOCK_NAMES[known["clock"]], **known)


ITEMS = [
    _item(GRIDS[0], "0101", date(2026, 4, 5)),
    _item(GRIDS[0], "0101", date(2026, 10, 8)),  # a second window in the same year
    _item(GRIDS[1], "0101", date(2026, 4, 5), chief=None, expected=30.0),
    _item(GRIDS[1], "0202", date(2026, 1, 3), clock=Clock.LUNAR, lead_learnt=True),  # act in the year before
    _item(TOWN, "0303", date(2026, 12, 11), level="town", area_name=FORMULA, action="-2+3\x0b\x07",
          ratio=float("inf")),
    _item(GRIDS[0], "0303", date(2026, 12, 11), cut=True),
]  # fmt: skip
VERDICTS = [
    CategoryVerdict("0101", "第0101类", Verdict.SEASONAL, 90, 99, Clock.GREGORIAN, 1e-4, 1e-4, 1e-4, 4),
    CategoryVerdict("0404", "路灯不亮", Verdict.NO_SEASON, 812, 840, None, 0.61, 0.7, 0.5, None),
    CategoryVerdict("0505", "树木越界", Verdict.NOT_ENOUGH, 3, 3, None, None, None, None, None),
]
RUN = ListRun(
    7, 2026, datetime(2026, 1, 1, 8, tzinfo=UTC), date(2022, 1, 1), date(2025, 12, 31), 1040, 913, 3
)


def _handout(items: Sequence[Item] = ITEMS, **changes: Any) -> Handout:
    known: dict[str, Any] = {
        "year": 2026, "title": "城关街道", "area": "", "run": RUN, "items": items, "verdicts": VERDICTS,
        "divisions": {"036101": "样例县", TOWN: "城关街道", f"{TOWN}001": "东关社区"}, "by": "李科员",
        "at": datetime(2025, 11, 22, 9, 30, tzinfo=UTC),
    }  # fmt: skip
    return Handout(**known | changes)


def _many() -> list[Item]:
    return [
        replace(ITEMS[n % 2], area=f"{TOWN}001{n:03d}", area_name=f"{n}号网格", expected=float(n))
        for n in range(1, FEW + 2)
    ]


# --- the workbook


def _book(handout: Handout) -> Any:
    return openpyxl.load_workbook(BytesIO(export(Form.XLSX, handout)))


def _rows(sheet: Any) -> list[dict[str, Any]]:
    headings, *rows = sheet.iter_rows()
    names = [cell.value for cell in headings]
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_every_item_stands_in_one_sheet_in_the_order_of_the_days_to_act() -> None:
    book = _book(_handout())
    kept, cut = _rows(book["清单"]), _rows(book["超出承载"])
    keys = [(row["最迟动手日"].value.date(), row["事项代码"].value, row["地方代码"].value) for row in kept]
    assert keys == sorted((item.act_by, item.category, item.area) for item in ITEMS if not item.cut)
    assert [(row["地方代码"].value, row["是否超出承载"].value) for row in cut] == [(GRIDS[0], "是")]
    assert {row["是否超出承载"].value for row in kept} == {"否"}


def test_days_are_days_numbers_are_numbers_and_codes_keep_their_zeros() -> None:
    book = _book(_handout())
    row = next(row for row in _rows(book["清单"]) if row["窗口起"].value == datetime(2026, 4, 5))
    days = [row[name] for name in ("最迟动手日", "窗口起", "高峰", "窗口止")]
    assert [cell.value.date() for cell in days] == [
        date(2026, 3, 16), date(2026, 4, 5), date(2026, 4, 19), date(2026, 5, 4)
    ]  # fmt: skip
    assert all(cell.is_date and cell.number_format == "yyyy-mm-dd" for cell in days)
    told = {
        name: row[name].value for name in ("预计件数", "预计下限", "预计上限", "平时件数", "倍数", "提前天数")
    }
    assert told == {
        "预计件数": 12.4,
        "预计下限": 7,
        "预计上限": 18,
        "平时件数": 3.1,
        "倍数": 4,
        "提前天数": 20,
    }
    assert [row[f"{year}年窗口内件数"].value for year in range(2022, 2026)] == [10, 11, 12, 13]
    for name, text in (("事项代码", "0101"), ("地方代码", GRIDS[0]), ("去掉任一年仍成立", "4/4")):
        assert (row[name].value, row[name].data_type, row[name].number_format) == (text, "s", "@")
    assert (row["镇街"].value, row["村社区"].value, row["级别"].value) == ("城关街道", "东关社区", "网格")


def test_no_text_becomes_a_formula_and_none_breaks_the_file() -> None:
    content = export(Form.XLSX, _handout(title="&D&G=1+1", by="@SUM(A1)"))
    with zipfile.ZipFile(BytesIO(content)) as parts:
        sheets = [parts.read(name) for name in parts.namelist() if name.startswith("xl/worksheets/sheet")]
    assert len(sheets) == 5
    assert not any(b"<f>" in sheet or b"<hyperlink" in sheet for sheet in sheets)
    book = openpyxl.load_workbook(BytesIO(content))
    row = next(row for row in _rows(book["清单"]) if row["级别"].value == "镇街")
    assert (row["地方"].value, row["地方"].data_type, row["地方"].quotePrefix) == (FORMULA, "s", True)
    assert (row["怎么做"].value, row["怎么做"].quotePrefix) == ("-2+3", True)
    assert row["倍数"].value == "—"  # nothing at all in the rest of the year
    assert " · ＆D＆G=1+1 · " in book["清单"].oddHeader.center.text


def test_the_list_prints_across_as_wide_as_the_page_with_its_head_and_who_exported_it() -> None:
    sheet = _book(_handout())["清单"]
    assert (sheet.page_setup.orientation, str(sheet.page_setup.paperSize)) == ("landscape", "9")
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (None, 0)  # one page is the default
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert sheet.print_title_rows == "$1:$1"
    assert sheet.freeze_panes == "C2"
    assert sheet.auto_filter.ref.startswith("A1:")
    assert "李科员，2025-11-22 17:30" in sheet.oddFooter.left.text  # the time of China
    assert "&P" in sheet.oddFooter.right.text
    printed = re.search(r"\$A\$1:\$([A-Z]+)\$6", sheet.print_area)
    assert printed
    assert sheet[f"{printed[1]}1"].value == "对口部门"
    for name, text in (("B", "第0101类"), ("D", "东关社区"), ("M", "很有把握")):  # nothing Chinese is cut off
        assert text in [cell.value for cell in sheet[name]]
        assert sheet.column_dimensions[name].width > len(text.encode("gb18030"))


def test_the_year_shows_window_peak_and_day_to_act_at_their_xun() -> None:
    sheet = _book(_handout())["年历"]
    months = {cell.value: cell.column for cell in sheet[1] if cell.value and "月" in cell.value}
    assert list(months)[:2] == ["2025年12月", "1月"]  # the earliest day to act
    assert list(months)[-1] == "2027年1月"  # the latest window's end
    row = next(row for row in sheet.iter_rows(min_row=3) if row[0].value == "第0101类")
    assert (row[1].value, row[2].value) == (3, pytest.approx(54.8))

    def cell(month: str, part: int) -> Any:
        return row[months[month] - 1 + part]

    assert cell("3月", 1).value == "动"
    assert cell("4月", 1).value == "峰"
    assert cell("3月", 2).fill.fill_type is None
    shades = [int(cell("4月", part).fill.fgColor.rgb[2:4], 16) for part in (0, 1, 2)]
    assert shades[0] == shades[2] > shades[1] + 100  # told apart on a copier
    assert cell("10月", 2).value == "峰"


def test_what_a_whole_city_told_is_not_for_those_who_see_a_part_of_it() -> None:
    whole, town = _book(_handout()), _book(_handout(area=TOWN))
    assert [row["类别"].value for row in _rows(whole["没有列入的类别"])] == ["路灯不亮", "树木越界"]
    first = _rows(whole["没有列入的类别"])[0]
    assert (first["结论"].value, first["合并重复后问题数"].value, first["环形扫描 q"].value) == (
        "没有时令规律",
        812,
        0.61,
    )
    assert list(_rows(town["没有列入的类别"])[0]) == ["类别", "结论", "说明", "类别代码"]
    notes = {name: [cell.value for row in book["说明"].iter_rows() for cell in row] for name, book in
             (("whole", whole), ("town", town))}  # fmt: skip
    assert any("1,040 件" in str(text) and "913 个" in str(text) for text in notes["whole"])
    assert not any("1,040" in str(text) for text in notes["town"])
    assert any("2022年1月1日至2025年12月31日" in str(text) for text in notes["town"])


# --- the document


def _document(handout: Handout) -> Any:
    return docx.Document(BytesIO(export(Form.DOCX, handout)))


def _texts(table: Any) -> list[list[str]]:
    return [[cell.text for cell in row.cells] for row in table.rows]


def test_a_short_list_is_told_item_by_item_month_by_month() -> None:
    paper = _document(_handout())
    headings = [part.text for part in paper.paragraphs if part.style.name == "Heading 1"]
    assert headings == [
        "2025年12月要动手的（1 项）", "3月要动手的（2 项）", "9月要动手的（1 项）", "11月要动手的（1 项）",
        "超出承载、暂不列入的", "没有列入的类别", "怎么读",
    ]  # fmt: skip
    rows = [row for table in paper.tables[:-1] for row in _texts(table)[1:]]
    assert len(rows) == 5
    assert rows[0][:2] == ["2025年12月14日", "第0202类"]
    assert "1月3日—2月1日（农历）" in rows[0]
    assert rows[-1][2] == FORMULA  # a name is a name
    assert rows[-1][6] == "-2+3"  # what no document may hold is gone
    assert "王网格；水利局" in rows[0]
    assert _texts(paper.tables[-1])[1][3] == "1"


def test_the_document_is_set_for_chinese_readers_and_for_paper() -> None:
    paper = _document(_handout())
    for style, font in (("Normal", "宋体"), ("Title", "黑体"), ("Heading 1", "黑体")):
        fonts = paper.styles[style].element.rPr.rFonts
        assert fonts.get(qn("w:eastAsia")) == font
        assert fonts.get(qn("w:eastAsiaTheme")) is None
    for table in paper.tables:
        assert table.rows[0]._tr.trPr.find(qn("w:tblHeader")) is not None
        assert all(row._tr.trPr.find(qn("w:cantSplit")) is not None for row in table.rows)
    section = paper.sections[0]
    assert round(section.page_width.mm) == 297
    assert "导出：李科员，2025-11-22 17:30" in section.footer.paragraphs[0].text
    codes = [code.text for code in section.footer._element.iter(qn("w:instrText"))]
    assert codes == ["PAGE", "NUMPAGES"]
    usable = section.page_width - section.left_margin - section.right_margin
    assert all(sum(cell.width for cell in table.rows[0].cells) <= usable for table in paper.tables)


def test_a_long_list_is_told_by_season_with_its_top_places() -> None:
    paper = _document(_handout([*_many(), ITEMS[-1]]))
    kept = [row for table in paper.tables[:-1] for row in _texts(table)[1:]]
    assert sum(int(row[3]) for row in kept) == FEW + 1
    assert len(kept) == 2
    assert "61号网格 61 件、59号网格 59 件" in kept[1][5]
    assert kept[1][5].endswith("等 31 处")


def test_without_a_chinese_font_the_picture_is_left_out_and_the_document_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(picture, "font", lambda size: None)
    paper = _document(_handout())
    assert not paper.inline_shapes
    assert any("没有中文字体" in part.text for part in paper.paragraphs)


@pytest.mark.skipif(picture.font(12) is None, reason="this machine has no font with Chinese characters")
def test_the_picture_is_darkest_at_the_peak_and_as_fine_as_print() -> None:
    image = Image.open(BytesIO(picture.year(_handout(ITEMS[:1])) or b""))
    assert image.info["dpi"] == pytest.approx((300, 300), abs=1)
    assert image.width / 300 * 25.4 == pytest.approx(261, abs=1)
    grey = image.convert("L")
    lane = [grey.getpixel((x, 155)) for x in range(grey.width)]
    dark = [x for x in range(480, grey.width) if lane[x] < 95]
    light = [x for x in range(480, grey.width) if 150 < lane[x] < 225]
    ten_days = (grey.width - 490) / 365 * 10
    assert ten_days * 0.9 < len(dark) < ten_days * 1.4  # the peak, and the pole of the day to act
    assert min(dark) < min(light) < dark[len(dark) // 2] < max(light)
    assert _document(_handout()).inline_shapes[0].width.mm == pytest.approx(261, abs=0.1)


# --- the calendar


def _events(handout: Handout) -> list[Any]:
    return list(icalendar.Calendar.from_ical(export(Form.ICS, handout)).walk("VEVENT"))


def test_a_chief_gets_a_day_and_a_reminder_an_item_and_nothing_beyond_the_capacity() -> None:
    events = _events(_handout())
    assert len(events) == 5
    first = events[0]
    assert first["dtstart"].to_ical() == b"20251214"
    assert first["dtstart"].params["VALUE"] == "DATE"
    assert first["dtend"].dt - first["dtstart"].dt == timedelta(days=1)
    assert first["summary"] == "动手：第0202类 · 2号网格"
    assert first["location"] == "城关街道 东关社区 2号网格"
    for words in ("1月3日—2月1日（农历）", "预计 12 件（7—18）", "怎么做：提前走访", "网格长：王网格"):
        assert words in first["description"], words
    (alarm,) = first.walk("VALARM")
    rings = datetime.combine(first["dtstart"].dt, datetime.min.time()) + alarm["trigger"].dt
    assert rings == datetime(2025, 12, 11, 9)  # three days before, when people are at work
    assert first["categories"].cats == ["第0202类"]


def test_an_item_keeps_its_uid_when_the_list_is_made_again_and_days_move() -> None:
    later = [replace(item, id=item.id + 90, act_by=item.act_by + timedelta(days=3)) for item in ITEMS]
    before, after = _events(_handout()), _events(_handout(later, at=datetime(2025, 12, 1, tzinfo=UTC)))
    uids = [str(event["uid"]) for event in before]
    assert len(set(uids)) == len(uids)  # two windows of one category in one grid are two events
    assert [str(event["uid"]) for event in after] == uids
    assert not set(uids) & {str(event["uid"]) for event in _events(_handout(year=2027))}


def test_lines_are_folded_at_75_octets_and_end_as_the_standard_says() -> None:
    content = export(Form.ICS, _handout())
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert content.count(b"\n") == len(lines) - 1
    content.decode("utf-8")


def test_a_long_list_is_one_event_a_season_that_names_the_top_places() -> None:
    events = _events(_handout(_many(), area=TOWN))
    assert [event["summary"] for event in events] == ["动手：第0101类 · 30 处", "动手：第0101类 · 31 处"]
    assert "61号网格 61 件、59号网格 59 件" in events[1]["description"]
    assert [event["location"] for event in events] == ["城关街道"] * 2


# --- all three


@pytest.mark.parametrize(
    ("handout", "words"),
    [
        (_handout([]), "没有显著的时令规律"),
        (_handout([], run=None, verdicts=[]), "还没有 2026 年的清单"),
        (_handout([], chosen="类别：灌溉用水"), "请放宽筛选条件"),
        (_handout([ITEMS[-1]]), "1 项都超出承载，单独列出"),
    ],
)
def test_an_empty_list_is_a_file_that_says_why(handout: Handout, words: str) -> None:
    assert words in _book(handout)["清单"]["A2"].value
    assert any(words in part.text for part in _document(handout).paragraphs)
    (event,) = _events(handout)
    assert words in event["description"]
    assert event["summary"] == "2026年时令清单没有要动手的事项"
    assert event.walk("VALARM") == []


def test_a_file_is_named_by_year_and_place_whatever_the_place_is_called() -> None:
    assert file_name(Form.XLSX, _handout()) == "时令清单_2026_城关街道.xlsx"
    assert file_name(Form.ICS, _handout(title="../a\\b:c\n")) == "时令清单_2026_a_b_c.ics"
    assert file_name(Form.DOCX, _handout(title="")) == "时令清单_2026_全部.docx"
