"""Rows of an import file as matters: every field checked, every refusal with its reason."""

import hashlib
from collections.abc import Mapping as Table
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmgmt.db.copy import Points, texts_or_null
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.places import Bounds, read_places
from gridmgmt.importing.tables import Chunk
from gridmgmt.importing.values import TIME_EXAMPLES, clean_text, parse_times
from gridmgmt.incidents.lookups import Lookup
from gridmgmt.incidents.terms import LEDGER_NAMES, STATUS_NAMES, Status
from gridmgmt.incidents.words import LEDGER_WORDS, NO_ANSWER, SATISFACTION_WORDS, STATUS_WORDS

REQUIRED = ("external_id", "occurred_at", "category")
TEXTS = ("address", "title", "text", "stage", "level")
# Whoever told a matter: taken where it is handled here, left out of history.
PEOPLE = ("party_name", "party_phone")
KNOWN = (
    *REQUIRED, "reported_at", "ledger", "channel", "lon", "lat", *TEXTS, "status", "satisfaction",
    "closed_at", "due_at", *PEOPLE,
)  # fmt: skip
ALIASES = {
    "external_id": ("工单编号", "编号", "诉求编号", "受理编号"),
    "occurred_at": ("诉求时间", "发生时间", "受理时间"),
    "reported_at": ("登记时间", "上报时间"),
    "category": ("小类", "类别", "诉求类别"),
    "ledger": ("台账",),
    "channel": ("渠道",),
    "lon": ("经度",),
    "lat": ("纬度",),
    "address": ("地址",),
    "title": ("标题",),
    "text": ("内容", "诉求内容"),
    "stage": ("环节",),
    "level": ("层级",),
    "status": ("状态",),
    "satisfaction": ("满意度",),
    "closed_at": ("办结时间", "办结日期", "办理完成时间"),
    "due_at": ("办理期限", "截止时间", "办结期限", "要求办结时间"),
    "party_name": ("联系人", "诉求人", "诉求人姓名", "来电人", "反映人", "投诉人"),
    "party_phone": ("联系电话", "联系方式", "诉求人电话", "来电号码", "手机号", "手机号码"),
}
DIGEST_SEPARATOR = "\x1f"  # `clean_text` takes it out of every text


