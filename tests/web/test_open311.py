"""Open311 by clients that others wrote, by the published examples, and by who may see what.

The examples are those of GeoReport v2 (wiki.open311.org/GeoReport_v2): their fields, in JSON and XML.
"""

import importlib
import itertools
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from georeport import GeoReport
from sqlalchemy import Engine, text

from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import create_database, drop_database, make_engine
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.web.interface.callers import NAMELESS
from tests.db.matter_world import COUNTY, FEE, GRID_OWN, NOISE, VILLAGE_OWN, WATER, middle

from . import open_city
from .open_city import ADDRESS, NAME, PHONE, WORDS, OpenCity

TEMPLATE = "open_city"
_numbers = itertools.count(1)
V2 = "/api/open311/v2"
LONG = "start_date=2026-01-01T00:00:00Z&end_date=2026-04-02T00:00:00Z"
LON, LAT = middle(GRID_OWN)
SERVICE = {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"}
ATTRIBUTE = {
    "variable", "code", "datatype", "required", "datatype_description", "order", "description", "values",
}  # fmt: skip
REQUEST = {
    "service_request_id", "status", "status_notes", "service_name", "service_code", "description",
    "agency_responsible", "service_notice", "requested_datetime", "updated_datetime", "expected_datetime",
    "address", "address_id", "zipcode", "lat", "long", "media_url",
}  # fmt: skip
TOLD = {"service_code": NOISE, "description": "路灯不亮", "lat": str(LAT), "long": str(LON)}


@pytest.fixture(scope="module")
def written(
    cluster: Cluster, template: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, tuple[int, int, int]]:
    """The city in a database of its own, to be copied: the folder of its keys, and its matters."""
    create_database(cluster.url("postgres"), TEMPLATE, template=template)
    engine = make_engine(cluster.url(TEMPLATE))
    home = tmp_path_factory.mktemp("keys")
    numbers = open_city.write(engine, home)
    engine.dispose()
    return home, numbers


@pytest.fixture
def city(
    cluster: Cluster,
    written: tuple[Path, tuple[int, int, int]],
    tmp_path: Path,
    make_app: Callable[..., Flask],
) -> Iterator[OpenCity]:
    name = f"open_{next(_numbers)}"
    create_database(cluster.url("postgres"), name, template=TEMPLATE)
    engine = make_engine(cluster.url(name))
    shutil.copy(written[0] / "keyring.json", tmp_path)
    yield open_city.opened(engine, make_app(engine), written[1])
    engine.dispose()
    drop_database(cluster.url("postgres"), name)


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The client `three`, which was written for Python 2: what it imports is given to it."""
    monkeypatch.setattr(itertools, "ifilter", filter, raising=False)
    monkeypatch.setitem(sys.modules, "relaxml", ModuleType("relaxml"))
    sys.modules["relaxml"].xml = None  # type: ignore[attr-defined]
    yield importlib.import_module("three.core")
    for name in [name for name in sys.modules if name.partition(".")[0] == "three"]:
        del sys.modules[name]


# --- clients written by others


@pytest.mark.parametrize("form", ["json", "xml"])
def test_the_client_georeport_reads_services_and_requests(city: OpenCity, form: str) -> None:
    with open_city.served(city.app) as address:
        client = GeoReport(f"{address}{V2}", jurisdiction=COUNTY, output_format=form)
        services = client.get_service_list()
        assert [service["service_code"] for service in services] == [NOISE, "1102", WATER, FEE]
        assert set(services[0]) == SERVICE
        definition = client.get_service_definition(NOISE)
        assert definition["service_code"] == NOISE
        open_ones = client.get_service_requests(status="open")
        open_ones = open_ones if isinstance(open_ones, list) else [open_ones]
        assert [line["service_request_id"] for line in open_ones] == [str(city.noise)]
        assert client.get_service_request(str(city.noise))["status"] == "open"
        everything = client.get_service_requests(
            start_date=moment(timedelta(days=-60)), end_date=moment(timedelta()), service_code=NOISE
        )
        assert [line["status"] for line in everything] == ["open", "closed"]


def test_the_client_three_asks_and_tells(city: OpenCity, three: ModuleType) -> None:
    with open_city.served(city.app) as address:
        client = three.Three(f"{address}{V2}", api_key=city.key(Scope.WRITE), jurisdiction=COUNTY)
        assert client.discovery()["endpoints"][0]["specification"].endswith("GeoReport_v2")
        assert {service["group"] for service in client.services()} == {"市容环境", "农田水利", "物业管理"}
        assert client.services(NOISE)["attributes"][0]["code"] == "ledger"
        assert len(client.requests(NOISE, count=1)) == 1
        made = client.post(NOISE, description="井盖缺失", name="王 小明", lat=LAT, long=LON)
        assert client.request(made[0]["service_request_id"])[0]["service_name"] == "噪声扰民"


# --- the published shapes


def test_answers_have_the_fields_of_the_published_examples_and_no_others(city: OpenCity) -> None:
    client = city.client()
    discovery = client.get(f"{V2}/discovery.json").json
    assert set(discovery) == {"changeset", "contact", "key_service", "endpoints"}
    assert set(discovery["endpoints"][0]) == {"specification", "url", "changeset", "type", "formats"}
    assert all(set(service) == SERVICE for service in client.get(f"{V2}/services.json").json)
    definition = client.get(f"{V2}/services/{NOISE}.json").json
    assert set(definition) == {"service_code", "attributes"}
    assert all(set(attribute) == ATTRIBUTE for attribute in definition["attributes"])
    assert [set(value) for value in definition["attributes"][0]["values"]] == [{"key", "name"}] * 3
    # The local stage is beside `status`, which knows two words.
    lines = client.get(f"{V2}/requests.json").json
    assert all(set(line) == REQUEST | {"extended_attributes"} for line in lines)
    assert lines[0]["extended_attributes"]["stage"] == "classify"
    made = city.client(Scope.WRITE).post(f"{V2}/requests.json", data=TOLD)
    assert made.status_code == 201
    assert [set(line) for line in made.json] == [{"service_request_id", "service_notice", "account_id"}]


@pytest.mark.parametrize(
    "path",
    ["discovery", "services", f"services/{NOISE}", "requests", "requests/1", "requests/999", "nowhere"],
)
def test_xml_says_what_json_says(city: OpenCity, path: str) -> None:
    client = city.client(*Scope)
    plain, marked = client.get(f"{V2}/{path}.json"), client.get(f"{V2}/{path}.xml")
    assert plain.status_code == marked.status_code
    assert marked.data.startswith(b'<?xml version="1.0" encoding="utf-8"?>')
    assert marked.content_type == "text/xml; charset=utf-8"
    assert spoken(ElementTree.fromstring(marked.data)) == as_words(plain.json)


def spoken(element: ElementTree.Element) -> Any:
    """Return an element of the published XML as values; a list is an element whose name is a plural."""
    if element.tag in (
        "services",
        "service_requests",
        "attributes",
        "values",
        "errors",
        "endpoints",
        "formats",
    ):
        return [spoken(inner) for inner in element]
    if len(element):
        return {inner.tag: spoken(inner) for inner in element}
    return element.text or ""


def as_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_words(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_words(inner) for inner in value]
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    return str(value)


def test_errors_are_a_list_of_code_and_description(city: OpenCity) -> None:
    client, writer = city.client(), city.client(Scope.WRITE)
    for status, answer in (
        (404, client.get(f"{V2}/requests/0.json")),
        (404, client.get(f"{V2}/services/none.json")),
        (404, client.get(f"{V2}/services.json?jurisdiction_id=elsewhere.gov")),
        (400, client.get(f"{V2}/requests.json?status=half")),
        (400, client.get(f"{V2}/requests.json?page=1&page=2")),
        (400, client.get(f"{V2}/requests.json?start_date=2026-01-01T00:00Z&end_date=2026-01-02")),
        (400, client.get(f"{V2}/requests.json?{LONG}")),
        (403, client.post(f"{V2}/requests.json", data=TOLD)),
        (403, client.post(f"{V2}/requests.json", data=TOLD | {"api_key": "xyz"})),
        (400, writer.post(f"{V2}/requests.json", data={**TOLD, "service_code": ""})),
        (404, writer.post(f"{V2}/requests.json", data=TOLD | {"service_code": "none"})),
        (400, writer.post(f"{V2}/requests.json", data=TOLD | {"lat": "10"})),
        (400, writer.post(f"{V2}/requests.json", data=TOLD | {"description": f"请打{PHONE}"})),
        (405, client.put(f"{V2}/requests.json")),
    ):  # fmt: skip
        assert answer.status_code == status, answer.text
        assert [set(error) for error in answer.json] == [{"code", "description"}]
        assert answer.json[0]["code"] == status
        assert PHONE not in answer.text
    # An empty argument is as none (GeoReport v2, Optional Arguments).
    assert client.get(f"{V2}/requests.json?status=&start_date=&page=&api_key=").status_code == 200


# --- paging, window, box


def test_the_window_is_ninety_days_and_pages_go_on_where_the_last_ended(city: OpenCity) -> None:
    history(city.engine, days=89, count=5)
    history(city.engine, days=95, count=1)
    client = city.client(Scope.READ)

    def ids(query: str) -> list[str]:
        return [line["service_request_id"] for line in client.get(f"{V2}/requests.json{query}").json]

    whole = ids("")
    assert len(whole) == 4 + 5
    assert [*ids("?page=1&page_size=4"), *ids("?page=2&page_size=4"), *ids("?page=3&page_size=4")] == whole
    assert len(ids(f"?end_date={moment(timedelta(days=-90))}")) == 1
    assert len(ids(f"?start_date={moment(timedelta(days=-96))}")) == 1 + 5 + 1
    assert ids(f"?service_request_id={city.water},{city.fee}&status=closed") == [
        str(city.water),
        str(city.fee),
    ]
    assert ids("?bbox=114.02,32.99,114.03,33") == [str(city.water)]


def history(engine: Engine, *, days: int, count: int) -> None:
    with engine.begin() as connection:
        at = datetime.now(UTC) - timedelta(days=days)
        connection.execute(text("SELECT ensure_incident_year(:year)"), {"year": at.year})
        connection.execute(
            text("""
            INSERT INTO incident
                (source, external_id, category, occurred_at, occurred_on, reported_at, status, digest)
            SELECT 'old', gen_random_uuid()::text, :kind, :at, CAST(:at AS date), :at, 'closed',
                gen_random_uuid() FROM generate_series(1, :count)
            """),
            {"kind": NOISE, "at": at, "count": count},
        )


def moment(ago: timedelta) -> str:
    return f"{datetime.now(UTC) + ago:%Y-%m-%dT%H:%M:%SZ}"


# --- who may see what


def test_nobody_sees_more_than_kind_day_village_and_a_rounded_place(city: OpenCity) -> None:
    client = city.client()
    lines = client.get(f"{V2}/requests.json").json
    assert {line["service_code"] for line in lines} == {NOISE}
    assert all(line["requested_datetime"].endswith("T00:00:00+08:00") for line in lines)
    assert [(line["long"], line["lat"]) for line in lines] == [(114.005, 32.995), (114.001, 32.991)]
    assert {line["address"] for line in lines} == {"城关街道第1村"}
    assert {line["description"] for line in lines} == {None}
    for hidden in (city.fee, city.water):
        assert client.get(f"{V2}/requests/{hidden}.json").status_code == 404
        assert client.get(f"/api/v1/matters/{hidden}").status_code == 404

    # Asking for ever smaller boxes or hours finds no more than is shown: the place is 114.00123, 32.99123.
    def found(**asked: str) -> int:
        return len(client.get("/api/v1/matters", query_string={"status": "closed", **asked}).json["matters"])

    assert found(bbox="114.0005,32.9905,114.0011,32.9911") == 1
    assert found(bbox="114.0012,32.9912,114.0013,32.9913") == 0
    day = lines[1]["requested_datetime"]
    assert found(reported_from=day, reported_to=day) == 1
    assert found(reported_from=day.replace("T00:00:00", "T00:00:01")) == 0


def test_what_a_key_opens_is_what_its_scopes_say(city: OpenCity) -> None:
    read, words, write, bulk = (city.client(scope) for scope in Scope)
    line = read.get(f"{V2}/requests/{city.fee}.json").json[0]
    assert (line["lat"], line["description"], line["address"]) == (LAT, None, "城关街道第1村")
    line = words.get(f"{V2}/requests/{city.fee}.json").json[0]
    assert (line["description"], line["address"]) == (WORDS, ADDRESS)
    assert write.get(f"{V2}/requests/{city.fee}.json").status_code == 404
    assert read.post(f"{V2}/requests.json", data=TOLD).status_code == 403
    assert write.post(f"{V2}/requests.json", data=TOLD).status_code == 201
    for client in (read, words, write):
        assert client.get("/api/v1/bulk/matters.csv").status_code == 403
    assert city.client().get("/api/v1/bulk/matters.csv").status_code == 401
    number = read.get(f"/api/v1/matters/{city.fee}").json["number"]
    found = read.get(f"/api/v1/matters/{number}").json
    assert found["id"] == city.fee
    assert [(step["act"], step["to_stage"]) for step in found["steps"]] == [("take_in", "classify")]
    assert bulk.get("/api/v1/bulk/matters.csv").status_code == 200


def test_nobody_is_named_anywhere_and_words_only_to_the_scope_for_words(city: OpenCity) -> None:
    one = f"/requests/{city.noise}.json"
    paths = [
        f"{V2}/services.json", f"{V2}/requests.json", f"{V2}/requests.xml", f"{V2}{one}",
        "/api/openapi.json", "/api/v1/matters", f"/api/v1/matters/{city.fee}", "/api/v1/bulk/matters.csv",
        "/api/v1/bulk/matters.geojson",
    ]  # fmt: skip
    clients: list[tuple[bool, FlaskClient]] = [(False, city.client())]
    clients += [
        (Scope.TEXT in scopes, city.client(*scopes)) for scopes in ((Scope.READ, Scope.BULK), tuple(Scope))
    ]
    for reads_words, client in clients:
        said = "".join(client.get(path).text for path in paths)
        assert NAME not in said
        assert PHONE not in said
        assert "town_officer" not in said
        assert (WORDS in said, ADDRESS in said) == (reads_words, reads_words)


def test_a_bulk_file_has_a_line_a_matter_and_rounds_without_the_scope_for_places(city: OpenCity) -> None:
    plain, exact = city.client(Scope.BULK), city.client(Scope.BULK, Scope.READ)
    head, *rows = plain.get("/api/v1/bulk/matters.csv").text.splitlines()
    assert len(rows) == 4
    assert not {"title", "text", "address", "name", "phone"} & set(head.split(","))
    assert rows[0].endswith("114.001,32.991")
    found = exact.get("/api/v1/bulk/matters.geojson").json["features"]
    assert found[0]["geometry"]["coordinates"] == [114.0012346, 32.9912346]
    today = f"{datetime.now(UTC).astimezone().date()}"
    assert plain.get(f"/api/v1/bulk/matters.csv?to=1999-12-31&from={today}").text.count("\n") == 1


# --- telling


def test_who_tells_is_sealed_and_what_is_told_stands_as_a_matter(city: OpenCity) -> None:
    said = TOLD | {
        "last_name": "钱", "first_name": "多多", "phone": "139 1234 5678", "email": "a@b.c",
        "address_string": "白水路口", "attribute[ledger]": "complaint",
        "media_url": "http://169.254.169.254/latest", "attribute[other]": "x",
    }  # fmt: skip
    made = city.client(Scope.WRITE).post(f"{V2}/requests.json", data=said).json[0]
    with city.engine.connect() as connection:
        case = connection.execute(
            text("SELECT i.*, c.number FROM incident i JOIN incident_case c USING (id) WHERE id = :id"),
            {"id": made["service_request_id"]},
        ).one()
        party = connection.execute(
            text("SELECT * FROM incident_party WHERE case_id = :id"), {"id": case.id}
        ).one()
        who = connection.scalar(text("SELECT who FROM incident_step WHERE case_id = :id"), {"id": case.id})
    assert (case.text, case.ledger, case.village, who) == ("路灯不亮", "complaint", VILLAGE_OWN, "api:write")
    assert case.number in made["service_notice"]
    ring = KeyRing.opened(city.app.config["SETTINGS"])
    assert unseal(ring, bytes(party.salt), "party_name", bytes(party.name)) == NAME
    assert unseal(ring, bytes(party.salt), "party_phone", bytes(party.phone)) == PHONE


def test_a_retry_makes_no_second_matter_and_another_body_is_refused(city: OpenCity) -> None:
    client, key = city.client(Scope.WRITE), str(uuid.uuid4())
    first, again = (
        client.post(f"{V2}/requests.json", data=TOLD, headers={"Idempotency-Key": key}) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json[0]["service_request_id"] == again.json[0]["service_request_id"]
    other = client.post(
        f"{V2}/requests.json", data=TOLD | {"description": "别的"}, headers={"Idempotency-Key": key}
    )
    assert other.status_code == 409
    token = client.get(f"{V2}/tokens/{key}.json").json
    assert token == [{"service_request_id": first.json[0]["service_request_id"], "token": key}]
    assert city.client(Scope.WRITE, Scope.READ).get(f"{V2}/tokens/{key}.json").status_code == 404


# --- limits


def test_calls_beyond_a_keys_rate_are_told_to_wait_whichever_worker_they_come_to(
    city: OpenCity, make_app: Callable[..., Flask]
) -> None:
    shown = {"Authorization": f"Bearer {city.key(Scope.READ, name='slow', a_minute=3)}"}
    other = make_app(city.engine)  # another worker of the same home
    answers = [
        app.test_client().get("/api/v1/categories", headers=shown)
        for app in (city.app, other, city.app, other)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    city.app.config[NAMELESS] = 1
    client = city.app.test_client()
    assert [client.get("/api/v1/categories").status_code for _ in range(2)] == [200, 429]


def test_a_key_is_written_into_no_log(city: OpenCity, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    shown = city.key(Scope.READ)
    client = city.app.test_client()
    for given in (shown, "gm_unknown"):
        client.get(f"{V2}/requests.json?api_key={given}&status=half")
        client.post(f"{V2}/requests.json", data=TOLD | {"api_key": given})
    assert shown not in caplog.text
    assert "gm_unknown" not in caplog.text


def test_a_session_counts_for_nothing_here(city: OpenCity) -> None:
    from .conftest import sign_in

    client = city.app.test_client()
    sign_in(client, "command")
    assert client.get(f"{V2}/requests/{city.fee}.json").status_code == 404
    assert client.post(f"{V2}/requests.json", data=TOLD).status_code == 403
