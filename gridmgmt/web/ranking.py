"""A run's results as maps and lists show them: classes, words, and which areas come first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.hotspots import tables
from gridmgmt.hotspots.patterns import pattern_name
from gridmgmt.hotspots.statistics.emerging import Pattern
from gridmgmt.hotspots.stored import AreaResult, Run
from gridmgmt.web import language
from gridmgmt.web.areas import Place, Territory
from gridmgmt.web.choice import Choice
from gridmgmt.web.kept import Kept

CLASSES = 5
# Below this expectation one matter more or less changes the colour: the map hatches such areas, unless they
# stand out together with those around them.
WEAK_EXPECTED = 3.0
SHOWN = 40

GI_WORDS = {
    3: "很有把握", 2: "比较有把握", 1: "有迹象", 0: "不显著",
    -1: "有迹象偏少", -2: "比较有把握偏少", -3: "很有把握偏少",
}  # fmt: skip


# What a map shows of patterns, in the order of its legend; each look has a colour of its own.
PATTERN_LOOKS = {
    "new": (Pattern.NEW_HOT,),
    "growing": (Pattern.CONSECUTIVE_HOT, Pattern.INTENSIFYING_HOT),
    "lasting": (Pattern.PERSISTENT_HOT,),
    "seasonal": (Pattern.SEASONAL_HOT,),
    "now_and_then": (Pattern.SPORADIC_HOT, Pattern.OSCILLATING_HOT),
    "fading": (Pattern.DIMINISHING_HOT, Pattern.HISTORICAL_HOT),
    "cold": tuple(pattern for pattern in Pattern if pattern < 0),
}
PATTERN_WORDS = {
    "new": "新增", "growing": "增强", "lasting": "持续", "seasonal": "每年回来", "now_and_then": "时有时无",
    "fading": "减弱", "cold": "偏少",
}  # fmt: skip
# What a run found never changes, and every map and card reads a thousand areas of it.
_results: Kept[list[AreaResult]] = Kept(12)
_LOOK_OF = {pattern.name.lower(): look for look, those in PATTERN_LOOKS.items() for pattern in those}


@dataclass(frozen=True)
class Line:
    """An area's result ready to be shown; what would tell of fewer than five households is None."""

    place: Place
    count: int
    expected: float | None
    rate: float | None
    gi_class: int
    z: float
    weak: bool
    result: AreaResult | None = field(repr=False)

    @property
    def pattern(self) -> str:
        """How it went over the months, in words; nothing where that says nothing, or may not be said."""
        name = pattern_name(self.result.pattern) if self.result else None
        return name.zh if name else ""

    @property
    def pattern_look(self) -> str:
        """The colour of how it went over the months, one of `PATTERN_LOOKS`; '' for none."""
        return _LOOK_OF.get(self.result.pattern or "", "") if self.result else ""

    def explained(self, run: Run, category_name: str) -> str:
        """Return what the line rests on, in words; nothing where its numbers may not be shown."""
        if self.result is None:
            return ""
        return language.pick(tables.area_row(run, self.result, category_name, self.place.name).text)

    @property
    def confidence(self) -> str:
        return GI_WORDS[self.gi_class]


def lines(results: Sequence[AreaResult], places: Sequence[Place], *, own: bool = False) -> list[Line]:
    """Return the results of these places, without numbers from which few households could be worked out."""
    by_code = {result.area: result for result in results}
    return [_line(by_code[place.code], place, own) for place in places if place.code in by_code]


def _line(result: AreaResult, place: Place, own: bool) -> Line:
    # Rate and expectation are proportional to households: either would give the hidden number away.
    hidden = not own and result.households is not None and result.households < FEWEST_HOUSEHOLDS
    return Line(
        place=place,
        count=result.count,
        expected=None if hidden else result.expected,
        rate=None if hidden else result.rate,
        gi_class=result.gi_class,
        z=result.z or 0.0,
        weak=hidden or (result.gi_class == 0 and result.expected < WEAK_EXPECTED),
        result=None if hidden else result,
    )


def hot(found: Sequence[Line]) -> list[Line]:
    """Return the areas that stand out after correction, the surest first."""
    standing = [line for line in found if line.gi_class > 0]
    return sorted(standing, key=lambda line: (-line.gi_class, -line.z, line.place.code))


def highest(found: Sequence[Line], limit: int) -> list[Line]:
    """Return the areas with the highest rates that do not stand out; weak evidence is left aside."""
    rest = [line for line in found if line.gi_class <= 0 and not line.weak and line.rate is not None]
    return sorted(rest, key=lambda line: (-(line.rate or 0), line.place.code))[:limit]


def breaks(values: Sequence[float]) -> list[float]:
    """Return up to four rising class limits near the quintiles, rounded so that people can read them.

    >>> breaks([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    [2.8, 4.6, 6.4, 8.2]
    """
    known = np.array([value for value in values if value > 0], dtype=float)
    if len(known) < 2 or known.min() == known.max():
        return []
    cuts = np.quantile(known, np.arange(1, CLASSES) / CLASSES)
    return sorted({two_figures(cut) for cut in cuts})


def two_figures(value: float) -> float:
    """Round to two significant figures."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(round(round(value / step) * step, 6))


def class_of(value: float | None, limits: Sequence[float]) -> int:
    """Return the class 1 to 5 of a value, 0 for none: nothing happened there, or it may not be said."""
    if not value:
        return 0
    return 1 + int(np.searchsorted(limits, value, side="right"))


# Which of the five colours classes of whole numbers have, by how many classes there are: the top is dark.
WHOLE_STEPS = ((), (4,), (2, 4), (2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 4, 5))


def whole_breaks(counts: Sequence[float]) -> list[int]:
    """Return up to four rising class limits of whole numbers; each is its own class while five are enough.

    `static/map-parts.js` has the same rule, because it cuts parts of a period into classes as one drags.

    >>> whole_breaks([1, 1, 2, 5]), whole_breaks([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    ([2, 5], [3, 5, 7, 9])
    """
    known = sorted(int(count) for count in counts if count > 0)
    distinct = sorted(set(known))
    if len(distinct) <= CLASSES:
        return distinct[1:]
    cuts = {known[len(known) * k // CLASSES] for k in range(1, CLASSES)}
    return sorted(cut for cut in cuts if cut > known[0])


def whole_class(count: float, limits: Sequence[float]) -> int:
    """Return the class 1 to 5 of a whole number among limits of `whole_breaks`, 0 for none."""
    step = class_of(count, limits)
    return WHOLE_STEPS[len(limits) + 1][step - 1] if step else 0


def values(found: Sequence[Line]) -> dict[str, list[Any]]:
    """Return code -> [count, expected, rate, Gi* class, weak, smoothed rate, look of its pattern]."""
    return {
        line.place.code: [
            line.count,
            None if line.expected is None else round(line.expected, 1),
            None if line.rate is None else round(line.rate, 4),
            line.gi_class,
            int(line.weak),
            None if line.result is None else round(line.result.smoothed, 4),
            line.pattern_look,
        ]
        for line in found
    }


def of_choice(
    connection: Connection, choice: Choice, here: Territory, area: str, *, own: bool = False
) -> list[Line]:
    """Return the lines of a chosen view inside an area; none where nothing has been analysed yet."""
    if choice.run is None:
        return []
    run, category = choice.run.id, choice.category
    key = (str(connection.engine.url), run, category)
    found = _results.get(key, lambda: hotspots.results(connection, run, category))
    return lines(found, here.inside(choice.level, area), own=own)
