"""`gridmgmt seasonal tasks`: hand the list out, and see what became of it."""

from dataclasses import asdict
from datetime import date, datetime

import click
from rich.table import Table

from gridmgmt.calendar import china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.db.engine import READER, WRITER, acting
from gridmgmt.db.models import Role
from gridmgmt.seasonal import stored as seasonal
from gridmgmt.seasonal.tasks import service, stored
from gridmgmt.seasonal.tasks.stored import Task

# Who the record names for what was done on the server itself.
USERNAME = "cli"


@click.group()
def tasks() -> None:
    """Tasks that the list's items become (下发任务)."""


@tasks.command("hand-out")
@click.option("--year", type=int, required=True, help="The year of the list.")
@click.option("--area", default="", help="A division or grid code: only what lies inside it.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="Only items whose day to act is up to this one."
)
@click.option("--json", "as_json", is_flag=True)
def hand_out(year: int, area: str, until: datetime | None, as_json: bool) -> None:
    """Make tasks of the list's items; items that have one already are left, so it is safe to repeat."""
    with ready(READER) as engine, engine.connect() as connection:
        items = seasonal.items(connection, year, [area] if area else None)
    if until:
        items = [item for item in items if item.act_by <= until.date()]
    with ready(WRITER) as engine:
        done = service.hand_out(engine, service.Actor(USERNAME, Role.COMMAND, area), items)
    if as_json:
        print_json(asdict(done))
        return
    left = "".join(f"；{service.LEFT_NAMES[why]} {count} 项" for why, count in done.left.items())
    click.echo(f"下发 {done.made} 项{left}")


@tasks.command("show")
@click.option("--year", type=int, help="Default: the latest year that has tasks.")
@click.option("--area", default="", help="A division or grid code: only what lies inside it.")
@click.option("--overdue", is_flag=True, help="Only open tasks whose day has passed.")
@click.option("--json", "as_json", is_flag=True, help="Print all tasks as JSON.")
def show(year: int | None, area: str, overdue: bool, as_json: bool) -> None:
    """Print tasks in the order of the days by which to act."""
    today = china_today()
    with ready(WRITER) as engine, acting(engine, USERNAME, area) as connection:
        chosen = year or next(iter(stored.years(connection)), None)
        found = stored.tasks(connection, area, chosen)
    if overdue:
        found = [task for task in found if task.days_over(today)]
    if as_json:
        print_json([asdict(task) | {"days_over": task.days_over(today)} for task in found])
    elif found:
        print_table(_table(found, today))
        click.echo(f"共 {len(found)} 项，超期 {sum(bool(task.days_over(today)) for task in found)} 项")
    elif overdue:
        click.echo("没有超期的任务。")
    else:
        click.echo("没有任务。先运行: gridmgmt seasonal tasks hand-out --year YYYY")


def _table(tasks: list[Task], today: date) -> Table:
    table = new_table(
        f"{tasks[0].year} 年清单任务", ("期限", "状态", "事项", "区域", "网格长", "办理日期", "原因或备注")
    )
    for task in tasks:
        over = task.days_over(today)
        table.add_row(
            task.due_on.isoformat(),
            f"超期 {over} 天" if over else task.status_name,
            task.category_name,
            task.area_name,
            task.chief or "",
            task.done_on.isoformat() if task.done_on else "",
            task.reason or task.note or "",
        )
    return table
