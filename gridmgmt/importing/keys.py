"""Takes values out of the tables of a TOML file, and notes everything that is not allowed there."""

import tomllib
from collections.abc import Collection
from enum import StrEnum
from typing import Any, TypeVar

from gridmgmt.errors import InputError

_Word = TypeVar("_Word", bound=StrEnum)


def parsed(text: str, largest: int) -> dict[str, Any]:
    """Return the tables of a TOML text; InputError for one of more than `largest` characters or no TOML."""
    if len(text) > largest:
        raise InputError("file", f"{len(text)} characters", f"up to {largest}")
    try:
        return tomllib.loads(text)
    # Numbers of thousands of digits and brackets in thousands of brackets are no errors of TOML's own.
    except (ValueError, RecursionError) as error:
        raise InputError("file", str(error), "TOML in UTF-8") from error


class Keys:
    """One table of a file. What is not allowed goes to `fault`, and something of the right type is returned.

    A file's own kind of it says in `fault` where the table stands, and adds the values that only it has.
    """

    def __init__(self, raw: object, allowed: Collection[str]) -> None:
        self.raw = raw if isinstance(raw, dict) else {}
        listed = ", ".join(allowed)
        if not isinstance(raw, dict):
            self.fault("table", raw, f"a table of {listed}")
        for key in sorted(set(self.raw) - set(allowed)):
            self.unknown(key, self.raw[key], f"no such key; there are {listed}")

    def fault(self, key: str, value: object, allowed: str) -> None:
        """Note that the value of a key is not what is allowed."""
        raise NotImplementedError

    def unknown(self, key: str, value: object, allowed: str) -> None:
        """Note a key that there is not."""
        self.fault(key, value, allowed)

    def has(self, key: str) -> bool:
        """Say whether the key is there."""
        return key in self.raw

    def name(self, key: str, longest: int, default: str | None = None) -> str:
        """Return a text of one line, of 1 to `longest` characters; shorter only where it is the default."""
        value = self.raw.get(key, default)
        if isinstance(value, str) and 0 < len(value.strip()) <= longest and value.isprintable():
            return value.strip()
        if value != default or default is None:
            self.fault(key, value, f"a name of 1 to {longest} characters")
        return str(value)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return a whole number within bounds."""
        value = self.raw.get(key, default)
        if type(value) is int and low <= value <= high:
            return value
        self.fault(key, value, f"a whole number from {low} to {high}")
        return low

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """Return a number within bounds, which NaN and infinity never are."""
        value = self.raw.get(key, default)
        # True is a whole number too, and one of hundreds of digits is too large for a float.
        if isinstance(value, int | float) and type(value) is not bool and low <= value <= high:
            return float(value)
        self.fault(key, value, f"a number from {low:g} to {high:g}")
        return low

    def word(self, key: str, kind: type[_Word], default: _Word | None = None) -> _Word:
        """Return one of the words of `kind`."""
        value = self.raw.get(key, default)
        if isinstance(value, str) and value in set(kind):
            return kind(value)
        self.fault(key, value, f"one of {', '.join(kind)}")
        return next(iter(kind))

    def words(self, key: str, allowed: Collection[_Word]) -> frozenset[_Word]:
        """Return some of the allowed words, each once; none where the key is absent."""
        value = self.raw.get(key, [])
        known = {str(word): word for word in allowed}
        if not isinstance(value, list) or any(str(word) not in known for word in value):
            self.fault(key, value, f"a list of {', '.join(allowed)}")
            return frozenset()
        if len(set(value)) < len(value):
            self.fault(key, value, "each once")
        return frozenset(known[word] for word in value)

    def tables(self, key: str) -> list[Any]:
        """Return the [[key]] tables, none where there are none."""
        value = self.raw.get(key, [])
        if not isinstance(value, list):
            self.fault(key, value, f"[[{key}]] tables")
            return []
        return value
