"""Whether a flow stands as a whole: limits, references, ways. A matter must never hang in one.

Every step must be reached, and from every one a final step by moves of an office alone: a matter without a
place has no grid, and departments act on their own lines, not on the flow.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gridmgmt.incidents.flows.flow import Flow, Guard, Limit, Need, Who

# Departments accept and answer what is in their hands; the flow is moved by those who answer for the matter.
MOVERS = (Who.OFFICE, Who.GRID)


class Wrong(StrEnum):
    """Kinds of faults, for who says them in other words."""

    FILE = "file"
    VALUE = "value"
    UNKNOWN = "unknown"
    NOBODY = "nobody"
    DOUBLED = "doubled"
    TWO_MOVES = "two moves"
    REFERENCE = "reference"
    NO_FINAL = "no final"
    FINAL = "final"
    NO_LIMIT = "no limit"
    LIMIT = "limit"
    UNREACHED = "unreached"
    DEAD_END = "dead end"
    NO_ANSWER = "no answer"


WRONG_NAMES = {
    Wrong.FILE: "文件读不出来，应为 UTF-8 的 TOML", Wrong.VALUE: "填写的值不合规定",
    Wrong.UNKNOWN: "没有这个项目", Wrong.NOBODY: "没有人可以走这一步", Wrong.DOUBLED: "与另一步骤重复",
    Wrong.TWO_MOVES: "到同一步骤只能有一条去向", Wrong.REFERENCE: "指向的步骤不存在或不适用",
    Wrong.NO_FINAL: "没有办结步骤", Wrong.FINAL: "办结步骤不能再有时限或去向", Wrong.NO_LIMIT: "没有时限",
    Wrong.LIMIT: "时限不合规定", Wrong.UNREACHED: "从起点到不了这一步",
    Wrong.DEAD_END: "镇街或中心从这一步走不到办结", Wrong.NO_ANSWER: "要求先有答复，但前面没有一步写答复",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What is wrong at one place of a flow: the step ('' for the flow itself), the key, found and allowed."""

    step: str
    key: str
    found: object
    allowed: str
    wrong: Wrong = Wrong.VALUE

    def __str__(self) -> str:
        where = f"step {self.step}, {self.key}" if self.step else self.key
        return f"{where}: found {self.found!r}, allowed: {self.allowed}"


def standing(flow: Flow) -> Iterator[Fault]:
    """Give what is wrong with a flow whose every key is right by itself."""
    by_itself = [*_doubled(flow), *_references(flow), *_limits(flow)]
    yield from by_itself
    if not by_itself:
        yield from _ways(flow)


def _doubled(flow: Flow) -> Iterator[Fault]:
    for key in ("code", "name"):
        seen: set[str] = set()
        for step in flow.steps:
            value = getattr(step, key)
            if value in seen:
                yield Fault(step.code, key, value, f"a {key} that no other step has", Wrong.DOUBLED)
            seen.add(value)
    for step in flow.steps:
        targets = [move.to for move in step.moves]
        for to in sorted({to for to in targets if targets.count(to) > 1}):
            yield Fault(step.code, "to", to, "one move to a step", Wrong.TWO_MOVES)


def _references(flow: Flow) -> Iterator[Fault]:
    known = {step.code for step in flow.steps}
    going = [step.code for step in flow.steps if not step.final]
    for key in ("begins", "reopens_at"):
        if getattr(flow, key) not in going:
            yield Fault(
                "", key, getattr(flow, key), f"a step that is not final: {', '.join(going)}", Wrong.REFERENCE
            )
    if len(going) == len(flow.steps):
        yield Fault("", "final", "none", "at least one final step", Wrong.NO_FINAL)
    for step in flow.steps:
        for move in step.moves:
            others = known - {step.code}
            if move.to not in others:
                yield Fault(
                    step.code, "to", move.to, f"another step: {', '.join(sorted(others))}", Wrong.REFERENCE
                )


def _limits(flow: Flow) -> Iterator[Fault]:
    for step in flow.steps:
        if step.final and step.limit.is_set:
            yield Fault(step.code, "limit", _said(step.limit), "none in a final step", Wrong.FINAL)
        if step.final and step.moves:
            yield Fault(
                step.code, "move", f"to {step.moves[0].to}", "no move out of a final step", Wrong.FINAL
            )
        if not step.final and not step.limit.is_set:
            yield Fault(step.code, "limit", "none", "days or hours", Wrong.NO_LIMIT)
        if step.limit.days > flow.days:
            yield Fault(step.code, "days", step.limit.days, f"at most the flow's {flow.days}", Wrong.LIMIT)


def _said(limit: Limit) -> str:
    return f"{limit.hours} hours" if limit.hours else f"{limit.days} days"


# A matter stands at a step, with or without an answer written for the resident.
_State = tuple[str, bool]


def _ways(flow: Flow) -> Iterator[Fault]:
    """Give the steps that are never reached, and those from which an office reaches no end."""
    begins = {(flow.begins, False), (flow.reopens_at, False)}
    steps = {step.code: {move.to for move in step.moves} for step in flow.steps}
    led_to = _spread({code for code, _ in begins}, steps)
    for step in flow.steps:
        if step.code not in led_to:
            yield Fault(
                step.code, "code", step.code, "a step that is reached from the first one", Wrong.UNREACHED
            )
    ways = {state: _next(flow, state, MOVERS) for state in _states(flow)}
    ending = _ending(flow)
    stuck = {code for code, _ in _spread(begins, ways) - ending}
    for step in flow.steps:
        if step.code in stuck:
            # With an answer it would go on: then it is the guard, not the way, that holds the matter.
            guarded = (step.code, True) in ending
            wrong = Wrong.NO_ANSWER if guarded else Wrong.DEAD_END
            yield Fault(
                step.code, "move", _STUCK[wrong], "a way to a final step that an office can go", wrong
            )


_STUCK = {
    Wrong.NO_ANSWER: "no answer is asked for on the way to a move that is guarded by one",
    Wrong.DEAD_END: "no final step is reached by moves of the office",
}


def _states(flow: Flow) -> list[_State]:
    return [(step.code, answered) for step in flow.steps for answered in (False, True)]


def _next(flow: Flow, state: _State, movers: Collection[Who]) -> set[_State]:
    code, answered = state
    found = set()
    for move in flow.step(code).moves:
        after = answered or Need.ANSWER in move.needs
        if move.who & set(movers) and (after or Guard.ANSWERED not in move.guards):
            found.add((move.to, after))
    return found


def _ending(flow: Flow) -> set[_State]:
    """Return the states from which an office reaches a final step."""
    before: dict[_State, set[_State]] = {state: set() for state in _states(flow)}
    for state in before:
        for after in _next(flow, state, (Who.OFFICE,)):
            before[after].add(state)
    return _spread({state for state in before if flow.step(state[0]).final}, before)


_Place = TypeVar("_Place", bound=Hashable)


def _spread(begins: Collection[_Place], ways: Mapping[_Place, Collection[_Place]]) -> set[_Place]:
    """Return all places that are reached from some, those included."""
    reached, waiting = set(begins), list(begins)
    while waiting:
        fresh = set(ways[waiting.pop()]) - reached
        reached |= fresh
        waiting += fresh
    return reached
