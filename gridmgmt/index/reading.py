"""Reads a tree of indicators from a TOML file, and says everything that is wrong with it.

Keys, names, types and each indicator by itself are looked at here, what they come to together in `standing`.
docs/howto-index-tree.md has the format.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from gridmgmt.errors import FileError, InputError
from gridmgmt.importing.columns import FORBIDDEN, plain
from gridmgmt.importing.keys import Keys, parsed
from gridmgmt.index.facts import NAMES, is_narrowed
from gridmgmt.index.periods import Span
from gridmgmt.index.standing import GROUP, LEAF, Fault, below, standing
from gridmgmt.index.tree import Better, Gap, Indicator, Level, Measured, Node, Rule, Scale, Tree, Way

LARGEST_FILE = 1 << 18
LONGEST_NAME, LONGEST_UNIT, LONGEST_ABOUT = 40, 10, 200
LARGEST = 1e12
MOST_DAYS, MOST_RUNNING, MOST_MONTHS, MOST_UNITS = 365, 12, 24, 50
KINDS = ("talk", "supervision")

# What this index never counts: who was taken in or taken to court, by whatever name.
DETENTION = re.compile(
    r"拘留|刑拘|行拘|逮捕|批捕|抓捕|抓获|羁押|收押|收监|留置|看守所|拘役|判刑|嫌疑人|破案|立案侦查"
    r"|detain|detention|arrest|prison|suspect",
    re.IGNORECASE,
)
_TREE_KEYS = ("code", "name", "ways", "group", "indicator", "rule")
_GROUP_KEYS = ("code", "name", "weight")
_INDICATOR_KEYS = (
    "code", "name", "weight", "unit", "better", "levels", "measured", "department", "scale", "floor",
    "target", "lowest", "highest", "gap", "gap_months", "about",
)  # fmt: skip
_MEASURED_KEYS = ("part", "of", "per", "categories", "of_months_before", "fewest")
_RULE_KEYS = ("kind", "span", "levels", "says", "days", "below", "last", "fallen", "running")
# Other keys are judged by these: while one is wrong, nothing follows from it.
_DECIDING = ("better", "scale", "lowest", "highest", "gap", "measured", "department")
_TREE_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")


class TreeError(FileError):
    """A tree file is not what is allowed; `faults` are all that is wrong, the message says each on a line."""

    def __init__(self, file: str, faults: Collection[Fault]) -> None:
        first = next(iter(faults))
        key = f"{first.place}, {first.key}" if first.place else first.key
        super().__init__(file, key, first.found, first.allowed)
        self.args = ("\n".join(f"{file}: {fault}" for fault in faults),)
        self.faults = tuple(faults)


def read(text: str, file: str) -> Tree:
    """Return the tree in a TOML text, the weights under every node made to sum to one exactly.

    Raises TreeError, which names `file`, with everything that is wrong: codes, names, weights, values, facts
    that this system does not measure, and words for what no index of ours counts.
    """
    try:
        raw = parsed(text, LARGEST_FILE)
    except InputError as error:
        raise TreeError(file, [Fault("", error.field, error.found, error.allowed)]) from error
    found: list[Fault] = []
    tree = _tree(raw, found)
    if found:
        raise TreeError(file, found)
    return tree


def _tree(raw: Mapping[str, Any], found: list[Fault]) -> Tree:
    keys = _Keys(raw, "", _TREE_KEYS, found)
    code, name, ways = keys.code(_TREE_CODE, "a-z, 0-9 and _"), keys.told("name", LONGEST_NAME), _ways(keys)
    groups = [_group(row, each, found) for row, each in enumerate(keys.tables("group"), 1)]
    leaves = [_indicator(row, each, found) for row, each in enumerate(keys.tables("indicator"), 1)]
    rules = [_rule(f"rule {row}", each, found) for row, each in enumerate(keys.tables("rule"), 1)]
    found += standing(groups, leaves, {fault.place for fault in found if fault.key == "weight"})
    parts = _joined("", below([*groups, *leaves])) if not found else ()
    return Tree(code, name, ways, tuple(part for part in parts if isinstance(part, Node)), tuple(rules))


def _joined(code: str, parts: Mapping[str, list[Node | Indicator]]) -> tuple[Node | Indicator, ...]:
    """Return what is below a code, with all below it and with weights that sum to one."""
    total = math.fsum(part.weight for part in parts[code])
    return tuple(
        replace(part, weight=part.weight / total, parts=_joined(part.code, parts))
        if isinstance(part, Node)
        else replace(part, weight=part.weight / total)
        for part in parts[code]
    )


# --- what the keys hold


class _Keys(Keys):
    """A table of the tree's file; `under` is said before its keys where it is within another."""

    def __init__(
        self, raw: object, place: str, allowed: Collection[str], found: list[Fault], under: str = ""
    ) -> None:
        self._place, self._found, self._under = place, found, under
        super().__init__(raw, allowed)

    def fault(self, key: str, value: object, allowed: str) -> None:
        # One thing is said of a key: what follows from a value that could not be read is none of its own.
        fault = Fault(self._place, self._under + key, value, allowed)
        if all((each.place, each.key) != (fault.place, fault.key) for each in self._found):
            self._found.append(fault)

    def told(self, key: str, longest: int, default: str | None = None) -> str:
        """Return a name that holds no word for what is never counted."""
        name = self.name(key, longest, default)
        # An office of administrative approval (行政审批) has nothing to do with political vetting (政审).
        words = plain(name).replace("行政审批", "")
        refused = FORBIDDEN.search(words) or DETENTION.search(words)
        if refused:
            self.fault(key, name, f"no {refused[0]}: the index counts no detentions and labels no people")
        return name

    def code(self, pattern: re.Pattern[str], such: str) -> str:
        value = self.raw.get("code")
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.fault("code", value, f"a code: {such}")
        return str(value)

    def end(self, key: str) -> float | None:
        """Return an end of the scale, None where it is absent or wrong."""
        if not self.has(key):
            return None
        value = self.number(key, -LARGEST, LARGEST)
        return None if self.wrong(key) else value

    def wrong(self, *keys: str) -> bool:
        """Say whether something was found wrong with one of these keys."""
        return any(fault.place == self._place and fault.key in keys for fault in self._found)


