"""Text as people send it, without what is not seen: nothing in it breaks a page, a file or a check.

Signs that turn the direction of writing make a page say something else than what is stored, and signs of no
width hide a telephone number from `incidents.intake.holds_number`. Characters of four bytes are text like any
other: rare characters of names, and pictures of faces.
"""

import unicodedata

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
_LINES = "\r\n\u2028\u2029\x85"


def plain(text: str) -> str:
    r"""Return a text in one normal form, of one line or many, without controls and marks of direction.

    >>> plain("路灯\u202e坏了\u200b，\x00三天"), plain("𠮷\ud800")
    ('路灯坏了，三天', '𠮷')
    """
    lines = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).translate(_BREAKS)
    return "".join(each for each in lines if each == "\n" or unicodedata.category(each) not in _UNSEEN)


def plain_line(text: str) -> str:
    """Return a text as `plain` does, on one line, without blanks at its ends."""
    return " ".join(plain(text).split())


_BREAKS = dict.fromkeys(map(ord, _LINES), "\n") | {ord("\t"): " "}
