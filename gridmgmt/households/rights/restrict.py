"""Restriction (限制处理): what is held stays, and is not revealed, exported or gone round with."""

from sqlalchemy import Engine, text

from gridmgmt.errors import ConflictError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.rights.subject import subject
from gridmgmt.privacy import audit


def restrict(engine: Engine, actor: Actor, person_id: int, *, restricted: bool) -> None:
    """Restrict what is done with a person's data, or lift that again.

    NotFoundError as in `subject`; ConflictError when it is so already.
    """
    with on_roster(engine, actor) as connection:
        who = subject(connection, actor, person_id)
        if (who.restricted_on is not None) == restricted:
            raise ConflictError(f"person {person_id} is {'' if restricted else 'not '}restricted already")
        audit.record(
            connection, "person.restrict", area=actor.area, households=[who.household_id], person_id=who.id,
            detail={"restricted": restricted},
        )  # fmt: skip
        connection.execute(
            text(
                "UPDATE person SET restricted_on = CASE WHEN :restricted THEN current_date END,"
                " updated_at = now() WHERE id = :person"
            ),
            {"restricted": restricted, "person": who.id},
        )
