"""What is done to accounts, by their administrator or their owner: each act one transaction, one audit line.

`who` is the account that acts; a line names the account acted on and what changed, nothing else.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from gridmgmt.db import accounts, identity, passwords, sessions
from gridmgmt.db.accounts import Factor
from gridmgmt.db.engine import acting
from gridmgmt.db.identity import LONGEST_NAME
from gridmgmt.db.models import Role, SessionEnd
from gridmgmt.errors import InputError
from gridmgmt.privacy import audit, register

COMMAND_LINE = "command line"
CLEARED_NAME = "删除的过期登录"
# Older than any session may be: one that nobody ended is over.
_LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be made; `area` is a grid's or town's code, `unit` a department's name."""

    username: str
    display_name: str
    role: str
    area: str | None = None
    unit: str | None = None


def create(engine: Engine, who: str, new: NewAccount, password: str = "", *, must_change: bool = True) -> str:
    """Make an account and return its first password: the one given, or a generated one.

    Raises InputError for a field that is not allowed, ConflictError when the name is taken.
    """
    if password:
        passwords.check(password, new.username)
    first = password or passwords.generated()
    kept = passwords.hashed(first, random=not password)  # outside of the act, which others wait for
    with _act(engine, who, "account.create", account=new.username, role=new.role) as connection:
        _add(connection, new, kept, must_change=must_change)
    return first


def create_many(engine: Engine, who: str, new: Sequence[NewAccount]) -> list[str]:
    """Make all of these accounts or none, and return their first passwords in the same order."""
    first = [passwords.generated() for _ in new]
    kept = [passwords.hashed(each, random=True) for each in first]
    names = [each.username for each in new]
    with _act(engine, who, "account.create", rows=len(new), accounts=names) as connection:
        for each, password_hash in zip(new, kept, strict=True):
            _add(connection, each, password_hash, must_change=True)
    return first


def change(engine: Engine, who: str, changed: NewAccount) -> None:
    """Change name, role, area and unit of an account; InputError where one gives up one's own right."""
    name = changed.username
    if who == name and changed.role != Role.ADMIN:
        raise InputError("own", "one's own right", "an administrator changed by another one")
    with _act(engine, who, "account.change", account=name, role=changed.role) as connection:
        accounts.change(
            connection, name, changed.display_name, changed.role, changed.area, changed.unit
        )  # fmt: skip


def switch(engine: Engine, who: str, username: str, *, on: bool) -> None:
    """Switch an account on, or off, which ends its sessions; InputError for the own one, the last admin."""
    if who == username and not on:
        raise InputError("own", "one's own account", "an account switched off by another one")
    with _act(engine, who, "account.change", account=username, active=on) as connection:
        accounts.switch(connection, username, on=on)


def put_password(
    engine: Engine, who: str, username: str, password: str = "", *, must_change: bool = True
) -> str:
    """Give an account another password and return it: the one given, or a generated one.

    Its sessions end. Raises InputError when it is not allowed, NotFoundError for a name that has no account.
    """
    if password:
        passwords.check(password, username)
    given = password or passwords.generated()
    kept = passwords.hashed(given, random=not password)
    with _act(engine, who, "account.password", account=username) as connection:
        identity.put_hash(connection, username, kept, must_change=must_change)
    return given


def own_password(engine: Engine, who: str, password: str, keep: bytes) -> None:
    """Change one's own password, which ends every session but the one to `keep`.

    Raises InputError when it is not allowed or the old one.
    """
    passwords.check(password, who, identity.kept_hash(engine, who))
    kept = passwords.hashed(password)
    with _act(engine, who, "account.password", account=who) as connection:
        identity.put_hash(connection, who, kept, keep=keep)


def end_sessions(engine: Engine, who: str, username: str, *, keep: bytes | None = None) -> int:
    """End the sessions of an account, but one where it is one's own, and return how many there were."""
    with _act(engine, who, "account.sessions", account=username) as connection:
        return sessions.end_all(connection, username, SessionEnd.REVOKED, keep=keep)


def end_session(engine: Engine, who: str, session_id: bytes) -> bool:
    """End one of one's own sessions; False when there is none of that id."""
    ended = sessions.end(engine, who, session_id, SessionEnd.REVOKED)
    if ended:
        with _act(engine, who, "account.sessions", account=who):
            pass
    return ended


def set_factor(engine: Engine, who: str, username: str, factor: Factor | None) -> None:
    """Turn an account's second factor on, or with None off."""
    with _act(engine, who, "account.factor", account=username, active=factor is not None) as connection:
        accounts.set_factor(connection, username, factor)


def bind_subject(engine: Engine, who: str, username: str, issuer: str | None, subject: str | None) -> None:
    """Bind an account to who it is at the identity provider, or to nobody; ConflictError when taken."""
    with _act(engine, who, "account.change", account=username, provider=subject is not None) as connection:
        accounts.bind_subject(connection, username, issuer, subject)


def note_unlocked(engine: Engine, who: str, name: str) -> None:
    """Write down that a name which was locked out may try again."""
    with _act(engine, who, "account.change", account=name, unlocked=True):
        pass


def clear_sessions(engine: Engine, today: date, *, dry_run: bool = False) -> int:
    """Remove sessions that ended longer ago than the field register keeps them; how many they are."""
    before = register.retention("account_session").before(today)
    with engine.begin() as connection:
        cleared = sessions.clear_old(connection, before, _LONGEST)
        if dry_run:
            connection.rollback()
    return cleared


def check(new: NewAccount) -> None:
    """Raise InputError naming the field when an account may not be made so."""
    identity.checked(new.username, new.role, new.area, new.unit)
    if not 0 < len(new.display_name) <= LONGEST_NAME:
        raise InputError("display_name", f"{len(new.display_name)} characters", f"1 to {LONGEST_NAME}")


def _add(connection: Connection, new: NewAccount, password_hash: str, *, must_change: bool) -> None:
    check(new)
    name, role, area, unit = new.display_name, new.role, new.area, new.unit
    identity.add(connection, new.username, password_hash, role, name, area, unit, must_change=must_change)


@contextmanager
def _act(engine: Engine, who: str, what: str, **detail: Any) -> Iterator[Connection]:
    # The line comes first: it holds the log's head, so that acts on accounts go one after the other.
    with acting(engine, who, "") as connection:
        audit.record(connection, what, detail=detail)
        yield connection
