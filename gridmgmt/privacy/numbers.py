"""Chinese identity and telephone numbers: one normal form, what is wrong with one, and what it says.

An identity number (GB 11643-1999) is county (6), birth date (8), order (3, odd for men) and a check
character such that the sum of digit x weight is 1 modulo 11, X being 10 (ISO 7064 MOD 11-2).

The county part is not compared with the list of real codes: codes are withdrawn while their numbers live on,
and a sample city may use a code that nobody has. No error quotes a number; it shows the mask.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmgmt.errors import InputError
from gridmgmt.privacy.masks import mask_identity, mask_phone

IDENTITY_LENGTH = 18
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
CHECKS = "0123456789X"

# Full-width signs become half-width; blanks of every width, controls and marks of direction go.
_HALF_WIDTH: dict[int, int | None] = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_BLANKS = (*range(0x21), 0x7F, 0xA0, *range(0x2000, 0x2010), *range(0x2028, 0x2030), 0x2060, 0x3000, 0xFEFF)
_HALF_WIDTH |= dict.fromkeys(_BLANKS)
_QUOTES = "'’‘`"  # put before a number to keep a spreadsheet from rounding it
_PUNCTUATION = str.maketrans("", "", "-‐‑‒–—－()（）.")

_AREA = "10|2[0-9]|[3-9][0-9]{2}"
_MOBILE = re.compile(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})")
_LANDLINE = re.compile(rf"(?:(?:\+|00)86)?0({_AREA})([0-9]{{7,8}})")
_ABROAD = re.compile(rf"(?:\+|00)86({_AREA})([0-9]{{7,8}})")  # dialled from abroad an area loses its 0
_PHONE = re.compile(rf"1[3-9][0-9]{{9}}|0(?:{_AREA})-[0-9]{{7,8}}")
_ROUNDED = re.compile(r"[0-9]+(\.[0-9]*([eE]\+?[0-9]+)?|[eE]\+?[0-9]+)")
PHONES = "a mobile number of 11 digits or a landline with its area code, such as 0635-8123456"


@dataclass(frozen=True)
class Identities:
    """What n identity numbers say; `birth_on` is NaT and `woman` False where `good` is False."""

    good: NDArray[np.bool_]
    why: NDArray[np.object_]  # what is wrong, None where good; never quotes the number
    birth_on: NDArray[np.datetime64]
    woman: NDArray[np.bool_]


def clean_identity(text: str) -> str:
    """Return the one form to keep: half-width, without blanks or a leading quote, X large. It is not checked.

    >>> clean_identity("１１０１０５ 19491231 002x")
    '11010519491231002X'
    """
    if not (text.isascii() and text.isalnum()):
        text = text.translate(_HALF_WIDTH).lstrip(_QUOTES)
    return text.upper()


def check_identity(text: str, *, today: date | None = None) -> None:
    """Raise InputError that says what is wrong with a number in the form of `clean_identity`."""
    fault = _fault(text, today or date.today())
    if fault:
        raise InputError("identity_number", mask_identity(text), fault)


def birth_of(identity: str) -> date:
    """Return the birth date that a number says; InputError as in `check_identity`."""
    check_identity(identity)
    return _birth(identity)


def sex_of(identity: str) -> str:
    """Return "male" or "female"; InputError as in `check_identity`."""
    check_identity(identity)
    return "male" if int(identity[16]) % 2 else "female"


def identities(texts: Sequence[str | None], *, today: date | None = None) -> Identities:
    """Return what is wrong with each of n numbers, else its birth date and sex.

    Parameters
    ----------
    texts : n texts in the form of `clean_identity`, or what pyarrow turns into such
        None and "" are faults too.
    today : date, optional
        Nobody is born after it; default the clock's.
    """
    day = today or date.today()
    column = pa.array(texts, pa.string(), from_pandas=True)
    whole = pc.fill_null(pc.equal(pc.binary_length(column), IDENTITY_LENGTH), False)
    letters = _letters(column.filter(whole))
    digits, right = _digits(letters)
    birth_on, exists = _dates(digits)
    right &= exists & (birth_on <= np.datetime64(day)) & (digits @ np.array(WEIGHTS) % 11 == 1)
    good = whole.to_numpy(zero_copy_only=False).copy()
    good[good] = right
    why: NDArray[np.object_] = np.full(len(good), None, object)
    for row in np.flatnonzero(~good).tolist():
        why[row] = _fault(column[row].as_py() or "", day)
    born = np.full(len(good), np.datetime64("NaT"), "datetime64[D]")
    born[good] = birth_on[right]
    woman = np.zeros(len(good), bool)
    woman[good] = digits[right, 16] % 2 == 0
    return Identities(good, why, born, woman)


def clean_phone(text: str) -> str:
    """Return 11 digits of a mobile number or area-local of a landline; what is neither only loses its blanks.

    >>> clean_phone("+86 138 1234 5678"), clean_phone("（０６３５）8123456"), clean_phone("+86-10-12345678")
    ('13812345678', '0635-8123456', '010-12345678')
    """
    if _PHONE.fullmatch(text):
        return text
    text = text.translate(_HALF_WIDTH).lstrip(_QUOTES)
    digits = text.removesuffix(".0").translate(_PUNCTUATION)
    if mobile := _MOBILE.fullmatch(digits):
        return mobile[1]
    if landline := _LANDLINE.fullmatch(digits) or _ABROAD.fullmatch(digits):
        return f"0{landline[1]}-{landline[2]}"
    return text


def check_phone(text: str) -> None:
    """Raise InputError unless a number in the form of `clean_phone` is one; the error shows its mask."""
    if not _PHONE.fullmatch(text):
        raise InputError("phone", mask_phone(text), PHONES)


def _letters(whole: pa.Array) -> NDArray[np.uint8]:
    """Return the bytes (k, 18) of texts that are 18 bytes long, without making k Python strings."""
    fixed = whole.cast(pa.binary()).cast(pa.binary(IDENTITY_LENGTH))
    if not len(fixed):
        return np.empty((0, IDENTITY_LENGTH), np.uint8)
    size, start = len(fixed) * IDENTITY_LENGTH, fixed.offset * IDENTITY_LENGTH
    return np.frombuffer(fixed.buffers()[1], np.uint8, size, start).reshape(-1, IDENTITY_LENGTH)


def _digits(letters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return digits (k, 18), a last X being 10, and which rows hold nothing else."""
    digits = letters.astype(np.int64) - ord("0")
    is_digit = (digits >= 0) & (digits <= 9)
    is_x = letters[:, -1] == ord("X")
    digits[is_x, -1] = 10
    is_digit[:, -1] |= is_x
    return digits, np.logical_and.reduce(is_digit, axis=1)


