"""A first look at a file: what it is, whether it is whole, how its text is encoded."""

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gridmgmt.errors import FileError

TEXT = (".csv", ".txt", ".tsv")
BLOCK = 1 << 18
# So many characters beyond ASCII decoded as UTF-8 are no accident: the chance for other text is below 1e-6.
TELLING = 12
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SAME = {"gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "utf-8": "utf-8-sig"}
GZIP = b"\x1f\x8b"
# Tables shrink to a tenth or so; what grows a hundred times was packed to harm.
MOST_UNPACKED, SMALL = 100, 64 << 20


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; raises FileError when it is no file or cannot be read."""
    if path.exists() and not path.is_file():
        raise FileError(path, "file", "a folder, pipe or device", "a file")
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as why:
        raise FileError(path, "file", why.strerror, "a file that exists and can be read") from why


def text_suffix(path: Path) -> str | None:
    """Return .csv, .txt or .tsv for such a file, packed by gzip or not; None for others.

    >>> text_suffix(Path("matters.CSV.gz"))
    '.csv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in TEXT else None


def open_bytes(path: Path) -> tuple[io.BufferedReader, "io.BufferedReader | gzip.GzipFile"]:
    """Return the file as it stands (its position tells progress) and its content, unpacked."""
    raw = path.open("rb")
    packed = raw.peek(2)[:2] == GZIP
    return raw, gzip.GzipFile(fileobj=raw) if packed else raw


@dataclass(frozen=True)
class _Failure:
    """Where decoding stopped, and how many characters beyond ASCII had been read by then."""

    offset: int
    row: int
    telling: int


def text_encoding(path: Path, declared: str | None) -> str:
    """Return the encoding of a text file, tried on all of it: declared, marked, UTF-8, else GB18030.

    Raises
    ------
    FileError
        When a gzip is cut short or damaged (after which row), when the bytes are not in the declared encoding
        or in none that is known (at which byte and row).
    """
    with path.open("rb") as stream:
        if not stream.peek(1):
            raise FileError(path, "file", "0 bytes", "a table with a header row")
    start = next(_blocks(path))[:4]
    marked = next((name for mark, name in MARKS if start.startswith(mark)), None)
    if declared:
        return _as_declared(path, SAME.get(declared, declared), marked)
    if marked:
        return _decodable(path, marked)
    utf8, _ = _try(path, "utf-8")
    if utf8 is None:
        return "utf-8"
    if utf8.telling >= TELLING:
        raise _undecodable(path, "UTF-8", utf8)
    gb, _ = _try(path, "gb18030")
    if gb is not None:
        raise _undecodable(path, *max(("UTF-8", utf8), ("GB18030", gb), key=lambda pair: pair[1].offset))
    return "gb18030"


def _as_declared(path: Path, name: str, marked: str | None) -> str:
    if marked and name not in (marked, "utf-16-le", "utf-16-be"):
        raise FileError(path, "encoding", f"{name} declared", f"{marked}: the file begins with its mark")
    failure, _ = _try(path, name)
    if failure is not None:
        other = next((each for each in ("utf-8", "gb18030") if _try(path, each)[0] is None), None)
        raise _undecodable(path, name.removesuffix("-sig"), failure, other)
    if name == "gb18030":
        against, telling = _try(path, "utf-8")
        if against is None and telling >= TELLING:
            raise FileError(path, "encoding", "gb18030 declared, but the whole file reads as UTF-8", "utf-8")
    return name


def _decodable(path: Path, name: str) -> str:
    failure, _ = _try(path, name)
    if failure is not None:
        raise _undecodable(path, name.removesuffix("-sig"), failure)
    return name


def _undecodable(path: Path, name: str, failure: _Failure, other: str | None = None) -> FileError:
    found = f"byte {failure.offset} in row {failure.row} is not {name}"
    if other:
        return FileError(path, "encoding", found, f"{other}, as which the whole file reads")
    allowed = 'the encoding it was written in; declare it in the mapping file: [source] encoding = "gb18030"'
    return FileError(path, "encoding", found, allowed)


def _try(path: Path, encoding: str) -> tuple[_Failure | None, int]:
    """Decode all of a file; return where it failed, and how many characters beyond ASCII there were."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, rows, telling = 0, 1, 0
    for block in chain(_blocks(path), [b""]):
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as why:
            before = why.object[: why.start]
            at = offset - (len(why.object) - len(block)) + why.start
            good = before.decode(encoding, "ignore")
            return _Failure(at, rows + good.count("\n"), telling + _beyond_ascii(good)), telling
        offset += len(block)
        rows += text.count("\n")
        telling += _beyond_ascii(text)
    return None, telling


def _beyond_ascii(text: str) -> int:
    return 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))


def _blocks(path: Path) -> Iterator[bytes]:
    """Give the content of a file, unpacked; raises FileError when a gzip ends early or is damaged."""
    raw, content = open_bytes(path)
    rows, room = 0, SMALL + MOST_UNPACKED * path.stat().st_size
    with raw, content:
        while True:
            try:
                block = content.read1(BLOCK)
            except (EOFError, zlib.error, gzip.BadGzipFile) as why:
                raise FileError(
                    path,
                    "gzip",
                    f"it ends or is damaged after row {rows} ({why})",
                    "a whole file; copy it again",
                ) from why
            if not block:
                return
            room -= len(block)
            if room < 0:
                raise FileError(
                    path, "gzip", f"over {MOST_UNPACKED} times its size", "an ordinary packed table"
                )
            rows += block.count(b"\n")
            yield block
