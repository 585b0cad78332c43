"""Log lines: one an event, plain or JSON, and nobody's data in them, whichever library wrote them.

    install(settings)    from then on every logger of the process, and what nobody catches, writes so
    redact(text)         the text without numbers of persons and without secrets

What can be told by its shape is cut out of every text of every line. What cannot, a name for instance, is
kept out where it would come in: of what is not ASCII in the text of an exception nothing is written, of an
error of the database not the values that it quotes (docs/watch.md).
"""

import json
import logging
import os
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol, TextIO

import structlog
from structlog.stdlib import ExtraAdder, LoggerFactory, ProcessorFormatter
from structlog.typing import Processor

CHINA = timezone(timedelta(hours=8))  # the calendar's; this floor imports nothing of ours
HIDDEN, NUMBER = "[hidden]", "[number]"
LONGEST = 20_000
# What stands first in a line, in this order.
HEAD = ("time", "level", "logger", "event", "request_id")

Line = MutableMapping[str, Any]


class Chosen(Protocol):
    """The part of the settings that says how lines are written: `log` is plain or json."""

    @property
    def log(self) -> str: ...


# --- what is cut out

# Ten digits or more, however grouped: blanks and dashes of every width, brackets around an area code.
_BLANKS, _DASHES = r" \t\xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff", r"\-\u2010-\u2015\u2212\uff0d"
_BETWEEN = rf"[{_BLANKS}{_DASHES}()\uff08\uff09]{{0,3}}"
_RUN = re.compile(rf"\d(?:{_BETWEEN}\d){{9,}}(?:{_BETWEEN}[xXｘＸ])?")
_DOTTED = re.compile(r"1[3-9]\d\.\d{4}\.\d{4}")
_PERSONAL = re.compile(
    r"\d{17}[\dX]"  # identity number
    r"|[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}"  # identity number of before 2000
    r"|1[3-9]\d{9}"  # mobile
    r"|0(?:10|2\d|[3-9]\d\d)\d{7,8}"  # landline with its area
)
_NAME = r"[\w-]{0,30}(?:password|passwd|passphrase|secret|token|api[_-]?key)|pwd|密码|口令"
_VALUE = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&"'}\])]+"""
_SECRETS = tuple(
    (re.compile(pattern), written)
    for pattern, written in (
        # What the database quotes of a row or a value, up to where the next part of an error begins.
        (r"(?ms)(?:\b(?:DETAIL|CONTEXT|QUERY|STATEMENT|LINE \d+)|描述|详细信息|上下文|查询|语句)[:：] .*?"
         r"(?=^\[SQL|^\(Background|^HINT:|^Traceback |\Z)", f"{HIDDEN}\n"),
        (r'(?s)\b((?:invalid|out of range|malformed)[^:"\n]{0,60}: )".*?"(?=\n|$)', rf"\1{HIDDEN}"),
        (r'(?s)\b(value )".*?"( is out of range)', rf"\1{HIDDEN}\2"),
        (r"(?ms)\[(?:SQL )?parameters: .*?\]$", HIDDEN),
        (r"(/(?:follow|tokens)/)[^\s/?#\"'<>]+", rf"\1{HIDDEN}"),
        (r"(/[\w./-]{0,200}\?)[^\s\"'<>]+", rf"\1{HIDDEN}"),
        (r"(?i)\b([a-z][\w+.-]{0,20}://[^\s:/@]{0,100}):\S{1,500}@", rf"\1:{HIDDEN}@"),
        (r"(?i)\b((?:authorization|(?:set-)?cookie)[\"']?\s*[=:]\s*)[^\n]+", rf"\1{HIDDEN}"),
        (r"(?i)\b(bearer\s+)[^\s\"',;]{8,}", rf"\1{HIDDEN}"),
        (rf"(?i)((?:{_NAME})[\"']?\s*[=:：]\s*)(?:{_VALUE})", rf"\1{HIDDEN}"),
        (r"\b((?:gridmgmt|session)=)[^\s;,\"']+", rf"\1{HIDDEN}"),
        (r"(?:eyJ|\.eJ)[\w-]+\.[\w-]+\.[\w-]+", HIDDEN),
        (r"AGE-SECRET-KEY-1[0-9A-Za-z]+|\bgm_[\w-]{16,}", HIDDEN),
    )
)  # fmt: skip
_SECRET_KEY = re.compile(rf"(?i)(?:{_NAME}|authorization|(?:set-)?cookie)")


# Nothing that is cut out looks like this: it is shorter, or has other signs.
_PLAIN = re.compile(r"[A-Za-z_]{0,16}|\d{1,6}(?:\.\d{1,3})?")


def redact(text: str) -> str:
    """Return a text without identity and telephone numbers, passwords, tokens, cookies and secret links.

    Rather too much goes than too little: a grid's code of 15 digits looks like an old identity number.

    >>> redact("call １３８ 1234-5678, password=x1 at 09:30")
    'call [number], password=[hidden] at 09:30'
    """
    if _PLAIN.fullmatch(text):
        return text
    text = text[: 2 * LONGEST]
    for pattern, written in _SECRETS:
        text = pattern.sub(written, text)
    return _RUN.sub(_numbers, _DOTTED.sub(NUMBER, text))[:LONGEST]


