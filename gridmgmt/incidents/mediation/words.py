"""What may be written down about a mediation: how long, and that no number of a person stands unsealed."""

from datetime import datetime, timedelta

from gridmgmt.errors import InputError
from gridmgmt.incidents.intake import holds_number
from gridmgmt.incidents.plain import plain

LONGEST_REPORT = 4_000
LONGEST_SEALED = 20_000
YEAR = timedelta(days=366)


def open_words(field: str, words: str, longest: int = LONGEST_REPORT) -> str:
    """Return a text that stands in the open, without blanks around; '' when nothing was written.

    Raises InputError naming the field when it is too long or holds an identity or telephone number.
    """
    found = plain(words).strip()
    if len(found) > longest:
        raise InputError(field, "a longer text", f"up to {longest} characters")
    if holds_number(found):
        raise InputError("matter_number", "a number of a person", "no identity number and no telephone")
    return found


def sealed_words(field: str, words: str) -> str:
    """Return a text that will be sealed; InputError when there is none or it is too long (not quoted)."""
    found = plain(words).strip()
    if not found or len(found) > LONGEST_SEALED:
        raise InputError(field, "another length", f"1 to {LONGEST_SEALED} characters")
    return found


def named(field: str, words: str, longest: int = 200) -> str:
    """Return a short text that must be there; InputError when it is not, too long, or holds a number."""
    found = open_words(field, words, longest)
    if not found:
        raise InputError(field, "nothing", "a text")
    return found


def moment_near(field: str, moment: datetime, earliest: datetime, latest: datetime) -> datetime:
    """Return a moment between two others; InputError when it lies outside or has no time zone."""
    if moment.tzinfo is None or not earliest <= moment <= latest:
        raise InputError(field, str(moment), f"a moment from {earliest:%Y-%m-%d} to {latest:%Y-%m-%d}")
    return moment
