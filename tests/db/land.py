"""A land of 64 square grids in two towns, without any matter, and a way to write matters into it."""

from datetime import date

import numpy as np
import shapely
from sqlalchemy import Engine, text

SIDE, STEP = 8, 0.01
YEARS = (2022, 2023, 2024, 2025)
VILLAGES = ("990101001001", "990101002001")


def code(cell: int) -> str:
    """The north and the south are a town each."""
    half = SIDE * SIDE // 2
    return f"{VILLAGES[cell // half]}{cell % half + 1:03d}"


def middle(cell: int) -> tuple[float, float]:
    return 114 + (cell % SIDE + 0.5) * STEP, 33 - (cell // SIDE + 0.5) * STEP


def square(cell: int) -> shapely.Polygon:
    x, y = middle(cell)
    return shapely.box(x - STEP / 2, y - STEP / 2, x + STEP / 2, y + STEP / 2)


def build_land(engine: Engine) -> None:
    """Write divisions, grids and the code list."""
    with engine.begin() as connection:
        divisions = [("990101", "样例县", "county", None)]
        for village in VILLAGES:
            divisions += [(village[:9], "镇", "town", "990101"), (village, "村", "village", village[:9])]
        for row in divisions:
            connection.execute(
                text("INSERT INTO division VALUES (:a, :b, :c, :d, NULL)"),
                dict(zip("abcd", row, strict=True)),
            )
        connection.execute(
            text(
                "INSERT INTO category (code, name, parent) VALUES ('01', '环境', NULL), "
                "('0101', '噪声', '01'), ('0102', '积水', '01'), ('0103', '从未发生', '01')"
            )
        )
        connection.execute(
            text("INSERT INTO import_run (kind, file, sha256, counts) VALUES ('incidents', 'f', 'x', '{}')")
        )
        for year in YEARS:
            connection.execute(text("SELECT ensure_incident_year(:year)"), {"year": year})
    add_grids(engine, {code(cell): square(cell) for cell in range(SIDE * SIDE)}, date(2020, 1, 1))


def add_grids(engine: Engine, shapes: dict[str, shapely.Polygon], since: date) -> None:
    """Write base grids in force from a day on."""
    rows = [
        {"code": code15, "village": code15[:12], "geom": shapely.MultiPolygon([shape]).wkt, "since": since}
        for code15, shape in shapes.items()
    ]
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO grid (code15, name, kind, village, geom, valid_from) VALUES "
                "(:code, :code, 'base', :village, ST_GeomFromText(:geom, 4490), :since)"
            ),
            rows,
        )


def write(engine: Engine, matters: list[tuple[str, int, date]], apart: float = 0.0) -> None:
    """Write matters in the middle of their cells, or up to `apart` cell sides from it, so that none is told
    twice."""
    category, cell, day = zip(*matters, strict=True)
    off = np.random.default_rng(0).uniform(-apart * STEP, apart * STEP, (len(cell), 2))
    lon, lat = (np.array([middle(each) for each in cell]) + off).T.tolist()
    with engine.begin() as connection:
        connection.execute(
            text("""
            INSERT INTO incident (source, external_id, category, occurred_at, occurred_on, reported_at, geom,
                status, digest)
            SELECT 't', gen_random_uuid(), c, d, d, d, ST_SetSRID(ST_Point(x, y), 4490), 'closed',
                gen_random_uuid()
            FROM unnest(CAST(:category AS text[]), CAST(:day AS date[]), CAST(:lon AS float[]),
                CAST(:lat AS float[])) AS m(c, d, x, y)
            """),
            {"category": list(category), "day": list(day), "lon": lon, "lat": lat},
        )
