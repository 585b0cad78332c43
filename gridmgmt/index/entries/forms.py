"""What a form that came back says: cells and faults, whatever was moved, renamed or put in another order."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from gridmgmt.index.entries.faults import Fault, Wrong
from gridmgmt.index.entries.numbers import clean, number
from gridmgmt.index.entries.service import Asked, Cell
from gridmgmt.index.entries.sheets import Place, Sheet, address
from gridmgmt.index.entries.template import GUIDE, HEADS, MARK, UNITS
from gridmgmt.index.stored import Unit
from gridmgmt.index.tree import LEVEL_NAMES, Indicator, Level

T = TypeVar("T")
HEAD_ROWS = 40
_COUNTED = re.compile(r"[0-9]{1,4}")  # 序号
# Rows that offices add below, and that are no unit.
HEADINGS = frozenset(HEADS)
LABELS = HEADINGS | {"", "名称", "序号"}
SUMS = frozenset({"合计", "总计", "小计", "累计", "平均", "平均值", "均值", "汇总"})


@dataclass
class Found:
    """Cells of a file and everything that is wrong with it."""

    cells: list[Cell] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, where: str, wrong: Wrong, found: str = "", allowed: str = "") -> None:
        """Note a fault."""
        self.faults.append(Fault(where, wrong, found[:60], allowed))


class Names:
    """Indicators and units of a month by what a file may call them: a code, or a name that only one has."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._indicators = _by_words([(each.code, each.name, each) for each in asked.tree.indicators])
        self._units = {
            level: _by_words([(unit.code, unit.name, unit) for unit in listed])
            for level, listed in asked.units.items()
        }

    def indicator(self, words: str) -> Indicator | None:
        """Return the indicator that words name."""
        return self._indicators.get(clean(words))

    def unit(self, level: Level, words: str) -> Unit | None:
        """Return the unit of a level that words name."""
        return self._units[level].get(clean(words))


def _by_words(listed: Sequence[tuple[str, str, T]]) -> dict[str, T]:
    times = Counter(clean(name) for _, name, _ in listed)
    named = {clean(name): each for _, name, each in listed if times[clean(name)] == 1}
    return named | {clean(code): each for code, _, each in listed}


def marks(sheets: Sequence[Sheet]) -> dict[str, str] | None:
    """Return what a form says that it is of; None for a file that is none."""
    for sheet in sheets:
        if sheet.text((0, 0)) == MARK:
            return {sheet.text((n, 0)): sheet.text((n, 1)) for n in range(1, 10) if sheet.text((n, 0))}
    return None


def read(sheets: Sequence[Sheet], asked: Asked, month: date, department: str) -> Found:
    """Return the cells and faults of a department's form of a month."""
    found, names = Found(), Names(asked)
    tables = [
        table
        for sheet in sheets
        if sheet.text((0, 0)) not in (MARK, GUIDE) and (table := _table(sheet, names))
    ]
    if not tables:
        found.fault("", Wrong.NO_HEADER)
    for table in tables:
        _read(table, names, month, department, found)
    _doubled(tables, found)
    return found


@dataclass
class _Table:
    """A sheet of values: its header's row, what names the columns and the rows, and units by row."""

    sheet: Sheet
    level: Level
    header: int
    heads: dict[int, str]
    labels: dict[int, list[tuple[int, str]]]
    units: dict[int, Unit]
    wheres: dict[tuple[str, str], str] = field(default_factory=dict)

    def places(self) -> list[Place]:
        """The places below the header that hold something, row by row."""
        held = {*self.sheet.cells, *self.sheet.marks}
        return sorted(place for place in held if place[0] > self.header)


def _table(sheet: Sheet, names: Names) -> _Table | None:
    """Return a sheet of values, None for one that holds neither indicators nor units."""
    header = _header(sheet, names)
    heads = {column: sheet.text((header, column)) for row, column in sheet.cells if row == header}
    first = min((column for column, words in heads.items() if clean(words) not in LABELS), default=UNITS)
    labels = _labels(sheet, header, first)
    level, units = _units(sheet.name, names, labels)
    if header < 0 and not units:
        return None
    kept = {column: words for column, words in heads.items() if column >= first and words}
    return _Table(sheet, level, header, kept, labels, units)


def _header(sheet: Sheet, names: Names) -> int:
    """Return the first row that has an indicator's code, else one that has a name; -1 for none."""
    words = {place: sheet.text(place) for place in sheet.cells if place[0] < HEAD_ROWS}
    named = {place[0]: each for place in words if (each := names.indicator(words[place]))}
    codes = {each.code for each in names.asked.tree.indicators}
    coded = {place[0] for place in words if clean(words[place]) in codes}
    return min(coded or named, default=-1)


def _labels(sheet: Sheet, header: int, first: int) -> dict[int, list[tuple[int, str]]]:
    """Return what stands left of the values in each row below the header, with its column."""
    found: dict[int, list[tuple[int, str]]] = {}
    for row, column in sorted(sheet.cells):
        words = clean(sheet.text((row, column)))
        if row > header and column < first and words and not _COUNTED.fullmatch(words):
            found.setdefault(row, []).append((column, words))
    return found


