"""Mediation, deliberation, meetings, the talent pool: what is sealed, who may, what the history says."""

from collections.abc import Iterator
from datetime import timedelta

import openpyxl
import pytest
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents.actor import on_matters
from gridmgmt.incidents.handling import service as handling
from gridmgmt.incidents.mediation import (
    deliberations,
    mediators,
    meetings,
    panels,
    service,
    stored,
)
from gridmgmt.incidents.mediation.deliberations import Count, DeliberationTold
from gridmgmt.incidents.mediation.mediators import MediatorTold
from gridmgmt.incidents.mediation.mediators_import import import_mediators
from gridmgmt.incidents.mediation.meetings import MeetingTold
from gridmgmt.incidents.mediation.sealed import Terms
from gridmgmt.incidents.mediation.service import MediationTold
from tests.db import matter_world
from tests.db.matter_world import (
    CENTRE,
    DEPARTMENT,
    FEE,
    GRID_OTHER,
    OFFICE,
    OTHER_OFFICE,
    SECOND_OFFICE,
    TOWN_OWN,
    VILLAGE_OTHER,
    VILLAGE_OWN,
    VILLAGE_SECOND,
    WORKER,
    World,
)

SAID = "王小明说：楼上李大力夜里装修，手机 13812345678"
AGREED = Terms("李大力赔王小明八百元", "十日内付清")


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    found = matter_world.build(engine)
    panels.install(engine)
    yield found
    found.matters.dispose()


@pytest.fixture
def pool(world: World) -> dict[str, int]:
    """Four mediators: two of the village (one for property), one of its town, one of the other village."""
    told = {
        "孙调": MediatorTold("孙调", VILLAGE_OWN),
        "赵物": MediatorTold("赵物", VILLAGE_OWN, "property", ("物业纠纷",)),
        "钱镇": MediatorTold("钱镇", TOWN_OWN, "property"),
    }
    found = {name: mediators.add(world.matters, OFFICE, each) for name, each in told.items()}
    other = MediatorTold("周外", VILLAGE_OTHER, "property")
    return found | {"周外": mediators.add(world.matters, OTHER_OFFICE, other)}


@pytest.fixture
def case(world: World) -> int:
    return world.take_in(category=FEE, words="物业乱收费").case_id


def opened(world: World, case: int, *who: int) -> int:
    told = MediationTold("property", who, "property")
    return service.open_(world.matters, OFFICE, case, world.version(case), told)


def sat(world: World, mediation: int, version: int = 0) -> int:
    now = moment(world)
    return service.sit(world.matters, world.ring, OFFICE, mediation, version, now, "村委会", SAID)


def moment(world: World):
    with world.owner.connect() as connection:
        return connection.execute(text("SELECT now()")).scalar_one()


def lines(world: World, what: str = "mediation%") -> list[tuple]:
    query = "SELECT what, who, area, purpose, detail::text FROM audit_log WHERE what LIKE :what ORDER BY id"
    with world.owner.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query), {"what": what})]


def steps(world: World, case: int, act: str) -> list[str]:
    query = "SELECT detail ->> 'what' FROM incident_step WHERE case_id = :case AND act = :act ORDER BY n"
    with world.owner.connect() as connection:
        return list(connection.execute(text(query), {"case": case, "act": act}).scalars())


# --- mediation


def test_a_mediation_goes_from_opening_to_a_kept_agreement(world, pool, case):
    mediation = opened(world, case, pool["赵物"], pool["钱镇"])
    assert sat(world, mediation) == 1
    due = china_today() + timedelta(days=30)
    assert service.agree(world.matters, world.ring, OFFICE, mediation, 1, AGREED, due) == 2
    assert service.follow_up(world.matters, OFFICE, mediation, 2, kept=True, note="款已付清") == 3

    with on_matters(world.matters, OFFICE) as connection:
        (line,) = stored.of_case(connection, case)
    assert (line.status_name, line.panel, line.mediators, line.kept, line.follow_up_on) == (
        "达成协议", "物业纠纷人民调解委员会", ("赵物", "钱镇"), True, due,
    )  # fmt: skip
    assert steps(world, case, "mediate") == ["open", "session", "agreed", "kept"]


