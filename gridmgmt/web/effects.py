"""Did treating beforehand help? The honest figure of every category beside the one that towns publish."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request
from flask_login import current_user

from gridmgmt.db.models import Role
from gridmgmt.seasonal.effects import stored
from gridmgmt.seasonal.effects.stored import CITY, Effect, Past
from gridmgmt.seasonal.stored import Item
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import reader
from gridmgmt.web.scope import WHOLE_CITY, own_area

pages = Blueprint("effects", __name__, url_prefix="/seasonal")

READERS = (Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER)
# The scale of the drawing: changes beyond it are drawn at its ends, with an arrow.
LEAST, MOST = -0.8, 0.8
TICKS = (-0.5, 0.0, 0.5)
LOOKS = {"helped": "good", "worse": "bad", "no_effect_seen": "unclear", "cannot_say": "none"}


@dataclass(frozen=True)
class Row:
    """A category's line of the drawing: positions are percentages of its width.

    Attributes
    ----------
    point, low, high : of the effect and its interval
    beyond : whether the interval goes on past the left, past the right end
    placebo : of the windows in which nothing was treated, and that the drawing holds
    """

    effect: Effect
    look: str
    point: float
    low: float
    high: float
    beyond: tuple[bool, bool]
    placebo: tuple[float, ...]


@pages.get("/effect")
@allow(*READERS)
def page() -> Any:
    area = own_area()
    with reader().connect() as connection:
        here = territory(connection)
        years = stored.years(connection)
        year = _year(years)
        scopes = None if area == WHOLE_CITY else [CITY, area]
        found = stored.effects(connection, year, scopes) if year else []
    city = [each for each in found if each.scope == CITY]
    rows = [_row(each) for each in city if each.category and each.effect is not None]
    return render_template(
        "effects.html",
        here=here,
        years=years,
        year=year,
        everything=next((each for each in city if not each.category), None),
        own=next((each for each in found if each.scope == area and not each.category), None),
        rows=sorted(rows, key=lambda row: (row.look == "none", row.effect.effect)),
        example=_example(rows),
        unsaid=_by_reason(each for each in city if each.category and each.effect is None),
        towns=_towns(found, area),
        own_rows=[each for each in found if each.scope == area and each.category],
        ticks=[(tick, at(tick)) for tick in TICKS],
    )


@pages.app_context_processor
def helped() -> dict[str, Any]:
    """Let the evidence of an item say what was done last year and whether it helped."""

    def of(item: Item) -> Past | None:
        with reader().connect() as connection:
            return stored.past(connection, item.year, item.area, item.category)

    return {"helped": of, "percent": percent, "fewer": fewer}


def percent(value: float) -> str:
    """Return a change as people write it: −27%, +3%, 0%."""
    rounded = round(100 * value)
    return f"{'−' if rounded < 0 else '+' if rounded > 0 else ''}{abs(rounded)}%"


def fewer(value: float) -> str:
    """Return a change in words: 少 27%, 多 3%, 持平."""
    rounded = round(100 * value)
    return "持平" if rounded == 0 else f"{'少' if rounded < 0 else '多'} {abs(rounded)}%"


def at(value: float) -> float:
    """Return where a change stands in the drawing, in percent of its width, cut to its ends."""
    return round(100 * (min(max(value, LEAST), MOST) - LEAST) / (MOST - LEAST), 2)


def _row(found: Effect) -> Row:
    low, high = _known(found.low, LEAST), _known(found.high, MOST)
    windows = (found.placebo or {}).get("windows", [])
    points = [each["mean"] for each in windows if each["mean"] is not None]
    return Row(
        effect=found,
        look=LOOKS[found.verdict],
        point=at(_known(found.effect, 0.0)),
        low=at(low),
        high=at(high),
        beyond=(low < LEAST, high > MOST),
        placebo=tuple(at(each) for each in points if LEAST <= each <= MOST),
    )


def _example(rows: Sequence[Row]) -> Effect | None:
    """Return the category whose treated grids stood out most in the year they were picked for."""
    picked = [
        (row.effect.placebo["before"]["mean"], row.effect)
        for row in rows
        if row.effect.placebo and row.effect.placebo["before"] and row.effect.published is not None
    ]
    most, example = max(picked, key=lambda each: each[0] or 0.0, default=(None, None))
    return example if most is not None and most > 0 else None


def _known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _by_reason(found: Any) -> list[tuple[str, list[str]]]:
    """Return why nothing can be said, and of which categories."""
    reasons: dict[str, list[str]] = {}
    for each in found:
        reasons.setdefault(each.reason_name, []).append(each.category_name)
    return list(reasons.items())


def _towns(found: Sequence[Effect], area: str) -> list[Effect]:
    """Return every town's figure of all categories together, for who sees the whole city."""
    if area != WHOLE_CITY or current_user.role not in (Role.COMMAND, Role.PLANNER):
        return []
    return [each for each in found if each.scope != CITY and not each.category]


def _year(years: Sequence[int]) -> int | None:
    """Return the year asked for, else the latest there is."""
    asked = request.args.get("year", type=int)
    return asked if asked in years else next(iter(years), None)
