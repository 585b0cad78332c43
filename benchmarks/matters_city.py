"""A city with a million matters, most of them long settled, for whoever times what offices do with them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

import sample_data
from gridmgmt.db import migrations, passwords
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.copy import Points, copy_rows
from gridmgmt.db.engine import create_database, make_engine
from gridmgmt.db.models import Role
from gridmgmt.grids import importer as territory
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents import holidays, taxonomy_import
from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.flows import stored as flows

FIRST_DAY, DAYS = np.datetime64("2022-11-01"), 1460
# One in ten of the last four months is open: 8,000 of a million.
OPEN_SHARE, YOUNG_DAYS = 0.1, 120
PASSWORD = "a bench has a password"
BLOCK = 250_000


@dataclass(frozen=True)
class City:
    """Where it stands, and who works there: offices of the largest towns, the centre, departments."""

    url: str
    offices: list[Actor]
    centre: Actor
    departments: list[Actor]


def territory_only(cluster: Cluster, files: Path, name: str = "city") -> Engine:
    """Make a database with land, grids, categories, flows and holidays of the sample city; no matter."""
    create_database(cluster.url("postgres"), name)
    engine = make_engine(cluster.url(name))
    migrations.up(engine)
    plain = load_mapping(None, crs="cgcs2000")
    territory.import_divisions(engine, files / "divisions.geojson", plain)
    taxonomy_import.import_categories(engine, files / "categories.csv", plain)
    territory.import_grids(engine, files / "grids.geojson", plain)
    flows.install(engine)
    holidays.install(engine)
    return engine


def generate(files: Path) -> None:
    """Write the sample city's files, people left out."""
    sample_data.generate(files, roster=False)


