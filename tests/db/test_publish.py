"""Publishing a plan: grids end and begin, and people, matters and work move along, or nothing does."""

from datetime import date, timedelta

import pytest
import shapely
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from gridmgmt.calendar import china_today
from gridmgmt.db import identity
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.hotspots import service as hotspots
from gridmgmt.planning import checking, publish
from gridmgmt.planning import recompute as recomputing
from gridmgmt.planning.models import Operation
from gridmgmt.planning.service import Actor

from .land import STEP, build_land, code, middle, square, write

PLANNER = Actor("规划员", Role.PLANNER)
SPLIT, LEFT, RIGHT, WEST, EAST = 9, 20, 21, 40, 41  # cells: one is cut, two become one, an edge moves
WHY = "人口增长，一分为二"


@pytest.fixture(autouse=True)
def _nothing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "check", lambda connection, plan: [])


@pytest.fixture
def land(engine: Engine) -> Engine:
    """Two households in the west and one in the east half of every cell that the plan touches; a chief each,
    open and closed matters, a task and an account."""
    build_land(engine)
    with engine.begin() as connection:
        for cell in (SPLIT, LEFT, RIGHT, WEST, EAST):
            for number, side in enumerate((-0.25, -0.2, 0.25)):
                _household(connection, cell, number, side)
            _chief(connection, cell)
    write(engine, [("0101", cell, date(2025, 5, day)) for cell in (SPLIT, LEFT, EAST) for day in (1, 2, 3)])
    with engine.begin() as connection:
        connection.execute(text("UPDATE incident SET status = 'open' WHERE occurred_on = '2025-05-03'"))
        connection.execute(
            text(
                "UPDATE incident i SET grid_id = g.id FROM grid g WHERE ST_Contains(g.geom, i.geom)"
                " AND g.valid_to IS NULL"
            )
        )
        connection.execute(
            text("""
            INSERT INTO seasonal_task (year, level, area, category, start_on, end_on, due_on, action, status,
                handed_out_by) VALUES (2026, 'grid', :area, '0102', '2026-12-01', '2026-12-31', '2026-11-20',
                '排查', 'open', 'x')
            """),
            {"area": code(SPLIT)},
        )
    identity.create_account(engine, "chief9", "right horse battery", Role.GRID_WORKER, "网格长", code(SPLIT))
    return engine


def _household(connection: Connection, cell: int, number: int, side: float) -> None:
    x, y = middle(cell)
    name = f"{cell}-{number}"
    connection.execute(
        text("""
        WITH b AS (INSERT INTO building (code, address, geom, grid_id) SELECT :name, '路', ST_SetSRID(
                ST_Point(:x, :y), 4490), id FROM grid WHERE code15 = :code RETURNING id),
            d AS (INSERT INTO dwelling (building_id, door) SELECT id, '1' FROM b RETURNING id)
        INSERT INTO household (code, dwelling_id, persons) SELECT :name, id, 3 FROM d
        """),
        {"name": name, "x": x + side * STEP, "y": y, "code": code(cell)},
    )


def _chief(connection: Connection, cell: int) -> None:
    connection.execute(
        text("""
        WITH w AS (INSERT INTO worker (name, employment) VALUES (:name, 'full_time') RETURNING id)
        INSERT INTO assignment (worker_id, grid_id, role, valid_from)
        SELECT w.id, g.id, 'chief', '2020-01-01' FROM w, grid g WHERE g.code15 = :code
        """),
        {"name": f"长{cell}", "code": code(cell)},
    )


def halves(cell: int, share: float = 0.5) -> tuple[shapely.Polygon, shapely.Polygon]:
    west, south, east, north = square(cell).bounds
    cut = west + share * (east - west)
    return shapely.box(west, south, cut, north), shapely.box(cut, south, east, north)


