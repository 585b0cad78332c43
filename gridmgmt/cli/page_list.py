"""Every page of the program, once: its name, who reads it, its address, and on what screens.

Pictures, browser tests and benchmarks walk this list. `{…}` in an address is a number or code of the city
at hand, found by the statement of that name; where the city has none, the page is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter

from sqlalchemy import Connection, text

from gridmgmt.db.models import Role

Size = tuple[int, int]
DESK: Size = (1440, 900)
WALL: Size = (1920, 1080)
PHONE: Size = (390, 844)


@dataclass(frozen=True)
class Page:
    """One page: `role` None is anybody; `sizes` in CSS pixels."""

    name: str
    role: Role | None
    path: str
    sizes: tuple[Size, ...] = (DESK,)

    def needs(self) -> set[str]:
        """Return the names of the samples in its address."""
        return {field for _, field, _, _ in Formatter().parse(self.path) if field}


CHIEF, OFFICE, CENTRE, PLANNER, AUDITOR, ADMIN, UNIT = (
    Role.GRID_WORKER, Role.TOWN_OFFICER, Role.COMMAND, Role.PLANNER, Role.AUDITOR, Role.ADMIN, Role.DEPARTMENT
)  # fmt: skip
POCKET, BOTH = (PHONE,), (DESK, PHONE)


def _of(role: Role | None, sizes: tuple[Size, ...], pages: Mapping[str, str]) -> tuple[Page, ...]:
    return tuple(Page(name, role, path, sizes) for name, path in pages.items())


PAGES: tuple[Page, ...] = (
    *_of(None, BOTH, {"login": "/login", "say": "/say", "say-of-a-village": "/say/{village}"}),
    *_of(None, POCKET, {"follow": "/follow/{token}"}),
    *_of(CHIEF, POCKET, {
        "grid-today": "/grid",
        "grid-map": "/grid/map",
        "grid-task": "/grid/tasks/{grid_task}",
        "grid-matters": "/matters",
        "grid-matter": "/matters/{grid_case}",
        "grid-matter-new": "/matters/new",
        "grid-homes": "/homes",
        "grid-home": "/homes/{grid_home}",
        "grid-home-change": "/homes/{grid_home}/changes/new",
        "grid-move-in": "/dwellings/{grid_empty}/move-in",
        "grid-visits": "/visits",
        "grid-visit-new": "/visits/new",
        "grid-round": "/rounds/{grid_round}",
        "grid-changes": "/grid/changes",
        "grid-exports": "/exports",
        "grid-seasonal": "/seasonal",
        "grid-evidence": "/seasonal/items/{grid_item}",
        "grid-report": "/grid/report",
        "grid-offline": "/grid/offline",
        "grid-card": "/areas/{grid}",
        "grid-account": "/account",
    }),
    *_of(OFFICE, (DESK,), {
        "office": "/office",
        "office-coming": "/office?tab=seasonal",
        "office-matters-all": "/matters/all",
        "office-overdue": "/matters/overdue",
        "office-service-days": "/matters/visits",
        "office-codes-to-print": "/matters/qr?area={village}",
        "office-matter-closed": "/matters/{closed_case}",
        "office-mediation": "/mediation",
        "office-mediation-of": "/mediation/of/{mediated_case}",
        "office-papers-of": "/papers/of/{town_case}",
        "office-mediators": "/mediators",
        "office-meetings": "/meetings",
        "office-meeting": "/meetings/{meeting}",
        "office-figures": "/figures",
        "office-seasonal": "/seasonal",
        "office-tasks": "/office/tasks",
        "office-task": "/grid/tasks/{town_task}",
        "office-homes": "/homes",
        "office-homes-of-a-grid": "/homes?grid={grid}",
        "office-home": "/homes/{grid_home}",
        "office-home-access": "/homes/{grid_home}/access",
        "office-person-rights": "/people/{person}/rights",
        "office-person-access": "/people/{person}/access",
        "office-changes": "/office/changes",
        "office-reviews": "/office/reviews",
        "office-survey": "/office/survey",
        "office-rounds": "/office/rounds",
        "office-round": "/rounds/{town_round}",
        "office-exports": "/exports",
        "office-card": "/areas/{grid}",
        "account": "/account",
        "account-password": "/account/password",
        "account-factor": "/account/factor",
    }),
    *_of(OFFICE, BOTH, {
        "office-matters": "/matters",
        "office-matter": "/matters/{town_case}",
        "office-matter-new": "/matters/new",
        "office-index": "/index",
    }),
    *_of(CENTRE, (DESK, WALL), {"command": "/command"}),
    *_of(CENTRE, (WALL,), {"wall": "/command/wall"}),
    *_of(CENTRE, POCKET, {"command-phone": "/command", "command-seasonal-phone": "/seasonal"}),
    *_of(CENTRE, (DESK,), {
        "command-count": "/command?measure=count",
        "command-gi": "/command?measure=gi",
        "command-smoothed": "/command?measure=smoothed",
        "command-pattern": "/command?measure=pattern",
        "command-expected": "/command?measure=expected",
        "command-overdue-map": "/command?measure=overdue",
        "command-compare": "/command/compare",
        "command-card": "/areas/{grid}",
        "command-village": "/command?level=village",
        "command-town": "/command?level=town",
        "command-category": "/command?category={category}&tab=hot",
        "command-fields": "/command?tab=fields",
        "command-peaks": "/command?tab=peaks",
        "command-recent": "/command?tab=recent",
        "command-coming": "/command?tab=seasonal",
        "seasonal": "/seasonal",
        "seasonal-wheel": "/seasonal?view=wheel",
        "seasonal-strip": "/seasonal?view=strip",
        "seasonal-strip-of-grids": "/seasonal?view=strip&rows=grid",
        "seasonal-verdicts": "/seasonal?view=verdicts",
        "seasonal-evidence": "/seasonal/items/{item}",
        "seasonal-effect": "/seasonal/effect",
        "command-tasks": "/office/tasks",
        "command-survey": "/office/survey",
        "command-rounds": "/command/rounds",
        "command-matters": "/matters",
        "command-matters-all": "/matters/all",
        "command-overdue": "/matters/overdue",
        "command-matter": "/matters/{town_case}",
        "command-figures": "/figures",
        "command-mediation": "/mediation",
        "command-meetings": "/meetings",
    }),
    *_of(CENTRE, BOTH, {
        "index": "/index",
        "index-unit": "/index/units/{index_town}",
        "index-talk": "/index/talks/{talk}",
        "index-bulletin": "/index/bulletins/{bulletin}",
    }),
    *_of(CENTRE, (DESK,), {
        "index-departments": "/index?level=department",
        "index-quarter": "/index?span=quarter",
        "index-indicator": "/index/indicators/3.1.1",
        "index-compare": "/index/compare",
        "index-what-if": "/index/what-if?w1=40",
        "index-tree": "/index/tree",
        "index-talks": "/index/talks",
        "index-bulletins": "/index/bulletins",
        "index-entry": "/index/entry",
    }),
    *_of(PLANNER, (DESK,), {
        "plan": "/plan", "plan-draw": "/plan/{plan}", "plan-compare": "/plan/{plan}/compare",
        "planner-command": "/command",
    }),
    *_of(AUDITOR, (DESK,), {
        "audit": "/audit", "audit-log": "/audit/log", "audit-verify": "/audit/verify",
    }),
    *_of(ADMIN, (DESK,), {
        "admin": "/admin",
        "admin-areas": "/admin/areas",
        "admin-codes": "/admin/codes",
        "admin-flows": "/admin/flows",
        "admin-holidays": "/admin/holidays",
        "admin-imports": "/admin/imports",
        "admin-analyses": "/admin/analyses",
        "admin-jobs": "/jobs",
        "admin-job": "/jobs/{job}",
        "admin-backups": "/admin/backups",
        "admin-health": "/admin/health",
        "admin-papers": "/admin/papers",
    }),
    *_of(Role.SECURITY, (DESK,), {
        "security-accounts": "/admin/accounts",
        "security-account": "/admin/accounts/of/{username}",
        "security-account-new": "/admin/accounts/new",
        "security-accounts-import": "/admin/accounts/import",
        "security-keys": "/admin/keys",
        "security-webhooks": "/admin/webhooks",
    }),
    *_of(UNIT, BOTH, {"unit": "/unit?tab=asked", "unit-doing": "/unit?tab=doing"}),
    *_of(UNIT, (DESK,), {
        "unit-matter": "/matters/{unit_case}",
        "unit-figures": "/figures",
        "unit-index": "/index?level=department",
        "unit-entry": "/index/entry",
    }),
)  # fmt: skip

# One value each of the city at hand. `:grid`, `:town` and `:unit` are those of the accounts that look.
SAMPLES: dict[str, str] = {
    "index_town": "SELECT code FROM division WHERE level = 'town' ORDER BY code LIMIT 1",
    "talk": "SELECT id FROM index_talk ORDER BY month DESC, id LIMIT 1",
    "bulletin": "SELECT id FROM bulletin ORDER BY month DESC LIMIT 1",
    "grid": "SELECT CAST(:grid AS text)",
    "village": "SELECT left(:grid, 12)",
    "category": "SELECT category FROM incident GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
    "item": """
        SELECT id FROM seasonal_item WHERE level = 'grid' ORDER BY year DESC, expected DESC, id LIMIT 1
        """,
    "grid_item": """
        SELECT id FROM seasonal_item WHERE starts_with(area, :grid) ORDER BY year DESC, expected DESC, id
        LIMIT 1
        """,
    "town_task": """
        SELECT id FROM seasonal_task WHERE starts_with(area, :town) ORDER BY status = 'open' DESC, due_on, id
        LIMIT 1
        """,
    "grid_task": """
        SELECT id FROM seasonal_task WHERE area = :grid ORDER BY status = 'open' DESC, due_on, id LIMIT 1
        """,
    "grid_case": """
        SELECT c.id FROM incident_case c JOIN grid g ON g.id = c.grid_id WHERE g.code15 = :grid
        ORDER BY c.open DESC, c.version DESC, c.id LIMIT 1
        """,
    "town_case": """
        SELECT id FROM incident_case WHERE starts_with(village, :town) AND open
        ORDER BY version DESC, id LIMIT 1
        """,
    "closed_case": """
        SELECT id FROM incident_case WHERE starts_with(village, :town) AND NOT open
        ORDER BY version DESC, id LIMIT 1
        """,
    "unit_case": """
        SELECT h.case_id FROM incident_hand h JOIN incident_case c ON c.id = h.case_id
        WHERE h.unit = :unit ORDER BY c.open DESC, h.asked_at DESC LIMIT 1
        """,
    "mediated_case": """
        SELECT m.case_id FROM mediation m JOIN incident_case c ON c.id = m.case_id
        WHERE starts_with(c.village, :town) ORDER BY m.status = 'open' DESC, m.id LIMIT 1
        """,
    "meeting": """
        SELECT id FROM matter_meeting WHERE starts_with(area, :town) ORDER BY held_at DESC, id LIMIT 1
        """,
    "grid_home": """
        SELECT h.id FROM household h JOIN grid g ON g.id = h.grid_id
        WHERE g.code15 = :grid AND h.persons > 2 ORDER BY h.persons DESC, h.id LIMIT 1
        """,
    "grid_empty": """
        SELECT d.id FROM dwelling d JOIN building b ON b.id = d.building_id JOIN grid g ON g.id = b.grid_id
        WHERE g.code15 = :grid AND NOT EXISTS (SELECT FROM household h WHERE h.dwelling_id = d.id)
        ORDER BY d.id LIMIT 1
        """,
    "person": """
        SELECT p.id FROM person p JOIN grid g ON g.id = p.grid_id
        WHERE g.code15 = :grid AND p.left_on IS NULL ORDER BY p.id LIMIT 1
        """,
    "grid_round": """
        SELECT s.round_id FROM visit_stop s JOIN household h ON h.id = s.household_id
            JOIN grid g ON g.id = h.grid_id WHERE g.code15 = :grid ORDER BY s.round_id DESC LIMIT 1
        """,
    "town_round": "SELECT id FROM visit_round WHERE starts_with(area, :town) ORDER BY id DESC LIMIT 1",
    "username": "SELECT username FROM account ORDER BY role = 'town_officer' DESC, username LIMIT 1",
    "job": "SELECT id FROM job ORDER BY id DESC LIMIT 1",
    "plan": "SELECT id FROM plan ORDER BY id DESC LIMIT 1",
}  # fmt: skip
# Who looks where: the area of an account that stands, else where the list has most to say.
_PLACES = """
    SELECT coalesce(
        (SELECT area FROM account WHERE role = 'grid_worker' AND area <> '' ORDER BY username LIMIT 1),
        (SELECT s.area FROM seasonal_item s JOIN grid g ON g.code15 = s.area GROUP BY 1
         ORDER BY count(*) DESC, 1 LIMIT 1),
        (SELECT code15 FROM grid WHERE valid_to IS NULL ORDER BY code15 LIMIT 1)
    ) AS grid, coalesce(
        (SELECT unit FROM account WHERE unit <> '' ORDER BY username LIMIT 1),
        (SELECT min(name) FROM department)
    ) AS unit
"""


def places(connection: Connection) -> dict[str, str]:
    """Return the `grid`, `town` and `unit` that the pages of the city at hand are looked at from."""
    grid, unit = connection.execute(text(_PLACES)).one()
    return {"grid": grid or "", "town": (grid or "")[:9], "unit": unit or ""}


def samples(connection: Connection, at: Mapping[str, str]) -> dict[str, str]:
    """Return a value for each name of SAMPLES that the city at hand has one for; `at` is of `places`."""
    found = {}
    for name, query in SAMPLES.items():
        statement = text(query)
        known = {key: at[key] for key in statement._bindparams}
        value = connection.execute(statement, known).scalars().first()
        if value is not None:
            found[name] = str(value)
    return found


def addresses(pages: Iterable[Page], known: Mapping[str, str]) -> list[tuple[Page, str | None]]:
    """Return each page with its address in the city at hand, None where the city lacks what it shows."""
    return [(page, page.path.format_map(known) if page.needs() <= known.keys() else None) for page in pages]
