"""Who a matter is about: sealed, shown to few, each time with one line, and gone when its time is over."""

import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from gridmgmt.calendar import china_today
from gridmgmt.db.cluster import server_programs
from gridmgmt.db.engine import READER, WRITER, make_engine
from gridmgmt.errors import InputError, NotFoundError
from gridmgmt.incidents import duplicates, following
from gridmgmt.incidents.actor import RESIDENT, Actor, on_matters
from gridmgmt.incidents.handling.intake import Told, take_in
from gridmgmt.incidents.parties import attachments, service
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from tests.db import matter_world as w
from tests.db.matter_world import World

NAME, PHONE = "欧阳小明", "15400000001"
SOMEBODY = (PartyTold(PartyPart.COMPLAINANT, NAME, "154-0000 0001"), PartyTold(PartyPart.RESPONDENT, "王某"))

# Of every kind, all on one day.
MANY = """
    INSERT INTO incident
        (source, external_id, category, occurred_at, occurred_on, reported_at, geom, status, digest)
    SELECT source, k.code || n, k.code, occurred_at, occurred_on, reported_at, geom, status, digest
    FROM incident, category k, generate_series(1, 500) AS n
"""


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    made = w.build(engine)
    yield made
    made.matters.dispose()


def _lines(world: World, what: str = "party") -> list[tuple[str, str, str | None, dict[str, object]]]:
    query = text(
        "SELECT what, who, purpose, detail FROM audit_log WHERE starts_with(what, :what) ORDER BY id"
    )
    with world.owner.connect() as connection:
        return [tuple(row) for row in connection.execute(query, {"what": what})]  # type: ignore[misc]


def _people(world: World, case_id: int) -> list[service.PartyLine]:
    with on_matters(world.matters, w.OFFICE) as connection:
        return service.listed(connection, case_id)


def _first(world: World, case_id: int) -> int:
    return _people(world, case_id)[0].id


