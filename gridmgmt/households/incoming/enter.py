"""Brings people into the tables: who is new, what has changed, who is no more there."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.households.incoming.known import Match
from gridmgmt.households.incoming.merge import NEW, UNCHANGED, UPDATED, int4, nullable, reserve
from gridmgmt.households.incoming.people import RELATIONS, TENURES, People
from gridmgmt.households.incoming.seals import Seals, sealed_columns, seals_of
from gridmgmt.households.models import Tenure
from gridmgmt.privacy.cipher import new_salts
from gridmgmt.privacy.keyring import KeyRing

Numbers = NDArray[np.int64]

STAGES = """
CREATE TEMP TABLE person_in (n integer, id integer, household_id integer, grid_id integer,
    dwelling_id integer, relation text, name text COLLATE "C", birth_on date, sex text,
    identity_index uuid, phone_index uuid,
    registered smallint, tenure text, since date, arrives boolean) ON COMMIT DROP;
CREATE TEMP TABLE sealed_in (n integer, salt bytea, identity bytea, phone bytea) ON COMMIT DROP;
"""
REGISTERED = """CASE x.registered WHEN 1 THEN x.dwelling_id
    WHEN 0 THEN nullif(p.registered_dwelling_id, x.dwelling_id) ELSE p.registered_dwelling_id END"""
# What an office may do with a restricted person's data is keep it.
CHANGED = f"""
CREATE TEMP TABLE changed_in ON COMMIT DROP AS
SELECT x.n, p.salt, x.identity_index IS NOT NULL AND p.identity_index IS NULL AS identity,
    x.phone_index IS NOT NULL AND p.phone_index IS DISTINCT FROM x.phone_index AS phone
FROM person_in x JOIN person p ON p.id = x.id
WHERE p.restricted_on IS NULL AND (p.household_id, p.relation, p.name, p.birth_on, p.sex, p.identity_index,
        p.phone_index, p.registered_dwelling_id, p.left_on) IS DISTINCT FROM
    (x.household_id, coalesce(x.relation, p.relation), x.name, coalesce(x.birth_on, p.birth_on),
        coalesce(x.sex, p.sex), coalesce(p.identity_index, x.identity_index),
        coalesce(x.phone_index, p.phone_index), {REGISTERED}, NULL::date)
"""
# A new head comes when the old one is none any more: two at once are refused, however short.
DEMOTE = """
UPDATE person p SET relation = 'other' FROM person_in x
WHERE p.id = x.id AND p.relation = 'head' AND p.restricted_on IS NULL
    AND (x.relation <> 'head' OR p.household_id <> x.household_id)
"""
UPDATE = f"""
UPDATE person p SET household_id = x.household_id, grid_id = x.grid_id,
    relation = coalesce(x.relation, p.relation), name = x.name, birth_on = coalesce(x.birth_on, p.birth_on),
    sex = coalesce(x.sex, p.sex), salt = coalesce(p.salt, s.salt),
    identity = CASE WHEN c.identity THEN s.identity ELSE p.identity END,
    identity_index = coalesce(p.identity_index, x.identity_index),
    phone = CASE WHEN c.phone THEN s.phone ELSE p.phone END,
    phone_index = coalesce(x.phone_index, p.phone_index),
    registered_dwelling_id = {REGISTERED}, left_on = NULL, left_why = NULL, updated_at = now()
FROM person_in x JOIN changed_in c ON c.n = x.n LEFT JOIN sealed_in s ON s.n = x.n
WHERE p.id = x.id
"""
LEAVE = """
WITH gone AS (
    UPDATE person p SET left_on = current_date, left_why = 'moved', updated_at = now()
    WHERE p.household_id = ANY (:whole) AND p.left_on IS NULL
        AND NOT EXISTS (SELECT FROM person_in x WHERE x.id = p.id)
    RETURNING p.id, p.household_id
), out AS (
    UPDATE residency r SET valid_to = greatest(current_date, r.valid_from) FROM gone
    WHERE r.person_id = gone.id AND r.valid_to IS NULL
), care AS (
    UPDATE household_care c SET ended_on = greatest(current_date, c.valid_from) FROM gone
    WHERE c.person_id = gone.id AND c.ended_on IS NULL
)
INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)
SELECT 'move_out', household_id, id, current_date, current_setting('app.user') FROM gone
RETURNING household_id
"""
ARRIVE = """
INSERT INTO roster_event (kind, household_id, other_household_id, person_id, on_date, made_by)
SELECT 'move_in', x.household_id, nullif(p.household_id, x.household_id), p.id,
    coalesce(x.since, current_date), current_setting('app.user')
