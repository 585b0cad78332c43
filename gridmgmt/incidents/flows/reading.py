"""Reads a flow from a TOML file, and says everything that is wrong with it.

A flow file is data that a city writes; a matter must never hang in it. So beside names and types it is
checked that every step is reached, and that from every one a final step is reached by moves of an office
alone (a matter without a place has no grid, and departments act on their own lines, not on the flow).
docs/methods/handling.md has the format.
"""

import json
import re
import tomllib
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from gridmgmt.errors import FileError
from gridmgmt.incidents.flows.flow import Flow, Guard, Limit, Move, Need, Step, Who

LONGEST_NAME = 20
MOST_STEPS = 60
LARGEST_FILE = 1 << 16
LONGEST_DAYS, LONGEST_HOURS = 250, 240

_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FLOW_KEYS = (
    "code", "name", "days", "begins", "reopens_at", "dissatisfied_at_most", "escalates_after", "step"
)  # fmt: skip
_STEP_KEYS = ("code", "name", "days", "hours", "final", "move")
_MOVE_KEYS = ("to", "says", "who", "needs", "guards")
# Departments accept and answer what is in their hands; the flow is moved by those who answer for the matter.
_MOVERS = (Who.OFFICE, Who.GRID)
_NAMED = f"a name of 1 to {LONGEST_NAME} characters"


@dataclass(frozen=True)
class Fault:
    """What is wrong at one place of a flow: the step ('' for the flow itself), the key, found and allowed."""

    step: str
    key: str
    found: object
    allowed: str

    def __str__(self) -> str:
        where = f"step {self.step}, {self.key}" if self.step else self.key
        return f"{where}: found {self.found!r}, allowed: {self.allowed}"


class FlowError(FileError):
    """A flow file is not what is allowed; `faults` are all that is wrong, the message says each on a line."""

    def __init__(self, file: str, faults: Collection[Fault]) -> None:
        first = next(iter(faults))
        key = f"step {first.step}, {first.key}" if first.step else first.key
        super().__init__(file, key, first.found, first.allowed)
        self.args = ("\n".join(f"{file}: {fault}" for fault in faults),)
        self.faults = tuple(faults)


def read(text: str, file: str) -> Flow:
    """Return the flow in a TOML text; FlowError, which names `file`, with everything that is wrong."""
    if len(text) > LARGEST_FILE:
        raise FlowError(file, [Fault("", "file", f"{len(text)} characters", f"up to {LARGEST_FILE}")])
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FlowError(file, [Fault("", "file", str(error), "TOML in UTF-8")]) from error
    flow, found = _flow(raw)
    if not found:
        found = list(_standing(flow))
    if found:
        raise FlowError(file, found)
    return flow


def faults(flow: Flow) -> list[str]:
    """Return what is wrong with a flow, in words; nothing for one that may be used."""
    again, found = _flow(as_json(flow))
    return [str(fault) for fault in found or _standing(again)]


def as_json(flow: Flow) -> dict[str, Any]:
    """Return a flow as the values of JSON and of its file, whose keys they have."""
    return {
        "code": flow.code, "name": flow.name, "days": flow.days, "begins": flow.begins,
        "reopens_at": flow.reopens_at, "dissatisfied_at_most": flow.dissatisfied_at_most,
        "escalates_after": flow.escalates_after, "step": [_step_json(step) for step in flow.steps],
    }  # fmt: skip


def from_json(raw: Mapping[str, Any]) -> Flow:
    """Return the flow that `as_json` wrote; FlowError for anything else."""
    flow, found = _flow(raw)
    if found:
        raise FlowError(str(raw.get("code", "flow")), found)
    return flow


