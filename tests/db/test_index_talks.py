"""Talks and supervision: whom the rules name, what rests on what, and who may do which act when."""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from gridmgmt.calendar import china_today
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotEnoughDataError, NotFoundError
from gridmgmt.index.actor import Actor, on_index
from gridmgmt.index.models import TalkKind, TalkStatus
from gridmgmt.index.periods import Period, Span, months_before
from gridmgmt.index.talks import rules, service, stored
from gridmgmt.index.talks.service import Found
from gridmgmt.index.talks.stored import State, Talk

from . import talk_world as world
from .talk_world import BUREAU, CENTRE, DEPARTMENT, OCTOBER, OFFICE, OTHER_OFFICE, OWN, TOWNS, rule

SEPTEMBER, AUGUST = months_before(OCTOBER, 1), months_before(OCTOBER, 2)
BELOW = rule("below = 60")
ANSWER = "原因：人手不足，夜间没有值班。措施：每晚两人值班，月底前办完积压。"

# --- whom the rules name, on boards made by hand


def named(tree_rules: list[str], columns: dict[str, list[float]], period: Period | None = None) -> set[str]:
    """Return the last digits of the towns that rules name after the last month, or another period."""
    tree = world.tree(*tree_rules)
    towns = {f"{world.COUNTY}{int(name):03d}": scores for name, scores in columns.items()}
    period = period or Period(OCTOBER)
    found = rules.find(world.boards(tree, towns, period.last), period)
    return {f"{each.kind.value[0]}{each.unit[-1]}" for each in found}


def test_a_score_below_the_line_is_named_and_one_on_it_is_not():
    assert named([BELOW], {"1": [59.9999], "2": [60.0], "3": [80.0]}) == {"t1"}


def test_a_fall_counts_from_the_month_before_and_needs_one():
    fallen = [rule("fallen = 8")]
    assert named(fallen, {"1": [80.0, 72.0], "2": [80.0, 72.1], "3": [60.0, 70.0]}) == {"t1"}
    assert named(fallen, {"1": [40.0], "2": [90.0]}) == set()


def test_the_last_places_count_where_they_do_not_hang_on_the_weights():
    last = [rule("last = 2")]
    assert named(last, {"1": [90.0], "2": [80.0], "3": [70.0], "4": [60.0]}) == {"t3", "t4"}
    tree = world.tree(rule("last = 1"))
    # Either of the two is last by one half of all weights.
    mirrored = {TOWNS[0]: (10.0, 60.0), TOWNS[1]: (60.0, 10.0), TOWNS[2]: (90.0, 90.0)}
    assert rules.find([world.board(tree, OCTOBER, mirrored)], Period(OCTOBER)) == []
    # Who is alone with others that have no score is last of nobody.
    alone = {TOWNS[0]: (10.0, 10.0), TOWNS[1]: (None, None)}
    assert rules.find([world.board(tree, OCTOBER, alone)], Period(OCTOBER)) == []


def test_months_in_a_row_have_no_gap():
    three = [rule("below = 60, running = 3", kind="supervision")]
    assert named(three, {"1": [50.0, 50.0, 50.0], "2": [50.0, 61.0, 50.0]}) == {"s1"}
    assert named(three, {"1": [50.0, 50.0], "2": [90.0, 90.0]}) == set()
    tree = world.tree(*three)
    kept = [each for each in world.boards(tree, {OWN: [50.0] * 4}) if each.month != SEPTEMBER]
    assert rules.find(kept, Period(OCTOBER)) == []


def test_all_conditions_of_a_rule_hold_together_and_rules_of_a_kind_are_one_talk():
    both = [rule("below = 60, fallen = 8")]
    assert named(both, {"1": [70.0, 59.0], "2": [60.0, 59.0], "3": [90.0, 80.0]}) == {"t1"}
    tree = world.tree(BELOW, rule("fallen = 8", days=9))
    [talk] = rules.find(world.boards(tree, {OWN: [70.0, 59.0]}), Period(OCTOBER))
    assert talk.reason == "talk month below60；talk month fallen8"
    assert talk.days == 9
    assert [each["says"] for each in talk.evidence["rules"]] == talk.reason.split("；")


