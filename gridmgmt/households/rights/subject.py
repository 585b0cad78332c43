"""The person whose rights are asked for, as the town office sees them."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.errors import NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.models import RELATION_NAMES, Relation
from gridmgmt.privacy import audit

# Who asks for a copy; the audit log keeps the key.
ASKED_BY = {"self": "本人申请", "guardian": "监护人代为申请", "agent": "受本人委托申请", "heir": "近亲属申请"}


@dataclass(frozen=True)
class Subject:
    """Who it is and where; sealed values still sealed. `others` live in the same household."""

    id: int
    name: str
    relation: str
    household_id: int
    address: str
    grid: str  # 15 digits
    left_on: date | None
    left_why: str | None
    restricted_on: date | None
    others: tuple[tuple[int, str], ...]

    @property
    def relation_name(self) -> str:
        """What the person is to the head, in Chinese."""
        return RELATION_NAMES[Relation(self.relation)]

    @property
    def must_name_head(self) -> bool:
        """Whether somebody else has to become head before this person goes."""
        return self.relation == Relation.HEAD and self.left_on is None and bool(self.others)


@dataclass(frozen=True)
class Held:
    """What the page of a person's rights shows: who it is, and how many entries of each kind are held."""

    subject: Subject
    has: dict[str, int]


_SUBJECT = text("""
SELECT p.id, p.name, p.relation, p.household_id, concat_ws(' ', b.address, d.door) AS address,
    g.code15 AS grid, p.left_on, p.left_why, p.restricted_on,
    ARRAY(SELECT o.id FROM person o WHERE o.household_id = p.household_id AND o.id <> p.id
        AND o.left_on IS NULL ORDER BY o.birth_on, o.id) AS other_ids
FROM person p JOIN household h ON h.id = p.household_id JOIN dwelling d ON d.id = h.dwelling_id
JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = p.grid_id
WHERE p.id = :person
""")


def subject(connection: Connection, actor: Actor, person_id: int) -> Subject:
    """Return a person of the office's town.

    NotFoundError alike for nobody, for somebody of another town, for somebody erased, and for grid staff,
    whose work none of this is.
    """
    row = connection.execute(_SUBJECT, {"person": person_id}).mappings().first() if actor.is_office else None
    if row is None:
        raise NotFoundError(f"person {person_id}")
    values: dict[str, Any] = dict(row)
    ids = values.pop("other_ids")
    others = text("SELECT id, name FROM person WHERE id = ANY(:ids)")
    names = {row.id: row.name for row in connection.execute(others, {"ids": ids})}
    return Subject(**values, others=tuple((number, names[number]) for number in ids))


def held(engine: Engine, actor: Actor, person_id: int) -> Held:
    """Return what is held of a person in numbers; nothing sealed is opened. NotFoundError as in `subject`."""
    with on_roster(engine, actor) as connection:
        who = subject(connection, actor, person_id)
        counts = connection.execute(_HELD, {"person": who.id, "home": who.household_id}).mappings().one()
        audit.record(
            connection, "household.view", area=actor.area, households=[who.household_id], person_id=who.id
        )
    return Held(who, dict(counts))


_HELD = text("""
SELECT (SELECT count(identity) FROM person WHERE id = :person) AS "身份证号",
    (SELECT count(phone) FROM person WHERE id = :person) AS "电话",
    (SELECT count(*) FROM residency WHERE person_id = :person) AS "居住",
    (SELECT count(*) FROM household_care WHERE person_id = :person) AS "关爱",
    (SELECT count(*) FROM roster_event WHERE person_id = :person) AS "变动",
    (SELECT count(*) FROM roster_change WHERE person_id = :person) AS "变动申请",
    (SELECT count(*) FROM roster_history WHERE person_id = :person) AS "历史版本",
    (SELECT count(*) FROM visit WHERE household_id = :home) AS "本户走访"
""")
