"""Households whole or not at all: one head each, nobody twice, and none of which a row was refused."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from gridmgmt.households.incoming.people import RELATIONS, UNSAID
from gridmgmt.households.incoming.rows import Kept, Mask, Rows
from gridmgmt.households.models import Relation

HEAD = RELATIONS.index(Relation.HEAD)
OTHER = RELATIONS.index(Relation.OTHER)
ONE_HEAD = "one 户主 a household"
WHOLE = "a household of which every row is right: row {} is not"
ONCE = "a person once in a household: row {} has the same"
HEAD_WAITS = "a household whose head is sure: the head's row waits for review"


@dataclass(frozen=True)
class Doubles:
    """Rows that may be somebody known: place among the rows, kind of `Double`, who it may be (0: unsaid)."""

    place: NDArray[np.int64]
    kind: list[str]
    person: NDArray[np.int64]

    @staticmethod
    def none() -> "Doubles":
        return Doubles(np.empty(0, np.int64), [], np.empty(0, np.int64))

    def __add__(self, other: "Doubles") -> "Doubles":
        """Return both; of a row told twice the first counts."""
        place = np.concatenate([self.place, other.place])
        kind, person = self.kind + other.kind, np.concatenate([self.person, other.person])
        _, first = np.unique(place, return_index=True)
        return Doubles(place[first], [kind[at] for at in first], person[first])


def refuse_spoiled(rows: Rows, codes: pd.Series, spoiled: dict[str, int], kept: Kept) -> Mask:
    """Refuse the other rows of households of which a row was refused; return which rows stay."""
    stay = np.ones(len(rows.row), bool)
    if not spoiled or not len(codes):
        return stay
    first = codes.map(spoiled).to_numpy(np.float64)
    guilty = np.where(rows.family >= 0, first[rows.family], np.nan)
    stay = np.isnan(guilty)
    why = [WHOLE.format(int(row)) for row in guilty[~stay]]
    kept.reject(rows.row[~stay], "household_code", codes.to_numpy()[rows.family[~stay]].tolist(), why)
    return stay


def doubles_in_file(rows: Rows, kept: Kept) -> tuple[Mask, Doubles]:
    """Refuse rows that repeat a person of their household; return which stay, and which may be of another."""
    assert rows.people is not None
    people, family = rows.people, rows.family
    identity, name = _numbered(people.identity), _numbered(people.name)
    place, kind = [], []
    repeats: dict[int, int] = {}
    for first, later in _pairs(pd.DataFrame({"identity": identity}), identity >= 0):
        if family[first] == family[later]:
            repeats[later] = first
        else:
            place.append(later)
            kind.append("same_identity")
    key = pd.DataFrame({"home": rows.home, "name": name, "birth": people.birth_on.astype(np.int64)})
    for first, later in _pairs(key, ~np.isnat(people.birth_on) & (family >= 0)):
        if later in repeats:
            continue
        apart = identity[first] >= 0 and identity[later] >= 0
        if apart or family[first] != family[later]:
            place.append(later)
            kind.append("same_person")
        else:
            repeats[later] = first
    stay = np.ones(len(family), bool)
    if repeats:
        again = np.array(list(repeats))
        stay[again] = False
        why = [ONCE.format(rows.row[first]) for first in repeats.values()]
        kept.reject(rows.row[again], "identity_number", ["the same person"] * len(again), why)
    return stay, Doubles(np.array(place, np.int64), kind, np.zeros(len(place), np.int64)) + Doubles.none()


def _numbered(texts: pa.Array) -> NDArray[np.int64]:
    """Return a number for every distinct text, -1 for none."""
    numbers: NDArray[np.int64] = texts.dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64)
    return numbers


def _pairs(keys: pd.DataFrame, valid: object) -> list[tuple[int, int]]:
    """Return the first row and each later row of the same key."""
    keys = keys[np.asarray(valid, bool)]
    again = keys[keys.duplicated(keep=False)]
    if not len(again):
        return []
    first = again.groupby(list(again), sort=False).ngroup()
    start: dict[int, int] = {}
    return [(start[g], at) for at, g in zip(again.index.tolist(), first.tolist(), strict=True)
            if start.setdefault(g, at) != at]  # fmt: skip


def one_head_each(
    rows: Rows, waiting: Mask, kept: Kept, codes: pd.Series
) -> tuple[Mask, NDArray[np.int8], int]:
    """Refuse households without one head; return which rows stay, relations, how many first rows became head.

    Where no row of a household gives a relation its first row is the head. `waiting` rows are told elsewhere.
    """
    assert rows.people is not None
    relation, family, count = rows.people.relation.copy(), rows.family, len(codes)
    person = family >= 0
    said = np.bincount(family[person & (relation != UNSAID)], minlength=count) > 0
    silent = person & ~said[family]
    first = np.flatnonzero(silent)[np.unique(family[silent], return_index=True)[1]]
    relation[first] = HEAD
    relation[person & (relation == UNSAID)] = OTHER
    heads = np.bincount(family[person & (relation == HEAD)], minlength=count)
    wrong = person & (heads[family] != 1)
    kept.reject(
        rows.row[wrong & ~waiting], "relation",
        [f"{n} 户主" for n in heads[family[wrong & ~waiting]]], ONE_HEAD,
    )  # fmt: skip
    head_waits = np.zeros(count, bool)
    head_waits[family[waiting & person & (relation == HEAD)]] = True
    left = person & ~wrong & ~waiting & head_waits[family]
    kept.reject(rows.row[left], "household_code", codes.to_numpy()[family[left]].tolist(), HEAD_WAITS)
    return ~(wrong & ~waiting) & ~left, relation, len(first)
