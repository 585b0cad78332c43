"""Over 300 files made to harm whoever reads them, each with a name that says how."""

import gzip
import io
import os
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

HEADER = [
    "building_code",
    "building_address",
    "dwelling",
    "household_code",
    "relation",
    "name",
    "identity_number",
]
ROW = ["B1", "甲路1号", "1-101", "H1", "户主", "王强", "379981198005010016"]
LINE = ",".join(ROW)
TEXT = ",".join(HEADER) + "\n" + LINE + "\n"
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 16 + struct.pack("<HHHHH", 62, 3, 0xFFFE, 9, 6)
NS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
File = tuple[str, bytes]


def book(rows: list[list[object]] | None = None) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        sheet = made.add_worksheet()
        for number, row in enumerate(rows or [HEADER, ROW]):
            for place, value in enumerate(row):
                sheet.write_string(number, place, value) if isinstance(value, str) else sheet.write(
                    number, place, value
                )
    return out.getvalue()


def parts(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in content.items():
            made.writestr(name, body)
    return out.getvalue()


def with_part(name: str, change: Callable[[bytes], bytes]) -> bytes:
    content = parts(book())
    content[name] = change(content.get(name, b""))
    return packed(content)


def cells(*references: str, row: str = "1") -> bytes:
    body = "".join(f'<c r="{at}" t="inlineStr"><is><t>x</t></is></c>' for at in references)
    sheet = (
        f'<?xml version="1.0"?><worksheet {NS}><sheetData><row r="{row}">{body}</row></sheetData></worksheet>'
    )
    return with_part("xl/worksheets/sheet1.xml", lambda _: sheet.encode())


def broken_books() -> Iterator[File]:
    whole = book()
    for step in range(1, 40):
        yield f"half-{step}.xlsx", whole[: len(whole) * step // 40]
    for seed in range(60):
        rng, bent = random.Random(seed), bytearray(whole)
        for _ in range(1 + seed % 7):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        yield f"flipped-{seed}.xlsx", bytes(bent)
    for name in parts(whole):
        for how, change in (
            ("cut", lambda body: body[: len(body) // 2]), ("empty", lambda _: b""),
            ("nul", lambda body: body.replace(b"<", b"\0<")), ("deep", lambda _: b"<a>" * 200_000),
            ("laughs", lambda body: LAUGHS + body.split(b"?>", 1)[-1]),
        ):  # fmt: skip
            yield f"{how}-{name.replace('/', '_')}.xlsx", with_part(name, change)
    yield "no-parts.xlsx", packed({})
    yield "outside.xlsx", packed({"../../etc/passwd": b"x", "/tmp/x": b"y"})
    yield "many.xlsx", packed({f"x{n}": b"" for n in range(11_000)})
    yield "macros.xlsm", packed(parts(whole) | {"xl/vbaProject.bin": OLE * 20})
    yield "macros-as.xlsx", packed(parts(whole) | {"xl/vbaProject.bin": OLE * 20})


LAUGHS = b"<!DOCTYPE z [<!ENTITY a0 'ha'>" + b"".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>".encode() for n in range(1, 12)
) + b"]>"  # fmt: skip


def far_cells() -> Iterator[File]:
    far = (
        "XFD1048576",
        "XFD1",
        "A1048576",
        "ZZZZZZ1",
        "A99999999999",
        "A0",
        "A-1",
        "1A",
        "",
        "A1:B2",
        "ALL1",
        "ALM1",
    )
    for number, reference in enumerate(far):
        yield f"far-{number}.xlsx", cells("A1", reference)
        yield f"farther-{number}.xlsx", cells("A1", reference, row="1048576")
    wide = [[f"c{n}" for n in range(2_000)]]
    yield "wide.xlsx", book(wide)
    yield (
        "merged.xlsx",
        with_part(
            "xl/worksheets/sheet1.xml",
            lambda body: body.replace(
                b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="A1:A1048576"/></mergeCells>'
            ),
        ),
    )


def bombs() -> Iterator[File]:
    zeros = b"\0" * (256 << 20)
    for name in ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/media/image1.png"):
        yield f"bomb-{name.replace('/', '_')}.xlsx", packed(parts(book()) | {name: zeros})
    yield "bomb.csv.gz", gzip.compress(zeros, 9)
    yield "bomb-rows.csv.gz", gzip.compress(TEXT.encode() + (LINE + "\n").encode() * 3_000_000, 9)
    yield "bomb-text.csv.gz", gzip.compress(TEXT.encode() + b"a" * (200 << 20), 9)
    yield "bomb-in-bomb.xlsx", packed({"a.zip": packed({"b.zip": packed({"c": zeros[: 64 << 20]})})})
    large = "x" * (100 << 20)
    yield "cell.csv", (TEXT + f'B2,"{large}",1-1,H2,户主,王,\n').encode()
    yield (
        "cell.xlsx",
        with_part(
            "xl/worksheets/sheet1.xml",
            lambda _: (
                f'<worksheet {NS}><sheetData><row r="1"><c r="A1" t="str"><v>{large}</v></c></row>'
                "</sheetData>"
                "</worksheet>".encode()
            ),
        ),
    )
    yield "no-newline.csv", b"a" * (100 << 20)
    yield "columns.csv", (",".join(f"c{n}" for n in range(1_000_000)) + "\n" + "," * 999_999 + "\n").encode()
    yield "delimiters.csv", TEXT.encode() + b"," * 10_000_000 + b"\n"
    yield "quote.csv", TEXT.encode() + b'"' + b"a,b\n" * 1_000_000
    yield "blank-lines.csv", TEXT.encode() + b"\n" * 3_000_000


def texts() -> Iterator[File]:
    for encoding in ("utf-8", "gb18030", "utf-16", "big5", "utf-32", "utf-7", "shift_jis", "euc_kr"):
        body = TEXT.encode(encoding, "ignore")
        for cut in (0, 1, 2, 3):
            yield f"text-{encoding}-{cut}.csv", body[: len(body) - cut]
        yield f"nul-{encoding}.csv", body + b"\0" + body
    for number, value in enumerate((
        "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("http://x","y")', "%s%n",
        "{{7*7}}",
        "'; DROP TABLE person; --", "<script>alert(1)</script>", "../../etc/passwd", "\u202e王",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "9" * 400, "1e308", "nan", "-inf", "\u0000", "\ufeff", "💥" * 50, "\u0301" * 500, "a" * 100_000,
        "${jndi:ldap://x}", "\x1b[31m",
    )):  # fmt: skip
        for field in range(len(HEADER)):
            row = [*ROW]
            row[field] = value.replace('"', '""')
            quoted = ",".join(f'"{cell}"' for cell in row)
            yield (
                f"value-{number}-{field}.csv",
                (",".join(HEADER) + "\n" + quoted + "\n").encode("utf-8", "replace"),
            )
    for number, header in enumerate(
        ("", ",,,,", LINE, "a,b,c", ",".join(HEADER * 2), "宗教,民族", "\0", '"', ";", "\n\n\n")
    ):
        yield f"header-{number}.csv", (header + "\n" + LINE + "\n").encode()
    for seed in range(6):
        noise = random.Random(seed).randbytes(5_000 * (seed + 1))
        for ending in ("csv", "tsv", "txt", "csv.gz", "xlsx", "xlsm", "xls", "ods", "parquet", "exe"):
            yield f"noise-{seed}.{ending}", noise
    for number in range(4):
        yield (
            f"ole-{number}.{('xls', 'xlsx')[number % 2]}",
            OLE + random.Random(number).randbytes(4_096 * number),
        )
    password = OLE.ljust(512, b"\xff") + "EncryptedPackage".encode("utf-16-le").ljust(4_096, b"\0")
    yield "password.xlsx", password


def parquets() -> Iterator[File]:
    out = io.BytesIO()
    pq.write_table(pa.table({name: [value] for name, value in zip(HEADER, ROW, strict=True)}), out)
    whole = out.getvalue()
    for step in range(1, 12):
        yield f"half-{step}.parquet", whole[: len(whole) * step // 12]
    for seed in range(15):
        rng, bent = random.Random(seed), bytearray(whole)
        bent[rng.randrange(len(bent))] = rng.randrange(256)
        yield f"flipped-{seed}.parquet", bytes(bent)
    odd = {name: pa.array([value]) for name, value in zip(HEADER, ROW, strict=True)}
    for kind, column in (
        ("binary", pa.array([b"\xff\xfe"])), ("list", pa.array([[1, 2]])),
        ("struct", pa.array([{"a": {"b": 1}}])),
        ("map", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))), ("null", pa.array([None])),
        ("duration", pa.array([1], pa.duration("us"))), ("decimal", pa.array([1]).cast(pa.decimal128(30, 2))),
    ):  # fmt: skip
        out = io.BytesIO()
        pq.write_table(pa.table(odd | {"name": column}), out)
        yield f"{kind}.parquet", out.getvalue()
    out = io.BytesIO()
    pq.write_table(pa.table({f"c{n}": ["x"] for n in range(5_000)}), out)
    yield "wide.parquet", out.getvalue()


def write_all(folder: Path) -> list[Path]:
    """Write every file, and return their paths with those that are no files at all."""
    made = []
    for source in (broken_books, far_cells, bombs, texts, parquets):
        for name, content in source():
            (folder / name).write_bytes(content)
            made.append(folder / name)
    folder_path, pipe = folder / "folder.csv", folder / "pipe.csv"
    folder_path.mkdir()
    os.mkfifo(pipe)
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "dangling.csv").symlink_to(folder / "nowhere")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    odd = [
        folder / name
        for name in ("-rf.csv", "a\nb.csv", "'; --.csv", "💥.csv", " .csv", "%s.csv", "x.CSV.GZ")
    ]
    for path in odd:
        path.write_bytes(TEXT.encode())
    return [
        *made,
        *odd,
        folder_path,
        pipe,
        *(folder / f"{name}.csv" for name in ("zero", "dangling", "loop", "absent")),
    ]
