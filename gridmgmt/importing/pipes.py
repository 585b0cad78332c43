"""Messages between this process and one that it started to work beside it: length, then content."""

import pickle
import struct
from typing import IO, Any

_LENGTH = struct.Struct("<q")


def send(stream: IO[bytes], content: object) -> None:
    """Write one message."""
    body = pickle.dumps(content, protocol=5)
    stream.write(_LENGTH.pack(len(body)))
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Return the next message; raises EOFError when the other side has ended, even within one."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(length)[0]
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return pickle.loads(body)
