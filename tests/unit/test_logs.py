"""No number of a person and no secret gets into a log line, whoever writes it; what else is said stays."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError, IntegrityError

from gridmgmt import logs
from gridmgmt.db.engine import log_slow
from gridmgmt.logs import redact

WIDE = str.maketrans("0123456789Xx-", "０１２３４５６７８９Ｘｘ－")
HALF = str.maketrans("０１２３４５６７８９Ｘｘ", "0123456789Xx")
BETWEEN = st.sampled_from(["", "", "", " ", "-", "－", "　", " - ", "\u200b", "—", "\xa0"])
DIGIT = st.sampled_from("0123456789")


@dataclass
class Chosen:
    log: str


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(DIGIT, min_size=count, max_size=count)


def day() -> st.SearchStrategy[str]:
    return st.dates().map(lambda each: f"{each:%m%d}")


IDENTITIES = st.one_of(
    st.tuples(digits(17), st.sampled_from("0123456789Xx")).map("".join),
    st.tuples(st.sampled_from("123456789"), digits(7), day(), digits(3)).map("".join),
)
PHONES = st.one_of(
    st.tuples(st.just("1"), st.sampled_from("3456789"), digits(9)).map("".join),
    st.tuples(
        st.sampled_from(["010", "021", "0635", "0371", "0998"]), st.sampled_from([7, 8]).flatmap(digits)
    ).map("".join),
)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """A number of a person and a way in which somebody wrote it."""
    number = draw(IDENTITIES | PHONES)
    how = draw(st.sampled_from(["together", "grouped", "spread", "area", "country"]))
    if how == "spread":
        said = "".join(sign + draw(BETWEEN) for sign in number[:-1]) + number[-1]
    elif how == "grouped":
        cut = draw(st.integers(1, len(number) - 1))
        said = number[:cut] + draw(BETWEEN) + number[cut:]
    elif how == "area" and number[0] == "0":
        said = f"({number[:4]}) {number[4:]}"
    elif how == "country" and number[0] == "1":
        said = f"+86 {number[:3]} {number[3:7]} {number[7:]}"
    else:
        said = number
    return number, said.translate(WIDE) if draw(st.booleans()) else said


def bare(line: str) -> str:
    """A line's digits alone, as who looks for a number in it would see them."""
    return "".join(sign for sign in line.translate(HALF) if sign.isdigit() or sign in "xX").upper()


@given(st.text(), written(), st.text())
@example("2栋2单元 13", ("13812345678", "138 1234 5678"), "")
@example("9139", ("13913812345", "13913812345"), "678 2026-11-23")
@example("", ("13812345678", "138.1234.5678"), "")
def test_no_number_of_a_person_comes_out_of_any_text(
    before: str, number: tuple[str, str], after: str
) -> None:
    told = redact(before + number[1] + after)
    assert number[0].upper() not in bare(told)
    assert number[1] not in told


ORDINARY = (
    "2026-11-23 09:10:52,123 INFO [alembic] Running upgrade 0015 -> 0016",
    "2026-11-23T09:10:52.123456+08:00 request status=200 ms=12.5 pid=29817",
    "Listening at: http://127.0.0.1:8330 (4711)",
    "connection to server at \"10.12.0.7\", port 5432 failed: Connection refused",
    "SELECT id, name FROM division WHERE level = 'town' AND area > 1234567 LIMIT 200",
    "duplicate key value violates unique constraint \"account_pkey\"",
    "read 240000 rows in 12.3456 s, 19,512 rows a second, 0.0625 rejected",
    "Worker (pid:12345) was sent SIGKILL! Perhaps out of memory?",
    "File \"/usr/lib/python3.11/site-packages/x.py\", line 1234, in <module>",
    "job 17: 3 of 20 files; seed 20260101; version 2.1.0; 300,000 households; 65.5 GB of 252.0 GB",
    "东城街道 12 号网格 3 件超期，最久 5 天；值班 09:00-17:30",
    "the CSRF session token is missing; a bearer token is needed",
    "slow statement 3f9a11c0 seconds=1.204 request_id=kdfjwmqpzrtbhsnc",
)  # fmt: skip


