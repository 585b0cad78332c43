"""Two periods of the same view side by side: two maps of one scale, and what rose and fell most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Connection

from gridmgmt.config import ALPHA
from gridmgmt.db.models import Role
from gridmgmt.hotspots.change import Changes, changes
from gridmgmt.hotspots.stored import ALL_NAME, Run
from gridmgmt.web import measured, ranking
from gridmgmt.web.access import allow
from gridmgmt.web.areas import LEVELS, Territory, territory
from gridmgmt.web.choice import MEASURES, Choice, period_key, period_name, read_choice
from gridmgmt.web.databases import reader
from gridmgmt.web.measured import Scale
from gridmgmt.web.ranking import Line
from gridmgmt.web.scope import own_area

pages = Blueprint("compare", __name__, url_prefix="/command/compare")

SHOWN = 20
DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Pair:
    """An area in both periods; `change` is that of the rate as a share, None where there was none before.

    `excess` is matters above what the earlier rate would have brought; `recorded` what the books of the
    earlier time had, where the boundary has moved since.
    """

    before: Line
    after: Line
    excess: float
    change: float | None
    q: float
    recorded: int | None

    @property
    def sure(self) -> bool:
        """Whether the difference is beyond chance after correction for all areas."""
        return self.q <= ALPHA

    @property
    def words(self) -> str:
        """The change of the rate in words."""
        if self.change is None:
            return "原来没有"
        return f"{self.change:+.{1 if abs(self.change) < 0.1 else 0}%}".replace("-", "−")


@dataclass(frozen=True)
class Sides:
    """Both sides of a comparison with the lines that both have; `lost` counts areas that one side lacks."""

    before: Choice
    after: Choice
    left: tuple[Line, ...]
    right: tuple[Line, ...]
    lost: int


@pages.get("")
@allow(Role.COMMAND, Role.PLANNER)
def periods() -> Any:
    """The chosen view in the period `period`, beside the one in the period `with`."""
    with reader().connect() as connection:
        here = territory(connection)
        sides = _sides(connection, here)
    choice = sides.after
    pairs = _pairs(sides)
    scale = measured.scale_of(choice.measure, _unit(choice), (sides.left, sides.right))
    return render_template(
        "compare.html",
        here=here,
        choice=choice,
        other=sides.before,
        levels=LEVELS,
        measures=_measures(),
        all_categories=ALL_NAME,
        periods=[(period_key(run), period_name(run)) for run in choice.runs],
        names=[period_name(each.run) if each.run else "" for each in (sides.before, choice)],
        totals=[sum(line.count for line in lines) for lines in (sides.left, sides.right)],
        change=_city_change(sides),
        rises=[pair for pair in pairs if pair.excess > 0][:SHOWN],
        falls=[pair for pair in reversed(pairs) if pair.excess < 0][:SHOWN],
        sure=[sum(pair.sure and pair.excess * side > 0 for pair in pairs) for side in (1, -1)],
        warnings=_warnings(sides, pairs),
        scale=scale,
        values=_values(sides, scale),
        bounds=here.bounds(own_area()),
        swapped=_swapped(sides),
        number=measured.number,
    )


def _measures() -> dict[str, str]:
    """Return the measures of a period: what is of today alone cannot be compared."""
    return {measure: name for measure, name in MEASURES.items() if measure in measured.OF_PERIODS}


def _unit(choice: Choice) -> str:
    return choice.run.rate_unit if choice.run else ""


def _swapped(sides: Sides) -> str:
    """Return the address of the same comparison with its sides exchanged."""
    arguments: dict[str, Any] = sides.after.arguments(period=sides.before.period)
    return url_for("compare.periods", **arguments | {"with": sides.after.period})


# --- what is compared


def _sides(connection: Connection, here: Territory) -> Sides:
    """Return both sides with a category that both analyses tested."""
    asked = dict(request.args)
    if asked.get("measure") and asked["measure"] in MEASURES and asked["measure"] not in measured.OF_PERIODS:
        asked["measure"] = "rate"
    after = read_choice(asked, connection)
    before = read_choice(asked | {"period": asked.get("with") or _usual(after)}, connection)
    if before.category != after.category:  # a 小类 may have been too rare in one of the periods
        broad = min(before.category, after.category, key=len)
        after = read_choice(asked | {"category": broad}, connection)
        before = read_choice(asked | {"category": broad, "period": before.period}, connection)
    left, right = (
        {line.place.code: line for line in ranking.of_choice(connection, each, here, own_area())}
        for each in (before, after)
    )
    both = [code for code in right if code in left]
    lost = len(left.keys() ^ right.keys())
    return Sides(before, after, tuple(left[code] for code in both), tuple(right[code] for code in both), lost)


def _usual(after: Choice) -> str:
    """Return the period that a view is usually compared with: the same days before, else another one."""
    keys = [period_key(run) for run in after.runs]
    before = after.run.previous if after.run else None
    same = "-".join(f"{day:%Y%m%d}" for day in before) if before else ""
    others = [key for key in keys if key != after.period]
    return same if same in keys else others[0] if others else after.period


def _pairs(sides: Sides) -> list[Pair]:
    """Return the areas of whose numbers something may be said, the one that rose most first."""
    kept = [(a, b) for a, b in zip(sides.left, sides.right, strict=True) if a.result and b.result]
    if not kept or sides.before.run is None or sides.after.run is None:
        return []
    found = _tested([a for a, _ in kept], [b for _, b in kept], sides.before.run, sides.after.run)
    pairs = [
        Pair(a, b, b.count - expected, _share(b.count, expected), q, _recorded(sides, b))
        for (a, b), expected, q in zip(kept, found.expected.tolist(), found.q.tolist(), strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair.excess, pair.after.place.code))


def _tested(left: Sequence[Line], right: Sequence[Line], before: Run, after: Run) -> Changes:
    counts = [[line.count for line in lines] for lines in (left, right)]
    return changes(counts[0], counts[1], _days(before), _days(after))


def _days(run: Run) -> float:
    """Return how long a period is; whole years are equally long, or a leap year would bring a change."""
    after = run.end + timedelta(days=1)
    if (after.month, after.day) == (run.start.month, run.start.day):
        return (after.year - run.start.year) * DAYS_A_YEAR
    return float((after - run.start).days)


def _share(count: float, expected: float) -> float | None:
    return (count - expected) / expected if expected else None


def _recorded(sides: Sides, line: Line) -> int | None:
    """Return what the books of the time before had of an area whose boundary has moved, when it matters."""
    run, found = sides.after.run, line.result
    if run is None or found is None or sides.before.run is None:
        return None
    same = run.previous == (sides.before.run.start, sides.before.run.end)
    return found.recorded_previous if same else None


def _city_change(sides: Sides) -> float | None:
    """Return by which share the rate of all areas together changed."""
    if sides.before.run is None or sides.after.run is None:
        return None
    before, after = (sum(line.count for line in lines) for lines in (sides.left, sides.right))
    return _share(after, before * _days(sides.after.run) / _days(sides.before.run))


def _warnings(sides: Sides, pairs: Sequence[Pair]) -> list[str]:
    """Return what a reader must know before believing the differences."""
    before, after = sides.before.run, sides.after.run
    if before is None or after is None:
        return []
    said = []
    if before.id == after.id:
        said.append("两边是同一期，请另选一期。")
    elif before.start <= after.end and after.start <= before.end:
        said.append("两期有一部分重叠，差别会显得比实际小，检验不作数。")
    elif _season(before) != _season(after):
        said.append("两期不是一年里的同一段日子，季节的起伏也会算成变化。")
    moved = sum(pair.recorded is not None for pair in pairs)
    if moved:
        said.append(f"{moved} 个区域的边界动过：这里两期都按今日边界计，与当时的报表不同。")
    if sides.lost:
        said.append(f"{sides.lost} 个区域只在一期的分析里有（之后边界重划），没有列入。")
    return said


def _season(run: Run) -> tuple[int, int, int, int]:
    return run.start.month, run.start.day, run.end.month, run.end.day


# --- what the browser draws


def _values(sides: Sides, scale: Scale) -> dict[str, list[object]]:
    """Return code -> for each side look, whether hatched, and words."""
    return {
        a.place.code: [scale.look(a), int(scale.weak(a)), scale.words(a), scale.look(b), int(scale.weak(b)),
                       scale.words(b)]
        for a, b in zip(sides.left, sides.right, strict=True)
    }  # fmt: skip
