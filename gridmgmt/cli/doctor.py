"""`gridmgmt doctor`: finds what is wrong with an installation and says what to do."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click
from rich.text import Text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from gridmgmt.cli.checks import database, machine, program, settings
from gridmgmt.cli.checks.finding import Finding
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.config import Settings
from gridmgmt.db.engine import READER, database_url, make_engine
from gridmgmt.errors import SetupError
from gridmgmt.health import STATE_SIGNS, Line, State, files, lines

# What `checks.database` says itself, with the command.
SAID = {"schema"}
COLOURS = {State.OK: "green", State.WATCH: "yellow", State.BAD: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the web server listens.")
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--all", "show_all", is_flag=True, help="Print what is well too.")
@click.pass_context
def doctor(context: click.Context, as_json: bool, host: str, port: int, show_all: bool) -> None:
    """Find what is wrong with this installation and say what to do; exit code 6 when anything is BAD."""
    found = sorted(examined(host, port), key=lambda each: -list(State).index(each.state))
    bad = any(each.state is State.BAD for each in found)
    if as_json:
        print_json({"status": found[0].state, "findings": [asdict(each) for each in found]})
    else:
        show([each for each in found if show_all or each.state is not State.OK], len(found))
    if bad:
        context.exit(SetupError.exit_code)


def examined(host: str, port: int) -> Iterator[Finding]:
    """Give every finding, those of the database last."""
    chosen, found = settings.read()
    yield from found
    yield from settings.names()
    yield from settings.words(chosen)
    yield from settings.secrets(chosen)
    yield from program.libraries()
    yield from program.assets()
    yield from machine.fonts()
    yield from machine.memory()
    yield from machine.home(chosen)
    yield from machine.port(host, port)
    yield from database.encryption(chosen)
    about = list(database.programs(chosen))
    yield from about
    if all(each.state is not State.BAD for each in about):
        yield from of_database(chosen)


def of_database(chosen: Settings) -> Iterator[Finding]:
    """Give the findings of the database and of what stands in it; that it does not answer is one too."""
    try:
        with database_url(chosen) as url:
            owner, reader = make_engine(url), make_engine(url, role=READER)
            found = list(database.found(owner, chosen))
            yield from found
            sound = all(each.state is not State.BAD for each in found)
            # Without a sound database there is still to say whether a disk is full.
            yield from of_lines(lines(owner, reader, chosen) if sound else files.lines(chosen))
            owner.dispose()
            reader.dispose()
    except (DBAPIError, SetupError) as why:
        where = make_url(chosen.database_url).render_as_string() if chosen.database_url else "the cluster"
        reason = str(why.orig if isinstance(why, DBAPIError) else why).strip().splitlines()[0]
        mend = "systemctl start postgresql" if chosen.database_url else "gridmgmt cluster start"
        yield Finding("server", State.BAD, f"{where}: {reason}", "nothing works without it", mend)
        yield from of_lines(files.lines(chosen))


def of_lines(told: Iterable[Line]) -> Iterator[Finding]:
    """Give the lines of the health page as findings."""
    for line in told:
        if line.key not in SAID:
            yield Finding(line.key, line.state, f"{line.name}：{line.says}", mend=line.todo)


def show(found: list[Finding], looked_at: int) -> None:
    """Print findings as a table, what is to be done under what was found."""
    if found:
        table = new_table("gridmgmt doctor", ("", "what", "found", "why it matters", "what to do"))
        for each in found:
            sign = Text(f"{STATE_SIGNS[each.state]} {each.state.upper()}", COLOURS[each.state])
            table.add_row(sign, each.key, each.says, each.why, each.mend)
        print_table(table)
    click.echo(f"{looked_at} things looked at, {sum(each.state is State.BAD for each in found)} bad")