@pytest.mark.parametrize(("span", "months"), [(Span.QUARTER, 3), (Span.HALF, 6), (Span.YEAR, 12)])
def test_a_longer_period_goes_by_the_mean_of_its_months_and_needs_them_all(span, months):
    period = Period(date(2026, 12, 1), span)
    scores = {"1": [40.0] + [61.0] * (months - 1), "2": [59.0] * (months - 1) + [99.0]}
    long = [rule("below = 60", span=span.value), BELOW]
    assert named(long, scores, period) == {"t1"}
    assert named(long, {"1": [40.0] * (months - 1)}, period) == set()


def test_a_fall_that_comes_every_october_is_no_fall():
    rng = np.random.default_rng(1)
    dip = [-10.0 if month % 12 == 0 else 0.0 for month in range(37)]  # from October to October
    usual = {str(n): list(80 + np.array(dip) + rng.normal(0, 0.3, 37)) for n in range(1, 5)}
    fallen = [*usual["4"][:-1], usual["4"][-1] - 12]
    assert named([rule("fallen = 8")], usual | {"4": fallen}) == {"t4"}


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.integers(0, 100)] * 4), min_size=2, max_size=6))
def test_the_evidence_adds_up(pairs):
    tree = world.tree(rule("below = 99.5"))
    months = [
        world.board(tree, month, {f"{world.COUNTY}{n:03d}": pair[k : k + 2] for n, pair in enumerate(pairs)})
        for month, k in ((SEPTEMBER, 0), (OCTOBER, 2))
    ]
    for each in rules.find(months, Period(OCTOBER)):
        shown = each.evidence
        values = pairs[int(each.unit[-3:])]
        assert shown["score"] == pytest.approx(np.mean(values[2:]))
        assert shown["score"] < 99.5
        assert shown["change"] == pytest.approx(np.mean(values[2:]) - np.mean(values[:2]))
        assert shown["score"] + sum(part["lost"] for part in shown["lost"]) == pytest.approx(100, abs=0.02)
        assert sum(part["moved"] for part in shown["moved"]) == pytest.approx(shown["change"], abs=0.02)
        assert shown["low"] <= shown["place"] <= shown["high"] <= shown["of"] == len(pairs)
        assert shown["lost"] == sorted(shown["lost"], key=lambda part: -part["lost"])


# --- proposing on a database


@pytest.fixture
def writer(engine: Engine) -> Iterator[Engine]:
    writer = world.build(engine, BELOW, rule("below = 60, running = 3", kind="supervision", days=60))
    yield writer
    writer.dispose()


GOOD = dict.fromkeys(TOWNS, 80.0)


def all_talks(writer: Engine, actor: Actor = CENTRE) -> list[Talk]:
    with on_index(writer, actor) as connection:
        states = (State.TO_DECIDE, State.UNDER_WAY, State.ENDED)
        return [talk for state in states for talk in stored.talks(connection, state)]


def acts(writer: Engine, number: int) -> list[str]:
    with on_index(writer, CENTRE) as connection:
        return [step.act for step in stored.steps(connection, number)]


def test_proposing_twice_proposes_once_and_follows_the_figures(engine, writer):
    october = Period(OCTOBER)
    world.put(engine, OCTOBER, GOOD | {OWN: 50.0, BUREAU: 40.0, world.OTHER_BUREAU: 70.0})
    assert service.propose(writer, CENTRE, october) == Found(2, 0, 0)
    assert service.propose(writer, CENTRE, october) == Found(0, 0, 0)
    found = {talk.unit: talk for talk in all_talks(writer)}
    assert {unit: talk.version for unit, talk in found.items()} == {OWN: 0, BUREAU: 0}
    assert found[OWN].evidence["score"] == 50
    world.put(engine, OCTOBER, {OWN: 55.0, BUREAU: 65.0})
    assert service.propose(writer, CENTRE, october) == Found(0, 1, 1)
    found = {talk.unit: talk for talk in all_talks(writer)}
    assert found[OWN].evidence["score"] == 55
    assert found[BUREAU].status is TalkStatus.DROPPED
    world.put(engine, OCTOBER, {BUREAU: 45.0})
    assert service.propose(writer, CENTRE, october) == Found(0, 1, 0)
    assert acts(writer, found[BUREAU].id) == ["proposed", "withdrawn", "proposed"]
    assert acts(writer, found[OWN].id) == ["proposed", "updated"]


