"""Living matters for the sample city: six weeks of them, at every step, through the services themselves.

What they are about is what the city's history tells of the same weeks a year ago; nobody in them is real.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, text

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db.engine import MATTERS, make_engine
from gridmgmt.db.models import Role
from gridmgmt.incidents import holidays
from gridmgmt.incidents.actor import RESIDENT, Actor
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Flow, Guard, Move, Need, Step
from gridmgmt.incidents.handling import hands, service, service_days
from gridmgmt.incidents.handling.intake import Told, take_in
from gridmgmt.incidents.handling.models import VisitKind
from gridmgmt.incidents.handling.visits import VisitTold
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.incidents.terms import Ledger, Tier
from gridmgmt.incidents.working_days import WorkingDays
from gridmgmt.privacy.keyring import KeyRing

# A city of a thousand grids has so many in six weeks; a smaller one fewer.
MATTERS_OF_A_CITY, GRIDS_OF_A_CITY, FEWEST = 250, 1000, 80
PERIOD = timedelta(weeks=6)
OPENS, CLOSES = time(8, 30), time(17, 30)
HOURS_A_DAY = 9.0

CENTRE = Actor("综治中心", Role.COMMAND, "")
# Where a matter begins by who takes it in; otherwise at the town's.
BEGINS_AT: dict[Role | None, Tier] = {Role.COMMAND: Tier.CITY, Role.GRID_WORKER: Tier.VILLAGE}
SURNAMES, GIVEN = "赵钱孙李周吴郑王冯陈", ("建国", "秀英", "志强", "桂兰", "海燕", "明", "丽华", "小军")
NOTES = (
    "已电话联系诉求人，约好明天到现场看。", "现场看过，情况属实。", "请尽快办理，办结前先把情况告诉居民。",
    "与村里核对过位置。", "涉及几户，一并处理。",
)  # fmt: skip
REQUESTS = (
    "请到现场核实并处理，按时反馈。",
    "请按职责办理，说明措施和完成时间。",
    "涉及多户居民，请优先办理。",
)
DONE = (
    "已派人到现场处理完毕，居民在场确认。", "已约谈责任单位，限三日内整改，复查合格。",
    "已安排维修，今天恢复正常；以后每月巡查一次。", "与双方见面协商，已达成一致并当场兑现。",
)  # fmt: skip
ANSWERS = (
    "您反映的问题已处理完毕，欢迎继续监督。", "经现场核实并协调，问题已解决，感谢您的反映。",
    "已安排专人处理，今后每周巡查，发现问题请随时联系网格员。",
)  # fmt: skip
REFUSALS = ("按职责分工不属本单位，建议交综合行政执法局。", "位置在县界外，请核对后再交办。")
RETURNS = ("现场还有遗留，请补齐后再报。", "没有说明完成时间，请补充。")
PAUSES = ("等待鉴定结论，结论出具后恢复。", "当事人外出务工，约定月底返回后继续。")
SCORES, WEIGHTS = (5, 4, 3, 2, 1), (52, 34, 9, 4, 1)


def seed(engine: Engine, ring: KeyRing, today: date | None = None, seed: int = 2026) -> int:
    """Write the matters of the six weeks up to a day, and return how many; nothing where cases stand.

    `engine` is the owner's. The same city, day and seed give the same matters; the moments of today end now.
    """
    day = today or china_today()
    now = datetime.now(CHINA) if day == china_today() else datetime.combine(day, CLOSES, CHINA)
    with engine.connect() as connection:
        if connection.scalar(text("SELECT count(*) FROM incident_case")):
            return 0
        city = _City.read(connection, day)
    rng = Random(seed)
    with _acting(engine) as acting:
        lives = [_Life(acting, ring, city, Random(rng.random()), now) for _ in range(city.matters)]
        # More of late than long ago, so that more are still on their way.
        starts = sorted(rng.random() ** 0.5 for _ in lives)
        for n, (life, start) in enumerate(zip(lives, starts, strict=True)):
            life.begin(now - PERIOD * (1 - start), n)
        _go_along(acting, lives, now)
        _service_days(acting, city, rng, now)
    return len(lives)


@contextmanager
def _acting(engine: Engine) -> Iterator[Engine]:
    # A sample need not survive a power cut, and is three times as fast for it.
    url = engine.url.update_query_dict({"options": "-csynchronous_commit=off"})
    acting = make_engine(url.render_as_string(hide_password=False), role=MATTERS, pooled=True)
    yield acting
    acting.dispose()


@dataclass(frozen=True)
class _City:
    """What matters need of a city: what people tell of, offices, departments, flows, working days."""

    told: Sequence[Row[Any]]
    offices: dict[str, Actor]
    departments: Sequence[str]
    flows: dict[str, Flow]
    days: WorkingDays
    matters: int
    logins: tuple[str, ...]  # of those who sign in: a grid, its town

    def told_to(self, n: int) -> Sequence[Row[Any]]:
        """Return what the n-th matter may be about: now and then what whoever signs in has to do with."""
        for often, area in zip((20, 3), self.logins, strict=False):
            near = [row for row in self.told if row.grid.startswith(area)]
            if near and n % often == 0:
                return near
        return self.told

    @staticmethod
    def read(connection: Connection, day: date) -> "_City":
        towns = connection.execute(text("SELECT code, name FROM division WHERE level = 'town' ORDER BY code"))
        areas = "SELECT area FROM account WHERE length(area) IN (9, 15) ORDER BY length(area) DESC"
        logins = connection.execute(text("SELECT area, username FROM account WHERE role = 'town_officer'"))
        own = {area: username for area, username in logins if area}
        grids = connection.scalar(text("SELECT count(*) FROM grid WHERE kind = 'base' AND valid_to IS NULL"))
        return _City(
            told=connection.execute(_TOLD, {"day": day - timedelta(days=365)}).all(),
            offices={
                code: Actor(own.get(code, f"{name}综治中心"), Role.TOWN_OFFICER, code) for code, name in towns
            },
            departments=list(connection.scalars(text("SELECT name FROM department ORDER BY name"))),
            flows=flows.active(connection),
            days=holidays.working_days(connection),
            logins=tuple(connection.scalars(text(areas))),
            matters=max(FEWEST, round(MATTERS_OF_A_CITY * (grids or 0) / GRIDS_OF_A_CITY)),
        )


# Of the same weeks a year ago; where there are none, of the last weeks that the history has.
_TOLD = text("""
SELECT i.category, coalesce(i.channel, '12345') AS channel, i.ledger, i.title, i.text, i.address,
    ST_X(i.geom) AS lon, ST_Y(i.geom) AS lat, g.code15 AS grid, left(g.village, 9) AS town,
    coalesce(k.department, p.department) AS department
