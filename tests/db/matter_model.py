"""What matters must be, in plain Python: the model beside the walk of `test_matter_machine.py`.

Written from what the documents say, not from the code: its own clock, who may do what, what a matter then is;
and the flows, visits and places that a walk draws.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from hypothesis import strategies as st

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, GridmgmtError, InputError, NotAllowedError
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import RESIDENT, Actor
from gridmgmt.incidents.flows import packaged
from gridmgmt.incidents.flows.flow import Flow, Guard, Limit, Move, Need, Step, Who
from gridmgmt.incidents.flows.reading import faults
from gridmgmt.incidents.handling.models import VisitKind
from gridmgmt.incidents.handling.visits import VisitTold
from tests.db import matter_world as world

VILLAGES = {grid: grid[:12] for grid in world.CORNERS}
DAYS_OF = {code: days for code, _, parent, _, days, _ in world.CATEGORIES if parent}
RESIDENTS = tuple(Actor(RESIDENT, None, village) for village in (world.VILLAGE_OWN, world.VILLAGE_OTHER))
PEOPLE = (*world.ACTORS, *RESIDENTS)
OFFICES = (world.OFFICE, world.SECOND_OFFICE, world.OTHER_OFFICE, world.CENTRE)
TELLERS = (world.WORKER, world.OFFICE, world.CENTRE, world.OTHER_WORKER, world.OTHER_OFFICE, *RESIDENTS)
UNITS = (world.URBAN, world.WATER_BUREAU, world.HOUSING)
LEVELS = ("village", "town", "city")

# --- the model's own clock: day by day, from the packaged days


OFF = {day.day for day in holidays.packaged_days() if day.kind == "off"}
WORK = {day.day for day in holidays.packaged_days() if day.kind == "work"}


def worked(day: date) -> bool:
    return day in WORK or (day.weekday() < 5 and day not in OFF)


def put_off(moment: datetime, days: int, at: time | None = None) -> datetime:
    """The same time of day, or `at`, so many working days later."""
    here = moment.astimezone(CHINA)
    day = here.date()
    while days:
        day += timedelta(days=1)
        days -= worked(day)
    return datetime.combine(day, at or here.time(), CHINA)


def ends(start: datetime, limit: Limit) -> datetime:
    return start + timedelta(hours=limit.hours) if limit.hours else put_off(start, limit.days, time(17, 30))


def passed(a: datetime, b: datetime) -> int:
    """Working days after the day of `a` up to that of `b`, which is no earlier."""
    day, last, n = a.astimezone(CHINA).date(), b.astimezone(CHINA).date(), 0
    while day < last:
        day += timedelta(days=1)
        n += worked(day)
    return n


# --- the model of a matter


@dataclass
class Hand:
    unit: str
    part: str
    status: str = "asked"

    @property
    def live(self) -> bool:
        return self.status in ("asked", "accepted", "answered", "returned")


@dataclass
class Matter:
    """What a matter must be now; `history` are its acts with the steps from and to."""

    id: int
    flow: Flow
    category: str
    grid: str | None
    level: str
    stage: str
    told_at: datetime
    since: datetime
    due: datetime  # of the whole
    step_due: datetime | None = None
    open: bool = True
    suspended: datetime | None = None
    supervised: bool = False
    escalated: bool = False
    reopened: int = 0
    extended: int = 0
    leader: int | None = None
    answer: str | None = None
    settled: str | None = None
    satisfaction: int | None = None
    asked: bool = False  # a return visit was made since it was taken in or reopened
    unhappy: bool = False  # and whoever said how satisfied they are said: not
    rated: bool = False  # by a resident since it was closed
    base: datetime | None = None  # from when the whole counts
    later: int = 0  # working days by which the whole was put off since then
    hands: dict[int, Hand] = field(default_factory=dict)
    history: list[tuple[str, str | None, str]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return len(self.history)

    @property
    def village(self) -> str | None:
        return VILLAGES[self.grid] if self.grid else None

    @property
    def live_hands(self) -> list[Hand]:
        return [hand for hand in self.hands.values() if hand.live]

    @property
    def due_next(self) -> datetime:
        return min(self.step_due or self.due, self.due)

    def limit(self) -> Limit:
        return Limit(days=DAYS_OF[self.category] or self.flow.days)

    def log(self, act: str, to: str | None = None) -> None:
        before = self.stage if self.history else None
        self.stage = to or self.stage
        self.history.append((act, before, self.stage))

    def enter(self, now: datetime) -> None:
        self.since = now
        self.step_due = ends(now, self.flow.step(self.stage).limit)

    def reopen(self, now: datetime) -> None:
        self.log("reopen", self.flow.reopens_at)
        self.base, self.later, self.due = now, 0, ends(now, self.limit())
        self.enter(now)
        self.open, self.suspended, self.escalated, self.leader = True, None, False, None
        self.answer, self.settled, self.asked, self.unhappy, self.rated = None, None, False, False, False
        self.reopened += 1

    def close(self, act: str, to: str) -> None:
        self.log(act, to)
        self.open, self.suspended, self.escalated, self.supervised = False, None, False, False
        self.settled, self.rated = self.level, False


def sees(actor: Actor, matter: Matter) -> bool:
    if actor.role is Role.DEPARTMENT:
        return any(hand.unit == actor.unit for hand in matter.hands.values())
    if actor.role is Role.GRID_WORKER:
        return matter.grid == actor.area
    return actor.area == "" or (matter.village or "").startswith(actor.area)


def is_office(actor: Actor, matter: Matter) -> bool:
    if actor.role is Role.COMMAND:
        return matter.level == "city"
    return actor.role is Role.TOWN_OFFICER and matter.level != "city"


def moves_as(actor: Actor, matter: Matter) -> Who | None:
    if actor.role is Role.GRID_WORKER:
        return Who.GRID
    return Who.OFFICE if is_office(actor, matter) else None


Errors = dict[str, type[GridmgmtError]]


def not_live(matter: Matter) -> Errors:
    found: Errors = {}
    if not matter.open:
        found["closed"] = ConflictError
    if matter.suspended:
        found["suspended"] = ConflictError
    if matter.leader:
        found["goes along"] = ConflictError
    return found


def office_only(actor: Actor, matter: Matter) -> Errors:
    return {} if is_office(actor, matter) else {"not the office": NotAllowedError}


def move_refused(
    matter: Matter,
    actor: Actor,
    move: Move,
    words: str,
    units: tuple[str, ...],
    visit: VisitTold | None,
) -> Errors:
    found: Errors = {}
    if moves_as(actor, matter) not in move.who:
        found["who"] = NotAllowedError
    if not words and {Need.NOTE, Need.ANSWER} & move.needs:
        found["words"] = InputError
    hands_out = Need.UNITS in move.needs and not matter.live_hands
    if hands_out and (not units or not set(units) <= set(UNITS)):
        found["units"] = InputError
    if Need.VISIT in move.needs and (visit is None or visit.kind is not VisitKind.RETURN):
        found["visit"] = InputError
    if turned_back(matter, move, visit):
        return found
    if Guard.STRUCK_OFF in move.guards and (matter.live_hands or hands_out):
        found["struck off"] = ConflictError
    if Guard.ANSWERED in move.guards and not (matter.answer or (words and Need.ANSWER in move.needs)):
        found["answered"] = ConflictError
    if Guard.VISITED in move.guards and not (matter.asked or is_return(visit)):
        found["visited"] = ConflictError
    if matter.flow.step(move.to).final and (matter.live_hands or hands_out):
        found["in hand"] = ConflictError
    return found


def turned_back(matter: Matter, move: Move, visit: VisitTold | None) -> bool:
    """Whether somebody dissatisfied turns the move back: asked with it, or before it by its guard."""
    if is_return(visit) and visit and visit.satisfaction is not None:
        return visit.satisfaction <= matter.flow.dissatisfied_at_most
    return Guard.VISITED in move.guards and matter.unhappy


def visited(matter: Matter, visit: VisitTold) -> None:
    matter.log("visit")
    if not is_return(visit):
        return
    matter.asked = True
    if visit.satisfaction is not None:
        matter.satisfaction = visit.satisfaction
        matter.unhappy = visit.satisfaction <= matter.flow.dissatisfied_at_most


# --- flows drawn at random, all of which stand


@st.composite
def any_flow(draw: st.DrawFn) -> Flow:
    """Draw a chain of steps with ways across and back, or one of the packaged flows."""
    if draw(st.booleans()):
        return draw(st.sampled_from(packaged.flows()))
    codes = "abcdef"[: draw(st.integers(2, 5))]
    made = []
    for n, (code, following) in enumerate(pairwise(codes)):
        others = draw(st.sets(st.sampled_from(codes), max_size=1)) - {code, following}
        moves = [draw(_move(to, to == codes[-1], n > 0)) for to in sorted({following, *others})]
        # The way on always asks for the words that a later guard may want, and an office can always go it.
        moves = [
            replace(move, who=move.who | {Who.OFFICE}, needs=move.needs | {Need.ANSWER})
            if move.to == following else move
            for move in moves
        ]  # fmt: skip
        limit = draw(st.builds(Limit, st.integers(1, 6)) | st.builds(Limit, st.just(0), st.integers(1, 72)))
        made.append(Step(code, f"步骤{code}", limit, False, tuple(moves)))
    made.append(Step(codes[-1], "终", final=True))
    low, after = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    flow = Flow(
        "any",
        "任意",
        draw(st.integers(6, 20)),
        "a",
        draw(st.sampled_from(codes[:-1])),
        tuple(made),
        low,
        after,
    )
    return flow if not faults(flow) else packaged.flows()[0]


@st.composite
def _move(draw: st.DrawFn, to: str, final: bool, guarded: bool) -> Move:
    who = draw(st.sampled_from([{Who.OFFICE}, {Who.OFFICE, Who.GRID}, {Who.GRID}]))
    needs = draw(st.sets(st.sampled_from([Need.NOTE, Need.UNITS, Need.VISIT]), max_size=1))
    guards = draw(st.sets(st.sampled_from(list(Guard)), max_size=2)) if guarded else set()
    if final:  # the visit with the move, or one before it
        needs, guards = draw(st.sampled_from([({Need.VISIT}, guards), (set(), {*guards, Guard.VISITED})]))
    return Move(to, f"去{to}", frozenset(who), frozenset(needs), frozenset(guards))


def is_return(visit: VisitTold | None) -> bool:
    return visit is not None and visit.kind is VisitKind.RETURN


def visits() -> st.SearchStrategy[VisitTold]:
    kinds = st.sampled_from([VisitKind.RETURN] * 6 + [VisitKind.ON_SITE])
    told = st.builds(VisitTold, st.just(True), st.none() | st.integers(1, 5), kind=kinds)
    return told | st.builds(VisitTold, st.just(False), st.none(), kind=kinds)


places = st.sampled_from([*world.CORNERS, *world.CORNERS, None])
categories = st.sampled_from(sorted(DAYS_OF))