def _numbers(found: re.Match[str]) -> str:
    digits = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else "X" if sign in "xXｘＸ" else ""
        for sign in found[0]
    )
    return NUMBER if _PERSONAL.search(digits) else found[0]


def _redacted(value: Any, key: str = "") -> Any:
    if key and _SECRET_KEY.fullmatch(key):
        return HIDDEN
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {redact(str(name)): _redacted(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(inner) for inner in value]
    told = redact(str(value))
    return value if isinstance(value, int | float) and told == str(value) else told


# --- exceptions


def _told(error: BaseException | None) -> str:
    """Return the traces of an exception and of what it came from, without the values that it quotes."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kind, trace = type(error), "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{trace}{kind.__module__}.{kind.__qualname__}: {redact(_words(error))}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich came from:\n".join(parts)


def _words(error: BaseException) -> str:
    origin, statement = getattr(error, "orig", None), getattr(error, "statement", None)
    if isinstance(origin, BaseException):  # SQLAlchemy's around the driver's
        return f"{type(origin).__name__}: {_words(origin)}" + (f" [SQL: {statement}]" if statement else "")
    server = getattr(error, "diag", None)
    primary = getattr(server, "message_primary", None)
    if primary:  # the driver's: `invalid input syntax for type date: "…"` quotes what somebody typed
        known = (getattr(server, name, None) for name in ("sqlstate", "table_name", "constraint_name"))
        return " ".join([re.sub(r'(?s): ".*', "", primary), *filter(None, known)])
    return re.sub(r"[^\x00-\x7f]+", "…", str(error))


# --- lines


def _head(_: Any, __: str, line: Line) -> Line:
    record: logging.LogRecord = line.pop("_record")
    line.pop("_from_structlog", None)
    moment = datetime.fromtimestamp(record.created, CHINA).isoformat(timespec="milliseconds")
    info = line.pop("exc_info", None)
    line.update(
        {"time": moment, "level": record.levelname.lower(), "logger": record.name, "pid": os.getpid()}
    )
    if info:
        line["exception"] = _told(info[1] if isinstance(info, tuple) else sys.exc_info()[1])
    return line


def _clean(_: Any, __: str, line: Line) -> Line:
    first = {name: line.pop(name) for name in HEAD if name in line}
    clean: dict[str, Any] = {name: _redacted(value, name) for name, value in (first | dict(line)).items()}
    return clean | {"time": first["time"]}


def _json(_: Any, __: str, line: Line) -> str:
    return json.dumps(line, ensure_ascii=False)


def _plain(_: Any, __: str, line: Line) -> str:
    trace = str(line.pop("exception", ""))
    first = [str(line.pop(name, "")) for name in HEAD[:4]]
    rest = [f"{name}={_flat(value)}" for name, value in line.items()]
    indented = "".join(f"\n    {_printable(each)}" for each in trace.splitlines())
    return _printable(" ".join([*first, *rest])) + indented


def _flat(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if re.search(r'[\s"=]', text) else text


def _printable(text: str) -> str:
    # A text that somebody sent must not begin a line of its own or steer the terminal of who reads it.
    if text.isprintable():
        return text
    return "".join(s if s.isprintable() else s.encode("unicode_escape").decode() for s in text)


_FORMS = {"plain": _plain, "json": _json}


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; a line that cannot be made tells where it came from, where the usual one shows it all."""

    def handleError(self, record: logging.LogRecord) -> None:
        why = type(sys.exc_info()[1]).__name__
        sys.stderr.write(f"a log line of {record.name} at line {record.lineno} is lost: {why}\n")


def formatter(form: str) -> logging.Formatter:
    """Return what makes the lines: of a record its message, its `extra` and what is bound to the request."""
    before: list[Processor] = [structlog.contextvars.merge_contextvars, ExtraAdder()]
    return ProcessorFormatter(foreign_pre_chain=before, processors=[_head, _clean, _FORMS[form]])


def install(chosen: Chosen, stream: TextIO | None = None) -> None:
    """Let this process write its log to a stream (default stderr), ours from INFO on, others from WARNING.

    What nobody catches is written so too, in threads as well. Again replaces what was before.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(formatter(chosen.log))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gridmgmt").setLevel(logging.INFO)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, ProcessorFormatter.wrap_for_formatter],
        logger_factory=LoggerFactory(),
    )
    sys.excepthook = _uncaught
    threading.excepthook = lambda dead: _uncaught(dead.exc_type, dead.exc_value, None)


def _uncaught(kind: type[BaseException], error: BaseException | None, _: object) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    if error is not None:
        logging.getLogger("gridmgmt").critical(
            "nobody caught this", exc_info=(kind, error, error.__traceback__)
        )