def test_what_was_said_and_agreed_is_sealed_and_read_for_a_purpose_with_one_line(world, pool, case):
    mediation = opened(world, case, pool["赵物"])
    sat(world, mediation)
    service.agree(world.matters, world.ring, OFFICE, mediation, 1, AGREED, china_today())
    with world.owner.connect() as connection:
        kept = connection.execute(
            text("SELECT minutes FROM mediation_session UNION ALL SELECT agreement FROM mediation")
        ).scalars()
        assert not any("王小明".encode() in bytes(each) for each in kept)
    before = len(lines(world))

    found = service.read(world.matters, world.ring, SECOND_OFFICE, mediation, "follow_up")

    assert found.agreed == AGREED
    assert [each.text for each in found.minutes] == [SAID]
    assert "王小明" not in repr(found)
    written = lines(world)
    assert len(written) == before + 1
    assert written[-1][:4] == ("mediation.read", "town_officer_2", VILLAGE_OWN, "follow_up")
    assert [line[0] for line in written[:-1]] == ["mediation.write"] * 3
    assert not any("王小明" in line[4] or "物业" in line[4] for line in written)
    with pytest.raises(InputError, match="purpose"):
        service.read(world.matters, world.ring, OFFICE, mediation, "curious")


def test_only_the_office_mediates_and_reads(world, pool, case):
    mediation = opened(world, case, pool["赵物"])
    sat(world, mediation)
    for actor, error in ((WORKER, NotAllowedError), (CENTRE, NotAllowedError), (OTHER_OFFICE, NotFoundError),
                         (DEPARTMENT, NotFoundError)):  # fmt: skip
        with pytest.raises(error):
            service.read(world.matters, world.ring, actor, mediation, "handle")
        with pytest.raises(error):
            service.fail(world.matters, actor, mediation, 1, "不愿意")
    assert [line[0] for line in lines(world)] == ["mediation.write"] * 2


def test_the_centre_mediates_what_was_raised_to_the_city(world, pool, case):
    handling.raise_(world.matters, OFFICE, case, world.version(case), "需要市里")
    told = MediationTold("people", (pool["赵物"],), None, "town")
    mediation = service.open_(world.matters, CENTRE, case, None, told)
    service.sit(world.matters, world.ring, CENTRE, mediation, 0, moment(world), "市里", SAID)
    assert service.read(world.matters, world.ring, CENTRE, mediation, "handle").minutes[0].text == SAID
    with pytest.raises(NotAllowedError):
        service.fail(world.matters, OFFICE, mediation, 1, "不愿意")


def test_two_at_once_one_wins_and_nothing_is_done_twice(world, pool, case):
    mediation = opened(world, case, pool["赵物"])
    with pytest.raises(ConflictError):
        opened(world, case, pool["孙调"])
    sat(world, mediation)
    with pytest.raises(ConflictError, match="version 1"):
        service.withdraw(world.matters, OFFICE, mediation, 0, "当事人撤回")
    service.withdraw(world.matters, OFFICE, mediation, 1, "当事人撤回")
    with pytest.raises(ConflictError, match="over"):
        service.agree(world.matters, world.ring, OFFICE, mediation, 2, AGREED, china_today())
    with pytest.raises(ConflictError):
        service.follow_up(world.matters, OFFICE, mediation, 2, kept=False)
    assert opened(world, case, pool["孙调"]) > mediation


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("kind", {"kind": "secret"}),
        ("mediators", {"mediators": ()}),
        ("mediators", {"mediators": (999_999,)}),
        ("panel", {"panel": "none"}),
        ("level", {"level": "city"}),
    ],
)
def test_a_mediation_is_not_opened_with_what_is_not_there(world, pool, case, field, told):
    with pytest.raises(InputError) as why:
        service.open_(
            world.matters, OFFICE, case, None, MediationTold(**{"mediators": (pool["赵物"],)} | told)
        )
    assert why.value.field == field
    assert lines(world) == []


def test_a_reason_holds_no_number_of_a_person(world, pool, case):
    mediation = opened(world, case, pool["赵物"])
    with pytest.raises(InputError):
        service.fail(world.matters, OFFICE, mediation, 0, "联系不上 13812345678")
    assert len(lines(world)) == 1


