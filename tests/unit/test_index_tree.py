"""Files of indicator trees: the packaged one stands, and whatever is wrong with one is named, all of it."""

import copy
import json
import math
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmgmt.errors import FileError
from gridmgmt.index.facts import NAMES
from gridmgmt.index.periods import Span
from gridmgmt.index.reading import LARGEST_FILE, TreeError, read
from gridmgmt.index.tree import Better, Gap, Indicator, Level, Measured, Node, Rule, Scale, Tree, Way, walk
from gridmgmt.index.trees import PACKAGED
from sample_data.taxonomy import DEPARTMENTS, TOPS

DEFAULT = PACKAGED.read_text(encoding="utf-8")

GOOD = """
code = "small"
name = "小指数"
ways = ["geometric", "arithmetic", "arithmetic"]

[[group]]
code = "1"
name = "为民服务"
weight = 1

[[group]]
code = "1.1"
name = "诉求办理"
weight = 0.7

[[indicator]]
code = "1.1.1"
name = "按期办结率"
weight = 0.6
unit = "%"
better = "more"
levels = ["town", "department", "city"]
measured = { part = "matters.on_time", of = "matters.due" }
floor = 85
target = 97.4
highest = 100

[[indicator]]
code = "1.1.2"
name = "同比"
weight = 0.4
unit = "%"
better = "less"
levels = ["town"]
measured = { part = "matters.received", of = "matters.received", categories = ["教育"], of_months_before = 9 }
scale = "z"

[[group]]
code = "1.2"
name = "民生保障"
weight = 0.3

[[indicator]]
code = "1.2.1"
name = "社会救助按时办结率"
weight = 1.0
unit = "%"
better = "more"
levels = ["town"]
department = "民政局"
floor = 60
target = 95
highest = 100
gap = "last"
gap_months = 2

[[rule]]
kind = "talk"
span = "month"
levels = ["town"]
says = "低于60分"
below = 60
days = 15
"""


def written(raw: dict[str, Any]) -> str:
    """A TOML file of a tree's keys, groups before indicators."""
    lines = [f"{key} = {value_of(value)}" for key, value in raw.items() if not is_tables(value)]
    for key, tables in raw.items():
        for table in tables if is_tables(tables) else ():
            lines += [f"[[{key}]]", *(f"{name} = {value_of(value)}" for name, value in table.items())]
    return "\n".join(lines)


def is_tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict) for each in value)


