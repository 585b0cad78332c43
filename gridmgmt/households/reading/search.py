"""Finding a household by a name, an address or a door, or by an exact identity or telephone number.

Numbers are looked up by their blind index and stand in no statement. Conditions on names are ranges: the
row policies hold back `LIKE` until every row of the area has been read, ranges they let the index answer.
"""

import re
import sys
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, text

from gridmgmt.calendar import china_today
from gridmgmt.errors import InputError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.models import RELATION_NAMES, Relation
from gridmgmt.households.reading.residents import age_on
from gridmgmt.privacy import audit
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.privacy.numbers import clean_identity, clean_phone

MOST = 50
LONGEST = 60
_IDENTITY = re.compile(r"[0-9]{17}[0-9X]")
_PHONE = re.compile(r"1[3-9][0-9]{9}|0[0-9]{2,3}-[0-9]{7,8}")
# No house has so long a number: it is an identity or telephone number with a slip.
_NUMBER = re.compile(r"[0-9]{9}")
_HOUSE_END = re.compile(r"(?<=[号楼栋幢座院])(?=[0-9][0-9-]*室?(?: |$))")
_LITERAL = str.maketrans({sign: "\\" + sign for sign in "\\%_"})
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}
# The last character there is: a range up to it holds whatever begins with the words before it.
_END = chr(sys.maxunicode)


@dataclass(frozen=True, slots=True)
class Hit:
    """A person (or, found by address, a household with its head; None where nobody is registered)."""

    household_id: int | None
    dwelling_id: int
    where: str
    grid: str
    name: str | None
    relation: str | None
    age: int | None


@dataclass(frozen=True)
class Found:
    """At most `MOST` hits; `by` says what the words were taken for, `more` that there are others."""

    by: str
    hits: tuple[Hit, ...]
    more: bool


def search(engine: Engine, ring: KeyRing, actor: Actor, words: str, *, today: date | None = None) -> Found:
    """Return who in the actor's area fits; InputError when nothing, or too much, is asked for.

    Eighteen characters of an identity number and whole telephone numbers are looked for exactly; other words
    as the beginning of a name or given name, then as parts of address and door. Leaves one audit line, which
    does not say what was looked for.
    """
    asked = " ".join(words.translate(_HALF_WIDTH).split())
    if not 0 < len(asked) <= LONGEST:
        raise InputError("words", f"{len(asked)} characters", f"1 to {LONGEST}")
    with on_roster(engine, actor) as connection:
        by, rows = _rows(connection, ring, actor, asked)
        day = today or china_today()
        found = Found(by, tuple(_hit(row, day) for row in rows[:MOST]), len(rows) > MOST)
        audit.record(
            connection, "roster.search", area=actor.area, detail={"by": by, "hits": len(found.hits)},
            households=[hit.household_id for hit in found.hits if hit.household_id],
        )  # fmt: skip
    return found


def _rows(connection: Connection, ring: KeyRing, actor: Actor, asked: str) -> tuple[str, list[Any]]:
    """Return what the words are and the rows they find, one more than shown where there are more."""
    identity, phone = clean_identity(asked), clean_phone(asked)
    if _IDENTITY.fullmatch(identity):
        return "identity", _read(connection, _BY_IDENTITY, index=blind(ring, "identity", identity))
    if _PHONE.fullmatch(phone):
        return "phone", _read(connection, _BY_PHONE, index=blind(ring, "phone", phone))
    if _NUMBER.search(re.sub(r"[ -]", "", asked)):
        raise InputError("words", "a number with a slip", "18 characters, or a whole telephone number")
    # The planner sees these numbers, which it does not in the policy, and picks the better index by them.
    ids = _grid_ids(connection, actor.area)
    name = asked.replace(" ", "")
    rows = _read(connection, _BY_NAME, ids=ids, low=name, high=name + _END)
    if len(rows) <= MOST:
        rows += _read(connection, _BY_ADDRESS, ids=ids, words=_parts(asked))
    return "words", rows


def _read(connection: Connection, statement: TextClause, **values: Any) -> list[Any]:
    return list(connection.execute(statement, {"most": MOST + 1, **values}))


def _grid_ids(connection: Connection, area: str) -> list[int]:
    rows = connection.execute(text("SELECT id FROM grid WHERE starts_with(code15, :area)"), {"area": area})
    return [int(each) for each in rows.scalars()]


def _parts(asked: str) -> list[str]:
    """Return patterns that must all fit an address with its door; a door written on to its house is parted.

    >>> _parts("春天路12号1-502室")
    ['%春天路12号%', '%1-502%']
    """
    words = _HOUSE_END.sub(" ", asked).split(" ")
    return [f"%{(word.removesuffix('室') or word).translate(_LITERAL)}%" for word in words]


def _hit(row: Any, today: date) -> Hit:
    relation = RELATION_NAMES[Relation(row.relation)] if row.relation else None
    return Hit(
        row.household_id, row.dwelling_id, f"{row.address} {row.door}", row.grid, row.name, relation,
        age_on(row.birth_on, today),
    )  # fmt: skip


_COLUMNS = """
h.id AS household_id, d.id AS dwelling_id, b.address, d.door, g.name AS grid, p.name, p.relation, p.birth_on
"""
_OF_PERSON = """
JOIN household h ON h.id = p.household_id JOIN dwelling d ON d.id = h.dwelling_id
JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = p.grid_id
"""
_BY_IDENTITY = text(
    f"SELECT {_COLUMNS} FROM person p {_OF_PERSON} WHERE p.identity_index = :index AND p.left_on IS NULL"
    " LIMIT :most"
)
_BY_PHONE = text(
    f"SELECT {_COLUMNS} FROM person p {_OF_PERSON} WHERE p.phone_index = :index AND p.left_on IS NULL"
    " ORDER BY p.id LIMIT :most"
)
_BY_NAME = text(f"""
SELECT {_COLUMNS} FROM (
    SELECT * FROM person WHERE grid_id = ANY (:ids) AND left_on IS NULL
        AND (name >= :low AND name < :high OR given >= :low AND given < :high)
    ORDER BY name, id LIMIT :most
) p {_OF_PERSON} ORDER BY p.name, p.id
""")
# Buildings first, by any of the words, then their doors one building after the other until there are enough:
# reading every door of a town takes longer than a search may.
_BY_ADDRESS = text(f"""
WITH b AS MATERIALIZED (
    SELECT id, address, grid_id FROM building
    WHERE grid_id = ANY (:ids) AND address LIKE ANY (:words) ORDER BY address
), found AS MATERIALIZED (
    SELECT b.id AS building_id, b.address, b.grid_id, d.id, d.door FROM b CROSS JOIN LATERAL (
        SELECT id, door FROM dwelling WHERE building_id = b.id AND b.address || ' ' || door LIKE ALL (:words)
        ORDER BY door
    ) d LIMIT :most
)
SELECT {_COLUMNS.replace("b.address", "d.address")}
FROM found d JOIN grid g ON g.id = d.grid_id
    LEFT JOIN household h ON h.dwelling_id = d.id AND h.ended_on IS NULL
    LEFT JOIN person p ON p.household_id = h.id AND p.relation = 'head' AND p.left_on IS NULL
ORDER BY d.address, d.door, h.id
""")
