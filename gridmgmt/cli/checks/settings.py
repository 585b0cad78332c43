"""Settings: what cannot be read, what nothing reads, what means nothing, and secrets that others may read."""

import difflib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

from gridmgmt.cli.checks.finding import Finding, good
from gridmgmt.config import VARIABLES, Settings, settings
from gridmgmt.db.models import Role
from gridmgmt.errors import GridmgmtError, InputError, SetupError
from gridmgmt.health import State

_NAME = re.compile(r"(GRIDMGMT_\w+?)(_FILE)?\b")


def read() -> tuple[Settings, list[Finding]]:
    """Return the settings, those that are wrong left at their default, with a finding for each of these."""
    taken: dict[str, str] = {}
    found: list[Finding] = []
    try:
        while True:
            try:
                return settings(), found or [good("settings", "every variable is readable")]
            except (InputError, SetupError) as why:
                name = _set_by(str(why))
                if name is None or name not in os.environ:
                    raise
                taken[name] = os.environ.pop(name)
                mend = f"set {name} as docs/configuration.md says, or unset it"
                found.append(Finding("settings", State.BAD, str(why), "no command begins with it", mend))
    finally:
        os.environ.update(taken)


def _set_by(message: str) -> str | None:
    match = _NAME.match(message)
    return match[0] if match else None


def names() -> Iterator[Finding]:
    """Find variables that nothing reads, with the one that was probably meant."""
    known = {each.name for each in VARIABLES} | {f"{each.name}_FILE" for each in VARIABLES if each.secret}
    for name in sorted(os.environ):
        if name.startswith("GRIDMGMT_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            yield Finding(
                "settings", State.WATCH, f"{name} is no variable of this program{meant}",
                "what was meant by it does not happen",
                f"unset {name}" + (f", set {near[0]}" if near else ""),
            )  # fmt: skip


def words(chosen: Settings) -> Iterator[Finding]:
    """Find settings that can be read and still mean nothing."""
    unknown = chosen.second_factor - {role.value for role in Role}
    if unknown:
        yield Finding(
            "settings", State.BAD, f"GRIDMGMT_SECOND_FACTOR: no role {', '.join(sorted(unknown))}",
            "nobody is held to a second factor by it", f"name roles of: {', '.join(Role)}",
        )  # fmt: skip
    yield from _basemap(chosen)
    yield from _recipient(chosen)


def _basemap(chosen: Settings) -> Iterator[Finding]:
    from gridmgmt.web.basemap import basemap_origin

    try:
        basemap_origin(chosen.basemap)
    except GridmgmtError as why:
        mend = "set GRIDMGMT_BASEMAP as docs/configuration.md says, or unset it"
        yield Finding("settings", State.BAD, str(why), "the web server does not begin with it", mend)


def _recipient(chosen: Settings) -> Iterator[Finding]:
    from pyrage import RecipientError, x25519

    why = "no backup is made without it"
    mend = "on another machine: gridmgmt db backup-key …; set GRIDMGMT_BACKUP_RECIPIENT to the public key"
    if not chosen.backup_recipient:
        yield Finding("backup-key", State.BAD, "GRIDMGMT_BACKUP_RECIPIENT is not set", why, mend)
        return
    try:
        x25519.Recipient.from_str(chosen.backup_recipient)
        yield good("backup-key", "backups can be encrypted")
    except RecipientError:
        says = "GRIDMGMT_BACKUP_RECIPIENT is no public key of age"
        yield Finding("backup-key", State.BAD, says, why, mend)


def secrets(chosen: Settings) -> Iterator[Finding]:
    """Find files of secrets that others than their owner may read."""
    told = (os.environ.get(f"{each.name}_FILE") for each in VARIABLES if each.secret)
    kept = (chosen.home / "session.key", chosen.home / "sign-in.sqlite", chosen.keyring_file())
    for path in (*(Path(each) for each in told if each), *kept):
        if path.exists() and S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(
                "secrets", State.BAD, f"{path}: mode {S_IMODE(path.stat().st_mode):04o}",
                "who reads it can sign sessions or open sealed values: change the secret if anybody may have",
                f"chmod 600 {shlex.quote(str(path))}",
            )  # fmt: skip
