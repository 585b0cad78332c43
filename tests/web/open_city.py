"""The small county of matters behind the interface, with keys, and a server on loopback for real clients."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from werkzeug.serving import WSGIRequestHandler, make_server

from gridmgmt.incidents.opening import keys
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.web.interface.callers import NAMELESS
from tests.db import matter_world
from tests.db.matter_world import FEE, GRID_OTHER, NOISE, WATER

# Words and a name that must come out nowhere but where they may.
WORDS, NAME, PHONE, ADDRESS = "夜市摊位占了人行道", "钱多多", "13912345678", "城关街道白水路9号"
MANY = 100_000
ALL = tuple(Scope)


@dataclass(frozen=True)
class OpenCity:
    """`noise` may be shown to everybody, `fee` is of the same place, `water` of the other town."""

    app: Flask
    engine: Engine
    noise: int
    fee: int
    water: int

    def key(self, *scopes: Scope, name: str = "", a_minute: int = MANY) -> str:
        """Make a key with these scopes."""
        called = name or "-".join(scope.name.lower() for scope in scopes)
        return keys.add(self.engine, called, scopes, "admin", a_minute=a_minute)

    def client(self, *scopes: Scope) -> FlaskClient:
        """A client that shows a key with these scopes, or none."""
        client = self.app.test_client()
        if scopes:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.key(*scopes)}"
        return client


def build(engine: Engine, make_app: Callable[..., Flask]) -> OpenCity:
    """Write the city, and serve it by an application that has its keys."""
    app = make_app(engine)
    return opened(engine, app, write(engine, app.config["SETTINGS"].home))


def opened(engine: Engine, app: Flask, numbers: tuple[int, int, int]) -> OpenCity:
    """Return a city that stands already; its applications do not count who comes without a key."""
    app.config[NAMELESS] = MANY
    return OpenCity(app, engine, *numbers)


def write(engine: Engine, home: Path) -> tuple[int, int, int]:
    """Write three matters, and one of history that was never handled here; return the three."""
    world = matter_world.build(engine, home)
    somebody = (PartyTold(PartyPart.COMPLAINANT, NAME, PHONE),)
    numbers = [
        world.take_in(
            category=kind, words=WORDS, title=WORDS, address=ADDRESS, parties=somebody, **place
        ).case_id
        for kind, place in ((NOISE, {}), (FEE, {}), (WATER, {"grid": GRID_OTHER}))
    ]
    world.matters.dispose()
    _history(engine)
    noise, fee, water = numbers
    return noise, fee, water


def _history(engine: Engine) -> None:
    told = datetime.now(UTC) - timedelta(days=40)
    with engine.begin() as connection:
        connection.execute(text("SELECT ensure_incident_year(:year)"), {"year": told.year})
        connection.execute(
            text("""
            INSERT INTO incident (source, external_id, category, occurred_at, occurred_on, reported_at, geom,
                status, stage, village, digest, closed_at)
            VALUES ('old', '1', :kind, :at, CAST(:at AS date), :at,
                ST_SetSRID(ST_MakePoint(114.00123456, 32.99123456), 4490), 'closed', '已归档', :village,
                gen_random_uuid(), :at)
            """),
            {"kind": NOISE, "at": told, "village": matter_world.VILLAGE_OWN},
        )


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        pass


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application on loopback while the block runs, and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
