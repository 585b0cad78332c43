"""The application on the city of nine grids, and a client a role."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine

from gridmgmt.config import Settings
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine
from gridmgmt.db.models import Role
from gridmgmt.web import create_app
from gridmgmt.web.databases import EXTENSION

from . import small_city

TEMPLATE = "small_city"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def small_city_template(cluster: Cluster, template: str) -> str:
    """The name of a database that holds the small city; six passwords are hashed once, not once a test."""
    create_database(cluster.url("postgres"), TEMPLATE, template=template)
    engine = make_engine(cluster.url(TEMPLATE))
    small_city.build(engine)
    engine.dispose()
    return TEMPLATE


@pytest.fixture
def city(cluster: Cluster, small_city_template: str) -> Iterator[Engine]:
    """A database of this test's own that holds the small city."""
    name = f"city_{next(_numbers)}"
    create_database(cluster.url("postgres"), name, template=small_city_template)
    engine = make_engine(cluster.url(name))
    yield engine
    engine.dispose()
    drop_database(cluster.url("postgres"), name)


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """Makes the application on a database, whatever stands in it."""
    made: list[Flask] = []

    def make(engine: Engine, basemap: str | None = None) -> Flask:
        url = engine.url.render_as_string(hide_password=False)
        settings = Settings(home=tmp_path, database_url=url, secret_key="a key for tests", basemap=basemap)
        app = create_app(settings)
        app.config.update(TESTING=True, PROPAGATE_EXCEPTIONS=False)
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions[EXTENSION].dispose()


@pytest.fixture
def app(city: Engine, make_app: Callable[..., Flask]) -> Flask:
    """The application on the small city."""
    return make_app(city)


@pytest.fixture
def as_role(app: Flask) -> Callable[[Role | None], FlaskClient]:
    """Gives a client signed in with a role, the same one each time, or one signed in as nobody."""

    known: dict[Role | None, FlaskClient] = {}

    def client(role: Role | None) -> FlaskClient:
        if role not in known:
            known[role] = app.test_client()
            if role:
                sign_in(known[role], role.value)
        return known[role]

    return client


def sign_in(
    client: FlaskClient, username: str, password: str = small_city.PASSWORD, query: str = ""
) -> object:
    """Fill in the sign-in form as a browser does; returns the answer."""
    page = client.get(f"/login{query}").get_data(as_text=True)
    token = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    form = {"username": username, "password": password, "csrf_token": token}
    return client.post(f"/login{query}", data=form)
