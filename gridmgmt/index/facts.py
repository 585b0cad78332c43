"""Facts: the numbers of this system that indicators divide one by another, by unit and month.

A tree names them (`[measured] part = "matters.on_time", of = "matters.due"`), so that a city's own tree needs
no code. Each room counts its own; the city's number is the sum of its towns'.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from sqlalchemy import Connection

from gridmgmt.grids import monthly as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots import monthly as hotspots
from gridmgmt.households import monthly as households
from gridmgmt.incidents import service as incidents
from gridmgmt.incidents.figures import monthly as told
from gridmgmt.incidents.figures.monthly import Counts
from gridmgmt.incidents.handling import monthly as handling
from gridmgmt.incidents.mediation import monthly as mediation
from gridmgmt.index.periods import months_apart, months_before, months_up_to
from gridmgmt.index.tree import Level
from gridmgmt.planning.propose import HIGH, LOW
from gridmgmt.seasonal import monthly as seasonal

# What only its latest state is known of is measured for a month up to so many days after its end.
NOW_DAYS = 45
ANY = frozenset(Level)
PLACES = frozenset((Level.TOWN, Level.CITY))


@dataclass(frozen=True)
class Fact:
    """What a number counts, in the words of the interface, and of whom it is known."""

    title: str
    what: str
    levels: frozenset[Level] = PLACES


def _facts(group: str, levels: frozenset[Level], *said: tuple[str, str, str]) -> dict[str, Fact]:
    return {f"{group}.{name}": Fact(title, what, levels) for name, title, what in said}


_END = "月末的存量"
_HERE = "自本系统办理以来"
_NOW = f"只知道现在的情况，月份结束 {NOW_DAYS} 天后不再补测"
NAMES: dict[str, Fact] = (
    _facts(
        "matters", ANY,
        ("received", "受理诉求", "本月登记的诉求；部门按类别的对口部门计"),
        ("due", "到期诉求", "办理期限在本月的诉求；办结时间不详的不算"),
        ("on_time", "按期办结", "到期诉求中，在期限前办结的"),
        ("closed", "办结诉求", "本月办结的诉求；重新办理的，以最后一次办结为准"),
        ("closed_week", "七日内办结", "本月办结的诉求中，登记后七天以内办结的"),
        ("asked", "表态诉求", "本月办结的诉求中，居民对办理表了态的"),
        ("satisfied", "满意诉求", "其中评价基本满意以上的"),
        ("pleased", "很满意诉求", "其中评价满意以上的"),
        ("open", "在办诉求", f"没有办结的诉求，{_END}；办结时间不详的不算"),
        ("overdue", "超期在办", f"在办诉求中已过期限的，{_END}"),
        ("placed", "有位置的诉求", "本月登记、知道地点的诉求"),
        ("repeated", "重复反映", "有位置的诉求中，同类、50 米、14 天内反映过的，按登记先后"),
        ("by_round", "网格排查诉求", "本月登记、由网格排查发现的诉求"),
        ("by_hotline", "热线诉求", "本月登记、由 12345 热线转来的诉求"),
        ("level_known", "知道层级的办结", "本月办结、知道在哪一级办结的诉求"),
        ("at_village", "村级办结", "其中在村社区办结的"),
        ("at_town", "镇级办结", "其中在镇街办结的"),
        ("at_city", "市级办结", "其中在市级办结的"),
    )
    | _facts(
        "cases", ANY,
        ("closed", "本系统办结", f"本月办结、在本系统办理的诉求，{_HERE}；部门按牵头部门计"),
        ("reopened", "重办", "其中重新办理过的"),
        ("supervised", "被督办", "其中被督办过的，自动督办也算"),
        ("returns", "回访见效", "其中回访到本人的，月末以后的回访也算"),
    )
    | _facts(
        "hands", ANY,
        ("asked", "交办件", f"本月交办给部门的，{_HERE}；撤回的不算"),
        ("accepted_day", "一天内签收", "其中 24 小时内签收的"),
        ("refused", "退回件", "其中被部门退回的"),
        ("due", "到期交办", "答复期限在本月的交办件；退回、撤回的不算"),
        ("answered_in_time", "按时答复", "其中在期限前答复的"),
        ("verified", "验收销账", "本月答复的交办件中，验收销账的"),
        ("returned", "验收未过", "本月答复的交办件中，曾经验收未过的"),
    )
    | _facts(
        "mediations", PLACES,
        ("ended", "调解结案", f"本月结束的调解，{_HERE}；终止的不算"),
        ("agreed", "达成协议", "其中达成协议的"),
        ("followed_up", "协议回访", "本月回访履行情况的协议"),
        ("kept", "协议履行", "其中已经履行的"),
    )
    | _facts("deliberations", PLACES, ("held", "民事民议", f"本月召开的评议，{_HERE}"))
    | _facts("meetings", PLACES, ("held", "民心沟通会", f"本月召开的沟通会，{_HERE}"))
    | _facts("service_days", PLACES, ("held", "法律服务日", f"本月的法律服务日场次，{_HERE}"))
    | _facts("mediators", PLACES, ("active", "在册调解员", f"人才库里的调解员；{_NOW}"))
    | _facts("villages", PLACES, ("total", "村社区数", "现有的村社区"))
    | _facts(
        "season", ANY,
        ("items_due", "应下发清单项", "时令清单中最迟动手日在本月的项；部门按类别的对口部门计"),
        ("items_handed", "已下发清单项", "其中已经下发任务的"),
        ("tasks_due", "到期任务", "期限在本月的时令任务"),
        ("tasks_done", "按期完成任务", "其中在期限前办好的"),
        ("expected", "时令诉求预计", "当年清单对有时令的类别在本月的预计件数，重复的只算一件"),
        ("observed", "时令诉求实发", "同样的类别本月登记的件数，重复的只算一件"),
    )
    | _facts(
        "hot", PLACES,
        ("grids", "热点分析网格", "本月末以前、一年以内最近一次热点分析的网格"),
        ("hot_grids", "热点网格", "其中总量或任一类别是热点的"),
        ("matters", "热点分析诉求", "这次分析的诉求"),
        ("hot_matters", "热点网格诉求", "其中落在热点网格里的"),
    )
    | _facts(
        "grids", PLACES,
        ("total", "基础网格", "月末的基础网格"),
        ("with_chief", "有网格长的网格", "其中有网格长的"),
        ("in_band", "规模适度的网格", f"其中 {LOW} 到 {HIGH} 户的；{_NOW}"),
        ("active", "活跃网格", "其中本月有网格排查或入户走访的"),
    )
    | _facts(
        "workers", PLACES,
        ("total", "网格员", "月末在岗的网格员"),
        ("full_time", "专职网格员", "其中专职的"),
        ("schooled", "中专以上网格员", "其中中专以上学历的"),
    )
    | _facts("households", PLACES, ("total", "户数", "现有的户数"))
    | _facts(
        "dwellings", PLACES,
        ("known", "应核实房屋",
         f"知道是否核实过的房屋；月末以后又核实的超过 {households.MOST_UNKNOWN:.0%} 时，不再能测"),
        ("fresh", "一年内核实", "其中月末以前一年内入户核实过的"),
    )
    | _facts(
        "buildings", PLACES,
        ("total", "房屋栋数", "现有的房屋"),
        ("placed", "有位置的房屋", "其中知道位置的"),
    )
    | _facts(
        "care", PLACES,
        ("total", "关爱户", f"现有的关爱对象家庭；{_NOW}"),
        ("visited", "走访关爱户", "其中本月见到人的"),
    )
    | _facts(
        "visits", PLACES,
        ("made", "入户走访", f"本月的走访，{_HERE}"),
        ("met", "见到人的走访", "其中见到人的"),
    )
    | _facts(
        "stops", PLACES,
        ("due", "提醒户次", f"期限在本月的微服务，{_HERE}"),
        ("done", "已提醒", "其中做到的"),
    )
    | _facts(
        "changes", PLACES,
        ("decided", "核定变动", f"本月核定的人房变动，{_HERE}"),
        ("in_time", "按时核定", "其中七天以内核定的"),
    )
)  # fmt: skip


def passes(fact: str) -> bool:
    """Say whether a fact can no more be measured some time after its month."""
    return fact in PASSING


def is_narrowed(fact: str) -> bool:
    """Say whether a fact can be narrowed to categories of matters."""
    return fact.startswith("matters.")


# Of these a unit without a number has none, not zero.
SPARSE = frozenset(
    ("hot.grids", "hot.hot_grids", "hot.matters", "hot.hot_matters", "dwellings.known", "dwellings.fresh",
     "season.expected", "season.observed")
)  # fmt: skip
# Of these only the present is known: of a month that is past, what was measured in time stands.
NOW = frozenset(("grids.in_band", "mediators.active", "care.total", "care.visited"))
PASSING = NOW | {"dwellings.known", "dwellings.fresh"}
# Of these nothing is known before the city first wrote one down here; afterwards a month without is zero.
EVENTS = frozenset(
    ("matters", "cases", "hands", "mediations", "deliberations", "meetings", "service_days", "visits",
     "stops", "changes", "rounds")
)  # fmt: skip
# What is counted by events of another group; rounds are those that find matters, and visits.
BY_EVENTS = {"care.visited": "visits", "grids.active": "rounds"}
Row = tuple[str, Level, str, date, float]


@dataclass
class Facts:
    """The facts of the months from `first` on; `below` has the codes of a category by its name."""

    first: date
    matters: dict[tuple[str, Level], Counts]
    below: dict[str, frozenset[str]]
    others: dict[tuple[str, Level], dict[tuple[str, date], float]] = field(default_factory=dict)
    since: dict[str, date] = field(default_factory=dict)
    now: frozenset[date] = frozenset()

    def of(
        self, fact: str, level: Level, unit: str, month: date, categories: tuple[str, ...] = ()
    ) -> float | None:
        """Return a number of a unit in a month, None where it is not known."""
        place = "" if level is Level.CITY else unit
        group = BY_EVENTS.get(fact, fact.split(".")[0])
        if group in EVENTS and month < self.since.get(group, date.max):
            return None
        if is_narrowed(fact):
            return self._matters(self.matters[fact, level], place, month, categories)
        found = self.others.get((fact, level), {}).get((place, month))
        unknown = fact in SPARSE or (fact in NOW and month not in self.now)
        return found if found is not None or unknown else 0.0

    def _matters(self, counts: Counts, unit: str, month: date, categories: tuple[str, ...]) -> float | None:
        place = months_apart(self.first, month)
        if unit not in counts.units:
            return 0.0
        numbers = counts.numbers[counts.units.index(unit), :, place]
        if not categories:
            return float(numbers.sum())
        wanted = frozenset[str]().union(*(self.below.get(name, ()) for name in categories))
        return float(numbers[[n for n, code in enumerate(counts.categories) if code in wanted]].sum())

    def add(self, rows: Iterable[Row], *, summed: bool = True) -> None:
        """Add numbers of towns and departments, and those of towns to the city's unless it has its own."""
        for fact, level, unit, month, number in rows:
            group = fact.split(".")[0]
            self.since[group] = min(month, self.since.get(group, month))
            self._sum(fact, level, unit, month, number)
            if level is Level.TOWN and summed:
                self._sum(fact, Level.CITY, "", month, number)

    def _sum(self, fact: str, level: Level, unit: str, month: date, number: float) -> None:
        known = self.others.setdefault((fact, level), {})
        known[unit, month] = known.get((unit, month), 0.0) + float(number)


