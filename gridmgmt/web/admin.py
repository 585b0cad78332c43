"""The administrator's accounts and imports; the auditor's record of imports and analyses."""

from typing import Any

from flask import Blueprint, render_template

from gridmgmt.db import identity
from gridmgmt.db.models import ROLE_NAMES, Role
from gridmgmt.web import records
from gridmgmt.web.access import allow
from gridmgmt.web.areas import territory
from gridmgmt.web.databases import databases, reader

pages = Blueprint("admin", __name__)


@pages.get("/admin")
@allow(Role.ADMIN)
def home() -> Any:
    with reader().connect() as connection:
        return render_template(
            "admin.html",
            here=territory(connection),
            accounts=identity.accounts(databases().accounts),
            role_names=ROLE_NAMES,
            imports=records.imports(connection),
            runs=records.runs(connection),
        )


@pages.get("/audit")
@allow(Role.AUDITOR)
def audit() -> Any:
    with reader().connect() as connection:
        return render_template(
            "audit.html", here=None, imports=records.imports(connection), runs=records.runs(connection)
        )
