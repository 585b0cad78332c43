"""Takes a roster file in, chunk by chunk: homes each once, rows as columns, and what was refused."""

import unicodedata
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from gridmgmt.households.incoming.fields import KNOWN
from gridmgmt.households.incoming.homes import Homes
from gridmgmt.households.incoming.matching import AddressBook
from gridmgmt.households.incoming.people import read_people, read_verified
from gridmgmt.households.incoming.rows import Kept, Rows, stacked
from gridmgmt.households.incoming.seals import Sealer, Seals
from gridmgmt.households.incoming.whole import refuse_spoiled
from gridmgmt.importing.report import Report
from gridmgmt.importing.tables import Chunk
from gridmgmt.importing.traditional import simplified
from gridmgmt.importing.values import clean_text

NAMED = "a name in every row of a household"
HOMES = """
SELECT b.code, d.door, h.code FROM building b JOIN dwelling d ON d.building_id = b.id
LEFT JOIN household h ON h.dwelling_id = d.id AND h.ended_on IS NULL
"""
WORDS = ("relation", "tenure", "registered_here", "care", "building_flags")  # also in Traditional characters


class Gathered:
    """Everything that the rows so far speak of."""

    def __init__(self, connection: Connection, report: Report, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer
        self._seals: list[Future[Seals]] = []
        # Only new people are sealed; where some are known already it shows later who is new.
        self._all_new = not connection.execute(text("SELECT EXISTS (SELECT FROM person)")).scalar_one()
        self._homes = Homes()
        self._rows: list[Rows] = []
        self._spoiled: dict[str, int] = {}
        self._columns: frozenset[str] = frozenset()
        self._book: AddressBook | None = None
        self.kept = Kept(report)
        day = connection.execute(text("SELECT current_date")).scalar_one()
        self.today = np.datetime64(day, "D")

    def has(self, field: str) -> bool:
        """Say whether the file has a column for a field."""
        return field in self._columns

    def add(self, chunk: Chunk, lon: np.ndarray, lat: np.ndarray) -> None:
        """Check a chunk's rows against each other and those before, and take in the good ones."""
        self._columns = frozenset(chunk.frame.columns)
        named = self.has("name")
        texts = {name: clean_text(chunk.column(name)) for name in KNOWN}
        for name in WORDS:
            texts[name] = _simplified(texts[name])
        self._find_homes(chunk, texts, named)
        for name in ("building_code", "building_address", "dwelling"):
            chunk.reject(texts[name] == "", name, "nothing", f"a {name}")
        household = texts["household_code"] != ""
        if named:
            chunk.reject(household & (texts["name"] == ""), "name", "nothing", NAMED)
        people = read_people(chunk, texts, self.today) if named else None
        days, by = read_verified(chunk, texts, self.today)
        home, family = self._homes.add(chunk, texts, lon, lat)
        if named:
            self._note_spoiled(chunk, texts["household_code"])
            self.kept.add(chunk)
        rows = Rows(chunk.rows, home, family, people, days, by).taken(chunk.good)
        self._rows.append(rows)
        if rows.people is not None:
            self._seals.append(self._sealer.submit(rows.people.identity, rows.people.phone, self._all_new))

    def _note_spoiled(self, chunk: Chunk, codes: pd.Series) -> None:
        bad = ~chunk.good & (codes != "").to_numpy(bool)
        for code, row in zip(codes[bad], chunk.rows[bad].tolist(), strict=True):
            self._spoiled.setdefault(code, row)

    def _find_homes(self, chunk: Chunk, texts: dict[str, pd.Series], named: bool) -> None:
        """Fill in buildings and doors from addresses, addresses from codes, and households without a code."""
        lost = (texts["building_code"] == "") & (texts["building_address"] != "")
        bare = (texts["building_code"] != "") & (texts["building_address"] == "")
        if lost.any():
            self._match(chunk, texts, lost.to_numpy(bool))
        if bare.any():
            known = texts["building_code"][bare].map(self.book.addresses).fillna("")
            texts["building_address"] = texts["building_address"].where(~bare, known.reindex(bare.index))
        alone = (texts["household_code"] == "") & (texts["name"] != "") & (texts["building_code"] != "")
        if named and alone.any():
            pairs = zip(texts["building_code"][alone], texts["dwelling"][alone], strict=True)
            made = pd.Series(
                [self.book.household(*pair) for pair in pairs], index=alone[alone].index, dtype="str"
            )
            texts["household_code"] = texts["household_code"].where(~alone, made.reindex(alone.index))

    def _match(self, chunk: Chunk, texts: dict[str, pd.Series], lost: np.ndarray) -> None:
        pairs = list(zip(texts["building_address"][lost], texts["dwelling"][lost], strict=True))
        distinct = {pair: self.book.find(*pair) for pair in set(pairs)}
        why = np.full(len(lost), "", object)
        why[lost] = [distinct[pair].why for pair in pairs]
        chunk.reject(why != "", "building_address", texts["building_address"], why)
        for name, values in (
            ("building_code", [distinct[pair].code for pair in pairs]),
            ("dwelling", [distinct[pair].door for pair in pairs]),
            ("building_address", [self.book.addresses.get(distinct[pair].code, "-") for pair in pairs]),
        ):
            column = texts[name].to_numpy(object).copy()
            column[lost] = values
            texts[name] = pd.Series(column, index=texts[name].index, dtype="str")

    @property
    def book(self) -> AddressBook:
        """The addresses known before this file; read when first asked for."""
        if self._book is None:
            buildings = self._connection.execute(text("SELECT code, address FROM building ORDER BY code"))
            homes = ((code, door, home) for code, door, home in self._connection.execute(text(HOMES)))
            self._book = AddressBook({row[0]: row[1] for row in buildings}, homes)
        return self._book

    def rows(self) -> Rows | None:
        """Return the good rows of the whole file, None when there is none."""
        if not sum(len(part.row) for part in self._rows):
            return None
        rows = Rows.joined(self._rows)
        if self._seals:
            rows = replace(rows, seals=stacked([future.result() for future in self._seals]))
        self._rows, self._seals = [], []
        if rows.people is not None:
            rows = rows.taken(refuse_spoiled(rows, self.codes, self._spoiled, self.kept))
        return rows if len(rows.row) else None

    @property
    def buildings(self) -> pd.DataFrame:
        """Buildings of the file, one line each."""
        return self._homes.buildings

    @property
    def dwellings(self) -> pd.DataFrame:
        """Dwellings of the file: building (number) and door."""
        return self._homes.dwellings

    @property
    def households(self) -> pd.DataFrame:
        """Households of the file: code and dwelling (number)."""
        return self._homes.households

    @property
    def codes(self) -> pd.Series:
        """Codes of the households by number."""
        households = self.households
        return households["code"] if len(households) else pd.Series([], dtype="str")

    def verified(self, rows: Rows) -> pd.DataFrame:
        """Return the dwellings with the last day on which each was verified, and by whom."""
        dwellings = self.dwellings.assign(verified_on=np.datetime64("NaT", "s"), verified_by="")
        seen = pd.DataFrame({
            "home": rows.home, "on": rows.verified_on.astype("datetime64[s]"),
            "by": rows.verified_by.to_pandas(),
        })  # fmt: skip
        last = seen[seen["on"].notna()].sort_values("on", kind="stable").drop_duplicates("home", keep="last")
        dwellings.loc[last["home"], "verified_on"] = last["on"].to_numpy()
        dwellings.loc[last["home"], "verified_by"] = last["by"].to_numpy()
        return dwellings

    def homes_of(self, rows: Rows) -> pd.DataFrame:
        """Return code (of the household, "" for none), building (code) and door of every row."""
        dwelling = self.dwellings.iloc[rows.home]
        code = self.codes.to_numpy(object)
        household = np.where(rows.family >= 0, code[np.maximum(rows.family, 0)], "") if len(code) else ""
        return pd.DataFrame({
            "code": pd.Series(household, index=range(len(rows.row)), dtype="str"),
            "building": self.buildings["code"].to_numpy()[dwelling["building"].to_numpy()],
            "door": dwelling["door"].to_numpy(),
        })  # fmt: skip

    def codes_named(self, rows: Rows) -> set[str]:
        """Return the codes of the households that the rows name."""
        return set(self.codes.iloc[np.unique(rows.family[rows.family >= 0])])


def _simplified(texts: pd.Series) -> pd.Series:
    """Return words half-width and in Simplified characters; each spelling is looked at once."""
    codes, distinct = pd.factorize(texts)
    plain = [simplified(unicodedata.normalize("NFKC", word)) for word in distinct]
    if plain == list(distinct):
        return texts
    return pd.Series(np.array(plain, object)[codes], index=texts.index, dtype="str")
