"""What a bulletin is made of: parts of paragraphs, tables and figures; and what all its rules use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from gridmgmt.index.periods import Span
from gridmgmt.index.tree import Level

Facts = Mapping[str, Any]
REASONS = 3  # of one unit's rise or fall, and of what is lost most
FILLED = {
    "last": "沿用以前月份的值", "average": "按其他单位的平均得分计", "worst": "按最低得分计",
    "shared": "权重转由同级指标分担",
}  # fmt: skip
STATUS = {"measured": "系统测算", "entered": "部门填报", "missing": "缺"}


@dataclass(frozen=True)
class Table:
    """A table; `columns` are the shares of its columns."""

    caption: str
    columns: tuple[int, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A chart or map by its name, with its caption and what it shows in words."""

    name: str
    caption: str
    says: str


Block = str | Table | Figure


@dataclass(frozen=True)
class Section:
    """A part of a bulletin under its heading."""

    heading: str
    blocks: tuple[Block, ...]


def all_units(data: Facts, level: Level) -> list[Facts]:
    """Return the units of a level, by code."""
    found: list[Facts] = data["levels"][level]["units"]
    return found


def known_units(data: Facts, level: Level) -> list[Facts]:
    """Return the units of a level that have a score."""
    return [unit for unit in all_units(data, level) if unit["score"] is not None]


def ordered(data: Facts, level: Level) -> list[Facts]:
    """Return the units by their place, those without a score last."""
    found = all_units(data, level)
    return sorted(found, key=lambda unit: (unit["rank"] or len(found) + 1, unit["code"]))


def by_code(listed: Iterable[Facts]) -> dict[str, Facts]:
    """Return what is listed by its code."""
    return {each["code"]: each for each in listed}


def span_of(data: Facts) -> Span:
    """Return how long the period is."""
    return Span(data["period"]["span"])


def day(of: date) -> str:
    """Return a day as official papers write it: 2026年1月8日."""
    return f"{of.year}年{of.month}月{of.day}日"
