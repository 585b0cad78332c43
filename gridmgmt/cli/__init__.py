"""The `gridmgmt` command. Each group stands in a module of its own and is loaded only when it is called."""

import importlib
import sys
from collections.abc import Callable

import click

from gridmgmt.errors import GridmgmtError, SetupError

# Group or command -> the module and the object in it.
COMMANDS = {
    "cluster": ("gridmgmt.cli.database", "cluster"),
    "db": ("gridmgmt.cli.database", "db"),
    "import": ("gridmgmt.cli.imports", "imports"),
    "hotspots": ("gridmgmt.cli.hotspots", "hotspots"),
    "seasonal": ("gridmgmt.cli.seasonal", "seasonal"),
    "plan": ("gridmgmt.cli.plans", "plan"),
    "matters": ("gridmgmt.cli.matters", "matters"),
    "index": ("gridmgmt.cli.index", "index"),
    "api": ("gridmgmt.cli.api", "api"),
    "backtest": ("gridmgmt.cli.backtest", "command"),
    "demo": ("gridmgmt.cli.demo", "demo"),
    "serve": ("gridmgmt.cli.serve", "serve"),
    "screenshots": ("gridmgmt.cli.screenshots", "screenshots"),
    "account": ("gridmgmt.cli.accounts", "account"),
    "jobs": ("gridmgmt.cli.jobs", "jobs"),
    "doctor": ("gridmgmt.cli.doctor", "doctor"),
    "province": ("gridmgmt.cli.province", "province"),
    "audit": ("gridmgmt.cli.privacy", "audit"),
    "keys": ("gridmgmt.cli.privacy", "keys"),
    "privacy": ("gridmgmt.cli.rights", "privacy"),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when asked for, so that `cluster url` does not wait for pandas."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup)
@click.version_option(package_name="gridmgmt")
def cli() -> None:
    """网格化服务管理: grids, households, matters, hotspots and the seasonal list (时令清单治未病)."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; an error of ours becomes one line and its exit code."""
    run: Callable[..., object] = cli.main
    try:
        run(args=arguments, prog_name="gridmgmt")
    except GridmgmtError as error:
        click.echo(f"gridmgmt: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        engine = sys.modules.get("gridmgmt.db.engine")  # not loaded for `cluster url`: it takes half a second
        if engine is None or not engine.is_away(error):
            raise
        click.echo(f"gridmgmt: the database does not answer: {str(error).splitlines()[0]}", err=True)
        sys.exit(SetupError.exit_code)