@given(st.lists(st.sampled_from(ORDINARY) | st.text("abcdefgh 中文，。:;/_"), max_size=4))
def test_ordinary_words_stay_as_they_are(parts: list[str]) -> None:
    said = "\n".join(parts)
    assert redact(said) == said


SECRET = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGHIJ0123456789_-", min_size=12, max_size=43)
SHAPES: tuple[Callable[[str], str], ...] = (
    "Authorization: Bearer {}".format,
    "bearer {}".format,
    "cookie: gridmgmt={}; theme=dark".format,
    "Set-Cookie: gridmgmt={}; HttpOnly".format,
    "gridmgmt={}".format,
    "password={}".format,
    "connecting with 'password': '{}'".format,
    '{{"csrf_token": "{}", "a": 1}}'.format,
    "GRIDMGMT_METRICS_TOKEN={}".format,
    "密码：{}".format,
    "postgresql://gridmgmt:{}@db.example:5432/city".format,
    "postgresql+psycopg2://gridmgmt:p@{}@db.example/city".format,
    "GET /follow/{} HTTP/1.1".format,
    "https://city.example/follow/{}?told=1".format,
    "/api/open311/v2/tokens/{}.json".format,
    "/homes/search?words={}".format,
    "session eyJfZnJlc2giOmZhbHNlfQ.aB-c1_.{}".format,
    "the key gm_{}xxxx was used".format,
    "ERROR:  23505\nDETAIL:  Key (name)=({}) already exists.\n".format,
    "DETAIL:  Failing row contains (1, {},\nsecond line).\n[SQL: INSERT]".format,
    "[parameters: {{'name': '{}'}}]".format,
)


@given(st.sampled_from(SHAPES), SECRET)
def test_no_secret_comes_out_in_any_shape(shape: Callable[[str], str], secret: str) -> None:
    assert secret not in redact(f"before {shape(secret)}")


# --- lines


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[Callable[[], list[str]]]:
    """What was written since the log was installed, in JSON unless the test says otherwise."""
    import sys
    import threading

    root, ours = logging.getLogger(), logging.getLogger("gridmgmt")
    before = (root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook)
    stream = io.StringIO()
    logs.install(Chosen(getattr(request, "param", "json")), stream)
    yield lambda: stream.getvalue().splitlines()
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:], root.level, ours.level, sys.excepthook, threading.excepthook = before


PHONE, NAME, WHO = "13812345678", "张三", "Zhang San"
BOTH = f"{WHO}\nand Li Si"


def _raise() -> None:
    try:
        raise KeyError(f"{NAME} {PHONE}")
    except KeyError as error:
        raise RuntimeError(f"password=hunter2 of {NAME}") from error


def _uncaught() -> None:
    import sys
    import threading

    try:
        _raise()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    thread = threading.Thread(target=_raise)
    thread.start()
    thread.join()


def _logged() -> None:
    log = logging.getLogger("somebody.else")
    log.warning("call %s", PHONE)
    log.error("of %(phone)s", {"phone": PHONE}, extra={"phone": int(PHONE), "csrf_token": "hunter2"})
    log.error("nested", extra={"found": {PHONE: [PHONE, ("password=hunter2",)]}})
    structlog.get_logger("native").error("call", phone=PHONE)
    warnings.warn(f"call {PHONE}", UserWarning, stacklevel=1)
    try:
        _raise()
    except RuntimeError:
        log.exception("it broke")
    log.error("%d", f"{PHONE} hunter2")  # a line that cannot be made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("lines", ["json", "plain"], indirect=True)