def _place(row: int, raw: object, what: str) -> str:
    code = raw.get("code") if isinstance(raw, dict) else None
    return code[:20] if isinstance(code, str) and code.isprintable() and code else f"{what} {row}"


def _ways(keys: _Keys) -> tuple[Way, Way, Way]:
    value = keys.raw.get("ways")
    if isinstance(value, list) and len(value) == 3 and all(str(way) in set(Way) for way in value):
        return Way(value[0]), Way(value[1]), Way(value[2])
    keys.fault(
        "ways", value, f"three of {', '.join(Way)}: of the total, of the first and of the second level"
    )
    return Way.ARITHMETIC, Way.ARITHMETIC, Way.ARITHMETIC


def _group(row: int, raw: object, found: list[Fault]) -> Node:
    keys = _Keys(raw, _place(row, raw, "group"), _GROUP_KEYS, found)
    code = keys.code(GROUP, "1 for a first-level group, 1.2 for a second-level one")
    return Node(code, keys.told("name", LONGEST_NAME), _weight(keys), ())


def _weight(keys: _Keys) -> float:
    return keys.number("weight", 0.0001, 1)


def _indicator(row: int, raw: object, found: list[Fault]) -> Indicator:
    place = _place(row, raw, "indicator")
    keys = _Keys(raw, place, _INDICATOR_KEYS, found)
    made = Indicator(
        code=keys.code(LEAF, "1.2.3, below the group 1.2"),
        name=keys.told("name", LONGEST_NAME),
        weight=_weight(keys),
        unit=keys.told("unit", LONGEST_UNIT),
        better=keys.word("better", Better),
        levels=_levels(keys, tuple(Level)),
        scale=keys.word("scale", Scale, Scale.TARGET),
        gap=keys.word("gap", Gap, Gap.SHARE),
        measured=_measured(keys, place, found),
        department=keys.name("department", LONGEST_NAME) if keys.has("department") else None,
        floor=keys.end("floor"),
        target=keys.end("target"),
        lowest=keys.number("lowest", -LARGEST, LARGEST, 0.0),
        highest=keys.number("highest", -LARGEST, LARGEST) if keys.has("highest") else math.inf,
        gap_months=keys.whole("gap_months", 0, MOST_MONTHS, 0),
        about=keys.told("about", LONGEST_ABOUT, ""),
    )
    if not keys.wrong(*_DECIDING):
        _check(keys, made)
    return made


def _levels(keys: _Keys, allowed: Collection[Level]) -> frozenset[Level]:
    if not keys.raw.get("levels"):
        keys.fault("levels", keys.raw.get("levels"), f"at least one of {', '.join(allowed)}")
        return frozenset()
    return keys.words("levels", allowed)


