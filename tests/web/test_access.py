"""Every route × every role, and nothing of another town anywhere."""

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from gridmgmt.db.models import Role
from gridmgmt.web import access

from . import small_city
from .conftest import sign_in

AsRole = Callable[[Role | None], FlaskClient]

EVERYONE = set(Role)
STAFF = {Role.GRID_WORKER, Role.TOWN_OFFICER}
MAP_READERS = {Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER}
OFFICES = {Role.TOWN_OFFICER, Role.COMMAND}
TAKERS = {Role.GRID_WORKER, *OFFICES}
SEERS = {*TAKERS, Role.DEPARTMENT}
ACTS = "move,hand,raise,lower,supervise,extend,suspend,resume,link,unlink,correct,note,visit,reopen"
HAND_ACTS = "accept,refuse,answer,strike_off,return,withdraw"
FORM = '<any("json", "xml"):form>'
FORMS = '"csv", "geojson"'
INDEX = {Role.TOWN_OFFICER, Role.COMMAND, Role.DEPARTMENT}
# Written by hand, not derived from the code: a change of who may see what must be made twice.
ALLOWED: dict[str, set[Role] | str] = {
    "/": EVERYONE,
    "/login": "public",
    "/logout": EVERYONE,
    "/login/code": "public",
    "/oidc/start": "public",
    "/oidc/callback": "public",
    "/account": EVERYONE,
    "/account/password": EVERYONE,
    "/account/factor": EVERYONE,
    "/account/factor/off": EVERYONE,
    "/account/factor/codes": EVERYONE,
    "/account/sessions/end": EVERYONE,
    "/account/sessions/end-others": EVERYONE,
    "/account/provider": EVERYONE,
    "/account/provider/off": EVERYONE,
    "/admin/accounts": {Role.SECURITY},
    "/admin/accounts/areas": {Role.SECURITY},
    "/admin/accounts/new": {Role.SECURITY},
    "/admin/accounts/import": {Role.SECURITY},
    "/admin/accounts/template.xlsx": {Role.SECURITY},
    "/admin/accounts/list.<form>": {Role.SECURITY},
    "/admin/accounts/of/<username>": {Role.SECURITY},
    "/admin/accounts/of/<username>/switch": {Role.SECURITY},
    "/admin/accounts/of/<username>/password": {Role.SECURITY},
    "/admin/accounts/of/<username>/sessions": {Role.SECURITY},
    "/admin/accounts/of/<username>/factor": {Role.SECURITY},
    "/admin/accounts/of/<username>/unlock": {Role.SECURITY},
    "/admin/accounts/of/<username>/subject": {Role.SECURITY},
    "/index": INDEX,
    "/index/board.xlsx": INDEX,
    "/index/build": {Role.COMMAND},
    "/index/bulletins": INDEX,
    "POST /index/bulletins": {Role.COMMAND},
    "/index/bulletins/<int:number>": INDEX,
    '/index/bulletins/<int:number>/<any("scores-town", "mover", "map"):name>.png': INDEX,
    "/index/bulletins/<int:number>/approve": {Role.COMMAND},
    "/index/bulletins/<int:number>/back": {Role.COMMAND},
    "/index/bulletins/<int:number>/file.<form>": INDEX,
    "/index/bulletins/<int:number>/issue": {Role.COMMAND},
    "/index/bulletins/<int:number>/remarks": {Role.COMMAND},
    "/index/bulletins/<int:number>/renew": {Role.COMMAND},
    "/index/compare": INDEX,
    "/index/entry": {Role.COMMAND, Role.DEPARTMENT},
    "/index/entry/enter": {Role.COMMAND, Role.DEPARTMENT},
    "/index/entry/template.xlsx": {Role.COMMAND, Role.DEPARTMENT},
    "/index/indicators/<code>": INDEX,
    "/index/talks": INDEX,
    "/index/talks/<int:number>": INDEX,
    '/index/talks/<int:number>/<any("call", "drop", "give-back", "follow-up", "extend", "lift"):act>': {
        Role.COMMAND
    },
    "/index/talks/<int:number>/answer": {Role.DEPARTMENT, Role.TOWN_OFFICER},
    "/index/talks/find": {Role.COMMAND},
    "/index/tree": INDEX,
    "/index/tree/<int:number>.toml": {Role.COMMAND},
    "/index/units/<code>": INDEX,
    "/index/what-if": INDEX,
    "/healthz": "public",
    "/readyz": "public",
    "/metrics": "public",
    "/language": "public",
    "/language/words.json": "public",
    "/favicon.ico": "public",
    "/static/<path:name>": "public",
    "/command": {Role.COMMAND, Role.PLANNER},
    "/office": {Role.TOWN_OFFICER},
    "/plan": {Role.PLANNER, Role.COMMAND},
    "/plan/<int:number>": {Role.PLANNER, Role.COMMAND},
    "/plan/<int:number>/compare": {Role.PLANNER, Role.COMMAND},
    "/plan/<int:number>/files/<form>": {Role.PLANNER, Role.COMMAND},
    "/plan/api/<int:number>/state": {Role.PLANNER, Role.COMMAND},
    "/plan/api/<int:number>/log": {Role.PLANNER, Role.COMMAND},
    "/plan/api/<int:number>/grids.topojson": {Role.PLANNER, Role.COMMAND},
    "/plan/api/<int:number>/grids.geojson": {Role.PLANNER, Role.COMMAND},
    "/plan/api/<int:number>/compared.json": {Role.PLANNER, Role.COMMAND},
    "/plan/create": {Role.PLANNER},
    "/plan/api/<int:number>/buildings.geojson": {Role.PLANNER},
    "/plan/api/<int:number>/edit": {Role.PLANNER},
    "/plan/api/<int:number>/undo": {Role.PLANNER},
    "/plan/api/<int:number>/redo": {Role.PLANNER},
    "/plan/api/<int:number>/rebase": {Role.PLANNER},
    "/plan/api/<int:number>/lock": {Role.PLANNER},
    "/plan/api/<int:number>/unlock": {Role.PLANNER},
    "/plan/api/<int:number>/comment": {Role.PLANNER},
    "/plan/api/<int:number>/retire": {Role.PLANNER},
    "/plan/api/<int:number>/publish": {Role.PLANNER},
    "/plan/api/<int:number>/unpublish": {Role.PLANNER},
    "/seasonal": MAP_READERS,
    "/seasonal/items/<int:number>": MAP_READERS,
    "/seasonal/list.<form>": MAP_READERS,
    "/seasonal/effect": {Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER},
    "/seasonal/hand-out": {Role.TOWN_OFFICER, Role.COMMAND},
    "/office/tasks": {Role.TOWN_OFFICER, Role.COMMAND},
    "/grid/tasks/<int:number>": {Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND},
    "/grid/tasks/<int:number>/reopen": {Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND},
    "/grid/tasks/<int:number>/due": {Role.TOWN_OFFICER, Role.COMMAND},
    "/grid/tasks/<int:number>/split": {Role.TOWN_OFFICER},
    "/grid/tasks/photos/<int:number>": {Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND},
    "/grid": {Role.GRID_WORKER},
    "/grid/map": {Role.GRID_WORKER},
    "/admin": {Role.ADMIN},
    "/audit": {Role.AUDITOR},
    "/audit/log": {Role.AUDITOR},
    "/audit/verify": {Role.AUDITOR},
    "/homes": STAFF,
    "/homes/search": STAFF,
    "/homes/buildings.geojson": {Role.GRID_WORKER},
    "/homes/<int:number>": STAFF,
    "/homes/<int:number>/access": {Role.TOWN_OFFICER},
    "/homes/<int:number>/changes": STAFF,
    "/homes/<int:number>/changes/new": STAFF,
    "/homes/changes/<int:number>/withdraw": STAFF,
    "/dwellings/<int:number>/move-in": STAFF,
    "/people/<int:number>/reveal": STAFF,
    "/people/<int:number>/rights": {Role.TOWN_OFFICER},
    "/people/<int:number>/copy": {Role.TOWN_OFFICER},
    "/people/<int:number>/restrict": {Role.TOWN_OFFICER},
    "/people/<int:number>/erase": {Role.TOWN_OFFICER},
    "/people/<int:number>/access": {Role.TOWN_OFFICER},
    "/grid/changes": {Role.GRID_WORKER},
    "/office/changes": {Role.TOWN_OFFICER},
    "/office/changes/<int:number>": {Role.TOWN_OFFICER},
    "/office/reviews": {Role.TOWN_OFFICER},
    "/office/reviews/<int:number>": {Role.TOWN_OFFICER},
    "/exports": STAFF,
    "/exports/<int:number>/decide": {Role.TOWN_OFFICER},
    "/exports/<int:number>/file": STAFF,
    "/visits": STAFF,
    "/visits/new": STAFF,
    "/visits/send": STAFF,
    "/visits/token": STAFF,
    "/grid/manifest.webmanifest": "public",
    "/grid/worker.js": "public",
    "/grid/offline": {Role.GRID_WORKER},
    "/grid/report": {Role.GRID_WORKER},
    "/grid/report/send": {Role.GRID_WORKER},
    "/areas/<code>": MAP_READERS,
    "/command/compare": {Role.COMMAND, Role.PLANNER},
    "/command/wall": {Role.COMMAND},
    "/command/<any(fields, peaks, recent):name>.xlsx": {Role.COMMAND, Role.PLANNER},
    "/map/view.<form>": MAP_READERS,
    "/data/today.json": MAP_READERS,
    "/data/times.json": MAP_READERS,
    "/office/survey": {Role.TOWN_OFFICER, Role.COMMAND},
    "POST /office/survey": {Role.TOWN_OFFICER},
    "/office/rounds": {Role.TOWN_OFFICER},
    "/office/rounds/preview": {Role.TOWN_OFFICER},
    "/rounds/<int:number>": STAFF,
    "/rounds/<int:number>/stops": STAFF,
    "/command/rounds": {Role.COMMAND},
    "/unit": {Role.DEPARTMENT},
    "/matters": TAKERS,
    "/matters/all": TAKERS,
    "/matters/overdue": OFFICES,
    "/matters/list.<form>": OFFICES,
    "/matters/visits": OFFICES,
    "/matters/new": TAKERS,
    "/matters/near": TAKERS,
    "/matters/qr": OFFICES,
    "/matters/qr/<code>.svg": OFFICES,
    "/matters/<int:case_id>": SEERS,
    "/matters/<int:case_id>/preview": SEERS,
    f"/matters/<int:case_id>/<any({ACTS}):act>": SEERS,
    f"/matters/<int:case_id>/hands/<int:hand_id>/<any({HAND_ACTS}):act>": {*OFFICES, Role.DEPARTMENT},
    "/matters/<int:number>/attach": SEERS,
    "/matters/<int:number>/parties": SEERS,
    "/matters/<int:number>/parties/<int:party>/reveal": SEERS,
    "/matters/attachments/<int:number>": SEERS,
    "/mediation": OFFICES,
    "/mediation/of/<int:number>": SEERS,
    "/mediation/of/<int:number>/open": OFFICES,
    "/mediation/of/<int:number>/deliberations": OFFICES,
    "/mediation/<int:mediation>/session": OFFICES,
    "/mediation/<int:mediation>/agree": OFFICES,
    "/mediation/<int:mediation>/end": OFFICES,
    "/mediation/<int:mediation>/follow-up": OFFICES,
    "/mediation/<int:mediation>/read": OFFICES,
    "/deliberations/<int:deliberation>/hold": OFFICES,
    "/deliberations/<int:deliberation>/call-off": OFFICES,
    "/mediators": OFFICES,
    "/mediators/<int:mediator>": OFFICES,
    "/meetings": OFFICES,
    "/meetings/<int:number>": OFFICES,
    "/meetings/<int:number>/hold": OFFICES,
    "/meetings/<int:number>/call-off": OFFICES,
    "/papers/of/<int:number>": SEERS,
    "/papers/<kind>/of/<int:number>": OFFICES,
    "/papers/<kind>/of/<int:number>/draft.<form>": OFFICES,
    "/papers/<kind>/meeting/<int:number>": OFFICES,
    "/papers/<kind>/meeting/<int:number>/draft.<form>": OFFICES,
    "/papers/<int:paper>/file": OFFICES,
    "/figures": {*OFFICES, Role.DEPARTMENT},
    "/figures/repeats": {*OFFICES, Role.DEPARTMENT},
    "/figures/figures.xlsx": {*OFFICES, Role.DEPARTMENT},
    "/admin/areas": {Role.ADMIN},
    "/admin/confirm": {Role.ADMIN},
    "/admin/backups": {Role.ADMIN},
    "/admin/health": {Role.ADMIN},
    "/admin/health.json": {Role.ADMIN},
    "/admin/imports": {Role.ADMIN},
    "/admin/imports/<int:number>/rejects.csv": {Role.ADMIN},
    "/admin/analyses": {Role.ADMIN},
    "/admin/codes": {Role.ADMIN},
    "/admin/codes/categories": {Role.ADMIN},
    "/admin/codes/categories/remove": {Role.ADMIN},
    "/admin/codes/departments": {Role.ADMIN},
    "/admin/codes/departments/remove": {Role.ADMIN},
    "/admin/codes/channels": {Role.ADMIN},
    "/jobs": {Role.ADMIN},
    "/jobs/<int:number>": {Role.ADMIN},
    "/jobs/<int:number>/events": {Role.ADMIN},
    "/jobs/<int:number>/again": {Role.ADMIN},
    "/jobs/<int:number>/stop": {Role.ADMIN},
    "/jobs/<int:number>/discard": {Role.ADMIN},
    "/jobs/<int:number>/rejects/<int:file>.csv": {Role.ADMIN},
    "/admin/flows": {Role.ADMIN},
    "/admin/flows/<code>.toml": {Role.ADMIN},
    "/admin/holidays": {Role.ADMIN},
    "/admin/holidays/file": {Role.ADMIN},
    "/admin/keys": {Role.SECURITY},
    "/admin/keys/revoke": {Role.SECURITY},
    "/admin/webhooks": {Role.SECURITY},
    "/admin/webhooks/ping": {Role.SECURITY},
    "/admin/webhooks/switch": {Role.SECURITY},
    "/admin/papers": {Role.ADMIN},
    "/admin/papers/<kind>.html": {Role.ADMIN},
    "/say": "public",
    "/say/<area>": "public",
    "/say/where": "public",
    "/follow/<token>": "public",
    "/api/openapi.json": "public",
    "/api/v1/categories": "public",
    "/api/v1/matters": "public",
    "/api/v1/matters/<reference>": "public",
    f"/api/v1/bulk/matters.<any({FORMS}):form>": "key",
    f"/api/open311/v2/discovery.{FORM}": "public",
    f"/api/open311/v2/services.{FORM}": "public",
    f"/api/open311/v2/services/<service_code>.{FORM}": "public",
    f"/api/open311/v2/requests.{FORM}": "public",
    f"POST /api/open311/v2/requests.{FORM}": "key",
    f"/api/open311/v2/requests/<service_request_id>.{FORM}": "public",
    f"/api/open311/v2/tokens/<token>.{FORM}": "key",
    "/tiles/<layer>/<int:z>/<int:x>/<int:y>.mvt": MAP_READERS,
    "/tiles/names.json": MAP_READERS,
    "/tiles/basemap/<int:z>/<int:x>/<int:y>": MAP_READERS,
    "/tiles/clusters.geojson": {Role.COMMAND, Role.PLANNER},
    "/tiles/density.<any(json, png):form>": {Role.COMMAND, Role.PLANNER},
    "/data/areas.geojson": MAP_READERS,
    "/data/areas.topojson": MAP_READERS,
    "/data/layers.geojson": MAP_READERS,
    "/data/hotspots.json": MAP_READERS,
}


