"""The code lists as an administrator keeps them: categories, departments, channels.

What is in use is never removed: matters, lists and hand-outs point at it, and the database refuses. Codes
stand for ever; names, departments, days and openness change, and what was filed before reads the new name.
There is no column to close a category for new matters, nor one for an order: lists go by code.
"""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from gridmgmt.db.engine import acting
from gridmgmt.db.models import Account
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.incidents.models import Category, Channel, Department
from gridmgmt.incidents.plain import plain_line
from gridmgmt.incidents.taxonomy_import import MOST_DAYS
from gridmgmt.privacy import audit

LONGEST_CODE, LONGEST_NAME = 30, 40
_CODE = re.compile(rf"[0-9A-Za-z_.-]{{1,{LONGEST_CODE}}}")


@dataclass(frozen=True)
class CategoryLine:
    """One category: its 大类 (None for one itself), who answers for it, in how many working days, whether it
    is open to everybody; `used` when something points at it, so that it stays.
    """

    code: str
    name: str
    parent: str | None
    department: str | None
    days: int | None
    open: bool
    used: bool


@dataclass(frozen=True)
class DepartmentLine:
    """A department, how many categories it answers for and how many accounts it has."""

    name: str
    categories: int
    accounts: int

    @property
    def used(self) -> bool:
        """Whether it stays for these; what was handed to it keeps it too."""
        return bool(self.categories or self.accounts)


def categories(connection: Connection) -> list[CategoryLine]:
    """Return the code list, each 大类 before those under it; for the reader's connection too."""
    query = text("""
        SELECT c.code, c.name, c.parent, c.department, c.days, c.open,
            EXISTS (SELECT FROM incident i WHERE i.category = c.code)
            OR EXISTS (SELECT FROM category u WHERE u.parent = c.code)
            OR EXISTS (SELECT FROM seasonal_verdict v WHERE v.category = c.code)
        FROM category c ORDER BY coalesce(c.parent, c.code), c.parent IS NOT NULL, c.code
    """)
    return [CategoryLine(*row) for row in connection.execute(query)]


def departments(engine: Engine) -> list[DepartmentLine]:
    """Return every department by name; `engine` is the owner's, since it counts accounts."""
    query = text("""
        SELECT d.name, (SELECT count(*) FROM category c WHERE c.department = d.name),
            (SELECT count(*) FROM account a WHERE a.unit = d.name)
        FROM department d ORDER BY d.name
    """)
    with engine.connect() as connection:
        return [DepartmentLine(*row) for row in connection.execute(query)]


def channels(connection: Connection) -> list[tuple[str, str]]:
    """Return code and name of every channel, by code."""
    query = select(Channel.code, Channel.name).order_by(Channel.code)
    return [(code, name) for code, name in connection.execute(query)]


def version(connection: Connection) -> str:
    """Return what changes with the list of categories: what keeps a page of it by this is never stale."""
    query = text("""
        SELECT md5(string_agg(concat_ws(chr(31), code, name, parent, department, days, open), chr(30)
            ORDER BY code)) FROM category
    """)
    return str(connection.execute(query).scalar_one())


# --- changes: one transaction each, with a line in the audit log; `engine` is the owner's


def save_category(
    engine: Engine,
    who: str,
    code: str,
    *,
    name: str,
    parent: str | None,
    department: str | None,
    days: int | None,
    is_open: bool,
    new: bool = False,
) -> None:
    """Write a category, a new one or in the place of what stood under its code.

    InputError naming the field: a code that is none, an empty name, a 大类 that does not exist or is itself
    under another, an unknown department, days out of 1 to 365. ConflictError when a new one's code stands
    already, or a 大类 with others under it is to be put under another. NotFoundError for an unknown code.
    """
    fields = {
        "name": _name(name), "parent": parent or None, "department": department or None, "days": _days(days),
        "open": is_open,
    }  # fmt: skip
    with acting(engine, who, "") as connection:
        audit.record(connection, "code.change", detail={"kind": "诉求分类", "of": _code(code)})
        _check_parent(connection, code, fields["parent"])
        known = select(Department.name).where(Department.name == fields["department"])
        if fields["department"] and connection.execute(known).first() is None:
            raise InputError("department", fields["department"], "a department of the list")
        _put(connection, Category, Category.code == code, {"code": code}, fields, new)


