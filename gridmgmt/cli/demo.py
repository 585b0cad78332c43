"""`gridmgmt demo`: the whole way through, from an empty machine to a list on a map.

It loads the sample city through the same importers that a real city uses.
"""

import json
import logging
import resource
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine, text

import sample_data
from gridmgmt.cli.database import bring_up
from gridmgmt.config import settings
from gridmgmt.db import identity
from gridmgmt.db.engine import ROSTER, WRITER, make_engine, opened
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.errors import ConflictError, NotEnoughDataError, NotFoundError, SetupError
from gridmgmt.importing import progress
from gridmgmt.importing.mapping import Mapping, load_mapping
from gridmgmt.importing.report import Report


class Steps:
    """Names each step as it begins and adds up its seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, words: str) -> Iterator[None]:
        on_terminal = sys.stderr.isatty()  # there, a progress bar may follow on a line of its own
        click.echo(f"· {words} … ", nl=on_terminal, err=True)
        began = time.perf_counter()
        yield
        took = time.perf_counter() - began
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 1)
        click.echo(f"{'  ' if on_terminal else ''}{took:.1f} 秒", err=True)


@click.command()
@click.option("--no-serve", is_flag=True, help="Stop after printing the list.")
@click.option("--json", "as_json", is_flag=True, help="Print counts and seconds as the last line.")
@click.option(
    "--scale", type=click.FloatRange(0.02, 1.0), default=1.0, help="A smaller city, for a quick look."
)
@click.option("--through", type=int, default=2025, help="The last of the four years of matters.")
@click.option("--port", type=int, default=8000, show_default=True)
def demo(no_serve: bool, as_json: bool, scale: float, through: int, port: int) -> None:
    """Load the sample city, analyse it, print the seasonal list and serve it on a map."""
    from gridmgmt.cli.seasonal import print_list
    from gridmgmt.cli.serve import check_port, serve_forever
    from gridmgmt.seasonal import stored

    if not no_serve:
        check_port("127.0.0.1", port)
    steps = Steps()
    with ExitStack() as stack:
        with steps.step("setup", "准备数据库"):
            engine = stack.enter_context(opened())
            bring_up(engine)
            _refuse_another_city(engine, {"scale": scale, "through": through})
        summary = load_and_analyse(engine, steps, settings().home / "sample", scale, through)
        with engine.connect() as connection:
            print_list(stored.items(connection, through + 1), limit=10)
        logins = make_logins(engine)
        hand_out(engine, through + 1)
        visit(engine, through)
        draw(engine)
        with steps.step("matters", "办理近六周的诉求"):
            handle(engine)
        with steps.step("index", "计算平安指数，起草通报"):
            score(engine, through)
        summary |= count_rows(engine)
        if as_json:
            click.echo(json.dumps(summary, ensure_ascii=False))
        if not no_serve:
            print_logins(logins, port)
            logging.getLogger("gridmgmt.request").setLevel(logging.WARNING)  # the logins stay on the screen
            serve_forever("127.0.0.1", port, workers=2)


def load_and_analyse(
    engine: Engine, steps: Steps, folder: Path, scale: float, through: int
) -> dict[str, Any]:
    """Generate the sample city, import it, analyse it; returns the counts, seconds and peak memory."""
    from gridmgmt.hotspots import recent
    from gridmgmt.hotspots import service as hotspot_service
    from gridmgmt.seasonal import service as seasonal_service

    with steps.step("generate", "生成样例城市"):
        sample_data.generate(folder, scale=scale, through=through)
    load(engine, steps, folder)
    with steps.step("hotspots", "查找热点网格"):
        runs = {
            level: [hotspot_service.run(engine, *period, level=level) for period in periods(through)]
            for level in ("grid", "village", "town")
        }
        # A small city has too few of any one category to scan.
        with suppress(NotEnoughDataError), progress.shown("近期聚集") as bar:
            recent.find_recent(engine, date(through, 12, 31), progress=bar)
    with steps.step("effects", "看上年提前处理有没有用"):
        learn(engine, folder, through)
    with steps.step("seasonal", "编制时令清单"):
        built = seasonal_service.build(engine, through + 1)
    return {
        **count_rows(engine),
        "seasonal_items": built.items,
        "hot_grids": runs["grid"][0].hot_areas,
        "seconds": steps.seconds,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def load(engine: Engine, steps: Steps, folder: Path) -> None:
    """Import the files of a generated city in the order in which they stand on each other."""
    from gridmgmt.grids import importer as territory
    from gridmgmt.households.incoming import importer as roster
    from gridmgmt.incidents import assignment, taxonomy_import
    from gridmgmt.incidents import importer as incident_importer

    plain = load_mapping(None, crs="cgcs2000")
    with steps.step("import", "导入区划、网格、人员与分类"):
        for importer, name in (
            (territory.import_divisions, "divisions.geojson"),
            (taxonomy_import.import_categories, "categories.csv"),
            (territory.import_grids, "grids_before.geojson"),
            (territory.import_grids, "grids.geojson"),
            (territory.import_workers, "workers.csv"),
            (territory.import_layers, "layers.geojson"),
        ):
            _import(importer, engine, folder / name, plain)
    with steps.step("import", "导入人房数据"):
        _import(roster.import_roster, engine, folder / "roster.parquet", plain)
        # An office's sheet with people known already: they wait for the town office.
        _import(roster.import_roster, engine, folder / "roster_doubles.csv", plain)
    with steps.step("import", "导入四年诉求"):
        mapping = load_mapping(folder / "incidents.toml")
        for path in sorted(folder.glob("incidents_*.csv")):
            _import(incident_importer.import_incidents, engine, path, mapping)
    with steps.step("assign", "归入网格"):
        assignment.reassign(engine)


def learn(engine: Engine, folder: Path, year: int) -> None:
    """Make the list of the last year as it would have been, read what was done about it, and measure that."""
    from gridmgmt.seasonal import service as seasonal_service
    from gridmgmt.seasonal.effects import service as effects
    from gridmgmt.seasonal.tasks import importer as tasks

    seasonal_service.build(engine, year)
    _import(tasks.import_tasks, engine, folder / f"tasks_{year}.csv", load_mapping(None))
    with suppress(NotFoundError):  # a small city may have had nothing on its list
        effects.measure(engine, year)


def _import(importer: Callable[..., Report], engine: Engine, path: Path, mapping: Mapping) -> None:
    """Import one file, with a progress bar on a terminal; says so when a row was rejected."""
    with progress.shown(path.name) as bar:
        report = importer(engine, path, mapping, progress=bar)
    if report.rejected:
        click.echo(f"\n{path.name}: 退回 {report.rejected} 行，例如 {report.first_reasons[0]}", err=True)


def periods(through: int) -> list[tuple[date, date]]:
    """Return the periods that the map offers: all four years together, then each, the latest first."""
    years = range(through, through - 4, -1)
    return [(date(through - 3, 1, 1), date(through, 12, 31))] + [
        (date(y, 1, 1), date(y, 12, 31)) for y in years
    ]


def count_rows(engine: Engine) -> dict[str, int]:
    """Return how much of everything stands in the database."""
    queries = {
        "grids": "SELECT count(*) FROM grid WHERE kind = 'base' AND valid_to IS NULL",
        "households": "SELECT count(*) FROM household",
        "persons": "SELECT coalesce(sum(persons), 0) FROM household",
        "incidents": "SELECT count(*) FROM incident",
    }
    with engine.connect() as connection:
        return {name: int(connection.execute(text(query)).scalar_one()) for name, query in queries.items()}


def _refuse_another_city(engine: Engine, asked: dict[str, float]) -> None:
    """Raise SetupError when this home holds a real city, or the sample city in another size or year."""
    note = settings().home / "sample.json"
    with engine.connect() as connection:
        stands = connection.execute(text("SELECT count(*) FROM division")).scalar_one()
    held = json.loads(note.read_text()) if note.exists() else "another city"
    if stands and held != asked:
        raise SetupError(
            f"{settings().home} already holds {held}; set GRIDMGMT_HOME to a new folder, or empty this one "
            "with: gridmgmt cluster drop"
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asked))


def make_logins(engine: Engine) -> list[tuple[Role, str, str]]:
    """Make one account a role, with a fresh password each time, and return role, user name and password."""
    with engine.connect() as connection:
        grid, town = (
            connection.execute(
                text("""
            SELECT g.code15, left(g.code15, 9) FROM seasonal_item s JOIN grid g ON g.code15 = s.area
            GROUP BY g.code15 ORDER BY count(*) DESC, g.code15 LIMIT 1
            """)
            ).one_or_none()
            or connection.execute(
                text(
                    "SELECT code15, left(code15, 9) FROM grid WHERE valid_to IS NULL ORDER BY code15 LIMIT 1"
                )
            ).one()
        )
        unit = connection.execute(
            text("""
            SELECT department FROM category WHERE department IS NOT NULL
            GROUP BY department ORDER BY count(*) DESC, department LIMIT 1
            """)
        ).scalar_one()
    areas = {Role.GRID_WORKER: grid, Role.TOWN_OFFICER: town}
    units = {Role.DEPARTMENT: unit}
    logins = []
    for role in Role:
        password = secrets.token_hex(5)
        try:
            identity.create_account(
                engine, role, password, role, ROLE_NAMES[role], areas.get(role), units.get(role)
            )
        except ConflictError:  # from an earlier demo: the printed password counts
            identity.set_password(engine, role, password)
        logins.append((role, role.value, password))
    return logins


def hand_out(engine: Engine, year: int) -> None:
    """Hand out what is still to come in the town of the town officer's login, so that its board has tasks."""
    from gridmgmt.seasonal import stored
    from gridmgmt.seasonal.tasks import service as tasks

    with engine.connect() as connection:
        query = "SELECT username, area FROM account WHERE role = 'town_officer'"
        username, area = connection.execute(text(query)).one()
        items = stored.items(connection, year, [area])
    tasks.hand_out(engine, tasks.Actor(username, Role.TOWN_OFFICER, area), items)


