"""A flow of handling as a value: steps with their limits, and the moves that lead from one to the next."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from gridmgmt.errors import InputError


class Who(StrEnum):
    """Who acts in a step: the office that has the matter at its level, the department, the grid's staff."""

    OFFICE = "office"
    UNIT = "unit"
    GRID = "grid"


WHO_NAMES = {Who.OFFICE: "承办镇街或中心", Who.UNIT: "承办部门", Who.GRID: "网格"}


class Need(StrEnum):
    """What a move asks of whoever makes it."""

    NOTE = "note"
    UNITS = "units"
    ANSWER = "answer"
    VISIT = "visit"


NEED_NAMES = {
    Need.NOTE: "意见", Need.UNITS: "承办部门", Need.ANSWER: "给居民的答复", Need.VISIT: "回访与满意度"
}  # fmt: skip


class Guard(StrEnum):
    """What must hold before a move: hands verified, an answer given, the resident asked."""

    STRUCK_OFF = "struck_off"
    ANSWERED = "answered"
    VISITED = "visited"


GUARD_NAMES = {
    Guard.STRUCK_OFF: "部门办理已验收销账", Guard.ANSWERED: "已写给居民的答复", Guard.VISITED: "已回访"
}  # fmt: skip


@dataclass(frozen=True)
class Limit:
    """How long a step may take: working days, or hours by the clock; neither in a final step."""

    days: int = 0
    hours: int = 0

    @property
    def is_set(self) -> bool:
        return self.days > 0 or self.hours > 0


@dataclass(frozen=True)
class Move:
    """A way on from a step; `says` is the verb on its button."""

    to: str
    says: str
    who: frozenset[Who]
    needs: frozenset[Need] = frozenset()
    guards: frozenset[Guard] = frozenset()


@dataclass(frozen=True)
class Step:
    """A step of a flow; entering a final one closes the matter."""

    code: str
    name: str
    limit: Limit = Limit()
    final: bool = False
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Flow:
    """A flow: `days` working days for the whole, unless the category has its own.

    `reopens_at` is the step at which a closed matter goes on again; a return visit with a satisfaction of at
    most `dissatisfied_at_most` (1 to 5) leads there too, whatever the move says. `escalates_after` working
    days over its limit a matter is put under supervision by itself.
    """

    code: str
    name: str
    days: int
    begins: str
    reopens_at: str
    steps: tuple[Step, ...]
    dissatisfied_at_most: int = 2
    escalates_after: int = 3

    @cached_property
    def _by_code(self) -> dict[str, Step]:
        return {step.code: step for step in self.steps}

    def step(self, code: str) -> Step:
        """Return a step; InputError for a code that the flow has not."""
        if code not in self._by_code:
            raise InputError("stage", code, ", ".join(self._by_code))
        return self._by_code[code]

    def move(self, stage: str, to: str) -> Move:
        """Return the move from one step to another; InputError when there is none."""
        moves = self.step(stage).moves
        for move in moves:
            if move.to == to:
                return move
        raise InputError("to", to, ", ".join(move.to for move in moves) or "no move: the step is final")

    def place(self, code: str) -> int:
        """Return how far along the flow a step stands, from 0."""
        return [step.code for step in self.steps].index(code)
