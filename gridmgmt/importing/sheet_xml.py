"""What calamine does not tell of an XLSX file: where a formula ended in an error, which it reads as nothing.

The XML of a sheet is searched as bytes first; only one with an error in it is parsed.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree

_BLOCK = 1 << 20
_ERROR = re.compile(rb"""\st\s*=\s*["']e["']""")
_LONGEST = 16
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
Place = tuple[int, int]


def sheet_parts(packed: zipfile.ZipFile) -> dict[str, str]:
    """Return the part of the package in which each sheet stands, by the sheet's name."""
    links = ElementTree.fromstring(packed.read("xl/_rels/workbook.xml.rels"))
    targets = {link.attrib["Id"]: link.attrib["Target"] for link in links}
    book = ElementTree.fromstring(packed.read("xl/workbook.xml"))
    found: dict[str, str] = {}
    for each in book.iter():
        said = {plain(name): value for name, value in each.attrib.items()}
        if plain(each.tag) == "sheet" and (target := targets.get(said.get("id", ""))):
            found[said["name"]] = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
    return found


def cells(packed: zipfile.ZipFile, part: str) -> Iterator[tuple[Place, ElementTree.Element]]:
    """Give the cells of a sheet that name their place, as (row, column) from 0, in the order of the file."""
    with packed.open(part) as stream:
        for _, each in ElementTree.iterparse(stream):
            tag = plain(each.tag)
            if tag == "c" and (place := _PLACE.fullmatch(each.attrib.get("r", ""))):
                yield _at(place), each
            if tag == "row":
                each.clear()


def error_of(cell: ElementTree.Element) -> str | None:
    """Return the words of a formula's error, such as #N/A; None when the cell has none."""
    if cell.attrib.get("t") != "e":
        return None
    return next((child.text for child in cell if plain(child.tag) == "v" and child.text), "#ERROR!")


def errors(packed: zipfile.ZipFile, part: str) -> dict[Place, str]:
    """Return the words of every formula's error in a sheet by place, at little cost when there is none."""
    if not _may_hold_errors(packed, part):
        return {}
    found = ((place, error_of(cell)) for place, cell in cells(packed, part))
    return {place: words for place, words in found if words}


def plain(tag: str) -> str:
    """Return a tag or an attribute's name without its namespace."""
    return tag.rpartition("}")[2]


def _may_hold_errors(packed: zipfile.ZipFile, part: str) -> bool:
    before = b""
    with packed.open(part) as stream:
        while block := stream.read(_BLOCK):
            if _ERROR.search(before + block):
                return True
            before = block[-_LONGEST:]
    return False


def _at(place: re.Match[str]) -> Place:
    column = 0
    for letter in place[1]:
        column = column * 26 + ord(letter) - 64
    return int(place[2]) - 1, column - 1