def plan(engine: Engine) -> int:
    """A draft that cuts one grid, joins two, and moves the edge between two."""
    west, east = halves(SPLIT)
    _, moved = halves(WEST, 0.5)
    rows = {
        code(SPLIT): None, "n1": west, "n2": east,
        code(LEFT): None, code(RIGHT): None,
        "n3": shapely.box(*square(LEFT).bounds[:2], *square(RIGHT).bounds[2:]),
        code(WEST): halves(WEST)[0], code(EAST): shapely.box(*moved.bounds[:2], *square(EAST).bounds[2:]),
    }  # fmt: skip
    with engine.begin() as connection:
        number: int = connection.execute(
            text("""
            INSERT INTO plan (name, scope, author, base_on) VALUES ('西片', '', '规划员', :today) RETURNING id
            """),
            {"today": china_today()},
        ).scalar_one()
        for key, shape in rows.items():
            connection.execute(
                text("""
                INSERT INTO plan_grid (plan_id, key, gone, name, kind, village, geom)
                VALUES (:plan, :key, :gone, :key, 'base', :village, ST_GeomFromText(:geom, 4490))
                """),
                {
                    "plan": number, "key": key, "gone": shape is None,
                    "village": code(LEFT if key == "n3" else SPLIT if key[0] == "n" else int(WEST))[:12],
                    "geom": None if shape is None else shapely.MultiPolygon([shape]).wkt,
                },
            )  # fmt: skip
    return number


def in_force(engine: Engine, on: date | None = None) -> dict[str, str]:
    """Return code -> shape of the grids in force on a day."""
    query = text("""
        SELECT code15, ST_AsText(geom) FROM grid
        WHERE valid_from <= :on AND coalesce(valid_to, 'infinity') > :on
    """)
    with engine.connect() as connection:
        return dict(connection.execute(query, {"on": on or china_today()}).all())


def one(engine: Engine, query: str, **values: object) -> object:
    with engine.connect() as connection:
        return connection.execute(text(query), values).scalar_one()


def test_grids_end_and_begin_and_the_land_stays_tiled(land: Engine) -> None:
    before = in_force(land)
    done = publish.publish(land, PLANNER, plan(land), china_today(), WHY)
    after = in_force(land)
    assert len(after) == len(before)  # one more by the cut, one less by the merge
    assert set(before) - set(after) == {code(SPLIT), code(LEFT), code(RIGHT)} == set(done.closed)
    assert after[code(WEST)] != before[code(WEST)]  # an edge moved: the code stays
    assert in_force(land, china_today() - timedelta(1)) == before  # yesterday is as it was
    shapes = shapely.from_wkt(list(after.values()))
    assert shapely.area(shapely.union_all(shapes)) == pytest.approx(shapely.area(shapes).sum(), rel=1e-9)
    assert shapely.area(shapes).sum() == pytest.approx(64 * STEP**2)
    new = {done.codes[key] for key in ("n1", "n2", "n3")}
    assert not new & set(before)
    assert {each[:12] for each in new} == {code(SPLIT)[:12]}
    walk = {(row["old"], row["new"]): row for row in done.crosswalk}
    west = walk[code(SPLIT), done.codes["n1"]]
    assert (west["area_share"], west["household_share"]) == (pytest.approx(0.5), pytest.approx(2 / 3))
    assert walk[code(WEST), code(EAST)]["household_share"] == pytest.approx(1 / 3)


