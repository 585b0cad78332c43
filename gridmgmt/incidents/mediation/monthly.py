"""Mediation, deliberation and meetings by town and month, and how many mediators there are."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import Connection, text

# Fact, town ('' for the city's own), month, number.
Row = tuple[str, str, date, float]

_MONTH = "date_trunc('month', {} AT TIME ZONE 'Asia/Shanghai')::date"
_TOWN = "CASE WHEN length({0}) >= 9 THEN left({0}, 9) ELSE '' END"
_QUERIES = {
    "mediations": f"""
        SELECT coalesce(left(c.village, 9), '') AS town, {_MONTH.format("m.ended_at")} AS month,
            count(*) FILTER (WHERE m.status <> 'withdrawn') AS ended,
            count(*) FILTER (WHERE m.status = 'agreed') AS agreed
        FROM mediation m JOIN incident_case c ON c.id = m.case_id WHERE m.ended_at IS NOT NULL GROUP BY 1, 2
        """,
    "follow-ups": """
        SELECT coalesce(left(c.village, 9), '') AS town, date_trunc('month', m.followed_up_on)::date AS month,
            count(*) AS followed_up, count(*) FILTER (WHERE m.kept) AS kept
        FROM mediation m JOIN incident_case c ON c.id = m.case_id WHERE m.followed_up_on IS NOT NULL
        GROUP BY 1, 2
        """,
    "deliberations": f"""
        SELECT coalesce(left(c.village, 9), '') AS town, {_MONTH.format("d.held_at")} AS month,
            count(*) AS held
        FROM deliberation d JOIN incident_case c ON c.id = d.case_id WHERE d.status = 'held' GROUP BY 1, 2
        """,
    "meetings": f"""
        SELECT {_TOWN.format("area")} AS town, {_MONTH.format("held_at")} AS month, count(*) AS held
        FROM matter_meeting WHERE status = 'held' GROUP BY 1, 2
        """,
}
_FACTS = {
    "mediations": ("mediations", ("ended", "agreed")), "follow-ups": ("mediations", ("followed_up", "kept")),
    "deliberations": ("deliberations", ("held",)), "meetings": ("meetings", ("held",)),
}  # fmt: skip
_MEDIATORS = (
    f"SELECT {_TOWN.format('area')} AS town, count(*) AS active FROM mediator WHERE active GROUP BY 1"
)


def monthly(connection: Connection) -> Iterator[Row]:
    """Give the numbers of every month since mediation has been kept here; `connection` is the owner's."""
    for key, query in _QUERIES.items():
        group, names = _FACTS[key]
        for row in connection.execute(text(query)):
            yield from ((f"{group}.{name}", row.town, row.month, float(getattr(row, name))) for name in names)


def mediators(connection: Connection) -> Iterator[tuple[str, float]]:
    """Give towns with how many mediators they have today."""
    for row in connection.execute(text(_MEDIATORS)):
        yield row.town, row.active
