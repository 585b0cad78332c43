"""A bulletin as a page of official layout (GB/T 9704-2012): red head, number, text, tables, signature,
attachments; and its two files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from gridmgmt.calendar import CHINA
from gridmgmt.incidents.papers.page import Node, Page
from gridmgmt.index.bulletins import words
from gridmgmt.index.bulletins.attachments import attachments
from gridmgmt.index.bulletins.blocks import Block, Facts, Figure, Table, day
from gridmgmt.index.bulletins.sheets import COMPACT, DENSE, HIGH, WIDE, Look, Piece, cut, lines, paged

TO = "各镇人民政府、街道办事处，市直有关部门："
MARK = "草稿 未签发，不作依据"
NO_NUMBER, NO_DAY = "（文号待编）", "年　月　日"
INDENT = "\u3000\u3000"
SIZE, LINE, CAPTION, AFTER_TABLE, AROUND_PICTURE = 16.0, 28.0, 25.0, 14.0, 24.0
POINTS_A_MM = 72 / 25.4


@dataclass(frozen=True)
class Stand:
    """How a bulletin stands: number and day once it is issued, when and by whom it was made."""

    number: str | None
    on: date | None
    made_at: datetime
    author: str

    @property
    def draft(self) -> bool:
        """Whether it is marked as a draft."""
        return self.number is None


def page(data: Facts, remarks: str, stand: Stand) -> Page:
    """Return the bulletin as a page; the same figures, words and stand give the same."""
    pieces = [*_head(data, stand), *_text(data, remarks), _signature(data, stand)]
    root = Node("", children=[*paged(pieces), *_attached(data)])
    foot = f"草稿 {stand.author} {stand.made_at.astimezone(CHINA):%Y-%m-%d %H:%M}" if stand.draft else ""
    return Page(root, words.title(data), foot, words.office(data), stand.draft, MARK)


def files(data: Facts, remarks: str, stand: Stand) -> dict[str, bytes]:
    """Return the bulletin as docx and pdf, which say the same on the same sheets."""
    from gridmgmt.incidents.papers import pdf, word  # they load libraries that pages do not need

    made = page(data, remarks, stand)
    return {"docx": word.render(made, stand.made_at), "pdf": pdf.render(made, stand.made_at)}


# --- the text


def _head(data: Facts, stand: Stand) -> Iterator[Piece]:
    title = words.title(data)
    yield Piece((_p(f"{words.office(data)}文件", "masthead"),), 58.0)
    yield Piece((_p(stand.number or NO_NUMBER, "number"),), LINE + 36)
    yield Piece((_node("h1", title),), 34.0 * lines(title, 22, WIDE) + 14)
    yield Piece((_p(TO, "plain"),), LINE)


def _text(data: Facts, remarks: str) -> Iterator[Piece]:
    for section in words.sections(data, remarks):
        heading: tuple[Node, ...] = (_node("h2", section.heading),)
        for block in section.blocks:
            for piece in _pieces(data, block):
                above = LINE + 6 if heading else 0.0
                yield Piece((*heading, *piece.nodes), piece.height + above)
                heading = ()


def _pieces(data: Facts, block: Block) -> Iterator[Piece]:
    if isinstance(block, str):
        yield _paragraph(block)
    elif isinstance(block, Table):
        yield from _tables(block, COMPACT)
    else:
        yield _figure(data, block)


def _paragraph(said: str) -> Piece:
    return Piece((_p(said),), LINE * lines(INDENT + said, SIZE, WIDE))


def _tables(table: Table, look: Look) -> Iterator[Piece]:
    for part, height in cut(table, look, HIGH - CAPTION - AFTER_TABLE):
        nodes = _p(part.caption, "caption"), _table(part, look)
        yield Piece(nodes, height + CAPTION + AFTER_TABLE)


def _figure(data: Facts, figure: Figure) -> Piece:
    from gridmgmt.index.bulletins.charts import picture  # it loads a library that pages do not need

    drawn = picture(data, figure)
    shown = Node("p", frozenset({"picture"}), children=[Node("img", picture=drawn)])
    height = drawn.height * POINTS_A_MM + CAPTION + AROUND_PICTURE
    return Piece((_p(figure.caption, "caption"), shown), height)


def _signature(data: Facts, stand: Stand) -> Piece:
    """Return the list of attachments, the office and the day, which stay together."""
    listed = [name for name, _ in attachments(data)]
    nodes = [
        _p(f"{'附件：' if n == 1 else INDENT + chr(0x3000)}{n}.{name}") for n, name in enumerate(listed, 1)
    ]
    nodes += [
        _p("", "plain"),
        _p(words.office(data), "signed"),
        _p(day(stand.on) if stand.on else NO_DAY, "signed"),
    ]
    return Piece(tuple(nodes), LINE * len(nodes))


def _attached(data: Facts) -> Iterator[Node]:
    for number, (_, tables) in enumerate(attachments(data), 1):
        room = HIGH - LINE - CAPTION - AFTER_TABLE
        sheets = [part for table in tables for part, _ in cut(table, DENSE, room)]
        for n, sheet in enumerate(sheets):
            yield _p(f"附件{number}{'（续）' if n else ''}", "plain", "break")
            yield _p(sheet.caption, "caption")
            yield _table(sheet, DENSE)


# --- nodes


def _node(tag: str, said: str, *classes: str) -> Node:
    return Node(tag, frozenset(classes), children=[said] if said else [])


def _p(said: str, *classes: str) -> Node:
    return _node("p", said, *classes)


def _table(table: Table, look: Look) -> Node:
    rows = [Node("tr", children=[_node("th", said) for said in table.head])]
    rows += [Node("tr", children=[_cell(said) for said in row]) for row in table.rows]
    return Node("table", frozenset({look.name}), table.columns, children=list(rows))


def _cell(said: str) -> Node:
    """Return a cell: figures to the right, marks and intervals in the middle, names to the left."""
    bare = said.lstrip("+−").rstrip("*").replace(".", "")
    middle = said == "缺" or said.replace("—", "").isdecimal() or said == "—"
    where = ("right",) if bare.isdecimal() else ("center",) if middle else ()
    return _node("td", said, *where)
