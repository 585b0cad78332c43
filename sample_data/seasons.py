"""The seasonal matters that are planted: on which clock, where, how many, how sharply."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gridmgmt.calendar import SOLAR_TERMS, solar_terms, spring_festival

Anchor = tuple[str, int]
"""A day on a clock: an anchor (清明, 春节 or a date such as 11-11) and days after it."""

GREGORIAN, SOLAR_TERM, LUNAR = "gregorian", "solar_term", "lunar"
FESTIVAL = "春节"


@dataclass(frozen=True)
class Season:
    """One planted seasonal matter; the window holds its first and its last day.

    `where` is a selector: `all`, `urban` and `rural` grids (evidence of the whole city), `towns` (`count` of
    them), `streets` (all of them), or a kind of single grids (`riverside`, `building_site`, `night_market`,
    `old_urban`, `mushroom`), `count` in the full city. `matters` are those expected inside the window
    a year at full scale: in all, or for a grid where single grids are meant. `ratio` is the daily rate inside
    over that outside. `trend` is the factor from year to year.
    """

    id: str
    category: str
    start: Anchor
    peak: Anchor
    end: Anchor
    where: str
    matters: float
    ratio: float
    count: int = 0
    trend: float = 1.0

    @property
    def clock(self) -> str:
        """Which clock the window keeps to."""
        if self.start[0] == FESTIVAL:
            return LUNAR
        return SOLAR_TERM if self.start[0] in SOLAR_TERMS else GREGORIAN

    @property
    def level(self) -> str:
        """The finest area that shows it: city, town or grid."""
        return {"all": "city", "urban": "city", "rural": "city", "towns": "town", "streets": "town"}.get(
            self.where, "grid"
        )

    def dates(self, year: int) -> tuple[dt.date, dt.date, dt.date]:
        """Return first day, peak and last day in a year; before the Festival it may begin in December."""
        return day_of(self.start, year), day_of(self.peak, year), day_of(self.end, year)


def day_of(anchor: Anchor, year: int) -> dt.date:
    """Return the date of an anchor in a year."""
    name, days = anchor
    if name == FESTIVAL:
        day = spring_festival(year)
    elif name in SOLAR_TERMS:
        day = solar_terms(year)[SOLAR_TERMS.index(name)]
    else:
        day = dt.date.fromisoformat(f"{year}-{name}")
    return day + dt.timedelta(days=days)


# Windows on the Gregorian clock begin and end with a 旬, those on the solar-term clock with a term: only then
# do four years of data tell the two clocks apart, for a term moves by a day or two at most.
SEASONS: tuple[Season, ...] = (
    Season("irrigation", "灌溉用水纠纷", ("清明", 0), ("谷雨", 0), ("立夏", -1), "towns", 1000, 14, 4),
    Season("field-boundary", "田埂地界纠纷", ("清明", 0), ("谷雨", 0), ("立夏", -1), "rural", 1000, 12),
    Season("garlic-price", "大蒜收购价格", ("小满", 0), ("芒种", 0), ("夏至", -1), "towns", 650, 25, 3),
    Season("harvest-queue", "农机调度排队", ("芒种", 0), ("芒种", 6), ("夏至", -1), "towns", 900, 30, 6),
    Season("straw-burning", "秸秆焚烧", ("芒种", 0), ("芒种", 8), ("夏至", -1), "rural", 800, 25, trend=0.94),
    Season("wheat-rent", "麦季地租结算", ("夏至", 0), ("夏至", 8), ("小暑", -1), "towns", 550, 20, 4),
    Season("flooding", "低洼地块积水内涝", ("小暑", 0), ("大暑", 8), ("处暑", -1), "riverside", 15, 14, 25),
    Season("leaking-houses", "危旧房屋漏雨", ("小暑", 0), ("立秋", 0), ("处暑", -1), "towns", 750, 10, 5),
    Season("grain-drying", "占道晒粮", ("秋分", 0), ("寒露", 0), ("霜降", -1), "towns", 900, 25, 5),
    Season("harvest-roads", "秋收田间道路通行", ("秋分", 0), ("寒露", 3), ("霜降", -1), "rural", 800, 15),
    Season("maize-rent", "秋季地租结算", ("霜降", 0), ("霜降", 9), ("立冬", -1), "towns", 550, 20, 4),
    Season(
        "mushroom-price", "食用菌收购价格", ("寒露", 0), ("霜降", 5), ("小雪", -1), "mushroom", 14, 20, 12
    ),
    Season(
        "site-wages",
        "工程项目拖欠工资",
        (FESTIVAL, -30),
        (FESTIVAL, -12),
        (FESTIVAL, -1),
        "building_site",
        14,
        18,
        20,
    ),
    Season(
        "wages", "企业拖欠工资", (FESTIVAL, -30), (FESTIVAL, -12), (FESTIVAL, -1), "all", 1200, 10, trend=0.97
    ),
    Season(
        "fireworks", "烟花爆竹燃放扰民", (FESTIVAL, -10), (FESTIVAL, 0), (FESTIVAL, 14), "urban", 1000, 25
    ),
    Season("festival-family", "春节家庭矛盾", (FESTIVAL, -3), (FESTIVAL, 3), (FESTIVAL, 11), "all", 900, 22),
    Season(
        "heating-cold", "供暖温度不达标", ("11-11", 0), ("11-18", 0), ("12-10", 0), "old_urban", 18, 16, 40
    ),
    Season("heating-account", "供暖缴费开户", ("11-01", 0), ("11-13", 0), ("11-30", 0), "streets", 1300, 14),
    Season("school-entry", "入学报名", ("08-21", 0), ("08-28", 0), ("09-10", 0), "all", 1500, 16, trend=1.03),
    Season("property-fee", "物业费纠纷", ("12-01", 0), ("12-18", 0), ("12-31", 0), "urban", 1500, 10),
    Season("night-market", "夜市噪声", ("06-11", 0), ("07-20", 0), ("08-31", 0), "night_market", 26, 14, 10),
    Season(
        "barbecue", "露天烧烤油烟", ("06-01", 0), ("07-15", 0), ("08-31", 0), "streets", 1100, 10, trend=1.04
    ),
    Season("power-cuts", "夏季停电", ("07-01", 0), ("07-25", 0), ("08-20", 0), "all", 1000, 11),
)