FROM incident i JOIN grid g ON g.id = i.grid_id AND g.valid_to IS NULL JOIN category k ON k.code = i.category
LEFT JOIN category p ON p.code = k.parent
WHERE i.geom IS NOT NULL AND i.text IS NOT NULL
    AND NOT EXISTS (SELECT FROM category finer WHERE finer.parent = k.code)
    AND i.occurred_on BETWEEN (SELECT least(CAST(:day AS date), max(occurred_on)) FROM incident) - 42
        AND (SELECT least(CAST(:day AS date), max(occurred_on)) FROM incident)
ORDER BY i.occurred_on, i.external_id
""")


@dataclass
class _Life:
    """One matter on its way; `moment` is its clock, which ends at `now`."""

    engine: Engine
    ring: KeyRing
    city: _City
    rng: Random
    now: datetime
    moment: datetime = field(init=False)
    flow: Flow = field(init=False)
    told: Any = field(init=False)
    case_id: int = field(init=False)
    stage: str = field(init=False)
    level: Tier = field(init=False)
    handed: bool = False
    stopped: bool = False
    slow: bool = False

    @property
    def office(self) -> Actor:
        return CENTRE if self.level is Tier.CITY else self.city.offices[self.told.town]

    def begin(self, moment: datetime, n: int) -> None:
        """Take the matter in at a moment and let it go on until now."""
        rng = self.rng
        while self._office_hours(moment) > self.now:  # told on the working day before
            moment -= timedelta(days=1)
        self.moment = self._office_hours(moment)
        self.told = rng.choice(self.city.told_to(n))
        self.slow = rng.random() < 0.16
        channel = self._channel()
        actor = self._teller(channel)
        self.flow = self.city.flows[self._flow(actor)]
        said = Told(
            category=self.told.category, words=self.told.text, channel=channel,
            ledger=self.told.ledger or Ledger.DEMAND, lon=self.told.lon, lat=self.told.lat,
            address=self.told.address or "", title=self.told.title or "", flow=self.flow.code,
            parties=self._parties(), follow=actor.username == RESIDENT, source="gridmgmt",
        )  # fmt: skip
        key = UUID(int=rng.getrandbits(128), version=4)
        self.case_id = take_in(self.engine, self.ring, actor, said, key, now=self.moment).case_id
        self.level = BEGINS_AT.get(actor.role, Tier.TOWN)
        self.stage = self.flow.begins
        self._go_on()

    def _channel(self) -> str:
        if self.moment.weekday() == 4 and self.rng.random() < 0.4:
            return "legal_day"
        extra = self.rng.random()
        return "qr_code" if extra < 0.12 else "grid_round" if extra < 0.3 else str(self.told.channel)

    def _teller(self, channel: str) -> Actor:
        if channel == "qr_code":
            return Actor(RESIDENT, None, self.told.grid[:12])
        if channel == "grid_round":
            return Actor("网格员", Role.GRID_WORKER, self.told.grid)
        if channel == "letter_visit" or self.rng.random() < 0.06:
            return CENTRE
        return self.city.offices[self.told.town]

    def _flow(self, actor: Actor) -> str:
        if actor.role is not Role.GRID_WORKER:
            return "nine_steps"
        return self.rng.choice(("on_the_spot", "village_first", "nine_steps"))

    def _parties(self) -> tuple[PartyTold, ...]:
        if self.rng.random() > 0.2:
            return ()
        name = self.rng.choice(SURNAMES) + self.rng.choice(GIVEN)
        return (PartyTold(PartyPart.COMPLAINANT, name, f"154{self.rng.randrange(10**8):08d}"),)

    # --- on its way

    def _go_on(self) -> None:
        while not self.stopped and not self.flow.step(self.stage).final:
            step = self.flow.step(self.stage)
            if not self._wait(step):
                return
            if self._aside():
                continue
            move = self._choose(step)
            if Guard.STRUCK_OFF in move.guards and self.handed and not self._departments():
                return
            self._move(move)

    def _wait(self, step: Step) -> bool:
        """Let time pass in a step; False when it goes beyond now."""
        hours = step.limit.hours * HOURS_A_DAY / 24 if step.limit.hours else step.limit.days * HOURS_A_DAY
        share = self.rng.uniform(1.1, 2.4) if self.slow and self.rng.random() < 0.4 else self._share()
        return self._pass(hours * share)

    def _share(self) -> float:
        return self.rng.uniform(0.1, 0.9)

    def _pass(self, hours: float) -> bool:
        """Let working hours pass; False when they go beyond now."""
        moment = self._office_hours(self.moment)
        rest = timedelta(hours=hours)
        closes = datetime.combine(moment.date(), CLOSES, CHINA)
        while moment + rest > closes and moment <= self.now:
            rest -= closes - moment
            moment = self._office_hours(closes + timedelta(hours=12))
            closes = datetime.combine(moment.date(), CLOSES, CHINA)
        moment += rest
        if moment > self.now:
            return False
        self.moment = moment
        return True

    def _office_hours(self, moment: datetime) -> datetime:
        """Return the moment itself in office hours, else soon after the office opens next."""
        here = moment.astimezone(CHINA)
        day = here.date()
        if here.time() >= CLOSES:
            day += timedelta(days=1)
        while not self.city.days.is_working(day):
            day += timedelta(days=1)
        opens = datetime.combine(day, OPENS, CHINA) + timedelta(minutes=int(day.toordinal() * 37 % 120))
        return here if day == here.date() and here >= opens else opens

    def _aside(self) -> bool:
        """Do what is no move, now and then; True when the matter waits after it."""
        chance, act = self.rng.random(), (self.engine, self.office, self.case_id, None)
        if chance < 0.007:
            service.suspend(*act, self.rng.choice(PAUSES), now=self.moment)
            self.stopped = True
        elif chance < 0.05 and self.slow:
            service.extend(*act, 5, "情况复杂，需多部门会商。", now=self.moment)
            self.slow = False
        elif chance < 0.09 and self.slow:
            service.supervise(*act, "已临近时限，请每日报告进展。", now=self.moment)
        elif chance < 0.12:
            service.note(*act, self.rng.choice(NOTES), now=self.moment)
        elif chance < 0.14 and self.level is not Tier.CITY:
            service.raise_(*act, "跨镇街，请上级协调。", now=self.moment)
            self.level = Tier.CITY if self.level is Tier.TOWN else Tier.TOWN
        elif chance < 0.17 and self.level is Tier.CITY:
            service.lower(*act, "属地办理更便捷，请镇街接办。", now=self.moment)
            self.level = Tier.TOWN
        elif chance < 0.2:
            self._look()
        return self.stopped

    def _look(self) -> None:
        """Let the grid's staff look at the place."""
        staff = Actor("网格员", Role.GRID_WORKER, self.told.grid)
        seen = VisitTold(True, None, self.rng.choice(NOTES), kind=VisitKind.ON_SITE)
        service.visit(self.engine, staff, self.case_id, None, seen, now=self.moment)

    def _choose(self, step: Step) -> Move:
        usual = 0.6 if Need.UNITS in step.moves[0].needs else 0.93
        others = step.moves[1:]
        return step.moves[0] if not others or self.rng.random() < usual else self.rng.choice(others)

    def _move(self, move: Move) -> None:
        visit = self._asked_back() if Need.VISIT in move.needs else None
        units = self._units() if Need.UNITS in move.needs and not self.handed else ()
        service.move(
            self.engine, self.office, self.case_id, None, move.to,
            note=self.rng.choice(REQUESTS if units else NOTES) if Need.NOTE in move.needs or units else "",
            units=units, answer=self.rng.choice(ANSWERS) if Need.ANSWER in move.needs else "", visit=visit,
            now=self.moment,
        )  # fmt: skip
        self.handed = self.handed or bool(units)
        unhappy = visit and visit.satisfaction and visit.satisfaction <= self.flow.dissatisfied_at_most
        self.stage = self.flow.reopens_at if unhappy else move.to

    def _asked_back(self) -> VisitTold:
        if self.rng.random() < 0.08:
            return VisitTold(False, None, "两次去电无人接听。", held_at=self.moment)
        return VisitTold(True, self.rng.choices(SCORES, WEIGHTS)[0], held_at=self.moment)

    def _units(self) -> list[str]:
        lead = self.told.department or self.rng.choice(self.city.departments)
        others = [unit for unit in self.city.departments if unit != lead]
        return [lead, self.rng.choice(others)] if others and self.rng.random() < 0.15 else [lead]

    # --- departments

    def _departments(self) -> bool:
        """Let the departments take it, answer and be verified; False when that goes beyond now."""
        for _ in range(4):
            waiting = self._hands()
            if not waiting:
                self.handed = False
                return True
            for line in waiting:
                if not self._department(line):
                    return False
        return False

    def _hands(self) -> list[Row[Any]]:
        query = text("""
            SELECT id, unit, status, part FROM incident_hand
            WHERE case_id = :case AND status IN ('asked', 'accepted', 'answered', 'returned') ORDER BY id
            """)
        with self.engine.begin() as connection:
            connection.execute(
                text("SELECT set_config('app.user', :user, true), set_config('app.area', '', true)"),
                {"user": CENTRE.username},
            )
            return list(connection.execute(query, {"case": self.case_id}))

    def _department(self, line: Row[Any]) -> bool:
        unit = Actor(line.unit, Role.DEPARTMENT, "", line.unit)
        rng, engine = self.rng, self.engine
        if line.status == "asked":
            if not self._pass(rng.uniform(1, 8)):
                return False
            if rng.random() < 0.06:
                hands.refuse(engine, unit, line.id, rng.choice(REFUSALS), now=self.moment)
                return self._again(line)
            hands.accept(engine, unit, line.id, now=self.moment)
        if not self._pass(rng.uniform(4, 30) * (2.0 if self.slow else 1.0)):
            return False
        hands.answer(engine, unit, line.id, rng.choice(DONE), now=self.moment)
        if not self._pass(rng.uniform(1, 6)):
            return False
        if line.status != "returned" and rng.random() < 0.12:
            hands.return_(engine, self.office, line.id, rng.choice(RETURNS), now=self.moment)
        else:
            hands.strike_off(engine, self.office, line.id, now=self.moment)
        return True

    def _again(self, line: Row[Any]) -> bool:
        """Hand to another department what one gave back."""
        if line.part != "lead" or not self._pass(self.rng.uniform(1, 5)):
            return line.part != "lead"
        others = [unit for unit in self.city.departments if unit != line.unit]
        busy = {each.unit for each in self._hands()}
        free = [unit for unit in others if unit not in busy]
        if free:
            hands.hand(
                self.engine, self.office, self.case_id, None, [self.rng.choice(free)],
                self.rng.choice(REQUESTS), now=self.moment,
            )  # fmt: skip
        return True


