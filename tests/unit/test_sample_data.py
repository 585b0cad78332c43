"""The synthetic city keeps its promises: same bytes, a seamless land, valid numbers, a real truth."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

from gridmgmt.crs import gcj02_to_wgs84
from gridmgmt.errors import InputError
from sample_data import generate
from sample_data.matters import Matters, Plan, Planted
from sample_data.seasons import SEASONS
from sample_data.treatment import FACTORS, treat

SCALE = 0.03


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("city")
    generate(out, scale=SCALE)
    return out


@pytest.fixture(scope="module")
def truth(city: Path) -> dict[str, Any]:
    return json.loads((city / "truth.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def matters(city: Path, truth: dict[str, Any]) -> pd.DataFrame:
    """All matters with `code` of the category, `day`, and `grid` by place (empty where none)."""
    fields = tomllib.loads((city / "incidents.toml").read_text("utf-8"))["fields"]
    years = sorted(truth["figures"]["matters"])
    frame = pd.concat(
        [pd.read_csv(city / f"incidents_{y}.csv", encoding="gb18030", dtype=str) for y in years]
    )
    frame = frame.rename(columns={theirs: ours for ours, theirs in fields.items()}).reset_index(drop=True)
    categories = pd.read_csv(city / "categories.csv", dtype=str, encoding="utf-8-sig")
    frame["code"] = frame.category.replace(dict(zip(categories.name, categories.code, strict=True)))
    frame["day"] = pd.to_datetime(frame.occurred_at).dt.normalize()
    frame["grid"] = grid_of(city, frame.lon.astype(float).to_numpy(), frame.lat.astype(float).to_numpy())
    return frame


def grid_of(city: Path, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    grids = features(city / "grids.geojson")
    known = np.isfinite(lon)
    lon, lat = gcj02_to_wgs84(lon[known], lat[known])
    tree = shapely.STRtree([shape for _, shape in grids])
    point, grid = tree.query(shapely.points(lon, lat), predicate="within")
    result = np.full(len(known), "", dtype=object)
    result[np.flatnonzero(known)[point]] = np.array([p["code"] for p, _ in grids], dtype=object)[grid]
    return result


def features(path: Path, **wanted: str) -> list[tuple[dict[str, Any], Any]]:
    rows = json.loads(path.read_text("utf-8"))["features"]
    return [
        (row["properties"], shapely.geometry.shape(row["geometry"]))
        for row in rows
        if all(row["properties"][key] == value for key, value in wanted.items())
    ]


def half_edges(shapes: list[Any]) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    for shape in shapes:
        for ring in [shape.exterior, *shape.interiors]:
            yield from zip(ring.coords[:-1], ring.coords[1:], strict=True)


def rim(shapes: list[Any]) -> set[Any]:
    """Return the half-edges without a partner; fails when one appears twice, which is an overlap."""
    edges = list(half_edges(shapes))
    assert len(edges) == len(set(edges))
    present = set(edges)
    return {(a, b) for a, b in present if (b, a) not in present}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(city: Path, tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}

    summary = generate(tmp_path / "again", scale=SCALE)
    generate(tmp_path / "other", scale=SCALE, seed=7)
    assert sorted(summary["files"]) == sorted(digests(city))
    assert digests(tmp_path / "again") == digests(city)
    same = {n for n, d in digests(tmp_path / "other").items() if digests(city)[n] == d}
    assert same == {"categories.csv", "incidents.toml"}


def test_counts_are_those_of_the_published_city_at_this_scale(city: Path, truth: dict[str, Any]) -> None:
    roster = pd.read_parquet(city / "roster.parquet")
    workers = pd.read_csv(city / "workers.csv", encoding="gb18030", dtype=str)
    categories = pd.read_csv(city / "categories.csv", dtype=str, encoding="utf-8-sig")
    assert len(features(city / "grids.geojson")) == 30
    assert len(features(city / "grids_before.geojson")) == 23
    assert (roster.household_code.nunique(), len(roster)) == (9000, 24_000)
    assert categories.parent.isna().sum() == 20
    assert categories.parent.notna().sum() == 240
    assert (
        (workers.role == "chief").sum()
        == workers[workers.role == "chief"].grid.nunique()
        == len(workers) - 1
        == 30
    )
    assert all(1600 <= rows <= 2100 for rows in truth["figures"]["matters"].values())


@pytest.mark.parametrize("name", ["grids.geojson", "grids_before.geojson"])
def test_grids_tile_their_village_without_gap_or_overlap(city: Path, name: str) -> None:
    for village, outline in features(city / "divisions.geojson", level="village"):
        grids = [shape for _, shape in features(city / name, village=village["code"])]
        assert all(shape.geom_type == "Polygon" and not shape.interiors and shape.is_valid for shape in grids)
        # Unpaired half-edges are the border of the village itself: a gap inside would leave others.
        assert rim(grids) == set(half_edges([outline]))
        assert sum(shape.area for shape in grids) == pytest.approx(outline.area, rel=1e-9)


def test_villages_tile_towns_and_towns_tile_the_county(city: Path) -> None:
    path = city / "divisions.geojson"
    levels = {level: [s for _, s in features(path, level=level)] for level in ("village", "town", "county")}
    assert rim(levels["village"]) == rim(levels["town"]) == set(half_edges(levels["county"]))
    for town, outline in features(path, level="town"):
        assert rim([s for _, s in features(path, parent=town["code"])]) == set(half_edges([outline]))


def test_codes_are_well_formed_and_a_code_keeps_its_shape(city: Path) -> None:
    divisions = {p["code"]: p for p, _ in features(city / "divisions.geojson")}
    new = {p["code"]: (p, shape) for p, shape in features(city / "grids.geojson")}
    old = {p["code"]: (p, shape) for p, shape in features(city / "grids_before.geojson")}
    assert {len(code) for code in divisions} == {6, 9, 12}
    assert all(p["parent"] is None or code.startswith(p["parent"]) for code, p in divisions.items())
    assert all(len(code) == 15 and code[:12] == p["village"] for code, (p, _) in (new | old).items())
    for code in new.keys() & old.keys():
        assert new[code][0] == old[code][0]
        assert shapely.equals_exact(new[code][1], old[code][1])
    redrawn = [p for code, (p, _) in old.items() if code not in new]
    assert {p["valid_to"] for p in redrawn} == {"2024-01-01"}
    assert {p["valid_from"] for code, (p, _) in new.items() if code not in old} == {"2024-01-01"}
    lineage = pd.read_csv(city / "lineage.csv", dtype={"from": str, "to": str})
    assert set(lineage["from"]) == set(old)
    assert sorted(lineage["to"]) == sorted(new)
    assert np.allclose(lineage.groupby("from").area_share.sum(), 1, atol=1e-5)


def test_identity_numbers_have_the_check_character_of_gb_11643(city: Path) -> None:
    numbers = pd.read_parquet(city / "roster.parquet").identity_number
    # ISO 7064 MOD 11-2: the weighted sum of all 18 places, X being 10, leaves 1.
    digit = {c: int(c) for c in "0123456789"} | {"X": 10}
    weights = [pow(2, 17 - place, 11) for place in range(18)]
    sums = [sum(digit[c] * w for c, w in zip(number, weights, strict=True)) % 11 for number in numbers]
    assert set(sums) == {1}
    assert numbers.is_unique
    assert numbers.str.startswith("379981").all()
    assert pd.to_datetime(numbers.str[6:14], format="%Y%m%d").max() <= pd.Timestamp("2025-12-31")


def test_every_building_lies_inside_exactly_one_grid_of_its_village(city: Path) -> None:
    buildings = pd.read_parquet(city / "roster.parquet").drop_duplicates("building_code")
    grids = features(city / "grids.geojson")
    tree = shapely.STRtree([shape for _, shape in grids])
    points = shapely.points(buildings.building_lon, buildings.building_lat)
    point, grid = tree.query(points, predicate="within")
    assert sorted(point) == list(range(len(buildings)))
    villages = np.array([p["village"] for p, _ in grids])[grid]
    assert (buildings.building_code.str[:12].to_numpy()[point] == villages).all()


def test_planted_windows_hold_their_ratio(matters: pd.DataFrame, truth: dict[str, Any]) -> None:
    for entry in truth["seasonal"]:
        mine = matters[matters.code == entry["category"]]
        mine = mine[mine.grid.isin(entry["areas"])] if entry["areas"] else mine
        inside, days = np.zeros(len(mine), bool), 0
        for year in truth["figures"]["matters"]:
            window = entry["dates"][year]
            inside |= mine.day.between(window["start"], window["end"]).to_numpy()
            days += (pd.Timestamp(window["end"]) - pd.Timestamp(window["start"])).days + 1
        out = max((~inside).sum(), 1) / (1461 - days)
        # Some 60 to 200 matters each: half to double the planned ratio is what chance allows.
        assert entry["ratio"] / 2 < inside.sum() / days / out < entry["ratio"] * 2, entry["id"]
        assert inside.sum() / 4 >= 6, entry["id"]


def test_windows_follow_their_clock(truth: dict[str, Any]) -> None:
    starts = {e["id"]: {y: d["start"] for y, d in e["dates"].items()} for e in truth["seasonal"]}
    assert {e["clock"] for e in truth["seasonal"]} == {"gregorian", "solar_term", "lunar"}
    # 30 days before the Festivals of 22 January 2023, 10 February 2024 and 17 February 2026.
    assert [starts["wages"][y] for y in ("2023", "2024", "2026")] == [
        "2022-12-23",
        "2024-01-11",
        "2026-01-18",
    ]
    assert [starts["irrigation"][y] for y in ("2023", "2024")] == ["2023-04-05", "2024-04-04"]
    assert {day[5:] for day in starts["heating-cold"].values()} == {"11-11"}


def test_categories_without_a_season_are_spread_over_the_year(
    matters: pd.DataFrame, truth: dict[str, Any]
) -> None:
    growing = {entry["category"] for entry in (*truth["growing"], *truth["recent"])}
    calm = matters[matters.code.isin(set(truth["no_season"]) - growing)]
    months = calm.groupby(calm.day.dt.month).size().to_numpy()
    expected = len(calm) * np.array([124, 113, 124, 120, 124, 120, 124, 124, 120, 124, 120, 124]) / 1461
    # Chi-squared with 11 degrees of freedom passes 31 once in a thousand; repeats add a little.
    assert ((months - expected) ** 2 / expected).sum() < 31 * 1.05


def test_what_was_done_beforehand_is_told_and_lies_before_the_window(
    city: Path, truth: dict[str, Any]
) -> None:
    tasks = pd.read_csv(city / "tasks_2025.csv", dtype=str, encoding="utf-8-sig")
    assert list(tasks.columns) == ["年度", "区域", "类别", "办结日期", "说明"]
    seasons = {entry["category"]: entry for entry in truth["seasonal"]}
    treated = {(entry["category_name"], grid) for entry in truth["treated"] for grid in entry["grids"]}
    assert set(zip(tasks["类别"], tasks["区域"], strict=True)) == treated
    assert {entry["factor"] for entry in truth["treated"]} == set(FACTORS.values())
    for entry in truth["treated"]:
        season = seasons[entry["category"]]
        assert set(entry["grids"]) < set(
            season["areas"] or {p["code"] for p, _ in features(city / "grids.geojson")}
        )
        days = tasks[tasks["类别"] == entry["category_name"]]["办结日期"]
        assert (days < season["dates"]["2025"]["start"]).all()


def test_treating_spares_its_share_in_treated_grids_of_that_window_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    season = next(each for each in SEASONS if each.id == "flooding")
    n, grids = 60_000, np.arange(200)
    matters = Matters(
        category=rng.integers(0, 2, n),
        grid=rng.integers(0, 200, n),
        day=np.sort(np.datetime64("2022-01-01") + rng.integers(0, 1461, n)),
        xy=rng.random((n, 2)),
        building=np.zeros(n, dtype=int),
        repeat=np.zeros(n, dtype=bool),
    )
    again = np.flatnonzero(matters.day < np.datetime64("2025-12-31"))[-9000:]
    told = matters.taken(np.concatenate([np.arange(n), again]))
    told.repeat[n:] = True
    plan = Plan([Planted(season, 0, grids, [], np.ones(200))], [], [], [])
    (done,), left = treat(plan, told, [2022, 2023, 2024, 2025], np.random.default_rng(2))
    start, _, end = (np.datetime64(day) for day in season.dates(2025))
    inside = (told.category == 0) & np.isin(told.grid, done.grids) & (told.day >= start) & (told.day <= end)
    assert left[~inside].all()
    assert left[inside].mean() == pytest.approx(FACTORS["flooding"], abs=0.06)
    assert (left[n:] == left[again]).all()  # who was spared does not tell of it a second time
    had = np.bincount(told.grid[(told.category == 0) & (told.day >= start - 366) & (told.day <= end - 366)])
    assert had[done.grids].mean() > 1.15 * had.mean()
    assert len(done.grids) == 70


def test_a_scale_or_year_outside_the_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scale"):
        generate(tmp_path, scale=0.001)
    with pytest.raises(InputError, match="through"):
        generate(tmp_path, through=1990)