def test_every_route_declares_its_access(app: Flask) -> None:
    silent = [rule.rule for rule in app.url_map.iter_rules() if access.declared(app, rule.endpoint) is None]
    assert silent == []


def test_every_route_stands_in_the_table_of_this_test(app: Flask) -> None:
    listed = {path.removeprefix("POST ") for path in ALLOWED}
    assert {rule.rule for rule in app.url_map.iter_rules()} == listed


def test_a_view_that_declares_nothing_is_refused_to_everybody(app: Flask, as_role: AsRole) -> None:
    app.view_functions["undeclared"] = lambda: "secret"
    app.url_map.add(app.url_rule_class("/undeclared", endpoint="undeclared"))
    assert as_role(None).get("/undeclared").status_code == 302
    for role in Role:
        answer = as_role(role).get("/undeclared")
        assert answer.status_code == 403
        assert "secret" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("role", [None, *Role], ids=str)
def test_each_role_reaches_its_routes_and_no_other(
    app: Flask, as_role: AsRole, city: Engine, role: Role | None
) -> None:
    client = as_role(role)
    item = _item_of(city, small_city.MINE)
    wrong = []
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if rule.rule == "/logout":
                continue
            allowed = ALLOWED.get(f"{method} {rule.rule}", ALLOWED[rule.rule])
            path = rule.rule.replace("<path:name>", "app.css").replace("<form>", "ics")
            path = re.sub(r"<int:\w+>", str(item), path)
            path = re.sub(r'<any\("?([\w-]+).*?\):\w+>', r"\1", path)
            answer = client.open(path, method=method)
            answer.close()
            if allowed == "key":  # no session opens it, whoever's
                passed = answer.status_code in (400, 401, 403)
            elif allowed == "public" or (role and role in allowed):
                passed = answer.status_code not in (401, 403) or (method, path) == ("POST", "/login")
            elif role is None:
                passed = answer.status_code == (401 if path.startswith(access.DATA) else 302)
            else:
                passed = answer.status_code == 403
            if not passed or answer.status_code >= 500:
                wrong.append((method, path, answer.status_code))
    assert wrong == []


