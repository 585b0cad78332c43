"""docs/configuration.md, made from `config.VARIABLES`: `python -m gridmgmt.cli.configuration [FILE]`."""

import sys
from pathlib import Path

from gridmgmt.config import PACKAGE, VARIABLES, Variable

PAGE = PACKAGE.parent / "docs" / "configuration.md"

HEAD = """# Configuration

Every setting is a variable of the environment; there is no other place. This page is made from the table
in `gridmgmt/config.py` by `python -m gridmgmt.cli.configuration`, and a test fails when it is not.

A **secret** may stand in a file instead, for its owner alone, that `NAME_FILE` names: the environment of a
process is easier to read than a file. An installed machine has its settings in `/etc/gridmgmt/gridmgmt.env`
and its secrets in `/etc/gridmgmt/secrets/`, a file each. A change takes effect when the services are
restarted. `gridmgmt doctor` names values that are not allowed, names that nothing reads, and files of
secrets that others may read.

| variable | what it says | default | secret |
| --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page as it must be."""
    return HEAD + "".join(map(_row, VARIABLES))


def _row(each: Variable) -> str:
    says = each.says.replace("|", "\\|")
    default = f"`{each.default}`" if each.default else ""
    return f"| `{each.name}` | {says} | {default} | {'yes' if each.secret else ''} |\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else PAGE).write_text(page(), encoding="utf-8")
