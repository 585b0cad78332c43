"""`gridmgmt seasonal export`: the seasonal list as a file for Excel, for Word or for a calendar."""

import getpass
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import Connection

from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import write_whole
from gridmgmt.db.engine import READER
from gridmgmt.errors import ConflictError, NotFoundError
from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.seasonal import stored
from gridmgmt.seasonal.export import Form, Handout, file_name
from gridmgmt.seasonal.export import export as exported


@click.command("export")
@click.option("--year", type=int, help="Default: the latest list.")
@click.option("--format", "form", type=click.Choice([form.value for form in Form]), required=True)
@click.option("--area", help="A division or grid code; its own items and those of the areas around it.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: 时令清单_YEAR_AREA in this folder.")
@click.option("--force", is_flag=True, help="Overwrite the file when it is there.")
def export(year: int | None, form: str, area: str | None, out: Path | None, force: bool) -> None:
    """Write the seasonal list as a file: xlsx for the office, docx for the meeting, ics for calendars."""
    with ready(READER) as engine, engine.connect() as connection:
        handout = _handout(connection, year, area)
    chosen = Form(form)
    path = _target(out, file_name(chosen, handout), force=force)
    write_whole(path, exported(chosen, handout))
    click.echo(f"{path}：{handout.title} {handout.year} 年 {len(handout.items)} 项")


def _handout(connection: Connection, year: int | None, area: str | None) -> Handout:
    """Read what is exported; NotFoundError when there is no such list or no such area."""
    year = year or next(iter(stored.years(connection)), None)
    if year is None:
        raise NotFoundError("no list yet; make it with: gridmgmt seasonal build --year YYYY")
    run = stored.run_of(connection, year)
    divisions = grids.division_names(connection)
    return Handout(
        year=year,
        title=_title(connection, divisions, area),
        area="" if area is None or len(area) <= DIGITS["county"] else area,
        run=run,
        items=stored.items(connection, year, [area] if area else None),
        verdicts=stored.verdicts(connection, run),
        divisions=divisions,
        by=_user(),
        at=datetime.now(UTC),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that no name belongs to
        return "命令行"


def _title(connection: Connection, divisions: dict[str, str], area: str | None) -> str:
    if area is None:
        return next(
            (name for code, name in sorted(divisions.items()) if len(code) == DIGITS["county"]), "全部"
        )
    names = divisions | {code: name for code, (name, _) in grids.grid_names(connection).items()}
    if area not in names:
        raise NotFoundError(f"no division or grid in force has the code {area}")
    return names[area]


def _target(out: Path | None, name: str, *, force: bool) -> Path:
    path = Path(name) if out is None else out / name if out.is_dir() else out
    if path.exists() and not force:
        raise ConflictError(
            f"{path} is there already; give another name with --out, or --force to overwrite it"
        )
    return path
