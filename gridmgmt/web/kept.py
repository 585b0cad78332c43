"""What many pages read and few things change, kept in the memory of a worker."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The latest `most` values by key; the key must name everything that a value depends on.

    What is quick to make, two requests may both make: better than one waiting for the other. What is heavy
    is made `alone`, while others wait.
    """

    def __init__(self, most: int, *, alone: bool = False) -> None:
        self._most = most
        self._making = Lock() if alone else nullcontext()
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key, made when it is not there."""
        if (found := self._found(key)) is not None:
            return found[0]
        with self._making:
            if (found := self._found(key)) is not None:  # made while this one waited
                return found[0]
            made = make()
            with self._lock:
                self._values[key] = made
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return made

    def _found(self, key: Hashable) -> tuple[T] | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return (self._values[key],)

    def forget(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._values.clear()
