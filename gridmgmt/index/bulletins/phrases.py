"""Small phrases of a bulletin, made by rules from figures: numbers, changes, names, what moved a score."""

from collections.abc import Mapping, Sequence
from typing import Any

from gridmgmt.index.periods import Span

# What is less cannot be seen in two decimals.
LEAST = 0.005
MOST_NAMES = 6
_BEFORE = {
    Span.MONTH: "上月", Span.QUARTER: "上季度", Span.HALF: "上一个半年", Span.YEAR: "上年",
}  # fmt: skip


def number(value: float, digits: int = 2) -> str:
    """Return a number without needless zeros; never -0.

    >>> number(92.10), number(-0.001), number(1232)
    ('92.1', '0', '1232')
    """
    written = f"{value:.{digits}f}"
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written == "-0" else written


def score(value: float) -> str:
    """Return a score with its unit: 86.50分."""
    return f"{value:.2f}分"


def with_unit(value: float, unit: str) -> str:
    """Return a value with its unit: 92.1%, 3.5件."""
    return f"{number(value)}{unit}"


def before(span: Span) -> str:
    """Return what the period before is called."""
    return _BEFORE[span]


def same(change: float) -> bool:
    """Say whether a change is none in two decimals."""
    return abs(change) < LEAST


def change(value: float) -> str:
    """Return a change of a score in words; the number has no sign.

    >>> change(1.254), change(-0.3), change(0.001)
    ('上升1.25分', '下降0.30分', '持平')
    """
    return "持平" if same(value) else f"{'上升' if value > 0 else '下降'}{abs(value):.2f}分"


def signed(value: float | None) -> str:
    """Return a change for a table: +1.25, −0.30, 0.00, — where it is not known."""
    if value is None:
        return "—"
    sign = "" if same(value) else "+" if value > 0 else "−"
    return f"{sign}{abs(value):.2f}"


def names(listed: Sequence[str], of: str = "", most: int = MOST_NAMES) -> str:
    """Return names in a row, the first ones and how many there are where they are many.

    >>> names(["甲", "乙"]), names(["甲", "乙", "丙"], "个镇街", most=2)
    ('甲、乙', '甲、乙等3个镇街')
    """
    if len(listed) <= most:
        return "、".join(listed)
    return f"{'、'.join(listed[:most])}等{len(listed)}{of}"


def moved_value(was: float | None, now: float | None, name: str, unit: str) -> str:
    """Return how a value moved: it rose or fell to another, or stays and only its standing moved."""
    if now is None:
        return f"{name}本期缺数据"
    if was is None:
        return f"{name}上期缺数据，本期为{with_unit(now, unit)}"
    said = with_unit(was, unit), with_unit(now, unit)
    if said[0] == said[1]:
        return f"{name}仍为{said[1]}"
    return f"{name}由{said[0]}{'升' if now > was else '降'}至{said[1]}"


def reason(moved: Mapping[str, Any], indicator: Mapping[str, Any]) -> str:
    """Return what one indicator did to a score: 办结率由92.1%降至85.3%，拉低1.24分."""
    said = moved_value(moved["before"], moved["now"], indicator["name"], indicator["unit"])
    return f"{said}，{'拉高' if moved['points'] > 0 else '拉低'}{abs(moved['points']):.2f}分"


def places(first: int, last: int) -> str:
    """Return a place, or the places that are shared by those who cannot be told apart.

    >>> places(3, 3), places(1, 3)
    ('第3名', '第1至3名')
    """
    return f"第{first}名" if first == last else f"第{first}至{last}名"


def extreme(units: Sequence[Mapping[str, Any]], *, up: bool) -> list[Mapping[str, Any]]:
    """Return the units that rose (or fell) most, several where they did so alike in two decimals, or none."""
    sign = 1 if up else -1
    known = [each for each in units if each["change"] is not None and sign * each["change"] >= LEAST]
    most = max((round(sign * each["change"], 2) for each in known), default=0.0)
    return [each for each in known if round(sign * each["change"], 2) == most]
