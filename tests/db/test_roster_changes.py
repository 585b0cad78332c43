"""Whatever is asked and decided, in whatever order: households stay whole, and what they said is kept."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import ROSTER, acting, make_engine
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotAllowedError, NotFoundError
from gridmgmt.households.actor import Actor
from gridmgmt.households.changes import reviews, service, stored
from gridmgmt.households.changes.history import history_of
from gridmgmt.households.changes.models import Kind, ReviewStatus
from gridmgmt.households.changes.relations import seen_from
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.households.models import Relation
from gridmgmt.privacy import audit
from gridmgmt.privacy.cipher import unseal

from . import roster_world as world_of
from .roster_world import CHIEF, OFFICE, OTHER_CHIEF, OTHER_OFFICE, SIBLING_CHIEF, World

TODAY = china_today()
REFUSED = "row-level security|permission denied"


@dataclass(frozen=True)
class Place:
    """The world, the owner's engine and the web's."""

    world: World
    owner: Engine
    engine: Engine

    def all(self, statement: str, **values: Any) -> list[Any]:
        with self.owner.connect() as connection:
            return list(connection.execute(text(statement), values))

    def one(self, statement: str, **values: Any) -> Any:
        [row] = self.all(statement, **values)
        return row[0]

    def ask(self, actor: Actor, kind: Kind, home: str, values: dict[str, Any], **more: Any) -> int | None:
        household = self.world.home[home] if home else None
        person = self.world.person[more["who"]] if "who" in more else None
        wanted = Wanted(kind, household, person, more.get("on", TODAY), values)
        return service.ask(self.engine, self.world.ring, actor, wanted)

    def decide(self, change: int | None, approve: bool = True, actor: Actor = OFFICE) -> None:
        assert change is not None
        service.decide(self.engine, self.world.ring, actor, change, approve, "" if approve else "材料不全")

    def people(self, home: int) -> dict[str, str]:
        rows = self.all(
            "SELECT name, relation FROM person WHERE household_id = :home AND left_on IS NULL", home=home
        )
        return {row.name: row.relation for row in rows}


@pytest.fixture
def place(database: str, tmp_path: Path) -> Iterator[Place]:
    owner, roster = make_engine(database, pooled=True), make_engine(database, role=ROSTER, pooled=True)
    yield Place(world_of.build(owner, world_of.make_ring(tmp_path)), owner, roster)
    roster.dispose()
    owner.dispose()


FAULTS = {
    "a household with people and not one head": """
        SELECT household_id FROM person WHERE left_on IS NULL GROUP BY 1
        HAVING count(*) FILTER (WHERE relation = 'head') <> 1""",
    "a count that is not that of the people": """
        SELECT h.id FROM household h WHERE persons <>
        (SELECT count(*) FROM person p WHERE p.household_id = h.id AND left_on IS NULL)""",
    "an ended household with people, or one that goes on without": """
        SELECT id FROM household WHERE (persons = 0) <> (ended_on IS NOT NULL)""",
    "somebody present without one open residency in the household's dwelling": """
        SELECT p.id FROM person p JOIN household h ON h.id = p.household_id WHERE left_on IS NULL AND
        (SELECT array_agg(dwelling_id) FROM residency WHERE person_id = p.id AND valid_to IS NULL)
            IS DISTINCT FROM ARRAY[h.dwelling_id]""",
    "somebody gone who still lives somewhere or is cared for": """
        SELECT p.id FROM person p WHERE left_on IS NOT NULL AND
        (EXISTS (SELECT FROM residency WHERE person_id = p.id AND valid_to IS NULL)
         OR EXISTS (SELECT FROM household_care WHERE person_id = p.id AND ended_on IS NULL))""",
    "residencies that overlap": """
        SELECT a.person_id FROM residency a JOIN residency b ON a.person_id = b.person_id AND a.id < b.id
        WHERE a.valid_from < coalesce(b.valid_to, 'infinity')
        AND b.valid_from < coalesce(a.valid_to, 'infinity')
    """,
    "a care of another household than its person's": """
        SELECT c.id FROM household_care c JOIN person p ON p.id = c.person_id
        WHERE c.ended_on IS NULL AND c.household_id <> p.household_id""",
    "somebody in another grid than the building": """
        SELECT p.id FROM person p JOIN household h ON h.id = p.household_id
        JOIN dwelling d ON d.id = h.dwelling_id JOIN building b ON b.id = d.building_id
        WHERE p.grid_id <> b.grid_id OR h.grid_id <> b.grid_id""",
    "something decided that nothing happened for": """
        SELECT c.id FROM roster_change c WHERE status = 'approved'
        AND NOT EXISTS (SELECT FROM roster_event e WHERE e.change_id = c.id)""",
}  # fmt: skip
TABLES = ("household", "person", "residency", "household_care")
STATE = " UNION ALL ".join(
    f"SELECT '{table}' AS what, id, to_jsonb(t) - ARRAY['salt', 'grid_id', 'persons', 'updated_at', 'given']"
    f" AS said FROM {table} t"
    for table in TABLES
)


def _state(place: Place) -> dict[tuple[str, int], Any]:
    return {(row.what, row.id): row.said for row in place.all(STATE)}


class Chance:
    """Draws what somebody may want, sensible or not, from the households as they stand."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.random = place, random.Random(seed)
        self.day, self.order = date(2021, 1, 1), 100

    def change(self, actor: Actor) -> Wanted:
        self.day = min(self.day + timedelta(days=self.random.choice((0, 1, 5, 20))), TODAY)
        # Mostly of the own area; that elsewhere is not there is tried too.
        area = actor.area if self.random.random() < 0.9 else ""
        homes = self.place.all(
            "SELECT h.id FROM household h JOIN grid g ON g.id = h.grid_id"
            " WHERE persons > 0 AND code15 LIKE :area || '%' ORDER BY h.id",
            area=area,
        ) or self.place.all("SELECT id FROM household WHERE persons > 0")
        doors = [
            row.id
            for row in self.place.all(
                "SELECT d.id FROM dwelling d JOIN building b ON b.id = d.building_id"
                " JOIN grid g ON g.id = b.grid_id WHERE code15 LIKE :area || '%' ORDER BY d.id",
                area=area,
            )
        ]
        home = self.random.choice(homes)
        people = [
            row.id
            for row in self.place.all(
                "SELECT id FROM person WHERE household_id = :home AND left_on IS NULL ORDER BY id",
                home=home.id,
            )
        ]
        kind = self.random.choice([*Kind, Kind.MOVE_IN, Kind.BIRTH, Kind.SPLIT])
        person = self.random.choice(people)
        some = self.random.sample(people, self.random.randint(1, len(people)))
        values: dict[Kind, Callable[[], dict[str, Any]]] = {
            Kind.CORRECT: lambda: self.random.choice(
                ({"name": f"改名{self._letter()}"}, {"relation": "other"}, {"registered_here": True},
                 {"identity_number": self._number()}, {"phone": "15400000099"})),
            Kind.BIRTH: lambda: {"name": f"新生{self._letter()}", "sex": "female"},
            Kind.DEATH: lambda: self._heir(people),
            Kind.MOVE_IN: lambda: {"people": self._newcomers()},
            Kind.MOVE_OUT: lambda: {
                "people": self.random.choice((some, None, None)),
                "to_dwelling": self.random.choice((None, *doors)), **self._heir(people)},
            Kind.SPLIT: lambda: {
                "people": some, "head": self.random.choice(some),
                "to_dwelling": self.random.choice((None, *doors)), **self._heir(people)},
            Kind.MERGE: lambda: {"into": self.random.choice(homes).id, "relation": "parent"},
            Kind.HEAD: lambda: {"new_head": person},
            Kind.CARE: lambda: {"category": "support", "basis": "走访", "expires": TODAY + timedelta(90)},
            Kind.CARE_END: lambda: {"care_id": self.random.choice([row.id for row in self.place.all(
                "SELECT id FROM household_care ORDER BY id")])},
        }  # fmt: skip
        chosen = values[kind]()
        household: int | None = home.id
        if kind is Kind.MOVE_IN and self.random.random() < 0.6:
            household, chosen["dwelling_id"] = None, self.random.choice(doors)
            chosen["people"][0]["relation"] = "head"
        whose = person if kind in (Kind.CORRECT, Kind.DEATH, Kind.CARE) else None
        return Wanted(kind, household, whose, self.day, chosen)

    def _heir(self, people: list[int]) -> dict[str, Any]:
        return {"new_head": self.random.choice((None, *people))}

    def _letter(self) -> str:
        return chr(self.random.randint(0x4E00, 0x9FA0))

    def _number(self) -> str:
        """A number of somebody known, gone or here, or a new one."""
        self.order += 1
        known = list(self.place.world.identity.values())
        return self.random.choice((*known, world_of.identity(date(1980, 1, 1), self.order)))

    def _newcomers(self) -> list[dict[str, Any]]:
        count = self.random.randint(1, 3)
        return [{"name": f"新来{self._letter()}", "relation": "other", "tenure": "tenant",
                 **({"identity_number": self._number()} if self.random.random() < 0.7 else {})}
                for _ in range(count)]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_by_random_people_leave_every_household_whole(place: Place, seed: int) -> None:
    chance = Chance(place, seed)
    done: dict[str, int] = {}
    for _ in range(110):
        actor = chance.random.choice((OFFICE, OFFICE, OTHER_OFFICE, CHIEF, SIBLING_CHIEF, OTHER_CHIEF))
        waiting = place.all("SELECT id FROM roster_change WHERE status = 'open'")
        before, lines = _state(place), place.one("SELECT count(*) FROM audit_log")
        kept = place.one("SELECT coalesce(max(id), 0) FROM roster_history")
        try:
            if waiting and chance.random.random() < 0.4:
                change = chance.random.choice(waiting).id
                place.decide(
                    change, chance.random.random() < 0.8, chance.random.choice((OFFICE, OTHER_OFFICE))
                )
                name = "decided"
            else:
                wanted = chance.change(actor)
                service.ask(place.engine, place.world.ring, actor, wanted)
                name = wanted.kind if actor.is_office else "asked"
        except GridmgmtError:
            name = "refused"
        done[name] = done.get(name, 0) + 1
        after = _state(place)
        for fault, statement in FAULTS.items():
            assert not place.all(statement), fault
        assert place.one("SELECT count(*) FROM audit_log") == lines + (name != "refused"), (
            "one line an operation"
        )
        if name == "refused":
            assert after == before
        rows = place.all("SELECT what, row_id, before FROM roster_history WHERE id > :kept", kept=kept)
        said = [(row.what, row.row_id, json.dumps(row.before, sort_keys=True)) for row in rows]
        for key, row in before.items():
            if after[key] != row:
                assert (*key, json.dumps(row, sort_keys=True)) in said, "what a row said before is kept"
    assert set(done) >= {"asked", "decided", "refused"}
    print(done)
    with place.owner.connect() as connection:
        assert audit.verify(connection).faults == ()


