"""The auditor's log: who saw and changed what of whom, and whether the log is whole.

It reads through the role of the auditor, which sees the log and nothing else: households and people are
numbers here.
Reading the log leaves no line in it.
"""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request

from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.privacy import audit as log
from gridmgmt.privacy import audit_stored
from gridmgmt.privacy.audit_stored import Wanted
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.audit_words import PURPOSES, told
from gridmgmt.web.databases import auditor, reader

pages = Blueprint("audit", __name__)

# What an address may narrow the list by; `below` only turns its pages.
NARROWED = ("who", "what", "household", "person", "first", "last")

PAGE = 100
LONGEST_NAME = 60
LARGEST_NUMBER = 2**31 - 1
LATEST_FAULTS = 50


@pages.get("/audit/log")
@allow(Role.AUDITOR)
def lines() -> Any:
    """The lines that fit what is asked, newest first; `below` goes on from a line's number."""
    wanted = _wanted()
    with auditor().connect() as connection:
        found = audit_stored.lines(connection, wanted, below=_number("below"), most=PAGE + 1)
    return _page(wanted, found=found[:PAGE], more=len(found) > PAGE)


@pages.get("/audit/verify")
@allow(Role.AUDITOR)
def verify() -> Any:
    """Whether every line is what it was; it takes about a second for 100,000 lines."""
    with auditor().connect() as connection:
        found = log.verify(connection)
    return _page(Wanted(), verified=found)


def _page(wanted: Wanted, **more: Any) -> str:
    with reader().connect() as connection:
        here = territory(connection)
    return render_template(
        "audit_log.html",
        here=here,
        wanted=wanted,
        asked={key: request.args[key] for key in NARROWED if request.args.get(key)},
        names=log.NAMES,
        fault_names=log.FAULT_NAMES,
        purposes=PURPOSES,
        told=told,
        latest_faults=LATEST_FAULTS,
        **more,
    )


def _wanted() -> Wanted:
    text = {name: request.args.get(name, "").strip()[:LONGEST_NAME] or None for name in ("who", "what")}
    return Wanted(
        **text,
        household=_number("household"),
        person=_number("person"),
        first=_day("first"),
        last=_day("last"),
    )


def _number(name: str) -> int | None:
    asked = request.args.get(name, "").strip()
    if not asked:
        return None
    if not (asked.isascii() and asked.isdecimal() and int(asked[:12]) <= LARGEST_NUMBER):
        raise InputError(name, asked[:20], "a number")
    return int(asked)


def _day(name: str) -> date | None:
    asked = request.args.get(name, "").strip()
    try:
        return date.fromisoformat(asked) if asked else None
    except ValueError:
        raise InputError(name, asked[:20], "a day such as 2026-05-01") from None
