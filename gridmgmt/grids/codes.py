"""Codes of divisions and grids: what they say, whether they are right, which one comes next.

A division has 6 digits (county, GB/T 2260), 9 (town or street) or 12 (village or community); each code
begins with its parent's. A grid has the 12 digits of its village and a three-digit sequence number. CJ/T
349-2010 writes the same in 20 digits, an object class before and a two-digit sequence number behind.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gridmgmt.errors import InputError
from gridmgmt.grids.models import Level

LEVEL_LENGTHS = {Level.COUNTY: 6, Level.TOWN: 9, Level.VILLAGE: 12}
GRID_LENGTH = 15
# Codes nest: a grid's code begins with its village's, and so on up. How many digits name each level.
DIGITS = {level.value: length for level, length in LEVEL_LENGTHS.items()} | {"grid": GRID_LENGTH}
MAX_SEQUENCE = 999

# CJ/T 349-2010: 6 digits of object class, 6 county, 3 street, 3 community, 2 sequence.
LENGTH_20 = 20
CLASS_LENGTH = 6
MAX_SEQUENCE_20 = 99
# Communities that were merged are numbered from here in their street.
MERGED_FROM = 601

# Grids whose centres are less than half a usual grid's height apart, north to south, stand in one row.
ROW_TOLERANCE = 0.5


@dataclass(frozen=True)
class GridCode:
    """A grid code, taken apart."""

    county: str
    town: str
    village: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.village}{self.sequence:03d}"


def parse_code(code: str) -> GridCode:
    """Return the parts of a 15-digit grid code.

    Raises
    ------
    InputError
        When it is not 15 ASCII digits, or ends in 000, which no grid has.

    >>> parse_code("999999001002003")
    GridCode(county='999999', town='999999001', village='999999001002', sequence=3)
    """
    if len(code) != GRID_LENGTH or not _all_digits(code):
        raise InputError("code", code, "15 digits: 12 of the village and a number from 001 to 999")
    if code.endswith("000"):
        raise InputError("code", code, "a number from 001 to 999 at the end")
    return GridCode(code[:6], code[:9], code[:12], int(code[12:]))


def check_code(code: str, village: str | None = None) -> GridCode:
    """Return the parts of a grid code that belongs to `village` (any village when None).

    Raises
    ------
    InputError
        When the code is not one, or begins with another village's digits.
    """
    parts = parse_code(code)
    if village is not None and parts.village != village:
        raise InputError("code", code, f"one that begins with its village's {village}")
    return parts


def make_code(village: str, sequence: int) -> str:
    """Return the grid code of a village and a sequence number; raises InputError when either is wrong."""
    check_division(village, Level.VILLAGE)
    if not 1 <= sequence <= MAX_SEQUENCE:
        raise InputError("sequence", sequence, "1 to 999")
    return f"{village}{sequence:03d}"


def to_20(code: str, object_class: str) -> str:
    """Return the 20-digit form of a grid code, CJ/T 349-2010.

    Raises
    ------
    InputError
        When the code is none, the object class has not 6 digits, or the sequence number is over 99, for which
        the 20-digit form has no room.

    >>> to_20("999999001002003", object_class="010101")
    '01010199999900100203'
    """
    if len(object_class) != CLASS_LENGTH or not _all_digits(object_class):
        raise InputError("object class", object_class, f"{CLASS_LENGTH} digits")
    parts = parse_code(code)
    if parts.sequence > MAX_SEQUENCE_20:
        raise InputError(
            "code", code, "a number up to 99 at the end: the 20-digit form has two digits for it"
        )
    return f"{object_class}{parts.village}{parts.sequence:02d}"


def from_20(code: str) -> tuple[GridCode, str]:
    """Return the parts of a grid's 20-digit code, and its object class.

    Raises
    ------
    InputError
        When it is not 20 ASCII digits, or ends in 00, which no grid has.

    >>> from_20("01010199999900100203")[1]
    '010101'
    """
    if len(code) != LENGTH_20 or not _all_digits(code) or code.endswith("00"):
        raise InputError(
            "code", code, "20 digits: 6 of the object class, 12 of the village, a number from 01 to 99"
        )
    village = code[CLASS_LENGTH:-2]
    return parse_code(f"{village}0{code[-2:]}"), code[:CLASS_LENGTH]


def is_merged(village: str) -> bool:
    """Say whether a community's code is one given to communities that were merged (from 601 on).

    >>> is_merged("999999001601"), is_merged("999999001002")
    (True, False)
    """
    check_division(village, Level.VILLAGE)
    return int(village[-3:]) >= MERGED_FROM


def check_division(code: str, level: str | None = None, parent: str | None = None) -> Level:
    """Return the level of a division code.

    Raises
    ------
    InputError
        When it is not 6, 9 or 12 digits, contradicts the level given, or does not begin with the code of a
        parent one level up.

    >>> check_division("999999001")
    <Level.TOWN: 'town'>
    """
    found = next((each for each, length in LEVEL_LENGTHS.items() if length == len(code)), None)
    if found is None or not _all_digits(code):
        raise InputError("code", code, "6 digits (county), 9 (town) or 12 (village)")
    if level is not None and level != found:
        words = ", ".join(LEVEL_LENGTHS)
        raise InputError("level", level, f"{found.value} for a code of {len(code)} digits (levels: {words})")
    if parent and parent != parent_code(code):
        raise InputError("parent", parent, f"{parent_code(code) or 'none'}, the first digits of {code}")
    return found


def parent_code(code: str) -> str | None:
    """Return the code one level up of a division or grid code, None for a county.

    >>> parent_code("999999001002003"), parent_code("999999001"), parent_code("999999")
    ('999999001002', '999999', None)
    """
    return code[:-3] if len(code) > LEVEL_LENGTHS[Level.COUNTY] else None


def number_grids(geometries: ArrayLike, taken: Collection[int] = ()) -> NDArray[np.int64]:
    """Return a sequence number for each new grid of one village, in reading order.

    Rows run from north to south, inside a row from west to east. A row begins at the northernmost centre that
    is left and takes every centre less than half the median grid height below it.

    Parameters
    ----------
    geometries : array of shapely geometries, shape (n,)
        The grids of one village that need a number.
    taken : collection of int
        Numbers ever given in the village, also to grids that ended: none is given again.

    Returns
    -------
    ndarray, shape (n,), int64
        From 1 upwards, the taken ones left out.

    Raises
    ------
    InputError
        When fewer than n numbers up to 999 are left.
    """
    shapes = np.asarray(geometries, dtype=object)
    free = np.setdiff1d(np.arange(1, MAX_SEQUENCE + 1), np.fromiter(taken, np.int64, len(taken)))
    if len(free) < len(shapes):
        raise InputError(
            "grids of one village", len(shapes), f"at most {len(free)}, the numbers not yet used"
        )
    numbers = np.empty(len(shapes), np.int64)
    numbers[reading_order(shapes)] = free[: len(shapes)]
    return numbers


def reading_order(geometries: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the indices of geometries (n,) as one reads: rows north to south, west to east inside a row."""
    if not len(geometries):
        return np.empty(0, np.int64)
    centres = shapely.centroid(geometries)
    x, y = shapely.get_x(centres), shapely.get_y(centres)
    bounds = shapely.bounds(geometries)
    tolerance = ROW_TOLERANCE * np.median(bounds[:, 3] - bounds[:, 1])
    rows = np.zeros(len(y), np.int64)
    row, top = -1, np.inf
    for index in np.lexsort((x, -y)):
        if top - y[index] >= tolerance or row < 0:
            row, top = row + 1, y[index]
        rows[index] = row
    return np.lexsort((-y, x, rows)).astype(np.int64)


def _all_digits(text: str) -> bool:
    # str.isdigit alone also takes full-width and superscript digits, which a code must not have.
    return text.isascii() and text.isdigit()