def _check_parent(connection: Connection, code: str, parent: Any) -> None:
    if parent is None:
        return
    top = connection.execute(select(Category.parent).where(Category.code == parent)).one_or_none()
    if parent == code or top is None or top[0] is not None:
        raise InputError("parent", parent, "the code of another category that is a 大类")
    if connection.execute(select(Category.code).where(Category.parent == code)).first():
        raise ConflictError(f"{code} has others under it, and can stand under none")


def remove_category(engine: Engine, who: str, code: str) -> None:
    """Remove a category that nothing points at; ConflictError when something does."""
    with acting(engine, who, "") as connection:
        audit.record(connection, "code.change", detail={"kind": "删除诉求分类", "of": _code(code)})
        _remove(connection, Category, Category.code == code, code)


def add_department(engine: Engine, who: str, name: str) -> None:
    """Add a department; ConflictError when there is one of this name."""
    with acting(engine, who, "") as connection:
        audit.record(connection, "code.change", detail={"kind": "部门", "of": _name(name)})
        _put(connection, Department, Department.name == _name(name), {"name": _name(name)}, {}, True)


def remove_department(engine: Engine, who: str, name: str) -> None:
    """Remove a department that answers for nothing and has no account; ConflictError when it does."""
    with acting(engine, who, "") as connection:
        audit.record(connection, "code.change", detail={"kind": "删除部门", "of": name[:LONGEST_NAME]})
        if connection.execute(select(Account.username).where(Account.unit == name)).first():
            raise ConflictError(f"{name} has accounts")
        _remove(connection, Department, Department.name == name, name)


def save_channel(engine: Engine, who: str, code: str, name: str, *, new: bool = False) -> None:
    """Write a channel; ConflictError when a new one's code, or the name, stands already."""
    with acting(engine, who, "") as connection:
        audit.record(connection, "code.change", detail={"kind": "渠道", "of": _code(code)})
        _put(connection, Channel, Channel.code == code, {"code": code}, {"name": _name(name)}, new)


def _put(
    connection: Connection, table: Any, where: Any, key: dict[str, str], fields: dict[str, Any], new: bool
) -> None:
    stands = connection.execute(select(table).where(where)).first() is not None
    if new and stands:
        raise ConflictError(f"{next(iter(key.values()))} stands already")
    if not new and not stands:
        raise NotFoundError(f"no {next(iter(key.values()))} in the list")
    statement = insert(table).values(key | fields) if new else update(table).where(where).values(fields)
    try:
        connection.execute(statement)
    except IntegrityError as why:  # a name that must be once
        raise ConflictError(f"{fields.get('name')} stands already") from why


def _remove(connection: Connection, table: Any, where: Any, what: str) -> None:
    try:
        gone = connection.execute(delete(table).where(where)).rowcount
    except IntegrityError as why:
        raise ConflictError(f"{what} is in use") from why
    if not gone:
        raise NotFoundError(f"no {what} in the list")


def _code(code: str) -> str:
    if not _CODE.fullmatch(code):
        raise InputError("code", code[:LONGEST_CODE], f"1 to {LONGEST_CODE} letters, digits, _ . -")
    return code


def _name(name: str) -> str:
    found = plain_line(name)
    if not 0 < len(found) <= LONGEST_NAME:
        raise InputError("name", found[:LONGEST_NAME], f"1 to {LONGEST_NAME} characters")
    return found


def _days(days: int | None) -> int | None:
    if days is not None and not 0 < days <= MOST_DAYS:
        raise InputError("days", days, f"working days, 1 to {MOST_DAYS}, or nothing")
    return days
