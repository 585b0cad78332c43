"""Every act is told: in order, at least once, signed, without anybody in it, and without a gap."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy import Engine, text

from gridmgmt.db.engine import acting
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.incidents.handling import service
from gridmgmt.incidents.opening import sending, webhooks
from gridmgmt.incidents.opening.webhooks import DELAYS, Delivered
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.told import PartyTold
from tests.db import matter_world
from tests.db.matter_world import OFFICE, World

WORDS, NAME = "夜市摊位占了人行道", "钱多多"


class Receiver(HTTPServer):
    """Keeps what it is told; answers with the next of `answers`, 204 when there is none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?a=1"

    @property
    def data(self) -> list[dict[str, Any]]:
        return [json.loads(body)["data"] for _, body in self.told]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("location", self.server.url)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    built = matter_world.build(engine)
    yield built
    built.matters.dispose()


def hooked(world: World, url: str, *acts: str) -> str:
    return webhooks.add(world.owner, world.ring, "city", url, acts, "admin")


def deliver(world: World, after: timedelta = timedelta()) -> Delivered:
    now = datetime.now(UTC) + after
    return webhooks.deliver(world.owner, world.ring, now, allow_here=True)


def step(world: World, case_id: int, act: str = "note") -> None:
    """Do something to a matter as its office."""
    version = world.version(case_id)
    if act == "note":
        service.note(world.matters, OFFICE, case_id, version, "已去看过")
    else:
        service.raise_(world.matters, OFFICE, case_id, version, "镇里办不了")


def test_acts_are_told_in_order_without_words_or_people(world: World, receiver: Receiver) -> None:
    before = world.take_in().case_id
    hooked(world, receiver.url)
    who = (PartyTold(PartyPart.COMPLAINANT, NAME, "13912345678"),)
    taken = world.take_in(words=WORDS, title=WORDS, parties=who)
    step(world, before)
    step(world, taken.case_id, "raise")
    assert deliver(world) == Delivered(sent=3)
    assert [(line["act"], line["id"]) for line in receiver.data] == [
        ("take_in", taken.case_id), ("note", before), ("raise", taken.case_id),
    ]  # fmt: skip
    assert set(receiver.data[0]) == {
        "id", "number", "n", "act", "category", "status", "from_stage", "stage", "stage_name", "at",
    }  # fmt: skip
    assert receiver.data[0]["number"] == taken.number
    said = b"".join(body for _, body in receiver.told).decode()
    assert not any(secret in said for secret in (WORDS, NAME, "13912345678", OFFICE.username, "已去看过"))
    assert deliver(world) == Delivered()  # once is enough


def test_only_the_acts_that_are_wanted_are_told(world: World, receiver: Receiver) -> None:
    hooked(world, receiver.url, "raise")
    case_id = world.take_in().case_id
    step(world, case_id)
    step(world, case_id, "raise")
    assert deliver(world) == Delivered(sent=1)
    assert [line["act"] for line in receiver.data] == ["raise"]


def test_the_signature_is_that_of_standard_webhooks(world: World, receiver: Receiver) -> None:
    # The golden one stands in that specification's own libraries (webhook.test.ts, "sign function works").
    assert (
        webhooks.sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
            b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )  # fmt: skip
    secret = hooked(world, receiver.url)
    world.take_in()
    deliver(world)
    headers, body = receiver.told[0]
    stamp = headers["webhook-timestamp"]
    content = f"{headers['webhook-id']}.{stamp}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(key) == 32
    signed = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signed}"
    assert abs(int(stamp) - datetime.now(UTC).timestamp()) < 60


def test_a_failure_holds_the_rest_back_and_is_tried_again_later_under_the_same_id(
    world: World, receiver: Receiver
) -> None:
    hooked(world, receiver.url)
    case_id = world.take_in().case_id
    step(world, case_id)
    receiver.answers = [500, 302, 204, 204]
    assert deliver(world) == Delivered(failed=1)
    assert deliver(world) == Delivered()  # it is not due yet
    assert deliver(world, DELAYS[0]) == Delivered(failed=1)  # a redirect is not followed
    assert deliver(world, DELAYS[1] * 2) == Delivered(sent=2)
    ids = [headers["webhook-id"] for headers, _ in receiver.told]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert [line["act"] for line in receiver.data] == ["take_in", "take_in", "take_in", "note"]
    assert webhooks.listed(world.owner)[0].failures == 0