def gather(connection: Connection, first: date, last: date, today: date) -> Facts:
    """Return every fact of the months from `first` to `last`; `connection` is the owner's."""
    months = months_up_to(last, months_apart(first, last) + 1)
    facts = Facts(first, _matters(connection, first, last), _categories(connection))
    facts.now = frozenset(month for month in months if _is_now(month, today))
    facts.since["matters"] = told.first_month(connection) or date.max
    facts.add(_of_towns(grids.monthly(connection, months)))
    facts.add(_of_towns(hotspots.monthly(connection, months)))
    facts.add(_of_towns(households.monthly(connection, months)))
    facts.add(_of_towns(mediation.monthly(connection)))
    facts.add(_of_both(handling.monthly(connection)))
    facts.add(_of_both(seasonal.monthly(connection, months)))
    facts.add(_seasons(connection, facts, months))
    facts.since["rounds"] = min(facts.since["matters"], facts.since.get("visits", date.max))
    facts.add(_seen(connection, months), summed=False)
    facts.add(_active(connection, months))
    facts.add(_now(connection, facts.now))
    return facts


def _of_towns(rows: Iterable[tuple[str, str, date, float]]) -> Iterator[Row]:
    return ((fact, Level.TOWN, town, month, number) for fact, town, month, number in rows)


