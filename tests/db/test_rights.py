"""What residents may ask for: a copy, who looked, restriction, erasure without a trace; what time ends."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import acting
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError, TamperedError
from gridmgmt.households.actor import Actor
from gridmgmt.households.reading.reveal import reveal
from gridmgmt.households.rights import copy as copies
from gridmgmt.households.rights import exports, paper, retention, tombstones
from gridmgmt.households.rights.access import access_record, access_record_of
from gridmgmt.households.rights.erase import Why, erase, reapply
from gridmgmt.households.rights.restrict import restrict
from gridmgmt.households.rights.subject import held
from gridmgmt.privacy import audit, register
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.cipher import new_salts, seal, unseal

from . import roster_world
from .roster_world import (
    CHIEF,
    GRID_OWN,
    GRID_SIBLING,
    OFFICE,
    OTHER_CHIEF,
    OTHER_OFFICE,
    SIBLING_CHIEF,
    TOWN_OTHER,
    TOWN_OWN,
    World,
)

SECOND = Actor("own second", TOWN_OWN)
TODAY = china_today()
ERASE = "SELECT roster_erase(:who, 'asked', NULL, '{}', '{}', '{}')"


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return roster_world.build(engine, roster_world.make_ring(tmp_path))


@pytest.fixture
def roster(engine: Engine, world: World) -> Iterator[Engine]:
    roster = roster_world.roster_engine(engine)
    yield roster
    roster.dispose()


def run(engine: Engine, statement: str, **values: object) -> Any:
    with engine.begin() as connection:
        done = connection.execute(text(statement), values)
        return done.all() if done.returns_rows else done.rowcount


def refused(roster: Engine, actor: Actor, what: str | None, statement: str, **values: object) -> None:
    """The database refuses a statement of this actor, line in the log (`what`) or not."""
    with acting(roster, actor.username, actor.area) as connection:
        if what:
            audit.record(connection, what)
        with pytest.raises(ProgrammingError):
            connection.execute(text(statement), values)
        connection.rollback()


def lines(engine: Engine) -> list[str]:
    return [row.what for row in run(engine, "SELECT what FROM audit_log ORDER BY id")]


def add_note(engine: Engine, world: World, home: str, words: str) -> int:
    salt = new_salts(1)[0]
    return run(
        engine,
        "INSERT INTO visit (key, dwelling_id, household_id, purpose, outcome, visited_at, made_by, salt,"
        " note) SELECT gen_random_uuid(), dwelling_id, id, 'care', 'met', now() - interval '1 day',"
        " 'own chief', :salt, :note FROM household WHERE id = :home RETURNING id",
        salt=salt, note=seal(world.ring, salt, "note", words), home=world.home[home],
    )[0].id  # fmt: skip


def add_change(
    engine: Engine,
    world: World,
    home: str,
    kind: str,
    payload: object,
    secret: object,
    who: str | None = None,
) -> int:
    salt = new_salts(1)[0]
    return run(
        engine,
        "INSERT INTO roster_change (household_id, person_id, kind, on_date, payload, salt, sealed, reason,"
        " made_by) VALUES (:home, :who, :kind, :day, :payload, :salt, :sealed, '本人要求', 'own chief')"
        " RETURNING id",
        home=world.home[home], who=who and world.person[who], kind=kind, salt=salt,
        day=date(2001, 2, 28) if kind == "birth" else TODAY,
        payload=json.dumps({"values": payload}, ensure_ascii=False),
        sealed=seal(world.ring, salt, "change", json.dumps(secret)),
    )[0].id  # fmt: skip


def add_review(engine: Engine, world: World, home: str, who: str) -> None:
    salt = new_salts(1)[0]
    row = json.dumps({"name": who, "identity_number": world.identity[who]})
    run(
        engine,
        "INSERT INTO roster_review (kind, area, household_id, fingerprint, file, row_number, salt, sealed)"
        " VALUES ('same_person', :area, :home, :print, 'f.xlsx', 7, :salt, :sealed)",
        area=TOWN_OWN, home=world.home[home], salt=salt, sealed=seal(world.ring, salt, "review", row),
        print=blind(world.ring, "identity", world.identity[who]),
    )  # fmt: skip


def whole_database(engine: Engine) -> str:
    """Every value of every column of every table as one text."""
    tables = run(
        engine, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        " AND table_type = 'BASE TABLE' AND table_name <> 'spatial_ref_sys'",
    )  # fmt: skip
    return "\n".join(
        str(row[0]) for (table,) in tables for row in run(engine, f'SELECT CAST(t AS text) FROM "{table}" t')
    )


# --- the copy and the access record


def test_a_copy_holds_everything_of_the_person_and_nobody_elses_number(
    engine: Engine, roster: Engine, world: World
) -> None:
    who, ring = world.person["李秀兰"], world.ring
    add_note(
        engine,
        world,
        "own",
        f"电话{world.phone['李秀兰']}，丈夫{world.phone['王建国']}，{world.identity['王建国']}",
    )
    add_change(engine, world, "own", "correct", {"name": "李秀兰"}, {"phone": "15411112222"}, "李秀兰")
    run(engine, "UPDATE person SET name = '李秀蓝' WHERE id = :who", who=who)
    reveal(roster, ring, CHIEF, who, "phone", "call")

    made = copies.copy(roster, ring, OFFICE, who, "guardian")
    told = json.dumps(copies.as_data(made), ensure_ascii=False)
    for expected in (world.identity["李秀兰"], world.phone["李秀兰"], "1972-08-03", "春天路1号 101",
                     "15411112222", "李秀兰", "电话联系本人", "154****0001"):  # fmt: skip
        assert expected in told
    for other in ("王建国", "王小明"):
        assert world.identity[other] not in told
    assert world.phone["王建国"] not in told
    parts = {part.key: part for part in made.parts}
    assert "同户其他人" in parts["visits"].note
    assert parts["history"].rows[0][1:3] == ("姓名", "李秀兰")
    assert [row[1:4] for row in parts["access"].rows] == [("own chief", "网格", "查看隐去的内容")]
    assert lines(engine) == ["person.reveal", "person.copy"]
    with engine.connect() as connection:
        assert audit.verify(connection).faults == ()

    words = docx.Document(BytesIO(paper.document(made)))
    cells = {cell.text for table in words.tables for row in table.rows for cell in row.cells}
    assert {world.identity["李秀兰"], "15400000002"} <= cells


def test_the_access_record_follows_a_person_and_leaves_out_what_others_homes_saw(
    engine: Engine, roster: Engine, world: World
) -> None:
    who = world.person["王小明"]
    with acting(engine, "somebody", "") as connection:
        audit.record(connection, "household.view", area=GRID_OWN, households=[world.home["own"]])
    # Moves to a home in another town whose people were looked at before, and are again.
    with acting(engine, "somebody", "") as connection:
        audit.record(connection, "household.view", area=TOWN_OTHER, households=[world.home["other"]])
    run(engine, "UPDATE person SET household_id = :home WHERE id = :who", home=world.home["other"], who=who)
    with acting(engine, "later", "") as connection:
        audit.record(connection, "household.view", area=TOWN_OTHER, households=[world.home["other"]])
        audit.record(
            connection, "person.reveal", households=[world.home["other"]], person_id=world.person["孙德明"]
        )
    found = access_record_of(roster, OTHER_OFFICE, who)
    assert [(line.line, line.who) for line in found.lines] == [(3, "later"), (1, "somebody")]
    assert [line.line for line in access_record(roster, OFFICE, world.home["own"]).lines] == [1]


def test_rights_are_the_offices_of_the_persons_town_and_nobody_elses(
    engine: Engine, roster: Engine, world: World, tmp_path: Path
) -> None:
    who, ring = world.person["李秀兰"], world.ring
    for actor in (CHIEF, SIBLING_CHIEF, OTHER_CHIEF, OTHER_OFFICE, Actor("city", ""), Actor("nobody", "-")):
        for call in (
            lambda a: copies.copy(roster, ring, a, who), lambda a: held(roster, a, who),
            lambda a: restrict(roster, a, who, restricted=True), lambda a: access_record_of(roster, a, who),
            lambda a: access_record(roster, a, world.home["own"]),
            lambda a: erase(roster, ring, a, who, Why.ASKED, home=tmp_path),
        ):  # fmt: skip
            with pytest.raises(NotFoundError):
                call(actor)
        refused(roster, actor, "person.erase", ERASE, who=who)
        with acting(roster, actor.username, actor.area) as connection:
            for function in ("roster_traces(:who)", "roster_access(NULL, :who)"):
                assert not connection.execute(text(f"SELECT * FROM {function}"), {"who": who}).all()
    for inner in ("rights_homes(1)", "rights_traces(1)", "rights_erase(1, '', NULL, '{}', '{}', '{}')"):
        refused(roster, OFFICE, "person.erase", f"SELECT {inner}")
    refused(roster, OFFICE, None, ERASE, who=who)
    assert lines(engine) == []


# --- restriction


def test_a_restricted_person_is_kept_and_in_no_reveal_and_no_file(
    engine: Engine, roster: Engine, world: World
) -> None:
    who = world.person["李秀兰"]
    restrict(roster, OFFICE, who, restricted=True)
    with pytest.raises(NotAllowedError):
        reveal(roster, world.ring, CHIEF, who, "phone", "call")
    with pytest.raises(ConflictError):
        restrict(roster, OFFICE, who, restricted=True)
    number = exports.ask(roster, OFFICE, GRID_OWN, ["phone"], "visit")
    exports.decide(roster, SECOND, number, approve=True)
    names = [row[1] for row in cells(exports.fetch(roster, world.ring, OFFICE, number).content)]
    assert "王建国" in names
    assert "李秀兰" not in names
    restrict(roster, OFFICE, who, restricted=False)
    assert reveal(roster, world.ring, CHIEF, who, "phone", "call") == world.phone["李秀兰"]


# --- erasure


def test_after_erasure_no_table_knows_the_person_and_old_copies_stay_closed(
    engine: Engine, roster: Engine, world: World, tmp_path: Path
) -> None:
    who, ring = world.person["王小明"], world.ring
    number, phone = world.identity["王小明"], "15477778888"
    add_change(engine, world, "own", "correct", {"birth_on": "2001-02-28"}, {"phone": phone}, "王小明")
    add_change(engine, world, "own", "birth", {"name": "王晓明", "birth_on": "2001-02-28"}, {})
    add_change(engine, world, "own", "move_in", {}, {"people": [{"identity_number": number}]})
    add_review(engine, world, "own", "王小明")
    about, other = (
        add_note(engine, world, "own", "王小明在外读书"),
        add_note(engine, world, "own", "一切都好"),
    )
    run(engine, "UPDATE person SET name = '王晓明' WHERE id = :who", who=who)
    run(engine, "INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)"
                " VALUES ('birth', :home, :who, '2001-02-28', 'x')",
        home=world.home["own"], who=who)  # fmt: skip
    old = run(engine, "SELECT identity, identity_index, salt FROM person WHERE id = :who", who=who)[0]
    before = whole_database(engine)
    index = str(old.identity_index)
    traces = ("王小明", "王晓明", "2001-02-28", index, bytes(old.identity).hex(), bytes(old.salt).hex())
    assert all(trace in before for trace in traces)

    erase(roster, ring, OFFICE, who, Why.ASKED, home=tmp_path)

    after = whole_database(engine)
    assert [trace for trace in traces if trace in after] == []
    assert blind(ring, "identity", number).hex not in after.replace("-", "")
    for salt in run(engine, "SELECT salt FROM person WHERE salt IS NOT NULL"):
        with pytest.raises(TamperedError):
            unseal(ring, bytes(salt.salt), "identity", old.identity)
    notes = dict(run(engine, "SELECT id, note IS NOT NULL FROM visit"))
    assert notes == {about: False, other: True}
    assert run(engine, "SELECT DISTINCT status FROM roster_change")[0].status == "withdrawn"
    assert (
        run(engine, "SELECT persons FROM household WHERE id = :home", home=world.home["own"])[0].persons == 2
    )
    assert lines(engine) == ["person.erase"]
    assert [stone.person_id for stone in tombstones.read(tmp_path)] == [who]
    with pytest.raises(NotFoundError):
        copies.copy(roster, ring, OFFICE, who)
    # Everybody else is untouched.
    assert (
        copies.copy(roster, ring, OFFICE, world.person["王建国"]).parts[0].rows[4][1]
        == world.identity["王建国"]
    )


def test_a_head_who_is_erased_is_followed_by_another(
    engine: Engine, roster: Engine, world: World, tmp_path: Path
) -> None:
    head, wife = world.person["王建国"], world.person["李秀兰"]
    for wrong in (None, head, world.person["刘国庆"]):
        with pytest.raises(InputError, match="new_head"):
            erase(roster, world.ring, OFFICE, head, Why.ASKED, new_head=wrong, home=tmp_path)
    with pytest.raises(InputError, match="why"):
        erase(roster, world.ring, OFFICE, head, "他叫王建国", new_head=wife, home=tmp_path)
    erase(roster, world.ring, OFFICE, head, Why.ASKED, new_head=wife, home=tmp_path)
    heads = run(engine, "SELECT id FROM person WHERE household_id = :home AND relation = 'head'"
                        " AND left_on IS NULL", home=world.home["own"])  # fmt: skip
    assert [row.id for row in heads] == [wife]
    assert "王建国" not in whole_database(engine)


def test_the_last_of_a_household_takes_its_notes_along(
    engine: Engine, roster: Engine, world: World, tmp_path: Path
) -> None:
    note = add_note(engine, world, "alone", "老人想要一副助听器")
    erase(roster, world.ring, OFFICE, world.person["赵桂英"], Why.MISTAKE, home=tmp_path)
    assert run(engine, "SELECT note FROM visit WHERE id = :note", note=note)[0].note is None
    home = run(engine, "SELECT persons, ended_on FROM household WHERE id = :home", home=world.home["alone"])[
        0
    ]
    assert (home.persons, home.ended_on) == (0, TODAY)
    assert run(engine, "SELECT count(*) AS n FROM household_care WHERE household_id = :home",
               home=world.home["alone"])[0].n == 0  # fmt: skip


def test_a_restored_backup_forgets_again_and_a_newcomer_with_the_number_stays(
    engine: Engine, roster: Engine, world: World, tmp_path: Path
) -> None:
    """A backup is taken, somebody is erased and somebody new too; then the backup comes back."""
    ring, who = world.ring, world.person["王建国"]
    backup = run(engine, "SELECT to_jsonb(p) - 'given' AS row FROM person p WHERE id = :who", who=who)[0].row
    late = run(engine, "INSERT INTO person (household_id, relation, name) VALUES (:home, 'other', '迟来')"
                       " RETURNING id", home=world.home["own"])[0].id  # fmt: skip
    erase(roster, ring, OFFICE, who, Why.ASKED, new_head=world.person["李秀兰"], home=tmp_path)
    erase(roster, ring, OFFICE, late, Why.MISTAKE, home=tmp_path)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL app.bulk = 'on'"))
        connection.execute(text("DELETE FROM person WHERE id = :late"), {"late": late})
        connection.execute(text("DELETE FROM erasure"))
        connection.execute(
            text("UPDATE person SET relation = 'spouse' WHERE id = :wife"), {"wife": world.person["李秀兰"]}
        )
        columns = [name for name in backup if name != "id"]
        connection.execute(
            text(f"UPDATE person p SET ({', '.join(columns)}) = (SELECT {', '.join(columns)}"
                 " FROM jsonb_populate_record(NULL::person, :row)) WHERE id = :who"),
            {"row": json.dumps(backup), "who": who},
        )  # fmt: skip
        # Somebody who came after the restore got the number of `late`.
        connection.execute(
            text(
                "INSERT INTO person (id, household_id, relation, name) VALUES (:late, :home, 'other', '新人')"
            ),
            {"late": late, "home": world.home["own"]},
        )
    assert "王建国" in whole_database(engine)

    done = reapply(engine, ring, tmp_path)

    assert (done.erased, done.gone, done.others) == (1, 0, 1)
    assert "王建国" not in whole_database(engine)
    assert run(engine, "SELECT name FROM person WHERE id = :late", late=late)[0].name == "新人"
    again = reapply(engine, ring, tmp_path)
    assert (again.erased, again.gone, again.others) == (0, 1, 1)
    new = run(engine, "INSERT INTO person (household_id, relation, name) VALUES (:home, 'other', '再后')"
                      " RETURNING id", home=world.home["own"])[0].id  # fmt: skip
    assert new > late


# --- what time ends


def test_the_night_ends_what_is_older_than_its_period_and_nothing_else(
    engine: Engine, roster: Engine, world: World, tmp_path: Path
) -> None:
    ring = world.ring
    ago = {name: period.before(TODAY) - timedelta(days=1) for name, period in register.periods().items()}
    young = {name: day + timedelta(days=2) for name, day in ago.items()}
    for name, when in (("周玉梅", ago), ("刘小雨", young)):
        run(engine, "UPDATE person SET left_on = :day, left_why = 'moved' WHERE name = :name",
            day=when["person left"], name=name)  # fmt: skip
    for when in (ago, young):
        note = add_note(engine, world, "own", "旧事")
        run(engine, "UPDATE visit SET visited_at = :day WHERE id = :id", day=when["visit.note"], id=note)
        change = add_change(engine, world, "own", "correct", {"name": "x"}, {}, "王小明")
        run(engine, "UPDATE roster_change SET status = 'refused', decided_at = :day, decided_by = 'x'"
                    " WHERE id = :id", day=when["roster_change"], id=change)  # fmt: skip
        run(engine, "INSERT INTO roster_history (what, row_id, before, at, txid, made_by)"
                    " VALUES ('household', 1, '{}', :day, 1, 'x')", day=when["roster_history"])  # fmt: skip
        run(engine, "INSERT INTO roster_export (area, columns, purpose, made_by, made_at)"
                    " VALUES (:area, '{}', 'visit', 'x', :day)",
            area=TOWN_OWN, day=when["roster_export"])  # fmt: skip
        run(engine, "INSERT INTO roster_review (kind, area, fingerprint, file, row_number, made_at)"
                    " VALUES ('same_person', :area, gen_random_uuid(), 'f', 1, :day)",
            area=TOWN_OWN, day=when["roster_review"])  # fmt: skip
    run(
        engine,
        "UPDATE household_care SET expires = :day WHERE category = 'disabled'",
        day=TODAY - timedelta(days=1),
    )
    expected = retention.Ended(persons=1, notes=1, changes=1, history=1, reviews=1, exports=1, care=1)
    before = whole_database(engine)
    assert retention.nightly(engine, ring, tmp_path, TODAY, dry_run=True) == expected
    assert whole_database(engine) == before
    assert tombstones.read(tmp_path) == []
    assert retention.nightly(engine, ring, tmp_path, TODAY) == expected
    assert [stone.person_id for stone in tombstones.read(tmp_path)] == [world.person["周玉梅"]]
    assert "周玉梅" not in whole_database(engine)
    assert "刘小雨" in whole_database(engine)
    assert retention.nightly(engine, ring, tmp_path, TODAY) == retention.Ended(0, 0, 0, 0, 0, 0, 0)
    assert lines(engine) == ["roster.retention"] * 2


# --- exports


def cells(content: bytes) -> list[list[Any]]:
    return [
        [cell.value for cell in row] for row in openpyxl.load_workbook(BytesIO(content)).active.iter_rows()
    ]


def test_a_file_is_asked_for_allowed_by_a_second_person_and_fetched_once(
    engine: Engine, roster: Engine, world: World
) -> None:
    run(engine, "UPDATE person SET name = '=1+1' WHERE name = '欧阳娜娜'")
    number = exports.ask(roster, CHIEF, GRID_OWN, ["phone", "care", "identity"], "drill")
    with pytest.raises(ConflictError):
        exports.fetch(roster, world.ring, CHIEF, number)
    for actor in (CHIEF, SIBLING_CHIEF, OTHER_OFFICE):
        with pytest.raises((NotAllowedError, NotFoundError)):
            exports.decide(roster, actor, number, approve=True)
    exports.decide(roster, OFFICE, number, approve=True)
    with pytest.raises(ConflictError):
        exports.decide(roster, SECOND, number, approve=False)
    with pytest.raises(NotAllowedError):
        exports.fetch(roster, world.ring, OFFICE, number)
    fetched = exports.fetch(roster, world.ring, CHIEF, number)
    with pytest.raises(ConflictError):
        exports.fetch(roster, world.ring, CHIEF, number)

    book = openpyxl.load_workbook(BytesIO(fetched.content))
    sheet = book.active
    rows = cells(fetched.content)
    assert rows[0] == ["住址", "姓名", "与户主关系", "关爱", "身份证号（遮盖）", "电话（遮盖）", "水印"]
    assert len(rows) == 1 + 7  # the own grid's people and nobody of another
    assert all(f"第{number}号" in row[-1] and "own chief" in row[-1] for row in rows[1:])
    told = json.dumps(rows, ensure_ascii=False)
    assert not [secret for secret in (*world.identity.values(), *world.phone.values()) if secret in told]
    assert "154****0001" in told
    assert "独居老人" in told
    hostile = next(cell for row in sheet.iter_rows() for cell in row if cell.value == "=1+1")
    assert (hostile.data_type, hostile.quotePrefix) == ("s", True)
    assert f"第{number}号" in sheet.oddHeader.right.text
    assert f"第{number}号" in sheet.oddFooter.left.text
    assert lines(engine) == ["export.ask", "export.decide", "export.fetch"]
    assert exports.requests(roster, CHIEF)[0].rows == 7


def test_numbers_in_full_only_where_they_were_asked_for_and_an_office_does_not_allow_itself(
    engine: Engine, roster: Engine, world: World
) -> None:
    number = exports.ask(roster, OFFICE, GRID_SIBLING, ["identity_full"], "report")
    with pytest.raises(NotAllowedError):
        exports.decide(roster, OFFICE, number, approve=True)
    exports.decide(roster, SECOND, number, approve=True)
    told = str(cells(exports.fetch(roster, world.ring, OFFICE, number).content))
    assert world.identity["刘国庆"] in told
    assert world.phone["刘国庆"] not in told
    late = exports.ask(roster, OFFICE, TOWN_OWN, [], "report")
    exports.decide(roster, SECOND, late, approve=True)
    run(engine, "UPDATE roster_export SET expires_at = now() WHERE id = :late", late=late)
    with pytest.raises(ConflictError, match="past"):
        exports.fetch(roster, world.ring, OFFICE, late)
    for area, columns, purpose, error in (
        (TOWN_OTHER, [], "visit", NotFoundError), (TOWN_OWN[:6], [], "visit", NotFoundError),
        (TOWN_OWN, ["salt"], "visit", InputError), (TOWN_OWN, [], "因为", InputError),
    ):  # fmt: skip
        with pytest.raises(error):
            exports.ask(roster, OFFICE, area, columns, purpose)


def test_the_database_itself_lets_nobody_allow_the_own_request(
    engine: Engine, roster: Engine, world: World
) -> None:
    number = exports.ask(roster, CHIEF, GRID_OWN, [], "visit")
    own = exports.ask(roster, OFFICE, GRID_OWN, [], "visit")
    approve = (
        "UPDATE roster_export SET status = 'approved', decided_at = now(), decided_by = :who,"
        " expires_at = now() + interval '{}' WHERE id = :number"
    )
    for actor, who, request, hours in (
        (CHIEF, "own chief", number, 24), (CHIEF, "own office", number, 24), (OFFICE, "own office", own, 24),
        (SECOND, "own office", number, 24), (SECOND, "own second", number, 25),
    ):  # fmt: skip
        statement = approve.format(f"{hours} hours")
        refused(roster, actor, "export.decide", statement, who=who, number=request)
    exports.decide(roster, SECOND, number, approve=True)
    for change in (
        "rows = 0",
        "expires_at = now() + interval '1 hour', status = 'fetched'",
        "status = 'open'",
    ):
        statement = f"UPDATE roster_export SET {change} WHERE id = :number"
        refused(roster, CHIEF, "export.fetch", statement, number=number)


def test_a_file_of_more_than_five_hundred_households_is_refused(
    engine: Engine, roster: Engine, world: World
) -> None:
    run(engine, "INSERT INTO household (code, dwelling_id, persons) SELECT 'X' || n, :dwelling, 0"
                " FROM generate_series(1, 500) n", dwelling=world.dwelling["low 101"])  # fmt: skip
    with pytest.raises(InputError, match="500"):
        exports.ask(roster, CHIEF, GRID_OWN, [], "visit")
    assert exports.ask(roster, OFFICE, GRID_SIBLING, [], "visit")
