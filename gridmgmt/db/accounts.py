"""Accounts as their administrator works with them: found, read, changed. What changes commits nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    any_,
    case,
    func,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError

from gridmgmt.db import sessions
from gridmgmt.db.identity import LONGEST_NAME, checked
from gridmgmt.db.models import ADMINISTRATORS, Account, AccountSession, Proposal, Role, SessionEnd
from gridmgmt.errors import ConflictError, InputError, NotFoundError

PAGE = 50
STATES = {
    "on": "在用", "off": "停用", "waiting": "待确认", "never": "从未登录", "first": "待改初始密码",
    "locked": "密码连错已锁", "factor": "已开两步验证", "plain": "未开两步验证",
}  # fmt: skip
ORDERS = {"role": "角色", "name": "账号", "seen": "最近登录", "made": "建立时间"}
_SHOWN = (
    Account.username, Account.display_name, Account.role, Account.area, Account.unit, Account.active,
    Account.must_change, Account.created_at, Account.signed_in_at, Account.oidc_issuer, Account.oidc_subject,
    Account.totp_sealed.is_not(None).label("second_factor"),
    func.cardinality(Account.recovery).label("recovery_left"), Account.proposed_by, Account.proposed_why,
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
    recovery_left: int
    proposed_by: str | None
    proposed_why: list[str]


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
    """Change who an account is; InputError for a field that is not allowed, also where one kind of
    administrator would have nobody left, or one would become another: the audit log must tell persons apart.
    """
    chosen, before = checked(username, role, area, unit), standing(connection, username)
    if {Role(before.role), chosen} <= set(ADMINISTRATORS) and before.role != chosen:
        raise InputError("kind", chosen.value, f"an account of its own for another kind than {before.role}")
    if not 0 < len(display_name) <= LONGEST_NAME:
        raise InputError("display_name", f"{len(display_name)} characters", f"1 to {LONGEST_NAME}")
    ordinary: dict[str, Any] = {} if chosen in ADMINISTRATORS else {"proposed_by": None, "proposed_why": []}
    _set(
        connection, username, display_name=display_name, role=chosen.value, area=area, unit=unit, **ordinary
    )  # fmt: skip
    _keep_administrators(connection, before, "role")


def switch(connection: Connection, username: str, *, on: bool) -> None:
    """Let an account sign in, or not any more: that ends its sessions. InputError for the last of a kind of
    administrators.
    """
    before = standing(connection, username)
    _set(connection, username, active=on, proposed_by=None)
    if not on:
        _keep_administrators(connection, before, "active")
        sessions.end_all(connection, username, SessionEnd.REVOKED)


def propose(connection: Connection, username: str, who: str, why: Proposal) -> None:
    """Let an administrator's account wait for a second person, which ends its sessions; others stay as they
    are.

    One that is closed stays so; what was done to it meanwhile is shown to whoever confirms its opening.
    InputError where no active system administrator is left to confirm.
    """
    if standing(connection, username).role not in ADMINISTRATORS:
        return
    waits = or_(Account.active, Account.proposed_by.is_not(None))
    _set(
        connection, username, active=False, proposed_by=case((waits, who), else_=None),
        proposed_why=func.array_append(func.array_remove(Account.proposed_why, why.value), why.value),
    )  # fmt: skip
    sessions.end_all(connection, username, SessionEnd.REVOKED)
    asked = select(func.count()).select_from(Account).where(Account.role == Role.ADMIN, Account.active)
    if not connection.scalar(asked):
        raise InputError("second", username, "an account that an active system administrator can confirm")


def confirm(connection: Connection, username: str, who: str, why: Sequence[str], *, agreed: bool) -> None:
    """Open an account that waits, or leave it closed.

    ConflictError when it waits no more, when more was done to it than `why`, or for who proposed it.
    """
    known = (Account.proposed_by != who, Account.proposed_why == list(why))
    done: dict[str, Any] = {"active": True, "proposed_why": []} if agreed else {}
    statement = update(Account).where(Account.username == username, *known).values(proposed_by=None, **done)
    if not connection.execute(statement).rowcount:
        raise ConflictError(f"{username!r} does not wait for this confirmation")


def factor(engine: Engine, username: str) -> Factor | None:
    """Return an active account's second factor, or None when it has none."""
    columns = (Account.totp_sealed, Account.totp_salt, Account.totp_step)
    asked = select(*columns).where(
        Account.username == username, Account.active, Account.totp_sealed.is_not(None)
    )
    with engine.connect() as connection:
        row = connection.execute(asked).one_or_none()
    return Factor(bytes(row[0] or b""), bytes(row[1] or b""), row[2]) if row else None


def set_factor(
    connection: Connection, username: str, found: Factor | None, recovery: Sequence[str] = ()
) -> None:
    """Put a second factor, with the hashes of its recovery codes, in the place of the one there is, or take
    it away with None.
    """
    sealed, salt, step = (found.sealed, found.salt, found.step) if found else (None, None, None)
    _set(
        connection, username, totp_sealed=sealed, totp_salt=salt, totp_step=step, recovery=list(recovery)
    )  # fmt: skip


def recovery(engine: Engine, username: str) -> list[str]:
    """Return the hashes of the recovery codes that an active account has left."""
    asked = select(Account.recovery).where(Account.username == username, Account.active)
    with engine.connect() as connection:
        return list(connection.scalar(asked) or [])


def set_recovery(connection: Connection, username: str, hashes: Sequence[str]) -> None:
    """Put recovery codes in the place of those there are; ConflictError without a second factor."""
    having = (Account.username == username, Account.totp_sealed.is_not(None))
    if not connection.execute(update(Account).where(*having).values(recovery=list(hashes))).rowcount:
        raise ConflictError(f"{username!r} has no second factor")


def use_recovery(connection: Connection, username: str, code_hash: str) -> None:
    """Take a recovery code away; ConflictError when somebody did so before: a code serves once."""
    having = (Account.username == username, literal(code_hash) == any_(Account.recovery))
    statement = update(Account).where(*having)
    if not connection.execute(
        statement.values(recovery=func.array_remove(Account.recovery, code_hash))
    ).rowcount:
        raise ConflictError("this recovery code was used")


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
        "waiting": Account.proposed_by.is_not(None),
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


def _keep_administrators(connection: Connection, before: Row[str, bool], field: str) -> None:
    """Raise InputError where a kind of administrator would be left without anybody; whoever acts holds the
    audit log's head, so that two do not leave together.
    """
    if before.role not in ADMINISTRATORS or not before.active:
        return
    asked = select(func.count()).select_from(Account).where(Account.role == before.role, Account.active)
    if not connection.scalar(asked):
        raise InputError(field, "no administrator left", f"at least one active account: {before.role}")


def standing(connection: Connection, username: str) -> Row[str, bool]:
    """Return role and state of an account as they stand; NotFoundError when there is none."""
    asked = select(Account.role, Account.active).where(Account.username == username)
    found = connection.execute(asked).one_or_none()
    if found is None:
        raise NotFoundError(f"no account {username!r}")
    return found


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
