"""Accounts: making one, checking a password, and who somebody is.

This module, `db.accounts` and `db.sessions` alone read `account`; they need the owner's engine, because the
readers of maps and lists may not see password hashes.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from gridmgmt.db import passwords, sessions
from gridmgmt.db.models import Account, Role, SessionEnd
from gridmgmt.db.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD
from gridmgmt.db.sessions import Identity
from gridmgmt.errors import ConflictError, InputError, NotFoundError

__all__ = [
    "BOUND", "LONGEST_PASSWORD", "SHORTEST_PASSWORD", "AccountLine", "Identity", "accounts", "add",
    "authenticate", "checked", "create_account", "identity", "kept_hash", "password_mark", "put_hash",
    "rebind", "set_password",
]  # fmt: skip

_USERNAME = re.compile(r"[\w.@-]{2,64}")
LONGEST_NAME = 60
# Roles that mean nothing without a place: bound to none, such an account would see nothing at all.
BOUND = {Role.GRID_WORKER: 15, Role.TOWN_OFFICER: 9}


def create_account(
    engine: Engine,
    username: str,
    password: str,
    role: str,
    display_name: str,
    area: str | None = None,
    unit: str | None = None,
    *,
    must_change: bool = False,
) -> Identity:
    """Make an account and return who it is; with `must_change` its first act is to choose a password.

    Raises InputError for a field that is not allowed, ConflictError when the name is taken.
    """
    passwords.check(password, username)
    kept = passwords.hashed(password)
    with engine.begin() as connection:
        return add(connection, username, kept, role, display_name, area, unit, must_change=must_change)


def add(
    connection: Connection,
    username: str,
    password_hash: str,
    role: str,
    display_name: str,
    area: str | None = None,
    unit: str | None = None,
    *,
    must_change: bool = False,
) -> Identity:
    """Make an account as `create_account` does, of a hash (`db.passwords`); commits nothing."""
    chosen = checked(username, role, area, unit)
    row = {
        "username": username, "password_hash": password_hash, "role": chosen.value,
        "display_name": display_name or username, "area": area, "unit": unit, "must_change": must_change,
    }  # fmt: skip
    made = connection.execute(insert(Account).values(row).on_conflict_do_nothing())
    if not made.rowcount:
        raise ConflictError(f"account {username!r} stands already")
    return Identity(username, chosen, display_name or username, area, unit, must_change)


def set_password(engine: Engine, username: str, password: str, *, must_change: bool = False) -> None:
    """Change a password, which ends every session of that account; NotFoundError when there is none."""
    passwords.check(password, username)
    kept = passwords.hashed(password)
    with engine.begin() as connection:
        put_hash(connection, username, kept, must_change=must_change)


def put_hash(
    connection: Connection,
    username: str,
    password_hash: str,
    *,
    must_change: bool = False,
    keep: bytes | None = None,
) -> None:
    """Change a password's hash and end the account's sessions but the one to `keep`; commits nothing.

    Raises NotFoundError when there is no such account.
    """
    values = {"password_hash": password_hash, "must_change": must_change}
    changed = connection.execute(update(Account).where(Account.username == username).values(values))
    if not changed.rowcount:
        raise NotFoundError(f"no account {username!r}")
    sessions.end_all(connection, username, SessionEnd.PASSWORD, keep=keep)


def kept_hash(engine: Engine, username: str) -> str | None:
    """Return the hash of an active account's password, for `passwords.check` and nothing else."""
    with engine.connect() as connection:
        account = _account(connection, username)
    return str(account.password_hash) if account and account.active else None


def rebind(connection: Connection, successors: Mapping[str, str]) -> int:
    """Bind accounts of areas that are gone to those in their place; how many changed. Commits nothing."""
    changed = 0
    for old, new in successors.items():
        changed += connection.execute(update(Account).where(Account.area == old).values(area=new)).rowcount
    return changed


def authenticate(engine: Engine, username: str, password: str) -> Identity | None:
    """Return who this is when the password is right and the account active, else None.

    An unknown or inactive name costs as much time as a wrong password, so that names cannot be probed.
    """
    if len(password) > LONGEST_PASSWORD:
        return None
    with engine.connect() as connection:
        account = _account(connection, username)
    stored = account.password_hash if account else None
    right = passwords.matches(stored or passwords.decoy(), password)
    if stored and not right and passwords.is_old(stored):
        passwords.matches(passwords.decoy(), password)  # a quick hash would tell that the name stands
    if account is None or not right or not account.active:
        return None
    if passwords.is_old(account.password_hash):
        _renew(engine, account, password)
    return _identity(account)


def _renew(engine: Engine, account: Row[Any], password: str) -> None:
    same = (Account.username == account.username, Account.password_hash == account.password_hash)
    with engine.begin() as connection:
        connection.execute(update(Account).where(*same).values(password_hash=passwords.hashed(password)))


def identity(engine: Engine, username: str) -> Identity | None:
    """Return who an active account is, or None when it is unknown or switched off."""
    with engine.connect() as connection:
        account = _account(connection, username)
        return _identity(account) if account and account.active else None


def password_mark(engine: Engine, username: str) -> str | None:
    """Return what changes with an active account's password, or None when there is no such account.

    A sign-in that waits for its second factor is bound to it.
    """
    kept = kept_hash(engine, username)
    return hashlib.sha256(kept.encode()).hexdigest()[:16] if kept else None


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account as the administrator's list shows it."""

    username: str
    display_name: str
    role: Role
    area: str | None
    active: bool
    created_at: datetime


def accounts(engine: Engine) -> list[AccountLine]:
    """Return every account in the order of role and name, without its hash."""
    columns = (
        Account.username, Account.display_name, Account.role, Account.area, Account.active, Account.created_at
    )  # fmt: skip
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(Account.role, Account.username)).all()
    return [AccountLine(r[0], r[1], Role(r[2]), r[3], r[4], r[5]) for r in rows]


def checked(username: str, role: str, area: str | None, unit: str | None) -> Role:
    """Return the role when an account may have these fields; InputError naming the field that is wrong."""
    if not _USERNAME.fullmatch(username):
        raise InputError("username", username, "2 to 64 letters, digits, or . _ @ -")
    if role not in {known.value for known in Role}:
        raise InputError("role", role, ", ".join(Role))
    if Role(role) in BOUND and not area:
        raise InputError(
            "area", area, f"the code of the {'grid' if role == Role.GRID_WORKER else 'town'} it is bound to"
        )
    if (Role(role) is Role.DEPARTMENT) != bool(unit):
        raise InputError("unit", unit, "the department of an account of the role department, of no other")
    return Role(role)


def _account(connection: Connection, username: str) -> Row[Any] | None:
    if not _USERNAME.fullmatch(username):
        return None
    return connection.execute(select(Account.__table__).where(Account.username == username)).one_or_none()


def _identity(account: Row[Any]) -> Identity:
    return Identity(
        account.username, Role(account.role), account.display_name, account.area, account.unit,
        account.must_change, account.totp_sealed is not None,
    )  # fmt: skip
