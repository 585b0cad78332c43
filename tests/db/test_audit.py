"""The audit log: one line a committed act, none for what was rolled back, and no line changed unseen."""

import json
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from gridmgmt.calendar import CHINA
from gridmgmt.cli import cli
from gridmgmt.db.engine import AUDITOR, READER, ROSTER, WRITER, acting, make_engine
from gridmgmt.privacy import audit, audit_stored
from gridmgmt.privacy.audit_stored import Wanted

TOWN, GRID, OTHER = "990101001", "990101001001001", "990101002001001"
ROLES = (READER, WRITER, ROSTER, AUDITOR)


@pytest.fixture
def roles(engine: Engine) -> Iterator[dict[str, Engine]]:
    url = engine.url.render_as_string(hide_password=False)
    made = {role: make_engine(url, role=role) for role in ROLES}
    yield made
    for each in made.values():
        each.dispose()


@pytest.fixture
def log(engine: Engine, roles: dict[str, Engine]) -> Engine:
    """Seven lines of three people, with every field said at least once."""
    for n in range(1, 8):
        with acting(roles[ROSTER], f"user {n % 3}", GRID) as connection:
            audit.record(
                connection,
                "household.view" if n % 2 else "person.reveal",
                area=GRID if n < 5 else OTHER,
                households=[n, n + 1],
                person_id=None if n % 2 else 40 + n,
                purpose=None if n % 2 else "care",
                detail={"field": "phone", "n": n},
            )
    return engine


def verified(engine: Engine, known: tuple[int, str] | None = None) -> audit.Verified:
    with engine.connect() as connection:
        return audit.verify(connection, known)


# --- lines and transactions


def test_committed_acts_leave_one_line_each_and_rolled_back_ones_none(
    engine: Engine, roles: dict[str, Engine]
) -> None:
    """Two connections take turns at random, some give up, some act twice in one transaction."""
    rng = random.Random(6)
    expected: list[tuple[str, int]] = []
    for turn in range(300):
        who, acts = f"user {rng.randrange(2)}", rng.randrange(1, 4)
        fails = rng.random() < 0.4
        with suppress(RuntimeError), acting(roles[rng.choice((ROSTER, AUDITOR))], who, TOWN) as connection:
            numbers = [audit.record(connection, "roster.grid", households=[turn]) for _ in range(acts)]
            if fails:
                raise RuntimeError("the transaction is rolled back")
        if not fails:
            assert numbers == list(range(len(expected) + 1, len(expected) + acts + 1))
            expected += [(who, turn)] * acts
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, who, households[1] FROM audit_log ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [(n, *said) for n, said in enumerate(expected, 1)]
    found = verified(engine)
    assert (found.lines, found.last, found.faults) == (len(expected), len(expected), ())
    print(f"{len(expected)} lines of 300 transactions, none lost, none too many")


def test_two_at_the_same_time_wait_for_each_other_and_break_no_chain(
    engine: Engine, roles: dict[str, Engine]
) -> None:
    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(60):
            with suppress(RuntimeError), acting(roles[ROSTER], f"user {seed}", TOWN) as connection:
                audit.record(connection, "household.view", detail={"seed": seed})
                if rng.random() < 0.3:
                    raise RuntimeError("rolled back")
                done[seed] += 1

    done = [0, 0, 0]
    threads = [Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verified(engine)
    assert (found.lines, found.last, found.faults) == (sum(done), sum(done), ())
    assert min(done) < 60


def test_a_savepoint_that_is_given_up_leaves_no_line(engine: Engine, roles: dict[str, Engine]) -> None:
    with acting(roles[ROSTER], "user", GRID) as connection:
        audit.record(connection, "visit.list")
        given_up = connection.begin_nested()
        audit.record(connection, "visit.record")
        given_up.rollback()
        assert audit.record(connection, "visit.list") == 2
    assert verified(engine).faults == ()


# --- who may


def test_nobody_writes_a_line_without_saying_who_acts(roles: dict[str, Engine]) -> None:
    for role in (ROSTER, AUDITOR):
        with pytest.raises(DBAPIError, match="not said who acts"), roles[role].begin() as connection:
            audit.record(connection, "household.view")
        with (
            pytest.raises(DBAPIError, match="not said who acts"),
            acting(roles[role], "", GRID) as connection,
        ):
            audit.record(connection, "household.view")


def test_reader_and_writer_write_no_line_at_all(roles: dict[str, Engine]) -> None:
    for role in (READER, WRITER):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            acting(roles[role], "user", "") as connection,
        ):
            audit.record(connection, "household.view")


