"""The mapping file: how a file's columns, clock and reference system become ours, without code."""

import codecs
import tomllib
import zoneinfo
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from gridmgmt.crs import parse_crs
from gridmgmt.errors import FileError, InputError

DEFAULT_SOURCE = "import"
SECTIONS = ("source", "fields", "keep", "period", "constants")
SOURCE_KEYS = (
    "encoding", "crs", "timezone", "time_format", "name", "sheet", "earliest", "repeated_ids", "handling",
)  # fmt: skip
REPEATED_IDS = ("reject", "number")
HISTORY, HERE = "history", "here"
HANDLING = (HISTORY, HERE)


@dataclass(frozen=True)
class Mapping:
    """What a mapping file says; the default takes columns by our own names.

    `fields` gives for one of our fields the file's columns (several are joined by "-"), `keep` the values a
    column must have, `period` the first and last local day of occurrence that is taken. `handling` says
    whether open matters are handled here, or stand as history.
    """

    file: str | None = None
    encoding: str | None = None
    crs: str | None = None
    timezone: str = "Asia/Shanghai"
    time_format: str | None = None
    name: str | None = None
    sheet: str | None = None
    earliest: date = date(2000, 1, 1)
    repeated_ids: str = "reject"
    handling: str = HISTORY
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keep: dict[str, frozenset[str]] = field(default_factory=dict)
    period: tuple[date | None, date | None] = (None, None)
    constants: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The name under which external ids are unique: the given one, else the constant channel."""
        return self.name or self.constants.get("channel") or DEFAULT_SOURCE


def load_mapping(path: Path | None, *, crs: str | None = None) -> Mapping:
    """Return what a mapping file says, or the default when there is none; `crs` overrides the file's.

    Raises InputError naming the file and the key: a section or key that does not exist, a value of the wrong
    type, an unknown time zone or reference system.

    >>> load_mapping(None, crs="WGS-84").crs
    'wgs84'
    """
    content = _read(path) if path else {}
    door = _Door(str(path) if path else "--crs")
    door.only(content, SECTIONS, "")
    source = door.section(content, "source")
    door.only(source, SOURCE_KEYS, "source.")
    declared = crs or door.text(source, "crs")
    return Mapping(
        file=str(path) if path else None,
        encoding=door.encoding(source),
        crs=door.crs(declared),
        timezone=door.timezone(source),
        time_format=door.text(source, "time_format"),
        name=door.text(source, "name"),
        sheet=door.text(source, "sheet"),
        earliest=door.day(source, "earliest", "source.") or Mapping.earliest,
        repeated_ids=door.word(source, "repeated_ids", REPEATED_IDS),
        handling=door.word(source, "handling", HANDLING),
        fields=door.fields(door.section(content, "fields")),
        keep=door.keep(door.section(content, "keep")),
        period=door.period(door.section(content, "period")),
        constants=door.constants(door.section(content, "constants")),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as why:
        raise FileError(path, "mapping file", why.strerror, "a file that can be read") from why
    except UnicodeDecodeError as why:
        raise FileError(
            path, "mapping file", f"byte {why.start} is not UTF-8", "TOML, which is UTF-8"
        ) from why
    except tomllib.TOMLDecodeError as why:
        raise FileError(
            path, "mapping file", str(why), 'TOML, for example [fields] with id = "编号"'
        ) from why


class _Door:
    """Checks values of one mapping file and names it in every error."""

    def __init__(self, file: str) -> None:
        self.file = file

    def refuse(self, key: str, found: object, allowed: str) -> InputError:
        return FileError(self.file, key, found, allowed)

    def only(self, table: dict[str, Any], allowed: tuple[str, ...], prefix: str) -> None:
        for key in table:
            if key not in allowed:
                raise self.refuse(f"{prefix}{key}", key, ", ".join(allowed))

    def section(self, content: dict[str, Any], key: str) -> dict[str, Any]:
        value = content.get(key, {})
        if not isinstance(value, dict):
            raise self.refuse(key, value, f"a section [{key}]")
        return value

    def text(self, table: dict[str, Any], key: str) -> str | None:
        value = table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.refuse(f"source.{key}", value, "text in quotes")
        return value

    def encoding(self, source: dict[str, Any]) -> str | None:
        name = self.text(source, "encoding")
        try:
            return codecs.lookup(name).name if name else None
        except LookupError as why:
            raise self.refuse(
                "source.encoding", name, "utf-8, gb18030 or another character encoding"
            ) from why

    def crs(self, name: str | None) -> str | None:
        try:
            return parse_crs(name) if name else None
        except InputError as why:
            raise self.refuse("crs", name, why.allowed) from why

    def timezone(self, source: dict[str, Any]) -> str:
        name = self.text(source, "timezone") or Mapping.timezone
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as why:
            raise self.refuse("source.timezone", name, "an IANA name, for example Asia/Shanghai") from why
        return name

    def day(self, table: dict[str, Any], key: str, prefix: str) -> date | None:
        value = table.get(key)
        if isinstance(value, str):
            try:
                value = date.fromisoformat(value)
            except ValueError as why:
                raise self.refuse(f"{prefix}{key}", value, "a date, for example 2015-01-01") from why
        if isinstance(value, datetime) or not isinstance(value, date | None):
            raise self.refuse(f"{prefix}{key}", value, "a date, for example 2015-01-01")
        return value

    def word(self, source: dict[str, Any], key: str, words: tuple[str, ...]) -> str:
        """Return one of some words, the first when nothing is said."""
        value = self.text(source, key) or words[0]
        if value not in words:
            raise self.refuse(f"source.{key}", value, " or ".join(words))
        return value

    def fields(self, table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        found = {}
        for ours, theirs in table.items():
            names = theirs if isinstance(theirs, list) else [theirs]
            if not names or not all(isinstance(name, str) and name.strip() for name in names):
                raise self.refuse(f"fields.{ours}", theirs, "a column's name, or a list of names")
            found[ours] = tuple(names)
        return found

    def keep(self, table: dict[str, Any]) -> dict[str, frozenset[str]]:
        for column, values in table.items():
            if (
                not isinstance(values, list)
                or not values
                or not all(isinstance(v, str | int) for v in values)
            ):
                raise self.refuse(f"keep.{column}", values, 'a list of values, for example ["1"]')
        return {column: frozenset(map(str, values)) for column, values in table.items()}

    def period(self, table: dict[str, Any]) -> tuple[date | None, date | None]:
        self.only(table, ("from", "to"), "period.")
        first, last = self.day(table, "from", "period."), self.day(table, "to", "period.")
        if first and last and last < first:
            raise self.refuse("period.to", last, f"a day from {first} on")
        return first, last

    def constants(self, table: dict[str, Any]) -> dict[str, str]:
        for key, value in table.items():
            if isinstance(value, bool) or not isinstance(value, str | int | float | date):
                raise self.refuse(f"constants.{key}", value, "text, a number or a date")
        return {key: str(value) for key, value in table.items()}
