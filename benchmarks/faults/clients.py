"""Whoever works all the time: programs, offices, departments, grid workers, each on its own connection.

Each sends again, under the same key, until it is told that its write stands. Who acts on a matter looks at
its page first when an answer was lost, as a person does.
"""

import http.client
import json
import random
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from urllib.parse import urlencode

from benchmarks.faults.ledger import Ledger
from benchmarks.web_city import PASSWORD, Person

PATIENCE_S = 10.0
THINK_S = (0.1, 0.6)
AGAIN_S = 0.3
# Of what was kept, so much is sent once more: the answer must be the same.
TWICE = 0.15
TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
VERSION = re.compile(r'name="version" value="(\d+)"')
HAND = re.compile(r'action="(/matters/\d+/hands/\d+/(accept|answer))"')
CASE_LINK = re.compile(r'href="/matters/(\d+)"')
# What must never stand in an answer.
INSIDE = re.compile(r"Traceback|psycopg2|sqlalchemy|File \"/", re.IGNORECASE)

Point = tuple[float, float]

# How an attempt ended. The first two are good; the next are what may be while something is broken.
KEPT, SAME = "kept", "kept before"
REFUSED, CUT, SILENT, UNREADY = "no connection", "cut off", "no answer in 10 s", "503 with words"
STALE, SIGN_IN, INVALID = "409 somebody else", "signed out", "400 with words"
CLEAR = (REFUSED, CUT, SILENT, UNREADY, STALE, SIGN_IN, INVALID)


@dataclass(frozen=True)
class Attempt:
    """One attempt to write: who, when it began and ended (monotonic seconds), and how."""

    kind: str
    began: float
    ended: float
    outcome: str
    says: str = ""


class Watch:
    """Every attempt of every client."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.attempts: list[Attempt] = []

    def note(self, attempt: Attempt) -> None:
        with self._lock:
            self.attempts.append(attempt)

    def since(self, moment: float) -> list[Attempt]:
        """Return the attempts that ended after a moment."""
        with self._lock:
            return [each for each in self.attempts[-4_000:] if each.ended > moment]

    def write(self, folder: Path | None) -> None:
        """Write every attempt into a folder, one line of JSON each."""
        if folder:
            lines = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in self.attempts)
            (folder / "attempts.jsonl").write_text(lines)


class Trouble(Exception):
    """An attempt that did not end well."""

    def __init__(self, outcome: str, says: str = "") -> None:
        super().__init__(outcome)
        self.outcome, self.says = outcome, says


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    location: str


class Working:
    """Does one thing after the other in a thread of its own until the bench is over."""

    ends_within_s = 60.0

    def __init__(self) -> None:
        self._over = Event()
        self._thread = Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it finish what it began, once everything works."""
        self._over.set()

    def join(self) -> None:
        self._thread.join(self.ends_within_s)

    def _work(self) -> None:
        raise NotImplementedError


class Client(Working):
    """Writes one thing after the other."""

    kind = ""

    def __init__(self, port: int, ledger: Ledger, watch: Watch, seed: int) -> None:
        super().__init__()
        self.rng, self._ledger, self._watch = random.Random(seed), ledger, watch
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self._cookies: dict[str, str] = {}

    def _work(self) -> None:
        while not self._over.is_set():
            self.write()
            time.sleep(self.rng.uniform(*THINK_S))

    def write(self) -> None:
        """Write one thing, however many attempts it takes."""
        raise NotImplementedError

    def _until_kept(self, attempt: Callable[[], str]) -> None:
        """Try again until it is kept, or somebody else has done it; at the end once more, not for ever."""
        for _ in range(400):
            if self._try(attempt) in (KEPT, SAME, STALE, INVALID):
                return
            time.sleep(AGAIN_S)

    def _try(self, attempt: Callable[[], str]) -> str:
        began, says = time.monotonic(), ""
        try:
            outcome = attempt()
        except Trouble as trouble:
            outcome, says = trouble.outcome, trouble.says
            if outcome == SIGN_IN:
                self._cookies.clear()
        self._watch.note(Attempt(self.kind, began, time.monotonic(), outcome, says))
        return outcome

    def _ask(
        self, method: str, path: str, form: dict[str, str] | bytes | None = None, **headers: str
    ) -> Answer:
        """Return the answer; Trouble for no answer, and for one that says the server is not ready."""
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), **headers}
        body: str | bytes | None = form if isinstance(form, bytes | None) else urlencode(form)
        if form is not None and not isinstance(form, bytes):
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self._connection.request(method, path, body, sent)
            answer = self._connection.getresponse()
            page = answer.read().decode()
        except TimeoutError as why:
            raise self._broken(SILENT, path) from why
        except ConnectionRefusedError as why:
            raise self._broken(REFUSED, path) from why
        except (OSError, http.client.HTTPException) as why:
            raise self._broken(CUT, path) from why
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";", 1)[0].partition("=")
            self._cookies[name] = value
        return _checked(Answer(answer.status, page, answer.headers.get("Location", "")), path)

    def _broken(self, outcome: str, path: str) -> Trouble:
        self._connection.close()
        return Trouble(outcome, path)


