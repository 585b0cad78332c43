"""Reads Mapbox vector tiles, for comparing what two servers say and for the tests of tiles."""

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Point = tuple[int, int]


@dataclass(frozen=True)
class Feature:
    """A feature of a tile: its number, what is said of it, and its lines or rings (a ring is not closed)."""

    id: int | None
    kind: int
    properties: dict[str, Any]
    paths: tuple[tuple[Point, ...], ...]


def read(tile: bytes) -> dict[str, list[Feature]]:
    """Return the features of every layer, by its name; packed tiles are unpacked."""
    tile = gzip.decompress(tile) if tile[:2] == b"\x1f\x8b" else tile
    return dict(_layer(content) for number, content in _fields(tile) if number == 3)


def _layer(content: bytes) -> tuple[str, list[Feature]]:
    name, keys, values, features = "", [], [], []
    for number, part in _fields(content):
        if number == 1:
            name = part.decode()
        elif number == 2:
            features.append(part)
        elif number == 3:
            keys.append(part.decode())
        elif number == 4:
            values.append(_value(part))
    return name, [_feature(part, keys, values) for part in features]


def _feature(content: bytes, keys: list[str], values: list[Any]) -> Feature:
    parts = dict(_fields(content))
    tags = list(_varints(parts.get(2, b"")))
    told = {keys[key]: values[value] for key, value in zip(tags[::2], tags[1::2], strict=True)}
    return Feature(parts.get(1), parts[3], told, tuple(map(tuple, _paths(parts[4]))))


def _paths(stream: bytes) -> list[list[Point]]:
    numbers, x, y = _varints(stream), 0, 0
    paths: list[list[Point]] = []
    for command in numbers:
        for _ in range(command >> 3):
            if command & 7 == 7:
                break
            x, y = x + _signed(next(numbers)), y + _signed(next(numbers))
            if command & 7 == 1:
                paths.append([])
            paths[-1].append((x, y))
    return paths


def _value(content: bytes) -> Any:
    number, value = next(_fields(content))
    if number == 1:
        return value.decode()
    if number in (2, 3):
        return struct.unpack("<f" if number == 2 else "<d", value)[0]
    return {6: _signed, 7: bool}.get(number, int)(value)


def _signed(number: int) -> int:
    return number >> 1 ^ -(number & 1)


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        if key & 7 == 0:
            value, place = _varint(content, place)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            length, place = _varint(content, place)
        yield key >> 3, content[place : place + length]
        place += length


def _varint(content: bytes, place: int) -> tuple[int, int]:
    number = bits = 0
    while True:
        byte = content[place]
        number |= (byte & 0x7F) << bits
        place, bits = place + 1, bits + 7
        if byte < 0x80:
            return number, place


def _varints(content: bytes) -> Iterator[int]:
    place = 0
    while place < len(content):
        number, place = _varint(content, place)
        yield number
