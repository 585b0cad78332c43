"""Forms that departments fill in: what goes out, what comes back, and that nothing half goes in."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.workbook import Workbook
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import WRITER, acting, create_database, drop_database, make_engine
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, FileError, InputError, NotAllowedError, NotFoundError
from gridmgmt.index import reading, sample, stored
from gridmgmt.index.actor import Actor, on_index
from gridmgmt.index.entries import importer
from gridmgmt.index.entries import stored as entries
from gridmgmt.index.entries import template as forms
from gridmgmt.index.entries.faults import EntryError, Wrong
from gridmgmt.index.entries.service import Asked, Cell, Counts, enter
from gridmgmt.index.periods import months_before
from gridmgmt.index.tree import Level

from .form_tree import TREE, add_tree
from .hostile_files import book as any_book
from .hostile_files import packed, parts

MONTH = date(2026, 3, 1)
TOWNS = ("990101001", "990101002", "990101003")
CIVIL, POLICE = "民政局", "公安局"
SHEET = "xl/worksheets/sheet1.xml"
CENTRE = Actor("centre", Role.COMMAND)
CLERK = Actor("clerk", Role.DEPARTMENT, unit=CIVIL)


@dataclass
class World:
    """Three towns, two departments, the small tree; `writer` has a writer's rights."""

    owner: Engine
    writer: Engine

    def form(self, department: str = CIVIL, month: date = MONTH) -> Workbook:
        with self.owner.connect() as connection:
            return openpyxl.load_workbook(io.BytesIO(forms.book(connection, month, department)))

    def send(self, book: Workbook | bytes, actor: Actor = CLERK, name: str = "表.xlsx", **how: Any) -> Counts:
        data = book if isinstance(book, bytes) else saved(book)
        return importer.load(self.writer, actor, importer.read(name, data), **how).counts

    def faults(
        self, book: Workbook | bytes, actor: Actor = CLERK, name: str = "表.xlsx", **how: Any
    ) -> list[tuple[str, Wrong]]:
        """Return where and what is wrong; nothing may have been written."""
        before = self.values()
        with pytest.raises(EntryError) as told:
            self.send(book, actor, name, **how)
        assert self.values() == before
        assert self.count("index_entry WHERE file = '表.xlsx'") == 0
        return [(fault.where, fault.wrong) for fault in told.value.faults]

    def values(self) -> dict[tuple[str, str, date], float | None]:
        with self.owner.connect() as connection:
            rows = connection.execute(text("SELECT indicator, unit, month, value FROM indicator_value"))
            return {(row.indicator, row.unit, row.month): row.value for row in rows}

    def count(self, what: str) -> int:
        with self.owner.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())


def saved(book: Workbook) -> bytes:
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def city(cluster: Cluster, template: str) -> Iterator[World]:
    """A database of this file's own: a fresh one for each of its tests would take most of their time."""
    name = "index_entries"
    create_database(cluster.url("postgres"), name, template=template)
    engine, writer = make_engine(cluster.url(name)), make_engine(cluster.url(name), role=WRITER)
    with engine.begin() as connection:
        for code, name, level, parent in (
            ("990101", "样例县", "county", None),
            *((code, f"第{n}镇", "town", "990101") for n, code in enumerate(TOWNS, 1)),
        ):
            values = {"a": code, "b": name, "c": level, "d": parent}
            connection.execute(text("INSERT INTO division VALUES (:a, :b, :c, :d, NULL)"), values)
        for name in (CIVIL, POLICE):
            connection.execute(text("INSERT INTO department VALUES (:a) ON CONFLICT DO NOTHING"), {"a": name})
        add_tree(connection, TREE, date(1900, 1, 1))
    yield World(engine, writer)
    writer.dispose()
    engine.dispose()
    drop_database(cluster.url("postgres"), name)


@pytest.fixture
def world(city: World) -> World:
    """The city with nothing entered, issued or loaded since."""
    with city.owner.begin() as connection:
        connection.execute(text("TRUNCATE indicator_value, index_month, index_entry"))
        connection.execute(text("DELETE FROM index_tree WHERE in_force_from > '1900-01-01'"))
    return city


def issue(world: World, month: date) -> None:
    with world.owner.begin() as connection:
        connection.execute(
            text("INSERT INTO index_month SELECT :month, max(id), now(), 't', now() FROM index_tree"),
            {"month": month},
        )


# --- the form


