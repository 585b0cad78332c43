"""Reading the roster: what grid chief and town office find, what stays masked, what the log says of it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError, NotFoundError, TamperedError
from gridmgmt.households.actor import Actor
from gridmgmt.households.reading import home, overview, reveal, roster, search
from gridmgmt.households.reading.lines import DoorLine
from gridmgmt.households.reading.residents import DAMAGED

from . import roster_world
from .roster_world import CHIEF, GRID_OTHER, GRID_OWN, GRID_SIBLING, OFFICE, OTHER_OFFICE, World

NOBODY = (Actor("nobody", ""), Actor("unbound", "-"), Actor("county", roster_world.COUNTY))


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return roster_world.build(engine, roster_world.make_ring(tmp_path))


@pytest.fixture
def people(engine: Engine, world: World) -> Iterator[Engine]:
    """The database with the rights of the web's roster."""
    made = roster_world.roster_engine(engine)
    yield made
    made.dispose()


def _run(engine: Engine, statement: str, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement), values)


def _log(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT * FROM audit_log ORDER BY id")))


def _doors(people: Engine, world: World) -> dict[str, DoorLine]:
    found = roster.grid_roster(people, world.ring, CHIEF, GRID_OWN)
    return {
        f"{b.address} {door.door}": door for b, door in found.lines() if door.home is None or door.home.head
    }


def test_a_grid_is_read_by_building_and_floor_with_numbers_covered(people: Engine, world: World) -> None:
    found = roster.grid_roster(people, world.ring, CHIEF, GRID_OWN, today=date(2026, 5, 11))
    assert [building.address for building in found.buildings] == ["春天路1号", "春天路3号"]
    assert [door.floor for door in found.buildings[1].doors] == [2, 2, 4]
    assert (found.households, found.persons, found.dwellings, found.verified) == (4, 7, 5, 0)
    own = next(door.home for _, door in found.lines() if door.home and door.home.id == world.home["own"])
    assert own is not None
    assert [(p.name, p.relation, p.age, p.apart) for p in own.people] == [
        ("王建国", "户主", 55, False), ("李秀兰", "配偶", 53, False), ("王小明", "子女", 25, True),
    ]  # fmt: skip
    assert own.head is not None
    assert own.head.phone == "154****0001"
    assert [door.home for door in found.buildings[1].doors if door.door == "401"] == [None]


def test_several_filters_at_once_must_all_hold(people: Engine, world: World) -> None:
    found = roster.grid_roster(people, world.ring, CHIEF, GRID_OWN)
    everything = found.counts([])
    assert (everything["elderly_alone"], everything["tenant"], everything["apart"]) == (1, 1, 2)
    assert (everything["low_lying"], everything["unverified"], everything["left_behind"]) == (3, 6, 0)
    flooded = found.shown(["elderly_alone", "low_lying"])
    assert [door.home.people[0].name for _, door in flooded.lines() if door.home] == ["赵桂英"]
    assert found.counts(["elderly_alone"])["low_lying"] == 1
    assert found.counts(["elderly_alone"])["tenant"] == 0
    assert found.shown(["elderly_alone", "tenant"]).buildings == ()


def test_a_check_counts_from_the_first_day_of_the_newest_survey(
    engine: Engine, people: Engine, world: World
) -> None:
    _run(
        engine, "UPDATE dwelling SET verified_on = '2026-03-01' WHERE id = :id", id=world.dwelling["low 101"]
    )
    assert _doors(people, world)["春天路1号 101"].verified
    _run(
        engine,
        "INSERT INTO survey (area, name, start_on, due_on, created_by) VALUES (:town, 's', '2026-04-01',"
        " '2026-06-30', 'x'), (:other, 'later, elsewhere', '2026-05-01', '2026-06-30', 'x'),"
        " (:sibling, 'later, next door', '2026-05-02', '2026-06-30', 'x')",
        town=roster_world.TOWN_OWN, other=roster_world.TOWN_OTHER, sibling=GRID_SIBLING,
    )  # fmt: skip
    found = roster.grid_roster(people, world.ring, OFFICE, GRID_OWN)
    assert found.since == date(2026, 4, 1)
    assert found.verified == 0
    _run(
        engine, "UPDATE dwelling SET verified_on = '2026-04-01' WHERE id = :id", id=world.dwelling["low 101"]
    )
    assert _doors(people, world)["春天路1号 101"].verified


def test_what_is_due_stands_on_top_by_day(engine: Engine, people: Engine, world: World) -> None:
    today = china_today()
    _run(engine, "UPDATE household_care SET expires = :day", day=today + timedelta(days=30))
    _run(
        engine,
        "WITH r AS (INSERT INTO visit_round (area, title, message, criteria, due_on, created_by)"
        " VALUES (:town, '防汛提醒', '', '{}', :day, 'x') RETURNING id)"
        " INSERT INTO visit_stop (round_id, household_id) SELECT r.id, h FROM r, unnest(:homes) AS h",
        town=roster_world.TOWN_OWN, day=today - timedelta(days=1),
        homes=[world.home["alone"], world.home["sibling"]],
    )  # fmt: skip
    _run(
        engine,
        "INSERT INTO visit_stop (round_id, household_id, status, closed_at, closed_by)"
        " SELECT id, :home, 'done', now(), 'x' FROM visit_round",
        home=world.home["tenants"],
    )
    _run(
        engine,
        "INSERT INTO roster_change (household_id, kind, on_date, payload, reason, made_by)"
        " VALUES (:home, 'correct', :day, '{}', 'x', 'x')",
        home=world.home["tenants"], day=today,
    )  # fmt: skip
    found = roster.grid_roster(people, world.ring, CHIEF, GRID_OWN).due
    assert [(due.kind, due.household_id) for due in found] == [
        ("stop", world.home["alone"]), ("care", world.home["own"]), ("care", world.home["alone"]),
        ("change", world.home["tenants"]),
    ]  # fmt: skip
    later = roster.grid_roster(people, world.ring, CHIEF, GRID_OWN, today=today - timedelta(days=1)).due
    assert "care" not in [due.kind for due in later], "31 days are not soon"


def test_what_is_elsewhere_is_not_found_whoever_asks_and_whatever_for(people: Engine, world: World) -> None:
    sees = {
        CHIEF: ("own",), OFFICE: ("own", "sibling"), OTHER_OFFICE: ("other",),
        **dict.fromkeys(NOBODY, ()),
    }  # fmt: skip
    grids = {"own": GRID_OWN, "sibling": GRID_SIBLING, "other": GRID_OTHER}
    head = {"own": "王建国", "sibling": "刘国庆", "other": "孙德明"}
    checked = 0
    for actor, seen in sees.items():
        for place, grid in grids.items():
            person, number = world.person[head[place]], world.identity[head[place]]
            if place in seen:
                assert roster.grid_roster(people, world.ring, actor, grid).persons > 0
                assert home.household(people, world.ring, actor, world.home[place]).people
                assert reveal.reveal(people, world.ring, actor, person, "identity", "call") == number
            else:
                with pytest.raises(NotFoundError):
                    roster.grid_roster(people, world.ring, actor, grid)
                with pytest.raises(NotFoundError):
                    home.household(people, world.ring, actor, world.home[place])
                with pytest.raises(NotFoundError):
                    reveal.reveal(people, world.ring, actor, person, "identity", "call")
            for words in (number, head[place], world.phone[head[place]]):
                hits = search.search(people, world.ring, actor, words).hits
                assert [hit.name for hit in hits] == ([head[place]] if place in seen else [])
            checked += 1
    print(f"{checked} pairs of actor and place")


def test_every_reading_leaves_one_line_that_does_not_say_what_was_found(
    engine: Engine, people: Engine, world: World
) -> None:
    number, phone, who = world.identity["王建国"], world.phone["王建国"], world.person["王建国"]
    readings = (
        ("roster.grid", lambda: roster.grid_roster(people, world.ring, CHIEF, GRID_OWN)),
        ("household.view", lambda: home.household(people, world.ring, CHIEF, world.home["own"])),
        ("roster.search", lambda: search.search(people, world.ring, CHIEF, number)),
        ("roster.search", lambda: search.search(people, world.ring, CHIEF, phone)),
        ("roster.search", lambda: search.search(people, world.ring, CHIEF, "王建国")),
        ("person.reveal", lambda: reveal.reveal(people, world.ring, CHIEF, who, "phone", "care")),
    )  # fmt: skip
    for count, (what, read) in enumerate(readings, 1):
        read()
        lines = _log(engine)
        assert len(lines) == count
        assert (lines[-1].what, lines[-1].who) == (what, CHIEF.username)
        assert world.home["own"] in lines[-1].households
    assert (lines[-1].person_id, lines[-1].purpose, lines[-1].detail) == (
        who, "care", {"field": "phone"},
    )  # fmt: skip
    written = "".join(str(line) for line in lines)
    assert not any(word in written for word in (number, phone, "王建国", "春天路"))
    overview.buildings(people, CHIEF)
    overview.grids(people, OFFICE)
    assert len(_log(engine)) == len(readings), "counts are no reading of a person"


def test_a_refused_reading_leaves_no_line(engine: Engine, people: Engine, world: World) -> None:
    with pytest.raises(NotFoundError):
        home.household(people, world.ring, CHIEF, world.home["other"])
    with pytest.raises(InputError):
        search.search(people, world.ring, CHIEF, " 　 ")
    with pytest.raises(InputError):
        reveal.reveal(people, world.ring, CHIEF, world.person["王建国"], "name", "call")
    with pytest.raises(InputError):
        reveal.reveal(people, world.ring, CHIEF, world.person["王建国"], "phone", "curiosity")
    with pytest.raises(NotFoundError):
        reveal.reveal(people, world.ring, CHIEF, world.person["王小明"], "phone", "call")
    assert _log(engine) == []


SEARCHES = (
    ("１５４ ０００００００１", "phone", ["王建国"]),
    ("王", "words", ["王大山", "王小明", "王建国"]),
    ("建国", "words", ["王建国"]),
    ("娜", "words", []),
    ("欧阳 娜娜", "words", ["欧阳娜娜"]),
    ("春天路3号", "words", ["陈志强", None, None]),
    ("春天路3号201室", "words", ["陈志强"]),
    ("3号 20", "words", ["陈志强", None]),
    ("%", "words", []),
    ("_" * 3, "words", []),
    ("' OR true --", "words", []),
)


def test_a_search_decides_by_itself_what_is_looked_for(people: Engine, world: World) -> None:
    for words, by, names in SEARCHES:
        found = search.search(people, world.ring, CHIEF, words)
        assert found.by == by, words
        assert sorted(str(hit.name) for hit in found.hits) == sorted(map(str, names)), words
        assert not found.more


def test_a_number_is_found_in_full_only_and_the_small_x_is_the_same(people: Engine, world: World) -> None:
    number = world.identity["王建国"]
    hits = search.search(people, world.ring, CHIEF, f"{number[:6]} {number[6:]}".lower()).hits
    assert [(hit.name, hit.household_id) for hit in hits] == [("王建国", world.home["own"])]
    with pytest.raises(InputError):  # a number with a slip must not go on into a statement as a name would
        search.search(people, world.ring, CHIEF, number[:17])


def test_a_search_shows_fifty_and_says_that_there_are_more(
    engine: Engine, people: Engine, world: World
) -> None:
    _run(
        engine,
        "INSERT INTO person (household_id, relation, name) SELECT :home, 'other', '钱' || n"
        " FROM generate_series(1, 50) n",
        home=world.home["own"],
    )
    assert not search.search(people, world.ring, CHIEF, "钱").more
    _run(
        engine,
        "INSERT INTO person (household_id, relation, name) VALUES (:h, 'other', '钱多')",
        h=world.home["own"],
    )
    found = search.search(people, world.ring, CHIEF, "钱")
    assert (len(found.hits), found.more) == (search.MOST, True)


def test_who_has_left_is_not_found_and_not_shown_but_named_as_former(
    engine: Engine, people: Engine, world: World
) -> None:
    who = world.person["李秀兰"]
    _run(engine, "UPDATE person SET left_on = '2026-01-02', left_why = 'moved' WHERE id = :id", id=who)
    assert search.search(people, world.ring, CHIEF, world.identity["李秀兰"]).hits == ()
    with pytest.raises(NotFoundError):
        reveal.reveal(people, world.ring, CHIEF, who, "identity", "call")
    found = home.household(people, world.ring, CHIEF, world.home["own"])
    assert [person.name for person in found.people] == ["王建国", "王小明"]
    assert [(each.name, each.why) for each in found.former] == [("李秀兰", "迁出")]


def test_a_household_shows_masks_care_and_where_people_are_registered(
    engine: Engine, people: Engine, world: World
) -> None:
    _run(
        engine, "UPDATE person SET registered_dwelling_id = :d WHERE id = :id",
        d=world.dwelling["other 201"], id=world.person["李秀兰"],
    )  # fmt: skip
    found = home.household(people, world.ring, CHIEF, world.home["own"])
    head, spouse, child = found.people
    number = world.identity["王建国"]
    assert (head.identity, head.phone) == (f"{number[:6]}********{number[-4:]}", "154****0001")
    assert (head.registered, head.apart) == (home.HERE, False)
    assert (spouse.registered, spouse.apart) == (home.ELSEWHERE, True), "another town's address is not told"
    assert (child.care, head.care) == (("残疾人",), ())
    assert (found.flags, found.neighbours) == (("低洼",), (world.home["shared"],))


def test_restricted_people_are_named_but_their_numbers_neither_masked_nor_shown(
    engine: Engine, people: Engine, world: World
) -> None:
    who = world.person["王建国"]
    _run(engine, "UPDATE person SET restricted_on = '2026-01-01' WHERE id = :id", id=who)
    head = home.household(people, world.ring, CHIEF, world.home["own"]).people[0]
    assert (head.name, head.identity, head.phone) == ("王建国", None, None)
    line = _doors(people, world)["春天路1号 101"].home
    assert line is not None
    before = len(_log(engine))
    with pytest.raises(reveal.RestrictedError):
        reveal.reveal(people, world.ring, CHIEF, who, "phone", "call")
    assert len(_log(engine)) == before


def test_thirty_numbers_an_hour_and_of_two_at_once_only_one_is_the_last(
    engine: Engine, people: Engine, world: World
) -> None:
    def one(actor: Actor = CHIEF) -> str:
        return reveal.reveal(people, world.ring, actor, world.person["王建国"], "phone", "call")

    for _ in range(reveal.AN_HOUR - 1):
        one()
    with ThreadPoolExecutor(2) as pool:
        came = [run.exception() for run in [pool.submit(one), pool.submit(one)]]
    assert sorted(type(each).__name__ for each in came) == ["NoneType", "TooManyError"]
    assert len(_log(engine)) == reveal.AN_HOUR
    assert one(OFFICE) == world.phone["王建国"], "another account has its own hour"


def test_a_damaged_value_spoils_itself_and_not_the_page(engine: Engine, people: Engine, world: World) -> None:
    _run(
        engine,
        "UPDATE person SET phone = (SELECT phone FROM person WHERE id = :other) WHERE id = :id",
        id=world.person["王建国"], other=world.person["李秀兰"],
    )  # fmt: skip
    head, spouse, _ = home.household(people, world.ring, CHIEF, world.home["own"]).people
    assert (head.phone, spouse.phone) == (DAMAGED, "154****0002")
    with pytest.raises(TamperedError):
        reveal.reveal(people, world.ring, CHIEF, world.person["王建国"], "phone", "call")


def test_the_map_tells_of_doors_and_of_nobody(people: Engine, world: World) -> None:
    found = overview.buildings(people, CHIEF)
    assert [each["properties"]["to_do"] for each in found["features"]] == [2, 3]
    assert found["features"][0]["properties"]["flags"] == ["低洼"]
    written = json.dumps(found, ensure_ascii=False)
    assert not any(name in written for name in world.person)
    assert overview.buildings(people, NOBODY[0])["features"] == []


def test_a_town_office_sees_its_own_grids_in_counts(people: Engine, world: World) -> None:
    found = {
        line.code: (line.households, line.persons, line.dwellings) for line in overview.grids(people, OFFICE)
    }
    assert found == {GRID_OWN: (4, 7, 5), GRID_SIBLING: (1, 2, 1)}
    with pytest.raises(InputError):
        overview.grids(people, CHIEF)
