"""`gridmgmt hotspots`: run the tests for concentration and print what they found."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, time
from typing import Any

import click
from sqlalchemy import Connection

from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.db.engine import READER
from gridmgmt.errors import NotFoundError
from gridmgmt.hotspots import explain, stored, tables
from gridmgmt.hotspots import service as hotspot_service
from gridmgmt.hotspots.areas import ALL
from gridmgmt.importing import progress
from gridmgmt.incidents import service as incidents

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def hotspots() -> None:
    """Where matters concentrate, in which field and when (热点网格、热点领域、频发时间)."""


CATEGORY = click.option("--category", help="One category by code, with all under it; default: all of them.")
LEVEL = click.option("--level", default="grid", show_default=True, help="grid | village | town")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@hotspots.command("run")
@click.option("--from", "start", type=DAY, required=True, help="First day, YYYY-MM-DD.")
@click.option("--to", "end", type=DAY, required=True, help="Last day, included.")
@CATEGORY
@LEVEL
@AS_JSON
def run_hotspots(start: datetime, end: datetime, category: str | None, level: str, as_json: bool) -> None:
    """Test every area for concentration (Gi*, corrected for many tests), store the result and print it."""
    with ready() as engine:
        run = hotspot_service.run(engine, start.date(), end.date(), level=level, category=category)
        with engine.connect() as connection:
            print_run(connection, run, category or ALL, as_json)


@hotspots.command("show")
@click.option("--from", "start", type=DAY, help="First day of the run; default: the newest run.")
@click.option("--to", "end", type=DAY, help="Last day of the run.")
@CATEGORY
@LEVEL
@AS_JSON
def show_hotspots(
    start: datetime | None, end: datetime | None, category: str | None, level: str, as_json: bool
) -> None:
    """Print a stored run: hot fields, hot grids and peak times, each with its reasons."""
    with ready(READER) as engine, engine.connect() as connection:
        runs = [
            run
            for run in stored.runs(connection, level)
            if start in (None, datetime.combine(run.start, time()))
            and end in (None, datetime.combine(run.end, time()))
        ]
        if not runs:
            raise NotFoundError("there is no such hotspot run; make it with: gridmgmt hotspots run")
        code = stored.nearest_category(connection, runs[0].id, category or ALL)
        print_run(connection, runs[0], code, as_json)


@hotspots.command("clusters")
@click.option("--to", "end", type=DAY, help="Last day, included; default: the last day with a matter.")
@click.option("--weeks", type=int, default=52, show_default=True, help="How far to look back.")
@AS_JSON
def find_clusters(end: datetime | None, weeks: int, as_json: bool) -> None:
    """Scan the last weeks for clusters in place and time that are still there (近期聚集)."""
    from gridmgmt.hotspots import recent

    with ready() as engine:
        with engine.connect() as connection:
            known = incidents.period(connection)
        last = end.date() if end else known[1] if known else date.today()
        with progress.shown("近期聚集") as bar:
            recent.find_recent(engine, last, weeks=weeks, progress=bar)
        with engine.connect() as connection:
            rows = tables.recent_clusters(connection)
    if as_json:
        print_json([as_dict(row) for row in rows])
        return
    click.echo(f"近期聚集（截至 {last}）：{len(rows)} 处")
    _print_reasons(rows)


def print_run(connection: Connection, run: stored.Run, category: str, as_json: bool) -> None:
    """Print the three ranked tables of a run."""
    fields = tables.ranked_fields(connection, run, category)
    hot = tables.ranked_areas(connection, run, category)
    peaks = tables.ranked_peaks(connection, run, category)
    if as_json:
        print_json(
            {
                "run": asdict(run) | {"method": explain.method_text(run)._asdict()},
                "fields": [as_dict(row) for row in fields],
                "hot": [as_dict(row) for row in hot],
                "peaks": [as_dict(row) for row in peaks],
            }
        )
        return
    click.echo(f"{run.start} 至 {run.end}：{len(hot)} 个热点（已做多重检验校正）")
    if hot:
        print_hot_areas(hot[:20], run.rate_unit)
    for title, rows in (("热点网格", hot), ("热点领域", fields), ("频发时间", peaks)):
        click.echo(f"\n{title}{'' if rows else '：没有'}")
        _print_reasons(rows[:10])
    click.echo(f"\n{explain.method_text(run).zh}")


def as_dict(row: tables.Row[Any]) -> dict[str, Any]:
    """Return a row of a ranked table as JSON writes it."""
    names = {"category_name": row.category_name, "area_name": row.area_name}
    return asdict(row.result) | names | {"explanation": row.text._asdict()}


def _print_reasons(rows: Sequence[tables.Row[Any]]) -> None:
    for number, row in enumerate(rows, 1):
        click.echo(f"{number:>3}. {row.text.zh}")


def print_hot_areas(rows: Sequence[tables.Row[stored.AreaResult]], unit: str) -> None:
    """Print hot areas as a table: counts beside rates, expected beside found."""
    table = new_table(
        "热点网格", ("编码", "名称", "#诉求", "#预期", "#户数", f"#{unit}", "#平滑", "#Gi*", "把握")
    )
    for row in rows:
        found = row.result
        table.add_row(
            found.area,
            row.area_name,
            str(found.count),
            f"{found.expected:.0f}",
            "—" if found.households is None else str(found.households),
            f"{found.rate:.1f}",
            f"{found.smoothed:.1f}",
            "—" if found.z is None else f"{found.z:+.1f}",
            explain.confidence(found.q).zh,
        )
    print_table(table)
