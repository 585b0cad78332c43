"""Who may see, add and change which rows of the roster, asked of the database itself as the web's role.

The tables of rights below are written by hand, not derived from the policies. Every policy is then broken on
purpose, one at a time: each break must be noticed, or the table has a hole.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from . import roster_world as w

ROSTER = "gridmgmt_roster"
REFUSED = "42501"  # insufficient_privilege


class Who(NamedTuple):
    """What a request says of itself; an area of 15 digits is a chief's, of 9 an office's."""

    username: str
    area: str


ACTORS = {
    "own chief": Who("own chief", w.GRID_OWN),
    "own deputy": Who("own deputy", w.GRID_OWN),
    "own office": Who("own office", w.TOWN_OWN),
    "sibling chief": Who("sibling chief", w.GRID_SIBLING),
    "other chief": Who("other chief", w.GRID_OTHER),
    "other office": Who("other office", w.TOWN_OTHER),
    # None of these is anybody's place.
    "whole city": Who("command", ""),
    "county": Who("command", w.COUNTY),
    "village": Who("own chief", w.GRID_OWN[:12]),
    "wildcard": Who("own office", "9901010__"),
    "percent": Who("own office", "%"),
    "unknown grid": Who("own chief", "990101009009009"),
    "nobody": Who("", w.TOWN_OWN),
}

# --- rights, by hand: table -> actor -> the rows, by their tags; who is not named has none.

Rights = Mapping[str, set[str]]
STAFF: Rights = {
    "own chief": {"own"}, "own deputy": {"own"}, "sibling chief": {"sibling"}, "other chief": {"other"},
    "own office": {"own", "sibling"}, "other office": {"other"},
}  # fmt: skip
OFFICES: Rights = {"own office": {"own", "sibling"}, "other office": {"other"}}
NOBODY: Rights = {}
# Rounds and surveys of a place concern whoever works in it; `town` is the own, `far town` the other.
NEAR: Rights = {
    "own chief": {"own", "town"}, "own deputy": {"own", "town"}, "sibling chief": {"sibling", "town"},
    "other chief": {"other", "far town"}, "own office": {"own", "sibling", "town"},
    "other office": {"other", "far town"},
}  # fmt: skip
OFFICES_BY_AREA: Rights = {"own office": {"own", "sibling", "town"}, "other office": {"other", "far town"}}

SEES: dict[str, Rights] = {
    "building": STAFF,
    "dwelling": STAFF,
    "household": STAFF,
    "person": STAFF,
    "residency": STAFF,
    "household_care": STAFF,
    "visit": STAFF,
    "visit_stop": STAFF,
    "roster_event": STAFF,
    "visit_round": NEAR,
    "survey": NEAR,
    # `deputy` was asked for by the deputy of the own grid, `decided` by its chief and is approved.
    "roster_change": {
        "own chief": {"own", "deputy", "decided"},
        "own deputy": {"own", "deputy", "decided"},
        "sibling chief": {"sibling"},
        "other chief": {"other"},
        "own office": {"own", "deputy", "decided", "sibling"},
        "other office": {"other"},
    },
    "roster_history": OFFICES,
    "roster_review": OFFICES_BY_AREA,
    "roster_export": {
        "own chief": {"own"},
        "own deputy": {"deputy"},
        "sibling chief": {"sibling"},
        "other chief": {"other"},
        "own office": {"own", "deputy", "sibling", "town"},
        "other office": {"other", "far town"},
    },
    "audit_log": OFFICES_BY_AREA,
    "erasure": NOBODY,
}
ADDS: dict[str, Rights] = {
    "building": NOBODY,
    "dwelling": OFFICES,
    "household": OFFICES,
    "person": OFFICES,
    "residency": OFFICES,
    "household_care": OFFICES,
    "visit": STAFF,
    "visit_stop": OFFICES,
    "roster_event": OFFICES,
    "visit_round": OFFICES,
    "survey": OFFICES,
    "roster_change": STAFF,
    "roster_history": NOBODY,
    "roster_review": NOBODY,
    "roster_export": STAFF,
    "audit_log": NOBODY,
    "erasure": NOBODY,
}
CHANGES: dict[str, Rights] = {
    "building": NOBODY,
    "dwelling": STAFF,
    "household": OFFICES,
    "person": OFFICES,
    "residency": OFFICES,
    "household_care": OFFICES,
    "visit": NOBODY,
    "visit_stop": STAFF,
    "roster_event": NOBODY,
    "visit_round": NOBODY,
    "survey": NOBODY,
    "roster_change": {
        "own chief": {"own"},
        "own deputy": {"deputy"},
        "sibling chief": {"sibling"},
        "other chief": {"other"},
        "own office": {"own", "deputy", "decided", "sibling"},
        "other office": {"other"},
    },
    "roster_history": NOBODY,
    "roster_review": OFFICES_BY_AREA,
    "roster_export": SEES["roster_export"],
    "audit_log": NOBODY,
    "erasure": NOBODY,
}
# What the role may change of a row that it may change at all.
COLUMNS = {
    "dwelling": {"verified_on", "verified_by"},
    "household": {"dwelling_id", "ended_on"},
    "person": {
        "household_id", "relation", "name", "birth_on", "sex", "identity", "identity_index", "phone",
        "phone_index", "salt", "registered_dwelling_id", "left_on", "left_why", "restricted_on", "updated_at",
    },
    "residency": {"valid_to"},
    "household_care": {"ended_on", "expires"},
    "visit_stop": {"status", "reason", "visit_id", "closed_at", "closed_by"},
    "roster_change": {"status", "decided_at", "decided_by", "decision"},
    "roster_review": {"status", "decided_at", "decided_by", "salt", "sealed"},
    "roster_export": {"status", "decided_at", "decided_by", "expires_at", "rows"},
}  # fmt: skip

# --- how each is tried

INSERTS = {
    "building": "INSERT INTO building (code, address, grid_id) VALUES ('new', 'new', :grid)",
    "dwelling": "INSERT INTO dwelling (building_id, door) VALUES (:building, 'new')",
    "household": "INSERT INTO household (code, dwelling_id, persons) VALUES ('new', :dwelling, 0)",
    "person": "INSERT INTO person (household_id, relation, name) VALUES (:home, 'other', '新人')",
    "residency": "INSERT INTO residency (person_id, dwelling_id, relation, valid_from, valid_to)"
    " VALUES (:person, :dwelling, 'other', '2019-01-01', '2019-12-31')",
    "household_care": "INSERT INTO household_care (household_id, category, basis, valid_from, expires)"
    " VALUES (:home, 'support', '入户核实', '2020-01-01', '2099-12-31')",
    "visit": "INSERT INTO visit (key, dwelling_id, household_id, purpose, outcome, visited_at, made_by)"
    " VALUES (gen_random_uuid(), :dwelling, :home, 'care', 'met', now(), :me)",
    "visit_stop": "INSERT INTO visit_stop (round_id, household_id) VALUES (:free_round, :home)",
    "roster_event": "INSERT INTO roster_event (kind, household_id, on_date, made_by)"
    " VALUES ('correct', :home, '2026-01-01', :me)",
    "visit_round": "INSERT INTO visit_round (area, title, message, criteria, due_on, created_by)"
    " VALUES (:code, '', '', '{}', '2026-01-01', :me)",
    "survey": "INSERT INTO survey (area, name, start_on, due_on, created_by)"
    " VALUES (:code, '', '2026-01-01', '2026-01-02', :me)",
    "roster_change": "INSERT INTO roster_change (household_id, kind, on_date, payload, reason, made_by)"
    " VALUES (:home, 'correct', '2026-01-01', '{}', '', :me)",
    "roster_history": "INSERT INTO roster_history (what, row_id, household_id, before, txid, made_by)"
    " VALUES ('household', 1, :home, '{}', 1, :me)",
    "roster_review": "INSERT INTO roster_review (kind, area, fingerprint, file, row_number)"
    " VALUES ('same_phone', :code, gen_random_uuid(), 'f', 1)",
    "roster_export": "INSERT INTO roster_export (area, columns, purpose, made_by)"
    " VALUES (:code, '{}', '', :me)",
    "audit_log": "INSERT INTO audit_log (id, txid, who, what, area, households, detail, hash)"
    " VALUES (999, 1, :me, 'household.view', :code, '{}', '{}', '')",
    "erasure": "INSERT INTO erasure (person_id, made_by, reason) VALUES (:person, :me, '')",
}
# A column and the value by which changed rows are known afterwards. No WHERE: an update that reads nothing is
# held by its own policy alone, not by that of reading besides.
MARKS = {
    "building": ("address", "'mark'"),
    "dwelling": ("verified_by", "'mark'"),
    "household": ("ended_on", "'2099-01-01'"),
    "person": ("restricted_on", "'2099-01-01'"),
    "residency": ("valid_to", "'2099-01-01'"),
    "household_care": ("ended_on", "'2099-01-01'"),
    "visit": ("matter", "'mark'"),
    "visit_stop": ("reason", "'mark'"),
    "roster_event": ("made_by", "'mark'"),
    "visit_round": ("title", "'mark'"),
    "survey": ("name", "'mark'"),
    "roster_change": ("decision", "'mark'"),
    "roster_history": ("made_by", "'mark'"),
    "roster_review": ("decided_by", "'mark'"),
    "roster_export": ("decided_by", "'mark'"),
    "audit_log": ("purpose", "'mark'"),
    "erasure": ("reason", "'mark'"),
}


class Attempt(NamedTuple):
    """One more statement, and who may do it; the words say what would go wrong."""

    table: str
    words: str
    statement: str
    allowed: set[str]


EXTRA = (
    Attempt("visit", "in another's name", INSERTS["visit"].replace(":me", "'somebody'"), set()),
    Attempt(
        "roster_change", "in another's name", INSERTS["roster_change"].replace(":me", "'somebody'"), set()
    ),
    Attempt("roster_event", "in another's name", INSERTS["roster_event"].replace(":me", "'somebody'"), set()),
    Attempt(
        "roster_export", "in another's name", INSERTS["roster_export"].replace(":me", "'somebody'"), set()
    ),
    Attempt("visit_round", "in another's name", INSERTS["visit_round"].replace(":me", "'somebody'"), set()),
    Attempt("survey", "in another's name", INSERTS["survey"].replace(":me", "'somebody'"), set()),
    Attempt(
        "roster_change",
        "approved at once",
        "INSERT INTO roster_change (household_id, kind, on_date, payload, reason, made_by, status,"
        " decided_at) VALUES (:home, 'correct', '2026-01-01', '{}', '', :me, 'approved', now())",
        set(),
    ),
    Attempt(
        "roster_export",
        "approved at once",
        "INSERT INTO roster_export (area, columns, purpose, made_by, status, decided_at)"
        " VALUES (:code, '{}', '', :me, 'approved', now())",
        set(),
    ),
    Attempt("survey", "of the whole city", INSERTS["survey"].replace(":code", "''"), set()),
    Attempt("visit_round", "of the whole county", INSERTS["visit_round"].replace(":code", "'990101'"), set()),
    Attempt(
        "visit",
        "of a household elsewhere at an own door",
        INSERTS["visit"].replace(":home", ":far_home"),
        set(),
    ),
    Attempt(
        "residency",
        "of an own person in another town",
        INSERTS["residency"].replace(":dwelling", ":far_dwelling"),
        set(),
    ),
    Attempt(
        "household_care",
        "of an own household for a person elsewhere",
        "INSERT INTO household_care (household_id, person_id, category, basis, valid_from, expires)"
        " VALUES (:home, :far_person, 'support', '入户核实', '2020-01-01', '2099-12-31')",
        set(),
    ),
    Attempt(
        "roster_change",
        "of an own household for a person elsewhere",
        "INSERT INTO roster_change (household_id, person_id, kind, on_date, payload, reason, made_by)"
        " VALUES (:home, :far_person, 'correct', '2026-01-01', '{}', '', :me)",
        set(),
    ),
    Attempt(
        "roster_event",
        "of an own household for a person elsewhere",
        "INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)"
        " VALUES ('correct', :home, :far_person, '2026-01-01', :me)",
        set(),
    ),
    Attempt(
        "visit_stop",
        "closed by a visit elsewhere",
        "UPDATE visit_stop SET visit_id = :far_visit",
        set(),
    ),
    Attempt(
        "household",
        "moved to another town",
        "UPDATE household SET dwelling_id = :far_dwelling",
        set(),
    ),
    Attempt(
        "person",
        "moved to a household of another town",
        "UPDATE person SET relation = 'other', household_id = :far_home",
        set(),
    ),
    Attempt(
        "person",
        "left in no household, out of everybody's sight",
        "UPDATE person SET household_id = NULL, left_on = '2026-01-01', left_why = 'moved'",
        set(),
    ),
    Attempt(
        "roster_change",
        "approved by whoever asked",
        "UPDATE roster_change SET status = 'approved', decided_at = now()",
        {"own office"},
    ),
    Attempt(
        "roster_change",
        "withdrawn",
        "UPDATE roster_change SET status = 'withdrawn', decided_at = now()",
        {"own office", "own chief", "own deputy"},
    ),
)
# They are tried by those whose own place is `own`; for others `far` would be home.
TRYING = ("own chief", "own deputy", "own office")


class World(NamedTuple):
    """The roster world with rows in every table, and the tag of every row."""

    world: w.World
    tags: dict[str, dict[int, str]]
    free_round: int


@pytest.fixture
def full(engine: Engine, tmp_path: Path) -> World:
    world = w.build(engine, w.make_ring(tmp_path))
    with engine.begin() as connection:
        free_round = _fill(connection, world)
        tags = {table: _tags(connection, table) for table in SEES}
    assert all(tags[table] for table in SEES)
    return World(world, tags, free_round)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection
        connection.rollback()


AREAS = {
    "own": w.GRID_OWN, "sibling": w.GRID_SIBLING, "other": w.GRID_OTHER, "town": w.TOWN_OWN,
    "far town": w.TOWN_OTHER,
}  # fmt: skip
MAKERS = {
    "own": "own chief", "sibling": "sibling chief", "other": "other chief", "town": "own office",
    "far town": "other office",
}  # fmt: skip


def _fill(connection: Connection, world: w.World) -> int:
    """Put rows of every place into the tables that the world leaves empty; returns a round without stops."""
    run = connection.execute
    for place in ("own", "sibling", "other"):
        values = {
            "home": world.home[place], "person": _person(world, place), "me": MAKERS[place],
            "code": AREAS[place], "dwelling": _dwelling(world, place),
        }  # fmt: skip
        for table in ("visit", "roster_event", "roster_change", "roster_history"):
            run(text(INSERTS[table]), values)
        run(text("INSERT INTO erasure (person_id, made_by, reason) VALUES (:person, :me, '')"), values)
    deputy = {"home": world.home["own"], "me": "own deputy", "code": w.GRID_OWN}
    run(text(INSERTS["roster_change"]), deputy)
    run(text(INSERTS["roster_export"]), deputy)
    run(text(EXTRA[6].statement), {**deputy, "me": "own chief"})
    for place, code in AREAS.items():
        values = {"code": code, "me": MAKERS[place]}
        for table in ("visit_round", "survey", "roster_review", "roster_export"):
            run(text(INSERTS[table]), values)
        _act(connection, Who(MAKERS[place], code))
        run(text("SELECT audit('roster.grid', :code)"), values)
    free = run(text("SELECT max(id), min(id) FROM visit_round")).one()
    for place in ("own", "sibling", "other"):
        run(
            text("INSERT INTO visit_stop (round_id, household_id) VALUES (:a, :b)"),
            {"a": free[0], "b": world.home[place]},
        )
    return int(free[1])


def _person(world: w.World, place: str) -> int:
    return world.person[{"own": "王建国", "sibling": "刘国庆", "other": "孙德明"}[place]]


def _dwelling(world: w.World, place: str) -> int:
    return world.dwelling[{"own": "low 101", "sibling": "old 101", "other": "other 201"}[place]]


BY_GRID = "(SELECT code15 FROM grid g WHERE g.id = {0})"
BY_HOME = "(SELECT code15 FROM grid g JOIN household h ON h.grid_id = g.id WHERE h.id = household_id)"
BY_DOOR = (
    "(SELECT code15 FROM grid g JOIN building b ON b.grid_id = g.id JOIN dwelling d ON d.building_id = b.id"
    " WHERE d.id = {0})"
)
BY_PERSON = "(SELECT code15 FROM grid g JOIN person p ON p.grid_id = g.id WHERE p.id = person_id)"
PLACES = {
    "building": BY_GRID.format("grid_id"),
    "dwelling": BY_DOOR.format("t.id"),
    "household": BY_GRID.format("grid_id"),
    "person": BY_GRID.format("grid_id"),
    "residency": BY_PERSON,
    "visit": BY_DOOR.format("dwelling_id"),
    "erasure": BY_PERSON,
}


def _tags(connection: Connection, table: str) -> dict[int, str]:
    place = PLACES.get(table, "area" if table in AREA_TABLES else BY_HOME)
    special = "NULL"
    if table in ("roster_change", "roster_export"):
        special = "CASE WHEN made_by = 'own deputy' THEN 'deputy' WHEN status = 'approved' THEN 'decided' END"
    names = {code: name for name, code in AREAS.items()}
    rows = connection.execute(text(f"SELECT t.id, {place}, {special} FROM {table} t"))
    return {number: special or names[code] for number, code, special in rows}


AREA_TABLES = ("visit_round", "survey", "roster_review", "roster_export", "audit_log")


def _act(connection: Connection, who: Who) -> None:
    connection.execute(
        text("SELECT set_config('app.user', :user, true), set_config('app.area', :area, true)"),
        {"user": who.username, "area": who.area},
    )


def _as(connection: Connection, who: Who) -> None:
    """Go on as the web's role, with a line in the log, so that the policies alone decide."""
    connection.execute(text("SELECT set_config('app.user', 'anybody', true)"))
    connection.execute(text("SELECT audit('household.view')"))
    _act(connection, who)
    connection.execute(text(f"SET LOCAL ROLE {ROSTER}"))