def _go_along(engine: Engine, lives: Sequence[_Life], now: datetime) -> None:
    """Let a few open matters of one town go along with another."""
    free = [
        life for life in lives
        if not life.stopped and not life.handed and life.level is Tier.TOWN
        and not life.flow.step(life.stage).final
    ]  # fmt: skip
    for town in sorted({life.told.town for life in free})[:3]:
        own = [life for life in free if life.told.town == town][:2]
        if len(own) == 2:
            first, second = own
            service.link(engine, second.office, second.case_id, None, first.case_id, now=now)


def _service_days(engine: Engine, city: _City, rng: Random, now: datetime) -> None:
    """Write down the legal service days of the last Fridays, and a visit to an enterprise a town."""
    today = now.astimezone(CHINA).date()
    friday = today - timedelta(days=(today.weekday() - 4) % 7)
    for actor in city.offices.values():
        for week in range(1, 5):
            day = friday - timedelta(weeks=week)
            note = "律师、司法所坐班，解答劳动报酬、宅基地等咨询。"
            service_days.add(
                engine, actor, VisitKind.LEGAL_DAY, day, "综治中心接待大厅", rng.randrange(3, 15), note, now
            )
        day = today - timedelta(days=rng.randrange(2, 20))
        service_days.add(
            engine, actor, VisitKind.ENTERPRISE, day, "食用菌加工园", rng.randrange(1, 4),
            "了解用工和用电情况。", now,
        )  # fmt: skip