def test_nothing_gets_past_whoever_writes(
    lines: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    root.handlers[:] = root.handlers[:1]  # pytest's own would raise where a line cannot be made
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _logged()
    _uncaught()
    said = "\n".join(lines()) + capsys.readouterr().err
    assert said.count("_raise") >= 6  # the traces are there, of three exceptions and their causes
    assert "nobody caught this" in said
    assert "is lost: TypeError" in said
    assert PHONE not in said
    assert "hunter2" not in said
    assert NAME not in said.replace(f'f"{NAME}', "")  # but for the source of this file


def test_a_line_is_one_event_with_the_number_of_its_request(lines: Callable[[], list[str]]) -> None:
    structlog.contextvars.clear_contextvars()  # what requests of other tests have left
    structlog.contextvars.bind_contextvars(request_id="kdfjwmqp", route="/homes/<int:number>")
    try:
        logging.getLogger("gridmgmt.web").info("two\nlines", extra={"status": 200, "ms": 12.5})
    finally:
        structlog.contextvars.clear_contextvars()
    [line] = lines()
    said = json.loads(line)
    assert said.pop("time").endswith("+08:00")
    assert isinstance(said.pop("pid"), int)
    assert said == {
        "level": "info", "logger": "gridmgmt.web", "event": "two\nlines", "request_id": "kdfjwmqp",
        "route": "/homes/<int:number>", "status": 200, "ms": 12.5,
    }  # fmt: skip


@pytest.mark.parametrize("lines", ["plain"], indirect=True)
def test_what_somebody_sent_begins_no_line_of_its_own(lines: Callable[[], list[str]]) -> None:
    forged = "x\n2026-11-23T09:10:52.000+08:00 info gridmgmt.request \x1b[2J\u2028\u202e"
    logging.getLogger("gridmgmt.web").error(forged, extra={"agent": forged})
    [line] = lines()
    assert line.isprintable()


# --- what the database quotes


def _error(engine: Engine, statement: str, **values: Any) -> None:
    with engine.connect() as connection:
        connection.execute(text(statement), values)


def test_an_error_of_the_database_is_logged_without_the_values_that_it_quotes(
    engine: Engine, lines: Callable[[], list[str]]
) -> None:
    log, twice = (
        logging.getLogger("gridmgmt.web"),
        "INSERT INTO channel (code, name) VALUES (:n, :n), (:n, :n)",
    )
    wrong: tuple[tuple[type[Exception], str], ...] = (
        (IntegrityError, twice),
        (DataError, "SELECT CAST(:n AS date)"),
        (DataError, "SELECT CAST(:n AS int)"),
    )  # fmt: skip
    for kind, statement in wrong:
        with pytest.raises(kind) as caught:
            _error(engine, statement, n=BOTH)
        assert "Zhang San" in str(caught.value)  # so that there is something to keep back
        for error in (caught.value, caught.value.orig):  # type: ignore[attr-defined]
            log.error("it broke: %s", error, exc_info=error)
    raw = psycopg2.connect(engine.url.set(drivername="postgresql").render_as_string(False))
    with raw, raw.cursor() as cursor, pytest.raises(psycopg2.Error) as plain:
        cursor.execute("SELECT %s::date", (WHO,))
    raw.close()
    log.error("it broke: %s", plain.value, exc_info=plain.value)
    said = [json.loads(line)["exception"] for line in lines()]
    assert len(said) == 7
    assert "Zhang" not in "".join(lines())
    assert "Li Si" not in "".join(lines())
    assert "violates unique constraint" in said[0]
    assert "23505 channel" in said[1]
    assert twice.replace(":n", "%(n)s") in said[0]


def test_a_slow_statement_is_logged_without_its_values(
    engine: Engine, lines: Callable[[], list[str]]
) -> None:
    log_slow(engine, 0)
    _error(engine, "SELECT\n  :name AS name", name="Zhang San")
    said = json.loads(lines()[-1])
    assert said["sql"] == "SELECT %(name)s AS name"
    assert said["seconds"] >= 0
    assert len(said["hash"]) == 8
    assert "Zhang" not in "".join(lines())
