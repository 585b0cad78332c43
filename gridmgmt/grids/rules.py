"""The rules of a division into grids, and what is said when one is broken."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """What can be wrong with a grid, or with all of them together."""

    EMPTY = "empty"
    SELF_CROSSING = "self_crossing"
    OVERLAP = "overlap"
    GAP = "gap"
    SLIVER = "sliver"
    OUTSIDE_VILLAGE = "outside_village"
    ACROSS_VILLAGE = "across_village"
    UNASSIGNED = "unassigned"
    CONTIGUITY = "contiguity"
    MULTIPART = "multipart"
    HOLE = "hole"
    COUNT = "count"
    HOUSEHOLD_BAND = "household_band"
    COMPACTNESS = "compactness"
    NO_CHIEF = "no_chief"
    TWO_CHIEFS = "two_chiefs"


RULE_NAMES = {
    Rule.EMPTY: "没有图形",
    Rule.SELF_CROSSING: "边界自交",
    Rule.OVERLAP: "重叠",
    Rule.GAP: "空缺",
    Rule.SLIVER: "碎缝",
    Rule.OUTSIDE_VILLAGE: "超出村界",
    Rule.ACROSS_VILLAGE: "跨村",
    Rule.UNASSIGNED: "未划入网格",
    Rule.CONTIGUITY: "不连片",
    Rule.MULTIPART: "多块",
    Rule.HOLE: "有洞",
    Rule.COUNT: "网格数量",
    Rule.HOUSEHOLD_BAND: "户数",
    Rule.COMPACTNESS: "形状狭长",
    Rule.NO_CHIEF: "缺网格长",
    Rule.TWO_CHIEFS: "网格长重复",
}
# Findings of these rules do not keep a plan from being published.
WARNINGS = frozenset((Rule.MULTIPART, Rule.HOLE, Rule.HOUSEHOLD_BAND, Rule.COMPACTNESS, Rule.NO_CHIEF))
# What `Finding.value` counts or measures; areas stand in `area_m2`.
UNITS = {
    Rule.SLIVER: "处", Rule.CONTIGUITY: "块", Rule.MULTIPART: "块", Rule.HOLE: "个", Rule.COUNT: "个",
    Rule.HOUSEHOLD_BAND: "户", Rule.NO_CHIEF: "名", Rule.TWO_CHIEFS: "名",
}  # fmt: skip
_ORDER = {rule: place for place, rule in enumerate(Rule)}


class Severity(StrEnum):
    """An error keeps a plan from being published, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One broken rule and where.

    `key` is the grid ("" when it is about all of them); `other` the grid overlapped, the village reached
    into, or the village whose land has no grid. `area_m2` is ground, `value` a count or ratio in the unit
    that UNITS gives its rule. `lon`, `lat` lie inside the faulty ground, in degrees; NaN where there is no
    shape.
    """

    rule: Rule
    key: str
    other: str | None
    area_m2: float | None
    value: float | None
    allowed: str
    lon: float
    lat: float

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.rule in WARNINGS else Severity.ERROR

    @property
    def text(self) -> str:
        """What is wrong, as a sentence in Chinese."""
        if self.rule == Rule.GAP and self.other is None:
            return f"网格 {self.key} 旁有 {_area(self.area_m2)} 没有网格。"
        return _SENTENCES[self.rule].format(
            key=self.key, other=self.other, area=_area(self.area_m2), value=_number(self.value),
            allowed=self.allowed,
        )  # fmt: skip


_SENTENCES = {
    Rule.EMPTY: "网格 {key} 没有图形。",
    Rule.SELF_CROSSING: "网格 {key} 的边界自己交叉或相碰。",
    Rule.OVERLAP: "网格 {key} 与 {other} 重叠 {area}。",
    Rule.GAP: "网格 {key} 与 {other} 之间有 {area} 没有网格。",
    Rule.SLIVER: "网格 {key} 与 {other} 的共用边没有对齐，碎缝 {value} 处，共 {area}。",
    Rule.OUTSIDE_VILLAGE: "网格 {key} 超出本村边界 {area}。",
    Rule.ACROSS_VILLAGE: "网格 {key} 跨到 {other}，占地 {area}。",
    Rule.UNASSIGNED: "{other} 有 {area} 土地没有划入网格。",
    Rule.CONTIGUITY: "网格 {key} 分成 {value} 块，互不相连。",
    Rule.MULTIPART: "网格 {key} 由 {value} 块组成。",
    Rule.HOLE: "网格 {key} 中间有 {value} 个洞，共 {area}。",
    Rule.COUNT: "共 {value} 个网格，应为 {allowed}。",
    Rule.HOUSEHOLD_BAND: "网格 {key} 有 {value} 户，应为 {allowed}。",
    Rule.COMPACTNESS: "网格 {key} 形状狭长，紧凑度 {value}，应为 {allowed}。",
    Rule.NO_CHIEF: "网格 {key} 还没有网格长。",
    Rule.TWO_CHIEFS: "网格 {key} 有 {value} 名网格长，应为 {allowed}。",
}


def _area(area: float | None) -> str:
    if area is None:
        return ""
    return f"{area:,.0f} 平方米" if area >= 10 else f"{area:.2f} 平方米"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value == int(value) else f"{value:.2f}"


def rank(found: Finding) -> tuple[bool, float, int, str, str]:
    """Return the key by which findings stand in order: errors first, the largest first."""
    return (
        found.severity == Severity.WARNING,
        -(found.area_m2 or 0.0),
        _ORDER[found.rule],
        found.key,
        found.other or "",
    )
