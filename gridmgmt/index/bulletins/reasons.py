"""Why scores moved and what was lost most: parts of a bulletin, by rules from its figures."""

from collections import Counter
from collections.abc import Sequence

from gridmgmt.index.bulletins import phrases as say
from gridmgmt.index.bulletins.blocks import REASONS, Block, Facts, Figure, by_code, known_units
from gridmgmt.index.tree import LEVEL_NAMES, Level

# --- 升降最大及原因


def movers(data: Facts) -> list[Block]:
    """Say which units rose and fell most and which indicators moved them."""
    told: list[Block] = []
    for level in (Level.TOWN, Level.DEPARTMENT):
        known = known_units(data, level)
        if any(unit["change"] is not None for unit in known):
            flat = not any(say.extreme(known, up=up) for up in (True, False))
            alike = [f"{LEVEL_NAMES[level]}得分均持平。"]
            told += alike if flat else [_mover(data, level, up=up) for up in (True, False)]
    largest = largest_mover(data)
    if not told:
        return [f"{data['period']['before']}的数据不全，不作比较。"]
    if largest:
        caption = f"{largest['name']}得分变化构成"
        told.append(Figure("mover", caption, f"{caption}：{_story(data, largest)}。"))
    return told


def largest_mover(data: Facts) -> Facts | None:
    """Return the town that moved most, the one that fell where two moved alike; None where none moved."""
    moved = [unit for unit in known_units(data, Level.TOWN) if unit["change"] is not None]
    moved = [unit for unit in moved if not say.same(unit["change"]) and unit["moved"]]
    return max(
        moved, key=lambda unit: (round(abs(unit["change"]), 2), -unit["change"], unit["code"]), default=None
    )


def _mover(data: Facts, level: Level, *, up: bool) -> str:
    found = say.extreme(known_units(data, level), up=up)
    name, word = LEVEL_NAMES[level], "升" if up else "降"
    if not found:
        return f"没有{name}得分上{word}。" if up else f"没有{name}得分下{word}。"
    listed = say.names([unit["name"] for unit in found], f"个{name}")
    head = f"{word}幅最大的{name}是{listed}，{'均' if len(found) > 1 else ''}{say.change(found[0]['change'])}"
    if len(found) > 1:
        whys = [f"{unit['name']}：{why}" for unit in found[:REASONS] if (why := _why(data, unit, up=up))]
        return f"{head}。" + "".join(f"{why}。" for why in whys)
    why = _why(data, found[0], up=up)
    return f"{head}。主要原因：{why}。" if why else f"{head}。"


def _why(data: Facts, unit: Facts, *, up: bool) -> str:
    indicators = by_code(data["indicators"])
    sign = 1 if up else -1
    told = [
        say.reason(each, indicators[each["code"]])
        for each in unit["moved"]
        if sign * each["points"] >= say.LEAST
    ]
    weighed = sign * unit["weighed"]
    if weighed >= say.LEAST and len(told) < REASONS:
        told.append(f"缺项或指标体系调整引起的权重变化{'拉高' if up else '拉低'}{weighed:.2f}分")
    return "；".join(told[:REASONS])


def _story(data: Facts, unit: Facts) -> str:
    last = data["period"]["before"]
    up = unit["change"] > 0
    return f"{last}{say.score(unit['before'])}，{_why(data, unit, up=up)}，本期{say.score(unit['score'])}"


# --- 突出问题


def problems(data: Facts) -> list[Block]:
    """Say what the towns lost most by, at the first and the third level, and who lost it."""
    known = known_units(data, Level.TOWN)
    if not known:
        return []
    said = [each for each in (_lost_first(data, known), _lost_third(data, known)) if each]
    low = [unit for unit in known if len(known) > 2 and unit["low"] == unit["high"] == len(known)]
    said += [f"{unit['name']}在各种权重下都居末位，得分{say.score(unit['score'])}。" for unit in low]
    return ["".join(said)] if said else ["各镇街各项指标均为满分，没有突出问题。"]


def _lost_first(data: Facts, known: Sequence[Facts]) -> str:
    parts = by_code(data["tree"]["parts"])
    mean = {code: sum(unit["lost"][code] for unit in known) / len(known) for code in parts}
    whole = sum(mean.values())
    most = [code for code in sorted(mean, key=lambda code: (-mean[code], code)) if mean[code] >= say.LEAST]
    if not most:
        return ""
    told = [
        f"{parts[code]['name']}（平均失{say.score(mean[code])}，占{100 * mean[code] / whole:.0f}%）"
        for code in most[:REASONS]
    ]
    return f"镇街失分最多的一级指标是{'、'.join(told)}。"


def _lost_third(data: Facts, known: Sequence[Facts]) -> str:
    """Say which third-level indicators are among what most towns lost most by."""
    indicators = by_code(data["indicators"])
    lost: Counter[str] = Counter()
    worst: dict[str, tuple[float, str]] = {}
    for unit in known:
        for each in unit["lost_most"]:
            lost[each["code"]] += each["points"]
            worst[each["code"]] = max(worst.get(each["code"], (0.0, "")), (each["points"], unit["name"]))
    most = sorted(lost, key=lambda code: (-lost[code], code))[:REASONS]
    told = [
        f"{indicators[code]['name']}（{worst[code][1]}失{say.score(worst[code][0])}，为最多）"
        for code in most
    ]
    return f"失分集中的三级指标是{'、'.join(told)}。" if told else ""