def test_a_form_has_a_sheet_a_level_and_asks_for_the_departments_own_indicators(world: World):
    book = world.form()
    assert book.sheetnames == ["镇街", "部门", "全市", "说明", "表信息"]
    sheet = book["镇街"]
    assert [sheet.cell(3, n).value for n in range(1, 5)] == ["代码", "名称", "1.1.2", "1.1.3"]
    assert sheet["C6"].value == "0 至 100 %"
    assert [sheet.cell(n, 1).value for n in range(9, 12)] == list(TOWNS)
    assert book["表信息"].sheet_state == "veryHidden"
    assert sheet.freeze_panes == "C9"


def test_only_what_is_filled_in_is_unlocked_and_excel_checks_it(world: World):
    sheet = world.form()["镇街"]
    assert sheet.protection.sheet
    unlocked = {cell.coordinate for row in sheet for cell in row if not cell.protection.locked}
    assert unlocked == {f"{column}{row}" for column in "CD" for row in (9, 10, 11)}
    rules = {str(each.sqref): each.formula1 for each in sheet.data_validations.dataValidation}
    assert rules == {
        "C9:C11": 'OR(C9="无",AND(ISNUMBER(C9),C9>=0.0,C9<=100.0))',
        "D9:D11": 'OR(D9="无",AND(ISNUMBER(D9),D9>=0.0))',
    }


def test_no_form_for_who_fills_in_nothing(world: World):
    with pytest.raises(NotFoundError):
        world.form("水利局")


# --- what comes back


def test_a_form_is_filled_in_sent_and_shows_it_the_next_time(world: World):
    book = world.form()
    book["镇街"]["C9"], book["镇街"]["D10"], book["部门"]["C10"], book["全市"]["C9"] = 95.3, 120, 8, 90
    tried = world.send(book, dry_run=True)
    assert tried == Counts(new=4)
    assert world.values() == {}
    assert world.send(book) == tried
    assert world.values() == {
        ("1.1.2", TOWNS[0], MONTH): 95.3, ("1.1.3", TOWNS[1], MONTH): 120.0,
        ("1.1.5", CIVIL, MONTH): 8.0, ("1.1.2", "990101", MONTH): 90.0,
    }  # fmt: skip
    again = world.form()
    assert (again["镇街"]["C9"].value, again["镇街"]["C10"].value) == (95.3, None)
    assert world.send(again) == Counts(unchanged=4)
    assert world.count("index_entry") == 1


def test_empty_keeps_none_clears_and_other_numbers_replace(world: World):
    book = world.form()
    sheet = book["镇街"]
    sheet["C9"], sheet["C10"], sheet["C11"] = 90, 91, 92
    world.send(book)
    sheet["C9"], sheet["C10"], sheet["C11"] = None, "无", 93
    assert world.send(book) == Counts(updated=1, cleared=1)
    assert world.send(book) == Counts(unchanged=2)
    assert [world.values()["1.1.2", town, MONTH] for town in TOWNS] == [90, None, 93]
    assert world.form()["镇街"]["C10"].value == "无"
    sheet["C10"] = 50
    assert world.send(book) == Counts(new=1, unchanged=1)


@pytest.mark.parametrize(
    ("written", "value"),
    [("95.3", 95.3), ("９５．３", 95.3), (" 95.3% ", 95.3), ("95.3％", 95.3), (95, 95.0), ("1e1", 10.0)],
)
def test_a_number_is_read_as_offices_write_it(world: World, written: object, value: float):
    book = world.form()
    book["镇街"]["C9"] = written
    world.send(book)
    assert world.values() == {("1.1.2", TOWNS[0], MONTH): value}


def test_separators_of_thousands_are_no_commas(world: World):
    book = world.form()
    book["镇街"]["D9"] = "１，２３４"
    world.send(book)
    assert world.values() == {("1.1.3", TOWNS[0], MONTH): 1234}


def test_what_excel_shows_as_a_percentage_is_one(world: World):
    book = world.form()
    book["镇街"]["C9"], book["镇街"]["C10"] = 0.953, 0.953
    book["镇街"]["C9"].number_format = "0.0%;[Red]-0.0%"
    book["镇街"]["C10"].number_format = '0.000" % "'
    world.send(book)
    assert [world.values()["1.1.2", town, MONTH] for town in TOWNS[:2]] == [95.3, 0.953]


