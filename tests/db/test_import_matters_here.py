"""Open matters of a file become cases here, a later file closes them, and history names nobody."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.engine import READER, make_engine
from gridmgmt.errors import InputError
from gridmgmt.importing.mapping import HERE, Mapping, load_mapping
from gridmgmt.importing.report import Report
from gridmgmt.incidents.handling import hands, service
from gridmgmt.incidents.importer import import_incidents
from gridmgmt.incidents.parties import service as parties

from . import matter_world as world
from .matter_world import CENTRE, DEPARTMENT, OFFICE, URBAN, World

PLAIN = Mapping(crs="cgcs2000", name="hotline")
OURS = Mapping(crs="cgcs2000", name="hotline", handling=HERE)
HEADER = "工单编号,诉求时间,小类,经度,纬度,状态,办结时间,办理期限,满意度,联系人,联系电话"
OPEN = "a,2026-03-02 09:00,噪声扰民,114.005,32.995,办理中,,,,王小明,138 1234 5678"
CLOSED = "a,2026-03-02 09:00,噪声扰民,114.005,32.995,已办结,2026-03-04 10:00,,满意,王小明,138 1234 5678"


@pytest.fixture
def small(engine: Engine) -> Iterator[World]:
    made = world.build(engine)
    yield made
    made.matters.dispose()


@pytest.fixture
def load(small: World, tmp_path: Path) -> Callable[..., Report]:
    """Import rows given as CSV lines under the hotline's header."""

    def run(*lines: str, mapping: Mapping = OURS, header: str = HEADER, **options: object) -> Report:
        path = tmp_path / "matters.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return import_incidents(small.owner, path, mapping, ring=small.ring, **options)  # type: ignore[arg-type]

    return run


def rows(small: World, query: str) -> list[tuple]:
    with small.owner.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def counts(report: Report) -> dict[str, int]:
    return {name: count for name, count in report.counts().items() if count}


def case_of(small: World, number: str = "a") -> tuple[int, int]:
    query = "SELECT c.id, c.version FROM incident_case c JOIN incident USING (id) WHERE external_id = '{}'"
    return rows(small, query.format(number))[0]  # type: ignore[return-value]


STEPS = "SELECT n, act, from_stage, to_stage, who, unit FROM incident_step ORDER BY case_id, n"


# --- times


def test_times_of_closing_and_limit_are_kept_and_an_open_matter_has_not_been_closed(load, small):
    load(
        "a,2026-03-02 09:00,噪声扰民,114.005,32.995,已办结,2026-03-04 10:00,2026-03-05 17:30,,,",
        "b,2026-03-02 09:00,噪声扰民,114.005,32.995,办理中,2026-03-04 10:00,2099-01-01,,,",
        mapping=PLAIN,
    )
    moment = "AT TIME ZONE 'Asia/Shanghai'"
    query = f"SELECT closed_at {moment}, due_at {moment} FROM incident ORDER BY external_id"
    assert rows(small, query) == [
        (datetime(2026, 3, 4, 10), datetime(2026, 3, 5, 17, 30)),
        (None, datetime(2099, 1, 1)),
    ]


def test_without_a_word_for_its_state_a_matter_is_open_where_others_say_when_they_were_closed(load, small):
    header = "编号,诉求时间,小类,办结时间"
    load("a,2026-03-02,噪声扰民,2026-03-04", "b,2026-03-02,噪声扰民,", header=header, mapping=PLAIN)
    assert rows(small, "SELECT status FROM incident ORDER BY external_id") == [("closed",), ("open",)]


def test_a_matter_closed_before_it_arose_is_refused(load):
    report = load("a,2026-03-02,噪声扰民,,,已办结,2026-03-01,,,,", mapping=PLAIN)
    assert (counts(report), report.first_reasons) == (
        {"read": 1, "rejected": 1},
        ["row 2: closed_at: found '2026-03-01', allowed: a time not before the matter arose"],
    )


def test_columns_that_say_nothing_leave_an_unchanged_file_unchanged(load):
    plain = "a,2026-03-02 09:00,噪声扰民,114.005,32.995,已办结"
    load(plain, header="工单编号,诉求时间,小类,经度,纬度,状态", mapping=PLAIN)
    assert counts(load(f"{plain},,,,王小明,", mapping=PLAIN)) == {"read": 1, "unchanged": 1}
    assert counts(load(f"{plain},2026-03-04,,,,", mapping=PLAIN)) == {"read": 1, "updated": 1}


