"""Puts a bulletin on sheets: where a sheet ends is said, not left to the letters of a machine.

Word, its free kin and our PDF break lines a little differently; heights here are what the widest of them
takes, so that all have the same sheets with the same words on each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gridmgmt.incidents.papers.page import Node
from gridmgmt.index.bulletins.blocks import Table

# Points of a sheet between its margins, less what roundings may take.
WIDE, HIGH = 442.0, 630.0
# Parts of a character's size that a figure or a Latin letter takes, and the gap that some leave beside it.
NARROW, GAP = 0.56, 0.13
_CJK = 0x2E80
_BESIDE = 7.0  # of a cell's text, with its border


@dataclass(frozen=True)
class Look:
    """How a table is set: its class, size and height of a line, and what a row has above and below."""

    name: str
    size: float
    line: float
    air: float = 3.6


COMPACT, DENSE = Look("compact", 10.5, 14), Look("dense", 8.5, 11.5)


@dataclass(frozen=True)
class Piece:
    """Nodes that stay together, and how high they are at most."""

    nodes: tuple[Node, ...]
    height: float


def lines(said: str, size: float, wide: float) -> int:
    """Return in how many lines words are set at most."""
    total = sum(size if ord(each) >= _CJK else size * NARROW for each in said)
    gaps = sum((ord(a) >= _CJK) != (ord(b) >= _CJK) for a, b in pairwise(said))
    # A line may end early by a character, lest the next begin with a mark.
    return max(1, -int(-(total + gaps * GAP * size) // (wide - size)))


def row_height(table: Table, row: Sequence[str], look: Look) -> float:
    """Return how high a row of a table is at most."""
    whole = sum(table.columns)
    wide = [WIDE * each / whole - _BESIDE + look.size for each in table.columns]
    most = max(lines(said, look.size, room) for said, room in zip(row, wide, strict=True))
    return look.line * most + look.air


def cut(table: Table, look: Look, room: float) -> Iterator[tuple[Table, float]]:
    """Give a table in parts that fit into so many points each, with their heights."""
    head = row_height(table, table.head, look)
    rows: list[tuple[str, ...]] = []
    used = head
    for row in table.rows:
        need = row_height(table, row, look)
        if rows and used + need > room:
            yield Table(table.caption, table.columns, table.head, tuple(rows)), used
            rows, used = [], head
        rows.append(row)
        used += need
    if rows:
        yield Table(table.caption, table.columns, table.head, tuple(rows)), used


def paged(pieces: Sequence[Piece]) -> Iterator[Node]:
    """Give all nodes in their order; the first of each sheet is marked to begin it."""
    free = HIGH
    for piece in pieces:
        first, *others = piece.nodes
        if piece.height > free and free < HIGH:
            first = Node(first.tag, first.classes | {"break"}, children=first.children)
            free = HIGH
        free = (free - piece.height) % HIGH if piece.height > free else free - piece.height
        yield first
        yield from others