def as_text(flow: Flow) -> str:
    """Return the TOML file of a flow, which `read` reads again.

    >>> from gridmgmt.incidents.flows.packaged import flows
    >>> all(read(as_text(flow), "again") == flow for flow in flows())
    True
    """
    raw = as_json(flow)
    steps = raw.pop("step")
    lines = _lines(raw)
    for step in steps:
        moves = step.pop("move", [])
        lines += ["", "[[step]]", *_lines(step)]
        for move in moves:
            lines += ["", "[[step.move]]", *_lines(move)]
    return "\n".join(lines) + "\n"


def _lines(values: Mapping[str, Any]) -> list[str]:
    # JSON writes texts, numbers, booleans and lists of texts as TOML does.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


def _step_json(step: Step) -> dict[str, Any]:
    raw: dict[str, Any] = {"code": step.code, "name": step.name}
    if step.limit.days:
        raw["days"] = step.limit.days
    if step.limit.hours:
        raw["hours"] = step.limit.hours
    if step.final:
        raw["final"] = True
    if step.moves:
        raw["move"] = [
            {"to": move.to, "says": move.says}
            | {key: sorted(getattr(move, key)) for key in ("who", "needs", "guards") if getattr(move, key)}
            for move in step.moves
        ]
    return raw


# --- what the keys hold


