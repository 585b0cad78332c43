"""Visits, the survey and rounds on a handful of homes: once each, within one's area, noted once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import READER, make_engine
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.visits import rounds, service, stored, surveys
from gridmgmt.households.visits.criteria import Criteria
from gridmgmt.households.visits.models import Outcome, Purpose
from gridmgmt.households.visits.service import Seen
from gridmgmt.incidents import intake

from .roster_world import (
    CHIEF,
    GRID_OTHER,
    GRID_OWN,
    OFFICE,
    OTHER_CHIEF,
    OTHER_OFFICE,
    SIBLING_CHIEF,
    TOWN_OWN,
    World,
    build,
    make_ring,
    roster_engine,
)  # fmt: skip

NOW = datetime.now(UTC)
TODAY = china_today()
FLOOD = Criteria(care=("elderly_alone",), alone_from=80, flags=("low_lying", "dilapidated"))


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    """The world of two towns in this test's own database."""
    return build(engine, make_ring(tmp_path))


@pytest.fixture
def roster(engine: Engine) -> Iterator[Engine]:
    """The database with the rights of the roster's role."""
    opened = roster_engine(engine)
    yield opened
    opened.dispose()


@pytest.fixture
def role(engine: Engine) -> Iterator[Callable[[str], Engine]]:
    """Gives the database with the rights of a role."""
    made: list[Engine] = []

    def open_as(name: str) -> Engine:
        made.append(make_engine(engine.url.render_as_string(hide_password=False), role=name))
        return made[-1]

    yield open_as
    for each in made:
        each.dispose()


def _seen(world: World, where: str = "low 102", **other: object) -> Seen:
    given = Seen(uuid4(), world.dwelling[where], Purpose.VERIFY, Outcome.MET, NOW)
    return replace(given, **other)  # type: ignore[arg-type]


def _lines(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT what FROM audit_log ORDER BY id")).scalars())


def _one(engine: Engine, statement: str, **values: object) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(statement), values).scalar_one()


def _rounds(roster: Engine, actor: Actor) -> list[rounds.RoundLine]:
    with on_roster(roster, actor) as connection:
        return rounds.of_area(connection)


def test_a_visit_verifies_its_dwelling_and_its_note_is_sealed(
    engine: Engine, roster: Engine, world: World
) -> None:
    service.record(roster, world.ring, CHIEF, _seen(world, note="  水管漏水，已劝其报修 "))
    assert (
        _one(engine, "SELECT verified_on FROM dwelling WHERE id = :d", d=world.dwelling["low 102"]) == TODAY
    )
    assert "漏水".encode() not in bytes(_one(engine, "SELECT note FROM visit"))
    with on_roster(roster, CHIEF) as connection:
        (line,) = stored.of_household(connection, world.ring, world.home["alone"])
    assert (line.note, line.household_id, line.outcome_name) == (
        "水管漏水，已劝其报修", world.home["alone"], "见到",
    )  # fmt: skip
    with on_roster(roster, SIBLING_CHIEF) as connection:
        assert stored.of_household(connection, world.ring, world.home["alone"]) == []
    assert _lines(engine) == ["visit.record"]


def test_nobody_met_or_another_purpose_verifies_nothing_and_an_earlier_day_no_later_one(
    engine: Engine, roster: Engine, world: World
) -> None:
    for other in ({"outcome": Outcome.ABSENT}, {"purpose": Purpose.CARE}):
        service.record(roster, world.ring, CHIEF, _seen(world, **other))
    verified = "SELECT verified_on FROM dwelling WHERE id = :d"
    assert _one(engine, verified, d=world.dwelling["low 102"]) is None
    service.record(roster, world.ring, CHIEF, _seen(world))
    service.record(roster, world.ring, CHIEF, _seen(world, visited_at=NOW - timedelta(days=9)))
    assert _one(engine, verified, d=world.dwelling["low 102"]) == TODAY


