"""Buildings, dwellings and households of a file, each once, checked against each other."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridmgmt.households.incoming.fields import FLAG_WORDS, FLAGS
from gridmgmt.importing.tables import Chunk

SAME_BUILDING = "the same address, place and flags in every row of a building"
ONE_DWELLING = "one dwelling for all persons of a household"
SIGNS = re.compile(r"[;；,，、|\s]+")
Numbers = NDArray[np.int64]


class Homes:
    """What rows say of buildings, dwellings and households, in the order in which they first came."""

    def __init__(self) -> None:
        self._buildings = _Seen()
        self._dwellings = _Seen()
        self._households = _Seen()

    def add(
        self, chunk: Chunk, texts: dict[str, pd.Series], lon: np.ndarray, lat: np.ndarray
    ) -> tuple[Numbers, Numbers]:
        """Check a chunk's rows against those before, and return numbers of dwelling and household by row.

        -1 is a row without a household, and a row whose thing is only named by rejected rows.
        """
        flags = _flags(chunk, texts["building_flags"])
        building = pd.DataFrame({
            "code": texts["building_code"], "address": texts["building_address"],
            "lon": lon, "lat": lat, **flags,
        })  # fmt: skip
        at = self._buildings.add(chunk, building, "code")
        differing = self._buildings.differs(at, building)
        chunk.reject(differing, "building_code", texts["building_code"], SAME_BUILDING)
        dwelling = pd.DataFrame({"building": at, "door": texts["dwelling"]})
        dwelling["key"] = texts["building_code"] + "\x1f" + texts["dwelling"]
        home = self._dwellings.add(chunk, dwelling, "key")
        household = pd.DataFrame({"code": texts["household_code"], "dwelling": home})
        family = self._households.add(chunk, household, "code")
        none = (household["code"] == "").to_numpy()
        moved = ~none & self._households.differs(family, household)
        chunk.reject(moved, "household_code", household["code"], ONE_DWELLING)
        return home, np.where(none, -1, family)

    @property
    def buildings(self) -> pd.DataFrame:
        """code, address, lon, lat and flags, one row each."""
        return self._buildings.table()

    @property
    def dwellings(self) -> pd.DataFrame:
        """building (number) and door, one row each."""
        return self._dwellings.table()

    @property
    def households(self) -> pd.DataFrame:
        """code and dwelling (number), one row each."""
        return self._households.table()


class _Seen:
    """Things with a key, in the order they first came; later rows of a thing must say the same of it."""

    def __init__(self) -> None:
        self._parts: list[pd.DataFrame] = []
        self._place: dict[str, int] = {}

    def add(self, chunk: Chunk, rows: pd.DataFrame, key: str) -> Numbers:
        """Return for each row the number of its thing, -1 where a rejected row is its first mention."""
        codes, distinct = pd.factorize(rows[key].where(chunk.good).to_numpy(object))
        numbers = np.array([self._place.get(name, -1) for name in distinct] + [-1], np.int64)
        fresh = np.flatnonzero(numbers[:-1] < 0)
        if len(fresh):
            first = np.full(len(distinct), -1)
            at = np.flatnonzero(codes >= 0)[::-1]
            first[codes[at]] = at
            start = len(self._place)
            numbers[fresh] = np.arange(start, start + len(fresh))
            self._place.update(zip(distinct[fresh], numbers[fresh].tolist(), strict=True))
            self._parts.append(rows.iloc[first[fresh]])
        return numbers[codes]

    def differs(self, numbers: Numbers, rows: pd.DataFrame) -> np.ndarray:
        """Say which rows differ from what was first said of their thing."""
        different = np.zeros(len(rows), bool)
        if not self._parts:
            return different
        first = self.table().take(np.maximum(numbers, 0))
        for name in rows:
            mine, other = rows[name].to_numpy(), first[name].to_numpy()
            empty = pd.isna(mine) & pd.isna(other)
            different |= (mine != other) & ~empty
        return different & (numbers >= 0)

    def table(self) -> pd.DataFrame:
        """Return all things, one row each."""
        if len(self._parts) > 1:
            self._parts = [pd.concat(self._parts, ignore_index=True)]
        return self._parts[0].reset_index(drop=True) if self._parts else pd.DataFrame()


def _flags(chunk: Chunk, texts: pd.Series) -> dict[str, np.ndarray]:
    """Return the three flags of buildings; several stand between semicolons, commas or 、."""
    codes, distinct = pd.factorize(texts)
    split = [words_of(text) for text in distinct]
    wrong = np.array([bool(words - set(FLAG_WORDS)) for words in split] or [False])
    chunk.reject(wrong[codes], "building_flags", texts, ", ".join(FLAG_WORDS))
    ours = [{FLAG_WORDS.get(word) for word in words} for words in split]
    return {flag: np.array([flag in words for words in ours] or [False])[codes] for flag in FLAGS}


def words_of(text: str) -> set[str]:
    """Return the words of a cell that stand between semicolons, commas, 、 or blanks; 无 is none."""
    return {word.strip() for word in SIGNS.split(text)} - {"", "无"}
