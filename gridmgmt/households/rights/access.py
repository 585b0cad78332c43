"""Who looked at a household or a person, when and what for: read from the audit log, for whom it concerns."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, text

from gridmgmt.errors import NotFoundError
from gridmgmt.households.actor import TOWN_DIGITS, Actor, on_roster
from gridmgmt.households.reading import reveal
from gridmgmt.households.reading.reveal import FIELDS
from gridmgmt.households.rights import exports
from gridmgmt.households.rights.subject import ASKED_BY, subject
from gridmgmt.privacy import audit

GRID_DIGITS = 15
_PURPOSES = {**exports.PURPOSES, **reveal.PURPOSES, **ASKED_BY}


@dataclass(frozen=True)
class Access:
    """One line of the audit log; `field` is the one that was revealed."""

    line: int
    at: datetime
    who: str
    area: str
    what: str
    purpose: str | None
    field: str | None

    @property
    def by(self) -> str:
        """As what the account acted."""
        return {TOWN_DIGITS: "镇街", GRID_DIGITS: "网格"}.get(len(self.area), "系统")

    @property
    def what_name(self) -> str:
        return audit.NAMES.get(self.what, self.what)

    @property
    def field_name(self) -> str:
        return FIELDS.get(self.field or "", "")

    @property
    def purpose_name(self) -> str:
        purpose = self.purpose or ""
        return _PURPOSES.get(purpose, purpose)


@dataclass(frozen=True)
class AccessRecord:
    """Everybody who saw or wrote something of a household, or of one person; the newest first."""

    household_id: int
    address: str
    name: str | None
    lines: tuple[Access, ...]


def access_record(engine: Engine, actor: Actor, household_id: int) -> AccessRecord:
    """Return who looked at a household of the office's town, from wherever; NotFoundError for any other."""
    with on_roster(engine, actor) as connection:
        address = connection.execute(
            text(
                "SELECT concat_ws(' ', b.address, d.door) FROM household h"
                " JOIN dwelling d ON d.id = h.dwelling_id JOIN building b ON b.id = d.building_id"
                " WHERE h.id = :household"
            ),
            {"household": household_id},
        ).scalar()
        if address is None or not actor.is_office:
            raise NotFoundError(f"household {household_id}")
        found = AccessRecord(household_id, address, None, lines(connection, household_id=household_id))
        audit.record(connection, "person.access", area=actor.area, households=[household_id])
    return found


def access_record_of(engine: Engine, actor: Actor, person_id: int) -> AccessRecord:
    """Return who looked at a person, and at the households of that person while they were the person's."""
    with on_roster(engine, actor) as connection:
        who = subject(connection, actor, person_id)
        found = AccessRecord(who.household_id, who.address, who.name, lines(connection, person_id=who.id))
        audit.record(
            connection, "person.access", area=actor.area, households=[who.household_id], person_id=who.id
        )
    return found


def lines(
    connection: Connection, *, household_id: int | None = None, person_id: int | None = None
) -> tuple[Access, ...]:
    """Return the lines of the audit log on a household or on a person, in the reader's transaction."""
    rows = connection.execute(
        text("SELECT * FROM roster_access(:household, :person)"),
        {"household": household_id, "person": person_id},
    )
    return tuple(Access(**row) for row in rows.mappings())
