"""Plans of grids on a land of 64 squares: nothing is overwritten, nothing is lost, all can be taken back."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import shapely
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from gridmgmt.calendar import china_today
from gridmgmt.db.engine import READER, WRITER, acting, make_engine
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.planning import service, stored
from gridmgmt.planning.figures import figures
from gridmgmt.planning.models import Operation
from gridmgmt.planning.service import Actor, Edited
from tests.db import land

LI, WANG = Actor("li", Role.PLANNER), Actor("wang", Role.PLANNER)
A, B, BELOW = land.code(9), land.code(10), land.code(17)
LAST_YEAR = china_today().year - 1


@pytest.fixture
def city(engine: Engine) -> Engine:
    """In every square a building with three households, two persons each, and one matter last year."""
    land.build_land(engine)
    with engine.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(:year)"), {"year": LAST_YEAR})
        connection.execute(
            text("""
            WITH place AS (
                SELECT id, code15, ST_SetSRID(ST_Translate(ST_Centroid(geom), 0.002, 0.001), 4490) AS geom
                FROM grid
            ), house AS (
                INSERT INTO building (code, address, geom, grid_id)
                SELECT code15, '', geom, id FROM place RETURNING id
            ), flat AS (
                INSERT INTO dwelling (building_id, door)
                SELECT id, n FROM house, generate_series(1, 3) AS n RETURNING id
            )
            INSERT INTO household (code, dwelling_id, persons) SELECT id::text, id, 2 FROM flat
            """)
        )
    land.write(engine, [("0101", cell, date(LAST_YEAR, 5, 1)) for cell in range(64)], apart=0.2)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE incident i SET grid_id = g.id FROM grid g WHERE ST_Covers(g.geom, i.geom)")
        )
    return engine


@pytest.fixture
def writer(city: Engine, database: str) -> Engine:
    """The door of the web."""
    return make_engine(database, role=WRITER)


@pytest.fixture
def draw(writer: Engine) -> Callable[..., Edited]:
    """Edit the plan with the number given, at the version that it has."""

    def edit(number: int, operation: Operation, who: Actor = LI, **arguments: Any) -> Edited:
        with writer.connect() as connection:
            version = stored.plan(connection, number).version
        return service.edit(writer, who, number, operation, arguments, version)

    return edit


def _begin(writer: Engine, **options: Any) -> int:
    return service.create(writer, LI, "东片", **options).id


def _cut(cell: int) -> list[list[float]]:
    """A line from west to east through the middle of a square, and a little beyond."""
    x, y = land.middle(cell)
    return [[x - 0.006, y], [x + 0.006, y]]


def _grids(writer: Engine, number: int) -> dict[str, stored.GridState]:
    with writer.connect() as connection:
        return {grid.key: grid for grid in stored.grids(connection, number)}


def _rows(engine: Engine, number: int) -> int:
    with engine.connect() as connection:
        count = text("SELECT count(*) FROM plan_grid WHERE plan_id = :n")
        return int(connection.scalar(count, {"n": number}) or 0)


def _in_force(engine: Engine) -> dict[str, bytes]:
    with engine.connect() as connection:
        return dict(connection.execute(text("SELECT code15, ST_AsBinary(geom) FROM grid")).all())


def test_a_split_gives_new_keys_names_after_the_old_one_and_figures_that_add_up(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    done = draw(_begin(writer), Operation.SPLIT, key=A, line=_cut(9))
    new = {key: grid for key, grid in done.changed.items() if grid and grid.status == "new"}
    assert (done.version, done.number, list(new)) == (1, 1, ["n1", "n2"])
    assert done.changed[A] is None
    assert sorted(grid.name for grid in new.values()) == [f"{A}A", f"{A}B"]
    assert {grid.village for grid in new.values()} == {land.VILLAGES[0]}
    parts = [each for each in done.figures if each.key in new]
    with writer.connect() as connection:
        (whole,) = figures(connection, {A: shapely.MultiPolygon([land.square(9)])})
    assert (whole.households, whole.persons, whole.matters_a_year) == (3, 6, 1.0)
    assert sum(each.households for each in parts) == whole.households
    assert sum(each.persons for each in parts) == whole.persons
    assert sum(each.matters_a_year for each in parts) == whole.matters_a_year
    assert sum(each.area_m2 for each in parts) == pytest.approx(whole.area_m2, abs=1e-3)
    assert whole.compactness == pytest.approx(0.785, abs=0.01)
    assert whole.deviation == -297


def test_an_edit_of_an_old_version_is_refused_and_says_who_was_faster(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    draw(number, Operation.RENAME, who=WANG, key=A, name="河东")
    with pytest.raises(ConflictError, match=r"wang 在 .*：改名"):
        service.edit(writer, LI, number, Operation.RENAME, {"key": A, "name": "河西"}, 0)
    with writer.connect() as connection:
        (missed,) = stored.since(connection, number, 0)
        assert (missed.author, missed.keys, missed.arguments["name"]) == ("wang", [A], "河东")
        assert stored.since(connection, number, 1) == []
    assert _grids(writer, number)[A].name == "河东"


def test_undo_to_the_start_leaves_the_grids_in_force_to_the_byte_and_redo_brings_all_back(
    city: Engine, writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    draw(number, Operation.SPLIT, key=A, line=_cut(9))
    draw(number, Operation.MERGE, keys=["n1", B])
    draw(number, Operation.RENAME, key=BELOW, name="南")
    drawn = _grids(writer, number)
    assert {key: grid.status for key, grid in drawn.items() if grid.status != "same"}[B] == "gone"
    for version in (3, 4, 5):
        service.undo(writer, WANG, number, version)
    assert _rows(city, number) == 0
    now = {key: shapely.to_wkb(grid.shape) for key, grid in _grids(writer, number).items()}
    assert now == {key: bytes(wkb) for key, wkb in _in_force(city).items()}
    with pytest.raises(ConflictError, match="没有可以撤销"):
        service.undo(writer, LI, number, 6)
    for version in (6, 7, 8):
        service.redo(writer, LI, number, version)
    assert _grids(writer, number) == drawn
    with pytest.raises(ConflictError, match="没有可以重做"):
        service.redo(writer, LI, number, 9)


def test_a_new_edit_drops_the_undone_ones_but_their_keys_are_not_given_again(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    draw(number, Operation.SPLIT, key=A, line=_cut(9))
    service.undo(writer, LI, number, 1)
    draw(number, Operation.RENAME, key=B, name="北")
    with pytest.raises(ConflictError, match="没有可以重做"):
        service.redo(writer, LI, number, 3)
    done = draw(number, Operation.SPLIT, key=A, line=_cut(9))
    assert sorted(key for key in done.changed if key[0] == "n") == ["n3", "n4"]
    with writer.connect() as connection:
        assert [each.operation for each in stored.edits(connection, number)] == ["rename", "split"]


def test_two_plans_do_not_know_of_each_other_and_a_plan_from_another_begins_with_its_log(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    first, second = _begin(writer), _begin(writer)
    draw(first, Operation.SPLIT, key=A, line=_cut(9))
    assert _grids(writer, second)[A].status == "same"
    child = _begin(writer, parent=first)
    draw(child, Operation.MERGE, keys=["n2", "n1"])
    assert _grids(writer, first)["n1"].status == "new"
    assert "n1" not in _grids(writer, child)
    assert _grids(writer, child)["n3"].name == _grids(writer, first)["n2"].name
    with writer.connect() as connection:
        version = stored.plan(connection, child).version
    service.undo(writer, LI, child, version)
    service.undo(writer, LI, child, version + 1)
    assert _grids(writer, child)[A].status == "same"


def test_a_locked_a_retired_and_an_unknown_plan_are_not_edited(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    service.lock(writer, WANG, number)
    with pytest.raises(ConflictError, match="wang 锁定"):
        draw(number, Operation.RENAME, key=A, name="东")
    with pytest.raises(ConflictError, match="wang 锁定"):
        service.unlock(writer, LI, number)
    draw(number, Operation.RENAME, who=WANG, key=A, name="东")
    service.retire(writer, WANG, number)
    service.comment(writer, LI, number, "为什么放弃？", (114.02, 32.99))
    with pytest.raises(ConflictError, match="已放弃"):
        draw(number, Operation.RENAME, key=A, name="西")
    with pytest.raises(NotFoundError):
        service.lock(writer, LI, 999)
    with writer.connect() as connection:
        (comment,) = stored.comments(connection, number)
    assert (comment.author, comment.at_place) == ("li", (114.02, 32.99))


def test_who_is_no_planner_draws_nothing(writer: Engine, draw: Callable[..., Edited]) -> None:
    number = _begin(writer)
    for role in set(Role) - {Role.PLANNER}:
        with pytest.raises(NotAllowedError):
            draw(number, Operation.RENAME, who=Actor("zhao", role), key=A, name="东")
        with pytest.raises(NotAllowedError):
            service.create(writer, Actor("zhao", role), "我的")


def test_the_reader_cannot_write_and_the_writer_only_when_it_is_known_who_acts(
    city: Engine, writer: Engine, database: str, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    draw(number, Operation.RENAME, key=A, name="东")
    with pytest.raises(ProgrammingError, match="permission denied"):
        _begin(make_engine(database, role=READER))
    begin = text("INSERT INTO plan (name, scope, author, base_on) VALUES ('x', '', 'li', '2026-01-01')")
    with pytest.raises(ProgrammingError, match="row-level security"), writer.begin() as connection:
        connection.execute(begin)
    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        acting(writer, "wang", "") as connection,
    ):
        connection.execute(begin)
    with writer.begin() as connection:
        assert connection.execute(text("UPDATE plan SET name = 'x'")).rowcount == 0
        assert connection.execute(text("DELETE FROM plan_grid")).rowcount == 0
        assert connection.execute(text("DELETE FROM plan_edit")).rowcount == 0
    with acting(writer, "li", "") as connection:
        publish = text("UPDATE plan SET status = 'published'")
        with pytest.raises(ProgrammingError, match="row-level security"), connection.begin_nested():
            connection.execute(publish)
    with city.begin() as connection:
        connection.execute(text("UPDATE plan SET status = 'published'"))
    with acting(writer, "li", "") as connection:
        assert connection.execute(text("DELETE FROM plan_grid")).rowcount == 0
        assert connection.execute(text("UPDATE plan SET status = 'draft'")).rowcount == 0
    with pytest.raises(ConflictError, match="已发布"):
        draw(number, Operation.RENAME, key=A, name="西")
    with make_engine(database, role=READER).connect() as connection:
        assert stored.grids(connection, number)[9].name == "东"
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("SELECT * FROM plan_buildings(NULL)"))


def test_rebasing_keeps_what_still_fits_and_names_what_does_not(
    city: Engine, writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    parts = draw(number, Operation.SPLIT, key=A, line=_cut(9)).changed
    south, north = sorted(("n1", "n2"), key=lambda key: parts[key].shape.bounds[1])  # type: ignore[union-attr]
    draw(number, Operation.RENAME, who=WANG, key=B, name="北")
    draw(number, Operation.MERGE, keys=[BELOW, south])
    with city.begin() as connection:  # another plan put in force a new grid in the place of B
        connection.execute(text("UPDATE grid SET valid_to = current_date WHERE code15 = :b"), {"b": B})
    land.add_grids(city, {f"{B[:12]}099": land.square(10)}, china_today())
    with pytest.raises(ConflictError, match=f"{B} 已经改过"):
        draw(number, Operation.RENAME, key=A, name="东")
    done = service.rebase(writer, LI, number, 3)
    (conflict,) = done.conflicts
    assert (conflict["number"], conflict["author"], conflict["operation"]) == (2, "wang", "rename")
    assert B in conflict["why"]
    assert {B, f"{B[:12]}099"} <= set(done.changed)
    assert done.changed[B] is None
    with writer.connect() as connection:
        log = stored.edits(connection, number)
        assert stored.outdated(connection, stored.plan(connection, number)) == []
    assert [(each.number, each.operation) for each in log] == [(1, "split"), (3, "merge"), (4, "rebase")]
    assert log[-1].conflicts == done.conflicts
    statuses = {key: grid.status for key, grid in _grids(writer, number).items()}
    # Beside the cut the neighbours have a new vertex, the grid that has taken the place of B among them; but
    # their ground is the same.
    assert statuses.pop(f"{B[:12]}099") == "same"
    assert {key: each for key, each in statuses.items() if each in ("new", "gone")} == {
        A: "gone", BELOW: "gone", "n3": "new", north: "new",
    }  # fmt: skip
    for version in (4, 5):
        service.undo(writer, LI, number, version)
    assert _rows(city, number) == 0


def test_an_edge_moves_for_both_sides_and_no_ground_is_lost(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    x, y = land.middle(9)
    edge = x + land.STEP / 2
    line = [[edge, y + 0.005], [edge + 0.001, y], [edge, y - 0.005]]
    done = draw(number, Operation.MOVE_EDGE, keys=[A, B], line=line)
    assert {A, B} <= set(done.changed)
    now = _grids(writer, number)
    assert now[A].shape.area > now[B].shape.area
    assert shapely.intersection(now[A].shape, now[B].shape).area == 0
    union = shapely.union_all([grid.shape for grid in now.values() if grid.status != "gone"])
    assert union.area == pytest.approx(64 * land.STEP**2, abs=1e-12)
    assert not [each for each in done.findings if each.rule in ("gap", "overlap", "sliver")]


def test_a_comparison_says_which_households_matters_and_ground_move_where(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    draw(number, Operation.MERGE, keys=[A, B])
    draw(number, Operation.RENAME, key=BELOW, name="南")
    with writer.connect() as connection:
        found = stored.diff(connection, None, number)
    assert [(each.key, each.status, each.redrawn) for each in found.changes] == [
        (A, "gone", True), (B, "gone", True), (BELOW, "changed", False), ("n1", "new", True),
    ]  # fmt: skip
    assert [(move.old, move.new, move.households, move.persons) for move in found.moves] == [
        (A, "n1", 3, 6), (B, "n1", 3, 6),
    ]  # fmt: skip
    assert sum(move.matters_a_year for move in found.moves) == 2
    assert (found.before.grids, found.after.grids) == (64, 63)
    assert found.before.households == found.after.households == 192
    assert found.before.area_m2 == pytest.approx(found.after.area_m2, abs=0.01)
    assert (found.before.households_cv, found.before.households_mean) == (0, 3)


def test_the_new_grids_of_two_plans_are_not_taken_for_each_other(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    first, second = _begin(writer), _begin(writer)
    draw(first, Operation.MERGE, keys=[A, B])
    draw(second, Operation.MERGE, keys=[A, BELOW])
    with writer.connect() as connection:
        keys = {each.key: each.status for each in stored.diff(connection, first, second).changes}
    assert keys == {B: "new", BELOW: "gone", f"n1@{first}": "gone", f"n1@{second}": "new"}


def test_the_check_of_a_plan_tells_broken_rules_without_forbidding_them(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    done = draw(number, Operation.SET_KIND, key=A, kind="special", purpose="拆迁")
    assert done.changed[A] is not None
    assert done.changed[A].purpose == "拆迁"
    assert "gap" in {each.rule for each in done.findings}
    with writer.connect() as connection:
        rules = {each.rule for each in stored.check(connection, number) if each.severity == "error"}
    assert "gap" in rules


REFUSED: tuple[tuple[Operation, dict[str, Any], str], ...] = (
    (Operation.RENAME, {"key": A, "name": " "}, "name"),
    (Operation.RENAME, {"key": "nowhere", "name": "东"}, "nowhere"),
    (Operation.RENAME, {"key": A, "name": A}, "没有改变"),
    (Operation.RENUMBER, {"key": A, "code": B}, "从未用过"),
    (Operation.RENUMBER, {"key": A, "code": "1"}, "code"),
    (Operation.SPLIT, {"key": A, "line": [[114, 33]]}, "line"),
    (Operation.SPLIT, {"key": A, "line": [[114, "x"], [115, 33]]}, "line"),
    (Operation.MERGE, {"keys": [A]}, "keys"),
    (Operation.MOVE_VERTEX, {"at": [114, 33], "to": [999, 33]}, "to"),
    (Operation.DRAW, {"shape": {"type": "Point", "coordinates": [114, 33]}}, "shape"),
    (Operation.SET_KIND, {"key": A, "kind": "secret"}, "kind"),
    (Operation.SPLIT_EVENLY, {"key": A, "parts": 0}, "parts"),
    (Operation.REASSIGN, {"building": 64, "to": A}, "building"),
    (Operation.PROPOSE, {"area": "1", "low": 3, "high": 5}, "area"),
)


def test_what_cannot_be_meant_is_refused_by_name_and_changes_nothing(
    writer: Engine, draw: Callable[..., Edited]
) -> None:
    number = _begin(writer)
    for operation, arguments, field in REFUSED:
        with pytest.raises(InputError, match=field):
            draw(number, operation, **arguments)
    with writer.connect() as connection:
        assert stored.plan(connection, number).version == 0


def test_a_grid_divided_evenly_or_by_proposal_has_its_households_in_equal_parts(
    city: Engine, writer: Engine, draw: Callable[..., Edited]
) -> None:
    with city.begin() as connection:  # every building ten times, side by side
        connection.execute(
            text("""
            WITH house AS (
                INSERT INTO building (code, address, geom, grid_id)
                SELECT code || n, '', ST_Translate(geom, -n * 0.0005, n % 3 * 0.0005), grid_id
                FROM building, generate_series(1, 9) AS n RETURNING id
            ), flat AS (INSERT INTO dwelling (building_id, door) SELECT id, '1' FROM house RETURNING id)
            INSERT INTO household (code, dwelling_id, persons) SELECT 'x' || id, id, 1 FROM flat
            """)
        )
    number = _begin(writer)
    even = draw(number, Operation.SPLIT_EVENLY, key=A, parts=2)
    assert sorted(each.households for each in even.figures if each.key[0] == "n") == [6, 6]
    proposed = draw(number, Operation.PROPOSE, keys=[B], low=4, high=8)
    assert sorted(each.households for each in proposed.figures if each.key[0] == "n") == [6, 6]
    assert {grid.name for grid in proposed.changed.values() if grid and grid.status == "new"} == {
        f"{B}A", f"{B}B",
    }  # fmt: skip


def test_outside_its_scope_a_plan_changes_nothing(writer: Engine, draw: Callable[..., Edited]) -> None:
    number = _begin(writer, scope="990101002")
    with pytest.raises(InputError, match="范围"):
        draw(number, Operation.RENAME, key=A, name="东")
    draw(number, Operation.RENAME, key=land.code(40), name="南")
    with pytest.raises(InputError, match="scope"):
        _begin(writer, scope="123")
