"""One thing that is watched, and the state it is in."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class State(StrEnum):
    """How a thing is; each has its word and its sign, so that no colour stands alone."""

    OK = "ok"
    WATCH = "watch"
    BAD = "bad"


STATE_NAMES = {State.OK: "正常", State.WATCH: "留意", State.BAD: "要处理"}
STATE_SIGNS = {State.OK: "✓", State.WATCH: "!", State.BAD: "✕"}


@dataclass(frozen=True)
class Number:
    """A number for a program that watches; `kind` tells those of one name apart: ("status", "waiting")."""

    name: str
    value: float
    kind: tuple[str, str] | None = None


@dataclass(frozen=True)
class Line:
    """One thing that is watched: how it is, what it says, what to do about it and on which page."""

    key: str
    name: str
    state: State
    says: str
    todo: str = ""
    endpoint: str = ""
    numbers: tuple[Number, ...] = ()


class Stated(Protocol):
    """Anything that has a state."""

    @property
    def state(self) -> State: ...


def worst(found: Iterable[Stated]) -> State:
    """Return the worst state of some lines."""
    return max((each.state for each in found), key=list(State).index, default=State.OK)


def above(value: float, watch: float, bad: float) -> State:
    """Return how a thing is that is worse the more there is of it."""
    return State.BAD if value > bad else State.WATCH if value > watch else State.OK


def size(amount: float) -> str:
    """Return a number of bytes as a person reads it.

    >>> size(3 << 30), size(2048)
    ('3.0 GB', '2 KB')
    """
    for unit, each in (("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20)):
        if amount >= each:
            return f"{amount / each:.1f} {unit}"
    return f"{amount / 1024:.0f} KB"


def span(seconds: float) -> str:
    """Return a time as a person reads it.

    >>> span(42), span(150), span(8000), span(200000)
    ('42 秒', '2 分钟', '2.2 小时', '2.3 天')
    """
    if seconds < 120:
        return f"{seconds:.0f} 秒"
    if seconds < 7200:
        return f"{seconds // 60:.0f} 分钟"
    return f"{seconds / 3600:.1f} 小时" if seconds < 172_800 else f"{seconds / 86_400:.1f} 天"