def test_what_the_centre_decided_is_left_alone(engine, writer):
    world.put(engine, OCTOBER, GOOD | {OWN: 50.0, world.OTHER: 50.0})
    service.propose(writer, CENTRE, Period(OCTOBER))
    dropped, called = sorted(all_talks(writer), key=lambda talk: talk.unit)
    service.drop(writer, CENTRE, dropped.id, 0, "当月有洪水")
    service.call(writer, CENTRE, called.id, 0, china_today())
    for score in (45.0, 90.0, 50.0):
        world.put(engine, OCTOBER, {OWN: score, world.OTHER: score})
        assert service.propose(writer, CENTRE, Period(OCTOBER)) == Found(0, 0, 0)
    assert {talk.evidence["score"] for talk in all_talks(writer)} == {50}


def test_a_supervision_takes_the_place_of_a_talk_unless_it_was_dropped(engine, writer):
    for month in (AUGUST, SEPTEMBER, OCTOBER):
        world.put(engine, month, GOOD | {OWN: 50.0})
        service.propose(writer, CENTRE, Period(month))
    talk, earlier, earliest = sorted(all_talks(writer), key=lambda each: each.period, reverse=True)
    assert (talk.kind, talk.period) == (TalkKind.SUPERVISION, Period(OCTOBER))
    assert {earlier.kind, earliest.kind} == {TalkKind.TALK}
    service.call(writer, CENTRE, earlier.id, 0, china_today())
    service.propose(writer, CENTRE, Period(OCTOBER))
    with on_index(writer, CENTRE) as connection:
        shown = stored.talk(connection, talk.id).evidence
    assert [each["id"] for each in shown["earlier"]] == [earlier.id]
    service.drop(writer, CENTRE, talk.id, 1, "先约谈")
    assert service.propose(writer, CENTRE, Period(OCTOBER)) == Found(1, 0, 0)


def test_a_period_with_a_month_that_was_not_built_is_refused(engine, writer):
    world.put(engine, OCTOBER, GOOD)
    with pytest.raises(NotEnoughDataError, match="2026-11"):
        service.propose(writer, CENTRE, Period(date(2026, 12, 1), Span.QUARTER))
    with on_index(writer, CENTRE) as connection:
        assert stored.periods(connection) == [Period(OCTOBER)]
    with pytest.raises(NotAllowedError):
        service.propose(writer, OFFICE, Period(OCTOBER))


# --- acts: a random walk beside a model of what was asked for


def talk_of(engine: Engine, unit: str = OWN, month: date = OCTOBER, status: str = "proposed") -> int:
    """Write a talk as it stands; open ones are due today."""
    with engine.begin() as connection:
        return int(
            connection.execute(
                text(
                    "INSERT INTO index_talk"
                    " (kind, level, unit, span, month, reason, evidence, status, due_on, made_by)"
                    " VALUES ('talk', :level, :unit, 'month', :month, 'x', '{}', :status, :due, 'command')"
                    " RETURNING id"
                ),
                {
                    "level": "town" if unit in TOWNS else "department", "unit": unit, "month": month,
                    "status": status, "due": None if status in ("proposed", "dropped") else china_today(),
                },
            ).scalar_one()
        )  # fmt: skip


@dataclass
class Model:
    unit: str
    status: str = "proposed"
    version: int = 0
    due: date | None = None


# act -> from which states, to which, whose it is, fewest and most characters
ACTS: dict[str, tuple[set[str], str | None, str, int, int]] = {
    "call": ({"proposed"}, "called", "centre", 0, 500),
    "drop": ({"proposed"}, "dropped", "centre", 2, 500),
    "answer": ({"called", "returned"}, "answered", "unit", 20, 2000),
    "give_back": ({"answered"}, "returned", "centre", 2, 500),
    "follow_up": ({"called", "answered", "returned"}, None, "centre", 2, 1000),
    "extend": ({"called", "answered", "returned"}, None, "centre", 2, 500),
    "lift": ({"answered"}, "lifted", "centre", 2, 500),
}
PEOPLE = (CENTRE, CENTRE, world.SECOND_CENTRE, OFFICE, OTHER_OFFICE, DEPARTMENT, world.WORKER)
PEOPLE += (Actor("planner", Role.PLANNER), Actor("auditor", Role.AUDITOR))