def test_households_open_matters_work_and_accounts_move_along(land: Engine) -> None:
    done = publish.publish(land, PLANNER, plan(land), china_today(), WHY)
    where = """SELECT string_agg(g.code15, ',' ORDER BY b.code) FROM building b
        JOIN grid g ON g.id = b.grid_id WHERE b.code LIKE :name AND g.valid_to IS NULL"""
    west, east, joined = (done.codes[key] for key in ("n1", "n2", "n3"))
    assert one(land, where, name=f"{SPLIT}-%") == f"{west},{west},{east}"
    assert one(land, where, name=f"{WEST}-%") == f"{code(WEST)},{code(WEST)},{code(EAST)}"
    assert one(land, where, name=f"{RIGHT}-%") == f"{joined},{joined},{joined}"
    # Every household in exactly one grid in force.
    assert (
        one(land, "SELECT count(*) FROM building b JOIN grid g ON g.id = b.grid_id AND g.valid_to IS NULL")
        == 15
    )
    open_now = """SELECT count(*) FROM incident i JOIN grid g ON g.id = i.grid_id
        WHERE i.status = :s AND g.valid_to IS {}"""
    assert one(land, open_now.format("NULL"), s="open") == 3
    assert (
        one(land, open_now.format("NOT NULL"), s="closed") == 6
    )  # what is closed keeps the grid of its time
    assert one(land, "SELECT area FROM seasonal_task") == west  # most households of the cut grid live there
    assert one(land, "SELECT area FROM account WHERE username = 'chief9'") == west
    chiefs = """SELECT string_agg(w.name, ',' ORDER BY w.name) FROM assignment a
        JOIN worker w ON w.id = a.worker_id JOIN grid g ON g.id = a.grid_id
        WHERE g.code15 = :code AND a.role = :role AND a.valid_to IS NULL
        AND g.valid_to IS NULL"""
    assert one(land, chiefs, code=west, role="chief") == f"长{SPLIT}"
    assert one(land, chiefs, code=east, role="chief") is None  # vacant, and the check says so
    both = {one(land, chiefs, code=joined, role=role) for role in ("chief", "member")}
    assert both == {f"长{LEFT}", f"长{RIGHT}"}
    assert one(land, chiefs, code=code(WEST), role="chief") == f"长{WEST}"


def test_a_plan_for_a_day_to_come_is_settled_on_it_and_may_be_taken_back_before(land: Engine) -> None:
    before, number, soon = in_force(land), plan(land), china_today() + timedelta(30)
    done = publish.publish(land, PLANNER, number, soon, WHY)
    assert done.settled is None
    assert in_force(land) == before
    assert in_force(land, soon) != before
    with pytest.raises(ConflictError, match="不是草稿"):
        publish.publish(land, PLANNER, number, soon, WHY)
    publish.unpublish(land, PLANNER, number)
    assert in_force(land, soon) == before
    assert one(land, "SELECT count(*) FROM grid_lineage") == 0
    assert one(land, "SELECT count(*) FROM assignment WHERE valid_to IS NULL") == 5
    again = publish.publish(land, PLANNER, number, soon, WHY)
    with land.begin() as connection:
        assert publish.settle(connection, soon - timedelta(1)) == {}
        assert set(publish.settle(connection, soon)) == {number}
        assert publish.settle(connection, soon) == {}
    assert set(again.codes) == {"n1", "n2", "n3", code(WEST), code(EAST)}


def test_a_plan_in_force_cannot_be_taken_back(land: Engine) -> None:
    number = plan(land)
    publish.publish(land, PLANNER, number, china_today(), WHY)
    with pytest.raises(ConflictError, match="已经启用"):
        publish.unpublish(land, PLANNER, number)


