"""Who acts on the index: the centre, a department, a town's office."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from gridmgmt.db.engine import acting
from gridmgmt.db.models import Role
from gridmgmt.errors import NotAllowedError

# Matches no area of the city.
NOWHERE = "-"


@dataclass(frozen=True)
class Actor:
    """Account, role, area ('' for the city, a town's 9 digits), and a department's name."""

    username: str
    role: Role
    area: str = ""
    unit: str = ""

    @property
    def own(self) -> str:
        """The unit of the index that this person belongs to; '' for the centre."""
        return self.unit or self.area[:9]

    def check_centre(self) -> None:
        """Raise NotAllowedError unless this is the centre, which builds, talks and issues."""
        if self.role is not Role.COMMAND:
            raise NotAllowedError(f"{self.username} is not of the centre")


@contextmanager
def on_index(engine: Engine, actor: Actor) -> Iterator[Connection]:
    """Give a transaction with this person's rights; `engine` is of the role `gridmgmt_writer`.

    The whole city is the centre's alone: an account that lacks its area or its department has nothing.
    """
    area = "" if actor.role is Role.COMMAND else actor.area or NOWHERE
    with acting(engine, actor.username, area, actor.unit) as connection:
        yield connection
