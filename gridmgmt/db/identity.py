"""Accounts: making one, checking a password, and who somebody is.

Only this module reads `account`; it needs the owner's engine, because the readers of maps and lists may not
see password hashes. Hashes are argon2id with the parameters of RFC 9106's low-memory choice (argon2-cffi's
default); an old hash is renewed at the next sign-in.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from gridmgmt.db.models import Account, Role
from gridmgmt.errors import ConflictError, InputError, NotFoundError

SHORTEST_PASSWORD = 8
# argon2 reads it all: a password of megabytes would be a way to keep the server busy.
LONGEST_PASSWORD = 256
_USERNAME = re.compile(r"[\w.@-]{2,64}")
# Roles that mean nothing without a place: bound to none, such an account would see nothing at all.
_BOUND = {Role.GRID_WORKER, Role.TOWN_OFFICER}

_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is signed in; `stamp` changes with the password, so that it ends every session begun before."""

    username: str
    role: Role
    display_name: str
    area: str | None
    stamp: str
    unit: str | None = None


def create_account(
    engine: Engine,
    username: str,
    password: str,
    role: str,
    display_name: str,
    area: str | None = None,
    unit: str | None = None,
) -> Identity:
    """Make an account and return who it is.

    Raises InputError for a field that is not allowed, ConflictError when the name is taken.
    """
    chosen = _checked(username, password, role, area, unit)
    row = {
        "username": username,
        "password_hash": _hasher.hash(password),
        "role": chosen.value,
        "display_name": display_name or username,
        "area": area,
        "unit": unit,
    }
    with Session(engine) as session, session.begin():
        statement = insert(Account).values(row).on_conflict_do_nothing().returning(Account)
        account = session.scalars(statement).one_or_none()
        if account is None:
            raise ConflictError(f"account {username!r} stands already")
        return _identity(account)


def set_password(engine: Engine, username: str, password: str) -> None:
    """Change a password, which ends every session of that account; NotFoundError when there is none."""
    _check_password(password)
    with Session(engine) as session, session.begin():
        statement = update(Account).where(Account.username == username)
        changed = session.execute(
            statement.values(password_hash=_hasher.hash(password)).returning(Account.username)
        )
        if changed.first() is None:
            raise NotFoundError(f"no account {username!r}")


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
    with Session(engine) as session, session.begin():
        account = session.get(Account, username) if _USERNAME.fullmatch(username) else None
        if not _matches(account.password_hash if account else _decoy(), password):
            return None
        if account is None or not account.active:
            return None
        if _hasher.check_needs_rehash(account.password_hash):
            account.password_hash = _hasher.hash(password)
        return _identity(account)


def identity(engine: Engine, username: str) -> Identity | None:
    """Return who an active account is, or None when it is unknown or switched off."""
    with Session(engine) as session:
        account = session.get(Account, username)
        return _identity(account) if account and account.active else None


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account as the administrator's list shows it."""

    username: str
    display_name: str
    role: Role
    area: str | None
    active: bool
    created_at: object


def accounts(engine: Engine) -> list[AccountLine]:
    """Return every account in the order of role and name, without its hash."""
    columns = (
        Account.username, Account.display_name, Account.role, Account.area, Account.active, Account.created_at
    )  # fmt: skip
    with Session(engine) as session:
        rows = session.execute(select(*columns).order_by(Account.role, Account.username)).all()
    return [AccountLine(r[0], r[1], Role(r[2]), r[3], r[4], r[5]) for r in rows]


def _checked(username: str, password: str, role: str, area: str | None, unit: str | None) -> Role:
    if not _USERNAME.fullmatch(username):
        raise InputError("username", username, "2 to 64 letters, digits, or . _ @ -")
    if role not in {known.value for known in Role}:
        raise InputError("role", role, ", ".join(Role))
    _check_password(password)
    if Role(role) in _BOUND and not area:
        raise InputError(
            "area", area, f"the code of the {'grid' if role == Role.GRID_WORKER else 'town'} it is bound to"
        )
    if (Role(role) is Role.DEPARTMENT) != bool(unit):
        raise InputError("unit", unit, "the department of an account of the role department, of no other")
    return Role(role)


def _check_password(password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        # The length, never the password itself: an error text may reach a log.
        allowed = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        raise InputError("password", f"{len(password)} characters", allowed)


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy() -> str:
    return _hasher.hash("no account has this password")


def _identity(account: Account) -> Identity:
    stamp = hashlib.sha256(account.password_hash.encode()).hexdigest()[:16]
    return Identity(
        account.username, Role(account.role), account.display_name, account.area, stamp, account.unit
    )
