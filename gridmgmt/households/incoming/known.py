"""Which rows speak of people that the roster knows, by number or by name, and which only may."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.households.incoming.merge import int4
from gridmgmt.households.incoming.rows import Mask, Rows
from gridmgmt.households.incoming.whole import Doubles
from gridmgmt.households.models import Left

Numbers = NDArray[np.int64]

STAGE = """
CREATE TEMP TABLE asked_in (n integer, code text, building text, door text, name text COLLATE "C",
    birth_on date, identity_index uuid) ON COMMIT DROP;
"""
BY_NUMBER = """
SELECT x.n, p.id, p.left_on IS NOT NULL, p.left_why, h.code = x.code, h.code, false
FROM asked_in x JOIN person p ON p.identity_index = x.identity_index
LEFT JOIN household h ON h.id = p.household_id
"""
NOT_BY_NUMBER = "DELETE FROM asked_in x USING person p WHERE p.identity_index = x.identity_index"
# Those of the same household, and of others in the same dwelling; the dead and merged are not looked for.
BY_NAME = """
SELECT x.n, p.id, p.left_on IS NOT NULL, p.left_why, true, x.code,
    p.identity_index IS NOT NULL AND x.identity_index IS NOT NULL
FROM asked_in x JOIN household h ON h.code = x.code JOIN person p ON p.household_id = h.id AND p.name = x.name
WHERE (p.birth_on = x.birth_on OR p.birth_on IS NULL OR x.birth_on IS NULL)
    AND (p.left_on IS NULL OR p.left_why = 'moved')
UNION ALL
SELECT x.n, p.id, false, NULL, false, h.code, true
FROM asked_in x JOIN building b ON b.code = x.building
JOIN dwelling d ON d.building_id = b.id AND d.door = x.door
JOIN household h ON h.dwelling_id = d.id AND h.code <> x.code
JOIN person p ON p.household_id = h.id AND p.name = x.name AND p.birth_on = x.birth_on
WHERE p.left_on IS NULL
"""
FOUND = ["place", "person", "gone", "why", "here", "code", "other_number"]


@dataclass(frozen=True)
class Match:
    """By row the id of the person meant (0: somebody new), and whether that one comes from elsewhere."""

    person: Numbers
    arrives: Mask


def match(connection: Connection, rows: Rows, homes: pd.DataFrame, named: set[str]) -> tuple[Match, Doubles]:
    """Return who each row is, and the rows that might be somebody who lives elsewhere.

    Parameters
    ----------
    homes : DataFrame, one line a row
        code (of the household), building (code) and door.
    named : set of str
        Codes of the households that the file tells in full: whoever of them stands in another now has moved.
    """
    person, arrives = np.zeros(len(rows.row), np.int64), np.zeros(len(rows.row), bool)
    if not connection.execute(text("SELECT EXISTS (SELECT FROM person)")).scalar_one():
        return Match(person, arrives), Doubles.none()
    _stage(connection, rows, homes)
    numbered = _found(connection, BY_NUMBER)
    sure = numbered[_may_be_taken(numbered, named)]
    unsure = numbered.drop(sure.index).assign(kind="same_identity")
    connection.execute(text(NOT_BY_NUMBER))
    by_name = _found(connection, BY_NAME)
    alike = by_name["here"] & ~by_name["other_number"] & ~by_name["person"].isin(numbered["person"])
    theirs = (
        by_name[alike]
        .sort_values(["gone", "place", "person"])
        .drop_duplicates("place")
        .drop_duplicates("person")
    )
    apart = by_name[~alike & ~by_name["gone"] & ~by_name["place"].isin(theirs["place"])]
    apart = apart.drop_duplicates("place").assign(kind="same_person")
    for taken in (sure, theirs):
        person[taken["place"]] = taken["person"]
        arrives[taken["place"]] = taken["gone"] | ~taken["here"]
    waiting = pd.concat([unsure, apart])
    return Match(person, arrives), Doubles(
        waiting["place"].to_numpy(np.int64), waiting["kind"].tolist(), waiting["person"].to_numpy(np.int64)
    )


def _stage(connection: Connection, rows: Rows, homes: pd.DataFrame) -> None:
    assert rows.people is not None
    assert rows.seals is not None
    connection.execute(text(STAGE))
    texts = {name: homes[name] for name in ("code", "building", "door")}
    columns = {
        "name": rows.people.name,
        "birth_on": rows.people.birth_on,
        "identity_index": rows.seals.identity_index,
    }
    copy_rows(
        connection.connection.cursor(), "asked_in", {"n": int4(np.arange(len(rows.row))), **texts, **columns}
    )
    connection.execute(text("CREATE INDEX ON asked_in (identity_index); ANALYZE asked_in"))


def _found(connection: Connection, query: str) -> pd.DataFrame:
    found = pd.DataFrame(connection.execute(text(query)).all(), columns=FOUND)
    return found.astype(
        {"place": np.int64, "person": np.int64, "gone": bool, "here": bool, "other_number": bool}
    )


def _may_be_taken(found: pd.DataFrame, named: set[str]) -> pd.Series:
    """Say which people found by number are of this household or free to come: moved, or missing there."""
    moved = found["gone"] & (found["why"] == Left.MOVED.value)
    return moved | (~found["gone"] & (found["here"] | found["code"].isin(named)))
