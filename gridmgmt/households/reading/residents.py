"""What the roster says of a person: relation, age, masked numbers, and where the registration is."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from gridmgmt.errors import TamperedError
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.privacy.masks import mask_identity, mask_phone

MASKS: dict[str, Callable[[str], str]] = {"identity": mask_identity, "phone": mask_phone}
# One damaged value must not hide a whole page; opening it by itself fails loudly.
DAMAGED = "数据已损坏"
_NUMBERS = re.compile(r"\d+")


def age_on(birth_on: date | None, today: date) -> int | None:
    """Return full years of age, None where no birth date is known."""
    if birth_on is None:
        return None
    return today.year - birth_on.year - ((today.month, today.day) < (birth_on.month, birth_on.day))


def masked(ring: KeyRing, field: str, salt: Any, sealed: Any) -> str | None:
    """Return a sealed number with its middle covered, None where there is none."""
    if sealed is None or salt is None:
        return None
    try:
        return MASKS[field](unseal(ring, bytes(salt), field, sealed))
    except TamperedError:
        return DAMAGED


def floor_of(door: str) -> int | None:
    """Return the floor that a door's last number names, None where it names none.

    >>> floor_of("1-2-1203"), floor_of("502室"), floor_of("7")
    (12, 5, None)
    """
    numbers = _NUMBERS.findall(door)
    return int(numbers[-1][:-2]) if numbers and len(numbers[-1]) in (3, 4) else None


def in_order(words: str) -> list[tuple[int, str]]:
    """Return a key that sorts addresses and doors as people count: 2号 before 10号."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", words)]