def _tried(connection: Connection, who: Who, statement: str, values: dict[str, object]) -> str:
    """Return 'done', 'refused', or the state of an error that no right explains; nothing stays."""
    point = connection.begin_nested()
    try:
        _as(connection, who)
        touched = connection.execute(text(statement), values).rowcount
    except DBAPIError as why:
        code = str(getattr(why.orig, "pgcode", why))
        return "refused" if code == REFUSED else code
    else:
        return "done" if touched else "refused"  # an update that reaches no row
    finally:
        point.rollback()


def _values(full: World, place: str, who: Who) -> dict[str, object]:
    world = full.world
    return {
        "grid": world.grid[place],
        "building": world.building[{"own": "low", "sibling": "old", "other": "other"}[place]],
        "dwelling": _dwelling(world, place),
        "home": world.home[place],
        "person": _person(world, place),
        "code": AREAS[place],
        "me": who.username,
        "free_round": full.free_round,
        "far_home": world.home["other"],
        "far_person": _person(world, "other"),
        "far_visit": min(number for number, tag in full.tags["visit"].items() if tag == "other"),
        "far_dwelling": world.dwelling["other 202"],
    }


# --- the checks: each returns what is not as the table of rights says


def wrong_readings(connection: Connection, full: World, table: str) -> Iterator[str]:
    for actor, who in ACTORS.items():
        point = connection.begin_nested()
        _as(connection, who)
        try:
            seen = {row[0] for row in connection.execute(text(f"SELECT id FROM {table}"))}
        except DBAPIError as why:
            seen = set() if getattr(why.orig, "pgcode", "") == REFUSED else {-1}
        point.rollback()
        expected = {number for number, tag in full.tags[table].items() if tag in SEES[table].get(actor, ())}
        if seen != expected:
            yield f"{actor} sees of {table} {_named(full, table, seen)}"


