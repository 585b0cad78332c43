"""Matters as a hotline's yearly export: Chinese headers, GB18030, coordinates in GCJ-02."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmgmt.crs import wgs84_to_gcj02
from sample_data import names
from sample_data.cells import DECIMALS, Ints, to_degrees
from sample_data.matters import Matters
from sample_data.people import Homes, join, pick, text
from sample_data.taxonomy import TOPS, Taxonomy
from sample_data.territory import Territory
from sample_data.writing import write_csv

CHANNELS = ("12345", "网格排查", "二维码", "微信群", "民意报告单", "民声登记簿", "信访", "110与法院", "12348")
CHANNEL_SHARES = (0.62, 0.16, 0.06, 0.05, 0.035, 0.03, 0.02, 0.015, 0.01)
LEDGERS = ("意见建议", "利益诉求", "投诉举报")
NO_PLACE, OUTSIDE = 0.01, 0.002
# Working days in which a hotline asks for an answer, and how often it comes in time.
LIMITS, LIMIT_SHARES = (3, 5, 10, 15), (0.15, 0.45, 0.3, 0.1)
IN_TIME = 0.953
OFFICES_CLOSE = np.timedelta64(17 * 60 + 30, "m")
FIELDS = {  # ours = theirs
    "external_id": "工单编号",
    "occurred_at": "诉求时间",
    "reported_at": "登记时间",
    "channel": "渠道",
    "ledger": "台账",
    "category": "小类",
    "lon": "经度",
    "lat": "纬度",
    "address": "地址",
    "title": "标题",
    "text": "内容",
    "status": "状态",
    "satisfaction": "满意度",
    "closed_at": "办结时间",
    "due_at": "办理期限",
}
MAPPING = """# What the columns of incidents_<year>.csv mean. The encoding (GB18030) is found by itself.
[source]
crs = "gcj02"
timezone = "Asia/Shanghai"
time_format = "%Y-%m-%d %H:%M:%S"