# --- who told them


def test_history_names_the_columns_of_people_and_keeps_nothing_of_them(load, small, tmp_path):
    bad = "b,2026-03-02,没有这一类,,,,,,,李四,13912345678"
    report = load(OPEN, bad, mapping=PLAIN, rejects=tmp_path / "rejects.csv")
    assert report.warnings == [
        "columns not taken, because history names nobody: 联系人, 联系电话; with [source] "
        'handling = "here" they are kept, sealed, for open matters'
    ]
    rejected = (tmp_path / "rejects.csv").read_text("utf-8-sig")
    assert "没有这一类" in rejected
    assert "李四" not in rejected
    assert "139" not in rejected
    tables = ("incident_case", "incident_party")
    assert [rows(small, f"SELECT count(*) FROM {name}") for name in tables] == [[(0,)], [(0,)]]


def test_labels_of_people_are_named_and_dropped_here_too(load):
    header = HEADER + ",是否上访户,民族,维稳等级"
    report = load(OPEN + ",是,汉,一级", header=header)
    assert "是否上访户, 民族, 维稳等级" in report.warnings[0]


def test_whoever_told_an_open_matter_is_sealed_with_one_line_in_the_log_and_can_be_called(load, small):
    other = OPEN.replace("a,", "b,").replace("王小明", "没有名字8").replace("138 1234 5678", "不详")
    closed = CLOSED.replace("a,", "c,")
    report = load(OPEN, other, closed)
    assert "2 names or telephones of open matters" in report.warnings[0]
    assert "王小明" not in str(report.as_json())
    found = rows(small, "SELECT p.id, external_id FROM incident_party p JOIN incident i ON i.id = case_id")
    assert [number for _, number in found] == ["a"]
    lines = rows(small, "SELECT detail FROM audit_log WHERE what = 'party.add'")
    assert lines == [({"import": "hotline", "parties": 1},)]
    revealed = parties.reveal(small.matters, small.ring, OFFICE, found[0][0], "call")
    assert (revealed.name, revealed.phone) == ("王小明", "13812345678")


def test_who_told_a_matter_is_no_part_of_what_readers_see_of_it(load, small):
    """From a sum over everything else and a telephone, the telephone could be found by trying."""
    load(OPEN)
    before = rows(small, "SELECT digest FROM incident")
    assert counts(load(OPEN.replace("5678", "9999"))) == {"read": 1, "unchanged": 1}
    assert rows(small, "SELECT digest FROM incident") == before
    reader = make_engine(small.owner.url.render_as_string(hide_password=False), role=READER)
    with reader.connect() as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute(text("SELECT digest FROM incident"))
    reader.dispose()


# --- cases


def test_an_open_matter_becomes_a_case_with_number_first_step_and_limits(load, small):
    assert counts(load(OPEN, CLOSED.replace("a,", "b,"))) == {"read": 2, "new": 2, "cases_begun": 1}
    (case,) = rows(
        small,
        """
        SELECT c.number, c.stage, c.level, c.open, c.version, c.village, i.stage, i.level, i.due_at,
            c.next_due_at, c.opened_at
        FROM incident_case c JOIN incident i USING (id)
        """,
    )
    today = datetime.now(CHINA)
    assert case[0].startswith(f"{today:%Y%m%d}")
    assert len(case[0]) == 13
    assert case[1:8] == ("classify", "town", True, 1, world.VILLAGE_OWN, "classify", "town")
    # Noise has three working days of its own, from Monday 2 March: Thursday 5 March, long over.
    assert case[8] == case[9] == datetime(2026, 3, 5, 17, 30, tzinfo=CHINA)
    assert rows(small, STEPS) == [(1, "take_in", None, "classify", "import", None)]


def test_the_files_own_limit_and_level_go_before_ours_and_the_first_step_ends_first(load, small):
    later = (datetime.now(CHINA) + timedelta(days=90)).replace(microsecond=0)
    header = HEADER + ",层级"
    load(f"a,2026-03-02,灌溉用水,114.005,32.995,办理中,,{later:%Y-%m-%d %H:%M:%S},,,,村级", header=header)
    query = "SELECT i.due_at, c.next_due_at, c.level FROM incident_case c JOIN incident i USING (id)"
    due_at, next_due_at, level = rows(small, query)[0]
    assert (due_at, level) == (later, "village")
    assert next_due_at < datetime.now(CHINA) + timedelta(days=20)