def test_everybody_is_led_to_a_workspace_that_opens(as_role: AsRole) -> None:
    for role in Role:
        client = as_role(role)
        answer = client.get("/", follow_redirects=True)
        assert answer.status_code == 200, role
        for endpoint, _ in access.MENUS[role]:
            with client.application.test_request_context():
                path = client.application.url_for(endpoint)
            assert client.get(path).status_code == 200, (role, path)


def _codes(answer: object) -> set[str]:
    return {feature["properties"]["code"] for feature in json.loads(answer.data)["features"]}  # type: ignore[attr-defined]


def test_outlines_end_where_the_own_area_ends(as_role: AsRole) -> None:
    every = set(small_city.GRIDS)
    own_town = {code for code in every if code.startswith(small_city.TOWN_1)}
    expected = {
        Role.COMMAND: every,
        Role.PLANNER: every,
        Role.TOWN_OFFICER: own_town,
        Role.GRID_WORKER: {small_city.MINE},
    }
    for role, codes in expected.items():
        assert _codes(as_role(role).get("/data/areas.geojson?level=grid")) == codes, role


def test_values_end_where_the_own_area_ends(as_role: AsRole) -> None:
    for role, prefix in ((Role.TOWN_OFFICER, small_city.TOWN_1), (Role.GRID_WORKER, small_city.MINE)):
        for level in ("grid", "village", "town"):
            areas = json.loads(as_role(role).get(f"/data/hotspots.json?level={level}").data)["areas"]
            assert all(code.startswith(prefix) for code in areas), (role, level)


