"""`gridmgmt audit` and `gridmgmt keys`: whether the audit log is whole, and the key ring."""

import sys
from dataclasses import asdict

import click

from gridmgmt.cli.database import ready
from gridmgmt.cli.printing import new_table, print_json, print_table
from gridmgmt.cli.rights import rotate
from gridmgmt.db.engine import AUDITOR
from gridmgmt.households import rotation
from gridmgmt.privacy import audit as log
from gridmgmt.privacy.audit import Verified
from gridmgmt.privacy.keyring import Algorithm, KeyRing


class KnownLine(click.ParamType):
    """A line's number and hash, as `audit verify` printed them."""

    name = "LINE:HASH"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, str]:
        number, _, told = value.partition(":")
        if not number.isdecimal() or len(told) != 64:
            self.fail("a number, a colon and 64 hexadecimal digits", param, ctx)
        return int(number), told.lower()


@click.group()
def audit() -> None:
    """The log of who saw and changed personal data."""


@audit.command("verify")
@click.option("--known", type=KnownLine(), help="What an earlier call printed and was noted elsewhere.")
@click.option("--json", "as_json", is_flag=True)
def verify(known: tuple[int, str] | None, as_json: bool) -> None:
    """Say whether every line is what it was; exit code 1, with the faults, when one is not.

    Note the last line and its hash outside this machine, and give them next time with --known: that finds
    even a log that its owner has written anew from end to end.
    """
    with ready(AUDITOR) as engine, engine.connect() as connection:
        found = log.verify(connection, known)
    if as_json:
        print_json({**asdict(found), "whole": not found.faults})
    else:
        _say(found)
    if found.faults:
        sys.exit(1)


def _say(found: Verified) -> None:
    for line, fault in found.faults:
        click.echo(f"line {line}: {fault}")
    state = "not whole" if found.faults else "whole"
    click.echo(f"{found.lines} lines, {state}; the last: {found.last}:{found.head or '-'}")


@click.group()
def keys() -> None:
    """The key ring that personal data is sealed with."""


keys.add_command(rotate)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True)
def show(as_json: bool) -> None:
    """Print the keys of the ring without their secrets."""
    ring = KeyRing.opened()
    rows = [(kid, key.algorithm, key.made, kid == ring.active) for kid in ring.kids if (key := ring.key(kid))]
    if as_json:
        print_json([dict(zip(("id", "algorithm", "made", "active"), row, strict=True)) for row in rows])
        return
    table = new_table(str(ring.path), ("#key", "algorithm", "made", "seals new values"))
    for kid, algorithm, made, active in rows:
        table.add_row(str(kid), algorithm, made, "yes" if active else "")
    print_table(table)


@keys.command("add")
@click.option(
    "--algorithm",
    type=click.Choice([each.value for each in Algorithm]),
    help="Default: what GRIDMGMT_CIPHER says.",
)
def add(algorithm: str | None) -> None:
    """Make a new key that from now on seals new values; the old ones stay to open theirs."""
    ring = KeyRing.opened()
    kid = ring.add(algorithm)
    click.echo(f"key {kid} ({ring.active_key.algorithm}) seals new values; old ones: gridmgmt keys rotate")


@keys.command("retire")
@click.argument("kid", type=int)
@click.confirmation_option(prompt="Backups of the time of this key can then not be read. Go on?")
def retire(kid: int) -> None:
    """Destroy a key that no stored value carries any more; refused while one does."""
    with ready() as engine:
        rotation.retire(engine, KeyRing.opened(), kid)
    click.echo(f"key {kid} is gone")