ATTACKS = (
    "INSERT INTO audit_log (id, txid, who, what, area, households, detail, hash)"
    " VALUES (1000, 1, 'me', 'household.view', '', '{}', '{}', '')",
    "UPDATE audit_log SET who = 'somebody else'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
    "UPDATE audit_head SET id = 1",
    "DELETE FROM audit_head",
    "INSERT INTO audit_head (one, id, hash) VALUES (true, 0, '')",
    "TRUNCATE audit_head",
    "ALTER TABLE audit_log DISABLE TRIGGER audit_stands",
    "ALTER TABLE audit_log DISABLE ROW LEVEL SECURITY",
    "DROP TABLE audit_log",
    "SET session_replication_role = replica",
)


@pytest.mark.parametrize("role", ROLES)
def test_no_role_of_the_web_changes_the_log(log: Engine, roles: dict[str, Engine], role: str) -> None:
    for attack in ATTACKS:
        with pytest.raises(DBAPIError), acting(roles[role], "user", TOWN) as connection:
            connection.execute(text(attack))
    assert (verified(log).lines, verified(log).faults) == (7, ())


def test_even_the_owner_changes_the_log_only_by_taking_its_guard_off(log: Engine) -> None:
    for attack in ("UPDATE audit_log SET who = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
        with pytest.raises(DBAPIError, match="only ever added to"), log.begin() as connection:
            connection.execute(text(attack))


# --- what verifying finds

CHANGES = (
    "at = at + interval '1 microsecond'", "txid = txid + 1", "who = who || ' '", "what = 'roster.grid'",
    "area = ''", "households = households || 99", "households = households[2:2]",
    "person_id = coalesce(person_id, 0) + 1", "purpose = coalesce(purpose, '')  || 'x'",
    "detail = detail || '{\"n\": 0}'", "detail = detail - 'field'", "hash = sha256(hash)",
)  # fmt: skip


def tamper(connection: Connection, statement: str) -> None:
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    assert connection.execute(text(statement)).rowcount > 0, statement


def test_every_single_edit_of_every_line_is_found_the_last_one_too(log: Engine) -> None:
    tried = 0
    for number in range(1, 8):
        for change in CHANGES:
            with log.connect() as connection:
                tamper(connection, f"UPDATE audit_log SET {change} WHERE id = {number}")
                faults = audit.verify(connection).faults
            assert number in {line for line, _ in faults}, (number, change, faults)
            tried += 1
    assert verified(log).faults == ()
    print(f"{tried} single edits, all found")


def test_every_deleted_line_is_found_the_last_and_all_of_them_too(log: Engine) -> None:
    for number in range(1, 8):
        with log.connect() as connection:
            tamper(connection, f"DELETE FROM audit_log WHERE id = {number}")
            faults = dict(audit.verify(connection).faults)
        expected = {7: "missing at the end"} if number == 7 else {number + 1: "missing before"}
        assert faults == expected, number
    with log.connect() as connection:
        tamper(connection, "DELETE FROM audit_log")
        assert audit.verify(connection).faults == ((7, "missing at the end"),)


def test_lines_swapped_put_in_or_added_behind_the_head_are_found(log: Engine) -> None:
    copy = (
        "INSERT INTO audit_log SELECT {0}, at, txid, who, what, area, households, person_id, purpose, detail,"
        " hash FROM audit_log WHERE id = 7"
    )
    for statements in (
        ["UPDATE audit_log SET id = -2 WHERE id = 2", "UPDATE audit_log SET id = 2 WHERE id = 3",
         "UPDATE audit_log SET id = 3 WHERE id = -2"],
        [copy.format(8)], [copy.format(0)],
        ["UPDATE audit_head SET id = 6"], ["UPDATE audit_head SET hash = sha256(hash)"],
    ):  # fmt: skip
        with log.connect() as connection:
            for statement in statements:
                tamper(connection, statement)
            assert audit.verify(connection).faults != (), statements
    assert verified(log).faults == ()


def test_a_log_written_anew_by_its_owner_is_found_by_what_was_noted_elsewhere(log: Engine) -> None:
    noted = verified(log)
    known = (noted.last, noted.head)
    assert verified(log, known).faults == ()
    with log.connect() as connection:
        tamper(connection, "UPDATE audit_log SET who = 'nobody' WHERE id = 3")
        for number in range(3, 8):
            before = f"(SELECT hash FROM audit_log WHERE id = {number - 1})"
            tamper(connection, f"UPDATE audit_log l SET hash = audit_hash({before}, l) WHERE id = {number}")
        tamper(connection, "UPDATE audit_head SET hash = (SELECT hash FROM audit_log WHERE id = 7)")
        assert audit.verify(connection).faults == ()
        assert audit.verify(connection, known).faults == ((7, "not as known"),)
        assert audit.verify(connection, (99, noted.head)).faults == ((99, "not as known"),)


def test_the_hash_does_not_follow_the_zone_or_style_of_who_verifies(log: Engine) -> None:
    with log.connect() as connection:
        connection.execute(text("SET LOCAL timezone = 'Asia/Shanghai'"))
        connection.execute(text("SET LOCAL datestyle = 'German'"))
        connection.execute(text("SET LOCAL extra_float_digits = 0"))
        assert audit.verify(connection).faults == ()


# --- the command


def test_the_command_says_whole_or_names_the_faults_and_fails(
    log: Engine, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDMGMT_DATABASE_URL", database)
    whole = CliRunner().invoke(cli, ["audit", "verify", "--json"])
    said = json.loads(whole.output)
    assert (whole.exit_code, said["lines"], said["whole"], said["faults"]) == (0, 7, True, [])
    known = f"{said['last']}:{said['head']}"
    assert known in CliRunner().invoke(cli, ["audit", "verify", "--known", known]).output
    with log.begin() as connection:
        tamper(connection, "DELETE FROM audit_log WHERE id = 3")
    broken = CliRunner().invoke(cli, ["audit", "verify"])
    assert (broken.exit_code, broken.output.splitlines()[0]) == (1, "line 4: missing before")
    assert json.loads(CliRunner().invoke(cli, ["audit", "verify", "--json"]).output)["whole"] is False


# --- reading


def test_the_auditor_reads_all_lines_and_nothing_else(log: Engine, roles: dict[str, Engine]) -> None:
    with roles[AUDITOR].connect() as connection:
        assert [line.number for line in audit_stored.lines(connection, Wanted())] == [7, 6, 5, 4, 3, 2, 1]
    for table in ("person", "household", "account", "roster_history"):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            roles[AUDITOR].connect() as connection,
        ):
            connection.execute(text(f"SELECT * FROM {table}"))


def test_the_town_office_reads_the_lines_of_its_town_and_a_grid_chief_none(
    log: Engine, roles: dict[str, Engine]
) -> None:
    for area, numbers in ((TOWN, [4, 3, 2, 1]), (OTHER[:9], [7, 6, 5]), (GRID, []), ("", []), ("99", [])):
        with acting(roles[ROSTER], "user", area) as connection:
            assert [line.number for line in audit_stored.lines(connection, Wanted())] == numbers, area


def test_lines_are_found_by_who_what_household_person_and_day_and_page_by_page(log: Engine) -> None:
    with log.connect() as connection:
        today = audit_stored.lines(connection, Wanted(), most=1)[0].at.astimezone(CHINA).date()

        def numbers(below: int | None = None, most: int = 100, **wanted: object) -> list[int]:
            found = audit_stored.lines(connection, Wanted(**wanted), below=below, most=most)  # type: ignore[arg-type]
            return [line.number for line in found]

        assert numbers(who="user 1") == [7, 4, 1]
        assert numbers(what="person.reveal") == [6, 4, 2]
        assert numbers(household=4) == [4, 3]
        assert numbers(person=44) == [4]
        assert numbers(first=today, last=today) == [7, 6, 5, 4, 3, 2, 1]
        assert numbers(last=today.replace(year=today.year - 1)) == []
        assert numbers(first=today.replace(year=today.year + 1)) == []
        assert numbers(most=3) == [7, 6, 5]
        assert numbers(most=3, below=5) == [4, 3, 2]
        line = audit_stored.lines(connection, Wanted(person=44))[0]
        assert (line.name, line.purpose, line.detail) == (
            "查看隐去的内容",
            "care",
            {"field": "phone", "n": 4},
        )


# --- names


def test_every_act_that_the_program_writes_down_has_its_chinese_name() -> None:
    written = {
        name
        for source in Path(audit.__file__).parents[1].rglob("*.py")
        for name in re.findall(r'audit\.record\(\s*\w+,\s*"([^"]*)"', source.read_text(encoding="utf-8"))
    }
    assert written <= set(audit.NAMES)
    assert len(set(audit.NAMES.values())) == len(audit.NAMES)