def test_of_two_officers_who_decide_at_once_one_wins(place: Place) -> None:
    for round_ in range(5):
        change = place.ask(
            CHIEF, Kind.CORRECT, "own", {"name": f"王建国{'一二三四五'[round_]}"}, who="王建国"
        )

        def approve(name: str, change: int | None = change) -> str:
            try:
                place.decide(change, actor=Actor(name, OFFICE.area))
            except ConflictError:
                return "late"
            return name

        with ThreadPoolExecutor(2) as both:
            outcomes = set(both.map(approve, ("first", "second")))
        assert outcomes in ({"first", "late"}, {"second", "late"})
        decided = place.one("SELECT decided_by FROM roster_change WHERE id = :id", id=change)
        assert {decided, "late"} == outcomes
    assert place.one("SELECT count(*) FROM audit_log WHERE what = 'change.decide'") == 5


def test_grid_staff_write_no_key_field_by_service_or_by_sql(place: Place) -> None:
    world = place.world
    before = _state(place)
    with pytest.raises(NotAllowedError):
        place.decide(place.ask(CHIEF, Kind.HEAD, "own", {"new_head": world.person["李秀兰"]}), actor=CHIEF)
    tried = (
        "UPDATE person SET name = '某'",
        "UPDATE person SET left_on = current_date, left_why = 'died'",
        "UPDATE household SET ended_on = current_date",
        "UPDATE residency SET valid_to = current_date",
        "UPDATE household_care SET ended_on = current_date",
        "INSERT INTO household (code, dwelling_id, persons) SELECT 'x', dwelling_id, 0 FROM household",
        "INSERT INTO person (household_id, relation, name) SELECT id, 'other', '某' FROM household LIMIT 1",
        "INSERT INTO residency (person_id, dwelling_id, relation, valid_from)"
        " SELECT p.id, dwelling_id, 'other', current_date FROM person p, household LIMIT 1",
        "INSERT INTO roster_event (kind, household_id, on_date, made_by)"
        " SELECT 'head', id, current_date, 'own chief' FROM household LIMIT 1",
        "DELETE FROM person",
    )
    approving = "UPDATE roster_change SET status = 'approved', decided_at = now()"
    with acting(place.engine, CHIEF.username, CHIEF.area) as connection:
        audit.record(connection, "change.ask", area=CHIEF.area)
        with pytest.raises(DatabaseError, match=REFUSED):
            connection.execute(text(approving))
        connection.rollback()
    for statement in tried:
        with (
            nullcontext() if statement.startswith("UPDATE") else pytest.raises(DatabaseError, match=REFUSED),
            acting(place.engine, CHIEF.username, CHIEF.area) as connection,
        ):
            audit.record(connection, "change.ask", area=CHIEF.area)
            assert connection.execute(text(statement)).rowcount == 0, statement
    assert _state(place) == before
    assert place.one("SELECT count(*) FROM roster_change WHERE status <> 'open'") == 0


