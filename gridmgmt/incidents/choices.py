"""What a form of intake offers to choose from."""

from sqlalchemy import Connection, text

from gridmgmt.incidents.terms import LEDGER_NAMES

LEDGERS = {each.value: name for each, name in LEDGER_NAMES.items()}
# Satisfaction as residents say it, the best first.
SATISFACTION = {5: "非常满意", 4: "满意", 3: "基本满意", 2: "不满意", 1: "非常不满意"}


def channels(connection: Connection) -> dict[str, str]:
    """Return the names of the ways in which matters come, by code."""
    return _pairs(connection, "SELECT code, name FROM channel ORDER BY code")


def category_names(connection: Connection) -> dict[str, str]:
    """Return the names of all categories, by code."""
    return _pairs(connection, "SELECT code, name FROM category")


def _pairs(connection: Connection, query: str) -> dict[str, str]:
    return {str(code): str(name) for code, name in connection.execute(text(query))}