class RepeatedIds:
    """What to do with an id that a file gives more than once: refuse the later rows, or number them."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._times: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def named(self, ids: pd.Series) -> pd.Series:
        """Return ids, the n-th of the same in the file as "ID#n", when that is the rule.

        All rows of the file count, also those that are filtered, so that another period gives the same ids.
        """
        if self._rule != "number":
            return ids
        times, names = self._times, []
        for name in ids:
            count = times[name] = times.get(name, 0) + 1
            names.append(name if count == 1 or not name else f"{name}#{count}")
        return pd.Series(names, index=ids.index, dtype="str")

    def refuse(self, chunk: Chunk, ids: pd.Series) -> None:
        """Reject good rows whose id a good row above already has."""
        at = np.flatnonzero(chunk.good)
        rows = chunk.rows[at].tolist()
        first = np.fromiter(
            (self._first.setdefault(name, row) for name, row in zip(ids.iloc[at], rows, strict=True)),
            np.int64,
            len(at),
        )
        earlier = np.zeros(len(chunk.rows), np.int64)
        earlier[at] = first
        repeated = chunk.good & (earlier != chunk.rows)
        if repeated.any():
            allowed = "an id once in a file; row " + pd.Series(earlier).astype(str) + " has it already"
            chunk.reject(repeated, "external_id", ids, allowed)


class Checker:
    """Checks chunks of one file and returns their good rows as columns of `incident`."""

    def __init__(
        self, path: Path, mapping: Mapping, categories: Lookup, channels: Lookup, bounds: Bounds | None
    ) -> None:
        self._path, self._mapping, self._bounds = path, mapping, bounds
        self._categories, self._channels = categories, channels
        self._ids = RepeatedIds(mapping.repeated_ids)
        self._today = datetime.now(ZoneInfo(mapping.timezone)).date()

    def matters(self, chunk: Chunk) -> dict[str, Any]:
        """Return the columns of the good rows, ready to be copied, all but `grid_id`."""
        ids = self._ids.named(clean_text(chunk.frame["external_id"]))
        occurred_at, occurred_on = self._time(chunk, "occurred_at", filtering=True)
        chunk.reject(ids == "", "external_id", "nothing", "an id")
        reported_at, _ = self._time(chunk, "reported_at")
        reported_at = np.where(np.isnat(reported_at), occurred_at, reported_at)
        codes = {
            "category": self._code(chunk, "category", self._categories, needed=True),
            "channel": self._code(chunk, "channel", self._channels),
            "ledger": _word(chunk, "ledger", LEDGER_WORDS, list(LEDGER_NAMES.values())),
            "status": _word(chunk, "status", STATUS_WORDS, list(STATUS_NAMES.values())),
        }
        closed_at, due_at = self._ends(chunk, occurred_at, codes)
        satisfaction = _word(chunk, "satisfaction", SATISFACTION_WORDS, list(SATISFACTION_WORDS), NO_ANSWER)
        lon, lat = read_places(chunk, self._path, self._mapping, self._bounds)
        self._ids.refuse(chunk, ids)
        good = chunk.good
        texts = codes | {name: clean_text(chunk.column(name)) for name in TEXTS}
        texts = {name: column[good] for name, column in texts.items()}
        columns: dict[str, Any] = {
            "external_id": ids[good],
            **{name: texts_or_null(column) for name, column in texts.items()},
            "occurred_at": occurred_at[good],
            "occurred_on": occurred_on[good],
            "reported_at": reported_at[good],
            "satisfaction": pa.array(pd.to_numeric(satisfaction[good]), pa.int16(), from_pandas=True),
            "geom": Points(lon[good], lat[good]),
            "closed_at": closed_at[good],
            "due_at": due_at[good],
        }
        numbers = [
            occurred_at[good].astype(np.int64),
            reported_at[good].astype(np.int64),
            lon[good],
            lat[good],
        ]
        later = _moments_as_text(closed_at[good], due_at[good])
        columns["digest"] = digests([*texts.values(), satisfaction[good], *numbers], later)
        return columns

    def people(self, chunk: Chunk) -> tuple[list[str], list[str]]:
        """Return name and telephone of whoever told each good row, "" for nothing."""
        return tuple(clean_text(chunk.column(name))[chunk.good].tolist() for name in PEOPLE)  # type: ignore[return-value]

    def _ends(
        self, chunk: Chunk, occurred_at: NDArray[np.datetime64], codes: dict[str, pd.Series]
    ) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
        """Return when each matter was closed and was to be; settle the states of rows that give none.

        Without a word for its state a matter is closed, unless the file says when matters were closed and
        does not for this one. One that is open has not been closed, whatever stands there.
        """
        closed_at, _ = self._time(chunk, "closed_at")
        due_at, _ = self._time(chunk, "due_at", past=False)
        early = closed_at < occurred_at
        if early.any():
            chunk.reject(early, "closed_at", chunk.column("closed_at"), "a time not before the matter arose")
        silent = "closed_at" in chunk.frame
        open_ = (codes["status"] == Status.OPEN) | ((codes["status"] == "") & silent & np.isnat(closed_at))
        codes["status"] = pd.Series(
            np.where(open_, Status.OPEN.value, Status.CLOSED.value), index=open_.index, dtype="str"
        )
        return np.where(open_, np.datetime64("NaT", "us"), closed_at), due_at

    def _time(
        self, chunk: Chunk, name: str, *, filtering: bool = False, past: bool = True
    ) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
        texts = chunk.column(name)
        moments, days, bad = parse_times(texts, self._mapping.timezone, self._mapping.time_format)
        if filtering:
            first, last = self._mapping.period
            chunk.filter_out(
                (days < np.datetime64(first or date.min)) | (days > np.datetime64(last or date.max))
            )
            chunk.reject(texts == "", name, "nothing", TIME_EXAMPLES)
        form = self._mapping.time_format
        chunk.reject(bad, name, texts, f"a time written as {form}" if form else TIME_EXAMPLES)
        earliest = self._mapping.earliest
        allowed = f"a day from {earliest} on; [source] earliest in the mapping file changes this"
        chunk.reject(days < np.datetime64(earliest), name, texts, allowed)
        if past:
            allowed = f"a day not after today, {self._today}"
            chunk.reject(days > np.datetime64(self._today), name, texts, allowed)
        return moments, days

    def _code(self, chunk: Chunk, name: str, lookup: Lookup, *, needed: bool = False) -> pd.Series:
        """Return the codes of a column that gives codes or names; "" for nothing."""
        texts = clean_text(chunk.column(name))
        found = _mapped(texts, lookup.codes)
        if needed:
            chunk.reject(texts == "", name, "nothing", f"a {name}'s code or name")
        several = texts.isin(list(lookup.ambiguous))
        if several.any():
            codes = texts.map(lambda text: " or ".join(lookup.ambiguous.get(text, ())))
            chunk.reject(several, name, texts, "a name that stands once; give the code: " + codes)
        chunk.reject(
            (found == "") & (texts != ""), name, texts, f"the code or name of a {name} that is loaded"
        )
        return found


def _word(
    chunk: Chunk, name: str, words: Table[str, object], shown: list[str], nothing: tuple[str, ...] = ("",)
) -> pd.Series:
    """Return our words for a column's, "" for nothing; rejects words that are not known."""
    texts = clean_text(chunk.column(name))
    found = _mapped(texts, {word: str(ours) for word, ours in words.items()})
    chunk.reject((found == "") & ~texts.isin(nothing), name, texts, ", ".join(shown))
    return found