def visit(engine: Engine, year: int) -> None:
    """Write requests of the grid's login, and a survey, visits and a round in the officer's town."""
    from gridmgmt.households.actor import Actor
    from gridmgmt.households.changes import sample as requests
    from gridmgmt.households.visits import sample as visits
    from gridmgmt.privacy.keyring import KeyRing

    with engine.connect() as connection:
        query = "SELECT role, username, area FROM account WHERE area IS NOT NULL"
        areas = {role: (username, area) for role, username, area in connection.execute(text(query))}
    own, ring = make_engine(engine.url.render_as_string(hide_password=False), role=ROSTER), KeyRing.opened()
    requests.seed(own, ring, Actor(*areas[Role.GRID_WORKER]))
    visits.seed(own, ring, year, areas[Role.TOWN_OFFICER][1])
    own.dispose()


def draw(engine: Engine) -> None:
    """Begin a plan that cuts the grid of the grid's login in two: planners have something to compare."""
    from gridmgmt.planning import service as plans
    from gridmgmt.planning.models import Operation

    with engine.connect() as connection:
        query = "SELECT username FROM account WHERE role = 'planner'"
        planner = plans.Actor(connection.execute(text(query)).scalar_one(), Role.PLANNER)
        query = "SELECT area FROM account WHERE role = 'grid_worker' AND area IS NOT NULL"
        grid = str(connection.execute(text(query)).scalars().one())
    own = make_engine(engine.url.render_as_string(hide_password=False), role=WRITER)
    plan = plans.create(own, planner, "户数偏多网格拆分", grid[:9])
    plans.edit(own, planner, plan.id, Operation.SPLIT_EVENLY, {"key": grid, "parts": 2}, plan.version)
    own.dispose()


