"""A small writer of PDF pages: lines and areas as vectors, text that can be searched, any script of a font.

Chinese fonts are mostly OpenType with CFF outlines and some 20 MB; a page needs some hundred characters. Each
character used is kept as one bitmap in a Type 3 font, with its Unicode value, so that a page is some 10 KB,
prints sharply and is found by searching.

Source: ISO 32000-1, 8.5 (paths), 9.6.5 (Type 3 fonts), 9.10.3 (ToUnicode).
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[float, float, float]
Ring = Sequence[Sequence[float]] | NDArray[np.float64]
FontMaker = Callable[[int], ImageFont.FreeTypeFont | None]

EM = 96  # pixels of a character: 690 dots an inch at 10 pt
GLYPHS_A_FONT = 250
A4_ACROSS = (842.0, 595.0)  # points


class Glyphs:
    """The characters used in a document, as bitmaps, in fonts of at most `GLYPHS_A_FONT`."""

    def __init__(self, font: ImageFont.FreeTypeFont) -> None:
        self.font = font
        self.places: dict[str, tuple[int, int]] = {}
        self.widths: dict[str, float] = {}

    def width(self, text: str, size: float) -> float:
        """Return how wide a text of a size in points is."""
        return sum(self._width(character) for character in text) * size / EM

    def _width(self, character: str) -> float:
        if character not in self.widths:
            self.widths[character] = self.font.getlength(character)
        return self.widths[character]

    def shown(self, text: str, size: float) -> str:
        """Return the operators that show a text at the current place."""
        made, current = [], -1
        for character in text:
            place = self.places.setdefault(character, divmod(len(self.places), GLYPHS_A_FONT))
            if place[0] != current:
                current = place[0]
                made.append(f"/G{current} {size:g} Tf ")
            made.append(f"<{place[1]:02x}> Tj ")
        return "".join(made)

    def procedure(self, character: str) -> bytes:
        """Return the program that paints a character, in thousandths of its size."""
        left, top, right, bottom = self.font.getbbox(character, anchor="ls")
        left, top, right, bottom = int(left), int(top), int(right) + 1, int(bottom) + 1
        width, height, unit = right - left, bottom - top, 1000 / EM
        box = (left * unit, -bottom * unit, right * unit, -top * unit)
        head = f"{self._width(character) * unit:.1f} 0 {' '.join(f'{edge:.1f}' for edge in box)} d1\n"
        if character.isspace() or width < 1 or height < 1:
            return head.encode()
        image = Image.new("1", (width, height))
        ImageDraw.Draw(image).text((-left, -top), character, 1, self.font, anchor="ls")
        data = zlib.compress(image.tobytes(), 9).hex()
        place = f"q {width * unit:.1f} 0 0 {height * unit:.1f} {box[0]:.1f} {box[1]:.1f} cm\n"
        picture = f"BI /W {width} /H {height} /IM true /BPC 1 /D [1 0] /F [/AHx /Fl] ID\n{data}>\nEI Q"
        return (head + place + picture).encode()


@dataclass
class Page:
    """The operators of one page; the origin is the lower left corner, units are points."""

    glyphs: Glyphs
    made: list[str] = field(default_factory=list)

    def area(
        self,
        rings: Iterable[Ring],
        fill: Colour | None = None,
        line: Colour | None = None,
        width: float = 0.5,
        dash: str = "",
    ) -> None:
        """Paint closed rings, holes by the even-odd rule."""
        paint = {(True, True): "B*", (True, False): "f*", (False, True): "S"}[
            fill is not None, line is not None
        ]
        self.made += ["q", *self._look(fill, line, width, dash)]
        for ring in rings:
            self._path(ring)
            self.made.append("h")
        self.made += [paint, "Q"]

    def line(self, points: Ring, line: Colour, width: float = 0.5, dash: str = "") -> None:
        """Draw an open line."""
        self.made += ["q", *self._look(None, line, width, dash)]
        self._path(points)
        self.made += ["S", "Q"]

    def _look(self, fill: Colour | None, line: Colour | None, width: float, dash: str) -> list[str]:
        look = [f"{width:g} w 1 j 1 J"]
        if fill:
            look.append(" ".join(f"{part:.3f}" for part in fill) + " rg")
        if line:
            look.append(" ".join(f"{part:.3f}" for part in line) + " RG")
        return [*look, f"[{dash}] 0 d"] if dash else look

    def _path(self, points: Ring) -> None:
        steps = [f"{x:.2f} {y:.2f}" for x, y in np.asarray(points, float)[:, :2]]
        self.made += [f"{steps[0]} m", *(f"{step} l" for step in steps[1:])]

    def text(
        self, x: float, y: float, text: str, size: float, colour: Colour = (0.1, 0.15, 0.16), at: float = 0.0
    ) -> float:
        """Write a text with its base line at y; `at` is the share of its width left of x. Returns its end."""
        width = self.glyphs.width(text, size)
        start = x - at * width
        look = " ".join(f"{part:.3f}" for part in colour)
        self.made.append(f"BT {look} rg {start:.2f} {y:.2f} Td {self.glyphs.shown(text, size)}ET")
        return start + width

    def clip(self, x: float, y: float, width: float, height: float) -> None:
        """Paint nothing outside a box until `unclip`."""
        self.made.append(f"q {x:g} {y:g} {width:g} {height:g} re W n")

    def unclip(self) -> None:
        self.made.append("Q")


class Document:
    """Pages and their characters, written as one file by `bytes`."""

    def __init__(self, font: FontMaker, size: tuple[float, float] = A4_ACROSS) -> None:
        face = font(EM) or ImageFont.load_default(EM)
        assert isinstance(face, ImageFont.FreeTypeFont)
        self.glyphs = Glyphs(face)
        self.size = size
        self.pages: list[Page] = []

    def page(self) -> Page:
        self.pages.append(Page(self.glyphs))
        return self.pages[-1]

    def bytes(self, title: str) -> bytes:
        """Return the document as a PDF file."""
        objects = _Objects()
        catalogue, tree, info = objects.reserve(), objects.reserve(), objects.reserve()
        fonts = " ".join(f"/G{n} {number} 0 R" for n, number in enumerate(self._fonts(objects)))
        resources = objects.add(f"<< /Font << {fonts} >> >>".encode())
        leaves = []
        for page in self.pages:
            content = objects.stream("\n".join(page.made).encode())
            box = f"[0 0 {self.size[0]:g} {self.size[1]:g}]"
            leaf = (
                f"<< /Type /Page /Parent {tree} 0 R /MediaBox {box} /Resources {resources} 0 R"
                f" /Contents {content} 0 R >>"
            )
            leaves.append(objects.add(leaf.encode()))
        kids = " ".join(f"{leaf} 0 R" for leaf in leaves)
        objects.set(tree, f"<< /Type /Pages /Count {len(leaves)} /Kids [{kids}] >>".encode())
        objects.set(catalogue, f"<< /Type /Catalog /Pages {tree} 0 R /Lang (zh-CN) >>".encode())
        objects.set(info, f"<< /Title <{_utf16(title)}> >>".encode())
        return objects.file(catalogue, info)

    def _fonts(self, objects: "_Objects") -> list[int]:
        groups: dict[int, list[str]] = {}
        for character, (font, _) in self.glyphs.places.items():
            groups.setdefault(font, []).append(character)
        return [self._font(objects, characters) for characters in groups.values()]

    def _font(self, objects: "_Objects", characters: list[str]) -> int:
        programs = [objects.stream(self.glyphs.procedure(character)) for character in characters]
        named = " ".join(f"/c{n} {program} 0 R" for n, program in enumerate(programs))
        widths = " ".join(f"{self.glyphs.width(character, 1000):.1f}" for character in characters)
        order = " ".join(f"/c{n}" for n in range(len(characters)))
        meaning = objects.stream(_to_unicode(characters))
        return objects.add(
            f"<< /Type /Font /Subtype /Type3 /FontBBox [0 -400 2000 1200] /FontMatrix [0.001 0 0 0.001 0 0]"
            f" /CharProcs << {named} >> /Encoding << /Type /Encoding /Differences [0 {order}] >>"
            f" /FirstChar 0 /LastChar {len(characters) - 1} /Widths [{widths}] /Resources << >>"
            f" /ToUnicode {meaning} 0 R >>".encode()
        )


class _Objects:
    """Numbered objects of a file, and the table that says where each begins."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def reserve(self) -> int:
        return self.add(b"")

    def add(self, body: bytes) -> int:
        self.bodies.append(body)
        return len(self.bodies)

    def set(self, number: int, body: bytes) -> None:
        self.bodies[number - 1] = body

    def stream(self, content: bytes) -> int:
        packed = zlib.compress(content, 9)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        return self.add(head + packed + b"\nendstream")

    def file(self, root: int, info: int) -> bytes:
        made = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
        starts = []
        for number, body in enumerate(self.bodies, 1):
            starts.append(len(made))
            made += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
        table = len(made)
        made += f"xref\n0 {len(starts) + 1}\n0000000000 65535 f \n".encode()
        made += b"".join(f"{start:010d} 00000 n \n".encode() for start in starts)
        made += f"trailer\n<< /Size {len(starts) + 1} /Root {root} 0 R /Info {info} 0 R >>\n".encode()
        return bytes(made + f"startxref\n{table}\n%%EOF\n".encode())


def _to_unicode(characters: list[str]) -> bytes:
    lines = [f"<{n:02x}> <{character.encode('utf-16-be').hex()}>" for n, character in enumerate(characters)]
    blocks = [lines[start : start + 100] for start in range(0, len(lines), 100)]
    body = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        f"1 begincodespacerange\n<00> <ff>\nendcodespacerange\n{body}\nendcmap end end"
    ).encode()


def _utf16(text: str) -> str:
    return ("﻿" + text).encode("utf-16-be").hex()