def _mapped(texts: pd.Series, codes: dict[str, str]) -> pd.Series:
    """Return codes, "" where there is none; each distinct text is looked up once."""
    places, distinct = pd.factorize(texts)
    found = np.array([codes.get(text, "") for text in distinct] or [""], dtype=object)
    return pd.Series(found[places], index=texts.index, dtype="str")


def _moments_as_text(*columns: NDArray[np.datetime64]) -> pa.Array:
    """Return moments of a row as one text, null where there is none of them."""
    numbers = [pa.array(column, from_pandas=True).cast(pa.int64()) for column in columns]
    texts = [pc.fill_null(number.cast(pa.large_string()), "") for number in numbers]
    joined = pc.binary_join_element_wise(*texts, pa.scalar(DIGEST_SEPARATOR, pa.large_string()))
    return pc.if_else(pc.equal(joined, DIGEST_SEPARATOR * (len(columns) - 1)), None, joined)


def digests(columns: list[object], later: pa.Array | None = None) -> pa.Array:
    """Return the MD5 of each row's values: equal for equal content, in whatever file it comes.

    `later` are texts of columns that came to be known later: a row without one sums up as before. Who told a
    matter is no part of it: from a sum, with all else known, a telephone could be found by trying.
    """
    texts = [
        pc.fill_null(pa.array(column, from_pandas=True).cast(pa.large_string()), "") for column in columns
    ]
    separator = pa.scalar(DIGEST_SEPARATOR, pa.large_string())
    joined = pc.binary_join_element_wise(*texts, separator)
    if later is not None:
        joined = pc.coalesce(pc.binary_join_element_wise(joined, later, separator), joined)
    joined = joined.cast(pa.large_binary())
    md5 = hashlib.md5
    sums = [md5(content, usedforsecurity=False).digest() for content in joined.to_pylist()]
    return pa.array(sums, pa.binary(16))