def _of_both(rows: Iterable[tuple[str, str, str, date, float]]) -> Iterator[Row]:
    return ((fact, Level(level), unit, month, number) for fact, level, unit, month, number in rows)


def _matters(connection: Connection, first: date, last: date) -> dict[tuple[str, Level], Counts]:
    found = {(each.fact, Level(each.level)): each for each in told.monthly(connection, first, last)}
    # All towns together, and what lies in none, are the city.
    city = {
        (fact, Level.CITY): replace(each, units=[""], numbers=each.numbers.sum(axis=0, keepdims=True))
        for (fact, level), each in found.items()
        if level is Level.TOWN
    }
    return found | city


def _categories(connection: Connection) -> dict[str, frozenset[str]]:
    """Return the codes of every category and those below it by its name."""
    known = incidents.categories(connection)
    return {name: frozenset(known.below(code)) for code, name in zip(known.codes, known.names, strict=True)}


def _seasons(connection: Connection, facts: Facts, months: Sequence[date]) -> Iterator[Row]:
    for town, category, department, month, number in seasonal.expected(connection, months):
        for level, unit in ((Level.TOWN, town), (Level.DEPARTMENT, department)):
            yield "season.expected", level, unit, month, number
        received, again = (
            _at(facts.matters[f"matters.{name}", Level.TOWN], town, category, month, facts.first)
            for name in ("received", "repeated")
        )
        for level, unit in ((Level.TOWN, town), (Level.DEPARTMENT, department)):
            yield "season.observed", level, unit, month, received - again


