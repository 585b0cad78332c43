"""`gridmgmt account`: who may sign in, from the command line: the first administrator, and when none can."""

import sys

import click

from gridmgmt.cli.database import ready
from gridmgmt.config import settings
from gridmgmt.db.models import Role
from gridmgmt.privacy import accounts
from gridmgmt.privacy.accounts import COMMAND_LINE, NewAccount

_keep = click.option(
    "--keep", is_flag=True, help="The password stays: for machines and demonstrations, never for people."
)


def _password() -> str:
    """Return the password that is typed, or a line of the input; never an argument, which `ps` shows."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


@click.group()
def account() -> None:
    """Who may sign in."""


@account.command("create")
@click.argument("username")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--name", default="", help="The name shown on the page.")
@click.option("--area", help="Grid code (grid_worker) or town code (town_officer).")
@click.option("--unit", help="Name of the department (department).")
@_keep
def create(username: str, role: str, name: str, area: str | None, unit: str | None, keep: bool) -> None:
    """Make an account; the password is asked for, or read from the input when that is no terminal.

    Its owner chooses another one at the first sign-in.
    """
    new, password = NewAccount(username, name or username, role, area, unit), _password()
    with ready() as engine:
        accounts.create(engine, COMMAND_LINE, new, password, must_change=not keep)
    click.echo(f"{username} ({role})")


@account.command("password")
@click.argument("username")
@_keep
def password_(username: str, keep: bool) -> None:
    """Give an account another password, to be changed at the next sign-in; its sessions end."""
    password = _password()
    with ready() as engine:
        accounts.put_password(engine, COMMAND_LINE, username, password, must_change=not keep)
    click.echo(f"{username}: 密码已重设，登录已结束")


@account.command("switch")
@click.argument("username")
@click.argument("to", type=click.Choice(["on", "off"]))
def switch(username: str, to: str) -> None:
    """Switch an account off, which ends its sessions, or on again."""
    with ready() as engine:
        accounts.switch(engine, COMMAND_LINE, username, on=to == "on")
    click.echo(f"{username}: {'已启用' if to == 'on' else '已停用'}")


@account.command("end-sessions")
@click.argument("username")
def end_sessions(username: str) -> None:
    """End every session of an account."""
    with ready() as engine:
        ended = accounts.end_sessions(engine, COMMAND_LINE, username)
    click.echo(f"{username}: 已结束 {ended} 处登录")


@account.command("clear-factor")
@click.argument("username")
def clear_factor(username: str) -> None:
    """Take an account's second factor away, for whoever lost the telephone."""
    with ready() as engine:
        accounts.set_factor(engine, COMMAND_LINE, username, None)
    click.echo(f"{username}: 两步验证已清除")


@account.command("unlock")
@click.argument("username")
def unlock(username: str) -> None:
    """Let a name try again that was locked out by ten failures."""
    from gridmgmt.web import throttle

    if not throttle.unlock(throttle.opened(settings()), username):
        click.echo(f"{username}: 没有锁定")
        return
    with ready() as engine:
        accounts.note_unlocked(engine, COMMAND_LINE, username)
    click.echo(f"{username}: 已解锁")