def _checked(answer: Answer, path: str) -> Answer:
    """Return an answer that says something of the thing itself; Trouble for the others."""
    says = f"{path}: {answer.status} {' '.join(re.sub('<[^>]+>', ' ', answer.text).split())[-300:]}"
    if INSIDE.search(answer.text):
        raise Trouble(f"{answer.status} that shows the inside", says)
    if answer.status == 503 and answer.text.strip():
        raise Trouble(UNREADY, says)
    if answer.status == 401 or answer.location.startswith("/login"):
        raise Trouble(SIGN_IN, says)
    if answer.status == 400 and "页面已过期" in answer.text:
        raise Trouble(SIGN_IN, says)
    if answer.status == 409:
        raise Trouble(STALE, says)
    if answer.status in (400, 422):
        raise Trouble(INVALID, says)
    if answer.status >= 402:
        raise Trouble(str(answer.status), says)
    return answer


def letters(rng: random.Random) -> str:
    """Return words that nobody else says, without a digit: a number could be somebody's telephone."""
    return "".join(rng.choice("abcdefghijklmnop") for _ in range(20))


class Program(Client):
    """Tells matters through the Open311 interface, each with its key (Idempotency-Key)."""

    kind = "interface"

    def __init__(
        self, *common: object, api_key: str, places: list[tuple[float, float]], categories: list[str]
    ):
        super().__init__(*common)  # type: ignore[arg-type]
        self._api_key, self._places, self._categories = api_key, places, categories

    def write(self) -> None:
        words, key = f"路灯不亮 {letters(self.rng)}", str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        lon, lat = self.rng.choice(self._places)
        form = {
            "service_code": self.rng.choice(self._categories), "description": words,
            "long": f"{lon:.6f}", "lat": f"{lat:.6f}",
        }  # fmt: skip
        self._ledger.send("matter", words)
        for _ in range(2 if self.rng.random() < TWICE else 1):
            self._until_kept(lambda: self._tell(form, key, words))

    def _tell(self, form: dict[str, str], key: str, words: str) -> str:
        headers = {"Authorization": f"Bearer {self._api_key}", "Idempotency-Key": key}
        answer = self._ask("POST", "/api/open311/v2/requests.json", form, **headers)
        if answer.status not in (200, 201):
            raise Trouble(str(answer.status), answer.text[:200])
        self._ledger.keep("matter", words, json.loads(answer.text)[0]["service_request_id"])
        return KEPT if answer.status == 201 else SAME


class Signed(Client):
    """A person with an account: signs in when that is over."""

    def __init__(self, *common: object, person: Person) -> None:
        super().__init__(*common)  # type: ignore[arg-type]
        self.person = person
        self._token = ""

    def _signed(self, path: str) -> Answer:
        """Return a page of the own desk, signed in if need be; its token is kept for forms."""
        if not self._cookies:
            page = self._ask("GET", "/login").text
            form = {
                "username": self.person.username, "password": PASSWORD, "csrf_token": _found(TOKEN, page)
            }  # fmt: skip
            if self._ask("POST", "/login", form).status not in (302, 303):
                raise Trouble("sign-in refused", self.person.username)
        answer = self._ask("GET", path)
        if answer.status != 200:
            raise Trouble(SIGN_IN, f"{path}: {answer.status}")
        self._token = _found(TOKEN, answer.text)
        return answer

    def _send(self, path: str, **form: str) -> Answer:
        answer = self._ask("POST", path, {"csrf_token": self._token, **form})
        if answer.status != 303:
            raise Trouble(f"{answer.status} to a form", f"{path} {answer.text[:200]}")
        return answer


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    if not found:
        raise Trouble("a page without its form", page[:200])
    return found[1]


