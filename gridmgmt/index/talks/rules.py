"""Which units a talk or a listed supervision is proposed to after a period, by the rules of the tree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from gridmgmt.errors import NotEnoughDataError
from gridmgmt.index import stored
from gridmgmt.index.models import TalkKind
from gridmgmt.index.periods import Period
from gridmgmt.index.spans import SpanBoard
from gridmgmt.index.stored import Board
from gridmgmt.index.talks import evidence
from gridmgmt.index.talks.past import Past
from gridmgmt.index.talks.stored import Former, formers
from gridmgmt.index.tree import Level, Rule

# In so many draws of weights at least a unit must be among the last ones: else its place hangs on them.
SURE = 0.8
LEVELS = (Level.TOWN, Level.DEPARTMENT)


@dataclass(frozen=True)
class Proposal:
    """A talk or a supervision that rules propose to a unit: `days` are until its correction is due.

    `evidence` is JSON: docs/howto-index-talks.md says what is in it.
    """

    kind: TalkKind
    level: Level
    unit: str
    period: Period
    reason: str
    days: int
    evidence: Mapping[str, Any]


def propose(connection: Connection, period: Period) -> list[Proposal]:
    """Return what the rules of a period's tree propose after it, supervision first, then by level and unit.

    A supervision takes the place of a talk of the same unit, unless the centre has dropped it. Raises
    NotEnoughDataError while a month of the period has not been built.
    """
    built = [month for month in reversed(stored.months(connection)) if month <= period.last]
    missing = [month for month in period.months if month not in built]
    if missing:
        raise NotEnoughDataError(
            "month", f"{missing[0]:%Y-%m}", f"a built index of every month of {period.name}"
        )
    known = formers(connection)
    found = [each for level in LEVELS for each in find(stored.boards(connection, built, level), period)]
    spared = {each.unit for each in known if each.dropped and _same(each, period)}
    return [_with_former(each, known) for each in _foremost(found, spared)]


def find(boards: Sequence[Board], period: Period) -> list[Proposal]:
    """Return what the rules propose to the units of one level, one of a kind a unit; talks not replaced yet.

    `boards` are those of the level in order of time, up to the last month of the period.
    """
    past = Past(boards)
    span = past.span(period)
    if span is None:
        return []
    rules = [rule for rule in span.tree.rules if rule.span is period.span and span.level in rule.levels]
    hold = [_holds(rule, past, span) for rule in rules]
    found = []
    for kind in TalkKind:
        for place, unit in enumerate(span.units):
            mine = [rule for rule, held in zip(rules, hold, strict=True) if rule.kind == kind and held[place]]
            if mine:
                shown = evidence.of(past, span, place, mine)
                says, days = "；".join(rule.says for rule in mine), min(rule.days for rule in mine)
                found.append(Proposal(kind, Level(span.level), unit.code, period, says, days, shown))
    return found


def _holds(rule: Rule, past: Past, span: SpanBoard) -> NDArray[np.bool_]:
    """Say of which units a rule holds in a period and in as many before it as it asks for."""
    looked = list(islice(past.backwards(span), rule.running))
    if len(looked) < rule.running:
        return np.zeros(len(span.units), bool)
    return np.all([_meets(rule, past, each) for each in looked], axis=0)


def _meets(rule: Rule, past: Past, span: SpanBoard) -> NDArray[np.bool_]:
    """Say which units (n,) meet all conditions of a rule in one period."""
    met = np.isfinite(span.total)
    if rule.below is not None:
        met &= np.round(span.total, 9) < rule.below
    if rule.last is not None:
        met &= past.among_last(span, rule.last) >= SURE
    if rule.fallen is not None:
        adjusted = past.rise_adjusted(span)
        met &= np.round(past.rise(span) if adjusted is None else adjusted, 9) <= -rule.fallen
    return met


def _foremost(found: Sequence[Proposal], spared: set[str]) -> list[Proposal]:
    """Leave out talks with units that are to be supervised."""
    heavier = {each.unit for each in found if each.kind is TalkKind.SUPERVISION} - spared
    kept = [each for each in found if each.kind is TalkKind.SUPERVISION or each.unit not in heavier]
    return sorted(kept, key=lambda each: (each.kind, LEVELS.index(each.level), each.unit))


def _with_former(proposal: Proposal, known: Iterable[Former]) -> Proposal:
    """Add the unit's earlier talks to the evidence."""
    earlier = [
        {"id": each.id, "kind": each.kind.value, "period": each.period.name, "status": each.status.value}
        for each in known
        if each.unit == proposal.unit and each.was_called and each.period.last <= proposal.period.last
        and (each.kind, each.period) != (proposal.kind, proposal.period)
    ]  # fmt: skip
    return replace(proposal, evidence={**proposal.evidence, "earlier": earlier})


def _same(former: Former, period: Period) -> bool:
    return former.kind is TalkKind.SUPERVISION and former.period == period
