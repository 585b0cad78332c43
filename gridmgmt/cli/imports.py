"""`gridmgmt import …`: files into the database, with one calm line a file about what came of its rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from gridmgmt.cli.database import ready
from gridmgmt.cli.importers import KINDS, Importer, Kind, place_again
from gridmgmt.importing import progress
from gridmgmt.importing.mapping import Mapping, load_mapping
from gridmgmt.importing.report import COUNTS, SHOWN, Report

EXTRA = ("outside", "without_place")
EXTRA_WORDS = {
    "outside": "outside every grid", "without_place": "without a place", "left": "people have left",
    "waiting": "rows now wait for review", "cases_begun": "begun here", "cases_closed": "closed by the file",
}  # fmt: skip


@click.group("import")
def imports() -> None:
    """Import files: divisions, categories, grids, workers, roster, incidents, layers, tasks.

    Rows that cannot be taken are told with their reason, and the others are imported: the command succeeds
    when the file could be read. --rejects writes all rejected rows to a file.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    path = click.Path(path_type=Path, dir_okay=False)
    for option in reversed((
        click.argument("files", nargs=-1, type=path, metavar="FILE…"),
        click.option("--mapping", type=path, help="TOML that says how the file's columns are called here."),
        click.option("--crs", help="wgs84, cgcs2000, gcj02, bd09 or EPSG:n; overrides the mapping file."),
        click.option("--dry-run", is_flag=True, help="Check, say what would happen, change nothing."),
        click.option("--rejects", type=path, help="Write every rejected row with its reason to this CSV."),
        click.option("--json", "as_json", is_flag=True, help="Print the counts of all files as last line."),
    )):  # fmt: skip
        command = option(command)
    return command


def _command(name: str, kind: Kind) -> None:
    @imports.command(name, help=kind.words)
    @_options
    def run(files: tuple[Path, ...], **options: Any) -> None:
        if not files:
            raise click.UsageError("name at least one FILE")
        import_files(files, kind.importer(), after=_place_again if kind.moves else None, **options)


def import_files(
    files: tuple[Path, ...],
    importer: Importer,
    *,
    mapping: Path | None,
    crs: str | None,
    dry_run: bool,
    rejects: Path | None,
    as_json: bool,
    after: Callable[[Engine], None] | None = None,
) -> None:
    """Import files one after the other, each in its own transaction, and print what came of them.

    Raises GridmgmtError at the first file that cannot be read; the files before it stay imported.
    """
    chosen = load_mapping(mapping, crs=crs)
    reports = []
    with ready() as engine:
        for path in files:
            reports.append(
                _import(engine, path, importer, chosen, dry_run, _rejects_of(path, files, rejects))
            )
            _print(reports[-1], rejects=_rejects_of(path, files, rejects))
        changed = any(report.new + report.updated for report in reports)
        if after and changed and not dry_run:
            after(engine)
    if as_json:
        click.echo(json.dumps(summed(reports), ensure_ascii=False))


def _import(
    engine: Engine, path: Path, importer: Importer, mapping: Mapping, dry_run: bool, rejects: Path | None
) -> Report:
    with progress.shown(path.name) as bar:
        return importer(engine, path, mapping, dry_run=dry_run, rejects=rejects, progress=bar)


def _rejects_of(path: Path, files: tuple[Path, ...], rejects: Path | None) -> Path | None:
    """Return the rejects file of one file: with several files each has its own, as their columns differ."""
    if rejects is None or len(files) == 1:
        return rejects
    ending = "" if path.suffix == rejects.suffix else rejects.suffix
    return rejects.with_name(f"{rejects.stem}.{path.name}{ending}")


def _print(report: Report, rejects: Path | None) -> None:
    counts = ", ".join(f"{name} {getattr(report, name):,}" for name in COUNTS)
    extra = "".join(
        f"; {report.extra[name]:,} {EXTRA_WORDS[name]}" for name in EXTRA_WORDS if name in report.extra
    )
    tried = "would import: " if report.dry_run else ""
    click.echo(f"{report.file.name}: {tried}{counts}{extra} ({report.seconds:.1f} s)")
    for warning in report.warnings:
        click.echo(f"  note: {warning}")
    if not report.rejected:
        return
    for reason in report.first_reasons:
        click.echo(f"  {reason}")
    if rejects:
        click.echo(f"  all {report.rejected:,} rejected rows with their reasons: {rejects}")
    elif report.rejected > SHOWN:
        click.echo(
            f"  … {report.rejected - SHOWN:,} more; add --rejects OUT.csv to write all of them to a file"
        )
    click.echo(f"  the file was read; {report.rejected:,} of its rows were not imported")


def summed(reports: list[Report]) -> dict[str, Any]:
    """Return counts of all files together, as `--json` prints them."""
    total: dict[str, Any] = {name: sum(getattr(report, name) for report in reports) for name in COUNTS}
    total["seconds"] = round(sum(report.seconds for report in reports), 3)
    extra = [name for name in EXTRA_WORDS if name in EXTRA or any(name in report.extra for report in reports)]
    total |= {name: sum(report.extra.get(name, 0) for report in reports) for name in extra}
    total["warnings"] = [warning for report in reports for warning in report.warnings]
    return total


def _place_again(engine: Engine) -> None:
    matters, buildings = place_again(engine)
    click.echo(f"grids changed: {matters:,} matters and {buildings:,} buildings moved")


for _name, _kind in KINDS.items():
    _command(_name, _kind)


@imports.command("roster")
@click.option(
    "--template", type=click.Path(path_type=Path, dir_okay=False), help="Write an empty roster and stop."
)
@_options
def roster(files: tuple[Path, ...], template: Path | None, **options: Any) -> None:
    """Who lives where (人房关联), one row a person; without names people are only counted."""
    from gridmgmt.households.incoming.importer import import_roster
    from gridmgmt.households.incoming.template import write_template

    if template:
        write_template(template)
        click.echo(f"an empty roster to fill in: {template}")
    elif not files:
        raise click.UsageError("name at least one FILE, or --template OUT.xlsx")
    if files:
        import_files(files, import_roster, **options)
