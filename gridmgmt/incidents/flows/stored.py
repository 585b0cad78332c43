"""The flows of a city in the database: a row stands for ever, so that a case ends as it began."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, insert, select, text, update

from gridmgmt.db.engine import acting
from gridmgmt.errors import NotFoundError
from gridmgmt.incidents.flows import packaged
from gridmgmt.incidents.flows.flow import Flow
from gridmgmt.incidents.flows.reading import as_json, from_json, read
from gridmgmt.incidents.handling.models import IncidentFlow
from gridmgmt.privacy import audit

# Two that load flows wait for each other on this lock.
_LOCK = 7_340_011
PACKAGE = "gridmgmt"
# Database and number -> the flow; tests have several databases in one process.
_kept: dict[tuple[str, int], Flow] = {}


@dataclass(frozen=True)
class Version:
    """One stored version of a flow, who added it and when; new matters go by the `active` one of a code."""

    id: int
    code: str
    name: str
    active: bool
    added_at: datetime
    added_by: str
    sha256: str
    flow: Flow


def install(engine: Engine) -> None:
    """Add the packaged flows for whose code no active one stands; safe to repeat."""
    with engine.begin() as connection:
        _lock(connection)
        held = active(connection)
        for flow in packaged.flows():
            if flow.code not in held:
                _add(connection, PACKAGE, flow)


def load(engine: Engine, who: str, words: str, file: str) -> str:
    """Make the flow in a TOML text the one by which new matters of its code go, and return the code.

    Matters that stand keep the version they began with. The same flow again changes nothing. Raises FlowError
    with everything that is wrong with it; `engine` is the owner's.
    """
    flow = read(words, file)
    with acting(engine, who, "") as connection:
        _lock(connection)
        if active(connection).get(flow.code) != flow:
            audit.record(connection, "code.change", detail={"kind": "流程", "of": flow.code})
            _add(connection, who, flow)
    return flow.code


def _lock(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _add(connection: Connection, who: str, flow: Flow) -> None:
    body = as_json(flow)
    digest = hashlib.sha256(json.dumps(body, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
    standing = update(IncidentFlow).where(IncidentFlow.code == flow.code, IncidentFlow.active)
    connection.execute(standing.values(active=False))
    row = {"code": flow.code, "name": flow.name, "body": body, "sha256": digest, "added_by": who}
    connection.execute(insert(IncidentFlow).values(row))


def active(connection: Connection) -> dict[str, Flow]:
    """Return the flows that new matters may go by, by code."""
    ids = connection.scalars(select(IncidentFlow.id).where(IncidentFlow.active).order_by(IncidentFlow.code))
    return {flow.code: flow for flow in [flow_of(connection, number) for number in ids.all()]}


def active_id(connection: Connection, code: str) -> int:
    """Return the number of the flow that new matters of a code go by; NotFoundError when there is none."""
    found = connection.scalar(select(IncidentFlow.id).where(IncidentFlow.code == code, IncidentFlow.active))
    if found is None:
        raise NotFoundError(f"no flow {code}")
    return int(found)


def flow_of(connection: Connection, flow_id: int) -> Flow:
    """Return a stored flow by its number; NotFoundError for a number that no flow has.

    Kept in memory for good: a row is never changed but for `active`.
    """
    place = (str(connection.engine.url), flow_id)
    if place not in _kept:
        body = connection.scalar(select(IncidentFlow.body).where(IncidentFlow.id == flow_id))
        if body is None:
            raise NotFoundError(f"no flow {flow_id}")
        _kept[place] = from_json(body)
    return _kept[place]


def versions(connection: Connection) -> list[Version]:
    """Return every stored version, by code, the newest first."""
    rows = connection.execute(
        select(IncidentFlow.__table__).order_by(IncidentFlow.code, IncidentFlow.id.desc())
    )
    return [
        Version(
            row.id, row.code, row.name, row.active, row.added_at, row.added_by, row.sha256,
            flow_of(connection, row.id),
        )
        for row in rows.all()
    ]  # fmt: skip
