"""The desks of the world of matters: the application, a client for each of its people, and what they send."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.incidents.actor import Actor
from gridmgmt.incidents.handling import service
from tests.db import matter_world
from tests.db.matter_world import OFFICE, URBAN, World

from .conftest import sign_in

As = Callable[[Actor], FlaskClient]
LONG_AGO = datetime.now(UTC) - timedelta(days=40)


@pytest.fixture
def app(engine: Engine, make_app: Callable[..., Flask]) -> Flask:
    """The application on the world of matters alone."""
    return make_app(engine)


@pytest.fixture
def world(app: Flask, engine: Engine) -> Iterator[World]:
    """The world of matters, under the application's own key ring."""
    built = matter_world.build(engine, app.config["SETTINGS"].home)
    yield built
    built.matters.dispose()


@pytest.fixture
def as_(app: Flask, world: World) -> As:
    """Gives a client signed in as somebody of the world, the same one each time."""
    known: dict[str, FlaskClient] = {}

    def client(actor: Actor) -> FlaskClient:
        if actor.username not in known:
            known[actor.username] = app.test_client()
            sign_in(known[actor.username], actor.username, matter_world.PASSWORD)
        return known[actor.username]

    return client


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, path
    return answer.get_data(as_text=True)


def post(client: FlaskClient, path: str, **form: object) -> tuple[int, str]:
    """Send a form with the token of a page, following where it leads."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/matters/all").get_data(as_text=True))
    token = token or re.search(
        r'name="csrf_token" value="([^"]+)"', client.get("/unit?tab=doing").get_data(as_text=True)
    )
    assert token
    answer = client.post(path, data={"csrf_token": token[1], **form}, follow_redirects=True)
    return answer.status_code, answer.get_data(as_text=True)


def forward(world: World, case_id: int, to: str) -> None:
    """Bring a matter of the nine steps on to one of them, as the office does."""
    for stage in ("review", "accept", "assign", "supervise"):
        note, units = ("阅", ()) if stage == "accept" else ("", (URBAN,) if stage == "supervise" else ())
        service.move(world.matters, OFFICE, case_id, None, stage, note=note, units=units)
        if stage == to:
            return


def hand_of(world: World, case_id: int) -> int:
    query = text("SELECT max(id) FROM incident_hand WHERE case_id = :id")
    with world.owner.connect() as connection:
        return int(connection.execute(query, {"id": case_id}).scalar_one())
