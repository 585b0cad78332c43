"""Reads one tile out of a PMTiles archive, version 3: https://github.com/protomaps/PMTiles/blob/main/spec/v3.

The file is mapped into memory, so that workers share what the system keeps of it.
"""

import gzip
import mmap
import struct
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gridmgmt.errors import SetupError

MVT = "application/vnd.mapbox-vector-tile"
KINDS = {1: MVT, 2: "image/png", 3: "image/jpeg", 4: "image/webp", 5: "image/avif"}
COMPRESSIONS = {1: "", 2: "gzip", 3: "br"}
# A directory may point to another one, which points to tiles.
DEEPEST_DIRECTORY = 4
_HEADER = struct.Struct("<7sB11Q6B")


class Entry(NamedTuple):
    """From tile `first` on, `run` tiles of the same bytes; a run of 0 is another directory."""

    first: int
    run: int
    offset: int
    length: int


@dataclass(frozen=True)
class Archive:
    """An open archive; `kind` is the media type of its tiles, `compression` how each is packed."""

    data: mmap.mmap
    root: tuple[int, int]
    leaves: int
    tiles: int
    packed: bool
    kind: str
    compression: str
    deepest: int

    @property
    def vector(self) -> bool:
        return self.kind == MVT

    @staticmethod
    @lru_cache(maxsize=4)
    def opened(path: Path) -> "Archive":
        """Return an archive; SetupError when there is none or it is of another kind."""
        try:
            with path.open("rb") as stream:
                data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as why:
            raise SetupError(f"the basemap {path} cannot be read: {why}") from why
        (
            magic,
            version,
            root,
            root_size,
            _,
            _,
            leaves,
            _,
            tiles,
            *_,
            directories,
            packing,
            kind,
            _,
            deepest,
        ) = _HEADER.unpack_from(data)
        if (magic, version) != (b"PMTiles", 3) or kind not in KINDS or packing not in COMPRESSIONS:
            raise SetupError(f"the basemap {path} is no PMTiles archive of version 3 that browsers can read")
        return Archive(
            data,
            (root, root_size),
            leaves,
            tiles,
            directories == 2,
            KINDS[kind],
            COMPRESSIONS[packing],
            deepest,
        )

    def tile(self, z: int, x: int, y: int) -> tuple[bytes, str, str] | None:
        """Return a tile's bytes, media type and compression; None where there is none."""
        wanted = tile_number(z, x, y)
        offset, size = self.root
        for _ in range(DEEPEST_DIRECTORY):
            entry = self._find(offset, size, wanted)
            if entry is None:
                return None
            if entry.run:
                start = self.tiles + entry.offset
                return bytes(self.data[start : start + entry.length]), self.kind, self.compression
            offset, size = self.leaves + entry.offset, entry.length
        return None

    def _find(self, offset: int, size: int, wanted: int) -> Entry | None:
        entries = _directory(self, offset, size)
        place = bisect_right(entries, wanted, key=lambda entry: entry.first) - 1
        if place < 0:
            return None
        entry = entries[place]
        return entry if entry.run == 0 or wanted < entry.first + entry.run else None


@lru_cache(maxsize=64)
def _directory(archive: Archive, offset: int, size: int) -> list[Entry]:
    text = bytes(archive.data[offset : offset + size])
    numbers = _numbers(gzip.decompress(text) if archive.packed else text)
    count, rest = numbers[0], numbers[1:]
    steps, runs, lengths, places = (rest[k * count : (k + 1) * count] for k in range(4))
    entries: list[Entry] = []
    first = 0
    for step, run, length, place in zip(steps, runs, lengths, places, strict=True):
        first += step
        # 0 says: right behind the one before.
        start = place - 1 if place else entries[-1].offset + entries[-1].length
        entries.append(Entry(first, run, start, length))
    return entries


def _numbers(text: bytes) -> list[int]:
    found, number, bits = [], 0, 0
    for byte in text:
        number |= (byte & 0x7F) << bits
        bits += 7
        if byte < 0x80:
            found.append(number)
            number = bits = 0
    return found


def tile_number(z: int, x: int, y: int) -> int:
    """Return a tile's number along the Hilbert curves of all zoom levels, one after the other.

    >>> [tile_number(1, x, y) for x, y in ((0, 0), (0, 1), (1, 1), (1, 0))]
    [1, 2, 3, 4]
    """
    number, side = (4**z - 1) // 3, 2**z // 2
    while side:
        right, below = int(x & side > 0), int(y & side > 0)
        number += side * side * (3 * right ^ below)
        if not below:
            if right:
                x, y = side - 1 - (x & (side - 1)), side - 1 - (y & (side - 1))
            x, y = y, x
        x, y = x & (side - 1), y & (side - 1)
        side //= 2
    return number