def test_what_the_database_does_for_changes_asks_who_acts_and_for_a_line_in_the_log(place: Place) -> None:
    world = place.world
    person, elsewhere = world.person["王建国"], world.person["孙德明"]
    index = place.one("SELECT identity_index FROM person WHERE id = :id", id=elsewhere)

    def answers(actor: Actor, logged: bool) -> list[Any]:
        calls = (
            f"roster_set_phone({person}, NULL, NULL, NULL)",
            f"roster_set_phone({elsewhere}, NULL, NULL, NULL)",
            f"roster_number_stands('{index}')", f"roster_take_back('{index}', {world.home['own']}, 'other')",
            f"roster_empty_home(900, {world.dwelling['other 202']})",
            f"roster_move_here(1, {world.home['own']}, 'other', current_date)",
        )  # fmt: skip
        found = []
        for call in calls:
            with acting(place.engine, actor.username, actor.area) as connection:
                if logged:
                    audit.record(connection, "change.ask", area=actor.area)
                found.append(connection.execute(text(f"SELECT {call}")).scalar())
                connection.rollback()
        return found

    assert answers(OFFICE, logged=False) == [False, False, None, None, False, None]
    assert answers(CHIEF, logged=True) == [True, False, None, None, False, None]
    assert answers(OFFICE, logged=True) == [True, False, "present", None, False, None]
    assert answers(Actor("nobody", ""), logged=True) == [False, False, None, None, False, None]


