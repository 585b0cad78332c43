"""How many households a grid should have, where a city says so itself: `bands.toml` in the home folder.

"379981001" = [350, 550]     # a division's code, at least, at most; the longest code that fits counts
"""

import tomllib
from pathlib import Path
from typing import Any

from gridmgmt.config import settings
from gridmgmt.errors import FileError, InputError
from gridmgmt.grids.checks import PlanLimits
from gridmgmt.grids.codes import check_division

NAME = "bands.toml"


def limits(home: Path | None = None) -> PlanLimits:
    """Return what plans are checked against: our defaults, and the city's own bands by division.

    Raises FileError that names the line when the file is not what is allowed.
    """
    path = (home or settings().home) / NAME
    return PlanLimits(bands=read(path)) if path.exists() else PlanLimits()


def read(path: Path) -> dict[str, tuple[int, int]]:
    """Return the bands of a file by division code; raises FileError for what is not allowed in it."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(path, "file", str(error), "TOML in UTF-8") from error
    return {code: _band(path, code, value) for code, value in found.items()}


def _band(path: Path, code: str, value: Any) -> tuple[int, int]:
    try:
        check_division(code)
    except InputError as error:
        raise FileError(path, "division", code, error.allowed) from error
    whole = isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)
    if not whole or not 0 < value[0] < value[1]:
        raise FileError(path, code, value, "two whole numbers of households, the smaller first")
    return value[0], value[1]
