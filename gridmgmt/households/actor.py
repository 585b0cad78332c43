"""Who acts on the roster, and where."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from gridmgmt.db.engine import acting
from gridmgmt.errors import NotAllowedError

TOWN_DIGITS = 9


@dataclass(frozen=True)
class Actor:
    """A signed-in person on the roster: `area` is a grid's 15 digits, or a town's 9 for its office."""

    username: str
    area: str

    @property
    def is_office(self) -> bool:
        """Whether this is a town office, which decides what grid staff ask for."""
        return len(self.area) == TOWN_DIGITS

    def check_office(self, why: str) -> None:
        """Raise NotAllowedError, with the reason, when this is not a town office."""
        if not self.is_office:
            raise NotAllowedError(f"{self.username}: {why}")


@contextmanager
def on_roster(engine: Engine, actor: Actor) -> Iterator[Connection]:
    """Give a transaction with this person's rights; `engine` is of the role `gridmgmt_roster`."""
    with acting(engine, actor.username, actor.area) as connection:
        yield connection
