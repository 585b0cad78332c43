"""What a talk rests on, as JSON that a person can check: score, place, what was lost, what moved."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from gridmgmt.index.spans import SpanBoard
from gridmgmt.index.talks.past import Past
from gridmgmt.index.tree import Indicator, Rule

MOST = 5
DIGITS = 4
# Less than this is not worth a line: half of what two decimals show.
LEAST = 0.005


def of(past: Past, span: SpanBoard, place: int, rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the evidence on the unit at a place of the arrays, for the rules that hold of it."""
    shares = past.shares(span)
    return {
        "tree": span.tree.name,
        "score": _rounded(span.total[place]),
        "place": int(span.ranks[place]),
        "of": int(np.isfinite(span.total).sum()),
        "low": int(shares.low[place]),
        "high": int(shares.high[place]),
        **_moves(past, span, place),
        "days": min(rule.days for rule in rules),
        "rules": [_rule(rule, past, span, place) for rule in rules],
        "lost": _lost(span, place),
        "moved": _moved(past, span, place),
    }


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) if np.isfinite(value) else None


def _moves(past: Past, span: SpanBoard, place: int) -> dict[str, Any]:
    """Return the score before, how far it moved, and how far with the season taken out."""
    before, adjusted = past.span(span.period.before), past.rise_adjusted(span)
    return {
        "before": _rounded(before.total[place]) if before else None,
        "change": _rounded(past.rise(span)[place]),
        "adjusted": None if adjusted is None else _rounded(adjusted[place]),
        "season": past.season.why,
    }


def _rule(rule: Rule, past: Past, span: SpanBoard, place: int) -> dict[str, Any]:
    """Return a rule's conditions, and what was found in each period that it looks at, the newest first."""
    asked = {"below": rule.below, "last": rule.last, "fallen": rule.fallen}
    seen = islice(past.backwards(span), rule.running)
    return {
        "says": rule.says,
        **{name: value for name, value in asked.items() if value is not None},
        "found": [_found(rule, past, each, place) for each in seen],
    }


def _found(rule: Rule, past: Past, span: SpanBoard, place: int) -> dict[str, Any]:
    found: dict[str, Any] = {"period": span.period.name, "score": _rounded(span.total[place])}
    if rule.last is not None:
        share = past.among_last(span, rule.last)[place]
        found |= {"place": int(span.ranks[place]), "share": _rounded(share)}
    if rule.fallen is not None:
        moves = _moves(past, span, place)
        found |= {"change": moves["change"], "adjusted": moves["adjusted"]}
    return found


def _lost(span: SpanBoard, place: int) -> list[dict[str, Any]]:
    """Return the indicators that took most from 100; values are means of the months."""
    most = sorted(span.lost.items(), key=lambda each: -_zero(each[1][place]))
    return [
        {
            "code": code,
            "name": span.by_code[code].name,
            "unit": getattr(span.by_code[code], "unit", ""),
            "value": _value(span, code, place),
            "points": _rounded(span.points[code][place]),
            "lost": _rounded(lost[place]),
        }
        for code, lost in most[:MOST]
        if _zero(lost[place]) >= LEAST
    ]


def _value(span: SpanBoard, code: str, place: int) -> float | None:
    if not isinstance(span.by_code[code], Indicator):
        return None
    unit = span.units[place].code
    values = [board.value(code, unit).value for board in span.boards]
    known = [value for value in values if value is not None]
    return _rounded(sum(known) / len(known)) if known else None


def _moved(past: Past, span: SpanBoard, place: int) -> list[dict[str, Any]]:
    """Return what moved the score most against the period before; `weight` says that a weight did."""
    change, before = past.change(span), past.span(span.period.before)
    if change is None or before is None:
        return []
    names = before.by_code | span.by_code
    parts = [
        (code, kind, _zero(by[place]))
        for kind, each in (("points", change.moved), ("weight", change.weighed))
        for code, by in each.items()
    ]
    most = sorted(parts, key=lambda part: -abs(part[2]))
    return [
        {
            "code": code,
            "name": names[code].name,
            "by": kind,
            "before": _points(before, code, place),
            "points": _points(span, code, place),
            "moved": _rounded(moved),
        }
        for code, kind, moved in most[:MOST]
        if abs(moved) >= LEAST
    ]


def _points(span: SpanBoard, code: str, place: int) -> float | None:
    return _rounded(span.points[code][place]) if code in span.points else None


def _zero(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0
