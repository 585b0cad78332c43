"""How the system is, in words with what to do and in numbers: `lines` for pages, programs and `doctor`,
`unready` for whoever sends requests here."""

from gridmgmt.health.line import STATE_NAMES, STATE_SIGNS, Line, Number, State, worst
from gridmgmt.health.lines import lines
from gridmgmt.health.ready import PATIENCE, unready

__all__ = [
    "PATIENCE", "STATE_NAMES", "STATE_SIGNS", "Line", "Number", "State", "lines", "unready", "worst",
]  # fmt: skip