def fill(engine: Engine, matters: int, seed: int = 7) -> None:
    """Write matters of four years with a case each, as if they had been handled here from the first on.

    Triggers are left out, because what they would derive is written: only the setting up is quicker.
    """
    rng = np.random.default_rng(seed)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for year in range(2022, 2028):
            connection.execute(text("SELECT ensure_incident_year(:year)"), {"year": year})
        grids = connection.execute(
            text("SELECT id, village, ST_X(c), ST_Y(c) FROM grid, ST_PointOnSurface(geom) AS c ORDER BY id")
        ).all()
        leaves = connection.execute(
            text("SELECT code FROM category WHERE parent IS NOT NULL ORDER BY code")
        ).scalars()
        channels = connection.execute(text("SELECT code FROM channel ORDER BY code")).scalars().all()
        codes = leaves.all()
        for first in range(0, matters, BLOCK):
            _block(connection, rng, first, min(BLOCK, matters - first), grids, codes, channels)
        _cases(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _block(
    connection: Connection, rng: np.random.Generator, first: int, n: int, grids, codes, channels
) -> None:  # type: ignore[no-untyped-def]
    which = np.minimum(rng.gamma(4, len(grids) / 9, n).astype(int), len(grids) - 1)
    day = FIRST_DAY + rng.integers(0, DAYS, n)
    at = day.astype("datetime64[us]") + rng.integers(0, 86_400, n).astype("timedelta64[s]")
    age = (FIRST_DAY + DAYS - day).astype(int)
    is_open = (rng.random(n) < OPEN_SHARE) & (age < YOUNG_DAYS)
    often = 1 / (np.arange(len(codes)) + 10)
    took = rng.gamma(2, 36, n).astype("timedelta64[h]")
    asked = ~is_open & (rng.random(n) < 0.7)
    score = rng.choice([5, 4, 3, 2], n, p=[0.4, 0.4, 0.167, 0.033])
    level = np.array(["village", "town", "city"], object)[rng.choice(3, n, p=[0.3, 0.6, 0.1])]
    numbers = np.char.add("b", np.char.zfill((first + np.arange(n)).astype(str), 8))
    grid_lon, grid_lat = (np.array([row[place] for row in grids]) for place in (2, 3))
    columns = {
        "source": pa.array(["bench"] * n),
        "external_id": pa.array(numbers),
        "ledger": pa.array(np.array(["suggestion", "demand", "complaint"], object)[rng.choice(3, n)]),
        "channel": pa.array(np.array(channels, object)[rng.choice(len(channels), n)]),
        "category": pa.array(np.array(codes, object)[rng.choice(len(codes), n, p=often / often.sum())]),
        "occurred_at": at,
        "occurred_on": at.astype("datetime64[D]"),
        "reported_at": at + np.timedelta64(600, "s"),
        "geom": Points(
            grid_lon[which] + rng.normal(0, 0.0008, n), grid_lat[which] + rng.normal(0, 0.0008, n)
        ),
        "address": pa.array(np.char.add("某路", (which % 300).astype(str))),
        "grid_id": np.array([row[0] for row in grids], np.int32)[which],
        "village": pa.array(np.array([row[1] for row in grids], object)[which]),
        "title": pa.array(np.char.add("夜间噪声影响休息 ", numbers)),
        "text": pa.array(["居民反映夜间施工噪声影响休息，希望尽快处理并答复。"] * n),
        "status": pa.array(np.where(is_open, "open", "closed").astype(object)),
        "stage": pa.array(np.where(is_open, "supervise", "archive").astype(object)),
        "level": pa.array(level),
        "satisfaction": pa.array(score, pa.int16(), mask=~asked),
        "due_at": at + np.timedelta64(15, "D"),
        "closed_at": np.where(is_open, np.datetime64("NaT", "us"), at + took),
        "digest": pa.array([b"\0" * 16] * n, pa.binary(16)),
    }  # fmt: skip
    copy_rows(connection.connection.cursor(), "incident", columns)


def _cases(connection: Connection) -> None:
    """Give every matter its case and first step, and a department's line to every fifth."""
    for statement in (
        """
        INSERT INTO incident_case (id, number, flow_id, stage, stage_since, opened_at, next_due_at, village,
            grid_id, level, settled_level, open, version)
        SELECT i.id, '1' || lpad(i.id::text, 12, '0'), f.id, i.stage, i.reported_at, i.reported_at,
            CASE WHEN i.status = 'open' THEN i.due_at END, i.village, i.grid_id, i.level,
            CASE WHEN i.status = 'closed' THEN i.level END, i.status = 'open', 1
        FROM incident i, incident_flow f WHERE f.code = 'nine_steps' AND f.active
        """,
        """
        INSERT INTO incident_step (case_id, n, at, who, act, to_stage)
        SELECT id, 1, reported_at, 'bench', 'take_in', 'classify' FROM incident
        """,
        """
        INSERT INTO incident_hand (case_id, unit, part, status, asked_at, asked_by, due_at)
        SELECT i.id, k.department, 'lead', CASE WHEN i.status = 'open' THEN 'accepted' ELSE 'struck_off' END,
            i.reported_at, 'bench', i.due_at
        FROM incident i JOIN category k ON k.code = i.category
        WHERE k.department IS NOT NULL AND (i.id % 5 = 0)
        """,
    ):
        connection.execute(text(statement))


def people(engine: Engine, offices: int = 8, departments: int = 4) -> City:
    """Make accounts: offices of the towns with most matters, the centre, departments with most lines."""
    with engine.begin() as connection:
        towns = connection.execute(
            text("SELECT left(village, 9) FROM incident GROUP BY 1 ORDER BY count(*) DESC LIMIT :n"),
            {"n": offices},
        ).scalars()
        units = connection.execute(
            text("SELECT unit FROM incident_hand GROUP BY 1 ORDER BY count(*) DESC LIMIT :n"),
            {"n": departments},
        ).scalars()
        made = [
            *(Actor(f"office{n}", Role.TOWN_OFFICER, town) for n, town in enumerate(towns.all())),
            Actor("centre", Role.COMMAND, ""),
            *(Actor(f"unit{n}", Role.DEPARTMENT, "", unit) for n, unit in enumerate(units.all())),
        ]
        known = passwords.hashed(PASSWORD)  # once: it is meant to take long
        for actor in made:
            connection.execute(
                text("""
                INSERT INTO account (username, password_hash, role, display_name, area, unit)
                VALUES (:name, :hash, :role, :name, :area, :unit)
                """),
                {
                    "name": actor.username, "hash": known, "role": actor.role, "area": actor.area or None,
                    "unit": actor.unit or None,
                },
            )  # fmt: skip
    by_role = {role: [each for each in made if each.role is role] for role in Role}
    return City(
        engine.url.render_as_string(hide_password=False),
        by_role[Role.TOWN_OFFICER], by_role[Role.COMMAND][0], by_role[Role.DEPARTMENT],
    )  # fmt: skip
