"""`gridmgmt seasonal pool`: the issue pool (问题库) that lists are made of, as a table and as a file."""

import csv
import io
from datetime import date, datetime
from pathlib import Path

import click
import numpy as np

from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table, write_whole
from gridmgmt.db.engine import READER
from gridmgmt.errors import NotEnoughDataError
from gridmgmt.incidents import service as incidents
from gridmgmt.incidents.pool import FOLD_DAYS, FOLD_METRES, IssuePool, issue_pool

DAY = click.DateTime(formats=["%Y-%m-%d"])
YEARS = 4
HEADINGS = ("首件编号", "类别代码", "类别", "首次", "末次", "诉求件数", "渠道", "经度", "纬度")


@click.command("pool")
@click.option("--from", "start", type=DAY, help=f"First day; default: {YEARS} years before the last.")
@click.option("--to", "end", type=DAY, help="Last day; default: that of the last matter.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write every problem as CSV.")
@click.option("--json", "as_json", is_flag=True)
def pool(start: datetime | None, end: datetime | None, out: Path | None, as_json: bool) -> None:
    """Fold matters told twice into one problem and show what is left of each category."""
    with ready(READER) as engine, engine.connect() as connection:
        known = incidents.period(connection)
        if known is None:
            raise NotEnoughDataError("matters", 0, "at least one; gridmgmt import incidents FILE brings them")
        last = end.date() if end else known[1]
        first = start.date() if start else date(last.year - YEARS + 1, 1, 1)
        found = issue_pool(connection, first, last)
        names = incidents.categories(connection)
    if out:
        _write(found, names, out)
    rows = _by_category(found, names)
    told = int(found.told.sum())
    if as_json:
        facts = {"from": first, "to": last, "fold_metres": FOLD_METRES, "fold_days": FOLD_DAYS}
        print_json(facts | {"told": told, "problems": len(found.id), "categories": rows})
        return
    table = new_table(f"问题库 {first} 至 {last}", ("代码", "类别", "#诉求", "#问题", "#合并", "#多渠道"))
    for row in rows:
        texts = (f"{value:.0%}" if isinstance(value, float) else str(value) for value in row.values())
        table.add_row(*texts)
    print_table(table)
    rule = f"{FOLD_METRES:.0f} 米、{FOLD_DAYS} 天内同类的算一个"
    click.echo(f"{told} 件诉求，{rule}，合并后 {len(found.id)} 个问题")


def _by_category(found: IssuePool, names: incidents.Categories) -> list[dict[str, object]]:
    """Return one row a category, those with most problems first."""
    n = len(found.categories)
    problems = np.bincount(found.category, minlength=n)
    told = np.bincount(found.category, weights=found.told, minlength=n).astype(int)
    several = np.bincount(found.category[[len(each) > 1 for each in found.channels]], minlength=n)
    order = np.argsort(-problems, kind="stable").tolist()
    return [
        {
            "category": found.categories[k], "name": names.name(found.categories[k]), "told": int(told[k]),
            "problems": int(problems[k]), "folded": round(1 - int(problems[k]) / int(told[k]), 4),
            "several_channels": int(several[k]),
        }
        for k in order
    ]  # fmt: skip


def _write(found: IssuePool, names: incidents.Categories, out: Path) -> None:
    """Write a row a problem."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(HEADINGS)
    codes = [found.categories[k] for k in found.category.tolist()]
    columns = (
        found.id.tolist(), codes, map(names.name, codes), found.first_day.tolist(),
        found.last_day.tolist(), found.told.tolist(), map("、".join, found.channels),
        found.lon.round(6).tolist(), found.lat.round(6).tolist(),
    )  # fmt: skip
    writer.writerows(zip(*columns, strict=True))
    write_whole(out, stream.getvalue().encode("utf-8-sig"))  # Excel knows UTF-8 by its mark
