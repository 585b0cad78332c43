"""What may be asked, said once: each argument is read by what describes it in the OpenAPI document.

GeoReport v2 takes an empty value for none given; elsewhere it is an error, and so is an argument that nobody
knows: a filter that was misspelt must not answer with everything.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from gridmgmt.errors import InputError

Schema = dict[str, Any]
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{0,30})?([eE]-?[0-9]{1,3})?")


@dataclass(frozen=True)
class Argument:
    """An argument: its name, what it means, its JSON Schema, and how its text is read (ValueError)."""

    name: str
    about: str
    schema: Schema
    read: Callable[[str], Any]
    required: bool = False
    where: str = "query"

    def described(self, *, blank: bool) -> Schema:
        """Return the parameter as OpenAPI describes one; `blank` lets it be empty."""
        empty_too = blank and not self.required and self.where == "query"
        schema = {"anyOf": [self.schema, {"type": "string", "maxLength": 0}]} if empty_too else self.schema
        return {
            "name": self.name, "in": self.where, "required": self.required or self.where == "path",
            "description": self.about, "schema": schema,
        }  # fmt: skip


def read(arguments: Sequence[Argument], given: MultiDict[str, str], *, blank: bool) -> dict[str, Any]:
    """Return the values of the arguments that are given, by name.

    Raises InputError for one that is not allowed, given twice, missing, or, unless `blank`, unknown.
    """
    if not blank:
        known = {argument.name for argument in arguments}
        for name in given:
            if name not in known:
                raise InputError(name[:40], "an unknown argument", ", ".join(sorted(known)))
    values = {}
    for argument in arguments:
        told = given.getlist(argument.name)
        if len(told) > 1:
            raise InputError(argument.name, f"{len(told)} values", "one value")
        if not told or (blank and not told[0]):
            if argument.required:
                raise InputError(argument.name, "nothing", argument.about)
            continue
        values[argument.name] = _value(argument, told[0])
    return values


def _value(argument: Argument, told: str) -> Any:
    try:
        return argument.read(told)
    except (ValueError, OverflowError):
        raise InputError(argument.name, told[:40], argument.about) from None


def whole(name: str, about: str, low: int, high: int) -> Argument:
    """Return an argument that is a whole number of a range."""

    def number(told: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,19}", told) or not low <= int(told) <= high:
            raise ValueError(told)
        return int(told)

    return Argument(name, about, {"type": "integer", "minimum": low, "maximum": high}, number)


def decimal(name: str, about: str, low: float, high: float) -> Argument:
    """Return an argument that is a decimal number of a range."""

    def number(told: str) -> float:
        if not _NUMBER.fullmatch(told) or not low <= float(told) <= high:
            raise ValueError(told)
        return float(told)

    return Argument(name, about, {"type": "number", "minimum": low, "maximum": high}, number)


def words(
    name: str,
    about: str,
    pattern: str,
    *,
    longest: int = 0,
    required: bool = False,
    where: str = "query",
    convert: Callable[[str], Any] = str,
) -> Argument:
    """Return an argument whose text has a pattern (of JSON Schema and of Python alike)."""

    def matched(told: str) -> Any:
        if not re.fullmatch(pattern.removeprefix("^").removesuffix("$"), told):
            raise ValueError(told)
        if longest and len(told) > longest:
            raise ValueError(told)
        return convert(told)

    schema: Schema = {"type": "string", "pattern": pattern}
    if longest:
        schema["maxLength"] = longest
    return Argument(name, about, schema, matched, required, where)


def choice(name: str, about: str, values: Sequence[str]) -> Argument:
    """Return an argument that is one of a few words."""

    def chosen(told: str) -> str:
        if told not in values:
            raise ValueError(told)
        return told

    return Argument(name, about, {"type": "string", "enum": list(values)}, chosen)


def moment(name: str, about: str) -> Argument:
    """Return an argument that is a moment with its time zone, as RFC 3339 writes it."""
    return Argument(name, about, {"type": "string", "format": "date-time"}, _moment)


def day(name: str, about: str) -> Argument:
    """Return an argument that is a day."""
    return Argument(name, about, {"type": "string", "format": "date"}, _day)


def box(name: str, about: str) -> Argument:
    """Return an argument that is west, south, east, north in degrees."""
    number = r"-?[0-9]{1,3}(\.[0-9]{1,12})?"
    return words(name, about, rf"^{number}(,{number}){{3}}$", convert=_box)


def several(told: str) -> tuple[str, ...]:
    """Return the parts of a list with commas."""
    return tuple(told.split(","))


_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _moment(told: str) -> datetime:
    found = _MOMENT.fullmatch(told)
    if found is None:
        raise ValueError(told)
    date, minute, second, fraction, zone = found.groups()
    if int(date[:4]) < _EARLIEST.year or int(date[:4]) >= _LATEST.year:
        # Whatever lies so far away is before or after all matters; clocks cannot reckon with it.
        return _EARLIEST if int(date[:4]) < _EARLIEST.year else _LATEST
    second = min(second, "59") if second == "60" else second  # a leap second, which no clock of ours has
    text = f"{date}T{minute}:{second}{(fraction or '.0')[:7].ljust(7, '0')}{zone.replace('z', 'Z')}"
    return datetime.fromisoformat(text).astimezone(UTC)


def _day(told: str) -> Any:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", told):
        raise ValueError(told)
    return datetime.strptime(told, "%Y-%m-%d").date()


def _box(told: str) -> tuple[float, ...]:
    return tuple(float(part) for part in told.split(","))
