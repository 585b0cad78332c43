"""Whether requests may be sent here."""

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from gridmgmt.db import migrations

# Seconds in which the database must answer.
PATIENCE = 2


def unready(probe: Engine) -> dict[str, str]:
    """Return why requests should go elsewhere, nothing when they may come: part -> reason in English.

    `probe` gives up after PATIENCE seconds (`db.engine.make_engine`) and is the owner's.
    """
    try:
        with probe.connect() as connection:
            standby = connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one()
        schema = migrations.status(probe)
    except SQLAlchemyError:
        return {"database": f"no answer within {PATIENCE} s"}
    found = {}
    if standby:
        found["writable"] = "the server is in recovery"
    if not schema.up_to_date:
        found["schema"] = f"at {schema.current}, this version needs {schema.head}"
    return found
