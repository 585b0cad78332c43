"""Accounts as their administrator works with them: found, read, changed. What changes commits nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from gridmgmt.db import sessions
from gridmgmt.db.identity import LONGEST_NAME, checked
from gridmgmt.db.models import Account, AccountSession, Role, SessionEnd
from gridmgmt.errors import ConflictError, InputError, NotFoundError

PAGE = 50
STATES = {
    "on": "在用", "off": "停用", "never": "从未登录", "first": "待改初始密码", "locked": "密码连错已锁",
    "factor": "已开两步验证", "plain": "未开两步验证",
}  # fmt: skip
ORDERS = {"role": "角色", "name": "账号", "seen": "最近登录", "made": "建立时间"}
_SHOWN = (
    Account.username, Account.display_name, Account.role, Account.area, Account.unit, Account.active,
    Account.must_change, Account.created_at, Account.signed_in_at, Account.oidc_issuer, Account.oidc_subject,
    Account.totp_sealed.is_not(None).label("second_factor"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of accounts is narrowed to; empty leaves all in. `locked` are the names locked out now."""

    words: str = ""
    role: str = ""
    area: str = ""
    state: str = ""
    order: str = "role"
    locked: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with everything but its secrets."""

    username: str
    display_name: str
    role: Role
    area: str | None
    unit: str | None
    active: bool
    must_change: bool
    created_at: datetime
    signed_in_at: datetime | None
    oidc_issuer: str | None
    oidc_subject: str | None
    second_factor: bool


@dataclass(frozen=True, slots=True)
class Factor:
    """An account's second factor as it is kept: sealed, with its salt and the last time step used."""

    sealed: bytes
    salt: bytes
    step: int | None


def listed(engine: Engine, wanted: Filter, page: int | None = 1) -> tuple[list[AccountRow], int]:
    """Return a page of 50 of the accounts that fit, or all with None, and how many fit."""
    asked = _narrowed(select(*_SHOWN), wanted).order_by(*_order(wanted.order))
    if page is not None:
        asked = asked.limit(PAGE).offset((page - 1) * PAGE)
    with engine.connect() as connection:
        total = connection.scalar(_narrowed(select(func.count()).select_from(Account), wanted))
        return [_row(row) for row in connection.execute(asked)], int(total or 0)


def tally(engine: Engine) -> dict[str, int]:
    """Return how many accounts each role has, in the order of the roles."""
    with engine.connect() as connection:
        rows = connection.execute(select(Account.role, func.count()).group_by(Account.role)).all()
    found = {role: int(count) for role, count in rows}
    return {role.value: found.get(role.value, 0) for role in Role}


def one(engine: Engine, username: str) -> AccountRow:
    """Return an account; NotFoundError when there is none of that name."""
    if "\0" in username:  # no text of the database holds it
        raise NotFoundError(f"no account {username!r}")
    with engine.connect() as connection:
        row = connection.execute(select(*_SHOWN).where(Account.username == username)).one_or_none()
    if row is None:
        raise NotFoundError(f"no account {username!r}")
    return _row(row)


def taken(engine: Engine, names: Collection[str]) -> set[str]:
    """Return those of the names that an account has already."""
    with engine.connect() as connection:
        return set(connection.scalars(select(Account.username).where(Account.username.in_(names))))


def change(
    connection: Connection, username: str, display_name: str, role: str, area: str | None, unit: str | None
) -> None:
    """Change who an account is; InputError for a field that is not allowed, also where no admin is left."""
    chosen = checked(username, role, area, unit)
    if not 0 < len(display_name) <= LONGEST_NAME:
        raise InputError("display_name", f"{len(display_name)} characters", f"1 to {LONGEST_NAME}")
    _set(connection, username, display_name=display_name, role=chosen.value, area=area, unit=unit)
    _keep_an_admin(connection, "role")


def switch(connection: Connection, username: str, *, on: bool) -> None:
    """Let an account sign in, or not any more: that ends its sessions. InputError for the last admin."""
    _set(connection, username, active=on)
    if not on:
        _keep_an_admin(connection, "active")
        sessions.end_all(connection, username, SessionEnd.REVOKED)


def factor(engine: Engine, username: str) -> Factor | None:
    """Return an active account's second factor, or None when it has none."""
    columns = (Account.totp_sealed, Account.totp_salt, Account.totp_step)
    asked = select(*columns).where(
        Account.username == username, Account.active, Account.totp_sealed.is_not(None)
    )
    with engine.connect() as connection:
        row = connection.execute(asked).one_or_none()
    return Factor(bytes(row[0] or b""), bytes(row[1] or b""), row[2]) if row else None


