"""What each who handles matters sees and may write, by SQL alone: no page and no service stands between."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from gridmgmt.db.engine import READER, ROSTER, WRITER, acting, make_engine
from gridmgmt.db.models import Role
from gridmgmt.incidents.actor import RESIDENT, Actor
from gridmgmt.incidents.handling import hands
from gridmgmt.incidents.handling.intake import PartyTold
from gridmgmt.incidents.parties.models import PartyPart
from tests.db import matter_world
from tests.db.matter_world import (
    CENTRE,
    DEPARTMENT,
    GRID_OTHER,
    GRID_OWN,
    GRID_SECOND,
    GRID_SIBLING,
    OFFICE,
    OTHER_DEPARTMENT,
    OTHER_OFFICE,
    OTHER_WORKER,
    TOWN_OTHER,
    TOWN_OWN,
    URBAN,
    VILLAGE_OWN,
    WORKER,
    World,
)

NEIGHBOUR = Actor(RESIDENT, None, VILLAGE_OWN)
NOBODY = Actor("", None, "")
ODD = Actor("odd", Role.TOWN_OFFICER, "99")
SOMEBODY = (PartyTold(PartyPart.COMPLAINANT, "王小明", "15400000001"),)

# Matters: a in the own grid, with the urban management; b beside it, taken back from them; c in the town's
# other village; d in the other town; e without a place, at the centre.
CASES = {
    WORKER: "a", OFFICE: "abc", CENTRE: "abcde", DEPARTMENT: "ab", OTHER_OFFICE: "d", OTHER_WORKER: "d",
    OTHER_DEPARTMENT: "", NEIGHBOUR: "ab", NOBODY: "", ODD: "",
}  # fmt: skip
# Who people are: the own staff, the department that has the matter now, the centre at city level.
PARTIES = {**CASES, CENTRE: "e", DEPARTMENT: "a", NEIGHBOUR: ""}
OWN_AREA = {**dict.fromkeys(CASES, ""), WORKER: "", OFFICE: "m", CENTRE: "mn", OTHER_OFFICE: "n"}
AGENDA = {**dict.fromkeys(CASES, ""), OFFICE: "a", CENTRE: "ad", OTHER_OFFICE: "d"}
SEEN: Mapping[str, Mapping[Actor, str]] = {
    "SELECT id FROM incident": CASES,
    "SELECT id FROM incident_case": CASES,
    "SELECT case_id FROM incident_step": CASES,
    "SELECT case_id FROM incident_hand": {
        who: "".join(each for each in seen if each in "ab") for who, seen in CASES.items()
    },
    "SELECT case_id FROM incident_party": PARTIES,
    "SELECT case_id FROM incident_attachment": CASES,
    "SELECT case_id FROM incident_visit": CASES,
    "SELECT case_id FROM mediation": CASES,
    "SELECT place::bigint FROM mediation_session": CASES,
    "SELECT case_id FROM deliberation": CASES,
    "SELECT case_id FROM matter_paper": CASES,
    "SELECT -id FROM matter_meeting": OWN_AREA,
    "SELECT case_id FROM matter_meeting_item": AGENDA,
}


@pytest.fixture
def world(engine: Engine) -> Iterator[tuple[World, dict[int, str]]]:
    """The five matters, each with one row of everything that can hang on it; case -> letter."""
    world = matter_world.build(engine)
    cases = {
        letter: world.take_in(by, grid=grid, parties=SOMEBODY, **told).case_id
        for letter, by, grid, told in (
            ("a", OFFICE, GRID_OWN, {}), ("b", OFFICE, GRID_SIBLING, {}), ("c", OFFICE, GRID_SECOND, {}),
            ("d", OTHER_OFFICE, GRID_OTHER, {}), ("e", CENTRE, GRID_OWN, {"lon": None, "lat": None}),
        )
    }  # fmt: skip
    for letter in "ab":
        hands.hand(world.matters, OFFICE, cases[letter], 1, [URBAN])
    with engine.begin() as connection:
        line = connection.scalar(text("SELECT max(id) FROM incident_hand"))
        for case in cases.values():
            connection.execute(text(HANGING), {"case": case})
        connection.execute(text(MEETINGS), {"a": cases["a"], "d": cases["d"]})
    hands.withdraw(world.matters, OFFICE, line, "另行办理")
    letters = {case: letter for letter, case in cases.items()} | {-1: "m", -2: "n"}
    yield world, letters
    world.matters.dispose()


HANGING = """
WITH one AS (INSERT INTO mediation (case_id, kind, level, status, opened_by)
    VALUES (:case, 'people', 'town', 'open', 'x') RETURNING id),
two AS (INSERT INTO mediation_session (mediation_id, held_at, place, made_by)
    SELECT id, now(), CAST(:case AS text), 'x' FROM one),
three AS (INSERT INTO deliberation (case_id, kind, status, question, place, held_at, invited, made_by)
    VALUES (:case, 'instant', 'planned', 'q', 'p', now(), 3, 'x')),
four AS (INSERT INTO matter_paper (kind, number, area, case_id, issued_by)
    VALUES ('feedback', CAST(:case AS text), '-', :case, 'x')),
five AS (INSERT INTO incident_visit (case_id, kind, area, held_at, made_by)
    VALUES (:case, 'on_site', '-', now(), 'x'))
