"""A city of nine grids in two towns, written by hand, with one stored run and a short list.

    town 1 城关街道        town 2 河西镇
    village 001, 002       village 003
    column 1, column 2     column 3       (each column three grids, north to south)

Grid 1 of village 002 has three households, so its numbers must not show outside its own staff; grid 3 of
village 003 has a name that is a script to a browser and an expression to a template.
"""

import json
from datetime import date

import shapely
from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import china_today
from gridmgmt.db import identity
from gridmgmt.db.models import Role

COUNTY, TOWN_1, TOWN_2 = "990101", "990101001", "990101002"
VILLAGES = (f"{TOWN_1}001", f"{TOWN_1}002", f"{TOWN_2}001")
GRIDS = tuple(f"{village}{row:03d}" for village in VILLAGES for row in (1, 2, 3))
MINE, NEIGHBOUR, FEW, HOSTILE = GRIDS[0], GRIDS[1], GRIDS[3], GRIDS[8]
HOSTILE_NAME = "<script>alert(1)</script>{{ 7 * 7 }}"
PASSWORD = "right horse battery"
AREAS = {Role.GRID_WORKER: MINE, Role.TOWN_OFFICER: TOWN_1}
UNITS = {Role.DEPARTMENT: "城管局"}
WEST, NORTH, SIDE = 114.0, 33.0, 0.01
# Somewhere else on the globe: a city must not be tied to one place.
ST_LOUIS = (-90.25, 38.65)

_COUNTS = (60, 12, 9, 4, 11, 8, 14, 10, 2)
_CLASSES = (3, 0, 0, 0, 0, -1, 1, 0, 0)
_LIST = {"told": 130, "problems": 121, "capacity": 3}


def build(engine: Engine, corner: tuple[float, float] = (WEST, NORTH)) -> None:
    """Write the whole city, its results and one account a role."""
    with engine.begin() as connection:
        _territory(connection, corner)
        _households(connection)
        _analysis(connection)
    for role in Role:
        identity.create_account(
            engine, role.value, PASSWORD, role, f"{role}的人", AREAS.get(role), UNITS.get(role)
        )


def _territory(connection: Connection, corner: tuple[float, float]) -> None:
    divisions = [
        (COUNTY, "样例县", "county", None),
        (TOWN_1, "城关街道", "town", COUNTY),
        (TOWN_2, "河西镇", "town", COUNTY),
        *((code, f"第{n}村", "village", code[:9]) for n, code in enumerate(VILLAGES, 1)),
    ]
    for row in divisions:
        _run(connection, "INSERT INTO division VALUES (:a, :b, :c, :d, NULL)", *row)
    for n, code in enumerate(GRIDS):
        west, north = corner[0] + n // 3 * SIDE, corner[1] - n % 3 * SIDE
        box = shapely.MultiPolygon([shapely.box(west, north - SIDE, west + SIDE, north)]).wkt
        name = HOSTILE_NAME if code == HOSTILE else f"{n + 1}号网格"
        _run(
            connection,
            "INSERT INTO grid (code15, name, kind, village, geom, valid_from)"
            " VALUES (:a, :b, 'base', :c, ST_GeomFromText(:d, 4490), '2020-01-01')",
            code, name, code[:12], box,
        )  # fmt: skip
    middle = corner[1] - 1.5 * SIDE
    line = f"LINESTRING({corner[0]} {middle}, {corner[0] + 3 * SIDE} {middle})"
    _run(
        connection,
        "INSERT INTO map_layer (layer, name, geom) VALUES ('river', :a, ST_GeomFromText(:b, 4490))",
        "白水河", line,
    )  # fmt: skip
    _run(connection, "INSERT INTO worker (name, employment) VALUES ('王网格', 'full_time')")
    _run(
        connection,
        "INSERT INTO assignment (worker_id, grid_id, role, valid_from)"
        " SELECT w.id, g.id, 'chief', '2020-01-01' FROM worker w, grid g WHERE g.code15 = :a",
        MINE,
    )


def _households(connection: Connection) -> None:
    for code in GRIDS:
        _run(
            connection,
            "INSERT INTO building (code, address, grid_id) SELECT :a, '某路', id FROM grid WHERE code15 = :a",
            code,
        )
        _run(
            connection,
            "INSERT INTO dwelling (building_id, door) SELECT id, '1' FROM building WHERE code = :a",
            code,
        )
        _run(
            connection,
            "INSERT INTO household (code, dwelling_id, persons) SELECT :a || '-' || n, d.id, 3"
            " FROM dwelling d JOIN building b ON b.id = d.building_id,"
            " generate_series(1, :b) n WHERE b.code = :a",
            code,
            3 if code == FEW else 400,
        )


