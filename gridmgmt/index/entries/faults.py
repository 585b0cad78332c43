"""What can be wrong with a file that a department sends in, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gridmgmt.errors import FileError


class Wrong(StrEnum):
    """Kinds of faults, for who says them in other words."""

    NO_FORM = "no form of this system"
    MONTH = "a month that cannot be"
    OTHER_MONTH = "a form of another month"
    ISSUED = "a month that was issued"
    OLD_TREE = "a form of another version of the tree"
    OTHERS = "a form of another department"
    NO_HEADER = "no row of indicator codes"
    NO_UNITS = "no units"
    NO_CODE = "values without an indicator above"
    UNKNOWN_INDICATOR = "an unknown indicator"
    DOUBLED_INDICATOR = "an indicator twice"
    OTHERS_INDICATOR = "an indicator of another department"
    MEASURED = "an indicator that this system measures"
    LEVEL = "an indicator that is not asked of these units"
    UNKNOWN_UNIT = "an unknown unit"
    DOUBLED_UNIT = "a unit twice"
    TWO_UNITS = "a code and a name of two units"
    TEXT = "text for a number"
    ERROR = "a formula error"
    DATE = "a date for a number"
    SHARE = "a percentage for another unit"
    BOUNDS = "a value out of bounds"
    MERGED = "merged cells"
    DOUBLED = "a value twice"
    FIELDS = "another number of fields than the header"


@dataclass(frozen=True)
class Fault:
    """What is wrong at one place (镇街!D7, or a line of a CSV), what was found and what is allowed."""

    where: str
    wrong: Wrong
    found: str = ""
    allowed: str = ""

    def __str__(self) -> str:
        found = f", found {self.found!r:.80}" if self.found else ""
        return f"{self.where}: {self.wrong}{found}" + (f", allowed: {self.allowed}" if self.allowed else "")


class EntryError(FileError):
    """A file that was sent in holds faults; `faults` are all of them, the message says each on a line."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        super().__init__(file, faults[0].where, faults[0].found, faults[0].allowed)
        self.args = ("\n".join(f"{file}: {fault}" for fault in faults),)
        self.faults = tuple(faults)