class Teller(Signed):
    """A town officer who takes matters in through the form, each with the form's key."""

    kind = "form"

    def __init__(self, *common: object, person: Person, villages: list[str], categories: list[str]) -> None:
        super().__init__(*common, person=person)
        self._villages, self._categories = villages, categories

    def write(self) -> None:
        words = f"巷口积水 {letters(self.rng)}"
        form = {
            "key": str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), "words": words,
            "channel": "centre_register", "category": self.rng.choice(self._categories), "ledger": "demand",
            "village": self.rng.choice(self._villages),
        }  # fmt: skip
        self._ledger.send("matter", words)
        for _ in range(2 if self.rng.random() < TWICE else 1):
            self._until_kept(lambda: self._tell(form))

    def _tell(self, form: dict[str, str]) -> str:
        if not self._cookies or not self._token:
            self._signed("/matters/new")
        where = self._send("/matters/new", **form).location
        found = re.search(r"/matters/(\d+)", where)
        if not found:
            raise Trouble("a matter without its address", where)
        self._ledger.keep("matter", form["words"], found[1])
        return KEPT


class Office(Signed):
    """A town officer who writes notes on matters and hands them to departments, as the page was seen."""

    kind = "act"

    def __init__(self, *common: object, person: Person, cases: list[int], units: list[str]) -> None:
        super().__init__(*common, person=person)
        self._cases, self._units = cases, units

    def write(self) -> None:
        case, words = self.rng.choice(self._cases), f"nt{letters(self.rng)}"
        form = {"note": words}
        act = "note"
        if self.rng.random() < 0.4:
            act = "hand"
            form |= {"units": self.rng.choice(self._units), "due_days": "5"}
        self._ledger.send("note", words)
        self._until_kept(lambda: self._act(case, act, form))

    def _act(self, case: int, act: str, form: dict[str, str]) -> str:
        page = self._signed(f"/matters/{case}").text
        if form["note"] in page:  # it stood already when the answer was lost
            self._ledger.keep("note", form["note"])
            return SAME
        version = VERSION.search(page)
        if not version:  # nothing can be done with it any more
            raise Trouble(STALE)
        self._send(f"/matters/{case}/{act}", version=version[1], **form)
        self._ledger.keep("note", form["note"])
        return KEPT


class Department(Signed):
    """A department that takes what it is asked, and answers."""

    kind = "answer"

    def write(self) -> None:
        self._until_kept(self._one)

    def _one(self) -> str:
        words = f"fb{letters(self.rng)}"  # others at each try: an answer that was lost may stand
        page = self._signed("/unit?tab=asked").text
        asked = [path for path, act in HAND.findall(page) if act == "accept"]
        if asked:
            path = self.rng.choice(asked)
            self._send(path)
            page = self._signed(path.split("/hands/")[0]).text
        else:
            doing = CASE_LINK.findall(self._signed("/unit?tab=doing").text)
            if not doing:
                raise Trouble(STALE, "nothing to answer")
            page = self._signed(f"/matters/{self.rng.choice(doing)}").text
        answers = [path for path, act in HAND.findall(page) if act == "answer"]
        if not answers:
            raise Trouble(STALE)
        self._ledger.send("answer", words)
        self._send(answers[0], answer=words)
        self._ledger.keep("answer", words)
        return KEPT


class Visitor(Signed):
    """A grid worker's phone: sends each visit with its key until it is told that it is kept."""

    kind = "visit"

    def __init__(self, *common: object, person: Person, dwellings: list[int], category: str) -> None:
        super().__init__(*common, person=person)
        self._dwellings, self._category = dwellings, category

    def write(self) -> None:
        key = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        fields = {
            "key": key, "dwelling": str(self.rng.choice(self._dwellings)), "purpose": "verify",
            "outcome": self.rng.choice(["met", "absent"]), "visited_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        self._ledger.send("visit", key)
        if self.rng.random() < 0.3:
            fields |= {"category": self._category, "matter_text": f"楼道堆物 {letters(self.rng)}"}
            self._ledger.send("matter", fields["matter_text"])
        for _ in range(2 if self.rng.random() < TWICE else 1):
            self._until_kept(lambda: self._report(fields))

    def _report(self, fields: dict[str, str]) -> str:
        if not self._cookies:
            self._signed("/visits/new")
        token = json.loads(self._ask("GET", "/visits/token").text)["token"]
        headers = {"Content-Type": "application/json", "X-CSRFToken": token}
        answer = self._ask("POST", "/visits/send", json.dumps(fields).encode(), **headers)
        if json.loads(answer.text).get("kept") != fields["key"]:
            raise Trouble("another key was kept", answer.text[:200])
        self._ledger.keep("visit", fields["key"])
        if "matter_text" in fields:
            self._ledger.keep("matter", fields["matter_text"])
        return KEPT
