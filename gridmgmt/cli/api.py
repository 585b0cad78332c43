"""`gridmgmt api`: keys of the interface, and the webhooks that tell other programs of every act."""

import getpass
import time
from datetime import UTC, datetime

import click
from sqlalchemy import Engine

from gridmgmt.calendar import china_today
from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.opening import keys, webhooks
from gridmgmt.incidents.opening.keys import Scope
from gridmgmt.privacy.keyring import KeyRing

HERE = click.option("--allow-here", is_flag=True, help="Let messages go to this machine too (to try out).")


@click.group()
def api() -> None:
    """The interface for programs of others."""


@api.group("key")
def key() -> None:
    """Keys that programs show."""


@key.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(map(str, Scope))))
@click.option("--a-minute", type=int, default=keys.A_MINUTE, show_default=True, help="Calls a minute.")
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it holds.")
def add_key(name: str, scopes: tuple[str, ...], a_minute: int, expires: datetime | None) -> None:
    """Make a key and print it; it cannot be shown again."""
    last = expires.date() if expires else None
    with ready() as engine:
        click.echo(keys.add(engine, name, scopes, _who(), a_minute=a_minute, expires_on=last))


@key.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_keys(as_json: bool) -> None:
    """Print every key without the key itself."""
    with ready() as engine:
        lines = keys.listed(engine)
    if as_json:
        print_json([{**vars(line), "stands": line.stands(china_today())} for line in lines])
        return
    table = new_table("keys", ("name", "scopes", "#a minute", "until", "last used", "made", "stands"))
    for line in lines:
        table.add_row(
            line.name, " ".join(line.scopes), str(line.a_minute), str(line.expires_on or ""),
            str(line.used_on or ""), f"{line.made_at:%Y-%m-%d} {line.made_by}",
            "yes" if line.stands(china_today()) else "no",
        )  # fmt: skip
    print_table(table)


@key.command("revoke")
@click.argument("name")
def revoke_key(name: str) -> None:
    """End a key at once and for ever."""
    with ready() as engine:
        keys.revoke(engine, name, _who())
    click.echo(f"{name} is revoked")


@api.group("webhook")
def webhook() -> None:
    """Addresses that are told of every act on a matter."""


@webhook.command("add")
@click.argument("name")
@click.argument("url")
@click.option(
    "--act", "acts", multiple=True, type=click.Choice([act.value for act in Act]), help="Default: all."
)
def add_webhook(name: str, url: str, acts: tuple[str, ...]) -> None:
    """Begin to tell an address, and print the secret that signs; it cannot be shown again."""
    with ready() as engine:
        click.echo(webhooks.add(engine, KeyRing.opened(), name, url, acts, _who()))


@webhook.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_webhooks(as_json: bool) -> None:
    """Print every address and how it stands."""
    with ready() as engine:
        lines = webhooks.listed(engine)
    if as_json:
        print_json([vars(line) for line in lines])
        return
    table = new_table(
        "webhooks", ("name", "address", "acts", "#waiting", "#failures", "last answer", "active")
    )
    for line in lines:
        table.add_row(
            line.name, line.url, " ".join(line.acts) or "all", str(line.waiting), str(line.failures),
            line.last_answer or "", "yes" if line.active else "no",
        )  # fmt: skip
    print_table(table)


@webhook.command("test")
@click.argument("name")
@HERE
def test_webhook(name: str, allow_here: bool) -> None:
    """Send one signed message and say what came of it; exit code 1 when it was not taken."""
    with ready() as engine:
        answer = webhooks.ping(engine, KeyRing.opened(), name, allow_here=allow_here)
    click.echo(f"{'taken' if answer.taken else 'not taken'}: {answer.words}")
    if not answer.taken:
        raise SystemExit(1)


@webhook.command("switch")
@click.argument("name")
@click.option("--on/--off", required=True)
def switch_webhook(name: str, on: bool) -> None:
    """Switch an address off, or on again: then it is told what it missed."""
    with ready() as engine:
        webhooks.switch(engine, name, _who(), on=on)
    click.echo(f"{name} is {'on' if on else 'off'}")


@api.command("deliver")
@click.option("--every", type=click.IntRange(1), help="Go on for ever, with so many seconds in between.")
@click.option("--json", "as_json", is_flag=True)
@HERE
def deliver(every: int | None, as_json: bool, allow_here: bool) -> None:
    """Tell every address what it has not been told yet; run it every minute, or with --every."""
    with ready() as engine:
        while True:
            done = _drain(engine, allow_here=allow_here)
            if as_json:
                print_json(vars(done))
            elif done != webhooks.Delivered():
                click.echo(f"{done.sent} sent, {done.failed} failed, {done.switched_off} switched off")
            if every is None:
                return
            time.sleep(every)


def _drain(engine: Engine, *, allow_here: bool) -> webhooks.Delivered:
    """Deliver until nothing is left that is due."""
    done = webhooks.Delivered()
    while True:
        once = webhooks.deliver(engine, KeyRing.opened(), datetime.now(UTC), allow_here=allow_here)
        done += once
        if not once.sent:
            return done


def _who() -> str:
    return f"cli:{getpass.getuser()}"