def test_an_office_goes_on_with_an_imported_case_as_with_its_own(load, small):
    load(OPEN)
    number, version = case_of(small)
    service.move(small.matters, OFFICE, number, version, "review")
    assert [step[1] for step in rows(small, STEPS)] == ["take_in", "move"]


def test_a_matter_that_was_history_becomes_a_case_when_its_file_is_to_be_handled_here(load, small):
    load(OPEN, mapping=PLAIN)
    assert counts(load(OPEN)) == {"read": 1, "unchanged": 1, "cases_begun": 1}
    assert counts(load(OPEN)) == {"read": 1, "unchanged": 1}


def test_a_later_file_closes_the_case_by_a_step_and_once_only(load, small):
    load(OPEN)
    report = load(CLOSED)
    assert counts(report) == {"read": 1, "updated": 1, "cases_closed": 1}
    assert rows(small, STEPS)[1:] == [(2, "move", "classify", "archive", "import", None)]
    assert rows(
        small,
        """
        SELECT i.status, i.stage, i.closed_at, i.satisfaction, c.open, c.settled_level, c.next_due_at
        FROM incident i JOIN incident_case c USING (id)
        """,
    ) == [("closed", "archive", datetime(2026, 3, 4, 10, tzinfo=CHINA), 4, False, "town", None)]
    number, version = case_of(small)
    service.reopen(small.matters, OFFICE, number, version, "居民又反映")
    # The same file says nothing new, so what was reopened here stays open.
    assert counts(load(CLOSED)) == {"read": 1, "unchanged": 1}
    assert rows(small, "SELECT open FROM incident_case") == [(True,)]


def test_closing_there_takes_the_matter_out_of_every_hand_and_closes_what_goes_along(load, small):
    load(OPEN, OPEN.replace("a,", "b,"))
    number, version = case_of(small)
    along, of_along = case_of(small, "b")
    hands.hand(small.matters, OFFICE, number, version, [URBAN, world.WATER_BUREAU])
    service.link(small.matters, OFFICE, along, of_along, number)
    load(CLOSED)
    assert rows(small, "SELECT status FROM incident_hand") == [("withdrawn",), ("withdrawn",)]
    steps = rows(small, f"SELECT n, act, unit FROM incident_step WHERE case_id = {number} ORDER BY n")
    assert steps[-3:] == [(4, "withdraw", URBAN), (5, "withdraw", world.WATER_BUREAU), (6, "move", None)]
    (last,) = rows(small, f"SELECT act, detail FROM incident_step WHERE case_id = {along} AND n = 3")
    assert last == (
        "link",
        {"with": rows(small, f"SELECT number FROM incident_case WHERE id = {number}")[0][0]},
    )
    assert rows(small, "SELECT DISTINCT status FROM incident") == [("closed",)]


def test_what_was_corrected_here_is_not_undone_by_a_later_file(load, small):
    load(OPEN)
    number, version = case_of(small)
    service.correct(small.matters, OFFICE, number, version, category=world.RUBBISH, address="夜市东口")
    report = load(OPEN.replace("办理中,,", "办理中,,2026-04-01"))
    assert counts(report) == {"read": 1, "updated": 1}
    assert rows(small, "SELECT category, address, status FROM incident") == [
        (world.RUBBISH, "夜市东口", "open")
    ]
    assert len(rows(small, STEPS)) == 2


def test_trying_a_file_begins_no_case(load, small):
    report = load(OPEN, dry_run=True)
    assert counts(report) == {"read": 1, "new": 1, "cases_begun": 1}
    assert rows(small, "SELECT count(*) FROM incident_case") == [(0,)]


def test_how_open_matters_are_handled_is_one_of_two_words(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text('[source]\nhandling = "here"\n')
    assert load_mapping(path).handling == HERE
    path.write_text('[source]\nhandling = "there"\n')
    with pytest.raises(InputError, match=r"source\.handling.*history or here"):
        load_mapping(path)


def test_a_department_sees_an_imported_case_once_it_has_it_in_hand(load, small):
    load(OPEN)
    number, version = case_of(small)
    hands.hand(small.matters, OFFICE, number, version, [URBAN])
    line = rows(small, "SELECT id FROM incident_hand")[0][0]
    hands.accept(small.matters, DEPARTMENT, line)
    assert service.note(small.matters, CENTRE, number, None, "请抓紧") == 4