def test_who_never_answers_is_switched_off_and_misses_nothing_when_switched_on(
    world: World, receiver: Receiver
) -> None:
    hooked(world, receiver.url)
    world.take_in()
    receiver.answers = [503] * (len(DELAYS) + 1)
    done = [deliver(world, sum(DELAYS[:n], timedelta())) for n in range(len(DELAYS) + 1)]
    assert done[-1] == Delivered(failed=1, switched_off=1)
    assert not webhooks.listed(world.owner)[0].active
    assert deliver(world, timedelta(days=99)) == Delivered()
    webhooks.switch(world.owner, "city", "admin", on=True)
    assert deliver(world) == Delivered(sent=1)
    receiver.answers = [410]  # whoever says "gone" means it
    world.take_in()
    assert deliver(world) == Delivered(failed=1, switched_off=1)


def test_a_step_whose_transaction_ends_late_is_not_lost(world: World, receiver: Receiver) -> None:
    hooked(world, receiver.url)
    case_id = world.take_in().case_id
    slow, quick = world.take_in().case_id, world.take_in().case_id
    deliver(world)
    receiver.told.clear()
    with acting(world.matters, OFFICE.username, OFFICE.area) as connection:
        _note(connection, slow)  # takes its number before the next one's, and is seen after it
        step(world, quick)
        assert deliver(world) == Delivered()
    assert deliver(world) == Delivered(sent=2)
    assert [line["id"] for line in receiver.data] == [slow, quick]
    step(world, case_id)
    assert deliver(world) == Delivered(sent=1)


def _note(connection: Any, case_id: int) -> None:
    statement = "UPDATE incident_case SET supervised_at = now(), version = version + 1 WHERE id = :id"
    connection.execute(text(statement), {"id": case_id})
    connection.execute(
        text("""
        INSERT INTO incident_step (case_id, n, who, act, from_stage, to_stage)
        SELECT id, version, :who, 'supervise', stage, stage FROM incident_case WHERE id = :id
        """),
        {"id": case_id, "who": OFFICE.username},
    )


def test_two_senders_at_once_tell_nobody_twice(world: World, receiver: Receiver) -> None:
    hooked(world, receiver.url)
    for _ in range(5):
        world.take_in()
    threads = [threading.Thread(target=deliver, args=(world,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver(world)
    assert len({headers["webhook-id"] for headers, _ in receiver.told}) == len(receiver.told) == 5


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "http://", "file:///etc/passwd", "http://user:secret@example.com/",
        "http://example.com/ a", "http://example.com:99999/", f"http://example.com/{'a' * 600}", "例子",
    ],
)  # fmt: skip
def test_only_web_addresses_are_taken(url: str) -> None:
    with pytest.raises(InputError, match="url"):
        sending.check_url(url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "169.254.1.1"]
)
def test_nothing_is_sent_to_this_machine_unless_the_setting_says_so(receiver: Receiver, host: str) -> None:
    with pytest.raises(NotAllowedError):
        sending.post(f"http://{host}:{receiver.server_port}/", b"", {})
    assert receiver.told == []


def test_an_address_of_this_machine_counts_as_a_failure(world: World, receiver: Receiver) -> None:
    hooked(world, receiver.url)
    world.take_in()
    assert webhooks.deliver(world.owner, world.ring, datetime.now(UTC)) == Delivered(failed=1)
    assert webhooks.listed(world.owner)[0].last_answer == "an address of this machine"
    assert receiver.told == []


def test_a_name_that_answers_differently_the_second_time_leads_nowhere(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (["192.0.2.1", "127.0.0.1"][len(asked) - 1], 80))]

    connected = []
    monkeypatch.setattr(sending.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(
        sending.socket, "create_connection", lambda address, _: connected.append(address) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        sending.post("http://rebound.example/", b"", {})
    assert connected == [("192.0.2.1", 80)]
    assert asked == ["rebound.example"]


def test_a_ping_changes_nothing_and_a_name_is_taken_once(world: World, receiver: Receiver) -> None:
    secret = hooked(world, receiver.url)
    world.take_in()
    assert webhooks.ping(world.owner, world.ring, "city", allow_here=True).taken
    assert json.loads(receiver.told[0][1])["type"] == "ping"
    assert webhooks.listed(world.owner)[0].waiting == 1
    with pytest.raises(ConflictError):
        hooked(world, receiver.url)
    with pytest.raises(NotFoundError):
        webhooks.switch(world.owner, str(uuid.uuid4()), "admin", on=False)
    with world.owner.connect() as connection:
        stored = connection.execute(text("SELECT * FROM webhook")).one()
    assert secret.encode() not in bytes(stored.secret)
    assert base64.b64decode(secret.removeprefix("whsec_")) not in bytes(stored.secret)
