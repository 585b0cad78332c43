"""How the city and its units stand: the first parts of a bulletin, by rules from its figures."""

from collections.abc import Sequence

from gridmgmt.index.bulletins import phrases as say
from gridmgmt.index.bulletins.blocks import (
    Block,
    Facts,
    Figure,
    Table,
    all_units,
    by_code,
    known_units,
    ordered,
    span_of,
)
from gridmgmt.index.periods import Span
from gridmgmt.index.tree import LEVEL_NAMES, Level

# --- 总体情况


def overview(data: Facts) -> list[Block]:
    """Say how the city stands, how many units rose or fell, which first-level parts are best and worst."""
    said = [_city(data)]
    for level in (Level.TOWN, Level.DEPARTMENT):
        known = known_units(data, level)
        if known:
            said.append(_spread(known, level) + _rises(known, span_of(data)))
    said.append(_first_level(data))
    return ["".join(each for each in said if each)]


def _city(data: Facts) -> str:
    known = known_units(data, Level.CITY)
    name = data["period"]["name"]
    if not known:
        return f"{name}，全市平安指数缺数据。"
    unit = known[0]
    said = f"{name}，全市平安指数为{say.score(unit['score'])}"
    if unit["change"] is not None:
        said += f"，与{say.before(span_of(data))}相比{say.change(unit['change'])}"
    if unit["adjusted"] is not None:
        said += f"，剔除季节因素后{say.change(unit['adjusted'])}"
    return said + "。"


def _spread(known: Sequence[Facts], level: Level) -> str:
    scores = [each["score"] for each in known]
    count = f"{len(known)}个{LEVEL_NAMES[level]}"
    if len(known) == 1:
        return f"{count}得分为{say.score(scores[0])}"
    if say.same(max(scores) - min(scores)):
        return f"{count}得分均为{say.score(scores[0])}"
    mean = sum(scores) / len(scores)
    return f"{count}得分在{min(scores):.2f}分至{max(scores):.2f}分之间，平均{say.score(mean)}"


def _rises(known: Sequence[Facts], span: Span) -> str:
    changes = [each["change"] for each in known if each["change"] is not None]
    if not changes:
        return "。"
    if len(known) == 1:
        return f"，与{say.before(span)}相比{say.change(changes[0])}。"
    counts = (
        ("上升", sum(not say.same(each) and each > 0 for each in changes)),
        ("下降", sum(not say.same(each) and each < 0 for each in changes)),
        ("持平", sum(say.same(each) for each in changes)),
    )
    told = [f"{count}个{word}" for word, count in counts if count]
    if len(told) == 1:
        word = next(word for word, count in counts if count)
        return f"，与{say.before(span)}相比全部{word}。"
    return f"，与{say.before(span)}相比，{'、'.join(told)}。"


def _first_level(data: Facts) -> str:
    """Say which first-level part is best and worst on the mean of the towns."""
    means = _means(data, Level.TOWN)
    if len(means) < 2 or say.same(means[0][0] - means[-1][0]):
        return ""
    best, worst = means[0], means[-1]
    return (
        f"各项一级指标镇街平均得分中，{best[1]}最高，为{say.score(best[0])}；"
        f"{worst[1]}最低，为{say.score(worst[0])}。"
    )


def _means(data: Facts, level: Level) -> list[tuple[float, str]]:
    """Return the mean points of the units and the name of each first-level part, the best first."""
    found = []
    for part in data["tree"]["parts"]:
        points = [unit["parts"][part["code"]] for unit in all_units(data, level)]
        known = [each for each in points if each is not None]
        if known:
            found.append((sum(known) / len(known), part["name"]))
    return sorted(found, key=lambda each: (-each[0], each[1]))


# --- 得分及排名


def ranking(data: Facts, level: Level) -> list[Block]:
    """Name the units by place, those that cannot be told apart together, with a table, a chart and a map."""
    known = known_units(data, level)
    if not known:
        return []
    name = LEVEL_NAMES[level]
    unknown = [unit["name"] for unit in all_units(data, level) if unit["score"] is None]
    blocks: list[Block] = [groups(data, level)]
    if unknown:
        blocks.append(f"{say.names(unknown, f'个{name}')}没有可计算的指标，不参加排名。")
    blocks.append(score_table(data, level))
    if level is Level.TOWN and len(known) > 1:
        blocks.append(_score_chart(known, level))
    drawn = data["outlines"].keys() & {unit["code"] for unit in known}
    if level is Level.TOWN and len(drawn) > 1:
        blocks.append(
            Figure("map", "镇街得分分布图", f"镇街得分地图，颜色越深得分越高：{_in_order(known)}。")
        )
    return blocks


def groups(data: Facts, level: Level) -> str:
    """Say who stands at which place; those that cannot be told apart share places."""
    found, units = data["levels"][level]["groups"], by_code(all_units(data, level))
    count = sum(map(len, found))
    name = f"个{LEVEL_NAMES[level]}"
    if count == 1:
        return f"参加评价的只有{units[found[0][0]]['name']}，不作排名。"
    if len(found) == 1:
        return f"{count}{name}得分接近，名次不能区分。"
    told, place = [], 1
    for group in found:
        listed = "、".join(units[code]["name"] for code in group)
        together = "得分接近、不能区分，" if len(group) > 1 else ""
        told.append(
            f"{listed}{'：' if together else ''}{together}{say.places(place, place + len(group) - 1)}"
        )
        place += len(group)
    return f"{count}{name}按名次为：{'；'.join(told)}。"


def score_table(data: Facts, level: Level) -> Table:
    """Return places, scores, changes and the interval of places of the units, the best first."""
    adjusted = data["levels"][level]["season"]["taken_out"]
    name, last = LEVEL_NAMES[level], say.before(span_of(data))
    head = ["名次", name, "得分", f"比{last}", *(["剔除季节后"] if adjusted else []), "名次区间"]
    rows = []
    for unit in ordered(data, level):
        known = unit["score"] is not None
        season = [say.signed(unit["adjusted"])] if adjusted else []
        rows.append((
            str(unit["rank"]) if known else "—", unit["name"], f"{unit['score']:.2f}" if known else "缺",
            say.signed(unit["change"]), *season, _interval(unit),
        ))  # fmt: skip
    columns = (12, 34, 16, 16, *((18,) if adjusted else ()), 18)
    return Table(f"{name}得分及名次", columns, tuple(head), tuple(rows))


def _interval(unit: Facts) -> str:
    if unit["low"] is None or unit["score"] is None:
        return "—"
    low, high = unit["low"], unit["high"]
    return str(low) if low == high else f"{low}—{high}"


def _score_chart(known: Sequence[Facts], level: Level) -> Figure:
    name = LEVEL_NAMES[level]
    return Figure(
        f"scores-{level}",
        f"{name}得分与名次区间",
        f"左为{name}得分，右为名次和90%名次区间：{_in_order(known)}。",
    )


def _in_order(known: Sequence[Facts]) -> str:
    best = sorted(known, key=lambda unit: (unit["rank"], unit["code"]))
    return "，".join(f"{unit['name']}{say.score(unit['score'])}" for unit in best)
