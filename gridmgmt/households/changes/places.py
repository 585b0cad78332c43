"""Finds the dwelling or the household that somebody means by an address and a door."""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.grids.models import Grid
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.models import Building, Dwelling, Household

MOST_ADDRESSES = 400


@dataclass(frozen=True)
class Door:
    """A dwelling and where it stands; `grid` is the code of its grid."""

    id: int
    address: str
    door: str
    grid: str


def addresses(engine: Engine, actor: Actor, grid: str) -> list[str]:
    """Return addresses of a grid's buildings, at most 400, to choose from; nothing in them is personal."""
    with on_roster(engine, actor) as connection:
        found = select(Building.address).join(Grid, Grid.id == Building.grid_id).where(Grid.code15 == grid)
        return list(
            connection.execute(found.distinct().order_by(Building.address).limit(MOST_ADDRESSES)).scalars()
        )


def door(engine: Engine, actor: Actor, dwelling_id: int) -> Door:
    """Return a dwelling; NotFoundError alike for none and for one out of sight."""
    with on_roster(engine, actor) as connection:
        row = connection.execute(
            select(Dwelling.id, Building.address, Dwelling.door, func.coalesce(Grid.code15, ""))
            .join(Building, Building.id == Dwelling.building_id)
            .outerjoin(Grid, Grid.id == Building.grid_id)
            .where(Dwelling.id == dwelling_id)
        ).first()
    if row is None:
        raise NotFoundError(f"dwelling {dwelling_id}")
    return Door(*row)


def dwelling_at(engine: Engine, actor: Actor, building: str, number: str) -> int:
    """Return the dwelling at an address (or a building's code) and a door.

    InputError names the field: no such building, several of them, or no such door.
    """
    with on_roster(engine, actor) as connection:
        return _dwelling(connection, building.strip(), number.strip())


def household_at(engine: Engine, actor: Actor, building: str, number: str) -> int:
    """Return the household that lives at an address and a door; InputError when there is none, or several."""
    with on_roster(engine, actor) as connection:
        dwelling = _dwelling(connection, building.strip(), number.strip())
        living = select(Household.id).where(Household.dwelling_id == dwelling, Household.ended_on.is_(None))
        found = connection.execute(living).scalars().all()
    if len(found) != 1:
        raise InputError("into", f"{len(found)} households", "a door with one household")
    return found[0]


def _dwelling(connection: Connection, building: str, number: str) -> int:
    named = (Building.address == building) | (Building.code == building)
    buildings = connection.execute(select(Building.id).where(named)).scalars().all()
    if len(buildings) != 1:
        raise InputError("building", f"{len(buildings)} buildings", "the address of one building on record")
    found = connection.execute(
        select(Dwelling.id).where(Dwelling.building_id == buildings[0], Dwelling.door == number)
    ).scalar()
    if found is None:
        raise InputError("door", number, "a door of that building on record")
    return found
