"""Backups for the administrator to see: what stands, what is missing. Who restores has the private key."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, current_app, render_template

from gridmgmt.config import Settings
from gridmgmt.db.backup.base import listed
from gridmgmt.db.backup.sealing import recipient
from gridmgmt.db.models import Role
from gridmgmt.errors import SetupError
from gridmgmt.health import STATE_NAMES, STATE_SIGNS, Line, files
from gridmgmt.health.line import State, size, span
from gridmgmt.web.access import allow

pages = Blueprint("backups", __name__, url_prefix="/admin/backups")

SHOWN = 20


@pages.get("")
@allow(Role.ADMIN)
def page() -> Any:
    """How backups, the archived log and their key stand; the newest backups."""
    chosen, now = current_app.config["SETTINGS"], datetime.now(UTC)
    made = [
        (each, span((now - each.at).total_seconds()), size(each.bytes), span(each.seconds))
        for each in listed(chosen.backup_folder())
    ]
    return render_template(
        "backups.html", lines=[_key(chosen), *files.lines(chosen)], names=STATE_NAMES, signs=STATE_SIGNS,
        made=made[:SHOWN], count=len(made), folder=chosen.backup_folder(), home=chosen.home,
        keyring=chosen.keyring_file(),
    )  # fmt: skip


def _key(chosen: Settings) -> Line:
    try:
        recipient(chosen)
    except SetupError:
        return Line(
            "backup-key", "备份公钥", State.BAD, "没有设置，或不是公钥：不会备份，也不会归档",
            "按下面第 1 步做。",
        )  # fmt: skip
    return Line("backup-key", "备份公钥", State.OK, f"{chosen.backup_recipient}，服务器自己打不开备份")
