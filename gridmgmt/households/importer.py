"""Imports the roster (人房关联): buildings, dwellings and households, with persons as a number.

The file has one row a person. What names a person is not read out of it at all: persons get a table of their
own, with encryption, later.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import Engine, text

from gridmgmt.grids.by_day import territory_bounds
from gridmgmt.households.merge import Roster, merge
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.places import read_places
from gridmgmt.importing.progress import Progress
from gridmgmt.importing.report import Report
from gridmgmt.importing.run import import_run
from gridmgmt.importing.tables import Chunk, read_chunks
from gridmgmt.importing.values import clean_text

REQUIRED = ("building_code", "building_address", "dwelling")
KNOWN = (
    "building_code", "building_address", "building_lon", "building_lat", "building_flags", "dwelling",
    "household_code",
)  # fmt: skip
ALIASES = {
    "building_code": ("楼栋编码", "建筑编码", "楼栋编号"),
    "building_address": ("楼栋地址", "建筑地址", "地址"),
    "building_lon": ("楼栋经度", "经度"),
    "building_lat": ("楼栋纬度", "纬度"),
    "building_flags": ("楼栋标记", "建筑标记"),
    "dwelling": ("房号", "门牌", "户室号"),
    "household_code": ("户编号", "户号", "家庭编号"),
}
FLAGS = {
    "low_lying": ("low_lying", "低洼"),
    "dilapidated": ("dilapidated", "危旧", "危旧房", "危房"),
    "self_built": ("self_built", "自建", "自建房"),
}
SAME_BUILDING = "the same address, place and flags in every row of a building"
SIGNS = re.compile(r"[;；,，、|\s]+")
NOT_TAKEN = (
    "names, identity numbers, telephones and all else about single persons was not read from the file; "
    "persons are kept as a number a household"
)


def import_roster(
    engine: Engine,
    path: Path,
    mapping: Mapping,
    *,
    dry_run: bool = False,
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import one roster file in one transaction, and return what came of its rows (one a person).

    Idempotent on the codes of buildings and households. A file holds the whole of every household it names;
    households that it does not name stay. A row without a household tells of an empty dwelling. `extra`
    counts buildings outside every grid and without a place.

    Raises
    ------
    FileError
        When the file cannot be read, lacks a required column, or has coordinates whose reference system is
        not declared.
    """
    path, progress = Path(path), progress or Progress()
    with import_run(engine, "roster", path, dry_run=dry_run, rejects=rejects) as (connection, report):
        report.warn(NOT_TAKEN)
        bounds = territory_bounds(connection)
        chunks = read_chunks(
            path, mapping, known=KNOWN, required=REQUIRED, aliases=ALIASES, only_known=True, report=report,
            progress=progress,
        )  # fmt: skip
        gathered = _Gathered()
        for chunk in chunks:
            lon, lat = read_places(chunk, path, mapping, bounds, "building_lon", "building_lat")
            gathered.add(chunk, lon, lat)
        progress.doing("merging")
        merge(connection, gathered.roster(), report)
        connection.execute(text("ANALYZE building, dwelling, household"))  # plans join all three at once
    return report


class _Gathered:
    """Buildings, dwellings and households of the rows so far, each once; people as row numbers into them."""

    def __init__(self) -> None:
        self._buildings = _Seen()
        self._dwellings = _Seen()
        self._households = _Seen()
        self._dwelling_of_row: list[np.ndarray] = []
        self._household_of_row: list[np.ndarray] = []

    def add(self, chunk: Chunk, lon: np.ndarray, lat: np.ndarray) -> None:
        """Check a chunk's rows against each other and those before, and take in the good ones."""
        texts = {name: clean_text(chunk.column(name)) for name in KNOWN}
        for name in REQUIRED:
            chunk.reject(texts[name] == "", name, "nothing", f"a {name}")
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
        moved = (household["code"] != "") & self._households.differs(family, household)
        chunk.reject(
            moved, "household_code", household["code"], "one dwelling for all persons of a household"
        )
        good = chunk.good
        self._dwelling_of_row.append(home[good])
        self._household_of_row.append(np.where(household["code"] == "", -1, family)[good])

    def roster(self) -> Roster:
        """Return everything that good rows speak of."""
        home = np.concatenate([*self._dwelling_of_row, np.empty(0, np.int64)])
        family = np.concatenate([*self._household_of_row, np.empty(0, np.int64)])
        return Roster(
            self._buildings.table(), self._dwellings.table(), self._households.table(), home, family
        )


class _Seen:
    """Things with a key, in the order they first came; later rows of a thing must say the same of it."""

    def __init__(self) -> None:
        self._parts: list[pd.DataFrame] = []
        self._place: dict[str, int] = {}

    def add(self, chunk: Chunk, rows: pd.DataFrame, key: str) -> np.ndarray:
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

    def differs(self, numbers: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
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
    known = {word: flag for flag, words in FLAGS.items() for word in words}
    codes, distinct = pd.factorize(texts)
    split = [{word.strip() for word in SIGNS.split(text)} - {"", "无"} for text in distinct]
    wrong = np.array([bool(words - set(known)) for words in split] or [False])
    chunk.reject(wrong[codes], "building_flags", texts, ", ".join(known))
    ours = [{known.get(word) for word in words} for words in split]
    return {flag: np.array([flag in words for words in ours] or [False])[codes] for flag in FLAGS}
