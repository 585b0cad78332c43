"""`gridmgmt plan settle|recompute`: what follows the day on which new grids come into force."""

from dataclasses import asdict

import click

from gridmgmt.calendar import china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import print_json
from gridmgmt.importing import progress
from gridmgmt.planning import publish
from gridmgmt.planning.recompute import HOT
from gridmgmt.planning.recompute import recompute as make_anew


@click.command("settle")
def settle() -> None:
    """Move households, open matters, tasks and accounts to grids whose day has come; run it every night."""
    with ready() as engine, engine.begin() as connection:
        done = publish.settle(connection, china_today())
    for plan, moved in done.items():
        click.echo(
            f"方案 {plan}：建筑 {moved['buildings']}，未结诉求 {moved['matters']}，"
            f"任务 {moved['tasks']}，账号 {moved['accounts']}"
        )
    if not done:
        click.echo("没有到期的方案")


@click.command("recompute")
@click.option("--json", "as_json", is_flag=True)
def recompute(as_json: bool) -> None:
    """Make hotspot runs and coming lists anew on today's grids; say what only the boundary changed."""
    with ready() as engine, progress.shown("按现行网格重算") as bar:
        done = make_anew(engine, progress=bar)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(f"重算热点 {done.runs} 次，清单 {done.lists} 份")
    for each in done.changes:
        turn = "变为热点" if each.now >= HOT else "不再是热点"
        click.echo(
            f"  {each.level} {each.start} 至 {each.end} {each.code}（原 {each.was_code}）{turn}：只因边界变化"
        )
    for failure in done.failed:
        click.echo(f"  没有算成：{failure}", err=True)
