"""Reads the figures of handling: of matters reported in a period, and in the same days of the year before.

One pass over the matters that the actor may see gives every breakdown that is asked for at once, so that
parts and whole come of the same rows. docs/methods/figures.md defines each figure.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.figures.values import SATISFIED, Answer, By, Figures, Line, Period, Question
from gridmgmt.incidents.terms import Tier
from gridmgmt.incidents.words import TIER_WORDS

# A matter that took longer is counted with this many hours; no median comes near.
MOST_HOURS = 20_000
GRID_DIGITS = 15
EVERYTHING = tuple(By)


def figures(
    engine: Engine,
    actor: Actor,
    question: Question,
    by: Sequence[By] = EVERYTHING,
    hours_by: Sequence[By] = EVERYTHING,
) -> Answer:
    """Return the figures of what the actor may see; `engine` is of the role `gridmgmt_matters`.

    `by` are the breakdowns that are wanted, `hours_by` those of them with hours, which take longest. Raises
    InputError for an area outside the actor's own, or a category or channel that is not known.
    """
    if not question.area.startswith(actor.area):
        raise InputError("area", question.area, f"a code that begins with {actor.area}")
    with on_matters(engine, actor) as connection:
        names = Names(connection, question)
        _plan(connection)
        matters, bound = _matters(actor, question, names, tuple(by))
        sums = _Sums(_grouped(connection, matters, bound, by, hours_by))
    return _answer(question, sums, names, by)


def newest_day(connection: Connection) -> date | None:
    """Return the last day that figures should hold by default, by China's clock; the reader's rights do.

    That is the day on which the newest matter was reported; the last of the year before while its year has
    less than a tenth of that one's matters, because nothing can be said of it yet.
    """
    moment = connection.execute(text("SELECT max(reported_at) FROM incident")).scalar_one()
    if moment is None:
        return None
    newest = moment.astimezone(CHINA).date()
    years = [datetime(newest.year - back, 1, 1, tzinfo=CHINA) for back in (0, 1)]
    row = connection.execute(_SO_FAR, {"year": years[0], "before": years[1]}).one()
    return newest if row.now * 10 >= row.before else date(newest.year - 1, 12, 31)


# Enough of each to tell a tenth; counting on would only take longer.
_SO_FAR = text("""
SELECT (SELECT count(*) FROM (SELECT FROM incident WHERE reported_at >= :year LIMIT 2000) AS n) AS now,
    (SELECT count(*) FROM (
        SELECT FROM incident WHERE reported_at >= :before AND reported_at < :year LIMIT 20000) AS b) AS before
""")


# --- read


class Names:
    """Names of what lines are about, and what a question's codes stand for; errors as `figures`."""

    def __init__(self, connection: Connection, question: Question) -> None:
        rows = connection.execute(text("SELECT code, name, parent FROM category")).all()
        self.categories = {row.code: row.name for row in rows}
        parents = {row.code: row.parent for row in rows}
        self.channels = _pairs(connection, "SELECT code, name FROM channel ORDER BY name")
        if question.category and question.category not in self.categories:
            raise InputError("category", question.category, "the code of a category")
        if question.channel and question.channel not in self.channels:
            raise InputError("channel", question.channel, ", ".join(self.channels))
        chosen = question.category
        self.chosen = [code for code in parents if chosen in (code, parents[code])] if chosen else None
        # With a 大类 chosen its 小类 are the lines, otherwise the 大类 are.
        self.group = {code: code if chosen else parents[code] or code for code in parents}
        self.digits = 9 if not question.area else 12 if len(question.area) == 9 else GRID_DIGITS
        self.areas = _pairs(connection, _AREAS, area=question.area, digits=self.digits)

    def narrowed(self, question: Question, actor: Actor) -> tuple[str, dict[str, Any]]:
        """Return the conditions on a matter `i` that a question makes, and their bound values."""
        conditions: list[str] = []
        bound: dict[str, Any] = {}
        if actor.role is Role.DEPARTMENT:  # found through its own lines, not by asking of every matter
            conditions.append("AND i.id IN (SELECT case_id FROM incident_hand WHERE unit = :unit)")
            bound["unit"] = actor.unit
        if question.area:
            conditions.append("AND starts_with(i.village, left(:area, 12))")
            bound["area"] = question.area
        if len(question.area) == GRID_DIGITS:
            conditions.append("AND i.grid_id IN (SELECT id FROM grid WHERE code15 = :area)")
        if self.chosen is not None:
            conditions.append("AND i.category = ANY(:chosen)")
            bound["chosen"] = self.chosen
        if question.channel:
            conditions.append("AND i.channel = :channel")
            bound["channel"] = question.channel
        return " ".join(conditions), bound