def test_what_is_sent_twice_is_kept_once_even_at_the_same_moment(
    engine: Engine, roster: Engine, world: World
) -> None:
    seen = _seen(world, note="一次")
    answers: list[int] = []

    def send() -> None:
        answers.append(service.record(roster, world.ring, CHIEF, seen))

    threads = [Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert _lines(engine) == ["visit.record"]
    for actor in (OFFICE, OTHER_CHIEF):
        with pytest.raises(ConflictError):
            service.record(roster, world.ring, actor, replace(seen, dwelling_id=_own_door(world, actor)))
    assert _lines(engine) == ["visit.record"]


def _own_door(world: World, actor: Actor) -> int:
    return world.dwelling["other 201" if actor is OTHER_CHIEF else "low 102"]


def test_a_visit_outside_the_area_or_out_of_time_leaves_nothing(
    engine: Engine, roster: Engine, world: World
) -> None:
    refused = (
        (SIBLING_CHIEF, _seen(world), NotFoundError),
        (OTHER_OFFICE, _seen(world), NotFoundError),
        (CHIEF, _seen(world, household_id=world.home["own"]), NotFoundError),
        (CHIEF, _seen(world, visited_at=NOW - timedelta(days=31)), InputError),
        (CHIEF, _seen(world, visited_at=NOW + timedelta(hours=1)), InputError),
        (CHIEF, _seen(world, note="长" * 1001), InputError),
    )
    for actor, seen, error in refused:
        with pytest.raises(error):
            service.record(roster, world.ring, actor, seen)
    assert _one(engine, "SELECT count(*) FROM visit") == 0
    assert _lines(engine) == []
    fast = _seen(world, visited_at=NOW + timedelta(minutes=5))
    service.record(roster, world.ring, CHIEF, fast, now=NOW)
    assert _one(engine, "SELECT visited_at FROM visit") == NOW, "a clock that is a little fast means now"


def test_the_notebook_holds_the_visits_of_its_days_and_notes_the_reading(
    engine: Engine, roster: Engine, world: World
) -> None:
    service.record(roster, world.ring, CHIEF, _seen(world, note="甲"))
    service.record(roster, world.ring, OFFICE, _seen(world, "high 201", note="乙"))
    service.record(roster, world.ring, CHIEF, _seen(world, note="旧", visited_at=NOW - timedelta(days=20)))
    week = (TODAY - timedelta(days=7), TODAY)
    notes = [line.note for line in service.notebook(roster, world.ring, CHIEF, *week)]
    assert sorted(notes) == ["乙", "甲"]
    assert [line.note for line in service.notebook(roster, world.ring, CHIEF, *week, own=True)] == ["甲"]
    assert service.notebook(roster, world.ring, SIBLING_CHIEF, *week) == []
    assert _lines(engine)[3:] == ["visit.list"] * 3


def test_a_visits_scene_is_told_to_whoever_made_it_and_nobody_else(roster: Engine, world: World) -> None:
    seen = _seen(world, purpose=Purpose.MATTER, visited_at=NOW - timedelta(days=2))
    service.record(roster, world.ring, CHIEF, seen)
    with on_roster(roster, CHIEF) as connection:
        scene = stored.scene(connection, seen.key)
    assert (scene.lon, scene.address, scene.visited_at) == (114.003, "春天路1号", seen.visited_at)
    for actor, key in ((SIBLING_CHIEF, seen.key), (OFFICE, seen.key), (CHIEF, uuid4())):
        with on_roster(roster, actor) as connection, pytest.raises(NotFoundError):
            stored.scene(connection, key)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("住户说 11010519491231002X 没带", True), ("１１０１０５１９４９１２３１００２ｘ", True),
        ("电话13812345678", True), ("138-1234-5678", True), ("+86 138 1234 5678", True),
        ("0635-8123456", True),
        ("老号码370102490101123", True), ("水表读数20261122", False), ("3号楼2单元1201室", False),
        ("2026-11-22 19:30 停水", False), ("路灯编号 1234567", False), ("噪声", False),
    ],
)  # fmt: skip
def test_numbers_of_persons_are_found_in_a_matters_words(words: str, found: bool) -> None:
    assert intake.holds_number(words) is found