def _units(
    name: str, names: Names, labels: Mapping[int, list[tuple[int, str]]]
) -> tuple[Level, dict[int, Unit]]:
    """Return whose rows a sheet has: units of the level that most of them name, by row."""
    named: dict[Level, dict[int, Unit]] = {level: {} for level in Level}
    for level, found in named.items():
        for row, told in labels.items():
            units = [unit for _, words in told if (unit := names.unit(level, words))]
            if units:
                found[row] = units[0]
    level = max(Level, key=lambda each: (len(named[each]), LEVEL_NAMES[each] == name))
    return level, named[level]


def _read(table: _Table, names: Names, month: date, department: str, found: Found) -> None:
    sheet = table.sheet
    if table.header < 0:
        found.fault(sheet.name, Wrong.NO_HEADER)
        return
    if not table.units:
        found.fault(sheet.name, Wrong.NO_UNITS)
        return
    columns = dict(_columns(table, names, department, found))
    rows = dict(_rows(table, names, found))
    _merged(table, columns, found)
    heads, left = set(table.heads), min(table.heads)
    for place in table.places():
        row, column = place
        if row in rows and column in columns:
            _cell(table, place, columns[column], rows[row], month, found)
        elif row in table.units and column > left and column not in heads:
            found.fault(sheet.at(place), Wrong.NO_CODE, sheet.text(place))


def _columns(table: _Table, names: Names, department: str, found: Found) -> Iterator[tuple[int, Indicator]]:
    """Give the columns whose values may be read, and note what is wrong with the others."""
    seen: set[str] = set()
    for column, words in sorted(table.heads.items()):
        indicator, where = names.indicator(words), table.sheet.at((table.header, column))
        wrong = column_wrong(indicator, table.level, department)
        if wrong:
            found.fault(where, wrong, words, (indicator and indicator.department) or "")
        elif indicator and indicator.code in seen:
            found.fault(where, Wrong.DOUBLED_INDICATOR, words)
        elif indicator:
            seen.add(indicator.code)
            yield column, indicator


def column_wrong(indicator: Indicator | None, level: Level | None, department: str) -> Wrong | None:
    """Return why a department ('' for the centre) may not fill in an indicator for a level (None for any)."""
    if indicator is None:
        return Wrong.UNKNOWN_INDICATOR
    if indicator.measured:
        return Wrong.MEASURED
    if department and indicator.department != department:
        return Wrong.OTHERS_INDICATOR
    return None if level is None or level in indicator.levels else Wrong.LEVEL


def _rows(table: _Table, names: Names, found: Found) -> Iterator[tuple[int, Unit]]:
    """Give the rows whose values may be read, and note what is wrong with the others."""
    seen: set[str] = set()
    with_values = {row for row, column in table.places() if column in table.heads}
    for row in sorted(with_values | set(table.units)):
        labels = table.labels.get(row, [])
        where = table.sheet.at((row, labels[0][0] if labels else 0))
        told = [words for _, words in labels]
        units = [names.unit(table.level, words) for words in told]
        unit = table.units.get(row)
        if SUMS.intersection(told) or (told and set(told) <= HEADINGS):
            continue
        if unit is None or None in units:
            unknown = next((words for words, each in zip(told, units, strict=True) if each is None), "")
            found.fault(where, Wrong.UNKNOWN_UNIT, unknown, LEVEL_NAMES[table.level])
        elif len(set(units)) > 1:
            found.fault(where, Wrong.TWO_UNITS, " ".join(told))
        elif unit.code in seen:
            found.fault(where, Wrong.DOUBLED_UNIT, " ".join(told))
        else:
            seen.add(unit.code)
            yield row, unit


def _merged(table: _Table, columns: dict[int, Indicator], found: Found) -> None:
    """Note values that stand for several cells: of whom they are cannot be known."""
    for (top, left), (bottom, right) in table.sheet.merged:
        over = any(left <= column <= right for column in columns)
        rows = [row for row in table.units if top <= row <= bottom]
        held = table.sheet.text((top, left))
        if held and over and rows and (left, top) != (right, bottom):
            place = f"{table.sheet.at((top, left))}:{address((bottom, right))}"
            found.fault(place, Wrong.MERGED, held)


def _cell(table: _Table, place: Place, indicator: Indicator, unit: Unit, month: date, found: Found) -> None:
    sheet = table.sheet
    mark, words = sheet.marks.get(place, ""), sheet.text(place)
    if not words:
        return
    read = number(sheet.cells.get(place, mark), indicator, mark)
    if read.wrong:
        found.fault(sheet.at(place), read.wrong, words, read.allowed)
        return
    table.wheres.setdefault((indicator.code, unit.code), sheet.at(place))
    found.cells.append(Cell(indicator.code, table.level, unit.code, month, read.value))


def _doubled(tables: Sequence[_Table], found: Found) -> None:
    """Note values that two sheets give: a sheet may have been copied."""
    seen: dict[tuple[str, str], str] = {}
    for table in tables:
        for key, where in table.wheres.items():
            if key in seen:
                found.fault(where, Wrong.DOUBLED, "", seen[key])
            seen.setdefault(key, where)