def test_a_head_who_dies_needs_another_and_the_relations_follow(place: Place) -> None:
    with pytest.raises(InputError, match="new_head"):
        place.ask(OFFICE, Kind.DEATH, "own", {}, who="王建国")
    change = place.ask(CHIEF, Kind.DEATH, "own", {"new_head": place.world.person["王小明"]}, who="王建国")
    assert place.people(place.world.home["own"])["王建国"] == "head", "a request changes nothing yet"
    place.decide(change)
    assert place.people(place.world.home["own"]) == {"王小明": "head", "李秀兰": "parent"}
    place.ask(OFFICE, Kind.DEATH, "alone", {}, who="赵桂英")
    assert place.one("SELECT ended_on FROM household WHERE code = 'H-alone'") == TODAY
    assert place.one("SELECT count(*) FROM household_care WHERE category = 'elderly_alone'"
                     " AND ended_on IS NULL") == 0  # fmt: skip


def test_relations_are_derived_both_ways() -> None:
    for new in Relation:
        assert seen_from(new, new) is Relation.HEAD or new is not Relation.HEAD
    assert seen_from(Relation.PARENT, Relation.PARENT) is Relation.SPOUSE
    assert seen_from(Relation.CHILD, Relation.CHILD) is Relation.OTHER


def test_a_request_that_no_longer_fits_says_so_and_stays_open(place: Place) -> None:
    renamed = place.ask(CHIEF, Kind.CORRECT, "own", {"name": "王健国"}, who="王建国")
    moved = place.ask(CHIEF, Kind.MOVE_OUT, "tenants", {"people": None})
    number = world_of.identity(date(1972, 8, 3), 24)
    renumbered = place.ask(CHIEF, Kind.CORRECT, "own", {"identity_number": number}, who="李秀兰")
    place.ask(OFFICE, Kind.CORRECT, "own", {"name": "王见国"}, who="王建国")
    place.ask(OFFICE, Kind.BIRTH, "tenants", {"name": "陈新生"})
    place.ask(OFFICE, Kind.DEATH, "own", {}, who="李秀兰")
    for change, field in ((renamed, "name"), (moved, "people"), (renumbered, "person_id")):
        with pytest.raises(ConflictError, match="no longer fits") as told:
            place.decide(change)
        assert isinstance(told.value.__cause__, InputError)
        assert told.value.__cause__.field == field
    assert place.one("SELECT count(*) FROM roster_change WHERE status = 'open'") == 3
    place.decide(renamed, approve=False)
    with pytest.raises(ConflictError, match="decided already"):
        place.decide(renamed)