def test_moved_renamed_and_reordered_forms_say_the_same(world: World):
    book = world.form()
    sheet = book["镇街"]
    for n, value in enumerate((81, 82, 83), 9):
        sheet[f"C{n}"] = value
    first = [cell.value for cell in sheet[9]]
    for place, value in enumerate([cell.value for cell in sheet[11]], 1):
        sheet.cell(9, place).value = value
    for place, value in enumerate(first, 1):
        sheet.cell(11, place).value = value
    sheet.insert_cols(1)
    sheet["A3"], sheet["A9"], sheet["A10"], sheet["B12"], sheet["D12"] = "序号", 1, 2, "合计", 246
    sheet["B14"] = "填表人：办公室"
    sheet.title, sheet.sheet_state = "Sheet1", "visible"
    book.move_sheet("表信息", -4)
    sheet.merge_cells("B1:E1")
    assert world.send(book) == Counts(new=3)
    assert [world.values()["1.1.2", town, MONTH] for town in TOWNS] == [81, 82, 83]


def test_units_are_known_by_their_names_alone(world: World):
    book = world.form()
    for n in (9, 10, 11):
        book["镇街"][f"A{n}"] = None
    book["镇街"]["C10"] = 70
    world.send(book)
    assert world.values() == {("1.1.2", TOWNS[1], MONTH): 70}


# --- what is refused

Change = Callable[[Workbook], object]


def put(place: str, value: object, sheet: str = "镇街") -> Change:
    """Change a cell of a form."""

    def change(book: Workbook) -> None:
        book[sheet][place] = value

    return change


def marks(row: int, value: str) -> Change:
    """Change what a form says that it is of."""
    return put(f"B{row}", value, "表信息")


@pytest.mark.parametrize(
    ("change", "where", "wrong"),
    [
        (put("C9", 100.1), "镇街!C9", Wrong.BOUNDS),
        (put("C10", -1), "镇街!C10", Wrong.BOUNDS),
        (put("C9", "较好"), "镇街!C9", Wrong.TEXT),
        (put("C9", "95.3分"), "镇街!C9", Wrong.TEXT),
        (put("C9", "95,3"), "镇街!C9", Wrong.TEXT),
        (put("C9", True), "镇街!C9", Wrong.TEXT),
        (put("C9", "nan"), "镇街!C9", Wrong.TEXT),
        (put("C9", "1e999"), "镇街!C9", Wrong.BOUNDS),
        (put("D9", "95%"), "镇街!D9", Wrong.SHARE),
        (put("C9", datetime(2026, 3, 4)), "镇街!C9", Wrong.DATE),
        (put("C9", "3月4日"), "镇街!C9", Wrong.DATE),
        (put("C9", "#N/A"), "镇街!C9", Wrong.ERROR),
        (put("C9", "=1+1"), "镇街!C9", Wrong.ERROR),  # written by a program that did not calculate it
        (put("A10", TOWNS[0]), "镇街!A10", Wrong.TWO_UNITS),
        (put("A9", "990101009"), "镇街!A9", Wrong.UNKNOWN_UNIT),
        (put("B9", "没有的镇"), "镇街!A9", Wrong.UNKNOWN_UNIT),
        (put("C12", 5), "镇街!A12", Wrong.UNKNOWN_UNIT),
        (put("C3", "9.9.9"), "镇街!C3", Wrong.UNKNOWN_INDICATOR),
        (put("D3", "1.1.2"), "镇街!D3", Wrong.DOUBLED_INDICATOR),
        (put("C3", "1.1.4"), "镇街!C3", Wrong.OTHERS_INDICATOR),
        (put("C3", "1.1.1"), "镇街!C3", Wrong.MEASURED),
        (put("C3", "1.1.5"), "镇街!C3", Wrong.LEVEL),
        (put("F9", 5), "镇街!F9", Wrong.NO_CODE),
        (marks(2, "2026-02"), "", Wrong.OTHER_MONTH),
        (marks(2, "last month"), "", Wrong.NO_FORM),
        (marks(3, POLICE), "", Wrong.OTHERS),
        (marks(5, "0" * 64), "", Wrong.OLD_TREE),
    ],
)  # fmt: skip
def test_each_fault_is_told_by_its_cell(world: World, change: Change, where: str, wrong: Wrong):
    book = world.form()
    put("D11", 7)(book)
    change(book)
    assert (where, wrong) in world.faults(book, month=MONTH)


def test_all_faults_are_told_at_once_and_nothing_is_half_entered(world: World):
    book = world.form()
    sheet = book["镇街"]
    sheet["C9"], sheet["C10"], sheet["D9"], sheet["D10"], book["全市"]["C9"] = 50, 101, "#REF!", "x", 200
    assert world.faults(book) == [
        ("镇街!D9", Wrong.ERROR), ("镇街!C10", Wrong.BOUNDS), ("镇街!D10", Wrong.TEXT),
        ("全市!C9", Wrong.BOUNDS),
    ]  # fmt: skip


