"""Vector tiles beside tipg: the same PostGIS, two workers each, the same tiles, eight clients at once.

Nothing is kept between rounds: our files are removed, tipg keeps none. Tiles that are kept, and the answer
that a browser's copy still holds (304), are measured beside an empty Flask route under the same server.
Everything runs on a private cluster of its own, dropped at the end.
`python -m benchmarks.bench_tiles --quick` tries it on a tenth of the city.
"""

import argparse
import json
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import shapely
from sqlalchemy import Engine, make_url, text

from benchmarks import tiles_city
from benchmarks.serving import WORKERS, running, served
from benchmarks.tiles_clients import Asked, ask, sign_in
from benchmarks.vector_tiles import Feature, read
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.migrations import up as migrated

BUILDINGS_GOAL, GRIDS_GOAL, KEPT_GOAL = 15.0, 3.0, 0.5
CLIENTS, ROUNDS = 8, 3
ROOT = Path(__file__).parents[1]
EMPTY = """
import sys
from flask import Flask
from gunicorn.app.base import BaseApplication
app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: "")
class Server(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", f"127.0.0.1:{sys.argv[1]}")
        self.cfg.set("workers", 2)
        self.cfg.set("loglevel", "warning")
    def load(self):
        return app
Server().run()
"""
Tile = tuple[int, int, int]


@dataclass(frozen=True)
class Size:
    """How much of the city, how many different tiles of a zoom level, how many kept ones are asked for."""

    scale: float = 1.0
    tiles: int = 40
    kept: int = 3000


QUICK = Size(0.1, 10, 500)


