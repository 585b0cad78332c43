"""A cell as a number, as offices write them: full-width digits, thousands separators, a percent sign."""

import math
import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from gridmgmt.index.entries.faults import Wrong
from gridmgmt.index.entries.service import allows
from gridmgmt.index.entries.template import NOTHING, bounds
from gridmgmt.index.tree import Indicator

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_ERROR = re.compile(r"#(DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!|SPILL!|CALC!|ERROR!|GETTING_DATA)")
_DATE = re.compile(r"\d{4}[-/.年]\d{1,2}([-/.月]\d{1,2}日?|月)?|\d{1,2}月\d{1,2}日", re.ASCII)
# Marks of byte order and direction, zero-width blanks: never meant.
_NOISE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
SHARE = "%"


@dataclass(frozen=True)
class Read:
    """What a cell says: a value, None for 无; or what is wrong, and what is allowed."""

    value: float | None = None
    wrong: Wrong | None = None
    allowed: str = ""


def clean(words: str) -> str:
    """Return words with full-width letters and digits made half-width, without blanks around.

    >>> clean("　１，２３４．５％ ")
    '1,234.5%'
    """
    return unicodedata.normalize("NFKC", _NOISE.sub("", words)).strip()


def number(cell: Any, indicator: Indicator, mark: str = "") -> Read:
    """Return what a cell that holds something says of an indicator; `mark` as in `sheets.Sheet`."""
    if mark and mark != SHARE:
        return Read(wrong=Wrong.ERROR, allowed=bounds(indicator))
    if isinstance(cell, datetime | date | time | timedelta):
        return Read(wrong=Wrong.DATE, allowed=bounds(indicator))
    words = "" if isinstance(cell, int | float) else clean(str(cell))
    if words == NOTHING:
        return Read()
    share = mark == SHARE or words.endswith(SHARE)
    value = _value(cell, words)
    if value is None:
        wrong = Wrong.ERROR if _ERROR.match(words) else Wrong.DATE if _DATE.match(words) else Wrong.TEXT
        return Read(wrong=wrong, allowed=f"{bounds(indicator)}，或“{NOTHING}”")
    if share and indicator.unit != SHARE:
        return Read(wrong=Wrong.SHARE, allowed=bounds(indicator))
    if mark == SHARE:  # shown as 95.3%, kept as 0.953: 15 digits are what was typed
        value = float(f"{value * 100:.15g}")
    if not allows(indicator, value):
        return Read(wrong=Wrong.BOUNDS, allowed=bounds(indicator))
    return Read(value)


def _value(cell: Any, words: str) -> float | None:
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        return float(cell) if math.isfinite(cell) else None
    words = words.removesuffix(SHARE).strip()
    if _GROUPED.fullmatch(words):
        words = words.replace(",", "")
    return float(words) if _NUMBER.fullmatch(words) else None
