"""Values that departments might have sent in, made by chance with known truths in them, for demonstrations.

The same seed gives the same values of a month, whatever other months are made with it.
"""

import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import Connection, Engine

from gridmgmt.db.models import Role
from gridmgmt.errors import NotEnoughDataError
from gridmgmt.index.actor import Actor, on_index
from gridmgmt.index.entries import importer, template
from gridmgmt.index.entries.service import Asked, Cell, Counts, Step, add_entry, compare, counts, enter
from gridmgmt.index.scoring import Floats
from gridmgmt.index.stored import Unit
from gridmgmt.index.tree import Better, Indicator, Level, Node, Scale, Tree

WHO = Actor("sample", Role.COMMAND)
HISTORY = "历史数据.csv"
COUNTED = frozenset("件次个人起场户处项")  # units of which there are no parts
GAPS, MORE_GAPS = 0.02, 0.15
SWING, SEASONAL_SHARE = 0.12, 5  # one indicator in five goes with the year


@dataclass(frozen=True)
class Planted:
    """What is hidden in the values: towns by their order of code, and how many months the last one is low.

    Town `falls` drops in one indicator in the last month, to hardly any points; town `below` is far below all
    others in every second indicator for the last `months`.
    """

    falls: int = 4
    below: int = 9  # of the others
    months: int = 3


PLANTED = Planted()


@dataclass(frozen=True)
class Truth:
    """The planted town, indicator and low town of a city, by code, with the low indicators."""

    falls: str
    indicator: str
    below: str
    low: tuple[str, ...]


def truth(asked: Asked) -> Truth:
    """Return what is planted in a city's values, under the tree and units of the last month."""
    towns = [unit.code for unit in asked.units[Level.TOWN]]
    if not towns:
        raise NotEnoughDataError("towns", 0, "at least one")
    entered = [each for each in asked.tree.indicators if each.department and Level.TOWN in each.levels]
    falls = max(entered, key=lambda each: (each.scale is Scale.TARGET, weight(asked.tree, each.code)))
    low = tuple(each.code for each in entered if each is not falls)[::2]
    fallen = towns[PLANTED.falls % len(towns)]
    others = [town for town in towns if town != fallen] or towns
    return Truth(fallen, falls.code, others[PLANTED.below % len(others)], low)


def weight(tree: Tree, code: str) -> float:
    """Return the weight of an indicator in the whole, as the tree writes it."""
    found = 1.0
    while code:
        part: Node | Indicator = tree.by_code[code]
        found, code = found * part.weight, tree.parents[code]
    return found


def seed(engine: Engine, months: Sequence[date], seed: int = 2026) -> Counts:
    """Enter values of all indicators that departments fill in; returns how many were new, updated and so on.

    The last month comes through the forms that departments get, the months before at once. `engine` is the
    owner's, or the writer's. Raises NotFoundError where a month has no tree.
    """
    *before, last = sorted(months)
    steps: list[Step] = []
    with on_index(engine, WHO) as connection:
        asked = {month: Asked(connection, month) for month in months}
        planted = truth(asked[last])
        for department in asked[last].departments:
            cells = [
                cell
                for month in before
                for cell in _cells(asked[month], department, month, last, planted, seed)
            ]
            steps += _enter(connection, department, cells)
        departments = asked[last].departments
        forms = [_form(connection, department, last, planted, seed) for department in departments]
    for name, data in forms:
        steps += importer.load(engine, WHO, importer.read(name, data), last).steps
    return counts(steps)


def _enter(connection: Connection, department: str, cells: Sequence[Cell]) -> list[Step]:
    steps = compare(connection, cells)
    if not counts(steps).changed:
        return steps
    sha256 = hashlib.sha256(repr(cells).encode()).hexdigest()
    number = add_entry(connection, HISTORY, sha256, department, len(cells), WHO.username)
    return enter(connection, cells, WHO.username, number)


def _form(
    connection: Connection, department: str, month: date, planted: Truth, seed: int
) -> tuple[str, bytes]:
    """Return a form as a department would send it back, and its name."""
    blank = template.form(connection, month, department)
    cells = _cells(blank.asked, department, month, month, planted, seed)
    values = {(cell.indicator, cell.unit): cell.value for cell in cells}
    return f"{department}{month:%Y-%m}.xlsx", template.written(template.filled(blank, values))


# --- values


def _cells(asked: Asked, department: str, month: date, last: date, planted: Truth, seed: int) -> list[Cell]:
    gaps = MORE_GAPS if department == asked.departments[-1] else GAPS
    ago = (last.year - month.year) * 12 + last.month - month.month
    cells = []
    for level in Level:
        for indicator in asked.indicators(department, level):
            members = asked.units[level]
            at, given = _standing(indicator, members, month, seed, gaps)
            if level is Level.TOWN:
                _plant(at, given, indicator, members, ago, planted)
            values = _values(indicator, at)
            cells += [
                Cell(indicator.code, level, unit.code, month, value)
                for unit, value, there in zip(members, values.tolist(), given.tolist(), strict=True)
                if there
            ]
    return cells


def _standing(
    indicator: Indicator, members: Sequence[Unit], month: date, seed: int, gaps: float
) -> tuple[Floats, np.ndarray]:
    """Return where units (n,) stand from an indicator's floor, 0, to its target, 1, and who gives a value."""
    key = _number(indicator.code)
    chance = np.random.default_rng([seed, key, month.year, month.month])
    skill = [np.random.default_rng([seed, _number(unit.code)]).normal(0.72, 0.07) for unit in members]
    own = [np.random.default_rng([seed, _number(unit.code), key]).normal(0, 0.08) for unit in members]
    swing = SWING * math.sin(2 * math.pi * (month.month + key % 12) / 12) if key % SEASONAL_SHARE == 0 else 0
    at = np.array(skill) + np.array(own) + swing + chance.normal(0, 0.04, len(members))
    return at, chance.random(len(members)) >= gaps


def _plant(
    at: Floats, given: np.ndarray, indicator: Indicator, members: Sequence[Unit], ago: int, planted: Truth
) -> None:
    for n, unit in enumerate(members):
        if unit.code == planted.falls and indicator.code == planted.indicator and ago <= 1:
            at[n], given[n] = (0.85, 0.02)[ago == 0], True
        if unit.code == planted.below and indicator.code in planted.low and ago < PLANTED.months:
            at[n], given[n] = at[n] * 0.1, True


def _values(indicator: Indicator, at: Floats) -> Floats:
    """Return values of units by where they stand, such as an office would write them."""
    floor, target = _ends(indicator)
    span = abs(target - floor)
    digits = 0 if indicator.unit in COUNTED and span >= 3 else 1 if span >= 10 else 2
    return np.clip(np.round(floor + at * (target - floor), digits), indicator.lowest, indicator.highest)


def _ends(indicator: Indicator) -> tuple[float, float]:
    """Return the values that are poor and good: the tree's own, or the ends of what can be."""
    if indicator.floor is not None and indicator.target is not None:
        return indicator.floor, indicator.target
    low = indicator.lowest if math.isfinite(indicator.lowest) else 0.0
    high = indicator.highest if math.isfinite(indicator.highest) else low + 100
    return (low, high) if indicator.better is Better.MORE else (high, low)


def _number(words: str) -> int:
    return zlib.crc32(words.encode())
