"""`gridmgmt db dictionary`: the data dictionary, from the database, the models and the field register."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import click

import gridmgmt
from gridmgmt.db import dictionary as stored
from gridmgmt.db.base import Base
from gridmgmt.db.dictionary import Column, Table
from gridmgmt.db.engine import opened
from gridmgmt.privacy import register
from gridmgmt.privacy.register import Entry

INTRODUCTION = """# Data dictionary

Every table with its columns, as the database has them, made by `gridmgmt db dictionary`; a test compares.

*Read by* are the database roles that may select a column: `reader` draws maps and analyses, `writer` keeps
plans, tasks and the index, `matters` handles matters, `roster` the households, `auditor` the log. Where row
policies stand, each sees the rows of its own area alone. *Personal* is the class of the field register, which
says why a thing is held and how long.
"""


@click.command()
def dictionary() -> None:
    """Print the data dictionary as Markdown (docs/data-dictionary.md)."""
    with opened() as engine, engine.connect() as connection:
        click.echo(page(stored.tables(connection)), nl=False)


def page(tables: list[Table]) -> str:
    """Return the page."""
    says = _says()
    personal = {(entry.table, entry.column): entry for entry in register.entries()}
    return "\n".join(
        [INTRODUCTION, *(line for table in tables for line in _table(table, says, personal)), ""]
    ).replace("\n\n\n", "\n\n")


def _says() -> dict[str, str]:
    """Return the first sentence of every mapped class by its table."""
    for module in pkgutil.walk_packages(gridmgmt.__path__, "gridmgmt."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
    found = {}
    for mapper in Base.registry.mappers:
        said = " ".join((inspect.getdoc(mapper.class_) or "").split())
        found[str(mapper.local_table.name)] = said  # type: ignore[attr-defined]
    return found


def _table(table: Table, says: dict[str, str], personal: dict[tuple[str, str], Entry]) -> Iterator[str]:
    yield f"\n## {table.name}\n"
    if table.name in says:
        yield f"{says[table.name]}\n"
    entries = [
        personal[table.name, each.name] for each in table.columns if (table.name, each.name) in personal
    ]
    if entries:
        yield f"Of {entries[0].subject.value}, for {entries[0].purpose}. Kept: {entries[0].retention}.\n"
    readers = frozenset.union(*(each.readers for each in table.columns))
    rows = f", {table.policies} row policies" if table.policies else ""
    yield f"Read by {', '.join(sorted(readers)) or 'the owner alone'}{rows}.\n"
    yield "| column | type | | personal |\n| --- | --- | --- | --- |"
    for column in table.columns:
        entry = personal.get((table.name, column.name))
        yield f"| {column.name} | {column.type} | {_marks(column, readers)} | {entry.kind if entry else ''} |"


def _marks(column: Column, readers: frozenset[str]) -> str:
    told = [
        "key" if column.key else "required" if column.required else "",
        f"→ {column.references}" if column.references else "",
        f"not for {', '.join(sorted(readers - column.readers))}" if readers - column.readers else "",
    ]
    return ", ".join(filter(None, told))
