"""What several commands print, read or write the same way: JSON, tables, whole files."""

import json
import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import click
from rich.console import Console
from rich.table import Table

from gridmgmt.errors import FileError

WIDTH = 160


def plain(value: object) -> str:
    """Return a value that JSON does not know (a day, a moment) as text."""
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, default=plain))


def new_table(title: str, headings: Sequence[str]) -> Table:
    """Return an empty table; a heading that begins with # is a column of numbers."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading.startswith("#") else "left"
        table.add_column(heading.removeprefix("#"), justify=justify, overflow="fold")
    return table


def print_table(table: Table) -> None:
    """Print a table as wide as the terminal, or wide enough for Chinese text where there is none."""
    console = Console()
    (console if console.is_terminal else Console(width=WIDTH)).print(table)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; FileError when it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as why:
        raise FileError(path, "out", why.strerror, "a path that can be written") from why
    finally:
        partial.unlink(missing_ok=True)


def text_of(path: Path) -> str:
    """Return what stands in a file of text; FileError when it is none."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as why:
        raise FileError(path.name, "file", str(why), "text in UTF-8") from why