@pytest.mark.parametrize("area", [small_city.TOWN_2, "", "%", "9901010"])
def test_asking_for_another_area_changes_nothing(as_role: AsRole, area: str) -> None:
    asked = {"area": area, "town": area, "code": area}
    for path in (
        "/data/areas.geojson",
        "/data/areas.topojson",
        "/data/hotspots.json",
        "/office",
        "/seasonal",
    ):
        answer = as_role(Role.TOWN_OFFICER).get(path, query_string=asked)
        assert small_city.HOSTILE not in answer.get_data(as_text=True), path
        assert "河西镇" not in answer.get_data(as_text=True), path


def test_the_evidence_of_another_town_is_not_found(as_role: AsRole, city: Engine) -> None:
    theirs, own = _item_of(city, small_city.HOSTILE), _item_of(city, small_city.MINE)
    for role in (Role.TOWN_OFFICER, Role.GRID_WORKER):
        client = as_role(role)
        assert client.get(f"/seasonal/items/{own}").status_code == 200
        assert client.get(f"/seasonal/items/{theirs}").status_code == 404
        assert client.get(f"/seasonal/items/{theirs}", headers={"HX-Request": "true"}).status_code == 404


def test_a_grid_worker_reads_the_own_list_only(as_role: AsRole) -> None:
    page = as_role(Role.GRID_WORKER).get("/seasonal").get_data(as_text=True)
    assert "1号网格" in page
    assert "河西镇" not in page


