"""What many pages read and few things change, kept in the memory of a worker."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The latest `most` values by key, each with the state of what it was made from.

    Key and state together name everything that a value depends on. The key is what is asked for; the state
    moves on by itself, as the version of data does: a value of another state is replaced, and does not take
    memory beside the one that holds. What is quick to make, two requests may both make: better than one
    waiting for the other. What is heavy is made `alone`, while others wait.
    """

    def __init__(self, most: int, *, alone: bool = False) -> None:
        self._most = most
        self._making = Lock() if alone else nullcontext()
        self._values: OrderedDict[Hashable, tuple[object, T]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T], state: object = None) -> T:
        """Return the value of a key, made when it is not there or of another state."""
        if found := self._found(key, state):
            return found[1]
        with self._making:
            if found := self._found(key, state):  # made while this one waited
                return found[1]
            made = make()
            with self._lock:
                self._values[key] = state, made
                self._values.move_to_end(key)
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return made

    def _found(self, key: Hashable, state: object) -> tuple[object, T] | None:
        with self._lock:
            found = self._values.get(key)
            if found is None or found[0] != state:
                return None
            self._values.move_to_end(key)
            return found

    def forget(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()
