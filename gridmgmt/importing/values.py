"""Text columns as times, numbers and clean text: whole columns at once, with a mask of the unreadable."""

import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Times = tuple[NDArray[np.datetime64], NDArray[np.datetime64], NDArray[np.bool_]]

TIME_EXAMPLES = "a date or time such as 2023-05-01 08:30, 2023/5/1 8:30, 2023年5月1日8时30分 or 20230501"
NUMBER_EXAMPLES = "a number such as 114.0321"
EXCEL_EPOCH = np.datetime64("1899-12-30T00:00:00", "us")
EXCEL_DAYS = 20_000, 80_000  # 1954 to 2119
DAY_US = 86_400_000_000

_ISO = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?$"
_ZONED = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)? ?(?:Z|z|[+-]\d{2}(?::?\d{2})?)$"
_LOOSE = (
    r"^(?P<y>\d{4})[-/.年] ?(?P<m>\d{1,2})[-/.月] ?(?P<d>\d{1,2})日?"
    r"(?:(?:T| *)(?P<H>\d{1,2})(?:[:时点] ?(?:(?P<M>\d{1,2})(?:[:分] ?(?:(?P<S>\d{1,2})秒?)?)?)?))?"
    r"(?:\.\d+)?$"
)
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_GROUPED = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?$"
_NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
# Control characters, marks of byte order and direction, zero-width blanks: never meant, always in the way.
_NOISE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}\x{feff}]"


def parse_times(texts: pd.Series, timezone: str, time_format: str | None = None) -> Times:
    """Return moments in UTC, local days, and which texts are no time.

    Parameters
    ----------
    texts : Series of str, n rows
        "" stands for nothing: it becomes NaT and is not bad.
    timezone : str
        Zone of the clock that texts without an offset were read from. A local time that the clock skips is
        moved forward to the first that exists; of one that comes twice the first is meant.
    time_format : str, optional
        strptime format; when given, nothing else is tried.

    Returns
    -------
    moments : datetime64[us] array, shape (n,)
        UTC.
    days : datetime64[D] array, shape (n,)
        The calendar day of that moment in the zone.
    bad : bool array, shape (n,)
        Texts that are neither empty nor a time.
    """
    clean = _half_width(texts)
    moments: NDArray[np.datetime64] = np.full(len(clean), np.datetime64("NaT", "us"))
    zoned: NDArray[np.bool_] = np.zeros(len(clean), bool)
    if time_format:
        moments, zoned = _formatted(clean, time_format)
    else:
        _fill(moments, clean, _matches(clean, _ISO), "ISO8601")
        zoned = _matches(clean, _ZONED)
        _fill(moments, clean, zoned, "ISO8601")
        rest = np.isnat(moments) & (clean != "").to_numpy()
        if rest.any():
            moments[rest] = _others(clean[rest])
    moments, days = _in_zone(moments, zoned, timezone)
    return moments, days, np.isnat(moments) & (clean != "").to_numpy(bool)