def test_one_persons_answer_is_not_another_ones_not_modified(as_role: AsRole) -> None:
    tag = as_role(Role.COMMAND).get("/data/areas.geojson").headers["ETag"]
    answer = as_role(Role.TOWN_OFFICER).get("/data/areas.geojson", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert "Cookie" in answer.headers["Vary"]


def test_numbers_of_fewer_than_five_households_show_to_the_own_staff_alone(
    as_role: AsRole, city: Engine
) -> None:
    client = as_role(Role.COMMAND)
    few = {f["id"]: f for f in json.loads(client.get("/data/areas.geojson").data)["features"]}[small_city.FEW]
    assert few["properties"]["households"] == "<5"
    areas = json.loads(client.get("/data/hotspots.json").data)["areas"]
    count, expected, rate, _, _, smoothed, pattern = areas[small_city.FEW]
    assert (count, expected, rate, smoothed, pattern) == (4, None, None, None, "")
    with city.begin() as connection:
        connection.execute(
            text("UPDATE account SET area = :a WHERE username = 'grid_worker'"), {"a": small_city.FEW}
        )
    own = json.loads(as_role(Role.GRID_WORKER).get("/data/areas.geojson").data)["features"][0]
    assert own["properties"]["households"] == 3


def test_an_account_bound_to_nothing_sees_nothing(as_role: AsRole, city: Engine) -> None:
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET area = NULL"))
    for role, page in ((Role.GRID_WORKER, "/grid"), (Role.TOWN_OFFICER, "/office")):
        client = as_role(role)
        assert _codes(client.get("/data/areas.geojson")) == set()
        answer = client.get(page)
        assert answer.status_code == 200
        assert "1号网格" not in answer.get_data(as_text=True)


def test_a_switched_off_account_is_out_at_once(as_role: AsRole, city: Engine) -> None:
    client = as_role(Role.COMMAND)
    assert client.get("/command").status_code == 200
    with city.begin() as connection:
        connection.execute(text("UPDATE account SET active = false"))
    assert client.get("/command").status_code == 302
    assert sign_in(client, "command").status_code == 401  # type: ignore[attr-defined]


def _item_of(engine: Engine, area: str) -> int:
    with engine.connect() as connection:
        found = connection.execute(text("SELECT min(id) FROM seasonal_item WHERE area = :a"), {"a": area})
        return int(found.scalar_one())
