"""Good files made bad: bytes flipped, cut, doubled; members of packed files; words of tables and features."""

import io
import random
import struct
import zipfile
from collections.abc import Callable

from gridmgmt.importing.packed import BROKEN_ZIP

WORDS = (
    b"", b"\0", b"-1", b"1e309", b"nan", b"inf", b"9" * 400, b"=cmd|' /C calc'!A0", b"\xff\xfe",
    b"\xed\xa0\x80", b"'", b'"', b'"a\nb',
    b"\r", b"\xe2\x80\xae", b"\xf0\x9f\x92\xa5" * 30, b"2025-02-30", b"0000-00-00",
    b"99999-12-31", b"#REF!", b"<x>", b"&e;", b"../../x", b"null", b"[" * 3_000, b"{" * 3_000, b"a" * 200_000,
)  # fmt: skip
ENTITY = b'<!DOCTYPE z [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n > 1 else b"&a;" * 10) for n in range(1, 10)
) + b"]>"  # fmt: skip
Mutation = Callable[[bytes, random.Random], bytes]


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a bad file made of a good one by one to four changes."""
    packed = content.startswith(b"PK\x03\x04")
    for _ in range(rng.randint(1, 4)):
        choices = PACKED if packed and rng.random() < 0.8 else PLAIN
        content = rng.choice(choices)(content, rng)
        packed = packed and zipfile.is_zipfile(io.BytesIO(content))
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    bent = bytearray(content)
    for _ in range(rng.choice([1, 2, 8, 64])):
        if bent:
            bent[rng.randrange(len(bent))] = rng.randrange(256)
    return bytes(bent)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _left_out(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice([1, 4, 100, 1000]) :]


def _doubled(content: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(content) + 1), rng.choice([10, 500, 5_000])
    return content[:at] + content[at : at + size] * rng.choice([2, 20, 200]) + content[at:]


def _put_in(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(WORDS) + content[at:]


def _put_for_field(content: bytes, rng: random.Random) -> bytes:
    """Put a bad word where a field of a table or a value of JSON or XML stands."""
    sign = rng.choice([b",", b":", b">", b'"', b"\n"])
    parts = content.split(sign)
    parts[rng.randrange(len(parts))] = rng.choice(WORDS)
    return sign.join(parts)


def _number(content: bytes, rng: random.Random) -> bytes:
    """Overwrite four or eight bytes with a length or a count at its border."""
    kind = rng.choice(["<I", ">I", "<Q", "<i"])
    value = rng.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF])
    size = struct.calcsize(kind)
    at = rng.randrange(max(1, len(content) - size))
    return content[:at] + struct.pack(kind, value) + content[at + size :]


def _encoding(content: bytes, rng: random.Random) -> bytes:
    try:
        words = content.decode("utf-8")
    except UnicodeDecodeError:
        words = content.decode("gb18030", "replace")
    return words.encode(rng.choice(["utf-16", "utf-32", "big5", "shift_jis", "utf-7", "euc_kr"]), "ignore")


PLAIN: tuple[Mutation, ...] = (
    _flip, _cut, _left_out, _doubled, _put_in, _put_for_field, _number, _encoding, _put_for_field
)  # fmt: skip


# --- packed files


def _members(content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            return [(name, opened.read(name)) for name in opened.namelist()][:50]
    except BROKEN_ZIP:
        return []


def _packed(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in members:
            made.writestr(name, body)
    return out.getvalue()


def _member(content: bytes, rng: random.Random) -> bytes:
    members = _members(content)
    if not members:
        return content
    at = rng.randrange(len(members))
    name, body = members[at]
    members[at] = name, rng.choice([*PLAIN, _entities, _deep, _bomb])(body, rng)
    return _packed(members)


def _fewer(content: bytes, rng: random.Random) -> bytes:
    members = _members(content)
    if members:
        members.pop(rng.randrange(len(members)))
    return _packed(members)


def _swapped(content: bytes, rng: random.Random) -> bytes:
    members = _members(content)
    if len(members) > 1:
        one, other = rng.sample(range(len(members)), 2)
        (a, b), (c, d) = members[one], members[other]
        members[one], members[other] = (a, d), (c, b)
    return _packed(members)


def _renamed(content: bytes, rng: random.Random) -> bytes:
    members = _members(content)
    if members:
        at = rng.randrange(len(members))
        members[at] = rng.choice(["../../x", "/tmp/x", "A" * 300, "xl\\x", "vbaProject.bin"]), members[at][1]
    return _packed(members)


def _entities(content: bytes, _: random.Random) -> bytes:
    head, found, rest = content.partition(b"?>")
    return head + found + ENTITY + (rest if found else content).replace(b"</v>", b"&e;&a9;</v>", 1)


def _deep(content: bytes, rng: random.Random) -> bytes:
    return content[: len(content) // 2] + b"<a>" * rng.choice([1_000, 300_000]) + content[len(content) // 2 :]


def _bomb(content: bytes, rng: random.Random) -> bytes:
    return content + rng.choice([b"\0", b" ", b"<row/>", b"<c/>"]) * rng.choice([1 << 16, 1 << 24])


PACKED: tuple[Mutation, ...] = (_member, _member, _member, _member, _fewer, _swapped, _renamed)
