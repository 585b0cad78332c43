"""Visits, a survey and a flood round for the sample city; nobody in it is real."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.models import Care
from gridmgmt.households.visits import rounds, service, surveys
from gridmgmt.households.visits.criteria import Criteria
from gridmgmt.households.visits.models import Outcome, Purpose
from gridmgmt.households.visits.service import Seen
from gridmgmt.households.visits.stops import REASONS
from gridmgmt.privacy.keyring import KeyRing

VISITS, STOPS = 30, 40
OFFICE = "sample office"
FLOOD = Criteria(care=(Care.ELDERLY_ALONE,), alone_from=75, flags=("low_lying", "dilapidated"))
NOTES = (
    "老人身体还好，提醒按时吃药。", "家里水管渗水，已劝其尽早修。", "孩子在外地上学，寒假回来。",
    "楼道灯不亮。", "最近换了租客，已提醒登记。", "说晚上广场声音大。", "燃气报警器已装好。", "", "", "",
)  # fmt: skip


def seed(
    engine: Engine, ring: KeyRing, year: int, town: str | None = None, now: datetime | None = None
) -> None:
    """Write a survey of the last quarter of `year` in every town; in one town a flood round and visits.

    `engine` is of the role `gridmgmt_roster`; without a `town` it is the first by code. The same city, year
    and moment give the same rows. Does nothing where a survey stands.
    """
    moment = now or datetime.now(UTC)
    with engine.connect() as connection:
        towns = list(
            connection.execute(text("SELECT code FROM division WHERE level = 'town' ORDER BY code")).scalars()
        )
        if not towns or surveys.surveys(connection, ""):
            return
    for each in towns:
        first, last = date(year, 10, 1), date(year, 12, 31)
        surveys.begin_survey(engine, Actor(OFFICE, each), f"{year}年第四季度入户核对", first, last)
    actor = Actor(OFFICE, town or towns[0])
    rng = Random(year)
    _flood(engine, ring, actor, rng, moment)
    _visits(engine, ring, actor, rng, moment)


def _flood(engine: Engine, ring: KeyRing, actor: Actor, rng: Random, now: datetime) -> None:
    today = now.astimezone(CHINA).date()
    words = ("汛期转移提醒", "今晚有大到暴雨，请到村部过夜，带上常用药和身份证。")
    villages = _enough(rounds.preview(engine, actor, FLOOD, today))
    if not villages:  # a small city may have nobody in such a building
        return
    flood = replace(FLOOD, areas=villages)
    number = rounds.begin(engine, actor, *words, flood, today + timedelta(days=2), today)
    for stop in rounds.view(engine, actor, number).stops:
        draw = rng.random()
        if draw < 0.5:
            done = draw < 0.42
            rounds.report(engine, ring, actor, stop.id, done, None if done else REASONS[0], now=now)


def _enough(found: Mapping[str, int]) -> tuple[str, ...]:
    """Return the first villages that have `STOPS` households together, or all."""
    villages: dict[str, int] = {}
    for grid, count in sorted(found.items()):
        if sum(villages.values()) >= STOPS:
            break
        villages[grid[:12]] = villages.get(grid[:12], 0) + count
    return tuple(villages)


def _visits(engine: Engine, ring: KeyRing, actor: Actor, rng: Random, now: datetime) -> None:
    with on_roster(engine, actor) as connection:
        doors = _doors(connection)
    for n, door in enumerate(doors):
        at = now - timedelta(days=n % 10, minutes=rng.randrange(1, 600))
        key = UUID(int=rng.getrandbits(128), version=4)
        purpose = rng.choice((Purpose.VERIFY, Purpose.CARE, Purpose.OTHER))
        seen = Seen(key, door, purpose, rng.choice((*(Outcome.MET,) * 4, Outcome.ABSENT)), at)
        met = seen.outcome is Outcome.MET
        service.record(engine, ring, actor, replace(seen, note=rng.choice(NOTES) if met else ""), now=now)


def _doors(connection: Connection) -> list[int]:
    """Return thirty dwellings of the town, the same ones each time."""
    statement = text("""
        SELECT d.id FROM dwelling d JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = b.grid_id
        WHERE EXISTS (SELECT FROM household h WHERE h.dwelling_id = d.id AND h.ended_on IS NULL)
        ORDER BY md5(b.code || d.door), d.id LIMIT :most
    """)
    return list(connection.execute(statement, {"most": VISITS}).scalars())