def wrong_additions(connection: Connection, full: World, table: str) -> Iterator[str]:
    for actor, who in ACTORS.items():
        for place in ("own", "sibling", "other"):
            found = _tried(connection, who, INSERTS[table], _values(full, place, who))
            if found != ("done" if place in ADDS[table].get(actor, ()) else "refused"):
                yield f"{actor} adds to {table} in {place}: {found}"


def wrong_changes(connection: Connection, full: World, table: str) -> Iterator[str]:
    column, mark = MARKS[table]
    for actor, who in ACTORS.items():
        point = connection.begin_nested()
        connection.execute(text("SET LOCAL session_replication_role = replica"))  # without triggers
        _as(connection, who)
        try:
            connection.execute(text(f"UPDATE {table} SET {column} = {mark}"))
        except DBAPIError as why:
            changed = set() if getattr(why.orig, "pgcode", "") == REFUSED else {-1}
        else:
            connection.execute(text("RESET ROLE"))
            changed = {
                row[0] for row in connection.execute(text(f"SELECT id FROM {table} WHERE {column} = {mark}"))
            }
        point.rollback()
        allowed = CHANGES[table].get(actor, ())
        if changed != {number for number, tag in full.tags[table].items() if tag in allowed}:
            yield f"{actor} changes of {table} {_named(full, table, changed)}"


