"""The library of actions: what to do about a category beforehand, and how many days that takes.

A city's own `actions.toml` in the home folder stands in for the one that comes with the program.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridmgmt.config import settings
from gridmgmt.errors import FileError

NAME = "actions.toml"
OURS = Path(__file__).parent / NAME
LONGEST_LEAD = 180
_KEYS = ("words", "categories", "text", "lead_days")


@dataclass(frozen=True)
class Action:
    """What to do; `lead_days` before the window, or None where that is learnt from when matters came."""

    text: str
    lead_days: int | None = None
    words: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Library:
    """The actions of a file, in its order, and the one for everything else."""

    path: Path
    actions: tuple[Action, ...]
    default: Action

    def action_for(self, code: str, name: str) -> Action:
        """Return the first action that names the category's code or a word of its name, else the default."""
        for action in self.actions:
            if code in action.categories or any(word in name for word in action.words):
                return action
        return self.default


def library(home: Path | None = None) -> Library:
    """Return the city's library: `actions.toml` of the home folder when it stands there, else ours.

    Raises FileError that names the entry when it is not what is allowed.
    """
    own = (home or settings().home) / NAME
    return read(own if own.exists() else OURS)


def read(path: Path) -> Library:
    """Return the library in a file; raises FileError for what is not allowed in it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(path, "file", str(error), "TOML in UTF-8") from error
    entries = found.get("action", [])
    if not isinstance(entries, list) or "default" not in found or set(found) - {"action", "default"}:
        raise FileError(path, "file", sorted(found), "[[action]] entries and one [default]")
    actions = tuple(_action(path, f"action {row}", entry) for row, entry in enumerate(entries, 1))
    for row, action in enumerate(actions, 1):
        if not action.words and not action.categories:
            raise FileError(path, f"action {row}", "neither", "words or categories that it is for")
    return Library(path, actions, _action(path, "default", found["default"]))


def _action(path: Path, where: str, entry: Any) -> Action:
    if not isinstance(entry, dict) or set(entry) - set(_KEYS):
        raise FileError(path, where, entry, f"a table of {', '.join(_KEYS)}")
    text, lead = entry.get("text"), entry.get("lead_days")
    if not isinstance(text, str) or not text.strip():
        raise FileError(path, f"{where}, text", text, "what to do, in words")
    if lead is not None and (type(lead) is not int or not 0 <= lead <= LONGEST_LEAD):
        raise FileError(path, f"{where}, lead_days", lead, f"0 to {LONGEST_LEAD} days, or absent: learnt")
    lists = [_texts(path, where, key, entry.get(key, [])) for key in ("words", "categories")]
    return Action(text.strip(), lead, *lists)


def _texts(path: Path, where: str, key: str, values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise FileError(path, f"{where}, {key}", values, "a list of texts")
    return tuple(values)
