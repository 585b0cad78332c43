"""Care groups of a file: begun, confirmed with another basis or end, or ended."""

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.households.incoming.enter import Numbers
from gridmgmt.households.incoming.fields import DEFAULT_BASIS
from gridmgmt.households.incoming.merge import int4
from gridmgmt.households.incoming.people import CARES, People

STAGE = """
CREATE TEMP TABLE care_in (n integer, person_id integer, household_id integer, category text, basis text,
    expires date) ON COMMIT DROP;
CREATE TEMP TABLE cared_in (n integer, person_id integer) ON COMMIT DROP;
"""
# A care group that has run out and is named again goes on for a year, unless the file says until when.
CONFIRM = """
UPDATE household_care c SET basis = coalesce(x.basis, c.basis), household_id = x.household_id,
    expires = coalesce(x.expires, CASE WHEN c.expires > current_date THEN c.expires
        ELSE (current_date + interval '1 year')::date END)
FROM care_in x WHERE c.person_id = x.person_id AND c.category = x.category AND c.ended_on IS NULL
    AND coalesce(x.expires, 'infinity') > c.valid_from
    AND (coalesce(x.basis, c.basis) <> c.basis OR c.household_id <> x.household_id
        OR coalesce(x.expires, CASE WHEN c.expires > current_date THEN c.expires END)
            IS DISTINCT FROM c.expires)
RETURNING x.n
"""
END = """
WITH ended AS (
    UPDATE household_care c SET ended_on = greatest(current_date, c.valid_from) FROM cared_in x
    WHERE c.person_id = x.person_id AND c.ended_on IS NULL AND NOT EXISTS (
        SELECT FROM care_in k WHERE k.person_id = c.person_id AND k.category = c.category)
    RETURNING x.n, c.household_id, c.person_id
), told AS (
    INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)
    SELECT 'care_end', household_id, person_id, current_date, current_setting('app.user') FROM ended
)
SELECT n FROM ended
"""
BEGIN = """
INSERT INTO household_care (household_id, person_id, category, basis, valid_from, expires)
SELECT x.household_id, x.person_id, x.category, coalesce(x.basis, :basis),
    least(current_date, coalesce(x.expires, current_date) - 1),
    coalesce(x.expires, (current_date + interval '1 year')::date)
FROM care_in x WHERE NOT EXISTS (
    SELECT FROM household_care c
    WHERE c.person_id = x.person_id AND c.category = x.category AND c.ended_on IS NULL)
ORDER BY x.n RETURNING person_id
"""


def enter_care(
    connection: Connection, people: People, person: Numbers, household: Numbers, known: np.ndarray
) -> list[int]:
    """Write what the file says of care, and return the rows of known people for whom something changed."""
    connection.execute(text(STAGE))
    _stage(connection, people, person, household, known)
    changed = list(connection.execute(text(CONFIRM)).scalars()) + list(
        connection.execute(text(END)).scalars()
    )
    begun = set(connection.execute(text(BEGIN), {"basis": DEFAULT_BASIS}).scalars())
    return changed + np.flatnonzero(known & np.isin(person, list(begun))).tolist()


def _stage(
    connection: Connection, people: People, person: Numbers, household: Numbers, known: np.ndarray
) -> None:
    cursor = connection.connection.cursor()
    at, category = np.nonzero(people.care[:, None] >> np.arange(len(CARES)) & 1)
    basis = people.care_basis.take(pa.array(at)).to_pandas().replace("", None)
    copy_rows(cursor, "care_in", {
        "n": int4(at), "person_id": int4(person[at]), "household_id": int4(household[at]),
        "category": pa.array([str(care) for care in CARES]).take(pa.array(category)),
        "basis": pa.array(basis, pa.large_string()), "expires": people.care_expires[at],
    })  # fmt: skip
    copy_rows(cursor, "cared_in", {"n": int4(np.flatnonzero(known)), "person_id": int4(person[known])})
    connection.execute(text("ANALYZE care_in; ANALYZE cared_in"))
