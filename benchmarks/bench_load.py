"""Loading points into PostGIS: our binary COPY against geopandas.to_postgis, on one private cluster."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
from sqlalchemy import Engine, text

from gridmgmt.db.cluster import Cluster
from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.db.engine import create_database, make_engine

ROWS = 200_000
REPEATS = 3
CREATE = "CREATE TABLE {} (category text, day date, geometry geometry(Point, 4490))"


def run() -> list[dict[str, Any]]:
    """Return one row: seconds of both, their ratio, and whether both tables hold the same."""
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(116.8, 117.3, ROWS), rng.uniform(34.8, 35.3, ROWS)
    category = rng.choice(["0101", "0102", "0203"], ROWS)
    day = np.datetime64("2025-01-01") + rng.integers(0, 365, ROWS)
    frame = geopandas.GeoDataFrame(
        {"category": category, "day": day.astype("datetime64[s]")},
        geometry=geopandas.points_from_xy(lon, lat, crs="EPSG:4490"),
    )
    with tempfile.TemporaryDirectory(prefix="gridmgmt-bench-") as folder:
        cluster = Cluster(Path(folder) / "home")
        cluster.start()
        try:
            create_database(cluster.url("postgres"), "bench")
            engine = make_engine(cluster.url("bench"))
            with engine.begin() as connection:
                connection.execute(text("CREATE EXTENSION postgis"))

            def ours() -> None:
                with engine.begin() as connection:
                    cursor = connection.connection.driver_connection.cursor()
                    copy_rows(
                        cursor, "ours", {"category": category, "day": day, "geometry": Points(lon, lat)}
                    )

            def theirs() -> None:
                frame.to_postgis("theirs", engine, if_exists="append", index=False)

            ours_s = _median(engine, "ours", ours)
            theirs_s = _median(engine, "theirs", theirs)
            same = _content(engine, "ours") == _content(engine, "theirs")
            engine.dispose()
        finally:
            cluster.drop()
    return [
        {
            "work": f"load {ROWS:,} points",
            "ours_s": ours_s,
            "peer": "geopandas.to_postgis",
            "peer_version": geopandas.__version__,
            "peer_s": theirs_s,
            "ratio": theirs_s / ours_s,
            "goal": 12,
            "same_result": same,
        }
    ]


def _median(engine: Engine, table: str, load: Callable[[], None]) -> float:
    seconds = []
    for _ in range(REPEATS + 1):  # the first warms up
        with engine.begin() as connection:
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
            connection.execute(text(CREATE.format(table)))
        began = time.perf_counter()
        load()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def _content(engine: Engine, table: str) -> tuple[Any, ...]:
    query = f"SELECT count(*), sum(hashtextextended(category || day || ST_AsEWKT(geometry), 0)) FROM {table}"
    with engine.connect() as connection:
        return tuple(connection.execute(text(query)).one())
