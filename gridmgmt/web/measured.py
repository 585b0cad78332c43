"""A measure of the map as values, classes, words and a legend, for pages that draw it themselves.

A class is written as its look, the name of its colour: `rate-3`, `gi-m2`. The same look has the same meaning
in map, table, picture and wall.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gridmgmt.web import ranking
from gridmgmt.web.choice import MEASURES
from gridmgmt.web.ranking import GI_WORDS, Line

NONE = "rate-0"
FEW = "不足 5 户，不显示"
# Gi* classes from hot to cold and what a legend says of them.
GI_LEGEND = (
    (3, "偏多，99% 把握"), (2, "偏多，95% 把握"), (1, "偏多，90% 把握"), (0, "不显著"),
    (-1, "偏少，90% 把握"), (-2, "偏少，95% 把握"), (-3, "偏少，99% 把握"),
)  # fmt: skip
# Measures of a period as one number; what stands apart from periods is not among them.
NUMBERS: dict[str, Callable[[Line], float | None]] = {
    "rate": lambda line: line.rate,
    "count": lambda line: float(line.count),
    "smoothed": lambda line: line.result.smoothed if line.result else None,
}
OF_PERIODS = (*NUMBERS, "gi")
# Measures whose values are classes from the start, not numbers cut into them.
CLASSED = ("gi", "pattern")


@dataclass(frozen=True)
class Scale:
    """The classes of a measure: `limits` are rising, `unit` what its numbers count.

    `numbers` holds the values by code where they do not stand in a run: what is so today, or in a part of a
    period; `name` is then what they are.
    """

    measure: str
    limits: tuple[float, ...]
    unit: str
    numbers: Mapping[str, float | None] | None = None
    name: str = ""
    whole: bool = False

    @property
    def title(self) -> str:
        return self.name or MEASURES[self.measure]

    def value(self, line: Line) -> float | None:
        """Return the number that the class is of; None where it may not be said, or is none."""
        if self.numbers is not None:
            return self.numbers.get(line.place.code, 0.0)
        return float(line.gi_class) if self.measure in CLASSED else NUMBERS[self.measure](line)

    def look(self, line: Line) -> str:
        """Return the name of an area's colour."""
        if self.measure == "gi":
            return gi_look(line.gi_class)
        if self.measure == "pattern":
            return f"pattern-{line.pattern_look}" if line.pattern_look else NONE
        value = self.value(line)
        if self.whole:
            return f"rate-{ranking.whole_class(value or 0.0, self.limits)}"
        return f"rate-{ranking.class_of(value, self.limits)}"

    def weak(self, line: Line) -> bool:
        """Say whether the area is hatched: its colour hangs on a matter or two."""
        return line.weak and self.measure not in CLASSED and self.numbers is None

    def words(self, line: Line) -> str:
        """Return the value of an area in words with its unit."""
        if self.measure == "gi":
            return GI_WORDS[line.gi_class]
        if self.measure == "pattern":
            return line.pattern or "没有"
        value = self.value(line)
        return FEW if value is None else f"{number(value)} {self.unit}"

    def legend(self) -> list[tuple[str, str]]:
        """Return look and words of every class, the highest first; `weak` stands for the hatching."""
        if self.measure == "gi":
            return [(gi_look(step), words) for step, words in GI_LEGEND]
        if self.measure == "pattern":
            looks = [(f"pattern-{look}", words) for look, words in ranking.PATTERN_WORDS.items()]
            return [*looks, (NONE, "没有")]
        edges = [f"{limit:,.6g}" for limit in self.limits]
        between = [f"{low} — {high}" for low, high in pairwise(edges)]
        words = [f"不到 {edges[0]}", *between, f"{edges[-1]} 以上"] if edges else ["有诉求"]
        steps = [(f"rate-{step}", each) for step, each in enumerate(words, 1)]
        return [*steps[::-1], (NONE, "没有"), *([] if self.numbers is not None else [("weak", "依据偏弱")])]


def scale_of(measure: str, rate_unit: str, groups: Iterable[Sequence[Line]]) -> Scale:
    """Return the scale of a measure with limits that all groups of lines share."""
    if measure == "gi":
        return Scale(measure, (), "")
    if measure not in NUMBERS:  # what is of today has no period
        measure = "rate"
    values = [NUMBERS[measure](line) or 0.0 for lines in groups for line in lines]
    return Scale(measure, tuple(ranking.breaks(values)), "件" if measure == "count" else rate_unit)


def gi_look(step: int) -> str:
    """Return the name of the colour of a Gi* class."""
    return f"gi-{step}" if step >= 0 else f"gi-m{-step}"


def number(value: float) -> str:
    """Return a number as people read it: whole ones and large ones without decimals.

    >>> number(1234.5), number(12.34), number(0.567), number(3)
    ('1,234', '12.3', '0.57', '3')
    """
    if value == int(value) or value >= 1000:
        return f"{int(value):,}"
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}"