def test_an_agreement_that_is_not_kept_shows_and_lets_the_office_mediate_again(world, pool, case):
    mediation = opened(world, case, pool["赵物"])
    service.agree(world.matters, world.ring, OFFICE, mediation, 0, AGREED, china_today())
    with on_matters(world.matters, OFFICE) as connection:
        assert [line.id for line in stored.office(connection, "due", china_today())] == [mediation]
    service.follow_up(world.matters, OFFICE, mediation, 1, kept=False)
    with on_matters(world.matters, OFFICE) as connection:
        counts = stored.counts(connection, china_today())
        assert (counts["due"], counts["broken"], counts["open"]) == (0, 1, 0)
    opened(world, case, pool["孙调"])
    with on_matters(world.matters, OFFICE) as connection:
        assert stored.counts(connection, china_today())["level:town"] == 1


# --- the talent pool


def test_those_of_the_trade_who_are_free_are_asked_first_and_nobody_of_elsewhere(world, pool, case):
    def order() -> list[tuple[str, int]]:
        with on_matters(world.matters, OFFICE) as connection:
            found = mediators.suggested(connection, VILLAGE_OWN, FEE)
        return [(each.name, each.load) for each in found]

    assert order() == [("赵物", 0), ("钱镇", 0), ("孙调", 0)]
    opened(world, case, pool["赵物"])
    assert order() == [("钱镇", 0), ("赵物", 1), ("孙调", 0)]
    mediators.change(world.matters, OFFICE, pool["钱镇"], "property", (), active=False)
    assert order() == [("赵物", 1), ("孙调", 0)]


def test_a_town_keeps_its_own_mediators_alone(world, pool):
    with pytest.raises(NotFoundError):
        mediators.change(world.matters, OFFICE, pool["周外"], None, (), active=False)
    with pytest.raises(InputError, match="area"):
        mediators.add(world.matters, OFFICE, MediatorTold("吴某", VILLAGE_OTHER))
    with pytest.raises(ConflictError):
        mediators.add(world.matters, OFFICE, MediatorTold("孙调", VILLAGE_OWN))
    with pytest.raises(NotAllowedError):
        mediators.add(world.matters, WORKER, MediatorTold("吴某", VILLAGE_OWN))
    mediators.add(world.matters, CENTRE, MediatorTold("吴市", ""))


def test_the_ten_panels_are_laid_once_and_the_citys_own_words_stay(world):
    with world.owner.begin() as connection:
        connection.execute(text("UPDATE mediation_panel SET name = '物调委' WHERE code = 'property'"))
        connection.execute(text("UPDATE mediation_panel SET active = false WHERE code = 'minors'"))
    panels.install(world.owner)
    with world.owner.connect() as connection:
        found = {panel.code: panel.name for panel in panels.listed(connection)}
    assert len(found) == 9
    assert found["property"] == "物调委"


def test_mediators_come_from_a_spreadsheet_with_merged_cells_and_every_bad_row_has_its_reason(
    world, tmp_path
):
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["调解员名册"], ["姓名", "所属区域", "专业调委会", "擅长", "状态"],
        ["冯一", "第1村", "物业纠纷", "物业、噪声", "在聘"], ["陈二", None, "劳动争议", None, None],
        ["楚三", "无此村", None, None, None], ["魏四", VILLAGE_SECOND, "占卜", None, None],
        ["蒋五", "样例县", None, None, "解聘"], ["冯一", "第1村", None, None, None],
        ["沈六", VILLAGE_SECOND, None, None, "或许"],
    ):  # fmt: skip
        sheet.append(row)
    sheet.merge_cells("B3:B4")
    book.save(tmp_path / "pool.xlsx")
    mapping = load_mapping(None)

    report = import_mediators(world.owner, tmp_path / "pool.xlsx", mapping, rejects=tmp_path / "rejects.csv")

    assert (report.read, report.new, report.rejected) == (7, 3, 4)
    rejected = (tmp_path / "rejects.csv").read_text(encoding="utf-8-sig")
    for words in ("无此村", "占卜", "once in a file", "或许"):
        assert words in rejected
    with world.owner.connect() as connection:
        found = {line.name: line for line in mediators.listed(connection)}
    assert (found["陈二"].area, found["陈二"].panel) == (VILLAGE_OWN, "labour")
    assert found["冯一"].specialities == ("物业", "噪声")
    assert (found["蒋五"].area, found["蒋五"].active) == ("", False)

    (tmp_path / "again.csv").write_bytes("姓名,区域,专长\n冯一,第1村,\n陈二,第1村,工资\n".encode("gb18030"))
    again = import_mediators(world.owner, tmp_path / "again.csv", mapping)
    assert (again.unchanged, again.updated, again.new) == (1, 1, 0)