FROM person_in x JOIN person p ON p.id = x.id WHERE x.arrives
"""
MOVE = """
WITH closed AS (
    UPDATE residency r SET valid_to = greatest(current_date, r.valid_from) FROM person_in x
    WHERE r.person_id = x.id AND r.valid_to IS NULL AND r.dwelling_id <> x.dwelling_id RETURNING x.n
), opened AS (
    INSERT INTO residency (person_id, dwelling_id, relation, valid_from)
    SELECT x.id, x.dwelling_id, coalesce(x.tenure, 'other'), coalesce(x.since, current_date) FROM person_in x
    WHERE NOT EXISTS (
        SELECT FROM residency r
        WHERE r.person_id = x.id AND r.valid_to IS NULL AND r.dwelling_id = x.dwelling_id)
    RETURNING person_id
), corrected AS (
    UPDATE residency r SET relation = coalesce(x.tenure, r.relation),
        valid_from = coalesce(x.since, r.valid_from)
    FROM person_in x WHERE r.person_id = x.id AND r.valid_to IS NULL AND r.dwelling_id = x.dwelling_id
        AND (r.relation, r.valid_from) <> (coalesce(x.tenure, r.relation), coalesce(x.since, r.valid_from))
    RETURNING x.n
)
SELECT n FROM closed UNION SELECT n FROM corrected
UNION SELECT x.n FROM opened JOIN person_in x ON x.id = opened.person_id
"""


@dataclass(frozen=True)
class Standing:
    """Where the person of each row stands: ids of household, grid (-1: none) and dwelling."""

    household: Numbers
    grid: Numbers
    dwelling: Numbers


def enter(
    connection: Connection, ring: KeyRing, people: People, seals: Seals, relation: NDArray[np.int8],
    standing: Standing, found: Match, whole: Numbers,
) -> tuple[Numbers, Numbers, set[int]]:  # fmt: skip
    """Write all people, and return by row the person's id and state, and the households that somebody left.

    `whole` are the ids of known households that the file tells in full: who is missing there has left.
    """
    person, states = found.person.copy(), np.full(len(found.person), NEW)
    known = person > 0
    left: set[int] = set()
    if known.any() or len(whole):
        connection.execute(text(STAGES))
        _stage(connection, people, seals, relation, standing, found)
        left = set(connection.execute(text(LEAVE), {"whole": whole.tolist()}).scalars())
        states[known] = UNCHANGED
        states[_update(connection, ring, people)] = UPDATED
    fresh = np.flatnonzero(~known)
    person[fresh] = reserve(connection, "person", len(fresh))
    _insert(connection, ring, people, seals, relation, standing, fresh, person[fresh])
    return person, states, left


def _texts(codes: NDArray[np.int8], words: tuple[str, ...]) -> pa.Array:
    """Return words by code, None where nothing is said."""
    return pa.array([str(word) for word in words]).take(pa.array(codes, mask=codes < 0))


def _stage(
    connection: Connection, people: People, seals: Seals, relation: NDArray[np.int8], standing: Standing,
    found: Match,
) -> None:  # fmt: skip
    known = np.flatnonzero(found.person > 0)
    at = pa.array(known)
    copy_rows(connection.connection.cursor(), "person_in", {
        "n": int4(known), "id": int4(found.person[known]), "household_id": int4(standing.household[known]),
        "grid_id": nullable(standing.grid[known], -1), "dwelling_id": int4(standing.dwelling[known]),
        "relation": _texts(relation[known], RELATIONS), "name": people.name.take(at),
        "birth_on": people.birth_on[known], "sex": _texts(people.sex[known], ("male", "female")),
        "identity_index": seals.identity_index.take(at), "phone_index": seals.phone_index.take(at),
        "registered": people.registered[known].astype(np.int16),
        "tenure": _texts(people.tenure[known], TENURES), "since": people.since[known],
        "arrives": found.arrives[known],
    })  # fmt: skip
    connection.execute(text("CREATE INDEX ON person_in (id); ANALYZE person_in"))


def _update(connection: Connection, ring: KeyRing, people: People) -> list[int]:
    """Write what has changed of known people, and return their rows; unchanged ones are not opened."""
    connection.execute(text(CHANGED))
    seals = connection.execute(
        text("SELECT n, salt, identity, phone FROM changed_in WHERE identity OR phone ORDER BY n")
    ).all()
    if seals:
        at = np.array([row.n for row in seals], np.int64)
        salts = [bytes(row.salt) if row.salt else None for row in seals]
        _seal(connection, ring, people, at, salts)
    connection.execute(text(ARRIVE))
    connection.execute(text(DEMOTE))
    connection.execute(text(UPDATE))
    changed = list(connection.execute(text("SELECT n FROM changed_in")).scalars())
    return changed + list(connection.execute(text(MOVE)).scalars())


def _seal(
    connection: Connection, ring: KeyRing, people: People, at: Numbers, salts: list[bytes | None]
) -> None:
    """Seal the numbers of known people under their own salts; whoever had nothing sealed gets one."""
    own = [salt or fresh for salt, fresh in zip(salts, new_salts(len(salts)), strict=True)]
    places = pa.array(at)
    clear = people.identity.take(places).to_pylist(), people.phone.take(places).to_pylist()
    salt, identity, phone = sealed_columns(ring, clear[0], clear[1], own)
    copy_rows(
        connection.connection.cursor(), "sealed_in",
        {"n": int4(at), "salt": salt, "identity": identity, "phone": phone},
    )  # fmt: skip


def _insert(
    connection: Connection, ring: KeyRing, people: People, seals: Seals, relation: NDArray[np.int8],
    standing: Standing, fresh: Numbers, ids: Numbers,
) -> None:  # fmt: skip
    """Copy new people and where they live straight into their tables."""
    if not len(fresh):
        return
    at, cursor = pa.array(fresh), connection.connection.cursor()
    made = replace(
        seals, **{f.name: getattr(seals, f.name).take(at) for f in fields(seals) if getattr(seals, f.name)}
    )
    if made.salt is None:
        made = seals_of(ring, people.identity.take(at), people.phone.take(at), seal=True)
    here = people.registered[fresh] == 1
    copy_rows(cursor, "person", {
        "id": int4(ids), "household_id": int4(standing.household[fresh]),
        "grid_id": nullable(standing.grid[fresh], -1),
        "relation": _texts(relation[fresh], RELATIONS), "name": people.name.take(at),
        "birth_on": people.birth_on[fresh], "sex": _texts(people.sex[fresh], ("male", "female")),
        "identity": made.identity, "identity_index": made.identity_index,
        "phone": made.phone, "phone_index": made.phone_index, "salt": made.salt,
        "registered_dwelling_id": np.ma.masked_array(int4(standing.dwelling[fresh]), mask=~here),
    })  # fmt: skip
    today = connection.execute(text("SELECT current_date")).scalar_one()
    since = people.since[fresh]
    tenure = np.where(people.tenure[fresh] < 0, TENURES.index(Tenure.OTHER), people.tenure[fresh])
    copy_rows(cursor, "residency", {
        "person_id": int4(ids), "dwelling_id": int4(standing.dwelling[fresh]),
        "relation": _texts(tenure.astype(np.int8), TENURES),
        "valid_from": np.where(np.isnat(since), np.datetime64(today, "D"), since),
    })  # fmt: skip