class _Keys:
    """Takes values out of one table of the file and notes what is not allowed there."""

    def __init__(self, raw: object, step: str, allowed: Collection[str], found: list[Fault]) -> None:
        self._raw = raw if isinstance(raw, dict) else {}
        self._step, self._found = step, found
        if not isinstance(raw, dict):
            self.fault("table", raw, f"a table of {', '.join(allowed)}")
        for key in sorted(set(self._raw) - set(allowed)):
            self.fault(key, self._raw[key], f"no such key; there are {', '.join(allowed)}")

    def fault(self, key: str, value: object, allowed: str) -> None:
        self._found.append(Fault(self._step, key, value, allowed))

    def code(self, key: str) -> str:
        value = self._raw.get(key)
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
        self.fault(key, value, "a code: a-z, 0-9 and _, a letter first, up to 40")
        return str(value)

    def name(self, key: str) -> str:
        value = self._raw.get(key)
        if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_NAME and value.isprintable():
            return value.strip()
        self.fault(key, value, _NAMED)
        return str(value)

    def number(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self._raw.get(key, default)
        if type(value) is int and low <= value <= high:
            return value
        self.fault(key, value, f"a whole number from {low} to {high}")
        return low

    def yes(self, key: str) -> bool:
        value = self._raw.get(key, False)
        if type(value) is not bool:
            self.fault(key, value, "true or false")
        return value is True

    def words(self, key: str, kind: type[StrEnum], allowed: Collection[StrEnum]) -> frozenset[Any]:
        value = self._raw.get(key, [])
        listed = ", ".join(allowed)
        if not isinstance(value, list) or any(word not in set(allowed) for word in map(str, value)):
            self.fault(key, value, f"a list of {listed}")
            return frozenset()
        if len(set(value)) < len(value):
            self.fault(key, value, "each once")
        return frozenset(kind(word) for word in value)

    def tables(self, key: str) -> list[Any]:
        value = self._raw.get(key, [])
        if not isinstance(value, list):
            self.fault(key, value, f"[[{key}]] tables")
            return []
        return value

    def has(self, key: str) -> bool:
        return key in self._raw


def _flow(raw: object) -> tuple[Flow, list[Fault]]:
    found: list[Fault] = []
    keys = _Keys(raw, "", _FLOW_KEYS, found)
    flow = Flow(
        code=keys.code("code"),
        name=keys.name("name"),
        days=keys.number("days", 1, LONGEST_DAYS),
        begins=keys.code("begins"),
        reopens_at=keys.code("reopens_at"),
        dissatisfied_at_most=keys.number("dissatisfied_at_most", 1, 4, Flow.dissatisfied_at_most),
        escalates_after=keys.number("escalates_after", 1, 60, Flow.escalates_after),
        steps=tuple(_step(row, entry, found) for row, entry in enumerate(keys.tables("step"), 1)),
    )
    if not 2 <= len(flow.steps) <= MOST_STEPS:
        keys.fault("step", f"{len(flow.steps)} steps", f"2 to {MOST_STEPS} [[step]] tables")
    return flow, found


def _step(row: int, raw: object, found: list[Fault]) -> Step:
    code = raw.get("code") if isinstance(raw, dict) else None
    keys = _Keys(raw, str(code or f"number {row}"), _STEP_KEYS, found)
    limit = Limit(
        keys.number("days", 1, LONGEST_DAYS) if keys.has("days") else 0,
        keys.number("hours", 1, LONGEST_HOURS) if keys.has("hours") else 0,
    )
    if limit.days and limit.hours:
        keys.fault("hours", limit.hours, "days or hours, not both")
    moves = tuple(_move(str(code or f"number {row}"), entry, found) for entry in keys.tables("move"))
    return Step(keys.code("code"), keys.name("name"), limit, keys.yes("final"), moves)


def _move(step: str, raw: object, found: list[Fault]) -> Move:
    keys = _Keys(raw, step, _MOVE_KEYS, found)
    move = Move(
        to=keys.code("to"),
        says=keys.name("says"),
        who=keys.words("who", Who, _MOVERS),
        needs=keys.words("needs", Need, tuple(Need)),
        guards=keys.words("guards", Guard, tuple(Guard)),
    )
    if not move.who:
        keys.fault("who", [], f"somebody who may make the move to {move.to}: {', '.join(_MOVERS)}")
    return move


# --- whether it stands as a whole


def _standing(flow: Flow) -> Iterator[Fault]:
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
                yield Fault(step.code, key, value, f"a {key} that no other step has")
            seen.add(value)
    for step in flow.steps:
        targets = [move.to for move in step.moves]
        for to in sorted({to for to in targets if targets.count(to) > 1}):
            yield Fault(step.code, "to", to, "one move to a step")


def _references(flow: Flow) -> Iterator[Fault]:
    known = {step.code for step in flow.steps}
    going = [step.code for step in flow.steps if not step.final]
    for key in ("begins", "reopens_at"):
        if getattr(flow, key) not in going:
            yield Fault("", key, getattr(flow, key), f"a step that is not final: {', '.join(going)}")
    if len(going) == len(flow.steps):
        yield Fault("", "final", "none", "at least one final step")
    for step in flow.steps:
        for move in step.moves:
            others = known - {step.code}
            if move.to not in others:
                yield Fault(step.code, "to", move.to, f"another step: {', '.join(sorted(others))}")


def _limits(flow: Flow) -> Iterator[Fault]:
    for step in flow.steps:
        if step.final and step.limit.is_set:
            yield Fault(step.code, "limit", _said(step.limit), "none in a final step")
        if step.final and step.moves:
            yield Fault(step.code, "move", f"to {step.moves[0].to}", "no move out of a final step")
        if not step.final and not step.limit.is_set:
            yield Fault(step.code, "limit", "none", "days or hours")
        if step.limit.days > flow.days:
            yield Fault(step.code, "days", step.limit.days, f"at most the flow's {flow.days}")


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
            yield Fault(step.code, "code", step.code, "a step that is reached from the first one")
    ways = {state: _next(flow, state, _MOVERS) for state in _states(flow)}
    ending = _ending(flow)
    stuck = {code for code, _ in _spread(begins, ways) - ending}
    for step in flow.steps:
        if step.code in stuck:
            # With an answer it would go on: then it is the guard, not the way, that holds the matter.
            guarded = (step.code, True) in ending
            found = _NO_ANSWER if guarded else _NO_WAY
            yield Fault(step.code, "move", found, "a way to a final step that an office can go")


_NO_ANSWER = "no answer is asked for on the way to a move that is guarded by one"
_NO_WAY = "no final step is reached by moves of the office"


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
