"""What a check gives."""

from dataclasses import dataclass

from gridmgmt.health import State


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is; if not well, why that matters and which command mends it."""

    key: str
    state: State
    says: str
    why: str = ""
    mend: str = ""


def good(key: str, says: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(key, State.OK, says)
