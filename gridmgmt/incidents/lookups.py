"""Codes of categories and channels by code or by name, as a file may give either."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, select

from gridmgmt.incidents.models import Category, Channel


@dataclass(frozen=True)
class Lookup:
    """Codes by what a file may say, and the words that mean several codes."""

    codes: dict[str, str]
    ambiguous: dict[str, tuple[str, ...]]


def category_lookup(connection: Connection) -> Lookup:
    """Return categories by code or name; of a name that a 大类 and one 小类 share, the 小类 is meant."""
    rows = connection.execute(
        select(Category.code, Category.name, Category.parent).order_by(Category.code)
    ).all()
    small: dict[str, list[str]] = defaultdict(list)
    large: dict[str, list[str]] = defaultdict(list)
    for code, name, parent in rows:
        (large if parent is None else small)[name].append(code)
    meant = {**large, **small}
    codes = {name: found[0] for name, found in meant.items() if len(found) == 1}
    codes.update((code, code) for code, _, _ in rows)
    ambiguous = {name: tuple(found) for name, found in meant.items() if len(found) > 1 and name not in codes}
    return Lookup(codes, ambiguous)


def channel_lookup(connection: Connection) -> Lookup:
    """Return channels by code or name."""
    rows = connection.execute(select(Channel.code, Channel.name)).all()
    return Lookup({name: code for code, name in rows} | {code: code for code, _ in rows}, {})