def _analysis(connection: Connection) -> None:
    _run(
        connection,
        "INSERT INTO category VALUES ('01', '噪声扰民', NULL, NULL), ('02', '灌溉用水', NULL, NULL)",
    )
    _run(
        connection,
        "INSERT INTO import_run (kind, file, sha256, counts)"
        " VALUES ('incidents', 'incidents.csv', 'abc', :a)",
        json.dumps({"read": 130, "filtered": 0, "new": 130, "updated": 0, "unchanged": 0, "rejected": 0}),
    )
    this_year = china_today().year
    for year in (this_year - 1, this_year - 2):
        for level in ("grid", "village", "town"):
            _hotspot_run(connection, level, year)
    _clusters(connection, this_year)
    _seasonal(connection, this_year)


def _hotspot_run(connection: Connection, level: str, year: int) -> None:
    digits = {"grid": 15, "village": 12, "town": 9}[level]
    parameters = {
        "from": f"{year}-01-01", "to": f"{year}-12-31", "level": level, "category": None,
        "columns": ["", "01", "02"], "exposure": "households", "permutations": 99, "weights": "queen",
        "previous": [f"{year - 1}-01-01", f"{year - 1}-12-31"], "months": None, "step_months": None,
    }  # fmt: skip
    run = connection.execute(
        text(
            "INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)"
            " VALUES ('hotspots', :a, 1, 1, now()) RETURNING id"
        ),
        {"a": json.dumps(parameters)},
    ).scalar_one()
    for code in sorted({grid[:digits] for grid in GRIDS}):
        members = [n for n, grid in enumerate(GRIDS) if grid.startswith(code)]
        households = sum(3 if GRIDS[n] == FEW else 400 for n in members)
        for category, share in (("", 1.0), ("01", 0.5), ("02", 0.25)):
            count = int(sum(_COUNTS[n] for n in members) * share)
            step = _CLASSES[members[0]] if digits == 15 and category != "02" else 0
            values = {
                "run_id": run, "category": category, "area": code, "count": count,
                "expected": households / 3203 * 130 * share, "households": households,
                "rate": count / households * 1000, "smoothed": count / households * 1000,
                "z": step * 1.2, "p": 0.01, "q": 0.01, "gi_class": step,
            }  # fmt: skip
            _insert(connection, "hotspot_result", values)
    for category, first in (("01", GRIDS[0][:digits]), ("02", None)):
        field = {
            "run_id": run, "category": category, "count": 65, "previous": 60, "rate": 20.3,
            "hot_areas": 1 if first else 0, "hot_count": 30 if first else 0,
            "hot_expected": 8.1 if first else 0, "growing_areas": 0, "seasonal_areas": 0,
            "first_area": first, "q": 0.004 if first else 0.6,
            "years": json.dumps([{"year": year, "count": 65}]),
        }  # fmt: skip
        _insert(connection, "hotspot_field", field)
    peak = {
        "run_id": run, "category": "02", "start": 9, "length": 3, "count": 24, "expected": 5.3, "ratio": 7.5,
        "q": 0.0003, "years": json.dumps([{"year": year, "count": 24, "expected": 5.3}]),
    }  # fmt: skip
    _insert(connection, "hotspot_peak", peak)


def _clusters(connection: Connection, year: int) -> None:
    end = date(year - 1, 12, 31)
    run = connection.execute(
        text(
            "INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)"
            " VALUES ('clusters', :a, 1, 1, now()) RETURNING id"
        ),
        {"a": json.dumps({"from": f"{year - 1}-01-01", "to": end.isoformat()})},
    ).scalar_one()
    values = {
        "run_id": run, "category": "01", "rank": 1, "areas": json.dumps([MINE, NEIGHBOUR]),
        "start_on": end.replace(day=11), "end_on": end, "observed": 14, "expected": 3.2,
        "relative_risk": 4.4, "radius_m": 1100, "llr": 9.8, "p": 0.0004, "q": 0.002, "recurrence_days": 3500,
    }  # fmt: skip
    _insert(connection, "hotspot_cluster", values)