INSERT INTO incident_attachment (case_id, sha256, kind, type, name, bytes, added_by)
VALUES (:case, 's', 'photo', 'image/jpeg', 'n', 1, 'x')
"""
MEETINGS = f"""
WITH m AS (INSERT INTO matter_meeting (id, area, title, place, held_at, status, made_by)
    VALUES (1, '{TOWN_OWN}', 't', 'p', now(), 'planned', 'x'),
        (2, '{TOWN_OTHER}', 't', 'p', now(), 'planned', 'x'))
INSERT INTO matter_meeting_item VALUES (1, :a), (2, :d)
"""


@contextmanager
def as_actor(world: World, actor: Actor) -> Iterator[Connection]:
    with acting(world.matters, actor.username, actor.area, actor.unit) as connection:
        yield connection


def seen(world: World, letters: Mapping[int, str]) -> dict[str, dict[Actor, str]]:
    found: dict[str, dict[Actor, str]] = {}
    for query, expected in SEEN.items():
        found[query] = {}
        for actor in expected:
            with as_actor(world, actor) as connection:
                rows = connection.execute(text(query)).scalars()
                found[query][actor] = "".join(sorted({letters[row] for row in rows}))
    return found


def test_everybody_sees_the_own_matters_and_no_others(world: tuple[World, dict[int, str]]) -> None:
    assert seen(*world) == SEEN


def test_a_policy_that_is_opened_is_noticed(engine: Engine, world: tuple[World, dict[int, str]]) -> None:
    with engine.connect() as connection:
        policies = connection.execute(
            text("""
            SELECT tablename, policyname FROM pg_policies WHERE 'gridmgmt_matters' = ANY (roles)
                AND cmd IN ('SELECT', 'ALL')
                AND tablename NOT IN ('mediator', 'incident_key', 'mediation_mediator')
                AND policyname <> 'matters_writes'
            """)
        ).all()
    assert len(policies) == len(SEEN)
    for table, policy in policies:
        with engine.begin() as connection:
            before = connection.scalar(
                text("SELECT qual FROM pg_policies WHERE tablename = :t AND policyname = :p"),
                {"t": table, "p": policy},
            )
            connection.exec_driver_sql(f"ALTER POLICY {policy} ON {table} USING (true)")
        changed = seen(*world) != SEEN
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"ALTER POLICY {policy} ON {table} USING ({before})".replace("%", "%%")
            )
        assert changed, (table, policy)


def refused(world: World, actor: Actor, statement: str, **bound: object) -> str:
    """Return how the database refuses a statement, or how many rows it took."""
    try:
        with as_actor(world, actor) as connection:
            return str(connection.execute(text(statement), bound).rowcount)
    except DBAPIError as why:
        return str(why.orig).splitlines()[0]


def test_nobody_writes_into_anothers_matter_nor_in_anothers_name(
    world: tuple[World, dict[int, str]],
) -> None:
    here, letters = world
    case = {letter: number for number, letter in letters.items()}
    step = "INSERT INTO incident_step (case_id, n, who, act) VALUES (:case, 9, :who, 'note')"
    other = "new row violates row-level security policy"
    assert other in refused(here, OFFICE, step, case=case["d"], who=OFFICE.username)
    assert other in refused(here, OFFICE, step, case=case["a"], who="somebody")
    assert other in refused(here, OTHER_DEPARTMENT, step, case=case["a"], who=OTHER_DEPARTMENT.username)
    assert "beyond its version" in refused(here, OFFICE, step, case=case["a"], who=OFFICE.username)
    change = "UPDATE incident_case SET stage = 'x', version = version + 1 WHERE id = :case"
    assert refused(here, OFFICE, change, case=case["d"]) == "0"
    assert "has no step" in refused(here, OFFICE, change, case=case["a"])
    assert "goes from version" in refused(
        here, OFFICE, "UPDATE incident_case SET stage = 'x' WHERE id = :case", case=case["a"]
    )
    party = "INSERT INTO incident_party (case_id, part, made_by) VALUES (:case, 'other', :who)"
    assert "without a line in the audit log" in refused(
        here, OFFICE, party, case=case["a"], who=OFFICE.username
    )
    for statement in (
        "UPDATE incident_step SET note = 'x'", "DELETE FROM incident_step", "DELETE FROM incident_case",
        "DELETE FROM incident", "UPDATE incident_case SET number = 'x'", "SELECT * FROM person",
        "SELECT * FROM api_key", "SELECT * FROM webhook",
        "INSERT INTO holiday VALUES ('2030-01-01', 'off', 'x')",
    ):  # fmt: skip
        assert "permission denied" in refused(here, CENTRE, statement), statement


def test_not_even_the_owner_changes_a_step(engine: Engine, world: tuple[World, dict[int, str]]) -> None:
    with pytest.raises(DBAPIError, match="only ever added to"), engine.begin() as connection:
        connection.execute(text("DELETE FROM incident_step"))


@pytest.mark.parametrize("role", [READER, WRITER, ROSTER])
def test_maps_analysis_and_roster_reach_no_party_and_no_words(
    engine: Engine, world: tuple[World, dict[int, str]], role: str
) -> None:
    own = make_engine(engine.url.render_as_string(hide_password=False), role=role)
    for statement in (
        "SELECT * FROM incident_party", "SELECT minutes FROM mediation_session",
        "SELECT note FROM incident_step", "SELECT answer FROM incident_case", "SELECT text FROM incident",
        "SELECT follow_hash FROM incident_case",
        "SELECT sha256 FROM incident_attachment", "SELECT * FROM matter_followed('x')",
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="permission denied"), acting(own, "x", "") as connection:
            connection.execute(text(statement))
    with own.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM incident_case WHERE open")) == 5
    own.dispose()
