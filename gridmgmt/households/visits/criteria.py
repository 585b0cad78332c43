"""Whom a round of visits is for, and which households that are today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Date, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from gridmgmt.errors import InputError
from gridmgmt.households.actor import Actor
from gridmgmt.households.models import CARE_NAMES
from gridmgmt.households.reading.lines import FLAGS

CARE = {care.value: name for care, name in CARE_NAMES.items()}
OLDEST_AGE = 120


@dataclass(frozen=True)
class Criteria:
    """Whom a round is for: any of the care categories, or alone from an age on; of those, who lives in a
    building with any of the flags, in any of the areas (codes of villages or grids). Empty is no condition.
    """

    care: tuple[str, ...] = ()
    alone_from: int | None = None
    flags: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()

    def check(self, actor: Actor) -> None:
        """Raise InputError for what is no category, age, flag, or no area of the actor's, or no condition."""
        for field, found, allowed in (("care", self.care, CARE), ("flags", self.flags, FLAGS)):
            if wrong := set(found) - set(allowed):
                raise InputError(field, sorted(wrong), " | ".join(allowed))
        if self.alone_from is not None and not 0 < self.alone_from <= OLDEST_AGE:
            raise InputError("alone_from", self.alone_from, f"1 to {OLDEST_AGE}")
        if any(not area.startswith(actor.area) or not area.isdecimal() for area in self.areas):
            raise InputError("areas", list(self.areas), f"codes that begin with {actor.area}")
        if not (self.care or self.alone_from or self.flags):
            raise InputError("criteria", "none", "a care category, an age, or a kind of building")

    @staticmethod
    def of(stored: Mapping[str, Any]) -> "Criteria":
        """Return the criteria that a round has stored."""
        many = {name: tuple(stored[name]) for name in ("care", "flags", "areas")}
        return Criteria(alone_from=stored["alone_from"], **many)

    @property
    def words(self) -> str:
        """What it says, in Chinese."""
        whom = [CARE[each] for each in self.care]
        whom += [f"{self.alone_from} 岁及以上独自居住"] if self.alone_from else []
        where = [FLAGS[each] for each in self.flags]
        return "，".join(filter(None, ("、".join(whom), f"住{'、'.join(where)}房屋" if where else "")))


# A person whose data is restricted is no reason to call, and a household of such persons only is left out.
_CHOSEN = """
    FROM household h JOIN dwelling d ON d.id = h.dwelling_id JOIN building b ON b.id = d.building_id
    JOIN grid g ON g.id = h.grid_id
    WHERE h.ended_on IS NULL
        AND (cardinality(:flags) = 0 OR (b.low_lying AND 'low_lying' = ANY (:flags))
            OR (b.dilapidated AND 'dilapidated' = ANY (:flags))
            OR (b.self_built AND 'self_built' = ANY (:flags)))
        AND (cardinality(:areas) = 0
            OR EXISTS (SELECT FROM unnest(:areas) AS a WHERE starts_with(g.code15, a)))
        AND EXISTS (SELECT FROM person p
            WHERE p.household_id = h.id AND p.left_on IS NULL AND p.restricted_on IS NULL)
        AND ((cardinality(:care) = 0 AND :born_by IS NULL)
            OR (h.persons = 1 AND EXISTS (SELECT FROM person p WHERE p.household_id = h.id
                AND p.left_on IS NULL AND p.restricted_on IS NULL AND p.birth_on <= :born_by))
            OR EXISTS (SELECT FROM household_care c LEFT JOIN person p ON p.id = c.person_id
                WHERE c.household_id = h.id AND c.category = ANY (:care) AND c.ended_on IS NULL
                    AND c.expires >= :today AND (c.person_id IS NULL
                        OR (p.left_on IS NULL AND p.restricted_on IS NULL))))
"""


def _bound(statement: str) -> TextClause:
    many = [bindparam(name, type_=ARRAY(Text)) for name in ("care", "flags", "areas")]
    days = [bindparam(name, type_=Date) for name in ("born_by", "today")]
    return text(statement).bindparams(*many, *days)


def _values(criteria: Criteria, today: date) -> dict[str, Any]:
    born_by = _years_before(today, criteria.alone_from) if criteria.alone_from else None
    lists = {name: list(getattr(criteria, name)) for name in ("care", "flags", "areas")}
    return lists | {"born_by": born_by, "today": today}


def _years_before(day: date, years: int) -> date:
    # Who was born on 29 February has the birthday on 28 February in other years.
    leap = (day.month, day.day) == (2, 29)
    return date(day.year - years, day.month, 28 if leap else day.day)


def chosen(connection: Connection, criteria: Criteria, today: date) -> dict[int, str]:
    """Return the households of the actor's area that criteria fit, each with the code of its grid."""
    statement = _bound(f"SELECT h.id, g.code15 {_CHOSEN} ORDER BY h.id")
    return dict(connection.execute(statement, _values(criteria, today)).all())