@pytest.mark.parametrize("error", ["#DIV/0!", "#REF!", "#N/A", "#VALUE!", "#NAME?"])
def test_errors_of_formulas_are_no_empty_cells(world: World, error: str):
    book = world.form()
    book["镇街"]["D10"] = 7
    content = parts(saved(book))
    sheet = content[SHEET].decode()
    wrong = re.sub(r'(<c r="D10" s="\d+")[^>]*><v>7</v>', rf'\1 t="e"><f>1/0</f><v>{error}</v>', sheet)
    assert wrong != sheet
    assert world.faults(packed(content | {SHEET: wrong.encode()})) == [("镇街!D10", Wrong.ERROR)]


def test_a_town_twice_is_refused_at_the_second(world: World):
    book = world.form()
    sheet = book["镇街"]
    sheet["A11"], sheet["B11"], sheet["C9"], sheet["C11"] = TOWNS[0], "第1镇", 5, 6
    assert world.faults(book) == [("镇街!A11", Wrong.DOUBLED_UNIT)]


def test_a_value_merged_over_several_towns_is_nobodys(world: World):
    book = world.form()
    book["镇街"]["C9"] = 5
    book["镇街"].merge_cells("C9:C11")
    assert world.faults(book) == [("镇街!C9:C11", Wrong.MERGED)]


def test_a_copied_sheet_does_not_count_twice(world: World):
    book = world.form()
    book["镇街"]["C9"] = 5
    book.copy_worksheet(book["镇街"])
    assert world.faults(book) == [("镇街 Copy!C9", Wrong.DOUBLED)]


def test_sheets_without_codes_or_units_are_not_passed_over(world: World):
    book = world.form()
    book["镇街"].delete_rows(3, 6)
    book["镇街"]["C3"] = 5
    assert world.faults(book) == [("镇街", Wrong.NO_HEADER)]
    book = world.form()
    book["镇街"].delete_cols(1, 2)
    book["镇街"]["A9"] = 5
    assert world.faults(book) == [("镇街", Wrong.NO_UNITS)]


def test_an_issued_month_a_coming_one_and_a_newer_tree_are_refused_by_name(world: World):
    book = world.form()
    book["镇街"]["C9"] = 5
    with world.owner.begin() as connection:
        add_tree(connection, TREE.replace("target = 500", "target = 400"), date(2026, 1, 1))
    assert world.faults(book) == [("", Wrong.OLD_TREE)]
    book = world.form()
    book["镇街"]["C9"] = 5
    issue(world, MONTH)
    assert world.faults(book) == [("", Wrong.ISSUED)]
    later = world.form(month=date(2999, 1, 1))
    later["镇街"]["C9"] = 5
    assert world.faults(later) == [("", Wrong.MONTH)]


def test_who_enters_nothing_is_turned_away(world: World):
    book = saved(world.form())
    for actor in (
        Actor("t", Role.TOWN_OFFICER, TOWNS[0]), Actor("a", Role.AUDITOR), Actor("d", Role.DEPARTMENT),
    ):  # fmt: skip
        with pytest.raises(NotAllowedError):
            world.send(book, actor)
    assert world.faults(book, Actor("p", Role.DEPARTMENT, unit=POLICE)) == [("", Wrong.OTHERS)]


# --- files made to harm


