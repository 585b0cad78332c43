"""The tree of indicators as data: three levels, weights, and how each indicator is measured and scored.

A city loads its own (`reading`); docs/howto-index-tree.md has the format and what every word means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from gridmgmt.index.periods import Span


class Level(StrEnum):
    """Whom an index is of."""

    CITY = "city"
    TOWN = "town"
    DEPARTMENT = "department"


LEVEL_NAMES = {Level.CITY: "全市", Level.TOWN: "镇街", Level.DEPARTMENT: "部门"}


class Way(StrEnum):
    """How parts make a whole: a low part is made up for by others (arithmetic), or less so (geometric)."""

    ARITHMETIC = "arithmetic"
    GEOMETRIC = "geometric"


class Better(StrEnum):
    """Which values are better."""

    MORE = "more"
    LESS = "less"


class Scale(StrEnum):
    """How a value becomes points of 0 to 100.

    TARGET: 0 at the `floor`, 100 at the `target`, straight between. MIN_MAX: 0 for the worst of all units in
    the month, 100 for the best. Z: 50 for their mean and 10 a standard deviation. RANK: by place alone.
    """

    TARGET = "target"
    MIN_MAX = "min_max"
    Z = "z"
    RANK = "rank"


class Gap(StrEnum):
    """What stands in for a value that is missing.

    SHARE: nothing, its weight goes to its neighbours under the same parent. LAST: the value of the last
    month that has one, `gap_months` back at most, then as SHARE. AVERAGE: the mean points of the other
    units. WORST: no points.
    """

    SHARE = "share"
    LAST = "last"
    AVERAGE = "average"
    WORST = "worst"


@dataclass(frozen=True)
class Measured:
    """A value of this system's own: `per` × facts `part` / facts `of` (1 where nothing is said).

    `categories` narrows facts of matters to categories by name, with those below them. `of_months_before`
    takes `of` of an earlier month; with fewer than `fewest` in `of` the value is missing.
    """

    part: str
    of: str | None = None
    per: float = 100.0
    categories: tuple[str, ...] = ()
    of_months_before: int = 0
    fewest: float = 10.0


@dataclass(frozen=True)
class Indicator:
    """A third-level indicator: a leaf.

    Exactly one of `measured` and `department` (who fills it in) is set. `lowest` and `highest` are the values
    that can be at all; what lies outside is refused. `floor` and `target` are the ends of the TARGET scale.
    """

    code: str
    name: str
    weight: float
    unit: str
    better: Better
    levels: frozenset[Level]
    scale: Scale
    gap: Gap
    measured: Measured | None = None
    department: str | None = None
    floor: float | None = None
    target: float | None = None
    lowest: float = 0.0
    highest: float = float("inf")
    gap_months: int = 0
    about: str = ""


@dataclass(frozen=True)
class Node:
    """A first- or second-level indicator; the weights of its parts sum to one."""

    code: str
    name: str
    weight: float
    parts: tuple["Node | Indicator", ...]


@dataclass(frozen=True)
class Rule:
    """When a talk (约谈) or a listed supervision (挂牌督办) is proposed to a unit after a period.

    All conditions that are set must hold, `running` periods in a row: a score below `below`; a place among
    the `last` ones that does not hang on the choice of weights; a fall of `fallen` points or more against the
    period before, with the season taken out where that is known. `days` are until the correction is due.
    """

    kind: str  # talk or supervision
    span: Span
    levels: frozenset[Level]
    says: str
    days: int
    below: float | None = None
    last: int | None = None
    fallen: float | None = None
    running: int = 1


@dataclass(frozen=True)
class Tree:
    """A whole tree: its first-level parts, and the ways in which the total, the first and the second level
    are made of what is below them. The root's code is ''.
    """

    code: str
    name: str
    ways: tuple[Way, Way, Way]
    parts: tuple[Node, ...]
    rules: tuple[Rule, ...] = ()

    @cached_property
    def root(self) -> Node:
        """The total as a node of code ''."""
        return Node("", self.name, 1.0, self.parts)

    @cached_property
    def indicators(self) -> tuple[Indicator, ...]:
        """All leaves, in the order of the tree."""
        return tuple(each for _, each in walk(self.root) if isinstance(each, Indicator))

    @cached_property
    def by_code(self) -> dict[str, "Node | Indicator"]:
        """Every node and leaf by its code."""
        return {each.code: each for _, each in walk(self.root)}

    @cached_property
    def parents(self) -> dict[str, str]:
        """The code of what each node and leaf belongs to; the root is in none."""
        return {
            part.code: each.code
            for _, each in walk(self.root)
            if isinstance(each, Node)
            for part in each.parts
        }

    def counts(self) -> tuple[int, int, int]:
        """Return how many first-, second- and third-level indicators there are."""
        depths = [depth for depth, _ in walk(self.root)]
        return depths.count(1), depths.count(2), depths.count(3)

    def weights_ok(self, within: float = 1e-9) -> bool:
        """Say whether the weights under every node sum to one."""
        return all(
            abs(sum(part.weight for part in each.parts) - 1) <= within
            for _, each in walk(self.root)
            if isinstance(each, Node)
        )


def walk(node: Node | Indicator, depth: int = 0) -> Iterator[tuple[int, "Node | Indicator"]]:
    """Give a node and all below it, parents first, with their depth."""
    yield depth, node
    if isinstance(node, Node):
        for part in node.parts:
            yield from walk(part, depth + 1)