def wrong_extras(connection: Connection, full: World, table: str) -> Iterator[str]:
    for attempt in EXTRA:
        if attempt.table != table:
            continue
        for actor in TRYING:
            who = ACTORS[actor]
            found = _tried(connection, who, attempt.statement, _values(full, "own", who))
            if found != ("done" if actor in attempt.allowed else "refused"):
                yield f"{actor}: {table} {attempt.words}: {found}"


CHECKS = {
    "SELECT": (wrong_readings,),
    "INSERT": (wrong_additions, wrong_extras),
    "UPDATE": (wrong_changes, wrong_extras),
}


def faults(connection: Connection, full: World, table: str, command: str | None = None) -> Iterator[str]:
    """Give all that is not as the tables of rights say of one table, what the command concerns first."""
    first = CHECKS.get(command or "", ())
    every = (wrong_readings, wrong_additions, wrong_changes, wrong_extras)
    for check in (*first, *(each for each in every if each not in first)):
        yield from check(connection, full, table)


def _named(full: World, table: str, numbers: set[int]) -> list[str]:
    return sorted({full.tags[table].get(number, "?") for number in numbers})


# --- the tests


def test_every_table_that_the_role_touches_stands_in_the_tables_of_rights(connection: Connection) -> None:
    granted = connection.execute(
        text(
            "SELECT c.relname FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relrowsecurity"
            " AND EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname AND :role = ANY (p.roles))"
        ),
        {"role": ROSTER},
    )
    assert {row[0] for row in granted} == set(SEES) - {"erasure"}
    assert set(SEES) == set(ADDS) == set(CHANGES) == set(MARKS) == set(INSERTS)


