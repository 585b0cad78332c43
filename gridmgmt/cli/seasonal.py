"""`gridmgmt seasonal`: make the seasonal list and print it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import click
from rich.table import Table
from sqlalchemy import Connection

from gridmgmt.cli.database import ready
from gridmgmt.cli.effects import effect
from gridmgmt.cli.export import export
from gridmgmt.cli.pool import pool
from gridmgmt.cli.printing import new_table, print_json, print_table, write_whole
from gridmgmt.cli.tasks import tasks
from gridmgmt.config import SEED, settings
from gridmgmt.db.engine import READER
from gridmgmt.errors import ConflictError
from gridmgmt.hotspots.cube import locate
from gridmgmt.importing import progress
from gridmgmt.seasonal import actions, score, service, stored
from gridmgmt.seasonal.models import CLOCK_NAMES, VERDICT_NAMES
from gridmgmt.seasonal.stored import Item


@click.group()
def seasonal() -> None:
    """The seasonal list (时令清单治未病)."""


@seasonal.command("build")
@click.option("--year", type=int, required=True, help="The year the list is for.")
@click.option(
    "--capacity", type=int, default=service.CAPACITY, show_default=True, help="Items an area and 旬."
)
@click.option("--json", "as_json", is_flag=True)
def build(year: int, capacity: int, as_json: bool) -> None:
    """Find what comes back every year and store the list for a year."""
    with ready() as engine:
        built = service.build(engine, year, capacity=capacity)
    if as_json:
        print_json(asdict(built))
        return
    click.echo(
        f"{year} 年时令清单：{built.items} 项；另有 {built.cut} 项超出每处每旬 {capacity} 项的承载。"
        f"\n问题库：{built.told} 件诉求，合并重复后 {built.problems} 个问题。"
        f"\n有时令 {built.seasonal} 类，有起伏但不够突出 {built.weak} 类，没有时令规律 {built.no_season} 类，"
        f"数量不足 {built.not_enough} 类，没有诉求 {built.no_matters} 类。"
    )


@seasonal.command("actions")
@click.option("--copy", is_flag=True, help="Put a copy into the home folder, to be edited there.")
def show_actions(copy: bool) -> None:
    """Show the library of actions: what is done about which categories, and how long before."""
    own = settings().home / actions.NAME
    if copy:
        if own.exists():
            raise ConflictError(f"{own} is there already; edit it, or move it away first")
        write_whole(own, actions.OURS.read_bytes())
    found = actions.library()
    table = new_table(f"措施库 {found.path}", ("类别词或代码", "#提前天数", "提前做什么"))
    for action in (*found.actions, found.default):
        lead = "由往年数据定" if action.lead_days is None else str(action.lead_days)
        table.add_row("、".join((*action.words, *action.categories)) or "其他", lead, action.text)
    print_table(table)


@seasonal.command("show")
@click.option("--year", type=int, help="Default: the latest list.")
@click.option("--area", help="A division or grid code; its own items and those of the areas around it.")
@click.option("--limit", type=int, default=0, help="Print the first N items only.")
@click.option("--json", "as_json", is_flag=True, help="Print all items as JSON.")
def show(year: int | None, area: str | None, limit: int, as_json: bool) -> None:
    """Print the seasons of the list, then every item in the order of the days by which to act."""
    with ready(READER) as engine, engine.connect() as connection:
        items = stored.items(connection, year, [area] if area else None)
    if as_json:
        print_json([asdict(item) for item in items])
        return
    print_list(items, limit)


@seasonal.command("verdicts")
@click.option("--year", type=int, help="Default: the latest list.")
@click.option("--json", "as_json", is_flag=True)
def show_verdicts(year: int | None, as_json: bool) -> None:
    """Print what the list says about every category: that there is no season is a result too."""
    with ready(READER) as engine, engine.connect() as connection:
        run = stored.run_of(connection, stored.latest_year(connection) if year is None else year)
        found = stored.verdicts(connection, run)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    table = new_table(
        f"{run.year} 年清单对各类的结论（{run.start} 至 {run.end}）",
        ("代码", "类别", "结论", "#诉求", "#问题", "历法", "#q 扫描", "#p 谐波", "#p W-E", "#去一年成立"),
    )
    for each in found:
        numbers = (each.q_scan, each.p_harmonic, each.p_walter_elwood)
        table.add_row(
            each.category,
            each.category_name,
            VERDICT_NAMES[each.verdict],
            str(each.told),
            str(each.problems),
            CLOCK_NAMES[each.clock] if each.clock else "",
            *("" if value is None else f"{value:.3f}" for value in numbers),
            "" if each.stable is None else str(each.stable),
        )
    print_table(table)


@seasonal.command("score")
@click.option("--year", type=int, help="Default: the latest list.")
@click.option("--null", "null_cities", type=int, default=0, help="Also run N cities without any season.")
@click.option("--json", "as_json", is_flag=True)
def score_list(year: int | None, null_cities: int, as_json: bool) -> None:
    """Hold a list of the sample city against what was planted in it."""
    with ready(READER) as engine, engine.connect() as connection:
        run = stored.run_of(connection, stored.latest_year(connection) if year is None else year)
        planted = score.read_truth(settings().home / "sample" / "truth.json", run.year)
        result = asdict(score.score(stored.items(connection, run.year), planted))
        if null_cities:
            result |= _null(connection, run, null_cities)
    if as_json:
        print_json(result)
        return
    for name, value in result.items():
        click.echo(f"{name:<20} {value}")


def _null(connection: Connection, run: stored.ListRun, cities: int) -> dict[str, int]:
    problems = locate(connection, run.start, run.end).problems()
    found = []
    with progress.shown("没有时令的城市") as bar:
        bar.total(cities)
        for number, items in enumerate(score.null_lists(problems, cities, SEED), 1):
            found.append(items)
            bar.at(number)
    return {"null_cities": cities, "null_cities_with_items": sum(map(bool, found)), "null_items": sum(found)}


for command in (pool, export, tasks, effect):
    seasonal.add_command(command)


def print_list(items: Sequence[Item], limit: int = 0) -> None:
    """Print one line a season, then the items; says what it left out."""
    if not items:
        click.echo("清单为空。先运行: gridmgmt seasonal build --year YYYY")
        return
    year = items[0].year
    print_table(_seasons_table(items))
    click.echo()
    print_table(_items_table(items[: limit or None]))
    cut = sum(item.cut for item in items)
    if cut:
        click.echo(f"其中 {cut} 项超出所在地方每旬的承载，未列入下发")
    left = len(items) - limit if limit else 0
    more = f"，另有 {left} 项未列出: gridmgmt seasonal show --year {year} --area 代码" if left > 0 else ""
    click.echo(f"共 {len(items)} 项{more}")


def _seasons_table(items: Sequence[Item]) -> Table:
    seasons: dict[tuple[str, date], list[Item]] = {}
    for item in items:
        seasons.setdefault((item.category, item.start_on), []).append(item)
    table = new_table(
        f"{items[0].year} 年时令清单治未病",
        ("最迟", "窗口", "历法", "事项", "#处", "#预计", "最突出", "把握", "提前做什么"),
    )
    for season in seasons.values():
        first = max(season, key=lambda item: item.expected)
        table.add_row(
            _day(first.act_by, first.year),
            f"{first.start_on:%m-%d}—{first.end_on:%m-%d}",
            first.clock_name,
            first.category_name,
            str(len(season)),
            f"{sum(item.expected for item in season):.0f}",
            first.area_name,
            first.confidence,
            first.action,
        )
    return table


def _items_table(items: Sequence[Item]) -> Table:
    table = new_table(
        "逐项（按最迟动手日期）",
        ("最迟", "窗口", "事项", "区域", "#预计", "#倍数", "把握", "网格长", "提前做什么"),
    )
    for item in items:
        table.add_row(
            _day(item.act_by, item.year),
            f"{item.start_on:%m-%d}—{item.end_on:%m-%d}",
            item.category_name,
            item.area_name + ("（超出承载）" if item.cut else ""),
            f"{item.expected:.0f}（{item.expected_low:.0f}–{item.expected_high:.0f}）",
            f"{item.ratio:.1f}",
            item.confidence,
            item.chief or "",
            item.action,
        )
    return table


def _day(day: date, year: int) -> str:
    return f"{day:%m-%d}" if day.year == year else f"{day:%Y-%m-%d}"
