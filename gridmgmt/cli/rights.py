"""`gridmgmt privacy nightly|reapply` and `gridmgmt keys rotate`: what the owner of the data runs."""

from dataclasses import asdict

import click

from gridmgmt.calendar import china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import print_json
from gridmgmt.config import settings
from gridmgmt.households import rotation
from gridmgmt.households.rights import retention
from gridmgmt.households.rights.erase import reapply as erase_again
from gridmgmt.importing import progress
from gridmgmt.incidents.parties import service as parties
from gridmgmt.privacy import accounts
from gridmgmt.privacy.keyring import KeyRing


@click.group()
def privacy() -> None:
    """What the time of keeping ends, and who was erased."""


@privacy.command("nightly")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True)
def nightly(dry_run: bool, as_json: bool) -> None:
    """Erase, empty and close what the field register keeps no longer; run it every night."""
    chosen = settings()
    with ready() as engine:
        ended = retention.nightly(engine, KeyRing.opened(chosen), chosen.home, china_today(), dry_run=dry_run)
        erased = parties.erase_old(engine, china_today(), dry_run=dry_run)
        sessions = accounts.clear_sessions(engine, china_today(), dry_run=dry_run)
    if as_json:
        print_json({**asdict(ended), "parties": erased, "sessions": sessions, "dry_run": dry_run})
        return
    for key, count in asdict(ended).items():
        click.echo(f"{'将' if dry_run else ''}{retention.ENDED_NAMES[key]}：{count}")
    click.echo(f"{'将' if dry_run else ''}{parties.ERASED_NAME}：{erased}")
    click.echo(f"{'将' if dry_run else ''}{accounts.CLEARED_NAME}：{sessions}")


@privacy.command("reapply")
@click.option("--json", "as_json", is_flag=True)
def reapply(as_json: bool) -> None:
    """Erase again whom a restored backup brought back; run it before anybody works on."""
    chosen = settings()
    with ready() as engine:
        done = erase_again(engine, KeyRing.opened(chosen), chosen.home)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(f"再次删除 {done.erased} 人；已删除 {done.gone} 人；编号已属他人、未动 {done.others} 人")


@click.command("rotate")
@click.option("--json", "as_json", is_flag=True)
def rotate(as_json: bool) -> None:
    """Seal every stored value anew with the active key; can be broken off and run again."""
    with ready() as engine, progress.shown("更换密钥") as bar:
        done = rotation.rotate(engine, KeyRing.opened(), progress=bar)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(f"{done.done} values sealed anew, {done.left} left under older keys")
    for table, number in done.damaged:
        click.echo(f"  does not open: {table} {number}", err=True)