def test_names_and_telephones_are_in_no_dump(world: World) -> None:
    world.take_in(parties=SOMEBODY)
    url = world.owner.url
    dump = subprocess.run(
        [server_programs() / "pg_dump", "-U", "postgres", "-h", str(url.query["host"]), str(url.database)],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert b"incident_party" in dump
    for clear in (NAME, "王某", PHONE, "154-0000 0001"):
        assert clear.encode() not in dump
        assert clear.encode().hex().encode() not in dump


def test_adding_leaves_one_line_without_a_name(world: World) -> None:
    taken = world.take_in(parties=SOMEBODY)
    assert _lines(world) == [
        ("party.add", "town_officer", None, {"case": taken.case_id, "parts": ["complainant", "respondent"]})
    ]
    shown = [(each.part, each.has_name, each.has_phone) for each in _people(world, taken.case_id)]
    assert shown == [(PartyPart.COMPLAINANT, True, True), (PartyPart.RESPONDENT, True, False)]


def test_showing_somebody_leaves_exactly_one_line_with_its_purpose(world: World) -> None:
    taken = world.take_in(parties=SOMEBODY)
    party = _first(world, taken.case_id)
    shown = service.reveal(world.matters, world.ring, w.OFFICE, party, "call")
    assert (shown.name, shown.phone) == (NAME, PHONE)
    assert NAME not in repr(shown)
    assert _lines(world, "party.reveal") == [
        ("party.reveal", "town_officer", "call", {"case": taken.case_id, "party": party})
    ]


@pytest.mark.parametrize(
    "who", [w.CENTRE, w.OTHER_OFFICE, w.OTHER_WORKER, w.DEPARTMENT, Actor(RESIDENT, None, w.VILLAGE_OWN)]
)
def test_nobody_else_is_shown_anybody_and_no_line_says_so(world: World, who: Actor) -> None:
    party = _first(world, world.take_in(parties=SOMEBODY).case_id)
    with pytest.raises(NotFoundError):
        service.reveal(world.matters, world.ring, who, party, "call")
    with on_matters(world.matters, who) as connection:
        assert connection.execute(text("SELECT count(*) FROM incident_party")).scalar_one() == 0
    assert _lines(world, "party.reveal") == []


def test_a_purpose_that_is_none_and_a_party_of_another_matter_show_nothing(world: World) -> None:
    taken, other = world.take_in(parties=SOMEBODY), world.take_in()
    party = _first(world, taken.case_id)
    with pytest.raises(InputError, match="purpose"):
        service.reveal(world.matters, world.ring, w.OFFICE, party, "curious")
    with pytest.raises(NotFoundError):
        service.reveal(world.matters, world.ring, w.OFFICE, party, "call", case_id=other.case_id)
    assert _lines(world, "party.reveal") == []


@pytest.mark.parametrize("role", [READER, WRITER, "gridmgmt_auditor", "gridmgmt_roster"])
def test_no_other_role_reaches_the_table(world: World, role: str) -> None:
    world.take_in(parties=SOMEBODY)
    engine = make_engine(world.owner.url.render_as_string(hide_password=False), role=role)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
        connection.execute(text("SELECT id, part FROM incident_party"))
    engine.dispose()


def test_what_is_erased_opens_no_more_and_nothing_of_it_is_left(world: World) -> None:
    taken = world.take_in(parties=SOMEBODY)
    party = _first(world, taken.case_id)
    version = service.erase(world.matters, w.OFFICE, party)
    assert version == 2
    assert _lines(world, "party.erase")[0][3] == {"case": taken.case_id, "party": party}
    with pytest.raises(NotFoundError):
        service.reveal(world.matters, world.ring, w.OFFICE, party, "call")
    query = text("SELECT salt, name, phone, phone_index, erased_at FROM incident_party WHERE id = :id")
    with world.owner.connect() as connection:
        *rest, erased_at = connection.execute(query, {"id": party}).one()
    assert rest == [None] * 4
    assert erased_at


def test_somebody_can_be_added_later_as_a_step_of_the_matter(world: World) -> None:
    taken = world.take_in()
    assert service.add_to(world.matters, world.ring, w.OFFICE, taken.case_id, 1, SOMEBODY) == 2
    assert len(_people(world, taken.case_id)) == 2


@pytest.mark.parametrize(
    ("party", "field"),
    [
        (PartyTold(PartyPart.OTHER, "王" * 41), "party_name"),
        (PartyTold(PartyPart.OTHER, "王15400000001"), "party_name"),
        (PartyTold(PartyPart.OTHER, "王明", "12345"), "party_phone"),
    ],
)
def test_what_is_no_name_or_telephone_is_refused_without_quoting_it(
    world: World, party: PartyTold, field: str
) -> None:
    with pytest.raises(InputError) as refused:
        world.take_in(parties=(party,))
    assert refused.value.field == field
    assert party.name not in str(refused.value)
    with world.owner.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM incident_case")).scalar_one() == 0


def test_three_years_after_closing_who_it_was_about_is_removed(world: World) -> None:
    today = date(2030, 6, 1)
    old, young, still = (world.take_in(parties=SOMEBODY).case_id for _ in range(3))
    _close(world, old, datetime(2027, 5, 31, 12, tzinfo=UTC))
    _close(world, young, datetime(2027, 6, 1, 12, tzinfo=UTC))
    before = len(_lines(world))
    assert service.erase_old(world.owner, today) == 2
    assert service.erase_old(world.owner, today) == 0
    assert all(each.erased_at for each in _people(world, old))
    assert not any(each.erased_at for each in _people(world, young) + _people(world, still))
    [line] = _lines(world)[before:]
    assert line == ("party.erase", "nightly", None, {"parties": 2, "closed_before": "2027-06-01"})


def _close(world: World, case_id: int, at: datetime) -> None:
    """Close a matter as time would show it, past every rule of handling."""
    with world.owner.begin() as connection:
        connection.execute(text("ALTER TABLE incident_case DISABLE TRIGGER USER"))
        connection.execute(text("UPDATE incident_case SET open = false WHERE id = :id"), {"id": case_id})
        connection.execute(text("ALTER TABLE incident_case ENABLE TRIGGER USER"))
        statement = "UPDATE incident SET status = 'closed', closed_at = :at WHERE id = :id"
        connection.execute(text(statement), {"id": case_id, "at": at})


# --- likely duplicates


def test_near_in_place_and_time_and_of_one_kind_is_shown_as_likely_the_same(world: World) -> None:
    lon, lat = w.middle(w.GRID_OWN)
    now = datetime.now(UTC)
    first = world.take_in()
    near = world.take_in(lon=lon + 0.0004)  # 37 m
    world.take_in(lon=lon + 0.0007)  # 65 m
    world.take_in(category=w.WATER)
    world.take_in(occurred_at=now - timedelta(days=16))
    with on_matters(world.matters, w.OFFICE) as connection:
        found = duplicates.near(connection, w.NOISE, lon, lat, china_today())
        numbered = duplicates.numbered(connection, found)
    assert [(each.number, each.metres) for each in numbered] == [(first.number, 0), (near.number, 37)]
    assert all(each.linkable for each in numbered)


def test_over_the_border_the_place_shows_and_the_number_does_not(world: World) -> None:
    lon, lat = w.middle(w.GRID_OTHER)
    world.take_in(actor=w.OTHER_OFFICE, grid=w.GRID_OTHER)
    reader = make_engine(world.owner.url.render_as_string(hide_password=False), role=READER)
    with reader.connect() as connection:
        found = duplicates.near(connection, w.NOISE, lon, lat, china_today())
    reader.dispose()
    with on_matters(world.matters, w.OFFICE) as connection:
        [shown] = duplicates.numbered(connection, found)
    assert (shown.metres, shown.number, shown.linkable) == (0, None, False)


def test_likely_duplicates_are_found_by_an_index_among_the_many_of_other_kinds(world: World) -> None:
    world.take_in()
    with world.owner.begin() as connection:
        connection.execute(text(MANY))
        connection.execute(text("ANALYZE incident"))
        place = {"category": w.NOISE, "lon": 114.0, "lat": 33.0, "day": china_today()}
        bound = place | {"days": 14, "metres": 50, "most": 8}
        plan = "\n".join(connection.execute(text(f"EXPLAIN {duplicates._NEAR.text}"), bound).scalars())
    assert "category_occurred_on" in plan
    assert "Index Cond" in plan


# --- attachments and the resident's link


def test_a_resident_attaches_reads_and_rates_by_the_link_alone(world: World, tmp_path: Path) -> None:
    lon, lat = w.middle(w.GRID_OWN)
    told = Told(w.NOISE, "夜市很吵", "qr_code", lon=lon, lat=lat, follow=True, parties=SOMEBODY)
    paper = attachments.prepare(b"%PDF-1.4\n%%EOF\n", "记录.pdf")

    def keep(connection: object, case_id: int) -> None:
        attachments.add(connection, case_id, paper, RESIDENT)  # type: ignore[arg-type]
        attachments.keep(tmp_path, paper)

    taken = take_in(world.matters, world.ring, Actor(RESIDENT, None, w.VILLAGE_OWN), told, uuid.uuid4(), keep)
    assert taken.token
    matter = following.followed(world.matters, taken.token)
    assert (matter.number, matter.photos, matter.open, matter.may_rate) == (taken.number, 1, True, False)
    assert [each.words for each in matter.passed] == ["已收到您的诉求"]
    for wrong in ("", "x" * 32, "字", taken.token + "x"):
        with pytest.raises(NotFoundError):
            following.followed(world.matters, wrong)
    with on_matters(world.matters, w.OFFICE) as connection:
        [line] = attachments.listed(connection, taken.case_id)
        assert attachments.read(connection, tmp_path, line.id).data == paper.data
    with on_matters(world.matters, w.OTHER_OFFICE) as connection, pytest.raises(NotFoundError):
        attachments.read(connection, tmp_path, line.id)


def test_attaching_to_a_matter_that_stands_is_a_step_and_the_same_file_is_one(
    world: World, tmp_path: Path
) -> None:
    taken = world.take_in()
    paper = attachments.prepare(b"%PDF-1.4\n%%EOF\n", "记录.pdf")
    for n in (2, 3):
        assert attachments.attach(world.matters, w.OFFICE, taken.case_id, n - 1, [paper], tmp_path) == n
    with on_matters(world.matters, w.OFFICE) as connection:
        assert len(attachments.listed(connection, taken.case_id)) == 1
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".pdf"]