def _seasonal(connection: Connection, year: int) -> None:
    run = connection.execute(
        text(
            "INSERT INTO analysis_run (kind, parameters, data_version, seed, started_at)"
            " VALUES ('seasonal', :a, 1, 1, now()) RETURNING id"
        ),
        {"a": json.dumps(_LIST | {"year": year, "from": f"{year - 4}-01-01", "to": f"{year - 1}-12-31"})},
    ).scalar_one()
    # One whose time is over, one to come on each side of the town line, and one for all of town 2.
    for area, category, month in ((MINE, "02", 3), (MINE, "01", 12), (HOSTILE, "01", 12), (TOWN_2, "02", 12)):
        level = {9: "town", 15: "grid"}[len(area)]
        years = [{"year": y, "inside": 12, "outside": 4.0, "told": 13} for y in range(year - 4, year)]
        values = {
            "run_id": run, "year": year, "level": level, "area": area, "category": category,
            "usual": 4, "lead_days": 4, "lead_learnt": False, "stable": 4, "cut": False,
            "clock": "gregorian", "start_on": date(year, month, 5), "peak_on": date(year, month, 15),
            "end_on": date(year, month, 31), "act_by": date(year, month, 1), "expected": 12,
            "expected_low": 8, "expected_high": 17, "ratio": 3.1, "p": 0.0001, "q": 0.0004,
            "years": json.dumps(years), "action": f"提前走访{category}",
        }  # fmt: skip
        _insert(connection, "seasonal_item", values)


def add_history(engine: Engine) -> None:
    """Add what the evidence of a list rests on: four Decembers of matters, verdicts, expected matters.

    Noise a year: 4 matters in grid MINE of which two tell of one problem, 2 in NEIGHBOUR, 1 in FEW, 5 in
    HOSTILE and one in MINE in June. Water a year: 2 in each grid of town 2. A grid expects its number of
    noise matters in the last 旬 but one of the year, half a one in the others, and one of water in each.
    """
    this_year = china_today().year
    with engine.begin() as connection:
        for code, name in (("03", "暖气报修"), ("04", "古树保护")):
            _run(connection, "INSERT INTO category VALUES (:a, :b, NULL, NULL)", code, name)
        run = connection.execute(
            text("SELECT max(id) FROM analysis_run WHERE kind = 'seasonal'")
        ).scalar_one()
        for year in range(this_year - 4, this_year):
            _run(connection, "SELECT ensure_incident_year(:a)", year)
            _matters_of(connection, year)
        for category, verdict, problems, q in (
            ("01", "seasonal", 48, 0.001), ("02", "seasonal", 24, 0.001),
            ("03", "no_season", 4321, 0.62), ("04", "not_enough", 7, None),
        ):  # fmt: skip
            values = {
                "run_id": run, "category": category, "verdict": verdict, "problems": problems,
                "told": problems + 3, "q_scan": q, "p_walter_elwood": q, "p_harmonic": q,
            }  # fmt: skip
            _insert(connection, "seasonal_verdict", values)
        for n, code in enumerate(GRIDS, 1):
            for category, cells in (("01", [0.5] * 34 + [n, 0.5]), ("02", [1.0] * 36)):
                values = {"run_id": run, "category": category, "area": code, "cells": cells}
                _insert(connection, "seasonal_expected", values)


def _matters_of(connection: Connection, year: int) -> None:
    noise = ((MINE, 6, 1), (MINE, 8, 2), (MINE, 10, 2), (MINE, 20, 3), (NEIGHBOUR, 7, 1), (NEIGHBOUR, 9, 2),
             (FEW, 12, 1), *((HOSTILE, 5 + n, n) for n in range(1, 6)))  # fmt: skip
    for grid, day, place in noise:
        _matter(connection, "01", date(year, 12, day), grid, place)
    _matter(connection, "01", date(year, 6, 1), MINE, 9)
    for grid in GRIDS[6:]:
        for place in (1, 2):
            _matter(connection, "02", date(year, 12, 10), grid, place)


def _matter(connection: Connection, category: str, day: date, grid: str, place: int) -> None:
    """Write a matter at one of nine places of a grid, 100 m apart."""
    n = GRIDS.index(grid)
    lon = WEST + n // 3 * SIDE + place * SIDE / 10
    lat = NORTH - n % 3 * SIDE - place * SIDE / 10
    _run(
        connection,
        "INSERT INTO incident (source, external_id, category, occurred_at, occurred_on, reported_at, geom,"
        " status, digest) SELECT 'test', gen_random_uuid()::text, :a, CAST(:b AS date), :b, CAST(:b AS date),"
        " ST_SetSRID(ST_MakePoint(:c, :d), 4490), 'closed', gen_random_uuid()",
        category, day, lon, lat,
    )  # fmt: skip


def _insert(connection: Connection, table: str, values: dict[str, object]) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def _run(connection: Connection, statement: str, *values: object) -> None:
    names = dict(zip("abcdefghijk", values, strict=False))
    connection.execute(text(statement), names)
