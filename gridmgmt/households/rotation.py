"""Rotation: every sealed value is opened and sealed again under the active key, so that old keys can go.

Batches, each in its own transaction: killed at any moment and run again, it goes on where it stopped, since
what is left to do is what another key's number stands on. Rows that somebody else holds are passed by and
come last, so that no batch waits with its rows in hand. The history's sealed values are sealed again too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from gridmgmt.db.engine import acting
from gridmgmt.errors import ConflictError, InputError, TamperedError
from gridmgmt.importing.progress import Progress
from gridmgmt.privacy import audit, factors
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.cipher import key_id, seal, unseal
from gridmgmt.privacy.keyring import KeyRing

BATCH = 2000
_ACTOR = "keys"


@dataclass(frozen=True)
class Rotated:
    """How many values were sealed anew and how many still stand under another key.

    `damaged` are rows, table and number, of those left that do not open with this ring.
    """

    done: int
    left: int
    damaged: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class _Place:
    """A table `t` with sealed values, and its salts; column -> its SQL, the name it is sealed under."""

    table: str
    source: str
    salt: str
    fields: Mapping[str, tuple[str, str]]
    assign: str  # the new values are `u.<column>`


_PLACES = (
    _Place(
        "person", "person t", "t.salt",
        {"identity": ("t.identity", "identity"), "phone": ("t.phone", "phone")},
        "identity = u.identity, phone = u.phone",
    ),
    _Place("visit", "visit t", "t.salt", {"note": ("t.note", "note")}, "note = u.note"),
    _Place(
        "roster_change", "roster_change t", "t.salt", {"sealed": ("t.sealed", "change")}, "sealed = u.sealed"
    ),
    _Place(
        "roster_review", "roster_review t", "t.salt", {"sealed": ("t.sealed", "review")}, "sealed = u.sealed"
    ),
    _Place(
        "roster_history", "roster_history t JOIN person p ON p.id = t.person_id AND t.what = 'person'",
        "p.salt",
        {
            "identity": ("CAST(t.before ->> 'identity' AS bytea)", "identity"),
            "phone": ("CAST(t.before ->> 'phone' AS bytea)", "phone"),
        },
        "before = t.before || jsonb_strip_nulls("
        "jsonb_build_object('identity', CAST(u.identity AS text), 'phone', CAST(u.phone AS text)))",
    ),
    # What matters hold sealed; by name, because the room of matters stands beside this one.
    _Place(
        "incident_party", "incident_party t", "t.salt",
        {"name": ("t.name", "party_name"), "phone": ("t.phone", "party_phone")},
        "name = u.name, phone = u.phone",
    ),
    _Place(
        "mediation", "mediation t", "t.salt", {"agreement": ("t.agreement", "agreement")},
        "agreement = u.agreement",
    ),
    _Place(
        "mediation_session", "mediation_session t", "t.salt", {"minutes": ("t.minutes", "minutes")},
        "minutes = u.minutes",
    ),
    _Place(
        "webhook", "webhook t", "t.salt", {"secret": ("t.secret", "webhook_secret")}, "secret = u.secret"
    ),
)  # fmt: skip


def counts(engine: Engine) -> dict[int, int]:
    """Return how many sealed values stand under each key, by its id; `engine` is the owner's."""
    sealed = [(column, place.source) for place in _PLACES for column, _ in place.fields.values()]
    each = " UNION ALL ".join(
        f"SELECT {column} AS value FROM {source}" for column, source in [*sealed, ("totp_sealed", "account")]
    )
    first = "CASE octet_length(value) WHEN 0 THEN 0 ELSE get_byte(value, 0) END"
    statement = (
        f"SELECT {first} AS kid, count(*) FROM ({each}) v WHERE value IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    with engine.connect() as connection:
        return {int(kid): int(n) for kid, n in connection.execute(text(statement))}


def rotate(engine: Engine, ring: KeyRing, batch: int = BATCH, progress: Progress | None = None) -> Rotated:
    """Seal everything anew that is not under the ring's active key, and return how that went.

    Parameters
    ----------
    engine : the owner's
    ring : opened after the newest key was added
    batch : rows a transaction

    Safe beside writers, and safe to break off and to repeat. A program that opened the ring before still
    seals with the older key: end it, or run this again. Values that do not open are left and named.
    """
    if batch < 1:
        raise InputError("batch", batch, "at least 1")
    bar = progress or Progress()
    waiting = _waiting(engine, ring)
    bar.total(waiting)
    with acting(engine, _ACTOR, "") as connection:
        bind(connection, ring)
        audit.record(connection, "keys.rotate", detail={"to": ring.active, "waiting": waiting})
    work = _Work(engine, ring, bar)
    for place in _PLACES:
        work.through(place, batch, passing_by=True)
        work.through(place, 1, passing_by=False)
    work.done += factors.reseal(engine, ring)
    return Rotated(work.done, _waiting(engine, ring), tuple(sorted(work.damaged)))


def retire(engine: Engine, ring: KeyRing, kid: int) -> None:
    """Destroy a key that no value stands under any more; ConflictError while one does."""
    left = counts(engine).get(kid, 0)
    if left:
        raise ConflictError(f"{left} values are sealed with key {kid}; first: gridmgmt keys rotate")
    ring.retire(kid)


def _waiting(engine: Engine, ring: KeyRing) -> int:
    return sum(n for kid, n in counts(engine).items() if kid != ring.active)


class _Work:
    """One rotation under way."""

    def __init__(self, engine: Engine, ring: KeyRing, progress: Progress) -> None:
        self.engine, self.ring, self.progress = engine, ring, progress
        self.done = 0
        self.damaged: set[tuple[str, int]] = set()

    def through(self, place: _Place, batch: int, *, passing_by: bool) -> None:
        """Go once through a table in the order of its numbers."""
        after = 0
        while last := self._batch(place, batch, after, passing_by):
            after = last
            self.progress.at(self.done)

    def _batch(self, place: _Place, batch: int, after: int, passing_by: bool) -> int | None:
        """Seal the next rows anew; return the last one's number, None when there is none."""
        with acting(self.engine, _ACTOR, "") as connection:
            # No history of a value that says the same; households and heads do not change.
            connection.execute(text("SET LOCAL app.bulk = 'reseal'"))
            rows = _locked(connection, place, self.ring.active, batch, after, passing_by)
            sealed = dict(self._sealed(place, rows))
            if sealed:
                _write(connection, place, sealed)
        self.done += sum(
            key_id(old) != self.ring.active
            for row in rows if row.id in sealed
            for old in (getattr(row, column) for column in place.fields) if old is not None
        )  # fmt: skip
        return rows[-1].id if rows else None

    def _sealed(self, place: _Place, rows: Sequence[Row[Any]]) -> Iterator[tuple[int, list[bytes | None]]]:
        for row in rows:
            try:
                yield (
                    row.id,
                    [
                        self._anew(row.salt, field, getattr(row, column))
                        for column, (_, field) in place.fields.items()
                    ],
                )
            except TamperedError:
                self.damaged.add((place.table, row.id))

    def _anew(self, salt: bytes | None, field: str, sealed: bytes | None) -> bytes | None:
        if sealed is None or key_id(sealed) == self.ring.active:
            return sealed
        own = bytes(salt or b"")
        return seal(self.ring, own, field, unseal(self.ring, own, field, sealed))


def _locked(
    connection: Connection, place: _Place, active: int, batch: int, after: int, passing_by: bool
) -> Sequence[Row[Any]]:
    """Return the next rows with a value under another key, held until the transaction ends."""
    columns = ", ".join(f"{column} AS {name}" for name, (column, _) in place.fields.items())
    other = " OR ".join(f"substr({column}, 1, 1) <> :key" for column, _ in place.fields.values())
    statement = (
        f"SELECT t.id, {place.salt} AS salt, {columns} FROM {place.source} WHERE t.id > :after AND ({other})"
        f" ORDER BY t.id LIMIT :batch FOR UPDATE OF t {'SKIP LOCKED' if passing_by else ''}"
    )
    return connection.execute(text(statement), {"after": after, "key": bytes([active]), "batch": batch}).all()


def _write(connection: Connection, place: _Place, sealed: Mapping[int, Sequence[bytes | None]]) -> None:
    given = ", ".join(f"unnest(CAST(:{column} AS bytea[])) AS {column}" for column in place.fields)
    statement = (
        f"UPDATE {place.table} t SET {place.assign}"
        f" FROM (SELECT unnest(CAST(:ids AS integer[])) AS id, {given}) u WHERE t.id = u.id"
    )
    columns = dict(zip(place.fields, map(list, zip(*sealed.values(), strict=True)), strict=True))
    connection.execute(text(statement), {"ids": list(sealed), **columns})
