"""The OpenAPI document is kept: schemathesis asks what it may and may not, and compares what comes back.

GRIDMGMT_API_EXAMPLES random examples an operation, beside some 800 that the borders of the document give:
8 make about 900 cases, 420 made 7,540.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import schemathesis
from flask import Flask
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, from_schema
from schemathesis.engine.events import NonFatalError, ScenarioFinished
from schemathesis.schemas import BaseSchema
from sqlalchemy import Engine

from gridmgmt.incidents.opening.keys import Scope
from tests.db.matter_world import GRID_OWN, middle

from . import open_city

EXAMPLES = int(os.environ.get("GRIDMGMT_API_EXAMPLES", "8"))
LEAST = 600


def test_whatever_is_asked_the_document_is_kept(engine: Engine, make_app: Callable[..., Flask]) -> None:
    city = open_city.build(engine, make_app)
    with open_city.served(city.app) as address:
        schema = schemathesis.openapi.from_url(f"{address}/api/openapi.json", config=config(city.key(*Scope)))
        schemathesis.hook(before_call)
        try:
            cases, faults = examined(schema)
        finally:
            schemathesis.hooks.unregister(before_call)
    assert faults == []
    assert cases >= LEAST


def config(key: str) -> SchemathesisConfig:
    """All checks, valid and invalid questions, the same ones each time."""
    return SchemathesisConfig.from_dict(
        {
            "headers": {"Authorization": f"Bearer {key}"},
            "generation": {
                "max-examples": EXAMPLES, "database": "none", "deterministic": True, "mode": "all",
            },
            "phases": {"stateful": {"enabled": False}},
        }
    )  # fmt: skip


def before_call(context: Any, case: Case, kwargs: dict[str, Any]) -> None:
    """Keep valid questions to what no schema can say: a place in the city, a year past, 90 days at most."""
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    if case.method == "POST" and isinstance(case.body, dict):
        lon, lat = middle(GRID_OWN)
        case.body |= {"lat": lat, "long": lon, "description": "路灯不亮"}
        if "phone" in case.body:
            case.body["phone"] = "13912345678"
        case.body.pop("attribute[occurred_at]", None)
    if {"start_date", "end_date"} <= set(case.query or {}):
        case.query.pop("start_date")


def examined(schema: BaseSchema) -> tuple[int, list[str]]:
    """Run the engine and return how many answers were examined, and what was wrong with which."""
    counts, faults = Counter[str](), list[str]()
    for event in from_schema(schema).execute():
        if isinstance(event, NonFatalError):
            faults.append(f"{event.label}: {event.value!r}")
        if isinstance(event, ScenarioFinished):
            counts[event.phase.value] += len(event.recorder.interactions)
            faults += _faults(event)
    print(f"schemathesis: {sum(counts.values())} cases, {dict(counts)}, {len(faults)} findings")
    return sum(counts.values()), faults


def _faults(event: ScenarioFinished) -> list[str]:
    return [
        f"{check.name}: {event.recorder.cases[name].value.as_curl_command()}: {check.failure_info.failure}"
        for name, checks in event.recorder.checks.items()
        for check in checks
        if check.status == Status.FAILURE and check.failure_info
    ]
