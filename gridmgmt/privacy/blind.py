"""The blind index: finding a sealed value by its exact text, without the database ever seeing the text.

    blind = the first 16 bytes of HMAC-SHA256(index key, field | 0 | text), kept as a PostgreSQL uuid

Equal texts of one field give equal values: that they are equal is what the index tells whoever reads it.
Give it texts in their one normal form (`numbers.clean_identity`, `clean_phone`), or it will not find them.
"""

import hmac
from collections.abc import Sequence
from uuid import UUID

from gridmgmt.errors import InputError
from gridmgmt.privacy.keyring import KeyRing

BLIND_BYTES = 16


def blind(ring: KeyRing, field: str, clear: str) -> UUID:
    """Return what this text is found by in this field."""
    return UUID(bytes=blind_many(ring, field, [clear])[0])


def blind_many(ring: KeyRing, field: str, texts: Sequence[str | None]) -> list[bytes | None]:
    """Return the 16 bytes of the uuid of every text; None stays None."""
    key, name = ring.index_key, field.encode() + b"\0"
    try:
        return [
            None if text is None else hmac.digest(key, name + text.encode(), "sha256")[:BLIND_BYTES]
            for text in texts
        ]
    except UnicodeEncodeError:
        raise InputError(field, "half a surrogate pair", "valid Unicode") from None
