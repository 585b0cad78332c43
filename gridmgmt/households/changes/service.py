"""Asks for changes of the roster, decides on them, takes them back.

Each function is one transaction under the actor's rights with one line in the audit log, written first.
Whoever comes second waits for that line, so everything read after it is as the one before has left it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import IntegrityError

from gridmgmt.calendar import china_today
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.changes import requests, scenes
from gridmgmt.households.changes.models import ChangeStatus, Kind, RosterChange
from gridmgmt.households.changes.planning import plan
from gridmgmt.households.changes.scenes import Home
from gridmgmt.households.changes.stored import ChangeLine, lines_of
from gridmgmt.households.changes.wanted import Wanted, checked, told
from gridmgmt.households.changes.writing import Writing, write
from gridmgmt.households.models import Person
from gridmgmt.privacy import audit
from gridmgmt.privacy.blind import blind
from gridmgmt.privacy.cipher import new_salts, seal
from gridmgmt.privacy.keyring import KeyRing

MOST_LINES = 500


def ask(engine: Engine, ring: KeyRing, actor: Actor, wanted: Wanted) -> int | None:
    """Ask for a change and return the request's number; what an office asks for is done at once.

    A telephone that grid staff correct is written at once too: None when there was nothing else.

    Raises
    ------
    InputError
        When a value, or the change as a whole, does not fit the household as it stands; nothing was written.
    ConflictError
        When an identity number belongs to somebody else.
    NotFoundError
        When the household, the dwelling or the other household is not there for this actor.
    """
    wanted = checked(wanted, china_today())
    with writing_as(engine, actor) as connection:
        wanted, home, new = _announced(connection, actor, wanted)
        at_once = not actor.is_office and "phone" in wanted.values and wanted.kind is Kind.CORRECT
        if at_once:
            wanted = _phone_at_once(connection, ring, wanted, home)
            if not wanted.values:
                return None
        scene = scenes.scene(connection, ring, wanted, is_office=actor.is_office, new_household=new)
        steps = plan(scene, wanted)
        number = requests.keep(connection, ring, actor, wanted, requests.as_it_stands(scene, wanted))
        if actor.is_office:
            write(Writing(connection, ring, actor, wanted.on_date, number), steps)
            requests.close(connection, actor, number, ChangeStatus.APPROVED)
        return number


def decide(
    engine: Engine, ring: KeyRing, actor: Actor, change_id: int, approve: bool, note: str = ""
) -> None:
    """Approve a request, which writes it, or refuse it with a note.

    Raises
    ------
    NotAllowedError
        When it is not an office that decides.
    ConflictError
        When it is decided already, or no longer fits: what stood there when it was asked has changed, or the
        household has; its cause is the InputError that names the field.
    NotFoundError
        When there is no such request in this area.
    """
    actor.check_office("the town office decides on changes")
    note = told("note", note)
    if not approve and not note:
        raise InputError("note", "nothing", "why it is refused")
    with writing_as(engine, actor) as connection:
        home = scenes.home(connection, requests.household_of(connection, change_id))
        asked = requests.request(connection, ring, change_id)
        new = scenes.next_household(connection) if asked.wanted.kind is Kind.SPLIT else 0
        audit.record(
            connection, "change.decide", area=home.grid, households=_touched(asked.wanted, new),
            person_id=asked.wanted.person_id, detail={"change": change_id, "approve": approve},
        )  # fmt: skip
        status = ChangeStatus.APPROVED if approve else ChangeStatus.REFUSED
        requests.close(connection, actor, change_id, status, note)
        if approve:
            _apply(connection, ring, actor, asked, new)


def withdraw(engine: Engine, actor: Actor, change_id: int) -> None:
    """Take back one's own request; ConflictError when decided already, NotFoundError when not one's own."""
    with on_roster(engine, actor) as connection:
        home = scenes.home(connection, requests.household_of(connection, change_id))
        made_by = select(RosterChange.made_by).where(RosterChange.id == change_id)
        if connection.execute(made_by).scalar_one() != actor.username:
            raise NotFoundError(f"change {change_id} of {actor.username}")
        detail = {"change": change_id, "withdrawn": True}
        audit.record(connection, "change.decide", area=home.grid, households=[home.id], detail=detail)
        requests.close(connection, actor, change_id, ChangeStatus.WITHDRAWN)


def open_changes(
    engine: Engine, ring: KeyRing, actor: Actor, status: str | None = "open"
) -> list[ChangeLine]:
    """Return the requests of the actor's area, oldest first when open, else newest first; None for all.

    At most 500; the line in the audit log names every household shown.
    """
    if status is not None and status not in tuple(ChangeStatus):
        raise InputError("status", status, " or ".join(ChangeStatus))
    with on_roster(engine, actor) as connection:
        is_open = status == ChangeStatus.OPEN
        order = RosterChange.made_at.asc() if is_open else RosterChange.made_at.desc()
        chosen = select(RosterChange).order_by(order, RosterChange.id).limit(MOST_LINES)
        if status is not None:
            chosen = chosen.where(RosterChange.status == status)
        found = lines_of(connection, ring, chosen)
        households = [line.household_id for line in found]
        audit.record(connection, "change.list", area=actor.area, households=households)
        return found


@contextmanager
def writing_as(engine: Engine, actor: Actor) -> Iterator[Connection]:
    """Give the actor's transaction; what the database itself refuses is a ConflictError.

    That is what a program beside the web wrote meanwhile, such as an import. The refusal names the values of
    the statement, so it is not passed on.
    """
    try:
        with on_roster(engine, actor) as connection:
            yield connection
    except IntegrityError as why:
        rule = getattr(getattr(why.orig, "diag", None), "constraint_name", None)
        raise ConflictError(f"the roster has changed meanwhile ({rule})") from None


def _announced(connection: Connection, actor: Actor, wanted: Wanted) -> tuple[Wanted, Home, int]:
    """Write the audit line; return the change, its home as it stands, and a new household's number.

    People who move into an empty dwelling get an empty household, which nothing counts until they are in it.
    The line names fields, never what stands in them.
    """
    dwelling = wanted.values.get("dwelling_id")
    new = scenes.next_household(connection) if dwelling or wanted.kind is Kind.SPLIT else 0
    if dwelling:
        grid, wanted = scenes.grid_of_dwelling(connection, dwelling), replace(wanted, household_id=new)
    else:
        grid = scenes.home(connection, wanted.household_id or 0).grid
    audit.record(
        connection, "change.ask", area=grid, households=_touched(wanted, new), person_id=wanted.person_id,
        detail={"kind": wanted.kind, "fields": sorted(wanted.values), "applied": actor.is_office},
    )  # fmt: skip
    if dwelling and not connection.execute(select(func.roster_empty_home(new, dwelling))).scalar():
        raise NotFoundError(f"dwelling {dwelling}")
    return wanted, scenes.home(connection, wanted.household_id or 0), new


def _touched(wanted: Wanted, new_household: int) -> list[int]:
    several = (wanted.household_id, wanted.values.get("into"), new_household)
    return [number for number in several if number]


def _apply(
    connection: Connection, ring: KeyRing, actor: Actor, asked: requests.Request, new_household: int
) -> None:
    """Write a request that was asked for earlier, if it still fits."""
    wanted = asked.wanted
    try:
        scene = scenes.scene(connection, ring, wanted, is_office=True, new_household=new_household)
        now = requests.as_it_stands(scene, wanted)
        for field, before in asked.was.items():
            if now.get(field) != before:
                raise InputError(field, "something else by now", "what stood there when it was asked")
        write(Writing(connection, ring, actor, wanted.on_date, asked.id), plan(scene, wanted))
    except InputError as why:
        raise ConflictError(f"change {asked.id} no longer fits: {why}") from why


def _phone_at_once(connection: Connection, ring: KeyRing, wanted: Wanted, home: Home) -> Wanted:
    """Write the telephone and return what is left to ask for."""
    person = home.member(wanted.person_id)
    phone = wanted.values["phone"]
    fresh = new_salts(1)[0]
    standing = connection.execute(select(Person.salt).where(Person.id == person.id)).scalar()
    salt = bytes(standing) if standing else fresh
    sealed = seal(ring, salt, "phone", phone) if phone else None
    index = blind(ring, "phone", phone) if phone else None
    done = connection.execute(select(func.roster_set_phone(person.id, sealed, index, fresh))).scalar()
    if not done:
        raise NotFoundError(f"person {person.id}")
    rest = {field: value for field, value in wanted.values.items() if field != "phone"}
    return replace(wanted, values=rest)
