"""Reads a flow from a TOML file, and says everything that is wrong with it.

Keys, names and types are looked at here, what they come to together in `standing`.
docs/methods/handling.md has the format.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from gridmgmt.errors import FileError, InputError
from gridmgmt.importing.keys import Keys, parsed
from gridmgmt.incidents.flows.flow import Flow, Guard, Limit, Move, Need, Step
from gridmgmt.incidents.flows.standing import MOVERS, Fault, Wrong, standing

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
    try:
        raw = parsed(text, LARGEST_FILE)
    except InputError as error:
        fault = Fault("", error.field, error.found, error.allowed, Wrong.FILE)
        raise FlowError(file, [fault]) from error
    flow, found = _flow(raw)
    if not found:
        found = list(standing(flow))
    if found:
        raise FlowError(file, found)
    return flow


def faults(flow: Flow) -> list[str]:
    """Return what is wrong with a flow, in words; nothing for one that may be used."""
    again, found = _flow(as_json(flow))
    return [str(fault) for fault in found or standing(again)]


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


class _Keys(Keys):
    """A table of the flow's file."""

    def __init__(self, raw: object, step: str, allowed: Collection[str], found: list[Fault]) -> None:
        self._step, self._found = step, found
        super().__init__(raw, allowed)

    def fault(self, key: str, value: object, allowed: str, wrong: Wrong = Wrong.VALUE) -> None:
        self._found.append(Fault(self._step, key, value, allowed, wrong))

    def unknown(self, key: str, value: object, allowed: str) -> None:
        self.fault(key, value, allowed, Wrong.UNKNOWN)

    def code(self, key: str) -> str:
        value = self.raw.get(key)
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
        self.fault(key, value, "a code: a-z, 0-9 and _, a letter first, up to 40")
        return str(value)

    def yes(self, key: str) -> bool:
        value = self.raw.get(key, False)
        if type(value) is not bool:
            self.fault(key, value, "true or false")
        return value is True


def _flow(raw: object) -> tuple[Flow, list[Fault]]:
    found: list[Fault] = []
    keys = _Keys(raw, "", _FLOW_KEYS, found)
    flow = Flow(
        code=keys.code("code"),
        name=keys.name("name", LONGEST_NAME),
        days=keys.whole("days", 1, LONGEST_DAYS),
        begins=keys.code("begins"),
        reopens_at=keys.code("reopens_at"),
        dissatisfied_at_most=keys.whole("dissatisfied_at_most", 1, 4, Flow.dissatisfied_at_most),
        escalates_after=keys.whole("escalates_after", 1, 60, Flow.escalates_after),
        steps=tuple(_step(row, entry, found) for row, entry in enumerate(keys.tables("step"), 1)),
    )
    if not 2 <= len(flow.steps) <= MOST_STEPS:
        keys.fault("step", f"{len(flow.steps)} steps", f"2 to {MOST_STEPS} [[step]] tables")
    return flow, found


def _step(row: int, raw: object, found: list[Fault]) -> Step:
    code = raw.get("code") if isinstance(raw, dict) else None
    keys = _Keys(raw, str(code or f"number {row}"), _STEP_KEYS, found)
    limit = Limit(
        keys.whole("days", 1, LONGEST_DAYS) if keys.has("days") else 0,
        keys.whole("hours", 1, LONGEST_HOURS) if keys.has("hours") else 0,
    )
    if limit.days and limit.hours:
        keys.fault("hours", limit.hours, "days or hours, not both", Wrong.LIMIT)
    moves = tuple(_move(str(code or f"number {row}"), entry, found) for entry in keys.tables("move"))
    return Step(keys.code("code"), keys.name("name", LONGEST_NAME), limit, keys.yes("final"), moves)


def _move(step: str, raw: object, found: list[Fault]) -> Move:
    keys = _Keys(raw, step, _MOVE_KEYS, found)
    move = Move(
        to=keys.code("to"),
        says=keys.name("says", LONGEST_NAME),
        who=keys.words("who", MOVERS),
        needs=keys.words("needs", tuple(Need)),
        guards=keys.words("guards", tuple(Guard)),
    )
    if not move.who:
        keys.fault(
            "who", [], f"somebody who may make the move to {move.to}: {', '.join(MOVERS)}", Wrong.NOBODY
        )
    return move