def _measured(indicator: _Keys, place: str, found: list[Fault]) -> Measured | None:
    raw = indicator.raw.get("measured")
    if not isinstance(raw, dict):
        if raw is not None:
            indicator.fault("measured", raw, f"a table of {', '.join(_MEASURED_KEYS)}")
        return None
    keys = _Keys(raw, place, _MEASURED_KEYS, found, "measured.")
    return Measured(
        part=_fact(keys, "part"),
        of=_fact(keys, "of") if keys.has("of") else None,
        per=keys.number("per", 0.001, 1e6, Measured.per),
        categories=_categories(keys),
        of_months_before=keys.whole("of_months_before", 0, MOST_MONTHS, 0),
        fewest=keys.number("fewest", 0, 1e6, Measured.fewest),
    )


def _fact(keys: _Keys, key: str) -> str:
    value = keys.raw.get(key)
    if not isinstance(value, str) or value not in NAMES:
        keys.fault(key, value, f"what this system measures: {', '.join(sorted(NAMES))}")
    return str(value)


def _categories(keys: _Keys) -> tuple[str, ...]:
    value = keys.raw.get("categories", [])
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        keys.fault("categories", value, "a list of names of categories")
        return ()
    if len(set(value)) < len(value):
        keys.fault("categories", value, "each once")
    return tuple(value)


def _rule(place: str, raw: object, found: list[Fault]) -> Rule:
    keys = _Keys(raw, place, _RULE_KEYS, found)
    if keys.raw.get("kind") not in KINDS:
        keys.fault("kind", keys.raw.get("kind"), f"one of {', '.join(KINDS)}")
    if not any(map(keys.has, ("below", "last", "fallen"))):
        keys.fault("below", None, "a condition: at least one of below, last and fallen")
    return Rule(
        kind=str(keys.raw.get("kind")),
        span=keys.word("span", Span),
        # Nobody calls the city to a talk with itself.
        levels=_levels(keys, (Level.TOWN, Level.DEPARTMENT)),
        says=keys.told("says", LONGEST_NAME),
        days=keys.whole("days", 1, MOST_DAYS),
        below=keys.number("below", 1, 100) if keys.has("below") else None,
        last=keys.whole("last", 1, MOST_UNITS) if keys.has("last") else None,
        fallen=keys.number("fallen", 0.1, 100) if keys.has("fallen") else None,
        running=keys.whole("running", 1, MOST_RUNNING, 1),
    )


# --- whether an indicator whose every key is right stands


def _check(keys: _Keys, each: Indicator) -> None:
    if (each.measured is None) == (each.department is None):
        found = "none" if each.measured is None else "both"
        keys.fault("measured", found, "measured by this system or filled in by a department, one of the two")
    if each.measured is not None:
        _check_measured(keys, each, each.measured)
    if each.lowest >= each.highest:
        keys.fault("lowest", each.lowest, f"less than highest, {each.highest:g}")
    if Level.CITY in each.levels and each.scale is not Scale.TARGET:
        keys.fault("levels", "city", f"no city with scale {each.scale}: it has none to be compared with")
    if (each.gap is Gap.LAST) != (each.gap_months > 0):
        keys.fault("gap_months", each.gap_months, "1 or more with gap last, and only there")
    _check_scale(keys, each)


def _check_scale(keys: _Keys, each: Indicator) -> None:
    """Note ends of the scale that are missing, out of place, or on the wrong sides of each other."""
    for key, end in (("floor", each.floor), ("target", each.target)):
        if (end is None) == (each.scale is Scale.TARGET):
            keys.fault(key, end, "a number with scale target, and only there")
        elif end is not None and not each.lowest <= end <= each.highest:
            keys.fault(key, end, f"from lowest to highest, {each.lowest:g} to {each.highest:g}")
    if each.floor is None or each.target is None:
        return
    if each.better is Better.MORE and each.target <= each.floor:
        keys.fault("target", each.target, f"more than the floor {each.floor:g}, as more is better")
    if each.better is Better.LESS and each.target >= each.floor:
        keys.fault("target", each.target, f"less than the floor {each.floor:g}, as less is better")


def _check_measured(keys: _Keys, each: Indicator, measured: Measured) -> None:
    """Note facts that are not of all the indicator's levels, and what would be narrowed or moved in vain."""
    named = [name for name in (measured.part, measured.of) if name in NAMES]
    for name in named:
        missing = each.levels - NAMES[name].levels
        if missing:
            keys.fault("levels", ", ".join(sorted(missing)), f"levels that {name} is measured for")
    if measured.categories and not is_narrowed(measured.part) and not is_narrowed(measured.of or ""):
        keys.fault("measured.categories", measured.categories, "only with facts of matters")
    if measured.of_months_before and measured.of is None:
        keys.fault("measured.of_months_before", measured.of_months_before, "only with `of`")