def value_of(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {value_of(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def refused(text: str) -> str:
    with pytest.raises(TreeError) as why:
        read(text, "small.toml")
    return str(why.value)


# --- what is read


def test_a_tree_file_is_read_as_it_stands() -> None:
    tree = read(GOOD, "small.toml")
    assert tree.counts() == (1, 2, 3)
    assert (tree.ways[0], tree.ways[2]) == (Way.GEOMETRIC, Way.ARITHMETIC)
    assert tree.by_code["1.1.1"] == Indicator(
        "1.1.1", "按期办结率", 0.6, "%", Better.MORE, frozenset(Level), Scale.TARGET, Gap.SHARE,
        Measured("matters.on_time", "matters.due"), floor=85, target=97.4, highest=100,
    )  # fmt: skip
    year_on_year = tree.by_code["1.1.2"]
    assert isinstance(year_on_year, Indicator)
    assert year_on_year.measured == Measured("matters.received", "matters.received", 100, ("教育",), 9)
    assert year_on_year.highest == math.inf
    assert tree.rules == (Rule("talk", Span.MONTH, frozenset({Level.TOWN}), "低于60分", 15, below=60),)


def test_groups_and_indicators_may_stand_in_any_order_and_keep_it() -> None:
    raw = tomllib.loads(GOOD)
    assert read(written(raw), "again") == read(GOOD, "small.toml")
    raw["group"].reverse()
    assert [part.code for part in read(written(raw), "again").parts[0].parts] == ["1.2", "1.1"]


def test_weights_of_a_few_digits_are_made_to_sum_to_one_exactly() -> None:
    raw = tomllib.loads(GOOD)
    raw["group"].append({"code": "1.3", "name": "便民服务", "weight": 0})
    raw["indicator"].append(raw["indicator"][2] | {"code": "1.3.1"})
    for group in raw["group"][1:]:
        group["weight"] = 0.3333333
    tree = read(written(raw), "thirds")
    assert tree.weights_ok(1e-12)
    assert [part.weight for part in tree.parts[0].parts] == pytest.approx([1 / 3] * 3, abs=1e-12)


# --- the packaged tree


@pytest.fixture(scope="module")
def default() -> Tree:
    return read(DEFAULT, PACKAGED.name)


def test_the_packaged_tree_has_7_39_and_77_indicators_at_least_34_of_them_measured(default: Tree) -> None:
    assert default.counts() == (7, 39, 77)
    assert default.weights_ok(1e-12)
    measured = [each.measured for each in default.indicators if each.measured]
    assert len(measured) >= 34
    assert {name for each in measured for name in (each.part, each.of) if name} <= set(NAMES)
    assert {name for each in measured for name in each.categories} <= {top.name for top in TOPS}
    assert {each.department for each in default.indicators} <= {None, *DEPARTMENTS}


def test_the_packaged_tree_makes_an_index_of_towns_departments_and_the_city(default: Tree) -> None:
    asked = {level: [each for each in default.indicators if level in each.levels] for level in Level}
    assert {level: len(each) for level, each in asked.items()} == {"city": 67, "town": 71, "department": 27}
    fields = {level: {each.code.split(".")[0] for each in found} for level, found in asked.items()}
    assert fields == {level: set("1234567") for level in Level}
    scales = [each.scale for each in default.indicators]
    assert set(scales) == set(Scale)
    assert scales.count(Scale.TARGET) >= 65


def test_the_packaged_rules_call_to_talks_and_supervision_by_month_quarter_half_and_year(
    default: Tree,
) -> None:
    assert {(rule.kind, rule.span) for rule in default.rules} == {
        (kind, span) for kind in ("talk", "supervision") for span in Span
    }


def test_a_tree_is_the_same_whether_read_from_its_file_or_from_its_keys(default: Tree) -> None:
    again = read(written(tomllib.loads(DEFAULT)), "again")
    assert again == default
    assert [each for _, each in walk(again.root)] == [each for _, each in walk(default.root)]


def test_what_the_packaged_tree_counts_says_what_it_is(default: Tree) -> None:
    assert all(len(each.about) >= 10 for each in default.indicators)
    names = [each.name for _, each in walk(default.root)]
    assert len(set(names)) == len(names)


@pytest.fixture(scope="module")
def guide() -> str:
    return (PACKAGED.parents[2] / "docs" / "howto-index-tree.md").read_text(encoding="utf-8")


def test_the_example_of_the_guide_is_a_tree(guide: str) -> None:
    example = "".join(part.split("```")[0] for part in guide.split("```toml")[1:])
    tree = read(example, "guide")
    assert (tree.counts(), len(tree.rules)) == ((1, 1, 2), 1)


def test_the_guide_lists_every_word_and_fact(guide: str) -> None:
    groups = {name.split(".")[0] for name in NAMES}
    lines = {group: next(line for line in guide.splitlines() if f"| `{group}.`" in line) for group in groups}
    assert all(f"`{name.split('.')[1]}`" in lines[name.split(".")[0]] for name in NAMES)
    method = (PACKAGED.parents[2] / "docs" / "methods" / "index.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {fact.title} | {fact.what} |" in method for name, fact in NAMES.items())
    assert all(f"`{word}`" in guide for kind in (Better, Gap, Level, Scale) for word in kind)


# --- what is refused


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # keys and types
        ('code = "small"', 'code = "Small"', "code: found 'Small', allowed: a code: a-z, 0-9 and _"),
        ('name = "小指数"', "", "name: found None, allowed: a name of 1 to 40 characters"),
        ('["geometric", "arithmetic", "arithmetic"]', '["geometric"]', "ways: found ['geometric'], allowed:"),
        ('"arithmetic", "arithmetic"]', '"arithmetic", "mean"]', "allowed: three of arithmetic, geometric"),
        ("floor = 85", "floor = 85\nbottom = 1", "1.1.1, bottom: found 1, allowed: no such key; there are c"),
        ('of = "matters.due"', 'off = "matters.due"', "1.1.1, measured.off: found 'matters.due', allowed: n"),
        ("days = 15", "days = 15\nscore = 1", "rule 1, score: found 1, allowed: no such key"),
        ("weight = 0.7", "weight = true", "1.1, weight: found True, allowed: a number from 0.0001 to 1"),
        ("weight = 0.7", "weight = 0", "1.1, weight: found 0"),
        ("weight = 0.7", "weight = nan", "1.1, weight: found nan"),
        ("weight = 0.7", f"weight = 1{'0' * 400}", "1.1, weight: found 1000"),
        ("floor = 85", 'floor = "85"', "1.1.1, floor: found '85', allowed: a number"),
        ("floor = 85", "floor = inf", "1.1.1, floor: found inf"),
        ('unit = "%"', "unit = 3", "1.1.1, unit: found 3, allowed: a name of 1 to 10 characters"),
        ('better = "more"', 'better = "high"', "1.1.1, better: found 'high', allowed: one of more, less"),
        ('scale = "z"', 'scale = ["z"]', "1.1.2, scale: found ['z'], allowed: one of target, min_max, z, ra"),
        ("{ part", "3 # { part", "1.1.1, measured: found 3, allowed: a table of part, of,"),
        ("[[group]]", "[group]", "file: found"),
        # codes and names
        ('code = "1.1.2"', 'code = "1.1.1"', "1.1.1, code: found '2 times', allowed: a code that nothing el"),
        ('code = "1.2"', 'code = "1.1"', "1.1, code: found '2 times'"),
        ('code = "1.2.1"', 'code = "1.3.1"', "1.3.1, code: found '1.3.1', allowed: a code below a group: th"),
        ('code = "1.2.1"', 'code = "1.3.1"', "1.2, parts: found 'none', allowed: at least one [[indicator]]"),
        ('code = "1.2.1"', 'code = "1.2"', "1.2, code: found '1.2', allowed: a code: 1.2.3, below the group"),
        ('code = "1.2.1"', 'code = "1.2.1.1"', "1.2.1.1, code: found '1.2.1.1'"),
        ('code = "1.2"', 'code = "1.02"', "1.02, code: found '1.02', allowed: a code: 1 for a first-level g"),
        ('code = "1.2"', 'code = "1.2.3"', "1.2.3, code: found '1.2.3', allowed: a code: 1 for a first-leve"),
        ('name = "同比"', 'name = "按期办结率"', "1.1.2, name: found '按期办结率', allowed: a name that not"),
        ('name = "同比"', f'name = "{"长" * 41}"', "1.1.2, name: found '长长"),
        # weights
        ("weight = 0.7", "weight = 0.71", "1, weights: found '1.01 (1.1 0.71, 1.2 0.3)', allowed: weights o"),
        ("weight = 1\n", "weight = 0.99998\n", "weights: found '0.99998 (1 0.99998)'"),
        # sources
        ('department = "民政局"', "", "1.2.1, measured: found 'none', allowed: measured by this system or f"),
        ("floor = 85", 'floor = 85\ndepartment = "民政局"', "1.1.1, measured: found 'both'"),
        ("matters.on_time", "matters.pretty", "1.1.1, measured.part: found 'matters.pretty', allowed: what"),
        ('of = "matters.due"', 'of = "due"', "1.1.1, measured.of: found 'due', allowed: what this system me"),
        ('part = "matters.on_time", ', "", "1.1.1, measured.part: found None"),
        ("matters.on_time", "mediations.agreed", "1.1.1, levels: found 'department', allowed: levels that m"),
        ('of = "matters.due" }', 'of = "matters.due", per = 0 }', "1.1.1, measured.per: found 0"),
        ('of = "matters.due" }', 'of = "matters.due", fewest = -1 }', "1.1.1, measured.fewest: found -1"),
        ('["教育"]', '"教育"', "1.1.2, measured.categories: found '教育', allowed: a list of names"),
        ('["教育"]', '["教育", "教育"]', "1.1.2, measured.categories: found ['教育', '教育'], allowed: each"),
        ('of = "matters.due" }', "of_months_before = 12 }", "1.1.1, measured.of_months_before: found 12, al"),
        ("of_months_before = 9", "of_months_before = 25", "1.1.2, measured.of_months_before: found 25"),
        # scale, bounds, levels, gaps
        ("target = 97.4", "", "1.1.1, target: found None, allowed: a number with scale target, and only the"),
        ('scale = "z"', 'scale = "z"\nfloor = 1', "1.1.2, floor: found 1.0, allowed: a number with scale ta"),
        ("target = 97.4", "target = 85", "1.1.1, target: found 85.0, allowed: more than the floor 85, as mo"),
        ('better = "more"', 'better = "less"', "1.1.1, target: found 97.4, allowed: less than the floor 85,"),
        ("target = 97.4", "target = 101", "1.1.1, target: found 101.0, allowed: from lowest to highest, 0 t"),
        ("floor = 85", "floor = -1", "1.1.1, floor: found -1.0"),
        ("highest = 100", "highest = 0", "1.1.1, lowest: found 0.0, allowed: less than highest, 0"),
        ('"department", "city"]', '"village"]', "1.1.1, levels: found ['town', 'village'], allowed: a list"),
        ('levels = ["town"]', "levels = []", "1.1.2, levels: found [], allowed: at least one of city, town,"),
        ('levels = ["town"]', 'levels = ["town", "city"]', "1.1.2, levels: found 'city', allowed: no city w"),
        ("gap_months = 2", "", "1.2.1, gap_months: found 0, allowed: 1 or more with gap last, and only ther"),
        ('gap = "last"', "", "1.2.1, gap_months: found 2, allowed: 1 or more with gap last, and only there"),
        ('gap = "last"', 'gap = "zero"', "1.2.1, gap: found 'zero', allowed: one of share, last, average, w"),
        # rules
        ('kind = "talk"', 'kind = "chat"', "rule 1, kind: found 'chat', allowed: one of talk, supervision"),
        ('span = "month"', 'span = "week"', "rule 1, span: found 'week'"),
        ("below = 60", "", "rule 1, below: found None, allowed: a condition: at least one of below, last an"),
        ("below = 60", "below = 101", "rule 1, below: found 101"),
        ("below = 60", "last = 0", "rule 1, last: found 0"),
        ("below = 60", "fallen = -3", "rule 1, fallen: found -3"),
        ("days = 15", "days = 366", "rule 1, days: found 366, allowed: a whole number from 1 to 365"),
        ("days = 15", "days = 15\nrunning = 13", "rule 1, running: found 13, allowed: a whole number from 1"),
        ('levels = ["town"]\nsays', 'levels = ["city"]\nsays', "rule 1, levels: found ['city'], allowed: a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_code_key_found_and_allowed(old: str, new: str, said: str) -> None:
    assert old in GOOD
    faults = refused(GOOD.replace(old, new, 1))
    assert said in faults
    assert all(line.startswith("small.toml: ") for line in faults.splitlines())


def test_everything_wrong_is_said_at_once() -> None:
    text = GOOD
    for old, new in [
        ('name = "小指数"', 'name = ""'), ("weight = 0.7", "weight = 0.5"), ("floor = 85", "floor = 99"),
        ("gap_months = 2", "months = 2"), ('unit = "%"', "unit = 1"), ("days = 15", "days = 0"),
    ]:  # fmt: skip
        text = text.replace(old, new, 1)
    with pytest.raises(FileError) as why:
        read(text, "small.toml")
    assert isinstance(why.value, TreeError)
    assert [(fault.place, fault.key) for fault in why.value.faults] == [
        ("", "name"), ("1.1.1", "unit"), ("1.1.1", "target"), ("1.2.1", "months"), ("1.2.1", "gap_months"),
        ("rule 1", "days"), ("1", "weights"),
    ]  # fmt: skip


def test_what_follows_from_a_key_that_is_wrong_is_not_said_too() -> None:
    faults = refused(GOOD.replace('scale = "z"', 'scale = "zz"'))
    assert faults.count("\n") == 0
    assert refused(GOOD.replace("weight = 0.7", 'weight = "0.7"')).count("\n") == 0


@pytest.mark.parametrize(
    "word",
    ["行政拘留数", "刑拘人数", "逮捕人数", "破案率", "重点人员走访率", "维稳责任", "上访数", "Detentions"],
)  # fmt: skip
def test_nothing_counts_detentions_or_labels_people(word: str) -> None:
    for old in ('name = "民生保障"', 'name = "按期办结率"', 'says = "低于60分"'):
        key = old.split(" ")[0]
        assert "the index counts no detentions" in refused(GOOD.replace(old, f'{key} = "{word}"'))
    assert "1.1.1, about" in refused(GOOD.replace("floor = 85", f'floor = 85\nabout = "{word}"'))


def test_an_office_of_administrative_approval_may_be_named() -> None:
    text = GOOD.replace('"民政局"', '"行政审批服务局"').replace('"民生保障"', '"行政审批提速"')
    assert read(text, "small.toml").counts() == (1, 2, 3)


@pytest.mark.parametrize("text", ["", "code = ", "[" * 9000, f"a = {'9' * 9000}", "# " + "长" * LARGEST_FILE])
def test_what_is_no_tree_at_all_is_refused(text: str) -> None:
    assert refused(text).startswith("small.toml: ")
    assert len(refused(text)) < 2000


# --- a fault anywhere in the packaged tree

RAW = tomllib.loads(DEFAULT)
Spoil = Callable[[dict[str, Any], st.DataObject], str]


def spoiled_weight(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = pick(raw, data)
    entry["weight"] = round(entry["weight"] + data.draw(st.sampled_from((0.01, 0.0001))), 4)
    if entry["weight"] > 1:
        return f"{entry['code']}, weight"
    return f"{parent(entry)}, weight" if parent(entry) else "weight"


def spoiled_code(raw: dict[str, Any], data: st.DataObject) -> str:
    one, other = pick(raw, data), pick(raw, data)
    if one is other or one["code"].count(".") != other["code"].count("."):
        one["code"] = "0." + one["code"]
        return f"{one['code']}, code: found '0."
    one["code"] = other["code"]
    return f"{other['code']}, code: found '2 times'"


def unknown_key(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = pick(raw, data)
    entry["extra"] = 1
    return f"{entry['code']}, extra: found 1, allowed: no such key"


def wrong_type(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = pick(raw, data)
    key = data.draw(st.sampled_from(sorted(set(entry) - {"code"})))
    wrong: list[Any] = [True, [1], [["town"]], {"a": 1}]
    entry[key] = data.draw(st.sampled_from(wrong))
    return f"{entry['code']}, {key}"


def lacking_key(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = pick(raw, data)
    needed = ("name", "weight", "unit", "better", "levels", "measured", "department", "floor", "target")
    key = data.draw(st.sampled_from([key for key in needed if key in entry]))
    del entry[key]
    return f"{entry['code']}, {'measured' if key == 'department' else key}: found"


def turned_scale(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = data.draw(st.sampled_from([each for each in raw["indicator"] if "floor" in each]))
    entry["better"] = "less" if entry["better"] == "more" else "more"
    return f"{entry['code']}, target: found {float(entry['target'])}"


def unknown_fact(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = data.draw(st.sampled_from([each for each in raw["indicator"] if "measured" in each]))
    entry["measured"]["part"] += "_"
    return f"{entry['code']}, measured.part: found"


def lost_entry(raw: dict[str, Any], data: st.DataObject) -> str:
    entry = pick(raw, data)
    entries = raw["indicator" if "unit" in entry else "group"]
    entries.remove(entry)
    return "weights" if any(parent(each) == parent(entry) for each in entries) else f"{parent(entry)}, parts"


def parent(entry: dict[str, Any]) -> str:
    return str(entry["code"]).rpartition(".")[0]


def pick(raw: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    entry: dict[str, Any] = data.draw(st.sampled_from(raw["group"] + raw["indicator"]))
    return entry


SPOILS: tuple[Spoil, ...] = (
    spoiled_weight, spoiled_code, unknown_key, wrong_type, lacking_key, turned_scale, unknown_fact, lost_entry
)  # fmt: skip


@given(st.sampled_from(SPOILS), st.data())
def test_a_fault_anywhere_in_the_packaged_tree_is_refused_and_named(
    spoil: Spoil, data: st.DataObject
) -> None:
    raw = copy.deepcopy(RAW)
    said = spoil(raw, data)
    assert f"small.toml: {said}" in refused(written(raw)) or (
        said == "weights" and ", weights: " in refused(written(raw))
    )


def test_no_tree_of_other_depth_comes_out(default: Tree) -> None:
    assert all(isinstance(each, Node) == (depth < 3) for depth, each in walk(default.root))