def test_a_round_sees_those_whom_its_criteria_fit_and_leaves_the_restricted_out(
    engine: Engine, roster: Engine, world: World
) -> None:
    assert rounds.preview(roster, OFFICE, FLOOD) == {GRID_OWN: 2}, "赵桂英 and 王大山, both in 春天路1号"
    assert rounds.preview(roster, OFFICE, replace(FLOOD, flags=("dilapidated",))) == {}
    assert rounds.preview(roster, OTHER_OFFICE, Criteria(flags=("low_lying",))) == {GRID_OTHER: 1}
    with engine.begin() as connection:
        connection.execute(text("UPDATE person SET restricted_on = now() WHERE name = '赵桂英'"))
    assert rounds.preview(roster, OFFICE, FLOOD) == {GRID_OWN: 1}
    number = rounds.begin(roster, OFFICE, "汛期提醒", "转移到村部", FLOOD, TODAY + timedelta(days=3))
    found = rounds.view(roster, CHIEF, number)
    assert [(stop.name, stop.door, stop.flags) for stop in found.stops] == [("王大山", "101", ("low_lying",))]
    assert found.criteria == FLOOD
    assert found.criteria.words == "独居老人、80 岁及以上独自居住，住低洼、危旧房屋"
    assert _lines(engine) == ["round.view"] * 4 + ["round.begin", "round.view"]
    for actor in (SIBLING_CHIEF, OTHER_OFFICE):
        with pytest.raises(NotFoundError):
            rounds.view(roster, actor, number)


def test_only_an_office_begins_and_only_for_its_own(engine: Engine, roster: Engine, world: World) -> None:
    due = TODAY + timedelta(days=3)
    for actor, criteria, error in (
        (CHIEF, FLOOD, NotAllowedError),
        (OFFICE, Criteria(), InputError),
        (OFFICE, replace(FLOOD, areas=(GRID_OTHER,)), InputError),
        (OFFICE, replace(FLOOD, care=("rich",)), InputError),
        (OFFICE, Criteria(flags=("self_built",), areas=(GRID_OWN,)), InputError),
    ):
        with pytest.raises(error):
            rounds.begin(roster, actor, "提醒", "话", criteria, due)
    with pytest.raises(NotAllowedError):
        surveys.begin_survey(roster, CHIEF, "核对", TODAY, due)
    assert _lines(engine) == []


def test_a_stop_is_closed_once_and_may_be_tried_again(engine: Engine, roster: Engine, world: World) -> None:
    number = rounds.begin(roster, OFFICE, "汛期提醒", "转移", FLOOD, TODAY + timedelta(days=3))
    first, second = rounds.view(roster, CHIEF, number).stops
    with pytest.raises(InputError):
        rounds.report(roster, world.ring, CHIEF, first.id, False, "随便写的")
    with pytest.raises(NotFoundError):
        rounds.report(roster, world.ring, SIBLING_CHIEF, first.id, True)
    rounds.report(roster, world.ring, CHIEF, first.id, False, "无人在家")
    rounds.report(roster, world.ring, CHIEF, first.id, False, "无人在家")
    visit = Seen(
        uuid4(), first.dwelling_id, Purpose.REMINDER, Outcome.MET, NOW, first.household_id, "已搬到亲戚家"
    )
    rounds.report(roster, world.ring, CHIEF, first.id, True, visit=visit)
    rounds.report(roster, world.ring, CHIEF, first.id, True, visit=visit)
    with pytest.raises(ConflictError):
        rounds.report(roster, world.ring, OFFICE, first.id, False, "无人在家")
    absent = Seen(uuid4(), second.dwelling_id, Purpose.REMINDER, Outcome.ABSENT, NOW, stop_id=second.id)
    service.record(roster, world.ring, CHIEF, absent)
    (line,) = _rounds(roster, CHIEF)
    assert (line.stops, line.done, line.not_done, line.open) == (2, 1, 1, 0)
    assert _rounds(roster, SIBLING_CHIEF) == _rounds(roster, OTHER_CHIEF) == []
    assert _lines(engine)[2:] == ["round.report", "round.report", "visit.record"]


