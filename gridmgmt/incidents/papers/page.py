"""A paper as a small tree of headings, paragraphs and tables: the one source of its PDF and its Word file.

What a template may say is exactly what both forms can show; anything else is an error with its line.
Pictures, dense tables and a red head are only for pages that the program itself puts together.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from gridmgmt.errors import GridmgmtError

BLOCKS = ("h1", "h2", "p", "table")
CELLS = ("td", "th")
# Parent -> what may stand in it; "" is the page itself.
CHILDREN = {
    "": BLOCKS, "table": ("tr",), "tr": CELLS, "td": ("p", "b", "br", "span"), "th": ("p", "b", "br", "span"),
    "h1": ("b", "br", "span"), "h2": ("b", "br", "span"), "p": ("b", "br", "span"), "b": ("br", "span"),
    "span": (), "br": (),
}  # fmt: skip
# Classes by element: where a paragraph stands, and what a cell or table looks like.
CLASSES = {
    "h1": (), "h2": (), "p": ("plain", "center", "right", "signed", "small", "break"), "table": ("bare",),
    "tr": (), "td": ("center", "right", "tall", "small"), "th": ("left",), "b": (), "span": ("line",),
    "br": (),
}  # fmt: skip
TEXTLESS = ("", "table", "tr")
MOST_SPAN = 12
_CJK = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f\u2018-\u201d\u2014\u2026"
_FOLD = re.compile(rf"(?<=[{_CJK}])[ \t]*\n\s*(?=[{_CJK}])")
_BLANKS = re.compile(r"[ \t\r\n]+")


class PageError(GridmgmtError):
    """A page that does not stand as it is written; `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


@dataclass(frozen=True)
class Picture:
    """A PNG of our own, as wide as `width` mm of the 156 that the text has, and what it shows in words."""

    png: bytes = field(repr=False)
    width: float
    height: float
    says: str


@dataclass
class Node:
    """An element: its children are elements and texts; one of tag "img" is a picture."""

    tag: str
    classes: frozenset[str] = frozenset()
    columns: tuple[int, ...] = ()
    colspan: int = 1
    rowspan: int = 1
    children: list["Node | str"] = field(default_factory=list)
    picture: Picture | None = None

    def nodes(self) -> list["Node"]:
        """Return the children that are elements."""
        return [each for each in self.children if isinstance(each, Node)]

    def texts(self) -> Iterator[str]:
        """Give all texts inside, in their order."""
        for each in self.children:
            yield from [each] if isinstance(each, str) else each.texts()


@dataclass(frozen=True)
class Page:
    """A paper that is ready to be drawn: what stands on it, its name, the line at the foot of each sheet.

    `mark` stands at the head of each sheet of a draft.
    """

    root: Node
    title: str
    foot: str
    author: str
    draft: bool = False
    mark: str = "草稿 未出具，不作凭证"

    def text(self) -> str:
        """Return all words of it, in their order, without blanks between."""
        return re.sub(r"\s", "", "".join(self.root.texts()))


def parse(html: str) -> Node:
    """Return the tree of a page; PageError says in which line something stands that may not."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if len(reader.path) > 1:
        raise PageError(reader.getpos()[0], f"<{reader.path[-1].tag}> is not closed")
    if not reader.path[0].children:
        raise PageError(1, "nothing stands on the page")
    return reader.path[0]


class _Reader(HTMLParser):
    """Builds the tree and refuses what stands in the wrong place."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.path = [Node("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        parent = self.path[-1]
        if tag not in CHILDREN[parent.tag]:
            where = f"in <{parent.tag}>" if parent.tag else "on the page"
            allowed = ", ".join(f"<{each}>" for each in CHILDREN[parent.tag]) or "text"
            raise self._refuse(f"<{tag}> stands {where}; allowed there: {allowed}")
        node = self._node(tag, attrs)
        parent.children.append(node)
        if tag != "br":
            self.path.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag != "br":
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "br":
            return
        if self.path[-1].tag != tag:
            open_now = f"<{self.path[-1].tag}> is open" if self.path[-1].tag else "nothing is open"
            raise self._refuse(f"</{tag}> where {open_now}")
        self.path.pop()

    def handle_data(self, data: str) -> None:
        parent = self.path[-1]
        if parent.tag in TEXTLESS:
            if data.strip():
                raise self._refuse(f"text outside a paragraph or cell: {data.strip()[:20]}")
            return
        words = _BLANKS.sub(" ", _FOLD.sub("", data))
        before = parent.children[-1] if parent.children else Node("br")
        if isinstance(before, Node) and before.tag != "span":
            words = words.lstrip(" ")
        if words:
            parent.children.append(words)

    def handle_decl(self, decl: str) -> None:
        raise self._refuse(f"<!{decl[:20]}> stands on the page")

    def unknown_decl(self, data: str) -> None:
        raise self._refuse(f"<![{data[:20]} stands on the page")

    def handle_pi(self, data: str) -> None:
        raise self._refuse(f"<?{data[:20]} stands on the page")

    def _refuse(self, why: str) -> PageError:
        return PageError(self.getpos()[0], why)

    def _node(self, tag: str, attrs: list[tuple[str, str | None]]) -> Node:
        node = Node(tag)
        for name, value in attrs:
            said = value or ""
            if name == "class":
                node.classes = frozenset(said.split())
                for each in node.classes - set(CLASSES[tag]):
                    allowed = ", ".join(CLASSES[tag]) or "none"
                    raise self._refuse(f'class "{each}" of <{tag}>; allowed: {allowed}')
            elif name in ("colspan", "rowspan") and tag in CELLS:
                setattr(node, name, self._number(name, said, MOST_SPAN))
            elif name == "columns" and tag == "table":
                node.columns = tuple(self._number(name, each, 100) for each in said.split())
            else:
                raise self._refuse(f'"{name}" of <{tag}>; allowed: class, colspan, rowspan, columns')
        return node

    def _number(self, name: str, text: str, most: int) -> int:
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
            raise self._refuse(f'{name} is "{text}"; allowed: 1 to {most}')
        return int(text)


def table_cells(table: Node) -> tuple[int, list[tuple[int, int, Node]]]:
    """Return how many columns a table has, and each cell with its row and column, spans counted."""
    taken: set[tuple[int, int]] = set()
    found = []
    for row, line in enumerate(table.nodes()):
        column = 0
        for cell in line.nodes():
            while (row, column) in taken:
                column += 1
            found.append((row, column, cell))
            taken |= {(row + r, column + c) for r in range(cell.rowspan) for c in range(cell.colspan)}
            column += cell.colspan
    return max((column + 1 for _, column in taken), default=0), found


def widths(table: Node) -> list[float]:
    """Return the share of each column of a table, all together 1; even where the template says nothing."""
    columns, _ = table_cells(table)
    said = table.columns if len(table.columns) == columns else (1,) * columns
    return [each / sum(said) for each in said]