def test_who_had_moved_away_comes_back_as_the_same_person_also_from_another_town(place: Place) -> None:
    world = place.world
    number = world.identity["孙德明"]
    back = {
        "people": [{"name": "孙德明", "relation": "other", "identity_number": number, "phone": "15400000077"}]
    }
    with pytest.raises(ConflictError, match="elsewhere"):
        place.ask(OFFICE, Kind.MOVE_IN, "own", back)
    asked = place.ask(CHIEF, Kind.MOVE_IN, "own", back)
    assert asked, "grid staff do not learn that somebody stands elsewhere"
    place.ask(OTHER_OFFICE, Kind.MOVE_OUT, "other",
              {"people": [world.person["孙德明"]], "new_head": world.person["周玉梅"]})  # fmt: skip
    place.decide(asked)
    [row] = place.all("SELECT * FROM person WHERE name = '孙德明'")
    assert (row.id, row.household_id, row.grid_id) == (
        world.person["孙德明"],
        world.home["own"],
        world.grid["own"],
    )
    assert unseal(world.ring, bytes(row.salt), "identity", bytes(row.identity)) == number
    assert unseal(world.ring, bytes(row.salt), "phone", bytes(row.phone)) == "15400000077"
    with pytest.raises(ConflictError, match="H-own"):
        place.ask(OFFICE, Kind.MOVE_IN, "tenants", back)


