"""Files that only the holder of a key kept elsewhere can open: zstd, then age (X25519, ChaCha20-Poly1305).

The server knows the public key alone (GRIDMGMT_BACKUP_RECIPIENT), so who takes its backups reads nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyrage
from pyrage import x25519

from gridmgmt.config import Settings
from gridmgmt.db.held import settle
from gridmgmt.errors import InputError, SetupError

SUFFIX = ".zst.age"


def new_key(path: Path) -> str:
    """Write a new private key into a file for its owner alone, and return its public key.

    InputError when the file stands already: a key that is overwritten closes every backup made for it.
    """
    identity = x25519.Identity.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as why:
        raise InputError("out", str(path), f"a new file ({why.strerror})") from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"# public key: {identity.to_public()}\n{identity}\n")
    return str(identity.to_public())


def recipient(settings: Settings) -> Any:
    """Return for whom backups are sealed; SetupError with what to do when nobody is named."""
    told = settings.backup_recipient
    if not told:
        raise SetupError(
            "no backup without a key: make one with `gridmgmt db backup-key --out FILE`, keep that file away "
            "from this server, and set GRIDMGMT_BACKUP_RECIPIENT to the public key it prints"
        )
    try:
        return x25519.Recipient.from_str(told)
    except pyrage.RecipientError:
        raise SetupError("GRIDMGMT_BACKUP_RECIPIENT is no public key (age1…)") from None


def identity(path: Path) -> Any:
    """Return the private key that stands in a file; InputError when there is none."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as why:
        raise InputError("identity", str(path), f"a file with a private key ({why})") from None
    for line in lines:
        if line.startswith("AGE-SECRET-KEY-"):
            try:
                return x25519.Identity.from_str(line)
            except pyrage.IdentityError:
                break
    raise InputError("identity", str(path), "a file with a line AGE-SECRET-KEY-…")


def seal(source: BinaryIO, path: Path, key: Any) -> int:
    """Write what a packed stream holds to a file, sealed, whole or not at all; return its bytes."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            pyrage.encrypt_io(source, out, [key])
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
        settle(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


@contextmanager
def packed(write: Callable[[Any], None]) -> Iterator[BinaryIO]:
    """Give a stream of what `write` puts into the file that it is given, packed, while it writes."""

    def work(into: BinaryIO) -> None:
        with into, pa.CompressedOutputStream(into, "zstd") as stream:
            write(stream)

    with _pipe(work) as reader:
        yield reader


@contextmanager
def opened(path: Path, key: Any) -> Iterator[BinaryIO]:
    """Give what a sealed file holds, unpacked; SetupError when the key does not open it, or it is damaged."""

    def work(into: BinaryIO) -> None:
        with into, path.open("rb") as source:
            try:
                pyrage.decrypt_io(source, into, [key])
            except BrokenPipeError:
                raise
            except (pyrage.DecryptError, OSError) as why:
                words = "the key does not open it" if "matching" in str(why).lower() else "it is damaged"
                raise SetupError(f"{path.name}: {words}") from None

    with _pipe(work) as reader, pa.CompressedInputStream(pa.PythonFile(reader, "r"), "zstd") as stream:
        yield cast(BinaryIO, stream)
        while stream.read(1 << 20):  # to the last byte: that none was cut off shows there alone
            pass


@contextmanager
def _pipe(work: Callable[[BinaryIO], None]) -> Iterator[BinaryIO]:
    """Give the end of a pipe into whose other end a thread works; raises what happened to the thread."""
    read, write = os.pipe()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work(os.fdopen(write, "wb"))
        except BrokenPipeError:  # the reader had enough, and says why itself
            pass
        except BaseException as why:
            failed.append(why)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        with os.fdopen(read, "rb") as reader:
            yield reader
    except Exception as why:
        thread.join()
        raise (failed[0] if failed else why) from None
    thread.join()
    if failed:
        raise failed[0]