def parse_numbers(texts: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return numbers and which texts are none; "" becomes NaN and is not bad.

    Full-width digits, blanks around and a comma every three digits are understood; "inf" and "nan" are no
    numbers.

    >>> parse_numbers(pd.Series(["１２.5", "1,234", "x", ""]))[0].tolist()
    [12.5, 1234.0, nan, nan]
    """
    clean = _half_width(texts)
    grouped = _matches(clean, _GROUPED)
    if grouped.any():
        clean = clean.where(~grouped, clean.str.replace(",", "", regex=False))
    good = _matches(clean, _NUMBER)
    numbers = pd.to_numeric(clean.where(good, "nan"), errors="coerce").to_numpy(np.float64)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    return numbers, np.isnan(numbers) & (clean != "").to_numpy(bool)


def clean_text(texts: pd.Series) -> pd.Series:
    """Return texts without control and zero-width characters, and without blanks of any width around."""
    if _may_be_noisy(pa.array(texts)) and _matches(texts, _NOISE).any():
        clean = pc.replace_substring_regex(pa.array(texts), _NOISE, "")
        texts = pd.Series(clean, index=texts.index, dtype="str")
    return texts.str.strip()


def _may_be_noisy(texts: pa.Array | pa.ChunkedArray) -> bool:
    """Say whether any byte could begin what `_NOISE` names: far quicker than asking every text."""
    for part in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        data = np.frombuffer(part.buffers()[2] or b"", np.uint8)
        if ((data < 0x20) | (data == 0x7F) | (data == 0xEF)).any():
            return True
        at = np.flatnonzero(data[:-1] == 0xE2)
        if ((data[at + 1] & 0xFE) == 0x80).any():
            return True
    return False


def _half_width(texts: pd.Series) -> pd.Series:
    """Return texts trimmed, with full-width digits and signs made half-width where there are any."""
    texts = texts.str.strip()
    wide = _matches(texts, r"[^\x00-\x7f]")
    if wide.any():
        folded = texts[wide].map(lambda text: unicodedata.normalize("NFKC", text).strip())
        texts = texts.where(~wide, folded.reindex(texts.index))
    return texts


def _matches(texts: pd.Series, pattern: str) -> NDArray[np.bool_]:
    """Return which texts match, by RE2: its time is linear, and it knows ASCII digits only."""
    found: NDArray[np.bool_] = pc.match_substring_regex(pa.array(texts), pattern).to_numpy(
        zero_copy_only=False
    )
    return found


def _fill(moments: NDArray[np.datetime64], texts: pd.Series, mask: NDArray[np.bool_], form: str) -> None:
    if mask.any():
        found = pd.to_datetime(texts[mask], format=form, errors="coerce", utc=True)
        moments[mask] = _naive(found)


def _naive(found: Any) -> NDArray[np.datetime64]:
    plain: NDArray[np.datetime64] = found.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return plain


def _formatted(texts: pd.Series, form: str) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    found = pd.to_datetime(texts.where(texts != "", None), format=form, errors="coerce", utc="%z" in form)
    zoned = found.dt.tz is not None
    moments = _naive(found) if zoned else found.to_numpy().astype("datetime64[us]")
    return moments, np.full(len(texts), zoned)


def _others(texts: pd.Series) -> NDArray[np.datetime64]:
    """Return local times written loosely: with 年月日, slashes, compact, or as Excel's number."""
    moments = np.full(len(texts), np.datetime64("NaT", "us"))
    for length, form in _COMPACT.items():
        _fill(moments, texts, _matches(texts, rf"^\d{{{length}}}$"), form)
    serial = _matches(texts, r"^\d{5}(?:\.\d+)?$")
    if serial.any():
        days = texts[serial].astype(float).to_numpy()
        found = EXCEL_EPOCH + np.round(days * 86_400).astype("timedelta64[s]")
        moments[serial] = np.where(
            (days >= EXCEL_DAYS[0]) & (days <= EXCEL_DAYS[1]), found, np.datetime64("NaT")
        )
    rest = np.isnat(moments)
    if rest.any():
        parts = texts[rest].str.extract(_LOOSE).fillna("")
        joined = parts["y"] + "-" + parts["m"].str.zfill(2) + "-" + parts["d"].str.zfill(2)
        for part, sign in (("H", " "), ("M", ":"), ("S", ":")):
            joined = joined + sign + parts[part].str.zfill(2)
        moments[rest] = _naive(pd.to_datetime(joined, format="%Y-%m-%d %H:%M:%S", errors="coerce", utc=True))
    return moments


def _in_zone(
    moments: NDArray[np.datetime64], zoned: NDArray[np.bool_], timezone: str
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Return UTC moments and local days of moments that are UTC where `zoned`, else local."""
    utc = moments.copy()
    local = ~zoned & ~np.isnat(moments)
    if local.any():
        clock = pd.DatetimeIndex(moments[local])
        first = np.ones(len(clock), bool)  # of a time that comes twice, the one in summer time
        known = clock.tz_localize(timezone, nonexistent="shift_forward", ambiguous=first)
        utc[local] = known.tz_convert(None).to_numpy().astype("datetime64[us]")
    shown = pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(timezone).tz_localize(None)
    return utc, shown.to_numpy().astype("datetime64[D]")