def test_people_move_into_an_empty_dwelling_that_nothing_counts_before_the_office_agrees(
    place: Place,
) -> None:
    people = [
        {"name": "何大伟", "relation": "head", "tenure": "tenant"},
        {"name": "何小伟", "relation": "child"},
    ]
    homes = "SELECT sum(households) FROM grid_households"
    before = place.one(homes)
    values = {"dwelling_id": place.world.dwelling["high 401"], "people": people}
    change = place.ask(CHIEF, Kind.MOVE_IN, "", values)
    assert place.one(homes) == before
    place.decide(change)
    assert place.one(homes) == before + 1
    new = place.one("SELECT household_id FROM roster_change WHERE id = :id", id=change)
    assert place.people(new) == {"何大伟": "head", "何小伟": "child"}
    with pytest.raises(NotFoundError):
        place.ask(CHIEF, Kind.MOVE_IN, "", values | {"dwelling_id": place.world.dwelling["old 101"]})


def test_a_phone_is_noted_at_the_door_and_the_rest_is_asked_for(place: Place) -> None:
    assert place.ask(CHIEF, Kind.CORRECT, "own", {"phone": "154 0000 0091"}, who="王小明") is None
    change = place.ask(CHIEF, Kind.CORRECT, "own", {"phone": "15400000092", "name": "王晓明"}, who="王小明")
    [row] = place.all("SELECT * FROM person WHERE name = '王小明'")
    assert unseal(place.world.ring, bytes(row.salt), "phone", bytes(row.phone)) == "15400000092"
    with acting(place.engine, OFFICE.username, OFFICE.area) as connection:
        [line] = stored.of_household(connection, place.world.ring, place.world.home["own"])
    assert line.id == change
    assert line.differences == (stored.Difference("姓名", "王小明", "王晓明"),)
    with pytest.raises(NotFoundError):
        place.ask(SIBLING_CHIEF, Kind.CORRECT, "own", {"phone": "15400000093"}, who="王小明")


def test_no_number_stands_in_clear_and_none_is_taken_in_words(place: Place) -> None:
    number, phone = world_of.identity(date(2019, 5, 5), 31), "15400000055"
    newcomer = {"name": "李新来", "relation": "other", "identity_number": number, "phone": phone}
    change = place.ask(CHIEF, Kind.MOVE_IN, "own", {"people": [newcomer]})
    household = place.world.home["own"]
    wanted = Wanted(Kind.BIRTH, household, None, TODAY, {"name": "李"}, reason=f"号码是{number}")
    with pytest.raises(InputError) as told:
        service.ask(place.engine, place.world.ring, CHIEF, wanted)
    assert number not in str(told.value)
    [line] = service.open_changes(place.engine, place.world.ring, OFFICE)
    assert "379981********" in line.differences[0].to
    assert "154****0055" in line.differences[0].to
    place.decide(change)
    for table in ("roster_change", "roster_history", "roster_event", "person", "audit_log"):
        everything = str(place.all(f"SELECT to_jsonb(t) FROM {table} t"))
        assert number not in everything
        assert phone not in everything


def test_history_says_who_changed_what_and_of_a_number_only_that_it_was(place: Place) -> None:
    household = place.world.home["own"]
    number = world_of.identity(date(1972, 8, 4), 42)
    place.decide(place.ask(CHIEF, Kind.CORRECT, "own", {"identity_number": number}, who="李秀兰"))
    place.ask(OFFICE, Kind.HEAD, "own", {"new_head": place.world.person["李秀兰"]})
    with acting(place.engine, OFFICE.username, OFFICE.area) as connection:
        lines = history_of(connection, place.world.ring, household_id=household)
        events = stored.events_of(connection, household)
    said = {(line.person, line.field, line.was, line.to) for line in lines}
    assert {
        ("李秀兰", "身份证号", "有更正", "有更正"),
        ("李秀兰", "出生日期", "1972-08-03", "1972-08-04"),
        ("李秀兰", "与户主关系", "配偶", "户主"),
        ("王建国", "与户主关系", "户主", "配偶"),
    } <= said
    assert {line.made_by for line in lines} == {OFFICE.username}
    assert [event.kind_name for event in events] == ["变更户主", "更正"]
    with acting(place.engine, CHIEF.username, CHIEF.area) as connection:
        assert history_of(connection, place.world.ring, household_id=household) == []