def run(size: Size = Size()) -> list[dict[str, Any]]:
    """Return rows of buildings and grids beside tipg, and of kept tiles beside an empty route."""
    with tempfile.TemporaryDirectory(prefix="gridmgmt-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        cluster = Cluster(home / "home")
        cluster.start()
        try:
            engine = tiles_city.build(cluster, home, size.scale)
            rows = _rows(engine, home / "serve", size)
            engine.dispose()
            return rows
        finally:
            cluster.drop()


def _rows(engine: Engine, home: Path, size: Size) -> list[dict[str, Any]]:
    migrated(engine)
    url = engine.url.render_as_string(hide_password=False)
    with (
        served(home, url) as mine,
        _tipg(url) as theirs,
        running([sys.executable, "-c", EMPTY], "/") as empty,
    ):
        cookie = sign_in(mine, tiles_city.USER, tiles_city.PASSWORD)
        buildings = _around(engine, "building", range(14, 18), size.tiles)
        grids = _around(engine, "grid", range(10, 15), size.tiles)
        count = {table: _count(engine, table) for table in ("building", "grid")}
        own = f"{count['building']} buildings, z14-z17"
        rows = [
            _beside(own, BUILDINGS_GOAL, buildings, ("buildings", mine, cookie), ("building", theirs), home),
            _beside(
                f"{count['grid']} grids, z10-z14", GRIDS_GOAL, grids, ("grids", mine, cookie),
                ("grid", theirs), home,
            ),
        ]  # fmt: skip
        rows += _kept(mine, cookie, empty, buildings, size.kept)
        rows[0]["peer_without_index_a_second"] = _without_index(
            engine, theirs, buildings[:: len(buildings) // 20]
        )
        return rows


def _without_index(engine: Engine, theirs: int, tiles: list[Tile]) -> float:
    """Return the peer's tiles a second where the buildings have no index, as before there were tiles."""
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_building_geom"))
    answers = ask(theirs, _of_peer("building", tiles), CLIENTS)
    return round(len(tiles) / answers.seconds, 1)


# --- the servers


@contextmanager
def _tipg(url: str) -> Iterator[int]:
    # It takes a socket's folder for a host, if it is written as one; capitals would be lost.
    made = make_url(url)
    place = f"postgresql://{made.username}@{quote(str(made.query['host']), safe='')}/{made.database}"
    command = [
        sys.executable, "-m", "uvicorn", "tipg.main:app", "--workers", str(WORKERS), "--log-level", "error",
        "--port",
    ]  # fmt: skip
    # It would leave out what a tile holds beyond 10,000.
    named = {"DATABASE_URL": place, "TIPG_MAX_FEATURES_PER_TILE": "1000000"}
    with running(command, "/healthz", named) as port:
        yield port


# --- uncached, beside tipg

COLUMNS = {"building": "id,low_lying,dilapidated,self_built", "grid": "code15,name,kind,village"}


def _beside(
    what: str, goal: float, tiles: list[Tile], ours: tuple[str, int, str], peer: tuple[str, int], home: Path
) -> dict[str, Any]:
    """Return one comparison: rounds in turns, each over the same different tiles in the same order."""
    layer, mine, cookie = ours
    table, theirs = peer
    asked = [Asked(f"/tiles/{layer}/{z}/{x}/{y}.mvt", cookie) for z, x, y in tiles]
    wanted = _of_peer(table, tiles)
    ours_s, peer_s = [], []
    ask(mine, asked, CLIENTS)  # each reads its libraries and the ground once before the clock runs
    ask(theirs, wanted, CLIENTS)
    for _ in range(ROUNDS):
        shutil.rmtree(home / "cache", ignore_errors=True)
        found = ask(mine, asked, CLIENTS)
        others = ask(theirs, wanted, CLIENTS)
        ours_s.append(found.seconds)
        peer_s.append(others.seconds)
    same = all(
        SAME[table](read(one).get(layer, []), next(iter(read(other).values()), []))
        for one, other in zip(found.bodies, others.bodies, strict=True)
    )
    ours_, theirs_ = statistics.median(ours_s), statistics.median(peer_s)
    rate, peer_rate = (len(tiles) / each for each in (ours_, theirs_))
    return {
        "work": f"{len(tiles)} tiles of {what}, {WORKERS} workers each",
        "note": f"{rate:.0f} a second against {peer_rate:.0f}",
        "ours_s": round(ours_, 3), "peer": "tipg", "peer_version": version("tipg"),
        "peer_s": round(theirs_, 2), "ratio": round(theirs_ / ours_, 1), "goal": goal,
        "same_result": same, "ours_peak_mb": None,
        "rounds": [round(b / a, 1) for a, b in zip(ours_s, peer_s, strict=True)],
        "bytes_a_tile": [sum(map(len, each.bodies)) // len(tiles) for each in (found, others)],
    }  # fmt: skip


def _of_peer(table: str, tiles: list[Tile]) -> list[Asked]:
    place = f"/collections/public.{table}/tiles/WebMercatorQuad"
    columns = quote(COLUMNS[table])
    return [Asked(f"{place}/{z}/{x}/{y}?limit=1000000&properties={columns}") for z, x, y in tiles]


def _same_points(ours: list[Feature], theirs: list[Feature]) -> bool:
    """Say whether both have the same buildings in the tile, each at the same place but for one unit."""
    mine = {f.id: f.paths[0][0] for f in ours}
    other = {f.properties.get("id", f.id): f.paths[0][0] for f in theirs}
    inside = {key for key, at in other.items() if all(1 < part < 4095 for part in at)}
    return inside <= set(mine) and all(
        abs(a - b) <= 1 for key in inside for a, b in zip(mine[key], other[key], strict=True)
    ) and {key for key, at in mine.items() if all(1 < part < 4095 for part in at)} <= set(other)  # fmt: skip


def _same_areas(ours: list[Feature], theirs: list[Feature]) -> bool:
    """Say whether both draw the same grids: of 100 square pixels or more, the same ground but for the rim."""
    tile = shapely.box(0, 0, 4096, 4096)
    shapes = [
        {f.properties[key]: shapely.intersection(_area(f), tile) for f in each}
        for key, each in (("code", ours), ("code15", theirs))
    ]
    mine, other = ({k: v for k, v in each.items() if v.area > 100 * 64} for each in shapes)
    either = set(mine) | set(other)
    if not either <= set(shapes[0]) & set(shapes[1]):
        return False
    return all(
        shapes[0][key].symmetric_difference(shapes[1][key]).area <= 8 * shapes[1][key].length + 64
        for key in either
    )


def _area(feature: Feature) -> shapely.Geometry:
    whole = shapely.Polygon()
    for ring in feature.paths:
        if len(ring) > 2:
            whole = whole.symmetric_difference(shapely.make_valid(shapely.Polygon(ring)))
    return whole


SAME = {"building": _same_points, "grid": _same_areas}


def _around(engine: Engine, table: str, zooms: range, most: int) -> list[Tile]:
    """Return different tiles, `most` of each zoom level, around places that are drawn at random."""
    place = "ST_PointOnSurface(geom)" if table == "grid" else "geom"
    statement = text(
        f"SELECT ST_X(p), ST_Y(p) FROM (SELECT {place} AS p FROM {table} ORDER BY id) q WHERE p IS NOT NULL"
    )
    with engine.connect() as connection:
        places = [tuple(row) for row in connection.execute(statement)]
    rng = random.Random(5)
    rng.shuffle(places)
    chosen: list[Tile] = []
    for z in zooms:
        chosen += list(dict.fromkeys(_tile(z, lon, lat) for lon, lat in places))[:most]
    rng.shuffle(chosen)
    return chosen


def _tile(z: int, lon: float, lat: float) -> Tile:
    north = math.asinh(math.tan(math.radians(lat))) / math.pi
    return z, int((lon + 180) / 360 * 2**z), int((1 - north) / 2 * 2**z)


def _count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


# --- kept, beside an empty route


def _kept(mine: int, cookie: str, empty: int, tiles: list[Tile], count: int) -> list[dict[str, Any]]:
    paths = [f"/tiles/buildings/{z}/{x}/{y}.mvt" for z, x, y in tiles]
    tags = ask(mine, [Asked(path, cookie) for path in paths], CLIENTS).tags
    again = [paths[k % len(paths)] for k in range(count)]
    held = [Asked(path, cookie, tags[k % len(paths)]) for k, path in enumerate(again)]
    kept = [Asked(path, cookie) for path in again]
    nothing = [Asked("/") for _ in again]
    return [
        _rate(f"{count} kept tiles", mine, kept, empty, nothing, 200),
        _rate(f"{count} tiles that the browser still holds (304)", mine, held, empty, nothing, 304),
    ]


def _rate(
    what: str, mine: int, asked: list[Asked], empty: int, nothing: list[Asked], status: int
) -> dict[str, Any]:
    ours_s, peer_s, same = [], [], True
    for _ in range(ROUNDS):
        found = ask(mine, asked, CLIENTS)
        ours_s.append(found.seconds)
        same &= set(found.statuses) <= {status, 204}
        peer_s.append(ask(empty, nothing, CLIENTS).seconds)
    ours, peer = statistics.median(ours_s), statistics.median(peer_s)
    return {
        "work": what, "note": f"{len(asked) / ours:.0f} a second against {len(asked) / peer:.0f}",
        "ours_s": round(ours, 3), "peer": "an empty Flask route", "peer_version": version("flask"),
        "peer_s": round(peer, 3), "ratio": round(peer / ours, 2), "goal": KEPT_GOAL, "same_result": same,
        "ours_peak_mb": None, "rounds": [round(b / a, 2) for a, b in zip(ours_s, peer_s, strict=True)],
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_tiles")
    parser.add_argument("--quick", action="store_true", help="a tenth of the city, fewer tiles")
    started = time.perf_counter()
    for row in run(QUICK if parser.parse_args().quick else Size()):
        print(json.dumps(row, ensure_ascii=False))
    print(f"{time.perf_counter() - started:.0f} s")