def set_factor(connection: Connection, username: str, found: Factor | None) -> None:
    """Put a second factor in the place of the one there is, or take it away."""
    if found is None:
        _set(connection, username, totp_sealed=None, totp_salt=None, totp_step=None)
    else:
        _set(
            connection, username, totp_sealed=found.sealed, totp_salt=found.salt, totp_step=found.step
        )  # fmt: skip


def use_step(engine: Engine, username: str, step: int) -> bool:
    """Note a time step as used; False when it, or a later one, was used before: a code serves once."""
    unused = or_(Account.totp_step.is_(None), Account.totp_step < step)
    with engine.begin() as connection:
        statement = update(Account).where(
            Account.username == username, Account.totp_sealed.is_not(None), unused
        )
        return bool(connection.execute(statement.values(totp_step=step)).rowcount)


def bind_subject(connection: Connection, username: str, issuer: str | None, subject: str | None) -> None:
    """Bind an account to who it is at an identity provider, or to nobody with None.

    Raises ConflictError when another account is bound to the same.
    """
    try:
        with connection.begin_nested():
            _set(connection, username, oidc_issuer=issuer, oidc_subject=subject)
    except IntegrityError:
        raise ConflictError("another account is bound to this subject") from None


def of_subject(engine: Engine, issuer: str, subject: str) -> str | None:
    """Return the name of the active account bound to an identity provider's subject, or None."""
    asked = select(Account.username).where(
        Account.oidc_issuer == issuer, Account.oidc_subject == subject, Account.active
    )
    with engine.connect() as connection:
        return connection.execute(asked).scalar_one_or_none()


def _narrowed(asked: Any, wanted: Filter) -> Any:
    if wanted.words:
        places = (Account.username, Account.display_name, Account.unit, Account.area)
        asked = asked.where(or_(*(place.icontains(wanted.words, autoescape=True) for place in places)))
    if wanted.role:
        asked = asked.where(Account.role == wanted.role)
    if wanted.area:
        asked = asked.where(Account.area.startswith(wanted.area, autoescape=True))
    return asked.where(_state(wanted))


def _state(wanted: Filter) -> ColumnElement[bool]:
    known: dict[str, ColumnElement[bool]] = {
        "on": Account.active.is_(True),
        "off": Account.active.is_(False),
        "never": Account.signed_in_at.is_(None),
        "first": Account.must_change.is_(True),
        "locked": func.lower(Account.username).in_(list(wanted.locked)),
        "factor": Account.totp_sealed.is_not(None),
        "plain": Account.totp_sealed.is_(None),
    }
    return known.get(wanted.state, true())


def _order(name: str) -> Sequence[ColumnElement[Any]]:
    last = Account.username.asc()
    known: dict[str, tuple[ColumnElement[Any], ...]] = {
        "name": (last,),
        "seen": (Account.signed_in_at.desc().nulls_last(), last),
        "made": (Account.created_at.desc(), last),
    }
    return known.get(name, (Account.role.asc(), last))


def _set(connection: Connection, username: str, **values: Any) -> None:
    if not connection.execute(update(Account).where(Account.username == username).values(values)).rowcount:
        raise NotFoundError(f"no account {username!r}")


def _keep_an_admin(connection: Connection, field: str) -> None:
    """Raise InputError where nobody could administer any more; whoever acts holds the audit log's head."""
    asked = select(func.count()).select_from(Account).where(Account.role == Role.ADMIN.value, Account.active)
    if not connection.scalar(asked):
        raise InputError(field, "no administrator left", "at least one active account of the role admin")


def _row(row: Any) -> AccountRow:
    found = dict(row._mapping)
    return AccountRow(**(found | {"role": Role(found["role"])}))


def session_counts(engine: Engine, names: Collection[str], since: datetime) -> dict[str, int]:
    """Return how many sessions used since a moment each of these accounts has, where it has any."""
    asked = select(AccountSession.username, func.count()).where(
        AccountSession.username.in_(names),
        AccountSession.ended_at.is_(None),
        AccountSession.seen_at >= since,
    )
    with engine.connect() as connection:
        return {
            name: int(count) for name, count in connection.execute(asked.group_by(AccountSession.username))
        }
