"""Every numbered address of matters, for everybody who is not to see them: as if there were none."""

import re
from collections.abc import Iterator

from flask import Flask
from sqlalchemy import Engine, text

from gridmgmt.incidents.handling import hands
from gridmgmt.incidents.handling.intake import PartyTold
from gridmgmt.incidents.parties.models import PartyPart
from tests.db.matter_world import (
    CENTRE,
    DEPARTMENT,
    GRID_OTHER,
    GRID_SIBLING,
    OFFICE,
    OTHER_OFFICE,
    WATER_BUREAU,
    WORKER,
    World,
)

from .matter_desk import As, app, as_, world

__all__ = ["app", "as_", "world"]

ROOMS = ("/matters", "/mediation", "/deliberations", "/mediators", "/meetings", "/papers")
TABLES = (
    "incident_case", "incident_step", "incident_hand", "incident_party", "incident_attachment", "mediation",
    "incident_visit", "mediation_session", "deliberation", "matter_meeting", "matter_paper", "audit_log",
    "mediator",
)  # fmt: skip
# What a number in an address names, by the name it has there and the room it stands in.
HANGING = """
INSERT INTO mediation (id, case_id, kind, level, status, opened_by)
VALUES (901, :case, 'people', 'town', 'open', 'x');
INSERT INTO deliberation (id, case_id, kind, status, question, place, held_at, invited, made_by)
VALUES (902, :case, 'instant', 'planned', 'q', 'p', now() - interval '1 hour', 3, 'x');
INSERT INTO matter_meeting (id, area, title, place, held_at, status, made_by)
VALUES (903, '990101002', '秘密会议', 'p', now() - interval '1 hour', 'planned', 'x');
INSERT INTO matter_paper (id, kind, number, area, case_id, issued_by)
VALUES (904, 'opinion_slip', '〔2026〕0001号', '990101002', :case, 'x');
INSERT INTO incident_attachment (id, case_id, sha256, kind, type, name, bytes, added_by)
VALUES (905, :case, 's', 'photo', 'image/jpeg', '秘密照片', 1, 'x');
INSERT INTO mediator (id, name, area) VALUES (906, '秘密调解员', '990101002');
"""


def rows(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {
            table: str(
                connection.scalar(text(f"SELECT string_agg(t::text, '|' ORDER BY t::text) FROM {table} t"))
            )
            for table in TABLES
        }


def cases(app: Flask) -> Iterator[tuple[str, str]]:
    """Give every method and address with a number, one for each act where it names several."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(ROOMS) or "<int:" not in rule.rule:
            continue
        acts = re.search(r"<any\(([^)]*)\):act>", rule.rule)
        for act in acts[1].split(",") if acts else [""]:
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield method, rule.rule.replace(acts[0], act) if acts else rule.rule


def address(rule: str, case: int, things: dict[str, int], beyond: int) -> str:
    """Return an address with the numbers of what stands elsewhere, or, with `beyond`, of nothing."""
    number = 903 if "/meeting" in rule else 905 if "attachments" in rule else case
    named = {"number": number, "case_id": case, "mediation": 901, "deliberation": 902, "paper": 904}
    named |= {"mediator": 906, **things}
    path = re.sub(r"<int:(\w+)>", lambda found: str(named[found[1]] + beyond), rule)
    return path.replace("<kind>", "opinion_slip").replace("<form>", "docx")


FORM = {
    "version": "1", "to": "review", "note": "看一看", "words": "看一看", "reason": "看一看",
    "answer": "看一看",
    "units": "城管局", "days": "3", "other": "1", "purpose": "handle", "satisfaction": "5", "reached": "1",
    "kind": "people", "place": "村部", "held_at": "2026-01-01T10:00", "minutes": "看一看", "present": "3",
    "for": "3", "against": "0", "abstained": "0", "attended": "3", "report": "看一看", "name": "王",
    "part": "other",
}  # fmt: skip


def test_a_matter_of_elsewhere_is_not_there_whatever_is_asked(
    app: Flask, engine: Engine, world: World, as_: As
) -> None:
    told = world.take_in(
        OTHER_OFFICE,
        grid=GRID_OTHER,
        words="秘密内容",
        parties=(PartyTold(PartyPart.COMPLAINANT, "秘密人名"),),
    )
    case = told.case_id
    hands.hand(world.matters, OTHER_OFFICE, case, 1, [WATER_BUREAU])
    with engine.begin() as connection:
        for statement in filter(str.strip, HANGING.split(";")):
            connection.execute(text(statement), {"case": case} if ":case" in statement else {})
        things = {
            "party": connection.scalar(text("SELECT id FROM incident_party")),
            "hand_id": connection.scalar(text("SELECT id FROM incident_hand")),
        }
    before, tried, leaks = rows(engine), 0, []
    for actor in (WORKER, OFFICE, DEPARTMENT):
        client = as_(actor)
        home = "/unit" if actor is DEPARTMENT else "/matters"
        token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(home).get_data(as_text=True))
        for method, rule in cases(app):
            theirs, nobodys = (
                client.open(path, method=method, data={"csrf_token": token[1], **FORM})
                for path in (address(rule, case, things, 0), address(rule, case, things, 100_000))
            )
            tried += 1
            if theirs.status_code != nobodys.status_code or "秘密" in theirs.get_data(as_text=True):
                leaks.append((actor.username, method, rule, theirs.status_code, nobodys.status_code))
            if theirs.status_code == 200:
                leaks.append((actor.username, method, rule, 200))
    assert leaks == []
    assert rows(engine) == before
    assert tried > 100


def test_the_centre_sees_every_matter_and_the_neighbour_grid_none(world: World, as_: As) -> None:
    case = world.take_in(OFFICE, grid=GRID_SIBLING, words="秘密内容").case_id
    assert as_(CENTRE).get(f"/matters/{case}").status_code == 200
    assert as_(OFFICE).get(f"/matters/{case}").status_code == 200
    for actor in (WORKER, OTHER_OFFICE, DEPARTMENT):
        assert as_(actor).get(f"/matters/{case}").status_code == 404