def test_the_command_centre_counts_rounds_of_five_stops_and_more_only(
    engine: Engine, roster: Engine, world: World, role: Callable[[str], Engine]
) -> None:
    number = rounds.begin(roster, OFFICE, "汛期提醒", "转移", FLOOD, TODAY + timedelta(days=3))
    reader = role(READER)
    with reader.connect() as connection:
        (few,) = rounds.counts(connection)
        assert (few.area, few.stops, few.done, few.open) == (TOWN_OWN, None, None, None)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO visit_stop (round_id, household_id) SELECT :round, id FROM household"
                " ON CONFLICT DO NOTHING"
            ),
            {"round": number},
        )
    with reader.connect() as connection:
        (line,) = rounds.counts(connection)
        assert (line.stops, line.done, line.open) == (6, 0, 6)
        assert rounds.counts(connection, GRID_OTHER[:9]) == []
        for table in ("visit", "visit_round", "visit_stop", "survey", "person"):
            with pytest.raises(ProgrammingError):
                connection.execute(text(f"SELECT * FROM {table}"))
            connection.rollback()


def test_a_survey_counts_dwellings_verified_since_it_began_and_hides_few(
    engine: Engine, roster: Engine, world: World, role: Callable[[str], Engine]
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE dwelling SET verified_on = :day WHERE id = :d"),
            {"day": TODAY - timedelta(days=60), "d": world.dwelling["high 201"]},
        )
    number = surveys.begin_survey(roster, OFFICE, "秋季核对", TODAY - timedelta(days=5), TODAY)
    for where, ago in (("low 101", 3), ("low 102", 1), ("high 202", 1), ("old 101", 1)):
        seen = _seen(world, where, visited_at=NOW - timedelta(days=ago))
        service.record(roster, world.ring, OFFICE, seen)
    with role(READER).connect() as connection:
        assert [each.name for each in surveys.surveys(connection, GRID_OWN)] == ["秋季核对"]
        assert surveys.surveys(connection, GRID_OTHER) == []
        found = surveys.progress(connection, TOWN_OWN, number)
        assert surveys.running(connection, GRID_OWN, TODAY) is not None
        assert surveys.running(connection, GRID_OWN, TODAY + timedelta(days=1)) is None
    own, sibling = found.grids
    assert (own.dwellings, own.verified, own.share) == (5, 3, 0.6)
    assert (sibling.dwellings, sibling.verified, sibling.share) == (None, None, None), "one dwelling only"
    assert [each.dwellings for each in found.by(12)] == [5], "nor is it part of a sum"
    assert found.days == ((TODAY - timedelta(days=3), 1), (TODAY - timedelta(days=1), 2))
    with on_roster(roster, SIBLING_CHIEF) as connection:
        (mine,) = surveys.progress(connection, SIBLING_CHIEF.area, number).grids
        assert (mine.dwellings, mine.verified) == (1, 1)


def test_what_is_due_is_counted_in_the_own_area(engine: Engine, roster: Engine, world: World) -> None:
    number = rounds.begin(roster, OFFICE, "汛期提醒", "转移", FLOOD, TODAY + timedelta(days=3))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE household_care SET expires = :day WHERE household_id = :h"),
            {"day": TODAY + timedelta(days=10), "h": world.home["alone"]},
        )
    service.record(roster, world.ring, CHIEF, _seen(world))
    with on_roster(roster, CHIEF) as connection:
        due = stored.due(connection, CHIEF.username, TODAY)
    assert [(each.id, each.open, each.stops) for each in due.rounds] == [(number, 2, 2)]
    assert (due.care, due.today) == (1, 1)
    with on_roster(roster, SIBLING_CHIEF) as connection:
        assert stored.due(connection, SIBLING_CHIEF.username, TODAY) == stored.Due((), 0, 0)
