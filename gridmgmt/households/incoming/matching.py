"""Finds the building and the door that a written address means, or says why there is none.

Compared are half-width texts without blanks, with 幢 and 座 as 栋, 三栋 as 3栋 and Traditional forms as
Simplified ones. A province or town may be left out before the road, or stand too much.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gridmgmt.importing.traditional import simplified

SHOWN = 5
SHORTEST = 3  # characters of an address that may stand for the end of a longer one
_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "两": 2,
}  # fmt: skip
_UNIT_WORDS = "号楼|号|栋|幢|座|单元|门|室|房|层|楼|组|户|弄"
_NUMERAL = re.compile(f"([零〇一二两三四五六七八九十百]+)(?={_UNIT_WORDS})")
_NOISE = re.compile(r"[\s,，。．.;；:：()（）\[\]【】#\"'“”‘’]+")
_BLOCK = re.compile(r"(?<=[0-9A-Za-z])(?:幢|座|号楼|栋楼|#楼)")
_DOOR = re.compile(
    r"^(?P<base>.*?)(?:(?P<unit>[0-9A-Za-z]+)(?:单元|门)|(?<=[栋号])(?P<pre>[0-9]{1,2})-)?"
    r"(?:[0-9]+(?:层|楼))?(?P<room>[0-9]{1,5}|[0-9]+-[0-9]+(?:-[0-9]+)?)(?P<end>室|户|号房|房)?$"
)
_PARTS = re.compile("[0-9A-Za-z]+")


@dataclass(frozen=True)
class Found:
    """A known building and door, or why none was found (`why` is empty when one was)."""

    code: str = ""
    door: str = ""
    why: str = ""


def plain_address(text: str) -> str:
    """Return an address as it is compared.

    >>> plain_address("春天路　１２號 三幢"), plain_address("春天路12号楼")
    ('春天路12号3栋', '春天路12栋')
    """
    text = simplified(_NOISE.sub("", unicodedata.normalize("NFKC", text)))
    text = text.replace("－", "-").replace("—", "-").replace("_", "-")
    return _BLOCK.sub("栋", _NUMERAL.sub(lambda found: str(_number(found[1])), text))


def split_address(text: str) -> tuple[str, str]:
    """Return building and door of one string; the door is empty when it names none.

    >>> split_address("春天路12号3栋2单元502室"), split_address("柳溪村3组15号")
    (('春天路12号3栋', '2-502'), ('柳溪村3组15号', ''))
    """
    found = _DOOR.match(plain_address(text))
    if found is None or not found["base"]:
        return plain_address(text), ""
    unit = found["unit"] or found["pre"]
    return found["base"], f"{unit}-{found['room']}" if unit else found["room"]


class AddressBook:
    """The buildings and doors known, and who lives behind them, for any number of searches."""

    def __init__(self, buildings: Mapping[str, str], homes: Iterable[tuple[str, str, str | None]]) -> None:
        """Take addresses by building code, and (building code, door, household code) of every dwelling."""
        self.addresses = dict(buildings)
        self._doors: dict[str, dict[str, list[str]]] = {}
        for code, door, household in homes:
            families = self._doors.setdefault(code, {}).setdefault(door, [])
            families += [household] if household else []
        self._codes: dict[str, list[str]] = {}
        for code, address in buildings.items():
            self._codes.setdefault(plain_address(address), []).append(code)
        self._reversed = sorted(address[::-1] for address in self._codes)

    def find(self, address: str, door: str = "") -> Found:
        """Return the one building and door meant; several are named, so that a code can be given."""
        whole = plain_address(address)
        base, inside = (whole, door) if door else split_address(address)
        codes = self._buildings(base) or (self._buildings(whole) if base != whole else [])
        if not codes:
            return Found(why="a known address: no such building; give its building_code")
        if len(codes) > 1:
            told = ", ".join(codes[:SHOWN]) + (" …" if len(codes) > SHOWN else "")
            return Found(why=f"one building: {told} are called so; give its building_code")
        return self._at_door(codes[0], inside)

    def household(self, code: str, door: str) -> str:
        """Return the household of a dwelling where the file names none: the one known, else a new code."""
        families = self._doors.get(code, {}).get(door, [])
        return families[0] if len(families) == 1 else f"{code}-{door}"

    def _buildings(self, base: str) -> list[str]:
        if base in self._codes:
            return self._codes[base]
        shorter = [base[at:] for at in range(1, len(base) - SHORTEST + 1) if base[at:] in self._codes]
        if shorter:
            return self._codes[shorter[0]]
        longer = [
            whole
            for whole in self._ending_in(base)
            if not (base[0].isdigit() and whole[-len(base) - 1].isdigit())
        ]
        return [code for whole in longer for code in self._codes[whole]]

    def _ending_in(self, base: str) -> list[str]:
        if len(base) < SHORTEST:
            return []
        mark, found = base[::-1], []
        at = bisect_left(self._reversed, mark)
        while at < len(self._reversed) and self._reversed[at].startswith(mark):
            found.append(self._reversed[at][::-1])
            at += 1
        return found

    def _at_door(self, code: str, door: str) -> Found:
        doors = self._doors.get(code, {})
        if door in doors:
            return Found(code, door)
        if not door and len(doors) == 1:
            return Found(code, next(iter(doors)))
        asked = _door_key(door)
        fitting = [known for known in doors if door and _fits(asked, _door_key(known))]
        if len(fitting) == 1:
            return Found(code, fitting[0])
        told = ", ".join(sorted(fitting or doors)[:SHOWN]) + (" …" if len(fitting or doors) > SHOWN else "")
        if fitting:
            return Found(why=f"one door of {code}: {told} fit")
        return Found(
            why=f"a door of {code}; {'none is given' if not door else 'no such door'}: it has {told}"
        )


def _door_key(door: str) -> tuple[str | None, str]:
    """Return unit (None when not said) and room: the first and last number, without leading zeros."""
    parts = [part.lstrip("0") or "0" for part in _PARTS.findall(plain_address(door))]
    return (parts[0] if len(parts) > 1 else None), (parts[-1] if parts else "")


def _fits(asked: tuple[str | None, str], known: tuple[str | None, str]) -> bool:
    units = {asked[0], known[0]} - {None}
    return asked[1] == known[1] and len(units) < 2


def _number(text: str) -> int:
    """Return a Chinese numeral below 1000 as a number; digits one after the other as they stand."""
    if not set(text) & {"十", "百"}:
        return int("".join(str(_DIGITS[character]) for character in text))
    total = digit = 0
    for character in text:
        if character in "十百":
            total += (digit or (1 if character == "十" else 0)) * (10 if character == "十" else 100)
            digit = 0
        else:
            digit = _DIGITS[character]
    return total + digit
