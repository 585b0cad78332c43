"""A city of 300,000 buildings for the benchmark of tiles: the sample city with a building at every door."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from sqlalchemy import Connection, Engine, text

import sample_data
from benchmarks.matters_city import territory_only
from gridmgmt.db import identity
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.db.models import Role
from gridmgmt.grids import service as grids

USER, PASSWORD = "tiles", "a bench has a password"
# A door's building stands about so far (degrees) from where the sample city has the one that holds the door.
APART = 0.00015
FLAGS = ("low_lying", "dilapidated", "self_built")


def build(cluster: Cluster, folder: Path, scale: float = 1.0) -> Engine:
    """Return an engine on a new database with land, grids and buildings, and one account of the centre."""
    files = folder / "city"
    sample_data.generate(files, scale=scale)
    engine = territory_only(cluster, files)
    doors = pd.read_parquet(
        files / "roster.parquet",
        columns=["building_code", "dwelling", "building_lon", "building_lat", "building_flags"],
    ).drop_duplicates(["building_code", "dwelling"])
    with engine.begin() as connection:
        _buildings(connection, doors)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    identity.create_account(engine, USER, PASSWORD, Role.COMMAND, "benchmark")
    return engine


def _buildings(connection: Connection, doors: pd.DataFrame) -> None:
    rng = np.random.default_rng(11)
    n = len(doors)
    lon, lat = (doors[name].to_numpy() + rng.normal(0, APART, n) for name in ("building_lon", "building_lat"))
    flags = doors["building_flags"].fillna("").to_numpy(str)
    held = grids.grids_in_force(connection)
    tree = shapely.STRtree(held.geometries)
    point, grid = tree.query(shapely.points(lon, lat), predicate="intersects")
    grid_id = np.zeros(n, np.int32)
    grid_id[point] = held.ids[grid]
    columns = {
        "code": pa.array(np.char.add("b", np.arange(n).astype(str))),
        "address": pa.array(["某路"] * n),
        "geom": Points(lon, lat),
        **{name: np.char.find(flags, name) >= 0 for name in FLAGS},
        "grid_id": pa.array(grid_id, pa.int32(), mask=grid_id == 0),
    }
    copy_rows(connection.connection.cursor(), "building", columns)
