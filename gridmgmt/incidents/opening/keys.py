"""Keys of the interface: made once, known by their hash, with scopes, a rate and an end."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Engine, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from gridmgmt.db.engine import acting
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.opening.models import ApiKey
from gridmgmt.privacy import audit

PREFIX = "gm_"
SECRET_BYTES = 32
A_MINUTE, MOST_A_MINUTE = 60, 100_000
MOST_LETTERS = 60
_NAME = re.compile(rf"[\w.-]{{2,{MOST_LETTERS}}}")


class Scope(StrEnum):
    """What a key may do."""

    READ = "matters:read"
    TEXT = "matters:text"
    WRITE = "matters:write"
    BULK = "bulk:read"


SCOPE_NAMES = {
    Scope.READ: "读取全部类别与准确位置", Scope.TEXT: "另读标题与内容", Scope.WRITE: "登记诉求",
    Scope.BULK: "批量下载",
}  # fmt: skip


@dataclass(frozen=True)
class Caller:
    """A program that showed a key; what it does is done as `api:<name>`."""

    id: int
    name: str
    scopes: frozenset[Scope]
    a_minute: int

    @property
    def actor(self) -> Actor:
        return Actor(f"api:{self.name}", None, "")


@dataclass(frozen=True)
class KeyLine:
    """A key as the administrator sees it; the key itself is nowhere."""

    id: int
    name: str
    scopes: tuple[str, ...]
    a_minute: int
    made_at: datetime
    made_by: str
    expires_on: date | None
    revoked_at: datetime | None
    used_on: date | None

    @property
    def scope_names(self) -> str:
        return "、".join(SCOPE_NAMES[Scope(scope)] for scope in self.scopes)

    def stands(self, today: date) -> bool:
        """Say whether the key still opens anything."""
        return self.revoked_at is None and (self.expires_on is None or self.expires_on >= today)


def add(
    engine: Engine,
    name: str,
    scopes: Iterable[str],
    who: str,
    *,
    a_minute: int = A_MINUTE,
    expires_on: date | None = None,
) -> str:
    """Make a key of 256 random bits and return it; nobody sees it again.

    `expires_on` is the last day on which it holds. InputError for a field that is not allowed, ConflictError
    for a name that is taken, by a revoked key too: what it did stands under that name.
    """
    told = set(scopes)
    if not _NAME.fullmatch(name):
        raise InputError("name", name, "2 to 60 letters, digits, or . _ -")
    if not told or not told <= set(Scope):
        raise InputError("scopes", ", ".join(sorted(told)), ", ".join(Scope))
    if not 1 <= a_minute <= MOST_A_MINUTE:
        raise InputError("a_minute", a_minute, f"1 to {MOST_A_MINUTE} calls a minute")
    shown = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    row = {
        "name": name, "hash": _hash(shown), "scopes": [scope.value for scope in Scope if scope in told],
        "a_minute": a_minute, "made_by": who, "expires_on": expires_on,
    }  # fmt: skip
    try:
        with acting(engine, who, "") as connection:
            audit.record(connection, "key.change", detail={"kind": "新建密钥", "of": name})
            connection.execute(insert(ApiKey).values(row))
    except IntegrityError:
        raise ConflictError(f"there is a key {name} already") from None
    return shown


def listed(engine: Engine) -> list[KeyLine]:
    """Return every key, those that stand first, then the newest first."""
    columns = [column for column in ApiKey.__table__.columns if column.name != "hash"]
    statement = select(*columns).order_by(ApiKey.revoked_at.isnot(None), ApiKey.made_at.desc())
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings()
        return [KeyLine(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]


def revoke(engine: Engine, name: str, who: str) -> None:
    """End a key at once and for ever; NotFoundError when none of that name stands."""
    statement = update(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
    with acting(engine, who, "") as connection:
        audit.record(connection, "key.change", detail={"kind": "作废密钥", "of": name[:MOST_LETTERS]})
        if not connection.execute(statement.values(revoked_at=func.now())).rowcount:
            raise NotFoundError(f"no key {name} stands")


def find(engine: Engine, shown: str, today: date) -> Caller | None:
    """Return who shows a key, and note the day; None for a key that is unknown, revoked or over."""
    stands = (
        ApiKey.hash == _hash(shown),
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_on.is_(None), ApiKey.expires_on >= today),
    )
    with engine.begin() as connection:
        row = connection.execute(
            select(ApiKey.id, ApiKey.name, ApiKey.scopes, ApiKey.a_minute, ApiKey.used_on).where(*stands)
        ).one_or_none()
        if row is None:
            return None
        if row.used_on != today:  # one write a day, not one a call
            connection.execute(update(ApiKey).where(ApiKey.id == row.id).values(used_on=today))
    return Caller(row.id, row.name, frozenset(map(Scope, row.scopes)), row.a_minute)


def _hash(shown: str) -> bytes:
    # A random key of 256 bits needs no slow hash: there is nothing to guess.
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).digest()
