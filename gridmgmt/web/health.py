"""How the system is, in words with what to do: for the administrator, and as JSON for machines."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Blueprint, current_app, render_template

from gridmgmt import health
from gridmgmt.db.models import Role
from gridmgmt.health import STATE_NAMES, STATE_SIGNS, Line, worst
from gridmgmt.health.files import OLD_BACKUP_DAYS, Backup, newest_backup
from gridmgmt.web.access import allow
from gridmgmt.web.databases import databases

__all__ = ["OLD_BACKUP_DAYS", "STATE_NAMES", "STATE_SIGNS", "as_json", "backup", "lines", "pages"]

pages = Blueprint("health", __name__, url_prefix="/admin/health")


@pages.get("")
@allow(Role.ADMIN)
def page() -> Any:
    """Every line, what is to be done first."""
    return render_template("health.html", lines=lines(), names=STATE_NAMES, signs=STATE_SIGNS)


def as_json() -> dict[str, Any]:
    """Return the lines and the worst of their states, for a program that watches."""
    found = lines()
    return {
        "status": worst(found).value,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lines": [
            {"key": line.key, "name": line.name, "state": line.state.value, "says": line.says,
             "todo": line.todo}
            for line in found
        ],
    }  # fmt: skip


def lines() -> list[Line]:
    """Return how everything is here, the worst first."""
    doors = databases()
    return health.lines(doors.accounts, doors.reader, current_app.config["SETTINGS"])


def backup(_: Path) -> Backup | None:
    """Return the newest backup, None when there is none."""
    return newest_backup(current_app.config["SETTINGS"].backup_folder())
