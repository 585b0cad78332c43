"""Mediators, mediations, deliberations and meetings for the sample city, through the services themselves.

Names are invented; what is said in a sitting is made of whole sentences that tell of nobody.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from sqlalchemy import Engine, Row, text

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.db.engine import MATTERS, make_engine
from gridmgmt.db.models import Role
from gridmgmt.grids.store import insert_rows
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.mediation import deliberations, mediators, meetings, panels, service
from gridmgmt.incidents.mediation.deliberations import Count, DeliberationTold
from gridmgmt.incidents.mediation.meetings import MeetingTold
from gridmgmt.incidents.mediation.models import DeliberationKind, MediationKind, Mediator
from gridmgmt.incidents.mediation.sealed import Terms
from gridmgmt.incidents.mediation.service import MediationTold
from gridmgmt.privacy.keyring import KeyRing

# So many mediators a city of a thousand grids has; a smaller one fewer.
MEDIATORS_OF_A_CITY, GRIDS_OF_A_CITY, FEWEST = 1890, 1000, 60
MEDIATED, DELIBERATED = 12, 8
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
GIVEN = (
    "建国", "秀英", "志强", "桂兰", "海燕", "丽华", "立新", "春梅", "国庆", "玉珍", "学军", "爱民", "文彬",
    "守信", "明德", "玉林", "凤琴", "长河", "淑芬", "广义", "金凤", "永安", "素云", "保平", "瑞芳", "成林",
)  # fmt: skip
SPECIALITIES = ("邻里纠纷", "赡养", "宅基地", "土地承包", "物业纠纷", "劳动争议", "消费纠纷", "交通事故")
SAID = (
    "双方到场，调解员说明调解的原则和权利。一方说明经过，另一方认可主要事实，对费用有不同意见。"
    "调解员分别做工作后，双方愿意再商量。",
    "双方就费用和期限各让一步，对处理办法没有异议，同意写成协议。",
)  # fmt: skip
TERMS = (
    Terms(
        "一、一方在约定期限内恢复原状，并承担修复费用。\n二、双方今后互相体谅，不再就此事提出其他要求。",
        "十五日内完成。",
    ),
    Terms("一、费用由双方各承担一半。\n二、今后有事先找网格员协商。", "当场付清。"),
)  # fmt: skip
FAILED = "双方差距较大，建议走诉讼途径，已告知诉讼时效。"
QUESTIONS = ("是否调整垃圾收集点的位置", "楼道公共部位如何使用", "夜间装卸的时间怎样约定", "路灯费用怎样分摊")
ADVICE = "建议按多数代表的意见办，办理前再征求相邻住户的意见。"
REPORT = (
    "通报了本期诉求的办理情况，对没有办完的说明了原因和完成时间。\n"
    "居民提出的两条新意见已当场登记。\n会后发放评议表，多数表示满意。"
)


def seed(engine: Engine, ring: KeyRing, today: date | None = None, seed: int = 2026) -> int:
    """Write the talent pool, and mediations, deliberations and meetings on the cases that stand.

    Returns the number of mediators; nothing where there are some. `engine` is the owner's; the same city, day
    and seed give the same.
    """
    rng = Random(seed)
    panels.install(engine)
    with engine.begin() as connection:
        if connection.scalar(text("SELECT count(*) FROM mediator")):
            return 0
        grids = connection.scalar(text("SELECT count(*) FROM grid WHERE kind = 'base' AND valid_to IS NULL"))
        number = max(FEWEST, round(MEDIATORS_OF_A_CITY * (grids or 0) / GRIDS_OF_A_CITY))
        areas = list(
            connection.scalars(text("SELECT code FROM division WHERE level <> 'county' ORDER BY code"))
        )
        people = _people(rng, ["", *areas], number)
        insert_rows(connection, Mediator, people)
        cases = connection.execute(_CASES).all()
        logins = connection.execute(text("SELECT area, username FROM account WHERE role = 'town_officer'"))
        offices = {area: name for area, name in logins if area}
    day = today or china_today()
    now = datetime.now(CHINA) if day == china_today() else datetime.combine(day, time(17), CHINA)
    with _acting(engine) as acting:
        _Talks(acting, ring, offices, rng, now).hold(cases)
    return len(people)


def _people(rng: Random, areas: Sequence[str], number: int) -> list[dict[str, Any]]:
    """Return invented mediators: most of villages, a tenth of trade panels, each name once an area."""
    trades = panels.packaged()
    found: dict[tuple[str, str], dict[str, Any]] = {}
    while len(found) < number:
        # The first of an area are the village's own; towns and the city come among them.
        area = areas[len(found) % len(areas)] if len(found) < len(areas) else rng.choice(areas)
        name = rng.choice(SURNAMES) + rng.choice(GIVEN)
        panel = rng.choice(trades) if rng.random() < (0.1 if len(area) == 12 else 0.5) else None
        words = rng.sample(SPECIALITIES, rng.randrange(1, 4))
        if panel:
            words = [panel.trade, *(word for word in words if word != panel.trade)]
        found[name, area] = {
            "name": name, "area": area, "panel": panel.code if panel else None, "specialities": words,
            "active": True,
        }  # fmt: skip
    return list(found.values())


@contextmanager
def _acting(engine: Engine) -> Iterator[Engine]:
    acting = make_engine(engine.url.render_as_string(hide_password=False), role=MATTERS, pooled=True)
    yield acting
    acting.dispose()


class _Talks:
    """What is talked over about the cases of a city, at moments between their last step and now."""

    def __init__(
        self, engine: Engine, ring: KeyRing, offices: dict[str, str], rng: Random, now: datetime
    ) -> None:
        self.engine, self.ring, self.offices, self.rng, self.now = engine, ring, offices, rng, now

    def hold(self, cases: Sequence[Row[Any]]) -> None:
        live = [case for case in cases if case.open]
        self.rng.shuffle(live)
        for n, case in enumerate(live[:MEDIATED]):
            self._mediate(case, n)
        for n, case in enumerate(live[MEDIATED : MEDIATED + DELIBERATED]):
            self._deliberate(case, n)
        towns = sorted({case.village[:9] for case in cases})
        for n, town in enumerate(towns[:3]):
            self._meet(town, [case.number for case in cases if not case.open and case.village[:9] == town], n)

    def _office(self, case: Row[Any]) -> Actor:
        if case.level == "city":
            return Actor("综治中心", Role.COMMAND, "")
        return self._town(case.village[:9])

    def _town(self, code: str) -> Actor:
        return Actor(self.offices.get(code, f"{code}综治中心"), Role.TOWN_OFFICER, code)

    def _after(self, case: Row[Any], share: float) -> datetime:
        """Return a moment after the case's last step, some share of the time until now."""
        return case.last_at + (self.now - case.last_at) * share

    def _mediate(self, case: Row[Any], n: int) -> None:
        """Open a mediation, and let it come as far as its number says: open, sat, agreed, failed."""
        actor, at = self._office(case), self._after(case, 0.2)
        with self.engine.begin() as connection:
            connection.execute(_ACT, {"user": actor.username, "area": actor.area})
            asked = mediators.suggested(connection, case.village, case.category)
            meant = next((each.panel for each in asked if each.fits), None)
        kind = MediationKind.PROPERTY if meant == "property" else MediationKind.PEOPLE
        told = MediationTold(kind, tuple(each.id for each in asked[: 1 + n % 2]), meant)
        number = service.open_(self.engine, actor, case.id, None, told, now=at)
        if n % 6 == 0:
            return
        sat = self._after(case, 0.4)
        service.sit(self.engine, self.ring, actor, number, None, sat, "人民调解室", SAID[n % 2], now=sat)
        if n % 6 in (1, 2):
            return
        ended = self._after(case, 0.6)
        if n % 6 == 3:
            service.fail(self.engine, actor, number, None, FAILED, now=ended)
            return
        due = ended.astimezone(CHINA).date() + timedelta(days=7 if n == 4 else 0)
        service.agree(self.engine, self.ring, actor, number, None, TERMS[n % 2], due, now=ended)
        if n % 6 == 5:
            service.follow_up(self.engine, actor, number, None, kept=n != 11, now=self._after(case, 0.9))

    def _deliberate(self, case: Row[Any], n: int) -> None:
        """Plan a deliberation, and hold most: one of them with too few."""
        actor, at = self._office(case), self._after(case, 0.2)
        kind = DeliberationKind.ON_SITE if n % 2 else DeliberationKind.INSTANT
        invited = (6, 30)[n % 2]
        held = self._after(case, 0.5) if n % 4 else self.now + timedelta(days=2)
        told = DeliberationTold(kind, QUESTIONS[n % len(QUESTIONS)], "村社区党群服务中心", held, invited)
        number = deliberations.plan(self.engine, actor, case.id, None, told, now=at)
        if held > self.now:
            return
        present = 17 if n == 3 else invited - n % 3
        against, abstained = present // 6, present // 10
        count = Count(present, present - against - abstained, against, abstained)
        deliberations.hold(self.engine, actor, number, count, ADVICE, "", now=self._after(case, 0.7))

    def _meet(self, town: str, settled: Sequence[str], n: int) -> None:
        if not settled:
            return
        actor = self._town(town)
        when = (self.now + timedelta(days=(-6, -3, 4)[n])).replace(hour=9, minute=30, second=0, microsecond=0)
        told = MeetingTold(f"{when.month}月民心沟通会", "文化广场", when, tuple(settled[:6]))
        number = meetings.plan(self.engine, actor, told, now=min(when, self.now) - timedelta(days=3))
        if when < self.now:
            meetings.hold(self.engine, actor, number, 40 + 12 * n, REPORT, now=when + timedelta(hours=2))


_ACT = text("SELECT set_config('app.user', :user, true), set_config('app.area', :area, true)")
# Matters in somebody's hands, whose words a mediation would change, are left alone.
_CASES = text("""
SELECT c.id, c.number, c.village, c.level, c.open, i.category,
    (SELECT max(at) FROM incident_step s WHERE s.case_id = c.id) AS last_at
FROM incident_case c JOIN incident i ON i.id = c.id
WHERE c.village IS NOT NULL AND c.suspended_at IS NULL AND c.duplicate_of IS NULL
ORDER BY c.id
""")