def refusals(model: Model, actor: Actor, act: str, version: int, words: str, due: date | None) -> set[type]:
    """Return the errors that may refuse an act; none where it is taken."""
    at, _, whose, fewest, most = ACTS[act]
    own = actor.role in (Role.TOWN_OFFICER, Role.DEPARTMENT) and actor.own == model.unit
    found: set[type] = set()
    if (whose == "centre") != (actor.role is Role.COMMAND) or (
        whose == "unit" and actor.role not in service.UNITS
    ):
        found.add(NotAllowedError)
    elif whose == "unit" and (not own or model.status in ("proposed", "dropped")):
        found.add(NotFoundError)
    if not fewest <= len(words) <= most or "138" in words:
        found.add(InputError)
    if version != model.version or model.status not in at:
        found.add(ConflictError)
    first = max(china_today(), model.due + timedelta(1)) if model.due else china_today()
    if due is not None and not first <= due <= china_today() + timedelta(366):
        found.add(InputError)
    return found


def test_whatever_people_try_a_talk_goes_its_way(engine, writer):
    rng, taken = random.Random(9), 0
    models = {
        talk_of(engine, unit, months_before(OCTOBER, n)): Model(unit)
        for n in range(30) for unit in (OWN, BUREAU)
    }  # fmt: skip
    for _ in range(1500):
        number, model = rng.choice(list(models.items()))
        # Half of all tries are sound, or hardly anything would get through.
        fitting = [act for act, each in ACTS.items() if model.status in each[0]] or list(ACTS)
        act = rng.choice(fitting if rng.random() < 0.7 else list(ACTS))
        actor = rng.choice(PEOPLE)
        if rng.random() < 0.6:
            actor = CENTRE if ACTS[act][2] == "centre" else {OWN: OFFICE, BUREAU: DEPARTMENT}[model.unit]
        version = model.version - (rng.random() < 0.1)
        words = rng.choice([ANSWER] * 6 + ["好", "", "字" * 2001, f"{ANSWER}找13812345678"])
        due = None
        if act in ("call", "extend"):
            due = china_today() + timedelta(rng.choice([0, 5, 9, 30, 60, 366, 367, -1]))
        refused = refusals(model, actor, act, version, words, due)
        given_ = (writer, actor, number, version, *([due] if due else []), words)
        if refused:
            with pytest.raises(tuple(refused)):
                getattr(service, act)(*given_)
        else:
            getattr(service, act)(*given_)
            model.status, model.version, taken = ACTS[act][1] or model.status, model.version + 1, taken + 1
            model.due = due or model.due
        with on_index(writer, CENTRE) as connection:
            talk = stored.talk(connection, number)
            assert (talk.status, talk.version, talk.due_on) == (model.status, model.version, model.due)
            assert len(stored.steps(connection, number)) == model.version
    assert taken > 150
    assert {"lifted", "dropped"} <= {model.status for model in models.values()}


def test_what_is_allowed_now_is_said(engine, writer):
    number = talk_of(engine)
    with pytest.raises(ConflictError, match="is proposed; allowed now: called, dropped"):
        service.lift(writer, CENTRE, number, 0, "已经整改")
    with pytest.raises(ConflictError, match="it is proposed now"):
        service.call(writer, CENTRE, number, 1, china_today())


def test_overdue_is_what_is_open_after_its_day(engine, writer, monkeypatch):
    talk_of(engine, status="lifted")
    late = talk_of(engine, month=SEPTEMBER, status="answered")
    talk_of(engine, month=AUGUST)

    def overdue() -> list[int]:
        with on_index(writer, CENTRE) as connection:
            assert stored.counts(connection)[State.UNDER_WAY] == 1
            return [talk.id for talk in stored.talks(connection, State.OVERDUE)]

    assert overdue() == []
    tomorrow = china_today() + timedelta(1)
    monkeypatch.setattr(stored, "china_today", lambda: tomorrow)
    assert overdue() == [late]