def _at(counts: Counts, unit: str, category: str, month: date, first: date) -> int:
    if unit not in counts.units or category not in counts.categories:
        return 0
    place = months_apart(first, month)
    return int(counts.numbers[counts.units.index(unit), counts.categories.index(category), place])


def _seen(connection: Connection, months: Sequence[date]) -> Iterator[Row]:
    for fact, town, month, number in households.seen(connection, months):
        yield fact, Level.TOWN if town else Level.CITY, town or "", month, number


def _active(connection: Connection, months: Sequence[date]) -> Iterator[Row]:
    found = told.round_grids(connection, months[0], months[-1]) | households.visited_grids(connection)
    for grid, month in found & grids.standing(connection, months):
        yield "grids.active", Level.TOWN, grid[: DIGITS["town"]], month, 1


def _now(connection: Connection, months: Collection[date]) -> Iterator[Row]:
    """Give what only its present state is known of."""
    if not months:
        return
    yield from _of_towns(households.care(connection, months))
    for fact, rows in (
        ("grids.in_band", grids.in_band(connection, LOW, HIGH)),
        ("mediators.active", mediation.mediators(connection)),
    ):
        yield from ((fact, Level.TOWN, town, month, number) for town, number in rows for month in months)


def _is_now(month: date, today: date) -> bool:
    return month <= today < months_before(month, -1) + timedelta(days=NOW_DAYS)