# --- deliberation


def planned(world: World, case: int, kind: str = "on_site", invited: int = 30) -> int:
    told = DeliberationTold(kind, "是否加装路灯", "村委会", moment(world) - timedelta(hours=1), invited)
    return deliberations.plan(world.matters, OFFICE, case, None, told)


@pytest.mark.parametrize(
    ("kind", "count", "quorate", "carried"),
    [
        ("on_site", Count(20, 11, 5, 4), True, True),
        ("on_site", Count(20, 10, 5, 5), True, False),
        ("on_site", Count(19, 19, 0, 0), False, False),
        ("instant", Count(3, 2, 1, 0), True, True),
        ("instant", Count(0, 0, 0, 0), False, False),
    ],
)
def test_a_vote_of_too_few_gives_no_advice(world, case, kind, count, quorate, carried):
    number = planned(world, case, kind)
    found = deliberations.hold(world.matters, OFFICE, number, count, "建议加装", "大家都说好")
    assert (found.quorate, found.carried) == (quorate, carried)
    with on_matters(world.matters, OFFICE) as connection:
        (line,) = stored.deliberations(connection, case)
    assert line.outcome == found
    assert line.advice == ("建议加装" if quorate else None)
    assert line.minutes == "大家都说好"
    assert steps(world, case, "deliberate") == ["planned", "held" if quorate else "not_quorate"]


def test_votes_must_add_up_and_a_deliberation_is_held_once(world, case):
    number = planned(world, case)
    for field, count in (("votes", Count(20, 20, 1, 0)), ("present", Count(31, 31, 0, 0)),
                         ("votes", Count(20, 21, -1, 0))):  # fmt: skip
        with pytest.raises(InputError) as why:
            deliberations.hold(world.matters, OFFICE, number, count)
        assert why.value.field == field
    with pytest.raises(NotAllowedError):
        deliberations.hold(world.matters, WORKER, number, Count(20, 20, 0, 0))
    deliberations.call_off(world.matters, OFFICE, number, "下大雨")
    with pytest.raises(ConflictError):
        deliberations.hold(world.matters, OFFICE, number, Count(20, 20, 0, 0))
    assert steps(world, case, "deliberate") == ["planned", "called_off"]


# --- meetings


def test_a_meeting_reports_on_matters_of_its_own_area(world, case):
    number = world.take_in().number
    other = world.take_in(OTHER_OFFICE, grid=GRID_OTHER).number
    when = moment(world) - timedelta(hours=2)
    with pytest.raises(InputError, match=other):
        meetings.plan(world.matters, OFFICE, MeetingTold("沟通会", "广场", when, (number, other)))
    meeting = meetings.plan(world.matters, OFFICE, MeetingTold("沟通会", "广场", when, (number,)))
    with pytest.raises(NotFoundError):
        meetings.hold(world.matters, OTHER_OFFICE, meeting, 40, "都说了")
    meetings.hold(world.matters, OFFICE, meeting, 40, "通报一件，群众满意")
    with pytest.raises(ConflictError):
        meetings.call_off(world.matters, OFFICE, meeting)
    with on_matters(world.matters, OFFICE) as connection:
        line, items = stored.meeting(connection, meeting)
    assert (line.status_name, line.attended, [item.number for item in items]) == ("已召开", 40, [number])
    with on_matters(world.matters, OTHER_OFFICE) as connection:
        assert stored.meetings(connection) == []


def test_a_meeting_is_not_held_before_its_day(world):
    later = moment(world) + timedelta(days=3)
    meeting = meetings.plan(world.matters, CENTRE, MeetingTold("全市沟通会", "礼堂", later))
    with pytest.raises(ConflictError):
        meetings.hold(world.matters, CENTRE, meeting, 10, "说了")
