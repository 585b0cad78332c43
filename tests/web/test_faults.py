"""The connection to the database breaks, within questions and answers too: nothing is lost or doubled.

The long way, with killed processes, full disks and wrong clocks, is `python -m benchmarks.faults`.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from benchmarks.faults.proxy import Proxy, Weather
from gridmgmt.db.cluster import SOCKET_NAME, Cluster
from gridmgmt.db.engine import make_engine
from gridmgmt.incidents.opening.keys import Scope
from tests.db import matter_world
from tests.db.matter_world import GRID_OWN, NOISE, OFFICE, middle

from . import open_city
from .conftest import sign_in
from .open_city import OpenCity

TELLINGS = 15
AWAY = "数据库没有应答"


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[Proxy]:
    """What stands between the application and its database."""
    folder = Path(str(make_engine(cluster.url()).url.query["host"]))
    between = Proxy(tmp_path / SOCKET_NAME, folder / SOCKET_NAME, seed=3)
    between.start()
    yield between
    between.stop()


@pytest.fixture
def city(engine: Engine, proxy: Proxy, tmp_path: Path, make_app: Callable[..., Flask]) -> OpenCity:
    """The small county of matters, served over the proxy."""
    app = make_app(make_engine(f"postgresql://postgres@/{engine.url.database}?host={tmp_path}"))
    return open_city.opened(engine, app, open_city.write(engine, app.config["SETTINGS"].home))


def tell(client: FlaskClient, key: str) -> int:
    """Tell a matter under a key, in words of its own, and return the status."""
    lon, lat = middle(GRID_OWN)
    form = {"service_code": NOISE, "description": f"路灯不亮 {key[-1]}灯", "lat": lat, "long": lon}
    answer = client.post("/api/open311/v2/requests.json", data=form, headers={"Idempotency-Key": key})
    return answer.status_code


def test_what_is_told_over_a_connection_that_breaks_stands_once_whoever_answered(
    city: OpenCity, proxy: Proxy
) -> None:
    client = city.client(Scope.WRITE)
    keys = [str(uuid.UUID(int=number, version=4)) for number in range(1, TELLINGS + 1)]
    first = []
    for number, key in enumerate(keys):
        proxy.change((Weather.MID_REQUEST, Weather.MID_RESPONSE)[number % 2])
        first.append(tell(client, key))
    proxy.change(Weather.CALM)
    again = [tell(client, key) for key in keys]
    assert set(first) <= {200, 201, 503}
    assert 503 in first
    assert set(again) <= {200, 201}
    assert all(status == 200 for status, before in zip(again, first, strict=True) if before != 503)
    with city.engine.connect() as connection:
        stands = connection.execute(
            text("SELECT text, count(*) FROM incident WHERE text LIKE '路灯不亮 %' GROUP BY 1")
        ).all()
    assert len(stands) == TELLINGS
    assert {count for _, count in stands} == {1}


def test_while_the_database_is_away_pages_say_so_and_afterwards_all_is_as_before(
    city: OpenCity, proxy: Proxy
) -> None:
    client = city.app.test_client()
    sign_in(client, OFFICE.username, matter_world.PASSWORD)
    assert client.get("/matters").status_code == 200
    proxy.change(Weather.CUT)
    for path in ("/matters", f"/matters/{city.noise}", "/visits/new"):
        answer = client.get(path)
        assert (answer.status_code, AWAY in answer.get_data(as_text=True)) == (503, True), path
    assert client.get("/api/v1/categories").status_code == 503
    proxy.change(Weather.CALM)
    assert client.get("/matters").status_code == 200
    with city.engine.connect() as connection:  # the server ends every connection, as on a restart
        connection.execute(
            text("""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
            """)
        )
    assert client.get("/matters").status_code == 200
