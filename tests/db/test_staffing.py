"""Who works where: one chief a grid on any day, moves without a day twice, rosters as offices keep them."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from sqlalchemy import Engine, select, text

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.grids import lineage, staffing
from gridmgmt.grids.importer import import_workers
from gridmgmt.grids.models import AssignmentRole, Worker
from gridmgmt.grids.store import insert_rows
from gridmgmt.importing.mapping import load_mapping
from tests.db import land

PLAIN = load_mapping(None)
FIRST, SECOND, THIRD = (land.code(cell) for cell in range(3))
YEAR = date(2024, 1, 1)
JUNE, JULY = date(2024, 6, 1), date(2024, 7, 1)
CHIEF, MEMBER = AssignmentRole.CHIEF, AssignmentRole.MEMBER


@pytest.fixture
def city(engine: Engine) -> Engine:
    land.build_land(engine)
    people = [
        {"name": "张三", "employment": "full_time", "education": "大专", "birth_year": 1990},
        {"name": "李四", "employment": "part_time", "education": "初中", "birth_year": 1960},
        {"name": "王五", "employment": "part_time", "education": None, "birth_year": None},
    ]
    with engine.begin() as connection:
        insert_rows(connection, Worker, people)
    return engine


def person(engine: Engine, name: str) -> int:
    with engine.connect() as connection:
        return connection.execute(select(Worker.id).where(Worker.name == name)).scalar_one()


def held(engine: Engine, on: date, area: str = "") -> list[tuple[str, str, str]]:
    with engine.connect() as connection:
        return [(each.code, each.name, each.role) for each in staffing.places(connection, area, on)]


def reshape(engine: Engine, code: str, on: date) -> None:
    """Let a grid have another shape from a day on, under the same code."""
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE grid SET valid_to = :on WHERE code15 = :code"), {"on": on, "code": code}
        )
    land.add_grids(engine, {code: land.square(0)}, on)


def test_a_place_lasts_until_the_day_before_its_end(city: Engine) -> None:
    staffing.assign(city, person(city, "张三"), FIRST, CHIEF, YEAR, JUNE)
    assert held(city, date(2024, 5, 31)) == [(FIRST, "张三", "chief")]
    assert held(city, JUNE) == held(city, date(2023, 12, 31)) == []


def test_a_new_chief_ends_the_old_ones_place_the_day_before(city: Engine) -> None:
    old, new = person(city, "张三"), person(city, "李四")
    staffing.assign(city, old, FIRST, CHIEF, YEAR)
    staffing.assign(city, new, SECOND, CHIEF, YEAR)
    staffing.appoint(city, new, FIRST, JUNE, leaving=SECOND)
    assert held(city, date(2024, 5, 31)) == [(FIRST, "张三", "chief"), (SECOND, "李四", "chief")]
    assert held(city, JUNE) == [(FIRST, "李四", "chief")]
    with pytest.raises(ConflictError, match="李四 已是网格"):
        staffing.appoint(city, new, FIRST, JULY)


def test_a_member_who_becomes_chief_has_one_place(city: Engine) -> None:
    staffing.assign(city, person(city, "张三"), FIRST, MEMBER, YEAR)
    staffing.appoint(city, person(city, "张三"), FIRST, JUNE)
    assert held(city, JUNE) == [(FIRST, "张三", "chief")]


def test_a_move_that_cannot_be_changes_nothing(city: Engine) -> None:
    staffing.assign(city, person(city, "张三"), FIRST, CHIEF, YEAR)
    with pytest.raises(NotFoundError):
        staffing.appoint(city, person(city, "李四"), FIRST, JUNE, leaving=SECOND)
    with pytest.raises(InputError, match="离任日期"):
        staffing.appoint(city, person(city, "李四"), FIRST, YEAR)
    with pytest.raises(ConflictError, match="张三 从 2024-01-01 至今是网格"):
        staffing.assign(city, person(city, "李四"), FIRST, CHIEF, JULY)
    with pytest.raises(ConflictError):
        staffing.assign(city, person(city, "张三"), FIRST, MEMBER, JULY)
    with pytest.raises(InputError, match="启用"):
        staffing.assign(city, person(city, "李四"), FIRST, MEMBER, date(2019, 1, 1))
    with pytest.raises(NotFoundError):
        staffing.assign(city, 10**6, FIRST, MEMBER, JULY)
    assert held(city, JULY) == [(FIRST, "张三", "chief")]


def test_ending_a_place_twice_or_before_it_began_is_refused(city: Engine) -> None:
    staffing.assign(city, person(city, "张三"), FIRST, CHIEF, YEAR)
    with city.connect() as connection:
        (place,) = staffing.places(connection, on=YEAR)
    with pytest.raises(InputError, match="离任日期"):
        staffing.end(city, place.id, YEAR)
    staffing.end(city, place.id, JUNE)
    with pytest.raises(InputError, match="2024-06-01 及以前"):
        staffing.end(city, place.id, JULY)
    assert held(city, JUNE) == []


def test_a_grid_whose_edge_moved_keeps_its_staff(city: Engine) -> None:
    reshape(city, FIRST, JUNE)
    staffing.assign(city, person(city, "张三"), FIRST, CHIEF, YEAR)
    assert held(city, date(2024, 5, 31)) == held(city, JUNE) == [(FIRST, "张三", "chief")]
    with city.connect() as connection:
        assert staffing.chief_counts(connection, JUNE)[FIRST] == 1


def test_grids_without_a_chief_are_listed_since_when(city: Engine) -> None:
    staffing.assign(city, person(city, "张三"), FIRST, CHIEF, YEAR, JUNE)
    staffing.assign(city, person(city, "李四"), SECOND, CHIEF, YEAR)
    with city.connect() as connection:
        vacant = {each.code: each.since for each in staffing.vacancies(connection, on=JULY)}
        north = staffing.vacancies(connection, land.VILLAGES[0], JULY)
        counts = staffing.chief_counts(connection, JULY)
    assert SECOND not in vacant
    assert (vacant[FIRST], vacant[THIRD]) == (JUNE, date(2020, 1, 1))
    assert (len(vacant), len(north)) == (63, 31)
    assert (counts[FIRST], counts[SECOND], len(counts)) == (0, 1, 64)


def test_workers_of_a_grid_share_what_falls_to_it(city: Engine) -> None:
    a, b = person(city, "张三"), person(city, "李四")
    for worker, code, role in ((a, FIRST, CHIEF), (b, FIRST, MEMBER), (a, SECOND, CHIEF)):
        staffing.assign(city, worker, code, role, YEAR)
    with city.connect() as connection:
        ids = {each.code: each.grid_id for each in staffing.places(connection, on=JUNE)}
        amounts = {"households": {ids[FIRST]: 300, ids[SECOND]: 100}, "matters": {ids[FIRST]: 40}}
        loads = {each.name: each for each in staffing.loads(connection, amounts, on=JUNE)}
    assert loads["张三"].grids == (FIRST, SECOND)
    assert loads["张三"].amounts == {"households": 250, "matters": 20}
    assert loads["李四"].amounts == {"households": 150, "matters": 20}


def test_schooling_and_age_are_told_of_five_or_more_only(city: Engine) -> None:
    for name in ("张三", "李四", "王五"):
        staffing.assign(city, person(city, name), FIRST, MEMBER, YEAR)
    with city.connect() as connection:
        assert staffing.staff(connection, on=JUNE) == staffing.Staff(3, 1, 2, None, None)
    more = [
        {"name": f"新{k}", "employment": "full_time", "education": "高中", "birth_year": 1984 + k}
        for k in range(3)
    ]
    with city.begin() as connection:
        insert_rows(connection, Worker, more)
    for k in range(3):
        staffing.assign(city, person(city, f"新{k}"), SECOND, MEMBER, YEAR)
    with city.connect() as connection:
        found = staffing.staff(connection, on=JUNE)
    assert (found.workers, found.full_time, found.part_time) == (6, 4, 2)
    assert (found.schooled_share, found.young_share) == (pytest.approx(1 / 5), pytest.approx(3 / 5))


def test_the_role_of_maps_may_not_ask_for_schooling_and_age(city: Engine) -> None:
    with city.connect() as connection:
        connection.execute(text("SET ROLE gridmgmt_reader"))
        assert len(staffing.vacancies(connection, on=JUNE)) == 64
        with pytest.raises(Exception, match="permission denied"):
            staffing.staff(connection)


def test_shares_of_households_are_written_and_outlive_a_later_import(city: Engine) -> None:
    reshape(city, FIRST, JUNE)
    with city.begin() as connection:
        query = text("SELECT id FROM grid WHERE code15 = :code ORDER BY valid_from")
        old, new = connection.execute(query, {"code": FIRST}).scalars()
        lineage.derive(connection, {FIRST}, {(old, new): 0.75})
        lineage.derive(connection, {FIRST})
        rows = connection.execute(text("SELECT area_share, household_share FROM grid_lineage")).all()
    assert [tuple(row) for row in rows] == [(pytest.approx(1.0), 0.75)]


# --- rosters


def roster(path: Path, *rows: tuple[Any, ...]) -> Path:
    """A workbook as offices keep it: a merged title, a merged note, Chinese headers."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("网格员")
    sheet.merge_range(0, 0, 0, 7, "城关街道网格员花名册")
    sheet.merge_range(1, 0, 1, 7, "填报单位：综治中心")
    sheet.write_row(2, 0, ["姓名", "专兼职", "学历", "出生年", "网格编码", "职务", "任职日期", "离任日期"])
    for number, row in enumerate(rows, 3):
        sheet.write_row(number, 0, row)
    book.close()
    return path


