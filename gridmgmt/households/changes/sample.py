"""A few requests of a grid's staff for the sample city; nobody in it is real."""

from datetime import date, timedelta

from sqlalchemy import Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.changes import service
from gridmgmt.households.changes.models import Kind
from gridmgmt.households.changes.wanted import Wanted
from gridmgmt.privacy.keyring import KeyRing

COUPLES = text("""
    SELECT h.id, a.id, a.name, b.id, b.name FROM household h
    JOIN person a ON a.household_id = h.id AND a.relation = 'head' AND a.left_on IS NULL
    JOIN person b ON b.household_id = h.id AND b.relation = 'spouse' AND b.left_on IS NULL
    ORDER BY md5(h.code), h.id LIMIT 6
""")


def seed(engine: Engine, ring: KeyRing, actor: Actor, today: date | None = None) -> int:
    """Ask for one change of each of six households of the actor's grid, and return how many there were.

    `engine` is of the role `gridmgmt_roster`. Does nothing where somebody has asked already.
    """
    day = (today or china_today()) - timedelta(days=3)
    with on_roster(engine, actor) as connection:
        if connection.execute(text("SELECT count(*) FROM roster_change")).scalar_one():
            return 0
        couples = connection.execute(COUPLES).all()
    wanted = [
        _wanted(n, day, home, head, head_name, spouse, spouse_name)
        for n, (home, head, head_name, spouse, spouse_name) in enumerate(couples)
    ]
    for each in wanted:
        service.ask(engine, ring, actor, each)
    return len(wanted)


def _wanted(
    n: int, day: date, home: int, head: int, head_name: str, spouse: int, spouse_name: str
) -> Wanted:  # fmt: skip
    expires = (day + timedelta(days=365)).isoformat()
    kind, person, values, reason = (
        (
            Kind.CORRECT,
            spouse,
            {"name": spouse_name[:1] + "丽" + spouse_name[2:]},
            "上门核对，名字写错一个字",
        ),
        (Kind.BIRTH, None, {"name": head_name[:1] + "一诺", "sex": "female", "relation": "child"}, "新生儿"),
        (Kind.HEAD, None, {"new_head": spouse}, "原户主常年在外务工"),
        (Kind.MOVE_OUT, None, {"people": [spouse], "new_head": None}, "随子女到外地居住"),
        (Kind.CARE, head, {"category": "disabled", "basis": "残疾证，上门看过", "expires": expires}, ""),
        (Kind.MOVE_OUT, None, {"people": None}, "全家搬到邻县"),
    )[n]
    return Wanted(kind, home, person, day, values, reason or "上门走访时发现")
