"""Who acts on matters, where, and for which office."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import NotAllowedError
from gridmgmt.incidents.flows.flow import Who
from gridmgmt.incidents.terms import Tier

RESIDENT = "resident"
CLOCK = "clock"


@dataclass(frozen=True)
class Actor:
    """Who acts: account, role (None for a resident and for the clock), area ('' for the city), department.

    `area` is '' for the centre, a town's 9 digits, a grid's 15, or a village's 12 for a resident; the rows
    that the database shows begin with it. `unit` is a department's name, and then the area says nothing.
    """

    username: str
    role: Role | None
    area: str
    unit: str = ""

    def acts_as(self, level: str) -> Who | None:
        """Return as what this person may act on a matter that stands at a level; None for not at all."""
        if self.role is Role.DEPARTMENT:
            return Who.UNIT
        if self.role is Role.GRID_WORKER:
            return Who.GRID
        if self.role is Role.COMMAND:
            return Who.OFFICE if level == Tier.CITY else None
        if self.role is Role.TOWN_OFFICER:
            return Who.OFFICE if level != Tier.CITY else None
        return None

    def check_office(self, level: str) -> None:
        """Raise NotAllowedError unless this is the office that has a matter of this level."""
        if self.acts_as(level) is not Who.OFFICE:
            raise NotAllowedError(f"{self.username} is not the office of a matter at {level} level")


@contextmanager
def everywhere(connection: Connection, actor: Actor) -> Iterator[None]:
    """Let a transaction reach the whole city for a moment: what goes along with a matter of here."""
    for_area = text("SELECT set_config('app.area', :area, true)")
    connection.execute(for_area, {"area": ""})
    yield
    connection.execute(for_area, {"area": actor.area})


@contextmanager
def on_matters(engine: Engine, actor: Actor) -> Iterator[Connection]:
    """Give a transaction with this person's rights; `engine` is of the role `gridmgmt_matters`."""
    with acting(engine, actor.username, actor.area, actor.unit) as connection:
        yield connection