_AREAS = """
SELECT code, name FROM division WHERE length(code) = :digits AND starts_with(code, :area)
UNION ALL SELECT code15, name FROM grid WHERE :digits = 15 AND kind = 'base' AND valid_to IS NULL
    AND starts_with(code15, :area)
ORDER BY 1
"""


def _pairs(connection: Connection, query: str, **bound: object) -> dict[str, str]:
    return {code: name or code for code, name in connection.execute(text(query), bound)}


_LEAD = """
LEFT JOIN (
    SELECT DISTINCT ON (case_id) case_id, unit FROM incident_hand
    WHERE part = 'lead' AND status NOT IN ('refused', 'withdrawn') ORDER BY case_id, id DESC
) h ON h.case_id = i.id
"""
_MATTERS = """
(
    SELECT {area} AS area, {category} AS category, i.channel, {department} AS department,
        i.reported_at < :start AS before, i.satisfaction, i.status = 'closed' AS closed,
        date_part('month', i.reported_at AT TIME ZONE 'Asia/Shanghai')::integer AS month,
        CASE WHEN i.status = 'closed' AND i.closed_at IS NOT NULL THEN least({most}, greatest(0,
            floor(date_part('epoch', i.closed_at - i.reported_at) / 3600)))::integer END AS hours,
        CASE WHEN i.status = 'closed' THEN i.closed_at <= i.due_at
            WHEN i.due_at < now() THEN false END AS on_time,
        CASE WHEN i.status <> 'closed' THEN NULL {tiers} END AS tier
    FROM incident i JOIN category k ON k.code = i.category {joined}
    WHERE (i.reported_at >= :start AND i.reported_at < :end
        OR i.reported_at >= :start_before AND i.reported_at < :end_before) {narrowed}
) AS matter
"""
# A set with hours has its matters without any under NULL, so that its counts add up to those of one without.
_GROUPED = f"""
SELECT {{sets}} AS sets, before, hours, {{columns}}
    count(*) AS received, count(*) FILTER (WHERE closed) AS closed,
    count(on_time) AS timed, count(*) FILTER (WHERE on_time) AS on_time,
    count(satisfaction) AS asked, count(*) FILTER (WHERE satisfaction >= {SATISFIED}) AS satisfied,
    count(*) FILTER (WHERE tier = 'village') AS village, count(*) FILTER (WHERE tier = 'town') AS town,
    count(*) FILTER (WHERE tier = 'city') AS city
FROM {{matters}} GROUP BY GROUPING SETS ({{groups}})
"""


def _plan(connection: Connection) -> None:
    # Compiling costs more than it saves here, and thousands of small sums fit into memory at once, unsorted.
    settings = {"jit": "off", "work_mem": "64MB", "enable_sort": "off"}
    for name, value in settings.items():
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})


def _grouped(
    connection: Connection, matters: str, bound: dict[str, Any], by: Sequence[By], hours_by: Sequence[By]
) -> Iterable[Any]:
    """Return rows for the whole and each breakdown; `sets` says by a bit which a row is not of."""
    names = [one.value for one in by]
    groups = ["(before, hours)"] + [
        f"(before, hours, {one.value})" if one in hours_by else f"(before, {one.value})" for one in by
    ]
    statement = _GROUPED.format(
        sets=f"grouping({', '.join(names)})" if names else "0",
        columns="".join(f"{name}, " for name in names),
        matters=matters,
        groups=", ".join(groups),
    )
    whole = (1 << len(names)) - 1
    kinds = {whole: None} | {whole ^ (1 << place): one for place, one in enumerate(reversed(by))}
    return [(kinds[row.sets], row) for row in connection.execute(text(statement), bound)]


