"""`gridmgmt matters`: flows and holidays of a city, and what time does to matters."""

import getpass
from dataclasses import asdict
from pathlib import Path

import click

from gridmgmt.calendar import CHINA, china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table, text_of
from gridmgmt.config import settings
from gridmgmt.errors import FileError
from gridmgmt.incidents import holidays as table
from gridmgmt.incidents.flows import stored
from gridmgmt.incidents.flows.flow import Flow, Limit
from gridmgmt.incidents.flows.reading import as_json, as_text, read
from gridmgmt.incidents.handling.tick import tick as run

File = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def matters() -> None:
    """Matters (诉求、纠纷): their flows, working days and clock."""


@matters.group()
def flows() -> None:
    """The flows by which matters are handled."""


@flows.command("list")
@click.option("--json", "as_json_", is_flag=True)
def list_flows(as_json_: bool) -> None:
    """List the flows by which new matters go."""
    with ready() as engine, engine.connect() as connection:
        active = [version for version in stored.versions(connection) if version.active]
    if as_json_:
        print_json([{"id": version.id} | as_json(version.flow) for version in active])
        return
    shown = new_table("办理流程", ("代码", "名称", "#总时限", "步骤与时限", "由谁装入", "时间"))
    for version in active:
        steps = " → ".join(f"{step.name}{_limit(step.limit)}" for step in version.flow.steps)
        shown.add_row(
            version.code, version.name, f"{version.flow.days} 个工作日", steps, version.added_by,
            f"{version.added_at.astimezone(CHINA):%Y-%m-%d}",
        )  # fmt: skip
    print_table(shown)


def _limit(limit: Limit) -> str:
    if not limit.is_set:
        return ""
    return f"({limit.hours} 小时)" if limit.hours else f"({limit.days} 日)"


@flows.command("show")
@click.argument("code")
def show_flow(code: str) -> None:
    """Print the file of a flow, to be changed and loaded again."""
    with ready() as engine, engine.connect() as connection:
        flow = stored.flow_of(connection, stored.active_id(connection, code))
    click.echo(as_text(flow), nl=False)


@flows.command("check")
@click.argument("file", type=File)
def check_flow(file: Path) -> None:
    """Say whether a flow file may be loaded; exit code 2, with everything that is wrong, when not."""
    flow = read(text_of(file), file.name)
    click.echo(f"{flow.name}（{flow.code}）：{len(flow.steps)} 步，可以使用")


@flows.command("load")
@click.argument("file", type=File)
def load_flow(file: Path) -> None:
    """Make a flow the one by which new matters of its code go; the others end as they began."""
    with ready() as engine:
        code = stored.load(engine, getpass.getuser(), text_of(file), file.name)
        with engine.connect() as connection:
            flow: Flow = stored.active(connection)[code]
    click.echo(f"{flow.name}（{code}）：新登记的诉求按此办理，已登记的按原流程办结")


@matters.group()
def holidays() -> None:
    """The days off and days worked that working-day limits go by."""


@holidays.command("list")
@click.option("--json", "as_json_", is_flag=True)
def list_years(as_json_: bool) -> None:
    """List the years whose holidays are known, and warn of the missing ones."""
    with ready() as engine, engine.connect() as connection:
        years = {year: table.days_of(connection, year) for year in table.years(connection)}
    missing = [year for year in (china_today().year, china_today().year + 1) if year not in years]
    if as_json_:
        days = {year: [asdict(day) for day in found] for year, found in years.items()}
        print_json({"years": days, "missing": missing})
        return
    shown = new_table("节假日", ("年份", "#放假", "#调休上班", "节日"))
    for year, found in years.items():
        off = [day for day in found if day.kind == "off"]
        names = "、".join(dict.fromkeys(day.name for day in found))
        shown.add_row(str(year), str(len(off)), str(len(found) - len(off)), names)
    print_table(shown)
    _warn(missing)


@holidays.command("load")
@click.argument("file", type=File)
def load_year(file: Path) -> None:
    """Put the days of a file in the place of its year's: TOML as `holidays.toml`, or CSV (day,kind,name)."""
    days = table.read(text_of(file), file.name)
    years = sorted({day.day.year for day in days})
    if len(years) != 1:
        raise FileError(file.name, "year", ", ".join(map(str, years)), "the days of one year")
    with ready() as engine:
        table.replace_year(engine, getpass.getuser(), years[0], days)
    click.echo(f"{years[0]} 年：{len(days)} 天已更新；已经定下的办理期限不变")


@matters.command("tick")
@click.option("--json", "as_json_", is_flag=True)
def tick(as_json_: bool) -> None:
    """Put matters under supervision that are long over their limit; run it every hour."""
    with ready() as engine:
        done = run(engine)
    if as_json_:
        print_json(asdict(done))
        return
    click.echo(f"自动督办 {done.escalated} 件；清理过期的重复提交标记 {done.keys} 个")
    _warn(done.missing)


@matters.command("learn")
@click.option("--json", "as_json_", is_flag=True)
def learn(as_json_: bool) -> None:
    """Learn to suggest categories from the words of the newest matters."""
    from gridmgmt.incidents import suggest

    with ready() as engine:
        report = suggest.learn(engine, settings().home / suggest.FILE)
    if as_json_:
        print_json(asdict(report))
        return
    click.echo(
        f"{report.matters} matters of {report.categories} categories; of {report.held_out} held out "
        f"{report.top_1:.1%} right at first, {report.top_3:.1%} among three; "
        f"calibration error {report.error:.1%}"
    )


def _warn(missing: list[int] | tuple[int, ...]) -> None:
    for year in missing:
        click.echo(f"注意：缺 {year} 年节假日，暂按周末计算；公布后用 matters holidays load 装入", err=True)
