"""The lines of a grid's roster as pages read them, and what they can be narrowed to."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date

from gridmgmt.households.models import CARE_NAMES

FLAGS = {"low_lying": "低洼", "dilapidated": "危旧", "self_built": "自建"}
# What the lines of a roster can be narrowed to; several at once must all hold.
SHOWS = {
    **{care.value: name for care, name in CARE_NAMES.items()},
    "unverified": "未核对", "tenant": "租住", "apart": "人户分离", **FLAGS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resident:
    """A present person; `apart` when registered elsewhere than living."""

    id: int
    name: str
    relation: str
    age: int | None
    tenant: bool
    apart: bool
    is_head: bool
    phone: str | None


@dataclass(frozen=True, slots=True)
class CareLine:
    """A care category of a household, or of one of its people."""

    category: str
    name: str
    person_id: int | None
    expires: date


@dataclass(frozen=True, slots=True)
class HomeLine:
    """A household with its people, the head first; `changes` counts open requests."""

    id: int
    people: tuple[Resident, ...]
    care: tuple[CareLine, ...]
    changes: int

    @property
    def head(self) -> Resident | None:
        return self.people[0] if self.people and self.people[0].is_head else None


@dataclass(frozen=True, slots=True)
class DoorLine:
    """A dwelling with one of its households; `home` is None where nobody is registered."""

    dwelling_id: int
    door: str
    floor: int | None
    verified_on: date | None
    verified: bool
    home: HomeLine | None


@dataclass(frozen=True, slots=True)
class BuildingLine:
    """A building with its doors, upwards by floor; `flags` are keys of FLAGS, the place lon, lat."""

    id: int
    address: str
    flags: tuple[str, ...]
    place: tuple[float, float] | None
    doors: tuple[DoorLine, ...]

    @property
    def unverified(self) -> int:
        return sum(not door.verified for door in self.doors)


@dataclass(frozen=True, slots=True)
class Due:
    """Something to do at a household by a day; `kind` is stop, care or change (which has no day)."""

    kind: str
    household_id: int
    where: str
    what: str
    day: date | None


@dataclass(frozen=True)
class GridRoster:
    """A grid's roster; `since` is the first day of the running survey, from which a check counts."""

    code: str
    name: str
    since: date | None
    buildings: tuple[BuildingLine, ...]
    due: tuple[Due, ...]

    def lines(self) -> Iterator[tuple[BuildingLine, DoorLine]]:
        return ((building, door) for building in self.buildings for door in building.doors)

    @property
    def households(self) -> int:
        return sum(door.home is not None for _, door in self.lines())

    @property
    def persons(self) -> int:
        return sum(len(door.home.people) for _, door in self.lines() if door.home)

    @property
    def dwellings(self) -> int:
        return len({door.dwelling_id for _, door in self.lines()})

    @property
    def verified(self) -> int:
        return len({door.dwelling_id for _, door in self.lines() if door.verified})

    def shown(self, shows: Collection[str]) -> "GridRoster":
        """Return the roster with only the lines for which all of `shows` hold."""
        if not shows:
            return self
        kept = (
            replace(building, doors=tuple(door for door in building.doors if _fits(shows, building, door)))
            for building in self.buildings
        )
        return replace(self, buildings=tuple(building for building in kept if building.doors))

    def counts(self, shows: Collection[str]) -> dict[str, int]:
        """Return for each of SHOWS how many lines it would leave beside those chosen already."""
        fitting = [traits(building, door) for building, door in self.lines()]
        chosen = set(shows)
        return {key: sum(chosen | {key} <= found for found in fitting) for key in SHOWS}


def traits(building: BuildingLine, door: DoorLine) -> set[str]:
    """Return which of SHOWS hold for a line."""
    found = set(building.flags)
    if not door.verified:
        found.add("unverified")
    if door.home:
        found.update(care.category for care in door.home.care)
        found.update("tenant" for person in door.home.people if person.tenant)
        found.update("apart" for person in door.home.people if person.apart)
    return found


def _fits(shows: Collection[str], building: BuildingLine, door: DoorLine) -> bool:
    return set(shows) <= traits(building, door)
