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
from gridmgmt.db.models import Proposal, SessionEnd
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.privacy import audit, register

COMMAND_LINE = "command line"
RECOVERY_CODES = 10
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
        _add(connection, who, new, kept, must_change=must_change)
    return first


def create_many(engine: Engine, who: str, new: Sequence[NewAccount]) -> list[str]:
    """Make all of these accounts or none, and return their first passwords in the same order."""
    first = [passwords.generated() for _ in new]
    kept = [passwords.hashed(each, random=True) for each in first]
    names = [each.username for each in new]
    with _act(engine, who, "account.create", rows=len(new), accounts=names) as connection:
        for each, password_hash in zip(new, kept, strict=True):
            _add(connection, who, each, password_hash, must_change=True)
    return first


def change(engine: Engine, who: str, changed: NewAccount) -> None:
    """Change name, role, area and unit of an account; InputError for one's own."""
    name = changed.username
    if who == name:
        raise InputError("own", "one's own account", "an account changed by another administrator")
    with _act(engine, who, "account.change", account=name, role=changed.role) as connection:
        before = accounts.standing(connection, name).role
        accounts.change(
            connection, name, changed.display_name, changed.role, changed.area, changed.unit
        )  # fmt: skip
        if before != changed.role:
            _propose(connection, who, name, Proposal.ROLE)


def switch(engine: Engine, who: str, username: str, *, on: bool) -> None:
    """Switch an account on, or off, which ends its sessions; InputError for one's own, the last of a kind."""
    if who == username and not on:
        raise InputError("own", "one's own account", "an account switched off by another one")
    with _act(engine, who, "account.change", account=username, active=on) as connection:
        opens = on and not accounts.standing(connection, username).active
        accounts.switch(connection, username, on=on)
        if opens:
            _propose(connection, who, username, Proposal.OPENED)


def confirm(engine: Engine, who: str, username: str, why: Sequence[str], *, agreed: bool) -> None:
    """Open an administrator's account that a second person proposed, or leave it closed.

    `why` is what `who` saw had been done to it; ConflictError when that is not all, or no longer so.
    """
    with _act(engine, who, "account.confirm", account=username, approve=agreed) as connection:
        accounts.confirm(connection, username, who, why, agreed=agreed)


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
        _propose(connection, who, username, Proposal.PASSWORD)
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


def set_factor(engine: Engine, who: str, username: str, factor: Factor | None) -> list[str]:
    """Turn an account's second factor on and return its recovery codes, or with None off: there are none."""
    codes, kept = _recovery_codes() if factor else ([], [])
    with _act(engine, who, "account.factor", account=username, active=factor is not None) as connection:
        accounts.set_factor(connection, username, factor, kept)
        _propose(connection, who, username, Proposal.FACTOR)
    return codes


def new_recovery(engine: Engine, who: str) -> list[str]:
    """Return new recovery codes of one's own second factor, which end the old ones.

    Raises ConflictError without a second factor.
    """
    codes, kept = _recovery_codes()
    with _act(engine, who, "account.factor", account=who, recovery=len(codes)) as connection:
        accounts.set_recovery(connection, who, kept)
    return codes


def use_recovery(engine: Engine, who: str, code: str) -> bool:
    """Say whether this is one of the recovery codes that an account has left; it is used up by asking."""
    known = next((kept for kept in accounts.recovery(engine, who) if passwords.matches(kept, code)), None)
    if known is None:
        return False
    try:
        with _act(engine, who, "account.recovery", account=who) as connection:
            accounts.use_recovery(connection, who, known)
    except ConflictError:  # two at once
        return False
    return True


def _recovery_codes() -> tuple[list[str], list[str]]:
    """Return new codes and what is kept of them."""
    codes = [passwords.generated() for _ in range(RECOVERY_CODES)]
    return codes, [passwords.hashed(code, random=True) for code in codes]


def bind_subject(engine: Engine, who: str, username: str, issuer: str | None, subject: str | None) -> None:
    """Bind an account to who it is at the identity provider, or to nobody; ConflictError when taken."""
    with _act(engine, who, "account.change", account=username, provider=subject is not None) as connection:
        accounts.bind_subject(connection, username, issuer, subject)
        if subject is not None:
            _propose(connection, who, username, Proposal.PROVIDER)


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


def _add(connection: Connection, who: str, new: NewAccount, password_hash: str, *, must_change: bool) -> None:
    check(new)
    name, role, area, unit = new.display_name, new.role, new.area, new.unit
    identity.add(connection, new.username, password_hash, role, name, area, unit, must_change=must_change)
    _propose(connection, who, new.username, Proposal.NEW)


def _propose(connection: Connection, who: str, username: str, why: Proposal) -> None:
    """Let a second person confirm what may let another one into an administrator's account.

    What one does to one's own account does not, and who has the server's shell needs no account.
    """
    if who not in (username, COMMAND_LINE):
        accounts.propose(connection, username, who, why)


@contextmanager
def _act(engine: Engine, who: str, what: str, **detail: Any) -> Iterator[Connection]:
    # The line comes first: it holds the log's head, so that acts on accounts go one after the other.
    with acting(engine, who, "") as connection:
        audit.record(connection, what, detail=detail)
        yield connection