def _dates(digits: NDArray[np.int64]) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Return the dates of places 7 to 14, and which exist; those that do not may be any date."""
    year = digits[:, 6:10] @ [1000, 100, 10, 1]
    month = digits[:, 10:12] @ [10, 1]
    day = digits[:, 12:14] @ [10, 1]
    months: NDArray[np.datetime64] = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    dates: NDArray[np.datetime64] = np.add(months.astype("datetime64[D]"), day - 1)
    named = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    return dates, named & (dates.astype("datetime64[M]") == months)


def _fault(text: str, today: date) -> str | None:
    """Return what is wrong with one number, None when nothing is; places 7 to 14 are never told."""
    if fault := _fault_of_form(text):
        return fault
    try:
        birth = _birth(text)
    except ValueError:
        return "a birth date that exists in places 7 to 14"
    if birth > today:
        return "a birth date not after today in places 7 to 14"
    fits = _check(text)
    if text[-1] == fits:
        return None
    rounded = "; three zeros at the end come from a spreadsheet's rounding" if text.endswith("000") else ""
    return f"the check character {fits} at the end, where {text[-1]} stands{rounded}"


def _fault_of_form(text: str) -> str | None:
    if not text:
        return "18 characters, where there is nothing"
    if _ROUNDED.fullmatch(text):
        return "text: a spreadsheet took the number for an amount, and its last digits are lost"
    if len(text) == 15 and text.isdecimal():
        return "the number of 18 characters: those of 15 digits ended with 2012"
    if len(text) != IDENTITY_LENGTH:
        return f"18 characters, where there are {len(text)}"
    if not re.fullmatch("[0-9]{17}[0-9X]", text):
        return "17 digits and a digit or X"
    return None


def _birth(text: str) -> date:
    return date(int(text[6:10]), int(text[10:12]), int(text[12:14]))


def _check(text: str) -> str:
    """Return the check character that fits the first 17 digits."""
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], WEIGHTS[:17], strict=True))
    return CHECKS[(1 - total) % 11]