def hostile(form: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Give names and bytes of files, and the field by which each is refused."""
    whole, sheet = parts(form), SHEET
    rows = whole[sheet].partition(b"</sheetData>")
    yield "表.xlsm", form, "file type"
    yield "表.xls", form, "file type"
    yield "表.xlsx.gz", form, "file type"
    yield "表.xlsx", packed(whole | {"xl/vbaProject.bin": b"x"}), "macros"
    yield "表.xlsx", packed(whole | {sheet: b"\0" * (64 << 20)}), "size"
    yield "表.xlsx", b"\0" * (3 << 20), "size"
    yield "表.xlsx", b"PK\3\4" + b"\0" * 500, "file type"
    yield "表.xlsx", packed({"a.txt": b"x"}), "file type"
    yield "表.xlsx", form[: len(form) // 2], "file type"
    yield "表.xlsx", packed(whole | {sheet: whole[sheet][:500]}), "spreadsheet"
    for place, row, field in (("XFD1048576", 1048576, "spreadsheet"), ("A9000", 9000, "镇街")):
        far = f'<row r="{row}"><c r="{place}"><v>1</v></c></row>'.encode()
        yield "表.xlsx", packed(whole | {sheet: rows[0] + far + rows[1] + rows[2]}), field
    laughs = b"<!DOCTYPE z [<!ENTITY a0 'ha'>" + b"".join(
        f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>".encode() for n in range(1, 12)
    ) + b"]>"  # fmt: skip
    evil = laughs + whole[sheet].partition(b"?>")[2].replace(b"<v>", b"<v>&a11;", 1)
    yield "表.xlsx", packed(whole | {sheet: evil}), "spreadsheet"


def test_files_made_to_harm_are_refused(world: World):
    for name, data, field in hostile(saved(world.form())):
        with pytest.raises(FileError) as told:
            importer.read(name, data)
        assert told.value.field == field, (name, str(told.value))
    assert world.faults(any_book()) == [("", Wrong.NO_FORM)]


# --- many months at once


def csv(*rows: str, encoding: str = "utf-8-sig") -> bytes:
    return "\r\n".join(("指标,单位,月份,值", *rows, "")).encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "gb18030"])
def test_a_long_table_gives_many_months(world: World, encoding: str):
    data = csv("1.1.2,第1镇,2026年1月,95.3%", "救助按期率,990101002,202602,无", "1.1.3,第1镇,2025-12,",
               f"1.1.5,{CIVIL},2026/3,7.5", encoding=encoding)  # fmt: skip
    assert world.send(data, name="历史.csv") == Counts(new=2, cleared=1)
    assert world.values() == {
        ("1.1.2", TOWNS[0], date(2026, 1, 1)): 95.3, ("1.1.2", TOWNS[1], date(2026, 2, 1)): None,
        ("1.1.5", CIVIL, MONTH): 7.5,
    }  # fmt: skip
    assert world.send(data, name="历史.csv") == Counts(unchanged=3)


def test_a_long_table_is_refused_line_by_line(world: World):
    issue(world, date(2026, 2, 1))
    data = csv(
        "9.9.9,第1镇,2026-01,1", "1.1.4,第1镇,2026-01,1", "1.1.1,第1镇,2026-01,1", "1.1.2,第九镇,2026-01,1",
        "1.1.2,第1镇,2026-13,1", "1.1.2,第1镇,2026-01,101", "1.1.2,第1镇,2026-01,x", "1.1.2,第1镇,2026-03,1",
        "救助按期率,990101001,2026年3月,2", "1.1.2,第1镇,2026-02,5", "1.1.2,第1镇", "1.1.2,第1镇,2999-01,1",
    )  # fmt: skip
    assert world.faults(data, name="历史.csv") == [
        ("第12行", Wrong.FIELDS), ("第2行 指标", Wrong.UNKNOWN_INDICATOR),
        ("第3行 指标", Wrong.OTHERS_INDICATOR), ("第4行 指标", Wrong.MEASURED),
        ("第5行 单位", Wrong.UNKNOWN_UNIT), ("第6行 月份", Wrong.MONTH), ("第7行 值", Wrong.BOUNDS),
        ("第8行 值", Wrong.TEXT), ("第10行", Wrong.DOUBLED), ("第13行 月份", Wrong.MONTH), ("", Wrong.ISSUED),
    ]  # fmt: skip


# --- the service and the database


def cell(code: str = "1.1.2", unit: str = TOWNS[0], value: float | None = 5.0, month: date = MONTH) -> Cell:
    return Cell(code, Level.TOWN, unit, month, value)


@pytest.mark.parametrize("bad", [
    cell("1.1.1"), cell("1.1"), cell("1.1.5"), cell(unit="x"), cell(value=101.0), cell(value=float("nan")),
])  # fmt: skip
def test_the_service_checks_every_cell_itself(world: World, bad: Cell):
    with pytest.raises(InputError), on_index(world.writer, CENTRE) as connection:
        enter(connection, [cell(unit=TOWNS[1]), bad], "centre", None)
    assert world.values() == {}


def test_the_service_refuses_a_value_twice_and_issued_months_by_name(world: World):
    with pytest.raises(InputError), on_index(world.writer, CENTRE) as connection:
        enter(connection, [cell(), cell(value=6.0)], "centre", None)
    issue(world, MONTH)
    with pytest.raises(ConflictError, match="2026-03"), on_index(world.writer, CENTRE) as connection:
        enter(connection, [cell()], "centre", None)


WRITE = (
    "INSERT INTO indicator_value (indicator, unit, month, level, status, value, made_by)"
    " VALUES (:code, '990101001', '2026-03-01', 'town', 'entered', 1, :who)"
)


def test_the_database_keeps_a_department_to_its_own_indicators(world: World):
    def write(code: str, user: str, area: str, unit: str, who: str = "") -> None:
        with acting(world.writer, user, area, unit) as connection:
            connection.execute(text(WRITE), {"code": code, "who": who or user})

    for refused in (
        ("1.1.4", "clerk", "", CIVIL), ("1.1.2", "town", TOWNS[0], ""), ("1.1.2", "", "", ""),
        ("1.1.2", "clerk", "", CIVIL, "somebody else"),
    ):  # fmt: skip
        with pytest.raises(ProgrammingError, match="row-level security"):
            write(*refused)
    write("1.1.2", "clerk", "", CIVIL)
    write("1.1.4", "centre", "", "")
    with acting(world.writer, "clerk", "", CIVIL) as connection:
        assert connection.execute(text("UPDATE indicator_value SET value = 9")).rowcount == 1
    with pytest.raises(DBAPIError), acting(world.writer, "clerk", "", CIVIL) as connection:
        connection.execute(text("DELETE FROM indicator_value"))


def test_progress_counts_what_is_asked_and_names_what_is_open(world: World):
    book = world.form()
    book["镇街"]["C9"], book["镇街"]["C10"], book["全市"]["C9"] = 5, "无", 6
    world.send(book)
    with world.owner.connect() as connection:
        found = {each.department: each for each in entries.progress(connection, MONTH)}
    civil, police = found[CIVIL], found[POLICE]
    assert (civil.wanted, civil.entered, civil.none, civil.open) == (9, 2, 1, 6)
    assert [unit.name for unit in civil.lines[0].open] == ["第3镇"]
    assert (police.entered, police.last) == (0, None)
    assert civil.last is not None
    assert (civil.last.file, civil.last.cells, civil.last.added_by) == ("表.xlsx", 3, "clerk")


# --- properties

KEYS = st.tuples(st.sampled_from(["1.1.2", "1.1.3"]), st.sampled_from(TOWNS))
NUMBERS = st.floats(0, 100).map(lambda value: float(f"{value:.15g}")) | st.integers(0, 100).map(float)


@pytest.fixture(scope="module")
def asked() -> Asked:
    """What is asked for, without a database: as the property needs it many times over."""
    made = Asked.__new__(Asked)
    tree = reading.read(TREE, "t")
    made.version = stored.Version(1, "小指数", MONTH, "a" * 64, datetime(2026, 1, 1), "t", tree)
    made.units = {
        Level.TOWN: [stored.Unit(code, f"第{n}镇") for n, code in enumerate(TOWNS, 1)],
        Level.DEPARTMENT: [stored.Unit(CIVIL, CIVIL), stored.Unit(POLICE, POLICE)],
        Level.CITY: [stored.Unit("990101", "样例县")],
    }
    return made


@settings(max_examples=12)
@given(st.dictionaries(KEYS, st.none() | NUMBERS))
def test_what_is_written_is_read_back_exactly(asked: Asked, values: dict[tuple[str, str], float | None]):
    data = forms.written(forms.Form(MONTH, CIVIL, asked, values))
    found = importer.forms.read(importer.read("表.xlsx", data).sheets, asked, MONTH, CIVIL)
    assert found.faults == []
    assert {(each.indicator, each.unit): each.value for each in found.cells} == values


# --- the sample


def test_the_sample_is_the_same_each_time_and_holds_its_truth(world: World):
    months = [months_before(MONTH, back) for back in range(5, -1, -1)]
    made = sample.seed(world.owner, months)
    values = world.values()
    assert 60 < made.new < 6 * 18
    assert sample.seed(world.owner, months).changed == 0
    assert world.values() == values
    with world.owner.connect() as connection:
        asked = Asked(connection, MONTH)
    truth = sample.truth(asked)
    fallen = values[truth.indicator, truth.falls, MONTH] or 0
    before = values[truth.indicator, truth.falls, months[-2]] or 0
    assert before - fallen > 0.6 * 55
    code = truth.low[0]
    for month in months[-3:]:
        others = [value for (each, unit, at), value in values.items()
                  if each == code and at == month and unit != truth.below and unit in TOWNS]  # fmt: skip
        assert (values[code, truth.below, month] or 0) < 0.5 * min(value or 0 for value in others)
