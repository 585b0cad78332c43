"""People stand in the grid of their building, whoever moves it: row policies ask for nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.assignment import reassign_buildings
from tests.db import roster_world
from tests.db.roster_world import CHIEF, SIBLING_CHIEF, World

APART = """
SELECT count(*) FROM building b JOIN dwelling d ON d.building_id = b.id
JOIN household h ON h.dwelling_id = d.id JOIN person p ON p.household_id = h.id
WHERE b.grid_id IS DISTINCT FROM h.grid_id OR h.grid_id IS DISTINCT FROM p.grid_id
"""


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    return roster_world.build(engine, roster_world.make_ring(tmp_path))


@pytest.fixture
def roster(engine: Engine) -> Iterator[Engine]:
    made = roster_world.roster_engine(engine)
    yield made
    made.dispose()


def seen_by(roster: Engine, actor: Actor) -> set[str]:
    with on_roster(roster, actor) as connection:
        return set(connection.execute(text("SELECT name FROM person")).scalars())


def test_who_lives_in_a_building_goes_with_it_to_another_grid(
    engine: Engine, roster: Engine, world: World
) -> None:
    low = {"王建国", "李秀兰", "王小明", "王大山", "赵桂英"}
    assert low <= seen_by(roster, CHIEF)
    with engine.begin() as connection:
        move = text("UPDATE building SET grid_id = :grid WHERE id = :building")
        connection.execute(move, {"grid": world.grid["sibling"], "building": world.building["low"]})
        assert connection.execute(text(APART)).scalar() == 0
    assert not low & seen_by(roster, CHIEF)
    assert low <= seen_by(roster, SIBLING_CHIEF)


def test_when_grids_are_drawn_anew_all_people_are_placed_by_where_their_buildings_stand(
    engine: Engine, roster: Engine, world: World
) -> None:
    before = seen_by(roster, CHIEF)
    with engine.begin() as connection:  # as if nobody had known where anything stands
        connection.execute(text("UPDATE building SET grid_id = NULL"))
        assert connection.execute(text(APART)).scalar() == 0
    assert seen_by(roster, CHIEF) == set()
    assert reassign_buildings(engine) == len(world.building)
    with engine.connect() as connection:
        assert connection.execute(text(APART)).scalar() == 0
        history = connection.execute(text("SELECT count(*) FROM roster_history")).scalar()
    assert history == 0  # a line drawn elsewhere changes nothing that is said of anybody
    assert seen_by(roster, CHIEF) == before
