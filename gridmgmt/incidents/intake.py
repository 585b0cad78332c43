"""What a matter may say and be filed under: words without a number of a person, a category of the list."""

import re
import unicodedata

from sqlalchemy import Connection, text

from gridmgmt.errors import InputError
from gridmgmt.privacy import numbers

LONGEST_TEXT = 500
TITLE_LENGTH = 30

# Digits as people write them, with blanks, dots and dashes between; the borders keep meter readings out.
_RUN = re.compile(r"(?<![0-9A-Za-z])[+(]*[0-9](?:[\s.()-]{0,2}[0-9]){6,20}[Xx]?(?![0-9A-Za-z])")
_SEPARATORS = re.compile(r"[^0-9Xx]")
_MOBILE = re.compile(r"1[3-9][0-9]{9}")


def check_words(words: str) -> None:
    """Raise InputError when a matter's text is empty, too long, or holds an identity number or telephone.

    The number is not quoted. An identity number counts with or without a right check character.
    """
    if not words.strip() or len(words) > LONGEST_TEXT:
        raise InputError("matter_text", "another length", f"1 to {LONGEST_TEXT} characters")
    if holds_number(words):
        raise InputError("matter_number", "a number of a person", "no identity number and no telephone")


def holds_number(words: str) -> bool:
    """Say whether a text holds what reads as an identity number or a telephone.

    >>> holds_number("请打１３８ 1234-5678"), holds_number("3号楼2单元水表读数 20261122")
    (True, False)
    """
    plain = unicodedata.normalize("NFKC", words)
    return any(_is_number(found.group()) for found in _RUN.finditer(plain))


def _is_number(run: str) -> bool:
    digits = _SEPARATORS.sub("", run)
    if len(digits) in (15, numbers.IDENTITY_LENGTH):
        return True
    if _MOBILE.search(digits):
        return True
    try:
        numbers.check_phone(numbers.clean_phone(run))
    except InputError:
        return False
    return True


def leaf(connection: Connection, category: str) -> str:
    """Return the name of a category that has no finer ones; InputError for any other."""
    name = connection.execute(
        text(
            "SELECT name FROM category c WHERE code = :code"
            " AND NOT EXISTS (SELECT FROM category finer WHERE finer.parent = c.code)"
        ),
        {"code": category},
    ).scalar_one_or_none()
    if name is None:
        raise InputError("category", category, "the code of a 小类")
    return str(name)


def leaves(connection: Connection, area: str) -> list[tuple[str, str, str | None]]:
    """Return code, name and 大类 of every category without finer ones, an area's most frequent first.

    Counted are the matters of the last two years in the area's grids ('' for the whole city).
    """
    rows = connection.execute(
        text("""
        SELECT c.code, c.name, p.name FROM category c LEFT JOIN category p ON p.code = c.parent
        LEFT JOIN (
            SELECT i.category, count(*) AS matters FROM incident i JOIN grid g ON g.id = i.grid_id
            WHERE starts_with(g.code15, :area) AND i.occurred_on > current_date - 730 GROUP BY 1
        ) often ON often.category = c.code
        WHERE NOT EXISTS (SELECT FROM category finer WHERE finer.parent = c.code)
        ORDER BY coalesce(often.matters, 0) DESC, c.code
        """),
        {"area": area},
    )
    return [(code, name, above) for code, name, above in rows]
