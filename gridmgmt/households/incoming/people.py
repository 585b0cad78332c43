"""What rows say of people: words and dates read, numbers checked, birth date and sex derived."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmgmt.errors import InputError
from gridmgmt.households.incoming import fields
from gridmgmt.households.incoming.homes import words_of
from gridmgmt.households.models import Care, Relation, Tenure
from gridmgmt.importing.tables import Chunk
from gridmgmt.importing.values import TIME_EXAMPLES, parse_times
from gridmgmt.privacy.numbers import (
    PHONES,
    check_phone,
    clean_identity,
    clean_phone,
    identities,
)

LONGEST_NAME = 60
OLDEST = np.datetime64("1850-01-01")
TENURES, RELATIONS, CARES = tuple(Tenure), tuple(Relation), tuple(Care)
UNSAID = -1
Days = NDArray[np.datetime64]

_PLAIN_IDENTITY = "^[0-9]{17}[0-9X]$"
_PLAIN_PHONE = "^1[3-9][0-9]{9}$"
_LONG_DIGITS = "[0-9]{7}"
_IN_TEXT = r"(?:^|[^0-9])([0-9]{17}[0-9Xx])(?:[^0-9]|$)"
NO_NUMBER_HERE = "no identity number in this column: it is kept in clear"


@dataclass(frozen=True, repr=False)
class People:
    """Rows of people, as columns of one length; codes count from 0 in the order of their enum, -1 is unsaid.

    `identity` and `phone` are checked texts in clear, None where there is none: they never leave memory.
    """

    name: pa.Array
    identity: pa.Array
    phone: pa.Array
    birth_on: Days
    sex: NDArray[np.int8]  # 0 man, 1 woman
    relation: NDArray[np.int8]
    tenure: NDArray[np.int8]
    registered: NDArray[np.int8]  # 0 elsewhere, 1 in this dwelling
    since: Days
    care: NDArray[np.int8]  # bits in the order of Care
    care_basis: pa.Array
    care_expires: Days


def read_people(chunk: Chunk, texts: dict[str, pd.Series], today: np.datetime64) -> People:
    """Check what a chunk's rows say of people; a row's faults reject it and are told without its numbers."""
    _refuse_stray_numbers(chunk, texts)
    name = texts["name"]
    odd = (name.str.len() > LONGEST_NAME).to_numpy(bool) | _matches(name, _LONG_DIGITS)
    chunk.reject(odd, "name", "digits, or very long", "a person's name")
    identity, birth_on, sex = _identity(chunk, texts["identity_number"])
    said = _days(chunk, "birth_on", texts["birth_on"], OLDEST, today)
    expires = _days(chunk, "care_expires", texts["care_expires"], OLDEST, None)
    return People(
        name=_arrow(name),
        identity=identity,
        phone=_phone(chunk, texts["phone"]),
        birth_on=np.where(np.isnat(birth_on), said, birth_on),
        sex=sex,
        relation=_relation(texts["relation"]),
        tenure=_coded(chunk, "tenure", texts["tenure"], fields.TENURE_WORDS, TENURES),
        registered=_coded(
            chunk, "registered_here", texts["registered_here"].str.lower(), fields.YES_NO_WORDS, (False, True)
        ),
        since=_days(chunk, "since", texts["since"], OLDEST, today),
        care=_care(chunk, texts["care"]),
        care_basis=_arrow(texts["care_basis"]),
        care_expires=expires,
    )


def _refuse_stray_numbers(chunk: Chunk, texts: dict[str, pd.Series]) -> None:
    """Refuse rows with a real identity number in a column kept in clear, such as the household's code."""
    for name in fields.CLEAR:
        suspect = _matches(texts[name], _IN_TEXT)
        if suspect.any():
            found = texts[name][suspect].str.extract(_IN_TEXT)[0].str.upper()
            suspect[suspect] = identities(found.tolist()).good
            chunk.reject(suspect, name, "an identity number", NO_NUMBER_HERE)


def _identity(chunk: Chunk, texts: pd.Series) -> tuple[pa.Array, Days, NDArray[np.int8]]:
    """Return cleaned numbers (None where there is none), and the birth dates and sexes that they say."""
    odd = ~_matches(texts, _PLAIN_IDENTITY) & (texts != "").to_numpy(bool)
    if odd.any():
        texts = texts.where(~odd, texts[odd].map(clean_identity).reindex(texts.index))
    given = (texts != "").to_numpy(bool)
    read = identities(texts[given].tolist())
    if not read.good.all():
        bad = given.copy()
        bad[given] = ~read.good
        why = np.full(len(texts), "", object)
        why[given] = read.why
        chunk.reject(bad, "identity_number", _masked_identities(texts), why)
    birth_on: Days = np.full(len(texts), np.datetime64("NaT"), "datetime64[D]")
    birth_on[given] = read.birth_on
    sex = np.full(len(texts), UNSAID, np.int8)
    sex[given] = read.woman
    return _arrow(texts, none=""), birth_on, sex


