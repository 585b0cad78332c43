"""Versions of the tree in the database: the packaged one, a city's own beside it; what was issued stands."""

from datetime import date

import pytest
from sqlalchemy import Connection, Engine, text

from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.index import stored, trees
from gridmgmt.index.reading import TreeError, read
from gridmgmt.index.tree import Indicator

JANUARY, FEBRUARY, MARCH = date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)
OWN = """
code = "own"
name = "自有指数"
ways = ["arithmetic", "arithmetic", "arithmetic"]

[[group]]
code = "1"
name = "为民服务"
weight = 1

[[group]]
code = "1.1"
name = "诉求办理"
weight = 1

[[indicator]]
code = "1.1.1"
name = "教育诉求按期办结率"
weight = 0.25
unit = "%"
better = "more"
levels = ["town", "city"]
measured = { part = "matters.on_time", of = "matters.due", categories = ["教育"] }
floor = 85
target = 97.4

[[indicator]]
code = "1.1.2"
name = "救助按时办结率"
weight = 0.75
unit = "%"
better = "more"
levels = ["town"]
department = "民政局"
scale = "rank"
"""


@pytest.fixture
def city(engine: Engine) -> Engine:
    """A city with one department and one category; the packaged tree came with its schema."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO department VALUES ('民政局')"))
        connection.execute(text("INSERT INTO category (code, name, open) VALUES ('20', '教育', false)"))
    return engine


def load(engine: Engine, first: date, words: str = OWN) -> int:
    return trees.load(engine, "command", words, "own.toml", first)


def build(engine: Engine, month: date, *, issued: bool) -> None:
    with engine.begin() as connection:
        number = stored.version_of(connection, month).id
        connection.execute(
            text("INSERT INTO index_month (month, tree_id, built_by, issued_at)"
                 " VALUES (:month, :tree, 'test', CASE WHEN :issued THEN now() END)"),
            {"month": month, "tree": number, "issued": issued},
        )  # fmt: skip


def rows(connection: Connection, version: int) -> dict[str, tuple[object, ...]]:
    query = text("SELECT code, parent, weight, unit, levels, department FROM indicator WHERE tree_id = :id")
    return {row.code: tuple(row)[1:] for row in connection.execute(query, {"id": version})}


def test_a_fresh_city_has_the_packaged_tree_in_force_since_ever(engine: Engine) -> None:
    trees.install(engine)
    with engine.connect() as connection:
        [version] = stored.versions(connection)
        assert (version.in_force_from, version.added_by) == (date(1900, 1, 1), "gridmgmt")
        assert version.tree.counts() == (7, 39, 77)
        packaged = trees.PACKAGED.read_text(encoding="utf-8")
        assert trees.document(connection, version.id) == packaged
        found = rows(connection, version.id)
        filled_in = {code for code, row in found.items() if row[-1]}
        assert len(found) == 7 + 39 + 77
        assert filled_in == {each.code for each in version.tree.indicators if each.measured is None}


def test_months_go_by_a_city_s_own_tree_from_the_one_on_that_it_is_in_force(city: Engine) -> None:
    number = load(city, FEBRUARY)
    with city.connect() as connection:
        assert stored.version_of(connection, JANUARY).tree.code == "default"
        own = stored.version_of(connection, FEBRUARY)
        assert (own.id, own.name, own.added_by) == (number, "自有指数", "command")
        assert own.tree == read(trees.document(connection, number), "again")
        assert rows(connection, number) == {
            "1": ("", 1.0, None, None, None),
            "1.1": ("1", 1.0, None, None, None),
            "1.1.1": ("1.1", 0.25, "%", ["city", "town"], None),
            "1.1.2": ("1.1", 0.75, "%", ["town"], "民政局"),
        }


def test_the_same_text_and_day_again_changes_nothing_and_the_newest_of_a_day_holds(city: Engine) -> None:
    first = load(city, FEBRUARY)
    assert load(city, FEBRUARY) == first
    other = load(city, FEBRUARY, OWN.replace("自有指数", "新指数"))
    again = load(city, FEBRUARY)
    assert len({first, other, again, load(city, MARCH)}) == 4
    with city.connect() as connection:
        assert stored.version_of(connection, FEBRUARY).id == again
        assert len(stored.versions(connection)) == 5


def test_what_was_issued_stands(city: Engine) -> None:
    build(city, JANUARY, issued=True)
    build(city, FEBRUARY, issued=False)
    for month in (date(2025, 12, 1), JANUARY):
        with pytest.raises(ConflictError, match="2026-01 was issued and stands"):
            load(city, month)
    with city.connect() as connection:
        assert len(stored.versions(connection)) == 1
    number = load(city, FEBRUARY)
    with city.connect() as connection:
        assert stored.version_of(connection, JANUARY).tree.code == "default"
        assert stored.version_of(connection, FEBRUARY).id == number


def test_a_version_in_force_may_be_loaded_again_after_its_months_were_issued(city: Engine) -> None:
    number = load(city, JANUARY)
    build(city, JANUARY, issued=True)
    assert load(city, JANUARY) == number


def test_a_tree_begins_with_a_month(city: Engine) -> None:
    with pytest.raises(InputError, match="in_force_from: found '2026-02-02'"):
        load(city, date(2026, 2, 2))


def test_departments_and_categories_that_the_city_does_not_have_are_named(city: Engine) -> None:
    words = OWN.replace('"民政局"', '"民政厅"').replace('["教育"]', '["教育", "教学"]')
    with pytest.raises(TreeError) as why:
        load(city, FEBRUARY, words)
    assert [(fault.place, fault.key, fault.found) for fault in why.value.faults] == [
        ("1.1.1", "measured.categories", "教学"),
        ("1.1.2", "department", "民政厅"),
    ]
    assert "a department of this city: 民政局" in str(why.value)


def test_a_text_that_is_wrong_leaves_everything_as_it_was(city: Engine) -> None:
    with pytest.raises(TreeError, match=r"own\.toml: 1\.1, weights"):
        load(city, FEBRUARY, OWN.replace("0.75", "0.7"))
    with city.connect() as connection:
        assert len(stored.versions(connection)) == 1
        with pytest.raises(NotFoundError):
            trees.document(connection, 99)


def test_the_packaged_text_may_be_loaded_as_a_city_s_own_once_its_lists_are_in(city: Engine) -> None:
    packaged = trees.PACKAGED.read_text(encoding="utf-8")
    with pytest.raises(TreeError, match="应急管理局"):
        load(city, FEBRUARY, packaged)
    tree = read(packaged, "default.toml")
    with city.begin() as connection:
        for n, (table, name) in enumerate(sorted(_needed(tree.indicators))):
            column = "(name)" if table == "department" else "(code, name, open)"
            values = "(:name)" if table == "department" else f"('9{n}', :name, false)"
            connection.execute(
                text(f"INSERT INTO {table} {column} VALUES {values} ON CONFLICT DO NOTHING"), {"name": name}
            )
    load(city, FEBRUARY, packaged)


def _needed(indicators: tuple[Indicator, ...]) -> set[tuple[str, str]]:
    needed = {("department", each.department) for each in indicators if each.department}
    needed |= {
        ("category", name) for each in indicators if each.measured for name in each.measured.categories
    }
    return needed - {("category", "教育")}