# --- the database itself


def sql(writer: Engine, actor: Actor, words: str, **values: Any) -> int:
    with on_index(writer, actor) as connection:
        return connection.execute(text(words), values).rowcount


def test_the_database_shows_a_unit_its_own_talks_once_called(engine, writer):
    statuses = ("proposed", "dropped", "called", "answered", "returned", "lifted")
    numbers = {
        (unit, status): talk_of(engine, unit, months_before(OCTOBER, n), status)
        for unit in (OWN, BUREAU)
        for n, status in enumerate(statuses)
    }
    for (_, status), number in numbers.items():
        step = "INSERT INTO index_talk_step (talk_id, who, act) VALUES (:n, 'command', :status)"
        assert sql(writer, CENTRE, step, n=number, status=status) == 1

    def seen(actor: Actor) -> set[tuple[str, str]]:
        with on_index(writer, actor) as connection:
            shown = set(connection.scalars(text("SELECT id FROM index_talk")))
            assert shown == set(connection.scalars(text("SELECT talk_id FROM index_talk_step")))
        return {key for key, number in numbers.items() if number in shown}

    assert seen(CENTRE) == set(numbers)
    called = {"called", "answered", "returned", "lifted"}
    assert seen(OFFICE) == {(OWN, status) for status in called}
    assert seen(DEPARTMENT) == {(BUREAU, status) for status in called}
    for nobody in (OTHER_OFFICE, world.WORKER, Actor("", Role.COMMAND)):
        assert seen(nobody) == set()


def test_the_database_lets_a_unit_answer_and_do_nothing_else(engine, writer):
    number = talk_of(engine, status="called")
    change = "UPDATE index_talk SET status = :to WHERE id = :n"
    assert sql(writer, OTHER_OFFICE, change, n=number, to="answered") == 0
    add = "INSERT INTO index_talk_step (talk_id, who, act) VALUES (:n, :who, :act)"
    make = (
        "INSERT INTO index_talk (kind, level, unit, span, month, reason, evidence, made_by)"
        " VALUES ('talk', 'town', :unit, 'month', '2020-01-01', 'x', '{}', :who)"
    )
    own = OFFICE.username
    for words, values in (
        (change, {"n": number, "to": "lifted"}),
        (change, {"n": number, "to": "called"}),
        (add, {"n": number, "who": own, "act": "lifted"}),
        (add, {"n": number, "who": CENTRE.username, "act": "answered"}),
        (make, {"unit": OWN, "who": own}),
        ("DELETE FROM index_talk", {}),
        ("UPDATE index_talk SET unit = 'x'", {}),
    ):
        with pytest.raises(DBAPIError, match=r"row-level security|permission denied"):
            sql(writer, OFFICE, words, **values)
    assert sql(writer, OFFICE, change, n=number, to="answered") == 1
    assert sql(writer, OFFICE, change, n=number, to="answered") == 0


# --- two at once


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """Return what jobs that start together come to: their answers or their errors."""
    start, found = threading.Barrier(len(jobs)), list[object]()

    def run(job: Callable[[], object]) -> None:
        start.wait()
        try:
            found.append(job())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_who_decide_at_once_one_is_told(engine, writer):
    for n in range(5):
        number = talk_of(engine, month=months_before(OCTOBER, n))
        found = at_once(
            partial(service.call, writer, CENTRE, number, 0, china_today()),
            partial(service.drop, writer, world.SECOND_CENTRE, number, 0, "不采用"),
        )
        assert sorted(type(each) for each in found if each) == [ConflictError]
        assert len(acts(writer, number)) == 1


def test_two_who_look_at_once_propose_once(engine, writer):
    world.put(engine, OCTOBER, GOOD | {OWN: 50.0})
    found = at_once(*[lambda: service.propose(writer, CENTRE, Period(OCTOBER))] * 2)
    assert {each.made for each in found} == {0, 1}
    assert len(all_talks(writer)) == 1