def _matters(actor: Actor, question: Question, names: Names, by: Sequence[By]) -> tuple[str, dict[str, Any]]:
    """Return the matters that a question is about, one row each, as a part of a statement."""
    area = f"left(i.village, {names.digits})"
    if names.digits == GRID_DIGITS:
        area = "(SELECT code15 FROM grid WHERE grid.id = i.grid_id)"
    narrowed, bound = names.narrowed(question, actor)
    bound |= bounds(question.period)
    tiers = " ".join(f"WHEN i.level = ANY(:{tier}) THEN '{tier}'" for tier in Tier)
    bound |= {tier.value: [word for word, meant in TIER_WORDS.items() if meant is tier] for tier in Tier}
    handed = By.DEPARTMENT in by
    query = _MATTERS.format(
        area=area,
        category="k.code" if names.chosen else "coalesce(k.parent, k.code)",
        department="coalesce(h.unit, k.department)" if handed else "NULL",
        joined=_LEAD if handed else "",
        most=MOST_HOURS,
        tiers=tiers,
        narrowed=narrowed,
    )
    return query, bound


def bounds(period: Period) -> dict[str, datetime]:
    """Return the moments between which matters of a period, and of the year before, were reported."""

    def midnight(day: date) -> datetime:
        return datetime.combine(day, time(), CHINA)

    before, day = period.year_before, timedelta(days=1)
    return {
        "start": midnight(period.start), "end": midnight(period.end + day),
        "start_before": midnight(before.start),
        "end_before": min(midnight(before.end + day), midnight(period.start)),
    }  # fmt: skip


# --- summed


_SUMMED = ("received", "closed", "timed", "on_time", "asked", "satisfied", *Tier)
_Place = tuple[By | None, str, bool]  # a breakdown, a line of it, whether of the year before


class _Sums:
    """Counts and hours by breakdown, line and side of the year."""

    def __init__(self, rows: Iterable[tuple[By | None, Any]]) -> None:
        self._counts: dict[_Place, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMMED, 0))
        self._hours: dict[_Place, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for by, row in rows:
            place = by, _code(by, row), row.before
            sums = self._counts[place]
            for name in _SUMMED:
                sums[name] += getattr(row, name)
            if row.hours is not None:
                self._hours[place][row.hours] += row.received

    def codes(self, by: By) -> set[str]:
        """Return the lines of a breakdown of which there are matters."""
        return {code for kind, code, _ in self._counts if kind is by}

    def line(self, by: By | None, code: str, name: str) -> Line:
        """Return one line of a breakdown."""
        return Line(code, name, self._figures((by, code, False)), self._figures((by, code, True)))

    def _figures(self, place: _Place) -> Figures:
        if place not in self._counts:
            return Figures()
        counts = dict(self._counts[place])
        settled = {tier: counts.pop(tier) for tier in Tier}
        return Figures(**counts, hours=dict(self._hours.get(place, {})), settled=settled)


def _answer(question: Question, sums: _Sums, names: Names, by: Sequence[By]) -> Answer:
    lines = {
        one: [
            sums.line(one, code, name) for code, name in _named(one, sums.codes(one), question, names).items()
        ]
        for one in by
    }
    return Answer(question, sums.line(None, "", "合计"), lines)


def _code(by: By | None, row: Any) -> str:
    value = getattr(row, by.value) if by else None
    return "" if value is None else str(value)


def _named(by: By, codes: set[str], question: Question, names: Names) -> dict[str, str]:
    """Return code and name of every line in its order; those without matters too where all are known."""
    if by is By.MONTH:
        return {str(month): f"{month}月" for month in _months(question.period)}
    if by is By.AREA:
        known = names.areas | ({"": "没有定位到村社区"} if "" in codes else {})
        return known | {code: code for code in sorted(codes - known.keys())}
    labels = {
        By.CATEGORY: names.categories, By.CHANNEL: names.channels,
        By.DEPARTMENT: {code: code for code in codes},
    }[by]  # fmt: skip
    nothing = {By.CHANNEL: "没有渠道", By.DEPARTMENT: "没有对口部门"}.get(by, "没有")
    return {
        code: labels.get(code, code) if code else nothing
        for code in sorted(codes, key=lambda one: (not one, one))
    }


def _months(period: Period) -> list[int]:
    """Return the months of a period, in its order; each once, since a period is a year at most."""
    first = period.start.year * 12 + period.start.month - 1
    last = period.end.year * 12 + period.end.month - 1
    return list(dict.fromkeys(month % 12 + 1 for month in range(first, last + 1)))
