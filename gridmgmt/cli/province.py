"""`gridmgmt province`: export a county without personal data, and analyse many of them."""

from datetime import datetime
from pathlib import Path

import click

from gridmgmt.cli.database import ready
from gridmgmt.cli.hotspots import DAY
from gridmgmt.db.engine import READER
from gridmgmt.importing import progress
from gridmgmt.province import engines, service
from gridmgmt.province.export import export


@click.group()
def province() -> None:
    """Many counties: exports without personal data, analysed on one machine or a cluster."""


@province.command("export")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder.")
def export_county(out: Path) -> None:
    """Write this city's grids and matters as Parquet: points, days and categories, nothing personal."""
    with ready(READER) as engine, engine.connect() as connection, progress.shown("导出") as bar:
        manifest = export(connection, out, bar)
    grids, matters = manifest.files.values()
    click.echo(f"{out / manifest.county}: {grids.rows:,} grids, {matters.rows:,} matters")


@province.command("run")
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to be made.")
@click.option("--engine", "name", type=click.Choice(engines.ENGINES), default="local", show_default=True)
@click.option("--scheduler", help="Of a Dask cluster, tls://… or tcp://…; default: workers on this machine.")
@click.option("--workers", type=click.IntRange(1), help="On this machine; default: one a processor.")
@click.option("--from", "start", type=DAY, help="First day, YYYY-MM-DD; default: what each county has.")
@click.option("--to", "end", type=DAY, help="Last day, included.")
@click.option("--year", type=int, help="That seasons are forecast for; default: the one after the last day.")
def run_province(
    folders: tuple[Path, ...],
    out: Path,
    name: str,
    scheduler: str | None,
    workers: int | None,
    start: datetime | None,
    end: datetime | None,
    year: int | None,
) -> None:
    """Analyse exported counties: grids of points, cubes, hot grids, clusters, seasons."""
    with engines.opened(name, scheduler, workers) as engine, progress.shown("分析") as bar:
        done = service.run(
            folders,
            out,
            engine,
            start=start and start.date(),
            end=end and end.date(),
            year=year,
            progress=bar,
        )
    files = [each for county in done["counties"] for each in county["wrote"].values()]
    size = sum(each["bytes"] for each in files)
    click.echo(f"{out}: {len(done['counties'])} counties, {len(files)} files, {size / 1e6:,.1f} MB")
