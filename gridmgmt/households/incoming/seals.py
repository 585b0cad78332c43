"""Blind indexes and sealed values of people, made in a process beside the import, so that both cores work."""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

from gridmgmt.errors import SetupError
from gridmgmt.importing.pipes import receive, send
from gridmgmt.privacy.blind import blind_many
from gridmgmt.privacy.cipher import new_salts, seal_many
from gridmgmt.privacy.keyring import KeyRing

FEW = 2_000  # rows that are done before another process would have started


@dataclass(frozen=True, repr=False)
class Seals:
    """Per person: blind indexes (for PostgreSQL's uuid), and salt and sealed values where asked for."""

    identity_index: pa.Array
    phone_index: pa.Array
    salt: pa.Array | None = None
    identity: pa.Array | None = None
    phone: pa.Array | None = None


def seals_of(ring: KeyRing, identity: pa.Array, phone: pa.Array, seal: bool) -> Seals:
    """Return what is kept of numbers in clear; None stays None. With `seal` every person gets a new salt."""
    numbers, phones = identity.to_pylist(), phone.to_pylist()
    indexes = [
        pa.array(blind_many(ring, field, texts), pa.binary(16))
        for field, texts in (("identity", numbers), ("phone", phones))
    ]
    if not seal:
        return Seals(indexes[0], indexes[1])
    salt, sealed, sealed_phone = sealed_columns(ring, numbers, phones, new_salts(len(numbers)))
    return Seals(indexes[0], indexes[1], salt, sealed, sealed_phone)


def sealed_columns(
    ring: KeyRing, identity: Sequence[str | None], phone: Sequence[str | None], salts: Sequence[bytes]
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return salts, sealed identity numbers and phones as `copy_rows` takes them; None stays None."""
    sealed = seal_many(ring, salts, {"identity": identity, "phone": phone})
    return pa.array(salts, pa.binary(16)), *(
        pa.array(sealed[name], pa.large_binary()) for name in ("identity", "phone")
    )


class Sealer:
    """Makes seals in a process beside this one, started with the first large batch; a context ends it."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = ThreadPoolExecutor(1)

    def start(self) -> None:
        """Start the process now, so that it is ready when the first rows have been read."""
        if self._process is None:
            command = [sys.executable, "-m", "gridmgmt.households.incoming.seal_process"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert self._process.stdin is not None
            send(self._process.stdin, self._ring)

    def submit(self, identity: pa.Array, phone: pa.Array, seal: bool) -> "Future[Seals]":
        """Return the seals of these people to come."""
        if len(identity) > FEW or self._process:
            self.start()
            return self._thread.submit(self._ask, identity, phone, seal)
        done: Future[Seals] = Future()
        done.set_result(seals_of(self._ring, identity, phone, seal))
        return done

    def _ask(self, *asked: object) -> Seals:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            send(self._process.stdin, asked)
            answer = receive(self._process.stdout)
        except (EOFError, BrokenPipeError):
            raise SetupError("the process that seals numbers has ended: is there memory left?") from None
        assert isinstance(answer, Seals)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        if self._process:
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    stream.close()
