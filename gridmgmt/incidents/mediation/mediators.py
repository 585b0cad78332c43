"""The talent pool (人才库): who mediates where and what, and who is asked first, by free capacity.

Nobody is scored: the order says who has the fewest open mediations among those whom a matter concerns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, text, update

from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from gridmgmt.grids.codes import DIGITS
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.mediation import panels
from gridmgmt.incidents.mediation.models import MediationPanel, Mediator
from gridmgmt.incidents.mediation.words import named

AREA_LENGTHS = (0, DIGITS["town"], DIGITS["village"])
MOST_SPECIALITIES = 12
OFFERED = 8


@dataclass(frozen=True)
class MediatorTold:
    """Somebody for the pool: `area` is '' for the city, a town's 9 digits or a village's 12."""

    name: str
    area: str
    panel: str | None = None
    specialities: tuple[str, ...] = ()


@dataclass(frozen=True)
class MediatorLine:
    """Somebody of the pool with the number of open mediations; `fits` says that the trade is theirs."""

    id: int
    name: str
    area: str
    panel: str | None
    panel_name: str | None
    specialities: tuple[str, ...]
    active: bool
    load: int
    fits: bool = False


def check_staff(actor: Actor) -> None:
    """Raise NotAllowedError unless this person is of a town office or the centre."""
    if actor.role not in (Role.TOWN_OFFICER, Role.COMMAND):
        raise NotAllowedError(f"{actor.username} keeps no mediators and no meetings")


def add(engine: Engine, actor: Actor, told: MediatorTold) -> int:
    """Add somebody to the pool of the own area, and return their number.

    Raises InputError naming the field, ConflictError when the area has somebody of that name already.
    """
    check_staff(actor)
    name = named("name", told.name, 40)
    with on_matters(engine, actor) as connection:
        _check_area(connection, actor, told.area)
        if connection.scalar(select(Mediator.id).where(Mediator.name == name, Mediator.area == told.area)):
            raise ConflictError(f"{told.area or 'the city'} has a mediator of that name already")
        row = {"name": name, "area": told.area, **_told(connection, told.panel, told.specialities)}
        return int(connection.execute(insert(Mediator).values(row).returning(Mediator.id)).scalar_one())


def change(
    engine: Engine,
    actor: Actor,
    mediator_id: int,
    panel: str | None,
    specialities: Sequence[str],
    *,
    active: bool,
) -> None:
    """Change what somebody mediates, or that they mediate no more; open mediations go on.

    Raises NotFoundError for somebody of another area.
    """
    check_staff(actor)
    with on_matters(engine, actor) as connection:
        columns = _told(connection, panel, specialities) | {"active": active}
        statement = update(Mediator).where(
            Mediator.id == mediator_id, Mediator.area.startswith(actor.area, autoescape=True)
        )
        if not connection.execute(statement.values(**columns)).rowcount:
            raise NotFoundError(f"no mediator {mediator_id} of this area")


def _check_area(connection: Connection, actor: Actor, area: str) -> None:
    known = not area or connection.scalar(
        text("SELECT true FROM division WHERE code = :code AND level IN ('town', 'village')"), {"code": area}
    )
    if len(area) not in AREA_LENGTHS or not known or not area.startswith(actor.area):
        raise InputError("area", area, "a village or town of the own area")


def _told(connection: Connection, panel: str | None, specialities: Sequence[str]) -> dict[str, object]:
    if panel and connection.scalar(select(MediationPanel.code).where(MediationPanel.code == panel)) is None:
        raise InputError("panel", panel, "the code of a panel")
    words = tuple(dict.fromkeys(named("specialities", each, 20) for each in specialities if each.strip()))
    if len(words) > MOST_SPECIALITIES:
        raise InputError("specialities", len(words), f"at most {MOST_SPECIALITIES}")
    return {"panel": panel or None, "specialities": list(words)}


def listed(
    connection: Connection, area: str = "", panel: str = "", search: str = "", *, everybody: bool = True
) -> list[MediatorLine]:
    """Return the pool of an area ('' for all), by area and name; `everybody` with those who left off."""
    rows = connection.execute(
        _POOL, {"area": area, "panel": panel, "search": search.strip(), "everybody": everybody}
    )
    return [_line(row) for row in rows]


def suggested(
    connection: Connection, village: str | None, category: str, panel: str | None = None
) -> list[MediatorLine]:
    """Return whom to ask about a matter, the freest first among those whose trade it is, then the others.

    They are of the matter's own village, its town, or the city. A panel that is named narrows to it.
    """
    names = connection.execute(_NAMES, {"category": category}).scalars().all()
    every = panels.listed(connection)
    meant = panel or getattr(panels.panel_for(every, *names), "code", None)
    trade = next((each.trade for each in every if each.code == meant), None)
    found = []
    for row in connection.execute(_NEAR, {"village": village or ""}):
        fits = bool(
            (meant and row.panel == meant)
            or any(word == trade or word in name for word in row.specialities for name in names)
        )
        found.append(_line(row, fits=fits))
    found.sort(key=lambda each: (not each.fits, each.load, -len(each.area), each.name))
    return found[:OFFERED]


def _line(row: object, *, fits: bool = False) -> MediatorLine:
    columns = row._mapping  # type: ignore[attr-defined]
    return MediatorLine(**{**columns, "specialities": tuple(columns["specialities"])}, fits=fits)


_LINE = """
SELECT m.id, m.name, m.area, m.panel, p.name AS panel_name, m.specialities, m.active,
    mediator_load(m.id) AS load
FROM mediator m LEFT JOIN mediation_panel p ON p.code = m.panel
"""
_POOL = text(
    _LINE
    + """
WHERE starts_with(m.area, :area) AND (:panel = '' OR m.panel = :panel) AND (:everybody OR m.active)
    AND (:search = '' OR strpos(m.name, :search) > 0 OR :search = ANY (m.specialities)
        OR strpos(array_to_string(m.specialities, ' '), :search) > 0)
ORDER BY m.active DESC, m.area, m.name
"""
)
# Of the village, the town or the city: codes nest, so their areas are what the village's code begins with.
_NEAR = text(_LINE + "WHERE m.active AND starts_with(:village, m.area)")
_NAMES = text(
    "SELECT c.name FROM category c WHERE c.code = :category OR c.code ="
    " (SELECT parent FROM category WHERE code = :category)"
)