def handle(engine: Engine) -> None:
    """Let matters of six weeks come in and be handled, some by mediation, and learn from words."""
    from gridmgmt.incidents import suggest
    from gridmgmt.incidents.handling import sample as matters
    from gridmgmt.incidents.mediation import sample as mediation
    from gridmgmt.privacy.keyring import KeyRing

    ring = KeyRing.opened()
    matters.seed(engine, ring)
    mediation.seed(engine, ring)
    with suppress(NotEnoughDataError):
        suggest.learn(engine, settings().home / suggest.FILE)


def score(engine: Engine, year: int) -> None:
    """Score the last two years of the index, issue the bulletin of the last month but one, draft the last."""
    from gridmgmt.index import service, stored
    from gridmgmt.index.actor import Actor
    from gridmgmt.index.bulletins import service as bulletins
    from gridmgmt.index.periods import Period, months_up_to
    from gridmgmt.index.sample import seed
    from gridmgmt.index.talks import service as talks

    months = months_up_to(date(year, 12, 1), 24)
    with engine.connect() as connection:
        query = "SELECT username FROM account WHERE role = 'command' ORDER BY username"
        centre = Actor(str(connection.execute(text(query)).scalars().first()), Role.COMMAND)
        if stored.months(connection):  # from an earlier demo: what was issued stands
            return
    seed(engine, months)
    service.build(engine, months, centre.username)
    own = make_engine(engine.url.render_as_string(hide_password=False), role=WRITER)
    for month in months[-2:]:
        talks.propose(own, centre, Period(month))
        number = bulletins.draft(own, centre, Period(month))
        if month != months[-1]:
            bulletins.approve(own, centre, number)
            bulletins.issue(own, centre, number)
    own.dispose()


def print_logins(logins: list[tuple[Role, str, str]], port: int) -> None:
    """Print where to go and one login a role."""
    click.echo(f"\n打开 http://127.0.0.1:{port}  （Ctrl+C 结束）")
    for role, username, password in logins:
        click.echo(f"  {ROLE_NAMES[role]:\u3000<5} {username:<13} {password}")
