"""How far a job is: held by whoever works on it, written down by a thread beside it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from gridmgmt.db import jobs as stored
from gridmgmt.importing.progress import Progress

# Seconds between two writings of progress, and two signs of life without progress.
TOLD, ALIVE = 0.25, 5.0
# What an error is when the database went away, or broke the work off for another's sake.
Lost = (OperationalError, InterfaceError)


class Told(Progress):
    """Holds how far the work is; a thread beside it writes that down."""

    def __init__(self) -> None:
        self.prefix = ""
        self._state: tuple[str | None, int | None, int | None] = (None, None, None)

    def total(self, amount: int) -> None:
        self._state = (self._state[0], 0, amount)

    def at(self, amount: int) -> None:
        self._state = (self._state[0], amount, self._state[2])

    def doing(self, what: str) -> None:
        self._state = (f"{self.prefix}{what}", *self._state[1:])

    def state(self) -> tuple[str | None, int | None, int | None]:
        """Return what is done now, how far it is, and how much there is."""
        return self._state


@contextmanager
def followed(engine: Engine, number: int) -> Iterator[Told]:
    """Give a progress that is written down at most four times a second, with a sign of life in between."""
    told, over = Told(), Event()
    thread = Thread(target=_tell, args=(engine, number, told, over), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join()


def _tell(engine: Engine, number: int, told: Told, over: Event) -> None:
    last, written = None, 0.0
    with suppress(*Lost), engine.connect() as connection:  # whoever works finds that out by itself
        while not over.wait(TOLD):
            state, now = told.state(), time.monotonic()
            if state != last or now - written > ALIVE:
                stored.beat(connection, number, *state)
                last, written = state, now
