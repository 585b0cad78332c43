"""Passwords: which are allowed, and how they are kept.

Hashes are argon2id with the parameters of RFC 9106's low-memory choice (argon2-cffi's default). Length and
lists of the commonest decide, not kinds of characters (NIST SP 800-63B, 5.1.1.2).
"""

import re
import secrets
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gridmgmt.errors import InputError

SHORTEST_PASSWORD = 8
# argon2 reads it all: a password of megabytes would be a way to keep the server busy.
LONGEST_PASSWORD = 256
# Read aloud over the telephone: no letter or digit that is taken for another one.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
GENERATED_LETTERS = 16
# What is common where we live and stands not on zxcvbn's list.
_COMMON_HERE = Path(__file__).with_name("common_passwords.txt")
# With digits and signs around them, these are what is guessed of a system of this kind.
_OF_THIS_SYSTEM = Path(__file__).with_name("context_words.txt")

_hasher = PasswordHasher()
# For generated passwords alone: 79 random bits need no slow hash, and a file of 1,000 accounts would take
# minutes. The first sign-in puts a slow one in its place.
_quick = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)


def check(password: str, username: str, stored: str | None = None) -> None:
    """Raise InputError unless a password may be chosen; `stored` is the hash of the one that it replaces.

    The error's field is `password`; what is found is its length or its fault, never the password itself,
    since an error's text may reach a log.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        allowed = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        raise InputError("password", f"{len(password)} characters", allowed)
    if password.casefold() == username.casefold():
        raise InputError("password", "the user name", "a password that is not the user name")
    letters = _letters_of(password)
    if letters and letters in _words(_OF_THIS_SYSTEM) | {_letters_of(username)}:
        raise InputError("password", "a word of this system", "more than such a word with digits")
    if password.casefold() in _common():
        raise InputError("password", "one of the commonest", "a password that others do not have")
    if stored is not None and matches(stored, password):
        raise InputError("password", "the old one", "another one than before")


def generated() -> str:
    """Return a new random password: four groups of four letters or digits, 79 bits."""
    return grouped("".join(secrets.choice(_LETTERS) for _ in range(GENERATED_LETTERS)))


def grouped(letters: str) -> str:
    """Return letters in the groups in which `generated` gives them.

    >>> grouped("abcd2345wxyz6789")
    'abcd-2345-wxyz-6789'
    """
    return "-".join(re.findall("....", letters))


def hashed(password: str, *, random: bool = False) -> str:
    """Return the hash that is kept; `random` says that the password comes from `generated`."""
    return (_quick if random else _hasher).hash(password)


def matches(stored: str, password: str) -> bool:
    """Say whether a hash is that of this password."""
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def is_old(stored: str) -> bool:
    """Say whether a hash was made with other parameters than those of today."""
    try:
        return _hasher.check_needs_rehash(stored)
    except InvalidHashError:
        return True


@cache
def decoy() -> str:
    """Return a hash that no password has, to spend on unknown names the time of a wrong password."""
    return _hasher.hash(secrets.token_hex())


def _letters_of(text: str) -> str:
    return re.sub(r"[\W\d_]", "", text.casefold())


@cache
def _common() -> frozenset[str]:
    """Return zxcvbn's 30,000 of a leak of ten million passwords, 11,611 of them long enough, and our own."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"]) | _words(_COMMON_HERE)


@cache
def _words(path: Path) -> frozenset[str]:
    return frozenset(path.read_text(encoding="utf-8").split())