def test_a_workbook_with_titles_and_mixed_cells_is_read(city: Engine, tmp_path: Path) -> None:
    path = roster(
        tmp_path / "roster.xlsx",
        ("赵一", "专职", "本科", "1991", FIRST, "网格长", 45292, ""),  # a day as Excel's number
        ("钱二", "兼职", "", 1975, SECOND, "网格长", "2024年1月1日", "45444"),
        ("孙三", "兼职", "", 1975.0, FIRST, "", "2024/1/1", None),
    )
    report = import_workers(city, path, PLAIN)
    assert (report.new, report.rejected) == (3, 0), report.first_reasons
    assert held(city, YEAR) == [
        (FIRST, "赵一", "chief"),
        (FIRST, "孙三", "member"),
        (SECOND, "钱二", "chief"),
    ]
    assert held(city, JUNE) == [(FIRST, "赵一", "chief"), (FIRST, "孙三", "member")]  # 45444 is 1 June
    again = import_workers(city, path, PLAIN)
    assert (again.new, again.updated, again.unchanged) == (0, 0, 3)


def test_a_second_chief_of_a_day_is_rejected_and_the_day_after_is_not(city: Engine, tmp_path: Path) -> None:
    path = roster(
        tmp_path / "roster.xlsx",
        ("赵一", "专职", "", 1991, FIRST, "网格长", "2024-01-01", "2024-06-01"),
        ("钱二", "专职", "", 1975, FIRST, "网格长", "2024-05-31", ""),
        ("孙三", "专职", "", 1980, FIRST, "网格长", "2024-06-01", ""),
    )
    report = import_workers(city, path, PLAIN)
    assert (report.new, report.rejected) == (2, 1)
    assert "one chief at a time; 赵一 is chief from 2024-01-01 to 2024-06-01" in report.first_reasons[0]
    assert held(city, date(2024, 5, 31)) == [(FIRST, "赵一", "chief")]
    assert held(city, JUNE) == [(FIRST, "孙三", "chief")]


def test_a_place_over_a_redraw_is_a_place_in_each_shape(city: Engine, tmp_path: Path) -> None:
    reshape(city, FIRST, JUNE)
    row = ("赵一", "专职", "", 1991, FIRST, "网格长", "2024-01-01", "")
    path = roster(tmp_path / "roster.xlsx", row)
    assert import_workers(city, path, PLAIN).new == 1
    assert held(city, date(2024, 5, 31)) == held(city, JULY) == [(FIRST, "赵一", "chief")]
    assert import_workers(city, path, PLAIN).unchanged == 1
    without_days = roster(tmp_path / "again.xlsx", (*row[:6], "", ""))
    assert import_workers(city, without_days, PLAIN).unchanged == 1
    other = roster(tmp_path / "other.xlsx", ("钱二", "专职", "", 1975, FIRST, "网格长", "2024-02-01", ""))
    assert import_workers(city, other, PLAIN).rejected == 1