@pytest.mark.parametrize("table", SEES)
def test_everybody_sees_adds_and_changes_what_is_theirs(
    connection: Connection, full: World, table: str
) -> None:
    assert list(faults(connection, full, table)) == []


def test_nothing_is_deleted_by_the_role(connection: Connection, full: World) -> None:
    for table in SEES:
        for who in ACTORS.values():
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
                assert _tried(connection, who, statement, {}) == "refused", (statement, who)


def test_the_role_changes_these_columns_and_no_others(connection: Connection) -> None:
    rows = connection.execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name = ANY (:tables)"
            " AND has_column_privilege(:role, table_name::text, column_name::text, 'UPDATE')"
        ),
        {"role": ROSTER, "tables": list(SEES)},
    )
    assert {(table, column) for table, column in rows} == {
        (table, column) for table, columns in COLUMNS.items() for column in columns
    }


def test_no_write_without_a_line_in_the_log(connection: Connection, full: World) -> None:
    who = ACTORS["own office"]
    added = [statement for table, statement in INSERTS.items() if ADDS[table]]
    changed = [f"UPDATE {table} SET {'{} = {}'.format(*MARKS[table])}" for table in COLUMNS]
    for statement in added + changed:
        point = connection.begin_nested()
        _act(connection, who)
        connection.execute(text(f"SET LOCAL ROLE {ROSTER}"))
        with pytest.raises(DBAPIError, match="without a line in the audit log"):
            connection.execute(text(statement), _values(full, "own", who))
        point.rollback()