def _waits(place: Place, kind: str, person: str, row: dict[str, Any]) -> int:
    return world_of.review_row(place.owner, place.world, kind, person, row)


def test_the_office_says_who_a_doubtful_row_is(place: Place) -> None:
    world = place.world
    there = {"building_code": "high", "dwelling": "401", "household_code": "new-1", "tenure": "tenant"}
    filled = _waits(
        place,
        "same_person",
        "王小明",
        {"name": "王小明", "relation": "child", "phone": "15400000061", "household_code": "H-own"},
    )
    moved = _waits(
        place,
        "same_identity",
        "周玉梅",
        {
            "name": "周玉梅",
            "relation": "head",
            "identity_number": world.identity["周玉梅"],
            "care": ["support"],
            **there,
        },
    )
    headed = _waits(
        place,
        "same_identity",
        "孙德明",
        {"name": "孙德明", "relation": "spouse", "identity_number": world.identity["孙德明"], **there},
    )
    other = _waits(
        place,
        "same_identity",
        "赵桂英",
        {
            "name": "赵贵英",
            "relation": "head",
            "identity_number": world.identity["赵桂英"],
            "household_code": "H-tenants",
        },
    )
    dropped = _waits(place, "same_phone", "陈志强", {"name": "某人", "household_code": "H-own"})  # fmt: skip
    with pytest.raises(NotAllowedError):
        reviews.reviews(place.engine, world.ring, CHIEF)
    assert reviews.reviews(place.engine, world.ring, OTHER_OFFICE) == []
    lines = {line.id: line for line in reviews.reviews(place.engine, world.ring, OFFICE)}
    assert lines[filled].differs >= {"电话"}
    assert "姓名" not in lines[filled].differs
    assert not lines[moved].known, "people of another town are out of sight"

    def say(number: int, decision: ReviewStatus, actor: Actor = OFFICE) -> None:
        reviews.decide_review(place.engine, world.ring, actor, number, decision)

    with pytest.raises(NotFoundError):
        say(filled, ReviewStatus.SAME, OTHER_OFFICE)
    say(filled, ReviewStatus.SAME)
    assert place.one("SELECT phone IS NOT NULL FROM person WHERE name = '王小明'")
    with pytest.raises(ConflictError, match="new_head"):
        say(headed, ReviewStatus.MOVED)
    say(moved, ReviewStatus.MOVED)
    [row] = place.all("SELECT p.*, h.code FROM person p JOIN household h ON h.id = household_id"
                      " WHERE name = '周玉梅'")  # fmt: skip
    assert (row.id, row.code, row.relation) == (world.person["周玉梅"], "new-1", "head")
    assert row.grid_id == world.grid["own"]
    say(headed, ReviewStatus.MOVED)  # he is alone now, and may
    say(other, ReviewStatus.OTHER)
    assert place.people(world.home["tenants"])["赵贵英"] == "other"
    assert place.one("SELECT identity IS NULL FROM person WHERE name = '赵贵英'")
    say(dropped, ReviewStatus.DROPPED)
    with pytest.raises(ConflictError, match="decided already"):
        say(dropped, ReviewStatus.SAME)
    assert place.all("SELECT FROM roster_review WHERE status = 'open' OR sealed IS NOT NULL") == []
    for fault, statement in FAULTS.items():
        assert not place.all(statement), fault
    assert place.one("SELECT count(*) FROM audit_log WHERE what = 'review.decide'") == 5