[fields]
"""
_TITLES = ("{0}{1}", "关于{0}{1}的诉求", "{0}居民反映{1}", "{1}（{0}）")
_TEXTS = (
    "居民反映{0}{1}，影响日常生活，希望尽快处理。",
    "反映{0}{1}问题，已持续数日，请有关部门到现场查看。",
    "来件称{0}存在{1}，此前已向村（社区）反映，希望给出答复。",
    "咨询并反映{0}{1}，请协调解决并回复办理结果。",
    "网格内走访了解到{0}{1}，涉及多户居民，建议及时处置。",
)
_HOUR = np.array(
    [1, 1, 1, 1, 1, 2, 6, 16, 40, 52, 50, 36, 22, 26, 44, 46, 42, 34, 26, 24, 20, 14, 7, 3], float
)
_EVENING = np.array([6, 2, 1, 1, 1, 1, 2, 4, 6, 8, 8, 8, 8, 6, 6, 6, 8, 10, 20, 36, 50, 52, 38, 18], float)


def mapping_toml() -> str:
    """Return the mapping file for these exports."""
    return MAPPING + "".join(f'{ours} = "{theirs}"\n' for ours, theirs in FIELDS.items())


def _moments(
    matters: Matters, evening: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.datetime64]:
    """Return a moment of its day for every matter, to the second."""
    n = len(matters.day)
    hour = np.where(
        evening, rng.choice(24, n, p=_EVENING / _EVENING.sum()), rng.choice(24, n, p=_HOUR / _HOUR.sum())
    )
    return matters.day.astype("datetime64[s]") + (hour * 3600 + rng.integers(0, 3600, n)).astype(
        "timedelta64[s]"
    )


def _stamp(moment: NDArray[np.datetime64]) -> pa.Array:
    return pc.strftime(pa.array(moment), format="%Y-%m-%d %H:%M:%S")


def _filled(templates: tuple[str, ...], which: Ints, first: pa.Array, second: pa.Array) -> pa.Array:
    """Return templates with {0} and {1} filled in, the template being chosen row by row."""
    parts = []
    for template in templates:
        swapped = template.index("{0}") > template.index("{1}")
        a, rest = template.split("{1}" if swapped else "{0}")
        b, c = rest.split("{0}" if swapped else "{1}")
        parts.append((a, second if swapped else first, b, first if swapped else second, c))
    return pc.choose(pa.array(which), *[join(*row) for row in parts])


def _addresses(territory: Territory, homes: Homes, matters: Matters) -> pa.Array:
    village = territory.grids.village[matters.grid]
    town = pick(territory.towns.names, territory.village_town[village])
    fields = join(names.CITY, town, pick(territory.villages.names, village), "农田")
    houses = homes.addresses.take(pa.array(np.maximum(matters.building, 0)))
    return pc.if_else(pa.array(matters.building >= 0), houses, fields)


def _coordinates(matters: Matters, rng: np.random.Generator) -> tuple[pa.Array, pa.Array, int, int]:
    """Return lon, lat in GCJ-02 with the usual faults, and how many: missing, in other counties."""
    n = len(matters.day)
    lonlat = to_degrees(matters.xy)
    luck = rng.random(n)
    missing, outside = luck < NO_PLACE, luck > 1 - OUTSIDE
    angle, far = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.6, 0.9, n)
    lonlat[outside] += np.column_stack([far * np.cos(angle), far * np.sin(angle)])[outside]
    lon, lat = wgs84_to_gcj02(lonlat[:, 0], lonlat[:, 1])
    columns = [pa.array(np.round(c, DECIMALS), mask=missing) for c in (lon, lat)]
    return columns[0], columns[1], int(missing.sum()), int(outside.sum())


def _states(reported: NDArray[np.datetime64], rng: np.random.Generator) -> tuple[pa.Array, pa.Array]:
    """Return status and satisfaction: 97.4 % closed (the last days less), 96.7 % of those asked satisfied."""
    n = len(reported)
    age = (reported.max() - reported) / np.timedelta64(86400, "s")
    closed = rng.random(n) < 0.976 * np.minimum(1, 0.35 + age / 14)
    asked = closed & (rng.random(n) < 0.72)
    word = np.where(asked, rng.choice(3, n, p=[0.87, 0.097, 0.033]), 3)
    return pick(["办理中", "已办结"], closed), pick(["满意", "基本满意", "不满意", ""], word)


def _ends(
    reported: NDArray[np.datetime64], closed: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[pa.Array, pa.Array]:
    """Return when each matter was closed, null where it is not, and by when it was to be.

    Limits are working days (weekends are off) that end when offices close. What is closed was so before the
    export, which is made when the last matter is reported.
    """
    n, end = len(reported), reported.max()
    length = np.array(LIMITS)[rng.choice(len(LIMITS), n, p=LIMIT_SHARES)]
    day: NDArray[np.datetime64] = np.busday_offset(reported.astype("datetime64[D]"), length, roll="backward")
    due: NDArray[np.datetime64] = np.add(day.astype("datetime64[s]"), OFFICES_CLOSE)
    room = (due - reported) / np.timedelta64(1, "s")
    took = np.where(rng.random(n) < IN_TIME, room * rng.beta(2, 3, n), room + rng.exponential(3 * 86_400, n))
    left = (end - reported) / np.timedelta64(1, "s")
    took = np.where(took > left, left * rng.random(n), took)
    at: NDArray[np.datetime64] = reported + took.astype("timedelta64[s]")
    return pc.if_else(pa.array(closed), _stamp(at), pa.scalar(None, pa.string())), _stamp(due)


def incident_table(
    territory: Territory, homes: Homes, categories: Taxonomy, matters: Matters, rng: np.random.Generator
) -> tuple[pa.Table, dict[str, int]]:
    """Return all matters as an export has them, and the counts of the faults put in."""
    n = len(matters.day)
    evening = np.array([top.name == "噪声油烟" for top in TOPS])[categories.top[matters.category]]
    occurred = _moments(matters, evening, rng)
    in_time = np.argsort(occurred, kind="stable")
    matters, occurred = matters.taken(in_time), occurred[in_time]
    reported = occurred + rng.exponential(4 * 3600, n).astype("timedelta64[s]")
    channel = rng.choice(len(CHANNELS), n, p=CHANNEL_SHARES)
    label = pick(categories.names, matters.category)
    # Grid workers' phones send the code of a category, everybody else its name.
    category = pc.if_else(pa.array(channel == 1), pick(categories.codes, matters.category), label)
    village = pick(territory.villages.names, territory.grids.village[matters.grid])
    lon, lat, missing, outside = _coordinates(matters, rng)
    status, satisfaction = _states(reported, rng)
    # From a stream of its own, so that what was drawn before there were these columns stays the same.
    closed_at, due_at = _ends(reported, pc.equal(status, "已办结").to_numpy(False), rng.spawn(1)[0])
    sequence = pc.utf8_lpad(text(np.arange(n) % 1_000_000), 6, "0")
    columns = [
        join("QS", pc.strftime(pa.array(reported), format="%Y%m%d"), sequence),
        _stamp(occurred),
        _stamp(reported),
        pick(list(CHANNELS), channel),
        pick(list(LEDGERS), rng.choice(3, n, p=[0.16, 0.56, 0.28])),
        category,
        lon,
        lat,
        _addresses(territory, homes, matters),
        _filled(_TITLES, rng.integers(0, len(_TITLES), n), village, label),
        _filled(_TEXTS, rng.integers(0, len(_TEXTS), n), village, label),
        status,
        satisfaction,
        closed_at,
        due_at,
    ]
    table = pa.table(dict(zip(FIELDS.values(), columns, strict=True)))
    return table, {"without_place": missing, "outside": outside}


def write_years(out: Path, table: pa.Table, day: NDArray[np.datetime64], years: list[int]) -> dict[str, int]:
    """Write one file a calendar year (of the day a matter arose) and return the rows of each."""
    edges = np.searchsorted(day, [np.datetime64(f"{year}-01-01") for year in [*years, years[-1] + 1]])
    rows = {}
    for year, first, last in zip(years, edges, edges[1:], strict=False):
        write_csv(out / f"incidents_{year}.csv", table.slice(first, last - first), "gb18030")
        rows[str(year)] = int(last - first)
    return rows