# WITH CHECK of these says what USING says, of columns that the role cannot change: no row can pass the one
# and fail the other, so breaking it changes nothing.
NEEDLESS = {
    "dwelling": {"building_id"},
    "residency": {"person_id"},
    "household_care": {"household_id"},
    "roster_review": {"area"},
    "roster_export": {"area", "made_by"},
}


def test_every_broken_policy_is_noticed(connection: Connection, full: World) -> None:
    policies = connection.execute(
        text(
            "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies WHERE :role = ANY (roles)"
            " ORDER BY 1, 2"
        ),
        {"role": ROSTER},
    ).all()
    tried, unnoticed = 0, []
    for table, policy, command, using, check in policies:
        breaks = [("dropped", f"DROP POLICY {policy} ON {table}")]
        if using:
            breaks.append(("USING (true)", f"ALTER POLICY {policy} ON {table} USING (true)"))
        if check:
            breaks.append(("WITH CHECK (true)", f"ALTER POLICY {policy} ON {table} WITH CHECK (true)"))
        for words, statement in breaks:
            point = connection.begin_nested()
            connection.execute(text(statement))
            tried += 1
            if not next(faults(connection, full, table, command), None):
                unnoticed.append((table, command, words))
            point.rollback()
    assert unnoticed == [(table, "UPDATE", "WITH CHECK (true)") for table in sorted(NEEDLESS)]
    for table, columns in NEEDLESS.items():
        assert not columns & COLUMNS[table], table
    assert all(not list(faults(connection, full, table)) for table in ("person", "household"))
    print(
        f"{tried} breaks of {len(policies)} policies, {tried - len(unnoticed)} noticed, {len(unnoticed)} void"
    )