def test_what_may_not_be_published_is_refused_with_the_reason(
    land: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, number = in_force(land), plan(land)
    with pytest.raises(NotAllowedError):
        publish.publish(land, Actor("镇街", Role.TOWN_OFFICER), number, china_today(), WHY)
    with pytest.raises(InputError, match="今天或以后"):
        publish.publish(land, PLANNER, number, china_today() - timedelta(1), WHY)
    with pytest.raises(InputError, match="说明"):
        publish.publish(land, PLANNER, number, china_today(), "  ")
    with pytest.raises(NotFoundError):
        publish.publish(land, PLANNER, number + 1, china_today(), WHY)

    class Found:
        severity, text = "error", "网格之间有空隙"

    with monkeypatch.context() as patched:
        patched.setattr(checking, "check", lambda connection, plan: [Found()])
        with pytest.raises(InputError, match="网格之间有空隙"):
            publish.publish(land, PLANNER, number, china_today(), WHY)
    with land.begin() as connection:  # somebody else's plan came first
        connection.execute(
            text("UPDATE grid SET valid_to = :today WHERE code15 = :code"),
            {"today": china_today(), "code": code(LEFT)},
        )
    with pytest.raises(ConflictError, match="跟上现行网格"):
        publish.publish(land, PLANNER, number, china_today(), WHY)
    assert len(in_force(land)) == len(before) - 1


@pytest.mark.parametrize(
    "step", ["_codes", "_write_grids", "_lineage", "_move_assignments", "settle", "_note_version"]
)
def test_a_server_killed_while_publishing_leaves_the_old_grids(
    land: Engine, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before, number = in_force(land), plan(land)
    real = getattr(publish, step)

    def killed(connection: Connection, *rest: object) -> object:
        result = real(connection, *rest)
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return result

    with monkeypatch.context() as patched:
        patched.setattr(publish, step, killed)
        with pytest.raises(DBAPIError):
            publish.publish(land, PLANNER, number, china_today(), WHY)
    land.dispose()
    assert in_force(land) == before
    assert one(land, "SELECT status FROM plan") == "draft"
    assert one(land, "SELECT count(*) FROM grid WHERE valid_to IS NOT NULL") == 0
    publish.publish(land, PLANNER, number, china_today(), WHY)  # and it can be done again
    assert len(in_force(land)) == len(before)


def test_what_only_the_boundary_changed_is_named(land: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    write(land, [("0101", cell, date(2025, 6, 1 + day)) for cell in range(64) for day in range(3)], apart=0.4)
    before = hotspots.run(land, date(2025, 1, 1), date(2025, 12, 31))
    done = publish.publish(land, PLANNER, plan(land), china_today(), WHY)
    west, east = done.codes["n1"], done.codes["n2"]
    hot = {before.id: {code(SPLIT): 3, code(LEFT): 0, code(0): 2}}
    after = {west: 3, east: 0, done.codes["n3"]: 0, code(0): 2}
    monkeypatch.setattr(recomputing, "_classes", lambda connection, run: hot.get(run.id, after))
    found = recomputing.recompute(land)
    assert (found.runs, found.lists, found.failed) == (1, 0, ())
    # The east of the cut grid is hot no more, its west still is; nothing else turned.
    assert [(each.code, each.was_code, each.was, each.now) for each in found.changes] == [
        (east, code(SPLIT), 3, 0)
    ]


def test_a_neighbour_that_only_gains_a_corner_stays_the_same_grid(land: Engine) -> None:
    from gridmgmt.planning import service, stored

    neighbour = code(SPLIT - 8)
    before, ids = in_force(land), "SELECT id FROM grid WHERE code15 = :code AND valid_to IS NULL"
    stands = one(land, ids, code=neighbour)
    x, y = middle(SPLIT)
    number = service.create(land, PLANNER, "一分为二").id
    line = [[x, y + STEP], [x, y - STEP]]
    done = service.edit(land, PLANNER, number, Operation.SPLIT, {"key": code(SPLIT), "line": line}, 0)
    assert neighbour in done.changed
    with land.connect() as connection:
        states = {each.key: each.status for each in stored.grids(connection, number)}
        assert {key for key, status in states.items() if status != "same"} == {code(SPLIT), "n1", "n2"}
        assert {change.key for change in stored.diff(connection, None, number).changes} == {
            code(SPLIT),
            "n1",
            "n2",
        }
    soon = china_today() + timedelta(3)
    publish.publish(land, PLANNER, number, soon, WHY)
    assert one(land, ids, code=neighbour) == stands
    after = in_force(land, soon)
    assert after[neighbour] != before[neighbour]  # its edge has the corner that the new grids share
    assert shapely.area(shapely.union_all(shapely.from_wkt(list(after.values())))) == pytest.approx(
        64 * STEP**2
    )
    publish.unpublish(land, PLANNER, number)
    assert in_force(land, soon) == before