def _masked_identities(texts: pd.Series) -> pd.Series:
    """Return the first six and last four of 18 characters, of anything else how long it is."""
    masked = texts.str.slice(0, 6) + "********" + texts.str.slice(-4)
    return masked.where(texts.str.len() == 18, texts.str.len().astype(str) + " characters")


def _phone(chunk: Chunk, texts: pd.Series) -> pa.Array:
    odd = ~_matches(texts, _PLAIN_PHONE) & (texts != "").to_numpy(bool)
    if odd.any():
        cleaned = texts[odd].map(clean_phone)
        bad = odd.copy()
        bad[odd] = [_is_no_phone(text) for text in cleaned]
        chunk.reject(bad, "phone", (texts.str.len().astype(str) + " characters"), PHONES)
        texts = texts.where(~odd, cleaned.reindex(texts.index))
    return _arrow(texts, none="")


def _is_no_phone(text: str) -> bool:
    try:
        check_phone(text)
    except InputError:
        return True
    return False


def _relation(texts: pd.Series) -> NDArray[np.int8]:
    """Return what each is to the head: words, the codes of GB/T 4761; words not known here are others."""
    codes, distinct = pd.factorize(texts)
    known = [_relation_code(text) for text in distinct] or [UNSAID]
    return np.array(known, np.int8)[codes]


def _relation_code(text: str) -> int:
    if not text:
        return UNSAID
    digit = fields.RELATION_DIGITS.get(text[0]) if text.isdecimal() and len(text) <= 2 else None
    word = fields.RELATION_WORDS.get(text.lower(), Relation.OTHER)
    return RELATIONS.index(Relation(digit if digit and len(text) == 2 else word))


def _coded(
    chunk: Chunk, name: str, texts: pd.Series, words: Mapping[str, Any], meanings: tuple[object, ...]
) -> NDArray[np.int8]:
    codes, distinct = pd.factorize(texts)
    known = [
        UNSAID if not text else meanings.index(words[text]) if text in words else -2 for text in distinct
    ]
    found = np.array(known or [UNSAID], np.int8)[codes]
    chunk.reject(found == -2, name, texts, ", ".join(map(str, words)))
    return np.maximum(found, UNSAID)


def _care(chunk: Chunk, texts: pd.Series) -> NDArray[np.int8]:
    codes, distinct = pd.factorize(texts)
    split = [words_of(text) for text in distinct]
    wrong = np.array([bool(words - set(fields.CARE_WORDS)) for words in split] or [False])
    chunk.reject(wrong[codes], "care", texts, ", ".join(fields.CARE_WORDS))
    bits = [
        sum(
            1 << CARES.index(Care(care))
            for care in {fields.CARE_WORDS[w] for w in words if w in fields.CARE_WORDS}
        )
        for words in split
    ]
    return np.array(bits or [0], np.int8)[codes]


def read_verified(chunk: Chunk, texts: dict[str, pd.Series], today: np.datetime64) -> tuple[Days, pa.Array]:
    """Return on which day each row's dwelling was verified, and by whom."""
    days = _days(chunk, "verified_on", texts["verified_on"], OLDEST, today)
    return days, _arrow(texts["verified_by"])


def _days(
    chunk: Chunk, name: str, texts: pd.Series, first: np.datetime64, last: np.datetime64 | None
) -> Days:
    """Return calendar days; each spelling is read once. Nothing personal is quoted of a birth date."""
    codes, distinct = pd.factorize(texts)
    _, days, bad = parse_times(pd.Series(distinct, dtype="str"), "Asia/Shanghai")
    shown = "another day" if name in fields.PERSONAL else texts
    chunk.reject(bad[codes], name, shown, TIME_EXAMPLES)
    found: Days = days[codes] if len(distinct) else np.empty(0, "datetime64[D]")
    chunk.reject(found < first, name, shown, f"a day from {first} on")
    if last is not None:
        chunk.reject(found > last, name, shown, "a day not after today")
    return found


def _matches(texts: pd.Series, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.match_substring_regex(pa.array(texts), pattern).to_numpy(
        zero_copy_only=False
    )
    return found.copy()


def _arrow(texts: pd.Series, none: str | None = None) -> pa.Array:
    """Return texts as an Arrow column; those that equal `none` become None."""
    column = pa.chunked_array([pa.array(texts)]).combine_chunks().cast(pa.large_string())
    return column if none is None else pc.if_else(pc.equal(column, none), None, column)
